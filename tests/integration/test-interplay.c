/* test-interplay.c - requests and events that cross: what is pending on a connection while it breaks, is
 * displaced, or more comes in the same batch; streams whose pace other options set; a server that stops
 * while somebody waits. */
#include <string.h>

#include "fixture.h"

/* A host of about 60 KB. */
static void
make_large_hosts(TestClient *client, unsigned count)
{
    g_autofree char *text = g_strnfill(60000, 'x');
    for (unsigned i = 0; i < count; i++)
        test_call(client, "object.create",
                  "{'object':{'type':'host','name':'large%u','annex':{'section':{'key':'%s'}}}}", i, text);
}

/* The token of a session of `default` whose connection is gone. */
static char *
break_session(TestServer *server, TestClient *other, char **environment)
{
    TestClient *broken = test_client_new(server);
    char *token = test_client_dup_token(broken);
    *environment = test_client_dup_environment(broken);
    test_client_free(broken);
    test_wait_statistic(other, "sessionsBroken", 1);
    return token;
}

static int64_t
revision_now(TestClient *client)
{
    return json_object_get_int_member(test_call(client, "object.count", "{'type':'host'}"), "revision");
}

/* Writes the lines ' as ", and answers the codes of the batch's answers in the order of their ids 1, 2 (0:
 * a result). */
static void
run_batch(TestClient *client, const char *text, int codes[2])
{
    g_autoptr(GString) line = g_string_new(text);
    g_string_replace(line, "'", "\"", 0);
    g_string_append_c(line, '\n');
    test_client_write(client, line->str, line->len);
    const char *answer;
    do
        answer = test_client_read_line(client);
    while (answer != NULL && answer[0] != '[');
    g_assert_nonnull(answer);
    g_autoptr(JsonParser) parser = json_parser_new();
    g_assert_true(json_parser_load_from_data(parser, answer, -1, NULL));
    JsonArray *array = json_node_get_array(json_parser_get_root(parser));
    g_assert_cmpuint(json_array_get_length(array), ==, 2);
    for (unsigned i = 0; i < 2; i++) {
        JsonObject *one = json_array_get_object_element(array, i);
        bool failed = json_object_has_member(one, "error");
        codes[json_object_get_int_member(one, "id") - 1] =
            failed ? (int)json_object_get_int_member(json_object_get_object_member(one, "error"), "code") : 0;
    }
}

/* A session that was a replica's and is resumed as a plain one: its output runs full and drains again. */
static void
test_resume_replica_session(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) other = test_client_new(server);
    make_large_hosts(other, 20);
    test_call(other, "object.create",
              "{'object':{'type':'application','name':'proxy1','applicationType':'configurationServer'}}");
    TestClient *replica = test_client_new(server);
    g_autofree char *token = test_client_dup_token(replica),
                    *environment = test_client_dup_environment(replica);
    test_call(replica, "replica.open", "{'application':'proxy1','role':'proxy','release':'0'}");
    test_client_free(replica);
    test_wait_statistic(other, "sessionsBroken", 1);
    g_autoptr(TestClient) resumed = test_client_connect(test_server_get_port(server));
    test_call(resumed, "session.resume",
              "{'session':'%s','environment':'%s','revision':%" G_GINT64_FORMAT "}", token, environment,
              revision_now(other));
    JsonObject *page = test_call(resumed, "object.list", "{'type':'host'}");
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(page, "objects")), >, 10);
    test_sync(resumed);
}

