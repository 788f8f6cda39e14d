/* test-tls-lists.c - lists of revoked certificates, at both ends: one that names the peer, one that is out
 * of date, one that is replaced while the server runs. */
#include <stdlib.h>

#include "confctl-run.h"
#include "tls-relay.h"
#include "tls.h"

enum { DAY_S = 24 * 60 * 60 };

static void
reload_list(TestServer *server, TestClient *manager, const char *statistic)
{
    int64_t before = test_statistic(manager, statistic);
    test_server_signal(server, SIGHUP);
    test_wait_statistic(manager, statistic, before + 1);
}

static void
assert_refused(TestServer *server, TestClient *manager, const TestTlsOptions *client, int alert,
               const char *statistic, const char *event)
{
    int64_t before = test_statistic(manager, statistic);
    g_assert_cmpint(test_tls_try(test_server_get_port(server), client), ==, alert);
    g_assert_cmpint(test_statistic(manager, statistic), ==, before + 1);
    test_server_wait_log(server, event);
}

/* A list takes effect at SIGHUP, also for a peer that comes by a ticket; one that is out of date lets
 * nobody of its authority in, says so, and is over with the next; a file that is no list changes nothing. */
static void
test_replaced(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autofree char *more =
        g_strdup_printf("tls-mutual = true\ntls-crl = %s\n", test_pki_path(pki, "crl.pem"));
    g_autoptr(TestServer) server = test_tls_primary(pki, "listening-mode = secured", more);
    g_autoptr(TestClient) manager = test_tls_manager(server);
    test_call(manager, "session.open", TEST_LOGIN);
    TestTlsOptions client = {.ca = test_pki_path(pki, "ca.pem")};
    client.certificate = test_pki_path(pki, "client.pem");
    client.key = test_pki_path(pki, "client.key");
    uint16_t port = test_server_get_port(server);
    g_autoptr(TestTls) stays = test_tls_connect(port, &client);
    g_assert_nonnull(test_tls_call(stays, TEST_LOGIN_LINE));

    test_pki_revoke(pki, "ca", "crl.pem", "client", NULL);
    reload_list(server, manager, "tls.reloads");
    assert_refused(server, manager, &client, GNUTLS_A_CERTIFICATE_REVOKED, "tls.failedRevoked", "revoked");

    test_pki_revoke_until(pki, "ca", "crl.pem", -DAY_S, "revoked", NULL);
    reload_list(server, manager, "tls.reloads");
    test_server_wait_log(server, "A revocation list is out of date");
    assert_refused(server, manager, &client, GNUTLS_A_CERTIFICATE_UNKNOWN, "tls.failedListOutdated",
                   "revocation list of its authority is out of date");
    g_autofree char *days = g_strdup_printf("tls.daysLeft %s", test_pki_path(pki, "crl.pem"));
    g_assert_cmpint(test_statistic(manager, days), ==, 0);

    test_pki_revoke(pki, "ca", "crl.pem", "revoked", NULL);
    reload_list(server, manager, "tls.reloads");
    g_assert_cmpint(test_tls_try(port, &client), ==, 0);
    g_assert_cmpint(test_statistic(manager, days), >=, 29);

    g_assert_true(g_file_set_contents(test_pki_path(pki, "crl.pem"), "nonsense", -1, NULL));
    test_server_signal(server, SIGHUP);
    test_server_wait_log(server, "option tls-crl: file");
    g_assert_cmpint(test_tls_try(port, &client), ==, 0);
    TestTlsOptions revoked = client;
    revoked.certificate = test_pki_path(pki, "revoked.pem");
    revoked.key = test_pki_path(pki, "revoked.key");
    assert_refused(server, manager, &revoked, GNUTLS_A_CERTIFICATE_REVOKED, "tls.failedRevoked", "revoked");
    /* Nobody who was in has noticed. */
    g_assert_nonnull(test_tls_call(stays, TEST_INFO_LINE));
}

