/* test-wire.c - clauses of the protocol that belong to no other program: one sentence of docs/protocol.md
 * a test, at a primary and behind a proxy where that matters. */
#include <string.h>

#include "fixture.h"

#define INT G_GINT64_FORMAT

/* What only other types have is unset in this one; what no type has is named. */
static void
test_fields_of_other_types(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    test_call(client, "object.create", "{'object':{'type':'host','name':'h'}}");
    static const struct {
        const char *filter;
        int count;
    } cases[] = {
        {"{'ports':null}", 1},
        {"{'ports/id':'x'}", 0},
        {"{'ports/id':{'not':'x'}}", 1},
        {"{'options/log/verbose':null}", 1},
        {"{'account':5}", 0},
        {"{'host':7}", 0},
        {"{'tenants':[1,null]}", 1},
        {"{'passwordSet':true}", 0},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        JsonObject *result =
            test_call(client, "object.count", "{'type':'host','filter':%s}", cases[i].filter);
        g_assert_cmpint(json_object_get_int_member(result, "count"), ==, cases[i].count);
    }
    JsonObject *error =
        test_call_error(client, -32602, "object.count", "{'type':'host','filter':{'nothing':1}}");
    g_assert_cmpstr(json_object_get_string_member(json_object_get_object_member(error, "data"), "path"), ==,
                    "/filter/nothing");
    JsonObject *read =
        test_call(client, "object.read", "{'type':'host','name':'h','fields':['ports','name']}");
    JsonObject *object = json_object_get_object_member(read, "object");
    g_assert_cmpint(json_object_get_size(object), ==, 4);
    g_assert_cmpstr(json_object_get_string_member(object, "name"), ==, "h");
    /* Told before it is looked for. */
    error =
        test_call_error(client, -32602, "object.read", "{'type':'host','name':'none','fields':['nothing']}");
    g_assert_cmpstr(json_object_get_string_member(json_object_get_object_member(error, "data"), "path"), ==,
                    "/fields/0");
}

/* The chain beside the revision of a subscription that starts in the past is that of then. */
static void
test_chain_of_since(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    int64_t revisions[3];
    char *chains[G_N_ELEMENTS(revisions)];
    test_call(client, "object.create", "{'object':{'type':'host','name':'h'}}");
    for (unsigned i = 0; i < G_N_ELEMENTS(revisions); i++) {
        test_call(client, "object.update", "{'type':'host','name':'h','patch':{'lcaPort':%u}}", i);
        JsonObject *read = test_call(client, "object.read", "{'type':'host','name':'h'}");
        revisions[i] = json_object_get_int_member(read, "revision");
        chains[i] = g_strdup(json_object_get_string_member(read, "chain"));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(revisions); i++) {
        g_autoptr(TestClient) reader = test_client_new(server);
        JsonObject *opened = test_call(reader, "subscription.open", "{'since':%" INT "}", revisions[i]);
        g_assert_cmpint(json_object_get_int_member(opened, "revision"), ==, revisions[i]);
        g_assert_cmpstr(json_object_get_string_member(opened, "chain"), ==, chains[i]);
        g_assert_cmpint(strlen(chains[i]), ==, 16);
        g_free(chains[i]);
    }
}

