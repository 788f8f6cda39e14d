/* loader.c - the plugins of this server: which, in which order, from start to end.
 *
 * Everything is read and checked before the first load() runs, so that a wrong option of the last plugin
 * does not leave the effects of the first behind. */
#include "plugin/loader.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/queue-main.h"
#include "plugin/plugin-private.h"
#include "plugin/service-private.h"

/* How long a job of a plugin that is to be unloaded may still run.  Beyond, the plugin's memory is left to
 * the end of the process: freeing it under a running thread would be worse. */
enum { DRAIN_MS = 5000 };

struct ConfPluginHost {
    char *path;
    char *own_section;
    ConfPluginHostFuncs funcs;
    GPtrArray *plugins; /* of ConfPlugin, in the order of loading */
    ConfServices *services;
    bool is_stopped;
};

static GPtrArray *find_all(ConfPluginHost *host, const char *list, const char *own_section,
                           const ConfSettings *settings, GError **error);
static ConfPlugin *find_one(ConfPluginHost *host, const char *item, GPtrArray *found, const char *own_section,
                            const ConfSettings *settings, GError **error);
static bool check_needs(const ConfPlugin *p, GPtrArray *before, GPtrArray *all, GError **error);
static bool load_one(ConfPluginHost *host, ConfPlugin *p, GPtrArray *all, GError **error);
static bool start(ConfPlugin *p, GError **error);
static void stop_one(ConfPlugin *p);
static void unload_one(ConfPluginHost *host, ConfPlugin *p);
static void unload_down_to(ConfPluginHost *host, unsigned length);
static ConfPlugin *lookup(GPtrArray *plugins, const char *name);
static void log_missing(const char *item, GError *error);

ConfPluginHost *
conf_plugin_host_new(const char *path, const ConfPluginHostFuncs *funcs)
{
    conf_assert_main();
    ConfPluginHost *host = g_new0(ConfPluginHost, 1);
    host->path = g_strdup(path != NULL ? path : "");
    if (funcs != NULL)
        host->funcs = *funcs;
    host->plugins = g_ptr_array_new_with_free_func((GDestroyNotify)conf_plugin_unref);
    host->services = conf_services_new();
    return host;
}

void
conf_plugin_host_free(ConfPluginHost *host)
{
    if (host == NULL)
        return;
    conf_plugin_host_stop(host);
    unload_down_to(host, 0);
    g_ptr_array_unref(host->plugins);
    conf_services_free(host->services);
    g_free(host->own_section);
    g_free(host->path);
    g_free(host);
}

bool
conf_plugin_host_load(ConfPluginHost *host, const char *list, const char *own_section,
                      const ConfSettings *settings, GError **error)
{
    conf_assert_main();
    g_free(host->own_section);
    host->own_section = g_strdup(own_section);
    g_autoptr(GPtrArray) found = find_all(host, list, own_section, settings, error);
    if (found == NULL)
        return false;

    unsigned length_before = host->plugins->len;
    for (unsigned i = 0; i < found->len; i++) {
        ConfPlugin *p = found->pdata[i];
        g_autoptr(GError) why = NULL;
        if (load_one(host, p, found, &why)) {
            conf_log(CONF_LOG_PLUGIN_LOADED, "plugin", p->name, "version", p->descriptor->version, "file",
                     p->path, NULL);
            continue;
        }
        if (p->is_optional) {
            log_missing(p->name, why);
            continue;
        }
        unload_down_to(host, length_before);
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    conf_hook_chain_rebuild(host->plugins);
    return true;
}

bool
conf_plugin_host_inspect(ConfPluginHost *host, const char *list, const char *own_section,
                         const ConfSettings *settings, GError **error)
{
    conf_assert_main();
    g_autoptr(GPtrArray) found = find_all(host, list, own_section, settings, error);
    if (found == NULL)
        return false;
    g_autoptr(GPtrArray) before = g_ptr_array_new();
    for (unsigned i = 0; i < host->plugins->len; i++)
        g_ptr_array_add(before, host->plugins->pdata[i]);
    for (unsigned i = 0; i < found->len; i++) {
        ConfPlugin *p = found->pdata[i];
        g_autoptr(GError) why = NULL;
        if (check_needs(p, before, found, &why)) {
            g_ptr_array_add(before, p);
        } else if (p->is_optional) {
            log_missing(p->name, why);
        } else {
            g_propagate_error(error, g_steal_pointer(&why));
            return false;
        }
    }
    return true;
}

bool
conf_plugin_host_run_command(ConfPluginHost *host, const char *list, const char *own_section,
                             const ConfSettings *settings, GHashTable *options, GError **error)
{
    conf_assert_main();
    g_free(host->own_section);
    host->own_section = g_strdup(own_section);
    g_autoptr(GPtrArray) found = find_all(host, list, own_section, settings, error);
    if (found == NULL)
        return false;
    for (unsigned i = 0; i < found->len; i++) {
        ConfPlugin *p = found->pdata[i];
        const ConfPluginCommand *command = conf_plugin_find_command(p, options);
        if (command == NULL)
            continue;
        conf_plugin_enter(p);
        bool done = conf_plugin_run_command(p, command, options, error);
        conf_plugin_leave(p);
        return done;
    }
    GHashTableIter iter;
    void *name;
    g_hash_table_iter_init(&iter, options);
    g_hash_table_iter_next(&iter, &name, NULL);
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "Option '-%s' is not known (see -help)",
                (const char *)name);
    return false;
}

