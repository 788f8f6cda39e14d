/* Tests of the replica's half: how it loads, follows, goes on and loads anew. */
#include "false-master.h"

static const ConfObject *
look_up(Play *play, int64_t dbid)
{
    return conf_store_lookup(play->store, (ConfKey){.type = CONF_TYPE_HOST, .dbid = dbid});
}

/* The same objects, at the same position. */
static void
assert_equal(Play *play)
{
    char own[33], theirs[33];
    conf_store_digest_text(play->store, own);
    conf_store_digest_text(play->told, theirs);
    g_assert_cmpstr(own, ==, theirs);
    g_assert_cmpint(conf_store_position(play->store)->revision, ==,
                    conf_store_position(play->told)->revision);
    g_assert_cmpstr(conf_store_position(play->store)->chain, ==, conf_store_position(play->told)->chain);
}

static void
assert_body(Play *play, int64_t dbid, const char *text)
{
    const ConfObject *object = look_up(play, dbid);
    g_assert_nonnull(object);
    g_assert_nonnull(strstr(object->body->data, text));
}

static void
test_follows(void)
{
    g_autoptr(Play) play = play_new();
    g_autofree char *line = play_open(play, "snapshot");
    g_assert_null(strstr(line, "\"environment\""));
    g_assert_null(strstr(line, "\"changesFrom\""));
    play_tell_objects(play);
    play_tell_loaded(play, NULL);
    WAIT_FOR(play->store != NULL);
    assert_equal(play);
    play_create(play, 200, "one");
    play_update(play, 200, "v1", NULL);
    play_update(play, 200, "v2", NULL);
    play_wait_revision(play, 4);
    assert_equal(play);
    g_assert_cmpuint(play->published->len, ==, 3);
    const ConfCommit *update = g_ptr_array_index(play->published, 2);
    g_assert_cmpint(update->changes[0].kind, ==, CONF_CHANGE_UPDATE);
    g_assert_cmpint(update->user.dbid, ==, 100);
    play_delete(play, 200);
    play_wait_revision(play, 5);
    g_assert_null(look_up(play, 200));
    g_assert_cmpuint(conf_upstream_statistics(play->upstream)->snapshots, ==, 1);
    g_assert_cmpuint(conf_upstream_statistics(play->upstream)->fetched_objects, ==, 0);
}

/* Commits and the walk in any order: what is not newer than what is there changes nothing. */
static void
test_walk_and_changes(void)
{
    g_autoptr(Play) play = play_new();
    fixture_load(play->told, play_host(play, 200, 1, "behind", NULL));
    fixture_load(play->told, play_host(play, 201, 1, "gone", NULL));
    g_autofree char *line = play_open(play, "snapshot");
    ConfSlice schema = conf_schema_text(conf_store_schema(play->told));
    play_tell(play, "replica.schema", "%.*s", (int)schema.size, schema.data);
    /* Before the walk has reached them. */
    play_update(play, 200, "v2", NULL);
    play_create(play, 202, "early");
    play_delete(play, 201);
    /* The walk sends what stands now, and a commit is repeated after it. */
    play_tell_objects(play);
    play_update(play, 202, "v5", NULL);
    play_tell(
        play, "replica.changes",
        "{\"revision\":3,\"chain\":\"0000000000000001\",\"time\":\"2026-01-01T00:00:00.000Z\",\"by\":{},\"changes\":"
        "[{\"op\":\"update\",\"type\":\"host\",\"dbid\":202,\"revision\":3,\"patch\":{\"annex\":null}}]}");
    play_tell_loaded(play, NULL);
    WAIT_FOR(play->store != NULL);
    assert_equal(play);
    assert_body(play, 200, "v2");
    assert_body(play, 202, "v5");
    g_assert_null(look_up(play, 201));
}

