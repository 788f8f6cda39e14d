/* db-sqlite-commit.c - one batch, one transaction: the fence, objects, next dbids, change records.  Text
 * is bound where it lies, never copied. */
#include "db-sqlite-private.h"

/* A slice of pruning frees at most this much besides the first record: freeing pages of long records takes
 * time. */
static const int64_t PRUNE_SLICE_BYTES = 8 * 1024 * 1024;

static bool write_batch(ConfSqlite *db, const ConfStorageBatch *batch, GError **error);
static bool put_objects(ConfSqlite *db, const ConfStorageBatch *batch, GError **error);
static bool remove_objects(ConfSqlite *db, const ConfStorageBatch *batch, GError **error);
static bool put_dbids(ConfSqlite *db, const ConfStorageBatch *batch, GError **error);
static bool put_changes(ConfSqlite *db, const ConfStorageBatch *batch, GError **error);
static bool find_key(ConfSqlite *db, uint16_t type, int64_t dbid, int64_t *key, GError **error);
static bool find_slot(ConfSqlite *db, uint16_t type, GError **error);
static void bind_text(sqlite3_stmt *statement, int index, const char *text, size_t size);
static bool read_total(ConfSqlite *db, GError **error);
static bool find_prunable(ConfSqlite *db, int64_t before_ms, int64_t max_bytes, int64_t keep_from, int limit,
                          int64_t *last, int *count, GError **error);

bool
conf_sqlite_commit(void *self, int64_t epoch, const ConfStorageBatch *batch, GError **error)
{
    ConfSqlite *db = self;
    if (!conf_sqlite_begin(db, error))
        return false;
    if (!conf_sqlite_move_lease(db, epoch, batch, error) || !write_batch(db, batch, error)) {
        conf_sqlite_rollback(db);
        return false;
    }
    return conf_sqlite_commit_transaction(db, error);
}

bool
conf_sqlite_initialize(void *self, const ConfStorageLease *lease, const ConfStorageBatch *batch,
                       GError **error)
{
    ConfSqlite *db = self;
    sqlite3_stmt *any = conf_sqlite_statement(db, CONF_SQLITE_OBJECT_ANY, error);
    if (any == NULL || !conf_sqlite_begin(db, error))
        return false;
    int code = sqlite3_step(any);
    bool stands = code == SQLITE_ROW && sqlite3_column_int(any, 0) != 0;
    conf_sqlite_reset(any);
    bool done = code == SQLITE_ROW || conf_sqlite_fail(db, code, "cannot be read", error);
    if (done && stands) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_EXISTS, "database %s holds data already", db->path);
        done = false;
    }
    if (!done || !conf_sqlite_insert_lease(db, lease, error) || !write_batch(db, batch, error)) {
        conf_sqlite_rollback(db);
        return false;
    }
    return conf_sqlite_commit_transaction(db, error);
}

bool
conf_sqlite_prune(void *self, int64_t epoch, int64_t before_ms, int64_t max_bytes, int64_t keep_from,
                  int limit, int *removed, GError **error)
{
    ConfSqlite *db = self;
    int64_t last = 0;
    *removed = 0;
    int count;
    if (!find_prunable(db, before_ms, max_bytes, keep_from, limit, &last, &count, error))
        return false;
    if (count == 0)
        return true;
    sqlite3_stmt *prune = conf_sqlite_statement(db, CONF_SQLITE_CHANGE_PRUNE, error);
    if (prune == NULL || !conf_sqlite_begin(db, error))
        return false;
    sqlite3_bind_int64(prune, 1, last);
    if (!conf_sqlite_beat(db, epoch, error) || !conf_sqlite_run(db, prune, "cannot be written", error)) {
        conf_sqlite_reset(prune);
        conf_sqlite_rollback(db);
        return false;
    }
    if (!conf_sqlite_commit_transaction(db, error))
        return false;
    db->change_total = -1;
    *removed = count;
    return true;
}

static bool
write_batch(ConfSqlite *db, const ConfStorageBatch *batch, GError **error)
{
    return put_objects(db, batch, error) && remove_objects(db, batch, error) && put_dbids(db, batch, error) &&
           put_changes(db, batch, error);
}

static bool
put_objects(ConfSqlite *db, const ConfStorageBatch *batch, GError **error)
{
    sqlite3_stmt *put = conf_sqlite_statement(db, CONF_SQLITE_OBJECT_PUT, error);
    if (put == NULL)
        return false;
    for (size_t i = 0; i < batch->put_count; i++) {
        const ConfStorageObject *object = &batch->puts[i];
        int64_t key;
        if (!find_key(db, object->type, object->dbid, &key, error))
            return false;
        sqlite3_bind_int64(put, 1, key);
        sqlite3_bind_int64(put, 2, object->revision);
        sqlite3_bind_int64(put, 3, object->acl_revision);
        bind_text(put, 4, object->body, object->body_size);
        bind_text(put, 5, object->secrets, object->secrets_size);
        bind_text(put, 6, object->permissions, object->permissions_size);
        if (!conf_sqlite_run(db, put, "cannot be written", error))
            return false;
    }
    return true;
}

static bool
remove_objects(ConfSqlite *db, const ConfStorageBatch *batch, GError **error)
{
    sqlite3_stmt *remove = conf_sqlite_statement(db, CONF_SQLITE_OBJECT_REMOVE, error);
    if (remove == NULL)
        return false;
    for (size_t i = 0; i < batch->remove_count; i++) {
        int64_t key;
        if (!find_key(db, batch->removes[i].type, batch->removes[i].dbid, &key, error))
            return false;
        sqlite3_bind_int64(remove, 1, key);
        if (!conf_sqlite_run(db, remove, "cannot be written", error))
            return false;
    }
    return true;
}

