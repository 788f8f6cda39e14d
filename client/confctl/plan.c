/* plan.c - what has to be done so that the server matches the file: operations of one transaction (apply) or
 * of several (import).
 *
 * Objects that come into being in the same transaction are named {"$created":N}; references to what comes
 * later in the file are set by an update at the end.  Lists of rights follow, then deletions. */
#include "plan-private.h"

#include <string.h>

static void forget_absent(CtlPlan *plan, unsigned begin);
static void leftover_free(void *data);

CtlPlan *
ctl_plan_new(Ctl *ctl, CtlFile *file, bool is_shown)
{
    CtlPlan *plan = g_new0(CtlPlan, 1);
    plan->ctl = ctl;
    plan->file = file;
    plan->show = is_shown;
    plan->operations = json_array_new();
    plan->operation_items = g_ptr_array_new();
    plan->references = ctl_plan_references_new();
    g_queue_init(&plan->deferred);
    g_queue_init(&plan->permissions);
    plan->account_field = json_object_new();
    JsonArray *accounts = json_array_new();
    json_array_add_string_element(accounts, "person");
    json_array_add_string_element(accounts, "accessGroup");
    json_object_set_string_member(plan->account_field, "kind", "ref");
    json_object_set_array_member(plan->account_field, "to", accounts);
    while (plan->next_deletion < file->items->len &&
           !((CtlItem *)g_ptr_array_index(file->items, plan->next_deletion))->is_delete)
        plan->next_deletion++;
    return plan;
}

void
ctl_plan_free(CtlPlan *plan)
{
    if (plan == NULL)
        return;
    json_array_unref(plan->operations);
    json_object_unref(plan->account_field);
    g_ptr_array_unref(plan->operation_items);
    g_hash_table_unref(plan->references);
    g_queue_clear_full(&plan->deferred, leftover_free);
    g_queue_clear_full(&plan->permissions, leftover_free);
    g_free(plan);
}

const CtlPlanCounts *
ctl_plan_counts(const CtlPlan *plan)
{
    return &plan->counts;
}

unsigned
ctl_plan_operation_count(const CtlPlan *plan)
{
    return json_array_get_length(plan->operations);
}

bool
ctl_plan_items(CtlPlan *plan, unsigned *next, unsigned most, bool *needs_send, GError **error)
{
    *needs_send = false;
    for (; *next < plan->file->items->len && json_array_get_length(plan->operations) < most; (*next)++) {
        CtlItem *item = g_ptr_array_index(plan->file->items, *next);
        if (item->is_delete)
            continue;
        if (!item->is_resolved && !ctl_plan_prefetch(plan, *next, error))
            return false;
        if (!ctl_plan_item(plan, item, needs_send, error)) {
            ctl_item_prefix_error(item, error);
            return false;
        }
        if (*needs_send) {
            forget_absent(plan, *next);
            return true;
        }
    }
    return true;
}

/* A tenant brings folders along: what was not there before has to be asked for again. */
static void
forget_absent(CtlPlan *plan, unsigned begin)
{
    g_hash_table_remove_all(plan->references);
    for (unsigned i = begin; i < plan->file->items->len; i++) {
        CtlItem *item = g_ptr_array_index(plan->file->items, i);
        item->is_resolved = item->is_resolved && item->present != NULL;
    }
}

bool
ctl_plan_rest(CtlPlan *plan, unsigned most, bool *more, GError **error)
{
    bool fine = true;
    while (fine && json_array_get_length(plan->operations) < most) {
        CtlLeftover *leftover = g_queue_pop_head(&plan->deferred);
        bool is_deferred = leftover != NULL;
        if (leftover == NULL)
            leftover = g_queue_pop_head(&plan->permissions);
        CtlItem *item = leftover != NULL ? leftover->item : NULL;
        if (leftover == NULL && plan->next_deletion < plan->file->items->len)
            item = g_ptr_array_index(plan->file->items, plan->next_deletion++);
        if (item == NULL)
            break;
        fine = is_deferred        ? ctl_plan_deferred(plan, leftover, error)
               : leftover != NULL ? ctl_plan_permissions(plan, leftover, error)
                                  : ctl_plan_deletion(plan, item, error);
        if (!fine)
            ctl_item_prefix_error(item, error);
        if (leftover != NULL)
            leftover_free(leftover);
    }
    *more = plan->deferred.length > 0 || plan->permissions.length > 0 ||
            plan->next_deletion < plan->file->items->len;
    return fine;
}

