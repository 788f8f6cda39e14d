/* test-filter.c - filters: each form of the protocol, what is refused, what an index is told; and random
 * filters against a naive evaluation of the words of the protocol. */
#include <string.h>

#include <json-glib/json-glib.h>

#include "model/schema-private.h"
#include "random-value.h"

static ConfFilter *
compile(ModelFixture *fixture, ConfTypeId type, const char *text)
{
    return conf_filter_compile(fixture->schema, type != 0 ? conf_schema_type(fixture->schema, type) : NULL,
                               model_tree(fixture, text), "/filter", &fixture->error);
}

static bool
matches(ModelFixture *fixture, const ConfObject *object, const char *text)
{
    ConfFilter *filter = compile(fixture, 0, text);
    if (filter == NULL)
        g_error("%s: %s", text, fixture->error.message);
    bool result = conf_filter_match(filter, object);
    /* Again, since a filter keeps what it found of the last object. */
    g_assert_cmpint(conf_filter_match(filter, object), ==, result);
    conf_filter_free(filter);
    return result;
}

static void
test_forms(ModelFixture *fixture, const void *data)
{
    g_autoptr(ConfObject) object = model_create(
        fixture, CONF_TYPE_APPLICATION,
        "{\"name\":\"e\\u0301 web1\",\"applicationType\":\"genericServer\",\"startupTimeout\":5,"
        "\"autoRestart\":false,\"version\":\"\","
        "\"host\":3,\"account\":{\"type\":\"accessGroup\",\"dbid\":9},\"tenants\":[1,2],"
        "\"connections\":[{\"server\":7,\"portId\":\"x\"},"
        "{\"server\":8,\"trace\":\"both\"}],\"options\":{\"log\":{\"verbose\":\"all\"},\"empty\":{},"
        "\"a/b\":{\"~\":\"t\"}}}");
    static const struct {
        const char *filter;
        bool matches;
    } cases[] = {
        {"{}", true},
        {"{\"name\":\"\\u00e9 web1\"}", true},
        {"{\"name\":\"e\\u0301 web1\"}", true},
        {"{\"name\":\"web1\"}", false},
        {"{\"name\":{\"like\":\"e\\u0301*1\"}}", true},
        {"{\"name\":{\"like\":\"? web?\"}}", true},
        {"{\"name\":[\"x\",\"\\u00e9 web1\"]}", true},
        {"{\"dbid\":105}", true},
        {"{\"dbid\":\"105\"}", false},
        {"{\"dbid\":[1,105]}", true},
        {"{\"dbid\":[]}", false},
        {"{\"revision\":7,\"type\":\"application\",\"state\":\"enabled\",\"tenant\":1}", true},
        {"{\"type\":[\"host\",\"application\"]}", true},
        {"{\"state\":{\"not\":\"enabled\"}}", false},
        {"{\"tenant\":{\"type\":\"tenant\",\"dbid\":1}}", true},
        {"{\"folder\":[11,12]}", true},
        {"{\"folder\":{\"not\":12}}", false},
        {"{\"server\":true}", true},
        {"{\"server\":\"true\"}", false},
        {"{\"autoRestart\":false}", true},
        {"{\"autoRestart\":null}", false},
        {"{\"version\":\"\"}", true},
        {"{\"version\":null}", false},
        {"{\"commandLine\":null}", true},
        {"{\"commandLine\":{\"not\":null}}", false},
        {"{\"commandLine\":{\"not\":\"x\"}}", true},
        {"{\"commandLine\":[\"x\",null]}", true},
        {"{\"commandLine\":[\"x\",{\"not\":\"y\"}]}", true},
        {"{\"startupTimeout\":5}", true},
        {"{\"startupTimeout\":\"5\"}", false},
        {"{\"startupTimeout\":{\"not\":5}}", false},
        {"{\"startupTimeout\":{\"not\":{\"not\":5}}}", true},
        {"{\"startupTimeout\":{\"like\":\"5\"}}", false},
        {"{\"host\":3}", true},
        {"{\"host\":{\"type\":\"host\",\"dbid\":3}}", true},
        {"{\"host\":{\"type\":\"person\",\"dbid\":3}}", false},
        {"{\"account\":{\"type\":\"accessGroup\",\"dbid\":9}}", true},
        {"{\"account\":{\"dbid\":9,\"type\":\"person\"}}", false},
        {"{\"account\":9}", false},
        {"{\"tenants\":2}", true},
        {"{\"tenants\":3}", false},
        {"{\"tenants\":[3,2]}", true},
        {"{\"tenants\":{\"not\":2}}", false},
        {"{\"tenants\":null}", false},
        {"{\"ports\":null}", true},
        {"{\"connections/server\":8}", true},
        {"{\"connections/server\":9}", false},
        {"{\"connections/server\":[9,7]}", true},
        {"{\"connections/trace\":\"both\",\"connections/portId\":\"x\"}", true},
        {"{\"connections/localTimeout\":null}", true},
        {"{\"connections/trace\":{\"not\":\"off\"}}", true},
        {"{\"connections\":{\"not\":null}}", true},
        {"{\"connections\":7}", false},
        {"{\"options/log/verbose\":\"all\"}", true},
        {"{\"options/log/verbose\":{\"like\":\"a*\"},\"options/empty\":null,\"options/log\":{\"not\":null}}",
         true},
        {"{\"options/log/verbose\":\"all\",\"options/log/all\":\"x\"}", false},
        {"{\"options/a~1b/~0\":\"t\"}", true},
        {"{\"options/nothing\":null}", true},
        {"{\"options/nothing/at\":{\"not\":\"x\"}}", true},
        {"{\"options\":{\"not\":null}}", true},
        {"{\"annex\":null}", true},
        {"{\"address\":null}", true},
        {"{\"address\":\"x\"}", false},
        {"{\"address\":{\"not\":\"x\"}}", true},
        {"{\"holds\":\"host\",\"name\":{\"like\":\"*\"}}", false},
        {"{\"passwordSet\":true}", false},
        {"{\"secretSet\":null}", true},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        if (matches(fixture, object, cases[i].filter) != cases[i].matches)
            g_error("%s is not %d", cases[i].filter, cases[i].matches);
    }
}

