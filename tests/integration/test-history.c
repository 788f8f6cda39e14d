/* test-history.c - what plugin history promises of its file: nothing is missing after any kill, what was
 * changed from outside is found, a full disk or a broken file costs neither the service nor the truth. */
#include "history-sql.h"

#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static int64_t
revision_of(JsonObject *result)
{
    return json_object_get_int_member(result, "revision");
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
    g_assert_cmpint(test_history_sql(server, "SELECT count(*) FROM entry"), ==, revision - 1);
    g_assert_cmpint(test_history_sql(server, "SELECT count(*) FROM entry WHERE linked = 0"), ==, 0);
    g_assert_cmpint(test_history_sql(server, "SELECT count(*) FROM audit WHERE kind = 'opened'"), ==, 1);
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

/* Edited, deleted, swapped and put in: each is found, and where. */
static void
test_tampered(void)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = history");
    g_autoptr(TestClient) client = test_client_new(server);
    create_hosts(client, "t", 20);
    assert_whole(client, 20);
    {
        g_autoptr(TestClient) other = test_client_new(server);
        test_call(other, "session.close", "{}");
        test_wait_statistic(client, "history.audits", 3);
    }
    const struct {
        const char *sql;
        int64_t broken, audit;
    } cases[] = {
        {"UPDATE entry SET record = replace(record, '\"t5\"', '\"T5\"') WHERE revision = 7", 7, 0},
        {"UPDATE entry SET user = 77 WHERE revision = 9", 9, 0},
        {"UPDATE entry SET time = time + 1 WHERE revision = 3", 3, 0},
        {"UPDATE entry SET linked = 0 WHERE revision = 4", 4, 0},
        {"UPDATE entry SET chain = 'ffffffffffffffff' WHERE revision = 4", 4, 0},
        {"UPDATE change SET name = 'another' WHERE revision = 8", 8, 0},
        {"UPDATE change SET dbid = dbid + 1 WHERE revision = 21", 21, 0},
        {"DELETE FROM change WHERE revision = 8", 8, 0},
        {"DELETE FROM entry WHERE revision = 10", 10, 0},
        {"DELETE FROM entry WHERE revision > 15", 16, 0},
        {"DELETE FROM entry WHERE revision < 4", 2, 0},
        {"UPDATE entry SET revision = 100 - revision WHERE revision = 12", 12, 0},
        {"UPDATE entry SET record = (SELECT record FROM entry e WHERE e.revision = 17 - entry.revision + 0) "
         "WHERE revision IN (8, 9)",
         8, 0},
        {"INSERT INTO entry SELECT 22, 0, time, user, application, address, chain, 0, record, digest FROM entry "
         "WHERE revision = 21",
         22, 0},
        {"UPDATE mark SET chain = 'ffffffffffffffff' WHERE name = 'entry-first'", 1, 0},
        {"UPDATE mark SET time = 1 WHERE name = 'entry-last'", 21, 0},
        {"UPDATE audit SET user_name = 'nobody' WHERE id = 1", 0, 1},
        {"DELETE FROM audit WHERE id = 2", 0, 2},
        {"UPDATE audit SET kind = 'opened' WHERE kind = 'closed'", 0, 3},
    };
    static const char *const tables[] = {"entry", "change", "mark", "audit"};
    for (unsigned t = 0; t < G_N_ELEMENTS(tables); t++) {
        g_autofree char *keep =
            g_strdup_printf("CREATE TABLE kept_%s AS SELECT * FROM %s", tables[t], tables[t]);
        test_history_sql(server, "%s", keep);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        test_history_sql(server, "%s", cases[i].sql);
        JsonObject *verified = test_call(client, "history.verify", "{}");
        g_test_message("%s", cases[i].sql);
        g_assert_false(json_object_get_boolean_member(verified, "ok"));
        int64_t broken = json_object_get_int_member_with_default(verified, "brokenAt", 0);
        int64_t audit = json_object_get_int_member_with_default(verified, "brokenAudit", 0);
        g_assert_cmpint(broken, ==, cases[i].broken);
        g_assert_cmpint(audit, ==, cases[i].audit);
        for (unsigned t = 0; t < G_N_ELEMENTS(tables); t++) {
            g_autofree char *empty = g_strdup_printf("DELETE FROM %s", tables[t]);
            g_autofree char *restore =
                g_strdup_printf("INSERT INTO %s SELECT * FROM kept_%s", tables[t], tables[t]);
            test_history_sql(server, "%s", empty);
            test_history_sql(server, "%s", restore);
        }
        g_assert_true(json_object_get_boolean_member(test_call(client, "history.verify", "{}"), "ok"));
    }
    /* A mark that leaves out what the database knows: the rows contradict each other, the file goes aside. */
    test_server_signal(server, SIGTERM);
    test_history_sql(server, "UPDATE mark SET position = 20 WHERE name = 'entry-last'");
    test_server_start(server);
    g_autoptr(TestClient) reader = test_client_new(server);
    test_wait_statistic(reader, "history.setAside", 1);
    test_wait_statistic(reader, "history.entries", 20);
    assert_whole(reader, 20);
}

