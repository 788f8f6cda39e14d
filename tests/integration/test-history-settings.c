/* test-history-settings.c - the options of plugin history, one by one, as clients see what they do; and
 * the export of the audit. */
#include "history-sql.h"

#include <stdio.h>
#include <string.h>

#include <glib/gstdio.h>

#define INT G_GINT64_FORMAT
#define HISTORY "plugins = history\n"
#define DAY_MS "86400000"

static int64_t
revision_of(JsonObject *result)
{
    return json_object_get_int_member(result, "revision");
}

static int64_t
present(TestClient *client)
{
    return revision_of(test_call(client, "object.count", "{}"));
}

static void
create_hosts(TestClient *client, const char *prefix, unsigned count)
{
    int64_t last = 0;
    for (unsigned i = 0; i < count; i++)
        last = test_send(client, "object.create", "{'object':{'type':'host','name':'%s%u'}}", prefix, i);
    test_wait_response(client, last);
}

/* At run time, by the server's application object. */
static void
set_option(TestClient *client, const char *name, const char *value)
{
    test_call(client, "object.update",
              "{'type':'application','name':'confserv','patch':{'options':{'history-log':{'%s':%s}}}}", name,
              value);
}

static JsonObject *
first_entry(JsonObject *page)
{
    JsonArray *entries = json_object_get_array_member(page, "entries");
    g_assert_cmpuint(json_array_get_length(entries), >, 0);
    return json_array_get_object_element(entries, 0);
}

/* How many there are on all pages, none of which is longer than `most`; each page but the last is full. */
static unsigned
count_pages(TestClient *client, const char *method, const char *member, const char *params, unsigned most)
{
    unsigned count = 0;
    g_autofree char *cursor = g_strdup("");
    for (bool more = true; more;) {
        JsonObject *page = test_call(client, method, "{%s%s}", params, cursor);
        unsigned length = json_array_get_length(json_object_get_array_member(page, member));
        more = json_object_has_member(page, "cursor");
        g_assert_cmpuint(length, <=, most);
        if (more)
            g_assert_cmpuint(length, ==, most);
        count += length;
        g_free(cursor);
        cursor =
            more ? g_strdup_printf(",'cursor':'%s'", json_object_get_string_member(page, "cursor")) : NULL;
    }
    return count;
}

/* max-records is a length of pages: nothing is cut off. */
static void
test_max_records(void)
{
    g_autoptr(TestServer) server = test_primary_new(HISTORY "[history-log]\nmax-records = 10\n");
    g_autoptr(TestClient) client = test_client_new(server);
    create_hosts(client, "h", 57);
    for (unsigned i = 0; i < 12; i++) {
        g_autoptr(TestClient) refused = test_client_connect(test_server_get_port(server));
        test_call_error(refused, -32001, "session.open",
                        "{'user':'n%u','password':'x','application':'confctl'}", i);
    }
    g_assert_cmpuint(count_pages(client, "history.list", "entries", "'type':'host','limit':1000", 10), ==,
                     57);
    g_assert_cmpuint(count_pages(client, "history.list", "entries", "'type':'host'", 10), ==, 57);
    g_assert_cmpuint(count_pages(client, "history.list", "entries", "'type':'host','limit':7", 7), ==, 57);
    g_assert_cmpuint(count_pages(client, "history.sessions", "sessions", "'limit':10000", 10), ==, 13);
    set_option(client, "max-records", "'19'");
    g_assert_cmpuint(count_pages(client, "history.list", "entries", "'type':'host','limit':1000", 19), ==,
                     57);
    g_assert_cmpuint(count_pages(client, "history.sessions", "sessions", "'limit':10000", 19), ==, 13);
    /* Out of range: the former value stays. */
    set_option(client, "max-records", "'1001'");
    g_assert_cmpuint(count_pages(client, "history.list", "entries", "'type':'host','limit':1000", 19), ==,
                     57);
}

