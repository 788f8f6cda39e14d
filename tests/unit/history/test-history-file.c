/* test-history-file.c - the file of plugin history by itself: chains over gaps and folds, retention by age
 * and number, lists of rights, another process that writes, files that are not one. */
#include "history-private.h"

#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

static const int64_t DAY_MS = INT64_C(24) * 3600 * 1000;

typedef struct {
    char *folder, *path;
    HistoryFile *file;
} World;

static void
world_open(World *world, const void *unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    world->folder = g_dir_make_tmp("confserv-test-XXXXXX", &error);
    g_assert_no_error(error);
    world->path = g_build_filename(world->folder, "history", NULL);
    world->file = history_file_open(world->path, &error);
    g_assert_no_error(error);
}

static void
world_close(World *world, const void *unused)
{
    (void)unused;
    history_file_close(world->file);
    static const char *const parts[] = {"", "-wal", "-shm"};
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *name = g_strconcat(world->path, parts[i], NULL);
        g_unlink(name);
    }
    g_assert_cmpint(g_rmdir(world->folder), ==, 0);
    g_free(world->folder);
    g_free(world->path);
}

static void
reopen(World *world)
{
    g_autoptr(GError) error = NULL;
    history_file_close(world->file);
    world->file = history_file_open(world->path, &error);
    g_assert_no_error(error);
}

static HistoryVerdict
write_entry(HistoryFile *file, int64_t revision, int64_t from, int64_t time_ms, const char *rights,
            bool strict)
{
    g_autoptr(GError) error = NULL;
    HistoryEntry entry = {.revision = revision, .from = from, .time_ms = time_ms};
    entry.record = g_strdup_printf("{\"revision\":%d}", (int)revision);
    entry.record_size = strlen(entry.record);
    uint8_t link[HISTORY_DIGEST_SIZE];
    history_digest_link(file->entries.last.chain, entry.record, entry.record_size, link, entry.chain);
    entry.changes = history_changes_new(1);
    for (unsigned i = 0; i < 2; i++) {
        HistoryChange change = {
            .type = g_ref_string_new("host"), .name = g_strdup("h"), .op = "delete", .dbid = 100 + i};
        change.rights = rights != NULL ? g_ref_string_new(rights) : NULL;
        g_array_append_val(entry.changes, change);
    }
    HistoryVerdict verdict = history_file_write_entry(file, &entry, strict, "a test", &error);
    g_assert_no_error(error);
    history_entry_clear(&entry);
    return verdict;
}

static void
begin(HistoryFile *file)
{
    g_autoptr(GError) error = NULL;
    bool done = history_file_begin(file, &error);
    g_assert_no_error(error);
    g_assert_true(done);
}

static void
commit(HistoryFile *file)
{
    g_autoptr(GError) error = NULL;
    bool done = history_file_commit(file, &error);
    g_assert_no_error(error);
    g_assert_true(done);
}

static int64_t
query(HistoryFile *file, const char *sql)
{
    g_autoptr(GError) error = NULL;
    sqlite3_stmt *statement = history_sql_prepare(file->db, sql, &error);
    g_assert_no_error(error);
    int64_t value = history_sql_step(statement, &error) == 1 ? sqlite3_column_int64(statement, 0) : -1;
    g_assert_no_error(error);
    sqlite3_finalize(statement);
    return value;
}

static HistoryWalk
verify(HistoryFile *file)
{
    g_autoptr(GError) error = NULL;
    HistoryWalk walk = HISTORY_WALK_ENTRIES;
    while (!walk.over) {
        bool done = history_walk(file->db, &walk, &error);
        g_assert_no_error(error);
        g_assert_true(done);
    }
    return walk;
}

static void
clean(HistoryFile *file, const HistorySettings *settings, int64_t now_ms)
{
    g_autoptr(GError) error = NULL;
    for (bool more = true; more;) {
        bool done = history_file_clean(file, settings, now_ms, &more, &error);
        g_assert_no_error(error);
        g_assert_true(done);
    }
}

