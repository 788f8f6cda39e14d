/* test-writer.c - the writer thread: commits, confirmations, loss and return of the database, outcomes
 * nobody told. */
#include "storage-support.h"

#include <glib/gstdio.h>
#include <string.h>

#include "base/clock.h"

enum { LEASE_MS = 10000 };

typedef struct {
    char *folder;
    ConfStorage *storage;
    TestEvents events;
} Fixture;

/* The SQLite provider with a connection that can be lost at a chosen moment. */
typedef enum { FAULT_NONE, FAULT_BEFORE, FAULT_AFTER } Fault;
static Fault fault;
static int opens_to_refuse;
static void (*after_commit)(void);
static const char *fault_folder;

static bool
faulty_commit(void *db, int64_t epoch, const ConfStorageBatch *batch, GError **error)
{
    Fault now = fault;
    fault = FAULT_NONE;
    if (now != FAULT_BEFORE && !conf_sqlite_provider.commit(db, epoch, batch, error))
        return false;
    if (now == FAULT_NONE)
        return true;
    if (after_commit != NULL)
        after_commit();
    g_set_error_literal(error, CONF_ERROR, CONF_ERROR_UNKNOWN, "the line was cut");
    return false;
}

static void *
faulty_open(ConfStorageOptionFunc option, void *data, bool create, GError **error)
{
    if (opens_to_refuse == 0)
        return conf_sqlite_provider.open(option, data, create, error);
    opens_to_refuse--;
    g_set_error_literal(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "nobody is there");
    return NULL;
}

static const ConfStorageProvider *
faulty_provider(void)
{
    static ConfStorageProvider provider;
    provider = conf_sqlite_provider;
    provider.commit = faulty_commit;
    provider.open = faulty_open;
    return &provider;
}

static void
set_up(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    fault = FAULT_NONE;
    opens_to_refuse = 0;
    after_commit = NULL;
    fixture->folder = test_folder_new();
    fault_folder = fixture->folder;
    fixture->events = (TestEvents){0};
    test_make_database(fixture->folder);
    fixture->storage = test_take(faulty_provider(), fixture->folder, LEASE_MS, "first", &error);
    g_assert_no_error(error);
    conf_storage_start(fixture->storage, &test_funcs, &fixture->events);
}

static void
tear_down(Fixture *fixture, const void *data)
{
    conf_storage_close(fixture->storage);
    test_folder_free(fixture->folder);
}

static ConfStoredVerdict
commit(Fixture *fixture, int64_t base, int64_t last)
{
    g_autoptr(TestBatch) batch = test_batch_new(base, last, 8, 500);
    return test_commit(fixture->storage, batch, &fixture->events);
}

static sqlite3 *
lock_database(Fixture *fixture)
{
    g_autofree char *path = test_path(fixture->folder, "test.db");
    sqlite3 *other;
    g_assert_cmpint(sqlite3_open(path, &other), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), ==, SQLITE_OK);
    return other;
}

static void
test_commits(Fixture *fixture, const void *data)
{
    int64_t before = conf_clock_monotonic_usec();
    g_assert_cmpint(commit(fixture, 1, 2), ==, CONF_STORED);
    /* A group: several revisions in one batch. */
    g_assert_cmpint(commit(fixture, 2, 9), ==, CONF_STORED);
    g_assert_cmpint(conf_storage_get_confirmed_at(fixture->storage), >=, before);
    g_assert_cmpint(conf_storage_get_confirmed_at(fixture->storage), <=, conf_clock_monotonic_usec());
    g_assert_true(conf_storage_is_available(fixture->storage));
    test_check_whole(fixture->folder, 8, 1);
    g_assert_cmpstr(fixture->events.order, ==, "vv");
}

static void
test_confirms(Fixture *fixture, const void *data)
{
    int64_t before = conf_clock_monotonic_usec();
    int64_t beat = test_read_lease(fixture->folder).beat;
    for (unsigned i = 0; i < 50; i++)
        conf_storage_confirm(fixture->storage, test_on_verdict, &fixture->events);
    test_wait(&fixture->events.verdicts, 50, 20000);
    g_assert_cmpint(fixture->events.verdict, ==, CONF_STORED);
    g_assert_cmpint(conf_storage_get_confirmed_at(fixture->storage), >=, before);
    /* They share renewals. */
    g_assert_cmpint(test_read_lease(fixture->folder).beat, <, beat + 50);
    g_assert_cmpint(test_read_lease(fixture->folder).revision, ==, 1);
}

