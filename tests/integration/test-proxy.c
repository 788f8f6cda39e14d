/* test-proxy.c - a proxy follows its master and goes on without it: nobody at it notices more than
 * server.status and refused writes; it never steps back; another lineage ends the sessions of the old one. */
#include "mirror.h"

#include <string.h>

#define INT G_GINT64_FORMAT

static int64_t
revision_of(JsonObject *result)
{
    return json_object_get_int_member(result, "revision");
}

static int64_t
create_host(TestClient *client, const char *name)
{
    return revision_of(test_call(client, "object.create", "{'object':{'type':'host','name':'%s'}}", name));
}

/* The status in which the master is as said; others are passed over. */
static void
wait_master(TestClient *client, const char *master, bool diverged)
{
    JsonObject *status;
    do
        status = test_wait_notification(client, "server.status");
    while (strcmp(json_object_get_string_member(status, "master"), master) != 0 ||
           json_object_get_boolean_member(status, "diverged") != diverged);
}

static void
test_master_killed(void)
{
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autoptr(TestServer) proxy = test_proxy_new(master, "px", NULL);
    TestClient *writer = test_client_new(master);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    Mirror *mirror = mirror_new();
    test_call(reader, "subscription.open", "{'initial':true}");
    mirror_follow(mirror, reader);
    JsonObject *error =
        test_call_error(reader, -32007, "object.create", "{'object':{'type':'host','name':'refused'}}");
    JsonObject *told = json_object_get_object_member(json_object_get_object_member(error, "data"), "master");
    g_assert_cmpint(json_object_get_int_member(told, "port"), ==, test_server_get_port(master));
    /* A person made at the master logs in here, and its rights hold here, without the master. */
    int64_t person = test_person_new(writer, "worker");
    int64_t revision = create_host(writer, "before");
    test_wait_revision(reader, revision);
    test_server_signal(master, SIGKILL);
    test_client_free(writer);
    wait_master(reader, "disconnected", false);
    g_autoptr(TestClient) worker = test_client_new_as(proxy, "worker", "pw", "confctl");
    g_assert_cmpint(json_object_get_int_member(test_call(worker, "object.count", "{}"), "count"), ==, 1);
    test_call_error(worker, -32004, "object.read", "{'type':'host','name':'before'}");
    test_call(reader, "object.read", "{'type':'host','name':'before'}");
    test_call_error(reader, -32013, "object.count", "{'maxAge':0}");
    test_call_error(reader, -32007, "object.create", "{'object':{'type':'host','name':'refused'}}");
    /* A session resumes at the proxy all the while. */
    g_autofree char *token =
        g_strdup(json_object_get_string_member(test_client_get_session(worker), "session"));
    JsonObject *server = json_object_get_object_member(test_client_get_session(worker), "server");
    g_autoptr(TestClient) again = test_client_connect(test_server_get_port(proxy));
    test_call(again, "session.resume", "{'session':'%s','environment':'%s','revision':%" INT "}", token,
              json_object_get_string_member(server, "environment"), revision);
    test_server_start(master);
    wait_master(reader, "connected", false);
    writer = test_client_new(master);
    revision = create_host(writer, "after");
    test_wait_revision(reader, revision);
    mirror_follow(mirror, reader);
    mirror_compare(mirror, reader, "after the restart");
    mirror_compare(mirror, writer, "as the master has it");
    g_assert_cmpuint(mirror->resets, ==, 0);
    g_assert_cmpint(test_statistic(reader, "masterSnapshots"), ==, 1); /* It resumed. */
    g_autofree char *digest =
        g_strdup(json_object_get_string_member(test_call(writer, "server.info", "{}"), "digest"));
    g_assert_cmpstr(json_object_get_string_member(test_call(reader, "server.info", "{}"), "digest"), ==,
                    digest);
    /* A password that is set at the master ends the session here. */
    test_call(writer, "account.setPassword", "{'dbid':%" INT ",'password':'pw2'}", person);
    g_assert_cmpstr(json_object_get_string_member(test_wait_notification(again, "session.ending"), "reason"),
                    ==, "account");
    test_client_free(writer);
    mirror_free(mirror);
}

