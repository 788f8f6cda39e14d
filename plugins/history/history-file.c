/* history-file.c - the file of the history: made, opened, brought to this program's layout, written in
 * transactions, synchronised with the disk, set aside.
 *
 * Write-ahead log, and synchronous NORMAL: a transaction costs no wait for the disk.  The writer waits for
 * it by history_file_sync() when it suits, and only then tells the core that the revisions are held; until
 * then the database's change records hold them too. */
#include "history-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUSY_MS = 1000,
    CHECKPOINT_PAGES = 2000, /* 16 MiB of log */
    PAGE_SIZE = 8192,
    REMAKE_BYTES = 32 * 1024 * 1024,
};

static const char *const SQL[HISTORY_STATEMENT_COUNT] = {
    [HISTORY_BEGIN] = "BEGIN IMMEDIATE",
    [HISTORY_COMMIT] = "COMMIT",
    [HISTORY_MARK_PUT] = "INSERT OR REPLACE INTO mark (name, position, chain, digest, time, seal) "
                         "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [HISTORY_ENTRY_PUT] = "INSERT INTO entry (" HISTORY_ENTRY_COLUMNS ") "
                          "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [HISTORY_ENTRY_CHAIN] = "SELECT chain FROM entry WHERE revision = ?1",
    [HISTORY_CHANGE_PUT] = "INSERT INTO change (revision, ordinal, type, dbid, op, name, rights) "
                           "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [HISTORY_RIGHTS_FIND] = "SELECT id FROM right_list WHERE hash = ?1",
    [HISTORY_RIGHTS_PUT] = "INSERT INTO right_list (hash, entries) VALUES (?1, ?2)",
    [HISTORY_GAP_PUT] = "INSERT OR REPLACE INTO gap (first, last, time, why) VALUES (?1, ?2, ?3, ?4)",
    [HISTORY_AUDIT_PUT] = "INSERT INTO audit (id, time, kind, session, user, user_name, application, "
                          "application_name, address, detail, digest) "
                          "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [HISTORY_SESSION_PUT] = "INSERT OR REPLACE INTO session (token, time, json) VALUES (?1, ?2, ?3)",
    [HISTORY_SESSION_FORGET] = "DELETE FROM session WHERE token = ?1",
    [HISTORY_META_PUT] = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
};

static bool make_file(const char *path, GError **error);
static bool connect_file(HistoryFile *file, GError **error);
static bool check_content(HistoryFile *file, GError **error);
static bool migrate(HistoryFile *file, GError **error);
static bool make_shrinkable(HistoryFile *file, GError **error);
static bool read_state(HistoryFile *file, GError **error);
static bool read_mark(HistoryFile *file, const char *name, HistoryMark *mark, GError **error);
static bool write_marks(HistoryFile *file, GError **error);
static bool write_mark(HistoryFile *file, const char *name, const HistoryMark *mark, GError **error);
static bool is_same(const HistoryFile *file);
static int note_wal(void *self, sqlite3 *db, const char *name, int pages);

HistoryFile *
history_file_open(const char *path, GError **error)
{
    HistoryFile *file = g_new0(HistoryFile, 1);
    file->path = g_strdup(path);
    file->wal_fd = -1;
    if (make_file(path, error) && connect_file(file, error) && check_content(file, error) &&
        migrate(file, error) && make_shrinkable(file, error) && read_state(file, error))
        return file;
    history_file_close(file);
    return NULL;
}

void
history_file_close(HistoryFile *file)
{
    if (file == NULL)
        return;
    for (unsigned i = 0; i < HISTORY_STATEMENT_COUNT; i++)
        sqlite3_finalize(file->statements[i]);
    /* The last connection removes the log by its name: that may be another file's by now. */
    if (file->db != NULL && !is_same(file))
        sqlite3_db_config(file->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close(file->db);
    if (file->wal_fd >= 0)
        close(file->wal_fd);
    g_free(file->path);
    g_free(file);
}

char *
history_file_set_aside(const char *path, const char *why, GError **error)
{
    g_autofree char *aside = NULL;
    for (unsigned i = 0; aside == NULL || access(aside, F_OK) == 0; i++) {
        g_free(aside);
        aside = i == 0 ? g_strdup_printf("%s.%s", path, why) : g_strdup_printf("%s.%s-%u", path, why, i);
    }
    /* The log first: the file must never stand under its new name beside a log that is not there any more. */
    static const char *const parts[] = {"-wal", "-shm", ""};
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *from = g_strconcat(path, parts[i], NULL);
        g_autofree char *to = g_strconcat(aside, parts[i], NULL);
        if (rename(from, to) == 0 || errno == ENOENT)
            continue;
        g_set_error(error, CONF_ERROR, CONF_ERROR_DENIED, "%s cannot be renamed to %s: %s", from, to,
                    g_strerror(errno));
        return NULL;
    }
    return g_steal_pointer(&aside);
}

