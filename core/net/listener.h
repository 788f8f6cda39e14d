/* listener.h - accepts connections on one port.  accept4 in a loop (at most 256 a turn), backlog 4096.  At
 * EMFILE or ENFILE it pauses (one log line) and goes on as soon as descriptors are free; a reserve
 * descriptor lets it refuse politely meanwhile.  Main loop only. */
#pragma once

#include "net/connection.h"

typedef struct ConfListener ConfListener;
/* `fd` is taken by func. */
typedef void (*ConfAcceptFunc)(ConfListener *listener, int fd, void *data);

/* `address`: NULL all (IPv4 and IPv6), "loopback" (both), or an address in numbers.  Port 0: chosen by the
 * kernel. */
ConfListener *conf_listener_new(ConfPoller *poller, const char *address, uint16_t port, const char *port_id,
                                ConfAcceptFunc func, void *data, GError **error);
void conf_listener_free(ConfListener *listener);
uint16_t conf_listener_get_port(const ConfListener *listener);