/* Gaps and folds are part of the chain; a record that does not continue it is so only where that may be. */
static void
test_chain(World *world, const void *unused)
{
    (void)unused;
    HistoryFile *file = world->file;
    g_assert_true(history_file_lacks_origin(file));
    begin(file);
    history_file_set_origin(file, 10, "0123456789abcdef");
    g_assert_cmpint(write_entry(file, 11, 0, 1, NULL, true), ==, HISTORY_WRITTEN);
    g_assert_cmpint(write_entry(file, 12, 0, 2, NULL, true), ==, HISTORY_WRITTEN);
    g_assert_cmpint(write_entry(file, 20, 0, 3, NULL, true), ==, HISTORY_WRITTEN);
    g_assert_cmpint(write_entry(file, 30, 20, 4, NULL, true), ==, HISTORY_WRITTEN);
    g_assert_cmpint(write_entry(file, 5, 0, 4, NULL, true), ==, HISTORY_KNOWN);
    g_assert_cmpint(write_entry(file, 15, 0, 4, NULL, true), ==, HISTORY_KNOWN);
    g_assert_cmpint(write_entry(file, 12, 0, 4, NULL, true), ==, HISTORY_FOREIGN);
    commit(file);
    g_assert_cmpint(query(file, "SELECT group_concat(first || '-' || last) = '13-19' FROM gap"), ==, 1);
    g_assert_cmpint(query(file, "SELECT count(*) FROM entry WHERE linked"), ==, 2);
    begin(file);
    file->entries.last.chain[0] ^= 1;
    g_assert_cmpint(write_entry(file, 31, 0, 5, NULL, false), ==, HISTORY_WRITTEN);
    history_file_rollback(file);
    reopen(world);
    HistoryWalk walk = verify(world->file);
    g_assert_cmpint(walk.broken, ==, 0);
    g_assert_cmpint(walk.count, ==, 4);
    g_assert_cmpint(walk.at.position, ==, 30);
}

/* A file without entries takes in what is older than where it was begun. */
static void
test_older(World *world, const void *unused)
{
    (void)unused;
    begin(world->file);
    history_file_set_origin(world->file, 100, "0123456789abcdef");
    commit(world->file);
    reopen(world);
    begin(world->file);
    for (int64_t revision = 41; revision <= 110; revision++)
        g_assert_cmpint(write_entry(world->file, revision, 0, 1, NULL, true), ==, HISTORY_WRITTEN);
    commit(world->file);
    g_assert_cmpint(verify(world->file).count, ==, 70);
    g_assert_cmpint(verify(world->file).broken, ==, 0);
    g_assert_cmpint(query(world->file, "SELECT count(*) FROM gap"), ==, 0);
}

static void
test_retention(World *world, const void *unused)
{
    (void)unused;
    HistoryFile *file = world->file;
    int64_t now = 1000 * DAY_MS;
    begin(file);
    /* A day each, the last one today. */
    for (int64_t revision = 1; revision <= 900; revision++) {
        g_autofree char *rights = g_strdup_printf("[%d]", (int)(revision / 100));
        write_entry(file, revision, 0, now - (900 - revision) * DAY_MS, rights, false);
    }
    g_assert_true(history_file_write_session(file, "old", "{}", now - 3 * DAY_MS, NULL));
    g_assert_true(history_file_write_session(file, "young", "{}", now - DAY_MS / 2, NULL));
    commit(file);
    g_assert_cmpint(query(file, "SELECT count(*) FROM right_list"), ==, 10);
    HistorySettings settings = {.audit_expiration = 365, .audit_max_records = 50000, .client_expiration = 1};
    clean(file, &settings, now);
    g_assert_cmpint(query(file, "SELECT min(revision) FROM entry"), ==, 535);
    g_assert_cmpint(query(file, "SELECT count(*) FROM change"), ==, 2 * 366);
    g_assert_cmpint(query(file, "SELECT count(*) FROM right_list"), ==, 5);
    g_assert_cmpint(query(file, "SELECT count(*) FROM session"), ==, 1);
    g_assert_cmpint(verify(file).count, ==, 366);
    settings.audit_max_records = 100;
    clean(file, &settings, now);
    reopen(world);
    file = world->file;
    g_assert_cmpint(query(file, "SELECT min(revision) FROM entry"), ==, 801);
    g_assert_cmpint(verify(file).count, ==, 100);
    /* All of it, and it goes on. */
    clean(file, &settings, now + 1000 * DAY_MS);
    g_assert_cmpint(query(file, "SELECT count(*) FROM entry"), ==, 0);
    g_assert_cmpint(verify(file).broken, ==, 0);
    begin(file);
    g_assert_cmpint(write_entry(file, 899, 0, now, NULL, false), ==, HISTORY_KNOWN);
    g_assert_cmpint(write_entry(file, 901, 0, now, NULL, true), ==, HISTORY_WRITTEN);
    commit(file);
    g_assert_cmpint(query(file, "SELECT linked FROM entry"), ==, 1);
    g_assert_cmpint(verify(file).broken, ==, 0);
    g_assert_cmpint(verify(file).count, ==, 1);
}

