/* command.c - options of the command line that are a plugin's. */
#include <string.h>

#include "base/error.h"
#include "base/option.h"
#include "plugin/plugin-private.h"

static const ConfPluginCommand *commands_of(const ConfPlugin *p);
static void add_switch(GArray *switches, const char *name, const char *argument, const char *help);
static bool belongs(const ConfPluginCommand *command, const char *name);

const ConfPluginCommand *
conf_plugin_find_command(const ConfPlugin *p, GHashTable *options)
{
    const ConfPluginCommand *command = commands_of(p);
    for (; command != NULL && command->name != NULL; command++) {
        if (g_hash_table_contains(options, command->name))
            return command;
    }
    return NULL;
}

void
conf_plugin_register_commands(const ConfPlugin *p)
{
    g_autoptr(GArray) switches = g_array_new(TRUE, TRUE, sizeof(ConfOption));
    for (const ConfPluginCommand *command = commands_of(p); command != NULL && command->name != NULL;
         command++) {
        g_autofree char *help = g_strdup_printf("Of plugin %s: %s.", p->name,
                                                command->help != NULL ? command->help : "does not serve");
        g_autofree char *only_with = g_strdup_printf("With -%s.", command->name);
        add_switch(switches, command->name, command->argument, help);
        for (const char *const *with = command->with; with != NULL && *with != NULL; with++)
            add_switch(switches, *with, "VALUE", only_with);
    }
    conf_option_register_command_line((const ConfOption *)(void *)switches->data);
}

bool
conf_plugin_run_command(ConfPlugin *p, const ConfPluginCommand *command, GHashTable *options, GError **error)
{
    GHashTableIter iter;
    void *name, *value;
    g_hash_table_iter_init(&iter, options);
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        bool takes_none = strcmp(name, command->name) == 0 && command->argument == NULL;
        if (!belongs(command, name)) {
            g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "Option '-%s' does not go with -%s",
                        (char *)name, command->name);
            return false;
        }
        if (takes_none != (*(char *)value == '\0')) {
            g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                        takes_none ? "Option '-%s' takes no value" : "Option '-%s' needs a value",
                        (char *)name);
            return false;
        }
    }
    g_autoptr(GPtrArray) values = g_ptr_array_new();
    for (const char *const *with = command->with; with != NULL && *with != NULL; with++)
        g_ptr_array_add(values, g_hash_table_lookup(options, *with));
    g_ptr_array_add(values, NULL);
    const char *argument = command->argument != NULL ? g_hash_table_lookup(options, command->name) : NULL;
    return command->run(p, p->settings, argument, (const char *const *)values->pdata, error);
}

/* One that was built before there were commands has none where the member would be. */
static const ConfPluginCommand *
commands_of(const ConfPlugin *p)
{
    return p->descriptor->feature >= 1 ? p->descriptor->commands : NULL;
}

/* The registry keeps it for ever. */
static void
add_switch(GArray *switches, const char *name, const char *argument, const char *help)
{
    ConfOption option = {
        .name = name,
        .type = argument != NULL ? CONF_T_STRING : CONF_T_BOOL,
        .range = argument,
        .help = g_intern_string(help),
    };
    g_array_append_val(switches, option);
}

static bool
belongs(const ConfPluginCommand *command, const char *name)
{
    return strcmp(name, command->name) == 0 ||
           (command->with != NULL && g_strv_contains(command->with, name));
}
