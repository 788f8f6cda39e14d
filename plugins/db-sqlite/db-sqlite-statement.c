/* db-sqlite-statement.c - prepared statements, transactions, and what SQLite's errors mean for the server. */
#include "db-sqlite-private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The byte of the shared-memory file that SQLite locks while a transaction writes. */
enum { WAL_WRITE_LOCK_BYTE = 120 };

static const char *const SQL[CONF_SQLITE_STATEMENT_COUNT] = {
    [CONF_SQLITE_BEGIN] = "BEGIN IMMEDIATE",
    [CONF_SQLITE_COMMIT] = "COMMIT",
    [CONF_SQLITE_LEASE_READ] =
        "SELECT environment, epoch, revision, beat, chain, holder, created FROM lease WHERE id = 1",
    [CONF_SQLITE_LEASE_MOVE] = "UPDATE lease SET revision = ?1, chain = ?2, beat = beat + 1 "
                               "WHERE id = 1 AND epoch = ?3 AND revision = ?4",
    [CONF_SQLITE_LEASE_BEAT] = "UPDATE lease SET beat = beat + 1 WHERE id = 1 AND epoch = ?1",
    [CONF_SQLITE_LEASE_TAKE] =
        "UPDATE lease SET epoch = epoch + 1, beat = beat + 1, holder = ?1 WHERE id = 1 AND epoch = ?2",
    [CONF_SQLITE_LEASE_INSERT] =
        "INSERT INTO lease (id, environment, epoch, revision, chain, beat, holder, created) "
        "VALUES (1, ?1, ?2, ?3, ?4, 0, ?5, ?6)",
    [CONF_SQLITE_LEASE_ENVIRONMENT] =
        "UPDATE lease SET environment = ?1, beat = beat + 1 WHERE id = 1 AND epoch = ?2",
    [CONF_SQLITE_SLOT_READ] = "SELECT slot FROM object_type WHERE type = ?1",
    [CONF_SQLITE_SLOT_INSERT] = "INSERT INTO object_type (type) VALUES (?1)",
    [CONF_SQLITE_SLOT_LIST] = "SELECT type, slot FROM object_type ORDER BY type",
    [CONF_SQLITE_OBJECT_PUT] =
        "INSERT OR REPLACE INTO object (key, revision, acl_revision, body, secrets, permissions) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [CONF_SQLITE_OBJECT_REMOVE] = "DELETE FROM object WHERE key = ?1",
    [CONF_SQLITE_OBJECT_LIST] = "SELECT key, revision, acl_revision, body, secrets, permissions FROM object "
                                "WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
    [CONF_SQLITE_OBJECT_ANY] = "SELECT EXISTS (SELECT 1 FROM lease) OR EXISTS (SELECT 1 FROM object)",
    [CONF_SQLITE_DBID_PUT] = "INSERT OR REPLACE INTO next_dbid (type, next) VALUES (?1, ?2)",
    [CONF_SQLITE_DBID_LIST] = "SELECT type, next FROM next_dbid ORDER BY type",
    [CONF_SQLITE_CHANGE_PUT] =
        "INSERT INTO change (revision, time, chain, total, record) VALUES (?1, ?2, ?3, ?4, ?5)",
    [CONF_SQLITE_CHANGE_LIST] =
        "SELECT revision, time, chain, record FROM change WHERE revision > ?1 ORDER BY revision",
    [CONF_SQLITE_CHANGE_TOTAL] = "SELECT total FROM change ORDER BY revision DESC LIMIT 1",
    [CONF_SQLITE_CHANGE_OLDEST] =
        "SELECT revision, time, total FROM change WHERE revision < ?1 ORDER BY revision LIMIT ?2",
    [CONF_SQLITE_CHANGE_PRUNE] = "DELETE FROM change WHERE revision <= ?1",
};

static bool check_files(ConfSqlite *db, GError **error);
static bool check_wal(ConfSqlite *db, GError **error);
static ConfError classify(ConfSqlite *db, int code);

sqlite3_stmt *
conf_sqlite_statement(ConfSqlite *db, ConfSqliteStatement which, GError **error)
{
    if (db->handle == NULL || db->broken) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "database %s is not open", db->path);
        return NULL;
    }
    if (db->statements[which] != NULL)
        return db->statements[which];
    int code = sqlite3_prepare_v3(db->handle, SQL[which], -1, SQLITE_PREPARE_PERSISTENT,
                                  &db->statements[which], NULL);
    if (code != SQLITE_OK) {
        conf_sqlite_fail(db, code, "cannot be read", error);
        return NULL;
    }
    return db->statements[which];
}

