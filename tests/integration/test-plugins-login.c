/* test-plugins-login.c - hook `login`: a directory that lets in, refuses, is away, asks more, or answers
 * later. */
#include "plugins.h"

#define OPEN "{'user':'%s','password':'%s','application':'confctl'}"

/* A person who may use confctl, and nothing else. */
static int64_t
add_person(TestClient *admin, const char *name)
{
    int64_t dbid = json_object_get_int_member(
        test_call(admin, "object.create", "{'object':{'type':'person','name':'%s'}}", name), "dbid");
    test_call(
        admin, "permission.update",
        "{'type':'application','name':'confctl','grant':[{'account':{'type':'person','dbid':%" G_GINT64_FORMAT
        "},'rights':['execute']}]}",
        dbid);
    return dbid;
}

typedef struct {
    TestServer *server;
    TestClient *admin;
} Fixture;

static void
set_up(Fixture *fixture, const void *more)
{
    fixture->server = test_primary_with("t-login, t-login-second", more);
    fixture->admin = test_client_new(fixture->server);
    add_person(fixture->admin, "ext-ann");
    g_autofree char *events = test_events(fixture->admin, "t-login.events");
}

static void
tear_down(Fixture *fixture, const void *more)
{
    test_client_free(fixture->admin);
    test_server_free(fixture->server);
}

static TestClient *
connect_to(Fixture *fixture)
{
    return test_client_connect(test_server_get_port(fixture->server));
}

static void
assert_opens(Fixture *fixture, const char *user, const char *password)
{
    g_autoptr(TestClient) client = connect_to(fixture);
    JsonObject *opened = test_call(client, "session.open", OPEN, user, password);
    g_assert_true(json_object_has_member(opened, "session"));
    test_call(client, "object.count", "{}");
}

/* The error; its message is the one that is told of every refusal. */
static void
assert_refused(Fixture *fixture, int code, const char *user, const char *password)
{
    g_autoptr(TestClient) client = connect_to(fixture);
    JsonObject *error = test_call_error(client, code, "session.open", OPEN, user, password);
    if (code == -32001)
        g_assert_true(g_str_has_prefix(test_error_message(error),
                                       "The user, the password or the application is wrong"));
}

static void
test_verdicts(Fixture *fixture, const void *data)
{
    g_autoptr(TestClient) greeted = connect_to(fixture);
    JsonObject *opened = test_call(greeted, "session.open", OPEN, "ext-ann", "welcome");
    g_assert_cmpstr(json_object_get_string_member(opened, "text"), ==, "Welcome, \"ann\"");
    g_autofree char *greeting = test_events(fixture->admin, "t-login.events");
    assert_opens(fixture, "ext-ann", "yes");
    test_assert_events(fixture->admin, "t-login.events",
                       "ext-ann as confctl by password from 127.0.0.1: ext-ann");
    test_assert_events(fixture->admin, "t-login-second.events", "");
    assert_refused(fixture, -32001, "ext-ann", "no");
    test_assert_events(fixture->admin, "t-login.events",
                       "ext-ann as confctl by password from 127.0.0.1: ext-ann; "
                       "refused ext-ann of confctl: a wrong password");
    /* A refusal ends the chain; what is not its own goes to the next, and at last to the internal password. */
    test_assert_events(fixture->admin, "t-login-second.events", "");
    assert_refused(fixture, -32001, "ext-ann", "next");
    test_assert_events(fixture->admin, "t-login-second.events", "asked for ext-ann");
    int64_t dbid = add_person(fixture->admin, "ext-both");
    test_call(fixture->admin, "account.setPassword", "{'dbid':%" G_GINT64_FORMAT ",'password':'next'}", dbid);
    assert_opens(fixture, "ext-both", "next");
    /* Whoever said yes: person, application and rights stay the server's to know. */
    assert_refused(fixture, -32001, "ext-unknown", "yes");
    g_autoptr(TestClient) client = connect_to(fixture);
    test_call_error(client, -32001, "session.open",
                    "{'user':'ext-ann','password':'yes','application':'confserv'}");
    test_call(fixture->admin, "object.update",
              "{'type':'person','name':'ext-both','patch':{'state':'disabled'}}");
    assert_refused(fixture, -32001, "ext-both", "yes");
    /* Codes and texts of the directory's own. */
    JsonObject *error = test_call_error(client, -32015, "session.open", OPEN, "ext-ann", "coded");
    g_assert_cmpstr(test_error_message(error), ==, "the password has expired");
    error = test_call_error(client, -32001, "session.open", OPEN, "ext-ann", "locked");
    g_assert_cmpstr(json_object_get_string_member(json_object_get_object_member(error, "data"), "text"), ==,
                    "Your account is locked \"for now\"");
}

