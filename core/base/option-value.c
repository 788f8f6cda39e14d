/* option-value.c - one value of one option: numbers with sizes and durations, ranges, choices, truth. */
#include "base/option-private.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"

typedef struct {
    const char *name;
    int64_t factor; /* in the smallest unit of its kind */
    enum { KIND_SIZE, KIND_DURATION } kind;
} Unit;

/* The first name of a factor is the one that manuals use; the others stand in files of old. */
static const Unit UNITS[] = {
    {"B", 1, KIND_SIZE},
    {"KiB", INT64_C(1) << 10, KIND_SIZE},
    {"MiB", INT64_C(1) << 20, KIND_SIZE},
    {"GiB", INT64_C(1) << 30, KIND_SIZE},
    {"TiB", INT64_C(1) << 40, KIND_SIZE},
    {"KB", INT64_C(1) << 10, KIND_SIZE},
    {"MB", INT64_C(1) << 20, KIND_SIZE},
    {"GB", INT64_C(1) << 30, KIND_SIZE},
    {"ms", 1, KIND_DURATION},
    {"s", 1000, KIND_DURATION},
    {"min", 60000, KIND_DURATION},
    {"h", 3600000, KIND_DURATION},
    {"d", 86400000, KIND_DURATION},
    {"sec", 1000, KIND_DURATION},
    {"hr", 3600000, KIND_DURATION},
    {"day", 86400000, KIND_DURATION},
};

static bool parse_integer(const ConfOption *option, const char *text, int64_t *value, const char **why);
static bool parse_choice(const char *range, const char *text, int64_t *value);
static bool scale(int64_t number, const char *suffix, const char *unit, int64_t *value, const char **why);
static const Unit *find_unit(const char *name);
static bool take_integer(const char **text, int64_t *value, bool *overflow);
static const char *skip_spaces(const char *text);
static bool parse_limit(const char *text, const char *unit, int64_t otherwise, int64_t *limit);

bool
conf_option_check_value(const ConfOption *option, const char *value, GError **error)
{
    ConfOptionValue parsed;
    return conf_option_parse_value(option, value, &parsed, error);
}

bool
conf_option_read_boolean(const char *text, bool *value)
{
    static const char *const YES[] = {"true", "yes", "on", "1"};
    static const char *const NO[] = {"false", "no", "off", "0"};
    for (unsigned i = 0; i < G_N_ELEMENTS(YES); i++) {
        *value = g_ascii_strcasecmp(text, YES[i]) == 0;
        if (*value || g_ascii_strcasecmp(text, NO[i]) == 0)
            return true;
    }
    return false;
}

bool
conf_option_parse_value(const ConfOption *option, const char *text, ConfOptionValue *value, GError **error)
{
    *value = (ConfOptionValue){0};
    if (text == NULL)
        return true;

    bool good = true;
    const char *why = NULL;
    switch (option->type) {
    case CONF_T_BOOL:
        good = conf_option_read_boolean(text, &value->boolean);
        break;
    case CONF_T_INT:
        good = parse_integer(option, text, &value->integer, &why);
        break;
    case CONF_T_CHOICE:
        good = parse_choice(option->range, text, &value->integer);
        break;
    case CONF_T_STRING:
    case CONF_T_SECRET:
        /* "server =" takes a default back. */
        value->string = *text != '\0' ? text : NULL;
        break;
    }
    if (good)
        return true;
    /* Whatever stands in a file or an application object: the message stays a line that can be read. */
    g_autofree char *allowed = conf_option_describe_allowed(option);
    g_autofree char *shown = g_utf8_make_valid(text, (gssize)strnlen(text, 80));
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "\"%s\" %s; allowed is %s", shown,
                why != NULL ? why : "is not allowed", allowed);
    return false;
}

bool
conf_option_parse_range(const char *range, ConfOptionRange *parsed)
{
    *parsed = (ConfOptionRange){INT64_MIN, INT64_MAX, ""};
    if (range == NULL)
        return true;
    const char *dots = strstr(range, "..");
    if (dots == NULL)
        return false;

    /* The unit is what follows the last number and its own suffix: "0..1 GiB B" counts bytes up to 1 GiB. */
    g_autofree char *low = g_strstrip(g_strndup(range, (size_t)(dots - range)));
    g_autofree char *rest = g_strstrip(g_strdup(dots + 2));
    char *high_end = rest + strspn(rest, "+-0123456789");
    char *words = g_strstrip(high_end);
    char *last = strrchr(words, ' ');
    const char *unit = last != NULL ? last + 1 : words;
    if (strlen(unit) >= sizeof(parsed->unit))
        return false;
    g_strlcpy(parsed->unit, unit, sizeof(parsed->unit));

    g_autofree char *high = g_strstrip(g_strndup(rest, (size_t)(unit - rest)));
    return parse_limit(low, parsed->unit, INT64_MIN, &parsed->minimum) &&
           parse_limit(high, parsed->unit, INT64_MAX, &parsed->maximum) && parsed->minimum <= parsed->maximum;
}