/* A connection has one session, also where one that is to be resumed waits for its revision. */
static void
test_open_behind_resume(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) other = test_client_new(server);
    g_autofree char *environment = NULL;
    g_autofree char *token = break_session(server, other, &environment);
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    g_autofree char *batch = g_strdup_printf(
        "[{'jsonrpc':'2.0','id':1,'method':'session.resume','params':{'session':'%s','environment':'%s','revision':%" G_GINT64_FORMAT
        "}},{'jsonrpc':'2.0','id':2,'method':'session.open','params':{'user':'default','password':'%s',"
        "'application':'confctl'}}]",
        token, environment, revision_now(other) + 1, TEST_PASSWORD);
    g_autoptr(GString) line = g_string_new(batch);
    g_string_replace(line, "'", "\"", 0);
    g_string_append_c(line, '\n');
    test_client_write(client, line->str, line->len);
    /* The other one's write lets the resumption go on. */
    g_autoptr(TestClient) late = test_client_new(server);
    test_call(late, "object.create", "{'object':{'type':'host','name':'h'}}");
    int codes[2];
    run_batch(client, "", codes);
    g_assert_cmpint(codes[0], ==, 0);
    g_assert_cmpint(codes[1], ==, -32600);
    g_assert_cmpint(test_statistic(other, "sessions"), ==, 3);
}

/* What stands behind the opening in the same batch is not kept back by it. */
static void
test_close_behind_since(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    test_call(client, "object.create", "{'object':{'type':'host','name':'h'}}");
    int codes[2];
    run_batch(client,
              "[{'jsonrpc':'2.0','id':1,'method':'subscription.open','params':{'since':1}},"
              "{'jsonrpc':'2.0','id':2,'method':'subscription.close','params':{'subscription':1}}]",
              codes);
    g_assert_cmpint(codes[0], ==, 0);
    g_assert_cmpint(codes[1], ==, 0);
    test_sync(client);
    g_assert_cmpint(test_statistic(client, "subscriptions"), ==, 0);
}

/* A resumption and a read that wait for a revision when the server stops. */
static void
test_stop_while_waiting(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) other = test_client_new(server);
    g_autofree char *environment = NULL;
    g_autofree char *token = break_session(server, other, &environment);
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    int64_t ahead = revision_now(other) + 100;
    test_send(client, "session.resume", "{'session':'%s','environment':'%s','revision':%" G_GINT64_FORMAT "}",
              token, environment, ahead);
    test_send(other, "object.read",
              "{'type':'tenant','dbid':1,'minRevision':%" G_GINT64_FORMAT ",'timeout':60}", ahead);
    test_call(other, "object.count", "{'type':'host'}");
    test_server_signal(server, SIGTERM);
    g_assert_cmpint(test_server_wait_exit(server), ==, 0);
}

/* A server application is connected once, however its older session comes back. */
static void
test_resume_displaced_application(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) other = test_client_new(server);
    test_call(other, "object.create",
              "{'object':{'type':'application','name':'msg','applicationType':'messageServer'}}");
    TestClient *first = test_client_new_as(server, "default", TEST_PASSWORD, "msg");
    g_autofree char *token = test_client_dup_token(first), *environment = test_client_dup_environment(first);
    test_client_free(first);
    test_wait_statistic(other, "sessionsBroken", 1);
    g_autoptr(TestClient) second = test_client_new_as(server, "default", TEST_PASSWORD, "msg");
    g_autoptr(TestClient) back = test_client_connect(test_server_get_port(server));
    test_call_error(back, -32003, "session.resume", "{'session':'%s','environment':'%s','revision':1}", token,
                    environment);
    test_sync(second);
}

/* Whatever the limit of queues, a stream goes on when a socket that was full has taken what was there. */
static void
test_stream_with_large_queue(void)
{
    g_autoptr(TestServer) server = test_primary_new("max-client-output-queue-size = 64000000\n");
    g_autoptr(TestClient) other = test_client_new(server);
    make_large_hosts(other, 400);
    test_call(other, "object.create",
              "{'object':{'type':'application','name':'proxy1','applicationType':'configurationServer'}}");
    g_autoptr(TestClient) replica = test_client_new(server);
    test_send(replica, "replica.open", "{'application':'proxy1','role':'proxy','release':'0'}");
    test_wait_statistic(other, "queueBytes", 1000000);
    test_wait_notification(replica, "replica.loaded");
    unsigned objects = 0;
    const char *method = NULL;
    JsonObject *params;
    while ((params = test_take_notification(replica, &method)) != NULL) {
        if (strcmp(method, "replica.objects") == 0)
            objects += json_array_get_length(json_object_get_array_member(params, "objects"));
    }
    g_assert_cmpuint(objects, >, 400);
}

