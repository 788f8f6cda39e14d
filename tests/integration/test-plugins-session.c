/* test-plugins-session.c - sessions, objects and commits as plugins see them, writing as a session, and
 * what `visible` hides. */
#include "plugins.h"

static int64_t
create(TestClient *client, const char *type, const char *name, const char *more)
{
    JsonObject *created =
        test_call(client, "object.create", "{'object':{'type':'%s','name':'%s'%s}}", type, name, more);
    return json_object_get_int_member(created, "dbid");
}

/* A person with a password that may use confctl and reads and changes every host. */
static int64_t
add_person(TestClient *admin, const char *name, const char *rights)
{
    int64_t dbid = create(admin, "person", name, "");
    test_call(admin, "account.setPassword", "{'dbid':%" G_GINT64_FORMAT ",'password':'pw'}", dbid);
    static const char *const places[] = {"'type':'application','name':'confctl'",
                                         "'path':'/Environment/Hosts'"};
    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++)
        test_call(admin, "permission.update",
                  "{%s,'grant':[{'account':{'type':'person','dbid':%" G_GINT64_FORMAT "},'rights':[%s]}]}",
                  places[i], dbid, i == 0 ? "'read','execute'" : rights);
    return dbid;
}

static void
test_life(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-session", NULL);
    g_autoptr(TestClient) manager = test_manager_new(server);
    g_autoptr(TestClient) admin = test_client_new(server);
    add_person(admin, "ann", "'read'");
    TestClient *ann = test_client_new_as(server, "ann", "pw", "confctl");
    g_autofree char *events = test_events(manager, "t-session.events");
    g_auto(GStrv) lines = g_strsplit(events, "; ", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 2);
    g_assert_true(g_str_has_prefix(lines[0], "opened default "));
    g_assert_true(g_str_has_suffix(lines[0], " as confctl (administrator) from 127.0.0.1"));
    g_assert_true(g_str_has_suffix(lines[1], " as confctl from 127.0.0.1"));
    JsonObject *one = test_call(admin, "t-session.number", "{}");
    int64_t number = json_object_get_int_member(one, "number");
    g_assert_true(json_object_get_boolean_member(one, "peer"));
    g_assert_cmpint(json_object_get_int_member(one, "application"), >, 0);
    g_assert_cmpint(json_object_get_int_member(test_call(ann, "t-session.number", "{}"), "number"), !=,
                    number);
    /* A break is no end: the session is there, and is resumed as the same. */
    JsonObject *opened = test_client_get_session(ann);
    JsonObject *place = json_object_get_object_member(opened, "server");
    g_autofree char *token = g_strdup(json_object_get_string_member(opened, "session"));
    g_autofree char *environment = g_strdup(json_object_get_string_member(place, "environment"));
    int64_t revision = json_object_get_int_member(place, "revision");
    number = json_object_get_int_member(test_call(ann, "t-session.number", "{}"), "number");
    test_client_abort(ann);
    test_client_free(ann);
    test_wait_statistic(admin, "sessionsBroken", 1);
    g_autoptr(TestClient) again = test_client_connect(test_server_get_port(server));
    test_call(again, "session.resume", "{'session':'%s','environment':'%s','revision':%" G_GINT64_FORMAT "}",
              token, environment, revision);
    g_assert_cmpint(json_object_get_int_member(test_call(again, "t-session.number", "{}"), "number"), ==,
                    number);
    g_autofree char *resumed = test_events(manager, "t-session.events");
    g_assert_true(g_str_has_prefix(resumed, "resumed ann "));
    /* Its end, with the reason; what the hook then writes as it is written. */
    test_call(again, "session.close", "{}");
    test_client_wait_closed(again);
    g_autofree char *ended = test_wait_event(manager, "t-session.events", "done");
    g_assert_cmpstr(ended, ==, "closed ann: closed; done with an error");
    TestClient *closing = test_client_new(server);
    test_call(closing, "session.close", "{}");
    test_client_free(closing);
    g_autofree char *written = test_wait_event(manager, "t-session.events", "done");
    g_assert_nonnull(strstr(written, "closed default: closed; done well"));
    test_call(admin, "object.read", "{'type':'host','name':'epitaph'}");
    /* By the server's own doing. */
    g_autoptr(TestClient) last = test_client_new_as(server, "ann", "pw", "confctl");
    test_call(admin, "object.update", "{'type':'person','name':'ann','patch':{'state':'disabled'}}");
    test_client_wait_closed(last);
    g_autofree char *disabled = test_events(manager, "t-session.events");
    g_assert_nonnull(strstr(disabled, "closed ann: account"));
}

