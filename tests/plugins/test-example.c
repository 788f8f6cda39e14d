/* test-example.c - plugin example in a real server: the audit file, its disk, its formats, its method. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fixture.h"

static char *
audit_path(TestServer *server)
{
    return g_build_filename(test_server_get_folder(server), "example-audit.log", NULL);
}

/* The plugin writes when a worker comes to it; the server is asked in between, so this is no idle loop. */
static char *
wait_for_line(TestServer *server, TestClient *client, const char *part)
{
    g_autofree char *path = audit_path(server);
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    for (;;) {
        char *text = NULL;
        if (g_file_get_contents(path, &text, NULL, NULL) && strstr(text, part) != NULL)
            return text;
        if (g_get_monotonic_time() > until)
            g_error("\"%s\" is not in the audit: %s", part, text != NULL ? text : "(no file)");
        g_free(text);
        test_sync(client);
    }
}

static unsigned
count_lines(const char *text)
{
    unsigned count = 0;
    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

static int64_t
create_host(TestClient *client, const char *name)
{
    JsonObject *created = test_call(client, "object.create", "{'object':{'type':'host','name':'%s'}}", name);
    return json_object_get_int_member(created, "dbid");
}

static void
test_text(void)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = example");
    g_autoptr(TestClient) client = test_client_new(server);
    int64_t dbid = create_host(client, "srv 1");
    test_call(client, "object.delete", "{'type':'host','dbid':%" G_GINT64_FORMAT "}", dbid);
    g_autofree char *text = wait_for_line(server, client, ": delete host ");
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 3);
    g_autofree char *created = g_strdup_printf(": create host %" G_GINT64_FORMAT " \"srv 1\"", dbid);
    g_assert_nonnull(strstr(lines[0], " 2 \"default\" \"confctl\" 127.0.0.1"));
    g_assert_true(g_str_has_suffix(lines[0], created));
    g_assert_true(g_str_has_suffix(lines[1], " \"srv 1\""));
    g_assert_cmpint(test_statistic(client, "example.entries"), ==, 2);
    g_assert_cmpint(test_statistic(client, "example.lost"), ==, 0);

    g_autofree char *path = audit_path(server);
    struct stat status;
    g_assert_cmpint(stat(path, &status), ==, 0);
    g_assert_cmpint(status.st_mode & 07, ==, 0);
}

/* What was answered before the server was stopped is in the file after it. */
static void
test_complete_after_stop(void)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = example");
    g_autoptr(TestClient) client = test_client_new(server);
    for (unsigned i = 0; i < 200; i++) {
        g_autofree char *name = g_strdup_printf("srv%u", i);
        create_host(client, name);
    }
    test_server_signal(server, SIGTERM);
    g_autofree char *path = audit_path(server);
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpuint(count_lines(text), ==, 200);
    test_server_start(server);
}

static void
test_json_after_reload(void)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = example\n[example]\nformat = text");
    g_autoptr(TestClient) client = test_client_new(server);
    create_host(client, "before");
    g_free(wait_for_line(server, client, "before"));

    g_autofree char *path = g_build_filename(test_server_get_folder(server), "confserv.conf", NULL);
    g_autofree char *config = NULL;
    g_assert_true(g_file_get_contents(path, &config, NULL, NULL));
    char *format = strstr(config, "format = text");
    g_assert_nonnull(format);
    memcpy(format, "format = json", strlen("format = json"));
    g_assert_true(g_file_set_contents(path, config, -1, NULL));
    test_server_signal(server, SIGHUP);
    /* The signal comes when it comes: commits until one is noted in the new form. */
    g_autofree char *text = NULL;
    for (unsigned i = 0; i < 1000 && (text == NULL || strstr(text, "\n{") == NULL); i++) {
        g_autofree char *name = g_strdup_printf("after%u", i);
        create_host(client, name);
        g_free(text);
        text = wait_for_line(server, client, name);
    }
    const char *line = strstr(text, "\n{");
    g_assert_nonnull(line);
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autofree char *json = g_strndup(line + 1, strcspn(line + 1, "\n"));
    g_autoptr(GError) error = NULL;
    json_parser_load_from_data(parser, json, -1, &error);
    g_assert_no_error(error);
    JsonObject *entry = json_node_get_object(json_parser_get_root(parser));
    g_assert_cmpstr(json_object_get_string_member(entry, "user"), ==, "default");
    JsonArray *changes = json_object_get_array_member(entry, "changes");
    g_assert_cmpuint(json_array_get_length(changes), ==, 1);
    JsonObject *change = json_array_get_object_element(changes, 0);
    g_assert_cmpstr(json_object_get_string_member(change, "op"), ==, "create");
    g_assert_cmpstr(json_object_get_string_member(change, "type"), ==, "host");
}

/* The file cannot be written: commits go on, nothing is lost, and the audit catches up. */
static void
test_disk_away(void)
{
    g_autoptr(TestServer) server = test_primary_prepare("plugins = example");
    g_autofree char *path = audit_path(server);
    /* A folder where the file should be: as good as a disk that refuses. */
    g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
    test_server_start(server);
    g_autoptr(TestClient) client = test_client_new(server);
    create_host(client, "one");
    create_host(client, "two");
    test_wait_statistic(client, "example.failures", 1);
    create_host(client, "three");
    g_assert_cmpint(g_rmdir(path), ==, 0);
    g_autofree char *text = wait_for_line(server, client, "three");
    g_assert_cmpuint(count_lines(text), ==, 3);
    const char *one = strstr(text, "\"one\""), *two = strstr(text, "\"two\""),
               *three = strstr(text, "\"three\"");
    g_assert_true(one != NULL && one < two && two < three);
    g_assert_cmpint(test_statistic(client, "example.lost"), ==, 0);
}

