/* lease.c - taking the lease at start.
 *
 * The holder of epoch E keeps the lock named E.  A candidate that gets that lock knows that the holder is
 * gone; it takes the lock named E + 1 before the epoch itself, so that another candidate never finds the
 * new holder without one.  Where the lock is held, only a lease row that stands still for the whole lease
 * time, by the candidate's own clock, says that the holder is frozen.  Locks and beats only decide when to
 * try: what fences is the update of the row, done by the database. */
#include "storage/storage-private.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"

/* Between looks at the lease row. */
static const int64_t POLL_MS = 200;

/* What was seen of the lease row, and since when it has not changed. */
typedef struct {
    ConfStorageLease lease;
    int64_t since;     /* after that look */
    int64_t looked_at; /* before the last look */
    int64_t give_up_at;
    int64_t busy_until; /* 0: the database was not locked */
    bool logged;
} Watch;

typedef enum { STEP_TAKEN, STEP_WAIT, STEP_FAILED } Step;

static Step step(ConfStorage *storage, Watch *watch, GError **error);
static Step take(ConfStorage *storage, Watch *watch, GError **error);
static bool stands_still(const ConfStorage *storage, const Watch *watch, int64_t lease_times);
static Step judge_failure(ConfStorage *storage, Watch *watch, GError **error);
static Step reopen(ConfStorage *storage, Watch *watch, GError **error);
static bool look(ConfStorage *storage, Watch *watch, bool *moved, GError **error);
static Step refuse_held(const Watch *watch, GError **error);

bool
conf_storage_take_lease(ConfStorage *storage, unsigned lease_time_ms, const char *holder, GError **error)
{
    g_assert(storage->thread == NULL && storage->epoch == 0);
    uint8_t mark[4];
    char mark_text[2 * sizeof(mark) + 1];
    conf_id_random(mark, sizeof(mark));
    conf_id_hex(mark, sizeof(mark), mark_text);
    g_free(storage->holder);
    storage->holder = g_strdup_printf("%.200s #%s", holder, mark_text);
    storage->lease_time_ms = MAX(lease_time_ms, 1);

    Watch watch = {
        .lease.epoch = -1,
        .give_up_at = conf_clock_monotonic_usec() + (4 * (int64_t)storage->lease_time_ms + 10000) * 1000,
    };
    Step result;
    GError *fault = NULL;
    while ((result = step(storage, &watch, &fault)) == STEP_WAIT)
        g_usleep((unsigned long)MIN(POLL_MS, MAX(storage->lease_time_ms / 4, 1)) * 1000);
    if (result == STEP_FAILED)
        g_propagate_error(error, fault);
    return result == STEP_TAKEN;
}

char *
conf_storage_describe_holder(const ConfStorageLease *lease)
{
    const char *mark = g_strrstr(lease->holder, " #");
    if (mark == NULL)
        return g_strdup(*lease->holder != '\0' ? lease->holder : "nobody");
    return g_strndup(lease->holder, (size_t)(mark - lease->holder));
}

static Step
step(ConfStorage *storage, Watch *watch, GError **error)
{
    bool moved;
    if (!look(storage, watch, &moved, error))
        return judge_failure(storage, watch, error);
    int lock = storage->provider->take_lock(storage->db, watch->lease.epoch, error);
    if (lock < 0)
        return STEP_FAILED;
    if (lock == 0 && (moved || watch->looked_at > watch->give_up_at))
        return refuse_held(watch, error);
    if (lock == 1 || stands_still(storage, watch, 1))
        return take(storage, watch, error);

    if (!watch->logged) {
        g_autofree char *holder = conf_storage_describe_holder(&watch->lease);
        conf_log(CONF_LOG_LEASE_WAITING, "holder", holder, "epoch", conf_log_integer(watch->lease.epoch),
                 NULL);
        watch->logged = true;
    }
    return STEP_WAIT;
}

