/* test-object-random.c - random objects and changes: what a client rebuilds from a difference, by RFC 7396
 * and the words of the protocol alone, is what the server has; what a replica rebuilds is the same to the
 * byte. */
#include <string.h>

#include <json-glib/json-glib.h>

#include "random-value.h"

enum { ROUNDS = 2000 };

static JsonNode *
parse(const char *text, gssize size)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) error = NULL;
    json_parser_load_from_data(parser, text, size, &error);
    g_assert_no_error(error);
    return json_parser_steal_root(parser);
}

/* RFC 7396, word by word. */
static JsonNode *
merge_patch(JsonNode *target, JsonNode *patch)
{
    if (!JSON_NODE_HOLDS_OBJECT(patch))
        return json_node_copy(patch);
    JsonNode *result = json_node_new(JSON_NODE_OBJECT);
    JsonObject *object = json_object_new();
    json_node_take_object(result, object);
    JsonObject *old = target != NULL && JSON_NODE_HOLDS_OBJECT(target) ? json_node_get_object(target) : NULL;
    g_autoptr(GList) old_names = old != NULL ? json_object_get_members(old) : NULL;
    for (GList *l = old_names; l != NULL; l = l->next)
        json_object_set_member(object, l->data, json_node_copy(json_object_get_member(old, l->data)));
    g_autoptr(GList) names = json_object_get_members(json_node_get_object(patch));
    for (GList *l = names; l != NULL; l = l->next) {
        JsonNode *value = json_object_get_member(json_node_get_object(patch), l->data);
        if (JSON_NODE_HOLDS_NULL(value)) {
            if (json_object_has_member(object, l->data))
                json_object_remove_member(object, l->data);
        } else {
            JsonNode *before =
                json_object_has_member(object, l->data) ? json_object_get_member(object, l->data) : NULL;
            json_object_set_member(object, l->data, merge_patch(before, value));
        }
    }
    return result;
}

static bool
same_item(const ConfField *field, JsonNode *item, JsonNode *other, bool is_key)
{
    if (field->key == NULL)
        return json_node_equal(item, other);
    JsonNode *key = json_object_get_member(json_node_get_object(item), field->key->name);
    JsonNode *other_key =
        is_key ? other : json_object_get_member(json_node_get_object(other), field->key->name);
    return json_node_equal(key, other_key);
}

/* What is there stays; of the same key is replaced in place; else at the end. */
static void
add_items(const ConfField *field, JsonObject *object, JsonArray *items)
{
    if (!json_object_has_member(object, field->name))
        json_object_set_array_member(object, field->name, json_array_new());
    g_autoptr(JsonArray) result = json_array_new();
    JsonArray *old = json_object_get_array_member(object, field->name);
    for (unsigned o = 0; o < json_array_get_length(old); o++) {
        JsonNode *item = json_array_get_element(old, o);
        for (unsigned i = 0; i < json_array_get_length(items); i++) {
            if (same_item(field, item, json_array_get_element(items, i), false))
                item = json_array_get_element(items, i);
        }
        json_array_add_element(result, json_node_copy(item));
    }
    for (unsigned i = 0; i < json_array_get_length(items); i++) {
        JsonNode *item = json_array_get_element(items, i);
        bool found = false;
        for (unsigned o = 0; o < json_array_get_length(result); o++)
            found = found || same_item(field, json_array_get_element(result, o), item, false);
        if (!found)
            json_array_add_element(result, json_node_copy(item));
    }
    json_object_set_array_member(object, field->name, g_steal_pointer(&result));
}

static void
remove_items(const ConfField *field, JsonObject *object, JsonArray *items)
{
    g_autoptr(JsonArray) result = json_array_new();
    JsonArray *old = json_object_get_array_member(object, field->name);
    for (unsigned o = 0; o < json_array_get_length(old); o++) {
        JsonNode *item = json_array_get_element(old, o);
        bool found = false;
        for (unsigned i = 0; i < json_array_get_length(items); i++)
            found = found || same_item(field, item, json_array_get_element(items, i), true);
        if (!found)
            json_array_add_element(result, json_node_copy(item));
    }
    if (json_array_get_length(result) == 0)
        json_object_remove_member(object, field->name);
    else
        json_object_set_array_member(object, field->name, g_steal_pointer(&result));
}

