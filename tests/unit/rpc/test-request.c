/* Tests of rpc/request and rpc/method-table: answers at once and later, the gate, what outlives its
 * connection. */
#include "rpc-test.h"

#define HOLD(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"hold\",\"params\":{\"n\":" id "}}"
#define ECHO(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"echo\"}"

static ConfRequest *
take_held(Rpc *rpc)
{
    WAIT_FOR(rpc->held->len > 0);
    return g_ptr_array_steal_index(rpc->held, 0);
}

static void
test_in_order(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    g_autoptr(GString) questions = g_string_new(NULL);
    g_autoptr(GString) answers = g_string_new(NULL);
    for (unsigned i = 0; i < 500; i++) {
        g_string_append_printf(
            questions, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"echo\",\"params\":{\"i\":%u}}\n", i, i);
        g_string_append_printf(answers, "{\"jsonrpc\":\"2.0\",\"id\":%u,\"result\":{\"i\":%u}}\n", i, i);
    }
    g_assert_cmpstr(rpc_ask(rpc, questions->str, 500), ==, answers->str);
}

static void
test_error(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    g_assert_cmpstr(
        rpc_ask(rpc, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"fail\"}", 1), ==,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32004,\"message\":\"There is no host \\\"x\\\"y\\\".\","
        "\"data\":{\"revision\":7}}}\n");
    g_assert_cmpuint(conf_dispatch_get_statistics(rpc->table)->errors, ==, 1);
}

/* Bodies small and large, copied or referenced, stand whole between head and tail. */
static void
test_append_bytes(void)
{
    static const unsigned SIZES[] = {2, 100, 4095, 4096, 4097, 20000, 900000};
    g_autoptr(Rpc) rpc = rpc_new();
    for (unsigned i = 0; i < G_N_ELEMENTS(SIZES); i++) {
        g_autofree char *question = g_strdup_printf(
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"large\",\"params\":{\"size\":%u}}\n" ECHO("2"),
            SIZES[i]);
        const char *answer = rpc_ask(rpc, question, 2);
        g_assert_true(g_str_has_prefix(answer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\""));
        g_assert_true(g_str_has_suffix(answer, "\"}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n"));
        g_assert_cmpuint(
            rpc->peer->received->len, ==,
            strlen(
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n") +
                SIZES[i]);
    }
}

/* One that waits is overtaken; its own text is still good when it is answered. */
static void
test_held(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    g_assert_cmpstr(rpc_ask(rpc, HOLD("1") "\n" HOLD("\"two\"") "\n" ECHO("3"), 1), ==,
                    "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{}}\n");
    ConfRequest *first = take_held(rpc), *second = take_held(rpc);
    g_assert_true(conf_slice_is(conf_request_get_method(first), "hold"));
    g_assert_true(conf_slice_is(conf_request_get_params(first), "{\"n\":1}"));
    g_assert_true(conf_request_get_connection(first) == rpc->server->connection);
    const char *const names[] = {"n", NULL};
    const ConfJson *params = conf_request_parse_params(first, names, NULL);
    g_assert_cmpint(conf_json_member(params, "n")->integer, ==, 1);

    g_string_truncate(rpc->peer->received, 0);
    conf_request_answer(second, CONF_SLICE("\"later\""));
    conf_request_release(second);
    conf_request_answer(first, CONF_SLICE("[]"));
    conf_request_release(first);
    WAIT_FOR(peer_count_lines(rpc->peer) == 2);
    g_assert_cmpstr(
        rpc->peer->received->str, ==,
        "{\"jsonrpc\":\"2.0\",\"id\":\"two\",\"result\":\"later\"}\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[]}\n");
}

static void
test_released_without_answer(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    peer_send_text(rpc->peer, HOLD("1") "\n");
    conf_request_release(take_held(rpc));
    WAIT_FOR(peer_count_lines(rpc->peer) == 1);
    g_assert_true(g_str_has_prefix(rpc->peer->received->str,
                                   "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32603,"));
}

static void
count(void *data)
{
    (*(unsigned *)data)++;
}

/* The client is gone: whoever holds its requests is told once, and may still answer. */
static void
test_held_after_close(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    peer_send_text(rpc->peer, HOLD("1") "\n" HOLD("2") "\n[" HOLD("3") "," HOLD("4") "]\n");
    WAIT_FOR(rpc->held->len == 4);
    unsigned gone = 0, taken_back = 0;
    ConfRequest *requests[4];
    for (unsigned i = 0; i < 4; i++)
        requests[i] = take_held(rpc);
    conf_request_on_gone(requests[0], count, &gone);
    conf_request_on_gone(requests[2], count, &gone);
    conf_request_on_gone(requests[3], count, &taken_back);
    conf_request_on_gone(requests[3], NULL, NULL);
    conf_connection_close(rpc->server->connection, "Over");
    g_assert_cmpuint(gone, ==, 0);
    /* Between the two an answer goes nowhere. */
    conf_request_answer(requests[1], CONF_SLICE("1"));
    WAIT_FOR(rpc->server->closed == 1);
    g_assert_cmpuint(gone, ==, 2);
    g_assert_cmpuint(taken_back, ==, 0);
    g_assert_null(conf_request_get_connection(requests[0]));
    g_assert_null(conf_request_get_session(requests[0]));
    conf_request_answer(requests[0], CONF_SLICE("1"));
    conf_request_begin(requests[2]);
    g_autoptr(ConfBytes) bytes = conf_bytes_new_unset(50000);
    memset(bytes->data, ' ', bytes->size);
    conf_request_append_bytes(requests[2], bytes);
    conf_request_end(requests[2]);
    for (unsigned i = 0; i < 4; i++)
        conf_request_release(requests[i]);
    WAIT_FOR((peer_read(rpc->peer), rpc->peer->eof || rpc->peer->reset));
    g_assert_cmpuint(rpc->peer->received->len, ==, 0);
}

/* A batch is answered whole, when the last of it is. */
static void
test_held_in_batch(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    g_assert_cmpstr(rpc_ask(rpc, "[" HOLD("1") "," ECHO("2") "," HOLD("3") "]\n" ECHO("4"), 1), ==,
                    "{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{}}\n");
    ConfRequest *first = take_held(rpc), *third = take_held(rpc);
    g_string_truncate(rpc->peer->received, 0);
    conf_request_answer(third, CONF_SLICE("3"));
    conf_request_release(third);
    net_test_turn_for(10);
    g_assert_cmpuint(peer_read(rpc->peer), ==, 0);
    conf_request_answer(first, CONF_SLICE("1"));
    conf_request_release(first);
    WAIT_FOR(peer_count_lines(rpc->peer) == 1);
    g_assert_cmpstr(
        rpc->peer->received->str, ==,
        "[{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}},{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":3},"
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}]\n");
}

