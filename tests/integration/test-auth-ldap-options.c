/* test-auth-ldap-options.c - each option of [gauth_ldap] does what it says, against a real slapd or one
 * that counts. */
#include "ldap-fixture.h"

#include <string.h>
#include <sys/stat.h>

#include "ldap-peer.h"

static void
write_text(TestServer *server, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(test_server_get_folder(server), name, NULL);
    g_autoptr(GError) error = NULL;
    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
}

/* What binds are answered by. */
typedef struct {
    int code;
    const char *text;
} BindAnswer;

static void
answer_bind(LdapGuest *guest, int msgid, uint8_t tag, void *data)
{
    const BindAnswer *answer = g_atomic_pointer_get((BindAnswer **)data);
    if (tag == LDAP_PEER_BIND)
        ldap_guest_result(guest, msgid, LDAP_PEER_BOUND, answer->code, answer->text, NULL);
    else
        ldap_guest_serve(guest, msgid, tag, NULL);
}

static const char ERRORS[] =
    "; server codes\r\n1 Operations error\n 49\tAsk the help desk\n53 retry\n53 Closed ; not for all\n"
    "19 A bad password\n-1 Can't contact LDAP server\n\n";

/* The directory's words, else those of the file, else the standard's. */
static void
test_error_file(void)
{
    static const struct {
        BindAnswer answer;
        int64_t code;
        const char *text;
    } CASES[] = {{{49, NULL}, -32001, "Ask the help desk"},
                 {{49, "data 52e"}, -32001, "data 52e"},
                 {{19, NULL}, -32001, "A bad password"},
                 {{50, NULL}, -32001, "Insufficient access"},
                 {{53, NULL}, -32013, NULL},
                 {{53, "not today"}, -32013, NULL}};
    const BindAnswer *answer = &CASES[0].answer;
    g_autoptr(LdapPeer) peer = ldap_peer_new(answer_bind, &answer, NULL, false);
    g_autofree char *section =
        ldap_section_of(ldap_peer_get_port(peer), "error-file = ldaperrors.txt\nretry-interval = 0\n");
    g_autofree char *options = ldap_options("", section, NULL);
    g_autoptr(TestServer) server = test_primary_prepare(options);
    write_text(server, "ldaperrors.txt", ERRORS);
    test_server_start(server);
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *text = NULL;
        g_atomic_pointer_set(&answer, &CASES[i].answer);
        g_assert_cmpint(ldap_login_text(server, "anna", "alicepw", &text), ==, CASES[i].code);
        g_assert_cmpstr(text, ==, CASES[i].text);
    }
    /* What is no such file changes nothing. */
    g_autofree char *huge = g_strnfill((1 << 20) + 1, ';'), *long_text = g_strnfill(2000, 'x');
    g_autofree char *long_line = g_strconcat("49 ", long_text, NULL);
    const char *const BAD[] = {"49 Good\nNone\n", "70000 Too large\n", "49 \xff\n", long_line, huge};
    g_atomic_pointer_set(&answer, &CASES[0].answer);
    for (unsigned i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_autofree char *before = test_server_read_log(server);
        write_text(server, "ldaperrors.txt", BAD[i]);
        test_call(admin, "server.reload", "{}");
        g_autofree char *after = test_server_read_log(server);
        g_assert_nonnull(strstr(after + strlen(before), "error-file"));
        ldap_assert_refused(server, "anna", "alicepw", "Ask the help desk");
    }
    write_text(server, "ldaperrors.txt", "49 Another text\n");
    test_call(admin, "server.reload", "{}");
    ldap_assert_refused(server, "anna", "alicepw", "Another text");
}

/* At the start a file that is missing, no file, or wrong is told of, and nothing is served without it. */
static void
test_error_file_at_start(void)
{
    g_autofree char *section = ldap_section_of(test_free_port(), "error-file = ldaperrors.txt\n");
    g_autofree char *options = ldap_options("", section, NULL);
    for (unsigned i = 0; i < 3; i++) {
        g_autoptr(TestServer) server = test_primary_prepare(options);
        g_autofree char *path = g_build_filename(test_server_get_folder(server), "ldaperrors.txt", NULL);
        if (i == 1)
            g_assert_cmpint(mkfifo(path, 0600), ==, 0);
        if (i == 2)
            write_text(server, "ldaperrors.txt", "none\n");
        test_server_spawn(server);
        g_assert_cmpint(test_server_wait_exit(server), !=, 0);
        g_autofree char *log = test_server_read_log(server);
        g_assert_nonnull(strstr(log, "error-file"));
        g_assert_nonnull(strstr(log, i == 2 ? "line 1" : "ldaperrors.txt"));
    }
}

