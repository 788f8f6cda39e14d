/* test-addp.c - plugin addp: what is agreed on, polls, the verdict, changes at run time, both ends of a
 * proxy link, a frozen master and a link that was cut. Times are real, so they are short here: 1 s. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INT G_GINT64_FORMAT

enum { SLACK_MS = 1500 }; /* a machine under load and a sanitizer */

/* ---- a client that speaks the keep-alive by hand ---- */

static int64_t
now_ms(void)
{
    return g_get_monotonic_time() / 1000;
}

/* Something to read, or the end, within the time. */
static bool
wait_readable(TestClient *client, int ms)
{
    struct pollfd waiting = {.fd = test_client_get_fd(client), .events = POLLIN};
    return poll(&waiting, 1, ms) > 0;
}

static JsonNode *
read_message(TestClient *client)
{
    const char *line = test_client_read_line(client);
    g_assert_nonnull(line);
    g_autoptr(GError) error = NULL;
    JsonNode *node = json_from_string(line, &error);
    g_assert_no_error(error);
    return node;
}

/* The next line is a poll: its id.  *timeout, *remote (may be NULL): what it tells, -1 nothing. */
static int64_t
read_poll(TestClient *client, int64_t *timeout, int64_t *remote)
{
    g_autoptr(JsonNode) node = read_message(client);
    JsonObject *message = json_node_get_object(node);
    g_assert_cmpstr(json_object_get_string_member(message, "method"), ==, "addp.poll");
    JsonObject *params = json_object_get_object_member(message, "params");
    JsonObject *addp =
        json_object_has_member(params, "addp") ? json_object_get_object_member(params, "addp") : NULL;
    if (timeout != NULL)
        *timeout = addp != NULL ? json_object_get_int_member(addp, "timeout") : -1;
    if (remote != NULL)
        *remote = addp != NULL ? json_object_get_int_member(addp, "remoteTimeout") : -1;
    return json_object_get_int_member(message, "id");
}

static void
answer_poll(TestClient *client, int64_t id)
{
    g_autofree char *line = g_strdup_printf("{\"jsonrpc\":\"2.0\",\"id\":%" INT ",\"result\":{}}\n", id);
    test_client_write(client, line, strlen(line));
}

/* The next poll comes no earlier than one timeout after the last byte, and not much later. */
static int64_t
expect_poll(TestClient *client, int64_t since_ms, int64_t timeout_ms)
{
    int64_t id = read_poll(client, NULL, NULL);
    int64_t after = now_ms() - since_ms;
    g_assert_cmpint(after, >=, timeout_ms - 20);
    g_assert_cmpint(after, <=, timeout_ms + SLACK_MS);
    return id;
}

/* Logs in with these further members; result of the call. */
static JsonObject *
log_in(TestClient *client, const char *more)
{
    return test_call(client, "session.open",
                     "{'user':'default','password':'" TEST_PASSWORD "','application':'confctl'%s}", more);
}

static void
assert_addp(JsonObject *result, int64_t timeout, int64_t remote)
{
    JsonObject *addp = json_object_get_object_member(result, "addp");
    g_assert_nonnull(addp);
    g_assert_cmpint(json_object_get_int_member(addp, "timeout"), ==, timeout);
    g_assert_cmpint(json_object_get_int_member(addp, "remoteTimeout"), ==, remote);
}

static const char *
fault_path(JsonObject *error)
{
    return json_object_get_string_member(json_object_get_object_member(error, "data"), "path");
}

/* On the management port, which no rule cuts; logged in, since that lasts longer than login-timeout. */
static TestClient *
manager_of(TestServer *server)
{
    TestClient *manager = test_client_connect(test_server_get_management_port(server));
    log_in(manager, "");
    return manager;
}

/* ---- agreement ---- */

