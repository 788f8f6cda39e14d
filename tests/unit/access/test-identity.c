/* test-identity.c - whose rights are what: identities against a naive reckoning, in the store and under
 * working sets. */
#include "access/identity.h"

#include "store-fixture.h"

enum { PERSONS = 101, GROUPS = 102, HOSTS = 103, CHANGES_MAX = 6 };

static bool
is_everyone(const ConfObject *group)
{
    return conf_slice_is(conf_object_get_raw(group, "kind"), "\"everyone\"");
}

/* The rights of the accounts that count, one by one. */
static uint8_t
naive_rights(const Naive *naive, ConfKey subject, const ConfObject *object)
{
    const ConfObject *account = naive_lookup(naive, subject), *holder;
    const ConfAcl *acl = naive_acl(naive, object, &holder);
    if (account == NULL || !account->enabled || acl == NULL)
        return 0;
    uint8_t rights = conf_acl_lookup(acl, subject);
    for (unsigned i = 0; i < naive->objects->len; i++) {
        const ConfObject *group = naive->objects->pdata[i];
        if (group->type != CONF_TYPE_ACCESS_GROUP || !group->enabled)
            continue;
        if (is_everyone(group) ||
            (subject.type == CONF_TYPE_PERSON && naive_refers_to(naive, group, subject)))
            rights |= conf_acl_lookup(acl, conf_object_key(group));
    }
    return rights;
}

static bool
naive_has_repairer(const Naive *naive)
{
    const ConfObject *environment = naive_lookup(naive, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = 1});
    for (unsigned i = 0; i < naive->objects->len; i++) {
        const ConfObject *person = naive->objects->pdata[i];
        if (person->type == CONF_TYPE_PERSON &&
            (naive_rights(naive, conf_object_key(person), environment) & CONF_RIGHT_CHANGE_PERMISSIONS) != 0)
            return true;
    }
    return false;
}

static const ConfKey *
subjects(unsigned *count)
{
    static ConfKey keys[32];
    *count = 0;
    for (int64_t dbid = 0; dbid <= 9; dbid++)
        keys[(*count)++] = (ConfKey){.type = CONF_TYPE_PERSON, .dbid = dbid};
    for (int64_t dbid = 1; dbid <= 7; dbid++)
        keys[(*count)++] = (ConfKey){.type = CONF_TYPE_ACCESS_GROUP, .dbid = dbid};
    return keys;
}

static void
check_state(const Naive *naive, ConfState *state)
{
    unsigned count;
    const ConfKey *keys = subjects(&count);
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < naive->objects->len; j++) {
            const ConfObject *object = naive->objects->pdata[j];
            g_assert_cmpint(conf_access_rights(state, keys[i], object), ==,
                            naive_rights(naive, keys[i], object));
        }
        const ConfObject *environment = naive_lookup(naive, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = 1});
        bool is_administrator =
            (naive_rights(naive, keys[i], environment) & CONF_RIGHT_CHANGE_PERMISSIONS) != 0;
        g_assert_cmpint(conf_access_is_administrator(state, keys[i]), ==, is_administrator);
    }
    g_assert_cmpint(conf_access_has_repairer(state), ==, naive_has_repairer(naive));
}

static void
check_store(const Naive *naive, ConfStore *store)
{
    unsigned count;
    const ConfKey *keys = subjects(&count);
    for (unsigned i = 0; i < count; i++) {
        ConfIdentity *identity = conf_identity_of(store, keys[i]);
        for (unsigned j = 0; j < naive->objects->len; j++) {
            const ConfObject *object = naive->objects->pdata[j];
            g_assert_cmpint(conf_identity_rights_on(store, identity, object), ==,
                            naive_rights(naive, keys[i], object));
        }
        conf_identity_unref(identity);
    }
}

/* Who is not named as changed may keep the identity he has. */
static void
check_changed(const Naive *after, ConfStore *store, const ConfCommit *commit, ConfIdentity **held)
{
    unsigned count;
    const ConfKey *keys = subjects(&count);
    g_autoptr(GArray) changed = g_array_new(FALSE, FALSE, sizeof(ConfKey));
    conf_access_changed_subjects(store, commit, changed);
    for (unsigned i = 0; i < count; i++) {
        unsigned named = 0;
        for (unsigned j = 0; j < changed->len; j++)
            named += conf_key_equal(g_array_index(changed, ConfKey, j), keys[i]);
        g_assert_cmpuint(named, <=, 1);
        if (!commit->structural || named == 0) {
            for (unsigned j = 0; j < after->objects->len; j++) {
                const ConfObject *object = after->objects->pdata[j];
                /* Created just now: nobody has that identity. */
                if (named > 0 && naive_lookup(after, keys[i]) != NULL)
                    continue;
                g_assert_cmpint(conf_identity_rights_on(store, held[i], object), ==,
                                naive_rights(after, keys[i], object));
            }
        }
        conf_identity_unref(held[i]);
    }
}

