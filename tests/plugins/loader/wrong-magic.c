/* wrong-magic.c - begins with another magic: some other program's module. */
#include "noted.h"

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    test_loaded(p);
    return p;
}

CONF_API extern const ConfPluginDescriptor conf_plugin;
const ConfPluginDescriptor conf_plugin = {0x12345678u,           CONF_PLUGIN_ABI, CONF_PLUGIN_FEATURE,
                                          .name = "wrong-magic", .version = "1",  .load = load};
