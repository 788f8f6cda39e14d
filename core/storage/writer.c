/* writer.c - the writer thread: one commit at a time, confirmations, renewals, pruning and housekeeping
 * between commits.
 *
 * A commit that waits always goes first.  The queue has one place for a commit, one for a pruning, and
 * CONFIRMS_MAX for confirmations, which share one renewal. */
#include "storage/storage-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/queue-main.h"

enum {
    CONFIRMS_MAX = 65536,
    PRUNE_ROWS = 500,         /* a slice: commits wait at most for one */
    TIDY_AFTER_USEC = 200000, /* quiet for this long counts as idle */
    LOCK_RETRY_USEC = 1000000,
};

/* What the writer takes under the lock in one go. */
typedef struct {
    ConfStorageCommit commit;
    GArray *confirms;      /* NULL: none */
    ConfStorageRead *read; /* NULL: none */
    bool prune;
    bool stop;
} Work;

static void start_thread(ConfStorage *storage);
static void *run(void *data);
static bool take_work(ConfStorage *storage, int64_t quiet_since, Work *work);
static int64_t next_due(const ConfStorage *storage, int64_t quiet_since);
static void do_commit(ConfStorage *storage, const ConfStorageCommit *commit);
static ConfStoredVerdict try_commit(ConfStorage *storage, const ConfStorageCommit *commit, GError **error);
static ConfStoredVerdict judge_failure(ConfStorage *storage, const ConfStorageCommit *commit, bool locked,
                                       GError **error);
static bool commit_once(ConfStorage *storage, const ConfStorageBatch *batch, GError **error);
static void do_confirms(ConfStorage *storage, GArray *confirms);
static void do_prune(ConfStorage *storage);
static void drop_prune(ConfStorage *storage, const ConfStoragePrune *done);
static void do_due(ConfStorage *storage);
static void tidy(ConfStorage *storage, bool idle);

void
conf_storage_commit(ConfStorage *storage, const ConfStorageBatch *batch, ConfStoredFunc func,
                    void (*unknown)(void *data), void *data)
{
    conf_assert_main();
    g_assert(!storage->commit_under_way);
    storage->commit_under_way = true;
    start_thread(storage);
    g_mutex_lock(&storage->lock);
    storage->commit = (ConfStorageCommit){batch, func, unknown, data};
    g_cond_broadcast(&storage->wake);
    g_mutex_unlock(&storage->lock);
}

void
conf_storage_confirm(ConfStorage *storage, ConfStoredFunc func, void *data)
{
    conf_assert_main();
    start_thread(storage);
    ConfStorageConfirm confirm = {func, data};
    g_mutex_lock(&storage->lock);
    bool full = storage->confirms->len >= CONFIRMS_MAX;
    if (!full)
        g_array_append_val(storage->confirms, confirm);
    g_cond_broadcast(&storage->wake);
    g_mutex_unlock(&storage->lock);
    if (full) {
        g_autoptr(GError) error = g_error_new(CONF_ERROR, CONF_ERROR_FULL,
                                              "%d confirmations wait for the database already", CONFIRMS_MAX);
        conf_storage_tell_verdict(storage, func, data, CONF_NOT_STORED, error, false);
    }
}

void
conf_storage_start(ConfStorage *storage, const ConfStorageFuncs *funcs, void *data)
{
    conf_assert_main();
    storage->funcs_storage = *funcs;
    storage->funcs = &storage->funcs_storage;
    storage->funcs_data = data;
    start_thread(storage);
}

void
conf_storage_prune(ConfStorage *storage, int64_t older_than_ms, int64_t max_bytes, int64_t keep_from)
{
    conf_assert_main();
    start_thread(storage);
    g_mutex_lock(&storage->lock);
    storage->prune = (ConfStoragePrune){true, older_than_ms, max_bytes, keep_from};
    g_cond_broadcast(&storage->wake);
    g_mutex_unlock(&storage->lock);
}

