/* test-sqlite.c - the provider by itself: files, content, migrations, what goes wrong with them. */
#include "storage-support.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define P (&conf_sqlite_provider)

typedef struct {
    char *folder;
    void *db;
} Fixture;

static void
set_up(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    fixture->folder = test_folder_new();
    test_make_database(fixture->folder);
    fixture->db = test_open_provider(fixture->folder, false, &error);
    g_assert_no_error(error);
}

static void
tear_down(Fixture *fixture, const void *data)
{
    if (fixture->db != NULL)
        P->close(fixture->db);
    test_folder_free(fixture->folder);
}

static void
write_file(const char *folder, const char *name, const char *content, size_t size)
{
    g_autofree char *path = test_path(folder, name);
    g_assert_true(g_file_set_contents(path, content, (gssize)size, NULL));
}

static void
assert_refused(const char *folder, int code, const char *said)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(test_open_provider(folder, false, &error));
    g_assert_error(error, CONF_ERROR, code);
    g_assert_nonnull(strstr(error->message, said));
    g_assert_nonnull(strstr(error->message, "test.db"));
}

static void
test_missing(void)
{
    char *folder = test_folder_new();
    assert_refused(folder, CONF_ERROR_NOT_FOUND, "-init");
    g_autofree char *path = test_path(folder, "test.db");
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    write_file(folder, "test.db", "", 0);
    assert_refused(folder, CONF_ERROR_NOT_FOUND, "-init");
    test_folder_free(folder);
}

static void
test_not_a_database(void)
{
    char *folder = test_folder_new();
    char garbage[8192];
    memset(garbage, 'g', sizeof(garbage));
    write_file(folder, "test.db", garbage, sizeof(garbage));
    assert_refused(folder, CONF_ERROR_INVALID, "not a database");

    g_autofree char *path = test_path(folder, "test.db");
    g_unlink(path);
    sqlite3 *other;
    g_assert_cmpint(sqlite3_open(path, &other), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_exec(other, "CREATE TABLE recipes (name TEXT)", NULL, NULL, NULL), ==, SQLITE_OK);
    sqlite3_close(other);
    assert_refused(folder, CONF_ERROR_INVALID, "another program");

    g_unlink(path);
    g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
    assert_refused(folder, CONF_ERROR_INVALID, "not a file");
    g_rmdir(path);
    test_folder_free(folder);
}

static void
test_rights(void)
{
    char *folder = test_folder_new();
    test_make_database(folder);
    g_autofree char *path = test_path(folder, "test.db");
    g_chmod(path, 0400);
    /* Root may do anything: what counts is the effective user. */
    bool root = geteuid() == 0;
    g_chmod(folder, 0755);
    if (root)
        g_assert_cmpint(seteuid(65534), ==, 0);
    assert_refused(folder, CONF_ERROR_DENIED, "read and written");
    if (root)
        g_assert_cmpint(seteuid(0), ==, 0);
    if (root)
        g_chmod(path, 0666);
    else
        g_chmod(path, 0600);
    g_chmod(folder, 0555);
    if (root)
        g_assert_cmpint(seteuid(65534), ==, 0);
    assert_refused(folder, CONF_ERROR_DENIED, "folder");
    if (root)
        g_assert_cmpint(seteuid(0), ==, 0);
    g_chmod(folder, 0700);
    test_folder_free(folder);
}

static void
test_modes(Fixture *fixture, const void *data)
{
    mode_t old = umask(0);
    g_autoptr(GError) error = NULL;
    g_assert_true(P->renew_lease(fixture->db, 0, &error));
    static const char *const names[] = {"test.db", "test.db-wal", "test.db-shm", "test.db.lock"};
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = test_path(fixture->folder, names[i]);
        struct stat status;
        g_assert_cmpint(stat(path, &status), ==, 0);
        g_assert_cmpint(status.st_mode & 0777, ==, 0600);
    }
    umask(old);
}

/* ---- content ---- */

static bool
collect_object(const ConfStorageObject *object, void *data, GError **error)
{
    g_string_append_printf(data, "%u/%" G_GINT64_FORMAT "@%" G_GINT64_FORMAT ",%" G_GINT64_FORMAT " %.*s",
                           object->type, object->dbid, object->revision, object->acl_revision,
                           (int)object->body_size, object->body);
    if (object->secrets != NULL)
        g_string_append_printf(data, " s:%.*s", (int)object->secrets_size, object->secrets);
    if (object->permissions != NULL)
        g_string_append_printf(data, " p:%.*s", (int)object->permissions_size, object->permissions);
    g_string_append_c(data, '\n');
    return true;
}

