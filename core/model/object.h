/* object.h - one version of one object: immutable, reference-counted, shared by store, readers,
 * notifications and the storage writer. */
#pragma once

#include "base/bytes.h"
#include "model/acl.h"
#include "model/key.h"
#include "model/schema.h"

typedef struct ConfObject ConfObject;
struct ConfObject {
    unsigned refs;
    ConfTypeId type;
    bool enabled;
    int64_t dbid;
    int64_t revision;
    int64_t tenant;       /* dbid; Environment's is itself */
    int64_t folder;       /* dbid of the folder it lies in (of a folder: its parent); 0: none */
    const ConfAcl *acl;   /* own list of rights (a reference), NULL: inherited */
    int64_t acl_revision; /* of the own list; 0 where inherited */
    ConfBytes *body;      /* canonical JSON text of what anyone may see (protocol.md 2) */
    ConfBytes *secrets;   /* canonical JSON object of secret fields; NULL: none */
    uint8_t digest[16];   /* protocol.md 10: of (type, dbid, revision, body, secrets, rights) */
    uint32_t name_size;
    char name[]; /* UTF-8 NFC, NUL-ended */
};

static inline ConfKey
conf_object_key(const ConfObject *object)
{
    return (ConfKey){.type = object->type, .dbid = object->dbid};
}
static inline ConfSlice
conf_object_name(const ConfObject *object)
{
    return (ConfSlice){object->name, object->name_size};
}

/* Any thread. NULL is allowed. */
ConfObject *conf_object_ref(const ConfObject *object);
void conf_object_unref(const ConfObject *object);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfObject, conf_object_unref)

/* From stored or replicated text: trusts values (the schema check of stored data is conf_object_check),
 * takes the header from the body.  `permissions`: stored text of the own list ("" or empty slice:
 * inherited).  NULL: *error says what is broken in which object. */
ConfObject *conf_object_from_stored(const ConfSchema *schema, ConfSlice body, ConfSlice secrets,
                                    ConfSlice permissions, int64_t acl_revision, GError **error);
/* As it was, from a change record, whose reader has seen that `body` is JSON: without secrets, and with a
 * digest of zeros.  It is for telling of the past, never for a store.  NULL: *error. */
ConfObject *conf_object_recall(const ConfSchema *schema, ConfSlice body, ConfSlice permissions,
                               int64_t acl_revision, GError **error);
