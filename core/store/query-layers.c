/* query-layers.c - where the candidates come from when a working set over the store is looked at: the past.
 *
 * What is few is gathered by the walks that see both layers; else both are walked in the order asked for,
 * side by side.  What the store has and the working set has otherwise is a candidate too, which then does
 * not match: so a step costs the same whatever was changed, and slices stay short. */
#include "store/query-private.h"

typedef struct {
    GPtrArray *found; /* ConfObject *, references */
    bool is_full;
} Gathering;

static bool add_found(const ConfObject *object, void *data);
static void gather_narrowest(ConfQuery *query, Gathering *gathering);
static void gather_dbids(ConfQuery *query, Gathering *gathering);
static void gather_named(ConfQuery *query, Gathering *gathering);
static void gather_subtree(ConfQuery *query, Gathering *gathering);
static const ConfTypeInfo *const *get_types(const ConfQuery *query, unsigned *count);
static const ConfObject *next_by_key(ConfQuery *query);
static const ConfObject *next_by_name(ConfQuery *query);
static const ConfObject *next_named(const ConfQuery *query, ConfTypeId type, int64_t after_dbid);
static const ConfObject *object_of(const ConfNode *node);
static void unref_object(void *object);

bool
conf_query_gather_layers(ConfQuery *query)
{
    const ConfFilterHints *hints = &query->hints;
    bool is_narrow = hints->has_dbids || hints->name.data != NULL || hints->has_refers_to ||
                     hints->reference.dbid != 0 || hints->has_folder;
    if (!is_narrow)
        return false;
    Gathering gathering = {.found = g_ptr_array_new_with_free_func(unref_object)};
    gather_narrowest(query, &gathering);
    if (gathering.is_full) {
        g_ptr_array_free(gathering.found, TRUE);
        return false;
    }
    conf_query_take_gathered(query, gathering.found);
    return true;
}

const ConfObject *
conf_query_next_of_layers(ConfQuery *query)
{
    return query->order == CONF_ORDER_NAME ? next_by_name(query) : next_by_key(query);
}

static bool
add_found(const ConfObject *object, void *data)
{
    Gathering *gathering = data;
    gathering->is_full = gathering->found->len >= CONF_QUERY_GATHERED_MAX;
    if (!gathering->is_full)
        g_ptr_array_add(gathering->found, conf_object_ref(object));
    return !gathering->is_full;
}

static void
gather_narrowest(ConfQuery *query, Gathering *gathering)
{
    const ConfFilterHints *hints = &query->hints;
    ConfKey target = hints->has_refers_to ? hints->refers_to : hints->reference;
    if (hints->has_dbids) {
        gather_dbids(query, gathering);
    } else if (hints->name.data != NULL) {
        gather_named(query, gathering);
    } else if (target.dbid != 0) {
        /* What belongs to a tenant stands in no set. */
        gathering->is_full = target.type == CONF_TYPE_TENANT && hints->has_refers_to;
        if (!gathering->is_full)
            conf_state_foreach_referrer(query->state, target, add_found, gathering);
        if (!gathering->is_full && target.type == CONF_TYPE_FOLDER)
            conf_state_foreach_child(query->state, target, add_found, gathering);
    } else {
        gather_subtree(query, gathering);
    }
}

static void
gather_dbids(ConfQuery *query, Gathering *gathering)
{
    unsigned type_count;
    const ConfTypeInfo *const *types = get_types(query, &type_count);
    gathering->is_full = (uint64_t)query->hints.dbid_count * type_count > CONF_QUERY_GATHERED_MAX;
    for (unsigned i = 0; i < query->hints.dbid_count && !gathering->is_full; i++) {
        for (unsigned j = 0; j < type_count; j++) {
            ConfKey key = {.type = types[j]->id, .dbid = query->hints.dbids[i]};
            const ConfObject *object = conf_state_lookup(query->state, key);
            if (object != NULL)
                add_found(object, gathering);
        }
    }
}

static void
gather_named(ConfQuery *query, Gathering *gathering)
{
    unsigned type_count;
    const ConfTypeInfo *const *types = get_types(query, &type_count);
    for (unsigned i = 0; i < type_count && !gathering->is_full; i++)
        conf_state_foreach_named(query->state, types[i]->id, query->hints.name, add_found, gathering);
}

/* Level by level; what was found is what is gone through next. */
static void
gather_subtree(ConfQuery *query, Gathering *gathering)
{
    ConfKey folder = {.type = CONF_TYPE_FOLDER, .dbid = query->hints.folder};
    conf_state_foreach_child(query->state, folder, add_found, gathering);
    for (unsigned i = 0; query->hints.recursive && i < gathering->found->len && !gathering->is_full; i++) {
        const ConfObject *found = gathering->found->pdata[i];
        if (found->type == CONF_TYPE_FOLDER)
            conf_state_foreach_child(query->state, conf_object_key(found), add_found, gathering);
    }
}

static const ConfTypeInfo *const *
get_types(const ConfQuery *query, unsigned *count)
{
    if (query->type == NULL)
        return conf_schema_types(query->store->schema, count);
    *count = 1;
    return &query->type;
}

static const ConfObject *
next_by_key(ConfQuery *query)
{
    ConfKey after = query->position.key;
    if (query->type != NULL && after.dbid == 0)
        after.type = query->type->id;
    const ConfNode probe = {.type = after.type, .dbid = after.dbid};
    const ConfObject *below = conf_store_next(query->store, after);
    const ConfObject *above = object_of(conf_ordered_set_after(query->state->index->key_order, &probe));
    const ConfObject *object = below;
    if (above != NULL &&
        (below == NULL || conf_key_compare(conf_object_key(above), conf_object_key(below)) <= 0))
        object = above;
    return object == NULL || query->type == NULL || object->type == query->type->id ? object : NULL;
}

/* The least of all types by (name, type, dbid). */
static const ConfObject *
next_by_name(ConfQuery *query)
{
    unsigned type_count;
    const ConfTypeInfo *const *types = get_types(query, &type_count);
    ConfKey key = query->position.key;
    const ConfObject *least = NULL;
    for (unsigned i = 0; i < type_count; i++) {
        /* Of the same name, types before the position's are done, those behind it are not. */
        int64_t dbid = types[i]->id < key.type ? G_MAXINT64 : types[i]->id > key.type ? 0 : key.dbid;
        const ConfObject *object = next_named(query, types[i]->id, dbid);
        if (object != NULL &&
            (least == NULL || conf_slice_compare(conf_object_name(object), conf_object_name(least)) < 0))
            least = object;
    }
    return least;
}

static const ConfObject *
next_named(const ConfQuery *query, ConfTypeId type, int64_t after_dbid)
{
    ConfSlice name = conf_query_position_name(&query->position);
    const ConfObject *below = conf_store_next_by_name_key(query->store, type, name, after_dbid);
    const ConfObject *above = object_of(conf_index_after_name(query->state->index, type, name, after_dbid));
    if (above == NULL || above->type != type)
        return below;
    if (below == NULL)
        return above;
    int order = conf_slice_compare(conf_object_name(above), conf_object_name(below));
    return order < 0 || (order == 0 && above->dbid <= below->dbid) ? above : below;
}

static const ConfObject *
object_of(const ConfNode *node)
{
    return node != NULL ? node->object : NULL;
}

static void
unref_object(void *object)
{
    conf_object_unref(object);
}
