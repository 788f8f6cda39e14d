/* login-session.c - the session that a log-in gets, if its account may have one; and what is told of it. */
#include "session/login-private.h"

static bool displace(ConfLogin *login, ConfKey application, ConfRpcError *error);
static void write_account(ConfSession *session, ConfJsonWriter *writer);

bool
conf_login_make_session(ConfLogin *login, ConfSession **session, ConfRpcError *error)
{
    ConfSession *made = conf_login_find_candidate(login);
    if (made == NULL)
        return conf_login_set_refused(error);
    if (!conf_authentication_is_of(login)) {
        conf_session_discard(made);
        conf_rpc_fail(error, CONF_RPC_UNAVAILABLE, "The account was changed meanwhile: log in again");
        conf_rpc_error_add_integer(error, "retryAfter", 1);
        return false;
    }
    if (!conf_client_admits(login->client, made, error) ||
        (made->server_application && !displace(login, made->application, error))) {
        conf_session_discard(made);
        return false;
    }
    *session = made;
    return true;
}

ConfSession *
conf_login_find_candidate(ConfLogin *login)
{
    ConfSessions *sessions = login->sessions;
    ConfStore *store = sessions->store;
    const ConfObject *application = conf_store_lookup_name(store, CONF_TYPE_APPLICATION,
                                                           conf_slice_from_string(login->application), NULL);
    const ConfObject *person =
        login->user == NULL
            ? NULL
            : conf_store_lookup_name(store, CONF_TYPE_PERSON, conf_slice_from_string(login->user), NULL);
    if (application == NULL || !application->enabled ||
        (login->user != NULL && (person == NULL || !person->enabled)))
        return NULL;
    ConfKey subject = {0};
    if (person != NULL)
        subject = conf_object_key(person);
    else if (!conf_login_read_account(store, application, &subject))
        return NULL;
    const ConfObject *account = conf_store_lookup(store, subject);
    if (account == NULL || !account->enabled)
        return NULL;
    g_autoptr(GArray) groups = login->groups != NULL ? g_array_ref(login->groups) : NULL;
    ConfSession *made = conf_session_new(sessions);
    made->subject = subject;
    made->groups = g_steal_pointer(&groups);
    made->person = person != NULL ? subject : (ConfKey){0};
    made->application = conf_object_key(application);
    made->identity = conf_session_current_identity(made);
    made->server_application = conf_object_get_boolean(application, "server");
    made->must_change = person != NULL && conf_object_get_boolean(person, "mustChangePassword");
    made->person_name = g_strdup(person != NULL ? person->name : "");
    made->application_name = g_strdup(application->name);
    made->client_name = g_strdup(login->client_name);
    made->client_version = g_strdup(login->client_version);
    if (conf_session_still_allowed(made))
        return made;
    conf_session_discard(made);
    return NULL;
}

bool
conf_login_read_account(ConfStore *store, const ConfObject *application, ConfKey *subject)
{
    ConfSlice raw = conf_object_get_raw(application, "account");
    if (raw.size == 0)
        return false;
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfJson *account = conf_json_parse(arena, raw, NULL, NULL, NULL);
    const ConfJson *type = conf_json_member(account, "type"), *dbid = conf_json_member(account, "dbid");
    if (type == NULL || dbid == NULL)
        return false;
    const ConfTypeInfo *info = conf_schema_type_by_name(conf_store_schema(store), type->text);
    *subject = (ConfKey){.type = info != NULL ? info->id : 0, .dbid = dbid->integer};
    return info != NULL;
}

bool
conf_login_may_succeed(ConfLogin *login)
{
    ConfSession *candidate = conf_login_find_candidate(login);
    if (candidate != NULL)
        conf_session_discard(candidate);
    return candidate != NULL;
}

bool
conf_session_still_allowed(ConfSession *session)
{
    ConfStore *store = session->sessions->store;
    const ConfObject *subject = conf_store_lookup(store, session->subject);
    const ConfObject *application = conf_store_lookup(store, session->application);
    if (subject == NULL || !subject->enabled || application == NULL || !application->enabled)
        return false;
    return (conf_identity_rights_on(store, session->identity, application) & CONF_RIGHT_EXECUTE) != 0;
}

void
conf_login_write_session(ConfSession *session, const char *token, ConfBuffer *buffer)
{
    ConfSessions *sessions = session->sessions;
    ConfJsonWriter writer;
    conf_buffer_printf(
        buffer,
        "\"protocol\":1,\"features\":[\"transaction\",\"initial\",\"since\",\"resume\"],\"session\":\"%s\","
        "\"resumable\":%" G_GINT64_FORMAT ",\"server\":{",
        token, sessions->settings.resume_timeout_s);
    sessions->host.write_server(buffer, sessions->host.data);
    CONF_BUFFER_LITERAL(buffer, "},\"account\":");
    conf_json_writer_init(&writer, buffer);
    write_account(session, &writer);
}

bool
conf_login_set_refused(ConfRpcError *error)
{
    return conf_rpc_fail(
        error, CONF_RPC_LOGIN_REFUSED,
        "The user, the password or the application is wrong, or may not be used by this user");
}

/* One server application is connected once: two of the same name are a mistake of somebody's set-up, or a
 * link that died and was not yet noticed. */
static bool
displace(ConfLogin *login, ConfKey application, ConfRpcError *error)
{
    GPtrArray *list = g_hash_table_lookup(login->sessions->by_application, &application);
    if (list == NULL)
        return true;
    for (unsigned i = 0; i < list->len && !login->replace; i++) {
        const ConfSession *session = g_ptr_array_index(list, i);
        if (session->connection != NULL)
            return conf_rpc_fail(error, CONF_RPC_LIMIT, "Application %s is connected already",
                                 login->application);
    }
    /* Broken ones too: resumed later, they would be connected beside this one. */
    g_autoptr(GPtrArray) older = g_ptr_array_copy(list, NULL, NULL);
    for (unsigned i = 0; i < older->len; i++)
        conf_session_finish(login->sessions, g_ptr_array_index(older, i), "replaced");
    return true;
}

static void
write_account(ConfSession *session, ConfJsonWriter *writer)
{
    ConfSessions *sessions = session->sessions;
    const ConfObject *account = conf_store_lookup(sessions->store, session->subject);
    ConfKey key = session->person.dbid != 0 ? session->person : session->application;
    conf_json_writer_begin_object(writer);
    if (account != NULL) {
        const ConfTypeInfo *info = conf_schema_type(conf_store_schema(sessions->store), account->type);
        conf_json_writer_member_string(writer, "type", info->name);
        conf_json_writer_member_integer(writer, "dbid", account->dbid);
        conf_json_writer_member_slice(writer, "name", conf_object_name(account));
        conf_json_writer_member_integer(writer, "tenant", account->tenant);
    }
    int64_t last = conf_accounts_last_login(conf_access_accounts(sessions->access), key);
    int64_t end =
        session->person.dbid != 0 && account != NULL ? conf_rules_password_end(sessions, account) : 0;
    conf_json_writer_member_time(writer, "lastLogin", last);
    conf_json_writer_member_time(writer, "passwordExpires", end);
    if (session->must_change)
        conf_json_writer_member_boolean(writer, "mustChangePassword", true);
    conf_json_writer_end_object(writer);
}
