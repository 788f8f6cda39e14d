/* json.c - JSON from the server: looked over before json-glib builds a tree of it, since that recurses
 * with the nesting. */
#include "client-private.h"

JsonNode *
confc_json_parse(const char *text, gsize size, GError **error)
{
    if (size > CONFC_LINE_MAX) {
        g_set_error(error, CONFC_ERROR, CONFC_ERROR_MALFORMED, "A line is longer than %d bytes",
                    CONFC_LINE_MAX);
        return NULL;
    }
    if (!g_utf8_validate_len(text, size, NULL)) {
        g_set_error_literal(error, CONFC_ERROR, CONFC_ERROR_MALFORMED, "A line is not valid UTF-8");
        return NULL;
    }
    if (!confc_json_is_parsable(text, size, CONFC_DEPTH_MAX, CONFC_VALUES_MAX)) {
        g_set_error(error, CONFC_ERROR, CONFC_ERROR_MALFORMED,
                    "A line is no JSON, nested deeper than %d, or holds more than %d values", CONFC_DEPTH_MAX,
                    CONFC_VALUES_MAX);
        return NULL;
    }
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    g_autoptr(GError) fault = NULL;
    if (!json_parser_load_from_data(parser, text, (gssize)size, &fault)) {
        g_set_error(error, CONFC_ERROR, CONFC_ERROR_MALFORMED, "A line is not valid JSON: %s",
                    fault->message);
        return NULL;
    }
    JsonNode *root = json_parser_steal_root(parser);
    if (root == NULL)
        g_set_error_literal(error, CONFC_ERROR, CONFC_ERROR_MALFORMED, "A line holds no JSON value");
    return root;
}

/* json_node_copy() shares what is inside; a copy that may be changed needs one of each level.  Values from
 * the parser are immutable and may be shared, so only objects and arrays are rebuilt.  The depth is that
 * of a line. */
JsonNode *
confc_json_copy(JsonNode *node)
{
    if (JSON_NODE_HOLDS_OBJECT(node)) {
        JsonNode *copy = json_node_new(JSON_NODE_OBJECT);
        json_node_take_object(copy, confc_json_copy_object(json_node_get_object(node)));
        return copy;
    }
    if (!JSON_NODE_HOLDS_ARRAY(node))
        return json_node_copy(node);
    JsonArray *from = json_node_get_array(node), *to = json_array_sized_new(json_array_get_length(from));
    for (guint i = 0; i < json_array_get_length(from); i++)
        json_array_add_element(to, confc_json_copy(json_array_get_element(from, i)));
    JsonNode *copy = json_node_new(JSON_NODE_ARRAY);
    json_node_take_array(copy, to);
    return copy;
}

JsonObject *
confc_json_copy_object(JsonObject *object)
{
    JsonObject *copy = json_object_new();
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, object);
    while (json_object_iter_next_ordered(&iter, &name, &value))
        json_object_set_member(copy, name, confc_json_copy(value));
    return copy;
}
