/* slapd.h - a real OpenLDAP server for tests, with a few people:
 *   uid=alice, bob, old (expired), dis (locked), two of mail=twin@example.test, group cn=ops of alice, and
 *   ou=elsewhere, which refers to another server.  A password is the name and "pw". */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

typedef struct TestSlapd TestSlapd;

#define TEST_LDAP_BASE "dc=example,dc=test"
#define TEST_LDAP_ADMIN "cn=admin," TEST_LDAP_BASE
#define TEST_LDAP_ADMIN_PASSWORD "adminpw"

/* Started and answering.  `pki_folder` (of test_pki_new(), may be NULL): for ldaps and StartTLS. refer_port: where
 * ou=elsewhere refers to, 0: nowhere.  NULL: slapd is missing, the test is skipped (an error where CI is set). */
TestSlapd *test_slapd_new(const char *pki_folder, uint16_t refer_port);
/* Again, after SIGKILL. */
void test_slapd_start(TestSlapd *slapd);
void test_slapd_signal(TestSlapd *slapd, int signal_number); /* SIGKILL is waited for */
uint16_t test_slapd_get_port(const TestSlapd *slapd);
uint16_t test_slapd_get_tls_port(const TestSlapd *slapd);
void test_slapd_free(TestSlapd *slapd);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TestSlapd, test_slapd_free)
