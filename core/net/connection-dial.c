/* connection-dial.c - an outgoing connection until its socket stands: the look-up of the name (in a thread
 * of the resolver), then one address after the other. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <gio/gio.h>

#include "base/clock.h"
#include "net/connection-private.h"

/* No address gets less, even if many are left to be tried. */
enum { ATTEMPT_MIN_MS = 250 };

/* What a look-up under way holds: the connection may be gone when it ends. */
typedef struct {
    ConfConnection *connection;
} Lookup;

struct ConfDial {
    ConfConnection *connection;
    char *host;
    uint16_t port;
    char *transport;    /* cut at ';' and '=' */
    GPtrArray *options; /* key, value, key, value... within transport */
    int64_t deadline;
    Lookup *lookup;
    GCancellable *cancellable;
    GArray *addresses; /* of ConfAddress */
    unsigned next;
    GString *tried;
    ConfTimer timer;
};

static void parse_transport(ConfDial *dial, const char *transport);
static void begin(void *data);
static void looked_up(GObject *source, GAsyncResult *result, gpointer data);
static void try_next(ConfDial *dial);
static bool try_address(ConfDial *dial, const ConfAddress *address);
static void connect_event(void *data, uint32_t events);
static void attempt_too_long(void *data);
static void attempt_failed(ConfDial *dial, const char *why);
static void note_failure(ConfDial *dial, const ConfAddress *address, const char *why);
static void close_attempt(ConfDial *dial);
static void give_up(ConfDial *dial, const char *why);
static int64_t left_ms(const ConfDial *dial);

ConfConnection *
conf_connection_new_outgoing(ConfPoller *poller, const char *host, uint16_t port, unsigned timeout_ms,
                             const char *transport, const ConfConnectionFuncs *funcs, void *data)
{
    ConfConnection *connection = conf_connection_new(poller, funcs, data);
    connection->outgoing = true;
    conf_connection_set_peer_text(connection, host, port);
    ConfDial *dial = g_new0(ConfDial, 1);
    connection->dial = dial;
    dial->connection = connection;
    dial->host = g_strdup(host);
    dial->port = port;
    dial->deadline = conf_clock_monotonic_usec() + timeout_ms * INT64_C(1000);
    dial->addresses = g_array_new(FALSE, FALSE, sizeof(ConfAddress));
    dial->tried = g_string_new(NULL);
    parse_transport(dial, transport);
    /* Not from here, so that the owner has the pointer before anything is told about it. */
    conf_poller_defer(poller, begin, dial);
    return connection;
}

void
conf_dial_free(ConfDial *dial)
{
    if (dial == NULL)
        return;
    conf_poller_forget(dial->connection->poller, dial);
    conf_timer_cancel(&dial->timer);
    if (dial->lookup != NULL)
        dial->lookup->connection = NULL;
    if (dial->cancellable != NULL) {
        g_cancellable_cancel(dial->cancellable);
        g_object_unref(dial->cancellable);
    }
    g_ptr_array_unref(dial->options);
    g_array_unref(dial->addresses);
    g_string_free(dial->tried, TRUE);
    g_free(dial->transport);
    g_free(dial->host);
    g_free(dial);
}

const char *
conf_dial_get_host(const ConfDial *dial)
{
    return dial->host;
}

const char *
conf_dial_get_option(const ConfDial *dial, const char *key)
{
    for (unsigned i = 0; i < dial->options->len; i += 2) {
        if (strcmp(g_ptr_array_index(dial->options, i), key) == 0)
            return g_ptr_array_index(dial->options, i + 1);
    }
    return NULL;
}

/* "tls=1;certificate=/etc/x.pem"; a part without '=' is a key with an empty value. */
static void
parse_transport(ConfDial *dial, const char *transport)
{
    dial->options = g_ptr_array_new();
    dial->transport = g_strdup(transport != NULL ? transport : "");
    char *rest = dial->transport;
    while (rest != NULL) {
        char *part = strsep(&rest, ";");
        char *key = strsep(&part, "=");
        g_strstrip(key);
        if (*key == '\0')
            continue;
        g_ptr_array_add(dial->options, key);
        g_ptr_array_add(dial->options, part != NULL ? g_strstrip(part) : key + strlen(key));
    }
}

static void
begin(void *data)
{
    ConfDial *dial = data;
    if (dial->connection->state != CONF_CONNECTION_CONNECTING)
        return;
    ConfAddress address;
    if (conf_address_parse(dial->host, dial->port, &address)) {
        g_array_append_val(dial->addresses, address);
        try_next(dial);
        return;
    }
    dial->lookup = g_new0(Lookup, 1);
    dial->lookup->connection = dial->connection;
    dial->cancellable = g_cancellable_new();
    g_autoptr(GResolver) resolver = g_resolver_get_default();
    g_resolver_lookup_by_name_async(resolver, dial->host, dial->cancellable, looked_up, dial->lookup);
    conf_timer_arm(&dial->timer, (unsigned)left_ms(dial), attempt_too_long, dial);
}