/* Whatever bytes the file has: the server serves, and either the file is whole or it is told. */
static void
test_damaged(void)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = history");
    {
        g_autoptr(TestClient) client = test_client_new(server);
        create_hosts(client, "d", 200);
        assert_whole(client, 200);
    }
    test_server_signal(server, SIGTERM);
    g_autofree char *path = test_history_path(server);
    g_autofree char *kept = NULL;
    gsize size = 0;
    g_assert_true(g_file_get_contents(path, &kept, &size, NULL));
    g_autoptr(GRand) random = g_rand_new_with_seed(7);
    for (unsigned round = 0; round < 12; round++) {
        g_autofree char *bytes = g_memdup2(kept, size);
        gsize end = size;
        if (round == 0)
            memset(bytes, 'x', 100);
        else if (round == 1)
            end = size / 2;
        else if (round == 2)
            end = 0;
        for (unsigned i = 0; round > 2 && i < 1u << round; i++)
            bytes[g_rand_int_range(random, 100, (gint32)size)] = (char)g_rand_int(random);
        g_assert_true(g_file_set_contents(path, bytes, (gssize)end, NULL));
        test_server_start(server);
        g_autoptr(TestClient) client = test_client_new(server);
        create_hosts(client, "e", 1);
        int64_t id = test_send(client, "history.verify", "{}");
        JsonObject *response = test_wait_response(client, id);
        bool answered = json_object_has_member(response, "result");
        bool ok = answered &&
                  json_object_get_boolean_member(json_object_get_object_member(response, "result"), "ok");
        if (!answered)
            g_assert_cmpint(
                json_object_get_int_member(json_object_get_object_member(response, "error"), "code"), ==,
                -32011);
        g_test_message("round %u: %s", round, !answered ? "-32011" : ok ? "whole" : "broken");
        /* The next one continues in any case. */
        test_call(client, "object.update", "{'type':'host','name':'d0','patch':{'address':'r%u'}}", round);
        test_call(client, "object.delete", "{'type':'host','name':'e0'}");
        test_server_signal(server, SIGTERM);
        if (round < 3) {
            g_autofree char *log = test_server_read_log(server);
            g_assert_true(ok);
            g_assert_true(round == 2 || strstr(log, "was set aside") != NULL);
        }
    }
}

/* Removed, and an older copy put in its place, while commits and questions go on: another one takes its
 * place, which holds all that the database still has of the changes. */
static void
test_replaced(void)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = history");
    g_autofree char *path = test_history_path(server);
    g_autofree char *aside = g_strconcat(path, ".copy", NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    create_hosts(client, "c", 20);
    assert_whole(client, 20);
    g_autofree char *sql = g_strdup_printf("VACUUM INTO '%s'", aside);
    test_history_sql(server, "%s", sql);
    create_hosts(client, "d", 20);
    assert_whole(client, 40);
    int64_t entries = 40;
    for (unsigned round = 0; round < 4; round++) {
        g_autofree char *log = g_strconcat(path, "-wal", NULL), *shared = g_strconcat(path, "-shm", NULL);
        g_assert_cmpint(unlink(path), ==, 0);
        unlink(log);
        unlink(shared);
        if (round == 3)
            g_assert_cmpint(rename(aside, path), ==, 0);
        /* A question in between is the first to see that the file is another one. */
        for (unsigned i = 0; i < 40; i++) {
            test_send(client, "object.create", "{'object':{'type':'host','name':'r%u-%u'}}", round, i);
            test_call(client, "history.list", "{'limit':1}");
        }
        entries += 40;
        int64_t revision = revision_of(test_call(client, "object.count", "{'type':'host'}"));
        test_wait_statistic(client, "history.durableRevision", revision);
        assert_whole(client, entries);
        g_assert_cmpint(test_statistic(client, "history.gaps"), ==, 0);
    }
    g_autofree char *text = test_server_read_log(server);
    g_assert_nonnull(strstr(text, "removed or replaced while it was in use"));
}

