/* object.c - the life of an object: from stored text, references, digest. */
#include "model/object.h"

#include <string.h>

#include "base/error.h"
#include "base/id.h"
#include "base/json-reader.h"
#include "model/object-private.h"

enum { NAME_SIZE_MAX = 255 * 4 };

/* What from_stored reads of a body. */
typedef struct {
    ConfObjectHead head;
    const ConfTypeInfo *type;
    char name[NAME_SIZE_MAX + 1];
    size_t name_size;
    bool has_state;
} StoredHead;

static ConfObject *make(const ConfObjectHead *head, ConfSlice name, ConfBytes *body, ConfBytes *secrets,
                        const ConfAcl *acl, int64_t acl_revision);
static bool read_stored(const ConfSchema *schema, ConfSlice body, bool head_only, StoredHead *stored,
                        GError **error);
static bool read_head_and_permissions(const ConfSchema *schema, ConfSlice body, bool head_only,
                                      ConfSlice permissions, StoredHead *stored, const ConfAcl **acl,
                                      GError **error);
static bool read_permissions(const ConfSchema *schema, ConfSlice permissions, const ConfAcl **acl,
                             GError **error);

ConfObject *
conf_object_ref(const ConfObject *object)
{
    ConfObject *shared = (ConfObject *)object;
    if (shared != NULL)
        __atomic_fetch_add(&shared->refs, 1, __ATOMIC_RELAXED);
    return shared;
}

void
conf_object_unref(const ConfObject *object)
{
    ConfObject *shared = (ConfObject *)object;
    if (shared == NULL || __atomic_fetch_sub(&shared->refs, 1, __ATOMIC_ACQ_REL) > 1)
        return;
    conf_acl_unref(shared->acl);
    conf_bytes_unref(shared->body);
    conf_bytes_unref(shared->secrets);
    g_free(shared);
}

ConfObject *
conf_object_make(const ConfObjectHead *head, ConfSlice name, ConfBytes *body, ConfBytes *secrets,
                 const ConfAcl *acl, int64_t acl_revision)
{
    ConfObject *object = make(head, name, body, secrets, acl, acl_revision);
    conf_object_compute_digest(NULL, object, true, object->digest);
    return object;
}

ConfObject *
conf_object_from_stored(const ConfSchema *schema, ConfSlice body, ConfSlice secrets, ConfSlice permissions,
                        int64_t acl_revision, GError **error)
{
    StoredHead stored;
    const ConfAcl *acl = NULL;
    if (!read_head_and_permissions(schema, body, false, permissions, &stored, &acl, error))
        return NULL;
    ConfBytes *secret_bytes = secrets.size > 0 ? conf_bytes_new(secrets.data, secrets.size) : NULL;
    ConfObject *object =
        conf_object_make(&stored.head, (ConfSlice){stored.name, stored.name_size},
                         conf_bytes_new(body.data, body.size), secret_bytes, acl, acl_revision);
    conf_acl_unref(acl);
    return object;
}

ConfObject *
conf_object_recall(const ConfSchema *schema, ConfSlice body, ConfSlice permissions, int64_t acl_revision,
                   GError **error)
{
    StoredHead stored;
    const ConfAcl *acl = NULL;
    if (!read_head_and_permissions(schema, body, true, permissions, &stored, &acl, error))
        return NULL;
    ConfObject *object = make(&stored.head, (ConfSlice){stored.name, stored.name_size},
                              conf_bytes_new(body.data, body.size), NULL, acl, acl_revision);
    conf_acl_unref(acl);
    return object;
}

ConfObject *
conf_object_with_acl(const ConfObject *before, const ConfAcl *acl, int64_t acl_revision)
{
    ConfObjectHead head = {
        .key = conf_object_key(before),
        .revision = before->revision,
        .tenant = before->tenant,
        .folder = before->folder,
        .enabled = before->enabled,
    };
    return conf_object_make(&head, conf_object_name(before), conf_bytes_ref(before->body),
                            conf_bytes_ref(before->secrets), acl, acl_revision);
}

/* Numbers of fixed size first, which also say how long the parts are that follow: no two objects have one
 * encoding. */
