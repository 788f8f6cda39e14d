/* test-confctl.c - confctl against a real server: what it prints, what it changes, its exit status. */
#include "confctl-run.h"
#include "fixture.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

static void
test_objects(void)
{
    g_auto(Run) run;
    run_init(&run);
    confctl(&run, "new folder /Environment/Hosts/emea class=site");
    g_assert_has(confctl(&run, "new host /Environment/Hosts/emea/srv1 address=10.0.0.1 lcaPort=5000"),
                 "/Environment/Hosts/emea/srv1 (host/");
    confctl(&run, "new application app1 applicationType=genericServer host=/Environment/Hosts/emea/srv1 "
                  "options/log/verbose=all 'ports+={\"id\":\"default\",\"port\":7000}'");
    confctl(&run,
            "set /Environment/Applications/app1 options/log/all=stderr 'ports+={\"id\":\"x\",\"port\":7001}' "
            "'connections+={\"server\":\"/Environment/Applications/confserv\",\"protocol\":\"addp\"}'");
    const char *shown = confctl(&run, "get /Environment/Applications/app1");
    g_assert_has(shown, "/Environment/Hosts/emea/srv1");
    g_assert_has(shown, "options/log/verbose  all");
    g_assert_has(shown, "{\"server\":\"/Environment/Applications/confserv\",\"protocol\":\"addp\"}");
    g_assert_cmpstr(confctl(&run, "get /Environment/Applications/app1 options/log/verbose"), ==, "all\n");
    confctl(&run,
            "set /Environment/Applications/app1 ports-=x connections-=/Environment/Applications/confserv");
    confctl(&run, "unset /Environment/Applications/app1 options/log/all");
    g_autoptr(JsonNode) object =
        json_from_string(confctl(&run, "-o json get /Environment/Applications/app1"), NULL);
    g_assert_cmpuint(
        json_array_get_length(json_object_get_array_member(json_node_get_object(object), "ports")), ==, 1);
    g_assert_false(json_object_has_member(json_node_get_object(object), "connections"));

    g_assert_has(confctl(&run, "find application options/log/verbose=all"), "/Environment/Applications/app1");
    g_assert_has(confctl(&run, "find host 'name=sr*' folder=/Environment/Hosts -f address"), "10.0.0.1");
    g_assert_cmpstr(confctl(&run, "find host 'name=x*'"), ==, "");
    confctl(&run, "mv /Environment/Hosts/emea/srv1 /Environment/Hosts/srv2");
    g_assert_has(confctl(&run, "ls /Environment/Hosts"), "srv2");
    g_assert_has(confctl(&run, "tree /Environment --folders"), "emea");
    g_assert_has(refused(&run, 1, "rm /Environment/Hosts/srv2"),
                 "held by application /Environment/Applications/app1");
    confctl(&run, "mv /Environment/Hosts/srv2 /Environment/Hosts/emea");
    confctl(&run, "rm /Environment/Applications/app1");
    refused(&run, 1, "rm /Environment/Hosts/emea");
    confctl(&run, "rm --recursive /Environment/Hosts/emea");
    g_assert_cmpstr(confctl(&run, "ls /Environment/Hosts"), ==, "");
    confctl_with(&run, "{\"name\":\"from-stdin\",\"address\":\"::1\",\"folder\":\"/Environment/Hosts\"}",
                 "new host -");
    g_assert_cmpint(run.status, ==, 0);
    g_assert_cmpstr(confctl(&run, "get /Environment/Hosts/from-stdin address"), ==, "::1\n");
}