/* Without a commit: copies a file of the stopped server's database. */
static void
copy_database(TestServer *server, const char *from, const char *to)
{
    g_autofree char *command = g_strdup_printf("cd %s && rm -f %s-wal %s-shm && cp %s %s",
                                               test_server_get_folder(server), to, to, from, to);
    const char *argv[] = {"sh", "-c", command, NULL};
    int status = -1;
    g_assert_true(
        g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status, NULL));
    g_assert_cmpint(status, ==, 0);
}

static void
test_database_restored(void)
{
    g_autoptr(TestServer) master = test_primary_new(NULL);
    TestClient *writer = test_client_new(master);
    test_call(writer, "object.create",
              "{'object':{'type':'application','name':'px','applicationType':'configurationServer'}}");
    int64_t kept = create_host(writer, "kept");
    test_client_free(writer);
    test_server_signal(master, SIGTERM);
    copy_database(master, "confserv.db", "old.db");
    test_server_start(master);
    g_autoptr(TestServer) proxy = test_proxy_new(master, "px", NULL);
    writer = test_client_new(master);
    int64_t newest = create_host(writer, "lost-by-the-copy");
    test_client_free(writer);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    test_wait_revision(reader, newest);
    test_server_signal(master, SIGTERM);
    copy_database(master, "old.db", "confserv.db");
    test_server_start(master);
    /* The master itself writes nothing, and the proxy does not step back to it. */
    writer = test_client_new(master);
    test_call_error(writer, -32007, "object.create", "{'object':{'type':'host','name':'forked'}}");
    test_client_free(writer);
    wait_master(reader, "disconnected", true);
    g_assert_cmpint(revision_of(test_call(reader, "object.count", "{}")), ==, newest);
    test_call(reader, "object.read", "{'type':'host','name':'lost-by-the-copy'}");
    /* Meant so: another environment.  The proxy takes it, and sessions of the old one end. */
    test_server_signal(master, SIGTERM);
    test_server_set_arguments(master, "-accept-rollback");
    test_server_start(master);
    test_server_set_arguments(master, NULL);
    g_assert_cmpstr(json_object_get_string_member(test_wait_notification(reader, "session.ending"), "reason"),
                    ==, "environment");
    test_client_wait_closed(reader);
    g_autoptr(TestClient) later = test_client_new(proxy);
    g_assert_cmpint(revision_of(test_call(later, "object.count", "{}")), ==, kept);
    test_call_error(later, -32004, "object.read", "{'type':'host','name':'lost-by-the-copy'}");
}

/* SIGHUP at a proxy that waits for its first data, with all the plugins that a file may name. */
static void
test_reload_before_data(void)
{
    g_autoptr(TestServer) primary = test_primary_new(NULL);
    g_autofree char *host = g_strdup_printf("127.0.0.1:%u", test_server_get_port(primary));
    g_autoptr(TestServer) proxy = test_proxy_prepare(
        primary, host, "p1",
        "[csproxy]\nplugins = tls, addp, history, auth-ldap, auth-radius\nprotocol = addp\n");
    test_server_signal(primary, SIGTERM);
    test_server_spawn(proxy);
    test_server_wait_log(proxy, " 7012 ");
    for (unsigned i = 0; i < 3; i++)
        test_server_signal(proxy, SIGHUP);
    test_server_wait_log(proxy, "Configuration is read anew");
    test_server_start(primary);
    g_assert_true(test_server_wait_ready(proxy));
    g_autoptr(TestClient) client = test_client_new(proxy);
    test_call(client, "object.count", "{'type':'host'}");
    test_server_signal(proxy, SIGHUP);
    test_sync(client);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/proxy/master-killed", test_master_killed);
    g_test_add_func("/integration/proxy/database-restored", test_database_restored);
    g_test_add_func("/integration/proxy/reload-before-data", test_reload_before_data);
    return g_test_run();
}
