/* test-large.c - transactions as large as they may be: checked in slices, so that nobody else waits long. The
 * figures are written to the test's log; what is asserted is wide, since sanitizers stretch any slice. */
#include "fixture.h"

#include <time.h>

#include "base/clock.h"

#ifdef __SANITIZE_ADDRESS__
enum { COUNT = 1000, TURN_MAX_USEC = 2000000 };
#else
/* A slice is 2 ms; a turn that the server would warn of is a fault. */
enum { COUNT = 10000, TURN_MAX_USEC = 100000 };
#endif

/* Of this thread: waiting for the database, or for another program, is not counted. */
static int64_t
processor_usec(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

static void
measure(Fixture *fixture, const char *what, const char *text, unsigned changes)
{
    while (g_main_context_iteration(NULL, FALSE))
        continue;
    unsigned commits = database_commits(), turns = 0;
    g_autoptr(Result) result = fixture_submit(fixture, "default", text, false);
    int64_t check = 0, longest = 0, last = 0, began = processor_usec();
    while (!result->done) {
        int64_t turn = processor_usec();
        g_main_context_iteration(NULL, TRUE);
        turn = processor_usec() - turn;
        /* The last turn of the check writes the record and hands the batch over. */
        bool is_stored = database_commits() > commits || fixture_is_storing(fixture);
        if (!is_stored) {
            longest = MAX(longest, turn);
            check += turn;
            turns++;
        } else {
            last = MAX(last, turn);
        }
    }
    if (result->code != 0)
        g_error("%s: %s {%s}", what, result->message, result->data);
    g_assert_cmpuint(result->commit->change_count, ==, changes);
    g_test_message("%s: checked in %" G_GINT64_FORMAT " us, %u turns, the longest %" G_GINT64_FORMAT
                   " us; longest turn of record and publication %" G_GINT64_FORMAT
                   " us; in all %" G_GINT64_FORMAT " us",
                   what, check, turns, longest, last, processor_usec() - began);
    /* In slices of 2 ms, however fast the whole is. */
    g_assert_cmpint(check / turns, <, 4000);
    g_assert_cmpint(longest, <, TURN_MAX_USEC);
}

static char *
list_of(const char *format)
{
    GString *text = g_string_new("[");
    for (unsigned i = 0; i < COUNT; i++) {
        g_autoptr(GString) one = g_string_new(format);
        g_autofree char *number = g_strdup_printf("%u", i);
        g_string_replace(one, "%u", number, 0);
        g_string_append_printf(text, "%s%s", i > 0 ? "," : "", one->str);
    }
    g_string_append_c(text, ']');
    return g_string_free(text, FALSE);
}

static void
test_ten_thousand(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    ConfCommitSettings settings = fixture->settings;
    settings.max_operations = COUNT + 1; /* a root folder, or the folder itself, comes on top */
    conf_commit_queue_set_settings(fixture->queue, &settings);
    g_autofree char *creates =
        list_of("{'op':'create','object':{'type':'host','name':'n%u','folder':@apac@,'address':'10.0.0.1',"
                "'osType':'Debian GNU/Linux 12','annex':{'site':{'room':'r%u','rack':'k%u'}}}}");
    g_autofree char *updates = list_of("{'op':'update','type':'host','name':'n%u','patch':{'lcaPort':%u}}");
    g_autofree char *referrers = list_of("{'op':'create','object':{'type':'note','name':'t%u','host':@h3@}}");
    g_autofree char *persons = list_of("{'op':'create','object':{'type':'person','name':'p%u'}}");
    g_autofree char *folders =
        list_of("{'op':'create','object':{'type':'folder','name':'f%u','folder':@inner@}}");
    g_autofree char *deletes = list_of("{'op':'delete','type':'host','name':'n%u'}");
    measure(fixture, "create hosts", creates, COUNT);
    measure(fixture, "update hosts", updates, COUNT);
    measure(fixture, "create notes", referrers, COUNT + 1);
    measure(fixture, "disable a folder",
            "{'op':'update','type':'folder','dbid':@apac@,'patch':{'state':'disabled'}}", COUNT + 1);
    measure(fixture, "cascade", "{'op':'delete','type':'host','dbid':@h3@}", COUNT + 1);
    measure(fixture, "delete hosts", deletes, COUNT);
    measure(fixture, "create persons", persons, COUNT);
    measure(fixture, "create folders", folders, COUNT);
}

static void
test_too_many(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    ConfCommitSettings settings = fixture->settings;
    settings.max_operations = COUNT;
    conf_commit_queue_set_settings(fixture->queue, &settings);
    g_autofree char *wanted = g_strdup_printf("\"operations\":%d,\"limit\":%d", COUNT + 1, COUNT);
    g_autofree char *creates =
        list_of("{'op':'create','object':{'type':'host','name':'n%u','folder':@apac@}}");
    measure(fixture, "create hosts", creates, COUNT);
    g_autoptr(Result) result = fixture_run(
        fixture, "default", "{'op':'update','type':'folder','dbid':@apac@,'patch':{'state':'disabled'}}");
    g_assert_cmpint(result->code, ==, CONF_RPC_LIMIT);
    g_assert_cmpstr(result->data, ==, wanted);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/commit/large/ten-thousand", test_ten_thousand);
    g_test_add_func("/commit/large/too-many", test_too_many);
    return g_test_run();
}
