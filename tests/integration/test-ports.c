/* test-ports.c - ports and options from the application object, changed at run time; stop, reload and the
 * management port. */
#include "fixture.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool
is_open(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool open = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return open;
}

static void
wait_port(uint16_t port, bool open)
{
    int64_t deadline = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
    while (is_open(port) != open) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(5000);
    }
}

/* Ports come and go; whoever is connected stays. */
static void
test_ports_at_run_time(void)
{
    g_autoptr(TestServer) primary = test_primary_new(NULL);
    g_autoptr(TestServer) proxy = test_proxy_new(primary, "proxy1", NULL);
    g_autoptr(TestClient) admin = test_client_new(primary);
    g_autoptr(TestClient) stays = test_client_new(proxy);
    uint16_t second = test_free_port(), moved = test_free_port();
    test_call(admin, "object.update",
              "{'type':'application','name':'proxy1','add':{'ports':[{'id':'second','port':%u}]}}", second);
    wait_port(second, true);
    test_call(admin, "object.update",
              "{'type':'application','name':'proxy1','add':{'ports':[{'id':'second','port':%u}]}}", moved);
    wait_port(moved, true);
    wait_port(second, false);
    test_call(admin, "object.update", "{'type':'application','name':'proxy1','remove':{'ports':['second']}}");
    wait_port(moved, false);
    test_sync(stays);
}

static void
set_ports(TestClient *admin, TestServer *server, const char *others)
{
    test_call(admin, "object.update",
              "{'type':'application','name':'confserv','patch':{'ports':[{'id':'default','port':%u}%s%s]}}",
              test_server_get_port(server), others[0] != '\0' ? "," : "", others);
}

/* Does server.info refuse something of which it says `text`? */
static bool
is_refused(TestClient *client, const char *text)
{
    JsonArray *refused =
        json_object_get_array_member(test_call(client, "server.info", "{}"), "refusedOptions");
    for (unsigned i = 0; i < json_array_get_length(refused); i++) {
        if (strstr(json_array_get_string_element(refused, i), text) != NULL)
            return true;
    }
    return false;
}

static void
wait_refused(TestClient *client, const char *text, bool refused)
{
    int64_t deadline = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
    while (is_refused(client, text) != refused) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(5000);
    }
}

#define OPEN \
    "{'user':'default','password':'" TEST_PASSWORD "','application':'%s','client':{'name':'t','version':'1'}}"

static void
assert_not_admitted(uint16_t port, const char *application, const char *why)
{
    g_autoptr(TestClient) client = test_client_connect(port);
    JsonObject *error = test_call_error(client, -32001, "session.open", OPEN, application);
    g_assert_nonnull(strstr(json_object_get_string_member(error, "message"), why));
}

static void
assert_admitted(uint16_t port, const char *application)
{
    g_autoptr(TestClient) client = test_client_connect(port);
    test_call(client, "session.open", OPEN, application);
}

/* A port for user interfaces takes no server, neither by log-in nor by resumption. */
static void
test_ui_port(void)
{
    g_autoptr(TestServer) primary = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(primary);
    uint16_t normal = test_server_get_port(primary), ui = test_free_port();
    test_call(admin, "object.create",
              "{'object':{'type':'application','name':'srv','applicationType':'genericServer'}}");
    g_autofree char *port = g_strdup_printf("{'id':'ui','port':%u,'clients':'ui'}", ui);
    set_ports(admin, primary, port);
    wait_port(ui, true);
    assert_admitted(ui, "confctl");
    assert_not_admitted(ui, "srv", "user interfaces");
    assert_admitted(normal, "srv");

    g_autoptr(TestClient) server = test_client_connect(normal);
    JsonObject *session = test_call(server, "session.open", OPEN, "srv");
    JsonObject *about = json_object_get_object_member(session, "server");
    g_autofree char *resume = g_strdup_printf(
        "{'session':'%s','environment':'%s','revision':%" G_GINT64_FORMAT "}",
        json_object_get_string_member(session, "session"),
        json_object_get_string_member(about, "environment"), json_object_get_int_member(about, "revision"));
    test_client_abort(server);
    g_autoptr(TestClient) wrong = test_client_connect(ui);
    test_call_error(wrong, -32001, "session.resume", "%s", resume);
    g_autoptr(TestClient) right = test_client_connect(normal);
    test_call(right, "session.resume", "%s", resume);
}

