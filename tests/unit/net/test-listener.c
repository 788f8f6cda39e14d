/* Tests of net/listener: ports of both families, and the want of descriptors. */
#include <arpa/inet.h>
#include <sys/resource.h>

#include "base/error.h"
#include "net-test.h"

typedef struct {
    int fds[2048];
    unsigned count;
    bool keep;
} Accepted;

static void
on_accept(ConfListener *listener, int fd, void *data)
{
    Accepted *accepted = data;
    if (accepted->keep)
        accepted->fds[accepted->count] = fd;
    else
        close(fd);
    accepted->count++;
}

static int
start_connect(int family, uint16_t port)
{
    struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int result = family == AF_INET ? connect(fd, (struct sockaddr *)&v4, sizeof(v4))
                                   : connect(fd, (struct sockaddr *)&v6, sizeof(v6));
    if (result == 0 || errno == EINPROGRESS)
        return fd;
    close(fd);
    return -1;
}

static bool
has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

static void
test_both_families(gconstpointer address)
{
    Accepted accepted = {0};
    g_autoptr(GError) error = NULL;
    ConfListener *listener =
        conf_listener_new(conf_poller_default(), address, 0, "default", on_accept, &accepted, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(conf_listener_get_port(listener), !=, 0);
    int v4 = start_connect(AF_INET, conf_listener_get_port(listener));
    WAIT_FOR(accepted.count == 1);
    close(v4);
    if (has_ipv6()) {
        int v6 = start_connect(AF_INET6, conf_listener_get_port(listener));
        WAIT_FOR(accepted.count == 2);
        close(v6);
    }
    conf_listener_free(listener);
}

static void
test_one_address(void)
{
    Accepted accepted = {0};
    g_autoptr(GError) error = NULL;
    ConfListener *listener =
        conf_listener_new(conf_poller_default(), "127.0.0.1", 0, "a", on_accept, &accepted, &error);
    g_assert_no_error(error);
    ConfListener *second =
        conf_listener_new(conf_poller_default(), "127.0.0.1", conf_listener_get_port(listener), "b",
                          on_accept, &accepted, &error);
    g_assert_null(second);
    g_assert_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE);
    conf_listener_free(listener);
    g_clear_error(&error);
    g_assert_null(
        conf_listener_new(conf_poller_default(), "no-address", 0, "c", on_accept, &accepted, &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
}

/* More than one turn accepts. */
static void
test_many_at_once(void)
{
    Accepted accepted = {0};
    ConfListener *listener =
        conf_listener_new(conf_poller_default(), "loopback", 0, "default", on_accept, &accepted, NULL);
    int fds[600];
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++)
        fds[i] = start_connect(AF_INET, conf_listener_get_port(listener));
    WAIT_FOR(accepted.count == G_N_ELEMENTS(fds));
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++)
        close(fds[i]);
    conf_listener_free(listener);
}

/* With no descriptor left connections wait, and after a while are refused; once there are some again they
 * come in. */
static void
test_want_of_descriptors(void)
{
    Accepted accepted = {.keep = true};
    ConfListener *listener =
        conf_listener_new(conf_poller_default(), "loopback", 0, "default", on_accept, &accepted, NULL);
    uint16_t port = conf_listener_get_port(listener);
    struct rlimit old, less;
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
    int waiting = start_connect(AF_INET, port), refused = start_connect(AF_INET, port);
    int top = open("/dev/null", O_RDONLY);
    close(top);
    less = (struct rlimit){.rlim_cur = (rlim_t)top, .rlim_max = old.rlim_max};
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &less), ==, 0);
    net_test_turn_for(50);
    g_assert_cmpuint(accepted.count, ==, 0);

    /* One waits in vain for longer than the listener's patience. */
    g_autoptr(Peer) peer = peer_new(refused);
    WAIT_FOR((peer_read(peer), peer->eof || peer->reset));
    g_assert_cmpuint(accepted.count, ==, 0);

    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &old), ==, 0);
    int later = start_connect(AF_INET, port);
    WAIT_FOR(accepted.count == 1);
    close(accepted.fds[0]);
    close(later);
    close(waiting);
    conf_listener_free(listener);
}

static void
free_listener(ConfListener *listener, int fd, void *data)
{
    close(fd);
    conf_listener_free(listener);
    *(bool *)data = true;
}

static void
test_freed_by_its_func(void)
{
    bool freed = false;
    ConfListener *listener =
        conf_listener_new(conf_poller_default(), "loopback", 0, "default", free_listener, &freed, NULL);
    int first = start_connect(AF_INET, conf_listener_get_port(listener));
    int second = start_connect(AF_INET, conf_listener_get_port(listener));
    WAIT_FOR(freed);
    net_test_turn_for(10);
    close(first);
    close(second);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    g_test_add_data_func("/listener/all-addresses", NULL, test_both_families);
    g_test_add_data_func("/listener/loopback", "loopback", test_both_families);
    g_test_add_func("/listener/one-address", test_one_address);
    g_test_add_func("/listener/many-at-once", test_many_at_once);
    g_test_add_func("/listener/want-of-descriptors", test_want_of_descriptors);
    g_test_add_func("/listener/freed-by-its-func", test_freed_by_its_func);
    return g_test_run();
}
