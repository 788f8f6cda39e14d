/* fuzz-patch.c - {"type":NAME,"object":{...},"patch":{...},"add":{...},"remove":{...}}: an object is
 * created and changed as a client asks.  What is taken fits the schema, is the same when asked once more,
 * and is rebuilt from its difference. */
#include <stdint.h>

#include "model/object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void change(const ConfSchema *schema, ConfArena *arena, const ConfObject *before,
                   const ConfJson *tree);
static void check(const ConfSchema *schema, const ConfObject *object);
static void check_difference(const ConfSchema *schema, ConfArena *arena, const ConfObject *before,
                             const ConfObject *after);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ConfSchema *schema;
    if (schema == NULL)
        schema = conf_schema_load(SCHEMA_FOLDER, NULL);
    g_assert_nonnull(schema);
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfJson *tree = conf_json_parse(arena, (ConfSlice){(const char *)data, size}, NULL, NULL, NULL);
    const ConfJson *name = conf_json_member(tree, "type");
    const ConfTypeInfo *type = conf_schema_type(schema, CONF_TYPE_APPLICATION);
    if (name != NULL && name->kind == CONF_JSON_STRING &&
        conf_schema_type_by_name(schema, name->text) != NULL)
        type = conf_schema_type_by_name(schema, name->text);
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    ConfObjectHead head = {.key = {.type = type->id, .dbid = 5}, .revision = 7};
    bool folder_given;
    if (!conf_object_read_head(conf_json_member(tree, "object"), "/object", &head.tenant, &head.folder,
                               &folder_given, &head.enabled, &error))
        return 0;
    head.tenant = MAX(head.tenant, 1);
    g_autoptr(ConfObject) object =
        conf_object_create(schema, arena, conf_json_member(tree, "object"), &head, "/object", &error);
    g_assert_true((object == NULL) == (error.code == CONF_RPC_INVALID_PARAMS));
    if (object == NULL)
        return 0;
    check(schema, object);
    change(schema, arena, object, tree);
    return 0;
}

static void
change(const ConfSchema *schema, ConfArena *arena, const ConfObject *before, const ConfJson *tree)
{
    const ConfJson *patch = conf_json_member(tree, "patch"), *add = conf_json_member(tree, "add");
    const ConfJson *remove = conf_json_member(tree, "remove");
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    g_autoptr(ConfObject) after =
        conf_object_update(schema, arena, before, patch, add, remove, 8, "", &error);
    g_assert_true((after == NULL) == (error.code == CONF_RPC_INVALID_PARAMS));
    if (after == NULL)
        return;
    check(schema, after);
    if (after != before)
        check_difference(schema, arena, before, after);
    /* A patch that names the revision fits the first time only. */
    if (conf_json_member(patch, "revision") != NULL)
        return;
    g_autoptr(ConfObject) again = conf_object_update(schema, arena, after, patch, add, remove, 9, "", &error);
    g_assert_true(again == after);
}

static void
check(const ConfSchema *schema, const ConfObject *object)
{
    g_autoptr(GError) error = NULL;
    ConfSlice none = {NULL, 0};
    g_assert_true(conf_object_check(schema, object, &error));
    g_autoptr(ConfObject) stored =
        conf_object_from_stored(schema, conf_bytes_slice(object->body), none, none, 0, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(stored->digest, 16, object->digest, 16);
    g_autoptr(GArray) references = g_array_new(FALSE, FALSE, sizeof(ConfReference));
    conf_object_references(schema, object, references);
    for (unsigned i = 0; i < references->len; i++)
        g_assert_cmpint(g_array_index(references, ConfReference, i).target.dbid, >, 0);
}

static void
check_difference(const ConfSchema *schema, ConfArena *arena, const ConfObject *before,
                 const ConfObject *after)
{
    g_auto(ConfBuffer) text = CONF_BUFFER_INIT;
    conf_buffer_append_char(&text, '{');
    conf_object_write_difference(schema, before, after, &text);
    conf_buffer_append_char(&text, '}');
    const ConfJson *difference = conf_json_parse(arena, conf_buffer_slice(&text), NULL, NULL, NULL);
    g_assert_nonnull(difference);
    g_autoptr(GError) error = NULL;
    g_autoptr(ConfBytes) body =
        conf_object_apply_difference(schema, arena, before, difference, after->revision, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(body->data, body->size, after->body->data, after->body->size);
}
