/* storage-support.c - see storage-support.h. */
#include "storage-support.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/queue-main.h"

typedef struct {
    int64_t revision;
    unsigned count;
} Whole;

static char *own_path;

char *
test_folder_new(void)
{
    GError *error = NULL;
    char *folder = g_dir_make_tmp("confserv-storage-XXXXXX", &error);
    g_assert_no_error(error);
    return folder;
}

void
test_folder_free(char *folder)
{
    g_autoptr(GDir) directory = g_dir_open(folder, 0, NULL);
    const char *name;
    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        g_autofree char *path = test_path(folder, name);
        g_unlink(path);
    }
    g_assert_cmpint(g_rmdir(folder), ==, 0);
    g_free(folder);
}

char *
test_small_disk_new(const char *size)
{
    char *folder = test_folder_new();
    g_autofree char *options = g_strconcat("size=", size, NULL);
    if (mount("tmpfs", folder, "tmpfs", 0, options) == 0)
        return folder;
    g_assert_null(g_getenv("CI"));
    g_test_skip("a small disk cannot be mounted: that needs root");
    test_folder_free(folder);
    return NULL;
}

void
test_small_disk_resize(const char *folder, const char *size)
{
    g_autofree char *options = g_strconcat("size=", size, NULL);
    g_assert_cmpint(mount("tmpfs", folder, "tmpfs", MS_REMOUNT, options), ==, 0);
}

void
test_small_disk_free(char *folder)
{
    g_assert_cmpint(umount2(folder, MNT_DETACH), ==, 0);
    test_folder_free(folder);
}

char *
test_path(const char *folder, const char *name)
{
    return g_build_filename(folder, name, NULL);
}

ConfSettings *
test_settings(const char *folder)
{
    ConfSettings *settings = conf_settings_new();
    g_autofree char *path = test_path(folder, "test.db");
    conf_settings_set(settings, "dbserver", "dbname", path);
    return settings;
}

ConfStorage *
test_open(const ConfStorageProvider *provider, const char *folder, bool create, GError **error)
{
    g_autoptr(ConfSettings) settings = test_settings(folder);
    return conf_storage_open(provider, settings, "dbserver", create, error);
}

void
test_make_database(const char *folder)
{
    g_autoptr(GError) error = NULL;
    ConfStorage *storage = test_open(&conf_sqlite_provider, folder, true, &error);
    g_assert_no_error(error);
    g_assert_true(conf_storage_migrate(storage, &error));
    g_autoptr(TestBatch) batch = test_batch_new(0, 1, TEST_FIRST_OBJECTS, 100);
    ConfStorageState state = {.revision = 1, .created_ms = 1000};
    g_strlcpy(state.environment, "01234567-89ab-4cde-8f01-23456789abcd", sizeof(state.environment));
    g_strlcpy(state.chain, batch->chain, sizeof(state.chain));
    g_assert_true(conf_storage_write_initial(storage, &batch->batch, &state, &error));
    g_assert_no_error(error);
    conf_storage_close(storage);
}

ConfStorage *
test_take(const ConfStorageProvider *provider, const char *folder, unsigned lease_time_ms, const char *holder,
          GError **error)
{
    ConfStorage *storage = test_open(provider, folder, false, error);
    if (storage == NULL)
        return NULL;
    if (conf_storage_migrate(storage, error) &&
        conf_storage_take_lease(storage, lease_time_ms, holder, error))
        return storage;
    conf_storage_close(storage);
    return NULL;
}

static const char *
only_name(const char *key, void *data)
{
    return strcmp(key, "dbname") == 0 ? data : NULL;
}

void *
test_open_provider(const char *folder, bool create, GError **error)
{
    g_autofree char *path = test_path(folder, "test.db");
    void *db = conf_sqlite_provider.open(only_name, path, create, error);
    int version;
    if (db == NULL || conf_sqlite_provider.migrate(db, &version, error))
        return db;
    conf_sqlite_provider.close(db);
    return NULL;
}

