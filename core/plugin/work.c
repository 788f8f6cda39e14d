/* work.c - threads for work that waits, and the way back from them.
 *
 * The core (password hashing) has a bounded pool of its own.  Each plugin may keep as many threads as that
 * pool has; its further jobs wait in a queue of its own.  So a library that hangs, as a resolver does whose
 * name servers are away, holds up its own plugin, and neither log-ins nor another plugin.
 *
 * A job belongs to one thread at a time: the main loop until it is pushed, a worker during work(), the
 * main loop again for done().  Finished jobs wait in a queue of their own, so that a plugin that is
 * unloaded can have its ends run without turning the main loop. */
#include <sys/resource.h>
#include <unistd.h>

#include "base/queue-main.h"
#include "plugin/plugin-private.h"

enum {
    THREADS_MIN = 2,
    THREADS_MAX = 4,
    QUEUE_MAX = 10000, /* of the core, and of each plugin */
    /* A hash keeps a core busy for 30 ms.  Where there is no core to spare the main loop must not wait its turn behind
     * one: it takes the core at once, and a tenth of it is left for the workers when it is never idle. */
    NICE = 10,
};

typedef struct {
    void (*work)(void *job);
    void (*done)(void *job); /* of the core; NULL: of a plugin */
    void *job;
    ConfPlugin *plugin; /* a reference; NULL: the core's */
    void (*plugin_done)(void *self, void *job);
} Job;

typedef struct {
    ConfPlugin *plugin; /* a reference */
    void (*func)(void *self, void *data);
    void *data;
} MainCall;

static GThreadPool *core_pool, *plugin_pool;
static unsigned core_jobs; /* pushed, and done() not called: main thread only */
static GMutex finished_lock;
static GCond finished_grew;
static GQueue finished = G_QUEUE_INIT; /* of Job; under the lock */

static unsigned jobs_max(void);
static void start(GThreadPool **pool, int threads, Job *job);
static void start_next(ConfPlugin *p);
static void run_job(void *data, void *unused);
static void on_finished(void *unused);
static void end_job(Job *job);
static Job *take_finished(ConfPlugin *p);
static void run_main_call(void *data);

bool
conf_pool_push(void (*work)(void *job), void (*done)(void *job), void *job)
{
    conf_assert_main();
    if (core_jobs >= jobs_max())
        return false;
    core_jobs++;
    start(&core_pool, (int)conf_pool_thread_count(),
          g_memdup2(&(Job){.work = work, .done = done, .job = job}, sizeof(Job)));
    return true;
}

unsigned
conf_pool_thread_count(void)
{
    static unsigned count;
    if (count == 0)
        count = (unsigned)CLAMP(sysconf(_SC_NPROCESSORS_ONLN), THREADS_MIN, THREADS_MAX);
    return count;
}

bool
conf_work(ConfPlugin *p, void (*work)(void *job), void (*done)(void *self, void *job), void *job)
{
    conf_assert_main();
    if (p->state == PLUGIN_UNLOADED || p->is_draining || p->pending_work >= jobs_max())
        return false;
    const Job made = {.work = work, .job = job, .plugin = conf_plugin_ref(p), .plugin_done = done};
    p->pending_work++;
    g_queue_push_tail(&p->waiting_work, g_memdup2(&made, sizeof(made)));
    start_next(p);
    return true;
}

void
conf_plugin_call_main(ConfPlugin *p, void (*func)(void *self, void *data), void *data)
{
    MainCall *call = g_new(MainCall, 1);
    *call = (MainCall){conf_plugin_ref(p), func, data};
    conf_main_queue_push(run_main_call, call);
}

bool
conf_work_drain(ConfPlugin *p, unsigned wait_ms)
{
    conf_assert_main();
    gint64 until = g_get_monotonic_time() + (gint64)wait_ms * 1000;
    p->is_draining = true;
    while (p->pending_work > 0) {
        g_mutex_lock(&finished_lock);
        Job *job = take_finished(p);
        bool in_time = true;
        while (job == NULL && in_time) {
            in_time = g_cond_wait_until(&finished_grew, &finished_lock, until);
            job = take_finished(p);
        }
        g_mutex_unlock(&finished_lock);
        if (job == NULL)
            return false;
        end_job(job);
    }
    return true;
}

/* What is running or finished counts too, but no more than there are threads: a main loop that is late
 * cannot make the queue of ends grow without bound either. */
static unsigned
jobs_max(void)
{
    return QUEUE_MAX + conf_pool_thread_count();
}

static void
start(GThreadPool **pool, int threads, Job *job)
{
    if (*pool == NULL)
        *pool = g_thread_pool_new(run_job, NULL, threads, FALSE, NULL);
    /* An error means that no thread could be started now; the job is queued all the same and runs on another one. */
    g_thread_pool_push(*pool, job, NULL);
}

static void
start_next(ConfPlugin *p)
{
    if (p->running_work >= conf_pool_thread_count() || g_queue_is_empty(&p->waiting_work))
        return;
    p->running_work++;
    start(&plugin_pool, -1, g_queue_pop_head(&p->waiting_work));
}

static void
run_job(void *data, void *unused)
{
    static _Thread_local bool is_nice;
    Job *job = data;
    /* On Linux the number 0 is this thread alone. */
    if (!is_nice)
        is_nice = setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICE) == 0;
    job->work(job->job);
    g_mutex_lock(&finished_lock);
    g_queue_push_tail(&finished, job);
    g_cond_signal(&finished_grew);
    g_mutex_unlock(&finished_lock);
    conf_main_queue_push(on_finished, NULL);
}

/* Comes once a job.  Of those that were drained already nothing is left here. */
static void
on_finished(void *unused)
{
    g_mutex_lock(&finished_lock);
    Job *job = g_queue_pop_head(&finished);
    g_mutex_unlock(&finished_lock);
    if (job != NULL)
        end_job(job);
}

static void
end_job(Job *job)
{
    ConfPlugin *p = job->plugin;
    if (p == NULL) {
        core_jobs--;
        job->done(job->job);
    } else {
        p->pending_work--;
        p->running_work--;
        start_next(p);
        /* Without a self there is nobody to take it: load() refused, or unload() is over. */
        if (conf_plugin_is_loaded(p)) {
            conf_plugin_enter(p);
            job->plugin_done(p->self, job->job);
            conf_plugin_leave(p);
        }
        conf_plugin_unref(p);
    }
    g_free(job);
}

static Job *
take_finished(ConfPlugin *p)
{
    for (GList *link = finished.head; link != NULL; link = link->next) {
        Job *job = link->data;
        if (job->plugin != p)
            continue;
        g_queue_delete_link(&finished, link);
        return job;
    }
    return NULL;
}

static void
run_main_call(void *data)
{
    MainCall *call = data;
    ConfPlugin *p = call->plugin;
    if (conf_plugin_is_loaded(p)) {
        conf_plugin_enter(p);
        call->func(p->self, call->data);
        conf_plugin_leave(p);
    }
    conf_plugin_unref(p);
    g_free(call);
}
