/* permission-methods.c - permission.read and permission.update. */
#include "methods/methods-private.h"

static void permission_read(ConfRequest *request, void *data);
static void permission_update(ConfRequest *request, void *data);
static bool read_account(ConfMethods *methods, ConfSession *session, const ConfJson *params, ConfKey *account,
                         ConfRpcError *error);
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
    static const char *const names[] = {"type", "dbid", NULL};
    const ConfJson *given = conf_json_member(params, "account");
    if (given == NULL)
        return true;
    if (given->kind != CONF_JSON_OBJECT)
        return conf_rpc_fail_path(error, "/account", "account is named by type and dbid");
    ConfSlice type = {NULL, 0};
    int64_t dbid = 0;
    if (!conf_params_only(given, "/account", names, error) ||
        !conf_params_string(given, "/account", "type", true, &type, error) ||
        !conf_params_integer(given, "/account", "dbid", 1, G_MAXINT64, true, &dbid, error))
        return false;
    const ConfTypeInfo *info = conf_schema_type_by_name(conf_store_schema(methods->context.store), type);
    if (info == NULL || (info->id != CONF_TYPE_PERSON && info->id != CONF_TYPE_ACCESS_GROUP))
        return conf_rpc_fail_path(error, "/account/type", "An account is a person or an accessGroup");
    ConfKey key = {.type = info->id, .dbid = dbid};
    const ConfObject *object = conf_store_lookup(methods->context.store, key);
    if (object == NULL || (!conf_key_equal(key, *account) && !conf_session_may_read(session, object)))
        return conf_rpc_fail_path(error, "/account", "There is no %s %" G_GINT64_FORMAT, info->name, dbid);
    *account = key;
    return true;
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
