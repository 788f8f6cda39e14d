/* test-history.c - what plugin history promises of its file: nothing is missing after any kill, what was changed from
 * outside is found, a full disk or a broken file costs neither the service nor the truth. */
#include "fixture.h"

#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <sqlite3.h>

static int64_t
revision_of(JsonObject *result)
{
    return json_object_get_int_member(result, "revision");
}

static char *
history_path(TestServer *server)
{
    return g_build_filename(test_server_get_folder(server), "confserv.history", NULL);
}

/* Runs SQL on the file behind the server's back; the first column of the first row, or -1. */
static int64_t
run_sql(TestServer *server, const char *sql)
{
    g_autofree char *path = history_path(server);
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    g_assert_cmpint(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), ==, SQLITE_OK);
    int code = sqlite3_step(statement);
    g_assert_true(code == SQLITE_ROW || code == SQLITE_DONE);
    int64_t value = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

static void
create_hosts(TestClient *client, const char *prefix, unsigned count)
{
    int64_t last = 0;
    for (unsigned i = 0; i < count; i++)
        last = test_send(client, "object.create", "{'object':{'type':'host','name':'%s%u'}}", prefix, i);
    test_wait_response(client, last);
}

static void
assert_whole(TestClient *client, int64_t entries)
{
    JsonObject *verified = test_call(client, "history.verify", "{}");
    g_assert_true(json_object_get_boolean_member(verified, "ok"));
    g_assert_cmpint(json_object_get_int_member(verified, "entries"), ==, entries);
}

static void
test_kept(void)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = history");
    g_autoptr(TestClient) client = test_client_new(server);
    create_hosts(client, "h", 50);
    int64_t revision = revision_of(test_call(client, "object.count", "{'type':'host'}"));
    /* Revision 1 is what -init made, of which there is no record. */
    assert_whole(client, revision - 1);
    test_wait_statistic(client, "history.durableRevision", revision);
    test_server_signal(server, SIGTERM);
    g_assert_cmpint(run_sql(server, "SELECT count(*) FROM entry"), ==, revision - 1);
    g_assert_cmpint(run_sql(server, "SELECT count(*) FROM entry WHERE linked = 0"), ==, 0);
    g_assert_cmpint(run_sql(server, "SELECT count(*) FROM audit WHERE kind = 'opened'"), ==, 1);
    test_server_start(server);
}

/* Whatever the moment: verified, and no revision missing. */
static void
test_kill(void)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = history");
    for (unsigned round = 0; round < 6; round++) {
        g_autoptr(TestClient) client = test_client_new(server);
        for (unsigned i = 0; i < 300; i++)
            test_send(client, "object.create", "{'object':{'type':'host','name':'k%u-%u'}}", round, i);
        g_usleep(1000 + 7000 * round);
        test_server_signal(server, SIGKILL);
        test_server_start(server);
        g_autoptr(TestClient) reader = test_client_new(server);
        int64_t revision = revision_of(test_call(reader, "object.count", "{'type':'host'}"));
        assert_whole(reader, revision - 1);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/history/kept", test_kept);
    g_test_add_func("/integration/history/kill", test_kill);
    return g_test_run();
}
