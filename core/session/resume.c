/* resume.c - session.resume: takes a broken session up on another connection (protocol.md 3). */
#include "session/session-private.h"

enum { BEHIND_WAIT_MS = 5000 };

typedef struct {
    ConfRequest *request; /* held */
    ConfClient *client;
    ConfSessions *sessions;
    ConfSession *session; /* once taken up */
    ConfRevisionWait *wait;
    ConfSavedLoad *load;
    bool *answered; /* set when the load answers before it returns */
    char token[33];
    int64_t revision;
} Resuming;

static bool read_token(const ConfJson *params, char token[33], ConfRpcError *error);
static ConfSession *find_session(Resuming *resuming, ConfRpcError *error);
static bool replace_subscriptions(Resuming *resuming, const ConfJson *params, ConfRpcError *error);
static bool may_be_saved(const Resuming *resuming);
static void load(Resuming *resuming);
static void was_loaded(ConfSession *session, void *data);
static void wait_for_revision(Resuming *resuming, const ConfJson *params);
static void take_up(Resuming *resuming);
static void reached(bool is_there, void *data);
static void counted(ConfSession *session, uint64_t missed, bool held, void *data);
static void tell_gone(Resuming *resuming);
static void gone(void *data);
static void fail(Resuming *resuming, const ConfRpcError *error);
static void finish(Resuming *resuming);
static bool parse(Resuming *resuming, ConfRequest *request, const ConfJson **params, ConfRpcError *error);
static void inherit_walk(ConfSubscription *subscription, GPtrArray *former);
static void write_subscriptions(ConfSession *session, ConfBuffer *buffer);

void
conf_sessions_resume(ConfSessions *sessions, ConfRequest *request)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    ConfClient *client = conf_client_of(conf_request_get_connection(request));
    if (client == NULL || client->session != NULL || client->login != NULL || client->resuming) {
        conf_rpc_fail(&error, CONF_RPC_INVALID_REQUEST, "This connection has a session already");
        conf_request_fail(request, &error);
        return;
    }
    if (!conf_sessions_check_transport(sessions, client->connection, &error)) {
        conf_request_fail(request, &error);
        return;
    }
    Resuming *resuming = g_new0(Resuming, 1);
    resuming->sessions = sessions;
    resuming->client = client;
    const ConfJson *params = NULL;
    if (!parse(resuming, request, &params, &error) || !sessions->host.may_open(&error, sessions->host.data) ||
        (!may_be_saved(resuming) && find_session(resuming, &error) == NULL)) {
        conf_request_fail(request, &error);
        g_free(resuming);
        return;
    }
    resuming->request = conf_request_hold(request);
    client->resuming = true; /* Holding the input keeps further lines back, but not the rest of a batch. */
    conf_request_on_gone(resuming->request, gone, resuming);
    conf_connection_hold_input(client->connection);
    if (may_be_saved(resuming))
        load(resuming);
    else
        wait_for_revision(resuming, params);
}

/* One that this process does not know: the one before it may have. */
static bool
may_be_saved(const Resuming *resuming)
{
    ConfSlice token = conf_slice_from_string(resuming->token);
    return token.size == 32 && conf_sessions_lookup_token(resuming->sessions, token) == NULL;
}

static void
load(Resuming *resuming)
{
    char hash[65];
    bool answered = false;
    conf_session_hash_token(conf_slice_from_string(resuming->token), hash);
    resuming->answered = &answered;
    ConfSavedLoad *asked = conf_saved_load(resuming->sessions, hash, was_loaded, resuming);
    if (answered)
        return;
    resuming->answered = NULL;
    resuming->load = asked;
    if (asked == NULL)
        was_loaded(NULL, resuming);
}

static void
was_loaded(ConfSession *session, void *data)
{
    (void)session;
    Resuming *resuming = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    if (resuming->answered != NULL)
        *resuming->answered = true;
    resuming->answered = NULL;
    resuming->load = NULL;
    if (find_session(resuming, &error) == NULL) {
        fail(resuming, &error);
        return;
    }
    g_autoptr(ConfArena) arena = conf_arena_new();
    wait_for_revision(resuming,
                      conf_json_parse(arena, conf_request_get_params(resuming->request), NULL, NULL, NULL));
}

/* A revision of another lineage is nothing to wait for. */
static void
wait_for_revision(Resuming *resuming, const ConfJson *params)
{
    ConfSessions *sessions = resuming->sessions;
    if (conf_slice_is(conf_json_member(params, "environment")->text,
                      conf_store_position(sessions->store)->environment))
        resuming->wait =
            conf_sessions_wait_revision(sessions, resuming->revision, BEHIND_WAIT_MS, reached, resuming);
    if (resuming->wait == NULL)
        take_up(resuming);
}

