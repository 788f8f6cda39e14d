/* test-resume.c - broken sessions taken up again: each missed change once and in order, whatever stood
 * between; and never what the session might not see when it happened. */
#include "mirror.h"

#define INT G_GINT64_FORMAT

typedef struct {
    TestServer *server;
    TestClient *admin;
    char *environment;
} World;

static void
world_open(World *world, const char *options)
{
    world->server = test_primary_new(options);
    world->admin = test_client_new(world->server);
    JsonObject *server = json_object_get_object_member(test_client_get_session(world->admin), "server");
    world->environment = g_strdup(json_object_get_string_member(server, "environment"));
}

static void
world_close(World *world)
{
    test_client_free(world->admin);
    test_server_free(world->server);
    g_free(world->environment);
}

static int64_t
create(World *world, const char *object, int64_t *revision)
{
    JsonObject *result = test_call(world->admin, "object.create", "{'object':%s}", object);
    if (revision != NULL)
        *revision = json_object_get_int_member(result, "revision");
    return json_object_get_int_member(result, "dbid");
}

static int64_t
create_host(World *world, const char *name)
{
    int64_t revision = 0;
    g_autofree char *object = g_strdup_printf("{'type':'host','name':'%s'}", name);
    create(world, object, &revision);
    return revision;
}

static JsonObject *
resume(World *world, TestClient *client, const char *token, int64_t revision, const char *more)
{
    return test_call(client, "session.resume", "{'session':'%s','environment':'%s','revision':%" INT "%s}",
                     token, world->environment, revision, more);
}

static void
test_missed_changes(void)
{
    World world;
    world_open(&world, NULL);
    g_autoptr(TestClient) first = test_client_new(world.server);
    g_autofree char *token = test_client_dup_token(first);
    test_call(first, "subscription.open", "{'types':['host']}");
    int64_t revision = create_host(&world, "seen");
    test_wait_notification(first, "changes");
    test_client_abort(first);
    test_wait_statistic(world.admin, "sessionsBroken", 1);
    int64_t missed[5];
    for (unsigned i = 0; i < G_N_ELEMENTS(missed); i++) {
        g_autofree char *name = g_strdup_printf("missed%u", i);
        missed[i] = create_host(&world, name);
        create(&world, i == 0 ? "{'type':'person','name':'aside'}" : "{'type':'skill','name':'aside'}", NULL);
        if (i > 0)
            test_call(world.admin, "object.delete", "{'type':'skill','name':'aside'}");
    }
    g_autoptr(TestClient) second = test_client_connect(test_server_get_port(world.server));
    JsonObject *result = resume(&world, second, token, revision, "");
    g_assert_cmpint(json_object_get_int_member(result, "missed"), ==, G_N_ELEMENTS(missed));
    g_assert_cmpstr(json_object_get_string_member(result, "session"), ==, token);
    for (unsigned i = 0; i < G_N_ELEMENTS(missed); i++)
        g_assert_cmpint(json_object_get_int_member(test_wait_notification(second, "changes"), "revision"), ==,
                        missed[i]);
    g_assert_false(test_has_notification(second, "changes"));
    /* Live again, and displaced by whoever has the token. */
    g_autoptr(TestClient) third = test_client_connect(test_server_get_port(world.server));
    revision = json_object_get_int_member(test_call(world.admin, "object.count", "{}"), "revision");
    result = resume(&world, third, token, revision, ",'subscriptions':[{'types':['skill']}]");
    g_assert_cmpint(json_object_get_int_member(result, "missed"), ==, 0);
    g_assert_cmpstr(json_object_get_string_member(test_wait_notification(second, "session.ending"), "reason"),
                    ==, "replaced");
    test_client_wait_closed(second);
    create_host(&world, "unwanted");
    int64_t wanted = 0;
    create(&world, "{'type':'skill','name':'wanted'}", &wanted);
    g_assert_cmpint(json_object_get_int_member(test_wait_notification(third, "changes"), "revision"), ==,
                    wanted);
    /* A closed session is gone. */
    test_call(third, "session.close", "{}");
    g_autoptr(TestClient) fourth = test_client_connect(test_server_get_port(world.server));
    test_call_error(fourth, -32003, "session.resume",
                    "{'session':'%s','environment':'%s','revision':%" INT "}", token, world.environment,
                    wanted);
    world_close(&world);
}

