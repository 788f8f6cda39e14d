/* history-past.c - what the file says of the past, asked in a job of the worker pool. */
#include "history-methods-private.h"

#include <string.h>

static bool find_gap(sqlite3 *db, int64_t revision, int64_t *last, GError **error);
static int find_side(sqlite3 *db, const char *sql, const char *type, int64_t dbid, int64_t revision,
                     bool after, char **body, GError **error);

bool
history_past_begin(sqlite3 *db, GError **error)
{
    return history_sql_exec(db, "BEGIN", error);
}

/* Nothing was written: whether it is ended well does not matter, and a reader whose transaction stands is
 * closed. */
void
history_past_end(sqlite3 *db)
{
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
}

bool
history_past_check(sqlite3 *db, int64_t revision, int64_t *upto, int64_t *oldest, GError **error)
{
    HistoryMark first, last;
    bool sealed;
    *upto = *oldest = 0;
    if (!history_sql_mark(db, "entry-first", &first, &sealed, error) ||
        !history_sql_mark(db, "entry-last", &last, &sealed, error) || !find_gap(db, revision, oldest, error))
        return false;
    *upto = last.position;
    if (revision >= MAX(first.position, *oldest))
        return true;
    *oldest = MAX(first.position, *oldest);
    g_set_error(error, CONF_PLUGIN_RPC_ERROR, -32011, "The history does not reach back to that revision");
    return false;
}

/* Of gaps that end above the revision the last one counts; *last: the first revision behind it, or 0.
 * What was missing before a fold is made up for by the fold, for those that stand before the gap.  Within
 * a fold nothing is known. */
static bool
find_gap(sqlite3 *db, int64_t revision, int64_t *last, GError **error)
{
    sqlite3_stmt *find = history_sql_prepare(
        db,
        "SELECT g.last + 1 FROM gap g WHERE g.last >= ?1 AND NOT (g.first > ?1 AND EXISTS (SELECT 1 FROM entry e "
        "WHERE e.revision > g.last AND e.from_revision = g.first - 1 AND e.from_revision > 0)) "
        "UNION ALL SELECT revision FROM entry WHERE revision > ?1 AND from_revision > 0 AND "
        "from_revision < ?1 ORDER BY 1 DESC LIMIT 1",
        error);
    if (find == NULL)
        return false;
    sqlite3_bind_int64(find, 1, revision);
    int step = history_sql_step(find, error);
    *last = step == 1 ? sqlite3_column_int64(find, 0) : 0;
    sqlite3_finalize(find);
    return step >= 0;
}

/* Rows that somebody has taken out are not told of by gaps: as many as there should be must be there. */
bool
history_past_is_whole(sqlite3 *db, int64_t revision, int64_t upto, int64_t *oldest, GError **error)
{
    sqlite3_stmt *count =
        history_sql_prepare(db,
                            "SELECT count(*), sum(iif(from_revision > 0, revision - from_revision - 1, 0)) "
                            "FROM entry INDEXED BY entry_thin WHERE revision > ?1",
                            error);
    if (count == NULL)
        return false;
    sqlite3_bind_int64(count, 1, revision);
    int step = history_sql_step(count, error);
    int64_t found = step == 1 ? sqlite3_column_int64(count, 0) + sqlite3_column_int64(count, 1) : 0;
    sqlite3_finalize(count);
    HistoryBreaks breaks = {0};
    /* A fold that leads away from before it counts for more. */
    if (step == 1 && found >= upto - revision)
        return true;
    if (step == 1 && history_breaks_find(db, &breaks, error)) {
        *oldest = breaks.missing + 1;
        g_set_error(error, CONF_PLUGIN_RPC_ERROR, -32011,
                    "The history has lost what came after that revision");
    }
    return false;
}

char *
history_past_last_rights(sqlite3 *db, const char *type, int64_t dbid, GError **error)
{
    bool is_gone;
    return history_past_gone(db, type, dbid, &is_gone, error);
}

char *
history_past_gone(sqlite3 *db, const char *type, int64_t dbid, bool *is_gone, GError **error)
{
    *is_gone = false;
    sqlite3_stmt *find = history_sql_prepare(
        db,
        "SELECT c.op, r.entries FROM change c LEFT JOIN right_list r ON r.id = c.rights WHERE c.type = ?1 AND "
        "c.dbid = ?2 ORDER BY c.revision DESC LIMIT 1",
        error);
    if (find == NULL)
        return NULL;
    sqlite3_bind_text(find, 1, type, -1, SQLITE_STATIC);
    sqlite3_bind_int64(find, 2, dbid);
    int step = history_sql_step(find, error);
    *is_gone = step == 1 && strcmp(history_sql_text(find, 0), "delete") == 0;
    char *rights = NULL;
    if (*is_gone && sqlite3_column_type(find, 1) != SQLITE_NULL)
        rights = g_strdup(history_sql_text(find, 1));
    sqlite3_finalize(find);
    return rights;
}

bool
history_past_read(sqlite3 *db, const char *type, int64_t dbid, int64_t revision, char **body,
                  bool *is_unchanged, GError **error)
{
    *body = NULL;
    *is_unchanged = false;
    int step =
        find_side(db,
                  "SELECT e.record, c.ordinal FROM change c JOIN entry e ON e.revision = c.revision WHERE "
                  "c.type = ?1 AND c.dbid = ?2 AND c.revision <= ?3 ORDER BY c.revision DESC LIMIT 1",
                  type, dbid, revision, true, body, error);
    if (step == 0)
        step = find_side(
            db,
            "SELECT e.record, c.ordinal FROM change c JOIN entry e ON e.revision = c.revision WHERE "
            "c.type = ?1 AND c.dbid = ?2 AND c.revision > ?3 ORDER BY c.revision LIMIT 1",
            type, dbid, revision, false, body, error);
    *is_unchanged = step == 0;
    return step >= 0;
}

static int
find_side(sqlite3 *db, const char *sql, const char *type, int64_t dbid, int64_t revision, bool after,
          char **body, GError **error)
{
    sqlite3_stmt *find = history_sql_prepare(db, sql, error);
    if (find == NULL)
        return -1;
    sqlite3_bind_text(find, 1, type, -1, SQLITE_STATIC);
    sqlite3_bind_int64(find, 2, dbid);
    sqlite3_bind_int64(find, 3, revision);
    int step = history_sql_step(find, error);
    if (step == 1) {
        HistoryScan scan;
        HistoryPiece piece = {0};
        HistorySlice record = {history_sql_text(find, 0), (size_t)sqlite3_column_bytes(find, 0)};
        int64_t ordinal = sqlite3_column_int64(find, 1);
        bool found = history_pieces_begin(&scan, record);
        for (int64_t i = 0; found && i <= ordinal; i++)
            found = history_pieces_next(&scan, &piece);
        if (found && piece.dbid == dbid && history_slice_is(piece.type, type)) {
            *body = history_slice_dup(after ? piece.after : piece.before);
        } else {
            g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "A record of the history is broken");
            step = -1;
        }
    }
    sqlite3_finalize(find);
    return step;
}
