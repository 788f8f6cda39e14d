/* client-call.c - requests that go out on a connection, until their answers.
 *
 * Ids are numbers that no two calls of the process share, so an answer finds its call whoever sent it: the
 * owner of the connection or a plugin (whose calls stand beside the owner's, see
 * conf_connection_send_request). */
#include "rpc/client-call.h"

#include "base/timer-wheel.h"
#include "plugin/loader.h"
#include "rpc/request-private.h"

typedef struct {
    int64_t id;
    ConfCalls *calls;
    ConfTimer timer;
    ConfCallFunc func;
    void *data;
} Call;

struct ConfCalls {
    ConfConnection *connection; /* NULL: gone */
    ConfGoneWatch gone;
    GHashTable *by_id; /* int64_t in Call -> Call */
};

typedef struct {
    ConfPlugin *plugin; /* a reference: the answer may come after it was unloaded */
    void (*answered)(void *self, const char *result, const char *error, void *data);
    void *data;
} PluginCall;

static void end_call(Call *call, ConfSlice result, ConfSlice error);
static void end_all(ConfCalls *calls);
static void time_is_over(void *data);
static void connection_gone(void *data);
static Call *find_call(const ConfCalls *calls, ConfSlice id);
static bool parse_id(ConfSlice text, int64_t *id);
static ConfCalls *plugin_calls(const ConfConnection *connection);
static void free_plugin_calls(void *calls);
static void plugin_answered(ConfSlice result, ConfSlice error, void *data);

ConfCalls *
conf_calls_new(ConfConnection *connection)
{
    ConfCalls *calls = g_new0(ConfCalls, 1);
    calls->connection = connection;
    calls->by_id = g_hash_table_new(g_int64_hash, g_int64_equal);
    conf_connection_watch_gone(connection, &calls->gone, connection_gone, calls);
    return calls;
}

void
conf_calls_free(ConfCalls *calls)
{
    if (calls == NULL)
        return;
    end_all(calls);
    conf_connection_unwatch_gone(&calls->gone);
    g_hash_table_unref(calls->by_id);
    g_free(calls);
}

void
conf_calls_send(ConfCalls *calls, const char *method, ConfSlice params, unsigned timeout_ms,
                ConfCallFunc func, void *data)
{
    static int64_t last_id;
    Call *call = g_new0(Call, 1);
    *call = (Call){.id = ++last_id, .calls = calls, .func = func, .data = data};
    g_hash_table_insert(calls->by_id, &call->id, call);
    /* Where nobody is left to answer, it still ends by itself, and not within this call. */
    conf_timer_arm(&call->timer, calls->connection != NULL ? MAX(timeout_ms, 1) : 1, time_is_over, call);
    if (calls->connection == NULL)
        return;
    ConfBuffer *buffer = conf_connection_output(calls->connection);
    CONF_BUFFER_LITERAL(buffer, "{\"jsonrpc\":\"2.0\",\"id\":");
    conf_buffer_append_integer(buffer, call->id);
    CONF_BUFFER_LITERAL(buffer, ",\"method\":");
    conf_json_append_string(buffer, conf_slice_from_string(method));
    CONF_BUFFER_LITERAL(buffer, ",\"params\":");
    conf_buffer_append_slice(buffer, params);
    CONF_BUFFER_LITERAL(buffer, "}\n");
    conf_connection_written(calls->connection);
}

void
conf_calls_take_response(ConfCalls *calls, ConfSlice id, ConfSlice result, ConfSlice error)
{
    Call *call = find_call(calls, id);
    if (call != NULL)
        end_call(call, result, error);
    else if (calls->connection != NULL)
        conf_calls_take_plugin_response(calls->connection, id, result, error);
}

bool
conf_calls_take_plugin_response(ConfConnection *connection, ConfSlice id, ConfSlice result, ConfSlice error)
{
    const ConfCalls *calls = plugin_calls(connection);
    Call *call = calls != NULL ? find_call(calls, id) : NULL;
    if (call != NULL)
        end_call(call, result, error);
    return call != NULL;
}