/* As a client that keeps a mirror does it. */
static JsonNode *
apply_as_client(const ConfTypeInfo *type, const ConfObject *before, JsonObject *change, int64_t revision)
{
    g_autoptr(JsonNode) old = parse(before->body->data, before->body->size);
    JsonNode *result = merge_patch(old, json_object_get_member(change, "patch"));
    JsonObject *object = json_node_get_object(result);
    static const char *const lists[] = {"add", "remove"};
    for (unsigned i = 0; i < 2; i++) {
        if (!json_object_has_member(change, lists[i]))
            continue;
        JsonObject *edits = json_object_get_object_member(change, lists[i]);
        g_autoptr(GList) names = json_object_get_members(edits);
        for (GList *l = names; l != NULL; l = l->next) {
            const ConfField *field = conf_type_field(type, conf_slice_from_string(l->data));
            (i == 0 ? add_items : remove_items)(field, object, json_object_get_array_member(edits, l->data));
        }
    }
    json_object_set_int_member(object, "revision", revision);
    return result;
}

static void
check_difference(ModelFixture *fixture, const ConfObject *before, const ConfObject *after)
{
    g_auto(ConfBuffer) text = CONF_BUFFER_INIT;
    conf_buffer_append_char(&text, '{');
    conf_object_write_difference(fixture->schema, before, after, &text);
    conf_buffer_append_char(&text, '}');
    g_autoptr(GError) error = NULL;
    const ConfJson *change = conf_json_parse(fixture->arena, conf_buffer_slice(&text), NULL, NULL, NULL);
    g_assert_nonnull(change);
    g_autoptr(ConfBytes) body = conf_object_apply_difference(fixture->schema, fixture->arena, before, change,
                                                             after->revision, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(body->data, ==, after->body->data);

    g_autoptr(JsonNode) difference = parse(text.data, (gssize)text.size);
    g_autoptr(JsonNode) expected = parse(after->body->data, after->body->size);
    g_autoptr(JsonNode) result = apply_as_client(conf_schema_type(fixture->schema, after->type), before,
                                                 json_node_get_object(difference), after->revision);
    if (!json_node_equal(result, expected))
        g_error("%s\n%s\n%.*s", before->body->data, after->body->data, (int)text.size, text.data);
}

static const ConfTypeInfo *
random_type(const ConfSchema *schema)
{
    unsigned count;
    const ConfTypeInfo *const *types = conf_schema_types(schema, &count);
    /* Applications have most kinds of fields. */
    return g_test_rand_int_range(0, 3) == 0 ? conf_schema_type(schema, CONF_TYPE_APPLICATION)
                                            : types[g_test_rand_int_range(0, (int)count)];
}

static ConfObject *
random_new(ModelFixture *fixture, const ConfTypeInfo *type)
{
    g_autoptr(GString) text = g_string_new(NULL);
    random_object(fixture->schema, type, text);
    ConfObject *object = model_create(fixture, type->id, text->str);
    if (object == NULL)
        g_error("%s: %s {%s}", text->str, fixture->error.message, fixture->error.data);
    return object;
}

static void
test_changes(ModelFixture *fixture, const void *data)
{
    g_autoptr(GString) patch = g_string_new(NULL), add = g_string_new(NULL), remove = g_string_new(NULL);
    for (unsigned round = 0; round < ROUNDS; round++) {
        const ConfTypeInfo *type = random_type(fixture->schema);
        g_autoptr(ConfObject) before = random_new(fixture, type);
        random_change(fixture->schema, type, patch, add, remove);
        g_autoptr(ConfObject) after = model_update(fixture, before, patch->str, add->str, remove->str);
        if (after == NULL)
            g_error("%s %s %s: %s {%s}", patch->str, add->str, remove->str, fixture->error.message,
                    fixture->error.data);
        g_autoptr(GError) error = NULL;
        g_assert_true(conf_object_check(fixture->schema, after, &error));
        g_assert_no_error(error);
        if (after != before)
            check_difference(fixture, before, after);
        /* Once more changes nothing. */
        g_autoptr(ConfObject) again = model_update(fixture, after, patch->str, add->str, remove->str);
        if (again != after)
            g_error("%s %s %s\n%s\n%s", patch->str, add->str, remove->str, after->body->data,
                    again->body->data);
        /* From storage it comes back as it is. */
        ConfSlice none = {NULL, 0};
        g_autoptr(ConfObject) stored =
            conf_object_from_stored(fixture->schema, conf_bytes_slice(after->body), none, none, 0, &error);
        g_assert_no_error(error);
        g_assert_cmpmem(stored->digest, 16, after->digest, 16);
        conf_arena_reset(fixture->arena);
    }
}

/* Two objects that have little in common. */
static void
test_unrelated(ModelFixture *fixture, const void *data)
{
    for (unsigned round = 0; round < ROUNDS / 4; round++) {
        const ConfTypeInfo *type = random_type(fixture->schema);
        g_autoptr(ConfObject) before = random_new(fixture, type);
        g_autoptr(ConfObject) after = random_new(fixture, type);
        check_difference(fixture, before, after);
        conf_arena_reset(fixture->arena);
    }
}

static void
test_before_after(ModelFixture *fixture, const void *data)
{
    for (unsigned round = 0; round < ROUNDS / 8; round++) {
        const ConfTypeInfo *type = random_type(fixture->schema);
        g_autoptr(ConfObject) before = random_new(fixture, type);
        g_autoptr(ConfObject) after = random_new(fixture, type);
        g_auto(ConfBuffer) olds = CONF_BUFFER_INIT;
        g_auto(ConfBuffer) news = CONF_BUFFER_INIT;
        conf_object_write_before_after(fixture->schema, before, after, &olds, &news);
        g_autoptr(JsonNode) old = parse(olds.data, (gssize)olds.size),
                            new = parse(news.data, (gssize)news.size);
        g_autoptr(JsonNode) from = parse(before->body->data, before->body->size),
                            to = parse(after->body->data, after->body->size);
        /* Members that are not told are the same on both sides; what is told is true. */
        for (unsigned i = 0; i < type->field_count; i++) {
            const char *name = type->fields[i].name;
            JsonNode *a = json_object_get_member(json_node_get_object(from), name);
            JsonNode *b = json_object_get_member(json_node_get_object(to), name);
            JsonNode *told_a = json_object_get_member(json_node_get_object(old), name);
            JsonNode *told_b = json_object_get_member(json_node_get_object(new), name);
            bool differs = (a == NULL) != (b == NULL) || (a != NULL && !json_node_equal(a, b));
            g_assert_true(differs ? a == NULL || json_node_equal(a, told_a) : told_a == NULL);
            g_assert_true(differs ? b == NULL || json_node_equal(b, told_b) : told_b == NULL);
        }
        conf_arena_reset(fixture->arena);
    }
}

/* What is cleared is gone, the rest of the references is as it was. */
static void
test_clear(ModelFixture *fixture, const void *data)
{
    for (unsigned round = 0; round < ROUNDS / 4; round++) {
        g_autoptr(ConfObject) before = random_new(fixture, random_type(fixture->schema));
        g_autoptr(GArray) olds = g_array_new(FALSE, FALSE, sizeof(ConfReference));
        g_autoptr(GArray) news = g_array_new(FALSE, FALSE, sizeof(ConfReference));
        conf_object_references(fixture->schema, before, olds);
        if (olds->len == 0)
            continue;
        ConfKey target =
            g_array_index(olds, ConfReference, (unsigned)g_test_rand_int_range(0, (int)olds->len)).target;
        g_autoptr(ConfObject) after =
            conf_object_without_reference(fixture->schema, fixture->arena, before, target, 8);
        g_autoptr(GError) error = NULL;
        g_assert_true(conf_object_check(fixture->schema, after, &error));
        conf_object_references(fixture->schema, after, news);
        unsigned n = 0;
        for (unsigned o = 0; o < olds->len; o++) {
            const ConfReference *old = &g_array_index(olds, ConfReference, o);
            if (conf_key_equal(old->target, target) && old->field->on_delete == CONF_ON_DELETE_CLEAR)
                continue;
            g_assert_cmpuint(n, <, news->len);
            const ConfReference *new = &g_array_index(news, ConfReference, n++);
            g_assert_true(conf_key_equal(old->target, new->target) && old->field == new->field);
        }
        g_assert_cmpuint(n, ==, news->len);
        g_assert_cmpint(after == before, ==, news->len == olds->len);
        conf_arena_reset(fixture->arena);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    MODEL_TEST("/object/random/changes", test_changes);
    MODEL_TEST("/object/random/unrelated", test_unrelated);
    MODEL_TEST("/object/random/before-after", test_before_after);
    MODEL_TEST("/object/random/clear", test_clear);
    return g_test_run();
}
