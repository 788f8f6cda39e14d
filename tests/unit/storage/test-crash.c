/* test-crash.c - kill -9 in the midst of a stream of commits: what was answered is there, whole, and
 * nothing is half. */
#include "storage-support.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum { OBJECTS = 64, BODY_SIZE = 1000 };

/* Commits without end, or as often as `argument` says; says each revision once it is answered. */
static int
run_stream(const char *folder, const char *argument)
{
    int64_t left = *argument != '\0' ? g_ascii_strtoll(argument, NULL, 10) : INT64_MAX;
    g_autoptr(GError) error = NULL;
    ConfStorage *storage = test_take(&conf_sqlite_provider, folder, 10000, "stream", &error);
    g_assert_no_error(error);
    ConfStorageState state;
    g_assert_true(conf_storage_load_state(storage, &state, &error));
    TestEvents events = {0};
    int64_t revision = state.revision;
    for (; left > 0; left--) {
        g_autoptr(TestBatch) batch = test_batch_new(revision, revision + 3, OBJECTS, BODY_SIZE);
        /* What was not stored is tried again under the same numbers. */
        if (test_commit(storage, batch, &events) != CONF_STORED)
            continue;
        revision += 3;
        printf("%" G_GINT64_FORMAT "\n", revision);
        fflush(stdout);
    }
    printf("epoch %" G_GINT64_FORMAT "\n", conf_storage_get_epoch(storage));
    conf_storage_close(storage);
    return 0;
}

static void
test_kill(void)
{
    char *folder = test_folder_new();
    test_make_database(folder);
    g_autoptr(GRand) random = g_rand_new_with_seed((uint32_t)g_test_rand_int());
    for (unsigned round = 0; round < 8; round++) {
        GSubprocess *child = test_spawn("stream", folder, NULL);
        g_autofree char *first = test_read_line(child);
        g_assert_nonnull(first);
        int64_t answered = g_ascii_strtoll(first, NULL, 10);
        test_run_for((unsigned)g_rand_int_range(random, 1, 60));
        g_subprocess_force_exit(child);
        g_subprocess_wait(child, NULL, NULL);
        char *line;
        while ((line = test_read_line(child)) != NULL) {
            answered = g_ascii_strtoll(line, NULL, 10);
            g_free(line);
        }
        g_object_unref(child);

        g_autoptr(GError) error = NULL;
        int64_t started = conf_clock_monotonic_usec();
        ConfStorage *storage = test_take(&conf_sqlite_provider, folder, 10000, "next", &error);
        g_assert_no_error(error);
        g_assert_cmpint(conf_clock_monotonic_usec() - started, <, 1000000);
        ConfStorageState state;
        g_assert_true(conf_storage_load_state(storage, &state, &error));
        g_test_message("answered %" G_GINT64_FORMAT ", stored %" G_GINT64_FORMAT, answered, state.revision);
        g_assert_cmpint(state.revision, >=, answered);
        g_assert_cmpint(state.revision, <=, answered + 3);
        conf_storage_close(storage);
        test_check_whole(folder, OBJECTS, 1);
    }
    test_folder_free(folder);
}

#ifdef CONF_FAULT_POINTS
/* Three batches of three revisions with a fault; `said`: all lines of the process. */
static void
check_fault(const char *point, const char *said, int64_t stored)
{
    char *folder = test_folder_new();
    test_make_database(folder);
    g_setenv("CONFSERV_FAULT_POINT", point, TRUE);
    GSubprocess *child = test_spawn("stream", folder, "3");
    g_unsetenv("CONFSERV_FAULT_POINT");
    g_autoptr(GString) lines = g_string_new(NULL);
    char *line;
    while ((line = test_read_line(child)) != NULL) {
        g_string_append_printf(lines, "%s ", line);
        g_free(line);
    }
    g_subprocess_wait(child, NULL, NULL);
    g_object_unref(child);
    g_assert_cmpstr(lines->str, ==, said);
    g_assert_cmpint(test_read_lease(folder).revision, ==, stored);
    test_check_whole(folder, OBJECTS, 1);
    test_folder_free(folder);
}
#endif

static void
test_fault_points(void)
{
#ifdef CONF_FAULT_POINTS
    check_fault("none", "4 7 10 epoch 1 ", 10);
    check_fault("lost-after-commit@2", "4 7 10 epoch 2 ", 10);
    check_fault("lost-after-commit@2:400", "4 7 10 epoch 2 ", 10);
    check_fault("lost-before-commit@2:400", "4 7 epoch 2 ", 7);
    check_fault("lost-after-commit@1,lost-before-commit@3", "4 7 epoch 3 ", 7);
    check_fault("killed-after-commit@2", "4 ", 7);
    check_fault("killed-before-commit@2", "4 ", 4);
#else
    g_test_skip("built without -Dfault-points=true");
#endif
}

int
main(int argc, char **argv)
{
    static const TestChild children[] = {{"stream", run_stream}, {NULL, NULL}};
    test_init(&argc, &argv, children);
    g_test_add_func("/storage/crash/kill", test_kill);
    g_test_add_func("/storage/crash/fault-points", test_fault_points);
    return g_test_run();
}
