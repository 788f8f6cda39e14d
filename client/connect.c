/* connect.c - finds a server that gives a session, and finds one again after a break: round after round
 * through the addresses, with a growing pause and jitter between rounds, so that a thousand clients do not
 * come back in one instant. */
#include "client-private.h"

enum {
    LOGIN_EXTRA_S = 30,
    PAUSE_FIRST_MS = 500,
    PAUSE_MAX_MS = 30000,
    CLOSE_TIMEOUT_MS = 5000,
    STEADY_S = 10
};

typedef struct {
    ConfcClient *client; /* a reference */
    guint64 generation;
} Dial;

static bool check_settings(ConfcClient *client, GError **error);
static gboolean connect_cancelled(GCancellable *cancellable, void *data);
static gboolean disconnect_cancelled(GCancellable *cancellable, void *data);
static void start_round(ConfcClient *client);
static void dial(ConfcClient *client);
static void dialed(GObject *source, GAsyncResult *result, void *data);
static void secure(ConfcClient *client, GSocketConnection *connection, ConfcAddress *address);
static void secured(ConfcTls *tls, const GError *error, void *data);
static void attach(ConfcClient *client, GSocketConnection *connection, ConfcTls *tls);
static bool load_credentials(ConfcClient *client, GError **error);
static void keep_ticket(ConfcClient *client);
static void drop_attempt(ConfcClient *client);
static gboolean attempt_timed_out(void *data);
static gboolean pause_is_over(void *data);
static void pause_attempts(ConfcClient *client);
static bool is_final(const GError *error);
static void line_came(ConfcLink *link, const char *line, gsize size, void *data);
static void link_closed(ConfcLink *link, const GError *error, void *data);
static void finish_connect(ConfcClient *client, const GError *error);
static void session_closed(ConfcClient *client, JsonNode *result, const GError *error, void *data);
static gboolean close_timed_out(void *data);
static void store_result(GObject *source, GAsyncResult *result, void *data);

void
confc_client_connect_async(ConfcClient *client, GCancellable *cancellable, GAsyncReadyCallback callback,
                           gpointer user_data)
{
    g_return_if_fail(CONFC_IS_CLIENT(client));
    GTask *task = g_task_new(client, cancellable, callback, user_data);
    g_task_set_source_tag(task, confc_client_connect_async);
    GError *error = NULL;
    if (!check_settings(client, &error)) {
        g_task_return_error(task, error);
        g_object_unref(task);
        return;
    }
    client->connect_task = task;
    if (cancellable != NULL) {
        client->connect_cancel = g_cancellable_source_new(cancellable);
        g_source_set_callback(client->connect_cancel, G_SOURCE_FUNC(connect_cancelled), client, NULL);
        g_source_attach(client->connect_cancel, client->context);
    }
    client->address_index = 0;
    client->attempt = 0;
    start_round(client);
}

gboolean
confc_client_connect_finish(ConfcClient *client, GAsyncResult *result, GError **error)
{
    g_return_val_if_fail(g_task_is_valid(result, client), FALSE);
    return g_task_propagate_boolean(G_TASK(result), error);
}

gboolean
confc_client_connect(ConfcClient *client, GCancellable *cancellable, GError **error)
{
    g_autoptr(GAsyncResult) result = NULL;
    confc_client_connect_async(client, cancellable, store_result, &result);
    while (result == NULL)
        g_main_context_iteration(client->context, TRUE);
    return confc_client_connect_finish(client, result, error);
}

void
confc_client_disconnect_async(ConfcClient *client, GCancellable *cancellable, GAsyncReadyCallback callback,
                              gpointer user_data)
{
    g_return_if_fail(CONFC_IS_CLIENT(client));
    GTask *task = g_task_new(client, cancellable, callback, user_data);
    g_task_set_source_tag(task, confc_client_disconnect_async);
    if (client->state != CONFC_STATE_READY || client->disconnect_task != NULL) {
        if (client->disconnect_task == NULL)
            confc_client_stop(client, NULL);
        g_task_return_boolean(task, TRUE);
        g_object_unref(task);
        return;
    }
    client->state = CONFC_STATE_CLOSING;
    client->disconnect_task = task;
    client->timer = confc_client_add_timeout(client, CLOSE_TIMEOUT_MS, close_timed_out);
    confc_client_call_now(client, "session.close", NULL, session_closed, NULL);
    if (cancellable != NULL && client->disconnect_task != NULL) {
        client->disconnect_cancel = g_cancellable_source_new(cancellable);
        g_source_set_callback(client->disconnect_cancel, G_SOURCE_FUNC(disconnect_cancelled), client, NULL);
        g_source_attach(client->disconnect_cancel, client->context);
    }
}