static void
follow(Naive *naive, ConfState *state, const FixtureChange *change)
{
    if (change->after != NULL) {
        naive_put(naive, change->after);
        conf_state_put(state, conf_object_ref(change->after));
    } else {
        naive_remove(naive, conf_object_key(change->before));
        conf_state_remove(state, conf_object_key(change->before));
    }
}

static void
run_commit(ConfStore *store, Naive **naive, GRand *random, bool checks_working_set)
{
    FixtureChange changes[CHANGES_MAX];
    unsigned count = 0;
    Naive *after = naive_copy(*naive);
    ConfState *batch = conf_state_new(conf_store_state(store)), *state = conf_state_new(batch);
    for (unsigned i = 0; i < CHANGES_MAX; i++) {
        FixtureChange *change = &changes[count];
        if (!naive_random_change(after, random, conf_store_position(store)->revision + 1, change))
            continue;
        const ConfObject *any = change->after != NULL ? change->after : change->before;
        bool is_first = true;
        for (unsigned j = 0; j < count; j++) {
            const ConfObject *other = changes[j].after != NULL ? changes[j].after : changes[j].before;
            is_first = is_first && !conf_key_equal(conf_object_key(any), conf_object_key(other));
        }
        if (!is_first) {
            conf_object_unref(change->before);
            conf_object_unref(change->after);
            continue;
        }
        follow(after, state, change);
        count++;
        /* Between changes too: what was remembered must not outlive them. */
        if (checks_working_set)
            check_state(after, state);
    }
    conf_state_merge(state);
    if (checks_working_set)
        check_state(after, batch);
    conf_state_free(batch);

    unsigned subject_count;
    const ConfKey *keys = subjects(&subject_count);
    ConfIdentity *held[32];
    for (unsigned i = 0; i < subject_count; i++)
        held[i] = conf_identity_of(store, keys[i]);
    g_autoptr(ConfCommit) commit = fixture_commit(store, changes, count);
    conf_store_apply(store, commit, NULL, NULL);
    check_store(after, store);
    check_changed(after, store, commit, held);
    naive_free(*naive);
    *naive = after;
}

static void
test_random(void)
{
    GRand *random = g_rand_new_with_seed((uint32_t)g_test_rand_int());
    ConfStore *store = fixture_store();
    Naive *naive = naive_new(conf_store_schema(store));
    ConfKey key = {0};
    for (const ConfObject *at; (at = conf_store_next(store, key)) != NULL; key = conf_object_key(at))
        naive_put(naive, (ConfObject *)at);
    for (unsigned i = 0; i < (g_test_slow() ? 400u : 40u); i++)
        run_commit(store, &naive, random, i % 8 == 0);
    naive_free(naive);
    conf_store_free(store);
    g_rand_free(random);
}

static ConfObject *
person(ConfStore *store, int64_t dbid, bool disabled)
{
    return FIXTURE_OBJECT(conf_store_schema(store), CONF_TYPE_PERSON, dbid, 1, "p", 1, PERSONS, disabled);
}

static ConfObject *
group(ConfStore *store, int64_t dbid, const char *more)
{
    return FIXTURE_OBJECT(conf_store_schema(store), CONF_TYPE_ACCESS_GROUP, dbid, 1, "g", 1, GROUPS,
                          .more = more);
}

static ConfIdentity *
identity_of(ConfStore *store, ConfTypeId type, int64_t dbid)
{
    return conf_identity_of(store, (ConfKey){.type = type, .dbid = dbid});
}

static void
replace(ConfStore *store, ConfObject *after)
{
    const ConfObject *before = conf_store_lookup(store, conf_object_key(after));
    FixtureChange change = {CONF_CHANGE_UPDATE, conf_object_ref(before), after};
    g_autoptr(ConfCommit) commit = fixture_commit(store, &change, 1);
    conf_store_apply(store, commit, NULL, NULL);
}

