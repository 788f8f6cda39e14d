/* option.c - the registry of declared options, and settings structs filled by them.  Main loop only. */
#include "base/option-private.h"

#include <string.h>

typedef struct {
    const ConfOption *option;
    const char *own_section;
    const ConfSettings *settings;
} Source;

typedef struct {
    const char *own_section;
    ConfSettingFunc func;
    void *data;
} UnknownSearch;

static GArray *tables;       /* ConfOptionTable */
static GArray *command_line; /* ConfOption, ended by an empty one */

static void report_if_unknown(const char *section, const char *key, const char *value, int line, void *data);
static bool declares(const ConfOptionTable *table, const char *section, const char *key,
                     const char *own_section);
static bool is_switch(const char *name);
static void check_table(const char *owner, const ConfOption *options);
static bool read_value(const Source *source, ConfOptionValue *value, GError **error);
static const char *section_of(const ConfOption *option, const char *own_section);
static void store(const ConfOption *option, const ConfOptionValue *value, void *target);
static void clear_member(const ConfOption *option, void *target);
static bool is_filled(const ConfOption *options, const void *target);

void
conf_option_register(const char *owner, const ConfOption *options)
{
    conf_option_register_section(owner, NULL, options);
}

void
conf_option_register_section(const char *owner, const char *section, const ConfOption *options)
{
    if (tables == NULL)
        tables = g_array_new(FALSE, FALSE, sizeof(ConfOptionTable));
    for (unsigned i = 0; i < tables->len; i++) {
        const ConfOptionTable *table = &g_array_index(tables, ConfOptionTable, i);
        if (table->options == options && g_strcmp0(table->section, section) == 0)
            return;
    }
    check_table(owner, options);
    /* Interned: a handful of names, kept as long as the tables. */
    ConfOptionTable table = {owner, g_intern_string(section), options};
    g_array_append_val(tables, table);
}

void
conf_option_register_command_line(const ConfOption *options)
{
    check_table("command line", options);
    if (command_line == NULL)
        command_line = g_array_new(TRUE, TRUE, sizeof(ConfOption));
    for (; options->name != NULL; options++) {
        if (!is_switch(options->name))
            g_array_append_vals(command_line, options, 1);
    }
}

const ConfOption *
conf_option_command_line(void)
{
    return command_line != NULL ? (const ConfOption *)(void *)command_line->data : NULL;
}

const ConfOptionTable *
conf_option_tables(unsigned *count)
{
    *count = tables != NULL ? tables->len : 0;
    return tables != NULL ? (const ConfOptionTable *)(void *)tables->data : NULL;
}

bool
conf_option_fill(const ConfOption *options, const char *own_section, const ConfSettings *settings,
                 void *target, GError **error)
{
    ConfOptionValue value;
    for (const ConfOption *option = options; option->name != NULL; option++) {
        Source source = {option, own_section, settings};
        if (!read_value(&source, &value, error))
            return false;
    }
    /* Read a second time rather than kept: nothing can fail any more, and nothing was changed until here. */
    for (const ConfOption *option = options; option->name != NULL; option++) {
        Source source = {option, own_section, settings};
        if (read_value(&source, &value, NULL))
            store(option, &value, target);
    }
    return true;
}

void
conf_option_fill_running(const ConfOption *options, const char *own_section, const ConfSettings *settings,
                         void *target, GPtrArray *refused)
{
    for (const ConfOption *option = options; option->name != NULL; option++) {
        Source source = {option, own_section, settings};
        ConfOptionValue value;
        g_autoptr(GError) error = NULL;
        if (!read_value(&source, &value, &error))
            g_ptr_array_add(refused, g_strdup(error->message));
        else if (option->when != CONF_AT_START)
            store(option, &value, target);
    }
}

void
conf_option_fill_lenient(const ConfOption *options, const char *own_section, const ConfSettings *settings,
                         void *target, GPtrArray *refused)
{
    bool is_fresh = !is_filled(options, target);
    for (const ConfOption *option = options; option->name != NULL; option++) {
        Source source = {option, own_section, settings};
        ConfOptionValue value;
        g_autoptr(GError) error = NULL;
        if (read_value(&source, &value, &error)) {
            store(option, &value, target);
            continue;
        }
        g_ptr_array_add(refused, g_strdup(error->message));
        if (is_fresh && conf_option_parse_value(option, option->fallback, &value, NULL))
            store(option, &value, target);
    }
}

void
conf_option_clear(const ConfOption *options, void *target)
{
    for (const ConfOption *option = options; option->name != NULL; option++)
        clear_member(option, target);
}

bool
conf_option_section_matches(const char *declared, const char *section)
{
    size_t size = strlen(declared);
    if (size == 0 || declared[size - 1] != '*')
        return strcmp(declared, section) == 0;
    if (strncmp(declared, section, size - 1) != 0)
        return false;
    const char *number = section + size - 1;
    if (*number == '\0')
        return true;
    size_t digits = strspn(number + 1, "0123456789");
    return (*number == '_' || *number == '-') && digits > 0 && number[1 + digits] == '\0';
}

