/* ports.c - the listening ports: from the application object (or, where it has none, the file), the
 * management port, the rescue port; opened at start, added, moved and closed at run time without touching
 * sessions. */
#include "base/error.h"
#include "base/log.h"
#include "server/server-private.h"

enum { RETRY_MS = 1000 };

static GArray *wanted_ports(ConfServer *server);
static ConfPort *add_port(GArray *ports, const char *id, const char *address, int64_t number, bool optional);
static const char *file_mode(const ConfServer *server);
static bool can_be_served(const char *id, const char *listening);
static void add_application_ports(ConfServer *server, GArray *ports);
static bool open_port(ConfServer *server, ConfPort *port, GError **error);
static void accepted(ConfListener *listener, int fd, void *data);
static void port_clear(ConfPort *port);
static bool is_same(const ConfPort *a, const ConfPort *b);
static void retry(void *data);
static char *text_of(const ConfJson *port, const char *member);

bool
conf_ports_open(ConfServer *server, GError **error)
{
    g_array_unref(server->ports);
    server->ports = wanted_ports(server);
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
        conf_log(CONF_LOG_PORT_NOT_OPEN, "port", port->id, "reason", failure->message, NULL);
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

/* What stands as before keeps its listener; what cannot be opened is logged and tried again. */
void
conf_ports_update(ConfServer *server)
{
    if (server->stopping || server->ports->len == 0)
        return;
    GArray *wanted = wanted_ports(server);
    if (wanted->len == 0) {
        g_array_unref(wanted);
        return;
    }
    for (unsigned i = 0; i < wanted->len; i++) {
        ConfPort *port = &g_array_index(wanted, ConfPort, i);
        for (unsigned k = 0; k < server->ports->len; k++) {
            ConfPort *old = &g_array_index(server->ports, ConfPort, k);
            if (is_same(port, old) && old->listener != NULL)
                port->listener = g_steal_pointer(&old->listener);
        }
    }
    for (unsigned k = 0; k < server->ports->len; k++)
        port_clear(&g_array_index(server->ports, ConfPort, k));
    g_array_unref(server->ports);
    server->ports = wanted;
    conf_timer_arm(&server->port_retry, 0, retry, server);
}

void
conf_ports_close(ConfServer *server)
{
    conf_timer_cancel(&server->port_retry);
    for (unsigned i = 0; i < server->ports->len; i++)
        port_clear(&g_array_index(server->ports, ConfPort, i));
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

static GArray *
wanted_ports(ConfServer *server)
{
    GArray *ports = g_array_new(FALSE, TRUE, sizeof(ConfPort));
    bool optional = server->line->rescue_port != 0;
    add_application_ports(server, ports);
    if (ports->len == 0 && server->options.port != 0 && can_be_served("default", file_mode(server)))
        add_port(ports, "default", NULL, server->options.port, optional)->listening =
            g_strdup(file_mode(server));
    if (server->options.management_port != 0)
        add_port(ports, "management", server->options.management_address, server->options.management_port,
                 optional);
    if (server->line->rescue_port != 0)
        add_port(ports, "rescue", "loopback", server->line->rescue_port, false);
    return ports;
}

/* Of the port in the file, which is port default of the application object. */
static const char *
file_mode(const ConfServer *server)
{
    static const char *const modes[] = {"unsecured", "secured", "auto-detect"};
    return modes[server->options.listening_mode];
}

/* Opened in plain, it would be less than was asked for. */
static bool
can_be_served(const char *id, const char *listening)
{
    if (strcmp(listening, "unsecured") == 0 || conf_hooks_have_transport())
        return true;
    conf_log(CONF_LOG_PORT_NOT_OPEN, "port", id, "reason",
             "its listening mode needs a plugin that secures connections", NULL);
    return false;
}

static void
add_application_ports(ConfServer *server, GArray *ports)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfObject *application = conf_server_own_application(server);
    ConfSlice raw = application != NULL ? conf_object_get_raw(application, "ports") : (ConfSlice){NULL, 0};
    const ConfJson *list = raw.size > 0 ? conf_json_parse(arena, raw, NULL, NULL, NULL) : NULL;
    for (const ConfJson *item = list != NULL ? list->first : NULL; item != NULL; item = item->next) {
        const ConfJson *number = conf_json_member(item, "port");
        g_autofree char *id = text_of(item, "id"), *listening = text_of(item, "listening"),
                        *clients = text_of(item, "clients");
        g_autofree char *transport = text_of(item, "transport");
        const ConfJson *mutual = conf_json_member(item, "mutual");
        if (number == NULL || number->integer < 1 || number->integer > 65535)
            continue;
        bool is_default = id == NULL || strcmp(id, "default") == 0;
        if (listening == NULL)
            listening = g_strdup(is_default ? file_mode(server) : "unsecured");
        if (!can_be_served(id, listening))
            continue;
        ConfPort *port = add_port(ports, id != NULL ? id : "default", NULL, number->integer,
                                  server->line->rescue_port != 0);
        port->listening = g_steal_pointer(&listening);
        port->mutual = mutual != NULL && mutual->boolean;
        port->ui_only = g_strcmp0(clients, "ui") == 0 && !is_default;
        port->transport = conf_settings_new();
        conf_transport_parse(port->transport, "", transport);
    }
}

static char *
text_of(const ConfJson *port, const char *member)
{
    const ConfJson *value = conf_json_member(port, member);
    return value != NULL && value->kind == CONF_JSON_STRING ? conf_slice_dup(value->text) : NULL;
}

static ConfPort *
add_port(GArray *ports, const char *id, const char *address, int64_t number, bool optional)
{
    ConfPort port = {
        .id = g_strdup(id),
        .address = g_strdup(address),
        .port = (uint16_t)number,
        .optional = optional,
    };
    g_array_append_val(ports, port);
    return &g_array_index(ports, ConfPort, ports->len - 1);
}

static bool
open_port(ConfServer *server, ConfPort *port, GError **error)
{
    port->listener = conf_listener_new(conf_poller_default(), port->address, port->port, port->id, accepted,
                                       server, error);
    if (port->listener == NULL)
        return false;
    return true;
}

static void
accepted(ConfListener *listener, int fd, void *data)
{
    ConfServer *server = data;
    bool ui_only = false;
    for (unsigned i = 0; i < server->ports->len; i++) {
        const ConfPort *port = &g_array_index(server->ports, ConfPort, i);
        if (port->listener == listener)
            ui_only = port->ui_only;
    }
    conf_sessions_accept(server->sessions, server->table, fd, conf_listener_get_port_id(listener), ui_only);
}

static void
port_clear(ConfPort *port)
{
    g_clear_pointer(&port->listener, conf_listener_free);
    g_clear_pointer(&port->id, g_free);
    g_clear_pointer(&port->address, g_free);
    g_clear_pointer(&port->listening, g_free);
    g_clear_pointer(&port->transport, conf_settings_free);
}

static bool
is_same(const ConfPort *a, const ConfPort *b)
{
    return a->port == b->port && a->ui_only == b->ui_only && g_strcmp0(a->id, b->id) == 0 &&
           g_strcmp0(a->address, b->address) == 0;
}

static void
retry(void *data)
{
    ConfServer *server = data;
    bool missing = false;
    for (unsigned i = 0; i < server->ports->len; i++) {
        ConfPort *port = &g_array_index(server->ports, ConfPort, i);
        g_autoptr(GError) error = NULL;
        if (port->listener != NULL || open_port(server, port, &error))
            continue;
        conf_log(CONF_LOG_PORT_NOT_OPEN, "port", port->id, "reason", error->message, NULL);
        missing = true;
    }
    if (missing)
        conf_timer_arm(&server->port_retry, RETRY_MS, retry, server);
}
