/* poller.c - the epoll set as one GSource, and the turn. */
#include "net/poller.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "net/connection-private.h"
#include "net/poller-private.h"

typedef struct {
    GSource base;
    ConfPoller *poller;
} PollerSource;

static gboolean source_prepare(GSource *source, int *timeout);
static gboolean source_check(GSource *source);
static gboolean source_dispatch(GSource *source, GSourceFunc callback, gpointer data);
static bool has_work(const ConfPoller *poller);
static void hand_out_events(ConfPoller *poller, bool readable);
static void take_events(ConfPoller *poller);
static void free_removed(ConfPoller *poller);
static void run_deferred(ConfPoller *poller);
static void run_slice(ConfPoller *poller);
static void unlink_deferred(ConfPoller *poller, ConfDeferred *deferred);
static void begin_loop_turn(ConfPoller *poller);
static void end_loop_turn(ConfPoller *poller);

static GSourceFuncs source_funcs = {
    .prepare = source_prepare,
    .check = source_check,
    .dispatch = source_dispatch,
};

/* What runs now, and since when; process-wide, as there is one main loop. */
static const char *noted;
static int64_t noted_at;
static const char *noted_longest;
static int64_t noted_longest_usec;
static bool noting;
/* When the slice under way is over; 0: none is. */
static int64_t slice_end;

ConfPoller *
conf_poller_new(GMainContext *context, GError **error)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_FAILED, "epoll_create1: %s", g_strerror(errno));
        return NULL;
    }
    ConfPoller *poller = g_new0(ConfPoller, 1);
    poller->epoll_fd = epoll_fd;
    TAILQ_INIT(&poller->deferred);
    TAILQ_INIT(&poller->works);
    TAILQ_INIT(&poller->resuming);
    TAILQ_INIT(&poller->flushing);
    TAILQ_INIT(&poller->opening);
    TAILQ_INIT(&poller->ending);
    poller->deferred_by_data = g_hash_table_new(NULL, NULL);

    poller->source = g_source_new(&source_funcs, sizeof(PollerSource));
    ((PollerSource *)poller->source)->poller = poller;
    g_source_set_static_name(poller->source, "confserv sockets");
    poller->epoll_tag = g_source_add_unix_fd(poller->source, epoll_fd, G_IO_IN);
    g_source_attach(poller->source, context);
    return poller;
}

void
conf_poller_free(ConfPoller *poller)
{
    if (poller == NULL)
        return;
    g_assert(!poller->in_turn);
    g_assert(poller->watch_count == 0);
    while (!TAILQ_EMPTY(&poller->works))
        conf_work_cancel(TAILQ_FIRST(&poller->works));
    while (!TAILQ_EMPTY(&poller->deferred)) {
        ConfDeferred *deferred = TAILQ_FIRST(&poller->deferred);
        unlink_deferred(poller, deferred);
        g_free(deferred);
    }
    g_hash_table_unref(poller->deferred_by_data);
    free_removed(poller);
    g_source_destroy(poller->source);
    g_source_unref(poller->source);
    close(poller->epoll_fd);
    g_free(poller);
}

ConfPoller *
conf_poller_default(void)
{
    static ConfPoller *poller;
    if (poller == NULL) {
        g_autoptr(GError) error = NULL;
        poller = conf_poller_new(NULL, &error);
        if (poller == NULL)
            g_error("The event loop cannot be made: %s", error->message);
    }
    return poller;
}

ConfPollerWatch *
conf_poller_add(ConfPoller *poller, int fd, uint32_t events, ConfPollerFunc func, void *data, GError **error)
{
    ConfPollerWatch *watch = g_new0(ConfPollerWatch, 1);
    *watch = (ConfPollerWatch){.poller = poller, .func = func, .data = data, .fd = fd, .events = events};
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_FAILED, "epoll_ctl: %s", g_strerror(errno));
        g_free(watch);
        return NULL;
    }
    poller->watch_count++;
    return watch;
}

void
conf_poller_modify(ConfPollerWatch *watch, uint32_t events)
{
    if (watch->events == events)
        return;
    watch->events = events;
    struct epoll_event event = {.events = events, .data.ptr = watch};
    /* A descriptor that is in the set stays modifiable: failing here means that the caller closed it too
     * early. */
    if (epoll_ctl(watch->poller->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0)
        g_critical("epoll_ctl of descriptor %d: %s", watch->fd, g_strerror(errno));
}

void
conf_poller_remove(ConfPollerWatch *watch)
{
    if (watch == NULL)
        return;
    ConfPoller *poller = watch->poller;
    if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL) < 0)
        g_critical("epoll_ctl of descriptor %d: %s", watch->fd, g_strerror(errno));
    poller->watch_count--;
    watch->removed = true;
    watch->next_removed = poller->removed;
    poller->removed = watch;
    if (poller->event_position == poller->event_count && !poller->in_turn)
        free_removed(poller);
}

