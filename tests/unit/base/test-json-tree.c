/* test-json-tree.c - trees: parsing, errors with line and column, members, equality, trees made by hand. */
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/json-tree.h"
#include "base/json-writer.h"

static ConfJson *
parse(ConfArena *arena, const char *text)
{
    ConfJson *tree = conf_json_parse(arena, conf_slice_from_string(text), NULL, NULL, NULL);
    g_assert_nonnull(tree);
    return tree;
}

static void
test_parse(void)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    static const char text[] =
        "{\"a\":[1,-2.5,\"x\\n\",{}],\"b\\u0000\":{\"c\":null},\"d\":true,\"e\":false,\"f\":\"plain\"}";
    ConfJsonFault fault = CONF_JSON_FAULT_SYNTAX;
    const char *message = "";
    ConfJson *tree = conf_json_parse(arena, CONF_SLICE(text), &fault, NULL, &message);
    g_assert_cmpint(fault, ==, CONF_JSON_FAULT_NONE);
    g_assert_null(message);
    g_assert_cmpint(tree->kind, ==, CONF_JSON_OBJECT);
    g_assert_cmpuint(tree->count, ==, 5);
    g_assert_null(tree->next);

    ConfJson *array = conf_json_member(tree, "a");
    g_assert_cmpuint(array->count, ==, 4);
    g_assert_true(array->first->is_integer);
    g_assert_cmpint(array->first->integer, ==, 1);
    g_assert_cmpuint(array->first->key.size, ==, 0);
    g_assert_false(array->first->next->is_integer);
    g_assert_true(conf_slice_is(array->first->next->text, "-2.5"));
    g_assert_true(conf_slice_is(array->first->next->next->text, "x\n"));
    g_assert_cmpuint(array->last->count, ==, 0);

    ConfJson *nested = conf_json_member_slice(tree, (ConfSlice){"b\0", 2});
    g_assert_cmpint(conf_json_member(nested, "c")->kind, ==, CONF_JSON_NULL);
    g_assert_true(conf_json_member(tree, "d")->boolean);
    g_assert_false(conf_json_member(tree, "e")->boolean);
    /* Text without escapes is not copied. */
    const char *plain = conf_json_member(tree, "f")->text.data;
    g_assert_true(plain > text && plain < text + sizeof(text));

    g_assert_null(conf_json_member(tree, "g"));
    g_assert_null(conf_json_member(NULL, "a"));
    g_assert_null(conf_json_member(array, "a"));
}

static void
test_faults(void)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    ConfJsonFault fault;
    size_t offset;
    const char *message;
    g_assert_null(conf_json_parse(arena, CONF_SLICE("{\"a\":1,\"a\":2}"), &fault, &offset, &message));
    g_assert_cmpint(fault, ==, CONF_JSON_FAULT_DUPLICATE);
    g_assert_cmpuint(offset, ==, 7);
    g_assert_cmpstr(message, ==, "An object has the same key twice.");
    g_assert_null(conf_json_parse(arena, CONF_SLICE("[1] x"), &fault, &offset, NULL));
    g_assert_cmpint(fault, ==, CONF_JSON_FAULT_SYNTAX);
    g_assert_cmpuint(offset, ==, 4);
    g_assert_null(conf_json_parse(arena, CONF_SLICE(""), NULL, NULL, NULL));
}

