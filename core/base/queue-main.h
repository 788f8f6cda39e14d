/* queue-main.h - how another thread comes back to the main loop: one eventfd-woken queue for all threads. */
#pragma once

typedef void (*ConfMainFunc)(void *data);

/* Main thread, once, before any thread is started; remembers the calling thread as the main one. */
void conf_main_queue_init(void);
/* Any thread: func(data) will run on the main loop, in the order of the calls. */
void conf_main_queue_push(ConfMainFunc func, void *data);
/* Aborts when called off the main thread (a programmer's error). */
void conf_assert_main(void);
