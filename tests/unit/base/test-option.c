/* test-option.c - the configuration file, values with units, settings structs, unknown options, the listing.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>

#include "base/error.h"
#include "base/option.h"

typedef struct {
    bool trace;
    int64_t port;
    int64_t timeout;
    int64_t size;
    int64_t mode;
    char *server;
    char *password;
} Settings;

static const ConfOption OPTIONS[] = {
    CONF_OPTION_BOOL(Settings, trace, NULL, "trace", "false", NULL, CONF_AT_ONCE,
                     "Whether to trace. Both sides can."),
    CONF_OPTION_INT(Settings, port, NULL, "port", "2020", "1..65535", CONF_AT_START, "Port to listen on."),
    CONF_OPTION_INT(Settings, timeout, "link", "timeout", "10", "1..600 s", CONF_ON_CONNECT,
                    "Silence allowed | in all."),
    CONF_OPTION_INT(Settings, size, "link", "size", "1 MiB", "0..1 GiB B", CONF_AT_ONCE,
                    ".hidden start of a line"),
    CONF_OPTION_CHOICE(Settings, mode, "link", "mode", "both", "off|local|both", CONF_AT_ONCE, "Who traces."),
    CONF_OPTION_STRING(Settings, server, NULL, "server", "db", NULL, CONF_AT_START,
                       "Section of the database."),
    CONF_OPTION_SECRET(Settings, password, "link", "password", NULL, NULL, CONF_AT_START, "Password."),
    CONF_OPTION_END,
};

static char *folder;

static ConfSettings *
load(const char *text, gssize size, GError **error)
{
    g_autofree char *path = g_build_filename(folder, "test.conf", NULL);
    g_assert_true(g_file_set_contents(path, text, size, NULL));
    return conf_settings_load_file(path, error);
}

static void
assert_refused(const char *text, gssize size, const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ConfSettings) settings = load(text, size, &error);
    g_assert_null(settings);
    g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
    if (strstr(error->message, expected) == NULL)
        g_error("\"%s\" does not contain \"%s\"", error->message, expected);
}

static void
append_setting(const char *section, const char *key, const char *value, int line, void *data)
{
    g_string_append_printf(data, "%s/%s=%s@%d;", section, key, value, line);
}

static void
test_file(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ConfSettings) settings =
        load("\xef\xbb\xbf# comment\n; another\n[confserv]\r\n  port = 2120 \r\nserver=\n"
             "name = a = b # c\n\n[ empty ]\n[confserv]\nlast=\xc3\xa9",
             -1, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(conf_settings_get(settings, "confserv", "port"), ==, "2120");
    g_assert_cmpstr(conf_settings_get(settings, "confserv", "server"), ==, "");
    /* A '#' within a value belongs to it: passwords have them. */
    g_assert_cmpstr(conf_settings_get(settings, "confserv", "name"), ==, "a = b # c");
    g_assert_cmpstr(conf_settings_get(settings, "confserv", "last"), ==, "\xc3\xa9");
    g_assert_null(conf_settings_get(settings, "confserv", "missing"));
    g_assert_null(conf_settings_get(settings, "missing", "port"));
    g_assert_true(conf_settings_has_section(settings, "empty"));
    g_assert_false(conf_settings_has_section(settings, "Empty"));
    g_autoptr(GString) seen = g_string_new(NULL);
    conf_settings_foreach(settings, append_setting, seen);
    g_assert_cmpstr(
        seen->str, ==,
        "confserv/port=2120@4;confserv/server=@5;confserv/name=a = b # c@6;confserv/last=\xc3\xa9@10;");
}

static void
test_file_refused(void)
{
    assert_refused("[a]\nb = 1\nsecretword\n", -1, "test.conf:3: neither");
    assert_refused("[a]\n= 1\n", -1, "test.conf:2: no key");
    assert_refused("b = 1\n", -1, "test.conf:1: a key stands before");
    assert_refused("[a\n", -1, "test.conf:1: the name of a section must end");
    assert_refused("[a] b\n", -1, "test.conf:1: nothing may follow");
    assert_refused("[ ]\n", -1, "test.conf:1: the section has no name");
    assert_refused("[a]\n\nb = 1\nc = 2\nb = 3\n", -1,
                   "test.conf:5: b is set a second time in [a], first in line 3");
    assert_refused("[a]\nb = \xff\n", -1, "test.conf:2: the line is not UTF-8");
    assert_refused("[a]\nb = 1\0002\n", 11, "test.conf:2: a zero byte");

    /* What stands in a line that cannot be read may be a password. */
    g_autoptr(GError) error = NULL;
    g_assert_null(load("[a]\nsecretword\n", -1, &error));
    g_assert_null(strstr(error->message, "secretword"));

    g_autoptr(GError) missing = NULL;
    g_assert_null(conf_settings_load_file("/nonexistent/confserv.conf", &missing));
    g_assert_error(missing, CONF_ERROR, CONF_ERROR_NOT_FOUND);
    g_autoptr(GError) is_folder = NULL;
    g_assert_null(conf_settings_load_file(folder, &is_folder));
    g_assert_error(is_folder, CONF_ERROR, CONF_ERROR_INVALID);
    g_autofree char *large = g_strnfill(5 * 1024 * 1024, '#');
    g_autoptr(GError) too_large = NULL;
    g_assert_null(load(large, -1, &too_large));
    g_assert_error(too_large, CONF_ERROR, CONF_ERROR_INVALID);
}

