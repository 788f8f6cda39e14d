/* test-resume-history.c - sessions that go on over the death of their server, and changes that memory does
 * not hold any more, out of plugin history: at the primary and at a proxy. */
#include "mirror.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INT G_GINT64_FORMAT
#define OPTIONS "plugins = history\nrecent-changes = 1048576\n"
/* Each update of it is a record of twice the size: of these many the ring holds some fifty. */
enum { FILLING = 10000, MANY = 300 };

typedef struct {
    TestServer *server;
    TestClient *admin;
    char *environment;
    int64_t host;
} World;

static void
reconnect(World *world)
{
    world->admin = test_client_new(world->server);
    JsonObject *server = json_object_get_object_member(test_client_get_session(world->admin), "server");
    g_free(world->environment);
    world->environment = g_strdup(json_object_get_string_member(server, "environment"));
}

static void
world_open(World *world, const char *more)
{
    g_autofree char *options = g_strconcat(OPTIONS, more, NULL);
    *world = (World){.server = test_primary_new(options)};
    reconnect(world);
    world->host = json_object_get_int_member(
        test_call(world->admin, "object.create", "{'object':{'type':'host','name':'h'}}"), "dbid");
}

static void
world_close(World *world)
{
    test_client_free(world->admin);
    test_server_free(world->server);
    g_free(world->environment);
}

static void
kill_and_start(World *world)
{
    test_server_signal(world->server, SIGKILL);
    test_client_free(world->admin);
    test_server_start(world->server);
    reconnect(world);
}

static int64_t
revision_of(JsonObject *result)
{
    return json_object_get_int_member(result, "revision");
}

