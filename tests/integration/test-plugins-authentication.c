/* test-plugins-authentication.c - section [authentication]: which libraries are asked for whom, in which
 * order, and what their verdicts come to. */
#include "plugins.h"

#define INT G_GINT64_FORMAT
#define BOTH "t-library-one, t-library-two"
#define OPEN "{'user':'%s','password':'%s','application':'confctl'}"

static int64_t
add_person(TestClient *admin, const char *name, const char *more)
{
    int64_t dbid = json_object_get_int_member(
        test_call(admin, "object.create", "{'object':{'type':'person','name':'%s'%s}}", name, more), "dbid");
    test_call(admin, "permission.update",
              "{'type':'application','name':'confctl','grant':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['read','execute']}]}",
              dbid);
    return dbid;
}

static int64_t
add_external(TestClient *admin, const char *name)
{
    g_autofree char *more = g_strdup_printf(",'externalId':'%s'", name);
    return add_person(admin, name, more);
}

static void
opens(TestServer *server, const char *user, const char *password)
{
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    JsonObject *opened = test_call(client, "session.open", OPEN, user, password);
    g_assert_true(json_object_has_member(opened, "session"));
}

static void
refused(TestServer *server, int code, const char *user, const char *password)
{
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    JsonObject *error = test_call_error(client, code, "session.open", OPEN, user, password);
    if (code == -32013)
        g_assert_cmpint(
            json_object_get_int_member(json_object_get_object_member(error, "data"), "retryAfter"), >, 0);
}

static void
test_order(void)
{
    g_autoptr(TestServer) server =
        test_primary_with(BOTH, "login-attempts = 100\n[authentication]\nlibrary = gauth_two, gauth_one\n");
    g_autoptr(TestClient) admin = test_client_new(server); /* has no externalId: internal */
    add_external(admin, "ann");
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'inside'}",
              add_external(admin, "bob"));
    test_assert_events(admin, "t-library-two.events", "");
    opens(server, "ann", "two=yes one=no");
    test_assert_events(admin, "t-library-one.events", "");
    test_assert_events(admin, "t-library-two.events", "ann");
    opens(server, "ann", "two=unknown one=yes");
    opens(server, "ann", "two=later-unknown one=later-yes");
    opens(server, "ann", "two=away one=yes");
    opens(server, "ann", "two=later-away one=later-yes");
    opens(server, "ann", "two=never one=yes");
    /* A wrong password is final. */
    test_assert_events(admin, "t-library-one.events", "ann; ann; ann; ann; ann");
    refused(server, -32001, "ann", "two=no one=yes");
    refused(server, -32001, "ann", "two=later-no one=yes");
    test_assert_events(admin, "t-library-one.events", "");
    /* Nobody could say; or nobody knows the account: then its internal password does not count either. */
    refused(server, -32013, "ann", "two=away one=later-away");
    refused(server, -32013, "ann", "two=unknown one=away");
    refused(server, -32001, "ann", "two=unknown one=unknown");
    refused(server, -32001, "bob", "inside");
    /* Never an empty password; nor for whom is unknown or disabled here. */
    g_autofree char *before = test_events(admin, "t-library-two.events");
    refused(server, -32001, "ann", "");
    refused(server, -32001, "nobody", "two=yes");
    test_call(admin, "object.update", "{'type':'person','name':'bob','patch':{'state':'disabled'}}");
    refused(server, -32001, "bob", "two=yes");
    test_assert_events(admin, "t-library-two.events", "");
}

static void
test_levels(void)
{
    g_autoptr(TestServer) server = test_primary_with(BOTH, "[authentication]\nlibrary = gauth_one\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t tenant = json_object_get_int_member(
        test_call(
            admin, "object.create",
            "{'object':{'type':'tenant','name':'acme','annex':{'authentication':{'library':'gauth_two'}}}}"),
        "dbid");
    g_autofree char *in_tenant = g_strdup_printf(",'externalId':'x','tenant':%" INT, tenant);
    g_autofree char *plain = g_strdup_printf(",'tenant':%" INT, tenant);
    add_external(admin, "of-server");
    add_person(admin, "of-tenant", in_tenant);
    int64_t inside = add_person(admin, "inside", plain);
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'secret'}", inside);
    int64_t own = add_person(admin, "own", ",'annex':{'authentication':{'library':'gauth_two, internal'}}");
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'secret'}", own);
    opens(server, "of-server", "one=yes two=no");
    opens(server, "of-tenant", "one=no two=yes");
    opens(server, "inside", "secret");
    opens(server, "own", "two=yes");
    opens(server, "own", "secret"); /* unknown to the library, and then internal */
    refused(server, -32001, "own", "two=no");
    /* Without externalId too, by the tenant; and nobody at all. */
    test_call(admin, "object.update",
              "{'type':'tenant','dbid':%" INT
              ",'patch':{'annex':{'authentication':{'enforce-external-auth':'true'}}}}",
              tenant);
    opens(server, "inside", "two=yes");
    refused(server, -32001, "inside", "secret");
    test_call(admin, "object.update",
              "{'type':'tenant','dbid':%" INT
              ",'patch':{'annex':{'authentication':{'enforce-internal-auth':'true'}}}}",
              tenant);
    opens(server, "inside", "secret");
    refused(server, -32001, "of-tenant", "two=yes");
    /* A library that no plugin is: no way round it by the internal password. */
    test_call(admin, "object.update",
              "{'type':'person','dbid':%" INT
              ",'patch':{'annex':{'authentication':{'library':'gauth_three'}}}}",
              own);
    refused(server, -32013, "own", "secret");
    test_call(admin, "object.update",
              "{'type':'person','dbid':%" INT ",'patch':{'annex':{'authentication':{'library':'internal'}}}}",
              own);
    opens(server, "own", "secret");
}

