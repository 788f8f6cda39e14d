/* bounded-table-private.h - entries by a 16-byte key, at most so many: the one longest unused makes room.
 * For what is remembered of names and addresses that anyone may invent. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

enum { CONF_TABLE_KEY_SIZE = 16 };

/* Embedded first in the entry of a user of the table. */
typedef struct {
    uint8_t key[CONF_TABLE_KEY_SIZE];
    GList link;
} ConfTableEntry;

typedef struct ConfBoundedTable ConfBoundedTable;

/* Entries of `entry_size` bytes, wiped when they go. */
ConfBoundedTable *conf_bounded_table_new(size_t entry_size, unsigned max);
void conf_bounded_table_free(ConfBoundedTable *table);
/* NULL: none.  A look counts as use. */
void *conf_bounded_table_lookup(ConfBoundedTable *table, const uint8_t key[CONF_TABLE_KEY_SIZE]);
/* Makes it, zeroed, where there is none. */
void *conf_bounded_table_ensure(ConfBoundedTable *table, const uint8_t key[CONF_TABLE_KEY_SIZE]);
void conf_bounded_table_remove(ConfBoundedTable *table, void *entry);
