/* test-plugins-filter.c - filters that plugins push: of clients, of both ends of the link to the master,
 * and when they fail. */
#include "plugins.h"
#include "scrambler.h"

#include <poll.h>
#include <sys/socket.h>

#define LOGIN "{'user':'default','password':'" TEST_PASSWORD "','application':'confctl'}"
#define FILTERED "[t-filter]\nt-filter = xor\nname = server\n"

static void
assert_seen(TestClient *client, const char *of, const char *subject)
{
    JsonObject *seen = test_call(client, "t-connection.describe", "{'of':'%s'}", of);
    g_assert_true(json_object_get_boolean_member(seen, "encrypted"));
    g_assert_cmpstr(json_object_get_string_member(seen, "subject"), ==, subject);
    JsonArray *names = json_object_get_array_member(seen, "names");
    g_assert_cmpuint(json_array_get_length(names), ==, 2);
    g_assert_cmpstr(json_array_get_string_element(names, 0), ==, subject + strlen("CN="));
    g_assert_cmpstr(json_array_get_string_element(names, 1), ==, "localhost");
}

/* Everything that a client does, in pieces of any size. */
static void
test_client(const void *data)
{
    const unsigned *piece = data;
    g_autoptr(TestServer) server = test_primary_with("t-connection, t-filter, t-request", FILTERED);
    g_autoptr(TestScrambler) scrambler = test_scrambler_new(test_server_get_port(server), "anna", 1, *piece);
    g_autoptr(TestClient) client = test_client_connect(test_scrambler_get_port(scrambler));
    test_call(client, "session.open", LOGIN);
    assert_seen(client, "", "CN=anna");
    test_call(client, "subscription.open", "{'types':['host'],'initial':true}");
    test_wait_notification(client, "subscription.loaded");
    for (unsigned i = 0; i < 20; i++)
        test_call(client, "object.create", "{'object':{'type':'host','name':'h%u'}}", i);
    for (unsigned i = 0; i < 20; i++)
        test_wait_notification(client, "changes");
    g_autofree char *large = g_strnfill(*piece == 1 ? 100 * 1000 : 3 * 1024 * 1024, 'x');
    JsonObject *echo = test_call(client, "t-request.echo", "{'text':'%s'}", large);
    g_assert_cmpstr(json_object_get_string_member(echo, "text"), ==, large);
    /* Answers stop at a client that does not take them, and go on. */
    for (unsigned i = 0; i < 50; i++)
        test_send(client, "t-request.echo", "{'text':'%.20000s'}", large);
    test_sync(client);
    /* Whoever does not speak so is not understood. */
    g_autoptr(TestClient) plain = test_client_connect(test_server_get_port(server));
    test_send(plain, "server.info", "{}");
    g_assert_null(test_client_read_line(plain));
    test_sync(client);
    g_assert_cmpint(test_statistic(client, "t-filter.ready"), ==, 1);
}

static void
test_two_layers(void)
{
    g_autoptr(TestServer) server =
        test_primary_with("t-connection, t-filter, t-request", "[t-filter]\nt-filter = twice\n");
    g_autoptr(TestScrambler) scrambler = test_scrambler_new(test_server_get_port(server), "anna", 2, 3);
    g_autoptr(TestClient) client = test_client_connect(test_scrambler_get_port(scrambler));
    test_call(client, "session.open", LOGIN);
    assert_seen(client, "", "CN=anna");
    g_autofree char *large = g_strnfill(200 * 1000, 'y');
    JsonObject *echo = test_call(client, "t-request.echo", "{'text':'%s'}", large);
    g_assert_cmpstr(json_object_get_string_member(echo, "text"), ==, large);
    g_assert_cmpint(test_statistic(client, "t-filter.ready"), ==, 2);
    /* Its end comes through both. */
    test_call(client, "session.close", "{}");
    test_client_wait_closed(client);
}

