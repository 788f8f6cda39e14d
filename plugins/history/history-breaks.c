/* history-breaks.c - where the entries of the file do not follow one another: folds, told gaps, and rows
 * that are not there. */
#include "history-private.h"

bool
history_breaks_find(sqlite3 *db, HistoryBreaks *breaks, GError **error)
{
    *breaks = (HistoryBreaks){0};
    sqlite3_stmt *find = history_sql_prepare(
        db,
        "SELECT count(*), "
        "max(CASE WHEN from_revision > 0 THEN revision WHEN before <> revision - 1 THEN revision - 1 END), "
        "max(CASE WHEN before <> iif(from_revision > 0, from_revision, revision - 1) AND "
        "NOT EXISTS (SELECT 1 FROM gap g WHERE g.last = revision - 1) THEN revision - 1 END), "
        "max(revision), (SELECT position FROM mark WHERE name = 'entry-last') "
        "FROM (SELECT revision, from_revision, lag(revision, 1, "
        "(SELECT position FROM mark WHERE name = 'entry-first')) OVER (ORDER BY revision) AS before "
        "FROM entry INDEXED BY entry_thin)",
        error);
    int step = find != NULL ? history_sql_step(find, error) : -1;
    if (step == 1) {
        int64_t newest = sqlite3_column_int64(find, 3), last = sqlite3_column_int64(find, 4);
        breaks->count = sqlite3_column_int64(find, 0);
        breaks->replay_from = sqlite3_column_int64(find, 1);
        breaks->missing = sqlite3_column_int64(find, 2);
        /* The newest rows have gone. */
        if (breaks->count > 0 && newest < last)
            breaks->replay_from = breaks->missing = last;
    }
    sqlite3_finalize(find);
    return step == 1;
}

bool
history_breaks_expired(sqlite3 *db, int64_t before_ms, int64_t *revision, GError **error)
{
    sqlite3_stmt *find = history_sql_prepare(
        db, "SELECT revision FROM entry INDEXED BY entry_thin WHERE time < ?1 ORDER BY revision DESC LIMIT 1",
        error);
    if (find == NULL)
        return false;
    sqlite3_bind_int64(find, 1, before_ms);
    int step = history_sql_step(find, error);
    *revision = step == 1 ? sqlite3_column_int64(find, 0) : 0;
    sqlite3_finalize(find);
    return step >= 0;
}
