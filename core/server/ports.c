/* ports.c - the listening ports: opened at start; added, moved and closed at run time without touching
 * sessions, which know nothing of the listener they came by.
 *
 * A port is moved by opening the new place before the old one is given up.  Where that fails the old place
 * stays open, server.info says why, and it is tried again. */
#include "base/error.h"
#include "base/log.h"
#include "server/server-private.h"

#include <unistd.h>

enum { RETRY_MS = 1000 };

static bool open_port(ConfServer *server, ConfPort *port, GError **error);
static void accepted(ConfListener *listener, int fd, void *data);
static bool is_in_place(const ConfPort *port);
static ConfPort *find_place(GArray *ports, const char *address, uint16_t number);
static bool is_place(const ConfPort *port, const char *address, uint16_t number);
static void take_over(ConfPort *port, ConfPort *from);
static void move_port(ConfServer *server, GArray *old, ConfPort *port);
static bool open_in_turn(ConfServer *server, ConfPort *blocking, ConfPort *port, GError **error);
static void tell_not_open(ConfPort *port, const GError *error);
static void retry(void *data);

bool
conf_ports_open(ConfServer *server, GError **error)
{
    g_array_unref(server->ports);
    server->ports = conf_ports_wanted(server);
    bool missing = false;
    for (unsigned i = 0; i < server->ports->len; i++) {
        ConfPort *port = &g_array_index(server->ports, ConfPort, i);
        g_autoptr(GError) failure = NULL;
        if (open_port(server, port, &failure))
            continue;
        if (!port->optional) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return false;
        }
        tell_not_open(port, failure);
        missing = true;
    }
    if (server->ports->len == 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "No port is named, neither in the application object nor by option port of section [%s]",
                    server->section);
        return false;
    }
    if (missing)
        conf_timer_arm(&server->port_retry, RETRY_MS, retry, server);
    return true;
}

void
conf_ports_update(ConfServer *server)
{
    if (server->stopping || server->ports->len == 0)
        return;
    GArray *wanted = conf_ports_wanted(server);
    if (wanted->len == 0) {
        g_array_unref(wanted);
        return;
    }
    GArray *old = server->ports;
    server->ports = wanted;
    /* New places first, while every old one still stands to fall back to. */
    for (unsigned i = 0; i < wanted->len; i++) {
        ConfPort *port = &g_array_index(wanted, ConfPort, i);
        if (find_place(old, port->address, port->port) == NULL)
            move_port(server, old, port);
    }
    /* A place that was open already stays open, whichever port it is from now on. */
    for (unsigned i = 0; i < wanted->len; i++) {
        ConfPort *port = &g_array_index(wanted, ConfPort, i);
        ConfPort *place = port->listener == NULL ? find_place(old, port->address, port->port) : NULL;
        if (place != NULL)
            take_over(port, place);
    }
    for (unsigned k = 0; k < old->len; k++)
        conf_port_clear(&g_array_index(old, ConfPort, k));
    g_array_unref(old);
    conf_timer_cancel(&server->port_retry);
    retry(server);
}

void
conf_ports_close(ConfServer *server)
{
    conf_timer_cancel(&server->port_retry);
    for (unsigned i = 0; i < server->ports->len; i++)
        conf_port_clear(&g_array_index(server->ports, ConfPort, i));
    g_array_set_size(server->ports, 0);
}

const ConfPort *
conf_ports_lookup(const ConfServer *server, const char *id)
{
    for (unsigned i = 0; i < server->ports->len; i++) {
        const ConfPort *port = &g_array_index(server->ports, ConfPort, i);
        if (strcmp(port->id, id) == 0)
            return port;
    }
    return NULL;
}

bool
conf_ports_is_peer(ConfServer *server, ConfKey application)
{
    const ConfObject *own = conf_server_own_application(server),
                     *other = conf_store_lookup(server->store, application);
    if (own == NULL || other == NULL)
        return false;
    int64_t backup = 0;
    return (conf_object_get_integer(own, "backup", &backup) && backup == other->dbid) ||
           (conf_object_get_integer(other, "backup", &backup) && backup == own->dbid);
}

