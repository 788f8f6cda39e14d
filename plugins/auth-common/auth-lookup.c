/* auth-lookup.c - see auth-lookup.h. */
#include "auth-lookup.h"

#include <netdb.h>
#include <string.h>

enum { KEPT_USEC = 60 * 1000000, AGAIN_USEC = 1000000 };

/* What the worker sees. */
typedef struct {
    AuthName *name; /* not touched by it */
    char *host;
    char port[8];
    int socket_type;
    AuthAddress addresses[AUTH_ADDRESSES_MAX];
    unsigned count;
} Lookup;

static unsigned resolve(Lookup *lookup, int flags);
static void work(void *job);
static void done(void *self, void *job);
static void lookup_free(Lookup *lookup);

void
auth_name_init(AuthName *name, ConfPlugin *plugin, const char *host, uint16_t port, int socket_type,
               void (*ended)(void *data, bool changed), void *data)
{
    Lookup lookup = {.host = (char *)host, .socket_type = socket_type};
    g_snprintf(lookup.port, sizeof lookup.port, "%u", port);
    name->plugin = plugin;
    name->host = g_strdup(host);
    name->port = port;
    name->socket_type = socket_type;
    name->ended = ended;
    name->data = data;
    name->count = resolve(&lookup, AI_NUMERICHOST);
    name->is_numeric = name->count > 0;
    memcpy(name->addresses, lookup.addresses, sizeof name->addresses);
}

void
auth_name_clear(AuthName *name)
{
    g_clear_pointer(&name->host, g_free);
}

bool
auth_name_look_up(AuthName *name, bool now)
{
    int64_t pause = name->count > 0 ? KEPT_USEC : AGAIN_USEC;
    if (name->is_awaited)
        return true;
    if (name->is_numeric ||
        (!now && name->looked_up_at != 0 && g_get_monotonic_time() - name->looked_up_at < pause))
        return false;
    Lookup *lookup = g_new0(Lookup, 1);
    lookup->name = name;
    lookup->host = g_strdup(name->host);
    lookup->socket_type = name->socket_type;
    g_snprintf(lookup->port, sizeof lookup->port, "%u", name->port);
    if (!conf_work(name->plugin, work, done, lookup)) {
        lookup_free(lookup);
        return false;
    }
    name->is_awaited = true;
    return true;
}

socklen_t
auth_address_size(const AuthAddress *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

static unsigned
resolve(Lookup *lookup, int flags)
{
    const struct addrinfo hints = {.ai_flags = flags | AI_NUMERICSERV, .ai_socktype = lookup->socket_type};
    struct addrinfo *list = NULL;
    unsigned count = 0;
    if (getaddrinfo(lookup->host, lookup->port, &hints, &list) != 0)
        return 0;
    for (const struct addrinfo *item = list; item != NULL && count < AUTH_ADDRESSES_MAX;
         item = item->ai_next) {
        if (item->ai_addrlen <= sizeof(AuthAddress))
            memcpy(&lookup->addresses[count++], item->ai_addr, item->ai_addrlen);
    }
    freeaddrinfo(list);
    return count;
}

static void
work(void *job)
{
    Lookup *lookup = job;
    lookup->count = resolve(lookup, 0);
}

/* What was known stays where the name service itself is silent. */
static void
done(void *self, void *job)
{
    (void)self;
    Lookup *lookup = job;
    AuthName *name = lookup->name;
    bool changed =
        lookup->count > 0 && (lookup->count != name->count ||
                              memcmp(lookup->addresses, name->addresses, sizeof name->addresses) != 0);
    if (lookup->count == 0)
        conf_plugin_log(name->plugin, 1, "The name of a server is not known", "server", name->host, NULL);
    if (changed) {
        memcpy(name->addresses, lookup->addresses, sizeof name->addresses);
        name->count = lookup->count;
    }
    name->looked_up_at = g_get_monotonic_time();
    name->is_awaited = false;
    lookup_free(lookup);
    name->ended(name->data, changed);
}

static void
lookup_free(Lookup *lookup)
{
    g_free(lookup->host);
    g_free(lookup);
}