static void
test_end(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-session", NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    g_assert_true(json_object_get_boolean_member(
        test_call(client, "t-session.word", "{'text':'{\\'a\\':1}'}"), "sent"));
    g_assert_cmpint(json_object_get_int_member(test_wait_notification(client, "t-session.word"), "a"), ==, 1);
    g_assert_false(
        json_object_get_boolean_member(test_call(client, "t-session.word", "{'text':'nonsense'}"), "sent"));
    /* The answer comes first; what stands behind is not heard any more. */
    int64_t id = test_send(client, "t-session.end", "{'reason':'a \\'reason\\' \\u00e9'}");
    test_send(client, "object.create", "{'object':{'type':'host','name':'behind'}}");
    test_wait_response(client, id);
    test_client_wait_closed(client);
    JsonObject *ending = test_wait_notification(client, "session.ending");
    g_assert_cmpstr(json_object_get_string_member(ending, "reason"), ==, "a -reason- --");
    /* As soon as it opens. */
    g_autoptr(TestClient) manager = test_manager_new(server);
    test_call(manager, "t-session.set", "{'ending':'default'}");
    g_autoptr(TestClient) unwanted = test_client_new(server);
    test_client_wait_closed(unwanted);
    test_wait_notification(unwanted, "t-session.word");
    ending = test_wait_notification(unwanted, "session.ending");
    g_assert_cmpstr(json_object_get_string_member(ending, "reason"), ==, "not -wanted-");
    g_autofree char *events = test_events(manager, "t-session.events");
    g_assert_null(strstr(events, "took a notification"));
    g_assert_null(strstr(events, "again"));
    g_assert_nonnull(strstr(events, "closed default: not -wanted-"));
    g_assert_cmpint(test_statistic(manager, "sessions"), ==, 0);
    g_assert_cmpint(test_statistic(manager, "sessionsBroken"), ==, 0);
}

/* As the session, with its rights and no others. */
static void
test_read(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-session, t-commit", NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    add_person(admin, "ann", "'read','change'");
    int64_t host = create(admin, "host", "h1", "");
    g_autoptr(TestClient) ann = test_client_new_as(server, "ann", "pw", "confctl");
    JsonObject *read = test_call(ann, "t-session.read", "{'type':'host','name':'h1','right':'change'}");
    g_assert_true(json_object_get_boolean_member(read, "may") &&
                  json_object_get_boolean_member(read, "whole"));
    g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(read, "object"), "dbid"), ==,
                    host);
    read = test_call(ann, "t-session.read", "{'type':'host','dbid':%" G_GINT64_FORMAT ",'right':'delete'}",
                     host);
    g_assert_false(json_object_get_boolean_member(read, "may"));
    read = test_call(ann, "t-session.read", "{'type':'host','dbid':%" G_GINT64_FORMAT ",'right':'nonsense'}",
                     host);
    g_assert_false(json_object_get_boolean_member(read, "may"));
    test_call_error(ann, -32004, "t-session.read", "{'type':'person','name':'default'}");
    test_call_error(ann, -32004, "t-session.read", "{'type':'host','dbid':7777}");
    test_call_error(ann, -32004, "t-session.read", "{'type':'nonsense','dbid':1}");
    test_call(admin, "t-session.read", "{'type':'person','name':'default'}");
    /* The plugin itself sees all. */
    test_call(ann, "t-commit.lookup", "{'type':'person','name':'default'}");
    test_call(ann, "t-commit.lookup", "{'type':'tenant','dbid':1}");
    test_call_error(ann, -32004, "t-commit.lookup", "{'type':'nonsense','name':'default'}");
    test_call_error(ann, -32004, "t-commit.lookup", "{'type':'person','name':'nobody'}");
}

static JsonObject *
submit(TestClient *client, const char *operations)
{
    g_autofree char *text = g_strescape(operations, NULL);
    return test_call(client, "t-session.submit", "{'text':'%s'}", text);
}

static int64_t
code_of(JsonObject *answer)
{
    return json_object_get_int_member(json_object_get_object_member(answer, "error"), "code");
}