static bool
parse(Resuming *resuming, ConfRequest *request, const ConfJson **params, ConfRpcError *error)
{
    static const char *const names[] = {"session",       "environment", "revision", "chain",
                                        "subscriptions", "addp",        NULL};
    ConfSlice environment = {NULL, 0}, chain = {NULL, 0};
    *params = conf_request_parse_params(request, names, error);
    return *params != NULL && read_token(*params, resuming->token, error) &&
           conf_params_string(*params, "", "environment", true, &environment, error) &&
           conf_params_string(*params, "", "chain", false, &chain, error) &&
           conf_params_integer(*params, "", "revision", 0, G_MAXINT64, true, &resuming->revision, error);
}

static bool
read_token(const ConfJson *params, char token[33], ConfRpcError *error)
{
    ConfSlice text = {NULL, 0};
    if (!conf_params_string(params, "", "session", true, &text, error))
        return false;
    /* A text of another length is simply no token of ours. */
    memset(token, 0, 33);
    if (text.size == 32)
        memcpy(token, text.data, 32);
    return true;
}

static ConfSession *
find_session(Resuming *resuming, ConfRpcError *error)
{
    ConfSessions *sessions = resuming->sessions;
    ConfSession *session = resuming->token[0] != '\0'
                               ? conf_sessions_lookup_token(sessions, conf_slice_from_string(resuming->token))
                               : NULL;
    if (session != NULL && !conf_session_still_allowed(session)) {
        conf_session_finish(sessions, session, "account");
        session = NULL;
    }
    if (session == NULL) {
        conf_rpc_fail(error, CONF_RPC_SESSION_UNKNOWN, "There is no such session to resume: log in anew");
        return NULL;
    }
    return conf_client_admits(resuming->client, session, error) ? session : NULL;
}

static void
reached(bool is_there, void *data)
{
    Resuming *resuming = data;
    resuming->wait = NULL;
    if (is_there) {
        take_up(resuming);
        return;
    }
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    conf_rpc_fail(&error, CONF_RPC_UNAVAILABLE,
                  "This server has not reached revision %" G_GINT64_FORMAT " yet", resuming->revision);
    conf_rpc_error_add_integer(&error, "retryAfter", 1);
    fail(resuming, &error);
}

static void
take_up(Resuming *resuming)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfJson *params =
        conf_json_parse(arena, conf_request_get_params(resuming->request), NULL, NULL, NULL);
    ConfSession *session = find_session(resuming, &error);
    if (session == NULL) {
        fail(resuming, &error);
        return;
    }
    resuming->session = session;
    if (!replace_subscriptions(resuming, params, &error)) {
        fail(resuming, &error);
        return;
    }
    if (session->connection != NULL)
        conf_session_break(session, "replaced");
    conf_session_bind(session, resuming->client);
    resuming->sessions->statistics.resumed++;
    ConfStore *store = resuming->sessions->store;
    const ConfJson *chain = conf_json_member(params, "chain");
    g_autofree char *known = chain != NULL ? conf_slice_dup(chain->text) : NULL;
    bool is_here =
        conf_slice_is(conf_json_member(params, "environment")->text, conf_store_position(store)->environment);
    ConfHistoryVerdict verdict =
        is_here ? conf_store_check_history(store, resuming->revision, known) : CONF_HISTORY_OTHER;
    /* What the ring cannot tell (from before it, from within a fold, the chain of where it begins) the history
     * may. */
    bool is_held = verdict == CONF_HISTORY_SAME ||
                   (verdict == CONF_HISTORY_GONE && conf_archive_is_there(resuming->sessions));
    if (!is_held) {
        tell_gone(resuming);
        return;
    }
    conf_replay_start(session, resuming->revision, counted, resuming);
    if (verdict == CONF_HISTORY_GONE && known != NULL)
        conf_replay_set_chain(session, known);
}

/* The session stands, and its subscriptions live from the present revision, where its history is gone or
 * another one. */
static void
tell_gone(Resuming *resuming)
{
    ConfSession *session = resuming->session;
    ConfStore *store = resuming->sessions->store;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    conf_rpc_fail(&error, CONF_RPC_HISTORY_GONE,
                  "Changes since revision %" G_GINT64_FORMAT
                  " are no longer held, or belong to another history",
                  resuming->revision);
    conf_rpc_error_add_integer(&error, "oldest", conf_archive_get_start(session->sessions));
    conf_rpc_error_add_integer(&error, "revision", conf_store_position(store)->revision);
    session->revision = conf_store_position(store)->revision;
    conf_audience_place(session);
    fail(resuming, &error);
    conf_walk_resume(session, 0);
    conf_hooks_session_opened(session, true);
}