static void
test_edit(void)
{
    g_auto(Run) run;
    run_init(&run);
    confctl(&run, "new host h1 address=10.0.0.1 lcaPort=5000");
    confctl(&run,
            "new application a1 applicationType=genericServer host=/Environment/Hosts/h1 options/log/a=1");
    g_setenv("EDITOR", "sed -i -e s/10.0.0.1/10.0.0.5/ -e /lcaPort/d -e 's/\\(10.0.0.5\"\\),/\\1/'", TRUE);
    const char *shown = confctl(&run, "edit /Environment/Hosts/h1");
    g_assert_has(shown, "    - address: \"10.0.0.1\"\n    + address: \"10.0.0.5\"\n");
    g_assert_has(shown, "    - lcaPort: 5000\n");
    g_assert_has(shown, "changed, revision 4");
    g_assert_cmpstr(confctl(&run, "get /Environment/Hosts/h1 address"), ==, "10.0.0.5\n");
    refused(&run, 1, "get /Environment/Hosts/h1 lcaPort");
    g_assert_has(confctl(&run, "edit /Environment/Hosts/h1"), "Nothing was changed");
    g_setenv("EDITOR", "sed -i 's/\"a\" : \"1\"/\"b\" : \"2\"/'", TRUE);
    shown = confctl(&run, "edit /Environment/Applications/a1");
    g_assert_has(shown, "options/log/a");
    g_assert_has(shown, "+ options/log/b: \"2\"");
    g_assert_lacks(shown, "host");
    g_assert_has(confctl(&run, "get /Environment/Applications/a1 options/log"), "{\"b\":\"2\"}");
    /* What cannot be done keeps the text. */
    static const struct {
        const char *editor, *said;
        int status;
        bool is_kept;
    } cases[] = {
        {"sed -i s/Hosts/Nosts/", "cannot be changed here", 2, true},
        {"truncate -s 5", "no JSON", 2, true},
        {"printf [] >", "one JSON object", 2, true},
        {"false", "editor failed", 1, false},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_setenv("EDITOR", cases[i].editor, TRUE);
        const char *said = refused(&run, cases[i].status, "edit /Environment/Hosts/h1");
        g_assert_has(said, cases[i].said);
        const char *kept = strstr(said, "kept in ");
        g_assert_true((kept != NULL) == cases[i].is_kept);
        g_autofree char *file = kept != NULL ? g_strndup(kept + 8, strcspn(kept + 8, "\n")) : NULL;
        if (file != NULL)
            g_assert_cmpint(g_remove(file), ==, 0);
    }
    g_unsetenv("EDITOR");
    g_assert_has(refused(&run, 1, "switchover backup"), "role");
}

static void
test_status(void)
{
    g_auto(Run) run;
    run_init(&run);
    g_assert_has(confctl(&run, "--help"), "Exit status");
    g_assert_has(confctl(&run, "set --help"), "FIELD+=VALUE");
    g_assert_has(confctl(&run, "--version"), "confctl ");
    g_assert_has(confctl(&run, "info"), "primary");
    g_assert_has(confctl(&run, "status"), "revision");
    g_assert_has(confctl(&run, "sessions"), "default");
    refused(&run, 2, "frobnicate");
    refused(&run, 2, "get");
    refused(&run, 2, "info --nonsense");
    refused(&run, 2, "-o xml info");
    refused(&run, 2, "--tls-ca /etc/ca.pem info");
    refused(&run, 2, "--profile missing info");
    refused(&run, 2, "--password-file /nonexistent info");
    refused(&run, 2, "set /Environment nosuch=1");
    refused(&run, 2, "get nonsense");
    refused(&run, 1, "get /Environment/Hosts/none");
    refused(&run, 1, "get host/4711");
    g_assert_has(refused(&run, 1, "new host h lcaPort=70000"), "(at /object/lcaPort)");
    refused(&run, 1, "--user nobody info");
    refused(&run, 3, "--server 127.0.0.1:1 info");
    refused(&run, 2, "--server nonsense info");
    /* A profile says where to and as whom. */
    g_autofree char *folder = g_build_filename(test_server_get_folder(run.server), "confctl", NULL);
    g_autofree char *file = g_build_filename(folder, "config", NULL);
    g_autofree char *text =
        g_strdup_printf("[live]\nserver=127.0.0.1:%u\nuser=default\npassword-file=%s\n[dead]\n"
                        "server=127.0.0.1:1\n",
                        test_server_get_port(run.server), run.password_file);
    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(file, text, -1, NULL));
    confctl(&run, "--profile live info");
    refused(&run, 3, "--profile dead info");
}

