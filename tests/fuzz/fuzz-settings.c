/* fuzz-settings.c - any bytes as a configuration file: refused with file and line, or read into settings that
 * can be written down and read again as the same. */
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/option-private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ConfSettings *parse(const char *text, size_t size, GError **error);
static void append(const char *section, const char *key, const char *value, int line, void *data);
static void check_values(const char *section, const char *key, const char *value, int line, void *data);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ConfSettings) settings = parse((const char *)data, size, &error);
    g_assert_true((settings == NULL) == (error != NULL));
    if (settings == NULL) {
        g_assert_true(g_str_has_prefix(error->message, "fuzz.conf:"));
        return 0;
    }
    g_autoptr(GString) written = g_string_new(NULL);
    conf_settings_foreach(settings, append, written);
    conf_settings_foreach(settings, check_values, NULL);

    /* Each pair stands under its own section here, so that the order of sections does not matter. */
    g_autoptr(ConfSettings) again = parse(written->str, written->len, &error);
    g_assert_no_error(error);
    g_autoptr(GString) rewritten = g_string_new(NULL);
    conf_settings_foreach(again, append, rewritten);
    g_assert_cmpstr(written->str, ==, rewritten->str);
    return 0;
}

static ConfSettings *
parse(const char *text, size_t size, GError **error)
{
    g_autofree char *copy = g_malloc(size + 1);
    if (size > 0)
        memcpy(copy, text, size);
    copy[size] = '\0';
    return conf_settings_parse("fuzz.conf", copy, size, error);
}

static void
append(const char *section, const char *key, const char *value, int line, void *data)
{
    g_assert_cmpint(line, >, 0);
    g_assert_true(g_utf8_validate(value, -1, NULL));
    g_string_append_printf(data, "[%s]\n%s = %s\n", section, key, value);
}

/* Any text may stand as a value: it is taken, or refused with a readable error. */
static void
check_values(const char *section, const char *key, const char *value, int line, void *data)
{
    static const ConfOption OPTIONS[] = {
        {NULL, "number", CONF_T_INT, 0, NULL, "-5..1 GiB B", CONF_AT_ONCE, ""},
        {NULL, "time", CONF_T_INT, 0, NULL, "0.. s", CONF_AT_ONCE, ""},
        {NULL, "truth", CONF_T_BOOL, 0, NULL, NULL, CONF_AT_ONCE, ""},
        {NULL, "choice", CONF_T_CHOICE, 0, NULL, "a|b", CONF_AT_ONCE, ""},
        {NULL, "text", CONF_T_STRING, 0, NULL, NULL, CONF_AT_ONCE, ""},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(OPTIONS); i++) {
        ConfOptionValue parsed;
        g_autoptr(GError) error = NULL;
        bool good = conf_option_parse_value(&OPTIONS[i], value, &parsed, &error);
        g_assert_true(good == (error == NULL));
        if (good && i == 0)
            g_assert_true(parsed.integer >= -5 && parsed.integer <= 1 << 30);
        if (!good)
            g_assert_true(g_utf8_validate(error->message, -1, NULL));
    }
}
