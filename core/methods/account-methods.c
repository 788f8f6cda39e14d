/* account-methods.c - account.setPassword and session.changePassword: hashed in the worker pool, then
 * committed like any other change. */
#include "access/policy.h"
#include "base/clock.h"
#include "methods/methods-private.h"

enum { PASSWORD_MAX = 1024 };

typedef struct {
    ConfMethods *methods;
    ConfRequest *request; /* held */
    ConfWriteTurn *turn;
    ConfKey key;
    char *password;
    char *old_hash;    /* session.changePassword: what `old` was checked against */
    char *former;      /* of a person with rule password-no-repeats: formerPasswordHashes as they will be */
    bool keeps_former; /* the schema has a place for them */
    bool must_change;
    bool own; /* session.changePassword */
} PasswordChange;

static void set_password(ConfRequest *request, void *data);
static void change_password(ConfRequest *request, void *data);
static bool is_taken(ConfMethods *methods, ConfRpcError *error);
static bool find_account(ConfMethods *methods, ConfRequest *request, const ConfJson *params,
                         PasswordChange *change, ConfRpcError *error);
static const ConfObject *find_object(ConfMethods *methods, ConfSession *session, const ConfJson *params,
                                     ConfRpcError *error);
static bool fail_type(ConfRpcError *error, const char *path);
static bool take_secret(const ConfJson *params, bool person, PasswordChange *change, ConfRpcError *error);
static bool take_password(const ConfJson *params, const char *member, char **password, ConfRpcError *error);
static bool apply_rules(PasswordChange *change, const char *path, ConfRpcError *error);
static char *list_former(const ConfObject *person, const char *present, int64_t count);
static void old_checked(bool right, const ConfRpcError *error, void *data);
static void start_hash(PasswordChange *change);
static void hashed(const char *hash, const ConfRpcError *error, void *data);
static void write_former(const PasswordChange *change, ConfBuffer *secrets);
static void fail(PasswordChange *change, const ConfRpcError *error);
static void change_free(PasswordChange *change);

void
conf_methods_add_account(ConfMethods *methods, ConfMethodTable *table)
{
    static const ConfMethod family[] = {
        {.name = "account.setPassword", .func = set_password, .flags = CONF_METHOD_WRITE},
        {.name = "session.changePassword",
         .func = change_password,
         .flags = CONF_METHOD_WRITE | CONF_METHOD_WHILE_EXPIRED},
    };
    conf_methods_add_all(methods, table, family, G_N_ELEMENTS(family));
}

static void
set_password(ConfRequest *request, void *data)
{
    static const char *const names[] = {"type",     "dbid",   "name",       "tenant", "path",
                                        "password", "secret", "mustChange", NULL};
    ConfMethods *methods = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    PasswordChange *change = g_new0(PasswordChange, 1);
    change->methods = methods;
    const ConfJson *params = conf_request_parse_params(request, names, &error);
    if (params == NULL || !is_taken(methods, &error) ||
        !find_account(methods, request, params, change, &error)) {
        conf_request_fail(request, &error);
        change_free(change);
        return;
    }
    change->request = conf_request_hold(request);
    change->turn = conf_write_order_take(methods, change->request);
    start_hash(change);
}

/* Before a password is looked at, let alone hashed. */
static bool
is_taken(ConfMethods *methods, ConfRpcError *error)
{
    ConfWriteSink *sink = methods->context.sink;
    return sink->admits == NULL || sink->admits(sink->self, error);
}

static bool
find_account(ConfMethods *methods, ConfRequest *request, const ConfJson *params, PasswordChange *change,
             ConfRpcError *error)
{
    ConfSession *session = conf_request_get_session(request);
    ConfSlice type = {NULL, 0};
    if (!conf_params_string(params, "", "type", false, &type, error) ||
        !conf_params_boolean(params, "", "mustChange", &change->must_change, error))
        return false;
    bool by_path = conf_json_member(params, "path") != NULL;
    bool person = type.data == NULL || conf_slice_is(type, "person");
    if (!person && !conf_slice_is(type, "application"))
        return fail_type(error, "/type");
    if (!by_path && !take_secret(params, person, change, error))
        return false;
    const ConfObject *object = find_object(methods, session, params, error);
    if (object == NULL)
        return false;
    person = object->type == CONF_TYPE_PERSON;
    if (by_path && !person && object->type != CONF_TYPE_APPLICATION)
        return fail_type(error, "/path");
    if (by_path && !take_secret(params, person, change, error))
        return false;
    change->key = conf_object_key(object);
    if ((conf_session_rights(session, object) & CONF_RIGHT_CHANGE_PERMISSIONS) == 0)
        return conf_rpc_fail(error, CONF_RPC_NOT_PERMITTED,
                             "Right changePermissions is missing on this object");
    return !person || apply_rules(change, "/password", error);
}

