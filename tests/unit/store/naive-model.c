/* naive-model.c - the naive half of store-fixture.h. */
#include <string.h>

#include "store-fixture.h"

enum { STEPS_MAX = 200 };

static void
unref_object(void *object)
{
    conf_object_unref(object);
}

Naive *
naive_new(const ConfSchema *schema)
{
    Naive *naive = g_new0(Naive, 1);
    naive->schema = schema;
    naive->objects = g_ptr_array_new_with_free_func(unref_object);
    return naive;
}

Naive *
naive_copy(const Naive *naive)
{
    Naive *copy = naive_new(naive->schema);
    for (unsigned i = 0; i < naive->objects->len; i++)
        g_ptr_array_add(copy->objects, conf_object_ref(naive->objects->pdata[i]));
    return copy;
}

void
naive_free(Naive *naive)
{
    g_ptr_array_free(naive->objects, TRUE);
    g_free(naive);
}

static bool
find(const Naive *naive, ConfKey key, unsigned *index)
{
    unsigned from = 0, to = naive->objects->len;
    while (from < to) {
        unsigned middle = (from + to) / 2;
        if (conf_key_compare(conf_object_key(naive->objects->pdata[middle]), key) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    *index = from;
    return from < naive->objects->len && conf_key_equal(conf_object_key(naive->objects->pdata[from]), key);
}

void
naive_put(Naive *naive, ConfObject *object)
{
    unsigned index;
    if (find(naive, conf_object_key(object), &index))
        g_ptr_array_remove_index(naive->objects, index);
    g_ptr_array_insert(naive->objects, (int)index, conf_object_ref(object));
}

void
naive_remove(Naive *naive, ConfKey key)
{
    unsigned index;
    if (find(naive, key, &index))
        g_ptr_array_remove_index(naive->objects, index);
}

const ConfObject *
naive_lookup(const Naive *naive, ConfKey key)
{
    unsigned index;
    return find(naive, key, &index) ? naive->objects->pdata[index] : NULL;
}

static ConfKey
parent_key(const ConfObject *object)
{
    if (object->folder != 0)
        return (ConfKey){.type = CONF_TYPE_FOLDER, .dbid = object->folder};
    if (object->type == CONF_TYPE_TENANT && object->tenant == object->dbid)
        return (ConfKey){0};
    return (ConfKey){.type = CONF_TYPE_TENANT, .dbid = object->tenant};
}

const ConfObject *
naive_parent(const Naive *naive, const ConfObject *object)
{
    return naive_lookup(naive, parent_key(object));
}

const ConfAcl *
naive_acl(const Naive *naive, const ConfObject *object, const ConfObject **holder)
{
    for (unsigned steps = 0; object != NULL && steps < STEPS_MAX; steps++) {
        *holder = object;
        if (object->acl != NULL)
            return object->acl;
        object = naive_parent(naive, object);
    }
    *holder = NULL;
    return NULL;
}

static const ConfObject *
step_up(const Naive *naive, const ConfObject *object)
{
    const ConfObject *parent = naive_parent(naive, object);
    if (parent == NULL && object->folder != 0)
        parent = naive_lookup(naive, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = object->tenant});
    return parent;
}

bool
naive_is_below(const Naive *naive, const ConfObject *object, ConfKey ancestor)
{
    const ConfObject *at = object;
    for (unsigned steps = 0; at != NULL && steps < STEPS_MAX; steps++) {
        if (at->folder != 0 &&
            conf_key_equal((ConfKey){.type = CONF_TYPE_FOLDER, .dbid = at->folder}, ancestor))
            return true;
        at = step_up(naive, at);
    }
    at = object;
    for (unsigned steps = 0; at != NULL && steps < STEPS_MAX; steps++) {
        if (at->type == CONF_TYPE_TENANT && at->tenant == at->dbid)
            return false;
        if (conf_key_equal((ConfKey){.type = CONF_TYPE_TENANT, .dbid = at->tenant}, ancestor))
            return true;
        at = naive_lookup(naive, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = at->tenant});
    }
    return false;
}

bool
naive_refers_to(const Naive *naive, const ConfObject *object, ConfKey target)
{
    g_autoptr(GArray) references = g_array_new(FALSE, FALSE, sizeof(ConfReference));
    conf_object_references(naive->schema, object, references);
    for (unsigned i = 0; i < references->len; i++) {
        if (conf_key_equal(g_array_index(references, ConfReference, i).target, target))
            return true;
    }
    return false;
}

static bool
collect(const ConfObject *object, void *data)
{
    g_ptr_array_add(data, (void *)object);
    return true;
}

static int
compare_keys(const void *a, const void *b)
{
    return conf_key_compare(conf_object_key(*(ConfObject *const *)a),
                            conf_object_key(*(ConfObject *const *)b));
}

