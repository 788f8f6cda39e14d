/* test-json-strictness.c - tables of what the JSON reader must refuse, and where it sees it, and of numbers
 * and strings that it must take, with what they mean. */
#include <math.h>

#include "base/buffer.h"

#include "json-reader-checks.h"

/* Half a unit above the greatest double: rounds to infinity.  One less in the last place: to the greatest. */
#define OVERFLOWING \
    "1.79769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207" \
    "0963302864166928879109465555478519404026306574886715058206819089020007083836762738548458177115317644" \
    "7573027006985557136695962284291481986083493647529271907416844436551070434271155969950809304288017790" \
    "4174497792"
#define GREATEST \
    "1.79769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207" \
    "0963302864166928879109465555478519404026306574886715058206819089020007083836762738548458177115317644" \
    "7573027006985557136695962284291481986083493647529271907416844436551070434271155969950809304288017790" \
    "4174497791"

static const struct {
    const char *text;
    size_t offset;
} syntax_faults[] = {
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

static void
test_syntax(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(syntax_faults); i++) {
        say(syntax_faults[i].text);
        assert_fault(conf_slice_from_string(syntax_faults[i].text), CONF_JSON_FAULT_SYNTAX,
                     syntax_faults[i].offset);
    }
    assert_fault((ConfSlice){"\"a\0b\"", 5}, CONF_JSON_FAULT_SYNTAX, 2);
    assert_fault((ConfSlice){"1\0", 2}, CONF_JSON_FAULT_SYNTAX, 1);
    assert_fault((ConfSlice){"\0", 1}, CONF_JSON_FAULT_SYNTAX, 0);
}

static const struct {
    const char *text;
    size_t offset;
} number_faults[] = {
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

static void
test_number_faults(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(number_faults); i++) {
        say(number_faults[i].text);
        assert_fault(conf_slice_from_string(number_faults[i].text), CONF_JSON_FAULT_SYNTAX,
                     number_faults[i].offset);
    }
    g_autofree char *digits = g_strnfill(310, '1');
    assert_fault(conf_slice_from_string(digits), CONF_JSON_FAULT_SYNTAX, 0);
}

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

static void
test_numbers(void)
{
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

static void
test_strings(void)
{
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

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/json-strictness/syntax", test_syntax);
    g_test_add_func("/base/json-strictness/number-faults", test_number_faults);
    g_test_add_func("/base/json-strictness/numbers", test_numbers);
    g_test_add_func("/base/json-strictness/number-range", test_number_range);
    g_test_add_func("/base/json-strictness/strings", test_strings);
    return g_test_run();
}