/* `printf ... | nc -N`: a client that shut its side gets what it asked for, also what takes a while. */
static void
test_half_close(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    peer_send_text(rpc->peer, HOLD("1") "\n[" HOLD("2") "," ECHO("3") "]\n" ECHO("4") "\n");
    g_assert_cmpint(shutdown(rpc->peer->fd, SHUT_WR), ==, 0);
    WAIT_FOR(peer_count_lines(rpc->peer) == 1);
    net_test_turn_for(20);
    g_assert_false(rpc->peer->eof);
    for (unsigned i = 0; i < 2; i++) {
        ConfRequest *held = take_held(rpc);
        conf_request_answer(held, CONF_SLICE("0"));
        conf_request_release(held);
        net_test_turn_for(5);
    }
    WAIT_FOR((peer_read(rpc->peer), rpc->peer->eof));
    g_assert_cmpstr(
        rpc->peer->received->str, ==,
        "{\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{}}\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":0}\n"
        "[{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{}},{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":0}]\n");
    WAIT_FOR(rpc->server->closed == 1);
}

static void
fail_half_way(ConfRequest *request, void *data)
{
    ConfBuffer *buffer = conf_request_begin(request);
    conf_buffer_append_string(buffer, "{\"half\":[1,2");
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    conf_rpc_fail(&error, CONF_RPC_UNAVAILABLE, "Later.");
    conf_request_fail(request, &error);
}

