/* test-json-reader.c - what the reader tells of good texts; depth, duplicate keys, skipping, texts cut off.
 */
#include "base/buffer.h"

#include "json-reader-checks.h"

static void
test_events(void)
{
    static const struct {
        ConfJsonEvent event;
        size_t offset;
        const char *text, *raw;
    } expected[] = {
        {CONF_JSON_EVENT_OBJECT, 1, NULL, NULL},
        {CONF_JSON_EVENT_KEY, 2, "a", "\"a\""},
        {CONF_JSON_EVENT_ARRAY, 7, NULL, NULL},
        {CONF_JSON_EVENT_NUMBER, 8, "-1", "-1"},
        {CONF_JSON_EVENT_NUMBER, 13, "2.50e1", "2.50e1"},
        {CONF_JSON_EVENT_STRING, 20, "x\ny", "\"x\\ny\""},
        {CONF_JSON_EVENT_ARRAY_END, 26, NULL, NULL},
        {CONF_JSON_EVENT_KEY, 28, "a\"", "\"\\u0061\\\"\""},
        {CONF_JSON_EVENT_OBJECT, 39, NULL, NULL},
        {CONF_JSON_EVENT_OBJECT_END, 40, NULL, NULL},
        {CONF_JSON_EVENT_KEY, 42, "", "\"\""},
        {CONF_JSON_EVENT_TRUE, 45, "true", "true"},
        {CONF_JSON_EVENT_KEY, 50, "c", "\"c\""},
        {CONF_JSON_EVENT_FALSE, 54, "false", "false"},
        {CONF_JSON_EVENT_KEY, 60, "d", "\"d\""},
        {CONF_JSON_EVENT_NULL, 64, "null", "null"},
        {CONF_JSON_EVENT_OBJECT_END, 68, NULL, NULL},
        {CONF_JSON_EVENT_END, 70, NULL, NULL},
    };
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(
        &reader, CONF_SLICE(" {\"a\": [-1 , 2.50e1,\"x\\ny\"],\"\\u0061\\\"\":{},\"\":true,\"c\":false,"
                            "\"d\":null}\n"));
    for (unsigned i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_assert_cmpint(conf_json_reader_next(&reader), ==, expected[i].event);
        g_assert_cmpuint(reader.offset, ==, expected[i].offset);
        if (expected[i].text != NULL) {
            g_assert_true(conf_slice_is(reader.text, expected[i].text));
            g_assert_true(conf_slice_is(reader.raw, expected[i].raw));
        }
    }
}

static void
test_depth(void)
{
    for (unsigned depth = 63; depth <= 66; depth++) {
        for (unsigned objects = 0; objects < 2; objects++) {
            g_auto(ConfBuffer) text = CONF_BUFFER_INIT;
            for (unsigned i = 0; i < depth; i++)
                conf_buffer_append_string(&text, objects ? "{\"a\":" : "[");
            size_t size = text.size;
            conf_buffer_append_string(&text, "1");
            for (unsigned i = 0; i < depth; i++)
                conf_buffer_append_char(&text, objects ? '}' : ']');
            if (depth <= 64)
                assert_valid(conf_buffer_slice(&text));
            else
                assert_fault(conf_buffer_slice(&text), CONF_JSON_FAULT_DEPTH, size / depth * 64);
        }
    }
    g_autofree char *many = g_strnfill(1000000, '[');
    assert_fault(conf_slice_from_string(many), CONF_JSON_FAULT_DEPTH, 64);
}

