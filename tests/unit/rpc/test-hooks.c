/* Tests of what plugins do with requests: answer, refuse, keep for later, add methods, send requests of
 * their own. */
#include "../net/probe.h"
#include "base/error.h"
#include "base/log.h"
#include "plugin/loader.h"
#include "rpc-test.h"

typedef enum {
    PASS,
    ANSWER,
    REFUSE,
    REFUSE_WITH_CODE,
    UNAVAILABLE,
    ADD,
    KEEP,
    KEEP_BRIEFLY,
    FINISH_WITHIN,
    NO_JSON
} What;

static ConfPlugin *probe;
static What what;                 /* the first hook does */
static unsigned received, behind; /* calls of the first hook, and of the one behind it */
static unsigned answered, gone;
static int last_code;
static ConfLater *later;
static char *seen_params;

static void
on_gone(void *data)
{
    g_assert_true(data == &gone);
    gone++;
}

static ConfVerdict
keep(ConfRequest *r, unsigned ms)
{
    later = conf_request_later(r, ms, on_gone, &gone);
    return CONF_LATER;
}

static ConfVerdict
hook_received(void *self, ConfRequest *r, GError **error)
{
    g_assert_true(self == probe);
    received++;
    g_free(seen_params);
    seen_params = g_strdup(conf_request_get_params_json(r));
    g_assert_nonnull(conf_request_get_peer(r));
    switch (what) {
    case PASS:
        return CONF_NEXT;
    case ANSWER:
        conf_request_answer_json(r, "{\r\n  \"from\": \"the\\nhook\"\n}");
        conf_request_answer_json(r, "\"a second time\"");
        return CONF_DONE;
    case NO_JSON:
        conf_request_answer_json(r, "{\"a\":");
        return CONF_DONE;
    case REFUSE:
        conf_request_answer_error(r, -32005, "Not you", "{ \"who\": 5 }");
        return CONF_DONE;
    case REFUSE_WITH_CODE:
        g_set_error(error, CONF_PLUGIN_RPC_ERROR, -32016, "Too many");
        return CONF_REFUSE;
    case UNAVAILABLE:
        g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "The directory is silent");
        return CONF_REFUSE;
    case ADD:
        conf_request_add_to_answer(r, "addp", "{\"timeout\":\n16}");
        conf_request_add_to_answer(r, "more", "1");
        return CONF_NEXT;
    case KEEP:
        return keep(r, 5000);
    case KEEP_BRIEFLY:
        return keep(r, 30);
    case FINISH_WITHIN:
        keep(r, 5000);
        conf_later_answer(later, "\"within\"");
        return CONF_LATER;
    }
    return CONF_NEXT;
}

static ConfVerdict
hook_received_behind(void *self, ConfRequest *r, GError **error)
{
    behind++;
    return CONF_NEXT;
}

static void
hook_answered(void *self, ConfRequest *r, int code, uint64_t usec)
{
    answered++;
    last_code = code;
    g_assert_cmpuint(usec, <, 60 * G_USEC_PER_SEC);
    g_assert_nonnull(conf_request_get_method_name(r));
}

static void
method_answer(void *self, ConfRequest *r)
{
    conf_request_answer_json(r, "\"of the plugin\"");
}

static void
method_later(void *self, ConfRequest *r)
{
    keep(r, 5000);
}

void *
probe_load(ConfPlugin *p)
{
    static const ConfHooks FIRST = {
        .size = sizeof(ConfHooks), .received = hook_received, .answered = hook_answered};
    static const ConfHooks BEHIND = {.size = sizeof(ConfHooks), .received = hook_received_behind};
    conf_plugin_hook(p, CONF_LATE, &BEHIND);
    conf_plugin_hook(p, CONF_EARLY, &FIRST);
    probe = p;
    return p;
}

static Rpc *
begin(What does)
{
    what = does;
    received = behind = answered = gone = 0;
    last_code = 1;
    later = NULL;
    return rpc_new();
}

#define QUESTION "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":{\"a\":1}}"
#define RESULT(text) "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":" text "}\n"

static void
test_at_once(void)
{
    static const struct {
        What what;
        const char *answer;
        unsigned behind;
        int code;
    } CASES[] = {
        {PASS, RESULT("{\"a\":1}"), 1, 0},
        {ANSWER, RESULT("{    \"from\": \"the\\nhook\" }"), 0, 0},
        {NO_JSON,
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32603,\"message\":\"A plugin gave an answer that is no JSON.\"}}\n",
         0, -32603},
        {REFUSE,
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32005,\"message\":\"Not you\",\"data\":{\"who\": 5}}}\n",
         0, -32005},
        {REFUSE_WITH_CODE,
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32016,\"message\":\"Too many\"}}\n", 0, -32016},
        {UNAVAILABLE,
         "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32013,\"message\":\"The directory is silent\"}}\n",
         0, -32013},
        {ADD, RESULT("{\"a\":1,\"addp\":{\"timeout\": 16},\"more\":1}"), 1, 0},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(Rpc) rpc = begin(CASES[i].what);
        g_assert_cmpstr(rpc_ask(rpc, QUESTION, 1), ==, CASES[i].answer);
        g_assert_cmpstr(seen_params, ==, "{\"a\":1}");
        g_assert_cmpuint(received, ==, 1);
        g_assert_cmpuint(behind, ==, CASES[i].behind);
        g_assert_cmpuint(answered, ==, 1);
        g_assert_cmpint(last_code, ==, CASES[i].code);
    }
}

