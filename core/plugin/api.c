/* api.c - what a plugin asks of and tells to the server, as far as it concerns the plugin itself. */
#include <stdarg.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/queue-main.h"
#include "plugin/plugin-private.h"

enum {
    LOG_PAIRS_MAX = 12,
    STATISTICS_MAX = 1000,
};

static bool is_in_load(const ConfPlugin *p, GError **error);

G_DEFINE_QUARK(conf - plugin - rpc - error - quark, conf_plugin_rpc_error)

ConfPlugin *
conf_plugin_ref(ConfPlugin *p)
{
    g_atomic_int_inc(&p->refs);
    return p;
}

void
conf_plugin_unref(ConfPlugin *p)
{
    if (!g_atomic_int_dec_and_test(&p->refs))
        return;
    conf_plugin_options_free(p, p->settings);
    g_array_unref(p->hook_tables);
    g_array_unref(p->statistics);
    g_ptr_array_unref(p->params);
    g_clear_error(&p->fault);
    g_free(p->name);
    g_free(p->library);
    g_free(p->path);
    g_free(p);
}

bool
conf_plugin_is_loaded(const ConfPlugin *p)
{
    return p->self != NULL && p->state != PLUGIN_UNLOADED;
}

void
conf_plugin_fault(ConfPlugin *p, const char *what)
{
    if (p->state == PLUGIN_LOADING) {
        if (p->fault == NULL)
            p->fault = g_error_new(CONF_ERROR, CONF_ERROR_INVALID, "it uses the server wrongly: %s", what);
        return;
    }
    conf_log(CONF_LOG_PLUGIN_MISUSE, "plugin", p->name, "what", what, NULL);
}

void
conf_plugin_hook(ConfPlugin *p, int priority, const ConfHooks *hooks)
{
    conf_assert_main();
    if (p->state != PLUGIN_LOADING) {
        conf_plugin_fault(p, "Hooks can be registered in load() only");
        return;
    }
    if (hooks->size < sizeof(hooks->size)) {
        conf_plugin_fault(p, "A table of hooks does not say its size");
        return;
    }
    ConfHookTable table = {.priority = priority};
    memcpy(&table.hooks, hooks, MIN(hooks->size, sizeof(table.hooks)));
    table.hooks.size = sizeof(table.hooks);
    g_array_append_val(p->hook_tables, table);
}

bool
conf_plugin_provide(ConfPlugin *p, const char *service, const void *table, GError **error)
{
    conf_assert_main();
    return is_in_load(p, error) && conf_plugin_host_offer(p->host, p, service, table, error);
}

bool
conf_plugin_authenticates(ConfPlugin *p, const char *library, GError **error)
{
    conf_assert_main();
    if (!is_in_load(p, error))
        return false;
    if (conf_hooks_have_library(library)) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_EXISTS, "library %s is another plugin already", library);
        return false;
    }
    g_free(p->library);
    p->library = g_strdup(library);
    return true;
}

const char *
conf_plugin_get_name(const ConfPlugin *p)
{
    return p->name;
}

const char *
conf_plugin_get_option(const ConfPlugin *p, const char *section, const char *key)
{
    const bool is_own = section == NULL || *section == '\0';
    if (p->checked != NULL)
        return conf_settings_get(p->checked, is_own ? p->checked_section : section, key);
    const ConfPluginHostFuncs *funcs = conf_plugin_host_funcs(p->host);
    if (is_own)
        section = conf_plugin_host_own_section(p->host);
    return funcs->option != NULL && section != NULL ? funcs->option(section, key, funcs->data) : NULL;
}

const char *
conf_plugin_get_data_folder(const ConfPlugin *p)
{
    const ConfPluginHostFuncs *funcs = conf_plugin_host_funcs(p->host);
    const char *folder = funcs->data_folder != NULL ? funcs->data_folder(funcs->data) : NULL;
    return folder != NULL ? folder : ".";
}

const char *
conf_plugin_get_application(const ConfPlugin *p)
{
    const ConfPluginHostFuncs *funcs = conf_plugin_host_funcs(p->host);
    const char *name = funcs->application != NULL ? funcs->application(funcs->data) : NULL;
    return name != NULL ? name : "";
}