void
conf_object_compute_digest(const ConfSchema *schema, const ConfObject *object, bool with_secrets,
                           uint8_t digest[16])
{
    g_auto(ConfBuffer) rights = CONF_BUFFER_INIT;
    if (object->acl != NULL)
        conf_acl_write_canonical(object->acl, &rights);
    ConfSlice secrets = with_secrets ? conf_bytes_slice(object->secrets) : (ConfSlice){NULL, 0};
    const uint64_t numbers[] = {
        GUINT64_TO_LE((uint64_t)object->type),
        GUINT64_TO_LE((uint64_t)object->dbid),
        GUINT64_TO_LE((uint64_t)object->revision),
        GUINT64_TO_LE((uint64_t)object->body->size),
        GUINT64_TO_LE((uint64_t)secrets.size),
        GUINT64_TO_LE((uint64_t)rights.size), /* an empty list has text, an inherited one none */
        GUINT64_TO_LE((uint64_t)object->acl_revision),
    };
    ConfSlice parts[] = {{(const char *)numbers, sizeof(numbers)},
                         conf_bytes_slice(object->body),
                         secrets,
                         conf_buffer_slice(&rights)};
    uint8_t whole[32];
    conf_id_sha256_parts(parts, G_N_ELEMENTS(parts), whole);
    memcpy(digest, whole, 16);
}

void
conf_object_body_hash(const ConfObject *object, char hex[65])
{
    uint8_t digest[32];
    conf_id_sha256(conf_bytes_slice(object->body), digest);
    conf_id_hex(digest, sizeof(digest), hex);
}

