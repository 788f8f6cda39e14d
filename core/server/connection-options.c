/* connection-options.c - options of one connection: the look-up order port → application → host (accepted),
 * or connection → application → host (the link to the master).
 *
 * Each step has a transport string ("tls=1;certificate=/etc/x.pem") and sections; the string wins.  Of a port
 * and a connection it is the member `transport`; of the application, whose options stand over those of the
 * file, option `transport` of the server's own section, then that of the section asked for; of the host that
 * of the section asked for.  A host's options stand over its annex.
 *
 * Objects are read again only when they have changed: TLS asks ten times a connection. */
#include "server/server-private.h"

/* A version of an object. */
typedef struct {
    int64_t dbid, revision; /* 0: none */
} Version;

struct ConfConnectionOptions {
    ConfSettings *application_transports; /* of server->plugin_settings; NULL: to be read */
    Version application;
    int64_t host_dbid;
    ConfSettings *connection; /* section "connection": the members of connections[] towards the master */
    ConfSettings *connection_transport; /* section "" */
    Version host;
    ConfSettings *host_values, *host_transports;
};

static const char *look_up(const ConfConnection *connection, const char *section, const char *key,
                           void *data);
static const char *look_up_port(const ConfPort *port, const char *section, const char *key);
static const char *look_up_application(ConfServer *server, const char *section, const char *key);
static const char *look_up_host(ConfServer *server, const char *section, const char *key);
static const char *get(const ConfSettings *settings, const char *section, const char *key);
static bool is_new(Version *version, const ConfObject *object);
static void read_application(ConfServer *server);
static const ConfJson *find_master(ConfServer *server, const ConfJson *connections);
static void read_host(ConfServer *server);
static void add_sections(ConfSettings *settings, ConfArena *arena, const ConfObject *object,
                         const char *member);
static void add_member(ConfSettings *settings, const char *section, const ConfJson *member);
static ConfSettings *gather_transports(const ConfSettings *settings);
static void gather(const char *section, const char *key, const char *value, int line, void *data);
static void replace(ConfSettings **settings, ConfSettings *with);

void
conf_connection_options_start(ConfServer *server)
{
    server->connection_options = g_new0(ConfConnectionOptions, 1);
    conf_connection_set_option_func(look_up, server);
}

void
conf_connection_options_stop(ConfServer *server)
{
    ConfConnectionOptions *options = server->connection_options;
    if (options == NULL)
        return;
    conf_connection_set_option_func(NULL, NULL);
    conf_connection_options_forget(server);
    replace(&options->connection, NULL);
    replace(&options->connection_transport, NULL);
    replace(&options->host_values, NULL);
    replace(&options->host_transports, NULL);
    g_clear_pointer(&server->connection_options, g_free);
}

void
conf_connection_options_forget(ConfServer *server)
{
    replace(&server->connection_options->application_transports, NULL);
}

/* A part without '=' is a key with an empty value. */
void
conf_transport_parse(ConfSettings *settings, const char *section, const char *transport)
{
    g_auto(GStrv) parts = g_strsplit(transport != NULL ? transport : "", ";", -1);
    for (unsigned i = 0; parts[i] != NULL; i++) {
        char *value = parts[i];
        char *key = g_strstrip(strsep(&value, "="));
        if (*key != '\0' && conf_settings_get(settings, section, key) == NULL)
            conf_settings_set(settings, section, key, value != NULL ? g_strstrip(value) : "");
    }
}

static const char *
look_up(const ConfConnection *connection, const char *section, const char *key, void *data)
{
    ConfServer *server = data;
    const ConfConnectionOptions *options = server->connection_options;
    if (section == NULL || *section == '\0')
        section = server->section;
    const char *value = NULL;
    if (conf_connection_is_outgoing(connection)) {
        read_application(server);
        if (strcmp(section, "connection") == 0)
            return get(options->connection, section, key);
        value = get(options->connection_transport, "", key);
    } else {
        const ConfPort *port = conf_ports_lookup(server, conf_connection_get_port_id(connection));
        if (strcmp(section, "port") == 0)
            return port != NULL ? look_up_port(port, section, key) : NULL;
        value = port != NULL ? get(port->transport, "", key) : NULL;
    }
    if (value == NULL)
        value = look_up_application(server, section, key);
    return value != NULL ? value : look_up_host(server, section, key);
}

static const char *
look_up_port(const ConfPort *port, const char *section, const char *key)
{
    (void)section;
    if (strcmp(key, "listening") == 0)
        return port->listening;
    if (strcmp(key, "mutual") == 0)
        return port->mutual ? "true" : "false";
    if (strcmp(key, "clients") == 0)
        return port->clients == CONF_CLIENTS_UI ? "ui" : "any";
    if (strcmp(key, "haSync") == 0)
        return port->clients == CONF_CLIENTS_PEER ? "true" : "false";
    return NULL;
}

static const char *
look_up_application(ConfServer *server, const char *section, const char *key)
{
    ConfConnectionOptions *options = server->connection_options;
    if (options->application_transports == NULL)
        options->application_transports = gather_transports(server->plugin_settings);
    const char *value = get(options->application_transports, server->section, key);
    if (value == NULL)
        value = get(options->application_transports, section, key);
    return value != NULL ? value : get(server->plugin_settings, section, key);
}