bool
conf_connection_send_request(ConfConnection *c, ConfPlugin *p, const char *method, const char *params_json,
                             unsigned timeout_ms,
                             void (*answered)(void *self, const char *result, const char *error, void *data),
                             void *data)
{
    g_autofree char *params = conf_rpc_plugin_json(params_json);
    if (!conf_connection_is_open(c) || params == NULL)
        return false;
    ConfCalls *calls = plugin_calls(c);
    if (calls == NULL) {
        calls = conf_calls_new(c);
        conf_connection_set_plugin_data(c, NULL, calls, free_plugin_calls);
    }
    PluginCall *call = g_new(PluginCall, 1);
    *call = (PluginCall){conf_plugin_ref(p), answered, data};
    conf_calls_send(calls, method, conf_slice_from_string(params), timeout_ms, plugin_answered, call);
    return true;
}

bool
conf_connection_send_notification(ConfConnection *c, const char *method, const char *params_json)
{
    g_autofree char *params = conf_rpc_plugin_json(params_json);
    if (!conf_connection_is_open(c) || conf_connection_is_full(c) || params == NULL)
        return false;
    ConfBuffer *buffer = conf_connection_output(c);
    conf_rpc_begin_notification(buffer, method);
    conf_buffer_append_string(buffer, params);
    CONF_BUFFER_LITERAL(buffer, "}\n");
    conf_connection_written(c);
    return true;
}

/* func may send further calls, or free all of them. */
static void
end_call(Call *call, ConfSlice result, ConfSlice error)
{
    conf_timer_cancel(&call->timer);
    g_hash_table_remove(call->calls->by_id, &call->id);
    ConfCallFunc func = call->func;
    void *data = call->data;
    g_free(call);
    func(result, error, data);
}

/* Those that are sent from within are not ended here: their own short time ends them. */
static void
end_all(ConfCalls *calls)
{
    g_autoptr(GList) all = g_hash_table_get_values(calls->by_id);
    g_hash_table_remove_all(calls->by_id);
    for (const GList *item = all; item != NULL; item = item->next) {
        Call *call = item->data;
        conf_timer_cancel(&call->timer);
        call->func((ConfSlice){NULL, 0}, (ConfSlice){NULL, 0}, call->data);
        g_free(call);
    }
}

static void
time_is_over(void *data)
{
    end_call(data, (ConfSlice){NULL, 0}, (ConfSlice){NULL, 0});
}

static void
connection_gone(void *data)
{
    ConfCalls *calls = data;
    calls->connection = NULL;
    end_all(calls);
}

static Call *
find_call(const ConfCalls *calls, ConfSlice id)
{
    int64_t number;
    return parse_id(id, &number) ? g_hash_table_lookup(calls->by_id, &number) : NULL;
}

/* Ours are plain positive numbers; whatever else comes is unknown. */
static bool
parse_id(ConfSlice text, int64_t *id)
{
    *id = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || i >= 16)
            return false;
        *id = *id * 10 + (text.data[i] - '0');
    }
    return text.size > 0;
}

/* They hang on the connection as the data of no plugin. */
static ConfCalls *
plugin_calls(const ConfConnection *connection)
{
    return conf_connection_get_plugin_data(connection, NULL);
}

static void
free_plugin_calls(void *calls)
{
    conf_calls_free(calls);
}

static void
plugin_answered(ConfSlice result, ConfSlice error, void *data)
{
    g_autofree PluginCall *call = data;
    g_autofree char *result_text = result.size > 0 ? conf_slice_dup(result) : NULL;
    g_autofree char *error_text = error.size > 0 ? conf_slice_dup(error) : NULL;
    if (call->answered != NULL && conf_plugin_is_loaded(call->plugin)) {
        conf_plugin_enter(call->plugin);
        call->answered(conf_plugin_get_self(call->plugin), result_text, error_text, call->data);
        conf_plugin_leave(call->plugin);
    }
    conf_plugin_unref(call->plugin);
}
