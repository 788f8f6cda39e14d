/* test-history-methods.c - the past as clients see it: asOf, history.list, history.revert,
 * history.sessions. */
#include "history-model.h"

#include <stdio.h>
#include <string.h>

#define HISTORY "plugins = history\n"

/* What was read live is read again, on a primary and on a proxy that keeps a history of its own. */
static void
test_as_of(void)
{
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    test_history_model(server, server, 11, 40, 8);
    g_autoptr(TestServer) proxy = test_proxy_new(server, "proxy1", "[csproxy]\n" HISTORY);
    test_history_model(server, proxy, 12, 25, 4);
    /* Another start reads it from the file. */
    g_autoptr(TestClient) before = test_client_new(server);
    int64_t then = test_history_revision(before) - 5;
    g_autofree char *live = test_history_list(before, "", then, 1000);
    test_server_signal(server, SIGKILL);
    test_server_start(server);
    g_autoptr(TestClient) client = test_client_new(server);
    g_autofree char *again = test_history_list(client, "", then, 1000);
    g_assert_cmpstr(live, ==, again);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    test_wait_revision(reader, then + 5);
    g_autofree char *there = test_history_list(reader, "", then, 1000);
    g_assert_cmpstr(live, ==, there);
}

static int64_t
create(TestClient *client, const char *type, const char *name, const char *more)
{
    JsonObject *created =
        test_call(client, "object.create", "{'object':{'type':'%s','name':'%s'%s}}", type, name, more);
    return json_object_get_int_member(created, "dbid");
}

static void
grant(TestClient *admin, const char *place, int64_t person, const char *rights)
{
    test_call(admin, "permission.update",
              "{%s,'grant':[{'account':{'type':'person','dbid':%" G_GINT64_FORMAT "},'rights':[%s]}]}", place,
              person, rights);
}

static int64_t
add_person(TestClient *admin, const char *name)
{
    int64_t dbid = create(admin, "person", name, "");
    test_call(admin, "account.setPassword", "{'dbid':%" G_GINT64_FORMAT ",'password':'pw-%s-'}", dbid, name);
    grant(admin, "'type':'application','name':'confctl'", dbid, "'read','execute'");
    return dbid;
}

static TestClient *
log_in(TestServer *server, const char *name)
{
    g_autofree char *password = g_strdup_printf("pw-%s-", name);
    return test_client_new_as(server, name, password, "confctl");
}

/* "revision op name before after; ..." of all pages. */
static char *
list(TestClient *client, const char *params, unsigned limit)
{
    g_autoptr(GString) all = g_string_new(NULL);
    g_autofree char *cursor = g_strdup("");
    for (;;) {
        JsonObject *page = test_call(client, "history.list", "{'limit':%u%s%s%s}", limit,
                                     *params != '\0' ? "," : "", params, cursor);
        JsonArray *entries = json_object_get_array_member(page, "entries");
        g_assert_cmpuint(json_array_get_length(entries), <=, limit);
        for (unsigned i = 0; i < json_array_get_length(entries); i++) {
            JsonObject *entry = json_array_get_object_element(entries, i);
            g_string_append_printf(all, "%s%s %s", all->len > 0 ? "; " : "",
                                   json_object_get_string_member(entry, "op"),
                                   json_object_get_string_member(entry, "name"));
            for (unsigned k = 0; k < 2; k++) {
                static const char *const sides[] = {"before", "after"};
                JsonNode *side = json_object_get_member(entry, sides[k]);
                g_autofree char *text = side != NULL ? json_to_string(side, FALSE) : g_strdup("-");
                g_string_append_printf(all, " %s", text);
            }
        }
        if (!json_object_has_member(page, "cursor"))
            return g_strdup(all->str);
        g_free(cursor);
        cursor = g_strdup_printf(",'cursor':'%s'", json_object_get_string_member(page, "cursor"));
    }
}

static void
assert_list(TestClient *client, const char *params, const char *wanted)
{
    for (unsigned limit = 1; limit < 100; limit += 50) {
        g_autofree char *listed = list(client, params, limit);
        g_assert_cmpstr(listed, ==, wanted);
    }
}