bool
history_file_lacks_origin(const HistoryFile *file)
{
    return history_file_is_fresh(file) && file->entries.last.position == 0;
}

void
history_file_set_origin(HistoryFile *file, int64_t revision, const char *chain)
{
    HistoryMark *first = &file->entries.first;
    *first = (HistoryMark){.position = revision, .time_ms = g_get_real_time() / 1000};
    g_strlcpy(first->chain, chain, sizeof first->chain);
    file->entries.last = *first;
    file->entries.first_moved = file->entries.last_moved = true;
}

bool
history_file_is_fresh(const HistoryFile *file)
{
    static const uint8_t none[HISTORY_DIGEST_SIZE];
    return memcmp(file->entries.last.digest, none, sizeof none) == 0;
}

bool
history_file_begin(HistoryFile *file, GError **error)
{
    if (!is_same(file)) {
        file->is_damaged = true;
        g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE,
                    "The history file %s was moved, removed or replaced while it was in use", file->path);
        return false;
    }
    sqlite3_stmt *begin = history_file_statement(file, HISTORY_BEGIN, error);
    if (begin == NULL || !history_sql_run(begin, error))
        return false;
    /* A server that was frozen, and whose place this one took, may have written what it had in hand. */
    int64_t counter;
    if (history_sql_integer(file->db, "PRAGMA data_version", &counter, error) &&
        (counter == file->change_counter || read_state(file, error)))
        return true;
    history_file_rollback(file);
    return false;
}

bool
history_file_commit(HistoryFile *file, GError **error)
{
    sqlite3_stmt *commit = history_file_statement(file, HISTORY_COMMIT, error);
    if (commit != NULL && write_marks(file, error) && history_sql_run(commit, error))
        return true;
    history_file_rollback(file);
    return false;
}

void
history_file_rollback(HistoryFile *file)
{
    if (sqlite3_get_autocommit(file->db) == 0)
        sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
    /* The marks stand where the file has them, whatever became of the transaction. */
    if (sqlite3_get_autocommit(file->db) == 0 || !read_state(file, NULL))
        file->is_damaged = true;
}

bool
history_file_sync(HistoryFile *file, GError **error)
{
    struct stat own, named;
    g_autofree char *path = g_strconcat(file->path, "-wal", NULL);
    bool stands = stat(path, &named) == 0;
    if (file->wal_fd >= 0 && (!stands || fstat(file->wal_fd, &own) != 0 || own.st_ino != named.st_ino ||
                              own.st_dev != named.st_dev)) {
        close(file->wal_fd);
        file->wal_fd = -1;
    }
    if (!stands)
        return true; /* Nothing was written since the log went into the file, which SQLite has waited for. */
    if (file->wal_fd < 0)
        file->wal_fd = open(path, O_RDWR | O_CLOEXEC);
    if (file->wal_fd >= 0 && fdatasync(file->wal_fd) == 0)
        return true;
    int code = errno;
    g_set_error(error, CONF_ERROR,
                code == ENOSPC || code == EDQUOT ? CONF_ERROR_FULL : CONF_ERROR_UNAVAILABLE,
                "%s cannot be written to the disk: %s", path, g_strerror(code));
    /* The kernel may tell of a lost page once only: what is not in the file by a checkpoint is not
     * trusted. */
    file->is_damaged = true;
    return false;
}

