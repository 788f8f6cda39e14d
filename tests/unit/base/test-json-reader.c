/* test-json-reader.c - what the reader tells of good texts, and that it refuses every bad one at the right
 * place. */
#include <math.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json-reader.h"

/* Half a unit above the greatest double: rounds to infinity.  One less in the last place: to the greatest. */
#define OVERFLOWING                                                                                          \
    "1.79769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207"   \
    "0963302864166928879109465555478519404026306574886715058206819089020007083836762738548458177115317644"   \
    "7573027006985557136695962284291481986083493647529271907416844436551070434271155969950809304288017790"   \
    "4174497792"
#define GREATEST                                                                                             \
    "1.79769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207"   \
    "0963302864166928879109465555478519404026306574886715058206819089020007083836762738548458177115317644"   \
    "7573027006985557136695962284291481986083493647529271907416844436551070434271155969950809304288017790"   \
    "4174497791"

/* Names the text that a failure is about; TAP is UTF-8, these texts are not always. */
static void
say(const char *text)
{
    g_autofree char *escaped = g_strescape(text, NULL);
    g_test_message("%s", escaped);
}

/* Reads all of `text`; returns the last event, END or ERROR. */
static ConfJsonEvent
read_all(ConfJsonReader *reader, ConfSlice text)
{
    conf_json_reader_start(reader, text);
    ConfJsonEvent event;
    do {
        event = conf_json_reader_next(reader);
    } while (event > CONF_JSON_EVENT_ERROR);
    g_assert_cmpint(conf_json_reader_next(reader), ==, event);
    return event;
}

/* A copy of the exact size lets the sanitizer see any look past the end.  Reading and skipping must agree. */
static void
assert_fault(ConfSlice text, ConfJsonFault fault, size_t offset)
{
    g_autofree char *exact = g_memdup2(text.data, text.size);
    ConfSlice copy = {exact, text.size};
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    g_assert_cmpint(read_all(&reader, copy), ==, CONF_JSON_EVENT_ERROR);
    g_assert_cmpint(reader.fault, ==, fault);
    g_assert_cmpuint(reader.offset, ==, offset);
    g_assert_nonnull(reader.message);
    g_assert_cmpint(reader.message[strlen(reader.message) - 1], ==, '.');

    conf_json_reader_start(&reader, copy);
    bool valid =
        conf_json_reader_skip(&reader, NULL) && conf_json_reader_next(&reader) == CONF_JSON_EVENT_END;
    g_assert_false(valid);
    g_assert_cmpint(reader.fault, ==, fault);
    g_assert_cmpuint(reader.offset, ==, offset);
}

