/* methods-plugin.c - what confserv-plugin.h says of naming an object. */
#include "base/error.h"
#include "methods/methods-private.h"

static ConfMethods *lent;

void
conf_methods_lend(ConfMethods *methods)
{
    lent = methods;
}

const ConfObject *
conf_session_find(ConfSession *s, const char *params_json, GError **error)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfJson *params = conf_json_parse(arena, conf_slice_from_string(params_json), NULL, NULL, NULL);
    if (lent == NULL || params == NULL || params->kind != CONF_JSON_OBJECT) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "params are no object");
        return NULL;
    }
    g_auto(ConfRpcError) why = CONF_RPC_ERROR_INIT;
    const ConfObject *object = conf_methods_find(lent, s, params, &why);
    if (object == NULL)
        g_set_error_literal(error, CONF_PLUGIN_RPC_ERROR, why.code, why.message);
    return object;
}