static void
test_duplicates(void)
{
    static const struct {
        const char *text;
        size_t offset;
    } faults[] = {
        {"{\"a\":1,\"a\":1}", 7},
        {"{\"a\":1,\"\\u0061\":1}", 7},
        {"{\"\\u0061\":1,\"a\":1}", 12},
        {"{\"\":1,\"\":1}", 6},
        {"{\"\\n\":1,\"\\u000a\":1}", 8},
        {"[{\"x\":{\"b\":1},\"y\":[{\"b\":1,\"b\":2}]}]", 26},
        {"{\"a\":{\"b\":{}},\"c\":[{\"a\":1}],\"a\":0}", 28},
        {"{\"\xc3\xa9\":1,\"\\u00e9\":1}", 8},
        {"{\"longer than eight\":1,\"b\":2,\"longer than eight\":3}", 29},
        {"{\"\\t\":{\"\\t\":{},\"\\n\":0},\"b\":1,\"\\t\":0}", 29},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
        say(faults[i].text);
        assert_fault(conf_slice_from_string(faults[i].text), CONF_JSON_FAULT_DUPLICATE, faults[i].offset);
    }
    static const char *const valid[] = {
        "{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":2}}",
        "[{\"a\":1},{\"a\":1}]",
        "{\"a\":1,\"A\":1}",
        "{\"\":1,\"\\u0000\":2}",
        "{\"a\":1,\"aa\":2,\"aaa\":3,\"aaaa\":4,\"aaaaa\":5,\"aaaaaaaa\":6,\"aaaaaaaaa\":7,"
        "\"aaaaaaaaaaaaaaaa\":8}",
        "{\"e\\u0301\":1,\"\\u00e9\":2}",
        "{\"\\t\":{\"\\t\":{\"\\t\":1},\"\\n\":2},\"\\n\":3}",
        "{\"12345678x87654321\":1,\"12345678y87654321\":2}",
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(valid); i++)
        assert_valid(conf_slice_from_string(valid[i]));
}

/* `count` keys, each fourth written with an escape, with a nested object of `inner` keys behind each
 * `every`th. */
static void
append_object(ConfBuffer *text, unsigned count, unsigned every, unsigned inner)
{
    conf_buffer_append_char(text, '{');
    for (unsigned i = 0; i < count; i++) {
        conf_buffer_printf(text, "%s\"%skey%u\":", i > 0 ? "," : "", i % 4 == 0 ? "\\u006b" : "k", i);
        if (every > 0 && i % every == 0)
            append_object(text, inner, inner / 2, inner / 2);
        else
            conf_buffer_append_integer(text, i);
    }
    conf_buffer_append_char(text, '}');
}

/* Every size around the change from comparison to a table, and each key in turn as the one that comes twice.
 */
static void
test_duplicates_in_large_objects(void)
{
    for (unsigned count = 10; count <= 140; count += count < 40 ? 1 : 25) {
        for (unsigned twice = 0; twice < count; twice++) {
            g_auto(ConfBuffer) text = CONF_BUFFER_INIT;
            append_object(&text, count, 5, count / 2);
            assert_valid(conf_buffer_slice(&text));
            size_t offset = text.size;
            conf_buffer_truncate(&text, text.size - 1);
            conf_buffer_printf(&text, ",\"kkey%u\":1}", twice);
            assert_fault(conf_buffer_slice(&text), CONF_JSON_FAULT_DUPLICATE, offset);
        }
    }
}

/* Quadratic work would take minutes here. */
static void
test_many_keys(void)
{
    g_auto(ConfBuffer) text = CONF_BUFFER_INIT;
    append_object(&text, 200000, 1000, 300);
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    int64_t begin = g_get_monotonic_time();
    g_assert_cmpint(read_all(&reader, conf_buffer_slice(&text)), ==, CONF_JSON_EVENT_END);
    g_test_message("200,000 members in %.1f ms", (double)(g_get_monotonic_time() - begin) / 1000);
    g_assert_cmpint(g_get_monotonic_time() - begin, <, 20 * G_USEC_PER_SEC);
    /* What it needed does not stay in the way of the next text. */
    g_assert_cmpint(read_all(&reader, CONF_SLICE("{\"a\":[{\"b\\n\":1}]}")), ==, CONF_JSON_EVENT_END);
}