/* Only the members that changed, options and annex key by key, and by whom. */
static void
test_list(void)
{
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestClient) client = test_client_new(server);
    int64_t host = create(client, "host", "h1", ",'annex':{'a':{'k':'1','l':'1'},'b':{'m':'1'}}");
    int64_t first = test_history_revision(client);
    test_call(client, "object.update",
              "{'type':'host','name':'h1','patch':{'address':'1.2.3.4','annex':{'a':{'k':'2'},'b':null}}}");
    /* Times are of milliseconds: one of them lies between the two halves. */
    g_usleep(2000);
    g_autofree char *between = NULL;
    {
        g_autoptr(GDateTime) now = g_date_time_new_now_utc();
        g_autofree char *seconds = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S");
        between = g_strdup_printf("%s.%03dZ", seconds, g_date_time_get_microsecond(now) / 1000);
    }
    g_usleep(2000);
    JsonObject *account = json_object_get_object_member(test_client_get_session(client), "account");
    grant(client, "'type':'host','name':'h1'", json_object_get_int_member(account, "dbid"), "'execute'");
    test_call(client, "object.delete", "{'type':'host','name':'h1'}");
    int64_t last = test_history_revision(client);
    g_autofree char *of_host = g_strdup_printf("'type':'host','dbid':%" G_GINT64_FORMAT, host);
    g_autofree char *all = list(client, of_host, 100);
    g_auto(GStrv) entries = g_strsplit(all, "; ", -1);
    g_assert_cmpuint(g_strv_length(entries), ==, 4);
    g_assert_true(g_str_has_prefix(entries[0], "delete h1 {\"type\":\"host\""));
    g_assert_true(g_str_has_prefix(entries[1], "permission h1 - {\"permissions\":[{\"account\":"));
    g_assert_cmpstr(entries[2], ==,
                    "update h1 {\"annex\":{\"a\":{\"k\":\"1\"},\"b\":{\"m\":\"1\"}}} "
                    "{\"address\":\"1.2.3.4\",\"annex\":{\"a\":{\"k\":\"2\"}}}");
    g_assert_true(g_str_has_prefix(entries[3], "create h1 - {\"type\":\"host\""));
    assert_list(client, of_host, all);
    assert_list(client, "'type':'host'", all);
    /* By revisions, times and persons. */
    g_autofree char *one = g_strdup_printf("%s,'since':%" G_GINT64_FORMAT ",'until':%" G_GINT64_FORMAT,
                                           of_host, first + 1, first + 1);
    assert_list(client, one, entries[2]);
    g_autofree char *after = g_strdup_printf("%s,'since':'%s'", of_host, between);
    g_autofree char *newest = g_strjoin("; ", entries[0], entries[1], NULL);
    assert_list(client, after, newest);
    g_autofree char *before = g_strdup_printf("%s,'until':'%s'", of_host, between);
    g_autofree char *oldest = g_strjoin("; ", entries[2], entries[3], NULL);
    assert_list(client, before, oldest);
    g_autofree char *by_name = g_strdup_printf("%s,'user':'default','application':'confctl'", of_host);
    assert_list(client, by_name, all);
    g_autofree char *by_other = g_strdup_printf("%s,'user':4711", of_host);
    assert_list(client, by_other, "");
    /* A revision on one side, a time on the other; the application by its dbid, and another one. */
    g_autofree char *mixed =
        g_strdup_printf("%s,'since':%" G_GINT64_FORMAT ",'until':'%s'", of_host, first + 1, between);
    assert_list(client, mixed, entries[2]);
    g_autofree char *mixed_back =
        g_strdup_printf("%s,'since':'%s','until':%" G_GINT64_FORMAT, of_host, between, last - 1);
    assert_list(client, mixed_back, entries[1]);
    JsonObject *application = json_object_get_object_member(
        test_call(client, "object.read", "{'type':'application','name':'confctl'}"), "object");
    g_autofree char *by_application =
        g_strdup_printf("%s,'application':%" G_GINT64_FORMAT ",'user':'default'", of_host,
                        json_object_get_int_member(application, "dbid"));
    assert_list(client, by_application, all);
    g_autofree char *by_server = g_strdup_printf("%s,'application':'confserv'", of_host);
    assert_list(client, by_server, "");
    assert_list(client, "'type':'host','dbid':4711", "");
    assert_list(client, "'type':'host','since':5,'until':2", "");
    g_autofree char *by_nobody = g_strdup_printf("%s,'user':'nobody'", of_host);
    assert_list(client, by_nobody, "");
    JsonObject *page = test_call(client, "history.list", "{'limit':1}");
    JsonObject *entry = json_array_get_object_element(json_object_get_array_member(page, "entries"), 0);
    g_assert_cmpint(json_object_get_int_member(entry, "revision"), ==, last);
    g_assert_nonnull(json_object_get_string_member(entry, "time"));
    JsonObject *by = json_object_get_object_member(entry, "by");
    g_assert_cmpint(json_object_get_int_member(by, "user"), >, 0);
    g_assert_cmpint(json_object_get_int_member(by, "application"), >, 0);
    g_assert_true(g_str_has_prefix(json_object_get_string_member(by, "address"), "127.0.0.1"));
    static const char *const wrong[] = {
        "'limit':0",
        "'limit':'1'",
        "'limit':10001",
        "'cursor':'x'",
        "'cursor':'1'",
        "'cursor':1",
        "'cursor':'1.2.3'",
        "'since':'yesterday'",
        "'since':-1",
        "'until':[]",
        "'type':1",
        "'dbid':1",
        "'type':'host','dbid':0",
        "'user':true",
        "'nonsense':1",
        "'user':0",
        "'application':{}",
        "'cursor':'99999999999999999999.1'",
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++)
        test_call_error(client, -32602, "history.list", "{%s}", wrong[i]);
    test_call_error(client, -32004, "history.list", "{'type':'host','name':'h1'}");
    test_call(client, "history.list", "{'path':'/Environment/Hosts'}");
}