static const char plan_text[] =
    "{\"type\":\"application\",\"path\":\"/Environment/Applications/front\","
    "\"applicationType\":\"genericServer\",\"host\":\"/Environment/Hosts/apac/n1\","
    "\"connections\":[{\"server\":\"/Environment/Applications/back\"}]}\n"
    "{\"type\":\"application\",\"path\":\"/Environment/Applications/back\","
    "\"applicationType\":\"genericServer\","
    "\"connections\":[{\"server\":\"/Environment/Applications/front\"}],"
    "\"options\":{\"log\":{\"verbose\":\"all\"}}}\n"
    "{\"type\":\"host\",\"path\":\"/Environment/Hosts/apac/n1\",\"address\":\"10.1.1.1\"}\n"
    "\n"
    "{\"type\":\"folder\",\"path\":\"/Environment/Hosts/apac\"}\n"
    "{\"type\":\"person\",\"path\":\"/Environment/Persons/op\",\"permissions\":[{\"account\":"
    "\"/Environment/Access Groups/Super Administrators\",\"rights\":[\"read\",\"change\",\"delete\","
    "\"readPermissions\","
    "\"changePermissions\"]}]}\n"
    "{\"type\":\"host\",\"path\":\"/Environment/Hosts/old\",\"$delete\":true}\n";

/* Lines in any order, references in a circle, a list of rights, a deletion: one transaction. */
static void
test_apply(void)
{
    g_auto(Run) run;
    run_init(&run);
    g_autofree char *file = g_build_filename(test_server_get_folder(run.server), "plan.jsonl", NULL);
    g_autofree char *apply = g_strdup_printf("apply %s", file),
                    *dry = g_strdup_printf("apply --dry-run %s", file);
    g_assert_true(g_file_set_contents(file, plan_text, -1, NULL));
    confctl(&run, "new host old");
    g_autofree char *before = g_strdup(confctl(&run, "get /Environment/Hosts/old revision"));
    const char *shown = confctl(&run, dry);
    g_assert_has(shown, "+ host /Environment/Hosts/apac/n1");
    g_assert_has(shown, "- host /Environment/Hosts/old");
    g_assert_has(shown, "5 to create, 0 to change, 1 to delete, 1 lists of rights");
    g_assert_has(shown, "nothing was changed");
    g_assert_cmpstr(confctl(&run, "get /Environment/Hosts/old revision"), ==, before);
    g_assert_has(confctl(&run, apply), "Applied, revision 3");
    g_assert_has(confctl(&run, "get /Environment/Applications/back connections"),
                 "/Environment/Applications/front");
    g_assert_has(confctl(&run, "acl /Environment/Persons/op"), "the object's own");
    refused(&run, 1, "get /Environment/Hosts/old");
    g_assert_has(confctl(&run, apply), "Nothing to do");

    confctl(&run,
            "set /Environment/Applications/back options/log/verbose=none options/log/extra=1 version=8");
    shown = confctl(&run, apply);
    g_assert_has(shown, "~ application /Environment/Applications/back");
    g_assert_has(shown, "options/log/verbose: \"none\" -> \"all\"");
    g_assert_has(shown, "options/log/extra: \"1\" -> (unset)");
    /* What the file does not name stays. */
    g_assert_cmpstr(confctl(&run, "get /Environment/Applications/back version"), ==, "8\n");

    confctl_with(&run,
                 "{\"type\":\"host\",\"path\":\"/Environment/Hosts/h2\",\"lcaPort\":1}\n"
                 "{\"type\":\"host\",\"path\":\"/Environment/Hosts/h3\",\"lcaPort\":99999}\n",
                 "apply -");
    g_assert_cmpint(run.status, ==, 1);
    g_assert_has(run.errors, "Line 2, host /Environment/Hosts/h3: ");
    refused(&run, 1, "get /Environment/Hosts/h2");
    confctl_with(
        &run,
        "{\"type\":\"host\",\"path\":\"/Environment/Hosts/h2\",\"solutionControlServer\":\"/Environment/x\"}",
        "apply -");
    g_assert_cmpint(run.status, ==, 1);
    static const char *const wrong[] = {
        "{\"type\":\"host\"}",
        "[]",
        "{",
        "{\"type\":\"nosuch\",\"path\":\"/a/b\"}",
        "{\"type\":\"host\",\"path\":\"a\"}",
        "{\"type\":\"host\",\"path\":\"/a/b\",\"nosuch\":1}",
        "{\"type\":\"host\",\"path\":\"/a/b\"}\n{\"type\":\"host\",\"path\":\"/a/b\"}"};
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        confctl_with(&run, wrong[i], "apply -");
        g_assert_cmpint(run.status, ==, 2);
        g_assert_has(run.errors, i == 6 ? "Line 2" : "Line 1");
    }
}

