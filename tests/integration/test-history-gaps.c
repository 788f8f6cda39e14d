/* test-history-gaps.c - what the history does not have: clients are told so, and from where on it has all;
 * no answer is made of what is missing.  And sessions whose file is gone, another one or broken. */
#include "history-sql.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INT G_GINT64_FORMAT
#define OPTIONS "plugins = history\nrecent-changes = 1048576\n"

/* Each update is a record of twice the size: of these the ring holds some fifty. */
enum { FILLING = 10000, MANY = 150 };

typedef struct {
    TestServer *server;
    TestClient *admin;
    int64_t host, start; /* start: the revision that made the host */
} World;

static int64_t
revision_of(JsonObject *result)
{
    return json_object_get_int_member(result, "revision");
}

static void
world_open(World *world, const char *options)
{
    *world = (World){.server = test_primary_new(options)};
    world->admin = test_client_new(world->server);
    JsonObject *made = test_call(world->admin, "object.create", "{'object':{'type':'host','name':'h'}}");
    world->host = json_object_get_int_member(made, "dbid");
    world->start = revision_of(made);
}

static void
world_close(World *world)
{
    test_client_free(world->admin);
    test_server_free(world->server);
}

/* Their sessions may be resumed afterwards. */
static void
kill_server(World *world)
{
    test_client_free(world->admin);
    world->admin = NULL;
    test_server_signal(world->server, SIGKILL);
}

static void
start_server(World *world)
{
    test_server_start(world->server);
    world->admin = test_client_new(world->server);
}

/* The last revision. */
static int64_t
write_host(World *world, unsigned count, size_t size)
{
    g_autofree char *filling = g_strnfill(size, 'x');
    int64_t last = 0, id = 0;
    for (unsigned i = 0; i < count; i++) {
        id = test_send(world->admin, "object.update",
                       "{'type':'host','dbid':%" INT ",'patch':{'annex':{'a':{'k':'%u%s'}}}}", world->host, i,
                       filling);
        if (i % 50 == 49 || i == count - 1)
            last = revision_of(json_object_get_object_member(test_wait_response(world->admin, id), "result"));
    }
    return last;
}

/* All of it is in the file now. */
static void
write_down(World *world)
{
    test_call(world->admin, "history.list", "{'limit':1}");
}

static void
expect_changes(TestClient *client, int64_t first, int64_t last)
{
    for (int64_t expected = first; expected <= last; expected++)
        g_assert_cmpint(revision_of(test_wait_notification(client, "changes")), ==, expected);
    g_assert_false(test_has_notification(client, "changes"));
}

/* A session of a client that is gone, with a subscription to hosts; its token. */
static char *
leave_session(TestServer *server, int64_t *revision)
{
    g_autoptr(TestClient) client = test_client_new(server);
    *revision = revision_of(test_call(client, "subscription.open", "{'types':['host']}"));
    /* The saving of sessions lies behind the answer by a moment. */
    test_call(client, "history.list", "{'limit':1}");
    char *token = test_client_dup_token(client);
    test_client_abort(client);
    return token;
}

/* The error's data are right; and what it says of the oldest is true, to the revision. */
static void
expect_gone(TestServer *server, JsonObject *error, int64_t oldest, int64_t present)
{
    JsonObject *data = json_object_get_object_member(error, "data");
    g_assert_cmpint(json_object_get_int_member(data, "oldest"), ==, oldest);
    g_assert_cmpint(json_object_get_int_member(data, "revision"), ==, present);
    g_autoptr(TestClient) right = test_client_new(server);
    test_call(right, "subscription.open", "{'types':['host'],'since':%" INT "}", oldest);
    for (int64_t expected = oldest + 1; expected <= present; expected++)
        g_assert_cmpint(revision_of(test_wait_notification(right, "changes")), ==, expected);
    g_autoptr(TestClient) wrong = test_client_new(server);
    error = test_call_error(wrong, -32011, "subscription.open", "{'types':['host'],'since':%" INT "}",
                            oldest - 1);
    data = json_object_get_object_member(error, "data");
    g_assert_cmpint(json_object_get_int_member(data, "oldest"), ==, oldest);
    g_assert_cmpint(json_object_get_int_member(data, "revision"), ==, present);
    /* Its session goes on without that subscription. */
    test_call(wrong, "subscription.open", "{'types':['host']}");
    g_assert_false(test_has_notification(wrong, "changes"));
}

