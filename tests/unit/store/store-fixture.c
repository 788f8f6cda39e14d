/* store-fixture.c - see store-fixture.h. */
#include "store-fixture.h"

#include <string.h>

ConfSchema *
fixture_schema(void)
{
    GError *error = NULL;
    ConfSchema *schema = conf_schema_load(CONF_TEST_SCHEMA, &error);
    g_assert_no_error(error);
    g_assert_nonnull(schema);
    return schema;
}

ConfObject *
fixture_object(const ConfSchema *schema, const FixtureObject *object)
{
    g_auto(ConfBuffer) body = CONF_BUFFER_INIT;
    conf_buffer_printf(
        &body, "{\"type\":\"%s\",\"dbid\":%" G_GINT64_FORMAT ",\"revision\":%" G_GINT64_FORMAT ",\"name\":",
        conf_schema_type(schema, object->type)->name, object->dbid, object->revision);
    conf_json_append_string(&body, conf_slice_from_string(object->name));
    conf_buffer_printf(&body, ",\"tenant\":%" G_GINT64_FORMAT, object->tenant);
    if (object->folder != 0)
        conf_buffer_printf(&body, ",\"folder\":%" G_GINT64_FORMAT, object->folder);
    conf_buffer_printf(&body, ",\"state\":\"%s\"", object->disabled ? "disabled" : "enabled");
    if (object->more != NULL)
        conf_buffer_printf(&body, ",%s", object->more);
    conf_buffer_append_char(&body, '}');
    g_auto(ConfBuffer) permissions = CONF_BUFFER_INIT;
    if (object->acl != NULL)
        conf_acl_write(object->acl, schema, &permissions);
    GError *error = NULL;
    ConfObject *made =
        conf_object_from_stored(schema, conf_buffer_slice(&body), conf_slice_from_string(object->secrets),
                                conf_buffer_slice(&permissions), object->acl_revision, &error);
    g_assert_no_error(error);
    if (object->acl != NULL) {
        g_assert_true(made->acl == object->acl);
        conf_acl_unref(object->acl);
    }
    return made;
}

ConfAcl *
fixture_acl(ConfTypeId type, int64_t dbid, uint8_t rights)
{
    ConfAclEntry entry = {.account = {.type = type, .dbid = dbid}, .rights = rights};
    return conf_acl_intern(&entry, 1);
}

void
fixture_load(ConfStore *store, ConfObject *object)
{
    GError *error = NULL;
    bool is_loaded = conf_store_load(store, object, &error);
    g_assert_no_error(error);
    g_assert_true(is_loaded);
}

void
fixture_chain(int64_t revision, char chain[17])
{
    g_snprintf(chain, 17, "%016" G_GINT64_MODIFIER "x", revision * 7 + 1);
}

ConfCommit *
fixture_commit(ConfStore *store, const FixtureChange *changes, unsigned count)
{
    ConfCommit *commit = conf_commit_new(count);
    commit->revision = conf_store_position(store)->revision + 1;
    fixture_chain(commit->revision, commit->chain);
    commit->time_ms = 1700000000000 + commit->revision;
    for (unsigned i = 0; i < count; i++) {
        ConfChange *change = &commit->changes[i];
        change->kind = changes[i].kind;
        change->before = changes[i].before;
        change->after = changes[i].after;
        if (change->kind == CONF_CHANGE_UPDATE) {
            g_auto(ConfBuffer) difference = CONF_BUFFER_INIT;
            conf_object_write_difference(conf_store_schema(store), change->before, change->after,
                                         &difference);
            change->difference = conf_buffer_to_bytes(&difference);
        }
    }
    return commit;
}

static ConfObject *
root_folder(const ConfSchema *schema, int64_t dbid, const char *name, const char *holds)
{
    g_autofree char *more = g_strdup_printf("\"holds\":\"%s\"", holds);
    return FIXTURE_OBJECT(schema, CONF_TYPE_FOLDER, dbid, 1, name, 1, .more = more);
}

ConfStore *
fixture_store(void)
{
    ConfStore *store = conf_store_new(fixture_schema());
    const ConfSchema *schema = conf_store_schema(store);
    ConfStorePosition position = {.epoch = 1, .revision = 1};
    g_strlcpy(position.environment, "6f1c3a52-3d0c-4c6e-8b1a-0d6c1f0e9a11", sizeof(position.environment));
    fixture_chain(1, position.chain);
    conf_store_set_position(store, &position);
    fixture_load(store, FIXTURE_OBJECT(schema, CONF_TYPE_TENANT, 1, 1, "Environment", 1));
    fixture_load(store, root_folder(schema, 100, "Tenants", "tenant"));
    fixture_load(store, root_folder(schema, 101, "Persons", "person"));
    fixture_load(store, root_folder(schema, 102, "Access Groups", "accessGroup"));
    fixture_load(store, root_folder(schema, 103, "Hosts", "host"));
    fixture_load(store, root_folder(schema, 104, "Applications", "application"));
    return store;
}
