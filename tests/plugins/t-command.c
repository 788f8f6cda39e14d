/* t-command.c - test plugin: options of the command line; it is never loaded. */
#include "plugin-test.h"

#include <stdio.h>

#include "base/error.h"

typedef struct {
    char *word;
} Settings;

static const ConfOption OPTIONS[] = {
    CONF_OPTION_STRING(Settings, word, NULL, "word", "none", NULL, CONF_AT_START, "A word."),
    CONF_OPTION_END,
};

static bool
say(ConfPlugin *p, const void *settings, const char *argument, const char *const *values, GError **error)
{
    const Settings *own = settings;
    if (test_is(argument, "wrong")) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "That is wrong");
        return false;
    }
    if (test_is(argument, "failed")) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_FAILED, "That failed");
        return false;
    }
    printf("%s says %s to %s, %s, in %s (%s)\n", conf_plugin_get_name(p), argument,
           values[0] != NULL ? values[0] : "all", own->word, conf_plugin_get_data_folder(p),
           conf_plugin_get_option(p, "t-command", "word"));
    return true;
}

static bool
nod(ConfPlugin *p, const void *settings, const char *argument, const char *const *values, GError **error)
{
    (void)settings;
    (void)error;
    printf("%s nods%s\n", conf_plugin_get_name(p), argument != NULL || values[0] != NULL ? " too much" : "");
    return true;
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    (void)p;
    (void)settings;
    g_set_error(error, CONF_ERROR, CONF_ERROR_FAILED, "It is never loaded");
    return NULL;
}

static const char *const with[] = {"to", NULL};
static const ConfPluginCommand commands[] = {
    {.name = "say", .argument = "WORD", .with = with, .help = "say it", .run = say},
    {.name = "nod", .help = "nod", .run = nod},
    {.name = NULL},
};
CONF_PLUGIN(.name = "t-command", .version = "1", .summary = "Speaks", .options = OPTIONS,
            .settings_size = sizeof(Settings), .load = load, .commands = commands);
