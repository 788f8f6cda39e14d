/* test-client-tls.c - the client's end of TLS: whom it trusts, what it says when it does not, and that
 * nothing of it is ever sent in plain. */
#include "confclient.h"
#include "confctl-run.h"
#include "pki.h"
#include "tls-relay.h"
#include "tls.h"

#include <string.h>

enum { DEADLINE_S = 30 };

static TlsRelay *
relay_with(Run *run, TestPki *pki, const char *name, const char *client_ca, const char *priority)
{
    g_autofree char *certificate = g_strconcat(name, ".pem", NULL), *key = g_strconcat(name, ".key", NULL);
    const TlsRelayOptions options = {.certificate = test_pki_path(pki, certificate),
                                     .key = test_pki_path(pki, key),
                                     .client_ca = client_ca != NULL ? test_pki_path(pki, client_ca) : NULL,
                                     .priority = priority};
    TlsRelay *relay = tls_relay_new(test_server_get_port(run->server), &options);
    run->port = tls_relay_get_port(relay);
    return relay;
}

static char *
with_ca(TestPki *pki, const char *more)
{
    return g_strdup_printf("--tls-ca %s %s", test_pki_path(pki, "ca.pem"), more);
}

static void
test_versions(void)
{
    static const struct {
        const char *priority, *shown;
        int status;
    } cases[] = {
        {NULL, "TLS1.3", 0},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.2", "TLS1.2", 0},
        {"NORMAL:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0", "", 3},
    };
    g_auto(Run) run;
    g_autoptr(TestPki) pki = test_pki_new();
    run_init(&run);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(TlsRelay) relay = relay_with(&run, pki, "server", NULL, cases[i].priority);
        g_autofree char *info = with_ca(pki, "info");
        confctl_with(&run, NULL, info);
        g_assert_cmpint(run.status, ==, cases[i].status);
        g_assert_has(run.output, cases[i].shown);
        g_assert_cmpuint(tls_relay_get_handshakes(relay), ==, cases[i].status == 0 ? 1 : 0);
    }
    run.port = 0;
    g_assert_has(confctl(&run, "info"), "tls                no");
}

/* What is wrong is said, and nothing at all was sent to who is not trusted. */
static void
test_not_trusted(void)
{
    static const struct {
        const char *certificate, *more, *why;
    } cases[] = {
        {"expired", "", "its certificate expired at 20"},
        {"wrong-name", "", "not for \"127.0.0.1\" but for \"other.example.test\""},
        {"server", "--tls-server-name elsewhere.test", "not for \"elsewhere.test\" but for \"localhost\""},
        {"stranger", "", "issued by CN=other-ca, who is not trusted"},
        {"client", "--no-tls-name-check", "not meant for servers"},
        {"gone", "--tls-crl crl", "was revoked"},
        {"early", "", "not valid before 20"},
    };
    g_auto(Run) run;
    g_autoptr(TestPki) pki = test_pki_new();
    run_init(&run);
    TestCertificate gone = {.ip_addresses = "127.0.0.1", .server = true}, early = gone;
    early.first_day = 2;
    early.last_day = 9;
    test_pki_make(pki, "gone", &gone);
    test_pki_make(pki, "early", &early);
    test_pki_revoke(pki, "ca", "gone-crl.pem", "gone", NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(TlsRelay) relay = relay_with(&run, pki, cases[i].certificate, NULL, NULL);
        g_autoptr(GString) command = g_string_new(cases[i].more);
        g_string_replace(command, "--tls-crl crl", "--tls-crl CRL", 0);
        g_string_replace(command, "CRL", test_pki_path(pki, "gone-crl.pem"), 0);
        g_string_append(command, " info");
        g_autofree char *info = with_ca(pki, command->str);
        const char *said = refused(&run, 3, info);
        g_assert_has(said, "The server is not trusted");
        g_assert_has(said, cases[i].why);
        g_assert_cmpuint(tls_relay_get_received(relay), ==, 0);
    }
    /* The system does not know the authority. */
    g_autoptr(TlsRelay) relay = relay_with(&run, pki, "server", NULL, NULL);
    g_assert_has(refused(&run, 3, "--tls info"), "who is not trusted");
    g_assert_cmpuint(tls_relay_get_received(relay), ==, 0);
}

