/* test-basics.c - one primary: log in, write, read, subscribe, be notified; restart after kill -9. */
#include "fixture.h"

static void
test_write_read_notify(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) writer = test_client_new(server);
    g_autoptr(TestClient) reader = test_client_new(server);
    test_call(reader, "subscription.open", "{'types':['host']}");
    JsonObject *created =
        test_call(writer, "object.create", "{'object':{'type':'host','name':'srv1','address':'10.0.0.1'}}");
    int64_t dbid = json_object_get_int_member(created, "dbid"),
            revision = json_object_get_int_member(created, "revision");
    JsonObject *changes = test_wait_notification(reader, "changes");
    g_assert_cmpint(json_object_get_int_member(changes, "revision"), ==, revision);
    JsonObject *change = json_array_get_object_element(json_object_get_array_member(changes, "changes"), 0);
    g_assert_cmpstr(json_object_get_string_member(change, "op"), ==, "create");
    g_assert_cmpint(json_object_get_int_member(change, "dbid"), ==, dbid);
    JsonObject *read = test_call(reader, "object.read", "{'path':'/Environment/Hosts/srv1'}");
    JsonObject *object = json_object_get_object_member(read, "object");
    g_assert_cmpstr(json_object_get_string_member(object, "address"), ==, "10.0.0.1");
    g_assert_cmpint(json_object_get_int_member(object, "revision"), ==, revision);
}

static void
test_kill_and_restart(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) writer = test_client_new(server);
    int64_t revision = 0;
    for (unsigned i = 0; i < 50; i++)
        revision = json_object_get_int_member(
            test_call(writer, "object.create", "{'object':{'type':'host','name':'h%u'}}", i), "revision");
    test_server_signal(server, SIGKILL);
    int64_t began = g_get_monotonic_time();
    test_server_start(server);
    g_test_message("serves again after %" G_GINT64_FORMAT " ms", (g_get_monotonic_time() - began) / 1000);
    g_autoptr(TestClient) reader = test_client_new(server);
    JsonObject *count = test_call(reader, "object.count", "{'type':'host'}");
    g_assert_cmpint(json_object_get_int_member(count, "count"), ==, 50);
    g_assert_cmpint(json_object_get_int_member(count, "revision"), ==, revision);
    /* Whoever holds a recent revision goes on from it. */
    test_call(reader, "subscription.open", "{'since':%" G_GINT64_FORMAT "}", revision - 10);
    for (int64_t expected = revision - 9; expected <= revision; expected++)
        g_assert_cmpint(json_object_get_int_member(test_wait_notification(reader, "changes"), "revision"), ==,
                        expected);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/basics/write-read-notify", test_write_read_notify);
    g_test_add_func("/integration/basics/kill-and-restart", test_kill_and_restart);
    return g_test_run();
}
