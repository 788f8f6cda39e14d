/* slapd.c - see slapd.h. */
#include "slapd.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "child.h"
#include "fixture.h"

struct TestSlapd {
    char *folder;
    uint16_t port, tls_port;
    char *host;
    bool has_tls;
    char *program;
    TestChild child;
};

static const char CONFIG[] =
    "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n"
    "include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload ppolicy\n"
    "pidfile %1$s/pid\n%2$sdatabase mdb\nsuffix \"" TEST_LDAP_BASE "\"\nrootdn \"" TEST_LDAP_ADMIN "\"\n"
    "rootpw " TEST_LDAP_ADMIN_PASSWORD
    "\ndirectory %1$s/db\nmaxsize 16777216\ndbnosync\nindex objectClass,uid,mail eq\n"
    "access to attrs=userPassword by self write by anonymous auth by * none\naccess to * by * read\n"
    "overlay ppolicy\nppolicy_default \"cn=std,ou=policies," TEST_LDAP_BASE "\"\nppolicy_use_lockout\n";

static void add_person(GString *ldif, const char *name, const char *more);
static void add_policy(GString *ldif, const char *name, const char *more);
static char *make_data(const TestSlapdOptions *options);
static bool answers(const void *data);

TestSlapd *
test_slapd_new(const char *pki_folder, uint16_t refer_port)
{
    return test_slapd_new_with(&(TestSlapdOptions){.pki_folder = pki_folder, .refer_port = refer_port});
}

TestSlapd *
test_slapd_new_with(const TestSlapdOptions *options)
{
    const char *pki_folder = options->pki_folder;
    g_autofree char *program = test_child_find("slapd", "slapd");
    if (program == NULL)
        return NULL;
    TestSlapd *slapd = g_new0(TestSlapd, 1);
    slapd->program = g_steal_pointer(&program);
    slapd->folder = test_make_folder();
    slapd->port = test_free_port();
    slapd->tls_port = test_free_port();
    slapd->has_tls = pki_folder != NULL;
    slapd->host = g_strdup(options->host != NULL ? options->host : "127.0.0.1");
    g_autofree char *tls = pki_folder != NULL
                               ? g_strdup_printf("TLSCACertificateFile %1$s/ca.pem\nTLSCertificateFile "
                                                 "%1$s/server.pem\nTLSCertificateKeyFile %1$s/server.key\n",
                                                 pki_folder)
                               : g_strdup("");
    g_autofree char *global = g_strconcat(tls, options->global, NULL);
    g_autofree char *config = g_strdup_printf(CONFIG, slapd->folder, global), *data = make_data(options);
    g_autofree char *database = g_build_filename(slapd->folder, "db", NULL);
    g_assert_cmpint(g_mkdir_with_parents(database, 0700), ==, 0);
    test_child_write(slapd->folder, "slapd.conf", config);
    test_child_write(slapd->folder, "data.ldif", data);
    const char *argv[] = {"/usr/sbin/slapadd", "-q", "-f", "slapd.conf", "-l", "data.ldif", NULL};
    g_autofree char *output = NULL;
    g_autoptr(GError) error = NULL;
    int status = 0;
    g_spawn_sync(slapd->folder, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, &output, &status,
                 &error);
    g_assert_no_error(error);
    if (status != 0)
        g_error("slapadd: %s", output);
    test_slapd_start(slapd);
    return slapd;
}

void
test_slapd_start(TestSlapd *slapd)
{
    g_autofree char *urls = slapd->has_tls ? g_strdup_printf("ldap://%1$s:%2$u ldaps://%1$s:%3$u",
                                                             slapd->host, slapd->port, slapd->tls_port)
                                           : g_strdup_printf("ldap://%s:%u", slapd->host, slapd->port);
    const char *argv[] = {slapd->program, "-d", "stats", "-f", "slapd.conf", "-h", urls, NULL};
    test_child_start(&slapd->child, slapd->folder, argv, answers, slapd);
}

void
test_slapd_signal(TestSlapd *slapd, int signal_number)
{
    test_child_signal(&slapd->child, signal_number);
}

char *
test_slapd_person(const char *name, const char *more)
{
    return g_strdup_printf("dn: uid=%1$s,ou=people," TEST_LDAP_BASE
                           "\nobjectClass: inetOrgPerson\nuid: %1$s\ncn: %1$s\n"
                           "sn: %1$s\nuserPassword: %1$spw\n%2$s\n",
                           name, more);
}

void
test_slapd_modify(TestSlapd *slapd, const char *ldif)
{
    g_autofree char *url = g_strdup_printf("ldap://%s:%u", slapd->host, slapd->port), *output = NULL;
    const char *argv[] = {"/usr/bin/ldapmodify",    "-x", "-H",           url, "-D", TEST_LDAP_ADMIN, "-w",
                          TEST_LDAP_ADMIN_PASSWORD, "-f", "changes.ldif", NULL};
    g_autoptr(GError) error = NULL;
    int status = 0;
    test_child_write(slapd->folder, "changes.ldif", ldif);
    g_spawn_sync(slapd->folder, (char **)argv, NULL, G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL, &output,
                 &status, &error);
    g_assert_no_error(error);
    if (status != 0)
        g_error("ldapmodify: %s", output);
}