static void
test_times(ModelFixture *fixture, const void *data)
{
    g_autoptr(ConfObject) object =
        model_create(fixture, CONF_TYPE_PERSON,
                     "{\"name\":\"p\",\"passwordChanged\":\"2026-11-21T09:00:00Z\","
                     "\"firstName\":\"2026-11-21T09:00:00Z\"}");
    g_assert_true(matches(fixture, object, "{\"passwordChanged\":\"2026-11-21T10:00:00+01:00\"}"));
    g_assert_true(matches(fixture, object, "{\"passwordChanged\":{\"like\":\"2026-11-*\"}}"));
    g_assert_true(matches(fixture, object, "{\"firstName\":\"2026-11-21T09:00:00Z\"}"));
    g_assert_false(matches(fixture, object, "{\"firstName\":\"2026-11-21T10:00:00+01:00\"}"));
}

/* Long lists of values are looked up, not walked. */
static void
test_many(ModelFixture *fixture, const void *data)
{
    g_autoptr(ConfObject) object = model_create(
        fixture, CONF_TYPE_PERSON,
        "{\"name\":\"p\",\"firstName\":\"name77\",\"passwordChanged\":\"2026-11-21T09:00:00Z\"}");
    g_autoptr(GString) text = g_string_new("[\"2026-11-21T10:00:00+01:00\",null,5,true");
    for (unsigned i = 0; i < 200; i++)
        g_string_append_printf(text, ",\"name%u\",%u,{\"type\":\"host\",\"dbid\":%u}", i, i, i + 1);
    g_string_append_c(text, ']');
    static const struct {
        const char *field;
        bool any, not ;
    } cases[] = {{"firstName", true, false}, {"passwordChanged", true, false},
                 {"lastName", true, false},  {"name", false, true},
                 {"dbid", true, false},      {"revision", true, false},
                 {"tenant", true, false}};
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *any = g_strdup_printf("{\"%s\":%s}", cases[i].field, text->str);
        g_autofree char *not = g_strdup_printf("{\"%s\":{\"not\":%s}}", cases[i].field, text->str);
        g_assert_cmpint(matches(fixture, object, any), ==, cases[i].any);
        g_assert_cmpint(matches(fixture, object, not ), ==, cases[i].not );
    }
}

