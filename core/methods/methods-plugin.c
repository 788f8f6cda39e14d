/* methods-plugin.c - what confserv-plugin.h says of naming an object. */
#include "methods/methods-private.h"

static ConfMethods *lent;

static const ConfObject *find(ConfSession *session, const char *params_json, ConfRpcError *error);

void
conf_methods_lend(ConfMethods *methods)
{
    lent = methods;
}

const ConfObject *
conf_request_find(ConfRequest *r)
{
    g_auto(ConfRpcError) why = CONF_RPC_ERROR_INIT;
    const ConfObject *object = find(conf_request_get_owner(r), conf_request_get_params_json(r), &why);
    if (object == NULL)
        conf_request_fail(r, &why);
    return object;
}

static const ConfObject *
find(ConfSession *session, const char *params_json, ConfRpcError *error)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfJson *params = conf_json_parse(arena, conf_slice_from_string(params_json), NULL, NULL, NULL);
    if (lent != NULL && session != NULL && params != NULL && params->kind == CONF_JSON_OBJECT)
        return conf_methods_find(lent, session, params, error);
    conf_rpc_fail_path(error, "", "params are no object");
    return NULL;
}
