/* query-source.c - where the candidates of a query come from: the narrowest index, walked by keys.
 *
 * What is few (an exact name, dbids, a small folder or subtree, few referrers) is gathered at once and
 * sorted; what is many is walked in the order of an index, and where that is not the order asked for, all
 * of the type is. */
#include "store/query-private.h"

typedef struct {
    ConfQuery *query;
    GPtrArray *found; /* ConfNode * */
    unsigned limit;
} Gathering;

static void choose(ConfQuery *query);
static uint64_t count_all(const ConfQuery *query);
static bool gather(ConfQuery *query, uint64_t total);
static bool gather_dbids(Gathering *gathering);
static bool gather_named(Gathering *gathering);
static bool gather_folder(Gathering *gathering);
static bool gather_subtree(Gathering *gathering);
static bool gather_referrers(Gathering *gathering, ConfKey target);
static bool gather_set(Gathering *gathering, const ConfNodeSet *set);
static bool add_node(ConfNode *node, void *data);
static void take_gathered(ConfQuery *query, const GPtrArray *nodes);
static int compare_gathered(const void *a, const void *b, void *data);
static int compare_to_position(const ConfQuery *query, const ConfObject *object);
static void choose_stream(ConfQuery *query, uint64_t total);
static const ConfNode *find_links(const ConfQuery *query, ConfKey key);
static const ConfObject *next_gathered(ConfQuery *query);
static const ConfObject *next_by_key(ConfQuery *query);
static const ConfObject *next_by_name(ConfQuery *query);
static const ConfObject *next_of_all_names(ConfQuery *query);
static void find_heads(ConfQuery *query);
static void unref_object(void *object);

const ConfObject *
conf_query_next_candidate(ConfQuery *query)
{
    if (query->source == CONF_SOURCE_NONE)
        choose(query);
    const ConfObject *object;
    switch (query->source) {
    case CONF_SOURCE_GATHERED:
        object = next_gathered(query);
        break;
    case CONF_SOURCE_NAMES:
        object = next_by_name(query);
        break;
    case CONF_SOURCE_ALL_NAMES:
        object = next_of_all_names(query);
        break;
    case CONF_SOURCE_LAYERS:
        object = conf_query_next_of_layers(query);
        break;
    default:
        object = next_by_key(query);
    }
    if (object != NULL)
        conf_query_position_set(&query->position, query->order, object);
    return object;
}

void
conf_query_reset_source(ConfQuery *query)
{
    query->source = CONF_SOURCE_NONE;
    query->has_heads = false;
    if (query->gathered != NULL)
        g_ptr_array_free(g_steal_pointer(&query->gathered), TRUE);
    query->gathered_next = 0;
}

/* Those behind the position, sorted, each once. */
void
conf_query_take_gathered(ConfQuery *query, GPtrArray *objects)
{
    for (unsigned i = objects->len; i > 0; i--) {
        if (compare_to_position(query, objects->pdata[i - 1]) <= 0)
            g_ptr_array_remove_index_fast(objects, i - 1);
    }
    g_ptr_array_sort_with_data(objects, compare_gathered, query);
    query->gathered = objects;
    query->gathered_next = 0;
    query->source = CONF_SOURCE_GATHERED;
}

static void
choose(ConfQuery *query)
{
    if (conf_query_is_layered(query)) {
        if (!conf_query_gather_layers(query))
            query->source = CONF_SOURCE_LAYERS;
        return;
    }
    uint64_t total = count_all(query);
    if (gather(query, total))
        return;
    if (query->order == CONF_ORDER_NAME)
        query->source = query->type != NULL ? CONF_SOURCE_NAMES : CONF_SOURCE_ALL_NAMES;
    else
        choose_stream(query, total);
}

/* How many would be looked at without any index. */
static uint64_t
count_all(const ConfQuery *query)
{
    return query->type != NULL ? conf_store_count_type(query->store, query->type->id)
                               : conf_store_count(query->store);
}

/* By the first way that is narrow enough, the narrowest as a rule first.  False: none is. */
static bool
gather(ConfQuery *query, uint64_t total)
{
    const ConfFilterHints *hints = &query->hints;
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    Gathering gathering = {
        .query = query, .found = found, .limit = (unsigned)MIN(total, (uint64_t)CONF_QUERY_GATHERED_MAX)};
    bool is_gathered = (hints->has_dbids && gather_dbids(&gathering)) ||
                       (hints->name.data != NULL && gather_named(&gathering)) ||
                       (hints->has_refers_to && gather_referrers(&gathering, hints->refers_to)) ||
                       (hints->reference.dbid != 0 && gather_referrers(&gathering, hints->reference)) ||
                       (hints->has_folder && !hints->recursive && gather_folder(&gathering)) ||
                       (hints->has_folder && hints->recursive && gather_subtree(&gathering));
    if (is_gathered)
        take_gathered(query, found);
    return is_gathered;
}

