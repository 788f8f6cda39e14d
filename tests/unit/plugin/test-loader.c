/* test-loader.c - finding, refusing, ordering, loading and unloading plugins. */
#include <glib/gstdio.h>
#include <string.h>

#include "fixture.h"

static void
test_plain(void)
{
    ConfPluginHost *host = fixture_load("plain", "");
    g_assert_cmpstr(conf_plugin_get_name(fixture_last_plugin()), ==, "plain");
    g_assert_cmpstr(fixture_take_notes(), ==, "plain load\n");
    conf_plugin_host_free(host);
    g_assert_cmpstr(fixture_take_notes(), ==, "plain stop\nplain unload\n");
}

static void
test_empty_list(void)
{
    ConfPluginHost *host = fixture_load(" , ", "");
    conf_plugin_host_free(host);
    host = fixture_load("", "");
    conf_plugin_host_free(host);
}

static void
test_again_in_one_process(void)
{
    for (unsigned i = 0; i < 3; i++) {
        ConfPluginHost *host = fixture_load("plain", "");
        conf_plugin_host_free(host);
        g_assert_cmpstr(fixture_take_notes(), ==, "plain load\nplain stop\nplain unload\n");
    }
}

typedef struct {
    const char *list;
    const char *part; /* of the message */
} Refused;

static void
test_refused(const void *data)
{
    const Refused *refused = data;
    g_autofree char *message = fixture_load_error(refused->list, "");
    FIXTURE_ASSERT_HAS(message, refused->part);
    g_assert_null(strchr(message, '\n'));
    g_assert_cmpstr(fixture_take_notes(), ==, "");
}

static void
test_not_found(void)
{
    g_autofree char *message = fixture_load_error("nowhere", "");
    FIXTURE_ASSERT_HAS(message, "neither nowhere/nowhere.so nor nowhere.so");
    FIXTURE_ASSERT_HAS(message, fixture_folder());
}

static void
test_in_folder_of_its_name(void)
{
    ConfPluginHost *host = fixture_load("in-folder", "");
    g_assert_cmpstr(conf_plugin_get_name(fixture_last_plugin()), ==, "in-folder");
    conf_plugin_host_free(host);
}

