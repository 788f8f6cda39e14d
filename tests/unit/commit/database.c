/* database.c - a provider of the real storage interface that keeps its rows in memory; it is a double of
 * faults (full, away, hanging, deposed), which a real one shows only by chance. */
#include "fixture.h"

#include <string.h>

#include "base/error.h"
#include "base/id.h"

typedef struct {
    GMutex lock;
    GCond changed;
    DatabaseMode mode;
    bool away;
    ConfStorageLease lease;
    GHashTable *rows; /* ConfKey * → char * body */
    unsigned commits;
    bool breaks; /* the connection is broken: is_alive says no */
} Database;

static Database database;

static void *
database_open(ConfStorageOptionFunc option, void *data, bool create, GError **error)
{
    g_mutex_lock(&database.lock);
    bool away = database.away;
    database.breaks = false;
    g_mutex_unlock(&database.lock);
    if (away) {
        g_set_error_literal(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "the database is away");
        return NULL;
    }
    return &database;
}

static void
database_close(void *db)
{
}

static bool
database_migrate(void *db, int *version, GError **error)
{
    *version = 1;
    return true;
}

static int
database_take_lock(void *db, int64_t epoch, GError **error)
{
    return 1;
}

static bool
database_read_lease(void *db, ConfStorageLease *lease, GError **error)
{
    g_mutex_lock(&database.lock);
    *lease = database.lease;
    g_mutex_unlock(&database.lock);
    return true;
}

static bool
database_take_lease(void *db, int64_t seen_epoch, const char *holder, int64_t *epoch, GError **error)
{
    g_mutex_lock(&database.lock);
    bool mine = database.lease.epoch == seen_epoch;
    if (mine) {
        *epoch = ++database.lease.epoch;
        g_strlcpy(database.lease.holder, holder, sizeof(database.lease.holder));
    }
    g_mutex_unlock(&database.lock);
    if (!mine)
        g_set_error_literal(error, CONF_ERROR, CONF_ERROR_HELD, "another server took it");
    return mine;
}

static bool
database_renew_lease(void *db, int64_t epoch, GError **error)
{
    g_mutex_lock(&database.lock);
    bool mine = database.lease.epoch == epoch;
    database.lease.beat += mine;
    g_mutex_unlock(&database.lock);
    if (!mine)
        g_set_error_literal(error, CONF_ERROR, CONF_ERROR_DEPOSED, "another server holds it");
    return mine;
}

static bool
database_load_nothing(void *db, ConfStorageObjectFunc func, void *data, GError **error)
{
    return true;
}

static bool
database_load_no_dbids(void *db, ConfStorageDbidFunc func, void *data, GError **error)
{
    return true;
}

static bool
database_load_no_changes(void *db, int64_t after, ConfStorageChangeFunc func, void *data, GError **error)
{
    return true;
}

static void
write_rows(const ConfStorageBatch *batch)
{
    for (size_t i = 0; i < batch->put_count; i++) {
        const ConfStorageObject *put = &batch->puts[i];
        ConfKey key = {.type = put->type, .dbid = put->dbid};
        g_hash_table_insert(database.rows, g_memdup2(&key, sizeof(key)),
                            g_strndup(put->body, put->body_size));
    }
    for (size_t i = 0; i < batch->remove_count; i++) {
        ConfKey key = {.type = batch->removes[i].type, .dbid = batch->removes[i].dbid};
        g_hash_table_remove(database.rows, &key);
    }
    database.lease.revision = batch->last_revision;
    g_strlcpy(database.lease.chain, batch->last_chain, sizeof(database.lease.chain));
    database.commits++;
}

static bool
fail(GError **error, ConfError code, const char *message)
{
    g_set_error_literal(error, CONF_ERROR, (int)code, message);
    return false;
}