/* Who may not read learns nothing; secrets are told to nobody. */
static void
test_visibility(void)
{
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t ann = add_person(admin, "ann");
    int64_t hidden = create(admin, "host", "hidden-one", ",'address':'secret-address'");
    int64_t seen = create(admin, "host", "seen", "");
    test_call(admin, "object.update",
              "{'type':'host','dbid':%" G_GINT64_FORMAT ",'patch':{'name':'hidden-two'}}", hidden);
    int64_t gone = create(admin, "host", "hidden-gone", ""), shown = create(admin, "host", "shown-gone", "");
    int64_t groups[] = {seen, shown};
    for (unsigned i = 0; i < G_N_ELEMENTS(groups); i++) {
        g_autofree char *place = g_strdup_printf("'type':'host','dbid':%" G_GINT64_FORMAT, groups[i]);
        grant(admin, place, ann, "'read'");
    }
    test_call(admin, "object.delete", "{'type':'host','dbid':%" G_GINT64_FORMAT "}", gone);
    test_call(admin, "object.delete", "{'type':'host','dbid':%" G_GINT64_FORMAT "}", shown);
    g_autoptr(TestClient) client = log_in(server, "ann");
    g_autofree char *listed = list(client, "'type':'host'", 2);
    g_auto(GStrv) entries = g_strsplit(listed, "; ", -1);
    g_assert_cmpuint(g_strv_length(entries), ==, 3);
    g_assert_true(g_str_has_prefix(entries[0], "delete shown-gone"));
    g_assert_true(g_str_has_prefix(entries[1], "create shown-gone"));
    g_assert_true(g_str_has_prefix(entries[2], "create seen"));
    static const char *const more[] = {"'user':'default'", "'user':100", "'type':'person'", "", "'until':5"};
    for (unsigned i = 0; i < G_N_ELEMENTS(more); i++)
        g_free(list(client, more[i], 3));
    test_call_error(client, -32005, "history.sessions", "{}");
    static const char *const words[] = {"hidden", "secret-address", "127.0.0.1", "\"permission", "pw-"};
    for (unsigned i = 0; i < G_N_ELEMENTS(words); i++)
        g_assert_false(test_client_has_seen(client, words[i]));
    /* Lists of rights are told to whom readPermissions lets see them. */
    g_autofree char *place = g_strdup_printf("'type':'host','dbid':%" G_GINT64_FORMAT, seen);
    grant(admin, place, ann, "'readPermissions'");
    g_autofree char *rights = list(client, place, 100);
    g_auto(GStrv) told = g_strsplit(rights, "; ", -1);
    g_assert_cmpuint(g_strv_length(told), ==, 3);
    g_assert_true(g_str_has_prefix(told[0], "permission seen {\"permissions\":[{\"account\":"));
    g_assert_true(g_str_has_prefix(told[1], "permission seen - {\"permissions\":[{\"account\":"));
    g_free(list(admin, "", 7));
    g_assert_false(test_client_has_seen(admin, "pw-ann-"));
    g_assert_false(test_client_has_seen(admin, "passwordHash"));
    g_assert_false(test_client_has_seen(admin, "$y$"));
}

