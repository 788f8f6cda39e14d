/* options.c - the options of a plugin: its table with sections resolved, its settings struct filled, and
 * reloads.
 *
 * In a plugin's table a section of NULL is the section named like the plugin, "" is the server's own
 * section, and "NAME*" is section NAME and those with a number (NAME_1): values there are checked, but not
 * put into the struct. */
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "plugin/plugin-private.h"

/* Stands for the section of options of a family ("gauth_ldap*") where one settings struct is filled: no
 * file has it, so the member holds the default, and the plugin reads the sections that there are by
 * conf_plugin_get_option(). */
static const char NO_SECTION[] = "\001";

/* Descriptors to resolved tables: the registry borrows tables for ever, and a plugin may be inspected
 * before it is loaded. */
static GHashTable *resolved_tables;

static bool ask_plugin(ConfPlugin *p, const char *own_section, const ConfSettings *settings,
                       const void *target, GError **error);
static bool check_table(ConfPlugin *p, GError **error);
static size_t size_of_member(ConfType type);
static ConfOption *resolve_sections(const ConfOption *options, const char *name);
static bool is_family(const char *section);
static void register_options(const char *name, const ConfOption *options);
static bool check_families(const ConfPlugin *p, const ConfSettings *settings, GError **error);
static void check_setting(const char *section, const char *key, const char *value, int line, void *data);
static bool keep_value(const ConfOption *option, void *filled, const void *in_force);

bool
conf_plugin_options_prepare(ConfPlugin *p, GError **error)
{
    if (p->descriptor->options == NULL)
        return true;
    if (resolved_tables == NULL)
        resolved_tables = g_hash_table_new(NULL, NULL);
    p->options = g_hash_table_lookup(resolved_tables, p->descriptor);
    if (p->options != NULL)
        return true;

    if (!check_table(p, error))
        return false;
    ConfOption *resolved = resolve_sections(p->descriptor->options, p->descriptor->name);
    g_hash_table_insert(resolved_tables, (gpointer)p->descriptor, resolved);
    p->options = resolved;
    /* The name in the descriptor, not the copy: the registry keeps it for ever. */
    register_options(p->descriptor->name, p->descriptor->options);
    return true;
}

bool
conf_plugin_options_read(ConfPlugin *p, const char *own_section, const ConfSettings *settings, void **filled,
                         GError **error)
{
    void *target = p->descriptor->settings_size > 0 ? g_malloc0(p->descriptor->settings_size) : NULL;
    if (p->options != NULL && (!conf_option_fill(p->options, own_section, settings, target, error) ||
                               !check_families(p, settings, error))) {
        g_prefix_error(error, "plugin %s: ", p->name);
        conf_plugin_options_free(p, target);
        return false;
    }
    if (!ask_plugin(p, own_section, settings, target, error)) {
        conf_plugin_options_free(p, target);
        return false;
    }
    *filled = target;
    return true;
}

bool
conf_plugin_options_check_value(const ConfPlugin *p, const char *own_section, const char *section,
                                const char *key, const char *value, GError **error)
{
    const ConfOption *declared = p->descriptor->options;
    for (unsigned i = 0; p->options != NULL && declared[i].name != NULL; i++) {
        const ConfOption *option = &declared[i];
        const char *place = p->options[i].section != NULL ? p->options[i].section : own_section;
        bool meant =
            conf_option_section_matches(is_family(option->section) ? option->section : place, section);
        if (!meant || strcmp(option->name, key) != 0 || conf_option_check_value(option, value, error))
            continue;
        g_prefix_error(error, "plugin %s: %s/%s: ", p->name, section, key);
        return false;
    }
    return true;
}

void
conf_plugin_options_keep_at_start(ConfPlugin *p, void *filled)
{
    if (p->options == NULL || p->settings == NULL)
        return;
    for (const ConfOption *option = p->options; option->name != NULL; option++) {
        if (option->when != CONF_AT_START || !keep_value(option, filled, p->settings))
            continue;
        conf_log(CONF_LOG_PLUGIN_OPTION_WAITS, "plugin", p->name, "section", option->section, "option",
                 option->name, NULL);
    }
}

/* What only the plugin can say of its options. */
static bool
ask_plugin(ConfPlugin *p, const char *own_section, const ConfSettings *settings, const void *target,
           GError **error)
{
    g_autoptr(GError) why = NULL;
    conf_plugin_enter(p);
    bool good = p->descriptor->check == NULL || p->descriptor->check(target, &why);
    if (good && p->descriptor->feature >= 1 && p->descriptor->check_sections != NULL) {
        p->checked = settings;
        p->checked_section = own_section;
        good = p->descriptor->check_sections(p, target, &why);
        p->checked = NULL;
        p->checked_section = NULL;
    }
    conf_plugin_leave(p);
    if (!good)
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "plugin %s: %s", p->name,
                    why != NULL ? why->message : "its options do not fit together");
    return good;
}