static unsigned
accepted_by(TestSlapd *slapd)
{
    return test_slapd_count(slapd, "ACCEPT from");
}

/* Connections are kept and used again, for as long as it says; 0: for as long as the directory does. */
static void
test_idle_timeout(void)
{
    g_autoptr(TestSlapd) slapd = test_slapd_new(NULL, 0);
    if (slapd == NULL)
        return;
    unsigned before = accepted_by(slapd);
    g_autoptr(TestServer) server = ldap_primary_new(test_slapd_get_port(slapd), "", "idle-timeout = 1\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    for (unsigned i = 0; i < 5; i++)
        g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    g_assert_cmpint(accepted_by(slapd) - before, ==, 2);
    int64_t since = g_get_monotonic_time();
    ldap_wait_at_most(admin, "auth-ldap.connections", 0);
    g_assert_cmpint(g_get_monotonic_time() - since, <, 5 * G_USEC_PER_SEC);
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    g_assert_cmpint(accepted_by(slapd) - before, ==, 4);
    /* Without it they stay. */
    ldap_edit_file(server, "idle-timeout = 1\n", "");
    test_call(admin, "server.reload", "{}");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    g_usleep(1500000);
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    g_assert_cmpint(accepted_by(slapd) - before, ==, 6);
}

/* What the directory closes meanwhile is noticed, and refuses nobody. */
static void
test_idle_directory(void)
{
    g_autoptr(TestSlapd) slapd = test_slapd_new_with(&(TestSlapdOptions){.global = "idletimeout 1\n"});
    if (slapd == NULL)
        return;
    g_autoptr(TestServer) server = ldap_primary_new(test_slapd_get_port(slapd), "", AS_ADMIN);
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    ldap_wait_at_most(admin, "auth-ldap.connections", 0);
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    /* It is killed and back between two log-ins. */
    test_slapd_signal(slapd, SIGKILL);
    test_slapd_start(slapd);
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.unanswered"), ==, 0);
}

/* Answers some, then closes at the next request without having answered it. */
static void
answer_some(LdapGuest *guest, int msgid, uint8_t tag, void *data)
{
    int *left = data;
    bool asks = tag == LDAP_PEER_SEARCH || tag == LDAP_PEER_BIND;
    if (asks && g_atomic_int_dec_and_test(left))
        ldap_guest_close(guest);
    else
        ldap_guest_serve(guest, msgid, tag, NULL);
}

/* A request that meets the end of its connection is asked again. */
static void
test_closed_meanwhile(void)
{
    int left = 3;
    g_autoptr(LdapPeer) peer = ldap_peer_new(answer_some, &left, NULL, false);
    g_autoptr(TestServer) server = ldap_primary_new(ldap_peer_get_port(peer), "", "");
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    for (unsigned i = 0; i < 2; i++) {
        g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
        g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
        g_assert_cmpint(g_atomic_int_get(&left), <=, 0);
        /* Now the bind. */
        g_atomic_int_set(&left, 2);
    }
    g_assert_cmpint(test_statistic(admin, "auth-ldap.unanswered"), ==, 0);
}

/* slapd asks for a certificate. */
static void
test_client_certificate(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(TestSlapd) slapd = test_slapd_new_with(
        &(TestSlapdOptions){.pki_folder = test_pki_get_folder(pki), .global = "TLSVerifyClient demand\n"});
    if (slapd == NULL)
        return;
    static const struct {
        const char *scheme, *certificate;
        int64_t code;
    } CASES[] = {{"ldaps", "client", 0}, {"ldaps", NULL, -32013}, {"ldaps", "stranger", -32013},
                 {"ldap", "client", 0},  {"ldap", NULL, -32013},  {"ldap", "stranger", -32013}};
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        bool tls = strcmp(CASES[i].scheme, "ldaps") == 0;
        g_autofree char *own = CASES[i].certificate == NULL
                                   ? g_strdup("")
                                   : g_strdup_printf("cert-path = %1$s/%2$s.pem\nkey-path = %1$s/%2$s.key\n",
                                                     test_pki_get_folder(pki), CASES[i].certificate);
        g_autofree char *more = g_strdup_printf("cacert-path = %s\n%s%s", test_pki_path(pki, "ca.pem"),
                                                tls ? "" : "start-tls = true\n", own);
        uint16_t port = tls ? test_slapd_get_tls_port(slapd) : test_slapd_get_port(slapd);
        g_autofree char *section = ldap_section(CASES[i].scheme, port, PEOPLE, "(uid=X)", more);
        g_autofree char *options = ldap_options("", section, NULL);
        g_autoptr(TestServer) server = test_primary_new(options);
        g_autoptr(TestClient) admin = test_client_new(server);
        ldap_add_person(admin, "anna", "alice");
        g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, CASES[i].code);
        g_assert_cmpint(ldap_login(server, "anna", "wrong"), ==, CASES[i].code == 0 ? -32001 : CASES[i].code);
    }
}

