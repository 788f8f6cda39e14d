/* test-fold.c - a replica that reloads: one commit takes the old store to the new one. */
#include <string.h>

#include "net/poller.h"
#include "store-fixture.h"

enum { HOSTS = 103 };

static void
copy_into(Naive *naive, ConfStore *store)
{
    for (unsigned i = 0; i < naive->objects->len; i++)
        fixture_load(store, conf_object_ref(naive->objects->pdata[i]));
}

static Naive *
naive_of(ConfStore *store)
{
    Naive *naive = naive_new(conf_store_schema(store));
    ConfKey key = {0};
    for (const ConfObject *at; (at = conf_store_next(store, key)) != NULL; key = conf_object_key(at))
        naive_put(naive, (ConfObject *)at);
    return naive;
}

static void
set_position(ConfStore *store, const char *environment, int64_t epoch, int64_t revision)
{
    ConfStorePosition position = {.epoch = epoch, .revision = revision};
    g_strlcpy(position.environment, environment, sizeof(position.environment));
    fixture_chain(revision, position.chain);
    conf_store_set_position(store, &position);
}

static void
change_much(Naive *naive, GRand *random, int64_t revision)
{
    for (unsigned i = 0; i < 40; i++) {
        FixtureChange change;
        if (!naive_random_change(naive, random, revision, &change))
            continue;
        if (change.after != NULL)
            naive_put(naive, change.after);
        else
            naive_remove(naive, conf_object_key(change.before));
        conf_object_unref(change.before);
        conf_object_unref(change.after);
    }
}

/* Applied one by one to the old content, the changes give the new one, and no step meets what it needs
 * missing if it was there before or is there afterwards. */
static void
check_fold(const ConfCommit *commit, const Naive *before, const Naive *after, int64_t from)
{
    Naive *naive = naive_copy(before);
    g_assert_cmpint(commit->from, ==, from);
    ConfChangeKind last = CONF_CHANGE_CREATE;
    for (unsigned i = 0; i < commit->change_count; i++) {
        const ConfChange *change = &commit->changes[i];
        const ConfObject *holder;
        g_assert_cmpint(change->kind == CONF_CHANGE_CREATE, ==, change->before == NULL);
        g_assert_cmpint(change->kind == CONF_CHANGE_DELETE, ==, change->after == NULL);
        /* Creates, then what stays, then deletes. */
        if (last != CONF_CHANGE_CREATE)
            g_assert_cmpint(change->kind, !=, CONF_CHANGE_CREATE);
        if (last == CONF_CHANGE_DELETE)
            g_assert_cmpint(change->kind, ==, CONF_CHANGE_DELETE);
        last = change->kind;
        g_assert_cmpint(change->difference != NULL, ==, change->kind == CONF_CHANGE_UPDATE);
        if (change->before != NULL) {
            g_assert_true(naive_lookup(before, conf_object_key(change->before)) == change->before);
            g_assert_true(change->acl_before == naive_acl(before, change->before, &holder));
            g_assert_nonnull(change->place_before);
        }
        if (change->after == NULL) {
            naive_remove(naive, conf_object_key(change->before));
            continue;
        }
        g_assert_true(change->acl_after == naive_acl(after, change->after, &holder));
        g_assert_nonnull(change->place_after);
        const ConfObject *parent = naive_parent(after, change->after);
        if (change->kind == CONF_CHANGE_CREATE && parent != NULL)
            g_assert_nonnull(naive_parent(naive, change->after));
        naive_put(naive, change->after);
    }
    g_assert_cmpuint(naive->objects->len, ==, after->objects->len);
    for (unsigned i = 0; i < naive->objects->len; i++) {
        const ConfObject *a = naive->objects->pdata[i], *b = after->objects->pdata[i];
        g_assert_cmpmem(a->digest, sizeof(a->digest), b->digest, sizeof(b->digest));
    }
    naive_free(naive);
}

typedef struct {
    ConfFold *fold;
    bool is_done;
} Work;

static bool
run_slice(void *data)
{
    Work *work = data;
    work->is_done = conf_fold_step(work->fold);
    return !work->is_done;
}

