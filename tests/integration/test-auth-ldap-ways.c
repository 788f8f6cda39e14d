/* test-auth-ldap-ways.c - how the server that knows somebody is found: referrals in their three modes,
 * names, several addresses, IPv6. */
#include "ldap-fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ldap-peer.h"

enum { REFERRALS_MAX = 4 };

/* A primary whose searches begin at the root of the test's directory. */
static TestServer *
primary_at_root(uint16_t port, const char *more)
{
    g_autofree char *section = ldap_section("ldap", port, TEST_LDAP_BASE, "(uid=X)", more);
    g_autofree char *options = ldap_options("", section, NULL);
    return test_primary_new(options);
}

static TestClient *
admin_of(TestServer *server, const char *external)
{
    TestClient *admin = test_client_new(server);
    ldap_add_person(admin, "anna", external);
    return admin;
}

/* Search references of a real slapd: zoe is in the other directory only, which may be asked by its
 * administrator only. */
static void
test_search_references(void)
{
    g_autofree char *zoe = test_slapd_person("zoe", "");
    g_autoptr(TestSlapd) open = test_slapd_new_with(&(TestSlapdOptions){.data = zoe});
    if (open == NULL)
        return;
    g_autoptr(TestSlapd) closed =
        test_slapd_new_with(&(TestSlapdOptions){.data = zoe, .global = "require authc\n"});
    g_autoptr(TestSlapd) to_open = test_slapd_new(NULL, test_slapd_get_port(open)),
                         to_closed = test_slapd_new(NULL, test_slapd_get_port(closed));
    static const struct {
        bool is_closed;
        const char *chase;
        int64_t right, wrong;
    } CASES[] = {{false, "0", 0, -32001},     {false, "1", 0, -32001}, {false, "2", -32001, -32001},
                 {true, "0", -32013, -32013}, {true, "1", 0, -32001},  {true, "2", -32001, -32001}};
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *more = g_strdup_printf("chase-referrals = %s\n" AS_ADMIN, CASES[i].chase);
        g_autoptr(TestServer) server =
            primary_at_root(test_slapd_get_port(CASES[i].is_closed ? to_closed : to_open), more);
        g_autoptr(TestClient) admin = admin_of(server, "zoe");
        g_assert_cmpint(ldap_login(server, "anna", "zoepw"), ==, CASES[i].right);
        g_assert_cmpint(ldap_login(server, "anna", "wrong"), ==, CASES[i].wrong);
        /* Whom the first one knows is not looked for elsewhere. */
        ldap_add_person(admin, "bert", "bob");
        g_assert_cmpint(ldap_login(server, "bert", "bobpw"), ==, 0);
    }
    /* An annex may say it alone. */
    g_autoptr(TestServer) server = primary_at_root(test_slapd_get_port(to_open), "chase-referrals = 2\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t anna = ldap_add_person(admin, "anna", "zoe");
    g_assert_cmpint(ldap_login(server, "anna", "zoepw"), ==, -32001);
    test_call(admin, "object.update",
              "{'type':'person','dbid':%" INT ",'patch':{'annex':{'gauth_ldap':{'chase-referrals':'0'}}}}",
              anna);
    g_assert_cmpint(ldap_login(server, "anna", "zoepw"), ==, 0);
}

/* Refers whoever searches to these, by references or by its result, and whoever binds. */
typedef struct {
    const char *urls[4];
    int code;
    const char *bind;
} Ways;

static void
refer(LdapGuest *guest, int msgid, uint8_t tag, void *data)
{
    const Ways *ways = g_atomic_pointer_get((Ways **)data);
    if (tag == LDAP_PEER_SEARCH && ways->bind == NULL) {
        for (unsigned i = 0; ways->code == 0 && ways->urls[i] != NULL; i++)
            ldap_guest_reference(guest, msgid, ways->urls[i]);
        ldap_guest_result(guest, msgid, LDAP_PEER_DONE, ways->code, NULL,
                          ways->code != 0 ? ways->urls[0] : NULL);
    } else if (tag == LDAP_PEER_BIND && ways->bind != NULL) {
        ldap_guest_result(guest, msgid, LDAP_PEER_BOUND, 10, NULL, ways->bind);
    } else {
        ldap_guest_serve(guest, msgid, tag, NULL);
    }
}