static void
test_skip(void)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    ConfSlice raw;
    conf_json_reader_start(
        &reader, CONF_SLICE("{\"a\": {\"x\":[1,{}]} , \"b\":\"\\u0041\",\"c\": -1.5e3 ,\"d\":[] }"));
    static const char *const expected[] = {"{\"x\":[1,{}]}", "\"\\u0041\"", "-1.5e3", "[]"};
    g_assert_cmpint(conf_json_reader_next(&reader), ==, CONF_JSON_EVENT_OBJECT);
    for (unsigned i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_assert_cmpint(conf_json_reader_next(&reader), ==, CONF_JSON_EVENT_KEY);
        g_assert_true(conf_json_reader_skip(&reader, &raw));
        g_assert_true(conf_slice_is(raw, expected[i]));
    }
    g_assert_cmpint(conf_json_reader_next(&reader), ==, CONF_JSON_EVENT_OBJECT_END);
    g_assert_cmpint(conf_json_reader_next(&reader), ==, CONF_JSON_EVENT_END);

    conf_json_reader_start(&reader, CONF_SLICE(" [ 1, {\"a\":[]} ,\"x\" ] "));
    static const char *const items[] = {"1", "{\"a\":[]}", "\"x\""};
    g_assert_false(conf_json_reader_has_item(&reader));
    g_assert_cmpint(conf_json_reader_next(&reader), ==, CONF_JSON_EVENT_ARRAY);
    for (unsigned i = 0; i < G_N_ELEMENTS(items); i++) {
        g_assert_true(conf_json_reader_has_item(&reader));
        g_assert_true(conf_json_reader_skip(&reader, &raw));
        g_assert_true(conf_slice_is(raw, items[i]));
    }
    g_assert_false(conf_json_reader_has_item(&reader));
    g_assert_cmpint(conf_json_reader_next(&reader), ==, CONF_JSON_EVENT_ARRAY_END);
    g_assert_cmpint(conf_json_reader_next(&reader), ==, CONF_JSON_EVENT_END);
}

/* Where no value stands, skipping is a fault, not an accident. */
static void
test_skip_nothing(void)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    static const char *const texts[] = {"[]", "{}", "{\"a\":1}"};
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        conf_json_reader_start(&reader, conf_slice_from_string(texts[i]));
        conf_json_reader_next(&reader);
        g_assert_false(conf_json_reader_skip(&reader, NULL));
        g_assert_cmpint(reader.fault, ==, CONF_JSON_FAULT_SYNTAX);
        g_assert_cmpuint(reader.offset, ==, 1);
        g_assert_cmpint(conf_json_reader_next(&reader), ==, CONF_JSON_EVENT_ERROR);
        g_assert_false(conf_json_reader_skip(&reader, NULL));
    }
    conf_json_reader_start(&reader, CONF_SLICE("1"));
    g_assert_true(conf_json_reader_skip(&reader, NULL));
    g_assert_false(conf_json_reader_skip(&reader, NULL));
}

/* Every beginning of a valid text is a fault, wherever it is cut. */
static void
test_cut_off(void)
{
    static const char text[] =
        "{\"a\\u00e9\":[1.5e1,\"\xf0\x9f\x98\x80\\ud83d\\ude00\",true,null,{\"b\":{}}],\"c\":false}";
    assert_valid(CONF_SLICE(text));
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    for (size_t size = 0; size < sizeof(text) - 1; size++) {
        g_autofree char *cut = g_memdup2(text, size);
        g_assert_cmpint(read_all(&reader, (ConfSlice){cut, size}), ==, CONF_JSON_EVENT_ERROR);
        g_assert_cmpuint(reader.offset, <=, size);
    }
}

static void
test_clear(void)
{
    ConfJsonReader reader;
    conf_json_reader_init(&reader);
    g_assert_cmpint(conf_json_reader_next(&reader), ==, CONF_JSON_EVENT_ERROR);
    conf_json_reader_clear(&reader);
    conf_json_reader_clear(&reader);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/json-reader/events", test_events);
    g_test_add_func("/base/json-reader/depth", test_depth);
    g_test_add_func("/base/json-reader/duplicates", test_duplicates);
    g_test_add_func("/base/json-reader/duplicates-in-large-objects", test_duplicates_in_large_objects);
    g_test_add_func("/base/json-reader/many-keys", test_many_keys);
    g_test_add_func("/base/json-reader/skip", test_skip);
    g_test_add_func("/base/json-reader/skip-nothing", test_skip_nothing);
    g_test_add_func("/base/json-reader/cut-off", test_cut_off);
    g_test_add_func("/base/json-reader/clear", test_clear);
    return g_test_run();
}
