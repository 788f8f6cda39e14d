/* test-limits.c - bad and greedy clients get the documented answer, nobody else notices, memory stays
 * bounded. */
#include "fixture.h"

#include <string.h>
#include <sys/resource.h>

#define INT G_GINT64_FORMAT

static void
expect_line(TestClient *client, const char *sent, const char *expected)
{
    test_client_write(client, sent, strlen(sent));
    const char *line = test_client_read_line(client);
    if (line == NULL || strstr(line, expected) == NULL)
        g_error("%s was answered %s, not %s", sent, line != NULL ? line : "by closing", expected);
}

static void
test_bad_lines(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) other = test_client_new(server);
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    static const struct {
        const char *sent, *expected;
    } lines[] = {
        {"{bad\n", "-32700"},
        {"1 2\n", "-32700"},
        {"{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"server.info\"}\n", "-32700"},
        {"{\"jsonrpc\":\"2.0\",\"id\":\"\\ud800\",\"method\":\"server.info\"}\n", "-32700"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.info\",\"params\":{\"a\":1e400}}\n", "-32700"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"server.info\"}\n", "-32600"},
        {"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"server.info\"}\n", "-32600"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"server.info\"}\n", "-32600"},
        {"null\n", "-32600"},
        {"[]\n", "-32600"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no.such\"}\n", "-32601"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.info\",\"params\":{\"a\":1}}\n",
         "\"path\":\"/a\""},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"object.count\"}\n", "-32000"},
        /* Ignored: empty lines, a response to nothing; then a good one, its id byte for byte. */
        {"\r\n\n{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\n{\"jsonrpc\":\"2.0\",\"id\":\"\\u0041\",\"method\":\"server.info\"}\r\n",
         "\"id\":\"\\u0041\",\"result\""},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++)
        expect_line(client, lines[i].sent, lines[i].expected);
    g_autoptr(GString) batch = g_string_new("[");
    for (unsigned i = 0; i < 101; i++)
        g_string_append_printf(batch, "%s{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"server.info\"}",
                               i > 0 ? "," : "", i);
    g_string_append(batch, "]\n");
    expect_line(client, batch->str, "-32600");
    g_autofree char *deep = g_strnfill(65, '[');
    g_autofree char *deep_line = g_strconcat(deep, "\n", NULL);
    expect_line(client, deep_line, "-32700");
    /* Too long: answered, closed. */
    g_autofree char *filling = g_strnfill(70000, 'x');
    expect_line(client, filling, "-32006");
    g_assert_null(test_client_read_line(client));
    test_call(other, "object.count", "{}");
}

static void
test_half_open(void)
{
    enum { CONNECTIONS = 300, ALLOWED = 50 };
    g_autoptr(TestServer) server = test_primary_new("max-unauthenticated = 50\nlogin-timeout = 1");
    g_autoptr(TestClient) other = test_client_new(server);
    TestClient *clients[CONNECTIONS];
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        clients[i] = test_client_connect(test_server_get_port(server));
        test_client_write(clients[i], "{\"jsonrpc\":", 11);
    }
    test_call(other, "object.count", "{}");
    /* The oldest went first; the others go when their time is over. */
    g_assert_null(test_client_read_line(clients[0]));
    g_assert_null(test_client_read_line(clients[CONNECTIONS - ALLOWED - 2]));
    g_assert_null(test_client_read_line(clients[CONNECTIONS - 1]));
    /* Those that are told so are read from for a moment yet. */
    int64_t begun = g_get_monotonic_time();
    while (test_statistic(other, "connections") > 1 && g_get_monotonic_time() - begun < 10 * G_USEC_PER_SEC)
        g_usleep(10000);
    g_assert_cmpint(test_statistic(other, "connections"), ==, 1);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        test_client_free(clients[i]);
}

/* One that asks and never reads is not read from any more; one that does not take its notifications is cut
 * off and goes on from where it was. */
