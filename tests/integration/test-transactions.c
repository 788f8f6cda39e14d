/* test-transactions.c - all or nothing under one revision: what later operations see of earlier ones,
 * whose fault is told, cascades, moves, and that pipelined writes of one connection commit in the order
 * sent. */
#include "fixture.h"

#include <string.h>

#define INT G_GINT64_FORMAT

static int64_t
revision_of(JsonObject *result)
{
    return json_object_get_int_member(result, "revision");
}

static JsonObject *
read_object(TestClient *client, const char *type, const char *name)
{
    return json_object_get_object_member(
        test_call(client, "object.read", "{'type':'%s','name':'%s'}", type, name), "object");
}

static int64_t
operation_of(JsonObject *error)
{
    return json_object_get_int_member(json_object_get_object_member(error, "data"), "operation");
}

static void
test_all_or_nothing(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    int64_t root = json_object_get_int_member(
        json_object_get_object_member(test_call(client, "object.read", "{'path':'/Environment/Hosts'}"),
                                      "object"),
        "dbid");
    int64_t before = revision_of(test_call(client, "object.count", "{}"));
    test_call(client, "subscription.open", "{}");
    JsonObject *result = test_call(
        client, "transaction",
        "{'operations':[{'op':'create','object':{'type':'folder','name':'f','folder':%" INT
        "}},{'op':'create','object':{'type':'host','name':'a','folder':{'$created':0}}},"
        "{'op':'update','type':'host','dbid':{'$created':1},'patch':{'address':'x'}},"
        "{'op':'create','object':{'type':'host','name':'gone'}},{'op':'delete','type':'host','name':'gone'},"
        "{'op':'permission','type':'folder','dbid':{'$created':0},'grant':[]}]}",
        root);
    g_assert_cmpint(revision_of(result), ==, before + 1);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(result, "results")), ==, 6);
    /* One notification with the net effect. */
    JsonArray *changes = json_object_get_array_member(test_wait_notification(client, "changes"), "changes");
    g_assert_cmpuint(json_array_get_length(changes), ==, 2);
    JsonObject *host = json_object_get_object_member(json_array_get_object_element(changes, 1), "object");
    g_assert_cmpstr(json_object_get_string_member(host, "address"), ==, "x");
    g_assert_cmpint(json_object_get_int_member(host, "revision"), ==, before + 1);
    /* Names may be exchanged; a fault leaves nothing, and is the first operation's. */
    test_call(client, "object.create", "{'object':{'type':'host','name':'b'}}");
    test_call(
        client, "transaction",
        "{'operations':[{'op':'update','type':'host','name':'a','patch':{'name':'c'}},"
        "{'op':'update','type':'host','name':'b','patch':{'name':'a'}},{'op':'update','type':'host','name':'c','patch':{'name':'b'}}]}");
    before = revision_of(test_call(client, "object.count", "{}"));
    JsonObject *error = test_call_error(client, -32010, "transaction",
                                        "{'operations':[{'op':'create','object':{'type':'host','name':'n'}},"
                                        "{'op':'create','object':{'type':'host','name':'n'}}]}");
    g_assert_cmpint(operation_of(error), ==, 1);
    error = test_call_error(client, -32009, "transaction",
                            "{'operations':[{'op':'create','object':{'type':'host','name':'n'}},"
                            "{'op':'update','type':'host','name':'a','ifRevision':1,'patch':{'address':5}},"
                            "{'op':'create','object':{'type':'host'}}]}");
    g_assert_cmpint(operation_of(error), ==, 1);
    error = test_call_error(
        client, -32602, "transaction",
        "{'operations':[{'op':'create','object':{'type':'host','name':'n','folder':"
        "{'$created':1}}},{'op':'create','object':{'type':'folder','name':'later','folder':%" INT "}}]}",
        root);
    g_assert_cmpint(operation_of(error), ==, 0);
    test_call_error(client, -32004, "object.read", "{'type':'host','name':'n'}");
    /* Nothing to do, or only tried, takes no revision. */
    g_assert_cmpint(revision_of(test_call(client, "transaction", "{'operations':[]}")), ==, before);
    result = test_call(client, "transaction",
                       "{'operations':[{'op':'create','object':{'type':'host','name':'n'}}],'dryRun':true}");
    g_assert_cmpint(revision_of(test_call(client, "object.count", "{}")), ==, before);
    test_call_error(client, -32004, "object.read", "{'type':'host','name':'n'}");
}

