/* login.c - session.open and session.continue: plugins are asked first, then the internal password; whoever
 * said yes, the rights stay internal.  Every refusal is told alike and after the same work, so that nobody
 * learns which part was wrong.
 *
 * A ConfLogin lives from the request to its answer (over a challenge: to the last answer).  It holds the
 * input of the connection while it is being decided. */
#include "base/clock.h"
#include "session/login-private.h"

enum { CHALLENGE_TIMEOUT_MS = 120000, RETRY_AFTER_S = 5 };

static void ask_plugins(ConfLogin *login);
static void take_verdict(ConfLogin *login, ConfVerdict verdict, GError *error);
static void check_internally(ConfLogin *login);
static void password_checked(bool right, const ConfRpcError *error, void *data);
static void let_in(ConfLogin *login, bool by_plugin);
static bool may_be_told(ConfLogin *login);
static bool make_session(ConfLogin *login, ConfSession **session, ConfRpcError *error);
static ConfSession *find_candidate(ConfLogin *login);
static bool displace(ConfLogin *login, ConfKey application, ConfRpcError *error);
static void refuse(ConfLogin *login, const ConfRpcError *error, const char *why);
static void finish(ConfLogin *login);
static void login_free(ConfLogin *login);
static bool refused(ConfRpcError *error);
static void write_account(ConfSession *session, ConfJsonWriter *writer);
static void challenge_timed_out(void *data);

void
conf_sessions_open(ConfSessions *sessions, ConfRequest *request)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    ConfClient *client = conf_client_of(conf_request_get_connection(request));
    if (client == NULL || client->session != NULL || client->resuming ||
        (client->login != NULL && client->login->request != NULL)) {
        conf_rpc_fail(&error, CONF_RPC_INVALID_REQUEST, "This connection has a session already");
        conf_request_fail(request, &error);
        return;
    }
    if (client->login != NULL)
        conf_login_abandon(client->login); /* A challenge that is not answered: the client begins anew. */
    if (!conf_sessions_check_transport(sessions, client->connection, &error)) {
        conf_request_fail(request, &error);
        return;
    }
    ConfLogin *login = g_new0(ConfLogin, 1);
    login->sessions = sessions;
    if (!conf_login_read_params(login, request, &error) ||
        !sessions->host.may_open(&error, sessions->host.data)) {
        conf_request_fail(request, &error);
        login_free(login);
        return;
    }
    login->client = client;
    client->login = login;
    login->address = g_strdup(conf_connection_get_peer_address(client->connection));
    login->request = conf_request_hold(request);
    conf_connection_hold_input(client->connection);
    ask_plugins(login);
}

/* Option plain-login, by the look-up order: a password, or a token that stands for one, is not read from a
 * line that anybody could have read.  On loopback the ports for management stay open, so that whoever is on
 * the machine can put right what keeps TLS from working. */
bool
conf_sessions_check_transport(ConfSessions *sessions, const ConfConnection *connection, ConfRpcError *error)
{
    static const char *const modes[] = {"allow", "loopback", "refuse"};
    const char *text = conf_connection_get_option(connection, "", "plain-login");
    int mode = sessions->settings.plain_login;
    for (int i = 0; i < (int)G_N_ELEMENTS(modes); i++) {
        if (g_strcmp0(text, modes[i]) == 0)
            mode = i;
    }
    const ConfClient *client = conf_client_of((ConfConnection *)connection);
    bool loopback_passes = mode == 1 || (client != NULL && client->management);
    if (mode == 0 || conf_connection_is_encrypted(connection) ||
        (loopback_passes && conf_connection_is_loopback(connection)))
        return true;
    return conf_rpc_fail(error, CONF_RPC_TLS_REQUIRED,
                         "This port takes no log-in in plain text: TLS is required");
}

void
conf_sessions_continue(ConfSessions *sessions, ConfRequest *request)
{
    static const char *const names[] = {"challenge", "response", NULL};
    (void)sessions;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    ConfSlice challenge = {NULL, 0}, response = {NULL, 0};
    ConfClient *client = conf_client_of(conf_request_get_connection(request));
    ConfLogin *login = client != NULL ? client->login : NULL;
    const ConfJson *params = conf_request_parse_params(request, names, &error);
    bool fine = params != NULL && conf_params_string(params, "", "challenge", true, &challenge, &error) &&
                conf_params_string(params, "", "response", true, &response, &error);
    if (fine && response.size > 0 && memchr(response.data, '\0', response.size) != NULL)
        fine = conf_rpc_fail_path(&error, "/response", "/response holds a NUL character");
    if (fine && (login == NULL || login->request != NULL || login->challenge[0] == '\0' ||
                 !conf_slice_is(challenge, login->challenge)))
        fine = conf_rpc_fail_path(&error, "/challenge", "No such challenge stands on this connection");
    if (!fine) {
        conf_request_fail(request, &error);
        return;
    }
    conf_timer_cancel(&login->challenge_timer);
    login->challenge[0] = '\0';
    g_clear_pointer(&login->text, g_free); /* It was said of the question. */
    conf_secret_replace(&login->response, conf_slice_dup(response));
    login->request = conf_request_hold(request);
    conf_connection_hold_input(client->connection);
    ask_plugins(login);
}

