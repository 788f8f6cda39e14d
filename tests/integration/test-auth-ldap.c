/* test-auth-ldap.c - log-ins with the passwords of a real slapd: every answer, every silence, on a primary
 * and on a proxy whose primary is dead. */
#include "ldap-fixture.h"

#include <string.h>

#include "pki.h"

static void
test_answers(void)
{
    g_autoptr(TestSlapd) slapd = test_slapd_new(NULL, 0);
    if (slapd == NULL)
        return;
    g_autoptr(TestServer) server =
        ldap_primary_new(test_slapd_get_port(slapd), "",
                         "app-user = " TEST_LDAP_ADMIN "\npassword = " TEST_LDAP_ADMIN_PASSWORD "\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    ldap_add_person(admin, "old", "old");
    ldap_add_person(admin, "dis", "dis");
    ldap_add_person(admin, "stranger", "stranger");
    ldap_add_person(admin, "star", "*");
    ldap_add_person(admin, "injection", "alice)(uid=*");
    ldap_add_person(admin, "either", "x)(|(uid=alice");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    g_autofree char *wrong = NULL, *expired = NULL, *locked = NULL;
    g_assert_cmpint(ldap_login_text(server, "anna", "wrong", &wrong), ==, -32001);
    g_assert_cmpstr(wrong, ==, "Invalid credentials");
    g_assert_cmpint(ldap_login_text(server, "old", "oldpw", &expired), ==, -32001);
    g_assert_cmpstr(expired, ==, "Password expired");
    g_assert_cmpint(ldap_login_text(server, "dis", "dispw", &locked), ==, -32001);
    g_assert_cmpstr(locked, ==, "Account locked");
    /* What is no value of its own finds nobody. */
    static const char *const NOBODY[] = {"stranger", "star", "injection", "either"};
    for (unsigned i = 0; i < G_N_ELEMENTS(NOBODY); i++)
        g_assert_cmpint(ldap_login(server, NOBODY[i], "alicepw"), ==, -32001);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.unknown"), ==, 4);
    int64_t binds = test_statistic(admin, "auth-ldap.binds"),
            searches = test_statistic(admin, "auth-ldap.searches");
    g_assert_cmpint(binds, ==, 4);
    g_assert_cmpint(ldap_login(server, "anna", ""), ==, -32001);
    g_assert_cmpint(ldap_login(server, "nobody", "alicepw"), ==, -32001);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.searches"), ==, searches);
    /* One connection searches, one binds. */
    g_assert_cmpint(test_statistic(admin, "auth-ldap.connects"), ==, 2);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.waiting"), ==, 0);
}

static void
test_two_entries(void)
{
    g_autoptr(TestSlapd) slapd = test_slapd_new(NULL, 0);
    if (slapd == NULL)
        return;
    g_autofree char *section = ldap_section("ldap", test_slapd_get_port(slapd), TEST_LDAP_BASE,
                                            "(&(objectClass=inetOrgPerson)(mail=X@example.test))", "");
    g_autofree char *options = ldap_options("", section, NULL);
    g_autoptr(TestServer) server = test_primary_new(options);
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    ldap_add_person(admin, "twin", "twin");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    g_assert_cmpint(ldap_login(server, "twin", "twin1pw"), ==, -32001);
    g_assert_cmpint(ldap_login(server, "twin", "twin2pw"), ==, -32001);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.binds"), ==, 1);
}

static void
test_killed_and_failover(void)
{
    g_autoptr(TestSlapd) first = test_slapd_new(NULL, 0);
    if (first == NULL)
        return;
    g_autoptr(TestSlapd) second = test_slapd_new(NULL, 0);
    g_autofree char *one =
        ldap_section("ldap", test_slapd_get_port(first), PEOPLE, "(uid=X)", "retry-interval = 0\n");
    g_autofree char *other =
        ldap_section("ldap", test_slapd_get_port(second), PEOPLE, "(uid=X)", "retry-interval = 0\n");
    g_autofree char *options = ldap_options("", one, other);
    g_autoptr(TestServer) server = test_primary_new(options);
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    test_slapd_signal(first, SIGKILL);
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    g_assert_cmpint(ldap_login(server, "anna", "wrong"), ==, -32001);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.failovers"), ==, 1);
    test_slapd_start(first);
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.failovers"), ==, 1);
    /* Frozen: its time is waited for once. */
    test_slapd_signal(second, SIGSTOP);
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.failovers"), ==, 2);
    test_slapd_signal(first, SIGKILL);
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, -32013);
    test_slapd_signal(second, SIGCONT);
    test_slapd_start(first);
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
}

