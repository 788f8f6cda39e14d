/* test-recent-success.c - what is remembered of a right password, for how long, and what ends it. */
#include "access/recent-success-private.h"

static const ConfKey ANNA = {.type = CONF_TYPE_PERSON, .dbid = 101};
static const ConfKey PROXY = {.type = CONF_TYPE_APPLICATION, .dbid = 101};
static const char HASH[] = "$y$j9T$one";
static const char OTHER_HASH[] = "$y$j9T$two";
#define RIGHT CONF_SLICE("right")
#define WITHIN (G_GINT64_CONSTANT(3600) * G_USEC_PER_SEC)

static void
test_remembers(void)
{
    ConfRecentSuccess *recent = conf_recent_success_new();
    g_assert_false(conf_recent_success_check(recent, ANNA, HASH, RIGHT, WITHIN, 0));
    conf_recent_success_note(recent, ANNA, HASH, RIGHT, 0);
    g_assert_true(conf_recent_success_check(recent, ANNA, HASH, RIGHT, WITHIN, 1));
    g_assert_false(conf_recent_success_check(recent, ANNA, HASH, CONF_SLICE("wrong"), WITHIN, 1));
    g_assert_false(conf_recent_success_check(recent, ANNA, HASH, CONF_SLICE(""), WITHIN, 1));
    g_assert_false(conf_recent_success_check(recent, PROXY, HASH, RIGHT, WITHIN, 1));
    /* A wrong one is no reason to forget. */
    g_assert_true(conf_recent_success_check(recent, ANNA, HASH, RIGHT, WITHIN, 2));
    conf_recent_success_free(recent);
}

static void
test_an_hour(void)
{
    ConfRecentSuccess *recent = conf_recent_success_new();
    conf_recent_success_note(recent, ANNA, HASH, RIGHT, 0);
    /* Use does not prolong it. */
    g_assert_true(conf_recent_success_check(recent, ANNA, HASH, RIGHT, WITHIN, WITHIN));
    g_assert_false(conf_recent_success_check(recent, ANNA, HASH, RIGHT, WITHIN, WITHIN + 1));
    g_assert_false(conf_recent_success_check(recent, ANNA, HASH, RIGHT, WITHIN, 1));
    conf_recent_success_free(recent);
}

static void
test_another_hash_ends_it(void)
{
    ConfRecentSuccess *recent = conf_recent_success_new();
    conf_recent_success_note(recent, ANNA, HASH, RIGHT, 0);
    g_assert_false(conf_recent_success_check(recent, ANNA, OTHER_HASH, RIGHT, WITHIN, 1));
    g_assert_false(conf_recent_success_check(recent, ANNA, HASH, RIGHT, WITHIN, 1));
    conf_recent_success_free(recent);
}

static void
test_forget(void)
{
    ConfRecentSuccess *recent = conf_recent_success_new();
    conf_recent_success_note(recent, ANNA, HASH, RIGHT, 0);
    conf_recent_success_note(recent, PROXY, HASH, RIGHT, 0);
    conf_recent_success_forget(recent, ANNA);
    conf_recent_success_forget(recent, ANNA);
    g_assert_false(conf_recent_success_check(recent, ANNA, HASH, RIGHT, WITHIN, 1));
    g_assert_true(conf_recent_success_check(recent, PROXY, HASH, RIGHT, WITHIN, 1));
    conf_recent_success_free(recent);
}

static void
test_bounded(void)
{
    ConfRecentSuccess *recent = conf_recent_success_new();
    for (int64_t i = 1; i <= CONF_RECENT_SUCCESS_MAX + 10; i++)
        conf_recent_success_note(recent, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = i}, HASH, RIGHT, 0);
    for (int64_t i = 1; i <= 10; i++)
        g_assert_false(conf_recent_success_check(recent, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = i}, HASH,
                                                 RIGHT, WITHIN, 0));
    for (int64_t i = 11; i <= CONF_RECENT_SUCCESS_MAX + 10; i += 100)
        g_assert_true(conf_recent_success_check(recent, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = i}, HASH,
                                                RIGHT, WITHIN, 0));
    conf_recent_success_free(recent);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/access/recent-success/remembers", test_remembers);
    g_test_add_func("/access/recent-success/an-hour", test_an_hour);
    g_test_add_func("/access/recent-success/another-hash", test_another_hash_ends_it);
    g_test_add_func("/access/recent-success/forget", test_forget);
    g_test_add_func("/access/recent-success/bounded", test_bounded);
    return g_test_run();
}