static bool
open_port(ConfServer *server, ConfPort *port, GError **error)
{
    ConfListener *listener = conf_listener_new(conf_poller_default(), port->address, port->port, port->id,
                                               accepted, server, error);
    if (listener == NULL)
        return false;
    g_clear_pointer(&port->listener, conf_listener_free);
    port->listener = listener;
    g_free(port->open_address);
    port->open_address = g_strdup(port->address);
    port->open_port = port->port;
    g_clear_pointer(&port->failure, g_free);
    return true;
}

static void
accepted(ConfListener *listener, int fd, void *data)
{
    ConfServer *server = data;
    for (unsigned i = 0; i < server->ports->len; i++) {
        const ConfPort *port = &g_array_index(server->ports, ConfPort, i);
        if (port->listener != listener)
            continue;
        bool balanced = port->balancers != NULL && conf_address_list_has_peer(port->balancers, fd);
        ConfAcceptance acceptance = {.port_id = port->id,
                                     .clients = port->clients,
                                     .management = port->management,
                                     .behind_balancer = balanced};
        conf_sessions_accept(server->sessions, server->table, fd, &acceptance);
        return;
    }
    close(fd);
}

static bool
is_in_place(const ConfPort *port)
{
    return port->listener != NULL && is_place(port, port->address, port->port);
}

static bool
is_place(const ConfPort *port, const char *address, uint16_t number)
{
    return port->open_port == number && g_strcmp0(port->open_address, address) == 0;
}

static ConfPort *
find_place(GArray *ports, const char *address, uint16_t number)
{
    for (unsigned i = 0; i < ports->len; i++) {
        ConfPort *port = &g_array_index(ports, ConfPort, i);
        if (port->listener != NULL && is_place(port, address, number))
            return port;
    }
    return NULL;
}

static void
take_over(ConfPort *port, ConfPort *from)
{
    port->listener = g_steal_pointer(&from->listener);
    g_free(port->open_address);
    port->open_address = g_steal_pointer(&from->open_address);
    port->open_port = from->open_port;
}

/* To a place where none of the old ports is. */
static void
move_port(ConfServer *server, GArray *old, ConfPort *port)
{
    ConfPort *before = NULL, *blocking = NULL;
    for (unsigned i = 0; i < old->len; i++) {
        ConfPort *other = &g_array_index(old, ConfPort, i);
        if (other->listener == NULL)
            continue;
        if (strcmp(other->id, port->id) == 0)
            before = other;
        if (other->open_port == port->port)
            blocking = other;
    }
    g_autoptr(GError) error = NULL;
    bool opened =
        blocking != NULL ? open_in_turn(server, blocking, port, &error) : open_port(server, port, &error);
    if (opened)
        return;
    tell_not_open(port, error);
    if (before != NULL && before->listener != NULL)
        take_over(port, before);
}

/* The same number at another address: the kernel may not let both be. */
static bool
open_in_turn(ConfServer *server, ConfPort *blocking, ConfPort *port, GError **error)
{
    g_clear_pointer(&blocking->listener, conf_listener_free);
    if (open_port(server, port, error))
        return true;
    g_autoptr(GError) lost = NULL;
    blocking->listener = conf_listener_new(conf_poller_default(), blocking->open_address, blocking->open_port,
                                           blocking->id, accepted, server, &lost);
    if (blocking->listener == NULL)
        tell_not_open(blocking, lost);
    return false;
}

static void
tell_not_open(ConfPort *port, const GError *error)
{
    /* Logged once, however often it is tried. */
    if (g_strcmp0(port->failure, error->message) == 0)
        return;
    conf_log(CONF_LOG_PORT_NOT_OPEN, "port", port->id, "reason", error->message, NULL);
    g_free(port->failure);
    port->failure = g_strdup(error->message);
}

/* As long as a port is not where it should be. */
static void
retry(void *data)
{
    ConfServer *server = data;
    bool missing = false;
    for (unsigned i = 0; i < server->ports->len; i++) {
        ConfPort *port = &g_array_index(server->ports, ConfPort, i);
        g_autoptr(GError) error = NULL;
        if (is_in_place(port))
            continue;
        ConfPort *blocking = port->listener != NULL && port->open_port == port->port ? port : NULL;
        if (blocking == NULL ? open_port(server, port, &error) : open_in_turn(server, port, port, &error)) {
            continue;
        }
        tell_not_open(port, error);
        missing = true;
    }
    if (missing)
        conf_timer_arm(&server->port_retry, RETRY_MS, retry, server);
}
