/* schema.c - asking a schema: types by id and name, fields by name.  Making one: schema-load.c. */
#include "model/schema-private.h"

#include <string.h>

static int
compare_names(const char *a, size_t a_size, ConfSlice b)
{
    if (a_size != b.size)
        return a_size < b.size ? -1 : 1;
    return memcmp(a, b.data, a_size);
}

void
conf_schema_free(ConfSchema *schema)
{
    if (schema == NULL)
        return;
    g_ptr_array_unref(schema->patterns);
    conf_buffer_clear(&schema->text);
    conf_arena_free(schema->arena);
    g_free(schema);
}

ConfSlice
conf_schema_text(const ConfSchema *schema)
{
    return conf_buffer_slice(&schema->text);
}

const char *
conf_schema_hash(const ConfSchema *schema)
{
    return schema->hash;
}

const ConfTypeInfo *
conf_schema_type(const ConfSchema *schema, ConfTypeId id)
{
    return id <= schema->id_max ? schema->by_id[id] : NULL;
}

const ConfTypeInfo *
conf_schema_type_by_name(const ConfSchema *schema, ConfSlice name)
{
    unsigned low = 0, high = schema->type_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        const ConfTypeInfo *type = schema->by_name[middle];
        int order = compare_names(type->name, type->name_size, name);
        if (order == 0)
            return type;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const ConfTypeInfo *const *
conf_schema_types(const ConfSchema *schema, unsigned *count)
{
    *count = schema->type_count;
    return schema->types;
}

const ConfField *
conf_type_field(const ConfTypeInfo *type, ConfSlice name)
{
    const ConfField *field = conf_type_member(type, name);
    if (field != NULL && field->kind != CONF_FIELD_SECRET)
        return field;
    for (unsigned i = 0; i < type->field_count; i++) {
        if (type->fields[i].kind == CONF_FIELD_SECRET &&
            compare_names(type->fields[i].name, type->fields[i].name_size, name) == 0)
            return &type->fields[i];
    }
    return NULL;
}

const ConfField *
conf_type_member(const ConfTypeInfo *type, ConfSlice name)
{
    const struct ConfTypeIndex *index = type->index;
    unsigned low = 0, high = index->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        const ConfMember *member = &index->members[middle];
        int order = compare_names(member->name, member->name_size, name);
        if (order == 0)
            return member->field;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const ConfField *
conf_struct_member(const ConfField *structure, ConfSlice name)
{
    for (unsigned i = 0; i < structure->field_count; i++) {
        if (compare_names(structure->fields[i].name, structure->fields[i].name_size, name) == 0)
            return &structure->fields[i];
    }
    return NULL;
}