bool
conf_plugin_host_reload(ConfPluginHost *host, const char *own_section, const ConfSettings *settings,
                        GError **error)
{
    conf_assert_main();
    g_autofree void **fresh = g_new0(void *, host->plugins->len + 1);
    for (unsigned i = 0; i < host->plugins->len; i++) {
        if (conf_plugin_options_read(host->plugins->pdata[i], own_section, settings, &fresh[i], error))
            continue;
        for (unsigned j = 0; j < i; j++)
            conf_plugin_options_free(host->plugins->pdata[j], fresh[j]);
        return false;
    }

    g_free(host->own_section);
    host->own_section = g_strdup(own_section);
    for (unsigned i = 0; i < host->plugins->len; i++) {
        ConfPlugin *p = host->plugins->pdata[i];
        conf_plugin_options_keep_at_start(p, fresh[i]);
        /* The old ones go last: the plugin may compare, and holds borrowed strings until it was told. */
        void *old = p->settings;
        p->settings = fresh[i];
        if (p->state == PLUGIN_LOADED && p->descriptor->changed != NULL) {
            conf_plugin_enter(p);
            p->descriptor->changed(p->self, p->settings);
            conf_plugin_leave(p);
        }
        conf_plugin_options_free(p, old);
    }
    return true;
}

bool
conf_plugin_host_check_value(ConfPluginHost *host, const char *own_section, const char *section,
                             const char *key, const char *value, GError **error)
{
    for (unsigned i = 0; i < host->plugins->len; i++) {
        if (!conf_plugin_options_check_value(host->plugins->pdata[i], own_section, section, key, value,
                                             error))
            return false;
    }
    return true;
}

void
conf_plugin_host_stop(ConfPluginHost *host)
{
    conf_assert_main();
    host->is_stopped = true;
    for (unsigned i = host->plugins->len; i > 0; i--)
        stop_one(host->plugins->pdata[i - 1]);
}

bool
conf_plugin_host_is_idle(const ConfPluginHost *host)
{
    for (unsigned i = 0; i < host->plugins->len; i++) {
        const ConfPlugin *p = host->plugins->pdata[i];
        if (p->pending_work > 0 || p->laters.length > 0)
            return false;
    }
    return true;
}

const void *
conf_plugin_host_service(ConfPluginHost *host, const char *service, void **self)
{
    ConfPlugin *p = NULL;
    const void *table = conf_services_lookup(host->services, service, &p);
    if (self != NULL)
        *self = table != NULL ? p->self : NULL;
    return table;
}

ConfPlugin *
conf_plugin_host_service_plugin(ConfPluginHost *host, const char *service)
{
    ConfPlugin *p = NULL;
    return conf_services_lookup(host->services, service, &p) != NULL ? p : NULL;
}

