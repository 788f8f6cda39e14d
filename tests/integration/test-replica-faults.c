/* test-replica-faults.c - what may befall a proxy and its masters: a process stands still within a
 * resumption, a master of several dies and comes back, the schema is another one at the return, the
 * proxy's disk is full. */
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "mirror.h"

#define INT G_GINT64_FORMAT

static int64_t
revision_of(JsonObject *result)
{
    return json_object_get_int_member(result, "revision");
}

static int64_t
create_host(TestClient *writer, const char *name)
{
    return revision_of(test_call(writer, "object.create", "{'object':{'type':'host','name':'%s'}}", name));
}

static void
assert_same_data(TestClient *at_master, TestClient *at_proxy)
{
    g_autofree char *digest =
        g_strdup(json_object_get_string_member(test_call(at_master, "server.info", "{}"), "digest"));
    g_assert_cmpstr(json_object_get_string_member(test_call(at_proxy, "server.info", "{}"), "digest"), ==,
                    digest);
}

/* Many changes are missed; while they come, now the proxy stands still, now the master. */
static void
test_frozen_resume(void)
{
    enum { WRITES = 400 };
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autoptr(TestServer) proxy = test_proxy_new(master, "px", NULL);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    Mirror *mirror = mirror_new();
    test_call(reader, "subscription.open", "{'initial':true}");
    mirror_follow(mirror, reader);
    test_server_signal(proxy, SIGSTOP);
    test_server_signal(master, SIGKILL); /* the link is gone, and a resumption due */
    test_server_start(master);
    g_autoptr(TestClient) writer = test_client_new(master);
    g_autofree char *filling = g_strnfill(20000, 'x');
    create_host(writer, "h");
    int64_t last = 0, ids[WRITES];
    for (int i = 0; i < WRITES; i++)
        ids[i] = test_send(writer, "object.update",
                           "{'type':'host','name':'h','patch':{'annex':{'a':{'k':'%d%s'}}}}", i, filling);
    for (int i = 0; i < WRITES; i++)
        last = revision_of(json_object_get_object_member(test_wait_response(writer, ids[i]), "result"));
    test_server_signal(proxy, SIGCONT);
    for (unsigned i = 0; i < 12; i++) {
        TestServer *frozen = i % 2 == 0 ? proxy : master;
        g_usleep(25000); /* somewhere within it */
        test_server_signal(frozen, SIGSTOP);
        g_usleep(50000);
        test_server_signal(frozen, SIGCONT);
    }
    test_wait_revision(reader, last);
    mirror_follow(mirror, reader);
    mirror_compare(mirror, reader, "after the freezing");
    mirror_compare(mirror, writer, "as the master has it");
    assert_same_data(writer, reader);
    g_assert_cmpint(test_statistic(reader, "masterSnapshots"), ==, 1);
    g_assert_cmpint(test_statistic(reader, "masterResumes"), >=, 1);
    mirror_free(mirror);
}

/* The list names the primary and a proxy of it.  Either dies and comes back while the other is there: no
 * load, nothing lost. */
static void
test_two_masters(void)
{
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autoptr(TestServer) middle = test_proxy_new(master, "middle", NULL);
    g_autofree char *hosts = g_strdup_printf("127.0.0.1:%u,127.0.0.1:%u", test_server_get_port(master),
                                             test_server_get_port(middle));
    g_autoptr(TestServer) proxy = test_proxy_prepare(master, hosts, "px", NULL);
    test_server_start(proxy);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    Mirror *mirror = mirror_new();
    test_call(reader, "subscription.open", "{'initial':true}");
    mirror_follow(mirror, reader);
    int64_t revision = 0;
    for (unsigned round = 0; round < 2; round++) {
        int64_t resumes = test_statistic(reader, "masterResumes");
        TestServer *dying = round == 0 ? master : middle;
        test_server_signal(dying, SIGKILL);
        test_wait_statistic(reader, "masterResumes", resumes + 1); /* at the other one */
        test_server_start(dying);
        g_autoptr(TestClient) writer = test_client_new(master);
        g_autofree char *name = g_strdup_printf("host%u", round);
        revision = create_host(writer, name);
        test_wait_revision(reader, revision);
        assert_same_data(writer, reader);
    }
    mirror_follow(mirror, reader);
    mirror_compare(mirror, reader, "after both deaths");
    g_assert_cmpint(mirror->revision, ==, revision);
    g_assert_cmpint(test_statistic(reader, "masterSnapshots"), ==, 1);
    mirror_free(mirror);
}

