/* table-private.h - open-addressing hash table of nodes.  It grows a few slots an insertion, so that no
 * single insertion into a table of a million waits for all of them to be moved.  What a member is called
 * is the caller's matter: the hash of a node is asked of `hash`, equality of the caller's `match`.
 *
 * A slot is the address of a node, whose low four bits, free by alignment, hold four bits of its hash: a
 * search looks only at nodes that it most likely wants, since each look at another one is a wait for
 * memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ConfNode ConfNode;
typedef uint64_t (*ConfTableHash)(const ConfNode *node);
typedef uintptr_t ConfTableSlot;

typedef struct {
    ConfTableHash hash;
    ConfTableSlot *slots;     /* NULL while empty */
    ConfTableSlot *old_slots; /* being moved over; NULL: none */
    size_t mask, old_mask;
    size_t used;  /* slots that are not 0, removed ones too */
    size_t count; /* members, in both */
    size_t moved; /* old slots below this are done */
} ConfTable;

enum { CONF_TABLE_TAG_MASK = 15 };
/* A slot whose member is gone or moved: a search goes on behind it. */
#define CONF_TABLE_GONE ((ConfTableSlot)1)

void conf_table_init(ConfTable *table, ConfTableHash hash);
void conf_table_clear(ConfTable *table); /* not the members */
/* No equal member may stand there. */
void conf_table_insert(ConfTable *table, ConfNode *node);
/* `slot` as found; it is not valid after an insertion. */
void conf_table_remove_slot(ConfTable *table, ConfTableSlot *slot);
/* Another node of the same hash in its place. */
void conf_table_replace_slot(ConfTable *table, ConfTableSlot *slot, ConfNode *node);
size_t conf_table_memory(const ConfTable *table);
/* The next member at or behind *position (0 at first); NULL: the end.  The table must not change
 * meanwhile. */
ConfNode *conf_table_next(const ConfTable *table, size_t *position);

typedef bool (*ConfTableMatch)(const ConfNode *node, const void *probe);

/* NULL: empty or gone. */
static inline ConfNode *
conf_table_slot_node(ConfTableSlot slot)
{
    return (ConfNode *)(slot & ~(ConfTableSlot)CONF_TABLE_TAG_MASK);
}

/* Of bits that do not choose the slot, unless the table is huge. */
static inline ConfTableSlot
conf_table_tag(uint64_t hash)
{
    return (hash >> 28) & CONF_TABLE_TAG_MASK;
}

static inline __attribute__((always_inline)) ConfTableSlot *
conf_table_probe(ConfTableSlot *slots, size_t mask, uint64_t hash, ConfTableMatch match, const void *probe)
{
    ConfTableSlot tag = conf_table_tag(hash);
    for (size_t i = hash & mask; slots[i] != 0; i = (i + 1) & mask) {
        if ((slots[i] & CONF_TABLE_TAG_MASK) != tag)
            continue;
        const ConfNode *node = conf_table_slot_node(slots[i]);
        if (node != NULL && match(node, probe))
            return &slots[i];
    }
    return NULL;
}

/* NULL: no such member. */
static inline __attribute__((always_inline)) ConfTableSlot *
conf_table_find(const ConfTable *table, uint64_t hash, ConfTableMatch match, const void *probe)
{
    if (table->slots == NULL)
        return NULL;
    ConfTableSlot *slot = conf_table_probe(table->slots, table->mask, hash, match, probe);
    if (slot == NULL && table->old_slots != NULL)
        slot = conf_table_probe(table->old_slots, table->old_mask, hash, match, probe);
    return slot;
}