static void
test_agree(void)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = addp\n");
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    static const struct {
        const char *addp, *path;
    } faults[] = {
        {"1", "/addp"},
        {"null", "/addp"},
        {"{'timeout':-1}", "/addp/timeout"},
        {"{'timeout':1.5}", "/addp/timeout"},
        {"{'remoteTimeout':86401}", "/addp/remoteTimeout"},
        {"{'timeout':1,'x/y~':2}", "/addp/x~1y~0"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++)
        g_assert_cmpstr(fault_path(test_call_error(client, -32602, "session.open",
                                                   "{'user':'default','password':'" TEST_PASSWORD
                                                   "','application':'confctl','addp':%s}",
                                                   faults[i].addp)),
                        ==, faults[i].path);
    /* Polls are answered before log-in; what is agreed on belongs to a session. */
    JsonObject *polled = test_call(client, "addp.poll", "{}");
    g_assert_cmpint(json_object_get_int_member(polled, "revision"), >=, 1);
    g_assert_false(json_object_has_member(polled, "addp"));
    test_call_error(client, -32000, "addp.poll", "{'addp':{'remoteTimeout':1}}");
    g_assert_cmpstr(fault_path(test_call_error(client, -32602, "addp.poll", "{'a/b':1}")), ==, "/a~1b");
    test_call_error(
        client, -32001, "session.open",
        "{'user':'default','password':'no','application':'confctl','addp':{'timeout':1,'remoteTimeout':1}}");
    assert_addp(log_in(client, ",'addp':{'timeout':500,'remoteTimeout':700}"), 500, 700);
    g_assert_cmpint(test_statistic(client, "addp.active"), ==, 1);
    /* Changed on the live connection. */
    assert_addp(test_call(client, "addp.poll", "{'addp':{'timeout':9,'remoteTimeout':0}}"), 9, 0);
    g_assert_cmpint(test_statistic(client, "addp.active"), ==, 0);
    g_assert_cmpstr(fault_path(test_call_error(client, -32602, "addp.poll", "{'addp':{'timeout':'1'}}")), ==,
                    "/addp/timeout");

    /* Nothing configured, nothing asked for: both off.  Not asked at all: nothing is said of it. */
    g_autoptr(TestClient) silent = test_client_connect(test_server_get_port(server));
    assert_addp(log_in(silent, ",'addp':{}"), 0, 0);
    g_autoptr(TestClient) old = test_client_connect(test_server_get_port(server));
    g_assert_false(json_object_has_member(log_in(old, ""), "addp"));
}

/* ---- polls and the verdict ---- */

static void
test_verdict(void)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = addp\naddp-trace = both\n");
    g_autoptr(TestClient) manager = manager_of(server);
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    int64_t since = now_ms();
    JsonObject *session = log_in(client, ",'addp':{'remoteTimeout':1}");
    assert_addp(session, 0, 1);
    g_autofree char *token = g_strdup(json_object_get_string_member(session, "session"));
    JsonObject *shown = json_object_get_object_member(session, "server");
    g_autofree char *environment = g_strdup(json_object_get_string_member(shown, "environment"));
    int64_t revision = json_object_get_int_member(shown, "revision");

    int64_t id = expect_poll(client, since, 1000);
    answer_poll(client, id);
    /* Traffic keeps polls away. */
    since = now_ms();
    while (now_ms() - since < 1600) {
        g_assert_false(wait_readable(client, 400));
        test_client_write(client, "\n", 1);
    }
    since = now_ms();
    id = expect_poll(client, since, 1000);
    /* Any byte counts as life, not the answer alone; an answer that comes late is no fault. */
    test_client_write(client, "\n", 1);
    since = now_ms();
    expect_poll(client, since, 1000);
    answer_poll(client, id);
    since = now_ms();
    expect_poll(client, since, 1000);
    test_client_wait_closed(client);
    int64_t lost_after = now_ms() - since;
    g_assert_cmpint(lost_after, >=, 1980);
    g_assert_cmpint(lost_after, <=, 2000 + SLACK_MS);
    test_wait_statistic(manager, "addp.lost", 1);
    g_assert_cmpint(test_statistic(manager, "addp.polls"), ==, 4);
    g_assert_cmpint(test_statistic(manager, "addp.answers"), ==, 2);
    g_assert_cmpint(test_statistic(manager, "addp.active"), ==, 0);
    test_server_wait_log(server, "Keep-alive poll sent");
    test_server_wait_log(server, "Keep-alive poll answered");
    test_server_wait_log(server, "Connection lost: no answer to the keep-alive");

    /* The session stands and can be taken up, with a keep-alive again. */
    g_autoptr(TestClient) again = test_client_connect(test_server_get_port(server));
    since = now_ms();
    JsonObject *resumed = test_call(again, "session.resume",
                                    "{'session':'%s','environment':'%s','revision':%" INT
                                    ",'addp':{'timeout':3,'remoteTimeout':1}}",
                                    token, environment, revision);
    assert_addp(resumed, 3, 1);
    answer_poll(again, expect_poll(again, since, 1000));
    test_call(again, "addp.poll", "{}");
    test_server_wait_log(server, "Keep-alive poll received");
}