void
conf_poller_defer(ConfPoller *poller, void (*func)(void *data), void *data)
{
    ConfDeferred *first = g_hash_table_lookup(poller->deferred_by_data, data);
    for (ConfDeferred *deferred = first; deferred != NULL; deferred = deferred->next_of_data) {
        if (deferred->func == func)
            return;
    }
    ConfDeferred *deferred = g_new0(ConfDeferred, 1);
    *deferred = (ConfDeferred){.next_of_data = first, .func = func, .data = data, .round = poller->round};
    g_hash_table_insert(poller->deferred_by_data, data, deferred);
    TAILQ_INSERT_TAIL(&poller->deferred, deferred, link);
}

void
conf_poller_forget(ConfPoller *poller, void *data)
{
    ConfDeferred *deferred;
    while ((deferred = g_hash_table_lookup(poller->deferred_by_data, data)) != NULL) {
        unlink_deferred(poller, deferred);
        g_free(deferred);
    }
}

void
conf_poller_end_turn(ConfPoller *poller)
{
    g_assert(!poller->in_turn);
    conf_connections_end_turn(poller);
}

ConfSlicedWork *
conf_work_start(ConfPoller *poller, const char *name, bool (*func)(void *data), void *data)
{
    ConfSlicedWork *work = g_new0(ConfSlicedWork, 1);
    *work = (ConfSlicedWork){.poller = poller, .name = name, .func = func, .data = data};
    TAILQ_INSERT_TAIL(&poller->works, work, link);
    return work;
}

void
conf_work_cancel(ConfSlicedWork *work)
{
    if (work == NULL)
        return;
    g_assert(work != work->poller->running);
    TAILQ_REMOVE(&work->poller->works, work, link);
    g_free(work);
}

bool
conf_work_is_due(void)
{
    return slice_end != 0 && conf_clock_monotonic_usec() >= slice_end;
}

void
conf_poller_set_slow_turn(ConfPoller *poller, unsigned ms)
{
    poller->slow_turn_ms = ms;
    noting = ms > 0;
}

void
conf_poller_note(const char *what)
{
    if (!noting) {
        noted = what;
        return;
    }
    int64_t now = conf_clock_monotonic_usec();
    if (noted != NULL && now - noted_at > noted_longest_usec) {
        noted_longest = noted;
        noted_longest_usec = now - noted_at;
    }
    noted = what;
    noted_at = now;
}

uint64_t
conf_poller_take_longest_turn(ConfPoller *poller)
{
    int64_t longest = poller->longest_turn;
    poller->longest_turn = 0;
    return (uint64_t)longest;
}

int64_t
conf_poller_now(const ConfPoller *poller)
{
    return poller->in_turn ? poller->now : conf_clock_monotonic_usec();
}

static gboolean
source_prepare(GSource *source, int *timeout)
{
    ConfPoller *poller = ((PollerSource *)source)->poller;
    end_loop_turn(poller);
    *timeout = -1;
    if (!has_work(poller))
        return FALSE;
    begin_loop_turn(poller); /* check() is not called where prepare() said yes. */
    return TRUE;
}

static gboolean
source_check(GSource *source)
{
    ConfPoller *poller = ((PollerSource *)source)->poller;
    begin_loop_turn(poller);
    return g_source_query_unix_fd(source, poller->epoll_tag) != 0 || has_work(poller);
}

static gboolean
source_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    ConfPoller *poller = ((PollerSource *)source)->poller;
    poller->in_turn = true;
    poller->now = conf_clock_monotonic_usec();
    conf_connections_open(poller); /* before their first bytes */
    hand_out_events(poller, g_source_query_unix_fd(source, poller->epoll_tag) != 0);
    conf_connections_resume(poller);
    run_deferred(poller);
    run_slice(poller);
    conf_connections_end_turn(poller);
    if (poller->event_position == poller->event_count)
        free_removed(poller);
    poller->in_turn = false;
    return G_SOURCE_CONTINUE;
}

static bool
has_work(const ConfPoller *poller)
{
    return poller->event_position < poller->event_count || !TAILQ_EMPTY(&poller->deferred) ||
           !TAILQ_EMPTY(&poller->works) || !TAILQ_EMPTY(&poller->resuming) ||
           !TAILQ_EMPTY(&poller->flushing) || !TAILQ_EMPTY(&poller->opening) || !TAILQ_EMPTY(&poller->ending);
}

