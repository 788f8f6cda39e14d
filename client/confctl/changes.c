/* changes.c - the changes of a transaction, as the protocol tells them, for people. */
#include "confctl.h"

#include <string.h>

static void print_members(Ctl *ctl, const char *prefix, JsonObject *members);

bool
ctl_changes_print(Ctl *ctl, JsonObject *changes, GError **error)
{
    if (ctl->json) {
        ctl_print_json(changes);
        return true;
    }
    if (!ctl_changes_want_places(ctl, changes, error))
        return false;
    g_autofree char *author = ctl_describe_author(ctl, confc_json_object(changes, "by"));
    const char *time = confc_json_string(changes, "time"), *reason = confc_json_string(changes, "reason");
    ctl_print_styled(ctl, CTL_BOLD, "%" G_GINT64_FORMAT "  %s%s%s%s",
                     confc_json_integer(changes, "revision", 0), time != NULL ? time : "", author,
                     reason != NULL ? "  " : "", reason != NULL ? reason : "");
    JsonArray *list = confc_json_array(changes, "changes");
    for (unsigned i = 0; list != NULL && i < json_array_get_length(list); i++)
        ctl_change_print(ctl, ctl_array_object(list, i));
    return true;
}

/* Names as they are after the transaction; of what is gone, as they were. */
bool
ctl_changes_want_places(Ctl *ctl, JsonObject *changes, GError **error)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
    JsonArray *list = confc_json_array(changes, "changes");
    JsonObject *by = confc_json_object(changes, "by");
    gint64 user = confc_json_integer(by, "user", 0), application = confc_json_integer(by, "application", 0);
    if (user != 0)
        g_ptr_array_add(keys, g_strdup_printf("person/%" G_GINT64_FORMAT, user));
    if (application != 0)
        g_ptr_array_add(keys, g_strdup_printf("application/%" G_GINT64_FORMAT, application));
    for (unsigned i = 0; list != NULL && i < json_array_get_length(list); i++) {
        JsonObject *change = ctl_array_object(list, i), *object = confc_json_object(change, "object"),
                   *patch = confc_json_object(change, "patch");
        const char *type = confc_json_string(change, "type");
        if (type == NULL)
            continue;
        gint64 dbid = confc_json_integer(change, "dbid", 0);
        bool moves = patch != NULL &&
                     (json_object_has_member(patch, "name") || json_object_has_member(patch, "folder"));
        if (moves)
            ctl_place_forget(ctl, type, dbid);
        else if (object != NULL || json_object_has_member(change, "name"))
            ctl_place_note(ctl, object != NULL ? object : change);
        g_ptr_array_add(keys, g_strdup_printf("%s/%" G_GINT64_FORMAT, type, dbid));
    }
    return ctl_place_want(ctl, keys, error);
}

void
ctl_change_print(Ctl *ctl, JsonObject *change)
{
    const char *op = confc_json_string(change, "op"), *type = confc_json_string(change, "type"),
               *reason = g_strcmp0(op, "permission") == 0 ? "rights" : confc_json_string(change, "reason");
    if (type == NULL)
        return;
    g_autofree char *path = ctl_place_path(ctl, type, confc_json_integer(change, "dbid", 0));
    bool is_create = g_strcmp0(op, "create") == 0, is_delete = g_strcmp0(op, "delete") == 0;
    ctl_print_styled(ctl,
                     is_create   ? CTL_GREEN
                     : is_delete ? CTL_RED
                                 : CTL_YELLOW,
                     "  %c %s %s%s%s%s",
                     is_create   ? '+'
                     : is_delete ? '-'
                                 : '~',
                     type, path, reason != NULL ? " (" : "", reason != NULL ? reason : "",
                     reason != NULL ? ")" : "");
    JsonObject *patch = confc_json_object(change, "patch"), *add = confc_json_object(change, "add"),
               *remove = confc_json_object(change, "remove");
    if (patch != NULL)
        print_members(ctl, "", patch);
    if (add != NULL)
        print_members(ctl, "added to ", add);
    if (remove != NULL)
        print_members(ctl, "removed from ", remove);
    if (is_delete)
        ctl_place_forget(ctl, type, confc_json_integer(change, "dbid", 0));
}

static void
print_members(Ctl *ctl, const char *prefix, JsonObject *members)
{
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, members);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        g_autofree char *text = json_to_string(value, FALSE);
        ctl_print("      %s%s: %s", prefix, name, text);
    }
}

char *
ctl_describe_author(Ctl *ctl, JsonObject *by)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const struct {
        const char *member, *type;
    } parts[] = {{"user", "person"}, {"application", "application"}};
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        gint64 dbid = confc_json_integer(by, parts[i].member, 0);
        const char *name = dbid != 0 ? ctl_place_name(ctl, parts[i].type, dbid) : NULL;
        if (dbid != 0)
            g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "  by ", name != NULL ? name : "?");
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}