static void
test_names(void)
{
    g_auto(Run) run;
    g_autoptr(TestPki) pki = test_pki_new();
    run_init(&run);
    g_autoptr(TlsRelay) relay = relay_with(&run, pki, "wrong-name", NULL, NULL);
    g_autofree char *named = with_ca(pki, "--tls-server-name other.example.test info");
    g_autofree char *unchecked = with_ca(pki, "--no-tls-name-check info");
    confctl(&run, named);
    confctl(&run, unchecked);
    g_autofree char *file = g_build_filename(test_server_get_folder(run.server), "confctl", "config", NULL);
    g_autofree char *folder = g_path_get_dirname(file);
    g_autofree char *text =
        g_strdup_printf("[default]\ntls-ca = %s\ntls-name-check = no\n[strict]\ntls-ca = %s\n",
                        test_pki_path(pki, "ca.pem"), test_pki_path(pki, "ca.pem"));
    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(file, text, -1, NULL));
    confctl(&run, "info");
    g_assert_has(refused(&run, 3, "--profile strict info"), "other.example.test");
    /* Plain, said by the command line, comes before the profile; it meets a port that speaks TLS only. */
    refused(&run, 3, "--no-tls info");
    g_assert_has(refused(&run, 2, "--no-tls --tls-ca x info"), "contradicts");
    g_assert_has(refused(&run, 2, "--tls-ca /nonexistent info"), "/nonexistent");
    g_autofree char *not_pem = g_strdup_printf("--tls-ca %s info", run.password_file);
    g_assert_has(refused(&run, 2, not_pem), "does not hold trusted certificates");
    g_autofree char *no_key = with_ca(pki, "");
    g_autofree char *half =
        g_strdup_printf("%s --tls-certificate %s info", no_key, test_pki_path(pki, "client.pem"));
    g_assert_has(refused(&run, 2, half), "no certificate with its key");
}

static void
test_own_certificate(void)
{
    g_auto(Run) run;
    g_autoptr(TestPki) pki = test_pki_new();
    run_init(&run);
    g_autoptr(TlsRelay) relay = relay_with(&run, pki, "server", "ca.pem", NULL);
    g_autofree char *without = with_ca(pki, "info");
    g_autofree char *shown =
        g_strdup_printf("--tls-certificate %s --tls-key %s info", test_pki_path(pki, "client.pem"),
                        test_pki_path(pki, "client.key"));
    g_autofree char *with = with_ca(pki, shown);
    const char *said = refused(&run, 3, without);
    g_assert_true(strstr(said, "ertificate is required") != NULL ||
                  strstr(said, "ertificate is bad") != NULL);
    confctl(&run, with);
}

/* ---- the library ---- */

static ConfcClient *
make_client(TestPki *pki, uint16_t port, const char *more)
{
    g_autofree char *addresses = g_strdup_printf("127.0.0.1:%u%s", port, more != NULL ? more : "");
    ConfcClient *client = confc_client_new(addresses);
    g_object_set(client, "user", "default", "password", TEST_PASSWORD, "application", "confctl", "tls-ca",
                 test_pki_path(pki, "ca.pem"), "connect-timeout", 2, NULL);
    return client;
}

static void
turn_while(bool (*func)(void *data), void *data)
{
    gint64 deadline = g_get_monotonic_time() + DEADLINE_S * G_USEC_PER_SEC;
    while (func(data)) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_main_context_iteration(NULL, FALSE);
        g_usleep(1000);
    }
}

static bool
holds(GBytes *bytes, const char *text)
{
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);
    return data != NULL && memmem(data, size, text, strlen(text)) != NULL;
}

static void
check_capture(Capture *capture)
{
    g_autoptr(GBytes) bytes = capture_get_bytes(capture);
    const unsigned char *first = g_bytes_get_data(bytes, NULL);
    g_assert_cmpuint(capture_get_connections(capture), >, 0);
    g_assert_cmpuint(g_bytes_get_size(bytes), >, 5);
    g_assert_cmpuint(first[0], ==, 0x16);
    g_assert_false(holds(bytes, TEST_PASSWORD));
    g_assert_false(holds(bytes, "session"));
    g_assert_false(holds(bytes, "jsonrpc"));
}

