/* index.c - nodes, and what is kept of each object beside it: by key, by name, what lies in what, what
 * points at what. */
#include "store/index-private.h"

#include <string.h>

/* What a member of a ConfNodeSet takes, about. */
enum { LINK_MEMORY = 12 };

static uint64_t hash_of_key(const ConfNode *node);
static bool match_key(const ConfNode *node, const void *probe);
static ConfNode *ensure_node(ConfIndex *index, ConfKey key);
static void release_node(ConfIndex *index, ConfNode *node);
static ConfLinks *ensure_links(ConfIndex *index, ConfNode *node);
static void free_links(ConfIndex *index, ConfNode *node);
static void free_node(ConfNode *node);
static void set_parent(ConfIndex *index, ConfNode *node, ConfKey key);
static void set_targets(ConfIndex *index, ConfNode *node, const ConfObject *object);
static void set_own_acl(ConfIndex *index, ConfNode *node, const ConfAcl *before, const ConfAcl *after);
static void set_traits(ConfIndex *index, ConfNode *node);
static void count_change(ConfIndex *index, ConfNode *node, const ConfObject *before, const ConfObject *after);
static void count_object(ConfIndex *index, ConfNode *node, const ConfObject *object, int step);
static void count_member(ConfIndex *index, int64_t tenant, int step);
static size_t object_memory(const ConfObject *object);
static bool has_children(const ConfIndex *index, ConfKey key);
static bool is_structural_group(const ConfObject *before, const ConfObject *after);

void
conf_index_init(ConfIndex *index, const ConfSchema *schema, bool is_full)
{
    *index = (ConfIndex){.schema = schema, .is_full = is_full};
    index->generation = conf_index_new_generation();
    conf_table_init(&index->by_key, hash_of_key);
    conf_table_init(&index->by_name, conf_index_hash_of_name);
    if (!is_full)
        return;
    index->key_order = conf_ordered_set_new(conf_node_compare);
    index->by_acl = g_hash_table_new(NULL, NULL);
    unsigned count;
    const ConfTypeInfo *const *types = conf_schema_types(schema, &count);
    index->type_bound = count > 0 ? types[count - 1]->id + 1u : 0;
    index->types = g_new0(ConfTypeTotals, index->type_bound);
    for (unsigned i = 0; i < index->type_bound; i++)
        index->types[i].next_dbid = 1;
}

void
conf_index_clear(ConfIndex *index)
{
    size_t position = 0;
    ConfNode *node;
    while ((node = conf_table_next(&index->by_key, &position)) != NULL)
        free_node(node);
    conf_table_clear(&index->by_key);
    conf_table_clear(&index->by_name);
    conf_ordered_set_free(index->name_order);
    conf_ordered_set_free(index->key_order);
    conf_node_set_clear(&index->everyone);
    if (index->by_acl != NULL) {
        GHashTableIter iter;
        void *set;
        g_hash_table_iter_init(&iter, index->by_acl);
        while (g_hash_table_iter_next(&iter, NULL, &set)) {
            conf_node_set_clear(set);
            g_free(set);
        }
        g_hash_table_destroy(index->by_acl);
    }
    g_free(index->types);
    if (index->references != NULL)
        g_array_free(index->references, TRUE);
    *index = (ConfIndex){0};
}

size_t
conf_index_memory(const ConfIndex *index)
{
    size_t memory = index->memory + conf_table_memory(&index->by_key) + conf_table_memory(&index->by_name);
    if (index->name_order != NULL)
        memory += conf_ordered_set_memory(index->name_order);
    if (index->key_order != NULL)
        memory += conf_ordered_set_memory(index->key_order);
    if (index->by_acl != NULL) {
        GHashTableIter iter;
        void *set;
        g_hash_table_iter_init(&iter, index->by_acl);
        while (g_hash_table_iter_next(&iter, NULL, &set))
            memory += sizeof(ConfNodeSet) + conf_node_set_memory(set);
    }
    return memory;
}

ConfNode *
conf_index_find(const ConfIndex *index, ConfKey key)
{
    const ConfTableSlot *slot = conf_table_find(&index->by_key, conf_key_hash(key), match_key, &key);
    return slot != NULL ? conf_table_slot_node(*slot) : NULL;
}