/* The service goes on; what found no room comes in later, without a gap. */
static void
test_disk_full(void)
{
    if (geteuid() != 0) {
        g_test_skip("mounting a small file system needs root");
        return;
    }
    g_autoptr(TestServer) server = test_primary_prepare("plugins = history\ndata-folder = small");
    g_autofree char *small = g_build_filename(test_server_get_folder(server), "small", NULL);
    g_assert_cmpint(g_mkdir_with_parents(small, 0700), ==, 0);
    if (mount("tmpfs", small, "tmpfs", 0, "size=3m") != 0) {
        g_test_skip("a tmpfs cannot be mounted here");
        return;
    }
    test_server_start(server);
    g_autoptr(TestClient) client = test_client_new(server);
    create_hosts(client, "f", 10);
    g_autofree char *filler = g_strnfill(1000000, 'x');
    for (unsigned i = 0; i < 5; i++)
        test_call(client, "object.create", "{'object':{'type':'host','name':'g%u','annex':{'a':{'k':'%s'}}}}",
                  i, filler);
    test_wait_statistic(client, "history.failing", 1);
    /* Past the bound of the queue. */
    for (unsigned i = 5; i < 75; i++)
        test_call(client, "object.create", "{'object':{'type':'host','name':'g%u','annex':{'a':{'k':'%s'}}}}",
                  i, filler);
    g_assert_cmpint(test_statistic(client, "history.lostEntries"), ==, 1);
    g_assert_cmpint(test_statistic(client, "history.queueBytes"), <=, 64 * 1024 * 1024);
    g_autofree char *log = test_server_read_log(server);
    g_assert_nonnull(strstr(log, "The history cannot be written for now"));
    int64_t revision = revision_of(test_call(client, "object.count", "{'type':'host'}"));
    g_assert_cmpint(test_statistic(client, "history.durableRevision"), <, revision);
    g_assert_cmpint(mount("tmpfs", small, "tmpfs", MS_REMOUNT, "size=400m"), ==, 0);
    test_wait_statistic(client, "history.durableRevision", revision);
    g_assert_cmpint(test_statistic(client, "history.failing"), ==, 0);
    g_assert_cmpint(test_statistic(client, "history.gaps"), ==, 0);
    create_hosts(client, "h", 10);
    assert_whole(client, revision - 1 + 10);
    test_server_signal(server, SIGTERM);
    umount2(small, MNT_DETACH);
}

/* The oldest go, and what stays is verified from the mark on. */
static void
test_retention(void)
{
    g_autoptr(TestServer) server =
        test_primary_new("plugins = history\n[history-log]\nmax-records = 10\naudit-max-records = 100\n");
    {
        g_autoptr(TestClient) client = test_client_new(server);
        create_hosts(client, "r", 750);
        assert_whole(client, 750);
    }
    for (unsigned i = 0; i < 2; i++) {
        test_server_signal(server, i == 0 ? SIGKILL : SIGTERM);
        test_server_start(server);
        g_autoptr(TestClient) client = test_client_new(server);
        test_wait_statistic(client, "history.firstRevision", 651);
        assert_whole(client, 100);
    }
    test_server_signal(server, SIGTERM);
    g_assert_cmpint(test_history_sql(server, "SELECT min(revision) FROM entry"), ==, 652);
    g_assert_cmpint(test_history_sql(server, "SELECT count(*) FROM change"), ==, 100);
    /* What went cannot be slipped in again, nor the mark be moved. */
    test_history_sql(server, "UPDATE mark SET position = 650 WHERE name = 'entry-first'");
    test_server_start(server);
    g_autoptr(TestClient) client = test_client_new(server);
    g_assert_false(json_object_get_boolean_member(test_call(client, "history.verify", "{}"), "ok"));
}

