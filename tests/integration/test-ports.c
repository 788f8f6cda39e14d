/* test-ports.c - ports and options from the application object, changed at run time; stop, reload and the management port. */
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
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
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
    test_call(admin, "object.update", "{'type':'application','name':'proxy1','add':{'ports':[{'id':'second','port':%u}]}}", second);
    wait_port(second, true);
    test_call(admin, "object.update", "{'type':'application','name':'proxy1','add':{'ports':[{'id':'second','port':%u}]}}", moved);
    wait_port(moved, true);
    wait_port(second, false);
    test_call(admin, "object.update", "{'type':'application','name':'proxy1','remove':{'ports':['second']}}");
    wait_port(moved, false);
    test_sync(stays);
}

/* A bad value is refused by name, the old one stays; a good one works at once. */
static void
test_options_at_run_time(void)
{
    g_autoptr(TestServer) primary = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(primary);
    test_call(admin, "object.update", "{'type':'application','name':'confserv','patch':{'options':{'confserv':{'max-transaction-operations':'2',"
              "'view-change-max':'plenty'}}}}");
    JsonObject *info = test_call(admin, "server.info", "{}");
    JsonArray *refused = json_object_get_array_member(info, "refusedOptions");
    g_assert_cmpuint(json_array_get_length(refused), ==, 1);
    g_assert_nonnull(strstr(json_array_get_string_element(refused, 0), "view-change-max"));
    test_call_error(admin, -32016, "transaction", "{'operations':[{'op':'create','object':{'type':'host','name':'a'}},"
                    "{'op':'create','object':{'type':'host','name':'b'}},{'op':'create','object':{'type':'host','name':'c'}}]}");
    test_call(admin, "object.update", "{'type':'application','name':'confserv','patch':{'options':null}}");
    test_call(admin, "transaction", "{'operations':[{'op':'create','object':{'type':'host','name':'a'}},"
              "{'op':'create','object':{'type':'host','name':'b'}},{'op':'create','object':{'type':'host','name':'c'}}]}");
}

static void
test_management_port(void)
{
    g_autoptr(TestServer) primary = test_primary_new(NULL);
    g_autoptr(TestClient) client = test_client_new(primary);
    g_autoptr(TestClient) stranger = test_client_connect(test_server_get_port(primary));
    g_autoptr(TestClient) operator = test_client_connect(test_server_get_management_port(primary));
    test_call_error(stranger, -32000, "server.stop", "{}");
    test_call_error(operator, -32602, "server.logLevel", "{'verbose':'shouting'}");
    test_call(operator, "server.logLevel", "{'verbose':'standard'}");
    g_assert_true(json_object_has_member(test_call(operator, "server.info", "{}"), "revision"));
    g_assert_false(json_object_has_member(test_call(stranger, "server.info", "{}"), "revision"));
    test_call(operator, "server.stop", "{'graceful':true}");
    g_assert_cmpstr(json_object_get_string_member(test_wait_notification(client, "session.ending"), "reason"), ==, "stopping");
    test_client_wait_closed(client);
    g_assert_cmpint(test_server_wait_exit(primary), ==, 0);
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
    g_assert_cmpint(json_object_get_int_member(test_call(reader, "object.count", "{'type':'host'}"), "count"), ==, created);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/ports/at-run-time", test_ports_at_run_time);
    g_test_add_func("/integration/ports/options-at-run-time", test_options_at_run_time);
    g_test_add_func("/integration/ports/management-port", test_management_port);
    g_test_add_func("/integration/ports/graceful-stop", test_graceful_stop);
    return g_test_run();
}