static void
test_faults(ModelFixture *fixture, const void *data)
{
    static const struct {
        ConfTypeId type;
        const char *filter, *path;
    } faults[] = {
        {0, "[]", "/filter"},
        {0, "{\"nothing\":1}", "/filter/nothing"},
        {0, "{\"\":1}", "/filter/"},
        {CONF_TYPE_HOST, "{\"nothing\":null}", "/filter/nothing"},
        {0, "{\"passwordHash\":null}", "/filter/passwordHash"},
        {0, "{\"name/x\":1}", "/filter/name~1x"},
        {0, "{\"connections/nothing\":1}", "/filter/connections~1nothing"},
        {0, "{\"account/dbid\":1}", "/filter/account~1dbid"},
        {0, "{\"options/a/b/c\":1}", "/filter/options~1a~1b~1c"},
        {0, "{\"options/a~2\":1}", "/filter/options~1a~02"},
        {0, "{\"options/a~\":1}", "/filter/options~1a~0"},
        {0, "{\"name\":1.5}", "/filter/name"},
        {0, "{\"name\":1e2}", "/filter/name"},
        {0, "{\"name\":{}}", "/filter/name"},
        {0, "{\"name\":{\"near\":\"x\"}}", "/filter/name"},
        {0, "{\"name\":{\"like\":5}}", "/filter/name/like"},
        {0, "{\"name\":{\"like\":\"a\",\"not\":\"b\"}}", "/filter/name"},
        {0, "{\"name\":{\"not\":{\"like\":null}}}", "/filter/name/not/like"},
        {0, "{\"name\":[\"a\",[\"b\"]]}", "/filter/name/1"},
        {0, "{\"name\":[\"a\",{\"x\":1}]}", "/filter/name/1"},
        {0, "{\"account\":{\"type\":\"nobody\",\"dbid\":1}}", "/filter/account"},
        {0, "{\"account\":{\"type\":\"person\",\"dbid\":0}}", "/filter/account"},
        {0, "{\"account\":{\"type\":\"person\",\"dbid\":1,\"x\":1}}", "/filter/account"},
        {0, "{\"refersTo\":5}", "/filter/refersTo"},
        {0, "{\"refersTo\":{\"type\":\"host\"}}", "/filter/refersTo"},
        {0, "{\"recursive\":true}", "/filter/recursive"},
        {0, "{\"recursive\":1,\"folder\":5}", "/filter/recursive"},
        {0, "{\"recursive\":true,\"folder\":[5]}", "/filter/recursive"},
        {0, "{\"recursive\":true,\"folder\":null}", "/filter/recursive"},
        {0, "{\"folder\":1.5}", "/filter/folder"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_assert_null(compile(fixture, faults[i].type, faults[i].filter));
        model_assert_fault(fixture, faults[i].path);
    }
    g_autofree char *pattern = g_strnfill(257, '*');
    g_autofree char *text = g_strdup_printf("{\"name\":{\"like\":\"%s\"}}", pattern);
    g_assert_null(compile(fixture, 0, text));
    model_assert_fault(fixture, "/filter/name/like");
}

static void
test_hints(ModelFixture *fixture, const void *data)
{
    ConfFilter *filter =
        compile(fixture, CONF_TYPE_HOST,
                "{\"folder\":5,\"recursive\":true,\"refersTo\":{\"type\":\"person\",\"dbid\":6},"
                "\"name\":\"e\\u0301\","
                "\"dbid\":[1,2,3],\"tenant\":4,\"solutionControlServer\":8}");
    const ConfFilterHints *hints = conf_filter_hints(filter);
    g_assert_true(hints->has_folder && hints->recursive && hints->has_refers_to && !hints->folder_is_unset);
    g_assert_cmpint(hints->folder, ==, 5);
    g_assert_true(conf_key_equal(hints->refers_to, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = 6}));
    g_assert_cmpmem(hints->name.data, hints->name.size, "\303\251", 2);
    g_assert_true(hints->has_dbids);
    g_assert_cmpuint(hints->dbid_count, ==, 3);
    g_assert_cmpint(hints->dbids[2], ==, 3);
    g_assert_cmpint(hints->tenant, ==, 4);
    g_assert_true(conf_key_equal(hints->reference, (ConfKey){.type = CONF_TYPE_APPLICATION, .dbid = 8}));
    conf_filter_free(filter);

    filter =
        compile(fixture, 0,
                "{\"folder\":null,\"name\":{\"not\":\"a\"},\"dbid\":[1,null],\"tenant\":[4],\"members\":7}");
    hints = conf_filter_hints(filter);
    g_assert_true(hints->folder_is_unset && !hints->has_folder && !hints->has_dbids && !hints->has_refers_to);
    g_assert_null(hints->name.data);
    g_assert_cmpint(hints->tenant, ==, 0);
    /* Members of groups are persons, those of roles need the type: a bare dbid narrows nothing over both. */
    g_assert_cmpint(hints->reference.dbid, ==, 0);
    conf_filter_free(filter);

    static const struct {
        const char *filter;
        ConfTypeId type;
    } references[] = {
        {"{\"connections/server\":9}", CONF_TYPE_APPLICATION},
        {"{\"account\":{\"type\":\"accessGroup\",\"dbid\":9}}", CONF_TYPE_ACCESS_GROUP},
        {"{\"members\":{\"type\":\"person\",\"dbid\":9}}", CONF_TYPE_PERSON},
        {"{\"tenants\":9}", CONF_TYPE_TENANT},
        {"{\"tenants\":[9]}", 0},
        {"{\"tenants\":{\"not\":9}}", 0},
        {"{\"startupTimeout\":9}", 0},
        {"{\"options/a/b\":9}", 0},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(references); i++) {
        filter = compile(fixture, 0, references[i].filter);
        hints = conf_filter_hints(filter);
        g_assert_cmpint(hints->reference.dbid, ==, references[i].type != 0 ? 9 : 0);
        g_assert_cmpint(hints->reference.type, ==, references[i].type);
        conf_filter_free(filter);
    }
    filter = compile(fixture, 0, NULL);
    g_assert_false(conf_filter_hints(filter)->has_folder);
    conf_filter_free(filter);
}

