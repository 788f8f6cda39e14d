/* schema.c - types and fields as the server has them; nothing about types is built in here. */
#include "confctl.h"

enum { DEPTH_MAX = 16 };

static bool check_types(JsonArray *types);
static bool check_fields(JsonArray *fields, unsigned depth);
static bool check_field(JsonObject *field, bool is_named, unsigned depth);

bool
ctl_schema_load(Ctl *ctl, GError **error)
{
    if (ctl->schema != NULL)
        return true;
    g_autoptr(JsonObject) schema = ctl_request(ctl, "server.schema", NULL, error);
    if (schema == NULL)
        return false;
    JsonArray *types = confc_json_array(schema, "types");
    if (types == NULL || !check_types(types)) {
        g_set_error_literal(error, CONFC_ERROR, CONFC_ERROR_MALFORMED, "The server's schema is none");
        return false;
    }
    ctl->types = g_hash_table_new(g_str_hash, g_str_equal);
    for (unsigned i = 0; i < json_array_get_length(types); i++) {
        JsonObject *type = ctl_array_object(types, i);
        const char *name = confc_json_string(type, "type");
        if (name != NULL)
            g_hash_table_insert(ctl->types, (char *)name, type);
    }
    ctl->schema = g_steal_pointer(&schema);
    return true;
}

JsonObject *
ctl_type(Ctl *ctl, const char *name, GError **error)
{
    JsonObject *type = ctl->types != NULL ? g_hash_table_lookup(ctl->types, name) : NULL;
    if (type == NULL)
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "There is no type \"%s\"", name);
    return type;
}

JsonArray *
ctl_types(Ctl *ctl)
{
    return confc_json_array(ctl->schema, "types");
}

const char *
ctl_type_plural(JsonObject *type)
{
    const char *plural = confc_json_string(type, "plural");
    return plural != NULL ? plural : "";
}

/* Once, so that nobody who uses the schema has to doubt it. */
static bool
check_types(JsonArray *types)
{
    for (unsigned i = 0; i < json_array_get_length(types); i++) {
        JsonObject *type = ctl_array_object(types, i);
        if (confc_json_string(type, "type") == NULL || !check_fields(confc_json_array(type, "fields"), 0))
            return false;
    }
    return true;
}

static bool
check_fields(JsonArray *fields, unsigned depth)
{
    if (fields == NULL || depth > DEPTH_MAX)
        return false;
    for (unsigned i = 0; i < json_array_get_length(fields); i++) {
        if (!check_field(ctl_array_object(fields, i), true, depth))
            return false;
    }
    return true;
}

static bool
check_field(JsonObject *field, bool is_named, unsigned depth)
{
    const char *kind = confc_json_string(field, "kind");
    if (kind == NULL || (is_named && confc_json_string(field, "name") == NULL) || depth > DEPTH_MAX)
        return false;
    if (g_str_equal(kind, "list"))
        return check_field(confc_json_object(field, "of"), false, depth + 1);
    if (g_str_equal(kind, "struct"))
        return check_fields(confc_json_array(field, "fields"), depth + 1);
    if (!g_str_equal(kind, "ref"))
        return true;
    JsonArray *targets = ctl_field_targets(field);
    bool fine = targets != NULL && json_array_get_length(targets) > 0;
    for (unsigned i = 0; fine && i < json_array_get_length(targets); i++)
        fine = ctl_node_text(json_array_get_element(targets, i)) != NULL;
    return fine;
}

static JsonObject *
find_named(JsonArray *fields, const char *name)
{
    for (unsigned i = 0; fields != NULL && i < json_array_get_length(fields); i++) {
        JsonObject *field = ctl_array_object(fields, i);
        if (g_strcmp0(confc_json_string(field, "name"), name) == 0)
            return field;
    }
    return NULL;
}

JsonObject *
ctl_field(JsonObject *type, const char *name)
{
    return find_named(confc_json_array(type, "fields"), name);
}

bool
ctl_type_shows(JsonObject *type, const char *member)
{
    JsonArray *fields = confc_json_array(type, "fields");
    for (unsigned i = 0; fields != NULL && i < json_array_get_length(fields); i++) {
        if (g_strcmp0(confc_json_string(ctl_array_object(fields, i), "shownAs"), member) == 0)
            return true;
    }
    return false;
}

JsonObject *
ctl_field_member(JsonObject *field, const char *name)
{
    return find_named(confc_json_array(field, "fields"), name);
}

bool
ctl_field_is(JsonObject *field, const char *kind)
{
    return g_strcmp0(confc_json_string(field, "kind"), kind) == 0;
}

JsonArray *
ctl_field_targets(JsonObject *field)
{
    return confc_json_array(field, "to");
}
