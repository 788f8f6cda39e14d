/* json-keys.c - duplicate keys: a bit filter and comparison in small objects, a hash table in large ones. */
#include "base/json-keys-private.h"

#include <string.h>

/* KEYS_KEPT and SCRATCH_KEPT bound what a reader keeps from one text to the next. */
enum { KEYS_LINEAR = 16, FIRST_TABLE = 64, KEYS_KEPT = 1024, SCRATCH_KEPT = 16384, TABLE_KEPT = 4096 };
static const uint32_t IN_SCRATCH = 0x80000000u;

static uint64_t mark_of(ConfSlice key);
static ConfSlice slice_of(const ConfJsonKeys *keys, const char *text, const ConfJsonKey *key);
static bool find_linear(const ConfJsonKeys *keys, const char *text, const ConfJsonKeyLevel *level,
                        uint64_t mark, ConfSlice key);
static void push_key(ConfJsonKeys *keys, const char *text, ConfSlice key, uint64_t mark);
static bool add_to_table(ConfJsonKeys *keys, const char *text, ConfSlice key);
static void make_table(ConfJsonKeys *keys, const char *text, ConfJsonKeyTable *table);
static void fill_table(ConfJsonKeys *keys, ConfJsonKeyTable *table, uint32_t size);

void
conf_json_keys_init(ConfJsonKeys *keys)
{
    keys->keys = keys->few;
    keys->length = 0;
    keys->capacity = CONF_JSON_KEYS_INLINE;
    keys->depth = 0;
    keys->scratch = NULL;
    keys->scratch_size = 0;
    keys->scratch_capacity = 0;
    keys->tables = NULL;
}

void
conf_json_keys_clear(ConfJsonKeys *keys)
{
    if (keys->keys != keys->few)
        g_free(keys->keys);
    g_free(keys->scratch);
    for (unsigned i = 0; keys->tables != NULL && i < CONF_JSON_KEYS_DEPTH; i++)
        g_free(keys->tables[i].slots);
    g_free(keys->tables);
    conf_json_keys_init(keys);
}

void
conf_json_keys_reset(ConfJsonKeys *keys)
{
    bool is_large = keys->capacity > KEYS_KEPT || keys->scratch_capacity > SCRATCH_KEPT;
    for (unsigned i = 0; keys->tables != NULL && !is_large && i < CONF_JSON_KEYS_DEPTH; i++)
        is_large = keys->tables[i].capacity > TABLE_KEPT;
    if (is_large)
        conf_json_keys_clear(keys);
    keys->length = 0;
    keys->depth = 0;
    keys->scratch_size = 0;
}

char *
conf_json_keys_scratch(ConfJsonKeys *keys, size_t size)
{
    size_t needed = keys->scratch_size + size;
    if (needed > keys->scratch_capacity) {
        size_t capacity = MAX(needed, 2 * (size_t)keys->scratch_capacity);
        keys->scratch_capacity = (uint32_t)MIN(MAX(capacity, 256u), (size_t)UINT32_MAX);
        keys->scratch = g_realloc(keys->scratch, keys->scratch_capacity);
    }
    return keys->scratch + keys->scratch_size;
}

bool
conf_json_keys_add(ConfJsonKeys *keys, const char *text, ConfSlice key)
{
    ConfJsonKeyLevel *level = &keys->levels[keys->depth - 1];
    if (keys->length - level->first >= KEYS_LINEAR)
        return add_to_table(keys, text, key);

    uint64_t mark = mark_of(key);
    uint64_t bit = (uint64_t)1 << (mark * 0x9e3779b97f4a7c15u >> 58);
    if ((level->bloom & bit) != 0 && find_linear(keys, text, level, mark, key))
        return false;
    level->bloom |= bit;
    push_key(keys, text, key, mark);
    return true;
}

static uint64_t
mark_of(ConfSlice key)
{
    uint64_t first = 0, last = 0;
    if (key.size >= 8) {
        memcpy(&first, key.data, 8);
        memcpy(&last, key.data + key.size - 8, 8);
    } else if (key.size >= 4) {
        memcpy(&first, key.data, 4);
        memcpy(&last, key.data + key.size - 4, 4);
    } else {
        for (size_t i = 0; i < key.size; i++)
            first = first << 8 | (unsigned char)key.data[i];
    }
    return first ^ (last << 23 | last >> 41) ^ (uint64_t)key.size << 56;
}

