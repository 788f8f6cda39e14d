/* test-recent.c - change records, and the ring of recent changes. */
#include <string.h>

#include "base/error.h"
#include "base/json-tree.h"
#include "store-fixture.h"

enum { PERSONS = 101, HOSTS = 103 };

static ConfObject *
host(ConfStore *store, int64_t dbid, int64_t revision, const char *more)
{
    return FIXTURE_OBJECT(conf_store_schema(store), CONF_TYPE_HOST, dbid, revision, "srv\"1\"\n", 1, HOSTS,
                          .more = more);
}

static ConfCommit *
apply_host(ConfStore *store, int64_t dbid)
{
    const ConfObject *before = conf_store_lookup(store, (ConfKey){.type = CONF_TYPE_HOST, .dbid = dbid});
    int64_t revision = conf_store_position(store)->revision + 1;
    g_autofree char *more = g_strdup_printf("\"address\":\"10.0.0.%d\"", (int)revision);
    FixtureChange change = {.kind = before != NULL ? CONF_CHANGE_UPDATE : CONF_CHANGE_CREATE,
                            .before = conf_object_ref(before),
                            .after = host(store, dbid, revision, more)};
    ConfCommit *commit = fixture_commit(store, &change, 1);
    conf_store_apply(store, commit, NULL, NULL);
    return commit;
}

static void
assert_same_object(const ConfObject *a, const ConfObject *b)
{
    g_assert_cmpint(a == NULL, ==, b == NULL);
    if (a == NULL)
        return;
    g_assert_true(conf_key_equal(conf_object_key(a), conf_object_key(b)));
    g_assert_true(conf_slice_equal(conf_bytes_slice(a->body), conf_bytes_slice(b->body)));
    g_assert_cmpstr(a->name, ==, b->name);
    g_assert_cmpint(a->revision, ==, b->revision);
    g_assert_cmpint(a->tenant, ==, b->tenant);
    g_assert_cmpint(a->folder, ==, b->folder);
    g_assert_cmpint(a->enabled, ==, b->enabled);
    g_assert_true(a->acl == b->acl);
    g_assert_cmpint(a->acl_revision, ==, b->acl_revision);
}

static void
assert_same_commit(const ConfCommit *a, const ConfCommit *b)
{
    g_assert_cmpint(a->revision, ==, b->revision);
    g_assert_cmpint(a->from, ==, b->from);
    g_assert_cmpint(a->time_ms, ==, b->time_ms);
    g_assert_true(conf_key_equal(a->user, b->user));
    g_assert_true(conf_key_equal(a->application, b->application));
    g_assert_cmpstr(a->address, ==, b->address);
    g_assert_cmpuint(a->change_count, ==, b->change_count);
    for (unsigned i = 0; i < a->change_count; i++) {
        g_assert_cmpint(a->changes[i].kind, ==, b->changes[i].kind);
        assert_same_object(a->changes[i].before, b->changes[i].before);
        assert_same_object(a->changes[i].after, b->changes[i].after);
        g_assert_true(conf_slice_equal(conf_bytes_slice(a->changes[i].difference),
                                       conf_bytes_slice(b->changes[i].difference)));
    }
}

/* One change of each kind. */
static ConfCommit *
full_commit(ConfStore *store)
{
    const ConfSchema *schema = conf_store_schema(store);
    FixtureObject person = {
        CONF_TYPE_PERSON, 7, 1, "p", 1, PERSONS, .secrets = "{\"passwordHash\":\"hidden-one\"}"};
    FixtureObject changed = {
        CONF_TYPE_PERSON, 7, 1, "p", 1, PERSONS, .secrets = "{\"passwordHash\":\"hidden-two\"}"};
    ConfAcl *acl = fixture_acl(CONF_TYPE_PERSON, 7, CONF_RIGHT_READ | CONF_RIGHT_EXECUTE);
    ConfObject *plain = host(store, 3, 1, NULL);
    FixtureChange changes[] = {
        {CONF_CHANGE_CREATE, NULL, host(store, 1, 2, "\"lcaPort\":4999")},
        {CONF_CHANGE_UPDATE, host(store, 2, 1, "\"lcaPort\":4999"),
         host(store, 2, 2, "\"lcaPort\":1,\"solutionControlServer\":9")},
        {CONF_CHANGE_PERMISSION, plain, conf_object_with_acl(plain, acl, 2)},
        {CONF_CHANGE_PERMISSION, conf_object_with_acl(plain, acl, 2), conf_object_ref(plain)},
        {CONF_CHANGE_SECRET, fixture_object(schema, &person), fixture_object(schema, &changed)},
        {CONF_CHANGE_DELETE,
         FIXTURE_OBJECT(schema, CONF_TYPE_HOST, 4, 1, "x", 1, HOSTS, .acl = acl, .acl_revision = 8), NULL},
    };
    ConfCommit *commit = fixture_commit(store, changes, G_N_ELEMENTS(changes));
    commit->user = (ConfKey){.type = CONF_TYPE_PERSON, .dbid = 7};
    commit->application = (ConfKey){.type = CONF_TYPE_APPLICATION, .dbid = 99};
    commit->address = g_strdup("[::1]:4711");
    return commit;
}

