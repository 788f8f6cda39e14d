/* radius-client.c - the course of a question: which server, how often, and what comes after silence. */
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "radius-private.h"

static const char STOPPING[] = "The server is stopping";

static RadiusPool *pool_new(RadiusClient *client, RadiusConfig *config);
static void try_server(RadiusExchange *exchange, unsigned index);
static bool send_first(RadiusExchange *exchange);
static bool build(RadiusExchange *exchange);
static void time_is_over(void *self, void *data);
static void begin_now(void *self, void *data);
static void arm(RadiusExchange *exchange, unsigned ms);
static void fail_server(RadiusExchange *exchange);
static void look_up(RadiusServer *server, bool now);
static void looked_up(void *data, bool changed);
static void go_on(RadiusServer *server);
static bool try_next_address(RadiusExchange *exchange);
static void give_up_active(const RadiusExchange *exchange);
static void full(RadiusExchange *exchange);
static void go_to_next_server(RadiusExchange *exchange, const char *why);
static void leave_server(RadiusExchange *exchange);
static void end(RadiusExchange *exchange, const RadiusAnswer *answer, const char *why);
static void exchange_free(RadiusExchange *exchange);
static void wipe(char *text);

RadiusClient *
radius_client_new(ConfPlugin *plugin, RadiusConfig *config)
{
    RadiusClient *client = g_new0(RadiusClient, 1);
    client->plugin = plugin;
    client->sockets = g_hash_table_new(NULL, NULL);
    client->pool = pool_new(client, config);
    return client;
}

void
radius_client_configure(RadiusClient *client, RadiusConfig *config)
{
    RadiusPool *before = client->pool;
    client->pool = pool_new(client, config);
    for (unsigned i = 0; i < before->count; i++)
        radius_sockets_retire(&before->servers[i]);
    radius_pool_unref(before);
}

void
radius_client_stop(RadiusClient *client)
{
    client->stopping = true;
    while (!g_queue_is_empty(&client->exchanges))
        end(client->exchanges.head->data, NULL, STOPPING);
}

void
radius_client_free(RadiusClient *client)
{
    for (unsigned i = 0; i < client->pool->count; i++)
        radius_sockets_retire(&client->pool->servers[i]);
    radius_pool_unref(client->pool);
    g_hash_table_unref(client->sockets);
    g_free(client);
}

const RadiusConfig *
radius_client_get_config(const RadiusClient *client)
{
    return client->pool->config;
}

RadiusStatistics *
radius_client_get_statistics(RadiusClient *client)
{
    return &client->statistics;
}

unsigned
radius_client_get_limit_ms(const RadiusClient *client)
{
    const RadiusPool *pool = client->pool;
    unsigned addresses = 0;
    for (unsigned i = 0; i < pool->count; i++)
        addresses += MAX(pool->servers[i].name.count, 1);
    return pool->config->timeout_ms * (pool->config->retries + 1) * MAX(addresses, 1);
}

RadiusExchange *
radius_client_ask(RadiusClient *client, const RadiusQuestion *question, int only, RadiusDone done, void *data)
{
    RadiusExchange *exchange = g_new0(RadiusExchange, 1);
    exchange->pool = radius_pool_ref(client->pool);
    exchange->node.data = exchange;
    g_queue_push_tail_link(&client->exchanges, &exchange->node);
    exchange->only = only;
    exchange->began_at = g_get_monotonic_time();
    exchange->user = g_strdup(question->user);
    exchange->password = g_strdup(question->password);
    exchange->nas_identifier = g_strdup(question->nas_identifier);
    exchange->calling_station = g_strdup(question->calling_station);
    exchange->state = question->state != NULL ? g_bytes_ref(question->state) : NULL;
    exchange->done = done;
    exchange->data = data;
    client->statistics.questions++;
    client->statistics.waiting++;
    bool known = exchange->pool->count > 0 && only < (int)exchange->pool->count;
    exchange->server =
        known ? &exchange->pool->servers[only >= 0 ? (unsigned)only : exchange->pool->active] : NULL;
    if (known && !build(exchange)) {
        exchange_free(exchange);
        return NULL;
    }
    if (client->stopping || !known || exchange->server->name.count == 0 || !send_first(exchange))
        exchange->timer = conf_timer(client->plugin, 0, begin_now, exchange);
    return exchange;
}

void
radius_exchange_cancel(RadiusExchange *exchange)
{
    leave_server(exchange);
    exchange_free(exchange);
}

RadiusPool *
radius_pool_ref(RadiusPool *pool)
{
    pool->refs++;
    return pool;
}

void
radius_pool_unref(RadiusPool *pool)
{
    if (--pool->refs > 0)
        return;
    for (unsigned i = 0; i < pool->count; i++) {
        g_ptr_array_unref(pool->servers[i].sockets);
        auth_name_clear(&pool->servers[i].name);
    }
    g_free(pool->servers);
    radius_config_free(pool->config);
    g_free(pool);
}