/* A server that was stopped blames nobody: answers that wait in the socket count, and who had no chance to
 * answer gets one. */
static void
test_held_up(void)
{
    enum { CLIENTS = 3 };
    g_autoptr(TestServer) server = test_primary_new("plugins = addp\n");
    TestClient *clients[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = test_client_connect(test_server_get_port(server));
        log_in(clients[i], ",'addp':{'remoteTimeout':1}");
    }
    int64_t ids[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++)
        ids[i] = read_poll(clients[i], NULL, NULL);
    answer_poll(clients[0], ids[0]); /* quiet since, before the stop */
    g_usleep(50 * 1000);
    test_server_signal(server, SIGSTOP);
    answer_poll(clients[1], ids[1]); /* waits in the socket */
    /* The third answers only afterwards. */
    g_usleep(3500 * 1000);
    test_server_signal(server, SIGCONT);
    /* Two are asked at once; the one who was heard just now, when it is quiet again. */
    static const unsigned ORDER[CLIENTS] = {0, 2, 1};
    for (unsigned i = 0; i < CLIENTS; i++)
        answer_poll(clients[ORDER[i]], read_poll(clients[ORDER[i]], NULL, NULL));
    g_autoptr(TestClient) manager = manager_of(server);
    test_wait_statistic(manager, "addp.answers", CLIENTS + 1);
    g_assert_cmpint(test_statistic(manager, "addp.lost"), ==, 0);
    g_assert_cmpint(test_statistic(manager, "sessions"), ==, CLIENTS + 1);
    for (unsigned i = 0; i < CLIENTS; i++)
        test_client_free(clients[i]);
}

