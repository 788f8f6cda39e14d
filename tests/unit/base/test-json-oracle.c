/* test-json-oracle.c - reader, tree and writer against json-glib on random documents.
 *
 * json-glib accepts more than JSON (comments, 0x10, duplicate keys), so the oracle answers one way
 * only: what the reader accepts json-glib must accept too, and understand alike.  What must be refused stands
 * in test-json-reader.c. */
#include <string.h>

#include <json-glib/json-glib.h>

#include "base/json-writer.h"

static JsonNode *random_node(unsigned depth);
static char *random_string(void);

static JsonNode *
random_container(unsigned depth, bool is_object)
{
    JsonNode *node = json_node_new(is_object ? JSON_NODE_OBJECT : JSON_NODE_ARRAY);
    int count = g_test_rand_int_range(0, g_test_rand_int_range(0, 20) == 0 ? 60 : 5);
    if (is_object) {
        JsonObject *object = json_object_new();
        for (int i = 0; i < count; i++) {
            g_autofree char *key = random_string();
            json_object_set_member(object, key, random_node(depth + 1));
        }
        json_node_take_object(node, object);
    } else {
        JsonArray *array = json_array_new();
        for (int i = 0; i < count; i++)
            json_array_add_element(array, random_node(depth + 1));
        json_node_take_array(node, array);
    }
    return node;
}

static JsonNode *
random_node(unsigned depth)
{
    int choice = g_test_rand_int_range(0, depth < 6 ? 9 : 6);
    JsonNode *node = json_node_alloc();
    switch (choice) {
    case 0:
        return json_node_init_null(node);
    case 1:
        return json_node_init_boolean(node, g_test_rand_bit());
    case 2:
        return json_node_init_int(node, g_test_rand_int_range(-1000, 1000));
    case 3:
        return json_node_init_int(node, (gint64)g_test_rand_double_range(-9.0e15, 9.0e15));
    case 4:
        return json_node_init_double(node, g_test_rand_double_range(-1e6, 1e6));
    case 5: {
        g_autofree char *text = random_string();
        return json_node_init_string(node, text);
    }
    default:
        json_node_unref(node);
        return random_container(depth, choice != 6);
    }
}

static char *
random_string(void)
{
    /* Not 0x1f: json-glib writes it raw, which is no JSON. */
    static const gunichar ranges[][2] = {{1, 0x1e},       {0x20, 0x7f},        {0x80, 0x7ff},
                                         {0x800, 0xd7ff}, {0x10000, 0x10ffff}, {'a', 'z'},
                                         {'a', 'z'},      {'"', '"'},          {'\\', '\\'}};
    GString *string = g_string_new(NULL);
    int length = g_test_rand_int_range(0, 24);
    for (int i = 0; i < length; i++) {
        const gunichar *range = ranges[g_test_rand_int_range(0, G_N_ELEMENTS(ranges))];
        g_string_append_unichar(string,
                                (gunichar)g_test_rand_int_range((gint32)range[0], (gint32)range[1] + 1));
    }
    return g_string_free(string, FALSE);
}

