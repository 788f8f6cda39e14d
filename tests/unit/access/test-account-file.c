/* test-account-file.c - confserv.accounts: damaged, cut, old, too large, of another kind, on a full disk,
 * and of a process that was killed while it wrote. */
#include "access/account-file-private.h"
#include "base/queue-main.h"
#include "base/timer-wheel.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HERE "6f1c3a52-3d0c-4c6e-8b1a-0d6c1f0e9a11"
#define ELSEWHERE "6f1c3a52-3d0c-4c6e-8b1a-0d6c1f0e9a12"
#define HEAD "confserv-accounts-2 " HERE "\n"
#define NOON G_GINT64_CONSTANT(1763726400000)

static const ConfKey ann = {.type = CONF_TYPE_PERSON, .dbid = 101};
static const ConfPolicy forever = {.lockout_threshold = 1};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfAccounts, conf_accounts_free)

typedef struct {
    char *folder, *path, *bad, *fresh;
} Place;

static Place *
place_new(void)
{
    Place *place = g_new0(Place, 1);
    place->folder = g_dir_make_tmp("accounts-XXXXXX", NULL);
    place->path = g_build_filename(place->folder, "confserv.accounts", NULL);
    place->bad = g_strconcat(place->path, ".bad", NULL);
    place->fresh = g_strconcat(place->path, ".new", NULL);
    return place;
}

static void
place_free(Place *place)
{
    g_remove(place->path);
    g_remove(place->bad);
    g_remove(place->fresh);
    g_assert_cmpint(g_rmdir(place->folder), ==, 0);
    g_free(place->folder);
    g_free(place->path);
    g_free(place->bad);
    g_free(place->fresh);
    g_free(place);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Place, place_free)

static ConfAccounts *
open_in(const Place *place, const char *environment)
{
    ConfAccounts *accounts = conf_accounts_new();
    conf_accounts_open(accounts, place->folder, environment);
    return accounts;
}

static ConfAccounts *
open_text(const Place *place, const char *text)
{
    g_assert_true(g_file_set_contents(place->path, text, -1, NULL));
    return open_in(place, HERE);
}

