/* permission-methods.c - permission.read and permission.update. */
#include "methods/methods-private.h"

static void permission_read(ConfRequest *request, void *data);
static void permission_update(ConfRequest *request, void *data);
static bool read_account(ConfMethods *methods, ConfSession *session, const ConfJson *params, ConfKey *account,
                         ConfRpcError *error);
static bool is_account(const ConfObject *object, void *data);
static void answer_permissions(ConfMethods *methods, ConfRequest *request, const ConfObject *object,
                               ConfKey account);

void
conf_methods_add_permission(ConfMethods *methods, ConfMethodTable *table)
{
    static const ConfMethod family[] = {
        {.name = "permission.read", .func = permission_read},
        {.name = "permission.update", .func = permission_update, .flags = CONF_METHOD_WRITE},
    };
    conf_methods_add_all(methods, table, family, G_N_ELEMENTS(family));
}

static void
permission_read(ConfRequest *request, void *data)
{
    static const char *const names[] = {
        "type", "dbid", "name", "tenant", "path", "account", CONF_FRESHNESS_NAMES, NULL};
    ConfMethods *methods = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    const ConfJson *params = conf_request_parse_params(request, names, &error);
    if (params == NULL) {
        conf_request_fail(request, &error);
        return;
    }
    if (!conf_methods_is_ready(methods, request, params, permission_read))
        return;
    ConfSession *session = conf_request_get_session(request);
    ConfKey account = conf_session_subject(session);
    const ConfObject *object = conf_methods_find(methods, session, params, &error);
    bool fine = object != NULL;
    if (fine && (conf_session_rights(session, object) & CONF_RIGHT_READ_PERMISSIONS) == 0)
        fine =
            conf_rpc_fail(&error, CONF_RPC_NOT_PERMITTED, "Right readPermissions is missing on this object");
    if (!fine || !read_account(methods, session, params, &account, &error)) {
        conf_request_fail(request, &error);
        return;
    }
    answer_permissions(methods, request, object, account);
}

/* Absent: the session's own account, which is not hidden from it. */
static bool
read_account(ConfMethods *methods, ConfSession *session, const ConfJson *params, ConfKey *account,
             ConfRpcError *error)
{
    static const char *const names[] = {"type", "dbid", "name", "tenant", "path", NULL};
    const ConfJson *given = conf_json_member(params, "account");
    if (given == NULL)
        return true;
    if (given->kind != CONF_JSON_OBJECT)
        return conf_rpc_fail_path(error, "/account", "account is named as an object is");
    if (!conf_params_only(given, "/account", names, error))
        return false;
    ConfStore *store = methods->context.store;
    const ConfFinding finding = {.schema = conf_store_schema(store),
                                 .state = conf_store_state(store),
                                 .readable = is_account,
                                 .data = session};
    const ConfTypeInfo *type = conf_address_type(finding.schema, given, "/account", "type", false, error);
    if (error->code != 0)
        return false;
    if (type != NULL && type->id != CONF_TYPE_PERSON && type->id != CONF_TYPE_ACCESS_GROUP)
        return conf_rpc_fail_path(error, "/account/type", "An account is a person or an accessGroup");
    const ConfObject *object = conf_address_find(&finding, given, "/account", error);
    if (object != NULL) {
        *account = conf_object_key(object);
        return true;
    }
    if (error->code == CONF_RPC_NOT_FOUND) {
        g_autofree char *message = g_strdup(error->message);
        conf_rpc_error_clear(error);
        conf_rpc_fail_path(error, "/account", "%s", message);
    }
    return false;
}

static bool
is_account(const ConfObject *object, void *data)
{
    ConfSession *session = data;
    if (object->type != CONF_TYPE_PERSON && object->type != CONF_TYPE_ACCESS_GROUP)
        return false;
    return conf_key_equal(conf_object_key(object), conf_session_subject(session)) ||
           conf_session_may_read(session, object);
}

static void
answer_permissions(ConfMethods *methods, ConfRequest *request, const ConfObject *object, ConfKey account)
{
    ConfStore *store = methods->context.store;
    const ConfObject *holder = NULL;
    const ConfAcl *acl = conf_state_acl(conf_store_state(store), object, &holder);
    g_autoptr(ConfIdentity) identity = conf_identity_of(store, account);
    ConfBuffer *buffer = conf_request_begin(request);
    conf_buffer_printf(buffer, "{\"revision\":%" G_GINT64_FORMAT ",\"inherited\":%s,\"entries\":",
                       holder != NULL ? holder->acl_revision : 0, object->acl != NULL ? "false" : "true");
    if (acl != NULL)
        conf_acl_write(acl, conf_store_schema(store), buffer);
    else
        CONF_BUFFER_LITERAL(buffer, "[]");
    CONF_BUFFER_LITERAL(buffer, ",\"effective\":");
    conf_rights_write(conf_identity_rights(identity, acl), buffer);
    conf_buffer_append_char(buffer, '}');
    conf_request_end(request);
}

static void
permission_update(ConfRequest *request, void *data)
{
    static const char *const names[] = {"type",    "dbid",    "name",  "tenant", "path",      "ifRevision",
                                        "entries", "inherit", "grant", "revoke", "propagate", NULL};
    ConfMethods *methods = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    ConfTransaction *transaction = conf_methods_single(request, "permission", names, &error);
    if (transaction == NULL)
        conf_request_fail(request, &error);
    else
        conf_methods_submit(methods, request, transaction, conf_methods_answer_revision);
}