void
conf_plugin_read_changes(ConfPlugin *p, int64_t after, ConfPluginChangesFunc done, void *data)
{
    const ConfPluginHostFuncs *funcs = conf_plugin_host_funcs(p->host);
    conf_assert_main();
    if (funcs->read_changes != NULL) {
        funcs->read_changes(p, after, done, data, funcs->data);
        return;
    }
    g_autoptr(GError) error =
        g_error_new(CONF_ERROR, CONF_ERROR_NOT_FOUND, "This server has no database with change records");
    done(p->self, NULL, 0, error, data);
}

const char *
conf_plugin_get_role(const ConfPlugin *p)
{
    const ConfPluginHostFuncs *funcs = conf_plugin_host_funcs(p->host);
    const char *role = funcs->role != NULL ? funcs->role(funcs->data) : NULL;
    return role != NULL ? role : "";
}

void
conf_plugin_log(const ConfPlugin *p, int level, const char *sentence, ...)
{
    static const ConfLogId IDS[] = {
        CONF_LOG_PLUGIN_MESSAGE_ERROR, CONF_LOG_PLUGIN_MESSAGE_WARNING, CONF_LOG_PLUGIN_MESSAGE_NOTICE,
        CONF_LOG_PLUGIN_MESSAGE_INFO,  CONF_LOG_PLUGIN_MESSAGE_DEBUG,
    };
    ConfLogId id = IDS[CLAMP(level, 0, (int)G_N_ELEMENTS(IDS) - 1)];
    if (!conf_log_is_on(id))
        return;
    /* One id cannot have a sentence a plugin: it is a value, which keeps it whole in JSON lines too.  What
     * is missing of the pairs is NULL, and the first NULL key ends them. */
    const char *a[2 * LOG_PAIRS_MAX] = {NULL};
    va_list arguments;
    va_start(arguments, sentence);
    for (unsigned i = 0; i < LOG_PAIRS_MAX; i++) {
        a[2 * i] = va_arg(arguments, const char *);
        if (a[2 * i] == NULL)
            break;
        a[2 * i + 1] = va_arg(arguments, const char *);
    }
    va_end(arguments);
    conf_log(id, "plugin", p->name, "message", sentence, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8],
             a[9], a[10], a[11], a[12], a[13], a[14], a[15], a[16], a[17], a[18], a[19], a[20], a[21], a[22],
             a[23], NULL);
}

void
conf_plugin_statistic(ConfPlugin *p, const char *name, const uint64_t *value)
{
    conf_assert_main();
    if (p->state == PLUGIN_UNLOADED || p->statistics->len >= STATISTICS_MAX) {
        conf_plugin_fault(p, "A statistic is registered too late, or there are too many");
        return;
    }
    ConfPluginStatistic statistic = {g_strconcat(p->name, ".", name, NULL), value};
    g_array_append_val(p->statistics, statistic);
}

void
conf_plugin_know_param(ConfPlugin *p, const char *method, const char *member)
{
    conf_assert_main();
    if (p->state != PLUGIN_LOADING) {
        conf_plugin_fault(p, "Members of params can be made known in load() only");
        return;
    }
    g_ptr_array_add(p->params, g_strconcat(method, " ", member, NULL));
}

bool
conf_plugin_add_method(ConfPlugin *p, const char *name, bool before_login, ConfPluginMethodFunc func,
                       GError **error)
{
    conf_assert_main();
    if (!is_in_load(p, error))
        return false;
    const ConfPluginHostFuncs *funcs = conf_plugin_host_funcs(p->host);
    if (funcs->add_method == NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_FAILED, "this server takes no methods of plugins");
        return false;
    }
    return funcs->add_method(p, name, before_login, func, error, funcs->data);
}

void *
conf_plugin_get_self(const ConfPlugin *p)
{
    return p->self;
}

static bool
is_in_load(const ConfPlugin *p, GError **error)
{
    if (p->state == PLUGIN_LOADING)
        return true;
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "plugin %s may do this in load() only", p->name);
    return false;
}
