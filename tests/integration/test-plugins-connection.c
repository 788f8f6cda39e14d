/* test-plugins-connection.c - hooks of connections, what plugins keep on them, silence, options, and
 * requests that the server sends. */
#include "plugins.h"

static int64_t
id_of(const char *line)
{
    g_autoptr(JsonNode) node = json_from_string(line, NULL);
    g_assert_nonnull(node);
    return json_object_get_int_member(json_node_get_object(node), "id");
}

/* The server's own request on this connection: its id. */
static int64_t
wait_request(TestClient *client, const char *method)
{
    const char *line = test_client_read_line(client);
    g_assert_nonnull(line);
    g_assert_nonnull(strstr(line, method));
    return id_of(line);
}

static void G_GNUC_PRINTF(2, 3) write_line(TestClient *client, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_strdelimit(text, "'", '"');
    test_client_write(client, text, strlen(text));
}

static void
test_life(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-connection", NULL);
    g_autoptr(TestClient) manager = test_manager_new(server);
    test_call(manager, "t-connection.data", "{}");
    g_autofree char *before = test_events(manager, "t-connection.events");
    TestClient *client = test_client_connect(test_server_get_port(server));
    JsonObject *seen = test_call(client, "t-connection.describe", "{}");
    g_assert_false(json_object_get_boolean_member(seen, "outgoing"));
    g_assert_true(json_object_get_boolean_member(seen, "loopback"));
    g_assert_false(json_object_get_boolean_member(seen, "encrypted"));
    g_assert_true(json_object_get_boolean_member(seen, "heardJustNow"));
    g_assert_cmpint(json_object_get_int_member(seen, "waiting"), ==, 0);
    int64_t acknowledged = json_object_get_int_member(seen, "acknowledged");
    g_assert_true(json_object_get_boolean_member(seen, "data"));
    g_assert_cmpstr(json_object_get_string_member(seen, "address"), ==, "127.0.0.1");
    g_assert_true(g_str_has_prefix(json_object_get_string_member(seen, "peer"), "127.0.0.1:"));
    g_assert_cmpstr(json_object_get_string_member(seen, "port"), ==, "default");
    g_assert_cmpstr(json_object_get_string_member(seen, "host"), ==, "");
    g_assert_true(json_object_get_null_member(seen, "subject"));
    int64_t id = json_object_get_int_member(seen, "id");
    /* The answer itself was taken. */
    seen = test_call(client, "t-connection.describe", "{}");
    g_assert_cmpint(json_object_get_int_member(seen, "acknowledged"), >, acknowledged + 100);
    test_client_free(client);
    g_autofree char *events = test_wait_event(manager, "t-connection.events", "freed");
    g_assert_cmpstr(events, ==,
                    "accepted default; transport default; opened default; closed with its data; freed");
    /* What is taken away is freed at once. */
    g_autoptr(TestClient) other = test_client_connect(test_server_get_port(server));
    g_assert_cmpint(json_object_get_int_member(test_call(other, "t-connection.describe", "{}"), "id"), !=,
                    id);
    test_call(other, "t-connection.data", "{}");
    test_assert_events(manager, "t-connection.events",
                       "accepted default; transport default; opened default; freed");
    g_assert_false(json_object_get_boolean_member(test_call(other, "t-connection.describe", "{}"), "data"));
    /* What is open when the server stops is told as well, before unload(): the sanitizer sees to the rest. */
}

static void
test_refuse(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-connection", NULL);
    g_autoptr(TestClient) manager = test_manager_new(server);
    test_call(manager, "t-connection.set", "{'refuse':'default'}");
    g_autofree char *before = test_events(manager, "t-connection.events");
    for (unsigned i = 0; i < 3; i++) {
        g_autoptr(TestClient) refused = test_client_connect(test_server_get_port(server));
        test_client_wait_closed(refused);
    }
    /* No further hook but closed: the connection never opened. */
    g_autofree char *events = test_events(manager, "t-connection.events");
    g_assert_true(g_str_has_prefix(
        events, "accepted default; closed; accepted default; closed; accepted default; closed"));
    test_call(manager, "t-connection.set", "{}");
    g_autoptr(TestClient) client = test_client_new(server);
    g_assert_cmpint(test_statistic(client, "sessions"), ==, 1);
}

