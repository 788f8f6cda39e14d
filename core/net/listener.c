/* listener.c - one port, which may be two sockets: IPv4 and IPv6 each have their own, so that either may
 * be missing. */
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/timer-wheel.h"
#include "net/address-private.h"
#include "net/listener-private.h"
#include "net/poller-private.h"

enum { BACKLOG = 4096, ACCEPTS = 256, PAUSE_MS = 200, PATIENCE_MS = 1000, PORT_TRIES = 20, LOG_EVERY_S = 60 };

typedef struct {
    ConfListener *listener;
    int fd;
    ConfPollerWatch *watch;
} Door;

struct ConfListener {
    ConfPoller *poller;
    char *port_id;
    uint16_t port;
    ConfAcceptFunc func;
    void *data;
    Door doors[2];
    unsigned door_count;
    bool paused;          /* no descriptors */
    int64_t paused_since; /* monotonic usec; 0: a connection was accepted since */
    int64_t logged_at;
    ConfTimer retry;
    ConfListener *next;
};

static unsigned choose_addresses(const char *address, uint16_t port, ConfAddress addresses[2]);
static bool open_doors(ConfListener *listener, ConfAddress *addresses, unsigned count, GError **error);
static int open_socket(ConfAddress *address, int *error_number);
static bool is_missing(int error_number);
static void close_doors(ConfListener *listener);
static bool watch_doors(ConfListener *listener, GError **error);
static void accept_some(void *data, uint32_t events);
static void accepted(ConfListener *listener, int fd);
static void pause_listener(ConfListener *listener, int error_number);
static void try_again(void *data);
static void go_on(ConfListener *listener);
static void refuse_waiting(ConfListener *listener);
static void take_reserve(void);

static ConfListener *listeners;
/* Given up to accept, and so to refuse, a connection when no descriptor is left. */
static int reserve = -1;

ConfListener *
conf_listener_new(ConfPoller *poller, const char *address, uint16_t port, const char *port_id,
                  ConfAcceptFunc func, void *data, GError **error)
{
    ConfAddress addresses[2];
    unsigned count = choose_addresses(address, port, addresses);
    if (count == 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "Port %u cannot be opened: \"%s\" is no address",
                    port, address);
        return NULL;
    }
    ConfListener *listener = g_new0(ConfListener, 1);
    listener->poller = poller;
    listener->port_id = g_strdup(port_id);
    listener->func = func;
    listener->data = data;
    listener->next = listeners;
    listeners = listener;
    if (!open_doors(listener, addresses, count, error) || !watch_doors(listener, error)) {
        g_prefix_error(error, "Port %u cannot be opened: ", port);
        conf_listener_free(listener);
        return NULL;
    }
    take_reserve();
    conf_log(CONF_LOG_LISTENING, "port", conf_log_integer(listener->port), "id", port_id, "address",
             address != NULL ? address : "all", NULL);
    return listener;
}

void
conf_listener_free(ConfListener *listener)
{
    if (listener == NULL)
        return;
    ConfListener **link = &listeners;
    while (*link != listener)
        link = &(*link)->next;
    *link = listener->next;
    conf_timer_cancel(&listener->retry);
    close_doors(listener);
    g_free(listener->port_id);
    g_free(listener);
}

uint16_t
conf_listener_get_port(const ConfListener *listener)
{
    return listener->port;
}

void
conf_listeners_descriptor_freed(ConfPoller *poller)
{
    if (reserve < 0)
        take_reserve();
    for (ConfListener *listener = listeners; listener != NULL; listener = listener->next) {
        if (listener->paused && listener->poller == poller)
            go_on(listener);
    }
}

static unsigned
choose_addresses(const char *address, uint16_t port, ConfAddress addresses[2])
{
    bool loopback = g_strcmp0(address, "loopback") == 0;
    if (address != NULL && !loopback)
        return conf_address_parse(address, port, &addresses[0]) ? 1 : 0;
    if (!conf_address_parse(loopback ? "127.0.0.1" : "0.0.0.0", port, &addresses[0]) ||
        !conf_address_parse(loopback ? "::1" : "::", port, &addresses[1]))
        return 0;
    return 2;
}