static void
assert_valid(ConfSlice text)
{
    g_autofree char *exact = g_memdup2(text.data, text.size);
    ConfSlice copy = {exact, text.size}, raw;
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    g_assert_cmpint(read_all(&reader, copy), ==, CONF_JSON_EVENT_END);
    g_assert_cmpint(reader.fault, ==, CONF_JSON_FAULT_NONE);
    conf_json_reader_start(&reader, copy);
    g_assert_true(conf_json_reader_skip(&reader, &raw));
    g_assert_cmpint(conf_json_reader_next(&reader), ==, CONF_JSON_EVENT_END);
}

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
test_syntax(void)
{
    static const struct {
        const char *text;
        size_t offset;
    } faults[] = {
        {"", 0},
        {"  ", 2},
        {"\xef\xbb\xbf{}", 0},
        {"{", 1},
        {"[", 1},
        {"}", 0},
        {"]", 0},
        {",", 0},
        {":", 0},
        {"[1", 2},
        {"[1,", 3},
        {"[1,]", 3},
        {"[,1]", 1},
        {"[1 2]", 3},
        {"[1}", 2},
        {"{]", 1},
        {"{\"a\":1]", 6},
        {"{\"a\"}", 4},
        {"{\"a\":}", 5},
        {"{\"a\":1,}", 7},
        {"{,}", 1},
        {"{\"a\" 1}", 5},
        {"{a:1}", 1},
        {"{1:1}", 1},
        {"{\"a\":1 \"b\":2}", 7},
        {"{\"a\":1,,\"b\":2}", 7},
        {"{\"a\"::1}", 5},
        {"{\"a\":1", 6},
        {"{\"a\":", 5},
        {"{\"a\"", 4},
        {"{\"a", 3},
        {"[[]", 3},
        {"[]]", 2},
        {"{}}", 2},
        {"{'a':1}", 1},
        {"'x'", 0},
        /* more than one value, comments, white space that is none */
        {"{} {}", 3},
        {"1 2", 2},
        {"{\"id\":1}{\"id\":2}", 8},
        {"2{\"id\":1}", 1},
        {"null x", 5},
        {"1,", 1},
        {"/*c*/1", 0},
        {"1//c", 1},
        {"[1,/**/2]", 3},
        {"#1", 0},
        {"\f1", 0},
        {"1\v", 1},
        {"\xc2\xa0"
         "1",
         0},
        /* literals */
        {"tru", 0},
        {"True", 0},
        {"TRUE", 0},
        {"nul", 0},
        {"nil", 0},
        {"truex", 4},
        {"falsey", 5},
        {"undefined", 0},
        {"NaN", 0},
        {"Infinity", 0},
        {"-Infinity", 1},
        {"inf.0", 0},
        {"$1", 0},
        /* strings */
        {"\"", 1},
        {"\"abc", 4},
        {"\"a\nb\"", 2},
        {"\"a\tb\"", 2},
        {"\"\x1f\"", 1},
        {"\"\\\"", 3},
        {"\"\\", 1},
        {"\"\\x41\"", 1},
        {"\"\\'\"", 1},
        {"\"\\U0041\"", 1},
        {"\"\\0\"", 1},
        {"\"\\\n\"", 1},
        {"\"a\\u12\"", 2},
        {"\"a\\u12g4\"", 2},
        {"\"\\u", 1},
        {"\"\\u+123\"", 1},
        {"\"\\u 123\"", 1},
        {"\"0123456789abcdef\x01\"", 17},
        /* surrogates */
        {"\"\\ud800\"", 1},
        {"\"\\udc00\"", 1},
        {"\"\\ud800\\u0041\"", 1},
        {"\"\\ud800x\"", 1},
        {"\"\\udfff\\ud800\"", 1},
        {"\"\\ud800\\ud800\"", 1},
        {"\"\\ud83d\\\"", 1},
        {"\"\\ud83d\\ude0\"", 1},
        {"\"ok\\ud800\"", 3},
        {"{\"\\ud800\":1}", 2},
        /* UTF-8: lone, overlong, surrogates, too high, cut off */
        {"\"\x80\"", 1},
        {"\"\xbf\"", 1},
        {"\"\xc0\x80\"", 1},
        {"\"\xc1\xbf\"", 1},
        {"\"\xc3\"", 1},
        {"\"\xc3(\"", 1},
        {"\"\xe0\x80\x80\"", 1},
        {"\"\xe0\x9f\xbf\"", 1},
        {"\"\xed\xa0\x80\"", 1},
        {"\"\xed\xbf\xbf\"", 1},
        {"\"\xe2\x82\"", 1},
        {"\"\xe2\x28\xa1\"", 1},
        {"\"\xe2\x82\x28\"", 1},
        {"\"\xf0\x80\x80\x80\"", 1},
        {"\"\xf0\x8f\xbf\xbf\"", 1},
        {"\"\xf4\x90\x80\x80\"", 1},
        {"\"\xf5\x80\x80\x80\"", 1},
        {"\"\xff\"", 1},
        {"\"\xfe\"", 1},
        {"\"\xf0\x9f\x98\"", 1},
        {"\"\xf0\x9f\x98(\"", 1},
        {"\"ab\xc3\xa9\xff\"", 5},
        {"{\"\xff\":1}", 2},
        {"\"\xc3", 1},
        {"\xc3\xa9", 0},
        {"\"0123456789abcdef\xff\"", 17},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
        say(faults[i].text);
        assert_fault(conf_slice_from_string(faults[i].text), CONF_JSON_FAULT_SYNTAX, faults[i].offset);
    }
    assert_fault((ConfSlice){"\"a\0b\"", 5}, CONF_JSON_FAULT_SYNTAX, 2);
    assert_fault((ConfSlice){"1\0", 2}, CONF_JSON_FAULT_SYNTAX, 1);
    assert_fault((ConfSlice){"\0", 1}, CONF_JSON_FAULT_SYNTAX, 0);
}