void
conf_option_find_unknown(const ConfSettings *settings, const char *own_section, ConfSettingFunc func,
                         void *data)
{
    UnknownSearch search = {own_section, func, data};
    conf_settings_foreach(settings, report_if_unknown, &search);
}

static void
report_if_unknown(const char *section, const char *key, const char *value, int line, void *data)
{
    static const char *const IGNORED[] = {"hca", "soap"};
    const UnknownSearch *search = data;
    for (unsigned i = 0; i < G_N_ELEMENTS(IGNORED); i++)
        if (strcmp(section, IGNORED[i]) == 0)
            return;
    unsigned count;
    const ConfOptionTable *all = conf_option_tables(&count);
    for (unsigned i = 0; i < count; i++)
        if (declares(&all[i], section, key, search->own_section))
            return;
    search->func(section, key, value, line, search->data);
}

static bool
declares(const ConfOptionTable *table, const char *section, const char *key, const char *own_section)
{
    const char *own = table->section;
    if (own == NULL)
        own = strcmp(table->owner, CONF_OPTION_OWNER_SERVER) == 0 ? own_section : table->owner;
    for (const ConfOption *option = table->options; option->name != NULL; option++)
        if (strcmp(option->name, key) == 0 &&
            conf_option_section_matches(option->section != NULL ? option->section : own, section))
            return true;
    return false;
}

static bool
is_switch(const char *name)
{
    for (unsigned i = 0; i < command_line->len; i++) {
        if (strcmp(g_array_index(command_line, ConfOption, i).name, name) == 0)
            return true;
    }
    return false;
}

/* A table that is wrong is found at the first start with it, not when somebody sets the option. */
static void
check_table(const char *owner, const ConfOption *options)
{
    for (const ConfOption *option = options; option->name != NULL; option++) {
        ConfOptionRange range;
        ConfOptionValue value;
        g_autoptr(GError) error = NULL;
        if (option->type == CONF_T_INT && !conf_option_parse_range(option->range, &range))
            g_error("%s: option %s: range \"%s\" is not of the form \"1..600 s\"", owner, option->name,
                    option->range);
        if (option->type == CONF_T_CHOICE && option->range == NULL)
            g_error("%s: option %s: a choice needs its words in range", owner, option->name);
        if (!conf_option_parse_value(option, option->fallback, &value, &error))
            g_error("%s: option %s: default %s", owner, option->name, error->message);
        if (option->help == NULL)
            g_error("%s: option %s: no help", owner, option->name);
    }
}

static bool
read_value(const Source *source, ConfOptionValue *value, GError **error)
{
    const ConfOption *option = source->option;
    const char *section = section_of(option, source->own_section);
    const char *text = conf_settings_get(source->settings, section, option->name);
    if (conf_option_parse_value(option, text != NULL ? text : option->fallback, value, error))
        return true;
    g_prefix_error(error, "%s/%s: ", section, option->name);
    return false;
}

/* Families of sections ("gauth_ldap*") are filled one section at a time. */
static const char *
section_of(const ConfOption *option, const char *own_section)
{
    return option->section == NULL || g_str_has_suffix(option->section, "*") ? own_section : option->section;
}

static void
store(const ConfOption *option, const ConfOptionValue *value, void *target)
{
    char *member = (char *)target + option->offset;
    switch (option->type) {
    case CONF_T_BOOL:
        *(bool *)(void *)member = value->boolean;
        break;
    case CONF_T_INT:
    case CONF_T_CHOICE:
        *(int64_t *)(void *)member = value->integer;
        break;
    case CONF_T_STRING:
    case CONF_T_SECRET: {
        char *copy = g_strdup(value->string);
        clear_member(option, target);
        *(char **)(void *)member = copy;
        break;
    }
    }
}

static void
clear_member(const ConfOption *option, void *target)
{
    char *member = (char *)target + option->offset;
    if (option->type != CONF_T_STRING && option->type != CONF_T_SECRET) {
        store(option, &(ConfOptionValue){0}, target);
        return;
    }
    char **string = (char **)(void *)member;
    if (option->type == CONF_T_SECRET && *string != NULL)
        explicit_bzero(*string, strlen(*string));
    g_clear_pointer(string, g_free);
}

/* A struct of zeroes alone was never filled: there is no old value to keep. */
static bool
is_filled(const ConfOption *options, const void *target)
{
    for (const ConfOption *option = options; option->name != NULL; option++) {
        const char *member = (const char *)target + option->offset;
        switch (option->type) {
        case CONF_T_BOOL:
            if (*(const bool *)(const void *)member)
                return true;
            break;
        case CONF_T_INT:
        case CONF_T_CHOICE:
            if (*(const int64_t *)(const void *)member != 0)
                return true;
            break;
        case CONF_T_STRING:
        case CONF_T_SECRET:
            if (*(char *const *)(const void *)member != NULL)
                return true;
            break;
        }
    }
    return false;
}
