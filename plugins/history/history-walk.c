/* history-walk.c - the chains of digests made anew from the rows, a slice at a time.
 *
 * A slice sees one state of the file.  Retention may go on between two of them: where it has passed the
 * place that was reached, the next slice goes on from the mark. */
#include "history-private.h"

#include <string.h>

enum { SLICE_ROWS = 500, SLICE_BYTES = 4 * 1024 * 1024 };

static bool walk_slice(sqlite3 *db, HistoryWalk *walk, GError **error);
static int walk_entries(sqlite3 *db, HistoryWalk *walk, GError **error);
static bool check_entry(sqlite3 *db, HistoryWalk *walk, const HistoryEntry *entry, const uint8_t *stored);
static bool is_told_gap(sqlite3 *db, int64_t revision);
static int walk_audits(sqlite3 *db, HistoryWalk *walk, GError **error);
static void read_audit(sqlite3_stmt *row, HistoryAudit *audit);

bool
history_walk(sqlite3 *db, HistoryWalk *walk, GError **error)
{
    if (!history_sql_exec(db, "BEGIN", error))
        return false;
    GError *failure = NULL;
    walk_slice(db, walk, &failure);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    /* What cannot be read is as bad as what was changed, and it is known where. */
    if (g_error_matches(failure, CONF_ERROR, CONF_ERROR_INVALID)) {
        walk->broken = walk->at.position + 1;
        walk->over = walk->damaged = true;
        g_clear_error(&failure);
    }
    if (failure == NULL)
        return true;
    g_propagate_error(error, failure);
    return false;
}

static bool
walk_slice(sqlite3 *db, HistoryWalk *walk, GError **error)
{
    HistoryMark first, last;
    bool first_sealed, last_sealed;
    if (!history_sql_mark(db, walk->first_name, &first, &first_sealed, error) ||
        !history_sql_mark(db, walk->last_name, &last, &last_sealed, error))
        return false;
    if (!walk->begun || walk->at.position < first.position)
        walk->at = first;
    walk->begun = true;
    if (!first_sealed || !last_sealed) {
        walk->broken = first_sealed ? last.position : first.position;
        walk->over = true;
        return true;
    }
    int more = walk->is_audit ? walk_audits(db, walk, error) : walk_entries(db, walk, error);
    if (more < 0)
        return false;
    walk->over = more == 0 || walk->broken != 0;
    bool ends = walk->at.position == last.position &&
                memcmp(walk->at.digest, last.digest, sizeof last.digest) == 0 &&
                strcmp(walk->at.chain, last.chain) == 0;
    if (more == 0 && walk->broken == 0 && !ends)
        walk->broken = walk->at.position + 1;
    return true;
}

/* 1: there may be more, 0: that was the last; -1: *error. */
static int
walk_entries(sqlite3 *db, HistoryWalk *walk, GError **error)
{
    sqlite3_stmt *rows =
        history_sql_prepare(db,
                            "SELECT " HISTORY_ENTRY_COLUMNS " FROM entry WHERE revision > ?1 "
                            "ORDER BY revision LIMIT ?2",
                            error);
    sqlite3_stmt *changes = rows != NULL ? history_sql_prepare(db, HISTORY_CHANGES_OF_ENTRY, error) : NULL;
    int step = changes != NULL ? 1 : -1;
    if (changes != NULL) {
        sqlite3_bind_int64(rows, 1, walk->at.position);
        sqlite3_bind_int(rows, 2, SLICE_ROWS);
    }
    size_t bytes = 0;
    int count = 0;
    while (step == 1 && walk->broken == 0 && bytes < SLICE_BYTES &&
           (step = history_sql_step(rows, error)) == 1) {
        HistoryEntry entry;
        uint8_t digest[HISTORY_DIGEST_SIZE];
        if (!history_sql_entry(rows, changes, &entry, digest, error)) {
            step = -1;
            break;
        }
        bytes += entry.record_size;
        if (check_entry(db, walk, &entry, digest))
            count++;
        history_entry_clear(&entry);
    }
    sqlite3_finalize(rows);
    sqlite3_finalize(changes);
    walk->count += count;
    return step < 0 ? -1 : step == 1 || count == SLICE_ROWS;
}

