/* test-account-reports.c - two servers tell each other of accounts: nothing is lost, nothing counts twice,
 * whatever is cut off, sent again or killed in between. */
#include "access/account-state.h"
#include "base/queue-main.h"

#include <glib/gstdio.h>

#define NOON G_GINT64_CONSTANT(1763726400000)
#define HOUR ((int64_t)3600 * 1000)
#define ENVIRONMENT "6f1c3a52-3d0c-4c6e-8b1a-0d6c1f0e9a11"

static const ConfKey ann = {.type = CONF_TYPE_PERSON, .dbid = 101};
static const ConfPolicy three = {.lockout_threshold = 3};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfAccounts, conf_accounts_free)

typedef struct {
    ConfAccountReport items[CONF_ACCOUNTS_A_TIME];
    unsigned count;
    int64_t number;
    char *origin;
} Sent;

static Sent *
compose(ConfAccounts *low)
{
    Sent *sent = g_new0(Sent, 1);
    const ConfAccountReport *reports;
    sent->count = conf_accounts_report(low, &reports, &sent->number);
    memcpy(sent->items, reports, sent->count * sizeof *reports);
    sent->origin = g_strdup(conf_accounts_origin(low));
    return sent;
}

static void
sent_free(Sent *sent)
{
    g_free(sent->origin);
    g_free(sent);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Sent, sent_free)

/* As core/replication/downstream-accounts.c does. */
static void
arrive(ConfAccounts *high, const Sent *sent, int64_t now)
{
    bool is_first = sent->count > 0 && conf_accounts_take_number(high, sent->origin, sent->number);
    for (unsigned i = 0; i < sent->count; i++) {
        const ConfAccountReport *item = &sent->items[i];
        conf_accounts_take_login(high, item->key, item->last_login_ms, now);
        if (!is_first)
            continue;
        if (item->right_ms > 0)
            conf_accounts_note_right(high, item->key, item->right_ms, now);
        conf_accounts_note_wrong(high, item->key, &three, item->wrong, item->wrong_at_ms, now);
        if (item->locked)
            conf_accounts_lock(high, item->key, &three, item->wrong_at_ms, now);
        conf_accounts_touch(high, item->key);
    }
}

static void
answer(ConfAccounts *low, const ConfAccounts *high, int64_t now)
{
    ConfAccountReport reports[CONF_ACCOUNTS_A_TIME];
    uint64_t serial = 0;
    bool more = true;
    conf_accounts_agree(low, conf_accounts_origin(high),
                        conf_accounts_last_report(high, conf_accounts_origin(low)));
    while (more) {
        unsigned count = conf_accounts_changed(high, &serial, reports, CONF_ACCOUNTS_A_TIME, &more);
        for (unsigned i = 0; i < count; i++)
            conf_accounts_take(low, &reports[i], now);
    }
}

static void
exchange(ConfAccounts *low, ConfAccounts *high, int64_t now)
{
    g_autoptr(Sent) sent = compose(low);
    arrive(high, sent, now);
    answer(low, high, now);
}

static void
wrong(ConfAccounts *accounts, unsigned times, int64_t at)
{
    while (times-- > 0)
        conf_accounts_note_wrong(accounts, ann, &three, 1, at, at);
}

static bool
is_locked(ConfAccounts *accounts, int64_t now)
{
    return conf_accounts_is_locked(accounts, ann, &three, now);
}