/* The resumption is refused, the session stands, and its subscriptions live from the present revision. */
static void
expect_resume_gone(World *world, TestServer *server, const char *token, int64_t revision, int64_t oldest)
{
    g_autofree char *environment = test_client_dup_environment(world->admin);
    int64_t present = revision_of(test_call(world->admin, "object.count", "{}"));
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    JsonObject *error = test_call_error(client, -32011, "session.resume",
                                        "{'session':'%s','environment':'%s','revision':%" INT "}", token,
                                        environment, revision);
    expect_gone(server, error, oldest, present);
    int64_t last = write_host(world, 2, 10);
    expect_changes(client, present + 1, last);
    g_assert_cmpint(
        revision_of(test_call(client, "object.read", "{'type':'host','dbid':%" INT "}", world->host)), >=,
        last);
}

/* Rows that somebody has taken out of the file, in the middle of what was missed. */
static void
test_missing_rows(void)
{
    World world;
    world_open(&world, OPTIONS);
    int64_t revision;
    g_autofree char *token = leave_session(world.server, &revision);
    g_autofree char *second = leave_session(world.server, &revision);
    write_host(&world, MANY, FILLING);
    write_down(&world);
    kill_server(&world);
    int64_t hole = revision + 20;
    test_history_sql(world.server, "DELETE FROM entry WHERE revision IN (%" INT ", %" INT ")", hole,
                     hole - 7);
    test_history_sql(world.server, "DELETE FROM change WHERE revision IN (%" INT ", %" INT ")", hole,
                     hole - 7);
    start_server(&world);
    expect_resume_gone(&world, world.server, token, revision, hole);
    /* Of before it nothing is told; of what came after it all. */
    const char *const reads[] = {"object.read", "object.list"};
    for (unsigned i = 0; i < G_N_ELEMENTS(reads); i++) {
        const char *what = i == 0 ? "'type':'host','name':'h'," : "'type':'host',";
        for (int64_t at = hole - 1; at <= hole; at++) {
            JsonObject *error =
                test_call_error(world.admin, -32011, reads[i], "{%s'asOf':%" INT "}", what, at);
            g_assert_cmpint(
                json_object_get_int_member(json_object_get_object_member(error, "data"), "oldest"), ==,
                hole + 1);
        }
        test_call(world.admin, reads[i], "{%s'asOf':%" INT "}", what, hole + 1);
    }
    JsonObject *error = test_call_error(world.admin, -32011, "history.revert",
                                        "{'type':'host','name':'h','toRevision':%" INT "}", hole);
    g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(error, "data"), "oldest"), ==,
                    hole + 1);
    test_call_error(world.admin, -32011, "history.revert", "{'revision':%" INT ",'force':true}", hole - 1);
    JsonObject *verified = test_call(world.admin, "history.verify", "{}");
    g_assert_false(json_object_get_boolean_member(verified, "ok"));
    g_assert_cmpint(json_object_get_int_member(verified, "brokenAt"), ==, hole - 7);
    /* While the server runs: whoever meets it is told. */
    int64_t later = hole + 10;
    test_history_sql(world.server, "DELETE FROM entry WHERE revision = %" INT, later);
    for (unsigned i = 0; i < G_N_ELEMENTS(reads); i++) {
        const char *what = i == 0 ? "'type':'host','dbid':101," : "'type':'host',";
        error = test_call_error(world.admin, -32011, reads[i], "{%s'asOf':%" INT "}", what, later - 1);
        g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(error, "data"), "oldest"),
                        ==, later + 1);
        test_call(world.admin, reads[i], "{%s'asOf':%" INT "}", what, later + 1);
    }
    error = test_call_error(world.admin, -32011, "history.revert", "{'revision':%" INT ",'force':true}",
                            later - 1);
    g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(error, "data"), "oldest"), ==,
                    later + 1);
    expect_resume_gone(&world, world.server, second, hole, later);
    world_close(&world);
}

