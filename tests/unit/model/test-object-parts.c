/* test-object-parts.c - what is asked of objects: digests, references, single members, some of the
 * members. */
#include <string.h>

#include "model-fixture.h"

static void
test_digest(ModelFixture *fixture, const void *data)
{
    g_autoptr(ConfObject) one = model_create(fixture, CONF_TYPE_HOST, "{\"name\":\"h\"}");
    g_autoptr(ConfObject) two = model_create(fixture, CONF_TYPE_SERVICE, "{\"name\":\"h\"}");
    uint8_t sum[16] = {0}, zero[16] = {0}, digest[16];
    memset(sum, 0xff, 16);
    uint8_t start[16];
    memcpy(start, sum, 16);
    conf_digest_add(sum, one->digest);
    conf_digest_add(sum, two->digest);
    conf_digest_subtract(sum, one->digest);
    conf_digest_subtract(sum, two->digest);
    g_assert_cmpmem(sum, 16, start, 16);
    uint8_t unit[16] = {1};
    conf_digest_add(sum, unit);
    g_assert_cmpmem(sum, 16, zero, 16);
    conf_object_compute_digest(fixture->schema, one, true, digest);
    g_assert_cmpmem(digest, 16, one->digest, 16);
    char hex[65];
    conf_object_body_hash(one, hex);
    g_autofree char *expected =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)one->body->data, one->body->size);
    g_assert_cmpstr(hex, ==, expected);
}

static void
test_references(ModelFixture *fixture, const void *data)
{
    g_autoptr(ConfObject) object = model_create(
        fixture, CONF_TYPE_APPLICATION,
        "{\"name\":\"a\",\"applicationType\":\"genericServer\",\"host\":3,\"connections\":[{\"server\":7,"
        "\"portId\":\"x\"},{\"server\":8}],"
        "\"backup\":7,\"account\":{\"type\":\"accessGroup\",\"dbid\":9},\"tenants\":[1,2],"
        "\"options\":{\"host\":{\"host\":\"4\"}}}");
    static const struct {
        ConfTypeId type;
        int64_t dbid;
        const char *field;
    } expected[] = {{10, 3, "host"},    {9, 7, "server"},  {9, 8, "server"}, {9, 7, "backup"},
                    {21, 9, "account"}, {7, 1, "tenants"}, {7, 2, "tenants"}};
    g_autoptr(GArray) references = g_array_new(FALSE, FALSE, sizeof(ConfReference));
    conf_object_references(fixture->schema, object, references);
    g_assert_cmpuint(references->len, ==, G_N_ELEMENTS(expected));
    for (unsigned i = 0; i < references->len; i++) {
        const ConfReference *reference = &g_array_index(references, ConfReference, i);
        g_assert_cmpint(reference->target.type, ==, expected[i].type);
        g_assert_cmpint(reference->target.dbid, ==, expected[i].dbid);
        g_assert_cmpstr(reference->field->name, ==, expected[i].field);
    }
    /* Clear is for backup and tenants; the connection to 7 stays (restrict). */
    g_autoptr(ConfObject) cleared = conf_object_without_reference(
        fixture->schema, fixture->arena, object, (ConfKey){.type = CONF_TYPE_APPLICATION, .dbid = 7}, 8);
    g_assert_null(strstr(cleared->body->data, "backup"));
    g_assert_nonnull(strstr(cleared->body->data, "\"server\":7"));
    g_assert_cmpint(cleared->revision, ==, 8);
    g_autoptr(ConfObject) less = conf_object_without_reference(
        fixture->schema, fixture->arena, cleared, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = 1}, 9);
    g_assert_nonnull(strstr(less->body->data, "\"tenants\":[2]"));
    g_autoptr(ConfObject) none = conf_object_without_reference(
        fixture->schema, fixture->arena, less, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = 2}, 10);
    g_assert_null(strstr(none->body->data, "tenants"));
    g_autoptr(ConfObject) same = conf_object_without_reference(
        fixture->schema, fixture->arena, none, (ConfKey){.type = CONF_TYPE_HOST, .dbid = 2}, 11);
    g_assert_true(same == none);
}

