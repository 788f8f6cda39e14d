/* Tests of the replica's half: masters that lie, send garbage, or are behind.  What is served stays what
 * it was. */
#include "false-master.h"

#define TIME "\"time\":\"2026-01-01T00:00:00.000Z\",\"by\":{}"
#define CHAIN "\"chain\":\"0123456789abcdef\""

static const struct {
    const char *params;
    bool closes;
} bad_changes[] = {
    {"{}", true},
    {"{\"changes\":[]}", true},
    {"{\"changes\":{}," CHAIN ",\"revision\":3," TIME "}", true},
    {"{\"revision\":3," CHAIN "," TIME "}", true},
    {"{\"revision\":\"3\"," CHAIN "," TIME ",\"changes\":[]}", true},
    {"{\"revision\":3.5," CHAIN "," TIME ",\"changes\":[]}", true},
    {"{\"revision\":-3," CHAIN "," TIME ",\"changes\":[]}", true},
    {"{\"revision\":3,\"chain\":\"short\"," TIME ",\"changes\":[]}", true},
    {"{\"revision\":3,\"chain\":16,\"time\":5,\"by\":[],\"changes\":[]}", true},
    {"{\"revision\":3,\"chain\":\"0123456789ABCDEF\"," TIME ",\"changes\":[]}", true},
    {"{\"revision\":3,\"chain\":\"01234567\\u0000\\u00009abcde\"," TIME ",\"changes\":[]}", true},
    {"{\"revision\":3," CHAIN ",\"time\":\"yesterday\",\"by\":{},\"changes\":[]}", true},
    {"{\"revision\":2," CHAIN "," TIME ",\"changes\":[]}", false}, /* is here already */
    {"{\"revision\":9," CHAIN "," TIME ",\"changes\":[]}", true},  /* a gap */
    {"{\"revision\":3," CHAIN "," TIME ",\"changes\":[5]}", true},
    {"{\"revision\":3," CHAIN "," TIME ",\"changes\":[{}]}", true},
    {"{\"revision\":3," CHAIN "," TIME ",\"changes\":[{\"op\":\"create\",\"type\":\"host\",\"dbid\":300}]}",
     true},
    {"{\"revision\":3," CHAIN "," TIME
     ",\"changes\":[{\"op\":\"create\",\"type\":\"nothing\",\"dbid\":300}]}",
     true},
    {"{\"revision\":3," CHAIN "," TIME
     ",\"changes\":[{\"op\":\"create\",\"type\":\"host\",\"dbid\":300,\"object\":{}}]}",
     true},
    {"{\"revision\":3," CHAIN "," TIME
     ",\"changes\":[{\"op\":\"create\",\"type\":\"host\",\"dbid\":300,\"object\":"
     "{\"type\":\"host\",\"dbid\":301,\"revision\":3,\"name\":\"x\",\"tenant\":1,\"folder\":103,\"state\":\"enabled\"}}]}",
     true},
    {"{\"revision\":3," CHAIN "," TIME
     ",\"changes\":[{\"op\":\"create\",\"type\":\"host\",\"dbid\":300,\"object\":"
     "{\"type\":\"person\",\"dbid\":300,\"revision\":3,\"name\":\"x\",\"tenant\":1,\"folder\":103,\"state\":\"enabled\"}}]}",
     true},
    {"{\"revision\":3," CHAIN "," TIME
     ",\"changes\":[{\"op\":\"create\",\"type\":\"host\",\"dbid\":300,\"object\":[]}]}",
     true},
    {"{\"revision\":3," CHAIN "," TIME ",\"changes\":[{\"op\":\"explode\",\"type\":\"host\",\"dbid\":200}]}",
     true},
    {"{\"revision\":3," CHAIN "," TIME ",\"changes\":[{\"op\":\"update\",\"type\":\"host\",\"dbid\":200}]}",
     true},
    {"{\"revision\":3," CHAIN "," TIME
     ",\"changes\":[{\"op\":\"update\",\"type\":\"host\",\"dbid\":200,\"revision\":\"x\"}]}",
     true},
    {"{\"revision\":3," CHAIN "," TIME
     ",\"changes\":[{\"op\":\"update\",\"type\":\"host\",\"dbid\":200,\"revision\":3,\"patch\":5}]}",
     true},
    {"{\"revision\":3," CHAIN "," TIME
     ",\"changes\":[{\"op\":\"update\",\"type\":\"host\",\"dbid\":200,\"revision\":3,\"patch\":{\"nothing\":5}}]}",
     true},
    {"{\"revision\":3," CHAIN "," TIME
     ",\"changes\":[{\"op\":\"update\",\"type\":\"host\",\"dbid\":200,\"revision\":3,"
     "\"patch\":{\"dbid\":7}}]}",
     true},
    {"{\"revision\":3," CHAIN "," TIME ",\"changes\":[{\"op\":\"permission\",\"type\":\"host\",\"dbid\":200,"
     "\"permissions\":{\"revision\":3,\"entries\":[{\"account\":5}]}}]}",
     true},
    {"{\"revision\":3," CHAIN "," TIME ",\"changes\":[{\"op\":\"delete\",\"type\":\"host\",\"dbid\":200},"
     "{\"op\":\"delete\",\"type\":\"host\",\"dbid\":200}]}",
     true},
    {"{\"revision\":3," CHAIN "," TIME
     ",\"changes\":[{\"op\":\"create\",\"type\":\"host\",\"dbid\":300,\"object\":"
     "{\"type\":\"host\",\"dbid\":300,\"revision\":3,\"name\":\"one\",\"tenant\":1,\"folder\":103,\"state\":\"enabled\"}},"
     "{\"op\":\"create\",\"type\":\"host\",\"dbid\":300,\"object\":"
     "{\"type\":\"host\",\"dbid\":300,\"revision\":3,\"name\":\"one\",\"tenant\":1,\"folder\":103,\"state\":\"enabled\"}}]}",
     true},
};