static void
set_option(World *world, const char *name, const char *value)
{
    test_call(world->admin, "object.update",
              "{'type':'application','name':'confserv','patch':{'options':{'history-log':{'%s':'%s'}}}}",
              name, value);
}

/* Switched off for a while: a gap that the file tells of. */
static void
test_told_gap(void)
{
    World world;
    world_open(&world, OPTIONS);
    int64_t revision;
    g_autofree char *token = leave_session(world.server, &revision);
    int64_t before = write_host(&world, 3, 10);
    set_option(&world, "active", "false"); /* Recorded, or not: that depends on who is told first. */
    int64_t within = write_host(&world, 5, 10);
    set_option(&world, "active", "true");
    write_host(&world, MANY, FILLING);
    write_down(&world);
    int64_t first = test_history_sql(world.server, "SELECT first FROM gap"),
            last = test_history_sql(world.server, "SELECT last FROM gap");
    g_assert_cmpint(first, >, before);
    g_assert_cmpint(first, <=, within - 4);
    g_assert_cmpint(last, >=, within);
    expect_resume_gone(&world, world.server, token, revision, last);
    const int64_t wrong[] = {before, first, within, last - 1, last};
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        JsonObject *error = test_call_error(world.admin, -32011, "object.read",
                                            "{'type':'host','name':'h','asOf':%" INT "}", wrong[i]);
        g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(error, "data"), "oldest"),
                        ==, last + 1);
        test_call_error(world.admin, -32011, "object.list", "{'type':'host','asOf':%" INT "}", wrong[i]);
        test_call_error(world.admin, -32011, "history.revert",
                        "{'type':'host','name':'h','toRevision':%" INT "}", wrong[i]);
        test_call_error(world.admin, -32011, "history.revert", "{'revision':%" INT "}", wrong[i]);
    }
    test_call(world.admin, "object.read", "{'type':'host','name':'h','asOf':%" INT "}", last + 1);
    /* The list tells of it on the page where it lies, and on no other. */
    for (unsigned limit = 9; limit < 1000; limit += 491) {
        unsigned told = 0;
        int64_t above = G_MAXINT64;
        g_autofree char *cursor = g_strdup("");
        for (bool more = true; more;) {
            JsonObject *page =
                test_call(world.admin, "history.list", "{'type':'host','until':%" INT ",'limit':%u%s}",
                          last + 20, limit, cursor);
            JsonArray *entries = json_object_get_array_member(page, "entries");
            unsigned count = json_array_get_length(entries);
            int64_t lowest =
                count > 0 ? revision_of(json_array_get_object_element(entries, count - 1)) : above;
            if (json_object_has_member(page, "gaps")) {
                JsonArray *gaps = json_object_get_array_member(page, "gaps");
                JsonObject *gap = json_array_get_object_element(gaps, 0);
                g_assert_cmpuint(json_array_get_length(gaps), ==, 1);
                g_assert_cmpint(json_object_get_int_member(gap, "first"), ==, first);
                g_assert_cmpint(json_object_get_int_member(gap, "last"), ==, last);
                g_assert_nonnull(strstr(json_object_get_string_member(gap, "reason"), "active"));
                g_assert_cmpint(lowest, <, first);
                g_assert_cmpint(last, <, above);
                told++;
            }
            more = json_object_has_member(page, "cursor");
            above = lowest;
            g_free(cursor);
            cursor = more ? g_strdup_printf(",'cursor':'%s'", json_object_get_string_member(page, "cursor"))
                          : NULL;
        }
        g_assert_cmpuint(told, ==, 1);
    }
    const struct {
        int64_t since, until;
        bool told;
    } ranges[] = {{1, first - 1, false},
                  {last + 1, last + 50, false},
                  {first, last, true},
                  {last, last, true},
                  {1, first, true}};
    for (unsigned i = 0; i < G_N_ELEMENTS(ranges); i++)
        g_assert_cmpint(json_object_has_member(test_call(world.admin, "history.list",
                                                         "{'since':%" INT ",'until':%" INT "}",
                                                         ranges[i].since, ranges[i].until),
                                               "gaps"),
                        ==, ranges[i].told);
    JsonObject *verified = test_call(world.admin, "history.verify", "{}");
    g_assert_true(json_object_get_boolean_member(verified, "ok"));
    world_close(&world);
}

