/* older-feature.c - built for a server whose descriptor ended before the members of feature 1: what stands
 * behind it in memory is none of them. */
#include "noted.h"

typedef struct {
    bool on;
} Settings;

static const ConfOption OPTIONS[] = {
    CONF_OPTION_BOOL(Settings, on, NULL, "on", "true", NULL, CONF_AT_ONCE, "An option."),
    CONF_OPTION_END,
};

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    test_loaded(p);
    return p;
}

static void
never(void)
{
    g_error("What stands behind an older descriptor was called");
}

/* ConfPluginDescriptor as it was. */
typedef struct {
    uint32_t magic, abi, feature;
    const char *name, *version, *summary;
    const char *const *needs;
    const ConfOption *options;
    size_t settings_size;
    bool (*check)(const void *settings, GError **error);
    void *(*load)(ConfPlugin *p, const void *settings, GError **error);
    void (*changed)(void *self, const void *settings);
    void (*stop)(void *self);
    void (*unload)(void *self);
    void (*behind[8])(void);
} OlderDescriptor;

CONF_API extern const OlderDescriptor conf_plugin;
const OlderDescriptor conf_plugin = {.magic = CONF_PLUGIN_MAGIC,
                                     .abi = CONF_PLUGIN_ABI,
                                     .feature = 0,
                                     .name = "older-feature",
                                     .version = "1",
                                     .options = OPTIONS,
                                     .settings_size = sizeof(Settings),
                                     .load = load,
                                     .behind = {never, never, never, never, never, never, never, never}};