static void
test_other_history(void)
{
    World world;
    world_open(&world, NULL);
    g_autoptr(TestClient) first = test_client_new(world.server);
    g_autofree char *token = test_client_dup_token(first);
    test_call(first, "subscription.open", "{'types':['host']}");
    int64_t revision = create_host(&world, "one");
    /* Another lineage is told at once, however far ahead its revisions are. */
    int64_t began = g_get_monotonic_time();
    g_autoptr(TestClient) second = test_client_connect(test_server_get_port(world.server));
    JsonObject *error = test_call_error(second, -32011, "session.resume",
                                        "{'session':'%s','environment':'%s','revision':1000000}", token,
                                        "00000000-0000-4000-8000-000000000000");
    g_assert_cmpint(g_get_monotonic_time() - began, <, 4 * G_USEC_PER_SEC);
    g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(error, "data"), "revision"), ==,
                    revision);
    /* The session stands, live. */
    revision = create_host(&world, "two");
    g_assert_cmpint(json_object_get_int_member(test_wait_notification(second, "changes"), "revision"), ==,
                    revision);
    g_autoptr(TestClient) third = test_client_connect(test_server_get_port(world.server));
    test_call_error(third, -32011, "session.resume",
                    "{'session':'%s','environment':'%s','revision':%" INT ",'chain':'%s'}", token,
                    world.environment, revision, "0123456789abcdef");
    world_close(&world);
}

/* A person whose groups change while its session replays: what lies before is not sent with the rights of
 * now. */
static void
test_no_past_with_rights_of_now(void)
{
    enum { BULK = 150, SIZE = 100000 }; /* more than both sockets take */
    World world;
    world_open(&world, NULL);
    int64_t person = create(&world, "{'type':'person','name':'reader'}", NULL);
    test_call(world.admin, "account.setPassword", "{'dbid':%" INT ",'password':'pw'}", person);
    test_call(world.admin, "permission.update",
              "{'type':'application','name':'confctl','grant':[{'account':{'type':'person',"
              "'dbid':%" INT "},'rights':['execute']}]}",
              person);
    int64_t group = create(&world, "{'type':'accessGroup','name':'later','kind':'custom'}", NULL);
    int64_t open = create(&world, "{'type':'host','name':'open'}", NULL);
    test_call(world.admin, "permission.update",
              "{'type':'host','name':'open','grant':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['read']}]}",
              person);
    int64_t hidden = create(&world, "{'type':'host','name':'hidden'}", NULL);
    JsonObject *result = test_call(world.admin, "permission.update",
                                   "{'type':'host','name':'hidden','grant':[{'account':"
                                   "{'type':'accessGroup','dbid':%" INT "},'rights':['read']}]}",
                                   group);
    int64_t since = json_object_get_int_member(result, "revision");
    g_autofree char *bulk = g_strnfill(SIZE, 'x');
    for (unsigned i = 0; i < BULK; i++)
        test_call(world.admin, "object.update",
                  "{'type':'host','dbid':%" INT ",'patch':{'annex':{'a':{'k':'%u%s'}}}}", open, i, bulk);
    test_call(world.admin, "object.update",
              "{'type':'host','dbid':%" INT ",'patch':{'address':'told-to-nobody'}}", hidden);
    test_call(world.admin, "object.update", "{'type':'host','dbid':%" INT ",'patch':{'address':'later'}}",
              hidden);
    g_autoptr(TestClient) reader = test_client_new_as(world.server, "reader", "pw", "confctl");
    int64_t id = test_send(reader, "subscription.open", "{'since':%" INT "}", since);
    test_wait_response(reader, id); /* The replay has begun; nobody reads it. */
    result = test_call(world.admin, "object.update",
                       "{'type':'accessGroup','dbid':%" INT ",'add':{'members':[%" INT "]}}", group, person);
    int64_t joined = json_object_get_int_member(result, "revision");
    JsonObject *reset = test_wait_notification(reader, "subscription.reset");
    g_assert_cmpint(json_object_get_int_member(reset, "revision"), ==, joined);
    g_assert_cmpstr(json_object_get_string_member(reset, "reason"), ==, "permission");
    g_assert_false(test_client_has_seen(reader, "told-to-nobody"));
    result = test_call(world.admin, "object.update",
                       "{'type':'host','dbid':%" INT ",'patch':{'address':'now'}}", hidden);
    do
        reset = test_wait_notification(reader, "changes");
    while (json_object_get_int_member(reset, "revision") < joined);
    g_assert_cmpint(json_object_get_int_member(reset, "revision"), ==, joined + 1);
    world_close(&world);
}