static ConfCommit *
fold_in_slices(ConfStore *store, ConfStore *fresh)
{
    Work work = {.fold = conf_fold_new(store, fresh)};
    conf_work_start(conf_poller_default(), "fold", run_slice, &work);
    while (!work.is_done)
        g_main_context_iteration(NULL, TRUE);
    return conf_fold_finish(work.fold);
}

static void
test_random(void)
{
    GRand *random = g_rand_new_with_seed((uint32_t)g_test_rand_int());
    ConfStore *store = fixture_store();
    const char *environment = conf_store_position(store)->environment;
    for (int64_t round = 1; round <= (g_test_slow() ? 200 : 15); round++) {
        int64_t from = conf_store_position(store)->revision, to = from + 10;
        ConfStore *fresh = conf_store_new(fixture_schema());
        Naive *before = naive_of(store);
        Naive *after = naive_copy(before);
        after->schema = conf_store_schema(fresh);
        change_much(after, random, to);
        copy_into(after, fresh);
        set_position(fresh, environment, round, to);
        g_autoptr(ConfCommit) commit = fold_in_slices(store, fresh);
        /* Nothing is applied yet. */
        naive_check_store(before, store);
        check_fold(commit, before, after, from);
        conf_store_apply(store, commit, NULL, NULL);
        after->schema = conf_store_schema(store);
        naive_check_state(after, conf_store_state(store));
        naive_check_store(after, store);
        g_assert_cmpint(conf_store_position(store)->revision, ==, to);
        g_assert_cmpint(conf_store_position(store)->epoch, ==, round);
        g_assert_true(conf_store_recent_after(store, from) == commit);
        naive_free(before);
        naive_free(after);
    }
    conf_store_free(store);
    g_rand_free(random);
}

static ConfObject *
host(ConfStore *store, int64_t dbid, int64_t revision)
{
    return FIXTURE_OBJECT(conf_store_schema(store), CONF_TYPE_HOST, dbid, revision, "srv", 1, HOSTS);
}

static void
apply_host(ConfStore *store, int64_t dbid)
{
    FixtureChange change = {CONF_CHANGE_CREATE, NULL,
                            host(store, dbid, conf_store_position(store)->revision + 1)};
    g_autoptr(ConfCommit) commit = fixture_commit(store, &change, 1);
    conf_store_apply(store, commit, NULL, NULL);
}

/* Who stood before the fold is led through it; who stands between its ends is not. */
static void
test_history(void)
{
    ConfStore *store = fixture_store(), *fresh = fixture_store();
    apply_host(store, 1);
    apply_host(store, 2);
    set_position(fresh, conf_store_position(store)->environment, 1, 10);
    fixture_load(fresh, host(fresh, 7, 9));
    g_autoptr(ConfCommit) commit = conf_fold_finish(conf_fold_new(store, fresh));
    conf_store_apply(store, commit, NULL, NULL);
    g_assert_cmpuint(commit->change_count, ==, 3);
    g_assert_cmpint(conf_store_recent_start(store), ==, 1);
    g_assert_cmpint(conf_store_recent_after(store, 2)->revision, ==, 3);
    g_assert_true(conf_store_recent_after(store, 3) == commit);
    char chain[17];
    for (int64_t revision = 4; revision < 10; revision++) {
        fixture_chain(revision, chain);
        g_assert_null(conf_store_recent_after(store, revision));
        g_assert_cmpint(conf_store_check_history(store, revision, chain), ==, CONF_HISTORY_GONE);
    }
    fixture_chain(3, chain);
    g_assert_cmpint(conf_store_check_history(store, 3, chain), ==, CONF_HISTORY_SAME);
    apply_host(store, 8);
    g_assert_cmpint(conf_store_recent_after(store, 10)->revision, ==, 11);
    fixture_chain(10, chain);
    g_assert_cmpint(conf_store_check_history(store, 10, chain), ==, CONF_HISTORY_SAME);

    /* Of another environment nothing older is of use. */
    fresh = fixture_store();
    set_position(fresh, "11111111-2222-4333-8444-555555555555", 1, 12);
    g_autoptr(ConfCommit) other = conf_fold_finish(conf_fold_new(store, fresh));
    conf_store_apply(store, other, NULL, NULL);
    g_assert_cmpstr(conf_store_position(store)->environment, ==, "11111111-2222-4333-8444-555555555555");
    g_assert_cmpint(conf_store_recent_start(store), ==, 11);
    conf_store_free(store);
}

