/* server-plugins.c - the plugins of this server: loading, what the core lends them, their methods, and
 * reloads. */
#include "base/error.h"
#include "server/server-private.h"

#include <ctype.h>
#include <errno.h>

static const char *plugin_option(const char *section, const char *key, void *data);
static const char *plugin_data_folder(void *data);
static const char *plugin_application(void *data);
static const char *plugin_role(void *data);
static bool plugin_add_method(ConfPlugin *p, const char *name, bool before_login, ConfPluginMethodFunc func,
                              GError **error, void *data);
static void free_plugin_method(void *data);
static bool is_reserved(const char *name);
static bool knows_param(const char *method, ConfSlice member, void *data);
static bool is_equal(const ConfSettings *a, const ConfSettings *b);

bool
conf_server_load_plugins(ConfServer *server, GError **error)
{
    ConfPluginHostFuncs funcs = {
        .option = plugin_option,
        .data_folder = plugin_data_folder,
        .application = plugin_application,
        .role = plugin_role,
        .add_method = plugin_add_method,
        .read_changes = conf_history_read_changes,
        .data = server,
    };
    if (g_mkdir_with_parents(server->options.data_folder, 0750) != 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "Folder %s (option data-folder) cannot be made: %s", server->options.data_folder,
                    g_strerror(errno));
        return false;
    }
    g_autofree char *path = conf_paths_plugins(&server->options);
    server->plugins = conf_plugin_host_new(path, &funcs);
    conf_connection_options_start(server);
    conf_request_set_known_param_func(knows_param, server);
    g_autofree char *list = g_strdup(server->options.plugins != NULL ? server->options.plugins : "");
    if (server->role == CONF_ROLE_PRIMARY) {
        const char *storage =
            conf_database_plugin(server->plugins, server->settings, server->options.database, error);
        if (storage == NULL)
            return false;
        g_auto(GStrv) words = g_strsplit_set(list, ", ", -1);
        bool named = g_strv_contains((const char *const *)words, storage);
        g_autofree char *whole =
            named ? g_strdup(list) : g_strdup_printf("%s%s%s", storage, list[0] != '\0' ? "," : "", list);
        return conf_plugin_host_load(server->plugins, whole, server->section, server->settings, error);
    }
    return conf_plugin_host_load(server->plugins, list, server->section, server->settings, error);
}

/* All plugins, or none: what they refuse they do not get to see. */
bool
conf_server_reload_plugins(ConfServer *server, const ConfSettings *settings, bool always, GError **error)
{
    if (!always && is_equal(settings, server->plugin_settings))
        return true;
    g_autoptr(ConfSettings) nothing = conf_settings_new();
    ConfSettings *before = server->plugin_settings;
    server->plugin_settings = conf_settings_merge(settings, nothing);
    conf_connection_options_forget(server);
    bool agreed = conf_plugin_host_reload(server->plugins, server->section, server->plugin_settings, error);
    if (agreed) {
        conf_settings_free(before);
    } else {
        conf_settings_free(server->plugin_settings);
        server->plugin_settings = before;
    }
    conf_connection_options_forget(server);
    return agreed;
}

GPtrArray *
conf_server_plugin_methods(ConfServer *server)
{
    if (server->plugin_methods == NULL)
        server->plugin_methods = g_ptr_array_new_with_free_func(free_plugin_method);
    return server->plugin_methods;
}

static const char *
plugin_option(const char *section, const char *key, void *data)
{
    ConfServer *server = data;
    return conf_settings_get(server->plugin_settings, section != NULL ? section : server->section, key);
}

static const char *
plugin_data_folder(void *data)
{
    return ((ConfServer *)data)->options.data_folder;
}

static const char *
plugin_application(void *data)
{
    return ((ConfServer *)data)->application_name;
}

static const char *
plugin_role(void *data)
{
    return ((ConfServer *)data)->role == CONF_ROLE_PROXY ? "proxy" : "primary";
}

typedef struct {
    ConfPlugin *plugin;
    ConfPluginMethodFunc func;
} PluginMethod;

static void
free_plugin_method(void *data)
{
    ConfMethod *method = data;
    PluginMethod *made = method->data;
    conf_plugin_unref(made->plugin);
    g_free(made);
    g_free(method);
}

static void
call_plugin_method(ConfRequest *request, void *data)
{
    PluginMethod *method = data;
    /* An optional plugin may have refused to load after it had added the method. */
    if (!conf_plugin_is_loaded(method->plugin)) {
        g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
        conf_rpc_fail(&error, CONF_RPC_NO_METHOD, "The plugin of this method is not loaded");
        conf_request_fail(request, &error);
        return;
    }
    conf_plugin_enter(method->plugin);
    method->func(conf_plugin_get_self(method->plugin), request);
    conf_plugin_leave(method->plugin);
}

/* What may be called before log-in may also be called by the master on the link to it (keep-alive). */
static bool
plugin_add_method(ConfPlugin *p, const char *name, bool before_login, ConfPluginMethodFunc func,
                  GError **error, void *data)
{
    ConfServer *server = data;
    if (is_reserved(name)) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_EXISTS, "Method %s is the server's own, or none", name);
        return false;
    }
    PluginMethod *made = g_new0(PluginMethod, 1);
    *made = (PluginMethod){.plugin = conf_plugin_ref(p), .func = func};
    ConfMethod method = {
        .name = name,
        .func = call_plugin_method,
        .flags = before_login ? CONF_METHOD_BEFORE_LOGIN | CONF_METHOD_WHILE_EXPIRED : 0,
        .data = made,
    };
    if (conf_method_table_add(server->table, &method)) {
        g_ptr_array_add(conf_server_plugin_methods(server), g_memdup2(&method, sizeof method));
        return true;
    }
    conf_plugin_unref(p);
    g_free(made);
    g_set_error(error, CONF_ERROR, CONF_ERROR_EXISTS, "Method %s is there already", name);
    return false;
}

/* The server adds its own methods after the plugins' were loaded. */
static bool
is_reserved(const char *name)
{
    static const char *const families[] = {"session",      "object", "transaction", "permission", "account",
                                           "subscription", "server", "replica",     "changes",    "rpc"};
    for (const char *p = name; *p != '\0'; p++) {
        if (!isalnum((unsigned char)*p) && strchr("-_.", *p) == NULL)
            return true;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(families); i++) {
        size_t size = strlen(families[i]);
        if (strncmp(name, families[i], size) == 0 && (name[size] == '.' || name[size] == '\0'))
            return true;
    }
    return *name == '\0';
}

static bool
knows_param(const char *method, ConfSlice member, void *data)
{
    ConfServer *server = data;
    return conf_plugin_host_knows_param(server->plugins, method, member);
}

typedef struct {
    const ConfSettings *other;
    bool differs;
} Comparison;

static void
compare_setting(const char *section, const char *key, const char *value, int line, void *data)
{
    (void)line;
    Comparison *comparison = data;
    if (g_strcmp0(conf_settings_get(comparison->other, section, key), value) != 0)
        comparison->differs = true;
}

static bool
is_equal(const ConfSettings *a, const ConfSettings *b)
{
    Comparison in_b = {.other = b}, in_a = {.other = a};
    conf_settings_foreach(a, compare_setting, &in_b);
    conf_settings_foreach(b, compare_setting, &in_a);
    return !in_a.differs && !in_b.differs;
}