static void
test_submit(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-session", NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    add_person(admin, "ann", "'read','create'");
    g_autoptr(TestClient) ann = test_client_new_as(server, "ann", "pw", "confctl");
    test_call(admin, "subscription.open", "{'types':['host']}");
    JsonObject *done = submit(ann, "[{\"op\":\"create\",\"object\":{\"type\":\"host\",\"name\":\"h1\"}},"
                                   "{\"op\":\"create\",\"object\":{\"type\":\"host\",\"name\":\"h2\"}}]");
    int64_t revision = json_object_get_int_member(done, "revision");
    g_assert_true(json_object_get_null_member(done, "error"));
    JsonObject *changes = test_wait_notification(admin, "changes");
    g_assert_cmpint(json_object_get_int_member(changes, "revision"), ==, revision);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(changes, "changes")), ==, 2);
    g_assert_true(json_object_has_member(json_object_get_object_member(changes, "by"), "user"));
    /* With its rights, all or nothing, and any text at all. */
    g_assert_cmpint(code_of(submit(ann, "[{\"op\":\"create\",\"object\":{\"type\":\"host\",\"name\":\"h3\"}},"
                                        "{\"op\":\"delete\",\"type\":\"host\",\"name\":\"h1\"}]")),
                    ==, -32005);
    g_assert_cmpint(
        code_of(submit(ann, "[{\"op\":\"update\",\"type\":\"host\",\"name\":\"h9\",\"patch\":{}}]")), ==,
        -32004);
    static const char *const nonsense[] = {"", "[", "{}", "7", "[[]]", "[{\"op\":\"nonsense\"}]", "[] []"};
    for (unsigned i = 0; i < G_N_ELEMENTS(nonsense); i++) {
        int64_t code = code_of(submit(ann, nonsense[i]));
        g_assert_true(code == -32602 || code == -32700 || code == -32600);
    }
    test_call_error(admin, -32004, "object.read", "{'type':'host','name':'h3'}");
    /* A dbid is the server's to give. */
    g_assert_cmpint(
        code_of(
            submit(ann, "[{\"op\":\"create\",\"object\":{\"type\":\"host\",\"name\":\"h4\",\"dbid\":1}}]")),
        ==, -32602);
    g_assert_cmpint(test_statistic(admin, "t-session.done"), ==, 11);
    /* A read-only proxy refuses as it refuses its clients. */
    g_autoptr(TestServer) proxy = test_proxy_with(server, "p1", "t-session", NULL);
    g_autoptr(TestClient) client = test_client_new(proxy);
    g_assert_cmpint(
        code_of(submit(client, "[{\"op\":\"create\",\"object\":{\"type\":\"host\",\"name\":\"h5\"}}]")), ==,
        -32007);
    /* done() follows, also when the server stops with writes under way. */
    for (unsigned i = 0; i < 50; i++)
        test_send(admin, "t-session.submit",
                  "{'text':'[{\\\"op\\\":\\\"create\\\",\\\"object\\\":{\\\"type\\\":\\\"host\\\","
                  "\\\"name\\\":\\\"s%u\\\"}}]'}",
                  i);
    test_server_signal(server, SIGTERM);
    test_client_wait_closed(admin);
}

static JsonObject *
transaction(TestClient *client, const char *params)
{
    g_autofree char *text = g_strescape(params, NULL);
    return test_call(client, "t-session.transaction", "{'text':'%s'}", text);
}

