/* test-faults.c - promises P1 and P4 under real faults: kill -9 in a stream of writes, a second start
 * beside a live and beside a frozen primary, a full disk, a database that somebody else has locked, a
 * restored database. */
#include "fixture.h"

#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static int64_t
revision_of(JsonObject *result)
{
    return json_object_get_int_member(result, "revision");
}

/* Whatever was answered is there after the kill; nothing is there half; revisions go on without a gap. */
static void
test_kill_in_writes(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    unsigned answered = 0;
    int64_t last = 0;
    for (unsigned round = 0; round < 5; round++) {
        g_autoptr(TestClient) client = test_client_new(server);
        for (unsigned i = 0; i < 40; i++)
            test_send(client, "transaction",
                      "{'operations':[{'op':'create','object':{'type':'host','name':'a%u-%u'}},"
                      "{'op':'create','object':{'type':'host','name':'b%u-%u'}}]}",
                      round, i, round, i);
        for (unsigned i = 0; i < 10 + round; i++) {
            JsonObject *response = test_wait_response(client, 2 + (int64_t)i);
            last = revision_of(json_object_get_object_member(response, "result"));
            answered++;
        }
        test_server_signal(server, SIGKILL);
        test_server_start(server);
        g_autoptr(TestClient) reader = test_client_new(server);
        for (unsigned i = 0; i < 10 + round; i++)
            test_call(reader, "object.read", "{'type':'host','name':'a%u-%u'}", round, i);
        int64_t a = json_object_get_int_member(
            test_call(reader, "object.count", "{'type':'host','filter':{'name':{'like':'a*'}}}"), "count");
        int64_t b = json_object_get_int_member(
            test_call(reader, "object.count", "{'type':'host','filter':{'name':{'like':'b*'}}}"), "count");
        g_assert_cmpint(a, ==, b);
        int64_t revision = revision_of(test_call(reader, "object.count", "{'type':'host'}"));
        g_assert_cmpint(revision, >=, last);
        g_assert_cmpint(revision, ==, 1 + a);
    }
    g_assert_cmpuint(answered, ==, 60);
}

static void
test_second_start(void)
{
    g_autoptr(TestServer) server = test_primary_new("lease-time = 2");
    g_autoptr(TestServer) second = test_primary_beside(server);
    test_server_spawn(second);
    g_assert_false(test_server_wait_ready(second));
    g_assert_cmpint(test_server_wait_exit(second), ==, 1);
    g_autofree char *log = test_server_read_log(second);
    g_autofree char *holder = g_strdup_printf("pid %d", (int)test_server_get_pid(server));
    g_assert_nonnull(strstr(log, holder));
    g_autoptr(TestClient) client = test_client_new(server);
    test_call(client, "object.create", "{'object':{'type':'host','name':'still'}}");
}

static void
test_frozen_primary(void)
{
    g_autoptr(TestServer) first = test_primary_new("lease-time = 2");
    g_autoptr(TestClient) old = test_client_new(first);
    int64_t before = revision_of(test_call(old, "object.create", "{'object':{'type':'host','name':'one'}}"));
    test_server_signal(first, SIGSTOP);
    g_autoptr(TestServer) second = test_primary_beside(first);
    uint16_t rescue = test_free_port();
    g_autofree char *arguments = g_strdup_printf("-rescue-port %u", rescue);
    test_server_set_arguments(second, arguments);
    test_server_spawn(second);
    test_server_wait_log(second, " 8001 ");
    g_autoptr(TestClient) fresh = test_client_connect(rescue);
    test_call(fresh, "session.open",
              "{'user':'default','password':'" TEST_PASSWORD "','application':'confctl'}");
    int64_t after = revision_of(test_call(fresh, "object.create", "{'object':{'type':'host','name':'two'}}"));
    g_assert_cmpint(after, ==, before + 1);
    /* It wakes up with a write in its socket: that one must not happen, and its clients must go. */
    int64_t id = test_send(old, "object.create", "{'object':{'type':'host','name':'never'}}");
    test_server_signal(first, SIGCONT);
    JsonObject *response = test_wait_response(old, id);
    g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(response, "error"), "code"), ==,
                    -32014);
    g_assert_cmpstr(json_object_get_string_member(test_wait_notification(old, "session.ending"), "reason"),
                    ==, "role");
    g_assert_cmpint(test_server_wait_exit(first), ==, 1);
    g_assert_cmpint(json_object_get_int_member(test_call(fresh, "object.count", "{'type':'host'}"), "count"),
                    ==, 2);
    /* The port that the first held is opened as soon as it is free. */
    test_server_wait_ready(second);
    g_autoptr(TestClient) again = test_client_new(second);
    g_assert_cmpint(
        revision_of(test_call(again, "object.create", "{'object':{'type':'host','name':'three'}}")), ==,
        after + 1);
}

/* A read with maxAge after waking must not be answered from before the sleep. */
static void
test_frozen_read(void)
{
    g_autoptr(TestServer) first = test_primary_new("lease-time = 2");
    g_autoptr(TestClient) old = test_client_new(first);
    test_server_signal(first, SIGSTOP);
    g_autoptr(TestServer) second = test_primary_beside(first);
    g_autofree char *arguments = g_strdup_printf("-rescue-port %u", test_free_port());
    test_server_set_arguments(second, arguments);
    test_server_spawn(second);
    test_server_wait_log(second, " 8001 ");
    int64_t id = test_send(old, "object.count", "{'type':'host','maxAge':1}");
    test_server_signal(first, SIGCONT);
    JsonObject *response = test_wait_response(old, id);
    g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(response, "error"), "code"), ==,
                    -32013);
    g_assert_cmpint(test_server_wait_exit(first), ==, 1);
}