/* The object alone is fetched, and what follows waits for it. */
static void
test_hash_differs(void)
{
    g_autoptr(Play) play = play_new();
    play_load(play);
    play_create(play, 200, "one");
    play_update(play, 200, "v1", "00");
    play_create(play, 201, "two");
    int64_t id = 0;
    g_autofree char *line = play_expect(play, "replica.object", &id);
    g_assert_nonnull(strstr(line, "\"dbid\":200"));
    g_assert_cmpint(conf_store_position(play->store)->revision, ==, 2);
    const ConfObject *right = conf_store_lookup(play->told, (ConfKey){.type = CONF_TYPE_HOST, .dbid = 200});
    g_autofree char *item = g_strdup_printf("{\"object\":%s}", right->body->data);
    play_answer(play, id, item);
    play_wait_revision(play, 4);
    assert_equal(play);
    g_assert_cmpuint(conf_upstream_statistics(play->upstream)->fetched_objects, ==, 1);
    g_assert_cmpuint(conf_upstream_statistics(play->upstream)->snapshots, ==, 1);
}

static void
test_resumes(void)
{
    g_autoptr(Play) play = play_new();
    play_load(play);
    play_create(play, 200, "one");
    play_wait_revision(play, 2);
    g_clear_pointer(&play->peer, peer_free);
    WAIT_FOR(conf_upstream_get_link(play->upstream) == CONF_UPSTREAM_DISCONNECTED);
    g_autofree char *line = play_open(play, "resume");
    g_assert_nonnull(strstr(line, "\"environment\":\"6f1c3a52-3d0c-4c6e-8b1a-0d6c1f0e9a11\",\"revision\":2"));
    g_assert_nonnull(strstr(line, "\"schema\":"));
    play_create(play, 201, "two");
    play_wait_revision(play, 3);
    assert_equal(play);
    g_assert_cmpuint(conf_upstream_statistics(play->upstream)->resumes, ==, 1);
    g_assert_cmpuint(play->lineages, ==, 1);
    g_assert_cmpuint(conf_upstream_statistics(play->upstream)->snapshots, ==, 1);
}

/* Loads anew beside the old data, then one fold of the differences. */
static void
test_reloads(void)
{
    g_autoptr(Play) play = play_new();
    play_load(play);
    play_create(play, 200, "one");
    play_create(play, 201, "two");
    play_wait_revision(play, 3);
    play_tell(play, "replica.reset", "{\"revision\":3}");
    play_expect_closed(play);
    g_autofree char *line = play_open(play, "snapshot");
    g_assert_null(strstr(line, "\"environment\""));
    /* While the link is away. */
    ConfObject *gone =
        conf_object_ref(conf_store_lookup(play->told, (ConfKey){.type = CONF_TYPE_HOST, .dbid = 201}));
    FixtureChange change = {CONF_CHANGE_DELETE, gone, NULL};
    g_autoptr(ConfCommit) commit = fixture_commit(play->told, &change, 1);
    conf_store_apply(play->told, commit, NULL, NULL);
    play_tell_objects(play);
    g_assert_nonnull(look_up(play, 201)); /* The old data serve until all is there. */
    play_tell_loaded(play, NULL);
    WAIT_FOR(play->published->len == 3);
    const ConfCommit *fold = g_ptr_array_index(play->published, 2);
    g_assert_cmpint(fold->from, ==, 3);
    g_assert_cmpint(fold->revision, ==, 4);
    g_assert_cmpuint(fold->change_count, ==, 1);
    g_assert_null(look_up(play, 201));
    assert_equal(play);
    g_assert_cmpuint(play->environments, ==, 0);
    play_create(play, 202, "three");
    play_wait_revision(play, 5);
}

static void
test_digest_differs(void)
{
    g_autoptr(Play) play = play_new();
    g_autofree char *line = play_open(play, "snapshot");
    play_tell_objects(play);
    play_tell_loaded(play, "00000000000000000000000000000000");
    play_expect_closed(play);
    g_assert_null(play->store);
    play_load(play);
    play_tell(play, "replica.beat",
              "{\"revision\":1,\"chain\":\"x\",\"digest\":\"00000000000000000000000000000000\"}");
    play_expect_closed(play);
    /* It says the truth again; nothing differs, so the fold is empty. */
    play_load(play);
    const ConfCommit *fold = g_ptr_array_index(play->published, 0);
    g_assert_cmpuint(fold->change_count, ==, 0);
    assert_equal(play);
}

