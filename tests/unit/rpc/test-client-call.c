/* Tests of rpc/client-call: requests that this server sends. */
#include "rpc-test.h"

typedef struct {
    unsigned calls;
    char *result, *error;
    ConfCalls *send_again; /* from within */
    void *again;
} Answer;

static void
on_answer(ConfSlice result, ConfSlice error, void *data)
{
    Answer *answer = data;
    answer->calls++;
    g_assert_false(result.size > 0 && error.size > 0);
    g_free(answer->result);
    g_free(answer->error);
    answer->result = conf_slice_dup(result);
    answer->error = conf_slice_dup(error);
    if (answer->send_again != NULL)
        conf_calls_send(answer->send_again, "again", CONF_SLICE("{}"), 5000, on_answer, answer->again);
}

static void
answer_clear(Answer *answer)
{
    g_free(answer->result);
    g_free(answer->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Answer, answer_clear)

static void
on_response(ConfConnection *connection, ConfSlice id, ConfSlice result, ConfSlice error, void *data)
{
    conf_calls_take_response(*(ConfCalls **)data, id, result, error);
}

/* What the peer got: the id of the last request in it. */
static char *
last_id(Rpc *rpc)
{
    const char *id = g_strrstr(rpc->peer->received->str, "\"id\":");
    g_assert_nonnull(id);
    return g_strndup(id + 5, strspn(id + 5, "0123456789"));
}

static void
test_answers(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    ConfCalls *calls = conf_calls_new(rpc->server->connection);
    conf_method_table_set_gate(rpc->table, NULL, NULL, on_response, &calls);
    g_auto(Answer) first = {0}, second = {0};
    conf_calls_send(calls, "addp.poll", CONF_SLICE("{\"a\":1}"), 5000, on_answer, &first);
    WAIT_FOR(peer_count_lines(rpc->peer) == 1);
    g_autofree char *first_id = last_id(rpc);
    g_autofree char *request = g_strdup_printf(
        "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"addp.poll\",\"params\":{\"a\":1}}\n", first_id);
    g_assert_cmpstr(rpc->peer->received->str, ==, request);
    conf_calls_send(calls, "other", CONF_SLICE("{}"), 5000, on_answer, &second);
    WAIT_FOR(peer_count_lines(rpc->peer) == 2);
    g_autofree char *second_id = last_id(rpc);
    g_assert_cmpstr(first_id, !=, second_id);

    /* Unknown ones are ignored; the others find their call in any order, once. */
    g_autofree char *responses = g_strdup_printf(
        "{\"jsonrpc\":\"2.0\",\"id\":123456789,\"result\":0}\n{\"jsonrpc\":\"2.0\",\"id\":\"%s\",\"result\":0}\n"
        "{\"jsonrpc\":\"2.0\",\"id\":99999999999999999,\"result\":0}\n{\"jsonrpc\":\"2.0\",\"id\":-%s,\"result\":0}\n"
        "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":{\"code\":1}}\n{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"b\":2}}\n"
        "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"b\":3}}\n",
        first_id, first_id, second_id, first_id, first_id);
    peer_send_text(rpc->peer, responses);
    WAIT_FOR(first.calls == 1 && second.calls == 1);
    net_test_turn_for(10);
    g_assert_cmpuint(first.calls, ==, 1);
    g_assert_cmpstr(first.result, ==, "{\"b\":2}");
    g_assert_cmpstr(first.error, ==, "");
    g_assert_cmpstr(second.result, ==, "");
    g_assert_cmpstr(second.error, ==, "{\"code\":1}");
    conf_calls_free(calls);
}

static void
test_timeout(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    ConfCalls *calls = conf_calls_new(rpc->server->connection);
    g_auto(Answer) answer = {0};
    conf_calls_send(calls, "slow", CONF_SLICE("{}"), 30, on_answer, &answer);
    WAIT_FOR(answer.calls == 1);
    g_assert_cmpstr(answer.result, ==, "");
    g_assert_cmpstr(answer.error, ==, "");
    conf_calls_free(calls);
    g_assert_cmpuint(answer.calls, ==, 1);
}

/* Every call ends once: when the connection goes, when the owner lets go, and those begun too late. */
static void
test_ends(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    ConfCalls *calls = conf_calls_new(rpc->server->connection);
    g_auto(Answer) first = {0}, again = {0}, freed = {0};
    first.send_again = calls;
    first.again = &again;
    conf_calls_send(calls, "one", CONF_SLICE("{}"), 5000, on_answer, &first);
    conf_connection_close(rpc->server->connection, "Over");
    WAIT_FOR(rpc->server->closed == 1);
    g_assert_cmpuint(first.calls, ==, 1);
    WAIT_FOR(again.calls == 1);
    conf_calls_send(calls, "two", CONF_SLICE("{}"), 5000, on_answer, &freed);
    g_assert_cmpuint(freed.calls, ==, 0);
    conf_calls_free(calls);
    g_assert_cmpuint(freed.calls, ==, 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    g_test_add_func("/client-call/answers", test_answers);
    g_test_add_func("/client-call/timeout", test_timeout);
    g_test_add_func("/client-call/ends", test_ends);
    return g_test_run();
}