static void
test_clients_that_do_not_read(void)
{
    enum { SIZE = 200000, WRITES = 120 };
    g_autoptr(TestServer) server = test_primary_new("max-notification-backlog = 2097152");
    g_autoptr(TestClient) admin = test_client_new(server);
    g_autofree char *filling = g_strnfill(SIZE, 'x');
    test_call(admin, "object.create", "{'object':{'type':'host','name':'h','annex':{'a':{'k':'%s'}}}}",
              filling);
    g_autoptr(TestClient) asking = test_client_new(server);
    for (unsigned i = 0; i < 300; i++)
        test_send(asking, "object.read", "{'type':'host','name':'h'}");
    test_sync(admin);
    g_assert_cmpint(test_statistic(admin, "queueBytes"), <, 8 << 20);
    g_autoptr(TestClient) watching = test_client_new(server);
    test_call(watching, "subscription.open", "{}");
    for (unsigned i = 0; i < WRITES; i++)
        test_call(admin, "object.update", "{'type':'host','name':'h','patch':{'annex':{'a':{'k':'%u%s'}}}}",
                  i, filling);
    test_wait_statistic(admin, "slowConsumers", 1);
    g_assert_cmpint(test_statistic(admin, "queueBytes"), <, 12 << 20);
    /* What came is whole and in order; the rest comes to whom resumes. */
    test_client_wait_closed(watching);
    int64_t revision = 0;
    const char *method = NULL;
    JsonObject *params;
    while ((params = test_take_notification(watching, &method)) != NULL) {
        if (strcmp(method, "changes") != 0)
            continue;
        g_assert_cmpint(json_object_get_int_member(params, "revision"), >, revision);
        revision = json_object_get_int_member(params, "revision");
    }
    JsonObject *session = test_client_get_session(watching);
    g_autoptr(TestClient) again = test_client_connect(test_server_get_port(server));
    test_call(again, "session.resume", "{'session':'%s','environment':'%s','revision':%" INT "}",
              json_object_get_string_member(session, "session"),
              json_object_get_string_member(json_object_get_object_member(session, "server"), "environment"),
              revision);
    int64_t last = json_object_get_int_member(test_call(admin, "object.count", "{}"), "revision");
    while (revision < last)
        g_assert_cmpint(json_object_get_int_member(test_wait_notification(again, "changes"), "revision"), ==,
                        ++revision);
}

/* The limit that a shell gives is raised as far as it may be. */
static void
test_descriptor_limit(void)
{
    struct rlimit before, limit;
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
    limit = (struct rlimit){.rlim_cur = 256, .rlim_max = before.rlim_max};
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
    g_assert_cmpint(prlimit(test_server_get_pid(server), RLIMIT_NOFILE, NULL, &limit), ==, 0);
    g_assert_cmpuint(limit.rlim_cur, ==, before.rlim_max);
    g_autofree char *log = test_server_read_log(server);
    g_assert_nonnull(strstr(log, " 8021 "));
    g_assert_nonnull(strstr(log, "given=256"));
}

/* No descriptors are left: who is there goes on, writes too, and others get in once somebody goes. */
static void
test_descriptors_exhausted(void)
{
    enum { CLIENTS = 60 };
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) other = test_client_new(server);
    test_call(other, "object.create", "{'object':{'type':'host','name':'h'}}");
    struct rlimit limit = {.rlim_cur = 40, .rlim_max = 40};
    g_assert_cmpint(prlimit(test_server_get_pid(server), RLIMIT_NOFILE, &limit, NULL), ==, 0);
    TestClient *clients[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i] = test_client_connect(test_server_get_port(server));
    test_server_wait_log(server, "error=\"Too many open files\"");
    for (unsigned i = 0; i < 50; i++)
        test_call(other, "object.update", "{'type':'host','name':'h','patch':{'annex':{'a':{'k':'%u'}}}}", i);
    for (unsigned i = 0; i < CLIENTS / 2; i++)
        test_client_free(clients[i]);
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    while (test_statistic(other, "connections") > CLIENTS / 2)
        g_assert_cmpint(g_get_monotonic_time(), <, until);
    /* Those that wait too long are sent away, so it may take a few calls at the door. */
    for (const char *line = NULL; line == NULL;) {
        g_autoptr(TestClient) later = test_client_connect(test_server_get_port(server));
        test_client_write(later, "{}\n", 3);
        line = test_client_read_line(later);
        g_assert_cmpint(g_get_monotonic_time(), <, until);
    }
    for (unsigned i = CLIENTS / 2; i < CLIENTS; i++)
        test_client_free(clients[i]);
}

