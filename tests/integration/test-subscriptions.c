/* test-subscriptions.c - what a subscription tells: each change once whatever overlaps, the reasons of
 * what enters and leaves, streams to slow sockets while others write, many subscriptions opened and closed
 * in one batch. */
#include "mirror.h"

#include <string.h>

#define INT G_GINT64_FORMAT

static int64_t
dbid_of(JsonObject *result)
{
    return json_object_get_int_member(result, "dbid");
}

static int64_t
revision_of(JsonObject *result)
{
    return json_object_get_int_member(result, "revision");
}

static JsonObject *
only_change(JsonObject *changes)
{
    JsonArray *list = json_object_get_array_member(changes, "changes");
    g_assert_cmpuint(json_array_get_length(list), ==, 1);
    return json_array_get_object_element(list, 0);
}

static int64_t
path_dbid(TestClient *client, const char *path)
{
    JsonObject *result = test_call(client, "object.read", "{'path':'%s'}", path);
    return dbid_of(json_object_get_object_member(result, "object"));
}

/* The answer to a batch, which is one line; the changes before it follow each other from *last on. */
static JsonArray *
read_batch(TestClient *client, JsonNode **held, int64_t *last)
{
    for (;;) {
        g_autoptr(GError) error = NULL;
        JsonNode *node = json_from_string(test_client_read_line(client), &error);
        g_assert_no_error(error);
        if (JSON_NODE_HOLDS_ARRAY(node)) {
            *held = node;
            return json_node_get_array(node);
        }
        JsonObject *params = json_object_get_object_member(json_node_get_object(node), "params");
        g_assert_cmpint(revision_of(params), ==, *last + 1);
        ++*last;
        json_node_unref(node);
    }
}

static void
test_once_and_reasons(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    g_autoptr(TestClient) reader = test_client_new(server);
    int64_t root = path_dbid(admin, "/Environment/Hosts");
    int64_t inside = dbid_of(test_call(
        admin, "object.create", "{'object':{'type':'folder','name':'inside','folder':%" INT "}}", root));
    int64_t first = json_object_get_int_member(
        test_call(reader, "subscription.open", "{'folder':%" INT "}", inside), "subscription");
    test_call(reader, "subscription.open", "{'types':['host'],'folder':%" INT ",'tenant':1}", inside);
    test_call(reader, "subscription.open", "{'folder':%" INT ",'types':['person','host']}", inside);
    /* Three match; it comes once.  The folder itself is not within its scope. */
    JsonObject *result =
        test_call(admin, "object.create", "{'object':{'type':'host','name':'a','folder':%" INT "}}", inside);
    int64_t host = dbid_of(result), revision = revision_of(result);
    test_call(admin, "object.update", "{'type':'folder','dbid':%" INT ",'patch':{'class':'unit'}}", inside);
    JsonObject *changes = test_wait_notification(reader, "changes");
    g_assert_cmpint(revision_of(changes), ==, revision);
    g_assert_false(json_object_has_member(only_change(changes), "reason"));
    g_assert_false(test_has_notification(reader, "changes"));
    /* Out and in again. */
    test_call(admin, "object.update", "{'type':'host','dbid':%" INT ",'patch':{'folder':%" INT "}}", host,
              root);
    JsonObject *change = only_change(test_wait_notification(reader, "changes"));
    g_assert_cmpstr(json_object_get_string_member(change, "op"), ==, "delete");
    g_assert_cmpstr(json_object_get_string_member(change, "reason"), ==, "scope");
    g_assert_cmpint(json_object_get_int_member(change, "folder"), ==, inside);
    test_call(admin, "object.update",
              "{'type':'host','dbid':%" INT ",'patch':{'folder':%" INT ",'address':'b'}}", host, inside);
    change = only_change(test_wait_notification(reader, "changes"));
    g_assert_cmpstr(json_object_get_string_member(change, "op"), ==, "create");
    g_assert_cmpstr(json_object_get_string_member(change, "reason"), ==, "scope");
    /* Secret changes and permissions are no changes of what is seen; a closed subscription leaves the others. */
    test_call(admin, "permission.update",
              "{'type':'host','dbid':%" INT ",'grant':[{'account':{'type':'person','dbid':100},"
              "'rights':['read']}]}",
              host);
    test_call(reader, "subscription.close", "{'subscription':%" INT "}", first);
    test_call_error(reader, -32602, "subscription.close", "{'subscription':%" INT "}", first);
    revision = revision_of(test_call(admin, "object.delete", "{'type':'host','dbid':%" INT "}", host));
    changes = test_wait_notification(reader, "changes");
    g_assert_cmpint(revision_of(changes), ==, revision);
    g_assert_cmpstr(json_object_get_string_member(only_change(changes), "op"), ==, "delete");
    g_assert_false(test_has_notification(reader, "changes"));
}

