/* schema-write.c - a schema as text: what server.schema answers and replicas take.  Canonical: the same
 * schema is the same text, whatever files it came from. */
#include "model/schema-private.h"

static void write_field(ConfJsonWriter *writer, const ConfSchema *schema, const ConfField *field,
                        bool is_item);
static void write_details(ConfJsonWriter *writer, const ConfSchema *schema, const ConfField *field);
static void write_strings(ConfJsonWriter *writer, const char *key, const char *const *strings);

static const char *const kind_names[] = {
    [CONF_FIELD_STRING] = "string",     [CONF_FIELD_INTEGER] = "integer", [CONF_FIELD_BOOLEAN] = "boolean",
    [CONF_FIELD_ENUM] = "enum",         [CONF_FIELD_TIME] = "time",       [CONF_FIELD_REF] = "ref",
    [CONF_FIELD_SECRET] = "secret",     [CONF_FIELD_LIST] = "list",       [CONF_FIELD_STRUCT] = "struct",
    [CONF_FIELD_SECTIONS] = "sections",
};

const char *
conf_field_kind_name(ConfFieldKind kind)
{
    return kind_names[kind];
}

static void
write_type(ConfJsonWriter *writer, const ConfSchema *schema, const ConfTypeInfo *type)
{
    conf_json_writer_begin_object(writer);
    conf_json_writer_member_string(writer, "type", type->name);
    conf_json_writer_member_integer(writer, "id", type->id);
    conf_json_writer_member_string(writer, "title", type->title);
    conf_json_writer_member_string(writer, "plural", type->plural);
    conf_json_writer_key(writer, "unique");
    conf_json_writer_begin_array(writer);
    conf_json_writer_begin_array(writer);
    if (!type->unique_in_environment)
        conf_json_writer_string(writer, type->id == CONF_TYPE_FOLDER ? "folder" : "tenant");
    conf_json_writer_string(writer, "name");
    conf_json_writer_end_array(writer);
    conf_json_writer_end_array(writer);
    if (type->has_options)
        conf_json_writer_member_boolean(writer, "options", true);
    conf_json_writer_key(writer, "fields");
    conf_json_writer_begin_array(writer);
    for (unsigned i = 0; i < type->field_count; i++)
        write_field(writer, schema, &type->fields[i], false);
    conf_json_writer_end_array(writer);
    conf_json_writer_end_object(writer);
}

void
conf_schema_write(const ConfSchema *schema, ConfBuffer *buffer)
{
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, buffer);
    conf_json_writer_begin_object(&writer);
    conf_json_writer_key(&writer, "types");
    conf_json_writer_begin_array(&writer);
    for (unsigned i = 0; i < schema->type_count; i++)
        write_type(&writer, schema, schema->types[i]);
    conf_json_writer_end_array(&writer);
    conf_json_writer_end_object(&writer);
}

/* The item of a list has no name. */
static void
write_field(ConfJsonWriter *writer, const ConfSchema *schema, const ConfField *field, bool is_item)
{
    conf_json_writer_begin_object(writer);
    if (!is_item)
        conf_json_writer_member_string(writer, "name", field->name);
    conf_json_writer_member_string(writer, "kind", conf_field_kind_name(field->kind));
    if (field->common)
        conf_json_writer_member_boolean(writer, "common", true);
    if (field->required)
        conf_json_writer_member_boolean(writer, "required", true);
    if (field->immutable)
        conf_json_writer_member_boolean(writer, "immutable", true);
    if (field->computed) {
        conf_json_writer_key(writer, "computed");
        conf_json_writer_begin_object(writer);
        conf_json_writer_member_string(writer, "from", field->computed_from->name);
        write_strings(writer, "in", field->computed_values);
        conf_json_writer_end_object(writer);
    }
    write_details(writer, schema, field);
    if (field->since != NULL)
        conf_json_writer_member_string(writer, "since", field->since);
    if (field->fallback.data != NULL) {
        conf_json_writer_key(writer, "default");
        conf_json_writer_raw(writer, field->fallback);
    }
    if (field->help != NULL)
        conf_json_writer_member_string(writer, "help", field->help);
    conf_json_writer_end_object(writer);
}

static void
write_details(ConfJsonWriter *writer, const ConfSchema *schema, const ConfField *field)
{
    switch (field->kind) {
    case CONF_FIELD_STRING:
        if (field->minimum > 0)
            conf_json_writer_member_integer(writer, "minLength", field->minimum);
        if (field->maximum > 0)
            conf_json_writer_member_integer(writer, "maxLength", field->maximum);
        if (field->pattern != NULL)
            conf_json_writer_member_string(writer, "pattern", field->pattern_text);
        if (field->names_type)
            conf_json_writer_member_boolean(writer, "typeName", true);
        break;
    case CONF_FIELD_INTEGER:
        if (field->minimum > -CONF_INTEGER_MAX)
            conf_json_writer_member_integer(writer, "minimum", field->minimum);
        if (field->maximum < CONF_INTEGER_MAX)
            conf_json_writer_member_integer(writer, "maximum", field->maximum);
        break;
    case CONF_FIELD_ENUM:
        write_strings(writer, "values", field->values);
        break;
    case CONF_FIELD_REF:
        conf_json_writer_key(writer, "to");
        conf_json_writer_begin_array(writer);
        for (unsigned i = 0; i < field->to_count; i++)
            conf_json_writer_string(writer, conf_schema_type(schema, field->to[i])->name);
        conf_json_writer_end_array(writer);
        if (field->on_delete != CONF_ON_DELETE_RESTRICT)
            conf_json_writer_member_string(writer, "onDelete",
                                           field->on_delete == CONF_ON_DELETE_CLEAR ? "clear" : "cascade");
        break;
    case CONF_FIELD_SECRET:
        conf_json_writer_member_string(writer, "shownAs", field->shown_as);
        break;
    case CONF_FIELD_LIST:
        if (field->key != NULL)
            conf_json_writer_member_string(writer, "key", field->key->name);
        conf_json_writer_key(writer, "of");
        write_field(writer, schema, field->of, true);
        break;
    case CONF_FIELD_STRUCT:
        conf_json_writer_key(writer, "fields");
        conf_json_writer_begin_array(writer);
        for (unsigned i = 0; i < field->field_count; i++)
            write_field(writer, schema, &field->fields[i], false);
        conf_json_writer_end_array(writer);
        break;
    case CONF_FIELD_BOOLEAN:
    case CONF_FIELD_TIME:
    case CONF_FIELD_SECTIONS:
        break;
    }
}

static void
write_strings(ConfJsonWriter *writer, const char *key, const char *const *strings)
{
    conf_json_writer_key(writer, key);
    conf_json_writer_begin_array(writer);
    for (unsigned i = 0; strings[i] != NULL; i++)
        conf_json_writer_string(writer, strings[i]);
    conf_json_writer_end_array(writer);
}