/* A client that is cut off again and again keeps a true mirror, by nothing but resumption. */
static void
test_mirror_over_cuts(void)
{
    World world;
    world_open(&world, "view-change-max = 4");
    JsonObject *root = test_call(world.admin, "object.read", "{'path':'/Environment/Hosts'}");
    int64_t folder = json_object_get_int_member(json_object_get_object_member(root, "object"), "dbid");
    g_autofree char *inner = g_strdup_printf("{'type':'folder','name':'inner','folder':%" INT "}", folder);
    int64_t folders[2] = {folder, create(&world, inner, NULL)};
    int64_t person = create(&world, "{'type':'person','name':'reader'}", NULL);
    test_call(world.admin, "account.setPassword", "{'dbid':%" INT ",'password':'pw'}", person);
    test_call(world.admin, "permission.update",
              "{'type':'application','name':'confctl','grant':[{'account':{'type':'person',"
              "'dbid':%" INT "},'rights':['execute']}]}",
              person);
    int64_t hosts[12];
    for (unsigned i = 0; i < G_N_ELEMENTS(hosts); i++) {
        g_autofree char *object =
            g_strdup_printf("{'type':'host','name':'h%u','folder':%" INT "}", i, folders[i % 2]);
        hosts[i] = create(&world, object, NULL);
    }
    Mirror *mirror = mirror_new();
    TestClient *reader = test_client_new_as(world.server, "reader", "pw", "confctl");
    g_autofree char *token = test_client_dup_token(reader);
    test_call(reader, "subscription.open", "{'initial':true}");
    mirror_follow(mirror, reader);
    for (unsigned round = 0; round < 60; round++) {
        test_client_abort(reader);
        test_client_free(reader);
        for (unsigned i = 0; i < 6; i++) {
            int64_t host = hosts[g_test_rand_int_range(0, G_N_ELEMENTS(hosts))];
            int choice = g_test_rand_int_range(0, 4);
            if (choice == 0)
                test_call(world.admin, "permission.update",
                          "{'type':'folder','dbid':%" INT ",'%s':[{'account':{'type':'person',"
                          "'dbid':%" INT "},'rights':['read']}]}",
                          folders[g_test_rand_bit()], g_test_rand_bit() ? "grant" : "revoke", person);
            else if (choice == 1)
                test_call(world.admin, "object.update",
                          "{'type':'host','dbid':%" INT ",'patch':{'folder':%" INT "}}", host,
                          folders[g_test_rand_bit()]);
            else
                test_call(world.admin, "object.update",
                          "{'type':'host','dbid':%" INT ",'patch':{'address':'%u-%u'}}", host, round, i);
        }
        reader = test_client_connect(test_server_get_port(world.server));
        resume(&world, reader, token, mirror->revision, "");
        mirror_follow(mirror, reader);
        mirror_compare(mirror, reader, "after a cut");
    }
    g_assert_cmpuint(mirror->resets, >, 0);
    test_client_free(reader);
    mirror_free(mirror);
    world_close(&world);
}

/* A mirror whose walk was cut: what is missing comes with the resumption, and what was deleted meanwhile
 * goes. */