/* The whole method: results, dry run, and what was deleted under its own dbid. */
static void
test_transaction(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-session", NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    JsonObject *result = json_object_get_object_member(
        transaction(client,
                    "{\"operations\":[{\"op\":\"create\",\"object\":{\"type\":\"host\",\"name\":\"h1\"}}]}"),
        "result");
    int64_t revision = json_object_get_int_member(result, "revision");
    JsonArray *results = json_object_get_array_member(result, "results");
    int64_t dbid = json_object_get_int_member(json_array_get_object_element(results, 0), "dbid");
    g_assert_cmpint(
        json_object_get_int_member(test_call(client, "object.count", "{'type':'host'}"), "revision"), ==,
        revision);
    result = json_object_get_object_member(
        transaction(
            client,
            "{\"dryRun\":true,\"operations\":[{\"op\":\"delete\",\"type\":\"host\",\"name\":\"h1\"}]}"),
        "result");
    g_assert_true(json_object_get_boolean_member(result, "dryRun"));
    JsonObject *change = json_array_get_object_element(json_object_get_array_member(result, "changes"), 0);
    g_assert_cmpstr(json_object_get_string_member(change, "op"), ==, "delete");
    static const char *const nonsense[] = {"",
                                           "[]",
                                           "{\"operations\":{}}",
                                           "{\"operations\":[],\"more\":1}",
                                           "{\"operations\":[]",
                                           "{\"operations\":[],\"dryRun\":1}",
                                           "{\"operations\":[]} 7"};
    for (unsigned i = 0; i < G_N_ELEMENTS(nonsense); i++)
        g_assert_cmpint(code_of(transaction(client, nonsense[i])), ==, -32602);
    /* One that stands there, one that was never given: neither comes back. */
    for (unsigned i = 0; i < 2; i++) {
        g_autofree char *params = g_strdup_printf(
            "{\"operations\":[{\"op\":\"create\",\"object\":{\"type\":\"host\",\"name\":\"back\","
            "\"dbid\":%" G_GINT64_FORMAT "}}]}",
            dbid + 1000 * i);
        g_assert_cmpint(code_of(transaction(client, params)), ==, -32602);
    }
    test_call(client, "object.delete", "{'type':'host','dbid':%" G_GINT64_FORMAT "}", dbid);
    g_autofree char *params =
        g_strdup_printf("{\"operations\":[{\"op\":\"create\",\"object\":{\"type\":\"host\",\"name\":\"back\","
                        "\"dbid\":%" G_GINT64_FORMAT "}},{\"op\":\"create\",\"object\":{\"type\":\"host\","
                        "\"name\":\"new\"}}]}",
                        dbid);
    JsonObject *answer = transaction(client, params);
    g_assert_true(json_object_get_null_member(answer, "error"));
    result = json_object_get_object_member(answer, "result");
    results = json_object_get_array_member(result, "results");
    g_assert_cmpint(json_object_get_int_member(json_array_get_object_element(results, 0), "dbid"), ==, dbid);
    g_assert_cmpint(json_object_get_int_member(json_array_get_object_element(results, 1), "dbid"), >, dbid);
    /* It is stored so. */
    test_server_signal(server, SIGKILL);
    test_server_start(server);
    g_autoptr(TestClient) again = test_client_new(server);
    JsonObject *read = test_call(again, "object.read", "{'type':'host','dbid':%" G_GINT64_FORMAT "}", dbid);
    g_assert_cmpstr(json_object_get_string_member(json_object_get_object_member(read, "object"), "name"), ==,
                    "back");
}

static JsonObject *
member(JsonObject *object, const char *name)
{
    return json_object_get_object_member(object, name);
}

/* The one change of the commit at `index`. */
static JsonObject *
change_of(JsonArray *commits, unsigned index)
{
    JsonObject *commit = json_array_get_object_element(commits, index);
    g_assert_cmpint(json_object_get_int_member(commit, "length"), ==, 1);
    g_assert_true(json_object_get_boolean_member(commit, "ends"));
    g_assert_cmpint(json_object_get_int_member(commit, "store"), ==,
                    json_object_get_int_member(commit, "revision"));
    return json_array_get_object_element(json_object_get_array_member(commit, "changes"), 0);
}