TestBatch *
test_batch_new(int64_t base, int64_t last, unsigned count, size_t body_size)
{
    TestBatch *made = g_new0(TestBatch, 1);
    unsigned changes = (unsigned)(last - base);
    GString *body = g_string_new(NULL);
    g_string_printf(body, "{\"revision\":%" G_GINT64_FORMAT ",\"pad\":\"", last);
    while (body->len + 2 < body_size)
        g_string_append_c(body, 'x');
    g_string_append(body, "\"}");
    size_t size = body->len;
    made->body = g_string_free(body, FALSE);
    ConfStorageObject *puts = g_new0(ConfStorageObject, count);
    for (unsigned i = 0; i < count; i++)
        puts[i] = (ConfStorageObject){TEST_TYPE, i + 1, last, 1, made->body, NULL, NULL, size, 0, 0};

    ConfStorageChange *records = g_new0(ConfStorageChange, changes);
    made->chains = g_malloc0(sizeof(*made->chains) * changes);
    made->records = g_new0(char *, changes + 1);
    for (unsigned i = 0; i < changes; i++) {
        int64_t revision = base + 1 + i;
        g_snprintf(made->chains[i], sizeof(made->chains[i]), "%016" G_GINT64_MODIFIER "x", revision * 7919);
        made->records[i] = g_strdup_printf("{\"revision\":%" G_GINT64_FORMAT "}", revision);
        records[i] = (ConfStorageChange){revision, conf_clock_wall_ms(), made->chains[i], made->records[i],
                                         strlen(made->records[i])};
    }
    g_strlcpy(made->chain, changes > 0 ? made->chains[changes - 1] : "", sizeof(made->chain));
    made->batch = (ConfStorageBatch){
        .base_revision = base,
        .last_revision = last,
        .last_chain = made->chain,
        .puts = puts,
        .put_count = count,
        .changes = records,
        .change_count = changes,
    };
    return made;
}

void
test_batch_free(TestBatch *batch)
{
    g_free((void *)batch->batch.puts);
    g_free((void *)batch->batch.changes);
    g_free(batch->chains);
    g_strfreev(batch->records);
    g_free(batch->body);
    g_free(batch);
}

static void
note(TestEvents *events, char letter)
{
    size_t length = strlen(events->order);
    if (length + 1 < sizeof(events->order))
        events->order[length] = letter;
}

static void
on_deposed(int64_t epoch_seen, void *data)
{
    TestEvents *events = data;
    note(events, 'd');
    events->epoch_seen = epoch_seen;
    events->deposed++;
}

static void
on_lost(const GError *error, void *data)
{
    TestEvents *events = data;
    note(events, 'l');
    g_assert_nonnull(error);
    events->lost++;
}

static void
on_found(void *data)
{
    TestEvents *events = data;
    note(events, 'f');
    events->found++;
}

const ConfStorageFuncs test_funcs = {on_deposed, on_lost, on_found};

void
test_on_verdict(ConfStoredVerdict verdict, const GError *error, void *data)
{
    TestEvents *events = data;
    note(events, 'v');
    g_assert_true((verdict == CONF_STORED) == (error == NULL));
    events->verdict = verdict;
    events->error_code = error != NULL ? error->code : -1;
    g_strlcpy(events->error, error != NULL ? error->message : "", sizeof(events->error));
    events->verdicts++;
}

void
test_on_unknown(void *data)
{
    TestEvents *events = data;
    note(events, 'u');
    events->unknown++;
}

static gboolean
on_timeout(gpointer data)
{
    bool *over = data;
    *over = true;
    return G_SOURCE_REMOVE;
}

void
test_wait(const unsigned *counter, unsigned value, unsigned ms)
{
    bool over = false;
    unsigned timer = g_timeout_add(ms, on_timeout, &over);
    while (*counter < value && !over)
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpuint(*counter, >=, value);
    if (!over)
        g_source_remove(timer);
}

void
test_run_for(unsigned ms)
{
    bool over = false;
    g_timeout_add(ms, on_timeout, &over);
    while (!over)
        g_main_context_iteration(NULL, TRUE);
}

ConfStoredVerdict
test_commit(ConfStorage *storage, const TestBatch *batch, TestEvents *events)
{
    unsigned before = events->verdicts;
    conf_storage_commit(storage, &batch->batch, test_on_verdict, test_on_unknown, events);
    test_wait(&events->verdicts, before + 1, 20000);
    return events->verdict;
}

