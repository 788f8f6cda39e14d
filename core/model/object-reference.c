/* object-reference.c - what an object refers to, and the object without some of it. */
#include "base/json-reader.h"
#include "model/object-private.h"

static bool walk(ConfJsonReader *reader, const ConfSchema *schema, const ConfField *field,
                 GArray *references);
static bool walk_struct(ConfJsonReader *reader, const ConfSchema *schema, const ConfField *field,
                        GArray *references);
static bool read_target(ConfJsonReader *reader, const ConfSchema *schema, const ConfField *field,
                        ConfKey *target);
static bool may_clear(const ConfField *field);
static bool clear(const ConfSchema *schema, const ConfField *field, ConfSlice text, ConfKey target,
                  ConfBuffer *buffer);
static bool clear_struct(const ConfSchema *schema, const ConfField *field, ConfSlice text, ConfKey target,
                         ConfBuffer *buffer);
static bool clear_list(const ConfSchema *schema, const ConfField *field, ConfSlice text, ConfKey target,
                       ConfBuffer *buffer);

void
conf_object_references(const ConfSchema *schema, const ConfObject *object, GArray *references)
{
    const ConfTypeInfo *type = conf_schema_type(schema, object->type);
    unsigned next = CONF_FIELD_AT_OWN, left = 0;
    for (unsigned i = next; i < type->field_count; i++)
        left += type->fields[i].holds_references;
    if (left == 0)
        return;
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    reader.is_checked = true;
    conf_json_reader_start(&reader, conf_bytes_slice(object->body));
    if (conf_json_reader_next(&reader) != CONF_JSON_EVENT_OBJECT)
        return;
    while (left > 0 && conf_json_reader_next(&reader) == CONF_JSON_EVENT_KEY) {
        const ConfField *field = NULL;
        for (unsigned i = next; i < type->field_count && field == NULL; i++) {
            if (conf_slice_equal(conf_field_member_name(&type->fields[i]), reader.text))
                field = &type->fields[i];
        }
        if (field != NULL) { /* a member of the head is none of these */
            for (; next <= field->index; next++)
                left -= type->fields[next].holds_references;
        }
        bool holds = field != NULL && field->holds_references;
        if (left == 0 && !holds)
            return; /* Options and annex, which come last, are most of the text. */
        if (holds ? !walk(&reader, schema, field, references) : !conf_json_reader_skip(&reader, NULL))
            return;
    }
}

/* The next value, of this field.  Depth is that of the schema. */
static bool
walk(ConfJsonReader *reader, const ConfSchema *schema, const ConfField *field, GArray *references)
{
    switch (field->kind) {
    case CONF_FIELD_REF: {
        ConfReference reference = {.field = field};
        if (!read_target(reader, schema, field, &reference.target))
            return false;
        g_array_append_val(references, reference);
        return true;
    }
    case CONF_FIELD_LIST:
        if (conf_json_reader_next(reader) != CONF_JSON_EVENT_ARRAY)
            return false;
        while (conf_json_reader_has_item(reader)) {
            if (!walk(reader, schema, field->of, references))
                return false;
        }
        return conf_json_reader_next(reader) == CONF_JSON_EVENT_ARRAY_END;
    case CONF_FIELD_STRUCT:
        return walk_struct(reader, schema, field, references);
    default:
        return conf_json_reader_skip(reader, NULL);
    }
}

static bool
walk_struct(ConfJsonReader *reader, const ConfSchema *schema, const ConfField *field, GArray *references)
{
    if (conf_json_reader_next(reader) != CONF_JSON_EVENT_OBJECT)
        return false;
    ConfJsonEvent event;
    while ((event = conf_json_reader_next(reader)) == CONF_JSON_EVENT_KEY) {
        const ConfField *member = conf_struct_member(field, reader->text);
        bool holds = member != NULL && member->holds_references;
        if (holds ? !walk(reader, schema, member, references) : !conf_json_reader_skip(reader, NULL))
            return false;
    }
    return event == CONF_JSON_EVENT_OBJECT_END;
}

/* A dbid; of several types {"type","dbid"}. */
static bool
read_target(ConfJsonReader *reader, const ConfSchema *schema, const ConfField *field, ConfKey *target)
{
    ConfJsonEvent event = conf_json_reader_next(reader);
    if (event == CONF_JSON_EVENT_NUMBER) {
        *target = (ConfKey){.type = field->to[0], .dbid = reader->integer};
        return true;
    }
    if (event != CONF_JSON_EVENT_OBJECT)
        return false;
    *target = (ConfKey){.dbid = 0};
    while ((event = conf_json_reader_next(reader)) == CONF_JSON_EVENT_KEY) {
        event = conf_json_reader_next(reader);
        if (event == CONF_JSON_EVENT_NUMBER) {
            target->dbid = reader->integer;
        } else {
            const ConfTypeInfo *type =
                event == CONF_JSON_EVENT_STRING ? conf_schema_type_by_name(schema, reader->text) : NULL;
            if (type == NULL)
                return false;
            target->type = type->id;
        }
    }
    return event == CONF_JSON_EVENT_OBJECT_END && target->dbid != 0 && target->type != 0;
}