static void
test_environment_changes(void)
{
    g_autoptr(Play) play = play_new();
    play_load(play);
    play_create(play, 200, "one");
    play_wait_revision(play, 2);
    g_clear_pointer(&play->peer, peer_free);
    conf_store_free(play->told);
    play->told = fixture_store();
    ConfStorePosition other = *conf_store_position(play->told);
    other.environment[0] = '7';
    conf_store_set_position(play->told, &other);
    play->epoch = 1; /* Another lineage has its own epochs, and its revision may be lower. */
    play_load(play);
    g_assert_cmpuint(play->environments, ==, 1);
    g_assert_cmpuint(play->lineages, ==, 2);
    g_assert_null(look_up(play, 200));
    assert_equal(play);
}

/* ---- how old it is ---- */
static void
answer_position(Play *play, int64_t revision, const char *more)
{
    int64_t id = 0;
    g_autofree char *line = play_expect(play, "replica.position", &id);
    g_autofree char *answer = g_strdup_printf("{\"revision\":%" INT "%s}", revision, more);
    g_assert_nonnull(strstr(line, "\"params\":{}"));
    play_answer(play, id, answer);
}

static int64_t
known_at(Play *play)
{
    return conf_upstream_get_known_at(play->upstream);
}

/* What comes says nothing of its age; an answer is as old as its question. */
static void
test_knowledge(void)
{
    g_autoptr(Play) play = play_new();
    int64_t begin = g_get_monotonic_time();
    play_load(play);
    /* This master does not know what it has: so nobody knows. */
    g_assert_cmpint(known_at(play), ==, 0);
    answer_position(play, 1, ",\"age\":0");
    WAIT_FOR(known_at(play) != 0);
    int64_t first = known_at(play);
    g_assert_cmpint(first, >=, begin);
    int64_t id = 0;
    g_autofree char *line = play_expect(play, "replica.position", &id);
    int64_t asked = g_get_monotonic_time();
    for (unsigned i = 0; i < 5; i++)
        play_tell(play, "replica.beat", "{\"revision\":1}");
    play_create(play, 200, "one");
    play_wait_revision(play, 2);
    g_assert_cmpint(known_at(play), ==, first);
    /* The answer of a revision that has not come yet. */
    play_answer(play, id, "{\"revision\":3,\"age\":0}");
    play_tell(play, "replica.schema", "5"); /* it closes the link, behind all that was said before */
    play_expect_closed(play);
    g_assert_cmpint(known_at(play), ==, first);
    g_autofree char *open = play_open(play, "resume");
    answer_position(play, 3, ",\"age\":0");
    play_create(play, 201, "two");
    WAIT_FOR(known_at(play) > asked);
    g_assert_cmpint(conf_store_position(play->store)->revision, ==, 3);
    /* The age of the master's own knowledge adds to it; what was known better is not forgotten. */
    int64_t last = known_at(play);
    answer_position(play, 3, ",\"age\":60000");
    answer_position(play, 3, "");
    answer_position(play, 3, ",\"age\":-1");
    int64_t again = 0;
    g_autofree char *next = play_expect(play, "replica.position", &again);
    g_assert_cmpint(known_at(play), ==, last);
    play_answer(play, again, "{\"revision\":3,\"age\":1}");
    WAIT_FOR(known_at(play) > last);
}

/* ---- older change records ---- */
static void
tell_record(Play *play, int64_t revision, const char *previous, const char *chain, char own[17])
{
    g_autofree char *record = g_strdup_printf(
        "{\"revision\":%" INT ",\"time\":\"2026-01-01T00:00:00.000Z\",\"by\":{},\"changes\":[]}", revision);
    conf_id_next_chain(previous, conf_slice_from_string(record), own);
    play_tell(play, "replica.records", "{\"records\":[{\"chain\":\"%s\",\"record\":%s}]}",
              chain != NULL ? chain : own, record);
}