static void
take_epoch(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    void *other = test_open_provider(fixture->folder, false, &error);
    g_assert_no_error(error);
    int64_t epoch;
    g_assert_true(conf_sqlite_provider.take_lease(other, 1, "second", &epoch, &error));
    conf_sqlite_provider.close(other);
}

static void
test_deposed(Fixture *fixture, const void *data)
{
    take_epoch(fixture);
    g_assert_cmpint(commit(fixture, 1, 2), ==, CONF_STORAGE_DEPOSED);
    test_wait(&fixture->events.deposed, 1, 20000);
    g_assert_cmpint(fixture->events.epoch_seen, ==, 2);
    g_assert_cmpint(fixture->events.error_code, ==, CONF_ERROR_DEPOSED);
    g_assert_false(conf_storage_is_available(fixture->storage));
    g_assert_cmpint(test_confirm(fixture->storage, &fixture->events), ==, CONF_STORAGE_DEPOSED);
    g_assert_cmpint(commit(fixture, 1, 2), ==, CONF_STORAGE_DEPOSED);
    g_assert_cmpuint(fixture->events.deposed, ==, 1);
    test_check_whole(fixture->folder, TEST_FIRST_OBJECTS, 1);
}

static void
test_deposed_confirm(Fixture *fixture, const void *data)
{
    take_epoch(fixture);
    g_assert_cmpint(test_confirm(fixture->storage, &fixture->events), ==, CONF_STORAGE_DEPOSED);
    test_wait(&fixture->events.deposed, 1, 20000);
}

static gboolean
close_other(gpointer data)
{
    sqlite3_close(data);
    return G_SOURCE_REMOVE;
}

static void
test_locked_shortly(Fixture *fixture, const void *data)
{
    g_timeout_add(700, close_other, lock_database(fixture));
    g_assert_cmpint(commit(fixture, 1, 2), ==, CONF_STORED);
    g_assert_cmpstr(fixture->events.order, ==, "v");
}

static void
test_locked_long(Fixture *fixture, const void *data)
{
    sqlite3 *other = lock_database(fixture);
    int64_t started = conf_clock_monotonic_usec();
    g_assert_cmpint(commit(fixture, 1, 2), ==, CONF_NOT_STORED);
    g_assert_cmpint(conf_clock_monotonic_usec() - started, >=, 4900000);
    g_assert_cmpint(fixture->events.error_code, ==, CONF_ERROR_UNAVAILABLE);
    g_assert_nonnull(strstr(fixture->events.error, "locked"));
    g_assert_cmpstr(fixture->events.order, ==, "lv");
    g_assert_false(conf_storage_is_available(fixture->storage));
    /* Refused at once from now on. */
    started = conf_clock_monotonic_usec();
    g_assert_cmpint(commit(fixture, 1, 2), ==, CONF_NOT_STORED);
    g_assert_cmpint(conf_clock_monotonic_usec() - started, <, 1000000);
    sqlite3_close(other);
    test_wait(&fixture->events.found, 1, 20000);
    g_assert_true(conf_storage_is_available(fixture->storage));
    g_assert_cmpint(commit(fixture, 1, 2), ==, CONF_STORED);
    g_assert_cmpuint(fixture->events.lost, ==, 1);
    test_check_whole(fixture->folder, 8, 1);
}