void
conf_index_put(ConfIndex *index, ConfObject *object)
{
    ConfNode *node = ensure_node(index, conf_object_key(object));
    ConfObject *before = node->object;
    if (conf_index_is_structural(index, before, object))
        index->generation = conf_index_new_generation();

    bool is_renamed = before == NULL || !conf_slice_equal(conf_object_name(before), conf_object_name(object));
    if (before != NULL) {
        if (is_renamed)
            conf_index_unlink_name(index, node);
    }
    node->object = object;
    node->is_removed = false;
    if (index->is_full)
        count_change(index, node, before, object);
    if (is_renamed)
        conf_index_link_name(index, node);
    set_parent(index, node, conf_object_parent_key(object));
    /* A change of rights alone shares the body. */
    if (before == NULL || before->body != object->body) {
        set_targets(index, node, object);
        set_traits(index, node);
    }
    if (index->is_full)
        set_own_acl(index, node, before != NULL ? before->acl : NULL, object->acl);
    conf_object_unref(before);
}

void
conf_index_remove(ConfIndex *index, ConfKey key, bool leave_mark)
{
    ConfNode *node = leave_mark ? ensure_node(index, key) : conf_index_find(index, key);
    if (node == NULL)
        return;
    ConfObject *before = node->object;
    if (before != NULL) {
        if (conf_index_is_structural(index, before, NULL))
            index->generation = conf_index_new_generation();
        conf_index_unlink_name(index, node);
        if (index->is_full) {
            count_change(index, node, before, NULL);
            set_own_acl(index, node, before->acl, NULL);
        }
        conf_node_set_remove(&index->everyone, node);
        set_parent(index, node, (ConfKey){0});
        set_targets(index, node, NULL);
        node->object = NULL;
        node->holds = 0;
        node->acl_generation = 0;
        conf_object_unref(before);
    }
    node->is_removed = leave_mark;
    release_node(index, node);
}

bool
conf_index_is_structural(const ConfIndex *index, const ConfObject *before, const ConfObject *after)
{
    if ((before != NULL ? before->acl : NULL) != (after != NULL ? after->acl : NULL))
        return true;
    const ConfObject *any = after != NULL ? after : before;
    if (any == NULL)
        return false;
    switch (any->type) {
    case CONF_TYPE_FOLDER:
    case CONF_TYPE_TENANT:
        if (before != NULL && after != NULL)
            return before->folder != after->folder || before->tenant != after->tenant;
        return index != NULL && has_children(index, conf_object_key(any));
    case CONF_TYPE_PERSON:
        return before != NULL && (after == NULL || before->enabled != after->enabled);
    case CONF_TYPE_ACCESS_GROUP:
        return is_structural_group(before, after);
    default:
        return false;
    }
}

uint64_t
conf_index_new_generation(void)
{
    static uint64_t last;
    return ++last;
}

const ConfAcl *
conf_index_acl(const ConfIndex *index, ConfNode *node)
{
    ConfNode *below[64];
    unsigned depth = 0, steps = 0;
    const ConfAcl *acl = NULL;
    for (; node != NULL && node->object != NULL && steps < CONF_STEPS_MAX; node = node->parent, steps++) {
        if (node->acl_generation == index->generation) {
            acl = node->acl;
            break;
        }
        /* Levels that do not fit are computed again the next time. */
        if (depth < G_N_ELEMENTS(below))
            below[depth++] = node;
        if (node->object->acl != NULL) {
            acl = node->object->acl;
            break;
        }
    }
    while (depth > 0) {
        ConfNode *filled = below[--depth];
        filled->acl = acl;
        filled->acl_generation = index->generation;
    }
    return acl;
}

bool
conf_index_clear_slice(ConfIndex *index, size_t *position)
{
    enum { NODES_MAX = 200 };
    for (unsigned count = 0; count < NODES_MAX; count++) {
        ConfNode *node = conf_table_next(&index->by_key, position);
        if (node == NULL) {
            conf_table_clear(&index->by_key);
            conf_index_clear(index);
            return true;
        }
        free_node(node);
    }
    return false;
}

static uint64_t
hash_of_key(const ConfNode *node)
{
    return conf_key_hash(conf_node_key(node));
}

static bool
match_key(const ConfNode *node, const void *probe)
{
    const ConfKey *key = probe;
    return node->dbid == key->dbid && node->type == key->type;
}

static ConfNode *
ensure_node(ConfIndex *index, ConfKey key)
{
    ConfNode *node = conf_index_find(index, key);
    if (node != NULL)
        return node;
    node = g_slice_new0(ConfNode);
    node->type = key.type;
    node->dbid = key.dbid;
    conf_table_insert(&index->by_key, node);
    index->memory += sizeof(ConfNode);
    return node;
}

