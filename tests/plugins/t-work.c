/* t-work.c - test plugin: jobs in the pool, watches of descriptors, timers, and the way back from a thread
 * of its own. */
#include <errno.h>
#include <unistd.h>

#include "plugin-test.h"

typedef struct {
    ConfPlugin *plugin;
    GPtrArray *events;
    ConfLater *waiting; /* the request that the event answers */
    int pipe[2];
    unsigned watch, timer;
    uint64_t jobs, refused, outside;
    GThread *thread;
} Self;

typedef struct {
    unsigned ms;
    GThread *thread; /* it ran in */
} Job;

/* Answers the request that waits, with the events until now. */
static void
tell(Self *self)
{
    if (self->waiting == NULL)
        return;
    g_autoptr(GString) json = g_string_new("{\"events\":[");
    for (unsigned i = 0; i < self->events->len; i++)
        g_string_append_printf(json, "%s\"%s\"", i > 0 ? "," : "",
                               (char *)g_ptr_array_index(self->events, i));
    g_string_append(json, "]}");
    g_ptr_array_set_size(self->events, 0);
    conf_later_answer(g_steal_pointer(&self->waiting), json->str);
}

static void
wait_for(Self *self, ConfRequest *r)
{
    self->waiting = conf_request_later(r, 20000, NULL, NULL);
}

static void
work(void *data)
{
    Job *job = data;
    job->thread = g_thread_self();
    g_usleep(job->ms * 1000);
}

static void
done(void *data, void *job_data)
{
    Self *self = data;
    Job *job = job_data;
    self->jobs++;
    self->outside += job->thread != g_thread_self() ? 1 : 0;
    g_free(job);
    if (self->jobs % 100 == 0) {
        test_note(self->events, "a hundred jobs");
        tell(self);
    }
}

/* {"count","ms"} */
static void
method_work(void *data, ConfRequest *r)
{
    Self *self = data;
    int64_t count = test_param_integer(r, "count", 1);
    unsigned ms = (unsigned)test_param_integer(r, "ms", 0);
    if (test_is(test_param(r, "wait"), "yes"))
        wait_for(self, r);
    for (int64_t i = 0; i < count; i++) {
        Job *job = g_new0(Job, 1);
        job->ms = ms;
        if (conf_work(self->plugin, work, done, job))
            continue;
        self->refused++;
        g_free(job);
    }
    if (self->waiting == NULL)
        conf_request_answer_json(r, "{}");
}

static void
ready(void *data, int fd, GIOCondition condition)
{
    Self *self = data;
    char text[16] = "";
    ssize_t got = read(fd, text, sizeof text - 1);
    test_note(self->events, "%s%s",
              got > 0    ? text
              : got == 0 ? "end"
                         : g_strerror(errno),
              (condition & G_IO_NVAL) != 0 ? " (closed under it)" : "");
    if (got <= 0)
        conf_unwatch(self->plugin, self->watch);
    tell(self);
}

static void
due(void *data, void *word)
{
    Self *self = data;
    test_note(self->events, "%s", (const char *)word);
    tell(self);
}

static void
due_again(void *data, void *word)
{
    Self *self = data;
    conf_unwatch(self->plugin, self->timer); /* its own, which is over */
    self->timer = conf_timer(self->plugin, 1, due, word);
}

static void
method_timer(void *data, ConfRequest *r)
{
    Self *self = data;
    unsigned late = conf_timer(self->plugin, 30, due, "unwatched");
    self->timer = conf_timer(self->plugin, 60, due_again, "due");
    conf_unwatch(self->plugin, late);
    conf_unwatch(self->plugin, late);
    conf_unwatch(self->plugin, 0);
    if (conf_timer(self->plugin, 1, NULL, NULL) != 0)
        test_note(self->events, "a timer without a function was taken");
    wait_for(self, r);
}

static void
write_pipe(void *data, void *word)
{
    Self *self = data;
    g_assert_true(write(self->pipe[1], word, strlen(word)) > 0);
}

