/* sessions.c - the manager: connections of clients, the table of sessions by (hashed) token, their end and
 * their break.
 *
 * A connection without a session has 64 KiB a line and login-timeout; beyond max-unauthenticated of them the
 * oldest goes. A session whose connection broke waits for session.resume; the oldest goes beyond broken_max.
 */
#include "base/clock.h"
#include "base/id.h"
#include "session/session-private.h"

enum {
    LINE_BEFORE_LOGIN = 64 * 1024,
    SWEEP_MS = 5000,
    LATE_MS = 1000, /* for what comes after an answer that took longer than login-timeout */
    STALLED_MAX_USEC = 60 * 1000000,
};

static void client_line(ConfConnection *connection, ConfSlice line);
static void client_too_long(ConfConnection *connection);
static void client_opened(ConfConnection *connection);
static void client_drained(ConfConnection *connection);
static void client_closed(ConfConnection *connection, const char *reason);
static void login_timed_out(void *data);
static void client_unlink(ConfClient *client);
static bool gate(ConfConnection *connection, const ConfMethod *method, ConfRpcError *error, void *data);
static ConfSession *session_of(ConfConnection *connection, void *data);
static void sweep(void *data);
static void resume_timed_out(void *data);
static void index_session(GHashTable *table, ConfKey key, ConfSession *session, bool add);
static void write_ending(ConfSession *session, const char *reason);
static void add_to_tables(ConfSession *session);
static void forget(ConfSession *session, const char *reason);
static void drop(ConfSession *session, const char *reason);

static const ConfConnectionFuncs client_funcs = {
    .line = client_line,
    .too_long = client_too_long,
    .opened = client_opened,
    .drained = client_drained,
    .closed = client_closed,
};

ConfSessions *
conf_sessions_new(ConfStore *store, ConfAccess *access, ConfPublisher *publisher,
                  const ConfSessionSettings *settings, const ConfSessionHost *host)
{
    ConfSessions *sessions = g_new0(ConfSessions, 1);
    GDestroyNotify free_list = (GDestroyNotify)g_ptr_array_unref;
    sessions->store = store;
    sessions->access = access;
    sessions->publisher = publisher;
    sessions->settings = *settings;
    sessions->host = *host;
    sessions->by_token = g_hash_table_new(g_str_hash, g_str_equal);
    sessions->by_number = g_hash_table_new(g_int64_hash, g_int64_equal);
    sessions->endings = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    sessions->by_subject = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, free_list);
    sessions->by_person = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, free_list);
    sessions->by_application = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, free_list);
    sessions->clients = g_hash_table_new(NULL, NULL);
    sessions->waits = g_ptr_array_new();
    conf_scope_index_init(sessions);
    conf_audience_init(sessions);
    static const ConfPublishFuncs funcs = {.about = NULL, .done = conf_fan_out_done};
    conf_publisher_add(publisher, &funcs, sessions);
    conf_timer_arm(&sessions->sweep_timer, SWEEP_MS, sweep, sessions);
    conf_saved_start(sessions);
    return sessions;
}

void
conf_sessions_free(ConfSessions *sessions)
{
    if (sessions == NULL)
        return;
    conf_sessions_stop(sessions);
    conf_timer_cancel(&sessions->sweep_timer);
    conf_waits_clear(sessions); /* Those who wait know their clients. */
    g_autoptr(GList) clients = g_hash_table_get_keys(sessions->clients);
    for (GList *link = clients; link != NULL; link = link->next) {
        ConfClient *client = link->data;
        conf_connection_close(client->connection, "The server stops");
        /* Its last call would find the manager gone. */
        client_closed(client->connection, "The server stops");
    }
    conf_poller_forget(conf_poller_default(), sessions);
    if (sessions->producer_work != NULL)
        conf_work_cancel(sessions->producer_work);
    conf_saved_stop(sessions);
    g_hash_table_unref(sessions->by_token);
    g_hash_table_unref(sessions->by_number);
    g_hash_table_unref(sessions->endings);
    g_hash_table_unref(sessions->by_subject);
    g_hash_table_unref(sessions->by_person);
    g_hash_table_unref(sessions->by_application);
    g_hash_table_unref(sessions->clients);
    conf_scope_index_clear(sessions);
    g_hash_table_unref(sessions->audiences);
    g_ptr_array_unref(sessions->waits);
    g_free(sessions);
}