/* The same value, as json-glib and as the reader understand it. */
static void
assert_same(const ConfJson *ours, JsonNode *theirs)
{
    switch (ours->kind) {
    case CONF_JSON_NULL:
        g_assert_true(JSON_NODE_HOLDS_NULL(theirs));
        return;
    case CONF_JSON_BOOLEAN:
        g_assert_true(json_node_get_value_type(theirs) == G_TYPE_BOOLEAN);
        g_assert_true(ours->boolean == json_node_get_boolean(theirs));
        return;
    case CONF_JSON_NUMBER:
        /* json-glib wraps large integers silently and keeps no more than a double of the rest. */
        if (ours->is_integer) {
            g_assert_true(json_node_get_value_type(theirs) == G_TYPE_INT64);
            g_assert_cmpint(ours->integer, ==, json_node_get_int(theirs));
        } else if (json_node_get_value_type(theirs) == G_TYPE_DOUBLE) {
            g_autofree char *text = conf_slice_dup(ours->text);
            g_assert_cmpfloat(g_ascii_strtod(text, NULL), ==, json_node_get_double(theirs));
        }
        return;
    case CONF_JSON_STRING:
        /* json-glib ends a string at \u0000. */
        if (memchr(ours->text.data, '\0', ours->text.size) == NULL)
            g_assert_true(conf_slice_is(ours->text, json_node_get_string(theirs)));
        return;
    case CONF_JSON_ARRAY: {
        JsonArray *array = json_node_get_array(theirs);
        g_assert_cmpuint(ours->count, ==, json_array_get_length(array));
        unsigned i = 0;
        for (const ConfJson *item = ours->first; item != NULL; item = item->next)
            assert_same(item, json_array_get_element(array, i++));
        g_assert_cmpuint(i, ==, ours->count);
        return;
    }
    case CONF_JSON_OBJECT: {
        JsonObject *object = json_node_get_object(theirs);
        for (const ConfJson *member = ours->first; member != NULL; member = member->next) {
            if (memchr(member->key.data, '\0', member->key.size) != NULL)
                return;
            g_autofree char *key = conf_slice_dup(member->key);
            g_assert_true(json_object_has_member(object, key));
            assert_same(member, json_object_get_member(object, key));
        }
        g_assert_cmpuint(ours->count, ==, json_object_get_size(object));
        return;
    }
    }
    g_assert_not_reached();
}

/* Returns the text of a random document, pretty at random. */
static char *
random_text(JsonNode **node)
{
    *node = random_node(0);
    g_autoptr(JsonGenerator) generator = json_generator_new();
    json_generator_set_root(generator, *node);
    json_generator_set_pretty(generator, g_test_rand_bit());
    return json_generator_to_data(generator, NULL);
}

static void
test_round_trip(void)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    for (unsigned i = 0; i < 3000; i++) {
        g_autoptr(JsonNode) node = NULL;
        g_autofree char *text = random_text(&node);
        const char *message = NULL;
        ConfJson *tree = conf_json_parse(arena, conf_slice_from_string(text), NULL, NULL, &message);
        if (tree == NULL)
            g_error("%s: %s", message, text);
        assert_same(tree, node);

        g_auto(ConfBuffer) written = CONF_BUFFER_INIT;
        conf_json_append_tree(&written, tree);
        g_autoptr(JsonParser) parser = json_parser_new();
        g_assert_true(json_parser_load_from_data(parser, written.data, (gssize)written.size, NULL));
        assert_same(tree, json_parser_get_root(parser));

        ConfJson *again = conf_json_parse(arena, conf_buffer_slice(&written), NULL, NULL, NULL);
        g_assert_true(conf_json_equal(tree, again));
        conf_arena_reset(arena);
    }
}

/* A few bytes changed at random: mostly no JSON any more, and where it is, json-glib agrees. */
static void
test_mutations(void)
{
    static const char bytes[] = "{}[]:,\"\\ue0123456789-+.Etfn \n\x80\xc3\xed\xf0";
    g_autoptr(ConfArena) arena = conf_arena_new();
    unsigned accepted = 0;
    for (unsigned i = 0; i < 20000; i++) {
        g_autoptr(JsonNode) node = NULL;
        g_autofree char *text = random_text(&node);
        size_t size = strlen(text);
        for (int changes = g_test_rand_int_range(1, 3); changes > 0; changes--)
            text[g_test_rand_int_range(0, (gint32)size)] = bytes[g_test_rand_int_range(0, sizeof(bytes) - 1)];
        ConfJson *tree = conf_json_parse(arena, (ConfSlice){text, size}, NULL, NULL, NULL);
        if (tree != NULL) {
            accepted++;
            g_autoptr(JsonParser) parser = json_parser_new();
            g_autoptr(GError) error = NULL;
            json_parser_load_from_data(parser, text, (gssize)size, &error);
            if (error != NULL)
                g_error("json-glib: %s: %s", error->message, text);
            assert_same(tree, json_parser_get_root(parser));
        }
        conf_arena_reset(arena);
    }
    g_test_message("%u of 20000 mutations were JSON", accepted);
    g_assert_cmpuint(accepted, >, 100);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/json-oracle/round-trip", test_round_trip);
    g_test_add_func("/base/json-oracle/mutations", test_mutations);
    return g_test_run();
}
