/* test-account-servers.c - what several servers know of accounts together: attempts that are spread over
 * them, links that are cut, servers that are killed, clocks that go wrong. */
#include <string.h>

#include "accounts.h"
#include "clock.h"

#define MINUTE_MS ((int64_t)60 * 1000)
#define DAY_MS (24 * 60 * MINUTE_MS)

static TestServer *
start(void)
{
    return test_primary_new("login-attempts = 1000\n");
}

static TestServer *
start_proxy(TestServer *master, const char *name)
{
    return test_proxy_new(master, name, "[csproxy]\nlogin-attempts = 1000\n");
}

/* The application is known there, with its rights. */
static void
wait_login_by(TestServer *server, const char *application)
{
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    for (bool known = false; !known; g_usleep(20000)) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_autoptr(TestClient) client = test_client_new(server);
        JsonObject *found =
            test_call(client, "object.count", "{'type':'application','filter':{'name':'%s'}}", application);
        known = json_object_get_int_member(found, "count") == 1;
    }
}

/* Follows this server, of that primary, as a proxy does, and sees what it tells of accounts. */
static TestClient *
spy_new(TestServer *primary, TestServer *server, const char *name)
{
    g_autoptr(TestClient) admin = test_client_new(primary);
    test_call(admin, "object.create",
              "{'object':{'type':'application','name':'%s','applicationType':'configurationServer'}}", name);
    wait_login_by(server, name);
    TestClient *spy = test_client_new_as(server, "default", TEST_PASSWORD, name);
    test_call(spy, "replica.open", "{'application':'%s','role':'proxy','release':'1'}", name);
    return spy;
}

/* What it says of this person; NULL: nothing. */
static JsonObject *
state_of(TestClient *spy, int64_t dbid)
{
    JsonArray *list = json_object_get_array_member(test_call(spy, "replica.accounts", "{}"), "accounts");
    for (unsigned i = 0; i < json_array_get_length(list); i++)
        if (json_object_get_int_member(json_array_get_object_element(list, i), "dbid") == dbid)
            return json_array_get_object_element(list, i);
    return NULL;
}

static int64_t
wrong_of(TestClient *spy, int64_t dbid)
{
    JsonObject *state = state_of(spy, dbid);
    return state != NULL ? json_object_get_int_member_with_default(state, "wrong", 0) : 0;
}

static void
wait_wrong(TestClient *spy, int64_t dbid, int64_t count)
{
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    while (wrong_of(spy, dbid) != count) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_usleep(20000);
    }
}

/* An exchange of every link is over. */
static void
let_exchange(void)
{
    g_usleep(1200 * 1000);
}

static void
test_spread(void)
{
    g_autoptr(TestServer) master = start();
    g_autoptr(TestServer) one = start_proxy(master, "one");
    g_autoptr(TestServer) two = start_proxy(master, "two");
    g_autoptr(TestClient) admin = test_client_new(master);
    g_autoptr(TestClient) spy = spy_new(master, master, "spy");
    g_autoptr(TestClient) at_one = spy_new(master, one, "spy-one");
    g_autoptr(TestClient) at_two = spy_new(master, two, "spy-two");
    int64_t tenant = add_tenant(admin, "acme"), ann = add_person(admin, tenant, "ann", "right");
    set_rules(admin, "tenant", tenant, "'account-lockout-threshold':'3','account-lockout-duration':'0'");
    wait_login(one, 0, "ann", "right");
    wait_login(two, 0, "ann", "right");
    is_refused(one, "ann", "wrong");
    wait_wrong(spy, ann, 1);
    is_refused(two, "ann", "wrong");
    wait_wrong(spy, ann, 2);
    /* Told again and again, and counted once. */
    let_exchange();
    g_assert_cmpint(wrong_of(spy, ann), ==, 2);
    /* The right one at one server forgets those at all. */
    lets_in(master, "ann", "right");
    g_assert_cmpint(wrong_of(spy, ann), ==, 0);
    wait_wrong(at_one, ann, 0);
    is_refused(one, "ann", "wrong");
    is_refused(one, "ann", "wrong");
    wait_wrong(spy, ann, 2);
    lets_in(two, "ann", "right");
    wait_wrong(spy, ann, 0);
    wait_wrong(at_one, ann, 0);
    is_refused(one, "ann", "wrong");
    is_refused(master, "ann", "wrong");
    wait_wrong(at_two, ann, 2);
    /* The third, wherever it is, locks at once, where it is; then everywhere. */
    is_refused(two, "ann", "wrong");
    is_refused(two, "ann", "right");
    test_server_wait_log(master, "lock an account");
    is_refused(master, "ann", "right");
    wait_login(one, -32001, "ann", "right");
    /* Set anew, it is open everywhere. */
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'fresh'}", ann);
    lets_in(master, "ann", "fresh");
    wait_login(one, 0, "ann", "fresh");
    wait_login(two, 0, "ann", "fresh");
}