static bool
collect_dbid(uint16_t type, int64_t next, void *data, GError **error)
{
    g_string_append_printf(data, "%u:%" G_GINT64_FORMAT " ", type, next);
    return true;
}

static bool
collect_change(const ConfStorageChange *change, void *data, GError **error)
{
    g_string_append_printf(data, "%" G_GINT64_FORMAT " ", change->revision);
    return true;
}

#define TEXT(t) (t), NULL, NULL, sizeof(t) - 1, 0, 0

static void
test_content(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TestBatch) batch = test_batch_new(1, 2, 0, 0);
    const ConfStorageObject puts[] = {
        {65534, G_GINT64_CONSTANT(9007199254740991), 2, 0, TEXT("{\"last\":1}")},
        {3, 100, 2, 7, "{}", "{\"s\":1}", "[]", 2, 7, 2},
        {10, 2, 2, 1, TEXT("{\"again\":true}")},
        {3, 99, 2, 0, TEXT("{\"umlaut\":\"\xc3\xa4\"}")},
    };
    const ConfStorageObject removes[] = {{.type = 10, .dbid = 1}, {.type = 44, .dbid = 5}};
    const uint16_t types[] = {3, 65534};
    const int64_t next[] = {101, G_GINT64_CONSTANT(9007199254740992)};
    ConfStorageBatch wanted = batch->batch;
    wanted.puts = puts;
    wanted.put_count = G_N_ELEMENTS(puts);
    wanted.removes = removes;
    wanted.remove_count = G_N_ELEMENTS(removes);
    wanted.dbid_types = types;
    wanted.dbid_next = next;
    wanted.dbid_count = 2;
    g_assert_true(P->commit(fixture->db, 0, &wanted, &error));

    g_autoptr(GString) objects = g_string_new(NULL);
    g_assert_true(P->load_objects(fixture->db, collect_object, objects, &error));
    char *third = strstr(objects->str, "10/3@1,1 {");
    g_assert_nonnull(third);
    g_string_erase(objects, third - objects->str, strchr(third, '\n') + 1 - third);
    g_assert_cmpstr(objects->str, ==,
                    "3/99@2,0 {\"umlaut\":\"\xc3\xa4\"}\n"
                    "3/100@2,7 {} s:{\"s\":1} p:[]\n"
                    "10/2@2,1 {\"again\":true}\n"
                    "65534/9007199254740991@2,0 {\"last\":1}\n");
    g_autoptr(GString) dbids = g_string_new(NULL);
    g_assert_true(P->load_next_dbids(fixture->db, collect_dbid, dbids, &error));
    g_assert_cmpstr(dbids->str, ==, "3:101 65534:9007199254740992 ");
    g_autoptr(GString) changes = g_string_new(NULL);
    g_assert_true(P->load_changes(fixture->db, 0, collect_change, changes, &error));
    g_assert_cmpstr(changes->str, ==, "1 2 ");
    g_string_truncate(changes, 0);
    g_assert_true(P->load_changes(fixture->db, 1, collect_change, changes, &error));
    g_assert_cmpstr(changes->str, ==, "2 ");
}

static bool
refuse_object(const ConfStorageObject *object, void *data, GError **error)
{
    g_set_error_literal(error, CONF_ERROR, CONF_ERROR_FULL, "enough");
    return false;
}