/* Every hook may end its own connection. */
static void
test_drop(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-connection", NULL);
    g_autoptr(TestClient) manager = test_manager_new(server);
    static const char *const hooks[] = {"accepted", "transport", "opened", "closed"};
    for (unsigned i = 0; i < G_N_ELEMENTS(hooks); i++) {
        test_call(manager, "t-connection.set", "{'drop':'%s'}", hooks[i]);
        g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
        if (i == 3)
            test_send(client, "t-connection.drop", "{}");
        test_client_wait_closed(client);
    }
    test_call(manager, "t-connection.set", "{}");
    g_autofree char *events = test_events(manager, "t-connection.events");
    g_assert_null(strstr(events, "took a message"));
    g_autoptr(TestClient) client = test_client_new(server);
    /* By a method: the answer is thrown away with the rest. */
    test_send(client, "t-connection.drop", "{}");
    test_client_wait_closed(client);
}

/* Behaviour only, at a number where a list of timers or descriptors would show. */
static void
test_idle(void)
{
    enum { CLIENTS = 2000 };
    g_autoptr(TestServer) server = test_primary_with("t-connection", "login-timeout = 600");
    g_autoptr(TestClient) manager = test_manager_new(server);
    test_call(manager, "t-connection.set", "{'watch':300}");
    TestClient *clients[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i] = test_client_connect(test_server_get_port(server));
    test_wait_statistic(manager, "t-connection.opened", CLIENTS + 1);
    test_call(manager, "t-connection.set", "{}");
    /* Each is told of its own silence, again and again. */
    for (unsigned i = 0; i < CLIENTS; i++) {
        JsonObject *first = test_wait_notification(clients[i], "t-connection.idle");
        int64_t quiet = json_object_get_int_member(first, "quiet");
        g_assert_cmpint(quiet, >=, 300);
        if (i % 100 == 0) {
            JsonObject *second = test_wait_notification(clients[i], "t-connection.idle");
            g_assert_cmpint(json_object_get_int_member(second, "quiet"), >=, quiet + 300);
        }
    }
    /* One that ends its watch is left in peace, one that sets another time has it from now on. */
    test_call(clients[0], "t-connection.watch", "{'ms':0}");
    test_call(clients[1], "t-connection.watch", "{'ms':600000}");
    while (test_has_notification(clients[0], "t-connection.idle") ||
           test_has_notification(clients[1], "t-connection.idle")) {
        test_take_notification(clients[0], NULL);
        test_take_notification(clients[1], NULL);
    }
    test_wait_notification(clients[2], "t-connection.idle");
    test_call(clients[2], "t-connection.watch", "{'ms':300}");
    while (test_has_notification(clients[2], "t-connection.idle"))
        test_take_notification(clients[2], NULL);
    test_wait_notification(clients[2], "t-connection.idle");
    g_assert_false(test_has_notification(clients[0], "t-connection.idle"));
    g_assert_false(test_has_notification(clients[1], "t-connection.idle"));
    /* A plugin that ends those that are silent. */
    test_call(manager, "t-connection.set", "{'drop':'idle'}");
    for (unsigned i = 2; i < CLIENTS; i++)
        test_client_wait_closed(clients[i]);
    test_sync(clients[0]);
    for (unsigned i = 0; i < CLIENTS; i++)
        test_client_free(clients[i]);
}