static char *
text_in(const char *path)
{
    char *text = NULL;
    return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

static bool
exists(const char *path)
{
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static void
test_round_trip(void)
{
    g_autoptr(Place) place = place_new();
    ConfAccounts *accounts = open_in(place, HERE);
    g_assert_false(exists(place->bad)); /* That there is none yet is no fault. */
    const ConfKey acme = {.type = CONF_TYPE_TENANT, .dbid = 7},
                  app = {.type = CONF_TYPE_APPLICATION, .dbid = 8};
    conf_accounts_note_login(accounts, ann, NOON);
    conf_accounts_note_login(accounts, app, NOON + 1);
    conf_accounts_note_wrong(accounts, ann, &forever, 1, NOON + 2, NOON + 2);
    conf_accounts_forced_since(accounts, acme, NOON + 3);
    conf_accounts_take_number(accounts, "below-1", 42);
    g_autofree char *origin = g_strdup(conf_accounts_origin(accounts));
    conf_accounts_free(accounts);
    g_autofree char *text = text_in(place->path);
    g_assert_true(g_str_has_prefix(text, HEAD));
    accounts = open_in(place, HERE);
    g_assert_cmpint(conf_accounts_last_login(accounts, ann), ==, NOON);
    g_assert_cmpint(conf_accounts_last_login(accounts, app), ==, NOON + 1);
    g_assert_true(conf_accounts_is_locked(accounts, ann, &forever, NOON + 10));
    g_assert_cmpint(conf_accounts_forced_since(accounts, acme, NOON + 10), ==, NOON + 3);
    g_assert_cmpint(conf_accounts_last_report(accounts, "below-1"), ==, 42);
    g_assert_cmpstr(conf_accounts_origin(accounts), ==, origin);
    conf_accounts_free(accounts);
    /* Nothing was changed, nothing is written; of another environment nothing counts. */
    g_autofree char *again = text_in(place->path);
    g_assert_cmpstr(text, ==, again);
    accounts = open_in(place, ELSEWHERE);
    g_assert_cmpint(conf_accounts_last_login(accounts, ann), ==, 0);
    g_assert_cmpint(conf_accounts_last_report(accounts, "below-1"), ==, 0);
    conf_accounts_free(accounts);
    g_assert_false(exists(place->bad));
}

static void
test_format_1(void)
{
    g_autoptr(Place) place = place_new();
    g_autoptr(ConfAccounts) accounts =
        open_text(place, "confserv-accounts-1 " HERE "\n3 101 1763726400000 2 1763726400001 1763726400002 "
                         "9223372036854775807 0\n");
    g_assert_cmpint(conf_accounts_last_login(accounts, ann), ==, NOON);
    g_assert_true(conf_accounts_is_locked(accounts, ann, &forever, NOON));
    g_assert_false(exists(place->bad));
}

/* Lines that are none cost themselves alone, and what stood there is kept. */
static void
test_damaged_lines(void)
{
    static const char good[] = "3 101 1763726400000 0 0 0 0 0 0 0 0 0\n";
    static const char *const lines[] = {
        "\n",
        "3 101\n",
        "3 101 1 0 0 0 0 0 0 0 0\n",                 /* a field is missing */
        "3 101 1 0 0 0 0 0 0 0 0 0 0\n",             /* and one too many */
        "3 101 1 0 0 0 0 0 0 0 0 -1\n",              /* negative */
        "3 101 1 0 0 0 0 0 0 0 0 x\n",               /* no number */
        "3 101 253402300800000 0 0 0 0 0 0 0 0 0\n", /* after the end of time */
        "65536 101 1 0 0 0 0 0 0 0 0 0\n",           /* no type */
        "3 0 1 0 0 0 0 0 0 0 0 0\n",                 /* no dbid */
        "3 99999999999999999999 1 0 0 0 0 0 0 0 0 0\n",
        "3  101 1 0 0 0 0 0 0 0 0 0\n",
        " 3 101 1 0 0 0 0 0 0 0 0 0\n",
        "3 101 1 0 0 0 0 0 0 0 0 0 \n",
        "3 101 1 0 0 0 0 0 0 0 0 0", /* cut: the last number may have been a longer one */
        "own \n",
        "own name\n",
        "own name \n",
        "own name -1\n",
        "own name 1x\n",
        "own  1\n",
        "of 01234567890123456789012345678901234567890123456789012345678901234 1\n",
        "of name 99999999999999999999\n",
        "\xff\xfe\xfd\n",
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(Place) place = place_new();
        g_autofree char *text = g_strconcat(HEAD, good, lines[i], NULL);
        g_autoptr(ConfAccounts) accounts = open_text(place, text);
        g_assert_cmpint(conf_accounts_last_login(accounts, ann), ==, NOON);
        g_autofree char *kept = text_in(place->bad);
        g_assert_cmpstr(kept, ==, text);
        g_assert_false(exists(place->path));
    }
    /* Numbers that are too large are cut to what can be. */
    g_autoptr(Place) place = place_new();
    g_autoptr(ConfAccounts) accounts = open_text(
        place, HEAD "3 101 0 253402300799999 0 0 9999999999999999999999 0 0 0 255 253402300799999\n");
    const ConfPolicy thousand = {.lockout_threshold = 1000};
    g_assert_true(conf_accounts_is_locked(accounts, ann, &thousand, NOON));
    conf_accounts_unlock(accounts, ann, NOON);
    g_assert_false(conf_accounts_is_locked(accounts, ann, &thousand, NOON));
}

static void
test_cut_anywhere(void)
{
    static const char whole[] = HEAD "own abc 5\nof def 6\n3 101 1763726400000 1 2 3 4 5 6 7 7 8\n"
                                     "3 102 1763726400000 1 2 3 4 5 6 7 7 8\n";
    for (unsigned size = 0; size < sizeof whole - 1; size++) {
        g_autoptr(Place) place = place_new();
        g_autofree char *text = g_strndup(whole, size);
        g_autoptr(ConfAccounts) accounts = open_text(place, text);
        int64_t last = conf_accounts_last_login(accounts, ann);
        g_assert_true(last == 0 || last == NOON);
        int64_t number = conf_accounts_last_report(accounts, "def");
        g_assert_true(number == 0 || number == 6);
        /* It goes on, and the next one is whole. */
        conf_accounts_note_login(accounts, ann, NOON + 1);
        conf_accounts_free(g_steal_pointer(&accounts));
        g_autoptr(ConfAccounts) again = open_in(place, HERE);
        g_assert_cmpint(conf_accounts_last_login(again, ann), ==, NOON + 1);
    }
}

static void
test_no_file_of_accounts(void)
{
    static const char nul[] = HEAD "3 101 1763726400000 0 0 0 0 0 0 0 0 0\n\0more";
    g_autoptr(Place) place = place_new();
    g_assert_true(g_file_set_contents(place->path, nul, sizeof nul - 1, NULL));
    ConfAccounts *accounts = open_in(place, HERE);
    g_assert_cmpint(conf_accounts_last_login(accounts, ann), ==, 0);
    g_assert_true(exists(place->bad));
    conf_accounts_free(accounts);
    /* Nobody writes to a pipe, and nobody waits for it. */
    g_assert_cmpint(mkfifo(place->path, 0600), ==, 0);
    conf_accounts_free(open_in(place, HERE));
    g_assert_false(exists(place->path));
    /* A folder, whose name something else may have by now. */
    g_remove(place->bad);
    g_assert_cmpint(g_mkdir(place->path, 0700), ==, 0);
    conf_accounts_free(open_in(place, HERE));
    g_assert_false(exists(place->path));
    /* Too large to be one; the file has no blocks, so nothing but its size tells. */
    g_remove(place->bad);
    int fd = open(place->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    g_assert_cmpint(write(fd, HEAD, sizeof HEAD - 1), ==, sizeof HEAD - 1);
    g_assert_cmpint(ftruncate(fd, (off_t)1 << 40), ==, 0);
    close(fd);
    accounts = open_in(place, HERE);
    g_assert_cmpint(conf_accounts_last_login(accounts, ann), ==, 0);
    conf_accounts_free(accounts);
    g_assert_true(exists(place->bad));
}

/* A process that writes its accounts all the time, and is killed at any moment. */
static void
write_for_ever(const Place *place)
{
    for (int64_t time = NOON;; time++) {
        ConfAccounts *accounts = open_in(place, HERE);
        if (time > NOON && conf_accounts_last_login(accounts, ann) != time - 1)
            _exit(3);
        for (int64_t dbid = 101; dbid <= 400; dbid++)
            conf_accounts_note_login(accounts, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = dbid}, time);
        conf_accounts_free(accounts);
    }
}

static void
test_killed_while_writing(void)
{
    g_autoptr(Place) place = place_new();
    for (unsigned i = 0; i < 12; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            g_unlink(place->path);
            write_for_ever(place);
        }
        g_assert_cmpint(pid, >, 0);
        int64_t until = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
        while (!exists(place->path) && g_get_monotonic_time() < until)
            g_usleep(500);
        g_usleep((gulong)g_test_rand_int_range(0, 20000));
        int status;
        g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_true(WIFSIGNALED(status));
        /* One of the states that were written, and the whole of it. */
        g_autoptr(ConfAccounts) accounts = open_in(place, HERE);
        int64_t time = conf_accounts_last_login(accounts, ann);
        g_assert_false(exists(place->bad));
        if (exists(place->path))
            g_assert_cmpint(time, >=, NOON);
        for (int64_t dbid = 101; dbid <= 400; dbid++)
            g_assert_cmpint(
                conf_accounts_last_login(accounts, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = dbid}), ==,
                time);
    }
}