unsigned
test_slapd_count(const TestSlapd *slapd, const char *text)
{
    g_autofree char *path = g_build_filename(slapd->folder, "log", NULL), *log = NULL;
    unsigned count = 0;
    if (!g_file_get_contents(path, &log, NULL, NULL))
        return 0;
    for (const char *at = log; (at = strstr(at, text)) != NULL; at += strlen(text))
        count++;
    return count;
}

uint16_t
test_slapd_get_port(const TestSlapd *slapd)
{
    return slapd->port;
}

uint16_t
test_slapd_get_tls_port(const TestSlapd *slapd)
{
    return slapd->tls_port;
}

void
test_slapd_free(TestSlapd *slapd)
{
    if (slapd == NULL)
        return;
    test_child_end(&slapd->child);
    test_remove_folder(slapd->folder);
    g_free(slapd->folder);
    g_free(slapd->host);
    g_free(slapd->program);
    g_free(slapd);
}

static void
add_person(GString *ldif, const char *name, const char *more)
{
    g_autofree char *entry = test_slapd_person(name, more);
    g_string_append(ldif, entry);
}

static void
add_policy(GString *ldif, const char *name, const char *more)
{
    g_string_append_printf(ldif,
                           "dn: cn=%1$s,ou=policies," TEST_LDAP_BASE
                           "\nobjectClass: applicationProcess\nobjectClass: "
                           "pwdPolicy\ncn: %1$s\npwdAttribute: userPassword\n%2$s\n",
                           name, more);
}

static char *
make_data(const TestSlapdOptions *options)
{
    GString *ldif =
        g_string_new("dn: " TEST_LDAP_BASE "\nobjectClass: dcObject\nobjectClass: organization\no: Example\n"
                     "dc: example\n\n");
    static const char *const UNITS[] = {"people", "policies", "groups"};
    for (unsigned i = 0; i < G_N_ELEMENTS(UNITS); i++)
        g_string_append_printf(
            ldif, "dn: ou=%1$s," TEST_LDAP_BASE "\nobjectClass: organizationalUnit\nou: %1$s\n\n", UNITS[i]);
    add_policy(ldif, "std", "pwdLockout: TRUE\npwdMaxFailure: 1000000\n");
    add_policy(ldif, "short", "pwdMaxAge: 1\npwdGraceAuthNLimit: 0\n");
    add_policy(ldif, "three", "pwdLockout: TRUE\npwdMaxFailure: 3\npwdLockoutDuration: 0\n");
    add_policy(ldif, "grace", "pwdMaxAge: 1\npwdGraceAuthNLimit: 2\n");
    add_policy(ldif, "reset", "pwdMustChange: TRUE\n");
    add_person(ldif, "alice", "mail: alice@example.test\n");
    add_person(ldif, "bob", "mail: bob@example.test\n");
    add_person(ldif, "twin1", "mail: twin@example.test\n");
    add_person(ldif, "twin2", "mail: twin@example.test\n");
    add_person(ldif, "old",
               "pwdPolicySubentry: cn=short,ou=policies," TEST_LDAP_BASE
               "\npwdChangedTime: 20200101000000Z\n");
    add_person(ldif, "dis", "pwdAccountLockedTime: 000001010000Z\n");
    g_string_append(ldif, "dn: cn=ops,ou=groups," TEST_LDAP_BASE "\nobjectClass: groupOfNames\ncn: ops\n"
                          "member: uid=alice,ou=people," TEST_LDAP_BASE "\n\n");
    if (options->data != NULL)
        g_string_append(ldif, options->data);
    if (options->refer_port != 0)
        g_string_append_printf(ldif,
                               "dn: ou=elsewhere," TEST_LDAP_BASE
                               "\nobjectClass: referral\nobjectClass: extensibleObject\n"
                               "ou: elsewhere\nref: ldap://127.0.0.1:%u/ou=people," TEST_LDAP_BASE "\n\n",
                               options->refer_port);
    return g_string_free(ldif, FALSE);
}

/* An anonymous bind, answered by success. */
static bool
answers(const void *data)
{
    const TestSlapd *slapd = data;
    static const uint8_t BIND[] = {0x30, 12, 2, 1, 1, 0x60, 7, 2, 1, 3, 4, 0, 0x80, 0};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(slapd->port)};
    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(slapd->port), .sin6_addr = in6addr_loopback};
    bool is_v6 = *slapd->host == '[';
    const struct sockaddr *address = is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
    struct timeval limit = {5, 0};
    uint8_t answer[64];
    if (!is_v6)
        g_assert_cmpint(inet_pton(AF_INET, slapd->host, &v4.sin_addr), ==, 1);
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    bool good = connect(fd, address, is_v6 ? sizeof v6 : sizeof v4) == 0 &&
                send(fd, BIND, sizeof BIND, MSG_NOSIGNAL) == (ssize_t)sizeof BIND &&
                recv(fd, answer, sizeof answer, 0) > 0;
    close(fd);
    return good;
}