static void
check_frozen(const char *scheme)
{
    enum { MANY = 200 };
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(TestSlapd) slapd = test_slapd_new(test_pki_get_folder(pki), 0);
    if (slapd == NULL)
        return;
    bool tls = strcmp(scheme, "ldaps") == 0;
    g_autofree char *more = g_strdup_printf("response-timeout = 2\nconnect-timeout = 2\ncacert-path = %s\n",
                                            test_pki_path(pki, "ca.pem"));
    g_autofree char *section = ldap_section(
        scheme, tls ? test_slapd_get_tls_port(slapd) : test_slapd_get_port(slapd), PEOPLE, "(uid=X)", more);
    g_autofree char *options = ldap_options("", section, NULL);
    g_autoptr(TestServer) server = test_primary_new(options);
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    int64_t before = ldap_median_read(admin, NULL);
    test_slapd_signal(slapd, SIGSTOP);
    TestClient *clients[MANY];
    int64_t ids[MANY];
    int64_t since = g_get_monotonic_time();
    for (unsigned i = 0; i < MANY; i++) {
        clients[i] = test_client_connect(test_server_get_port(server));
        ids[i] = ldap_send_login(clients[i], "anna", "alicepw");
    }
    test_wait_statistic(admin, "auth-ldap.waiting", MANY / 2);
    int64_t during = ldap_median_read(admin, NULL);
    g_test_message("a read takes %" INT " us, with %d log-ins waiting %" INT " us", before, MANY, during);
    g_assert_cmpint(during, <, 2 * before + 200);
    for (unsigned i = 0; i < MANY; i++) {
        g_assert_cmpint(ldap_wait_login(clients[i], ids[i], NULL), ==, -32013);
        test_client_free(clients[i]);
    }
    g_assert_cmpint(g_get_monotonic_time() - since, <, 10 * G_USEC_PER_SEC);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.waiting"), ==, 0);
    test_slapd_signal(slapd, SIGCONT);
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
}

static void
test_frozen(void)
{
    check_frozen("ldap");
}

static void
test_frozen_tls(void)
{
    check_frozen("ldaps");
}

static void
test_tls(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(TestSlapd) slapd = test_slapd_new(test_pki_get_folder(pki), 0);
    if (slapd == NULL)
        return;
    static const struct {
        const char *scheme, *ca, *more;
        int64_t code;
    } CASES[] = {{"ldaps", "ca.pem", "", 0},
                 {"ldap", "ca.pem", "start-tls = true\n", 0},
                 {"ldap", "other-ca.pem", "start-tls = true\n", -32013},
                 {"ldaps", "other-ca.pem", "", -32013}};
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *more =
            g_strdup_printf("cacert-path = %s\n%s", test_pki_path(pki, CASES[i].ca), CASES[i].more);
        uint16_t port = strcmp(CASES[i].scheme, "ldaps") == 0 ? test_slapd_get_tls_port(slapd)
                                                              : test_slapd_get_port(slapd);
        g_autofree char *section = ldap_section(CASES[i].scheme, port, PEOPLE, "(uid=X)", more);
        g_autofree char *options = ldap_options("", section, NULL);
        g_autoptr(TestServer) server = test_primary_new(options);
        g_autoptr(TestClient) admin = test_client_new(server);
        ldap_add_person(admin, "anna", "alice");
        g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, CASES[i].code);
        g_assert_cmpint(ldap_login(server, "anna", "wrong"), ==, CASES[i].code == 0 ? -32001 : CASES[i].code);
        g_assert_cmpint(test_statistic(admin, "auth-ldap.binds"), ==, CASES[i].code == 0 ? 2 : 0);
    }
}

static void
test_referral(void)
{
    g_autoptr(TestSlapd) other = test_slapd_new(NULL, 0);
    if (other == NULL)
        return;
    g_autoptr(TestSlapd) slapd = test_slapd_new(NULL, test_slapd_get_port(other));
    static const struct {
        const char *base, *chase;
        int64_t code;
    } CASES[] = {{"ou=elsewhere," TEST_LDAP_BASE, "0", 0},
                 {"ou=elsewhere," TEST_LDAP_BASE, "1", 0},
                 {"ou=elsewhere," TEST_LDAP_BASE, "2", -32001}};
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *more = g_strdup_printf("chase-referrals = %s\napp-user = " TEST_LDAP_ADMIN
                                                "\npassword = " TEST_LDAP_ADMIN_PASSWORD "\n",
                                                CASES[i].chase);
        g_autofree char *section =
            ldap_section("ldap", test_slapd_get_port(slapd), CASES[i].base, "(uid=X)", more);
        g_autofree char *options = ldap_options("", section, NULL);
        g_autoptr(TestServer) server = test_primary_new(options);
        g_autoptr(TestClient) admin = test_client_new(server);
        ldap_add_person(admin, "anna", "alice");
        g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, CASES[i].code);
        g_assert_cmpint(ldap_login(server, "anna", "wrong"), ==, -32001);
    }
}

static void
test_many(void)
{
    enum { MANY = 2000, AT_ONCE = 100 };
    g_autoptr(TestSlapd) slapd = test_slapd_new(NULL, 0);
    if (slapd == NULL)
        return;
    g_autoptr(TestServer) server =
        ldap_primary_new(test_slapd_get_port(slapd), "login-timeout = 60", "response-timeout = 30\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    for (unsigned round = 0; round < MANY / AT_ONCE; round++) {
        TestClient *clients[AT_ONCE];
        int64_t ids[AT_ONCE];
        for (unsigned i = 0; i < AT_ONCE; i++) {
            clients[i] = test_client_connect(test_server_get_port(server));
            ids[i] = ldap_send_login(clients[i], "anna", "alicepw");
        }
        for (unsigned i = 0; i < AT_ONCE; i++) {
            g_assert_cmpint(ldap_wait_login(clients[i], ids[i], NULL), ==, 0);
            test_client_free(clients[i]);
        }
    }
    g_assert_cmpint(test_statistic(admin, "auth-ldap.accepted"), ==, MANY);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.connects"), <=, 9);
}

