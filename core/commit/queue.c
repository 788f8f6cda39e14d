/* queue.c - transactions that wait: bounded by bytes, each for a bounded time, answered exactly once. */
#include "commit/queue-private.h"

#include "base/clock.h"

static void take_in(ConfCommitQueue *queue, ConfEntry *entry);
static void refuse_later(ConfCommitQueue *queue, ConfEntry *entry, int code, const char *message);
static void answer_refused(void *data);
static void arm_waiting_timeout(ConfCommitQueue *queue);
static void on_waiting_timeout(void *data);
static void tell_drained(void *data);
static void submit_to_sink(void *self, ConfTransaction *transaction, ConfTransactionFunc func, void *data);

ConfCommitQueue *
conf_commit_queue_new(ConfStore *store, ConfAccess *access, ConfStorage *storage,
                      const ConfCommitSettings *settings)
{
    ConfCommitQueue *queue = g_new0(ConfCommitQueue, 1);
    queue->store = store;
    queue->access = access;
    queue->storage = storage;
    queue->settings = *settings;
    g_queue_init(&queue->waiting);
    g_queue_init(&queue->refused);
    queue->own_publisher = conf_publisher_new(store);
    queue->publisher = queue->own_publisher;
    return queue;
}

void
conf_commit_queue_free(ConfCommitQueue *queue)
{
    if (queue == NULL)
        return;
    queue->drained = NULL;
    conf_commit_queue_refuse(queue, CONF_RPC_STOPPING, "The server is stopping.");
    conf_poller_forget(conf_poller_default(), queue);
    conf_timer_cancel(&queue->waiting_timeout);
    if (queue->batch != NULL)
        conf_batch_detach(queue->batch);
    conf_publisher_free(queue->own_publisher);
    g_free(queue->refusal);
    g_free(queue);
}

void
conf_commit_queue_set_settings(ConfCommitQueue *queue, const ConfCommitSettings *settings)
{
    queue->settings = *settings;
    arm_waiting_timeout(queue);
}

void
conf_commit_queue_set_publisher(ConfCommitQueue *queue, ConfPublisher *publisher)
{
    queue->publisher = publisher != NULL ? publisher : queue->own_publisher;
}

void
conf_commit_submit(ConfCommitQueue *queue, ConfTransaction *transaction, ConfTransactionFunc func, void *data)
{
    ConfEntry *entry = g_new0(ConfEntry, 1);
    entry->transaction = transaction;
    entry->func = func;
    entry->data = data;
    entry->submitted_at = conf_clock_monotonic_usec();
    entry->memory = conf_transaction_memory(transaction);
    if (queue->refusal_code != 0)
        refuse_later(queue, entry, queue->refusal_code, queue->refusal);
    else if (queue->is_unknown)
        refuse_later(queue, entry, CONF_RPC_UNAVAILABLE, CONF_NOT_DONE);
    else if (queue->waiting.length > 0 &&
             queue->waiting_bytes + entry->memory > (size_t)MAX(queue->settings.queue_limit, 0))
        refuse_later(queue, entry, CONF_RPC_UNAVAILABLE,
                     "Too many changes are waiting; nothing was changed.");
    else
        take_in(queue, entry);
}

void
conf_commit_queue_drain(ConfCommitQueue *queue, void (*func)(void *data), void *data)
{
    if (queue->refusal_code == 0) {
        queue->refusal_code = CONF_RPC_STOPPING;
        queue->refusal = g_strdup("The server is stopping.");
    }
    queue->drained = func;
    queue->drained_data = data;
    conf_queue_go_on(queue);
}

void
conf_commit_queue_refuse(ConfCommitQueue *queue, int code, const char *message)
{
    char *refusal = g_strdup(message);
    g_free(queue->refusal);
    queue->refusal = refusal;
    queue->refusal_code = code;
    queue->is_refusing = true;
    if (queue->batch != NULL && queue->batch->phase == CONF_BATCH_CHECKING && !queue->is_in_work)
        conf_batch_abandon(queue->batch, code, message);
    conf_queue_refuse_waiting(queue, code, message);
    conf_queue_go_on(queue);
}

const ConfCommitStatistics *
conf_commit_statistics(const ConfCommitQueue *queue)
{
    return &queue->statistics;
}

ConfWriteSink
conf_commit_queue_sink(ConfCommitQueue *queue)
{
    return (ConfWriteSink){.submit = submit_to_sink, .self = queue};
}

ConfEntry *
conf_queue_take(ConfCommitQueue *queue)
{
    ConfEntry *entry = g_queue_pop_head(&queue->waiting);
    if (entry == NULL)
        return NULL;
    queue->waiting_bytes -= entry->memory;
    queue->statistics.waiting = queue->waiting.length;
    return entry;
}

void
conf_queue_go_on(ConfCommitQueue *queue)
{
    if (queue->batch != NULL)
        return;
    if (queue->waiting.length > 0)
        conf_batch_begin(queue);
    else if (queue->drained != NULL && queue->refused.length == 0)
        conf_poller_defer(conf_poller_default(), tell_drained, queue);
    if (queue->waiting.length == 0)
        conf_timer_cancel(&queue->waiting_timeout);
}

