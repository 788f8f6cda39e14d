/* check-config.c - -check-config and -list-options: everything is read, nothing is opened and no plugin's
 * load() runs. */
#include "base/log.h"
#include "server/server-private.h"

#include <stdio.h>

static bool check_values(const ConfServerOptions *options, bool proxy, const ConfSettings *settings,
                         GError **error);
static bool inspect_plugins(const ConfServerOptions *options, const char *section, bool primary, bool list,
                            const ConfSettings *settings, GError **error);
static void print_unknown(const char *section, const char *key, const char *value, int line, void *data);

bool
conf_server_check(const ConfCommandLine *line, const ConfSettings *settings, bool list, GError **error)
{
    ConfServerOptions options = {0};
    bool proxy = line->hosts != NULL;
    const char *section = line->section != NULL ? line->section : proxy ? "csproxy" : "confserv";
    if (!conf_option_fill(conf_server_options, section, settings, &options, error))
        return false;
    conf_log_register_options();
    conf_storage_register_options(options.database);
    conf_command_line_register();
    bool fine = inspect_plugins(&options, section, !proxy && !list, list, settings, error);
    if (fine && list)
        fine = conf_option_list(line->list_options, error);
    else if (fine)
        fine = check_values(&options, proxy, settings, error);
    if (fine && !list) {
        conf_option_find_unknown(settings, section, print_unknown, NULL);
        printf("The configuration is in order\n");
    }
    conf_option_clear(conf_server_options, &options);
    return fine;
}

static bool
check_values(const ConfServerOptions *options, bool proxy, const ConfSettings *settings, GError **error)
{
    if (!conf_server_options_check(options, error) || !conf_log_check(settings, error))
        return false;
    if (proxy)
        return true; /* it has neither a database nor schema files */
    if (!conf_storage_check_options(settings, options->database, error))
        return false;
    g_autofree char *schema_path = conf_paths_schema(options);
    ConfSchema *schema = conf_schema_load(schema_path, error);
    bool fine = schema != NULL;
    conf_schema_free(schema);
    return fine;
}

/* Declares their options, and has them check their values. */
static bool
inspect_plugins(const ConfServerOptions *options, const char *section, bool primary, bool list,
                const ConfSettings *settings, GError **error)
{
    g_autofree char *path = conf_paths_plugins(options);
    static const ConfPluginHostFuncs funcs = {0};
    ConfPluginHost *host = conf_plugin_host_new(path, &funcs);
    const char *storage = list ? "?db-sqlite" : NULL;
    if (primary)
        storage = conf_database_plugin(host, settings, options->database, error);
    bool fine = storage != NULL || !primary;
    const char *named = options->plugins != NULL ? options->plugins : "";
    g_auto(GStrv) words = g_strsplit_set(named, ", ", -1);
    if (storage != NULL && g_strv_contains((const char *const *)words, storage))
        storage = NULL;
    g_autofree char *plugins = g_strjoin(",", storage != NULL ? storage : "", named, NULL);
    fine = fine && conf_plugin_host_inspect(host, plugins, section, settings, error);
    conf_plugin_host_free(host);
    return fine;
}

/* Reported, not fatal. */
static void
print_unknown(const char *section, const char *key, const char *value, int line, void *data)
{
    (void)value, (void)data;
    printf("Line %d: option %s of section [%s] is not known\n", line, key, section);
}