gboolean
confc_client_disconnect_finish(ConfcClient *client, GAsyncResult *result, GError **error)
{
    g_return_val_if_fail(g_task_is_valid(result, client), FALSE);
    return g_task_propagate_boolean(G_TASK(result), error);
}

void
confc_client_disconnect(ConfcClient *client)
{
    g_autoptr(GAsyncResult) result = NULL;
    confc_client_disconnect_async(client, NULL, store_result, &result);
    while (result == NULL)
        g_main_context_iteration(client->context, TRUE);
}

void
confc_client_lose(ConfcClient *client, const GError *error)
{
    if (client->state == CONFC_STATE_OPENING) {
        confc_client_attempt_failed(client, error);
        return;
    }
    if (client->state == CONFC_STATE_CLOSING) {
        confc_client_stop(client, NULL);
        return;
    }
    if (client->state != CONFC_STATE_READY)
        return;
    /* Who took our place would be displaced in turn, for ever. */
    bool is_replaced = g_strcmp0(client->ending, "replaced") == 0;
    g_autoptr(GError) why = client->said != NULL ? g_error_copy(client->said) : g_error_copy(error);
    if (client->ending != NULL)
        g_prefix_error(&why, "The server ended the session (%s): ", client->ending);
    if (is_replaced || !client->reconnect) {
        confc_client_stop(client, why);
        return;
    }
    g_object_ref(client);
    client->state = CONFC_STATE_WAITING;
    drop_attempt(client);
    /* A session that breaks right after it was opened is no reason to hurry. */
    if (g_get_monotonic_time() - client->ready_at > STEADY_S * G_USEC_PER_SEC)
        client->attempt = 0;
    client->retry_after_ms = 0;
    pause_attempts(client);
    /* Last, since what is called here may do anything to the client. */
    confc_client_fail_calls(client, false, why);
    g_signal_emit(client, confc_client_signals[CONFC_SIGNAL_DISCONNECTED], 0, why, TRUE);
    g_object_unref(client);
}

void
confc_client_stop(ConfcClient *client, const GError *error)
{
    bool is_told = client->ever_ready && client->state != CONFC_STATE_IDLE;
    g_autoptr(GError) why = error != NULL ? g_error_copy(error)
                                          : g_error_new_literal(CONFC_ERROR, CONFC_ERROR_NOT_CONNECTED,
                                                                "The client was disconnected");
    g_object_ref(client);
    client->state = CONFC_STATE_IDLE;
    drop_attempt(client);
    confc_session_forget(client);
    client->ever_ready = false;
    g_clear_error(&client->last_error);
    confc_client_clear_source(&client->disconnect_cancel);
    g_autoptr(GTask) closing = g_steal_pointer(&client->disconnect_task);
    finish_connect(client, why);
    confc_client_fail_calls(client, true, why);
    if (is_told)
        g_signal_emit(client, confc_client_signals[CONFC_SIGNAL_DISCONNECTED], 0, error, FALSE);
    if (closing != NULL)
        g_task_return_boolean(closing, TRUE);
    g_object_unref(client);
}

void
confc_client_ready(ConfcClient *client, bool resumed, const char *reason)
{
    confc_client_clear_source(&client->timer);
    client->state = CONFC_STATE_READY;
    confc_link_set_line_max(client->link, CONFC_LINE_MAX);
    client->ever_ready = true;
    client->ready_at = g_get_monotonic_time();
    client->retry_after_ms = 0;
    g_clear_error(&client->last_error);
    confc_addp_start(client);
    guint64 generation = client->generation;
    g_signal_emit(client, confc_client_signals[CONFC_SIGNAL_CONNECTED], 0, (gboolean)resumed);
    if (generation != client->generation)
        return;
    confc_subscriptions_reopen(client, reason, reason != NULL);
    if (generation != client->generation)
        return;
    finish_connect(client, NULL);
    confc_client_send_waiting(client);
}

