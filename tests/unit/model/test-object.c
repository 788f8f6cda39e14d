/* test-object.c - bodies: what clients may put in, what comes out, what is kept. */
#include <string.h>

#include "base/error.h"
#include "model-fixture.h"

static const char *const server =
    "{\"type\":\"application\",\"name\":\"srv\",\"applicationType\":\"genericServer\"}";

static void
test_canonical(ModelFixture *fixture, const void *data)
{
    g_autoptr(ConfObject) object = model_create(
        fixture, CONF_TYPE_APPLICATION,
        "{\"options\":{\"log\":{\"verbose\":\"all\",\"all\":\"stderr\"},\"empty\":{},"
        "\"B\":{\"\\u00e9\":\"\\u0001\"}},\"annex\":{},"
        "\"tenants\":[3,1,3],\"connections\":[],\"account\":100,\"state\":\"enabled\","
        "\"ports\":[{\"port\":2020,\"id\":\"default\"}],"
        "\"applicationType\":\"genericServer\",\"name\":\"A\\u0301b\",\"version\":null,\"server\":true}");
    g_assert_cmpstr(
        object->body->data, ==,
        "{\"type\":\"application\",\"dbid\":105,\"revision\":7,\"name\":\"\303\201b\",\"tenant\":1,"
        "\"folder\":12,"
        "\"state\":\"enabled\",\"applicationType\":\"genericServer\",\"server\":true,"
        "\"ports\":[{\"id\":\"default\","
        "\"port\":2020}],\"account\":{\"type\":\"person\",\"dbid\":100},\"tenants\":[3,1],"
        "\"options\":{\"B\":{\"\303\251\":"
        "\"\\u0001\"},\"empty\":{},\"log\":{\"all\":\"stderr\",\"verbose\":\"all\"}}}");
    g_assert_cmpstr(object->name, ==, "\303\201b");
    g_assert_cmpuint(object->name_size, ==, 3);
    g_assert_cmpint(object->folder, ==, 12);
    g_assert_true(object->enabled);
    g_assert_null(object->secrets);
    g_autoptr(GError) error = NULL;
    g_assert_true(conf_object_check(fixture->schema, object, &error));
    g_assert_no_error(error);
}

static void
test_time(ModelFixture *fixture, const void *data)
{
    g_autoptr(ConfObject) object = model_create(
        fixture, CONF_TYPE_PERSON, "{\"name\":\"p\",\"passwordChanged\":\"2026-11-21T11:00:00+02:00\"}");
    g_assert_cmpstr(model_rest(object), ==, ",\"passwordChanged\":\"2026-11-21T09:00:00.000Z\"}");
}