/* Requests that the server sends to a client, and what may come back. */
static void
test_send_to_client(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-connection", NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    int64_t id = test_send(client, "t-connection.send", "{'method':'x.ask','params':'{\\'a\\':[1]}'}");
    (void)id;
    const char *line = test_client_read_line(client);
    g_assert_nonnull(strstr(line, "\"method\":\"x.ask\",\"params\":{\"a\":[1]}}"));
    int64_t asked = id_of(line);
    /* Answers to questions that were not asked. */
    write_line(client, "{'jsonrpc':'2.0','id':%" G_GINT64_FORMAT ",'result':{}}\n", asked + 1000);
    write_line(client, "{'jsonrpc':'2.0','id':'%" G_GINT64_FORMAT "','result':{}}\n", asked);
    write_line(client, "{'jsonrpc':'2.0','id':null,'error':{'code':1}}\n");
    write_line(client, "{'jsonrpc':'2.0','id':-%" G_GINT64_FORMAT ",'result':{}}\n", asked);
    write_line(client, "{'jsonrpc':'2.0','id':%" G_GINT64_FORMAT ",'result':{'b':2}}\n", asked);
    write_line(client, "{'jsonrpc':'2.0','id':%" G_GINT64_FORMAT ",'result':{'b':3}}\n", asked);
    g_assert_nonnull(
        strstr(test_client_read_line(client), "\"result\":{\"result\":{\"b\":2},\"error\":null}"));
    /* An error of the client's is one. */
    test_send(client, "t-connection.send", "{'method':'x.ask','params':'{}'}");
    asked = wait_request(client, "x.ask");
    write_line(client, "{'jsonrpc':'2.0','id':%" G_GINT64_FORMAT ",'error':{'code':-5,'message':'no'}}\n",
               asked);
    g_assert_nonnull(strstr(test_client_read_line(client),
                            "\"result\":{\"result\":null,\"error\":{\"code\":-5,\"message\":\"no\"}}"));
    /* None in time; what comes then is too late. */
    test_send(client, "t-connection.send", "{'method':'x.ask','params':'{}','timeout':30}");
    asked = wait_request(client, "x.ask");
    g_assert_nonnull(strstr(test_client_read_line(client), "\"result\":{\"result\":null,\"error\":null}"));
    write_line(client, "{'jsonrpc':'2.0','id':%" G_GINT64_FORMAT ",'result':{}}\n", asked);
    /* Params that are no JSON are not sent. */
    test_call_error(client, -32602, "t-connection.send", "{'method':'x.ask','params':'{nonsense'}");
    g_assert_false(json_object_get_boolean_member(
        test_call(client, "t-connection.notify", "{'method':'x.word','params':'nonsense'}"), "sent"));
    test_call(client, "t-connection.notify", "{'method':'x.word','params':'{}'}");
    test_wait_notification(client, "x.word");
    /* The client goes: the plugin is told, once. */
    g_autoptr(TestClient) manager = test_manager_new(server);
    g_autofree char *before = test_events(manager, "t-connection.events");
    g_autoptr(TestClient) leaving = test_client_new(server);
    test_send(leaving, "t-connection.send", "{'method':'x.ask','params':'{}'}");
    wait_request(leaving, "x.ask");
    test_client_abort(leaving);
    g_autofree char *events = test_wait_event(manager, "t-connection.events", "closed");
    g_assert_nonnull(strstr(events, "answered; closed with its data"));
}