/* What does not belong together, or is beyond its limits. */
static void
test_refused(void)
{
    static const char *const BAD[] = {"cert-path = client.pem\n",
                                      "app-user = cn=x\n",
                                      "cacert-path = missing.pem\n",
                                      "start-tls = perhaps\n",
                                      "retry-attempts = 11\n",
                                      "retry-interval = 601\n",
                                      "connect-timeout = 0\n",
                                      "response-timeout = 61\n",
                                      "idle-timeout = 2 d\n",
                                      "max-connections = 0\n",
                                      "chase-referrals = 3\n",
                                      "group-map = cn=ops\n",
                                      "[gauth_ldap_1]\nldap-url = http://x\n"};
    g_autofree char *section = ldap_section_of(test_free_port(), "verbose = false\n");
    g_autofree char *options = ldap_options("", section, NULL);
    g_autoptr(TestServer) server = test_primary_prepare(options);
    const char *folder = test_server_get_folder(server);
    g_autofree char *first = NULL;
    g_assert_cmpint(test_run_confserv(folder, "-check-config", &first), ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_autofree char *output = NULL;
        ldap_edit_file(server, i == 0 ? "verbose = false\n" : BAD[i - 1], BAD[i]);
        g_assert_cmpint(test_run_confserv(folder, "-check-config", &output), ==, 2);
        g_assert_nonnull(strstr(output, "gauth_ldap"));
    }
}

/* slapd lets nobody search who does not say who it is. */
static void
test_app_user(void)
{
    g_autoptr(TestSlapd) slapd = test_slapd_new_with(&(TestSlapdOptions){.global = "require authc\n"});
    if (slapd == NULL)
        return;
    static const struct {
        const char *more;
        int64_t code;
    } CASES[] = {{"", -32013}, {AS_ADMIN, 0}, {"app-user = " TEST_LDAP_ADMIN "\npassword = wrong\n", -32013}};
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(TestServer) server = ldap_primary_new(test_slapd_get_port(slapd), "", CASES[i].more);
        g_autoptr(TestClient) admin = test_client_new(server);
        ldap_add_person(admin, "anna", "alice");
        g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, CASES[i].code);
        g_autofree char *log = test_server_read_log(server);
        g_assert_true((strstr(log, "app-user was refused") != NULL) == (i == 2));
    }
}

static void
hang_up(LdapGuest *guest, int msgid, uint8_t tag, void *unused)
{
    ldap_guest_close(guest);
}

/* So often, with that pause; and once each while it is known that none answers. */
static void
test_retries(void)
{
    g_autoptr(LdapPeer) one = ldap_peer_new(hang_up, NULL, NULL, false),
                        other = ldap_peer_new(hang_up, NULL, NULL, false);
    g_autofree char *first =
        ldap_section_of(ldap_peer_get_port(one), "retry-attempts = 3\nretry-interval = 1\n");
    g_autofree char *second =
        ldap_section_of(ldap_peer_get_port(other), "retry-attempts = 2\nretry-interval = 1\n");
    g_autofree char *options = ldap_options("", first, second);
    g_autoptr(TestServer) server = test_primary_new(options);
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    int64_t since = g_get_monotonic_time();
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, -32013);
    g_assert_cmpint(g_get_monotonic_time() - since, >=, 2 * G_USEC_PER_SEC);
    g_assert_cmpint(ldap_peer_get_connections(one), ==, 3);
    g_assert_cmpint(ldap_peer_get_connections(other), ==, 2);
    since = g_get_monotonic_time();
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, -32013);
    g_assert_cmpint(g_get_monotonic_time() - since, <, G_USEC_PER_SEC);
    g_assert_cmpint(ldap_peer_get_connections(one), ==, 4);
    g_assert_cmpint(ldap_peer_get_connections(other), ==, 3);
}

static void
stay_silent(LdapGuest *guest, int msgid, uint8_t tag, void *unused)
{
}