/* Only a refusal counts: a directory that is away must not make its users pause. */
static void
test_counting(Fixture *fixture, const void *data)
{
    for (unsigned i = 0; i < 5; i++) {
        assert_refused(fixture, -32013, "ext-ann", "away");
        assert_refused(fixture, -32013, "ext-ann", "later-away");
    }
    assert_opens(fixture, "ext-ann", "yes");
    for (unsigned i = 0; i < 2; i++)
        assert_refused(fixture, -32001, "ext-ann", i == 0 ? "no" : "later-no");
    g_autofree char *before = test_events(fixture->admin, "t-login.events");
    assert_refused(fixture, -32001, "ext-ann", "yes");
    /* Whoever must pause is not worth a question to the directory. */
    g_autofree char *events = test_events(fixture->admin, "t-login.events");
    g_assert_null(strstr(events, "as confctl"));
    g_assert_nonnull(strstr(events, "refused ext-ann of confctl"));
}

static void
test_later(Fixture *fixture, const void *data)
{
    assert_opens(fixture, "ext-ann", "later-yes");
    g_autofree char *events = test_events(fixture->admin, "t-login.events");
    g_assert_nonnull(strstr(events, "from a thread"));
    assert_refused(fixture, -32001, "ext-ann", "later-no");
    assert_refused(fixture, -32013, "ext-ann", "later-away");
    assert_refused(fixture, -32001, "ext-ann", "later-next");
    test_assert_events(fixture->admin, "t-login-second.events", "asked for ext-ann");
    assert_opens(fixture, "ext-ann", "later-twice");
    test_server_wait_log(fixture->server, "It took a ConfLater of a log-in that is put off already");
    /* The time is over; what comes then is too late. */
    g_autoptr(TestClient) client = connect_to(fixture);
    JsonObject *error = test_call_error(client, -32013, "session.open", OPEN, "ext-ann", "time-out");
    g_assert_cmpstr(test_error_message(error), ==, "The directory did not answer in time");
    test_call(fixture->admin, "t-login.finish", "{}");
    test_call_error(client, -32000, "object.count", "{}");
    g_assert_cmpint(test_statistic(fixture->admin, "t-login.gone"), ==, 1);
    /* Lines behind the log-in wait for it. */
    test_send(client, "session.open", OPEN, "ext-ann", "later-yes");
    test_call(client, "object.count", "{}");
}

/* The client goes, or the hook itself ends the connection. */
static void
test_gone(Fixture *fixture, const void *data)
{
    TestClient *client = connect_to(fixture);
    test_send(client, "session.open", OPEN, "ext-ann", "keep");
    g_autofree char *asked = test_wait_event(fixture->admin, "t-login.events", "ext-ann");
    test_client_abort(client);
    test_client_free(client);
    test_wait_statistic(fixture->admin, "t-login.gone", 1);
    test_call(fixture->admin, "t-login.finish", "{}");
    static const char *const ways[] = {"drop", "drop-later"};
    for (unsigned i = 0; i < G_N_ELEMENTS(ways); i++) {
        g_autoptr(TestClient) dropped = connect_to(fixture);
        test_send(dropped, "session.open", OPEN, "ext-ann", ways[i]);
        test_client_wait_closed(dropped);
        g_assert_false(test_client_has_seen(dropped, "account"));
    }
    test_wait_statistic(fixture->admin, "t-login.gone", 2);
    /* A server that stops does not wait for a directory for ever. */
    g_autoptr(TestClient) last = connect_to(fixture);
    test_send(last, "session.open", OPEN, "ext-ann", "keep");
    g_autofree char *again = test_wait_event(fixture->admin, "t-login.events", "ext-ann");
    g_autoptr(TestClient) manager = test_manager_new(fixture->server);
    test_call(manager, "server.stop", "{'graceful':false}");
    g_assert_cmpint(test_server_wait_exit(fixture->server), ==, 0);
}

static char *
challenge_of(JsonObject *error, const char *prompt)
{
    JsonObject *data = json_object_get_object_member(error, "data");
    g_assert_cmpstr(json_object_get_string_member(data, "prompt"), ==, prompt);
    return g_strdup(json_object_get_string_member(data, "challenge"));
}

