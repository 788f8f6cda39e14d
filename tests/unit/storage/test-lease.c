/* test-lease.c - who may hold the database: real processes that live, freeze and die. */
#include "storage-support.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"

enum { LEASE_MS = 900 };

static bool stop_in_commit;

/* Called while the transaction is complete and its locks are held. */
static int
on_commit(void *data)
{
    if (stop_in_commit) {
        stop_in_commit = false;
        raise(SIGSTOP);
    }
    return 0;
}

static void *
open_hooked(ConfStorageOptionFunc option, void *data, bool create, GError **error)
{
    ConfSqlite *db = conf_sqlite_provider.open(option, data, create, error);
    if (db != NULL)
        sqlite3_commit_hook(db->handle, on_commit, NULL);
    return db;
}

static ConfStorage *
take(const char *folder, const char *holder, GError **error)
{
    static ConfStorageProvider provider;
    provider = conf_sqlite_provider;
    provider.open = open_hooked;
    return test_take(&provider, folder, LEASE_MS, holder, error);
}

/* ---- children ---- */

typedef struct {
    ConfStorage *storage;
    GMainLoop *loop;
} Holder;

static void
say(const char *word, int64_t number)
{
    printf("%s %" G_GINT64_FORMAT "\n", word, number);
    fflush(stdout);
}

static void
child_deposed(int64_t epoch_seen, void *data)
{
    say("deposed", epoch_seen);
}

static void
child_verdict(ConfStoredVerdict verdict, const GError *error, void *data)
{
    say("verdict", verdict);
}

/* Each line on standard input is a commit of one revision; its end is the end. */
static gboolean
child_input(int fd, GIOCondition condition, gpointer data)
{
    Holder *holder = data;
    char line[16];
    static TestBatch *batch;
    if (fgets(line, sizeof(line), stdin) == NULL) {
        g_main_loop_quit(holder->loop);
        return G_SOURCE_REMOVE;
    }
    g_autoptr(GError) error = NULL;
    if (batch != NULL)
        test_batch_free(batch);
    if (*line == 's')
        stop_in_commit = true;
    batch = test_batch_new(1, 2, 5, 100);
    /* Not what another server would write as revision 2. */
    memset(batch->chains[0], 'c', 16);
    memset(batch->chain, 'c', 16);
    conf_storage_commit(holder->storage, &batch->batch, child_verdict, NULL, NULL);
    return G_SOURCE_CONTINUE;
}

static int
run_holder(const char *folder, const char *name)
{
    g_autoptr(GError) error = NULL;
    Holder holder = {take(folder, name, &error), NULL};
    if (holder.storage == NULL) {
        fprintf(stderr, "%s\n", error->message);
        say("refused", error->code);
        return 1;
    }
    holder.loop = g_main_loop_new(NULL, FALSE);
    static const ConfStorageFuncs funcs = {.deposed = child_deposed};
    conf_storage_start(holder.storage, &funcs, NULL);
    setvbuf(stdin, NULL, _IONBF, 0);
    g_unix_fd_add(0, G_IO_IN | G_IO_HUP, child_input, &holder);
    say("holds", conf_storage_get_epoch(holder.storage));
    g_main_loop_run(holder.loop);
    conf_storage_close(holder.storage);
    g_main_loop_unref(holder.loop);
    return 0;
}

static void
expect(GSubprocess *child, const char *wanted)
{
    g_autofree char *line = test_read_line(child);
    g_assert_cmpstr(line, ==, wanted);
}

/* The call that stops it returns before the process stands still. */
static void
wait_stopped(GSubprocess *child)
{
    siginfo_t info;
    pid_t pid = (pid_t)g_ascii_strtoll(g_subprocess_get_identifier(child), NULL, 10);
    g_assert_cmpint(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT), ==, 0);
}

static void
send_signal(GSubprocess *child, int number)
{
    g_subprocess_send_signal(child, number);
    if (number == SIGSTOP)
        wait_stopped(child);
}

static void
send_line(GSubprocess *child, const char *line)
{
    g_autoptr(GError) error = NULL;
    g_output_stream_write_all(g_subprocess_get_stdin_pipe(child), line, strlen(line), NULL, NULL, &error);
    g_assert_no_error(error);
}

static void
end_child(GSubprocess *child)
{
    g_subprocess_force_exit(child);
    g_subprocess_wait(child, NULL, NULL);
    g_object_unref(child);
}

