/* test-permissions.c - what a session may not read it does not learn: by reads, lists, counts, filters,
 * errors, who did it; rights that come and go; nobody takes the last right to repair them. */
#include "fixture.h"

#include <string.h>

#define INT G_GINT64_FORMAT

static int64_t
create(TestClient *admin, const char *object)
{
    return json_object_get_int_member(test_call(admin, "object.create", "{'object':%s}", object), "dbid");
}

static void
grant(TestClient *admin, const char *type, int64_t dbid, int64_t person, const char *rights)
{
    test_call(admin, "permission.update",
              "{'type':'%s','dbid':%" INT ",'grant':[{'account':{'type':'person','dbid':%" INT
              "},'rights':[%s]}]}",
              type, dbid, person, rights);
}

static int64_t
count(TestClient *client, const char *filter)
{
    return json_object_get_int_member(test_call(client, "object.count", "{'filter':%s}", filter), "count");
}

static void
test_hidden(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t person = test_person_new(admin, "worker");
    int64_t hidden = create(admin, "{'type':'host','name':'hidden-host','address':'hidden-address'}");
    int64_t shown = create(admin, "{'type':'host','name':'shown-host'}");
    grant(admin, "host", shown, person, "'read','change','delete'");
    g_autofree char *hidden_user =
        g_strdup_printf("{'type':'application','name':'hidden-application','applicationType':"
                        "'genericServer','host':%" INT "}",
                        shown);
    g_autofree char *shown_user =
        g_strdup_printf("{'type':'application','name':'shown-application','applicationType':"
                        "'genericServer','host':%" INT "}",
                        shown);
    int64_t hidden_application = create(admin, hidden_user), application = create(admin, shown_user);
    grant(admin, "application", application, person, "'read','change'");
    g_autoptr(TestClient) worker = test_client_new_as(server, "worker", "pw", "confctl");
    test_call(worker, "subscription.open", "{'initial':true}");
    test_wait_notification(worker, "subscription.loaded");
    /* As if it did not exist, whatever is wrong besides. */
    test_call_error(worker, -32004, "object.read", "{'type':'host','dbid':%" INT "}", hidden);
    test_call_error(worker, -32004, "object.read", "{'type':'host','name':'hidden' }");
    test_call_error(worker, -32004, "object.read", "{'path':'/Environment/Hosts/other'}");
    test_call_error(worker, -32004, "object.update",
                    "{'type':'host','dbid':%" INT ",'ifRevision':1,'patch':{'address':5}}", hidden);
    test_call_error(worker, -32004, "object.delete", "{'type':'host','dbid':%" INT "}", hidden);
    test_call_error(worker, -32004, "permission.read", "{'type':'host','dbid':%" INT "}", hidden);
    test_call_error(worker, -32004, "permission.update", "{'type':'host','dbid':%" INT ",'inherit':true}",
                    hidden);
    test_call_error(worker, -32004, "account.setPassword", "{'dbid':100,'password':'x'}");
    test_call_error(worker, -32602, "object.update",
                    "{'type':'application','dbid':%" INT ",'patch':{'host':%" INT "}}", application, hidden);
    g_assert_cmpint(count(worker, "{'type':'host'}"), ==, 1);
    g_assert_cmpint(count(worker, "{'address':{'like':'*'}}"), ==, 0);
    g_autofree char *refers = g_strdup_printf("{'refersTo':{'type':'host','dbid':%" INT "}}", shown);
    g_assert_cmpint(count(worker, refers), ==, 1);
    g_assert_cmpint(count(admin, refers), ==, 2);
    /* Those who refer are told as far as one may read them. */
    JsonObject *error =
        test_call_error(worker, -32008, "object.delete", "{'type':'host','dbid':%" INT "}", shown);
    JsonObject *data = json_object_get_object_member(error, "data");
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(data, "referrers")), ==, 1);
    g_assert_true(json_object_get_boolean_member(data, "others"));
    /* Readable, but not permitted. */
    test_call_error(worker, -32005, "permission.read", "{'type':'host','dbid':%" INT "}", shown);
    test_call_error(worker, -32005, "object.delete", "{'type':'application','dbid':%" INT "}", application);
    test_call_error(worker, -32005, "session.list", "{}");
    test_call_error(worker, -32005, "server.stop", "{'graceful':true}");
    /* Nothing of a commit but what may be read, and nobody who may not be. */
    test_call(admin, "transaction",
              "{'operations':[{'op':'update','type':'host','dbid':%" INT
              ",'patch':{'address':'hidden-again'}},"
              "{'op':'update','type':'host','dbid':%" INT ",'patch':{'address':'shown'}},"
              "{'op':'update','type':'application','dbid':%" INT ",'patch':{'version':'hidden-version'}}]}",
              hidden, shown, hidden_application);
    JsonObject *changes = test_wait_notification(worker, "changes");
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(changes, "changes")), ==, 1);
    JsonObject *by = json_object_get_object_member(changes, "by");
    g_assert_false(json_object_has_member(by, "user"));
    g_assert_true(json_object_has_member(by, "application"));
    g_assert_false(test_client_has_seen(worker, "hidden-"));
}