/* Without former values the answers do not show them; the file has them all the same. */
static void
test_former_value(void)
{
    g_autoptr(TestServer) server = test_primary_new(HISTORY "[history-log]\nwrite-former-value = false\n");
    g_autoptr(TestClient) client = test_client_new(server);
    create_hosts(client, "h", 1);
    int64_t made = present(client);
    test_call(client, "object.update", "{'type':'host','name':'h0','patch':{'address':'new'}}");
    JsonObject *entry = first_entry(test_call(client, "history.list", "{'type':'host'}"));
    g_assert_false(json_object_has_member(entry, "before"));
    g_assert_cmpstr(json_object_get_string_member(json_object_get_object_member(entry, "after"), "address"),
                    ==, "new");
    JsonObject *then = test_call(client, "object.read", "{'type':'host','name':'h0','asOf':%" INT "}", made);
    g_assert_false(json_object_has_member(json_object_get_object_member(then, "object"), "address"));
    test_call(client, "history.revert", "{'revision':%" INT "}", made + 1);
    set_option(client, "write-former-value", "'true'");
    entry = first_entry(test_call(client, "history.list", "{'type':'host'}"));
    g_assert_cmpstr(json_object_get_string_member(json_object_get_object_member(entry, "before"), "address"),
                    ==, "new");
    g_assert_true(json_object_get_boolean_member(test_call(client, "history.verify", "{}"), "ok"));
}

/* While it is off nothing is recorded, neither changes nor log-ins; methods answer what there is. */
static void
test_active(void)
{
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autoptr(TestClient) client = test_client_new(server);
    create_hosts(client, "a", 3);
    set_option(client, "active", "'false'");
    create_hosts(client, "b", 3);
    test_client_free(test_client_new_as(server, "default", TEST_PASSWORD, "confctl"));
    g_assert_cmpuint(count_pages(client, "history.list", "entries", "'type':'host'", 1000), ==, 3);
    g_assert_cmpuint(count_pages(client, "history.sessions", "sessions", "'user':'default'", 1000), ==, 1);
    set_option(client, "active", "null");
    create_hosts(client, "c", 3);
    test_client_free(test_client_new_as(server, "default", TEST_PASSWORD, "confctl"));
    g_assert_cmpuint(count_pages(client, "history.list", "entries", "'type':'host'", 1000), ==, 6);
    g_assert_cmpuint(count_pages(client, "history.sessions", "sessions", "'user':'default'", 1000), ==, 2);
    g_assert_true(json_object_get_boolean_member(test_call(client, "history.verify", "{}"), "ok"));
}

/* What is older than audit-expiration goes; sessions that nobody has saved again for client-expiration
 * too. */
static void
test_ages(void)
{
    g_autoptr(TestServer) server = test_primary_new(
        HISTORY "[history-log]\nexpiration = 5\naudit-expiration = 10\nclient-expiration = 3\n");
    TestClient *client = test_client_new(server);
    create_hosts(client, "h", 30);
    g_autofree char *environment = test_client_dup_environment(client);
    char *tokens[2];
    int64_t revision = present(client);
    for (unsigned i = 0; i < G_N_ELEMENTS(tokens); i++) {
        g_autoptr(TestClient) gone = test_client_new(server);
        tokens[i] = test_client_dup_token(gone);
        test_call(gone, "history.list", "{'limit':1}");
        test_client_abort(gone);
        /* The first of them was saved long ago; neither shows that to the other. */
        test_wait_statistic(client, "sessionsBroken", i + 1);
    }
    test_client_free(client);
    test_server_signal(server, SIGKILL);
    g_assert_cmpint(test_history_sql(server, "SELECT count(*) FROM session WHERE length(token) = 64"), >=, 2);
    int64_t audits = test_history_sql(server, "SELECT max(id) FROM audit WHERE kind = 'opened'");
    test_history_sql(server, "UPDATE entry SET time = time - 11 * " DAY_MS " WHERE revision <= 12");
    test_history_sql(server, "UPDATE audit SET time = time - 11 * " DAY_MS " WHERE id < %" INT, audits);
    g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, tokens[0], -1);
    g_assert_cmpint(test_history_sql(server, "SELECT count(*) FROM session WHERE token = '%s'", hash), ==, 1);
    test_history_sql(server, "UPDATE session SET time = time - iif(token = '%s', 4, 2) * " DAY_MS, hash);
    test_server_start(server);
    client = test_client_new(server);
    test_wait_statistic(client, "history.firstRevision", 12);
    for (unsigned i = 0; i < G_N_ELEMENTS(tokens); i++) {
        g_autoptr(TestClient) again = test_client_connect(test_server_get_port(server));
        if (i == 0)
            test_call_error(again, -32003, "session.resume",
                            "{'session':'%s','environment':'%s','revision':%" INT "}", tokens[i], environment,
                            revision);
        else
            test_call(again, "session.resume", "{'session':'%s','environment':'%s','revision':%" INT "}",
                      tokens[i], environment, revision);
        g_free(tokens[i]);
    }
    g_assert_cmpint(test_history_sql(server, "SELECT min(id) FROM audit"), ==, audits);
    test_call_error(client, -32011, "object.read", "{'type':'host','name':'h0','asOf':11}");
    g_assert_cmpuint(count_pages(client, "history.list", "entries", "'type':'host'", 1000), ==, 31 - 12);
    test_client_free(client);
}

