/* timer-wheel.h - all timeouts of the server in one GSource: arming and cancelling cost O(1) whatever their
 * number. Main loop only.  Granularity 10 ms; a timer never fires early. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

typedef struct ConfTimerWheel ConfTimerWheel;
/* Embedded in what owns it; zero-initialised is "not armed". */
typedef struct ConfTimer ConfTimer;
typedef void (*ConfTimerFunc)(void *data);
struct ConfTimer {
    ConfTimer *next, **link; /* the wheel's */
    int64_t due_tick;
    ConfTimerFunc func;
    void *data;
};

/* NULL context: the default one.  One wheel serves the whole server: conf_timer_wheel_default(). */
ConfTimerWheel *conf_timer_wheel_new(GMainContext *context);
void conf_timer_wheel_free(ConfTimerWheel *wheel);
/* The process's own, on the default main context; made at first use. */
ConfTimerWheel *conf_timer_wheel_default(void);

/* Arms, or arms anew, on the default wheel.  func may free what holds the timer.  Timers due in the same tick
 * fire in the order in which they were armed. */
void conf_timer_arm(ConfTimer *timer, unsigned ms, ConfTimerFunc func, void *data);
/* As above on another wheel than the default one. */
void conf_timer_wheel_arm(ConfTimerWheel *wheel, ConfTimer *timer, unsigned ms, ConfTimerFunc func,
                          void *data);
void conf_timer_cancel(ConfTimer *timer);
static inline bool
conf_timer_is_armed(const ConfTimer *timer)
{
    return timer->link != NULL;
}
