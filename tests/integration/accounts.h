/* accounts.h - persons with rules upon them, and who is let in. */
#pragma once

#include "fixture.h"

#define INT G_GINT64_FORMAT
#define OPEN "{'user':'%s','password':'%s','application':'confctl'}"

/* Members of section security-authentication-rules: "'password-min-length':'8'".  Nothing else stands
 * there then. */
void set_rules(TestClient *admin, const char *type, int64_t dbid, const char *rules);
int64_t add_tenant(TestClient *admin, const char *name);
/* Who may log in by application confctl; dbid. */
int64_t add_person(TestClient *admin, int64_t tenant, const char *name, const char *password);
/* Logged in; what is refused fails the test. */
TestClient *opens(TestServer *server, const char *user, const char *password);
void lets_in(TestServer *server, const char *user, const char *password);
/* -32001; the message, g_free(). */
char *refused(TestServer *server, const char *user, const char *password);
void is_refused(TestServer *server, const char *user, const char *password);
/* Member of "account" in the answer of session.open, g_free(); NULL: it is not there. */
char *account_member(TestServer *server, const char *user, const char *password, const char *member);
/* Polls until the person's log-in at this server answers with this code, 0: it is let in. */
void wait_login(TestServer *server, int64_t code, const char *user, const char *password);