/* Who restricts the port that everybody knows would lock himself out. */
static void
test_default_port_is_not_restricted(void)
{
    g_autoptr(TestServer) primary = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(primary);
    test_call(admin, "object.create",
              "{'object':{'type':'application','name':'srv','applicationType':'genericServer'}}");
    g_assert_false(is_refused(admin, "ports/default"));
    test_call(
        admin, "object.update",
        "{'type':'application','name':'confserv','patch':{'ports':[{'id':'default','port':%u,'clients':'ui'}]}}",
        test_server_get_port(primary));
    g_assert_true(is_refused(admin, "ports/default: clients ui is ignored"));
    assert_admitted(test_server_get_port(primary), "srv");
    set_ports(admin, primary, "");
    g_assert_false(is_refused(admin, "ports/default"));
}

static void
test_ha_port(void)
{
    g_autoptr(TestServer) primary = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(primary);
    uint16_t number = test_free_port();
    test_call(admin, "object.create",
              "{'object':{'type':'application','name':'other','applicationType':'configurationServer'}}");
    int64_t other = json_object_get_int_member(
        json_object_get_object_member(
            test_call(admin, "object.read", "{'type':'application','name':'other'}"), "object"),
        "dbid");
    g_autofree char *port = g_strdup_printf("{'id':'sync','port':%u,'haSync':true,'clients':'ui'}", number);
    set_ports(admin, primary, port);
    wait_port(number, true);
    g_assert_true(is_refused(admin, "ports/sync: clients ui is ignored"));
    assert_not_admitted(number, "confctl", "redundant pair");
    assert_not_admitted(number, "other", "redundant pair");
    test_call(admin, "object.update",
              "{'type':'application','name':'confserv','patch':{'backup':%" G_GINT64_FORMAT "}}", other);
    assert_admitted(number, "other");
    assert_not_admitted(number, "confctl", "redundant pair");
}

static int
listen_on(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(fd, 5), ==, 0);
    return fd;
}

/* A number that is taken: the port stays where it was, that is told, and it moves when it can. */
static void
test_port_in_use(void)
{
    g_autoptr(TestServer) primary = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(primary);
    uint16_t first = test_free_port(), taken = test_free_port();
    g_autofree char *at_first = g_strdup_printf("{'id':'second','port':%u}", first);
    g_autofree char *at_taken = g_strdup_printf("{'id':'second','port':%u}", taken);
    set_ports(admin, primary, at_first);
    wait_port(first, true);
    g_autoptr(TestClient) stays = test_client_connect(first);
    test_call(stays, "session.open", OPEN, "confctl");
    int fd = listen_on(taken);
    set_ports(admin, primary, at_taken);
    wait_refused(admin, "ports/second: Port", true);
    assert_admitted(first, "confctl");
    test_sync(stays);
    close(fd);
    wait_refused(admin, "ports/second", false);
    assert_admitted(taken, "confctl");
    g_assert_false(is_open(first));
    test_sync(stays);
    set_ports(admin, primary, "");
    wait_port(taken, false);
    test_sync(stays);
}

static bool
is_open_at_ipv6(uint16_t port)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool open = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return open;
}

