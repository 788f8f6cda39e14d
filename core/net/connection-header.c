/* connection-header.c - a connection that a balancer passes on, until it has said whose it is.  Nothing else
 * is known of it before: no hook runs and no filter sees a byte.  Exactly the header is read off the socket,
 * so that what follows belongs to the filters. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "net/connection-private.h"
#include "net/proxy-header.h"

struct ConfPendingHeader {
    size_t size;
    uint8_t data[CONF_PROXY_HEADER_MAX];
};

static bool took(ConfConnection *connection);

void
conf_connection_await_header(ConfConnection *connection)
{
    connection->header = g_malloc(sizeof(ConfPendingHeader));
    connection->header->size = 0;
}

bool
conf_connection_receive_header(ConfConnection *connection)
{
    while (connection->header != NULL) {
        if (!took(connection))
            return false;
    }
    return true;
}

void
conf_connection_refuse_header(ConfConnection *connection, const char *why)
{
    conf_log(CONF_LOG_PROXY_HEADER_REFUSED, "peer", connection->peer, "why", why, NULL);
    conf_connection_close(connection, why);
}

/* False: no more for now, or closed. */
static bool
took(ConfConnection *connection)
{
    ConfPendingHeader *header = connection->header;
    ConfProxyHeader read;
    const char *why = NULL;
    int missing = conf_proxy_header_parse(header->data, header->size, &read, &why);
    if (missing < 0) {
        conf_connection_refuse_header(connection, why);
        return false;
    }
    if (missing == 0) {
        g_clear_pointer(&connection->header, g_free);
        if (read.has_address)
            conf_connection_set_peer(connection, read.address, read.port);
        else if (read.is_passed_on)
            connection->loopback = false; /* Of somebody who may be anywhere, wherever the balancer is. */
        return true;
    }
    /* Never beyond CONF_PROXY_HEADER_MAX: longer ones are refused above. */
    ssize_t got = recv(connection->fd, header->data + header->size, (size_t)missing, 0);
    if (got > 0) {
        header->size += (size_t)got;
        return true;
    }
    if (got == 0)
        conf_connection_close(connection, "The balancer closed the connection before it sent a PROXY header");
    else if (errno != EAGAIN && errno != EINTR)
        conf_connection_close(connection, g_strerror(errno));
    return false;
}
