/* test-timer-wheel.c - timers fire once, never early, in order, and survive what their funcs do to each
 * other. */
#include <glib.h>

#include "base/clock.h"
#include "base/timer-wheel-private.h"

typedef struct {
    ConfTimer timer;
    unsigned ms;
    int64_t armed_usec;
    int64_t fired_usec;
    unsigned *fired_count;
} Shot;

static void
on_shot(void *data)
{
    Shot *shot = data;
    g_assert_false(conf_timer_is_armed(&shot->timer));
    shot->fired_usec = conf_clock_monotonic_usec();
    ++*shot->fired_count;
}

static void
test_never_early(void)
{
    static const unsigned DELAYS[] = {0, 1, 9, 10, 11, 35, 99, 250, 641, 700};
    Shot shots[G_N_ELEMENTS(DELAYS)] = {0};
    unsigned fired = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(DELAYS); i++) {
        shots[i].ms = DELAYS[i];
        shots[i].fired_count = &fired;
        shots[i].armed_usec = conf_clock_monotonic_usec();
        conf_timer_arm(&shots[i].timer, DELAYS[i], on_shot, &shots[i]);
        g_assert_true(conf_timer_is_armed(&shots[i].timer));
    }
    while (fired < G_N_ELEMENTS(DELAYS))
        g_main_context_iteration(NULL, TRUE);
    for (unsigned i = 0; i < G_N_ELEMENTS(DELAYS); i++) {
        int64_t waited_usec = shots[i].fired_usec - shots[i].armed_usec;
        g_assert_cmpint(waited_usec, >=, (int64_t)DELAYS[i] * 1000);
        /* Generous: the machine may be busy, but seconds late would be a mistake of the wheel. */
        g_assert_cmpint(waited_usec, <, (int64_t)DELAYS[i] * 1000 + 5 * G_USEC_PER_SEC);
    }
}

static void
test_arm_anew(void)
{
    unsigned fired = 0;
    Shot shot = {.fired_count = &fired};
    conf_timer_arm(&shot.timer, 1, on_shot, &shot);
    shot.armed_usec = conf_clock_monotonic_usec();
    conf_timer_arm(&shot.timer, 60, on_shot, &shot);
    while (fired == 0)
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpint(shot.fired_usec - shot.armed_usec, >=, 60000);
    g_assert_cmpuint(fired, ==, 1);
}

typedef struct {
    ConfTimerWheel *wheel;
    GString *order;
    ConfTimer timers[4];
} Group;

static void
append_b(void *data)
{
    g_string_append_c(((Group *)data)->order, 'b');
}

static void
append_c_and_arm(void *data)
{
    Group *group = data;
    g_string_append_c(group->order, 'c');
    conf_timer_wheel_arm_at(group->wheel, &group->timers[2], 0, append_b, group);
}

static void
append_a_and_cancel(void *data)
{
    Group *group = data;
    g_string_append_c(group->order, 'a');
    conf_timer_cancel(&group->timers[1]);
}

static void
test_same_tick(void)
{
    Group group = {.wheel = conf_timer_wheel_new(NULL), .order = g_string_new(NULL)};
    conf_timer_wheel_arm_at(group.wheel, &group.timers[0], 100, append_a_and_cancel, &group);
    conf_timer_wheel_arm_at(group.wheel, &group.timers[1], 100, append_b, &group);
    conf_timer_wheel_arm_at(group.wheel, &group.timers[2], 100, append_c_and_arm, &group);
    conf_timer_wheel_arm_at(group.wheel, &group.timers[3], 100, append_b, &group);
    conf_timer_wheel_advance(group.wheel, 99);
    g_assert_cmpstr(group.order->str, ==, "");
    /* In the order of arming, without the one cancelled; what is armed anew waits for the next tick. */
    conf_timer_wheel_advance(group.wheel, 100);
    g_assert_cmpstr(group.order->str, ==, "acb");
    conf_timer_wheel_advance(group.wheel, 101);
    g_assert_cmpstr(group.order->str, ==, "acbb");
    g_assert_cmpint(conf_timer_wheel_get_wake(group.wheel), ==, INT64_MAX);
    conf_timer_wheel_free(group.wheel);
    g_string_free(group.order, TRUE);
}

static void
free_holder(void *data)
{
    g_free(data);
}

static void
test_func_frees_holder(void)
{
    ConfTimerWheel *wheel = conf_timer_wheel_new(NULL);
    for (unsigned i = 0; i < 100; i++) {
        ConfTimer *timer = g_new0(ConfTimer, 1);
        conf_timer_wheel_arm_at(wheel, timer, 5 + i % 3, free_holder, timer);
    }
    conf_timer_wheel_advance(wheel, 10);
    g_assert_cmpint(conf_timer_wheel_get_wake(wheel), ==, INT64_MAX);
    conf_timer_wheel_free(wheel);
}