static void
test_committed(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-commit", NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    int64_t person = create(client, "person", "ann", ""),
            host = create(client, "host", "h1", ",'address':'10.0.0.1'");
    test_call(client, "object.update", "{'type':'host','name':'h1','patch':{'address':'10.0.0.2'}}");
    test_call(client, "permission.update",
              "{'type':'host','name':'h1','grant':[{'account':{'type':'person','dbid':%" G_GINT64_FORMAT
              "},'rights':['read']}]}",
              person);
    test_call(client, "account.setPassword", "{'dbid':%" G_GINT64_FORMAT ",'password':'one'}", person);
    test_call(client, "object.delete", "{'type':'host','name':'h1'}");
    int64_t application = create(client, "application", "app", ",'applicationType':'genericServer'");
    for (unsigned i = 0; i < 2; i++)
        test_call(client, "account.setPassword",
                  "{'type':'application','dbid':%" G_GINT64_FORMAT ",'secret':'s%u'}", application, i);
    int64_t before = g_get_real_time() / 1000;
    JsonObject *taken = test_call(client, "t-commit.taken", "{}");
    g_assert_cmpint(json_object_get_int_member(taken, "broken"), ==, 0);
    JsonArray *commits = json_object_get_array_member(taken, "commits");
    /* That there is a secret shows in the body, that it is another one does not. */
    static const char *const kinds[] = {"create", "create", "update", "permission", "update",
                                        "delete", "create", "update", "secret"};
    g_assert_cmpuint(json_array_get_length(commits), ==, G_N_ELEMENTS(kinds));
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        JsonObject *commit = json_array_get_object_element(commits, i), *change = change_of(commits, i);
        g_assert_cmpstr(json_object_get_string_member(change, "kind"), ==, kinds[i]);
        g_assert_cmpint(json_object_get_null_member(change, "before"), ==, strcmp(kinds[i], "create") == 0);
        g_assert_cmpint(json_object_get_null_member(change, "after"), ==, strcmp(kinds[i], "delete") == 0);
        g_assert_true(json_object_get_boolean_member(change, "present"));
        g_assert_cmpint(json_object_get_int_member(commit, "revision"), ==, 2 + (int64_t)i);
        g_assert_cmpint(json_object_get_int_member(commit, "from"), ==, 0);
        g_assert_cmpint(json_object_get_int_member(commit, "user"), >, 0);
        g_assert_cmpint(json_object_get_int_member(commit, "application"), >, 0);
        g_assert_true(g_str_has_prefix(json_object_get_string_member(commit, "address"), "127.0.0.1"));
        g_assert_cmpint(ABS(before - json_object_get_int_member(commit, "time")), <, 60000);
        JsonObject *record = member(commit, "record");
        g_assert_cmpint(json_object_get_int_member(record, "revision"), ==, 2 + (int64_t)i);
        JsonObject *entry = json_array_get_object_element(json_object_get_array_member(record, "changes"), 0);
        g_assert_cmpstr(json_object_get_string_member(entry, "op"), ==, kinds[i]);
        g_assert_true(json_array_get_length(json_object_get_array_member(change, "rights")) > 0);
    }
    JsonObject *update = change_of(commits, 2);
    g_assert_cmpstr(json_object_get_string_member(member(member(update, "before"), "body"), "address"), ==,
                    "10.0.0.1");
    g_assert_cmpstr(json_object_get_string_member(member(member(update, "after"), "body"), "address"), ==,
                    "10.0.0.2");
    g_assert_cmpstr(json_object_get_string_member(member(update, "after"), "type"), ==, "host");
    g_assert_cmpstr(json_object_get_string_member(member(update, "after"), "name"), ==, "h1");
    g_assert_cmpint(json_object_get_int_member(member(update, "after"), "dbid"), ==, host);
    g_assert_cmpint(json_object_get_int_member(member(update, "before"), "revision"), ==, 3);
    g_assert_cmpint(json_object_get_int_member(member(update, "after"), "revision"), ==, 4);
    g_assert_false(test_client_has_seen(client, "yescrypt"));
    g_assert_false(test_client_has_seen(client, "$y$"));
    /* The last one's chain is the server's. */
    g_autofree char *chain = g_strdup(json_object_get_string_member(taken, "chain"));
    JsonObject *info = test_call(client, "server.info", "{}");
    g_assert_cmpstr(json_object_get_string_member(info, "chain"), ==, chain);
    /* Several changes are one commit. */
    test_call(client, "transaction",
              "{'operations':[{'op':'create','object':{'type':'host','name':'a'}},"
              "{'op':'create','object':{'type':'host','name':'b'}}]}");
    commits = json_object_get_array_member(test_call(client, "t-commit.taken", "{}"), "commits");
    g_assert_cmpuint(json_array_get_length(commits), ==, 1);
    g_assert_cmpint(json_object_get_int_member(json_array_get_object_element(commits, 0), "length"), ==, 2);
}

