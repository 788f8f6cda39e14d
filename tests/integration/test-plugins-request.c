/* test-plugins-request.c - hooks `received` and `answered`, methods of plugins, and answers that come
 * later. */
#include "plugins.h"

static JsonObject *
call(TestClient *client, const char *how)
{
    return test_call(client, "t-request.call", "{'how':'%s'}", how);
}

static JsonObject *
call_error(TestClient *client, int code, const char *how)
{
    return test_call_error(client, code, "t-request.call", "{'how':'%s'}", how);
}

static void
test_verdicts(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-request", NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    g_assert_true(json_object_get_boolean_member(call(client, "pass"), "method"));
    g_assert_true(json_object_get_boolean_member(call(client, "answer"), "hook"));
    g_assert_cmpint(json_object_get_int_member(call(client, "answer-twice"), "hook"), ==, 1);
    JsonObject *error = call_error(client, -32009, "answer-error");
    g_assert_cmpstr(test_error_message(error), ==, "Said by the hook");
    g_assert_cmpstr(json_object_get_string_member(json_object_get_object_member(error, "data"), "why"), ==,
                    "so");
    call_error(client, -32603, "answer-nonsense");
    call_error(client, -32603, "done-mutely");
    g_assert_cmpstr(test_error_message(call_error(client, -32005, "refuse")), ==, "refused by a plugin");
    g_assert_cmpstr(test_error_message(call_error(client, -32013, "unavailable")), ==, "somebody is away");
    g_assert_cmpstr(test_error_message(call_error(client, -32603, "fail")), ==, "something is wrong");
    call_error(client, -32603, "refuse-mutely");
    call_error(client, -32603, "later-unsaid");
    call_error(client, -32603, "method-mutely");
    /* A hook behind one that answered is not asked; what it let pass comes to it. */
    g_autofree char *events = test_events(client, "t-request.events");
    g_assert_true(g_str_has_prefix(
        events, "answered session.open 0 without a session; second hook; method; answered t-request.call 0; "
                "answered t-request.call 0; answered t-request.call 0; "
                "answered t-request.call -32009; "));
    test_server_wait_log(server, "gave a text that is no JSON");
    test_server_wait_log(server, "A hook answered CONF_LATER without taking a ConfLater");
}

/* Whatever the JSON of a plugin looks like, it leaves as one line. */
static void
test_answers(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-request", NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    g_assert_cmpint(json_object_get_int_member(test_call(client, "t-request.plain", "{}"), "lines"), ==, 2);
    g_autofree char *large = g_strnfill(3 * 1024 * 1024, 'x');
    JsonObject *echo = test_call(client, "t-request.echo", "{'text':'%s','list':[1,{'a':[]}]}", large);
    g_assert_cmpstr(json_object_get_string_member(echo, "text"), ==, large);
    /* Before log-in only what says so. */
    g_autoptr(TestClient) stranger = test_client_connect(test_server_get_port(server));
    test_call(stranger, "t-request.plain", "{}");
    test_call_error(stranger, -32000, "t-request.echo", "{}");
    test_call_error(stranger, -32000, "t-request.call", "{'how':'answer'}");
    /* A batch is answered as one, hooks or not. */
    static const char batch[] =
        "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"t-request.call\",\"params\":{\"how\":\"later-timer\"}},"
        "{\"jsonrpc\":\"2.0\",\"method\":\"t-request.call\",\"params\":{\"how\":\"later-timer\"}},"
        "{\"jsonrpc\":\"2.0\",\"id\":\"b\",\"method\":\"t-request.call\",\"params\":{\"how\":\"answer\"}}]\n";
    test_client_write(client, batch, strlen(batch));
    g_assert_cmpstr(test_client_read_line(client), ==,
                    "[{\"jsonrpc\":\"2.0\",\"id\":\"b\",\"result\":{\"hook\":true}},"
                    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"later\":true}}]");
}

/* Told of every request once, also of those that reach no method. */
static void
test_answered(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-request", NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    test_assert_events(client, "t-request.events", "answered session.open 0 without a session");
    test_call_error(client, -32601, "no.such", "{}");
    test_call_error(client, -32004, "object.read", "{'type':'host','dbid':77}");
    test_call(client, "object.create", "{'object':{'type':'host','name':'h'}}");
    call(client, "later-timer");
    test_assert_events(
        client, "t-request.events",
        "answered  -32601; answered object.read -32004; answered object.create 0; answered t-request.call 0");
    g_autoptr(TestClient) dropped = test_client_connect(test_server_get_port(server));
    test_send(dropped, "t-request.fatal", "{}");
    test_client_wait_closed(dropped);
    test_assert_events(client, "t-request.events", "answered t-request.fatal 0 without a session");
}