static bool
gather_dbids(Gathering *gathering)
{
    const ConfQuery *query = gathering->query;
    unsigned type_count;
    const ConfTypeInfo *const *types = conf_schema_types(query->store->schema, &type_count);
    if (query->type != NULL) {
        types = &query->type;
        type_count = 1;
    }
    if ((uint64_t)query->hints.dbid_count * type_count > CONF_QUERY_GATHERED_MAX)
        return false;
    g_ptr_array_set_size(gathering->found, 0);
    for (unsigned i = 0; i < query->hints.dbid_count; i++) {
        for (unsigned j = 0; j < type_count; j++) {
            ConfKey key = {.type = types[j]->id, .dbid = query->hints.dbids[i]};
            ConfNode *node = conf_index_find(&query->store->index, key);
            if (node != NULL && node->object != NULL)
                g_ptr_array_add(gathering->found, node);
        }
    }
    return true;
}

static bool
add_named(const ConfObject *object, void *data)
{
    Gathering *gathering = data;
    return add_node(conf_index_find(&gathering->query->store->index, conf_object_key(object)), gathering);
}

static bool
gather_named(Gathering *gathering)
{
    const ConfQuery *query = gathering->query;
    unsigned type_count;
    const ConfTypeInfo *const *types = conf_schema_types(query->store->schema, &type_count);
    if (query->type != NULL) {
        types = &query->type;
        type_count = 1;
    }
    g_ptr_array_set_size(gathering->found, 0);
    for (unsigned i = 0; i < type_count; i++) {
        conf_state_foreach_named(&query->store->state, types[i]->id, query->hints.name, add_named, gathering);
        if (gathering->found->len > gathering->limit)
            return false;
    }
    return true;
}

static bool
gather_folder(Gathering *gathering)
{
    g_ptr_array_set_size(gathering->found, 0);
    const ConfNode *node = find_links(
        gathering->query, (ConfKey){.type = CONF_TYPE_FOLDER, .dbid = gathering->query->hints.folder});
    return node == NULL || gather_set(gathering, &node->links->children);
}

/* Level by level; what was found is what is gone through next. */
static bool
gather_subtree(Gathering *gathering)
{
    GPtrArray *found = gathering->found;
    if (!gather_folder(gathering))
        return false;
    for (unsigned i = 0; i < found->len; i++) {
        const ConfNode *node = found->pdata[i];
        if (node->links != NULL && !gather_set(gathering, &node->links->children))
            return false;
    }
    return true;
}

static bool
gather_referrers(Gathering *gathering, ConfKey target)
{
    /* What belongs to a tenant stands in no set. */
    if (target.type == CONF_TYPE_TENANT && gathering->query->hints.has_refers_to)
        return false;
    g_ptr_array_set_size(gathering->found, 0);
    const ConfNode *node = find_links(gathering->query, target);
    if (node == NULL)
        return true;
    if (!gather_set(gathering, &node->links->referrers))
        return false;
    return target.type != CONF_TYPE_FOLDER || gather_set(gathering, &node->links->children);
}

/* Adds to what was found; false: too many. */
static bool
gather_set(Gathering *gathering, const ConfNodeSet *set)
{
    return gathering->found->len + set->count <= gathering->limit &&
           conf_node_set_foreach(set, add_node, gathering);
}

static bool
add_node(ConfNode *node, void *data)
{
    Gathering *gathering = data;
    g_ptr_array_add(gathering->found, node);
    return gathering->found->len <= gathering->limit;
}

static void
take_gathered(ConfQuery *query, const GPtrArray *nodes)
{
    GPtrArray *objects = g_ptr_array_new_with_free_func(unref_object);
    for (unsigned i = 0; i < nodes->len; i++)
        g_ptr_array_add(objects, conf_object_ref(((const ConfNode *)nodes->pdata[i])->object));
    conf_query_take_gathered(query, objects);
}

static int
compare_gathered(const void *a, const void *b, void *data)
{
    const ConfQuery *query = data;
    const ConfObject *first = *(ConfObject *const *)a, *second = *(ConfObject *const *)b;
    int order = query->order == CONF_ORDER_NAME
                    ? conf_slice_compare(conf_object_name(first), conf_object_name(second))
                    : 0;
    return order != 0 ? order : conf_key_compare(conf_object_key(first), conf_object_key(second));
}

static int
compare_to_position(const ConfQuery *query, const ConfObject *object)
{
    const ConfQueryPosition *position = &query->position;
    if (position->key.dbid == 0)
        return 1;
    int order = 0;
    if (query->order == CONF_ORDER_NAME)
        order = conf_slice_compare(conf_object_name(object), conf_query_position_name(position));
    return order != 0 ? order : conf_key_compare(conf_object_key(object), position->key);
}

