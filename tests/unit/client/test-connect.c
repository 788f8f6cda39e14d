/* Connecting, logging in, coming back after a break. */
#include "client-private.h"
#include "double.h"

#include <string.h>

typedef struct {
    unsigned polls, opens, resumes, closes, connected, disconnected, will_reconnect, resets, challenges,
        answers, wanted_refusals;
    int refuse_resume;
    char *resume_params;
    char *open_params;
    bool hang_up_on_open;
} Record;

static bool
serve(Double *server, DoublePeer *peer, const char *method, JsonObject *request, void *data)
{
    Record *record = data;
    g_autofree char *params = json_to_string(json_object_get_member(request, "params"), FALSE);
    if (g_str_equal(method, "session.open")) {
        record->opens++;
        g_free(record->open_params);
        record->open_params = g_steal_pointer(&params);
        if (record->hang_up_on_open)
            double_hang_up(peer);
        return record->hang_up_on_open;
    }
    if (g_str_equal(method, "session.close"))
        record->closes++;
    if (!g_str_equal(method, "session.resume"))
        return false;
    record->resumes++;
    g_free(record->resume_params);
    record->resume_params = g_steal_pointer(&params);
    if (record->refuse_resume != 0)
        double_refuse(peer, request, record->refuse_resume, "{\"oldest\":15,\"revision\":20}");
    else
        double_answer(peer, request, "{" DOUBLE_SESSION ",\"missed\":0,\"subscriptions\":[]}");
    return true;
}

static void
note_connected(ConfcClient *client, gboolean resumed, Record *record)
{
    record->connected++;
}

static void
note_disconnected(ConfcClient *client, const GError *error, gboolean will_reconnect, Record *record)
{
    record->disconnected++;
    record->will_reconnect += will_reconnect ? 1 : 0;
}

static void
note_reset(ConfcClient *client, gint64 revision, const char *reason, Record *record)
{
    record->resets++;
}

static ConfcClient *
client_new(const char *address, Record *record)
{
    ConfcClient *client = confc_client_new(address);
    g_object_set(client, "user", "admin", "password", "secret", "application", "confctl", NULL);
    g_signal_connect(client, "connected", G_CALLBACK(note_connected), record);
    g_signal_connect(client, "disconnected", G_CALLBACK(note_disconnected), record);
    g_signal_connect(client, "reset", G_CALLBACK(note_reset), record);
    return client;
}

static void
record_clear(Record *record)
{
    g_free(record->resume_params);
    g_free(record->open_params);
}

static void
test_login(void)
{
    Record record = {0};
    Double *server = double_new(serve, &record);
    g_autoptr(ConfcClient) client = client_new(double_address(server), &record);
    g_autoptr(GError) error = NULL;
    g_assert_true(confc_client_connect(client, NULL, &error));
    g_assert_no_error(error);
    g_assert_true(confc_client_is_connected(client));
    g_assert_cmpint(confc_client_get_revision(client), ==, 10);
    g_assert_cmpstr(confc_client_get_chain(client), ==, "c10");
    g_assert_cmpstr(confc_client_get_peer(client), ==, double_address(server));
    g_assert_cmpint(json_object_get_int_member(confc_client_get_account(client), "dbid"), ==, 100);
    g_assert_nonnull(strstr(record.open_params, "\"password\":\"secret\""));
    g_assert_null(strstr(record.open_params, "replace"));
    confc_client_disconnect(client);
    g_assert_cmpuint(record.closes, ==, 1);
    g_assert_false(confc_client_is_connected(client));
    g_assert_cmpuint(record.will_reconnect, ==, 0);
    double_free(server);
    record_clear(&record);
}

