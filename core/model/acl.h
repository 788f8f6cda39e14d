/* acl.h - lists of rights.  A list is immutable and interned: equal content is the same pointer, so that
 * the rights of an account on a hundred thousand objects are a handful of cached answers.  Main loop only,
 * but ref/unref anywhere. */
#pragma once

#include "base/json-writer.h"
#include "model/key.h"
#include "rpc/rpc-error.h"

typedef enum {
    CONF_RIGHT_READ = 1 << 0,
    CONF_RIGHT_CREATE = 1 << 1,
    CONF_RIGHT_CHANGE = 1 << 2,
    CONF_RIGHT_EXECUTE = 1 << 3,
    CONF_RIGHT_DELETE = 1 << 4,
    CONF_RIGHT_READ_PERMISSIONS = 1 << 5,
    CONF_RIGHT_CHANGE_PERMISSIONS = 1 << 6,
    CONF_RIGHT_ALL = 127,
} ConfRight;

typedef struct {
    ConfKey account; /* person or accessGroup */
    uint8_t rights;
} ConfAclEntry;

typedef struct ConfAcl ConfAcl;
struct ConfAcl {
    unsigned refs;
    uint32_t id; /* small, reused when the list is gone: an index into caches; see conf_acl_generation() */
    uint32_t count;
    ConfAclEntry entries[]; /* by (type, dbid), each account once */
};

/* Entries in any order; the same account twice is united; entries without a right are left out.  Returns a
 * reference. An empty list is a list (nobody may do anything), not "inherited". */
ConfAcl *conf_acl_intern(const ConfAclEntry *entries, unsigned count);
ConfAcl *conf_acl_ref(const ConfAcl *acl);
void conf_acl_unref(const ConfAcl *acl);
/* Grows whenever an id was given back, so that a cache by id knows it is stale. */
uint64_t conf_acl_generation(void);
/* One above the highest id in use. */
uint32_t conf_acl_id_bound(void);
/* Borrowed; NULL: the id is free. */
const ConfAcl *conf_acl_by_id(uint32_t id);
/* 0: the account has no entry. */
uint8_t conf_acl_lookup(const ConfAcl *acl, ConfKey account);
/* How many interned lists name this account; persons that no list names share rights with their groups. */
unsigned conf_acl_count_mentions(ConfKey account);

const char *conf_right_name(ConfRight right); /* "read", "create", ... */
bool conf_rights_parse(const ConfJson *array, const char *path, uint8_t *rights, ConfRpcError *error)
    G_GNUC_WARN_UNUSED_RESULT;
void conf_rights_write(uint8_t rights, ConfBuffer *buffer); /* ["read","change"] */
/* [{"account":{"type","dbid"},"rights":[...]},...]; the same text is what is stored. */
void conf_acl_write(const ConfAcl *acl, const ConfSchema *schema, ConfBuffer *buffer);
/* Of a list on its way in: shape and rights are checked, existence of accounts is the caller's.  Returns a
 * new array. */
GArray *conf_acl_entries_parse(const ConfJson *array, const ConfSchema *schema, const char *path,
                               ConfRpcError *error);
