/* test-access.c - sessions end with the right they stand on; a stream to a replica takes the right to run
 * that server, and holds no more than its account may read. */
#include "fixture.h"

#include <string.h>

#define INT G_GINT64_FORMAT

static void
expect_ending(TestClient *client, const char *reason)
{
    const char *method = NULL;
    JsonObject *params;
    test_client_wait_closed(client);
    while ((params = test_take_notification(client, &method)) != NULL &&
           strcmp(method, "session.ending") != 0)
        ;
    g_assert_nonnull(params);
    g_assert_cmpstr(json_object_get_string_member(params, "reason"), ==, reason);
    g_assert_null(test_take_notification(client, NULL)); /* It is the last line. */
}

static int64_t
answered_revision(TestClient *client, int64_t id)
{
    JsonObject *response = test_wait_response(client, id);
    g_assert_true(json_object_has_member(response, "result"));
    return json_object_get_int_member(json_object_get_object_member(response, "result"), "revision");
}

/* Hashing takes its time in the pool; what was sent after it is committed after it all the same, also
 * where more is sent than may wait, and where one of them fails. */
static void
test_writes_in_order(void)
{
    enum { PERSONS = 6, HOSTS = 160 };
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t persons[PERSONS], ids[PERSONS + HOSTS], last = 0;
    for (unsigned i = 0; i < PERSONS; i++) {
        JsonObject *created =
            test_call(admin, "object.create", "{'object':{'type':'person','name':'p%u'}}", i);
        persons[i] = json_object_get_int_member(created, "dbid");
    }
    for (unsigned i = 0; i < PERSONS; i++)
        ids[i] =
            test_send(admin, "account.setPassword", "{'dbid':%" INT ",'password':'pw%u'}", persons[i], i);
    int64_t refused = test_send(admin, "account.setPassword", "{'dbid':%" INT ",'password':''}", persons[0]);
    for (unsigned i = PERSONS; i < PERSONS + HOSTS; i++) {
        if (i % 50 == 0)
            ids[i] = test_send(admin, "account.setPassword", "{'dbid':%" INT ",'password':'x'}",
                               persons[i % PERSONS]);
        else
            ids[i] = test_send(admin, "object.create", "{'object':{'type':'host','name':'h%u'}}", i);
    }
    /* It needs no waiting. */
    JsonObject *response = test_wait_response(admin, refused);
    g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(response, "error"), "code"), ==,
                    -32602);
    for (unsigned i = 0; i < PERSONS + HOSTS; i++) {
        int64_t revision = answered_revision(admin, ids[i]);
        g_assert_cmpint(revision, >, last);
        last = revision;
    }
}

static void
test_sessions_end(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t person = test_person_new(admin, "worker");
    /* One's own change keeps the session that made it alone. */
    g_autoptr(TestClient) own = test_client_new_as(server, "worker", "pw", "confctl");
    g_autoptr(TestClient) other = test_client_new_as(server, "worker", "pw", "confctl");
    test_call_error(own, -32001, "session.changePassword", "{'old':'wrong','new':'pw2'}");
    test_call(own, "session.changePassword", "{'old':'pw','new':'pw2'}");
    expect_ending(other, "account");
    test_call(own, "object.count", "{}");
    /* One from outside ends all, and the next log-in must change it before anything else. */
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'pw3','mustChange':true}", person);
    expect_ending(own, "account");
    g_autoptr(TestClient) forced = test_client_new_as(server, "worker", "pw3", "confctl");
    test_call_error(forced, -32015, "object.count", "{}");
    test_call_error(forced, -32015, "subscription.open", "{}");
    test_call(forced, "session.changePassword", "{'old':'pw3','new':'pw4'}");
    test_call(forced, "object.count", "{}");
    /* The right to run the application; also of a session that is not connected. */
    g_autoptr(TestClient) broken = test_client_new_as(server, "worker", "pw4", "confctl");
    g_autofree char *token =
        g_strdup(json_object_get_string_member(test_client_get_session(broken), "session"));
    test_client_abort(broken);
    test_wait_statistic(admin, "sessionsBroken", 1);
    test_call(admin, "permission.update",
              "{'type':'application','name':'confctl','revoke':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['execute']}]}",
              person);
    expect_ending(forced, "account");
    g_autoptr(TestClient) late = test_client_connect(test_server_get_port(server));
    test_call_error(late, -32003, "session.resume", "{'session':'%s','environment':'x','revision':1}", token);
    test_call_error(late, -32001, "session.open",
                    "{'user':'worker','password':'pw4','application':'confctl'}");
}

