/* test-plugins-records.c - change records reach a proxy's own history without a gap, in the very text that
 * the chain is made of, whatever the proxy missed and however its master finds them (protocol.md 10,
 * changesFrom). */
#include "plugins.h"

#define INT G_GINT64_FORMAT
#define SMALL_RING "recent-changes = 1048576\n" /* of the primary's own section */

static int64_t
create_host(TestClient *client, const char *name, unsigned number)
{
    return json_object_get_int_member(
        test_call(client, "object.create", "{'object':{'type':'host','name':'%s%u'}}", name, number),
        "revision");
}

/* Of all kinds, one commit each; the last revision. */
static int64_t
change_much(TestClient *client, const char *name, unsigned number)
{
    int64_t revision = 0;
    g_autofree char *filling = g_strnfill(12000, 'f');
    int64_t person = json_object_get_int_member(
        test_call(client, "object.create", "{'object':{'type':'person','name':'%s'}}", name), "dbid");
    test_call(client, "account.setPassword", "{'dbid':%" INT ",'password':'first'}", person);
    test_call(client, "account.setPassword", "{'dbid':%" INT ",'password':'second'}", person);
    for (unsigned i = 0; i < number; i++) {
        create_host(client, name, i);
        revision = json_object_get_int_member(
            test_call(client, "object.update",
                      "{'type':'host','name':'%s%u','patch':{'annex':{'a':{'k':'%s'}}}}", name, i, filling),
            "revision");
    }
    test_call(client, "permission.update",
              "{'type':'host','name':'%s0','grant':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['read']}]}",
              name, person);
    revision = json_object_get_int_member(
        test_call(client, "object.delete", "{'type':'host','name':'%s1'}", name), "revision");
    return revision;
}

static int64_t
check_number(JsonObject *check, const char *name)
{
    return json_object_get_int_member(check, name);
}

/* Until the history of the server has this revision; what it says of itself then. */
static JsonObject *
wait_history(TestServer *server, TestClient **client, int64_t revision)
{
    *client = test_client_connect(test_server_get_port(server));
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    for (;;) {
        JsonObject *check = test_call(*client, "t-records.check", "{}");
        if (check_number(check, "last") >= revision)
            return check;
        if (g_get_monotonic_time() > until)
            g_error("The history ends at %" INT " instead of %" INT, check_number(check, "last"), revision);
        g_usleep(2000);
    }
}

static void
assert_whole(TestServer *server, int64_t revision, bool caught_up)
{
    g_autoptr(TestClient) client = NULL;
    JsonObject *check = wait_history(server, &client, revision);
    g_assert_cmpint(check_number(check, "last"), ==, revision);
    g_assert_cmpint(check_number(check, "gaps"), ==, 0);
    g_assert_cmpint(check_number(check, "broken"), ==, 0);
    g_assert_cmpint(check_number(check, "caughtUp") > 0, ==, caught_up);
}

/* `plugins` of the primary: with a history of its own, or the database's change records alone. */
static void
check_missed(const char *plugins)
{
    g_autofree char *options = test_plugin_options(plugins, SMALL_RING);
    g_autoptr(TestServer) master = test_primary_new(options);
    g_autoptr(TestServer) proxy = test_proxy_with(master, "px", "t-records", NULL);
    TestClient *writer = test_client_new(master);
    assert_whole(proxy, change_much(writer, "live", 5), false);
    /* Killed: what it missed is more than the ring of the master holds. */
    test_server_signal(proxy, SIGKILL);
    change_much(writer, "missed", 100);
    test_server_start(proxy);
    assert_whole(proxy, create_host(writer, "then", 0), true);
    /* Both killed: the master finds the records where it has stored them. */
    test_server_signal(proxy, SIGKILL);
    int64_t last = change_much(writer, "again", 20);
    test_client_free(writer);
    test_server_signal(master, SIGKILL);
    test_server_start(master);
    test_server_start(proxy);
    assert_whole(proxy, last, true);
    writer = test_client_new(master);
    assert_whole(proxy, create_host(writer, "then", 1), true);
    test_client_free(writer);
}

static void
test_from_database(void)
{
    check_missed("t-commit");
}

static void
test_from_history(void)
{
    check_missed("t-records");
}