static void
test_sum(void)
{
    g_autoptr(ConfAccounts) high = conf_accounts_new();
    g_autoptr(ConfAccounts) one = conf_accounts_new();
    g_autoptr(ConfAccounts) two = conf_accounts_new();
    wrong(one, 1, NOON);
    wrong(two, 1, NOON + 1);
    exchange(one, high, NOON + 2);
    exchange(two, high, NOON + 2);
    exchange(one, high, NOON + 3);
    for (unsigned i = 0; i < 5; i++) {
        exchange(one, high, NOON + 4);
        exchange(two, high, NOON + 4);
    }
    g_assert_false(is_locked(high, NOON + 4));
    /* The third, wherever, locks there and then, and everywhere once it is told. */
    wrong(two, 1, NOON + 5);
    g_assert_true(is_locked(two, NOON + 5));
    exchange(two, high, NOON + 6);
    exchange(one, high, NOON + 6);
    g_assert_true(is_locked(high, NOON + 6));
    g_assert_true(is_locked(one, NOON + 6));
    conf_accounts_unlock(high, ann, NOON + 7);
    exchange(one, high, NOON + 8);
    exchange(two, high, NOON + 8);
    g_assert_false(is_locked(one, NOON + 8));
    g_assert_false(is_locked(two, NOON + 8));
}

static void
test_success_resets(void)
{
    g_autoptr(ConfAccounts) high = conf_accounts_new();
    g_autoptr(ConfAccounts) one = conf_accounts_new();
    g_autoptr(ConfAccounts) two = conf_accounts_new();
    wrong(one, 2, NOON);
    exchange(one, high, NOON + 1);
    exchange(two, high, NOON + 1);
    conf_accounts_note_right(two, ann, NOON + 2, NOON + 2);
    exchange(two, high, NOON + 3);
    exchange(one, high, NOON + 3);
    wrong(one, 2, NOON + 4);
    exchange(one, high, NOON + 5);
    exchange(two, high, NOON + 5);
    g_assert_false(is_locked(high, NOON + 5));
    g_assert_false(is_locked(one, NOON + 5));
    /* Right in between, all of it in one report. */
    conf_accounts_note_right(one, ann, NOON + 6, NOON + 6);
    wrong(one, 2, NOON + 7);
    exchange(one, high, NOON + 8);
    g_assert_false(is_locked(high, NOON + 8));
    wrong(high, 1, NOON + 9);
    g_assert_true(is_locked(high, NOON + 9));
}

static void
test_lost_and_again(void)
{
    g_autoptr(ConfAccounts) high = conf_accounts_new();
    g_autoptr(ConfAccounts) low = conf_accounts_new();
    wrong(low, 1, NOON);
    {
        g_autoptr(Sent) lost = compose(low); /* on its way */
    }
    answer(low, high, NOON);
    {
        g_autoptr(Sent) unanswered = compose(low);
        arrive(high, unanswered, NOON + 1);
        arrive(high, unanswered, NOON + 1); /* sent twice */
        wrong(low, 1, NOON + 2);
    }
    answer(low, high, NOON + 3); /* of the next link: the report of before was taken */
    exchange(low, high, NOON + 4);
    exchange(low, high, NOON + 5);
    g_assert_false(is_locked(high, NOON + 5));
    wrong(low, 1, NOON + 6);
    exchange(low, high, NOON + 7);
    g_assert_true(is_locked(high, NOON + 7));
    /* An old one comes again, very late. */
    g_autoptr(ConfAccounts) other = conf_accounts_new();
    wrong(other, 2, NOON + 8);
    g_autoptr(Sent) late = compose(other);
    conf_accounts_unlock(high, ann, NOON + 7);
    arrive(high, late, NOON + 9);
    arrive(high, late, NOON + 9);
    g_assert_false(is_locked(high, NOON + 9));
}

/* A lock that came while the master was away is one when it is back, also where the right password was given
 * elsewhere meanwhile; not where it was set anew. */
static void
test_locked_meanwhile(void)
{
    g_autoptr(ConfAccounts) high = conf_accounts_new();
    g_autoptr(ConfAccounts) low = conf_accounts_new();
    wrong(low, 3, NOON);
    conf_accounts_note_right(high, ann, NOON + HOUR, NOON + HOUR);
    answer(low, high, NOON + HOUR);
    g_assert_true(is_locked(low, NOON + HOUR));
    exchange(low, high, NOON + HOUR);
    g_assert_true(is_locked(low, NOON + HOUR));
    g_assert_true(is_locked(high, NOON + HOUR));
    g_autoptr(ConfAccounts) again = conf_accounts_new();
    wrong(again, 3, NOON + HOUR);
    conf_accounts_unlock(high, ann, NOON + 2 * HOUR);
    exchange(again, high, NOON + 3 * HOUR);
    g_assert_false(is_locked(high, NOON + 3 * HOUR));
    g_assert_false(is_locked(again, NOON + 3 * HOUR));
}