void
conf_login_abandon(ConfLogin *login)
{
    if (login->client != NULL)
        login->client->login = NULL;
    login->client = NULL;
    if (login->later != NULL) {
        conf_later_abandon(login->later);
        login->later = NULL;
    }
    conf_authentication_let_go(login);
    if (login->check != NULL)
        conf_access_cancel_check(login->check);
    if (login->request != NULL)
        conf_request_release(login->request);
    login->request = NULL;
    login_free(login);
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
conf_session_still_allowed(ConfSession *session)
{
    ConfStore *store = session->sessions->store;
    const ConfObject *subject = conf_store_lookup(store, session->subject);
    const ConfObject *application = conf_store_lookup(store, session->application);
    if (subject == NULL || !subject->enabled || application == NULL || !application->enabled)
        return false;
    return (conf_identity_rights_on(store, session->identity, application) & CONF_RIGHT_EXECUTE) != 0;
}

/* Whoever asks: an answer that depended on the person would tell who is there. */
bool
conf_sessions_can_check(const ConfSessions *sessions, ConfRpcError *error)
{
    return sessions->host.has_secrets(sessions->host.data) ||
           conf_rpc_fail(
               error, CONF_RPC_UNAVAILABLE,
               "This proxy is not given the passwords by its master, and cannot check any: log in at the "
               "master, or give the proxy's account the right and a secure link");
}

void
conf_login_later_verdict(ConfLogin *login, ConfVerdict verdict, GError *error)
{
    login->later = NULL;
    conf_authentication_let_go(login);
    take_verdict(login, verdict, error);
}

void
conf_login_later_challenge(ConfLogin *login, const char *prompt, GBytes *state)
{
    login->later = NULL;
    conf_authentication_let_go(login);
    conf_authentication_again(login);
    g_clear_pointer(&login->state, g_bytes_unref);
    login->state = state;
    conf_id_new_token(login->challenge);
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    conf_rpc_fail(&error, CONF_RPC_CHALLENGE, "The directory asks for more");
    conf_rpc_error_add_string(&error, "challenge", login->challenge);
    conf_rpc_error_add_string(&error, "prompt", prompt);
    ConfRequest *request = login->request;
    login->request = NULL;
    conf_request_fail(request, &error);
    conf_request_release(request);
    conf_timer_arm(&login->challenge_timer, CHALLENGE_TIMEOUT_MS, challenge_timed_out, login);
    conf_connection_release_input(login->client->connection);
}

void
conf_login_judge(ConfLogin *login, const ConfObject *account)
{
    const ConfObject *former = login->judged;
    login->judged = account != NULL ? conf_object_ref(account) : NULL;
    if (former != NULL)
        conf_object_unref(former);
}

void
conf_secret_replace(char **secret, char *value)
{
    if (*secret != NULL)
        explicit_bzero(*secret, strlen(*secret));
    g_free(*secret);
    *secret = value;
}

static void
ask_plugins(ConfLogin *login)
{
    ConfSessions *sessions = login->sessions;
    ConfSlice name = conf_slice_from_string(login->user != NULL ? login->user : login->application);
    /* Whoever must pause is not worth a question to a directory: the internal check makes it wait and refuses
     * it. */
    if (conf_access_pause_ms(sessions->access, name, login->address) > 0) {
        login->paused = true;
        check_internally(login);
        return;
    }
    GError *error = NULL;
    ConfVerdict verdict = conf_authentication_ask(login, &error);
    take_verdict(login, verdict, error);
}

/* Takes `error`. */
static void
take_verdict(ConfLogin *login, ConfVerdict verdict, GError *error)
{
    g_autoptr(GError) reason = error;
    g_auto(ConfRpcError) failure = CONF_RPC_ERROR_INIT;
    if (conf_authentication_goes_on(login, verdict, reason)) {
        ask_plugins(login);
        return;
    }
    switch (verdict) {
    case CONF_LATER:
        return;
    case CONF_DONE:
        conf_authentication_succeeded(login);
        let_in(login, true);
        return;
    case CONF_NEXT:
        if (login->later_next) {
            login->later_next = false;
            ask_plugins(login);
            return;
        }
        check_internally(login);
        return;
    case CONF_REFUSE:
        break;
    }
    const char *why = reason != NULL ? reason->message : "refused by a plugin";
    bool unavailable = reason != NULL && g_error_matches(reason, CONF_ERROR, CONF_ERROR_UNAVAILABLE);
    if (unavailable) {
        conf_rpc_fail(&failure, CONF_RPC_UNAVAILABLE, "%s", why);
        conf_rpc_error_add_integer(&failure, "retryAfter", RETRY_AFTER_S);
    } else if (reason != NULL && reason->domain == CONF_PLUGIN_RPC_ERROR) {
        conf_rpc_fail(&failure, reason->code, "%s", why);
    } else {
        refused(&failure);
    }
    if (login->text != NULL && may_be_told(login))
        conf_rpc_error_add_string(&failure, "text", login->text);
    if (!unavailable)
        conf_authentication_refused(login);
    if (!unavailable)
        conf_access_note_refusal(
            login->sessions->access,
            conf_slice_from_string(login->user != NULL ? login->user : login->application), login->address);
    refuse(login, &failure, why);
}

static void
check_internally(ConfLogin *login)
{
    ConfSessions *sessions = login->sessions;
    bool password = login->mechanism == NULL || strcmp(login->mechanism, "password") == 0;
    /* Whoever must pause is refused alike, by whatever means it wanted to prove who it is. */
    if (!password && !login->paused) {
        g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
        conf_rpc_fail_path(&error, "/mechanism", "This server knows no mechanism %s", login->mechanism);
        refuse(login, &error, "unknown mechanism");
        return;
    }
    g_auto(ConfRpcError) unavailable = CONF_RPC_ERROR_INIT;
    if (password && !login->paused && !conf_sessions_can_check(sessions, &unavailable)) {
        refuse(login, &unavailable, "no passwords are held here");
        return;
    }
    bool itself = login->user == NULL;
    ConfSlice name = conf_slice_from_string(itself ? login->application : login->user);
    const ConfObject *account = conf_store_lookup_name(
        sessions->store, itself ? CONF_TYPE_APPLICATION : CONF_TYPE_PERSON, name, NULL);
    ConfSlice secret = conf_slice_from_string(itself ? login->secret : login->password);
    /* Who may not log in whatever the password is: as an unknown user, so that no faster answer tells that it
     * was right. */
    ConfSession *candidate = find_candidate(login);
    login->hopeless = candidate == NULL || (!itself && conf_rules_bar(sessions, account));
    login->paused |= conf_access_pause_ms(sessions->access, name, login->address) > 0;
    if (candidate != NULL)
        conf_session_discard(candidate);
    conf_login_judge(login, account);
    /* It may be decided before the call returns, and then the log-in is gone with it. */
    bool decided = false;
    login->decided = &decided;
    ConfPasswordCheck *check = conf_access_check_password(
        sessions->access, login->hopeless || login->paused ? NULL : account,
        itself ? "secretHash" : "passwordHash", name, login->address, secret, password_checked, login);
    if (decided)
        return;
    login->decided = NULL;
    login->check = check;
}

static void
password_checked(bool right, const ConfRpcError *error, void *data)
{
    ConfLogin *login = data;
    if (login->decided != NULL)
        *login->decided = true;
    login->decided = NULL;
    login->check = NULL;
    const ConfObject *person = conf_login_get_person(login);
    /* The lock may have come by those that were looked at meanwhile. */
    if (right && person != NULL && conf_rules_bar(login->sessions, person)) {
        login->hopeless = true;
        right = false;
    }
    if (right) {
        let_in(login, false);
        return;
    }
    g_auto(ConfRpcError) failure = CONF_RPC_ERROR_INIT;
    bool is_wrong = error != NULL && error->code == CONF_RPC_LOGIN_REFUSED;
    if (is_wrong && person != NULL && !login->hopeless && !login->paused)
        conf_rules_note_wrong(login->sessions, person, login->address);
    if (error == NULL || error->code == CONF_RPC_LOGIN_REFUSED) {
        refused(&failure);
        refuse(login, &failure,
               login->hopeless ? "unknown, disabled, locked, or the application may not be used"
                               : "wrong password, or unknown");
    } else {
        refuse(login, error, error->message);
    }
}

/* The password is right; everything else that must hold is asked now, in the store as it is now. */
static void
let_in(ConfLogin *login, bool by_plugin)
{
    ConfSessions *sessions = login->sessions;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    ConfSession *session = NULL;
    ConfSlice name = conf_slice_from_string(login->user != NULL ? login->user : login->application);
    if (!sessions->host.may_open(&error, sessions->host.data) || !make_session(login, &session, &error)) {
        if (error.code == CONF_RPC_LOGIN_REFUSED)
            conf_access_note_refusal(sessions->access, name, login->address);
        refuse(login, &error, error.message);
        return;
    }
    if (by_plugin) {
        conf_access_note_success(sessions->access, name, login->address);
        session->must_change = false; /* That is about the internal password, which was not used. */
    } else if (session->person.dbid != 0) {
        const ConfObject *person = conf_store_lookup(sessions->store, session->person);
        session->must_change |= conf_rules_must_change(sessions, person);
    }
    char token[33];
    conf_session_register(session, token);
    conf_session_bind(session, login->client);
    sessions->statistics.logins++;
    ConfBuffer *buffer = conf_request_begin(login->request);
    conf_buffer_append_char(buffer, '{');
    conf_login_write_session(session, token, buffer);
    if (by_plugin && login->text != NULL) {
        CONF_BUFFER_LITERAL(buffer, ",\"text\":");
        conf_json_append_string(buffer, conf_slice_from_string(login->text));
    }
    conf_buffer_append_char(buffer, '}');
    conf_request_end(login->request);
    conf_rules_note_login(session, by_plugin);
    explicit_bzero(token, sizeof token);
    finish(login);
    conf_hooks_session_opened(session, false);
}

/* Of whom may not log in with a right password either, the directory's words would tell that one was wrong. */
static bool
may_be_told(ConfLogin *login)
{
    ConfSession *candidate = login->stage == CONF_LOGIN_LIBRARIES ? find_candidate(login) : NULL;
    if (candidate != NULL)
        conf_session_discard(candidate);
    return candidate != NULL || login->stage != CONF_LOGIN_LIBRARIES;
}

static bool
make_session(ConfLogin *login, ConfSession **session, ConfRpcError *error)
{
    ConfSession *made = find_candidate(login);
    if (made == NULL)
        return refused(error);
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

/* The session that this log-in would get, in no table yet; NULL: it may not log in. */
static ConfSession *
find_candidate(ConfLogin *login)
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

static void
refuse(ConfLogin *login, const ConfRpcError *error, const char *why)
{
    login->sessions->statistics.logins_refused++;
    conf_hooks_login_refused(login, why);
    conf_log(CONF_LOG_LOGIN_REFUSED, "user", login->user, "application", login->application, "address",
             login->address, "why", why, NULL);
    conf_request_fail(login->request, error);
    finish(login);
}

static void
finish(ConfLogin *login)
{
    ConfClient *client = login->client;
    ConfRequest *request = login->request;
    login->request = NULL;
    client->login = NULL;
    conf_request_release(request);
    ConfConnection *connection = client->connection;
    conf_client_answered_late(client);
    login_free(login);
    conf_connection_release_input(connection);
}

static void
login_free(ConfLogin *login)
{
    conf_timer_cancel(&login->challenge_timer);
    conf_secret_replace(&login->password, NULL);
    conf_secret_replace(&login->secret, NULL);
    conf_secret_replace(&login->token, NULL);
    conf_secret_replace(&login->response, NULL);
    g_clear_pointer(&login->state, g_bytes_unref);
    if (login->groups != NULL)
        g_array_unref(login->groups);
    conf_login_judge(login, NULL);
    g_strfreev(login->libraries);
    g_free(login->user);
    g_free(login->application);
    g_free(login->mechanism);
    g_free(login->client_name);
    g_free(login->client_version);
    g_free(login->text);
    g_free(login->address);
    g_free(login);
}

/* One sentence for all: which part was wrong is nobody's business. */
static bool
refused(ConfRpcError *error)
{
    return conf_rpc_fail(
        error, CONF_RPC_LOGIN_REFUSED,
        "The user, the password or the application is wrong, or may not be used by this user");
}

static void
challenge_timed_out(void *data)
{
    conf_login_abandon(data);
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
    char time[CONF_TIME_TEXT_SIZE];
    if (last != 0) {
        conf_clock_format(last, time);
        conf_json_writer_member_string(writer, "lastLogin", time);
    }
    if (end != 0) {
        conf_clock_format(end, time);
        conf_json_writer_member_string(writer, "passwordExpires", time);
    }
    if (session->must_change)
        conf_json_writer_member_boolean(writer, "mustChangePassword", true);
    conf_json_writer_end_object(writer);
}