/* On a proxy each commit of the stream, and a fold where it had to load anew. */
static void
test_committed_on_proxy(void)
{
    g_autoptr(TestServer) master = test_primary_with("t-commit", "recent-changes = 1 MiB");
    g_autoptr(TestServer) proxy = test_proxy_with(master, "p1", "t-commit", NULL);
    g_autoptr(TestClient) admin = test_client_new(master);
    g_autoptr(TestClient) client = test_client_new(proxy);
    test_call(admin, "t-commit.taken", "{}");
    test_call(client, "t-commit.taken", "{}");
    for (unsigned i = 0; i < 5; i++)
        create(admin, "host", (const char *[]){"a", "b", "c", "d", "e"}[i], "");
    test_call(admin, "object.delete", "{'type':'host','name':'a'}");
    int64_t revision = json_object_get_int_member(test_call(admin, "server.info", "{}"), "revision");
    test_wait_revision(client, revision);
    JsonObject *on_master = test_call(admin, "t-commit.taken", "{}");
    g_assert_cmpint(json_object_get_int_member(on_master, "broken"), ==, 0);
    g_autofree char *chain = g_strdup(json_object_get_string_member(on_master, "chain"));
    JsonObject *taken = test_call(client, "t-commit.taken", "{}");
    g_assert_cmpstr(json_object_get_string_member(taken, "chain"), ==, chain);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(taken, "commits")), ==, 6);
    /* More than the master remembers, while the proxy is away. */
    kill(test_server_get_pid(proxy), SIGSTOP);
    test_server_signal(master, SIGKILL);
    test_server_start(master);
    g_autoptr(TestClient) again = test_client_new(master);
    g_autofree char *large = g_strnfill(200 * 1000, 'x');
    for (unsigned i = 0; i < 20; i++)
        test_call(again, "object.update", "{'type':'host','name':'b','patch':{'annex':{'a':{'b':'%s%u'}}}}",
                  large, i);
    kill(test_server_get_pid(proxy), SIGCONT);
    test_wait_revision(client, revision + 20);
    taken = test_call(client, "t-commit.taken", "{}");
    JsonArray *commits = json_object_get_array_member(taken, "commits");
    g_assert_cmpuint(json_array_get_length(commits), ==, 1);
    JsonObject *fold = json_array_get_object_element(commits, 0);
    g_assert_cmpint(json_object_get_int_member(fold, "revision"), ==, revision + 20);
    g_assert_cmpint(json_object_get_int_member(fold, "from"), ==, revision);
    g_assert_cmpint(json_object_get_int_member(fold, "user"), ==, 0);
}

/* What is gone may be judged by the rights that it had last. */
static void
test_rights_of_the_past(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-commit", NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    add_person(admin, "ann", "'read','change'");
    add_person(admin, "bob", "'create'");
    int64_t host = create(admin, "host", "h1", "");
    test_call(admin, "object.delete", "{'type':'host','name':'h1'}");
    /* Granted later, to what is there later. */
    g_autoptr(TestClient) ann = test_client_new_as(server, "ann", "pw", "confctl");
    g_autoptr(TestClient) bob = test_client_new_as(server, "bob", "pw", "confctl");
    const struct {
        TestClient *client;
        const char *right;
        bool may;
    } cases[] = {{ann, "read", true},
                 {ann, "delete", false},
                 {bob, "read", false},
                 {bob, "create", true},
                 {admin, "delete", true}};
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        JsonObject *answer =
            test_call(cases[i].client, "t-commit.may", "{'object':'host %" G_GINT64_FORMAT "','right':'%s'}",
                      host, cases[i].right);
        g_assert_true(json_object_get_boolean_member(answer, "known"));
        g_assert_false(json_object_get_boolean_member(answer, "misled"));
        g_assert_cmpint(json_object_get_boolean_member(answer, "may"), ==, cases[i].may);
    }
}

static int64_t
count(TestClient *client, const char *filter)
{
    return json_object_get_int_member(
        test_call(client, "object.count", "{'type':'host','filter':%s}", filter), "count");
}

