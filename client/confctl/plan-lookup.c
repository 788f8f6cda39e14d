/* plan-lookup.c - what the server has already: the objects of the file, and what they refer to. */
#include "plan-private.h"

enum { PREFETCH = 1000 };

typedef struct {
    char *type; /* NULL: nothing is there */
    gint64 dbid;
} Referenced;

typedef struct {
    CtlPlan *plan;
    GPtrArray *items;
    GPtrArray *texts;
} Prefetch;

static bool ask_items(Prefetch *batch, unsigned begin, GError **error);
static bool ask_references(Prefetch *batch, GError **error);
static bool take_present(unsigned index, JsonObject *result, const GError *failure, void *data,
                         GError **error);
static void note_text(JsonObject *field, const char *text, void *data);
static bool take_referenced(unsigned index, JsonObject *result, const GError *failure, void *data,
                            GError **error);
static JsonNode *resolve(JsonObject *field, const char *text, void *data, GError **error);
static JsonNode *reference_to_item(const CtlItem *item, bool is_plain);
static JsonNode *ask_reference(CtlPlan *plan, JsonObject *field, const char *path, GError **error);
static void referenced_free(void *data);

GHashTable *
ctl_plan_references_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, referenced_free);
}

bool
ctl_plan_prefetch(CtlPlan *plan, unsigned begin, GError **error)
{
    Prefetch batch = {
        .plan = plan, .items = g_ptr_array_new(), .texts = g_ptr_array_new_with_free_func(g_free)};
    bool fine = ask_items(&batch, begin, error) && ask_references(&batch, error);
    g_ptr_array_unref(batch.items);
    g_ptr_array_unref(batch.texts);
    return fine;
}

JsonNode *
ctl_plan_convert(CtlPlan *plan, JsonObject *field, const char *name, JsonNode *value, GError **error)
{
    plan->is_unresolved = false;
    JsonNode *wire = ctl_value_to_wire(field, value, resolve, plan, error);
    if (wire == NULL)
        g_prefix_error(error, "%s: ", name);
    return wire;
}

bool
ctl_plan_is_missing(const GError *failure)
{
    return g_error_matches(failure, CONFC_ERROR, CONFC_ERROR_NOT_FOUND);
}

static bool
ask_items(Prefetch *batch, unsigned begin, GError **error)
{
    CtlPlan *plan = batch->plan;
    g_autoptr(GPtrArray) questions = g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);
    for (unsigned i = begin; i < plan->file->items->len && batch->items->len < PREFETCH; i++) {
        CtlItem *item = g_ptr_array_index(plan->file->items, i);
        if (item->is_resolved || item->is_delete)
            continue;
        g_autoptr(JsonObject) members = ctl_item_parse(item, error);
        if (members == NULL)
            return false;
        JsonObject *params = json_object_new();
        json_object_set_string_member(params, "path", item->path);
        g_ptr_array_add(questions, params);
        g_ptr_array_add(batch->items, item);
        ctl_members_foreach_reference(ctl_type(plan->ctl, item->type, NULL), members, note_text, batch);
    }
    return ctl_request_many(plan->ctl, "object.read", questions, take_present, batch, error);
}

static bool
ask_references(Prefetch *batch, GError **error)
{
    g_autoptr(GPtrArray) questions = g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);
    for (unsigned i = 0; i < batch->texts->len; i++) {
        JsonObject *params = json_object_new();
        JsonArray *fields = json_array_new();
        json_array_add_string_element(fields, "name");
        json_object_set_string_member(params, "path", g_ptr_array_index(batch->texts, i));
        json_object_set_array_member(params, "fields", fields);
        g_ptr_array_add(questions, params);
    }
    return ctl_request_many(batch->plan->ctl, "object.read", questions, take_referenced, batch, error);
}

static bool
take_present(unsigned index, JsonObject *result, const GError *failure, void *data, GError **error)
{
    CtlItem *item = g_ptr_array_index(((Prefetch *)data)->items, index);
    JsonObject *object = confc_json_object(result, "object");
    if (failure != NULL && !ctl_plan_is_missing(failure)) {
        g_propagate_error(error, g_error_copy(failure));
        ctl_item_prefix_error(item, error);
        return false;
    }
    item->is_resolved = true;
    /* Something else of the same name: looked for by itself when its turn comes. */
    if (object != NULL && g_strcmp0(confc_json_string(object, "type"), item->type) != 0)
        item->is_hidden = true;
    else if (object != NULL)
        item->present = json_object_ref(object);
    item->dbid = item->present != NULL ? confc_json_integer(object, "dbid", 0) : 0;
    return true;
}

