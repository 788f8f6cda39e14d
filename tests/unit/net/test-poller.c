/* Tests of net/poller: events, what is put off to the end of the turn, long work in slices. */
#include <sys/epoll.h>

#include "net-test.h"

typedef struct {
    unsigned calls;
    ConfPollerWatch *remove; /* when called */
    ConfPollerWatch **also;
    int fd;
} Watched;

static void
on_event(void *data, uint32_t events)
{
    Watched *watched = data;
    watched->calls++;
    char c;
    if (watched->fd >= 0 && read(watched->fd, &c, 1) < 0)
        g_assert_cmpint(errno, ==, EAGAIN);
    if (watched->also != NULL && *watched->also != NULL) {
        conf_poller_remove(*watched->also);
        *watched->also = NULL;
    }
}

static void
count(void *data)
{
    (*(unsigned *)data)++;
}

static void
test_event_reaches_watch(void)
{
    int fds[2];
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), ==, 0);
    Watched watched = {.fd = fds[0]};
    g_autoptr(GError) error = NULL;
    ConfPollerWatch *watch =
        conf_poller_add(conf_poller_default(), fds[0], EPOLLIN, on_event, &watched, &error);
    g_assert_no_error(error);
    net_test_turn_for(10);
    g_assert_cmpuint(watched.calls, ==, 0);
    g_assert_cmpint(write(fds[1], "x", 1), ==, 1);
    WAIT_FOR(watched.calls == 1);
    conf_poller_modify(watch, 0);
    g_assert_cmpint(write(fds[1], "x", 1), ==, 1);
    net_test_turn_for(10);
    g_assert_cmpuint(watched.calls, ==, 1);
    conf_poller_modify(watch, EPOLLIN);
    WAIT_FOR(watched.calls == 2);
    conf_poller_remove(watch);
    close(fds[0]);
    close(fds[1]);
}

/* Both are ready in the same turn; whichever comes first removes the other, which must then not be called. */
static void
test_removed_watch_is_silent(void)
{
    int first[2], second[2];
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, first), ==, 0);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, second), ==, 0);
    ConfPollerWatch *watches[2];
    Watched a = {.fd = first[0], .also = &watches[1]}, b = {.fd = second[0], .also = &watches[0]};
    watches[0] = conf_poller_add(conf_poller_default(), first[0], EPOLLIN, on_event, &a, NULL);
    watches[1] = conf_poller_add(conf_poller_default(), second[0], EPOLLIN, on_event, &b, NULL);
    g_assert_cmpint(write(first[1], "x", 1), ==, 1);
    g_assert_cmpint(write(second[1], "x", 1), ==, 1);
    WAIT_FOR(a.calls + b.calls > 0);
    net_test_turn_for(10);
    g_assert_cmpuint(a.calls + b.calls, ==, 1);
    conf_poller_remove(watches[0]);
    conf_poller_remove(watches[1]);
    close(first[0]), close(first[1]), close(second[0]), close(second[1]);
}

static void
on_event_slowly(void *data, uint32_t events)
{
    int64_t end = conf_clock_monotonic_usec() + 2000;
    while (conf_clock_monotonic_usec() < end) {
    }
    (*(unsigned *)data)++;
}

/* More is ready than a turn has time for: each has its turn before any has it again. */
static void
test_events_take_turns(void)
{
    enum { COUNT = 50 };
    int fds[COUNT][2];
    unsigned calls[COUNT] = {0};
    ConfPollerWatch *watches[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds[i]), ==, 0);
        g_assert_cmpint(write(fds[i][1], "x", 1), ==, 1);
        watches[i] =
            conf_poller_add(conf_poller_default(), fds[i][0], EPOLLIN, on_event_slowly, &calls[i], NULL);
    }
    while (calls[0] < 4) {
        unsigned before = 0, after = 0;
        for (unsigned i = 0; i < COUNT; i++)
            before += calls[i];
        net_test_iterate();
        unsigned least = calls[0], most = calls[0];
        for (unsigned i = 0; i < COUNT; i++) {
            after += calls[i];
            least = MIN(least, calls[i]);
            most = MAX(most, calls[i]);
        }
        g_assert_cmpuint(after - before, <, COUNT);
        g_assert_cmpuint(most - least, <=, 1);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        conf_poller_remove(watches[i]);
        close(fds[i][0]);
        close(fds[i][1]);
    }
}

static void
test_closed_descriptor_is_refused(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(conf_poller_add(conf_poller_default(), 9999, EPOLLIN, on_event, NULL, &error));
    g_assert_nonnull(error);
}

typedef struct {
    unsigned calls, again;
} Repeated;

static void
repeat(void *data)
{
    Repeated *repeated = data;
    repeated->calls++;
    if (repeated->again-- > 0)
        conf_poller_defer(conf_poller_default(), repeat, repeated);
}

