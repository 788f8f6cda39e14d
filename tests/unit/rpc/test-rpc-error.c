/* Tests of rpc/rpc-error and of the common readings of params. */
#include <string.h>

#include "base/json-writer.h"
#include "rpc/request.h"

static void
assert_written(const ConfRpcError *error, const char *expected)
{
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    conf_rpc_error_write(error, &buffer);
    g_autofree char *text = g_strndup(buffer.data, buffer.size);
    g_assert_cmpstr(text, ==, expected);
}

static void
test_write(void)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    g_assert_false(conf_rpc_fail(&error, CONF_RPC_NOT_FOUND, "No host \"%s\".", "a"));
    assert_written(&error, "{\"code\":-32004,\"message\":\"No host \\\"a\\\".\"}");
    conf_rpc_error_add_integer(&error, "revision", 5);
    conf_rpc_error_add_data(&error, "list", "[1,{}]");
    conf_rpc_error_add_string(&error, "na\"me", "\n");
    assert_written(
        &error,
        "{\"code\":-32004,\"message\":\"No host \\\"a\\\".\",\"data\":{\"revision\":5,\"list\":[1,{}],\"na\\\"me\":\"\\n\"}}");
    /* A later fault replaces an earlier one whole, even where its text is made of that. */
    conf_rpc_fail(&error, CONF_RPC_LIMIT, "%s!", error.message);
    assert_written(&error, "{\"code\":-32016,\"message\":\"No host \\\"a\\\".!\"}");
    g_assert_false(conf_rpc_fail(NULL, CONF_RPC_LIMIT, "nobody asks"));
    g_assert_false(conf_rpc_fail_path(NULL, "/a", "nobody asks"));
}

static void
test_path(void)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    g_auto(ConfRpcError) other = CONF_RPC_ERROR_INIT;
    g_assert_false(conf_rpc_fail_path(&error, "/object/\"name\"", "Bad."));
    g_assert_cmpint(error.code, ==, CONF_RPC_INVALID_PARAMS);
    conf_rpc_error_add_integer(&error, "after", 1);
    conf_rpc_error_prefix_path(&error, "/operations/3");
    assert_written(
        &error,
        "{\"code\":-32602,\"message\":\"Bad.\",\"data\":{\"path\":\"/operations/3/object/\\\"name\\\"\",\"after\":1}}");

    conf_rpc_fail(&other, CONF_RPC_CHANGED, "Changed.");
    conf_rpc_error_prefix_path(&other, "/operations/3");
    assert_written(&other, "{\"code\":-32009,\"message\":\"Changed.\"}");
    conf_rpc_error_add_data(&other, "a", "{\"path\":\"x\"}");
    conf_rpc_error_add_string(&other, "path", "/b");
    conf_rpc_error_prefix_path(&other, "/p");
    assert_written(
        &other,
        "{\"code\":-32009,\"message\":\"Changed.\",\"data\":{\"a\":{\"path\":\"x\"},\"path\":\"/p/b\"}}");

    conf_rpc_error_move(&error, &other);
    g_assert_cmpint(error.code, ==, CONF_RPC_CHANGED);
    g_assert_cmpint(other.code, ==, 0);
    g_assert_null(other.message);
    conf_rpc_error_move(NULL, &error);
    g_assert_cmpint(error.code, ==, 0);
}

static ConfJson *
parse(ConfArena *arena, const char *text)
{
    ConfJson *params = conf_json_parse(arena, conf_slice_from_string(text), NULL, NULL, NULL);
    g_assert_nonnull(params);
    return params;
}

static void
assert_path(ConfRpcError *error, const char *path)
{
    g_assert_cmpint(error->code, ==, CONF_RPC_INVALID_PARAMS);
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    CONF_BUFFER_LITERAL(&buffer, "\"path\":");
    conf_json_append_string(&buffer, conf_slice_from_string(path));
    g_autofree char *expected = g_strndup(buffer.data, buffer.size);
    g_assert_cmpstr(error->data, ==, expected);
    conf_rpc_error_clear(error);
}

static void
test_params(void)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    ConfJson *params =
        parse(arena, "{\"n\":5,\"f\":1.5,\"big\":9007199254740993,\"s\":\"text\",\"b\":true,\"null\":null}");
    int64_t n = -1;
    ConfSlice s = {NULL, 0};
    bool b = false;
    g_assert_true(conf_params_integer(params, "", "n", 1, 5, true, &n, &error));
    g_assert_cmpint(n, ==, 5);
    g_assert_false(conf_params_integer(params, "", "n", 6, 10, true, &n, &error));
    assert_path(&error, "/n");
    g_assert_false(conf_params_integer(params, "/operations/3", "n", 1, 4, true, &n, &error));
    assert_path(&error, "/operations/3/n");
    /* No integer of the wire is higher. */
    g_assert_false(conf_params_integer(params, "", "n", 6, INT64_MAX, true, &n, &error));
    g_assert_nonnull(strstr(error.message, "between 6 and 9007199254740991"));
    assert_path(&error, "/n");
    g_assert_false(conf_params_integer(params, "", "f", 1, 4, true, &n, &error));
    assert_path(&error, "/f");
    g_assert_false(conf_params_integer(params, "", "big", 1, INT64_MAX, false, &n, &error));
    assert_path(&error, "/big");
    g_assert_false(conf_params_integer(params, "", "null", 1, 4, false, &n, &error));
    assert_path(&error, "/null");
    g_assert_false(conf_params_integer(params, "", "missing", 1, 4, true, &n, &error));
    assert_path(&error, "/missing");
    g_assert_true(conf_params_integer(params, "", "missing", 1, 4, false, &n, &error));
    g_assert_cmpint(n, ==, 5);

    g_assert_true(conf_params_string(params, "", "s", true, &s, &error));
    g_assert_true(conf_slice_is(s, "text"));
    g_assert_false(conf_params_string(params, "", "n", false, &s, &error));
    assert_path(&error, "/n");
    g_assert_false(conf_params_string(params, "", "missing", true, &s, &error));
    assert_path(&error, "/missing");
    g_assert_true(conf_params_boolean(params, "", "b", &b, &error));
    g_assert_true(b);
    g_assert_true(conf_params_boolean(params, "", "missing", &b, &error));
    g_assert_false(conf_params_boolean(params, "", "s", &b, &error));
    assert_path(&error, "/s");
}

static void
test_unknown_members(void)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    const char *const names[] = {"a", "b", NULL};
    g_assert_true(conf_params_only(parse(arena, "{\"b\":1,\"a\":2}"), "", names, &error));
    g_assert_true(conf_params_only(parse(arena, "{}"), "", names, &error));
    g_assert_false(conf_params_only(parse(arena, "{\"a\":1,\"c/d~e\":2}"), "/x", names, &error));
    assert_path(&error, "/x/c~1d~0e");
    g_assert_false(conf_params_only(parse(arena, "{\"\":2}"), "", names, &error));
    assert_path(&error, "/");
    g_autofree char *name = g_strnfill(100000, 'n');
    g_autofree char *text = g_strdup_printf("{\"%s\":1}", name);
    g_assert_false(conf_params_only(parse(arena, text), "", names, &error));
    g_assert_cmpuint(strlen(error.data), <, 1000);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rpc-error/write", test_write);
    g_test_add_func("/rpc-error/path", test_path);
    g_test_add_func("/params/readings", test_params);
    g_test_add_func("/params/unknown-members", test_unknown_members);
    return g_test_run();
}
