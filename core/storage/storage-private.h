/* storage-private.h - what the files of core/storage share.
 *
 * One struct, three owners.  Until the writer thread is started everything belongs to the thread that
 * opened the storage.  Then `requests` is shared under `lock`, the members marked "main" belong to the
 * main loop, and everything else to the writer, which comes back by messages (message.c).  The last of
 * main loop, writer and messages frees the struct. */
#pragma once

#include "storage/storage.h"

typedef enum {
    CONF_STORAGE_READY,
    CONF_STORAGE_LOST,  /* an attempt failed; tried again with back-off */
    CONF_STORAGE_ENDED, /* deposed: `db` is closed, nothing is tried again */
} ConfStorageHealth;

typedef struct {
    ConfStoredFunc func;
    void *data;
} ConfStorageConfirm;

typedef struct {
    const ConfStorageBatch *batch; /* NULL: none waits */
    ConfStoredFunc func;
    void (*unknown)(void *data);
    void *data;
} ConfStorageCommit;

typedef struct {
    bool wanted;
    int64_t older_than_ms, max_bytes, keep_from;
} ConfStoragePrune;

typedef struct {
    int64_t after;
    bool next; /* nothing behind a gap */
    size_t bytes;
    ConfStorageReadFunc func;
    void *data;
    GArray *changes; /* ConfStorageChange; their texts are owned */
} ConfStorageRead;

struct ConfStorage {
    int refs; /* atomic */
    const ConfStorageProvider *provider;
    ConfSettings *settings;
    char *section;
    int64_t reconnect_max_ms;
    int64_t response_timeout_ms;

    /* shared, under lock */
    GMutex lock;
    GCond wake;
    ConfStorageCommit commit;
    GArray *confirms; /* ConfStorageConfirm */
    ConfStoragePrune prune;
    GQueue reads; /* of ConfStorageRead, owned */
    bool stop;
    bool ended; /* the writer has left */

    /* writer */
    void *db;
    ConfStorageHealth health;
    int64_t epoch; /* 0: no lease taken */
    unsigned lease_time_ms;
    char *holder;   /* as in the lease row: with a mark that no other start has */
    bool lock_held; /* false: a frozen holder has it still */
    char environment[37];
    int64_t revision; /* of the last commit known to be stored; -1: not read yet */
    char chain[17];
    int64_t renew_due; /* monotonic usec */
    int64_t lock_due;
    int64_t retry_due; /* LOST: next attempt */
    int64_t retry_delay_ms;
    int64_t last_attempt; /* LOST */
    int64_t found_at;
    GError *fault;   /* LOST: why */
    bool end_untold; /* ENDED: deposed() is told after the verdict of the commit that found out */
    int64_t epoch_seen;
    int64_t fault_until;  /* fault points: the database stays away */
    int64_t confirmed_at; /* atomic */

    /* main */
    GThread *thread;
    const ConfStorageFuncs *funcs;
    ConfStorageFuncs funcs_storage;
    void *funcs_data;
    bool available;
    int64_t told_epoch;
    bool commit_under_way;
    bool closed;
};

/* storage.c */
ConfStorage *conf_storage_ref(ConfStorage *storage);
void conf_storage_unref(ConfStorage *storage);
void *conf_storage_open_db(ConfStorage *storage, bool create, GError **error);
/* The holder of a lease row as shown to people: without the mark. */
char *conf_storage_describe_holder(const ConfStorageLease *lease);

/* writer.c */
/* Waits `ms`, or less when the storage is to stop: false then.  Writer thread. */
bool conf_storage_pause(ConfStorage *storage, int64_t ms);
void conf_storage_note_confirmed(ConfStorage *storage, int64_t at);
void conf_storage_note_position(ConfStorage *storage, int64_t revision, const char *chain);

/* recovery.c: all on the writer thread */
/* One attempt, with retries while another program has the database locked.  Tells lost, found, deposed. */
ConfStoredVerdict conf_storage_renew(ConfStorage *storage, GError **error);
/* LOST: one attempt to come back.  True: it is READY. */
bool conf_storage_recover(ConfStorage *storage, bool at_once);
void conf_storage_lose(ConfStorage *storage, const GError *error);
/* A commit or renewal went through. */
void conf_storage_recovered(ConfStorage *storage);
/* Another server holds the database, or it is another database.  Closes it; the run loop tells deposed(). */
void conf_storage_end(ConfStorage *storage, int64_t epoch_seen);
/* After CONF_ERROR_UNKNOWN: reopens, takes the next epoch, compares.  CONF_STORED_UNKNOWN only when told
 * to stop. */
ConfStoredVerdict conf_storage_settle(ConfStorage *storage, const ConfStorageBatch *batch, GError **error);
/* Takes the lock that a frozen holder had, if it is free by now. */
void conf_storage_try_lock(ConfStorage *storage);
/* How long the writer tries again while another program has the database locked. */
enum { CONF_STORAGE_BUSY_MS = 5000, CONF_STORAGE_RETRY_MIN_MS = 100 };

/* read.c */
/* Writer thread: one page; takes `read`. */
void conf_storage_do_read(ConfStorage *storage, ConfStorageRead *read);
/* Main loop. */
void conf_storage_hand_over_read(const ConfStorageRead *read, const GError *error);
void conf_storage_read_free(ConfStorageRead *read);

/* message.c: any thread; what they tell arrives on the main loop in this order */
void conf_storage_tell_verdict(ConfStorage *storage, ConfStoredFunc func, void *data,
                               ConfStoredVerdict verdict, const GError *error, bool is_commit);
void conf_storage_tell_unknown(ConfStorage *storage, void (*unknown)(void *data), void *data);
void conf_storage_tell_epoch(ConfStorage *storage, int64_t epoch);
void conf_storage_tell_lost(ConfStorage *storage, const GError *error);
void conf_storage_tell_found(ConfStorage *storage);
void conf_storage_tell_deposed(ConfStorage *storage, int64_t epoch_seen);
/* Takes `read`; `error` NULL: its changes are there. */
void conf_storage_tell_read(ConfStorage *storage, ConfStorageRead *read, const GError *error);

/* fault-point.c: places where a test build fails as told by CONFSERV_FAULT_POINT; elsewhere they cost
 * nothing. */
#ifdef CONF_FAULT_POINTS
/* True in the pass that the environment names; *away_ms: how long the database shall stay away then. */
bool conf_storage_fault_point(const char *name, int64_t *away_ms);
#else
static inline bool
conf_storage_fault_point(const char *name, int64_t *away_ms)
{
    return false;
}
#endif
