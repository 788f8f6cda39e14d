/* ports-wanted.c - which ports there should be: those of the application object (or, where it has none, the
 * one of the file), the management port, the rescue port. */
#include "base/log.h"
#include "server/server-private.h"

static ConfPort *add_port(GArray *ports, const char *id, const char *address, int64_t number, bool optional);
static const char *file_mode(const ConfServer *server);
static bool can_be_served(ConfServer *server, const char *id, const char *listening);
static bool is_own(ConfServer *server, const char *id);
static bool is_own_number(ConfServer *server, const char *id, const char *address, int64_t number);
static bool is_taken(ConfServer *server, GArray *ports, const char *id, const char *address, int64_t number);
static bool overlap(const char *a, const char *b);
static bool covers(const char *a, const char *b);
static void add_application_ports(ConfServer *server, GArray *ports);
static void add_application_port(ConfServer *server, GArray *ports, const ConfJson *item);
static void set_clients(ConfServer *server, ConfPort *port, const ConfJson *item);
static void set_balancers(ConfServer *server, ConfPort *port);
static const char *transport_value(const ConfPort *port, const char *key);
static void refuse(ConfServer *server, const char *id, const char *why);
static char *text_of(const ConfJson *port, const char *member);
static bool is_true(const ConfJson *port, const char *member);

GArray *
conf_ports_wanted(ConfServer *server)
{
    GArray *ports = g_array_new(FALSE, TRUE, sizeof(ConfPort));
    bool optional = server->line->rescue_port != 0;
    g_ptr_array_set_size(server->refused_ports, 0);
    add_application_ports(server, ports);
    if (ports->len == 0 && server->options.port != 0 && can_be_served(server, "default", file_mode(server))) {
        ConfPort *port = add_port(ports, "default", NULL, server->options.port, optional);
        port->listening = g_strdup(file_mode(server));
        set_balancers(server, port);
    }
    if (server->options.management_port != 0)
        add_port(ports, "management", server->options.management_address, server->options.management_port,
                 optional)
            ->management = true;
    if (server->line->rescue_port != 0)
        add_port(ports, "rescue", "loopback", server->line->rescue_port, false)->management = true;
    return ports;
}

void
conf_port_clear(ConfPort *port)
{
    g_clear_pointer(&port->listener, conf_listener_free);
    g_clear_pointer(&port->id, g_free);
    g_clear_pointer(&port->address, g_free);
    g_clear_pointer(&port->open_address, g_free);
    g_clear_pointer(&port->failure, g_free);
    g_clear_pointer(&port->listening, g_free);
    g_clear_pointer(&port->transport, conf_settings_free);
    g_clear_pointer(&port->balancers, conf_address_list_free);
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
can_be_served(ConfServer *server, const char *id, const char *listening)
{
    if (strcmp(listening, "unsecured") == 0 || conf_hooks_have_transport())
        return true;
    refuse(server, id, "its listening mode needs a plugin that secures connections; it is not open");
    return false;
}

/* Options are looked up by the name of the port: another one of that name would take TLS, or what log-ins it
 * allows, to the port that must stay usable when nothing else does. */
static bool
is_own(ConfServer *server, const char *id)
{
    bool management = server->options.management_port != 0 && strcmp(id, "management") == 0;
    bool rescue = server->line->rescue_port != 0 && strcmp(id, "rescue") == 0;
    if (!management && !rescue)
        return false;
    refuse(server, id, "the server has a port of its own with this name; this one is not open");
    return true;
}

/* Likewise its number: whoever may change the object would take the port away from whoever is to mend it. */
static bool
is_own_number(ConfServer *server, const char *id, const char *address, int64_t number)
{
    bool management =
        number == server->options.management_port && overlap(address, server->options.management_address);
    bool rescue = number == server->line->rescue_port && overlap(address, "loopback");
    if (!management && !rescue)
        return false;
    refuse(server, id, "the server has a port of its own with this number; this one is not open");
    return true;
}

/* Known beforehand, and not the fault of anybody else on this machine: a start need not fail for it. */
static bool
is_taken(ConfServer *server, GArray *ports, const char *id, const char *address, int64_t number)
{
    for (unsigned i = 0; i < ports->len; i++) {
        const ConfPort *other = &g_array_index(ports, ConfPort, i);
        if (other->port != number || !overlap(address, other->address))
            continue;
        g_autofree char *why =
            g_strdup_printf("port %s has this number already; this one is not open", other->id);
        refuse(server, id, why);
        return true;
    }
    return false;
}

/* NULL: all addresses. */
static bool
overlap(const char *a, const char *b)
{
    return covers(a, b) || covers(b, a);
}

/* Two ways to write one address are not looked through: such a port is told when it cannot be opened. */
static bool
covers(const char *a, const char *b)
{
    if (a == NULL || (b != NULL && strcmp(a, b) == 0))
        return true;
    if (b == NULL)
        return false;
    bool six = strchr(b, ':') != NULL, both = strcmp(b, "loopback") == 0;
    if (strcmp(a, "loopback") == 0)
        return strcmp(b, "127.0.0.1") == 0 || strcmp(b, "::1") == 0;
    return (strcmp(a, "0.0.0.0") == 0 && (!six || both)) || (strcmp(a, "::") == 0 && (six || both));
}

static void
add_application_ports(ConfServer *server, GArray *ports)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfObject *application = conf_server_own_application(server);
    ConfSlice raw = application != NULL ? conf_object_get_raw(application, "ports") : (ConfSlice){NULL, 0};
    const ConfJson *list = raw.size > 0 ? conf_json_parse(arena, raw, NULL, NULL, NULL) : NULL;
    /* Port default first: what contradicts it is another port's fault. */
    for (unsigned turn = 0; turn < 2; turn++) {
        for (const ConfJson *item = list != NULL ? list->first : NULL; item != NULL; item = item->next) {
            g_autofree char *id = text_of(item, "id");
            if ((g_strcmp0(id, "default") == 0) == (turn == 0))
                add_application_port(server, ports, item);
        }
    }
}