/* A slow line: who takes what was sent before the poll is not dead; who takes nothing any more is. */
static void
test_slow_line(void)
{
    enum { HOSTS = 200, LISTS = 30 };
    g_autoptr(TestServer) server = test_primary_new("plugins = addp\n");
    g_autoptr(TestClient) writer = test_client_new(server);
    g_autofree char *filler = g_strnfill(4000, 'x');
    g_autoptr(GString) operations = g_string_new(NULL);
    for (unsigned i = 0; i < HOSTS; i++)
        g_string_append_printf(
            operations, "%s{'op':'create','object':{'type':'host','name':'h%u','annex':{'a':{'b':'%s'}}}}",
            i > 0 ? "," : "", i, filler);
    test_call(writer, "transaction", "{'operations':[%s]}", operations->str);
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    int small = 8192;
    setsockopt(test_client_get_fd(client), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    log_in(client, ",'addp':{'remoteTimeout':1}");
    for (unsigned i = 0; i < LISTS; i++)
        test_send(client, "object.list", "{'type':'host'}");
    int64_t since = now_ms();
    while (now_ms() - since < 4500) {
        char data[32768];
        g_assert_cmpint(recv(test_client_get_fd(client), data, sizeof data, 0), >, 0);
        g_usleep(20 * 1000);
    }
    g_assert_cmpint(test_statistic(writer, "addp.lost"), ==, 0);
    since = now_ms();
    test_wait_statistic(writer, "addp.lost", 1);
    g_assert_cmpint(now_ms() - since, >=, 900);
    g_assert_cmpint(now_ms() - since, <=, 3000 + SLACK_MS);
}

/* ---- the configuration, and its changes ---- */

static void
test_options(void)
{
    g_autoptr(TestServer) server =
        test_primary_new("plugins = addp\nprotocol = addp\naddp-timeout = 600\naddp-remote-timeout = 60\n");
    g_autoptr(TestClient) writer = test_client_new(server);
    g_autoptr(TestClient) plain = test_client_connect(test_server_get_port(server));
    g_autoptr(TestClient) half = test_client_connect(test_server_get_port(server));
    assert_addp(log_in(plain, ",'addp':{}"), 60, 600);
    assert_addp(log_in(half, ",'addp':{'remoteTimeout':601}"), 60, 601);

    /* Options of the application object, at run time; what a client asked for stays. */
    int64_t timeout = 0, remote = 0;
    test_call(
        writer, "object.update",
        "{'type':'application','name':'confserv','patch':{'options':{'confserv':{'addp-timeout':'1','addp-remote-timeout':'5'}}}}");
    int64_t since = now_ms();
    int64_t id = read_poll(plain, &timeout, &remote);
    g_assert_cmpint(now_ms() - since, <, 900); /* told at once, not when it was quiet */
    g_assert_cmpint(timeout, ==, 1);
    g_assert_cmpint(remote, ==, 5);
    answer_poll(plain, id);
    since = now_ms();
    answer_poll(plain, expect_poll(plain, since, 1000));
    answer_poll(half, read_poll(half, &timeout, &remote));
    g_assert_cmpint(timeout, ==, 601);
    g_assert_cmpint(remote, ==, 5);
    g_assert_false(wait_readable(half, 10));

    /* Off again: no poll comes, no client is lost. A bad value changes nothing. */
    test_call(
        writer, "object.update",
        "{'type':'application','name':'confserv','patch':{'options':{'confserv':{'addp-timeout':'many'}}}}");
    test_server_wait_log(server, "addp-timeout");
    test_call(
        writer, "object.update",
        "{'type':'application','name':'confserv','patch':{'options':{'confserv':{'addp-timeout':'1','protocol':'default'}}}}");
    do
        answer_poll(plain, read_poll(plain, &timeout, &remote));
    while (timeout == -1);
    g_assert_cmpint(timeout, ==, 0);
    g_assert_cmpint(remote, ==, 0);
    g_assert_false(wait_readable(plain, 1500));
}

static void
test_connection_object(void)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = addp\nprotocol = addp\naddp-timeout = 600\n");
    g_autoptr(TestClient) writer = test_client_new(server);
    static const char CONNECTION[] =
        "{'type':'application','name':'confctl','patch':{'connections':[{'server':%" INT
        ",'protocol':'%s'%s}]}}";
    JsonObject *own = json_object_get_object_member(
        test_call(writer, "object.read", "{'type':'application','name':'confserv'}"), "object");
    int64_t dbid = json_object_get_int_member(own, "dbid");
    int64_t timeout = 0, remote = 0;

    test_call(writer, "object.update", CONNECTION, dbid, "addp", ",'localTimeout':70,'remoteTimeout':80");
    g_autoptr(TestClient) plain = test_client_connect(test_server_get_port(server));
    g_autoptr(TestClient) asking = test_client_connect(test_server_get_port(server));
    assert_addp(log_in(plain, ",'addp':{}"), 70, 80);
    assert_addp(log_in(asking, ",'addp':{'timeout':7,'remoteTimeout':8}"), 7, 8);
    /* The last word counts: what changes now is in force for both. */
    test_call(writer, "object.update", CONNECTION, dbid, "addp",
              ",'localTimeout':3,'remoteTimeout':1,'trace':'remote'");
    TestClient *both[] = {plain, asking};
    for (unsigned i = 0; i < 2; i++) {
        answer_poll(both[i], read_poll(both[i], &timeout, &remote));
        g_assert_cmpint(timeout, ==, 1);
        g_assert_cmpint(remote, ==, 3);
    }
    for (unsigned i = 0; i < 2; i++)
        answer_poll(both[i], read_poll(both[i], NULL, NULL));
    test_server_wait_log(server, "Keep-alive poll sent");
    test_call(writer, "object.update", CONNECTION, dbid, "none", ",'localTimeout':3,'remoteTimeout':1");
    do
        answer_poll(plain, read_poll(plain, &timeout, &remote));
    while (timeout == -1);
    g_assert_cmpint(timeout, ==, 0);
    g_assert_cmpint(remote, ==, 0);
    /* A session that is resumed is told what its own application has, once it is known whose it is. */
    test_call(writer, "object.update", CONNECTION, dbid, "addp", ",'localTimeout':30,'remoteTimeout':1");
    JsonObject *session = test_client_get_session(writer);
    JsonObject *shown = json_object_get_object_member(session, "server");
    g_autoptr(TestClient) resumed = test_client_connect(test_server_get_port(server));
    test_send(resumed, "session.resume", "{'session':'%s','environment':'%s','revision':%" INT ",'addp':{}}",
              json_object_get_string_member(session, "session"),
              json_object_get_string_member(shown, "environment"),
              json_object_get_int_member(shown, "revision"));
    g_autoptr(JsonNode) answer = read_message(resumed);
    assert_addp(json_object_get_object_member(json_node_get_object(answer), "result"), 0, 600);
    answer_poll(resumed, read_poll(resumed, &timeout, &remote));
    g_assert_cmpint(timeout, ==, 1);
    g_assert_cmpint(remote, ==, 30);
    answer_poll(resumed, read_poll(resumed, &timeout, NULL));
    g_assert_cmpint(timeout, ==, -1);
}

