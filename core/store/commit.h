/* commit.h - a committed transaction: what the store applies, what sessions, replicas and plugins are
 * told.  The same struct on a primary (made by core/commit) and on a replica (made from the stream).
 * Reference-counted; immutable after conf_store_apply() has filled the places.  Main loop only. */
#pragma once

#include "model/object.h"

/* Where an object stands: the folders and tenants above it, nearest first.  Shared by neighbours. */
typedef struct ConfPlace ConfPlace;
struct ConfPlace {
    unsigned refs;
    unsigned folder_count, tenant_count;
    int64_t *folders; /* dbids of all folders above */
    int64_t *tenants; /* dbids of the object's tenant and all above it */
};
/* The arrays are within it, to be filled by the caller before anybody else sees it. */
ConfPlace *conf_place_new(unsigned folder_count, unsigned tenant_count);
ConfPlace *conf_place_ref(ConfPlace *place);
void conf_place_unref(ConfPlace *place);

typedef enum {
    CONF_CHANGE_CREATE,
    CONF_CHANGE_UPDATE, /* the body changed (and perhaps the list of rights) */
    CONF_CHANGE_DELETE,
    CONF_CHANGE_PERMISSION, /* only the list of rights: body and revision stay */
    CONF_CHANGE_SECRET,     /* only secrets not shown in the body: replicas alone are told */
} ConfChangeKind;

typedef struct {
    ConfChangeKind kind;
    ConfObject *before; /* reference; NULL for CREATE */
    ConfObject *after;  /* reference; NULL for DELETE */
    /* "patch":{...},"add":{...},"remove":{...}: UPDATE only */
    ConfBytes *difference;
    /* Filled by conf_store_apply: lists in force and places on both sides (NULL where before or after is
     * NULL). */
    const ConfAcl *acl_before, *acl_after;
    ConfPlace *place_before, *place_after;
} ConfChange;

typedef struct ConfCommit ConfCommit;
struct ConfCommit {
    unsigned refs;
    int64_t revision;
    int64_t from; /* of a fold (a replica that reloaded): the revision before; else 0 */
    char chain[17];
    int64_t time_ms;
    ConfKey user, application; /* who; dbid 0: unknown or the server itself */
    char *address;             /* of the client, for history; NULL: none */
    bool recalled;             /* made from a change record: its objects lack their secrets */
    /* Net effect, each object once: creates in order, updates, deletes (referrers first). */
    ConfChange *changes;
    unsigned change_count;
    /* Something changed that decides what others may see: a list of rights, a group, a person's state, a
     * folder or tenant moved.  Filled by conf_store_apply. */
    bool structural;
    /* Approximate memory, for the ring. */
    size_t memory;
    /* Its change record, lent by the batch that committed it while it is published; size 0: not there. */
    ConfSlice record;
};

ConfCommit *conf_commit_new(unsigned change_count);
ConfCommit *conf_commit_ref(ConfCommit *commit);
void conf_commit_unref(ConfCommit *commit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfCommit, conf_commit_unref)

/* The change record, as stored and as the chain is made of:
 * {"revision","time","by":{"user","application","address"?},
 * "changes":[{"op","type","dbid","name","before":{...},"after":{...},"permissions"?...}]}, no secrets,
 * canonical, one line.  Self-contained: conf_commit_from_record rebuilds the commit (bodies of before and
 * after whole). */
void conf_commit_write_record(const ConfCommit *commit, const ConfSchema *schema, ConfBuffer *buffer);
/* Bodies as stored in the record; secrets are not there.  NULL: *error. */
ConfCommit *conf_commit_from_record(const ConfSchema *schema, ConfSlice record, const char *chain,
                                    GError **error);
