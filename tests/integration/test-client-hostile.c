/* test-client-hostile.c - servers that lie: confctl ends with a word and a status, soon and without taking
 * all memory. */
#include "confctl-run.h"
#include "liar.h"

#include <string.h>
#include <sys/resource.h>

enum { ENOUGH_S = 30, MEMORY_MAX_KB = 1500 * 1024 };

static void
test_liars(void)
{
    static const struct {
        LiarManner manner;
        int status;
        const char *said;
    } cases[] = {
        {LIAR_ENDLESS_LINE, 3, "a line of more than"},
        {LIAR_BYTES, 3, "not valid UTF-8"},
        {LIAR_DEEP, 3, "nested deeper than"},
        {LIAR_MANY_VALUES, 3, "values"},
        {LIAR_WRONG_IDS, 3, "in time"},
        {LIAR_HALF_LINE, 3, "closed the connection"},
        {LIAR_SILENCE, 3, "in time"},
        {LIAR_REFUSES, 1, "confctl: Log-in is refused\nconfctl: Your account \\u001b[31mis locked\n"},
        {LIAR_CHALLENGES, 1, "?"},
        {LIAR_FLOOD, 3, "in time"},
        {LIAR_POLLS, 3, ""},
        {LIAR_EMPTY_PAGES, 3, "does not go on"},
        {LIAR_SAME_CURSOR, 3, "confctl: Your password ends on \\u001bFriday\n"},
        {LIAR_SAME_CURSOR, 3, "does not go on"},
    };
    g_auto(Run) run;
    run_init(&run);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Liar) liar = liar_new(cases[i].manner, 0, 0);
        gint64 begin = g_get_monotonic_time();
        run.port = liar_get_port(liar);
        g_assert_has(refused(&run, cases[i].status, "--timeout 1 find host"), cases[i].said);
        g_assert_cmpint(g_get_monotonic_time() - begin, <, ENOUGH_S * G_USEC_PER_SEC);
    }
    struct rusage usage;
    g_assert_cmpint(getrusage(RUSAGE_CHILDREN, &usage), ==, 0);
    g_assert_cmpint(usage.ru_maxrss, <, MEMORY_MAX_KB);
}

/* A real server's answers with something in them changed: any end will do that is one.  A crash, a
 * complaint of a sanitizer or of GLib is none. */
static void
test_mutated(void)
{
    static const char *const commands[] = {"info",
                                           "status",
                                           "sessions",
                                           "ls /Environment",
                                           "tree /Environment",
                                           "get /Environment/Applications/a1",
                                           "-o json get /Environment/Applications/a1",
                                           "find application -f host,options",
                                           "acl /Environment/Hosts",
                                           "export",
                                           "-o json export --permissions",
                                           "set /Environment/Hosts/h1 address=10.0.0.2",
                                           "watch --count 0 nosuch",
                                           "history",
                                           "diff 3",
                                           "diff /Environment/Applications/a1 3",
                                           "verify",
                                           "revert 3 --dry-run",
                                           "mv /Environment/Hosts/h1 /Environment/Hosts/h1",
                                           "history sessions"};
    enum { ROUNDS = 2 };
    g_auto(Run) run;
    guint32 seed = (guint32)g_test_rand_int();
    run = (Run){.server = test_primary_new("plugins = history\n")};
    run.password_file = g_build_filename(test_server_get_folder(run.server), "password", NULL);
    g_assert_true(g_file_set_contents(run.password_file, TEST_PASSWORD "\n", -1, NULL));
    confctl(&run, "new host h1 address=10.0.0.1");
    confctl(&run, "new application a1 applicationType=genericServer host=/Environment/Hosts/h1 "
                  "options/log/verbose=all 'ports+={\"id\":\"x\",\"port\":7001}'");
    g_setenv("G_DEBUG", "fatal-criticals", TRUE);
    g_test_message("seed %u", seed);
    for (unsigned i = 0; i < ROUNDS * G_N_ELEMENTS(commands); i++) {
        g_autoptr(Liar) liar = liar_new(LIAR_MUTATE, test_server_get_port(run.server), seed + i);
        g_autofree char *command = g_strdup_printf("--timeout 2 %s", commands[i % G_N_ELEMENTS(commands)]);
        run.port = liar_get_port(liar);
        confctl_with(&run, NULL, command);
        g_assert_cmpint(run.status, >=, 0);
        g_assert_cmpint(run.status, <=, 3);
        g_assert_lacks(run.errors, "Sanitizer");
        g_assert_lacks(run.errors, "runtime error");
        /* Nothing of a server's reaches a terminal as it is. */
        g_assert_lacks(run.output, "\033");
        g_assert_lacks(run.errors, "\033");
    }
    g_unsetenv("G_DEBUG");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (g_getenv("CONFCTL_PROGRAM") == NULL)
        g_error("CONFCTL_PROGRAM names the program to be tested");
    g_test_add_func("/integration/client-hostile/liars", test_liars);
    g_test_add_func("/integration/client-hostile/mutated", test_mutated);
    return g_test_run();
}