/* Does the object fit the schema?  At start of a master on its stored data. */
bool conf_object_check(const ConfSchema *schema, const ConfObject *object, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;

/* What a new or changed object is made of.  tree: members of the object as given by a client (create) -
 * validated, unknown members -32602 with path, names made NFC, null is unset.  The caller has filled type,
 * dbid, revision, tenant, folder, enabled where the client left them out or has no say.  Bare references
 * are completed; existence is not checked here.  `at`: path prefix ("/object"). */
typedef struct {
    ConfKey key;
    int64_t revision;
    int64_t tenant, folder;
    bool enabled;
} ConfObjectHead;
ConfObject *conf_object_create(const ConfSchema *schema, ConfArena *arena, const ConfJson *tree,
                               const ConfObjectHead *head, const char *at, ConfRpcError *error);
/* Checks and reads the members tenant, folder, state of a tree on its way in (they may be absent): 0 and
 * enabled then. */
bool conf_object_read_head(const ConfJson *tree, const char *at, int64_t *tenant, int64_t *folder,
                           bool *folder_given, bool *enabled, ConfRpcError *error) G_GNUC_WARN_UNUSED_RESULT;

/* patch (RFC 7396), add, remove (each may be NULL) applied to `before`; immutable members refused unless
 * equal.  The result has `revision`, or is `before` itself (a new reference) where nothing changed.  `at`:
 * "" or "/operations/3". */
ConfObject *conf_object_update(const ConfSchema *schema, ConfArena *arena, const ConfObject *before,
                               const ConfJson *patch, const ConfJson *add, const ConfJson *remove,
                               int64_t revision, const char *at, ConfRpcError *error);
/* As the server does itself: members set or cleared without the client's checks ("state", references
 * cleared, secrets). `patch` is a merge patch of visible members; `secrets` one of secret members; either
 * NULL. */
ConfObject *conf_object_amend(const ConfSchema *schema, ConfArena *arena, const ConfObject *before,
                              const ConfJson *patch, const ConfJson *secrets, int64_t revision,
                              GError **error);
/* The same object with another own list (NULL: inherited); body and revision stay. */
ConfObject *conf_object_with_acl(const ConfObject *before, const ConfAcl *acl, int64_t acl_revision);
/* Without every trace of references to `target` that the schema clears; `before` itself where there is
 * none. */
ConfObject *conf_object_without_reference(const ConfSchema *schema, ConfArena *arena,
                                          const ConfObject *before, ConfKey target, int64_t revision);

/* Writes what takes `before` to `after` as members: "patch":{...}[,"add":{...}][,"remove":{...}] (no
 * braces around, no comma before).  Lists as whole members or, where that is shorter and gives the same
 * order, as add/remove.  `revision` is not part of it.  Secrets show as "passwordSet". */
void conf_object_write_difference(const ConfSchema *schema, const ConfObject *before, const ConfObject *after,
                                  ConfBuffer *buffer);
/* The members of `before` and of `after` that differ, as two objects: change records and history. */
void conf_object_write_before_after(const ConfSchema *schema, const ConfObject *before,
                                    const ConfObject *after, ConfBuffer *before_members,
                                    ConfBuffer *after_members);
/* A replica's half: applies the difference members of a `changes` line (a tree with patch, add, remove) to
 * a body. Returns the new body with `revision`. NULL: *error. */
ConfBytes *conf_object_apply_difference(const ConfSchema *schema, ConfArena *arena, const ConfObject *before,
                                        const ConfJson *change, int64_t revision, GError **error);

/* References in the object, `tenant` and `folder` not among them. */
typedef struct {
    ConfKey target;
    const ConfField *field; /* the REF field, also where it is an item of a list or in a struct */
} ConfReference;
/* Appends to `references` (GArray of ConfReference). */
void conf_object_references(const ConfSchema *schema, const ConfObject *object, GArray *references);
/* An object may refer to one target by several fields; the strictest counts: restrict, then cascade, then
 * clear. */

/* Reads one member of the body or of the secrets without a tree.  False: unset. */
bool conf_object_get_integer(const ConfObject *object, const char *member, int64_t *value);
bool conf_object_get_boolean(const ConfObject *object, const char *member); /* unset: false */
/* Decoded copy, g_free(); NULL: unset. */
char *conf_object_get_string(const ConfObject *object, const char *member);
char *conf_object_get_secret(const ConfObject *object, const char *member);
/* Raw JSON of a member of the body; empty: unset. */
ConfSlice conf_object_get_raw(const ConfObject *object, const char *member);

/* "fields":[...] of a read or a list. */
typedef struct ConfProjection ConfProjection;
/* A field that no type has is -32602 naming it; one of other types is unset. */
ConfProjection *conf_projection_parse(const ConfSchema *schema, const ConfJson *fields, const char *at,
                                      ConfRpcError *error);
void conf_projection_free(ConfProjection *projection);
/* The members named, and type, dbid, revision. */
void conf_projection_write(const ConfProjection *projection, const ConfObject *object, ConfBuffer *buffer);

/* Body and secret digests, hex of the body's SHA-256 (a change's "hash"). */
void conf_object_compute_digest(const ConfSchema *schema, const ConfObject *object, bool with_secrets,
                                uint8_t digest[16]);
void conf_object_body_hash(const ConfObject *object, char hex[65]);
/* sum += or -= modulo 2^128, bytes little-endian. */
void conf_digest_add(uint8_t sum[16], const uint8_t digest[16]);
void conf_digest_subtract(uint8_t sum[16], const uint8_t digest[16]);

/* 1-255 code points, no C0 or C1 controls, made NFC into the arena. */
bool conf_name_normalize(ConfArena *arena, ConfSlice name, const char *path, ConfSlice *normal,
                         ConfRpcError *error) G_GNUC_WARN_UNUSED_RESULT;
