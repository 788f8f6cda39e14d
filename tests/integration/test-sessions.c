/* test-sessions.c - how sessions come about and end: log-ins that tell nothing by their time, passwords
 * changed at the same time, ports for user interfaces and for management, batches, proxies that hold no
 * passwords. */
#include "fixture.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INT G_GINT64_FORMAT

static int64_t
new_person(TestClient *admin, const char *name)
{
    JsonObject *result = test_call(admin, "object.create", "{'object':{'type':'person','name':'%s'}}", name);
    int64_t person = json_object_get_int_member(result, "dbid");
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'pw'}", person);
    return person;
}

static void
grant(TestClient *admin, const char *application, int64_t person, const char *rights)
{
    test_call(admin, "permission.update",
              "{'type':'application','name':'%s','grant':[{'account':{'type':'person','dbid':%" INT
              "},'rights':[%s]}]}",
              application, person, rights);
}

static int
try_login(TestServer *server, const char *user, const char *password, const char *application)
{
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    int64_t id = test_send(client, "session.open", "{'user':'%s','password':'%s','application':'%s'}", user,
                           password, application);
    JsonObject *response = test_wait_response(client, id);
    JsonObject *error =
        json_object_has_member(response, "error") ? json_object_get_object_member(response, "error") : NULL;
    return error != NULL ? (int)json_object_get_int_member(error, "code") : 0;
}

/* Whoever knows the password and may not use the application learns it by no faster answer: every refusal
 * costs one hash, and the right password, known since a moment ago, none. */
static void
test_refusals_cost_the_same(void)
{
    g_autoptr(TestServer) server = test_primary_new("login-attempts = 100");
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t person = new_person(admin, "worker");
    grant(admin, "confctl", person, "'execute'");
    test_call(admin, "object.create",
              "{'object':{'type':'application','name':'closed','applicationType':'genericClient'}}");
    g_assert_cmpint(try_login(server, "worker", "pw", "confctl"), ==, 0);
    static const struct {
        const char *user, *password, *application;
        int code, hashes;
    } cases[] = {
        {"worker", "pw", "confctl", 0, 0},         {"worker", "pw", "closed", -32001, 1},
        {"worker", "pw", "no-such", -32001, 1},    {"worker", "wrong", "closed", -32001, 1},
        {"worker", "wrong", "confctl", -32001, 1}, {"nobody", "pw", "confctl", -32001, 1},
        {"nobody", "pw", "no-such", -32001, 1},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        int64_t before = test_statistic(admin, "passwordHashes");
        g_assert_cmpint(try_login(server, cases[i].user, cases[i].password, cases[i].application), ==,
                        cases[i].code);
        g_assert_cmpint(test_statistic(admin, "passwordHashes") - before, ==, cases[i].hashes);
    }
}

/* One's own change and an administrator's, committed by one batch in either order: the session ends, and the
 * administrator's password is the one that holds. */
static void
test_password_race(void)
{
    enum { ROUNDS = 6, OPERATIONS = 3000 };
    g_autoptr(TestServer) server = test_primary_new("login-attempts = 100");
    g_autoptr(TestClient) admin = test_client_new(server);
    g_autoptr(TestClient) other = test_client_new(server);
    int64_t person = new_person(admin, "worker");
    grant(admin, "confctl", person, "'execute'");
    for (unsigned round = 0; round < ROUNDS; round++) {
        test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'first%u'}", person, round);
        g_autofree char *first = g_strdup_printf("first%u", round);
        g_autoptr(TestClient) own = test_client_new_as(server, "worker", first, "confctl");
        /* The queue of commits is busy until both are hashed. */
        g_autoptr(GString) operations = g_string_new(NULL);
        for (unsigned i = 0; i < OPERATIONS; i++)
            g_string_append_printf(operations, "%s{'op':'create','object':{'type':'host','name':'h%u-%u'}}",
                                   i > 0 ? "," : "", round, i);
        int64_t set =
            test_send(admin, "account.setPassword", "{'dbid':%" INT ",'password':'admin%u'}", person, round);
        if (round % 2 == 1)
            g_usleep(2000 * round);
        test_send(own, "session.changePassword", "{'old':'%s','new':'own%u'}", first, round);
        int64_t big = test_send(other, "transaction", "{'operations':[%s]}", operations->str);
        g_assert_true(json_object_has_member(test_wait_response(admin, set), "result"));
        test_client_wait_closed(own);
        g_assert_cmpstr(
            json_object_get_string_member(test_wait_notification(own, "session.ending"), "reason"), ==,
            "account");
        g_assert_true(json_object_has_member(test_wait_response(other, big), "result"));
        g_autofree char *theirs = g_strdup_printf("admin%u", round), *mine = g_strdup_printf("own%u", round);
        g_assert_cmpint(try_login(server, "worker", theirs, "confctl"), ==, 0);
        g_assert_cmpint(try_login(server, "worker", mine, "confctl"), ==, -32001);
    }
}