/* The same objects, once each; the order is the caller's matter. */
static void
assert_same(GPtrArray *found, const GPtrArray *expected)
{
    g_ptr_array_sort(found, compare_keys);
    g_assert_cmpuint(found->len, ==, expected->len);
    for (unsigned i = 0; i < found->len; i++)
        g_assert_true(found->pdata[i] == expected->pdata[i]);
    g_ptr_array_set_size(found, 0);
}

/* Of each object what it refers to, read once. */
static GPtrArray *
all_references(const Naive *naive)
{
    GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)g_array_unref);
    for (unsigned i = 0; i < naive->objects->len; i++) {
        GArray *references = g_array_new(FALSE, FALSE, sizeof(ConfReference));
        conf_object_references(naive->schema, naive->objects->pdata[i], references);
        g_ptr_array_add(all, references);
    }
    return all;
}

static bool
names(const GArray *references, ConfKey target)
{
    for (unsigned i = 0; i < references->len; i++) {
        if (conf_key_equal(g_array_index(references, ConfReference, i).target, target))
            return true;
    }
    return false;
}

static void
check_sets(const Naive *naive, const GPtrArray *references, const ConfState *state, ConfKey key)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    g_autoptr(GPtrArray) children = g_ptr_array_new();
    g_autoptr(GPtrArray) referrers = g_ptr_array_new();
    for (unsigned i = 0; i < naive->objects->len; i++) {
        const ConfObject *object = naive->objects->pdata[i];
        if (conf_key_equal(parent_key(object), key))
            g_ptr_array_add(children, (void *)object);
        if (names(references->pdata[i], key))
            g_ptr_array_add(referrers, (void *)object);
    }
    conf_state_foreach_child(state, key, collect, found);
    assert_same(found, children);
    conf_state_foreach_referrer(state, key, collect, found);
    assert_same(found, referrers);
}

static bool
has_content(const Naive *naive, ConfKey container)
{
    int64_t count = 0, empty_roots = 0;
    for (unsigned i = 0; i < naive->objects->len; i++) {
        const ConfObject *object = naive->objects->pdata[i];
        if (container.type == CONF_TYPE_FOLDER) {
            count += object->folder == container.dbid;
            continue;
        }
        if (conf_key_equal(conf_object_key(object), container))
            continue;
        count += object->tenant == container.dbid;
        if (object->type == CONF_TYPE_FOLDER && conf_key_equal(parent_key(object), container))
            empty_roots += !has_content(naive, conf_object_key(object));
    }
    return count > empty_roots;
}

static bool
is_parent_disabled(const Naive *naive, const ConfObject *object)
{
    for (unsigned steps = 0; object != NULL && steps < STEPS_MAX; steps++) {
        if (!object->enabled && (object->type == CONF_TYPE_FOLDER || object->type == CONF_TYPE_TENANT))
            return true;
        object = step_up(naive, object);
    }
    return false;
}

static void
check_named(const Naive *naive, const ConfState *state, const ConfObject *object)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    g_autoptr(GPtrArray) expected = g_ptr_array_new();
    for (unsigned i = 0; i < naive->objects->len; i++) {
        const ConfObject *other = naive->objects->pdata[i];
        if (other->type == object->type && strcmp(other->name, object->name) == 0)
            g_ptr_array_add(expected, (void *)other);
    }
    conf_state_foreach_named(state, object->type, conf_object_name(object), collect, found);
    assert_same(found, expected);
}

void
naive_check_state(const Naive *naive, const ConfState *state)
{
    g_autoptr(GPtrArray) references = all_references(naive);
    g_autoptr(GPtrArray) everyone = g_ptr_array_new();
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    for (unsigned i = 0; i < naive->objects->len; i++) {
        const ConfObject *object = naive->objects->pdata[i];
        const ConfObject *holder, *expected_holder;
        g_assert_true(conf_state_lookup(state, conf_object_key(object)) == object);
        g_assert_true(conf_state_parent(state, object) == naive_parent(naive, object));
        const ConfAcl *acl = naive_acl(naive, object, &expected_holder);
        g_assert_true(conf_state_acl(state, object, NULL) == acl);
        g_assert_true(conf_state_acl(state, object, &holder) == acl);
        g_assert_true(holder == expected_holder);
        g_assert_cmpint(conf_state_is_parent_disabled(state, object), ==, is_parent_disabled(naive, object));
        check_named(naive, state, object);
        if (object->type == CONF_TYPE_ACCESS_GROUP &&
            conf_slice_is(conf_object_get_raw(object, "kind"), "\"everyone\""))
            g_ptr_array_add(everyone, (void *)object);
    }
    conf_state_foreach_everyone(state, collect, found);
    assert_same(found, everyone);
    /* Keys that are there and keys that are not. */
    static const struct {
        ConfTypeId type;
        int64_t first, last;
    } ranges[] = {{CONF_TYPE_TENANT, 1, 6}, {CONF_TYPE_FOLDER, 100, 124},
                  {CONF_TYPE_PERSON, 1, 8}, {CONF_TYPE_ACCESS_GROUP, 1, 6},
                  {CONF_TYPE_HOST, 1, 12},  {CONF_TYPE_APPLICATION, 1, 12}};
    for (unsigned i = 0; i < G_N_ELEMENTS(ranges); i++) {
        for (int64_t dbid = ranges[i].first; dbid <= ranges[i].last; dbid++) {
            ConfKey key = {.type = ranges[i].type, .dbid = dbid};
            g_assert_true(conf_state_lookup(state, key) == naive_lookup(naive, key));
            check_sets(naive, references, state, key);
            if (key.type != CONF_TYPE_TENANT && key.type != CONF_TYPE_FOLDER)
                continue;
            g_assert_cmpint(conf_state_has_content(state, key), ==, has_content(naive, key));
            for (unsigned j = 0; j < naive->objects->len; j++) {
                const ConfObject *object = naive->objects->pdata[j];
                g_assert_cmpint(conf_state_is_below(state, object, key), ==,
                                naive_is_below(naive, object, key));
            }
        }
    }
}

