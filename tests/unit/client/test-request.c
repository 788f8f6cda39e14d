/* Requests: matched with their answers, failed when they must be, never lost. */
#include "confclient.h"
#include "double.h"

#include <string.h>

typedef struct {
    JsonObject *held[8];
    unsigned count;
    unsigned polls, errors;
    unsigned connected;
    bool swallow;
} Script;

static bool
serve(Double *server, DoublePeer *peer, const char *method, JsonObject *request, void *data)
{
    Script *script = data;
    if (g_str_equal(method, "test.echo")) {
        g_autofree char *params = json_to_string(json_object_get_member(request, "params"), FALSE);
        double_answer(peer, request, params);
        return true;
    }
    if (g_str_equal(method, "test.hold")) {
        script->held[script->count++] = json_object_ref(request);
        return true;
    }
    if (g_str_equal(method, "test.refuse")) {
        double_refuse(peer, request, -32602, "{\"path\":\"/object/name\"}");
        return true;
    }
    if (g_str_equal(method, "session.resume")) {
        double_answer(peer, request, "{" DOUBLE_SESSION ",\"missed\":0,\"subscriptions\":[]}");
        return true;
    }
    if (method[0] == '\0') {
        script->polls += json_object_has_member(request, "result") ? 1 : 0;
        script->errors += json_object_has_member(request, "error") ? 1 : 0;
        return true;
    }
    return false;
}

typedef struct {
    Double *server;
    ConfcClient *client;
    Script script;
} Fixture;

static void
note_connected(ConfcClient *client, gboolean resumed, Script *script)
{
    script->connected++;
}

static void
set_up(Fixture *fixture, const void *data)
{
    fixture->server = double_new(serve, &fixture->script);
    fixture->client = confc_client_new(double_address(fixture->server));
    g_object_set(fixture->client, "user", "admin", "password", "secret", "application", "confctl", NULL);
    if (data != NULL)
        g_object_set(fixture->client, "request-timeout", 1, NULL);
    g_signal_connect(fixture->client, "connected", G_CALLBACK(note_connected), &fixture->script);
    g_assert_true(confc_client_connect(fixture->client, NULL, NULL));
}

static void
tear_down(Fixture *fixture, const void *data)
{
    confc_client_disconnect(fixture->client);
    g_object_unref(fixture->client);
    double_free(fixture->server);
    for (unsigned i = 0; i < fixture->script.count; i++)
        json_object_unref(fixture->script.held[i]);
}

static JsonNode *
params_new(const char *text)
{
    return json_from_string(text, NULL);
}

static void
note_result(GObject *source, GAsyncResult *result, void *data)
{
    GAsyncResult **stored = data;
    *stored = g_object_ref(result);
}

static void
wait_result(GAsyncResult **result)
{
    while (*result == NULL)
        g_main_context_iteration(NULL, TRUE);
}

static void
wait_held(Fixture *fixture, unsigned count)
{
    double_wait(&fixture->script.count, count);
}

static void
test_answer(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) params = params_new("{\"text\":\"\\u0000\\n\\\"\xc3\xa4\",\"n\":9007199254740991}");
    g_autoptr(JsonNode) result = confc_client_request(fixture->client, "test.echo", params, NULL, &error);
    g_assert_no_error(error);
    g_assert_true(json_node_equal(params, result));
}