/* The last revision. */
static int64_t
write_much(World *world, unsigned count)
{
    g_autofree char *filling = g_strnfill(FILLING, 'x');
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

static JsonObject *
resume(World *world, TestClient *client, const char *token, int64_t revision, const char *more)
{
    return test_call(client, "session.resume", "{'session':'%s','environment':'%s','revision':%" INT "%s}",
                     token, world->environment, revision, more);
}

static void
expect_changes(TestClient *client, int64_t first, int64_t last)
{
    for (int64_t expected = first; expected <= last; expected++)
        g_assert_cmpint(revision_of(test_wait_notification(client, "changes")), ==, expected);
    g_assert_false(test_has_notification(client, "changes"));
}

static void
test_beyond_the_ring(void)
{
    World world;
    world_open(&world, "");
    g_autoptr(TestClient) first = test_client_new(world.server);
    g_autofree char *token = test_client_dup_token(first);
    JsonObject *opened = test_call(first, "subscription.open", "{'types':['host']}");
    int64_t revision = revision_of(opened);
    g_autofree char *chain = g_strdup(json_object_get_string_member(opened, "chain"));
    test_client_abort(first);
    test_wait_statistic(world.admin, "sessionsBroken", 1);
    int64_t last = write_much(&world, MANY);
    /* A chain of another history is told. */
    g_autoptr(TestClient) wrong = test_client_connect(test_server_get_port(world.server));
    test_call_error(wrong, -32011, "session.resume",
                    "{'session':'%s','environment':'%s','revision':%" INT ",'chain':'0123456789abcdef'}",
                    token, world.environment, revision);
    g_autofree char *more = g_strdup_printf(",'chain':'%s'", chain);
    g_autoptr(TestClient) second = test_client_connect(test_server_get_port(world.server));
    JsonObject *result = resume(&world, second, token, revision, more);
    g_assert_cmpint(json_object_get_int_member(result, "missed"), ==, MANY);
    expect_changes(second, revision + 1, last);
    /* Live, once each. */
    int64_t live = write_much(&world, 3);
    expect_changes(second, last + 1, live);
    /* The same by `since`, while others write. */
    g_autoptr(TestClient) third = test_client_new(world.server);
    int64_t id = test_send(third, "subscription.open", "{'types':['host'],'since':%" INT "}", revision);
    int64_t final = write_much(&world, 20);
    g_assert_true(json_object_has_member(test_wait_response(third, id), "result"));
    expect_changes(third, revision + 1, final);
    /* In several pages each. */
    g_assert_cmpint(test_statistic(world.admin, "history.replays"), >=, 6);
    world_close(&world);
}

/* Every commit is judged by its own rights: what one may see now and might not then is not told of the
 * past. */
static void
test_rights_of_then(void)
{
    World world;
    world_open(&world, "");
    int64_t person = json_object_get_int_member(
        test_call(world.admin, "object.create", "{'object':{'type':'person','name':'reader'}}"), "dbid");
    test_call(world.admin, "account.setPassword", "{'dbid':%" INT ",'password':'pw'}", person);
    test_call(world.admin, "permission.update",
              "{'type':'application','name':'confctl','grant':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['execute']}]}",
              person);
    int64_t since = revision_of(test_call(world.admin, "object.count", "{}"));
    test_call(world.admin, "object.update",
              "{'type':'host','dbid':%" INT ",'patch':{'address':'secret-of-then'}}", world.host);
    test_call(world.admin, "object.update", "{'type':'host','dbid':%" INT ",'patch':{'address':'open'}}",
              world.host);
    int64_t granted =
        revision_of(test_call(world.admin, "permission.update",
                              "{'type':'host','dbid':%" INT
                              ",'grant':[{'account':{'type':'person','dbid':%" INT "},'rights':['read']}]}",
                              world.host, person));
    int64_t last = write_much(&world, MANY);
    g_autoptr(TestClient) reader = test_client_new_as(world.server, "reader", "pw", "confctl");
    test_call(reader, "subscription.open", "{'since':%" INT "}", since);
    JsonObject *changes = test_wait_notification(reader, "changes");
    g_assert_cmpint(revision_of(changes), ==, granted);
    expect_changes(reader, granted + 1, last);
    g_assert_false(test_client_has_seen(reader, "secret-of-then"));
    world_close(&world);
}

/* The process is killed; the session is there at the next one, its subscriptions too. */
static void
test_over_a_kill(void)
{
    World world;
    world_open(&world, "");
    g_autoptr(TestClient) first = test_client_connect(test_server_get_port(world.server));
    g_autofree char *token = g_strdup(json_object_get_string_member(
        test_call(
            first, "session.open",
            "{'user':'default','password':'%s','application':'confctl','client':{'name':'desk','version':'1'}}",
            TEST_PASSWORD),
        "session"));
    Mirror *mirror = mirror_new();
    mirror->revision = revision_of(test_call(first, "subscription.open", "{'initial':true}"));
    mirror_follow(mirror, first);
    write_much(&world, 5);
    /* The saving of sessions lies behind the answer by a moment. */
    test_call(world.admin, "history.list", "{'limit':1}");
    mirror_follow(mirror, first);
    kill_and_start(&world);
    write_much(&world, MANY);
    g_autoptr(TestClient) second = test_client_connect(test_server_get_port(world.server));
    JsonObject *result = resume(&world, second, token, mirror->revision, "");
    g_assert_cmpstr(json_object_get_string_member(result, "session"), ==, token);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(result, "subscriptions")), ==, 1);
    mirror_follow(mirror, second);
    mirror_compare(mirror, second, "after a kill");
    JsonArray *list = json_object_get_array_member(test_call(world.admin, "session.list", "{}"), "sessions");
    JsonObject *last = json_array_get_object_element(list, json_array_get_length(list) - 1);
    g_assert_cmpstr(json_object_get_string_member(json_object_get_object_member(last, "client"), "name"), ==,
                    "desk");
    /* Twice in a row; then it is closed, and gone for good. */
    test_call(world.admin, "history.list", "{'limit':1}");
    kill_and_start(&world);
    g_autoptr(TestClient) third = test_client_connect(test_server_get_port(world.server));
    resume(&world, third, token, mirror->revision, "");
    mirror_follow(mirror, third);
    mirror_compare(mirror, third, "after another kill");
    test_call(third, "session.close", "{}");
    test_call(world.admin, "history.list", "{'limit':1}");
    kill_and_start(&world);
    g_autoptr(TestClient) fourth = test_client_connect(test_server_get_port(world.server));
    test_call_error(fourth, -32003, "session.resume",
                    "{'session':'%s','environment':'%s','revision':%" INT "}", token, world.environment,
                    mirror->revision);
    mirror_free(mirror);
    world_close(&world);
}

static void
try_resume(World *world, const char *token, int code)
{
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(world->server));
    int64_t revision = revision_of(test_call(world->admin, "object.count", "{}"));
    if (code != 0)
        test_call_error(client, code, "session.resume",
                        "{'session':'%s','environment':'%s','revision':%" INT "}", token, world->environment,
                        revision);
    else
        resume(world, client, token, revision, "");
    test_client_abort(client);
}

