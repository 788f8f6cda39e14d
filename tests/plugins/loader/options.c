/* options.c - an option of each type, one that needs a restart, one of the server's own section. */
#include <string.h>

#include "noted.h"

typedef struct {
    bool on;
    int64_t seconds;
    int64_t mode;
    char *text;
    char *secret;
    char *folder;
    int64_t own;
    int64_t weight;
} Settings;

static const ConfOption OPTIONS[] = {
    CONF_OPTION_BOOL(Settings, on, NULL, "on", "true", NULL, CONF_AT_ONCE, "Whether it is on."),
    CONF_OPTION_INT(Settings, seconds, NULL, "seconds", "5", "1..600 s", CONF_AT_ONCE, "How long."),
    CONF_OPTION_CHOICE(Settings, mode, NULL, "mode", "plain", "plain|start-tls|ldaps", CONF_AT_ONCE,
                       "Which way."),
    CONF_OPTION_STRING(Settings, text, NULL, "text", NULL, NULL, CONF_AT_ONCE, "What."),
    CONF_OPTION_SECRET(Settings, secret, "options-secrets", "secret", NULL, NULL, CONF_AT_ONCE,
                       "What nobody sees."),
    CONF_OPTION_STRING(Settings, folder, NULL, "folder", "here", NULL, CONF_AT_START, "Where."),
    CONF_OPTION_INT(Settings, own, "", "own", "1", "0..9", CONF_AT_ONCE, "In the server's own section."),
    CONF_OPTION_INT(Settings, weight, "options-site*", "weight", "3", "1..9", CONF_AT_ONCE,
                    "Of each of several sections."),
    CONF_OPTION_END,
};

static void
note_settings(const char *what, const Settings *settings)
{
    test_note("%s on=%d seconds=%d mode=%d text=%s secret=%s folder=%s own=%d%s", what, settings->on,
              (int)settings->seconds, (int)settings->mode, settings->text != NULL ? settings->text : "-",
              settings->secret != NULL ? settings->secret : "-", settings->folder, (int)settings->own,
              settings->weight == 3 ? "" : " odd");
}

static bool
check(const void *data, GError **error)
{
    const Settings *settings = data;
    if (settings->mode == 0 || settings->secret != NULL)
        return true;
    g_set_error(error, g_quark_from_static_string("options"), 1, "a mode other than plain needs a secret");
    return false;
}

static void *
load(ConfPlugin *p, const void *data, GError **error)
{
    note_settings("load", data);
    test_loaded(p);
    return p;
}

static void
changed(void *self, const void *data)
{
    note_settings("changed", data);
}

CONF_PLUGIN(.name = "options", .version = "1", .options = OPTIONS, .settings_size = sizeof(Settings),
            .check = check, .load = load, .changed = changed);