static void
test_options(void)
{
    g_autoptr(TestServer) server = test_primary_prepare("plugins = history");
    const struct {
        const char *lines, *complaint;
    } cases[] = {
        {"expiration = 30\naudit-expiration = 30",
         "audit-expiration of section [history-log] must be more than expiration"},
        {"max-records = 500\naudit-max-records = 500",
         "audit-max-records of section [history-log] must be more than max-records"},
        {"expiration = 31", "expiration"},
        {"max-records = 1001", "max-records"},
        {"client-expiration = 0", "client-expiration"},
        {"active = perhaps", "active"},
    };
    g_autofree char *conf = g_build_filename(test_server_get_folder(server), "confserv.conf", NULL);
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(conf, &text, NULL, NULL));
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *changed = g_strdup_printf("%s\n[history-log]\n%s\n", text, cases[i].lines);
        g_autofree char *output = NULL;
        g_assert_true(g_file_set_contents(conf, changed, -1, NULL));
        g_assert_cmpint(test_run_confserv(test_server_get_folder(server), "-check-config", &output), ==, 2);
        g_assert_nonnull(strstr(output, cases[i].complaint));
    }
    /* Switched off for a while: a gap, and it is known as one. */
    g_assert_true(g_file_set_contents(conf, text, -1, NULL));
    test_server_start(server);
    g_autoptr(TestClient) client = test_client_new(server);
    create_hosts(client, "a", 5);
    assert_whole(client, 5);
    g_autofree char *off = g_strdup_printf("%s\n[history-log]\nactive = false\n", text);
    g_assert_true(g_file_set_contents(conf, off, -1, NULL));
    test_server_signal(server, SIGHUP);
    test_server_wait_log(server, " 8006 ");
    create_hosts(client, "b", 5);
    g_assert_true(g_file_set_contents(conf, text, -1, NULL));
    test_server_signal(server, SIGHUP);
    int64_t until = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    while (test_statistic(client, "history.gaps") == 0 && g_get_monotonic_time() < until) {
        int64_t id = test_send(client, "object.update",
                               "{'type':'host','name':'a0','patch':{'address':'%" G_GINT64_FORMAT "'}}",
                               g_get_monotonic_time());
        test_wait_response(client, id);
    }
    g_assert_cmpint(test_statistic(client, "history.gaps"), ==, 1);
    g_assert_true(json_object_get_boolean_member(test_call(client, "history.verify", "{}"), "ok"));
}

/* A restored copy, and one that is accepted: the old file is kept aside, a new one begins. */
static void
test_restored(void)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = history");
    const char *folder = test_server_get_folder(server);
    test_server_signal(server, SIGTERM);
    g_autofree char *save = g_strdup_printf("cd '%s' && cp confserv.db saved.db", folder);
    g_autofree char *back = g_strdup_printf(
        "cd '%s' && rm -f confserv.db-wal confserv.db-shm && cp saved.db confserv.db", folder);
    g_autofree char *aside =
        g_strdup_printf("ls '%s'/confserv.history.other-history-*Z >/dev/null 2>&1", folder);
    g_assert_cmpint(system(save), ==, 0);
    test_server_start(server);
    {
        g_autoptr(TestClient) client = test_client_new(server);
        create_hosts(client, "x", 20);
        assert_whole(client, 20);
    }
    test_server_signal(server, SIGTERM);
    g_assert_cmpint(system(back), ==, 0);
    test_server_start(server);
    {
        g_autoptr(TestClient) client = test_client_new(server);
        assert_whole(client, 20);
    }
    test_server_signal(server, SIGTERM);
    g_assert_cmpint(system(aside), !=, 0);
    test_server_set_arguments(server, "-accept-rollback");
    test_server_start(server);
    g_autoptr(TestClient) client = test_client_new(server);
    create_hosts(client, "y", 5);
    assert_whole(client, 5);
    g_assert_cmpint(system(aside), ==, 0);
    test_server_wait_log(server, "was set aside");
}

static void
test_folder(void)
{
    g_autoptr(TestServer) server = test_primary_prepare("plugins = history");
    g_autofree char *path = test_history_path(server);
    g_assert_cmpint(g_mkdir_with_parents(path, 0700), ==, 0);
    test_server_spawn(server);
    g_assert_cmpint(test_server_wait_exit(server), !=, 0);
    g_autofree char *log = test_server_read_log(server);
    g_assert_nonnull(strstr(log, "confserv.history"));
    g_assert_cmpint(rmdir(path), ==, 0);
    test_server_start(server);
}

