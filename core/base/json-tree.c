/* json-tree.c - trees out of the reader's events, comparison, and trees made by hand. */
#include "base/json-tree.h"

#include <string.h>

#include "base/error.h"

enum { COMPARED_IN_PLACE = 16 };

static ConfJson *node_of_event(ConfArena *arena, const ConfJsonReader *reader, ConfJsonEvent event);
static ConfSlice keep_text(ConfArena *arena, const ConfJsonReader *reader);
static bool members_equal(const ConfJson *a, const ConfJson *b);
static bool sorted_members_equal(const ConfJson *a, const ConfJson *b);
static const ConfJson **sort_members(const ConfJson *object);
static int compare_keys(const void *a, const void *b);

ConfJson *
conf_json_parse(ConfArena *arena, ConfSlice text, ConfJsonFault *fault, size_t *offset, const char **message)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, text);

    ConfJson *parents[CONF_JSON_DEPTH_MAX + 1] = {NULL};
    unsigned depth = 0;
    ConfJson *root = NULL;
    ConfSlice key = {NULL, 0};
    ConfJsonEvent event;
    while ((event = conf_json_reader_next(&reader)) > CONF_JSON_EVENT_ERROR) {
        if (event == CONF_JSON_EVENT_KEY) {
            key = keep_text(arena, &reader);
            continue;
        }
        if (event == CONF_JSON_EVENT_OBJECT_END || event == CONF_JSON_EVENT_ARRAY_END) {
            depth--;
            continue;
        }
        ConfJson *node = node_of_event(arena, &reader, event);
        if (depth > 0)
            conf_json_append(parents[depth - 1], key, node);
        else
            root = node;
        key = (ConfSlice){NULL, 0};
        if (node->kind == CONF_JSON_OBJECT || node->kind == CONF_JSON_ARRAY)
            parents[depth++] = node;
    }
    if (event == CONF_JSON_EVENT_ERROR)
        root = NULL;
    if (fault != NULL)
        *fault = reader.fault;
    if (offset != NULL)
        *offset = reader.offset;
    if (message != NULL)
        *message = reader.message;
    return root;
}

ConfJson *
conf_json_parse_file_text(ConfArena *arena, ConfSlice text, const char *file_name, GError **error)
{
    size_t offset;
    const char *message;
    ConfJson *root = conf_json_parse(arena, text, NULL, &offset, &message);
    if (root != NULL)
        return root;
    /* Columns count characters, not bytes: that is what an editor shows. */
    unsigned line = 1, column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (text.data[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text.data[i] & 0xc0) != 0x80) {
            column++;
        }
    }
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "%s: line %u, column %u: %s", file_name, line, column,
                message);
    return NULL;
}

ConfJson *
conf_json_member(const ConfJson *object, const char *key)
{
    return conf_json_member_slice(object, conf_slice_from_string(key));
}

ConfJson *
conf_json_member_slice(const ConfJson *object, ConfSlice key)
{
    if (object == NULL || object->kind != CONF_JSON_OBJECT)
        return NULL;
    for (ConfJson *member = object->first; member != NULL; member = member->next) {
        if (conf_slice_equal(member->key, key))
            return member;
    }
    return NULL;
}

/* Recursion is bounded: no text nests deeper than CONF_JSON_DEPTH_MAX. */
bool
conf_json_equal(const ConfJson *a, const ConfJson *b)
{
    if (a == b)
        return true;
    if (a == NULL || b == NULL || a->kind != b->kind || a->count != b->count)
        return false;
    switch (a->kind) {
    case CONF_JSON_NULL:
        return true;
    case CONF_JSON_BOOLEAN:
        return a->boolean == b->boolean;
    case CONF_JSON_NUMBER:
        if (a->is_integer != b->is_integer)
            return false;
        return a->is_integer ? a->integer == b->integer : conf_slice_equal(a->text, b->text);
    case CONF_JSON_STRING:
        return conf_slice_equal(a->text, b->text);
    case CONF_JSON_ARRAY:
        for (const ConfJson *x = a->first, *y = b->first; x != NULL; x = x->next, y = y->next) {
            if (!conf_json_equal(x, y))
                return false;
        }
        return true;
    case CONF_JSON_OBJECT:
        return members_equal(a, b);
    }
    g_assert_not_reached();
}

ConfJson *
conf_json_new(ConfArena *arena, ConfJsonKind kind)
{
    ConfJson *node = CONF_ARENA_NEW(arena, ConfJson);
    node->kind = kind;
    return node;
}