/* Two proxies: what happens at one counts at all, also if the master was away then. */
static void
test_cut_off(void)
{
    g_autoptr(TestServer) master = start();
    g_autoptr(TestServer) one = start_proxy(master, "one");
    g_autoptr(TestServer) two = start_proxy(master, "two");
    g_autoptr(TestClient) admin = test_client_new(master);
    int64_t tenant = add_tenant(admin, "acme"), ann = add_person(admin, tenant, "ann", "right");
    set_rules(admin, "tenant", tenant, "'account-lockout-threshold':'3','account-lockout-duration':'0'");
    /* Nobody but a replica has a say in it. */
    test_call_error(admin, -32005, "replica.accounts", "{'accounts':[{'dbid':%" INT ",'wrong':9}]}", ann);
    test_call_error(admin, -32602, "replica.accounts", "{'accounts':[{'dbid':'x'}]}");
    test_call_error(admin, -32602, "replica.accounts", "{'accounts':[7]}");
    wait_login(one, 0, "ann", "right");
    wait_login(two, 0, "ann", "right");
    is_refused(one, "ann", "wrong");
    is_refused(one, "ann", "wrong");
    is_refused(one, "ann", "wrong");
    is_refused(one, "ann", "right");
    wait_login(master, -32001, "ann", "right");
    wait_login(two, -32001, "ann", "right");
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'fresh'}", ann);
    wait_login(one, 0, "ann", "fresh");
    wait_login(two, 0, "ann", "fresh");
    /* The master is away: each goes on by itself, and tells of it later. */
    test_server_signal(master, SIGKILL);
    for (unsigned i = 0; i < 3; i++)
        is_refused(two, "ann", "wrong");
    is_refused(two, "ann", "fresh");
    g_autofree char *before = account_member(one, "ann", "fresh", "lastLogin");
    g_assert_nonnull(before);
    test_server_start(master);
    wait_login(master, -32001, "ann", "fresh");
    wait_login(one, -32001, "ann", "fresh");
}

