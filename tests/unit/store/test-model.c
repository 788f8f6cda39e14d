/* test-model.c - store and working sets against the naive model, under random changes. */
#include "store-fixture.h"

enum { COMMITS = 40, COMMITS_SLOW = 400, CHANGES_MAX = 8 };

typedef struct {
    ConfStore *store;
    Naive *naive;
    GRand *random;
} Fixture;

static void
set_up(Fixture *fixture, const void *data)
{
    fixture->store = fixture_store();
    fixture->naive = naive_new(conf_store_schema(fixture->store));
    ConfKey key = {0};
    for (const ConfObject *at; (at = conf_store_next(fixture->store, key)) != NULL; key = conf_object_key(at))
        naive_put(fixture->naive, (ConfObject *)at);
    fixture->random = g_rand_new_with_seed((uint32_t)g_test_rand_int());
}

static void
tear_down(Fixture *fixture, const void *data)
{
    naive_free(fixture->naive);
    conf_store_free(fixture->store);
    g_rand_free(fixture->random);
}

static void
follow(Naive *naive, const FixtureChange *change)
{
    if (change->after != NULL)
        naive_put(naive, change->after);
    else
        naive_remove(naive, conf_object_key(change->before));
}

static void
follow_state(ConfState *state, const FixtureChange *change)
{
    if (change->after != NULL)
        conf_state_put(state, conf_object_ref(change->after));
    else
        conf_state_remove(state, conf_object_key(change->before));
}

/* Random changes, each object once; returns how many. */
static unsigned
make_changes(const Fixture *fixture, Naive *after, FixtureChange changes[CHANGES_MAX])
{
    unsigned wanted = (unsigned)g_rand_int_range(fixture->random, 1, CHANGES_MAX + 1), count = 0;
    for (unsigned tries = 0; tries < 4 * wanted && count < wanted; tries++) {
        FixtureChange *change = &changes[count];
        int64_t revision = conf_store_position(fixture->store)->revision + 1;
        if (!naive_random_change(after, fixture->random, revision, change))
            continue;
        const ConfObject *any = change->after != NULL ? change->after : change->before;
        bool is_first = true;
        for (unsigned i = 0; i < count; i++) {
            const ConfObject *other = changes[i].after != NULL ? changes[i].after : changes[i].before;
            is_first = is_first && !conf_key_equal(conf_object_key(any), conf_object_key(other));
        }
        if (!is_first) {
            conf_object_unref(change->before);
            conf_object_unref(change->after);
            continue;
        }
        follow(after, change);
        count++;
    }
    return count;
}

static void
free_changes(FixtureChange *changes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        conf_object_unref(changes[i].before);
        conf_object_unref(changes[i].after);
    }
}

/* What is not said to be structural leaves the lists in force on all that it does not touch. */
static void
check_structure(const Naive *before, const Naive *after, const ConfCommit *commit,
                const FixtureChange *changes, unsigned count)
{
    if (commit->structural)
        return;
    for (unsigned i = 0; i < before->objects->len; i++) {
        const ConfObject *object = before->objects->pdata[i], *holder;
        bool is_touched = false;
        for (unsigned j = 0; j < count && !is_touched; j++) {
            const ConfObject *other = changes[j].after != NULL ? changes[j].after : changes[j].before;
            is_touched = conf_key_equal(conf_object_key(object), conf_object_key(other));
        }
        if (!is_touched)
            g_assert_true(naive_acl(before, object, &holder) == naive_acl(after, object, &holder));
    }
}

static void
check_commit(const Naive *before, const Naive *after, ConfStore *store, const ConfCommit *commit)
{
    for (unsigned i = 0; i < commit->change_count; i++) {
        const ConfChange *change = &commit->changes[i];
        const ConfObject *holder;
        g_assert_true(change->acl_before ==
                      (change->before != NULL ? naive_acl(before, change->before, &holder) : NULL));
        g_assert_true(change->acl_after ==
                      (change->after != NULL ? naive_acl(after, change->after, &holder) : NULL));
        g_assert_cmpint(change->place_before != NULL, ==, change->before != NULL);
        g_assert_cmpint(change->place_after != NULL, ==, change->after != NULL);
    }
    g_assert_cmpint(conf_store_position(store)->revision, ==, commit->revision);
    g_assert_cmpstr(conf_store_position(store)->chain, ==, commit->chain);
}

