/* test-tls-reload.c - plugin tls while it serves: files that are renewed, files that are bad, and days
 * that run out. */
#include <stdio.h>
#include <sys/stat.h>

#include "tls.h"

/* A new certificate is for those who come; who is there stays; a bad file changes nothing and is told. */
static void
test_renewal(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    const TestCertificate first = {.common_name = "first", .dns_names = "localhost", .server = true};
    TestCertificate second = first;
    second.common_name = "second";
    test_pki_make(pki, "own", &first);
    g_autofree char *options = g_strdup_printf(
        "plugins = tls\nlistening-mode = secured\n[tls]\ncertificate = %s\ncertificate-key = %s\n",
        test_pki_path(pki, "own.pem"), test_pki_path(pki, "own.key"));
    g_autoptr(TestServer) server = test_primary_new(options);
    g_autoptr(TestClient) manager = test_tls_manager(server);
    TestTlsOptions client = {.ca = test_pki_path(pki, "ca.pem")};
    g_autoptr(TestTunnel) tunnel = test_tunnel_new(test_server_get_port(server), &client);
    g_autoptr(TestClient) stays = test_client_connect(test_tunnel_get_port(tunnel));
    test_call(stays, "session.open", TEST_LOGIN);
    uint16_t by_transport = test_free_port();
    g_autofree char *transport = g_strdup_printf(
        "certificate=%s;certificate-key=%s", test_pki_path(pki, "own.pem"), test_pki_path(pki, "own.key"));
    test_call(
        stays, "object.update",
        "{'type':'application','name':'confserv','add':{'ports':[{'id':'t','port':%u,'listening':'secured',"
        "'transport':'%s;sec-protocol=TLSv13'}]}}",
        by_transport, transport);
    g_autofree char *opened = g_strdup_printf("port=%u", by_transport);
    test_server_wait_log(server, opened);
    const uint16_t ports[] = {test_server_get_port(server), by_transport};
    for (unsigned i = 0; i < 2; i++) {
        g_autoptr(TestTls) tls = test_tls_connect(ports[i], &client);
        g_assert_cmpstr(test_tls_get_peer_name(tls), ==, "first");
    }
    /* By SIGHUP. */
    test_pki_make(pki, "own", &second);
    int64_t before = test_statistic(manager, "tls.reloads");
    test_server_signal(server, SIGHUP);
    test_wait_statistic(manager, "tls.reloads", before + 2);
    for (unsigned i = 0; i < 2; i++) {
        g_autoptr(TestTls) tls = test_tls_connect(ports[i], &client);
        g_assert_cmpstr(test_tls_get_peer_name(tls), ==, "second");
    }
    test_call(stays, "object.count", "{'type':'host'}");
    /* A key of another certificate, then no certificate at all: by server.reload. */
    static const char *const bad[] = {"own.key", "own.pem"};
    for (unsigned i = 0; i < 2; i++) {
        g_autofree char *good = NULL;
        gsize size = 0;
        g_assert_true(g_file_get_contents(test_pki_path(pki, bad[i]), &good, &size, NULL));
        g_autofree char *other = NULL;
        g_assert_true(g_file_get_contents(test_pki_path(pki, "client.key"), &other, NULL, NULL));
        g_assert_true(g_file_set_contents(test_pki_path(pki, bad[i]), i == 0 ? other : "nonsense", -1, NULL));
        test_call(manager, "server.reload", "{}");
        test_server_wait_log(server, i == 0 ? "its key is not in option certificate-key" : "own.pem: ");
        JsonObject *told = test_call(stays, "server.info", "{}");
        JsonArray *refused = json_object_get_array_member(told, "refusedOptions");
        /* What is bad now, and not what was bad before. */
        g_assert_cmpuint(json_array_get_length(refused), ==, 1);
        g_assert_nonnull(strstr(json_array_get_string_element(refused, 0), "plugin tls: option certificate"));
        for (unsigned k = 0; k < 2; k++) {
            g_autoptr(TestTls) tls = test_tls_connect(ports[k], &client);
            g_assert_cmpstr(test_tls_get_peer_name(tls), ==, "second");
        }
        g_assert_true(g_file_set_contents(test_pki_path(pki, bad[i]), good, (gssize)size, NULL));
    }
    test_call(manager, "server.reload", "{}");
    test_wait_statistic(manager, "tls.reloads", before + 4);
    test_call(stays, "object.count", "{'type':'host'}");
}

