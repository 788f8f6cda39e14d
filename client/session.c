/* session.c - logs in, or takes a broken session up where it was (protocol.md 3). */
#include "client-private.h"

enum { CHALLENGE_TIMEOUT_S = 300, BARE_ATTEMPTS_MAX = 2 };

static void open_new(ConfcClient *client);
static JsonNode *describe_login(ConfcClient *client);
static void add_addp(ConfcClient *client, JsonObject *params);
static void opened(ConfcClient *client, JsonNode *result, const GError *error, void *data);
static void ask_challenge(ConfcClient *client, const GError *error);
static void resume(ConfcClient *client);
static void resumed(ConfcClient *client, JsonNode *result, const GError *error, void *data);
static void history_is_gone(ConfcClient *client, const GError *error);
static void old_closed(ConfcClient *client, JsonNode *result, const GError *error, void *data);
static bool take_session(ConfcClient *client, JsonNode *result);

void
confc_session_open(ConfcClient *client)
{
    if (client->token != NULL)
        resume(client);
    else
        open_new(client);
}

gboolean
confc_client_answer_challenge(ConfcClient *client, const char *response)
{
    g_return_val_if_fail(CONFC_IS_CLIENT(client), FALSE);
    if (client->state != CONFC_STATE_OPENING || client->challenge == NULL)
        return FALSE;
    g_autoptr(JsonObject) params = json_object_new();
    json_object_set_string_member(params, "challenge", client->challenge);
    json_object_set_string_member(params, "response", response);
    g_clear_pointer(&client->challenge, g_free);
    g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), params);
    confc_client_extend_attempt(client, CHALLENGE_TIMEOUT_S);
    confc_client_call_now(client, "session.continue", node, opened, NULL);
    return TRUE;
}

void
confc_session_set_position(ConfcClient *client, gint64 revision, const char *chain)
{
    g_autofree char *copy = g_strdup(chain);
    client->revision = revision;
    g_free(client->chain);
    client->chain = g_steal_pointer(&copy);
}

void
confc_session_forget(ConfcClient *client)
{
    g_clear_pointer(&client->token, g_free);
    g_clear_pointer(&client->environment, g_free);
    g_clear_pointer(&client->former_environment, g_free);
    client->former_revision = -1;
    g_clear_pointer(&client->server, json_object_unref);
    g_clear_pointer(&client->account, json_object_unref);
    g_clear_pointer(&client->login_text, g_free);
    confc_session_set_position(client, 0, NULL);
    client->resume_bare = false;
    client->bare_attempts = 0;
}

static void
open_new(ConfcClient *client)
{
    g_autoptr(JsonNode) params = describe_login(client);
    confc_client_call_now(client, "session.open", params, opened, NULL);
}

static JsonNode *
describe_login(ConfcClient *client)
{
    g_autoptr(JsonObject) params = json_object_new();
    if (client->user != NULL) {
        json_object_set_string_member(params, "user", client->user);
        json_object_set_string_member(params, "password", client->password != NULL ? client->password : "");
    } else if (client->secret != NULL) {
        json_object_set_string_member(params, "secret", client->secret);
    } else {
        json_object_set_string_member(params, "mechanism", "certificate");
    }
    json_object_set_string_member(params, "application", client->application);
    JsonObject *program = json_object_new();
    if (client->client_name != NULL)
        json_object_set_string_member(program, "name", client->client_name);
    if (client->client_version != NULL)
        json_object_set_string_member(program, "version", client->client_version);
    json_object_set_object_member(params, "client", program);
    JsonArray *protocols = json_array_new();
    json_array_add_int_element(protocols, 1);
    json_object_set_array_member(params, "protocols", protocols);
    if (client->replace)
        json_object_set_boolean_member(params, "replace", TRUE);
    add_addp(client, params);
    return json_node_init_object(json_node_alloc(), params);
}

/* What the user does not say is left to the server, whose administrators may say it for this application. */
static void
add_addp(ConfcClient *client, JsonObject *params)
{
    JsonObject *addp = json_object_new();
    if (client->addp_timeout > 0)
        json_object_set_int_member(addp, "timeout", client->addp_timeout);
    if (client->addp_remote_timeout > 0)
        json_object_set_int_member(addp, "remoteTimeout", client->addp_remote_timeout);
    json_object_set_object_member(params, "addp", addp);
}

static void
opened(ConfcClient *client, JsonNode *result, const GError *error, void *data)
{
    if (client->state != CONFC_STATE_OPENING)
        return;
    if (g_error_matches(error, CONFC_ERROR, CONFC_ERROR_CHALLENGE)) {
        ask_challenge(client, error);
        return;
    }
    if (error != NULL) {
        confc_client_attempt_failed(client, error);
        return;
    }
    if (!take_session(client, result))
        return;
    if (g_strcmp0(client->former_environment, client->environment) != 0)
        client->former_revision = -1;
    confc_session_set_position(client, confc_json_integer(client->server, "revision", 0),
                               confc_json_string(client->server, "chain"));
    confc_client_ready(client, false, "session");
}