static void
test_summary(void)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = example");
    g_autoptr(TestClient) client = test_client_new(server);
    int64_t dbid = create_host(client, "srv1");
    JsonObject *summary =
        test_call(client, "example.summary", "{'type':'host','dbid':%" G_GINT64_FORMAT "}", dbid);
    g_assert_cmpstr(json_object_get_string_member(summary, "name"), ==, "srv1");
    g_assert_cmpint(json_object_get_int_member(summary, "audited"), ==, 1);
    g_assert_false(json_object_has_member(summary, "noted"));

    summary = test_call(client, "example.summary",
                        "{'type':'host','dbid':%" G_GINT64_FORMAT ",'note':'checked \\\\ twice'}", dbid);
    int64_t noted = json_object_get_int_member(summary, "noted");
    g_assert_cmpint(json_object_get_int_member(summary, "revision"), ==, noted);
    JsonObject *read = test_call(client, "object.read", "{'type':'host','dbid':%" G_GINT64_FORMAT "}", dbid);
    JsonObject *annex = json_object_get_object_member(json_object_get_object_member(read, "object"), "annex");
    JsonObject *section = json_object_get_object_member(annex, "example");
    g_assert_cmpstr(json_object_get_string_member(section, "note"), ==, "checked \\ twice");

    test_call_error(client, -32004, "example.summary", "{'type':'host','dbid':999999}");
    test_call_error(client, -32004, "example.summary", "{'type':'nothing','dbid':1,'note':'x'}");
    static const char *const WRONG[] = {"{}", "{'type':'host'}", "{'type':'host','dbid':'1'}",
                                        "{'type':'host','dbid':1,'note':2}",
                                        "{'type':'host','dbid':1,'more':2}"};
    for (unsigned i = 0; i < G_N_ELEMENTS(WRONG); i++) {
        JsonObject *error = test_call_error(client, -32602, "example.summary", "%s", WRONG[i]);
        g_assert_true(json_object_has_member(json_object_get_object_member(error, "data"), "path"));
    }
}

/* The plugin's method gives nobody more than his rights. */
static void
test_summary_rights(void)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = example");
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t host = create_host(admin, "srv1");
    JsonObject *created = test_call(admin, "object.create", "{'object':{'type':'person','name':'anna'}}");
    int64_t person = json_object_get_int_member(created, "dbid");
    test_call(admin, "account.setPassword", "{'dbid':%" G_GINT64_FORMAT ",'password':'pw'}", person);
    test_call(
        admin, "permission.update",
        "{'type':'application','name':'confctl','grant':[{'account':{'type':'person','dbid':%" G_GINT64_FORMAT
        "},'rights':['read','execute']}]}",
        person);
    g_autoptr(TestClient) anna = test_client_new_as(server, "anna", "pw", "confctl");
    test_call_error(anna, -32004, "example.summary", "{'type':'host','dbid':%" G_GINT64_FORMAT "}", host);
    test_call_error(anna, -32004, "example.summary", "{'type':'host','dbid':%" G_GINT64_FORMAT ",'note':'x'}",
                    host);
    test_call(admin, "permission.update",
              "{'type':'host','dbid':%" G_GINT64_FORMAT
              ",'grant':[{'account':{'type':'person','dbid':%" G_GINT64_FORMAT "},'rights':['read']}]}",
              host, person);
    test_call(anna, "example.summary", "{'type':'host','dbid':%" G_GINT64_FORMAT "}", host);
    test_call_error(anna, -32005, "example.summary", "{'type':'host','dbid':%" G_GINT64_FORMAT ",'note':'x'}",
                    host);
    g_autoptr(TestClient) nobody = test_client_connect(test_server_get_port(server));
    test_call_error(nobody, -32000, "example.summary", "{'type':'host','dbid':%" G_GINT64_FORMAT "}", host);
}

static void
test_bad_options(void)
{
    static const char *const OPTIONS[] = {"format = xml", "queue = 1", "file = somewhere/"};
    for (unsigned i = 0; i < G_N_ELEMENTS(OPTIONS); i++) {
        g_autofree char *folder = test_make_folder();
        g_autofree char *path = g_build_filename(folder, "confserv.conf", NULL);
        g_autofree char *config = g_strdup_printf(
            "[confserv]\nport = 1\nserver = db\nplugins = example\n[example]\n%s\n[db]\ndbengine = sqlite\n",
            OPTIONS[i]);
        g_assert_true(g_file_set_contents(path, config, -1, NULL));
        g_autofree char *output = NULL;
        g_assert_cmpint(test_run_confserv(folder, "-check-config", &output), ==, 2);
        g_assert_nonnull(strstr(output, "plugin example: "));
        test_remove_folder(folder);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/plugins/example/text", test_text);
    g_test_add_func("/plugins/example/complete-after-stop", test_complete_after_stop);
    g_test_add_func("/plugins/example/json-after-reload", test_json_after_reload);
    g_test_add_func("/plugins/example/disk-away", test_disk_away);
    g_test_add_func("/plugins/example/summary", test_summary);
    g_test_add_func("/plugins/example/summary-rights", test_summary_rights);
    g_test_add_func("/plugins/example/bad-options", test_bad_options);
    return g_test_run();
}
