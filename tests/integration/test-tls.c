/* test-tls.c - plugin tls at the ports of a server: modes, versions, certificates, sessions, and the
 * clients that others wrote. */
#include "tls.h"

#include <gio/gio.h>

/* Everything that a client does, through TLS. */
static void
test_client(const void *data)
{
    g_autoptr(TestPki) pki = test_pki_new();
    TestTlsOptions options = {.ca = test_pki_path(pki, "ca.pem"), .priority = data};
    g_autoptr(TestServer) server =
        test_tls_primary(pki, "listening-mode = secured\nplain-login = refuse", NULL);
    g_autoptr(TestTunnel) tunnel = test_tunnel_new(test_server_get_port(server), &options);
    g_autoptr(TestClient) client = test_client_connect(test_tunnel_get_port(tunnel));
    test_call(client, "session.open", TEST_LOGIN);
    test_call(client, "subscription.open", "{'types':['host'],'initial':true}");
    test_wait_notification(client, "subscription.loaded");
    g_autofree char *large = g_strnfill(300 * 1000, 'x');
    for (unsigned i = 0; i < 20; i++)
        test_call(client, "object.create", "{'object':{'type':'host','name':'h%u','annex':{'a':{'b':'%s'}}}}",
                  i, large);
    for (unsigned i = 0; i < 20; i++)
        test_wait_notification(client, "changes");
    /* Answers that the client does not take stop, and go on: 6 MB. */
    int64_t last = 0;
    for (unsigned i = 0; i < 20; i++)
        last = test_send(client, "object.read", "{'type':'host','name':'h%u'}", i);
    g_assert_true(json_object_has_member(test_wait_response(client, last), "result"));
    g_assert_cmpint(test_statistic(client, "tls.handshakes"), ==, 1);
    test_call(client, "session.close", "{}");
    test_client_wait_closed(client);
}

