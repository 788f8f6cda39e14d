/* test-history-hostile.c - the history where it was broken once: pages, resumptions where memory begins. */
#include "history-model.h"

#include <string.h>

#define INT G_GINT64_FORMAT
#define HISTORY "plugins = history\n"

static int64_t
revision_of(JsonObject *result)
{
    return json_object_get_int_member(result, "revision");
}

static int64_t
new_host(TestClient *admin, const char *name)
{
    JsonObject *created = test_call(admin, "object.create", "{'object':{'type':'host','name':'%s'}}", name);
    return json_object_get_int_member(created, "dbid");
}

static int64_t
fill_host(TestClient *admin, int64_t host, unsigned number, size_t size)
{
    g_autofree char *filling = g_strnfill(size, 'x');
    return revision_of(test_call(admin, "object.update",
                                 "{'type':'host','dbid':%" INT ",'patch':{'annex':{'a':{'k':'%u%s'}}}}", host,
                                 number, filling));
}

/* A page that is full where the rows of one read end: the rows of the next read are all on the next page. */
static void
test_pages(void)
{
    enum { UPDATES = 40 };
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestClient) client = test_client_new(server);
    int64_t host = new_host(client, "h"), last = 0;
    for (unsigned i = 0; i < UPDATES; i++)
        last = fill_host(client, host, i, 13600);
    for (unsigned limit = 9; limit <= 11; limit++) {
        int64_t expected = last;
        g_autofree char *cursor = g_strdup("");
        while (cursor != NULL) {
            JsonObject *page = test_call(client, "history.list",
                                         "{'type':'host','dbid':%" INT ",'limit':%u%s}", host, limit, cursor);
            JsonArray *entries = json_object_get_array_member(page, "entries");
            for (unsigned i = 0; i < json_array_get_length(entries); i++)
                g_assert_cmpint(revision_of(json_array_get_object_element(entries, i)), ==, expected--);
            g_free(cursor);
            cursor = json_object_has_member(page, "cursor")
                         ? g_strdup_printf(",'cursor':'%s'", json_object_get_string_member(page, "cursor"))
                         : NULL;
        }
        g_assert_cmpint(expected, ==, last - UPDATES - 1);
    }
}

/* What is wrong with how an object is named is pointed at, as by the other methods. */
static void
test_wrong_names(void)
{
    static const struct {
        const char *name, *path;
    } WRONG[] = {
        {"'path':'/Environment','type':'host'", "/path"},
        {"'path':'Environment'", "/path"},
        {"'type':'host','name':5", "/name"},
        {"'type':'nothing','name':'h'", "/type"},
        {"'name':'h'", "/type"},
        {"'type':'host','name':'h','dbid':1", "/dbid"},
        {"'type':'host','name':'h','dbid':9007199254740992", "/dbid"},
        {"'type':'host','name':'h','tenant':0", "/tenant"},
        {"'type':'host','dbid':9007199254740992", "/dbid"},
    };
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestClient) client = test_client_new(server);
    new_host(client, "h");
    for (unsigned i = 0; i < 2 * G_N_ELEMENTS(WRONG); i++) {
        bool reverts = i % 2 == 1;
        JsonObject *error = test_call_error(client, -32602, reverts ? "history.revert" : "history.list",
                                            "{%s%s}", WRONG[i / 2].name, reverts ? ",'toRevision':1" : "");
        JsonObject *data = json_object_get_object_member(error, "data");
        g_assert_cmpstr(json_object_get_string_member(data, "path"), ==, WRONG[i / 2].path);
        g_assert_null(strstr(json_object_get_string_member(error, "message"), "9223372036854775807"));
    }
    test_call_error(client, -32004, "history.list", "{'type':'host','name':'none'}");
    test_call_error(client, -32004, "history.revert", "{'path':'/Environment/Hosts/none','toRevision':1}");
}

/* A proxy that was killed knows only what came after; who stands right before that has missed
 * nothing more. */
