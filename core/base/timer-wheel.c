/* timer-wheel.c - a hierarchical timing wheel behind one GSource.
 *
 * A tick is 10 ms since the wheel was made.  A level has 64 slots, a slot of level n spans 64^n ticks.  A
 * timer stands in the level of the highest six-bit digit in which its due tick differs from the current tick;
 * when the current tick comes to a slot of a level above 0, its timers move to lower levels.  So at each
 * level only slots above the current digit are in use, and the first of the lowest level that has any is what
 * comes next.
 *
 * Cancelling does not know the wheel: it unlinks the timer and leaves the bit of an empty slot set, which is
 * found and cleared later. */
#include "base/timer-wheel-private.h"

#include "base/clock.h"
#include "base/queue-main.h"

enum {
    LEVEL_BITS = 6,
    SLOT_COUNT = 1 << LEVEL_BITS,
    LEVEL_COUNT = 7, /* 42 bits of ticks: 1394 years */
    TICK_USEC = 10000,
};

struct ConfTimerWheel {
    GSource source; /* first: the wheel is the source */
    int64_t base_usec;
    int64_t current; /* everything due up to this tick has been fired */
    int64_t wake;    /* nothing is to do before this tick; INT64_MAX: nothing at all */
    uint64_t occupied[LEVEL_COUNT];
    ConfTimer *slots[LEVEL_COUNT][SLOT_COUNT]; /* the timer armed last stands first */
};

static gboolean wheel_prepare(GSource *source, int *timeout_ms);
static gboolean wheel_check(GSource *source);
static gboolean wheel_dispatch(GSource *source, GSourceFunc callback, gpointer data);
static void wheel_finalize(GSource *source);
static int64_t insert(ConfTimerWheel *wheel, ConfTimer *timer);
static void unlink_timer(ConfTimer *timer);
static bool find_next(ConfTimerWheel *wheel, int64_t *tick, unsigned *level);
static void move_down(ConfTimerWheel *wheel, unsigned level);
static void fire_current(ConfTimerWheel *wheel);
static ConfTimer *take_in_order(ConfTimer **slot);
static unsigned digit_of(int64_t tick, unsigned level);

static GSourceFuncs wheel_funcs = {
    .prepare = wheel_prepare,
    .check = wheel_check,
    .dispatch = wheel_dispatch,
    .finalize = wheel_finalize,
};

ConfTimerWheel *
conf_timer_wheel_new(GMainContext *context)
{
    GSource *source = g_source_new(&wheel_funcs, sizeof(ConfTimerWheel));
    ConfTimerWheel *wheel = (ConfTimerWheel *)source;
    g_source_set_static_name(source, "timer wheel");
    wheel->base_usec = conf_clock_monotonic_usec();
    wheel->wake = INT64_MAX;
    g_source_attach(source, context);
    return wheel;
}

void
conf_timer_wheel_free(ConfTimerWheel *wheel)
{
    if (wheel == NULL)
        return;
    g_source_destroy(&wheel->source);
    g_source_unref(&wheel->source);
}

ConfTimerWheel *
conf_timer_wheel_default(void)
{
    static ConfTimerWheel *wheel;
    conf_assert_main();
    if (G_UNLIKELY(wheel == NULL))
        wheel = conf_timer_wheel_new(NULL);
    return wheel;
}

void
conf_timer_arm(ConfTimer *timer, unsigned ms, ConfTimerFunc func, void *data)
{
    conf_timer_wheel_arm(conf_timer_wheel_default(), timer, ms, func, data);
}

void
conf_timer_wheel_arm(ConfTimerWheel *wheel, ConfTimer *timer, unsigned ms, ConfTimerFunc func, void *data)
{
    /* The clock itself, not the time at which the turn began: that one would make the timer fire early. */
    int64_t due_usec = conf_clock_monotonic_usec() - wheel->base_usec + (int64_t)ms * 1000;
    conf_timer_wheel_arm_at(wheel, timer, (due_usec + TICK_USEC - 1) / TICK_USEC, func, data);
}

void
conf_timer_wheel_arm_at(ConfTimerWheel *wheel, ConfTimer *timer, int64_t due_tick, ConfTimerFunc func,
                        void *data)
{
    conf_timer_cancel(timer);
    timer->func = func;
    timer->data = data;
    timer->due_tick = MAX(due_tick, wheel->current + 1);
    int64_t slot_tick = insert(wheel, timer);
    wheel->wake = MIN(wheel->wake, slot_tick);
}

void
conf_timer_cancel(ConfTimer *timer)
{
    if (timer->link != NULL)
        unlink_timer(timer);
}

void
conf_timer_wheel_advance(ConfTimerWheel *wheel, int64_t target)
{
    int64_t tick;
    unsigned level;
    while (find_next(wheel, &tick, &level) && tick <= target) {
        wheel->current = tick;
        if (level > 0)
            move_down(wheel, level);
        fire_current(wheel);
        if (g_source_is_destroyed(&wheel->source))
            return;
    }
    wheel->current = MAX(wheel->current, target);
    wheel->wake = find_next(wheel, &tick, &level) ? tick : INT64_MAX;
}