/* ---- a proxy and its master ---- */

static const char PROXY_FILE[] =
    "[csproxy]\nplugins = addp\nprotocol = addp\naddp-timeout = %d\naddp-remote-timeout = %d\n";

static TestServer *
proxy_new(TestServer *master, int timeout, int remote)
{
    g_autofree char *file = g_strdup_printf(PROXY_FILE, timeout, remote);
    return test_proxy_new(master, "px", file);
}

static void
wait_master(TestClient *client, const char *master)
{
    JsonObject *status;
    do
        status = test_wait_notification(client, "server.status");
    while (strcmp(json_object_get_string_member(status, "master"), master) != 0);
}

static void
assert_lost_in_time(TestClient *reader, int64_t since)
{
    wait_master(reader, "disconnected");
    int64_t after = now_ms() - since;
    g_test_message("seen after %" INT " ms", after);
    g_assert_cmpint(after, >=, 1000);
    g_assert_cmpint(after, <=, 2000 + SLACK_MS);
}

static void
test_frozen_master(void)
{
    g_autoptr(TestServer) master = test_primary_new("plugins = addp\n");
    g_autoptr(TestServer) proxy = proxy_new(master, 1, 1);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    g_autoptr(TestClient) manager = manager_of(master);
    /* Both ends took it up.  Neither polls while all is well: the proxy asks for its master's position twice a second,
     * and the answer is life too. */
    test_wait_statistic(reader, "addp.active", 1);
    g_assert_cmpint(test_statistic(manager, "addp.active"), ==, 1);
    g_assert_cmpint(test_statistic(manager, "addp.lost"), ==, 0);

    test_server_signal(master, SIGSTOP);
    assert_lost_in_time(reader, now_ms());
    g_assert_cmpint(test_statistic(reader, "addp.lost"), ==, 1);
    g_assert_cmpint(test_statistic(reader, "addp.active"), ==, 0);
    test_server_signal(master, SIGCONT);
    wait_master(reader, "connected");
    test_wait_statistic(reader, "addp.active", 1);

    /* A frozen proxy is seen by its master as well. */
    test_server_signal(proxy, SIGSTOP);
    int64_t lost = test_statistic(manager, "addp.lost");
    test_wait_statistic(manager, "addp.lost", lost + 1);
    test_server_signal(proxy, SIGCONT);
    wait_master(reader, "connected");
}

/* The proxy has nothing in its file: its connection to the master says it, when it loads and when that
 * changes. */
static void
test_proxy_object(void)
{
    g_autoptr(TestServer) master = test_primary_new("plugins = addp\n");
    g_autoptr(TestClient) writer = test_client_new(master);
    g_autoptr(TestServer) proxy = test_proxy_new(master, "px", "[csproxy]\nplugins = addp\n");
    g_autoptr(TestClient) reader = test_client_new(proxy);
    g_autoptr(TestClient) manager = manager_of(master);
    g_assert_cmpint(test_statistic(manager, "addp.active"), ==, 0);
    JsonObject *own = json_object_get_object_member(
        test_call(writer, "object.read", "{'type':'application','name':'confserv'}"), "object");
    int64_t dbid = json_object_get_int_member(own, "dbid");
    static const char CONNECTION[] =
        "{'type':'application','name':'px','patch':{'connections':[{'server':%" INT
        ",'protocol':'addp','localTimeout':%d,'remoteTimeout':%d}]}}";
    test_call(writer, "object.update", CONNECTION, dbid, 1, 1);
    test_wait_statistic(reader, "addp.active", 1);
    test_wait_statistic(manager, "addp.active", 1);
    /* The master's timer is the connection's remote one. */
    test_call(writer, "object.update", CONNECTION, dbid, 1, 0);
    while (test_statistic(manager, "addp.active") > 0)
        g_usleep(5000);

    /* At a start with the object there already, which the proxy learns of by loading it. */
    test_call(writer, "object.update", CONNECTION, dbid, 1, 1);
    test_server_signal(proxy, SIGTERM);
    test_server_start(proxy);
    test_client_free(g_steal_pointer(&reader));
    reader = test_client_new(proxy);
    test_wait_statistic(reader, "addp.active", 1);
    test_wait_statistic(manager, "addp.active", 1);
    test_server_signal(master, SIGSTOP);
    assert_lost_in_time(reader, now_ms());
    test_server_signal(master, SIGCONT);
    wait_master(reader, "connected");
}