static void
test_sessions(void)
{
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestClient) admin = test_client_new(server);
    add_person(admin, "ann");
    TestClient *client = log_in(server, "ann");
    test_call(client, "session.close", "{}");
    test_client_wait_closed(client);
    test_client_free(client);
    g_autoptr(TestClient) refused = test_client_connect(test_server_get_port(server));
    test_call_error(refused, -32001, "session.open",
                    "{'user':'ann','password':'wrong','application':'confctl'}");
    g_autofree char *cursor = g_strdup("");
    g_autoptr(GString) all = g_string_new(NULL);
    for (;;) {
        JsonObject *page = test_call(admin, "history.sessions", "{'limit':1%s}", cursor);
        JsonArray *sessions = json_object_get_array_member(page, "sessions");
        g_assert_cmpuint(json_array_get_length(sessions), <=, 1);
        if (json_array_get_length(sessions) == 1) {
            JsonObject *one = json_array_get_object_element(sessions, 0);
            g_string_append_printf(all, "%s %s %s %s; ", json_object_get_string_member(one, "kind"),
                                   json_object_get_string_member(one, "user"),
                                   json_object_get_string_member(one, "application"),
                                   json_object_get_string_member_with_default(one, "reason", "-"));
            g_assert_true(g_str_has_prefix(json_object_get_string_member(one, "address"), "127.0.0.1"));
            g_assert_cmpint(json_object_has_member(one, "until"), ==,
                            g_strcmp0(json_object_get_string_member(one, "user"), "ann") == 0 &&
                                g_strcmp0(json_object_get_string_member(one, "kind"), "opened") == 0);
        }
        if (!json_object_has_member(page, "cursor"))
            break;
        g_free(cursor);
        cursor = g_strdup_printf(",'cursor':'%s'", json_object_get_string_member(page, "cursor"));
    }
    g_assert_true(g_str_has_prefix(all->str, "refused ann confctl "));
    g_assert_nonnull(strstr(all->str, "; opened ann confctl closed; opened default confctl -; "));
    JsonObject *page =
        test_call(admin, "history.sessions", "{'user':'ann','since':1,'until':'2100-01-01T00:00:00Z'}");
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(page, "sessions")), ==, 2);
    /* By revisions: nobody has come since the last commit, and all of them before the next one. */
    create(admin, "host", "h1", "");
    int64_t last = test_history_revision(admin);
    page = test_call(admin, "history.sessions", "{'since':%" G_GINT64_FORMAT "}", last);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(page, "sessions")), ==, 0);
    page = test_call(admin, "history.sessions", "{'until':%" G_GINT64_FORMAT "}", last - 1);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(page, "sessions")), ==, 3);
    page = test_call(admin, "history.sessions", "{'since':'2100-01-01T00:00:00Z'}");
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(page, "sessions")), ==, 0);
    static const char *const wrong[] = {"'limit':0", "'cursor':'x'", "'user':[]", "'since':'x'",
                                        "'type':'host'"};
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++)
        test_call_error(admin, -32602, "history.sessions", "{%s}", wrong[i]);
}

/* All objects without their revisions, and lists of rights without theirs. */
static char *
describe(TestClient *client, int64_t as_of)
{
    g_autofree char *objects = test_history_list(client, "", as_of, 1000);
    g_autoptr(GRegex) revision = g_regex_new("\"revision\":[0-9]+,", 0, 0, NULL);
    return g_regex_replace_literal(revision, objects, -1, 0, "", 0, NULL);
}

static char *
describe_rights(TestClient *client)
{
    static const char *const paths[] = {"/Environment/Hosts",    "/Environment/Hosts/f1",
                                        "/Environment/Hosts/f2", "/Environment/Hosts/h1",
                                        "/Environment/Hosts/h2", "/Environment/Access Groups/g1"};
    g_autoptr(GString) text = g_string_new(NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(paths); i++) {
        JsonObject *response =
            test_wait_response(client, test_send(client, "permission.read", "{'path':'%s'}", paths[i]));
        if (json_object_has_member(response, "error"))
            continue;
        JsonObject *result = json_object_get_object_member(response, "result");
        g_autofree char *entries = json_to_string(json_object_get_member(result, "entries"), FALSE);
        g_string_append_printf(text, "%s %d %s\n", paths[i],
                               json_object_get_boolean_member(result, "inherited"), entries);
    }
    return g_strdup(text->str);
}