void
conf_plugin_options_free(ConfPlugin *p, void *settings)
{
    if (settings == NULL)
        return;
    if (p->options != NULL)
        conf_option_clear(p->options, settings);
    g_free(settings);
}

/* The table is another author's: what the registry would abort on is refused by name. */
static bool
check_table(ConfPlugin *p, GError **error)
{
    for (const ConfOption *option = p->descriptor->options; option->name != NULL; option++) {
        size_t size = size_of_member(option->type);
        if (size == 0 || (option->type == CONF_T_CHOICE && option->range == NULL) || option->help == NULL) {
            g_set_error(
                error, CONF_ERROR, CONF_ERROR_INVALID,
                "plugin %s declares option %s without a known type, a help text or the words of its choice",
                p->name, option->name);
            return false;
        }
        if (option->offset > p->descriptor->settings_size ||
            p->descriptor->settings_size - option->offset < size) {
            g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                        "plugin %s declares option %s outside its settings struct of %zu bytes", p->name,
                        option->name, p->descriptor->settings_size);
            return false;
        }
        if (option->fallback != NULL && !conf_option_check_value(option, option->fallback, error)) {
            g_prefix_error(error,
                           "plugin %s declares option %s with a default that is not allowed: ", p->name,
                           option->name);
            return false;
        }
    }
    return true;
}

static size_t
size_of_member(ConfType type)
{
    switch (type) {
    case CONF_T_BOOL:
        return sizeof(bool);
    case CONF_T_INT:
    case CONF_T_CHOICE:
        return sizeof(int64_t);
    case CONF_T_STRING:
    case CONF_T_SECRET:
        return sizeof(char *);
    }
    return 0;
}

static ConfOption *
resolve_sections(const ConfOption *options, const char *name)
{
    unsigned count = 0;
    while (options[count].name != NULL)
        count++;
    ConfOption *resolved = g_new(ConfOption, count + 1);
    memcpy(resolved, options, (count + 1) * sizeof(ConfOption));
    for (unsigned i = 0; i < count; i++) {
        const char *section = options[i].section;
        if (section == NULL)
            resolved[i].section = name;
        else if (*section == '\0')
            resolved[i].section = NULL;
        else if (is_family(section))
            resolved[i].section = NO_SECTION;
    }
    return resolved;
}

static bool
is_family(const char *section)
{
    return section != NULL && g_str_has_suffix(section, "*");
}

/* In two tables: the registry takes a section of NULL as the owner's, and options of the server's own
 * section are owned by it whoever reads them. */
static void
register_options(const char *name, const ConfOption *options)
{
    unsigned count = 0;
    while (options[count].name != NULL)
        count++;
    ConfOption *of_plugin = g_new0(ConfOption, count + 1), *of_server = g_new0(ConfOption, count + 1);
    unsigned plugin_count = 0, server_count = 0;
    for (unsigned i = 0; i < count; i++) {
        if (options[i].section == NULL || *options[i].section != '\0') {
            of_plugin[plugin_count++] = options[i];
            continue;
        }
        of_server[server_count] = options[i];
        of_server[server_count++].section = NULL;
    }
    conf_option_register(name, of_plugin);
    conf_option_register(CONF_OPTION_OWNER_SERVER, of_server);
}

typedef struct {
    const ConfOption *options;
    GError *error;
} FamilyCheck;

static bool
check_families(const ConfPlugin *p, const ConfSettings *settings, GError **error)
{
    FamilyCheck check = {p->descriptor->options, NULL};
    conf_settings_foreach(settings, check_setting, &check);
    if (check.error == NULL)
        return true;
    g_propagate_error(error, check.error);
    return false;
}

static void
check_setting(const char *section, const char *key, const char *value, int line, void *data)
{
    FamilyCheck *check = data;
    if (check->error != NULL)
        return;
    for (const ConfOption *option = check->options; option->name != NULL; option++) {
        if (!is_family(option->section) || strcmp(option->name, key) != 0 ||
            !conf_option_section_matches(option->section, section))
            continue;
        if (!conf_option_check_value(option, value, &check->error))
            g_prefix_error(&check->error, "%s/%s: ", section, key);
        return;
    }
}

/* Puts the value in force in the place of a new one; true if they differed. */
static bool
keep_value(const ConfOption *option, void *filled, const void *in_force)
{
    char *to = (char *)filled + option->offset;
    const char *from = (const char *)in_force + option->offset;
    size_t size = size_of_member(option->type);
    if (option->type != CONF_T_STRING && option->type != CONF_T_SECRET) {
        bool differs = memcmp(to, from, size) != 0;
        memcpy(to, from, size);
        return differs;
    }
    char *fresh, *old;
    memcpy(&fresh, to, sizeof(fresh));
    memcpy(&old, from, sizeof(old));
    if (g_strcmp0(fresh, old) == 0)
        return false;
    if (option->type == CONF_T_SECRET && fresh != NULL)
        explicit_bzero(fresh, strlen(fresh));
    g_free(fresh);
    old = g_strdup(old);
    memcpy(to, &old, sizeof(old));
    return true;
}
