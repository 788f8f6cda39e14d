/* spread.c - what an operation reaches beyond its own object, walked over many steps: everything below a
 * folder, every object with a list of rights.
 *
 * The walks follow the store's indexes by cursors that are keys, and add what the working sets have elsewhere
 * than the store (placements, relisted), so that a folder of a hundred thousand objects does not hold the
 * event loop. */
#include "commit/check-private.h"

typedef struct {
    ConfKey key;
    unsigned depth;
} ConfAhead;

/* Stale entries passed over in one step. */
enum { SKIPS_A_STEP = 64 };

static bool enter(ConfCheck *check, ConfBelow *below);
static const ConfObject *take_child(ConfCheck *check, ConfBelow *below);
static const ConfObject *take_moved(ConfCheck *check, ConfBelow *below);
static void gather(GHashTable *placements, ConfKey container, GArray *keys);
static void gather_set(GHashTable *set, GArray *keys);
static const ConfObject *take_listed(ConfCheck *check, ConfListed *listed, ConfListedFunc wanted,
                                     const void *data);

ConfSpread *
conf_spread_add(ConfCheck *check, ConfSpreadFunc func, ConfKey key)
{
    ConfSpread *spread = g_new0(ConfSpread, 1);
    spread->func = func;
    spread->key = key;
    g_ptr_array_add(check->spreads, spread);
    return spread;
}

void
conf_spread_free(ConfSpread *spread)
{
    conf_below_clear(&spread->below);
    conf_listed_clear(&spread->listed);
    if (spread->keys != NULL)
        g_array_unref(spread->keys);
    if (spread->referrers != NULL)
        g_array_unref(spread->referrers);
    g_free(spread);
}

/* ---- disabling ---- */

ConfStep
conf_spread_disable(ConfCheck *check, ConfSpread *spread)
{
    if (spread->below.ahead == NULL)
        conf_below_init(&spread->below, spread->key, false);
    ConfStep step;
    const ConfObject *object = conf_below_next(check, &spread->below, &step);
    if (object == NULL)
        return step;
    if (!conf_check_is_over(check) && !conf_check_may(check, object, CONF_RIGHT_CHANGE)) {
        conf_rpc_fail(&check->error, CONF_RPC_NOT_PERMITTED, "Below lie objects that you may not change.");
        return CONF_STEP_FAILED;
    }
    if (!object->enabled)
        return CONF_STEP_MORE;
    ConfObject *disabled = conf_check_disabled(check, object);
    if (disabled == NULL)
        return CONF_STEP_FAILED;
    conf_check_put(check, disabled);
    return CONF_STEP_MORE;
}

/* ---- depth of nesting after a move ---- */

unsigned
conf_check_nesting(ConfCheck *check, const ConfObject *container)
{
    unsigned depth = 0;
    ConfKey key = conf_object_key(container);
    const ConfObject *object = container;
    while (object != NULL && depth <= CONF_NESTING_MAX) {
        depth++;
        int64_t above = key.type == CONF_TYPE_FOLDER ? object->folder : object->tenant;
        if (above == 0 || (key.type == CONF_TYPE_TENANT && above == object->dbid))
            break;
        object = conf_state_lookup(check->state, (ConfKey){.dbid = above, .type = key.type});
    }
    return depth;
}

ConfStep
conf_spread_depth(ConfCheck *check, ConfSpread *spread)
{
    if (spread->below.ahead == NULL) {
        const ConfObject *folder = conf_state_lookup(check->state, spread->key);
        spread->depth = conf_check_nesting(check, folder);
        conf_below_init(&spread->below, spread->key, true);
    } else {
        ConfStep step;
        if (conf_below_next(check, &spread->below, &step) == NULL)
            return step;
    }
    if (spread->depth + spread->below.depth <= CONF_NESTING_MAX)
        return CONF_STEP_MORE;
    conf_check_fail_member(check, "/patch/folder", "Tenants and folders nest %d deep at most.",
                           CONF_NESTING_MAX);
    return CONF_STEP_FAILED;
}

/* ---- everything below a folder or tenant ---- */

void
conf_below_init(ConfBelow *below, ConfKey container, bool folders_only)
{
    *below = (ConfBelow){.folders_only = folders_only};
    below->ahead = g_array_new(FALSE, FALSE, sizeof(ConfAhead));
    below->moved = g_array_new(FALSE, FALSE, sizeof(ConfKey));
    ConfAhead first = {.key = container};
    g_array_append_val(below->ahead, first);
}

void
conf_below_clear(ConfBelow *below)
{
    if (below->ahead != NULL)
        g_array_unref(below->ahead);
    if (below->moved != NULL)
        g_array_unref(below->moved);
    *below = (ConfBelow){0};
}

/* below->depth: of the object's own level, the children of the first container being 1. */
const ConfObject *
conf_below_next(ConfCheck *check, ConfBelow *below, ConfStep *step)
{
    *step = CONF_STEP_MORE;
    for (unsigned i = 0; i < SKIPS_A_STEP; i++) {
        if (!below->is_inside && !enter(check, below)) {
            *step = CONF_STEP_DONE;
            return NULL;
        }
        const ConfObject *object = below->in_store ? take_child(check, below) : take_moved(check, below);
        if (object == NULL)
            continue;
        if (conf_type_is_container(object->type)) {
            ConfAhead ahead = {.key = conf_object_key(object), .depth = below->depth};
            g_array_append_val(below->ahead, ahead);
        }
        return object;
    }
    return NULL;
}

