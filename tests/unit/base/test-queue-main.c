/* test-queue-main.c - what threads push runs on the main loop, each thread's in its order, all of it. */
#include <glib.h>

#include "base/queue-main.h"

enum { THREADS = 4, PER_THREAD = 5000 };

typedef struct {
    unsigned next;
} Lane;

typedef struct {
    Lane *lane;
    unsigned number;
} Step;

static unsigned done_count;
static GThread *main_thread;

static void
on_step(void *data)
{
    Step *step = data;
    g_assert_true(g_thread_self() == main_thread);
    conf_assert_main();
    g_assert_cmpuint(step->number, ==, step->lane->next);
    step->lane->next++;
    done_count++;
    g_free(step);
}

static void *
push_steps(void *data)
{
    for (unsigned i = 0; i < PER_THREAD; i++) {
        Step *step = g_new(Step, 1);
        *step = (Step){data, i};
        conf_main_queue_push(on_step, step);
    }
    return NULL;
}

static void
test_threads(void)
{
    Lane lanes[THREADS] = {0};
    GThread *threads[THREADS];
    done_count = 0;
    for (unsigned i = 0; i < THREADS; i++)
        threads[i] = g_thread_new("pusher", push_steps, &lanes[i]);
    while (done_count < THREADS * PER_THREAD)
        g_main_context_iteration(NULL, TRUE);
    for (unsigned i = 0; i < THREADS; i++) {
        g_thread_join(threads[i]);
        g_assert_cmpuint(lanes[i].next, ==, PER_THREAD);
    }
}

static void
on_again(void *data)
{
    unsigned *left = data;
    if (--*left > 0)
        conf_main_queue_push(on_again, left);
}

static gboolean
count_turn(void *data)
{
    ++*(unsigned *)data;
    return G_SOURCE_CONTINUE;
}

/* A func that always pushes the next one must not shut the other sources out. */
static void
test_push_from_func(void)
{
    unsigned left = 100, turns = 0;
    unsigned idle = g_idle_add_full(G_PRIORITY_DEFAULT, count_turn, &turns, NULL);
    conf_main_queue_push(on_again, &left);
    while (left > 0)
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpuint(turns, >=, 50);
    g_source_remove(idle);
}

static void
on_slow(void *data)
{
    gint64 until = g_get_monotonic_time() + 3000;
    while (g_get_monotonic_time() < until)
        continue;
    ++*(unsigned *)data;
}

static void
test_slices(void)
{
    unsigned done = 0;
    for (unsigned i = 0; i < 10; i++)
        conf_main_queue_push(on_slow, &done);
    unsigned turns = 0;
    for (; done < 10; turns++)
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpuint(turns, >=, 10);
}

static void *
call_off_main(void *data)
{
    conf_assert_main();
    return NULL;
}

static void
test_assert_main(void)
{
    if (g_test_subprocess()) {
        g_thread_join(g_thread_new("other", call_off_main, NULL));
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*off the main thread*");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    conf_main_queue_init();
    main_thread = g_thread_self();
    g_test_add_func("/base/queue-main/threads", test_threads);
    g_test_add_func("/base/queue-main/push-from-func", test_push_from_func);
    g_test_add_func("/base/queue-main/slices", test_slices);
    g_test_add_func("/base/queue-main/assert-main", test_assert_main);
    return g_test_run();
}
