/* test-value.c - JSON as plugins read and write it. */
#include <string.h>

#include "fixture.h"

static void
test_read(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text =
        g_strdup("{\"name\":\"w\\u00e4hl\",\"list\":[1,true,null,\"x\"],\"n\":-7,\"f\":1.5,\"o\":{}}");
    const ConfJson *v = conf_value_parse(text, &error);
    g_assert_no_error(error);
    /* The text may go at once. */
    memset(text, 'x', strlen(text));
    g_assert_cmpint(conf_value_kind(v), ==, CONF_V_OBJECT);
    g_assert_cmpuint(conf_value_length(v), ==, 5);
    g_assert_cmpstr(conf_value_string(conf_value_member(v, "name")), ==, "wähl");
    g_assert_cmpstr(conf_value_key(conf_value_item(v, 1)), ==, "list");
    g_assert_null(conf_value_key(v));

    const ConfJson *list = conf_value_member(v, "list");
    g_assert_cmpuint(conf_value_length(list), ==, 4);
    g_assert_true(conf_value_boolean(conf_value_item(list, 1)));
    g_assert_cmpint(conf_value_kind(conf_value_item(list, 2)), ==, CONF_V_NULL);
    g_assert_true(conf_value_next(conf_value_item(list, 2)) == conf_value_item(list, 3));
    g_assert_null(conf_value_next(conf_value_item(list, 3)));
    g_assert_null(conf_value_item(list, 4));

    int64_t n = 0;
    g_assert_true(conf_value_integer(conf_value_member(v, "n"), &n));
    g_assert_cmpint(n, ==, -7);
    g_assert_false(conf_value_integer(conf_value_member(v, "f"), &n));
    g_assert_false(conf_value_integer(conf_value_member(v, "name"), &n));
    g_assert_null(conf_value_member(v, "none"));
}

/* A member that is missing is read like one of the wrong kind: no check before each look. */
static void
test_missing(void)
{
    int64_t n = 5;
    g_assert_null(conf_value_member(NULL, "a"));
    g_assert_null(conf_value_item(NULL, 0));
    g_assert_null(conf_value_next(NULL));
    g_assert_cmpuint(conf_value_length(NULL), ==, 0);
    g_assert_null(conf_value_string(NULL));
    g_assert_null(conf_value_key(NULL));
    g_assert_false(conf_value_integer(NULL, &n));
    g_assert_false(conf_value_boolean(NULL));
    g_assert_cmpint(n, ==, 5);
}

static void
test_refused(void)
{
    static const char *const TEXTS[] = {"", "{", "{} {}", "{\"a\":1,\"a\":2}", "[1,]", "nul", "\"\\ud800\""};
    for (unsigned i = 0; i < G_N_ELEMENTS(TEXTS); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(conf_value_parse(TEXTS[i], &error));
        g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
        FIXTURE_ASSERT_HAS(error->message, "at byte");
    }
    g_assert_null(conf_value_parse("[", NULL));
}

static void
test_nul_inside(void)
{
    const ConfJson *v =
        conf_value_parse("{\"user\":\"root\\u0000x\",\"a\\u0000b\":1,\"empty\":\"\",\"\":2}", NULL);
    g_assert_null(conf_value_string(conf_value_member(v, "user")));
    g_assert_null(conf_value_key(conf_value_item(v, 1)));
    g_assert_cmpstr(conf_value_string(conf_value_member(v, "empty")), ==, "");
    g_assert_cmpstr(conf_value_key(conf_value_item(v, 3)), ==, "");
}

static void
test_write(void)
{
    ConfJsonWriterHandle *w = conf_writer_new();
    conf_writer_begin_object(w);
    conf_writer_key(w, "a\"b");
    conf_writer_string(w, "line\n");
    conf_writer_key(w, "list");
    conf_writer_begin_array(w);
    conf_writer_integer(w, 3);
    conf_writer_boolean(w, false);
    conf_writer_null(w);
    conf_writer_string(w, NULL);
    conf_writer_json(w, "{\"x\":1}");
    conf_writer_end_array(w);
    conf_writer_end_object(w);
    g_autofree char *text = conf_writer_finish(w);
    g_assert_cmpstr(text, ==, "{\"a\\\"b\":\"line\\n\",\"list\":[3,false,null,null,{\"x\":1}]}");
    g_autofree char *empty = conf_writer_finish(conf_writer_new());
    g_assert_cmpstr(empty, ==, "");
}

static void
add_tests(void)
{
    g_test_add_func("/plugin/value/read", test_read);
    g_test_add_func("/plugin/value/missing", test_missing);
    g_test_add_func("/plugin/value/refused", test_refused);
    g_test_add_func("/plugin/value/nul-inside", test_nul_inside);
    g_test_add_func("/plugin/value/write", test_write);
}

int
main(int argc, char **argv)
{
    return fixture_run(argc, argv, add_tests);
}