/* The option alone, with no such plugin: everybody is internal, as without it. */
static void
test_disabled(void)
{
    g_autoptr(TestServer) server = test_primary_with("", "[authentication]\nlibrary = gauth_ldap\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'inside'}",
              add_external(admin, "bob"));
    opens(server, "bob", "inside");
}

static void
test_challenge(void)
{
    g_autoptr(TestServer) server =
        test_primary_with(BOTH, "[authentication]\nlibrary = gauth_one, gauth_two\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    add_external(admin, "ann");
    const char *const answers[] = {"later-yes", "no", "later-away"};
    for (unsigned i = 0; i < G_N_ELEMENTS(answers); i++) {
        g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
        JsonObject *error =
            test_call_error(client, -32002, "session.open", OPEN, "ann", "one=unknown two=ask");
        g_autofree char *challenge = g_strdup(
            json_object_get_string_member(json_object_get_object_member(error, "data"), "challenge"));
        if (i == 0)
            test_call(client, "session.continue", "{'challenge':'%s','response':'%s'}", challenge,
                      answers[i]);
        else
            test_call_error(client, i == 1 ? -32001 : -32013, "session.continue",
                            "{'challenge':'%s','response':'%s'}", challenge, answers[i]);
    }
    /* The first of the list is not asked again by the answer. */
    test_assert_events(admin, "t-library-one.events", "ann; ann; ann");
}

static void
set_away(TestClient *admin, const char *value)
{
    test_call(admin, "object.update",
              "{'type':'application','name':'confserv','patch':{'options':{'t-library-one':{'away':'%s'}}}}",
              value);
}

static void
test_offline(void)
{
    g_autoptr(TestServer) server =
        test_primary_with(BOTH, "[authentication]\nlibrary = gauth_one\noffline-login = 1h\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    add_external(admin, "ann");
    int64_t other = add_external(admin, "eve");
    opens(server, "ann", "one=yes");
    opens(server, "eve", "one=yes");
    set_away(admin, "true");
    opens(server, "ann", "one=yes");
    refused(server, -32013, "ann", "one=yes, but another");
    /* Any change of the person ends it. */
    test_call(admin, "object.update", "{'type':'person','dbid':%" INT ",'patch':{'firstName':'Eve'}}", other);
    refused(server, -32013, "eve", "one=yes");
    set_away(admin, "false");
    opens(server, "eve", "one=yes");
    /* What is not allowed any more is not remembered either. */
    set_away(admin, "true");
    test_call(
        admin, "object.update",
        "{'type':'application','name':'confserv','patch':{'options':{'authentication':{'offline-login':'0'}}}}");
    refused(server, -32013, "ann", "one=yes");
}

/* A directory that asks for more than the password: what once was enough is not, whenever it falls silent. */
static void
test_offline_after_challenge(void)
{
    static const char SAYS[] =
        "{'type':'application','name':'confserv','patch':{'options':{'t-library-one':{'says':'%s'}}}}";
    g_autoptr(TestServer) server =
        test_primary_with(BOTH, "[authentication]\nlibrary = gauth_one\noffline-login = 1h\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    add_external(admin, "ann");
    opens(server, "ann", "one=yes");
    test_call(admin, "object.update", SAYS, "ask");
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    JsonObject *error = test_call_error(client, -32002, "session.open", OPEN, "ann", "one=yes");
    g_autofree char *challenge =
        g_strdup(json_object_get_string_member(json_object_get_object_member(error, "data"), "challenge"));
    test_call_error(client, -32013, "session.continue", "{'challenge':'%s','response':'away'}", challenge);
    test_call(admin, "object.update", SAYS, "away");
    refused(server, -32013, "ann", "one=yes");
}

/* More than the threshold do not wait; those that do are let in, and others after them. */
static void
test_threshold(void)
{
    enum { WAITING = 4 };
    g_autoptr(TestServer) server = test_primary_with(
        BOTH, "[authentication]\nlibrary = gauth_one\nauthentication-queue-threshold = 4\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    add_external(admin, "ann");
    g_autoptr(GPtrArray) clients = g_ptr_array_new_with_free_func((GDestroyNotify)test_client_free);
    int64_t ids[WAITING];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < WAITING; i++) {
            TestClient *client = test_client_connect(test_server_get_port(server));
            g_ptr_array_add(clients, client);
            ids[i] = test_send(client, "session.open", OPEN, "ann", "one=hold");
        }
        g_autofree char *events = test_wait_event(admin, "t-library-one.events", "ann; ann; ann; ann");
        refused(server, -32013, "ann", "one=yes");
        /* Whoever goes does not count any more. */
        if (round == 1) {
            g_ptr_array_set_size(clients, 0);
            continue;
        }
        test_call(admin, "t-library-one.release", "{}");
        for (unsigned i = 0; i < WAITING; i++) {
            JsonObject *response = test_wait_response(clients->pdata[i], ids[i]);
            g_assert_true(json_object_has_member(response, "result"));
        }
    }
    test_call(admin, "t-library-one.release", "{}");
    opens(server, "ann", "one=later-yes");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/plugins/authentication/order", test_order);
    g_test_add_func("/integration/plugins/authentication/levels", test_levels);
    g_test_add_func("/integration/plugins/authentication/disabled", test_disabled);
    g_test_add_func("/integration/plugins/authentication/challenge", test_challenge);
    g_test_add_func("/integration/plugins/authentication/offline", test_offline);
    g_test_add_func("/integration/plugins/authentication/offline-after-challenge",
                    test_offline_after_challenge);
    g_test_add_func("/integration/plugins/authentication/threshold", test_threshold);
    return g_test_run();
}