/* An account is named in each of the three ways, and without a type a person is meant. */
static void
test_password_by_name(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    test_person_new(admin, "dan");
    test_call(admin, "object.create",
              "{'object':{'type':'application','name':'app','applicationType':'genericServer'}}");
    static const char *const ways[] = {"'type':'person','name':'dan'", "'name':'dan'",
                                       "'name':'dan','tenant':1", "'path':'/Environment/Persons/dan'"};
    for (unsigned i = 0; i < G_N_ELEMENTS(ways); i++) {
        g_autofree char *password = g_strdup_printf("secret %u", i);
        test_call(admin, "account.setPassword", "{%s,'password':'%s'}", ways[i], password);
        g_autoptr(TestClient) dan = test_client_new_as(server, "dan", password, "confctl");
        test_call(dan, "object.count", "{}");
    }
    test_call(admin, "account.setPassword", "{'type':'application','name':'app','secret':'s'}");
    test_call(admin, "account.setPassword", "{'path':'/Environment/Applications/app','secret':'s'}");
    static const struct {
        int code;
        const char *params, *path;
    } faults[] = {
        {-32602, "{'password':'x'}", "/dbid"},
        {-32602, "{'path':'/Environment/Hosts','password':'x'}", "/path"},
        {-32602, "{'path':'/Environment/Applications/app','password':'x'}", "/password"},
        {-32602, "{'path':'/Environment/Persons/dan','secret':'x'}", "/secret"},
        {-32602, "{'type':'host','dbid':1,'password':'x'}", "/type"},
        {-32602, "{'type':'person','dbid':1.0,'password':'x'}", "/dbid"},
        {-32004, "{'name':'nobody','password':'x'}", NULL},
        {-32004, "{'dbid':9999,'password':'x'}", NULL},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
        JsonObject *error =
            test_call_error(admin, faults[i].code, "account.setPassword", "%s", faults[i].params);
        if (faults[i].path != NULL)
            g_assert_cmpstr(
                json_object_get_string_member(json_object_get_object_member(error, "data"), "path"), ==,
                faults[i].path);
    }
}

/* A read-only proxy answers every write alike, whatever is wrong with it; and has the counters of a
 * primary. */