static void
looked_up(GObject *source, GAsyncResult *result, gpointer data)
{
    g_autofree Lookup *lookup = data;
    g_autoptr(GError) error = NULL;
    GList *found = g_resolver_lookup_by_name_finish(G_RESOLVER(source), result, &error);
    ConfConnection *connection = lookup->connection;
    if (connection == NULL) {
        g_resolver_free_addresses(found);
        return;
    }
    ConfDial *dial = connection->dial;
    dial->lookup = NULL;
    conf_timer_cancel(&dial->timer);
    for (GList *item = found; item != NULL; item = item->next) {
        ConfAddress address = {0};
        g_autoptr(GSocketAddress) full = g_inet_socket_address_new(item->data, dial->port);
        if (g_socket_address_to_native(full, &address.any, sizeof(address), NULL))
            g_array_append_val(dial->addresses, address);
    }
    g_resolver_free_addresses(found);
    if (connection->state != CONF_CONNECTION_CONNECTING)
        return;
    if (dial->addresses->len == 0)
        give_up(dial, error != NULL ? error->message : "the name has no address");
    else
        try_next(dial);
}

static void
try_next(ConfDial *dial)
{
    while (dial->next < dial->addresses->len && left_ms(dial) > 0) {
        if (try_address(dial, &g_array_index(dial->addresses, ConfAddress, dial->next++)))
            return;
    }
    give_up(dial, dial->next < dial->addresses->len ? "no time is left for the other addresses" : NULL);
}

/* False: it failed at once. */
static bool
try_address(ConfDial *dial, const ConfAddress *address)
{
    ConfConnection *connection = dial->connection;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        note_failure(dial, address, g_strerror(errno));
        return false;
    }
    conf_socket_prepare(fd, true);
    if (connect(fd, &address->any, conf_address_size(address)) < 0 && errno != EINPROGRESS) {
        note_failure(dial, address, g_strerror(errno));
        close(fd);
        return false;
    }
    g_autoptr(GError) error = NULL;
    ConfPollerWatch *watch = conf_poller_add(connection->poller, fd, EPOLLOUT, connect_event, dial, &error);
    if (watch == NULL) {
        note_failure(dial, address, error->message);
        close(fd);
        return false;
    }
    connection->fd = fd;
    connection->watch = watch;
    int64_t share = MAX(left_ms(dial) / (dial->addresses->len - dial->next + 1), ATTEMPT_MIN_MS);
    conf_timer_arm(&dial->timer, (unsigned)share, attempt_too_long, dial);
    return true;
}

static void
connect_event(void *data, uint32_t events)
{
    ConfDial *dial = data;
    ConfConnection *connection = dial->connection;
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    if (error != 0) {
        attempt_failed(dial, g_strerror(error));
        return;
    }
    conf_timer_cancel(&dial->timer);
    conf_poller_remove(connection->watch);
    connection->watch = NULL;
    connection->last_receive = conf_poller_now(connection->poller);
    conf_connection_stand(connection);
}

static void
attempt_too_long(void *data)
{
    ConfDial *dial = data;
    if (dial->connection->state != CONF_CONNECTION_CONNECTING)
        return;
    if (dial->lookup != NULL)
        give_up(dial, "the name server does not answer");
    else
        attempt_failed(dial, "no answer");
}

static void
attempt_failed(ConfDial *dial, const char *why)
{
    note_failure(dial, &g_array_index(dial->addresses, ConfAddress, dial->next - 1), why);
    close_attempt(dial);
    try_next(dial);
}

static void
note_failure(ConfDial *dial, const ConfAddress *address, const char *why)
{
    g_autofree char *host = conf_address_to_host(address);
    g_autofree char *text = conf_address_to_text(host, dial->port);
    g_string_append_printf(dial->tried, "%s%s: %s", dial->tried->len > 0 ? "; " : "", text, why);
}

static void
close_attempt(ConfDial *dial)
{
    conf_timer_cancel(&dial->timer);
    conf_poller_remove(dial->connection->watch);
    dial->connection->watch = NULL;
    close(dial->connection->fd);
    dial->connection->fd = -1;
}

static void
give_up(ConfDial *dial, const char *why)
{
    if (why != NULL)
        g_string_append_printf(dial->tried, "%s%s: %s", dial->tried->len > 0 ? "; " : "", dial->host, why);
    conf_connection_close(dial->connection, dial->tried->str);
}

static int64_t
left_ms(const ConfDial *dial)
{
    return MAX((dial->deadline - conf_clock_monotonic_usec()) / 1000, 0);
}