void
conf_storage_read_changes(ConfStorage *storage, int64_t after, bool next, size_t bytes,
                          ConfStorageReadFunc func, void *data)
{
    conf_assert_main();
    start_thread(storage);
    ConfStorageRead *read = g_new0(ConfStorageRead, 1);
    *read = (ConfStorageRead){.after = after, .next = next, .bytes = bytes, .func = func, .data = data};
    read->changes = g_array_new(FALSE, FALSE, sizeof(ConfStorageChange));
    g_mutex_lock(&storage->lock);
    g_queue_push_tail(&storage->reads, read);
    g_cond_broadcast(&storage->wake);
    g_mutex_unlock(&storage->lock);
}

bool
conf_storage_pause(ConfStorage *storage, int64_t ms)
{
    int64_t until = g_get_monotonic_time() + ms * 1000;
    g_mutex_lock(&storage->lock);
    while (!storage->stop && g_cond_wait_until(&storage->wake, &storage->lock, until))
        continue;
    bool going = !storage->stop;
    g_mutex_unlock(&storage->lock);
    return going;
}

void
conf_storage_note_confirmed(ConfStorage *storage, int64_t at)
{
    __atomic_store_n(&storage->confirmed_at, at, __ATOMIC_RELEASE);
    storage->renew_due = at + (int64_t)storage->lease_time_ms * 1000 / 3;
}

void
conf_storage_note_position(ConfStorage *storage, int64_t revision, const char *chain)
{
    storage->revision = revision;
    g_strlcpy(storage->chain, chain, sizeof(storage->chain));
}

static void
start_thread(ConfStorage *storage)
{
    if (storage->thread != NULL)
        return;
    g_assert(storage->epoch != 0 && !storage->closed);
    storage->lock_due = conf_clock_monotonic_usec();
    storage->thread = g_thread_new("storage", run, conf_storage_ref(storage));
}

static void *
run(void *data)
{
    ConfStorage *storage = data;
    int64_t quiet_since = conf_clock_monotonic_usec();
    Work work;
    while (take_work(storage, quiet_since, &work)) {
        bool busy = work.commit.batch != NULL || work.confirms != NULL || work.prune || work.read != NULL;
        if (work.commit.batch != NULL)
            do_commit(storage, &work.commit);
        if (work.confirms != NULL)
            do_confirms(storage, work.confirms);
        if (work.read != NULL)
            conf_storage_do_read(storage, work.read);
        if (work.prune)
            do_prune(storage);
        do_due(storage);
        if (storage->end_untold)
            conf_storage_tell_deposed(storage, storage->epoch_seen);
        storage->end_untold = false;
        bool idle = !busy && quiet_since != 0 && conf_clock_monotonic_usec() - quiet_since >= TIDY_AFTER_USEC;
        if (busy || idle)
            tidy(storage, idle);
        quiet_since = busy ? conf_clock_monotonic_usec() : idle ? 0 : quiet_since;
    }

    if (storage->db != NULL)
        storage->provider->close(g_steal_pointer(&storage->db));
    g_mutex_lock(&storage->lock);
    storage->ended = true;
    g_cond_broadcast(&storage->wake);
    g_mutex_unlock(&storage->lock);
    conf_storage_unref(storage);
    return NULL;
}

/* Waits for something to do.  A commit taken on is done before the end.  False: the end. */
static bool
take_work(ConfStorage *storage, int64_t quiet_since, Work *work)
{
    g_mutex_lock(&storage->lock);
    for (;;) {
        bool wanted = storage->commit.batch != NULL || storage->confirms->len > 0 || storage->stop ||
                      !g_queue_is_empty(&storage->reads) ||
                      (storage->prune.wanted && storage->health == CONF_STORAGE_READY);
        int64_t due = next_due(storage, quiet_since);
        if (wanted || due <= conf_clock_monotonic_usec())
            break;
        g_cond_wait_until(&storage->wake, &storage->lock, due);
    }
    *work = (Work){.commit = storage->commit, .stop = storage->stop};
    storage->commit.batch = NULL;
    if (storage->confirms->len > 0) {
        work->confirms = storage->confirms;
        storage->confirms = g_array_new(FALSE, FALSE, sizeof(ConfStorageConfirm));
    }
    work->read = work->commit.batch == NULL && !work->stop ? g_queue_pop_head(&storage->reads) : NULL;
    /* A slice only where no commit waits that would have to wait for it. */
    work->prune =
        storage->prune.wanted && storage->health == CONF_STORAGE_READY && work->commit.batch == NULL;
    g_mutex_unlock(&storage->lock);
    return !work->stop || work->commit.batch != NULL;
}