/* Commits that come while the walk is under way reach the replica in parts, their records whole. */
static void
test_while_loading(void)
{
    g_autoptr(TestServer) master = test_primary_with("t-commit", NULL);
    g_autoptr(TestServer) proxy = test_proxy_with(master, "px", "t-records", NULL);
    g_autoptr(TestClient) writer = test_client_new(master);
    g_autofree char *filling = g_strnfill(1000, 'f');
    for (unsigned i = 0; i < 20; i++) {
        g_autoptr(GString) operations = g_string_new(NULL);
        for (unsigned j = 0; j < 500; j++)
            g_string_append_printf(
                operations,
                "%s{'op':'create','object':{'type':'host','name':'h%u-%u','annex':{'a':{'k':'%s'}}}}",
                j > 0 ? "," : "", i, j, filling);
        test_call(writer, "transaction", "{'operations':[%s]}", operations->str);
    }
    assert_whole(proxy, create_host(writer, "live", 0), false);
    test_server_signal(proxy, SIGKILL);
    create_host(writer, "missed", 0);
    test_server_spawn(proxy);
    int64_t last = 0;
    unsigned walking = 0;
    for (unsigned i = 0; i < 1200; i++) {
        last = json_object_get_int_member(
            test_call(writer, "object.update",
                      "{'type':'host','name':'h%u-%u','patch':{'annex':{'a':{'k':'%u'}}}}", i % 20, i % 500,
                      i),
            "revision");
        if (i % 100 == 0)
            walking += test_statistic(writer, "replicaSnapshots") == 2;
    }
    test_server_wait_ready(proxy);
    g_assert_cmpuint(walking, >, 0);
    assert_whole(proxy, last, true);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    g_autofree char *digest =
        g_strdup(json_object_get_string_member(test_call(writer, "server.info", "{}"), "digest"));
    test_wait_revision(reader, last);
    g_assert_cmpstr(json_object_get_string_member(test_call(reader, "server.info", "{}"), "digest"), ==,
                    digest);
}

/* A proxy of a proxy gets its records from there. */
static void
test_chained(void)
{
    g_autofree char *options = test_plugin_options("t-records", SMALL_RING);
    g_autoptr(TestServer) master = test_primary_new(options);
    g_autoptr(TestServer) middle = test_proxy_with(master, "middle", "t-records", NULL);
    g_autofree char *host = g_strdup_printf("127.0.0.1:%u", test_server_get_port(middle));
    g_autofree char *own = test_plugin_options("t-records", NULL);
    g_autofree char *file = g_strdup_printf("[csproxy]\n%s", own);
    g_autoptr(TestServer) last = test_proxy_prepare(master, host, "last", file);
    test_server_start(last);
    g_autoptr(TestClient) writer = test_client_new(master);
    assert_whole(last, change_much(writer, "live", 3), false);
    test_server_signal(last, SIGKILL);
    change_much(writer, "missed", 10);
    /* The middle one loads anew meanwhile and has the records of before in its history alone. */
    test_server_signal(middle, SIGKILL);
    int64_t revision = change_much(writer, "again", 10);
    test_server_start(middle);
    test_server_start(last);
    assert_whole(middle, revision, true);
    assert_whole(last, revision, true);
    assert_whole(last, create_host(writer, "then", 0), true);
    assert_whole(middle, check_number(test_call(writer, "object.count", "{}"), "revision"), true);
}

/* A history that could not write for a while is filled at the next return of the link, without a load. */
static void
test_resumed(void)
{
    g_autoptr(TestServer) master = test_primary_with("t-commit", NULL);
    g_autoptr(TestServer) proxy = test_proxy_with(master, "px", "t-records", NULL);
    TestClient *writer = test_client_new(master);
    assert_whole(proxy, create_host(writer, "live", 0), false);
    g_autoptr(TestClient) manager = test_client_connect(test_server_get_port(proxy));
    test_call(manager, "t-records.stick", "{}");
    int64_t lost = create_host(writer, "lost", 0);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    test_wait_revision(reader, lost);
    test_call(manager, "t-records.stick", "{}");
    test_client_free(writer);
    test_server_signal(master, SIGKILL);
    test_server_start(master);
    assert_whole(proxy, lost, true);
    writer = test_client_new(master);
    assert_whole(proxy, create_host(writer, "then", 0), true);
    g_assert_cmpint(test_statistic(reader, "masterSnapshots"), ==, 1);
    test_client_free(writer);
}

/* Clients of a proxy go on from before its restart where the records lead to what it has loaded. */
static void
test_ring_filled(void)
{
    g_autoptr(TestServer) master = test_primary_with("t-commit", NULL);
    g_autoptr(TestServer) proxy = test_proxy_with(master, "px", "t-records", NULL);
    g_autoptr(TestClient) writer = test_client_new(master);
    int64_t known = create_host(writer, "known", 0);
    assert_whole(proxy, known, false);
    test_server_signal(proxy, SIGKILL);
    for (unsigned i = 0; i < 5; i++)
        create_host(writer, "missed", i);
    test_server_start(proxy);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    test_call(reader, "subscription.open", "{'types':['host'],'since':%" INT "}", known);
    for (int64_t i = 1; i <= 5; i++) {
        JsonObject *changes = test_wait_notification(reader, "changes");
        g_assert_cmpint(check_number(changes, "revision"), ==, known + i);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/records/from-database", test_from_database);
    g_test_add_func("/integration/records/from-history", test_from_history);
    g_test_add_func("/integration/records/while-loading", test_while_loading);
    g_test_add_func("/integration/records/chained", test_chained);
    g_test_add_func("/integration/records/resumed", test_resumed);
    g_test_add_func("/integration/records/ring-filled", test_ring_filled);
    return g_test_run();
}