static void
test_come_and_go(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t person = test_person_new(admin, "worker");
    JsonObject *result = test_call(admin, "object.read", "{'path':'/Environment/Hosts'}");
    int64_t root = json_object_get_int_member(json_object_get_object_member(result, "object"), "dbid");
    g_autofree char *text = g_strdup_printf("{'type':'folder','name':'team','folder':%" INT "}", root);
    int64_t folder = create(admin, text);
    g_autofree char *host = g_strdup_printf("{'type':'host','name':'h','folder':%" INT "}", folder);
    create(admin, host);
    int64_t group = create(admin, "{'type':'accessGroup','name':'team','kind':'custom'}");
    test_call(admin, "permission.update",
              "{'type':'folder','dbid':%" INT ",'grant':[{'account':{'type':'accessGroup','dbid':%" INT
              "},'rights':['read']}]}",
              folder, group);
    g_autoptr(TestClient) worker = test_client_new_as(server, "worker", "pw", "confctl");
    test_call(worker, "subscription.open", "{}");
    g_autofree char *members =
        g_strdup_printf("{'type':'accessGroup','name':'team','add':{'members':[%" INT "]}}", person);
    struct {
        const char *method, *params;
        bool enters;
    } const steps[] = {
        {"object.update", members, true},
        {"object.update", "{'type':'accessGroup','name':'team','patch':{'state':'disabled'}}", false},
        {"object.update", "{'type':'accessGroup','name':'team','patch':{'state':'enabled'}}", true},
        {"object.delete", "{'type':'accessGroup','name':'team'}", false},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(steps); i++) {
        int64_t revision =
            json_object_get_int_member(test_call(admin, steps[i].method, "%s", steps[i].params), "revision");
        JsonObject *changes = test_wait_notification(worker, "changes");
        g_assert_cmpint(json_object_get_int_member(changes, "revision"), ==, revision);
        JsonArray *list = json_object_get_array_member(changes, "changes");
        g_assert_cmpuint(json_array_get_length(list), ==, 2);
        /* The folder comes before its content and goes after it. */
        JsonObject *of_folder = json_array_get_object_element(list, steps[i].enters ? 0 : 1);
        g_assert_cmpstr(json_object_get_string_member(of_folder, "type"), ==, "folder");
        for (unsigned k = 0; k < 2; k++) {
            JsonObject *change = json_array_get_object_element(list, k);
            g_assert_cmpstr(json_object_get_string_member(change, "op"), ==,
                            steps[i].enters ? "create" : "delete");
            g_assert_cmpstr(json_object_get_string_member(change, "reason"), ==, "permission");
        }
        g_assert_cmpint(count(worker, "{'type':['host','folder']}"), ==, steps[i].enters ? 2 : 0);
    }
}

static void
test_last_repairer(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    test_call_error(admin, -32005, "object.update",
                    "{'type':'person','name':'default','patch':{'state':'disabled'}}");
    test_call_error(admin, -32005, "object.delete", "{'type':'person','name':'default'}");
    test_call_error(admin, -32005, "object.update",
                    "{'type':'accessGroup','name':'Super Administrators','patch':{'members':[]}}");
    test_call_error(admin, -32005, "object.update",
                    "{'type':'accessGroup','name':'Super Administrators','patch':{'state':'disabled'}}");
    test_call_error(admin, -32005, "object.delete", "{'type':'accessGroup','name':'Super Administrators'}");
    test_call_error(admin, -32005, "permission.update", "{'type':'tenant','dbid':1,'entries':[]}");
    test_call_error(admin, -32005, "permission.update", "{'type':'tenant','dbid':1,'inherit':true}");
    /* In two halves of one transaction neither. */
    int64_t person = test_person_new(admin, "second");
    test_call_error(
        admin, -32005, "transaction",
        "{'operations':[{'op':'update','type':'person','dbid':%" INT ",'patch':{'state':'disabled'}},"
        "{'op':'update','type':'accessGroup','name':'Super Administrators','patch':{'members':[%" INT "]}}]}",
        person, person);
    /* Somebody else in place is fine; a list that shuts everybody out is repaired from above. */
    test_call(admin, "object.update",
              "{'type':'accessGroup','name':'Super Administrators','add':{'members':[%" INT "]}}", person);
    JsonObject *created = test_call(admin, "object.create", "{'object':{'type':'host','name':'h'}}");
    int64_t host = json_object_get_int_member(created, "dbid");
    test_call(admin, "permission.update",
              "{'type':'host','dbid':%" INT ",'entries':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['read']}]}",
              host,
              json_object_get_int_member(
                  json_object_get_object_member(test_client_get_session(admin), "account"), "dbid"));
    test_call_error(admin, -32005, "object.update", "{'type':'host','dbid':%" INT ",'patch':{'address':'x'}}",
                    host);
    test_call(admin, "permission.update", "{'type':'host','dbid':%" INT ",'inherit':true}", host);
    test_call(admin, "object.update", "{'type':'host','dbid':%" INT ",'patch':{'address':'x'}}", host);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/permissions/hidden", test_hidden);
    g_test_add_func("/integration/permissions/come-and-go", test_come_and_go);
    g_test_add_func("/integration/permissions/last-repairer", test_last_repairer);
    return g_test_run();
}
