/* log.c - the front of the log: any thread leaves a line in a bounded queue, one thread writes.
 *
 * The queue is two buffers: callers fill one under the lock, the writer takes it whole and fills the outputs
 * from it without the lock.  A line that finds the queue full is dropped and counted. */
#include "base/log-private.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"

enum {
    LINES_A_SECOND = 20, /* of one id; more are counted */
    EXIT_FLUSH_MS = 500,
    /* In place of an id: the outputs change here, so that each line goes to the outputs of its time. */
    ID_PLAN = CONF_LOG_ID_COUNT,
};

/* How a line stands in the queue; its pairs follow. */
typedef struct {
    uint32_t size; /* with this head */
    uint16_t id;
    uint16_t pair_count;
    int64_t wall_ms;
    ConfLogPlan *plan; /* of ID_PLAN */
} QueuedLine;

/* Main thread, writer and everybody who logs: all under `lock`, but for the atomic level. */
static struct {
    GMutex lock;
    GCond wake;    /* for the writer */
    GCond written; /* for who flushes */
    ConfBuffer queue;
    uint64_t taken_in; /* lines ever queued */
    uint64_t done;     /* of those: written, or given up by their output */
    uint64_t dropped;  /* since it was told last */
    bool reopen;
    bool is_started;
    int plan_level;
    int verbose_level;
    const char *verbose;
    struct {
        int64_t window_usec;
        unsigned count;
        unsigned repeated;
    } rates[CONF_LOG_ID_COUNT];
    unsigned repeated_ids; /* of the rates: those that have repeated lines to tell */
} state = {
    .plan_level = CONF_LOG_DEBUG,
    .verbose_level = CONF_LOG_NOTICE,
    .verbose = "standard",
};
static int active_level = CONF_LOG_NOTICE; /* atomic: the smaller of the two levels */

/* The writer's own. */
typedef struct {
    ConfLogPlan *plan;
    ConfBuffer queue;
    ConfBuffer text;
    int64_t check_point_usec; /* when the next is due; INT64_MAX: never */
} Writer;

static const ConfLogMessage MESSAGES[] = {
#define CONF_LOG_ID(name, number, level, sentence, advice) \
    {number, CONF_LOG_##level, #name, sentence, advice},
#include "base/log-ids.def"
#undef CONF_LOG_ID
};

static void start(void);
static void flush_at_exit(void);
static bool count_line(ConfLogId id);
static size_t measure_pairs(va_list pairs, unsigned *count);
static void queue_line(ConfLogId id, size_t pairs_size, unsigned pair_count, va_list pairs);
static void queue_own_line(ConfLogId id, const char *key, uint64_t value);
static void set_levels(void);
static void *run_writer(void *data);
static void wait_for_lines(Writer *writer);
static bool tell_repeated(int64_t now);
static void write_queue(Writer *writer);
static uint64_t write_lines(Writer *writer);
static void write_line(Writer *writer, const QueuedLine *head, const char *pairs);
static void take_plan(Writer *writer, ConfLogPlan *plan);

const ConfLogMessage *
conf_log_message(ConfLogId id)
{
    return &MESSAGES[id];
}

void
conf_log(ConfLogId id, ...)
{
    g_assert((unsigned)id < CONF_LOG_ID_COUNT);
    if (!conf_log_is_on(id))
        return;
    va_list pairs;
    unsigned pair_count;
    va_start(pairs, id);
    size_t pairs_size = measure_pairs(pairs, &pair_count);
    va_end(pairs);

    va_start(pairs, id);
    g_mutex_lock(&state.lock);
    start();
    if (count_line(id))
        queue_line(id, pairs_size, pair_count, pairs);
    g_mutex_unlock(&state.lock);
    va_end(pairs);
}

bool
conf_log_is_on(ConfLogId id)
{
    return (int)MESSAGES[id].level <= g_atomic_int_get(&active_level);
}

const char *
conf_log_integer(int64_t value)
{
    enum { COUNT = 16, SIZE = 24 };
    static _Thread_local char texts[COUNT][SIZE];
    static _Thread_local unsigned next;
    char *text = texts[next++ % COUNT];
    g_snprintf(text, SIZE, "%" G_GINT64_FORMAT, value);
    return text;
}

bool
conf_log_configure(const ConfSettings *settings, GError **error)
{
    const char *verbose;
    g_autoptr(ConfLogPlan) plan = conf_log_plan_new(settings, &verbose, error);
    if (plan == NULL)
        return false;

    g_mutex_lock(&state.lock);
    start();
    state.plan_level = conf_log_plan_get_level(plan);
    state.verbose = conf_log_parse_verbose(verbose, &state.verbose_level);
    set_levels();
    /* Never dropped: a full queue takes this one head more. */
    QueuedLine head = {sizeof(head), ID_PLAN, 0, 0, g_steal_pointer(&plan)};
    conf_buffer_append(&state.queue, &head, sizeof(head));
    state.taken_in++;
    g_cond_signal(&state.wake);
    g_mutex_unlock(&state.lock);
    return true;
}

bool
conf_log_set_verbose(const char *verbose, GError **error)
{
    int level;
    const char *word = conf_log_parse_verbose(verbose, &level);
    if (word == NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "\"%.40s\" is not allowed; allowed is none, standard, interaction, trace, debug, all",
                    verbose);
        return false;
    }
    g_mutex_lock(&state.lock);
    state.verbose = word;
    state.verbose_level = level;
    set_levels();
    g_mutex_unlock(&state.lock);
    return true;
}

