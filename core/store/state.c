/* state.c - working sets: the changes of a transaction over what lies below, and walks that see both.
 *
 * A working set holds its own changes in an index of its own; a walk goes over the members of each level
 * that no level above has changed or removed, so that its cost is that of the answer and not of the store. */
#include "store/store-private.h"

typedef struct {
    const ConfState *state;
    const ConfState *level;
    ConfObjectFunc func;
    void *data;
} Walk;

static void note_change(ConfState *state, const ConfObject *before, const ConfObject *after);
static bool visit(ConfNode *node, void *data);
static bool visit_named(Walk *walk, ConfTypeId type, ConfSlice name);
static bool is_overridden(const Walk *walk, ConfKey key);
static unsigned get_levels(const ConfState *state, const ConfState *levels[CONF_STATE_DEPTH_MAX]);
static void drop_cache(ConfState *state);

ConfState *
conf_state_new(ConfState *below)
{
    g_assert(below->depth + 1 < CONF_STATE_DEPTH_MAX);
    ConfState *state = g_new0(ConfState, 1);
    state->below = below;
    state->store = below->store;
    state->depth = below->depth + 1;
    state->is_structural = below->is_structural;
    state->index = g_new0(ConfIndex, 1);
    conf_index_init(state->index, below->store->schema, false);
    return state;
}

void
conf_state_free(ConfState *state)
{
    if (state == NULL)
        return;
    drop_cache(state);
    conf_index_clear(state->index);
    g_free(state->index);
    g_free(state);
}

void
conf_state_put(ConfState *state, ConfObject *after)
{
    g_assert(state->below != NULL);
    const ConfObject *before = conf_state_lookup(state, conf_object_key(after));
    note_change(state, before, after);
    conf_index_put(state->index, after);
}

void
conf_state_remove(ConfState *state, ConfKey key)
{
    g_assert(state->below != NULL);
    const ConfObject *before = conf_state_lookup(state, key);
    note_change(state, before, NULL);
    conf_index_remove(state->index, key, true);
}

void
conf_state_merge(ConfState *state)
{
    ConfState *below = state->below;
    g_assert(below != NULL && below->below != NULL);
    size_t position = 0;
    ConfNode *node;
    while ((node = conf_table_next(&state->index->by_key, &position)) != NULL) {
        if (node->object != NULL)
            conf_index_put(below->index, conf_object_ref(node->object));
        else if (node->is_removed)
            conf_index_remove(below->index, conf_node_key(node), true);
    }
    if (state->is_structural) {
        below->is_structural = true;
        drop_cache(below);
    }
    conf_state_free(state);
}

ConfStore *
conf_state_store(const ConfState *state)
{
    return state->store;
}

const ConfSchema *
conf_state_schema(const ConfState *state)
{
    return state->store->schema;
}

bool
conf_state_is_structural(const ConfState *state)
{
    return state->is_structural;
}

void
conf_state_set_cache(ConfState *state, void *cache, void (*free_cache)(void *cache))
{
    drop_cache(state);
    state->cache = cache;
    state->free_cache = free_cache;
}

void *
conf_state_get_cache(const ConfState *state)
{
    return state->cache;
}

const ConfObject *
conf_state_lookup(const ConfState *state, ConfKey key)
{
    for (; state != NULL; state = state->below) {
        const ConfNode *node = conf_index_find(state->index, key);
        if (node != NULL && (node->object != NULL || node->is_removed))
            return node->object;
    }
    return NULL;
}

void
conf_state_foreach_named(const ConfState *state, ConfTypeId type, ConfSlice name, ConfObjectFunc func,
                         void *data)
{
    const ConfState *levels[CONF_STATE_DEPTH_MAX];
    Walk walk = {.state = state, .func = func, .data = data};
    for (unsigned count = get_levels(state, levels); count > 0; count--) {
        walk.level = levels[count - 1];
        if (!visit_named(&walk, type, name))
            return;
    }
}

void
conf_state_foreach_child(const ConfState *state, ConfKey container, ConfObjectFunc func, void *data)
{
    const ConfState *levels[CONF_STATE_DEPTH_MAX];
    Walk walk = {.state = state, .func = func, .data = data};
    for (unsigned count = get_levels(state, levels); count > 0; count--) {
        walk.level = levels[count - 1];
        const ConfNode *node = conf_index_find(walk.level->index, container);
        if (node != NULL && node->links != NULL &&
            !conf_node_set_foreach(&node->links->children, visit, &walk))
            return;
    }
}

void
conf_state_foreach_referrer(const ConfState *state, ConfKey target, ConfObjectFunc func, void *data)
{
    const ConfState *levels[CONF_STATE_DEPTH_MAX];
    Walk walk = {.state = state, .func = func, .data = data};
    for (unsigned count = get_levels(state, levels); count > 0; count--) {
        walk.level = levels[count - 1];
        const ConfNode *node = conf_index_find(walk.level->index, target);
        if (node != NULL && node->links != NULL &&
            !conf_node_set_foreach(&node->links->referrers, visit, &walk))
            return;
    }
}