static void
test_where_memory_begins(void)
{
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestServer) proxy = test_proxy_new(server, "px", "[csproxy]\n" HISTORY);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t host = new_host(admin, "h");
    g_autoptr(TestClient) first = test_client_new(proxy);
    g_autofree char *token = test_client_dup_token(first), *environment = test_client_dup_environment(first);
    JsonObject *opened = test_call(first, "subscription.open", "{'types':['host']}");
    int64_t seen = revision_of(opened);
    g_autofree char *chain = g_strdup(json_object_get_string_member(opened, "chain"));
    int64_t written = fill_host(admin, host, 1, 10);
    while (seen < written) {
        JsonObject *changes = test_wait_notification(first, "changes");
        seen = revision_of(changes);
        g_free(chain);
        chain = g_strdup(json_object_get_string_member(changes, "chain"));
    }
    /* What the session has had stands in the proxy's file. */
    test_call(first, "history.list", "{'limit':1}");
    test_server_signal(proxy, SIGKILL);
    for (unsigned i = 0; i < 3; i++)
        written = fill_host(admin, host, i, 10);
    test_server_start(proxy);
    g_autoptr(TestClient) wrong = test_client_connect(test_server_get_port(proxy));
    test_call_error(wrong, -32011, "session.resume",
                    "{'session':'%s','environment':'%s','revision':%" INT ",'chain':'0123456789abcdef'}",
                    token, environment, seen);
    g_autoptr(TestClient) second = test_client_connect(test_server_get_port(proxy));
    JsonObject *result = test_call(second, "session.resume",
                                   "{'session':'%s','environment':'%s','revision':%" INT ",'chain':'%s'}",
                                   token, environment, seen, chain);
    g_assert_cmpint(json_object_get_int_member(result, "missed"), ==, written - seen);
    while (seen < written)
        g_assert_cmpint(revision_of(test_wait_notification(second, "changes")), ==, ++seen);
    g_assert_false(test_has_notification(second, "changes"));
}

/* The whole answer but its id; the dbid is exchanged for a #. */
static char *
ask_about(TestClient *client, int64_t dbid, int64_t revision)
{
    int64_t id =
        test_send(client, "object.read", "{'type':'host','dbid':%" INT ",'asOf':%" INT "}", dbid, revision);
    JsonNode *error = json_object_get_member(test_wait_response(client, id), "error");
    g_autofree char *text = json_to_string(error, FALSE);
    g_autofree char *number = g_strdup_printf(" %" INT, dbid);
    g_auto(GStrv) parts = g_strsplit(text, number, -1);
    return g_strjoinv(" #", parts);
}

/* What one may not read is not told from what there is not: not of the past, nor of before the past
 * that is held. */
static void
test_hidden_past(void)
{
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestClient) admin = test_client_new(server);
    test_person_new(admin, "ann");
    int64_t before = test_history_revision(admin);
    int64_t hidden = new_host(admin, "hidden");
    int64_t last = fill_host(admin, hidden, 1, 10);
    g_autoptr(TestClient) client = test_client_new_as(server, "ann", "pw", "confctl");
    for (int64_t revision = 1; revision <= last; revision += revision == 1 ? before - 1 : 1) {
        g_autofree char *of_hidden = ask_about(client, hidden, revision);
        g_autofree char *of_nothing = ask_about(client, 999999, revision);
        g_assert_cmpstr(of_hidden, ==, of_nothing);
    }
}

/* An object of many keys: the time follows its size, and not the square of it; the loop least of all. */
static void
test_many_keys(void)
{
    enum { KEYS = 8000, SECONDS = 10 };
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestClient) client = test_client_new(server);
    int64_t host = new_host(client, "h");
    int64_t revision = 0;
    for (unsigned round = 0; round < 3; round++) {
        g_autoptr(GString) keys = g_string_new(NULL);
        for (unsigned i = round; i < KEYS + round; i++)
            g_string_append_printf(keys, "%s'key%u':'%u'", i > round ? "," : "", i, round);
        int64_t id =
            test_send(client, "object.update", "{'type':'host','dbid':%" INT ",'patch':{'annex':{'a':{%s}}}}",
                      host, keys->str);
        revision = revision_of(json_object_get_object_member(test_wait_response(client, id), "result"));
    }
    int64_t begun = g_get_monotonic_time();
    JsonObject *page = test_call(client, "history.list", "{'type':'host','dbid':%" INT ",'limit':1}", host);
    JsonObject *entry = json_array_get_object_element(json_object_get_array_member(page, "entries"), 0);
    JsonObject *annex =
        json_object_get_object_member(json_object_get_object_member(entry, "before"), "annex");
    g_assert_cmpuint(json_object_get_size(json_object_get_object_member(annex, "a")), ==, KEYS - 1);
    JsonObject *reverted =
        test_call(client, "history.revert", "{'revision':%" INT ",'dryRun':true}", revision);
    JsonObject *change = json_array_get_object_element(json_object_get_array_member(reverted, "changes"), 0);
    annex = json_object_get_object_member(json_object_get_object_member(change, "patch"), "annex");
    g_assert_cmpuint(json_object_get_size(json_object_get_object_member(annex, "a")), ==, KEYS);
    /* Something else was done to the section since: key by key. */
    test_call(client, "object.update", "{'type':'host','dbid':%" INT ",'patch':{'annex':{'a':{'more':'1'}}}}",
              host);
    test_call(client, "history.revert", "{'revision':%" INT ",'dryRun':true}", revision);
    g_assert_cmpint(g_get_monotonic_time() - begun, <, SECONDS * G_USEC_PER_SEC);
}