static void
test_record(void)
{
    ConfStore *store = fixture_store();
    const ConfSchema *schema = conf_store_schema(store);
    g_autoptr(ConfCommit) commit = full_commit(store);
    g_auto(ConfBuffer) record = CONF_BUFFER_INIT, again = CONF_BUFFER_INIT;
    conf_commit_write_record(commit, schema, &record);
    conf_buffer_append_char(&record, '\0');
    record.size--;
    g_assert_null(strchr(record.data, '\n'));
    g_assert_null(strstr(record.data, "hidden"));
    g_autoptr(ConfArena) arena = conf_arena_new();
    g_assert_nonnull(conf_json_parse(arena, conf_buffer_slice(&record), NULL, NULL, NULL));

    GError *error = NULL;
    g_autoptr(ConfCommit) read =
        conf_commit_from_record(schema, conf_buffer_slice(&record), commit->chain, &error);
    g_assert_no_error(error);
    assert_same_commit(read, commit);
    g_assert_cmpstr(read->chain, ==, commit->chain);
    conf_commit_write_record(read, schema, &again);
    g_assert_cmpmem(record.data, record.size, again.data, again.size);

    ConfCommit *nobody = conf_commit_new(0);
    nobody->revision = 5;
    nobody->from = 3;
    conf_buffer_truncate(&record, 0);
    conf_commit_write_record(nobody, schema, &record);
    g_autoptr(ConfCommit) read_nobody =
        conf_commit_from_record(schema, conf_buffer_slice(&record), NULL, &error);
    g_assert_no_error(error);
    assert_same_commit(read_nobody, nobody);
    conf_commit_unref(nobody);
    conf_store_free(store);
}

/* Cut anywhere, or with any byte changed, a record is refused or read, and nothing else. */
static void
test_broken_records(void)
{
    static const char *const broken[] = {
        "",
        "[]",
        "{}",
        "{\"revision\":1,\"time\":\"2026-01-01T00:00:00.000Z\",\"by\":{},\"changes\":{}}",
        "{\"revision\":0,\"time\":\"2026-01-01T00:00:00.000Z\",\"by\":{},\"changes\":[]}",
        "{\"revision\":\"1\",\"time\":\"2026-01-01T00:00:00.000Z\",\"by\":{},\"changes\":[]}",
        "{\"revision\":1,\"time\":\"yesterday\",\"by\":{},\"changes\":[]}",
        "{\"revision\":1,\"time\":\"2026-01-01T00:00:00.000Z\",\"by\":[],\"changes\":[]}",
        "{\"revision\":1,\"time\":\"2026-01-01T00:00:00.000Z\",\"by\":{},\"changes\":[1]}",
        "{\"revision\":1,\"time\":\"2026-01-01T00:00:00.000Z\",\"by\":{},\"changes\":[{\"op\":\"create\"}]}",
        "{\"revision\":1,\"time\":\"2026-01-01T00:00:00.000Z\",\"by\":{},\"changes\":[{\"op\":\"x\"}]}",
    };
    ConfStore *store = fixture_store();
    const ConfSchema *schema = conf_store_schema(store);
    for (unsigned i = 0; i < G_N_ELEMENTS(broken); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(conf_commit_from_record(schema, conf_slice_from_string(broken[i]), NULL, &error));
        g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
    }
    g_autoptr(ConfCommit) commit = full_commit(store);
    g_auto(ConfBuffer) record = CONF_BUFFER_INIT;
    conf_commit_write_record(commit, schema, &record);
    for (size_t size = 0; size < record.size; size++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(conf_commit_from_record(schema, (ConfSlice){record.data, size}, NULL, &error));
        g_assert_nonnull(error);
    }
    for (unsigned i = 0; i < 2000; i++) {
        g_autofree char *copy = g_memdup2(record.data, record.size);
        copy[g_test_rand_int_range(0, (int)record.size)] = (char)g_test_rand_int_range(0, 256);
        g_autoptr(GError) error = NULL;
        g_autoptr(ConfCommit) read =
            conf_commit_from_record(schema, (ConfSlice){copy, record.size}, NULL, &error);
        g_assert_cmpint(read == NULL, ==, error != NULL);
    }
    conf_store_free(store);
}