void
confc_client_attempt_failed(ConfcClient *client, const GError *error)
{
    g_autoptr(GError) why = g_error_copy(error);
    client->state = CONFC_STATE_CONNECTING;
    drop_attempt(client);
    confc_client_fail_calls(client, false, why);
    if (is_final(why)) {
        confc_client_stop(client, why);
        return;
    }
    JsonNode *data = confc_error_get_data(why);
    if (data != NULL && JSON_NODE_HOLDS_OBJECT(data))
        client->retry_after_ms = MAX(client->retry_after_ms,
                                     confc_json_integer(json_node_get_object(data), "retryAfter", 0) * 1000);
    /* What a server said tells more than that another one could not be reached. */
    bool is_worse = client->last_error != NULL && why->code == CONFC_ERROR_CONNECT;
    if (!is_worse) {
        g_clear_error(&client->last_error);
        client->last_error = g_steal_pointer(&why);
    }
    client->address_index = (client->address_index + 1) % client->addresses->len;
    if (++client->addresses_tried < client->addresses->len) {
        dial(client);
        return;
    }
    if (client->connect_task != NULL) {
        g_autoptr(GError) last = g_steal_pointer(&client->last_error);
        confc_client_stop(client, last);
        return;
    }
    client->state = CONFC_STATE_WAITING;
    pause_attempts(client);
}

void
confc_client_redial(ConfcClient *client)
{
    g_autoptr(GError) error =
        g_error_new_literal(CONFC_ERROR, CONFC_ERROR_LOST, "The connection is made anew");
    client->state = CONFC_STATE_CONNECTING;
    drop_attempt(client);
    confc_client_fail_calls(client, false, error);
    dial(client);
}

void
confc_client_extend_attempt(ConfcClient *client, guint seconds)
{
    confc_client_clear_source(&client->timer);
    client->timer = confc_client_add_timeout(client, seconds * 1000, attempt_timed_out);
}

static bool
check_settings(ConfcClient *client, GError **error)
{
    if (client->state != CONFC_STATE_IDLE || client->connect_task != NULL) {
        g_set_error_literal(error, CONFC_ERROR, CONFC_ERROR_ARGUMENT,
                            "The client is connected or connecting already");
        return false;
    }
    client->uses_tls = client->tls || client->tls_ca != NULL || client->tls_crl != NULL ||
                       client->tls_certificate != NULL || client->tls_key != NULL ||
                       client->tls_server_name != NULL;
    bool has_two = client->user != NULL && client->secret != NULL,
         has_none = client->user == NULL && client->secret == NULL && client->tls_certificate == NULL;
    if (client->application == NULL || has_two || has_none) {
        g_set_error_literal(error, CONFC_ERROR, CONFC_ERROR_ARGUMENT,
                            "To log in, an application and either a user with password, a secret or a "
                            "certificate are needed");
        return false;
    }
    g_clear_pointer(&client->credentials, confc_credentials_free);
    g_hash_table_remove_all(client->tickets);
    if (client->uses_tls && !load_credentials(client, error))
        return false;
    g_clear_pointer(&client->addresses, g_ptr_array_unref);
    client->addresses = confc_addresses_parse(client->addresses_text, error);
    return client->addresses != NULL;
}

static gboolean
connect_cancelled(GCancellable *cancellable, void *data)
{
    g_autoptr(GError) error = NULL;
    g_cancellable_set_error_if_cancelled(cancellable, &error);
    confc_client_stop(data, error);
    return G_SOURCE_REMOVE;
}

static gboolean
disconnect_cancelled(GCancellable *cancellable, void *data)
{
    (void)cancellable;
    confc_client_stop(data, NULL);
    return G_SOURCE_REMOVE;
}

static void
start_round(ConfcClient *client)
{
    client->addresses_tried = 0;
    client->retry_after_ms = 0;
    g_clear_error(&client->last_error);
    dial(client);
}

static void
dial(ConfcClient *client)
{
    ConfcAddress *address = g_ptr_array_index(client->addresses, client->address_index);
    client->state = CONFC_STATE_CONNECTING;
    client->dialing = g_cancellable_new();
    client->timer =
        confc_client_add_timeout(client, MAX(client->connect_timeout, 1) * 1000, attempt_timed_out);
    g_autoptr(GSocketClient) dialer = g_socket_client_new();
    g_socket_client_set_enable_proxy(dialer, FALSE);
    Dial *data = g_new0(Dial, 1);
    data->client = g_object_ref(client);
    data->generation = client->generation;
    g_socket_client_connect_to_host_async(dialer, address->host, address->port, client->dialing, dialed,
                                          data);
}

