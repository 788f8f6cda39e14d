/* storage.h - the database as the server sees it: a thread that runs the blocking functions of a storage
 * provider (confserv-plugin.h: ConfStorageProvider; plugin db-sqlite), and what start-up needs of it.
 *
 * Commits are answered done, not done or unknown (architecture.md 5).  One commit at a time; the caller
 * keeps its own queue. */
#pragma once

#include <glib.h>

#include "base/option.h"
#include "model/object.h"
#include "plugin/confserv-plugin.h"

typedef struct ConfStorage ConfStorage;

typedef struct {
    char environment[37]; /* UUID */
    int64_t epoch;        /* this server's own, once the lease is taken */
    int64_t revision;
    char chain[17];
    int64_t created_ms;
} ConfStorageState;

/* Declares the options of the database section (dbengine, dbname, reconnect-timeout, response-timeout);
 * open does it too. */
void conf_storage_register_options(const char *section);
/* Whether conf_storage_open() would take that section's values; opens nothing. */
bool conf_storage_check_options(const ConfSettings *settings, const char *section, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
/* `settings`: of section [server=] (dbserver...); copied. `create`: -init. Blocks: at start only. */
ConfStorage *conf_storage_open(const ConfStorageProvider *provider, const ConfSettings *settings,
                               const char *section, bool create, GError **error);
/* Waits for the writer thread (at most the response timeout), gives the lease back.  A commit under way is
 * finished first, but no func is called any more: who wants its answer drains before.  NULL is allowed. */
void conf_storage_close(ConfStorage *storage);

/* Option response-timeout: how long an answer of the database is waited for. */
int64_t conf_storage_get_response_timeout_ms(const ConfStorage *storage);

/* ---- at start, blocking ---- */
bool conf_storage_migrate(ConfStorage *storage, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Takes the lease: at once if free; waits until the holder's beat stood still for lease_time_ms;
 * CONF_ERROR_HELD with the holder's description if it beats.  `holder`: this server ("confserv@host:2120
 * pid 77"). */
bool conf_storage_take_lease(ConfStorage *storage, unsigned lease_time_ms, const char *holder, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
bool conf_storage_load_state(ConfStorage *storage, ConfStorageState *state, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
/* Every object in (type, dbid) order; `func` may fail. */
bool conf_storage_load_objects(ConfStorage *storage, ConfStorageObjectFunc func, void *data, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
bool conf_storage_load_next_dbids(ConfStorage *storage, ConfStorageDbidFunc func, void *data, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
/* Change records with revision > after, ascending. */
bool conf_storage_load_changes(ConfStorage *storage, int64_t after, ConfStorageChangeFunc func, void *data,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* -accept-rollback, after take_lease: a new environment UUID. */
bool conf_storage_set_environment(ConfStorage *storage, const char *environment, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
/* A new database: its first content in one transaction (-init, -import). */
bool conf_storage_write_initial(ConfStorage *storage, const ConfStorageBatch *batch,
                                const ConfStorageState *state, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* ---- at run time, by the writer thread ---- */
typedef enum { CONF_STORED, CONF_NOT_STORED, CONF_STORED_UNKNOWN, CONF_STORAGE_DEPOSED } ConfStoredVerdict;
/* On the main loop.  `error`: why not (borrowed), NULL if stored. */
typedef void (*ConfStoredFunc)(ConfStoredVerdict verdict, const GError *error, void *data);
/* The batch and all it points at stays the caller's and unchanged until func is called.  Unknown: the
 * storage finds out by itself (reconnect, next epoch, revision of the lease row), then calls func with one
 * of the other verdicts; meanwhile `unknown` (may be NULL) is called once.  At most one commit under way. */
void conf_storage_commit(ConfStorage *storage, const ConfStorageBatch *batch, ConfStoredFunc func,
                         void (*unknown)(void *data), void *data);
/* Renews the lease row (beat) when no commit did within lease-time / 3; by itself, from now on.  deposed()
 * is called on the main loop when this server finds that it is no longer the holder; lost/found when the
 * database goes and comes. */
typedef struct {
    void (*deposed)(int64_t epoch_seen, void *data);
    void (*lost)(const GError *error, void *data);
    void (*found)(void *data);
} ConfStorageFuncs;
void conf_storage_start(ConfStorage *storage, const ConfStorageFuncs *funcs, void *data);
/* Monotonic usec of the last time the database confirmed this server's epoch: maxAge, the gap rule. */
int64_t conf_storage_get_confirmed_at(const ConfStorage *storage);
/* Renews now, func on the main loop with CONF_STORED or CONF_STORAGE_DEPOSED or CONF_NOT_STORED (database
 * away). */
void conf_storage_confirm(ConfStorage *storage, ConfStoredFunc func, void *data);
bool conf_storage_is_available(const ConfStorage *storage);
int64_t conf_storage_get_epoch(const ConfStorage *storage);
/* Removes change records that are older than `older_than_ms` (an age, by the wall clock) or that the newer
 * ones leave no room for in `max_bytes`, and whose revision is below `keep_from`; in slices between
 * commits.  A request made while one is under way takes its place. */
void conf_storage_prune(ConfStorage *storage, int64_t older_than_ms, int64_t max_bytes, int64_t keep_from);
/* A page of change records with revision > after, ascending and without gaps among them: about `bytes`,
 * and at least one where there are any.  `next`: only if after + 1 is held, else none.  `changes` are lent
 * during the call, NULL with an error where the database cannot be read now.  On the main loop, once; not
 * at all after conf_storage_close().  Read between commits, in the order asked. */
typedef void (*ConfStorageReadFunc)(const ConfStorageChange *changes, unsigned count, const GError *error,
                                    void *data);
void conf_storage_read_changes(ConfStorage *storage, int64_t after, bool next, size_t bytes,
                               ConfStorageReadFunc func, void *data);