static void
test_next_address(void)
{
    Record record = {0}, other = {.hang_up_on_open = true};
    Double *dead = double_new(NULL, NULL), *broken = double_new(serve, &other),
           *server = double_new(serve, &record);
    g_autofree char *gone = g_strdup(double_address(dead));
    double_free(dead);
    g_autofree char *addresses =
        g_strdup_printf("%s,%s,%s", gone, double_address(broken), double_address(server));
    g_autoptr(ConfcClient) client = client_new(addresses, &record);
    g_autoptr(GError) error = NULL;
    g_assert_true(confc_client_connect(client, NULL, &error));
    g_assert_cmpstr(confc_client_get_peer(client), ==, double_address(server));
    g_assert_cmpuint(other.opens, ==, 1);
    confc_client_disconnect(client);
    double_free(broken);
    double_free(server);
    record_clear(&record);
    record_clear(&other);
}

static void
test_nobody_there(void)
{
    Record record = {0};
    Double *dead = double_new(NULL, NULL);
    g_autofree char *gone = g_strdup(double_address(dead));
    double_free(dead);
    g_autoptr(ConfcClient) client = client_new(gone, &record);
    g_autoptr(GError) error = NULL;
    g_assert_false(confc_client_connect(client, NULL, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_CONNECT);
    g_assert_nonnull(strstr(error->message, gone));
    /* It may be tried again. */
    g_clear_error(&error);
    g_assert_false(confc_client_connect(client, NULL, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_CONNECT);
    g_assert_cmpuint(record.disconnected, ==, 0);
}

static bool
refuse_login(Double *server, DoublePeer *peer, const char *method, JsonObject *request, void *data)
{
    double_refuse(peer, request, -32001, "{\"text\":\"no\"}");
    return true;
}

static void
test_refused(void)
{
    Record record = {0};
    Double *server = double_new(refuse_login, NULL);
    g_autoptr(ConfcClient) client = client_new(double_address(server), &record);
    g_autoptr(GError) error = NULL;
    g_assert_false(confc_client_connect(client, NULL, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_LOGIN_REFUSED);
    JsonObject *told = json_node_get_object(confc_error_get_data(error));
    g_assert_cmpstr(json_object_get_string_member(told, "text"), ==, "no");
    double_free(server);
}

static void
test_settings(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ConfcClient) client = confc_client_new("h:1");
    g_assert_false(confc_client_connect(client, NULL, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_ARGUMENT);
    g_clear_error(&error);
    g_object_set(client, "user", "u", "application", "a", "tls-ca", "/nonexistent/ca.pem", NULL);
    g_assert_false(confc_client_connect(client, NULL, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_ARGUMENT);
    g_clear_error(&error);
    g_object_set(client, "tls-ca", NULL, "addresses", "nonsense", NULL);
    g_assert_false(confc_client_connect(client, NULL, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_ARGUMENT);
}

static void
test_resume(void)
{
    Record record = {0};
    Double *server = double_new(serve, &record);
    g_autoptr(ConfcClient) client = client_new(double_address(server), &record);
    g_assert_true(confc_client_connect(client, NULL, NULL));
    double_hang_up(double_last_peer(server));
    double_wait(&record.connected, 2);
    g_assert_cmpuint(record.opens, ==, 1);
    g_assert_cmpuint(record.resumes, ==, 1);
    g_assert_cmpuint(record.will_reconnect, ==, 1);
    g_assert_cmpuint(record.resets, ==, 0);
    g_assert_nonnull(strstr(record.resume_params,
                            "\"session\":\"t1\",\"environment\":\"e1\",\"revision\":10,\"chain\":\"c10\""));
    confc_client_disconnect(client);
    double_free(server);
    record_clear(&record);
}

/* The session is unknown (lapsed): the client logs in anew by itself. */
static void
test_login_anew(void)
{
    Record record = {.refuse_resume = -32003};
    Double *server = double_new(serve, &record);
    g_autoptr(ConfcClient) client = client_new(double_address(server), &record);
    g_assert_true(confc_client_connect(client, NULL, NULL));
    double_hang_up(double_last_peer(server));
    double_wait(&record.connected, 2);
    g_assert_cmpuint(record.opens, ==, 2);
    g_assert_cmpuint(double_connections(server), ==, 2);
    confc_client_disconnect(client);
    double_free(server);
    record_clear(&record);
}

/* History is gone, and stays gone: the old session is closed and a new one opened. */
static void
test_history_gone(void)
{
    Record record = {.refuse_resume = -32011};
    Double *server = double_new(serve, &record);
    g_autoptr(ConfcClient) client = client_new(double_address(server), &record);
    g_assert_true(confc_client_connect(client, NULL, NULL));
    double_hang_up(double_last_peer(server));
    double_wait(&record.connected, 2);
    g_assert_cmpuint(record.opens, ==, 2);
    g_assert_cmpuint(record.resumes, ==, 3);
    g_assert_cmpuint(record.closes, ==, 1);
    g_assert_nonnull(strstr(record.resume_params, "\"revision\":20,\"subscriptions\":[]"));
    confc_client_disconnect(client);
    double_free(server);
    record_clear(&record);
}

static void
test_replaced(void)
{
    Record record = {0};
    Double *server = double_new(serve, &record);
    g_autoptr(ConfcClient) client = client_new(double_address(server), &record);
    g_assert_true(confc_client_connect(client, NULL, NULL));
    double_say(double_last_peer(server),
               "{\"jsonrpc\":\"2.0\",\"method\":\"session.ending\",\"params\":{\"reason\":\"replaced\"}}");
    double_hang_up(double_last_peer(server));
    double_wait(&record.disconnected, 1);
    g_assert_cmpuint(record.will_reconnect, ==, 0);
    g_assert_cmpuint(record.resumes, ==, 0);
    double_free(server);
    record_clear(&record);
}

static bool
challenge(Double *server, DoublePeer *peer, const char *method, JsonObject *request, void *data)
{
    if (g_str_equal(method, "session.open")) {
        double_refuse(peer, request, -32002, "{\"challenge\":\"x7\",\"prompt\":\"Code?\"}");
        return true;
    }
    if (!g_str_equal(method, "session.continue"))
        return false;
    g_assert_cmpstr(json_object_get_string_member(double_params(request), "challenge"), ==, "x7");
    g_assert_cmpstr(json_object_get_string_member(double_params(request), "response"), ==, "4711");
    double_answer(peer, request, "{" DOUBLE_SESSION "}");
    return true;
}

static void
answer_challenge(ConfcClient *client, const char *prompt, Record *record)
{
    record->challenges++;
    g_assert_cmpstr(prompt, ==, "Code?");
    g_assert_true(confc_client_answer_challenge(client, "4711"));
    g_assert_false(confc_client_answer_challenge(client, "4711"));
}

static void
test_challenge(void)
{
    Record record = {0};
    Double *server = double_new(challenge, NULL);
    g_autoptr(ConfcClient) client = client_new(double_address(server), &record);
    g_autoptr(GError) error = NULL;
    g_assert_false(confc_client_connect(client, NULL, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_CHALLENGE);
    g_clear_error(&error);
    g_signal_connect(client, "challenge", G_CALLBACK(answer_challenge), &record);
    g_assert_true(confc_client_connect(client, NULL, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(record.challenges, ==, 1);
    confc_client_disconnect(client);
    double_free(server);
}

static bool
be_silent(Double *server, DoublePeer *peer, const char *method, JsonObject *request, void *data)
{
    return true;
}

static void
note_result(GObject *source, GAsyncResult *result, void *data)
{
    GAsyncResult **stored = data;
    *stored = g_object_ref(result);
}

static void
test_cancel(void)
{
    Record record = {0};
    Double *server = double_new(be_silent, NULL);
    g_autoptr(ConfcClient) client = client_new(double_address(server), &record);
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    g_autoptr(GAsyncResult) result = NULL;
    g_autoptr(GError) error = NULL;
    confc_client_connect_async(client, cancellable, note_result, &result);
    for (unsigned i = 0; i < 20; i++)
        g_main_context_iteration(NULL, FALSE);
    g_cancellable_cancel(cancellable);
    while (result == NULL)
        g_main_context_iteration(NULL, TRUE);
    g_assert_false(confc_client_connect_finish(client, result, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    double_free(server);
}

/* Whoever drops the last reference ends the connection; nothing comes afterwards. */
static void
test_dropped(void)
{
    Record record = {0};
    Double *server = double_new(serve, &record);
    ConfcClient *client = client_new(double_address(server), &record);
    g_assert_true(confc_client_connect(client, NULL, NULL));
    g_object_add_weak_pointer(G_OBJECT(client), (void **)&client);
    g_object_unref(client);
    g_assert_null(client);
    double_free(server);
    record_clear(&record);
}

static bool
offer_addp(Double *server, DoublePeer *peer, const char *method, JsonObject *request, void *data)
{
    Record *record = data;
    if (g_str_equal(method, "session.open")) {
        g_autofree char *params = json_to_string(json_object_get_member(request, "params"), FALSE);
        g_assert_nonnull(strstr(params, "\"addp\":{\"timeout\":7,\"remoteTimeout\":9}"));
        double_answer(peer, request, "{" DOUBLE_SESSION ",\"addp\":{\"timeout\":7,\"remoteTimeout\":9}}");
        return true;
    }
    /* An answer of the client's. */
    record->answers += method[0] == '\0' ? 1 : 0;
    if (!g_str_equal(method, "addp.poll"))
        return false;
    record->polls++;
    if (record->polls < 3)
        double_answer(peer, request, "{\"revision\":10}");
    return true;
}

/* The server is asked when it is silent, and given up when it stays silent. */
static void
test_addp(void)
{
    Record record = {0};
    Double *server = double_new(offer_addp, &record);
    g_autoptr(ConfcClient) client = client_new(double_address(server), &record);
    g_object_set(client, "addp-timeout", 7, "addp-remote-timeout", 9, NULL);
    g_assert_true(confc_client_connect(client, NULL, NULL));
    g_assert_cmpint(client->addp_quiet_ms, ==, 7000);
    /* Told by the server later on; what makes no sense changes nothing. */
    double_say(double_last_peer(server), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"addp.poll\",\"params\":"
                                         "{\"addp\":{\"timeout\":3,\"remoteTimeout\":\"x\"}}}");
    double_say(double_last_peer(server), "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"addp.poll\",\"params\":"
                                         "{\"addp\":{\"timeout\":3,\"remoteTimeout\":5}}}");
    double_wait(&record.answers, 2);
    g_assert_cmpint(client->addp_quiet_ms, ==, 5000);
    client->addp_quiet_ms = 60;
    confc_addp_start(client);
    double_wait(&record.disconnected, 1);
    g_assert_cmpuint(record.polls, ==, 3);
    g_assert_cmpuint(record.will_reconnect, ==, 1);
    confc_client_disconnect(client);
    double_free(server);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/client/connect/login", test_login);
    g_test_add_func("/client/connect/next-address", test_next_address);
    g_test_add_func("/client/connect/nobody-there", test_nobody_there);
    g_test_add_func("/client/connect/refused", test_refused);
    g_test_add_func("/client/connect/settings", test_settings);
    g_test_add_func("/client/connect/resume", test_resume);
    g_test_add_func("/client/connect/login-anew", test_login_anew);
    g_test_add_func("/client/connect/history-gone", test_history_gone);
    g_test_add_func("/client/connect/replaced", test_replaced);
    g_test_add_func("/client/connect/challenge", test_challenge);
    g_test_add_func("/client/connect/cancel", test_cancel);
    g_test_add_func("/client/connect/addp", test_addp);
    g_test_add_func("/client/connect/dropped", test_dropped);
    return g_test_run();
}