/* Who asks for much at once has one turn after the other, and others have theirs in between. */
static void
test_turns(void)
{
    enum { ASKED = 40, ENTRIES = 60 };
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestClient) client = test_client_new(server);
    g_autoptr(TestClient) other = test_client_new(server);
    int64_t host = new_host(client, "h"), first = 0, last = 0;
    for (unsigned i = 0; i < ENTRIES; i++)
        fill_host(client, host, i, 20);
    for (unsigned i = 0; i < ASKED; i++) {
        last = test_send(client, "history.list", "{'limit':1000}");
        first = first == 0 ? last : first;
    }
    /* While the first of many waits, the one of somebody else is answered. */
    g_assert_true(json_object_has_member(test_wait_response(client, first), "result"));
    test_call(other, "history.list", "{'limit':1}");
    /* Some of them wait yet: their session ends, and they with it. */
    g_autoptr(TestClient) third = test_client_new(server);
    for (unsigned i = 0; i < ASKED; i++)
        test_send(third, "history.list", "{'limit':1000}");
    test_sync(third);
    test_client_abort(third);
    g_assert_true(json_object_has_member(test_wait_response(client, last), "result"));
    test_call(other, "history.list", "{'limit':1}");
    /* Stopped while many wait. */
    for (unsigned i = 0; i < ASKED; i++)
        test_send(client, "history.list", "{'limit':1000}");
    test_sync(client);
}

/* Who asks and does not read gets no page read, and takes no memory, beyond what a connection may; the pages
 * come when it reads. */
static void
test_slow_reader(void)
{
    enum { ASKED = 40, ENTRIES = 25, MOST = 4 * 1024 * 1024 };
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t host = new_host(admin, "h");
    for (unsigned i = 0; i < ENTRIES; i++)
        fill_host(admin, host, i, 20000);
    int64_t last = 0;
    g_autoptr(TestClient) slow = test_client_new(server);
    for (unsigned i = 0; i < ASKED; i++)
        last = test_send(slow, "history.list", "{'type':'host','limit':1000}");
    int64_t begun = g_get_monotonic_time();
    for (unsigned i = 0; i < 20 && g_get_monotonic_time() - begun < 3 * G_USEC_PER_SEC; i++) {
        test_call(admin, "history.list", "{'limit':5}");
        g_assert_cmpint(test_statistic(admin, "queueBytes"), <, MOST);
        g_usleep(50000);
    }
    g_assert_true(json_object_has_member(test_wait_response(slow, last), "result"));
}

/* Stopped at once, while many wait for clients to take what was answered before: nobody is told any more. */
static void
test_stopped_before_turns(void)
{
    enum { CLIENTS = 3, ASKED = 600, ENTRIES = 25 };
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t host = new_host(admin, "h");
    for (unsigned i = 0; i < ENTRIES; i++)
        fill_host(admin, host, i, 20000);
    TestClient *clients[CLIENTS];
    for (unsigned k = 0; k < CLIENTS; k++) {
        clients[k] = test_client_new(server);
        for (unsigned i = 0; i < ASKED; i++)
            test_send(clients[k], "history.list", "{'type':'host','limit':1000}");
    }
    /* Each is a turn between theirs. */
    for (unsigned i = 0; i < 20; i++)
        test_call(admin, "history.list", "{'limit':1}");
    test_call(admin, "server.stop", "{'graceful':false}");
    g_assert_cmpint(test_server_wait_exit(server), ==, 0);
    g_autofree char *log = test_server_read_log(server);
    g_assert_null(strstr(log, "ConfLater"));
    for (unsigned k = 0; k < CLIENTS; k++)
        test_client_free(clients[k]);
}

