/* object-draft.c - an object while it is made or changed: canonical texts by field, put together at the
 * end. */
#include <string.h>

#include "base/error.h"
#include "base/json-reader.h"
#include "model/object-private.h"

static bool fail_split(const ConfTypeInfo *type, GError **error, const char *message);
static ConfSlice keep(ConfArena *arena, const ConfBuffer *buffer);

bool
conf_body_split(const ConfTypeInfo *type, ConfSlice body, ConfSlice *values, GError **error)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, body);
    if (conf_json_reader_next(&reader) != CONF_JSON_EVENT_OBJECT)
        return fail_split(type, error, "the body is no JSON object");
    unsigned next = 0;
    ConfJsonEvent event;
    while ((event = conf_json_reader_next(&reader)) == CONF_JSON_EVENT_KEY) {
        /* Members come in the order of the fields. */
        const ConfField *field = NULL;
        for (; next < type->field_count && field == NULL; next++) {
            ConfSlice name = conf_field_member_name(&type->fields[next]);
            if (conf_slice_equal(name, reader.text))
                field = &type->fields[next];
        }
        if (field == NULL)
            return fail_split(type, error, "a member is unknown, or not in its place");
        if (!conf_json_reader_skip(&reader, &values[field->index]))
            return fail_split(type, error, reader.message);
    }
    if (event != CONF_JSON_EVENT_OBJECT_END || conf_json_reader_next(&reader) != CONF_JSON_EVENT_END)
        return fail_split(type, error, reader.message);
    return true;
}

static bool
fail_split(const ConfTypeInfo *type, GError **error, const char *message)
{
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                "The body of an object of type %s does not fit the schema: %s", type->name,
                message != NULL ? message : "it is no JSON object");
    return false;
}

void
conf_draft_init(ConfDraft *draft, const ConfSchema *schema, ConfTypeId type, ConfArena *arena,
                ConfRpcError *error)
{
    *draft = (ConfDraft){.schema = schema, .type = conf_schema_type(schema, type)};
    g_assert(draft->type != NULL);
    draft->context = (ConfValueContext){.schema = schema, .arena = arena, .error = error};
    draft->values = conf_arena_alloc(arena, draft->type->field_count * sizeof(ConfSlice));
}

void
conf_draft_take_head(ConfDraft *draft, const ConfObject *object)
{
    draft->head = (ConfObjectHead){
        .key = conf_object_key(object),
        .revision = object->revision,
        .tenant = object->tenant,
        .folder = object->folder,
        .enabled = object->enabled,
    };
    draft->name = conf_object_name(object);
}

bool
conf_draft_read(ConfDraft *draft, const ConfObject *object)
{
    g_autoptr(GError) error = NULL;
    if (!conf_body_split(draft->type, conf_bytes_slice(object->body), draft->values, &error))
        return conf_rpc_fail(draft->context.error, CONF_RPC_INTERNAL, "%s", error->message);
    size_t size = draft->type->field_count * sizeof(ConfSlice);
    draft->before = memcpy(conf_arena_alloc(draft->context.arena, size), draft->values, size);
    conf_draft_take_head(draft, object);
    return true;
}

bool
conf_draft_set(ConfDraft *draft, const ConfField *field, const ConfJson *value, bool merge,
               const ConfValuePath *path)
{
    if (field->kind == CONF_FIELD_SECRET) {
        /* What tells its presence; trusted only. */
        bool is_set = value->kind == CONF_JSON_BOOLEAN && value->boolean;
        draft->values[field->index] = is_set ? CONF_SLICE("true") : (ConfSlice){NULL, 0};
        return true;
    }
    if (merge)
        value = conf_value_merge(&draft->context, field, draft->values[field->index], value);
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    if (!conf_value_write(&draft->context, field, value, path, &buffer))
        return false;
    draft->values[field->index] = keep(draft->context.arena, &buffer);
    return true;
}

static ConfSlice
keep(ConfArena *arena, const ConfBuffer *buffer)
{
    if (buffer->size == 0)
        return (ConfSlice){NULL, 0};
    return (ConfSlice){conf_arena_copy(arena, buffer->data, buffer->size), buffer->size};
}

bool
conf_draft_set_name(ConfDraft *draft, const ConfJson *value, const ConfValuePath *path)
{
    if (value == NULL || value->kind == CONF_JSON_NULL)
        return conf_value_fail(&draft->context, path, "name is required");
    if (value->kind != CONF_JSON_STRING)
        return conf_value_fail(&draft->context, path, "name must be a string");
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    if (!conf_name_normalize(draft->context.arena, value->text, "", &draft->name, &error))
        return conf_value_fail(&draft->context, path, "%s", error.message);
    return true;
}

