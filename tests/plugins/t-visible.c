/* t-visible.c - test plugin: hides objects from some sessions.  Users whose names begin with "blind" do
 * not see objects whose names begin with "dark". */
#include "plugin-test.h"

static bool
visible(void *data, ConfSession *s, const ConfObject *object)
{
    uint64_t *asked = data;
    ++*asked;
    return !g_str_has_prefix(conf_session_get_user_name(s), "blind") ||
           !g_str_has_prefix(conf_object_get_name(object), "dark");
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks hooks = {.size = sizeof hooks, .visible = visible};
    uint64_t *asked = g_new0(uint64_t, 1);
    conf_plugin_hook(p, CONF_NORMAL, &hooks);
    conf_plugin_statistic(p, "asked", asked);
    return asked;
}

CONF_PLUGIN(.name = "t-visible", .version = "1", .summary = "Hides", .load = load, .unload = g_free);
