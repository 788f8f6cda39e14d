/* recovery.c - the database goes, comes back, or has another holder; and what became of a commit nobody
 * answered.
 *
 * Locks while reopening: the old handle holds the lock of this epoch, so the new one cannot take it.  The
 * new handle takes the lock of the next epoch first; a candidate that comes by in the moment between finds
 * one of the two held and waits. */
#include "storage/storage-private.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

/* A database that stayed for this long after a loss is as good as any. */
static const int64_t CALM_USEC = 30 * 1000000;

static ConfStoredVerdict renew_once(ConfStorage *storage, GError **error);
static bool reopen(ConfStorage *storage, GError **error);
static bool is_ours(const ConfStorage *storage, const ConfStorageLease *lease);
static void swap_db(ConfStorage *storage, void *fresh);
static void keep_fault(ConfStorage *storage, const GError *error);
static bool settle_once(ConfStorage *storage, const ConfStorageBatch *batch, bool *attempted,
                        ConfStoredVerdict *verdict, GError **error);
static bool settle_with(ConfStorage *storage, void *fresh, const ConfStorageBatch *batch, bool *attempted,
                        ConfStoredVerdict *verdict, GError **error);
static bool judge(ConfStorage *storage, void *db, const ConfStorageLease *lease,
                  const ConfStorageBatch *batch, bool *stored, GError **error);
static bool match_change(const ConfStorageChange *change, void *data, GError **error);

ConfStoredVerdict
conf_storage_renew(ConfStorage *storage, GError **error)
{
    int64_t busy_until = conf_clock_monotonic_usec() + (int64_t)CONF_STORAGE_BUSY_MS * 1000;
    if (storage->health == CONF_STORAGE_LOST)
        conf_storage_recover(storage, false);
    while (storage->health == CONF_STORAGE_READY) {
        GError *fault = NULL;
        ConfStoredVerdict verdict = renew_once(storage, &fault);
        if (verdict == CONF_STORED)
            return verdict;
        bool locked = verdict == CONF_NOT_STORED &&
                      g_error_matches(fault, CONF_ERROR, CONF_ERROR_UNAVAILABLE) &&
                      storage->provider->is_alive(storage->db);
        if (locked && conf_clock_monotonic_usec() < busy_until && conf_storage_pause(storage, 10)) {
            g_clear_error(&fault);
            continue;
        }
        if (verdict == CONF_STORAGE_DEPOSED)
            conf_storage_end(storage, 0);
        else
            conf_storage_lose(storage, fault);
        g_propagate_error(error, fault);
        return verdict;
    }
    if (storage->health == CONF_STORAGE_LOST) {
        g_propagate_error(error, g_error_copy(storage->fault));
        return CONF_NOT_STORED;
    }
    g_set_error(error, CONF_ERROR, CONF_ERROR_DEPOSED, "epoch %" G_GINT64_FORMAT " is over", storage->epoch);
    return CONF_STORAGE_DEPOSED;
}

bool
conf_storage_recover(ConfStorage *storage, bool at_once)
{
    int64_t now = conf_clock_monotonic_usec();
    if (!at_once && now - storage->last_attempt < (int64_t)CONF_STORAGE_RETRY_MIN_MS * 1000)
        return false;
    storage->last_attempt = now;
    storage->retry_delay_ms = MIN(storage->retry_delay_ms * 2, storage->reconnect_max_ms);
    g_autoptr(GError) fault = NULL;
    bool usable = storage->provider->is_alive(storage->db) || reopen(storage, &fault);
    if (storage->health == CONF_STORAGE_ENDED)
        return false;
    ConfStoredVerdict verdict = usable ? renew_once(storage, &fault) : CONF_NOT_STORED;
    if (verdict == CONF_STORED) {
        conf_storage_recovered(storage);
        return true;
    }
    if (verdict == CONF_STORAGE_DEPOSED) {
        conf_storage_end(storage, 0);
        return false;
    }
    keep_fault(storage, fault);
    storage->retry_due = conf_clock_monotonic_usec() + storage->retry_delay_ms * 1000;
    return false;
}

void
conf_storage_lose(ConfStorage *storage, const GError *error)
{
    keep_fault(storage, error);
    if (storage->health != CONF_STORAGE_READY)
        return;
    storage->health = CONF_STORAGE_LOST;
    storage->last_attempt = conf_clock_monotonic_usec();
    /* Lost again soon after it was found (a disk that has room for a little): the pauses stay long. */
    bool again = storage->found_at != 0 && storage->last_attempt - storage->found_at < CALM_USEC;
    if (!again)
        storage->retry_delay_ms = CONF_STORAGE_RETRY_MIN_MS;
    storage->retry_due = storage->last_attempt + storage->retry_delay_ms * 1000;
    conf_log(CONF_LOG_DATABASE_LOST, "why", error->message, NULL);
    conf_storage_tell_lost(storage, error);
}