/* Events that the budget leaves over are handed out first in the next turn: the kernel would tell them
 * again, but behind others, and the last of a full set might never come. */
static void
hand_out_events(ConfPoller *poller, bool readable)
{
    if (poller->event_position == poller->event_count && readable)
        take_events(poller);
    unsigned begin = poller->event_position;
    while (poller->event_position < poller->event_count) {
        unsigned handed = poller->event_position - begin;
        if (handed > 0 && handed % 8 == 0 &&
            conf_clock_monotonic_usec() - poller->now > CONF_POLLER_EVENTS_USEC)
            return;
        struct epoll_event *event = &poller->events[poller->event_position++];
        ConfPollerWatch *watch = event->data.ptr;
        /* What is not asked for any more since the events were taken must not come either. */
        uint32_t events = event->events & (watch->events | EPOLLERR | EPOLLHUP);
        if (!watch->removed && events != 0)
            watch->func(watch->data, events);
    }
}

static void
take_events(ConfPoller *poller)
{
    poller->event_position = poller->event_count = 0;
    int count = epoll_wait(poller->epoll_fd, poller->events, CONF_POLLER_EVENTS, 0);
    if (count > 0)
        poller->event_count = (unsigned)count;
    else if (count < 0 && errno != EINTR)
        g_critical("epoll_wait: %s", g_strerror(errno));
}

static void
free_removed(ConfPoller *poller)
{
    while (poller->removed != NULL) {
        ConfPollerWatch *watch = poller->removed;
        poller->removed = watch->next_removed;
        g_free(watch);
    }
}

/* Those asked for from within come in the next turn: a function that always asks again starves nobody. */
static void
run_deferred(ConfPoller *poller)
{
    uint64_t round = poller->round++;
    ConfDeferred *deferred;
    while ((deferred = TAILQ_FIRST(&poller->deferred)) != NULL && deferred->round <= round) {
        unlink_deferred(poller, deferred);
        void (*func)(void *data) = deferred->func;
        void *data = deferred->data;
        g_free(deferred);
        func(data);
    }
}

static void
unlink_deferred(ConfPoller *poller, ConfDeferred *deferred)
{
    TAILQ_REMOVE(&poller->deferred, deferred, link);
    ConfDeferred *first = g_hash_table_lookup(poller->deferred_by_data, deferred->data);
    if (first == deferred && deferred->next_of_data == NULL) {
        g_hash_table_remove(poller->deferred_by_data, deferred->data);
        return;
    }
    if (first == deferred) {
        g_hash_table_insert(poller->deferred_by_data, deferred->data, deferred->next_of_data);
        return;
    }
    while (first->next_of_data != deferred)
        first = first->next_of_data;
    first->next_of_data = deferred->next_of_data;
}

static void
run_slice(ConfPoller *poller)
{
    ConfSlicedWork *work = TAILQ_FIRST(&poller->works);
    if (work == NULL)
        return;
    conf_poller_note(work->name);
    poller->running = work;
    slice_end = conf_clock_monotonic_usec() + CONF_POLLER_SLICE_USEC;
    bool more = work->func(work->data);
    slice_end = 0;
    poller->running = NULL;
    TAILQ_REMOVE(&poller->works, work, link);
    if (more)
        TAILQ_INSERT_TAIL(&poller->works, work, link);
    else
        g_free(work);
}

/* The turn that is measured is the main loop's: from the return of its poll to the next one, whichever
 * source ran. */
static void
begin_loop_turn(ConfPoller *poller)
{
    poller->turn_began = conf_clock_monotonic_usec();
    noted = NULL;
    noted_at = poller->turn_began;
    noted_longest = NULL;
    noted_longest_usec = 0;
}

static void
end_loop_turn(ConfPoller *poller)
{
    if (poller->turn_began == 0)
        return;
    int64_t took = conf_clock_monotonic_usec() - poller->turn_began;
    poller->turn_began = 0;
    if (took > poller->longest_turn)
        poller->longest_turn = took;
    if (poller->slow_turn_ms == 0 || took <= (int64_t)poller->slow_turn_ms * 1000)
        return;
    conf_poller_note(NULL);
    conf_log(CONF_LOG_SLOW_TURN, "ms", conf_log_integer(took / 1000), "longest", noted_longest, "longest-ms",
             conf_log_integer(noted_longest_usec / 1000), NULL);
}