static void
test_merge(void)
{
    g_autoptr(ConfSettings) base = conf_settings_new();
    g_autoptr(ConfSettings) over = conf_settings_new();
    conf_settings_set(base, "a", "x", "1");
    conf_settings_set(base, "a", "y", "2");
    conf_settings_set(over, "a", "y", "3");
    conf_settings_set(over, "b", "z", "4");
    /* A value may be set from what it replaces. */
    conf_settings_set(over, "b", "z", conf_settings_get(over, "b", "z"));
    g_autoptr(ConfSettings) merged = conf_settings_merge(base, over);
    g_autoptr(GString) seen = g_string_new(NULL);
    conf_settings_foreach(merged, append_setting, seen);
    g_assert_cmpstr(seen->str, ==, "a/x=1@0;a/y=3@0;b/z=4@0;");
    g_assert_cmpstr(conf_settings_get(base, "a", "y"), ==, "2");
}

static void
test_defaults_and_values(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ConfSettings) settings = conf_settings_new();
    Settings target = {0};
    g_assert_true(conf_option_fill(OPTIONS, "confserv", settings, &target, &error));
    g_assert_false(target.trace);
    g_assert_cmpint(target.port, ==, 2020);
    g_assert_cmpint(target.timeout, ==, 10);
    g_assert_cmpint(target.size, ==, 1024 * 1024);
    g_assert_cmpint(target.mode, ==, 2);
    g_assert_cmpstr(target.server, ==, "db");
    g_assert_null(target.password);

    conf_settings_set(settings, "confserv", "trace", "Yes");
    conf_settings_set(settings, "confserv", "port", "2120");
    conf_settings_set(settings, "link", "timeout", "2 min");
    conf_settings_set(settings, "link", "size", "64KiB");
    conf_settings_set(settings, "link", "mode", "LOCAL");
    conf_settings_set(settings, "confserv", "server", "");
    conf_settings_set(settings, "link", "password", "secret");
    g_assert_true(conf_option_fill(OPTIONS, "confserv", settings, &target, &error));
    g_assert_true(target.trace);
    g_assert_cmpint(target.port, ==, 2120);
    g_assert_cmpint(target.timeout, ==, 120);
    g_assert_cmpint(target.size, ==, 65536);
    g_assert_cmpint(target.mode, ==, 1);
    g_assert_null(target.server);
    g_assert_cmpstr(target.password, ==, "secret");

    /* The own section has another name in a proxy. */
    g_assert_true(conf_option_fill(OPTIONS, "csproxy", settings, &target, &error));
    g_assert_cmpint(target.port, ==, 2020);
    conf_option_clear(OPTIONS, &target);
    g_assert_null(target.server);
    g_assert_null(target.password);
    g_assert_cmpint(target.port, ==, 0);
}

static void
test_fill_is_all_or_nothing(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ConfSettings) settings = conf_settings_new();
    Settings target = {.port = 7, .server = g_strdup("kept")};
    conf_settings_set(settings, "confserv", "port", "2120");
    conf_settings_set(settings, "link", "timeout", "601");
    g_assert_false(conf_option_fill(OPTIONS, "confserv", settings, &target, &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
    g_assert_cmpstr(error->message, ==,
                    "link/timeout: \"601\" is too large; allowed is a whole number from 1 to 600 "
                    "(s, or with ms, s, min, h, d)");
    g_assert_cmpint(target.port, ==, 7);
    g_assert_cmpstr(target.server, ==, "kept");
    conf_option_clear(OPTIONS, &target);
}

static void
test_fill_lenient(void)
{
    g_autoptr(GPtrArray) refused = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ConfSettings) settings = conf_settings_new();
    Settings target = {.timeout = 33, .mode = 1};
    conf_settings_set(settings, "confserv", "port", "many");
    conf_settings_set(settings, "link", "timeout", "0");
    conf_settings_set(settings, "link", "mode", "never");
    conf_settings_set(settings, "link", "size", "1 MiB");
    conf_option_fill_lenient(OPTIONS, "confserv", settings, &target, refused);
    g_assert_cmpuint(refused->len, ==, 3);
    g_assert_true(g_str_has_prefix(refused->pdata[0], "confserv/port: \"many\" is not a whole number"));
    g_assert_true(g_str_has_prefix(refused->pdata[1], "link/timeout: \"0\" is too small"));
    g_assert_cmpstr(refused->pdata[2], ==,
                    "link/mode: \"never\" is not allowed; allowed is off, local, both");
    g_assert_cmpint(target.port, ==, 0); /* the old value, which nobody judges */
    g_assert_cmpint(target.timeout, ==, 33);
    g_assert_cmpint(target.mode, ==, 1);
    g_assert_cmpint(target.size, ==, 1024 * 1024);
    conf_option_clear(OPTIONS, &target);
}

