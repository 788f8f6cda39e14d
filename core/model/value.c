/* value.c - checks a value on its way in against its field, and writes what is kept of it. */
#include "model/value-private.h"

#include <string.h>

#include "base/clock.h"

static bool write_string(const ConfValueContext *context, const ConfField *field, const ConfJson *value,
                         const ConfValuePath *path, ConfBuffer *buffer);
static bool write_integer(const ConfValueContext *context, const ConfField *field, const ConfJson *value,
                          const ConfValuePath *path, ConfBuffer *buffer);
static bool write_enum(const ConfValueContext *context, const ConfField *field, const ConfJson *value,
                       const ConfValuePath *path, ConfBuffer *buffer);
static bool write_time(const ConfValueContext *context, const ConfField *field, const ConfJson *value,
                       const ConfValuePath *path, ConfBuffer *buffer);
static bool write_reference(const ConfValueContext *context, const ConfField *field, const ConfJson *value,
                            const ConfValuePath *path, ConfBuffer *buffer);
static bool write_list(const ConfValueContext *context, const ConfField *field, const ConfJson *value,
                       const ConfValuePath *path, ConfBuffer *buffer);
static bool write_struct(const ConfValueContext *context, const ConfField *field, const ConfField *key,
                         const ConfJson *value, const ConfValuePath *path, ConfBuffer *buffer,
                         ConfSlice *key_text);
static bool write_sections(const ConfValueContext *context, const ConfField *field, const ConfJson *value,
                           const ConfValuePath *path, ConfBuffer *buffer);

static void
append_path(GString *text, const ConfValuePath *path)
{
    if (path->parent == NULL) {
        g_string_append(text, path->prefix != NULL ? path->prefix : "");
        return;
    }
    append_path(text, path->parent);
    if (path->is_item) {
        g_string_append_printf(text, "/%u", path->index);
        return;
    }
    g_autofree char *step = conf_pointer_step(path->step);
    g_string_append_printf(text, "/%s", step);
}

/* A NUL in a name has no place in a message. */
char *
conf_pointer_step(ConfSlice step)
{
    GString *text = g_string_sized_new(step.size);
    for (size_t i = 0; i < step.size; i++) {
        if (step.data[i] == '~' || step.data[i] == '/')
            g_string_append(text, step.data[i] == '~' ? "~0" : "~1");
        else if (step.data[i] != '\0')
            g_string_append_c(text, step.data[i]);
    }
    return g_string_free(text, FALSE);
}

bool
conf_value_fail(const ConfValueContext *context, const ConfValuePath *path, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autoptr(GString) text = g_string_new(NULL);
    append_path(text, path);
    return conf_rpc_fail_path(context->error, text->str, "%s", message);
}

bool
conf_value_write(const ConfValueContext *context, const ConfField *field, const ConfJson *value,
                 const ConfValuePath *path, ConfBuffer *buffer)
{
    return conf_value_write_item(context, field, NULL, value, path, buffer, NULL);
}

bool
conf_value_write_item(const ConfValueContext *context, const ConfField *field, const ConfField *key,
                      const ConfJson *value, const ConfValuePath *path, ConfBuffer *buffer,
                      ConfSlice *key_text)
{
    if (value->kind == CONF_JSON_NULL)
        return true;
    switch (field->kind) {
    case CONF_FIELD_SECRET: /* within the object of secrets */
    case CONF_FIELD_STRING:
        return write_string(context, field, value, path, buffer);
    case CONF_FIELD_INTEGER:
        return write_integer(context, field, value, path, buffer);
    case CONF_FIELD_BOOLEAN:
        if (value->kind != CONF_JSON_BOOLEAN)
            return conf_value_fail(context, path, "%s must be true or false", field->name);
        conf_buffer_append_string(buffer, value->boolean ? "true" : "false");
        return true;
    case CONF_FIELD_ENUM:
        return write_enum(context, field, value, path, buffer);
    case CONF_FIELD_TIME:
        return write_time(context, field, value, path, buffer);
    case CONF_FIELD_REF:
        return write_reference(context, field, value, path, buffer);
    case CONF_FIELD_LIST:
        return write_list(context, field, value, path, buffer);
    case CONF_FIELD_STRUCT:
        return write_struct(context, field, key, value, path, buffer, key_text);
    case CONF_FIELD_SECTIONS:
        return write_sections(context, field, value, path, buffer);
    }
    g_assert_not_reached();
}

