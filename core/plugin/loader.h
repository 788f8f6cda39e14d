/* loader.h - finds, checks, loads and unloads plugins.  Main loop only. */
#pragma once

#include "base/bytes.h"
#include "base/option.h"
#include "plugin/hook-chain.h"

typedef struct ConfPluginHost ConfPluginHost;

/* What the core lends to plugins that the lower layers cannot know: filled by core/server. */
typedef struct {
    const char *(*option)(const char *section, const char *key, void *data);
    const char *(*data_folder)(void *data);
    const char *(*application)(void *data);
    const char *(*role)(void *data);
    bool (*add_method)(ConfPlugin *p, const char *name, bool before_login, ConfPluginMethodFunc func,
                       GError **error, void *data);
    void (*read_changes)(ConfPlugin *p, int64_t after, ConfPluginChangesFunc done, void *func_data,
                         void *data);
    void *data;
} ConfPluginHostFuncs;

/* `path`: colon list of folders. */
ConfPluginHost *conf_plugin_host_new(const char *path, const ConfPluginHostFuncs *funcs);
/* stop() and unload() of all, in reverse order. */
void conf_plugin_host_free(ConfPluginHost *host);
/* `list`: "tls, ?addp, ./mine.so".  Reads descriptors, checks options (all), then loads in order.
 * `own_section`: of the server. False: one clear line in *error; what was loaded is unloaded.  `?name`: a
 * failure is logged, not the end. */
bool conf_plugin_host_load(ConfPluginHost *host, const char *list, const char *own_section,
                           const ConfSettings *settings, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Reads descriptor and options only (-list-options, -check-config). */
bool conf_plugin_host_inspect(ConfPluginHost *host, const char *list, const char *own_section,
                              const ConfSettings *settings, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* An option of the command line that no part of the core knows: the plugin of `list` that has such a
 * command runs it, with `options` (name → argument, "" for none), all of which must belong to it.
 * CONF_ERROR_INVALID: nobody has it, or it was given wrongly. */
bool conf_plugin_host_run_command(ConfPluginHost *host, const char *list, const char *own_section,
                                  const ConfSettings *settings, GHashTable *options, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
/* check() of all, then changed() of all: one bad value changes nothing. */
bool conf_plugin_host_reload(ConfPluginHost *host, const char *own_section, const ConfSettings *settings,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Whether the plugins that declare the option take the value, as far as one value by itself can tell. */
bool conf_plugin_host_check_value(ConfPluginHost *host, const char *own_section, const char *section,
                                  const char *key, const char *value, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
/* Asks stop() of all: no new work. */
void conf_plugin_host_stop(ConfPluginHost *host);
/* True: no plugin has a job or a ConfLater under way.  A server that stops runs its loop until then, or
 * its patience ends. */
bool conf_plugin_host_is_idle(const ConfPluginHost *host);
/* NULL: nobody provides it.  *self (may be NULL): of the plugin that does. */
const void *conf_plugin_host_service(ConfPluginHost *host, const char *service, void **self);
/* The plugin that provides it, for conf_plugin_enter() around calls of the table; NULL: nobody. */
ConfPlugin *conf_plugin_host_service_plugin(ConfPluginHost *host, const char *service);
/* Of several storage plugins the one whose engine list holds `engine`. */
const ConfStorageProvider *conf_plugin_host_storage(ConfPluginHost *host, const char *engine);
/* Is there a file for a plugin of this name? */
bool conf_plugin_host_has_file(const ConfPluginHost *host, const char *name);
/* Names, versions of what is loaded: func per plugin. */
void conf_plugin_host_foreach(ConfPluginHost *host,
                              void (*func)(const char *name, const char *version, void *data), void *data);
void conf_plugin_host_foreach_statistic(ConfPluginHost *host,
                                        void (*func)(const char *name, uint64_t value, void *data),
                                        void *data);
/* Does a plugin understand this member of the method's params? */
bool conf_plugin_host_knows_param(ConfPluginHost *host, const char *method, ConfSlice member);
/* self of a plugin (what load() returned), and its name. */
void *conf_plugin_get_self(const ConfPlugin *p);
/* For layers that call a plugin's function some time later: hold a reference, and call only while it is
 * loaded. */
ConfPlugin *conf_plugin_ref(ConfPlugin *p);
void conf_plugin_unref(ConfPlugin *p);
bool conf_plugin_is_loaded(const ConfPlugin *p);
/* Around each call of a plugin's function by the layers above (methods, answers): sets
 * conf_plugin_current().  Pairs nest. */
void conf_plugin_enter(ConfPlugin *p);
void conf_plugin_leave(ConfPlugin *p);

/* work.c: the core's own bounded pool.  done on the main loop; false: queue full. */
bool conf_pool_push(void (*work)(void *job), void (*done)(void *job), void *job);
/* Of the core's pool; a plugin keeps no more either. */
unsigned conf_pool_thread_count(void);
/* later.c: the generic half of ConfLater; layers that own the thing delayed (request, log-in) make it. */
typedef struct {
    /* verdict NEXT, DONE, REFUSE; error is set with REFUSE, else NULL; the owner frees it, answers and
     * lets go of the later, which is freed after the call.  Exactly one of the five is called, none once
     * abandoned. */
    void (*finished)(void *owner, ConfVerdict verdict, GError *error);
    void (*answered)(void *owner, const char *result_json); /* NULL: not a request */
    void (*failed)(void *owner, int code, const char *message,
                   const char *data_json); /* NULL: not a request */
    void (*challenged)(void *owner, const char *prompt,
                       GBytes *state); /* NULL: not a log-in; the owner frees state (or NULL) */
    void (*timed_out)(void *owner);    /* or the plugin is unloaded; then gone() is called */
} ConfLaterFuncs;
ConfLater *conf_later_new(ConfPlugin *p, const ConfLaterFuncs *funcs, void *owner, unsigned timeout_ms,
                          void (*gone)(void *), void *data);
/* Of a thing that cannot be put off (any more): a mistake of the plugin's, which is logged.  gone() is called
 * before it returns; finishing it does nothing but free. */
ConfLater *conf_later_new_gone(ConfPlugin *p, void (*gone)(void *), void *data, const char *mistake);
/* The owner is going (connection closed): gone() is called; a later finish does nothing but free. */
void conf_later_abandon(ConfLater *later);