static ConfSlice
slice_of(const ConfJsonKeys *keys, const char *text, const ConfJsonKey *key)
{
    const char *base = (key->size & IN_SCRATCH) != 0 ? keys->scratch : text;
    return (ConfSlice){base + key->position, key->size & ~IN_SCRATCH};
}

static bool
find_linear(const ConfJsonKeys *keys, const char *text, const ConfJsonKeyLevel *level, uint64_t mark,
            ConfSlice key)
{
    for (uint32_t i = level->first; i < keys->length; i++) {
        const ConfJsonKey *other = &keys->keys[i];
        if (other->mark == mark && conf_slice_equal(slice_of(keys, text, other), key))
            return true;
    }
    return false;
}

static void
push_key(ConfJsonKeys *keys, const char *text, ConfSlice key, uint64_t mark)
{
    if (keys->length == keys->capacity) {
        uint32_t capacity = keys->capacity * 2;
        if (keys->keys == keys->few) {
            keys->keys = g_new(ConfJsonKey, capacity);
            memcpy(keys->keys, keys->few, sizeof(keys->few));
        } else {
            keys->keys = g_renew(ConfJsonKey, keys->keys, capacity);
        }
        keys->capacity = capacity;
    }
    ConfJsonKey *added = &keys->keys[keys->length++];
    added->mark = mark;
    if (keys->scratch != NULL && key.data == keys->scratch + keys->scratch_size) {
        added->position = keys->scratch_size;
        added->size = (uint32_t)key.size | IN_SCRATCH;
        keys->scratch_size += (uint32_t)key.size;
    } else {
        added->position = (uint32_t)(key.data - text);
        added->size = (uint32_t)key.size;
    }
}

static bool
add_to_table(ConfJsonKeys *keys, const char *text, ConfSlice key)
{
    if (keys->tables == NULL)
        keys->tables = g_new0(ConfJsonKeyTable, CONF_JSON_KEYS_DEPTH);
    ConfJsonKeyTable *table = &keys->tables[keys->depth - 1];
    uint32_t first = keys->levels[keys->depth - 1].first;
    uint32_t count = keys->length - first;
    if (count == KEYS_LINEAR)
        make_table(keys, text, table);
    else if (count * 2 >= table->size)
        fill_table(keys, table, table->size * 2);

    uint64_t hash = conf_slice_hash(key);
    uint32_t slot = (uint32_t)hash & (table->size - 1);
    for (; table->slots[slot] != 0; slot = (slot + 1) & (table->size - 1)) {
        const ConfJsonKey *other = &keys->keys[table->slots[slot] - 1];
        if (other->mark == hash && conf_slice_equal(slice_of(keys, text, other), key))
            return false;
    }
    push_key(keys, text, key, hash);
    table->slots[slot] = keys->length;
    return true;
}

/* The innermost object has become large: from now on its marks are hashes. */
static void
make_table(ConfJsonKeys *keys, const char *text, ConfJsonKeyTable *table)
{
    for (uint32_t i = keys->levels[keys->depth - 1].first; i < keys->length; i++)
        keys->keys[i].mark = conf_slice_hash(slice_of(keys, text, &keys->keys[i]));
    fill_table(keys, table, FIRST_TABLE);
}

static void
fill_table(ConfJsonKeys *keys, ConfJsonKeyTable *table, uint32_t size)
{
    if (table->capacity < size) {
        g_free(table->slots);
        table->slots = g_new(uint32_t, size);
        table->capacity = size;
    }
    table->size = size;
    memset(table->slots, 0, size * sizeof(uint32_t));
    for (uint32_t i = keys->levels[keys->depth - 1].first; i < keys->length; i++) {
        uint32_t slot = (uint32_t)keys->keys[i].mark & (size - 1);
        while (table->slots[slot] != 0)
            slot = (slot + 1) & (size - 1);
        table->slots[slot] = i + 1;
    }
}