static void
test_server_application_once(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    test_call(admin, "object.create",
              "{'object':{'type':'application','name':'urs','applicationType':'genericServer'}}");
    g_autoptr(TestClient) first = test_client_new_as(server, "default", TEST_PASSWORD, "urs");
    g_autoptr(TestClient) second = test_client_connect(test_server_get_port(server));
    test_call_error(second, -32016, "session.open", "{'user':'default','password':'%s','application':'urs'}",
                    TEST_PASSWORD);
    test_call(second, "session.open", "{'user':'default','password':'%s','application':'urs','replace':true}",
              TEST_PASSWORD);
    expect_ending(first, "replaced");
    test_call(admin, "object.update", "{'type':'application','name':'urs','patch':{'state':'disabled'}}");
    expect_ending(second, "account");
}

static void
test_replica_rights(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    test_call(admin, "object.create",
              "{'object':{'type':'application','name':'px','applicationType':'configurationServer'}}");
    int64_t person = test_person_new(admin, "curious");
    g_autoptr(TestClient) curious = test_client_new_as(server, "curious", "pw", "confctl");
    /* The right to run a client is none to the stream, and what one may not read is not there. */
    test_call_error(curious, -32602, "replica.open",
                    "{'application':'confctl','role':'proxy','release':'x'}");
    test_call_error(curious, -32602, "replica.open", "{'application':'px','role':'proxy','release':'x'}");
    test_call(admin, "permission.update",
              "{'type':'application','name':'px','grant':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['read']}]}",
              person);
    test_call_error(curious, -32005, "replica.open", "{'application':'px','role':'proxy','release':'x'}");
    test_call_error(curious, -32005, "replica.object", "{'type':'person','dbid':%" INT "}", person);
    test_call(admin, "permission.update",
              "{'type':'application','name':'px','grant':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['execute']}]}",
              person);
    test_call(admin, "object.create", "{'object':{'type':'host','name':'not-for-the-curious'}}");
    test_call(curious, "replica.open", "{'application':'px','role':'proxy','release':'x'}");
    test_wait_notification(curious, "replica.loaded");
    test_call_error(curious, -32600, "subscription.open", "{}");
    /* Neither objects nor secrets nor who did it. */
    test_call(admin, "object.update",
              "{'type':'host','name':'not-for-the-curious','patch':{'address':'hidden-address'}}");
    JsonObject *changes = test_wait_notification(curious, "replica.changes");
    g_assert_cmpint(json_array_get_length(json_object_get_array_member(changes, "changes")), ==, 0);
    g_assert_false(json_object_has_member(json_object_get_object_member(changes, "by"), "user"));
    g_assert_true(json_object_has_member(json_object_get_object_member(changes, "by"), "application"));
    g_assert_false(test_client_has_seen(curious, "not-for-the-curious"));
    g_assert_false(test_client_has_seen(curious, "hidden-address"));
    g_assert_false(test_client_has_seen(curious, "$y$"));
    /* Another holder displaces it; with the right of an administrator it gets secrets, on loopback. */
    test_call(admin, "replica.open", "{'application':'px','role':'proxy','release':'x'}");
    expect_ending(curious, "replaced");
    test_wait_notification(admin, "replica.loaded");
    g_assert_true(test_client_has_seen(admin, "$y$"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/access/writes-in-order", test_writes_in_order);
    g_test_add_func("/integration/access/sessions-end", test_sessions_end);
    g_test_add_func("/integration/access/server-application-once", test_server_application_once);
    g_test_add_func("/integration/access/replica-rights", test_replica_rights);
    return g_test_run();
}
