/* db-sqlite-exchange.c - taking the database from a holder that is stopped (SIGSTOP) in the midst of a write.
 *
 * Such a process keeps SQLite's write lock until it goes on or dies, so its epoch cannot be ended in the
 * file it writes to.  The candidate makes a copy of what is committed, ends the epoch in the copy and puts
 * it in place of the file.  When the stopped process goes on, its transaction ends in a file that is the
 * database no more.  No answered write is lost, because
 * - the candidate holds the exchange lock from before it reads until the copy is in place;
 * - after each COMMIT, and before it is told to anybody, a holder looks first at that lock, then at the
 *   file's identity: one that sees neither has committed before the candidate began to read.
 *
 * A crash between the rename and the removal of the old WAL does no harm: the copy has the same pages, and
 * the old WAL on top of it is the old state, in which the epoch has not been taken. */
#include "db-sqlite-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The byte of DBNAME.lock that stands for the exchange; epochs never come that far. */
static const int64_t EXCHANGE_BYTE = (int64_t)1 << 62;
enum { EXCHANGE_WAIT_MS = 5000, NOTE_SIZE = 40 };

static bool lock_exchange(ConfSqlite *db, short kind, GError **error);
static bool is_stopped(long pid);
static bool copy_database(ConfSqlite *db, const char *next, int64_t seen_epoch, const char *holder,
                          GError **error);
static bool copy_pages(ConfSqlite *db, sqlite3 *copy, GError **error);
static bool end_epoch(ConfSqlite *db, sqlite3 *copy, int64_t seen_epoch, const char *holder, GError **error);
static bool put_in_place(ConfSqlite *db, const char *next, GError **error);
static bool sync_path(const char *path, int flags, GError **error);
static void remove_copy(const char *next);
static bool refuse(const ConfSqlite *db, int code, const char *why, GError **error);

bool
conf_sqlite_holder_is_stuck(ConfSqlite *db, int64_t epoch)
{
    char note[NOTE_SIZE + 1] = "";
    long long noted_epoch;
    long pid;
    if (pread(db->lock_fd, note, NOTE_SIZE, 0) <= 0 || sscanf(note, "%lld %ld", &noted_epoch, &pid) != 2)
        return false;
    /* A foreign program, or a holder that is only slow, is waited for. */
    return noted_epoch == epoch && conf_sqlite_find_locker(db) == pid && is_stopped(pid);
}

void
conf_sqlite_note_holder(ConfSqlite *db, int64_t epoch)
{
    char note[NOTE_SIZE + 1];
    g_snprintf(note, sizeof(note), "%20" G_GINT64_FORMAT " %18ld\n", epoch, (long)getpid());
    /* Without the note a holder that is stopped in a write is an error for the next one, and no more. */
    ssize_t written = pwrite(db->lock_fd, note, strlen(note), 0);
    (void)written;
}

bool
conf_sqlite_exchange(ConfSqlite *db, int64_t seen_epoch, const char *holder, GError **error)
{
    if (!lock_exchange(db, F_WRLCK, error))
        return false;
    if (!conf_sqlite_file_is_same(db)) {
        /* Another candidate was faster: this connection shows the past. */
        db->broken = true;
        conf_sqlite_leave(db);
        return refuse(db, CONF_ERROR_UNAVAILABLE, "has been taken by another server", error);
    }
    g_autofree char *next = g_strconcat(db->path, ".next", NULL);
    bool done = copy_database(db, next, seen_epoch, holder, error) && put_in_place(db, next, error);
    if (done)
        conf_sqlite_note_holder(db, seen_epoch + 1);
    else
        remove_copy(next);
    conf_sqlite_leave(db);
    return done;
}

bool
conf_sqlite_is_exchanged(const ConfSqlite *db)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = EXCHANGE_BYTE, .l_len = 1};
    return fcntl(db->lock_fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

bool
conf_sqlite_enter(ConfSqlite *db, GError **error)
{
    return lock_exchange(db, F_RDLCK, error);
}

void
conf_sqlite_leave(ConfSqlite *db)
{
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = EXCHANGE_BYTE, .l_len = 1};
    fcntl(db->lock_fd, F_OFD_SETLK, &lock);
}

static bool
lock_exchange(ConfSqlite *db, short kind, GError **error)
{
    int64_t until = g_get_monotonic_time() + EXCHANGE_WAIT_MS * 1000;
    struct flock lock = {.l_type = kind, .l_whence = SEEK_SET, .l_start = EXCHANGE_BYTE, .l_len = 1};
    while (fcntl(db->lock_fd, F_OFD_SETLK, &lock) != 0) {
        if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
            g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "%s cannot be locked: %s", db->lock_path,
                        g_strerror(errno));
            return false;
        }
        if (g_get_monotonic_time() >= until)
            return refuse(db, CONF_ERROR_UNAVAILABLE, "is being taken by another server", error);
        g_usleep(10000);
    }
    return true;
}

