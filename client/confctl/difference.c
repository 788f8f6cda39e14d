/* difference.c - what has to change in a member so that it becomes what the file says. */
#include "plan.h"

static JsonNode *merge_patch(JsonObject *present, JsonObject *wanted);

static bool
is_unset(JsonNode *node)
{
    return node == NULL || JSON_NODE_HOLDS_NULL(node) ||
           (JSON_NODE_HOLDS_ARRAY(node) && json_array_get_length(json_node_get_array(node)) == 0) ||
           (JSON_NODE_HOLDS_OBJECT(node) && json_object_get_size(json_node_get_object(node)) == 0);
}

JsonNode *
ctl_difference(JsonObject *field, JsonNode *present, JsonNode *wanted)
{
    if (is_unset(present) && is_unset(wanted))
        return NULL;
    if (is_unset(wanted))
        return json_node_init_null(json_node_alloc());
    if (present != NULL && json_node_equal(present, wanted))
        return NULL;
    /* References of several types are objects too, but go as a whole. */
    bool merges = ctl_field_is(field, "sections") || ctl_field_is(field, "struct");
    if (merges && !is_unset(present) && JSON_NODE_HOLDS_OBJECT(present) && JSON_NODE_HOLDS_OBJECT(wanted))
        return merge_patch(json_node_get_object(present), json_node_get_object(wanted));
    return json_node_copy(wanted);
}

/* A struct is merged member by member, a map of sections key by key: what is not in the file goes. */
static JsonNode *
merge_patch(JsonObject *present, JsonObject *wanted)
{
    JsonObject *patch = json_object_new();
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, present);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        if (!json_object_has_member(wanted, name))
            json_object_set_null_member(patch, name);
    }
    json_object_iter_init_ordered(&iter, wanted);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        JsonNode *before = json_object_get_member(present, name);
        if (before != NULL && json_node_equal(before, value))
            continue;
        bool are_sections = before != NULL && JSON_NODE_HOLDS_OBJECT(before) &&
                            JSON_NODE_HOLDS_OBJECT(value) &&
                            !json_object_has_member(json_node_get_object(value), "dbid");
        /* Two levels at most: sections, keys. */
        json_object_set_member(patch, name,
                               are_sections
                                   ? merge_patch(json_node_get_object(before), json_node_get_object(value))
                                   : json_node_copy(value));
    }
    return ctl_node_object(patch);
}

void
ctl_difference_print(const char *path, JsonNode *present, JsonNode *patch)
{
    if (JSON_NODE_HOLDS_OBJECT(patch) && present != NULL && JSON_NODE_HOLDS_OBJECT(present) &&
        !json_object_has_member(json_node_get_object(patch), "dbid")) {
        JsonObjectIter iter;
        const char *name;
        JsonNode *value;
        json_object_iter_init_ordered(&iter, json_node_get_object(patch));
        while (json_object_iter_next_ordered(&iter, &name, &value)) {
            g_autofree char *step = ctl_path_join("/", name);
            g_autofree char *inner = g_strconcat(path, step, NULL);
            ctl_difference_print(inner, json_object_get_member(json_node_get_object(present), name), value);
        }
        return;
    }
    g_autofree char *before = present != NULL ? json_to_string(present, FALSE) : g_strdup("(unset)");
    g_autofree char *after = JSON_NODE_HOLDS_NULL(patch) ? g_strdup("(unset)") : json_to_string(patch, FALSE);
    ctl_print("    %s: %s -> %s", path, before, after);
}
