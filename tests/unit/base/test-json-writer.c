/* test-json-writer.c - commas, escapes, and that whatever goes in, valid JSON comes out. */
#include <string.h>

#include "base/json-writer.h"

static void
test_shape(void)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, &buffer);
    conf_json_writer_begin_object(&writer);
    conf_json_writer_member_string(&writer, "a", "x");
    conf_json_writer_member_string(&writer, "unset", NULL);
    conf_json_writer_member_integer(&writer, "b", -5);
    conf_json_writer_member_boolean(&writer, "c", true);
    conf_json_writer_member_slice(&writer, "d", (ConfSlice){"cut off", 3});
    conf_json_writer_key(&writer, "e");
    conf_json_writer_begin_array(&writer);
    conf_json_writer_begin_array(&writer);
    conf_json_writer_end_array(&writer);
    conf_json_writer_null(&writer);
    conf_json_writer_begin_object(&writer);
    conf_json_writer_end_object(&writer);
    conf_json_writer_raw(&writer, CONF_SLICE("{\"r\": 1}"));
    conf_json_writer_tree(&writer, conf_json_parse(arena, CONF_SLICE("[1, 2.50]"), NULL, NULL, NULL));
    conf_json_writer_string(&writer, "s");
    conf_json_writer_integer(&writer, 0);
    conf_json_writer_boolean(&writer, false);
    conf_json_writer_end_array(&writer);
    conf_json_writer_key_slice(&writer, (ConfSlice){"k\0", 2});
    conf_json_writer_slice(&writer, (ConfSlice){NULL, 0});
    conf_json_writer_end_object(&writer);
    static const char expected[] =
        "{\"a\":\"x\",\"unset\":null,\"b\":-5,\"c\":true,\"d\":\"cut\",\"e\":[[],null,{},{\"r\": 1},"
        "[1,2.50],\"s\",0,false],\"k\\u0000\":\"\"}";
    g_assert_cmpmem(buffer.data, buffer.size, expected, sizeof(expected) - 1);
}

static void
test_deepest(void)
{
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, &buffer);
    for (unsigned i = 0; i < CONF_JSON_DEPTH_MAX; i++) {
        conf_json_writer_begin_array(&writer);
        conf_json_writer_integer(&writer, i);
    }
    for (unsigned i = 0; i < CONF_JSON_DEPTH_MAX; i++) {
        conf_json_writer_end_array(&writer);
        if (i + 1 < CONF_JSON_DEPTH_MAX)
            conf_json_writer_integer(&writer, i);
    }
    g_autoptr(ConfArena) arena = conf_arena_new();
    ConfJson *tree = conf_json_parse(arena, conf_buffer_slice(&buffer), NULL, NULL, NULL);
    g_assert_nonnull(tree);
    g_assert_cmpuint(tree->count, ==, 3);
    g_assert_cmpint(tree->last->integer, ==, 62);
}

static void
test_escapes(void)
{
    static const struct {
        const char *text, *json;
    } strings[] = {
        {"", "\"\""},
        {"plain /'", "\"plain /'\""},
        {"\"\\\b\f\n\r\t", "\"\\\"\\\\\\b\\f\\n\\r\\t\""},
        {"\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\""},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        /* What is no UTF-8 is replaced, byte by byte: a broken line would end the client's connection. */
        {"a\xffz", "\"a\xef\xbf\xbdz\""},
        {"\xc3", "\"\xef\xbf\xbd\""},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"0123456789abcdef0123\n0123456789abcdef", "\"0123456789abcdef0123\\n0123456789abcdef\""},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(strings); i++) {
        g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
        conf_json_append_string(&buffer, conf_slice_from_string(strings[i].text));
        g_assert_cmpmem(buffer.data, buffer.size, strings[i].json, strlen(strings[i].json));
    }
}

/* Random bytes: what comes out is always one valid string, and the same text where the bytes were valid. */
static void
test_random_strings(void)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    for (unsigned i = 0; i < 20000; i++) {
        char text[40];
        size_t size = (size_t)g_test_rand_int_range(0, sizeof(text) + 1);
        bool ascii = g_test_rand_bit();
        for (size_t j = 0; j < size; j++)
            text[j] = (char)g_test_rand_int_range(0, ascii ? 128 : 256);
        g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
        conf_json_append_string(&buffer, (ConfSlice){text, size});
        ConfJson *read = conf_json_parse(arena, conf_buffer_slice(&buffer), NULL, NULL, NULL);
        g_assert_nonnull(read);
        g_assert_cmpint(read->kind, ==, CONF_JSON_STRING);
        if (ascii)
            g_assert_cmpmem(read->text.data, read->text.size, text, size);
        conf_arena_reset(arena);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/json-writer/shape", test_shape);
    g_test_add_func("/base/json-writer/deepest", test_deepest);
    g_test_add_func("/base/json-writer/escapes", test_escapes);
    g_test_add_func("/base/json-writer/random-strings", test_random_strings);
    return g_test_run();
}
