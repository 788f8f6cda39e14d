/* json.c - nodes read, made and parsed; members by their names are read by json-members.h. */
#include "confctl.h"

#include <string.h>

enum { DEPTH_MAX = 64, VALUES_MAX = 4 * 1000 * 1000 };

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
    if (confc_json_string(object, "type") != NULL && confc_json_integer(object, "dbid", 0) > 0)
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
    if (!confc_json_is_parsable(text, length, DEPTH_MAX, VALUES_MAX)) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE,
                    "%s is no JSON, nested deeper than %d, or holds more than %d values", what, DEPTH_MAX,
                    VALUES_MAX);
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
