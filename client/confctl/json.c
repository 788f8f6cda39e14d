/* json.c - JSON without surprises: a member of the wrong kind counts as missing. */
#include "confctl.h"

#include <string.h>

enum { DEPTH_MAX = 64 };

static bool is_shallow(const char *text, gsize size);

static JsonNode *
get_member(JsonObject *object, const char *name, JsonNodeType type)
{
    JsonNode *node = object != NULL ? json_object_get_member(object, name) : NULL;
    return node != NULL && json_node_get_node_type(node) == type ? node : NULL;
}

const char *
ctl_string(JsonObject *object, const char *name)
{
    JsonNode *node = get_member(object, name, JSON_NODE_VALUE);
    return node != NULL && json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node)
                                                                           : NULL;
}

gint64
ctl_integer(JsonObject *object, const char *name, gint64 fallback)
{
    JsonNode *node = get_member(object, name, JSON_NODE_VALUE);
    return node != NULL && json_node_get_value_type(node) == G_TYPE_INT64 ? json_node_get_int(node)
                                                                          : fallback;
}

bool
ctl_boolean(JsonObject *object, const char *name)
{
    JsonNode *node = get_member(object, name, JSON_NODE_VALUE);
    return node != NULL && json_node_get_value_type(node) == G_TYPE_BOOLEAN && json_node_get_boolean(node);
}

JsonObject *
ctl_object(JsonObject *object, const char *name)
{
    JsonNode *node = get_member(object, name, JSON_NODE_OBJECT);
    return node != NULL ? json_node_get_object(node) : NULL;
}

JsonArray *
ctl_array(JsonObject *object, const char *name)
{
    JsonNode *node = get_member(object, name, JSON_NODE_ARRAY);
    return node != NULL ? json_node_get_array(node) : NULL;
}

JsonObject *
ctl_array_object(JsonArray *array, unsigned index)
{
    JsonNode *node = json_array_get_element(array, index);
    return JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

const char *
ctl_node_text(JsonNode *node)
{
    return node != NULL && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node)
               : NULL;
}

gint64
ctl_node_number(JsonNode *node)
{
    return node != NULL && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_INT64
               ? json_node_get_int(node)
               : 0;
}

bool
ctl_check_object(JsonObject *object, GError **error)
{
    if (ctl_string(object, "type") != NULL && ctl_integer(object, "dbid", 0) > 0)
        return true;
    g_set_error_literal(error, CONFC_ERROR, CONFC_ERROR_MALFORMED,
                        "The server sent an object without type or number");
    return false;
}

JsonNode *
ctl_node_object(JsonObject *object)
{
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(node, object);
    return node;
}

JsonNode *
ctl_node_array(JsonArray *array)
{
    JsonNode *node = json_node_new(JSON_NODE_ARRAY);
    json_node_take_array(node, array);
    return node;
}

JsonNode *
ctl_node_string(const char *text)
{
    return json_node_init_string(json_node_alloc(), text);
}

JsonNode *
ctl_node_integer(gint64 value)
{
    return json_node_init_int(json_node_alloc(), value);
}

JsonNode *
ctl_node_boolean(bool value)
{
    return json_node_init_boolean(json_node_alloc(), value);
}

JsonNode *
ctl_parse_json(const char *text, gssize size, const char *what, GError **error)
{
    gsize length = size < 0 ? strlen(text) : (gsize)size;
    if (!g_utf8_validate_len(text, length, NULL)) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "%s is not valid UTF-8", what);
        return NULL;
    }
    /* json-glib recurses with the nesting. */
    if (!is_shallow(text, length)) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "%s is nested deeper than %d", what, DEPTH_MAX);
        return NULL;
    }
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) fault = NULL;
    JsonNode *root = NULL;
    if (json_parser_load_from_data(parser, text, (gssize)length, &fault))
        root = json_parser_steal_root(parser);
    if (root == NULL)
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "%s is no JSON: %s", what,
                    fault != NULL ? fault->message : "it is empty");
    return root;
}

static bool
is_shallow(const char *text, gsize size)
{
    unsigned depth = 0;
    bool in_string = false;
    for (gsize i = 0; i < size; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if ((c == '{' || c == '[') && ++depth > DEPTH_MAX) {
            return false;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}
