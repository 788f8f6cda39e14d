/* test-account-rules.c - section [security-authentication-rules] of tenants and persons: what passwords
 * must be, when they end, who is locked out; and what a server remembers of log-ins. */
#include <string.h>

#include "accounts.h"
#include "clock.h"

#define DAY_MS ((int64_t)24 * 3600 * 1000)

static TestServer *
start(void)
{
    test_clock_set(0, 0);
    return test_primary_new("login-attempts = 1000\n");
}

static void
assert_path(JsonObject *error, const char *path)
{
    g_assert_cmpstr(json_object_get_string_member(json_object_get_object_member(error, "data"), "path"), ==,
                    path);
}

static void
test_composition(void)
{
    g_autoptr(TestServer) server = start();
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t tenant = add_tenant(admin, "acme"), ann = add_person(admin, tenant, "ann", "old");
    set_rules(admin, "tenant", 1, "'password-min-length':'6','password-req-number':'true'");
    set_rules(admin, "tenant", tenant, "'password-req-mixed-case':'true'");
    assert_path(
        test_call_error(admin, -32602, "account.setPassword", "{'dbid':%" INT ",'password':'Ann1'}", ann),
        "/password");
    assert_path(
        test_call_error(admin, -32602, "account.setPassword", "{'dbid':%" INT ",'password':'annann1'}", ann),
        "/password");
    g_autoptr(TestClient) client = opens(server, "ann", "old"); /* what stands goes on */
    assert_path(test_call_error(client, -32602, "session.changePassword", "{'old':'old','new':'Annann'}"),
                "/new");
    test_call(client, "session.changePassword", "{'old':'old','new':'Annann1'}");
    lets_in(server, "ann", "Annann1");
    /* The rules of another tenant are none of ann's; a secret of an application has none at all. */
    set_rules(admin, "tenant", tenant, "'tenant-override-section':'true'");
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'x'}", ann);
    lets_in(server, "ann", "x");
}

static void
test_repeats(void)
{
    g_autoptr(TestServer) server = start();
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t tenant = add_tenant(admin, "acme");
    set_rules(admin, "tenant", tenant, "'password-no-repeats':'2'");
    int64_t ann = add_person(admin, tenant, "ann", "one");
    g_autoptr(TestClient) client = opens(server, "ann", "one");
    test_call(client, "session.changePassword", "{'old':'one','new':'two'}");
    assert_path(test_call_error(client, -32602, "session.changePassword", "{'old':'two','new':'one'}"),
                "/new");
    test_call(client, "session.changePassword", "{'old':'two','new':'three'}");
    test_call_error(client, -32602, "session.changePassword", "{'old':'three','new':'one'}");
    assert_path(
        test_call_error(admin, -32602, "account.setPassword", "{'dbid':%" INT ",'password':'three'}", ann),
        "/password");
    test_call(client, "session.changePassword", "{'old':'three','new':'four'}");
    test_call(client, "session.changePassword", "{'old':'four','new':'one'}"); /* one is three back now */
    /* Nobody sees them. */
    test_call(admin, "object.read", "{'type':'person','dbid':%" INT "}", ann);
    g_assert_false(test_client_has_seen(admin, "$y$"));
    g_assert_false(test_client_has_seen(admin, "formerPasswordHashes"));
    set_rules(admin, "tenant", tenant, "");
    test_call(client, "session.changePassword", "{'old':'one','new':'two'}");
    test_call(client, "session.changePassword", "{'old':'two','new':'one'}");
}