static void
test_full(void)
{
    char *folder = test_small_disk_new("2m");
    if (folder == NULL)
        return;
    g_autoptr(GError) error = NULL;
    Fixture fixture = {.folder = folder};
    test_make_database(folder);
    fixture.storage = test_take(&conf_sqlite_provider, folder, LEASE_MS, "first", &error);
    g_assert_no_error(error);
    conf_storage_start(fixture.storage, &test_funcs, &fixture.events);
    int64_t revision = 1;
    while (commit(&fixture, revision, revision + 10) == CONF_STORED)
        revision += 10;
    g_assert_cmpint(fixture.events.error_code, ==, CONF_ERROR_FULL);
    g_assert_cmpuint(fixture.events.lost, ==, 1);
    for (unsigned i = 0; i < 20; i++)
        g_assert_cmpint(commit(&fixture, revision, revision + 10), ==, CONF_NOT_STORED);
    /* Not told to and fro with each of them. */
    g_assert_cmpuint(fixture.events.lost, <, 10);
    test_check_whole(folder, 8, 1);
    test_small_disk_resize(folder, "16m");
    g_assert_cmpint(commit(&fixture, revision, revision + 10), ==, CONF_STORED);
    g_assert_true(conf_storage_is_available(fixture.storage));
    g_assert_cmpuint(fixture.events.found, ==, fixture.events.lost);
    test_check_whole(folder, 8, 1);
    g_assert_cmpint(conf_storage_get_epoch(fixture.storage), ==, 1);
    conf_storage_close(fixture.storage);
    test_small_disk_free(folder);
}

static void
test_moved_away(Fixture *fixture, const void *data)
{
    g_autofree char *path = test_path(fixture->folder, "test.db");
    g_autofree char *aside = test_path(fixture->folder, "aside.db");
    g_assert_cmpint(commit(fixture, 1, 2), ==, CONF_STORED);
    g_assert_cmpint(g_rename(path, aside), ==, 0);
    g_assert_cmpint(commit(fixture, 2, 3), ==, CONF_NOT_STORED);
    test_wait(&fixture->events.lost, 1, 20000);
    test_run_for(300);
    g_assert_cmpuint(fixture->events.found, ==, 0);
    g_assert_cmpint(g_rename(aside, path), ==, 0);
    test_wait(&fixture->events.found, 1, 20000);
    g_assert_cmpint(commit(fixture, 2, 3), ==, CONF_STORED);
    g_assert_cmpint(conf_storage_get_epoch(fixture->storage), ==, 1);
    test_check_whole(fixture->folder, 8, 1);
    /* It still holds the lock of its epoch. */
    g_autoptr(GError) error = NULL;
    void *other = test_open_provider(fixture->folder, false, &error);
    g_assert_cmpint(conf_sqlite_provider.take_lock(other, 1, &error), ==, 0);
    conf_sqlite_provider.close(other);
}

/* Whoever removes the WAL under a running server loses nothing that was answered. */
static void
test_wal_removed(Fixture *fixture, const void *data)
{
    g_autofree char *wal = test_path(fixture->folder, "test.db-wal");
    g_assert_cmpint(commit(fixture, 1, 2), ==, CONF_STORED);
    g_assert_cmpint(g_unlink(wal), ==, 0);
    g_assert_cmpint(commit(fixture, 2, 3), ==, CONF_NOT_STORED);
    test_wait(&fixture->events.found, 1, 20000);
    g_assert_cmpint(commit(fixture, 2, 3), ==, CONF_STORED);
    test_check_whole(fixture->folder, 8, 1);
}

/* An older copy put in place of the database is not gone on with. */
static void
test_older_copy(Fixture *fixture, const void *data)
{
    g_autofree char *path = test_path(fixture->folder, "test.db");
    g_autofree char *copy = test_path(fixture->folder, "copy.db");
    sqlite3 *from, *to;
    g_assert_cmpint(sqlite3_open(path, &from), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_open(copy, &to), ==, SQLITE_OK);
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    g_assert_cmpint(sqlite3_backup_step(backup, -1), ==, SQLITE_DONE);
    sqlite3_backup_finish(backup);
    g_assert_cmpint(sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL), ==, SQLITE_OK);
    sqlite3_close(from);
    sqlite3_close(to);
    g_assert_cmpint(commit(fixture, 1, 2), ==, CONF_STORED);
    static const char *const rests[] = {"test.db", "test.db-wal", "test.db-shm"};
    for (unsigned i = 0; i < G_N_ELEMENTS(rests); i++) {
        g_autofree char *rest = test_path(fixture->folder, rests[i]);
        g_unlink(rest);
    }
    g_assert_cmpint(g_rename(copy, path), ==, 0);
    g_assert_cmpint(commit(fixture, 2, 3), !=, CONF_STORED);
    test_wait(&fixture->events.deposed, 1, 20000);
    g_assert_cmpint(test_read_lease(fixture->folder).revision, ==, 1);
}

