/* fixture.c - see fixture.h. */
#include "fixture.h"

#include <string.h>

#include "base/log.h"
#include "base/timer-wheel.h"

static GString *notes;
static ConfPlugin *last_plugin;

void
test_note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_string_append_vprintf(notes, format, arguments);
    g_string_append_c(notes, '\n');
    va_end(arguments);
}

void
test_loaded(ConfPlugin *p)
{
    last_plugin = p;
}

int
fixture_run(int argc, char **argv, void (*add_tests)(void))
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    /* Refusals and misuse are provoked here; what is logged of them is not what is tested. */
    g_autoptr(GError) error = NULL;
    if (!conf_log_set_verbose("none", &error))
        g_error("%s", error->message);
    notes = g_string_new(NULL);
    add_tests();
    int status = g_test_run();
    g_string_free(notes, TRUE);
    return status;
}

const char *
fixture_folder(void)
{
    const char *folder = g_getenv("CONF_TEST_PLUGINS");
    if (folder == NULL)
        g_error("CONF_TEST_PLUGINS is not set: run this by meson test");
    return folder;
}

const char *
fixture_take_notes(void)
{
    static char *taken;
    g_free(taken);
    taken = g_strdup(notes->str);
    g_string_truncate(notes, 0);
    return taken;
}

ConfPlugin *
fixture_last_plugin(void)
{
    return last_plugin;
}

ConfSettings *
fixture_settings(const char *text)
{
    ConfSettings *settings = conf_settings_new();
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    for (unsigned i = 0; words[i] != NULL; i++) {
        char *slash = strchr(words[i], '/');
        if (slash == NULL)
            continue;
        char *equals = strchr(slash, '=');
        *slash = *equals = '\0';
        conf_settings_set(settings, words[i], slash + 1, equals + 1);
    }
    return settings;
}

ConfPluginHost *
fixture_load(const char *list, const char *text)
{
    g_autoptr(ConfSettings) settings = fixture_settings(text);
    g_autoptr(GError) error = NULL;
    ConfPluginHost *host = conf_plugin_host_new(fixture_folder(), NULL);
    bool loaded = conf_plugin_host_load(host, list, "server", settings, &error);
    g_assert_no_error(error);
    g_assert_true(loaded);
    return host;
}

char *
fixture_load_error(const char *list, const char *text)
{
    g_autoptr(ConfSettings) settings = fixture_settings(text);
    g_autoptr(GError) error = NULL;
    ConfPluginHost *host = conf_plugin_host_new(fixture_folder(), NULL);
    bool loaded = conf_plugin_host_load(host, list, "server", settings, &error);
    g_assert_false(loaded);
    g_assert_nonnull(error);
    conf_plugin_host_free(host);
    return g_strdup(error->message);
}

static void
on_deadline(void *data)
{
    g_error("nothing came within 10 s");
}

void
fixture_wait(const bool *flag)
{
    ConfTimer deadline = {0};
    conf_timer_arm(&deadline, 10000, on_deadline, NULL);
    while (!*flag)
        g_main_context_iteration(NULL, TRUE);
    conf_timer_cancel(&deadline);
}

void
fixture_settle(void)
{
    while (g_main_context_iteration(NULL, FALSE))
        continue;
}