static bool
commit_locked(int64_t epoch, const ConfStorageBatch *batch, GError **error)
{
    while (database.mode == DATABASE_HANGS)
        g_cond_wait(&database.changed, &database.lock);
    DatabaseMode mode = database.mode;
    if (mode == DATABASE_DEPOSED)
        database.lease.epoch++;
    if (database.lease.epoch != epoch || database.lease.revision != batch->base_revision)
        return fail(error, CONF_ERROR_DEPOSED, "the lease row is another");
    if (mode == DATABASE_FULL)
        return fail(error, CONF_ERROR_FULL, "the disk is full");
    database.breaks = mode == DATABASE_UNKNOWN_LOST || mode == DATABASE_UNKNOWN_STORED;
    if (mode != DATABASE_UNKNOWN_LOST)
        write_rows(batch);
    if (!database.breaks)
        return true;
    database.mode = DATABASE_WELL;
    return fail(error, CONF_ERROR_UNKNOWN, "the connection broke");
}

static bool
database_commit(void *db, int64_t epoch, const ConfStorageBatch *batch, GError **error)
{
    g_mutex_lock(&database.lock);
    bool done = commit_locked(epoch, batch, error);
    g_mutex_unlock(&database.lock);
    return done;
}

static bool
database_initialize(void *db, const ConfStorageLease *lease, const ConfStorageBatch *batch, GError **error)
{
    return fail(error, CONF_ERROR_EXISTS, "the test fills the store itself");
}

static bool
database_prune(void *db, int64_t epoch, int64_t before_ms, int64_t max_bytes, int64_t keep_from, int limit,
               int *removed, GError **error)
{
    *removed = 0;
    return true;
}

static bool
database_is_alive(void *db)
{
    g_mutex_lock(&database.lock);
    bool alive = !database.breaks && !database.away;
    g_mutex_unlock(&database.lock);
    return alive;
}

static bool
database_set_environment(void *db, int64_t epoch, const char *environment, GError **error)
{
    return true;
}

const ConfStorageProvider database_provider = {
    .size = sizeof(ConfStorageProvider),
    .engine = "memory",
    .open = database_open,
    .close = database_close,
    .migrate = database_migrate,
    .take_lock = database_take_lock,
    .read_lease = database_read_lease,
    .take_lease = database_take_lease,
    .renew_lease = database_renew_lease,
    .load_objects = database_load_nothing,
    .load_next_dbids = database_load_no_dbids,
    .load_changes = database_load_no_changes,
    .commit = database_commit,
    .initialize = database_initialize,
    .prune = database_prune,
    .is_alive = database_is_alive,
    .set_environment = database_set_environment,
};

void
database_set_mode(DatabaseMode mode)
{
    g_mutex_lock(&database.lock);
    database.mode = mode;
    g_cond_broadcast(&database.changed);
    g_mutex_unlock(&database.lock);
}

void
database_set_away(bool away)
{
    g_mutex_lock(&database.lock);
    database.away = away;
    g_mutex_unlock(&database.lock);
}

char *
database_body(ConfKey key)
{
    g_mutex_lock(&database.lock);
    char *body = g_strdup(g_hash_table_lookup(database.rows, &key));
    g_mutex_unlock(&database.lock);
    return body;
}

int64_t
database_revision(void)
{
    g_mutex_lock(&database.lock);
    int64_t revision = database.lease.revision;
    g_mutex_unlock(&database.lock);
    return revision;
}

unsigned
database_commits(void)
{
    g_mutex_lock(&database.lock);
    unsigned commits = database.commits;
    g_mutex_unlock(&database.lock);
    return commits;
}

void
database_reset(void)
{
    if (database.rows == NULL) {
        g_mutex_init(&database.lock);
        g_cond_init(&database.changed);
        database.rows = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, g_free);
    }
    g_hash_table_remove_all(database.rows);
    database.mode = DATABASE_WELL;
    database.away = database.breaks = false;
    database.commits = 0;
    database.lease = (ConfStorageLease){.revision = 1, .chain = "0000000000000000"};
    conf_id_new_uuid(database.lease.environment);
}

const char *
database_environment(void)
{
    return database.lease.environment;
}
