/* model-fixture.c - see model-fixture.h. */
#include "model-fixture.h"

#include <string.h>

void
model_fixture_set_up(ModelFixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    fixture->schema = conf_schema_load(SCHEMA_FOLDER, &error);
    g_assert_no_error(error);
    fixture->arena = conf_arena_new();
}

void
model_fixture_tear_down(ModelFixture *fixture, const void *data)
{
    conf_schema_free(fixture->schema);
    conf_arena_free(fixture->arena);
    conf_rpc_error_clear(&fixture->error);
}

ConfJson *
model_tree(ModelFixture *fixture, const char *text)
{
    if (text == NULL)
        return NULL;
    const char *message = NULL;
    char *copy = conf_arena_copy(fixture->arena, text, strlen(text));
    ConfJson *tree = conf_json_parse(fixture->arena, (ConfSlice){copy, strlen(text)}, NULL, NULL, &message);
    g_assert_cmpstr(message, ==, NULL);
    g_assert_nonnull(tree);
    return tree;
}

ConfObject *
model_create(ModelFixture *fixture, ConfTypeId type, const char *text)
{
    ConfObjectHead head = {
        .key = {.type = type, .dbid = 105}, .revision = 7, .tenant = 1, .folder = 12, .enabled = true};
    return conf_object_create(fixture->schema, fixture->arena, model_tree(fixture, text), &head, "/object",
                              &fixture->error);
}

ConfObject *
model_update(ModelFixture *fixture, const ConfObject *before, const char *patch, const char *add,
             const char *remove)
{
    return conf_object_update(fixture->schema, fixture->arena, before, model_tree(fixture, patch),
                              model_tree(fixture, add), model_tree(fixture, remove), before->revision + 1, "",
                              &fixture->error);
}

void
model_assert_fault_at(ModelFixture *fixture, const char *path, const char *file, int line)
{
    g_autofree char *data = g_strdup_printf("\"path\":\"%s\"", path);
    if (fixture->error.code != CONF_RPC_INVALID_PARAMS || g_strcmp0(fixture->error.data, data) != 0)
        g_error("%s:%d: %d %s {%s}, not %s", file, line, fixture->error.code, fixture->error.message,
                fixture->error.data, data);
    conf_rpc_error_clear(&fixture->error);
}

const char *
model_rest(const ConfObject *object)
{
    const char *state = strstr(object->body->data, "\"state\":\"");
    g_assert_nonnull(state);
    return strchr(state + 9, '"') + 1;
}
