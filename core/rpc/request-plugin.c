/* request-plugin.c - what plugins see of requests: reading, answering, keeping them for later. */
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "plugin/loader.h"
#include "rpc/request-private.h"

static ConfRequest *real(ConfRequest *request);
static bool fill_data(ConfRpcError *error, const char *data_json);
static void later_finished(void *owner, ConfVerdict verdict, GError *error);
static void later_answered(void *owner, const char *result_json);
static void later_failed(void *owner, int code, const char *message, const char *data_json);
static void later_timed_out(void *owner);
static void later_gone(void *owner);
static void go_on(ConfRequest *held);

static const ConfLaterFuncs later_funcs = {
    .finished = later_finished,
    .answered = later_answered,
    .failed = later_failed,
    .timed_out = later_timed_out,
};

const char *
conf_request_get_method_name(const ConfRequest *r)
{
    /* Hook `answered` is told of requests that named no method, too. */
    return r->method != NULL ? r->method->name : "";
}

const char *
conf_request_get_params_json(ConfRequest *r)
{
    ConfSlice params = conf_request_get_params(r);
    /* A held request keeps its text ended by NUL; the one on the stack points into the line. */
    return r->refs > 0 || r->params.size == 0
               ? params.data
               : conf_arena_copy(conf_request_arena(), params.data, params.size);
}

ConfConnection *
conf_request_get_peer(const ConfRequest *r)
{
    return r->connection;
}

ConfSession *
conf_request_get_owner(const ConfRequest *r)
{
    return conf_request_get_session(r);
}

void
conf_request_answer_json(ConfRequest *r, const char *result_json)
{
    ConfRequest *request = real(r);
    g_autofree char *result = conf_rpc_plugin_json(result_json);
    if (request->answered)
        return;
    if (result != NULL) {
        conf_request_answer(request, conf_slice_from_string(result));
        return;
    }
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    conf_rpc_fail(&error, CONF_RPC_INTERNAL, "A plugin gave an answer that is no JSON.");
    conf_request_fail(request, &error);
}

void
conf_request_answer_error(ConfRequest *r, int code, const char *message, const char *data_json)
{
    ConfRequest *request = real(r);
    if (request->answered)
        return;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    conf_rpc_fail(&error, code != 0 ? code : CONF_RPC_INTERNAL, "%s",
                  message != NULL ? message : "A plugin refused the request.");
    fill_data(&error, data_json);
    conf_request_fail(request, &error);
}

void
conf_request_add_to_answer(ConfRequest *r, const char *member, const char *json)
{
    ConfRequest *request = real(r);
    g_autofree char *value = conf_rpc_plugin_json(json);
    if (request->answered || value == NULL)
        return;
    conf_buffer_append_char(&request->extra, ',');
    conf_json_append_string(&request->extra, conf_slice_from_string(member));
    conf_buffer_append_char(&request->extra, ':');
    conf_buffer_append_string(&request->extra, value);
}

ConfLater *
conf_request_later(ConfRequest *r, unsigned timeout_ms, void (*gone)(void *), void *data)
{
    const ConfRequest *request = real(r);
    if (request->answered || request->later != NULL)
        return conf_later_new_gone(conf_plugin_current(), gone, data,
                                   "It took a ConfLater of a request that is answered, or put off already");
    ConfRequest *held = conf_request_hold(r);
    held->later = conf_later_new(conf_plugin_current(), &later_funcs, held, timeout_ms, gone, data);
    conf_request_on_gone(held, later_gone, held);
    return held->later;
}

void
conf_request_fail_with(ConfRequest *request, const GError *error)
{
    g_auto(ConfRpcError) told = CONF_RPC_ERROR_INIT;
    int code = CONF_RPC_INTERNAL;
    if (error != NULL && error->domain == CONF_PLUGIN_RPC_ERROR && error->code != 0)
        code = error->code;
    else if (g_error_matches(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE))
        code = CONF_RPC_UNAVAILABLE;
    conf_rpc_fail(&told, code, "%s", error != NULL ? error->message : "A plugin refused the request.");
    conf_request_fail(request, &told);
}

char *
conf_rpc_plugin_json(const char *json)
{
    static ConfJsonReader reader;
    if (reader.state == NULL)
        conf_json_reader_init(&reader);
    ConfSlice whole;
    conf_json_reader_start(&reader, conf_slice_from_string(json));
    if (json == NULL || !conf_json_reader_skip(&reader, &whole) ||
        conf_json_reader_next(&reader) != CONF_JSON_EVENT_END) {
        const ConfPlugin *plugin = conf_plugin_current();
        conf_log(CONF_LOG_PLUGIN_MISUSE, "plugin", plugin != NULL ? conf_plugin_get_name(plugin) : NULL,
                 "what", "It gave a text that is no JSON", NULL);
        return NULL;
    }
    /* Outside of strings a line end is white space, and inside of them none stands: a message stays one
     * line. */
    return g_strdelimit(conf_slice_dup(whole), "\r\n", ' ');
}

/* Where a hook has put the request off and goes on with the pointer that it was given. */
static ConfRequest *
real(ConfRequest *request)
{
    return request->held != NULL ? request->held : request;
}

/* The members of the object without its braces. */
static bool
fill_data(ConfRpcError *error, const char *data_json)
{
    g_autofree char *data = data_json != NULL ? conf_rpc_plugin_json(data_json) : NULL;
    if (data == NULL || data[0] != '{')
        return false;
    data[strlen(data) - 1] = '\0';
    g_strstrip(data + 1);
    if (data[1] != '\0')
        error->data = g_strdup(data + 1);
    return true;
}

static void
later_finished(void *owner, ConfVerdict verdict, GError *error)
{
    ConfRequest *held = owner;
    g_autoptr(GError) taken = error;
    conf_request_on_gone(held, NULL, NULL);
    held->later = NULL;
    if (verdict == CONF_NEXT && !held->in_method && !held->answered && held->connection != NULL) {
        go_on(held);
        return;
    }
    if (verdict == CONF_REFUSE && !held->answered)
        conf_request_fail_with(held, taken);
    conf_request_release(held); /* which answers where they say that it is done, and it is not */
}

static void
later_answered(void *owner, const char *result_json)
{
    ConfRequest *held = owner;
    conf_request_on_gone(held, NULL, NULL);
    held->later = NULL;
    conf_request_answer_json(held, result_json);
    conf_request_release(held);
}

static void
later_failed(void *owner, int code, const char *message, const char *data_json)
{
    ConfRequest *held = owner;
    conf_request_on_gone(held, NULL, NULL);
    held->later = NULL;
    conf_request_answer_error(held, code, message, data_json);
    conf_request_release(held);
}

static void
later_timed_out(void *owner)
{
    ConfRequest *held = owner;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    conf_request_on_gone(held, NULL, NULL);
    held->later = NULL;
    conf_rpc_fail(&error, CONF_RPC_UNAVAILABLE, "The request took too long.");
    if (!held->answered)
        conf_request_fail(held, &error);
    conf_request_release(held);
}

/* The connection is gone. */
static void
later_gone(void *owner)
{
    ConfRequest *held = owner;
    ConfLater *later = held->later;
    held->later = NULL;
    conf_later_abandon(later);
    conf_request_release(held);
}

/* The hook that kept the request has nothing against it: those behind it, and the method. */
static void
go_on(ConfRequest *held)
{
    conf_dispatch_enter();
    conf_dispatch_run(held, held->hook_position);
    /* Unless it was put off again, this is its end. */
    conf_request_release(held);
    conf_dispatch_leave();
}