static const char *
look_up_host(ConfServer *server, const char *section, const char *key)
{
    const ConfConnectionOptions *options = server->connection_options;
    read_host(server);
    const char *value = get(options->host_transports, section, key);
    return value != NULL ? value : get(options->host_values, section, key);
}

static const char *
get(const ConfSettings *settings, const char *section, const char *key)
{
    return settings != NULL ? conf_settings_get(settings, section, key) : NULL;
}

static bool
is_new(Version *version, const ConfObject *object)
{
    Version now = {0, 0};
    if (object != NULL)
        now = (Version){object->dbid, object->revision};
    bool differs = now.dbid != version->dbid || now.revision != version->revision;
    *version = now;
    return differs;
}

static void
read_application(ConfServer *server)
{
    ConfConnectionOptions *options = server->connection_options;
    const ConfObject *application = conf_server_own_application(server);
    if (!is_new(&options->application, application))
        return;
    replace(&options->connection, conf_settings_new());
    replace(&options->connection_transport, conf_settings_new());
    options->host_dbid = 0;
    if (application == NULL)
        return;
    g_autoptr(ConfArena) arena = conf_arena_new();
    ConfSlice host = conf_object_get_raw(application, "host"),
              list = conf_object_get_raw(application, "connections");
    const ConfJson *reference = host.size > 0 ? conf_json_parse(arena, host, NULL, NULL, NULL) : NULL;
    if (reference != NULL && reference->is_integer)
        options->host_dbid = reference->integer;
    const ConfJson *found =
        list.size > 0 ? find_master(server, conf_json_parse(arena, list, NULL, NULL, NULL)) : NULL;
    for (const ConfJson *member = found != NULL ? found->first : NULL; member != NULL; member = member->next)
        add_member(options->connection, "connection", member);
    conf_transport_parse(options->connection_transport, "",
                         conf_settings_get(options->connection, "connection", "transport"));
}

/* The first connection towards a configuration server. */
static const ConfJson *
find_master(ConfServer *server, const ConfJson *connections)
{
    for (const ConfJson *item = connections != NULL ? connections->first : NULL; item != NULL;
         item = item->next) {
        const ConfJson *reference = conf_json_member(item, "server");
        if (reference == NULL || !reference->is_integer)
            continue;
        ConfKey key = {.type = CONF_TYPE_APPLICATION, .dbid = reference->integer};
        const ConfObject *application = conf_store_lookup(server->store, key);
        g_autofree char *type =
            application != NULL ? conf_object_get_string(application, "applicationType") : NULL;
        if (g_strcmp0(type, "configurationServer") == 0)
            return item;
    }
    return NULL;
}

static void
read_host(ConfServer *server)
{
    ConfConnectionOptions *options = server->connection_options;
    read_application(server);
    ConfKey key = {.type = CONF_TYPE_HOST, .dbid = options->host_dbid};
    const ConfObject *host = options->host_dbid != 0 ? conf_store_lookup(server->store, key) : NULL;
    if (!is_new(&options->host, host))
        return;
    replace(&options->host_values, conf_settings_new());
    if (host != NULL) {
        g_autoptr(ConfArena) arena = conf_arena_new();
        add_sections(options->host_values, arena, host, "annex");
        add_sections(options->host_values, arena, host, "options");
    }
    replace(&options->host_transports, gather_transports(options->host_values));
}

static void
add_sections(ConfSettings *settings, ConfArena *arena, const ConfObject *object, const char *member)
{
    ConfSlice raw = conf_object_get_raw(object, member);
    const ConfJson *sections = raw.size > 0 ? conf_json_parse(arena, raw, NULL, NULL, NULL) : NULL;
    for (const ConfJson *section = sections != NULL ? sections->first : NULL; section != NULL;
         section = section->next) {
        g_autofree char *name = conf_slice_dup(section->key);
        for (const ConfJson *entry = section->first; entry != NULL; entry = entry->next)
            add_member(settings, name, entry);
    }
}

/* Strings, numbers and booleans as they would be written in the file. */
static void
add_member(ConfSettings *settings, const char *section, const ConfJson *member)
{
    g_autofree char *key = conf_slice_dup(member->key);
    if (member->kind == CONF_JSON_BOOLEAN) {
        conf_settings_set(settings, section, key, member->boolean ? "true" : "false");
    } else if (member->kind == CONF_JSON_STRING || member->kind == CONF_JSON_NUMBER) {
        g_autofree char *value = conf_slice_dup(member->text);
        conf_settings_set(settings, section, key, value);
    }
}

/* The transport strings among the settings, each under its section. */
static ConfSettings *
gather_transports(const ConfSettings *settings)
{
    ConfSettings *transports = conf_settings_new();
    conf_settings_foreach(settings, gather, transports);
    return transports;
}

static void
gather(const char *section, const char *key, const char *value, int line, void *data)
{
    (void)line;
    if (strcmp(key, "transport") == 0)
        conf_transport_parse(data, section, value);
}

static void
replace(ConfSettings **settings, ConfSettings *with)
{
    conf_settings_free(*settings);
    *settings = with;
}