/* Both ends of the link to the master, as a keep-alive needs it. */
static void
test_send_on_link(void)
{
    g_autoptr(TestServer) master = test_primary_with("t-connection", NULL);
    g_autoptr(TestServer) proxy = test_proxy_with(master, "p1", "t-connection", NULL);
    g_autoptr(TestClient) on_master = test_client_new(master);
    g_autoptr(TestClient) on_proxy = test_client_new(proxy);
    JsonObject *answer =
        json_object_get_object_member(test_call(on_proxy, "t-connection.send",
                                                "{'of':'master','method':'t-connection.poll','params':'{}'}"),
                                      "result");
    g_assert_false(json_object_get_boolean_member(answer, "outgoing"));
    g_assert_true(json_object_get_boolean_member(answer, "session"));
    int64_t revision = json_object_get_int_member(answer, "revision");
    g_assert_cmpint(revision, >, 1);
    answer = json_object_get_object_member(
        test_call(on_master, "t-connection.send",
                  "{'of':'replica','method':'t-connection.poll','params':'{}'}"),
        "result");
    g_assert_true(json_object_get_boolean_member(answer, "outgoing"));
    g_assert_false(json_object_get_boolean_member(answer, "session"));
    g_assert_cmpint(json_object_get_int_member(answer, "revision"), ==, revision);
    /* A method that the other side does not have. */
    JsonObject *error = json_object_get_object_member(
        test_call(on_master, "t-connection.send", "{'of':'replica','method':'no.such','params':'{}'}"),
        "error");
    g_assert_cmpint(json_object_get_int_member(error, "code"), ==, -32601);
    /* The server's own calls and those of plugins do not mix: many at once, while the link works. */
    for (unsigned i = 0; i < 200; i++) {
        test_send(on_proxy, "t-connection.send",
                  "{'of':'master','method':'t-connection.poll','params':'{}'}");
        test_send(on_master, "t-connection.send",
                  "{'of':'replica','method':'t-connection.poll','params':'{}'}");
        test_call(on_master, "object.create", "{'object':{'type':'host','name':'h%u'}}", i);
    }
    test_wait_revision(on_proxy, revision + 200);
    JsonObject *seen = test_call(on_proxy, "t-connection.describe", "{'of':'master'}");
    g_assert_true(json_object_get_boolean_member(seen, "outgoing"));
    g_assert_cmpstr(json_object_get_string_member(seen, "host"), ==, "127.0.0.1");
    g_assert_cmpstr(json_object_get_string_member(seen, "port"), ==, "");
    /* A frozen peer: no answer in time. */
    kill(test_server_get_pid(proxy), SIGSTOP);
    JsonObject *none = test_call(on_master, "t-connection.send",
                                 "{'of':'replica','method':'t-connection.poll','params':'{}','timeout':200}");
    g_assert_true(json_object_get_null_member(none, "result") && json_object_get_null_member(none, "error"));
    kill(test_server_get_pid(proxy), SIGCONT);
    /* A plugin may end the link; the proxy makes another. */
    g_autofree char *before = test_events(on_proxy, "t-connection.events");
    test_call(on_proxy, "t-connection.drop", "{'of':'master'}");
    g_autofree char *events = test_wait_event(on_proxy, "t-connection.events", "opened to 127.0.0.1");
    g_assert_nonnull(strstr(events, "closed with its data; freed"));
    test_call(on_master, "object.create", "{'object':{'type':'host','name':'after'}}");
    test_wait_revision(on_proxy, revision + 201);
}

static void
assert_option(TestClient *client, const char *of, const char *section, const char *key, const char *wanted)
{
    JsonObject *found =
        test_call(client, "t-connection.option", "{'of':'%s','section':'%s','key':'%s'}", of, section, key);
    const char *value =
        json_object_get_null_member(found, "value") ? NULL : json_object_get_string_member(found, "value");
    g_assert_cmpstr(value, ==, wanted);
}

