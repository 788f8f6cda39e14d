/* node-set-private.h - a set of nodes in (type, dbid) order that costs nothing while empty and a few bytes
 * while small: of a million objects nearly all have no children and few referrers.  A sorted array at
 * first, a ConfOrderedSet once large. */
#pragma once

#include "base/ordered-set.h"
#include "model/key.h"

typedef struct ConfNode ConfNode;

/* Zero-initialised is empty. */
typedef struct {
    unsigned count;
    unsigned capacity; /* of members; CONF_NODE_SET_LARGE: `set` holds them */
    union {
        ConfNode **members;
        ConfOrderedSet *set;
    };
} ConfNodeSet;

void conf_node_set_clear(ConfNodeSet *set);
/* False: it is a member already. */
bool conf_node_set_insert(ConfNodeSet *set, ConfNode *node);
/* False: it was no member. */
bool conf_node_set_remove(ConfNodeSet *set, ConfNode *node);
bool conf_node_set_contains(const ConfNodeSet *set, const ConfNode *node);
/* The first member above `key`; NULL: none. */
ConfNode *conf_node_set_after(const ConfNodeSet *set, ConfKey key);
/* func answers false to end the walk; so does this then.  The set must not change meanwhile. */
typedef bool (*ConfNodeFunc)(ConfNode *node, void *data);
bool conf_node_set_foreach(const ConfNodeSet *set, ConfNodeFunc func, void *data);
size_t conf_node_set_memory(const ConfNodeSet *set);

/* By (type, dbid), for ConfOrderedSet. */
int conf_node_compare(const void *a, const void *b);
