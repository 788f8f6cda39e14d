/* table-private.h - open-addressing hash table of nodes.  It grows a few slots an insertion, so that no single insertion
 * into a table of a million waits for all of them to be moved.  What a member is called is the caller's: the hash of a
 * node is asked of `hash`, equality of the caller's `match`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ConfNode ConfNode;
typedef uint64_t (*ConfTableHash)(const ConfNode *node);

typedef struct {
    ConfTableHash hash;
    ConfNode **slots;     /* NULL while empty */
    ConfNode **old_slots; /* being moved over; NULL: none */
    size_t mask, old_mask;
    size_t used;          /* slots that are not NULL, removed ones too */
    size_t count;         /* members, in both */
    size_t moved;         /* old slots below this are done */
} ConfTable;

/* A slot whose member is gone or moved: a search goes on behind it. */
#define CONF_TABLE_GONE ((ConfNode *)(uintptr_t)1)

void conf_table_init(ConfTable *table, ConfTableHash hash);
void conf_table_clear(ConfTable *table); /* not the members */
/* No equal member may stand there. */
void conf_table_insert(ConfTable *table, ConfNode *node);
/* `slot` as found; it is not valid after an insertion. */
void conf_table_remove_slot(ConfTable *table, ConfNode **slot);
size_t conf_table_memory(const ConfTable *table);
/* The next member at or behind *position (0 at first); NULL: the end.  The table must not change meanwhile. */
ConfNode *conf_table_next(const ConfTable *table, size_t *position);

typedef bool (*ConfTableMatch)(const ConfNode *node, const void *probe);

static inline __attribute__((always_inline)) ConfNode **
conf_table_probe(ConfNode **slots, size_t mask, uint64_t hash, ConfTableMatch match, const void *probe)
{
    for (size_t i = hash & mask; slots[i] != NULL; i = (i + 1) & mask) {
        if (slots[i] != CONF_TABLE_GONE && match(slots[i], probe))
            return &slots[i];
    }
    return NULL;
}

/* NULL: no such member. */
static inline __attribute__((always_inline)) ConfNode **
conf_table_find(const ConfTable *table, uint64_t hash, ConfTableMatch match, const void *probe)
{
    if (table->slots == NULL)
        return NULL;
    ConfNode **slot = conf_table_probe(table->slots, table->mask, hash, match, probe);
    if (slot == NULL && table->old_slots != NULL)
        slot = conf_table_probe(table->old_slots, table->old_mask, hash, match, probe);
    return slot;
}
