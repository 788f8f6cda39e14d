/* freshness.c - minRevision, timeout and maxAge of reads (protocol.md 4). */
#include "base/timer-wheel.h"
#include "methods/methods-private.h"

enum { TIMEOUT_DEFAULT_S = 5, TIMEOUT_MAX_S = 60 };

typedef struct {
    ConfMethods *methods;
    ConfRequest *request; /* held; NULL: answered, since the time was over */
    ConfRevisionWait *wait;
    ConfTimer timer;
    int64_t revision;
    unsigned tries; /* how often its connection was full when it could have gone on */
    void (*func)(ConfRequest *request, void *methods);
} Waiting;

static void reached(bool is_there, void *data);
static void go_on(void *data);
static void end_waiting(Waiting *waiting, bool is_ready);
static void gone(void *data);
static void start_confirming(ConfMethods *methods, ConfRequest *request, unsigned timeout_ms,
                             void (*func)(ConfRequest *request, void *methods));
static void confirming_timed_out(void *data);
static void confirmed(bool is_confirmed, void *data);
static int64_t age_in_seconds(const ConfMethods *methods);
static void fail_stale(ConfMethods *methods, ConfRpcError *error);

bool
conf_methods_is_ready(ConfMethods *methods, ConfRequest *request, const ConfJson *params,
                      void (*func)(ConfRequest *request, void *methods))
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    int64_t revision = 0, timeout = TIMEOUT_DEFAULT_S, age = -1;
    bool fine = conf_params_integer(params, "", "minRevision", 0, G_MAXINT64, false, &revision, &error) &&
                conf_params_integer(params, "", "timeout", 0, TIMEOUT_MAX_S, false, &timeout, &error) &&
                conf_params_integer(params, "", "maxAge", 0, G_MAXINT64, false, &age, &error);
    bool fresh = age < 0 || methods->confirmed || (age > 0 && age_in_seconds(methods) <= age);
    if (fine && !fresh && methods->context.confirm != NULL) {
        start_confirming(methods, request, (unsigned)MAX(timeout, TIMEOUT_DEFAULT_S) * 1000, func);
        return false;
    }
    if (!fine || !fresh) {
        if (fine)
            fail_stale(methods, &error);
        conf_request_fail(request, &error);
        return false;
    }
    if (conf_store_position(methods->context.store)->revision >= revision)
        return true;
    Waiting *waiting = g_new0(Waiting, 1);
    *waiting = (Waiting){.methods = methods, .revision = revision, .func = func};
    waiting->request = conf_request_hold(request);
    waiting->wait = conf_sessions_wait_revision(methods->context.sessions, revision, (unsigned)timeout * 1000,
                                                reached, waiting);
    conf_request_on_gone(waiting->request, gone, waiting);
    return false;
}

static void
reached(bool is_there, void *data)
{
    Waiting *waiting = data;
    waiting->wait = NULL;
    if (is_there)
        go_on(waiting);
    else
        end_waiting(waiting, false);
}

/* Many may have waited on one connection: as with requests that come just now, nothing is read for one that
 * does not take what was answered before. */
static void
go_on(void *data)
{
    enum { AGAIN_MS = 50, AGAIN_MAX = TIMEOUT_MAX_S * 1000 / AGAIN_MS };
    Waiting *waiting = data;
    if (conf_connection_is_full(conf_request_get_connection(waiting->request)) &&
        waiting->tries++ < AGAIN_MAX)
        conf_timer_arm(&waiting->timer, AGAIN_MS, go_on, waiting);
    else
        end_waiting(waiting, waiting->tries <= AGAIN_MAX);
}

static void
end_waiting(Waiting *waiting, bool is_ready)
{
    conf_request_on_gone(waiting->request, NULL, NULL);
    if (is_ready && conf_request_get_session(waiting->request) != NULL) {
        waiting->func(waiting->request, waiting->methods);
    } else {
        g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
        conf_rpc_fail(&error, CONF_RPC_UNAVAILABLE,
                      "This server has not reached revision %" G_GINT64_FORMAT " yet", waiting->revision);
        conf_rpc_error_add_integer(&error, "revision",
                                   conf_store_position(waiting->methods->context.store)->revision);
        conf_request_fail(waiting->request, &error);
    }
    conf_request_release(waiting->request);
    g_free(waiting);
}

static void
gone(void *data)
{
    Waiting *waiting = data;
    if (waiting->wait != NULL)
        conf_revision_wait_cancel(waiting->wait);
    conf_timer_cancel(&waiting->timer);
    conf_request_release(waiting->request);
    g_free(waiting);
}

/* A primary asks the database whether it still is one: until it knows, the read waits. */
static void
start_confirming(ConfMethods *methods, ConfRequest *request, unsigned timeout_ms,
                 void (*func)(ConfRequest *request, void *methods))
{
    Waiting *waiting = g_new0(Waiting, 1);
    *waiting = (Waiting){.methods = methods, .func = func};
    waiting->request = conf_request_hold(request);
    conf_timer_arm(&waiting->timer, timeout_ms, confirming_timed_out, waiting);
    methods->context.confirm(confirmed, waiting, methods->context.data);
}

/* A database that hangs keeps its own answer as long as it likes. */
static void
confirming_timed_out(void *data)
{
    Waiting *waiting = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    fail_stale(waiting->methods, &error);
    conf_request_fail(waiting->request, &error);
    conf_request_release(g_steal_pointer(&waiting->request));
}

static void
confirmed(bool is_confirmed, void *data)
{
    g_autofree Waiting *waiting = data;
    conf_timer_cancel(&waiting->timer);
    if (waiting->request == NULL)
        return;
    if (is_confirmed && conf_request_get_session(waiting->request) != NULL) {
        waiting->methods->confirmed = true;
        waiting->func(waiting->request, waiting->methods);
        waiting->methods->confirmed = false;
    } else {
        g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
        fail_stale(waiting->methods, &error);
        conf_request_fail(waiting->request, &error);
    }
    conf_request_release(waiting->request);
}

/* A second begun counts: 1.2 s are older than 1.  G_MAXINT64: nothing is known. */
static int64_t
age_in_seconds(const ConfMethods *methods)
{
    int64_t age = methods->context.knowledge_age(methods->context.data);
    return age == G_MAXINT64 ? age : age / 1000 + (age % 1000 != 0);
}

static void
fail_stale(ConfMethods *methods, ConfRpcError *error)
{
    int64_t age = age_in_seconds(methods);
    conf_rpc_fail(error, CONF_RPC_UNAVAILABLE, "What this server knows is older than asked for");
    if (age != G_MAXINT64)
        conf_rpc_error_add_integer(error, "age", age);
}