unsigned
conf_utf8_count(ConfSlice text)
{
    unsigned count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return count;
}

static bool
check_size(const ConfValueContext *context, const char *name, ConfSlice text, const ConfValuePath *path)
{
    if (text.size > CONF_STRING_SIZE_MAX)
        return conf_value_fail(context, path, "a string of %s is longer than 1 MiB", name);
    return true;
}

static bool
write_string(const ConfValueContext *context, const ConfField *field, const ConfJson *value,
             const ConfValuePath *path, ConfBuffer *buffer)
{
    if (value->kind != CONF_JSON_STRING)
        return conf_value_fail(context, path, "%s must be a string", field->name);
    if (!check_size(context, field->name, value->text, path))
        return false;
    if (field->minimum > 0 || field->maximum > 0) {
        int64_t length = conf_utf8_count(value->text);
        if (length < field->minimum)
            return conf_value_fail(context, path, "%s must have at least %d characters", field->name,
                                   (int)field->minimum);
        if (field->maximum > 0 && length > field->maximum)
            return conf_value_fail(context, path, "%s must have at most %d characters", field->name,
                                   (int)field->maximum);
    }
    if (field->pattern != NULL &&
        !g_regex_match_full(field->pattern, value->text.data != NULL ? value->text.data : "",
                            (gssize)value->text.size, 0, 0, NULL, NULL))
        return conf_value_fail(context, path, "%s does not have the form that the schema asks for",
                               field->name);
    if (field->names_type && context->schema != NULL &&
        conf_schema_type_by_name(context->schema, value->text) == NULL)
        return conf_value_fail(context, path, "%s must be the name of a type", field->name);
    conf_json_append_string(buffer, value->text);
    return true;
}