/* A proxy has the same history, also of what happened while it was dead. */
static void
test_proxy(void)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = history");
    g_autoptr(TestServer) proxy = test_proxy_new(server, "proxy1", "[csproxy]\nplugins = history\n");
    g_autoptr(TestClient) client = test_client_new(server);
    int64_t first;
    {
        g_autoptr(TestClient) reader = test_client_new(proxy);
        first = revision_of(test_call(reader, "object.count", "{'type':'host'}"));
    }
    for (unsigned round = 0; round < 5; round++) {
        g_autofree char *prefix = g_strdup_printf("p%u-", round);
        for (unsigned i = 0; i < 200; i++)
            test_send(client, "object.create", "{'object':{'type':'host','name':'%s%u'}}", prefix, i);
        g_usleep(1000 + 9000 * round);
        test_server_signal(proxy, SIGKILL);
        test_sync(client);
        create_hosts(client, "q", 1);
        test_call(client, "object.delete", "{'type':'host','name':'q0'}");
        int64_t revision = revision_of(test_call(client, "object.count", "{'type':'host'}"));
        test_server_start(proxy);
        g_autoptr(TestClient) reader = test_client_new(proxy);
        test_wait_revision(reader, revision);
        JsonObject *verified = test_call(reader, "history.verify", "{}");
        g_assert_true(json_object_get_boolean_member(verified, "ok"));
        int64_t entries = json_object_get_int_member(verified, "entries");
        int64_t held =
            test_statistic(reader, "history.lastRevision") - test_statistic(reader, "history.firstRevision");
        g_assert_cmpint(entries, ==, held);
        g_assert_cmpint(test_statistic(reader, "history.lastRevision"), ==, revision);
        g_assert_cmpint(test_statistic(reader, "history.firstRevision"), <=, first);
    }
    {
        g_autoptr(TestClient) reader = test_client_new(proxy);
        test_wait_statistic(reader, "history.heads", 1);
        g_assert_cmpint(test_statistic(reader, "history.headsDiffering"), ==, 0);
    }
    test_server_wait_log(server, "The head of the history");
    test_server_signal(proxy, SIGTERM);
    g_assert_cmpint(test_history_sql(proxy, "SELECT count(*) FROM gap"), ==, 0);
    /* The very records of the primary. */
    g_assert_cmpint(test_history_sql(proxy, "SELECT count(*) FROM entry WHERE linked = 0"), <=, 1);
    /* Another head than the master's is told. */
    test_history_sql(
        proxy,
        "UPDATE entry SET chain = '0123456789abcdef' WHERE revision = (SELECT max(revision) FROM entry)");
    test_server_start(proxy);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    test_wait_statistic(reader, "history.headsDiffering", 1);
    test_server_wait_log(proxy, "The history differs from the master's");
}

/* Records beyond what the memory holds come out of the file: all, in order, each once; not across a gap,
 * and none that was changed. */
static void
test_replay(void)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = history");
    g_autoptr(TestServer) proxy = test_proxy_new(server, "proxy1", "[csproxy]\nplugins = history\n");
    g_autoptr(TestClient) client = test_client_new(server);
    test_call(client, "object.create",
              "{'object':{'type':'application','name':'proxy2','applicationType':'configurationServer'}}");
    int64_t first = revision_of(test_call(client, "object.count", "{'type':'host'}"));
    create_hosts(client, "r", 1700);
    int64_t last = revision_of(test_call(client, "object.count", "{'type':'host'}"));
    for (unsigned round = 0; round < 3; round++) {
        /* Its memory begins with what it loads. */
        test_server_signal(proxy, SIGTERM);
        if (round == 1)
            test_history_sql(proxy, "DELETE FROM entry WHERE revision = 1500");
        else if (round == 2)
            test_history_sql(
                proxy, "UPDATE entry SET record = replace(record, 'host', 'tsoh') WHERE revision = 1000");
        test_server_start(proxy);
        g_autoptr(TestClient) replica = test_client_new_as(proxy, "default", TEST_PASSWORD, "proxy2");
        test_call(replica, "replica.open",
                  "{'application':'proxy2','role':'proxy','release':'0','changesFrom':%" G_GINT64_FORMAT "}",
                  first);
        int64_t expected = first;
        int64_t end = round == 0 ? last : round == 1 ? 1499 : 999;
        while (expected < end) {
            JsonArray *records =
                json_object_get_array_member(test_wait_notification(replica, "replica.records"), "records");
            for (unsigned i = 0; i < json_array_get_length(records); i++) {
                JsonObject *record =
                    json_object_get_object_member(json_array_get_object_element(records, i), "record");
                g_assert_cmpint(revision_of(record), ==, ++expected);
            }
        }
        g_assert_cmpint(expected, ==, end);
        test_wait_notification(replica, "replica.loaded");
        g_autoptr(TestClient) reader = test_client_new(proxy);
        g_assert_cmpint(test_statistic(reader, "history.replayed"), >=, end - first);
    }
}

