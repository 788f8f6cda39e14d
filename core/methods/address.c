/* address.c - objects that methods name, among what a session may read: session/address.c knows how. */
#include "methods/methods-private.h"

static bool is_readable(const ConfObject *object, void *data);

const ConfObject *
conf_methods_find(ConfMethods *methods, ConfSession *session, const ConfJson *params, ConfRpcError *error)
{
    return conf_methods_find_typed(methods, session, params, 0, error);
}

const ConfObject *
conf_methods_find_typed(ConfMethods *methods, ConfSession *session, const ConfJson *params, ConfTypeId type,
                        ConfRpcError *error)
{
    ConfStore *store = methods->context.store;
    const ConfFinding finding = {.schema = conf_store_schema(store),
                                 .state = conf_store_state(store),
                                 .type = type,
                                 .readable = is_readable,
                                 .data = session};
    return conf_address_find(&finding, params, "", error);
}

const ConfTypeInfo *
conf_methods_type(ConfMethods *methods, const ConfJson *params, const char *member, bool required,
                  ConfRpcError *error)
{
    return conf_address_type(conf_store_schema(methods->context.store), params, "", member, required, error);
}

static bool
is_readable(const ConfObject *object, void *data)
{
    return conf_session_may_read(data, object);
}