/* One that is to be opened at run time. */
static TestClient *
connect_when_open(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int64_t deadline = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
    bool open = false;
    while (!open) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        open = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
        close(fd);
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(open ? 0 : 5000);
    }
    return test_client_connect(port);
}

/* A port for user interfaces takes up no session that could not have been opened there. */
static void
test_resume_at_ui_port(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    uint16_t port = test_free_port();
    test_call(admin, "object.create",
              "{'object':{'type':'application','name':'urs','applicationType':'genericServer'}}");
    test_call(admin, "object.update",
              "{'type':'application','name':'confserv','patch':{'ports':[{'id':'default','port':%u},"
              "{'id':'second','port':%u,'clients':'ui'}]}}",
              test_server_get_port(server), port);
    TestClient *first = test_client_new_as(server, "default", TEST_PASSWORD, "urs");
    g_autofree char *token = test_client_dup_token(first), *environment = test_client_dup_environment(first);
    test_client_free(first);
    test_wait_statistic(admin, "sessionsBroken", 1);
    int64_t revision = json_object_get_int_member(test_call(admin, "object.count", "{}"), "revision");
    g_autoptr(TestClient) at_ui = connect_when_open(port);
    test_call_error(at_ui, -32001, "session.open", "{'user':'default','password':'%s','application':'urs'}",
                    TEST_PASSWORD);
    test_call_error(at_ui, -32001, "session.resume",
                    "{'session':'%s','environment':'%s','revision':%" INT "}", token, environment, revision);
    /* The session has not ended by it, and a user interface's is taken up. */
    g_autoptr(TestClient) at_default = test_client_connect(test_server_get_port(server));
    test_call(at_default, "session.resume", "{'session':'%s','environment':'%s','revision':%" INT "}", token,
              environment, revision);
    g_autofree char *own = test_client_dup_token(admin);
    test_call(at_ui, "session.resume", "{'session':'%s','environment':'%s','revision':%" INT "}", own,
              environment, revision);
}

/* Reads "[answers]" whatever comes before it. */
static JsonArray *
read_answers(TestClient *client, JsonParser *parser)
{
    const char *line;
    do
        line = test_client_read_line(client);
    while (line != NULL && line[0] != '[');
    g_assert_nonnull(line);
    g_assert_true(json_parser_load_from_data(parser, line, -1, NULL));
    return json_node_get_array(json_parser_get_root(parser));
}

/* What stands behind a log-in in its batch waits for it, as a line would; also behind a replay and a
 * second log-in. */
static void
test_batch_in_order(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    for (unsigned i = 0; i < 50; i++)
        test_call(admin, "object.create", "{'object':{'type':'host','name':'h%u'}}", i);
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    static const char batch[] =
        "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session.open\",\"params\":{\"user\":\"default\",\"password\":\"wrong\","
        "\"application\":\"confctl\"}},"
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"session.open\",\"params\":{\"user\":\"default\",\"password\":\"" TEST_PASSWORD
        "\",\"application\":\"confctl\"}},"
        "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"subscription.open\",\"params\":{\"since\":1}},"
        "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"object.count\",\"params\":{\"type\":\"host\"}},"
        "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"session.list\",\"params\":{}}]\n"
        "{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"object.count\",\"params\":{}}\n";
    test_client_write(client, batch, strlen(batch));
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonArray *answers = read_answers(client, parser);
    g_assert_cmpuint(json_array_get_length(answers), ==, 5);
    for (unsigned i = 0; i < 5; i++) {
        JsonObject *answer = json_array_get_object_element(answers, i);
        g_assert_cmpint(json_object_get_int_member(answer, "id"), ==, i + 1);
        g_assert_cmpint(json_object_has_member(answer, "error"), ==, i == 0);
    }
    JsonObject *counted = json_object_get_object_member(json_array_get_object_element(answers, 3), "result");
    g_assert_cmpint(json_object_get_int_member(counted, "count"), ==, 50);
    const char *line = test_client_read_line(client); /* The next line came after the batch. */
    g_assert_nonnull(strstr(line, "\"id\":6"));
    /* One whose client goes in between leaves nothing behind. */
    g_autoptr(TestClient) gone = test_client_connect(test_server_get_port(server));
    test_client_write(gone, batch, strlen(batch));
    test_client_abort(gone);
    test_wait_statistic(admin, "sessionsBroken", 0);
    test_sync(admin);
}