static void
assert_unknown(Fixture *fixture, Fault what, int refusals, ConfStoredVerdict wanted)
{
    g_assert_cmpint(commit(fixture, 1, 2), ==, CONF_STORED);
    fault = what;
    opens_to_refuse = refusals;
    g_assert_cmpint(commit(fixture, 2, 4), ==, wanted);
    g_assert_cmpuint(fixture->events.unknown, ==, 1);
    g_assert_cmpstr(fixture->events.order, ==, refusals > 0 ? "vulfv" : "vuv");
    g_assert_cmpint(conf_storage_get_epoch(fixture->storage), ==, 2);
    int64_t base = wanted == CONF_STORED ? 4 : 2;
    g_assert_cmpint(test_read_lease(fixture->folder).revision, ==, base);
    g_assert_cmpint(commit(fixture, base, 5), ==, CONF_STORED);
    test_check_whole(fixture->folder, 8, 1);
    g_assert_true(conf_storage_is_available(fixture->storage));
    g_autoptr(GError) error = NULL;
    void *other = test_open_provider(fixture->folder, false, &error);
    g_assert_cmpint(conf_sqlite_provider.take_lock(other, 2, &error), ==, 0);
    conf_sqlite_provider.close(other);
}

static void
test_unknown_stored(Fixture *fixture, const void *data)
{
    assert_unknown(fixture, FAULT_AFTER, 0, CONF_STORED);
}

static void
test_unknown_not_stored(Fixture *fixture, const void *data)
{
    assert_unknown(fixture, FAULT_BEFORE, 0, CONF_NOT_STORED);
}

static void
test_unknown_away(Fixture *fixture, const void *data)
{
    assert_unknown(fixture, FAULT_AFTER, 3, CONF_STORED);
}

/* Another server takes the database while nobody knows, and goes on from what it found. */
static void
second_goes_on(void)
{
    g_autoptr(GError) error = NULL;
    void *other = test_open_provider(fault_folder, false, &error);
    g_assert_no_error(error);
    ConfStorageLease lease;
    int64_t epoch;
    g_assert_true(conf_sqlite_provider.read_lease(other, &lease, &error));
    g_assert_true(conf_sqlite_provider.take_lease(other, 1, "second", &epoch, &error));
    g_autoptr(TestBatch) batch = test_batch_new(lease.revision, lease.revision + 2, 8, 100);
    for (unsigned i = 0; i < 2; i++)
        memset(batch->chains[i], 'e', 16);
    memset(batch->chain, 'e', 16);
    g_assert_true(conf_sqlite_provider.commit(other, epoch, &batch->batch, &error));
    conf_sqlite_provider.close(other);
}

static void
second_takes(void)
{
    g_autoptr(GError) error = NULL;
    void *other = test_open_provider(fault_folder, false, &error);
    int64_t epoch;
    g_assert_true(conf_sqlite_provider.take_lease(other, 1, "second", &epoch, &error));
    conf_sqlite_provider.close(other);
}

static void
assert_unknown_deposed(Fixture *fixture, Fault what, void (*second)(void), ConfStoredVerdict wanted)
{
    fault = what;
    after_commit = second;
    g_assert_cmpint(commit(fixture, 1, 3), ==, wanted);
    test_wait(&fixture->events.deposed, 1, 20000);
    /* The verdict comes first: a commit that is stored is answered so before everything else is refused. */
    g_assert_cmpstr(fixture->events.order, ==, "uvd");
    g_assert_cmpint(fixture->events.epoch_seen, ==, 2);
}

static void
test_unknown_stored_and_deposed(Fixture *fixture, const void *data)
{
    assert_unknown_deposed(fixture, FAULT_AFTER, second_goes_on, CONF_STORED);
}

static void
test_unknown_stored_and_deposed_idle(Fixture *fixture, const void *data)
{
    assert_unknown_deposed(fixture, FAULT_AFTER, second_takes, CONF_STORED);
}