const char *
conf_log_get_verbose(void)
{
    g_mutex_lock(&state.lock);
    const char *verbose = state.verbose;
    g_mutex_unlock(&state.lock);
    return verbose;
}

void
conf_log_reopen(void)
{
    g_mutex_lock(&state.lock);
    state.reopen = true;
    g_cond_signal(&state.wake);
    g_mutex_unlock(&state.lock);
}

void
conf_log_flush(unsigned timeout_ms)
{
    int64_t until = g_get_monotonic_time() + (int64_t)timeout_ms * 1000;
    g_mutex_lock(&state.lock);
    uint64_t wanted = state.taken_in;
    g_cond_signal(&state.wake);
    while (state.done < wanted || (state.reopen && state.is_started))
        if (!g_cond_wait_until(&state.written, &state.lock, until))
            break;
    g_mutex_unlock(&state.lock);
}

/* Under the lock. */
static void
start(void)
{
    if (state.is_started)
        return;
    state.is_started = true;
    /* Signals are the main thread's; SIGPIPE of a reader gone becomes an error of write(). */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    g_thread_unref(g_thread_new("log", run_writer, NULL));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    atexit(flush_at_exit);
}

/* An exit on a short way must not lose the line that says why. */
static void
flush_at_exit(void)
{
    conf_log_flush(EXIT_FLUSH_MS);
}

/* Under the lock.  False: counted only. */
static bool
count_line(ConfLogId id)
{
    int64_t now = conf_clock_monotonic_usec();
    if (now - state.rates[id].window_usec >= G_USEC_PER_SEC && state.rates[id].repeated == 0) {
        state.rates[id].window_usec = now;
        state.rates[id].count = 0;
    }
    if (state.rates[id].count < LINES_A_SECOND) {
        state.rates[id].count++;
        return true;
    }
    /* The writer tells the number at the end of the second. */
    if (state.rates[id].repeated++ == 0) {
        state.repeated_ids++;
        g_cond_signal(&state.wake);
    }
    return false;
}

static size_t
measure_pairs(va_list pairs, unsigned *count)
{
    size_t size = 0;
    *count = 0;
    for (;;) {
        const char *key = va_arg(pairs, const char *);
        if (key == NULL || *count == CONF_LOG_PAIRS_MAX)
            return size;
        const char *value = va_arg(pairs, const char *);
        size += strlen(key) + 1 + (value != NULL ? strnlen(value, CONF_LOG_VALUE_MAX) : 1) + 1;
        ++*count;
    }
}

/* Under the lock. */
static void
queue_line(ConfLogId id, size_t pairs_size, unsigned pair_count, va_list pairs)
{
    QueuedLine head = {(uint32_t)(sizeof(head) + pairs_size), (uint16_t)id, (uint16_t)pair_count,
                       conf_clock_wall_ms(), NULL};
    if (state.queue.size + head.size > CONF_LOG_QUEUE_MAX) {
        state.dropped++;
        return;
    }
    bool was_empty = state.queue.size == 0;
    conf_buffer_append(&state.queue, &head, sizeof(head));
    for (unsigned i = 0; i < pair_count; i++) {
        const char *key = va_arg(pairs, const char *);
        const char *value = va_arg(pairs, const char *);
        if (value == NULL)
            value = "-";
        conf_buffer_append(&state.queue, key, strlen(key) + 1);
        conf_buffer_append(&state.queue, value, strnlen(value, CONF_LOG_VALUE_MAX));
        conf_buffer_append_char(&state.queue, '\0');
    }
    state.taken_in++;
    if (was_empty)
        g_cond_signal(&state.wake);
}

/* Under the lock: a line of the log about itself, with one number, past the counting of repeated lines. */
static void
queue_own_line(ConfLogId id, const char *key, uint64_t value)
{
    char text[24];
    int size = g_snprintf(text, sizeof(text), "%" G_GUINT64_FORMAT, value);
    QueuedLine head = {(uint32_t)(sizeof(head) + strlen(key) + 1 + (size_t)size + 1), (uint16_t)id, 1,
                       conf_clock_wall_ms(), NULL};
    conf_buffer_append(&state.queue, &head, sizeof(head));
    conf_buffer_append(&state.queue, key, strlen(key) + 1);
    conf_buffer_append(&state.queue, text, (size_t)size + 1);
    state.taken_in++;
}

