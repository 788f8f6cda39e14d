/* error.c - the protocol's errors as GError, with their data. */
#include "client-private.h"

typedef struct {
    JsonNode *data;
} ConfcErrorPrivate;

static void confc_error_private_init(ConfcErrorPrivate *priv);
static void confc_error_private_copy(const ConfcErrorPrivate *from, ConfcErrorPrivate *to);
static void confc_error_private_clear(ConfcErrorPrivate *priv);

G_DEFINE_EXTENDED_ERROR(ConfcError, confc_error)

JsonNode *
confc_error_get_data(const GError *error)
{
    return error != NULL && error->domain == CONFC_ERROR ? confc_error_get_private(error)->data : NULL;
}

const char *
confc_error_get_path(const GError *error)
{
    JsonNode *data = confc_error_get_data(error);
    return data != NULL && JSON_NODE_HOLDS_OBJECT(data)
               ? confc_json_string(json_node_get_object(data), "path")
               : NULL;
}

GError *
confc_error_from_response(JsonObject *object)
{
    gint64 code = confc_json_integer(object, "code", CONFC_ERROR_INTERNAL);
    const char *message = confc_json_string(object, "message");
    if (code >= 0 || code < G_MININT)
        code = CONFC_ERROR_INTERNAL;
    GError *error =
        g_error_new_literal(CONFC_ERROR, (int)code, message != NULL ? message : "The server gave no reason");
    JsonNode *data = object != NULL ? json_object_get_member(object, "data") : NULL;
    if (data != NULL)
        confc_error_get_private(error)->data = json_node_ref(data);
    return error;
}

static void
confc_error_private_init(ConfcErrorPrivate *priv)
{
    priv->data = NULL;
}

static void
confc_error_private_copy(const ConfcErrorPrivate *from, ConfcErrorPrivate *to)
{
    to->data = from->data != NULL ? json_node_ref(from->data) : NULL;
}

static void
confc_error_private_clear(ConfcErrorPrivate *priv)
{
    g_clear_pointer(&priv->data, json_node_unref);
}