/* A master without the plugin is no fault: its proxy goes on by other means. */
static void
test_alone(void)
{
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autoptr(TestServer) proxy = proxy_new(master, 1, 1);
    test_server_wait_log(proxy, "The master has no keep-alive");
    g_autoptr(TestClient) reader = test_client_new(proxy);
    g_assert_cmpint(test_statistic(reader, "addp.active"), ==, 0);
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(master));
    g_assert_false(json_object_has_member(log_in(client, ",'addp':{'remoteTimeout':1}"), "addp"));
    test_call_error(client, -32601, "addp.poll", "{}");
}

/* ---- a cut link ---- */

static bool
run(const char *command)
{
    int status = -1;
    g_autoptr(GError) error = NULL;
    return g_spawn_command_line_sync(command, NULL, NULL, &status, &error) && status == 0;
}

/* Where CI is set nothing may be missing. */
static bool
give_in(const char *why)
{
    if (g_getenv("CI") != NULL)
        g_error("%s", why);
    g_test_skip(why);
    return false;
}

/* From here on this program and the servers that it starts have a network of their own. */
static bool
enter_namespace(void)
{
    if (unshare(CLONE_NEWNET) != 0) {
        g_autofree char *why = g_strdup_printf("no network namespace can be made: %s", g_strerror(errno));
        return give_in(why);
    }
    if (!run("ip link set lo up") || !run("nft add table inet cut"))
        return give_in("ip or nft (packages iproute2, nftables) is missing, or may not be used");
    return run("nft add chain inet cut input { type filter hook input priority 0; }") ||
           give_in("nft refused a chain");
}

static void
test_cut_link(void)
{
    if (!enter_namespace())
        return;
    g_autoptr(TestServer) master = test_primary_new("plugins = addp\n");
    g_autoptr(TestServer) proxy = proxy_new(master, 1, 1);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    g_autoptr(TestClient) manager = manager_of(master);
    test_wait_statistic(reader, "addp.active", 1);
    int64_t lost = test_statistic(manager, "addp.lost");
    g_autofree char *cut =
        g_strdup_printf("nft add rule inet cut input tcp dport %u drop", test_server_get_port(master));
    g_autofree char *back =
        g_strdup_printf("nft add rule inet cut input tcp sport %u drop", test_server_get_port(master));
    int64_t since = now_ms();
    g_assert_true(run(cut) && run(back));
    assert_lost_in_time(reader, since);
    test_wait_statistic(manager, "addp.lost", lost + 1);
    g_assert_true(run("nft flush chain inet cut input"));
    wait_master(reader, "connected");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
    g_test_add_func("/addp/clients/agree", test_agree);
    g_test_add_func("/addp/clients/verdict", test_verdict);
    g_test_add_func("/addp/clients/held-up", test_held_up);
    g_test_add_func("/addp/clients/slow-line", test_slow_line);
    g_test_add_func("/addp/clients/options", test_options);
    g_test_add_func("/addp/clients/connection-object", test_connection_object);
    g_test_add_func("/addp/links/frozen-master", test_frozen_master);
    g_test_add_func("/addp/links/proxy-object", test_proxy_object);
    g_test_add_func("/addp/links/alone", test_alone);
    g_test_add_func("/addp/links/cut-link", test_cut_link); /* the last: it leaves the network */
    return g_test_run();
}
