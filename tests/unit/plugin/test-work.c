/* test-work.c - the worker pool, calls from other threads, watches and timers. */
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fixture.h"
#include "plugin/plugin-private.h"

enum { POOL_QUEUE_MAX = 10000 };

typedef struct {
    GThread *worked_on;
    int niceness;
    void *seen_self;
    ConfPlugin *seen_plugin;
    bool is_done;
} Job;

static void
work(void *data)
{
    Job *job = data;
    job->worked_on = g_thread_self();
    job->niceness = getpriority(PRIO_PROCESS, 0);
}

static void
done(void *self, void *data)
{
    Job *job = data;
    job->seen_self = self;
    job->seen_plugin = conf_plugin_current();
    job->is_done = true;
}

static void
pool_done(void *data)
{
    ((Job *)data)->is_done = true;
}

static void
test_work(void)
{
    ConfPluginHost *host = fixture_load("plain", "");
    ConfPlugin *p = fixture_last_plugin();
    Job job = {0};
    g_assert_true(conf_work(p, work, done, &job));
    g_assert_false(conf_plugin_host_is_idle(host));
    fixture_wait(&job.is_done);
    g_assert_true(conf_plugin_host_is_idle(host));
    g_assert_nonnull(job.worked_on);
    g_assert_true(job.worked_on != g_thread_self());
    /* The main loop goes before it where there is one core for both. */
    g_assert_cmpint(job.niceness, ==, MIN(getpriority(PRIO_PROCESS, 0) + 10, 19));
    g_assert_true(job.seen_self == conf_plugin_get_self(p));
    g_assert_true(job.seen_plugin == p);

    Job core_job = {0};
    g_assert_true(conf_pool_push(work, pool_done, &core_job));
    fixture_wait(&core_job.is_done);
    g_assert_cmpuint(conf_pool_thread_count(), >=, 2);
    g_assert_cmpuint(conf_pool_thread_count(), <=, 4);
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static GMutex gate_lock;
static GCond gate_moved;
static bool gate_is_open;

static void
wait_at_gate(void *data)
{
    g_mutex_lock(&gate_lock);
    while (!gate_is_open)
        g_cond_wait(&gate_moved, &gate_lock);
    g_mutex_unlock(&gate_lock);
}

static void
move_gate(bool open)
{
    g_mutex_lock(&gate_lock);
    gate_is_open = open;
    g_cond_broadcast(&gate_moved);
    g_mutex_unlock(&gate_lock);
}

static unsigned done_count;
static unsigned wanted_count;
static bool all_done;

static void
count_done(void *self, void *data)
{
    all_done = ++done_count == wanted_count;
}

static void
test_queue_full(void)
{
    ConfPluginHost *host = fixture_load("plain", "");
    ConfPlugin *p = fixture_last_plugin();
    move_gate(false);
    done_count = wanted_count = 0;
    while (wanted_count < 2 * POOL_QUEUE_MAX && conf_work(p, wait_at_gate, count_done, NULL))
        wanted_count++;
    g_assert_cmpuint(wanted_count, ==, POOL_QUEUE_MAX + conf_pool_thread_count());
    all_done = false;
    move_gate(true);
    fixture_wait(&all_done);
    Job job = {0};
    g_assert_true(conf_work(p, work, done, &job));
    fixture_wait(&job.is_done);
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static void
count_pool_done(void *data)
{
    all_done = ++done_count == wanted_count;
}

/* A library that hangs, with as many jobs as its plugin may have, holds up neither the core nor another
 * plugin; and the core's jobs are bounded, too. */
static void
test_hanging_library(void)
{
    ConfPluginHost *host = fixture_load("plain", "");
    ConfPlugin *hanging = fixture_last_plugin();
    ConfPluginHost *other_host = fixture_load("plain", "");
    ConfPlugin *other = fixture_last_plugin();
    g_assert_true(other != hanging);
    move_gate(false);
    unsigned hung = 0;
    while (hung < 2 * POOL_QUEUE_MAX && conf_work(hanging, wait_at_gate, count_done, NULL))
        hung++;
    Job core_job = {0}, other_job = {0};
    g_assert_true(conf_pool_push(work, pool_done, &core_job));
    g_assert_true(conf_work(other, work, done, &other_job));
    fixture_wait(&core_job.is_done);
    fixture_wait(&other_job.is_done);

    unsigned pushed = 0;
    while (pushed < 2 * POOL_QUEUE_MAX && conf_pool_push(wait_at_gate, count_pool_done, NULL))
        pushed++;
    g_assert_cmpuint(pushed, ==, POOL_QUEUE_MAX + conf_pool_thread_count());
    done_count = 0;
    wanted_count = hung + pushed;
    all_done = false;
    move_gate(true);
    fixture_wait(&all_done);
    conf_plugin_host_free(other_host);
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static void
note_done(void *self, void *data)
{
    test_note("done");
    /* Nothing new while it is being unloaded. */
    Job *job = data;
    test_note("%s", conf_work(self, work, done, job) ? "taken" : "refused");
}

static void
test_done_before_unload(void)
{
    ConfPluginHost *host = fixture_load("plain", "");
    /* They run side by side. */
    Job jobs[2] = {0};
    fixture_take_notes();
    for (unsigned i = 0; i < G_N_ELEMENTS(jobs); i++)
        g_assert_true(conf_work(fixture_last_plugin(), work, note_done, &jobs[i]));
    conf_plugin_host_free(host);
    g_assert_cmpstr(fixture_take_notes(), ==, "plain stop\ndone\nrefused\ndone\nrefused\nplain unload\n");
    fixture_settle();
    g_assert_cmpstr(fixture_take_notes(), ==, "");
}

/* A job that does not end: its plugin cannot be freed under it, and nobody waits for ever. */
static void
test_drain_is_bounded(void)
{
    ConfPluginHost *host = fixture_load("plain", "");
    ConfPlugin *p = fixture_last_plugin();
    move_gate(false);
    done_count = 0;
    wanted_count = 1;
    g_assert_true(conf_work(p, wait_at_gate, count_done, NULL));
    g_assert_false(conf_work_drain(p, 10));
    g_assert_cmpuint(done_count, ==, 0);
    move_gate(true);
    g_assert_true(conf_work_drain(p, 10000));
    g_assert_cmpuint(done_count, ==, 1);
    conf_plugin_host_free(host);
    fixture_settle();
    g_assert_cmpuint(done_count, ==, 1);
    fixture_take_notes();
}

static void
note_call(void *self, void *data)
{
    test_note("called %s", (const char *)data);
}

static void *
call_from_thread(void *data)
{
    conf_plugin_call_main(data, note_call, "from a thread");
    return NULL;
}

static void
set_flag(void *self, void *data)
{
    *(bool *)data = true;
}

static void
test_call_main(void)
{
    ConfPluginHost *host = fixture_load("plain", "");
    ConfPlugin *p = fixture_last_plugin();
    fixture_take_notes();
    GThread *thread = g_thread_new("caller", call_from_thread, p);
    g_thread_join(thread);
    bool called = false;
    conf_plugin_call_main(p, set_flag, &called);
    fixture_wait(&called);
    g_assert_cmpstr(fixture_take_notes(), ==, "called from a thread\n");

    /* One that comes too late goes nowhere. */
    conf_plugin_call_main(p, note_call, "too late");
    conf_plugin_host_free(host);
    fixture_settle();
    g_assert_cmpstr(fixture_take_notes(), ==, "plain stop\nplain unload\n");
}

static ConfPlugin *timer_plugin;
static unsigned next_timer;
static bool timer_over;

static void
due(void *self, void *data)
{
    test_note("due %s", (const char *)data);
    timer_over = true;
}

static void
due_and_again(void *self, void *data)
{
    test_note("due once");
    next_timer = conf_timer(timer_plugin, 1, due, "again");
}

static void
test_timers(void)
{
    ConfPluginHost *host = fixture_load("plain", "");
    timer_plugin = fixture_last_plugin();
    fixture_take_notes();
    timer_over = false;
    unsigned first = conf_timer(timer_plugin, 1, due_and_again, NULL);
    unsigned never = conf_timer(timer_plugin, 5, due, "never");
    g_assert_cmpuint(first, !=, 0);
    g_assert_cmpuint(never, !=, first);
    conf_unwatch(timer_plugin, never);
    conf_unwatch(timer_plugin, never);
    conf_unwatch(timer_plugin, 4711);
    fixture_wait(&timer_over);
    g_assert_cmpstr(fixture_take_notes(), ==, "due once\ndue again\n");

    g_assert_cmpuint(conf_timer(timer_plugin, 0, due, "not any more"), !=, 0);
    conf_plugin_host_free(host);
    fixture_settle();
    g_assert_cmpstr(fixture_take_notes(), ==, "plain stop\nplain unload\n");
}

static unsigned watch_id;
static bool watch_called;

static void
ready(void *self, int fd, GIOCondition condition)
{
    char text[16] = "";
    if ((condition & G_IO_NVAL) != 0) {
        test_note("closed");
    } else if (read(fd, text, sizeof(text) - 1) > 0) {
        test_note("read %s", text);
        if (strcmp(text, "end") == 0)
            conf_unwatch(timer_plugin, watch_id);
    }
    watch_called = true;
}

static void
test_watches(void)
{
    ConfPluginHost *host = fixture_load("plain", "");
    timer_plugin = fixture_last_plugin();
    fixture_take_notes();
    int ends[2];
    g_assert_cmpint(pipe(ends), ==, 0);
    watch_id = conf_watch(timer_plugin, ends[0], G_IO_IN, ready);
    g_assert_cmpuint(watch_id, !=, 0);
    fixture_settle();
    g_assert_cmpstr(fixture_take_notes(), ==, "");

    const char *const texts[] = {"one", "two", "end"};
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        watch_called = false;
        g_assert_cmpint(write(ends[1], texts[i], 3), ==, 3);
        fixture_wait(&watch_called);
    }
    g_assert_cmpint(write(ends[1], "xxx", 3), ==, 3);
    fixture_settle();
    g_assert_cmpstr(fixture_take_notes(), ==, "read one\nread two\nread end\n");

    /* What waits when the plugin goes is not called. */
    g_assert_cmpuint(conf_watch(timer_plugin, ends[0], G_IO_IN, ready), !=, 0);
    conf_plugin_host_free(host);
    fixture_settle();
    g_assert_cmpstr(fixture_take_notes(), ==, "plain stop\nplain unload\n");
    close(ends[0]);
    close(ends[1]);
}

static void
test_watch_of_closed_descriptor(void)
{
    ConfPluginHost *host = fixture_load("plain", "");
    timer_plugin = fixture_last_plugin();
    fixture_take_notes();
    int ends[2];
    g_assert_cmpint(pipe(ends), ==, 0);
    g_assert_cmpuint(conf_watch(timer_plugin, ends[0], G_IO_IN, ready), !=, 0);
    close(ends[0]);
    close(ends[1]);
    watch_called = false;
    fixture_wait(&watch_called);
    fixture_settle();
    g_assert_cmpstr(fixture_take_notes(), ==, "closed\n");
    g_assert_cmpuint(conf_watch(timer_plugin, -1, G_IO_IN, ready), ==, 0);
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static void
add_tests(void)
{
    g_test_add_func("/plugin/work/done", test_work);
    g_test_add_func("/plugin/work/full", test_queue_full);
    g_test_add_func("/plugin/work/hanging-library", test_hanging_library);
    g_test_add_func("/plugin/work/unload", test_done_before_unload);
    g_test_add_func("/plugin/work/drain", test_drain_is_bounded);
    g_test_add_func("/plugin/work/call-main", test_call_main);
    g_test_add_func("/plugin/work/timers", test_timers);
    g_test_add_func("/plugin/work/watches", test_watches);
    g_test_add_func("/plugin/work/closed-descriptor", test_watch_of_closed_descriptor);
}

int
main(int argc, char **argv)
{
    return fixture_run(argc, argv, add_tests);
}
