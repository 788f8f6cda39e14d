/* request.c - calls: numbered, sent in order, matched with their answers by number.  While the session is
 * being taken up again calls wait; those that were sent before the break fail, since what became of them
 * is not known. */
#include "client-private.h"

#include <string.h>

enum { TICK_MS = 1000 };

static ConfcCall *call_new(ConfcClient *client, const char *method, JsonNode *params);
static void submit(ConfcClient *client, ConfcCall *call);
static void send_call(ConfcClient *client, ConfcCall *call);
static void finish(ConfcClient *client, ConfcCall *call, JsonNode *result, const GError *error);
static void call_free(ConfcCall *call);
static gboolean cancelled(GCancellable *cancellable, void *data);
static gboolean tick(void *data);
static void take_unnamed_error(ConfcClient *client, JsonObject *response);
static bool answer_shows_position(const char *method);
static void note_position(ConfcClient *client, JsonNode *result);
static void store_result(GObject *source, GAsyncResult *result, void *data);

void
confc_client_request_async(ConfcClient *client, const char *method, JsonNode *params,
                           GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    g_return_if_fail(CONFC_IS_CLIENT(client) && method != NULL);
    GTask *task = g_task_new(client, cancellable, callback, user_data);
    g_task_set_source_tag(task, confc_client_request_async);
    if (params != NULL && !JSON_NODE_HOLDS_OBJECT(params)) {
        g_task_return_new_error(task, CONFC_ERROR, CONFC_ERROR_ARGUMENT,
                                "The params of a request are an object");
        g_object_unref(task);
        return;
    }
    ConfcCall *call = call_new(client, method, params);
    call->task = task;
    call->shows_position = answer_shows_position(method);
    if (cancellable != NULL) {
        call->cancel = g_cancellable_source_new(cancellable);
        g_source_set_callback(call->cancel, G_SOURCE_FUNC(cancelled), call, NULL);
        g_source_attach(call->cancel, client->context);
    }
    submit(client, call);
}

JsonNode *
confc_client_request_finish(ConfcClient *client, GAsyncResult *result, GError **error)
{
    g_return_val_if_fail(g_task_is_valid(result, client), NULL);
    return g_task_propagate_pointer(G_TASK(result), error);
}

JsonNode *
confc_client_request(ConfcClient *client, const char *method, JsonNode *params, GCancellable *cancellable,
                     GError **error)
{
    g_autoptr(GAsyncResult) result = NULL;
    confc_client_request_async(client, method, params, cancellable, store_result, &result);
    while (result == NULL)
        g_main_context_iteration(client->context, TRUE);
    return confc_client_request_finish(client, result, error);
}

void
confc_client_call(ConfcClient *client, const char *method, JsonNode *params, bool shows_position,
                  ConfcCallFunc func, void *data)
{
    ConfcCall *call = call_new(client, method, params);
    call->func = func;
    call->data = data;
    call->shows_position = shows_position;
    submit(client, call);
}

void
confc_client_call_now(ConfcClient *client, const char *method, JsonNode *params, ConfcCallFunc func,
                      void *data)
{
    ConfcCall *call = call_new(client, method, params);
    call->func = func;
    call->data = data;
    send_call(client, call);
}

void
confc_client_fail_calls(ConfcClient *client, bool waiting_too, const GError *error)
{
    /* Taken out first: what is called back may make new calls. */
    g_autoptr(GPtrArray) ended = g_ptr_array_new();
    GHashTableIter iter;
    void *call;
    g_hash_table_iter_init(&iter, client->calls);
    while (g_hash_table_iter_next(&iter, NULL, &call)) {
        g_hash_table_iter_steal(&iter);
        g_ptr_array_add(ended, call);
    }
    while (waiting_too && (call = g_queue_pop_head(&client->waiting)) != NULL)
        g_ptr_array_add(ended, call);
    if (waiting_too) {
        client->waiting_size = 0;
        confc_client_clear_source(&client->tick);
    }
    for (unsigned i = 0; i < ended->len; i++)
        finish(client, g_ptr_array_index(ended, i), NULL, error);
}

