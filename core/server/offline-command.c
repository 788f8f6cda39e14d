/* offline-command.c - options of the command line that a plugin of the configuration knows: without ports,
 * a database or a loop. */
#include "base/error.h"
#include "server/server-private.h"

typedef struct {
    ConfServerOptions options;
    const ConfSettings *settings;
    const char *section;
} Offline;

static const char *
get_option(const char *section, const char *key, void *data)
{
    const Offline *offline = data;
    return conf_settings_get(offline->settings,
                             section != NULL && *section != '\0' ? section : offline->section, key);
}

static const char *
get_data_folder(void *data)
{
    return ((Offline *)data)->options.data_folder;
}

static const char *
get_application(void *data)
{
    return ((Offline *)data)->section;
}

bool
conf_offline_command(const ConfCommandLine *line, const ConfSettings *settings, GError **error)
{
    Offline offline = {.settings = settings};
    offline.section = line->section != NULL ? line->section : line->hosts != NULL ? "csproxy" : "confserv";
    if (!conf_option_fill(conf_server_options, offline.section, settings, &offline.options, error))
        return false;
    ConfPluginHostFuncs funcs = {.option = get_option,
                                 .data_folder = get_data_folder,
                                 .application = get_application,
                                 .data = &offline};
    g_autofree char *path = conf_paths_plugins(&offline.options);
    ConfPluginHost *host = conf_plugin_host_new(path, &funcs);
    bool done = conf_plugin_host_run_command(host, offline.options.plugins, offline.section, settings,
                                             line->others, error);
    conf_plugin_host_free(host);
    conf_option_clear(conf_server_options, &offline.options);
    return done;
}