void
conf_storage_recovered(ConfStorage *storage)
{
    if (storage->health != CONF_STORAGE_LOST)
        return;
    storage->health = CONF_STORAGE_READY;
    storage->found_at = conf_clock_monotonic_usec();
    g_clear_error(&storage->fault);
    conf_log(CONF_LOG_DATABASE_FOUND, NULL);
    conf_storage_tell_found(storage);
}

void
conf_storage_end(ConfStorage *storage, int64_t epoch_seen)
{
    ConfStorageLease lease;
    g_autofree char *holder = NULL;
    if (storage->health == CONF_STORAGE_ENDED)
        return;
    if (storage->provider->read_lease(storage->db, &lease, NULL)) {
        holder = conf_storage_describe_holder(&lease);
        epoch_seen = lease.epoch;
    }
    storage->health = CONF_STORAGE_ENDED;
    storage->end_untold = true;
    storage->epoch_seen = epoch_seen;
    /* The lock goes with it: the new holder wants it. */
    storage->provider->close(g_steal_pointer(&storage->db));
    conf_log(CONF_LOG_LEASE_LOST, "epoch", conf_log_integer(storage->epoch), "seen",
             conf_log_integer(epoch_seen), "holder", holder, NULL);
}

ConfStoredVerdict
conf_storage_settle(ConfStorage *storage, const ConfStorageBatch *batch, GError **error)
{
    bool attempted = false;
    int64_t delay_ms = CONF_STORAGE_RETRY_MIN_MS;
    g_autoptr(GError) fault = NULL;
    ConfStoredVerdict verdict = CONF_STORED_UNKNOWN;
    while (!settle_once(storage, batch, &attempted, &verdict, &fault)) {
        conf_storage_lose(storage, fault);
        g_clear_error(&fault);
        if (!conf_storage_pause(storage, delay_ms))
            return CONF_STORED_UNKNOWN;
        delay_ms = MIN(delay_ms * 2, storage->reconnect_max_ms);
    }
    conf_log(CONF_LOG_COMMIT_SETTLED, "stored", verdict == CONF_STORED ? "yes" : "no", "epoch",
             conf_log_integer(storage->epoch), NULL);
    conf_storage_recovered(storage);
    /* Not unknown any more. */
    if (error != NULL && *error != NULL)
        (*error)->code = verdict == CONF_STORAGE_DEPOSED ? CONF_ERROR_DEPOSED : CONF_ERROR_UNAVAILABLE;
    return verdict;
}

void
conf_storage_try_lock(ConfStorage *storage)
{
    g_autoptr(GError) error = NULL;
    storage->lock_held = storage->provider->take_lock(storage->db, storage->epoch, &error) == 1;
    if (storage->lock_held)
        conf_log(CONF_LOG_LEASE_LOCK_LATE, "epoch", conf_log_integer(storage->epoch), NULL);
}

static ConfStoredVerdict
renew_once(ConfStorage *storage, GError **error)
{
    int64_t started = conf_clock_monotonic_usec();
    GError *fault = NULL;
    if (storage->provider->renew_lease(storage->db, storage->epoch, &fault)) {
        conf_storage_note_confirmed(storage, started);
        return CONF_STORED;
    }
    bool deposed = g_error_matches(fault, CONF_ERROR, CONF_ERROR_DEPOSED);
    g_propagate_error(error, fault);
    return deposed ? CONF_STORAGE_DEPOSED : CONF_NOT_STORED;
}

/* LOST, and the old handle is worth nothing.  The epoch stays; if it cannot, the storage is ENDED. */
static bool
reopen(ConfStorage *storage, GError **error)
{
    void *fresh = conf_storage_open_db(storage, false, error);
    if (fresh == NULL)
        return false;
    ConfStorageLease lease;
    if (!storage->provider->read_lease(fresh, &lease, error)) {
        storage->provider->close(fresh);
        return false;
    }
    if (!is_ours(storage, &lease)) {
        swap_db(storage, fresh);
        conf_storage_end(storage, lease.epoch);
        return false;
    }
    storage->provider->take_lock(fresh, storage->epoch + 1, NULL);
    swap_db(storage, fresh);
    storage->lock_held = storage->provider->take_lock(fresh, storage->epoch, NULL) == 1;
    return true;
}