/* A fault found after the answer was begun replaces it. */
static void
test_fail_after_begin(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    g_assert_true(conf_method_table_add(rpc->table, &(ConfMethod){.name = "half", .func = fail_half_way}));
    g_assert_cmpstr(
        rpc_ask(rpc, ECHO("0") "\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"half\"}\n" ECHO("2"), 3), ==,
        "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{}}\n{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32013,\"message\":\"Later.\"}}\n"
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n");
    g_assert_cmpstr(
        rpc_ask(rpc, "[" ECHO("0") ",{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"half\"}]", 1), ==,
        "[{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{}},{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32013,\"message\":\"Later.\"}}]\n");
}

typedef struct {
    bool logged_in;
    ConfSession *session;
    unsigned asked;
} Gatekeeper;

static bool
gate(ConfConnection *connection, const ConfMethod *method, ConfRpcError *error, void *data)
{
    Gatekeeper *keeper = data;
    keeper->asked++;
    if (keeper->logged_in || (method->flags & CONF_METHOD_BEFORE_LOGIN) != 0)
        return true;
    return conf_rpc_fail(error, CONF_RPC_NOT_LOGGED_IN, "Log in first.");
}

static ConfSession *
session_of(ConfConnection *connection, void *data)
{
    Gatekeeper *keeper = data;
    return keeper->session;
}

static void
test_gate(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    Gatekeeper keeper = {0};
    conf_method_table_set_gate(rpc->table, gate, session_of, NULL, &keeper);
    g_assert_true(conf_method_table_add(
        rpc->table, &(ConfMethod){.name = "open", .func = rpc_echo, .flags = CONF_METHOD_BEFORE_LOGIN}));
    g_assert_cmpstr(
        rpc_ask(rpc, ECHO("1"), 1), ==,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32000,\"message\":\"Log in first.\"}}\n");
    g_assert_cmpstr(rpc_ask(rpc, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"open\"}", 1), ==,
                    "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n");
    g_assert_cmpuint(keeper.asked, ==, 2);
    keeper.logged_in = true;
    keeper.session = (ConfSession *)&keeper;
    peer_send_text(rpc->peer, HOLD("3") "\n");
    ConfRequest *held = take_held(rpc);
    g_assert_true(conf_request_get_session(held) == keeper.session);
    /* The session ended, or another one stands in its place: the request's is gone. */
    keeper.session = NULL;
    g_assert_null(conf_request_get_session(held));
    keeper.session = (ConfSession *)&rpc;
    g_assert_null(conf_request_get_session(held));
    conf_request_release(held);
}

static void
test_table(void)
{
    ConfMethodTable *table = conf_method_table_new();
    for (unsigned i = 0; i < 200; i++) {
        g_autofree char *name = g_strdup_printf("family%u.method%u", i % 7, i);
        g_assert_true(conf_method_table_add(table, &(ConfMethod){.name = name, .data = GUINT_TO_POINTER(i)}));
        g_assert_false(conf_method_table_add(table, &(ConfMethod){.name = name}));
    }
    for (unsigned i = 0; i < 200; i++) {
        g_autofree char *name = g_strdup_printf("family%u.method%u", i % 7, i);
        const ConfMethod *method = conf_method_table_lookup(table, conf_slice_from_string(name));
        g_assert_nonnull(method);
        g_assert_cmpuint(GPOINTER_TO_UINT(method->data), ==, i);
    }
    g_assert_null(conf_method_table_lookup(table, CONF_SLICE("family1.method0")));
    g_assert_null(conf_method_table_lookup(table, (ConfSlice){NULL, 0}));
    conf_method_table_free(table);
}

static bool
knows(const char *method, ConfSlice member, void *data)
{
    return strcmp(method, "large") == 0 && conf_slice_is(member, "addp");
}

/* Members that a plugin understands are no fault. */
static void
test_known_params(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    const char *question =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"large\",\"params\":{\"addp\":{},\"size\":3}}";
    const char *other =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"large\",\"params\":{\"other\":{},\"size\":3}}";
    g_assert_nonnull(strstr(rpc_ask(rpc, question, 1), "\"path\":\"/addp\""));
    conf_request_set_known_param_func(knows, NULL);
    g_assert_cmpstr(rpc_ask(rpc, question, 1), ==, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"x\"}\n");
    g_assert_nonnull(strstr(rpc_ask(rpc, other, 1), "\"path\":\"/other\""));
    conf_request_set_known_param_func(NULL, NULL);
}

static void
test_begin_notification(void)
{
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    conf_rpc_begin_notification(&buffer, "server.status");
    conf_buffer_append_string(&buffer, "{}}\n");
    g_autofree char *text = g_strndup(buffer.data, buffer.size);
    g_assert_cmpstr(text, ==, "{\"jsonrpc\":\"2.0\",\"method\":\"server.status\",\"params\":{}}\n");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    g_test_add_func("/request/in-order", test_in_order);
    g_test_add_func("/request/error", test_error);
    g_test_add_func("/request/append-bytes", test_append_bytes);
    g_test_add_func("/request/held", test_held);
    g_test_add_func("/request/released-without-answer", test_released_without_answer);
    g_test_add_func("/request/held-after-close", test_held_after_close);
    g_test_add_func("/request/held-in-batch", test_held_in_batch);
    g_test_add_func("/request/half-close", test_half_close);
    g_test_add_func("/request/fail-after-begin", test_fail_after_begin);
    g_test_add_func("/request/gate", test_gate);
    g_test_add_func("/request/table", test_table);
    g_test_add_func("/request/known-params", test_known_params);
    g_test_add_func("/request/begin-notification", test_begin_notification);
    return g_test_run();
}
