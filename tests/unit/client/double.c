/* double.c - see double.h. */
#include "double.h"

#include <string.h>

struct DoublePeer {
    Double *server;
    GSocketConnection *connection;
    GDataInputStream *input;
    bool is_gone;
};

struct Double {
    GSocketListener *listener;
    GCancellable *cancellable;
    char *address;
    DoubleFunc func;
    void *data;
    GPtrArray *peers;
};

static gboolean keep_turning(void *data);
static void accept_next(Double *server);
static void accepted(GObject *source, GAsyncResult *result, void *data);
static void read_next(DoublePeer *peer);
static void line_read(GObject *source, GAsyncResult *result, void *data);
static void take_line(DoublePeer *peer, const char *line);
static void peer_free(void *data);

Double *
double_new(DoubleFunc func, void *data)
{
    Double *server = g_new0(Double, 1);
    server->func = func;
    server->data = data;
    server->listener = g_socket_listener_new();
    server->cancellable = g_cancellable_new();
    server->peers = g_ptr_array_new_with_free_func(peer_free);
    g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
    g_autoptr(GSocketAddress) any = g_inet_socket_address_new(loopback, 0);
    g_autoptr(GSocketAddress) real = NULL;
    g_autoptr(GError) error = NULL;
    g_socket_listener_add_address(server->listener, any, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL,
                                  &real, &error);
    g_assert_no_error(error);
    server->address =
        g_strdup_printf("127.0.0.1:%u", g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(real)));
    accept_next(server);
    return server;
}

void
double_free(Double *server)
{
    g_cancellable_cancel(server->cancellable);
    g_socket_listener_close(server->listener);
    for (unsigned i = 0; i < server->peers->len; i++)
        double_hang_up(g_ptr_array_index(server->peers, i));
    /* What was cancelled comes back once more. */
    for (unsigned i = 0; i < 20; i++)
        g_main_context_iteration(NULL, FALSE);
    g_ptr_array_unref(server->peers);
    g_object_unref(server->listener);
    g_object_unref(server->cancellable);
    g_free(server->address);
    g_free(server);
}

const char *
double_address(Double *server)
{
    return server->address;
}

DoublePeer *
double_last_peer(Double *server)
{
    DoublePeer *peer =
        server->peers->len > 0 ? g_ptr_array_index(server->peers, server->peers->len - 1) : NULL;
    return peer != NULL && !peer->is_gone ? peer : NULL;
}

unsigned
double_connections(Double *server)
{
    return server->peers->len;
}

void
double_answer(DoublePeer *peer, JsonObject *request, const char *result)
{
    g_autofree char *id = json_to_string(json_object_get_member(request, "id"), FALSE);
    g_autofree char *line = g_strdup_printf("{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}", id, result);
    double_say(peer, line);
}

void
double_refuse(DoublePeer *peer, JsonObject *request, int code, const char *data)
{
    g_autofree char *id = json_to_string(json_object_get_member(request, "id"), FALSE);
    g_autofree char *line = g_strdup_printf(
        "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":{\"code\":%d,\"message\":\"Refused.\",\"data\":%s}}", id,
        code, data != NULL ? data : "{}");
    double_say(peer, line);
}

void
double_say(DoublePeer *peer, const char *line)
{
    g_autofree char *text = g_strconcat(line, "\n", NULL);
    double_write(peer, text, strlen(text));
}

void
double_write(DoublePeer *peer, const char *bytes, gsize size)
{
    GOutputStream *output = g_io_stream_get_output_stream(G_IO_STREAM(peer->connection));
    if (!peer->is_gone)
        g_output_stream_write_all(output, bytes, size, NULL, NULL, NULL);
}

void
double_hang_up(DoublePeer *peer)
{
    if (!peer->is_gone)
        g_socket_close(g_socket_connection_get_socket(peer->connection), NULL);
    peer->is_gone = true;
}

JsonObject *
double_params(JsonObject *request)
{
    return json_object_get_object_member(request, "params");
}

void
double_wait(const volatile unsigned *count, unsigned wanted)
{
    gint64 deadline = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
    /* A source, so that the iteration below does not sleep past the deadline. */
    guint source = g_timeout_add(50, keep_turning, NULL);
    while (*count < wanted && g_get_monotonic_time() < deadline)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(source);
    g_assert_cmpuint(*count, >=, wanted);
}

static gboolean
keep_turning(void *data)
{
    return G_SOURCE_CONTINUE;
}

static void
accept_next(Double *server)
{
    g_socket_listener_accept_async(server->listener, server->cancellable, accepted, server);
}

static void
accepted(GObject *source, GAsyncResult *result, void *data)
{
    g_autoptr(GSocketConnection) connection =
        g_socket_listener_accept_finish(G_SOCKET_LISTENER(source), result, NULL, NULL);
    if (connection == NULL)
        return;
    Double *server = data;
    DoublePeer *peer = g_new0(DoublePeer, 1);
    peer->server = server;
    peer->connection = g_steal_pointer(&connection);
    peer->input = g_data_input_stream_new(g_io_stream_get_input_stream(G_IO_STREAM(peer->connection)));
    g_ptr_array_add(server->peers, peer);
    read_next(peer);
    accept_next(server);
}

static void
read_next(DoublePeer *peer)
{
    g_data_input_stream_read_line_async(peer->input, G_PRIORITY_DEFAULT, peer->server->cancellable, line_read,
                                        peer);
}

static void
line_read(GObject *source, GAsyncResult *result, void *data)
{
    g_autofree char *line =
        g_data_input_stream_read_line_finish(G_DATA_INPUT_STREAM(source), result, NULL, NULL);
    if (line == NULL)
        return;
    DoublePeer *peer = data;
    take_line(peer, line);
    if (!peer->is_gone)
        read_next(peer);
}

static void
take_line(DoublePeer *peer, const char *line)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) error = NULL;
    json_parser_load_from_data(parser, line, -1, &error);
    g_assert_no_error(error);
    JsonObject *request = json_node_get_object(json_parser_get_root(parser));
    const char *method = json_object_get_string_member_with_default(request, "method", "");
    if (peer->server->func != NULL &&
        peer->server->func(peer->server, peer, method, request, peer->server->data))
        return;
    if (g_str_equal(method, "session.open"))
        double_answer(peer, request, "{" DOUBLE_SESSION "}");
    else if (g_str_equal(method, "session.close"))
        double_answer(peer, request, "{}");
    else if (g_str_equal(method, "server.schema"))
        double_answer(
            peer, request,
            "{\"types\":[{\"type\":\"application\",\"fields\":[{\"name\":\"ports\",\"kind\":\"list\","
            "\"key\":\"id\",\"of\":{\"kind\":\"struct\"}}]}]}");
    else if (method[0] != '\0')
        double_refuse(peer, request, -32601, NULL);
}

static void
peer_free(void *data)
{
    DoublePeer *peer = data;
    g_object_unref(peer->input);
    g_object_unref(peer->connection);
    g_free(peer);
}
