/* Tests of rpc: what is a request, and what is answered to all that is none. */
#include "rpc-test.h"

#define ID_128 \
    "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890" \
    "1234567890123456789012345678"

typedef struct {
    const char *line;
    const char *id; /* of the answer */
    int code;       /* 0: the result is {} */
} Case;

static const Case cases[] = {
    /* sound */
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}", "1", 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":{}}", "1", 0},
    {" { \"params\" : {} , \"method\" : \"echo\" , \"id\" : \"x\" , \"jsonrpc\" : \"2.0\" } ", "\"x\"", 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":-0,\"method\":\"echo\"}", "-0", 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":-7,\"method\":\"echo\"}", "-7", 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":9007199254740991,\"method\":\"echo\"}", "9007199254740991", 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":-9007199254740991,\"method\":\"echo\"}", "-9007199254740991", 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":9007199254740992,\"method\":\"echo\"}", "9007199254740992", 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":-" ID_128 ",\"method\":\"echo\"}", "null", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":" ID_128 ",\"method\":\"echo\"}", ID_128, 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":\"\",\"method\":\"echo\"}", "\"\"", 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":\"\\u0041\\n\\/\\ud83d\\ude00\",\"method\":\"echo\"}",
     "\"\\u0041\\n\\/\\ud83d\\ude00\"", 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":\"" ID_128 "\",\"method\":\"echo\"}", "\"" ID_128 "\"", 0},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ec\\u0068o\"}", "1", 0},
    {"{\"\\u006asonrpc\":\"2.\\u0030\",\"id\":1,\"method\":\"echo\"}", "1", 0},
    /* ids */
    {"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"echo\"}", "null", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"echo\"}", "null", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":1.0,\"method\":\"echo\"}", "null", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":1e3,\"method\":\"echo\"}", "null", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":" ID_128 "9,\"method\":\"echo\"}", "null", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"echo\"}", "null", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"echo\"}", "null", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":{\"a\":[]},\"method\":\"echo\"}", "null", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":\"" ID_128 "9\",\"method\":\"echo\"}", "null", -32600},
    /* members */
    {"{\"id\":1,\"method\":\"echo\"}", "1", -32600},
    {"{\"jsonrpc\":2.0,\"id\":1,\"method\":\"echo\"}", "1", -32600},
    {"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"echo\"}", "1", -32600},
    {"{\"jsonrpc\":[\"2.0\"],\"id\":1,\"method\":\"echo\"}", "1", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":1}", "1", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}", "1", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":null}", "1", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":{\"a\":1}}", "1", -32600},
    {"{\"jsonrpc\":\"2.0\",\"method\":5}", "null", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"extra\":1}", "1", -32600},
    {"{\"jsonrpc\":\"2.0\",\"extra\":{\"a\":[1]},\"id\":1,\"method\":\"echo\"}", "1", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"result\":1}", "1", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"error\":{}}", "1", -32600},
    {"{}", "null", -32600},
    /* params, methods */
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":[]}", "1", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":null}", "1", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":\"x\"}", "1", -32602},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no.such\"}", "1", -32601},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}", "1", -32601},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no.such\",\"params\":[]}", "1", -32601},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"silent\"}", "1", -32603},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"large\",\"params\":{\"size\":2,\"more\":1}}", "1", -32602},
    /* the text */
    {"nonsense", "null", -32700},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"", "null", -32700},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}}", "null", -32700},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"} {}", "null", -32700},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":{\"a\":1e400}}", "null", -32700},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":{\"a\":\"\\ud800\"}}", "null", -32700},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":{\"a\":\"\xff\"}}", "null", -32700},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":{\"a\":1,\"a\":2}}", "null", -32600},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":1,\"method\":\"echo\"}", "null", -32600},
    {"5", "null", -32600},
    {"\"text\"", "null", -32600},
    {"null", "null", -32600},
    {"1e400", "null", -32700},
    {"[]", "null", -32600},
    {"[", "null", -32700},
    {"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"},", "null", -32700},
    {"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}]]", "null", -32700},
    {"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"method\":\"echo\"}]", "null", -32600},
};

