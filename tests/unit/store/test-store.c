/* test-store.c - the store by hand: names, paths, lists of rights, places, what is said to be structural. */
#include "base/error.h"
#include "store-fixture.h"

#define ENV 1
enum { TENANTS = 100, PERSONS, GROUPS, HOSTS, APPLICATIONS };

static ConfObject *
host(ConfStore *store, int64_t dbid, const char *name, int64_t tenant, int64_t folder)
{
    return FIXTURE_OBJECT(conf_store_schema(store), CONF_TYPE_HOST, dbid, 1, name, tenant, folder);
}

static ConfObject *
folder(ConfStore *store, int64_t dbid, const char *name, int64_t tenant, int64_t parent)
{
    return FIXTURE_OBJECT(conf_store_schema(store), CONF_TYPE_FOLDER, dbid, 1, name, tenant, parent,
                          .more = "\"holds\":\"host\"");
}

static const ConfObject *
lookup(ConfStore *store, ConfTypeId type, int64_t dbid)
{
    return conf_store_lookup(store, (ConfKey){.type = type, .dbid = dbid});
}

/* One change; the objects are borrowed. */
static bool
apply_one(ConfStore *store, const ConfObject *before, const ConfObject *after)
{
    ConfChangeKind kind = before == NULL  ? CONF_CHANGE_CREATE
                          : after == NULL ? CONF_CHANGE_DELETE
                                          : CONF_CHANGE_UPDATE;
    FixtureChange change = {.kind = kind, .before = conf_object_ref(before), .after = conf_object_ref(after)};
    g_autoptr(ConfCommit) commit = fixture_commit(store, &change, 1);
    conf_store_apply(store, commit, NULL, NULL);
    return commit->structural;
}