static void
test_read_only(void)
{
    g_autoptr(TestServer) primary = test_primary_new(NULL);
    g_autoptr(TestServer) proxy = test_proxy_new(primary, "proxy", NULL);
    g_autoptr(TestClient) client = test_client_new(proxy);
    static const struct {
        const char *method, *params;
    } writes[] = {
        {"object.create", "{'object':{'type':'host','name':'h'}}"},
        {"object.update", "{'type':'host','dbid':9999,'patch':{}}"},
        {"object.delete", "{'type':'tenant','dbid':1}"},
        {"transaction", "{'operations':[]}"},
        {"permission.update", "{'type':'tenant','dbid':1,'inherit':true}"},
        {"account.setPassword", "{'dbid':9999,'password':'x'}"},
        {"account.setPassword", "{'dbid':100,'password':'x'}"},
        {"session.changePassword", "{'old':'wrong','new':'x'}"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(writes); i++) {
        JsonObject *error = test_call_error(client, -32007, writes[i].method, "%s", writes[i].params);
        JsonObject *master =
            json_object_get_object_member(json_object_get_object_member(error, "data"), "master");
        g_assert_cmpstr(json_object_get_string_member(master, "host"), ==, "127.0.0.1");
        g_assert_cmpint(json_object_get_int_member(master, "port"), ==, test_server_get_port(primary));
    }
    g_assert_cmpint(test_statistic(client, "commits"), ==, 0);
    g_assert_cmpint(test_statistic(client, "commitBatches"), ==, 0);
}

/* A replica's account that is named in a list for the first time, or comes into another group, sees what
 * it saw: the stream goes on.  Where it sees less it begins anew. */
static void
test_replica_account(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t host = json_object_get_int_member(
        test_call(admin, "object.create", "{'object':{'type':'host','name':'h'}}"), "dbid");
    test_call(admin, "object.create",
              "{'object':{'type':'application','name':'px','applicationType':'configurationServer'}}");
    g_autoptr(TestClient) replica = test_client_new(server);
    test_call(replica, "replica.open", "{'application':'px','role':'proxy','release':'0'}");
    test_wait_notification(replica, "replica.loaded");
    test_call(admin, "permission.update",
              "{'type':'host','dbid':%" INT
              ",'grant':[{'account':{'type':'person','dbid':100},'rights':['read']}]}",
              host);
    test_wait_notification(replica, "replica.changes");
    int64_t group = json_object_get_int_member(
        test_call(admin, "object.create", "{'object':{'type':'accessGroup','name':'g'}}"), "dbid");
    test_wait_notification(replica, "replica.changes");
    test_call(admin, "permission.update",
              "{'type':'host','dbid':%" INT ",'grant':[{'account':{'type':'accessGroup','dbid':%" INT
              "},'rights':['change']}]}",
              host, group);
    test_wait_notification(replica, "replica.changes");
    test_call(admin, "object.update", "{'type':'accessGroup','dbid':%" INT ",'add':{'members':[100]}}",
              group);
    test_wait_notification(replica, "replica.changes");
    test_call(replica, "replica.position", "{}");
    g_assert_false(test_has_notification(replica, "replica.reset"));
    test_call(admin, "permission.update",
              "{'type':'host','dbid':%" INT ",'entries':[{'account':{'type':'accessGroup','dbid':%" INT
              "},'rights':['change']}]}",
              host, group);
    test_wait_notification(replica, "replica.reset");
    test_client_wait_closed(replica);
}

/* What replica.changes says of a change beside what `changes` says: the hash of the new body. */
static void
test_replica_changes(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    test_call(admin, "object.create",
              "{'object':{'type':'application','name':'px','applicationType':'configurationServer'}}");
    g_autoptr(TestClient) replica = test_client_new(server);
    test_call(replica, "replica.open", "{'application':'px','role':'proxy','release':'0'}");
    test_wait_notification(replica, "replica.loaded");
    static const char *const writes[][2] = {
        {"object.create", "{'object':{'type':'host','name':'h'}}"},
        {"object.update", "{'type':'host','name':'h','patch':{'address':'a'}}"},
        {"object.delete", "{'type':'host','name':'h'}"}};
    for (unsigned i = 0; i < G_N_ELEMENTS(writes); i++) {
        test_call(admin, writes[i][0], "%s", writes[i][1]);
        JsonArray *changes =
            json_object_get_array_member(test_wait_notification(replica, "replica.changes"), "changes");
        JsonObject *change = json_array_get_object_element(changes, 0);
        if (i == G_N_ELEMENTS(writes) - 1) {
            g_assert_cmpstr(json_object_get_string_member(change, "name"), ==, "h");
            g_assert_cmpint(json_object_get_int_member(change, "tenant"), ==, 1);
            g_assert_true(json_object_has_member(change, "folder"));
            continue;
        }
        g_autofree char *hash = g_strdup(json_object_get_string_member(change, "hash"));
        const char *request = "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"object.read\",\"params\":"
                              "{\"type\":\"host\",\"name\":\"h\"}}\n";
        g_autoptr(TestClient) reader = test_client_new(server);
        test_client_write(reader, request, strlen(request));
        const char *begin = strstr(test_client_read_line(reader), "\"object\":");
        g_assert_nonnull(begin);
        begin += strlen("\"object\":");
        g_autofree char *body = g_strndup(begin, strlen(begin) - 2);
        g_autofree char *expected = g_compute_checksum_for_string(G_CHECKSUM_SHA256, body, -1);
        g_assert_cmpstr(hash, ==, expected);
    }
}

/* Who may change the rights on tenant Environment may edit any list, and be named in it, though it reads
 * nothing. */
static void
test_repair_from_above(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t person = test_person_new(admin, "rita");
    int64_t host = json_object_get_int_member(
        test_call(admin, "object.create", "{'object':{'type':'host','name':'h'}}"), "dbid");
    g_autofree char *grant = g_strdup_printf("'grant':[{'account':{'type':'person','dbid':%" INT
                                             "},'rights':['read','changePermissions']}]",
                                             person);
    g_autofree char *other =
        g_strdup_printf("{'type':'host','dbid':%" INT
                        ",'grant':[{'account':{'type':'person','dbid':100},'rights':['read']}]}",
                        host);
    g_autoptr(TestClient) rita = test_client_new_as(server, "rita", "pw", "confctl");
    test_call_error(rita, -32004, "permission.update", "{'type':'host','dbid':%" INT ",%s}", host, grant);
    test_call(admin, "permission.update",
              "{'type':'tenant','dbid':1,'grant':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['changePermissions']}]}",
              person);
    test_call_error(rita, -32004, "object.read", "{'type':'host','dbid':%" INT "}", host);
    /* Others that it may not read are not there, as in any reference. */
    test_call_error(rita, -32602, "permission.update", "%s", other);
    test_call(rita, "permission.update", "{'type':'host','dbid':%" INT ",%s}", host, grant);
    test_call(rita, "object.read", "{'type':'host','dbid':%" INT "}", host);
}

/* In a subscription too an object is named in each of the three ways; and an account whose rights are
 * asked. */
static void
test_other_names(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t person = test_person_new(admin, "dan");
    test_call(admin, "object.create", "{'object':{'type':'host','name':'a'}}");
    test_call(admin, "object.create", "{'object':{'type':'host','name':'b'}}");
    g_autoptr(TestClient) reader = test_client_new(server);
    test_call(
        reader, "subscription.open",
        "{'objects':[{'type':'host','name':'a'},{'path':'/Environment/Hosts/b'},{'type':'host','dbid':9999}]}");
    static const char *const hosts[] = {"a", "b"};
    for (unsigned i = 0; i < G_N_ELEMENTS(hosts); i++) {
        test_call(admin, "object.update", "{'type':'host','name':'%s','patch':{'lcaPort':7}}", hosts[i]);
        test_wait_notification(reader, "changes");
    }
    static const char *const accounts[] = {"'type':'person','name':'dan'",
                                           "'path':'/Environment/Persons/dan'"};
    for (unsigned i = 0; i < G_N_ELEMENTS(accounts); i++) {
        JsonObject *read = test_call(admin, "permission.read",
                                     "{'type':'application','name':'confctl','account':{%s}}", accounts[i]);
        JsonArray *effective = json_object_get_array_member(read, "effective");
        g_assert_cmpuint(json_array_get_length(effective), >, 0);
    }
    static const struct {
        const char *method, *params, *path;
    } faults[] = {
        {"subscription.open", "{'objects':[{'type':'host','dbid':1},{'type':'host','name':'c'}]}",
         "/objects/1"},
        {"subscription.open", "{'objects':[{'path':'x'}]}", "/objects/0/path"},
        {"subscription.open", "{'objects':[{'type':'host','dbid':1,'name':'a'}]}", "/objects/0/dbid"},
        {"subscription.open", "{'objects':[{'type':'host','dbid':1,'tenant':1}]}", "/objects/0/tenant"},
        {"subscription.open", "{'objects':[{'name':'a'}]}", "/objects/0/type"},
        {"permission.read", "{'type':'tenant','dbid':1,'account':{'type':'person','name':'none'}}",
         "/account"},
        {"permission.read", "{'type':'tenant','dbid':1,'account':{'type':'host','dbid':1}}", "/account/type"},
        {"permission.read", "{'type':'tenant','dbid':1,'account':{'path':'/Environment/Hosts/a'}}",
         "/account"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
        JsonObject *error = test_call_error(admin, -32602, faults[i].method, "%s", faults[i].params);
        g_assert_cmpstr(json_object_get_string_member(json_object_get_object_member(error, "data"), "path"),
                        ==, faults[i].path);
    }
    /* What one may not read is missing here too; oneself is not. */
    g_autoptr(TestClient) dan = test_client_new_as(server, "dan", "pw", "confctl");
    test_call_error(dan, -32602, "subscription.open", "{'objects':[{'type':'host','name':'a'}]}");
    test_call(admin, "permission.update",
              "{'type':'host','name':'a','grant':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['read','readPermissions']}]}",
              person);
    test_call(dan, "permission.read", "{'type':'host','name':'a','account':{'type':'person','name':'dan'}}");
    test_call_error(dan, -32602, "permission.read",
                    "{'type':'host','name':'a','account':{'type':'person','dbid':100}}");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/wire/fields-of-other-types", test_fields_of_other_types);
    g_test_add_func("/integration/wire/chain-of-since", test_chain_of_since);
    g_test_add_func("/integration/wire/password-by-name", test_password_by_name);
    g_test_add_func("/integration/wire/read-only", test_read_only);
    g_test_add_func("/integration/wire/replica-account", test_replica_account);
    g_test_add_func("/integration/wire/replica-changes", test_replica_changes);
    g_test_add_func("/integration/wire/repair-from-above", test_repair_from_above);
    g_test_add_func("/integration/wire/other-names", test_other_names);
    return g_test_run();
}
