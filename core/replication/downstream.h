/* downstream.h - others follow this server: the server half of protocol.md 10, methods replica.*.  Main loop
 * only. */
#pragma once

#include "session/session.h"

typedef struct ConfDownstream ConfDownstream;
typedef struct {
    const char *release;
    bool allow_plain_replica;
} ConfDownstreamSettings;
/* Adds replica.open, replica.object to `table` and a listener to `publisher`. */
ConfDownstream *conf_downstream_new(ConfSessions *sessions, ConfPublisher *publisher, ConfMethodTable *table,
                                    const ConfDownstreamSettings *settings);
void conf_downstream_free(ConfDownstream *downstream);
void conf_downstream_set_settings(ConfDownstream *downstream, const ConfDownstreamSettings *settings);
typedef struct {
    uint64_t replicas, snapshots, resumes;
} ConfDownstreamStatistics;
const ConfDownstreamStatistics *conf_downstream_statistics(const ConfDownstream *downstream);