/* A transaction of `count` changes over a batch that holds the first ones. */
static void
check_working_sets(const Fixture *fixture, const Naive *after, const FixtureChange *changes, unsigned count)
{
    unsigned split = (unsigned)g_rand_int_range(fixture->random, 0, (int)count + 1);
    ConfState *batch = conf_state_new(conf_store_state(fixture->store));
    Naive *between = naive_copy(fixture->naive);
    for (unsigned i = 0; i < split; i++) {
        follow_state(batch, &changes[i]);
        follow(between, &changes[i]);
    }
    ConfState *transaction = conf_state_new(batch);
    for (unsigned i = split; i < count; i++)
        follow_state(transaction, &changes[i]);
    naive_check_state(after, transaction);
    naive_check_state(between, batch);
    naive_check_state(fixture->naive, conf_store_state(fixture->store));
    if (g_rand_boolean(fixture->random)) {
        conf_state_merge(transaction);
        naive_check_state(after, batch);
    } else {
        conf_state_free(transaction);
        naive_check_state(between, batch);
    }
    conf_state_free(batch);
    naive_free(between);
}

typedef struct {
    const Naive *before;
    ConfStore *store;
    unsigned calls;
} About;

/* The store still is what it was. */
static void
about(ConfCommit *commit, void *data)
{
    About *call = data;
    call->calls++;
    g_assert_cmpint(conf_store_position(call->store)->revision, ==, commit->revision - 1);
    for (unsigned i = 0; i < commit->change_count; i++) {
        const ConfObject *object = commit->changes[i].before, *holder;
        if (object != NULL)
            g_assert_true(conf_store_acl(call->store, object) == naive_acl(call->before, object, &holder));
    }
}

static void
test_random_commits(Fixture *fixture, const void *data)
{
    for (unsigned i = 0; i < (g_test_slow() ? COMMITS_SLOW : COMMITS); i++) {
        FixtureChange changes[CHANGES_MAX];
        Naive *after = naive_copy(fixture->naive);
        unsigned count = make_changes(fixture, after, changes);
        if (i % 3 == 0)
            check_working_sets(fixture, after, changes, count);
        About call = {.before = fixture->naive, .store = fixture->store};
        ConfCommit *commit = fixture_commit(fixture->store, changes, count);
        conf_store_apply(fixture->store, commit, about, &call);
        g_assert_cmpuint(call.calls, ==, 1);
        check_commit(fixture->naive, after, fixture->store, commit);
        check_structure(fixture->naive, after, commit, changes, count);
        naive_check_state(after, conf_store_state(fixture->store));
        naive_check_store(after, fixture->store);
        naive_free(fixture->naive);
        fixture->naive = after;
        conf_commit_unref(commit);
    }
    /* Down to nothing: no node stays behind. */
    while (fixture->naive->objects->len > 0) {
        ConfObject *last = fixture->naive->objects->pdata[fixture->naive->objects->len - 1];
        FixtureChange change = {.kind = CONF_CHANGE_DELETE, .before = conf_object_ref(last)};
        naive_remove(fixture->naive, conf_object_key(last));
        g_autoptr(ConfCommit) commit = fixture_commit(fixture->store, &change, 1);
        conf_store_apply(fixture->store, commit, NULL, NULL);
        naive_check_store(fixture->naive, fixture->store);
    }
    conf_store_forget_recent(fixture->store);
    g_assert_cmpuint(conf_store_memory(fixture->store), <, 20000);
}

/* A working set over a working set, changed many times: the last word of each object counts. */
static void
test_random_overlay(Fixture *fixture, const void *data)
{
    for (unsigned i = 0; i < (g_test_slow() ? 100u : 5u); i++) {
        FixtureChange changes[CHANGES_MAX];
        Naive *after = naive_copy(fixture->naive);
        ConfState *batch = conf_state_new(conf_store_state(fixture->store));
        for (unsigned j = 0; j < 12; j++) {
            unsigned count = make_changes(fixture, after, changes);
            ConfState *transaction = conf_state_new(batch);
            for (unsigned k = 0; k < count; k++)
                follow_state(transaction, &changes[k]);
            naive_check_state(after, transaction);
            conf_state_merge(transaction);
            free_changes(changes, count);
        }
        naive_check_state(after, batch);
        naive_check_state(fixture->naive, conf_store_state(fixture->store));
        conf_state_free(batch);
        naive_free(after);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/store/model/commits", Fixture, NULL, set_up, test_random_commits, tear_down);
    g_test_add("/store/model/overlay", Fixture, NULL, set_up, test_random_overlay, tear_down);
    return g_test_run();
}
