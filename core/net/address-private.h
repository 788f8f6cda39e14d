/* address-private.h - addresses of sockets as text, and the options that every socket gets. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <glib.h>

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage storage;
} ConfAddress;

/* An address in numbers ("10.1.2.3", "::1", "fe80::1%eth0"). False: it is none. */
bool conf_address_parse(const char *text, uint16_t port, ConfAddress *address);
socklen_t conf_address_size(const ConfAddress *address);
/* "10.1.2.3", "::1"; a socket without an address is "local". Returns new. */
char *conf_address_to_host(const ConfAddress *address);
uint16_t conf_address_port(const ConfAddress *address);
/* "10.1.2.3:4711", "[::1]:4711"; port 0 is left out. Returns new. */
char *conf_address_to_text(const char *host, uint16_t port);
/* Is `peer` on this machine, seen from the own end `own`? */
bool conf_address_is_own(const ConfAddress *own, const ConfAddress *peer);
/* Non-blocking, and on TCP: no delay, a dead peer found within 30 s of unanswered data, and in silence
 * too. */
void conf_socket_prepare(int fd, bool dialled);
