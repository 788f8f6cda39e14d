/* accounts.c - see accounts.h. */
#include "accounts.h"

/* Members of the section: "'password-min-length':'8'". */
void
set_rules(TestClient *admin, const char *type, int64_t dbid, const char *rules)
{
    test_call(admin, "object.update",
              "{'type':'%s','dbid':%" INT ",'patch':{'annex':{'security-authentication-rules':null}}}", type,
              dbid);
    test_call(admin, "object.update",
              "{'type':'%s','dbid':%" INT ",'patch':{'annex':{'security-authentication-rules':{%s}}}}", type,
              dbid, rules);
}

int64_t
add_tenant(TestClient *admin, const char *name)
{
    return json_object_get_int_member(
        test_call(admin, "object.create", "{'object':{'type':'tenant','name':'%s'}}", name), "dbid");
}

int64_t
add_person(TestClient *admin, int64_t tenant, const char *name, const char *password)
{
    int64_t dbid = json_object_get_int_member(
        test_call(admin, "object.create", "{'object':{'type':'person','name':'%s','tenant':%" INT "}}", name,
                  tenant),
        "dbid");
    test_call(admin, "permission.update",
              "{'type':'application','name':'confctl','grant':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['read','execute']}]}",
              dbid);
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'%s'}", dbid, password);
    return dbid;
}

TestClient *
opens(TestServer *server, const char *user, const char *password)
{
    TestClient *client = test_client_connect(test_server_get_port(server));
    test_call(client, "session.open", OPEN, user, password);
    return client;
}

void
lets_in(TestServer *server, const char *user, const char *password)
{
    g_autoptr(TestClient) client = opens(server, user, password);
    test_call(client, "session.close", "{}");
}

char *
refused(TestServer *server, const char *user, const char *password)
{
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    JsonObject *error = test_call_error(client, -32001, "session.open", OPEN, user, password);
    return g_strdup(json_object_get_string_member(error, "message"));
}

void
is_refused(TestServer *server, const char *user, const char *password)
{
    g_autofree char *message = refused(server, user, password);
    g_assert_cmpstr(message, !=, "");
}

/* Member of "account" in the answer of session.open; NULL: it is not there. */
char *
account_member(TestServer *server, const char *user, const char *password, const char *member)
{
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    JsonObject *account =
        json_object_get_object_member(test_call(client, "session.open", OPEN, user, password), "account");
    return json_object_has_member(account, member) ? g_strdup(json_object_get_string_member(account, member))
                                                   : NULL;
}

/* Polls until the person's log-in at this server answers with this code, 0: it is let in. */
void
wait_login(TestServer *server, int64_t code, const char *user, const char *password)
{
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC, got;
    do {
        g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
        JsonObject *answer =
            test_wait_response(client, test_send(client, "session.open", OPEN, user, password));
        got = json_object_has_member(answer, "error")
                  ? json_object_get_int_member(json_object_get_object_member(answer, "error"), "code")
                  : 0;
        if (g_get_monotonic_time() > until)
            g_error("%s is answered %" INT " and not %" INT, user, got, code);
    } while (got != code);
}
