/* test-plugins-server.c - what the server lends a plugin: options and their change, work, watches and
 * timers, statistics, the log, and a storage engine of its own. */
#include "plugins.h"

#include <glib/gstdio.h>

static void write_file(TestServer *server, const char *name, const char *format, ...) G_GNUC_PRINTF(3, 4);

static void
write_file(TestServer *server, const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *path = g_build_filename(test_server_get_folder(server), name, NULL);
    g_autoptr(GError) error = NULL;
    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
}

/* The server's file, with these lines in its own section and behind it. */
static void
configure(TestServer *server, const char *plugins, const char *own, const char *sections)
{
    write_file(
        server, "confserv.conf",
        "[confserv]\nport = %u\nmanagement-port = %u\nserver = dbserver\nplugins = %s\nplugin-path = %s\n%s\n"
        "[log]\nverbose = all\nall = stderr\n[dbserver]\ndbengine = sqlite\ndbname = confserv.db\n%s\n",
        test_server_get_port(server), test_server_get_management_port(server), plugins, TEST_PLUGIN_FOLDER,
        own, sections);
}

static void
assert_text(JsonObject *shown, const char *member, const char *wanted)
{
    const char *value =
        json_object_get_null_member(shown, member) ? NULL : json_object_get_string_member(shown, member);
    g_assert_cmpstr(value, ==, wanted);
}

static const char *
refused_option(TestClient *client)
{
    JsonArray *refused =
        json_object_get_array_member(test_call(client, "server.info", "{}"), "refusedOptions");
    return json_array_get_length(refused) > 0 ? json_array_get_string_element(refused, 0) : NULL;
}

static void
assert_defaults(JsonObject *shown)
{
    g_assert_false(json_object_get_boolean_member(shown, "flag"));
    g_assert_cmpint(json_object_get_int_member(shown, "number"), ==, 5);
    g_assert_cmpint(json_object_get_int_member(shown, "size"), ==, 1024);
    assert_text(shown, "choice", "green");
    assert_text(shown, "text", NULL);
    assert_text(shown, "secret", NULL);
    assert_text(shown, "fixed", "as it was");
    assert_text(shown, "own", "none");
    assert_text(shown, "elsewhere", "none");
    assert_text(shown, "family-1", NULL);
}

static const char ALL[] =
    "[t-options]\nflag = on\nnumber = 2 min\nsize = 3 MiB\nchoice = blue\ntext = a text\nsecret = hush\n"
    "fixed = anew\n[t-elsewhere]\nplace = there\n[t-family-1]\nlevel = 1\n[t-family-2]\nlevel = 2\n";

