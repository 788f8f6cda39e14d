/* test-initial-content.c - what a new database holds, and who may what in it. */
#include "fixture.h"

#include <string.h>

#include "access/identity.h"

static const ConfObject *
named(Fixture *fixture, ConfTypeId type, const char *name)
{
    const ConfObject *object =
        conf_store_lookup_name(fixture->store, type, conf_slice_from_string(name), NULL);
    if (object == NULL)
        g_error("There is no %s", name);
    return object;
}

static uint8_t
rights_of(Fixture *fixture, const char *person, const ConfObject *object)
{
    return conf_access_rights(conf_store_state(fixture->store), fixture_person(fixture, person), object);
}

static void
test_objects(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    const ConfObject *environment = named(fixture, CONF_TYPE_TENANT, "Environment");
    g_assert_cmpint(environment->dbid, ==, 1);
    g_assert_cmpint(environment->tenant, ==, 1);
    g_assert_cmpint(environment->folder, ==, 0);
    g_assert_true(conf_object_get_boolean(environment, "provider"));
    const ConfObject *server = named(fixture, CONF_TYPE_APPLICATION, "confserv");
    g_assert_cmpint(server->dbid, ==, 99);
    g_assert_nonnull(strstr(server->body->data, "\"port\":2120"));
    g_assert_true(conf_object_get_boolean(server, "server"));
    g_assert_cmpint(named(fixture, CONF_TYPE_PERSON, "default")->dbid, ==, 100);
    g_assert_false(conf_object_get_boolean(named(fixture, CONF_TYPE_APPLICATION, "default"), "server"));
    named(fixture, CONF_TYPE_APPLICATION, "confctl");
    const char *const groups[] = {"EVERYONE", "Users", "Administrators", "Super Administrators", "SYSTEM"};
    for (unsigned i = 0; i < G_N_ELEMENTS(groups); i++)
        named(fixture, CONF_TYPE_ACCESS_GROUP, groups[i]);
    const char *const folders[] = {"Hosts",   "Persons", "Access Groups", "Applications",
                                   "Tenants", "Roles",   "Solutions"};
    for (unsigned i = 0; i < G_N_ELEMENTS(folders); i++)
        g_assert_cmpint(named(fixture, CONF_TYPE_FOLDER, folders[i])->revision, ==, 1);
}

static void
test_settings(void)
{
    g_autofree char *folder = g_test_build_filename(G_TEST_DIST, "..", "..", "data", "schema", NULL);
    g_autoptr(GError) error = NULL;
    ConfSchema *schema = conf_schema_load(folder, &error);
    g_assert_no_error(error);
    g_autoptr(GHashTable) next_dbids = g_hash_table_new(NULL, NULL);
    ConfInitialSettings settings = {
        .admin_name = "root", .admin_password_hash = "$y$x", .server_name = "cs1", .port = 7000};
    g_autoptr(GPtrArray) objects = conf_initial_content(schema, &settings, next_dbids, &error);
    g_assert_no_error(error);
    bool has_admin = false, has_server = false;
    for (unsigned i = 0; i < objects->len; i++) {
        const ConfObject *object = g_ptr_array_index(objects, i);
        ConfKey key = conf_object_key(object);
        if (i > 0)
            g_assert_cmpint(conf_key_compare(conf_object_key(g_ptr_array_index(objects, i - 1)), key), <, 0);
        g_assert_true(conf_object_check(schema, object, &error));
        g_assert_no_error(error);
        size_t next = GPOINTER_TO_SIZE(g_hash_table_lookup(next_dbids, GUINT_TO_POINTER(key.type)));
        g_assert_cmpint((int64_t)next, >, key.dbid);
        has_server |= key.type == CONF_TYPE_APPLICATION && strcmp(object->name, "cs1") == 0 && key.dbid == 99;
        if (key.type != CONF_TYPE_PERSON)
            continue;
        g_autofree char *hash = conf_object_get_secret(object, "passwordHash");
        g_assert_cmpstr(hash, ==, "$y$x");
        g_assert_cmpstr(object->name, ==, "root");
        g_assert_true(conf_object_get_boolean(object, "passwordSet"));
        g_assert_cmpint(object->revision, ==, 1);
        has_admin = true;
    }
    g_assert_true(has_admin && has_server);
    g_ptr_array_set_size(objects, 0);
    conf_schema_free(schema);
}

/* anna is in Users, boss in Administrators, carl in nothing. */
static void
test_rights(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    const ConfObject *environment = named(fixture, CONF_TYPE_TENANT, "Environment");
    const ConfObject *confctl = named(fixture, CONF_TYPE_APPLICATION, "confctl");
    const ConfObject *server = named(fixture, CONF_TYPE_APPLICATION, "confserv");
    const ConfObject *super = named(fixture, CONF_TYPE_ACCESS_GROUP, "Super Administrators");
    const ConfObject *system = named(fixture, CONF_TYPE_ACCESS_GROUP, "SYSTEM");
    const ConfObject *first = named(fixture, CONF_TYPE_PERSON, "default");
    const ConfObject *hosts = named(fixture, CONF_TYPE_FOLDER, "Hosts");
    const ConfObject *persons = named(fixture, CONF_TYPE_FOLDER, "Persons");
    const ConfObject *all[] = {environment, confctl, server, super, system, first, hosts, persons};
    for (unsigned i = 0; i < G_N_ELEMENTS(all); i++) {
        g_assert_cmpuint(rights_of(fixture, "default", all[i]), ==, CONF_RIGHT_ALL);
        g_assert_cmpuint(rights_of(fixture, "carl", all[i]), ==, 0);
    }
    g_assert_cmpuint(rights_of(fixture, "boss", environment), ==, CONF_RIGHT_ALL);
    g_assert_cmpuint(rights_of(fixture, "boss", hosts), ==, CONF_RIGHT_ALL);
    g_assert_cmpuint(rights_of(fixture, "boss", persons), ==, CONF_RIGHT_ALL);
    g_assert_cmpuint(rights_of(fixture, "boss", super), ==, CONF_RIGHT_READ);
    g_assert_cmpuint(rights_of(fixture, "boss", system), ==, CONF_RIGHT_READ);
    g_assert_cmpuint(rights_of(fixture, "boss", first), ==, CONF_RIGHT_READ);
    g_assert_cmpuint(rights_of(fixture, "anna", confctl), ==, CONF_RIGHT_READ | CONF_RIGHT_EXECUTE);
    g_assert_cmpuint(rights_of(fixture, "anna", server), ==, CONF_RIGHT_READ);
    g_assert_cmpuint(rights_of(fixture, "anna", hosts), ==, CONF_RIGHT_READ);
    g_assert_cmpuint(rights_of(fixture, "anna", persons), ==, 0);
    g_assert_cmpuint(rights_of(fixture, "anna", super), ==, 0);
    ConfKey account = conf_object_key(system);
    g_assert_cmpuint(conf_access_rights(conf_store_state(fixture->store), account, hosts), ==,
                     CONF_RIGHT_READ | CONF_RIGHT_EXECUTE);
    g_assert_true(conf_access_has_repairer(conf_store_state(fixture->store)));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/commit/initial-content/objects", test_objects);
    g_test_add_func("/commit/initial-content/settings", test_settings);
    g_test_add_func("/commit/initial-content/rights", test_rights);
    return g_test_run();
}