bool
conf_draft_computed(const ConfDraft *draft, const ConfField *field)
{
    ConfSlice source = draft->values[field->computed_from->index];
    for (unsigned i = 0; source.data != NULL && field->computed_values[i] != NULL; i++) {
        /* Values of an enum have nothing to escape (schema-field.c): between its quotes stands the value. */
        if (conf_slice_is((ConfSlice){source.data + 1, source.size - 2}, field->computed_values[i]))
            return true;
    }
    return false;
}

bool
conf_draft_complete(ConfDraft *draft, const ConfValuePath *path)
{
    for (unsigned i = CONF_FIELD_AT_OWN; i < draft->type->field_count; i++) {
        const ConfField *field = &draft->type->fields[i];
        if (field->computed)
            draft->values[i] = conf_draft_computed(draft, field) ? CONF_SLICE("true") : CONF_SLICE("false");
        if (field->required && draft->values[i].data == NULL && field->fallback.data == NULL) {
            ConfValuePath inner = conf_value_path_member(path, (ConfSlice){field->name, field->name_size});
            return conf_value_fail(&draft->context, &inner, "%s is required", field->name);
        }
    }
    return true;
}

void
conf_draft_write(const ConfDraft *draft, ConfBuffer *buffer)
{
    CONF_BUFFER_LITERAL(buffer, "{\"type\":\"");
    conf_buffer_append(buffer, draft->type->name, draft->type->name_size);
    CONF_BUFFER_LITERAL(buffer, "\",\"dbid\":");
    conf_buffer_append_integer(buffer, draft->head.key.dbid);
    CONF_BUFFER_LITERAL(buffer, ",\"revision\":");
    conf_buffer_append_integer(buffer, draft->head.revision);
    CONF_BUFFER_LITERAL(buffer, ",\"name\":");
    conf_json_append_string(buffer, draft->name);
    CONF_BUFFER_LITERAL(buffer, ",\"tenant\":");
    conf_buffer_append_integer(buffer, draft->head.tenant);
    if (draft->head.folder != 0) {
        CONF_BUFFER_LITERAL(buffer, ",\"folder\":");
        conf_buffer_append_integer(buffer, draft->head.folder);
    }
    CONF_BUFFER_LITERAL(buffer, ",\"state\":");
    conf_buffer_append_string(buffer, draft->head.enabled ? "\"enabled\"" : "\"disabled\"");
    for (unsigned i = CONF_FIELD_AT_OWN; i < draft->type->field_count; i++) {
        if (draft->values[i].data == NULL)
            continue;
        CONF_BUFFER_LITERAL(buffer, ",\"");
        conf_buffer_append_slice(buffer, conf_field_member_name(&draft->type->fields[i]));
        CONF_BUFFER_LITERAL(buffer, "\":");
        conf_buffer_append_slice(buffer, draft->values[i]);
    }
    conf_buffer_append_char(buffer, '}');
}

bool
conf_draft_equals(const ConfDraft *draft, const ConfObject *object)
{
    const ConfObjectHead head = draft->head;
    if (head.tenant != object->tenant || head.folder != object->folder || head.enabled != object->enabled ||
        !conf_slice_equal(draft->name, conf_object_name(object)))
        return false;
    for (unsigned i = CONF_FIELD_AT_OWN; i < draft->type->field_count; i++) {
        if (draft->values[i].data != draft->before[i].data &&
            !conf_slice_equal(draft->values[i], draft->before[i]))
            return false;
    }
    return true;
}

ConfObject *
conf_draft_make(const ConfDraft *draft, ConfBytes *secrets, const ConfAcl *acl, int64_t acl_revision)
{
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    conf_draft_write(draft, &buffer);
    if (buffer.size > CONF_BODY_SIZE_MAX && !draft->is_trusted) {
        conf_bytes_unref(secrets);
        conf_rpc_fail(draft->context.error, CONF_RPC_LIMIT, "the object would be larger than %d MiB",
                      CONF_BODY_SIZE_MAX / 1024 / 1024);
        return NULL;
    }
    return conf_object_make(&draft->head, draft->name, conf_buffer_to_bytes(&buffer), secrets, acl,
                            acl_revision);
}
