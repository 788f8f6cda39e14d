/* store.h - all objects in memory, their indexes, the digest, the recent changes.  Main loop only.
 *
 * One writer of it: conf_store_apply(), called by the primary's commit pipeline and by a replica's stream.
 * Everybody else reads.  A million objects of 1 KB fit in 1.6 GiB. */
#pragma once

#include "store/commit.h"
#include "store/state.h"

/* `schema` is taken over. */
ConfStore *conf_store_new(ConfSchema *schema);
void conf_store_free(ConfStore *store);
ConfState *conf_store_state(ConfStore *store);
const ConfSchema *conf_store_schema(const ConfStore *store);

/* Name and position of this history. */
typedef struct {
    char environment[37];
    int64_t epoch;
    int64_t revision;
    char chain[17];
} ConfStorePosition;
const ConfStorePosition *conf_store_position(const ConfStore *store);
/* At start, at a reload, at a new epoch. */
void conf_store_set_position(ConfStore *store, const ConfStorePosition *position);

/* Filling at start: takes the object; no commit, nobody is told.  False (GError): the key stands there
 * already. */
bool conf_store_load(ConfStore *store, ConfObject *object, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Applies a whole commit: objects, indexes, digest, position (revision, chain), then the recent changes.
 * Fills acl_*, place_* and structural of `commit`.  `about` (may be NULL) is called when all is computed
 * but nothing applied yet: rights of before can still be asked. */
void conf_store_apply(ConfStore *store, ConfCommit *commit, void (*about)(ConfCommit *commit, void *data),
                      void *data);

/* Scans: the first object of the type with dbid > after; type 0 begins at the first type, CONF_KEY of the
 * last one goes on: (type, dbid) order over all.  NULL: the end. */
const ConfObject *conf_store_next(const ConfStore *store, ConfKey after);
const ConfObject *conf_store_next_of_type(const ConfStore *store, ConfTypeId type, int64_t after_dbid);
/* In order of (name, dbid).  `after` NULL: the first. */
const ConfObject *conf_store_next_by_name(const ConfStore *store, ConfTypeId type, const ConfObject *after);
const ConfObject *conf_store_next_by_name_key(const ConfStore *store, ConfTypeId type, ConfSlice name,
                                              int64_t dbid);
/* Direct children of a folder by (type, dbid) above `after`. */
const ConfObject *conf_store_next_child(const ConfStore *store, ConfKey container, ConfKey after);
const ConfObject *conf_store_next_referrer(const ConfStore *store, ConfKey target, ConfKey after);
/* Objects whose own list is `acl`. */
const ConfObject *conf_store_next_with_acl(const ConfStore *store, const ConfAcl *acl, ConfKey after);
uint64_t conf_store_count(const ConfStore *store);
uint64_t conf_store_count_type(const ConfStore *store, ConfTypeId type);
size_t conf_store_memory(const ConfStore *store); /* own estimate, bytes */

/* Hot path: by (type, name). `*others`: more objects of the type carry the name (other tenants or
 * folders). */
const ConfObject *conf_store_lookup_name(const ConfStore *store, ConfTypeId type, ConfSlice name,
                                         bool *others);
const ConfObject *conf_store_lookup(const ConfStore *store, ConfKey key);
/* As conf_state_acl(conf_store_state()), cached on the object's node. */
const ConfAcl *conf_store_acl(ConfStore *store, const ConfObject *object);
/* A number that is new after each structural change (lists of rights in force, groups, persons' states):
 * caches of the layers above ask whether it is still theirs. */
uint64_t conf_store_structure(const ConfStore *store);
/* Place of an object as it stands now; a reference. */
ConfPlace *conf_store_place(ConfStore *store, const ConfObject *object);

/* Sum modulo 2^128 over all objects. */
void conf_store_digest(const ConfStore *store, uint8_t digest[16]);
void conf_store_digest_text(const ConfStore *store, char hex[33]);

/* Next dbid of a type: primary only; taken within a working set by core/commit. */
int64_t conf_store_next_dbid(const ConfStore *store, ConfTypeId type);
void conf_store_set_next_dbid(ConfStore *store, ConfTypeId type, int64_t next);

/* ---- recent changes: a ring of commits, bounded by bytes ---- */
void conf_store_set_recent_limit(ConfStore *store, size_t bytes);
/* At start: a commit of the past, older than what the ring holds last is an error of the caller; commits
 * come ascending.  Its places and lists are computed from the present store where the objects still stand
 * as then. */
void conf_store_add_recent(ConfStore *store, ConfCommit *commit);
/* The same of a commit that does not go into the ring: one from further back. */
void conf_store_complete_past(ConfStore *store, ConfCommit *commit);
/* The commit that leads away from `revision` (its revision is the next above it). NULL: none newer, or no
 * longer held. */
ConfCommit *conf_store_recent_after(const ConfStore *store, int64_t revision);
/* The lowest revision from which everything newer is held; the present one where the ring is empty. */
int64_t conf_store_recent_start(const ConfStore *store);
/* The chain at `revision`; NULL: not known any more. */
const char *conf_store_chain_at(const ConfStore *store, int64_t revision);
/* Is (revision, chain) of this history?  True, false, or not known (older than the ring). */
typedef enum { CONF_HISTORY_SAME, CONF_HISTORY_OTHER, CONF_HISTORY_GONE } ConfHistoryVerdict;
ConfHistoryVerdict conf_store_check_history(const ConfStore *store, int64_t revision, const char *chain);
/* Forgets them: after a reload as a replica of another history. */
void conf_store_forget_recent(ConfStore *store);

/* ---- replacing all (a replica that reloads): the new store was filled beside the old one ----
 * Makes the fold of the differences between `store` and `fresh` (revision of fresh, from of store), for
 * publication, and moves the content of `fresh` into `store` when conf_store_apply() gets that commit.
 * Works in slices: call until it answers true.  Takes `fresh`; should one of the two change meanwhile, it
 * begins anew. */
typedef struct ConfFold ConfFold;
ConfFold *conf_fold_new(ConfStore *store, ConfStore *fresh);
bool conf_fold_step(ConfFold *fold); /* true: done */
/* Frees the fold; the commit is the caller's, to be applied before anything else is.  One that is not done
 * is done now. */
ConfCommit *conf_fold_finish(ConfFold *fold);
/* Given up: frees `fresh` too. */
void conf_fold_free(ConfFold *fold);