/* The same history where this server left it: nobody has put another file in its place. */
static bool
is_ours(const ConfStorage *storage, const ConfStorageLease *lease)
{
    return lease->epoch == storage->epoch && lease->revision == storage->revision &&
           strcmp(lease->chain, storage->chain) == 0 && strcmp(lease->environment, storage->environment) == 0;
}

static void
swap_db(ConfStorage *storage, void *fresh)
{
    storage->provider->close(storage->db);
    storage->db = fresh;
}

static void
keep_fault(ConfStorage *storage, const GError *error)
{
    if (error == NULL || error == storage->fault)
        return;
    g_clear_error(&storage->fault);
    storage->fault = g_error_copy(error);
}

/* True: settled.  *attempted: this server may have taken the next epoch without being told so. */
static bool
settle_once(ConfStorage *storage, const ConfStorageBatch *batch, bool *attempted, ConfStoredVerdict *verdict,
            GError **error)
{
    void *fresh = conf_storage_open_db(storage, false, error);
    if (fresh == NULL)
        return false;
    bool done = settle_with(storage, fresh, batch, attempted, verdict, error);
    if (!done)
        storage->provider->close(fresh);
    return done;
}

/* Takes `fresh` over where it answers true. */
static bool
settle_with(ConfStorage *storage, void *fresh, const ConfStorageBatch *batch, bool *attempted,
            ConfStoredVerdict *verdict, GError **error)
{
    const ConfStorageProvider *provider = storage->provider;
    ConfStorageLease lease;
    int64_t started = conf_clock_monotonic_usec();
    if (!provider->read_lease(fresh, &lease, error))
        return false;
    int lock = provider->take_lock(fresh, storage->epoch + 1, error);
    if (lock < 0)
        return false;
    bool ours = strcmp(lease.environment, storage->environment) == 0;
    if (ours && lease.epoch == storage->epoch) {
        int64_t epoch;
        *attempted = true;
        if (!provider->take_lease(fresh, storage->epoch, storage->holder, &epoch, error) ||
            !provider->read_lease(fresh, &lease, error))
            return false;
    }
    /* No batch of the old epoch can be stored from here on: the row tells for good. */
    bool mine =
        ours && *attempted && lease.epoch == storage->epoch + 1 && strcmp(lease.holder, storage->holder) == 0;
    bool stored = false;
    if (ours && !judge(storage, fresh, &lease, batch, &stored, error))
        return false;
    swap_db(storage, fresh);
    *verdict = stored ? CONF_STORED : mine ? CONF_NOT_STORED : CONF_STORAGE_DEPOSED;
    if (!mine) {
        conf_storage_end(storage, lease.epoch);
        return true;
    }
    storage->epoch = lease.epoch;
    storage->lock_held = lock == 1;
    conf_storage_note_position(storage, lease.revision, lease.chain);
    conf_storage_note_confirmed(storage, started);
    conf_storage_tell_epoch(storage, storage->epoch);
    return true;
}

static bool
judge(ConfStorage *storage, void *db, const ConfStorageLease *lease, const ConfStorageBatch *batch,
      bool *stored, GError **error)
{
    if (lease->revision <= batch->last_revision) {
        *stored = lease->revision == batch->last_revision && strcmp(lease->chain, batch->last_chain) == 0;
        return true;
    }
    /* Another server has gone on: the record of the batch's last change stands among those before its own. */
    g_autoptr(GError) fault = NULL;
    if (!storage->provider->load_changes(db, batch->last_revision - 1, match_change, (void *)batch, &fault)) {
        *stored = g_error_matches(fault, CONF_ERROR, CONF_ERROR_EXISTS);
        if (*stored || g_error_matches(fault, CONF_ERROR, CONF_ERROR_NOT_FOUND))
            return true;
        g_propagate_error(error, g_steal_pointer(&fault));
        return false;
    }
    *stored = false;
    return true;
}

/* Looks at the first record only; the answer is the code of the error that ends the load. */
static bool
match_change(const ConfStorageChange *change, void *data, GError **error)
{
    const ConfStorageBatch *batch = data;
    bool same = change->revision == batch->last_revision && g_strcmp0(change->chain, batch->last_chain) == 0;
    g_set_error_literal(error, CONF_ERROR, same ? CONF_ERROR_EXISTS : CONF_ERROR_NOT_FOUND,
                        "the first record was looked at");
    return false;
}