/* Writes of which nobody has a record when the proxy comes back; the last revision. */
static int64_t
write_unseen(World *world)
{
    start_server(world);
    int64_t last = write_host(world, 5, 10);
    kill_server(world);
    test_database_sql(world->server, "DELETE FROM change");
    start_server(world);
    return last;
}

/* The master's memory is small too: a proxy that lags behind it would load anew. */
static void
write_followed(World *world, TestClient *reader)
{
    for (unsigned i = 0; i < MANY / 25; i++)
        test_wait_revision(reader, write_host(world, 25, FILLING));
}

/* asOf within is refused, at its end it is not. */
static void
expect_unknown(TestClient *reader, int64_t first, int64_t last, int64_t oldest)
{
    for (int64_t revision = first; revision <= last; revision++) {
        JsonObject *error = test_call_error(reader, -32011, "object.read",
                                            "{'type':'host','name':'h','asOf':%" INT "}", revision);
        g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(error, "data"), "oldest"),
                        ==, oldest);
        test_call_error(reader, -32011, "object.list", "{'type':'host','asOf':%" INT "}", revision);
    }
    test_call(reader, "object.read", "{'type':'host','name':'h','asOf':%" INT "}", oldest);
    test_call(reader, "object.list", "{'type':'host','asOf':%" INT "}", oldest);
}

/* A proxy that had to load anew while nobody held what it missed: one fold, which its clients get while
 * the memory holds it, and across which nothing is told of later. */
static void
test_fold(void)
{
    World world;
    world_open(&world, "recent-changes = 1048576\n");
    g_autoptr(TestServer) proxy = test_proxy_new(world.server, "px", "[csproxy]\n" OPTIONS);
    int64_t revision;
    g_autofree char *token = leave_session(proxy, &revision);
    int64_t before = write_host(&world, 3, 10);
    g_autoptr(TestClient) live = test_client_new(proxy);
    test_wait_revision(live, before);
    kill_server(&world);
    test_server_signal(proxy, SIGSTOP);
    int64_t fold = write_unseen(&world);
    test_server_signal(proxy, SIGCONT);
    test_wait_revision(live, fold);
    test_call(live, "subscription.open", "{'types':['host'],'since':%" INT "}", before);
    JsonObject *changes = test_wait_notification(live, "changes");
    g_assert_cmpint(json_object_get_int_member(changes, "from"), ==, before);
    g_assert_cmpint(revision_of(changes), ==, fold);
    /* Nobody can go on from within. */
    g_autoptr(TestClient) within = test_client_new(proxy);
    JsonObject *error = test_call_error(within, -32011, "subscription.open",
                                        "{'types':['host'],'since':%" INT "}", before + 2);
    g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(error, "data"), "oldest"), <=,
                    before);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    write_followed(&world, reader);
    expect_resume_gone(&world, proxy, token, before, fold);
    /* What was before the fold is known, as what is behind it. */
    test_call(reader, "object.read", "{'type':'host','name':'h','asOf':%" INT "}", before);
    expect_unknown(reader, before + 1, fold - 1, fold);
    /* Whatever others have asked for meanwhile. */
    test_call(reader, "object.read", "{'type':'host','name':'h','asOf':%" INT "}", before);
    test_call(reader, "object.list", "{'type':'host','asOf':%" INT "}", before);
    world_close(&world);
}

/* The same where the proxy was dead: what nobody told it of is a gap. */
static void
test_gap_of_proxy(void)
{
    World world;
    world_open(&world, "recent-changes = 1048576\n");
    g_autoptr(TestServer) proxy = test_proxy_new(world.server, "px", "[csproxy]\n" OPTIONS);
    int64_t revision;
    g_autofree char *token = leave_session(proxy, &revision);
    int64_t before = write_host(&world, 3, 10);
    {
        g_autoptr(TestClient) reader = test_client_new(proxy);
        test_wait_revision(reader, before);
        test_wait_statistic(reader, "history.durableRevision", before);
    }
    test_server_signal(proxy, SIGKILL);
    kill_server(&world);
    int64_t gap = write_unseen(&world);
    test_server_start(proxy);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    write_followed(&world, reader);
    expect_resume_gone(&world, proxy, token, before, gap);
    expect_unknown(reader, before, gap, gap + 1);
    world_close(&world);
}