/* A stop as asked, as for an upgrade: clients are told, and go on where they were at the next start. */
static void
test_over_a_stop(void)
{
    World world;
    world_open(&world, "");
    g_autoptr(TestClient) first = test_client_new(world.server);
    g_autofree char *token =
        g_strdup(json_object_get_string_member(test_client_get_session(first), "session"));
    Mirror *mirror = mirror_new();
    mirror->revision = revision_of(test_call(first, "subscription.open", "{'initial':true}"));
    mirror_follow(mirror, first);
    write_much(&world, 5);
    mirror_follow(mirror, first);
    g_autoptr(TestClient) second = test_client_new(world.server);
    g_autofree char *closed =
        g_strdup(json_object_get_string_member(test_client_get_session(second), "session"));
    test_call(second, "session.close", "{}");
    test_server_signal(world.server, SIGTERM);
    g_assert_cmpint(test_server_wait_exit(world.server), ==, 0);
    g_assert_cmpstr(json_object_get_string_member(test_wait_notification(first, "session.ending"), "reason"),
                    ==, "stopping");
    test_client_free(world.admin);
    test_server_start(world.server);
    reconnect(&world);
    write_much(&world, 5);
    g_autoptr(TestClient) third = test_client_connect(test_server_get_port(world.server));
    resume(&world, third, token, mirror->revision, "");
    mirror_follow(mirror, third);
    mirror_compare(mirror, third, "after a stop");
    mirror_free(mirror);
    try_resume(&world, closed, -32003);
    /* The audit tells of the end, and of the new beginning. */
    JsonArray *rows = json_object_get_array_member(
        test_call(world.admin, "history.sessions", "{'user':'default'}"), "sessions");
    unsigned stopped = 0, resumed = 0;
    for (unsigned i = 0; i < json_array_get_length(rows); i++) {
        JsonObject *row = json_array_get_object_element(rows, i);
        stopped +=
            g_strcmp0(json_object_get_string_member_with_default(row, "reason", NULL), "stopping") == 0;
        resumed += strcmp(json_object_get_string_member(row, "kind"), "resumed") == 0;
    }
    g_assert_cmpuint(stopped, ==, 2); /* `first` and the administrator's */
    g_assert_cmpuint(resumed, ==, 1);
    world_close(&world);
}

/* What the session stood on has gone meanwhile: the password, the right, the person, the time. */
static void
test_no_longer_allowed(void)
{
    enum { PERSONS = 5 };
    World world;
    world_open(&world, "");
    int64_t persons[PERSONS];
    char *tokens[PERSONS];
    TestClient *clients[PERSONS];
    for (unsigned i = 0; i < PERSONS; i++) {
        g_autofree char *name = g_strdup_printf("p%u", i);
        persons[i] = json_object_get_int_member(
            test_call(world.admin, "object.create", "{'object':{'type':'person','name':'%s'}}", name),
            "dbid");
        test_call(world.admin, "account.setPassword", "{'dbid':%" INT ",'password':'pw'}", persons[i]);
        test_call(world.admin, "permission.update",
                  "{'type':'application','name':'confctl','grant':[{'account':{'type':'person','dbid':%" INT
                  "},'rights':['execute']}]}",
                  persons[i]);
        clients[i] = test_client_new_as(world.server, name, "pw", "confctl");
        tokens[i] = test_client_dup_token(clients[i]);
    }
    /* One's own change keeps the session that made it. */
    test_call(clients[0], "session.changePassword", "{'old':'pw','new':'pw2'}");
    test_call(world.admin, "history.list", "{'limit':1}");
    kill_and_start(&world);
    test_call(world.admin, "account.setPassword", "{'dbid':%" INT ",'password':'other'}", persons[1]);
    test_call(world.admin, "permission.update",
              "{'type':'application','name':'confctl','revoke':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['execute']}]}",
              persons[2]);
    test_call(world.admin, "object.update", "{'type':'person','dbid':%" INT ",'patch':{'state':'disabled'}}",
              persons[3]);
    try_resume(&world, tokens[0], 0);
    for (unsigned i = 1; i < 4; i++)
        try_resume(&world, tokens[i], -32003);
    /* No log-in that was refused brings it back, and no text that is no token. */
    test_call(world.admin, "object.update", "{'type':'person','dbid':%" INT ",'patch':{'state':'enabled'}}",
              persons[3]);
    try_resume(&world, tokens[3], -32003);
    try_resume(&world, "alive", -32003);
    try_resume(&world, "00000000000000000000000000000000", -32003);
    /* The time runs over a kill. */
    test_call(
        world.admin, "object.update",
        "{'type':'application','name':'confserv','patch':{'options':{'confserv':{'session-resume-timeout':'1'}}}}");
    g_usleep(1200000);
    try_resume(&world, tokens[4], -32003);
    for (unsigned i = 0; i < PERSONS; i++) {
        test_client_free(clients[i]);
        g_free(tokens[i]);
    }
    world_close(&world);
}