void
conf_sessions_set_settings(ConfSessions *sessions, const ConfSessionSettings *settings)
{
    sessions->settings = *settings;
    GHashTableIter iter;
    void *member;
    g_hash_table_iter_init(&iter, sessions->clients);
    while (g_hash_table_iter_next(&iter, &member, NULL)) {
        ConfClient *client = member;
        conf_connection_set_queue_limit(client->connection, (size_t)settings->max_output_queue);
        if (client->session != NULL)
            conf_connection_set_line_limit(client->connection, (size_t)settings->max_request_size);
    }
}

ConfStore *
conf_sessions_store(ConfSessions *sessions)
{
    return sessions->store;
}

void
conf_sessions_set_sink(ConfSessions *sessions, ConfWriteSink *sink)
{
    sessions->sink = sink;
}

void
conf_sessions_close(ConfSessions *sessions, ConfRequest *request)
{
    static const char *const names[] = {NULL};
    (void)sessions;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    if (conf_request_parse_params(request, names, &error) == NULL) {
        conf_request_fail(request, &error);
        return;
    }
    ConfSession *session = conf_request_get_session(request);
    ConfClient *client = conf_client_of(session->connection);
    conf_request_answer(request, CONF_SLICE("{}"));
    client->closing = true;
    forget(session, "closed");
    conf_connection_close_after_answer(client->connection, "The client closed its session");
}

void
conf_sessions_install(ConfSessions *sessions, ConfMethodTable *table)
{
    conf_method_table_set_gate(table, gate, session_of, NULL, sessions);
}

void
conf_sessions_accept(ConfSessions *sessions, ConfMethodTable *table, int fd, const ConfAcceptance *acceptance)
{
    ConfClient *client = g_new0(ConfClient, 1);
    client->sessions = sessions;
    client->table = table;
    client->clients = acceptance->clients;
    client->management = acceptance->management;
    client->connection = acceptance->behind_balancer
                             ? conf_connection_new_balanced(conf_poller_default(), fd, acceptance->port_id,
                                                            &client_funcs, client)
                             : conf_connection_new_accepted(conf_poller_default(), fd, acceptance->port_id,
                                                            &client_funcs, client);
    if (client->connection == NULL) {
        g_free(client);
        return;
    }
    conf_connection_set_line_limit(client->connection, LINE_BEFORE_LOGIN);
    conf_connection_set_queue_limit(client->connection, (size_t)sessions->settings.max_output_queue);
    g_hash_table_add(sessions->clients, client);
    sessions->statistics.connections = g_hash_table_size(sessions->clients);
    client->link.data = client;
    g_queue_push_tail_link(&sessions->unauthenticated, &client->link);
    client->linked = true;
    conf_timer_arm(&client->timer, (unsigned)sessions->settings.login_timeout_s * 1000, login_timed_out,
                   client);
    if (sessions->unauthenticated.length > (unsigned)sessions->settings.max_unauthenticated) {
        ConfClient *oldest = g_queue_peek_head(&sessions->unauthenticated);
        client_unlink(oldest);
        conf_connection_close(oldest->connection, "Too many connections have not logged in");
    }
}

void
conf_client_answered_late(ConfClient *client)
{
    if (client->linked && client->is_late)
        conf_timer_arm(&client->timer, LATE_MS, login_timed_out, client);
}

bool
conf_client_admits(const ConfClient *client, const ConfSession *session, ConfRpcError *error)
{
    const ConfSessionHost *host = &client->sessions->host;
    const char *why = NULL;
    if (client->clients == CONF_CLIENTS_UI && session->server_application)
        why = "This port is for user interfaces only";
    if (client->clients == CONF_CLIENTS_PEER &&
        (host->is_peer == NULL || !host->is_peer(session->application, host->data)))
        why = "This port is only for the other server of this server's redundant pair";
    if (why != NULL)
        return conf_rpc_fail(error, CONF_RPC_LOGIN_REFUSED, "%s", why);
    return conf_rules_have_room(session, error);
}

ConfClient *
conf_client_of(ConfConnection *connection)
{
    return connection != NULL && !conf_connection_is_outgoing(connection)
               ? conf_connection_get_data(connection)
               : NULL;
}

ConfSession *
conf_session_new(ConfSessions *sessions)
{
    ConfSession *session = g_new0(ConfSession, 1);
    session->sessions = sessions;
    session->number = ++sessions->next_number;
    session->subscriptions = g_ptr_array_new();
    session->opened_ms = conf_clock_wall_ms();
    session->revision = conf_store_position(sessions->store)->revision;
    return session;
}

void
conf_session_hash_token(ConfSlice token, char hash[65])
{
    uint8_t digest[32];
    conf_id_sha256(token, digest);
    conf_id_hex(digest, sizeof digest, hash);
}

