/* plan-items.c - a line of the file becomes a creation, an update, or nothing. */
#include "plan-private.h"

#include <string.h>

static bool plan_create(CtlPlan *plan, CtlItem *item, JsonObject *members, bool *needs_send, GError **error);
static bool place_item(CtlPlan *plan, const CtlItem *item, JsonObject *object, bool *needs_send,
                       GError **error);
static bool plan_update(CtlPlan *plan, CtlItem *item, JsonObject *members, GError **error);

bool
ctl_plan_item(CtlPlan *plan, CtlItem *item, bool *needs_send, GError **error)
{
    g_autoptr(JsonObject) members = ctl_item_parse(item, error);
    if (members == NULL)
        return false;
    if (item->is_hidden) {
        g_autoptr(GError) fault = NULL;
        item->present = ctl_find_at(plan->ctl, item->type, item->path, &fault);
        item->is_hidden = false;
        item->dbid = confc_json_integer(item->present, "dbid", 0);
        if (item->present == NULL && !ctl_plan_is_missing(fault)) {
            g_propagate_error(error, g_steal_pointer(&fault));
            return false;
        }
    }
    bool fine = item->present != NULL ? plan_update(plan, item, members, error)
                                      : plan_create(plan, item, members, needs_send, error);
    if (!fine || *needs_send)
        return fine;
    g_clear_pointer(&item->present, json_object_unref);
    if (json_object_has_member(members, "permissions"))
        ctl_plan_defer(&plan->permissions, item, "permissions",
                       json_object_get_member(members, "permissions"));
    return true;
}

static bool
plan_create(CtlPlan *plan, CtlItem *item, JsonObject *members, bool *needs_send, GError **error)
{
    JsonObject *type = ctl_type(plan->ctl, item->type, error);
    g_autoptr(JsonObject) object = json_object_new();
    json_object_set_string_member(object, "type", item->type);
    if (!place_item(plan, item, object, needs_send, error) || *needs_send)
        return *needs_send;
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, members);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        JsonObject *field = ctl_field(type, name);
        if (ctl_member_is_head(name) || field == NULL || json_object_has_member(field, "computed"))
            continue;
        g_autoptr(JsonNode) wire = ctl_plan_convert(plan, field, name, value, error);
        if (wire == NULL)
            return false;
        if (plan->is_unresolved)
            ctl_plan_defer(&plan->deferred, item, name, value);
        else
            json_object_set_member(object, name, g_steal_pointer(&wire));
    }
    item->operation = (int)json_array_get_length(plan->operations);
    JsonObject *operation = ctl_plan_add_operation(plan, item, "create");
    json_object_set_object_member(operation, "object", g_steal_pointer(&object));
    plan->makes_tenant = plan->makes_tenant || strcmp(item->type, "tenant") == 0;
    plan->counts.created++;
    ctl_plan_show(plan, item, '+', NULL);
    return true;
}

/* Name, and folder or tenant.  Root folders come with their tenant, and what lies in them can be placed
 * only once they have numbers; but an object directly in the root folder of its type needs none. */
static bool
place_item(CtlPlan *plan, const CtlItem *item, JsonObject *object, bool *needs_send, GError **error)
{
    g_autofree char *parent = NULL, *name = NULL, *above = NULL, *root = NULL;
    if (!ctl_path_split(item->path, &parent, &name, error))
        return false;
    json_object_set_string_member(object, "name", name);
    CtlItem *folder = ctl_file_lookup(plan->file, "folder", parent),
            *tenant = ctl_file_lookup(plan->file, "tenant", parent);
    CtlItem *container = folder != NULL ? folder : tenant;
    if (container != NULL && container == tenant && container->operation >= 0 &&
        strcmp(item->type, "folder") == 0) {
        *needs_send = true; /* It will be there with its tenant. */
        return true;
    }
    if (container != NULL && (container->dbid != 0 || container->operation >= 0)) {
        json_object_set_member(object, container == folder ? "folder" : "tenant",
                               ctl_plan_number_of(container));
        return true;
    }
    bool has_above = strcmp(parent, "/") != 0 && ctl_path_split(parent, &above, &root, NULL);
    CtlItem *new_tenant = has_above ? ctl_file_lookup(plan->file, "tenant", above) : NULL;
    JsonObject *type = ctl_type(plan->ctl, item->type, error);
    if (new_tenant != NULL && new_tenant->operation >= 0 && strcmp(root, ctl_type_plural(type)) == 0) {
        json_object_set_member(object, "tenant", ctl_plan_number_of(new_tenant));
        return true;
    }
    g_autoptr(GError) fault = NULL;
    g_autoptr(JsonObject) present = ctl_resolve_object(plan->ctl, parent, &fault);
    const char *present_type = confc_json_string(present, "type");
    if (g_strcmp0(present_type, "folder") == 0 || g_strcmp0(present_type, "tenant") == 0) {
        json_object_set_int_member(object, present_type, confc_json_integer(present, "dbid", 0));
        return true;
    }
    if (present == NULL && ctl_plan_is_missing(fault) && plan->makes_tenant) {
        *needs_send = true;
        return true;
    }
    if (fault != NULL)
        g_propagate_error(error, g_steal_pointer(&fault));
    else
        g_set_error(error, CTL_ERROR, CTL_ERROR_REFUSED, "%s is neither a folder nor a tenant", parent);
    return false;
}

static bool
plan_update(CtlPlan *plan, CtlItem *item, JsonObject *members, GError **error)
{
    JsonObject *type = ctl_type(plan->ctl, item->type, error);
    g_autoptr(JsonObject) patch = json_object_new(), shown = json_object_new();
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, members);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        JsonObject *field = ctl_field(type, name);
        if (ctl_member_is_head(name) || field == NULL || json_object_has_member(field, "computed"))
            continue;
        g_autoptr(JsonNode) wire = ctl_plan_convert(plan, field, name, value, error);
        if (wire == NULL)
            return false;
        JsonNode *change = plan->is_unresolved
                               ? NULL
                               : ctl_difference(field, json_object_get_member(item->present, name), wire);
        if (plan->is_unresolved)
            ctl_plan_defer(&plan->deferred, item, name, value);
        else if (change != NULL)
            json_object_set_member(patch, name, change);
        /* References are shown as the file has them. */
        bool has_references = change != NULL && !ctl_field_is(field, "sections");
        if (plan->is_unresolved || change != NULL)
            json_object_set_member(shown, name,
                                   json_node_copy(has_references || change == NULL ? value : change));
    }
    if (json_object_get_size(shown) == 0) {
        plan->counts.unchanged++;
        return true;
    }
    plan->counts.updated++;
    if (!ctl_plan_show_update(plan, item, shown, error))
        return false;
    if (json_object_get_size(patch) > 0)
        json_object_set_object_member(ctl_plan_add_operation(plan, item, "update"), "patch",
                                      g_steal_pointer(&patch));
    return true;
}
