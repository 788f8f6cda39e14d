/* json-keys-private.h - finds duplicate keys among the members of the objects that stand open in a text.
 *
 * The keys of all open objects lie on one stack, the innermost object's on top.  A few members are compared
 * with each other; from KEYS_LINEAR on, an object gets a table of keyed hashes, so that no text makes this
 * quadratic. */
#pragma once

#include "base/bytes.h"

enum { CONF_JSON_KEYS_DEPTH = 64, CONF_JSON_KEYS_INLINE = 32 };

typedef struct {
    uint64_t mark;     /* tells keys apart: a mix of the first and last bytes; in large objects the hash */
    uint32_t position; /* in the text, or in the scratch memory */
    uint32_t size;     /* the top bit: in the scratch memory */
} ConfJsonKey;

typedef struct {
    uint64_t bloom;        /* a bit for each mark there is: 0 means that the key is new for sure */
    uint32_t first;        /* the object's first key on the stack */
    uint32_t scratch_size; /* of the scratch memory when the object began */
} ConfJsonKeyLevel;

typedef struct {
    uint32_t *slots; /* index on the stack + 1; 0: free */
    uint32_t size;   /* a power of two; 0: none */
    uint32_t capacity;
} ConfJsonKeyTable;

typedef struct {
    ConfJsonKey *keys; /* `few`, or allocated */
    uint32_t length;
    uint32_t capacity;
    unsigned depth;        /* open objects */
    char *scratch;         /* decoded text: kept keys, behind them the last string */
    uint32_t scratch_size; /* of the kept keys */
    uint32_t scratch_capacity;
    ConfJsonKeyTable *tables; /* one an open object; NULL until the first large object */
    ConfJsonKeyLevel levels[CONF_JSON_KEYS_DEPTH];
    ConfJsonKey few[CONF_JSON_KEYS_INLINE];
} ConfJsonKeys;

void conf_json_keys_init(ConfJsonKeys *keys);
void conf_json_keys_clear(ConfJsonKeys *keys);
/* Forgets all; gives back what an unusual text made large. */
void conf_json_keys_reset(ConfJsonKeys *keys);
/* Room for a decoded text; it stays until the next call unless it is added as a key. */
char *conf_json_keys_scratch(ConfJsonKeys *keys, size_t size);
/* `key` lies in the text that begins at `text`, or in the scratch memory last given.  False: the innermost
 * object has such a key. */
bool conf_json_keys_add(ConfJsonKeys *keys, const char *text, ConfSlice key);

static inline void
conf_json_keys_push(ConfJsonKeys *keys)
{
    keys->levels[keys->depth++] = (ConfJsonKeyLevel){0, keys->length, keys->scratch_size};
}

static inline void
conf_json_keys_pop(ConfJsonKeys *keys)
{
    const ConfJsonKeyLevel *level = &keys->levels[--keys->depth];
    keys->length = level->first;
    keys->scratch_size = level->scratch_size;
}