static void
test_fill_running(void)
{
    g_autoptr(GPtrArray) refused = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ConfSettings) settings = conf_settings_new();
    Settings target = {.port = 2020, .timeout = 33, .server = g_strdup("db")};
    conf_settings_set(settings, "confserv", "port", "2121");
    conf_settings_set(settings, "confserv", "server", "other");
    conf_settings_set(settings, "link", "timeout", "0");
    conf_settings_set(settings, "link", "mode", "local");
    conf_option_fill_running(OPTIONS, "confserv", settings, &target, refused);
    g_assert_cmpuint(refused->len, ==, 1);
    g_assert_cmpint(target.port, ==, 2020); /* takes effect at start */
    g_assert_cmpstr(target.server, ==, "db");
    g_assert_cmpint(target.timeout, ==, 33);
    g_assert_cmpint(target.mode, ==, 1);
    conf_option_clear(OPTIONS, &target);
}

static void
test_fill_lenient_at_first(void)
{
    g_autoptr(GPtrArray) refused = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ConfSettings) settings = conf_settings_new();
    Settings target = {0};
    conf_settings_set(settings, "link", "timeout", "0");
    conf_settings_set(settings, "link", "mode", "never");
    conf_settings_set(settings, "confserv", "port", "2121");
    conf_option_fill_lenient(OPTIONS, "confserv", settings, &target, refused);
    g_assert_cmpuint(refused->len, ==, 2);
    g_assert_cmpint(target.port, ==, 2121);
    g_assert_cmpint(target.timeout, ==, 10);
    g_assert_cmpint(target.mode, ==, 2);
    conf_option_clear(OPTIONS, &target);
}

static void
test_numbers(void)
{
    static const struct {
        const char *range, *value;
        bool good;
        int64_t number;
    } CASES[] = {
        {NULL, "-5", true, -5},
        {NULL, "9223372036854775807", true, INT64_MAX},
        {NULL, "9223372036854775808", false, 0},
        {NULL, "", false, 0},
        {NULL, " ", false, 0},
        {NULL, "1.5", false, 0},
        {NULL, "0x10", false, 0},
        {NULL, "--1", false, 0},
        {NULL, "10 s", false, 0},
        {"-10..10", "-10", true, -10},
        {"-10..10", "-11", false, 0},
        {"..5", "5", true, 5},
        {"..5", "6", false, 0},
        {"0.. s", "1500 ms", false, 0}, /* half a second would be lost */
        {"0.. s", "2000ms", true, 2},
        {"0.. s", "1 d", true, 86400},
        {"0.. s", "1 KiB", false, 0},
        {"0.. s", "9223372036854775807 d", false, 0},
        {"0.. ms", "3 h", true, 10800000},
        {"0..24 h", "1", true, 1},
        {"0..24 h", "90 min", false, 0},
        {"0.. B", "10 MB", true, 10485760},
        {"0.. B", "10mib", true, 10485760},
        {"0.. MiB", "2 GiB", true, 2048},
        {"0.. KiB", "100 B", false, 0},
        {"1..100 %", "50 %", true, 50},
        {"1..100 %", "50", true, 50},
        {"1 KiB..4 KiB B", "4097", false, 0},
        {"1 KiB..4 KiB B", "4 KiB", true, 4096},
        {"1 KiB..4 KiB B", "1000", false, 0},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        const ConfOption options[] = {
            {"s", "n", CONF_T_INT, offsetof(Settings, port), NULL, CASES[i].range, CONF_AT_ONCE, "A number."},
            CONF_OPTION_END,
        };
        g_autoptr(GError) error = NULL;
        g_autoptr(ConfSettings) settings = conf_settings_new();
        conf_settings_set(settings, "s", "n", CASES[i].value);
        Settings target = {0};
        bool good = conf_option_fill(options, "s", settings, &target, &error);
        g_test_message("%s in %s", CASES[i].value, CASES[i].range);
        g_assert_true(good == CASES[i].good);
        g_assert_true(good == (error == NULL));
        g_assert_true(good == conf_option_check_value(options, CASES[i].value, NULL));
        if (good)
            g_assert_cmpint(target.port, ==, CASES[i].number);
    }
}