static void
expect_deposed(GSubprocess *first)
{
    g_autofree char *one = test_read_line(first);
    g_autofree char *two = test_read_line(first);
    g_autofree char *deposed = g_strdup_printf("verdict %d", CONF_STORAGE_DEPOSED);
    bool told_first = g_strcmp0(one, "deposed 2") == 0;
    g_assert_cmpstr(told_first ? two : one, ==, deposed);
    g_assert_cmpstr(told_first ? one : two, ==, "deposed 2");
}

/* ---- tests ---- */

static void
test_free(void)
{
    char *folder = test_folder_new();
    test_make_database(folder);
    for (int64_t epoch = 1; epoch <= 3; epoch++) {
        g_autoptr(GError) error = NULL;
        int64_t started = conf_clock_monotonic_usec();
        ConfStorage *storage = take(folder, "holder", &error);
        g_assert_no_error(error);
        g_assert_cmpint(conf_clock_monotonic_usec() - started, <, LEASE_MS * 1000 / 2);
        g_assert_cmpint(conf_storage_get_epoch(storage), ==, epoch);
        ConfStorageState state;
        g_assert_true(conf_storage_load_state(storage, &state, &error));
        g_assert_cmpint(state.epoch, ==, epoch);
        g_assert_cmpint(state.revision, ==, 1);
        g_assert_cmpint(state.created_ms, ==, 1000);
        g_assert_cmpstr(state.environment, ==, "01234567-89ab-4cde-8f01-23456789abcd");
        conf_storage_close(storage);
    }
    test_folder_free(folder);
}