/* Under the lock. */
static void
set_levels(void)
{
    g_atomic_int_set(&active_level, MIN(state.plan_level, state.verbose_level));
}

static void *
run_writer(void *data)
{
    Writer writer = {.plan = conf_log_plan_new_default(), .check_point_usec = INT64_MAX};
    for (;;) {
        wait_for_lines(&writer);
        write_queue(&writer);
    }
    return NULL;
}

static void
wait_for_lines(Writer *writer)
{
    g_mutex_lock(&state.lock);
    while (state.queue.size == 0 && !state.reopen && state.dropped == 0) {
        int64_t now = conf_clock_monotonic_usec();
        if (tell_repeated(now))
            break;
        int64_t until = state.repeated_ids > 0 ? MIN(writer->check_point_usec, now + G_USEC_PER_SEC / 10)
                                               : writer->check_point_usec;
        if (writer->check_point_usec <= now)
            break;
        if (until == INT64_MAX)
            g_cond_wait(&state.wake, &state.lock);
        else
            g_cond_wait_until(&state.wake, &state.lock, until);
    }
    g_mutex_unlock(&state.lock);
}

/* Under the lock.  Lines held back whose second is over become one line that counts them. */
static bool
tell_repeated(int64_t now)
{
    bool told = false;
    for (unsigned id = 0; id < CONF_LOG_ID_COUNT && state.repeated_ids > 0; id++) {
        if (state.rates[id].repeated == 0 || now - state.rates[id].window_usec < G_USEC_PER_SEC)
            continue;
        queue_own_line((ConfLogId)id, "repeated", state.rates[id].repeated);
        state.rates[id].repeated = 0;
        state.repeated_ids--;
        told = true;
    }
    return told;
}

static void
write_queue(Writer *writer)
{
    g_mutex_lock(&state.lock);
    int64_t now = conf_clock_monotonic_usec();
    tell_repeated(now);
    if (state.dropped > 0) {
        queue_own_line(CONF_LOG_LINES_DROPPED, "count", state.dropped);
        state.dropped = 0;
    }
    ConfBuffer taken = state.queue;
    state.queue = writer->queue;
    writer->queue = taken;
    bool reopen = state.reopen;
    g_mutex_unlock(&state.lock);

    uint64_t count = write_lines(writer);
    for (unsigned i = 0; reopen && i < writer->plan->outputs->len; i++)
        conf_log_output_reopen(writer->plan->outputs->pdata[i]);
    if (writer->check_point_usec <= now) {
        writer->check_point_usec = now + writer->plan->check_point_ms * 1000;
        conf_log(CONF_LOG_CHECK_POINT, NULL);
    }

    g_mutex_lock(&state.lock);
    state.done += count;
    if (reopen)
        state.reopen = false;
    g_cond_broadcast(&state.written);
    g_mutex_unlock(&state.lock);
}

static uint64_t
write_lines(Writer *writer)
{
    uint64_t count = 0;
    for (size_t at = 0; at < writer->queue.size; count++) {
        QueuedLine head;
        memcpy(&head, writer->queue.data + at, sizeof(head));
        if (head.id == ID_PLAN)
            take_plan(writer, head.plan);
        else
            write_line(writer, &head, writer->queue.data + at + sizeof(head));
        at += head.size;
    }
    conf_buffer_truncate(&writer->queue, 0);
    for (unsigned i = 0; i < writer->plan->outputs->len; i++)
        conf_log_output_flush(writer->plan->outputs->pdata[i]);
    return count;
}

static void
write_line(Writer *writer, const QueuedLine *head, const char *pairs)
{
    ConfLogLine line = {(ConfLogId)head->id, head->wall_ms, head->pair_count, pairs};
    conf_buffer_truncate(&writer->text, 0);
    conf_log_format(&writer->text, &line, writer->plan->format);
    for (unsigned i = 0; i < writer->plan->outputs->len; i++) {
        ConfLogOutput *output = writer->plan->outputs->pdata[i];
        if (MESSAGES[head->id].level <= conf_log_output_get_level(output))
            conf_log_output_add(output, &line, writer->plan->format, conf_buffer_slice(&writer->text));
    }
}

static void
take_plan(Writer *writer, ConfLogPlan *plan)
{
    for (unsigned i = 0; i < writer->plan->outputs->len; i++)
        conf_log_output_flush(writer->plan->outputs->pdata[i]);
    conf_log_plan_free(writer->plan);
    writer->plan = plan;
    /* The old outputs may have renamed a file since the new ones opened it. */
    for (unsigned i = 0; i < plan->outputs->len; i++)
        conf_log_output_reopen(plan->outputs->pdata[i]);
    writer->check_point_usec =
        plan->check_point_ms > 0 ? conf_clock_monotonic_usec() + plan->check_point_ms * 1000 : INT64_MAX;
}
