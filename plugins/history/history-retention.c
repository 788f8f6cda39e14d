/* history-retention.c - what is older than the options say is removed, oldest first, in slices that keep
 * the writer from its commits for some milliseconds only.  The mark at the beginning moves on with it: it
 * keeps revision, chain and digest of the last row that went, so that what stays can be verified. */
#include "history-private.h"

#include <string.h>

enum {
    SLICE_ROWS = 200,
    SLICE_BYTES = 2 * 1024 * 1024,
    /* Of what is not used so much stays, since it will be: an eighth of the file, but not less than 4 MiB. */
    SPARE_PAGES = 512,
    SPARE_PART = 8,
    SLICE_PAGES = 128,
};
static const int64_t DAY_MS = INT64_C(24) * 3600 * 1000;

static bool shrink(HistoryFile *file, bool *more, GError **error);
static bool clean_entries(HistoryFile *file, const HistorySettings *settings, int64_t now_ms, bool *more,
                          GError **error);
static bool find_entries(HistoryFile *file, int64_t before_ms, int64_t surplus, HistoryMark *upto,
                         int64_t *count, GError **error);
static bool clean_audits(HistoryFile *file, const HistorySettings *settings, int64_t now_ms, bool *more,
                         GError **error);
static bool read_mark(sqlite3_stmt *row, HistoryMark *mark);
static bool run_upto(HistoryFile *file, const char *sql, int64_t upto, GError **error);

bool
history_file_clean(HistoryFile *file, const HistorySettings *settings, int64_t now_ms, bool *more,
                   GError **error)
{
    *more = false;
    HistoryBreaks breaks = file->breaks;
    if ((breaks.count < 0 && !history_breaks_find(file->db, &breaks, error)) ||
        !history_breaks_expired(file->db, now_ms - settings->expiration * DAY_MS, &breaks.expired, error))
        return false;
    file->breaks = breaks;
    if (!history_file_begin(file, error))
        return false;
    /* Another process has written since they were counted. */
    if (file->breaks.count < 0) {
        history_file_rollback(file);
        *more = true;
        return true;
    }
    if (clean_entries(file, settings, now_ms, more, error) &&
        clean_audits(file, settings, now_ms, more, error) &&
        run_upto(file, "DELETE FROM session WHERE time < ?1", now_ms - settings->client_expiration * DAY_MS,
                 error) &&
        (*more || !file->rights_left ||
         history_sql_exec(file->db,
                          "DELETE FROM right_list WHERE id NOT IN "
                          "(SELECT rights FROM change WHERE rights IS NOT NULL)",
                          error))) {
        file->rights_left = file->rights_left && *more;
        return history_file_commit(file, error) && (*more || shrink(file, more, error));
    }
    history_file_rollback(file);
    return false;
}

/* Pages at the end of the file take the place of unused ones; it is cut with the next copy of the log. */
static bool
shrink(HistoryFile *file, bool *more, GError **error)
{
    int64_t pages, unused;
    if (!file->shrinks)
        return true;
    if (!history_sql_integer(file->db, "PRAGMA page_count", &pages, error) ||
        !history_sql_integer(file->db, "PRAGMA freelist_count", &unused, error))
        return false;
    int64_t surplus = unused - MAX(SPARE_PAGES, pages / SPARE_PART);
    if (surplus <= 0)
        return true;
    *more = surplus > SLICE_PAGES;
    file->shrunk = true;
    g_autofree char *sql = g_strdup_printf("PRAGMA incremental_vacuum(%d)", (int)MIN(surplus, SLICE_PAGES));
    return history_sql_exec(file->db, sql, error);
}

static bool
clean_entries(HistoryFile *file, const HistorySettings *settings, int64_t now_ms, bool *more, GError **error)
{
    HistoryMark upto;
    int64_t count = 0;
    if (!find_entries(file, now_ms - settings->audit_expiration * DAY_MS,
                      file->breaks.count - settings->audit_max_records, &upto, &count, error))
        return false;
    if (count == 0)
        return true;
    *more = true;
    if (!run_upto(file, "DELETE FROM entry WHERE revision <= ?1", upto.position, error) ||
        !run_upto(file, "DELETE FROM change WHERE revision <= ?1", upto.position, error) ||
        !run_upto(file, "DELETE FROM gap WHERE last <= ?1", upto.position, error))
        return false;
    file->entries.first = upto;
    file->entries.first_moved = true;
    file->breaks.count -= count;
    file->rights_left = true;
    return true;
}

/* The oldest rows that are older than before_ms, or of which there are too many; *upto: the newest of
 * these. */
static bool
find_entries(HistoryFile *file, int64_t before_ms, int64_t surplus, HistoryMark *upto, int64_t *count,
             GError **error)
{
    sqlite3_stmt *oldest = history_sql_prepare(
        file->db,
        "SELECT revision, chain, digest, time, length(record) FROM entry ORDER BY revision LIMIT ?1", error);
    if (oldest == NULL)
        return false;
    sqlite3_bind_int(oldest, 1, SLICE_ROWS);
    int64_t bytes = 0;
    int step;
    while ((step = history_sql_step(oldest, error)) == 1) {
        bytes += sqlite3_column_int64(oldest, 4);
        if ((*count >= surplus && sqlite3_column_int64(oldest, 3) >= before_ms) ||
            (*count > 0 && bytes > SLICE_BYTES) || !read_mark(oldest, upto))
            break;
        ++*count;
    }
    sqlite3_finalize(oldest);
    return step >= 0;
}

static bool
clean_audits(HistoryFile *file, const HistorySettings *settings, int64_t now_ms, bool *more, GError **error)
{
    sqlite3_stmt *oldest =
        history_sql_prepare(file->db, "SELECT id, '', digest, time FROM audit ORDER BY id LIMIT ?1", error);
    if (oldest == NULL)
        return false;
    sqlite3_bind_int(oldest, 1, SLICE_ROWS);
    int64_t before_ms = now_ms - settings->audit_expiration * DAY_MS;
    int64_t keep_from = file->audits.last.position - settings->audit_max_records;
    HistoryMark upto = {0};
    int step;
    while ((step = history_sql_step(oldest, error)) == 1) {
        if ((sqlite3_column_int64(oldest, 0) > keep_from && sqlite3_column_int64(oldest, 3) >= before_ms) ||
            !read_mark(oldest, &upto))
            break;
    }
    sqlite3_finalize(oldest);
    if (step < 0)
        return false;
    if (upto.position == 0)
        return true;
    *more = true;
    file->audits.first = upto;
    file->audits.first_moved = true;
    return run_upto(file, "DELETE FROM audit WHERE id <= ?1", upto.position, error);
}

/* False: the row is damaged; nothing that comes after it could be verified if it went. */
static bool
read_mark(sqlite3_stmt *row, HistoryMark *mark)
{
    if (sqlite3_column_bytes(row, 2) != HISTORY_DIGEST_SIZE)
        return false;
    mark->position = sqlite3_column_int64(row, 0);
    g_strlcpy(mark->chain, history_sql_text(row, 1), sizeof mark->chain);
    memcpy(mark->digest, sqlite3_column_blob(row, 2), HISTORY_DIGEST_SIZE);
    mark->time_ms = sqlite3_column_int64(row, 3);
    return true;
}

static bool
run_upto(HistoryFile *file, const char *sql, int64_t upto, GError **error)
{
    sqlite3_stmt *statement = history_sql_prepare(file->db, sql, error);
    if (statement == NULL)
        return false;
    sqlite3_bind_int64(statement, 1, upto);
    bool done = history_sql_run(statement, error);
    sqlite3_finalize(statement);
    return done;
}
