/* radius-lookup.c - names of servers to addresses, by the worker pool: the resolver may take its time. */
#include <netdb.h>
#include <string.h>

#include "radius-private.h"

typedef struct {
    RadiusServer *server; /* with a reference to its pool; not touched by the worker */
    char *host;
    char port[8];
    RadiusAddress addresses[RADIUS_ADDRESSES_MAX];
    unsigned count;
} Lookup;

static unsigned resolve(const char *host, const char *port, int flags, RadiusAddress *addresses);
static void work(void *job);
static void done(void *self, void *job);

void
radius_server_init_address(RadiusServer *server)
{
    char port[8];
    g_snprintf(port, sizeof port, "%u", server->config->port);
    server->address_count = resolve(server->config->host, port, AI_NUMERICHOST, server->addresses);
    server->numeric = server->address_count > 0;
}

void
radius_server_look_up(RadiusServer *server, bool now)
{
    int64_t time = g_get_monotonic_time();
    int64_t pause = server->address_count > 0 ? RADIUS_LOOKUP_USEC : RADIUS_LOOKUP_AGAIN_USEC;
    if (server->numeric || server->looking_up ||
        (!now && server->looked_up_at != 0 && time - server->looked_up_at < pause))
        return;
    Lookup *lookup = g_new0(Lookup, 1);
    lookup->server = server;
    lookup->host = g_strdup(server->config->host);
    g_snprintf(lookup->port, sizeof lookup->port, "%u", server->config->port);
    if (!conf_work(server->pool->client->plugin, work, done, lookup)) {
        g_free(lookup->host);
        g_free(lookup);
        return;
    }
    radius_pool_ref(server->pool);
    server->looking_up = true;
}

static unsigned
resolve(const char *host, const char *port, int flags, RadiusAddress *addresses)
{
    const struct addrinfo hints = {.ai_flags = flags | AI_NUMERICSERV, .ai_socktype = SOCK_DGRAM};
    struct addrinfo *list = NULL;
    if (getaddrinfo(host, port, &hints, &list) != 0)
        return 0;
    unsigned count = 0;
    for (const struct addrinfo *item = list; item != NULL && count < RADIUS_ADDRESSES_MAX;
         item = item->ai_next) {
        if (item->ai_addrlen > sizeof(RadiusAddress))
            continue;
        memset(&addresses[count], 0, sizeof addresses[count]);
        memcpy(&addresses[count++], item->ai_addr, item->ai_addrlen);
    }
    freeaddrinfo(list);
    return count;
}

static void
work(void *job)
{
    Lookup *lookup = job;
    lookup->count = resolve(lookup->host, lookup->port, 0, lookup->addresses);
}

/* What was known stays where the name service itself is silent.  After a silence of the server another of its
 * addresses is tried. */
static void
done(void *self, void *job)
{
    (void)self;
    Lookup *lookup = job;
    RadiusServer *server = lookup->server;
    server->looking_up = false;
    server->looked_up_at = g_get_monotonic_time();
    bool same =
        lookup->count == server->address_count &&
        memcmp(lookup->addresses, server->addresses, sizeof lookup->addresses[0] * lookup->count) == 0;
    if (lookup->count == 0)
        conf_plugin_log(server->pool->client->plugin, 1, "The name of a RADIUS server is not known", "server",
                        lookup->host, NULL);
    else if (!same) {
        memcpy(server->addresses, lookup->addresses, sizeof server->addresses);
        server->address_count = lookup->count;
        server->address = 0;
        radius_sockets_retire(server);
    }
    radius_server_go_on(server);
    radius_pool_unref(server->pool);
    g_free(lookup->host);
    g_free(lookup);
}
