/* hash-queue-private.h - password hashes that wait for the worker pool: bounded in all and fair among
 * addresses.
 *
 * Addresses take turns.  When the queue is full, the address that has most waiting gives up its newest job
 * for one of an address with fewer, so that one address cannot keep the others out, yet may use what
 * nobody else wants.  Main loop only, but for work(). */
#pragma once

#include "base/bytes.h"

typedef struct ConfHashQueue ConfHashQueue;
typedef struct ConfHashJob ConfHashJob;
typedef struct ConfHashTurns ConfHashTurns; /* the jobs of one address */

typedef enum {
    CONF_HASH_DONE,      /* work() ran */
    CONF_HASH_DISPLACED, /* another address's job took its place */
    CONF_HASH_STOPPED,   /* the queue was freed */
} ConfHashOutcome;

/* Embedded in what is to be hashed. */
struct ConfHashJob {
    void (*work)(ConfHashJob *job);                           /* in the pool: touches nothing but the job */
    void (*ended)(ConfHashJob *job, ConfHashOutcome outcome); /* once, unless cancelled */
    void (*release)(ConfHashJob *job);                        /* the last call, always: frees it */
    ConfHashQueue *queue;
    ConfHashTurns *turns; /* while it waits */
    GList link;
    int64_t begun_at;
    bool is_running;
    bool is_over; /* ended() was called, or cancelled */
};

ConfHashQueue *conf_hash_queue_new(void);
/* Ends all that waits or runs as CONF_HASH_STOPPED. */
void conf_hash_queue_free(ConfHashQueue *queue);
void conf_hash_queue_set_limit(ConfHashQueue *queue, int64_t limit);
/* False: no room, the job is not taken.  True: ended() will be called, never before this returned. */
bool conf_hash_queue_push(ConfHashQueue *queue, ConfHashJob *job, const char *address);
/* ended() is not called any more; release() is, as soon as may be. */
void conf_hash_queue_cancel(ConfHashJob *job);
unsigned conf_hash_queue_waiting(const ConfHashQueue *queue);
/* When a refused one may hope for room: 1..60 s, scattered so that a crowd does not come back at once. */
unsigned conf_hash_queue_retry_after(const ConfHashQueue *queue);
