/* test-queue.c - transactions in a row: gathered into batches, answered in order, and what is told when the
 * database is full, away, hanging, or another server's. */
#include "fixture.h"

#include <string.h>

#include "base/clock.h"

static Result *
submit_create(Fixture *fixture, const char *name)
{
    g_autofree char *text = g_strdup_printf("{'op':'create','object':{'type':'host','name':'%s'}}", name);
    return fixture_submit(fixture, "default", text, false);
}

static void
assert_unavailable(const Result *result)
{
    g_assert_true(result->done);
    g_assert_cmpint(result->code, ==, CONF_RPC_UNAVAILABLE);
    g_assert_nonnull(strstr(result->data, "\"retryAfter\":"));
}

static int64_t
present_revision(Fixture *fixture)
{
    return conf_store_position(fixture->store)->revision;
}

static bool
has_host(Fixture *fixture, const char *name)
{
    return conf_store_lookup_name(fixture->store, CONF_TYPE_HOST, conf_slice_from_string(name), NULL) != NULL;
}

/* Turns until the condition holds; a minute is for ever. */
#define WAIT_FOR(condition) \
    do { \
        int64_t end = conf_clock_monotonic_usec() + 60 * G_USEC_PER_SEC; \
        while (!(condition)) { \
            g_assert_cmpint(conf_clock_monotonic_usec(), <, end); \
            fixture_turn(); \
        } \
    } while (0)

static void
test_gathered(void)
{
    enum { COUNT = 50 };
    g_autoptr(Fixture) fixture = fixture_new();
    int64_t before = present_revision(fixture);
    unsigned commits = database_commits(), answers = fixture->answers;
    ConfCommitStatistics statistics = *conf_commit_statistics(fixture->queue);
    g_autoptr(GPtrArray) results = g_ptr_array_new_with_free_func((GDestroyNotify)result_free);
    for (unsigned i = 0; i < COUNT; i++) {
        g_autofree char *name = g_strdup_printf("n%u", i);
        g_ptr_array_add(results, submit_create(fixture, name));
    }
    fixture_wait(g_ptr_array_index(results, COUNT - 1));
    for (unsigned i = 0; i < COUNT; i++) {
        const Result *result = g_ptr_array_index(results, i);
        g_assert_true(result->done);
        g_assert_cmpint(result->code, ==, 0);
        g_assert_cmpuint(result->number, ==, answers + i + 1);
        g_assert_cmpint(result->revision, ==, before + 1 + i);
        g_assert_cmpint(result->store_revision, >=, result->revision);
    }
    g_assert_cmpuint(database_commits(), ==, commits + 1);
    const ConfCommitStatistics *now = conf_commit_statistics(fixture->queue);
    g_assert_cmpuint(now->commits - statistics.commits, ==, COUNT);
    g_assert_cmpuint(now->batches - statistics.batches, ==, 1);
    g_assert_cmpuint(now->waiting, ==, 0);
    for (unsigned i = 1; i < fixture->published->len; i++) {
        const ConfCommit *previous = g_ptr_array_index(fixture->published, i - 1);
        const ConfCommit *next = g_ptr_array_index(fixture->published, i);
        g_assert_cmpint(next->revision, ==, previous->revision + 1);
    }
}

/* While a commit is under way the rest gathers; each is judged by those before it. */
static void
test_judged_by_those_before(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    unsigned answers = fixture->answers;
    int64_t before = present_revision(fixture);
    g_autoptr(Result) bad = submit_create(fixture, "h1");
    g_autoptr(Result) first = submit_create(fixture, "n");
    g_autoptr(Result) clash = submit_create(fixture, "n");
    g_autoptr(Result) changed = fixture_submit(
        fixture, "default", "{'op':'update','type':'host','name':'n','patch':{'address':'x'}}", false);
    g_autoptr(Result) nothing = fixture_submit(
        fixture, "default", "[{'op':'update','type':'host','name':'n','patch':{'address':'x'}}]", false);
    g_autoptr(Result) deleted =
        fixture_submit(fixture, "default", "{'op':'delete','type':'host','name':'n'}", false);
    g_autoptr(Result) gone =
        fixture_submit(fixture, "default", "{'op':'delete','type':'host','name':'n'}", false);
    fixture_wait(gone);
    g_assert_cmpint(bad->code, ==, CONF_RPC_NAME_TAKEN);
    g_assert_cmpint(first->revision, ==, before + 1);
    g_assert_cmpint(clash->code, ==, CONF_RPC_NAME_TAKEN);
    g_assert_cmpint(changed->revision, ==, before + 2);
    g_assert_cmpint(nothing->code, ==, 0);
    g_assert_null(nothing->commit);
    g_assert_cmpint(nothing->revision, ==, before + 2);
    g_assert_cmpint(deleted->revision, ==, before + 3);
    g_assert_cmpint(gone->code, ==, CONF_RPC_NOT_FOUND);
    const Result *const order[] = {bad, first, clash, changed, nothing, deleted, gone};
    for (unsigned i = 0; i < G_N_ELEMENTS(order); i++) {
        g_assert_cmpuint(order[i]->number, ==, answers + 1 + i);
        g_assert_cmpint(order[i]->store_revision, >=, order[i]->revision);
    }
    g_assert_false(has_host(fixture, "n"));
}