static void
test_list_shows_clients(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) named = test_client_connect(test_server_get_port(server));
    test_call(
        named, "session.open",
        "{'user':'default','password':'%s','application':'confctl','client':{'name':'desk','version':'7.1'}}",
        TEST_PASSWORD);
    g_autoptr(TestClient) nameless = test_client_connect(test_server_get_port(server));
    test_call(nameless, "session.open", "{'user':'default','password':'%s','application':'confctl'}",
              TEST_PASSWORD);
    JsonArray *list = json_object_get_array_member(test_call(named, "session.list", "{}"), "sessions");
    g_assert_cmpuint(json_array_get_length(list), ==, 2);
    JsonObject *client = json_object_get_object_member(json_array_get_object_element(list, 0), "client");
    g_assert_cmpstr(json_object_get_string_member(client, "name"), ==, "desk");
    g_assert_cmpstr(json_object_get_string_member(client, "version"), ==, "7.1");
    g_assert_false(json_object_has_member(json_array_get_object_element(list, 1), "client"));
}

/* A proxy whose account is no administrator is given no passwords: it says so, whoever asks, and pauses
 * nobody. */
static void
test_proxy_without_passwords(void)
{
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autoptr(TestServer) proxy = test_proxy_new(master, "px", NULL);
    g_autoptr(TestClient) admin = test_client_new(master);
    int64_t person = new_person(admin, "follower");
    grant(admin, "px", person, "'read','execute'");
    grant(admin, "confctl", person, "'read','execute'");
    TestClient *reader = test_client_new(proxy);
    test_wait_revision(reader,
                       json_object_get_int_member(test_call(admin, "object.count", "{}"), "revision"));
    test_client_free(reader);
    g_assert_cmpint(try_login(proxy, "follower", "pw", "confctl"), ==, 0);
    test_server_signal(proxy, SIGTERM);
    g_autofree char *file = g_build_filename(test_server_get_folder(proxy), "follower", NULL);
    g_assert_true(g_file_set_contents(file, "pw\n", -1, NULL));
    test_server_set_arguments(proxy, "-user follower -password-file follower");
    test_server_start(proxy);
    for (unsigned i = 0; i < 12; i++) {
        g_assert_cmpint(try_login(proxy, "follower", "pw", "confctl"), ==, -32013);
        g_assert_cmpint(try_login(proxy, "nobody", "pw", "confctl"), ==, -32013);
    }
    /* With the right they come. */
    test_server_signal(proxy, SIGTERM);
    test_server_set_arguments(proxy, NULL);
    test_server_start(proxy);
    g_assert_cmpint(try_login(proxy, "follower", "pw", "confctl"), ==, 0);
    g_assert_cmpint(try_login(proxy, "follower", "wrong", "confctl"), ==, -32001);
}

/* TLS demanded where there is none locks nobody out who is on the machine. */
static void
test_plain_login_at_management_port(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    test_call(
        admin, "object.update",
        "{'type':'application','name':'confserv','patch':{'options':{'confserv':{'plain-login':'refuse'}}}}");
    g_assert_cmpint(try_login(server, "default", TEST_PASSWORD, "confctl"), ==, -32018);
    uint16_t rescue = test_free_port();
    g_autofree char *arguments = g_strdup_printf("-rescue-port %u", rescue);
    test_server_signal(server, SIGTERM);
    test_server_set_arguments(server, arguments);
    test_server_start(server);
    g_autoptr(TestClient) at_management = test_client_connect(test_server_get_management_port(server));
    test_call(at_management, "session.open", "{'user':'default','password':'%s','application':'confctl'}",
              TEST_PASSWORD);
    g_autoptr(TestClient) at_rescue = test_client_connect(rescue);
    test_call(at_rescue, "session.open", "{'user':'default','password':'%s','application':'confctl'}",
              TEST_PASSWORD);
    g_assert_cmpint(try_login(server, "default", TEST_PASSWORD, "confctl"), ==, -32018);
    test_call(at_rescue, "object.update",
              "{'type':'application','name':'confserv','patch':{'options':null}}");
    g_assert_cmpint(try_login(server, "default", TEST_PASSWORD, "confctl"), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/sessions/refusals-cost-the-same", test_refusals_cost_the_same);
    g_test_add_func("/integration/sessions/password-race", test_password_race);
    g_test_add_func("/integration/sessions/resume-at-ui-port", test_resume_at_ui_port);
    g_test_add_func("/integration/sessions/batch-in-order", test_batch_in_order);
    g_test_add_func("/integration/sessions/list-shows-clients", test_list_shows_clients);
    g_test_add_func("/integration/sessions/proxy-without-passwords", test_proxy_without_passwords);
    g_test_add_func("/integration/sessions/plain-login-at-management-port",
                    test_plain_login_at_management_port);
    return g_test_run();
}