/* What is older than option expiration says is not replayed, but kept. */
static void
test_expiration(void)
{
    World world;
    world_open(&world, OPTIONS);
    int64_t revision;
    g_autofree char *token = leave_session(world.server, &revision);
    write_host(&world, MANY, FILLING);
    write_down(&world);
    kill_server(&world);
    test_history_sql(world.server, "UPDATE entry SET time = time - 31 * 86400000 WHERE revision <= %" INT,
                     revision + 30);
    start_server(&world);
    test_wait_statistic(world.admin, "history.lastRevision", revision + MANY);
    expect_resume_gone(&world, world.server, token, revision, revision + 30);
    test_call(world.admin, "object.read", "{'type':'host','name':'h','asOf':%" INT "}", revision);
    world_close(&world);
}

static void
try_resume(World *world, const char *token, int64_t revision)
{
    g_autofree char *environment = test_client_dup_environment(world->admin);
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(world->server));
    test_call_error(client, -32003, "session.resume",
                    "{'session':'%s','environment':'%s','revision':%" INT "}", token, environment, revision);
    /* The connection is good for a log-in. */
    test_call(client, "session.open", "{'user':'default','password':'%s','application':'confctl'}",
              TEST_PASSWORD);
    test_call(client, "subscription.open", "{'types':['host']}");
    int64_t last = write_host(world, 1, 10);
    expect_changes(client, last, last);
}

static void
remove_file(TestServer *server)
{
    static const char *const parts[] = {"", "-wal", "-shm"};
    g_autofree char *path = test_history_path(server);
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *name = g_strconcat(path, parts[i], NULL);
        unlink(name);
    }
}

static void
write_garbage(TestServer *server, size_t from)
{
    g_autofree char *path = test_history_path(server);
    g_autofree char *garbage = g_strnfill(100000, '~');
    FILE *file = fopen(path, "r+");
    g_assert_nonnull(file);
    g_assert_cmpint(fseek(file, (long)from, SEEK_SET), ==, 0);
    g_assert_cmpuint(fwrite(garbage, 1, 100000, file), ==, 100000);
    g_assert_cmpint(fclose(file), ==, 0);
}

/* In what the log says behind `offset`. */
static void
wait_said(TestServer *server, size_t offset, const char *text)
{
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    bool found = false;
    while (!found && g_get_monotonic_time() < until) {
        g_autofree char *log = test_server_read_log(server);
        found = strstr(log + offset, text) != NULL;
        if (!found)
            g_usleep(20000);
    }
    g_autofree char *log = test_server_read_log(server);
    if (!found)
        g_error("the log does not say \"%s\", but:\n%s", text, log + offset);
}

/* Sessions in a file that is gone, another one or broken while nobody looks: they are not known, and
 * nothing else happens. */