static gboolean
expire(void *data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

/* Waits for the file's own thread. */
static void
wait_written(const Place *place, const char *part)
{
    bool is_late = false;
    unsigned source = g_timeout_add_seconds(20, expire, &is_late);
    for (;;) {
        g_autofree char *text = text_in(place->path);
        if (text != NULL && strstr(text, part) != NULL)
            break;
        g_main_context_iteration(NULL, TRUE);
        g_assert_false(is_late);
    }
    g_source_remove(source);
}

/* The size that a process may write stands for the disk's; so the old file stays, and the next try is a
 * whole one. */
static void
test_full_disk(void)
{
    g_autoptr(Place) place = place_new();
    ConfAccounts *accounts = open_text(place, HEAD "3 101 1763726400000 0 0 0 0 0 0 0 0 0\n");
    struct rlimit limit, before;
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &before), ==, 0);
    signal(SIGXFSZ, SIG_IGN);
    limit = (struct rlimit){.rlim_cur = 4096, .rlim_max = before.rlim_max};
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    for (int64_t dbid = 101; dbid <= 400; dbid++)
        conf_accounts_note_login(accounts, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = dbid}, NOON + 1);
    int64_t until = g_get_monotonic_time() + 900 * 1000;
    bool is_over = false;
    unsigned source = g_timeout_add(100, expire, &is_over);
    while (g_get_monotonic_time() < until) {
        g_main_context_iteration(NULL, TRUE);
        if (is_over) {
            is_over = false;
            source = g_timeout_add(100, expire, &is_over);
        }
    }
    if (!is_over)
        g_source_remove(source);
    g_autofree char *old = text_in(place->path);
    g_assert_cmpstr(old, ==, HEAD "3 101 1763726400000 0 0 0 0 0 0 0 0 0\n");
    g_assert_false(exists(place->fresh)); /* It would take the room that others need. */
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &before), ==, 0);
    wait_written(place, "3 400 1763726400001");
    conf_accounts_free(accounts);
    g_assert_false(exists(place->fresh));
}

/* A folder that is away takes nothing, and stops nothing. */
static void
test_no_folder(void)
{
    ConfAccounts *accounts = conf_accounts_new();
    conf_accounts_open(accounts, "/nonexistent/folder", HERE);
    conf_accounts_note_login(accounts, ann, NOON);
    g_assert_cmpint(conf_accounts_last_login(accounts, ann), ==, NOON);
    conf_accounts_free(accounts);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    g_test_add_func("/access/account-file/round-trip", test_round_trip);
    g_test_add_func("/access/account-file/format-1", test_format_1);
    g_test_add_func("/access/account-file/damaged-lines", test_damaged_lines);
    g_test_add_func("/access/account-file/cut-anywhere", test_cut_anywhere);
    g_test_add_func("/access/account-file/no-file-of-accounts", test_no_file_of_accounts);
    g_test_add_func("/access/account-file/killed-while-writing", test_killed_while_writing);
    g_test_add_func("/access/account-file/full-disk", test_full_disk);
    g_test_add_func("/access/account-file/no-folder", test_no_folder);
    return g_test_run();
}