/* Two ports exchange their numbers; a port goes to another address under its number. */
static void
test_ports_moved(void)
{
    g_autoptr(TestServer) primary = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(primary);
    test_call(admin, "object.create",
              "{'object':{'type':'application','name':'srv','applicationType':'genericServer'}}");
    uint16_t a = test_free_port(), b = test_free_port();
    g_autofree char *before =
        g_strdup_printf("{'id':'a','port':%u},{'id':'b','port':%u,'clients':'ui'}", a, b);
    g_autofree char *after =
        g_strdup_printf("{'id':'a','port':%u},{'id':'b','port':%u,'clients':'ui'}", b, a);
    set_ports(admin, primary, before);
    wait_port(b, true);
    assert_admitted(a, "srv");
    assert_not_admitted(b, "srv", "user interfaces");
    set_ports(admin, primary, after);
    assert_admitted(b, "srv");
    assert_not_admitted(a, "srv", "user interfaces");

    if (!test_has_ipv6()) {
        g_test_skip("this machine has no IPv6");
        return;
    }
    g_assert_true(is_open_at_ipv6(a));
    g_autofree char *only4 = g_strdup_printf("{'id':'a','port':%u,'transport':'address=127.0.0.1'}", a);
    g_autofree char *only6 = g_strdup_printf("{'id':'a','port':%u,'transport':'address=::1'}", a);
    g_autofree char *nowhere = g_strdup_printf("{'id':'a','port':%u,'transport':'address=nowhere'}", a);
    set_ports(admin, primary, only4);
    g_assert_true(is_open(a));
    g_assert_false(is_open_at_ipv6(a));
    set_ports(admin, primary, only6);
    g_assert_false(is_open(a));
    g_assert_true(is_open_at_ipv6(a));
    set_ports(admin, primary, nowhere);
    wait_refused(admin, "nowhere", true);
    g_assert_true(is_open_at_ipv6(a));
}

/* A bad value is refused by name, the old one stays; a good one works at once. */
static void
test_options_at_run_time(void)
{
    g_autoptr(TestServer) primary = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(primary);
    test_call(
        admin, "object.update",
        "{'type':'application','name':'confserv','patch':{'options':{'confserv':{'max-transaction-operations':'2',"
        "'view-change-max':'plenty'}}}}");
    JsonObject *info = test_call(admin, "server.info", "{}");
    JsonArray *refused = json_object_get_array_member(info, "refusedOptions");
    g_assert_cmpuint(json_array_get_length(refused), ==, 1);
    g_assert_nonnull(strstr(json_array_get_string_element(refused, 0), "view-change-max"));
    test_call_error(
        admin, -32016, "transaction",
        "{'operations':[{'op':'create','object':{'type':'host','name':'a'}},"
        "{'op':'create','object':{'type':'host','name':'b'}},{'op':'create','object':{'type':'host','name':'c'}}]}");
    test_call(admin, "object.update", "{'type':'application','name':'confserv','patch':{'options':null}}");
    test_call(
        admin, "transaction",
        "{'operations':[{'op':'create','object':{'type':'host','name':'a'}},"
        "{'op':'create','object':{'type':'host','name':'b'}},{'op':'create','object':{'type':'host','name':'c'}}]}");
}

static void
test_management_port(void)
{
    g_autoptr(TestServer) primary = test_primary_new(NULL);
    g_autoptr(TestClient) client = test_client_new(primary);
    g_autoptr(TestClient) stranger = test_client_connect(test_server_get_port(primary));
    g_autoptr(TestClient) operator= test_client_connect(test_server_get_management_port(primary));
    test_call_error(stranger, -32000, "server.stop", "{}");
    test_call_error(operator, - 32602, "server.logLevel", "{'verbose':'shouting'}");
    test_call(operator, "server.logLevel", "{'verbose':'standard'}");
    g_assert_true(json_object_has_member(test_call(operator, "server.info", "{}"), "revision"));
    g_assert_false(json_object_has_member(test_call(stranger, "server.info", "{}"), "revision"));
    /* A port of the object that has its name does not take its own settings to it. */
    uint16_t other = test_free_port();
    test_call(client, "object.update",
              "{'type':'application','name':'confserv','add':{'ports':[{'id':'management','port':%u,"
              "'transport':'plain-login=refuse'}]}}",
              other);
    JsonArray *refused =
        json_object_get_array_member(test_call(client, "server.info", "{}"), "refusedOptions");
    g_assert_cmpuint(json_array_get_length(refused), ==, 1);
    g_assert_nonnull(strstr(json_array_get_string_element(refused, 0), "ports/management"));
    g_assert_false(is_open(other));
    g_autoptr(TestClient) second = test_client_connect(test_server_get_management_port(primary));
    test_call(second, "session.open",
              "{'user':'default','password':'" TEST_PASSWORD "','application':'confctl'}");
    test_call(operator, "server.stop", "{'graceful':true}");
    g_assert_cmpstr(json_object_get_string_member(test_wait_notification(client, "session.ending"), "reason"),
                    ==, "stopping");
    test_client_wait_closed(client);
    g_assert_cmpint(test_server_wait_exit(primary), ==, 0);
}

