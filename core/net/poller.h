/* poller.h - every client socket in one epoll set, which is a single GSource of the main context.
 *
 * GMainContext polls each descriptor it is given on every turn; with thousands of sockets that alone costs
 * a millisecond.  So sockets are given to the poller.  Main loop only.  A turn is one dispatch of the
 * source: events are handed out, then deferred functions run, then connections flush what gathered (one
 * writev each). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

typedef struct ConfPoller ConfPoller;
typedef struct ConfPollerWatch ConfPollerWatch;
/* events: EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR, EPOLLRDHUP */
typedef void (*ConfPollerFunc)(void *data, uint32_t events);

ConfPoller *conf_poller_new(GMainContext *context, GError **error);
/* All watches must be gone. */
void conf_poller_free(ConfPoller *poller);
/* The process's own, on the default context. */
ConfPoller *conf_poller_default(void);

/* `fd` stays the caller's.  NULL and *error where epoll refuses. */
ConfPollerWatch *conf_poller_add(ConfPoller *poller, int fd, uint32_t events, ConfPollerFunc func, void *data,
                                 GError **error);
void conf_poller_modify(ConfPollerWatch *watch, uint32_t events);
/* Safe within func, also for other watches of the same turn: no event of a removed watch is delivered. */
void conf_poller_remove(ConfPollerWatch *watch);

/* Runs func(data) once at the end of this turn (or of a new one, at once, when outside a turn); each
 * (func, data) may be asked for again from within.  Used for flushes and for freeing what closed itself. */
void conf_poller_defer(ConfPoller *poller, void (*func)(void *data), void *data);
/* Forgets deferred calls for `data`. */
void conf_poller_forget(ConfPoller *poller, void *data);

/* What ends a turn, now, outside of one: connections that were closed are told so and freed.  Before that is
 * unloaded which they still know. */
void conf_poller_end_turn(ConfPoller *poller);

/* A piece of long work: func does at most 2 ms and answers true while there is more.  Slices of different
 * works take turns, sockets are served in between.  `name` is for the warning about slow turns. */
typedef struct ConfSlicedWork ConfSlicedWork;
ConfSlicedWork *conf_work_start(ConfPoller *poller, const char *name, bool (*func)(void *data), void *data);
/* Not from within func (there: return false). */
void conf_work_cancel(ConfSlicedWork *work);
/* True once 2 ms of this slice are over: asked by func, cheap. */
bool conf_work_is_due(void);

/* Turns longer than `ms` are logged with what ran (0: never).  conf_poller_note names what runs now (a
 * constant). */
void conf_poller_set_slow_turn(ConfPoller *poller, unsigned ms);
void conf_poller_note(const char *what);
/* The longest turn since it was last asked, microseconds. */
uint64_t conf_poller_take_longest_turn(ConfPoller *poller);