static void
test_load(void)
{
    ConfStore *store = fixture_store();
    GError *error = NULL;
    fixture_load(store, host(store, 5, "srv1", ENV, HOSTS));
    g_assert_false(conf_store_load(store, host(store, 5, "srv2", ENV, HOSTS), &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_cmpstr(lookup(store, CONF_TYPE_HOST, 5)->name, ==, "srv1");
    g_assert_cmpuint(conf_store_count_type(store, CONF_TYPE_HOST), ==, 1);
    /* A dbid is not given twice, nor does the next one go back. */
    g_assert_cmpint(conf_store_next_dbid(store, CONF_TYPE_HOST), ==, 6);
    conf_store_set_next_dbid(store, CONF_TYPE_HOST, 50);
    conf_store_set_next_dbid(store, CONF_TYPE_HOST, 40);
    g_assert_cmpint(conf_store_next_dbid(store, CONF_TYPE_HOST), ==, 50);
    conf_store_free(store);
}

static void
test_names(void)
{
    ConfStore *store = fixture_store();
    bool others;
    g_assert_null(conf_store_lookup_name(store, CONF_TYPE_HOST, CONF_SLICE("srv"), &others));
    g_assert_false(others);
    fixture_load(store, host(store, 5, "srv", ENV, HOSTS));
    fixture_load(store,
                 FIXTURE_OBJECT(conf_store_schema(store), CONF_TYPE_PERSON, 5, 1, "srv", ENV, PERSONS));
    g_assert_cmpint(conf_store_lookup_name(store, CONF_TYPE_HOST, CONF_SLICE("srv"), &others)->dbid, ==, 5);
    g_assert_false(others);
    fixture_load(store, host(store, 3, "srv", 2, 0));
    fixture_load(store, host(store, 9, "srv", 3, 0));
    g_assert_nonnull(conf_store_lookup_name(store, CONF_TYPE_HOST, CONF_SLICE("srv"), &others));
    g_assert_true(others);
    /* The one that stands for the name goes first, whichever it is. */
    for (int64_t left = 3; left > 0; left--) {
        const ConfObject *object = conf_store_lookup_name(store, CONF_TYPE_HOST, CONF_SLICE("srv"), &others);
        g_assert_cmpint(others, ==, left > 1);
        apply_one(store, object, NULL);
    }
    g_assert_null(conf_store_lookup_name(store, CONF_TYPE_HOST, CONF_SLICE("srv"), NULL));
    conf_store_free(store);
}

/* Two tenants, one in the other, and names that are hard. */
static ConfStore *
path_store(void)
{
    ConfStore *store = fixture_store();
    const ConfSchema *schema = conf_store_schema(store);
    fixture_load(store, FIXTURE_OBJECT(schema, CONF_TYPE_TENANT, 2, 1, "acme", ENV, TENANTS));
    fixture_load(store, FIXTURE_OBJECT(schema, CONF_TYPE_TENANT, 3, 1, "Hosts", ENV, TENANTS));
    fixture_load(store, folder(store, 201, "Hosts", 2, 0));
    fixture_load(store, FIXTURE_OBJECT(schema, CONF_TYPE_FOLDER, 202, 1, "Tenants", 2,
                                       .more = "\"holds\":\"tenant\""));
    fixture_load(store, FIXTURE_OBJECT(schema, CONF_TYPE_TENANT, 4, 1, "sub", 2, 202));
    fixture_load(store, folder(store, 203, "Hosts", 4, 0));
    fixture_load(store, folder(store, 204, "Hosts", 3, 0));
    fixture_load(store, folder(store, 210, "emea", ENV, HOSTS));
    fixture_load(store, folder(store, 211, "same", ENV, HOSTS));
    fixture_load(store, host(store, 1, "srv1", ENV, 210));
    fixture_load(store, host(store, 2, "a/b~c", ENV, 210));
    fixture_load(store, host(store, 3, "same", ENV, HOSTS));
    fixture_load(store, host(store, 4, "srv1", 2, 201));
    fixture_load(store, host(store, 5, "srv1", 4, 203));
    fixture_load(store, host(store, 6, "srv6", 3, 204));
    fixture_load(store, host(store, 7, "inner", ENV, 211));
    return store;
}

static const ConfObject *
resolve(ConfStore *store, const char *path, int *code)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    const ConfObject *object =
        conf_state_resolve_path(conf_store_state(store), conf_slice_from_string(path), "/path", &error);
    g_assert_cmpint(object == NULL, ==, error.code != 0);
    *code = error.code;
    return object;
}

static void
test_paths(void)
{
    static const struct {
        const char *path;
        ConfTypeId type;
        int64_t dbid;
    } cases[] = {
        {"/Environment", CONF_TYPE_TENANT, 1},
        {"/Environment/Hosts", CONF_TYPE_FOLDER, HOSTS}, /* not tenant Hosts */
        {"/Environment/Hosts/emea", CONF_TYPE_FOLDER, 210},
        {"/Environment/Hosts/emea/srv1", CONF_TYPE_HOST, 1},
        {"/Environment/Hosts/emea/a~1b~0c", CONF_TYPE_HOST, 2},
        {"/Environment/Hosts/same", CONF_TYPE_HOST, 3}, /* not folder same */
        {"/Environment/Hosts/same/inner", CONF_TYPE_HOST, 7},
        {"/Environment/acme", CONF_TYPE_TENANT, 2},
        {"/Environment/Tenants/acme", CONF_TYPE_TENANT, 2},
        {"/Environment/acme/Hosts/srv1", CONF_TYPE_HOST, 4},
        {"/Environment/acme/sub/Hosts/srv1", CONF_TYPE_HOST, 5},
        {"/Environment/Hosts/Hosts/srv6", CONF_TYPE_HOST,
         6}, /* tenant Hosts, as folder Hosts has no such folder */
    };
    ConfStore *store = path_store();
    int code;
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        const ConfObject *object = resolve(store, cases[i].path, &code);
        g_assert_nonnull(object);
        g_assert_cmpint(object->type, ==, cases[i].type);
        g_assert_cmpint(object->dbid, ==, cases[i].dbid);
    }
    static const char *const missing[] = {"/Other",
                                          "/Environment/None",
                                          "/Environment/Hosts/srv1",
                                          "/acme",
                                          "/Environment/Hosts/emea/srv1/x",
                                          "/Environment/Tenants/acme/Hosts"};
    for (unsigned i = 0; i < G_N_ELEMENTS(missing); i++) {
        resolve(store, missing[i], &code);
        g_assert_cmpint(code, ==, CONF_RPC_NOT_FOUND);
    }
    static const char *const wrong[] = {
        "",    "/",    "Environment",   "/Environment/", "//Environment", "/Environment//Hosts",
        "/a~", "/a~2", "/Environment/~"};
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        resolve(store, wrong[i], &code);
        g_assert_cmpint(code, ==, CONF_RPC_INVALID_PARAMS);
    }
    g_autoptr(GString) deep = g_string_new(NULL);
    for (unsigned i = 0; i < 100000; i++)
        g_string_append(deep, "/a");
    resolve(store, deep->str, &code);
    g_assert_cmpint(code, ==, CONF_RPC_INVALID_PARAMS);
    conf_store_free(store);
}

