/* downstream-private.h - one replica that follows this server.
 *
 * Two cursors: the walk goes over all objects in (type, dbid) order (a snapshot sends them, a resumption only
 * sums their digests up), the pump sends commits out of the ring of recent changes.  Both follow the pace of
 * the socket; nothing is queued for a slow replica, no writer waits.  The replica takes changes idempotently
 * by revision: one that concerns an object that the walk sent later, or did not send yet, does no harm.
 *
 * Before both, where the replica asks for them (changesFrom): older change records, for its history. */
#pragma once

#include "base/timer-wheel.h"
#include "replication/downstream.h"

typedef struct ConfReplica ConfReplica;
typedef struct ConfRecordRead ConfRecordRead; /* downstream-records.c */
struct ConfReplica {
    ConfDownstream *downstream;
    ConfSession *session;
    ConfConnection *connection;
    ConfKey application;
    ConfIdentity *identity; /* a reference; of the last commit looked at */
    bool secrets;           /* it may have them */
    bool walking;
    bool silent;     /* the walk sums up only */
    bool loaded_due; /* replica.loaded is to be sent once both cursors have arrived */
    bool summed;     /* `sum` covers everything */
    ConfKey walk_cursor;
    int64_t pump_cursor;
    bool recording;        /* older change records go first */
    bool records;          /* whole records go beside the commits that the walk lets through in part */
    int64_t record_cursor; /* the last revision whose record was sent, or that nobody holds any more */
    int64_t record_missed; /* the cursor at which the source had nothing more; -1 */
    ConfRecordRead *read;  /* the source is being asked */
    ConfBuffer record_line;
    uint8_t sum[16]; /* digest of what it may see, as the store is now, up to the walk's cursor */
    bool working;    /* in the list of the sliced work */
    ConfTimer beat;
    bool quiet; /* nothing was sent since the last beat was due */
};

struct ConfDownstream {
    ConfSessions *sessions;
    ConfStore *store;
    ConfDownstreamSettings settings;
    ConfRecordSource source;              /* read NULL: none */
    int64_t (*knowledge_age)(void *data); /* NULL: always 0 */
    void *knowledge_data;
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
/* downstream.c */
void conf_replica_go_on(ConfReplica *replica);
void conf_replica_send(ConfReplica *replica, ConfBuffer *buffer);
/* downstream-accounts.c */
void conf_downstream_add_accounts(ConfDownstream *downstream, ConfMethodTable *table);
/* downstream-questions.c */
/* NULL: *error, the request comes from no replica. */
const ConfReplica *conf_replica_of(const ConfDownstream *downstream, ConfRequest *request,
                                   ConfRpcError *error);
void conf_downstream_add_questions(ConfDownstream *downstream, ConfMethodTable *table);
/* Member age: the milliseconds since this server knew for certain that it has what the primary has, or that
 * it is the primary; none where it never did. */
void conf_downstream_write_age(ConfDownstream *downstream, ConfJsonWriter *writer);
/* downstream-records.c */
/* One turn of the older records, as far as there is room; replica->recording is false once they are done. */
void conf_replica_record_step(ConfReplica *replica);
/* The record of this one, beside its changes. */
void conf_replica_record_commit(ConfReplica *replica, const ConfCommit *commit);
void conf_replica_record_stop(ConfReplica *replica);