static void
note_text(JsonObject *field, const char *text, void *data)
{
    Prefetch *batch = data;
    CtlItem *item = ctl_file_lookup_any(batch->plan->file, ctl_field_targets(field), text);
    bool is_known = item != NULL && (item->dbid != 0 || item->operation >= 0);
    if (text[0] != '/' || is_known || g_hash_table_contains(batch->plan->references, text))
        return;
    g_hash_table_insert(batch->plan->references, g_strdup(text), g_new0(Referenced, 1));
    g_ptr_array_add(batch->texts, g_strdup(text));
}

static bool
take_referenced(unsigned index, JsonObject *result, const GError *failure, void *data, GError **error)
{
    Prefetch *batch = data;
    JsonObject *object = confc_json_object(result, "object");
    if (failure != NULL && !ctl_plan_is_missing(failure)) {
        g_propagate_error(error, g_error_copy(failure));
        g_prefix_error(error, "%s: ", (const char *)g_ptr_array_index(batch->texts, index));
        return false;
    }
    Referenced *referenced =
        g_hash_table_lookup(batch->plan->references, g_ptr_array_index(batch->texts, index));
    referenced->type = g_strdup(confc_json_string(object, "type"));
    referenced->dbid = confc_json_integer(object, "dbid", 0);
    return true;
}

static JsonNode *
resolve(JsonObject *field, const char *text, void *data, GError **error)
{
    CtlPlan *plan = data;
    JsonArray *targets = ctl_field_targets(field);
    g_autofree char *normal = g_utf8_normalize(text, -1, G_NORMALIZE_NFC);
    const char *path = normal != NULL ? normal : text;
    CtlItem *item = ctl_file_lookup_any(plan->file, targets, path);
    if (item != NULL && (item->dbid != 0 || item->operation >= 0))
        return reference_to_item(item, json_array_get_length(targets) == 1);
    const Referenced *referenced = g_hash_table_lookup(plan->references, path);
    bool is_absent = referenced != NULL && referenced->type == NULL;
    if (is_absent && item != NULL && !item->is_delete) {
        plan->is_unresolved = true;
        return json_node_init_null(json_node_alloc());
    }
    if (is_absent) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_REFUSED, "there is nothing at %s", path);
        return NULL;
    }
    for (unsigned i = 0; referenced != NULL && i < json_array_get_length(targets); i++) {
        if (g_strcmp0(json_array_get_string_element(targets, i), referenced->type) != 0)
            continue;
        return json_array_get_length(targets) > 1
                   ? ctl_node_object(ctl_reference(referenced->type, referenced->dbid))
                   : ctl_node_integer(referenced->dbid);
    }
    return ask_reference(plan, field, path, error);
}

static JsonNode *
reference_to_item(const CtlItem *item, bool is_plain)
{
    if (is_plain)
        return ctl_plan_number_of(item);
    JsonObject *reference = json_object_new();
    json_object_set_string_member(reference, "type", item->type);
    json_object_set_member(reference, "dbid", ctl_plan_number_of(item));
    return ctl_node_object(reference);
}

/* By type and number, hidden behind something else of the same name, or of a list of rights. */
static JsonNode *
ask_reference(CtlPlan *plan, JsonObject *field, const char *path, GError **error)
{
    JsonArray *targets = ctl_field_targets(field);
    g_autofree char *type = NULL;
    gint64 dbid;
    if (!ctl_resolve(plan->ctl, path, targets, &type, &dbid, error))
        return NULL;
    Referenced *referenced = g_new0(Referenced, 1);
    *referenced = (Referenced){.type = g_strdup(type), .dbid = dbid};
    g_hash_table_replace(plan->references, g_strdup(path), referenced);
    return json_array_get_length(targets) > 1 ? ctl_node_object(ctl_reference(type, dbid))
                                              : ctl_node_integer(dbid);
}

static void
referenced_free(void *data)
{
    g_free(((Referenced *)data)->type);
    g_free(data);
}
