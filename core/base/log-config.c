/* log-config.c - section [log]: which outputs there are, from which level on, and how files rotate. */
#include "base/log-private.h"

#include <string.h>

#include "base/error.h"
#include "base/option-private.h"

typedef struct {
    int64_t verbose;
    char *all;
    char *standard;
    char *interaction;
    char *trace;
    char *debug;
    int64_t message_format;
    char *segment;
    char *expire;
    int64_t check_point;
} LogSettings;

static const ConfOption LOG_OPTIONS[] = {
    CONF_OPTION_CHOICE(
        LogSettings, verbose, "log", "verbose", "standard", "none|standard|interaction|trace|debug|all",
        CONF_AT_ONCE,
        "What is logged. standard: errors, warnings and changes of state; interaction and trace: sessions "
        "and connections too; debug and all: everything."),
    CONF_OPTION_STRING(LogSettings, all, "log", "all", NULL,
                       "stdout, stderr, syslog, or a file; a comma list", CONF_AT_ONCE,
                       "Outputs of every line. Where no option names an output, this is stderr."),
    CONF_OPTION_STRING(LogSettings, standard, "log", "standard", NULL, "as all", CONF_AT_ONCE,
                       "Outputs of errors, warnings and changes of state."),
    CONF_OPTION_STRING(LogSettings, interaction, "log", "interaction", NULL, "as all", CONF_AT_ONCE,
                       "Outputs of what standard has and of sessions and connections."),
    CONF_OPTION_STRING(LogSettings, trace, "log", "trace", NULL, "as all", CONF_AT_ONCE,
                       "The same as interaction."),
    CONF_OPTION_STRING(LogSettings, debug, "log", "debug", NULL, "as all", CONF_AT_ONCE,
                       "Outputs of everything that verbose lets through."),
    CONF_OPTION_CHOICE(
        LogSettings, message_format, "log", "message-format", "short", "short|medium|full|json", CONF_AT_ONCE,
        "How a line looks. short: time, level, number, sentence and values; medium: with host and process; "
        "full: with what to do about it; json: one JSON object a line."),
    CONF_OPTION_STRING(
        LogSettings, segment, "log", "segment", "false", "false, N KB, N MB or N hr", CONF_AT_ONCE,
        "When a log file is closed and a new one begun. The full one is renamed: the time is appended to its "
        "name."),
    CONF_OPTION_STRING(
        LogSettings, expire, "log", "expire", "10", "false, N file (1..1000) or N day (1..100)", CONF_AT_ONCE,
        "Which segments are kept: that many files with the one being written, or those of that many days."),
    CONF_OPTION_INT(LogSettings, check_point, "log", "check-point", "1", "0..24 h", CONF_AT_ONCE,
                    "How often a line of level info says that the log is alive. 0: never."),
    CONF_OPTION_END,
};

typedef struct {
    const char *word;
    int level;
} Verbosity;

static const Verbosity VERBOSITIES[] = {
    {"none", -1},
    {"standard", CONF_LOG_NOTICE},
    {"interaction", CONF_LOG_INFO},
    {"trace", CONF_LOG_INFO},
    {"debug", CONF_LOG_DEBUG},
    {"all", CONF_LOG_DEBUG},
};

static bool add_all_outputs(ConfLogPlan *plan, const LogSettings *log, GError **error);
static bool gather_outputs(const LogSettings *log, GHashTable *levels, GPtrArray *names, GError **error);
static bool parse_limits(const LogSettings *log, ConfLogFileLimits *limits, GError **error);
static bool parse_amount(const char *key, const char *text, const char *allowed, const ConfOption forms[2],
                         int64_t amounts[2], GError **error);
static bool add_outputs(GHashTable *levels, GPtrArray *names, const char *key, const char *list,
                        ConfLogLevel level, GError **error);

void
conf_log_register_options(void)
{
    conf_option_register(CONF_OPTION_OWNER_SERVER, LOG_OPTIONS);
}

bool
conf_log_check(const ConfSettings *settings, GError **error)
{
    LogSettings log = {0};
    ConfLogFileLimits limits;
    if (!conf_option_fill(LOG_OPTIONS, "log", settings, &log, error))
        return false;
    g_autoptr(GHashTable) levels = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    bool good = parse_limits(&log, &limits, error) && gather_outputs(&log, levels, names, error);
    conf_option_clear(LOG_OPTIONS, &log);
    return good;
}

ConfLogPlan *
conf_log_plan_new(const ConfSettings *settings, const char **verbose, GError **error)
{
    LogSettings log = {0};
    conf_log_register_options();
    if (!conf_option_fill(LOG_OPTIONS, "log", settings, &log, error))
        return NULL;
    g_autoptr(ConfLogPlan) plan = g_new0(ConfLogPlan, 1);
    plan->outputs = g_ptr_array_new_with_free_func((GDestroyNotify)conf_log_output_free);
    plan->format = (ConfLogFormat)log.message_format;
    plan->check_point_ms = log.check_point * 3600000;
    *verbose = VERBOSITIES[log.verbose].word;
    bool done = add_all_outputs(plan, &log, error);
    conf_option_clear(LOG_OPTIONS, &log);
    return done ? g_steal_pointer(&plan) : NULL;
}

ConfLogPlan *
conf_log_plan_new_default(void)
{
    ConfLogPlan *plan = g_new0(ConfLogPlan, 1);
    ConfLogFileLimits none = {0};
    plan->outputs = g_ptr_array_new_with_free_func((GDestroyNotify)conf_log_output_free);
    g_ptr_array_add(plan->outputs, conf_log_output_new("stderr", CONF_LOG_DEBUG, &none, NULL));
    return plan;
}