static void
test_three_levels(void)
{
    g_autoptr(ConfAccounts) top = conf_accounts_new();
    g_autoptr(ConfAccounts) middle = conf_accounts_new();
    g_autoptr(ConfAccounts) low = conf_accounts_new();
    conf_accounts_note_login(low, ann, NOON);
    wrong(low, 2, NOON + 1);
    wrong(middle, 1, NOON + 2);
    for (unsigned i = 0; i < 3; i++) {
        exchange(low, middle, NOON + 3);
        exchange(middle, top, NOON + 3);
    }
    g_assert_true(is_locked(top, NOON + 3));
    g_assert_true(is_locked(low, NOON + 3));
    g_assert_cmpint(conf_accounts_last_login(top, ann), ==, NOON);
    conf_accounts_note_login(top, ann, NOON + 9);
    exchange(middle, top, NOON + 10);
    exchange(low, middle, NOON + 10);
    g_assert_cmpint(conf_accounts_last_login(low, ann), ==, NOON + 9);
}

/* ---- killed ---- */
static char *
copy_of(const char *folder)
{
    g_autofree char *from = g_build_filename(folder, "confserv.accounts", NULL);
    char *text = NULL;
    g_assert_true(g_file_get_contents(from, &text, NULL, NULL));
    return text;
}

static ConfAccounts *
opened(const char *folder)
{
    ConfAccounts *accounts = conf_accounts_new();
    conf_accounts_open(accounts, folder, ENVIRONMENT);
    return accounts;
}

static ConfAccounts *
revived(const char *folder, const char *text)
{
    g_autofree char *path = g_build_filename(folder, "confserv.accounts", NULL);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    return opened(folder);
}

static void
remove_folder(char *folder)
{
    g_autofree char *path = g_build_filename(folder, "confserv.accounts", NULL);
    g_unlink(path);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
    g_free(folder);
}

/* The file of a killed server is from some moment before; `when` says from which. */
static void
killed(unsigned when, bool must_lock)
{
    char *folder = g_dir_make_tmp("accounts-XXXXXX", NULL);
    g_autoptr(ConfAccounts) high = conf_accounts_new();
    g_autofree char *text = NULL;
    ConfAccounts *low = opened(folder);
    wrong(low, 1, NOON);
    exchange(low, high, NOON + 1);
    wrong(low, 1, NOON + 2); /* not told yet */
    if (when == 0)
        conf_accounts_free(g_steal_pointer(&low)); /* which writes the file */
    text = low == NULL ? copy_of(folder) : NULL;
    if (low == NULL)
        low = opened(folder);
    {
        g_autoptr(Sent) sent = compose(low);
        conf_accounts_agree(low, conf_accounts_origin(high),
                            conf_accounts_last_report(high, conf_accounts_origin(low)));
        g_autoptr(Sent) told = compose(low);
        arrive(high, told, NOON + 3);
    }
    if (when == 1) {
        conf_accounts_free(g_steal_pointer(&low)); /* told, and no answer came */
        text = copy_of(folder);
    } else if (when == 2) {
        answer(low, high, NOON + 4);
        conf_accounts_free(g_steal_pointer(&low)); /* told and answered */
        text = copy_of(folder);
    }
    conf_accounts_free(low);
    low = revived(folder, text);
    answer(low, high, NOON + 5);
    exchange(low, high, NOON + 6);
    g_assert_false(is_locked(high, NOON + 6)); /* two they were, whenever it was killed */
    if (must_lock) {
        wrong(low, 1, NOON + 7);
        exchange(low, high, NOON + 8);
        g_assert_true(is_locked(high, NOON + 8));
    }
    conf_accounts_free(low);
    remove_folder(folder);
}