static void
test_file_errors(void)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    g_autoptr(GError) error = NULL;
    g_assert_null(
        conf_json_parse_file_text(arena, CONF_SLICE("{\n  \"\xc3\xa9\": 01\n}\n"), "host.json", &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
    g_assert_cmpstr(error->message, ==, "host.json: line 2, column 8: A number begins with a needless zero.");
    g_assert_nonnull(conf_json_parse_file_text(arena, CONF_SLICE("{}\n"), "host.json", NULL));
}

static void
assert_equal(ConfArena *arena, const char *a, const char *b, bool equal)
{
    g_test_message("%s and %s", a, b);
    g_assert_true(conf_json_equal(parse(arena, a), parse(arena, b)) == equal);
    g_assert_true(conf_json_equal(parse(arena, b), parse(arena, a)) == equal);
}

static void
test_equal(void)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    assert_equal(arena, "{\"a\":1,\"b\":[true,null]}", "{ \"b\" : [true, null], \"\\u0061\" : 1 }", true);
    assert_equal(arena, "[1,2]", "[2,1]", false);
    assert_equal(arena, "[1,2]", "[1,2,3]", false);
    assert_equal(arena, "1", "\"1\"", false);
    assert_equal(arena, "0", "-0", true);
    assert_equal(arena, "1.0", "1.0", true);
    assert_equal(arena, "1.0", "1.00", false);
    assert_equal(arena, "1", "1.0", false);
    assert_equal(arena, "true", "false", false);
    assert_equal(arena, "null", "false", false);
    assert_equal(arena, "{\"a\":1}", "{\"b\":1}", false);
    assert_equal(arena, "{\"a\":1,\"b\":2}", "{\"b\":1,\"a\":2}", false);
    assert_equal(arena, "{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false);
    assert_equal(arena, "{\"a\":{}}", "{\"a\":[]}", false);
    assert_equal(arena, "\"\\n\"", "\"\\u000a\"", true);
    g_assert_true(conf_json_equal(NULL, NULL));
    g_assert_false(conf_json_equal(NULL, parse(arena, "1")));
}

/* Many members in another order: equal, and found different where one value is; comparing each with each
 * would hang. */
static void
test_equal_large(void)
{
    enum { COUNT = 100000 };
    g_autoptr(ConfArena) arena = conf_arena_new();
    g_auto(ConfBuffer) up = CONF_BUFFER_INIT, down = CONF_BUFFER_INIT;
    for (unsigned i = 0; i < COUNT; i++) {
        conf_buffer_printf(&up, "%c\"key%u\":%u", i == 0 ? '{' : ',', i, i);
        conf_buffer_printf(&down, "%c\"key%u\":%u", i == 0 ? '{' : ',', COUNT - 1 - i, COUNT - 1 - i);
    }
    conf_buffer_append_char(&up, '}');
    conf_buffer_append_char(&down, '}');
    ConfJson *a = conf_json_parse(arena, conf_buffer_slice(&up), NULL, NULL, NULL);
    ConfJson *b = conf_json_parse(arena, conf_buffer_slice(&down), NULL, NULL, NULL);
    g_assert_true(conf_json_equal(a, b));
    conf_json_member(b, "key77")->integer = -1;
    g_assert_false(conf_json_equal(a, b));
}

static void
test_make(void)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    ConfJson *object = conf_json_new(arena, CONF_JSON_OBJECT);
    ConfJson *array = conf_json_new(arena, CONF_JSON_ARRAY);
    conf_json_append(object, CONF_SLICE("list"), array);
    conf_json_append(array, (ConfSlice){NULL, 0}, conf_json_new_integer(arena, -9007199254740991));
    conf_json_append(array, (ConfSlice){NULL, 0}, conf_json_new_string(arena, CONF_SLICE("x\"y")));
    conf_json_append(array, (ConfSlice){NULL, 0}, conf_json_new(arena, CONF_JSON_NULL));
    ConfJson *yes = conf_json_new(arena, CONF_JSON_BOOLEAN);
    yes->boolean = true;
    conf_json_append(object, CONF_SLICE("yes"), yes);

    ConfJson *copy = conf_json_shallow_copy(arena, array);
    g_assert_null(copy->next);
    g_assert_true(copy->first == array->first);
    ConfJson *other = conf_json_new(arena, CONF_JSON_OBJECT);
    conf_json_append(other, CONF_SLICE("moved"), copy);
    g_assert_true(conf_slice_is(array->key, "list"));
    g_assert_true(array->next == yes);

    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    conf_json_append_tree(&buffer, object);
    conf_json_append_tree(&buffer, other);
    g_assert_true(conf_slice_is(conf_buffer_slice(&buffer),
                                "{\"list\":[-9007199254740991,\"x\\\"y\",null],\"yes\":true}"
                                "{\"moved\":[-9007199254740991,\"x\\\"y\",null]}"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/json-tree/parse", test_parse);
    g_test_add_func("/base/json-tree/faults", test_faults);
    g_test_add_func("/base/json-tree/file-errors", test_file_errors);
    g_test_add_func("/base/json-tree/equal", test_equal);
    g_test_add_func("/base/json-tree/equal-large", test_equal_large);
    g_test_add_func("/base/json-tree/make", test_make);
    return g_test_run();
}
