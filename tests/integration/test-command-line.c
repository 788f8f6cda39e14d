/* test-command-line.c - what cannot work says what is wrong with what, in one line, with the right exit
 * status; schema files of a site; offline export and import. */
#include "fixture.h"

#include <string.h>

#include <glib/gstdio.h>

static void
put(const char *folder, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

/* The exit status, and a text that the one line must hold. */
static void
expect(const char *folder, const char *arguments, int status, const char *text)
{
    g_autofree char *output = NULL;
    int got = test_run_confserv(folder, arguments, &output);
    if (got != status || strstr(output, text) == NULL)
        g_error("confserv %s: status %d and '%s' were expected, not %d and: %s", arguments, status, text, got,
                output);
}

static void
test_bad_start(void)
{
    g_autofree char *folder = test_make_folder();
    expect(folder, "-nonsense", 2, "-nonsense");
    expect(folder, "-host", 2, "needs a value");
    expect(folder, "-host 127.0.0.1 -port 1", 2, "-app");
    expect(folder, "-rescue-port 99999", 2,
           "Option '-rescue-port' needs a port from 1 to 65535, not '99999'");
    expect(folder, "", 2, "confserv.conf");
    expect(folder, "-c missing.conf", 2, "missing.conf");
    put(folder, "broken.conf", "[confserv]\nport = 2120\nthis is no setting\n");
    expect(folder, "-c broken.conf", 2, "3");
    put(folder, "value.conf", "[confserv]\nport = many\n[dbserver]\ndbengine=sqlite\ndbname=x.db\n");
    expect(folder, "-c value.conf", 2, "many");
    put(folder, "engine.conf", "[confserv]\nport = 2120\n[dbserver]\ndbengine=oracle\ndbname=x.db\n");
    expect(folder, "-c engine.conf", 2, "oracle");
    put(folder, "good.conf", "[confserv]\nport = 2120\n[dbserver]\ndbengine=sqlite\ndbname=x.db\n");
    expect(folder, "-c good.conf -s other", 2, "other");
    expect(folder, "-c good.conf", 1, "x.db");
    put(folder, "x.db",
        "this is no database, but it is long enough to be looked at as one, with some more text behind it\n");
    expect(folder, "-c good.conf", 2, "x.db");
    put(folder, "plugin.conf",
        "[confserv]\nport = 2120\nplugins = nowhere\n[dbserver]\ndbengine=sqlite\ndbname=y.db\n");
    expect(folder, "-c plugin.conf", 1, "nowhere");
    expect(folder, "-help", 0, "-rescue-port");
    expect(folder, "-V", 0, "confserv");
    expect(folder, "--list-options=markdown", 0, "slow-turn-warning");
    expect(folder, "-c good.conf -check-config", 0, "in order");
    put(folder, "log.conf", "[confserv]\nport = 2120\n[log]\nverbose = shouting\n");
    expect(folder, "-c log.conf -check-config", 2, "log/verbose");
    put(folder, "network.conf", "[confserv]\nport = 2120\n[log]\nall = network\n");
    expect(folder, "-c network.conf -check-config", 2, "log/all");
    put(folder, "database.conf", "[confserv]\nport = 2120\nserver = db\n[db]\nresponse-timeout = 0\n");
    expect(folder, "-c database.conf -check-config", 2, "db/response-timeout");
    put(folder, "unknown.conf", "[confserv]\nport = 2120\nlogin-timeuot = 1\n[db]\ndbname = x.db\n");
    expect(folder, "-c unknown.conf -check-config", 0,
           "Line 3: option login-timeuot of section [confserv] is not known");
    put(folder, "named.conf",
        "[confserv]\nport = 2120\nserver = db\nplugins = db-sqlite\n[db]\ndbname = x.db\n");
    expect(folder, "-c named.conf -check-config", 0, "in order");
    test_remove_folder(folder);
}

static bool
lists(JsonArray *declared, const char *section, const char *name)
{
    unsigned found = 0;
    for (unsigned i = 0; i < json_array_get_length(declared); i++) {
        JsonObject *option = json_array_get_object_element(declared, i);
        if (strcmp(json_object_get_string_member(option, "name"), name) == 0 &&
            (section == NULL || strcmp(json_object_get_string_member(option, "section"), section) == 0))
            found++;
    }
    g_assert_cmpuint(found, <=, 1);
    return found == 1;
}

/* All that can be set is in the listing, once, and under the name that this file gives the section. */
static void
test_list_options(void)
{
    g_autofree char *folder = test_make_folder();
    g_autofree char *output = NULL;
    put(folder, "own.conf", "[confserv]\nserver = maindb\n");
    g_assert_cmpint(test_run_confserv(folder, "-c own.conf -list-options=json", &output), ==, 0);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonParser) parser = json_parser_new();
    const char *text = strchr(output, '{'); /* the fixture's own line is before it */
    json_parser_load_from_data(parser, text != NULL ? text : output, -1, &error);
    g_assert_no_error(error);
    JsonObject *top = json_node_get_object(json_parser_get_root(parser));
    JsonArray *options = json_object_get_array_member(top, "options");
    JsonArray *command_line = json_object_get_array_member(top, "commandLine");
    static const struct {
        const char *section, *name;
    } expected[] = {
        {"confserv", "port"},   {"csproxy", "delay-reload"}, {"log", "verbose"},
        {"log", "check-point"}, {"maindb", "dbengine"},      {"maindb", "response-timeout"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(expected); i++)
        g_assert_true(lists(options, expected[i].section, expected[i].name));
    g_assert_false(lists(options, "dbserver", "dbname"));
    g_assert_true(lists(command_line, NULL, "rescue-port"));
    g_assert_true(lists(command_line, NULL, "list-options"));
    test_remove_folder(folder);
}

static void
test_bad_master(void)
{
    g_autoptr(TestServer) primary = test_primary_new(NULL);
    g_autofree char *folder = test_make_folder();
    put(folder, "wrong", "not it\n");
    put(folder, "right", TEST_PASSWORD "\n");
    g_autofree char *wrong =
        g_strdup_printf("-host 127.0.0.1 -port %u -app confctl -user default -password-file wrong",
                        test_server_get_port(primary));
    expect(folder, wrong, 1, "refuses this server");
    g_autofree char *unknown =
        g_strdup_printf("-host 127.0.0.1 -port %u -app nobody -user default -password-file right",
                        test_server_get_port(primary));
    expect(folder, unknown, 1, "nobody");
    test_remove_folder(folder);
}

static void
test_second_init(void)
{
    g_autoptr(TestServer) primary = test_primary_prepare(NULL);
    expect(test_server_get_folder(primary), "-init -admin-password-file password", 1, "confserv.db");
}

static void
test_port_in_use(void)
{
    g_autoptr(TestServer) first = test_primary_new(NULL);
    g_autoptr(TestServer) second = test_primary_prepare(NULL);
    g_autofree char *text =
        g_strdup_printf("[confserv]\nport = %u\n[dbserver]\ndbengine = sqlite\ndbname = other.db\n",
                        test_server_get_port(first));
    put(test_server_get_folder(second), "other.conf", text);
    expect(test_server_get_folder(second), "-c other.conf -init -admin-password-file password", 0, "objects");
    g_autofree char *port = g_strdup_printf("%u", test_server_get_port(first));
    expect(test_server_get_folder(second), "-c other.conf", 1, port);
}

/* A type and a field of a site's own, on the primary, over a restart, and on a proxy that reads no files. */
static void
test_site_schema(void)
{
    g_autoptr(TestServer) primary = test_primary_prepare(NULL);
    g_autofree char *conf = g_build_filename(test_server_get_folder(primary), "confserv.conf", NULL);
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(conf, &text, NULL, NULL));
    g_autofree char *with_path =
        g_strconcat("[confserv]\nschema-path = site\n", strchr(text, '\n') + 1, NULL);
    put(test_server_get_folder(primary), "confserv.conf", with_path);
    g_autofree char *site = g_build_filename(test_server_get_folder(primary), "site", NULL);
    g_assert_cmpint(g_mkdir(site, 0700), ==, 0);
    put(site, "printer.json",
        "{\"type\":\"printer\",\"id\":1000,\"title\":\"Printer\",\"unique\":[[\"tenant\",\"name\"]],\"fields\":["
        "{\"name\":\"pages\",\"kind\":\"integer\",\"minimum\":0,\"help\":\"Pages a minute.\"},"
        "{\"name\":\"server\",\"kind\":\"ref\",\"to\":[\"host\"],\"onDelete\":\"clear\",\"help\":\"Where it hangs.\"}]}");
    put(site, "host-extra.json",
        "{\"extend\":\"host\",\"fields\":[{\"name\":\"rack\",\"kind\":\"string\",\"help\":\"Where it stands.\"}]}");
    test_server_start(primary);
    g_autoptr(TestServer) proxy = test_proxy_new(primary, "proxy1", NULL);
    g_autoptr(TestClient) admin = test_client_new(primary);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    JsonObject *host =
        test_call(admin, "object.create", "{'object':{'type':'host','name':'h','rack':'B12'}}");
    int64_t dbid = json_object_get_int_member(host, "dbid");
    JsonObject *printer =
        test_call(admin, "object.create",
                  "{'object':{'type':'printer','name':'p','pages':30,'server':%" G_GINT64_FORMAT "}}", dbid);
    int64_t revision = json_object_get_int_member(printer, "revision");
    test_call_error(admin, -32602, "object.create", "{'object':{'type':'printer','name':'q','pages':-1}}");
    JsonObject *seen = test_call(
        reader, "object.read", "{'type':'printer','name':'p','minRevision':%" G_GINT64_FORMAT "}", revision);
    g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(seen, "object"), "pages"), ==,
                    30);
    test_call(admin, "object.delete", "{'type':'host','dbid':%" G_GINT64_FORMAT "}", dbid);
    seen = test_call(admin, "object.read", "{'type':'printer','name':'p'}");
    g_assert_false(json_object_has_member(json_object_get_object_member(seen, "object"), "server"));
    test_server_signal(primary, SIGTERM);
    /* Without its file the stored printer fits no schema: both are named. */
    g_autofree char *file = g_build_filename(site, "printer.json", NULL);
    g_unlink(file);
    g_autofree char *output = NULL;
    g_assert_cmpint(test_run_confserv(test_server_get_folder(primary), "", &output), !=, 0);
    if (strstr(output, "Printers") == NULL || strstr(output, "schema") == NULL)
        g_error("%s", output);
}