static void
test_expiry(void)
{
    g_autoptr(TestServer) server = start();
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t tenant = add_tenant(admin, "acme"), ann = add_person(admin, tenant, "ann", "one");
    set_rules(admin, "tenant", tenant, "'password-expiration':'30','password-expiration-notify':'5'");
    g_assert_null(account_member(server, "ann", "one", "passwordExpires"));
    set_rules(admin, "tenant", tenant, "'password-expiration':'30','password-expiration-notify':'30'");
    g_autofree char *end = account_member(server, "ann", "one", "passwordExpires");
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(end, NULL);
    int64_t left = g_date_time_to_unix(time) * 1000 - g_get_real_time() / 1000;
    g_assert_cmpint(left, >, 29 * DAY_MS);
    g_assert_cmpint(left, <=, 30 * DAY_MS);
    test_call(admin, "object.update",
              "{'type':'person','dbid':%" INT ",'patch':{'passwordChanged':'2020-01-01T00:00:00.000Z'}}",
              ann);
    g_autoptr(TestClient) client = opens(server, "ann", "one");
    test_call_error(client, -32015, "object.list", "{'type':'host'}");
    test_call(client, "session.changePassword", "{'old':'one','new':'two'}");
    test_call(client, "object.list", "{'type':'host'}");
    lets_in(server, "ann", "two");
    test_call(admin, "object.update",
              "{'type':'person','dbid':%" INT ",'patch':{'passwordChanged':'2020-01-01T00:00:00.000Z',"
              "'annex':{'security-authentication-rules':{'override-password-expiration':'true'}}}}",
              ann);
    g_autoptr(TestClient) exempt = opens(server, "ann", "two");
    test_call(exempt, "object.list", "{'type':'host'}");
}

static void
test_forced(void)
{
    g_autoptr(TestServer) server = start();
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t tenant = add_tenant(admin, "acme");
    add_person(admin, tenant, "ann", "one");
    add_person(admin, tenant, "bob", "one");
    set_rules(admin, "tenant", tenant, "'force-password-reset':'true'");
    g_autoptr(TestClient) ann = opens(server, "ann", "one");
    test_call_error(ann, -32015, "object.list", "{'type':'host'}");
    test_call(ann, "session.changePassword", "{'old':'one','new':'two'}");
    g_autoptr(TestClient) again = opens(server, "ann", "two");
    test_call(again, "object.list", "{'type':'host'}");
    /* The server remembers since when, and asks nobody twice. */
    test_server_signal(server, SIGTERM);
    test_server_start(server);
    g_autoptr(TestClient) later = opens(server, "ann", "two");
    test_call(later, "object.list", "{'type':'host'}");
    g_autoptr(TestClient) bob = opens(server, "bob", "one");
    test_call_error(bob, -32015, "object.list", "{'type':'host'}");
    g_autoptr(TestClient) second = test_client_new(server);
    set_rules(second, "tenant", tenant, "'force-password-reset':'false'");
    g_autoptr(TestClient) free_again = opens(server, "bob", "one");
    test_call(free_again, "object.list", "{'type':'host'}");
}

static void
test_lock(void)
{
    g_autoptr(TestServer) server = start();
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t tenant = add_tenant(admin, "acme"), ann = add_person(admin, tenant, "ann", "right");
    int64_t bob = add_person(admin, tenant, "bob", "right");
    set_rules(admin, "tenant", tenant, "'account-lockout-threshold':'3','account-lockout-duration':'0'");
    set_rules(admin, "person", bob, "'account-override-lockout':'true'");
    is_refused(server, "ann", "wrong");
    is_refused(server, "ann", "wrong");
    lets_in(server, "ann", "right"); /* which forgets them */
    is_refused(server, "ann", "wrong");
    is_refused(server, "ann", "wrong");
    g_autofree char *wrong = refused(server, "ann", "wrong");
    g_autofree char *locked = refused(server, "ann", "right");
    g_autofree char *unknown = refused(server, "nobody", "right");
    g_assert_cmpstr(wrong, ==, locked);
    g_assert_cmpstr(wrong, ==, unknown);
    test_server_wait_log(server, "lock an account");
    for (unsigned i = 0; i < 4; i++)
        is_refused(server, "bob", "wrong");
    lets_in(server, "bob", "right");
    /* A restart does not free it; a new password does. */
    test_server_signal(server, SIGTERM);
    test_server_start(server);
    is_refused(server, "ann", "right");
    g_autoptr(TestClient) second = test_client_new(server);
    test_call(second, "account.setPassword", "{'dbid':%" INT ",'password':'fresh'}", ann);
    lets_in(server, "ann", "fresh");
    /* What went in at once is judged by the lock that it brought. */
    g_autoptr(GPtrArray) clients = g_ptr_array_new_with_free_func((GDestroyNotify)test_client_free);
    int64_t ids[12];
    for (unsigned i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_ptr_array_add(clients, test_client_connect(test_server_get_port(server)));
        ids[i] = test_send(clients->pdata[i], "session.open", OPEN, "ann", "wrong");
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(ids); i++)
        g_assert_true(json_object_has_member(test_wait_response(clients->pdata[i], ids[i]), "error"));
    is_refused(server, "ann", "fresh");
    /* Without the rule there is no lock. */
    set_rules(second, "tenant", tenant, "");
    lets_in(server, "ann", "fresh");
}