/* What retention removed the file does not keep: it gets smaller while the server serves. */
static void
test_shrinks(void)
{
    g_autoptr(TestServer) server =
        test_primary_new(HISTORY "[history-log]\nmax-records = 5\naudit-max-records = 1000\n");
    g_autoptr(TestClient) client = test_client_new(server);
    g_autofree char *filling = g_strnfill(200000, 'x');
    for (unsigned i = 0; i < 100; i++)
        test_call(client, "object.create", "{'object':{'type':'host','name':'h%u','annex':{'a':{'k':'%s'}}}}",
                  i, filling);
    test_wait_statistic(client, "history.durableRevision", present(client));
    int64_t before = test_history_sql(server, "PRAGMA page_count");
    set_option(client, "audit-max-records", "'20'");
    g_autofree char *path = test_history_path(server);
    GStatBuf status = {0};
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    do {
        test_call(client, "object.read", "{'type':'host','name':'h99'}");
        g_usleep(20000);
        g_assert_cmpint(g_stat(path, &status), ==, 0);
    } while (status.st_size > before / 2 * 8192 && g_get_monotonic_time() < until);
    g_assert_cmpint(status.st_size, <=, before / 2 * 8192);
    g_assert_cmpint(test_statistic(client, "history.failures"), ==, 0);
    g_assert_true(json_object_get_boolean_member(test_call(client, "history.verify", "{}"), "ok"));
    g_assert_cmpint(test_statistic(client, "history.firstRevision"), >=, present(client) - 20);
}

/* Without waiting for the disk a killed server has lost nothing either. */
static void
test_failsafe(void)
{
    g_autoptr(TestServer) server =
        test_primary_new(HISTORY "[history-log]\nfailsafe-store-processing = false\n");
    {
        g_autoptr(TestClient) client = test_client_new(server);
        create_hosts(client, "h", 300);
        test_wait_statistic(client, "history.durableRevision", present(client));
        create_hosts(client, "i", 100);
    }
    test_server_signal(server, SIGKILL);
    test_server_start(server);
    g_autoptr(TestClient) client = test_client_new(server);
    JsonObject *verified = test_call(client, "history.verify", "{}");
    g_assert_true(json_object_get_boolean_member(verified, "ok"));
    g_assert_cmpint(json_object_get_int_member(verified, "entries"), ==, 400);
}