void
history_file_tidy(HistoryFile *file)
{
    /* What was taken off the end of the file goes with the log. */
    if (!file->shrunk && file->wal_pages < file->wal_pages_left + CHECKPOINT_PAGES)
        return;
    int logged = 0, copied = 0;
    /* Passive: waits for no reader; what it cannot take stays in the log, which is as good. */
    int code = sqlite3_wal_checkpoint_v2(file->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &logged, &copied);
    bool complete = code == SQLITE_OK && copied >= logged;
    file->wal_pages_left = complete ? 0 : file->wal_pages;
    if (!complete)
        return;
    file->wal_pages = 0;
    file->shrunk = false;
}

sqlite3_stmt *
history_file_statement(HistoryFile *file, HistoryStatement which, GError **error)
{
    if (file->statements[which] != NULL)
        return file->statements[which];
    int code = sqlite3_prepare_v3(file->db, SQL[which], -1, SQLITE_PREPARE_PERSISTENT,
                                  &file->statements[which], NULL);
    if (code != SQLITE_OK)
        history_sql_fail(file->db, code, error);
    return file->statements[which];
}

/* SQLite would make it readable for all.  Never opens one that is there: closing a descriptor of it would
 * drop the locks of every connection of this process. */
static bool
make_file(const char *path, GError **error)
{
    if (access(path, R_OK | W_OK) == 0)
        return true;
    int code = errno;
    int fd = code == ENOENT ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    if (fd >= 0) {
        close(fd);
        return true;
    }
    if (code == ENOENT)
        code = errno;
    g_set_error(error, CONF_ERROR, code == ENOSPC || code == EDQUOT ? CONF_ERROR_FULL : CONF_ERROR_DENIED,
                "The history file %s (option data-folder) cannot be made or written: %s", path,
                g_strerror(code));
    return false;
}

static bool
connect_file(HistoryFile *file, GError **error)
{
    struct stat status;
    if (stat(file->path, &status) != 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "The history file %s: %s", file->path,
                    g_strerror(errno));
        return false;
    }
    file->device = status.st_dev;
    file->inode = status.st_ino;
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(file->path, &file->db, flags, NULL);
    if (code != SQLITE_OK) {
        history_sql_fail(file->db, code, error);
        g_prefix_error(error, "%s: ", file->path);
        return false;
    }
    sqlite3_busy_timeout(file->db, BUSY_MS);
    sqlite3_wal_hook(file->db, note_wal, file);
    /* trusted_schema: a prepared file shall not run functions. */
    return history_sql_exec(
        file->db,
        "PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
        "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864;"
        "PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF",
        error);
}

/* Ours, or empty. */
static bool
check_content(HistoryFile *file, GError **error)
{
    int64_t application, tables;
    if (!history_sql_integer(file->db, "PRAGMA application_id", &application, error) ||
        !history_sql_integer(file->db, "SELECT count(*) FROM sqlite_schema", &tables, error))
        return false;
    if (tables == 0 || application == HISTORY_APPLICATION_ID)
        return true;
    g_set_error(error, CONF_ERROR, CONF_ERROR_DENIED, "The file %s belongs to another program", file->path);
    return false;
}

static bool
migrate(HistoryFile *file, GError **error)
{
    int known = history_migrations[history_migration_count - 1].version;
    int64_t stored;
    if (!history_sql_integer(file->db, "PRAGMA user_version", &stored, error))
        return false;
    if (stored > known) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_NEWER,
                    "The history file %s is newer than this program: its layout is version %" G_GINT64_FORMAT
                    ", this program knows versions up to %d",
                    file->path, stored, known);
        return false;
    }
    if (stored == known)
        return true;
    /* The write lock is held from here: who migrates at the same time waits, then finds it done. */
    if (!history_sql_exec(file->db, "BEGIN IMMEDIATE", error))
        return false;
    bool done = history_sql_integer(file->db, "PRAGMA user_version", &stored, error);
    for (unsigned i = 0; done && i < history_migration_count; i++) {
        if (history_migrations[i].version > stored)
            done = history_sql_exec(file->db, history_migrations[i].sql, error);
    }
    g_autofree char *mark = g_strdup_printf("PRAGMA user_version = %d; PRAGMA application_id = %d; COMMIT",
                                            known, HISTORY_APPLICATION_ID);
    if (done && history_sql_exec(file->db, mark, error))
        return true;
    sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
    return false;
}

