/* timer-wheel-private.h - the wheel without its clock, so that years can pass in a test. */
#pragma once

#include "base/timer-wheel.h"

/* `due_tick` that has passed means the next one. */
void conf_timer_wheel_arm_at(ConfTimerWheel *wheel, ConfTimer *timer, int64_t due_tick, ConfTimerFunc func,
                             void *data);
/* Fires all that is due up to and with tick `target`. */
void conf_timer_wheel_advance(ConfTimerWheel *wheel, int64_t target);
/* Nothing is to do before the tick returned; INT64_MAX: nothing at all. */
int64_t conf_timer_wheel_get_wake(const ConfTimerWheel *wheel);
