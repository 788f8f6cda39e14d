/* json-members.c - see json-members.h. */
#include "json-members.h"

static JsonNode *get_member(JsonObject *object, const char *name, JsonNodeType type);

const char *
confc_json_string(JsonObject *object, const char *name)
{
    JsonNode *node = get_member(object, name, JSON_NODE_VALUE);
    return node != NULL && json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node)
                                                                           : NULL;
}

gint64
confc_json_integer(JsonObject *object, const char *name, gint64 fallback)
{
    JsonNode *node = get_member(object, name, JSON_NODE_VALUE);
    return node != NULL && json_node_get_value_type(node) == G_TYPE_INT64 ? json_node_get_int(node)
                                                                          : fallback;
}

bool
confc_json_boolean(JsonObject *object, const char *name)
{
    JsonNode *node = get_member(object, name, JSON_NODE_VALUE);
    return node != NULL && json_node_get_value_type(node) == G_TYPE_BOOLEAN && json_node_get_boolean(node);
}

JsonObject *
confc_json_object(JsonObject *object, const char *name)
{
    JsonNode *node = get_member(object, name, JSON_NODE_OBJECT);
    return node != NULL ? json_node_get_object(node) : NULL;
}

JsonArray *
confc_json_array(JsonObject *object, const char *name)
{
    JsonNode *node = get_member(object, name, JSON_NODE_ARRAY);
    return node != NULL ? json_node_get_array(node) : NULL;
}

bool
confc_json_is_parsable(const char *text, gsize size, unsigned depth_max, unsigned values_max)
{
    /* Brackets inside strings do not count. */
    unsigned depth = 0, values = 0;
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
        } else if (c == ',' || c == ':') {
            if (++values > values_max)
                return false;
        } else if (c == '{' || c == '[') {
            if (++depth > depth_max)
                return false;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        } else if (c == '\'' || c == '/') {
            /* json-glib takes 'strings' and comments, in which brackets would be miscounted; JSON has
             * neither. */
            return false;
        }
    }
    return true;
}

static JsonNode *
get_member(JsonObject *object, const char *name, JsonNodeType type)
{
    JsonNode *node = object != NULL ? json_object_get_member(object, name) : NULL;
    return node != NULL && json_node_get_node_type(node) == type ? node : NULL;
}
