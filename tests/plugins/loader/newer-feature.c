/* newer-feature.c - built for a server that has more to offer. */
#include "noted.h"

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    test_loaded(p);
    return p;
}

CONF_API extern const ConfPluginDescriptor conf_plugin;
const ConfPluginDescriptor conf_plugin = {CONF_PLUGIN_MAGIC,       CONF_PLUGIN_ABI, CONF_PLUGIN_FEATURE + 1,
                                          .name = "newer-feature", .version = "1",  .load = load};
