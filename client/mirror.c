/* mirror.c - objects as the server last told them, by type and dbid.  An object is never changed in place:
 * an update makes a new one that shares what stayed the same, so whoever holds the old one may keep it. */
#include "client-private.h"

#include <string.h>

typedef struct {
    gint64 dbid;
    char *type;
} Key;

struct ConfcMirror {
    GHashTable *objects; /* Key → JsonObject */
};

static guint key_hash(const void *data);
static gboolean key_equal(const void *a, const void *b);
static void key_free(void *data);
static JsonObject *copy_shallow(JsonObject *object);
static JsonNode *merge(JsonNode *target, JsonNode *patch);
static JsonObject *find_field(JsonObject *schema, const char *type, const char *name);
static void edit_lists(JsonObject *object, JsonObject *schema, JsonObject *lists, bool is_add);
static JsonArray *edit_list(JsonArray *list, JsonArray *items, const char *key, bool is_add);
static int find_item(GPtrArray *list, JsonNode *item, const char *key);
static int compare_objects(const void *a, const void *b);

ConfcMirror *
confc_mirror_new(void)
{
    ConfcMirror *mirror = g_new0(ConfcMirror, 1);
    mirror->objects = g_hash_table_new_full(key_hash, key_equal, key_free, (GDestroyNotify)json_object_unref);
    return mirror;
}

void
confc_mirror_free(ConfcMirror *mirror)
{
    if (mirror == NULL)
        return;
    g_hash_table_unref(mirror->objects);
    g_free(mirror);
}

void
confc_mirror_clear(ConfcMirror *mirror)
{
    g_hash_table_remove_all(mirror->objects);
}

void
confc_mirror_put(ConfcMirror *mirror, JsonObject *object)
{
    const char *type = confc_json_string(object, "type");
    gint64 dbid = confc_json_integer(object, "dbid", 0);
    if (type == NULL || dbid <= 0)
        return;
    JsonObject *present = confc_mirror_lookup(mirror, type, dbid);
    if (present != NULL &&
        confc_json_integer(present, "revision", 0) > confc_json_integer(object, "revision", 0))
        return;
    Key *key = g_new(Key, 1);
    *key = (Key){.dbid = dbid, .type = g_strdup(type)};
    g_hash_table_replace(mirror->objects, key, json_object_ref(object));
}

bool
confc_mirror_apply(ConfcMirror *mirror, JsonObject *schema, gint64 revision, JsonObject *change)
{
    const char *op = confc_json_string(change, "op"), *type = confc_json_string(change, "type");
    gint64 dbid = confc_json_integer(change, "dbid", 0);
    JsonObject *object = confc_json_object(change, "object");
    if (op == NULL || type == NULL)
        return true;
    if (g_str_equal(op, "create") && object != NULL) {
        confc_mirror_put(mirror, object);
        return true;
    }
    if (g_str_equal(op, "delete")) {
        Key key = {.dbid = dbid, .type = (char *)type};
        g_hash_table_remove(mirror->objects, &key);
        return true;
    }
    if (!g_str_equal(op, "update"))
        return true;
    JsonObject *present = confc_mirror_lookup(mirror, type, dbid);
    if (present == NULL)
        return false;
    /* Streamed after this commit: it is in there already. */
    if (revision <= confc_json_integer(present, "revision", 0))
        return true;
    g_autoptr(JsonObject) after = confc_mirror_update(present, schema, revision, change);
    confc_mirror_put(mirror, after);
    return true;
}

JsonObject *
confc_mirror_lookup(ConfcMirror *mirror, const char *type, gint64 dbid)
{
    Key key = {.dbid = dbid, .type = (char *)type};
    return g_hash_table_lookup(mirror->objects, &key);
}

guint
confc_mirror_count(ConfcMirror *mirror)
{
    return g_hash_table_size(mirror->objects);
}

GPtrArray *
confc_mirror_list(ConfcMirror *mirror)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);
    GHashTableIter iter;
    void *object;
    g_hash_table_iter_init(&iter, mirror->objects);
    while (g_hash_table_iter_next(&iter, NULL, &object))
        g_ptr_array_add(list, json_object_ref(object));
    g_ptr_array_sort(list, compare_objects);
    return list;
}

JsonObject *
confc_mirror_update(JsonObject *before, JsonObject *schema, gint64 revision, JsonObject *change)
{
    JsonObject *after = copy_shallow(before);
    JsonObject *patch = confc_json_object(change, "patch");
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    if (patch != NULL)
        json_object_iter_init_ordered(&iter, patch);
    while (patch != NULL && json_object_iter_next_ordered(&iter, &name, &value)) {
        g_autoptr(JsonNode) merged = merge(json_object_get_member(after, name), value);
        bool is_empty =
            merged == NULL ||
            (JSON_NODE_HOLDS_OBJECT(merged) && json_object_get_size(json_node_get_object(merged)) == 0) ||
            (JSON_NODE_HOLDS_ARRAY(merged) && json_array_get_length(json_node_get_array(merged)) == 0);
        /* An empty list and an empty map of sections are unset. */
        if (is_empty)
            json_object_remove_member(after, name);
        else
            json_object_set_member(after, name, g_steal_pointer(&merged));
    }
    edit_lists(after, schema, confc_json_object(change, "add"), true);
    edit_lists(after, schema, confc_json_object(change, "remove"), false);
    json_object_set_int_member(after, "revision", revision);
    return after;
}