static void
test_unknown_lost_and_deposed(Fixture *fixture, const void *data)
{
    assert_unknown_deposed(fixture, FAULT_BEFORE, second_goes_on, CONF_STORAGE_DEPOSED);
}

static bool
count_change(const ConfStorageChange *change, void *data, GError **error)
{
    int64_t *lowest_and_count = data;
    if (lowest_and_count[1]++ == 0)
        lowest_and_count[0] = change->revision;
    return true;
}

static void
test_prune(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TestBatch) batch = test_batch_new(1, 2501, 1, 100);
    ConfStorageChange *changes = (ConfStorageChange *)batch->batch.changes;
    for (unsigned i = 0; i < 2500; i++)
        changes[i].time_ms = conf_clock_wall_ms() - 7200000;
    g_assert_cmpint(test_commit(fixture->storage, batch, &fixture->events), ==, CONF_STORED);
    /* Two hours old, and one was made now, which stands before them: it holds them up until it may go. */
    conf_storage_prune(fixture->storage, 0, INT64_MAX, 2);
    conf_storage_prune(fixture->storage, -1000, INT64_MAX, 2001);
    int64_t seen[2];
    void *db = test_open_provider(fixture->folder, false, &error);
    int64_t until = conf_clock_monotonic_usec() + 20000000;
    do {
        g_main_context_iteration(NULL, FALSE);
        seen[0] = seen[1] = 0;
        g_assert_true(conf_sqlite_provider.load_changes(db, 0, count_change, seen, &error));
        g_assert_cmpint(conf_clock_monotonic_usec(), <, until);
    } while (seen[0] < 2001);
    g_assert_cmpint(seen[1], ==, 501);
    conf_sqlite_provider.close(db);
    g_assert_cmpint(commit(fixture, 2501, 2502), ==, CONF_STORED);
}

static void
test_close_under_way(Fixture *fixture, const void *data)
{
    g_autoptr(TestBatch) batch = test_batch_new(1, 2, 8, 500);
    conf_storage_commit(fixture->storage, &batch->batch, test_on_verdict, NULL, &fixture->events);
    conf_storage_close(g_steal_pointer(&fixture->storage));
    test_run_for(50);
    g_assert_cmpuint(fixture->events.verdicts, ==, 0);
    test_check_whole(fixture->folder, 8, 1);
}

static void
test_close_while_unknown(Fixture *fixture, const void *data)
{
    fault = FAULT_AFTER;
    opens_to_refuse = 1000;
    g_autoptr(TestBatch) batch = test_batch_new(1, 2, 8, 500);
    conf_storage_commit(fixture->storage, &batch->batch, test_on_verdict, test_on_unknown, &fixture->events);
    test_wait(&fixture->events.lost, 1, 20000);
    int64_t started = conf_clock_monotonic_usec();
    conf_storage_close(g_steal_pointer(&fixture->storage));
    g_assert_cmpint(conf_clock_monotonic_usec() - started, <, 5000000);
}

#define ADD(path, func) g_test_add("/storage/writer/" path, Fixture, NULL, set_up, func, tear_down)

int
main(int argc, char **argv)
{
    test_init(&argc, &argv, NULL);
    ADD("commits", test_commits);
    ADD("confirms", test_confirms);
    ADD("deposed", test_deposed);
    ADD("deposed-confirm", test_deposed_confirm);
    ADD("locked-shortly", test_locked_shortly);
    ADD("locked-long", test_locked_long);
    g_test_add_func("/storage/writer/full", test_full);
    ADD("moved-away", test_moved_away);
    ADD("wal-removed", test_wal_removed);
    ADD("older-copy", test_older_copy);
    ADD("unknown-stored", test_unknown_stored);
    ADD("unknown-not-stored", test_unknown_not_stored);
    ADD("unknown-away", test_unknown_away);
    ADD("unknown-stored-and-deposed", test_unknown_stored_and_deposed);
    ADD("unknown-stored-and-deposed-idle", test_unknown_stored_and_deposed_idle);
    ADD("unknown-lost-and-deposed", test_unknown_lost_and_deposed);
    ADD("prune", test_prune);
    ADD("close-under-way", test_close_under_way);
    ADD("close-while-unknown", test_close_while_unknown);
    return g_test_run();
}