char *
conf_option_describe_allowed(const ConfOption *option)
{
    ConfOptionRange range;
    switch (option->type) {
    case CONF_T_BOOL:
        return g_strdup("true or false");
    case CONF_T_CHOICE: {
        g_auto(GStrv) words = g_strsplit(option->range, "|", -1);
        return g_strjoinv(", ", words);
    }
    case CONF_T_STRING:
    case CONF_T_SECRET:
        return g_strdup(option->range != NULL ? option->range : "any text");
    case CONF_T_INT:
        break;
    }
    if (!conf_option_parse_range(option->range, &range))
        return g_strdup("a number");
    GString *text = g_string_new("a whole number");
    if (range.minimum != INT64_MIN && range.maximum != INT64_MAX)
        g_string_append_printf(text, " from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, range.minimum,
                               range.maximum);
    else if (range.minimum != INT64_MIN)
        g_string_append_printf(text, " of at least %" G_GINT64_FORMAT, range.minimum);
    else if (range.maximum != INT64_MAX)
        g_string_append_printf(text, " of at most %" G_GINT64_FORMAT, range.maximum);
    const Unit *unit = find_unit(range.unit);
    if (*range.unit != '\0')
        g_string_append_printf(text, " (%s", range.unit);
    if (unit != NULL)
        g_string_append(text,
                        unit->kind == KIND_SIZE ? ", or with KiB, MiB, GiB" : ", or with ms, s, min, h, d");
    if (*range.unit != '\0')
        g_string_append_c(text, ')');
    return g_string_free(text, FALSE);
}

static bool
parse_integer(const ConfOption *option, const char *text, int64_t *value, const char **why)
{
    ConfOptionRange range;
    if (!conf_option_parse_range(option->range, &range))
        g_error("option %s: range \"%s\" is not of the form \"1..600 s\"", option->name, option->range);

    int64_t number;
    bool overflow = false;
    const char *suffix = text;
    if (!take_integer(&suffix, &number, &overflow)) {
        *why = overflow ? "is too large" : "is not a whole number";
        return false;
    }
    if (!scale(number, skip_spaces(suffix), range.unit, value, why))
        return false;
    if (*value < range.minimum || *value > range.maximum) {
        *why = *value < range.minimum ? "is too small" : "is too large";
        return false;
    }
    return true;
}

static bool
parse_choice(const char *range, const char *text, int64_t *value)
{
    g_auto(GStrv) words = g_strsplit(range, "|", -1);
    for (unsigned i = 0; words[i] != NULL; i++) {
        if (g_ascii_strcasecmp(words[i], text) == 0) {
            *value = i;
            return true;
        }
    }
    return false;
}

/* `number` written with `suffix`, in `unit`. */
static bool
scale(int64_t number, const char *suffix, const char *unit, int64_t *value, const char **why)
{
    *value = number;
    if (*suffix == '\0' || g_ascii_strcasecmp(suffix, unit) == 0)
        return true;
    const Unit *from = find_unit(suffix);
    const Unit *to = find_unit(unit);
    if (from == NULL || to == NULL || from->kind != to->kind) {
        *why = "ends with what is no unit here";
        return false;
    }
    int64_t smallest;
    if (__builtin_mul_overflow(number, from->factor, &smallest)) {
        *why = "is too large";
        return false;
    }
    if (smallest % to->factor != 0) {
        *why = "is finer than the unit of the option";
        return false;
    }
    *value = smallest / to->factor;
    return true;
}

static const Unit *
find_unit(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(UNITS); i++)
        if (g_ascii_strcasecmp(UNITS[i].name, name) == 0)
            return &UNITS[i];
    return NULL;
}

static bool
take_integer(const char **text, int64_t *value, bool *overflow)
{
    const char *digits = *text + (**text == '-' || **text == '+');
    if (!g_ascii_isdigit(*digits))
        return false;
    char *end;
    errno = 0;
    *value = g_ascii_strtoll(*text, &end, 10);
    *overflow = errno == ERANGE;
    *text = end;
    return !*overflow;
}

static const char *
skip_spaces(const char *text)
{
    while (g_ascii_isspace(*text))
        text++;
    return text;
}

static bool
parse_limit(const char *text, const char *unit, int64_t otherwise, int64_t *limit)
{
    *limit = otherwise;
    if (*text == '\0')
        return true;
    int64_t number;
    bool overflow = false;
    const char *why;
    return take_integer(&text, &number, &overflow) && scale(number, skip_spaces(text), unit, limit, &why);
}