static void
test_ring(void)
{
    ConfStore *store = fixture_store();
    char chain[17];
    g_assert_cmpint(conf_store_recent_start(store), ==, 1);
    g_assert_null(conf_store_recent_after(store, 1));
    size_t memory = 0;
    for (int i = 0; i < 10; i++) {
        g_autoptr(ConfCommit) commit = apply_host(store, 1 + i % 2);
        memory = commit->memory;
        g_assert_cmpuint(memory, >, 2 * 100);
    }
    /* Revisions 2 to 11. */
    g_assert_cmpint(conf_store_recent_start(store), ==, 1);
    for (int64_t revision = 1; revision <= 10; revision++)
        g_assert_cmpint(conf_store_recent_after(store, revision)->revision, ==, revision + 1);
    g_assert_null(conf_store_recent_after(store, 11));
    g_assert_null(conf_store_recent_after(store, 0));

    conf_store_set_recent_limit(store, 4 * memory);
    int64_t start = conf_store_recent_start(store);
    g_assert_cmpint(start, >=, 7);
    g_assert_null(conf_store_recent_after(store, start - 1));
    for (int64_t revision = 1; revision <= 12; revision++) {
        fixture_chain(revision, chain);
        ConfHistoryVerdict expected = revision < start ? CONF_HISTORY_GONE
                                      : revision <= 11 ? CONF_HISTORY_SAME
                                                       : CONF_HISTORY_OTHER;
        g_assert_cmpint(conf_store_check_history(store, revision, chain), ==, expected);
        /* Not told: the revision alone is judged. */
        g_assert_cmpint(conf_store_check_history(store, revision, NULL), ==, expected);
        chain[3] = 'f';
        expected = revision < start ? CONF_HISTORY_GONE : CONF_HISTORY_OTHER;
        g_assert_cmpint(conf_store_check_history(store, revision, chain), ==, expected);
    }
    /* One larger than all that is allowed leaves none; the next is held again, and the chain before it
     * known. */
    conf_store_set_recent_limit(store, 10);
    g_assert_cmpint(conf_store_recent_start(store), ==, 11);
    conf_store_set_recent_limit(store, 1 << 20);
    conf_commit_unref(apply_host(store, 1));
    fixture_chain(11, chain);
    g_assert_cmpint(conf_store_check_history(store, 11, chain), ==, CONF_HISTORY_SAME);
    g_assert_cmpint(conf_store_recent_after(store, 11)->revision, ==, 12);
    conf_store_forget_recent(store);
    g_assert_cmpint(conf_store_recent_start(store), ==, 12);
    conf_store_free(store);
}