/* Replaces in the server's file of accounts, while it is stopped, field `field` of the line of this
 * person. */
static void
edit_account(TestServer *server, int64_t dbid, unsigned field, int64_t value)
{
    g_autofree char *path = g_build_filename(test_server_get_folder(server), "confserv.accounts", NULL);
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *head = g_strdup_printf("3 %" INT " ", dbid);
    bool found = false;
    for (unsigned i = 0; lines[i] != NULL; i++) {
        if (!g_str_has_prefix(lines[i], head))
            continue;
        g_auto(GStrv) fields = g_strsplit(lines[i], " ", -1);
        g_free(fields[field]);
        fields[field] = g_strdup_printf("%" INT, value);
        g_free(lines[i]);
        lines[i] = g_strjoinv(" ", fields);
        found = true;
    }
    g_assert_true(found);
    g_autofree char *fresh = g_strjoinv("\n", lines);
    g_assert_true(g_file_set_contents(path, fresh, -1, NULL));
}

static void
test_times(void)
{
    enum { LAST_LOGIN = 2, LOCKED_UNTIL = 6 };
    g_autoptr(TestServer) server = start();
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t tenant = add_tenant(admin, "acme"), ann = add_person(admin, tenant, "ann", "right");
    int64_t now = g_get_real_time() / 1000;
    set_rules(admin, "tenant", 1, "'account-expiration':'30','account-lockout-threshold':'1'");
    lets_in(server, "ann", "right");
    is_refused(server, "ann", "wrong");
    is_refused(server, "ann", "right");
    test_call(admin, "object.update",
              "{'type':'person','dbid':%" INT ",'patch':{'passwordChanged':'2020-01-01T00:00:00.000Z'}}",
              ann);
    lets_in(server, "ann", "right"); /* any new date of it counts as a new one */
    is_refused(server, "ann", "wrong");
    /* The lock ends by itself. */
    test_server_signal(server, SIGTERM);
    edit_account(server, ann, LOCKED_UNTIL, now - 1);
    edit_account(server, ann, LAST_LOGIN, now - 29 * DAY_MS);
    test_server_start(server);
    g_autofree char *last = account_member(server, "ann", "right", "lastLogin");
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(last, NULL);
    g_assert_cmpint(g_date_time_to_unix(time), ==, (now - 29 * DAY_MS) / 1000);
    /* Away for too long: blocked, but not the first administrator. */
    test_server_signal(server, SIGTERM);
    edit_account(server, ann, LAST_LOGIN, now - 31 * DAY_MS);
    edit_account(server, 100, LAST_LOGIN, now - 31 * DAY_MS);
    test_server_start(server);
    is_refused(server, "ann", "right");
    g_autoptr(TestClient) second = test_client_new(server);
    test_call(second, "account.setPassword", "{'dbid':%" INT ",'password':'fresh'}", ann);
    lets_in(server, "ann", "fresh");
    /* A file that is none stops nothing. */
    test_server_signal(server, SIGTERM);
    g_autofree char *path = g_build_filename(test_server_get_folder(server), "confserv.accounts", NULL);
    g_assert_true(g_file_set_contents(path, "3 100 garbage", -1, NULL));
    test_server_start(server);
    test_server_wait_log(server, "cannot be read");
    g_assert_null(account_member(server, "ann", "fresh", "lastLogin"));
}