static void
test_timer_outlives_wheel(void)
{
    ConfTimer timer = {0};
    ConfTimerWheel *wheel = conf_timer_wheel_new(NULL);
    conf_timer_wheel_arm(wheel, &timer, 1000, append_b, NULL);
    conf_timer_wheel_free(wheel);
    g_assert_false(conf_timer_is_armed(&timer));
    conf_timer_cancel(&timer);
}

enum { MODEL_TIMERS = 400 };

typedef struct {
    ConfTimerWheel *wheel;
    ConfTimer timers[MODEL_TIMERS];
    int64_t due[MODEL_TIMERS]; /* the model; -1: not armed */
    int64_t now;
    int64_t last_due;
} Model;

typedef struct {
    Model *model;
    unsigned index;
} Member;

static void
on_member(void *data)
{
    Member *member = data;
    Model *model = member->model;
    int64_t due = model->due[member->index];
    g_assert_cmpint(due, >=, 0);
    g_assert_cmpint(due, <=, model->now);
    g_assert_cmpint(due, >=, model->last_due);
    model->last_due = due;
    model->due[member->index] = -1;
}

static int64_t
random_span(void)
{
    int64_t limit = INT64_C(1) << g_test_rand_int_range(0, 36);
    return (int64_t)(g_test_rand_double() * (double)limit) + 1;
}

/* Against the plainest model there is: a list of due ticks. */
static void
test_model(void)
{
    Model *model = g_new0(Model, 1);
    g_autofree Member *members = g_new(Member, MODEL_TIMERS);
    model->wheel = conf_timer_wheel_new(NULL);
    for (unsigned i = 0; i < MODEL_TIMERS; i++) {
        members[i] = (Member){model, i};
        model->due[i] = -1;
    }
    for (unsigned step = 0; step < 20000; step++) {
        unsigned i = (unsigned)g_test_rand_int_range(0, MODEL_TIMERS);
        int choice = g_test_rand_int_range(0, 10);
        if (choice < 6) {
            model->due[i] = model->now + random_span();
            conf_timer_wheel_arm_at(model->wheel, &model->timers[i], model->due[i], on_member, &members[i]);
        } else if (choice < 8) {
            model->due[i] = -1;
            conf_timer_cancel(&model->timers[i]);
        } else {
            model->last_due = 0;
            model->now += choice == 8 ? 1 : random_span() / 64;
            conf_timer_wheel_advance(model->wheel, model->now);
        }
        int64_t first = INT64_MAX;
        for (unsigned k = 0; k < MODEL_TIMERS; k++) {
            g_assert_true(conf_timer_is_armed(&model->timers[k]) == (model->due[k] >= 0));
            if (model->due[k] < 0)
                continue;
            g_assert_cmpint(model->due[k], >, model->now);
            first = MIN(first, model->due[k]);
        }
        /* The loop must not sleep past a timer. */
        g_assert_cmpint(conf_timer_wheel_get_wake(model->wheel), <=, first);
    }
    conf_timer_wheel_free(model->wheel);
    g_free(model);
}

static void
test_many(void)
{
    enum { COUNT = 100000 };
    g_autofree ConfTimer *timers = g_new0(ConfTimer, COUNT);
    ConfTimerWheel *wheel = conf_timer_wheel_new(NULL);
    int64_t begin = conf_clock_monotonic_usec();
    for (unsigned round = 0; round < 5; round++)
        for (unsigned i = 0; i < COUNT; i++)
            conf_timer_wheel_arm(wheel, &timers[i], 30000 + i % 1000, append_b, NULL);
    for (unsigned i = 0; i < COUNT; i++)
        conf_timer_cancel(&timers[i]);
    int64_t took_usec = conf_clock_monotonic_usec() - begin;
    /* 600,000 steps of constant cost take well under a second even with sanitizers; a walk over all would
     * take hours. */
    g_assert_cmpint(took_usec, <, 20 * G_USEC_PER_SEC);
    conf_timer_wheel_advance(wheel, 10000);
    g_assert_cmpint(conf_timer_wheel_get_wake(wheel), ==, INT64_MAX);
    conf_timer_wheel_free(wheel);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/timer-wheel/never-early", test_never_early);
    g_test_add_func("/base/timer-wheel/arm-anew", test_arm_anew);
    g_test_add_func("/base/timer-wheel/same-tick", test_same_tick);
    g_test_add_func("/base/timer-wheel/func-frees-holder", test_func_frees_holder);
    g_test_add_func("/base/timer-wheel/timer-outlives-wheel", test_timer_outlives_wheel);
    g_test_add_func("/base/timer-wheel/model", test_model);
    g_test_add_func("/base/timer-wheel/many", test_many);
    return g_test_run();
}