static void
dialed(GObject *source, GAsyncResult *result, void *data)
{
    g_autofree Dial *dialing = data;
    g_autoptr(ConfcClient) client = dialing->client;
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocketConnection) connection =
        g_socket_client_connect_to_host_finish(G_SOCKET_CLIENT(source), result, &error);
    if (dialing->generation != client->generation)
        return;
    ConfcAddress *address = g_ptr_array_index(client->addresses, client->address_index);
    if (connection == NULL) {
        g_autoptr(GError) why = g_error_new(CONFC_ERROR, CONFC_ERROR_CONNECT, "Cannot connect to %s: %s",
                                            address->text, error->message);
        confc_client_attempt_failed(client, why);
        return;
    }
    if (client->uses_tls)
        secure(client, connection, address);
    else
        attach(client, connection, NULL);
}

/* Whoever takes this way goes on with TLS or not at all. */
static void
secure(ConfcClient *client, GSocketConnection *connection, ConfcAddress *address)
{
    g_autoptr(GError) error = NULL;
    const char *host = client->tls_server_name != NULL ? client->tls_server_name : address->host;
    if (!confc_credentials_are_current(client->credentials)) {
        g_hash_table_remove_all(client->tickets);
        if (!load_credentials(client, &error)) {
            confc_client_attempt_failed(client, error);
            return;
        }
    }
    GBytes *ticket = g_hash_table_lookup(client->tickets, address->text);
    client->handshaking = confc_tls_new(client->context, connection, client->credentials, host,
                                        client->tls_name_check, ticket, &error);
    /* Shown twice, a ticket would tell who listens that it was the same client. */
    g_hash_table_remove(client->tickets, address->text);
    if (client->handshaking == NULL) {
        confc_client_attempt_failed(client, error);
        return;
    }
    client->connection = g_object_ref(connection);
    confc_tls_handshake(client->handshaking, secured, client);
}

static void
secured(ConfcTls *tls, const GError *error, void *data)
{
    g_autoptr(ConfcClient) client = g_object_ref(data);
    ConfcAddress *address = g_ptr_array_index(client->addresses, client->address_index);
    if (error != NULL) {
        g_autoptr(GError) why =
            g_error_new(CONFC_ERROR, error->code, "Cannot connect to %s: %s", address->text, error->message);
        confc_client_attempt_failed(client, why);
        return;
    }
    g_autoptr(GSocketConnection) connection = g_steal_pointer(&client->connection);
    attach(client, connection, g_steal_pointer(&client->handshaking));
}

/* Takes `tls`. */
static void
attach(ConfcClient *client, GSocketConnection *connection, ConfcTls *tls)
{
    ConfcAddress *address = g_ptr_array_index(client->addresses, client->address_index);
    g_assert(client->uses_tls == (tls != NULL));
    client->state = CONFC_STATE_OPENING;
    g_free(client->peer);
    client->peer = g_strdup(address->text);
    client->link = confc_link_new(client->context, connection, tls, line_came, link_closed, client);
    /* The password is hashed by the server, and others may be before us. */
    guint extra = client->request_timeout > 0 ? MIN(client->request_timeout, LOGIN_EXTRA_S) : LOGIN_EXTRA_S;
    client->challenges = 0;
    confc_client_extend_attempt(client, client->connect_timeout + extra);
    confc_session_open(client);
}

static bool
load_credentials(ConfcClient *client, GError **error)
{
    ConfcCredentials *loaded = confc_credentials_load(client->tls_ca, client->tls_crl,
                                                      client->tls_certificate, client->tls_key, error);
    if (loaded == NULL)
        return false;
    confc_credentials_free(client->credentials);
    client->credentials = loaded;
    return true;
}

static void
keep_ticket(ConfcClient *client)
{
    ConfcTls *tls = client->link != NULL ? confc_link_get_tls(client->link) : NULL;
    GBytes *ticket = tls != NULL ? confc_tls_take_ticket(tls) : NULL;
    if (ticket != NULL)
        g_hash_table_replace(client->tickets, g_strdup(client->peer), ticket);
}