static void
test_sessions_while_down(void)
{
    World world;
    world_open(&world, OPTIONS);
    g_autoptr(TestServer) other = test_primary_new(OPTIONS);
    {
        g_autoptr(TestClient) client = test_client_new(other);
        test_call(client, "history.list", "{'limit':1}");
    }
    test_server_signal(other, SIGKILL);
    g_autofree char *path = test_history_path(world.server);
    g_autofree char *others = test_history_path(other);
    g_autofree char *replace =
        g_strdup_printf("cp '%s' '%s' && cp '%s-wal' '%s-wal'", others, path, others, path);
    for (unsigned round = 0; round < 6; round++) {
        int64_t revision;
        g_autofree char *token = leave_session(world.server, &revision);
        g_autofree char *said = test_server_read_log(world.server);
        kill_server(&world);
        switch (round) {
        case 0:
            remove_file(world.server);
            break;
        case 1:
            remove_file(world.server);
            g_assert_cmpint(system(replace), ==, 0);
            break;
        case 2:
            /* With the log in it. */
            test_history_sql(world.server, "PRAGMA wal_checkpoint(TRUNCATE)");
            write_garbage(world.server, 0);
            break;
        case 3:
            g_assert_cmpint(
                test_history_sql(world.server, "SELECT count(*) FROM session WHERE length(token) = 64"), >,
                0);
            test_history_sql(world.server, "UPDATE session SET json = '{\"person\":'");
            break;
        case 4:
            test_history_sql(world.server,
                             "UPDATE session SET json = replace(json, '\"seal\":\"', '\"seal\":\"0')");
            break;
        default:
            test_history_sql(world.server, "DROP TABLE session");
        }
        start_server(&world);
        g_test_message("round %u", round);
        try_resume(&world, token, revision);
        write_host(&world, 5, 10);
        test_call(world.admin, "history.list", "{'limit':1}");
        static const char *const told[] = {"A new history file is begun",
                                           "confserv.history.other-history-",
                                           "confserv.history.damaged-",
                                           " 6010 ",
                                           NULL,
                                           "confserv.history.damaged-"};
        if (told[round] != NULL)
            wait_said(world.server, strlen(said), told[round]);
    }
    test_server_start(other);
    world_close(&world);
}

/* The same while the server runs; the session that stands in memory does not need the file. */
static void
test_sessions_while_running(void)
{
    World world;
    world_open(&world, OPTIONS);
    g_autofree char *path = test_history_path(world.server);
    for (unsigned round = 0; round < 3; round++) {
        int64_t revision;
        g_autofree char *token = leave_session(world.server, &revision);
        g_autofree char *said = test_server_read_log(world.server);
        if (round == 0) {
            remove_file(world.server);
        } else if (round == 1) {
            /* With the log in it, which would mend it. */
            test_history_sql(world.server, "PRAGMA wal_checkpoint(TRUNCATE)");
            write_garbage(world.server, 0);
        } else {
            test_history_sql(world.server, "DROP TABLE session");
        }
        g_autofree char *environment = test_client_dup_environment(world.admin);
        g_autoptr(TestClient) known = test_client_connect(test_server_get_port(world.server));
        test_call(known, "session.resume", "{'session':'%s','environment':'%s','revision':%" INT "}", token,
                  environment, revision);
        test_client_abort(known);
        try_resume(&world, "0123456789abcdef0123456789abcdef", revision);
        /* Whatever the file was: the next one keeps sessions again. */
        int64_t last = write_host(&world, 3, 10);
        test_wait_statistic(world.admin, "history.durableRevision", last);
        g_autofree char *kept = leave_session(world.server, &revision);
        kill_server(&world);
        start_server(&world);
        /* A file of which nobody has met the damage before the next start has kept nothing. */
        g_autoptr(TestClient) again = test_client_connect(test_server_get_port(world.server));
        int64_t id =
            test_send(again, "session.resume", "{'session':'%s','environment':'%s','revision':%" INT "}",
                      kept, environment, revision);
        JsonObject *response = test_wait_response(again, id);
        if (json_object_has_member(response, "error")) {
            JsonObject *error = json_object_get_object_member(response, "error");
            g_assert_cmpint(json_object_get_int_member(error, "code"), ==, -32003);
            g_assert_cmpuint(round, ==, 1);
        }
        wait_said(world.server, strlen(said),
                  round == 0 ? "was removed or replaced while it was in use" : "was set aside");
    }
    world_close(&world);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/history-gaps/missing-rows", test_missing_rows);
    g_test_add_func("/integration/history-gaps/told-gap", test_told_gap);
    g_test_add_func("/integration/history-gaps/fold", test_fold);
    g_test_add_func("/integration/history-gaps/gap-of-proxy", test_gap_of_proxy);
    g_test_add_func("/integration/history-gaps/expiration", test_expiration);
    g_test_add_func("/integration/history-gaps/sessions-while-down", test_sessions_while_down);
    g_test_add_func("/integration/history-gaps/sessions-while-running", test_sessions_while_running);
    return g_test_run();
}