void
conf_sqlite_reset(sqlite3_stmt *statement)
{
    /* The bindings point into the caller's memory: none may stay behind. */
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

bool
conf_sqlite_run(ConfSqlite *db, sqlite3_stmt *statement, const char *what, GError **error)
{
    int code = sqlite3_step(statement);
    bool done = code == SQLITE_DONE || conf_sqlite_fail(db, code, what, error);
    conf_sqlite_reset(statement);
    return done;
}

bool
conf_sqlite_exec(ConfSqlite *db, const char *sql, const char *what, GError **error)
{
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK || conf_sqlite_fail(db, code, what, error);
}

bool
conf_sqlite_query_integer(ConfSqlite *db, const char *sql, int64_t fallback, int64_t *value, GError **error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    bool done = code == SQLITE_ROW || code == SQLITE_DONE;
    if (done)
        *value = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : fallback;
    else
        conf_sqlite_fail(db, code, "cannot be read", error);
    sqlite3_finalize(statement);
    return done;
}

bool
conf_sqlite_begin(ConfSqlite *db, GError **error)
{
    sqlite3_stmt *begin = conf_sqlite_statement(db, CONF_SQLITE_BEGIN, error);
    if (begin == NULL || !check_files(db, error) || !check_wal(db, error))
        return false;
    return conf_sqlite_run(db, begin, "cannot be written", error);
}

void
conf_sqlite_rollback(ConfSqlite *db)
{
    if (db->handle == NULL)
        return;
    /* Some errors have rolled back already. */
    if (sqlite3_get_autocommit(db->handle) == 0)
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    /* What still stands would lock the handle out that is opened next. */
    if (sqlite3_get_autocommit(db->handle) == 0)
        conf_sqlite_abandon(db);
    /* What was read within the transaction may never have been. */
    db->change_total = -1;
    memset(db->slots, 0, sizeof(*db->slots) * (UINT16_MAX + 1));
}

bool
conf_sqlite_commit_transaction(ConfSqlite *db, GError **error)
{
    sqlite3_stmt *commit = conf_sqlite_statement(db, CONF_SQLITE_COMMIT, error);
    if (commit == NULL) {
        conf_sqlite_rollback(db);
        return false;
    }
    int code = sqlite3_step(commit);
    if (code == SQLITE_DONE) {
        sqlite3_reset(commit);
        if (check_files(db, error))
            return true;
        /* It stands in a file that may not be the database any more. */
        if (error != NULL && *error != NULL)
            (*error)->code = CONF_ERROR_UNKNOWN;
        return false;
    }

    conf_sqlite_fail(db, code, "cannot be written", error);
    sqlite3_reset(commit);
    conf_sqlite_rollback(db);
    /* These two come before the frame that makes the transaction valid is complete.  After any other error
     * that frame may stand in the WAL, and a process that recovers it would find the transaction done. */
    int primary = code & 0xff;
    if (primary == SQLITE_BUSY || primary == SQLITE_FULL)
        return false;
    db->broken = true;
    if (error != NULL && *error != NULL)
        (*error)->code = CONF_ERROR_UNKNOWN;
    return false;
}

bool
conf_sqlite_fail(ConfSqlite *db, int code, const char *what, GError **error)
{
    ConfError kind = classify(db, code);
    long locker =
        kind == CONF_ERROR_UNAVAILABLE && ((code & 0xff) == SQLITE_BUSY) ? conf_sqlite_find_locker(db) : 0;
    if (locker > 0)
        g_set_error(error, CONF_ERROR, kind, "database %s %s: process %ld has it locked", db->path, what,
                    locker);
    else
        g_set_error(error, CONF_ERROR, kind, "database %s %s: %s", db->path, what,
                    db->handle != NULL ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code));
    return false;
}

bool
conf_sqlite_file_is_same(const ConfSqlite *db)
{
    struct stat status;
    return stat(db->path, &status) == 0 && status.st_dev == db->device && status.st_ino == db->inode;
}

/* Not by fcntl(): closing a descriptor of the file would drop SQLite's own locks. */
long
conf_sqlite_find_locker(const ConfSqlite *db)
{
    g_autofree char *shared = g_strconcat(db->path, "-shm", NULL);
    struct stat status;
    FILE *locks = stat(shared, &status) == 0 ? fopen("/proc/locks", "re") : NULL;
    if (locks == NULL)
        return 0;
    char line[256];
    long found = 0;
    while (found == 0 && fgets(line, sizeof(line), locks) != NULL) {
        long pid;
        unsigned long inode;
        long long first, last;
        if (sscanf(line, "%*s POSIX %*s WRITE %ld %*x:%*x:%lu %lld %lld", &pid, &inode, &first, &last) == 4 &&
            inode == status.st_ino && first <= WAL_WRITE_LOCK_BYTE && last >= WAL_WRITE_LOCK_BYTE)
            found = pid;
    }
    fclose(locks);
    return found;
}

/* The order counts: a file that is exchanged after the first look is another one at the second. */
static bool
check_files(ConfSqlite *db, GError **error)
{
    if (conf_sqlite_is_exchanged(db)) {
        db->broken = true;
        g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "database %s is being taken by another server",
                    db->path);
        return false;
    }
    if (conf_sqlite_file_is_same(db))
        return true;
    db->broken = true;
    g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE,
                "database %s was moved, removed or replaced while it was in use", db->path);
    return false;
}

/* Somebody has removed the WAL, which this connection still has open: what is in it goes into the file
 * before the connection is given up. */
static bool
check_wal(ConfSqlite *db, GError **error)
{
    struct stat status;
    if (db->wal_inode == 0 || (stat(db->wal_path, &status) == 0 && status.st_ino == db->wal_inode))
        return true;
    int logged = 0, copied = -1;
    int code = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &logged, &copied);
    if (code == SQLITE_OK && copied == logged)
        conf_sqlite_abandon(db);
    g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE,
                "%s was removed while it was in use: never do that", db->wal_path);
    return false;
}

static ConfError
classify(ConfSqlite *db, int code)
{
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
        return CONF_ERROR_UNAVAILABLE;
    case SQLITE_FULL:
        return CONF_ERROR_FULL;
    case SQLITE_IOERR: {
        /* Growing the shared-memory index answers an I/O error where the disk is full. */
        int reason = db->handle != NULL ? sqlite3_system_errno(db->handle) : 0;
        db->broken = true;
        return reason == ENOSPC || reason == EDQUOT ? CONF_ERROR_FULL : CONF_ERROR_UNAVAILABLE;
    }
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        db->broken = true;
        return CONF_ERROR_INVALID;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_PROTOCOL:
        db->broken = true;
        return CONF_ERROR_UNAVAILABLE;
    default:
        /* Not a matter of the file: a value too big, a constraint. */
        return CONF_ERROR_FAILED;
    }
}