void
conf_session_register(ConfSession *session, char token[33])
{
    conf_id_new_token(token);
    conf_session_hash_token(conf_slice_from_string(token), session->token_hash);
    add_to_tables(session);
    conf_saved_change(session);
}

void
conf_session_enroll(ConfSession *session, const char *token_hash, unsigned left_ms)
{
    ConfSessions *sessions = session->sessions;
    g_strlcpy(session->token_hash, token_hash, sizeof session->token_hash);
    g_queue_push_tail(&sessions->broken, session);
    conf_timer_arm(&session->resume_timer, left_ms, resume_timed_out, session);
    add_to_tables(session);
    sessions->statistics.broken = sessions->broken.length;
}

static void
add_to_tables(ConfSession *session)
{
    ConfSessions *sessions = session->sessions;
    g_hash_table_insert(sessions->by_token, session->token_hash, session);
    g_hash_table_insert(sessions->by_number, &session->number, session);
    index_session(sessions->by_subject, session->subject, session, true);
    if (session->person.dbid != 0)
        index_session(sessions->by_person, session->person, session, true);
    index_session(sessions->by_application, session->application, session, true);
    sessions->statistics.sessions = g_hash_table_size(sessions->by_token) - sessions->broken.length;
}

ConfSession *
conf_sessions_lookup_number(ConfSessions *sessions, uint64_t number)
{
    return g_hash_table_lookup(sessions->by_number, &number);
}

ConfSession *
conf_sessions_lookup_token(ConfSessions *sessions, ConfSlice token)
{
    char hash[65];
    conf_session_hash_token(token, hash);
    return g_hash_table_lookup(sessions->by_token, hash);
}

void
conf_session_bind(ConfSession *session, ConfClient *client)
{
    ConfSessions *sessions = session->sessions;
    client_unlink(client);
    client->session = session;
    session->connection = client->connection;
    g_free(session->address);
    session->address = g_strdup(conf_connection_get_peer(client->connection));
    conf_connection_set_line_limit(client->connection, (size_t)sessions->settings.max_request_size);
    conf_timer_cancel(&session->resume_timer);
    g_queue_remove(&sessions->broken, session);
    if (session->broken_ms != 0)
        conf_saved_change(session);
    session->broken_ms = 0;
    sessions->statistics.broken = sessions->broken.length;
    sessions->statistics.sessions = g_hash_table_size(sessions->by_token) - sessions->broken.length;
}

void
conf_session_break(ConfSession *session, const char *reason)
{
    ConfSessions *sessions = session->sessions;
    ConfConnection *connection = session->connection;
    if (connection == NULL || session->finished)
        return;
    if (reason != NULL)
        write_ending(session, reason);
    conf_replay_stop(session);
    conf_producer_remove(session);
    conf_audience_leave(session);
    conf_walk_break(session);
    ConfClient *client = conf_client_of(connection);
    session->connection = NULL;
    client->session = NULL;
    if (reason != NULL)
        conf_connection_close_after_answer(connection, "The session was ended");
    if (session->taken_ended != NULL) {
        void (*ended)(void *data) = session->taken_ended;
        void *ended_data = session->taken_data;
        /* All of it: whoever resumes the session resumes one that nothing has taken over. */
        session->taken_ended = session->taken_drained = NULL;
        session->taken_data = NULL;
        ended(ended_data);
    }
    session->broken_ms = conf_clock_wall_ms();
    conf_saved_change(session);
    g_queue_push_tail(&sessions->broken, session);
    conf_timer_arm(&session->resume_timer, (unsigned)sessions->settings.resume_timeout_s * 1000,
                   resume_timed_out, session);
    sessions->statistics.broken = sessions->broken.length;
    sessions->statistics.sessions = g_hash_table_size(sessions->by_token) - sessions->broken.length;
}

void
conf_session_finish(ConfSessions *sessions, ConfSession *session, const char *reason)
{
    (void)sessions;
    if (session->finished)
        return;
    ConfConnection *connection = session->connection;
    if (connection != NULL) {
        conf_replay_stop(session);
        write_ending(session, reason);
    }
    forget(session, reason);
    if (connection != NULL)
        conf_connection_close_after_answer(connection, "The session was ended");
}

void
conf_sessions_finish_all(ConfSessions *sessions, const char *reason)
{
    g_autoptr(GList) all = g_hash_table_get_values(sessions->by_token);
    for (GList *link = all; link != NULL; link = link->next)
        conf_session_finish(sessions, link->data, reason);
}

