/* ordered-set.h - pointers kept in order: a sorted array cut into chunks of at most 512, so that insertion
 * and removal move little and memory is 8 to 12 bytes a member.  Serves dbid order, name order, children,
 * referrers. Cursors are keys, not positions, so a set may change between two slices of a scan. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct ConfOrderedSet ConfOrderedSet;
/* <0, 0, >0; total order over the members. */
typedef int (*ConfCompareFunc)(const void *a, const void *b);

ConfOrderedSet *conf_ordered_set_new(ConfCompareFunc compare);
void conf_ordered_set_free(ConfOrderedSet *set); /* not the members */
/* False: an equal member stands there already (nothing is changed). */
bool conf_ordered_set_insert(ConfOrderedSet *set, void *member);
/* Removes the member equal to `key`; returns it, or NULL. */
void *conf_ordered_set_remove(ConfOrderedSet *set, const void *key);
void *conf_ordered_set_lookup(const ConfOrderedSet *set, const void *key);
/* The first member above `key` (key need not be a member); NULL key: the first of all.  NULL: none. */
void *conf_ordered_set_after(const ConfOrderedSet *set, const void *key);
/* As above, but `key` itself counts. */
void *conf_ordered_set_at_or_after(const ConfOrderedSet *set, const void *key);
size_t conf_ordered_set_length(const ConfOrderedSet *set);
typedef bool (*ConfOrderedSetFunc)(void *member, void *data); /* false ends the walk */
/* The set must not change during the walk. */
void conf_ordered_set_foreach(const ConfOrderedSet *set, ConfOrderedSetFunc func, void *data);
size_t conf_ordered_set_memory(const ConfOrderedSet *set);