static void
test_killed(void)
{
    killed(0, true);
    killed(1, true);
    killed(2, true);
}

/* Stopped, or killed, while the master was away: what was not told is told by the next process. */
static void
test_stopped_untold(void)
{
    char *folder = g_dir_make_tmp("accounts-XXXXXX", NULL);
    g_autoptr(ConfAccounts) high = conf_accounts_new();
    ConfAccounts *low = opened(folder);
    conf_accounts_note_login(low, ann, NOON);
    wrong(low, 3, NOON + 1);
    conf_accounts_free(low);
    low = opened(folder);
    g_assert_true(is_locked(low, NOON + 2));
    answer(low, high, NOON + 2);
    exchange(low, high, NOON + 2);
    g_assert_cmpint(conf_accounts_last_login(high, ann), ==, NOON);
    g_assert_true(is_locked(high, NOON + 2));
    conf_accounts_free(low);
    remove_folder(folder);
}

/* The master was killed, and its file is older than what it has answered: it is told again, and once. */
static void
master_killed(bool answered)
{
    char *folder = g_dir_make_tmp("accounts-XXXXXX", NULL);
    g_autoptr(ConfAccounts) low = conf_accounts_new();
    ConfAccounts *high = opened(folder);
    wrong(low, 1, NOON);
    exchange(low, high, NOON + 1);
    conf_accounts_free(high);
    g_autofree char *text = copy_of(folder);
    high = opened(folder);
    wrong(low, 1, NOON + 2);
    conf_accounts_note_login(low, ann, NOON + 2);
    {
        g_autoptr(Sent) sent = compose(low);
        arrive(high, sent, NOON + 2);
        if (answered)
            answer(low, high, NOON + 2);
    }
    conf_accounts_free(high);
    high = revived(folder, text); /* it took the second one, and knows nothing of it */
    answer(low, high, NOON + 3);
    for (unsigned i = 0; i < 3; i++)
        exchange(low, high, NOON + 3);
    g_assert_false(is_locked(high, NOON + 3));
    g_assert_cmpint(conf_accounts_last_login(high, ann), ==, NOON + 2);
    wrong(low, 1, NOON + 4);
    exchange(low, high, NOON + 5);
    g_assert_true(is_locked(high, NOON + 5));
    conf_accounts_free(high);
    remove_folder(folder);
}

static void
test_master_killed(void)
{
    master_killed(false);
    master_killed(true);
}

/* A right password is told again too, so that what it forgave stays forgiven. */
static void
test_forgiven_again(void)
{
    char *folder = g_dir_make_tmp("accounts-XXXXXX", NULL);
    g_autoptr(ConfAccounts) low = conf_accounts_new();
    ConfAccounts *high = opened(folder);
    wrong(low, 2, NOON);
    exchange(low, high, NOON + 1);
    conf_accounts_free(high);
    g_autofree char *text = copy_of(folder);
    high = opened(folder);
    conf_accounts_note_right(low, ann, NOON + 2, NOON + 2);
    exchange(low, high, NOON + 3);
    conf_accounts_free(high);
    high = revived(folder, text);
    answer(low, high, NOON + 4);
    exchange(low, high, NOON + 4);
    wrong(low, 2, NOON + 5);
    exchange(low, high, NOON + 5);
    g_assert_false(is_locked(high, NOON + 5));
    g_assert_false(is_locked(low, NOON + 5));
    conf_accounts_free(high);
    remove_folder(folder);
}

/* The link goes to another server, which follows the one before: what that one has, or may have, is not
 * told again. */