ConfObject *
conf_object_without_reference(const ConfSchema *schema, ConfArena *arena, const ConfObject *before,
                              ConfKey target, int64_t revision)
{
    g_auto(ConfRpcError) fault = CONF_RPC_ERROR_INIT;
    ConfDraft draft;
    conf_draft_init(&draft, schema, before->type, arena, &fault);
    draft.is_trusted = true;
    if (!conf_draft_read(&draft, before))
        return conf_object_ref(before);
    for (unsigned i = CONF_FIELD_AT_OWN; i < draft.type->field_count; i++) {
        const ConfField *field = &draft.type->fields[i];
        if (draft.values[i].data == NULL || !may_clear(field))
            continue;
        g_auto(ConfBuffer) text = CONF_BUFFER_INIT;
        if (!clear(schema, field, draft.values[i], target, &text))
            continue;
        draft.values[i] = (ConfSlice){NULL, 0};
        if (text.size > 0)
            draft.values[i] = (ConfSlice){conf_arena_copy(arena, text.data, text.size), text.size};
    }
    if (conf_draft_equals(&draft, before))
        return conf_object_ref(before);
    draft.head.revision = revision;
    return conf_draft_make(&draft, conf_bytes_ref(before->secrets), before->acl, before->acl_revision);
}

static bool
may_clear(const ConfField *field)
{
    if (field->kind == CONF_FIELD_REF)
        return field->on_delete == CONF_ON_DELETE_CLEAR;
    if (field->kind == CONF_FIELD_LIST)
        return may_clear(field->of);
    for (unsigned i = 0; field->kind == CONF_FIELD_STRUCT && i < field->field_count; i++) {
        if (may_clear(&field->fields[i]))
            return true;
    }
    return false;
}

/* Appends the text of the value without the references; nothing if nothing is left.  The rest is copied as
 * it is, not judged anew: what once fitted the schema must not keep a deletion from happening.  False: the
 * text is broken. */
static bool
clear(const ConfSchema *schema, const ConfField *field, ConfSlice text, ConfKey target, ConfBuffer *buffer)
{
    if (!may_clear(field)) {
        conf_buffer_append_slice(buffer, text);
        return true;
    }
    if (field->kind == CONF_FIELD_LIST)
        return clear_list(schema, field, text, target, buffer);
    if (field->kind == CONF_FIELD_STRUCT)
        return clear_struct(schema, field, text, target, buffer);
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, text);
    ConfKey found;
    if (!read_target(&reader, schema, field, &found))
        return false;
    if (!conf_key_equal(found, target))
        conf_buffer_append_slice(buffer, text);
    return true;
}

static bool
clear_struct(const ConfSchema *schema, const ConfField *field, ConfSlice text, ConfKey target,
             ConfBuffer *buffer)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, text);
    if (conf_json_reader_next(&reader) != CONF_JSON_EVENT_OBJECT)
        return false;
    size_t begin = buffer->size;
    ConfJsonEvent event;
    while ((event = conf_json_reader_next(&reader)) == CONF_JSON_EVENT_KEY) {
        const ConfField *member = conf_struct_member(field, reader.text);
        ConfSlice value;
        if (member == NULL || !conf_json_reader_skip(&reader, &value))
            return false;
        size_t mark = buffer->size;
        conf_buffer_append_string(buffer, mark == begin ? "{\"" : ",\"");
        conf_buffer_append(buffer, member->name, member->name_size);
        CONF_BUFFER_LITERAL(buffer, "\":");
        size_t value_begin = buffer->size;
        if (!clear(schema, member, value, target, buffer))
            return false;
        if (buffer->size == value_begin)
            conf_buffer_truncate(buffer, mark);
    }
    if (buffer->size > begin)
        conf_buffer_append_char(buffer, '}');
    return event == CONF_JSON_EVENT_OBJECT_END;
}

static bool
clear_list(const ConfSchema *schema, const ConfField *field, ConfSlice text, ConfKey target,
           ConfBuffer *buffer)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, text);
    if (conf_json_reader_next(&reader) != CONF_JSON_EVENT_ARRAY)
        return false;
    size_t begin = buffer->size;
    while (conf_json_reader_has_item(&reader)) {
        ConfSlice item;
        if (!conf_json_reader_skip(&reader, &item))
            return false;
        size_t mark = buffer->size;
        conf_buffer_append_char(buffer, mark == begin ? '[' : ',');
        if (!clear(schema, field->of, item, target, buffer))
            return false;
        if (buffer->size == mark + 1)
            conf_buffer_truncate(buffer, mark);
    }
    if (buffer->size > begin)
        conf_buffer_append_char(buffer, ']');
    return true;
}