/* What a restart does: records of the past go back into the ring. */
static void
test_refill(void)
{
    ConfStore *store = fixture_store();
    const ConfSchema *schema = conf_store_schema(store);
    g_autoptr(GPtrArray) records = g_ptr_array_new_with_free_func(g_free);
    for (int i = 0; i < 6; i++) {
        g_autoptr(ConfCommit) commit = apply_host(store, 1 + i % 2);
        g_auto(ConfBuffer) record = CONF_BUFFER_INIT;
        conf_commit_write_record(commit, schema, &record);
        g_ptr_array_add(records, conf_slice_dup(conf_buffer_slice(&record)));
    }
    ConfStore *again = fixture_store();
    for (int64_t dbid = 1; dbid <= 2; dbid++)
        fixture_load(again, conf_object_ref(
                                conf_store_lookup(store, (ConfKey){.type = CONF_TYPE_HOST, .dbid = dbid})));
    conf_store_set_position(again, conf_store_position(store));
    for (unsigned i = 0; i < records->len; i++) {
        /* The third is missing: what comes before it leads nowhere. */
        if (i == 2)
            continue;
        char chain[17];
        fixture_chain(i + 2, chain);
        GError *error = NULL;
        g_autoptr(ConfCommit) commit = conf_commit_from_record(
            conf_store_schema(again), conf_slice_from_string(records->pdata[i]), chain, &error);
        g_assert_no_error(error);
        conf_store_add_recent(again, commit);
    }
    g_assert_cmpint(conf_store_recent_start(again), ==, 4);
    for (int64_t revision = 4; revision < 7; revision++) {
        const ConfCommit *then = conf_store_recent_after(store, revision),
                         *now = conf_store_recent_after(again, revision);
        assert_same_commit(now, then);
        g_assert_nonnull(now->changes[0].place_after);
    }
    char chain[17];
    fixture_chain(5, chain);
    g_assert_cmpint(conf_store_check_history(again, 5, chain), ==, CONF_HISTORY_SAME);
    fixture_chain(7, chain);
    g_assert_cmpint(conf_store_check_history(again, 7, chain), ==, CONF_HISTORY_SAME);
    /* The last version is the one that stands, once in memory. */
    const ConfCommit *last = conf_store_recent_after(again, 6);
    g_assert_true(last->changes[0].after ==
                  conf_store_lookup(again, conf_object_key(last->changes[0].after)));
    /* A new epoch keeps them, another history does not. */
    ConfStorePosition position = *conf_store_position(again);
    position.epoch++;
    conf_store_set_position(again, &position);
    g_assert_cmpint(conf_store_recent_start(again), ==, 4);
    position.chain[0] = 'e';
    conf_store_set_position(again, &position);
    g_assert_cmpint(conf_store_recent_start(again), ==, 7);
    conf_store_free(again);
    conf_store_free(store);
}

/* A folder was empty when it was made, whatever lies in it by now: no session needs a reset for it. */
static void
test_refill_folder(void)
{
    ConfStore *store = fixture_store();
    const ConfSchema *schema = conf_store_schema(store);
    FixtureChange change = {
        CONF_CHANGE_CREATE, NULL,
        FIXTURE_OBJECT(schema, CONF_TYPE_FOLDER, 200, 2, "f", 1, HOSTS, .more = "\"holds\":\"host\"")};
    g_autoptr(ConfCommit) commit = fixture_commit(store, &change, 1);
    conf_store_apply(store, commit, NULL, NULL);
    g_assert_false(commit->structural);
    fixture_load(store, FIXTURE_OBJECT(schema, CONF_TYPE_HOST, 5, 2, "srv", 1, 200));
    g_auto(ConfBuffer) record = CONF_BUFFER_INIT;
    conf_commit_write_record(commit, schema, &record);
    GError *error = NULL;
    g_autoptr(ConfCommit) read =
        conf_commit_from_record(schema, conf_buffer_slice(&record), commit->chain, &error);
    g_assert_no_error(error);
    conf_store_forget_recent(store);
    conf_store_add_recent(store, read);
    g_assert_false(read->structural);
    g_assert_cmpint(conf_store_recent_start(store), ==, 1);
    /* Records that do not reach the present position are as good as none. */
    ConfStorePosition position = *conf_store_position(store);
    conf_store_forget_recent(store);
    position.revision = 9;
    conf_store_set_position(store, &position);
    conf_store_add_recent(store, read);
    g_assert_cmpint(conf_store_recent_start(store), ==, 9);
    g_assert_null(conf_store_recent_after(store, 1));
    g_assert_cmpint(conf_store_check_history(store, 1, NULL), ==, CONF_HISTORY_GONE);
    conf_store_free(store);
}

/* Freed a piece at a time, and wholly. */
static void
test_large_commit(void)
{
    enum { CHANGES = 30000 };
    ConfStore *store = fixture_store();
    ConfObject *object = host(store, 1, 1, NULL);
    unsigned refs = object->refs;
    ConfCommit *commit = conf_commit_new(CHANGES);
    for (unsigned i = 0; i < CHANGES; i++)
        commit->changes[i].before = conf_object_ref(object);
    conf_commit_unref(commit);
    while (object->refs > refs)
        g_main_context_iteration(NULL, TRUE);
    conf_object_unref(object);
    conf_store_free(store);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store/record/round-trip", test_record);
    g_test_add_func("/store/record/broken", test_broken_records);
    g_test_add_func("/store/recent/ring", test_ring);
    g_test_add_func("/store/recent/refill", test_refill);
    g_test_add_func("/store/recent/refill-folder", test_refill_folder);
    g_test_add_func("/store/recent/large-commit", test_large_commit);
    return g_test_run();
}