static void
test_cases(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *answer = rpc_ask(rpc, cases[i].line, 1);
        g_autofree char *sound =
            g_strdup_printf("{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{}}\n", cases[i].id);
        g_autofree char *begin =
            g_strdup_printf("{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":{\"code\":%d,\"message\":\"",
                            cases[i].id, cases[i].code);
        if (cases[i].code == 0)
            g_assert_cmpstr(answer, ==, sound);
        else if (!g_str_has_prefix(answer, begin))
            g_error("case %u is answered with %s", i, answer);
    }
    g_assert_cmpuint(conf_dispatch_get_statistics(rpc->table)->requests, ==, G_N_ELEMENTS(cases));
}

static void
test_depth(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    for (unsigned levels = 63; levels <= 64; levels++) { /* and one: the envelope */
        g_autofree char *open = g_strnfill(levels - 1, '['), *close = g_strnfill(levels - 1, ']');
        g_autofree char *line = g_strdup_printf(
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"note\",\"params\":{\"a\":%s%s}}", open, close);
        const char *answer = rpc_ask(rpc, line, 1);
        g_assert_nonnull(strstr(answer, levels == 63 ? "\"result\":null" : "\"code\":-32700"));
    }
}

/* Notifications run, and nothing is answered to them, whatever becomes of them. */
static void
test_notifications(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    rpc_ask_silent(rpc, "{\"jsonrpc\":\"2.0\",\"method\":\"note\"}");
    g_assert_cmpuint(rpc->noted, ==, 1);
    rpc_ask_silent(rpc, "{\"jsonrpc\":\"2.0\",\"method\":\"fail\"}");
    rpc_ask_silent(rpc, "{\"jsonrpc\":\"2.0\",\"method\":\"no.such\"}");
    rpc_ask_silent(rpc, "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[]}");
    rpc_ask_silent(rpc, "{\"jsonrpc\":\"2.0\",\"method\":\"large\",\"params\":{\"size\":200000}}");
    rpc_ask_silent(rpc, "{\"jsonrpc\":\"2.0\",\"method\":\"silent\"}");
    rpc_ask_silent(rpc, "{\"jsonrpc\":\"2.0\",\"method\":\"hold\"}");
    g_assert_cmpuint(rpc->held->len, ==, 1);
    g_assert_true(conf_request_is_notification(g_ptr_array_index(rpc->held, 0)));
    conf_request_answer(g_ptr_array_index(rpc->held, 0), CONF_SLICE("1"));
    rpc_ask_silent(rpc, "");
}

/* Responses are never answered, not even bad ones: two servers would go on for ever. */
static void
test_responses_are_not_answered(void)
{
    static const char *const LINES[] = {
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"error\":{\"code\":1,\"message\":\"\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"\"}}",
        "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":\"\"}}",
        "{\"id\":1,\"result\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"error\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"more\":{}}",
    };
    g_autoptr(Rpc) rpc = rpc_new();
    for (unsigned i = 0; i < G_N_ELEMENTS(LINES); i++)
        rpc_ask_silent(rpc, LINES[i]);
}

#define SOUND(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"echo\"}"
#define ANSWER(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":{}}"

static void
test_batch(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    g_assert_cmpstr(rpc_ask(rpc, "[" SOUND("1") "]", 1), ==, "[" ANSWER("1") "]\n");
    g_assert_cmpstr(rpc_ask(rpc, " [ " SOUND("1") " , " SOUND("\"b\"") " ] ", 1), ==,
                    "[" ANSWER("1") "," ANSWER("\"b\"") "]\n");
    /* Notifications leave no gap; bad ones answer each by itself. */
    g_assert_cmpstr(rpc_ask(rpc,
                            "[{\"jsonrpc\":\"2.0\",\"method\":\"note\"}," SOUND(
                                "1") ",{\"jsonrpc\":\"2.0\",\"method\":\"note\"}]",
                            1),
                    ==, "[" ANSWER("1") "]\n");
    g_assert_cmpuint(rpc->noted, ==, 2);
    const char *answer =
        rpc_ask(rpc, "[1," SOUND("7") ",{\"a\":1},[],{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1}]", 1);
    g_assert_true(g_str_has_prefix(answer, "[{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,"));
    g_autofree char **parts = g_strsplit(answer, "-32600", -1);
    g_assert_cmpuint(g_strv_length(parts), ==, 5);
    g_assert_nonnull(strstr(answer, "," ANSWER("7") ","));
    for (unsigned i = 0; parts[i] != NULL; i++)
        g_free(parts[i]);
    /* Notifications alone are not answered. */
    rpc_ask_silent(rpc,
                   "[{\"jsonrpc\":\"2.0\",\"method\":\"note\"},{\"jsonrpc\":\"2.0\",\"method\":\"fail\"}]");
    g_assert_cmpuint(rpc->noted, ==, 3);
}