/* Circles end, what cannot be reached or read does not end the others, and none of it is a wrong password. */
static void
test_referrals_astray(void)
{
    Ways none = {.urls = {NULL}}, *ways = &none;
    g_autoptr(LdapPeer) good = ldap_peer_new(ldap_guest_serve, NULL, NULL, false),
                        peer = ldap_peer_new(refer, &ways, NULL, false);
    g_autofree char *own = g_strdup_printf("ldap://127.0.0.1:%u/%s", ldap_peer_get_port(peer), PEOPLE),
                    *better = g_strdup_printf("ldap://127.0.0.1:%u/%s", ldap_peer_get_port(good), PEOPLE),
                    *dead = g_strdup_printf("ldap://127.0.0.1:%u/%s", test_free_port(), PEOPLE),
                    *secure = g_strdup_printf("ldaps://127.0.0.1:%u/%s", ldap_peer_get_port(good), PEOPLE);
    Ways cases[] = {{.urls = {NULL}},
                    {.urls = {better}},
                    {.urls = {better}, .code = 10},
                    {.urls = {own}},
                    {.urls = {own, own, own}},
                    {.urls = {own}, .code = 10},
                    {.urls = {dead}},
                    {.urls = {dead}, .code = 10},
                    {.urls = {dead, better}},
                    {.urls = {"http://x/", better}},
                    {.urls = {"ldap:///ou=people"}},
                    {.urls = {"ldap://no-such-name.invalid/ou=people", better}},
                    {.urls = {secure}},
                    {.urls = {NULL}, .code = 10},
                    {.bind = better},
                    {.bind = own},
                    {.bind = dead},
                    {.bind = "none"}};
    const int64_t codes[] = {-32001, 0,      0, -32013, -32013, -32013, -32013, -32013, 0,
                             0,      -32013, 0, -32013, -32001, 0,      -32013, -32013, -32013};
    G_STATIC_ASSERT(G_N_ELEMENTS(cases) == G_N_ELEMENTS(codes));
    g_autoptr(TestServer) server = ldap_primary_new(ldap_peer_get_port(peer), "", "retry-interval = 0\n");
    g_autoptr(TestClient) admin = admin_of(server, "alice");
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_atomic_pointer_set(&ways, &cases[i]);
        unsigned before = ldap_peer_count(peer, LDAP_PEER_SEARCH),
                 binds = ldap_peer_count(peer, LDAP_PEER_BIND);
        g_test_message("case %u", i);
        g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, codes[i]);
        g_assert_cmpint(ldap_peer_count(peer, LDAP_PEER_SEARCH) - before, <=, 1 + REFERRALS_MAX);
        g_assert_cmpint(ldap_peer_count(peer, LDAP_PEER_BIND) - binds, <=, 2);
    }
    g_assert_cmpint(test_statistic(admin, "auth-ldap.waiting"), ==, 0);
}

/* What was encrypted stays so. */
static void
test_referral_in_plain(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    Ways there = {.urls = {NULL}}, *ways = &there;
    /* The one that is referred to knows no StartTLS. */
    g_autoptr(LdapPeer) plain = ldap_peer_new(refer, &ways, NULL, false),
                        tls = ldap_peer_new(refer, &ways, pki, true),
                        good = ldap_peer_new(ldap_guest_serve, NULL, pki, false);
    g_autofree char *url = g_strdup_printf("ldap://127.0.0.1:%u/%s", ldap_peer_get_port(plain), PEOPLE),
                    *better = g_strdup_printf("ldap://127.0.0.1:%u/%s", ldap_peer_get_port(good), PEOPLE);
    g_autofree char *more =
        g_strdup_printf("chase-referrals = 1\ncacert-path = %s\n" AS_ADMIN, test_pki_path(pki, "ca.pem"));
    g_autofree char *section = ldap_section("ldaps", ldap_peer_get_port(tls), PEOPLE, "(uid=X)", more);
    g_autofree char *options = ldap_options("", section, NULL);
    there.urls[0] = url;
    g_autoptr(TestServer) server = test_primary_new(options);
    g_autoptr(TestClient) admin = admin_of(server, "alice");
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, -32013);
    g_assert_cmpint(ldap_peer_get_connections(plain), ==, 1);
    g_assert_cmpint(ldap_peer_count(plain, LDAP_PEER_EXTENDED), ==, 1);
    g_assert_cmpint(ldap_peer_count(plain, LDAP_PEER_BIND) + ldap_peer_count(plain, LDAP_PEER_SEARCH), ==, 0);
    g_assert_false(ldap_peer_has_seen_plain(plain, TEST_LDAP_ADMIN_PASSWORD));
    Ways better_ways = {.urls = {better}};
    g_atomic_pointer_set(&ways, &better_ways);
    g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    g_assert_cmpint(ldap_peer_count(good, LDAP_PEER_EXTENDED), ==, 2);
    g_assert_false(ldap_peer_has_seen_plain(good, "alicepw"));
}