/* Where no type is said a person is meant. */
static const ConfObject *
find_object(ConfMethods *methods, ConfSession *session, const ConfJson *params, ConfRpcError *error)
{
    if (conf_json_member(params, "dbid") == NULL && conf_json_member(params, "name") == NULL &&
        conf_json_member(params, "path") == NULL) {
        conf_rpc_fail_path(error, "/dbid", "Member \"dbid\" is required.");
        return NULL;
    }
    return conf_methods_find_typed(methods, session, params, CONF_TYPE_PERSON, error);
}

static bool
fail_type(ConfRpcError *error, const char *path)
{
    return conf_rpc_fail_path(error, path, "A password is set for a person, a secret for an application");
}

static bool
take_secret(const ConfJson *params, bool person, PasswordChange *change, ConfRpcError *error)
{
    const char *foreign = person                                         ? "/secret"
                          : conf_json_member(params, "password") != NULL ? "/password"
                                                                         : "/mustChange";
    if (conf_json_member(params, foreign + 1) != NULL)
        return conf_rpc_fail_path(error, foreign, "%s is not for type %s", foreign + 1,
                                  person ? "person" : "application");
    return take_password(params, person ? "password" : "secret", &change->password, error);
}

/* The rules of its tenant, and what of the former passwords is to be kept. */
static bool
apply_rules(PasswordChange *change, const char *path, ConfRpcError *error)
{
    ConfStore *store = change->methods->context.store;
    const ConfObject *person = conf_store_lookup(store, change->key);
    const ConfTypeInfo *type = conf_schema_type(conf_store_schema(store), person->type);
    ConfPolicy policy;
    const char *why = NULL;
    conf_policy_of(store, person, &policy);
    if (!conf_policy_allows(&policy, conf_slice_from_string(change->password), &why))
        return conf_rpc_fail_path(error, path, "%s", why);
    change->old_hash = conf_object_get_secret(person, "passwordHash");
    change->keeps_former = conf_type_field(type, CONF_SLICE("formerPasswordHashes")) != NULL;
    if (policy.password_no_repeats > 0)
        change->former = list_former(person, change->old_hash, policy.password_no_repeats);
    return true;
}

/* The present hash first; it is a former one once the new one is set. */
static char *
list_former(const ConfObject *person, const char *present, int64_t count)
{
    g_autofree char *known = conf_object_get_secret(person, "formerPasswordHashes");
    g_auto(GStrv) hashes = g_strsplit(known != NULL ? known : "", "\n", -1);
    GString *list = g_string_new(present);
    for (int64_t i = 0; hashes[i] != NULL && i < count; i++) {
        if (*hashes[i] != '\0')
            g_string_append_printf(list, "%s%s", list->len > 0 ? "\n" : "", hashes[i]);
    }
    return g_string_free(list, FALSE);
}

static bool
take_password(const ConfJson *params, const char *member, char **password, ConfRpcError *error)
{
    ConfSlice text = {NULL, 0};
    if (!conf_params_string(params, "", member, true, &text, error))
        return false;
    g_autofree char *path = g_strdup_printf("/%s", member);
    if (text.size == 0 || text.size > PASSWORD_MAX || memchr(text.data, '\0', text.size) != NULL)
        return conf_rpc_fail_path(error, path, "%s must have 1 to %d bytes, none of them NUL", member,
                                  PASSWORD_MAX);
    *password = conf_slice_dup(text);
    return true;
}

static void
change_password(ConfRequest *request, void *data)
{
    static const char *const names[] = {"old", "new", NULL};
    ConfMethods *methods = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    ConfSession *session = conf_request_get_session(request);
    ConfSlice old = {NULL, 0};
    PasswordChange *change = g_new0(PasswordChange, 1);
    change->methods = methods;
    change->own = true;
    change->key = conf_session_person(session);
    const ConfJson *params = conf_request_parse_params(request, names, &error);
    bool fine = params != NULL && is_taken(methods, &error) &&
                conf_params_string(params, "", "old", true, &old, &error) &&
                take_password(params, "new", &change->password, &error);
    if (fine && change->key.dbid == 0)
        fine = conf_rpc_fail(&error, CONF_RPC_NOT_PERMITTED,
                             "An application has no password of its own to change");
    fine = fine && conf_session_may_change_password(session, &error) &&
           conf_sessions_can_check(methods->context.sessions, &error);
    if (fine && conf_slice_is(old, change->password))
        fine = conf_rpc_fail_path(&error, "/new", "The new password is the old one");
    fine = fine && apply_rules(change, "/new", &error);
    if (fine && change->old_hash == NULL)
        fine = conf_rpc_fail(&error, CONF_RPC_NOT_PERMITTED,
                             "This account has no password here to change: it is kept by a directory");
    if (!fine) {
        conf_request_fail(request, &error);
        change_free(change);
        return;
    }
    const ConfObject *person = conf_store_lookup(methods->context.store, change->key);
    g_autofree char *address =
        g_strdup(conf_connection_get_peer_address(conf_request_get_connection(request)));
    g_autofree char *name = g_strdup(person->name);
    change->request = conf_request_hold(request);
    change->turn = conf_write_order_take(methods, change->request);
    conf_access_check_password(methods->context.access, person, "passwordHash", conf_slice_from_string(name),
                               address, old, old_checked, change);
}

