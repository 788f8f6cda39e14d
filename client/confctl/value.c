/* value.c - values by the schema: text of the command line, members of files (references as paths),
 * members of the wire (references as numbers). */
#include "confctl.h"

#include <string.h>

static JsonNode *reference_to_wire(JsonObject *field, JsonNode *value, CtlReferenceFunc resolve, void *data,
                                   GError **error);
static JsonNode *reference_from_wire(Ctl *ctl, JsonObject *field, JsonNode *value);
static JsonNode *map_list(JsonObject *field, JsonNode *value, CtlReferenceFunc resolve, void *data,
                          GError **error);
static JsonNode *map_struct(JsonObject *field, JsonNode *value, CtlReferenceFunc resolve, void *data,
                            GError **error);
static bool edit_item(Ctl *ctl, JsonObject *field, const char *name, const char *value, bool is_add,
                      CtlEdit *edit, GError **error);
static JsonNode *parse_item(JsonObject *field, const char *value, bool is_add, JsonObject **as,
                            GError **error);
static JsonObject *descend(JsonObject *type, char **steps, GError **error);
static void set_nested(JsonObject *patch, char **steps, JsonNode *value);

JsonNode *
ctl_value_to_wire(JsonObject *field, JsonNode *value, CtlReferenceFunc resolve, void *data, GError **error)
{
    if (JSON_NODE_HOLDS_NULL(value))
        return json_node_copy(value);
    if (ctl_field_is(field, "ref"))
        return reference_to_wire(field, value, resolve, data, error);
    if (ctl_field_is(field, "list") && JSON_NODE_HOLDS_ARRAY(value))
        return map_list(field, value, resolve, data, error);
    if (ctl_field_is(field, "struct") && JSON_NODE_HOLDS_OBJECT(value))
        return map_struct(field, value, resolve, data, error);
    /* What is wrong with it the server says, and better. */
    return json_node_copy(value);
}

/* Depth is that of the schema's own nesting of lists and structs. */
JsonNode *
ctl_value_from_wire(Ctl *ctl, JsonObject *field, JsonNode *value)
{
    if (ctl_field_is(field, "ref"))
        return reference_from_wire(ctl, field, value);
    if (ctl_field_is(field, "list") && JSON_NODE_HOLDS_ARRAY(value)) {
        JsonArray *from = json_node_get_array(value), *to = json_array_new();
        for (unsigned i = 0; i < json_array_get_length(from); i++)
            json_array_add_element(to, ctl_value_from_wire(ctl, confc_json_object(field, "of"),
                                                           json_array_get_element(from, i)));
        return ctl_node_array(to);
    }
    if (!ctl_field_is(field, "struct") || !JSON_NODE_HOLDS_OBJECT(value))
        return json_node_copy(value);
    JsonObject *to = json_object_new();
    JsonObjectIter iter;
    const char *name;
    JsonNode *member;
    json_object_iter_init_ordered(&iter, json_node_get_object(value));
    while (json_object_iter_next_ordered(&iter, &name, &member)) {
        JsonObject *inner = ctl_field_member(field, name);
        json_object_set_member(
            to, name, inner != NULL ? ctl_value_from_wire(ctl, inner, member) : json_node_copy(member));
    }
    return ctl_node_object(to);
}

JsonNode *
ctl_value_parse(JsonObject *field, const char *text, GError **error)
{
    const char *name = confc_json_string(field, "name");
    const char *what = name != NULL ? name : "an item";
    if (ctl_field_is(field, "integer")) {
        gint64 number;
        if (g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &number, NULL))
            return ctl_node_integer(number);
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "%s is an integer, \"%s\" is none", what, text);
        return NULL;
    }
    if (ctl_field_is(field, "boolean")) {
        bool is_true = g_str_equal(text, "true"), is_false = g_str_equal(text, "false");
        if (is_true || is_false)
            return ctl_node_boolean(is_true);
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "%s is true or false, not \"%s\"", what, text);
        return NULL;
    }
    if (ctl_field_is(field, "list") || ctl_field_is(field, "struct") || ctl_field_is(field, "sections"))
        return ctl_parse_json(text, -1, what, error);
    return ctl_node_string(text);
}

