/* test-confctl-history.c - the commands of the past: reads as of a revision, differences, verify; and what
 * a server without the plugin makes of them. */
#include "confctl-run.h"

#include <pty.h>
#include <string.h>
#include <unistd.h>

static void
init_with(Run *run, const char *options)
{
    *run = (Run){.server = test_primary_new(options)};
    run->password_file = g_build_filename(test_server_get_folder(run->server), "password", NULL);
    g_assert_true(g_file_set_contents(run->password_file, TEST_PASSWORD "\n", -1, NULL));
}

/* The revision at which the server is. */
static char *
now(Run *run)
{
    g_autoptr(JsonNode) node = json_from_string(confctl(run, "-o json info"), NULL);
    return g_strdup_printf("%" G_GINT64_FORMAT,
                           json_object_get_int_member(json_node_get_object(node), "revision"));
}

static const char *
at(Run *run, const char *format, const char *revision)
{
    g_autoptr(GString) command = g_string_new(format);
    g_string_replace(command, "%s", revision, 1);
    return confctl(run, command->str);
}

static void
test_as_of(void)
{
    g_auto(Run) run;
    init_with(&run, "plugins = history\n");
    confctl(&run, "new folder /Environment/Hosts/emea");
    confctl(&run, "new host /Environment/Hosts/emea/srv1 address=10.0.0.1 lcaPort=5000");
    g_autofree char *first = now(&run);
    confctl(&run, "set /Environment/Hosts/emea/srv1 address=10.0.0.2");
    confctl(&run, "mv /Environment/Hosts/emea/srv1 /Environment/Hosts/srv2");
    g_autofree char *second = now(&run);
    confctl(&run, "rm /Environment/Hosts/srv2");
    g_assert_cmpstr(at(&run, "get /Environment/Hosts/emea/srv1 address --as-of %s", first), ==, "10.0.0.1\n");
    g_assert_has(at(&run, "get /Environment/Hosts/srv2 --as-of %s", second), "/Environment/Hosts/srv2");
    g_assert_has(at(&run, "ls /Environment/Hosts/emea --as-of %s", first), "srv1");
    g_assert_lacks(at(&run, "ls /Environment/Hosts/emea --as-of %s", second), "srv1");
    g_assert_has(at(&run, "find host address=10.0.0.2 --as-of %s", second), "/Environment/Hosts/srv2");
    g_assert_cmpstr(at(&run, "find host address=10.0.0.2 --as-of %s", first), ==, "");
    g_assert_cmpstr(confctl(&run, "find host"), ==, "");
    refused(&run, 2, "get /Environment --as-of -1");
    refused(&run, 1, "get /Environment --as-of 999999");
}

static void
test_diff(void)
{
    g_auto(Run) run;
    init_with(&run, "plugins = history\n");
    confctl(&run, "new host h1");
    confctl(&run, "new application a1 applicationType=genericServer host=/Environment/Hosts/h1 "
                  "options/log/verbose=all options/log/old=1 'ports+={\"id\":\"x\",\"port\":7001}'");
    g_autofree char *first = now(&run);
    confctl(&run, "set /Environment/Applications/a1 options/log/verbose=none version=8 ports-=x "
                  "'ports+={\"id\":\"y\",\"port\":7002}'");
    confctl(&run, "unset /Environment/Applications/a1 options/log/old host");
    g_autofree char *second = now(&run);
    confctl(&run, "rm /Environment/Applications/a1");
    g_autofree char *diff = g_strdup_printf("diff /Environment/Applications/a1 %s %s", first, second);
    const char *shown = confctl(&run, diff);
    g_assert_has(shown, "    - options/log/verbose: \"all\"\n    + options/log/verbose: \"none\"\n");
    g_assert_has(shown, "    - options/log/old: \"1\"\n");
    g_assert_has(shown, "    + version: \"8\"\n");
    g_assert_has(shown, "    - host: \"/Environment/Hosts/h1\"\n");
    g_assert_has(shown,
                 "    - ports: {\"id\":\"x\",\"port\":7001}\n    + ports: {\"id\":\"y\",\"port\":7002}\n");
    g_assert_lacks(shown, "revision");
    g_assert_lacks(shown, "applicationType");
    g_autofree char *same = g_strdup_printf("diff /Environment/Applications/a1 %s %s", first, first);
    g_assert_has(confctl(&run, same), "(the same)");
    g_autofree char *gone = g_strdup_printf("diff /Environment/Applications/a1 %s", first);
    g_assert_has(confctl(&run, gone), "- application");
    g_autofree char *json = g_strdup_printf("-o json diff /Environment/Hosts/h1 %s %s", first, second);
    g_assert_has(confctl(&run, json), "{\"type\":\"host\",\"dbid\":");
    refused(&run, 2, "diff /Environment/Applications/a1");
    refused(&run, 2, "diff /Environment/Applications/a1 yesterday");
    refused(&run, 1, "diff /Environment/Applications/none 2");
}

