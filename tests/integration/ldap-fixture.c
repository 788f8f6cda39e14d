/* ldap-fixture.c - see ldap-fixture.h. */
#include "ldap-fixture.h"

#include <string.h>

char *
ldap_section(const char *scheme, uint16_t port, const char *base, const char *filter, const char *more)
{
    return g_strdup_printf("ldap-url = %s://127.0.0.1:%u/%s??sub?%s\n%s%s%s%s\n", scheme, port, base, filter,
                           strstr(more, "retry-attempts") != NULL ? "" : "retry-attempts = 1\n",
                           strstr(more, "connect-timeout") != NULL ? "" : "connect-timeout = 1\n",
                           strstr(more, "response-timeout") != NULL ? "" : "response-timeout = 1\n", more);
}

char *
ldap_section_of(uint16_t port, const char *more)
{
    return ldap_section("ldap", port, PEOPLE, "(uid=X)", more);
}

char *
ldap_options(const char *own, const char *first, const char *second)
{
    return g_strdup_printf(
        "plugins = auth-ldap\nlogin-attempts = 1000\n%s\n[authentication]\nlibrary = gauth_ldap\n"
        "[gauth_ldap]\n%s%s%s\n",
        own, first, second != NULL ? "[gauth_ldap_1]\n" : "", second != NULL ? second : "");
}

TestServer *
ldap_primary_new(uint16_t port, const char *own, const char *more)
{
    g_autofree char *section = ldap_section_of(port, more);
    g_autofree char *options = ldap_options(own, section, NULL);
    return test_primary_new(options);
}

int64_t
ldap_add_person(TestClient *admin, const char *name, const char *external)
{
    int64_t dbid = json_object_get_int_member(
        test_call(admin, "object.create", "{'object':{'type':'person','name':'%s','externalId':'%s'}}", name,
                  external),
        "dbid");
    test_call(admin, "permission.update",
              "{'type':'application','name':'confctl','grant':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['read','execute']}]}",
              dbid);
    return dbid;
}

int64_t
ldap_send_login(TestClient *client, const char *user, const char *password)
{
    return test_send(client, "session.open", "{'user':'%s','password':'%s','application':'confctl'}", user,
                     password);
}

int64_t
ldap_wait_login(TestClient *client, int64_t id, char **text)
{
    JsonObject *response = test_wait_response(client, id);
    if (!json_object_has_member(response, "error"))
        return 0;
    JsonObject *error = json_object_get_object_member(response, "error");
    JsonObject *data =
        json_object_has_member(error, "data") ? json_object_get_object_member(error, "data") : NULL;
    if (text != NULL && data != NULL && json_object_has_member(data, "text"))
        *text = g_strdup(json_object_get_string_member(data, "text"));
    return json_object_get_int_member(error, "code");
}

int64_t
ldap_login_text(TestServer *server, const char *user, const char *password, char **text)
{
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    return ldap_wait_login(client, ldap_send_login(client, user, password), text);
}

int64_t
ldap_login(TestServer *server, const char *user, const char *password)
{
    return ldap_login_text(server, user, password, NULL);
}

void
ldap_assert_refused(TestServer *server, const char *user, const char *password, const char *text)
{
    g_autofree char *told = NULL;
    g_assert_cmpint(ldap_login_text(server, user, password, &told), ==, -32001);
    g_assert_cmpstr(told, ==, text);
}

int64_t
ldap_median_read(TestClient *client, int64_t *most)
{
    enum { READS = 101 };
    int64_t took[READS];
    for (unsigned i = 0; i < READS; i++) {
        int64_t since = g_get_monotonic_time();
        test_call(client, "object.read", "{'type':'person','name':'anna'}");
        took[i] = g_get_monotonic_time() - since;
        for (unsigned k = i; k > 0 && took[k] < took[k - 1]; k--) {
            int64_t swap = took[k];
            took[k] = took[k - 1];
            took[k - 1] = swap;
        }
    }
    if (most != NULL)
        *most = took[READS - 1];
    return took[READS / 2];
}

void
ldap_wait_at_most(TestClient *client, const char *name, int64_t most)
{
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    while (test_statistic(client, name) > most) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_usleep(5000);
    }
}

void
ldap_edit_file(TestServer *server, const char *old, const char *new)
{
    g_autofree char *path = g_build_filename(test_server_get_folder(server), "confserv.conf", NULL),
                    *text = NULL;
    g_autoptr(GError) error = NULL;
    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    g_assert_nonnull(strstr(text, old));
    g_autoptr(GString) edited = g_string_new(text);
    g_string_replace(edited, old, new, 0);
    g_file_set_contents(path, edited->str, -1, &error);
    g_assert_no_error(error);
}