/* A file of before there was incremental vacuum keeps the room of what went.  A small one is made anew,
 * which takes its size once more of the disk; a larger one stays as it is. */
static bool
make_shrinkable(HistoryFile *file, GError **error)
{
    int64_t mode, pages;
    if (!history_sql_integer(file->db, "PRAGMA auto_vacuum", &mode, error) ||
        !history_sql_integer(file->db, "PRAGMA page_count", &pages, error))
        return false;
    file->shrinks = mode != 0;
    if (file->shrinks || pages > REMAKE_BYTES / PAGE_SIZE)
        return true;
    GError *failure = NULL;
    file->shrinks = history_sql_exec(file->db, "VACUUM", &failure);
    if (file->shrinks)
        return true;
    /* A full disk, or another process that writes: the next opening tries again. */
    bool damaged = g_error_matches(failure, CONF_ERROR, CONF_ERROR_INVALID);
    if (damaged)
        g_propagate_error(error, failure);
    else
        g_error_free(failure);
    return !damaged;
}

static bool
read_state(HistoryFile *file, GError **error)
{
    if (!history_sql_integer(file->db, "PRAGMA data_version", &file->change_counter, error) ||
        !read_mark(file, "entry-first", &file->entries.first, error) ||
        !read_mark(file, "entry-last", &file->entries.last, error) ||
        !read_mark(file, "audit-first", &file->audits.first, error) ||
        !read_mark(file, "audit-last", &file->audits.last, error))
        return false;
    file->breaks.count = -1;
    file->entries.first_moved = file->entries.last_moved = false;
    file->audits.first_moved = file->audits.last_moved = false;
    sqlite3_stmt *meta =
        history_sql_prepare(file->db, "SELECT value FROM meta WHERE key = 'environment'", error);
    int step = meta != NULL ? history_sql_step(meta, error) : -1;
    g_strlcpy(file->environment, step == 1 ? history_sql_text(meta, 0) : "", sizeof file->environment);
    sqlite3_finalize(meta);
    return step >= 0;
}

/* A mark that somebody has edited is taken as it stands: it is for history.verify to tell. */
static bool
read_mark(HistoryFile *file, const char *name, HistoryMark *mark, GError **error)
{
    bool sealed;
    return history_sql_mark(file->db, name, mark, &sealed, error);
}

static bool
write_marks(HistoryFile *file, GError **error)
{
    HistoryChainOf *entries = &file->entries, *audits = &file->audits;
    bool done = (!entries->first_moved || write_mark(file, "entry-first", &entries->first, error)) &&
                (!entries->last_moved || write_mark(file, "entry-last", &entries->last, error)) &&
                (!audits->first_moved || write_mark(file, "audit-first", &audits->first, error)) &&
                (!audits->last_moved || write_mark(file, "audit-last", &audits->last, error));
    entries->first_moved = entries->last_moved = audits->first_moved = audits->last_moved = false;
    return done;
}

static bool
write_mark(HistoryFile *file, const char *name, const HistoryMark *mark, GError **error)
{
    sqlite3_stmt *put = history_file_statement(file, HISTORY_MARK_PUT, error);
    if (put == NULL)
        return false;
    uint8_t seal[HISTORY_DIGEST_SIZE];
    history_digest_mark(name, mark, seal);
    sqlite3_bind_text(put, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(put, 2, mark->position);
    sqlite3_bind_text(put, 3, mark->chain, -1, SQLITE_STATIC);
    sqlite3_bind_blob(put, 4, mark->digest, HISTORY_DIGEST_SIZE, SQLITE_STATIC);
    sqlite3_bind_int64(put, 5, mark->time_ms);
    sqlite3_bind_blob(put, 6, seal, HISTORY_DIGEST_SIZE, SQLITE_STATIC);
    return history_sql_run(put, error);
}

static bool
is_same(const HistoryFile *file)
{
    struct stat status;
    return stat(file->path, &status) == 0 && status.st_dev == file->device && status.st_ino == file->inode;
}

static int
note_wal(void *self, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    ((HistoryFile *)self)->wal_pages = pages;
    return SQLITE_OK;
}
