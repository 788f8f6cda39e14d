/* test-confctl-history.c - the commands of the past: reads as of a revision, differences, verify; and what a server without
 * the plugin makes of them. */
#include "confctl-run.h"

#include <string.h>

static void
init_with(Run *run, const char *options)
{
    *run = (Run){.server = test_primary_new(options)};
    run->password_file = g_build_filename(test_server_get_folder(run->server), "password", NULL);
    g_assert_true(g_file_set_contents(run->password_file, TEST_PASSWORD "\n", -1, NULL));
}

static void
test_verify(void)
{
    g_auto(Run) run;
    init_with(&run, "plugins = history\n");
    confctl(&run, "new host h1");
    g_assert_has(confctl(&run, "verify"), "all as they were written");
    g_assert_has(confctl(&run, "-o json verify"), "\"ok\":true");
}

/* Said as it is, instead of that there is no such method. */
static void
test_no_history(void)
{
    static const char *const commands[] = {"history", "history sessions", "diff 1", "revert 1", "verify"};
    g_auto(Run) run;
    run_init(&run);
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++)
        g_assert_has(refused(&run, 1, commands[i]), "plugin history is not loaded");
    g_assert_has(refused(&run, 1, "get /Environment --as-of 1"), "plugin history");
    refused(&run, 2, "history nosuch");
    refused(&run, 2, "history --since yesterday");
    refused(&run, 2, "revert /Environment");
    refused(&run, 2, "revert 3 --to 2");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (g_getenv("CONFCTL_PROGRAM") == NULL)
        g_error("CONFCTL_PROGRAM names the program to be tested");
    g_test_add_func("/integration/confctl-history/verify", test_verify);
    g_test_add_func("/integration/confctl-history/no-history", test_no_history);
    return g_test_run();
}