/* Nothing of a bad transaction is applied; the link is given up, and what is served stays. */
static void
test_bad_changes(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(bad_changes); i++) {
        g_test_message("%s", bad_changes[i].params);
        g_autoptr(Play) play = play_new();
        play_load(play);
        play_create(play, 200, "one");
        play_wait_revision(play, 2);
        char before[33], after[33];
        conf_store_digest_text(play->store, before);
        play_tell(play, "replica.changes", "%s", bad_changes[i].params);
        if (bad_changes[i].closes) {
            play_expect_closed(play);
        } else {
            play_create(play, 201, "two");
            play_wait_revision(play, 3);
            continue;
        }
        conf_store_digest_text(play->store, after);
        g_assert_cmpstr(before, ==, after);
        g_assert_cmpint(conf_store_position(play->store)->revision, ==, 2);
        /* It comes back to a whole one. */
        if (i % 8 == 0)
            play_load(play);
    }
}

static const char *const bad_lines[] = {
    "",
    "nothing",
    "{",
    "[]",
    "[[[]]]",
    "{\"jsonrpc\":\"2.0\",\"method\":5}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"replica.nothing\",\"params\":{}}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"replica.objects\",\"params\":{\"objects\":[{}]}}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"replica.objects\",\"params\":[]}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"replica.beat\",\"params\":[]}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"replica.beat\",\"params\":{\"revision\":\"x\",\"digest\":5}}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"replica.loaded\",\"params\":{}}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"replica.records\",\"params\":{\"records\":5}}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"replica.changes\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":77,\"method\":\"replica.changes\",\"params\":{}}",
    "{\"jsonrpc\":\"2.0\",\"id\":77,\"method\":\"object.read\",\"params\":{}}",
    "{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":{}}",
    "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"x\"}}",
};

/* Whether or not the link lasts: the data do, and it works with the next link at the latest. */
static void
test_bad_lines(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(bad_lines); i++) {
        g_test_message("%s", bad_lines[i]);
        g_autoptr(Play) play = play_new();
        play_load(play);
        char before[33], after[33];
        conf_store_digest_text(play->store, before);
        play_send(play, bad_lines[i]);
        play_tell(play, "replica.reset", "{\"revision\":1}");
        play_expect_closed(play);
        conf_store_digest_text(play->store, after);
        g_assert_cmpstr(before, ==, after);
        play_load(play);
    }
}

/* While it loads, too. */
static void
test_bad_snapshot(void)
{
    static const char *const params[] = {
        "{\"objects\":[{}]}",
        "{\"objects\":[{\"object\":5}]}",
        "{\"objects\":[{\"object\":{\"type\":\"host\"}}]}",
        "{\"objects\":[{\"object\":{\"type\":\"host\",\"dbid\":0,\"revision\":1,\"name\":\"x\",\"tenant\":1}}]}",
        "{\"objects\":[{\"object\":{\"type\":\"host\",\"dbid\":300,\"revision\":1,\"name\":\"x\",\"tenant\":1,\"folder\":103,"
        "\"state\":\"enabled\"},\"permissions\":5}]}",
        "{\"objects\":[{\"object\":{\"type\":\"host\",\"dbid\":300,\"revision\":1,\"name\":\"x\",\"tenant\":1,\"folder\":103,"
        "\"state\":\"enabled\"},\"permissions\":{\"revision\":1,\"entries\":{}}}]}",
    };
    g_autoptr(Play) play = play_new();
    for (unsigned i = 0; i < G_N_ELEMENTS(params); i++) {
        g_test_message("%s", params[i]);
        g_autofree char *line = play_open(play, "snapshot");
        play_tell_objects(play);
        play_tell(play, "replica.objects", "%s", params[i]);
        play_expect_closed(play);
        g_assert_null(play->store);
    }
    play_load(play);
}