JsonNode *
ctl_value_reference(JsonObject *field, const char *text, void *data, GError **error)
{
    g_autofree char *type = NULL;
    gint64 dbid;
    JsonArray *targets = ctl_field_targets(field);
    if (!ctl_resolve(data, text, targets, &type, &dbid, error))
        return NULL;
    return json_array_get_length(targets) > 1 ? ctl_node_object(ctl_reference(type, dbid))
                                              : ctl_node_integer(dbid);
}

void
ctl_edit_init(CtlEdit *edit)
{
    edit->patch = json_object_new();
    edit->add = json_object_new();
    edit->remove = json_object_new();
}

void
ctl_edit_clear(CtlEdit *edit)
{
    g_clear_pointer(&edit->patch, json_object_unref);
    g_clear_pointer(&edit->add, json_object_unref);
    g_clear_pointer(&edit->remove, json_object_unref);
}

bool
ctl_edit_parse(Ctl *ctl, JsonObject *type, const char *assignment, CtlEdit *edit, GError **error)
{
    g_autofree char *name = NULL;
    const char *text;
    char operation;
    if (!ctl_assignment_split(assignment, &name, &operation, &text, error))
        return false;
    g_auto(GStrv) steps = ctl_field_steps(name);
    JsonObject *field = descend(type, steps, error);
    if (field == NULL)
        return false;
    if (operation == '+' || operation == '-')
        return edit_item(ctl, field, name, text, operation == '+', edit, error);
    if (operation == '!') {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "\"%s\": != compares; nothing can be set by it",
                    assignment);
        return false;
    }
    /* Below a map of sections everything is text. */
    bool is_option = ctl_field_is(field, "sections") && steps[1] != NULL;
    g_autoptr(JsonNode) given = is_option ? ctl_node_string(text) : ctl_value_parse(field, text, error);
    if (given == NULL)
        return false;
    JsonNode *wire =
        is_option ? json_node_copy(given) : ctl_value_to_wire(field, given, ctl_value_reference, ctl, error);
    if (wire == NULL) {
        g_prefix_error(error, "%s: ", name);
        return false;
    }
    set_nested(edit->patch, steps, wire);
    return true;
}

bool
ctl_edit_unset(JsonObject *type, const char *name, CtlEdit *edit, GError **error)
{
    g_auto(GStrv) steps = ctl_field_steps(name);
    if (descend(type, steps, error) == NULL)
        return false;
    set_nested(edit->patch, steps, json_node_init_null(json_node_alloc()));
    return true;
}

bool
ctl_assignment_split(const char *text, char **field, char *operation, const char **value, GError **error)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "\"%s\" is not of the form FIELD=VALUE", text);
        return false;
    }
    bool is_marked = equals - text > 1 && strchr("+-!", equals[-1]) != NULL;
    *operation = is_marked ? equals[-1] : '=';
    *field = g_strndup(text, (gsize)(equals - text) - (is_marked ? 1 : 0));
    *value = equals + 1;
    return true;
}

char **
ctl_field_steps(const char *path)
{
    char **steps = g_strsplit(path, "/", -1);
    for (unsigned i = 0; steps[i] != NULL; i++) {
        g_autoptr(GString) step = g_string_new(steps[i]);
        g_string_replace(step, "~1", "/", 0);
        g_string_replace(step, "~0", "~", 0);
        g_free(steps[i]);
        steps[i] = g_string_free(g_steal_pointer(&step), FALSE);
    }
    return steps;
}

/* Numbers and {"type","dbid"} stay; text is resolved. */
static JsonNode *
reference_to_wire(JsonObject *field, JsonNode *value, CtlReferenceFunc resolve, void *data, GError **error)
{
    bool is_text = JSON_NODE_HOLDS_VALUE(value) && json_node_get_value_type(value) == G_TYPE_STRING;
    return is_text ? resolve(field, json_node_get_string(value), data, error) : json_node_copy(value);
}

