/* test-account-state.c - last log-ins, wrong passwords and locks, by clocks that go wrong too. */
#include "access/account-state.h"

#define MINUTE ((int64_t)60 * 1000)
#define HOUR (60 * MINUTE)
#define NOON G_GINT64_CONSTANT(1763726400000)

static const ConfKey ann = {.type = CONF_TYPE_PERSON, .dbid = 101};
static const ConfKey bob = {.type = CONF_TYPE_PERSON, .dbid = 102};
static const ConfKey acme = {.type = CONF_TYPE_TENANT, .dbid = 103};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfAccounts, conf_accounts_free)

static bool
wrong(ConfAccounts *accounts, const ConfPolicy *policy, int64_t at)
{
    return conf_accounts_note_wrong(accounts, ann, policy, 1, at, at);
}

static void
test_last_login(void)
{
    g_autoptr(ConfAccounts) accounts = conf_accounts_new();
    g_assert_cmpint(conf_accounts_last_login(accounts, ann), ==, 0);
    conf_accounts_note_login(accounts, ann, NOON);
    conf_accounts_take_login(accounts, ann, NOON - 1, NOON);
    g_assert_cmpint(conf_accounts_last_login(accounts, ann), ==, NOON);
    conf_accounts_take_login(accounts, ann, NOON + 5, NOON + 5);
    g_assert_cmpint(conf_accounts_last_login(accounts, ann), ==, NOON + 5);
    g_assert_cmpint(conf_accounts_last_login(accounts, bob), ==, 0);
    /* Nobody logged in tomorrow: the clock was wrong then. */
    conf_accounts_note_login(accounts, ann, NOON + 24 * HOUR);
    conf_accounts_take_login(accounts, ann, NOON + HOUR, NOON + 2 * HOUR);
    g_assert_cmpint(conf_accounts_last_login(accounts, ann), ==, NOON + HOUR);
    conf_accounts_take_login(accounts, bob, 0, NOON);
    conf_accounts_take_login(accounts, bob, -5, NOON);
    g_assert_cmpint(conf_accounts_last_login(accounts, bob), ==, 0);
    conf_accounts_forget(accounts, ann);
    conf_accounts_forget(accounts, ann);
    g_assert_cmpint(conf_accounts_last_login(accounts, ann), ==, 0);
}

static void
test_lock(void)
{
    g_autoptr(ConfAccounts) accounts = conf_accounts_new();
    const ConfPolicy policy = {.lockout_threshold = 3, .lockout_duration_min = 30};
    g_assert_false(wrong(accounts, &policy, NOON));
    g_assert_false(wrong(accounts, &policy, NOON + 1));
    conf_accounts_note_right(accounts, ann, NOON + 2, NOON + 2);
    g_assert_false(wrong(accounts, &policy, NOON + 3));
    g_assert_false(wrong(accounts, &policy, NOON + 4));
    g_assert_false(conf_accounts_is_locked(accounts, ann, &policy, NOON + 4));
    g_assert_true(wrong(accounts, &policy, NOON + 5));
    g_assert_true(conf_accounts_is_locked(accounts, ann, &policy, NOON + 5));
    g_assert_false(conf_accounts_is_locked(accounts, bob, &policy, NOON + 5));
    /* Attempts meanwhile do not lengthen it, and it begins with none of the old ones. */
    g_assert_false(wrong(accounts, &policy, NOON + 29 * MINUTE));
    g_assert_true(conf_accounts_is_locked(accounts, ann, &policy, NOON + 4 + 30 * MINUTE));
    g_assert_false(conf_accounts_is_locked(accounts, ann, &policy, NOON + 5 + 30 * MINUTE));
    g_assert_false(wrong(accounts, &policy, NOON + 31 * MINUTE));
    g_assert_false(wrong(accounts, &policy, NOON + 31 * MINUTE));
    g_assert_true(wrong(accounts, &policy, NOON + 31 * MINUTE));
    conf_accounts_unlock(accounts, ann, NOON + 32 * MINUTE);
    g_assert_false(conf_accounts_is_locked(accounts, ann, &policy, NOON + 32 * MINUTE));
    /* A right password elsewhere, which knew of no lock, is none for it. */
    for (unsigned i = 0; i < 3; i++)
        wrong(accounts, &policy, NOON + 33 * MINUTE);
    conf_accounts_note_right(accounts, ann, NOON + 34 * MINUTE, NOON + 34 * MINUTE);
    g_assert_true(conf_accounts_is_locked(accounts, ann, &policy, NOON + 34 * MINUTE));
}

