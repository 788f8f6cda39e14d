/* index-private.h - objects by key and by name, with what lies in what and what points at what.  The store
 * has one (a full one, which counts, orders and sums besides) and so has each working set (its own changes
 * only).
 *
 * Each object has one node, mutable, which stands as long as the object does or anything lies in it or
 * points at it: so a node may have no object (its object is not here, deleted, or not visible to this
 * replica).  Links between nodes are plain pointers; a walk up the tree looks nothing up.  Main loop only. */
#pragma once

#include "model/object.h"
#include "store/node-set-private.h"
#include "store/table-private.h"

/* What only some nodes have. */
typedef struct {
    ConfNodeSet children;  /* whose `parent` this node is */
    ConfNodeSet referrers; /* whose `targets` name this node */
    ConfNode **targets;    /* what the object's reference fields point at, by key, each once */
    unsigned target_count;
    uint64_t member_count; /* of a tenant: objects whose `tenant` it is (full index) */
} ConfLinks;

struct ConfNode {
    int64_t dbid;
    ConfTypeId type;
    ConfTypeId holds; /* of a folder: the type that it names itself; 0: none */
    uint32_t name_hash;
    ConfObject *object; /* a reference; NULL: see above */
    ConfNode *parent;   /* its folder, else its tenant; NULL: none above */
    ConfLinks *links;   /* NULL: none */
    const ConfAcl *acl; /* list of rights in force, while acl_generation is the index's */
    uint64_t acl_generation;
    /* Of the node that stands for a name in by_name: objects of the type with this name. */
    uint32_t named_count;
    bool is_removed; /* in a working set: the object is deleted here, look no further below */
};

typedef struct {
    uint64_t count;
    int64_t next_dbid;
} ConfTypeTotals;

typedef struct {
    const ConfSchema *schema;
    bool is_full;
    uint64_t generation;        /* new whenever lists of rights in force may have changed */
    ConfTable by_key;           /* all nodes */
    ConfTable by_name;          /* one node a (type, name) */
    ConfOrderedSet *name_order; /* nodes with an object by (type, name, dbid) */
    ConfOrderedSet *key_order;  /* the same by (type, dbid); full index only, as all below */
    GHashTable *by_acl;         /* const ConfAcl * (own list) → ConfNodeSet * */
    ConfTypeTotals *types;      /* by type id */
    unsigned type_bound;
    uint64_t count;
    size_t memory; /* of nodes and objects, without tables and sets */
    uint8_t digest[16];
    ConfNodeSet everyone; /* access groups of kind everyone; in every index */
    GArray *references;   /* scratch */
} ConfIndex;

void conf_index_init(ConfIndex *index, const ConfSchema *schema, bool is_full);
void conf_index_clear(ConfIndex *index);
/* As conf_index_clear, a piece a call: true when done.  *position is 0 at first; the index serves nothing
 * else any more. */
bool conf_index_clear_slice(ConfIndex *index, size_t *position);
size_t conf_index_memory(const ConfIndex *index);

/* NULL: no node.  The node may have no object. */
ConfNode *conf_index_find(const ConfIndex *index, ConfKey key);
/* Takes `object`, in place of the version that stands here. */
void conf_index_put(ConfIndex *index, ConfObject *object);
/* `leave_mark`: of a working set, see is_removed. */
void conf_index_remove(ConfIndex *index, ConfKey key, bool leave_mark);
/* Would putting `after` (NULL: removing) in place of `before` (NULL: creating) change what others may see?
 * `index` NULL: by the two alone, where what lies in a folder that comes or goes is not known. */
bool conf_index_is_structural(const ConfIndex *index, const ConfObject *before, const ConfObject *after);
/* A number never given before, in any index. */
uint64_t conf_index_new_generation(void);

/* The node that stands for the name; NULL: none.  Others of the same name come by
 * conf_index_after_name. */
ConfNode *conf_index_find_named(const ConfIndex *index, ConfTypeId type, ConfSlice name);
/* The first node in (type, name, dbid) order above (type, name, dbid), whatever its name.  NULL: none. */
ConfNode *conf_index_after_name(const ConfIndex *index, ConfTypeId type, ConfSlice name, int64_t dbid);

/* For index.c: a node whose object has come, or is about to go. */
void conf_index_link_name(ConfIndex *index, ConfNode *node);
void conf_index_unlink_name(ConfIndex *index, ConfNode *node);
uint64_t conf_index_hash_of_name(const ConfNode *node);

/* The list in force on the node's object, cached. */
const ConfAcl *conf_index_acl(const ConfIndex *index, ConfNode *node);

/* Of what stands above: its folder, else its tenant; dbid 0 above Environment. */
static inline ConfKey
conf_object_parent_key(const ConfObject *object)
{
    if (object->folder != 0)
        return (ConfKey){.type = CONF_TYPE_FOLDER, .dbid = object->folder};
    if (object->type == CONF_TYPE_TENANT && object->dbid == object->tenant)
        return (ConfKey){0};
    return (ConfKey){.type = CONF_TYPE_TENANT, .dbid = object->tenant};
}

static inline ConfKey
conf_node_key(const ConfNode *node)
{
    return (ConfKey){.type = node->type, .dbid = node->dbid};
}

/* A guard against circles, which only broken data has: tenants and folders nest 32 deep each
 * (architecture.md 10). */
enum { CONF_STEPS_MAX = 2048 };
