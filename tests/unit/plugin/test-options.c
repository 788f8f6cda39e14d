/* test-options.c - options of plugins: filled, refused, reloaded. */
#include <string.h>

#include "fixture.h"

static void
test_defaults(void)
{
    ConfPluginHost *host = fixture_load("options", "");
    g_assert_cmpstr(fixture_take_notes(), ==,
                    "load on=1 seconds=5 mode=0 text=- secret=- folder=here own=1\n");
    conf_plugin_host_free(host);
}

static void
test_given(void)
{
    ConfPluginHost *host =
        fixture_load("options", "options/on=no options/seconds=2min options/mode=ldaps options/text=words "
                                "options-secrets/secret=hush options/folder=there server/own=7 "
                                "server/weight=x options-site/weight=9");
    g_assert_cmpstr(fixture_take_notes(), ==,
                    "load on=0 seconds=120 mode=2 text=words secret=hush folder=there own=7\n");
    conf_plugin_host_free(host);
}

static void
test_bad_values(void)
{
    static const struct {
        const char *settings, *part, *other;
    } CASES[] = {
        {"options/on=perhaps", "plugin options: options/on: ", "\"perhaps\""},
        {"options/seconds=601", "options/seconds: ", "600"},
        {"options/seconds=soon", "options/seconds: ", "\"soon\""},
        {"options/mode=tls", "options/mode: ", "plain, start-tls, ldaps"},
        {"server/own=10", "server/own: ", "9"},
        {"options/mode=ldaps", "plugin options: ", "needs a secret"},
        {"options-site_1/weight=9 options-site_2/weight=10",
         "plugin options: options-site_2/weight: ", "\"10\""},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *message = fixture_load_error("plain, options", CASES[i].settings);
        FIXTURE_ASSERT_HAS(message, CASES[i].part);
        FIXTURE_ASSERT_HAS(message, CASES[i].other);
        /* Options of all are checked before the first is loaded. */
        g_assert_cmpstr(fixture_take_notes(), ==, "");
    }
}

static bool
reload(ConfPluginHost *host, const char *text, char **message)
{
    g_autoptr(ConfSettings) settings = fixture_settings(text);
    g_autoptr(GError) error = NULL;
    bool reloaded = conf_plugin_host_reload(host, "server", settings, &error);
    *message = error != NULL ? g_strdup(error->message) : NULL;
    return reloaded;
}

static void
test_reload(void)
{
    ConfPluginHost *host = fixture_load("plain, options", "options/text=old options/folder=there");
    fixture_take_notes();
    g_autofree char *message = NULL;
    g_assert_true(reload(host, "options/text=new options/folder=elsewhere options/seconds=9", &message));
    /* The folder takes effect at start only. */
    g_assert_cmpstr(fixture_take_notes(), ==,
                    "changed on=1 seconds=9 mode=0 text=new secret=- folder=there own=1\n");
    g_assert_true(reload(host, "options/folder=there", &message));
    g_assert_cmpstr(fixture_take_notes(), ==,
                    "changed on=1 seconds=5 mode=0 text=- secret=- folder=there own=1\n");
    conf_plugin_host_free(host);
}

static void
test_reload_of_one_bad_value_changes_nothing(void)
{
    ConfPluginHost *host = fixture_load("options, order-a", "");
    fixture_take_notes();
    g_autofree char *message = NULL;
    g_assert_false(reload(host, "options/text=new order-a/priority=1001", &message));
    FIXTURE_ASSERT_HAS(message, "order-a/priority");
    g_assert_cmpstr(fixture_take_notes(), ==, "");
    g_clear_pointer(&message, g_free);
    g_assert_false(reload(host, "options/mode=ldaps", &message));
    FIXTURE_ASSERT_HAS(message, "needs a secret");
    g_assert_cmpstr(fixture_take_notes(), ==, "");
    conf_plugin_host_free(host);
}

static void
note_unknown(const char *section, const char *key, const char *value, int line, void *data)
{
    g_string_append_printf(data, "%s/%s;", section, key);
}

/* Declared by the plugin, so nobody calls them unknown. */
static void
test_registered(void)
{
    ConfPluginHost *host = fixture_load("options", "");
    g_autoptr(ConfSettings) settings = fixture_settings(
        "options/text=1 options-secrets/secret=2 server/own=3 options-site_1/weight=1 options-sites/weight=1 options/txet=4 "
        "server/other=5");
    g_autoptr(GString) unknown = g_string_new(NULL);
    conf_option_find_unknown(settings, "server", note_unknown, unknown);
    g_assert_cmpstr(unknown->str, ==, "options-sites/weight;options/txet;server/other;");
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static void
add_tests(void)
{
    g_test_add_func("/plugin/options/defaults", test_defaults);
    g_test_add_func("/plugin/options/given", test_given);
    g_test_add_func("/plugin/options/bad-values", test_bad_values);
    g_test_add_func("/plugin/options/reload", test_reload);
    g_test_add_func("/plugin/options/reload-bad", test_reload_of_one_bad_value_changes_nothing);
    g_test_add_func("/plugin/options/registered", test_registered);
}

int
main(int argc, char **argv)
{
    return fixture_run(argc, argv, add_tests);
}
