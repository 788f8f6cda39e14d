/* db-sqlite-open.c - finding, making, opening and closing the file; the lock beside it; checkpoints. */
#include "db-sqlite-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    OPEN_BUSY_MS = 5000, /* another process may be recovering the WAL */
    BUSY_MS = 100,       /* later the storage itself tries again, and sees in between that it shall stop */
    /* Frames in the WAL at which the next pause between commits copies them into the file: few enough to
     * take some ten milliseconds, enough for pages written again and again to be copied once. */
    CHECKPOINT_PAGES = 1000,
    CHECKPOINT_PAGES_IDLE = 100,
};

static char *find_path(const char *name, bool create, GError **error);
static bool make_file(const char *path, GError **error);
static bool check_file(const char *path, GError **error);
static bool open_lock(ConfSqlite *db, GError **error);
static bool check_content(ConfSqlite *db, bool create, GError **error);
static bool set_journal(ConfSqlite *db, GError **error);
static int note_wal(void *self, sqlite3 *handle, const char *name, int pages);

void *
conf_sqlite_open(ConfStorageOptionFunc option, void *data, bool create, GError **error)
{
    const char *name = option("dbname", data);
    g_autofree char *path = find_path(name != NULL ? name : "confserv.db", create, error);
    if (path == NULL)
        return NULL;

    ConfSqlite *db = g_new0(ConfSqlite, 1);
    db->path = g_steal_pointer(&path);
    db->wal_path = g_strconcat(db->path, "-wal", NULL);
    db->lock_path = g_strconcat(db->path, ".lock", NULL);
    db->lock_fd = -1;
    db->change_total = -1;
    db->slots = g_new0(uint16_t, UINT16_MAX + 1);
    bool done = open_lock(db, error) && conf_sqlite_enter(db, error);
    if (done) {
        done = conf_sqlite_connect(db, create, error);
        conf_sqlite_leave(db);
    }
    if (!done)
        g_clear_pointer(&db, conf_sqlite_close);
    return db;
}

void
conf_sqlite_close(void *self)
{
    ConfSqlite *db = self;
    conf_sqlite_abandon(db);
    /* Last: who takes the lock finds the database closed. */
    if (db->lock_fd >= 0)
        close(db->lock_fd);
    g_free(db->slots);
    g_free(db->lock_path);
    g_free(db->wal_path);
    g_free(db->path);
    g_free(db);
}

void
conf_sqlite_abandon(ConfSqlite *db)
{
    for (unsigned i = 0; i < CONF_SQLITE_STATEMENT_COUNT; i++)
        g_clear_pointer(&db->statements[i], sqlite3_finalize);
    /* The last connection removes the WAL by its name: it may by now be that of the file put in place of
     * ours. */
    if (db->handle != NULL && (db->broken || !conf_sqlite_file_is_same(db)))
        sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    g_clear_pointer(&db->handle, sqlite3_close);
    db->broken = true;
}

bool
conf_sqlite_is_alive(void *self)
{
    ConfSqlite *db = self;
    if (!db->broken && !conf_sqlite_file_is_same(db))
        db->broken = true;
    return !db->broken;
}

/* One byte of the file an epoch: a candidate can hold the lock of the epoch to come while a frozen holder
 * keeps its own. An "open file description" lock belongs to this handle alone and goes when the process
 * does. */
int
conf_sqlite_take_lock(void *self, int64_t epoch, GError **error)
{
    ConfSqlite *db = self;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)epoch, .l_len = 1};
    if (fcntl(db->lock_fd, F_OFD_SETLK, &lock) == 0)
        return 1;
    if (errno == EAGAIN || errno == EACCES)
        return 0;
    g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "%s cannot be locked: %s", db->lock_path,
                g_strerror(errno));
    return -1;
}

void
conf_sqlite_tidy(void *self, bool idle)
{
    ConfSqlite *db = self;
    int limit = idle ? CHECKPOINT_PAGES_IDLE : CHECKPOINT_PAGES;
    if (db->broken || db->handle == NULL || db->wal_pages < limit ||
        db->wal_pages < db->wal_pages_left + limit)
        return;
    int logged = 0, copied = 0;
    /* Passive never waits for readers and never fails a commit: what it cannot take stays in the WAL,
     * which is as durable. */
    int code = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &logged, &copied);
    bool complete = code == SQLITE_OK && copied >= logged;
    /* After a complete one the next commit begins the WAL anew. */
    db->wal_pages_left = complete ? 0 : db->wal_pages;
    if (complete)
        db->wal_pages = 0;
}

