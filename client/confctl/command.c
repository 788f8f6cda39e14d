/* command.c - the commands: which there are, how one is run and what its end means to who called. */
#include "confctl.h"

#include <string.h>

static const CtlCommand *const tables[] = {ctl_read_commands,  ctl_write_commands, ctl_permission_commands,
                                           ctl_watch_commands, ctl_file_commands,  ctl_history_commands,
                                           ctl_edit_commands,  ctl_shell_commands};

static void tell_text(const GError *error);

const CtlCommand *
ctl_command_get(unsigned index)
{
    for (unsigned t = 0; t < G_N_ELEMENTS(tables); t++) {
        for (const CtlCommand *command = tables[t]; command->name != NULL; command++) {
            if (index-- == 0)
                return command;
        }
    }
    return NULL;
}

const CtlCommand *
ctl_command_find(const char *name)
{
    const CtlCommand *command;
    for (unsigned i = 0; (command = ctl_command_get(i)) != NULL; i++) {
        if (strcmp(command->name, name) == 0)
            return command;
    }
    return NULL;
}

char *
ctl_command_list(void)
{
    GString *text = g_string_new("Commands:");
    const CtlCommand *command;
    for (unsigned i = 0; (command = ctl_command_get(i)) != NULL; i++) {
        g_autofree char *usage = g_strdup_printf("%s %s", command->name, command->arguments);
        g_string_append_printf(text, "\n  %-44s %s", usage, command->summary);
    }
    return g_string_free(text, FALSE);
}

bool
ctl_command_check(const CtlCommand *command, char **arguments, GError **error)
{
    unsigned count = g_strv_length(arguments);
    if (count < command->least || count > command->most) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "usage: confctl %s %s", command->name,
                    command->arguments);
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!g_utf8_validate(arguments[i], -1, NULL)) {
            g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "Argument %u is not valid UTF-8", i + 1);
            return false;
        }
    }
    return true;
}

int
ctl_command_report(const GError *error)
{
    const char *path = confc_error_get_path(error);
    if (path != NULL && path[0] != '\0')
        ctl_warn("%s (at %s)", error->message, path);
    else
        ctl_warn("%s", error->message);
    if (g_error_matches(error, CONFC_ERROR, CONFC_ERROR_LOGIN_REFUSED))
        tell_text(error);
    if (g_error_matches(error, CONFC_ERROR, CONFC_ERROR_PASSWORD_EXPIRED))
        ctl_warn("Change the password first: confctl passwd");
    if (error->domain == CTL_ERROR)
        return error->code == CTL_ERROR_USAGE ? CTL_USAGE : CTL_REFUSED;
    if (g_error_matches(error, CONFC_ERROR, CONFC_ERROR_ARGUMENT) ||
        g_error_matches(error, CONFC_ERROR, CONFC_ERROR_UNSUPPORTED))
        return CTL_USAGE;
    return error->domain == CONFC_ERROR && error->code < 0 ? CTL_REFUSED : CTL_NOT_CONNECTED;
}

/* What the directory said that was asked. */
static void
tell_text(const GError *error)
{
    JsonNode *data = confc_error_get_data(error);
    const char *text = data != NULL && JSON_NODE_HOLDS_OBJECT(data)
                           ? confc_json_string(json_node_get_object(data), "text")
                           : NULL;
    if (text != NULL && text[0] != '\0')
        ctl_warn("%s", text);
}