/* What is refused is told at once where nothing uncommitted stands before it, else in its place. */
static void
test_refused_at_once(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    database_set_mode(DATABASE_HANGS);
    g_autoptr(Result) bad = submit_create(fixture, "h1");
    g_autoptr(Result) good = submit_create(fixture, "n");
    g_autoptr(Result) worse = submit_create(fixture, "n");
    fixture_wait(bad);
    g_assert_false(good->done);
    g_assert_false(worse->done);
    g_autoptr(Result) dry =
        fixture_submit(fixture, "default", "{'op':'create','object':{'type':'host','name':'m'}}", true);
    for (unsigned i = 0; i < 10; i++)
        fixture_turn();
    g_assert_false(worse->done);
    database_set_mode(DATABASE_WELL);
    fixture_wait(dry);
    g_assert_cmpuint(good->number, <, worse->number);
    g_assert_cmpint(worse->code, ==, CONF_RPC_NAME_TAKEN);
    g_assert_cmpint(dry->code, ==, 0);
    g_assert_false(has_host(fixture, "m"));
}

static void
test_full(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    int64_t before = present_revision(fixture);
    database_set_mode(DATABASE_FULL);
    g_autoptr(Result) first = submit_create(fixture, "n");
    g_autoptr(Result) second = submit_create(fixture, "m");
    /* Judged by the first, which did not come to be: it is not told that the name is taken. */
    g_autoptr(Result) clash = submit_create(fixture, "n");
    fixture_wait(clash);
    assert_unavailable(first);
    assert_unavailable(second);
    assert_unavailable(clash);
    g_assert_cmpint(present_revision(fixture), ==, before);
    g_assert_false(has_host(fixture, "n"));
    database_set_mode(DATABASE_WELL);
    WAIT_FOR(!fixture->lost);
    g_autoptr(Result) again = submit_create(fixture, "n");
    fixture_wait(again);
    g_assert_cmpint(again->revision, ==, before + 1);
    g_assert_true(has_host(fixture, "n"));
}

static void
test_unknown(const void *data)
{
    bool stored = data != NULL;
    g_autoptr(Fixture) fixture = fixture_new();
    int64_t before = present_revision(fixture);
    database_set_mode(stored ? DATABASE_UNKNOWN_STORED : DATABASE_UNKNOWN_LOST);
    g_autoptr(Result) result = submit_create(fixture, "n");
    fixture_wait(result);
    g_assert_cmpint(result->code, ==, stored ? 0 : CONF_RPC_UNAVAILABLE);
    g_assert_cmpint(has_host(fixture, "n"), ==, stored);
    g_assert_cmpint(present_revision(fixture), ==, before + stored);
    g_autoptr(Result) after = submit_create(fixture, "m");
    fixture_wait(after);
    g_assert_cmpint(after->code, ==, 0);
    g_assert_cmpint(after->revision, ==, before + stored + 1);
}

/* The database stays away longer than a client waits: it is told so, and the change is not lost. */
static void
test_unknown_for_long(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    ConfCommitSettings settings = fixture->settings;
    settings.response_timeout_ms = 300;
    conf_commit_queue_set_settings(fixture->queue, &settings);
    int64_t before = present_revision(fixture);
    database_set_away(true);
    database_set_mode(DATABASE_UNKNOWN_STORED);
    g_autoptr(Result) result = submit_create(fixture, "n");
    g_autoptr(Result) dry =
        fixture_submit(fixture, "default", "{'op':'create','object':{'type':'host','name':'m'}}", true);
    fixture_wait(dry);
    g_assert_true(result->done);
    g_assert_cmpint(result->code, ==, CONF_RPC_OUTCOME_UNKNOWN);
    assert_unavailable(dry);
    g_assert_false(has_host(fixture, "n"));
    g_autoptr(Result) meanwhile = submit_create(fixture, "m");
    fixture_wait(meanwhile);
    assert_unavailable(meanwhile);
    g_assert_cmpint(database_revision(), ==, before + 1);
    database_set_away(false);
    WAIT_FOR(has_host(fixture, "n"));
    g_assert_cmpint(present_revision(fixture), ==, before + 1);
    g_autoptr(Result) after = submit_create(fixture, "m");
    fixture_wait(after);
    g_assert_cmpint(after->revision, ==, before + 2);
}