static void
test_number_faults(void)
{
    static const struct {
        const char *text;
        size_t offset;
    } faults[] = {
        {"-", 1},
        {"+1", 0},
        {"--1", 1},
        {".5", 0},
        {"-.5", 1},
        {"5.", 2},
        {"5.e1", 2},
        {"01", 0},
        {"-01", 1},
        {"00", 0},
        {"010", 0},
        {"0x10", 1},
        {"1e", 2},
        {"1e+", 3},
        {"1E-", 3},
        {"1e1.5", 3},
        {"1.2.3", 3},
        {"1a", 1},
        {"1_000", 1},
        {"1 e5", 2},
        {"- 1", 1},
        {"0e", 2},
        {"[1.]", 3},
        {"[-]", 2},
        {"1f", 1},
        {"\xd9\xa1", 0},
        /* not representable as a double */
        {"1e400", 0},
        {"-1e400", 0},
        {"1E+309", 0},
        {"[0,1e309]", 3},
        {"10e308", 0},
        {"0.1e310", 0},
        {"1e99999999999999999999999", 0},
        {"1.8e308", 0},
        {"17976931348623159e292", 0},
        {OVERFLOWING "e308", 0},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
        say(faults[i].text);
        assert_fault(conf_slice_from_string(faults[i].text), CONF_JSON_FAULT_SYNTAX, faults[i].offset);
    }
    g_autofree char *digits = g_strnfill(310, '1');
    assert_fault(conf_slice_from_string(digits), CONF_JSON_FAULT_SYNTAX, 0);
}

static void
test_numbers(void)
{
    static const struct {
        const char *text;
        bool is_integer;
        int64_t integer;
    } numbers[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"7", true, 7},
        {"-12", true, -12},
        {"2147483648", true, 2147483648},
        {"9007199254740991", true, 9007199254740991},
        {"-9007199254740991", true, -9007199254740991},
        {"9007199254740992", false, 0},
        {"-9007199254740992", false, 0},
        {"9999999999999999", false, 0},
        {"10000000000000000", false, 0},
        {"18446744073709551616", false, 0},
        {"18446744073709551617", false, 0},
        {"99999999999999999999", false, 0},
        {"12345678901234567890", false, 0},
        {"1.0", false, 0},
        {"1e2", false, 0},
        {"0.0", false, 0},
        {"0e0", false, 0},
        {"-0.0", false, 0},
        {"1E+2", false, 0},
        {"1e-2", false, 0},
        {"0e400", false, 0},
        {"0.000e99999999999999999999", false, 0},
        {"1e-400", false, 0},
        {"1e-99999999999", false, 0},
        {"1e308", false, 0},
        {"1.7976931348623157e308", false, 0},
        {"1.7976931348623158e+308", false, 0},
        {"0.00001e313", false, 0},
        {"17976931348623157e292", false, 0},
        {GREATEST "e308", false, 0},
    };
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        say(numbers[i].text);
        assert_valid(conf_slice_from_string(numbers[i].text));
        conf_json_reader_start(&reader, conf_slice_from_string(numbers[i].text));
        g_assert_cmpint(conf_json_reader_next(&reader), ==, CONF_JSON_EVENT_NUMBER);
        g_assert_true(conf_slice_is(reader.text, numbers[i].text));
        g_assert_true(reader.is_integer == numbers[i].is_integer);
        g_assert_cmpint(reader.integer, ==, numbers[i].integer);
    }
}