static void
test_other_server(void)
{
    g_autoptr(ConfAccounts) top = conf_accounts_new();
    g_autoptr(ConfAccounts) middle = conf_accounts_new();
    g_autoptr(ConfAccounts) low = conf_accounts_new();
    wrong(low, 1, NOON);
    exchange(low, top, NOON + 1);
    wrong(low, 1, NOON + 2);
    {
        g_autoptr(Sent) unanswered = compose(low);
        arrive(top, unanswered, NOON + 2);
    }
    for (unsigned i = 0; i < 3; i++) {
        answer(low, middle, NOON + 3);
        exchange(low, middle, NOON + 3);
        exchange(middle, top, NOON + 3);
    }
    g_assert_false(is_locked(top, NOON + 3));
    wrong(low, 1, NOON + 4);
    exchange(low, middle, NOON + 5);
    exchange(middle, top, NOON + 5);
    g_assert_true(is_locked(top, NOON + 5));
}

static void
test_bounds(void)
{
    g_autoptr(ConfAccounts) high = conf_accounts_new();
    g_autoptr(ConfAccounts) low = conf_accounts_new();
    for (unsigned i = 0; i < 2 * CONF_ACCOUNT_ORIGINS_MAX; i++) {
        g_autofree char *origin = g_strdup_printf("origin-%u", i);
        g_assert_true(conf_accounts_take_number(high, origin, 7));
    }
    g_assert_cmpint(conf_accounts_last_report(high, "origin-1999"), ==, 7);
    g_assert_cmpint(conf_accounts_last_report(high, "origin-1000"), ==, 7);
    g_assert_cmpint(conf_accounts_last_report(high, "origin-999"), ==, 0);
    /* More than one report takes; what comes in between is not forgotten. */
    for (int64_t dbid = 1; dbid <= 1200; dbid++)
        conf_accounts_note_login(low, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = dbid}, NOON + dbid);
    conf_accounts_note_login(low, (ConfKey){.type = CONF_TYPE_APPLICATION, .dbid = 5}, NOON);
    for (unsigned i = 0; i < 3; i++) {
        g_autoptr(Sent) sent = compose(low);
        g_assert_cmpint(sent->number, ==, i + 1);
        g_assert_cmpuint(sent->count, ==, i < 2 ? 500 : 202); /* one of them again: it came in between */
        ;
        arrive(high, sent, NOON + HOUR);
        conf_accounts_note_login(low, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = 1}, NOON + 2000 + i);
        answer(low, high, NOON + HOUR);
    }
    g_assert_cmpint(conf_accounts_last_login(high, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = 1200}), ==,
                    NOON + 1200);
    exchange(low, high, NOON + HOUR);
    g_assert_cmpint(conf_accounts_last_login(high, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = 1}), ==,
                    NOON + 2002);
    g_autoptr(Sent) nothing = compose(low);
    g_assert_cmpuint(nothing->count, ==, 0);
    /* Other data: nothing of before is told, and it is another origin. */
    g_autofree char *before = g_strdup(conf_accounts_origin(low));
    conf_accounts_note_login(low, ann, NOON);
    conf_accounts_reset(low, ENVIRONMENT);
    g_assert_cmpstr(conf_accounts_origin(low), !=, before);
    g_autoptr(Sent) reset = compose(low);
    g_assert_cmpuint(reset->count, ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    g_test_add_func("/access/account-reports/sum", test_sum);
    g_test_add_func("/access/account-reports/success-resets", test_success_resets);
    g_test_add_func("/access/account-reports/lost-and-again", test_lost_and_again);
    g_test_add_func("/access/account-reports/locked-meanwhile", test_locked_meanwhile);
    g_test_add_func("/access/account-reports/three-levels", test_three_levels);
    g_test_add_func("/access/account-reports/killed", test_killed);
    g_test_add_func("/access/account-reports/stopped-untold", test_stopped_untold);
    g_test_add_func("/access/account-reports/master-killed", test_master_killed);
    g_test_add_func("/access/account-reports/forgiven-again", test_forgiven_again);
    g_test_add_func("/access/account-reports/other-server", test_other_server);
    g_test_add_func("/access/account-reports/bounds", test_bounds);
    return g_test_run();
}