/* Each object's path leads back to it, but for the folder that an object of the same name hides. */
static void
test_path_round_trip(void)
{
    ConfStore *store = path_store();
    int code;
    ConfKey key = {0};
    for (const ConfObject *object; (object = conf_store_next(store, key)) != NULL;
         key = conf_object_key(object)) {
        g_auto(ConfBuffer) path = CONF_BUFFER_INIT;
        conf_state_write_path(conf_store_state(store), object, &path);
        g_autofree char *text = conf_slice_dup(conf_buffer_slice(&path));
        const ConfObject *found = resolve(store, text, &code);
        if (object->type == CONF_TYPE_FOLDER && object->dbid == 211)
            g_assert_cmpstr(text, ==, "/Environment/Hosts/same");
        else if (object->type == CONF_TYPE_TENANT && object->dbid == 3)
            g_assert_cmpstr(text, ==, "/Environment/Hosts");
        else
            g_assert_true(found == object);
    }
    conf_store_free(store);
}

static void
test_structural(void)
{
    ConfStore *store = fixture_store();
    const ConfSchema *schema = conf_store_schema(store);
    g_autoptr(ConfObject) plain = folder(store, 200, "f", ENV, HOSTS);
    g_autoptr(ConfObject) moved = folder(store, 200, "f", ENV, PERSONS);
    g_autoptr(ConfObject) renamed = folder(store, 200, "g", ENV, PERSONS);
    g_assert_false(apply_one(store, NULL, plain));
    g_assert_true(apply_one(store, plain, moved));
    g_assert_false(apply_one(store, moved, renamed));
    g_assert_false(apply_one(store, renamed, NULL));

    g_autoptr(ConfObject) person = FIXTURE_OBJECT(schema, CONF_TYPE_PERSON, 1, 1, "p", ENV, PERSONS);
    g_autoptr(ConfObject) changed =
        FIXTURE_OBJECT(schema, CONF_TYPE_PERSON, 1, 2, "p", ENV, PERSONS, .more = "\"firstName\":\"x\"");
    g_autoptr(ConfObject) disabled =
        FIXTURE_OBJECT(schema, CONF_TYPE_PERSON, 1, 3, "p", ENV, PERSONS, .disabled = true);
    g_assert_false(apply_one(store, NULL, person));
    g_assert_false(apply_one(store, person, changed));
    g_assert_true(apply_one(store, changed, disabled));
    g_assert_true(apply_one(store, disabled, NULL));

    g_autoptr(ConfObject) empty = FIXTURE_OBJECT(schema, CONF_TYPE_ACCESS_GROUP, 1, 1, "g", ENV, GROUPS);
    g_autoptr(ConfObject) full =
        FIXTURE_OBJECT(schema, CONF_TYPE_ACCESS_GROUP, 1, 2, "g", ENV, GROUPS, .more = "\"members\":[1]");
    g_autoptr(ConfObject) same =
        FIXTURE_OBJECT(schema, CONF_TYPE_ACCESS_GROUP, 1, 3, "h", ENV, GROUPS, .more = "\"members\":[1]");
    g_assert_false(apply_one(store, NULL, empty));
    g_assert_true(apply_one(store, empty, full));
    g_assert_false(apply_one(store, full, same));

    g_autoptr(ConfObject) srv = host(store, 1, "srv", ENV, HOSTS);
    g_autoptr(ConfObject) listed =
        FIXTURE_OBJECT(schema, CONF_TYPE_HOST, 1, 1, "srv", ENV, HOSTS,
                       .acl = fixture_acl(CONF_TYPE_PERSON, 1, 1), .acl_revision = 5);
    g_assert_false(apply_one(store, NULL, srv));
    uint64_t structure = conf_store_structure(store);
    g_assert_true(apply_one(store, srv, listed));
    g_assert_cmpuint(conf_store_structure(store), !=, structure);
    conf_store_free(store);
}

static bool
collect_dbid(const ConfObject *object, void *data)
{
    g_string_append_printf(data, " %d", (int)object->dbid);
    return true;
}

static bool
first_only(const ConfObject *object, void *data)
{
    g_string_append_printf(data, " %d", (int)object->dbid);
    return false;
}