static void
test_sessions(void)
{
    g_autoptr(TestServer) server = start();
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t tenant = add_tenant(admin, "acme");
    add_person(admin, tenant, "ann", "right");
    set_rules(admin, "tenant", tenant, "'max-account-sessions':'2'");
    TestClient *one = test_client_new_as(server, "ann", "right", "confctl");
    JsonObject *session = test_client_get_session(one),
               *of = json_object_get_object_member(session, "server");
    g_autofree char *resume = g_strdup_printf("{'session':'%s','environment':'%s','revision':%" INT "}",
                                              json_object_get_string_member(session, "session"),
                                              json_object_get_string_member(of, "environment"),
                                              json_object_get_int_member(of, "revision"));
    TestClient *two = opens(server, "ann", "right");
    g_autoptr(TestClient) three = test_client_connect(test_server_get_port(server));
    test_call_error(three, -32016, "session.open", OPEN, "ann", "right");
    test_call_error(three, -32001, "session.open", OPEN, "ann", "wrong");
    /* A broken one does not count; it is taken up again as soon as there is room. */
    test_client_abort(one);
    test_client_free(one);
    test_wait_statistic(admin, "sessionsBroken", 1);
    test_call(three, "session.open", OPEN, "ann", "right");
    g_autoptr(TestClient) four = test_client_connect(test_server_get_port(server));
    test_call_error(four, -32016, "session.resume", "%s", resume);
    test_call(two, "session.close", "{}");
    test_client_free(two);
    test_call(four, "session.resume", "%s", resume);
}

static void
test_own_change(void)
{
    g_autoptr(TestServer) server = test_primary_new("password-change = false\nlast-login = false\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t ann = add_person(admin, 1, "ann", "right");
    g_autoptr(TestClient) client = opens(server, "ann", "right");
    test_call_error(client, -32005, "session.changePassword", "{'old':'right','new':'other'}");
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'given','mustChange':true}", ann);
    g_autoptr(TestClient) must = opens(server, "ann", "given");
    test_call(must, "session.changePassword", "{'old':'given','new':'own'}");
    g_assert_null(account_member(server, "ann", "own", "lastLogin"));
}

/* Nothing set anywhere: no limit, but that a password is not empty. */
static void
test_defaults(void)
{
    g_autoptr(TestServer) server = start();
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t tenant = add_tenant(admin, "acme"), ann = add_person(admin, tenant, "ann", "x");
    test_call_error(admin, -32602, "account.setPassword", "{'dbid':%" INT ",'password':''}", ann);
    g_autoptr(TestClient) client = opens(server, "ann", "x");
    test_call_error(client, -32602, "session.changePassword", "{'old':'x','new':''}");
    test_call(client, "session.changePassword", "{'old':'x','new':'y'}");
    test_call(client, "session.changePassword", "{'old':'y','new':'x'}");
    for (unsigned i = 0; i < 20; i++)
        is_refused(server, "ann", "wrong");
    g_assert_null(account_member(server, "ann", "x", "passwordExpires"));
    g_autoptr(GPtrArray) clients = g_ptr_array_new_with_free_func((GDestroyNotify)test_client_free);
    for (unsigned i = 0; i < 20; i++)
        g_ptr_array_add(clients, opens(server, "ann", "x"));
    test_clock_set(1000 * DAY_MS, 0);
    g_autoptr(TestClient) later = opens(server, "ann", "x");
    test_call(later, "object.list", "{'type':'host'}");
    /* A lock, where nothing more is said, lasts for half an hour and counts for ever. */
    set_rules(admin, "tenant", tenant, "'account-lockout-threshold':'2'");
    is_refused(server, "ann", "wrong");
    test_clock_set(1100 * DAY_MS, 0);
    is_refused(server, "ann", "wrong");
    test_clock_set(1100 * DAY_MS + 29 * 60 * 1000, 0);
    is_refused(server, "ann", "x");
    test_clock_set(1100 * DAY_MS + 31 * 60 * 1000, 0);
    lets_in(server, "ann", "x");
}