static void
test_load_ends(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_assert_false(P->load_objects(fixture->db, refuse_object, NULL, &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_FULL);
    g_clear_error(&error);
    g_assert_true(P->renew_lease(fixture->db, 0, &error));
}

static void
test_initialize_twice(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TestBatch) batch = test_batch_new(0, 1, 1, 100);
    ConfStorageLease lease = {.environment = "other", .revision = 1};
    g_assert_false(P->initialize(fixture->db, &lease, &batch->batch, &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_EXISTS);
    g_assert_cmpstr(test_read_lease(fixture->folder).environment, ==, "01234567-89ab-4cde-8f01-23456789abcd");
}

static void
test_refused_leaves_nothing(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TestBatch) stale = test_batch_new(5, 6, 9, 100);
    g_assert_false(P->commit(fixture->db, 0, &stale->batch, &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_DEPOSED);
    g_clear_error(&error);
    g_autoptr(TestBatch) other_epoch = test_batch_new(1, 2, 9, 100);
    g_assert_false(P->commit(fixture->db, 1, &other_epoch->batch, &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_DEPOSED);
    g_clear_error(&error);

    /* A type of which this was to be the first object, in a batch that fails after it. */
    const ConfStorageObject puts[] = {{77, 1, 2, 0, TEXT("{}")}, {77, 0, 2, 0, TEXT("{}")}};
    g_autoptr(TestBatch) batch = test_batch_new(1, 2, 0, 0);
    ConfStorageBatch wanted = batch->batch;
    wanted.puts = puts;
    wanted.put_count = 2;
    g_assert_false(P->commit(fixture->db, 0, &wanted, &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_true(P->is_alive(fixture->db));
    test_check_whole(fixture->folder, TEST_FIRST_OBJECTS, 1);

    const ConfStorageObject other = {78, 1, 2, 0, TEXT("{}")};
    wanted.puts = &other;
    wanted.put_count = 1;
    g_assert_true(P->commit(fixture->db, 0, &wanted, &error));
    const ConfStorageObject again[] = {{77, 1, 3, 0, TEXT("{}")}};
    g_autoptr(TestBatch) next = test_batch_new(2, 3, 0, 0);
    next->batch.put_count = 1;
    g_free((void *)next->batch.puts);
    next->batch.puts = again;
    g_assert_true(P->commit(fixture->db, 0, &next->batch, &error));
    next->batch.puts = NULL;
    g_autoptr(GString) objects = g_string_new(NULL);
    g_assert_true(P->load_objects(fixture->db, collect_object, objects, &error));
    g_assert_true(g_str_has_suffix(objects->str, "77/1@3,0 {}\n78/1@2,0 {}\n"));
}

static void
test_too_many_types(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TestBatch) batch = test_batch_new(1, 2, 1023, 10);
    ConfStorageObject *puts = (ConfStorageObject *)batch->batch.puts;
    for (unsigned i = 0; i < 1023; i++)
        puts[i].type = (uint16_t)(1000 + i);
    g_assert_false(P->commit(fixture->db, 0, &batch->batch, &error));
    g_assert_nonnull(strstr(error->message, "type of objects"));
    g_clear_error(&error);
    batch->batch.put_count = 1022;
    g_assert_true(P->commit(fixture->db, 0, &batch->batch, &error));
}

/* ---- pruning ---- */

static void
fill_changes(Fixture *fixture, int64_t base, unsigned count, size_t record_size, int64_t time_ms)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *record = g_strnfill(record_size, 'r');
    g_autoptr(TestBatch) batch = test_batch_new(base, base + count, 0, 0);
    ConfStorageChange *changes = (ConfStorageChange *)batch->batch.changes;
    for (unsigned i = 0; i < count; i++) {
        changes[i].record = record;
        changes[i].record_size = record_size;
        changes[i].time_ms = time_ms;
    }
    g_assert_true(P->commit(fixture->db, 0, &batch->batch, &error));
}

static int
prune(Fixture *fixture, int64_t before_ms, int64_t max_bytes, int64_t keep_from, int limit)
{
    g_autoptr(GError) error = NULL;
    int removed = -1;
    g_assert_true(P->prune(fixture->db, 0, before_ms, max_bytes, keep_from, limit, &removed, &error));
    return removed;
}

static void
assert_oldest(Fixture *fixture, const char *start)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) changes = g_string_new(NULL);
    g_assert_true(P->load_changes(fixture->db, 0, collect_change, changes, &error));
    g_assert_true(g_str_has_prefix(changes->str, start));
}