static void
test_list(void)
{
    g_auto(Run) run;
    init_with(&run, "plugins = history\n");
    confctl(&run, "new host h1 address=10.0.0.1");
    confctl(&run, "set /Environment/Hosts/h1 address=10.0.0.2 lcaPort=5000");
    g_autofree char *changed = now(&run);
    confctl(&run, "new person op");
    confctl(&run, "grant /Environment/Hosts/h1 op read");
    g_autofree char *granted = now(&run);
    confctl(&run, "rm /Environment/Hosts/h1");
    const char *shown = confctl(&run, "history host/101");
    g_auto(GStrv) lines = g_strsplit(shown, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 6);
    g_assert_has(lines[0], "REVISION");
    g_assert_has(lines[1], "delete");
    g_assert_has(lines[1], "host/101 (h1)");
    g_assert_has(lines[2], "permission");
    g_assert_has(lines[3], "address, lcaPort");
    g_assert_has(lines[3], "default, confctl");
    g_assert_has(lines[3], "127.0.0.1");
    g_assert_has(lines[4], "create");
    g_autofree char *diff = g_strconcat("diff ", changed, NULL),
                    *rights = g_strconcat("diff ", granted, NULL);
    shown = confctl(&run, diff);
    g_assert_has(shown, "by default, confctl from 127.0.0.1");
    g_assert_has(shown, "    - address: \"10.0.0.1\"\n    + address: \"10.0.0.2\"\n    + lcaPort: 5000\n");
    g_assert_has(confctl(&run, rights), "+ permissions: \"/Environment/Persons/op read\"");
    refused(&run, 1, "diff 4711");

    g_assert_has(confctl(&run, "history --by default --since 1h --limit 2 host"), "permission");
    g_assert_cmpstr(confctl(&run, "history --by op"), ==, "");
    g_assert_cmpstr(confctl(&run, "history --until 2020-01-01"), ==, "");
    g_assert_lacks(confctl(&run, "history person"), "host");
    g_autofree char *file = g_build_filename(test_server_get_folder(run.server), "audit", NULL), *text = NULL;
    g_autofree char *exporting = g_strdup_printf("history --export %s", file);
    confctl(&run, exporting);
    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    g_auto(GStrv) entries = g_strsplit(g_strchomp(text), "\n", -1);
    g_assert_cmpuint(g_strv_length(entries), >=, 5);
    for (unsigned i = 0; entries[i] != NULL; i++) {
        g_autoptr(JsonNode) node = json_from_string(entries[i], NULL);
        g_assert_true(node != NULL && json_object_has_member(json_node_get_object(node), "revision"));
    }
    g_assert_has(refused(&run, 1, "history --export /nonexistent/x"), "Cannot write");
    g_assert_has(confctl(&run, "history --export -"), "\"op\":\"delete\"");

    refused(&run, 1, "--user nobody info");
    shown = confctl(&run, "history sessions");
    g_assert_has(shown, "opened");
    g_assert_has(shown, "nobody");
    g_assert_lacks(confctl(&run, "history sessions --by nobody"), "opened");
}