static void
test_create_faults(ModelFixture *fixture, const void *data)
{
    static const struct {
        const char *member, *path;
    } faults[] = {
        {"\"x\":1", "/object/x"},
        {"\"a/b~\":1", "/object/a~1b~0"},
        {"\"dbid\":5", "/object/dbid"},
        {"\"revision\":5", "/object/revision"},
        {"\"type\":\"host\"", "/object/type"},
        {"\"server\":false", "/object/server"},
        {"\"server\":1", "/object/server"},
        {"\"secretHash\":\"x\"", "/object/secretHash"},
        {"\"secretSet\":true", "/object/secretSet"},
        {"\"version\":5", "/object/version"},
        {"\"startupTimeout\":1.0", "/object/startupTimeout"},
        {"\"startupTimeout\":1e2", "/object/startupTimeout"},
        {"\"startupTimeout\":-1", "/object/startupTimeout"},
        {"\"startupTimeout\":9007199254740993", "/object/startupTimeout"},
        {"\"startupTimeout\":\"1\"", "/object/startupTimeout"},
        {"\"autoRestart\":1", "/object/autoRestart"},
        {"\"redundancy\":\"hot\"", "/object/redundancy"},
        {"\"host\":0", "/object/host"},
        {"\"host\":\"h\"", "/object/host"},
        {"\"host\":{\"type\":\"host\",\"dbid\":1}", "/object/host"},
        {"\"account\":{\"type\":\"host\",\"dbid\":1}", "/object/account"},
        {"\"account\":{\"type\":\"person\"}", "/object/account"},
        {"\"account\":{\"type\":\"person\",\"dbid\":1,\"x\":1}", "/object/account"},
        {"\"ports\":{}", "/object/ports"},
        {"\"ports\":[5]", "/object/ports/0"},
        {"\"ports\":[null]", "/object/ports/0"},
        {"\"ports\":[{\"port\":5}]", "/object/ports/0/id"},
        {"\"ports\":[{\"id\":\"a\"},{\"id\":\"b\",\"port\":0}]", "/object/ports/1/port"},
        {"\"ports\":[{\"id\":\"a\"},{\"id\":\"a\"}]", "/object/ports/1"},
        {"\"ports\":[{\"id\":\"a\",\"colour\":1}]", "/object/ports/0/colour"},
        {"\"connections\":[{\"server\":5},{\"server\":5}]", "/object/connections/1"},
        {"\"options\":[]", "/object/options"},
        {"\"options\":{\"log\":5}", "/object/options/log"},
        {"\"options\":{\"log\":{\"a\":5}}", "/object/options/log/a"},
        {"\"options\":{\"log/1\":{\"a\":true}}", "/object/options/log~11/a"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_autofree char *text =
            g_strdup_printf("{\"name\":\"a\",\"applicationType\":\"genericServer\",%s}", faults[i].member);
        g_assert_null(model_create(fixture, CONF_TYPE_APPLICATION, text));
        model_assert_fault(fixture, faults[i].path);
    }
    g_assert_null(model_create(fixture, CONF_TYPE_APPLICATION, "{\"name\":\"a\"}"));
    model_assert_fault(fixture, "/object/applicationType");
    g_assert_null(model_create(fixture, CONF_TYPE_APPLICATION, "{\"name\":\"a\",\"applicationType\":null}"));
    model_assert_fault(fixture, "/object/applicationType");
    g_assert_null(model_create(fixture, CONF_TYPE_HOST, "{}"));
    model_assert_fault(fixture, "/object/name");
    g_assert_null(model_create(fixture, CONF_TYPE_HOST, "[]"));
    model_assert_fault(fixture, "/object");
    g_assert_null(model_create(fixture, CONF_TYPE_FOLDER, "{\"name\":\"f\",\"holds\":\"nothing\"}"));
    model_assert_fault(fixture, "/object/holds");
}

static void
test_names(ModelFixture *fixture, const void *data)
{
    g_autofree char *long_ascii = g_strnfill(256, 'a');
    g_autoptr(GString) umlauts = g_string_new(NULL);
    for (unsigned i = 0; i < 255; i++)
        g_string_append(umlauts, "u\314\210"); /* 255 characters when composed */
    const char *bad[] = {"", long_ascii, "a\nb", "a\177\302\200b", "\302\237", "\001"};
    ConfSlice normal;
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(conf_name_normalize(fixture->arena, conf_slice_from_string(bad[i]), "/name", &normal,
                                           &fixture->error));
        model_assert_fault(fixture, "/name");
    }
    g_assert_false(
        conf_name_normalize(fixture->arena, (ConfSlice){"a\0b", 3}, "/name", &normal, &fixture->error));
    model_assert_fault(fixture, "/name");
    g_assert_true(conf_name_normalize(fixture->arena, (ConfSlice){umlauts->str, umlauts->len}, "/name",
                                      &normal, &fixture->error));
    g_assert_cmpuint(normal.size, ==, 510);
    g_assert_true(
        conf_name_normalize(fixture->arena, CONF_SLICE("a/b ~\302\240"), "/name", &normal, &fixture->error));
    g_assert_cmpmem(normal.data, normal.size, "a/b ~\302\240", 7);
}

