/* history-statement.c - small helpers over SQLite, for the writer thread and the jobs that read. */
#include "history-private.h"

#include <errno.h>
#include <string.h>

bool
history_sql_exec(sqlite3 *db, const char *sql, GError **error)
{
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK || history_sql_fail(db, code, error);
}

sqlite3_stmt *
history_sql_prepare(sqlite3 *db, const char *sql, GError **error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        return statement;
    history_sql_fail(db, code, error);
    return NULL;
}

int
history_sql_step(sqlite3_stmt *statement, GError **error)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return 1;
    if (code == SQLITE_DONE)
        return 0;
    history_sql_fail(sqlite3_db_handle(statement), code, error);
    return -1;
}

bool
history_sql_integer(sqlite3 *db, const char *sql, int64_t *value, GError **error)
{
    sqlite3_stmt *statement = history_sql_prepare(db, sql, error);
    int step = statement != NULL ? history_sql_step(statement, error) : -1;
    *value = step == 1 ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return step >= 0;
}

bool
history_sql_run(sqlite3_stmt *statement, GError **error)
{
    int code = sqlite3_step(statement);
    bool done = code == SQLITE_DONE || history_sql_fail(sqlite3_db_handle(statement), code, error);
    /* Bindings point into the caller's memory: none may stay behind. */
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return done;
}

bool
history_sql_fail(sqlite3 *db, int code, GError **error)
{
    ConfError kind;
    switch (code & 0xff) {
    case SQLITE_FULL:
        kind = CONF_ERROR_FULL;
        break;
    case SQLITE_IOERR: {
        int reason = db != NULL ? sqlite3_system_errno(db) : 0;
        kind = reason == ENOSPC || reason == EDQUOT ? CONF_ERROR_FULL : CONF_ERROR_UNAVAILABLE;
        break;
    }
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR: /* a table is missing or has lost its columns: the texts of our statements are right */
        kind = CONF_ERROR_INVALID;
        break;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
        kind = CONF_ERROR_DENIED;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
    case SQLITE_INTERRUPT:
    case SQLITE_PROTOCOL:
        kind = CONF_ERROR_UNAVAILABLE;
        break;
    default:
        /* A constraint: rows that contradict each other. */
        kind = CONF_ERROR_INVALID;
    }
    const char *path = db != NULL ? sqlite3_db_filename(db, "main") : NULL;
    g_set_error(error, CONF_ERROR, kind, "The history file%s%s: %s", path != NULL ? " " : "",
                path != NULL ? path : "", db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(code));
    return false;
}

const char *
history_sql_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text != NULL ? text : "";
}

bool
history_sql_mark(sqlite3 *db, const char *name, HistoryMark *mark, bool *sealed, GError **error)
{
    sqlite3_stmt *row = history_sql_prepare(
        db, "SELECT position, chain, digest, time, seal FROM mark WHERE name = ?1", error);
    if (row == NULL)
        return false;
    sqlite3_bind_text(row, 1, name, -1, SQLITE_STATIC);
    int step = history_sql_step(row, error);
    *mark = (HistoryMark){0};
    *sealed = step == 0; /* A file without rows has no marks. */
    if (step == 1) {
        uint8_t seal[HISTORY_DIGEST_SIZE];
        mark->position = sqlite3_column_int64(row, 0);
        g_strlcpy(mark->chain, history_sql_text(row, 1), sizeof mark->chain);
        bool whole = sqlite3_column_bytes(row, 2) == HISTORY_DIGEST_SIZE &&
                     sqlite3_column_bytes(row, 4) == HISTORY_DIGEST_SIZE;
        if (whole)
            memcpy(mark->digest, sqlite3_column_blob(row, 2), HISTORY_DIGEST_SIZE);
        mark->time_ms = sqlite3_column_int64(row, 3);
        history_digest_mark(name, mark, seal);
        *sealed = whole && memcmp(seal, sqlite3_column_blob(row, 4), sizeof seal) == 0;
    }
    sqlite3_finalize(row);
    return step >= 0;
}

bool
history_sql_entry(sqlite3_stmt *row, sqlite3_stmt *changes, HistoryEntry *entry,
                  uint8_t digest[HISTORY_DIGEST_SIZE], GError **error)
{
    const char *address = (const char *)sqlite3_column_text(row, 5);
    const char *record = history_sql_text(row, 8);
    *entry = (HistoryEntry){
        .revision = sqlite3_column_int64(row, 0),
        .from = sqlite3_column_int64(row, 1),
        .time_ms = sqlite3_column_int64(row, 2),
        .user = sqlite3_column_int64(row, 3),
        .application = sqlite3_column_int64(row, 4),
        .address = g_strdup(address),
        .linked = sqlite3_column_int64(row, 7) != 0,
        .record_size = (size_t)sqlite3_column_bytes(row, 8),
    };
    g_strlcpy(entry->chain, history_sql_text(row, 6), sizeof entry->chain);
    /* A damaged record may have a zero within. */
    entry->record = g_malloc(entry->record_size + 1);
    memcpy(entry->record, record, entry->record_size);
    entry->record[entry->record_size] = '\0';
    memset(digest, 0, HISTORY_DIGEST_SIZE);
    if (sqlite3_column_bytes(row, 9) == HISTORY_DIGEST_SIZE)
        memcpy(digest, sqlite3_column_blob(row, 9), HISTORY_DIGEST_SIZE);
    entry->changes = history_changes_new(4);
    sqlite3_bind_int64(changes, 1, entry->revision);
    int step;
    while ((step = history_sql_step(changes, error)) == 1) {
        const char *rights = (const char *)sqlite3_column_text(changes, 4);
        HistoryChange change = {
            .type = g_ref_string_new(history_sql_text(changes, 0)),
            .dbid = sqlite3_column_int64(changes, 1),
            .op = history_change_op(history_sql_text(changes, 2)),
            .name = g_strdup(history_sql_text(changes, 3)),
            .rights = rights != NULL ? g_ref_string_new(rights) : NULL,
        };
        g_array_append_val(entry->changes, change);
    }
    sqlite3_reset(changes);
    if (step == 0)
        return true;
    history_entry_clear(entry);
    return false;
}