/* A transaction of several operations, or one of those that do more than they say. */
static void
big_step(TestClient *client, GRand *random, int64_t ann)
{
    int a = g_rand_int_range(random, 0, 4), b = g_rand_int_range(random, 0, 4);
    static const char *const paths[] = {"/Environment/Hosts", "/Environment/Hosts/f1",
                                        "/Environment/Hosts/f2", "/Environment/Hosts/h1"};
    g_autofree char *params = NULL;
    const char *method = "transaction";
    switch (g_rand_int_range(random, 0, 7)) {
    case 0:
        params = g_strdup_printf(
            "{'operations':[{'op':'update','type':'host','name':'h%d','patch':{'name':'swap'}},{'op':'update',"
            "'type':'host','name':'h%d','patch':{'name':'h%d'}},{'op':'update','type':'host','name':'swap',"
            "'patch':{'name':'h%d'}}]}",
            a, a + 4, a, a + 4);
        break;
    case 1:
        params = g_strdup_printf(
            "{'operations':[{'op':'delete','type':'host','name':'h%d'},{'op':'delete','type':'host','name':"
            "'h%d'},{'op':'create','object':{'type':'host','name':'new%u'}}]}",
            a, a + b + 1, g_rand_int(random));
        break;
    case 2:
        method = "object.update";
        params = g_strdup_printf("{'path':'%s','patch':{'state':'%s'}}", paths[1 + a % 3],
                                 b % 2 == 0 ? "disabled" : "enabled");
        break;
    case 3:
        method = "permission.update";
        params = g_strdup_printf("{'path':'%s','grant':[{'account':{'type':'person','dbid':%" G_GINT64_FORMAT
                                 "},'rights':['%s']}]}",
                                 paths[a], ann, b % 2 == 0 ? "read" : "change");
        break;
    case 4:
        method = "permission.update";
        params = g_strdup_printf("{'path':'%s','inherit':true}", paths[1 + a % 3]);
        break;
    case 5:
        method = "object.update";
        params = g_strdup_printf("{'type':'accessGroup','name':'g1','%s':{'members':[%" G_GINT64_FORMAT "]}}",
                                 b % 2 == 0 ? "add" : "remove", ann);
        break;
    default:
        method = "object.update";
        params = g_strdup_printf("{'type':'host','name':'h%d','patch':{'annex':{'a':{'k%d':'%u'},'s%d':%s}}}",
                                 a, b, g_rand_int(random), b, a % 2 == 0 ? "{'x':'y'}" : "null");
    }
    test_wait_response(client, test_send(client, method, "%s", params));
}

/* Whatever the last transaction did, it is undone; and then its undoing. */
static void
test_revert_model(void)
{
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestClient) client = test_client_new(server);
    GRand *random = g_rand_new_with_seed(5);
    int64_t ann = add_person(client, "ann");
    create(client, "accessGroup", "g1", ",'kind':'custom'");
    for (unsigned i = 0; i < 60; i++)
        test_history_step(client, random);
    unsigned reverted = 0;
    for (unsigned i = 0; i < 100; i++) {
        g_autofree char *before = describe(client, 0), *rights = describe_rights(client);
        int64_t revision = test_history_revision(client);
        if (i % 2 == 0)
            test_history_step(client, random);
        else
            big_step(client, random, ann);
        if (test_history_revision(client) == revision)
            continue;
        g_assert_cmpint(test_history_revision(client), ==, revision + 1);
        g_autofree char *after = describe(client, 0);
        for (unsigned k = 0; k < 2; k++) {
            JsonObject *planned =
                test_call(client, "history.revert", "{'revision':%" G_GINT64_FORMAT ",'dryRun':true}",
                          revision + 1 + k);
            g_assert_true(json_object_get_boolean_member(planned, "dryRun"));
            JsonObject *done =
                test_call(client, "history.revert", "{'revision':%" G_GINT64_FORMAT "}", revision + 1 + k);
            g_assert_cmpint(json_object_get_int_member(done, "revision"), ==, revision + 2 + k);
            g_autofree char *now = describe(client, 0);
            g_assert_cmpstr(now, ==, k == 0 ? before : after);
            g_autofree char *rights_now = describe_rights(client);
            if (k == 0)
                g_assert_cmpstr(rights_now, ==, rights);
        }
        reverted++;
    }
    g_assert_cmpuint(reverted, >, 20);
    g_rand_free(random);
}