static void
test_cut_walk(void)
{
    enum { HOSTS = 2500, SIZE = 4000 };
    World world;
    world_open(&world, NULL);
    g_autofree char *filling = g_strnfill(SIZE, 'x');
    g_autoptr(GString) operations = g_string_new(NULL);
    for (unsigned i = 0; i < HOSTS; i++)
        g_string_append_printf(
            operations, "%s{'op':'create','object':{'type':'host','name':'h%u','annex':{'a':{'k':'%s'}}}}",
            i > 0 ? "," : "", i, filling);
    test_call(world.admin, "transaction", "{'operations':[%s]}", operations->str);
    /* How much the client took before the cut; whether it names its subscriptions anew. */
    static const struct {
        unsigned lines;
        const char *more;
        bool whole;
    } cases[] = {
        {0, "", false},
        {3, "", false},
        {3, ",'subscriptions':[{'initial':true}]", false},
        {1, ",'subscriptions':[{'types':['host','folder','person'],'initial':true}]", true},
    };
    for (unsigned round = 0; round < G_N_ELEMENTS(cases); round++) {
        g_autoptr(TestClient) first = test_client_new(world.server);
        g_autofree char *token = test_client_dup_token(first);
        Mirror *mirror = mirror_new();
        JsonObject *opened = test_call(first, "subscription.open", "{%s}",
                                       cases[round].whole ? "'types':['skill']" : "'initial':true");
        mirror->revision = json_object_get_int_member(opened, "revision");
        for (unsigned i = 0; i < cases[round].lines && !cases[round].whole; i++)
            mirror_take(mirror, "subscription.objects",
                        test_wait_notification(first, "subscription.objects"));
        test_client_abort(first);
        test_wait_statistic(world.admin, "sessionsBroken", 1);
        /* The first ones are in the mirror already, the last ones not yet. */
        test_call(world.admin, "object.delete", "{'type':'host','name':'h%u'}", round);
        test_call(world.admin, "object.delete", "{'type':'host','name':'h%u'}", HOSTS - 1 - round);
        test_call(world.admin, "object.update", "{'type':'host','name':'h%u','patch':{'address':'a%u'}}", 10u,
                  round);
        g_autoptr(TestClient) second = test_client_connect(test_server_get_port(world.server));
        JsonObject *result = resume(&world, second, token, mirror->revision, cases[round].more);
        g_assert_cmpint(json_object_get_int_member(result, "missed"), ==, 3);
        create_host(&world, round % 2 == 0 ? "even" : "odd"); /* Live beside the walk. */
        test_call(world.admin, "object.delete", "{'type':'host','name':'%s'}",
                  round % 2 == 0 ? "even" : "odd");
        mirror_follow(mirror, second);
        if (!cases[round].whole)
            mirror_compare(mirror, second, "after a cut walk");
        else
            g_assert_cmpuint(g_hash_table_size(mirror->objects), >, HOSTS - 10);
        test_call(second, "session.close", "{}");
        test_wait_statistic(world.admin, "sessionsBroken", 0);
        mirror_free(mirror);
    }
    world_close(&world);
}

/* The line that says that all was loaded may be lost, too; once a later change has come it was not. */
static void
test_cut_behind_walk(void)
{
    World world;
    world_open(&world, NULL);
    g_autoptr(TestClient) first = test_client_new(world.server);
    g_autofree char *token = test_client_dup_token(first);
    int64_t revision = json_object_get_int_member(
        test_call(first, "subscription.open", "{'types':['host'],'initial':true}"), "revision");
    test_sync(world.admin);
    test_sync(world.admin);
    test_client_abort(first);
    test_wait_statistic(world.admin, "sessionsBroken", 1);
    g_autoptr(TestClient) second = test_client_connect(test_server_get_port(world.server));
    resume(&world, second, token, revision, "");
    test_wait_notification(second, "subscription.loaded");
    revision = create_host(&world, "later");
    test_wait_notification(second, "changes");
    test_client_abort(second);
    test_wait_statistic(world.admin, "sessionsBroken", 1);
    g_autoptr(TestClient) third = test_client_connect(test_server_get_port(world.server));
    resume(&world, third, token, revision, "");
    create_host(&world, "last");
    test_wait_notification(third, "changes");
    g_assert_false(test_has_notification(third, "subscription.loaded"));
    world_close(&world);
}

/* Who asks at once, and is ahead of the server, is answered when that has waited, however short login-timeout
 * is; and can ask again. */
static void
test_behind_for_long(void)
{
    World world;
    world_open(&world, "login-timeout = 1");
    g_autoptr(TestClient) first = test_client_new(world.server);
    g_autofree char *token = test_client_dup_token(first);
    int64_t revision = create_host(&world, "seen");
    test_client_abort(first);
    test_wait_statistic(world.admin, "sessionsBroken", 1);
    g_autoptr(TestClient) second = test_client_connect(test_server_get_port(world.server));
    test_call_error(second, -32013, "session.resume",
                    "{'session':'%s','environment':'%s','revision':%" INT "}", token, world.environment,
                    revision + 1000);
    JsonObject *result = resume(&world, second, token, revision, "");
    g_assert_cmpint(json_object_get_int_member(result, "missed"), ==, 0);
    world_close(&world);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/resume/missed-changes", test_missed_changes);
    g_test_add_func("/integration/resume/other-history", test_other_history);
    g_test_add_func("/integration/resume/no-past-with-rights-of-now", test_no_past_with_rights_of_now);
    g_test_add_func("/integration/resume/mirror-over-cuts", test_mirror_over_cuts);
    g_test_add_func("/integration/resume/cut-walk", test_cut_walk);
    g_test_add_func("/integration/resume/cut-behind-walk", test_cut_behind_walk);
    g_test_add_func("/integration/resume/behind-for-long", test_behind_for_long);
    return g_test_run();
}