/* Of the wire: what a replica tells counts once, in its order, and only of whom it may. */
static void
test_reports(void)
{
    g_autoptr(TestServer) master = start();
    g_autoptr(TestClient) admin = test_client_new(master);
    int64_t ann = add_person(admin, 1, "ann", "right");
    set_rules(admin, "tenant", 1, "'account-lockout-threshold':'5','account-lockout-attempts-period':'60'");
    g_autoptr(TestClient) spy = spy_new(master, master, "spy");
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *soon = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S.%fZ");
    g_autoptr(GDateTime) hours_ago = g_date_time_add_hours(now, -2);
    g_autofree char *long_ago = g_date_time_format(hours_ago, "%Y-%m-%dT%H:%M:%S.000Z");
    JsonObject *answer = test_call(spy, "replica.accounts", "{'origin':'o-1'}");
    g_assert_cmpint(json_object_get_int_member(answer, "report"), ==, 0);
    for (unsigned i = 0; i < 3; i++) {
        answer = test_call(
            spy, "replica.accounts",
            "{'origin':'o-1','report':1,'accounts':[{'dbid':%" INT ",'wrong':2,'wrongAt':'%s'}]}", ann, soon);
        g_assert_cmpint(json_object_get_int_member(answer, "report"), ==, 1);
    }
    g_assert_cmpint(wrong_of(spy, ann), ==, 2);
    /* Of another origin the same number is another report; one that comes too late counts no more. */
    test_call(spy, "replica.accounts",
              "{'origin':'o-2','report':1,'accounts':[{'dbid':%" INT ",'wrong':1,'wrongAt':'%s'}]}", ann,
              soon);
    g_assert_cmpint(wrong_of(spy, ann), ==, 3);
    test_call(spy, "replica.accounts",
              "{'origin':'o-2','report':2,'accounts':[{'dbid':%" INT ",'wrong':9,'wrongAt':'%s'}]}", ann,
              long_ago);
    g_assert_cmpint(wrong_of(spy, ann), ==, 3);
    /* A right one of before does not forget what came after. */
    test_call(spy, "replica.accounts",
              "{'origin':'o-2','report':3,'accounts':[{'dbid':%" INT ",'right':'%s'}]}", ann, long_ago);
    g_assert_cmpint(wrong_of(spy, ann), ==, 3);
    lets_in(master, "ann", "right");
    g_assert_cmpint(wrong_of(spy, ann), ==, 0);
    test_call(spy, "replica.accounts",
              "{'origin':'o-2','report':4,'accounts':[{'dbid':%" INT ",'wrong':9,'wrongAt':'%s'}]}", ann,
              long_ago);
    g_assert_cmpint(wrong_of(spy, ann), ==, 0);
    /* Restarted, the master knows which it took. */
    test_client_free(g_steal_pointer(&spy));
    test_server_signal(master, SIGTERM);
    test_server_start(master);
    spy = spy_new(master, master, "spy-2");
    answer = test_call(spy, "replica.accounts",
                       "{'origin':'o-2','report':4,'accounts':[{'dbid':%" INT ",'wrong':9,'wrongAt':'%s'}]}",
                       ann, soon);
    g_assert_cmpint(json_object_get_int_member(answer, "report"), ==, 4);
    g_assert_cmpint(wrong_of(spy, ann), ==, 0);
    /* What is none. */
    const char *const bad[] = {"{'origin':''}",
                               "{'origin':'a b'}",
                               "{'origin':7}",
                               "{'report':1}",
                               "{'accounts':{}}",
                               "{'since':-1}",
                               "{'origin':'a','report':0}",
                               "{'accounts':[{}]}",
                               "{'other':1}",
                               "{'accounts':[{'dbid':1,'wrong':'1'}]}"};
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++)
        test_call_error(spy, -32602, "replica.accounts", "%s", bad[i]);
    /* Nobody in the future, and nobody who is not there. */
    test_call(spy, "replica.accounts",
              "{'accounts':[{'dbid':%" INT
              ",'lastLogin':'2999-01-01T00:00:00.000Z'},{'dbid':999999,'wrong':9}]}",
              ann);
    const char *last = json_object_get_string_member(state_of(spy, ann), "lastLogin");
    g_assert_cmpstr(last, <, "2999");
    g_assert_null(state_of(spy, 999999));
}

