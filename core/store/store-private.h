/* store-private.h - the inside of store and working sets, for the files of this folder and their tests. */
#pragma once

#include "net/poller.h"
#include "store/index-private.h"
#include "store/store.h"

/* Working sets nest: a transaction over its batch over the store. */
enum { CONF_STATE_DEPTH_MAX = 8 };

struct ConfState {
    ConfState *below; /* NULL: the store's own */
    ConfStore *store;
    ConfIndex *index; /* of the store; of a working set: its own changes */
    bool is_structural;
    unsigned depth;
    void *cache;
    void (*free_cache)(void *cache);
};

/* An index that was replaced, while it is freed in slices. */
typedef struct {
    ConfStore *store;
    ConfIndex index;
    size_t position;
    ConfSlicedWork *work;
} ConfRetired;

struct ConfStore {
    ConfSchema *schema;
    GPtrArray *old_schemas; /* replaced by a reload; what others compiled by them may still run */
    ConfIndex index;
    ConfState state;
    ConfStorePosition position;
    /* Times that something was put or removed: what is borrowed stands while it is the same. */
    uint64_t changes;
    GHashTable *places; /* ConfPlace * by (folder, tenant), see place.c */

    /* recent.c: commits without gaps, the last one leads to `position` */
    GPtrArray *recent;
    unsigned recent_first; /* those before it are gone */
    size_t recent_bytes, recent_limit;
    char start_chain[17]; /* of the revision that the oldest leads away from; "": not known */

    /* fold.c: what conf_store_apply() does with this very commit */
    ConfCommit *fold_commit;
    ConfStore *fold_fresh;
    GPtrArray *retired; /* ConfRetired * */
};

/* store.c */
void conf_store_note_change(ConfStore *store, const ConfObject *before, const ConfObject *after);

/* place.c */
GHashTable *conf_places_new(void);

/* recent.c */
void conf_recent_init(ConfStore *store);
void conf_recent_clear(ConfStore *store);
/* The commit that the store came to its position by, and where it was before. */
void conf_recent_append(ConfStore *store, ConfCommit *commit, const ConfStorePosition *before);
/* Approximate memory of a commit. */
size_t conf_commit_measure(const ConfCommit *commit);
/* Lists and places of one side of a change. */
void conf_change_fill_before(ConfStore *store, ConfChange *change);
void conf_change_fill_after(ConfStore *store, ConfChange *change);

/* fold.c */
/* Content and name of history of the store that was filled; revision and chain are the commit's. */
void conf_store_apply_fold(ConfStore *store);
void conf_store_drop_fold(ConfStore *store);
/* Takes the index and frees it in slices. */
void conf_store_retire(ConfStore *store, ConfIndex index);
void conf_store_finish_retired(ConfStore *store);

/* tree.c */
/* As conf_state_parent; a folder that is not visible to this replica does not end the walk: the tenant
 * comes next. */
const ConfObject *conf_state_step_up(const ConfState *state, const ConfObject *object);
