/* key.h - what names an object: its type (numeric id of the schema) and dbid. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef uint16_t ConfTypeId;
typedef struct ConfSchema ConfSchema; /* model/schema.h */

typedef struct {
    int64_t dbid; /* 0: none */
    ConfTypeId type;
} ConfKey;

/* Ids the server itself relies on (framework.md 6.1). */
enum {
    CONF_TYPE_PERSON = 3,
    CONF_TYPE_TENANT = 7,
    CONF_TYPE_SERVICE = 8,
    CONF_TYPE_APPLICATION = 9,
    CONF_TYPE_HOST = 10,
    CONF_TYPE_APPLICATION_TEMPLATE = 20,
    CONF_TYPE_ACCESS_GROUP = 21,
    CONF_TYPE_FOLDER = 22,
    CONF_TYPE_ROLE = 43,
};
enum { CONF_DBID_ENVIRONMENT = 1 };

static inline bool
conf_key_equal(ConfKey a, ConfKey b)
{
    return a.dbid == b.dbid && a.type == b.type;
}

static inline int
conf_key_compare(ConfKey a, ConfKey b)
{
    if (a.type != b.type)
        return a.type < b.type ? -1 : 1;
    return a.dbid < b.dbid ? -1 : a.dbid > b.dbid;
}

static inline uint64_t
conf_key_hash(ConfKey key)
{
    uint64_t h = (uint64_t)key.dbid * 0x9E3779B97F4A7C15u ^ ((uint64_t)key.type << 48);
    h ^= h >> 32;
    return h * 0xD6E8FEB86659FD93u;
}
/* For GHashTable over ConfKey *. */
unsigned conf_key_g_hash(const void *key);
int conf_key_g_equal(const void *a, const void *b);