/* Whoever is given no hashes has checked no password; whoever may not read a person learns nothing of it. */
static void
test_low_replica(void)
{
    g_autoptr(TestServer) master = start();
    g_autoptr(TestClient) admin = test_client_new(master);
    int64_t ann = add_person(admin, 1, "ann", "right"), bob = add_person(admin, 1, "bob", "right");
    int64_t low = add_person(admin, 1, "low", "right");
    set_rules(admin, "tenant", 1, "'account-lockout-threshold':'2'");
    test_call(admin, "object.create",
              "{'object':{'type':'application','name':'lp','applicationType':'configurationServer'}}");
    test_call(admin, "permission.update",
              "{'type':'application','name':'lp','grant':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['read','execute']}]}",
              low);
    test_call(admin, "permission.update",
              "{'type':'person','dbid':%" INT ",'grant':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['read']}]}",
              ann, low);
    g_autoptr(TestClient) replica = test_client_new_as(master, "low", "right", "lp");
    JsonObject *opened =
        test_call(replica, "replica.open", "{'application':'lp','role':'proxy','release':'1'}");
    g_assert_false(json_object_get_boolean_member(opened, "secrets"));
    const int64_t both[] = {ann, bob};
    for (unsigned i = 0; i < G_N_ELEMENTS(both); i++)
        test_call(replica, "replica.accounts",
                  "{'origin':'o','report':%u,'accounts':[{'dbid':%" INT
                  ",'lastLogin':'2020-01-01T00:00:00.000Z','wrong':9,"
                  "'locked':true,'wrongAt':'2999-01-01T00:00:00.000Z'}]}",
                  i + 1, both[i]);
    is_refused(master, "ann", "wrong");
    is_refused(master, "bob", "wrong");
    g_autoptr(TestClient) spy = spy_new(master, master, "spy");
    g_assert_cmpint(wrong_of(spy, ann), ==, 1);
    g_assert_cmpint(wrong_of(spy, bob), ==, 1);
    g_assert_cmpstr(json_object_get_string_member(state_of(spy, ann), "lastLogin"), ==,
                    "2020-01-01T00:00:00.000Z");
    g_assert_false(json_object_has_member(state_of(spy, bob), "lastLogin"));
    g_assert_cmpint(wrong_of(replica, ann), ==, 0);
    g_assert_nonnull(state_of(replica, ann));
    g_assert_null(state_of(replica, bob));
    lets_in(master, "ann", "right");
}

/* Killed while the master is away, twice: what was not told is told by the next process, once. */
static void
test_killed_proxy(void)
{
    g_autoptr(TestServer) master = start();
    g_autoptr(TestServer) one = start_proxy(master, "one");
    g_autoptr(TestClient) admin = test_client_new(master);
    int64_t ann = add_person(admin, 1, "ann", "right");
    set_rules(admin, "tenant", 1, "'account-lockout-threshold':'4','account-lockout-duration':'0'");
    wait_login(one, 0, "ann", "right");
    g_autofree char *path = g_build_filename(test_server_get_folder(one), "confserv.accounts", NULL);
    g_autofree char *untold = g_strdup_printf("\n3 %" INT " ", ann);
    test_server_signal(master, SIGKILL);
    is_refused(one, "ann", "wrong");
    is_refused(one, "ann", "wrong");
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    for (bool written = false; !written; g_usleep(20000)) {
        g_autofree char *text = NULL;
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_file_get_contents(path, &text, NULL, NULL);
        const char *line = text != NULL ? strstr(text, untold) : NULL;
        g_auto(GStrv) lines = g_strsplit(line != NULL ? line + 1 : "", "\n", 2);
        written = lines[0] != NULL && g_str_has_suffix(lines[0], " 2");
    }
    test_server_signal(one, SIGKILL);
    test_server_start(master);
    g_autoptr(TestClient) spy = spy_new(master, master, "spy");
    g_assert_cmpint(wrong_of(spy, ann), ==, 0);
    test_server_start(one);
    wait_wrong(spy, ann, 2);
    for (unsigned i = 0; i < 2; i++) {
        test_server_signal(one, i == 1 ? SIGTERM : SIGKILL);
        test_server_start(one);
        g_usleep(1200 * 1000);
        g_assert_cmpint(wrong_of(spy, ann), ==, 2);
    }
    /* The count goes on from there, also over a restart of the master. */
    test_client_free(g_steal_pointer(&spy));
    test_server_signal(master, SIGTERM);
    test_server_start(master);
    is_refused(one, "ann", "wrong");
    spy = spy_new(master, master, "spy-2");
    wait_wrong(spy, ann, 3);
    is_refused(master, "ann", "wrong");
    is_refused(master, "ann", "right");
    wait_login(one, -32001, "ann", "right");
}