/* In one batch, too, the present comes behind the past. */
static void
test_since_in_batches(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t since = 0, last = 0;
    for (unsigned i = 0; i < 5; i++) {
        last = revision_of(test_call(admin, "object.create", "{'object':{'type':'skill','name':'s%u'}}", i));
        since = i == 0 ? last : since;
    }
    g_autoptr(TestClient) reader = test_client_new(server);
    static const char batch[] =
        "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscription.open\",\"params\":{\"since\":%" INT "}},"
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"object.count\",\"params\":{}},"
        "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"subscription.open\",\"params\":{\"since\":%" INT "}},"
        "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"subscription.open\",\"params\":{\"types\":[\"skill\"]}}]\n";
    g_autofree char *text = g_strdup_printf(batch, since, since);
    test_client_write(reader, text, strlen(text));
    JsonNode *held = NULL;
    int64_t replayed = since;
    JsonArray *answers = read_batch(reader, &held, &replayed);
    g_assert_cmpint(replayed, ==, last);
    g_assert_cmpuint(json_array_get_length(answers), ==, 4);
    for (unsigned i = 0; i < 4; i++) {
        JsonObject *answer = json_array_get_object_element(answers, i);
        int64_t id = json_object_get_int_member(answer, "id");
        g_assert_cmpint(json_object_has_member(answer, "error"), ==, id == 3);
        if (id == 4) /* By then the past was replayed. */
            g_assert_cmpint(revision_of(json_object_get_object_member(answer, "result")), ==, last);
    }
    json_node_unref(held);
    g_assert_false(test_has_notification(reader, "changes"));
    test_call_error(reader, -32602, "subscription.open", "{'since':1}");
    g_autoptr(TestClient) ahead = test_client_new(server);
    test_call_error(ahead, -32602, "subscription.open", "{'since':%" INT "}", last + 1);
}

/* Mirrors opened while others write, over sockets that nobody reads for a while; a transaction of many
 * lines. */
static void
test_initial_under_writes(void)
{
    enum { HOSTS = 3000, MIRRORS = 4, ROUNDS = 40 };
    static const char *const scopes[MIRRORS] = {"{'initial':true}", "{'initial':true,'types':['host']}",
                                                "{'initial':true,'tenant':1,'types':['host','folder']}",
                                                "{'initial':true}"};
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    g_autofree char *filling = g_strnfill(1500, 'x');
    g_autoptr(GString) operations = g_string_new("{'operations':[");
    for (unsigned i = 0; i < HOSTS; i++)
        g_string_append_printf(
            operations, "%s{'op':'create','object':{'type':'host','name':'h%u','annex':{'a':{'k':'%s'}}}}",
            i > 0 ? "," : "", i, filling);
    g_string_append(operations, "]}");
    JsonArray *results =
        json_object_get_array_member(test_call(admin, "transaction", "%s", operations->str), "results");
    int64_t first = dbid_of(json_array_get_object_element(results, 0));
    TestClient *clients[MIRRORS];
    Mirror *mirrors[MIRRORS];
    for (unsigned i = 0; i < MIRRORS; i++) {
        clients[i] = test_client_new(server);
        mirrors[i] = mirror_new();
        test_send(clients[i], "subscription.open", "%s", scopes[i]);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        g_string_assign(operations, "{'operations':[");
        for (unsigned i = 0; i < 20; i++)
            g_string_append_printf(
                operations, "%s{'op':'update','type':'host','dbid':%" INT ",'patch':{'address':'%u-%u'}}",
                i > 0 ? "," : "", first + g_test_rand_int_range(0, HOSTS / 2), round, i);
        g_string_append(operations, "]}");
        test_call(admin, "transaction", "%s", operations->str);
        test_call(admin, "object.delete", "{'type':'host','dbid':%" INT "}", first + HOSTS / 2 + round * 20);
        test_call(admin, "object.create", "{'object':{'type':'host','name':'new%u'}}", round);
    }
    /* Several lines of one revision: "more" on all but the last. */
    g_string_assign(operations, "{'operations':[");
    for (unsigned i = 0; i < HOSTS / 2; i++)
        g_string_append_printf(
            operations, "%s{'op':'update','type':'host','dbid':%" INT ",'patch':{'annex':{'b':{'k':'%s'}}}}",
            i > 0 ? "," : "", first + i, filling);
    g_string_append(operations, "]}");
    int64_t last = revision_of(test_call(admin, "transaction", "%s", operations->str));
    for (unsigned i = 0; i < MIRRORS; i++) {
        mirror_follow(mirrors[i], clients[i]);
        g_assert_cmpint(mirrors[i]->revision, ==, last);
        g_assert_cmpuint(mirrors[i]->resets, ==, 0);
        if (i == 0 || i == 3)
            mirror_compare(mirrors[i], clients[i], "after the writes");
        mirror_free(mirrors[i]);
        test_client_free(clients[i]);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/subscriptions/once-and-reasons", test_once_and_reasons);
    g_test_add_func("/integration/subscriptions/since-in-batches", test_since_in_batches);
    g_test_add_func("/integration/subscriptions/initial-under-writes", test_initial_under_writes);
    return g_test_run();
}