/* Port, application (its options over the file), host; each by its transport string before the section. */
static void
test_options(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-connection", "[t]\nin-file = file\ncolour = file\n");
    g_autoptr(TestClient) client = test_client_new(server);
    assert_option(client, "", "t", "colour", "file");
    assert_option(client, "", "t", "nothing", NULL);
    assert_option(client, "", "", "plugins", "t-connection");
    assert_option(client, "", "port", "listening", "unsecured");
    assert_option(client, "", "port", "mutual", "false");
    assert_option(client, "", "connection", "localTimeout", NULL);
    /* The host: annex, options over it, its transport string over both. */
    int64_t host = json_object_get_int_member(
        test_call(client, "object.create",
                  "{'object':{'type':'host','name':'h','annex':{'t':{'colour':'annex','in-annex':'annex',"
                  "'in-host':'annex','string':'annex'}}}}"),
        "dbid");
    test_call(client, "object.update",
              "{'type':'application','name':'confserv','patch':{'host':%" G_GINT64_FORMAT "}}", host);
    assert_option(client, "", "t", "in-annex", "annex");
    assert_option(client, "", "t", "in-host", "annex");
    assert_option(client, "", "t", "colour", "file");
    test_call(
        client, "object.update",
        "{'type':'host','name':'h','patch':{'annex':{'t':{'transport':'string=cut ; empty; in-host = 5'}}}}");
    assert_option(client, "", "t", "string", "cut");
    assert_option(client, "", "t", "empty", "");
    assert_option(client, "", "t", "in-host", "5");
    assert_option(client, "", "u", "string", NULL);
    /* The application over the file, its transport string over its sections. */
    test_call(client, "object.update",
              "{'type':'application','name':'confserv','patch':{'options':{'t':{'colour':'application'}}}}");
    assert_option(client, "", "t", "colour", "application");
    assert_option(client, "", "t", "in-file", "file");
    test_call(client, "object.update",
              "{'type':'application','name':'confserv','patch':{'options':{'t':"
              "{'transport':'colour=application-string'}}}}");
    assert_option(client, "", "t", "colour", "application-string");
    test_call(client, "object.update",
              "{'type':'application','name':'confserv','patch':{'options':{'confserv':"
              "{'transport':'colour=server-string'}}}}");
    assert_option(client, "", "t", "colour", "server-string");
    /* The port over all; another port does not have it. */
    uint16_t second = test_free_port();
    test_call(client, "object.update",
              "{'type':'application','name':'confserv','add':{'ports':[{'id':'default','port':%u,"
              "'transport':'colour=port;tls=1'},{'id':'second','port':%u,'mutual':true,'clients':'ui'}]}}",
              test_server_get_port(server), second);
    assert_option(client, "", "t", "colour", "port");
    assert_option(client, "", "any", "tls", "1");
    assert_option(client, "", "t", "in-annex", "annex");
    g_autofree char *opened = g_strdup_printf("%u", second);
    test_server_wait_log(server, opened);
    g_autoptr(TestClient) other = test_client_connect(second);
    assert_option(other, "", "t", "colour", "server-string");
    assert_option(other, "", "port", "mutual", "true");
    assert_option(other, "", "port", "clients", "ui");
    /* What is taken away is gone. */
    test_call(client, "object.update", "{'type':'application','name':'confserv','patch':{'host':null}}");
    assert_option(client, "", "t", "in-annex", NULL);
}

/* Of the link to the master: connection, application, host. */
static void
test_options_upstream(void)
{
    g_autoptr(TestServer) master = test_primary_with("t-connection", NULL);
    g_autoptr(TestServer) proxy = test_proxy_with(master, "p1", "t-connection", "[t]\ncolour = file\n");
    g_autoptr(TestClient) admin = test_client_new(master);
    g_autoptr(TestClient) client = test_client_new(proxy);
    assert_option(client, "master", "t", "colour", "file");
    assert_option(client, "master", "connection", "protocol", NULL);
    assert_option(client, "master", "port", "listening", NULL);
    JsonObject *found =
        test_call(admin, "object.read", "{'type':'application','name':'confserv','fields':['name']}");
    int64_t server = json_object_get_int_member(json_object_get_object_member(found, "object"), "dbid");
    int64_t revision = json_object_get_int_member(
        test_call(
            admin, "object.update",
            "{'type':'application','name':'p1','patch':{'connections':[{'server':%" G_GINT64_FORMAT
            ",'protocol':'addp','localTimeout':7,'remoteTimeout':9,'trace':'both','transport':'colour=connection;tls=1'}]}}",
            server),
        "revision");
    test_wait_revision(client, revision);
    assert_option(client, "master", "t", "colour", "connection");
    assert_option(client, "master", "any", "tls", "1");
    assert_option(client, "master", "connection", "protocol", "addp");
    assert_option(client, "master", "connection", "localTimeout", "7");
    assert_option(client, "master", "connection", "trace", "both");
    /* The proxy's own port has nothing of it. */
    assert_option(client, "", "t", "colour", "file");
    assert_option(client, "", "connection", "protocol", NULL);
    assert_option(client, "", "port", "clients", "any");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/plugins/connection/life", test_life);
    g_test_add_func("/integration/plugins/connection/refuse", test_refuse);
    g_test_add_func("/integration/plugins/connection/drop", test_drop);
    g_test_add_func("/integration/plugins/connection/idle", test_idle);
    g_test_add_func("/integration/plugins/connection/send-to-client", test_send_to_client);
    g_test_add_func("/integration/plugins/connection/send-on-link", test_send_on_link);
    g_test_add_func("/integration/plugins/connection/options", test_options);
    g_test_add_func("/integration/plugins/connection/options-upstream", test_options_upstream);
    return g_test_run();
}