static void
check_time(const char *scheme, LdapPeer *peer, const char *more)
{
    g_autofree char *section = ldap_section(scheme, ldap_peer_get_port(peer), PEOPLE, "(uid=X)", more);
    g_autofree char *options = ldap_options("", section, NULL);
    g_autoptr(TestServer) server = test_primary_new(options);
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    int64_t since = g_get_monotonic_time();
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, -32013);
    int64_t took = g_get_monotonic_time() - since;
    g_assert_cmpint(took, >=, G_USEC_PER_SEC);
    g_assert_cmpint(took, <, 8 * G_USEC_PER_SEC);
}

/* A server that takes connections and says nothing: until it may be asked the one counts, then the other. */
static void
test_timeouts(void)
{
    g_autoptr(LdapPeer) peer = ldap_peer_new(stay_silent, NULL, NULL, false);
    check_time("ldaps", peer, "connect-timeout = 1\nresponse-timeout = 30\n");
    check_time("ldap", peer, "connect-timeout = 1\nresponse-timeout = 30\n" AS_ADMIN);
    check_time("ldap", peer, "connect-timeout = 30\nresponse-timeout = 1\n");
}

/* Binds take their time. */
static void
answer_slowly(LdapGuest *guest, int msgid, uint8_t tag, void *unused)
{
    if (tag == LDAP_PEER_BIND)
        ldap_guest_pause(guest, 100);
    ldap_guest_serve(guest, msgid, tag, NULL);
}

static void
test_max_connections(void)
{
    enum { MANY = 12 };
    g_autoptr(LdapPeer) peer = ldap_peer_new(answer_slowly, NULL, NULL, false);
    g_autoptr(TestServer) server =
        ldap_primary_new(ldap_peer_get_port(peer), "", "max-connections = 3\nresponse-timeout = 20\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    TestClient *clients[MANY];
    int64_t ids[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        clients[i] = test_client_connect(test_server_get_port(server));
        ids[i] = ldap_send_login(clients[i], "anna", "alicepw");
    }
    for (unsigned i = 0; i < MANY; i++) {
        g_assert_cmpint(ldap_wait_login(clients[i], ids[i], NULL), ==, 0);
        test_client_free(clients[i]);
    }
    g_assert_cmpint(ldap_peer_get_connections(peer), ==, 4);
}

/* Steps in the log, without passwords; the old spelling of the URL. */
static void
test_verbose(void)
{
    g_autoptr(TestSlapd) slapd = test_slapd_new(NULL, 0);
    if (slapd == NULL)
        return;
    g_autofree char *plain = ldap_section_of(test_slapd_get_port(slapd), "verbose = false\n" AS_ADMIN);
    g_autoptr(GString) section = g_string_new(plain);
    g_string_replace(section, "ldap-url", "ldap_url", 1);
    g_autofree char *options = ldap_options("", section->str, NULL);
    g_autoptr(TestServer) server = test_primary_new(options);
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    g_autofree char *silent = test_server_read_log(server);
    g_assert_null(strstr(silent, "(uid=alice)"));
    ldap_edit_file(server, "verbose = false", "verbose = true");
    test_call(admin, "server.reload", "{}");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    g_autofree char *log = test_server_read_log(server);
    g_assert_nonnull(strstr(log, "(uid=alice)"));
    g_assert_nonnull(strstr(log, "uid=alice," PEOPLE));
    g_assert_null(strstr(log, "alicepw"));
    g_assert_null(strstr(log, TEST_LDAP_ADMIN_PASSWORD));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/auth-ldap-options/error-file", test_error_file);
    g_test_add_func("/auth-ldap-options/error-file-at-start", test_error_file_at_start);
    g_test_add_func("/auth-ldap-options/idle-timeout", test_idle_timeout);
    g_test_add_func("/auth-ldap-options/idle-directory", test_idle_directory);
    g_test_add_func("/auth-ldap-options/closed-meanwhile", test_closed_meanwhile);
    g_test_add_func("/auth-ldap-options/client-certificate", test_client_certificate);
    g_test_add_func("/auth-ldap-options/refused", test_refused);
    g_test_add_func("/auth-ldap-options/app-user", test_app_user);
    g_test_add_func("/auth-ldap-options/retries", test_retries);
    g_test_add_func("/auth-ldap-options/timeouts", test_timeouts);
    g_test_add_func("/auth-ldap-options/max-connections", test_max_connections);
    g_test_add_func("/auth-ldap-options/verbose", test_verbose);
    return g_test_run();
}
