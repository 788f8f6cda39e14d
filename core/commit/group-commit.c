/* group-commit.c - a batch: transactions checked in order, stored in one database transaction, published and
 * answered in order. */
#include "commit/queue-private.h"

#include "base/clock.h"
#include "base/log.h"

/* Bounds of a batch; one transaction alone may be larger. */
enum { BATCH_TRANSACTIONS = 1000, BATCH_OPERATIONS = 10000, BATCH_BYTES = 8 << 20 };
/* A transaction that touches more is the last of its batch: merging its working set would hold the event
 * loop. */
enum { MERGE_MAX = 500 };
/* How long a turn publishes before sockets are served again. */
enum { SLICE_USEC = 2000 };

static bool on_check(void *data);
static bool check_some(ConfBatch *batch);
static bool is_full(const ConfBatch *batch);
static void begin_check(ConfBatch *batch, ConfEntry *entry);
static void work_on(ConfBatch *batch);
static void take_step(ConfBatch *batch, ConfEntry *entry);
static void take_verdict(ConfBatch *batch, ConfEntry *entry);
static void accept(ConfBatch *batch, ConfEntry *entry);
static void end_check(ConfBatch *batch);
static void answer_settled(ConfBatch *batch);
static void end_checking(ConfBatch *batch);
static void store(ConfBatch *batch);
static void on_stored(ConfStoredVerdict verdict, const GError *error, void *data);
static void on_unknown(void *data);
static void on_timeout(void *data);
static void not_stored(ConfBatch *batch, int code, const char *message);
static void begin_publishing(ConfBatch *batch);
static bool on_publish(void *data);
static bool publish_some(ConfBatch *batch);
static void end_batch(ConfBatch *batch);
static void batch_free(ConfBatch *batch);

void
conf_batch_begin(ConfCommitQueue *queue)
{
    const ConfStorePosition *position = conf_store_position(queue->store);
    ConfBatch *batch = g_new0(ConfBatch, 1);
    batch->queue = queue;
    batch->entries = g_ptr_array_new_with_free_func((GDestroyNotify)conf_entry_free);
    batch->base_revision = position->revision;
    g_strlcpy(batch->chain, position->chain, sizeof(batch->chain));
    conf_check_base_init(&batch->base, queue->store, conf_state_new(conf_store_state(queue->store)),
                         position->revision);
    conf_batch_init_storage(batch);
    queue->batch = batch;
    queue->work = conf_work_start(conf_poller_default(), "check of changes", on_check, queue);
}

void
conf_batch_abandon(ConfBatch *batch, int code, const char *message)
{
    ConfCommitQueue *queue = batch->queue;
    if (queue->work != NULL)
        conf_work_cancel(queue->work);
    queue->work = NULL;
    not_stored(batch, code, message);
}

void
conf_batch_detach(ConfBatch *batch)
{
    ConfCommitQueue *queue = batch->queue;
    conf_timer_cancel(&batch->timeout);
    if (batch->phase == CONF_BATCH_PUBLISHING) {
        /* It is stored: the store must not end with a part of it. */
        if (queue->work != NULL)
            conf_work_cancel(queue->work);
        queue->work = NULL;
        while (batch->position < batch->entries->len)
            publish_some(batch);
        batch_free(batch);
        return;
    }
    on_timeout(batch);
    batch->queue = NULL;
}

/* ---- checking ---- */

static bool
on_check(void *data)
{
    ConfCommitQueue *queue = data;
    ConfBatch *batch = queue->batch;
    queue->is_in_work = true;
    bool more = check_some(batch);
    queue->is_in_work = false;
    if (more)
        return true;
    queue->work = NULL;
    end_checking(batch);
    return false;
}

/* False: the batch is complete. */
static bool
check_some(ConfBatch *batch)
{
    ConfCommitQueue *queue = batch->queue;
    do {
        if (queue->is_refusing)
            return false;
        if (batch->stage != CONF_ENTRY_SETTLED) {
            work_on(batch);
            continue;
        }
        ConfEntry *entry = is_full(batch) ? NULL : conf_queue_take(queue);
        if (entry == NULL)
            return false;
        begin_check(batch, entry);
    } while (!conf_work_is_due());
    return true;
}

static bool
is_full(const ConfBatch *batch)
{
    return batch->is_closed || batch->entries->len >= BATCH_TRANSACTIONS ||
           batch->operations >= BATCH_OPERATIONS || batch->bytes >= BATCH_BYTES;
}