/* Objects before any schema: there is nothing to read them by. */
static void
test_no_schema(void)
{
    g_autoptr(Play) play = play_new();
    g_autofree char *line = play_open(play, "snapshot");
    play_tell(play, "replica.objects", "{\"objects\":[{\"object\":{}}]}");
    play_expect_closed(play);
    g_autofree char *again = play_open(play, "snapshot");
    play_tell(play, "replica.schema", "{\"types\":5}");
    play_expect_closed(play);
    play_load(play);
}

/* Never a step back. */
static void
check_not_followed(Play *play, const char *mode)
{
    char before[33], after[33];
    conf_store_digest_text(play->store, before);
    int64_t revision = conf_store_position(play->store)->revision;
    g_autofree char *line = play_open(play, mode);
    play_expect_closed(play);
    WAIT_FOR(conf_upstream_get_link(play->upstream) == CONF_UPSTREAM_DISCONNECTED);
    g_assert_true(conf_upstream_is_diverged(play->upstream));
    conf_store_digest_text(play->store, after);
    g_assert_cmpstr(before, ==, after);
    g_assert_cmpint(conf_store_position(play->store)->revision, ==, revision);
    g_assert_cmpuint(play->environments, ==, 0);
}

static void
test_lower_epoch(void)
{
    static const char *const modes[] = {"resume", "snapshot"};
    for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++) {
        g_autoptr(Play) play = play_new();
        play_load(play);
        g_clear_pointer(&play->peer, peer_free);
        play->epoch--;
        check_not_followed(play, modes[i]);
    }
}

static void
test_behind(void)
{
    g_autoptr(Play) play = play_new();
    play_load(play);
    play_create(play, 200, "one");
    play_wait_revision(play, 2);
    g_clear_pointer(&play->peer, peer_free);
    conf_store_free(play->told);
    play->told = fixture_store();
    check_not_followed(play, "snapshot");
}

/* The answer says one revision, the end of the walk a lower one. */
static void
test_loaded_behind(void)
{
    g_autoptr(Play) play = play_new();
    play_load(play);
    play_create(play, 200, "one");
    play_wait_revision(play, 2);
    play_tell(play, "replica.reset", "{\"revision\":2}");
    play_expect_closed(play);
    g_autofree char *line = play_open(play, "snapshot");
    conf_store_free(play->told);
    play->told = fixture_store();
    play_tell_objects(play);
    play_tell_loaded(play, NULL);
    play_expect_closed(play);
    g_assert_cmpint(conf_store_position(play->store)->revision, ==, 2);
    g_assert_cmpuint(play->published->len, ==, 1);
}

static void
test_bad_answers(void)
{
    static const char *const answers[] = {
        "{}",
        "5",
        "{\"mode\":\"resume\",\"environment\":\"6f1c3a52-3d0c-4c6e-8b1a-0d6c1f0e9a11\",\"epoch\":3,\"revision\":1}",
        "{\"mode\":\"dance\",\"environment\":\"6f1c3a52-3d0c-4c6e-8b1a-0d6c1f0e9a11\",\"epoch\":3,\"revision\":1}",
        "{\"mode\":\"snapshot\",\"environment\":\"short\",\"epoch\":3,\"revision\":1}",
        "{\"mode\":\"snapshot\",\"environment\":5,\"epoch\":3,\"revision\":1}",
        "{\"mode\":\"snapshot\",\"environment\":\"6f1c3a52-3d0c-4c6e-8b1a-0d6c1f0e9a11\",\"epoch\":\"x\",\"revision\":1}",
        "{\"mode\":\"snapshot\",\"environment\":\"6f1c3a52-3d0c-4c6e-8b1a-0d6c1f0e9a11\",\"epoch\":3,\"revision\":{}}",
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(answers); i++) {
        g_test_message("%s", answers[i]);
        g_autoptr(Play) play = play_new();
        int64_t id = 0;
        g_autofree char *login = play_expect(play, "session.open", &id);
        play_answer(play, id, "{}");
        g_autofree char *line = play_expect(play, "replica.open", &id);
        play_answer(play, id, answers[i]);
        play_expect_closed(play);
        g_assert_null(play->store);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/replication/upstream-faults/bad-changes", test_bad_changes);
    g_test_add_func("/replication/upstream-faults/bad-lines", test_bad_lines);
    g_test_add_func("/replication/upstream-faults/bad-snapshot", test_bad_snapshot);
    g_test_add_func("/replication/upstream-faults/no-schema", test_no_schema);
    g_test_add_func("/replication/upstream-faults/lower-epoch", test_lower_epoch);
    g_test_add_func("/replication/upstream-faults/behind", test_behind);
    g_test_add_func("/replication/upstream-faults/loaded-behind", test_loaded_behind);
    g_test_add_func("/replication/upstream-faults/bad-answers", test_bad_answers);
    return g_test_run();
}