static void
check_place(const Naive *naive, ConfStore *store, const ConfObject *object)
{
    ConfPlace *place = conf_store_place(store, object);
    unsigned count = 0;
    for (const ConfObject *at = object; at != NULL; at = step_up(naive, at)) {
        if (at->folder == 0)
            continue;
        g_assert_cmpuint(count, <, place->folder_count);
        g_assert_cmpint(place->folders[count++], ==, at->folder);
    }
    g_assert_cmpuint(count, ==, place->folder_count);
    count = 0;
    for (const ConfObject *at = object; at != NULL;) {
        g_assert_cmpuint(count, <, place->tenant_count);
        g_assert_cmpint(place->tenants[count++], ==, at->tenant);
        const ConfObject *tenant =
            naive_lookup(naive, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = at->tenant});
        at = tenant != NULL && tenant->tenant != tenant->dbid ? tenant : NULL;
    }
    g_assert_cmpuint(count, ==, place->tenant_count);
    conf_place_unref(place);
}

static int
compare_names(const void *a, const void *b)
{
    const ConfObject *first = *(ConfObject *const *)a, *second = *(ConfObject *const *)b;
    if (first->type != second->type)
        return first->type < second->type ? -1 : 1;
    int order = strcmp(first->name, second->name);
    return order != 0 ? order : first->dbid < second->dbid ? -1 : first->dbid > second->dbid;
}

void
naive_check_store(const Naive *naive, ConfStore *store)
{
    uint8_t expected[16] = {0}, digest[16];
    ConfKey key = {0};
    for (unsigned i = 0; i < naive->objects->len; i++) {
        const ConfObject *object = naive->objects->pdata[i];
        g_assert_true(conf_store_next(store, key) == object);
        key = conf_object_key(object);
        conf_digest_add(expected, object->digest);
        check_place(naive, store, object);
        bool is_found = false;
        ConfKey after = {0};
        for (const ConfObject *at; object->acl != NULL && !is_found; after = conf_object_key(at)) {
            at = conf_store_next_with_acl(store, object->acl, after);
            g_assert_nonnull(at);
            g_assert_true(at->acl == object->acl);
            is_found = at == object;
        }
        g_assert_cmpint(conf_store_next_dbid(store, object->type), >, object->dbid);
    }
    g_assert_null(conf_store_next(store, key));
    conf_store_digest(store, digest);
    g_assert_cmpmem(digest, sizeof(digest), expected, sizeof(expected));
    g_assert_cmpuint(conf_store_count(store), ==, naive->objects->len);

    g_autoptr(GPtrArray) named = g_ptr_array_new();
    for (unsigned i = 0; i < naive->objects->len; i++)
        g_ptr_array_add(named, naive->objects->pdata[i]);
    g_ptr_array_sort(named, compare_names);
    const ConfObject *at = NULL;
    for (unsigned i = 0; i < named->len; i++) {
        const ConfObject *object = named->pdata[i];
        at = conf_store_next_by_name(store, object->type, at != NULL && at->type == object->type ? at : NULL);
        g_assert_true(at == object);
        bool others;
        const ConfObject *found =
            conf_store_lookup_name(store, object->type, conf_object_name(object), &others);
        g_assert_cmpstr(found->name, ==, object->name);
        bool has_twin =
            (i > 0 && ((const ConfObject *)named->pdata[i - 1])->type == object->type &&
             strcmp(((const ConfObject *)named->pdata[i - 1])->name, object->name) == 0) ||
            (i + 1 < named->len && ((const ConfObject *)named->pdata[i + 1])->type == object->type &&
             strcmp(((const ConfObject *)named->pdata[i + 1])->name, object->name) == 0);
        g_assert_cmpint(others, ==, has_twin);
    }
}