/* Port objects that want the number of the management port, or of each other, are told of and not opened:
 * the server's own port stays what it is, port default is the one that is served, and the next start is
 * one. */
static void
test_numbers_taken(void)
{
    g_autoptr(TestServer) primary = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(primary);
    uint16_t twice = test_free_port();
    g_autofree char *others = g_strdup_printf(
        "{'id':'thief','port':%u,'clients':'ui'},{'id':'first','port':%u,'transport':'address=127.0.0.1'},"
        "{'id':'beside','port':%u,'transport':'address=127.0.0.2'},{'id':'second','port':%u}",
        test_server_get_management_port(primary), twice, twice, twice);
    test_call(
        admin, "object.update",
        "{'type':'application','name':'confserv','patch':{'ports':[{'id':'shadow','port':%u,'clients':'ui'},"
        "{'id':'default','port':%u},%s]}}",
        test_server_get_port(primary), test_server_get_port(primary), others);
    for (unsigned start = 0; start < 2; start++) {
        static const char *const told[] = {"ports/shadow: port default has this number",
                                           "ports/thief: the server has a port of its own",
                                           "ports/second: port first has this number"};
        for (unsigned i = 0; i < G_N_ELEMENTS(told); i++)
            wait_refused(admin, told[i], true);
        wait_refused(admin, "cannot be opened", false);
        wait_port(twice, true);
        g_autoptr(TestClient) operator= test_client_connect(test_server_get_management_port(primary));
        g_assert_true(json_object_has_member(test_call(operator, "server.info", "{}"), "revision"));
        /* By port default, which is not restricted, whatever its shadow says. */
        test_call(admin, "object.count", "{'type':'host'}");
        if (start == 0) {
            test_server_signal(primary, SIGTERM);
            test_server_start(primary);
            test_client_free(admin);
            admin = test_client_new(primary);
        }
    }
}

/* Writes under way when SIGTERM comes are answered before the connection closes, and are there afterwards. */
static void
test_graceful_stop(void)
{
    g_autoptr(TestServer) primary = test_primary_new(NULL);
    g_autoptr(TestClient) client = test_client_new(primary);
    for (unsigned i = 0; i < 200; i++)
        test_send(client, "object.create", "{'object':{'type':'host','name':'h%u'}}", i);
    kill(test_server_get_pid(primary), SIGTERM);
    unsigned created = 0;
    const char *line;
    while ((line = test_client_read_line(client)) != NULL) {
        if (strstr(line, "\"result\":{\"revision\"") != NULL)
            created++;
        else if (strstr(line, "session.ending") != NULL)
            break;
    }
    g_assert_cmpint(test_server_wait_exit(primary), ==, 0);
    test_server_start(primary);
    g_autoptr(TestClient) reader = test_client_new(primary);
    g_assert_cmpint(json_object_get_int_member(test_call(reader, "object.count", "{'type':'host'}"), "count"),
                    ==, created);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/ports/at-run-time", test_ports_at_run_time);
    g_test_add_func("/integration/ports/ui", test_ui_port);
    g_test_add_func("/integration/ports/default-is-not-restricted", test_default_port_is_not_restricted);
    g_test_add_func("/integration/ports/ha", test_ha_port);
    g_test_add_func("/integration/ports/in-use", test_port_in_use);
    g_test_add_func("/integration/ports/moved", test_ports_moved);
    g_test_add_func("/integration/ports/options-at-run-time", test_options_at_run_time);
    g_test_add_func("/integration/ports/management-port", test_management_port);
    g_test_add_func("/integration/ports/numbers-taken", test_numbers_taken);
    g_test_add_func("/integration/ports/graceful-stop", test_graceful_stop);
    return g_test_run();
}
