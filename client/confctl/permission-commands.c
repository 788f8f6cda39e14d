/* permission-commands.c - acl, grant, revoke, passwd. */
#include "confctl.h"

#include <string.h>
#include <unistd.h>

static bool run_acl(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool run_grant(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool run_revoke(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool run_passwd(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool change_list(Ctl *ctl, const char *member, char **arguments, const char *rights, GError **error);
static JsonArray *parse_rights(const char *text, GError **error);
static char *join_rights(JsonArray *rights);
static bool print_list(Ctl *ctl, JsonObject *list, GError **error);
static char *ask_new_password(GError **error);
static bool change_own(Ctl *ctl, const char *password, GError **error);
static bool change_other(Ctl *ctl, const char *person, const char *password, GError **error);

static const char *const right_names[] = {"read",   "create",          "change",           "execute",
                                          "delete", "readPermissions", "changePermissions"};

static gboolean propagate;
static gboolean must_change;
static char *new_password_file;
static const GOptionEntry list_options[] = {
    {"propagate", 0, 0, G_OPTION_ARG_NONE, &propagate,
     "Remove the own lists of everything below, which inherits from then on", NULL},
    {NULL},
};
static const GOptionEntry password_options[] = {
    {"new-password-file", 0, 0, G_OPTION_ARG_FILENAME, &new_password_file,
     "File whose first line is the new password", "FILE"},
    {"must-change", 0, 0, G_OPTION_ARG_NONE, &must_change,
     "The person has to choose another one at the next log-in", NULL},
    {NULL},
};

const CtlCommand ctl_permission_commands[] = {
    {"acl", "PATH|TYPE/DBID", "Shows who may do what with an object", NULL, NULL, 1, 1, run_acl},
    {"grant", "PATH|TYPE/DBID ACCOUNT RIGHTS", "Gives rights on an object",
     "ACCOUNT is a person or access group, by name, path or TYPE/DBID.  RIGHTS are joined by commas,\n"
     "or all: read, create, change, execute, delete, readPermissions, changePermissions.",
     list_options, 3, 3, run_grant},
    {"revoke", "PATH|TYPE/DBID ACCOUNT [RIGHTS]", "Takes rights on an object away, all if none are named",
     NULL, list_options, 2, 3, run_revoke},
    {"passwd", "[PERSON]", "Changes your password, or sets that of another", NULL, password_options, 0, 1,
     run_passwd},
    {NULL},
};

static bool
run_acl(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    g_autoptr(JsonObject) object = ctl_resolve_object(ctl, arguments[0], error);
    if (object == NULL)
        return false;
    JsonObject *params =
        ctl_reference(confc_json_string(object, "type"), confc_json_integer(object, "dbid", 0));
    g_autoptr(JsonObject) list = ctl_request(ctl, "permission.read", params, error);
    if (list == NULL)
        return false;
    if (!ctl->json)
        return print_list(ctl, list, error);
    ctl_print_json(list);
    return true;
}

static bool
run_grant(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    return change_list(ctl, "grant", arguments, arguments[2], error);
}

static bool
run_revoke(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    return change_list(ctl, "revoke", arguments, count > 2 ? arguments[2] : "all", error);
}

static bool
run_passwd(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    if (must_change && count == 0) {
        g_set_error_literal(error, CTL_ERROR, CTL_ERROR_USAGE,
                            "--must-change is for the password of another person");
        return false;
    }
    g_autofree char *password =
        new_password_file != NULL ? ctl_read_secret_file(new_password_file, error) : ask_new_password(error);
    if (password == NULL)
        return false;
    bool is_done =
        count == 0 ? change_own(ctl, password, error) : change_other(ctl, arguments[0], password, error);
    explicit_bzero(password, strlen(password));
    return is_done;
}

static bool
change_list(Ctl *ctl, const char *member, char **arguments, const char *rights_text, GError **error)
{
    g_autofree char *type = NULL;
    gint64 dbid;
    g_autoptr(JsonArray) rights = parse_rights(rights_text, error);
    g_autoptr(JsonObject) object = rights != NULL ? ctl_resolve_object(ctl, arguments[0], error) : NULL;
    if (object == NULL || !ctl_resolve_account(ctl, arguments[1], &type, &dbid, error))
        return false;
    JsonObject *entry = json_object_new();
    json_object_set_object_member(entry, "account", ctl_reference(type, dbid));
    json_object_set_array_member(entry, "rights", json_array_ref(rights));
    JsonArray *entries = json_array_new();
    json_array_add_object_element(entries, entry);
    JsonObject *params =
        ctl_reference(confc_json_string(object, "type"), confc_json_integer(object, "dbid", 0));
    json_object_set_array_member(params, member, entries);
    if (propagate)
        json_object_set_boolean_member(params, "propagate", TRUE);
    g_autoptr(JsonObject) answer = ctl_request(ctl, "permission.update", params, error);
    if (answer == NULL)
        return false;
    if (ctl->json)
        ctl_print_json(answer);
    else
        ctl_print("rights changed, revision %" G_GINT64_FORMAT, confc_json_integer(answer, "revision", 0));
    return true;
}

static JsonArray *
parse_rights(const char *text, GError **error)
{
    g_autoptr(JsonArray) rights = json_array_new();
    g_auto(GStrv) names = g_strsplit(text, ",", -1);
    if (strcmp(text, "all") == 0) {
        for (unsigned i = 0; i < G_N_ELEMENTS(right_names); i++)
            json_array_add_string_element(rights, right_names[i]);
        return g_steal_pointer(&rights);
    }
    for (unsigned i = 0; names[i] != NULL; i++) {
        unsigned found = 0;
        while (found < G_N_ELEMENTS(right_names) && strcmp(right_names[found], g_strstrip(names[i])) != 0)
            found++;
        if (found == G_N_ELEMENTS(right_names)) {
            g_autofree char *all =
                g_strjoin(", ", right_names[0], right_names[1], right_names[2], right_names[3],
                          right_names[4], right_names[5], right_names[6], NULL);
            g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "There is no right \"%s\"; there are %s, or all",
                        names[i], all);
            return NULL;
        }
        json_array_add_string_element(rights, names[i]);
    }
    return g_steal_pointer(&rights);
}

static char *
join_rights(JsonArray *rights)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (unsigned i = 0; rights != NULL && i < json_array_get_length(rights); i++) {
        if (ctl_node_text(json_array_get_element(rights, i)) != NULL)
            g_string_append_printf(text, "%s%s", text->len > 0 ? "," : "",
                                   ctl_node_text(json_array_get_element(rights, i)));
    }
    if (rights != NULL && json_array_get_length(rights) == G_N_ELEMENTS(right_names))
        g_string_assign(text, "all");
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static bool
print_list(Ctl *ctl, JsonObject *list, GError **error)
{
    JsonArray *entries = confc_json_array(list, "entries");
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
    for (unsigned i = 0; entries != NULL && i < json_array_get_length(entries); i++) {
        JsonObject *account = confc_json_object(ctl_array_object(entries, i), "account");
        if (!ctl_check_object(account, error))
            return false;
        g_ptr_array_add(keys, g_strdup_printf("%s/%" G_GINT64_FORMAT, confc_json_string(account, "type"),
                                              confc_json_integer(account, "dbid", 0)));
    }
    if (!ctl_place_want(ctl, keys, error))
        return false;
    CtlTable *table = ctl_table_new("TYPE", "ACCOUNT", "RIGHTS", NULL);
    for (unsigned i = 0; i < keys->len; i++) {
        JsonObject *entry = ctl_array_object(entries, i), *account = confc_json_object(entry, "account");
        const char *type = confc_json_string(account, "type");
        g_autofree char *path = ctl_place_path(ctl, type, confc_json_integer(account, "dbid", 0));
        g_autofree char *rights = join_rights(confc_json_array(entry, "rights"));
        ctl_table_add(table, type, path, rights, NULL);
    }
    ctl_table_print(ctl, table);
    g_autofree char *effective = join_rights(confc_json_array(list, "effective"));
    ctl_print("The list is %s; yours: %s",
              confc_json_boolean(list, "inherited") ? "inherited" : "the object's own",
              effective[0] != '\0' ? effective : "none");
    return true;
}

static char *
ask_new_password(GError **error)
{
    if (!isatty(STDIN_FILENO)) {
        g_set_error_literal(error, CTL_ERROR, CTL_ERROR_USAGE,
                            "No new password: use --new-password-file FILE, or call confctl from a terminal");
        return NULL;
    }
    char *first = ctl_prompt_secret("New password: ", error);
    char *second = first != NULL ? ctl_prompt_secret("Once more: ", error) : NULL;
    bool is_same = second != NULL && strcmp(first, second) == 0;
    if (second != NULL && !is_same)
        g_set_error_literal(error, CTL_ERROR, CTL_ERROR_USAGE, "The two are not the same");
    ctl_wipe(&second);
    if (!is_same)
        ctl_wipe(&first);
    return first;
}

static bool
change_own(Ctl *ctl, const char *password, GError **error)
{
    JsonObject *params = json_object_new();
    json_object_set_string_member(params, "old", ctl->password);
    json_object_set_string_member(params, "new", password);
    g_autoptr(JsonObject) answer = ctl_request(ctl, "session.changePassword", params, error);
    if (answer == NULL)
        return false;
    /* For a connection anew. */
    ctl_wipe(&ctl->password);
    ctl->password = g_strdup(password);
    g_object_set(ctl->client, "password", password, NULL);
    ctl_print("Password changed");
    return true;
}

static bool
change_other(Ctl *ctl, const char *person, const char *password, GError **error)
{
    g_autofree char *type = NULL;
    gint64 dbid;
    if (!ctl_resolve_account(ctl, person, &type, &dbid, error))
        return false;
    if (strcmp(type, "person") != 0) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "%s is no person", person);
        return false;
    }
    JsonObject *params = json_object_new();
    json_object_set_int_member(params, "dbid", dbid);
    json_object_set_string_member(params, "password", password);
    if (must_change)
        json_object_set_boolean_member(params, "mustChange", TRUE);
    g_autoptr(JsonObject) answer = ctl_request(ctl, "account.setPassword", params, error);
    if (answer != NULL)
        ctl_print("Password of %s set", person);
    return answer != NULL;
}