/* Who came, went and was refused. */
static void
test_audit(void)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = history");
    {
        g_autoptr(TestClient) client = test_client_new(server);
        g_autoptr(TestClient) stranger = test_client_connect(test_server_get_port(server));
        test_call_error(stranger, -32001, "session.open",
                        "{'user':'default','password':'wrong','application':'confctl'}");
        test_call_error(stranger, -32001, "session.open",
                        "{'user':'nobody','password':'wrong','application':'confctl'}");
        g_autoptr(TestClient) other = test_client_new(server);
        g_autofree char *token =
            g_strdup(json_object_get_string_member(test_client_get_session(other), "session"));
        JsonObject *served = json_object_get_object_member(test_client_get_session(other), "server");
        g_autofree char *environment = g_strdup(json_object_get_string_member(served, "environment"));
        int64_t revision = revision_of(served);
        test_client_abort(other);
        g_autoptr(TestClient) again = test_client_connect(test_server_get_port(server));
        test_call(again, "session.resume",
                  "{'session':'%s','environment':'%s','revision':%" G_GINT64_FORMAT "}", token, environment,
                  revision);
        test_call(again, "session.close", "{}");
        test_wait_statistic(client, "history.audits", 6);
        JsonObject *verified = test_call(client, "history.verify", "{}");
        g_assert_true(json_object_get_boolean_member(verified, "ok"));
        g_assert_cmpint(json_object_get_int_member(verified, "audits"), >=, 6);
    }
    test_server_signal(server, SIGTERM);
    g_assert_cmpint(
        test_history_sql(server,
                         "SELECT count(*) FROM audit WHERE kind = 'opened' AND user_name = 'default' AND "
                         "application_name = 'confctl' AND address = '127.0.0.1' AND user > 0"),
        ==, 2);
    g_assert_cmpint(
        test_history_sql(server,
                         "SELECT count(*) FROM audit WHERE kind = 'refused' AND user_name = 'default' AND "
                         "user > 0 AND detail <> '' AND address = '127.0.0.1'"),
        ==, 1);
    g_assert_cmpint(
        test_history_sql(server,
                         "SELECT count(*) FROM audit WHERE kind = 'refused' AND user_name = 'nobody' AND "
                         "user = 0 AND detail <> ''"),
        ==, 1);
    g_assert_cmpint(
        test_history_sql(server,
                         "SELECT count(*) FROM audit WHERE kind = 'resumed' AND address = '127.0.0.1'"),
        ==, 1);
    g_assert_cmpint(test_history_sql(server, "SELECT count(*) FROM audit WHERE kind = 'closed'"), >=, 1);
    test_server_start(server);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/history/kept", test_kept);
    g_test_add_func("/integration/history/kill", test_kill);
    g_test_add_func("/integration/history/tampered", test_tampered);
    g_test_add_func("/integration/history/damaged", test_damaged);
    g_test_add_func("/integration/history/replaced", test_replaced);
    g_test_add_func("/integration/history/disk-full", test_disk_full);
    g_test_add_func("/integration/history/retention", test_retention);
    g_test_add_func("/integration/history/options", test_options);
    g_test_add_func("/integration/history/restored", test_restored);
    g_test_add_func("/integration/history/folder", test_folder);
    g_test_add_func("/integration/history/proxy", test_proxy);
    g_test_add_func("/integration/history/replay", test_replay);
    g_test_add_func("/integration/history/audit", test_audit);
    return g_test_run();
}
