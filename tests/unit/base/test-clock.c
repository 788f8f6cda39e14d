/* test-clock.c - RFC 3339 both ways, with GDateTime as the oracle. */
#include "base/clock.h"

static void
assert_parsed(const char *text, int64_t expected)
{
    int64_t ms = -1;
    g_test_message("%s", text);
    g_assert_true(conf_clock_parse(conf_slice_from_string(text), &ms));
    g_assert_cmpint(ms, ==, expected);
}

static void
assert_refused(const char *text)
{
    int64_t ms = 4711;
    g_test_message("%s", text);
    g_assert_false(conf_clock_parse(conf_slice_from_string(text), &ms));
    g_assert_cmpint(ms, ==, 4711);
}

static void
assert_formatted(int64_t ms, const char *expected)
{
    char text[CONF_TIME_TEXT_SIZE];
    conf_clock_format(ms, text);
    g_assert_cmpstr(text, ==, expected);
}

static void
test_format(void)
{
    assert_formatted(0, "1970-01-01T00:00:00.000Z");
    assert_formatted(-1, "1969-12-31T23:59:59.999Z");
    assert_formatted(951782400000, "2000-02-29T00:00:00.000Z");
    assert_formatted(4107542400000, "2100-03-01T00:00:00.000Z");
    assert_formatted(253402300799999, "9999-12-31T23:59:59.999Z");
    assert_formatted(-62135596800000, "0001-01-01T00:00:00.000Z");
    assert_formatted(INT64_MAX, "9999-12-31T23:59:59.999Z");
    assert_formatted(INT64_MIN, "0001-01-01T00:00:00.000Z");
}

static void
test_parse(void)
{
    assert_parsed("1970-01-01T00:00:00Z", 0);
    assert_parsed("1970-01-01t00:00:00z", 0);
    assert_parsed("1969-12-31T23:59:59.999Z", -1);
    assert_parsed("2000-02-29T00:00:00.000Z", 951782400000);
    assert_parsed("1985-04-12T23:20:50.52Z", 482196050520);
    assert_parsed("1996-12-19T16:39:57-08:00", 851042397000);
    assert_parsed("1996-12-20T00:39:57Z", 851042397000);
    assert_parsed("1937-01-01T12:00:27.87+00:20", -1041337172130);
    assert_parsed("1970-01-01T00:00:00-00:00", 0);
    assert_parsed("1970-01-02T23:59:00+23:59", 86400000);
    assert_parsed("0001-01-01T00:00:00Z", -62135596800000);
    assert_parsed("9999-12-31T23:59:59.999Z", 253402300799999);
}

static void
test_rounding(void)
{
    assert_parsed("1970-01-01T00:00:00.0004Z", 0);
    assert_parsed("1970-01-01T00:00:00.0005Z", 1);
    assert_parsed("1970-01-01T00:00:00.00049999999999999999999999Z", 0);
    assert_parsed("1970-01-01T00:00:00.9995Z", 1000);
    assert_parsed("1970-12-31T23:59:59.99950Z", 31536000000);
    assert_parsed("1970-01-01T00:00:00.1Z", 100);
    assert_parsed("1970-01-01T00:00:00.12Z", 120);
    assert_parsed("9999-12-31T23:59:59.9999Z", 253402300799999);
}

/* RFC 3339, 5.8 has the first two. */
static void
test_leap_second(void)
{
    assert_parsed("1990-12-31T23:59:60Z", 662688000000);
    assert_parsed("1990-12-31T15:59:60-08:00", 662688000000);
    assert_parsed("2016-12-31T23:59:60.7Z", 1483228800000);
    assert_refused("1990-12-30T23:59:60Z");
    assert_refused("1990-12-31T22:59:60Z");
    assert_refused("1990-12-31T23:59:60+01:00");
    assert_refused("1990-12-31T23:59:61Z");
    assert_refused("9999-12-31T23:59:60Z");
}

static void
test_refused(void)
{
    static const char *const texts[] = {
        "",
        "Z",
        "2026",
        "2026-11-21",
        "2026-11-21T09:00:00",
        "2026-11-21 09:00:00Z",
        "2026-11-21T09:00Z",
        "2026-11-21T09:00:00.Z",
        "2026-11-21T09:00:00,5Z",
        "2026-11-21T09:00:00ZZ",
        "2026-11-21T09:00:00Z ",
        " 2026-11-21T09:00:00Z",
        "2026-11-21T09:00:00+1:00",
        "2026-11-21T09:00:00+0100",
        "2026-11-21T09:00:00+24:00",
        "2026-11-21T09:00:00+01:60",
        "2026-11-21T09:00:00+",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2025-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2024-02-30T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "+026-01-01T00:00:00Z",
        "-001-01-01T00:00:00Z",
        "12026-01-01T00:00:00Z",
        "2026-1-01T00:00:00Z",
        "20x6-01-01T00:00:00Z",
        "2026/01/01T00:00:00Z",
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
        assert_refused(texts[i]);
    int64_t ms;
    g_assert_false(conf_clock_parse((ConfSlice){NULL, 0}, &ms));
    g_assert_true(conf_clock_parse((ConfSlice){"2000-02-29T00:00:00Zgarbage", 20}, &ms));
}

/* Every day of four centuries, and random instants, there and back. */
static void
test_oracle(void)
{
    for (int64_t day = -146097; day < 146097; day++) {
        int64_t ms = day * 86400000 + 1, parsed = 0;
        char text[CONF_TIME_TEXT_SIZE];
        conf_clock_format(ms, text);
        g_assert_true(conf_clock_parse(conf_slice_from_string(text), &parsed));
        g_assert_cmpint(parsed, ==, ms);
    }
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    for (unsigned i = 0; i < 5000; i++) {
        int64_t ms = (int64_t)g_test_rand_double_range(-62135596800000.0, 253402300799999.0);
        char text[CONF_TIME_TEXT_SIZE];
        conf_clock_format(ms, text);
        g_autoptr(GDateTime) oracle = g_date_time_new_from_iso8601(text, utc);
        g_assert_nonnull(oracle);
        g_assert_cmpint(g_date_time_to_unix(oracle) * 1000 + g_date_time_get_microsecond(oracle) / 1000, ==,
                        ms);
    }
}

static void
test_clocks(void)
{
    int64_t before = conf_clock_monotonic_usec();
    g_assert_cmpint(conf_clock_monotonic_usec(), >=, before);
    g_assert_cmpint(ABS(before - g_get_monotonic_time()), <, 60 * G_USEC_PER_SEC);
    g_assert_cmpint(ABS(conf_clock_wall_ms() - g_get_real_time() / 1000), <, 60000);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/clock/format", test_format);
    g_test_add_func("/base/clock/parse", test_parse);
    g_test_add_func("/base/clock/rounding", test_rounding);
    g_test_add_func("/base/clock/leap-second", test_leap_second);
    g_test_add_func("/base/clock/refused", test_refused);
    g_test_add_func("/base/clock/oracle", test_oracle);
    g_test_add_func("/base/clock/clocks", test_clocks);
    return g_test_run();
}