/* Writes are refused as not having happened, reads go on, and room alone heals it. */
static void
test_disk_full(void)
{
    if (geteuid() != 0) {
        g_test_skip("mounting a small file system needs root");
        return;
    }
    g_autoptr(TestServer) server = test_primary_prepare("data-folder = data");
    const char *folder = test_server_get_folder(server);
    g_autofree char *small = g_build_filename(folder, "small", NULL);
    g_assert_cmpint(g_mkdir_with_parents(small, 0700), ==, 0);
    if (mount("tmpfs", small, "tmpfs", 0, "size=4m") != 0) {
        g_test_skip("a tmpfs cannot be mounted here");
        return;
    }
    g_autofree char *conf = g_build_filename(folder, "confserv.conf", NULL);
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(conf, &text, NULL, NULL));
    g_auto(GStrv) parts = g_strsplit(text, "dbname = confserv.db", 2);
    g_autofree char *moved =
        g_strconcat(parts[0], "dbname = small/confserv.db\nreconnect-timeout = 1", parts[1], NULL);
    g_assert_true(g_file_set_contents(conf, moved, -1, NULL));
    g_assert_cmpint(test_run_confserv(folder, "-init -admin-password-file password", NULL), ==, 0);
    test_server_start(server);
    g_autoptr(TestClient) client = test_client_new(server);
    g_autofree char *filler = g_strnfill(200000, 'x');
    int64_t revision = 1, refused = 0;
    for (unsigned i = 0; i < 60 && refused == 0; i++) {
        int64_t id =
            test_send(client, "object.create",
                      "{'object':{'type':'host','name':'big%u','annex':{'a':{'k':'%s'}}}}", i, filler);
        JsonObject *response = test_wait_response(client, id);
        if (json_object_has_member(response, "error")) {
            JsonObject *error = json_object_get_object_member(response, "error");
            g_assert_cmpint(json_object_get_int_member(error, "code"), ==, -32013);
            refused = i;
        } else {
            revision = revision_of(json_object_get_object_member(response, "result"));
        }
    }
    g_assert_cmpint(refused, >, 0);
    g_assert_cmpint(json_object_get_int_member(test_call(client, "object.count", "{'type':'host'}"), "count"),
                    ==, refused);
    g_assert_cmpint(mount("tmpfs", small, "tmpfs", MS_REMOUNT, "size=64m"), ==, 0);
    int64_t deadline = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    for (;;) {
        int64_t id = test_send(client, "object.create",
                               "{'object':{'type':'host','name':'after','annex':{'a':{'k':'%s'}}}}", filler);
        JsonObject *response = test_wait_response(client, id);
        if (json_object_has_member(response, "result")) {
            g_assert_cmpint(revision_of(json_object_get_object_member(response, "result")), ==, revision + 1);
            break;
        }
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(50000);
    }
    test_server_signal(server, SIGTERM);
    test_server_start(server);
    g_autoptr(TestClient) reader = test_client_new(server);
    g_assert_cmpint(json_object_get_int_member(test_call(reader, "object.count", "{'type':'host'}"), "count"),
                    ==, refused + 1);
    test_server_signal(server, SIGTERM);
    umount2(small, MNT_DETACH);
}

/* A database behind what the server has seen is served read-only until somebody says that this is meant. */
static void
test_restored_database(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    const char *folder = test_server_get_folder(server);
    g_autofree char *shell = g_strdup_printf("cd '%s' && cp confserv.db saved.db", folder);
    g_autofree char *back = g_strdup_printf(
        "cd '%s' && rm -f confserv.db-wal confserv.db-shm && cp saved.db confserv.db", folder);
    test_server_signal(server, SIGTERM);
    g_assert_cmpint(system(shell), ==, 0);
    test_server_start(server);
    g_autoptr(TestClient) client = test_client_new(server);
    g_autofree char *environment = g_strdup(json_object_get_string_member(
        json_object_get_object_member(test_client_get_session(client), "server"), "environment"));
    test_call(client, "object.create", "{'object':{'type':'host','name':'lost'}}");
    test_server_signal(server, SIGTERM);
    g_assert_cmpint(system(back), ==, 0);
    test_server_start(server);
    g_autoptr(TestClient) second = test_client_new(server);
    test_call_error(second, -32007, "object.create", "{'object':{'type':'host','name':'x'}}");
    g_assert_true(json_object_get_boolean_member(test_call(second, "server.info", "{}"), "diverged"));
    test_server_signal(server, SIGTERM);
    test_server_set_arguments(server, "-accept-rollback");
    test_server_start(server);
    g_autoptr(TestClient) third = test_client_new(server);
    JsonObject *info = json_object_get_object_member(test_client_get_session(third), "server");
    g_assert_cmpstr(json_object_get_string_member(info, "environment"), !=, environment);
    test_call(third, "object.create", "{'object':{'type':'host','name':'x'}}");
}

/* Libraries below plugins (libldap) write with write(): a peer that is gone must not end the server. */
static void
test_broken_pipe(void)
{
    g_autoptr(TestServer) server = test_primary_new(NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    test_server_signal(server, SIGPIPE);
    test_call(client, "object.count", "{}");
    g_assert_true(test_server_is_running(server));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/faults/kill-in-writes", test_kill_in_writes);
    g_test_add_func("/integration/faults/second-start", test_second_start);
    g_test_add_func("/integration/faults/frozen-primary", test_frozen_primary);
    g_test_add_func("/integration/faults/frozen-read", test_frozen_read);
    g_test_add_func("/integration/faults/disk-full", test_disk_full);
    g_test_add_func("/integration/faults/restored-database", test_restored_database);
    g_test_add_func("/integration/faults/broken-pipe", test_broken_pipe);
    return g_test_run();
}
