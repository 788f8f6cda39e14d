/* downstream-private.h - one replica that follows this server.
 *
 * Two cursors: the walk goes over all objects in (type, dbid) order (a snapshot sends them, a resumption only
 * sums their digests up), the pump sends commits out of the ring of recent changes.  Both follow the pace of
 * the socket; nothing is queued for a slow replica, no writer waits.  The replica takes changes idempotently
 * by revision: one that concerns an object that the walk sent later, or did not send yet, does no harm. */
#pragma once

#include "base/timer-wheel.h"
#include "replication/downstream.h"

typedef struct ConfReplica ConfReplica;
struct ConfReplica {
    ConfDownstream *downstream;
    ConfSession *session;
    ConfConnection *connection;
    ConfKey application;
    ConfIdentity *identity; /* a reference; of the time of replica.open */
    bool secrets;           /* it may have them */
    bool walking;
    bool silent;     /* the walk sums up only */
    bool loaded_due; /* replica.loaded is to be sent once both cursors have arrived */
    bool summed;     /* `sum` covers everything */
    ConfKey walk_cursor;
    int64_t pump_cursor;
    uint8_t sum[16]; /* digest of what it may see, as the store is now, up to the walk's cursor */
    bool working;    /* in the list of the sliced work */
    ConfTimer beat;
    bool quiet; /* nothing was sent since the last beat was due */
};

struct ConfDownstream {
    ConfSessions *sessions;
    ConfStore *store;
    ConfDownstreamSettings settings;
    GPtrArray *replicas; /* owned */
    GQueue working;
    ConfSlicedWork *work;
    ConfDownstreamStatistics statistics;
    /* The lines of the commit sent last: replicas with the same view take the same bytes. */
    GPtrArray *cached_lines;
    char cached_chain[17]; /* names the commit: revisions alone come again in another environment */
    bool cached_secrets;
};

bool conf_replica_may_read(const ConfReplica *replica, const ConfAcl *acl);
/* True if every list of rights in force lets the identity read: the view is the whole store. */
bool conf_replica_reads_all(const ConfReplica *replica);
/* downstream-write.c */
/* Lines of replica.changes, each ended by LF; a new array, or the cached one (a reference). */
GPtrArray *conf_replica_write_commit(ConfReplica *replica, const ConfCommit *commit);
/* {"object":...,"secrets"?,"permissions"?} */
void conf_replica_write_item(const ConfReplica *replica, const ConfObject *object, ConfBuffer *buffer);
void conf_replica_item_digest(const ConfReplica *replica, const ConfObject *object, uint8_t digest[16]);