/* What goes wrong with one connection is its own matter. */
static void
test_failures(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-connection, t-filter", NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    static const char *const modes[] = {"fail", "refuse", "stall", "xor"};
    for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++) {
        test_call(client, "object.update",
                  "{'type':'application','name':'confserv','patch':{'ports':[{'id':'default','port':%u,"
                  "'transport':'t-filter=%s'}]}}",
                  test_server_get_port(server), modes[i]);
        g_autoptr(TestClient) other = test_client_connect(test_server_get_port(server));
        static const char greeting[] = "XOR\004anna";
        test_client_write(other, greeting, sizeof greeting - 1);
        if (i < 2)
            test_client_wait_closed(other);
        g_assert_cmpint(test_client_has_seen(other, "sorry"), ==, i == 0);
        test_sync(client);
        /* The last two leave in the handshake, or with half a block. */
        if (i == 3) {
            g_assert_cmpint(test_statistic(client, "t-filter.cut"), ==, 0);
            test_client_write(other, "\001\000half", 6);
            test_client_abort(other);
        }
    }
    g_autoptr(TestScrambler) scrambler = test_scrambler_new(test_server_get_port(server), "anna", 1, 0);
    g_autoptr(TestClient) spoilt = test_client_connect(test_scrambler_get_port(scrambler));
    test_call(spoilt, "session.open", LOGIN);
    test_call(spoilt, "subscription.open", "{}");
    test_scrambler_spoil(scrambler);
    test_client_wait_closed(spoilt);
    g_autoptr(TestClient) cut = test_client_connect(test_scrambler_get_port(scrambler));
    test_call(cut, "session.open", LOGIN);
    test_scrambler_cut(scrambler);
    test_client_wait_closed(cut);
    test_wait_statistic(client, "t-filter.cut", 1);
    /* All filters but none of a live connection are gone. */
    test_wait_statistic(client, "sessionsBroken", 2);
    g_assert_cmpint(test_statistic(client, "t-filter.made"), ==, test_statistic(client, "t-filter.freed"));
    test_call(client, "object.create", "{'object':{'type':'host','name':'still'}}");
}

/* A client that says within the stream that it is done, and leaves the socket open, is answered all the
 * same, and let go. */