/* One object, at any time, also one that is gone. */
static void
test_revert_object(void)
{
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestClient) client = test_client_new(server);
    int64_t host = create(client, "host", "h1", ",'address':'1','annex':{'a':{'k':'1'}}");
    int64_t ann = add_person(client, "ann");
    g_autofree char *place = g_strdup_printf("'type':'host','dbid':%" G_GINT64_FORMAT, host);
    grant(client, place, ann, "'read','change'");
    int64_t first = test_history_revision(client);
    test_call(client, "object.update", "{%s,'patch':{'address':'2','annex':{'a':null,'b':{'l':'2'}}}}",
              place);
    test_call(client, "object.update", "{%s,'patch':{'address':'3','name':'h2'}}", place);
    int64_t third = test_history_revision(client);
    test_call(client, "object.delete", "{%s}", place);
    test_call(client, "history.revert", "{%s,'toRevision':%" G_GINT64_FORMAT "}", place, first);
    JsonObject *object =
        json_object_get_object_member(test_call(client, "object.read", "{%s}", place), "object");
    g_assert_cmpstr(json_object_get_string_member(object, "name"), ==, "h1");
    g_assert_cmpstr(json_object_get_string_member(object, "address"), ==, "1");
    g_assert_false(json_object_has_member(json_object_get_object_member(object, "annex"), "b"));
    /* With its list of rights. */
    g_autoptr(TestClient) reader = log_in(server, "ann");
    test_call(reader, "object.read", "{%s}", place);
    test_call(client, "history.revert", "{%s,'toRevision':%" G_GINT64_FORMAT "}", place, third);
    object = json_object_get_object_member(test_call(client, "object.read", "{%s}", place), "object");
    g_assert_cmpstr(json_object_get_string_member(object, "name"), ==, "h2");
    g_assert_false(json_object_has_member(json_object_get_object_member(object, "annex"), "a"));
    /* Nothing to do commits nothing; what was not there goes. */
    int64_t now = test_history_revision(client);
    JsonObject *nothing =
        test_call(client, "history.revert", "{%s,'toRevision':%" G_GINT64_FORMAT "}", place, now);
    g_assert_cmpint(json_object_get_int_member(nothing, "revision"), ==, now);
    /* The rights of the session hold: ann may change, but not bring about its end. */
    test_call(reader, "history.revert", "{%s,'toRevision':%" G_GINT64_FORMAT "}", place, first);
    test_call_error(reader, -32005, "history.revert", "{%s,'toRevision':1}", place);
    test_call(client, "history.revert", "{%s,'toRevision':1}", place);
    test_call_error(client, -32004, "object.read", "{%s}", place);
    test_call_error(client, -32004, "history.revert", "{'type':'host','dbid':4711,'toRevision':2}");
    static const char *const wrong[] = {
        "",
        "'revision':0",
        "'revision':99999",
        "'revision':'1'",
        "'toRevision':2",
        "'type':'host','dbid':1",
        "'revision':2,'toRevision':2",
        "'revision':2,'type':'host','dbid':1",
        "'revision':2,'force':1",
        "'revision':2,'dryRun':'no'",
        "'revision':2,'nonsense':1",
        "'type':'host','dbid':-1,'toRevision':2",
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++)
        test_call_error(client, -32602, "history.revert", "{%s}", wrong[i]);
    test_call_error(client, -32011, "history.revert", "{'revision':1}");
}