static void
test_add_to_empty(void)
{
    g_autoptr(Rpc) rpc = begin(ADD);
    g_assert_cmpstr(rpc_ask(rpc, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}", 1), ==,
                    RESULT("{\"addp\":{\"timeout\": 16},\"more\":1}"));
    g_assert_cmpstr(seen_params, ==, "{}");
    /* An answer that is no object stays as it is. */
    g_assert_cmpstr(rpc_ask(rpc, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"note\"}", 1), ==,
                    RESULT("null"));
    /* A held request keeps what was added. */
    peer_send_text(rpc->peer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hold\"}\n");
    WAIT_FOR(rpc->held->len == 1);
    g_string_truncate(rpc->peer->received, 0);
    conf_request_answer(g_ptr_array_index(rpc->held, 0), CONF_SLICE("{\"b\":2}"));
    WAIT_FOR(peer_count_lines(rpc->peer) == 1);
    g_assert_cmpstr(rpc->peer->received->str, ==, RESULT("{\"b\":2,\"addp\":{\"timeout\": 16},\"more\":1}"));
}

/* Kept: others overtake it; then each way to finish. */
static void
test_later(void)
{
    static const char *const ANSWERS[] = {
        RESULT("\"finished\""),
        RESULT("{\"a\":1}"),
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32013,\"message\":\"No\"}}\n",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32603,\"message\":\"The request got no answer.\"}}\n",
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(ANSWERS); i++) {
        g_autoptr(Rpc) rpc = begin(KEEP);
        peer_send_text(rpc->peer, QUESTION "\n");
        WAIT_FOR(later != NULL);
        what = PASS;
        rpc_ask(rpc, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"echo\"}", 1);
        g_string_truncate(rpc->peer->received, 0);
        g_assert_cmpuint(behind, ==, 1);
        if (i == 0)
            conf_later_answer(later, "\"finished\"");
        else if (i == 1)
            conf_later_finish(later, CONF_NEXT, NULL); /* on with the hook behind, and the method */
        else if (i == 2)
            conf_later_finish(later, CONF_REFUSE, g_error_new(CONF_ERROR, CONF_ERROR_UNAVAILABLE, "No"));
        else
            conf_later_finish(later, CONF_DONE, NULL);
        WAIT_FOR(peer_count_lines(rpc->peer) == 1);
        g_assert_cmpstr(rpc->peer->received->str, ==, ANSWERS[i]);
        g_assert_cmpuint(behind, ==, i == 1 ? 2 : 1);
        g_assert_cmpuint(received, ==, 2);
        g_assert_cmpuint(answered, ==, 2);
        g_assert_cmpuint(gone, ==, 0);
    }
}

static void
test_later_within_hook(void)
{
    g_autoptr(Rpc) rpc = begin(FINISH_WITHIN);
    g_assert_cmpstr(rpc_ask(rpc, QUESTION, 1), ==, RESULT("\"within\""));
}

static void
test_later_timeout(void)
{
    g_autoptr(Rpc) rpc = begin(KEEP_BRIEFLY);
    g_assert_true(g_str_has_prefix(rpc_ask(rpc, QUESTION, 1),
                                   "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32013,"));
    WAIT_FOR(gone == 1);
    conf_later_answer(later, "\"too late\"");
    what = PASS;
    rpc_ask_silent(rpc, "");
    g_assert_cmpuint(gone, ==, 1);
}

/* The client goes while a plugin has its request: the plugin is told once, and finishes to no effect. */
static void
test_later_after_close(void)
{
    for (unsigned i = 0; i < 2; i++) {
        Rpc *rpc = begin(KEEP);
        peer_send_text(rpc->peer, i == 0 ? QUESTION "\n" : "[" QUESTION "]\n");
        WAIT_FOR(later != NULL);
        conf_connection_close(rpc->server->connection, "Over");
        WAIT_FOR(rpc->server->closed == 1);
        g_assert_cmpuint(gone, ==, 1);
        rpc_free(rpc);
        conf_later_finish(later, CONF_NEXT, NULL);
        g_assert_cmpuint(behind, ==, 0);
        g_assert_cmpuint(gone, ==, 1);
    }
}

/* As core/server wires methods of plugins. */
typedef struct {
    ConfPluginMethodFunc func;
} PluginMethod;

static void
run_plugin_method(ConfRequest *request, void *data)
{
    PluginMethod *method = data;
    conf_plugin_enter(probe);
    method->func(conf_plugin_get_self(probe), request);
    conf_plugin_leave(probe);
}