static void add_line(GString *file, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void
add_line(GString *file, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *line = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    for (char *p = line; *p != '\0'; p++)
        *p = *p == '\'' ? '"' : *p;
    g_string_append_printf(file, "%s\n", line);
}

static int
compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *
sort_lines(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    qsort(lines, g_strv_length(lines), sizeof *lines, compare_lines);
    return g_strjoinv("\n", lines);
}

/* More than one transaction, tenants with folders of their own, a ring of references; what comes out of
 * one server goes into another and comes out the same. */
static void
test_import_export(void)
{
    enum { COUNT = 1200 };
    g_auto(Run) run, other;
    run_init(&run);
    run_init(&other);
    g_autoptr(GString) file = g_string_new(NULL);
    for (unsigned i = 0; i < COUNT; i++) {
        add_line(file,
                 "{'type':'application','path':'/Environment/acme/Applications/a%u',"
                 "'applicationType':'genericServer','host':'/Environment/acme/Hosts/deep/h%u',"
                 "'connections':[{'server':'/Environment/acme/Applications/a%u'}]}",
                 i, i % 100, (i + 1) % COUNT);
    }
    for (unsigned i = 0; i < 100; i++)
        add_line(file,
                 "{'type':'host','path':'/Environment/acme/Hosts/deep/h%u','annex':{'a~/b':{'k':'%u'}}}", i,
                 i);
    add_line(file, "{'type':'folder','path':'/Environment/acme/Hosts/deep','class':'site'}");
    add_line(file, "{'type':'folder','path':'/Environment/acme/Hosts','permissions':[{"
                   "'account':'/Environment/Access Groups/Super Administrators','rights':['read',"
                   "'create','change','delete','readPermissions','changePermissions']}]}");
    add_line(file, "{'type':'tenant','path':'/Environment/acme'}");
    add_line(file, "{'type':'person','path':'/Environment/acme/Persons/a~1b~0c','firstName':'Zo\\u00eb'}");
    confctl_with(&run, file->str, "import -");
    g_assert_cmpint(run.status, ==, 0);
    g_assert_has(run.output, "1303 created");
    confctl_with(&run, file->str, "import -");
    g_assert_has(run.output, "0 created, 0 changed, 0 deleted, 0 lists of rights, 1304 as they were");
    g_assert_cmpstr(confctl(&run, "get '/Environment/acme/Persons/a~1b~0c' name"), ==, "a/b~c\n");

    g_autofree char *exported = g_strdup(confctl(&run, "export --permissions /Environment/acme"));
    confctl_with(&other, exported, "import -");
    g_assert_cmpint(other.status, ==, 0);
    /* Numbers, and with them the order of what lies beside each other, are each server's own. */
    g_autofree char *again = sort_lines(confctl(&other, "export --permissions /Environment/acme"));
    g_autofree char *wanted = sort_lines(exported);
    g_assert_true(strcmp(again, wanted) == 0);
    g_assert_has(confctl(&other, "export host"), "\"annex\":{\"a~/b\":{\"k\":\"42\"}}");
    g_assert_lacks(confctl(&other, "export person"), "passwordSet");
    confctl(&other, "rm -r /Environment/acme");
    refused(&other, 1, "get /Environment/acme");
}

static void
test_rights(void)
{
    g_auto(Run) run;
    run_init(&run);
    g_autofree char *new_file = g_build_filename(test_server_get_folder(run.server), "new", NULL);
    g_assert_true(g_file_set_contents(new_file, "tr0ub4dor&3\n", -1, NULL));
    confctl(&run, "new person op");
    g_autofree char *set = g_strdup_printf("passwd op --must-change --new-password-file %s", new_file);
    confctl(&run, set);
    confctl(&run, "grant /Environment/Applications/confctl op read,execute");
    g_assert_has(confctl(&run, "acl /Environment/Applications/confctl"), "/Environment/Persons/op");
    g_autofree char *as_op = g_strdup_printf("--user op --password-file %s", new_file);
    g_autofree char *look = g_strdup_printf("%s ls /Environment", as_op);
    g_assert_has(refused(&run, 1, look), "confctl passwd");
    g_autofree char *own = g_strdup_printf("%s passwd --new-password-file %s", as_op, run.password_file);
    confctl(&run, own);
    refused(&run, 1, look);
    confctl(&run, "grant /Environment op read");
    g_autofree char *again =
        g_strdup_printf("--user op --password-file %s ls /Environment", run.password_file);
    g_assert_has(confctl(&run, again), "Roles");
    confctl(&run, "revoke /Environment person/101 read");
    confctl_with(&run, NULL, again);
    g_assert_cmpint(run.status, ==, 1);
    refused(&run, 2, "grant /Environment op fly");
    refused(&run, 1, "grant /Environment nobody read");
    confctl(&run, "revoke /Environment/Applications/confctl op");
    refused(&run, 1, again);
}

static void
test_watch(void)
{
    g_auto(Run) run, watch;
    run_init(&run);
    watch = (Run){.server = run.server};
    confctl(&run, "new host h1");
    g_autoptr(GSubprocess) process = start(&run, "watch host --count 3");
    /* It says from when on it watches: whatever is done after that is seen. */
    g_autoptr(GDataInputStream) errors = g_data_input_stream_new(g_subprocess_get_stderr_pipe(process));
    g_autofree char *said = g_data_input_stream_read_line(errors, NULL, NULL, NULL);
    g_assert_has(said, "watching from revision 2");
    confctl(&run, "set /Environment/Hosts/h1 address=10.0.0.9");
    confctl(&run, "new person nobody-watches");
    confctl(&run, "mv /Environment/Hosts/h1 /Environment/Hosts/h2");
    confctl(&run, "rm /Environment/Hosts/h2");
    finish(&watch, process, NULL);
    g_assert_cmpint(watch.status, ==, 0);
    g_assert_has(watch.output, "by default, confctl");
    g_assert_has(watch.output, "~ host /Environment/Hosts/h1\n      address: \"10.0.0.9\"");
    g_assert_has(watch.output, "~ host /Environment/Hosts/h2\n      name: \"h2\"");
    g_assert_has(watch.output, "- host /Environment/Hosts/h2");
    g_assert_lacks(watch.output, "nobody-watches");
    watch.server = NULL;
}

/* The server dies under a watcher, which sees what happened after the server is back. */
static void
test_watch_through_restart(void)
{
    g_auto(Run) run, watch;
    run_init(&run);
    watch = (Run){.server = run.server};
    g_autoptr(GSubprocess) process = start(&run, "-o json watch --count 2");
    g_autoptr(GDataInputStream) errors = g_data_input_stream_new(g_subprocess_get_stderr_pipe(process));
    g_autofree char *said = g_data_input_stream_read_line(errors, NULL, NULL, NULL);
    g_assert_has(said, "watching");
    confctl(&run, "new host h1");
    test_server_signal(run.server, SIGKILL);
    test_server_start(run.server);
    confctl(&run, "new host h2");
    finish(&watch, process, NULL);
    g_assert_cmpint(watch.status, ==, 0);
    g_auto(GStrv) lines = g_strsplit(watch.output, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 3);
    g_assert_has(lines[0], "\"h1\"");
    g_assert_has(lines[1], "\"h2\"");
    watch.server = NULL;
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (g_getenv("CONFCTL_PROGRAM") == NULL)
        g_error("CONFCTL_PROGRAM names the program to be tested");
    g_test_add_func("/integration/confctl/objects", test_objects);
    g_test_add_func("/integration/confctl/edit", test_edit);
    g_test_add_func("/integration/confctl/status", test_status);
    g_test_add_func("/integration/confctl/apply", test_apply);
    g_test_add_func("/integration/confctl/import-export", test_import_export);
    g_test_add_func("/integration/confctl/rights", test_rights);
    g_test_add_func("/integration/confctl/watch", test_watch);
    g_test_add_func("/integration/confctl/watch-through-restart", test_watch_through_restart);
    return g_test_run();
}