void
radius_exchange_answered(RadiusExchange *exchange, const RadiusAnswer *answer)
{
    RadiusServer *server = exchange->server;
    RadiusPool *pool = exchange->pool;
    server->answered_at = g_get_monotonic_time();
    /* Sticky: who answers where the one before was silent is asked first from now on. */
    if (exchange->met_silence && pool->active != server->index &&
        pool->servers[pool->active].answered_at < exchange->began_at) {
        pool->active = server->index;
        pool->client->statistics.failovers++;
    }
    end(exchange, answer, NULL);
}

void
radius_exchange_unreachable(RadiusExchange *exchange)
{
    /* The last one may be starting just now: its time is waited for. */
    bool another_server = exchange->only < 0 && exchange->tried < exchange->pool->count;
    if (another_server || exchange->addresses_tried < exchange->server->name.count)
        fail_server(exchange);
}

static RadiusPool *
pool_new(RadiusClient *client, RadiusConfig *config)
{
    RadiusPool *pool = g_new0(RadiusPool, 1);
    pool->refs = 1;
    pool->client = client;
    pool->config = config;
    pool->count = config->servers->len;
    pool->servers = g_new0(RadiusServer, MAX(pool->count, 1));
    for (unsigned i = 0; i < pool->count; i++) {
        RadiusServer *server = &pool->servers[i];
        server->pool = pool;
        server->index = i;
        server->config = &g_array_index(config->servers, RadiusServerConfig, i);
        server->sockets = g_ptr_array_new();
        g_queue_init(&server->waiting);
        auth_name_init(&server->name, client->plugin, server->config->host, server->config->port, SOCK_DGRAM,
                       looked_up, server);
        look_up(server, true);
    }
    return pool;
}

static void
look_up(RadiusServer *server, bool now)
{
    bool was_awaited = server->name.is_awaited;
    if (auth_name_look_up(&server->name, now) && !was_awaited)
        radius_pool_ref(server->pool);
}

/* After a silence of the server another of its addresses is tried. */
static void
looked_up(void *data, bool changed)
{
    RadiusServer *server = data;
    if (changed) {
        server->address = 0;
        radius_sockets_retire(server);
    }
    go_on(server);
    radius_pool_unref(server->pool);
}

/* The server has an address now, or none: what waits goes on. */
static void
go_on(RadiusServer *server)
{
    RadiusPool *pool = radius_pool_ref(server->pool);
    GList *link;
    while ((link = g_queue_pop_head_link(&server->waiting)) != NULL) {
        RadiusExchange *exchange = link->data;
        link->data = NULL;
        if (server->name.count == 0)
            fail_server(exchange);
        else if (!send_first(exchange))
            full(exchange);
    }
    radius_pool_unref(pool);
}

static void
begin_now(void *self, void *data)
{
    (void)self;
    RadiusExchange *exchange = data;
    exchange->timer = 0;
    bool stopping = exchange->pool->client->stopping;
    if (exchange->server == NULL || stopping) {
        end(exchange, NULL, stopping ? STOPPING : "No RADIUS server is configured");
        return;
    }
    exchange->tried = 0;
    try_server(exchange, exchange->server->index);
}

static void
try_server(RadiusExchange *exchange, unsigned index)
{
    RadiusPool *pool = exchange->pool;
    RadiusServer *server = &pool->servers[index];
    exchange->server = server;
    exchange->tried++;
    exchange->addresses_tried = 0;
    look_up(server, false);
    if (server->name.count > 0) {
        if (!send_first(exchange))
            full(exchange);
        return;
    }
    if (!server->name.is_awaited) {
        fail_server(exchange);
        return;
    }
    exchange->waiting.data = exchange;
    g_queue_push_tail_link(&server->waiting, &exchange->waiting);
    arm(exchange, pool->config->timeout_ms * (pool->config->retries + 1));
}

/* To the address of the server that is in use, or the first after it that can be reached from here.
 * False: nothing was sent, there is none, or no number is free. */
static bool
send_first(RadiusExchange *exchange)
{
    RadiusServer *server = exchange->server;
    exchange->tried = MAX(exchange->tried, 1);
    while ((exchange->socket = radius_socket_take(server, exchange, &exchange->id)) == NULL) {
        if (server->sockets->len > 0 || ++exchange->addresses_tried >= server->name.count)
            return false;
        server->address = (server->address + 1) % server->name.count;
    }
    if (!build(exchange)) {
        leave_server(exchange);
        return false;
    }
    radius_socket_send(exchange->socket, &exchange->request);
    exchange->sent = 1;
    exchange->addresses_tried++;
    arm(exchange, exchange->pool->config->timeout_ms);
    return true;
}

/* With a new authenticator, and the secret of the server that it goes to. */
static bool
build(RadiusExchange *exchange)
{
    const RadiusQuestion question = {
        .user = exchange->user,
        .password = exchange->password,
        .nas_identifier = exchange->nas_identifier,
        .calling_station = exchange->calling_station,
        .state = exchange->state,
    };
    uint8_t authenticator[RADIUS_AUTHENTICATOR_SIZE];
    radius_request_clear(&exchange->request);
    return gnutls_rnd(GNUTLS_RND_RANDOM, authenticator, sizeof authenticator) == 0 &&
           radius_request_build(&exchange->request, &question, exchange->id, authenticator,
                                exchange->server->config->secret);
}

