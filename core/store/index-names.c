/* index-names.c - objects by type and name, and in their order. */
#include "store/index-private.h"

/* Stands for a name in name_order; `node.object` is NULL. */
typedef struct {
    ConfNode node;
    ConfSlice name;
} NameProbe;

static bool match_name(const ConfNode *node, const void *probe);
static int compare_names(const void *a, const void *b);
static ConfSlice probe_name(const ConfNode *node);
static uint32_t name_hash(ConfTypeId type, ConfSlice name);

ConfNode *
conf_index_find_named(const ConfIndex *index, ConfTypeId type, ConfSlice name)
{
    NameProbe probe = {.node = {.type = type, .name_hash = name_hash(type, name)}, .name = name};
    const ConfTableSlot *slot = conf_table_find(&index->by_name, probe.node.name_hash, match_name, &probe);
    return slot != NULL ? conf_table_slot_node(*slot) : NULL;
}

ConfNode *
conf_index_after_name(const ConfIndex *index, ConfTypeId type, ConfSlice name, int64_t dbid)
{
    if (index->name_order == NULL)
        return NULL;
    NameProbe probe = {.node = {.type = type, .dbid = dbid}, .name = name};
    return conf_ordered_set_after(index->name_order, &probe);
}

void
conf_index_link_name(ConfIndex *index, ConfNode *node)
{
    ConfSlice name = conf_object_name(node->object);
    node->name_hash = name_hash(node->type, name);
    node->named_count = 0;
    if (index->name_order == NULL)
        index->name_order = conf_ordered_set_new(compare_names);
    conf_ordered_set_insert(index->name_order, node);
    ConfNode *standing = conf_index_find_named(index, node->type, name);
    if (standing == NULL) {
        conf_table_insert(&index->by_name, node);
        standing = node;
    }
    standing->named_count++;
}

void
conf_index_unlink_name(ConfIndex *index, ConfNode *node)
{
    NameProbe probe = {.node = {.type = node->type, .name_hash = node->name_hash},
                       .name = conf_object_name(node->object)};
    conf_ordered_set_remove(index->name_order, node);
    ConfTableSlot *slot = conf_table_find(&index->by_name, node->name_hash, match_name, &probe);
    ConfNode *standing = conf_table_slot_node(*slot);
    if (standing != node) {
        standing->named_count--;
    } else if (node->named_count == 1) {
        conf_table_remove_slot(&index->by_name, slot);
    } else {
        ConfNode *next = conf_index_after_name(index, node->type, probe.name, 0);
        next->named_count = node->named_count - 1;
        conf_table_replace_slot(&index->by_name, slot, next);
    }
}

uint64_t
conf_index_hash_of_name(const ConfNode *node)
{
    return node->name_hash;
}

static bool
match_name(const ConfNode *node, const void *probe)
{
    const NameProbe *name = probe;
    return node->name_hash == name->node.name_hash && node->type == name->node.type &&
           conf_slice_equal(conf_object_name(node->object), name->name);
}

static int
compare_names(const void *a, const void *b)
{
    const ConfNode *first = a, *second = b;
    if (first->type != second->type)
        return first->type < second->type ? -1 : 1;
    int order = conf_slice_compare(probe_name(first), probe_name(second));
    if (order != 0)
        return order;
    return first->dbid < second->dbid ? -1 : first->dbid > second->dbid;
}

static ConfSlice
probe_name(const ConfNode *node)
{
    return node->object != NULL ? conf_object_name(node->object) : ((const NameProbe *)node)->name;
}

static uint32_t
name_hash(ConfTypeId type, ConfSlice name)
{
    uint64_t hash = conf_slice_hash(name) + type * 0x9E3779B97F4A7C15u;
    return (uint32_t)(hash ^ hash >> 32);
}