static JsonNode *
reference_from_wire(Ctl *ctl, JsonObject *field, JsonNode *value)
{
    JsonArray *targets = ctl_field_targets(field);
    JsonObject *reference = JSON_NODE_HOLDS_OBJECT(value) ? json_node_get_object(value) : NULL;
    const char *type = reference != NULL ? confc_json_string(reference, "type")
                       : targets != NULL ? json_array_get_string_element(targets, 0)
                                         : NULL;
    gint64 dbid = reference != NULL ? confc_json_integer(reference, "dbid", 0) : ctl_node_number(value);
    if (type == NULL || dbid <= 0)
        return json_node_copy(value);
    g_autofree char *path = ctl_place_path(ctl, type, dbid);
    return ctl_node_string(path);
}

static JsonNode *
map_list(JsonObject *field, JsonNode *value, CtlReferenceFunc resolve, void *data, GError **error)
{
    JsonArray *from = json_node_get_array(value);
    g_autoptr(JsonArray) to = json_array_new();
    for (unsigned i = 0; i < json_array_get_length(from); i++) {
        JsonNode *item = ctl_value_to_wire(confc_json_object(field, "of"), json_array_get_element(from, i),
                                           resolve, data, error);
        if (item == NULL)
            return NULL;
        json_array_add_element(to, item);
    }
    return ctl_node_array(g_steal_pointer(&to));
}

static JsonNode *
map_struct(JsonObject *field, JsonNode *value, CtlReferenceFunc resolve, void *data, GError **error)
{
    g_autoptr(JsonObject) to = json_object_new();
    JsonObjectIter iter;
    const char *name;
    JsonNode *member;
    json_object_iter_init_ordered(&iter, json_node_get_object(value));
    while (json_object_iter_next_ordered(&iter, &name, &member)) {
        JsonObject *inner = ctl_field_member(field, name);
        JsonNode *wire =
            inner != NULL ? ctl_value_to_wire(inner, member, resolve, data, error) : json_node_copy(member);
        if (wire == NULL)
            return NULL;
        json_object_set_member(to, name, wire);
    }
    return ctl_node_object(g_steal_pointer(&to));
}

static bool
edit_item(Ctl *ctl, JsonObject *field, const char *name, const char *value, bool is_add, CtlEdit *edit,
          GError **error)
{
    if (!ctl_field_is(field, "list")) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "%s is no list: nothing can be added or removed",
                    name);
        return false;
    }
    JsonObject *as = NULL;
    g_autoptr(JsonNode) given = parse_item(field, value, is_add, &as, error);
    JsonNode *wire = given != NULL ? ctl_value_to_wire(as, given, ctl_value_reference, ctl, error) : NULL;
    if (wire == NULL) {
        g_prefix_error(error, "%s: ", name);
        return false;
    }
    JsonObject *members = is_add ? edit->add : edit->remove;
    if (!json_object_has_member(members, name))
        json_object_set_array_member(members, name, json_array_new());
    json_array_add_element(confc_json_array(members, name), wire);
    return true;
}

/* An item of a list of structs is taken out by its key alone. */
static JsonNode *
parse_item(JsonObject *field, const char *value, bool is_add, JsonObject **as, GError **error)
{
    const char *key = confc_json_string(field, "key");
    *as = confc_json_object(field, "of");
    if (key != NULL && !is_add && value[0] != '{')
        *as = ctl_field_member(*as, key);
    return ctl_value_parse(*as, value, error);
}

/* The field that the path leads to; of a map of sections the map itself. */
static JsonObject *
descend(JsonObject *type, char **steps, GError **error)
{
    g_autofree char *path = g_strjoinv("/", steps);
    JsonObject *field = ctl_field(type, steps[0]);
    for (unsigned i = 1; field != NULL && steps[i] != NULL; i++) {
        if (ctl_field_is(field, "sections")) {
            if (i > 2)
                field = NULL;
            continue;
        }
        field = ctl_field_is(field, "struct") ? ctl_field_member(field, steps[i]) : NULL;
    }
    if (field == NULL)
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "Type %s has no field %s",
                    confc_json_string(type, "type"), path);
    return field;
}

/* Takes value. */
static void
set_nested(JsonObject *patch, char **steps, JsonNode *value)
{
    unsigned i = 0;
    for (; steps[i + 1] != NULL; i++) {
        JsonObject *inner = confc_json_object(patch, steps[i]);
        if (inner == NULL) {
            inner = json_object_new();
            json_object_set_object_member(patch, steps[i], inner);
        }
        patch = inner;
    }
    json_object_set_member(patch, steps[i], value);
}