/* Given up at any point, or overtaken by a change, nothing is lost or leaked. */
static void
test_given_up(void)
{
    ConfStore *store = fixture_store();
    conf_fold_free(conf_fold_new(store, fixture_store()));
    ConfFold *fold = conf_fold_new(store, fixture_store());
    while (!conf_fold_step(fold))
        ;
    conf_fold_free(fold);
    /* Not applied: the next one takes its place. */
    conf_commit_unref(conf_fold_finish(conf_fold_new(store, fixture_store())));
    ConfStore *fresh = fixture_store();
    set_position(fresh, conf_store_position(store)->environment, 1, 10);
    fold = conf_fold_new(store, fresh);
    while (!conf_fold_step(fold))
        ;
    apply_host(store, 5);
    fixture_load(fresh, host(fresh, 6, 1));
    g_autoptr(ConfCommit) commit = conf_fold_finish(fold);
    g_assert_cmpuint(commit->change_count, ==, 2);
    g_assert_cmpint(commit->from, ==, 2);
    conf_store_apply(store, commit, NULL, NULL);
    g_assert_null(conf_store_lookup(store, (ConfKey){.type = CONF_TYPE_HOST, .dbid = 5}));
    g_assert_nonnull(conf_store_lookup(store, (ConfKey){.type = CONF_TYPE_HOST, .dbid = 6}));
    conf_store_free(store);
}

/* Deletes go before what they point at, however long the chain; circles are cut. */
static void
test_order(void)
{
    enum { CHAIN = 500 };
    ConfStore *store = fixture_store(), *fresh = fixture_store();
    const ConfSchema *schema = conf_store_schema(store);
    for (int64_t dbid = 1; dbid <= CHAIN; dbid++) {
        g_autofree char *more =
            g_strdup_printf("\"applicationType\":\"genericServer\",\"server\":true,"
                            "\"connections\":[{\"server\":%d}]%s",
                            (int)(dbid % CHAIN) + 1, dbid == CHAIN ? ",\"backup\":500" : "");
        fixture_load(store,
                     FIXTURE_OBJECT(schema, CONF_TYPE_APPLICATION, dbid, 1, "a", 1, 104, .more = more));
    }
    for (int64_t dbid = 601; dbid <= 600 + CHAIN; dbid++) {
        g_autofree char *more =
            g_strdup_printf("\"applicationType\":\"genericServer\",\"server\":true,\"backup\":%d",
                            (int)(dbid == 601 ? 9999 : dbid - 1));
        fixture_load(store,
                     FIXTURE_OBJECT(schema, CONF_TYPE_APPLICATION, dbid, 1, "a", 1, 104, .more = more));
    }
    set_position(fresh, conf_store_position(store)->environment, 1, 10);
    g_autoptr(ConfCommit) commit = conf_fold_finish(conf_fold_new(store, fresh));
    g_assert_cmpuint(commit->change_count, ==, 2 * CHAIN);
    int64_t last = G_MAXINT64;
    for (unsigned i = 0; i < commit->change_count; i++) {
        int64_t dbid = commit->changes[i].before->dbid;
        if (dbid <= 600)
            continue;
        g_assert_cmpint(dbid, <, last);
        last = dbid;
    }
    conf_store_apply(store, commit, NULL, NULL);
    g_assert_cmpuint(conf_store_count_type(store, CONF_TYPE_APPLICATION), ==, 0);
    conf_store_free(store);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store/fold/random", test_random);
    g_test_add_func("/store/fold/history", test_history);
    g_test_add_func("/store/fold/given-up", test_given_up);
    g_test_add_func("/store/fold/order", test_order);
    return g_test_run();
}