const ConfStorageProvider *
conf_plugin_host_storage(ConfPluginHost *host, const char *engine)
{
    return conf_services_lookup_storage(host->services, engine);
}

bool
conf_plugin_host_has_file(const ConfPluginHost *host, const char *name)
{
    return conf_plugin_has_file(name, host->path);
}

void
conf_plugin_host_foreach(ConfPluginHost *host,
                         void (*func)(const char *name, const char *version, void *data), void *data)
{
    for (unsigned i = 0; i < host->plugins->len; i++) {
        const ConfPlugin *p = host->plugins->pdata[i];
        func(p->name, p->descriptor->version != NULL ? p->descriptor->version : "", data);
    }
}

void
conf_plugin_host_foreach_statistic(ConfPluginHost *host,
                                   void (*func)(const char *name, uint64_t value, void *data), void *data)
{
    for (unsigned i = 0; i < host->plugins->len; i++) {
        const ConfPlugin *p = host->plugins->pdata[i];
        for (unsigned j = 0; j < p->statistics->len; j++) {
            const ConfPluginStatistic *statistic = &g_array_index(p->statistics, ConfPluginStatistic, j);
            func(statistic->name, *statistic->value, data);
        }
    }
}

bool
conf_plugin_host_knows_param(ConfPluginHost *host, const char *method, ConfSlice member)
{
    size_t method_size = strlen(method);
    for (unsigned i = 0; i < host->plugins->len; i++) {
        const ConfPlugin *p = host->plugins->pdata[i];
        for (unsigned j = 0; j < p->params->len; j++) {
            const char *known = p->params->pdata[j];
            if (strncmp(known, method, method_size) == 0 && known[method_size] == ' ' &&
                conf_slice_is(member, known + method_size + 1))
                return true;
        }
    }
    return false;
}

const ConfPluginHostFuncs *
conf_plugin_host_funcs(const ConfPluginHost *host)
{
    return &host->funcs;
}

const char *
conf_plugin_host_own_section(const ConfPluginHost *host)
{
    return host->own_section;
}

bool
conf_plugin_host_offer(ConfPluginHost *host, ConfPlugin *p, const char *service, const void *table,
                       GError **error)
{
    return conf_services_add(host->services, p, service, table, error);
}

/* Reads descriptors and options of all that `list` names and is not optional and missing.  NULL: *error. */
static GPtrArray *
find_all(ConfPluginHost *host, const char *list, const char *own_section, const ConfSettings *settings,
         GError **error)
{
    if (host->is_stopped) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_FAILED,
                    "plugins cannot be loaded any more: the server is stopping");
        return NULL;
    }
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)conf_plugin_unref);
    g_auto(GStrv) items = g_strsplit(list != NULL ? list : "", ",", -1);
    for (unsigned i = 0; items[i] != NULL; i++) {
        const char *item = g_strstrip(items[i]);
        if (*item == '\0')
            continue;
        bool is_optional = *item == '?';
        if (is_optional)
            item++;
        if (*item == '\0') {
            g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "option plugins has a \"?\" without a name");
            return NULL;
        }
        g_autoptr(GError) why = NULL;
        ConfPlugin *p = find_one(host, item, found, own_section, settings, &why);
        if (p != NULL) {
            p->is_optional = is_optional;
            g_ptr_array_add(found, p);
        } else if (is_optional) {
            log_missing(item, why);
        } else {
            g_propagate_error(error, g_steal_pointer(&why));
            return NULL;
        }
    }
    return g_steal_pointer(&found);
}

static ConfPlugin *
find_one(ConfPluginHost *host, const char *item, GPtrArray *found, const char *own_section,
         const ConfSettings *settings, GError **error)
{
    g_autoptr(ConfPlugin) p = conf_plugin_open(item, host->path, error);
    if (p == NULL)
        return NULL;
    if (lookup(found, p->name) != NULL || lookup(host->plugins, p->name) != NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "plugin %s is listed twice", p->name);
        return NULL;
    }
    p->host = host;
    conf_plugin_register_commands(p);
    if (!conf_plugin_options_prepare(p, error) ||
        !conf_plugin_options_read(p, own_section, settings, &p->settings, error))
        return NULL;
    return g_steal_pointer(&p);
}