/* Every type, from the file; changed by SIGHUP and by server.reload; a bad value changes nothing. */
static void
test_options(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-options", NULL);
    g_autoptr(TestClient) client = test_manager_new(server);
    JsonObject *shown = test_call(client, "t-options.show", "{}");
    assert_defaults(shown);
    assert_text(shown, "plugin", "t-options");
    assert_text(shown, "application", "confserv");
    assert_text(shown, "role", "primary");
    assert_text(shown, "folder", ".");
    configure(server, "t-options", "t-own = mine", ALL);
    test_server_signal(server, SIGHUP);
    test_wait_statistic(client, "t-options.changes", 1);
    shown = test_call(client, "t-options.show", "{}");
    g_assert_true(json_object_get_boolean_member(shown, "flag"));
    g_assert_cmpint(json_object_get_int_member(shown, "number"), ==, 120);
    g_assert_cmpint(json_object_get_int_member(shown, "size"), ==, 3 * 1024 * 1024);
    static const char *const texts[][2] = {
        {"choice", "blue"},      {"text", "a text"},        {"secret", "hush"}, {"fixed", "as it was"},
        {"own", "mine"},         {"elsewhere", "there"},    {"family-1", "1"},  {"family-2", "2"},
        {"own-as-text", "mine"}, {"text-as-text", "a text"}};
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
        assert_text(shown, texts[i][0], texts[i][1]);
    /* A value, a value of a family, and two that do not go together; what else stands there is not taken either. */
    static const char *const wrong[] = {"[t-options]\nnumber = 601\nchoice = red\n",
                                        "[t-options]\nchoice = purple\n",
                                        "[t-options]\nflag = perhaps\n",
                                        "[t-family-7]\nlevel = 10\n[t-options]\nchoice = red\n",
                                        "[t-family-1]\nlevel = 9\n[t-options]\nchoice = red\n",
                                        "[t-options]\nflag = yes\nchoice = red\n"};
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        configure(server, "t-options", "t-own = other\nlogin-attempts = 9", wrong[i]);
        test_call(client, "server.reload", "{}");
        shown = test_call(client, "t-options.show", "{}");
        assert_text(shown, "choice", "blue");
        assert_text(shown, "own", "mine");
        assert_text(shown, "own-as-text", "mine");
        g_assert_cmpint(json_object_get_int_member(shown, "changes"), ==, 1);
        g_assert_nonnull(strstr(refused_option(client), "plugin t-options: "));
    }
    g_autofree char *log = test_server_read_log(server);
    g_assert_null(strstr(log, "hush"));
    g_assert_nonnull(strstr(log, "flag needs text"));
    g_assert_nonnull(strstr(log, "level 9 is not for others"));
    /* Mended: nothing is refused any more.  A reload is told of even where no option changed: files may have. */
    configure(server, "t-options", "t-own = last", "");
    for (unsigned i = 0; i < 2; i++)
        test_call(client, "server.reload", "{}");
    shown = test_call(client, "t-options.show", "{}");
    assert_text(shown, "own", "last");
    assert_text(shown, "choice", "green");
    g_assert_cmpint(json_object_get_int_member(shown, "changes"), ==, 3);
    g_assert_null(refused_option(client));
    /* A start with a bad value is none. */
    configure(server, "t-options", "", "[t-options]\nnumber = 0\n");
    test_server_signal(server, SIGTERM);
    test_server_spawn(server);
    g_assert_false(test_server_wait_ready(server));
    g_assert_cmpint(test_server_wait_exit(server), ==, 2);
}

/* The server's own application object stands over the file, and may change at any time. */
static void
test_options_of_application(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-options", "[t-options]\ntext = file\nchoice = red\n");
    g_autoptr(TestClient) client = test_client_new(server);
    static const char update[] = "{'type':'application','name':'confserv','patch':{'options':{%s}}}";
    test_call(client, "object.update", update,
              "'t-options':{'text':'application','number':'7'},'t-family-1':{'level':'3'}");
    JsonObject *shown = test_call(client, "t-options.show", "{}");
    assert_text(shown, "text", "application");
    assert_text(shown, "choice", "red");
    assert_text(shown, "family-1", "3");
    g_assert_cmpint(json_object_get_int_member(shown, "number"), ==, 7);
    /* Another change of the object is none of the plugin's. */
    test_call(client, "object.update", "{'type':'application','name':'confserv','patch':{'version':'1'}}");
    g_assert_cmpint(test_statistic(client, "t-options.changes"), ==, 1);
    /* For a bad value the old one stands; its neighbours are none of its business. */
    test_call(client, "object.update", update,
              "'t-options':{'text':'beside','number':'many'},'t-family-1':{'level':'x'}");
    shown = test_call(client, "t-options.show", "{}");
    assert_text(shown, "text", "beside");
    assert_text(shown, "text-as-text", "beside");
    assert_text(shown, "family-1", "3");
    g_assert_cmpint(json_object_get_int_member(shown, "number"), ==, 7);
    g_assert_nonnull(strstr(refused_option(client), "plugin t-options: t-family-1/level: \"x\""));
    test_call(client, "object.update", update, "'t-family-1':null");
    g_assert_nonnull(strstr(refused_option(client), "plugin t-options: t-options/number: \"many\""));
    test_call(client, "object.update", update, "'t-options':{'text':'right','number':null}");
    shown = test_call(client, "t-options.show", "{}");
    assert_text(shown, "text", "right");
    g_assert_cmpint(json_object_get_int_member(shown, "number"), ==, 5);
    g_assert_null(refused_option(client));
    /* They are there again after a start. */
    test_server_signal(server, SIGTERM);
    test_server_start(server);
    g_autoptr(TestClient) again = test_client_new(server);
    assert_text(test_call(again, "t-options.show", "{}"), "text", "right");
}