static void
test_groups(void)
{
    g_autoptr(TestSlapd) slapd = test_slapd_new(NULL, 0);
    if (slapd == NULL)
        return;
    g_autoptr(TestServer) server = ldap_primary_new(test_slapd_get_port(slapd), "",
                                                    "group-map = cn=ops,ou=groups," TEST_LDAP_BASE
                                                    ":ops; cn=none,ou=groups," TEST_LDAP_BASE ":none\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t group = json_object_get_int_member(
        test_call(admin, "object.create", "{'object':{'type':'accessGroup','name':'ops','kind':'custom'}}"),
        "dbid");
    test_call(admin, "object.create", "{'object':{'type':'host','name':'host-ops'}}");
    test_call(admin, "permission.update",
              "{'type':'host','name':'host-ops','entries':[{'account':{'type':'accessGroup','dbid':%" INT
              "},'rights':['read']}]}",
              group);
    ldap_add_person(admin, "anna", "alice");
    ldap_add_person(admin, "bert", "bob");
    g_autoptr(TestClient) anna = test_client_new_as(server, "anna", "alicepw", "confctl");
    test_call(anna, "object.read", "{'type':'host','name':'host-ops'}");
    g_autoptr(TestClient) bert = test_client_new_as(server, "bert", "bobpw", "confctl");
    test_call_error(bert, -32004, "object.read", "{'type':'host','name':'host-ops'}");
}

/* The person's servers, else its tenant's, else this server's. */
static void
test_annexes(void)
{
    g_autoptr(TestSlapd) slapd = test_slapd_new(NULL, 0);
    if (slapd == NULL)
        return;
    g_autofree char *section = ldap_section("ldap", test_free_port(), PEOPLE, "(uid=X)", "");
    g_autofree char *options = ldap_options("", section, NULL);
    g_autoptr(TestServer) server = test_primary_new(options);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t anna = ldap_add_person(admin, "anna", "alice");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, -32013);
    static const char SET[] =
        "{'type':'%s','dbid':%" INT
        ",'patch':{'annex':{'gauth_ldap':{'ldap-url':'ldap://127.0.0.1:%u/%s??sub?(uid=X)',"
        "'retry-attempts':'1'}}}}";
    test_call(admin, "object.update", SET, "tenant", (int64_t)1, test_slapd_get_port(slapd), PEOPLE);
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    test_call(admin, "object.update", SET, "person", anna, test_slapd_get_port(slapd),
              "ou=groups," TEST_LDAP_BASE);
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, -32001);
    test_call(admin, "object.update",
              "{'type':'person','dbid':%" INT ",'patch':{'annex':{'gauth_ldap':{'ldap-url':'http://x'}}}}",
              anna);
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, -32013);
}

static void
test_proxy(void)
{
    g_autoptr(TestSlapd) slapd = test_slapd_new(NULL, 0);
    if (slapd == NULL)
        return;
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    g_autofree char *section = ldap_section("ldap", test_slapd_get_port(slapd), PEOPLE, "(uid=X)", "");
    g_autofree char *options = ldap_options("", section, NULL);
    g_autofree char *file = g_strdup_printf("[csproxy]\n%s", options);
    g_autoptr(TestServer) proxy = test_proxy_new(server, "proxy-ldap", file);
    g_assert_cmpint(ldap_login(proxy, "anna", "alicepw"), ==, 0);
    test_server_signal(server, SIGKILL);
    g_assert_cmpint(ldap_login(proxy, "anna", "alicepw"), ==, 0);
    g_assert_cmpint(ldap_login(proxy, "anna", "wrong"), ==, -32001);
    test_slapd_signal(slapd, SIGKILL);
    g_assert_cmpint(ldap_login(proxy, "anna", "alicepw"), ==, -32013);
    test_slapd_start(slapd);
    g_assert_cmpint(ldap_login(proxy, "anna", "alicepw"), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/auth-ldap/answers", test_answers);
    g_test_add_func("/auth-ldap/two-entries", test_two_entries);
    g_test_add_func("/auth-ldap/killed-and-failover", test_killed_and_failover);
    g_test_add_func("/auth-ldap/frozen", test_frozen);
    g_test_add_func("/auth-ldap/frozen-tls", test_frozen_tls);
    g_test_add_func("/auth-ldap/tls", test_tls);
    g_test_add_func("/auth-ldap/referral", test_referral);
    g_test_add_func("/auth-ldap/many", test_many);
    g_test_add_func("/auth-ldap/groups", test_groups);
    g_test_add_func("/auth-ldap/annexes", test_annexes);
    g_test_add_func("/auth-ldap/proxy", test_proxy);
    return g_test_run();
}