static bool
replace_subscriptions(Resuming *resuming, const ConfJson *params, ConfRpcError *error)
{
    static const char *const names[] = {"types", "objects", "tenant", "folder", "initial", NULL};
    enum { SUBSCRIPTIONS_MAX = 1000 };
    const ConfJson *list = conf_json_member(params, "subscriptions");
    if (list == NULL)
        return true;
    if (list->kind != CONF_JSON_ARRAY || list->count > SUBSCRIPTIONS_MAX)
        return conf_rpc_fail_path(error, "/subscriptions", "subscriptions must be an array of at most %d",
                                  SUBSCRIPTIONS_MAX);
    ConfSession *session = resuming->session;
    g_autoptr(GPtrArray) scopes = g_ptr_array_new();
    unsigned index = 0;
    bool fine = true;
    for (const ConfJson *item = list->first; item != NULL && fine; item = item->next, index++) {
        g_autofree char *at = g_strdup_printf("/subscriptions/%u", index);
        bool initial = false;
        ConfScope *scope = NULL;
        fine = item->kind == CONF_JSON_OBJECT ? conf_params_only(item, at, names, error)
                                              : conf_rpc_fail_path(error, at, "A subscription is an object");
        fine = fine && conf_params_boolean(item, at, "initial", &initial, error);
        if (fine)
            scope = conf_scope_parse(resuming->sessions, item, at, session, true, error);
        fine = scope != NULL;
        if (fine)
            g_ptr_array_add(scopes, scope);
    }
    if (!fine) {
        for (unsigned i = 0; i < scopes->len; i++)
            conf_scope_unref(resuming->sessions, g_ptr_array_index(scopes, i));
        return false;
    }
    conf_audience_leave(session);
    g_autoptr(GPtrArray) former = conf_session_take_subscriptions(session);
    index = 0;
    for (const ConfJson *item = list->first; item != NULL; item = item->next, index++) {
        const ConfJson *initial = conf_json_member(item, "initial");
        ConfSubscription *subscription = conf_session_add_subscription(
            session, g_ptr_array_index(scopes, index), initial != NULL && initial->boolean);
        if (subscription->initial)
            inherit_walk(subscription, former);
    }
    conf_saved_change(session);
    for (unsigned i = 0; i < former->len; i++)
        conf_subscription_free(resuming->sessions, g_ptr_array_index(former, i));
    return true;
}

/* One that stood before goes on, and what its walk has brought is not streamed again; of another scope
 * nothing has come yet. */
static void
inherit_walk(ConfSubscription *subscription, GPtrArray *former)
{
    subscription->cut = true;
    for (unsigned i = 0; i < former->len; i++) {
        const ConfSubscription *old = g_ptr_array_index(former, i);
        if (!old->initial || old->scope != subscription->scope)
            continue;
        subscription->cut = old->cut || old->walking;
        subscription->loaded_at = old->loaded_at;
        subscription->loaded_revision = old->loaded_revision;
        return;
    }
}

static void
counted(ConfSession *session, uint64_t missed, bool held, void *data)
{
    Resuming *resuming = data;
    if (!held) {
        conf_replay_stop(session);
        tell_gone(resuming);
        return;
    }
    ConfBuffer *buffer = conf_request_begin(resuming->request);
    conf_buffer_append_char(buffer, '{');
    conf_login_write_session(session, resuming->token, buffer);
    conf_buffer_printf(buffer, ",\"missed\":%" G_GUINT64_FORMAT ",\"subscriptions\":", missed);
    write_subscriptions(session, buffer);
    conf_buffer_append_char(buffer, '}');
    conf_request_end(resuming->request);
    conf_replay_go(session);
    conf_walk_resume(session, resuming->revision);
    finish(resuming);
    conf_hooks_session_opened(session, true);
}

static void
write_subscriptions(ConfSession *session, ConfBuffer *buffer)
{
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, buffer);
    conf_json_writer_begin_array(&writer);
    for (unsigned i = 0; i < session->subscriptions->len; i++) {
        ConfSubscription *subscription = g_ptr_array_index(session->subscriptions, i);
        conf_json_writer_begin_object(&writer);
        conf_json_writer_member_integer(&writer, "subscription", subscription->id);
        conf_scope_write(session->sessions, subscription->scope, &writer);
        if (subscription->initial)
            conf_json_writer_member_boolean(&writer, "initial", true);
        conf_json_writer_end_object(&writer);
    }
    conf_json_writer_end_array(&writer);
}

static void
fail(Resuming *resuming, const ConfRpcError *error)
{
    conf_request_fail(resuming->request, error);
    finish(resuming);
}

static void
finish(Resuming *resuming)
{
    ConfConnection *connection = resuming->client->connection;
    resuming->client->resuming = false;
    conf_client_answered_late(resuming->client);
    conf_request_on_gone(resuming->request, NULL, NULL);
    conf_request_release(resuming->request);
    explicit_bzero(resuming->token, sizeof resuming->token);
    g_free(resuming);
    conf_connection_release_input(connection);
}

static void
gone(void *data)
{
    Resuming *resuming = data;
    if (resuming->wait != NULL)
        conf_revision_wait_cancel(resuming->wait);
    if (resuming->load != NULL)
        conf_saved_cancel(resuming->load);
    conf_request_release(resuming->request);
    g_free(resuming);
}