static void
check_batch_of(Rpc *rpc, unsigned count, bool fits)
{
    g_autoptr(GString) line = g_string_new("[");
    for (unsigned i = 0; i < count; i++)
        g_string_append_printf(line, "%s{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"note\"}",
                               i > 0 ? "," : "", i);
    g_string_append_c(line, ']');
    unsigned before = rpc->noted;
    const char *answer = rpc_ask(rpc, line->str, 1);
    g_assert_cmpuint(rpc->noted - before, ==, fits ? count : 0);
    if (fits)
        g_assert_true(g_str_has_suffix(answer, ",{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":null}]\n"));
    else
        g_assert_true(
            g_str_has_prefix(answer, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,"));
}

static void
test_batch_size(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    check_batch_of(rpc, 100, true);
    check_batch_of(rpc, 101, false);
    check_batch_of(rpc, 1000, false);
    /* A fault anywhere, and nothing of it runs. */
    rpc_ask(rpc, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"note\"},{]", 1);
    g_assert_cmpuint(rpc->noted, ==, 100);
}

/* No line of the server is longer than 1 MiB unless one answer alone is. */
static void
test_batch_of_large_answers(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    conf_connection_set_queue_limit(rpc->server->connection, 8 * 1024 * 1024);
    const char *answer =
        rpc_ask(rpc,
                "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"large\",\"params\":{\"size\":600000}},"
                "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"large\",\"params\":{\"size\":600000}},"
                "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"write\",\"params\":{\"size\":600000}}]",
                1);
    g_assert_nonnull(strstr(answer, "{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32006,"));
    /* What was written is told, however long it is. */
    g_assert_nonnull(strstr(answer, "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":\"xxx"));
    answer = rpc_ask(
        rpc, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"large\",\"params\":{\"size\":2000000}}]", 1);
    g_assert_true(g_str_has_prefix(answer, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"xxx"));
}

static void
test_close_in_batch(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    g_assert_cmpstr(
        rpc_ask(rpc, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"bye\"}," SOUND("2") "]\n" SOUND("3"), 1),
        ==, "[" ANSWER("1") "," ANSWER("2") "]\n");
    WAIT_FOR((peer_read(rpc->peer), rpc->peer->eof));
}

static void
test_too_long(void)
{
    g_autoptr(Rpc) rpc = rpc_new();
    WAIT_FOR(rpc->server->opened == 1);
    conf_dispatch_too_long(rpc->table, rpc->server->connection, 65536);
    WAIT_FOR((peer_read(rpc->peer), rpc->peer->eof));
    g_assert_true(g_str_has_prefix(rpc->peer->received->str,
                                   "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32006,"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    g_test_add_func("/envelope/cases", test_cases);
    g_test_add_func("/envelope/depth", test_depth);
    g_test_add_func("/envelope/notifications", test_notifications);
    g_test_add_func("/envelope/responses", test_responses_are_not_answered);
    g_test_add_func("/envelope/batch", test_batch);
    g_test_add_func("/envelope/batch-size", test_batch_size);
    g_test_add_func("/envelope/batch-large", test_batch_of_large_answers);
    g_test_add_func("/envelope/batch-close", test_close_in_batch);
    g_test_add_func("/envelope/too-long", test_too_long);
    return g_test_run();
}
