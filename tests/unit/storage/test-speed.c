/* test-speed.c - group commit and load.  Small by default, so that it cannot rot; with -m perf at full
 * size and with budgets. */
#include "storage-support.h"

#include <string.h>

#include "base/clock.h"

enum { BATCH_OBJECTS = 64, BODY_SIZE = 1000, LOAD_CHUNK = 20000 };

typedef struct {
    ConfStorage *storage;
    TestBatch *batch;
    int64_t revision;
    unsigned count, wanted;
    int64_t started_one, slowest_usec;
    uint32_t random;
    int64_t objects;
    bool scattered;
} Stream;

static void next_batch(Stream *stream);

static void
on_stored(ConfStoredVerdict verdict, const GError *error, void *data)
{
    Stream *stream = data;
    g_assert_cmpint(verdict, ==, CONF_STORED);
    stream->slowest_usec = MAX(stream->slowest_usec, conf_clock_monotonic_usec() - stream->started_one);
    stream->revision++;
    if (++stream->count < stream->wanted)
        next_batch(stream);
}

/* Dbids one after the other, or all over the table. */
static void
next_batch(Stream *stream)
{
    TestBatch *batch = stream->batch;
    batch->batch.base_revision = stream->revision;
    batch->batch.last_revision = stream->revision + 1;
    ConfStorageObject *puts = (ConfStorageObject *)batch->batch.puts;
    for (unsigned i = 0; i < BATCH_OBJECTS; i++) {
        stream->random = stream->random * 1664525u + 1013904223u;
        int64_t place = stream->scattered ? stream->random >> 4 : stream->count * BATCH_OBJECTS + i;
        puts[i].dbid = 1 + place % stream->objects;
    }
    ConfStorageChange *changes = (ConfStorageChange *)batch->batch.changes;
    changes[0].revision = batch->batch.last_revision;
    stream->started_one = conf_clock_monotonic_usec();
    conf_storage_commit(stream->storage, &batch->batch, on_stored, NULL, stream);
}

static void
run_stream(const char *folder, int64_t objects, unsigned batches, bool scattered)
{
    g_autoptr(GError) error = NULL;
    ConfStorage *storage = test_take(&conf_sqlite_provider, folder, 10000, "speed", &error);
    g_assert_no_error(error);
    ConfStorageState state;
    g_assert_true(conf_storage_load_state(storage, &state, &error));
    Stream stream = {
        .storage = storage, .wanted = batches, .objects = objects, .random = 1, .scattered = scattered};
    stream.revision = state.revision;
    stream.batch = test_batch_new(state.revision, state.revision + 1, BATCH_OBJECTS, BODY_SIZE);
    int64_t started = conf_clock_monotonic_usec();
    next_batch(&stream);
    test_wait(&stream.count, batches, 100000);
    double seconds = (double)(conf_clock_monotonic_usec() - started) / 1e6;
    g_test_message("%s: %.0f batches/s of %d objects, slowest %.1f ms", scattered ? "scattered" : "in order",
                   batches / seconds, BATCH_OBJECTS, (double)stream.slowest_usec / 1000);
    if (g_test_perf())
        g_assert_cmpfloat(batches / seconds, >, scattered ? 300.0 : 1500.0);
    test_batch_free(stream.batch);
    conf_storage_close(storage);
}

static bool
count_object(const ConfStorageObject *object, void *data, GError **error)
{
    uint64_t *sums = data;
    sums[0]++;
    /* Touches the text, as making an object of it does. */
    sums[1] += (unsigned char)object->body[object->body_size / 2];
    return true;
}

static void
fill(const char *folder, int64_t objects)
{
    g_autoptr(GError) error = NULL;
    void *db = test_open_provider(folder, false, &error);
    g_assert_no_error(error);
    int64_t revision = 1;
    for (int64_t done = 0; done < objects; done += LOAD_CHUNK, revision++) {
        g_autoptr(TestBatch) batch =
            test_batch_new(revision, revision + 1, (unsigned)MIN(LOAD_CHUNK, objects - done), BODY_SIZE);
        ConfStorageObject *puts = (ConfStorageObject *)batch->batch.puts;
        for (size_t i = 0; i < batch->batch.put_count; i++)
            puts[i].dbid += done;
        g_assert_true(conf_sqlite_provider.commit(db, 0, &batch->batch, &error));
        conf_sqlite_provider.tidy(db, false);
    }
    conf_sqlite_provider.close(db);
}

static void
test_speed(void)
{
    int64_t objects = g_test_perf() ? 200000 : 2000;
    unsigned batches = g_test_perf() ? 5000 : 50;
    char *folder = test_folder_new();
    test_make_database(folder);
    fill(folder, objects);

    g_autoptr(GError) error = NULL;
    void *db = test_open_provider(folder, false, &error);
    uint64_t sums[2] = {0, 0};
    int64_t started = conf_clock_monotonic_usec();
    g_assert_true(conf_sqlite_provider.load_objects(db, count_object, sums, &error));
    double seconds = (double)(conf_clock_monotonic_usec() - started) / 1e6;
    g_assert_cmpuint(sums[0], ==, (uint64_t)objects);
    g_test_message("%" G_GINT64_FORMAT " objects of %d bytes loaded in %.3f s", objects, BODY_SIZE, seconds);
    if (g_test_perf())
        g_assert_cmpfloat(seconds, <, 1.0);
    conf_sqlite_provider.close(db);
    run_stream(folder, objects, batches, false);
    run_stream(folder, objects, batches, true);
    test_folder_free(folder);
}

int
main(int argc, char **argv)
{
    test_init(&argc, &argv, NULL);
    g_test_add_func("/storage/speed/all", test_speed);
    return g_test_run();
}