static bool
check_entry(sqlite3 *db, HistoryWalk *walk, const HistoryEntry *entry, const uint8_t *stored)
{
    uint8_t digest[HISTORY_DIGEST_SIZE];
    char chain[HISTORY_CHAIN_SIZE];
    history_digest_entry(walk->at.digest, walk->at.chain, entry, digest, chain);
    bool good = memcmp(digest, stored, sizeof digest) == 0;
    if (good && entry->linked)
        good = strcmp(chain, entry->chain) == 0 && entry->revision == walk->at.position + 1;
    if (!good) {
        int64_t next = walk->at.position + 1;
        walk->broken = entry->revision > next && !is_told_gap(db, next) ? next : entry->revision;
        return false;
    }
    walk->at.position = entry->revision;
    memcpy(walk->at.digest, digest, sizeof digest);
    g_strlcpy(walk->at.chain, entry->chain, sizeof walk->at.chain);
    return true;
}

static bool
is_told_gap(sqlite3 *db, int64_t revision)
{
    sqlite3_stmt *find = history_sql_prepare(db, "SELECT 1 FROM gap WHERE first <= ?1 AND last >= ?1", NULL);
    if (find == NULL)
        return false;
    sqlite3_bind_int64(find, 1, revision);
    bool found = history_sql_step(find, NULL) == 1;
    sqlite3_finalize(find);
    return found;
}

static int
walk_audits(sqlite3 *db, HistoryWalk *walk, GError **error)
{
    sqlite3_stmt *rows = history_sql_prepare(
        db,
        "SELECT id, time, kind, session, user, user_name, application, application_name, address, "
        "detail, digest FROM audit WHERE id > ?1 ORDER BY id LIMIT ?2",
        error);
    if (rows == NULL)
        return -1;
    sqlite3_bind_int64(rows, 1, walk->at.position);
    sqlite3_bind_int(rows, 2, SLICE_ROWS);
    int step = 1, count = 0;
    while (walk->broken == 0 && (step = history_sql_step(rows, error)) == 1) {
        HistoryAudit audit;
        uint8_t digest[HISTORY_DIGEST_SIZE];
        read_audit(rows, &audit);
        history_digest_audit(walk->at.digest, &audit, digest);
        bool good = audit.id == walk->at.position + 1 &&
                    sqlite3_column_bytes(rows, 10) == HISTORY_DIGEST_SIZE &&
                    memcmp(digest, sqlite3_column_blob(rows, 10), sizeof digest) == 0;
        if (!good) {
            walk->broken = walk->at.position + 1;
            continue;
        }
        walk->at.position = audit.id;
        memcpy(walk->at.digest, digest, sizeof digest);
        count++;
    }
    sqlite3_finalize(rows);
    walk->count += count;
    return step < 0 ? -1 : count == SLICE_ROWS;
}

/* Texts are borrowed from the row. */
static void
read_audit(sqlite3_stmt *row, HistoryAudit *audit)
{
    *audit = (HistoryAudit){
        .id = sqlite3_column_int64(row, 0),
        .time_ms = sqlite3_column_int64(row, 1),
        .kind = history_sql_text(row, 2),
        .session = sqlite3_column_int64(row, 3),
        .user = sqlite3_column_int64(row, 4),
        .user_name = (char *)history_sql_text(row, 5),
        .application = sqlite3_column_int64(row, 6),
        .application_name = (char *)history_sql_text(row, 7),
        .address = (char *)history_sql_text(row, 8),
        .detail = (char *)history_sql_text(row, 9),
    };
}
