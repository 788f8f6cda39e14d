/* example.c - a complete site plugin: an audit of all that is committed in a file of one's own, and a
 * method of one's own. docs/plugins.md walks through it.  Read this file first: options, hooks, life. */
#include "example-private.h"

/* Declared once: the server checks values, shows them in -list-options and the manual, and fills Settings. */
static const ConfOption OPTIONS[] = {
    CONF_OPTION_STRING(
        Settings, file, NULL, "file", "example-audit.log", NULL, CONF_AT_ONCE,
        "The file that the audit is appended to. A relative name is meant in the data folder."),
    CONF_OPTION_CHOICE(Settings, format, NULL, "format", "text", "text|json", CONF_AT_ONCE,
                       "How a line looks. One line a transaction: text for people, json for programs."),
    CONF_OPTION_INT(
        Settings, queue, NULL, "queue", "16 MiB", "64 KiB.. B", CONF_AT_ONCE,
        "How much may wait for a disk that is slow or full. What comes beyond is counted, not kept."),
    CONF_OPTION_END,
};

/* A hook may not wait: it makes the line and leaves the rest to the writer. */
static void
committed(void *data, const ConfCommit *commit)
{
    Example *self = data;
    g_autofree char *line = example_format(self, commit);
    example_writer_append(self, line);
}

static bool
check(const void *data, GError **error)
{
    const Settings *settings = data;
    if (settings->file != NULL && *settings->file != '\0' && !g_str_has_suffix(settings->file, "/"))
        return true;
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "option file must name a file");
    return false;
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks HOOKS = {.size = sizeof(HOOKS), .committed = committed};

    if (!conf_plugin_add_method(p, "example.summary", false, example_summary, error))
        return NULL;
    Example *self = g_new0(Example, 1);
    self->plugin = p;
    self->settings = settings;
    example_writer_init(self);
    /* Late: who looks at commits to react comes before who only notes them. */
    conf_plugin_hook(p, CONF_LATE, &HOOKS);
    conf_plugin_statistic(p, "entries", &self->entries);
    conf_plugin_statistic(p, "lost", &self->lost);
    conf_plugin_statistic(p, "failures", &self->failures);
    return self;
}

/* The server has checked all of it.  The next lines go where the new settings say. */
static void
changed(void *data, const void *settings)
{
    Example *self = data;
    self->settings = settings;
}

static void
stop(void *data)
{
    example_writer_flush(data);
}

/* The last job is done, its timer gone: what came after it is written here. */
static void
unload(void *data)
{
    Example *self = data;
    example_writer_finish(self);
    g_string_free(self->waiting, TRUE);
    g_free(self);
}

CONF_PLUGIN(.name = "example", .version = "1.0", .summary = "Notes every commit in a file",
            .options = OPTIONS, .settings_size = sizeof(Settings), .check = check, .load = load,
            .changed = changed, .stop = stop, .unload = unload);