static void
test_export_import(void)
{
    g_autoptr(TestServer) primary = test_primary_new(NULL);
    const char *folder = test_server_get_folder(primary);
    {
        g_autoptr(TestClient) admin = test_client_new(primary);
        for (unsigned i = 0; i < 20; i++)
            test_call(admin, "object.create", "{'object':{'type':'host','name':'h%u','address':'10.0.0.%u'}}",
                      i, i);
        test_call(
            admin, "permission.update",
            "{'path':'/Environment/Hosts/h3','grant':[{'account':{'type':'person','dbid':100},'rights':['read']}]}");
    }
    expect(folder, "-export all.jsonl", 0, "objects are exported");
    test_server_signal(primary, SIGTERM);
    g_autofree char *text = g_strdup_printf(
        "[confserv]\nport = %u\n[dbserver]\ndbengine = sqlite\ndbname = copy.db\n", test_free_port());
    put(folder, "copy.conf", text);
    expect(folder, "-c copy.conf -init -import all.jsonl", 0, "objects");
    expect(folder, "-c copy.conf -export again.jsonl", 0, "objects are exported");
    g_autofree char *first = g_build_filename(folder, "all.jsonl", NULL),
                    *second = g_build_filename(folder, "again.jsonl", NULL);
    g_autofree char *a = NULL, *b = NULL;
    g_assert_true(g_file_get_contents(first, &a, NULL, NULL));
    g_assert_true(g_file_get_contents(second, &b, NULL, NULL));
    g_assert_cmpstr(strchr(a, '\n'), ==, strchr(b, '\n')); /* all but the head, which names the environment */
    put(folder, "more.jsonl",
        "{\"object\":{\"type\":\"host\",\"dbid\":5000,\"revision\":1,\"name\":\"imported\",\"tenant\":1,\"folder\":109,\"state\":\"enabled\"}}\n");
    expect(folder, "-import more.jsonl", 0, "1 objects are imported");
    put(folder, "bad.jsonl",
        "{\"object\":{\"type\":\"host\",\"dbid\":5001,\"revision\":1,\"name\":\"imported\",\"tenant\":1,\"folder\":109,\"state\":\"enabled\"}}\n");
    expect(folder, "-import bad.jsonl", 2, "imported");
    put(folder, "broken.jsonl", "{\"object\":{\"type\":\"host\"}}\n");
    expect(folder, "-import broken.jsonl", 2, "line 1");
    test_server_start(primary);
    g_autoptr(TestClient) admin = test_client_new(primary);
    g_assert_cmpint(json_object_get_int_member(test_call(admin, "object.count", "{'type':'host'}"), "count"),
                    ==, 21);
    JsonObject *created = test_call(admin, "object.create", "{'object':{'type':'host','name':'next'}}");
    g_assert_cmpint(json_object_get_int_member(created, "dbid"), >, 5000);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/command-line/bad-start", test_bad_start);
    g_test_add_func("/integration/command-line/list-options", test_list_options);
    g_test_add_func("/integration/command-line/bad-master", test_bad_master);
    g_test_add_func("/integration/command-line/second-init", test_second_init);
    g_test_add_func("/integration/command-line/port-in-use", test_port_in_use);
    g_test_add_func("/integration/command-line/site-schema", test_site_schema);
    g_test_add_func("/integration/command-line/export-import", test_export_import);
    return g_test_run();
}
