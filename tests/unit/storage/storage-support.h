/* storage-support.h - what the storage tests share: a folder, a database in it, batches, and a main loop
 * with a deadline. */
#pragma once

#include <gio/gio.h>

#include "db-sqlite-private.h"
#include "storage/storage.h"

enum { TEST_TYPE = 10, TEST_FIRST_OBJECTS = 3 };

/* A folder of its own below the temporary one; removed with all in it. */
char *test_folder_new(void);
void test_folder_free(char *folder);
/* A folder that is a disk of its own, "2m" large.  NULL: it cannot be had here, the test is skipped. */
char *test_small_disk_new(const char *size);
void test_small_disk_resize(const char *folder, const char *size);
void test_small_disk_free(char *folder);
char *test_path(const char *folder, const char *name);

/* Sections [dbserver] with dbname = FOLDER/test.db. */
ConfSettings *test_settings(const char *folder);
ConfStorage *test_open(const ConfStorageProvider *provider, const char *folder, bool create, GError **error);
/* Makes FOLDER/test.db: revision 1, TEST_FIRST_OBJECTS objects. */
void test_make_database(const char *folder);
/* Opened, migrated, lease taken. */
ConfStorage *test_take(const ConfStorageProvider *provider, const char *folder, unsigned lease_time_ms,
                       const char *holder, GError **error);
/* The provider by itself, opened on FOLDER/test.db and migrated. */
void *test_open_provider(const char *folder, bool create, GError **error);

/* A batch of `count` objects (type TEST_TYPE, dbids 1..) written at revision `last`, with one change
 * record a revision.  All bodies say {"revision":LAST,...}, padded to `body_size`. */
typedef struct {
    ConfStorageBatch batch;
    char chain[17];
    char (*chains)[17];
    char **records;
    char *body;
} TestBatch;
TestBatch *test_batch_new(int64_t base, int64_t last, unsigned count, size_t body_size);
void test_batch_free(TestBatch *batch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TestBatch, test_batch_free)

/* What arrived on the main loop. */
typedef struct {
    unsigned lost, found, deposed, unknown, verdicts;
    int64_t epoch_seen;
    ConfStoredVerdict verdict;
    int error_code; /* -1: none */
    char error[512];
    char order[64]; /* one letter an event: l f d u v */
} TestEvents;
extern const ConfStorageFuncs test_funcs;
void test_on_verdict(ConfStoredVerdict verdict, const GError *error, void *events);
void test_on_unknown(void *events);
/* Runs the main loop until *counter is at least `value`; fails the test after `ms`. */
void test_wait(const unsigned *counter, unsigned value, unsigned ms);
/* Runs the main loop for so long: to see that something does not come. */
void test_run_for(unsigned ms);
ConfStoredVerdict test_commit(ConfStorage *storage, const TestBatch *batch, TestEvents *events);
ConfStoredVerdict test_confirm(ConfStorage *storage, TestEvents *events);

/* Lease row of FOLDER/test.db as it is, seen by another connection. */
ConfStorageLease test_read_lease(const char *folder);
/* All objects of the database carry the revision of the lease row, `count` of them, and change records
 * reach up to it without a gap from `first_change`. */
void test_check_whole(const char *folder, unsigned count, int64_t first_change);

/* This program once more, with `mode` as what it shall do; see test_child_mode(). */
GSubprocess *test_spawn(const char *mode, const char *folder, const char *argument);
/* One line from the child; NULL at its end.  Fails the test after 20 s. */
char *test_read_line(GSubprocess *child);
typedef int (*TestChildFunc)(const char *folder, const char *argument);
typedef struct {
    const char *mode;
    TestChildFunc func;
} TestChild;
/* In main(), first: runs as a child and exits where the arguments say so; else sets the tests up. */
void test_init(int *argc, char ***argv, const TestChild *children);