/* A file of a port alone: the old one stays in force, and the log says why. */
static void
test_bad_port(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(TestServer) server = test_tls_primary(pki, NULL, NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    test_pki_make(pki, "port", &(TestCertificate){.dns_names = "localhost", .server = true});
    g_autofree char *members = g_strdup_printf(
        "'listening':'secured','transport':'certificate=%s/port.pem;certificate-key=%s/port.key'",
        test_pki_get_folder(pki), test_pki_get_folder(pki));
    uint16_t port = test_tls_add_port(server, admin, "p", members);
    TestTlsOptions client = {.ca = test_pki_path(pki, "ca.pem")};
    g_assert_cmpint(test_tls_try(port, &client), ==, 0);
    g_assert_true(g_file_set_contents(test_pki_path(pki, "port.pem"), "nonsense", -1, NULL));
    test_call(admin, "server.reload", "{}");
    test_wait_statistic(admin, "tls.reloadsFailed", 1);
    test_server_wait_log(server, "New files are not taken, the old ones stay in force");
    g_assert_cmpint(test_tls_try(port, &client), ==, 0);
    /* A port whose files were never good serves nobody, and is alone in that. */
    test_call(
        admin, "object.update",
        "{'type':'application','name':'confserv','add':{'ports':[{'id':'p','port':%u,'listening':'secured',"
        "'transport':'certificate=/missing.pem'}]}}",
        port);
    g_assert_cmpint(test_tls_try(port, &client), ==, -1);
    test_server_wait_log(server, "A connection cannot be secured");
    /* What has no end, or nobody at the other end, neither holds the server up nor fills its memory. */
    g_autofree char *pipe = g_build_filename(test_pki_get_folder(pki), "pipe.pem", NULL);
    g_assert_cmpint(mkfifo(pipe, 0600), ==, 0);
    const char *const endless[] = {pipe, "/dev/zero"};
    for (unsigned i = 0; i < G_N_ELEMENTS(endless); i++) {
        test_call(
            admin, "object.update",
            "{'type':'application','name':'confserv','add':{'ports':[{'id':'p','port':%u,'listening':'secured',"
            "'transport':'certificate=%s/port.pem;certificate-key=%s'}]}}",
            port, test_pki_get_folder(pki), endless[i]);
        g_assert_cmpint(test_tls_try(port, &client), ==, -1);
        g_autofree char *complaint = g_strdup_printf("file %s: it is no regular file", endless[i]);
        test_server_wait_log(server, complaint);
    }
    g_assert_cmpint(remove(pipe), ==, 0);
    test_sync(admin);
}

/* While clients come and go and ask: every answer is there, and no connection is lost. */
static void
test_under_load(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(TestServer) server = test_tls_primary(pki, "listening-mode = secured", NULL);
    TestTlsOptions options = {.ca = test_pki_path(pki, "ca.pem")};
    g_autoptr(TestTunnel) tunnel = test_tunnel_new(test_server_get_port(server), &options);
    g_autoptr(TestClient) client = test_client_connect(test_tunnel_get_port(tunnel));
    test_call(client, "session.open", TEST_LOGIN);
    const TestCertificate renewed = {
        .common_name = "server", .dns_names = "localhost", .ip_addresses = "127.0.0.1, ::1", .server = true};
    for (unsigned i = 0; i < 10; i++) {
        int64_t last = 0;
        for (unsigned k = 0; k < 60; k++)
            last = test_send(client, "object.list", "{'type':'application'}");
        if (i % 3 == 0)
            test_pki_make(pki, "server", &renewed);
        test_server_signal(server, SIGHUP);
        g_assert_cmpint(test_tls_try(test_server_get_port(server), &options), ==, 0);
        g_assert_true(json_object_has_member(test_wait_response(client, last), "result"));
        test_wait_statistic(client, "tls.reloads", i + 1);
    }
    g_assert_cmpint(test_statistic(client, "tls.handshakes"), ==, 11);
}

static void
test_days(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    const char *f = test_pki_get_folder(pki);
    static const struct {
        const char *name;
        int days;
        const char *warning;
    } cases[] = {{"far", 100, NULL},
                 {"month", 20, "A certificate will soon expire"},
                 {"week", 5, "A certificate will soon expire"},
                 {"over", -1, "A certificate has expired"}};
    g_autoptr(GString) certificates = g_string_new(NULL), keys = g_string_new(NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        TestCertificate certificate = {
            .dns_names = cases[i].name, .server = true, .first_day = -5, .last_day = cases[i].days};
        test_pki_make(pki, cases[i].name, &certificate);
        g_string_append_printf(certificates, "%s%s/%s.pem", i > 0 ? "," : "", f, cases[i].name);
        g_string_append_printf(keys, "%s%s/%s.key", i > 0 ? "," : "", f, cases[i].name);
    }
    g_autofree char *options = g_strdup_printf(
        "plugins = tls\n[tls]\ncertificate = %s\ncertificate-key = %s\ntrusted-ca = %s/ca.pem\ntls-crl = %s/crl.pem\n",
        certificates->str, keys->str, f, f);
    g_autoptr(TestServer) server = test_primary_new(options);
    g_autoptr(TestClient) client = test_client_new(server);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = g_strdup_printf("tls.daysLeft %s/%s.pem", f, cases[i].name);
        g_assert_cmpint(test_statistic(client, name), ==, MAX(cases[i].days, 0));
        g_autofree char *log = test_server_read_log(server);
        g_autofree char *file = g_strdup_printf("file=%s/%s.pem", f, cases[i].name);
        const char *line = strstr(log, file);
        g_assert_cmpint(line != NULL, ==, cases[i].warning != NULL);
        if (line != NULL) {
            while (line > log && line[-1] != '\n')
                line--;
            const char *end = strchr(line, '\n');
            g_autofree char *text = g_strndup(line, (gsize)(end - line));
            g_assert_nonnull(strstr(text, cases[i].warning));
        }
    }
    g_assert_cmpint(test_statistic(client, "tls.daysLeft"), ==, 0);
    g_autofree char *list = g_strdup_printf("tls.daysLeft %s/crl.pem", f);
    g_assert_cmpint(test_statistic(client, list), >=, 29);
}

