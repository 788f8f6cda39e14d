/* hash-queue.c - password hashes that wait for the worker pool. */
#include "access/hash-queue-private.h"

#include "base/clock.h"
#include "base/timer-wheel.h"
#include "plugin/loader.h"

enum {
    POOL_FULL_RETRY_MS = 50,
    FIRST_GUESS_USEC = 100000, /* of a hash, until one was measured */
    RETRY_AFTER_MAX = 60,
};

struct ConfHashTurns {
    char *address;
    GQueue jobs; /* the oldest first */
    GList link;  /* in rotation */
    GList peer;  /* in by_length, among those with as many jobs */
};

struct ConfHashQueue {
    GHashTable *by_address; /* of ConfHashTurns */
    GQueue rotation;        /* of ConfHashTurns: whose turn it is */
    /* Of GQueue of ConfHashTurns, by how many jobs they have: who gives way is found at once. */
    GArray *by_length;
    GQueue running; /* of ConfHashJob */
    unsigned waiting;
    int64_t limit;
    int64_t hash_usec; /* a mean that follows */
    ConfTimer retry;
};

static void pump(ConfHashQueue *queue);
static void on_retry(void *data);
static void append(ConfHashQueue *queue, ConfHashJob *job, const char *address);
static void remove_waiting(ConfHashQueue *queue, ConfHashJob *job);
static GQueue *with_length(ConfHashQueue *queue, unsigned length);
static ConfHashJob *find_displaceable(ConfHashQueue *queue, const char *address);
static void end_job(ConfHashJob *job, ConfHashOutcome outcome);
static void run_in_pool(void *data);
static void on_done(void *data);

ConfHashQueue *
conf_hash_queue_new(void)
{
    ConfHashQueue *queue = g_new0(ConfHashQueue, 1);
    queue->by_address = g_hash_table_new(g_str_hash, g_str_equal);
    g_queue_init(&queue->rotation);
    queue->by_length = g_array_new(FALSE, TRUE, sizeof(GQueue));
    g_queue_init(&queue->running);
    queue->limit = 1;
    queue->hash_usec = FIRST_GUESS_USEC;
    return queue;
}

void
conf_hash_queue_free(ConfHashQueue *queue)
{
    if (queue == NULL)
        return;
    conf_timer_cancel(&queue->retry);
    queue->limit = 0;
    while (queue->rotation.length > 0) {
        ConfHashTurns *turns = queue->rotation.head->data;
        ConfHashJob *job = turns->jobs.head->data;
        remove_waiting(queue, job);
        end_job(job, CONF_HASH_STOPPED);
        job->release(job);
    }
    GList *link;
    while ((link = g_queue_pop_head_link(&queue->running)) != NULL) {
        ConfHashJob *job = link->data;
        /* A worker has it: on_done() releases it. */
        job->queue = NULL;
        end_job(job, CONF_HASH_STOPPED);
    }
    g_hash_table_unref(queue->by_address);
    g_array_unref(queue->by_length);
    g_free(queue);
}

void
conf_hash_queue_set_limit(ConfHashQueue *queue, int64_t limit)
{
    queue->limit = MAX(limit, 1);
}

bool
conf_hash_queue_push(ConfHashQueue *queue, ConfHashJob *job, const char *address)
{
    ConfHashJob *displaced = NULL;
    if (queue->waiting >= queue->limit) {
        displaced = find_displaceable(queue, address);
        if (displaced == NULL)
            return false;
        remove_waiting(queue, displaced);
    }
    append(queue, job, address);
    pump(queue);
    if (displaced != NULL) {
        end_job(displaced, CONF_HASH_DISPLACED);
        displaced->release(displaced);
    }
    return true;
}

void
conf_hash_queue_cancel(ConfHashJob *job)
{
    if (job->is_over)
        return;
    job->is_over = true;
    if (job->is_running)
        return;
    remove_waiting(job->queue, job);
    job->release(job);
}

unsigned
conf_hash_queue_waiting(const ConfHashQueue *queue)
{
    return queue->waiting;
}

unsigned
conf_hash_queue_retry_after(const ConfHashQueue *queue)
{
    int64_t usec = (int64_t)(queue->waiting + 1) * queue->hash_usec / conf_pool_thread_count();
    unsigned seconds = (unsigned)CLAMP(usec / G_USEC_PER_SEC + 1, 1, RETRY_AFTER_MAX / 2);
    return seconds + (unsigned)g_random_int_range(0, (gint32)seconds + 1);
}