static void
test_rules(void)
{
    g_autoptr(ConfAccounts) accounts = conf_accounts_new();
    const ConfPolicy none = {.lockout_duration_min = 30};
    const ConfPolicy exempt = {.lockout_threshold = 1, .override_lockout = true};
    const ConfPolicy forever = {.lockout_threshold = 1};
    for (unsigned i = 0; i < 20; i++) {
        g_assert_false(wrong(accounts, &none, NOON));
        g_assert_false(wrong(accounts, &exempt, NOON));
        g_assert_false(conf_accounts_lock(accounts, ann, &none, NOON, NOON));
        g_assert_false(conf_accounts_lock(accounts, ann, &exempt, NOON, NOON));
    }
    g_assert_false(conf_accounts_note_wrong(accounts, ann, &forever, 0, NOON, NOON));
    g_assert_false(conf_accounts_note_wrong(accounts, ann, &forever, -7, NOON, NOON));
    g_assert_true(conf_accounts_note_wrong(accounts, ann, &forever, G_MAXINT64, NOON, NOON));
    g_assert_true(conf_accounts_is_locked(accounts, ann, &forever, NOON + 100 * 365 * 24 * HOUR));
    g_assert_false(conf_accounts_lock(accounts, ann, &forever, NOON, NOON)); /* It is. */
    conf_accounts_unlock(accounts, ann, NOON + 1);
    g_assert_false(conf_accounts_is_locked(accounts, ann, &forever, NOON + 1));
    g_assert_cmpint(conf_accounts_forced_since(accounts, acme, NOON), ==, NOON);
    g_assert_cmpint(conf_accounts_forced_since(accounts, acme, NOON + 9), ==, NOON);
    conf_accounts_not_forced(accounts, acme);
    conf_accounts_not_forced(accounts, bob);
    g_assert_cmpint(conf_accounts_forced_since(accounts, acme, NOON + 9), ==, NOON + 9);
}

static void
test_window(void)
{
    g_autoptr(ConfAccounts) accounts = conf_accounts_new();
    const ConfPolicy policy = {.lockout_threshold = 3, .lockout_duration_min = 5, .lockout_period_min = 10};
    g_assert_false(wrong(accounts, &policy, NOON));
    g_assert_false(wrong(accounts, &policy, NOON + 10 * MINUTE));
    g_assert_false(wrong(accounts, &policy, NOON + 10 * MINUTE + 1)); /* the first of the next window */
    g_assert_false(wrong(accounts, &policy, NOON + 11 * MINUTE));
    g_assert_true(wrong(accounts, &policy, NOON + 12 * MINUTE));
    /* Told of late: those from before are of no new window. */
    g_assert_false(conf_accounts_note_wrong(accounts, bob, &policy, 2, NOON, NOON + MINUTE));
    g_assert_true(conf_accounts_note_wrong(accounts, bob, &policy, 1, NOON - MINUTE, NOON + MINUTE));
}