/* The same bytes again: the server may have answered, and knows a question that it has seen by them. */
static void
time_is_over(void *self, void *data)
{
    (void)self;
    RadiusExchange *exchange = data;
    exchange->timer = 0;
    if (exchange->socket == NULL || exchange->sent > exchange->pool->config->retries) {
        look_up(exchange->server, true);
        fail_server(exchange);
        return;
    }
    exchange->sent++;
    exchange->pool->client->statistics.resent++;
    radius_socket_send(exchange->socket, &exchange->request);
    arm(exchange, exchange->pool->config->timeout_ms);
}

static void
arm(RadiusExchange *exchange, unsigned ms)
{
    ConfPlugin *plugin = exchange->pool->client->plugin;
    if (exchange->timer != 0)
        conf_unwatch(plugin, exchange->timer);
    exchange->timer = conf_timer(plugin, ms, time_is_over, exchange);
}

/* On with the next address, the next server, or the bad news. */
static void
fail_server(RadiusExchange *exchange)
{
    const RadiusPool *pool = exchange->pool;
    if (try_next_address(exchange))
        return;
    leave_server(exchange);
    exchange->met_silence = true;
    if (exchange->only < 0 && exchange->tried < pool->count)
        give_up_active(exchange);
    go_to_next_server(exchange, exchange->only >= 0 ? "The RADIUS server of the challenge does not answer"
                                                    : "No RADIUS server answers");
}

/* Nothing was sent.  That says nothing against a server: the others go on asking it first.  One that
 * cannot be reached from here at all has no socket. */
static void
full(RadiusExchange *exchange)
{
    if (exchange->server->sockets->len == 0)
        fail_server(exchange);
    else
        go_to_next_server(exchange, "Too many questions wait for the RADIUS servers");
}

static void
go_to_next_server(RadiusExchange *exchange, const char *why)
{
    RadiusPool *pool = exchange->pool;
    if (exchange->only < 0 && exchange->tried < pool->count) {
        try_server(exchange, (exchange->server->index + 1) % pool->count);
        return;
    }
    pool->client->statistics.unanswered++;
    end(exchange, NULL, why);
}

static bool
try_next_address(RadiusExchange *exchange)
{
    RadiusServer *server = exchange->server;
    if (exchange->socket == NULL || exchange->addresses_tried >= server->name.count)
        return false;
    /* Whoever finds out first turns to the next one for all. */
    if (!exchange->socket->retired) {
        server->address = (server->address + 1) % server->name.count;
        radius_sockets_retire(server);
    }
    leave_server(exchange);
    return send_first(exchange);
}

/* Others need not wait for it as well: they begin with the next one.  A server that has answered anybody
 * since is not dead, whatever happened to this question. */
static void
give_up_active(const RadiusExchange *exchange)
{
    RadiusPool *pool = exchange->pool;
    const RadiusServer *server = exchange->server;
    if (pool->active != server->index || server->answered_at > exchange->began_at)
        return;
    pool->active = (server->index + 1) % pool->count;
    pool->client->statistics.failovers++;
    g_autofree char *port = g_strdup_printf("%u", server->config->port);
    conf_plugin_log(pool->client->plugin, 1, "A RADIUS server does not answer, the next one is asked first",
                    "server", server->config->host, "port", port, "next",
                    pool->servers[pool->active].config->host, NULL);
}

static void
leave_server(RadiusExchange *exchange)
{
    if (exchange->timer != 0)
        conf_unwatch(exchange->pool->client->plugin, exchange->timer);
    exchange->timer = 0;
    if (exchange->waiting.data != NULL)
        g_queue_unlink(&exchange->server->waiting, &exchange->waiting);
    exchange->waiting.data = NULL;
    if (exchange->socket != NULL)
        radius_socket_release(exchange->socket, exchange->id);
    exchange->socket = NULL;
}

static void
end(RadiusExchange *exchange, const RadiusAnswer *answer, const char *why)
{
    leave_server(exchange);
    exchange->done(answer, exchange->server != NULL ? exchange->server->config : NULL, why, exchange->data);
    exchange_free(exchange);
}

static void
exchange_free(RadiusExchange *exchange)
{
    exchange->pool->client->statistics.waiting--;
    g_queue_unlink(&exchange->pool->client->exchanges, &exchange->node);
    radius_request_clear(&exchange->request);
    g_free(exchange->user);
    wipe(exchange->password);
    g_free(exchange->nas_identifier);
    g_free(exchange->calling_station);
    if (exchange->state != NULL)
        g_bytes_unref(exchange->state);
    radius_pool_unref(exchange->pool);
    g_free(exchange);
}

static void
wipe(char *text)
{
    explicit_bzero(text, strlen(text));
    g_free(text);
}