static void
test_like(void)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"?", "", false},
        {"?", "\303\251", true},
        {"??", "\303\251", false},
        {"a*", "abc", true},
        {"*c", "abc", true},
        {"*b*", "abc", true},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"*a*b*c*", "xaxbxcx", true},
        {"*ab", "aab", true},
        {"*aab", "aaab", true},
        {"*ab*ab", "abxab", true},
        {"*ab*ab", "ab", false},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"a\\?", "a?", true},
        {"\\\\", "\\", true},
        {"a\\", "a\\", true},
        {"a\\", "ab", false},
        {"*\\*", "ab*", true},
        {"*?", "", false},
        {"*?b", "\303\251b", true},
        {"A", "a", false},
        {"**", "x", true},
        {"*\360\237\230\200?", "x\360\237\230\200y", true},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        if (conf_like_match(conf_slice_from_string(cases[i].pattern),
                            conf_slice_from_string(cases[i].text)) != cases[i].matches)
            g_error("%s ~ %s is not %d", cases[i].pattern, cases[i].text, cases[i].matches);
    }
}

/* ---- the words of the protocol, as simply as they can be said ---- */

static void
gather(ModelFixture *fixture, const ConfField *field, JsonNode *node, char **steps, GPtrArray *reached,
       GPtrArray *fields)
{
    if (node == NULL)
        return;
    if (field->kind == CONF_FIELD_LIST) {
        JsonArray *array = json_node_get_array(node);
        for (unsigned i = 0; i < json_array_get_length(array); i++)
            gather(fixture, field->of, json_array_get_element(array, i), steps, reached, fields);
        return;
    }
    if (steps[0] == NULL) {
        if (!JSON_NODE_HOLDS_OBJECT(node) || json_object_get_size(json_node_get_object(node)) > 0) {
            g_ptr_array_add(reached, node);
            g_ptr_array_add(fields, (void *)field);
        }
        return;
    }
    JsonNode *next =
        JSON_NODE_HOLDS_OBJECT(node) ? json_object_get_member(json_node_get_object(node), steps[0]) : NULL;
    if (field->kind == CONF_FIELD_STRUCT)
        field = conf_struct_member(field, conf_slice_from_string(steps[0]));
    if (field != NULL)
        gather(fixture, field, next, steps + 1, reached, fields);
}