/* A database that says nothing at all. */
static void
test_hanging(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    ConfCommitSettings settings = fixture->settings;
    settings.response_timeout_ms = 200;
    conf_commit_queue_set_settings(fixture->queue, &settings);
    int64_t before = present_revision(fixture);
    database_set_mode(DATABASE_HANGS);
    g_autoptr(Result) result = submit_create(fixture, "n");
    WAIT_FOR(fixture->answers == 0 || conf_commit_statistics(fixture->queue)->waiting == 0);
    fixture_turn();
    g_autoptr(Result) waiting = submit_create(fixture, "m");
    fixture_wait(waiting);
    assert_unavailable(waiting);
    g_assert_true(result->done);
    g_assert_cmpint(result->code, ==, CONF_RPC_OUTCOME_UNKNOWN);
    database_set_mode(DATABASE_WELL);
    WAIT_FOR(has_host(fixture, "n"));
    g_assert_cmpint(present_revision(fixture), ==, before + 1);
    g_assert_false(has_host(fixture, "m"));
}

static void
test_deposed(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    database_set_mode(DATABASE_DEPOSED);
    g_autoptr(Result) result = submit_create(fixture, "n");
    fixture_wait(result);
    g_assert_cmpint(result->code, ==, CONF_RPC_STOPPING);
    g_assert_false(has_host(fixture, "n"));
    database_set_mode(DATABASE_WELL);
    g_autoptr(Result) later = submit_create(fixture, "n");
    fixture_wait(later);
    g_assert_cmpint(later->code, ==, CONF_RPC_STOPPING);
}

static void
test_queue_limit(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    ConfCommitSettings settings = fixture->settings;
    settings.queue_limit = 3000;
    conf_commit_queue_set_settings(fixture->queue, &settings);
    database_set_mode(DATABASE_HANGS);
    g_autoptr(Result) under_way = submit_create(fixture, "n0");
    WAIT_FOR(conf_commit_statistics(fixture->queue)->waiting == 0);
    fixture_turn();
    g_autoptr(GPtrArray) results = g_ptr_array_new_with_free_func((GDestroyNotify)result_free);
    for (unsigned i = 1; i < 5; i++) {
        g_autofree char *name = g_strdup_printf("n%u", i);
        g_ptr_array_add(results, submit_create(fixture, name));
    }
    fixture_wait(g_ptr_array_index(results, 3));
    assert_unavailable(g_ptr_array_index(results, 2));
    assert_unavailable(g_ptr_array_index(results, 3));
    database_set_mode(DATABASE_WELL);
    fixture_wait(under_way);
    for (unsigned i = 0; i < 2; i++) {
        Result *result = g_ptr_array_index(results, i);
        fixture_wait(result);
        g_assert_cmpint(result->code, ==, 0);
    }
}

static void
set_flag(void *data)
{
    *(bool *)data = true;
}

static void
test_drain(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    database_set_mode(DATABASE_HANGS);
    g_autoptr(Result) first = submit_create(fixture, "n1");
    WAIT_FOR(conf_commit_statistics(fixture->queue)->waiting == 0);
    fixture_turn();
    g_autoptr(Result) second = submit_create(fixture, "n2");
    bool drained = false;
    conf_commit_queue_drain(fixture->queue, set_flag, &drained);
    g_autoptr(Result) late = submit_create(fixture, "n3");
    fixture_wait(late);
    g_assert_cmpint(late->code, ==, CONF_RPC_STOPPING);
    for (unsigned i = 0; i < 10; i++)
        fixture_turn();
    g_assert_false(drained);
    database_set_mode(DATABASE_WELL);
    WAIT_FOR(drained);
    g_assert_true(first->done && second->done);
    g_assert_cmpint(second->code, ==, 0);
    g_assert_true(has_host(fixture, "n2"));
}

static void
test_drain_when_idle(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    bool drained = false;
    conf_commit_queue_drain(fixture->queue, set_flag, &drained);
    WAIT_FOR(drained);
}

