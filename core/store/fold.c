/* fold.c - a replica that reloaded: the differences between the store that serves and the one that was
 * filled beside it, as one commit.  Found, ordered and furnished with lists and places in slices; applying
 * it then only exchanges the indexes, however large they are, and what was replaced is freed in slices
 * too. */
#include "store/store-private.h"

#include <string.h>

#include "base/clock.h"
#include "store/dependency-private.h"

enum { OBJECTS_A_LOOK = 64 };

typedef struct {
    ConfObject *before, *after; /* references */
} Pair;

typedef enum { PHASE_COMPARE, PHASE_ORDER_CREATES, PHASE_ORDER_DELETES, PHASE_BUILD, PHASE_DONE } Phase;

struct ConfFold {
    ConfStore *store, *fresh;
    uint64_t store_changes, fresh_changes; /* what was compared; after a change of either all begins anew */
    Phase phase;
    ConfKey at;                   /* both stores are compared up to here */
    GPtrArray *creates, *deletes; /* ConfNode * of fresh, of store */
    GArray *updates;              /* Pair */
    ConfDependencyOrder *create_order, *delete_order;
    ConfCommit *commit;
    unsigned built;
    ConfBuffer scratch;
};

static void begin(ConfFold *fold);
static void clear(ConfFold *fold);
static bool compare_some(ConfFold *fold);
static void compare_pair(ConfFold *fold, const ConfObject *before, const ConfObject *after);
static bool build_some(ConfFold *fold);
static void begin_build(ConfFold *fold);
static void build_change(ConfFold *fold, unsigned index);
static ConfChangeKind update_kind(const ConfObject *before, const ConfObject *after);
static void clear_pair(void *pair);
static bool free_retired(void *data);

ConfFold *
conf_fold_new(ConfStore *store, ConfStore *fresh)
{
    ConfFold *fold = g_new0(ConfFold, 1);
    fold->store = store;
    fold->fresh = fresh;
    begin(fold);
    return fold;
}

void
conf_fold_free(ConfFold *fold)
{
    if (fold == NULL)
        return;
    clear(fold);
    conf_store_free(fold->fresh);
    g_free(fold);
}

bool
conf_fold_step(ConfFold *fold)
{
    if (fold->store->changes != fold->store_changes || fold->fresh->changes != fold->fresh_changes) {
        clear(fold);
        begin(fold);
    }
    if (fold->phase == PHASE_COMPARE && compare_some(fold)) {
        fold->create_order = conf_dependency_order_new(fold->creates);
        fold->phase = PHASE_ORDER_CREATES;
    }
    if (fold->phase == PHASE_ORDER_CREATES && conf_dependency_order_step(fold->create_order)) {
        fold->delete_order = conf_dependency_order_new(fold->deletes);
        fold->phase = PHASE_ORDER_DELETES;
    }
    if (fold->phase == PHASE_ORDER_DELETES && conf_dependency_order_step(fold->delete_order)) {
        begin_build(fold);
        fold->phase = PHASE_BUILD;
    }
    if (fold->phase == PHASE_BUILD && build_some(fold))
        fold->phase = PHASE_DONE;
    return fold->phase == PHASE_DONE;
}

ConfCommit *
conf_fold_finish(ConfFold *fold)
{
    while (!conf_fold_step(fold))
        ;
    ConfStore *store = fold->store;
    ConfCommit *commit = g_steal_pointer(&fold->commit);
    conf_store_drop_fold(store);
    store->fold_commit = conf_commit_ref(commit);
    store->fold_fresh = g_steal_pointer(&fold->fresh);
    conf_fold_free(fold);
    return commit;
}

void
conf_store_apply_fold(ConfStore *store)
{
    ConfStore *fresh = store->fold_fresh;
    conf_store_retire(store, store->index);
    store->index = fresh->index;
    if (strcmp(conf_schema_hash(store->schema), conf_schema_hash(fresh->schema)) != 0) {
        g_ptr_array_add(store->old_schemas, store->schema);
        store->schema = g_steal_pointer(&fresh->schema);
    }
    store->index.schema = store->schema;
    conf_index_init(&fresh->index, store->schema, true);

    if (strcmp(store->position.environment, fresh->position.environment) != 0)
        conf_store_forget_recent(store);
    memcpy(store->position.environment, fresh->position.environment, sizeof(store->position.environment));
    store->position.epoch = fresh->position.epoch;
    g_hash_table_remove_all(store->places);
    store->changes++;
    conf_store_drop_fold(store);
}

void
conf_store_drop_fold(ConfStore *store)
{
    conf_commit_unref(g_steal_pointer(&store->fold_commit));
    conf_store_free(g_steal_pointer(&store->fold_fresh));
}

void
conf_store_retire(ConfStore *store, ConfIndex index)
{
    ConfRetired *retired = g_new0(ConfRetired, 1);
    retired->store = store;
    retired->index = index;
    g_ptr_array_add(store->retired, retired);
    retired->work = conf_work_start(conf_poller_default(), "freeing a replaced store", free_retired, retired);
}

void
conf_store_finish_retired(ConfStore *store)
{
    for (unsigned i = 0; i < store->retired->len; i++) {
        ConfRetired *retired = store->retired->pdata[i];
        conf_work_cancel(retired->work);
        while (!conf_index_clear_slice(&retired->index, &retired->position))
            ;
        g_free(retired);
    }
    g_ptr_array_set_size(store->retired, 0);
}