void
conf_sessions_stop(ConfSessions *sessions)
{
    static const char reason[] = "stopping";
    g_autoptr(GList) all = g_hash_table_get_values(sessions->by_token);
    for (GList *link = all; link != NULL; link = link->next) {
        ConfSession *session = link->data;
        /* That of a replica is taken up by none: its server logs in anew. */
        if (session->taken_ended != NULL)
            conf_session_finish(sessions, session, reason);
        else
            conf_session_break(session, reason);
    }
    conf_saved_flush(sessions);
    g_autoptr(GList) rest = g_hash_table_get_values(sessions->by_token);
    for (GList *link = rest; link != NULL; link = link->next)
        drop(link->data, reason);
}

void
conf_sessions_foreach(ConfSessions *sessions, ConfSessionFunc2 func, void *data)
{
    GHashTableIter iter;
    void *member;
    g_hash_table_iter_init(&iter, sessions->by_token);
    while (g_hash_table_iter_next(&iter, NULL, &member))
        func(member, data);
}

void
conf_sessions_broadcast(ConfSessions *sessions, ConfBytes *line)
{
    g_autoptr(GList) all = g_hash_table_get_values(sessions->by_token);
    for (GList *link = all; link != NULL; link = link->next) {
        ConfSession *session = link->data;
        if (session->connection != NULL && !session->finished)
            conf_connection_send_bytes(session->connection, line, CONF_OUTPUT_NOTIFICATION);
    }
}

const ConfSessionStatistics *
conf_sessions_statistics(ConfSessions *sessions)
{
    return &sessions->statistics;
}

static void
client_line(ConfConnection *connection, ConfSlice line)
{
    ConfClient *client = conf_connection_get_data(connection);
    if (!client->closing)
        conf_dispatch_line(client->table, connection, line);
}

static void
client_too_long(ConfConnection *connection)
{
    ConfClient *client = conf_connection_get_data(connection);
    size_t limit =
        client->session != NULL ? (size_t)client->sessions->settings.max_request_size : LINE_BEFORE_LOGIN;
    conf_dispatch_too_long(client->table, connection, limit);
}

static void
client_opened(ConfConnection *connection)
{
    (void)connection; /* The time to log in runs from accept on, so that a slow handshake counts. */
}

static void
client_drained(ConfConnection *connection)
{
    ConfClient *client = conf_connection_get_data(connection);
    ConfSession *session = client->session;
    if (session == NULL)
        return;
    if (session->taken_drained != NULL)
        session->taken_drained(session->taken_data);
    else
        conf_producer_add(session);
}

static void
client_closed(ConfConnection *connection, const char *reason)
{
    (void)reason;
    ConfClient *client = conf_connection_get_data(connection);
    if (client == NULL)
        return;
    conf_connection_set_data(connection, NULL);
    ConfSessions *sessions = client->sessions;
    client_unlink(client);
    if (client->login != NULL)
        conf_login_abandon(client->login);
    if (client->session != NULL) {
        /* conf_session_break looks the client up through the connection. */
        conf_connection_set_data(connection, client);
        conf_session_break(client->session, NULL);
        conf_connection_set_data(connection, NULL);
    }
    g_hash_table_remove(sessions->clients, client);
    sessions->statistics.connections = g_hash_table_size(sessions->clients);
    g_free(client);
}

static void
login_timed_out(void *data)
{
    ConfClient *client = data;
    if (client->login != NULL || client->resuming) {
        /* Its password is still being checked, or its session looked for: the queue before it is not its
         * fault. */
        conf_timer_arm(&client->timer, LATE_MS, login_timed_out, client);
        client->is_late = true;
        return;
    }
    client_unlink(client);
    conf_connection_close_after_answer(client->connection, "It did not log in within login-timeout");
}

static void
client_unlink(ConfClient *client)
{
    conf_timer_cancel(&client->timer);
    if (client->linked)
        g_queue_unlink(&client->sessions->unauthenticated, &client->link);
    client->linked = false;
}

static bool
gate(ConfConnection *connection, const ConfMethod *method, ConfRpcError *error, void *data)
{
    (void)data;
    ConfClient *client = conf_client_of(connection);
    ConfSession *session = client != NULL ? client->session : NULL;
    if (session == NULL)
        return (method->flags & CONF_METHOD_BEFORE_LOGIN) != 0 ||
               conf_rpc_fail(error, CONF_RPC_NOT_LOGGED_IN, "Method %s needs a log-in", method->name);
    if (session->must_change && (method->flags & CONF_METHOD_WHILE_EXPIRED) == 0)
        return conf_rpc_fail(error, CONF_RPC_PASSWORD_MUST_CHANGE,
                             "The password must be changed first (session.changePassword)");
    return true;
}