/* Whether a number fits a double: strtod() is the oracle, near the border and far from it. */
static void
test_number_range(void)
{
    for (unsigned i = 0; i < 20000; i++) {
        g_auto(ConfBuffer) text = CONF_BUFFER_INIT;
        int digits = g_test_rand_int_range(1, 30), point = g_test_rand_int_range(0, 30);
        conf_buffer_append_string(&text, g_test_rand_bit() ? "1" : "17976931348623158");
        for (int j = 0; j < digits; j++) {
            if (j == point)
                conf_buffer_append_char(&text, '.');
            conf_buffer_append_char(&text, (char)('0' + g_test_rand_int_range(0, 10)));
        }
        conf_buffer_printf(&text, "e%d", 308 - g_test_rand_int_range(-3, 50));
        g_autofree char *string = conf_slice_dup(conf_buffer_slice(&text));
        bool fits = isfinite(g_ascii_strtod(string, NULL));
        if (fits)
            assert_valid(conf_buffer_slice(&text));
        else
            assert_fault(conf_buffer_slice(&text), CONF_JSON_FAULT_SYNTAX, 0);
    }
}

static void
test_strings(void)
{
    static const struct {
        const char *json, *text;
    } strings[] = {
        {"\"\"", ""},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u00e9\\u00E9\"", "\xc3\xa9\xc3\xa9"},
        {"\"\xc3\xa9\"", "\xc3\xa9"},
        {"\"\\u20ac\"", "\xe2\x82\xac"},
        {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"},
        {"\"\\uD800\\uDC00\"", "\xf0\x90\x80\x80"},
        {"\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf"},
        {"\"\x7f\"", "\x7f"},
        {"\"\\uffff\"", "\xef\xbf\xbf"},
        {"\"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80\"", "\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80"},
        {"\"\xe0\xa0\x80\xf0\x90\x80\x80\xc2\x80\"", "\xe0\xa0\x80\xf0\x90\x80\x80\xc2\x80"},
        {"\"0123456789abcdef0123456789abcdef\\n0123456789abcdef\"",
         "0123456789abcdef0123456789abcdef\n0123456789abcdef"},
        {"\"/\"", "/"},
        {"\"'\"", "'"},
        {"\"\\u007f\\u0080\\u07ff\\u0800\"", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80"},
    };
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    for (unsigned i = 0; i < G_N_ELEMENTS(strings); i++) {
        say(strings[i].json);
        assert_valid(conf_slice_from_string(strings[i].json));
        conf_json_reader_start(&reader, conf_slice_from_string(strings[i].json));
        g_assert_cmpint(conf_json_reader_next(&reader), ==, CONF_JSON_EVENT_STRING);
        g_assert_cmpmem(reader.text.data, reader.text.size, strings[i].text, strlen(strings[i].text));
        g_assert_true(conf_slice_is(reader.raw, strings[i].json));
    }
    conf_json_reader_start(&reader, CONF_SLICE("\"a\\u0000b\""));
    g_assert_cmpint(conf_json_reader_next(&reader), ==, CONF_JSON_EVENT_STRING);
    g_assert_cmpmem(reader.text.data, reader.text.size, "a\0b", 3);
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
    g_test_add_func("/base/json-reader/syntax", test_syntax);
    g_test_add_func("/base/json-reader/number-faults", test_number_faults);
    g_test_add_func("/base/json-reader/numbers", test_numbers);
    g_test_add_func("/base/json-reader/number-range", test_number_range);
    g_test_add_func("/base/json-reader/strings", test_strings);
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