ConfStoredVerdict
test_confirm(ConfStorage *storage, TestEvents *events)
{
    unsigned before = events->verdicts;
    conf_storage_confirm(storage, test_on_verdict, events);
    test_wait(&events->verdicts, before + 1, 20000);
    return events->verdict;
}

ConfStorageLease
test_read_lease(const char *folder)
{
    g_autoptr(GError) error = NULL;
    void *db = test_open_provider(folder, false, &error);
    g_assert_no_error(error);
    ConfStorageLease lease;
    g_assert_true(conf_sqlite_provider.read_lease(db, &lease, &error));
    conf_sqlite_provider.close(db);
    return lease;
}

static bool
check_object(const ConfStorageObject *object, void *data, GError **error)
{
    Whole *whole = data;
    g_autofree char *start = g_strdup_printf("{\"revision\":%" G_GINT64_FORMAT ",", whole->revision);
    g_assert_cmpint(object->revision, ==, whole->revision);
    g_assert_cmpint(object->dbid, ==, ++whole->count);
    g_assert_true(object->body_size > strlen(start) && memcmp(object->body, start, strlen(start)) == 0);
    g_assert_cmpint(object->body[object->body_size - 1], ==, '}');
    return true;
}

static bool
check_change(const ConfStorageChange *change, void *data, GError **error)
{
    int64_t *expected = data;
    g_assert_cmpint(change->revision, ==, *expected);
    g_autofree char *chain = g_strdup_printf("%016" G_GINT64_MODIFIER "x", change->revision * 7919);
    g_assert_cmpstr(change->chain, ==, chain);
    ++*expected;
    return true;
}

void
test_check_whole(const char *folder, unsigned count, int64_t first_change)
{
    g_autoptr(GError) error = NULL;
    void *db = test_open_provider(folder, false, &error);
    g_assert_no_error(error);
    ConfStorageLease lease;
    g_assert_true(conf_sqlite_provider.read_lease(db, &lease, &error));
    Whole whole = {lease.revision, 0};
    g_assert_true(conf_sqlite_provider.load_objects(db, check_object, &whole, &error));
    g_assert_cmpuint(whole.count, ==, count);
    int64_t next = first_change;
    g_assert_true(conf_sqlite_provider.load_changes(db, first_change - 1, check_change, &next, &error));
    g_assert_cmpint(next, ==, lease.revision + 1);
    conf_sqlite_provider.close(db);
}

GSubprocess *
test_spawn(const char *mode, const char *folder, const char *argument)
{
    g_autoptr(GError) error = NULL;
    GSubprocess *child =
        g_subprocess_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error, own_path,
                         "--child", mode, folder, argument != NULL ? argument : "", NULL);
    g_assert_no_error(error);
    GDataInputStream *lines = g_data_input_stream_new(g_subprocess_get_stdout_pipe(child));
    g_object_set_data_full(G_OBJECT(child), "lines", lines, g_object_unref);
    return child;
}

static void
on_line(GObject *source, GAsyncResult *result, gpointer data)
{
    GAsyncResult **kept = data;
    *kept = g_object_ref(result);
}

char *
test_read_line(GSubprocess *child)
{
    GDataInputStream *lines = g_object_get_data(G_OBJECT(child), "lines");
    GAsyncResult *result = NULL;
    g_data_input_stream_read_line_async(lines, G_PRIORITY_DEFAULT, NULL, on_line, &result);
    bool over = false;
    unsigned timer = g_timeout_add(20000, on_timeout, &over);
    while (result == NULL && !over)
        g_main_context_iteration(NULL, TRUE);
    g_assert_nonnull(result);
    g_source_remove(timer);
    char *line = g_data_input_stream_read_line_finish(lines, result, NULL, NULL);
    g_object_unref(result);
    return line;
}

void
test_init(int *argc, char ***argv, const TestChild *children)
{
    conf_main_queue_init();
    own_path = g_file_read_link("/proc/self/exe", NULL);
    for (const TestChild *child = children; child != NULL && child->mode != NULL; child++) {
        if (*argc == 5 && strcmp((*argv)[1], "--child") == 0 && strcmp((*argv)[2], child->mode) == 0)
            exit(child->func((*argv)[3], (*argv)[4]));
    }
    g_test_init(argc, argv, NULL);
}
