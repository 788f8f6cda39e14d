/* bounded-table.c - a hash table whose entries stand in the order of their last use. */
#include "access/bounded-table-private.h"

#include <string.h>

struct ConfBoundedTable {
    GHashTable *entries; /* of ConfTableEntry, by its key */
    GQueue order;        /* the one longest unused first */
    size_t entry_size;
    unsigned max;
};

static unsigned hash_key(const void *key);
static int equal_keys(const void *a, const void *b);
static void free_entry(ConfBoundedTable *table, ConfTableEntry *entry);

ConfBoundedTable *
conf_bounded_table_new(size_t entry_size, unsigned max)
{
    ConfBoundedTable *table = g_new0(ConfBoundedTable, 1);
    table->entries = g_hash_table_new(hash_key, equal_keys);
    g_queue_init(&table->order);
    table->entry_size = entry_size;
    table->max = max;
    return table;
}

void
conf_bounded_table_free(ConfBoundedTable *table)
{
    if (table == NULL)
        return;
    g_hash_table_unref(table->entries);
    GList *link;
    while ((link = g_queue_pop_head_link(&table->order)) != NULL)
        free_entry(table, link->data);
    g_free(table);
}

void *
conf_bounded_table_lookup(ConfBoundedTable *table, const uint8_t key[CONF_TABLE_KEY_SIZE])
{
    ConfTableEntry *entry = g_hash_table_lookup(table->entries, key);
    if (entry == NULL)
        return NULL;
    g_queue_unlink(&table->order, &entry->link);
    g_queue_push_tail_link(&table->order, &entry->link);
    return entry;
}

void *
conf_bounded_table_ensure(ConfBoundedTable *table, const uint8_t key[CONF_TABLE_KEY_SIZE])
{
    ConfTableEntry *entry = conf_bounded_table_lookup(table, key);
    if (entry != NULL)
        return entry;
    if (table->order.length >= table->max)
        conf_bounded_table_remove(table, table->order.head->data);
    entry = g_malloc0(table->entry_size);
    memcpy(entry->key, key, CONF_TABLE_KEY_SIZE);
    entry->link.data = entry;
    g_queue_push_tail_link(&table->order, &entry->link);
    g_hash_table_insert(table->entries, entry->key, entry);
    return entry;
}

void
conf_bounded_table_remove(ConfBoundedTable *table, void *entry)
{
    ConfTableEntry *head = entry;
    g_hash_table_remove(table->entries, head->key);
    g_queue_unlink(&table->order, &head->link);
    free_entry(table, head);
}

/* Keys are digests: any part of one is as good as a hash of all. */
static unsigned
hash_key(const void *key)
{
    unsigned hash;
    memcpy(&hash, key, sizeof(hash));
    return hash;
}

static int
equal_keys(const void *a, const void *b)
{
    return memcmp(a, b, CONF_TABLE_KEY_SIZE) == 0;
}

static void
free_entry(ConfBoundedTable *table, ConfTableEntry *entry)
{
    explicit_bzero(entry, table->entry_size);
    g_free(entry);
}
