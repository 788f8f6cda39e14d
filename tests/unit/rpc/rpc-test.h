/* rpc-test.h - a method table behind a real connection, and a raw peer that speaks to it. */
#pragma once

#include "../net/server-test.h"
#include "rpc/client-call.h"
#include "rpc/method-table.h"

typedef struct {
    Server *server;
    Peer *peer;
    ConfMethodTable *table;
    GPtrArray *held; /* of ConfRequest, by method "hold" */
    unsigned noted;  /* calls of method "note" */
} Rpc;

static Rpc *rpc_now; /* methods and lines find it here */

static void
rpc_line(Server *server, ConfSlice line)
{
    conf_dispatch_line(rpc_now->table, server->connection, line);
}

static void
rpc_echo(ConfRequest *request, void *data)
{
    conf_request_answer(request, conf_request_get_params(request));
}

static void
rpc_note(ConfRequest *request, void *data)
{
    rpc_now->noted++;
    conf_request_answer(request, CONF_SLICE("null"));
}

static void
rpc_hold(ConfRequest *request, void *data)
{
    g_ptr_array_add(rpc_now->held, conf_request_hold(request));
}

static void
rpc_silent(ConfRequest *request, void *data)
{
}

static void
rpc_fail(ConfRequest *request, void *data)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    conf_rpc_fail(&error, CONF_RPC_NOT_FOUND, "There is no host \"%s\".", "x\"y");
    conf_rpc_error_add_integer(&error, "revision", 7);
    conf_request_fail(request, &error);
}

/* A result of params.size bytes, made of references. */
static void
rpc_large(ConfRequest *request, void *data)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    const char *const names[] = {"size", NULL};
    const ConfJson *params = conf_request_parse_params(request, names, &error);
    int64_t size = 0;
    if (params == NULL || !conf_params_integer(params, "", "size", 2, 10000000, true, &size, &error)) {
        conf_request_fail(request, &error);
        return;
    }
    g_autoptr(ConfBytes) bytes = conf_bytes_new_unset((size_t)size);
    memset(bytes->data, 'x', (size_t)size);
    bytes->data[0] = bytes->data[size - 1] = '"';
    conf_request_begin(request);
    conf_request_append_bytes(request, bytes);
    conf_request_end(request);
}

static void
rpc_bye(ConfRequest *request, void *data)
{
    conf_request_answer(request, CONF_SLICE("{}"));
    conf_connection_close_after_answer(conf_request_get_connection(request), "Asked for");
}

static const ConfMethod rpc_methods[] = {
    {.name = "echo", .func = rpc_echo},   {.name = "note", .func = rpc_note},
    {.name = "hold", .func = rpc_hold},   {.name = "fail", .func = rpc_fail},
    {.name = "large", .func = rpc_large}, {.name = "silent", .func = rpc_silent},
    {.name = "bye", .func = rpc_bye},     {.name = "write", .func = rpc_large, .flags = CONF_METHOD_WRITE},
};

static inline Rpc *
rpc_new(void)
{
    Rpc *rpc = g_new0(Rpc, 1);
    rpc_now = rpc;
    rpc->server = server_with_peer(&rpc->peer);
    rpc->server->on_line = rpc_line;
    rpc->held = g_ptr_array_new();
    rpc->table = conf_method_table_new();
    for (unsigned i = 0; i < G_N_ELEMENTS(rpc_methods); i++)
        g_assert_true(conf_method_table_add(rpc->table, &rpc_methods[i]));
    return rpc;
}

static inline void
rpc_free(Rpc *rpc)
{
    server_free(rpc->server);
    for (unsigned i = 0; i < rpc->held->len; i++)
        conf_request_release(g_ptr_array_index(rpc->held, i));
    g_ptr_array_unref(rpc->held);
    conf_method_table_free(rpc->table);
    peer_free(rpc->peer);
    g_free(rpc);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rpc, rpc_free)

/* Sends `text` and all that is in `more`, and takes `lines` lines; borrowed until the next call. */
static inline const char *
rpc_ask(Rpc *rpc, const char *text, unsigned lines)
{
    g_string_truncate(rpc->peer->received, 0);
    peer_send_text(rpc->peer, text);
    peer_send_text(rpc->peer, "\n");
    WAIT_FOR(peer_count_lines(rpc->peer) >= lines);
    g_assert_cmpuint(peer_count_lines(rpc->peer), ==, lines);
    return rpc->peer->received->str;
}

/* As above where nothing shall come: a request behind it is answered alone. */
static inline void
rpc_ask_silent(Rpc *rpc, const char *text)
{
    g_autofree char *both =
        g_strconcat(text, "\n{\"jsonrpc\":\"2.0\",\"id\":\"after\",\"method\":\"echo\"}", NULL);
    g_assert_cmpstr(rpc_ask(rpc, both, 1), ==, "{\"jsonrpc\":\"2.0\",\"id\":\"after\",\"result\":{}}\n");
}