/* Monotonic usec.  `quiet_since` 0: idle, and tidied up. */
static int64_t
next_due(const ConfStorage *storage, int64_t quiet_since)
{
    int64_t due = INT64_MAX;
    if (storage->health == CONF_STORAGE_READY)
        due = storage->renew_due;
    else if (storage->health == CONF_STORAGE_LOST)
        due = storage->retry_due;
    if (storage->health == CONF_STORAGE_READY && !storage->lock_held)
        due = MIN(due, storage->lock_due);
    if (storage->health == CONF_STORAGE_READY && quiet_since != 0)
        due = MIN(due, quiet_since + TIDY_AFTER_USEC);
    return due;
}

static void
do_commit(ConfStorage *storage, const ConfStorageCommit *commit)
{
    g_autoptr(GError) error = NULL;
    ConfStoredVerdict verdict = try_commit(storage, commit, &error);
    if (verdict == CONF_STORED) {
        conf_storage_note_position(storage, commit->batch->last_revision, commit->batch->last_chain);
        g_clear_error(&error);
    }
    /* From here on the batch is the caller's again. */
    conf_storage_tell_verdict(storage, commit->func, commit->data, verdict, error, true);
}

/* While the database is lost the commit itself is the attempt to come back: where there is room for it
 * again, it is stored, and where there is none, nobody is told that the database had been found in
 * between. */
static ConfStoredVerdict
try_commit(ConfStorage *storage, const ConfStorageCommit *commit, GError **error)
{
    int64_t busy_until = conf_clock_monotonic_usec() + (int64_t)CONF_STORAGE_BUSY_MS * 1000;
    if (storage->health == CONF_STORAGE_LOST && !storage->provider->is_alive(storage->db))
        conf_storage_recover(storage, false);
    for (;;) {
        if (storage->health == CONF_STORAGE_ENDED) {
            g_set_error(error, CONF_ERROR, CONF_ERROR_DEPOSED, "epoch %" G_GINT64_FORMAT " is over",
                        storage->epoch);
            return CONF_STORAGE_DEPOSED;
        }
        if (storage->health == CONF_STORAGE_LOST && !storage->provider->is_alive(storage->db)) {
            g_propagate_error(error, g_error_copy(storage->fault));
            return CONF_NOT_STORED;
        }
        int64_t started = conf_clock_monotonic_usec();
        GError *fault = NULL;
        if (commit_once(storage, commit->batch, &fault)) {
            conf_storage_note_confirmed(storage, started);
            conf_storage_recovered(storage);
            return CONF_STORED;
        }
        bool locked = g_error_matches(fault, CONF_ERROR, CONF_ERROR_UNAVAILABLE) &&
                      storage->provider->is_alive(storage->db);
        if (locked && storage->health == CONF_STORAGE_READY && started < busy_until &&
            conf_storage_pause(storage, 10)) {
            g_clear_error(&fault);
            continue;
        }
        g_propagate_error(error, fault);
        return judge_failure(storage, commit, locked, error);
    }
}

/* *error says why the commit failed. */
static ConfStoredVerdict
judge_failure(ConfStorage *storage, const ConfStorageCommit *commit, bool locked, GError **error)
{
    if (g_error_matches(*error, CONF_ERROR, CONF_ERROR_UNKNOWN)) {
        if (commit->unknown != NULL)
            conf_storage_tell_unknown(storage, commit->unknown, commit->data);
        return conf_storage_settle(storage, commit->batch, error);
    }
    if (g_error_matches(*error, CONF_ERROR, CONF_ERROR_DEPOSED)) {
        conf_storage_end(storage, 0);
        return CONF_STORAGE_DEPOSED;
    }
    /* What is wrong with the batch by itself says nothing about the database. */
    bool full = g_error_matches(*error, CONF_ERROR, CONF_ERROR_FULL);
    if (locked || full || !storage->provider->is_alive(storage->db))
        conf_storage_lose(storage, *error);
    return CONF_NOT_STORED;
}