static void
test_cascades(void)
{
    g_autoptr(TestServer) server = test_primary_new("max-transaction-operations = 20");
    g_autoptr(TestClient) client = test_client_new(server);
    int64_t root = json_object_get_int_member(
        json_object_get_object_member(test_call(client, "object.read", "{'path':'/Environment/Hosts'}"),
                                      "object"),
        "dbid");
    int64_t folder = json_object_get_int_member(
        test_call(client, "object.create", "{'object':{'type':'folder','name':'f','folder':%" INT "}}", root),
        "dbid");
    int64_t inner = json_object_get_int_member(
        test_call(client, "object.create", "{'object':{'type':'folder','name':'g','folder':%" INT "}}",
                  folder),
        "dbid");
    for (unsigned i = 0; i < 10; i++)
        test_call(client, "object.create", "{'object':{'type':'host','name':'h%u','folder':%" INT "}}", i,
                  inner);
    /* Restrict, clear. */
    test_call_error(client, -32008, "object.delete", "{'type':'folder','dbid':%" INT "}", folder);
    int64_t scs = json_object_get_int_member(test_call(client, "object.create",
                                                       "{'object':{'type':'application','name':'scs',"
                                                       "'applicationType':'solutionControlServer'}}"),
                                             "dbid");
    test_call(client, "object.update",
              "{'type':'host','name':'h0','patch':{'solutionControlServer':%" INT "}}", scs);
    int64_t revision =
        revision_of(test_call(client, "object.delete", "{'type':'application','dbid':%" INT "}", scs));
    JsonObject *cleared = read_object(client, "host", "h0");
    g_assert_false(json_object_has_member(cleared, "solutionControlServer"));
    g_assert_cmpint(json_object_get_int_member(cleared, "revision"), ==, revision);
    /* Disabling reaches what lies below, all under one revision; what comes there is disabled; enabling is single. */
    revision = revision_of(test_call(
        client, "object.update", "{'type':'folder','dbid':%" INT ",'patch':{'state':'disabled'}}", folder));
    JsonObject *host = read_object(client, "host", "h9");
    g_assert_cmpstr(json_object_get_string_member(host, "state"), ==, "disabled");
    g_assert_cmpint(json_object_get_int_member(host, "revision"), ==, revision);
    test_call(client, "object.create",
              "{'object':{'type':'host','name':'new','folder':%" INT ",'state':'enabled'}}", inner);
    g_assert_cmpstr(json_object_get_string_member(read_object(client, "host", "new"), "state"), ==,
                    "disabled");
    test_call(client, "object.update", "{'type':'folder','dbid':%" INT ",'patch':{'state':'enabled'}}",
              folder);
    g_assert_cmpstr(json_object_get_string_member(read_object(client, "host", "h9"), "state"), ==,
                    "disabled");
    test_call(client, "object.update", "{'type':'host','name':'h9','patch':{'state':'enabled'}}");
    /* What a transaction cascades to counts. */
    for (unsigned i = 10; i < 20; i++)
        test_call(client, "object.create", "{'object':{'type':'host','name':'h%u','folder':%" INT "}}", i,
                  folder);
    for (unsigned i = 0; i < 9; i++)
        test_call(client, "object.update", "{'type':'host','name':'h%u','patch':{'state':'enabled'}}", i);
    test_call(client, "object.update", "{'type':'folder','dbid':%" INT ",'patch':{'state':'enabled'}}",
              inner);
    test_call_error(client, -32016, "object.update",
                    "{'type':'folder','dbid':%" INT ",'patch':{'state':'disabled'}}", folder);
    g_assert_cmpstr(json_object_get_string_member(read_object(client, "host", "h15"), "state"), ==,
                    "enabled");
    /* No folder comes to lie in itself. */
    test_call_error(client, -32602, "object.update",
                    "{'type':'folder','dbid':%" INT ",'patch':{'folder':%" INT "}}", folder, inner);
}

static void
test_pipelined_order(void)
{
    enum { WRITES = 200 };
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    g_autoptr(TestClient) watcher = test_client_new(server);
    test_call(watcher, "subscription.open", "{'types':['host']}");
    int64_t last = 0;
    for (unsigned i = 0; i < WRITES; i++) {
        test_send(client, "object.create", "{'object':{'type':'host','name':'h%u'}}", i);
        last = test_send(client, "object.count", "{'type':'host'}");
    }
    test_wait_response(client, last); /* Reads do not wait for the writes before them. */
    int64_t revision = 0;
    for (unsigned i = 0; i < WRITES; i++) {
        JsonObject *changes = test_wait_notification(watcher, "changes");
        g_assert_cmpint(revision_of(changes), >, revision);
        revision = revision_of(changes);
        JsonObject *change =
            json_array_get_object_element(json_object_get_array_member(changes, "changes"), 0);
        g_autofree char *name = g_strdup_printf("h%u", i);
        g_assert_cmpstr(
            json_object_get_string_member(json_object_get_object_member(change, "object"), "name"), ==, name);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/transactions/all-or-nothing", test_all_or_nothing);
    g_test_add_func("/integration/transactions/cascades", test_cascades);
    g_test_add_func("/integration/transactions/pipelined-order", test_pipelined_order);
    return g_test_run();
}