void
conf_queue_refuse_waiting(ConfCommitQueue *queue, int code, const char *message)
{
    answer_refused(queue);
    /* Whoever is answered may submit again: what comes meanwhile is not of this round. */
    GQueue waiting = queue->waiting;
    g_queue_init(&queue->waiting);
    queue->waiting_bytes = 0;
    queue->statistics.waiting = 0;
    ConfEntry *entry;
    while ((entry = g_queue_pop_head(&waiting)) != NULL) {
        conf_entry_answer_code(queue, entry, code, message);
        conf_entry_free(entry);
    }
}

void
conf_entry_answer(ConfCommitQueue *queue, ConfEntry *entry)
{
    if (entry->is_answered)
        return;
    entry->is_answered = true;
    bool is_refused = entry->error.code != 0;
    if (is_refused)
        queue->statistics.refused++;
    if (entry->func == NULL)
        return;
    bool was_in_work = queue->is_in_work;
    queue->is_in_work = true;
    if (is_refused)
        entry->func(&entry->error, 0, NULL, NULL, 0, entry->data);
    else
        entry->func(NULL, entry->revision, entry->commit, entry->results, entry->result_count, entry->data);
    queue->is_in_work = was_in_work;
}

void
conf_entry_answer_code(ConfCommitQueue *queue, ConfEntry *entry, int code, const char *message)
{
    if (entry->is_answered)
        return;
    conf_rpc_error_clear(&entry->error);
    conf_rpc_fail(&entry->error, code, "%s", message);
    if (code == CONF_RPC_UNAVAILABLE)
        conf_rpc_error_add_integer(&entry->error, "retryAfter", 1);
    conf_entry_answer(queue, entry);
}

void
conf_entry_free(ConfEntry *entry)
{
    conf_transaction_free(entry->transaction);
    conf_rpc_error_clear(&entry->error);
    conf_commit_unref(entry->commit);
    g_free(entry->results);
    g_free(entry);
}

static void
take_in(ConfCommitQueue *queue, ConfEntry *entry)
{
    g_queue_push_tail(&queue->waiting, entry);
    queue->waiting_bytes += entry->memory;
    queue->statistics.waiting = queue->waiting.length;
    if (queue->waiting.length == 1)
        arm_waiting_timeout(queue);
    conf_queue_go_on(queue);
}

/* Never before conf_commit_submit() returns. */
static void
refuse_later(ConfCommitQueue *queue, ConfEntry *entry, int code, const char *message)
{
    conf_rpc_fail(&entry->error, code, "%s", message);
    if (code == CONF_RPC_UNAVAILABLE)
        conf_rpc_error_add_integer(&entry->error, "retryAfter", 1);
    g_queue_push_tail(&queue->refused, entry);
    conf_poller_defer(conf_poller_default(), answer_refused, queue);
}

static void
answer_refused(void *data)
{
    ConfCommitQueue *queue = data;
    GQueue refused = queue->refused;
    g_queue_init(&queue->refused);
    ConfEntry *entry;
    while ((entry = g_queue_pop_head(&refused)) != NULL) {
        conf_entry_answer(queue, entry);
        conf_entry_free(entry);
    }
    if (queue->drained != NULL)
        conf_queue_go_on(queue);
}

/* Those that wait do so in the order of their submission: the first one is the oldest. */
static void
arm_waiting_timeout(ConfCommitQueue *queue)
{
    const ConfEntry *oldest = g_queue_peek_head(&queue->waiting);
    if (oldest == NULL) {
        conf_timer_cancel(&queue->waiting_timeout);
        return;
    }
    int64_t waited_ms = (conf_clock_monotonic_usec() - oldest->submitted_at) / 1000;
    int64_t left_ms = CLAMP(queue->settings.response_timeout_ms - waited_ms, 1, G_MAXINT);
    conf_timer_arm(&queue->waiting_timeout, (unsigned)left_ms, on_waiting_timeout, queue);
}

static void
on_waiting_timeout(void *data)
{
    ConfCommitQueue *queue = data;
    int64_t limit = conf_clock_monotonic_usec() - queue->settings.response_timeout_ms * 1000;
    const ConfEntry *oldest;
    while ((oldest = g_queue_peek_head(&queue->waiting)) != NULL && oldest->submitted_at <= limit) {
        ConfEntry *entry = conf_queue_take(queue);
        conf_entry_answer_code(queue, entry, CONF_RPC_UNAVAILABLE, CONF_NOT_DONE);
        conf_entry_free(entry);
    }
    arm_waiting_timeout(queue);
}

/* The last thing that is done with the queue: whoever waited for it may free it. */
static void
tell_drained(void *data)
{
    ConfCommitQueue *queue = data;
    void (*drained)(void *data) = queue->drained;
    void *drained_data = queue->drained_data;
    if (drained == NULL || queue->batch != NULL || queue->waiting.length > 0 || queue->refused.length > 0)
        return;
    queue->drained = NULL;
    drained(drained_data);
}

static void
submit_to_sink(void *self, ConfTransaction *transaction, ConfTransactionFunc func, void *data)
{
    conf_commit_submit(self, transaction, func, data);
}
