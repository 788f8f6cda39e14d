/* fuzz-filter.c - any JSON as a filter: what compiles matches each object or not, the same twice, and
 * `not` is the opposite. */
#include <stdint.h>

#include "model/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const ConfSchema *schema, const ConfTypeInfo *type, ConfObject *const *objects,
                  const ConfJson *tree);
static ConfObject *const *make_objects(const ConfSchema *schema);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ConfSchema *schema;
    static ConfObject *const *objects;
    if (schema == NULL) {
        schema = conf_schema_load(SCHEMA_FOLDER, NULL);
        g_assert_nonnull(schema);
        objects = make_objects(schema);
    }
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfJson *tree = conf_json_parse(arena, (ConfSlice){(const char *)data, size}, NULL, NULL, NULL);
    if (tree == NULL)
        return 0;
    check(schema, NULL, objects, tree);
    check(schema, conf_schema_type(schema, CONF_TYPE_APPLICATION), objects, tree);
    return 0;
}

static void
check(const ConfSchema *schema, const ConfTypeInfo *type, ConfObject *const *objects, const ConfJson *tree)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    ConfFilter *filter = conf_filter_compile(schema, type, tree, "/filter", &error);
    g_assert_true((filter == NULL) == (error.code == CONF_RPC_INVALID_PARAMS));
    if (filter == NULL)
        return;
    const ConfFilterHints *hints = conf_filter_hints(filter);
    for (unsigned i = 0; objects[i] != NULL; i++) {
        if (type != NULL && objects[i]->type != type->id)
            continue;
        bool matches = conf_filter_match(filter, objects[i]);
        g_assert_true(conf_filter_match(filter, objects[i]) == matches);
        /* A hint never says more than the filter. */
        if (matches && hints->name.data != NULL)
            g_assert_true(conf_slice_equal(hints->name, conf_object_name(objects[i])));
        if (matches && hints->tenant != 0)
            g_assert_true(hints->tenant == objects[i]->tenant);
        bool is_listed = !hints->has_dbids;
        for (unsigned n = 0; n < hints->dbid_count; n++)
            is_listed = is_listed || hints->dbids[n] == objects[i]->dbid;
        g_assert_true(is_listed || !matches);
    }
    conf_filter_free(filter);
}

static ConfObject *const *
make_objects(const ConfSchema *schema)
{
    static const char *const bodies[] = {
        "{\"type\":\"application\",\"dbid\":9,\"revision\":5,\"name\":\"srv1\",\"tenant\":1,\"folder\":12,"
        "\"state\":\"enabled\","
        "\"applicationType\":\"genericServer\",\"server\":true,\"ports\":[{\"id\":\"default\","
        "\"port\":2020},{\"id\":\"ha\"}],"
        "\"connections\":[{\"server\":7,\"trace\":\"both\"},{\"server\":8}],"
        "\"account\":{\"type\":\"person\",\"dbid\":3},"
        "\"tenants\":[1,2],\"options\":{\"log\":{\"all\":\"stderr\",\"verbose\":\"\"}},"
        "\"annex\":{\"empty\":{}}}",
        "{\"type\":\"person\",\"dbid\":3,\"revision\":6,\"name\":\"\303\251a\",\"tenant\":2,"
        "\"state\":\"disabled\",\"firstName\":\"x\\n\","
        "\"agent\":true,\"passwordSet\":true,\"passwordChanged\":\"2026-11-21T09:00:00.000Z\"}",
        "{\"type\":\"alarmCondition\",\"dbid\":1,\"revision\":7,\"name\":\"a\",\"tenant\":1,\"folder\":4,"
        "\"state\":\"enabled\","
        "\"detectEvent\":{\"logEvent\":4503,\"application\":9},\"reactionScripts\":[4]}",
    };
    static ConfObject *objects[G_N_ELEMENTS(bodies) + 1];
    ConfSlice none = {NULL, 0};
    for (unsigned i = 0; i < G_N_ELEMENTS(bodies); i++) {
        objects[i] = conf_object_from_stored(schema, conf_slice_from_string(bodies[i]), none, none, 0, NULL);
        g_assert_nonnull(objects[i]);
    }
    return objects;
}
