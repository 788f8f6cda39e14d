/* test-auth-ldap-life.c - what happens in the life of a server that asks directories: options change, it
 * stops, while log-ins wait; tenants have servers of their own; groups and password policies of the
 * directory change. */
#include "ldap-fixture.h"

#include <string.h>

#include "ldap-peer.h"

enum { MANY = 200 };

static void
send_many(TestServer *server, TestClient **clients, int64_t *ids)
{
    for (unsigned i = 0; i < MANY; i++) {
        clients[i] = test_client_connect(test_server_get_port(server));
        ids[i] = ldap_send_login(clients[i], "anna", "alicepw");
    }
}

/* Those who wait go on with the servers that they began with, others have the new ones; nothing is left of
 * the old. */
static void
test_reload_while_waiting(void)
{
    g_autoptr(TestSlapd) slapd = test_slapd_new(NULL, 0);
    if (slapd == NULL)
        return;
    g_autoptr(LdapPeer) peer = ldap_peer_new(ldap_guest_serve, NULL, NULL, false);
    g_autoptr(TestServer) server =
        ldap_primary_new(test_slapd_get_port(slapd), "login-timeout = 60\n",
                         "response-timeout = 30\nconnect-timeout = 30\nmax-connections = 4\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    test_slapd_signal(slapd, SIGSTOP);
    TestClient *clients[MANY];
    int64_t ids[MANY];
    send_many(server, clients, ids);
    test_wait_statistic(admin, "auth-ldap.waiting", MANY);
    g_autofree char *before = g_strdup_printf("127.0.0.1:%u", test_slapd_get_port(slapd)),
                    *after = g_strdup_printf("127.0.0.1:%u", ldap_peer_get_port(peer));
    ldap_edit_file(server, before, after);
    test_server_signal(server, SIGHUP);
    for (unsigned i = 0; i < 10; i++)
        test_call(admin, "server.reload", "{}");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    g_assert_cmpint(ldap_peer_get_connections(peer), >=, 2);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.waiting"), ==, MANY);
    test_slapd_signal(slapd, SIGCONT);
    for (unsigned i = 0; i < MANY; i++) {
        g_assert_cmpint(ldap_wait_login(clients[i], ids[i], NULL), ==, 0);
        test_sync(clients[i]);
        test_client_free(clients[i]);
    }
    g_assert_cmpint(test_statistic(admin, "auth-ldap.accepted"), ==, MANY + 2);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.waiting"), ==, 0);
    ldap_wait_at_most(admin, "auth-ldap.connections", 2);
    /* What cannot be read changes nothing. */
    ldap_edit_file(server, "ldap-url = ldap:", "ldap-url = http:");
    test_server_signal(server, SIGHUP);
    test_server_wait_log(server, "the URL does not begin with");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
}

/* Everybody is told, and it ends at once. */
static void
test_stop_while_waiting(void)
{
    g_autoptr(TestSlapd) slapd = test_slapd_new(NULL, 0);
    if (slapd == NULL)
        return;
    g_autoptr(TestServer) server = ldap_primary_new(test_slapd_get_port(slapd), "login-timeout = 60\n",
                                                    "response-timeout = 60\nconnect-timeout = 60\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    test_slapd_signal(slapd, SIGSTOP);
    TestClient *clients[MANY];
    int64_t ids[MANY];
    send_many(server, clients, ids);
    test_wait_statistic(admin, "auth-ldap.waiting", MANY);
    int64_t since = g_get_monotonic_time();
    test_server_signal(server, SIGTERM);
    g_assert_cmpint(g_get_monotonic_time() - since, <, 10 * G_USEC_PER_SEC);
    unsigned answered = 0;
    for (unsigned i = 0; i < MANY; i++) {
        g_autofree char *id = g_strdup_printf("\"id\":%" INT, ids[i]);
        const char *line;
        unsigned count = 0;
        while ((line = test_client_read_line(clients[i])) != NULL) {
            count += strstr(line, id) != NULL;
            g_assert_null(strstr(line, "\"result\""));
            g_assert_true(strstr(line, id) == NULL || strstr(line, "-32013") != NULL);
        }
        g_assert_cmpint(count, <=, 1);
        answered += count;
        test_client_free(clients[i]);
    }
    g_test_message("%u of %d were answered", answered, MANY);
    g_assert_cmpint(answered, ==, MANY);
    test_slapd_signal(slapd, SIGCONT);
}

static int64_t
create(TestClient *admin, const char *type, const char *name, int64_t tenant, const char *more)
{
    return json_object_get_int_member(test_call(admin, "object.create",
                                                "{'object':{'type':'%s','name':'%s','tenant':%" INT "%s}}",
                                                type, name, tenant, more),
                                      "dbid");
}

/* A tenant with servers of its own: sticky among them, and nothing of the server's own goes there. */
static void
test_tenant(void)
{
    g_autoptr(TestSlapd) own = test_slapd_new(NULL, 0);
    if (own == NULL)
        return;
    g_autoptr(TestSlapd) first = test_slapd_new(NULL, 0), second = test_slapd_new(NULL, 0);
    g_autoptr(LdapPeer) peer = ldap_peer_new(ldap_guest_serve, NULL, NULL, false);
    g_autoptr(TestServer) server = ldap_primary_new(test_slapd_get_port(own), "", AS_ADMIN);
    g_autoptr(TestClient) admin = test_client_new(server);
    ldap_add_person(admin, "anna", "alice");
    int64_t tenant = create(admin, "tenant", "site", 1, "");
    int64_t bert = create(admin, "person", "bert", tenant, ",'externalId':'bob'");
    test_call(admin, "permission.update",
              "{'type':'application','name':'confctl','grant':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['read','execute']}]}",
              bert);
    static const char SECTION[] =
        "'gauth_ldap%s':{'ldap-url':'ldap://127.0.0.1:%u/%s??sub?(uid=X)','retry-attempts':'1',"
        "'response-timeout':'1','connect-timeout':'1'}";
    g_autofree char *one = g_strdup_printf(SECTION, "", test_slapd_get_port(first), PEOPLE),
                    *other = g_strdup_printf(SECTION, "_1", test_slapd_get_port(second), PEOPLE),
                    *third = g_strdup_printf(SECTION, "", ldap_peer_get_port(peer), PEOPLE);
    g_assert_cmpint(ldap_login(server, "bert", "bobpw"), ==, 0);
    test_call(admin, "object.update", "{'type':'tenant','dbid':%" INT ",'patch':{'annex':{%s,%s}}}", tenant,
              one, other);
    unsigned before = test_slapd_count(own, " BIND "), before_first = test_slapd_count(first, " BIND ");
    g_assert_cmpint(ldap_login(server, "bert", "bobpw"), ==, 0);
    g_assert_cmpint(test_slapd_count(own, " BIND "), ==, before);
    g_assert_cmpint(test_slapd_count(first, " BIND "), >, before_first);
    test_slapd_signal(first, SIGKILL);
    g_assert_cmpint(ldap_login(server, "bert", "bobpw"), ==, 0);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.failovers"), ==, 1);
    test_slapd_start(first);
    g_assert_cmpint(ldap_login(server, "bert", "bobpw"), ==, 0);
    g_assert_cmpint(ldap_login(server, "bert", "wrong"), ==, -32001);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.failovers"), ==, 1);
    test_slapd_signal(second, SIGKILL);
    g_assert_cmpint(ldap_login(server, "bert", "bobpw"), ==, 0);
    g_assert_cmpint(test_statistic(admin, "auth-ldap.failovers"), ==, 2);
    /* Both are away: the server's own is no way round, and its persons know nothing of it. */
    test_slapd_signal(first, SIGKILL);
    g_assert_cmpint(ldap_login(server, "bert", "bobpw"), ==, -32013);
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    /* The person's stand over the tenant's. */
    test_call(admin, "object.update", "{'type':'person','dbid':%" INT ",'patch':{'annex':{%s}}}", bert,
              third);
    g_assert_cmpint(ldap_login(server, "bert", "bobpw"), ==, 0);
    g_assert_cmpint(ldap_peer_count(peer, LDAP_PEER_BIND), ==, 1);
    g_assert_false(ldap_peer_has_seen_plain(peer, TEST_LDAP_ADMIN_PASSWORD));
}

static const char GROUPS[] =
    "dn: cn=unique,ou=groups," TEST_LDAP_BASE
    "\nobjectClass: groupOfUniqueNames\ncn: unique\nuniqueMember: uid=alice," PEOPLE "\n\n"
    "dn: cn=posix,ou=groups," TEST_LDAP_BASE
    "\nobjectClass: posixGroup\ncn: posix\ngidNumber: 100\nmemberUid: alice\n\n"
    "dn: cn=outer,ou=groups," TEST_LDAP_BASE
    "\nobjectClass: groupOfNames\ncn: outer\nmember: cn=ops,ou=groups," TEST_LDAP_BASE "\n\n";

#define GROUP_DN(name) "cn=" name ",ou=groups," TEST_LDAP_BASE

/* A host that only that access group may read. */
static void
add_group(TestClient *admin, const char *name, int64_t tenant)
{
    int64_t group = create(admin, "accessGroup", name, tenant, ",'kind':'custom'");
    g_autofree char *host = g_strconcat("host-", name, NULL);
    create(admin, "host", host, 1, "");
    test_call(admin, "permission.update",
              "{'type':'host','name':'%s','entries':[{'account':{'type':'accessGroup','dbid':%" INT
              "},'rights':['read']}]}",
              host, group);
}

/* `may`: a letter for each name. */
static void
assert_may(TestServer *server, const char *const *names, const char *may)
{
    g_autoptr(TestClient) client = test_client_new_as(server, "anna", "alicepw", "confctl");
    for (unsigned i = 0; names[i] != NULL; i++) {
        if (may[i] == '+')
            test_call(client, "object.read", "{'type':'host','name':'host-%s'}", names[i]);
        else
            test_call_error(client, -32004, "object.read", "{'type':'host','name':'host-%s'}", names[i]);
    }
}

/* Each form of a group; what is changed in the directory counts at the next log-in; what an annex may
 * give. */
static void
test_groups(void)
{
    g_autoptr(TestSlapd) slapd = test_slapd_new_with(
        &(TestSlapdOptions){.data = GROUPS, .global = "include /etc/ldap/schema/nis.schema\n"});
    if (slapd == NULL)
        return;
    static const char *const NAMES[] = {"ops", "unique", "posix", "outer", "site", NULL};
    static const char MAP[] =
        GROUP_DN("ops") ":ops; " GROUP_DN("unique") ":unique;" GROUP_DN("posix") " : posix;" GROUP_DN(
            "outer") ":outer; " GROUP_DN("none") ":outer; " GROUP_DN("ops") ":site; " GROUP_DN("ops") ":no such group";
    g_autofree char *more = g_strdup_printf("group-map = %s\n", MAP);
    g_autoptr(TestServer) server = ldap_primary_new(test_slapd_get_port(slapd), "", more);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t tenant = create(admin, "tenant", "site", 1, "");
    for (unsigned i = 0; NAMES[i] != NULL; i++)
        add_group(admin, NAMES[i], i == 4 ? tenant : 1);
    int64_t anna = ldap_add_person(admin, "anna", "alice");
    assert_may(server, NAMES, "+++-+");
    test_slapd_modify(slapd,
                      "dn: " GROUP_DN("posix") "\nchangetype: modify\ndelete: memberUid\nmemberUid: alice\n\n"
                                               "dn: " GROUP_DN("unique") "\nchangetype: delete\n\n");
    assert_may(server, NAMES, "+---+");
    /* A tenant's annex gives groups of that tenant, a person's none. */
    static const char PATCH[] = "{'type':'%s','dbid':%" INT ",'patch':{'annex':{'gauth_ldap':{'ldap-url':"
                                "'ldap://127.0.0.1:%u/" PEOPLE "??sub?(uid=X)','group-map':'%s'}}}}";
    test_call(admin, "object.update", PATCH, "tenant", (int64_t)1, test_slapd_get_port(slapd), MAP);
    assert_may(server, NAMES, "+----");
    test_call(admin, "object.update", PATCH, "person", anna, test_slapd_get_port(slapd), MAP);
    assert_may(server, NAMES, "-----");
    test_server_wait_log(server, "An annex may not give this access group");
}

static char *
policy_of(const char *name, const char *policy, const char *more)
{
    g_autofree char *lines =
        g_strdup_printf("pwdPolicySubentry: cn=%s,ou=policies," TEST_LDAP_BASE "\n%s", policy, more);
    return test_slapd_person(name, lines);
}

/* The policy's own words; each log-in counts once there and once here. */
static void
test_policy(void)
{
    g_autofree char *carl = policy_of("carl", "three", ""),
                    *gina = policy_of("gina", "grace", "pwdChangedTime: 20200101000000Z\n"),
                    *rita = policy_of("rita", "reset", "pwdReset: TRUE\n");
    g_autofree char *data = g_strconcat(carl, gina, rita, NULL);
    g_autoptr(TestSlapd) slapd = test_slapd_new_with(&(TestSlapdOptions){.data = data});
    if (slapd == NULL)
        return;
    g_autofree char *section = ldap_section_of(test_slapd_get_port(slapd), "");
    g_autofree char *options = ldap_options("", section, NULL);
    g_autoptr(GString) lines = g_string_new(options);
    g_string_replace(lines, "login-attempts = 1000", "login-attempts = 7", 1);
    g_autoptr(TestServer) server = test_primary_new(lines->str);
    g_autoptr(TestClient) admin = test_client_new(server);
    static const char *const NAMES[] = {"carl", "gina", "rita"};
    for (unsigned i = 0; i < G_N_ELEMENTS(NAMES); i++)
        ldap_add_person(admin, NAMES[i], NAMES[i]);
    for (unsigned i = 0; i < 2; i++)
        ldap_assert_refused(server, "carl", "wrong", "Invalid credentials");
    g_assert_cmpint(ldap_login(server, "carl", "carlpw"), ==, 0);
    for (unsigned i = 0; i < 3; i++)
        g_assert_cmpint(ldap_login(server, "carl", "wrong"), ==, -32001);
    ldap_assert_refused(server, "carl", "carlpw", "Account locked");
    g_assert_cmpint(test_statistic(admin, "auth-ldap.binds"), ==, 7);
    /* Unlocked there, it is let in here: six refusals are fewer than seven. */
    test_slapd_modify(slapd, "dn: uid=carl," PEOPLE
                             "\nchangetype: modify\nreplace: userPassword\nuserPassword: carlpw\n\n");
    g_assert_cmpint(ldap_login(server, "carl", "carlpw"), ==, 0);
    /* Two more log-ins with the password that has expired, and a warning each. */
    for (unsigned i = 0; i < 2; i++) {
        g_autoptr(TestClient) client = test_client_new_as(server, "gina", "ginapw", "confctl");
        g_assert_cmpstr(json_object_get_string_member(test_client_get_session(client), "text"), ==,
                        i == 0 ? "The password has expired; log-ins left: 1"
                               : "The password has expired; log-ins left: 0");
    }
    ldap_assert_refused(server, "gina", "ginapw", "Password expired");
    ldap_assert_refused(server, "rita", "ritapw", "Password must be changed");
    g_assert_cmpint(test_statistic(admin, "auth-ldap.unanswered"), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/auth-ldap-life/reload-while-waiting", test_reload_while_waiting);
    g_test_add_func("/auth-ldap-life/stop-while-waiting", test_stop_while_waiting);
    g_test_add_func("/auth-ldap-life/tenant", test_tenant);
    g_test_add_func("/auth-ldap-life/groups", test_groups);
    g_test_add_func("/auth-ldap-life/policy", test_policy);
    return g_test_run();
}