static void
method_watch(void *data, ConfRequest *r)
{
    Self *self = data;
    if (self->pipe[0] < 0) {
        g_assert_true(pipe(self->pipe) == 0);
        self->watch = conf_watch(self->plugin, self->pipe[0], G_IO_IN, ready);
    }
    if (conf_watch(self->plugin, -1, G_IO_IN, ready) != 0)
        test_note(self->events, "a watch of nothing was taken");
    const char *what = test_param(r, "what");
    wait_for(self, r);
    if (test_is(what, "close")) {
        close(self->pipe[1]);
        self->pipe[1] = -1;
    } else {
        conf_timer(self->plugin, 10, write_pipe, "word");
    }
}

/* The descriptor goes under the watch: it is told once, and not for ever. */
static void
method_lost(void *data, ConfRequest *r)
{
    Self *self = data;
    int ends[2];
    g_assert_true(pipe(ends) == 0);
    self->watch = conf_watch(self->plugin, ends[0], G_IO_IN, ready);
    close(ends[0]);
    close(ends[1]);
    wait_for(self, r);
}

static void
from_thread(void *data, void *word)
{
    due(data, word);
}

static void *
run(void *data)
{
    Self *self = data;
    conf_plugin_log(self->plugin, 3, "A line from a thread", "number", "1", "text", "two words", NULL);
    conf_plugin_call_main(self->plugin, from_thread, "from a thread");
    return NULL;
}

static void
method_thread(void *data, ConfRequest *r)
{
    Self *self = data;
    wait_for(self, r);
    g_clear_pointer(&self->thread, g_thread_join);
    self->thread = g_thread_new("t-work", run, self);
}

/* Left to the server: what is under way when it stops. */
static void
method_leave(void *data, ConfRequest *r)
{
    Self *self = data;
    conf_timer(self->plugin, 3600 * 1000, due, "never");
    if (self->pipe[0] < 0) {
        g_assert_true(pipe(self->pipe) == 0);
        conf_watch(self->plugin, self->pipe[0], G_IO_IN, ready);
    }
    for (unsigned i = 0; i < 8; i++) {
        Job *job = g_new0(Job, 1);
        job->ms = 100;
        g_assert_true(conf_work(self->plugin, work, done, job));
    }
    conf_request_answer_json(r, "{}");
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const struct {
        const char *name;
        ConfPluginMethodFunc func;
    } methods[] = {
        {"t-work.work", method_work}, {"t-work.timer", method_timer},   {"t-work.watch", method_watch},
        {"t-work.lost", method_lost}, {"t-work.thread", method_thread}, {"t-work.leave", method_leave},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(methods); i++) {
        if (!conf_plugin_add_method(p, methods[i].name, true, methods[i].func, error))
            return NULL;
    }
    Self *self = g_new0(Self, 1);
    self->plugin = p;
    self->events = g_ptr_array_new_with_free_func(g_free);
    self->pipe[0] = self->pipe[1] = -1;
    conf_plugin_statistic(p, "jobs", &self->jobs);
    conf_plugin_statistic(p, "refused", &self->refused);
    conf_plugin_statistic(p, "outside", &self->outside);
    return self;
}

static void
unload(void *data)
{
    Self *self = data;
    conf_plugin_log(self->plugin, 2, "Unloaded", "jobs", self->jobs == 8 ? "8" : "others", NULL);
    if (conf_work(self->plugin, work, done, NULL) || conf_timer(self->plugin, 1, due, NULL) != 0)
        conf_plugin_log(self->plugin, 0, "Work was taken in unload()", NULL);
    g_clear_pointer(&self->thread, g_thread_join);
    for (unsigned i = 0; i < 2; i++) {
        if (self->pipe[i] >= 0)
            close(self->pipe[i]);
    }
    g_ptr_array_unref(self->events);
    g_free(self);
}

CONF_PLUGIN(.name = "t-work", .version = "1", .summary = "Works elsewhere", .load = load, .unload = unload);
