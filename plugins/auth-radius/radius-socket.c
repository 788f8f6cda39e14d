/* radius-socket.c - datagrams: connected sockets, so that the kernel lets through the server's own only
 * and tells of one that is not there. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "radius-private.h"

enum {
    RECEIVED_AT_ONCE = 64,
    RECEIVE_BUFFER = 1024 * 1024,
};

static RadiusSocket *socket_open(RadiusServer *server);
static void socket_close(RadiusSocket *socket);
static void ready(void *self, int fd, GIOCondition condition);
static void take_datagram(RadiusSocket *socket, const uint8_t *data, size_t size);
static void refused(RadiusSocket *socket);

RadiusSocket *
radius_socket_take(RadiusServer *server, RadiusExchange *exchange, uint8_t *id)
{
    RadiusSocket *found = NULL;
    for (unsigned i = 0; i < server->sockets->len && found == NULL; i++) {
        RadiusSocket *socket = g_ptr_array_index(server->sockets, i);
        if (socket->used < RADIUS_IDS)
            found = socket;
    }
    if (found == NULL && server->sockets->len < server->pool->config->sockets)
        found = socket_open(server);
    if (found == NULL)
        return NULL;
    /* The number that was free longest: a late answer to its last question proves nothing for the next. */
    while (found->exchanges[found->next_id] != NULL)
        found->next_id++;
    *id = found->next_id++;
    found->exchanges[*id] = exchange;
    found->used++;
    return found;
}

void
radius_socket_release(RadiusSocket *socket, uint8_t id)
{
    RadiusServer *server = socket->server;
    socket->exchanges[id] = NULL;
    socket->used--;
    /* A question may have opened one after its configuration was replaced. */
    bool is_old = server->pool != server->pool->client->pool;
    if (socket->used > 0 || (!socket->retired && !is_old))
        return;
    if (!socket->retired)
        g_ptr_array_remove(server->sockets, socket);
    socket_close(socket);
}

/* What the kernel does not take now is sent again after the timeout, like what the network loses. */
void
radius_socket_send(RadiusSocket *socket, const RadiusRequest *request)
{
    ssize_t sent;
    do
        sent = send(socket->fd, request->bytes, request->size, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && (errno == EINTR || errno == ECONNREFUSED));
}

void
radius_sockets_retire(RadiusServer *server)
{
    while (server->sockets->len > 0) {
        RadiusSocket *socket = g_ptr_array_steal_index(server->sockets, server->sockets->len - 1);
        socket->retired = true;
        if (socket->used == 0)
            socket_close(socket);
    }
}

void
radius_client_ready(RadiusClient *client, int fd)
{
    RadiusSocket *socket = g_hash_table_lookup(client->sockets, GINT_TO_POINTER(fd));
    for (unsigned i = 0; i < RECEIVED_AT_ONCE && socket != NULL; i++) {
        uint8_t data[RADIUS_SIZE_MAX];
        ssize_t size = recv(fd, data, sizeof data, MSG_DONTWAIT);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && errno == ECONNREFUSED)
            refused(socket);
        else if (size < 0)
            return;
        else
            take_datagram(socket, data, (size_t)size);
        /* It may have been retired, and closed with its last question. */
        socket = g_hash_table_lookup(client->sockets, GINT_TO_POINTER(fd));
    }
}

static RadiusSocket *
socket_open(RadiusServer *server)
{
    RadiusClient *client = server->pool->client;
    const AuthAddress *address = &server->name.addresses[server->address];
    int buffer = RECEIVE_BUFFER;
    int fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return NULL;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    unsigned watch = connect(fd, &address->any, auth_address_size(address)) == 0
                         ? conf_watch(client->plugin, fd, G_IO_IN, ready)
                         : 0;
    if (watch == 0) {
        close(fd);
        return NULL;
    }
    RadiusSocket *socket = g_new0(RadiusSocket, 1);
    *socket = (RadiusSocket){.server = server, .fd = fd, .watch = watch};
    radius_pool_ref(server->pool);
    g_ptr_array_add(server->sockets, socket);
    g_hash_table_insert(client->sockets, GINT_TO_POINTER(fd), socket);
    client->statistics.sockets++;
    return socket;
}

static void
socket_close(RadiusSocket *socket)
{
    RadiusPool *pool = socket->server->pool;
    RadiusClient *client = pool->client;
    conf_unwatch(client->plugin, socket->watch);
    g_hash_table_remove(client->sockets, GINT_TO_POINTER(socket->fd));
    client->statistics.sockets--;
    close(socket->fd);
    g_free(socket);
    radius_pool_unref(pool);
}

static void
ready(void *self, int fd, GIOCondition condition)
{
    (void)condition;
    radius_client_ready(radius_client_of(self), fd);
}

/* Whatever proves nothing is passed over, and the question stays open: else anybody who can send a
 * datagram could refuse people. */
static void
take_datagram(RadiusSocket *socket, const uint8_t *data, size_t size)
{
    RadiusClient *client = socket->server->pool->client;
    RadiusExchange *exchange = size >= RADIUS_SIZE_MIN ? socket->exchanges[data[1]] : NULL;
    const RadiusConfig *config = socket->server->pool->config;
    g_auto(RadiusAnswer) answer = {0};
    RadiusProof proof = exchange != NULL
                            ? radius_answer_read(&answer, data, size, &exchange->request,
                                                 socket->server->config->secret, config->must_be_signed)
                            : RADIUS_MALFORMED;
    if (proof == RADIUS_TRUE) {
        radius_exchange_answered(exchange, &answer);
        return;
    }
    client->statistics.ignored++;
    client->statistics.unsigned_ += proof == RADIUS_UNSIGNED;
    if (proof == RADIUS_MALFORMED)
        return;
    conf_plugin_log(client->plugin, 1,
                    proof == RADIUS_UNSIGNED ? "A RADIUS answer without Message-Authenticator does not count"
                                             : "A RADIUS answer is forged, or the secret is not the server's",
                    "server", socket->server->config->host, NULL);
}

/* Nobody listens there. */
static void
refused(RadiusSocket *socket)
{
    RadiusClient *client = socket->server->pool->client;
    int fd = socket->fd;
    /* The socket goes with its last question when another address is turned to. */
    for (unsigned i = 0;
         i < RADIUS_IDS && g_hash_table_lookup(client->sockets, GINT_TO_POINTER(fd)) == socket; i++) {
        if (socket->exchanges[i] != NULL)
            radius_exchange_unreachable(socket->exchanges[i]);
    }
}