/* One transaction takes a person out of a group and gives that group a right: neither before nor after may
 * the person read, so nothing is told, least of all that something went. */
static void
test_group_and_list_at_once(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    JsonObject *users = test_call(admin, "object.read", "{'type':'accessGroup','name':'Users'}");
    int64_t users_dbid = json_object_get_int_member(json_object_get_object_member(users, "object"), "dbid");
    JsonObject *root = test_call(admin, "object.read", "{'path':'/Environment/Hosts'}");
    int64_t hosts = json_object_get_int_member(json_object_get_object_member(root, "object"), "dbid");
    int64_t person = json_object_get_int_member(
        test_call(admin, "object.create", "{'object':{'type':'person','name':'anna'}}"), "dbid");
    test_call(admin, "account.setPassword", "{'dbid':%" G_GINT64_FORMAT ",'password':'secret of anna'}",
              person);
    test_call(admin, "object.update",
              "{'type':'accessGroup','dbid':%" G_GINT64_FORMAT ",'add':{'members':[%" G_GINT64_FORMAT "]}}",
              users_dbid, person);
    int64_t group = json_object_get_int_member(
        test_call(admin, "object.create",
                  "{'object':{'type':'accessGroup','name':'night shift','members':[%" G_GINT64_FORMAT "]}}",
                  person),
        "dbid");
    int64_t folder = json_object_get_int_member(
        test_call(admin, "object.create",
                  "{'object':{'type':'folder','name':'vault','folder':%" G_GINT64_FORMAT "}}", hosts),
        "dbid");
    JsonObject *super =
        test_call(admin, "object.read", "{'type':'accessGroup','name':'Super Administrators'}");
    int64_t super_dbid = json_object_get_int_member(json_object_get_object_member(super, "object"), "dbid");
    g_autofree char *own = g_strdup_printf(
        "{'account':{'type':'accessGroup','dbid':%" G_GINT64_FORMAT "},'rights':['read','create',"
        "'change','execute','delete','readPermissions','changePermissions']}",
        super_dbid);
    test_call(admin, "permission.update", "{'type':'folder','dbid':%" G_GINT64_FORMAT ",'entries':[%s]}",
              folder, own);
    test_call(admin, "object.create",
              "{'object':{'type':'host','name':'hidden-treasure','folder':%" G_GINT64_FORMAT "}}", folder);
    g_autoptr(TestClient) anna = test_client_new_as(server, "anna", "secret of anna", "confctl");
    test_call(anna, "subscription.open", "{}");
    test_call(admin, "transaction",
              "{'operations':[{'op':'permission','type':'folder','dbid':%" G_GINT64_FORMAT
              ",'entries':[%s,{'account':{'type':"
              "'accessGroup','dbid':%" G_GINT64_FORMAT
              "},'rights':['read']}]},{'op':'update','type':'accessGroup','dbid':%" G_GINT64_FORMAT
              ",'remove':{'members':[%" G_GINT64_FORMAT "]}}]}",
              folder, own, group, group, person);
    test_sync(anna);
    g_assert_false(test_client_has_seen(anna, "hidden-treasure"));
    g_assert_false(test_client_has_seen(anna, "vault"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/interplay/resume-replica-session", test_resume_replica_session);
    g_test_add_func("/integration/interplay/open-behind-resume", test_open_behind_resume);
    g_test_add_func("/integration/interplay/close-behind-since", test_close_behind_since);
    g_test_add_func("/integration/interplay/stop-while-waiting", test_stop_while_waiting);
    g_test_add_func("/integration/interplay/resume-displaced-application", test_resume_displaced_application);
    g_test_add_func("/integration/interplay/stream-with-large-queue", test_stream_with_large_queue);
    g_test_add_func("/integration/interplay/group-and-list-at-once", test_group_and_list_at_once);
    return g_test_run();
}
