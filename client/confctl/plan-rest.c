/* plan-rest.c - what comes after the objects: references that had to wait, lists of rights, deletions. */
#include "plan-private.h"

#include <string.h>

static JsonArray *convert_entries(CtlPlan *plan, JsonNode *permissions, GError **error);
static bool is_same_list(JsonObject *list, JsonArray *entries);
static GHashTable *index_entries(JsonArray *entries);

bool
ctl_plan_deferred(CtlPlan *plan, CtlLeftover *leftover, GError **error)
{
    JsonObject *type = ctl_type(plan->ctl, leftover->item->type, error);
    g_autoptr(JsonObject) patch = json_object_new();
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, leftover->members);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        JsonNode *wire = ctl_plan_convert(plan, ctl_field(type, name), name, value, error);
        if (wire == NULL)
            return false;
        json_object_set_member(patch, name, wire);
        if (plan->is_unresolved) {
            g_set_error(error, CTL_ERROR, CTL_ERROR_REFUSED, "%s refers to what could not be made", name);
            return false;
        }
    }
    JsonObject *operation = ctl_plan_add_operation(plan, leftover->item, "update");
    json_object_set_object_member(operation, "patch", g_steal_pointer(&patch));
    return true;
}

bool
ctl_plan_deletion(CtlPlan *plan, CtlItem *item, GError **error)
{
    g_autoptr(GError) fault = NULL;
    g_autoptr(JsonObject) present = ctl_find_at(plan->ctl, item->type, item->path, &fault);
    if (present == NULL && ctl_plan_is_missing(fault)) {
        plan->counts.unchanged++;
        return true;
    }
    if (present == NULL) {
        g_propagate_error(error, g_steal_pointer(&fault));
        return false;
    }
    item->dbid = confc_json_integer(present, "dbid", 0);
    ctl_plan_add_operation(plan, item, "delete");
    plan->counts.deleted++;
    ctl_plan_show(plan, item, '-', NULL);
    return true;
}

bool
ctl_plan_permissions(CtlPlan *plan, CtlLeftover *leftover, GError **error)
{
    CtlItem *item = leftover->item;
    JsonNode *permissions = json_object_get_member(leftover->members, "permissions");
    bool inherits = JSON_NODE_HOLDS_NULL(permissions);
    g_autoptr(JsonArray) entries = inherits ? NULL : convert_entries(plan, permissions, error);
    if (!inherits && entries == NULL)
        return false;
    if (item->operation < 0) {
        g_autoptr(JsonObject) list =
            ctl_request(plan->ctl, "permission.read", ctl_reference(item->type, item->dbid), error);
        if (list == NULL)
            return false;
        if (inherits ? confc_json_boolean(list, "inherited") : is_same_list(list, entries))
            return true;
    } else if (inherits) {
        return true;
    }
    JsonObject *operation = ctl_plan_add_operation(plan, item, "permission");
    if (inherits)
        json_object_set_boolean_member(operation, "inherit", TRUE);
    else
        json_object_set_array_member(operation, "entries", g_steal_pointer(&entries));
    plan->counts.permissions++;
    ctl_plan_show(plan, item, '~', "permissions");
    return true;
}

static JsonArray *
convert_entries(CtlPlan *plan, JsonNode *permissions, GError **error)
{
    JsonArray *given = JSON_NODE_HOLDS_ARRAY(permissions) ? json_node_get_array(permissions) : NULL;
    g_autoptr(JsonArray) entries = json_array_new();
    for (unsigned i = 0; given != NULL && i < json_array_get_length(given); i++) {
        JsonObject *entry = ctl_array_object(given, i);
        JsonNode *account = entry != NULL ? json_object_get_member(entry, "account") : NULL;
        JsonArray *rights = confc_json_array(entry, "rights");
        if (account == NULL || rights == NULL) {
            given = NULL;
            break;
        }
        g_autoptr(JsonNode) wire = ctl_plan_convert(plan, plan->account_field, "permissions", account, error);
        if (wire == NULL)
            return NULL;
        if (plan->is_unresolved) {
            g_set_error_literal(error, CTL_ERROR, CTL_ERROR_REFUSED,
                                "permissions name an account that could not be made");
            return NULL;
        }
        JsonObject *converted = json_object_new();
        json_object_set_member(converted, "account", g_steal_pointer(&wire));
        json_object_set_array_member(converted, "rights", json_array_ref(rights));
        json_array_add_object_element(entries, converted);
    }
    if (given != NULL)
        return g_steal_pointer(&entries);
    g_set_error_literal(error, CTL_ERROR, CTL_ERROR_USAGE,
                        "permissions are null, or a list of {\"account\":PATH,\"rights\":[...]}");
    return NULL;
}

static bool
is_same_list(JsonObject *list, JsonArray *entries)
{
    JsonArray *present = confc_json_array(list, "entries");
    if (confc_json_boolean(list, "inherited") || present == NULL)
        return false;
    g_autoptr(GHashTable) left = index_entries(present), right = index_entries(entries);
    GHashTableIter iter;
    void *key, *rights;
    g_hash_table_iter_init(&iter, left);
    while (g_hash_table_iter_next(&iter, &key, &rights)) {
        if (g_strcmp0(g_hash_table_lookup(right, key), rights) != 0)
            return false;
    }
    return g_hash_table_size(left) == g_hash_table_size(right);
}

static int
compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Account → rights, sorted and joined. */
static GHashTable *
index_entries(JsonArray *entries)
{
    GHashTable *index = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (unsigned i = 0; i < json_array_get_length(entries); i++) {
        JsonObject *entry = ctl_array_object(entries, i), *account = confc_json_object(entry, "account");
        JsonArray *rights = confc_json_array(entry, "rights");
        g_autoptr(GPtrArray) names = g_ptr_array_new();
        for (unsigned r = 0; rights != NULL && r < json_array_get_length(rights); r++) {
            JsonNode *right = json_array_get_element(rights, r);
            if (JSON_NODE_HOLDS_VALUE(right) && json_node_get_value_type(right) == G_TYPE_STRING)
                g_ptr_array_add(names, (char *)json_node_get_string(right));
        }
        g_ptr_array_sort(names, compare_texts);
        g_ptr_array_add(names, NULL);
        JsonNode *number = account != NULL ? json_object_get_member(account, "dbid") : NULL;
        g_autofree char *dbid = number != NULL ? json_to_string(number, FALSE) : g_strdup("");
        g_hash_table_insert(index, g_strdup_printf("%s/%s", confc_json_string(account, "type"), dbid),
                            g_strjoinv(",", (char **)names->pdata));
    }
    return index;
}
