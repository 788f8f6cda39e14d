/* Tests of net/connection: outgoing connections. */
#include "server-test.h"

typedef struct {
    ConfListener *listener;
    Server *server; /* of the connection accepted last */
} Target;

static void
target_accept(ConfListener *listener, int fd, void *data)
{
    Target *target = data;
    target->server = server_new(fd);
    target->server->on_line = server_echo;
}

static Server *
dial(const char *host, uint16_t port, unsigned timeout_ms, const char *transport)
{
    Server *server = server_new_empty();
    server->connection = conf_connection_new_outgoing(conf_poller_default(), host, port, timeout_ms,
                                                      transport, &server_funcs, server);
    return server;
}

static void
test_connects(gconstpointer host)
{
    Target target = {0};
    g_autoptr(GError) error = NULL;
    target.listener =
        conf_listener_new(conf_poller_default(), "loopback", 0, "default", target_accept, &target, &error);
    g_assert_no_error(error);
    g_autoptr(Server) client =
        dial(host, conf_listener_get_port(target.listener), 5000, " colour = 1 ;certificate=/x=y.pem;flag");
    g_assert_true(conf_connection_is_outgoing(client->connection));
    g_assert_cmpstr(conf_connection_get_host(client->connection), ==, host);
    /* What is written before the connection stands goes out when it does. */
    conf_connection_send_copy(client->connection, CONF_SLICE("early\n"), CONF_OUTPUT_ANSWER);
    WAIT_FOR(client->opened == 1);
    WAIT_FOR(client->line_count == 1);
    g_assert_cmpstr(client->lines->str, ==, "early\n");
    g_assert_cmpstr(conf_connection_get_port_id(client->connection), ==, "");
    g_assert_cmpstr(conf_connection_get_option(client->connection, "any", "colour"), ==, "1");
    g_assert_cmpstr(conf_connection_get_option(client->connection, "any", "certificate"), ==, "/x=y.pem");
    g_assert_cmpstr(conf_connection_get_option(client->connection, "any", "flag"), ==, "");
    g_assert_null(conf_connection_get_option(client->connection, "any", "other"));
    g_assert_true(conf_connection_is_loopback(client->connection));
    server_free(target.server);
    WAIT_FOR(client->closed == 1);
    conf_listener_free(target.listener);
}

static const char *
lookup_option(const ConfConnection *connection, const char *section, const char *key, void *data)
{
    g_assert_cmpstr(section, ==, "tls");
    return strcmp(key, "tls") == 0 || strcmp(key, "trusted-ca") == 0 ? data : NULL;
}

/* The connection's own transport comes before what the server knows. */
static void
test_options_in_order(void)
{
    conf_connection_set_option_func(lookup_option, (void *)"from above");
    g_autoptr(Server) client = dial("127.0.0.1", 1, 1000, "tls=1");
    g_assert_cmpstr(conf_connection_get_option(client->connection, "tls", "tls"), ==, "1");
    g_assert_cmpstr(conf_connection_get_option(client->connection, "tls", "trusted-ca"), ==, "from above");
    g_assert_null(conf_connection_get_option(client->connection, "tls", "cipher-list"));
    conf_connection_set_option_func(NULL, NULL);
    g_assert_null(conf_connection_get_option(client->connection, "tls", "trusted-ca"));
}

static uint16_t
closed_port(void)
{
    int fds[2];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    g_assert_cmpint(bind(fds[0], (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(getsockname(fds[0], (struct sockaddr *)&address, &size), ==, 0);
    close(fds[0]);
    return ntohs(address.sin_port);
}

static void
test_refused(void)
{
    g_autoptr(Server) client = dial("127.0.0.1", closed_port(), 5000, NULL);
    WAIT_FOR(client->closed == 1);
    g_assert_cmpuint(client->opened, ==, 0);
    g_assert_true(g_str_has_prefix(client->reason, "127.0.0.1:"));
    g_assert_true(g_str_has_suffix(client->reason, "Connection refused"));
}

/* All addresses of a name are tried, and each is told. */
static void
test_refused_by_name(void)
{
    g_autoptr(Server) client = dial("localhost", closed_port(), 5000, NULL);
    WAIT_FOR(client->closed == 1);
    g_assert_cmpuint(client->opened, ==, 0);
    g_assert_nonnull(strstr(client->reason, "127.0.0.1:"));
}

static void
test_unknown_name(void)
{
    g_autoptr(Server) client = dial("no-such-host.invalid", 1, 5000, NULL);
    WAIT_FOR(client->closed == 1);
    g_assert_cmpuint(client->opened, ==, 0);
    g_assert_nonnull(strstr(client->reason, "no-such-host.invalid"));
}

/* A door whose backlog is full answers nothing: the time limit ends the attempt. */
static void
test_no_answer(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int door = socket(AF_INET, SOCK_STREAM, 0), fillers[8];
    g_assert_cmpint(bind(door, (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(listen(door, 0), ==, 0);
    g_assert_cmpint(getsockname(door, (struct sockaddr *)&address, &size), ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(fillers); i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(fillers[i], (struct sockaddr *)&address, size) < 0)
            g_assert_cmpint(errno, ==, EINPROGRESS);
    }
    net_test_turn_for(20);
    g_autoptr(Server) client = dial("127.0.0.1", ntohs(address.sin_port), 300, NULL);
    WAIT_FOR(client->closed == 1);
    g_assert_cmpuint(client->opened, ==, 0);
    g_assert_nonnull(strstr(client->reason, "no answer"));
    for (unsigned i = 0; i < G_N_ELEMENTS(fillers); i++)
        close(fillers[i]);
    close(door);
}

/* Given up while the name is looked up, or the connection is under way: nothing is called afterwards. */
static void
test_close_early(void)
{
    for (unsigned turns = 0; turns < 3; turns++) {
        Server *by_name = dial("localhost", closed_port(), 5000, NULL);
        Server *by_number = dial("127.0.0.1", closed_port(), 5000, NULL);
        for (unsigned i = 0; i < turns; i++)
            net_test_iterate();
        if (by_name->connection != NULL)
            conf_connection_close(by_name->connection, "Given up");
        if (by_number->connection != NULL)
            conf_connection_close_after_answer(by_number->connection, "Given up");
        WAIT_FOR(by_name->closed == 1 && by_number->closed == 1);
        server_free(by_name);
        server_free(by_number);
    }
    net_test_turn_for(50);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    g_test_add_data_func("/connection/outgoing/by-number", "127.0.0.1", test_connects);
    g_test_add_data_func("/connection/outgoing/by-name", "localhost", test_connects);
    g_test_add_func("/connection/outgoing/options", test_options_in_order);
    g_test_add_func("/connection/outgoing/refused", test_refused);
    g_test_add_func("/connection/outgoing/refused-by-name", test_refused_by_name);
    g_test_add_func("/connection/outgoing/unknown-name", test_unknown_name);
    g_test_add_func("/connection/outgoing/no-answer", test_no_answer);
    g_test_add_func("/connection/outgoing/close-early", test_close_early);
    return g_test_run();
}
