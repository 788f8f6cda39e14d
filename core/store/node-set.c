/* node-set.c - sets of nodes that are small as a rule. */
#include "store/index-private.h"

#include <string.h>

enum { SMALL_MAX = 32 };
#define CONF_NODE_SET_LARGE G_MAXUINT

static bool find(const ConfNodeSet *set, ConfKey key, unsigned *index);
static void become_large(ConfNodeSet *set);
static void free_members(ConfNodeSet *set);

void
conf_node_set_clear(ConfNodeSet *set)
{
    free_members(set);
    *set = (ConfNodeSet){0};
}

bool
conf_node_set_insert(ConfNodeSet *set, ConfNode *node)
{
    if (set->capacity == CONF_NODE_SET_LARGE) {
        if (!conf_ordered_set_insert(set->set, node))
            return false;
        set->count++;
        return true;
    }
    unsigned index;
    if (find(set, conf_node_key(node), &index))
        return false;
    if (set->count == SMALL_MAX) {
        become_large(set);
        return conf_node_set_insert(set, node);
    }
    if (set->count == set->capacity) {
        set->capacity = set->capacity == 0 ? 1 : MIN(set->capacity * 2, (unsigned)SMALL_MAX);
        set->members = g_renew(ConfNode *, set->members, set->capacity);
    }
    memmove(set->members + index + 1, set->members + index, (set->count - index) * sizeof(ConfNode *));
    set->members[index] = node;
    set->count++;
    return true;
}

bool
conf_node_set_remove(ConfNodeSet *set, ConfNode *node)
{
    if (set->capacity == CONF_NODE_SET_LARGE) {
        if (conf_ordered_set_remove(set->set, node) == NULL)
            return false;
    } else {
        unsigned index;
        if (!find(set, conf_node_key(node), &index))
            return false;
        memmove(set->members + index, set->members + index + 1,
                (set->count - index - 1) * sizeof(ConfNode *));
    }
    set->count--;
    if (set->count == 0)
        conf_node_set_clear(set);
    return true;
}

bool
conf_node_set_contains(const ConfNodeSet *set, const ConfNode *node)
{
    if (set->capacity == CONF_NODE_SET_LARGE)
        return conf_ordered_set_lookup(set->set, node) != NULL;
    unsigned index;
    return find(set, conf_node_key(node), &index);
}

ConfNode *
conf_node_set_after(const ConfNodeSet *set, ConfKey key)
{
    if (set->capacity == CONF_NODE_SET_LARGE) {
        ConfNode probe = {.type = key.type, .dbid = key.dbid};
        return conf_ordered_set_after(set->set, &probe);
    }
    unsigned index;
    if (find(set, key, &index))
        index++;
    return index < set->count ? set->members[index] : NULL;
}

typedef struct {
    ConfNodeFunc func;
    void *data;
    bool is_ended;
} Walk;

static bool
walk_member(void *member, void *data)
{
    Walk *walk = data;
    walk->is_ended = !walk->func(member, walk->data);
    return !walk->is_ended;
}

bool
conf_node_set_foreach(const ConfNodeSet *set, ConfNodeFunc func, void *data)
{
    if (set->capacity == CONF_NODE_SET_LARGE) {
        Walk walk = {.func = func, .data = data};
        conf_ordered_set_foreach(set->set, walk_member, &walk);
        return !walk.is_ended;
    }
    for (unsigned i = 0; i < set->count; i++) {
        if (!func(set->members[i], data))
            return false;
    }
    return true;
}

size_t
conf_node_set_memory(const ConfNodeSet *set)
{
    if (set->capacity == CONF_NODE_SET_LARGE)
        return conf_ordered_set_memory(set->set);
    return set->capacity * sizeof(ConfNode *);
}

int
conf_node_compare(const void *a, const void *b)
{
    const ConfNode *first = a, *second = b;
    if (first->type != second->type)
        return first->type < second->type ? -1 : 1;
    return first->dbid < second->dbid ? -1 : first->dbid > second->dbid;
}

/* False: *index is where it would be put. */
static bool
find(const ConfNodeSet *set, ConfKey key, unsigned *index)
{
    unsigned from = 0, to = set->count;
    while (from < to) {
        unsigned middle = (from + to) / 2;
        int order = conf_key_compare(key, conf_node_key(set->members[middle]));
        if (order == 0) {
            *index = middle;
            return true;
        }
        if (order > 0)
            from = middle + 1;
        else
            to = middle;
    }
    *index = from;
    return false;
}

static void
become_large(ConfNodeSet *set)
{
    ConfOrderedSet *large = conf_ordered_set_new(conf_node_compare);
    for (unsigned i = 0; i < set->count; i++)
        conf_ordered_set_insert(large, set->members[i]);
    g_free(set->members);
    set->set = large;
    set->capacity = CONF_NODE_SET_LARGE;
}

static void
free_members(ConfNodeSet *set)
{
    if (set->capacity == CONF_NODE_SET_LARGE)
        conf_ordered_set_free(set->set);
    else
        g_free(set->members);
}