ConfJson *
conf_json_new_string(ConfArena *arena, ConfSlice text)
{
    ConfJson *node = conf_json_new(arena, CONF_JSON_STRING);
    node->text = text;
    return node;
}

ConfJson *
conf_json_new_integer(ConfArena *arena, int64_t value)
{
    char digits[24];
    int size = g_snprintf(digits, sizeof(digits), "%" G_GINT64_FORMAT, value);
    ConfJson *node = conf_json_new(arena, CONF_JSON_NUMBER);
    node->text = (ConfSlice){conf_arena_copy(arena, digits, (size_t)size), (size_t)size};
    node->is_integer = true;
    node->integer = value;
    return node;
}

void
conf_json_append(ConfJson *parent, ConfSlice key, ConfJson *child)
{
    child->key = key;
    child->next = NULL;
    if (parent->last != NULL)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->count++;
}

ConfJson *
conf_json_shallow_copy(ConfArena *arena, const ConfJson *node)
{
    ConfJson *copy = CONF_ARENA_NEW(arena, ConfJson);
    *copy = *node;
    copy->next = NULL;
    return copy;
}

static ConfJson *
node_of_event(ConfArena *arena, const ConfJsonReader *reader, ConfJsonEvent event)
{
    static const ConfJsonKind kinds[] = {
        [CONF_JSON_EVENT_OBJECT] = CONF_JSON_OBJECT, [CONF_JSON_EVENT_ARRAY] = CONF_JSON_ARRAY,
        [CONF_JSON_EVENT_STRING] = CONF_JSON_STRING, [CONF_JSON_EVENT_NUMBER] = CONF_JSON_NUMBER,
        [CONF_JSON_EVENT_TRUE] = CONF_JSON_BOOLEAN,  [CONF_JSON_EVENT_FALSE] = CONF_JSON_BOOLEAN,
        [CONF_JSON_EVENT_NULL] = CONF_JSON_NULL,
    };
    ConfJson *node = conf_json_new(arena, kinds[event]);
    node->boolean = event == CONF_JSON_EVENT_TRUE;
    if (event == CONF_JSON_EVENT_STRING) {
        node->text = keep_text(arena, reader);
    } else if (event == CONF_JSON_EVENT_NUMBER) {
        node->text = reader->text;
        node->is_integer = reader->is_integer;
        node->integer = reader->integer;
    }
    return node;
}

/* Text without escapes stands in the input itself, right behind its quote; the rest is the reader's and
 * short-lived. */
static ConfSlice
keep_text(ConfArena *arena, const ConfJsonReader *reader)
{
    if (reader->text.data == reader->raw.data + 1)
        return reader->text;
    return (ConfSlice){conf_arena_copy(arena, reader->text.data, reader->text.size), reader->text.size};
}

/* Mostly the order is the same; where it is not, many members are sorted, so that no text makes this
 * quadratic. */
static bool
members_equal(const ConfJson *a, const ConfJson *b)
{
    const ConfJson *x = a->first, *y = b->first;
    for (; x != NULL && conf_slice_equal(x->key, y->key); x = x->next, y = y->next) {
        if (!conf_json_equal(x, y))
            return false;
    }
    if (x == NULL)
        return true;
    if (a->count > COMPARED_IN_PLACE)
        return sorted_members_equal(a, b);
    for (; x != NULL; x = x->next) {
        const ConfJson *other = conf_json_member_slice(b, x->key);
        if (other == NULL || !conf_json_equal(x, other))
            return false;
    }
    return true;
}

static bool
sorted_members_equal(const ConfJson *a, const ConfJson *b)
{
    g_autofree const ConfJson **x = sort_members(a);
    g_autofree const ConfJson **y = sort_members(b);
    for (unsigned i = 0; i < a->count; i++) {
        if (!conf_slice_equal(x[i]->key, y[i]->key))
            return false;
    }
    for (unsigned i = 0; i < a->count; i++) {
        if (!conf_json_equal(x[i], y[i]))
            return false;
    }
    return true;
}

static const ConfJson **
sort_members(const ConfJson *object)
{
    const ConfJson **members = g_new(const ConfJson *, object->count);
    unsigned length = 0;
    for (const ConfJson *member = object->first; member != NULL; member = member->next)
        members[length++] = member;
    qsort(members, length, sizeof(*members), compare_keys);
    return members;
}

static int
compare_keys(const void *a, const void *b)
{
    return conf_slice_compare((*(const ConfJson *const *)a)->key, (*(const ConfJson *const *)b)->key);
}
