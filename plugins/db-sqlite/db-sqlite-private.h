/* db-sqlite-private.h - what the files of this plugin share: one open database.
 *
 * A ConfSqlite is used by one thread at a time (the storage writer thread, or the starter before it).  It
 * owns the SQLite connection, its prepared statements and the descriptor of DBNAME.lock.  After an error
 * that makes the connection doubtful it is `broken`: every call fails until the storage has closed it and
 * opened another one. */
#pragma once

#include <sqlite3.h>
#include <sys/types.h>

#include "plugin/confserv-plugin.h"

typedef enum {
    CONF_SQLITE_BEGIN,
    CONF_SQLITE_COMMIT,
    CONF_SQLITE_LEASE_READ,
    CONF_SQLITE_LEASE_MOVE, /* the fence of a commit */
    CONF_SQLITE_LEASE_BEAT,
    CONF_SQLITE_LEASE_TAKE,
    CONF_SQLITE_LEASE_INSERT,
    CONF_SQLITE_LEASE_ENVIRONMENT,
    CONF_SQLITE_SLOT_READ,
    CONF_SQLITE_SLOT_INSERT,
    CONF_SQLITE_SLOT_LIST,
    CONF_SQLITE_OBJECT_PUT,
    CONF_SQLITE_OBJECT_REMOVE,
    CONF_SQLITE_OBJECT_LIST,
    CONF_SQLITE_OBJECT_ANY,
    CONF_SQLITE_DBID_PUT,
    CONF_SQLITE_DBID_LIST,
    CONF_SQLITE_CHANGE_PUT,
    CONF_SQLITE_CHANGE_LIST,
    CONF_SQLITE_CHANGE_TOTAL,
    CONF_SQLITE_CHANGE_OLDEST,
    CONF_SQLITE_CHANGE_PRUNE,
    CONF_SQLITE_STATEMENT_COUNT
} ConfSqliteStatement;

typedef struct {
    sqlite3 *handle; /* NULL once broken beyond use */
    char *path;      /* absolute, no symbolic links */
    char *wal_path;
    char *lock_path;
    int lock_fd;
    dev_t device; /* of the file when it was opened: a commit into a file that was moved away would be lost */
    ino_t inode;
    ino_t wal_inode;
    bool broken;
    int wal_pages;        /* frames in the WAL after the last commit */
    int wal_pages_left;   /* of these, those that the last checkpoint could not take (someone reads them) */
    int64_t change_total; /* total of the newest change record; -1: to be read */
    uint16_t *slots;      /* by type id; 0: not known yet */
    sqlite3_stmt *statements[CONF_SQLITE_STATEMENT_COUNT];
} ConfSqlite;

typedef struct {
    int version;
    const char *name;
    const char *sql;
} ConfSqliteMigration;

/* "conf": PRAGMA application_id of our databases. */
enum { CONF_SQLITE_APPLICATION_ID = 0x636f6e66 };

extern const ConfStorageProvider conf_sqlite_provider;
/* Made from data/sql/sqlite. */
extern const ConfSqliteMigration conf_sqlite_migrations[];
extern const unsigned conf_sqlite_migration_count;

/* db-sqlite-open.c */
void *conf_sqlite_open(ConfStorageOptionFunc option, void *data, bool create, GError **error);
void conf_sqlite_close(void *self);
/* Closes the connection and keeps the lock: nothing but close is of use afterwards. */
void conf_sqlite_abandon(ConfSqlite *db);
/* Connects to the file that stands at the path now. */
bool conf_sqlite_connect(ConfSqlite *db, bool create, GError **error) G_GNUC_WARN_UNUSED_RESULT;
bool conf_sqlite_is_alive(void *self);
int conf_sqlite_take_lock(void *self, int64_t epoch, GError **error);
void conf_sqlite_tidy(void *self, bool idle);