static void
old_checked(bool right, const ConfRpcError *error, void *data)
{
    PasswordChange *change = data;
    if (right) {
        start_hash(change);
        return;
    }
    g_auto(ConfRpcError) refused = CONF_RPC_ERROR_INIT;
    if (error != NULL && error->code != CONF_RPC_LOGIN_REFUSED) {
        fail(change, error);
        return;
    }
    conf_rpc_fail(&refused, CONF_RPC_LOGIN_REFUSED, "The old password is wrong");
    fail(change, &refused);
}

static void
start_hash(PasswordChange *change)
{
    ConfConnection *connection = conf_request_get_connection(change->request);
    g_autofree char *address =
        g_strdup(connection != NULL ? conf_connection_get_peer_address(connection) : "");
    conf_access_hash_fresh_password(change->methods->context.access, conf_slice_from_string(change->password),
                                    change->former != NULL ? change->former : "", address, hashed, change);
}

static void
hashed(const char *hash, const ConfRpcError *error, void *data)
{
    PasswordChange *change = data;
    ConfSession *session = conf_request_get_session(change->request);
    g_auto(ConfRpcError) gone = CONF_RPC_ERROR_INIT;
    if (hash == NULL && error->code == CONF_RPC_INVALID_PARAMS) {
        const char *path = change->own                            ? "/new"
                           : change->key.type == CONF_TYPE_PERSON ? "/password"
                                                                  : "/secret";
        conf_rpc_fail_path(&gone, path, "%s", error->message);
        fail(change, &gone);
        return;
    }
    if (hash == NULL || session == NULL) {
        conf_rpc_fail(&gone, CONF_RPC_UNAVAILABLE, "The session ended meanwhile");
        fail(change, hash == NULL ? error : &gone);
        return;
    }
    if (change->own && conf_session_has_own_hash(session)) {
        conf_rpc_fail(&gone, CONF_RPC_CHANGED, "The password is being changed already");
        fail(change, &gone);
        return;
    }
    bool person = change->key.type == CONF_TYPE_PERSON;
    char now[CONF_TIME_TEXT_SIZE];
    conf_clock_format(conf_clock_wall_ms(), now);
    g_autofree char *patch = person
                                 ? g_strdup_printf("{\"passwordChanged\":\"%s\",\"mustChangePassword\":%s}",
                                                   now, change->must_change ? "true" : "null")
                                 : g_strdup("{}");
    g_auto(ConfBuffer) secrets = CONF_BUFFER_INIT;
    conf_buffer_printf(&secrets, "{\"%s\":", person ? "passwordHash" : "secretHash");
    conf_json_append_string(&secrets, conf_slice_from_string(hash));
    write_former(change, &secrets);
    conf_buffer_append_char(&secrets, '}');
    ConfTransaction *transaction =
        conf_transaction_new_amend(change->key, change->own ? 0 : CONF_RIGHT_CHANGE_PERMISSIONS,
                                   conf_slice_from_string(patch), conf_buffer_slice(&secrets));
    if (change->own) {
        conf_session_set_own_hash(session, hash);
    }
    /* One that somebody else has set since must not be undone by who knew the old one, nor left out of
     * the former ones. */
    if (change->own || change->former != NULL)
        conf_transaction_expect_secret(transaction, "passwordHash", change->old_hash);
    ConfWriting *writing =
        conf_methods_writing_new(change->methods, change->request, transaction, conf_methods_answer_revision);
    writing->own_password = change->own;
    conf_write_order_ready(change->turn, writing, transaction);
    change_free(change);
}

static void
write_former(const PasswordChange *change, ConfBuffer *secrets)
{
    if (!change->keeps_former)
        return;
    CONF_BUFFER_LITERAL(secrets, ",\"formerPasswordHashes\":");
    if (change->former != NULL && *change->former != '\0')
        conf_json_append_string(secrets, conf_slice_from_string(change->former));
    else
        CONF_BUFFER_LITERAL(secrets, "null");
}

static void
fail(PasswordChange *change, const ConfRpcError *error)
{
    conf_request_fail(change->request, error);
    conf_write_order_leave(change->turn, change->request);
    conf_request_release(change->request);
    change_free(change);
}

static void
change_free(PasswordChange *change)
{
    if (change->password != NULL)
        explicit_bzero(change->password, strlen(change->password));
    g_free(change->password);
    if (change->old_hash != NULL)
        explicit_bzero(change->old_hash, strlen(change->old_hash));
    g_free(change->old_hash);
    if (change->former != NULL)
        explicit_bzero(change->former, strlen(change->former));
    g_free(change->former);
    g_free(change);
}