/* Other files in the place of those that run out, by the options: the old ones may be taken away, and
 * nobody warns of them any more. */
static void
test_other_files(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    const char *f = test_pki_get_folder(pki);
    TestCertificate certificate = {
        .common_name = "old", .dns_names = "localhost", .server = true, .first_day = -5, .last_day = 5};
    test_pki_make(pki, "server", &certificate);
    certificate.common_name = "new";
    certificate.last_day = 50;
    test_pki_make(pki, "new", &certificate);
    g_autoptr(TestServer) server = test_tls_primary(pki, "listening-mode = secured", NULL);
    g_autoptr(TestClient) admin = test_client_connect(test_server_get_management_port(server));
    test_call(admin, "session.open", TEST_LOGIN);
    TestTlsOptions client = {.ca = test_pki_path(pki, "ca.pem")};
    g_assert_cmpint(test_tls_try(test_server_get_port(server), &client), ==, 0);
    g_assert_cmpint(test_statistic(admin, "tls.daysLeft"), ==, 5);
    test_call(
        admin, "object.update",
        "{'type':'application','name':'confserv','patch':{'options':{'tls':{'certificate':'%s/new.pem','certificate-key':'%s/new.key'}}}}",
        f, f);
    g_assert_cmpint(test_statistic(admin, "tls.daysLeft"), ==, 50);
    g_assert_cmpint(remove(test_pki_path(pki, "server.pem")), ==, 0);
    g_assert_cmpint(remove(test_pki_path(pki, "server.key")), ==, 0);
    for (unsigned i = 0; i < 2; i++) {
        g_autoptr(TestTls) tls = test_tls_connect(test_server_get_port(server), &client);
        g_assert_cmpstr(test_tls_get_peer_name(tls), ==, "new");
        g_assert_cmpint(test_statistic(admin, "tls.daysLeft"), ==, 50);
        test_call(admin, "server.reload", "{}");
        test_wait_statistic(admin, "tls.reloads", i + 1);
        g_assert_cmpint(test_statistic(admin, "tls.reloadsFailed"), ==, 0);
    }
}