/* A server that was frozen writes what it had in hand: the other one goes on from there. */
static void
test_two_writers(World *world, const void *unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    HistoryFile *other = history_file_open(world->path, &error);
    g_assert_no_error(error);
    begin(world->file);
    write_entry(world->file, 1, 0, 1, NULL, false);
    commit(world->file);
    begin(other);
    g_assert_cmpint(other->entries.last.position, ==, 1);
    g_assert_cmpint(write_entry(other, 2, 0, 1, NULL, true), ==, HISTORY_WRITTEN);
    commit(other);
    begin(world->file);
    g_assert_cmpint(write_entry(world->file, 3, 0, 1, NULL, true), ==, HISTORY_WRITTEN);
    commit(world->file);
    g_assert_cmpint(verify(world->file).count, ==, 3);
    g_assert_cmpint(verify(world->file).broken, ==, 0);
    history_file_close(other);
    /* Moved away under it: not written to any more, and nothing of the new one is removed. */
    g_autofree char *aside = history_file_set_aside(world->path, "test", &error);
    g_assert_no_error(error);
    g_assert_true(g_str_has_suffix(aside, "history.test"));
    g_assert_false(history_file_begin(world->file, &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE);
    reopen(world);
    g_assert_true(history_file_lacks_origin(world->file));
    static const char *const parts[] = {"", "-wal", "-shm"};
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *name = g_strconcat(aside, parts[i], NULL);
        g_unlink(name);
    }
}

static void
test_refused(World *world, const void *unused)
{
    (void)unused;
    const struct {
        const char *sql;
        int code;
    } cases[] = {
        {"PRAGMA user_version = 1000", CONF_ERROR_NEWER},
        {"PRAGMA application_id = 7", CONF_ERROR_DENIED},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_true(history_sql_exec(world->file->db, cases[i].sql, NULL));
        g_assert_null(history_file_open(world->path, &error));
        g_assert_error(error, CONF_ERROR, cases[i].code);
    }
}

/* What was not used is given back, but for some; the rows stay what they are.  Returns the bytes of the
 * file. */
static int64_t
fill_and_clean(World *world, const HistorySettings *settings)
{
    HistoryFile *file = world->file;
    g_autofree char *filling = g_strnfill(8000, 'x');
    begin(file);
    for (unsigned i = 0; i < 3000; i++) {
        g_autofree char *token = g_strdup_printf("%u", i);
        g_assert_true(history_file_write_session(file, token, filling, DAY_MS, NULL));
    }
    for (int64_t revision = 1; revision <= 300; revision++)
        write_entry(file, revision, 0, 10 * DAY_MS, "[]", false);
    commit(file);
    file->shrunk = true;
    history_file_tidy(file);
    GStatBuf status;
    g_assert_cmpint(g_stat(world->path, &status), ==, 0);
    g_assert_cmpint(status.st_size, >, 24 * 1000 * 1000);
    clean(file, settings, 10 * DAY_MS);
    history_file_tidy(file);
    g_assert_cmpint(verify(file).count, ==, 300);
    g_assert_cmpint(verify(file).broken, ==, 0);
    g_assert_cmpint(query(file, "SELECT quick_check = 'ok' FROM pragma_quick_check"), ==, 1);
    g_assert_cmpint(g_stat(world->path, &status), ==, 0);
    return status.st_size;
}