/* A proxy keeps its own history: its sessions outlive it, and what it missed itself comes from its master. */
static void
test_at_a_proxy(void)
{
    World world;
    world_open(&world, "");
    g_autoptr(TestServer) proxy = test_proxy_new(world.server, "px", "[csproxy]\n" OPTIONS);
    g_autoptr(TestClient) first = test_client_new(proxy);
    g_autofree char *token = test_client_dup_token(first);
    int64_t revision = revision_of(test_call(first, "subscription.open", "{'types':['host']}"));
    int64_t seen = write_much(&world, 10);
    expect_changes(first, revision + 1, seen);
    test_call(first, "history.list", "{'limit':1}");
    test_server_signal(proxy, SIGKILL);
    int64_t last = write_much(&world, MANY);
    test_server_start(proxy);
    g_autoptr(TestClient) second = test_client_connect(test_server_get_port(proxy));
    JsonObject *result = resume(&world, second, token, seen, "");
    g_assert_cmpint(json_object_get_int_member(result, "missed"), ==, last - seen);
    expect_changes(second, seen + 1, last);
    int64_t live = write_much(&world, 2);
    expect_changes(second, last + 1, live);
    world_close(&world);
}

/* A client that asks for the past and reads nothing: neither its machine nor the server's takes much for
 * it. */
static int
ask_and_stand(World *world, int64_t since)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(test_server_get_port(world->server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 536, room = 4096;
    g_assert_cmpint(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &small, sizeof small), ==, 0);
    g_assert_cmpint(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), ==, 0);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_autofree char *lines = g_strdup_printf(
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session.open\",\"params\":{\"user\":\"default\","
        "\"password\":\"%s\",\"application\":\"confctl\"}}\n"
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"subscription.open\",\"params\":{\"since\":%" INT "}}\n",
        TEST_PASSWORD, since);
    g_assert_cmpint(write(fd, lines, strlen(lines)), ==, (gssize)strlen(lines));
    return fd;
}

/* Reads at last: every change is there, once, in order. */
static void
read_and_close(int fd, int64_t first, int64_t last)
{
    FILE *stream = fdopen(fd, "r");
    char *line = NULL;
    size_t room = 0;
    for (int64_t expected = first; expected <= last;) {
        g_assert_cmpint(getline(&line, &room, stream), >, 0);
        if (strstr(line, "\"method\":\"changes\"") == NULL)
            continue;
        g_autofree char *revision = g_strdup_printf("\"revision\":%" INT ",", expected++);
        g_assert_nonnull(strstr(line, revision));
    }
    free(line);
    fclose(stream);
}

/* More replays than pages are held at a time, and more that stand still than that: those who read get
 * everything, and the others when they read. */
static void
test_many_at_once(void)
{
    enum { STANDING = 18, READING = 18, MISSED = 80 };
    World world;
    world_open(&world, "");
    int64_t since = revision_of(test_call(world.admin, "object.count", "{}"));
    int64_t last = write_much(&world, MISSED);
    int standing[STANDING];
    TestClient *reading[READING];
    int64_t ids[READING];
    for (unsigned i = 0; i < STANDING; i++)
        standing[i] = ask_and_stand(&world, since);
    test_wait_statistic(world.admin, "sessions", STANDING + 1);
    test_wait_statistic(world.admin, "history.replays", STANDING);
    for (unsigned i = 0; i < READING; i++)
        reading[i] = test_client_new(world.server);
    for (unsigned i = 0; i < READING; i++)
        ids[i] = test_send(reading[i], "subscription.open", "{'types':['host'],'since':%" INT "}", since);
    for (unsigned i = 0; i < READING; i++) {
        g_assert_true(json_object_has_member(test_wait_response(reading[i], ids[i]), "result"));
        expect_changes(reading[i], since + 1, last);
    }
    g_assert_cmpint(test_statistic(world.admin, "sessions"), ==, STANDING + READING + 1);
    int64_t live = write_much(&world, 1);
    for (unsigned i = 0; i < READING; i++) {
        expect_changes(reading[i], live, live);
        test_client_free(reading[i]);
    }
    for (unsigned i = 0; i < STANDING; i++)
        read_and_close(standing[i], since + 1, live);
    world_close(&world);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/resume-history/beyond-the-ring", test_beyond_the_ring);
    g_test_add_func("/integration/resume-history/many-at-once", test_many_at_once);
    g_test_add_func("/integration/resume-history/rights-of-then", test_rights_of_then);
    g_test_add_func("/integration/resume-history/over-a-kill", test_over_a_kill);
    g_test_add_func("/integration/resume-history/over-a-stop", test_over_a_stop);
    g_test_add_func("/integration/resume-history/no-longer-allowed", test_no_longer_allowed);
    g_test_add_func("/integration/resume-history/at-a-proxy", test_at_a_proxy);
    return g_test_run();
}