/* db-sqlite-statement.c: statements, transactions, errors */
/* Ready to be bound; the caller ends with conf_sqlite_reset().  NULL: *error. */
sqlite3_stmt *conf_sqlite_statement(ConfSqlite *db, ConfSqliteStatement which, GError **error);
void conf_sqlite_reset(sqlite3_stmt *statement);
/* Runs a statement that answers no row, and resets it. */
bool conf_sqlite_run(ConfSqlite *db, sqlite3_stmt *statement, const char *what, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
bool conf_sqlite_exec(ConfSqlite *db, const char *sql, const char *what, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
/* One integer, of the first row and column; `fallback` if there is no row. */
bool conf_sqlite_query_integer(ConfSqlite *db, const char *sql, int64_t fallback, int64_t *value,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Takes the write lock; refuses a database whose file is no longer the one at its path. */
bool conf_sqlite_begin(ConfSqlite *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void conf_sqlite_rollback(ConfSqlite *db);
/* False: CONF_ERROR_UNAVAILABLE or _FULL: certainly not done; CONF_ERROR_UNKNOWN: nobody can tell, the
 * handle is broken. */
bool conf_sqlite_commit_transaction(ConfSqlite *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Sets *error from the last failure of the handle, notes whether the handle is still good; returns false. */
bool conf_sqlite_fail(ConfSqlite *db, int code, const char *what, GError **error);
bool conf_sqlite_file_is_same(const ConfSqlite *db);
/* For messages and for conf_sqlite_holder_is_stuck(): the process that holds SQLite's write lock.  0:
 * nobody knows. */
long conf_sqlite_find_locker(const ConfSqlite *db);

/* db-sqlite-exchange.c: taking the database from a process that is frozen in the midst of a write */
bool conf_sqlite_holder_is_stuck(ConfSqlite *db, int64_t epoch);
bool conf_sqlite_exchange(ConfSqlite *db, int64_t seen_epoch, const char *holder, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
/* Somebody else is at it: nothing that is written now counts. */
bool conf_sqlite_is_exchanged(const ConfSqlite *db);
/* Around opening: no file changes its name between.  False: an exchange goes on for too long. */
bool conf_sqlite_enter(ConfSqlite *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void conf_sqlite_leave(ConfSqlite *db);
/* Who holds the epoch, for conf_sqlite_holder_is_stuck(). */
void conf_sqlite_note_holder(ConfSqlite *db, int64_t epoch);

/* db-sqlite-migrate.c */
bool conf_sqlite_migrate(void *self, int *version, GError **error);
bool conf_sqlite_migrate_by(ConfSqlite *db, const ConfSqliteMigration *migrations, unsigned count,
                            int *version, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* db-sqlite-lease.c */
bool conf_sqlite_read_lease(void *self, ConfStorageLease *lease, GError **error);
bool conf_sqlite_take_lease(void *self, int64_t seen_epoch, const char *holder, int64_t *epoch,
                            GError **error);
bool conf_sqlite_renew_lease(void *self, int64_t epoch, GError **error);
bool conf_sqlite_set_environment(void *self, int64_t epoch, const char *environment, GError **error);
bool conf_sqlite_insert_lease(ConfSqlite *db, const ConfStorageLease *lease, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
/* Within a transaction: the fenced update, the first statement of each. */
bool conf_sqlite_beat(ConfSqlite *db, int64_t epoch, GError **error) G_GNUC_WARN_UNUSED_RESULT;
bool conf_sqlite_move_lease(ConfSqlite *db, int64_t epoch, const ConfStorageBatch *batch, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;

/* db-sqlite-load.c */
bool conf_sqlite_load_objects(void *self, ConfStorageObjectFunc func, void *data, GError **error);
bool conf_sqlite_load_next_dbids(void *self, ConfStorageDbidFunc func, void *data, GError **error);
bool conf_sqlite_load_changes(void *self, int64_t after, ConfStorageChangeFunc func, void *data,
                              GError **error);

/* db-sqlite-commit.c */
bool conf_sqlite_commit(void *self, int64_t epoch, const ConfStorageBatch *batch, GError **error);
bool conf_sqlite_initialize(void *self, const ConfStorageLease *lease, const ConfStorageBatch *batch,
                            GError **error);
bool conf_sqlite_prune(void *self, int64_t epoch, int64_t before_ms, int64_t max_bytes, int64_t keep_from,
                       int limit, int *removed, GError **error);
/* Bits of a key that hold the dbid. */
enum { CONF_SQLITE_DBID_BITS = 53, CONF_SQLITE_SLOT_MAX = 1023 };