/* Whatever a port without TLS answers, it hears a handshake and nothing else. */
static void
test_never_plain(void)
{
    static const char alert[] = {0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28};
    static const char refusal[] =
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"?\"}}\n";
    static const struct {
        CaptureManner manner;
        const char *answer;
        size_t size;
    } cases[] = {
        {CAPTURE_SILENT, "", 0},
        {CAPTURE_HANG_UP, "", 0},
        {CAPTURE_ANSWER, refusal, sizeof refusal - 1},
        {CAPTURE_ANSWER, alert, sizeof alert},
        {CAPTURE_ANSWER, "\x16\x03\x03\xff\xff", 5},
    };
    g_autoptr(TestPki) pki = test_pki_new();
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Capture) capture = capture_new(0, cases[i].manner, cases[i].answer, cases[i].size);
        g_autoptr(ConfcClient) client = make_client(pki, capture_get_port(capture), NULL);
        g_assert_false(confc_client_connect(client, NULL, &error));
        g_test_message("%s", error->message);
        int wanted = cases[i].manner == CAPTURE_SILENT ? CONFC_ERROR_CONNECT : CONFC_ERROR_TLS;
        g_assert_error(error, CONFC_ERROR, wanted);
        check_capture(capture);
    }
}

static bool
is_connected(void *client)
{
    return confc_client_is_connected(client);
}

static bool
is_away(void *client)
{
    return !confc_client_is_connected(client);
}

static bool
has_few_connections(void *capture)
{
    return capture_get_connections(capture) < 2;
}

/* A session that was made over TLS is not taken up in plain, where somebody has put himself in the
 * server's place. */
static void
test_never_plain_again(void)
{
    g_auto(Run) run;
    g_autoptr(GError) error = NULL;
    g_autoptr(TestPki) pki = test_pki_new();
    run_init(&run);
    TlsRelay *relay = relay_with(&run, pki, "server", NULL, NULL);
    uint16_t port = tls_relay_get_port(relay);
    g_autoptr(ConfcClient) client = make_client(pki, port, NULL);
    g_assert_true(confc_client_connect(client, NULL, &error));
    g_assert_no_error(error);
    g_assert_nonnull(strstr(confc_client_get_security(client), "TLS"));
    tls_relay_free(relay);
    {
        g_autoptr(Capture) capture = capture_new(port, CAPTURE_ANSWER, "{}\n", 3);
        turn_while(is_connected, client);
        turn_while(has_few_connections, capture);
        check_capture(capture);
    }
    const TlsRelayOptions options = {.certificate = test_pki_path(pki, "server.pem"),
                                     .key = test_pki_path(pki, "server.key"),
                                     .port = port};
    relay = tls_relay_new(test_server_get_port(run.server), &options);
    turn_while(is_away, client);
    confc_client_disconnect(client);
    tls_relay_free(relay);
}

static void
note_connected(ConfcClient *client, gboolean resumed, unsigned *count)
{
    *count += resumed ? 1 : 0;
}

static bool
is_not_resumed(void *count)
{
    return *(unsigned *)count == 0;
}

static bool
has_not_failed(void *relay)
{
    return tls_relay_get_failures(relay) == 0;
}

