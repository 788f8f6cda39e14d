/* db-sqlite-lease.c - the lease row: who may commit.  Every change of it is fenced by the epoch it
 * expects. */
#include "db-sqlite-private.h"

#include <string.h>

static bool read_row(ConfSqlite *db, sqlite3_stmt *read, ConfStorageLease *lease, GError **error);
static void copy_text(sqlite3_stmt *statement, int column, char *target, size_t size);
static bool update_fenced(ConfSqlite *db, sqlite3_stmt *update, int64_t epoch, GError **error);
static bool run_update(ConfSqlite *db, sqlite3_stmt *update, int64_t epoch, GError **error);

bool
conf_sqlite_read_lease(void *self, ConfStorageLease *lease, GError **error)
{
    ConfSqlite *db = self;
    sqlite3_stmt *read = conf_sqlite_statement(db, CONF_SQLITE_LEASE_READ, error);
    if (read == NULL)
        return false;
    bool done = read_row(db, read, lease, error);
    conf_sqlite_reset(read);
    return done;
}

bool
conf_sqlite_take_lease(void *self, int64_t seen_epoch, const char *holder, int64_t *epoch, GError **error)
{
    ConfSqlite *db = self;
    sqlite3_stmt *take = conf_sqlite_statement(db, CONF_SQLITE_LEASE_TAKE, error);
    if (take == NULL)
        return false;
    GError *fault = NULL;
    if (!conf_sqlite_begin(db, &fault)) {
        if (g_error_matches(fault, CONF_ERROR, CONF_ERROR_UNAVAILABLE) &&
            conf_sqlite_holder_is_stuck(db, seen_epoch)) {
            g_clear_error(&fault);
            *epoch = seen_epoch + 1;
            return conf_sqlite_exchange(db, seen_epoch, holder, error);
        }
        g_propagate_error(error, fault);
        return false;
    }
    sqlite3_bind_text(take, 1, holder, -1, SQLITE_STATIC);
    sqlite3_bind_int64(take, 2, seen_epoch);
    if (!conf_sqlite_run(db, take, "cannot be written", error)) {
        conf_sqlite_rollback(db);
        return false;
    }
    if (sqlite3_changes(db->handle) == 0) {
        conf_sqlite_rollback(db);
        g_set_error(error, CONF_ERROR, CONF_ERROR_HELD, "epoch %" G_GINT64_FORMAT " of database %s is over",
                    seen_epoch, db->path);
        return false;
    }
    if (!conf_sqlite_commit_transaction(db, error))
        return false;
    *epoch = seen_epoch + 1;
    conf_sqlite_note_holder(db, *epoch);
    return true;
}

bool
conf_sqlite_renew_lease(void *self, int64_t epoch, GError **error)
{
    ConfSqlite *db = self;
    sqlite3_stmt *beat = conf_sqlite_statement(db, CONF_SQLITE_LEASE_BEAT, error);
    if (beat == NULL)
        return false;
    sqlite3_bind_int64(beat, 1, epoch);
    return run_update(db, beat, epoch, error);
}

bool
conf_sqlite_set_environment(void *self, int64_t epoch, const char *environment, GError **error)
{
    ConfSqlite *db = self;
    sqlite3_stmt *set = conf_sqlite_statement(db, CONF_SQLITE_LEASE_ENVIRONMENT, error);
    if (set == NULL)
        return false;
    sqlite3_bind_text(set, 1, environment, -1, SQLITE_STATIC);
    sqlite3_bind_int64(set, 2, epoch);
    return run_update(db, set, epoch, error);
}

bool
conf_sqlite_insert_lease(ConfSqlite *db, const ConfStorageLease *lease, GError **error)
{
    sqlite3_stmt *insert = conf_sqlite_statement(db, CONF_SQLITE_LEASE_INSERT, error);
    if (insert == NULL)
        return false;
    sqlite3_bind_text(insert, 1, lease->environment, -1, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 2, lease->epoch);
    sqlite3_bind_int64(insert, 3, lease->revision);
    sqlite3_bind_text(insert, 4, lease->chain, -1, SQLITE_STATIC);
    sqlite3_bind_text(insert, 5, lease->holder, -1, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 6, lease->created_ms);
    return conf_sqlite_run(db, insert, "cannot be written", error);
}

bool
conf_sqlite_beat(ConfSqlite *db, int64_t epoch, GError **error)
{
    sqlite3_stmt *beat = conf_sqlite_statement(db, CONF_SQLITE_LEASE_BEAT, error);
    if (beat == NULL)
        return false;
    sqlite3_bind_int64(beat, 1, epoch);
    return update_fenced(db, beat, epoch, error);
}

bool
conf_sqlite_move_lease(ConfSqlite *db, int64_t epoch, const ConfStorageBatch *batch, GError **error)
{
    sqlite3_stmt *move = conf_sqlite_statement(db, CONF_SQLITE_LEASE_MOVE, error);
    if (move == NULL)
        return false;
    sqlite3_bind_int64(move, 1, batch->last_revision);
    sqlite3_bind_text(move, 2, batch->last_chain, -1, SQLITE_STATIC);
    sqlite3_bind_int64(move, 3, epoch);
    sqlite3_bind_int64(move, 4, batch->base_revision);
    return update_fenced(db, move, epoch, error);
}

static bool
read_row(ConfSqlite *db, sqlite3_stmt *read, ConfStorageLease *lease, GError **error)
{
    int code = sqlite3_step(read);
    if (code == SQLITE_DONE) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_NOT_FOUND,
                    "database %s has no content yet: make it with confserv -init", db->path);
        return false;
    }
    if (code != SQLITE_ROW)
        return conf_sqlite_fail(db, code, "cannot be read", error);
    memset(lease, 0, sizeof(*lease));
    copy_text(read, 0, lease->environment, sizeof(lease->environment));
    lease->epoch = sqlite3_column_int64(read, 1);
    lease->revision = sqlite3_column_int64(read, 2);
    lease->beat = sqlite3_column_int64(read, 3);
    copy_text(read, 4, lease->chain, sizeof(lease->chain));
    copy_text(read, 5, lease->holder, sizeof(lease->holder));
    lease->created_ms = sqlite3_column_int64(read, 6);
    return true;
}

static void
copy_text(sqlite3_stmt *statement, int column, char *target, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    g_strlcpy(target, text != NULL ? text : "", size);
}

/* Exactly one row, or the epoch is over. */
static bool
update_fenced(ConfSqlite *db, sqlite3_stmt *update, int64_t epoch, GError **error)
{
    if (!conf_sqlite_run(db, update, "cannot be written", error))
        return false;
    if (sqlite3_changes(db->handle) == 1)
        return true;
    g_set_error(error, CONF_ERROR, CONF_ERROR_DEPOSED,
                "epoch %" G_GINT64_FORMAT " is over: another server has taken database %s", epoch, db->path);
    return false;
}

static bool
run_update(ConfSqlite *db, sqlite3_stmt *update, int64_t epoch, GError **error)
{
    if (!conf_sqlite_begin(db, error)) {
        conf_sqlite_reset(update);
        return false;
    }
    if (!update_fenced(db, update, epoch, error)) {
        conf_sqlite_rollback(db);
        return false;
    }
    return conf_sqlite_commit_transaction(db, error);
}