static bool
put_dbids(ConfSqlite *db, const ConfStorageBatch *batch, GError **error)
{
    sqlite3_stmt *put = conf_sqlite_statement(db, CONF_SQLITE_DBID_PUT, error);
    if (put == NULL)
        return false;
    for (size_t i = 0; i < batch->dbid_count; i++) {
        sqlite3_bind_int(put, 1, batch->dbid_types[i]);
        sqlite3_bind_int64(put, 2, batch->dbid_next[i]);
        if (!conf_sqlite_run(db, put, "cannot be written", error))
            return false;
    }
    return true;
}

static bool
put_changes(ConfSqlite *db, const ConfStorageBatch *batch, GError **error)
{
    sqlite3_stmt *put = conf_sqlite_statement(db, CONF_SQLITE_CHANGE_PUT, error);
    if (put == NULL || (batch->change_count > 0 && !read_total(db, error)))
        return false;
    for (size_t i = 0; i < batch->change_count; i++) {
        const ConfStorageChange *change = &batch->changes[i];
        db->change_total += (int64_t)change->record_size;
        sqlite3_bind_int64(put, 1, change->revision);
        sqlite3_bind_int64(put, 2, change->time_ms);
        sqlite3_bind_text(put, 3, change->chain, -1, SQLITE_STATIC);
        sqlite3_bind_int64(put, 4, db->change_total);
        bind_text(put, 5, change->record, change->record_size);
        if (!conf_sqlite_run(db, put, "cannot be written", error))
            return false;
    }
    return true;
}

static bool
find_key(ConfSqlite *db, uint16_t type, int64_t dbid, int64_t *key, GError **error)
{
    if (dbid < 1 || dbid >> CONF_SQLITE_DBID_BITS != 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "dbid %" G_GINT64_FORMAT " of type %u is out of range", dbid, type);
        return false;
    }
    if (db->slots[type] == 0 && !find_slot(db, type, error))
        return false;
    *key = (int64_t)db->slots[type] << CONF_SQLITE_DBID_BITS | dbid;
    return true;
}

static bool
find_slot(ConfSqlite *db, uint16_t type, GError **error)
{
    sqlite3_stmt *read = conf_sqlite_statement(db, CONF_SQLITE_SLOT_READ, error);
    sqlite3_stmt *insert = read != NULL ? conf_sqlite_statement(db, CONF_SQLITE_SLOT_INSERT, error) : NULL;
    if (insert == NULL)
        return false;
    sqlite3_bind_int(read, 1, type);
    int code = sqlite3_step(read);
    if (code == SQLITE_ROW)
        db->slots[type] = (uint16_t)sqlite3_column_int(read, 0);
    conf_sqlite_reset(read);
    if (code == SQLITE_ROW)
        return true;
    if (code != SQLITE_DONE)
        return conf_sqlite_fail(db, code, "cannot be read", error);

    sqlite3_bind_int(insert, 1, type);
    /* The check of the table refuses the slot after the last one. */
    if (!conf_sqlite_run(db, insert, "cannot take one more type of objects", error))
        return false;
    db->slots[type] = (uint16_t)sqlite3_last_insert_rowid(db->handle);
    return true;
}

/* NULL text: unset.  An empty one is bound as empty. */
static void
bind_text(sqlite3_stmt *statement, int index, const char *text, size_t size)
{
    if (text == NULL)
        sqlite3_bind_null(statement, index);
    else
        sqlite3_bind_text64(statement, index, text, size, SQLITE_STATIC, SQLITE_UTF8);
}

static bool
read_total(ConfSqlite *db, GError **error)
{
    if (db->change_total >= 0)
        return true;
    sqlite3_stmt *read = conf_sqlite_statement(db, CONF_SQLITE_CHANGE_TOTAL, error);
    if (read == NULL)
        return false;
    int code = sqlite3_step(read);
    int64_t total = code == SQLITE_ROW ? sqlite3_column_int64(read, 0) : 0;
    conf_sqlite_reset(read);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return conf_sqlite_fail(db, code, "cannot be read", error);
    db->change_total = total;
    return true;
}

/* The oldest records that are too old, or that the newer ones alone leave no room for; *last: revision of
 * the newest. */
static bool
find_prunable(ConfSqlite *db, int64_t before_ms, int64_t max_bytes, int64_t keep_from, int limit,
              int64_t *last, int *count, GError **error)
{
    sqlite3_stmt *oldest = conf_sqlite_statement(db, CONF_SQLITE_CHANGE_OLDEST, error);
    if (oldest == NULL || !read_total(db, error))
        return false;
    sqlite3_bind_int64(oldest, 1, keep_from);
    sqlite3_bind_int(oldest, 2, limit);
    int code;
    int64_t first_total = 0;
    *count = 0;
    while ((code = sqlite3_step(oldest)) == SQLITE_ROW) {
        int64_t total = sqlite3_column_int64(oldest, 2);
        bool removable = sqlite3_column_int64(oldest, 1) < before_ms || db->change_total - total >= max_bytes;
        if (*count == 0)
            first_total = total;
        if (!removable || total - first_total > PRUNE_SLICE_BYTES)
            break;
        *last = sqlite3_column_int64(oldest, 0);
        ++*count;
    }
    conf_sqlite_reset(oldest);
    return code == SQLITE_ROW || code == SQLITE_DONE || conf_sqlite_fail(db, code, "cannot be read", error);
}