void
conf_digest_add(uint8_t sum[16], const uint8_t digest[16])
{
    unsigned carry = 0;
    for (unsigned i = 0; i < 16; i++) {
        carry += (unsigned)sum[i] + digest[i];
        sum[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

void
conf_digest_subtract(uint8_t sum[16], const uint8_t digest[16])
{
    unsigned borrow = 0;
    for (unsigned i = 0; i < 16; i++) {
        unsigned take = digest[i] + borrow;
        borrow = sum[i] < take;
        sum[i] = (uint8_t)(sum[i] - take);
    }
}

bool
conf_model_error(GError **error, const char *what, const ConfObject *object, const ConfRpcError *from)
{
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "%s of type %d, dbid %" G_GINT64_FORMAT " (%s): %s",
                what, object->type, object->dbid, object->name,
                from->message != NULL ? from->message : "not known why");
    return false;
}

static ConfObject *
make(const ConfObjectHead *head, ConfSlice name, ConfBytes *body, ConfBytes *secrets, const ConfAcl *acl,
     int64_t acl_revision)
{
    ConfObject *object = g_malloc(sizeof(ConfObject) + name.size + 1);
    *object = (ConfObject){
        .refs = 1,
        .type = head->key.type,
        .enabled = head->enabled,
        .dbid = head->key.dbid,
        .revision = head->revision,
        .tenant = head->tenant,
        .folder = head->folder,
        .acl = conf_acl_ref(acl),
        .acl_revision = acl != NULL ? acl_revision : 0,
        .body = body,
        .secrets = secrets,
        .name_size = (uint32_t)name.size,
    };
    memcpy(object->name, name.data, name.size);
    object->name[name.size] = '\0';
    return object;
}

static bool
fail_stored(const StoredHead *stored, GError **error, const char *message)
{
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "Object %s %" G_GINT64_FORMAT ": %s",
                stored->type != NULL ? stored->type->name : "of unknown type", stored->head.key.dbid,
                message);
    return false;
}

/* One member of the head, or none of it. */
static bool
read_head_member(const ConfSchema *schema, ConfJsonReader *reader, StoredHead *stored, bool *known)
{
    static const char *const names[] = {"type", "dbid", "revision", "name", "tenant", "folder", "state"};
    unsigned i = 0;
    while (i < G_N_ELEMENTS(names) && !conf_slice_is(reader->text, names[i]))
        i++;
    *known = i < G_N_ELEMENTS(names);
    if (!*known)
        return true;
    ConfJsonEvent event = conf_json_reader_next(reader);
    bool is_text = i == CONF_FIELD_AT_TYPE || i == CONF_FIELD_AT_NAME || i == CONF_FIELD_AT_STATE;
    if (is_text ? event != CONF_JSON_EVENT_STRING : event != CONF_JSON_EVENT_NUMBER || !reader->is_integer)
        return false;
    switch (i) {
    case CONF_FIELD_AT_TYPE:
        stored->type = conf_schema_type_by_name(schema, reader->text);
        return stored->type != NULL;
    case CONF_FIELD_AT_DBID:
        stored->head.key.dbid = reader->integer;
        return reader->integer >= 1;
    case CONF_FIELD_AT_REVISION:
        stored->head.revision = reader->integer;
        return reader->integer >= 0;
    case CONF_FIELD_AT_NAME:
        if (reader->text.size == 0 || reader->text.size > NAME_SIZE_MAX)
            return false;
        memcpy(stored->name, reader->text.data, reader->text.size);
        stored->name_size = reader->text.size;
        return true;
    case CONF_FIELD_AT_TENANT:
        stored->head.tenant = reader->integer;
        return reader->integer >= 1;
    case CONF_FIELD_AT_FOLDER:
        stored->head.folder = reader->integer;
        return reader->integer >= 1;
    default:
        stored->has_state = true;
        stored->head.enabled = conf_slice_is(reader->text, "enabled");
        return stored->head.enabled || conf_slice_is(reader->text, "disabled");
    }
}

/* *acl: a reference, or NULL. */
static bool
read_head_and_permissions(const ConfSchema *schema, ConfSlice body, bool head_only, ConfSlice permissions,
                          StoredHead *stored, const ConfAcl **acl, GError **error)
{
    memset(stored, 0, offsetof(StoredHead, name));
    stored->name_size = 0;
    stored->has_state = false;
    if (!read_stored(schema, body, head_only, stored, error))
        return false;
    if (permissions.size == 0 || read_permissions(schema, permissions, acl, error))
        return true;
    g_prefix_error(error, "%s %" G_GINT64_FORMAT ": ", stored->type->name, stored->head.key.dbid);
    return false;
}

/* `head_only`: what stands behind the head is not looked at. */
static bool
read_stored(const ConfSchema *schema, ConfSlice body, bool head_only, StoredHead *stored, GError **error)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, body);
    if (body.size > UINT32_MAX - 1)
        return fail_stored(stored, error, "the body is too long");
    ConfJsonEvent event = conf_json_reader_next(&reader);
    if (event == CONF_JSON_EVENT_OBJECT) {
        while (!(head_only && stored->has_state) &&
               (event = conf_json_reader_next(&reader)) == CONF_JSON_EVENT_KEY) {
            bool known = false;
            if (!stored->has_state && !read_head_member(schema, &reader, stored, &known))
                return fail_stored(stored, error, "a member of its head is broken");
            if (!known && !conf_json_reader_skip(&reader, NULL))
                return fail_stored(stored, error, reader.message);
        }
    }
    if (event == CONF_JSON_EVENT_OBJECT_END)
        event = conf_json_reader_next(&reader);
    if (event != CONF_JSON_EVENT_END && !(head_only && stored->has_state))
        return fail_stored(stored, error,
                           reader.message != NULL ? reader.message : "the body is no JSON object");
    if (stored->type == NULL || stored->head.key.dbid == 0 || stored->name_size == 0 ||
        stored->head.tenant == 0 || !stored->has_state)
        return fail_stored(stored, error, "a member of its head is missing");
    stored->head.key.type = stored->type->id;
    return true;
}

static bool
read_permissions(const ConfSchema *schema, ConfSlice permissions, const ConfAcl **acl, GError **error)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    g_auto(ConfRpcError) fault = CONF_RPC_ERROR_INIT;
    const char *message = "no array";
    const ConfJson *tree = conf_json_parse(arena, permissions, NULL, NULL, &message);
    g_autoptr(GArray) entries = tree != NULL ? conf_acl_entries_parse(tree, schema, "", &fault) : NULL;
    if (entries == NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "its list of rights is broken: %s",
                    fault.message != NULL ? fault.message : message);
        return false;
    }
    *acl = conf_acl_intern((const ConfAclEntry *)entries->data, entries->len);
    return true;
}