static void
put_file(const char *folder, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

/* A type and a field were added at the primary while the proxy was away: it reads the objects anew under
 * that schema, serves the old ones until then, and its clients go on in their sessions, told by one fold. */
static void
test_other_schema(void)
{
    g_autoptr(TestServer) master = test_primary_prepare(NULL);
    const char *folder = test_server_get_folder(master);
    g_autofree char *site = g_build_filename(folder, "site", NULL);
    g_autofree char *conf = g_build_filename(folder, "confserv.conf", NULL);
    g_autofree char *text = NULL;
    g_assert_cmpint(g_mkdir(site, 0700), ==, 0);
    g_assert_true(g_file_get_contents(conf, &text, NULL, NULL));
    g_autofree char *with_path =
        g_strconcat("[confserv]\nschema-path = site\n", strchr(text, '\n') + 1, NULL);
    put_file(folder, "confserv.conf", with_path);
    test_server_start(master);
    g_autoptr(TestServer) proxy = test_proxy_new(master, "px", NULL);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    TestClient *writer = test_client_new(master);
    test_wait_revision(reader, create_host(writer, "before"));
    Mirror *mirror = mirror_new();
    test_call(reader, "subscription.open", "{'initial':true}");
    mirror_follow(mirror, reader);
    test_client_free(writer);
    test_server_signal(proxy, SIGSTOP);
    test_server_signal(master, SIGTERM);
    put_file(
        site, "printer.json",
        "{\"type\":\"printer\",\"id\":1000,\"title\":\"Printer\",\"unique\":[[\"tenant\",\"name\"]],\"fields\":["
        "{\"name\":\"pages\",\"kind\":\"integer\",\"minimum\":0,\"help\":\"Pages a minute.\"}]}");
    put_file(
        site, "host-extra.json",
        "{\"extend\":\"host\",\"fields\":[{\"name\":\"rack\",\"kind\":\"string\",\"help\":\"Where it stands.\"}]}");
    test_server_start(master);
    writer = test_client_new(master);
    test_call(writer, "object.update", "{'type':'host','name':'before','patch':{'rack':'B12'}}");
    int64_t revision = revision_of(
        test_call(writer, "object.create", "{'object':{'type':'printer','name':'p','pages':30}}"));
    test_server_signal(proxy, SIGCONT);
    test_wait_revision(reader, revision);
    JsonObject *seen = test_call(reader, "object.read", "{'type':'printer','name':'p'}");
    g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(seen, "object"), "pages"), ==,
                    30);
    seen = test_call(reader, "object.list", "{'type':'host','filter':{'rack':'B12'}}");
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(seen, "objects")), ==, 1);
    mirror_follow(mirror, reader);
    mirror_compare(mirror, reader, "under the new schema");
    mirror_compare(mirror, writer, "as the master has it");
    assert_same_data(writer, reader);
    g_assert_cmpint(test_statistic(reader, "masterSnapshots"), ==, 2);
    /* And it follows from here. */
    revision =
        revision_of(test_call(writer, "object.update", "{'type':'printer','name':'p','patch':{'pages':31}}"));
    test_wait_revision(reader, revision);
    assert_same_data(writer, reader);
    test_client_free(writer);
    mirror_free(mirror);
}

/* No room in the proxy's own folder, where its history is: it serves and follows all the while, and its
 * history is without a gap once there is room. */
static void
test_disk_full(void)
{
    if (geteuid() != 0) {
        g_test_skip("mounting a small file system needs root");
        return;
    }
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autofree char *host = g_strdup_printf("127.0.0.1:%u", test_server_get_port(master));
    g_autoptr(TestServer) proxy =
        test_proxy_prepare(master, host, "px", "[csproxy]\nplugins = history\ndata-folder = small\n");
    g_autofree char *small = g_build_filename(test_server_get_folder(proxy), "small", NULL);
    g_assert_cmpint(g_mkdir(small, 0700), ==, 0);
    if (mount("tmpfs", small, "tmpfs", 0, "size=3m") != 0) {
        g_test_skip("a tmpfs cannot be mounted here");
        return;
    }
    test_server_start(proxy);
    {
        g_autoptr(TestClient) writer = test_client_new(master);
        g_autoptr(TestClient) reader = test_client_new(proxy);
        Mirror *mirror = mirror_new();
        test_call(reader, "subscription.open", "{'initial':true}");
        mirror_follow(mirror, reader);
        g_autofree char *filling = g_strnfill(500000, 'x');
        int64_t revision = 0;
        for (unsigned i = 0; i < 20; i++) {
            g_autofree char *name = g_strdup_printf("h%u", i);
            revision = revision_of(
                test_call(writer, "object.create",
                          "{'object':{'type':'host','name':'%s','annex':{'a':{'k':'%s'}}}}", name, filling));
        }
        test_wait_statistic(reader, "history.failing", 1);
        test_wait_revision(reader, revision);
        assert_same_data(writer, reader);
        /* Log-ins too, and a master that comes back. */
        g_autoptr(TestClient) other = test_client_new(proxy);
        g_clear_pointer(&writer, test_client_free);
        test_server_signal(master, SIGKILL);
        test_server_start(master);
        writer = test_client_new(master);
        revision = create_host(writer, "after");
        test_wait_revision(other, revision);
        mirror_follow(mirror, reader);
        mirror_compare(mirror, reader, "on a full disk");
        g_assert_cmpint(test_statistic(reader, "masterSnapshots"), ==, 1);
        g_assert_cmpint(test_statistic(reader, "history.durableRevision"), <, revision);
        g_assert_cmpint(mount("tmpfs", small, "tmpfs", MS_REMOUNT, "size=200m"), ==, 0);
        test_wait_statistic(reader, "history.durableRevision", revision);
        g_assert_cmpint(test_statistic(reader, "history.failing"), ==, 0);
        g_assert_true(json_object_get_boolean_member(test_call(reader, "history.verify", "{}"), "ok"));
        mirror_free(mirror);
    }
    test_server_signal(proxy, SIGTERM);
    umount2(small, MNT_DETACH);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/replica-faults/frozen-resume", test_frozen_resume);
    g_test_add_func("/integration/replica-faults/two-masters", test_two_masters);
    g_test_add_func("/integration/replica-faults/other-schema", test_other_schema);
    g_test_add_func("/integration/replica-faults/disk-full", test_disk_full);
    return g_test_run();
}
