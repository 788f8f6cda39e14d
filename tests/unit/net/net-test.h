/* net-test.h - what tests of core/net and core/rpc share: the main loop until a condition holds, and a raw
 * peer that is no ConfConnection, so that both ends cannot share a mistake. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/queue-main.h"
#include "net/listener.h"

static inline gboolean
net_test_tick(gpointer data)
{
    return G_SOURCE_CONTINUE;
}

/* One turn of the main loop; comes back within a few ms where nothing happens. */
static inline void
net_test_iterate(void)
{
    static unsigned tick;
    if (tick == 0)
        tick = g_timeout_add(2, net_test_tick, NULL);
    g_main_context_iteration(NULL, TRUE);
}

#define WAIT_FOR(condition) \
    do { \
        int64_t wait_end = conf_clock_monotonic_usec() + 20 * G_USEC_PER_SEC; \
        while (!(condition)) { \
            if (conf_clock_monotonic_usec() > wait_end) \
                g_error("%s:%d: waited in vain for: %s", __FILE__, __LINE__, #condition); \
            net_test_iterate(); \
        } \
    } while (0)

/* The loop turns for so long: for what must not happen. */
static inline void
net_test_turn_for(unsigned ms)
{
    int64_t end = conf_clock_monotonic_usec() + ms * INT64_C(1000);
    while (conf_clock_monotonic_usec() < end)
        net_test_iterate();
}

/* A peer: a non-blocking socket and what came from it. */
typedef struct {
    int fd;
    GString *received;
    bool eof, reset;
} Peer;

static inline Peer *
peer_new(int fd)
{
    Peer *peer = g_new0(Peer, 1);
    peer->fd = fd;
    peer->received = g_string_new(NULL);
    g_assert_cmpint(fcntl(fd, F_SETFL, O_NONBLOCK), ==, 0);
    return peer;
}

static inline void
peer_free(Peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    g_string_free(peer->received, TRUE);
    g_free(peer);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Peer, peer_free)

/* Takes what is there; answers how much came in all. */
static inline size_t
peer_read(Peer *peer)
{
    char data[65536];
    ssize_t got;
    while (!peer->eof && !peer->reset && (got = recv(peer->fd, data, sizeof(data), 0)) != -1) {
        if (got == 0)
            peer->eof = true;
        g_string_append_len(peer->received, data, got);
    }
    if (!peer->eof && errno != EAGAIN)
        peer->reset = true;
    return peer->received->len;
}

static inline unsigned
peer_count_lines(Peer *peer)
{
    peer_read(peer);
    unsigned lines = 0;
    for (const char *p = peer->received->str; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    return lines;
}

/* Sends all, turning the loop while the other side is slow. */
static inline void
peer_send(Peer *peer, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(peer->fd, data, size, MSG_NOSIGNAL);
        if (sent < 0)
            g_assert_cmpint(errno, ==, EAGAIN);
        if (sent <= 0) {
            net_test_iterate();
            continue;
        }
        data += sent;
        size -= (size_t)sent;
    }
}

static inline void
peer_send_text(Peer *peer, const char *text)
{
    peer_send(peer, text, strlen(text));
}

/* fds[0] for the server, fds[1] for the peer: TCP over loopback. */
static inline void
net_test_tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int door = socket(AF_INET, SOCK_STREAM, 0);
    g_assert_cmpint(bind(door, (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(listen(door, 1), ==, 0);
    g_assert_cmpint(getsockname(door, (struct sockaddr *)&address, &size), ==, 0);
    fds[1] = socket(AF_INET, SOCK_STREAM, 0);
    g_assert_cmpint(connect(fds[1], (struct sockaddr *)&address, size), ==, 0);
    fds[0] = accept(door, NULL, NULL);
    g_assert_cmpint(fds[0], >=, 0);
    close(door);
}