/* Nothing is read again, the time passes: from then on nobody comes in, by a ticket neither. */
static void
test_runs_out(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autofree char *more =
        g_strdup_printf("tls-mutual = true\ntls-crl = %s\n", test_pki_path(pki, "crl.pem"));
    g_autoptr(TestServer) server = test_tls_primary(pki, "listening-mode = secured", more);
    g_autoptr(TestClient) manager = test_tls_manager(server);
    test_call(manager, "session.open", TEST_LOGIN);
    TestTlsOptions client = {.ca = test_pki_path(pki, "ca.pem")};
    client.certificate = test_pki_path(pki, "client.pem");
    client.key = test_pki_path(pki, "client.key");
    uint16_t port = test_server_get_port(server);
    test_pki_revoke_until(pki, "ca", "crl.pem", 6, "revoked", NULL);
    reload_list(server, manager, "tls.reloads");
    gnutls_datum_t session = {NULL, 0};
    g_autoptr(TestTls) first = test_tls_connect(port, &client);
    g_assert_nonnull(test_tls_call(first, TEST_LOGIN_LINE));
    g_assert_cmpint(gnutls_session_get_data2(test_tls_get_session(first), &session), ==, 0);
    int result;
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    while ((result = test_tls_try(port, &client)) == 0 && g_get_monotonic_time() < until)
        g_usleep(100 * 1000);
    g_assert_cmpint(result, ==, GNUTLS_A_CERTIFICATE_UNKNOWN);
    client.session = &session;
    assert_refused(server, manager, &client, GNUTLS_A_CERTIFICATE_UNKNOWN, "tls.failedListOutdated",
                   "revocation list of its authority is out of date");
    gnutls_free(session.data);
    g_assert_nonnull(test_tls_call(first, TEST_INFO_LINE));
}

/* The client's end: confctl and a proxy do not believe a server whose authority's list is out of date. */
static void
test_clients(void)
{
    g_auto(Run) run;
    g_autoptr(TestPki) pki = test_pki_new();
    run_init(&run);
    const TlsRelayOptions options = {.certificate = test_pki_path(pki, "server.pem"),
                                     .key = test_pki_path(pki, "server.key")};
    g_autoptr(TlsRelay) relay = tls_relay_new(test_server_get_port(run.server), &options);
    g_autofree char *info = g_strdup_printf("--tls-ca %s --tls-crl %s info", test_pki_path(pki, "ca.pem"),
                                            test_pki_path(pki, "crl.pem"));
    run.port = tls_relay_get_port(relay);
    confctl(&run, info);
    test_pki_revoke_until(pki, "ca", "crl.pem", -60, "revoked", NULL);
    size_t received = tls_relay_get_received(relay);
    g_assert_has(refused(&run, 3, info), "the list of revoked certificates is out of date");
    g_assert_cmpuint(tls_relay_get_received(relay), ==, received);

    g_autofree char *file =
        g_strdup_printf("[csproxy]\nplugins = tls\n[tls]\ntls = 1\ntrusted-ca = %s\ntls-crl = %s\n",
                        test_pki_path(pki, "ca.pem"), test_pki_path(pki, "crl.pem"));
    g_autofree char *host = g_strdup_printf("127.0.0.1:%u", run.port);
    g_autoptr(TestServer) proxy = test_proxy_prepare(run.server, host, "p1", file);
    test_server_spawn(proxy);
    test_server_wait_log(proxy, "revocation list of its authority is out of date");
    g_assert_cmpuint(tls_relay_get_received(relay), ==, received);
    /* With the next list it follows. */
    test_pki_revoke(pki, "ca", "crl.pem", "revoked", NULL);
    test_server_signal(proxy, SIGHUP);
    g_assert_true(test_server_wait_ready(proxy));
    g_assert_cmpuint(tls_relay_get_received(relay), >, received);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/tls-lists/replaced", test_replaced);
    g_test_add_func("/integration/tls-lists/runs-out", test_runs_out);
    g_test_add_func("/integration/tls-lists/clients", test_clients);
    return g_test_run();
}