/* Later changes are not lost unasked; others than those in question stay. */
static void
test_conflicts(void)
{
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestClient) client = test_client_new(server);
    int64_t app = create(client, "application", "a1",
                         ",'applicationType':'genericServer','ports':[{'id':'default','port':1}]");
    g_autofree char *place = g_strdup_printf("'type':'application','dbid':%" G_GINT64_FORMAT, app);
    test_call(client, "object.update",
              "{%s,'patch':{'commandLine':'2','version':'2','options':{'s':{'k':'2','l':'2'}},"
              "'ports':[{'id':'default','port':2},{'id':'other','port':3}]}}",
              place);
    int64_t revision = test_history_revision(client);
    test_call(client, "object.update",
              "{%s,'patch':{'commandLine':'3','options':{'s':{'l':'3','m':'3'}}},"
              "'add':{'ports':[{'id':'third','port':9}]}}",
              place);
    int64_t later = test_history_revision(client);
    JsonObject *error =
        test_call_error(client, -32009, "history.revert", "{'revision':%" G_GINT64_FORMAT "}", revision);
    JsonArray *conflicts =
        json_object_get_array_member(json_object_get_object_member(error, "data"), "conflicts");
    g_assert_cmpuint(json_array_get_length(conflicts), ==, 2);
    g_autoptr(GString) members = g_string_new(NULL);
    for (unsigned i = 0; i < 2; i++) {
        JsonObject *conflict = json_array_get_object_element(conflicts, i);
        g_string_append_printf(members, "%s ", json_object_get_string_member(conflict, "member"));
        g_assert_cmpint(json_object_get_int_member(conflict, "dbid"), ==, app);
        g_assert_cmpint(json_object_get_int_member(conflict, "revision"), ==, later);
    }
    g_assert_nonnull(strstr(members->str, "commandLine "));
    g_assert_nonnull(strstr(members->str, "options/s/l "));
    test_call(client, "history.revert", "{'revision':%" G_GINT64_FORMAT ",'force':true}", revision);
    JsonObject *object =
        json_object_get_object_member(test_call(client, "object.read", "{%s}", place), "object");
    g_assert_false(json_object_has_member(object, "commandLine"));
    g_assert_false(json_object_has_member(object, "version"));
    g_autofree char *options = json_to_string(json_object_get_member(object, "options"), FALSE);
    g_assert_cmpstr(options, ==, "{\"s\":{\"m\":\"3\"}}");
    JsonArray *ports = json_object_get_array_member(object, "ports");
    g_assert_cmpuint(json_array_get_length(ports), ==, 2);
    g_assert_cmpint(json_object_get_int_member(json_array_get_object_element(ports, 0), "port"), ==, 1);
    g_assert_cmpstr(json_object_get_string_member(json_array_get_object_element(ports, 1), "id"), ==,
                    "third");
    /* What was created and changed since does not go unasked; what may not be read is not undone in part. */
    test_call_error(client, -32009, "history.revert", "{'revision':%" G_GINT64_FORMAT "}", revision - 1);
    int64_t ann = add_person(client, "ann");
    g_assert_cmpint(ann, >, 0);
    g_autoptr(TestClient) other = log_in(server, "ann");
    test_call_error(other, -32005, "history.revert", "{'revision':%" G_GINT64_FORMAT "}", revision);
    g_assert_false(test_client_has_seen(other, "commandLine"));
    test_call(client, "history.revert", "{'revision':%" G_GINT64_FORMAT ",'force':true}", revision - 1);
    test_call_error(client, -32004, "object.read", "{%s}", place);
    /* A password does not come back. */
    test_call(client, "account.setPassword", "{'dbid':%" G_GINT64_FORMAT ",'password':'another'}", ann);
    test_call(client, "history.list", "{'limit':1}");
}

/* A proxy shows its own history, and writes nothing. */
static void
test_proxy(void)
{
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestServer) proxy = test_proxy_new(server, "proxy1", "[csproxy]\n" HISTORY);
    g_autoptr(TestClient) admin = test_client_new(server), client = test_client_new(proxy);
    create(admin, "host", "h1", "");
    test_call(admin, "object.update", "{'type':'host','name':'h1','patch':{'address':'1'}}");
    int64_t revision = test_history_revision(admin);
    test_wait_revision(client, revision);
    g_autofree char *there = list(client, "'type':'host'", 10), *here = list(admin, "'type':'host'", 10);
    g_assert_cmpstr(there, ==, here);
    JsonObject *error =
        test_call_error(client, -32007, "history.revert", "{'revision':%" G_GINT64_FORMAT "}", revision);
    g_assert_true(json_object_has_member(json_object_get_object_member(error, "data"), "master"));
    test_call_error(client, -32007, "history.revert",
                    "{'type':'host','name':'h1','toRevision':%" G_GINT64_FORMAT "}", revision - 1);
}

static char *
dup_changed(TestClient *client, int64_t person)
{
    JsonObject *read =
        test_call(client, "object.read", "{'type':'person','dbid':%" G_GINT64_FORMAT "}", person);
    return g_strdup(
        json_object_get_string_member(json_object_get_object_member(read, "object"), "passwordChanged"));
}