static void
test_head(ModelFixture *fixture, const void *data)
{
    int64_t tenant, folder;
    bool folder_given, enabled;
    g_assert_true(
        conf_object_read_head(model_tree(fixture, "{\"tenant\":5,\"folder\":6,\"state\":\"disabled\"}"),
                              "/object", &tenant, &folder, &folder_given, &enabled, &fixture->error));
    g_assert_cmpint(tenant, ==, 5);
    g_assert_cmpint(folder, ==, 6);
    g_assert_true(folder_given);
    g_assert_false(enabled);
    g_assert_true(
        conf_object_read_head(model_tree(fixture, "{\"tenant\":null,\"folder\":null,\"state\":null}"),
                              "/object", &tenant, &folder, &folder_given, &enabled, &fixture->error));
    g_assert_cmpint(tenant + folder, ==, 0);
    g_assert_false(folder_given);
    g_assert_true(enabled);
    static const char *const faults[][2] = {
        {"{\"tenant\":0}", "/object/tenant"},
        {"{\"folder\":\"x\"}", "/object/folder"},
        {"{\"state\":\"on\"}", "/object/state"},
        {"{\"state\":true}", "/object/state"},
        {"5", "/object"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_assert_false(conf_object_read_head(model_tree(fixture, faults[i][0]), "/object", &tenant, &folder,
                                             &folder_given, &enabled, &fixture->error));
        model_assert_fault(fixture, faults[i][1]);
    }
}

/* Patches, what stands behind "state" afterwards.  "=": the object itself, since nothing changed. */
static void
test_patch(ModelFixture *fixture, const void *data)
{
    g_autoptr(ConfObject) before =
        model_create(fixture, CONF_TYPE_APPLICATION,
                     "{\"name\":\"srv\",\"applicationType\":\"genericServer\",\"ports\":[{\"id\":\"default\","
                     "\"port\":1},{\"id\":\"ha\",\"port\":2}],"
                     "\"tenants\":[1,2,3],\"options\":{\"log\":{\"a\":\"1\",\"b\":\"2\"}}}");
#define HEAD ",\"applicationType\":\"genericServer\",\"server\":true"
#define PORTS ",\"ports\":[{\"id\":\"default\",\"port\":1},{\"id\":\"ha\",\"port\":2}]"
#define TENANTS ",\"tenants\":[1,2,3]"
#define OPTIONS ",\"options\":{\"log\":{\"a\":\"1\",\"b\":\"2\"}}}"
    static const struct {
        const char *patch, *add, *remove, *rest;
    } cases[] = {
        {"{}", NULL, NULL, "="},
        {NULL, "{}", "{}", "="},
        {"{\"type\":\"application\",\"dbid\":105,\"revision\":7,\"tenant\":1,\"server\":true,\"folder\":12}",
         NULL, NULL, "="},
        {"{\"secretSet\":null}", NULL, NULL, "="},
        {"{\"secretSet\":false}", NULL, NULL, "="},
        {"{\"options\":{\"log\":{\"c\":null},\"x\":null}}", NULL, NULL, "="},
        {"{\"version\":null,\"tenants\":[1,2,3,2]}", NULL, NULL, "="},
        {"{\"version\":\"8\"}", NULL, NULL, HEAD ",\"version\":\"8\"" PORTS TENANTS OPTIONS},
        {"{\"applicationType\":\"genericClient\"}", NULL, NULL,
         ",\"applicationType\":\"genericClient\",\"server\":false" PORTS TENANTS OPTIONS},
        {"{\"applicationType\":\"genericClient\",\"server\":false}", NULL, NULL,
         ",\"applicationType\":\"genericClient\",\"server\":false" PORTS TENANTS OPTIONS},
        {"{\"options\":{\"log\":{\"a\":null,\"b\":\"3\"},\"new\":{}}}", NULL, NULL,
         HEAD PORTS TENANTS ",\"options\":{\"log\":{\"b\":\"3\"},\"new\":{}}}"},
        {"{\"options\":{\"log\":{\"a\":null,\"b\":null}}}", NULL, NULL,
         HEAD PORTS TENANTS ",\"options\":{\"log\":{}}}"},
        {"{\"options\":{\"log\":null}}", NULL, NULL, HEAD PORTS TENANTS "}"},
        {"{\"options\":null}", NULL, NULL, HEAD PORTS TENANTS "}"},
        {"{\"ports\":[{\"id\":\"x\"}]}", NULL, NULL, HEAD ",\"ports\":[{\"id\":\"x\"}]" TENANTS OPTIONS},
        {"{\"ports\":[]}", NULL, NULL, HEAD TENANTS OPTIONS},
        {NULL, "{\"ports\":[{\"id\":\"default\",\"port\":9},{\"id\":\"z\"}]}", NULL,
         HEAD ",\"ports\":[{\"id\":\"default\",\"port\":9},{\"id\":\"ha\",\"port\":2},{\"id\":\"z\"}]" TENANTS
             OPTIONS},
        {NULL, "{\"tenants\":[2,9,9]}", NULL, HEAD PORTS ",\"tenants\":[1,2,3,9]" OPTIONS},
        {NULL, NULL, "{\"ports\":[\"ha\",\"none\"],\"tenants\":[1,77]}",
         HEAD ",\"ports\":[{\"id\":\"default\",\"port\":1}],\"tenants\":[2,3]" OPTIONS},
        {NULL, NULL, "{\"ports\":[{\"id\":\"ha\",\"port\":3}]}",
         HEAD ",\"ports\":[{\"id\":\"default\",\"port\":1}]" TENANTS OPTIONS},
        {NULL, NULL, "{\"tenants\":[1,2,3]}", HEAD PORTS OPTIONS},
        {"{\"tenants\":[5]}", "{\"tenants\":[6]}", "{\"tenants\":[5]}",
         HEAD PORTS ",\"tenants\":[6]" OPTIONS},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(ConfObject) after =
            model_update(fixture, before, cases[i].patch, cases[i].add, cases[i].remove);
        g_assert_nonnull(after);
        if (strcmp(cases[i].rest, "=") == 0) {
            g_assert_true(after == before);
            continue;
        }
        g_assert_cmpstr(model_rest(after), ==, cases[i].rest);
        g_assert_cmpint(after->revision, ==, 8);
    }
}

static void
test_patch_head(ModelFixture *fixture, const void *data)
{
    g_autoptr(ConfObject) before = model_create(fixture, CONF_TYPE_HOST, "{\"name\":\"h\"}");
    g_autoptr(ConfObject) after = model_update(
        fixture, before, "{\"name\":\"e\\u0301\",\"folder\":99,\"state\":\"disabled\"}", NULL, NULL);
    g_assert_cmpstr(
        after->body->data, ==,
        "{\"type\":\"host\",\"dbid\":105,\"revision\":8,\"name\":\"\303\251\",\"tenant\":1,\"folder\":99,"
        "\"state\":\"disabled\"}");
    g_assert_cmpint(after->folder, ==, 99);
    g_assert_false(after->enabled);
    g_assert_cmpstr(after->name, ==, "\303\251");
}

static void
test_patch_faults(ModelFixture *fixture, const void *data)
{
    g_autoptr(ConfObject) before = model_create(fixture, CONF_TYPE_APPLICATION, server);
    static const struct {
        const char *patch, *add, *remove, *path;
    } faults[] = {
        {"[]", NULL, NULL, "/patch"},
        {NULL, "[]", NULL, "/add"},
        {NULL, NULL, "5", "/remove"},
        {"{\"type\":\"host\"}", NULL, NULL, "/patch/type"},
        {"{\"dbid\":106}", NULL, NULL, "/patch/dbid"},
        {"{\"dbid\":null}", NULL, NULL, "/patch/dbid"},
        {"{\"revision\":8}", NULL, NULL, "/patch/revision"},
        {"{\"tenant\":2}", NULL, NULL, "/patch/tenant"},
        {"{\"tenant\":null}", NULL, NULL, "/patch/tenant"},
        {"{\"name\":null}", NULL, NULL, "/patch/name"},
        {"{\"name\":\"\"}", NULL, NULL, "/patch/name"},
        {"{\"folder\":\"x\"}", NULL, NULL, "/patch/folder"},
        {"{\"state\":\"on\"}", NULL, NULL, "/patch/state"},
        {"{\"applicationType\":null}", NULL, NULL, "/patch/applicationType"},
        {"{\"server\":false}", NULL, NULL, "/patch/server"},
        {"{\"applicationType\":\"genericClient\",\"server\":true}", NULL, NULL, "/patch/server"},
        {"{\"secretHash\":\"x\"}", NULL, NULL, "/patch/secretHash"},
        {"{\"secretHash\":null}", NULL, NULL, "/patch/secretHash"},
        {"{\"secretSet\":true}", NULL, NULL, "/patch/secretSet"},
        {"{\"nothing\":null}", NULL, NULL, "/patch/nothing"},
        {NULL, "{\"nothing\":[]}", NULL, "/add/nothing"},
        {NULL, "{\"version\":[]}", NULL, "/add/version"},
        {NULL, "{\"tenants\":5}", NULL, "/add/tenants"},
        {NULL, "{\"tenants\":[null]}", NULL, "/add/tenants/0"},
        {NULL, "{\"tenants\":[1,\"x\"]}", NULL, "/add/tenants/1"},
        {NULL, "{\"ports\":[{\"id\":\"a\",\"port\":70000}]}", NULL, "/add/ports/0/port"},
        {NULL, NULL, "{\"ports\":[5]}", "/remove/ports/0"},
        {NULL, NULL, "{\"options\":[\"log\"]}", "/remove/options"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_assert_null(model_update(fixture, before, faults[i].patch, faults[i].add, faults[i].remove));
        model_assert_fault(fixture, faults[i].path);
    }
    g_autoptr(ConfObject) group =
        model_create(fixture, CONF_TYPE_ACCESS_GROUP, "{\"name\":\"g\",\"kind\":\"custom\"}");
    g_assert_null(model_update(fixture, group, "{\"kind\":\"users\"}", NULL, NULL));
    model_assert_fault(fixture, "/patch/kind");
    g_autoptr(ConfObject) same = model_update(fixture, group, "{\"kind\":\"custom\"}", NULL, NULL);
    g_assert_true(same == group);
    g_assert_null(conf_object_update(fixture->schema, fixture->arena, group,
                                     model_tree(fixture, "{\"members\":5}"), NULL, NULL, 9, "/operations/3",
                                     &fixture->error));
    model_assert_fault(fixture, "/operations/3/patch/members");
}

static void
test_limits(ModelFixture *fixture, const void *data)
{
    g_autoptr(ConfObject) before = model_create(fixture, CONF_TYPE_APPLICATION, server);
    g_autoptr(GString) patch = g_string_new("{\"options\":{\"s\":{\"k\":\"");
    g_string_set_size(patch, patch->len + 1024 * 1024 + 1);
    memset(patch->str + patch->len - 1024 * 1024 - 1, 'x', 1024 * 1024 + 1);
    g_string_append(patch, "\"}}}");
    g_assert_null(model_update(fixture, before, patch->str, NULL, NULL));
    model_assert_fault(fixture, "/patch/options/s/k");

    g_string_assign(patch, "{\"tenants\":[1");
    for (unsigned i = 2; i <= 100000; i++)
        g_string_append_printf(patch, ",%u", i);
    g_string_append(patch, "]}");
    g_autoptr(ConfObject) full = model_update(fixture, before, patch->str, NULL, NULL);
    g_assert_nonnull(full);
    g_autoptr(ConfObject) same = model_update(fixture, full, NULL, "{\"tenants\":[5]}", NULL);
    g_assert_true(same == full);
    g_assert_null(model_update(fixture, full, NULL, "{\"tenants\":[100001]}", NULL));
    model_assert_fault(fixture, "/add/tenants");
    g_string_insert(patch, 12, "100001,");
    g_assert_null(model_update(fixture, before, patch->str, NULL, NULL));
    model_assert_fault(fixture, "/patch/tenants");
}

/* An object may not grow beyond what one request could hold, however many make it. */
static void
test_body_limit(ModelFixture *fixture, const void *data)
{
    g_autofree char *half = g_strnfill(1024 * 1024, 'x');
    ConfObject *object = model_create(fixture, CONF_TYPE_APPLICATION, server);
    for (unsigned i = 0; i < 17; i++) {
        g_autofree char *patch = g_strdup_printf("{\"options\":{\"s\":{\"k%u\":\"%s\"}}}", i, half);
        ConfObject *after = model_update(fixture, object, patch, NULL, NULL);
        g_assert_cmpint(after != NULL, ==, i < 15);
        if (after == NULL) {
            g_assert_cmpint(fixture->error.code, ==, CONF_RPC_LIMIT);
            break;
        }
        conf_object_unref(object);
        object = after;
    }
    conf_object_unref(object);
}

static void
test_secrets(ModelFixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ConfObject) before = model_create(fixture, CONF_TYPE_PERSON, "{\"name\":\"p\"}");
    g_autoptr(ConfObject) after = conf_object_amend(
        fixture->schema, fixture->arena, before, model_tree(fixture, "{\"mustChangePassword\":true}"),
        model_tree(fixture, "{\"passwordHash\":\"$y$1\"}"), 8, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(model_rest(after), ==, ",\"passwordSet\":true,\"mustChangePassword\":true}");
    g_assert_cmpstr(after->secrets->data, ==, "{\"passwordHash\":\"$y$1\"}");
    g_autofree char *secret = conf_object_get_secret(after, "passwordHash");
    g_assert_cmpstr(secret, ==, "$y$1");
    g_assert_true(conf_object_check(fixture->schema, after, &error));

    /* Clients may say what they read; an update keeps the secret. */
    g_autoptr(ConfObject) named =
        model_update(fixture, after, "{\"passwordSet\":true,\"firstName\":\"P\"}", NULL, NULL);
    g_assert_cmpstr(named->secrets->data, ==, "{\"passwordHash\":\"$y$1\"}");
    g_assert_null(model_update(fixture, after, "{\"passwordSet\":null}", NULL, NULL));
    model_assert_fault(fixture, "/patch/passwordSet");

    /* Another secret alone: the body says the same, the object is another. */
    g_autoptr(ConfObject) other =
        conf_object_amend(fixture->schema, fixture->arena, after, NULL,
                          model_tree(fixture, "{\"passwordHash\":\"$y$2\"}"), 9, &error);
    g_assert_cmpstr(model_rest(other), ==, model_rest(after));
    g_assert_cmpint(memcmp(other->digest, after->digest, 16), !=, 0);
    g_autoptr(ConfObject) same =
        conf_object_amend(fixture->schema, fixture->arena, after, NULL,
                          model_tree(fixture, "{\"passwordHash\":\"$y$1\"}"), 9, &error);
    g_assert_true(same == after);
    g_autoptr(ConfObject) gone = conf_object_amend(fixture->schema, fixture->arena, after, NULL,
                                                   model_tree(fixture, "{\"passwordHash\":null}"), 9, &error);
    g_assert_null(gone->secrets);
    g_assert_cmpstr(model_rest(gone), ==, ",\"mustChangePassword\":true}");
    g_assert_null(conf_object_amend(fixture->schema, fixture->arena, after, NULL,
                                    model_tree(fixture, "{\"firstName\":\"x\"}"), 9, &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
}

static void
test_stored(ModelFixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ConfObject) made = model_create(fixture, CONF_TYPE_PERSON, "{\"name\":\"p\\\"\\\\\"}");
    ConfSlice none = {NULL, 0};
    ConfSlice rights = CONF_SLICE("[{\"account\":{\"type\":\"person\",\"dbid\":5},\"rights\":[\"read\"]}]");
    g_autoptr(ConfObject) stored =
        conf_object_from_stored(fixture->schema, conf_bytes_slice(made->body),
                                CONF_SLICE("{\"passwordHash\":\"x\"}"), rights, 4, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(stored->name, ==, "p\"\\");
    g_assert_cmpint(stored->type, ==, CONF_TYPE_PERSON);
    g_assert_cmpint(stored->dbid, ==, 105);
    g_assert_cmpint(stored->revision, ==, 7);
    g_assert_cmpint(stored->tenant, ==, 1);
    g_assert_cmpint(stored->folder, ==, 12);
    g_assert_cmpint(stored->acl_revision, ==, 4);
    g_assert_cmpuint(conf_acl_lookup(stored->acl, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = 5}), ==,
                     CONF_RIGHT_READ);
    /* What stands beside the body does not fit it: said, with the name of the object. */
    g_assert_false(conf_object_check(fixture->schema, stored, &error));
    g_assert_nonnull(strstr(error->message, "105"));
    g_clear_error(&error);

    static const char *const broken[] = {
        "",
        "5",
        "{}",
        "{\"type\":\"person\"",
        "{\"type\":\"nobody\",\"dbid\":1,\"revision\":1,\"name\":\"a\",\"tenant\":1,\"state\":\"enabled\"}",
        "{\"type\":\"person\",\"dbid\":0,\"revision\":1,\"name\":\"a\",\"tenant\":1,\"state\":\"enabled\"}",
        "{\"type\":\"person\",\"dbid\":1,\"revision\":1,\"name\":5,\"tenant\":1,\"state\":\"enabled\"}",
        "{\"type\":\"person\",\"dbid\":1,\"revision\":1,\"name\":\"a\",\"tenant\":1,\"state\":\"on\"}",
        "{\"type\":\"person\",\"dbid\":1,\"revision\":1,\"name\":\"a\",\"tenant\":1}",
        "{\"type\":\"person\",\"dbid\":1,\"revision\":1,\"name\":\"a\",\"tenant\":1,\"state\":\"enabled\","
        "\"firstName\":\"\377\"}",
        "{\"type\":\"person\",\"dbid\":1,\"revision\":1,\"name\":\"a\",\"tenant\":1,\"state\":\"enabled\"} x",
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(broken); i++) {
        g_assert_null(conf_object_from_stored(fixture->schema, conf_slice_from_string(broken[i]), none, none,
                                              0, &error));
        g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
        g_clear_error(&error);
    }
    g_assert_null(conf_object_from_stored(fixture->schema, conf_bytes_slice(made->body), none,
                                          CONF_SLICE("[5]"), 1, &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
}

/* Bodies that are JSON but do not fit the schema, or are not as they would be written. */
static void
test_check(ModelFixture *fixture, const void *data)
{
    static const char *const wrong[] = {
        "\"address\":5",
        "\"colour\":1",
        "\"lcaPort\":4999,\"address\":\"a\"",
        "\"address\": \"a\"",
        "\"address\":\"\\u0061\"",
        "\"annex\":{}",
        "\"annex\":{\"b\":{},\"a\":{}}",
        "\"lcaPort\":70000",
        "\"options\":{\"a\":{}}",
        "\"address\":null",
        "\"revision\":9",
    };
    ConfSlice none = {NULL, 0};
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *body =
            g_strdup_printf("{\"type\":\"host\",\"dbid\":1,\"revision\":1,\"name\":\"a\",\"tenant\":1,"
                            "\"state\":\"enabled\",%s}",
                            wrong[i]);
        g_autoptr(ConfObject) object =
            conf_object_from_stored(fixture->schema, conf_slice_from_string(body), none, none, 0, &error);
        if (object == NULL) { /* a key that stands there twice is no JSON to us */
            g_assert_cmpstr(wrong[i], ==, "\"revision\":9");
            continue;
        }
        g_assert_false(conf_object_check(fixture->schema, object, &error));
        g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
    }
}

static void
test_acl(ModelFixture *fixture, const void *data)
{
    g_autoptr(ConfObject) before = model_create(fixture, CONF_TYPE_HOST, "{\"name\":\"h\"}");
    ConfAcl *empty = conf_acl_intern(NULL, 0);
    g_autoptr(ConfObject) nobody = conf_object_with_acl(before, empty, 9);
    g_autoptr(ConfObject) inherited = conf_object_with_acl(nobody, NULL, 10);
    conf_acl_unref(empty);
    g_assert_true(nobody->body == before->body);
    g_assert_cmpint(nobody->acl_revision, ==, 9);
    g_assert_cmpint(nobody->revision, ==, 7);
    g_assert_cmpint(memcmp(nobody->digest, before->digest, 16), !=, 0);
    g_assert_cmpmem(inherited->digest, 16, before->digest, 16);
    g_autoptr(ConfObject) changed = model_update(fixture, nobody, "{\"address\":\"a\"}", NULL, NULL);
    g_assert_true(changed->acl == nobody->acl);
    g_assert_cmpint(changed->acl_revision, ==, 9);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    MODEL_TEST("/object/canonical", test_canonical);
    MODEL_TEST("/object/time", test_time);
    MODEL_TEST("/object/create-faults", test_create_faults);
    MODEL_TEST("/object/names", test_names);
    MODEL_TEST("/object/head", test_head);
    MODEL_TEST("/object/patch", test_patch);
    MODEL_TEST("/object/patch-head", test_patch_head);
    MODEL_TEST("/object/patch-faults", test_patch_faults);
    MODEL_TEST("/object/limits", test_limits);
    MODEL_TEST("/object/body-limit", test_body_limit);
    MODEL_TEST("/object/secrets", test_secrets);
    MODEL_TEST("/object/stored", test_stored);
    MODEL_TEST("/object/check", test_check);
    MODEL_TEST("/object/acl", test_acl);
    return g_test_run();
}
