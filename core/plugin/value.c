/* value.c - JSON for plugins: the core's one reader and one writer behind functions that need no knowledge
 * of their structs. */
#include <string.h>

#include "base/error.h"
#include "base/json-writer.h"
#include "base/queue-main.h"
#include "plugin/plugin-private.h"

struct ConfJsonWriterHandle {
    ConfJsonWriter writer;
    ConfBuffer buffer;
};

static void end_texts(ConfArena *arena, ConfJson *value);

const ConfJson *
conf_value_parse(const char *text, GError **error)
{
    ConfArena *arena = conf_plugin_scratch();
    size_t offset;
    const char *message;
    /* A copy: the tree points into the text, and the caller's may be freed before the hook returns. */
    size_t size = strlen(text);
    ConfSlice copy = {conf_arena_copy(arena, text, size), size};
    ConfJson *value = conf_json_parse(arena, copy, NULL, &offset, &message);
    if (value == NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "%s (at byte %zu)", message, offset);
        return NULL;
    }
    end_texts(arena, value);
    return value;
}

ConfValueKind
conf_value_kind(const ConfJson *v)
{
    switch (v->kind) {
    case CONF_JSON_NULL:
        return CONF_V_NULL;
    case CONF_JSON_BOOLEAN:
        return CONF_V_BOOLEAN;
    case CONF_JSON_NUMBER:
        return CONF_V_NUMBER;
    case CONF_JSON_STRING:
        return CONF_V_STRING;
    case CONF_JSON_ARRAY:
        return CONF_V_ARRAY;
    case CONF_JSON_OBJECT:
        return CONF_V_OBJECT;
    }
    return CONF_V_NULL;
}

const ConfJson *
conf_value_member(const ConfJson *v, const char *name)
{
    return conf_json_member(v, name);
}

const ConfJson *
conf_value_item(const ConfJson *v, unsigned index)
{
    if (v == NULL || index >= conf_value_length(v))
        return NULL;
    const ConfJson *item = v->first;
    while (index-- > 0)
        item = item->next;
    return item;
}

unsigned
conf_value_length(const ConfJson *v)
{
    return v != NULL && (v->kind == CONF_JSON_ARRAY || v->kind == CONF_JSON_OBJECT) ? v->count : 0;
}

const ConfJson *
conf_value_next(const ConfJson *v)
{
    return v != NULL ? v->next : NULL;
}

const char *
conf_value_string(const ConfJson *v)
{
    if (v == NULL || v->kind != CONF_JSON_STRING || strlen(v->text.data) != v->text.size)
        return NULL;
    return v->text.data;
}

const char *
conf_value_key(const ConfJson *v)
{
    if (v == NULL || v->key.data == NULL || strlen(v->key.data) != v->key.size)
        return NULL;
    return v->key.data;
}

bool
conf_value_integer(const ConfJson *v, int64_t *integer)
{
    if (v == NULL || v->kind != CONF_JSON_NUMBER || !v->is_integer)
        return false;
    *integer = v->integer;
    return true;
}

bool
conf_value_boolean(const ConfJson *v)
{
    return v != NULL && v->kind == CONF_JSON_BOOLEAN && v->boolean;
}

ConfJsonWriterHandle *
conf_writer_new(void)
{
    ConfJsonWriterHandle *w = g_new0(ConfJsonWriterHandle, 1);
    conf_json_writer_init(&w->writer, &w->buffer);
    return w;
}

void
conf_writer_begin_object(ConfJsonWriterHandle *w)
{
    conf_json_writer_begin_object(&w->writer);
}

void
conf_writer_end_object(ConfJsonWriterHandle *w)
{
    conf_json_writer_end_object(&w->writer);
}

void
conf_writer_begin_array(ConfJsonWriterHandle *w)
{
    conf_json_writer_begin_array(&w->writer);
}

void
conf_writer_end_array(ConfJsonWriterHandle *w)
{
    conf_json_writer_end_array(&w->writer);
}

void
conf_writer_key(ConfJsonWriterHandle *w, const char *key)
{
    conf_json_writer_key(&w->writer, key);
}

void
conf_writer_string(ConfJsonWriterHandle *w, const char *value)
{
    if (value == NULL)
        conf_json_writer_null(&w->writer);
    else
        conf_json_writer_string(&w->writer, value);
}

void
conf_writer_integer(ConfJsonWriterHandle *w, int64_t value)
{
    conf_json_writer_integer(&w->writer, value);
}

void
conf_writer_boolean(ConfJsonWriterHandle *w, bool value)
{
    conf_json_writer_boolean(&w->writer, value);
}

void
conf_writer_null(ConfJsonWriterHandle *w)
{
    conf_json_writer_null(&w->writer);
}

void
conf_writer_json(ConfJsonWriterHandle *w, const char *json)
{
    conf_json_writer_raw(&w->writer, conf_slice_from_string(json));
}

char *
conf_writer_finish(ConfJsonWriterHandle *w)
{
    char *text = g_strndup(w->buffer.data != NULL ? w->buffer.data : "", w->buffer.size);
    conf_buffer_clear(&w->buffer);
    g_free(w);
    return text;
}

/* The tree's texts are slices of its source; plugins are given C strings.  The depth is bounded by the
 * reader. */
static void
end_texts(ConfArena *arena, ConfJson *value)
{
    if (value->key.data != NULL)
        value->key.data = conf_arena_copy(arena, value->key.data, value->key.size);
    if (value->kind == CONF_JSON_STRING)
        value->text.data = conf_arena_copy(arena, value->text.data, value->text.size);
    for (ConfJson *child = value->first; child != NULL; child = child->next)
        end_texts(arena, child);
}
