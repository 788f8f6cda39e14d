/* Addresses and JSON from outside: what is taken, what is refused. */
#include "client-private.h"

#include <string.h>

static void
test_addresses(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = confc_addresses_parse("srv1:2020, 10.0.0.1:1,[2001:db8::1]:65535", &error);
    g_assert_no_error(error);
    g_assert_cmpuint(list->len, ==, 3);
    ConfcAddress *address = g_ptr_array_index(list, 0);
    g_assert_cmpstr(address->host, ==, "srv1");
    g_assert_cmpuint(address->port, ==, 2020);
    address = g_ptr_array_index(list, 2);
    g_assert_cmpstr(address->host, ==, "2001:db8::1");
    g_assert_cmpuint(address->port, ==, 65535);
    g_assert_cmpstr(address->text, ==, "[2001:db8::1]:65535");
}

static void
test_refused(void)
{
    static const char *const wrong[] = {
        "",      "srv1",      "srv1:",    ":2020", "srv1:0", "srv1:65536", "srv1:20x", "2001:db8::1:2020",
        "[::1]", "[::1:2020", "a:1,,b:2", "a:1,",  "[]:1"};
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        g_test_message("%s", wrong[i]);
        g_assert_null(confc_addresses_parse(wrong[i], &error));
        g_assert_error(error, CONFC_ERROR, CONFC_ERROR_ARGUMENT);
    }
}

static void
test_json_depth(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (unsigned i = 0; i < CONFC_DEPTH_MAX; i++)
        g_string_append_c(text, '[');
    for (unsigned i = 0; i < CONFC_DEPTH_MAX; i++)
        g_string_append_c(text, ']');
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) node = confc_json_parse(text->str, text->len, &error);
    g_assert_no_error(error);
    g_assert_nonnull(node);
    g_string_prepend_c(text, '[');
    g_string_append_c(text, ']');
    g_assert_null(confc_json_parse(text->str, text->len, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_MALFORMED);
    g_clear_error(&error);
    /* A flood of brackets is refused before anything recurses; those in strings do not count. */
    g_autofree char *flood = g_strnfill(1000000, '[');
    g_assert_null(confc_json_parse(flood, 1000000, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_MALFORMED);
    g_clear_error(&error);
    g_autofree char *brackets = g_strnfill(1000, '[');
    g_autofree char *quoted = g_strdup_printf("{\"a\":\"\\\"%s\"}", brackets);
    g_autoptr(JsonNode) fine = confc_json_parse(quoted, strlen(quoted), &error);
    g_assert_no_error(error);
    g_assert_cmpuint(strlen(confc_json_string(json_node_get_object(fine), "a")), ==, 1001);
}

static void
test_json_refused(void)
{
    static const char *const wrong[] = {"", " ", "{", "{\"a\":}", "\"\xff\"", "{'a':1}", "/*[[*/1", "1 2"};
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        g_test_message("%s", wrong[i]);
        g_assert_null(confc_json_parse(wrong[i], strlen(wrong[i]), &error));
        g_assert_error(error, CONFC_ERROR, CONFC_ERROR_MALFORMED);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/client/address/list", test_addresses);
    g_test_add_func("/client/address/refused", test_refused);
    g_test_add_func("/client/json/depth", test_json_depth);
    g_test_add_func("/client/json/refused", test_json_refused);
    return g_test_run();
}
