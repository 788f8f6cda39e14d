/* table.c - the open-addressing hash table of nodes: linear probing, at most two thirds full. */
#include "store/table-private.h"

#include <glib.h>

/* Slots moved an insertion: with 8 the old table is empty long before the new one, at least a third free,
 * is full. */
enum { SLOTS_FIRST = 16, MOVED_PER_INSERTION = 8 };

static ConfTableSlot make_slot(const ConfTable *table, ConfNode *node);
static void put(ConfTable *table, ConfNode *node);
static void begin_move(ConfTable *table);
static void move_some(ConfTable *table, size_t slots);

void
conf_table_init(ConfTable *table, ConfTableHash hash)
{
    *table = (ConfTable){.hash = hash};
}

void
conf_table_clear(ConfTable *table)
{
    g_free(table->slots);
    g_free(table->old_slots);
    *table = (ConfTable){.hash = table->hash};
}

void
conf_table_insert(ConfTable *table, ConfNode *node)
{
    if (table->old_slots != NULL)
        move_some(table, MOVED_PER_INSERTION);
    if (table->slots == NULL || (table->used + 1) * 3 > (table->mask + 1) * 2)
        begin_move(table);
    put(table, node);
    table->count++;
}

void
conf_table_remove_slot(ConfTable *table, ConfTableSlot *slot)
{
    *slot = CONF_TABLE_GONE;
    table->count--;
}

void
conf_table_replace_slot(ConfTable *table, ConfTableSlot *slot, ConfNode *node)
{
    *slot = make_slot(table, node);
}

size_t
conf_table_memory(const ConfTable *table)
{
    size_t slots = table->slots != NULL ? table->mask + 1 : 0;
    if (table->old_slots != NULL)
        slots += table->old_mask + 1;
    return slots * sizeof(ConfTableSlot);
}

ConfNode *
conf_table_next(const ConfTable *table, size_t *position)
{
    size_t slots = table->slots != NULL ? table->mask + 1 : 0;
    size_t old_slots = table->old_slots != NULL ? table->old_mask + 1 : 0;
    while (*position < slots + old_slots) {
        size_t at = (*position)++;
        ConfNode *node = conf_table_slot_node(at < slots ? table->slots[at] : table->old_slots[at - slots]);
        if (node != NULL)
            return node;
    }
    return NULL;
}

static ConfTableSlot
make_slot(const ConfTable *table, ConfNode *node)
{
    ConfTableSlot address = (ConfTableSlot)node;
    g_assert((address & CONF_TABLE_TAG_MASK) == 0);
    return address | conf_table_tag(table->hash(node));
}

static void
put(ConfTable *table, ConfNode *node)
{
    size_t i = table->hash(node) & table->mask;
    while (conf_table_slot_node(table->slots[i]) != NULL)
        i = (i + 1) & table->mask;
    if (table->slots[i] == 0)
        table->used++;
    table->slots[i] = make_slot(table, node);
}

/* New slots, at most a third of which the members will take; a table full of gone slots keeps its size. */
static void
begin_move(ConfTable *table)
{
    if (table->old_slots != NULL)
        move_some(table, table->old_mask + 1);
    size_t slots = table->slots == NULL ? SLOTS_FIRST : MAX((table->mask + 1) / 2, (size_t)SLOTS_FIRST);
    while (table->count * 3 > slots)
        slots *= 2;
    table->old_slots = table->slots;
    table->old_mask = table->mask;
    table->moved = 0;
    table->slots = g_new0(ConfTableSlot, slots);
    table->mask = slots - 1;
    table->used = 0;
}

static void
move_some(ConfTable *table, size_t slots)
{
    for (; slots > 0 && table->moved <= table->old_mask; slots--) {
        ConfTableSlot *slot = &table->old_slots[table->moved++];
        ConfNode *node = conf_table_slot_node(*slot);
        if (node != NULL) {
            put(table, node);
            /* Not empty: members behind it are found by passing over it. */
            *slot = CONF_TABLE_GONE;
        }
    }
    if (table->moved > table->old_mask) {
        g_free(table->old_slots);
        table->old_slots = NULL;
    }
}