/* Frees the node if nothing is left of it. */
static void
release_node(ConfIndex *index, ConfNode *node)
{
    const ConfLinks *links = node->links;
    if (links != NULL && links->children.count == 0 && links->referrers.count == 0 &&
        links->target_count == 0 && links->member_count == 0)
        free_links(index, node);
    if (node->object != NULL || node->is_removed || node->links != NULL)
        return;
    ConfKey key = conf_node_key(node);
    conf_table_remove_slot(&index->by_key,
                           conf_table_find(&index->by_key, conf_key_hash(key), match_key, &key));
    index->memory -= sizeof(ConfNode);
    g_slice_free(ConfNode, node);
}

static ConfLinks *
ensure_links(ConfIndex *index, ConfNode *node)
{
    if (node->links == NULL) {
        node->links = g_slice_new0(ConfLinks);
        index->memory += sizeof(ConfLinks);
    }
    return node->links;
}

static void
free_links(ConfIndex *index, ConfNode *node)
{
    g_slice_free(ConfLinks, node->links);
    node->links = NULL;
    index->memory -= sizeof(ConfLinks);
}

/* With all that it owns, when the whole index goes. */
static void
free_node(ConfNode *node)
{
    conf_object_unref(node->object);
    if (node->links != NULL) {
        conf_node_set_clear(&node->links->children);
        conf_node_set_clear(&node->links->referrers);
        g_free(node->links->targets);
        g_slice_free(ConfLinks, node->links);
    }
    g_slice_free(ConfNode, node);
}

static void
set_parent(ConfIndex *index, ConfNode *node, ConfKey key)
{
    ConfNode *before = node->parent;
    if (before != NULL ? conf_key_equal(conf_node_key(before), key) : key.dbid == 0)
        return;
    node->parent = NULL;
    node->acl_generation = 0;
    if (key.dbid != 0) {
        node->parent = ensure_node(index, key);
        ConfLinks *links = ensure_links(index, node->parent);
        conf_node_set_insert(&links->children, node);
        index->memory += LINK_MEMORY;
    }
    if (before != NULL) {
        index->memory -= LINK_MEMORY;
        conf_node_set_remove(&before->links->children, node);
        release_node(index, before);
    }
}

static int
compare_references(const void *a, const void *b)
{
    const ConfReference *first = a, *second = b;
    return conf_key_compare(first->target, second->target);
}

/* `object` NULL: it points at nothing any more. */
static void
set_targets(ConfIndex *index, ConfNode *node, const ConfObject *object)
{
    if (index->references == NULL)
        index->references = g_array_new(FALSE, FALSE, sizeof(ConfReference));
    GArray *found = index->references;
    g_array_set_size(found, 0);
    if (object != NULL)
        conf_object_references(index->schema, object, found);
    if (found->len > 1)
        qsort(found->data, found->len, sizeof(ConfReference), compare_references);
    unsigned count = 0;
    for (unsigned i = 0; i < found->len; i++) {
        ConfReference *reference = &g_array_index(found, ConfReference, i);
        if (count == 0 ||
            !conf_key_equal(g_array_index(found, ConfReference, count - 1).target, reference->target))
            g_array_index(found, ConfReference, count++) = *reference;
    }

    unsigned old_count = node->links != NULL ? node->links->target_count : 0;
    ConfNode **old = old_count > 0 ? node->links->targets : NULL;
    bool is_same = count == old_count;
    for (unsigned i = 0; is_same && i < count; i++)
        is_same = conf_key_equal(conf_node_key(old[i]), g_array_index(found, ConfReference, i).target);
    if (is_same)
        return;

    ConfNode **targets = count > 0 ? g_new(ConfNode *, count) : NULL;
    ConfLinks *links = ensure_links(index, node);
    links->targets = targets;
    links->target_count = count;
    for (unsigned i = 0; i < count; i++) {
        targets[i] = ensure_node(index, g_array_index(found, ConfReference, i).target);
        ConfLinks *target_links = ensure_links(index, targets[i]);
        if (conf_node_set_insert(&target_links->referrers, node))
            index->memory += sizeof(ConfNode *) + LINK_MEMORY;
    }
    for (unsigned i = 0; i < old_count; i++) {
        bool stays = count > 0 && bsearch(&(ConfReference){.target = conf_node_key(old[i])}, found->data,
                                          count, sizeof(ConfReference), compare_references) != NULL;
        if (stays)
            continue;
        conf_node_set_remove(&old[i]->links->referrers, node);
        index->memory -= sizeof(ConfNode *) + LINK_MEMORY;
        if (old[i] != node)
            release_node(index, old[i]);
    }
    g_free(old);
    if (count == 0)
        release_node(index, node);
}