static void
test_challenge(Fixture *fixture, const void *data)
{
    g_autoptr(TestClient) client = connect_to(fixture);
    g_autofree char *first =
        challenge_of(test_call_error(client, -32002, "session.open", OPEN, "ext-ann", "challenge"), "Token?");
    test_call_error(client, -32602, "session.continue", "{'challenge':'00','response':'first'}");
    test_call_error(client, -32000, "object.count", "{}");
    test_call_error(client, -32602, "session.continue", "{'challenge':'%s','response':'first\\u0000'}",
                    first);
    g_autofree char *second = challenge_of(
        test_call_error(client, -32002, "session.continue", "{'challenge':'%s','response':'first'}", first),
        "And now?");
    g_assert_cmpstr(first, !=, second);
    test_call_error(client, -32602, "session.continue", "{'challenge':'%s','response':'second'}", first);
    JsonObject *opened =
        test_call(client, "session.continue", "{'challenge':'%s','response':'second'}", second);
    g_assert_true(json_object_has_member(opened, "session"));
    g_assert_false(json_object_has_member(opened, "text"));
    test_call(client, "object.count", "{}");
    test_assert_events(fixture->admin, "t-login.events",
                       "ext-ann as confctl by password from 127.0.0.1: ext-ann; "
                       "round 1: first, password challenge; round 2: second, password challenge");
    /* A wrong response is a refusal like any other. */
    g_autoptr(TestClient) other = connect_to(fixture);
    g_autofree char *third =
        challenge_of(test_call_error(other, -32002, "session.open", OPEN, "ext-ann", "challenge"), "Token?");
    JsonObject *refused =
        test_call_error(other, -32001, "session.continue", "{'challenge':'%s','response':'wrong'}", third);
    /* What was said beside the question is not said of the response. */
    g_assert_null(strstr(test_error_message(refused), "token"));
    g_assert_false(json_object_has_member(refused, "data"));
    test_call_error(other, -32602, "session.continue", "{'challenge':'%s','response':'first'}", third);
    /* Not its own after all: what it has put off is nothing to the next directory. */
    g_autofree char *fourth =
        challenge_of(test_call_error(other, -32002, "session.open", OPEN, "ext-ann", "challenge"), "Token?");
    test_call_error(other, -32001, "session.continue", "{'challenge':'%s','response':'unsure'}", fourth);
    test_assert_events(fixture->admin, "t-login-second.events", "asked for ext-ann");
    /* Another log-in begins anew, and a client that goes leaves nothing behind. */
    g_autofree char *fifth =
        challenge_of(test_call_error(other, -32002, "session.open", OPEN, "ext-ann", "challenge"), "Token?");
    test_call(other, "session.open", OPEN, "ext-ann", "yes");
    test_call_error(other, -32602, "session.continue", "{'challenge':'%s','response':'first'}", fifth);
    g_autoptr(TestClient) leaving = connect_to(fixture);
    test_call_error(leaving, -32002, "session.open", OPEN, "ext-ann", "challenge");
}

static void
test_mechanisms(Fixture *fixture, const void *data)
{
    g_autoptr(TestClient) client = connect_to(fixture);
    test_call_error(client, -32001, "session.open",
                    "{'user':'ext-ann','mechanism':'kerberos','token':'no','application':'confctl'}");
    test_call_error(client, -32602, "session.open",
                    "{'user':'default','mechanism':'kerberos','token':'yes','application':'confctl'}");
    test_call(client, "session.open",
              "{'user':'ext-ann','mechanism':'kerberos','token':'yes','application':'confctl'}");
    g_autofree char *events = test_events(fixture->admin, "t-login.events");
    g_assert_nonnull(strstr(events, "ext-ann as confctl by kerberos from 127.0.0.1: ext-ann"));
    /* Nobody who was let in by a directory must change a password that was not asked for. */
    int64_t dbid = add_person(fixture->admin, "ext-new");
    test_call(fixture->admin, "account.setPassword",
              "{'dbid':%" G_GINT64_FORMAT ",'password':'next','mustChange':true}", dbid);
    assert_opens(fixture, "ext-new", "yes");
    g_autoptr(TestClient) internal = connect_to(fixture);
    JsonObject *opened = test_call(internal, "session.open", OPEN, "ext-new", "next");
    g_assert_true(json_object_get_boolean_member(json_object_get_object_member(opened, "account"),
                                                 "mustChangePassword"));
    test_call_error(internal, -32015, "object.count", "{}");
}

static int64_t
add_named(TestClient *admin, const char *type, const char *name)
{
    return json_object_get_int_member(
        test_call(admin, "object.create", "{'object':{'type':'%s','name':'%s'}}", type, name), "dbid");
}