/* All that belongs to the connection, or to the attempt to get one. */
static void
drop_attempt(ConfcClient *client)
{
    client->generation++;
    confc_client_clear_source(&client->timer);
    confc_addp_stop(client);
    if (client->dialing != NULL)
        g_cancellable_cancel(client->dialing);
    g_clear_object(&client->dialing);
    g_clear_pointer(&client->handshaking, confc_tls_free);
    g_clear_object(&client->connection);
    keep_ticket(client);
    confc_link_close(g_steal_pointer(&client->link));
    g_clear_pointer(&client->challenge, g_free);
    g_clear_pointer(&client->ending, g_free);
    g_clear_error(&client->said);
    confc_client_drop_gathered(client);
}

static gboolean
attempt_timed_out(void *data)
{
    ConfcClient *client = data;
    ConfcAddress *address = g_ptr_array_index(client->addresses, client->address_index);
    const char *what = client->state == CONFC_STATE_OPENING ? "no answer to the log-in"
                       : client->handshaking != NULL        ? "no TLS handshake"
                                                            : "no connection";
    g_autoptr(GError) error = g_error_new(CONFC_ERROR, CONFC_ERROR_CONNECT,
                                          "Cannot connect to %s: %s in time", address->text, what);
    confc_client_attempt_failed(client, error);
    return G_SOURCE_REMOVE;
}

static void
pause_attempts(ConfcClient *client)
{
    guint most = PAUSE_FIRST_MS;
    for (guint i = 0; i < client->attempt && most < PAUSE_MAX_MS; i++)
        most *= 2;
    most = MIN(most, PAUSE_MAX_MS);
    /* The first return is spread over the whole span, later ones over its upper half. */
    guint least = client->attempt > 0 ? most / 2 : 0;
    guint pause = (guint)g_random_int_range((gint32)least, (gint32)most + 1);
    if (client->retry_after_ms > pause)
        pause =
            (guint)MIN(client->retry_after_ms, PAUSE_MAX_MS) + (guint)g_random_int_range(0, PAUSE_FIRST_MS);
    client->attempt++;
    client->timer = confc_client_add_timeout(client, pause, pause_is_over);
}

static gboolean
pause_is_over(void *data)
{
    ConfcClient *client = data;
    confc_client_clear_source(&client->timer);
    start_round(client);
    return G_SOURCE_REMOVE;
}

/* Trying again would be answered the same, or do harm: a wrong password tried for ever makes the account
 * pause. */
static bool
is_final(const GError *error)
{
    static const int codes[] = {CONFC_ERROR_LOGIN_REFUSED,   CONFC_ERROR_NO_COMMON_PROTOCOL,
                                CONFC_ERROR_INVALID_PARAMS,  CONFC_ERROR_TLS_REQUIRED,
                                CONFC_ERROR_CHALLENGE,       CONFC_ERROR_UNSUPPORTED,
                                CONFC_ERROR_INVALID_REQUEST, CONFC_ERROR_NO_METHOD};
    for (unsigned i = 0; i < G_N_ELEMENTS(codes); i++) {
        if (g_error_matches(error, CONFC_ERROR, codes[i]))
            return true;
    }
    return false;
}

static void
line_came(ConfcLink *link, const char *line, gsize size, void *data)
{
    (void)link;
    g_autoptr(ConfcClient) client = g_object_ref(data);
    confc_client_take_line(client, line, size);
}

static void
link_closed(ConfcLink *link, const GError *error, void *data)
{
    (void)link;
    g_autoptr(ConfcClient) client = g_object_ref(data);
    confc_client_lose(client, error);
}

static void
finish_connect(ConfcClient *client, const GError *error)
{
    confc_client_clear_source(&client->connect_cancel);
    g_autoptr(GTask) task = g_steal_pointer(&client->connect_task);
    if (task == NULL)
        return;
    if (error != NULL)
        g_task_return_error(task, g_error_copy(error));
    else
        g_task_return_boolean(task, TRUE);
}

static void
session_closed(ConfcClient *client, JsonNode *result, const GError *error, void *data)
{
    if (client->state == CONFC_STATE_CLOSING)
        confc_client_stop(client, NULL);
}

static gboolean
close_timed_out(void *data)
{
    confc_client_stop(data, NULL);
    return G_SOURCE_REMOVE;
}

static void
store_result(GObject *source, GAsyncResult *result, void *data)
{
    GAsyncResult **stored = data;
    *stored = g_object_ref(result);
}