static bool
naive_test(ModelFixture *fixture, JsonNode *test, const GPtrArray *reached, const GPtrArray *fields)
{
    if (JSON_NODE_HOLDS_NULL(test))
        return reached->len == 0;
    if (JSON_NODE_HOLDS_ARRAY(test)) {
        JsonArray *array = json_node_get_array(test);
        bool any = false;
        for (unsigned i = 0; i < json_array_get_length(array); i++)
            any = any || naive_test(fixture, json_array_get_element(array, i), reached, fields);
        return any;
    }
    JsonObject *object = JSON_NODE_HOLDS_OBJECT(test) ? json_node_get_object(test) : NULL;
    if (object != NULL && json_object_has_member(object, "not"))
        return !naive_test(fixture, json_object_get_member(object, "not"), reached, fields);
    for (unsigned i = 0; i < reached->len; i++) {
        JsonNode *value = reached->pdata[i];
        const ConfField *field = fields->pdata[i];
        bool is_text = json_node_get_value_type(value) == G_TYPE_STRING;
        if (object != NULL && json_object_has_member(object, "like")) {
            if (is_text && g_pattern_match_simple(json_object_get_string_member(object, "like"),
                                                  json_node_get_string(value)))
                return true;
            continue;
        }
        g_autoptr(JsonNode) key = NULL;
        if (object != NULL && field->kind == CONF_FIELD_REF && field->to_count == 1) {
            key = json_node_new(JSON_NODE_OBJECT);
            json_node_take_object(key, json_object_new());
            json_object_set_string_member(json_node_get_object(key), "type",
                                          conf_schema_type(fixture->schema, field->to[0])->name);
            json_object_set_int_member(json_node_get_object(key), "dbid", json_node_get_int(value));
            value = key;
        }
        if (field->kind != CONF_FIELD_STRUCT &&
            json_node_get_value_type(value) == json_node_get_value_type(test) && json_node_equal(value, test))
            return true;
    }
    return false;
}

static bool
naive_match(ModelFixture *fixture, const ConfObject *object, JsonObject *body, JsonObject *filter)
{
    g_autoptr(GList) names = json_object_get_members(filter);
    for (GList *l = names; l != NULL; l = l->next) {
        g_auto(GStrv) steps = g_strsplit(l->data, "/", -1);
        g_autoptr(GPtrArray) reached = g_ptr_array_new(), fields = g_ptr_array_new();
        const ConfField *field = conf_type_field(conf_schema_type(fixture->schema, object->type),
                                                 conf_slice_from_string(steps[0]));
        if (field != NULL)
            gather(fixture, field, json_object_get_member(body, steps[0]), steps + 1, reached, fields);
        if (!naive_test(fixture, json_object_get_member(filter, l->data), reached, fields))
            return false;
    }
    return true;
}

static const ConfField *
random_path(const ConfTypeInfo *type, GString *text)
{
    const ConfField *field;
    do {
        field = &type->fields[g_test_rand_int_range(CONF_FIELD_AT_OWN - 1, (int)type->field_count)];
    } while (field->kind == CONF_FIELD_SECRET);
    g_string_append_printf(text, "\"%s", field->name);
    while (true) {
        const ConfField *inner = field->kind == CONF_FIELD_LIST ? field->of : field;
        if (inner->kind == CONF_FIELD_SECTIONS) {
            static const char *const sections[] = {"", "/log", "/log/verbose", "/a/all", "/B", "/a/none"};
            g_string_append(text, sections[g_test_rand_int_range(0, G_N_ELEMENTS(sections))]);
            break;
        }
        if (inner->kind != CONF_FIELD_STRUCT || g_test_rand_int_range(0, 6) == 0)
            break;
        field = &inner->fields[g_test_rand_int_range(0, (int)inner->field_count)];
        g_string_append_printf(text, "/%s", field->name);
    }
    g_string_append(text, "\":");
    return field->kind == CONF_FIELD_LIST ? field->of : field;
}