static void
test_working_set_walks(void)
{
    ConfStore *store = fixture_store();
    for (int64_t dbid = 1; dbid <= 40; dbid++)
        fixture_load(store, host(store, dbid, "srv", ENV, HOSTS));
    ConfState *state = conf_state_new(conf_store_state(store));
    g_assert_false(conf_state_is_structural(state));
    conf_state_remove(state, (ConfKey){.type = CONF_TYPE_HOST, .dbid = 3});
    for (int64_t dbid = 5; dbid <= 40; dbid++)
        conf_state_put(state, host(store, dbid, "other", ENV, PERSONS));
    conf_state_put(state, host(store, 2, "srv", ENV, HOSTS));
    conf_state_put(state, host(store, 50, "srv", ENV, HOSTS));
    g_autoptr(GString) text = g_string_new(NULL);
    ConfKey hosts = {.type = CONF_TYPE_FOLDER, .dbid = HOSTS};
    conf_state_foreach_named(state, CONF_TYPE_HOST, CONF_SLICE("srv"), collect_dbid, text);
    g_assert_cmpstr(text->str, ==, " 1 4 2 50");
    g_string_truncate(text, 0);
    conf_state_foreach_child(state, hosts, collect_dbid, text);
    g_assert_cmpstr(text->str, ==, " 1 4 2 50");
    g_string_truncate(text, 0);
    conf_state_foreach_child(state, hosts, first_only, text);
    conf_state_foreach_named(state, CONF_TYPE_HOST, CONF_SLICE("srv"), first_only, text);
    g_assert_cmpstr(text->str, ==, " 1 1");
    g_assert_null(conf_state_lookup(state, (ConfKey){.type = CONF_TYPE_HOST, .dbid = 3}));
    g_assert_cmpint(conf_state_root_folder(state, ENV, CONF_TYPE_PERSON)->dbid, ==, PERSONS);
    g_assert_null(conf_state_root_folder(state, ENV, CONF_TYPE_ROLE));
    g_assert_false(conf_state_is_structural(state));
    conf_state_free(state);
    conf_store_free(store);
}

static void
count_free(void *cache)
{
    ++*(int *)cache;
}

static void
test_cache_of_working_set(void)
{
    ConfStore *store = fixture_store();
    int freed = 0;
    ConfState *state = conf_state_new(conf_store_state(store));
    conf_state_set_cache(state, &freed, count_free);
    conf_state_put(state, host(store, 1, "srv", ENV, HOSTS));
    g_assert_true(conf_state_get_cache(state) == &freed);
    /* A list of rights changes: what was known of rights is gone. */
    ConfAcl *acl = fixture_acl(CONF_TYPE_PERSON, 1, CONF_RIGHT_READ);
    conf_state_put(state, conf_object_with_acl(lookup(store, CONF_TYPE_FOLDER, HOSTS), acl, 2));
    g_assert_null(conf_state_get_cache(state));
    g_assert_cmpint(freed, ==, 1);
    g_assert_true(conf_state_is_structural(state));
    ConfState *above = conf_state_new(state);
    g_assert_true(conf_state_is_structural(above));
    g_assert_true(conf_state_acl(above,
                                 conf_state_lookup(above, (ConfKey){.type = CONF_TYPE_HOST, .dbid = 1}),
                                 NULL) == acl);
    conf_state_set_cache(above, &freed, count_free);
    conf_state_free(above);
    g_assert_cmpint(freed, ==, 2);
    conf_state_free(state);
    conf_acl_unref(acl);
    conf_store_free(store);
}

static void
test_places(void)
{
    ConfStore *store = path_store();
    ConfPlace *place = conf_store_place(store, lookup(store, CONF_TYPE_HOST, 5));
    static const int64_t folders[] = {203, 202, TENANTS}, tenants[] = {4, 2, 1};
    g_assert_cmpmem(place->folders, place->folder_count * sizeof(int64_t), folders, sizeof(folders));
    g_assert_cmpmem(place->tenants, place->tenant_count * sizeof(int64_t), tenants, sizeof(tenants));
    conf_place_unref(place);
    /* A tenant stands in the one above; Environment in itself. */
    place = conf_store_place(store, lookup(store, CONF_TYPE_TENANT, 4));
    g_assert_cmpmem(place->folders, place->folder_count * sizeof(int64_t), folders + 1, sizeof(folders) - 8);
    g_assert_cmpmem(place->tenants, place->tenant_count * sizeof(int64_t), tenants + 1, sizeof(tenants) - 8);
    conf_place_unref(place);
    place = conf_store_place(store, lookup(store, CONF_TYPE_TENANT, ENV));
    g_assert_cmpuint(place->folder_count, ==, 0);
    g_assert_cmpmem(place->tenants, place->tenant_count * sizeof(int64_t), tenants + 2, 8);
    conf_place_unref(place);
    /* Neighbours share one; a folder that moves takes all below it along. */
    place = conf_store_place(store, lookup(store, CONF_TYPE_HOST, 1));
    ConfPlace *other = conf_store_place(store, lookup(store, CONF_TYPE_HOST, 2));
    g_assert_true(place == other);
    conf_place_unref(other);
    g_autoptr(ConfObject) moved = folder(store, 210, "emea", ENV, 211);
    apply_one(store, lookup(store, CONF_TYPE_FOLDER, 210), moved);
    other = conf_store_place(store, lookup(store, CONF_TYPE_HOST, 1));
    g_assert_cmpuint(place->folder_count, ==, 2);
    g_assert_cmpuint(other->folder_count, ==, 3);
    g_assert_cmpint(other->folders[1], ==, 211);
    conf_place_unref(place);
    conf_place_unref(other);
    conf_store_free(store);
}