/* Each demand by itself, and what just satisfies it. */
static void
test_classes(void)
{
    static const struct {
        const char *rule, *refused[3], *taken[2];
    } cases[] = {
        {"'password-req-alpha':'true'", {"1234", "!?-", " "}, {"a", "\xc3\xa4"}},
        {"'password-req-mixed-case':'true'", {"aaaa", "AAAA", "1234"}, {"aA", "\xc3\xa4Z"}},
        {"'password-req-number':'true'", {"aaaa", "AAaa", "a-a"}, {"1", "a1"}},
        {"'password-req-punctuation':'true'", {"aaaa", "1234", "a A"}, {"-", "a!"}},
        {"'password-min-length':'4'",
         {"aaa", "1", "\xc3\xa4\xc3\xa4"},
         {"aaaa", "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"}},
        {"'password-req-alpha':'false','password-req-number':'perhaps'", {NULL}, {"1", "-"}},
    };
    g_autoptr(TestServer) server = start();
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t tenant = add_tenant(admin, "acme"), ann = add_person(admin, tenant, "ann", "old");
    int64_t bob = add_person(admin, tenant, "bob", "old");
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        set_rules(admin, "tenant", tenant, cases[i].rule);
        for (unsigned n = 0; n < 3 && cases[i].refused[n] != NULL; n++)
            assert_path(test_call_error(admin, -32602, "account.setPassword",
                                        "{'dbid':%" INT ",'password':'%s'}", ann, cases[i].refused[n]),
                        "/password");
        for (unsigned n = 0; n < 2; n++)
            test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'%s'}", ann,
                      cases[i].taken[n]);
    }
    /* The annex of a person stands over those of all tenants, both ways. */
    set_rules(admin, "tenant", 1, "'password-min-length':'8'");
    set_rules(admin, "tenant", tenant, "'password-req-number':'true'");
    set_rules(admin, "person", bob, "'password-min-length':'2','password-req-number':'false'");
    set_rules(admin, "person", ann, "'password-req-alpha':'true'");
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'xx'}", bob);
    test_call_error(admin, -32602, "account.setPassword", "{'dbid':%" INT ",'password':'x'}", bob);
    test_call_error(admin, -32602, "account.setPassword", "{'dbid':%" INT ",'password':'12345678'}", ann);
    test_call_error(admin, -32602, "account.setPassword", "{'dbid':%" INT ",'password':'abcdefgh'}", ann);
    test_call_error(admin, -32602, "account.setPassword", "{'dbid':%" INT ",'password':'abcdef1'}", ann);
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'abcdefg1'}", ann);
}

/* A proxy judges by the same rules, of tenants above too, with its master and without. */
static void
judge_at(TestServer *server, TestServer *writable, TestClient *admin, int64_t person)
{
    test_clock_set(0, 0);
    g_autofree char *change = g_strdup_printf("{'old':'%s','new':'%s'}", "one", "two");
    wait_login(server, 0, "ann", "one");
    g_autofree char *end = account_member(server, "ann", "one", "passwordExpires");
    g_assert_nonnull(end);
    g_autoptr(TestClient) first = opens(server, "ann", "one");
    g_autoptr(TestClient) second = opens(server, "ann", "one");
    g_autoptr(TestClient) third = test_client_connect(test_server_get_port(server));
    test_call_error(third, -32016, "session.open", OPEN, "ann", "one");
    test_call(first, "session.close", "{}");
    test_call(third, "session.open", OPEN, "ann", "one");
    test_call(third, "session.close", "{}");
    test_call(second, "session.close", "{}");
    test_clock_set(9 * DAY_MS, 0);
    lets_in(server, "ann", "one");
    lets_in(server, "exempt", "one");
    test_clock_set(18 * DAY_MS, 0);
    lets_in(server, "ann", "one");
    test_clock_set(29 * DAY_MS, 0); /* ten days after the last log-in */
    is_refused(server, "ann", "one");
    lets_in(server, "exempt", "one");
    test_clock_set(31 * DAY_MS, 0); /* a month after the password was set */
    g_autoptr(TestClient) exempt = opens(server, "exempt", "one");
    test_call(exempt, "object.list", "{'type':'host'}");
    if (admin == NULL)
        return;
    set_rules(admin, "person", person, "'override-account-expiration':'true'");
    wait_login(server, 0, "ann", "one");
    g_autoptr(TestClient) old = opens(server, "ann", "one");
    test_call_error(old, -32015, "object.list", "{'type':'host'}");
    if (server != writable)
        test_call_error(old, -32007, "session.changePassword", "%s", change);
    g_autoptr(TestClient) there = opens(writable, "ann", "one");
    test_call(there, "session.changePassword", "%s", change);
    wait_login(server, 0, "ann", "two");
    g_autoptr(TestClient) fresh = opens(server, "ann", "two");
    test_call(fresh, "object.list", "{'type':'host'}");
}