/* Where the kernel chooses the port, the second socket may find it taken: then both choose anew. */
static bool
open_doors(ConfListener *listener, ConfAddress *addresses, unsigned count, GError **error)
{
    uint16_t port = conf_address_port(&addresses[0]);
    unsigned tries = port == 0 ? PORT_TRIES : 1;
    int error_number = 0;
    while (tries-- > 0) {
        listener->port = port;
        error_number = 0;
        for (unsigned i = 0; i < count && (error_number == 0 || is_missing(error_number)); i++) {
            ConfAddress address = addresses[i];
            if (address.any.sa_family == AF_INET6)
                address.v6.sin6_port = htons(listener->port);
            int fd = open_socket(&address, &error_number);
            if (fd < 0)
                continue;
            error_number = 0;
            listener->port = conf_address_port(&address);
            listener->doors[listener->door_count++] = (Door){.listener = listener, .fd = fd};
        }
        if (listener->door_count > 0 && (error_number == 0 || is_missing(error_number)))
            return true;
        close_doors(listener);
        if (error_number != EADDRINUSE)
            break;
    }
    g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "%s", g_strerror(error_number));
    return false;
}

/* *address gets the port that the kernel chose. */
static int
open_socket(ConfAddress *address, int *error_number)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        *error_number = errno;
        return -1;
    }
    int on = 1;
    socklen_t size = sizeof(*address);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        (address->any.sa_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
        bind(fd, &address->any, conf_address_size(address)) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, &address->any, &size) < 0) {
        *error_number = errno;
        close(fd);
        return -1;
    }
    return fd;
}

/* A machine without IPv6 (or without IPv4): the other one is enough. */
static bool
is_missing(int error_number)
{
    return error_number == EAFNOSUPPORT || error_number == EADDRNOTAVAIL || error_number == EPROTONOSUPPORT;
}

static void
close_doors(ConfListener *listener)
{
    while (listener->door_count > 0) {
        Door *door = &listener->doors[--listener->door_count];
        conf_poller_remove(door->watch);
        close(door->fd);
        *door = (Door){0};
    }
}

static bool
watch_doors(ConfListener *listener, GError **error)
{
    for (unsigned i = 0; i < listener->door_count; i++) {
        Door *door = &listener->doors[i];
        door->watch = conf_poller_add(listener->poller, door->fd, EPOLLIN, accept_some, door, error);
        if (door->watch == NULL)
            return false;
    }
    return true;
}

static void
accept_some(void *data, uint32_t events)
{
    Door *door = data;
    ConfListener *listener = door->listener;
    conf_poller_note("accept");
    /* func may free the listener: its watch is then removed, and the poller keeps that until the turn is
     * over. */
    ConfPollerWatch *watch = door->watch;
    for (unsigned i = 0; i < ACCEPTS && !watch->removed; i++) {
        int fd = accept4(door->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accepted(listener, fd);
            continue;
        }
        if (errno == EAGAIN)
            return;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_listener(listener, errno);
            return;
        }
        /* Else this one connection is gone already (ECONNABORTED, and errors of the network): the next
         * one. */
    }
}

static void
accepted(ConfListener *listener, int fd)
{
    listener->paused_since = 0;
    listener->func(listener, fd, listener->data);
}

static void
pause_listener(ConfListener *listener, int error_number)
{
    for (unsigned i = 0; i < listener->door_count; i++)
        conf_poller_modify(listener->doors[i].watch, 0);
    listener->paused = true;
    int64_t now = conf_poller_now(listener->poller);
    if (listener->paused_since == 0)
        listener->paused_since = now;
    /* Where each connection that goes lets one in, the want begins and ends many times a second. */
    if (listener->logged_at == 0 || now - listener->logged_at > LOG_EVERY_S * INT64_C(1000000)) {
        listener->logged_at = now;
        conf_log(CONF_LOG_DESCRIPTORS_EXHAUSTED, "port", conf_log_integer(listener->port), "error",
                 g_strerror(error_number), NULL);
    }
    conf_timer_arm(&listener->retry, PAUSE_MS, try_again, listener);
}

/* A short want is waited out, the connections standing in the backlog.  A long one: they are refused, for
 * their clients do better to try another server than to wait. */
static void
try_again(void *data)
{
    ConfListener *listener = data;
    if (conf_poller_now(listener->poller) - listener->paused_since >= PATIENCE_MS * INT64_C(1000))
        refuse_waiting(listener);
    go_on(listener);
}

static void
go_on(ConfListener *listener)
{
    listener->paused = false;
    conf_timer_cancel(&listener->retry);
    for (unsigned i = 0; i < listener->door_count; i++)
        conf_poller_modify(listener->doors[i].watch, EPOLLIN);
}

static void
refuse_waiting(ConfListener *listener)
{
    for (unsigned i = 0; i < listener->door_count; i++) {
        for (unsigned n = 0; n < ACCEPTS && reserve >= 0; n++) {
            close(reserve);
            reserve = -1;
            int fd = accept4(listener->doors[i].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd >= 0)
                close(fd);
            take_reserve();
            if (fd < 0)
                break;
        }
    }
}

static void
take_reserve(void)
{
    if (reserve < 0)
        reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}
