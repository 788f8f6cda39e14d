/* ldap-fixture.h - what the tests of plugin auth-ldap share: options, persons, log-ins. */
#pragma once

#include "fixture.h"
#include "slapd.h"

#define INT G_GINT64_FORMAT
#define PEOPLE "ou=people," TEST_LDAP_BASE
#define AS_ADMIN "app-user = " TEST_LDAP_ADMIN "\npassword = " TEST_LDAP_ADMIN_PASSWORD "\n"

/* Lines of a section of that server; `more` may say otherwise than one attempt, and a second for all. */
char *ldap_section(const char *scheme, uint16_t port, const char *base, const char *filter, const char *more);
/* The usual one: ldap, uid of ou=people. */
char *ldap_section_of(uint16_t port, const char *more);
/* Lines of the own section, then the sections gauth_ldap, gauth_ldap_1 (may be NULL). */
char *ldap_options(const char *own, const char *first, const char *second);
/* A primary that asks the server at that port. */
TestServer *ldap_primary_new(uint16_t port, const char *own, const char *more);
/* A person with the right to use confctl; its dbid. */
int64_t ldap_add_person(TestClient *admin, const char *name, const char *external);
int64_t ldap_send_login(TestClient *client, const char *user, const char *password);
/* The code of the answer, 0 for a session. *text (may be NULL): data.text, g_free(). */
int64_t ldap_wait_login(TestClient *client, int64_t id, char **text);
int64_t ldap_login_text(TestServer *server, const char *user, const char *password, char **text);
int64_t ldap_login(TestServer *server, const char *user, const char *password);
/* The log-in is refused with that text. */
void ldap_assert_refused(TestServer *server, const char *user, const char *password, const char *text);
/* The median of some reads, usec; *most (may be NULL): the slowest. */
int64_t ldap_median_read(TestClient *client, int64_t *most);
/* Waits until a statistic has gone down so far; 30 s at most. */
void ldap_wait_at_most(TestClient *client, const char *name, int64_t most);
/* Replaces text in the server's own file. */
void ldap_edit_file(TestServer *server, const char *old, const char *new);