void
conf_log_plan_free(ConfLogPlan *plan)
{
    if (plan == NULL)
        return;
    g_ptr_array_unref(plan->outputs);
    g_free(plan);
}

int
conf_log_plan_get_level(const ConfLogPlan *plan)
{
    int level = -1;
    for (unsigned i = 0; i < plan->outputs->len; i++)
        level = MAX(level, (int)conf_log_output_get_level(plan->outputs->pdata[i]));
    return level;
}

const char *
conf_log_parse_verbose(const char *word, int *level)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(VERBOSITIES); i++) {
        if (g_ascii_strcasecmp(VERBOSITIES[i].word, word) == 0) {
            *level = VERBOSITIES[i].level;
            return VERBOSITIES[i].word;
        }
    }
    return NULL;
}

static bool
add_all_outputs(ConfLogPlan *plan, const LogSettings *log, GError **error)
{
    ConfLogFileLimits limits;
    if (!parse_limits(log, &limits, error))
        return false;

    /* An output named by several options is one output, of the least urgent level named. */
    g_autoptr(GHashTable) levels = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    if (!gather_outputs(log, levels, names, error))
        return false;
    if (names->len == 0 && !add_outputs(levels, names, "all", "stderr", CONF_LOG_DEBUG, error))
        return false;

    for (unsigned i = 0; i < names->len; i++) {
        ConfLogLevel level = (ConfLogLevel)GPOINTER_TO_INT(g_hash_table_lookup(levels, names->pdata[i]));
        ConfLogOutput *output = conf_log_output_new(names->pdata[i], level, &limits, error);
        if (output == NULL)
            return false;
        g_ptr_array_add(plan->outputs, output);
    }
    return true;
}

static bool
gather_outputs(const LogSettings *log, GHashTable *levels, GPtrArray *names, GError **error)
{
    const struct {
        const char *key, *list;
        ConfLogLevel level;
    } lists[] = {
        {"all", log->all, CONF_LOG_DEBUG},
        {"standard", log->standard, CONF_LOG_NOTICE},
        {"interaction", log->interaction, CONF_LOG_INFO},
        {"trace", log->trace, CONF_LOG_INFO},
        {"debug", log->debug, CONF_LOG_DEBUG},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(lists); i++)
        if (!add_outputs(levels, names, lists[i].key, lists[i].list, lists[i].level, error))
            return false;
    return true;
}

static bool
add_outputs(GHashTable *levels, GPtrArray *names, const char *key, const char *list, ConfLogLevel level,
            GError **error)
{
    g_auto(GStrv) words = g_strsplit(list != NULL ? list : "", ",", -1);
    for (unsigned i = 0; words[i] != NULL; i++) {
        char *name = g_strstrip(words[i]);
        if (*name == '\0')
            continue;
        if (strcmp(name, "network") == 0 || strcmp(name, "memory") == 0) {
            g_set_error(
                error, CONF_ERROR, CONF_ERROR_INVALID,
                "log/%s: there is no output %s; allowed are stdout, stderr, syslog and the name of a file",
                key, name);
            return false;
        }
        void *old;
        if (!g_hash_table_lookup_extended(levels, name, NULL, &old)) {
            char *kept = g_strdup(name);
            g_ptr_array_add(names, kept);
            g_hash_table_insert(levels, kept, GINT_TO_POINTER((int)level));
        } else if (GPOINTER_TO_INT(old) < (int)level) {
            g_hash_table_insert(levels, name, GINT_TO_POINTER((int)level));
        }
    }
    return true;
}

static bool
parse_limits(const LogSettings *log, ConfLogFileLimits *limits, GError **error)
{
    static const ConfOption SEGMENT[2] = {
        {"log", "segment", CONF_T_INT, 0, NULL, "1.. KiB", CONF_AT_ONCE, ""},
        {"log", "segment", CONF_T_INT, 0, NULL, "1..8760 h", CONF_AT_ONCE, ""},
    };
    static const ConfOption EXPIRE[2] = {
        {"log", "expire", CONF_T_INT, 0, NULL, "1..1000 file", CONF_AT_ONCE, ""},
        {"log", "expire", CONF_T_INT, 0, NULL, "1..100 d", CONF_AT_ONCE, ""},
    };
    int64_t segment[2], expire[2];
    if (!parse_amount("segment", log->segment, "false, N KB, N MB or N hr", SEGMENT, segment, error) ||
        !parse_amount("expire", log->expire, "false, N file (1..1000) or N day (1..100)", EXPIRE, expire,
                      error))
        return false;
    *limits = (ConfLogFileLimits){
        .segment_size = MIN(segment[0], INT64_MAX / 1024) * 1024,
        .segment_ms = segment[1] * 3600000,
        .expire_files = expire[0],
        .expire_ms = expire[1] * 86400000,
    };
    return true;
}

/* A word for "off", or an amount in one of two units: the other stays 0. */
static bool
parse_amount(const char *key, const char *text, const char *allowed, const ConfOption forms[2],
             int64_t amounts[2], GError **error)
{
    amounts[0] = amounts[1] = 0;
    if (text == NULL || g_ascii_strcasecmp(text, "false") == 0 || g_ascii_strcasecmp(text, "no") == 0 ||
        g_ascii_strcasecmp(text, "off") == 0)
        return true;
    for (unsigned i = 0; i < 2; i++) {
        ConfOptionValue value;
        if (conf_option_parse_value(&forms[i], text, &value, NULL)) {
            amounts[i] = value.integer;
            return true;
        }
    }
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "log/%s: \"%s\" is not allowed; allowed is %s", key,
                text, allowed);
    return false;
}