static void
begin(ConfFold *fold)
{
    fold->store_changes = fold->store->changes;
    fold->fresh_changes = fold->fresh->changes;
    fold->phase = PHASE_COMPARE;
    fold->at = (ConfKey){0};
    fold->creates = g_ptr_array_new();
    fold->deletes = g_ptr_array_new();
    fold->updates = g_array_new(FALSE, FALSE, sizeof(Pair));
    g_array_set_clear_func(fold->updates, clear_pair);
    fold->built = 0;
}

static void
clear(ConfFold *fold)
{
    g_ptr_array_free(fold->creates, TRUE);
    g_ptr_array_free(fold->deletes, TRUE);
    g_array_free(fold->updates, TRUE);
    conf_dependency_order_free(g_steal_pointer(&fold->create_order));
    conf_dependency_order_free(g_steal_pointer(&fold->delete_order));
    conf_commit_unref(g_steal_pointer(&fold->commit));
    conf_buffer_clear(&fold->scratch);
}

/* Both in (type, dbid) order, side by side. */
static bool
compare_some(ConfFold *fold)
{
    const ConfObject *before = conf_store_next(fold->store, fold->at);
    const ConfObject *after = conf_store_next(fold->fresh, fold->at);
    for (unsigned count = 1; before != NULL || after != NULL; count++) {
        int order = before == NULL  ? 1
                    : after == NULL ? -1
                                    : conf_key_compare(conf_object_key(before), conf_object_key(after));
        compare_pair(fold, order <= 0 ? before : NULL, order >= 0 ? after : NULL);
        fold->at = conf_object_key(order <= 0 ? before : after);
        if (count % OBJECTS_A_LOOK == 0 && conf_work_is_due())
            return false;
        if (order <= 0)
            before = conf_store_next(fold->store, fold->at);
        if (order >= 0)
            after = conf_store_next(fold->fresh, fold->at);
    }
    return true;
}

static void
compare_pair(ConfFold *fold, const ConfObject *before, const ConfObject *after)
{
    if (before == NULL) {
        g_ptr_array_add(fold->creates, conf_index_find(&fold->fresh->index, conf_object_key(after)));
    } else if (after == NULL) {
        g_ptr_array_add(fold->deletes, conf_index_find(&fold->store->index, conf_object_key(before)));
    } else if (memcmp(before->digest, after->digest, sizeof(before->digest)) != 0 ||
               before->acl != after->acl || before->acl_revision != after->acl_revision) {
        Pair pair = {conf_object_ref(before), conf_object_ref(after)};
        g_array_append_val(fold->updates, pair);
    }
}

static void
begin_build(ConfFold *fold)
{
    const ConfStorePosition *position = &fold->fresh->position;
    fold->commit = conf_commit_new(fold->creates->len + fold->updates->len + fold->deletes->len);
    fold->commit->revision = position->revision;
    fold->commit->from = fold->store->position.revision;
    memcpy(fold->commit->chain, position->chain, sizeof(fold->commit->chain));
    fold->commit->time_ms = conf_clock_wall_ms();
}

static bool
build_some(ConfFold *fold)
{
    while (fold->built < fold->commit->change_count) {
        build_change(fold, fold->built++);
        if (fold->built % OBJECTS_A_LOOK == 0 && conf_work_is_due())
            return false;
    }
    return true;
}

static void
build_change(ConfFold *fold, unsigned index)
{
    ConfChange *change = &fold->commit->changes[index];
    const GPtrArray *creates = conf_dependency_order_result(fold->create_order);
    const GPtrArray *deletes = conf_dependency_order_result(fold->delete_order);
    if (index < creates->len) {
        const ConfNode *node = creates->pdata[index];
        change->kind = CONF_CHANGE_CREATE;
        change->after = conf_object_ref(node->object);
    } else if (index - creates->len < fold->updates->len) {
        const Pair *pair = &g_array_index(fold->updates, Pair, index - creates->len);
        change->before = conf_object_ref(pair->before);
        change->after = conf_object_ref(pair->after);
        change->kind = update_kind(pair->before, pair->after);
    } else {
        /* Referrers before what they point at. */
        const ConfNode *node = deletes->pdata[fold->commit->change_count - 1 - index];
        change->kind = CONF_CHANGE_DELETE;
        change->before = conf_object_ref(node->object);
    }
    if (change->kind == CONF_CHANGE_UPDATE) {
        conf_buffer_truncate(&fold->scratch, 0);
        conf_object_write_difference(fold->fresh->schema, change->before, change->after, &fold->scratch);
        change->difference = conf_buffer_to_bytes(&fold->scratch);
    }
    conf_change_fill_before(fold->store, change);
    conf_change_fill_after(fold->fresh, change);
    fold->commit->structural |= conf_index_is_structural(&fold->store->index, change->before, change->after);
}

static ConfChangeKind
update_kind(const ConfObject *before, const ConfObject *after)
{
    if (!conf_slice_equal(conf_bytes_slice(before->body), conf_bytes_slice(after->body)))
        return CONF_CHANGE_UPDATE;
    if (before->acl != after->acl || before->acl_revision != after->acl_revision)
        return CONF_CHANGE_PERMISSION;
    return CONF_CHANGE_SECRET;
}

static void
clear_pair(void *data)
{
    Pair *pair = data;
    conf_object_unref(pair->before);
    conf_object_unref(pair->after);
}

static bool
free_retired(void *data)
{
    ConfRetired *retired = data;
    do {
        if (conf_index_clear_slice(&retired->index, &retired->position)) {
            g_ptr_array_remove_fast(retired->store->retired, retired);
            g_free(retired);
            return false;
        }
    } while (!conf_work_is_due());
    return true;
}