void
confc_client_send_waiting(ConfcClient *client)
{
    ConfcCall *call;
    while (client->state == CONFC_STATE_READY && (call = g_queue_pop_head(&client->waiting)) != NULL) {
        client->waiting_size -= g_bytes_get_size(call->line);
        send_call(client, call);
    }
}

void
confc_client_take_response(ConfcClient *client, JsonObject *response)
{
    JsonObject *fault = confc_json_object(response, "error");
    JsonNode *id_node = json_object_get_member(response, "id");
    if (id_node != NULL && JSON_NODE_HOLDS_NULL(id_node) && fault != NULL) {
        take_unnamed_error(client, fault);
        return;
    }
    gint64 id = confc_json_integer(response, "id", 0);
    ConfcCall *call = g_hash_table_lookup(client->calls, &id);
    if (call == NULL)
        return; /* Cancelled or timed out meanwhile. */
    g_hash_table_remove(client->calls, &id);
    g_autoptr(GError) error = fault != NULL ? confc_error_from_response(fault) : NULL;
    JsonNode *result = error == NULL ? json_object_get_member(response, "result") : NULL;
    if (result == NULL && error == NULL)
        error = g_error_new_literal(CONFC_ERROR, CONFC_ERROR_MALFORMED,
                                    "The server's answer has neither result nor error");
    if (result != NULL && call->shows_position)
        note_position(client, result);
    finish(client, call, result, error);
}

void
confc_client_answer(ConfcClient *client, JsonNode *id, const char *member, const char *json)
{
    g_autofree char *id_text = json_to_string(id, FALSE);
    g_autofree char *text =
        g_strdup_printf("{\"jsonrpc\":\"2.0\",\"id\":%s,\"%s\":%s}\n", id_text, member, json);
    g_autoptr(GBytes) line = g_bytes_new(text, strlen(text));
    g_autoptr(GError) error = NULL;
    if (!confc_link_send(client->link, line, &error))
        confc_client_lose(client, error);
}

static ConfcCall *
call_new(ConfcClient *client, const char *method, JsonNode *params)
{
    g_autoptr(JsonNode) name = json_node_init_string(json_node_alloc(), method);
    g_autofree char *name_text = json_to_string(name, FALSE);
    g_autofree char *params_text = params != NULL ? json_to_string(params, FALSE) : g_strdup("{}");
    ConfcCall *call = g_new0(ConfcCall, 1);
    call->client = client;
    call->id = ++client->next_id;
    char *text =
        g_strdup_printf("{\"jsonrpc\":\"2.0\",\"id\":%" G_GINT64_FORMAT ",\"method\":%s,\"params\":%s}\n",
                        call->id, name_text, params_text);
    call->line = g_bytes_new_take(text, strlen(text));
    if (client->request_timeout > 0)
        call->deadline = g_get_monotonic_time() + (gint64)client->request_timeout * G_USEC_PER_SEC;
    if (client->tick == NULL)
        client->tick = confc_client_add_timeout(client, TICK_MS, tick);
    return call;
}

static void
submit(ConfcClient *client, ConfcCall *call)
{
    g_autoptr(GError) error = NULL;
    gsize size = g_bytes_get_size(call->line);
    if (client->state == CONFC_STATE_READY) {
        send_call(client, call);
        return;
    }
    if (client->state == CONFC_STATE_IDLE || client->state == CONFC_STATE_CLOSING)
        error = g_error_new_literal(CONFC_ERROR, CONFC_ERROR_NOT_CONNECTED, "The client is not connected");
    else if (client->waiting.length >= CONFC_CALLS_MAX || size > CONFC_OUTPUT_MAX - client->waiting_size)
        error = g_error_new_literal(CONFC_ERROR, CONFC_ERROR_QUEUE_FULL,
                                    "Too many requests wait for the connection");
    if (error != NULL) {
        finish(client, call, NULL, error);
        return;
    }
    g_queue_push_tail(&client->waiting, call);
    client->waiting_size += size;
}

static void
send_call(ConfcClient *client, ConfcCall *call)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) line = g_steal_pointer(&call->line);
    if (g_hash_table_size(client->calls) >= CONFC_CALLS_MAX)
        error = g_error_new_literal(CONFC_ERROR, CONFC_ERROR_QUEUE_FULL,
                                    "Too many requests are waiting for an answer");
    else
        confc_link_send(client->link, line, &error);
    if (error != NULL)
        finish(client, call, NULL, error);
    else
        g_hash_table_insert(client->calls, &call->id, call);
}

