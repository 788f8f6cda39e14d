/* bad-options.c - declares an option that lies outside its settings. */
#include "noted.h"

typedef struct {
    int64_t inside;
    int64_t outside;
} Settings;

static const ConfOption OPTIONS[] = {
    CONF_OPTION_INT(Settings, inside, NULL, "inside", "1", "0..9", CONF_AT_ONCE, "Lies inside."),
    CONF_OPTION_INT(Settings, outside, NULL, "outside", "1", "0..9", CONF_AT_ONCE, "Lies outside."),
    CONF_OPTION_END,
};

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    return p;
}

CONF_PLUGIN(.name = "bad-options", .version = "1", .options = OPTIONS, .settings_size = sizeof(int64_t),
            .load = load);