/* Killed at any moment between a wrong password, its report and the answer: each counts, and none twice. */
static void
test_killed_master(void)
{
    enum { ROUNDS = 4 };
    g_autoptr(TestServer) master = start();
    g_autoptr(TestServer) one = start_proxy(master, "one");
    g_autoptr(TestServer) two = start_proxy(master, "two");
    g_autoptr(TestClient) admin = test_client_new(master);
    int64_t ann = add_person(admin, 1, "ann", "right");
    set_rules(admin, "tenant", 1, "'account-lockout-threshold':'50','account-lockout-duration':'0'");
    wait_login(one, 0, "ann", "right");
    wait_login(two, 0, "ann", "right");
    let_exchange();
    for (unsigned i = 0; i < ROUNDS; i++) {
        is_refused(one, "ann", "wrong");
        is_refused(two, "ann", "wrong");
        g_usleep((gulong)g_test_rand_int_range(0, 1200 * 1000));
        test_server_signal(master, SIGKILL);
        test_server_start(master);
    }
    g_autoptr(TestClient) spy = spy_new(master, master, "spy");
    wait_wrong(spy, ann, 2 * ROUNDS);
    let_exchange();
    g_assert_cmpint(wrong_of(spy, ann), ==, 2 * ROUNDS);
}

static int64_t
time_of(const char *text)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(text, NULL);
    g_assert_nonnull(time);
    return g_date_time_to_unix(time) * 1000 + g_date_time_get_microsecond(time) / 1000;
}

/* Polls until the last log-in told here is not one of before; then it must be between these moments. */
static void
check_last_login(TestServer *server, TestClient *spy, int64_t dbid, int64_t from, int64_t to)
{
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC, last = 0;
    for (; last < from; g_usleep(20000)) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        JsonObject *state = state_of(spy, dbid);
        last = state != NULL ? time_of(json_object_get_string_member(state, "lastLogin")) : 0;
    }
    g_autofree char *told = account_member(server, "ann", "right", "lastLogin");
    g_assert_cmpint(time_of(told), >=, from);
    g_assert_cmpint(time_of(told), <=, to);
}

/* Log in here, and it is the last log-in there. */
static void
test_last_login(void)
{
    enum { MASTER, ONE, TWO, SERVERS };
    g_autoptr(TestServer) master = start();
    g_autoptr(TestServer) one = start_proxy(master, "one");
    g_autoptr(TestServer) two = start_proxy(master, "two");
    g_autoptr(TestClient) admin = test_client_new(master);
    int64_t ann = add_person(admin, 1, "ann", "right");
    TestServer *const servers[SERVERS] = {master, one, two};
    TestClient *spies[SERVERS];
    for (unsigned i = 0; i < SERVERS; i++) {
        g_autofree char *name = g_strdup_printf("spy-%u", i);
        spies[i] = spy_new(master, servers[i], name);
        wait_login(servers[i], 0, "ann", "right");
    }
    const unsigned order[] = {ONE, TWO, MASTER, TWO, ONE};
    for (unsigned i = 0; i + 1 < G_N_ELEMENTS(order); i++) {
        g_usleep(2000);
        int64_t from = g_get_real_time() / 1000;
        lets_in(servers[order[i]], "ann", "right");
        int64_t to = g_get_real_time() / 1000;
        check_last_login(servers[order[i + 1]], spies[order[i + 1]], ann, from, to);
    }
    for (unsigned i = 0; i < SERVERS; i++)
        test_client_free(spies[i]);
}

/* Polls until the person may work. */
static void
wait_free(TestServer *server, const char *user, const char *password)
{
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    for (bool is_free = false; !is_free; g_usleep(20000)) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
        JsonObject *answer =
            test_wait_response(client, test_send(client, "session.open", OPEN, user, password));
        if (json_object_has_member(answer, "error"))
            continue; /* It does not know the new password yet. */
        answer = test_wait_response(client, test_send(client, "object.list", "{'type':'host'}"));
        is_free = json_object_has_member(answer, "result");
    }
}

/* Whoever has changed the password since the rule was set need not again, at whatever server, when it
 * began. */