/* A start with a file that is no good is none, and the sentence names it. */
static void
test_start(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autofree char *options = test_tls_file(pki, NULL, NULL);
    g_autoptr(TestServer) server = test_primary_prepare(options);
    static const char *const files[] = {"server.pem", "server.key", "ca.pem"};
    for (unsigned i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *good = NULL;
        gsize size = 0;
        g_assert_true(g_file_get_contents(test_pki_path(pki, files[i]), &good, &size, NULL));
        g_assert_true(g_file_set_contents(test_pki_path(pki, files[i]), "nonsense", -1, NULL));
        test_server_spawn(server);
        g_assert_cmpint(test_server_wait_exit(server), ==, 2);
        g_autofree char *log = test_server_read_log(server);
        g_assert_nonnull(strstr(log, files[i]));
        g_assert_true(g_file_set_contents(test_pki_path(pki, files[i]), good, (gssize)size, NULL));
    }
    test_server_start(server);
}

/* A bad value of one plugin in the application object is told and leaves its neighbours alone; SIGHUP goes
 * on renewing files. */
static void
test_bad_value_elsewhere(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autofree char *options = test_tls_file(pki, "listening-mode = secured\nprotocol = addp", NULL);
    g_autoptr(GString) file = g_string_new(options);
    g_string_replace(file, "plugins = tls", "plugins = tls, addp", 1);
    g_autoptr(TestServer) server = test_primary_new(file->str);
    g_autoptr(TestClient) admin = test_client_connect(test_server_get_management_port(server));
    test_call(admin, "session.open", TEST_LOGIN);
    test_call(
        admin, "object.update",
        "{'type':'application','name':'confserv','patch':{'options':{'confserv':{'addp-trace':'loud','addp-timeout':'7'}}}}");
    TestTlsOptions client = {.ca = test_pki_path(pki, "ca.pem")};
    test_pki_make(pki, "server",
                  &(TestCertificate){.common_name = "renewed", .dns_names = "localhost", .server = true});
    test_server_signal(server, SIGHUP);
    test_wait_statistic(admin, "tls.reloads", 1);
    g_autoptr(TestTls) tls = test_tls_connect(test_server_get_port(server), &client);
    g_assert_cmpstr(test_tls_get_peer_name(tls), ==, "renewed");
    JsonArray *refused =
        json_object_get_array_member(test_call(admin, "server.info", "{}"), "refusedOptions");
    g_assert_cmpuint(json_array_get_length(refused), ==, 1);
    g_assert_nonnull(
        strstr(json_array_get_string_element(refused, 0), "plugin addp: confserv/addp-trace: \"loud\""));
    g_autoptr(TestClient) other = test_client_connect(test_server_get_management_port(server));
    JsonObject *agreed = json_object_get_object_member(
        test_call(other, "session.open",
                  "{'user':'default','password':'" TEST_PASSWORD "','application':'confctl','addp':{}}"),
        "addp");
    g_assert_cmpint(json_object_get_int_member(agreed, "remoteTimeout"), ==, 7);
    test_call(
        admin, "object.update",
        "{'type':'application','name':'confserv','patch':{'options':{'confserv':{'addp-trace':'both'}}}}");
    refused = json_object_get_array_member(test_call(admin, "server.info", "{}"), "refusedOptions");
    g_assert_cmpuint(json_array_get_length(refused), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/tls-reload/renewal", test_renewal);
    g_test_add_func("/integration/tls-reload/bad-port", test_bad_port);
    g_test_add_func("/integration/tls-reload/bad-value-elsewhere", test_bad_value_elsewhere);
    g_test_add_func("/integration/tls-reload/under-load", test_under_load);
    g_test_add_func("/integration/tls-reload/days", test_days);
    g_test_add_func("/integration/tls-reload/other-files", test_other_files);
    g_test_add_func("/integration/tls-reload/start", test_start);
    return g_test_run();
}