static bool
is_stopped(long pid)
{
    char path[64];
    g_snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return false;
    /* "PID (NAME) STATE ...", and the name may hold anything. */
    const char *end = strrchr(text, ')');
    return end != NULL && end[1] == ' ' && (end[2] == 'T' || end[2] == 't');
}

static bool
copy_database(ConfSqlite *db, const char *next, int64_t seen_epoch, const char *holder, GError **error)
{
    remove_copy(next);
    int fd = open(next, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return refuse(db, CONF_ERROR_UNAVAILABLE, "cannot be copied", error);
    close(fd);

    sqlite3 *copy = NULL;
    int code = sqlite3_open_v2(next, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    bool done = code == SQLITE_OK || refuse(db, CONF_ERROR_UNAVAILABLE, sqlite3_errstr(code), error);
    done = done && copy_pages(db, copy, error) && end_epoch(db, copy, seen_epoch, holder, error);
    sqlite3_close(copy);
    return done && sync_path(next, O_RDWR, error);
}

static bool
copy_pages(ConfSqlite *db, sqlite3 *copy, GError **error)
{
    sqlite3_backup *backup = sqlite3_backup_init(copy, "main", db->handle, "main");
    if (backup != NULL) {
        sqlite3_backup_step(backup, -1);
        sqlite3_backup_finish(backup);
    }
    int code = sqlite3_errcode(copy) & 0xff;
    if (code == SQLITE_OK || code == SQLITE_DONE)
        return true;
    return refuse(db, code == SQLITE_FULL ? CONF_ERROR_FULL : CONF_ERROR_UNAVAILABLE, sqlite3_errmsg(copy),
                  error);
}

static bool
end_epoch(ConfSqlite *db, sqlite3 *copy, int64_t seen_epoch, const char *holder, GError **error)
{
    sqlite3_stmt *take = NULL;
    /* Not WAL: the copy goes to its place as one file. */
    int code =
        sqlite3_exec(copy, "PRAGMA synchronous = FULL; PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(
            copy,
            "UPDATE lease SET epoch = epoch + 1, beat = beat + 1, holder = ?1 WHERE id = 1 AND epoch = ?2",
            -1, &take, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_text(take, 1, holder, -1, SQLITE_STATIC);
        sqlite3_bind_int64(take, 2, seen_epoch);
        code = sqlite3_step(take);
    }
    bool done = code == SQLITE_DONE || refuse(db, CONF_ERROR_UNAVAILABLE, sqlite3_errmsg(copy), error);
    if (done && sqlite3_changes(copy) != 1)
        done = refuse(db, CONF_ERROR_HELD, "has another epoch by now", error);
    sqlite3_finalize(take);
    return done;
}

static bool
put_in_place(ConfSqlite *db, const char *next, GError **error)
{
    /* Given up rather than closed: nothing of the old file is to be touched. */
    db->broken = true;
    conf_sqlite_abandon(db);
    g_autofree char *folder = g_path_get_dirname(db->path);
    g_autofree char *shared = g_strconcat(db->path, "-shm", NULL);
    if (rename(next, db->path) != 0)
        return refuse(db, CONF_ERROR_UNAVAILABLE, g_strerror(errno), error);
    /* In this order on the disk too: without the new file the old one needs its WAL. */
    if (!sync_path(folder, O_RDONLY | O_DIRECTORY, error))
        return false;
    if (unlink(db->wal_path) != 0 && errno != ENOENT)
        return refuse(db, CONF_ERROR_UNAVAILABLE, g_strerror(errno), error);
    unlink(shared);
    if (!sync_path(folder, O_RDONLY | O_DIRECTORY, error))
        return false;
    db->broken = false;
    return conf_sqlite_connect(db, false, error);
}

/* Of files that no connection of this process has open. */
static bool
sync_path(const char *path, int flags, GError **error)
{
    int fd = open(path, flags | O_CLOEXEC);
    bool done = fd >= 0 && fsync(fd) == 0;
    if (!done)
        g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "%s cannot be written to the disk: %s", path,
                    g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return done;
}

static void
remove_copy(const char *next)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    for (unsigned i = 0; i < G_N_ELEMENTS(endings); i++) {
        g_autofree char *path = g_strconcat(next, endings[i], NULL);
        unlink(path);
    }
}

static bool
refuse(const ConfSqlite *db, int code, const char *why, GError **error)
{
    g_set_error(error, CONF_ERROR, code, "database %s: %s", db->path, why);
    return false;
}