/* By key: the smaller of children and referrers where one of them bounds the answer, else everything. */
static void
choose_stream(ConfQuery *query, uint64_t total)
{
    const ConfFilterHints *hints = &query->hints;
    query->source = CONF_SOURCE_KEYS;
    uint64_t least = total;
    const ConfKey targets[] = {hints->has_refers_to ? hints->refers_to : (ConfKey){0}, hints->reference};
    for (unsigned i = 0; i < G_N_ELEMENTS(targets); i++) {
        /* Of folders and tenants `folder` and `tenant` are meant too. */
        bool is_bound = targets[i].dbid != 0 && targets[i].type != CONF_TYPE_TENANT &&
                        targets[i].type != CONF_TYPE_FOLDER;
        const ConfNode *node = is_bound ? find_links(query, targets[i]) : NULL;
        if (node != NULL && node->links->referrers.count < least) {
            least = node->links->referrers.count;
            query->source = CONF_SOURCE_REFERRERS;
            query->source_key = targets[i];
        }
    }
    if (hints->has_folder && !hints->recursive) {
        ConfKey folder = {.type = CONF_TYPE_FOLDER, .dbid = hints->folder};
        const ConfNode *node = find_links(query, folder);
        if (node != NULL && node->links->children.count < least) {
            query->source = CONF_SOURCE_CHILDREN;
            query->source_key = folder;
        }
    }
}

/* NULL: nothing lies in it or points at it. */
static const ConfNode *
find_links(const ConfQuery *query, ConfKey key)
{
    const ConfNode *node = conf_index_find(&query->store->index, key);
    return node != NULL && node->links != NULL ? node : NULL;
}

/* As each of them stands now; one that is called otherwise meanwhile has lost its place in the order. */
static const ConfObject *
next_gathered(ConfQuery *query)
{
    while (query->gathered_next < query->gathered->len) {
        const ConfObject *then = query->gathered->pdata[query->gathered_next++];
        if (compare_to_position(query, then) <= 0)
            continue;
        const ConfObject *now = conf_state_lookup(query->state, conf_object_key(then));
        if (now == NULL)
            continue;
        if (now == then || query->order == CONF_ORDER_DBID ||
            conf_slice_equal(conf_object_name(now), conf_object_name(then)))
            return now;
    }
    return NULL;
}

static const ConfObject *
next_by_key(ConfQuery *query)
{
    ConfKey after = query->position.key;
    if (query->type != NULL && after.dbid == 0)
        after.type = query->type->id;
    const ConfObject *object;
    if (query->source == CONF_SOURCE_CHILDREN)
        object = conf_store_next_child(query->store, query->source_key, after);
    else if (query->source == CONF_SOURCE_REFERRERS)
        object = conf_store_next_referrer(query->store, query->source_key, after);
    else
        object = conf_store_next(query->store, after);
    return object == NULL || query->type == NULL || object->type == query->type->id ? object : NULL;
}

static const ConfObject *
next_by_name(ConfQuery *query)
{
    return conf_store_next_by_name_key(query->store, query->type->id,
                                       conf_query_position_name(&query->position), query->position.key.dbid);
}

/* The least of the heads; its type goes on by one. */
static const ConfObject *
next_of_all_names(ConfQuery *query)
{
    if (!query->has_heads || query->changes != query->store->changes)
        find_heads(query);
    unsigned type_count;
    conf_schema_types(query->store->schema, &type_count);
    unsigned least = type_count;
    for (unsigned i = 0; i < type_count; i++) {
        if (query->heads[i] != NULL &&
            (least == type_count || compare_gathered(&query->heads[i], &query->heads[least], query) < 0))
            least = i;
    }
    if (least == type_count)
        return NULL;
    const ConfObject *object = query->heads[least];
    query->heads[least] = conf_store_next_by_name(query->store, object->type, object);
    return object;
}

static void
find_heads(ConfQuery *query)
{
    unsigned type_count;
    const ConfTypeInfo *const *types = conf_schema_types(query->store->schema, &type_count);
    query->heads = g_renew(const ConfObject *, query->heads, type_count);
    ConfKey key = query->position.key;
    ConfSlice name = conf_query_position_name(&query->position);
    for (unsigned i = 0; i < type_count; i++) {
        /* Of the same name, types before the position's are done, those behind it are not. */
        int64_t dbid = types[i]->id < key.type ? G_MAXINT64 : types[i]->id > key.type ? 0 : key.dbid;
        query->heads[i] = conf_store_next_by_name_key(query->store, types[i]->id, name, dbid);
    }
    query->changes = query->store->changes;
    query->has_heads = true;
}

static void
unref_object(void *object)
{
    conf_object_unref(object);
}
