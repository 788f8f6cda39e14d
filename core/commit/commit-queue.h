/* commit-queue.h - the one way to change anything (architecture.md 5): transactions queue, are checked in
 * order in slices against store plus batch, committed as a group by the storage thread, applied, published
 * and answered in order.
 *
 * The sink of a primary; a proxy has a sink of its own (conf_write_sink).  Main loop only. */
#pragma once

#include "access/login.h"
#include "rpc/rpc-error.h"
#include "store/store.h"
#include "storage/storage.h"

/* A transaction to be: operations as the client gave them. */
typedef struct ConfTransaction ConfTransaction;

typedef enum {
    CONF_TRANSACTION_LIST,   /* `transaction`: errors carry data.operation, paths begin /operations/N */
    CONF_TRANSACTION_SINGLE, /* one operation as a method of its own: paths as in that method */
} ConfTransactionForm;

/* The result of one operation. */
typedef struct {
    ConfKey key;
    /* Of the object (or of its list of rights) after the transaction; of a delete: the transaction's. */
    int64_t revision;
} ConfOperationResult;

/* On the main loop, once.  error (borrowed) NULL: done.  `revision`: of the commit; where nothing changed,
 * the present revision of the object (single) or of the store (list).  `commit`: NULL where nothing changed.
 * `results`: one an operation.  For dryRun: `commit` is what would be published (revision = next); nothing
 * was committed. */
typedef void (*ConfTransactionFunc)(const ConfRpcError *error, int64_t revision, const ConfCommit *commit,
                                    const ConfOperationResult *results, unsigned result_count, void *data);

/* `operations`: raw JSON array text, copied.  Each element has "op" and the members of the method of that
 * name (create: object; update: type, dbid or name/path forms, ifRevision, patch, add, remove; delete;
 * permission: of permission.update). For SINGLE the array holds one element and paths are told without
 * /operations/0. */
ConfTransaction *conf_transaction_new(ConfTransactionForm form, ConfSlice operations, bool dry_run);
/* Who: rights are judged by `subject`, whose tenant is the default one of creates; `user` and `application`
 * stand in `by`. */
void conf_transaction_set_author(ConfTransaction *transaction, ConfKey subject, ConfKey user,
                                 ConfKey application, const char *address);
/* Further access groups that count for this author (a directory named them for the session). Copied. */
void conf_transaction_set_groups(ConfTransaction *transaction, const ConfKey *groups, unsigned count);
/* A change the server makes itself for a method (setPassword, changePassword): sets secret and visible
 * members of one object, checked by `right` on it (0: none).  Used instead of operations. `patch` and
 * `secrets`: JSON objects, copied. */
ConfTransaction *conf_transaction_new_amend(ConfKey key, uint8_t right, ConfSlice patch, ConfSlice secrets);
/* Of an amendment: -32009 where this secret of the object is another one when it is committed.  `member` is a
 * constant; `value` is copied, wiped; NULL: there is none. */
void conf_transaction_expect_secret(ConfTransaction *transaction, const char *member, const char *value);
/* What is hidden from the author besides rights (plugins' hook `visible`): func answers false for it, and it
 * is then as if no right on it were there.  `data` is freed with the transaction. */
void conf_transaction_set_visible(ConfTransaction *transaction,
                                  bool (*func)(const ConfObject *object, void *data), void *data,
                                  void (*free_data)(void *data));
/* An object to be created may carry the dbid that one of its type had before it was deleted: history.revert.
 */
void conf_transaction_allow_dbids(ConfTransaction *transaction);
/* The server itself writes, without a client (-import): rights are not asked.  Neither author nor this:
 * nothing is found. */
void conf_transaction_set_trusted(ConfTransaction *transaction);
void conf_transaction_free(ConfTransaction *transaction);

typedef struct ConfCommitQueue ConfCommitQueue;
typedef struct {
    int64_t max_operations;      /* max-transaction-operations */
    int64_t response_timeout_ms; /* -32017 after it */
    int64_t queue_limit;         /* bytes of waiting transactions; more: -32013 with retryAfter */
} ConfCommitSettings;

ConfCommitQueue *conf_commit_queue_new(ConfStore *store, ConfAccess *access, ConfStorage *storage,
                                       const ConfCommitSettings *settings);
/* Answers all that is not answered: not from within an answer.  Best after conf_commit_queue_drain(); what
 * the storage has under way is let go of when the storage tells. */
void conf_commit_queue_free(ConfCommitQueue *queue);
void conf_commit_queue_set_settings(ConfCommitQueue *queue, const ConfCommitSettings *settings);
/* Takes the transaction; func is called later (never before this returns).  Transactions are taken in the
 * order of these calls: writes of one connection commit in the order sent, and are answered in it unless
 * refused without being begun. */
void conf_commit_submit(ConfCommitQueue *queue, ConfTransaction *transaction, ConfTransactionFunc func,
                        void *data);
/* No new ones (-32014); func when the last is answered.  Graceful stop, and the end of being primary. */
void conf_commit_queue_drain(ConfCommitQueue *queue, void (*func)(void *data), void *data);
/* Everything that waits is answered with `code` now: deposed. */
void conf_commit_queue_refuse(ConfCommitQueue *queue, int code, const char *message);

typedef struct {
    uint64_t commits, batches, refused, waiting, operations;
} ConfCommitStatistics;
const ConfCommitStatistics *conf_commit_statistics(const ConfCommitQueue *queue);

/* ---- publication: the same on every role (commit/publish.c) ----
 * Applies the commit to the store and tells listeners: `about` before it is applied (rights of before can be
 * asked), `done` after.  Listeners in the order of their addition: fan-out to sessions, replicas, plugins. */
typedef struct {
    void (*about)(ConfCommit *commit, void *data); /* may be NULL */
    void (*done)(ConfCommit *commit, void *data);
} ConfPublishFuncs;
typedef struct ConfPublisher ConfPublisher;
ConfPublisher *conf_publisher_new(ConfStore *store);
void conf_publisher_free(ConfPublisher *publisher);
void conf_publisher_add(ConfPublisher *publisher, const ConfPublishFuncs *funcs, void *data);
void conf_publisher_publish(ConfPublisher *publisher, ConfCommit *commit);
void conf_commit_queue_set_publisher(ConfCommitQueue *queue, ConfPublisher *publisher);

/* ---- where methods send writes: a role installs its sink ---- */
typedef struct {
    /* Takes the transaction. */
    void (*submit)(void *self, ConfTransaction *transaction, ConfTransactionFunc func, void *data);
    /* False, and *error: no write is taken here, so none need be prepared.  NULL: they are. */
    bool (*admits)(void *self, ConfRpcError *error);
    void *self;
} ConfWriteSink;
ConfWriteSink conf_commit_queue_sink(ConfCommitQueue *queue);

/* The first content of a new database (model.md 4): -init.  Returns the objects (ConfObject *, references) in
 * an array in (type, dbid) order and fills `next_dbids`: GUINT_TO_POINTER(type id) → GSIZE_TO_POINTER(next
 * dbid). */
typedef struct {
    const char *admin_name; /* NULL: "default" */
    const char *admin_password_hash;
    const char *server_name; /* the application object "confserv" */
    int64_t port;
} ConfInitialSettings;
GPtrArray *conf_initial_content(const ConfSchema *schema, const ConfInitialSettings *settings,
                                GHashTable *next_dbids, GError **error);