static void
test_refuse(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    database_set_mode(DATABASE_HANGS);
    g_autoptr(Result) under_way = submit_create(fixture, "n1");
    WAIT_FOR(conf_commit_statistics(fixture->queue)->waiting == 0);
    fixture_turn();
    g_autoptr(Result) waiting = submit_create(fixture, "n2");
    conf_commit_queue_refuse(fixture->queue, CONF_RPC_STOPPING, "Not any more.");
    g_assert_true(waiting->done);
    g_assert_cmpint(waiting->code, ==, CONF_RPC_STOPPING);
    g_assert_cmpstr(waiting->message, ==, "Not any more.");
    /* What is with the database is told when the database tells. */
    g_assert_false(under_way->done);
    database_set_mode(DATABASE_WELL);
    fixture_wait(under_way);
    g_assert_cmpint(under_way->code, ==, 0);
    g_autoptr(Result) late = submit_create(fixture, "n3");
    fixture_wait(late);
    g_assert_cmpint(late->code, ==, CONF_RPC_STOPPING);
}

static void
test_refuse_before_the_check(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    int64_t before = present_revision(fixture);
    g_autoptr(Result) result = submit_create(fixture, "n1");
    conf_commit_queue_refuse(fixture->queue, CONF_RPC_STOPPING, "Not any more.");
    g_assert_true(result->done);
    g_assert_cmpint(result->code, ==, CONF_RPC_STOPPING);
    for (unsigned i = 0; i < 10; i++)
        fixture_turn();
    g_assert_cmpint(present_revision(fixture), ==, before);
}

static void
on_confirmed(ConfStoredVerdict verdict, const GError *error, void *data)
{
    *(bool *)data = true;
}

static void
test_free_while_under_way(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    database_set_mode(DATABASE_HANGS);
    g_autoptr(Result) result = submit_create(fixture, "n1");
    WAIT_FOR(conf_commit_statistics(fixture->queue)->waiting == 0);
    fixture_turn();
    conf_commit_queue_free(fixture->queue);
    fixture->queue = NULL;
    g_assert_true(result->done);
    g_assert_cmpint(result->code, ==, CONF_RPC_OUTCOME_UNKNOWN);
    /* The verdict finds nobody. */
    bool confirmed = false;
    database_set_mode(DATABASE_WELL);
    conf_storage_confirm(fixture->storage, on_confirmed, &confirmed);
    WAIT_FOR(confirmed);
}

/* A batch of both good and bad over the same objects keeps nothing of the bad. */
static void
test_refused_leaves_nothing(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    g_autoptr(Result) bad =
        fixture_submit(fixture, "default",
                       "[{'op':'create','object':{'type':'host','name':'n'}},"
                       "{'op':'update','type':'folder','dbid':@emea@,'patch':{'state':'disabled'}},"
                       "{'op':'delete','type':'host','dbid':4711}]",
                       false);
    g_autoptr(Result) good = submit_create(fixture, "n");
    fixture_wait(good);
    g_assert_cmpint(bad->code, ==, CONF_RPC_NOT_FOUND);
    g_assert_cmpint(good->code, ==, 0);
    g_assert_cmpuint(good->commit->change_count, ==, 1);
    g_assert_nonnull(strstr(fixture_body(fixture, "host", "h1"), "enabled"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/commit/queue/gathered", test_gathered);
    g_test_add_func("/commit/queue/judged-by-those-before", test_judged_by_those_before);
    g_test_add_func("/commit/queue/refused-at-once", test_refused_at_once);
    g_test_add_func("/commit/queue/refused-leaves-nothing", test_refused_leaves_nothing);
    g_test_add_func("/commit/queue/full", test_full);
    g_test_add_data_func("/commit/queue/unknown-stored", GINT_TO_POINTER(1), test_unknown);
    g_test_add_data_func("/commit/queue/unknown-lost", NULL, test_unknown);
    g_test_add_func("/commit/queue/unknown-for-long", test_unknown_for_long);
    g_test_add_func("/commit/queue/hanging", test_hanging);
    g_test_add_func("/commit/queue/deposed", test_deposed);
    g_test_add_func("/commit/queue/limit", test_queue_limit);
    g_test_add_func("/commit/queue/drain", test_drain);
    g_test_add_func("/commit/queue/drain-when-idle", test_drain_when_idle);
    g_test_add_func("/commit/queue/refuse", test_refuse);
    g_test_add_func("/commit/queue/refuse-before-the-check", test_refuse_before_the_check);
    g_test_add_func("/commit/queue/free-while-under-way", test_free_while_under_way);
    return g_test_run();
}