static void
test_error(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(confc_client_request(fixture->client, "test.refuse", NULL, NULL, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_INVALID_PARAMS);
    g_assert_cmpstr(error->message, ==, "Refused.");
    g_assert_cmpstr(confc_error_get_path(error), ==, "/object/name");
    g_autoptr(GError) copy = g_error_copy(error);
    g_assert_cmpstr(confc_error_get_path(copy), ==, "/object/name");
}

/* Answers may come in another order than the requests. */
static void
test_pipelined(Fixture *fixture, const void *data)
{
    GAsyncResult *results[3] = {NULL};
    for (unsigned i = 0; i < 3; i++)
        confc_client_request_async(fixture->client, "test.hold", NULL, NULL, note_result, &results[i]);
    wait_held(fixture, 3);
    DoublePeer *peer = double_last_peer(fixture->server);
    static const unsigned order[] = {2, 0, 1};
    for (unsigned i = 0; i < 3; i++) {
        g_autofree char *text = g_strdup_printf("%u", order[i]);
        double_answer(peer, fixture->script.held[order[i]], text);
    }
    for (unsigned i = 0; i < 3; i++) {
        wait_result(&results[i]);
        g_autoptr(JsonNode) result = confc_client_request_finish(fixture->client, results[i], NULL);
        g_assert_cmpint(json_node_get_int(result), ==, i);
        g_object_unref(results[i]);
    }
}

/* What was sent before a break fails, since nobody knows what became of it; what is asked meanwhile waits. */
static void
test_break(Fixture *fixture, const void *data)
{
    g_autoptr(GAsyncResult) sent = NULL, waiting = NULL;
    g_autoptr(GError) error = NULL;
    confc_client_request_async(fixture->client, "test.hold", NULL, NULL, note_result, &sent);
    wait_held(fixture, 1);
    double_hang_up(double_last_peer(fixture->server));
    wait_result(&sent);
    g_assert_null(confc_client_request_finish(fixture->client, sent, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_LOST);
    g_assert_false(confc_client_is_connected(fixture->client));
    g_autoptr(JsonNode) params = params_new("{\"a\":1}");
    confc_client_request_async(fixture->client, "test.echo", params, NULL, note_result, &waiting);
    wait_result(&waiting);
    g_autoptr(JsonNode) result = confc_client_request_finish(fixture->client, waiting, NULL);
    g_assert_true(json_node_equal(params, result));
}

static void
test_cancel(Fixture *fixture, const void *data)
{
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    g_autoptr(GAsyncResult) held = NULL;
    g_autoptr(GError) error = NULL;
    confc_client_request_async(fixture->client, "test.hold", NULL, cancellable, note_result, &held);
    wait_held(fixture, 1);
    g_cancellable_cancel(cancellable);
    wait_result(&held);
    g_assert_null(confc_client_request_finish(fixture->client, held, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    /* The late answer is passed over. */
    double_answer(double_last_peer(fixture->server), fixture->script.held[0], "{}");
    g_autoptr(JsonNode) result = confc_client_request(fixture->client, "test.echo", NULL, NULL, NULL);
    g_assert_nonnull(result);
}

static void
test_timeout(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(confc_client_request(fixture->client, "test.hold", NULL, NULL, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_TIMEOUT);
}

static void
test_not_connected(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    confc_client_disconnect(fixture->client);
    g_assert_null(confc_client_request(fixture->client, "test.echo", NULL, NULL, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_NOT_CONNECTED);
}

static void
test_disconnect_fails_pending(Fixture *fixture, const void *data)
{
    g_autoptr(GAsyncResult) held = NULL;
    g_autoptr(GError) error = NULL;
    confc_client_request_async(fixture->client, "test.hold", NULL, NULL, note_result, &held);
    confc_client_disconnect(fixture->client);
    wait_result(&held);
    g_assert_null(confc_client_request_finish(fixture->client, held, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_NOT_CONNECTED);
}

/* The server could not even read the line, and says so without naming the request. */
static void
test_unnamed_error(Fixture *fixture, const void *data)
{
    g_autoptr(GAsyncResult) held = NULL;
    g_autoptr(GError) error = NULL;
    confc_client_request_async(fixture->client, "test.hold", NULL, NULL, note_result, &held);
    wait_held(fixture, 1);
    double_say(double_last_peer(fixture->server),
               "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32006,\"message\":\"Too long.\"}}");
    wait_result(&held);
    g_assert_null(confc_client_request_finish(fixture->client, held, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_TOO_LARGE);
}

static void
test_server_asks(Fixture *fixture, const void *data)
{
    DoublePeer *peer = double_last_peer(fixture->server);
    double_say(peer, "{\"jsonrpc\":\"2.0\",\"id\":\"p-1\",\"method\":\"addp.poll\",\"params\":{}}");
    double_wait(&fixture->script.polls, 1);
    double_say(peer, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"client.explode\",\"params\":{}}");
    double_wait(&fixture->script.errors, 1);
    /* Unknown notifications, members and answers are nothing to stumble over. */
    double_say(peer, "{\"jsonrpc\":\"2.0\",\"method\":\"server.news\",\"params\":{\"x\":1},\"extra\":[]}");
    double_say(peer, "{\"jsonrpc\":\"2.0\",\"id\":4711,\"result\":{}}");
    double_say(peer, "");
    g_autoptr(JsonNode) result = confc_client_request(fixture->client, "test.echo", NULL, NULL, NULL);
    g_assert_nonnull(result);
}

/* Nonsense ends the connection, not the client. */
static void
test_nonsense(Fixture *fixture, const void *data)
{
    double_say(double_last_peer(fixture->server), "HTTP/1.1 400 Bad Request");
    double_wait(&fixture->script.connected, 2);
    g_autoptr(JsonNode) result = confc_client_request(fixture->client, "test.echo", NULL, NULL, NULL);
    g_assert_nonnull(result);
}

static void
test_torn_lines(Fixture *fixture, const void *data)
{
    g_autoptr(GAsyncResult) held = NULL;
    confc_client_request_async(fixture->client, "test.hold", NULL, NULL, note_result, &held);
    wait_held(fixture, 1);
    g_autofree char *id = json_to_string(json_object_get_member(fixture->script.held[0], "id"), FALSE);
    g_autofree char *fill = g_strnfill(300000, 'x');
    g_autofree char *line =
        g_strdup_printf("{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":\"%s\"}\r\n\n", id, fill);
    DoublePeer *peer = double_last_peer(fixture->server);
    for (gsize sent = 0, size = strlen(line); sent < size; sent += 50001) {
        double_write(peer, line + sent, MIN(50001, size - sent));
        for (unsigned i = 0; i < 3; i++)
            g_main_context_iteration(NULL, FALSE);
    }
    wait_result(&held);
    g_autoptr(JsonNode) result = confc_client_request_finish(fixture->client, held, NULL);
    g_assert_cmpuint(strlen(json_node_get_string(result)), ==, 300000);
}

static void
test_params(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) params = params_new("[1]");
    g_assert_null(confc_client_request(fixture->client, "test.echo", params, NULL, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_ARGUMENT);
}

#define ADD(name, func, data) g_test_add("/client/request/" name, Fixture, data, set_up, func, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("answer", test_answer, NULL);
    ADD("error", test_error, NULL);
    ADD("pipelined", test_pipelined, NULL);
    ADD("break", test_break, NULL);
    ADD("cancel", test_cancel, NULL);
    ADD("timeout", test_timeout, "short");
    ADD("not-connected", test_not_connected, NULL);
    ADD("disconnect-fails-pending", test_disconnect_fails_pending, NULL);
    ADD("unnamed-error", test_unnamed_error, NULL);
    ADD("server-asks", test_server_asks, NULL);
    ADD("nonsense", test_nonsense, NULL);
    ADD("torn-lines", test_torn_lines, NULL);
    ADD("params", test_params, NULL);
    return g_test_run();
}