static void
begin_check(ConfBatch *batch, ConfEntry *entry)
{
    g_ptr_array_add(batch->entries, entry);
    batch->bytes += entry->memory;
    batch->check = conf_check_new(entry->transaction, &batch->base, batch->queue->settings.max_operations);
    batch->stage = CONF_ENTRY_CHECKING;
}

static void
work_on(ConfBatch *batch)
{
    ConfEntry *entry = g_ptr_array_index(batch->entries, batch->entries->len - 1);
    switch (batch->stage) {
    case CONF_ENTRY_CHECKING:
        take_step(batch, entry);
        break;
    case CONF_ENTRY_RECORDING:
        conf_batch_write_record(batch, entry->commit);
        batch->stage = CONF_ENTRY_CHAINING;
        break;
    case CONF_ENTRY_CHAINING:
        conf_batch_chain_record(batch, entry->commit);
        batch->stage = CONF_ENTRY_ACCEPTING;
        break;
    case CONF_ENTRY_ACCEPTING:
        accept(batch, entry);
        end_check(batch);
        break;
    case CONF_ENTRY_SETTLED:
        break;
    }
}

static void
take_step(ConfBatch *batch, ConfEntry *entry)
{
    ConfCheck *check = batch->check;
    ConfStep step = conf_check_step(check);
    if (step == CONF_STEP_MORE)
        return;
    batch->operations += check->counted;
    if (step == CONF_STEP_FAILED)
        conf_rpc_error_move(&entry->error, &check->error);
    else
        take_verdict(batch, entry);
    if (entry->commit != NULL && !entry->transaction->dry_run)
        batch->stage = CONF_ENTRY_RECORDING;
    else
        end_check(batch);
}

static void
take_verdict(ConfBatch *batch, ConfEntry *entry)
{
    ConfCheck *check = batch->check;
    entry->result_count = conf_check_operation_count(check);
    entry->results = g_steal_pointer(&check->results);
    entry->operations = check->counted;
    entry->commit = g_steal_pointer(&check->commit);
    bool is_single = entry->transaction->form == CONF_TRANSACTION_SINGLE && entry->result_count > 0;
    if (entry->commit != NULL)
        entry->revision = entry->commit->revision;
    else
        entry->revision = is_single ? entry->results[0].revision : batch->base.revision;
}

static void
accept(ConfBatch *batch, ConfEntry *entry)
{
    batch->is_closed = entry->operations > MERGE_MAX;
    conf_check_accept(batch->check, !batch->is_closed);
    entry->is_committed = true;
    batch->commit_count++;
}

static void
end_check(ConfBatch *batch)
{
    g_clear_pointer(&batch->check, conf_check_free);
    batch->stage = CONF_ENTRY_SETTLED;
    if (batch->commit_count == 0)
        answer_settled(batch);
}

/* Nothing uncommitted stands before them. */
static void
answer_settled(ConfBatch *batch)
{
    while (batch->position < batch->entries->len)
        conf_entry_answer(batch->queue, g_ptr_array_index(batch->entries, batch->position++));
}

static void
end_checking(ConfBatch *batch)
{
    ConfCommitQueue *queue = batch->queue;
    if (queue->is_refusing)
        not_stored(batch, queue->refusal_code, queue->refusal);
    else if (batch->commit_count == 0)
        end_batch(batch);
    else
        store(batch);
}

/* ---- storing ---- */

static void
store(ConfBatch *batch)
{
    ConfCommitQueue *queue = batch->queue;
    conf_batch_gather(batch);
    batch->phase = CONF_BATCH_STORING;
    int64_t timeout_ms = CLAMP(queue->settings.response_timeout_ms, 1, G_MAXINT);
    conf_timer_arm(&batch->timeout, (unsigned)timeout_ms, on_timeout, batch);
    conf_storage_commit(queue->storage, &batch->storage, on_stored, on_unknown, batch);
}