static ConfSession *
session_of(ConfConnection *connection, void *data)
{
    (void)data;
    ConfClient *client = conf_client_of(connection);
    return client != NULL ? client->session : NULL;
}

/* Peers that take nothing any more, though output stands waiting for them. */
static void
sweep(void *data)
{
    ConfSessions *sessions = data;
    int64_t now = conf_clock_monotonic_usec();
    g_autoptr(GPtrArray) stalled = g_ptr_array_new();
    GHashTableIter iter;
    void *member;
    g_hash_table_iter_init(&iter, sessions->clients);
    while (g_hash_table_iter_next(&iter, &member, NULL)) {
        ConfClient *client = member;
        int64_t since = conf_connection_get_stalled_since(client->connection);
        if (client->session != NULL && since != 0 && now - since > STALLED_MAX_USEC)
            g_ptr_array_add(stalled, client);
    }
    for (unsigned i = 0; i < stalled->len; i++) {
        ConfClient *client = g_ptr_array_index(stalled, i);
        sessions->statistics.slow_consumers++;
        conf_session_break(client->session, "slow-consumer");
    }
    /* Here and not when one breaks: who breaks it may hold pointers to others. */
    while (sessions->broken.length > (unsigned)sessions->settings.broken_max)
        forget(g_queue_peek_head(&sessions->broken), "lapsed");
    conf_saved_sweep(sessions);
    conf_timer_arm(&sessions->sweep_timer, SWEEP_MS, sweep, sessions);
}

static void
resume_timed_out(void *data)
{
    forget(data, "lapsed");
}

/* session.ending is the last line: whatever else would follow is not sent. */
static void
write_ending(ConfSession *session, const char *reason)
{
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    conf_rpc_begin_notification(&buffer, "session.ending");
    conf_buffer_printf(&buffer, "{\"reason\":\"%s\"}}\n", reason);
    conf_connection_send_copy(session->connection, conf_buffer_slice(&buffer), CONF_OUTPUT_ANSWER);
    conf_client_of(session->connection)->closing = true;
}

/* It is over: what was saved of it goes too. */
static void
forget(ConfSession *session, const char *reason)
{
    session->finished = true;
    conf_saved_forget(session);
    drop(session, reason);
}

/* Takes the session out of every table and frees it. */
static void
drop(ConfSession *session, const char *reason)
{
    ConfSessions *sessions = session->sessions;
    session->finished = true;
    conf_hooks_session_closed(session, reason);
    conf_replay_stop(session);
    conf_producer_remove(session);
    conf_audience_leave(session);
    conf_timer_cancel(&session->resume_timer);
    g_queue_remove(&sessions->broken, session);
    g_hash_table_remove(sessions->by_token, session->token_hash);
    g_hash_table_remove(sessions->by_number, &session->number);
    g_hash_table_remove(sessions->endings, session);
    index_session(sessions->by_subject, session->subject, session, false);
    if (session->person.dbid != 0)
        index_session(sessions->by_person, session->person, session, false);
    index_session(sessions->by_application, session->application, session, false);
    if (session->connection != NULL)
        conf_client_of(session->connection)->session = NULL;
    if (session->taken_ended != NULL)
        session->taken_ended(session->taken_data);
    sessions->statistics.broken = sessions->broken.length;
    sessions->statistics.sessions = g_hash_table_size(sessions->by_token) - sessions->broken.length;
    conf_session_discard(session);
}

static void
index_session(GHashTable *table, ConfKey key, ConfSession *session, bool add)
{
    GPtrArray *list = g_hash_table_lookup(table, &key);
    if (add) {
        if (list == NULL) {
            list = g_ptr_array_new();
            g_hash_table_insert(table, g_memdup2(&key, sizeof key), list);
        }
        g_ptr_array_add(list, session);
    } else if (list != NULL) {
        g_ptr_array_remove_fast(list, session);
        if (list->len == 0)
            g_hash_table_remove(table, &key);
    }
}

void
conf_session_discard(ConfSession *session)
{
    conf_session_clear_subscriptions(session);
    g_ptr_array_unref(session->subscriptions);
    conf_identity_unref(session->identity);
    if (session->groups != NULL)
        g_array_unref(session->groups);
    g_free(session->person_name);
    g_free(session->application_name);
    g_free(session->address);
    g_free(session->client_name);
    g_free(session->client_version);
    conf_session_set_own_hash(session, NULL);
    g_free(session);
}