void
conf_state_foreach_everyone(const ConfState *state, ConfObjectFunc func, void *data)
{
    const ConfState *levels[CONF_STATE_DEPTH_MAX];
    Walk walk = {.state = state, .func = func, .data = data};
    for (unsigned count = get_levels(state, levels); count > 0; count--) {
        walk.level = levels[count - 1];
        if (!conf_node_set_foreach(&walk.level->index->everyone, visit, &walk))
            return;
    }
}

void
conf_state_foreach_of_type(const ConfState *state, ConfTypeId type, ConfObjectFunc func, void *data)
{
    const ConfState *levels[CONF_STATE_DEPTH_MAX];
    Walk walk = {.state = state, .func = func, .data = data};
    for (unsigned count = get_levels(state, levels); count > 0; count--) {
        walk.level = levels[count - 1];
        ConfNode *node = conf_index_after_name(walk.level->index, type, CONF_SLICE(""), 0);
        for (; node != NULL && node->type == type;
             node = conf_ordered_set_after(walk.level->index->name_order, node)) {
            if (!visit(node, &walk))
                return;
        }
    }
}

/* Objects that belong to the tenant, less the root folders that are empty, and less itself. */
static int64_t
count_content(const ConfState *state, ConfKey tenant)
{
    const ConfNode *node = conf_index_find(&state->store->index, tenant);
    int64_t count = node != NULL && node->links != NULL ? (int64_t)node->links->member_count : 0;
    for (const ConfState *level = state; level->below != NULL; level = level->below) {
        size_t position = 0;
        while ((node = conf_table_next(&level->index->by_key, &position)) != NULL) {
            if (node->object == NULL && !node->is_removed)
                continue;
            const ConfObject *before = conf_state_lookup(level->below, conf_node_key(node));
            count += node->object != NULL && node->object->tenant == tenant.dbid;
            count -= before != NULL && before->tenant == tenant.dbid;
        }
    }
    const ConfObject *object = conf_state_lookup(state, tenant);
    return count - (object != NULL && object->tenant == object->dbid);
}

static bool
note_found(const ConfObject *object, void *data)
{
    *(bool *)data = true;
    return false;
}

typedef struct {
    const ConfState *state;
    int64_t empty;
} RootCount;

static bool
count_empty_root(const ConfObject *object, void *data)
{
    RootCount *roots = data;
    if (object->type != CONF_TYPE_FOLDER)
        return true;
    bool found = false;
    conf_state_foreach_child(roots->state, conf_object_key(object), note_found, &found);
    roots->empty += !found;
    return true;
}

bool
conf_state_has_content(const ConfState *state, ConfKey container)
{
    if (container.type == CONF_TYPE_TENANT) {
        RootCount roots = {.state = state};
        conf_state_foreach_child(state, container, count_empty_root, &roots);
        return count_content(state, container) > roots.empty;
    }
    bool found = false;
    conf_state_foreach_child(state, container, note_found, &found);
    return found;
}

/* What lies in a folder that comes or goes may be known to any level only. */
static void
note_change(ConfState *state, const ConfObject *before, const ConfObject *after)
{
    bool is_structural = false;
    for (const ConfState *level = state; level != NULL && !is_structural; level = level->below)
        is_structural = conf_index_is_structural(level->index, before, after);
    if (!is_structural)
        return;
    state->is_structural = true;
    drop_cache(state);
}

static bool
visit(ConfNode *node, void *data)
{
    Walk *walk = data;
    /* A node without an object is in no set. */
    if (walk->state != walk->level && is_overridden(walk, conf_node_key(node)))
        return true;
    return walk->func(node->object, walk->data);
}

static bool
visit_named(Walk *walk, ConfTypeId type, ConfSlice name)
{
    const ConfIndex *index = walk->level->index;
    ConfNode *node = conf_index_find_named(index, type, name);
    if (node == NULL)
        return true;
    if (node->named_count == 1)
        return visit(node, walk);
    node = conf_index_after_name(index, type, name, 0);
    for (; node != NULL && node->type == type && conf_slice_equal(conf_object_name(node->object), name);
         node = conf_ordered_set_after(index->name_order, node)) {
        if (!visit(node, walk))
            return false;
    }
    return true;
}

/* Does a working set above the level of the walk say something else of it? */
static bool
is_overridden(const Walk *walk, ConfKey key)
{
    for (const ConfState *state = walk->state; state != walk->level; state = state->below) {
        const ConfNode *node = conf_index_find(state->index, key);
        if (node != NULL && (node->object != NULL || node->is_removed))
            return true;
    }
    return false;
}

/* From the top down; returns how many. */
static unsigned
get_levels(const ConfState *state, const ConfState *levels[CONF_STATE_DEPTH_MAX])
{
    unsigned count = 0;
    for (; state != NULL; state = state->below)
        levels[count++] = state;
    return count;
}

static void
drop_cache(ConfState *state)
{
    if (state->free_cache != NULL)
        state->free_cache(state->cache);
    state->cache = NULL;
    state->free_cache = NULL;
}
