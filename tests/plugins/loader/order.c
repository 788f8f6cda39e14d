/* order.c - hooks at one or two priorities, with the verdict that its options say; built under several
 * names. */
#include "noted.h"

typedef struct {
    int64_t priority;
    int64_t second_priority;
    int64_t verdict;
} Settings;

typedef struct {
    ConfPlugin *plugin;
    int64_t verdict;
} Order;

static const ConfOption OPTIONS[] = {
    CONF_OPTION_INT(Settings, priority, NULL, "priority", "500", "0..1000", CONF_AT_START,
                    "Of the first table."),
    CONF_OPTION_INT(Settings, second_priority, NULL, "second-priority", "0", "0..1000", CONF_AT_START,
                    "Of a second table; 0: none."),
    CONF_OPTION_CHOICE(Settings, verdict, NULL, "verdict", "next",
                       "next|done|refuse|later|refuse-silently|next-with-error", CONF_AT_START,
                       "What its hooks answer."),
    CONF_OPTION_END,
};

static ConfVerdict
answer(Order *self, const char *hook, GError **error)
{
    test_note("%s %s%s", PLUGIN_NAME, hook,
              conf_plugin_get_name(self->plugin)[6] == PLUGIN_NAME[6] ? "" : " not itself");
    if (self->verdict == 2 || self->verdict == 5)
        g_set_error(error, CONF_PLUGIN_RPC_ERROR, -32013, "%s says no", PLUGIN_NAME);
    if (self->verdict == 4)
        return CONF_REFUSE;
    return self->verdict == 5 ? CONF_NEXT : (ConfVerdict)self->verdict;
}

static ConfVerdict
accepted(void *self, ConfConnection *c, GError **error)
{
    return answer(self, "accepted", error);
}

static ConfVerdict
login(void *self, ConfLogin *l, GError **error)
{
    return answer(self, "login", error);
}

static void
opened(void *self, ConfConnection *c)
{
    test_note("%s opened", PLUGIN_NAME);
}

static void
idle(void *self, ConfConnection *c, unsigned quiet_ms)
{
    test_note("%s idle %u", PLUGIN_NAME, quiet_ms);
}

static bool
visible(void *self, ConfSession *s, const ConfObject *object)
{
    test_note("%s visible", PLUGIN_NAME);
    return ((Order *)self)->verdict != 2;
}

static void
opened_again(void *self, ConfConnection *c)
{
    test_note("%s opened again", PLUGIN_NAME);
}

static void *
load(ConfPlugin *p, const void *data, GError **error)
{
    static const ConfHooks hooks = {
        .size = sizeof(hooks),
        .accepted = accepted,
        .opened = opened,
        .idle = idle,
        .login = login,
        .visible = visible,
    };
    /* As if built when `opened` was the last member: what stands behind it must not be looked at. */
    static const ConfHooks older = {
        .size = G_STRUCT_OFFSET(ConfHooks, idle),
        .opened = opened_again,
        .idle = (void (*)(void *, ConfConnection *, unsigned))1,
        .committed = (void (*)(void *, const ConfCommit *))1,
    };
    const Settings *settings = data;
    conf_plugin_hook(p, (int)settings->priority, &hooks);
    if (settings->second_priority != 0)
        conf_plugin_hook(p, (int)settings->second_priority, &older);
    test_loaded(p);
    Order *self = g_new(Order, 1);
    *self = (Order){p, settings->verdict};
    return self;
}

static void
unload(void *self)
{
    test_note("%s unload", PLUGIN_NAME);
    g_free(self);
}

CONF_PLUGIN(.name = PLUGIN_NAME, .version = "1", .options = OPTIONS, .settings_size = sizeof(Settings),
            .load = load, .unload = unload);