/* Gives the pool no more than it has threads: what waits here can be ordered fairly, what waits there
 * cannot, and plugins' jobs get their turn between hashes. */
static void
pump(ConfHashQueue *queue)
{
    while (queue->waiting > 0 && queue->running.length < conf_pool_thread_count()) {
        ConfHashTurns *turns = queue->rotation.head->data;
        ConfHashJob *job = turns->jobs.head->data;
        if (!conf_pool_push(run_in_pool, on_done, job)) {
            if (!conf_timer_is_armed(&queue->retry))
                conf_timer_arm(&queue->retry, POOL_FULL_RETRY_MS, on_retry, queue);
            return;
        }
        /* To the end of the rotation, before the job leaves: the turns may go with their last job. */
        g_queue_unlink(&queue->rotation, &turns->link);
        g_queue_push_tail_link(&queue->rotation, &turns->link);
        remove_waiting(queue, job);
        job->is_running = true;
        job->begun_at = conf_clock_monotonic_usec();
        g_queue_push_tail_link(&queue->running, &job->link);
    }
}

static void
on_retry(void *data)
{
    pump(data);
}

static void
append(ConfHashQueue *queue, ConfHashJob *job, const char *address)
{
    ConfHashTurns *turns = g_hash_table_lookup(queue->by_address, address);
    if (turns != NULL) {
        g_queue_unlink(with_length(queue, turns->jobs.length), &turns->peer);
    } else {
        turns = g_new0(ConfHashTurns, 1);
        turns->address = g_strdup(address);
        g_queue_init(&turns->jobs);
        turns->link.data = turns->peer.data = turns;
        g_hash_table_insert(queue->by_address, turns->address, turns);
        g_queue_push_tail_link(&queue->rotation, &turns->link);
    }
    job->queue = queue;
    job->turns = turns;
    job->link.data = job;
    g_queue_push_tail_link(&turns->jobs, &job->link);
    g_queue_push_tail_link(with_length(queue, turns->jobs.length), &turns->peer);
    queue->waiting++;
}

static void
remove_waiting(ConfHashQueue *queue, ConfHashJob *job)
{
    ConfHashTurns *turns = job->turns;
    g_queue_unlink(with_length(queue, turns->jobs.length), &turns->peer);
    g_queue_unlink(&turns->jobs, &job->link);
    job->turns = NULL;
    queue->waiting--;
    if (turns->jobs.length > 0) {
        g_queue_push_tail_link(with_length(queue, turns->jobs.length), &turns->peer);
        return;
    }
    g_hash_table_remove(queue->by_address, turns->address);
    g_queue_unlink(&queue->rotation, &turns->link);
    g_free(turns->address);
    g_free(turns);
}

static GQueue *
with_length(ConfHashQueue *queue, unsigned length)
{
    if (length >= queue->by_length->len)
        g_array_set_size(queue->by_length, length + 1);
    return &g_array_index(queue->by_length, GQueue, length);
}

/* The newest job of an address that has most waiting, if that is at least two more than `address` has:
 * with fewer they would displace one another in turn. */
static ConfHashJob *
find_displaceable(ConfHashQueue *queue, const char *address)
{
    const ConfHashTurns *own = g_hash_table_lookup(queue->by_address, address);
    unsigned own_length = own != NULL ? own->jobs.length : 0;
    while (queue->by_length->len > 0 && with_length(queue, queue->by_length->len - 1)->length == 0)
        g_array_set_size(queue->by_length, queue->by_length->len - 1);
    if (queue->by_length->len < own_length + 3)
        return NULL;
    const ConfHashTurns *longest = with_length(queue, queue->by_length->len - 1)->head->data;
    return longest->jobs.tail->data;
}

static void
end_job(ConfHashJob *job, ConfHashOutcome outcome)
{
    if (job->is_over)
        return;
    job->is_over = true;
    job->ended(job, outcome);
}

static void
run_in_pool(void *data)
{
    ConfHashJob *job = data;
    job->work(job);
}

static void
on_done(void *data)
{
    ConfHashJob *job = data;
    ConfHashQueue *queue = job->queue;
    if (queue != NULL) {
        g_queue_unlink(&queue->running, &job->link);
        int64_t usec = conf_clock_monotonic_usec() - job->begun_at;
        queue->hash_usec += (usec - queue->hash_usec) / 8;
        /* Before ended(), which may free the queue. */
        pump(queue);
    }
    end_job(job, CONF_HASH_DONE);
    job->release(job);
}
