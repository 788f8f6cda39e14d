/* subscription.c - subscription.open and subscription.close (protocol.md 6). */
#include "session/session-private.h"

enum { SUBSCRIPTIONS_MAX = 1000 };

typedef struct {
    ConfRequest *request;
    int64_t id; /* of the subscription: a batch may close it before its opening is answered */
} SinceOpening;

static bool check_since(ConfSession *session, int64_t since, bool initial, ConfRpcError *error);
static void open_since(ConfSession *session, ConfRequest *request, ConfScope *scope, int64_t since);
static void since_counted(ConfSession *session, uint64_t missed, bool held, void *data);
static void fail_gone(ConfSession *session, int64_t since, ConfRpcError *error);
static void close_subscription(ConfSession *session, unsigned index);
static void since_gone(void *data);
static void answer_open(ConfSession *session, ConfRequest *request, int64_t id, int64_t revision);

void
conf_sessions_subscribe(ConfSessions *sessions, ConfRequest *request)
{
    static const char *const names[] = {"types", "objects", "tenant", "folder", "since", "initial", NULL};
    ConfSession *session = conf_request_get_session(request);
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    int64_t since = -1;
    bool initial = false;
    const ConfJson *params = conf_request_parse_params(request, names, &error);
    ConfScope *scope = NULL;
    bool fine = params != NULL &&
                conf_params_integer(params, "", "since", 0, G_MAXINT64, false, &since, &error) &&
                conf_params_boolean(params, "", "initial", &initial, &error) &&
                (since < 0 || check_since(session, since, initial, &error));
    if (fine && session->taken_ended != NULL)
        fine = conf_rpc_fail(&error, CONF_RPC_INVALID_REQUEST,
                             "This session is a replica: changes come to it as such");
    if (fine && session->subscriptions->len >= SUBSCRIPTIONS_MAX)
        fine = conf_rpc_fail(&error, CONF_RPC_LIMIT, "A session has at most %d subscriptions",
                             SUBSCRIPTIONS_MAX);
    if (fine)
        scope = conf_scope_parse(sessions, params, "", session, false, &error);
    if (scope == NULL) {
        conf_request_fail(request, &error);
        return;
    }
    int64_t present = conf_store_position(sessions->store)->revision;
    if (since >= 0 && since < present) {
        open_since(session, request, scope, since);
        return;
    }
    ConfSubscription *subscription = conf_session_add_subscription(session, scope, initial);
    conf_saved_change(session);
    conf_audience_place(session);
    /* In one batch with a `since`, the replay to come is for both. */
    answer_open(session, request, subscription->id,
                session->replay != NULL ? conf_replay_get_from(session) : present);
    if (initial)
        conf_walk_start(session, subscription);
}

void
conf_sessions_unsubscribe(ConfSessions *sessions, ConfRequest *request)
{
    static const char *const names[] = {"subscription", NULL};
    (void)sessions;
    ConfSession *session = conf_request_get_session(request);
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    int64_t id = 0;
    const ConfJson *params = conf_request_parse_params(request, names, &error);
    if (params == NULL ||
        !conf_params_integer(params, "", "subscription", 1, G_MAXINT64, true, &id, &error)) {
        conf_request_fail(request, &error);
        return;
    }
    for (unsigned i = 0; i < session->subscriptions->len; i++) {
        ConfSubscription *subscription = g_ptr_array_index(session->subscriptions, i);
        if (subscription->id != id)
            continue;
        close_subscription(session, i);
        conf_request_answer(request, CONF_SLICE("{}"));
        return;
    }
    conf_rpc_fail_path(&error, "/subscription", "This session has no subscription %" G_GINT64_FORMAT, id);
    conf_request_fail(request, &error);
}

static void
close_subscription(ConfSession *session, unsigned index)
{
    ConfSubscription *subscription = g_ptr_array_remove_index(session->subscriptions, index);
    conf_audience_place(session);
    conf_subscription_free(session->sessions, subscription);
    conf_saved_change(session);
}

static bool
check_since(ConfSession *session, int64_t since, bool initial, ConfRpcError *error)
{
    ConfStore *store = session->sessions->store;
    int64_t present = conf_store_position(store)->revision;
    /* A batch may have closed the one whose replay is still under way. */
    if (session->subscriptions->len > 0 || session->replay != NULL)
        return conf_rpc_fail_path(error, "/since", "since is for the first subscription of a session");
    if (initial)
        return conf_rpc_fail_path(error, "/since", "since and initial exclude each other");
    if (since > present)
        return conf_rpc_fail_path(
            error, "/since", "Revision %" G_GINT64_FORMAT " lies ahead of the present one, %" G_GINT64_FORMAT,
            since, present);
    if (since >= conf_store_recent_start(store) || conf_archive_is_there(session->sessions))
        return true;
    fail_gone(session, since, error);
    return false;
}

static void
fail_gone(ConfSession *session, int64_t since, ConfRpcError *error)
{
    ConfStore *store = session->sessions->store;
    conf_rpc_fail(error, CONF_RPC_HISTORY_GONE,
                  "Changes after revision %" G_GINT64_FORMAT " are no longer held", since);
    conf_rpc_error_add_integer(error, "oldest", conf_archive_get_start(session->sessions));
    conf_rpc_error_add_integer(error, "revision", conf_store_position(store)->revision);
}

/* The answer comes first, then the past, then the present; meanwhile no further line of the connection is
 * read. */
static void
open_since(ConfSession *session, ConfRequest *request, ConfScope *scope, int64_t since)
{
    SinceOpening *opening = g_new0(SinceOpening, 1);
    opening->id = conf_session_add_subscription(session, scope, false)->id;
    conf_saved_change(session);
    opening->request = conf_request_hold(request);
    conf_request_on_gone(opening->request, since_gone, opening);
    conf_replay_start(session, since, since_counted, opening);
}

static void
since_counted(ConfSession *session, uint64_t missed, bool held, void *data)
{
    (void)missed;
    SinceOpening *opening = data;
    int64_t since = conf_replay_get_from(session);
    conf_request_on_gone(opening->request, NULL, NULL);
    if (held) {
        answer_open(session, opening->request, opening->id, since);
        conf_replay_go(session);
    } else {
        g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
        fail_gone(session, since, &error);
        conf_request_fail(opening->request, &error);
        for (unsigned i = 0; i < session->subscriptions->len; i++) {
            if (((ConfSubscription *)g_ptr_array_index(session->subscriptions, i))->id == opening->id)
                close_subscription(session, i);
        }
        conf_replay_stop(session);
        conf_audience_place(session);
    }
    conf_request_release(opening->request);
    g_free(opening);
}

static void
since_gone(void *data)
{
    SinceOpening *opening = data;
    conf_request_release(opening->request);
    g_free(opening);
}

static void
answer_open(ConfSession *session, ConfRequest *request, int64_t id, int64_t revision)
{
    ConfBuffer *buffer = conf_request_begin(request);
    conf_buffer_printf(buffer, "{\"subscription\":%" G_GINT64_FORMAT ",\"revision\":%" G_GINT64_FORMAT, id,
                       revision);
    const char *chain = conf_store_chain_at(session->sessions->store, revision);
    if (chain != NULL)
        conf_buffer_printf(buffer, ",\"chain\":\"%s\"", chain);
    conf_buffer_append_char(buffer, '}');
    conf_request_end(request);
}
