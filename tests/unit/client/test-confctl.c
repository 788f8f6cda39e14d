/* The parts of confctl that need no server: text into fields and paths, differences, what may reach a
 * terminal. */
#include "confctl/plan.h"

#include <string.h>

static JsonNode *
parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    JsonNode *node = ctl_parse_json(text, -1, "text", &error);
    g_assert_no_error(error);
    return node;
}

static void
check_difference(const char *kind, const char *present_text, const char *wanted_text, const char *patch_text)
{
    g_autofree char *field_text = g_strdup_printf("{\"name\":\"f\",\"kind\":\"%s\"}", kind);
    g_autoptr(JsonNode) field = parse(field_text), wanted = parse(wanted_text);
    g_autoptr(JsonNode) present = present_text != NULL ? parse(present_text) : NULL;
    g_autoptr(JsonNode) patch = ctl_difference(json_node_get_object(field), present, wanted);
    g_autofree char *found = patch != NULL ? json_to_string(patch, FALSE) : NULL;
    g_assert_cmpstr(found, ==, patch_text);
}

static void
test_difference(void)
{
    check_difference("string", "\"a\"", "\"a\"", NULL);
    check_difference("string", "\"a\"", "\"b\"", "\"b\"");
    check_difference("string", NULL, "null", NULL);
    check_difference("string", "\"a\"", "null", "null");
    /* An empty list, an empty map: the same as none. */
    check_difference("list", NULL, "[]", NULL);
    check_difference("list", "[1,2]", "[]", "null");
    check_difference("list", "[1,2]", "[2,1]", "[2,1]");
    check_difference("sections", NULL, "{}", NULL);
    check_difference("sections", "{\"a\":{\"x\":\"1\",\"y\":\"2\"},\"b\":{}}",
                     "{\"a\":{\"x\":\"1\",\"z\":\"3\"}}", "{\"b\":null,\"a\":{\"y\":null,\"z\":\"3\"}}");
    check_difference("sections", "{\"a\":{\"x\":\"1\"}}", "{\"a\":{\"x\":\"1\"}}", NULL);
    /* References of several types are objects, and change as a whole. */
    check_difference("ref", "{\"type\":\"person\",\"dbid\":1}", "{\"type\":\"person\",\"dbid\":2}",
                     "{\"type\":\"person\",\"dbid\":2}");
}

static void
test_paths(void)
{
    g_autofree char *parent = NULL, *name = NULL;
    g_assert_true(ctl_path_split("/Environment/Hosts/a~1b~0c", &parent, &name, NULL));
    g_assert_cmpstr(parent, ==, "/Environment/Hosts");
    g_assert_cmpstr(name, ==, "a/b~c");
    g_autofree char *joined = ctl_path_join(parent, name);
    g_assert_cmpstr(joined, ==, "/Environment/Hosts/a~1b~0c");
    g_autofree char *top = ctl_path_join("/", "Environment");
    g_assert_cmpstr(top, ==, "/Environment");
    static const char *const wrong[] = {"", "x", "x/y", "/", "/a/"};
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *above = NULL, *step = NULL;
        g_assert_false(ctl_path_split(wrong[i], &above, &step, &error));
        g_assert_error(error, CTL_ERROR, CTL_ERROR_USAGE);
    }
    g_auto(GStrv) steps = ctl_field_steps("options/a~1b/c~0d");
    g_assert_cmpuint(g_strv_length(steps), ==, 3);
    g_assert_cmpstr(steps[1], ==, "a/b");
    g_assert_cmpstr(steps[2], ==, "c~d");
}

static void
check_assignment(const char *text, const char *wanted_field, char wanted_operation, const char *wanted_value)
{
    g_autofree char *field = NULL;
    const char *value = NULL;
    char operation = 0;
    g_autoptr(GError) error = NULL;
    bool is_fine = ctl_assignment_split(text, &field, &operation, &value, &error);
    if (wanted_field == NULL) {
        g_assert_false(is_fine);
        g_assert_error(error, CTL_ERROR, CTL_ERROR_USAGE);
        return;
    }
    g_assert_cmpstr(field, ==, wanted_field);
    g_assert_cmpint(operation, ==, wanted_operation);
    g_assert_cmpstr(value, ==, wanted_value);
}

static void
test_assignments(void)
{
    check_assignment("address=10.0.0.1", "address", '=', "10.0.0.1");
    check_assignment("address=", "address", '=', "");
    check_assignment("options/x/y=a=b", "options/x/y", '=', "a=b");
    check_assignment("ports+={}", "ports", '+', "{}");
    check_assignment("ports-=x", "ports", '-', "x");
    check_assignment("state!=disabled", "state", '!', "disabled");
    check_assignment("address", NULL, 0, NULL);
    check_assignment("=x", NULL, 0, NULL);
}

/* Names come from others; none of them steers the terminal. */
static void
test_clean(void)
{
    g_autofree char *clean = ctl_clean("a\033[31mb\tc\xc2\x9b"
                                       "d\xc3\xa4");
    g_assert_cmpstr(clean, ==, "a\\u001b[31mb\\u0009c\\u009bd\xc3\xa4");
    g_autofree char *broken = ctl_clean("\xff");
    g_assert_true(g_utf8_validate(broken, -1, NULL));
}

static void
test_json(void)
{
    g_autofree char *flood = g_strnfill(100000, '[');
    g_autoptr(GError) error = NULL;
    g_assert_null(ctl_parse_json(flood, -1, "It", &error));
    g_assert_error(error, CTL_ERROR, CTL_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_null(ctl_parse_json("", -1, "It", &error));
    g_assert_error(error, CTL_ERROR, CTL_ERROR_USAGE);
    /* What json-glib takes and JSON does not have hides no brackets. */
    static const char *const hiding[] = {"'\"'", "/*\"*/1"};
    for (unsigned i = 0; i < G_N_ELEMENTS(hiding); i++) {
        g_autofree char *deep = g_strnfill(1000, '['), *end = g_strnfill(1000, ']');
        g_autofree char *text = g_strdup_printf("[%s,%s%s,\"\"]", hiding[i], deep, end);
        g_clear_error(&error);
        g_assert_null(ctl_parse_json(text, -1, "It", &error));
        g_assert_error(error, CTL_ERROR, CTL_ERROR_USAGE);
        g_assert_nonnull(strstr(error->message, "deeper"));
    }
    g_autoptr(JsonNode) node = parse("{\"a\":1.5,\"b\":\"x\",\"c\":[{}]}");
    JsonObject *object = json_node_get_object(node);
    g_assert_cmpint(confc_json_integer(object, "a", 7), ==, 7);
    g_assert_cmpint(confc_json_integer(object, "none", 8), ==, 8);
    g_assert_null(confc_json_string(object, "c"));
    g_assert_null(confc_json_object(object, "b"));
    g_assert_nonnull(ctl_array_object(confc_json_array(object, "c"), 0));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/confctl/difference", test_difference);
    g_test_add_func("/confctl/paths", test_paths);
    g_test_add_func("/confctl/assignments", test_assignments);
    g_test_add_func("/confctl/clean", test_clean);
    g_test_add_func("/confctl/json", test_json);
    return g_test_run();
}