static void
test_records(void)
{
    g_autoptr(Play) play = play_new();
    char first[17], second[17];
    play->confirmed = 7;
    g_autofree char *line = play_open(play, "snapshot");
    g_assert_nonnull(strstr(line, "\"changesFrom\":7"));
    tell_record(play, 8, "0123456789abcdef", NULL, first);
    tell_record(play, 9, first, NULL, second);
    tell_record(play, 12, second, NULL, first); /* A gap: nothing to compare it with. */
    tell_record(play, 13, first, "0123456789abcdef", second);
    tell_record(play, 14, "0123456789abcdef", NULL, second); /* After a broken one none is taken. */
    play_tell_objects(play);
    play_tell_loaded(play, NULL);
    WAIT_FOR(play->store != NULL);
    g_assert_cmpuint(play->records->len, ==, 3);
    g_assert_true(g_str_has_prefix(g_ptr_array_index(play->records, 2), "{\"revision\":12,"));
    g_assert_cmpuint(conf_upstream_statistics(play->upstream)->records, ==, 3);
}

static void
test_records_refused(void)
{
    g_autoptr(Play) play = play_new();
    char chain[17];
    play->confirmed = 7;
    play->refusing = true;
    g_autofree char *line = play_open(play, "snapshot");
    tell_record(play, 8, "0123456789abcdef", NULL, chain);
    play_tell_objects(play);
    play_tell_loaded(play, NULL);
    WAIT_FOR(play->store != NULL);
    play->refusing = false;
    g_assert_cmpuint(play->records->len, ==, 0);
    /* A history that keeps up is not asked for anything at a resumption. */
    play->confirmed = 1;
    g_clear_pointer(&play->peer, peer_free);
    WAIT_FOR(conf_upstream_get_link(play->upstream) == CONF_UPSTREAM_DISCONNECTED);
    g_autofree char *again = play_open(play, "resume");
    g_assert_null(strstr(again, "\"changesFrom\""));
}

/* After a night without its master a replica has many log-ins to tell of: it does not wait between full
 * reports. */
static void
test_accounts_catch_up(void)
{
    enum { ACCOUNTS = 2200, REPORTS = 5 };
    g_autoptr(Play) play = play_new();
    play->accounts = conf_accounts_new();
    for (int64_t dbid = 1000; dbid < 1000 + ACCOUNTS; dbid++)
        conf_accounts_note_login(play->accounts, (ConfKey){.type = CONF_TYPE_PERSON, .dbid = dbid}, 1);
    play_load(play);
    int64_t id = 0, begin = conf_clock_monotonic_usec();
    for (int report = 0; report <= REPORTS; report++) {
        g_autofree char *line = play_expect(play, "replica.accounts", &id);
        g_autofree char *number = g_strdup_printf("\"report\":%d,", report);
        g_autofree char *result =
            g_strdup_printf("{\"accounts\":[],\"origin\":\"above\",\"report\":%d,\"next\":0}", report);
        g_assert_true(report == 0 ? strstr(line, "\"report\"") == NULL : strstr(line, number) != NULL);
        play_answer(play, id, result);
    }
    g_assert_cmpint(conf_clock_monotonic_usec() - begin, <, (REPORTS - 2) * G_USEC_PER_SEC);
    /* Then it does. */
    begin = conf_clock_monotonic_usec();
    g_autofree char *line = play_expect(play, "replica.accounts", &id);
    g_assert_null(strstr(line, "\"report\""));
    g_assert_cmpint(conf_clock_monotonic_usec() - begin, >, G_USEC_PER_SEC / 2);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/replication/upstream/follows", test_follows);
    g_test_add_func("/replication/upstream/walk-and-changes", test_walk_and_changes);
    g_test_add_func("/replication/upstream/hash-differs", test_hash_differs);
    g_test_add_func("/replication/upstream/resumes", test_resumes);
    g_test_add_func("/replication/upstream/reloads", test_reloads);
    g_test_add_func("/replication/upstream/digest-differs", test_digest_differs);
    g_test_add_func("/replication/upstream/environment-changes", test_environment_changes);
    g_test_add_func("/replication/upstream/knowledge", test_knowledge);
    g_test_add_func("/replication/upstream/records", test_records);
    g_test_add_func("/replication/upstream/records-refused", test_records_refused);
    g_test_add_func("/replication/upstream/accounts-catch-up", test_accounts_catch_up);
    return g_test_run();
}
