/* test-plugins-offline.c - a proxy whose master and directory are both dead: who logged in lately is let
 * in, by the clock that nobody sets; sessions are taken up again; what needs the master says so. And which
 * rules are for those who log in by a directory. */
#include "plugins.h"

#include "accounts.h"
#include "clock.h"

#define MINUTE_MS ((int64_t)60 * 1000)
#define DAY_MS (24 * 60 * MINUTE_MS)
#define LIBRARY "login-attempts = 1000\n[authentication]\nlibrary = gauth_one\noffline-login = 1h\n"

static int64_t
add_external(TestClient *admin, const char *name)
{
    int64_t dbid = add_person(admin, 1, name, "inside");
    test_call(admin, "object.update", "{'type':'person','dbid':%" INT ",'patch':{'externalId':'%s'}}", dbid,
              name);
    return dbid;
}

static void
code_is(TestServer *server, int code, const char *user, const char *password)
{
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    test_call_error(client, code, "session.open", OPEN, user, password);
}

/* The proxy, with a person who has logged in there by the directory, and one who has not; then all is dead
 * but it. */
static TestServer *
alone(TestServer *master, TestClient *admin)
{
    add_external(admin, "ann");
    add_external(admin, "bob");
    add_person(admin, 1, "ina", "inside");
    TestServer *proxy = test_proxy_with(master, "px", "t-library-one", LIBRARY);
    wait_login(proxy, 0, "ann", "one=yes");
    return proxy;
}

static void
kill_all(TestServer *master, TestClient *admin, TestServer *proxy)
{
    test_call(admin, "object.update",
              "{'type':'application','name':'px','patch':{'options':{'t-library-one':{'away':'true'}}}}");
    wait_login(proxy, -32013, "bob", "one=unknown"); /* which is no success before */
    test_server_signal(master, SIGKILL);
    g_autoptr(TestClient) client = test_client_new(proxy);
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    for (bool noticed = false; !noticed; g_usleep(20000)) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        JsonObject *of = json_object_get_object_member(test_call(client, "server.info", "{}"), "master");
        noticed = strcmp(json_object_get_string_member(of, "state"), "disconnected") == 0;
    }
}

static void
test_window(void)
{
    test_clock_set(0, 0);
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(master);
    g_autoptr(TestServer) proxy = alone(master, admin);
    kill_all(master, admin, proxy);
    lets_in(proxy, "ann", "one=yes");
    code_is(proxy, -32013, "ann", "one=yes, another");
    code_is(proxy, -32013, "bob", "one=yes");
    lets_in(proxy, "ina", "inside"); /* the internal password needs nobody */
    /* Whoever sets the clock neither lengthens nor shortens the time. */
    const int64_t jumps[] = {365 * DAY_MS, -365 * DAY_MS, 2 * 60 * MINUTE_MS, 0};
    for (unsigned i = 0; i < G_N_ELEMENTS(jumps); i++) {
        test_clock_set(jumps[i], 0);
        lets_in(proxy, "ann", "one=yes");
    }
    test_clock_set(0, 58 * MINUTE_MS);
    lets_in(proxy, "ann", "one=yes");
    /* What was let in so does not count as another success. */
    test_clock_set(0, 61 * MINUTE_MS);
    code_is(proxy, -32013, "ann", "one=yes");
    test_clock_set(-365 * DAY_MS, 61 * MINUTE_MS);
    code_is(proxy, -32013, "ann", "one=yes");
    lets_in(proxy, "ina", "inside");
    test_clock_set(0, 61 * MINUTE_MS);
}