static void
random_test(ModelFixture *fixture, const ConfField *field, unsigned depth, GString *text)
{
    static const char *const others[] = {"null",
                                         "5",
                                         "\"5\"",
                                         "true",
                                         "{\"type\":\"person\",\"dbid\":2}",
                                         "{\"like\":\"*1\"}",
                                         "{\"like\":\"?\"}",
                                         "{\"like\":\"e*\"}"};
    int choice = g_test_rand_int_range(0, depth > 2 ? 5 : 8);
    if (choice < 4 && field->kind != CONF_FIELD_STRUCT && field->kind != CONF_FIELD_SECTIONS &&
        field->kind != CONF_FIELD_TIME) {
        random_value(fixture->schema, field, text);
    } else if (choice <= 5) {
        g_string_append(text, others[g_test_rand_int_range(0, G_N_ELEMENTS(others))]);
    } else if (choice == 6 || depth > 0) {
        g_string_append(text, "{\"not\":");
        random_test(fixture, field, depth + 1, text);
        g_string_append_c(text, '}');
    } else {
        int count = g_test_rand_int_range(0, 20);
        g_string_append_c(text, '[');
        for (int i = 0; i < count; i++) {
            if (i > 0)
                g_string_append_c(text, ',');
            random_test(fixture, field, depth + 1, text);
        }
        g_string_append_c(text, ']');
    }
}

enum { OBJECTS = 50, FILTERS = 800 };

static void
test_random(ModelFixture *fixture, const void *data)
{
    unsigned count, hits = 0;
    const ConfTypeInfo *const *types = conf_schema_types(fixture->schema, &count);
    g_autoptr(GPtrArray) objects = g_ptr_array_new_with_free_func((GDestroyNotify)conf_object_unref);
    g_autoptr(GPtrArray) bodies = g_ptr_array_new_with_free_func((GDestroyNotify)json_node_unref);
    for (unsigned i = 0; i < OBJECTS; i++) {
        const ConfTypeInfo *type =
            i % 2 == 0 ? conf_schema_type(fixture->schema, CONF_TYPE_APPLICATION) : types[i % count];
        g_autoptr(GString) text = g_string_new(NULL);
        random_object(fixture->schema, type, text);
        ConfObject *object = model_create(fixture, type->id, text->str);
        g_ptr_array_add(objects, object);
        g_autoptr(JsonParser) parser = json_parser_new();
        g_assert_true(json_parser_load_from_data(parser, object->body->data, object->body->size, NULL));
        g_ptr_array_add(bodies, json_parser_steal_root(parser));
    }
    for (unsigned n = 0; n < FILTERS; n++) {
        g_autoptr(GString) text = g_string_new("{");
        const ConfTypeInfo *type =
            n % 2 == 0 ? conf_schema_type(fixture->schema, CONF_TYPE_APPLICATION) : types[n % count];
        unsigned conditions = 1 + (unsigned)g_test_rand_int_range(0, 3);
        for (unsigned i = 0; i < conditions; i++) {
            g_autoptr(GString) member = g_string_new(NULL);
            const ConfField *field = random_path(type, member);
            if (strstr(text->str, member->str) != NULL)
                continue;
            if (text->len > 1)
                g_string_append_c(text, ',');
            g_string_append(text, member->str);
            random_test(fixture, field, 0, text);
        }
        g_string_append_c(text, '}');
        g_autoptr(JsonParser) parser = json_parser_new();
        g_assert_true(json_parser_load_from_data(parser, text->str, -1, NULL));
        ConfFilter *filter = compile(fixture, 0, text->str);
        if (filter == NULL)
            g_error("%s: %s", text->str, fixture->error.message);
        for (unsigned i = 0; i < objects->len; i++) {
            bool expected = naive_match(fixture, objects->pdata[i], json_node_get_object(bodies->pdata[i]),
                                        json_node_get_object(json_parser_get_root(parser)));
            if (conf_filter_match(filter, objects->pdata[i]) != expected)
                g_error("%s is not %d of %s", text->str, expected,
                        ((ConfObject *)objects->pdata[i])->body->data);
            hits += expected;
        }
        conf_filter_free(filter);
    }
    /* Both answers came often, or this would have tested little. */
    g_assert_cmpuint(hits, >, OBJECTS * FILTERS / 20);
    g_assert_cmpuint(hits, <, OBJECTS * FILTERS * 19 / 20);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    MODEL_TEST("/filter/forms", test_forms);
    MODEL_TEST("/filter/times", test_times);
    MODEL_TEST("/filter/many", test_many);
    MODEL_TEST("/filter/faults", test_faults);
    MODEL_TEST("/filter/hints", test_hints);
    g_test_add_func("/filter/like", test_like);
    MODEL_TEST("/filter/random", test_random);
    return g_test_run();
}