static void
test_prune(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    fill_changes(fixture, 1, 9, 1000, 5000);   /* 2..10 */
    fill_changes(fixture, 10, 10, 1000, 9000); /* 11..20 */
    int64_t all = INT64_MAX;
    /* Revision 1 was made now: it is younger than all, and nothing is removed from behind it. */
    g_assert_cmpint(prune(fixture, 6000, all, 100, 500), ==, 0);
    g_assert_cmpint(prune(fixture, all, all, 2, 500), ==, 1);
    g_assert_cmpint(prune(fixture, 6000, all, 5, 500), ==, 3);
    assert_oldest(fixture, "5 ");
    g_assert_cmpint(prune(fixture, 6000, all, 100, 2), ==, 2);
    g_assert_cmpint(prune(fixture, 6000, all, 100, 500), ==, 4);
    assert_oldest(fixture, "11 ");
    g_assert_cmpint(prune(fixture, 6000, all, 100, 500), ==, 0);
    /* Three newer records fill the 3000 bytes: all before them go. */
    g_assert_cmpint(prune(fixture, 0, 3000, 100, 500), ==, 7);
    assert_oldest(fixture, "18 19 20 ");
    g_assert_cmpint(prune(fixture, 0, 3000, 100, 500), ==, 0);
    fill_changes(fixture, 20, 1, 1000, 9000);
    g_assert_cmpint(prune(fixture, 0, 3000, 100, 500), ==, 1);
    /* All may go, and counting begins anew. */
    g_assert_cmpint(prune(fixture, all, all, 100, 500), ==, 3);
    fill_changes(fixture, 21, 3, 1000, 9000);
    g_assert_cmpint(prune(fixture, 0, 2000, 100, 500), ==, 1);

    int removed;
    g_assert_false(P->prune(fixture->db, 5, all, all, 100, 500, &removed, &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_DEPOSED);
}

static void
test_prune_long_records(Fixture *fixture, const void *data)
{
    prune(fixture, INT64_MAX, INT64_MAX, 2, 500);
    fill_changes(fixture, 1, 20, 1024 * 1024, 5000);
    int removed = prune(fixture, INT64_MAX, INT64_MAX, 100, 500);
    g_assert_cmpint(removed, >, 1);
    g_assert_cmpint(removed, <, 12);
}

/* ---- migrations ---- */

static const ConfSqliteMigration *
migrations_with(const char *second)
{
    static ConfSqliteMigration list[2];
    list[0] = conf_sqlite_migrations[0];
    list[1] = (ConfSqliteMigration){2, "0002-test.sql", second};
    return list;
}

static int64_t
read_version(const char *folder)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = test_path(folder, "test.db");
    sqlite3 *handle;
    g_assert_cmpint(sqlite3_open(path, &handle), ==, SQLITE_OK);
    sqlite3_stmt *statement;
    g_assert_cmpint(sqlite3_prepare_v2(handle, "PRAGMA user_version", -1, &statement, NULL), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_step(statement), ==, SQLITE_ROW);
    int64_t version = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    return version;
}

