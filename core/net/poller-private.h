/* poller-private.h - what the poller and the connections share: the queues that a turn works off.
 *
 * A turn: events are handed out, inputs that were released go on, deferred functions run, one slice of
 * long work runs, connections that ended are told so and freed, output is flushed. */
#pragma once

#include <sys/epoll.h>
#include <sys/queue.h>

#include "net/poller.h"

enum {
    CONF_POLLER_EVENTS = 512, /* taken from epoll at once */
    CONF_POLLER_EVENTS_USEC =
        20 * 1000, /* for events of one turn; the others keep their place for the next one */
    CONF_POLLER_FLUSH_USEC = 20 * 1000, /* for output of one turn */
    CONF_POLLER_SLICE_USEC = 2 * 1000,  /* for a slice of long work */
};

struct ConfPollerWatch {
    ConfPoller *poller;
    ConfPollerFunc func;
    void *data;
    int fd;
    uint32_t events;
    bool removed;
    ConfPollerWatch *next_removed;
};

typedef struct ConfConnection ConfConnection;
typedef TAILQ_HEAD(ConfConnectionQueue, ConfConnection) ConfConnectionQueue;

typedef struct ConfDeferred ConfDeferred;
struct ConfDeferred {
    TAILQ_ENTRY(ConfDeferred) link;
    ConfDeferred *next_of_data;
    void (*func)(void *data);
    void *data;
    uint64_t round;
};

struct ConfSlicedWork {
    TAILQ_ENTRY(ConfSlicedWork) link;
    ConfPoller *poller;
    const char *name;
    bool (*func)(void *data);
    void *data;
};

struct ConfPoller {
    GSource *source;
    int epoll_fd;
    void *epoll_tag;
    bool in_turn;
    int64_t now; /* monotonic usec at the beginning of the turn; see conf_poller_now */

    struct epoll_event events[CONF_POLLER_EVENTS];
    unsigned event_count, event_position;
    ConfPollerWatch *removed; /* freed when no event taken can name them any more */
    unsigned watch_count;

    TAILQ_HEAD(, ConfDeferred) deferred;
    GHashTable *deferred_by_data;
    uint64_t round;
    TAILQ_HEAD(, ConfSlicedWork) works;
    ConfSlicedWork *running;

    /* connection.c's */
    ConfConnectionQueue resuming; /* whole lines wait in the buffer, and may be handed on */
    ConfConnectionQueue flushing; /* output waits for the end of the turn */
    ConfConnectionQueue opening;  /* opened() is to be called */
    ConfConnectionQueue ending;   /* closed() is to be called, then freed */

    unsigned slow_turn_ms;
    int64_t turn_began; /* of the whole main loop; 0: it waits */
    int64_t longest_turn;
};

/* Of this turn while one is under way, else of now. */
int64_t conf_poller_now(const ConfPoller *poller);
/* Makes the next turn come at once. */
void conf_poller_wake(ConfPoller *poller);