static bool
write_integer(const ConfValueContext *context, const ConfField *field, const ConfJson *value,
              const ConfValuePath *path, ConfBuffer *buffer)
{
    if (value->kind != CONF_JSON_NUMBER || !value->is_integer)
        return conf_value_fail(context, path,
                               "%s must be an integer without fraction or exponent within 2^53", field->name);
    if (value->integer < field->minimum || value->integer > field->maximum)
        return conf_value_fail(context, path, "%s must be %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                               field->name, field->minimum, field->maximum);
    conf_buffer_append_integer(buffer, value->integer);
    return true;
}

static bool
write_enum(const ConfValueContext *context, const ConfField *field, const ConfJson *value,
           const ConfValuePath *path, ConfBuffer *buffer)
{
    if (value->kind == CONF_JSON_STRING) {
        for (unsigned i = 0; field->values[i] != NULL; i++) {
            if (conf_slice_is(value->text, field->values[i])) {
                conf_json_append_string(buffer, value->text);
                return true;
            }
        }
    }
    g_autofree char *values = g_strjoinv(", ", (char **)field->values);
    return conf_value_fail(context, path, "%s must be one of %s", field->name, values);
}

static bool
write_time(const ConfValueContext *context, const ConfField *field, const ConfJson *value,
           const ConfValuePath *path, ConfBuffer *buffer)
{
    int64_t wall_ms;
    if (value->kind != CONF_JSON_STRING || !conf_clock_parse(value->text, &wall_ms))
        return conf_value_fail(context, path, "%s must be a time as in RFC 3339", field->name);
    char text[CONF_TIME_TEXT_SIZE];
    conf_clock_format(wall_ms, text);
    conf_json_append_string(buffer, conf_slice_from_string(text));
    return true;
}

static bool
is_dbid(const ConfJson *value)
{
    return value != NULL && value->kind == CONF_JSON_NUMBER && value->is_integer && value->integer >= 1;
}

static bool
write_reference(const ConfValueContext *context, const ConfField *field, const ConfJson *value,
                const ConfValuePath *path, ConfBuffer *buffer)
{
    if (field->to_count == 1) {
        if (!is_dbid(value))
            return conf_value_fail(context, path, "%s must be a dbid", field->name);
        conf_buffer_append_integer(buffer, value->integer);
        return true;
    }
    const ConfTypeInfo *type = NULL;
    const ConfJson *dbid = value;
    if (value->kind == CONF_JSON_OBJECT) {
        const ConfJson *name = conf_json_member(value, "type");
        dbid = conf_json_member(value, "dbid");
        if (name != NULL && name->kind == CONF_JSON_STRING)
            type = conf_schema_type_by_name(context->schema, name->text);
        if (type == NULL || value->count != 2)
            return conf_value_fail(context, path, "%s must be {\"type\",\"dbid\"} with the name of a type",
                                   field->name);
    } else {
        type = conf_schema_type(context->schema, field->to[0]);
    }
    if (!is_dbid(dbid))
        return conf_value_fail(context, path, "%s must have a dbid", field->name);
    unsigned i = 0;
    while (i < field->to_count && field->to[i] != type->id)
        i++;
    if (i == field->to_count)
        return conf_value_fail(context, path, "%s cannot refer to objects of type %s", field->name,
                               type->name);
    CONF_BUFFER_LITERAL(buffer, "{\"type\":\"");
    conf_buffer_append(buffer, type->name, type->name_size);
    CONF_BUFFER_LITERAL(buffer, "\",\"dbid\":");
    conf_buffer_append_integer(buffer, dbid->integer);
    conf_buffer_append_char(buffer, '}');
    return true;
}

/* Texts in a buffer that moves while it grows. */
typedef struct {
    const ConfBuffer *buffer;
    struct {
        uint32_t offset, size;
    } * places;
} WrittenTexts;

static ConfSlice
get_written(const void *data, unsigned index)
{
    const WrittenTexts *texts = data;
    return (ConfSlice){texts->buffer->data + texts->places[index].offset, texts->places[index].size};
}

static bool
write_list(const ConfValueContext *context, const ConfField *field, const ConfJson *value,
           const ConfValuePath *path, ConfBuffer *buffer)
{
    if (value->kind != CONF_JSON_ARRAY)
        return conf_value_fail(context, path, "%s must be an array", field->name);
    if (value->count > CONF_LIST_LENGTH_MAX)
        return conf_value_fail(context, path, "%s has more than %d items", field->name, CONF_LIST_LENGTH_MAX);
    if (value->count == 0)
        return true;
    WrittenTexts texts = {.buffer = buffer};
    texts.places = conf_arena_alloc(context->arena, value->count * sizeof(*texts.places));
    ConfTextSet set;
    conf_text_set_init(&set, context->arena, value->count, get_written, &texts);
    conf_buffer_append_char(buffer, '[');
    unsigned index = 0;
    for (const ConfJson *item = value->first; item != NULL; item = item->next, index++) {
        ConfValuePath inner = conf_value_path_item(path, index);
        if (item->kind == CONF_JSON_NULL)
            return conf_value_fail(context, &inner, "an item of %s cannot be null", field->name);
        size_t mark = buffer->size;
        if (set.count > 0)
            conf_buffer_append_char(buffer, ',');
        size_t begin = buffer->size;
        ConfSlice text = {NULL, 0};
        if (!conf_value_write_item(context, field->of, field->key, item, &inner, buffer, &text))
            return false;
        if (field->key == NULL)
            text = (ConfSlice){buffer->data + begin, buffer->size - begin};
        if (conf_text_set_find(&set, text) < 0) {
            texts.places[set.count].offset = (uint32_t)(text.data - buffer->data);
            texts.places[set.count].size = (uint32_t)text.size;
            conf_text_set_add(&set, text);
        } else if (field->key == NULL) {
            conf_buffer_truncate(buffer, mark);
        } else {
            return conf_value_fail(context, &inner, "%s has two items of one %s", field->name,
                                   field->key->name);
        }
    }
    conf_buffer_append_char(buffer, ']');
    return true;
}

static bool
write_struct(const ConfValueContext *context, const ConfField *field, const ConfField *key,
             const ConfJson *value, const ConfValuePath *path, ConfBuffer *buffer, ConfSlice *key_text)
{
    if (value->kind != CONF_JSON_OBJECT)
        return conf_value_fail(context, path, "%s must hold an object here", field->name);
    const ConfJson **members = conf_arena_alloc(context->arena, field->field_count * sizeof(ConfJson *));
    for (const ConfJson *member = value->first; member != NULL; member = member->next) {
        const ConfField *known = conf_struct_member(field, member->key);
        if (known == NULL) {
            ConfValuePath inner = conf_value_path_member(path, member->key);
            return conf_value_fail(context, &inner, "%s has no such member", field->name);
        }
        members[known->index] = member;
    }
    size_t begin = buffer->size;
    size_t key_begin = 0, key_end = 0;
    for (unsigned i = 0; i < field->field_count; i++) {
        const ConfField *known = &field->fields[i];
        ConfValuePath inner = conf_value_path_member(path, (ConfSlice){known->name, known->name_size});
        size_t mark = buffer->size, text = mark;
        if (members[i] != NULL) {
            conf_buffer_append_char(buffer, mark == begin ? '{' : ',');
            conf_buffer_append_char(buffer, '"');
            conf_buffer_append(buffer, known->name, known->name_size);
            CONF_BUFFER_LITERAL(buffer, "\":");
            text = buffer->size;
            if (!conf_value_write(context, known, members[i], &inner, buffer))
                return false;
        }
        if (buffer->size == text) {
            conf_buffer_truncate(buffer, mark);
            if (known->required && known->fallback.data == NULL)
                return conf_value_fail(context, &inner, "%s is required", known->name);
        }
        if (known == key) {
            key_begin = text;
            key_end = buffer->size;
        }
    }
    if (buffer->size > begin)
        conf_buffer_append_char(buffer, '}');
    if (key != NULL)
        *key_text = (ConfSlice){buffer->data + key_begin, key_end - key_begin};
    return true;
}

static int
compare_keys(const void *a, const void *b)
{
    return conf_slice_compare((*(const ConfJson *const *)a)->key, (*(const ConfJson *const *)b)->key);
}

/* The members of an object in the order of their keys; *count of them. */
static const ConfJson **
sort_members(ConfArena *arena, const ConfJson *object, unsigned *count)
{
    const ConfJson **members = conf_arena_alloc(arena, (object->count + 1) * sizeof(ConfJson *));
    bool is_sorted = true;
    unsigned n = 0;
    for (const ConfJson *member = object->first; member != NULL; member = member->next) {
        members[n] = member;
        is_sorted = is_sorted && (n == 0 || compare_keys(&members[n - 1], &members[n]) < 0);
        n++;
    }
    if (!is_sorted)
        qsort(members, n, sizeof(ConfJson *), compare_keys);
    *count = n;
    return members;
}

static bool
write_section(const ConfValueContext *context, const ConfField *field, const ConfJson *section,
              const ConfValuePath *path, ConfBuffer *buffer)
{
    if (section->kind != CONF_JSON_OBJECT)
        return conf_value_fail(context, path, "a section of %s must be an object", field->name);
    if (section->count > CONF_LIST_LENGTH_MAX)
        return conf_value_fail(context, path, "a section of %s has more than %d keys", field->name,
                               CONF_LIST_LENGTH_MAX);
    unsigned count;
    const ConfJson **keys = sort_members(context->arena, section, &count);
    conf_buffer_append_char(buffer, '{');
    bool is_first = true;
    for (unsigned i = 0; i < count; i++) {
        if (keys[i]->kind == CONF_JSON_NULL)
            continue;
        ConfValuePath inner = conf_value_path_member(path, keys[i]->key);
        if (keys[i]->kind != CONF_JSON_STRING)
            return conf_value_fail(context, &inner, "a value of %s must be a string", field->name);
        if (!check_size(context, field->name, keys[i]->key, &inner) ||
            !check_size(context, field->name, keys[i]->text, &inner))
            return false;
        if (!is_first)
            conf_buffer_append_char(buffer, ',');
        is_first = false;
        conf_json_append_string(buffer, keys[i]->key);
        conf_buffer_append_char(buffer, ':');
        conf_json_append_string(buffer, keys[i]->text);
    }
    conf_buffer_append_char(buffer, '}');
    return true;
}

static bool
write_sections(const ConfValueContext *context, const ConfField *field, const ConfJson *value,
               const ConfValuePath *path, ConfBuffer *buffer)
{
    if (value->kind != CONF_JSON_OBJECT)
        return conf_value_fail(context, path, "%s must be an object of sections", field->name);
    if (value->count > CONF_LIST_LENGTH_MAX)
        return conf_value_fail(context, path, "%s has more than %d sections", field->name,
                               CONF_LIST_LENGTH_MAX);
    unsigned count;
    const ConfJson **sections = sort_members(context->arena, value, &count);
    size_t begin = buffer->size;
    for (unsigned i = 0; i < count; i++) {
        if (sections[i]->kind == CONF_JSON_NULL)
            continue;
        ConfValuePath inner = conf_value_path_member(path, sections[i]->key);
        if (!check_size(context, field->name, sections[i]->key, &inner))
            return false;
        conf_buffer_append_char(buffer, buffer->size == begin ? '{' : ',');
        conf_json_append_string(buffer, sections[i]->key);
        conf_buffer_append_char(buffer, ':');
        if (!write_section(context, field, sections[i], &inner, buffer))
            return false;
    }
    if (buffer->size > begin)
        conf_buffer_append_char(buffer, '}');
    return true;
}

ConfJson *
conf_value_tree(ConfArena *arena, ConfSlice text)
{
    ConfJson *tree = conf_json_parse(arena, text, NULL, NULL, NULL);
    g_assert(tree != NULL);
    return tree;
}

static ConfJson *
merge_sections(ConfArena *arena, const ConfJson *old, const ConfJson *patch, unsigned depth)
{
    ConfJson *merged = conf_json_new(arena, CONF_JSON_OBJECT);
    unsigned old_count, patch_count, o = 0, p = 0;
    const ConfJson **olds = sort_members(arena, old, &old_count);
    const ConfJson **patches = sort_members(arena, patch, &patch_count);
    while (o < old_count || p < patch_count) {
        int order = o == old_count     ? 1
                    : p == patch_count ? -1
                                       : conf_slice_compare(olds[o]->key, patches[p]->key);
        const ConfJson *next = order < 0 ? olds[o] : patches[p];
        if (order == 0 && depth > 0 && next->kind == CONF_JSON_OBJECT && olds[o]->kind == CONF_JSON_OBJECT)
            next = merge_sections(arena, olds[o], next, depth - 1);
        ConfSlice key = order < 0 ? olds[o]->key : patches[p]->key;
        conf_json_append(merged, key, conf_json_shallow_copy(arena, next));
        o += order <= 0;
        p += order >= 0;
    }
    return merged;
}

static const ConfJson *
merge_struct(const ConfValueContext *context, const ConfField *field, const ConfJson *old,
             const ConfJson *patch)
{
    ConfJson *merged = conf_json_new(context->arena, CONF_JSON_OBJECT);
    for (const ConfJson *member = old->first; member != NULL; member = member->next) {
        if (conf_json_member_slice(patch, member->key) == NULL)
            conf_json_append(merged, member->key, conf_json_shallow_copy(context->arena, member));
    }
    for (const ConfJson *member = patch->first; member != NULL; member = member->next) {
        const ConfJson *value = member;
        const ConfJson *before = conf_json_member_slice(old, member->key);
        const ConfField *known = conf_struct_member(field, member->key);
        if (before != NULL && before->kind == CONF_JSON_OBJECT && value->kind == CONF_JSON_OBJECT &&
            known != NULL && known->kind == CONF_FIELD_STRUCT)
            value = merge_struct(context, known, before, value);
        conf_json_append(merged, member->key, conf_json_shallow_copy(context->arena, value));
    }
    return merged;
}

const ConfJson *
conf_value_merge(const ConfValueContext *context, const ConfField *field, ConfSlice old,
                 const ConfJson *patch)
{
    if (patch->kind != CONF_JSON_OBJECT || old.data == NULL)
        return patch;
    if (field->kind == CONF_FIELD_SECTIONS)
        return merge_sections(context->arena, conf_value_tree(context->arena, old), patch, 1);
    if (field->kind != CONF_FIELD_STRUCT)
        return patch;
    /* Unknown members are found when the result is written; a struct has few, so the patch may have few. */
    if (patch->count > field->field_count)
        return patch;
    return merge_struct(context, field, conf_value_tree(context->arena, old), patch);
}

void
conf_text_set_init(ConfTextSet *set, ConfArena *arena, unsigned capacity, ConfTextFunc get, const void *data)
{
    unsigned size = 8;
    while (size < capacity * 2)
        size *= 2;
    *set = (ConfTextSet){.get = get, .data = data, .mask = size - 1};
    set->slots = conf_arena_alloc(arena, size * sizeof(uint32_t));
}

int
conf_text_set_find(const ConfTextSet *set, ConfSlice text)
{
    if (set->count == 0)
        return -1;
    unsigned slot = (unsigned)conf_slice_hash(text) & set->mask;
    for (; set->slots[slot] != 0; slot = (slot + 1) & set->mask) {
        if (conf_slice_equal(set->get(set->data, set->slots[slot] - 1), text))
            return (int)set->slots[slot] - 1;
    }
    return -1;
}

void
conf_text_set_add(ConfTextSet *set, ConfSlice text)
{
    unsigned slot = (unsigned)conf_slice_hash(text) & set->mask;
    while (set->slots[slot] != 0)
        slot = (slot + 1) & set->mask;
    set->slots[slot] = ++set->count;
}