/* Somebody has to be there to answer; otherwise the refusal stands. */
static void
ask_challenge(ConfcClient *client, const GError *error)
{
    JsonNode *node = confc_error_get_data(error);
    JsonObject *data = node != NULL && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    const char *challenge = confc_json_string(data, "challenge"), *prompt = confc_json_string(data, "prompt");
    guint signal = confc_client_signals[CONFC_SIGNAL_CHALLENGE];
    if (++client->challenges > CONFC_CHALLENGES_MAX) {
        g_autoptr(GError) endless = g_error_new_literal(CONFC_ERROR, CONFC_ERROR_CHALLENGE,
                                                        "The server asks on and on, and gives no session");
        confc_client_attempt_failed(client, endless);
        return;
    }
    if (challenge == NULL || !g_signal_has_handler_pending(client, signal, 0, FALSE)) {
        confc_client_attempt_failed(client, error);
        return;
    }
    g_free(client->challenge);
    client->challenge = g_strdup(challenge);
    confc_client_extend_attempt(client, CHALLENGE_TIMEOUT_S);
    g_signal_emit(client, signal, 0, prompt != NULL ? prompt : "");
}

static void
resume(ConfcClient *client)
{
    g_autoptr(JsonObject) params = json_object_new();
    json_object_set_string_member(params, "session", client->token);
    json_object_set_string_member(params, "environment", client->environment);
    json_object_set_int_member(params, "revision", client->revision);
    if (client->chain != NULL)
        json_object_set_string_member(params, "chain", client->chain);
    json_object_set_array_member(params, "subscriptions",
                                 client->resume_bare ? json_array_new()
                                                     : confc_subscriptions_describe(client));
    add_addp(client, params);
    g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), params);
    confc_client_call_now(client, "session.resume", node, resumed, NULL);
}

static void
resumed(ConfcClient *client, JsonNode *result, const GError *error, void *data)
{
    if (client->state != CONFC_STATE_OPENING)
        return;
    if (g_error_matches(error, CONFC_ERROR, CONFC_ERROR_SESSION_UNKNOWN)) {
        g_autofree char *environment = g_strdup(client->environment);
        gint64 revision = client->revision;
        confc_session_forget(client);
        client->former_environment = g_steal_pointer(&environment);
        client->former_revision = revision;
        open_new(client);
        return;
    }
    if (g_error_matches(error, CONFC_ERROR, CONFC_ERROR_HISTORY_GONE)) {
        history_is_gone(client, error);
        return;
    }
    if (g_error_matches(error, CONFC_ERROR, CONFC_ERROR_INVALID_PARAMS) && !client->resume_bare) {
        /* A scope that is no longer there or readable must not keep the others from coming back. */
        client->resume_bare = true;
        resume(client);
        return;
    }
    if (error != NULL) {
        confc_client_attempt_failed(client, error);
        return;
    }
    bool is_bare = client->resume_bare;
    if (!take_session(client, result))
        return;
    if (!is_bare)
        confc_subscriptions_resumed(client, confc_json_array(json_node_get_object(result), "subscriptions"));
    client->resume_bare = false;
    client->bare_attempts = 0;
    confc_client_ready(client, true, is_bare ? "history" : NULL);
}

/* The session stands, but its subscriptions got numbers that nobody told.  It is taken up once more on
 * another connection, from the present revision and without subscriptions, which then are opened anew.
 * Where even that history is gone (another database), the session is closed and a new one opened. */
static void
history_is_gone(ConfcClient *client, const GError *error)
{
    JsonNode *node = confc_error_get_data(error);
    JsonObject *data = node != NULL && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    gint64 revision = confc_json_integer(data, "revision", -1);
    if (revision < 0 || ++client->bare_attempts > BARE_ATTEMPTS_MAX) {
        confc_client_call_now(client, "session.close", NULL, old_closed, NULL);
        return;
    }
    confc_session_set_position(client, revision, NULL);
    client->resume_bare = true;
    confc_client_redial(client);
}

static void
old_closed(ConfcClient *client, JsonNode *result, const GError *error, void *data)
{
    if (client->state != CONFC_STATE_OPENING)
        return;
    confc_session_forget(client);
    confc_client_redial(client);
}

/* False: the answer was none, and the attempt has failed. */
static bool
take_session(ConfcClient *client, JsonNode *result)
{
    JsonObject *object = JSON_NODE_HOLDS_OBJECT(result) ? json_node_get_object(result) : NULL;
    JsonObject *server = confc_json_object(object, "server"), *account = confc_json_object(object, "account");
    const char *token = confc_json_string(object, "session"),
               *environment = confc_json_string(server, "environment");
    if (token == NULL || environment == NULL) {
        g_autoptr(GError) error =
            g_error_new_literal(CONFC_ERROR, CONFC_ERROR_MALFORMED,
                                "The server's answer to the log-in has no session or no environment");
        confc_client_attempt_failed(client, error);
        return false;
    }
    g_free(client->token);
    client->token = g_strdup(token);
    g_free(client->environment);
    client->environment = g_strdup(environment);
    g_clear_pointer(&client->server, json_object_unref);
    g_clear_pointer(&client->account, json_object_unref);
    client->server = json_object_ref(server);
    client->account = account != NULL ? json_object_ref(account) : NULL;
    g_free(client->login_text);
    client->login_text = g_strdup(confc_json_string(object, "text"));
    client->schema_is_stale = true;
    confc_addp_agree(client, confc_json_integer(confc_json_object(object, "addp"), "timeout", 0));
    return true;
}