/* In the shell too a command shows a hundred where no number is given, also behind one that was given. */
static void
test_list_in_shell(void)
{
    g_auto(Run) run;
    init_with(&run, "plugins = history\n");
    g_autoptr(GString) script = g_string_new(NULL);
    for (unsigned i = 0; i < 105; i++)
        g_string_append_printf(script, "new host h%u\n", i);
    confctl_with(&run, script->str, "shell");
    g_assert_cmpint(run.status, ==, 0);
    for (unsigned i = 0; i < 2; i++) {
        confctl_with(&run, i == 0 ? "history host\n" : "history -n 3 person\nhistory host\n", "shell");
        g_assert_cmpint(run.status, ==, 0);
        g_assert_has(run.errors, "there is more: --limit N");
        g_assert_lacks(run.output, "Hosts/h0");
        g_assert_has(run.output, "Hosts/h104");
    }
    confctl_with(&run, "history --limit 0 host\n", "shell");
    g_assert_has(run.output, "Hosts/h0");
}

/* What the server has not recorded is said beside the list, and beside what is written out. */
static void
test_gap(void)
{
    g_auto(Run) run;
    init_with(&run, "plugins = history\n");
    confctl(&run, "new host h1 address=10.0.0.1");
    g_autoptr(TestClient) client = test_client_new(run.server);
    static const char *const values[] = {"'false'", "null"};
    for (unsigned i = 0; i < G_N_ELEMENTS(values); i++) {
        test_call(
            client, "object.update",
            "{'type':'application','name':'confserv','patch':{'options':{'history-log':{'active':%s}}}}",
            values[i]);
        test_call(client, "object.update", "{'type':'host','name':'h1','patch':{'address':'10.0.0.%u'}}",
                  i + 2);
        g_assert_cmpstr(run.errors, ==, "");
    }
    static const char *const commands[] = {"history", "history /Environment/Hosts/h1", "history --export -",
                                           "-o json history"};
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_assert_lacks(confctl(&run, commands[i]), "lacks");
        g_assert_has(run.errors, "the history lacks revisions ");
    }
    g_assert_lacks(confctl(&run, "history --until 2"), "lacks");
    g_assert_cmpstr(run.errors, ==, "");
}

static void
test_revert(void)
{
    g_auto(Run) run;
    init_with(&run, "plugins = history\n");
    confctl(&run, "new host h1 address=10.0.0.1");
    g_autofree char *made = now(&run);
    confctl(&run, "set /Environment/Hosts/h1 address=10.0.0.2 lcaPort=5000");
    g_autofree char *changed = now(&run);
    g_autofree char *dry = g_strdup_printf("revert %s --dry-run", changed),
                    *back = g_strdup_printf("revert %s", changed),
                    *forced = g_strdup_printf("revert %s --force", changed),
                    *to = g_strdup_printf("revert /Environment/Hosts/h1 --to %s", made),
                    *gone = g_strdup_printf("revert host/101 --to %s", made);
    const char *shown = confctl(&run, dry);
    g_assert_has(shown, "~ host /Environment/Hosts/h1");
    g_assert_has(shown, "address: \"10.0.0.1\"");
    g_assert_has(shown, "nothing was changed");
    g_assert_cmpstr(confctl(&run, "get /Environment/Hosts/h1 address"), ==, "10.0.0.2\n");
    g_assert_has(confctl(&run, back), "Taken back, revision 4");
    g_assert_cmpstr(confctl(&run, "get /Environment/Hosts/h1 address"), ==, "10.0.0.1\n");
    refused(&run, 1, "get /Environment/Hosts/h1 lcaPort");

    confctl(&run, "set /Environment/Hosts/h1 address=10.0.0.3");
    const char *said = refused(&run, 1, back);
    g_assert_has(said, "changed since: host /Environment/Hosts/h1 address, at revision 5");
    g_assert_has(said, "--force");
    g_assert_cmpstr(confctl(&run, "get /Environment/Hosts/h1 address"), ==, "10.0.0.3\n");
    confctl(&run, forced);
    g_assert_has(run.errors, "changed since");
    g_assert_cmpstr(confctl(&run, "get /Environment/Hosts/h1 address"), ==, "10.0.0.1\n");
    g_assert_has(confctl(&run, to), "Nothing to take back");
    /* Deleted, and there again under its number. */
    confctl(&run, "rm /Environment/Hosts/h1");
    g_assert_has(confctl(&run, gone), "+ host");
    g_assert_cmpstr(confctl(&run, "get host/101 address"), ==, "10.0.0.1\n");
    /* Rights. */
    confctl(&run, "new person op");
    confctl(&run, "grant /Environment/Hosts/h1 op read");
    g_autofree char *granted = now(&run), *ungrant = g_strdup_printf("revert %s", granted);
    g_assert_has(confctl(&run, ungrant), "(rights)");
    g_assert_lacks(confctl(&run, "acl /Environment/Hosts/h1"), "/Environment/Persons/op");
    refused(&run, 1, "revert 4711");
}

