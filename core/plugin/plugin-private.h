/* plugin-private.h - what the files of core/plugin share: one plugin in this server, and the stack of running
 * plugins.
 *
 * States go one way: found (descriptor read, options filled), loading (within load()), loaded, stopped
 * (stop() was called: it finishes what it holds), unloaded.  The host owns plugins; calls under way from
 * other threads hold a reference, so the struct may outlive the host (its code does so anyway: modules are
 * resident). */
#pragma once

#include <gmodule.h>

#include "base/arena.h"
#include "base/timer-wheel.h"
#include "plugin/loader.h"

typedef enum { PLUGIN_FOUND, PLUGIN_LOADING, PLUGIN_LOADED, PLUGIN_STOPPED, PLUGIN_UNLOADED } ConfPluginState;

typedef struct {
    int priority;
    ConfHooks hooks; /* members that the plugin's build did not know are NULL */
} ConfHookTable;

typedef struct {
    char *name; /* "addp.polls" */
    const uint64_t *value;
} ConfPluginStatistic;

struct ConfPlugin {
    int refs; /* atomic */
    ConfPluginHost *host;
    char *name;
    char *path;
    const ConfPluginDescriptor *descriptor;
    const ConfOption *options; /* with their sections resolved; for ever; NULL: none */
    ConfPluginState state;
    bool is_optional;
    void *self;
    char *library;               /* of option [authentication] library; NULL: none */
    void *settings;              /* a struct of descriptor->settings_size; NULL: no options */
    const ConfSettings *checked; /* by check_sections(), NULL outside; with the server's own section */
    const char *checked_section;
    GError *fault;         /* misuse of the API within load(): load fails with it */
    GArray *hook_tables;   /* ConfHookTable */
    GArray *statistics;    /* ConfPluginStatistic */
    GPtrArray *params;     /* "method member", sorted by nothing: a handful */
    GHashTable *watches;   /* id → ConfWatch: timers too */
    GQueue laters;         /* ConfLater, not finished */
    unsigned laters_made;  /* in all: tells whether a hook took one */
    unsigned pending_work; /* jobs whose done() was not called yet */
    unsigned running_work; /* of these: given to a thread */
    GQueue waiting_work;   /* the others */
    bool is_draining;      /* no new jobs: it is being unloaded */
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfPlugin, conf_plugin_unref)
/* A programmer's error of the plugin's author: in load() the first one refuses the plugin, later it is
 * logged. */
void conf_plugin_fault(ConfPlugin *p, const char *what);

/* module.c: the file, checked to be a plugin of this server's ABI, open for good.  NULL: *error. */
ConfPlugin *conf_plugin_open(const char *item, const char *path, GError **error);
bool conf_plugin_has_file(const char *name, const char *path);
/* options.c */
bool conf_plugin_options_prepare(ConfPlugin *p, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A filled settings struct that check() agreed to; *settings NULL where the plugin has none. */
bool conf_plugin_options_read(ConfPlugin *p, const char *own_section, const ConfSettings *settings,
                              void **filled, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Of one setting that may be nobody's, or another plugin's: true. */
bool conf_plugin_options_check_value(const ConfPlugin *p, const char *own_section, const char *section,
                                     const char *key, const char *value, GError **error);
/* Options that need a restart keep the value in force; told once in the log. */
void conf_plugin_options_keep_at_start(ConfPlugin *p, void *filled);
void conf_plugin_options_free(ConfPlugin *p, void *settings);

/* host-private half of loader.c */
const ConfPluginHostFuncs *conf_plugin_host_funcs(const ConfPluginHost *host);
const char *conf_plugin_host_own_section(const ConfPluginHost *host);
bool conf_plugin_host_offer(ConfPluginHost *host, ConfPlugin *p, const char *service, const void *table,
                            GError **error);

/* hook-chain.c */
/* Plugins in the order in which they were loaded. */
void conf_hook_chain_rebuild(GPtrArray *plugins);
/* A number for each entry into plugin code, never used twice; 0 outside. */
uint64_t conf_plugin_current_frame(void);
bool conf_plugin_frame_is_active(uint64_t frame);
/* command.c: its commands are listed as options of the command line. */
void conf_plugin_register_commands(const ConfPlugin *p);
/* The command of the plugin that one of the options names; NULL: none. */
const ConfPluginCommand *conf_plugin_find_command(const ConfPlugin *p, GHashTable *options);
bool conf_plugin_run_command(ConfPlugin *p, const ConfPluginCommand *command, GHashTable *options,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Data that lives until the outermost entry into plugin code is left. */
ConfArena *conf_plugin_scratch(void);

/* watch.c */
void conf_watch_remove_all(ConfPlugin *p);
/* work.c: runs what is finished and waits for what is under way, at most `wait_ms`.  False: a job still
 * runs. */
bool conf_work_drain(ConfPlugin *p, unsigned wait_ms);
/* later.c: ends those the plugin holds still: their owners are refused with CONF_ERROR_UNAVAILABLE. */
void conf_later_end_all(ConfPlugin *p);