/* One that was built before knows nothing of what the descriptor holds now. */
static void
test_older_feature(void)
{
    ConfPluginHost *host = fixture_load("older-feature", "");
    g_autoptr(ConfSettings) settings = fixture_settings("older-feature/on=false");
    g_autoptr(GError) error = NULL;
    g_assert_true(conf_plugin_host_reload(host, "server", settings, &error));
    g_assert_no_error(error);
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static void
test_later_folder(void)
{
    g_autofree char *path = g_strconcat("/nonexistent::", fixture_folder(), NULL);
    g_autoptr(ConfSettings) settings = conf_settings_new();
    g_autoptr(GError) error = NULL;
    ConfPluginHost *host = conf_plugin_host_new(path, NULL);
    g_assert_true(conf_plugin_host_load(host, "plain", "server", settings, &error));
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static void
test_by_file(void)
{
    g_autofree char *file = g_build_filename(fixture_folder(), "plain.so", NULL);
    ConfPluginHost *host = fixture_load(file, "");
    conf_plugin_host_free(host);
    fixture_take_notes();
    g_autofree char *message = fixture_load_error("./no-such-file.so", "");
    FIXTURE_ASSERT_HAS(message, "./no-such-file.so does not exist");
}

static void
test_no_module(void)
{
    g_autofree char *folder = g_dir_make_tmp("confserv-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(folder, "text.so", NULL);
    g_assert_true(g_file_set_contents(file, "this is no module\n", -1, NULL));
    g_autofree char *message = fixture_load_error(file, "");
    FIXTURE_ASSERT_HAS(message, "text.so cannot be opened: ");
    g_unlink(file);
    g_rmdir(folder);
}

static void
test_listed_twice(void)
{
    g_autofree char *message = fixture_load_error("plain, plain", "");
    FIXTURE_ASSERT_HAS(message, "plugin plain is listed twice");
    g_assert_cmpstr(fixture_take_notes(), ==, "");
}

static void
test_refusal_of_load_unloads_the_others(void)
{
    g_autofree char *message = fixture_load_error("plain, refuses", "");
    g_assert_cmpstr(message, ==, "plugin refuses: the directory is not to be reached");
    g_assert_cmpstr(fixture_take_notes(), ==, "plain load\nplain stop\nplain unload\n");
    /* Its hook and its timer went with it. */
    conf_hooks_opened(NULL);
    fixture_settle();
    g_assert_cmpstr(fixture_take_notes(), ==, "");
}

static void
test_optional(void)
{
    ConfPluginHost *host = fixture_load("?nowhere, ?wrong-abi, ?missing-symbol, ?refuses, ?plain", "");
    g_assert_cmpstr(fixture_take_notes(), ==, "plain load\n");
    conf_plugin_host_free(host);
    fixture_take_notes();
    g_autofree char *message = fixture_load_error("?", "");
    FIXTURE_ASSERT_HAS(message, "without a name");
}

static void
test_needs(void)
{
    ConfPluginHost *host = fixture_load("plain, needs-plain", "");
    g_assert_cmpstr(fixture_take_notes(), ==, "plain load\nneeds-plain load\n");
    conf_plugin_host_free(host);
    /* All stop before the first goes, and what is needed goes last. */
    g_assert_cmpstr(fixture_take_notes(), ==,
                    "needs-plain stop\nplain stop\nneeds-plain unload\nplain unload\n");

    g_autofree char *missing = fixture_load_error("needs-plain", "");
    g_assert_cmpstr(
        missing, ==,
        "plugin needs-plain needs plugin plain, which is not loaded: add it before it in option plugins");
    g_autofree char *behind = fixture_load_error("needs-plain, plain", "");
    g_assert_cmpstr(
        behind, ==,
        "plugin needs-plain needs plugin plain to be loaded before it: put it before it in option plugins");
    g_assert_cmpstr(fixture_take_notes(), ==, "");
}

static void
test_inspect(void)
{
    g_autoptr(ConfSettings) settings = conf_settings_new();
    g_autoptr(GError) error = NULL;
    ConfPluginHost *host = conf_plugin_host_new(fixture_folder(), NULL);
    g_assert_true(conf_plugin_host_inspect(host, "plain, needs-plain, options, refuses, ?nowhere", "server",
                                           settings, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(fixture_take_notes(), ==, "");

    g_assert_false(conf_plugin_host_inspect(host, "missing-symbol", "server", settings, &error));
    FIXTURE_ASSERT_HAS(error->message, "conf_function_that_is_missing");
    g_clear_error(&error);
    g_assert_false(conf_plugin_host_inspect(host, "needs-plain", "server", settings, &error));
    FIXTURE_ASSERT_HAS(error->message, "needs plugin plain");
    g_clear_error(&error);
    conf_settings_set(settings, "options", "seconds", "0");
    g_assert_false(conf_plugin_host_inspect(host, "options", "server", settings, &error));
    FIXTURE_ASSERT_HAS(error->message, "options/seconds");
    g_clear_error(&error);

    /* Inspecting is no loading: the same host may load afterwards. */
    g_assert_true(conf_plugin_host_load(host, "plain", "server", settings, &error));
    conf_plugin_host_free(host);
    g_assert_cmpstr(fixture_take_notes(), ==, "plain load\nplain stop\nplain unload\n");
}

static void
append_name(const char *name, const char *version, void *data)
{
    g_string_append_printf(data, "%s %s;", name, version);
}

static void
append_statistic(const char *name, uint64_t value, void *data)
{
    g_string_append_printf(data, "%s=%u;", name, (unsigned)value);
}

static void
test_listings(void)
{
    ConfPluginHost *host = fixture_load("in-folder, plain", "");
    ConfPlugin *p = fixture_last_plugin();
    g_autoptr(GString) text = g_string_new(NULL);
    conf_plugin_host_foreach(host, append_name, text);
    g_assert_cmpstr(text->str, ==, "in-folder 1;plain 1.2;");

    uint64_t polls = 3, waits = 0;
    conf_plugin_statistic(p, "polls", &polls);
    conf_plugin_statistic(p, "waits", &waits);
    polls++;
    g_string_truncate(text, 0);
    conf_plugin_host_foreach_statistic(host, append_statistic, text);
    g_assert_cmpstr(text->str, ==, "plain.polls=4;plain.waits=0;");
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static const char *
get_option(const char *section, const char *key, void *data)
{
    g_string_append_printf(data, "%s/%s;", section, key);
    return strcmp(key, "port") == 0 ? "2120" : NULL;
}

static const char *
get_name(void *data)
{
    return "proxy1";
}

static const char *
get_folder(void *data)
{
    return "/var/lib/confserv";
}

static const char *
get_role(void *data)
{
    return "proxy";
}

static void
test_what_the_server_lends(void)
{
    g_autoptr(GString) asked = g_string_new(NULL);
    ConfPluginHostFuncs funcs = {.option = get_option,
                                 .data_folder = get_folder,
                                 .application = get_name,
                                 .role = get_role,
                                 .data = asked};
    g_autoptr(ConfSettings) settings = conf_settings_new();
    g_autoptr(GError) error = NULL;
    ConfPluginHost *host = conf_plugin_host_new(fixture_folder(), &funcs);
    g_assert_true(conf_plugin_host_load(host, "plain", "server", settings, &error));
    ConfPlugin *p = fixture_last_plugin();
    g_assert_cmpstr(conf_plugin_get_option(p, NULL, "port"), ==, "2120");
    g_assert_null(conf_plugin_get_option(p, "log", "all"));
    g_assert_cmpstr(asked->str, ==, "server/port;log/all;");
    g_assert_cmpstr(conf_plugin_get_data_folder(p), ==, "/var/lib/confserv");
    g_assert_cmpstr(conf_plugin_get_application(p), ==, "proxy1");
    g_assert_cmpstr(conf_plugin_get_role(p), ==, "proxy");
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static void
test_too_late(void)
{
    static const ConfHooks hooks = {.size = sizeof(hooks)};
    ConfPluginHost *host = fixture_load("plain", "");
    ConfPlugin *p = fixture_last_plugin();
    g_autoptr(GError) error = NULL;
    g_assert_false(conf_plugin_provide(p, "history", &hooks, &error));
    FIXTURE_ASSERT_HAS(error->message, "in load() only");
    g_clear_error(&error);
    g_assert_false(conf_plugin_add_method(p, "plain.do", false, NULL, &error));
    FIXTURE_ASSERT_HAS(error->message, "in load() only");
    conf_plugin_hook(p, CONF_NORMAL, &hooks);
    conf_plugin_know_param(p, "session.open", "plain");
    g_assert_false(conf_plugin_host_knows_param(host, "session.open", CONF_SLICE("plain")));

    conf_plugin_host_stop(host);
    g_autoptr(ConfSettings) settings = conf_settings_new();
    g_clear_error(&error);
    g_assert_false(conf_plugin_host_load(host, "in-folder", "server", settings, &error));
    FIXTURE_ASSERT_HAS(error->message, "stopping");
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static void
add_tests(void)
{
    static const Refused REFUSED[] = {
        {"wrong-magic", "begins with 0x12345678, not with 0x434f4e46"},
        {"wrong-abi", "was built for plugin ABI 2, and this server has plugin ABI 1"},
        {"newer-feature", "was built for a newer server (plugin feature level 2; this server has 1)"},
        {"wrong-name", "wrong-name.so calls itself plugin \"right-name\""},
        {"no-descriptor", "exports no symbol conf_plugin"},
        {"no-load", "plugin no-load"},
        {"missing-symbol", "needs the symbol conf_function_that_is_missing"},
        {"bad-options", "option outside outside its settings struct of 8 bytes"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(REFUSED); i++) {
        g_autofree char *path = g_strconcat("/plugin/loader/refused/", REFUSED[i].list, NULL);
        g_test_add_data_func(path, &REFUSED[i], test_refused);
    }
    g_test_add_func("/plugin/loader/plain", test_plain);
    g_test_add_func("/plugin/loader/empty-list", test_empty_list);
    g_test_add_func("/plugin/loader/again", test_again_in_one_process);
    g_test_add_func("/plugin/loader/not-found", test_not_found);
    g_test_add_func("/plugin/loader/in-folder", test_in_folder_of_its_name);
    g_test_add_func("/plugin/loader/older-feature", test_older_feature);
    g_test_add_func("/plugin/loader/later-folder", test_later_folder);
    g_test_add_func("/plugin/loader/by-file", test_by_file);
    g_test_add_func("/plugin/loader/no-module", test_no_module);
    g_test_add_func("/plugin/loader/listed-twice", test_listed_twice);
    g_test_add_func("/plugin/loader/load-refused", test_refusal_of_load_unloads_the_others);
    g_test_add_func("/plugin/loader/optional", test_optional);
    g_test_add_func("/plugin/loader/needs", test_needs);
    g_test_add_func("/plugin/loader/inspect", test_inspect);
    g_test_add_func("/plugin/loader/listings", test_listings);
    g_test_add_func("/plugin/loader/lent", test_what_the_server_lends);
    g_test_add_func("/plugin/loader/too-late", test_too_late);
}

int
main(int argc, char **argv)
{
    return fixture_run(argc, argv, add_tests);
}