/* Circles come from broken data only; nothing may hang or crash on them. */
static void
test_circles(void)
{
    ConfStore *store = fixture_store();
    fixture_load(store, folder(store, 300, "a", ENV, 301));
    fixture_load(store, folder(store, 301, "b", ENV, 300));
    fixture_load(store, folder(store, 302, "c", ENV, 302));
    fixture_load(store, host(store, 1, "srv", ENV, 300));
    const ConfObject *srv = lookup(store, CONF_TYPE_HOST, 1);
    g_assert_null(conf_store_acl(store, srv));
    g_assert_null(conf_store_acl(store, lookup(store, CONF_TYPE_FOLDER, 302)));
    g_assert_false(conf_state_is_below(conf_store_state(store), srv,
                                       (ConfKey){.type = CONF_TYPE_FOLDER, .dbid = HOSTS}));
    g_assert_true(
        conf_state_is_below(conf_store_state(store), srv, (ConfKey){.type = CONF_TYPE_FOLDER, .dbid = 301}));
    g_assert_false(conf_state_is_parent_disabled(conf_store_state(store), srv));
    ConfPlace *place = conf_store_place(store, srv);
    conf_place_unref(place);
    g_auto(ConfBuffer) path = CONF_BUFFER_INIT;
    conf_state_write_path(conf_store_state(store), srv, &path);
    apply_one(store, lookup(store, CONF_TYPE_FOLDER, 302), NULL);
    apply_one(store, lookup(store, CONF_TYPE_FOLDER, 300), NULL);
    conf_store_free(store);
}

/* Tens of thousands come and go, so that tables and sets grow, shrink and move. */
static void
test_many(void)
{
    enum { MANY = 8000 };
    ConfStore *store = fixture_store();
    GRand *random = g_rand_new_with_seed((uint32_t)g_test_rand_int());
    g_autofree bool *is_there = g_new0(bool, MANY);
    unsigned count = 0;
    for (unsigned i = 0; i < 3 * MANY; i++) {
        int64_t dbid = g_rand_int_range(random, 1, MANY);
        g_autofree char *name = g_strdup_printf("srv%d", (int)dbid % 5000);
        if (is_there[dbid]) {
            apply_one(store, lookup(store, CONF_TYPE_HOST, dbid), NULL);
        } else {
            g_autoptr(ConfObject) object = host(store, dbid, name, ENV, HOSTS);
            apply_one(store, NULL, object);
        }
        is_there[dbid] = !is_there[dbid];
        count += is_there[dbid] ? 1 : -1u;
    }
    g_assert_cmpuint(conf_store_count_type(store, CONF_TYPE_HOST), ==, count);
    ConfKey after = {0}, hosts = {.type = CONF_TYPE_FOLDER, .dbid = HOSTS};
    for (int64_t dbid = 1; dbid < MANY; dbid++) {
        const ConfObject *object = lookup(store, CONF_TYPE_HOST, dbid);
        g_assert_cmpint(object != NULL, ==, is_there[dbid]);
        if (object == NULL)
            continue;
        g_assert_true(conf_store_next_child(store, hosts, after) == object);
        after = conf_object_key(object);
        g_assert_cmpstr(conf_store_lookup_name(store, CONF_TYPE_HOST, conf_object_name(object), NULL)->name,
                        ==, object->name);
    }
    g_assert_null(conf_store_next_child(store, hosts, after));
    g_rand_free(random);
    conf_store_free(store);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store/load", test_load);
    g_test_add_func("/store/names", test_names);
    g_test_add_func("/store/paths", test_paths);
    g_test_add_func("/store/path-round-trip", test_path_round_trip);
    g_test_add_func("/store/structural", test_structural);
    g_test_add_func("/store/working-set/walks", test_working_set_walks);
    g_test_add_func("/store/working-set/cache", test_cache_of_working_set);
    g_test_add_func("/store/places", test_places);
    g_test_add_func("/store/circles", test_circles);
    g_test_add_func("/store/many", test_many);
    return g_test_run();
}