/* Absolute, of an existing file (made here if `create`). */
static char *
find_path(const char *name, bool create, GError **error)
{
    if (*name == '\0') {
        g_set_error_literal(error, CONF_ERROR, CONF_ERROR_INVALID,
                            "option dbname is empty: it must name the database file");
        return NULL;
    }
    g_autofree char *wanted = g_canonicalize_filename(name, NULL);
    struct stat status;
    if (stat(wanted, &status) != 0) {
        if (errno == ENOENT && !create) {
            g_set_error(error, CONF_ERROR, CONF_ERROR_NOT_FOUND,
                        "database %s does not exist: make one with confserv -init", wanted);
            return NULL;
        }
        if (errno != ENOENT) {
            g_set_error(error, CONF_ERROR, CONF_ERROR_DENIED, "database %s: %s", wanted, g_strerror(errno));
            return NULL;
        }
        if (!make_file(wanted, error))
            return NULL;
    }
    char *real = realpath(wanted, NULL);
    if (real == NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_DENIED, "database %s: %s", wanted, g_strerror(errno));
        return NULL;
    }
    g_autofree char *path = g_strdup(real);
    free(real);
    return check_file(path, error) ? g_steal_pointer(&path) : NULL;
}

/* SQLite would make it readable for all; the files beside it get the same rights as this one. */
static bool
make_file(const char *path, GError **error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
        return true;
    }
    int code = errno == ENOSPC ? CONF_ERROR_FULL : CONF_ERROR_DENIED;
    g_set_error(error, CONF_ERROR, code, "database %s cannot be made: %s", path, g_strerror(errno));
    return false;
}

/* Never by opening it: closing a descriptor of the file would drop the locks of every connection of this
 * process. */
static bool
check_file(const char *path, GError **error)
{
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "database %s is not a file", path);
        return false;
    }
    if (faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) != 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_DENIED, "database %s cannot be read and written: %s", path,
                    g_strerror(errno));
        return false;
    }
    g_autofree char *folder = g_path_get_dirname(path);
    if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_DENIED,
                    "database %s: files must be made beside it, and folder %s cannot be written: %s", path,
                    folder, g_strerror(errno));
        return false;
    }
    return true;
}

static bool
open_lock(ConfSqlite *db, GError **error)
{
    db->lock_fd = open(db->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (db->lock_fd >= 0)
        return true;
    int code = errno == ENOSPC ? CONF_ERROR_FULL : CONF_ERROR_DENIED;
    g_set_error(error, CONF_ERROR, code, "%s, the lock of the database, cannot be opened: %s", db->lock_path,
                g_strerror(errno));
    return false;
}

bool
conf_sqlite_connect(ConfSqlite *db, bool create, GError **error)
{
    struct stat status;
    if (stat(db->path, &status) != 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "database %s: %s", db->path,
                    g_strerror(errno));
        return false;
    }
    db->device = status.st_dev;
    db->inode = status.st_ino;
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(db->path, &db->handle, flags, NULL);
    if (code != SQLITE_OK)
        return conf_sqlite_fail(db, code, "cannot be opened", error);
    sqlite3_busy_timeout(db->handle, OPEN_BUSY_MS);
    if (!check_content(db, create, error) || !set_journal(db, error))
        return false;
    sqlite3_busy_timeout(db->handle, BUSY_MS);
    sqlite3_wal_hook(db->handle, note_wal, db);
    db->wal_inode = stat(db->wal_path, &status) == 0 ? status.st_ino : 0;
    return true;
}

/* Ours, or empty and to be made. */
static bool
check_content(ConfSqlite *db, bool create, GError **error)
{
    int64_t application, tables;
    if (!conf_sqlite_query_integer(db, "PRAGMA application_id", 0, &application, error) ||
        !conf_sqlite_query_integer(db, "SELECT count(*) FROM sqlite_schema", 0, &tables, error)) {
        if (sqlite3_errcode(db->handle) == SQLITE_NOTADB && error != NULL) {
            g_clear_error(error);
            g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "%s is not a database, or it is damaged",
                        db->path);
        }
        return false;
    }
    if (tables > 0 && application != CONF_SQLITE_APPLICATION_ID) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "database %s belongs to another program",
                    db->path);
        return false;
    }
    if (tables == 0 && !create) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_NOT_FOUND,
                    "database %s is empty: make its first content with confserv -init", db->path);
        return false;
    }
    return true;
}

static bool
set_journal(ConfSqlite *db, GError **error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db->handle, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    bool is_wal =
        code == SQLITE_ROW && g_strcmp0((const char *)sqlite3_column_text(statement, 0), "wal") == 0;
    sqlite3_finalize(statement);
    if (code != SQLITE_ROW)
        return conf_sqlite_fail(db, code, "cannot be opened for writing", error);
    if (!is_wal) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "database %s lies on a file system without what WAL needs: put it on a local disk",
                    db->path);
        return false;
    }
    /* FULL: a commit is on the disk when it answers.  trusted_schema: a prepared file shall not run
     * functions. */
    return conf_sqlite_exec(
        db,
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864;"
        "PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF",
        "cannot be opened", error);
}

static int
note_wal(void *self, sqlite3 *handle, const char *name, int pages)
{
    ConfSqlite *db = self;
    db->wal_pages = pages;
    return SQLITE_OK;
}
