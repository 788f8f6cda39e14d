/* @NAME@.c - plugin @NAME@: counts the sessions that are opened, and says so in the log now and then.
 *
 * Here stand the descriptor, the options and the hooks.  Change them into what the plugin is for;
 * plugin/confserv-plugin.h says what there is. */
#include "plugin/confserv-plugin.h"

typedef struct {
    int64_t notice_every;
} Settings;

static const ConfOption options[] = {
    CONF_OPTION_INT(Settings, notice_every, NULL, "notice-every", "1000", "0..1000000", CONF_AT_ONCE,
                    "After how many sessions a line is logged. 0: never."),
    CONF_OPTION_END,
};

typedef struct {
    ConfPlugin *plugin;
    const Settings *settings; /* the server's, good until changed() or unload() */
    uint64_t session_count;
} Self;

static void *load(ConfPlugin *p, const void *settings, GError **error);
static void changed(void *self, const void *settings);
static void unload(void *self);
static void on_session_opened(void *self, ConfSession *s, bool resumed);

CONF_PLUGIN(.name = "@NAME@", .version = "0.1.0", .summary = "Counts the sessions that are opened.",
            .options = options, .settings_size = sizeof(Settings), .load = load, .changed = changed,
            .unload = unload);

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks HOOKS = {.size = sizeof(ConfHooks), .session_opened = on_session_opened};
    Self *self = g_new0(Self, 1);
    self->plugin = p;
    self->settings = settings;
    conf_plugin_hook(p, CONF_NORMAL, &HOOKS);
    conf_plugin_statistic(p, "sessions", &self->session_count);
    return self;
}

static void
changed(void *data, const void *settings)
{
    Self *self = data;
    self->settings = settings;
}

static void
unload(void *data)
{
    g_free(data);
}

static void
on_session_opened(void *data, ConfSession *s, bool resumed)
{
    Self *self = data;
    self->session_count++;
    if (self->settings->notice_every == 0 ||
        self->session_count % (uint64_t)self->settings->notice_every != 0)
        return;
    g_autofree char *count = g_strdup_printf("%" G_GUINT64_FORMAT, self->session_count);
    conf_plugin_log(self->plugin, 2, "Sessions were opened", "count", count, NULL);
}
