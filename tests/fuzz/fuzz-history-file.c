/* fuzz-history-file.c - the file of plugin history with changed bytes: opened, verified, written, cleaned,
 * opened again. No crash, no endless walk, and what was verified is not more than was written.
 *
 * Input: four bytes a change, of which three are the place and one is the new byte; a place with its
 * highest bit set cuts the file there.  So a text of a few bytes reaches every page of a whole file. */
#include "history-private.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

enum { ENTRIES = 30, WALKS_MAX = 100 };

static char *folder, *path, *whole;
static size_t whole_size;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
static void make_whole(void);
static void write_rows(HistoryFile *file, int64_t first, unsigned count);
static void verify(const char *file_path);
static void remove_files(void);
static void remove_folder(void);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (whole == NULL)
        make_whole();
    g_autofree char *bytes = g_memdup2(whole, whole_size);
    size_t end = whole_size;
    for (size_t i = 0; i + 4 <= size && i < 400; i += 4) {
        size_t place = ((size_t)data[i] << 16 | (size_t)data[i + 1] << 8 | data[i + 2]) & 0x7fffff;
        if (data[i] & 0x80)
            end = MIN(end, place % whole_size);
        else
            bytes[place % whole_size] = (char)data[i + 3];
    }
    remove_files();
    g_assert_true(g_file_set_contents_full(path, bytes, (gssize)end, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    g_autoptr(GError) error = NULL;
    HistoryFile *file = history_file_open(path, &error);
    g_assert_true(file != NULL || error != NULL);
    if (file == NULL)
        return 0;
    verify(path);
    write_rows(file, ENTRIES + 1, 3);
    HistorySettings settings = {.audit_expiration = 365, .audit_max_records = 10, .client_expiration = 1};
    bool more = true;
    for (unsigned i = 0; i < WALKS_MAX && more; i++) {
        if (!history_file_clean(file, &settings, 1000000, &more, NULL))
            break;
    }
    verify(path);
    history_file_close(file);
    return 0;
}

static void
make_whole(void)
{
    g_autoptr(GError) error = NULL;
    folder = g_dir_make_tmp("confserv-fuzz-XXXXXX", &error);
    g_assert_no_error(error);
    atexit(remove_folder);
    path = g_build_filename(folder, "history", NULL);
    HistoryFile *file = history_file_open(path, &error);
    g_assert_no_error(error);
    write_rows(file, 1, ENTRIES);
    history_file_close(file);
    g_assert_true(g_file_get_contents(path, &whole, &whole_size, NULL));
    sqlite3 *db = NULL;
    g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
    HistoryWalk walk = HISTORY_WALK_ENTRIES;
    g_assert_true(history_walk(db, &walk, &error));
    g_assert_true(walk.over);
    g_assert_cmpint(walk.broken, ==, 0);
    g_assert_cmpint(walk.count, ==, ENTRIES);
    sqlite3_close(db);
}

/* Until something is refused: a damaged file may. */
static void
write_rows(HistoryFile *file, int64_t first, unsigned count)
{
    if (!history_file_begin(file, NULL))
        return;
    bool done = true;
    for (unsigned i = 0; i < count && done; i++) {
        HistoryEntry entry = {.revision = first + i, .time_ms = 1000 * i, .user = 100, .application = 101};
        entry.record = g_strdup_printf("{\"revision\":%u}", (unsigned)first + i);
        entry.record_size = strlen(entry.record);
        g_strlcpy(entry.chain, "0123456789abcdef", sizeof entry.chain);
        entry.changes = history_changes_new(1);
        HistoryChange change = {
            .type = g_ref_string_new("host"), .name = g_strdup("h"), .op = "delete", .dbid = 5};
        change.rights = g_ref_string_new("[]");
        g_array_append_val(entry.changes, change);
        done = history_file_write_entry(file, &entry, false, "test", NULL) != HISTORY_FAILED;
        history_entry_clear(&entry);
        HistoryAudit audit = {.kind = "opened",
                              .user_name = g_strdup("u"),
                              .application_name = g_strdup("a"),
                              .address = g_strdup("::1"),
                              .detail = g_strdup("")};
        done = done && history_file_write_audit(file, &audit, NULL);
        history_audit_clear(&audit);
    }
    if (done && history_file_write_session(file, "token", "{}", 1, NULL))
        done = history_file_commit(file, NULL);
    else
        history_file_rollback(file);
}

static void
verify(const char *file_path)
{
    sqlite3 *db = NULL;
    if (sqlite3_open_v2(file_path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) {
        HistoryWalk walks[] = {HISTORY_WALK_ENTRIES, HISTORY_WALK_AUDITS};
        for (unsigned i = 0; i < G_N_ELEMENTS(walks); i++) {
            unsigned slices = 0;
            while (!walks[i].over && history_walk(db, &walks[i], NULL))
                g_assert_cmpuint(slices++, <, WALKS_MAX);
        }
    }
    sqlite3_close(db);
}

static void
remove_files(void)
{
    static const char *const parts[] = {"", "-wal", "-shm", "-journal"};
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *name = g_strconcat(path, parts[i], NULL);
        g_unlink(name);
    }
}

static void
remove_folder(void)
{
    remove_files();
    g_rmdir(folder);
    g_free(folder);
    g_free(path);
    g_free(whole);
}
