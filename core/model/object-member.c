/* object-member.c - single members of an object, and objects with some of their members ("fields" of a
 * read). */
#include <string.h>

#include "base/json-reader.h"
#include "model/object-private.h"

struct ConfProjection {
    unsigned count;
    ConfSlice names[]; /* owned text behind them */
};

enum { PROJECTION_MAX = 1000 };

static bool find_member(ConfJsonReader *reader, ConfSlice text, const char *member);
static char *get_text(ConfSlice text, const char *member);
static bool is_known(const ConfSchema *schema, ConfSlice name);
static bool is_wanted(const ConfProjection *projection, ConfSlice name);

bool
conf_object_get_integer(const ConfObject *object, const char *member, int64_t *value)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    if (!find_member(&reader, conf_bytes_slice(object->body), member) ||
        conf_json_reader_next(&reader) != CONF_JSON_EVENT_NUMBER || !reader.is_integer)
        return false;
    *value = reader.integer;
    return true;
}

bool
conf_object_get_boolean(const ConfObject *object, const char *member)
{
    ConfSlice raw = conf_object_get_raw(object, member);
    return conf_slice_is(raw, "true");
}

char *
conf_object_get_string(const ConfObject *object, const char *member)
{
    return get_text(conf_bytes_slice(object->body), member);
}

char *
conf_object_get_secret(const ConfObject *object, const char *member)
{
    return get_text(conf_bytes_slice(object->secrets), member);
}

ConfSlice
conf_object_get_raw(const ConfObject *object, const char *member)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    ConfSlice raw;
    if (!find_member(&reader, conf_bytes_slice(object->body), member) ||
        !conf_json_reader_skip(&reader, &raw))
        return (ConfSlice){NULL, 0};
    return raw;
}

/* Leaves the reader before the value. */
static bool
find_member(ConfJsonReader *reader, ConfSlice text, const char *member)
{
    if (text.size == 0)
        return false;
    conf_json_reader_start(reader, text);
    if (conf_json_reader_next(reader) != CONF_JSON_EVENT_OBJECT)
        return false;
    while (conf_json_reader_next(reader) == CONF_JSON_EVENT_KEY) {
        if (conf_slice_is(reader->text, member))
            return true;
        if (!conf_json_reader_skip(reader, NULL))
            return false;
    }
    return false;
}

static char *
get_text(ConfSlice text, const char *member)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    if (!find_member(&reader, text, member) || conf_json_reader_next(&reader) != CONF_JSON_EVENT_STRING)
        return NULL;
    return conf_slice_dup(reader.text);
}

ConfProjection *
conf_projection_parse(const ConfSchema *schema, const ConfJson *fields, const char *at, ConfRpcError *error)
{
    if (fields == NULL || fields->kind != CONF_JSON_ARRAY || fields->count > PROJECTION_MAX) {
        conf_rpc_fail_path(error, at, "fields must be an array of at most %d names", PROJECTION_MAX);
        return NULL;
    }
    ConfValueContext context = {.error = error};
    ConfValuePath root = conf_value_path_root(at);
    size_t size = 0;
    unsigned index = 0;
    for (const ConfJson *name = fields->first; name != NULL; name = name->next, index++) {
        ConfValuePath path = conf_value_path_item(&root, index);
        if (name->kind != CONF_JSON_STRING) {
            conf_value_fail(&context, &path, "a field is named by a string");
            return NULL;
        }
        if (!is_known(schema, name->text)) {
            conf_value_fail(&context, &path, "there is no field %.*s", (int)MIN(name->text.size, 128),
                            name->text.data);
            return NULL;
        }
        size += name->text.size;
    }
    ConfProjection *projection = g_malloc(sizeof(ConfProjection) + fields->count * sizeof(ConfSlice) + size);
    char *text = (char *)&projection->names[fields->count];
    projection->count = 0;
    for (const ConfJson *name = fields->first; name != NULL; name = name->next) {
        memcpy(text, name->text.data, name->text.size);
        projection->names[projection->count++] = (ConfSlice){text, name->text.size};
        text += name->text.size;
    }
    return projection;
}

void
conf_projection_free(ConfProjection *projection)
{
    g_free(projection);
}

void
conf_projection_write(const ConfProjection *projection, const ConfObject *object, ConfBuffer *buffer)
{
    static const char *const always[] = {"type", "dbid", "revision"};
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, conf_bytes_slice(object->body));
    size_t begin = buffer->size;
    if (conf_json_reader_next(&reader) == CONF_JSON_EVENT_OBJECT) {
        for (unsigned n = 0; conf_json_reader_next(&reader) == CONF_JSON_EVENT_KEY; n++) {
            ConfSlice key = reader.raw, value;
            bool is_first = n < G_N_ELEMENTS(always) && conf_slice_is(reader.text, always[n]);
            bool wanted = is_first || is_wanted(projection, reader.text);
            if (!conf_json_reader_skip(&reader, &value))
                break;
            if (!wanted)
                continue;
            conf_buffer_append_char(buffer, buffer->size == begin ? '{' : ',');
            conf_buffer_append_slice(buffer, key);
            conf_buffer_append_char(buffer, ':');
            conf_buffer_append_slice(buffer, value);
        }
    }
    conf_buffer_append_string(buffer, buffer->size == begin ? "{}" : "}");
}

static bool
is_known(const ConfSchema *schema, ConfSlice name)
{
    for (unsigned i = 0; i < schema->type_count; i++) {
        if (conf_type_member(schema->types[i], name) != NULL)
            return true;
    }
    return false;
}

static bool
is_wanted(const ConfProjection *projection, ConfSlice name)
{
    for (unsigned i = 0; i < projection->count; i++) {
        if (conf_slice_equal(projection->names[i], name))
            return true;
    }
    return false;
}