static void
test_on_proxy(void)
{
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autoptr(TestServer) proxy =
        test_proxy_with(master, "p1", "t-options", "t-own = mine\n[t-options]\ntext = file\n");
    g_autoptr(TestClient) admin = test_client_new(master);
    g_autoptr(TestClient) client = test_client_new(proxy);
    JsonObject *shown = test_call(client, "t-options.show", "{}");
    assert_text(shown, "role", "proxy");
    assert_text(shown, "application", "p1");
    assert_text(shown, "text", "file");
    assert_text(shown, "own", "mine");
    int64_t revision = json_object_get_int_member(
        test_call(admin, "object.update",
                  "{'type':'application','name':'p1','patch':{'options':{'t-options':{'text':'object'}}}}"),
        "revision");
    test_wait_revision(client, revision);
    assert_text(test_call(client, "t-options.show", "{}"), "text", "object");
}

static char *
first_event(TestClient *client, const char *method, const char *params)
{
    JsonArray *events = json_object_get_array_member(test_call(client, method, "%s", params), "events");
    g_assert_cmpuint(json_array_get_length(events), ==, 1);
    return g_strdup(json_array_get_string_element(events, 0));
}

static void
test_work(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-work", NULL);
    g_autoptr(TestClient) client = test_manager_new(server);
    const struct {
        const char *method, *params, *event;
    } cases[] = {
        {"t-work.work", "{\"count\":100,\"wait\":\"yes\"}", "a hundred jobs"},
        {"t-work.timer", "{}", "due"},
        {"t-work.watch", "{}", "word"},
        {"t-work.watch", "{}", "word"},
        {"t-work.watch", "{\"what\":\"close\"}", "end"},
        {"t-work.lost", "{}", "Bad file descriptor (closed under it)"},
        {"t-work.thread", "{}", "from a thread"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *event = first_event(client, cases[i].method, cases[i].params);
        g_assert_cmpstr(event, ==, cases[i].event);
    }
    g_assert_cmpint(test_statistic(client, "t-work.outside"), ==, 100);
    test_server_wait_log(server, "A line from a thread");
    g_autofree char *log = test_server_read_log(server);
    g_assert_nonnull(strstr(log, "two words"));
    /* The queue has an end; the server serves on meanwhile. */
    test_call(client, "t-work.work", "{\"count\":10200,\"ms\":0}");
    int64_t refused = test_statistic(client, "t-work.refused");
    g_assert_cmpint(refused, >, 0);
    g_assert_cmpint(refused, <=, 200);
    test_wait_statistic(client, "t-work.jobs", 100 + 10200 - refused);
}

/* What a plugin leaves under way: jobs end, watches and timers go, then it is unloaded. */
static void
test_leave(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-work", NULL);
    g_autoptr(TestClient) client = test_manager_new(server);
    test_call(client, "t-work.leave", "{}");
    test_server_signal(server, SIGTERM);
    g_autofree char *log = test_server_read_log(server);
    g_assert_nonnull(strstr(log, "Unloaded"));
    g_assert_nonnull(strstr(log, "jobs=8"));
    g_assert_null(strstr(log, "Work was taken in unload()"));
}

/* Another engine name is another plugin's: -init, the server, and what it counts. */
static void
test_storage(void)
{
    g_autoptr(TestServer) server = test_primary_prepare(NULL);
    static const char config[] =
        "[confserv]\nport = %u\nmanagement-port = %u\nserver = dbserver\nplugin-path = %s\n"
        "[log]\nverbose = all\nall = stderr\n[dbserver]\ndbengine = %s\ndbname = passed.db\n%s";
    uint16_t port = test_server_get_port(server), management = test_server_get_management_port(server);
    g_autofree char *output = NULL;
    write_file(server, "confserv.conf", config, port, management, TEST_PLUGIN_FOLDER, "nonsense", "");
    g_assert_cmpint(
        test_run_confserv(test_server_get_folder(server), "-init -admin-password-file password", &output), ==,
        2);
    g_assert_nonnull(strstr(output, "there are sqlite and postgre"));
    write_file(server, "confserv.conf", config, port, management, TEST_PLUGIN_FOLDER, "passing", "");
    g_assert_cmpint(
        test_run_confserv(test_server_get_folder(server), "-init -admin-password-file password", NULL), ==,
        0);
    test_server_start(server);
    g_autoptr(TestClient) client = test_client_new(server);
    for (unsigned i = 0; i < 10; i++)
        test_call(client, "object.create", "{'object':{'type':'host','name':'h%u'}}", i);
    g_assert_cmpint(test_statistic(client, "db-passing.commits"), ==, 10);
    g_assert_cmpint(test_statistic(client, "db-passing.opens"), ==, 1);
    g_assert_cmpint(test_statistic(client, "db-passing.leases"), ==, 1);
    test_server_signal(server, SIGKILL);
    /* Its options reach it; what it refuses ends the start. */
    write_file(server, "confserv.conf", config, port, management, TEST_PLUGIN_FOLDER, "passing",
               "passing = shut\n");
    test_server_spawn(server);
    g_assert_false(test_server_wait_ready(server));
    g_assert_cmpint(test_server_wait_exit(server), ==, 2);
    test_server_wait_log(server, "passing = shut");
    write_file(server, "confserv.conf", config, port, management, TEST_PLUGIN_FOLDER, "passing", "");
    test_server_start(server);
    g_autoptr(TestClient) again = test_client_new(server);
    g_assert_cmpint(json_object_get_int_member(test_call(again, "object.count", "{'type':'host'}"), "count"),
                    ==, 10);
}

/* Options of the command line that a plugin knows: instead of a server, and without loading it. */
static void
test_command(void)
{
    g_autofree char *options = test_plugin_options("t-command", "[t-command]\nword = chorus\n");
    g_autoptr(TestServer) server = test_primary_prepare(options);
    static const struct {
        const char *arguments;
        int status;
        const char *said;
    } runs[] = {
        {"-say hello", 0, "t-command says hello to all, chorus, in . (chorus)"},
        {"--say=hello -to them", 0, "t-command says hello to them, chorus"},
        {"-to them -say -", 0, "t-command says - to them"},
        {"-nod", 0, "t-command nods\n"},
        {"-nod now", 2, "Option '-nod' takes no value"},
        {"-say", 2, "Option '-say' needs a value"},
        {"-say hello -to", 2, "Option '-to' needs a value"},
        {"-nod -to them", 2, "Option '-to' does not go with -nod"},
        {"-say hello -shout", 2, "Option '-shout' does not go with -say"},
        {"-to them", 2, "Option '-to' is not known (see -help)"},
        {"-shout", 2, "Option '-shout' is not known (see -help)"},
        {"-say wrong", 2, "That is wrong"},
        {"-say failed", 1, "That failed"},
        {"-say hello -s nowhere", 2, "there is no section [nowhere]"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(runs); i++) {
        g_autofree char *output = NULL;
        int status = test_run_confserv(test_server_get_folder(server), runs[i].arguments, &output);
        if (status != runs[i].status || strstr(output, runs[i].said) == NULL)
            g_error("confserv %s: status %d, %s", runs[i].arguments, status, output);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/plugins/server/options", test_options);
    g_test_add_func("/integration/plugins/server/options-of-application", test_options_of_application);
    g_test_add_func("/integration/plugins/server/on-proxy", test_on_proxy);
    g_test_add_func("/integration/plugins/server/work", test_work);
    g_test_add_func("/integration/plugins/server/leave", test_leave);
    g_test_add_func("/integration/plugins/server/storage", test_storage);
    g_test_add_func("/integration/plugins/server/command", test_command);
    return g_test_run();
}