static void
test_no_content(void)
{
    char *folder = test_folder_new();
    g_autoptr(GError) error = NULL;
    conf_sqlite_provider.close(test_open_provider(folder, true, &error));
    g_assert_no_error(error);
    g_assert_null(take(folder, "holder", &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_NOT_FOUND);
    g_assert_nonnull(strstr(error->message, "-init"));
    test_folder_free(folder);
}

static void
test_live(void)
{
    char *folder = test_folder_new();
    test_make_database(folder);
    GSubprocess *first = test_spawn("holder", folder, "confserv@here:2120 pid 77");
    expect(first, "holds 1");
    g_autoptr(GError) error = NULL;
    g_assert_null(take(folder, "second", &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_HELD);
    g_assert_nonnull(strstr(error->message, "confserv@here:2120 pid 77 (epoch 1)"));
    g_assert_cmpint(test_read_lease(folder).epoch, ==, 1);
    end_child(first);
    test_folder_free(folder);
}

static void
test_killed(void)
{
    char *folder = test_folder_new();
    test_make_database(folder);
    GSubprocess *first = test_spawn("holder", folder, "first");
    expect(first, "holds 1");
    end_child(first);
    g_autoptr(GError) error = NULL;
    int64_t started = conf_clock_monotonic_usec();
    ConfStorage *second = take(folder, "second", &error);
    g_assert_no_error(error);
    g_assert_cmpint(conf_clock_monotonic_usec() - started, <, LEASE_MS * 1000 / 2);
    g_assert_cmpint(conf_storage_get_epoch(second), ==, 2);
    conf_storage_close(second);
    test_folder_free(folder);
}

static void
test_frozen(void)
{
    char *folder = test_folder_new();
    test_make_database(folder);
    GSubprocess *first = test_spawn("holder", folder, "first");
    expect(first, "holds 1");
    send_signal(first, SIGSTOP);

    g_autoptr(GError) error = NULL;
    int64_t started = conf_clock_monotonic_usec();
    ConfStorage *second = take(folder, "second", &error);
    g_assert_no_error(error);
    g_assert_cmpint(conf_clock_monotonic_usec() - started, >=, LEASE_MS * 1000);
    g_assert_cmpint(conf_storage_get_epoch(second), ==, 2);
    TestEvents events = {0};
    conf_storage_start(second, &test_funcs, &events);
    g_autoptr(TestBatch) batch = test_batch_new(1, 2, 4, 100);
    g_assert_cmpint(test_commit(second, batch, &events), ==, CONF_STORED);

    /* It wakes up, commits nothing, and says so. */
    send_line(first, "commit\n");
    send_signal(first, SIGCONT);
    expect_deposed(first);
    test_check_whole(folder, 4, 1);
    g_assert_cmpint(test_confirm(second, &events), ==, CONF_STORED);
    g_assert_cmpuint(events.deposed, ==, 0);

    /* The one that was deposed has let go of everything: the next start after a kill is at once. */
    conf_storage_close(second);
    started = conf_clock_monotonic_usec();
    ConfStorage *third = take(folder, "third", &error);
    g_assert_no_error(error);
    g_assert_cmpint(conf_clock_monotonic_usec() - started, <, LEASE_MS * 1000 / 2);
    g_assert_cmpint(conf_storage_get_epoch(third), ==, 3);
    conf_storage_close(third);
    end_child(first);
    test_folder_free(folder);
}

/* Stopped with SQLite's write lock in its hands. */
static void
test_frozen_in_commit(void)
{
    char *folder = test_folder_new();
    test_make_database(folder);
    GSubprocess *first = test_spawn("holder", folder, "first");
    expect(first, "holds 1");
    GSubprocess *waiting = test_spawn("holder", folder, "waiting");
    send_line(first, "stop in it\n");
    wait_stopped(first);
    g_autofree char *refused = g_strdup_printf("refused %d", CONF_ERROR_HELD);

    g_autoptr(GError) error = NULL;
    int64_t started = conf_clock_monotonic_usec();
    ConfStorage *second = take(folder, "second", &error);
    if (second == NULL && g_error_matches(error, CONF_ERROR, CONF_ERROR_HELD)) {
        /* The other candidate, which had the old file open, was faster. */
        expect(waiting, "holds 2");
        g_clear_error(&error);
        end_child(waiting);
        waiting = NULL;
        second = take(folder, "second", &error);
    }
    g_assert_no_error(error);
    g_assert_cmpint(conf_clock_monotonic_usec() - started, >=, LEASE_MS * 1000 / 2);
    TestEvents events = {0};
    conf_storage_start(second, &test_funcs, &events);
    if (waiting != NULL)
        expect(waiting, refused);
    g_autoptr(TestBatch) batch = test_batch_new(1, 2, 4, 100);
    g_assert_cmpint(test_commit(second, batch, &events), ==, CONF_STORED);

    int64_t epoch = conf_storage_get_epoch(second);
    send_signal(first, SIGCONT);
    g_autofree char *verdict = g_strdup_printf("verdict %d", CONF_STORAGE_DEPOSED);
    g_autofree char *deposed = g_strdup_printf("deposed %" G_GINT64_FORMAT, epoch);
    expect(first, verdict);
    expect(first, deposed);
    g_autoptr(TestBatch) more = test_batch_new(2, 3, 4, 100);
    g_assert_cmpint(test_commit(second, more, &events), ==, CONF_STORED);
    g_assert_cmpstr(events.order, ==, "vv");
    conf_storage_close(second);
    test_check_whole(folder, 4, 1);
    if (waiting != NULL)
        end_child(waiting);
    end_child(first);
    test_check_whole(folder, 4, 1);
    test_folder_free(folder);
}

/* A foreign program that is stopped in a write is no holder: it is named, not robbed. */
static int
run_foreign(const char *folder, const char *argument)
{
    g_autofree char *path = test_path(folder, "test.db");
    sqlite3 *handle;
    if (sqlite3_open(path, &handle) != SQLITE_OK ||
        sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return 1;
    say("locked", 1);
    raise(SIGSTOP);
    return 0;
}

static void
test_foreign_in_write(void)
{
    char *folder = test_folder_new();
    test_make_database(folder);
    GSubprocess *foreign = test_spawn("foreign", folder, NULL);
    expect(foreign, "locked 1");
    wait_stopped(foreign);
    g_autoptr(GError) error = NULL;
    g_assert_null(take(folder, "second", &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE);
    g_autofree char *said = g_strdup_printf("process %s has it locked", g_subprocess_get_identifier(foreign));
    g_assert_nonnull(strstr(error->message, said));
    end_child(foreign);
    g_clear_error(&error);
    ConfStorage *second = take(folder, "second", &error);
    g_assert_no_error(error);
    conf_storage_close(second);
    test_folder_free(folder);
}

/* The new holder has the lock of its epoch although the frozen one keeps its own: a third start sees that
 * it lives. */
static void
test_frozen_and_third(void)
{
    char *folder = test_folder_new();
    test_make_database(folder);
    GSubprocess *first = test_spawn("holder", folder, "first");
    expect(first, "holds 1");
    send_signal(first, SIGSTOP);
    GSubprocess *second = test_spawn("holder", folder, "second");
    expect(second, "holds 2");
    g_autoptr(GError) error = NULL;
    g_assert_null(take(folder, "third", &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_HELD);
    g_assert_nonnull(strstr(error->message, "second (epoch 2)"));
    g_clear_error(&error);

    end_child(second);
    int64_t started = conf_clock_monotonic_usec();
    ConfStorage *third = take(folder, "third", &error);
    g_assert_no_error(error);
    g_assert_cmpint(conf_clock_monotonic_usec() - started, <, LEASE_MS * 1000 / 2);
    g_assert_cmpint(conf_storage_get_epoch(third), ==, 3);
    conf_storage_close(third);
    end_child(first);
    test_folder_free(folder);
}

static void
test_race(void)
{
    char *folder = test_folder_new();
    test_make_database(folder);
    for (int64_t round = 1; round <= 4; round++) {
        GSubprocess *children[3];
        unsigned holders = 0, refused = 0;
        for (unsigned i = 0; i < 3; i++)
            children[i] = test_spawn("holder", folder, "candidate");
        g_autofree char *refusal = g_strdup_printf("refused %d", CONF_ERROR_HELD);
        g_autofree char *holds = g_strdup_printf("holds %" G_GINT64_FORMAT, round);
        for (unsigned i = 0; i < 3; i++) {
            g_autofree char *line = test_read_line(children[i]);
            holders += g_strcmp0(line, holds) == 0;
            refused += g_strcmp0(line, refusal) == 0;
        }
        g_assert_cmpuint(holders, ==, 1);
        g_assert_cmpuint(refused, ==, 2);
        for (unsigned i = 0; i < 3; i++)
            end_child(children[i]);
    }
    test_folder_free(folder);
}

static void
test_beat_of_idle(void)
{
    char *folder = test_folder_new();
    test_make_database(folder);
    GSubprocess *first = test_spawn("holder", folder, "first");
    expect(first, "holds 1");
    int64_t beat = test_read_lease(folder).beat;
    test_run_for(LEASE_MS);
    int64_t beats = test_read_lease(folder).beat - beat;
    g_assert_cmpint(beats, >=, 1);
    g_assert_cmpint(beats, <=, 4);
    end_child(first);
    test_folder_free(folder);
}

static bool
load_slowly(const ConfStorageObject *object, void *data, GError **error)
{
    g_usleep(LEASE_MS * 1000 / 2);
    return true;
}

/* A load that lasts longer than the lease does not lose it. */
static void
test_slow_load(void)
{
    char *folder = test_folder_new();
    test_make_database(folder);
    g_autoptr(GError) error = NULL;
    ConfStorage *storage = take(folder, "holder", &error);
    g_assert_no_error(error);
    int64_t beat = test_read_lease(folder).beat;
    g_assert_true(conf_storage_load_objects(storage, load_slowly, NULL, &error));
    g_assert_cmpint(test_read_lease(folder).beat, >=, beat + 2);
    conf_storage_close(storage);
    test_folder_free(folder);
}

static void
test_environment(void)
{
    char *folder = test_folder_new();
    test_make_database(folder);
    g_autoptr(GError) error = NULL;
    ConfStorage *storage = take(folder, "holder", &error);
    g_assert_no_error(error);
    g_assert_true(conf_storage_set_environment(storage, "11111111-2222-4333-8444-555555555555", &error));
    g_assert_cmpstr(test_read_lease(folder).environment, ==, "11111111-2222-4333-8444-555555555555");
    TestEvents events = {0};
    g_assert_cmpint(test_confirm(storage, &events), ==, CONF_STORED);
    conf_storage_close(storage);
    test_folder_free(folder);
}

int
main(int argc, char **argv)
{
    static const TestChild children[] = {{"holder", run_holder}, {"foreign", run_foreign}, {NULL, NULL}};
    test_init(&argc, &argv, children);
    g_test_add_func("/storage/lease/free", test_free);
    g_test_add_func("/storage/lease/no-content", test_no_content);
    g_test_add_func("/storage/lease/live", test_live);
    g_test_add_func("/storage/lease/killed", test_killed);
    g_test_add_func("/storage/lease/frozen", test_frozen);
    g_test_add_func("/storage/lease/frozen-and-third", test_frozen_and_third);
    g_test_add_func("/storage/lease/frozen-in-commit", test_frozen_in_commit);
    g_test_add_func("/storage/lease/foreign-in-write", test_foreign_in_write);
    g_test_add_func("/storage/lease/race", test_race);
    g_test_add_func("/storage/lease/beat-of-idle", test_beat_of_idle);
    g_test_add_func("/storage/lease/slow-load", test_slow_load);
    g_test_add_func("/storage/lease/environment", test_environment);
    return g_test_run();
}
