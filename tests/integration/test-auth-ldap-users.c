/* test-auth-ldap-users.c - what users see of a real slapd that pauses, changes and is changed. */
#include "ldap-fixture.h"

#include <string.h>

/* A server that was busy for a moment finds many waiting: it must be asked so that it answers all of them. */
static void
test_pause(void)
{
    enum { MANY = 500 };
    g_autoptr(TestSlapd) slapd = test_slapd_new(NULL, 0);
    if (slapd == NULL)
        return;
    g_autoptr(TestServer) server = ldap_primary_new(test_slapd_get_port(slapd), "login-timeout = 60\n",
                                                    "response-timeout = 30\nconnect-timeout = 30\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    test_slapd_signal(slapd, SIGSTOP);
    TestClient *clients[MANY];
    int64_t ids[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        clients[i] = test_client_connect(test_server_get_port(server));
        ids[i] = ldap_send_login(clients[i], "anna", "alicepw");
    }
    test_wait_statistic(admin, "auth-ldap.waiting", MANY);
    test_slapd_signal(slapd, SIGCONT);
    for (unsigned i = 0; i < MANY; i++) {
        g_assert_cmpint(ldap_wait_login(clients[i], ids[i], NULL), ==, 0);
        test_client_free(clients[i]);
    }
    /* Nobody hung up. */
    g_assert_cmpint(test_statistic(admin, "auth-ldap.connects"), <=, 9);
}

/* Values are taken as the server takes its own, in annexes too. */
static void
test_values(void)
{
    g_autoptr(TestSlapd) slapd = test_slapd_new(NULL, 0);
    if (slapd == NULL)
        return;
    uint16_t port = test_slapd_get_port(slapd);
    g_autoptr(TestServer) server = ldap_primary_new(
        port, "", "response-timeout = 2000 ms\nconnect-timeout = 1 min\nidle-timeout=1d\nstart-tls = No\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t anna = ldap_add_person(admin, "anna", "alice");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    static const char SET[] =
        "{'type':'person','dbid':%" INT ",'patch':{'annex':{'gauth_ldap':{"
        "'ldap-url':' ldap://127.0.0.1:%u/" PEOPLE "??sub?(uid=X) ','connect-timeout':'%s',"
        "'chase-referrals':' 2 ','start-tls':' false '}}}}";
    test_call(admin, "object.update", SET, anna, port, " 3000ms ");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    test_call(admin, "object.update", SET, anna, port, "2500 ms");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, -32013);
}

/* What cannot be asked is said before it counts: by -check-config, and at once by whoever changes it. */
static void
test_refused_options(void)
{
    g_autoptr(TestSlapd) slapd = test_slapd_new(NULL, 0);
    if (slapd == NULL)
        return;
    static const char *const WRONG[] = {"http://x", "ldap://x/dc=x??sub?(uid=Y)",
                                        "ldap://x:99999/??sub?(uid=X)"};
    g_autoptr(TestServer) server = ldap_primary_new(test_slapd_get_port(slapd), "", "");
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    for (unsigned i = 0; i < G_N_ELEMENTS(WRONG); i++) {
        test_call(
            admin, "object.update",
            "{'type':'application','name':'confserv','patch':{'options':{'gauth_ldap':{'ldap-url':'%s'}}}}",
            WRONG[i]);
        JsonArray *refused =
            json_object_get_array_member(test_call(admin, "server.info", "{}"), "refusedOptions");
        g_assert_cmpuint(json_array_get_length(refused), ==, 1);
        g_assert_nonnull(
            strstr(json_array_get_string_element(refused, 0), "plugin auth-ldap: section gauth_ldap: "));
        g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    }
    ldap_edit_file(server, "ldap-url = ldap://", "ldap-url = http://");
    g_autofree char *output = NULL;
    g_assert_cmpint(test_run_confserv(test_server_get_folder(server), "-check-config", &output), ==, 2);
    g_assert_nonnull(strstr(output, "section gauth_ldap: the URL does not begin with ldap://"));
}

/* A server that checks no password over such a connection says nothing of the password: no failed attempt,
 * and the next one is asked. */
static void
test_confidential(void)
{
    static const TestSlapdOptions OPTIONS = {.global = "security simple_bind=128\n"};
    g_autoptr(TestSlapd) strict = test_slapd_new_with(&OPTIONS);
    if (strict == NULL)
        return;
    g_autoptr(TestSlapd) other = test_slapd_new(NULL, 0);
    g_autofree char *first = ldap_section_of(test_slapd_get_port(strict), "");
    g_autofree char *second = ldap_section_of(test_slapd_get_port(other), "");
    g_autoptr(TestServer) server = ldap_primary_new(test_slapd_get_port(strict), "", "");
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    for (unsigned i = 0; i < 4; i++)
        g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, -32013);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.rejected"), ==, 0);
    g_autofree char *options = ldap_options("", first, second);
    g_autoptr(TestServer) both = test_primary_new(options);
    g_autoptr(TestClient) manager = test_client_new(both);
    ldap_add_person(manager, "anna", "alice");
    g_assert_cmpint(ldap_login(both, "anna", "alicepw"), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/auth-ldap/users/pause", test_pause);
    g_test_add_func("/auth-ldap/users/values", test_values);
    g_test_add_func("/auth-ldap/users/refused-options", test_refused_options);
    g_test_add_func("/auth-ldap/users/confidential", test_confidential);
    return g_test_run();
}