static void
grant(TestClient *admin, const char *verb, int64_t host, int64_t group)
{
    test_call(admin, "permission.update",
              "{'type':'host','dbid':%" G_GINT64_FORMAT
              ",'%s':[{'account':{'type':'accessGroup','dbid':%" G_GINT64_FORMAT
              "},'rights':['read','change']}]}",
              host, verb, group);
}

static const char *
op_of(JsonObject *changes, const char **reason)
{
    JsonObject *change = json_array_get_object_element(json_object_get_array_member(changes, "changes"), 0);
    *reason = json_object_has_member(change, "reason") ? json_object_get_string_member(change, "reason") : "";
    return json_object_get_string_member(change, "op");
}

/* Groups that a directory names count for this session: in reads, writes and notifications, and for no
 * other. */
static void
test_groups(Fixture *fixture, const void *data)
{
    TestClient *admin = fixture->admin;
    int64_t group = add_named(admin, "accessGroup", "team"), host = add_named(admin, "host", "h1");
    grant(admin, "grant", host, group);
    g_autoptr(TestClient) plain = connect_to(fixture);
    g_autoptr(TestClient) member = connect_to(fixture);
    test_call(plain, "session.open", OPEN, "ext-ann", "yes");
    test_call(member, "session.open", OPEN, "ext-ann", "group team,nobody-knows");
    test_server_wait_log(fixture->server, "nobody-knows");
    test_call_error(plain, -32004, "object.read", "{'type':'host','name':'h1'}");
    test_call(member, "object.read", "{'type':'host','name':'h1'}");
    g_assert_cmpint(json_object_get_int_member(test_call(plain, "object.count", "{'type':'host'}"), "count"),
                    ==, 0);
    g_assert_cmpint(json_object_get_int_member(test_call(member, "object.count", "{'type':'host'}"), "count"),
                    ==, 1);
    test_call(plain, "subscription.open", "{'types':['host']}");
    test_call(member, "subscription.open", "{'types':['host'],'initial':true}");
    test_wait_notification(member, "subscription.loaded");
    g_assert_true(test_client_has_seen(member, "\"h1\""));
    test_call_error(plain, -32004, "object.update",
                    "{'type':'host','name':'h1','patch':{'address':'10.0.0.1'}}");
    test_call(member, "object.update", "{'type':'host','name':'h1','patch':{'address':'10.0.0.2'}}");
    const char *reason;
    g_assert_cmpstr(op_of(test_wait_notification(member, "changes"), &reason), ==, "update");
    test_call_error(member, -32005, "object.delete", "{'type':'host','name':'h1'}");
    /* Rights that come and go with the group are told. */
    grant(admin, "revoke", host, group);
    g_assert_cmpstr(op_of(test_wait_notification(member, "changes"), &reason), ==, "delete");
    g_assert_cmpstr(reason, ==, "permission");
    test_call_error(member, -32004, "object.read", "{'type':'host','name':'h1'}");
    grant(admin, "grant", host, group);
    g_assert_cmpstr(op_of(test_wait_notification(member, "changes"), &reason), ==, "create");
    test_call(admin, "object.update", "{'type':'accessGroup','name':'team','patch':{'state':'disabled'}}");
    g_assert_cmpstr(op_of(test_wait_notification(member, "changes"), &reason), ==, "delete");
    test_call_error(member, -32004, "object.update",
                    "{'type':'host','name':'h1','patch':{'address':'10.0.0.3'}}");
    g_assert_false(test_has_notification(plain, "changes"));
}

int
main(int argc, char **argv)
{
    static const char few_attempts[] = "login-attempts = 2\nlogin-pause = 60";
    g_test_init(&argc, &argv, NULL);
    g_test_add("/integration/plugins/login/verdicts", Fixture, NULL, set_up, test_verdicts, tear_down);
    g_test_add("/integration/plugins/login/counting", Fixture, few_attempts, set_up, test_counting,
               tear_down);
    g_test_add("/integration/plugins/login/later", Fixture, NULL, set_up, test_later, tear_down);
    g_test_add("/integration/plugins/login/gone", Fixture, NULL, set_up, test_gone, tear_down);
    g_test_add("/integration/plugins/login/challenge", Fixture, NULL, set_up, test_challenge, tear_down);
    g_test_add("/integration/plugins/login/mechanisms", Fixture, NULL, set_up, test_mechanisms, tear_down);
    g_test_add("/integration/plugins/login/groups", Fixture, NULL, set_up, test_groups, tear_down);
    return g_test_run();
}
