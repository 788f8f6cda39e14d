/* address.c - addresses of sockets as text, and the options that every socket gets. */
#include "net/address-private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <string.h>

/* Unacknowledged output: 30 s on links that this server dials.  A client that stops reading for 60 s is told
 * so and closed as a slow consumer (protocol.md 6), so the kernel must not end its connection before that. */
enum {
    DIALLED_TIMEOUT_MS = 30 * 1000,
    ACCEPTED_TIMEOUT_MS = 90 * 1000,
    KEEPALIVE_IDLE_S = 60,
    KEEPALIVE_INTERVAL_S = 10
};

static void set_option(int fd, int level, int name, int value);
static bool is_loopback(const ConfAddress *address);

bool
conf_address_parse(const char *text, uint16_t port, ConfAddress *address)
{
    memset(address, 0, sizeof(*address));
    if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons(port);
        return true;
    }
    /* getaddrinfo never asks a server under these flags; it knows scopes, which inet_pton does not. */
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_family = AF_INET6, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(text, NULL, &hints, &found) != 0)
        return false;
    memcpy(address, found->ai_addr, MIN(found->ai_addrlen, sizeof(*address)));
    freeaddrinfo(found);
    address->v6.sin6_port = htons(port);
    return true;
}

socklen_t
conf_address_size(const ConfAddress *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof(address->v6) : sizeof(address->v4);
}

char *
conf_address_to_host(const ConfAddress *address)
{
    char host[NI_MAXHOST];
    if (address->any.sa_family != AF_INET && address->any.sa_family != AF_INET6)
        return g_strdup("local");
    if (getnameinfo(&address->any, conf_address_size(address), host, sizeof(host), NULL, 0, NI_NUMERICHOST) !=
        0)
        return g_strdup("unknown");
    return g_strdup(host);
}

uint16_t
conf_address_port(const ConfAddress *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohs(address->v4.sin_port);
    return address->any.sa_family == AF_INET6 ? ntohs(address->v6.sin6_port) : 0;
}

char *
conf_address_to_text(const char *host, uint16_t port)
{
    if (port == 0)
        return g_strdup(host);
    return g_strdup_printf(strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, port);
}

bool
conf_address_is_own(const ConfAddress *own, const ConfAddress *peer)
{
    if (peer->any.sa_family == AF_UNIX || is_loopback(peer))
        return true;
    if (own->any.sa_family != peer->any.sa_family)
        return false;
    if (peer->any.sa_family == AF_INET)
        return own->v4.sin_addr.s_addr == peer->v4.sin_addr.s_addr;
    return peer->any.sa_family == AF_INET6 && IN6_ARE_ADDR_EQUAL(&own->v6.sin6_addr, &peer->v6.sin6_addr);
}

void
conf_socket_prepare(int fd, bool dialled)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        g_critical("fcntl of a socket: %s", g_strerror(errno));
    int domain = AF_UNSPEC;
    socklen_t size = sizeof(domain);
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
        (domain != AF_INET && domain != AF_INET6))
        return;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, dialled ? DIALLED_TIMEOUT_MS : ACCEPTED_TIMEOUT_MS);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

/* A socket that refuses one (the peer reset it meanwhile) tells so at its next use. */
static void
set_option(int fd, int level, int name, int value)
{
    if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
        g_debug("setsockopt %d/%d: %s", level, name, g_strerror(errno));
}

static bool
is_loopback(const ConfAddress *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
    return address->any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}