static void
test_members(ModelFixture *fixture, const void *data)
{
    g_autoptr(ConfObject) object =
        model_create(fixture, CONF_TYPE_APPLICATION,
                     "{\"name\":\"a\",\"applicationType\":\"genericServer\",\"version\":\"\\\"8\\\"\","
                     "\"startupTimeout\":5,\"autoRestart\":true,"
                     "\"tenants\":[1]}");
    int64_t value = 0;
    g_assert_true(conf_object_get_integer(object, "startupTimeout", &value));
    g_assert_cmpint(value, ==, 5);
    g_assert_false(conf_object_get_integer(object, "shutdownTimeout", &value));
    g_assert_false(conf_object_get_integer(object, "version", &value));
    g_assert_true(conf_object_get_boolean(object, "autoRestart"));
    g_assert_true(conf_object_get_boolean(object, "server"));
    g_assert_false(conf_object_get_boolean(object, "secretSet"));
    g_autofree char *version = conf_object_get_string(object, "version");
    g_assert_cmpstr(version, ==, "\"8\"");
    g_assert_null(conf_object_get_string(object, "commandLine"));
    g_assert_null(conf_object_get_secret(object, "secretHash"));
    ConfSlice raw = conf_object_get_raw(object, "tenants");
    g_assert_cmpmem(raw.data, raw.size, "[1]", 3);
    g_assert_cmpuint(conf_object_get_raw(object, "host").size, ==, 0);
}

static void
test_projection(ModelFixture *fixture, const void *data)
{
    g_autoptr(ConfObject) object =
        model_create(fixture, CONF_TYPE_HOST, "{\"name\":\"h\",\"address\":\"a\",\"lcaPort\":0}");
    ConfProjection *projection = conf_projection_parse(
        fixture->schema, model_tree(fixture, "[\"lcaPort\",\"name\",\"annex\"]"), "/fields", &fixture->error);
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    conf_projection_write(projection, object, &buffer);
    conf_buffer_append_char(&buffer, '\0');
    g_assert_cmpstr(buffer.data, ==,
                    "{\"type\":\"host\",\"dbid\":105,\"revision\":7,\"name\":\"h\",\"lcaPort\":0}");
    conf_projection_free(projection);
    static const char *const faults[][2] = {{"[\"name\",\"nothing\"]", "/fields/1"},
                                            {"[5]", "/fields/0"},
                                            {"\"name\"", "/fields"},
                                            {"[\"passwordHash\"]", "/fields/0"}};
    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_assert_null(conf_projection_parse(fixture->schema, model_tree(fixture, faults[i][0]), "/fields",
                                            &fixture->error));
        model_assert_fault(fixture, faults[i][1]);
    }
    /* What only other types have is unset. */
    projection = conf_projection_parse(fixture->schema, model_tree(fixture, "[\"ports\",\"passwordSet\"]"),
                                       "/fields", &fixture->error);
    buffer.size = 0;
    conf_projection_write(projection, object, &buffer);
    conf_buffer_append_char(&buffer, '\0');
    g_assert_cmpstr(buffer.data, ==, "{\"type\":\"host\",\"dbid\":105,\"revision\":7}");
    conf_projection_free(projection);
    g_assert_null(conf_projection_parse(fixture->schema, model_tree(fixture, "[\"secretHash\"]"), "/fields",
                                        &fixture->error));
    model_assert_fault(fixture, "/fields/0");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    MODEL_TEST("/object/digest", test_digest);
    MODEL_TEST("/object/references", test_references);
    MODEL_TEST("/object/members", test_members);
    MODEL_TEST("/object/projection", test_projection);
    return g_test_run();
}