/* What judge_at() goes by, in the tenants above; ann. */
static int64_t
make_people(TestClient *admin)
{
    int64_t above = add_tenant(admin, "above");
    int64_t tenant = json_object_get_int_member(
        test_call(admin, "object.create", "{'object':{'type':'tenant','name':'below','tenant':%" INT "}}",
                  above),
        "dbid");
    set_rules(admin, "tenant", 1, "'password-expiration':'30','account-expiration':'365'");
    set_rules(admin, "tenant", above, "'account-expiration':'10'");
    set_rules(admin, "tenant", tenant, "'max-account-sessions':'2'");
    int64_t ann = add_person(admin, tenant, "ann", "one");
    set_rules(admin, "person", add_person(admin, tenant, "exempt", "one"),
              "'override-account-expiration':'true','override-password-expiration':'true'");
    return ann;
}

static void
test_times_of_primary(void)
{
    g_autoptr(TestServer) master = start();
    g_autoptr(TestClient) admin = test_client_new(master);
    int64_t ann = make_people(admin);
    judge_at(master, master, admin, ann);
}

static void
test_times_of_proxy(void)
{
    g_autoptr(TestServer) master = start();
    g_autoptr(TestClient) admin = test_client_new(master);
    int64_t ann = make_people(admin);
    g_autoptr(TestServer) proxy = test_proxy_new(master, "px", "[csproxy]\nlogin-attempts = 1000\n");
    judge_at(proxy, master, admin, ann);
}

static void
test_times_of_proxy_alone(void)
{
    g_autoptr(TestServer) master = start();
    g_autoptr(TestClient) admin = test_client_new(master);
    make_people(admin);
    g_autoptr(TestServer) proxy = test_proxy_new(master, "px", "[csproxy]\nlogin-attempts = 1000\n");
    wait_login(proxy, 0, "ann", "one");
    test_server_signal(master, SIGKILL);
    judge_at(proxy, NULL, NULL, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    test_clock_use();
    g_test_add_func("/integration/account-rules/defaults", test_defaults);
    g_test_add_func("/integration/account-rules/classes", test_classes);
    g_test_add_func("/integration/account-rules/times-of-primary", test_times_of_primary);
    g_test_add_func("/integration/account-rules/times-of-proxy", test_times_of_proxy);
    g_test_add_func("/integration/account-rules/times-of-proxy-alone", test_times_of_proxy_alone);
    g_test_add_func("/integration/account-rules/composition", test_composition);
    g_test_add_func("/integration/account-rules/repeats", test_repeats);
    g_test_add_func("/integration/account-rules/expiry", test_expiry);
    g_test_add_func("/integration/account-rules/forced", test_forced);
    g_test_add_func("/integration/account-rules/lock", test_lock);
    g_test_add_func("/integration/account-rules/times", test_times);
    g_test_add_func("/integration/account-rules/sessions", test_sessions);
    g_test_add_func("/integration/account-rules/own-change", test_own_change);
    return g_test_run();
}