/* As many as are allowed by default, each with the beginning of a line: whoever is logged in notices
 * nothing. */
static void
test_many_half_open(void)
{
    enum { CONNECTIONS = 9900, LONGEST_MS = 2000 };
    struct rlimit before, limit;
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
    limit = (struct rlimit){.rlim_cur = before.rlim_max, .rlim_max = before.rlim_max};
    if (before.rlim_max < CONNECTIONS + 1000) {
        g_test_skip("the limit of open files is too low here");
        return;
    }
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    g_autoptr(TestServer) server = test_primary_new("login-timeout = 600");
    g_autoptr(TestClient) other = test_client_new(server);
    g_autoptr(TestClient) watching = test_client_new(server);
    test_call(watching, "subscription.open", "{}");
    test_call(other, "object.create", "{'object':{'type':'host','name':'h'}}");
    g_autofree TestClient **clients = g_new0(TestClient *, CONNECTIONS);
    int64_t longest = 0;
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        clients[i] = test_client_connect(test_server_get_port(server));
        test_client_write(clients[i], "{\"jsonrpc\":", 11);
        if (i % 100 != 0)
            continue;
        int64_t begun = g_get_monotonic_time();
        test_call(other, "object.update", "{'type':'host','name':'h','patch':{'annex':{'a':{'k':'%u'}}}}", i);
        test_call(other, "object.read", "{'type':'host','name':'h'}");
        longest = MAX(longest, g_get_monotonic_time() - begun);
    }
    test_wait_statistic(other, "connections", CONNECTIONS + 2);
    g_assert_cmpint(longest, <, LONGEST_MS * 1000);
    for (unsigned i = 0; i < CONNECTIONS / 100; i++)
        test_wait_notification(watching, "changes");
    g_assert_cmpint(test_statistic(other, "sessions"), ==, 2);
    g_autoptr(TestClient) another = test_client_new(server);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        test_client_free(clients[i]);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
}

/* Reads that waited for a revision are not all answered at once to who takes nothing. */
static void
test_waiting_reads(void)
{
    enum { OBJECTS = 60, ASKED = 60, MOST = 4 * 1024 * 1024 };
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    g_autofree char *filling = g_strnfill(10000, 'x');
    for (unsigned i = 0; i < OBJECTS; i++)
        test_call(admin, "object.create", "{'object':{'type':'host','name':'h%u','annex':{'a':{'k':'%s'}}}}",
                  i, filling);
    int64_t next = json_object_get_int_member(test_call(admin, "object.count", "{}"), "revision") + 1,
            last = 0;
    g_autoptr(TestClient) slow = test_client_new(server);
    test_sync(slow);
    for (unsigned i = 0; i < ASKED; i++)
        last = test_send(slow, "object.list", "{'type':'host','minRevision':%" INT ",'timeout':60}", next);
    /* It is answered at once, when all before it were read. */
    test_call(slow, "object.count", "{}");
    test_call(admin, "object.create", "{'object':{'type':'host','name':'one-more'}}");
    for (unsigned i = 0; i < 10; i++) {
        g_assert_cmpint(test_statistic(admin, "queueBytes"), <, MOST);
        g_usleep(20000);
    }
    g_assert_true(json_object_has_member(test_wait_response(slow, last), "result"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/limits/bad-lines", test_bad_lines);
    g_test_add_func("/integration/limits/half-open", test_half_open);
    g_test_add_func("/integration/limits/descriptor-limit", test_descriptor_limit);
    g_test_add_func("/integration/limits/descriptors-exhausted", test_descriptors_exhausted);
    g_test_add_func("/integration/limits/many-half-open", test_many_half_open);
    g_test_add_func("/integration/limits/clients-that-do-not-read", test_clients_that_do_not_read);
    g_test_add_func("/integration/limits/waiting-reads", test_waiting_reads);
    return g_test_run();
}