static void
test_later(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-request", NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    g_assert_true(json_object_get_boolean_member(call(client, "later-timer"), "later"));
    g_assert_true(json_object_get_boolean_member(call(client, "later-work"), "later"));
    g_assert_true(json_object_get_boolean_member(call(client, "later-here"), "later"));
    g_assert_true(json_object_get_boolean_member(call(client, "method-later"), "later"));
    g_assert_cmpstr(test_error_message(call_error(client, -32016, "later-refuse")), ==, "refused later");
    call_error(client, -32603, "later-mutely");
    /* After all not its own: the next hook, then the method. */
    g_autofree char *before = test_events(client, "t-request.events");
    g_assert_true(json_object_get_boolean_member(call(client, "later-next"), "method"));
    test_assert_events(client, "t-request.events", "second hook; method; answered t-request.call 0");
    /* Of a method there is no next. */
    call_error(client, -32603, "method-next");
    /* Later ones overtake, as the protocol allows. */
    int64_t first = test_send(client, "t-request.call", "{'how':'later-timer'}");
    int64_t second = test_send(client, "t-request.call", "{'how':'answer'}");
    test_wait_response(client, second);
    g_assert_true(json_object_has_member(test_wait_response(client, first), "result"));
}

static void
test_later_misuse(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-request", NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    g_assert_true(json_object_get_boolean_member(call(client, "later-twice"), "later"));
    test_server_wait_log(server, "It finished a ConfLater twice");
    g_assert_true(json_object_get_boolean_member(call(client, "later-doubly"), "first"));
    g_assert_true(json_object_get_boolean_member(call(client, "later-answered"), "hook"));
    test_server_wait_log(server, "It took a ConfLater of a request that is answered, or put off already");
    g_assert_true(json_object_get_boolean_member(call(client, "answer"), "hook"));
}

static void
test_later_gone(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-request", NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    /* The time is over: answered, gone() told, and finishing later does nothing. */
    JsonObject *error = call_error(client, -32013, "time-out");
    g_assert_cmpstr(test_error_message(error), ==, "The request took too long.");
    g_assert_cmpint(test_statistic(client, "t-request.gone"), ==, 1);
    test_call(client, "t-request.finish", "{}");
    /* The client is gone: likewise, with an error too. */
    static const char *const ways[] = {"answer", "error"};
    for (unsigned i = 0; i < G_N_ELEMENTS(ways); i++) {
        TestClient *other = test_client_new(server);
        test_send(other, "t-request.call", "{'how':'keep'}");
        test_call(client, "object.count", "{}"); /* on the same loop; the other's came before or comes soon */
        test_client_abort(other);
        test_client_free(other);
        test_wait_statistic(client, "t-request.gone", 2 + i);
        test_call(client, "t-request.finish", "{'how':'%s'}", ways[i]);
    }
    /* The session ends while the request is put off. */
    g_autoptr(TestClient) ending = test_client_new(server);
    test_send(ending, "t-request.call", "{'how':'keep'}");
    test_send(ending, "session.close", "{}");
    test_client_wait_closed(ending);
    test_wait_statistic(client, "t-request.gone", 4);
    test_call(client, "t-request.finish", "{}");
}

/* A hook that ends its own connection or session. */
static void
test_drop(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-request", NULL);
    static const char *const ways[] = {"drop", "later-dropped"};
    for (unsigned i = 0; i < G_N_ELEMENTS(ways); i++) {
        g_autoptr(TestClient) client = test_client_new(server);
        test_send(client, "t-request.call", "{'how':'%s'}", ways[i]);
        test_send(client, "t-request.call", "{'how':'answer'}");
        test_client_wait_closed(client);
        g_assert_false(test_client_has_seen(client, "hook"));
    }
    g_autoptr(TestClient) client = test_client_new(server);
    test_send(client, "t-request.call", "{'how':'end'}");
    JsonObject *ending = test_wait_notification(client, "session.ending");
    g_assert_cmpstr(json_object_get_string_member(ending, "reason"), ==, "plugin");
    test_client_wait_closed(client);
    g_autoptr(TestClient) other = test_client_new(server);
    test_wait_statistic(other, "t-request.gone", 1);
    g_assert_cmpint(test_statistic(other, "sessions"), ==, 1);
}

/* Many at once, of which clients go away. */
static void
test_many(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-request", NULL);
    static const char *const ways[] = {"later-work", "later-timer", "later-next",
                                       "answer",     "refuse",      "later-refuse"};
    TestClient *clients[20];
    for (unsigned i = 0; i < G_N_ELEMENTS(clients); i++) {
        clients[i] = test_client_new(server);
        for (unsigned k = 0; k < 60; k++)
            test_send(clients[i], "t-request.call", "{'how':'%s'}", ways[(i + k) % G_N_ELEMENTS(ways)]);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(clients); i += 2) {
        test_client_abort(clients[i]);
        test_client_free(clients[i]);
    }
    for (unsigned i = 1; i < G_N_ELEMENTS(clients); i += 2) {
        test_sync(clients[i]);
        test_client_free(clients[i]);
    }
}

