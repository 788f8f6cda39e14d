/* The mirror: what an update does to an object. */
#include "client-private.h"

#include <string.h>

static const char schema_text[] =
    "{\"types\":[{\"type\":\"application\",\"fields\":[{\"name\":\"ports\",\"kind\":\"list\",\"key\":\"id\"},"
    "{\"name\":\"connections\",\"kind\":\"list\",\"key\":\"server\"},"
    "{\"name\":\"tenants\",\"kind\":\"list\"}]}]}";

static JsonObject *
parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) node = confc_json_parse(text, strlen(text), &error);
    g_assert_no_error(error);
    return json_object_ref(json_node_get_object(node));
}

static void
check(const char *before_text, const char *change_text, const char *after_text)
{
    g_autoptr(JsonObject) schema = parse(schema_text), before = parse(before_text),
                          change = parse(change_text);
    g_autoptr(JsonObject) after = confc_mirror_update(before, schema, 9, change), wanted = parse(after_text),
                          same = parse(before_text);
    g_autoptr(JsonNode) left = json_node_init_object(json_node_alloc(), after);
    g_autoptr(JsonNode) right = json_node_init_object(json_node_alloc(), wanted);
    g_autoptr(JsonNode) old = json_node_init_object(json_node_alloc(), before);
    g_autoptr(JsonNode) untouched = json_node_init_object(json_node_alloc(), same);
    g_autofree char *shown = json_to_string(left, FALSE);
    g_test_message("%s", shown);
    g_assert_true(json_node_equal(left, right));
    g_assert_true(json_node_equal(old, untouched));
}

#define HEAD "\"type\":\"application\",\"dbid\":1,"

static void
test_patch(void)
{
    check("{" HEAD "\"revision\":3,\"name\":\"a\",\"version\":\"1\"}",
          "{\"patch\":{\"name\":\"b\",\"version\":null,\"arguments\":\"-x\"}}",
          "{" HEAD "\"revision\":9,\"name\":\"b\",\"arguments\":\"-x\"}");
    check(
        "{" HEAD
        "\"revision\":3,\"options\":{\"log\":{\"verbose\":\"all\",\"all\":\"stderr\"},\"x\":{\"k\":\"v\"}}}",
        "{\"patch\":{\"options\":{\"log\":{\"verbose\":null},\"x\":null,\"new\":{}}}}",
        "{" HEAD "\"revision\":9,\"options\":{\"log\":{\"all\":\"stderr\"},\"new\":{}}}");
    /* An empty map is unset, an empty list too. */
    check("{" HEAD "\"revision\":3,\"options\":{\"x\":{}},\"tenants\":[1]}",
          "{\"patch\":{\"options\":{\"x\":null}},\"remove\":{\"tenants\":[1]}}", "{" HEAD "\"revision\":9}");
}

static void
test_lists(void)
{
    check("{" HEAD "\"revision\":3,\"tenants\":[1,2,3]}",
          "{\"add\":{\"tenants\":[2,4]},\"remove\":{\"tenants\":[1,7]}}",
          "{" HEAD "\"revision\":9,\"tenants\":[2,3,4]}");
    check("{" HEAD "\"revision\":3,\"ports\":[{\"id\":\"default\",\"port\":1},{\"id\":\"x\",\"port\":2}]}",
          "{\"add\":{\"ports\":[{\"id\":\"default\",\"port\":7},{\"id\":\"y\",\"port\":3}]},"
          "\"remove\":{\"ports\":[\"x\"]}}",
          "{" HEAD "\"revision\":9,\"ports\":[{\"id\":\"default\",\"port\":7},{\"id\":\"y\",\"port\":3}]}");
    check("{" HEAD "\"revision\":3,\"connections\":[{\"server\":5},{\"server\":6}]}",
          "{\"remove\":{\"connections\":[{\"server\":5}]}}",
          "{" HEAD "\"revision\":9,\"connections\":[{\"server\":6}]}");
}

static void
test_order(void)
{
    ConfcMirror *mirror = confc_mirror_new();
    g_autoptr(JsonObject) schema = parse(schema_text);
    g_autoptr(JsonObject) old = parse("{" HEAD "\"revision\":3,\"name\":\"a\"}"),
                          new = parse("{" HEAD "\"revision\":5,\"name\":\"b\"}");
    g_autoptr(JsonObject) update =
        parse("{\"op\":\"update\",\"type\":\"application\",\"dbid\":1,\"patch\":{\"name\":\"c\"}}");
    g_autoptr(JsonObject) removal =
        parse("{\"op\":\"delete\",\"type\":\"application\",\"dbid\":1,\"name\":\"c\",\"tenant\":1}");
    /* A change of an object that has not been streamed yet. */
    g_assert_false(confc_mirror_apply(mirror, schema, 4, update));
    confc_mirror_put(mirror, new);
    confc_mirror_put(mirror, old);
    g_assert_cmpstr(confc_json_string(confc_mirror_lookup(mirror, "application", 1), "name"), ==, "b");
    /* Streamed after that commit: it is in there already. */
    g_assert_true(confc_mirror_apply(mirror, schema, 5, update));
    g_assert_cmpstr(confc_json_string(confc_mirror_lookup(mirror, "application", 1), "name"), ==, "b");
    g_assert_true(confc_mirror_apply(mirror, schema, 6, update));
    g_assert_cmpstr(confc_json_string(confc_mirror_lookup(mirror, "application", 1), "name"), ==, "c");
    g_assert_null(confc_mirror_lookup(mirror, "host", 1));
    g_assert_true(confc_mirror_apply(mirror, schema, 7, removal));
    g_assert_cmpuint(confc_mirror_count(mirror), ==, 0);
    confc_mirror_free(mirror);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/client/mirror/patch", test_patch);
    g_test_add_func("/client/mirror/lists", test_lists);
    g_test_add_func("/client/mirror/order", test_order);
    return g_test_run();
}