static void
set_own_acl(ConfIndex *index, ConfNode *node, const ConfAcl *before, const ConfAcl *after)
{
    if (before == after)
        return;
    if (before != NULL) {
        ConfNodeSet *set = g_hash_table_lookup(index->by_acl, before);
        conf_node_set_remove(set, node);
        if (set->count == 0) {
            g_hash_table_remove(index->by_acl, before);
            g_free(set);
        }
    }
    if (after != NULL) {
        ConfNodeSet *set = g_hash_table_lookup(index->by_acl, after);
        if (set == NULL) {
            set = g_new0(ConfNodeSet, 1);
            g_hash_table_insert(index->by_acl, (void *)after, set);
        }
        conf_node_set_insert(set, node);
    }
}

/* What the tree and the rights ask of folders and groups so often that it is not read from the body each
 * time. */
static void
set_traits(ConfIndex *index, ConfNode *node)
{
    if (node->type == CONF_TYPE_FOLDER) {
        ConfSlice raw = conf_object_get_raw(node->object, "holds");
        const ConfTypeInfo *type = NULL;
        if (raw.size >= 2)
            type = conf_schema_type_by_name(index->schema, (ConfSlice){raw.data + 1, raw.size - 2});
        node->holds = type != NULL ? type->id : 0;
    } else if (node->type == CONF_TYPE_ACCESS_GROUP) {
        if (conf_slice_is(conf_object_get_raw(node->object, "kind"), "\"everyone\""))
            conf_node_set_insert(&index->everyone, node);
        else
            conf_node_set_remove(&index->everyone, node);
    }
}

/* Sums and totals of a full index.  `before` NULL: created; `after` NULL: removed. */
static void
count_change(ConfIndex *index, ConfNode *node, const ConfObject *before, const ConfObject *after)
{
    if (before != NULL) {
        index->memory -= object_memory(before);
        conf_digest_subtract(index->digest, before->digest);
    }
    if (after != NULL) {
        index->memory += object_memory(after);
        conf_digest_add(index->digest, after->digest);
    }
    if (before == NULL)
        count_object(index, node, after, 1);
    else if (after == NULL)
        count_object(index, node, before, -1);
    if (before != NULL && after != NULL && before->tenant == after->tenant)
        return;
    if (after != NULL)
        count_member(index, after->tenant, 1);
    if (before != NULL)
        count_member(index, before->tenant, -1);
}

static void
count_object(ConfIndex *index, ConfNode *node, const ConfObject *object, int step)
{
    index->count += step;
    if (step > 0)
        conf_ordered_set_insert(index->key_order, node);
    else
        conf_ordered_set_remove(index->key_order, node);
    if (object->type >= index->type_bound)
        return;
    ConfTypeTotals *totals = &index->types[object->type];
    totals->count += step;
    if (object->dbid >= totals->next_dbid)
        totals->next_dbid = object->dbid + 1;
}

static void
count_member(ConfIndex *index, int64_t tenant, int step)
{
    ConfNode *node = ensure_node(index, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = tenant});
    ensure_links(index, node)->member_count += step;
    if (step < 0)
        release_node(index, node);
}

/* With what malloc adds. */
static size_t
object_memory(const ConfObject *object)
{
    size_t size = sizeof(ConfObject) + object->name_size + 16 + sizeof(ConfBytes) + object->body->size + 16;
    if (object->secrets != NULL)
        size += sizeof(ConfBytes) + object->secrets->size + 16;
    return size;
}

static bool
has_children(const ConfIndex *index, ConfKey key)
{
    const ConfNode *node = conf_index_find(index, key);
    return node != NULL && node->links != NULL && node->links->children.count > 0;
}

static bool
is_structural_group(const ConfObject *before, const ConfObject *after)
{
    if (after == NULL)
        return true;
    if (before == NULL)
        return conf_object_get_raw(after, "members").size > 0 ||
               conf_slice_is(conf_object_get_raw(after, "kind"), "\"everyone\"");
    return before->enabled != after->enabled ||
           !conf_slice_equal(conf_object_get_raw(before, "members"), conf_object_get_raw(after, "members"));
}