static void
on_stored(ConfStoredVerdict verdict, const GError *error, void *data)
{
    ConfBatch *batch = data;
    ConfCommitQueue *queue = batch->queue;
    if (queue == NULL) {
        batch_free(batch);
        return;
    }
    conf_timer_cancel(&batch->timeout);
    queue->is_unknown = false;
    if (verdict == CONF_STORED) {
        begin_publishing(batch);
        return;
    }
    conf_log(CONF_LOG_COMMIT_NOT_STORED, "revision", conf_log_integer(batch->base.revision), "transactions",
             conf_log_integer(batch->commit_count), "reason", error != NULL ? error->message : NULL, NULL);
    if (verdict == CONF_NOT_STORED) {
        not_stored(batch, CONF_RPC_UNAVAILABLE, CONF_NOT_DONE);
        return;
    }
    if (verdict == CONF_STORED_UNKNOWN) {
        /* The storage gave up finding out.  What was stored is not known: nothing can be built on it. */
        not_stored(batch, CONF_RPC_OUTCOME_UNKNOWN, "It is not known whether the change was stored.");
        conf_commit_queue_refuse(queue, CONF_RPC_STOPPING,
                                 "The server does not know where the database stands.");
        return;
    }
    not_stored(batch, CONF_RPC_STOPPING, "This server is not the primary any more; nothing was changed.");
    conf_commit_queue_refuse(queue, CONF_RPC_STOPPING, "This server is not the primary any more.");
}

/* The storage finds out by itself and then calls on_stored; until then nothing new is begun. */
static void
on_unknown(void *data)
{
    ConfBatch *batch = data;
    ConfCommitQueue *queue = batch->queue;
    if (queue == NULL)
        return;
    queue->is_unknown = true;
    conf_queue_refuse_waiting(queue, CONF_RPC_UNAVAILABLE, CONF_NOT_DONE);
}

static void
on_timeout(void *data)
{
    ConfBatch *batch = data;
    for (unsigned i = batch->position; i < batch->entries->len; i++) {
        ConfEntry *entry = g_ptr_array_index(batch->entries, i);
        if (entry->is_committed)
            conf_entry_answer_code(
                batch->queue, entry, CONF_RPC_OUTCOME_UNKNOWN,
                "The database did not answer in time; it is not known whether the change was stored.");
        else
            conf_entry_answer_code(batch->queue, entry, CONF_RPC_UNAVAILABLE, CONF_NOT_DONE);
    }
}

/* Also those that were refused: they were judged by what did not come to be. */
static void
not_stored(ConfBatch *batch, int code, const char *message)
{
    ConfCommitQueue *queue = batch->queue;
    while (batch->position < batch->entries->len)
        conf_entry_answer_code(queue, g_ptr_array_index(batch->entries, batch->position++), code, message);
    end_batch(batch);
}

/* ---- publishing ---- */

static void
begin_publishing(ConfBatch *batch)
{
    ConfCommitQueue *queue = batch->queue;
    batch->phase = CONF_BATCH_PUBLISHING;
    queue->statistics.batches++;
    for (unsigned i = 0; i < batch->dbid_types->len; i++)
        conf_store_set_next_dbid(queue->store, g_array_index(batch->dbid_types, uint16_t, i),
                                 g_array_index(batch->dbid_next, int64_t, i));
    /* The first ones at once: a lone change does not wait for another turn. */
    if (publish_some(batch))
        queue->work = conf_work_start(conf_poller_default(), "publication of changes", on_publish, queue);
    else
        end_batch(batch);
}

static bool
on_publish(void *data)
{
    ConfCommitQueue *queue = data;
    if (publish_some(queue->batch))
        return true;
    queue->work = NULL;
    end_batch(queue->batch);
    return false;
}

/* True: there is more. */
static bool
publish_some(ConfBatch *batch)
{
    ConfCommitQueue *queue = batch->queue;
    int64_t end = conf_clock_monotonic_usec() + SLICE_USEC;
    while (batch->position < batch->entries->len) {
        ConfEntry *entry = g_ptr_array_index(batch->entries, batch->position++);
        if (entry->is_committed) {
            queue->statistics.commits++;
            queue->statistics.operations += (uint64_t)entry->operations;
            entry->commit->record = conf_batch_find_record(batch, entry->commit);
            conf_publisher_publish(queue->publisher, entry->commit);
            entry->commit->record = (ConfSlice){0};
        }
        conf_entry_answer(queue, entry);
        if (conf_clock_monotonic_usec() >= end)
            break;
    }
    return batch->position < batch->entries->len;
}

static void
end_batch(ConfBatch *batch)
{
    ConfCommitQueue *queue = batch->queue;
    queue->batch = NULL;
    batch_free(batch);
    conf_queue_go_on(queue);
}

static void
batch_free(ConfBatch *batch)
{
    conf_timer_cancel(&batch->timeout);
    conf_check_free(batch->check);
    conf_check_base_clear(&batch->base);
    conf_batch_clear_storage(batch);
    g_ptr_array_unref(batch->entries);
    g_free(batch);
}