static void
test_deferred_runs_once(void)
{
    ConfPoller *poller = conf_poller_default();
    unsigned calls = 0, forgotten = 0;
    conf_poller_defer(poller, count, &calls);
    conf_poller_defer(poller, count, &calls);
    conf_poller_defer(poller, count, &forgotten);
    conf_poller_forget(poller, &forgotten);
    WAIT_FOR(calls > 0);
    net_test_turn_for(10);
    g_assert_cmpuint(calls, ==, 1);
    g_assert_cmpuint(forgotten, ==, 0);

    Repeated repeated = {.again = 3};
    conf_poller_defer(poller, repeat, &repeated);
    WAIT_FOR(repeated.calls == 4);
    net_test_turn_for(10);
    g_assert_cmpuint(repeated.calls, ==, 4);
}

static void
forget_neighbour(void *data)
{
    conf_poller_forget(conf_poller_default(), data);
}

/* A function of this turn may take back another one of this turn. */
static void
test_forget_within_turn(void)
{
    unsigned calls = 0;
    conf_poller_defer(conf_poller_default(), forget_neighbour, &calls);
    conf_poller_defer(conf_poller_default(), count, &calls);
    net_test_turn_for(10);
    g_assert_cmpuint(calls, ==, 0);
}

typedef struct {
    unsigned slices, left;
    GString *order;
    char name;
} Sliced;

static bool
slice(void *data)
{
    Sliced *sliced = data;
    sliced->slices++;
    g_string_append_c(sliced->order, sliced->name);
    while (!conf_work_is_due()) {
    }
    return --sliced->left > 0;
}

static void
test_slices_take_turns(void)
{
    g_autoptr(GString) order = g_string_new(NULL);
    Sliced a = {.left = 5, .order = order, .name = 'a'}, b = {.left = 5, .order = order, .name = 'b'};
    int fds[2];
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), ==, 0);
    Watched watched = {.fd = -1}; /* Readable all the time: it is called in each turn. */
    g_assert_cmpint(write(fds[1], "x", 1), ==, 1);
    ConfPollerWatch *watch =
        conf_poller_add(conf_poller_default(), fds[0], EPOLLIN, on_event, &watched, NULL);
    g_assert_false(conf_work_is_due());
    conf_work_start(conf_poller_default(), "a", slice, &a);
    conf_work_start(conf_poller_default(), "b", slice, &b);
    WAIT_FOR(a.left == 0 && b.left == 0);
    g_assert_cmpstr(order->str, ==, "ababababab");
    g_assert_cmpuint(watched.calls, >=, 8);
    conf_poller_remove(watch);
    close(fds[0]), close(fds[1]);
}

static void
test_cancelled_work_stops(void)
{
    g_autoptr(GString) order = g_string_new(NULL);
    Sliced a = {.left = 1000000, .order = order, .name = 'a'};
    ConfSlicedWork *work = conf_work_start(conf_poller_default(), "a", slice, &a);
    WAIT_FOR(a.slices > 2);
    conf_work_cancel(work);
    unsigned slices = a.slices;
    net_test_turn_for(10);
    g_assert_cmpuint(a.slices, ==, slices);
}

static void
be_slow(void *data)
{
    int64_t end = conf_clock_monotonic_usec() + 30 * 1000;
    while (conf_clock_monotonic_usec() < end) {
    }
    (*(unsigned *)data)++;
}

static void
test_longest_turn_is_known(void)
{
    unsigned calls = 0;
    ConfPoller *poller = conf_poller_default();
    conf_poller_take_longest_turn(poller);
    conf_poller_defer(poller, be_slow, &calls);
    WAIT_FOR(calls == 1);
    net_test_iterate();
    g_assert_cmpuint(conf_poller_take_longest_turn(poller), >=, 30 * 1000);
    g_assert_cmpuint(conf_poller_take_longest_turn(poller), <, 30 * 1000);
}

static void
test_own_context(void)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(GError) error = NULL;
    ConfPoller *poller = conf_poller_new(context, &error);
    g_assert_no_error(error);
    unsigned calls = 0;
    conf_poller_defer(poller, count, &calls);
    g_assert_true(g_main_context_iteration(context, FALSE));
    g_assert_cmpuint(calls, ==, 1);
    conf_poller_defer(poller, count, &calls); /* is dropped */
    conf_poller_free(poller);
    g_assert_cmpuint(calls, ==, 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    g_test_add_func("/poller/event", test_event_reaches_watch);
    g_test_add_func("/poller/removed-watch", test_removed_watch_is_silent);
    g_test_add_func("/poller/events-take-turns", test_events_take_turns);
    g_test_add_func("/poller/closed-descriptor", test_closed_descriptor_is_refused);
    g_test_add_func("/poller/deferred", test_deferred_runs_once);
    g_test_add_func("/poller/forget-within-turn", test_forget_within_turn);
    g_test_add_func("/poller/slices", test_slices_take_turns);
    g_test_add_func("/poller/cancelled-work", test_cancelled_work_stops);
    g_test_add_func("/poller/longest-turn", test_longest_turn_is_known);
    g_test_add_func("/poller/own-context", test_own_context);
    return g_test_run();
}