static void
add_application_port(ConfServer *server, GArray *ports, const ConfJson *item)
{
    const ConfJson *number = conf_json_member(item, "port");
    g_autofree char *id = text_of(item, "id"), *listening = text_of(item, "listening"),
                    *transport = text_of(item, "transport");
    if (number == NULL || number->integer < 1 || number->integer > 65535)
        return;
    if (id == NULL)
        id = g_strdup("default");
    if (listening == NULL)
        listening = g_strdup(strcmp(id, "default") == 0 ? file_mode(server) : "unsecured");
    g_autoptr(ConfSettings) parameters = conf_settings_new();
    conf_transport_parse(parameters, "", transport);
    /* A port whose transport says tls=1, as that of a client does, is meant to be secured. */
    if (strcmp(listening, "unsecured") == 0 &&
        g_strcmp0(conf_settings_get(parameters, "", "tls"), "1") == 0) {
        g_free(listening);
        listening = g_strdup("secured");
    }
    const char *address = conf_settings_get(parameters, "", "address");
    if (is_own(server, id) || is_own_number(server, id, address, number->integer) ||
        is_taken(server, ports, id, address, number->integer) || !can_be_served(server, id, listening))
        return;
    ConfPort *port = add_port(ports, id, address, number->integer, server->line->rescue_port != 0);
    port->listening = g_steal_pointer(&listening);
    port->mutual = is_true(item, "mutual");
    port->transport = g_steal_pointer(&parameters);
    set_clients(server, port, item);
    set_balancers(server, port);
}

/* Port default stays open to all: backups and servers that know no other port would be locked out, and nobody
 * could mend it. */
static void
set_clients(ConfServer *server, ConfPort *port, const ConfJson *item)
{
    g_autofree char *clients = text_of(item, "clients");
    bool ui = g_strcmp0(clients, "ui") == 0, peer = is_true(item, "haSync");
    if ((ui || peer) && strcmp(port->id, "default") == 0) {
        refuse(server, port->id,
               ui ? "clients ui is ignored: port default cannot be restricted"
                  : "haSync is ignored: port default cannot be restricted");
        return;
    }
    if (ui && peer)
        refuse(server, port->id, "clients ui is ignored: a port with haSync is for the peer");
    port->clients = peer ? CONF_CLIENTS_PEER : ui ? CONF_CLIENTS_UI : CONF_CLIENTS_ANY;
}

/* With a bad value nobody is trusted: then headers are refused, and no address is believed. */
static void
set_balancers(ConfServer *server, ConfPort *port)
{
    const char *on = transport_value(port, "proxy-protocol"),
               *trusted = transport_value(port, "trusted-balancers");
    g_autoptr(GError) error = NULL;
    port->proxy_protocol = server->options.proxy_protocol;
    if (on != NULL && !conf_option_read_boolean(on, &port->proxy_protocol))
        refuse(server, port->id, "proxy-protocol is neither true nor false");
    if (!port->proxy_protocol)
        return;
    port->balancers =
        conf_address_list_new(trusted != NULL ? trusted : server->options.trusted_balancers, &error);
    if (port->balancers == NULL) {
        g_autofree char *why = g_strdup_printf("trusted-balancers: %s", error->message);
        refuse(server, port->id, why);
    } else if (conf_address_list_is_empty(port->balancers)) {
        refuse(server, port->id, "proxy-protocol is on, but trusted-balancers names nobody");
    }
}

static const char *
transport_value(const ConfPort *port, const char *key)
{
    return port->transport != NULL ? conf_settings_get(port->transport, "", key) : NULL;
}

static void
refuse(ConfServer *server, const char *id, const char *why)
{
    char *text = g_strdup_printf("ports/%s: %s", id, why);
    conf_log(CONF_LOG_PORT_REFUSED, "what", text, NULL);
    g_ptr_array_add(server->refused_ports, text);
}

static char *
text_of(const ConfJson *port, const char *member)
{
    const ConfJson *value = conf_json_member(port, member);
    return value != NULL && value->kind == CONF_JSON_STRING ? conf_slice_dup(value->text) : NULL;
}

static bool
is_true(const ConfJson *port, const char *member)
{
    const ConfJson *value = conf_json_member(port, member);
    return value != NULL && value->kind == CONF_JSON_BOOLEAN && value->boolean;
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