static bool
enter(ConfCheck *check, ConfBelow *below)
{
    if (below->ahead->len == 0)
        return false;
    ConfAhead next = g_array_index(below->ahead, ConfAhead, below->ahead->len - 1);
    g_array_set_size(below->ahead, below->ahead->len - 1);
    below->container = next.key;
    below->depth = next.depth + 1;
    below->after = below->folders_only ? (ConfKey){.type = CONF_TYPE_FOLDER} : (ConfKey){0};
    below->is_inside = true;
    below->in_store = true;
    g_array_set_size(below->moved, 0);
    below->moved_position = 0;
    return true;
}

static const ConfObject *
take_child(ConfCheck *check, ConfBelow *below)
{
    const ConfObject *stored = conf_store_next_child(check->store, below->container, below->after);
    if (stored == NULL || (below->folders_only && stored->type != CONF_TYPE_FOLDER)) {
        below->in_store = false;
        gather(check->base->placements, below->container, below->moved);
        gather(check->placements, below->container, below->moved);
        return NULL;
    }
    below->after = conf_object_key(stored);
    const ConfObject *object = conf_check_lookup(check, below->after);
    return object != NULL && conf_key_equal(conf_object_container(object), below->container) ? object : NULL;
}

static const ConfObject *
take_moved(ConfCheck *check, ConfBelow *below)
{
    if (below->moved_position == below->moved->len) {
        below->is_inside = false;
        return NULL;
    }
    ConfKey key = g_array_index(below->moved, ConfKey, below->moved_position++);
    if (below->folders_only && key.type != CONF_TYPE_FOLDER)
        return NULL;
    const ConfObject *object = conf_check_lookup(check, key);
    if (object == NULL || !conf_key_equal(conf_object_container(object), below->container))
        return NULL;
    const ConfObject *stored = conf_store_lookup(check->store, key);
    if (stored != NULL && conf_key_equal(conf_object_container(stored), below->container))
        return NULL; /* It moved away and back: the store had it. */
    return object;
}

static void
gather(GHashTable *placements, ConfKey container, GArray *keys)
{
    GHashTable *set = g_hash_table_lookup(placements, &container);
    if (set == NULL)
        return;
    if (keys->len == 0) {
        gather_set(set, keys);
        return;
    }
    /* Both working sets may have put the same object here. */
    g_autoptr(GHashTable) known = conf_key_set_new();
    for (unsigned i = 0; i < keys->len; i++)
        conf_key_set_add(known, g_array_index(keys, ConfKey, i));
    GHashTableIter iter;
    void *key;
    g_hash_table_iter_init(&iter, set);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if (!g_hash_table_contains(known, key))
            g_array_append_vals(keys, key, 1);
    }
}

static void
gather_set(GHashTable *set, GArray *keys)
{
    GHashTableIter iter;
    void *key;
    g_hash_table_iter_init(&iter, set);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        g_array_append_vals(keys, key, 1);
}

/* ---- every object with a list of its own ---- */

void
conf_listed_clear(ConfListed *listed)
{
    if (listed->relisted != NULL)
        g_array_unref(listed->relisted);
    *listed = (ConfListed){0};
}

const ConfObject *
conf_listed_next(ConfCheck *check, ConfListed *listed, ConfListedFunc wanted, const void *data,
                 ConfStep *step)
{
    *step = CONF_STEP_MORE;
    for (unsigned i = 0; i < SKIPS_A_STEP; i++) {
        if (listed->id < conf_acl_id_bound()) {
            const ConfObject *object = take_listed(check, listed, wanted, data);
            if (object != NULL)
                return object;
            continue;
        }
        if (listed->relisted == NULL) {
            listed->relisted = g_array_new(FALSE, FALSE, sizeof(ConfKey));
            gather_set(check->base->relisted, listed->relisted);
            gather_set(check->relisted, listed->relisted);
        }
        if (listed->relisted_position == listed->relisted->len) {
            *step = CONF_STEP_DONE;
            return NULL;
        }
        ConfKey key = g_array_index(listed->relisted, ConfKey, listed->relisted_position++);
        const ConfObject *object = conf_check_lookup(check, key);
        if (object != NULL && object->acl != NULL && wanted(object->acl, data))
            return object; /* Twice is no harm: the second time it is not wanted any more. */
    }
    return NULL;
}

/* Lists are named by small numbers; the store's do not change while a batch is checked, those that the check
 * itself makes are reached through `relisted`. */
static const ConfObject *
take_listed(ConfCheck *check, ConfListed *listed, ConfListedFunc wanted, const void *data)
{
    const ConfAcl *acl = conf_acl_by_id(listed->id);
    const ConfObject *stored = NULL;
    if (acl != NULL && wanted(acl, data))
        stored = conf_store_next_with_acl(check->store, acl, listed->after);
    if (stored == NULL) {
        listed->id++;
        listed->after = (ConfKey){0};
        return NULL;
    }
    listed->after = conf_object_key(stored);
    const ConfObject *object = conf_check_lookup(check, listed->after);
    return object != NULL && object->acl != NULL && wanted(object->acl, data) ? object : NULL;
}