int64_t
conf_timer_wheel_get_wake(const ConfTimerWheel *wheel)
{
    return wheel->wake;
}

static gboolean
wheel_prepare(GSource *source, int *timeout_ms)
{
    ConfTimerWheel *wheel = (ConfTimerWheel *)source;
    *timeout_ms = -1;
    if (wheel->wake == INT64_MAX)
        return FALSE;
    int64_t left_usec = wheel->base_usec + wheel->wake * TICK_USEC - g_source_get_time(source);
    *timeout_ms = (int)CLAMP((left_usec + 999) / 1000, 0, G_MAXINT);
    return left_usec <= 0;
}

static gboolean
wheel_check(GSource *source)
{
    int timeout_ms;
    return wheel_prepare(source, &timeout_ms);
}

static gboolean
wheel_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    ConfTimerWheel *wheel = (ConfTimerWheel *)source;
    conf_timer_wheel_advance(wheel, (conf_clock_monotonic_usec() - wheel->base_usec) / TICK_USEC);
    return G_SOURCE_CONTINUE;
}

/* Timers may outlive the wheel: they must not point into it. */
static void
wheel_finalize(GSource *source)
{
    ConfTimerWheel *wheel = (ConfTimerWheel *)source;
    for (unsigned level = 0; level < LEVEL_COUNT; level++)
        for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
            while (wheel->slots[level][slot] != NULL)
                unlink_timer(wheel->slots[level][slot]);
}

/* Returns the tick at which the slot must be looked at. */
static int64_t
insert(ConfTimerWheel *wheel, ConfTimer *timer)
{
    uint64_t difference = (uint64_t)(timer->due_tick ^ wheel->current);
    unsigned level = difference == 0 ? 0 : (63 - (unsigned)__builtin_clzll(difference)) / LEVEL_BITS;
    g_assert(level < LEVEL_COUNT);
    unsigned slot = digit_of(timer->due_tick, level);

    ConfTimer **head = &wheel->slots[level][slot];
    timer->next = *head;
    timer->link = head;
    if (*head != NULL)
        (*head)->link = &timer->next;
    *head = timer;
    wheel->occupied[level] |= UINT64_C(1) << slot;
    return timer->due_tick & ~((INT64_C(1) << (level * LEVEL_BITS)) - 1);
}

static void
unlink_timer(ConfTimer *timer)
{
    g_assert(timer->link != NULL);
    *timer->link = timer->next;
    if (timer->next != NULL)
        timer->next->link = timer->link;
    timer->next = NULL;
    timer->link = NULL;
}

static bool
find_next(ConfTimerWheel *wheel, int64_t *tick, unsigned *level)
{
    for (unsigned l = 0; l < LEVEL_COUNT; l++) {
        unsigned digit = digit_of(wheel->current, l);
        /* Shifted twice: a shift by 64 is undefined. */
        uint64_t above = (~UINT64_C(0) << digit) << 1;
        uint64_t bits = wheel->occupied[l] & above;
        while (bits != 0) {
            unsigned slot = (unsigned)__builtin_ctzll(bits);
            if (wheel->slots[l][slot] != NULL) {
                int64_t kept = wheel->current >> ((l + 1) * LEVEL_BITS) << ((l + 1) * LEVEL_BITS);
                *tick = kept | (int64_t)slot << (l * LEVEL_BITS);
                *level = l;
                return true;
            }
            bits &= bits - 1;
            wheel->occupied[l] &= ~(UINT64_C(1) << slot);
        }
    }
    return false;
}

static void
move_down(ConfTimerWheel *wheel, unsigned level)
{
    unsigned slot = digit_of(wheel->current, level);
    wheel->occupied[level] &= ~(UINT64_C(1) << slot);
    ConfTimer *timers = take_in_order(&wheel->slots[level][slot]);
    while (timers != NULL) {
        ConfTimer *timer = timers;
        timers = timer->next;
        insert(wheel, timer);
    }
}

static void
fire_current(ConfTimerWheel *wheel)
{
    unsigned slot = digit_of(wheel->current, 0);
    wheel->occupied[0] &= ~(UINT64_C(1) << slot);
    ConfTimer *due = take_in_order(&wheel->slots[0][slot]);
    for (ConfTimer *timer = due, **link = &due; timer != NULL; link = &timer->next, timer = timer->next)
        timer->link = link;

    /* Each stays linked until its turn, so that one func may cancel, free or arm anew another of the same
     * tick. */
    while (due != NULL) {
        ConfTimer *timer = due;
        unlink_timer(timer);
        timer->func(timer->data);
    }
}

/* Empties the slot; the timer armed first stands first in what is returned.  Links are left to the caller. */
static ConfTimer *
take_in_order(ConfTimer **slot)
{
    ConfTimer *ordered = NULL;
    while (*slot != NULL) {
        ConfTimer *timer = *slot;
        *slot = timer->next;
        timer->next = ordered;
        ordered = timer;
    }
    return ordered;
}

static unsigned
digit_of(int64_t tick, unsigned level)
{
    return (unsigned)(tick >> (level * LEVEL_BITS)) & (SLOT_COUNT - 1);
}