/* On a terminal it asks, and takes only a yes for one. */
static void
answer_on_terminal(Run *run, const char *command, const char *answer, int status)
{
    int master, slave;
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) words = NULL;
    g_autofree char *line = g_strdup_printf("%s --server 127.0.0.1:%u --user default --password-file %s %s",
                                            g_getenv("CONFCTL_PROGRAM"), test_server_get_port(run->server),
                                            run->password_file, command);
    g_assert_cmpint(openpty(&master, &slave, NULL, NULL, NULL), ==, 0);
    g_assert_true(g_shell_parse_argv(line, NULL, &words, &error));
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_subprocess_launcher_take_stdin_fd(launcher, slave);
    g_autoptr(GSubprocess) process =
        g_subprocess_launcher_spawnv(launcher, (const char *const *)words, &error);
    g_assert_no_error(error);
    g_assert_cmpint(write(master, answer, strlen(answer)), ==, (gssize)strlen(answer));
    finish(run, process, NULL);
    g_assert_cmpint(run->status, ==, status);
    g_assert_has(run->errors, "Do this? [y/N]");
    close(master);
}

static void
test_ask(void)
{
    g_auto(Run) run;
    init_with(&run, "plugins = history\n");
    confctl(&run, "new host h1 address=10.0.0.1");
    confctl(&run, "set /Environment/Hosts/h1 address=10.0.0.2");
    answer_on_terminal(&run, "revert 3", "n\n", 1);
    answer_on_terminal(&run, "revert 3", "\n", 1);
    g_assert_cmpstr(confctl(&run, "get /Environment/Hosts/h1 address"), ==, "10.0.0.2\n");
    answer_on_terminal(&run, "revert 3", "y\n", 0);
    g_assert_cmpstr(confctl(&run, "get /Environment/Hosts/h1 address"), ==, "10.0.0.1\n");
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
    g_test_add_func("/integration/confctl-history/as-of", test_as_of);
    g_test_add_func("/integration/confctl-history/diff", test_diff);
    g_test_add_func("/integration/confctl-history/list", test_list);
    g_test_add_func("/integration/confctl-history/list-in-shell", test_list_in_shell);
    g_test_add_func("/integration/confctl-history/gap", test_gap);
    g_test_add_func("/integration/confctl-history/revert", test_revert);
    g_test_add_func("/integration/confctl-history/ask", test_ask);
    g_test_add_func("/integration/confctl-history/verify", test_verify);
    g_test_add_func("/integration/confctl-history/no-history", test_no_history);
    return g_test_run();
}