/* That transaction was of nothing but a secret: it is refused, with force too, and nothing happens. */
static void
expect_secret(TestClient *client, int64_t revision, const char *type, int64_t dbid)
{
    g_autofree char *params = g_strdup_printf("{'type':'%s','dbid':%" G_GINT64_FORMAT "}", type, dbid);
    g_autofree char *before = json_to_string(
        json_object_get_member(test_call(client, "object.read", "%s", params), "object"), FALSE);
    for (unsigned i = 0; i < 2; i++) {
        JsonObject *error =
            test_call_error(client, -32602, "history.revert", "{'revision':%" G_GINT64_FORMAT ",'force':%s}",
                            revision, i == 0 ? "false" : "true");
        g_assert_cmpstr(json_object_get_string_member(json_object_get_object_member(error, "data"), "path"),
                        ==, "/revision");
    }
    g_autofree char *after = json_to_string(
        json_object_get_member(test_call(client, "object.read", "%s", params), "object"), FALSE);
    g_assert_cmpstr(after, ==, before);
    g_assert_cmpint(test_history_revision(client), ==, revision);
}

/* What cannot be brought back is said; a tenant comes back with all that went with it. */
static void
test_revert_refused(void)
{
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestClient) client = test_client_new(server);
    int64_t ann = add_person(client, "ann");
    test_call(client, "account.setPassword", "{'dbid':%" G_GINT64_FORMAT ",'password':'another-secret-9'}",
              ann);
    int64_t secret = test_history_revision(client);
    /* The old password does not come back, so neither does its age. */
    expect_secret(client, secret, "person", ann);
    /* With something else that is taken back, and the password stays. */
    test_call(client, "account.setPassword",
              "{'dbid':%" G_GINT64_FORMAT ",'password':'a-third-secret-9','mustChange':true}", ann);
    g_autofree char *changed = dup_changed(client, ann);
    test_call(client, "history.revert", "{'revision':%" G_GINT64_FORMAT "}", test_history_revision(client));
    g_autofree char *still = dup_changed(client, ann);
    g_assert_cmpstr(still, ==, changed);
    /* The first one shows as a member, that there is one; the second shows nothing. */
    int64_t application = create(client, "application", "a1", ",'applicationType':'genericServer'");
    for (unsigned i = 0; i < 2; i++) {
        test_call(client, "account.setPassword",
                  "{'type':'application','dbid':%" G_GINT64_FORMAT ",'secret':'another-secret-%u'}",
                  application, i);
        expect_secret(client, test_history_revision(client), "application", application);
    }
    int64_t tenant = create(client, "tenant", "t1", "");
    int64_t host = json_object_get_int_member(
        test_call(client, "object.create",
                  "{'object':{'type':'host','name':'th','tenant':%" G_GINT64_FORMAT "}}", tenant),
        "dbid");
    test_call(client, "object.delete", "{'type':'host','dbid':%" G_GINT64_FORMAT "}", host);
    test_call(client, "object.delete", "{'type':'tenant','dbid':%" G_GINT64_FORMAT "}", tenant);
    int64_t gone = test_history_revision(client);
    test_call_error(client, -32004, "object.read", "{'type':'tenant','dbid':%" G_GINT64_FORMAT "}", tenant);
    test_call(client, "history.revert", "{'revision':%" G_GINT64_FORMAT "}", gone);
    JsonObject *object = json_object_get_object_member(
        test_call(client, "object.read", "{'type':'tenant','dbid':%" G_GINT64_FORMAT "}", tenant), "object");
    g_assert_cmpstr(json_object_get_string_member(object, "name"), ==, "t1");
    /* Its folders too: something can be made in it again. */
    test_call(client, "object.create", "{'object':{'type':'host','name':'th','tenant':%" G_GINT64_FORMAT "}}",
              tenant);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/history-methods/as-of", test_as_of);
    g_test_add_func("/integration/history-methods/list", test_list);
    g_test_add_func("/integration/history-methods/visibility", test_visibility);
    g_test_add_func("/integration/history-methods/sessions", test_sessions);
    g_test_add_func("/integration/history-methods/revert-model", test_revert_model);
    g_test_add_func("/integration/history-methods/revert-object", test_revert_object);
    g_test_add_func("/integration/history-methods/revert-refused", test_revert_refused);
    g_test_add_func("/integration/history-methods/conflicts", test_conflicts);
    g_test_add_func("/integration/history-methods/proxy", test_proxy);
    return g_test_run();
}
