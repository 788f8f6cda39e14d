/* login.c - session.open and session.continue: plugins are asked first, then the internal password; whoever
 * said yes, the rights stay internal.  Every refusal is told alike and after the same work, so that nobody
 * learns which part was wrong.
 *
 * A ConfLogin lives from the request to its answer (over a challenge: to the last answer).  It holds the
 * input of the connection while it is being decided. */
#include "session/login-private.h"

enum { CHALLENGE_TIMEOUT_MS = 120000, RETRY_AFTER_S = 5 };

static void ask_plugins(ConfLogin *login);
static void take_verdict(ConfLogin *login, ConfVerdict verdict, GError *error);
static void check_internally(ConfLogin *login);
static void password_checked(bool right, const ConfRpcError *error, void *data);
static void let_in(ConfLogin *login, bool by_plugin);
static void refuse(ConfLogin *login, const ConfRpcError *error, const char *why);
static void finish(ConfLogin *login);
static void login_free(ConfLogin *login);
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
    conf_authentication_refused(login);
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
        conf_login_set_refused(&failure);
    }
    /* Of whom may not log in with a right password either, the directory's words would tell that one was wrong. */
    if (login->text != NULL && (login->stage != CONF_LOGIN_LIBRARIES || conf_login_may_succeed(login)))
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
    ConfSession *candidate = conf_login_find_candidate(login);
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
        conf_login_set_refused(&failure);
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
    if (!sessions->host.may_open(&error, sessions->host.data) ||
        !conf_login_make_session(login, &session, &error)) {
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

static void
challenge_timed_out(void *data)
{
    conf_login_abandon(data);
}
