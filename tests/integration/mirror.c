/* mirror.c - see mirror.h. */
#include "mirror.h"

#include <string.h>

static void apply_change(Mirror *mirror, JsonObject *change, int64_t revision);
static void merge(JsonObject *target, JsonObject *patch);
static void add_members(JsonObject *target, JsonObject *lists);
static void remove_members(JsonObject *target, JsonObject *lists);
static bool same_item(JsonNode *a, JsonNode *b);
static JsonNode *sorted_copy(JsonNode *node);
static char *canonical(JsonNode *node);

Mirror *
mirror_new(void)
{
    Mirror *mirror = g_new0(Mirror, 1);
    mirror->objects = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)json_node_unref);
    return mirror;
}

void
mirror_free(Mirror *mirror)
{
    if (mirror == NULL)
        return;
    g_hash_table_unref(mirror->objects);
    g_free(mirror);
}

static char *
key_of(JsonObject *object)
{
    return g_strdup_printf("%s/%" G_GINT64_FORMAT, json_object_get_string_member(object, "type"),
                           json_object_get_int_member(object, "dbid"));
}

static void
set_object(Mirror *mirror, JsonNode *node)
{
    JsonObject *object = json_node_get_object(node);
    char *key = key_of(object);
    JsonNode *known = g_hash_table_lookup(mirror->objects, key);
    if (known != NULL && json_object_get_int_member(json_node_get_object(known), "revision") >
                             json_object_get_int_member(object, "revision")) {
        g_free(key);
        return;
    }
    g_hash_table_insert(mirror->objects, key, json_node_copy(node));
}

void
mirror_take(Mirror *mirror, const char *method, JsonObject *params)
{
    if (strcmp(method, "subscription.objects") == 0) {
        JsonArray *objects = json_object_get_array_member(params, "objects");
        for (unsigned i = 0; i < json_array_get_length(objects); i++)
            set_object(mirror, json_array_get_element(objects, i));
    } else if (strcmp(method, "subscription.loaded") == 0) {
        mirror->loaded = true;
        mirror->revision = MAX(mirror->revision, json_object_get_int_member(params, "revision"));
    } else if (strcmp(method, "subscription.reset") == 0) {
        g_hash_table_remove_all(mirror->objects);
        mirror->loaded = false;
        mirror->resets++;
        mirror->revision = json_object_get_int_member(params, "revision");
    } else if (strcmp(method, "changes") == 0) {
        int64_t revision = json_object_get_int_member(params, "revision");
        JsonArray *changes = json_object_get_array_member(params, "changes");
        g_assert_cmpint(revision, >=, mirror->revision); /* never a step back */
        for (unsigned i = 0; i < json_array_get_length(changes); i++)
            apply_change(mirror, json_array_get_object_element(changes, i), revision);
        mirror->revision = revision;
        mirror->applied++;
    }
}

void
mirror_follow(Mirror *mirror, TestClient *client)
{
    do {
        const char *method = NULL;
        JsonObject *params;
        test_sync(client);
        while ((params = test_take_notification(client, &method)) != NULL)
            mirror_take(mirror, method, params);
    } while (!mirror->loaded);
}

void
mirror_compare(Mirror *mirror, TestClient *client, const char *when)
{
    g_autofree char *cursor = NULL;
    unsigned count = 0;
    do {
        g_autofree char *params =
            cursor != NULL ? g_strdup_printf("{'cursor':'%s'}", cursor) : g_strdup("{}");
        JsonObject *page = test_call(client, "object.list", "%s", params);
        g_free(cursor);
        cursor = g_strdup(json_object_get_string_member_with_default(page, "cursor", NULL));
        JsonArray *objects = json_object_get_array_member(page, "objects");
        for (unsigned i = 0; i < json_array_get_length(objects); i++) {
            JsonNode *fresh = json_array_get_element(objects, i);
            g_autofree char *key = key_of(json_node_get_object(fresh));
            JsonNode *known = g_hash_table_lookup(mirror->objects, key);
            if (known == NULL)
                g_error("%s: the mirror lacks %s", when, key);
            g_autofree char *a = canonical(known), *b = canonical(fresh);
            if (strcmp(a, b) != 0)
                g_error("%s: %s differs\nmirror: %s\nserver: %s", when, key, a, b);
            count++;
        }
    } while (cursor != NULL);
    if (count != g_hash_table_size(mirror->objects)) {
        g_autoptr(GList) keys = g_hash_table_get_keys(mirror->objects);
        for (GList *link = keys; link != NULL; link = link->next)
            g_printerr("mirror has %s\n", (char *)link->data);
        g_error("%s: the mirror has %u objects, the server shows %u", when,
                g_hash_table_size(mirror->objects), count);
    }
}

