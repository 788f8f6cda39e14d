/* downstream.h - others follow this server: the server half of protocol.md 10, methods replica.*.  Main loop
 * only. */
#pragma once

#include "session/session.h"

typedef struct ConfDownstream ConfDownstream;
typedef struct {
    const char *release;
    bool allow_plain_replica;
} ConfDownstreamSettings;
/* Change records older than the ring of recent changes, for replicas that ask for them (changesFrom). */
typedef struct {
    /* Calls func for records with revision > after, ascending, as many as are at hand, until it answers false;
     * then done, once, at once or later.  None at all: nothing newer is held.  May begin behind a gap. */
    void (*read)(void *self, int64_t after, bool (*func)(ConfSlice record, const char *chain, void *data),
                 void (*done)(void *data), void *data);
    void *self;
} ConfRecordSource;

/* Adds replica.open, replica.object, replica.position, replica.accounts to `table` and a listener to
 * `publisher`. */
ConfDownstream *conf_downstream_new(ConfSessions *sessions, ConfPublisher *publisher, ConfMethodTable *table,
                                    const ConfDownstreamSettings *settings);
/* Copied; without one the ring is all there is. */
void conf_downstream_set_source(ConfDownstream *downstream, const ConfRecordSource *source);
/* How many milliseconds ago this server's data were the primary's for certain; G_MAXINT64: not known. */
void conf_downstream_set_knowledge(ConfDownstream *downstream, int64_t (*age)(void *data), void *data);
void conf_downstream_free(ConfDownstream *downstream);
void conf_downstream_set_settings(ConfDownstream *downstream, const ConfDownstreamSettings *settings);
typedef struct {
    uint64_t replicas, snapshots, resumes, records;
} ConfDownstreamStatistics;
const ConfDownstreamStatistics *conf_downstream_statistics(const ConfDownstream *downstream);