/* localhost by /etc/hosts, checked as that by TLS; a name that nobody has. */
static void
test_names(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(TestSlapd) slapd = test_slapd_new(test_pki_get_folder(pki), 0);
    if (slapd == NULL)
        return;
    g_autofree char *more = g_strdup_printf("cacert-path = %s\n", test_pki_path(pki, "ca.pem"));
    g_autofree char *section = ldap_section("ldaps", test_slapd_get_tls_port(slapd), PEOPLE, "(uid=X)", more);
    static const struct {
        const char *name;
        int64_t code;
    } CASES[] = {{"localhost", 0}, {"LOCALHOST", 0}, {"no-such-name.invalid", -32013}, {"127.0.0.2", -32013}};
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GString) named = g_string_new(section);
        g_string_replace(named, "127.0.0.1", CASES[i].name, 1);
        g_autofree char *options = ldap_options("", named->str, NULL);
        g_autoptr(TestServer) server = test_primary_new(options);
        g_autoptr(TestClient) admin = admin_of(server, "alice");
        g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, CASES[i].code);
        g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, CASES[i].code);
    }
}

static void
test_ipv6(void)
{
    if (!test_has_ipv6()) {
        g_test_skip("no IPv6 here");
        return;
    }
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(TestSlapd) slapd =
        test_slapd_new_with(&(TestSlapdOptions){.pki_folder = test_pki_get_folder(pki), .host = "[::1]"});
    if (slapd == NULL)
        return;
    for (unsigned i = 0; i < 2; i++) {
        g_autofree char *more = g_strdup_printf("cacert-path = %s\n", test_pki_path(pki, "ca.pem"));
        g_autofree char *section = ldap_section(
            i == 0 ? "ldap" : "ldaps", i == 0 ? test_slapd_get_port(slapd) : test_slapd_get_tls_port(slapd),
            PEOPLE, "(uid=X)", more);
        g_autoptr(GString) named = g_string_new(section);
        g_string_replace(named, "127.0.0.1", "[::1]", 1);
        g_autofree char *options = ldap_options("", named->str, NULL);
        g_autoptr(TestServer) server = test_primary_new(options);
        g_autoptr(TestClient) admin = admin_of(server, "alice");
        g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
        g_assert_cmpint(ldap_login(server, "anna", "wrong"), ==, -32001);
    }
}

/* ---- a name service of its own: in a subprocess with a network and mounts of its own ---- */

static bool
give_in(const char *why)
{
    if (g_getenv("CI") != NULL)
        g_error("%s: %s", why, g_strerror(errno));
    g_test_skip(why);
    return false;
}

static bool
run(const char *command)
{
    int status = 0;
    return g_spawn_command_line_sync(command, NULL, NULL, &status, NULL) && status == 0;
}

static bool
put_in_place(const char *path, const char *text)
{
    g_autofree char *file = g_build_filename(g_get_tmp_dir(), "confserv-place-XXXXXX", NULL);
    int fd = g_mkstemp(file);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, 0644) == 0 &&
                mount(file, path, NULL, MS_BIND, NULL) == 0;
    if (fd >= 0)
        close(fd);
    unlink(file);
    return good;
}

static bool
enter_own_place(void)
{
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return give_in("no namespaces can be made");
    if (!run("ip link set lo up"))
        return give_in("ip (package iproute2) is missing, or may not be used");
    return put_in_place("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:5 attempts:1\n") &&
                   put_in_place("/etc/hosts", "127.0.0.1 localhost\n127.0.0.2 two.test\n127.0.0.3 two.test\n"
                                              "127.0.0.3 dark.test\n127.0.0.1 dark.test\n")
               ? true
               : give_in("files cannot be put in the place of /etc/resolv.conf and /etc/hosts");
}

static int
socket_at(int type, const char *text, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    g_assert_cmpint(inet_pton(AF_INET, text, &address.sin_addr), ==, 1);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    return fd;
}