static void
test_migrate(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    int version;
    /* Half a step is no step. */
    g_assert_false(conf_sqlite_migrate_by(
        fixture->db, migrations_with("CREATE TABLE extra (a INTEGER); NONSENSE;"), 2, &version, &error));
    g_assert_nonnull(strstr(error->message, "0002-test.sql"));
    g_clear_error(&error);
    g_assert_cmpint(read_version(fixture->folder), ==, 1);
    const char *good = "CREATE TABLE extra (a INTEGER); ALTER TABLE change ADD COLUMN note TEXT;";
    g_assert_true(conf_sqlite_migrate_by(fixture->db, migrations_with(good), 2, &version, &error));
    g_assert_cmpint(version, ==, 2);
    g_assert_cmpint(read_version(fixture->folder), ==, 2);
    g_assert_true(conf_sqlite_migrate_by(fixture->db, migrations_with(good), 2, &version, &error));
    /* The data is still there. */
    ConfStorageLease lease;
    g_assert_true(P->read_lease(fixture->db, &lease, &error));
    g_assert_cmpint(lease.revision, ==, 1);
    /* And the program of version 1 says that this is too new for it. */
    g_assert_false(P->migrate(fixture->db, &version, &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_NEWER);
    g_assert_nonnull(strstr(error->message, "version 2"));
    g_assert_nonnull(strstr(error->message, "up to 1"));
}

static void
test_migrate_in_use(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    ConfStorage *holder = test_take(P, fixture->folder, 1000, "holder", &error);
    g_assert_no_error(error);
    int version;
    const char *sql = "CREATE TABLE extra (a INTEGER)";
    g_assert_false(conf_sqlite_migrate_by(fixture->db, migrations_with(sql), 2, &version, &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_HELD);
    g_clear_error(&error);
    g_assert_cmpint(read_version(fixture->folder), ==, 1);
    conf_storage_close(holder);
    g_assert_true(conf_sqlite_migrate_by(fixture->db, migrations_with(sql), 2, &version, &error));
}

/* ---- damage and foreign hands ---- */

static void
test_damaged(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TestBatch) batch = test_batch_new(1, 2, 500, 1000);
    g_assert_true(P->commit(fixture->db, 0, &batch->batch, &error));
    P->close(g_steal_pointer(&fixture->db));
    g_autofree char *path = test_path(fixture->folder, "test.db");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    char noise[4096];
    memset(noise, 0xa5, sizeof(noise));
    for (off_t page = 20; page < 60; page++)
        g_assert_cmpint(pwrite(fd, noise, sizeof(noise), page * 4096), ==, sizeof(noise));
    close(fd);
    fixture->db = test_open_provider(fixture->folder, false, &error);
    g_assert_no_error(error);
    g_autoptr(GString) objects = g_string_new(NULL);
    g_assert_false(P->load_objects(fixture->db, collect_object, objects, &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
    g_assert_nonnull(strstr(error->message, "malformed"));
}

static void
test_locked(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = test_path(fixture->folder, "test.db");
    sqlite3 *other;
    g_assert_cmpint(sqlite3_open(path, &other), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), ==, SQLITE_OK);
    g_autoptr(TestBatch) batch = test_batch_new(1, 2, 1, 100);
    g_assert_false(P->commit(fixture->db, 0, &batch->batch, &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE);
    g_autofree char *said = g_strdup_printf("process %d has it locked", (int)getpid());
    g_assert_nonnull(strstr(error->message, said));
    g_clear_error(&error);
    g_assert_true(P->is_alive(fixture->db));
    ConfStorageLease lease;
    g_assert_true(P->read_lease(fixture->db, &lease, &error));
    sqlite3_close(other);
    g_assert_true(P->commit(fixture->db, 0, &batch->batch, &error));
}

static void
test_replaced(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = test_path(fixture->folder, "test.db");
    g_autofree char *aside = test_path(fixture->folder, "aside.db");
    g_assert_true(P->renew_lease(fixture->db, 0, &error));
    g_assert_cmpint(g_rename(path, aside), ==, 0);
    g_autoptr(TestBatch) batch = test_batch_new(1, 2, 1, 100);
    g_assert_false(P->commit(fixture->db, 0, &batch->batch, &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE);
    g_assert_false(P->is_alive(fixture->db));
    g_assert_cmpint(g_rename(aside, path), ==, 0);
    P->close(g_steal_pointer(&fixture->db));
    test_check_whole(fixture->folder, TEST_FIRST_OBJECTS, 1);
}

static void
test_full(void)
{
    g_autoptr(GError) error = NULL;
    char *folder = test_small_disk_new("2m");
    if (folder == NULL)
        return;
    test_make_database(folder);
    void *db = test_open_provider(folder, false, &error);
    g_assert_no_error(error);
    int64_t revision = 1;
    for (;;) {
        g_autoptr(TestBatch) batch = test_batch_new(revision, revision + 1, 20, 1000);
        if (!P->commit(db, 0, &batch->batch, &error))
            break;
        revision++;
        g_assert_cmpint(revision, <, 1000);
    }
    g_assert_error(error, CONF_ERROR, CONF_ERROR_FULL);
    g_clear_error(&error);
    g_assert_cmpint(revision, >, 3);
    g_assert_true(P->is_alive(db));
    test_check_whole(folder, 20, 1);
    test_small_disk_resize(folder, "8m");
    g_autoptr(TestBatch) batch = test_batch_new(revision, revision + 1, 20, 1000);
    g_assert_true(P->commit(db, 0, &batch->batch, &error));
    test_check_whole(folder, 20, 1);
    P->close(db);
    test_small_disk_free(folder);
}

#define ADD(path, func) g_test_add("/storage/sqlite/" path, Fixture, NULL, set_up, func, tear_down)

int
main(int argc, char **argv)
{
    test_init(&argc, &argv, NULL);
    g_test_add_func("/storage/sqlite/missing", test_missing);
    g_test_add_func("/storage/sqlite/not-a-database", test_not_a_database);
    g_test_add_func("/storage/sqlite/rights", test_rights);
    ADD("modes", test_modes);
    ADD("content", test_content);
    ADD("load-ends", test_load_ends);
    ADD("initialize-twice", test_initialize_twice);
    ADD("refused-leaves-nothing", test_refused_leaves_nothing);
    ADD("too-many-types", test_too_many_types);
    ADD("prune", test_prune);
    ADD("prune-long-records", test_prune_long_records);
    ADD("migrate", test_migrate);
    ADD("migrate-in-use", test_migrate_in_use);
    ADD("damaged", test_damaged);
    ADD("locked", test_locked);
    ADD("replaced", test_replaced);
    g_test_add_func("/storage/sqlite/full", test_full);
    return g_test_run();
}
