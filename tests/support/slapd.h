/* slapd.h - a real OpenLDAP server for tests, with a few people:
 *   uid=alice, bob, old (expired), dis (locked), two of mail=twin@example.test, group cn=ops of alice, and
 *   ou=elsewhere, which refers to another server.  A password is the name and "pw".
 * Policies for more of them: cn=short (expired after a second), cn=three (locked after three wrong passwords), cn=grace
 * (expired after a second, two more log-ins), cn=reset (a password set by others must be changed). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

typedef struct TestSlapd TestSlapd;

#define TEST_LDAP_BASE "dc=example,dc=test"
#define TEST_LDAP_ADMIN "cn=admin," TEST_LDAP_BASE
#define TEST_LDAP_ADMIN_PASSWORD "adminpw"

/* Started and answering.  `pki_folder` (of test_pki_new(), may be NULL): for ldaps and StartTLS.
 * refer_port: where ou=elsewhere refers to, 0: nowhere.  NULL: slapd is missing, the test is skipped (an
 * error where CI is set). */
TestSlapd *test_slapd_new(const char *pki_folder, uint16_t refer_port);
typedef struct {
    const char *pki_folder; /* may be NULL */
    uint16_t refer_port;    /* 0: nowhere */
    const char *global;     /* further lines of slapd.conf, before those of the database; NULL: none */
    const char *data;       /* further entries, LDIF; NULL: none */
    const char *host;       /* that it listens on, "[::1]"; NULL: 127.0.0.1 */
} TestSlapdOptions;
TestSlapd *test_slapd_new_with(const TestSlapdOptions *options);
/* A person with these further lines; g_free(). */
char *test_slapd_person(const char *name, const char *more);
/* Changes its data by these records (LDIF, as the administrator). */
void test_slapd_modify(TestSlapd *slapd, const char *ldif);
/* How often its log (connections and operations) has that text. */
unsigned test_slapd_count(const TestSlapd *slapd, const char *text);
/* Again, after SIGKILL. */
void test_slapd_start(TestSlapd *slapd);
void test_slapd_signal(TestSlapd *slapd, int signal_number); /* SIGKILL and SIGTERM are waited for */
uint16_t test_slapd_get_port(const TestSlapd *slapd);
uint16_t test_slapd_get_tls_port(const TestSlapd *slapd);
void test_slapd_free(TestSlapd *slapd);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TestSlapd, test_slapd_free)