static void
test_error_shows_a_readable_value(void)
{
    g_autofree char *long_value = g_strnfill(100000, 'x');
    g_autoptr(GError) error = NULL;
    g_assert_false(conf_option_check_value(&OPTIONS[1], long_value, &error));
    g_assert_cmpuint(strlen(error->message), <, 300);
    g_autoptr(GError) cut = NULL;
    g_autofree char *accents = g_strconcat("y", NULL);
    for (unsigned i = 0; i < 6; i++) {
        char *twice =
            g_strconcat(accents, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", NULL);
        g_free(accents);
        accents = twice;
    }
    g_assert_false(conf_option_check_value(&OPTIONS[1], accents, &cut));
    g_assert_true(g_utf8_validate(cut->message, -1, NULL));
}

static void
test_unknown(void)
{
    static const ConfOption FAMILY[] = {
        CONF_OPTION_STRING(Settings, server, "gauth*", "ldap-url", NULL, NULL, CONF_AT_START, "A directory."),
        CONF_OPTION_BOOL(Settings, trace, NULL, "certificate-check", "true", NULL, CONF_AT_START,
                         "Whether to check."),
        CONF_OPTION_END,
    };
    static const ConfOption DATABASE[] = {
        CONF_OPTION_STRING(Settings, server, NULL, "dbname", NULL, NULL, CONF_AT_START, "The database."),
        CONF_OPTION_END,
    };
    conf_option_register(CONF_OPTION_OWNER_SERVER, OPTIONS);
    conf_option_register("tls", FAMILY);
    conf_option_register("tls", FAMILY);
    conf_option_register_section(CONF_OPTION_OWNER_SERVER, "maindb", DATABASE);
    g_autoptr(ConfSettings) settings = conf_settings_new();
    conf_settings_set(settings, "csproxy", "port", "1");
    conf_settings_set(settings, "csproxy", "prot", "1");
    conf_settings_set(settings, "confserv", "port", "1");
    conf_settings_set(settings, "link", "timeout", "1");
    conf_settings_set(settings, "link", "port", "1");
    conf_settings_set(settings, "gauth_1", "ldap-url", "1");
    conf_settings_set(settings, "gauth", "ldap-url", "1");
    conf_settings_set(settings, "gauth-12", "ldap-url", "1");
    conf_settings_set(settings, "gaut", "ldap-url", "1");
    conf_settings_set(settings, "gauthx", "ldap-url", "1");
    conf_settings_set(settings, "gauth_", "ldap-url", "1");
    conf_settings_set(settings, "gauth_1x", "ldap-url", "1");
    conf_settings_set(settings, "gauth1", "ldap-url", "1");
    conf_settings_set(settings, "tls", "certificate-check", "1");
    conf_settings_set(settings, "maindb", "dbname", "confserv.db");
    conf_settings_set(settings, "dbserver", "dbname", "confserv.db");
    conf_settings_set(settings, "hca", "schema", "none");
    conf_settings_set(settings, "soap", "port", "5001");
    g_autoptr(GString) seen = g_string_new(NULL);
    conf_option_find_unknown(settings, "csproxy", append_setting, seen);
    g_assert_cmpstr(seen->str, ==,
                    "csproxy/prot=1@0;confserv/port=1@0;link/port=1@0;gaut/ldap-url=1@0;"
                    "gauthx/ldap-url=1@0;gauth_/ldap-url=1@0;gauth_1x/ldap-url=1@0;gauth1/ldap-url=1@0;"
                    "dbserver/dbname=confserv.db@0;");
}

/* Standard output of one listing. */
static char *
capture_list(const char *format)
{
    g_autofree char *path = g_build_filename(folder, "list", NULL);
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    int file = g_open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    g_assert_cmpint(dup2(file, STDOUT_FILENO), ==, STDOUT_FILENO);
    g_autoptr(GError) error = NULL;
    bool listed = conf_option_list(format, &error);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(file);
    g_assert_true(listed);
    char *text;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static void
assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        g_error("\"%s\" is not in:\n%s", part, text);
}

static void
test_list(void)
{
    static const ConfOption COMMAND_LINE[] = {
        {NULL, "port", CONF_T_STRING, 0, NULL, "P", CONF_AT_START, "Port of the master."},
        CONF_OPTION_END,
    };
    conf_option_register(CONF_OPTION_OWNER_SERVER, OPTIONS);
    conf_option_register_command_line(COMMAND_LINE);

    g_autofree char *text = capture_list("text");
    assert_contains(text, "  -port P\n      Port of the master.\n");
    assert_contains(
        text, "  timeout = 10\n      Silence allowed | in all.\n      Allowed: a whole number from 1 to 600");
    assert_contains(text, "      Whether to trace.\n"); /* the first sentence only */

    g_autofree char *markdown = capture_list("markdown");
    assert_contains(
        markdown,
        "| `timeout` | 10 | a whole number from 1 to 600 (s, or with ms, s, min, h, d) | on connect | "
        "Silence allowed \\| in all. |\n");
    g_autofree char *man = capture_list("man");
    assert_contains(man, "\n\\&.hidden start of a line\n");
    assert_contains(man, ".SH \"SECTION [link]\"\n");
    g_autofree char *bash = capture_list("bash");
    assert_contains(bash, "complete -o filenames -F _confserv confserv");
    assert_contains(bash, " -port");

    g_autofree char *json = capture_list("json");
    g_autoptr(JsonParser) parser = json_parser_new();
    g_assert_true(json_parser_load_from_data(parser, json, -1, NULL));
    JsonObject *top = json_node_get_object(json_parser_get_root(parser));
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(top, "commandLine")), ==, 1);
    JsonArray *options = json_object_get_array_member(top, "options");
    unsigned secrets = 0;
    for (unsigned i = 0; i < json_array_get_length(options); i++) {
        JsonObject *option = json_array_get_object_element(options, i);
        g_assert_cmpstr(json_object_get_string_member(option, "help"), !=, "");
        secrets += strcmp(json_object_get_string_member(option, "type"), "secret") == 0;
    }
    g_assert_cmpuint(secrets, ==, 1);

    g_autoptr(GError) error = NULL;
    g_assert_false(conf_option_list("xml", &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
}

static void
test_list_bash_is_bash(void)
{
    g_autofree char *bash = capture_list("bash");
    g_autofree char *path = g_build_filename(folder, "completion", NULL);
    g_assert_true(g_file_set_contents(path, bash, -1, NULL));
    const char *command[] = {"bash", "-n", path, NULL};
    int status = -1;
    g_autoptr(GError) error = NULL;
    g_assert_true(g_spawn_sync(NULL, (char **)command, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL,
                               &status, &error));
    g_assert_cmpint(status, ==, 0);
}

/* A default out of its own range is found when the program starts, whoever sets the option. */
static void
test_bad_table(void)
{
    if (g_test_subprocess()) {
        static const ConfOption BAD[] = {
            CONF_OPTION_INT(Settings, port, NULL, "port", "0", "1..65535", CONF_AT_START, "Port."),
            CONF_OPTION_END,
        };
        conf_option_register("bad", BAD);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*bad: option port: default*too small*");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("confserv-option-XXXXXX", NULL);
    g_assert_nonnull(folder);
    g_test_add_func("/base/option/file", test_file);
    g_test_add_func("/base/option/file-refused", test_file_refused);
    g_test_add_func("/base/option/merge", test_merge);
    g_test_add_func("/base/option/defaults-and-values", test_defaults_and_values);
    g_test_add_func("/base/option/fill-is-all-or-nothing", test_fill_is_all_or_nothing);
    g_test_add_func("/base/option/fill-lenient", test_fill_lenient);
    g_test_add_func("/base/option/fill-lenient-at-first", test_fill_lenient_at_first);
    g_test_add_func("/base/option/numbers", test_numbers);
    g_test_add_func("/base/option/error-shows-a-readable-value", test_error_shows_a_readable_value);
    g_test_add_func("/base/option/unknown", test_unknown);
    g_test_add_func("/base/option/fill-running", test_fill_running);
    g_test_add_func("/base/option/list", test_list);
    g_test_add_func("/base/option/list-bash-is-bash", test_list_bash_is_bash);
    g_test_add_func("/base/option/bad-table", test_bad_table);
    int result = g_test_run();
    static const char *const FILES[] = {"test.conf", "list", "completion"};
    for (unsigned i = 0; i < G_N_ELEMENTS(FILES); i++) {
        g_autofree char *path = g_build_filename(folder, FILES[i], NULL);
        g_unlink(path);
    }
    g_rmdir(folder);
    g_free(folder);
    return result;
}