/* Persons of the same groups are one, until a list names one of them. */
static void
test_sharing(void)
{
    ConfStore *store = fixture_store();
    for (int64_t dbid = 1; dbid <= 4; dbid++)
        fixture_load(store, person(store, dbid, dbid == 4));
    fixture_load(store, group(store, 1, "\"members\":[1,2,4]"));
    fixture_load(store, group(store, 2, "\"kind\":\"everyone\""));
    ConfIdentity *first = identity_of(store, CONF_TYPE_PERSON, 1),
                 *second = identity_of(store, CONF_TYPE_PERSON, 2);
    ConfIdentity *third = identity_of(store, CONF_TYPE_PERSON, 3),
                 *as_group = identity_of(store, CONF_TYPE_ACCESS_GROUP, 1);
    ConfIdentity *disabled = identity_of(store, CONF_TYPE_PERSON, 4),
                 *missing = identity_of(store, CONF_TYPE_PERSON, 99);
    g_assert_true(first == second);
    g_assert_true(first == as_group);
    g_assert_true(first != third);
    g_assert_true(disabled == missing);
    ConfAcl *everybody = fixture_acl(CONF_TYPE_ACCESS_GROUP, 2, CONF_RIGHT_READ);
    g_assert_cmpint(conf_identity_rights(third, everybody), ==, CONF_RIGHT_READ);
    g_assert_cmpint(conf_identity_rights(disabled, everybody), ==, 0);
    g_assert_cmpint(conf_identity_rights(first, NULL), ==, 0);
    conf_identity_unref(first);

    ConfAcl *own = fixture_acl(CONF_TYPE_PERSON, 1, CONF_RIGHT_CHANGE);
    const ConfObject *folder = conf_store_lookup(store, (ConfKey){.type = CONF_TYPE_FOLDER, .dbid = HOSTS});
    replace(store, conf_object_with_acl(folder, own, 2));
    first = identity_of(store, CONF_TYPE_PERSON, 1);
    ConfIdentity *same = identity_of(store, CONF_TYPE_PERSON, 2);
    g_assert_true(first != second);
    g_assert_true(same == second);
    g_assert_cmpint(conf_identity_rights(first, own), ==, CONF_RIGHT_CHANGE);
    g_assert_cmpint(conf_identity_rights(same, own), ==, 0);
    conf_acl_unref(own);
    conf_acl_unref(everybody);
    ConfIdentity *all[] = {first, second, third, as_group, disabled, missing, same};
    for (unsigned i = 0; i < G_N_ELEMENTS(all); i++)
        conf_identity_unref(all[i]);
    conf_store_free(store);
}

/* One who was not there yet is not remembered as nobody. */
static void
test_created_later(void)
{
    ConfStore *store = fixture_store();
    fixture_load(store, group(store, 2, "\"kind\":\"everyone\""));
    ConfAcl *acl = fixture_acl(CONF_TYPE_ACCESS_GROUP, 2, CONF_RIGHT_READ);
    ConfIdentity *before = identity_of(store, CONF_TYPE_PERSON, 5);
    FixtureChange change = {CONF_CHANGE_CREATE, NULL, person(store, 5, false)};
    g_autoptr(ConfCommit) commit = fixture_commit(store, &change, 1);
    conf_store_apply(store, commit, NULL, NULL);
    g_assert_false(commit->structural);
    ConfIdentity *after = identity_of(store, CONF_TYPE_PERSON, 5);
    g_assert_cmpint(conf_identity_rights(before, acl), ==, 0);
    g_assert_cmpint(conf_identity_rights(after, acl), ==, CONF_RIGHT_READ);
    conf_identity_unref(before);
    conf_identity_unref(after);
    conf_acl_unref(acl);
    conf_store_free(store);
}

/* Ids of lists are used again: what was cached of the one that is gone does not count for its successor. */
static void
test_reused_ids(void)
{
    ConfStore *store = fixture_store();
    fixture_load(store, person(store, 1, false));
    fixture_load(store, group(store, 1, "\"members\":[1]"));
    ConfIdentity *identity = identity_of(store, CONF_TYPE_PERSON, 1);
    for (unsigned i = 0; i < 300; i++) {
        uint8_t rights = (uint8_t)(1 + i % 127);
        ConfAcl *mine = fixture_acl(CONF_TYPE_ACCESS_GROUP, 1, rights),
                *other = fixture_acl(CONF_TYPE_ACCESS_GROUP, 3, rights);
        g_assert_cmpint(conf_identity_rights(identity, mine), ==, rights);
        g_assert_cmpint(conf_identity_rights(identity, other), ==, 0);
        conf_acl_unref(i % 2 == 0 ? mine : other);
        conf_acl_unref(i % 2 == 0 ? other : mine);
    }
    conf_identity_unref(identity);
    conf_store_free(store);
}

/* More lists than are cached. */
static void
test_many_lists(void)
{
    enum { LISTS = 20000 };
    ConfStore *store = fixture_store();
    fixture_load(store, person(store, 1, false));
    fixture_load(store, group(store, 1, "\"members\":[1]"));
    ConfIdentity *identity = identity_of(store, CONF_TYPE_PERSON, 1);
    g_autoptr(GPtrArray) lists = g_ptr_array_new();
    for (int64_t i = 0; i < LISTS; i++) {
        ConfAclEntry entries[] = {{{.type = CONF_TYPE_ACCESS_GROUP, .dbid = 1}, (uint8_t)(i % 127 + 1)},
                                  {{.type = CONF_TYPE_ACCESS_GROUP, .dbid = 100 + i}, 1}};
        g_ptr_array_add(lists, conf_acl_intern(entries, 2));
    }
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < LISTS; i++)
            g_assert_cmpint(conf_identity_rights(identity, lists->pdata[i]), ==, i % 127 + 1);
    }
    for (unsigned i = 0; i < LISTS; i++)
        conf_acl_unref(lists->pdata[i]);
    conf_identity_unref(identity);
    conf_store_free(store);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/access/identity/random", test_random);
    g_test_add_func("/access/identity/sharing", test_sharing);
    g_test_add_func("/access/identity/created-later", test_created_later);
    g_test_add_func("/access/identity/reused-ids", test_reused_ids);
    g_test_add_func("/access/identity/many-lists", test_many_lists);
    return g_test_run();
}
