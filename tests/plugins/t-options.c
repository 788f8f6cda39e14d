/* t-options.c - test plugin: options of every type and section, their check and their change, and what
 * else the server lends a plugin. */
#include "plugin-test.h"

typedef struct {
    bool flag;
    int64_t number, size, choice, level;
    char *text, *secret, *fixed, *own, *elsewhere;
} Settings;

typedef struct {
    ConfPlugin *plugin;
    const Settings *settings;
    uint64_t changes;
} Self;

static const char *const CHOICES[] = {"red", "green", "blue"};

static const ConfOption OPTIONS[] = {
    CONF_OPTION_BOOL(Settings, flag, NULL, "flag", "no", NULL, CONF_AT_ONCE, "A flag."),
    CONF_OPTION_INT(Settings, number, NULL, "number", "5 s", "1..600 s", CONF_AT_ONCE, "A number."),
    CONF_OPTION_INT(Settings, size, NULL, "size", "1 KiB", "0.. B", CONF_AT_ONCE, "A size."),
    CONF_OPTION_CHOICE(Settings, choice, NULL, "choice", "green", "red|green|blue", CONF_AT_ONCE,
                       "A choice."),
    CONF_OPTION_STRING(Settings, text, NULL, "text", NULL, NULL, CONF_AT_ONCE, "A text."),
    CONF_OPTION_SECRET(Settings, secret, NULL, "secret", NULL, NULL, CONF_AT_ONCE, "A secret."),
    CONF_OPTION_STRING(Settings, fixed, NULL, "fixed", "as it was", NULL, CONF_AT_START,
                       "Fixed until the next start."),
    CONF_OPTION_STRING(Settings, own, "", "t-own", "none", NULL, CONF_AT_ONCE,
                       "In the server's own section."),
    CONF_OPTION_STRING(Settings, elsewhere, "t-elsewhere", "place", "none", NULL, CONF_AT_ONCE,
                       "In another section."),
    CONF_OPTION_INT(Settings, level, "t-family*", "level", "0", "0..9", CONF_AT_ONCE,
                    "Of every section of the family."),
    CONF_OPTION_END,
};

static bool
check(const void *data, GError **error)
{
    const Settings *settings = data;
    if (!settings->flag || settings->text != NULL)
        return true;
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "flag needs text");
    return false;
}

static bool
check_sections(ConfPlugin *p, const void *settings, GError **error)
{
    const char *one = conf_plugin_get_option(p, "t-family-1", "level"),
               *own = conf_plugin_get_option(p, NULL, "t-own");
    if (one == NULL || own == NULL || strcmp(one, "9") != 0 || strcmp(own, "other") != 0)
        return true;
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "level 9 is not for others");
    return false;
}

static void
write_text(ConfJsonWriterHandle *w, const char *key, const char *value)
{
    conf_writer_key(w, key);
    conf_writer_string(w, value);
}

static void
write_number(ConfJsonWriterHandle *w, const char *key, int64_t value)
{
    conf_writer_key(w, key);
    conf_writer_integer(w, value);
}

static void
method_show(void *data, ConfRequest *r)
{
    Self *self = data;
    const Settings *settings = self->settings;
    ConfJsonWriterHandle *w = conf_writer_new();
    conf_writer_begin_object(w);
    conf_writer_key(w, "flag");
    conf_writer_boolean(w, settings->flag);
    write_number(w, "number", settings->number);
    write_number(w, "size", settings->size);
    write_text(w, "choice", CHOICES[settings->choice]);
    write_text(w, "text", settings->text);
    write_text(w, "secret", settings->secret);
    write_text(w, "fixed", settings->fixed);
    write_text(w, "own", settings->own);
    write_text(w, "elsewhere", settings->elsewhere);
    write_text(w, "family-1", conf_plugin_get_option(self->plugin, "t-family-1", "level"));
    write_text(w, "family-2", conf_plugin_get_option(self->plugin, "t-family-2", "level"));
    write_text(w, "own-as-text", conf_plugin_get_option(self->plugin, NULL, "t-own"));
    write_text(w, "text-as-text", conf_plugin_get_option(self->plugin, "t-options", "text"));
    write_text(w, "plugin", conf_plugin_get_name(self->plugin));
    write_text(w, "application", conf_plugin_get_application(self->plugin));
    write_text(w, "role", conf_plugin_get_role(self->plugin));
    write_text(w, "folder", conf_plugin_get_data_folder(self->plugin));
    write_number(w, "changes", (int64_t)self->changes);
    conf_writer_end_object(w);
    g_autofree char *json = conf_writer_finish(w);
    conf_request_answer_json(r, json);
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    /* Names that the server needs for itself, that are none, or that are taken. */
    if (conf_plugin_add_method(p, "object.read", true, method_show, NULL) ||
        conf_plugin_add_method(p, "replica.changes", true, method_show, NULL) ||
        conf_plugin_add_method(p, "a name", true, method_show, NULL) ||
        !conf_plugin_add_method(p, "t-options.show", true, method_show, error) ||
        conf_plugin_add_method(p, "t-options.show", true, method_show, NULL))
        return NULL;
    Self *self = g_new0(Self, 1);
    self->plugin = p;
    self->settings = settings;
    conf_plugin_statistic(p, "changes", &self->changes);
    return self;
}

static void
changed(void *data, const void *settings)
{
    Self *self = data;
    self->settings = settings;
    self->changes++;
}

CONF_PLUGIN(.name = "t-options", .version = "1", .summary = "Has options", .options = OPTIONS,
            .settings_size = sizeof(Settings), .check = check, .check_sections = check_sections, .load = load,
            .changed = changed, .unload = g_free);
