/* history-writer-private.h - what the two halves of the writer share: the queue (history-writer.c) and
 * what the thread does with it (history-batch.c). */
#pragma once

#include "history-private.h"

typedef enum { HISTORY_ITEM_ENTRY, HISTORY_ITEM_AUDIT, HISTORY_ITEM_POSITION } HistoryItemKind;

typedef struct {
    HistoryItemKind kind;
    unsigned generation; /* of the file that was known when it was queued */
    uint64_t serial;
    size_t memory;
    const char *why; /* of an entry */
    union {
        HistoryEntry entry;
        HistoryAudit audit;
        struct {
            char environment[37], chain[HISTORY_CHAIN_SIZE];
            int64_t revision;
        } position;
    };
} HistoryItem;

struct HistoryWriter {
    ConfPlugin *plugin;
    char *path;
    bool strict; /* a primary: each record continues the chain */
    GThread *thread;

    /* shared, under lock */
    GMutex lock;
    GCond wake, progress;
    GQueue items;                 /* HistoryItem */
    size_t bytes;                 /* of items, and of the batch under way */
    int64_t oldest_usec;          /* monotonic: when the first of `items` came */
    GHashTable *sessions;         /* token → text, or NULL: to be forgotten */
    GHashTable *writing_sessions; /* those of the batch under way; NULL: none */
    HistorySettings settings;
    HistoryState state;
    unsigned known_generation; /* of the file that the main loop knows of: what it queues goes to that one */
    unsigned asked;            /* HistoryAsked: what the thread has not begun with */
    bool stop, ended, told;

    /* the thread's own */
    HistoryFile *file; /* NULL: it could not be opened */
    bool opened;       /* state.last is where the file ended that was open before; under lock */
    /* Where the server stood when it told so last: what a new file begins with. */
    char environment[37];
    HistoryMark origin;
    GPtrArray *batch;                          /* HistoryItem: taken, not written yet */
    uint64_t taken;                            /* number of the last that was taken */
    int64_t retry_usec, sync_usec, clean_usec; /* monotonic: when due; 0: not */
    size_t unsynced;                           /* bytes of entries */
};

void history_item_free(HistoryItem *item);
/* ---- history-batch.c, on the thread ---- */
/* Writes what was taken; a failure leaves it for another attempt. */
void history_batch_write(HistoryWriter *writer);
/* Waits for the disk, where that is due or `now`. */
void history_batch_sync(HistoryWriter *writer, bool now);
/* A slice of retention. */
void history_batch_clean(HistoryWriter *writer);
/* Damage was met by a reader: looks for it. */
void history_batch_check(HistoryWriter *writer);
/* Opens the file; a damaged one is set aside.  Before the thread begins the main loop's too. */
bool history_batch_open(HistoryWriter *writer, GError **error);