static char *
dump(TestServer *server, const char *arguments, int status)
{
    g_autofree char *all = g_strdup_printf("-dumpauditxml audit.xml %s", arguments), *output = NULL;
    g_autofree char *path = g_build_filename(test_server_get_folder(server), "audit.xml", NULL);
    int got = test_run_confserv(test_server_get_folder(server), all, &output);
    if (got != status)
        g_error("confserv %s: status %d, %s", all, got, output);
    if (status != 0)
        return g_steal_pointer(&output);
    /* Well-formed, says somebody else. */
    const char *const check[] = {"xmllint", "--noout", "--nonet", path, NULL};
    g_autofree char *complaint = NULL;
    int result = 0;
    g_autoptr(GError) error = NULL;
    g_assert_true(g_spawn_sync(NULL, (char **)check, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, &complaint,
                               &result, &error));
    g_assert_cmpstr(complaint, ==, "");
    g_assert_cmpint(result, ==, 0);
    char *text = NULL;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

/* The whole audit as XML, while the server runs and when it does not; whatever was written into it. */
static void
test_dump(void)
{
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    g_autofree char *nothing = dump(server, "-last 0", 2);
    g_assert_nonnull(strstr(nothing, "-last"));
    g_autoptr(TestClient) client = test_client_new(server);
    test_call(
        client, "object.create",
        "{'object':{'type':'host','name':'<h1> & \xc3\xa9 \\\"]]>','address':'<before>','annex':{'a':{'k':'\\u0007 \xef\xbf\xbe'}}}}");
    test_call(client, "object.update", "{'type':'host','dbid':101,'patch':{'address':'<!-- after'}}");
    test_call(client, "permission.update", "{'type':'host','dbid':101,'entries':[]}");
    g_autoptr(TestClient) refused = test_client_connect(test_server_get_port(server));
    test_call_error(refused, -32001, "session.open",
                    "{'user':'a\\u0001\\u001b<\\uffff','password':'hush','application':'confctl'}");
    test_call(client, "history.verify", "{}");
    g_autofree char *running = dump(server, "", 0);
    g_assert_nonnull(strstr(running, "name=\"&lt;h1&gt; &amp; \xc3\xa9 \\&quot;]]&gt;\""));
    g_assert_nonnull(strstr(
        running, "<before>&quot;&lt;before&gt;&quot;</before><after>&quot;&lt;!-- after&quot;</after>"));
    g_assert_nonnull(strstr(running, "<permissions><after>[]</after></permissions>"));
    g_assert_nonnull(strstr(running, "<session kind=\"refused\""));
    g_assert_nonnull(strstr(running, "<session kind=\"opened\""));
    g_assert_null(strstr(running, "hush"));
    g_assert_null(strstr(running, "passwordHash"));
    test_server_signal(server, SIGTERM);
    g_autofree char *stopped = dump(server, "-last 1", 0);
    g_assert_nonnull(strstr(stopped, "<!-- after") == NULL ? stopped : NULL);
    g_assert_nonnull(strstr(stopped, "<session kind=\"closed\""));
    g_autofree char *path = g_build_filename(test_server_get_folder(server), "confserv.history", NULL);
    g_autofree char *aside = g_strconcat(path, ".aside", NULL);
    g_assert_cmpint(rename(path, aside), ==, 0);
    g_autofree char *missing = dump(server, "", 1);
    g_assert_nonnull(strstr(missing, "There is no history"));
    g_assert_true(
        g_file_set_contents(path, "this is no database, but a text that is long enough for one", -1, NULL));
    g_free(dump(server, "", 2));
    g_assert_cmpint(rename(aside, path), ==, 0);
    test_server_start(server);
}

/* -last leaves out what is older, of changes as of log-ins. */
static void
test_dump_last(void)
{
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    {
        g_autoptr(TestClient) client = test_client_new(server);
        create_hosts(client, "h", 10);
        test_call(client, "history.list", "{'limit':1}");
    }
    test_server_signal(server, SIGKILL);
    test_history_sql(server, "UPDATE entry SET time = time - 3 * " DAY_MS " WHERE revision <= 6");
    test_history_sql(server, "UPDATE audit SET time = time - 3 * " DAY_MS " WHERE kind = 'opened'");
    g_autofree char *all = dump(server, "", 0), *five = dump(server, "-last 5", 0),
                    *two = dump(server, "-last 2", 0);
    for (unsigned i = 0; i < 10; i++) {
        g_autofree char *name = g_strdup_printf("name=\"h%u\"", i);
        g_assert_nonnull(strstr(all, name));
        g_assert_nonnull(strstr(five, name));
        g_assert_true((strstr(two, name) != NULL) == (i >= 5));
    }
    g_assert_nonnull(strstr(five, "<session kind=\"opened\""));
    g_assert_null(strstr(two, "<session kind=\"opened\""));
    g_assert_nonnull(strstr(two, "<session kind=\"read\""));
    test_server_start(server);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/history-settings/max-records", test_max_records);
    g_test_add_func("/integration/history-settings/former-value", test_former_value);
    g_test_add_func("/integration/history-settings/active", test_active);
    g_test_add_func("/integration/history-settings/ages", test_ages);
    g_test_add_func("/integration/history-settings/shrinks", test_shrinks);
    g_test_add_func("/integration/history-settings/failsafe", test_failsafe);
    g_test_add_func("/integration/history-settings/dump", test_dump);
    g_test_add_func("/integration/history-settings/dump-last", test_dump_last);
    return g_test_run();
}