/* Absent from reads, lists, counts and what refers, and from what may be written. */
static void
test_hidden(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-visible, t-session", NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    add_person(admin, "blind-ann", "'read','create','change','delete'");
    int64_t light = create(admin, "host", "light", ""), dark = create(admin, "host", "dark", "");
    int64_t application = create(admin, "application", "dark-app", ",'applicationType':'genericServer'");
    g_autofree char *reference =
        g_strdup_printf(",'applicationType':'genericServer','host':%" G_GINT64_FORMAT, light);
    int64_t referrer = create(admin, "application", "dark-referrer", reference);
    test_call(
        admin, "permission.update",
        "{'path':'/Environment/Applications','grant':[{'account':{'type':'person','dbid':%" G_GINT64_FORMAT
        "},'rights':['read','change']}]}",
        json_object_get_int_member(
            member(test_call(admin, "object.read", "{'type':'person','name':'blind-ann'}"), "object"),
            "dbid"));
    g_autoptr(TestClient) blind = test_client_new_as(server, "blind-ann", "pw", "confctl");
    g_assert_cmpint(count(admin, "{}"), ==, 2);
    g_assert_cmpint(count(blind, "{}"), ==, 1);
    g_assert_cmpint(count(blind, "{'name':{'like':'*'}}"), ==, 1);
    test_call(blind, "object.read", "{'type':'host','name':'light'}");
    const char *const forms[] = {"'type':'host','name':'dark'", "'path':'/Environment/Hosts/dark'"};
    for (unsigned i = 0; i < G_N_ELEMENTS(forms); i++) {
        JsonObject *error = test_call_error(blind, -32004, "object.read", "{%s}", forms[i]);
        g_assert_nonnull(test_error_message(error));
        test_call_error(blind, -32004, "permission.read", "{%s}", forms[i]);
        test_call_error(blind, -32004, "object.update", "{%s,'patch':{'address':'1'}}", forms[i]);
        test_call_error(blind, -32004, "object.delete", "{%s}", forms[i]);
        test_call_error(blind, -32004, "permission.update", "{%s,'inherit':true}", forms[i]);
        test_call(admin, "object.read", "{%s}", forms[i]);
    }
    test_call_error(blind, -32004, "object.read", "{'type':'host','dbid':%" G_GINT64_FORMAT "}", dark);
    test_call_error(blind, -32004, "t-session.read", "{'type':'host','dbid':%" G_GINT64_FORMAT "}", dark);
    JsonArray *list = json_object_get_array_member(
        test_call(blind, "object.list", "{'type':'host','order':'name'}"), "objects");
    g_assert_cmpuint(json_array_get_length(list), ==, 1);
    /* What it refers to, and what refers to it, it does not lead to. */
    list = json_object_get_array_member(
        test_call(blind, "object.list", "{'filter':{'refersTo':{'type':'host','dbid':%" G_GINT64_FORMAT "}}}",
                  light),
        "objects");
    g_assert_cmpuint(json_array_get_length(list), ==, 0);
    list = json_object_get_array_member(
        test_call(admin, "object.list", "{'filter':{'refersTo':{'type':'host','dbid':%" G_GINT64_FORMAT "}}}",
                  light),
        "objects");
    g_assert_cmpuint(json_array_get_length(list), ==, 1);
    test_call_error(blind, -32004, "object.update",
                    "{'type':'application','dbid':%" G_GINT64_FORMAT ",'patch':{'host':%" G_GINT64_FORMAT
                    "}}",
                    application, dark);
    JsonObject *error = test_call_error(blind, -32008, "object.delete", "{'type':'host','name':'light'}");
    JsonObject *data = member(error, "data");
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(data, "referrers")), ==, 0);
    g_assert_true(json_object_get_boolean_member(data, "others"));
    g_assert_cmpint(referrer, >, 0);
    /* A reference to what is hidden is one to what is missing. */
    int64_t own = create(admin, "application", "app", ",'applicationType':'genericServer'");
    test_call_error(blind, -32602, "object.update",
                    "{'type':'application','dbid':%" G_GINT64_FORMAT ",'patch':{'host':%" G_GINT64_FORMAT
                    "}}",
                    own, dark);
    test_call(blind, "object.update",
              "{'type':'application','dbid':%" G_GINT64_FORMAT ",'patch':{'host':%" G_GINT64_FORMAT "}}", own,
              light);
    JsonObject *refused = submit(blind, "[{\"op\":\"delete\",\"type\":\"host\",\"name\":\"dark\"}]");
    g_assert_cmpint(code_of(refused), ==, -32004);
    g_assert_false(test_client_has_seen(blind, "\"name\":\"dark"));
}

static const char *
next_op(TestClient *client)
{
    JsonObject *changes = test_wait_notification(client, "changes");
    return json_object_get_string_member(
        json_array_get_object_element(json_object_get_array_member(changes, "changes"), 0), "op");
}

/* Not in notifications either: not at first, not live, not after a break; it comes and goes with what it
 * is. */