static void
test_modes(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(TestServer) server = test_tls_primary(pki, NULL, NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    TestTlsOptions none = {.ca = test_pki_path(pki, "ca.pem")}, shown = none;
    shown.certificate = test_pki_path(pki, "client.pem");
    shown.key = test_pki_path(pki, "client.key");
    uint16_t secured = test_tls_add_port(server, admin, "secured", "'listening':'secured'");
    uint16_t by_transport = test_tls_add_port(server, admin, "transport", "'transport':'tls=1;tls-mutual=1'");
    uint16_t mutual = test_tls_add_port(server, admin, "mutual", "'listening':'secured','mutual':true");
    uint16_t either = test_tls_add_port(server, admin, "either", "'listening':'auto-detect'");
    uint16_t either_mutual =
        test_tls_add_port(server, admin, "both", "'listening':'auto-detect','mutual':true");
    g_assert_cmpint(test_tls_try(secured, &none), ==, 0);
    g_assert_cmpint(test_tls_try(either, &none), ==, 0);
    const uint16_t asking[] = {by_transport, mutual, either_mutual};
    for (unsigned i = 0; i < G_N_ELEMENTS(asking); i++) {
        g_assert_cmpint(test_tls_try(asking[i], &shown), ==, 0);
        g_assert_cmpint(test_tls_try(asking[i], &none), ==, GNUTLS_A_CERTIFICATE_REQUIRED);
    }
    /* Plain: taken where the first byte decides, refused where TLS is asked for. */
    static const char *const starts[] = {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.info\"}\n",
                                         "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.info\"}]\n",
                                         "\r\n \t{}\n"};
    for (unsigned i = 0; i < G_N_ELEMENTS(starts); i++) {
        g_autoptr(TestClient) plain = test_client_connect(either);
        test_client_write(plain, starts[i], strlen(starts[i]));
        g_assert_nonnull(test_client_read_line(plain));
        g_autoptr(TestClient) refused = test_client_connect(secured);
        test_client_write(refused, starts[i], strlen(starts[i]));
        test_client_wait_closed(refused);
        g_assert_false(test_client_has_seen(refused, "jsonrpc"));
    }
    g_autoptr(TestClient) other = test_client_connect(either);
    test_client_write(other, "GET / HTTP/1.0\r\n\r\n", 18);
    test_client_wait_closed(other);
    g_assert_cmpint(test_statistic(admin, "tls.detectedPlain"), ==, 3);
    g_assert_cmpint(test_statistic(admin, "tls.failedNotTls"), ==, 4);
    g_assert_cmpint(test_statistic(admin, "tls.failedNoCertificate"), ==, 3);
    test_wait_statistic(admin, "tls.handshakes", 5);
}

/* plain-login of each port by itself; and a token in plain is no better than a password. */
static void
test_plain_login(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(TestServer) server = test_tls_primary(pki, NULL, NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    uint16_t refusing =
        test_tls_add_port(server, admin, "r", "'listening':'auto-detect','transport':'plain-login=refuse'");
    uint16_t loopback =
        test_tls_add_port(server, admin, "l", "'listening':'auto-detect','transport':'plain-login=loopback'");
    g_autoptr(TestClient) local = test_client_connect(loopback);
    test_call(local, "session.open", TEST_LOGIN);
    g_autoptr(TestClient) refused = test_client_connect(refusing);
    test_call_error(refused, -32018, "session.open", TEST_LOGIN);
    test_call_error(refused, -32018, "session.resume",
                    "{'session':'0123456789abcdef0123456789abcdef','environment':'x','revision':1}");
    TestTlsOptions options = {.ca = test_pki_path(pki, "ca.pem")};
    g_autoptr(TestTunnel) tunnel = test_tunnel_new(refusing, &options);
    g_autoptr(TestClient) secured = test_client_connect(test_tunnel_get_port(tunnel));
    test_call(secured, "session.open", TEST_LOGIN);
}

/* What the options of a port say about versions and ciphers. */
static void
test_agreement(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(TestServer) server = test_tls_primary(pki, NULL, NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    static const char v11[] = "NORMAL:-VERS-ALL:+VERS-TLS1.1", v12[] = "NORMAL:-VERS-ALL:+VERS-TLS1.2";
    static const char v13[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3";
    static const struct {
        const char *transport, *priority;
        bool good;
    } cases[] = {
        {"", v12, true},
        {"", v13, true},
        {"", v11, false},
        {"sec-protocol=TLSv12", v13, false},
        {"sec-protocol=TLSv12", v12, true},
        {"sec-protocol=TLSv13", v12, false},
        {"sec-protocol=TLSv13", v13, true},
        {"sec-protocol=SSLv23", v12, true},
        {"sec-protocol=SSLv23", v11, false},
        {"cipher-list=NORMAL:+VERS-TLS1.1", v11, false},
        {"cipher-list=ECDHE-ECDSA-AES256-GCM-SHA384", "NORMAL:-CIPHER-ALL:+AES-128-GCM", false},
        {"cipher-list=ECDHE-ECDSA-AES256-GCM-SHA384", "NORMAL:-CIPHER-ALL:+AES-256-GCM", true},
        {"cipher-list=HIGH:!aNULL:!MD5:!AES256:!CHACHA20", "NORMAL:-CIPHER-ALL:+AES-256-GCM", false},
        {"cipher-list=HIGH:!aNULL:!MD5:!AES256:!CHACHA20", "NORMAL:-CIPHER-ALL:+AES-128-GCM", true},
        {"cipher-list=ECDHE+AESGCM:!aNULL", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-256-CBC", false},
        {"cipher-list=ALL", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-256-CBC", true},
        {"cipher-list=TLS_CHACHA20_POLY1305_SHA256", v12, false},
        {"cipher-list=TLS_CHACHA20_POLY1305_SHA256", v13, true},
        {"cipher-list=SECURE128", v13, true},
        /* Whatever a list says, nothing goes in plain and is called secured. */
        {"cipher-list=NORMAL:+NULL", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+NULL", false},
        {"cipher-list=NONSENSE", v13, false},
        {"sec-protocol=SSLv3", v13, false},
    };
    uint16_t port = test_tls_add_port(server, admin, "p", "'listening':'secured'");
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        test_call(
            admin, "object.update",
            "{'type':'application','name':'confserv','add':{'ports':[{'id':'p','port':%u,'listening':'secured',"
            "'transport':'%s'}]}}",
            port, cases[i].transport);
        TestTlsOptions options = {.ca = test_pki_path(pki, "ca.pem"), .priority = cases[i].priority};
        g_test_message("%s against %s", cases[i].transport, cases[i].priority);
        g_assert_cmpint(test_tls_try(port, &options) == 0, ==, cases[i].good);
    }
    g_assert_cmpint(test_statistic(admin, "tls.failedSetup"), ==, 2);
    g_assert_cmpint(
        test_statistic(admin, "tls.failedAgreement") + test_statistic(admin, "tls.failedProtocol"), ==, 10);
}

static void
test_peer_certificates(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autofree char *more =
        g_strdup_printf("tls-mutual = true\ntls-crl = %s\n", test_pki_path(pki, "crl.pem"));
    g_autoptr(TestServer) server = test_tls_primary(pki, "listening-mode = secured", more);
    TestCertificate expired = {.client = true, .first_day = -5, .last_day = -1},
                    stranger = {.client = true, .issuer = "other-ca"};
    test_pki_make(pki, "late", &expired);
    test_pki_make(pki, "foreign", &stranger);
    test_pki_make(pki, "any", &(TestCertificate){0});
    static const struct {
        const char *file;
        int alert;
        const char *statistic;
    } cases[] = {
        {"client", 0, "tls.handshakes"},
        {"any", 0, "tls.handshakes"},
        {"revoked", GNUTLS_A_CERTIFICATE_REVOKED, "tls.failedRevoked"},
        {"late", GNUTLS_A_CERTIFICATE_EXPIRED, "tls.failedExpired"},
        /* GnuTLS shows none that the server's authorities did not sign. */
        {"foreign", GNUTLS_A_CERTIFICATE_REQUIRED, "tls.failedNoCertificate"},
        /* It is for servers only. */
        {"server", GNUTLS_A_UNKNOWN_CA, "tls.failedUntrusted"},
    };
    g_autoptr(TestClient) manager = test_tls_manager(server);
    for (unsigned v = 0; v < 2; v++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
            g_autofree char *certificate =
                g_strconcat(test_pki_get_folder(pki), "/", cases[i].file, ".pem", NULL);
            g_autofree char *key = g_strconcat(test_pki_get_folder(pki), "/", cases[i].file, ".key", NULL);
            TestTlsOptions options = {
                .ca = test_pki_path(pki, "ca.pem"), .certificate = certificate, .key = key};
            options.priority = v == 0 ? "NORMAL:-VERS-ALL:+VERS-TLS1.2" : "NORMAL";
            int64_t before = test_statistic(manager, cases[i].statistic);
            g_test_message("%s by %s", cases[i].file, options.priority);
            bool older = v == 0 && cases[i].alert == GNUTLS_A_CERTIFICATE_REQUIRED;
            g_assert_cmpint(test_tls_try(test_server_get_port(server), &options), ==,
                            older ? GNUTLS_A_HANDSHAKE_FAILURE : cases[i].alert);
            g_assert_cmpint(test_statistic(manager, cases[i].statistic), ==, before + 1);
        }
    }
}

/* By name, with wildcards, and by what the client can: two kinds of keys for one name. */
static void
test_names(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    test_pki_make(pki, "middle", &(TestCertificate){.authority = true});
    test_pki_make(pki, "one",
                  &(TestCertificate){.dns_names = "one.test", .server = true, .issuer = "middle"});
    test_pki_make(pki, "wild", &(TestCertificate){.dns_names = "*.wild.test", .server = true});
    test_pki_make(pki, "one-rsa",
                  &(TestCertificate){.dns_names = "one.test", .server = true, .rsa_bits = 2048});
    const char *f = test_pki_get_folder(pki);
    g_autofree char *options = g_strdup_printf(
        "plugins = tls\nlistening-mode = secured\n[tls]\ncertificate = %s/server.pem, %s/one.pem,%s/middle.pem , %s/wild.pem,%s/one-rsa.pem\n"
        "certificate-key = %s/wild.key,%s/one.key,%s/server.key,%s/one-rsa.key\n",
        f, f, f, f, f, f, f, f, f);
    g_autoptr(TestServer) server = test_primary_new(options);
    static const struct {
        const char *name, *shown, *priority;
        bool checked;
    } cases[] = {
        {"localhost", "server", NULL, true},
        {"one.test", "one", NULL, true},
        {"a.wild.test", "wild", NULL, true},
        {"unknown.test", "server", NULL, false},
        {"one.test", "one-rsa", "NORMAL:-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-SHA256", false},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        TestTlsOptions client = {.name = cases[i].name, .priority = cases[i].priority};
        client.ca = cases[i].checked ? test_pki_path(pki, "ca.pem") : NULL;
        g_autoptr(TestTls) tls = test_tls_connect(test_server_get_port(server), &client);
        g_test_message("%s", cases[i].name);
        g_assert_true(test_tls_is_open(tls));
        g_assert_cmpstr(test_tls_get_peer_name(tls), ==, cases[i].shown);
        gnutls_datum_t alpn;
        g_assert_cmpint(gnutls_alpn_get_selected_protocol(test_tls_get_session(tls), &alpn), ==, 0);
        g_assert_cmpmem(alpn.data, alpn.size, "confserv/1", 10);
    }
}

/* Tickets save a handshake, and open nothing that a certificate would not. */
static void
test_resumption(const void *data)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autofree char *more =
        g_strdup_printf("tls-mutual = true\ntls-crl = %s\n", test_pki_path(pki, "crl.pem"));
    g_autoptr(TestServer) server = test_tls_primary(pki, "listening-mode = secured", more);
    g_autoptr(TestClient) manager = test_tls_manager(server);
    TestTlsOptions options = {.ca = test_pki_path(pki, "ca.pem"), .priority = data};
    options.certificate = test_pki_path(pki, "client.pem");
    options.key = test_pki_path(pki, "client.key");
    gnutls_datum_t session = {NULL, 0};
    for (unsigned i = 0; i < 3; i++) {
        g_autoptr(TestTls) tls = test_tls_connect(test_server_get_port(server), &options);
        g_assert_true(test_tls_is_open(tls));
        g_assert_nonnull(test_tls_call(tls, TEST_INFO_LINE));
        g_assert_cmpint(gnutls_session_is_resumed(test_tls_get_session(tls)) != 0, ==, i > 0);
        gnutls_free(session.data);
        g_assert_cmpint(gnutls_session_get_data2(test_tls_get_session(tls), &session), ==, 0);
        options.session = &session;
    }
    g_assert_cmpint(test_statistic(manager, "tls.handshakesResumed"), ==, 2);
    /* The key of tickets goes with the files: a revoked client does not come back by its ticket. */
    test_pki_revoke(pki, "ca", "crl.pem", "client", "revoked", NULL);
    test_call(manager, "server.reload", "{}");
    test_wait_statistic(manager, "tls.reloads", 1);
    g_assert_cmpint(test_tls_try(test_server_get_port(server), &options), ==, GNUTLS_A_CERTIFICATE_REVOKED);
    gnutls_free(session.data);
}

/* ---- programs that others wrote ---- */
static char *run_program(const char *input, const char *format, ...) G_GNUC_PRINTF(2, 3);

static char *
run_program(const char *input, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *command = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *limited = g_strconcat("exec timeout 20 ", command, " 2>&1", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GSubprocess) process = g_subprocess_new(
        G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error, "sh", "-c", limited, NULL);
    g_assert_no_error(error);
    char *output = NULL;
    g_subprocess_communicate_utf8(process, input, NULL, &output, NULL, &error);
    g_assert_no_error(error);
    g_test_message("%s\n%s", limited, output);
    return output;
}

static void
assert_holds(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        g_error("'%s' is not in: %s", part, text);
}

static void
test_openssl(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autofree char *more = g_strdup_printf("tls-crl = %s\n", test_pki_path(pki, "crl.pem"));
    g_autoptr(TestServer) server = test_tls_primary(pki, "listening-mode = auto-detect", more);
    g_autoptr(TestClient) admin = test_client_new(server);
    const char *f = test_pki_get_folder(pki);
    uint16_t port = test_server_get_port(server),
             mutual = test_tls_add_port(server, admin, "m", "'listening':'secured','mutual':true");
    g_autofree char *base =
        g_strdup_printf("openssl s_client -quiet -CAfile %s/ca.pem -verify_return_error", f);
    static const char ask[] =
        TEST_LOGIN_LINE "\n{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"session.close\",\"params\":{}}\n";
    static const char *const versions[] = {"-tls1_2", "-tls1_3"};
    for (unsigned i = 0; i < 2; i++) {
        g_autofree char *good = run_program(
            ask,
            "%s %s -connect 127.0.0.1:%u -servername localhost -verify_hostname localhost -alpn confserv/1",
            base, versions[i], port);
        assert_holds(good, "\"session\":");
        assert_holds(good, "\"id\":3,\"result\":{}");
        g_autofree char *known =
            run_program(ask, "%s %s -connect 127.0.0.1:%u -cert %s/client.pem -key %s/client.key", base,
                        versions[i], mutual, f, f);
        assert_holds(known, "\"session\":");
        g_autofree char *revoked =
            run_program(ask, "%s %s -connect 127.0.0.1:%u -cert %s/revoked.pem -key %s/revoked.key", base,
                        versions[i], mutual, f, f);
        assert_holds(revoked, "certificate revoked");
        g_autofree char *foreign =
            run_program(ask, "%s %s -connect 127.0.0.1:%u -cert %s/stranger.pem -key %s/stranger.key", base,
                        versions[i], mutual, f, f);
        assert_holds(foreign, "unknown ca");
        g_autofree char *nobody = run_program(ask, "%s %s -connect 127.0.0.1:%u", base, versions[i], mutual);
        assert_holds(nobody, "alert");
        g_assert_null(strstr(nobody, "\"session\""));
    }
    g_autofree char *old =
        run_program(ask, "%s -tls1_1 -cipher DEFAULT@SECLEVEL=0 -connect 127.0.0.1:%u", base, port);
    assert_holds(old, "protocol version");
    /* A session taken up; then a client that wants to renegotiate is sent away, alone. */
    g_autofree char *out = run_program(
        "",
        "openssl s_client -CAfile %s/ca.pem -connect 127.0.0.1:%u -sess_out %s/session -ign_eof -tls1_2 </dev/null & sleep 1; kill $!",
        f, port, f);
    assert_holds(out, "New, TLSv1.2");
    g_autofree char *again = run_program(
        "", "openssl s_client -CAfile %s/ca.pem -connect 127.0.0.1:%u -sess_in %s/session -tls1_2 </dev/null",
        f, port, f);
    assert_holds(again, "Reused, TLSv1.2");
    g_autofree char *renegotiation =
        run_program("R\n", "openssl s_client -CAfile %s/ca.pem -connect 127.0.0.1:%u -tls1_2", f, port);
    assert_holds(renegotiation, "RENEGOTIATING");
    test_wait_statistic(admin, "tls.streamsBroken", 1);
    test_sync(admin);
}

static void
test_gnutls_cli(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(TestServer) server = test_tls_primary(pki, "listening-mode = secured", NULL);
    const char *f = test_pki_get_folder(pki);
    static const char ask[] =
        TEST_LOGIN_LINE "\n{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"session.close\",\"params\":{}}\n";
    g_autofree char *good =
        run_program(ask, "gnutls-cli --x509cafile %s/ca.pem --alpn=confserv/1 -p %u localhost", f,
                    test_server_get_port(server));
    assert_holds(good, "The certificate is trusted");
    assert_holds(good, "\"session\":");
    g_autofree char *again = run_program(ask, "gnutls-cli -r --x509cafile %s/ca.pem -p %u localhost", f,
                                         test_server_get_port(server));
    assert_holds(again, "This is a resumed session");
    g_autofree char *wrong = run_program(ask, "gnutls-cli --x509cafile %s/other-ca.pem -p %u localhost", f,
                                         test_server_get_port(server));
    assert_holds(wrong, "NOT trusted");
    g_autoptr(TestClient) manager = test_tls_manager(server);
    test_wait_statistic(manager, "tls.handshakesFailed", 1);
    test_wait_statistic(manager, "tls.handshakes", 2);
    test_wait_statistic(manager, "tls.handshakesResumed", 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/integration/tls/client-1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.2", test_client);
    g_test_add_data_func("/integration/tls/client-1.3", "NORMAL:-VERS-ALL:+VERS-TLS1.3", test_client);
    g_test_add_func("/integration/tls/modes", test_modes);
    g_test_add_func("/integration/tls/plain-login", test_plain_login);
    g_test_add_func("/integration/tls/agreement", test_agreement);
    g_test_add_func("/integration/tls/peer-certificates", test_peer_certificates);
    g_test_add_func("/integration/tls/names", test_names);
    g_test_add_data_func("/integration/tls/resumption-1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.2", test_resumption);
    g_test_add_data_func("/integration/tls/resumption-1.3", "NORMAL:-VERS-ALL:+VERS-TLS1.3", test_resumption);
    g_test_add_func("/integration/tls/openssl", test_openssl);
    g_test_add_func("/integration/tls/gnutls-cli", test_gnutls_cli);
    return g_test_run();
}