static void
test_resume(void)
{
    test_clock_set(0, 0);
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(master);
    g_autoptr(TestServer) proxy = alone(master, admin);
    TestClient *client = test_client_new_as(proxy, "ann", "one=yes", "confctl");
    g_autofree char *token = test_client_dup_token(client),
                    *environment = test_client_dup_environment(client);
    int64_t revision = json_object_get_int_member(
        json_object_get_object_member(test_client_get_session(client), "server"), "revision");
    kill_all(master, admin, proxy);
    test_client_abort(client);
    test_client_free(client);
    g_autoptr(TestClient) again = test_client_connect(test_server_get_port(proxy));
    test_call(again, "session.resume", "{'session':'%s','environment':'%s','revision':%" INT "}", token,
              environment, revision);
    /* What it knows it says, with how old that is; what it cannot know it does not. */
    test_call(again, "object.count", "{'type':'person','maxAge':3600}");
    JsonObject *info = test_call(again, "server.info", "{}");
    int64_t known = json_object_get_int_member(info, "revision");
    test_call(again, "object.count", "{'type':'person','minRevision':%" INT "}", known);
    test_call_error(again, -32013, "object.count", "{'type':'person','minRevision':%" INT "}", known + 1);
    test_call_error(again, -32013, "object.count",
                    "{'type':'person','maxAge':1}"); /* it has waited for 5 s */
    test_clock_set(-DAY_MS, 0);
    test_call_error(again, -32013, "object.count", "{'type':'person','maxAge':1}");
    test_clock_set(DAY_MS, 0);
    test_call(again, "object.count", "{'type':'person','maxAge':3600}");
    test_clock_set(0, 0);
    /* Passwords are set at the master. */
    g_autoptr(TestClient) default_user = test_client_new(proxy);
    test_call_error(default_user, -32007, "account.setPassword", "{'dbid':100,'password':'new password'}");
    JsonObject *error = test_call_error(default_user, -32007, "session.changePassword",
                                        "{'old':'%s','new':'new password'}", TEST_PASSWORD);
    JsonObject *of = json_object_get_object_member(json_object_get_object_member(error, "data"), "master");
    g_assert_cmpint(json_object_get_int_member(of, "port"), ==, test_server_get_port(master));
}

/* Rules for passwords are for those that confserv keeps; how often one may be connected holds for
 * everybody. */
static void
test_rules(void)
{
    test_clock_set(0, 0);
    g_autoptr(TestServer) master = test_primary_with("t-library-one", LIBRARY);
    g_autoptr(TestClient) admin = test_client_new(master);
    int64_t tenant = add_tenant(admin, "acme"), ann = add_person(admin, tenant, "ann", "inside");
    test_call(admin, "object.update", "{'type':'person','dbid':%" INT ",'patch':{'externalId':'ann'}}", ann);
    set_rules(admin, "tenant", tenant,
              "'account-lockout-threshold':'1','account-lockout-duration':'0','account-expiration':'10',"
              "'password-expiration':'5','force-password-reset':'true','max-account-sessions':'2'");
    for (unsigned i = 0; i < 3; i++)
        is_refused(master, "ann", "one=no");
    g_assert_null(account_member(master, "ann", "one=yes", "passwordExpires"));
    test_clock_set(20 * DAY_MS, 0);
    g_autoptr(TestClient) first = opens(master, "ann", "one=yes");
    test_call(first, "object.list", "{'type':'host'}");
    g_autoptr(TestClient) second = opens(master, "ann", "one=yes");
    code_is(master, -32016, "ann", "one=yes");
    /* Internal again, she is judged by all of them. */
    test_call(first, "session.close", "{}");
    test_call(second, "session.close", "{}");
    test_call(admin, "object.update", "{'type':'person','dbid':%" INT ",'patch':{'externalId':null}}", ann);
    g_autoptr(TestClient) must = opens(master, "ann", "inside");
    test_call_error(must, -32015, "object.list", "{'type':'host'}");
    is_refused(master, "ann", "one=no");
    is_refused(master, "ann", "inside");
    test_clock_set(0, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    test_clock_use();
    g_test_add_func("/integration/plugins/offline/window", test_window);
    g_test_add_func("/integration/plugins/offline/resume", test_resume);
    g_test_add_func("/integration/plugins/offline/rules", test_rules);
    return g_test_run();
}
