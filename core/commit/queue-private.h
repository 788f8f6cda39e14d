/* queue-private.h - the queue of transactions and the batch under way.
 *
 * A batch is checked (in slices), stored (by the storage thread), published (in slices), and only then the
 * next one is begun, so that what a check stands on does not change under it.  An entry that passed stands in
 * the batch until its commit is published.  One that failed is answered at once if nothing uncommitted came
 * before it in the batch; else in its place in the order, since what it was judged by may not come to be. */
#pragma once

#include "base/timer-wheel.h"
#include "commit/check-private.h"
#include "net/poller.h"

typedef struct ConfBatch ConfBatch;

typedef struct {
    ConfTransaction *transaction;
    ConfTransactionFunc func;
    void *data;
    int64_t submitted_at; /* monotonic usec */
    size_t memory;
    bool is_answered;
    /* After the check. */
    ConfRpcError error; /* code 0: it passed, or changes nothing */
    int64_t revision;
    ConfCommit *commit; /* NULL: refused, or nothing changes */
    bool is_committed;  /* the commit is part of the batch (not of a dryRun) */
    ConfOperationResult *results;
    unsigned result_count;
    int64_t operations;
} ConfEntry;

typedef enum {
    CONF_BATCH_CHECKING,
    CONF_BATCH_STORING,
    CONF_BATCH_PUBLISHING,
} ConfBatchPhase;

/* Of the last entry of a batch that is being checked: pieces of work with other work between them. */
typedef enum {
    CONF_ENTRY_SETTLED, /* the next one may be taken */
    CONF_ENTRY_CHECKING,
    CONF_ENTRY_RECORDING,
    CONF_ENTRY_CHAINING,
    CONF_ENTRY_ACCEPTING,
} ConfEntryStage;

struct ConfBatch {
    ConfCommitQueue *queue; /* NULL: the queue is gone, the storage is not done yet */
    ConfBatchPhase phase;
    GPtrArray *entries; /* ConfEntry *, in order */
    unsigned position;  /* the next one to be published or answered */
    ConfCheckBase base;
    ConfEntryStage stage;
    ConfCheck *check; /* of the last entry, under way */
    bool is_closed;   /* a large transaction ends its batch, so that its working set need not be merged */
    int64_t base_revision;
    char chain[17];
    unsigned commit_count;
    int64_t operations;
    size_t bytes;
    ConfTimer timeout;
    /* What the storage is given, and what it points at. */
    ConfStorageBatch storage;
    GArray *puts, *removes, *changes, *dbid_types, *dbid_next;
    GArray *records;    /* ConfBuffer, one a commit */
    GPtrArray *texts;   /* ConfBytes *: lists of rights */
    GPtrArray *objects; /* ConfObject * that the puts and removes point into */
};

struct ConfCommitQueue {
    ConfStore *store;
    ConfAccess *access;
    ConfStorage *storage;
    ConfCommitSettings settings;
    ConfPublisher *publisher, *own_publisher;
    GQueue waiting; /* ConfEntry * */
    size_t waiting_bytes;
    GQueue refused; /* ConfEntry *, to be answered at the end of the turn */
    ConfTimer waiting_timeout;
    ConfBatch *batch;
    ConfSlicedWork *work;
    bool is_in_work;  /* within a slice, or answering: no work may be cancelled now */
    bool is_unknown;  /* the storage is finding out: nothing is taken meanwhile */
    int refusal_code; /* 0: new transactions are taken */
    bool is_refusing; /* what waits is refused as well, as opposed to draining */
    char *refusal;
    void (*drained)(void *data);
    void *drained_data;
    ConfCommitStatistics statistics;
};

/* queue.c */
ConfEntry *conf_queue_take(ConfCommitQueue *queue); /* the next that waits; NULL: none */
void conf_queue_go_on(
    ConfCommitQueue *queue); /* begins a batch if something waits, or tells that all is done */
void conf_queue_refuse_waiting(ConfCommitQueue *queue, int code, const char *message);
void conf_entry_answer(ConfCommitQueue *queue, ConfEntry *entry);
void conf_entry_answer_code(ConfCommitQueue *queue, ConfEntry *entry, int code, const char *message);
void conf_entry_free(ConfEntry *entry);
#define CONF_NOT_DONE "The database cannot take changes now; nothing was changed."

/* group-commit.c */
void conf_batch_begin(ConfCommitQueue *queue);
/* Not while a commit is under way in the storage: then it is left to the verdict.  Answers what it holds. */
void conf_batch_abandon(ConfBatch *batch, int code, const char *message);
void conf_batch_detach(ConfBatch *batch);

/* batch-storage.c */
void conf_batch_write_record(ConfBatch *batch, const ConfCommit *commit);
/* The record written last gets its chain; so does the commit. */
void conf_batch_chain_record(ConfBatch *batch, ConfCommit *commit);
/* The record of a commit of the batch, lent as long as this; size 0: it has none. */
ConfSlice conf_batch_find_record(const ConfBatch *batch, const ConfCommit *commit);
/* Fills batch->storage. */
void conf_batch_gather(ConfBatch *batch);
void conf_batch_init_storage(ConfBatch *batch);
void conf_batch_clear_storage(ConfBatch *batch);