static void
revoke_and_grant(TestClient *admin, int64_t person)
{
    static const char *const steps[] = {"revoke", "grant"};
    for (unsigned i = 0; i < G_N_ELEMENTS(steps); i++)
        test_call(admin, "permission.update",
                  "{'type':'application','name':'confctl','%s':[{'account':{'type':'person','dbid':%" INT
                  "},'rights':['execute']}]}",
                  steps[i], person);
}

static void
disable_and_enable(TestClient *admin, int64_t person)
{
    static const char *const steps[] = {"disabled", "enabled"};
    for (unsigned i = 0; i < G_N_ELEMENTS(steps); i++)
        test_call(admin, "object.update", "{'type':'person','dbid':%" INT ",'patch':{'state':'%s'}}", person,
                  steps[i]);
}

/* What ends a session ends also one that no process knows at the time, and for good: at the primary that was
 * killed before, at a proxy that is not running. */
static void
test_ended_unknown(void)
{
    enum { PERSONS = 3 };
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestServer) proxy = test_proxy_new(server, "px", "[csproxy]\n" HISTORY);
    TestServer *const servers[] = {server, proxy};
    g_autoptr(TestClient) maker = test_client_new(server);
    int64_t persons[PERSONS];
    for (unsigned i = 0; i < PERSONS; i++) {
        g_autofree char *name = g_strdup_printf("p%u", i);
        persons[i] = test_person_new(maker, name);
    }
    int64_t made = test_history_revision(maker);
    for (unsigned k = 0; k < G_N_ELEMENTS(servers); k++) {
        TestServer *at = servers[k];
        g_autoptr(TestClient) reader = test_client_new(at);
        test_wait_revision(reader, made);
        char *tokens[PERSONS];
        g_autofree char *environment = test_client_dup_environment(reader);
        for (unsigned i = 0; i < PERSONS; i++) {
            g_autofree char *name = g_strdup_printf("p%u", i);
            g_autoptr(TestClient) client = test_client_new_as(at, name, "pw", "confctl");
            tokens[i] = test_client_dup_token(client);
        }
        test_call(reader, "history.list", "{'limit':1}");
        test_server_signal(at, SIGKILL);
        if (at == server)
            test_server_start(at);
        g_autoptr(TestClient) admin = test_client_new(server);
        disable_and_enable(admin, persons[0]);
        revoke_and_grant(admin, persons[1]);
        if (at != server)
            test_server_start(at);
        g_autoptr(TestClient) waiting = test_client_new(at);
        test_wait_revision(waiting, test_history_revision(admin));
        for (unsigned i = 0; i < PERSONS; i++) {
            g_autoptr(TestClient) client = test_client_connect(test_server_get_port(at));
            g_autofree char *params = g_strdup_printf(
                "{'session':'%s','environment':'%s','revision':%" INT "}", tokens[i], environment, made);
            if (i < 2)
                test_call_error(client, -32003, "session.resume", "%s", params);
            else
                test_call(client, "session.resume", "%s", params);
            g_free(tokens[i]);
        }
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/history-hostile/pages", test_pages);
    g_test_add_func("/integration/history-hostile/wrong-names", test_wrong_names);
    g_test_add_func("/integration/history-hostile/where-memory-begins", test_where_memory_begins);
    g_test_add_func("/integration/history-hostile/hidden-past", test_hidden_past);
    g_test_add_func("/integration/history-hostile/many-keys", test_many_keys);
    g_test_add_func("/integration/history-hostile/turns", test_turns);
    g_test_add_func("/integration/history-hostile/slow-reader", test_slow_reader);
    g_test_add_func("/integration/history-hostile/stopped-before-turns", test_stopped_before_turns);
    g_test_add_func("/integration/history-hostile/ended-unknown", test_ended_unknown);
    return g_test_run();
}