static void
test_shrinks(World *world, const void *unused)
{
    (void)unused;
    const HistorySettings settings = {
        .audit_expiration = 365, .audit_max_records = 50000, .client_expiration = 1};
    g_assert_true(world->file->shrinks);
    g_assert_cmpint(fill_and_clean(world, &settings), <, 6 * 1000 * 1000);
    g_assert_cmpint(query(world->file, "PRAGMA freelist_count"), >, 100);
    /* A slice is a small piece of work. */
    bool more = false;
    begin(world->file);
    g_assert_true(history_sql_exec(
        world->file->db, "DELETE FROM session; UPDATE entry SET record = hex(zeroblob(8000))", NULL));
    commit(world->file);
    g_assert_true(history_sql_exec(world->file->db, "UPDATE entry SET record = '{}'", NULL));
    for (int64_t before = query(world->file, "PRAGMA page_count"), after;; before = after) {
        g_assert_true(history_file_clean(world->file, &settings, 10 * DAY_MS, &more, NULL));
        after = query(world->file, "PRAGMA page_count");
        g_assert_cmpint(before - after, <=, 130);
        if (!more)
            break;
    }
}

static void
unmake(World *world)
{
    g_assert_true(history_sql_exec(world->file->db, "PRAGMA auto_vacuum = NONE; VACUUM", NULL));
    reopen(world);
}

/* A file of before: a small one gives room back from now on, a large one is as good as it was. */
static void
test_shrinks_not(World *world, const void *unused)
{
    (void)unused;
    const HistorySettings settings = {
        .audit_expiration = 365, .audit_max_records = 50000, .client_expiration = 1};
    begin(world->file);
    for (int64_t revision = 1; revision <= 20; revision++)
        write_entry(world->file, revision, 0, 1, NULL, false);
    commit(world->file);
    g_assert_true(history_sql_exec(
        world->file->db, "DROP INDEX entry_thin; DROP INDEX entry_fold; PRAGMA user_version = 1", NULL));
    unmake(world);
    g_assert_true(world->file->shrinks);
    g_assert_cmpint(query(world->file, "SELECT count(*) FROM entry INDEXED BY entry_thin"), ==, 20);
    g_assert_cmpint(query(world->file, "PRAGMA auto_vacuum"), ==, 2);
    g_assert_cmpint(verify(world->file).count, ==, 20);
    begin(world->file);
    g_autofree char *large = g_strnfill(40 * 1000 * 1000, 'x');
    g_assert_true(history_file_write_session(world->file, "large", large, 10 * DAY_MS, NULL));
    commit(world->file);
    unmake(world);
    g_assert_false(world->file->shrinks);
    g_assert_cmpint(query(world->file, "PRAGMA auto_vacuum"), ==, 0);
    clean(world->file, &settings, 20 * DAY_MS);
    g_assert_cmpint(query(world->file, "PRAGMA freelist_count"), >, 1000);
    g_assert_cmpint(verify(world->file).count, ==, 20);
    /* The next opening finds it small enough to be made anew. */
    g_assert_true(history_sql_exec(world->file->db, "VACUUM", NULL));
    unmake(world);
    g_assert_true(world->file->shrinks);
}

static void *
verify_often(void *path)
{
    enum { TIMES = 400 };
    g_autoptr(GError) error = NULL;
    HistoryFile *file = history_file_open(path, &error);
    g_assert_no_error(error);
    for (unsigned i = 0; i < TIMES; i++)
        g_assert_cmpint(verify(file).broken, ==, 0);
    history_file_close(file);
    return NULL;
}

/* The writer, the loop and the jobs have entries of their own at once: nothing that these hold is shared. */
static void
test_threads(World *world, const void *unused)
{
    (void)unused;
    begin(world->file);
    history_file_set_origin(world->file, 10, "0123456789abcdef");
    for (int64_t revision = 11; revision < 31; revision++)
        g_assert_cmpint(write_entry(world->file, revision, 0, 1, NULL, true), ==, HISTORY_WRITTEN);
    commit(world->file);
    GThread *threads[3];
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("verify", verify_often, world->path);
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) g_test_add("/history/file/" name, World, NULL, world_open, func, world_close)
    ADD("chain", test_chain);
    ADD("older", test_older);
    ADD("retention", test_retention);
    ADD("shrinks", test_shrinks);
    ADD("shrinks-not", test_shrinks_not);
    ADD("two-writers", test_two_writers);
    ADD("refused", test_refused);
    ADD("threads", test_threads);
    return g_test_run();
}