static bool
check_needs(const ConfPlugin *p, GPtrArray *before, GPtrArray *all, GError **error)
{
    const char *const *needs = p->descriptor->needs;
    for (unsigned i = 0; needs != NULL && needs[i] != NULL; i++) {
        if (lookup(before, needs[i]) != NULL)
            continue;
        g_set_error(
            error, CONF_ERROR, CONF_ERROR_INVALID,
            lookup(all, needs[i]) != NULL
                ? "plugin %s needs plugin %s to be loaded before it: put it before it in option plugins"
                : "plugin %s needs plugin %s, which is not loaded: add it before it in option plugins",
            p->name, needs[i]);
        return false;
    }
    return true;
}

static bool
load_one(ConfPluginHost *host, ConfPlugin *p, GPtrArray *all, GError **error)
{
    if (!check_needs(p, host->plugins, all, error))
        return false;
    if (!start(p, error)) {
        g_prefix_error(error, "plugin %s: ", p->name);
        unload_one(host, p);
        return false;
    }
    g_ptr_array_add(host->plugins, conf_plugin_ref(p));
    return true;
}

static bool
start(ConfPlugin *p, GError **error)
{
    g_autoptr(GError) why = NULL;
    p->state = PLUGIN_LOADING;
    conf_plugin_enter(p);
    p->self = p->descriptor->load(p, p->settings, &why);
    conf_plugin_leave(p);
    if (p->self == NULL) {
        if (why == NULL)
            g_set_error(&why, CONF_ERROR, CONF_ERROR_FAILED, "it refused to load without giving a reason");
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    p->state = PLUGIN_LOADED;
    if (p->fault != NULL) {
        g_propagate_error(error, g_steal_pointer(&p->fault));
        return false;
    }
    return true;
}

static void
stop_one(ConfPlugin *p)
{
    if (p->state != PLUGIN_LOADED)
        return;
    p->state = PLUGIN_STOPPED;
    if (p->descriptor->stop == NULL)
        return;
    conf_plugin_enter(p);
    p->descriptor->stop(p->self);
    conf_plugin_leave(p);
}

static void
unload_one(ConfPluginHost *host, ConfPlugin *p)
{
    stop_one(p);
    conf_services_remove(host->services, p);
    bool is_quiet = conf_work_drain(p, DRAIN_MS);
    conf_later_end_all(p);
    conf_watch_remove_all(p);
    bool was_loaded = p->state == PLUGIN_STOPPED;
    p->state = PLUGIN_UNLOADED;
    conf_hook_chain_rebuild(host->plugins);
    if (!is_quiet) {
        conf_log(CONF_LOG_PLUGIN_STUCK, "plugin", p->name, NULL);
        return;
    }
    if (was_loaded && p->descriptor->unload != NULL) {
        conf_plugin_enter(p);
        p->descriptor->unload(p->self);
        conf_plugin_leave(p);
    }
    p->self = NULL;
    /* A counter's address is good no longer than the plugin. */
    g_array_set_size(p->statistics, 0);
    conf_plugin_options_free(p, p->settings);
    p->settings = NULL;
}

/* In reverse order: what a plugin needs outlives it. */
static void
unload_down_to(ConfPluginHost *host, unsigned length)
{
    while (host->plugins->len > length) {
        ConfPlugin *p = host->plugins->pdata[host->plugins->len - 1];
        unload_one(host, p);
        p->host = NULL;
        g_ptr_array_set_size(host->plugins, (int)host->plugins->len - 1);
    }
}

static ConfPlugin *
lookup(GPtrArray *plugins, const char *name)
{
    for (unsigned i = 0; i < plugins->len; i++) {
        ConfPlugin *p = plugins->pdata[i];
        if (strcmp(p->name, name) == 0)
            return p;
    }
    return NULL;
}

static void
log_missing(const char *item, GError *error)
{
    conf_log(CONF_LOG_PLUGIN_MISSING, "plugin", item, "reason", error != NULL ? error->message : NULL, NULL);
}