static void
test_hidden_from_notifications(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-visible", NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    add_person(admin, "blind-ann", "'read'");
    create(admin, "host", "light", "");
    create(admin, "host", "dark", "");
    int64_t start = json_object_get_int_member(test_call(admin, "server.info", "{}"), "revision");
    TestClient *blind = test_client_new_as(server, "blind-ann", "pw", "confctl");
    test_call(blind, "subscription.open", "{'types':['host'],'initial':true}");
    test_wait_notification(blind, "subscription.loaded");
    test_call(admin, "subscription.open", "{'types':['host']}");
    g_assert_true(test_client_has_seen(blind, "\"light\""));
    test_call(admin, "object.update", "{'type':'host','name':'dark','patch':{'address':'1'}}");
    create(admin, "host", "dark2", "");
    test_call(admin, "object.update", "{'type':'host','name':'light','patch':{'address':'1'}}");
    g_assert_cmpstr(next_op(blind), ==, "update");
    g_assert_false(test_has_notification(blind, "changes"));
    g_assert_false(test_client_has_seen(blind, "dark"));
    /* A name decides here: what leaves the light is deleted, what comes into it created. */
    test_call(admin, "object.update", "{'type':'host','name':'dark2','patch':{'name':'light2'}}");
    g_assert_cmpstr(next_op(blind), ==, "create");
    test_call(admin, "object.update", "{'type':'host','name':'light2','patch':{'name':'dark3'}}");
    g_assert_cmpstr(next_op(blind), ==, "delete");
    g_assert_false(test_client_has_seen(blind, "dark"));
    /* Missed while it was away: the same. */
    JsonObject *opened = test_client_get_session(blind);
    g_autofree char *token = g_strdup(json_object_get_string_member(opened, "session"));
    g_autofree char *environment =
        g_strdup(json_object_get_string_member(member(opened, "server"), "environment"));
    test_client_abort(blind);
    test_client_free(blind);
    test_wait_statistic(admin, "sessionsBroken", 1);
    test_call(admin, "object.update", "{'type':'host','name':'dark','patch':{'address':'2'}}");
    test_call(admin, "object.update", "{'type':'host','name':'light','patch':{'address':'2'}}");
    g_autoptr(TestClient) again = test_client_connect(test_server_get_port(server));
    int64_t revision = json_object_get_int_member(test_call(admin, "server.info", "{}"), "revision");
    JsonObject *resumed = test_call(again, "session.resume",
                                    "{'session':'%s','environment':'%s','revision':%" G_GINT64_FORMAT "}",
                                    token, environment, revision - 2);
    g_assert_cmpint(json_object_get_int_member(resumed, "missed"), ==, 1);
    g_assert_cmpstr(next_op(again), ==, "update");
    g_assert_false(test_has_notification(again, "changes"));
    /* And after `since`. */
    g_autoptr(TestClient) late = test_client_new_as(server, "blind-ann", "pw", "confctl");
    test_call(late, "subscription.open", "{'types':['host'],'since':%" G_GINT64_FORMAT "}", start);
    static const char *const ops[] = {"update", "create", "delete", "update"};
    for (unsigned i = 0; i < G_N_ELEMENTS(ops); i++)
        g_assert_cmpstr(next_op(late), ==, ops[i]);
    g_assert_false(test_has_notification(late, "changes"));
    g_assert_false(test_client_has_seen(again, "dark") || test_client_has_seen(late, "dark"));
    g_assert_cmpint(test_statistic(admin, "t-visible.asked"), >, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/plugins/session/life", test_life);
    g_test_add_func("/integration/plugins/session/end", test_end);
    g_test_add_func("/integration/plugins/session/read", test_read);
    g_test_add_func("/integration/plugins/session/submit", test_submit);
    g_test_add_func("/integration/plugins/session/transaction", test_transaction);
    g_test_add_func("/integration/plugins/session/committed", test_committed);
    g_test_add_func("/integration/plugins/session/committed-on-proxy", test_committed_on_proxy);
    g_test_add_func("/integration/plugins/session/rights-of-the-past", test_rights_of_the_past);
    g_test_add_func("/integration/plugins/session/hidden", test_hidden);
    g_test_add_func("/integration/plugins/session/hidden-from-notifications", test_hidden_from_notifications);
    return g_test_run();
}