static bool
commit_once(ConfStorage *storage, const ConfStorageBatch *batch, GError **error)
{
    int64_t away_ms = 0;
    conf_storage_fault_point("killed-before-commit", NULL);
    bool lost = conf_storage_fault_point("lost-before-commit", &away_ms);
    if (!lost && !storage->provider->commit(storage->db, storage->epoch, batch, error))
        return false;
    conf_storage_fault_point("killed-after-commit", NULL);
    lost = lost || conf_storage_fault_point("lost-after-commit", &away_ms);
    if (!lost)
        return true;
    storage->fault_until = conf_clock_monotonic_usec() + away_ms * 1000;
    g_set_error_literal(error, CONF_ERROR, CONF_ERROR_UNKNOWN, "the database was lost by a fault point");
    return false;
}

static void
do_confirms(ConfStorage *storage, GArray *confirms)
{
    g_autoptr(GError) error = NULL;
    ConfStoredVerdict verdict = conf_storage_renew(storage, &error);
    for (unsigned i = 0; i < confirms->len; i++) {
        const ConfStorageConfirm *confirm = &g_array_index(confirms, ConfStorageConfirm, i);
        conf_storage_tell_verdict(storage, confirm->func, confirm->data, verdict, error, false);
    }
    g_array_unref(confirms);
}

/* One slice; the request stays until a slice finds less than it may remove. */
static void
do_prune(ConfStorage *storage)
{
    g_mutex_lock(&storage->lock);
    ConfStoragePrune prune = storage->prune;
    g_mutex_unlock(&storage->lock);
    if (storage->health != CONF_STORAGE_READY)
        return;
    g_autoptr(GError) error = NULL;
    int removed = 0;
    int64_t started = conf_clock_monotonic_usec();
    if (storage->provider->prune(storage->db, storage->epoch, conf_clock_wall_ms() - prune.older_than_ms,
                                 prune.max_bytes, prune.keep_from, PRUNE_ROWS, &removed, &error)) {
        if (removed == 0) {
            drop_prune(storage, &prune);
            return;
        }
        conf_storage_note_confirmed(storage, started);
        conf_log(CONF_LOG_CHANGES_PRUNED, "count", conf_log_integer(removed), NULL);
        return;
    }
    drop_prune(storage, &prune);
    if (g_error_matches(error, CONF_ERROR, CONF_ERROR_DEPOSED)) {
        conf_storage_end(storage, 0);
        return;
    }
    conf_log(CONF_LOG_CHANGES_NOT_PRUNED, "why", error->message, NULL);
    if (!storage->provider->is_alive(storage->db))
        conf_storage_lose(storage, error);
}

/* Unless another request has taken its place meanwhile. */
static void
drop_prune(ConfStorage *storage, const ConfStoragePrune *done)
{
    g_mutex_lock(&storage->lock);
    if (storage->prune.keep_from == done->keep_from && storage->prune.older_than_ms == done->older_than_ms &&
        storage->prune.max_bytes == done->max_bytes)
        storage->prune.wanted = false;
    g_mutex_unlock(&storage->lock);
}

static void
do_due(ConfStorage *storage)
{
    int64_t now = conf_clock_monotonic_usec();
    if (storage->health == CONF_STORAGE_LOST && now >= storage->retry_due)
        conf_storage_recover(storage, true);
    if (storage->health == CONF_STORAGE_READY && now >= storage->renew_due)
        conf_storage_renew(storage, NULL);
    if (storage->health == CONF_STORAGE_READY && !storage->lock_held && now >= storage->lock_due) {
        conf_storage_try_lock(storage);
        storage->lock_due = now + LOCK_RETRY_USEC;
    }
}

static void
tidy(ConfStorage *storage, bool idle)
{
    const ConfStorageProvider *provider = storage->provider;
    bool has_tidy = provider->size > offsetof(ConfStorageProvider, tidy) && provider->tidy != NULL;
    if (has_tidy && storage->health == CONF_STORAGE_READY)
        provider->tidy(storage->db, idle);
}