static void
test_forced(void)
{
    g_autoptr(TestServer) master = start();
    g_autoptr(TestClient) admin = test_client_new(master);
    int64_t tenant = add_tenant(admin, "acme"), eve;
    add_person(admin, tenant, "ann", "one");
    add_person(admin, tenant, "bob", "one");
    eve = add_person(admin, 1, "eve", "one");
    g_autoptr(TestServer) away = start_proxy(master, "away");
    test_server_signal(away, SIGTERM);
    set_rules(admin, "tenant", tenant, "'force-password-reset':'true'");
    set_rules(admin, "person", eve, "'force-password-reset':'true'");
    const char *const changed[] = {"ann", "eve"};
    for (unsigned i = 0; i < G_N_ELEMENTS(changed); i++) {
        g_autoptr(TestClient) client = opens(master, changed[i], "one");
        test_call_error(client, -32015, "object.list", "{'type':'host'}");
        test_call(client, "session.changePassword", "{'old':'one','new':'two'}");
    }
    g_autoptr(TestServer) fresh = start_proxy(master, "fresh");
    test_server_start(away);
    TestServer *const servers[] = {fresh, away};
    for (unsigned i = 0; i < G_N_ELEMENTS(servers); i++) {
        for (unsigned n = 0; n < G_N_ELEMENTS(changed); n++)
            wait_free(servers[i], changed[n], "two");
        g_autoptr(TestClient) bob = opens(servers[i], "bob", "one");
        test_call_error(bob, -32015, "object.list", "{'type':'host'}");
    }
}

/* Locks and windows end by the clock, at the master and at a proxy whose master is away; a clock that is
 * set back makes none longer. */
static void
test_clock(void)
{
    test_clock_set(0, 0);
    g_autoptr(TestServer) master = start();
    g_autoptr(TestServer) one = start_proxy(master, "one");
    g_autoptr(TestClient) admin = test_client_new(master);
    int64_t tenant = add_tenant(admin, "acme");
    add_person(admin, tenant, "ann", "right");
    set_rules(
        admin, "tenant", tenant,
        "'account-lockout-threshold':'2','account-lockout-duration':'10','account-lockout-attempts-period':'5'");
    wait_login(one, 0, "ann", "right");
    is_refused(master, "ann", "wrong");
    test_clock_set(6 * MINUTE_MS, 0);
    is_refused(master, "ann", "wrong"); /* of the next window */
    lets_in(master, "ann", "right");
    is_refused(master, "ann", "wrong");
    is_refused(master, "ann", "wrong");
    is_refused(master, "ann", "right");
    wait_login(one, -32001, "ann", "right");
    test_clock_set(15 * MINUTE_MS, 0);
    is_refused(master, "ann", "right");
    is_refused(one, "ann", "right");
    test_clock_set(17 * MINUTE_MS, 0);
    lets_in(master, "ann", "right");
    lets_in(one, "ann", "right");
    /* Locked by a clock of next year, which is set right. */
    test_clock_set(365 * DAY_MS, 0);
    is_refused(master, "ann", "wrong");
    is_refused(master, "ann", "wrong");
    wait_login(one, -32001, "ann", "right");
    test_clock_set(18 * MINUTE_MS, 0);
    is_refused(master, "ann", "right");
    is_refused(one, "ann", "right");
    test_clock_set(29 * MINUTE_MS, 0);
    lets_in(master, "ann", "right");
    lets_in(one, "ann", "right");
    /* Alone. */
    test_server_signal(master, SIGKILL);
    is_refused(one, "ann", "wrong");
    is_refused(one, "ann", "wrong");
    is_refused(one, "ann", "right");
    test_clock_set(40 * MINUTE_MS, 0);
    lets_in(one, "ann", "right");
    test_clock_set(0, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    test_clock_use();
    g_test_add_func("/integration/account-servers/spread", test_spread);
    g_test_add_func("/integration/account-servers/cut-off", test_cut_off);
    g_test_add_func("/integration/account-servers/reports", test_reports);
    g_test_add_func("/integration/account-servers/low-replica", test_low_replica);
    g_test_add_func("/integration/account-servers/killed-proxy", test_killed_proxy);
    g_test_add_func("/integration/account-servers/killed-master", test_killed_master);
    g_test_add_func("/integration/account-servers/last-login", test_last_login);
    g_test_add_func("/integration/account-servers/forced", test_forced);
    g_test_add_func("/integration/account-servers/clock", test_clock);
    return g_test_run();
}