/* A name service that is silent holds up nothing but those who wait for its names; and the end of the
 * server. */
static void
silent_name_service(void)
{
    if (!enter_own_place())
        return;
    int dns = socket_at(SOCK_DGRAM, "127.0.0.1", 53);
    GString *options = g_string_new("plugins = auth-ldap\n[authentication]\nlibrary = gauth_ldap\n");
    for (unsigned i = 0; i < 4; i++)
        g_string_append_printf(options,
                               "[gauth_ldap%s%.0u]\nldap-url = ldap://dc%u.example.test/%s??sub?(uid=X)\n"
                               "retry-attempts = 1\nconnect-timeout = 1\nresponse-timeout = 1\n",
                               i > 0 ? "_" : "", i, i, PEOPLE);
    g_autoptr(TestServer) server = test_primary_new(options->str);
    g_string_free(options, TRUE);
    g_autoptr(TestClient) admin = admin_of(server, "alice");
    test_person_new(admin, "iris");
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    int64_t id = ldap_send_login(client, "anna", "alicepw");
    test_wait_statistic(admin, "auth-ldap.waiting", 1);
    int64_t most = 0, since = g_get_monotonic_time();
    ldap_median_read(admin, &most);
    g_assert_cmpint(most, <, G_USEC_PER_SEC);
    g_assert_cmpint(ldap_wait_login(client, id, NULL), ==, -32013);
    g_assert_cmpint(g_get_monotonic_time() - since, <, 25 * G_USEC_PER_SEC);
    /* All names are looked for now; passwords are checked all the same. */
    since = g_get_monotonic_time();
    g_assert_cmpint(ldap_login(server, "iris", "pw"), ==, 0);
    g_assert_cmpint(g_get_monotonic_time() - since, <, 5 * G_USEC_PER_SEC);
    since = g_get_monotonic_time();
    test_server_signal(server, SIGTERM);
    g_assert_cmpint(g_get_monotonic_time() - since, <, 20 * G_USEC_PER_SEC);
    close(dns);
}

/* Of the addresses of a name those that refuse, or are silent, cost no log-in. */
static void
several_addresses(void)
{
    if (!enter_own_place())
        return;
    g_autoptr(LdapPeer) peer = ldap_peer_new_at("127.0.0.3", ldap_guest_serve, NULL, NULL, false);
    uint16_t port = ldap_peer_get_port(peer);
    /* Full: what would connect gets no answer. The resolver puts it first. */
    int full = socket_at(SOCK_STREAM, "127.0.0.1", port), fillers[4];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    g_assert_cmpint(inet_pton(AF_INET, "127.0.0.1", &address.sin_addr), ==, 1);
    g_assert_cmpint(listen(full, 0), ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(fillers); i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        connect(fillers[i], (struct sockaddr *)&address, sizeof address);
    }
    static const char *const NAMES[] = {"two.test", "dark.test"};
    for (unsigned i = 0; i < G_N_ELEMENTS(NAMES); i++) {
        g_autofree char *section = ldap_section_of(port, "connect-timeout = 2\n");
        g_autoptr(GString) named = g_string_new(section);
        g_string_replace(named, "127.0.0.1", NAMES[i], 1);
        g_autofree char *options = ldap_options("", named->str, NULL);
        g_autoptr(TestServer) server = test_primary_new(options);
        g_autoptr(TestClient) admin = admin_of(server, "alice");
        g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
        g_assert_cmpint(ldap_login(server, "anna", "alicepw"), ==, 0);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(fillers); i++)
        close(fillers[i]);
    close(full);
}

static void
test_in_own_place(const void *data)
{
    if (g_test_subprocess()) {
        ((void (*)(void))data)();
        return;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
    g_test_trap_assert_passed();
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/auth-ldap-ways/search-references", test_search_references);
    g_test_add_func("/auth-ldap-ways/referrals-astray", test_referrals_astray);
    g_test_add_func("/auth-ldap-ways/referral-in-plain", test_referral_in_plain);
    g_test_add_func("/auth-ldap-ways/names", test_names);
    g_test_add_func("/auth-ldap-ways/ipv6", test_ipv6);
    g_test_add_data_func("/auth-ldap-ways/silent-name-service", silent_name_service, test_in_own_place);
    g_test_add_data_func("/auth-ldap-ways/several-addresses", several_addresses, test_in_own_place);
    return g_test_run();
}