/* What came from elsewhere, later than it happened. */
static void
test_late(void)
{
    g_autoptr(ConfAccounts) accounts = conf_accounts_new();
    const ConfPolicy policy = {.lockout_threshold = 2, .lockout_duration_min = 30};
    conf_accounts_note_right(accounts, ann, NOON, NOON);
    g_assert_false(conf_accounts_note_wrong(accounts, ann, &policy, 9, NOON - 1, NOON + 1));
    g_assert_false(conf_accounts_note_wrong(accounts, ann, &policy, 1, NOON, NOON + 1));
    /* A right one before the last wrong one forgets nothing; a later one does. */
    conf_accounts_note_right(accounts, ann, NOON - 5, NOON + 2);
    g_assert_false(conf_accounts_note_wrong(accounts, bob, &policy, 1, NOON, NOON));
    conf_accounts_note_right(accounts, bob, NOON - 1, NOON);
    g_assert_true(conf_accounts_note_wrong(accounts, bob, &policy, 1, NOON, NOON));
    conf_accounts_note_right(accounts, ann, NOON + 3, NOON + 3);
    g_assert_false(conf_accounts_note_wrong(accounts, ann, &policy, 1, NOON + 4, NOON + 4));
    /* A lock that is over locks nobody, nor does one from before the password was set anew. */
    g_assert_false(conf_accounts_lock(accounts, ann, &policy, NOON - HOUR, NOON + 5));
    g_assert_false(conf_accounts_is_locked(accounts, ann, &policy, NOON + 5));
    conf_accounts_unlock(accounts, ann, NOON + 10);
    g_assert_false(conf_accounts_lock(accounts, ann, &policy, NOON + 9, NOON + 11));
    g_assert_false(conf_accounts_note_wrong(accounts, ann, &policy, 9, NOON + 9, NOON + 11));
    g_assert_true(conf_accounts_lock(accounts, ann, &policy, NOON + 11, NOON + 12));
    g_assert_true(conf_accounts_is_locked(accounts, ann, &policy, NOON + 12));
    /* Set anew before anything else was known of the account. */
    const ConfKey cecil = {.type = CONF_TYPE_PERSON, .dbid = 104};
    conf_accounts_unlock(accounts, cecil, NOON);
    g_assert_false(conf_accounts_note_wrong(accounts, cecil, &policy, 9, NOON - 1, NOON + 1));
}

/* The clock stood a year ahead, and was set right. */
static void
test_clock_back(void)
{
    g_autoptr(ConfAccounts) accounts = conf_accounts_new();
    const ConfPolicy policy = {.lockout_threshold = 2, .lockout_duration_min = 30, .lockout_period_min = 10};
    const int64_t ahead = NOON + 365 * 24 * HOUR;
    g_assert_true(conf_accounts_note_wrong(accounts, ann, &policy, 2, ahead, ahead));
    g_assert_true(conf_accounts_is_locked(accounts, ann, &policy, NOON));
    g_assert_true(conf_accounts_is_locked(accounts, ann, &policy, NOON + 29 * MINUTE));
    g_assert_false(conf_accounts_is_locked(accounts, ann, &policy, NOON + 30 * MINUTE)); /* and not a year */
    /* Wrong ones of then are of another window, right ones of then forgive nothing. */
    g_assert_false(conf_accounts_note_wrong(accounts, bob, &policy, 1, ahead, ahead));
    g_assert_false(conf_accounts_note_wrong(accounts, bob, &policy, 1, NOON, NOON));
    conf_accounts_note_right(accounts, bob, ahead, ahead);
    g_assert_false(conf_accounts_note_wrong(accounts, bob, &policy, 1, NOON, NOON));
    g_assert_true(conf_accounts_note_wrong(accounts, bob, &policy, 1, NOON + 1, NOON + 1));
    conf_accounts_unlock(accounts, bob, ahead);
    conf_accounts_note_right(accounts, bob, NOON + 2, NOON + 2);
    g_assert_false(conf_accounts_note_wrong(accounts, bob, &policy, 1, NOON + 3, NOON + 3));
    g_assert_true(conf_accounts_note_wrong(accounts, bob, &policy, 1, NOON + 4, NOON + 4));
    /* A rule that is shorter now shortens what stands; one that was for ever stays so. */
    const ConfPolicy shorter = {.lockout_threshold = 2, .lockout_duration_min = 1};
    g_assert_true(conf_accounts_is_locked(accounts, bob, &shorter, NOON + 4));
    g_assert_false(conf_accounts_is_locked(accounts, bob, &shorter, NOON + 4 + MINUTE));
    const ConfPolicy forever = {.lockout_threshold = 1};
    g_assert_true(conf_accounts_note_wrong(accounts, ann, &forever, 1, NOON + HOUR, NOON + HOUR));
    g_assert_true(conf_accounts_is_locked(accounts, ann, &shorter, NOON + 1000 * HOUR));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/access/account-state/last-login", test_last_login);
    g_test_add_func("/access/account-state/lock", test_lock);
    g_test_add_func("/access/account-state/rules", test_rules);
    g_test_add_func("/access/account-state/window", test_window);
    g_test_add_func("/access/account-state/late", test_late);
    g_test_add_func("/access/account-state/clock-back", test_clock_back);
    return g_test_run();
}