static guint
key_hash(const void *data)
{
    const Key *key = data;
    return g_str_hash(key->type) ^ g_int64_hash(&key->dbid);
}

static gboolean
key_equal(const void *a, const void *b)
{
    const Key *left = a, *right = b;
    return left->dbid == right->dbid && g_str_equal(left->type, right->type);
}

static void
key_free(void *data)
{
    g_free(((Key *)data)->type);
    g_free(data);
}

/* Members are shared: none of them is ever changed. */
static JsonObject *
copy_shallow(JsonObject *object)
{
    JsonObject *copy = json_object_new();
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, object);
    while (json_object_iter_next_ordered(&iter, &name, &value))
        json_object_set_member(copy, name, json_node_ref(value));
    return copy;
}

/* RFC 7396.  NULL: unset.  The depth is that of a line, which is bounded. */
static JsonNode *
merge(JsonNode *target, JsonNode *patch)
{
    if (JSON_NODE_HOLDS_NULL(patch))
        return NULL;
    if (!JSON_NODE_HOLDS_OBJECT(patch))
        return json_node_ref(patch);
    bool is_object = target != NULL && JSON_NODE_HOLDS_OBJECT(target);
    g_autoptr(JsonObject) result = is_object ? copy_shallow(json_node_get_object(target)) : json_object_new();
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, json_node_get_object(patch));
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        g_autoptr(JsonNode) merged = merge(json_object_get_member(result, name), value);
        if (merged != NULL)
            json_object_set_member(result, name, g_steal_pointer(&merged));
        else
            json_object_remove_member(result, name);
    }
    return json_node_init_object(json_node_alloc(), result);
}

static JsonObject *
find_named(JsonArray *array, const char *member, const char *name)
{
    for (guint i = 0; array != NULL && i < json_array_get_length(array); i++) {
        JsonNode *node = json_array_get_element(array, i);
        JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
        if (g_strcmp0(confc_json_string(object, member), name) == 0)
            return object;
    }
    return NULL;
}

static JsonObject *
find_field(JsonObject *schema, const char *type, const char *name)
{
    JsonObject *found = find_named(confc_json_array(schema, "types"), "type", type);
    return found != NULL ? find_named(confc_json_array(found, "fields"), "name", name) : NULL;
}

static void
edit_lists(JsonObject *object, JsonObject *schema, JsonObject *lists, bool is_add)
{
    if (lists == NULL)
        return;
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, lists);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        if (!JSON_NODE_HOLDS_ARRAY(value))
            continue;
        const char *key =
            confc_json_string(find_field(schema, confc_json_string(object, "type"), name), "key");
        JsonArray *edited =
            edit_list(confc_json_array(object, name), json_node_get_array(value), key, is_add);
        if (json_array_get_length(edited) > 0) {
            json_object_set_array_member(object, name, edited);
        } else {
            json_array_unref(edited);
            json_object_remove_member(object, name);
        }
    }
}

static JsonArray *
edit_list(JsonArray *list, JsonArray *items, const char *key, bool is_add)
{
    g_autoptr(GPtrArray) nodes = g_ptr_array_new();
    for (guint i = 0; list != NULL && i < json_array_get_length(list); i++)
        g_ptr_array_add(nodes, json_array_get_element(list, i));
    for (guint i = 0; i < json_array_get_length(items); i++) {
        JsonNode *item = json_array_get_element(items, i);
        int found = find_item(nodes, item, key);
        if (is_add && found < 0)
            g_ptr_array_add(nodes, item);
        else if (is_add)
            g_ptr_array_index(nodes, found) = item;
        else if (found >= 0)
            g_ptr_array_remove_index(nodes, (guint)found);
    }
    JsonArray *edited = json_array_sized_new(nodes->len);
    for (guint i = 0; i < nodes->len; i++)
        json_array_add_element(edited, json_node_ref(g_ptr_array_index(nodes, i)));
    return edited;
}

/* Structs are known by their key, which may be all that is given. */
static int
find_item(GPtrArray *list, JsonNode *item, const char *key)
{
    JsonNode *wanted = item;
    if (key != NULL && JSON_NODE_HOLDS_OBJECT(item) &&
        json_object_has_member(json_node_get_object(item), key))
        wanted = json_object_get_member(json_node_get_object(item), key);
    for (guint i = 0; i < list->len; i++) {
        JsonNode *node = g_ptr_array_index(list, i);
        if (key != NULL && JSON_NODE_HOLDS_OBJECT(node))
            node = json_object_get_member(json_node_get_object(node), key);
        if (node != NULL && json_node_equal(node, wanted))
            return (int)i;
    }
    return -1;
}

static int
compare_objects(const void *a, const void *b)
{
    JsonObject *left = *(JsonObject *const *)a, *right = *(JsonObject *const *)b;
    int order = strcmp(confc_json_string(left, "type"), confc_json_string(right, "type"));
    gint64 x = confc_json_integer(left, "dbid", 0), y = confc_json_integer(right, "dbid", 0);
    return order != 0 ? order : x < y ? -1 : x > y;
}