JsonObject *
ctl_plan_send(CtlPlan *plan, bool dry_run, GError **error)
{
    JsonObject *params = json_object_new();
    json_object_set_array_member(params, "operations", json_array_ref(plan->operations));
    if (dry_run)
        json_object_set_boolean_member(params, "dryRun", TRUE);
    g_autoptr(GError) fault = NULL;
    g_autoptr(JsonObject) answer = ctl_request(plan->ctl, "transaction", params, &fault);
    if (answer == NULL) {
        JsonNode *data = confc_error_get_data(fault);
        gint64 index = data != NULL && JSON_NODE_HOLDS_OBJECT(data)
                           ? confc_json_integer(json_node_get_object(data), "operation", -1)
                           : -1;
        if (index >= 0 && index < plan->operation_items->len)
            ctl_item_prefix_error(g_ptr_array_index(plan->operation_items, (guint)index), &fault);
        g_propagate_error(error, g_steal_pointer(&fault));
        return NULL;
    }
    JsonArray *results = confc_json_array(answer, "results");
    for (unsigned i = 0; i < plan->operation_items->len; i++) {
        CtlItem *item = g_ptr_array_index(plan->operation_items, i);
        if (item->operation != (int)i)
            continue;
        item->operation = -1;
        item->dbid = results != NULL && i < json_array_get_length(results)
                         ? confc_json_integer(ctl_array_object(results, i), "dbid", 0)
                         : 0;
    }
    json_array_unref(plan->operations);
    plan->operations = json_array_new();
    g_ptr_array_set_size(plan->operation_items, 0);
    plan->makes_tenant = false;
    return g_steal_pointer(&answer);
}

void
ctl_plan_defer(GQueue *queue, CtlItem *item, const char *name, JsonNode *value)
{
    CtlLeftover *last = g_queue_peek_tail(queue);
    if (last == NULL || last->item != item) {
        last = g_new0(CtlLeftover, 1);
        last->item = item;
        last->members = json_object_new();
        g_queue_push_tail(queue, last);
    }
    json_object_set_member(last->members, name, json_node_copy(value));
}

JsonNode *
ctl_plan_number_of(const CtlItem *item)
{
    if (item->operation < 0)
        return ctl_node_integer(item->dbid);
    JsonObject *created = json_object_new();
    json_object_set_int_member(created, "$created", item->operation);
    return ctl_node_object(created);
}

JsonObject *
ctl_plan_add_operation(CtlPlan *plan, CtlItem *item, const char *op)
{
    JsonObject *operation = json_object_new();
    json_object_set_string_member(operation, "op", op);
    if (strcmp(op, "create") != 0) {
        json_object_set_string_member(operation, "type", item->type);
        json_object_set_member(operation, "dbid", ctl_plan_number_of(item));
    }
    json_array_add_object_element(plan->operations, operation);
    g_ptr_array_add(plan->operation_items, item);
    return operation;
}

void
ctl_plan_show(CtlPlan *plan, const CtlItem *item, char sign, const char *what)
{
    if (!plan->show)
        return;
    if (plan->ctl->json) {
        g_autoptr(JsonObject) step = json_object_new();
        json_object_set_string_member(step, "action",
                                      what != NULL  ? what
                                      : sign == '+' ? "create"
                                      : sign == '-' ? "delete"
                                                    : "update");
        json_object_set_string_member(step, "type", item->type);
        json_object_set_string_member(step, "path", item->path);
        ctl_print_json(step);
        return;
    }
    CtlStyle style = sign == '+' ? CTL_GREEN : sign == '-' ? CTL_RED : CTL_YELLOW;
    ctl_print_styled(plan->ctl, style, "%c %s %s%s%s", sign, item->type, item->path, what != NULL ? " " : "",
                     what != NULL ? what : "");
}

bool
ctl_plan_show_update(CtlPlan *plan, const CtlItem *item, JsonObject *shown, GError **error)
{
    ctl_plan_show(plan, item, '~', NULL);
    if (!plan->show || plan->ctl->json)
        return true;
    g_autoptr(JsonArray) one = json_array_new();
    json_array_add_object_element(one, json_object_ref(item->present));
    if (!ctl_place_want_objects(plan->ctl, one, error))
        return false;
    JsonObject *type = ctl_type(plan->ctl, item->type, error);
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, shown);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        JsonNode *present = json_object_get_member(item->present, name);
        g_autoptr(JsonNode) before =
            present != NULL ? ctl_value_from_wire(plan->ctl, ctl_field(type, name), present) : NULL;
        ctl_difference_print(name, before, value);
    }
    return true;
}

static void
leftover_free(void *data)
{
    CtlLeftover *leftover = data;
    json_object_unref(leftover->members);
    g_free(leftover);
}