static void
apply_change(Mirror *mirror, JsonObject *change, int64_t revision)
{
    const char *op = json_object_get_string_member(change, "op");
    g_autofree char *key = key_of(change);
    if (strcmp(op, "create") == 0) {
        set_object(mirror, json_object_get_member(change, "object"));
        return;
    }
    if (strcmp(op, "delete") == 0) {
        g_hash_table_remove(mirror->objects, key);
        return;
    }
    JsonNode *known = g_hash_table_lookup(mirror->objects, key);
    if (known == NULL) {
        g_assert_false(mirror->loaded); /* it comes with the walk */
        return;
    }
    JsonObject *object = json_node_get_object(known);
    if (json_object_get_int_member(object, "revision") >= revision)
        return;
    if (json_object_has_member(change, "patch"))
        merge(object, json_object_get_object_member(change, "patch"));
    if (json_object_has_member(change, "remove"))
        remove_members(object, json_object_get_object_member(change, "remove"));
    if (json_object_has_member(change, "add"))
        add_members(object, json_object_get_object_member(change, "add"));
    json_object_set_int_member(object, "revision", revision);
}

/* RFC 7396; a map that becomes empty is unset, as the server has it. */
static void
merge(JsonObject *target, JsonObject *patch)
{
    g_autoptr(GList) members = json_object_get_members(patch);
    for (GList *link = members; link != NULL; link = link->next) {
        const char *name = link->data;
        JsonNode *value = json_object_get_member(patch, name);
        if (JSON_NODE_HOLDS_NULL(value)) {
            json_object_remove_member(target, name);
        } else if (JSON_NODE_HOLDS_OBJECT(value)) {
            JsonNode *present = json_object_get_member(target, name);
            if (present == NULL || !JSON_NODE_HOLDS_OBJECT(present))
                json_object_set_object_member(target, name, json_object_new());
            merge(json_object_get_object_member(target, name), json_node_get_object(value));
        } else {
            json_object_set_member(target, name, json_node_copy(value));
        }
    }
}

static void
remove_members(JsonObject *target, JsonObject *lists)
{
    g_autoptr(GList) members = json_object_get_members(lists);
    for (GList *link = members; link != NULL; link = link->next) {
        JsonArray *gone = json_object_get_array_member(lists, link->data);
        JsonArray *present = json_object_has_member(target, link->data)
                                 ? json_object_get_array_member(target, link->data)
                                 : NULL;
        for (unsigned i = 0; present != NULL && i < json_array_get_length(gone); i++) {
            for (unsigned k = json_array_get_length(present); k > 0; k--) {
                if (same_item(json_array_get_element(present, k - 1), json_array_get_element(gone, i)))
                    json_array_remove_element(present, k - 1);
            }
        }
        if (present != NULL && json_array_get_length(present) == 0)
            json_object_remove_member(target, link->data);
    }
}

static void
add_members(JsonObject *target, JsonObject *lists)
{
    g_autoptr(GList) members = json_object_get_members(lists);
    for (GList *link = members; link != NULL; link = link->next) {
        JsonArray *given = json_object_get_array_member(lists, link->data);
        JsonArray *whole = json_array_new();
        JsonArray *present = json_object_has_member(target, link->data)
                                 ? json_object_get_array_member(target, link->data)
                                 : NULL;
        g_autoptr(GHashTable) used = g_hash_table_new(NULL, NULL);
        for (unsigned k = 0; present != NULL && k < json_array_get_length(present); k++) {
            JsonNode *kept = json_array_get_element(present, k);
            for (unsigned i = 0; i < json_array_get_length(given); i++) {
                if (same_item(kept, json_array_get_element(given, i))) {
                    kept = json_array_get_element(given, i);
                    g_hash_table_add(used, kept);
                    break;
                }
            }
            json_array_add_element(whole, json_node_copy(kept));
        }
        for (unsigned i = 0; i < json_array_get_length(given); i++) {
            if (!g_hash_table_contains(used, json_array_get_element(given, i)))
                json_array_add_element(whole, json_node_copy(json_array_get_element(given, i)));
        }
        json_object_set_array_member(target, link->data, whole);
    }
}

/* The same member of a set, or the same key of a list of structs ("id" of ports, "server" of connections),
 * or a key given alone. */
static bool
same_item(JsonNode *a, JsonNode *b)
{
    static const char *const keys[] = {"id", "server", "application"};
    if (JSON_NODE_HOLDS_OBJECT(a)) {
        for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
            JsonObject *item = json_node_get_object(a);
            if (!json_object_has_member(item, keys[i]))
                continue;
            JsonNode *other =
                JSON_NODE_HOLDS_OBJECT(b) ? json_object_get_member(json_node_get_object(b), keys[i]) : b;
            return other != NULL && json_node_equal(json_object_get_member(item, keys[i]), other);
        }
    }
    return json_node_equal(a, b);
}

static int
compare_strings(const void *a, const void *b)
{
    return strcmp(a, b);
}

static JsonNode *
sorted_copy(JsonNode *node)
{
    if (!JSON_NODE_HOLDS_OBJECT(node))
        return json_node_copy(node);
    JsonObject *object = json_node_get_object(node), *sorted = json_object_new();
    GList *members = g_list_sort(json_object_get_members(object), compare_strings);
    for (GList *link = members; link != NULL; link = link->next)
        json_object_set_member(sorted, link->data, sorted_copy(json_object_get_member(object, link->data)));
    g_list_free(members);
    JsonNode *copy = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(copy, sorted);
    return copy;
}

static char *
canonical(JsonNode *node)
{
    g_autoptr(JsonNode) copy = sorted_copy(node);
    return json_to_string(copy, FALSE);
}