static void
check_resumption(const char *priority)
{
    g_auto(Run) run;
    unsigned resumed = 0;
    g_autoptr(GError) error = NULL;
    g_autoptr(TestPki) pki = test_pki_new();
    run_init(&run);
    g_autoptr(TlsRelay) relay = relay_with(&run, pki, "server", NULL, priority);
    g_autoptr(ConfcClient) client = make_client(pki, run.port, NULL);
    g_signal_connect(client, "connected", G_CALLBACK(note_connected), &resumed);
    g_assert_true(confc_client_connect(client, NULL, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(tls_relay_get_resumed(relay), ==, 0);
    tls_relay_cut(relay);
    turn_while(is_not_resumed, &resumed);
    g_assert_cmpuint(tls_relay_get_handshakes(relay), ==, 2);
    g_assert_cmpuint(tls_relay_get_resumed(relay), ==, 1);
    /* Another file of trusted certificates: what was agreed under the old one counts no more. */
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(test_pki_path(pki, "other-ca.pem"), &text, NULL, NULL));
    g_assert_true(g_file_set_contents(test_pki_path(pki, "ca.pem"), text, -1, NULL));
    tls_relay_cut(relay);
    turn_while(is_connected, client);
    turn_while(has_not_failed, relay);
    g_assert_false(confc_client_is_connected(client));
    g_assert_cmpuint(tls_relay_get_handshakes(relay), ==, 2);
    confc_client_disconnect(client);
}

static void
test_resumption(void)
{
    check_resumption(NULL);
    check_resumption("NORMAL:-VERS-ALL:+VERS-TLS1.2");
}

/* Lines longer than a record, both ways, more than the socket takes at once. */
static void
test_large(void)
{
    enum { COUNT = 400 };
    g_auto(Run) run;
    g_autoptr(GError) error = NULL;
    g_autoptr(TestPki) pki = test_pki_new();
    run_init(&run);
    g_autoptr(TlsRelay) relay = relay_with(&run, pki, "server", NULL, NULL);
    g_autoptr(ConfcClient) client = make_client(pki, run.port, NULL);
    g_assert_true(confc_client_connect(client, NULL, &error));
    g_assert_no_error(error);
    g_autofree char *fill = g_strnfill(10000, 'x');
    g_autoptr(GString) text = g_string_new("{\"operations\":[");
    for (unsigned i = 0; i < COUNT; i++)
        g_string_append_printf(
            text,
            "%s{\"op\":\"create\",\"object\":{\"type\":\"host\",\"name\":\"h%u\",\"annex\":"
            "{\"s\":{\"k\":\"%s\"}}}}",
            i > 0 ? "," : "", i, fill);
    g_string_append(text, "]}");
    g_autoptr(JsonNode) params = json_from_string(text->str, NULL);
    g_autoptr(JsonNode) answer = confc_client_request(client, "transaction", params, NULL, &error);
    g_assert_no_error(error);
    g_autoptr(JsonNode) scope = json_from_string("{\"types\":[\"host\"]}", NULL);
    g_autoptr(ConfcSubscription) hosts =
        confc_client_subscribe(client, json_node_get_object(scope), CONFC_SUBSCRIPTION_MIRROR, NULL, &error);
    g_assert_no_error(error);
    gint64 deadline = g_get_monotonic_time() + DEADLINE_S * G_USEC_PER_SEC;
    while (!confc_subscription_is_loaded(hosts)) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpuint(confc_subscription_get_count(hosts), ==, COUNT);
    g_assert_cmpuint(tls_relay_get_received(relay), >, COUNT * 10000);
    confc_client_disconnect(client);
}

/* The application itself logs in, by what TLS has shown: no name of a person, no password, no secret. */
static void
test_certificate_login(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TestPki) pki = test_pki_new();
    static const char answer[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32001,\"message\":\"No.\"}}\n";
    g_autoptr(Capture) capture = capture_new(0, CAPTURE_ANSWER, answer, sizeof answer - 1);
    const TlsRelayOptions options = {.certificate = test_pki_path(pki, "server.pem"),
                                     .key = test_pki_path(pki, "server.key"),
                                     .client_ca = test_pki_path(pki, "ca.pem")};
    g_autoptr(TlsRelay) relay = tls_relay_new(capture_get_port(capture), &options);
    g_autofree char *address = g_strdup_printf("127.0.0.1:%u", tls_relay_get_port(relay));
    g_autoptr(ConfcClient) client = confc_client_new(address);
    g_object_set(client, "application", "app1", "tls-ca", test_pki_path(pki, "ca.pem"), "tls-certificate",
                 test_pki_path(pki, "client.pem"), "tls-key", test_pki_path(pki, "client.key"), NULL);
    g_assert_false(confc_client_connect(client, NULL, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_LOGIN_REFUSED);
    g_autoptr(GBytes) bytes = capture_get_bytes(capture);
    g_assert_true(holds(bytes, "\"method\":\"session.open\""));
    g_assert_true(holds(bytes, "\"mechanism\":\"certificate\""));
    g_assert_true(holds(bytes, "\"application\":\"app1\""));
    g_assert_false(holds(bytes, "\"user\""));
    g_assert_false(holds(bytes, "\"secret\""));
}

/* ---- the server's own TLS ---- */

static void
init_secured(Run *run, TestPki *pki)
{
    *run = (Run){.server = test_tls_primary(pki, NULL, NULL)};
    run->password_file = g_build_filename(test_server_get_folder(run->server), "password", NULL);
    g_assert_true(g_file_set_contents(run->password_file, TEST_PASSWORD "\n", -1, NULL));
}

static void
test_server_ports(void)
{
    g_auto(Run) run;
    g_autoptr(TestPki) pki = test_pki_new();
    init_secured(&run, pki);
    g_autoptr(TestClient) admin = test_tls_manager(run.server);
    test_call(admin, "session.open", TEST_LOGIN);
    uint16_t secured = test_tls_add_port(run.server, admin, "sec", "'listening':'secured'"),
             automatic = test_tls_add_port(run.server, admin, "auto", "'listening':'auto-detect'"),
             mutual = test_tls_add_port(run.server, admin, "mutual", "'listening':'secured','mutual':true");
    g_autofree char *info = with_ca(pki, "info");
    run.port = secured;
    g_assert_has(confctl(&run, info), "TLS1.3");
    refused(&run, 3, "--timeout 3 info");
    run.port = automatic;
    g_assert_has(confctl(&run, info), "TLS1.3");
    g_assert_has(confctl(&run, "info"), "tls                no");
    run.port = mutual;
    refused(&run, 3, info);
    g_autofree char *shown =
        g_strdup_printf("--tls-certificate %s --tls-key %s ", test_pki_path(pki, "client.pem"),
                        test_pki_path(pki, "client.key"));
    g_autofree char *with = with_ca(pki, shown);
    g_autofree char *with_info = g_strconcat(with, "info", NULL);
    confctl(&run, with_info);

    /* The application itself: none is of the certificate's name, then one is. */
    g_autofree char *address = g_strdup_printf("127.0.0.1:%u", mutual);
    g_autoptr(ConfcClient) client = confc_client_new(address);
    g_autoptr(GError) error = NULL;
    g_object_set(client, "application", "client", "tls-ca", test_pki_path(pki, "ca.pem"), "tls-certificate",
                 test_pki_path(pki, "client.pem"), "tls-key", test_pki_path(pki, "client.key"), NULL);
    g_assert_false(confc_client_connect(client, NULL, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_LOGIN_REFUSED);
    g_clear_error(&error);
    test_call(admin, "object.create",
              "{'object':{'type':'application','name':'client','applicationType':'genericServer',"
              "'account':{'type':'person','dbid':100}}}");
    g_assert_true(confc_client_connect(client, NULL, &error));
    g_assert_no_error(error);
    g_autoptr(JsonNode) answer = confc_client_request(client, "server.info", NULL, NULL, &error);
    g_assert_no_error(error);
    confc_client_disconnect(client);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (g_getenv("CONFCTL_PROGRAM") == NULL)
        g_error("CONFCTL_PROGRAM names the program to be tested");
    g_test_add_func("/integration/client-tls/versions", test_versions);
    g_test_add_func("/integration/client-tls/not-trusted", test_not_trusted);
    g_test_add_func("/integration/client-tls/names", test_names);
    g_test_add_func("/integration/client-tls/own-certificate", test_own_certificate);
    g_test_add_func("/integration/client-tls/never-plain", test_never_plain);
    g_test_add_func("/integration/client-tls/never-plain-again", test_never_plain_again);
    g_test_add_func("/integration/client-tls/resumption", test_resumption);
    g_test_add_func("/integration/client-tls/large", test_large);
    g_test_add_func("/integration/client-tls/certificate-login", test_certificate_login);
    g_test_add_func("/integration/client-tls/server-ports", test_server_ports);
    return g_test_run();
}