static Step
take(ConfStorage *storage, Watch *watch, GError **error)
{
    int lock = storage->provider->take_lock(storage->db, watch->lease.epoch + 1, error);
    if (lock < 0)
        return STEP_FAILED;
    /* Another candidate is about to take the epoch.  It has a lease time of its own for that, for all we
     * know it froze then. */
    if (lock == 0 && !stands_still(storage, watch, 2))
        return watch->looked_at > watch->give_up_at ? refuse_held(watch, error) : STEP_WAIT;

    int64_t epoch, started = conf_clock_monotonic_usec();
    ConfStorageLease lease;
    if (!storage->provider->take_lease(storage->db, watch->lease.epoch, storage->holder, &epoch, error) ||
        !storage->provider->read_lease(storage->db, &lease, error))
        return judge_failure(storage, watch, error);
    storage->epoch = epoch;
    storage->told_epoch = epoch;
    storage->lock_held = lock == 1;
    g_strlcpy(storage->environment, lease.environment, sizeof(storage->environment));
    conf_storage_note_position(storage, lease.revision, lease.chain);
    conf_storage_note_confirmed(storage, started);
    conf_log(CONF_LOG_LEASE_TAKEN, "epoch", conf_log_integer(epoch), "revision",
             conf_log_integer(lease.revision), NULL);
    return STEP_TAKEN;
}

/* By the time before the look: a pause of this process after it proves nothing about the holder. */
static bool
stands_still(const ConfStorage *storage, const Watch *watch, int64_t lease_times)
{
    return watch->looked_at - watch->since >= lease_times * storage->lease_time_ms * 1000;
}

/* Somebody else was faster, or another program has the database locked: neither is the end yet. */
static Step
judge_failure(ConfStorage *storage, Watch *watch, GError **error)
{
    if (g_error_matches(*error, CONF_ERROR, CONF_ERROR_HELD)) {
        g_clear_error(error);
        return STEP_WAIT;
    }
    int64_t now = conf_clock_monotonic_usec();
    if (!g_error_matches(*error, CONF_ERROR, CONF_ERROR_UNAVAILABLE) || now > watch->give_up_at)
        return STEP_FAILED;
    if (!storage->provider->is_alive(storage->db))
        return reopen(storage, watch, error);
    if (watch->busy_until == 0)
        watch->busy_until = now + (int64_t)CONF_STORAGE_BUSY_MS * 1000;
    if (now >= watch->busy_until)
        return STEP_FAILED;
    g_clear_error(error);
    return STEP_WAIT;
}

/* Another candidate has put the database in order and in a new file meanwhile. */
static Step
reopen(ConfStorage *storage, Watch *watch, GError **error)
{
    g_clear_error(error);
    void *fresh = conf_storage_open_db(storage, false, error);
    if (fresh == NULL)
        return STEP_FAILED;
    storage->provider->close(storage->db);
    storage->db = fresh;
    watch->lease.epoch = -1;
    return STEP_WAIT;
}

/* Reads the lease row; *moved: the holder has written since the first look. */
static bool
look(ConfStorage *storage, Watch *watch, bool *moved, GError **error)
{
    ConfStorageLease lease;
    watch->looked_at = conf_clock_monotonic_usec();
    if (!storage->provider->read_lease(storage->db, &lease, error))
        return false;
    *moved = watch->lease.epoch == lease.epoch && watch->lease.beat != lease.beat;
    if (watch->lease.epoch != lease.epoch || *moved) {
        watch->lease = lease;
        watch->since = conf_clock_monotonic_usec();
    }
    return true;
}

static Step
refuse_held(const Watch *watch, GError **error)
{
    g_autofree char *holder = conf_storage_describe_holder(&watch->lease);
    g_set_error(error, CONF_ERROR, CONF_ERROR_HELD, "the database is held by %s (epoch %" G_GINT64_FORMAT ")",
                holder, watch->lease.epoch);
    return STEP_FAILED;
}