static void
test_methods(void)
{
    g_autoptr(Rpc) rpc = begin(PASS);
    PluginMethod answer = {method_answer}, put_off = {method_later};
    g_assert_true(conf_method_table_add(
        rpc->table, &(ConfMethod){.name = "p.answer", .func = run_plugin_method, .data = &answer}));
    g_assert_true(conf_method_table_add(
        rpc->table, &(ConfMethod){.name = "p.later", .func = run_plugin_method, .data = &put_off}));
    g_assert_cmpstr(rpc_ask(rpc, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"p.answer\"}", 1), ==,
                    RESULT("\"of the plugin\""));
    for (unsigned i = 0; i < 2; i++) {
        later = NULL;
        g_string_truncate(rpc->peer->received, 0);
        peer_send_text(rpc->peer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"p.later\"}\n");
        WAIT_FOR(later != NULL);
        if (i == 0)
            conf_later_answer(later, "{}");
        else
            conf_later_finish(later, CONF_NEXT, NULL); /* There is none behind a method. */
        WAIT_FOR(peer_count_lines(rpc->peer) == 1);
        g_assert_true(g_str_has_prefix(rpc->peer->received->str,
                                       i == 0 ? RESULT("{}")
                                              : "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32603,"));
    }
}

typedef struct {
    unsigned calls;
    char *result, *error;
} PluginAnswer;

static void
on_plugin_answer(void *self, const char *result, const char *error, void *data)
{
    PluginAnswer *answer = data;
    g_assert_true(self == probe);
    g_assert_true(conf_plugin_current() == probe);
    answer->calls++;
    g_free(answer->result);
    g_free(answer->error);
    answer->result = g_strdup(result);
    answer->error = g_strdup(error);
}

static void
test_plugin_requests(void)
{
    Rpc *rpc = begin(PASS);
    PluginAnswer first = {0}, second = {0}, third = {0};
    ConfConnection *connection = rpc->server->connection;
    g_assert_false(
        conf_connection_send_request(connection, probe, "addp.poll", "{", 1000, on_plugin_answer, &first));
    g_assert_true(
        conf_connection_send_request(connection, probe, "addp.poll", "{\n}", 5000, on_plugin_answer, &first));
    g_assert_true(
        conf_connection_send_request(connection, probe, "addp.poll", "{}", 30, on_plugin_answer, &second));
    g_assert_true(
        conf_connection_send_request(connection, probe, "addp.poll", "{}", 5000, on_plugin_answer, &third));
    g_assert_true(conf_connection_send_notification(connection, "told", "{\"a\":\n1}"));
    WAIT_FOR(peer_count_lines(rpc->peer) == 4);
    g_assert_true(g_str_has_suffix(rpc->peer->received->str,
                                   "{\"jsonrpc\":\"2.0\",\"method\":\"told\",\"params\":{\"a\": 1}}\n"));
    const char *id = strstr(rpc->peer->received->str, "\"id\":") + 5;
    g_autofree char *response = g_strdup_printf(
        "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":{\"revision\":7}}\n", (int)strspn(id, "0123456789"), id);
    peer_send_text(rpc->peer, response);
    WAIT_FOR(first.calls == 1);
    g_assert_cmpstr(first.result, ==, "{\"revision\":7}");
    g_assert_null(first.error);
    WAIT_FOR(second.calls == 1);
    g_assert_null(second.result);
    g_assert_null(second.error);
    conf_connection_close(connection, "Over");
    WAIT_FOR(rpc->server->closed == 1);
    g_assert_cmpuint(third.calls, ==, 1);
    g_assert_cmpuint(first.calls + second.calls, ==, 2);
    g_free(first.result);
    rpc_free(rpc);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    g_autoptr(GError) error = NULL;
    g_autoptr(ConfSettings) settings = conf_settings_new();
    /* Misuse is provoked here; what is logged of it is not what is tested. */
    if (!conf_log_set_verbose("none", &error))
        g_error("%s", error->message);
    ConfPluginHost *host = conf_plugin_host_new(g_getenv("CONF_TEST_PLUGINS"), NULL);
    if (!conf_plugin_host_load(host, "probe", "server", settings, &error))
        g_error("%s", error->message);
    g_test_add_func("/hooks/at-once", test_at_once);
    g_test_add_func("/hooks/add-to-empty", test_add_to_empty);
    g_test_add_func("/hooks/later", test_later);
    g_test_add_func("/hooks/later-within-hook", test_later_within_hook);
    g_test_add_func("/hooks/later-timeout", test_later_timeout);
    g_test_add_func("/hooks/later-after-close", test_later_after_close);
    g_test_add_func("/hooks/methods", test_methods);
    g_test_add_func("/hooks/plugin-requests", test_plugin_requests);
    int status = g_test_run();
    g_free(seen_params);
    conf_plugin_host_free(host);
    return status;
}