/* Members that a plugin understands are let through, and it puts its own into the answer. */
static void
test_params(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-request", NULL);
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    test_call_error(client, -32602, "session.open",
                    "{'user':'default','password':'" TEST_PASSWORD "','application':'confctl','t-other':1}");
    /* What is added to an answer does not come with an error. */
    JsonObject *error = test_call_error(client, -32001, "session.open",
                                        "{'user':'default','password':'no',"
                                        "'application':'confctl','t-extra':3}");
    g_assert_false(json_object_has_member(error, "t-extra"));
    JsonObject *opened =
        test_call(client, "session.open",
                  "{'user':'default','password':'" TEST_PASSWORD "','application':'confctl','t-extra':4}");
    g_assert_true(json_object_has_member(opened, "session"));
    g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(opened, "t-extra"), "doubled"),
                    ==, 8);
    test_call_error(client, -32602, "object.read", "{'type':'tenant','dbid':1,'t-extra':4}");
    g_autofree char *events = test_events(client, "t-request.events");
    g_assert_nonnull(strstr(events, "session.open with 3; answered session.open -32001 without a session; "
                                    "session.open with 4; answered session.open 0 without a session;"));
    /* Without the plugin nobody understands them. */
    g_autoptr(TestServer) plain = test_primary_new(NULL);
    g_autoptr(TestClient) other = test_client_connect(test_server_get_port(plain));
    test_call_error(other, -32602, "session.open",
                    "{'user':'default','password':'" TEST_PASSWORD "','application':'confctl','t-extra':4}");
}

/* The same on the link to the master, where this server is the one that asks. */
static void
test_params_upstream(void)
{
    g_autoptr(TestServer) master = test_primary_with("t-request", NULL);
    g_autoptr(TestServer) proxy = test_proxy_with(master, "p1", "t-request", NULL);
    g_autoptr(TestClient) on_master = test_client_new(master);
    g_autoptr(TestClient) on_proxy = test_client_new(proxy);
    g_autofree char *asked = test_events(on_master, "t-request.events");
    g_assert_nonnull(strstr(asked, "session.open with 21;"));
    g_assert_nonnull(strstr(asked, "replica.open with 4;"));
    g_autofree char *answered = test_events(on_proxy, "t-request.events");
    g_assert_nonnull(
        strstr(answered, "answered upstream: {\"doubled\":42}; answered upstream: {\"doubled\":8};"));
    test_server_wait_log(proxy, "It added a member of params that is none, or there already");
    /* After a loss of the link the next one asks anew. */
    test_server_signal(master, SIGKILL);
    test_server_start(master);
    g_autofree char *again = test_wait_event(on_proxy, "t-request.events", "{\"doubled\":8}");
    g_assert_nonnull(strstr(again, "answered upstream: {\"doubled\":42};"));
}

/* What plugins keep is finished before a server that is asked to stop ends: it is an answer in flight. */
static void
test_stop(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-request", NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    static const char *const ways[] = {"keep", "later-timer", "later-work"};
    for (unsigned i = 0; i < G_N_ELEMENTS(ways); i++)
        test_send(client, "t-request.call", "{'how':'%s'}", ways[i]);
    test_sync(client);
    kill(test_server_get_pid(server), SIGTERM);
    unsigned later = 0, stopped = 0;
    const char *line, *last = NULL;
    g_autofree char *kept = NULL;
    while ((line = test_client_read_line(client)) != NULL) {
        later += strstr(line, "\"later\":true") != NULL ? 1 : 0;
        stopped += strstr(line, "\"stopped\":true") != NULL ? 1 : 0;
        g_free(kept);
        last = kept = g_strdup(line);
    }
    g_assert_cmpuint(stopped, ==, 1);
    g_assert_nonnull(strstr(last, "session.ending"));
    g_assert_cmpint(test_server_wait_exit(server), ==, 0);
    (void)later;
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/plugins/request/verdicts", test_verdicts);
    g_test_add_func("/integration/plugins/request/answers", test_answers);
    g_test_add_func("/integration/plugins/request/answered", test_answered);
    g_test_add_func("/integration/plugins/request/later", test_later);
    g_test_add_func("/integration/plugins/request/later-misuse", test_later_misuse);
    g_test_add_func("/integration/plugins/request/later-gone", test_later_gone);
    g_test_add_func("/integration/plugins/request/drop", test_drop);
    g_test_add_func("/integration/plugins/request/many", test_many);
    g_test_add_func("/integration/plugins/request/params", test_params);
    g_test_add_func("/integration/plugins/request/params-upstream", test_params_upstream);
    g_test_add_func("/integration/plugins/request/stop", test_stop);
    return g_test_run();
}