/* Takes the call. */
static void
finish(ConfcClient *client, ConfcCall *call, JsonNode *result, const GError *error)
{
    g_autoptr(ConfcClient) held = g_object_ref(client);
    if (call->func != NULL)
        call->func(client, result, error, call->data);
    else if (error != NULL)
        g_task_return_error(call->task, g_error_copy(error));
    else
        g_task_return_pointer(call->task, json_node_ref(result), (GDestroyNotify)json_node_unref);
    call_free(call);
}

static void
call_free(ConfcCall *call)
{
    confc_client_clear_source(&call->cancel);
    g_clear_pointer(&call->line, g_bytes_unref);
    g_clear_object(&call->task);
    g_free(call);
}

static gboolean
cancelled(GCancellable *cancellable, void *data)
{
    ConfcCall *call = data;
    ConfcClient *client = call->client;
    g_autoptr(GError) error = NULL;
    g_cancellable_set_error_if_cancelled(cancellable, &error);
    if (!g_hash_table_remove(client->calls, &call->id) && g_queue_remove(&client->waiting, call))
        client->waiting_size -= g_bytes_get_size(call->line);
    finish(client, call, NULL, error);
    return G_SOURCE_REMOVE;
}

static gboolean
tick(void *data)
{
    g_autoptr(ConfcClient) client = g_object_ref(data);
    gint64 now = g_get_monotonic_time();
    g_autoptr(GPtrArray) late = g_ptr_array_new();
    GHashTableIter iter;
    void *call;
    g_hash_table_iter_init(&iter, client->calls);
    while (g_hash_table_iter_next(&iter, NULL, &call)) {
        if (((ConfcCall *)call)->deadline == 0 || ((ConfcCall *)call)->deadline > now)
            continue;
        g_hash_table_iter_steal(&iter);
        g_ptr_array_add(late, call);
    }
    for (GList *link = client->waiting.head; link != NULL;) {
        GList *next = link->next;
        ConfcCall *waiting = link->data;
        if (waiting->deadline != 0 && waiting->deadline <= now) {
            client->waiting_size -= g_bytes_get_size(waiting->line);
            g_queue_delete_link(&client->waiting, link);
            g_ptr_array_add(late, waiting);
        }
        link = next;
    }
    if (g_hash_table_size(client->calls) == 0 && g_queue_is_empty(&client->waiting))
        confc_client_clear_source(&client->tick);
    g_autoptr(GError) error =
        g_error_new_literal(CONFC_ERROR, CONFC_ERROR_TIMEOUT, "The server did not answer in time");
    for (unsigned i = 0; i < late->len; i++)
        finish(client, g_ptr_array_index(late, i), NULL, error);
    return client->tick != NULL ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* The server could not read a line, or not all of it.  If only one request is on its way it was that one. */
static void
take_unnamed_error(ConfcClient *client, JsonObject *fault)
{
    g_autoptr(GError) error = confc_error_from_response(fault);
    if (g_hash_table_size(client->calls) != 1) {
        g_clear_error(&client->said);
        client->said = g_steal_pointer(&error);
        return;
    }
    GHashTableIter iter;
    void *call;
    g_hash_table_iter_init(&iter, client->calls);
    g_hash_table_iter_next(&iter, NULL, &call);
    g_hash_table_iter_steal(&iter);
    finish(client, call, NULL, error);
}

/* Every notification up to the revision that these show has come before them. */
static bool
answer_shows_position(const char *method)
{
    return g_str_equal(method, "object.read") || g_str_equal(method, "object.list");
}

static void
note_position(ConfcClient *client, JsonNode *result)
{
    JsonObject *object = JSON_NODE_HOLDS_OBJECT(result) ? json_node_get_object(result) : NULL;
    const char *chain = confc_json_string(object, "chain");
    gint64 revision = confc_json_integer(object, "revision", 0);
    if (chain != NULL && revision > client->revision)
        confc_session_set_position(client, revision, chain);
}

static void
store_result(GObject *source, GAsyncResult *result, void *data)
{
    GAsyncResult **stored = data;
    *stored = g_object_ref(result);
}