static void
test_peer_ended(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-connection, t-filter, t-request", FILTERED);
    g_autoptr(TestScrambler) scrambler = test_scrambler_new(test_server_get_port(server), "berta", 1, 0);
    g_autoptr(TestClient) witness = test_client_connect(test_scrambler_get_port(scrambler));
    test_call(witness, "session.open", LOGIN);
    static const char request[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.info\"}\n";
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    uint8_t head[2] = {0, sizeof request - 1};
    g_byte_array_append(bytes, (const uint8_t *)"XOR\004anna", 8);
    g_byte_array_append(bytes, head, 2);
    for (unsigned i = 0; i < sizeof request - 1; i++) {
        uint8_t byte = (uint8_t)request[i] ^ (uint8_t)i;
        g_byte_array_append(bytes, &byte, 1);
    }
    g_byte_array_append(bytes, (const uint8_t *)"\000\000", 2);
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    test_client_write(client, bytes->data, bytes->len);
    size_t greeting = strlen("XORserver") + 1, answered = 0;
    char buffer[4096];
    struct pollfd fd = {.fd = test_client_get_fd(client), .events = POLLIN};
    ssize_t size;
    do {
        g_assert_cmpint(poll(&fd, 1, 30000), ==, 1);
        size = recv(fd.fd, buffer, sizeof buffer, 0);
        answered += size > 0 ? (size_t)size : 0;
    } while (size > 0);
    g_assert_cmpuint(answered, >, greeting + 50);
    g_assert_cmpint(test_statistic(witness, "t-filter.cut"), ==, 0);
}

/* Who the filter says that the peer is, another plugin may believe; and a scrambled log-in is no plain
 * one. */
static void
test_identity(void)
{
    g_autoptr(TestServer) server =
        test_primary_with("t-connection, t-filter, t-login", "plain-login = refuse\n" FILTERED);
    g_autoptr(TestScrambler) annas = test_scrambler_new(test_server_get_port(server), "anna", 1, 0);
    g_autoptr(TestScrambler) bertas = test_scrambler_new(test_server_get_port(server), "berta", 1, 0);
    g_autoptr(TestClient) admin = test_client_connect(test_scrambler_get_port(bertas));
    test_call(admin, "session.open", LOGIN);
    int64_t dbid = json_object_get_int_member(
        test_call(admin, "object.create", "{'object':{'type':'person','name':'anna'}}"), "dbid");
    test_call(
        admin, "permission.update",
        "{'type':'application','name':'confctl','grant':[{'account':{'type':'person','dbid':%" G_GINT64_FORMAT
        "},'rights':['execute']}]}",
        dbid);
    g_autoptr(TestClient) anna = test_client_connect(test_scrambler_get_port(annas));
    test_call_error(anna, -32001, "session.open",
                    "{'user':'default','mechanism':'certificate','application':'confctl'}");
    test_call(anna, "session.open", "{'user':'anna','mechanism':'certificate','application':'confctl'}");
    test_call(admin, "object.update",
              "{'type':'application','name':'confserv','patch':{'ports':[{'id':'default','port':%u,"
              "'transport':'t-filter=off'}]}}",
              test_server_get_port(server));
    g_autoptr(TestClient) plain = test_client_connect(test_server_get_port(server));
    test_call_error(plain, -32018, "session.open", LOGIN);
}

static void
write_proxy_file(TestServer *proxy, const char *plugins, const char *more)
{
    g_autofree char *options = test_plugin_options(plugins, more);
    g_autofree char *text = g_strdup_printf("[log]\nverbose = all\nall = stderr\n[csproxy]\n%s", options);
    g_autofree char *path = g_build_filename(test_server_get_folder(proxy), "proxy.conf", NULL);
    g_autoptr(GError) error = NULL;
    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
}

/* Both ends: the link works as in plain, lost and made anew. */
static void
test_link(void)
{
    static const char plugins[] = "t-connection, t-filter";
    g_autoptr(TestServer) master = test_primary_with(plugins, "[t-filter]\nname = master\n");
    g_autoptr(TestServer) proxy = test_proxy_with(master, "p1", plugins, NULL);
    g_autoptr(TestClient) admin = test_client_new(master);
    g_autofree char *large = g_strnfill(300 * 1000, 'z');
    for (unsigned i = 0; i < 20; i++)
        test_call(admin, "object.create", "{'object':{'type':'host','name':'h%u','annex':{'a':{'b':'%s'}}}}",
                  i, large);
    /* From now on nobody talks to the master in plain, and the proxy scrambles its link, not its own port. */
    test_server_signal(proxy, SIGTERM);
    test_call(admin, "object.update",
              "{'type':'application','name':'p1','patch':{'ports':[{'id':'default','port':%u,"
              "'transport':'t-filter=off'}]}}",
              test_server_get_port(proxy));
    test_call(admin, "object.update",
              "{'type':'application','name':'confserv','patch':{'ports':[{'id':'default','port':%u,"
              "'transport':'t-filter=xor'}]}}",
              test_server_get_port(master));
    write_proxy_file(proxy, plugins, "[t-filter]\nt-filter = xor\nname = p1\n");
    test_server_start(proxy);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    g_assert_cmpint(json_object_get_int_member(test_call(reader, "object.count", "{'type':'host'}"), "count"),
                    ==, 20);
    assert_seen(reader, "master", "CN=master");
    assert_seen(admin, "replica", "CN=p1");
    test_call(reader, "subscription.open", "{'types':['host']}");
    for (unsigned i = 0; i < 20; i++)
        test_call(admin, "object.update", "{'type':'host','name':'h%u','patch':{'annex':{'a':{'b':'%s%u'}}}}",
                  i, large, i);
    for (unsigned i = 0; i < 20; i++)
        test_wait_notification(reader, "changes");
    /* The master goes and comes. */
    test_server_signal(master, SIGKILL);
    test_server_start(master);
    g_autoptr(TestClient) manager = test_manager_new(master);
    g_autoptr(TestScrambler) scrambler = test_scrambler_new(test_server_get_port(master), "anna", 1, 0);
    g_autoptr(TestClient) again = test_client_connect(test_scrambler_get_port(scrambler));
    test_call(again, "session.open", LOGIN);
    int64_t revision = json_object_get_int_member(
        test_call(again, "object.create", "{'object':{'type':'host','name':'after'}}"), "revision");
    test_wait_revision(reader, revision);
    assert_seen(manager, "replica", "CN=p1");
    /* A proxy that does not speak so gets nothing, and says so. */
    test_server_signal(proxy, SIGTERM);
    write_proxy_file(proxy, plugins, "[t-filter]\nt-filter = fail\nname = p1\n");
    test_server_spawn(proxy);
    test_server_wait_log(proxy, "The greeting is not understood");
    test_sync(manager);
}

/* A port that shall be secured is not opened where no plugin can, and refuses what was left plain. */
static void
test_secured_port(void)
{
    uint16_t number = test_free_port();
    for (unsigned i = 0; i < 2; i++) {
        g_autoptr(TestServer) server =
            test_primary_with(i == 0 ? "t-request" : "t-connection, t-filter", NULL);
        g_autoptr(TestClient) client = test_client_new(server);
        test_call(client, "object.update",
                  "{'type':'application','name':'confserv','add':{'ports':[{'id':'secure','port':%u,"
                  "'listening':'secured'}]}}",
                  number);
        if (i == 0) {
            test_server_wait_log(server, "its listening mode needs a plugin that secures connections");
            continue;
        }
        g_autofree char *opened = g_strdup_printf("port=%u", number);
        test_server_wait_log(server, opened);
        g_autoptr(TestClient) refused = test_client_connect(number);
        test_client_wait_closed(refused);
        test_call(client, "object.update",
                  "{'type':'application','name':'confserv','add':{'ports':[{'id':'secure','port':%u,"
                  "'listening':'secured','transport':'t-filter=xor'}]}}",
                  number);
        g_autoptr(TestScrambler) scrambler = test_scrambler_new(number, "anna", 1, 0);
        g_autoptr(TestClient) secured = test_client_connect(test_scrambler_get_port(scrambler));
        test_call(secured, "session.open", LOGIN);
        JsonObject *mode = test_call(secured, "t-connection.option", "{'section':'port','key':'listening'}");
        g_assert_cmpstr(json_object_get_string_member(mode, "value"), ==, "secured");
    }
}

/* Open connections at the end: their filters are freed before the plugin is unloaded. */
static void
test_stop(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-connection, t-filter, t-request", FILTERED);
    g_autoptr(TestScrambler) scrambler = test_scrambler_new(test_server_get_port(server), "anna", 1, 0);
    g_autoptr(TestClient) client = test_client_connect(test_scrambler_get_port(scrambler));
    test_call(client, "session.open", LOGIN);
    g_autoptr(TestClient) silent = test_client_connect(test_server_get_port(server));
    test_send(client, "t-request.call", "{'how':'keep'}");
    test_sync(client);
    test_server_signal(server, SIGTERM);
    test_client_wait_closed(client);
    g_assert_true(test_client_has_seen(client, "session.ending"));
    g_autofree char *log = test_server_read_log(server);
    g_assert_null(strstr(log, "Filters are left over"));
}

int
main(int argc, char **argv)
{
    static const unsigned one = 1, seven = 7, any = 0;
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/integration/plugins/filter/client", &any, test_client);
    g_test_add_data_func("/integration/plugins/filter/client-in-bytes", &one, test_client);
    g_test_add_data_func("/integration/plugins/filter/client-in-pieces", &seven, test_client);
    g_test_add_func("/integration/plugins/filter/two-layers", test_two_layers);
    g_test_add_func("/integration/plugins/filter/failures", test_failures);
    g_test_add_func("/integration/plugins/filter/peer-ended", test_peer_ended);
    g_test_add_func("/integration/plugins/filter/identity", test_identity);
    g_test_add_func("/integration/plugins/filter/link", test_link);
    g_test_add_func("/integration/plugins/filter/secured-port", test_secured_port);
    g_test_add_func("/integration/plugins/filter/stop", test_stop);
    return g_test_run();
}
