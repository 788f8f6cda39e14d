/* test-plugins-history.c - reads of the past (asOf) by what a plugin that provides "history" holds. */
#include "history-model.h"
#include "plugins.h"

#include <poll.h>

static int64_t
create(TestClient *client, const char *type, const char *name, const char *more)
{
    JsonObject *created =
        test_call(client, "object.create", "{'object':{'type':'%s','name':'%s'%s}}", type, name, more);
    return json_object_get_int_member(created, "dbid");
}

static void
grant(TestClient *admin, const char *place, int64_t person, const char *rights)
{
    test_call(admin, "permission.update",
              "{%s,'grant':[{'account':{'type':'person','dbid':%" G_GINT64_FORMAT "},'rights':[%s]}]}", place,
              person, rights);
}

static int64_t
add_person(TestClient *admin, const char *name)
{
    int64_t dbid = create(admin, "person", name, "");
    test_call(admin, "account.setPassword", "{'dbid':%" G_GINT64_FORMAT ",'password':'pw'}", dbid);
    grant(admin, "'type':'application','name':'confctl'", dbid, "'read','execute'");
    return dbid;
}

/* At once, and from an answer that comes late and does not know the last commits. */
static void
test_model(void)
{
    static const char *const modes[] = {NULL, "[t-history]\nlate = yes\n"};
    for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++) {
        g_autoptr(TestServer) server = test_primary_with("t-history", modes[i]);
        test_history_model(server, server, 7 + i, 40, i == 0 ? 10 : 4);
    }
}

static void
test_params(void)
{
    g_autoptr(TestServer) plain = test_primary_new(NULL);
    g_autoptr(TestClient) nobody = test_client_new(plain);
    test_call_error(nobody, -32602, "object.read", "{'type':'tenant','dbid':1,'asOf':1}");
    test_call_error(nobody, -32602, "object.list", "{'asOf':1}");
    g_autoptr(TestServer) server = test_primary_with("t-history", NULL);
    g_autoptr(TestClient) client = test_client_new(server);
    create(client, "host", "h0", "");
    int64_t host = create(client, "host", "h1", ""), first = test_history_revision(client);
    /* Nothing before the first commit is held. */
    JsonObject *error =
        test_call_error(client, -32011, "object.list", "{'asOf':%" G_GINT64_FORMAT "}", first - 2);
    g_assert_cmpint(json_object_get_int_member(json_object_get_object_member(error, "data"), "oldest"), ==,
                    first - 1);
    test_call_error(client, -32011, "object.read", "{'type':'host','name':'h1','asOf':%" G_GINT64_FORMAT "}",
                    first - 2);
    static const char *const wrong[] = {"0", "-1", "1.5", "'1'", "null", "true", "[]", "9007199254740991"};
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        test_call_error(client, -32602, "object.list", "{'asOf':%s}", wrong[i]);
        test_call_error(client, -32602, "object.read", "{'type':'tenant','dbid':1,'asOf':%s}", wrong[i]);
    }
    test_call_error(client, -32602, "object.count", "{'asOf':%" G_GINT64_FORMAT "}", first);
    test_call_error(client, -32602, "object.read", "{'type':'nonsense','dbid':1,'asOf':%" G_GINT64_FORMAT "}",
                    first);
    test_call_error(client, -32602, "object.read", "{'asOf':%" G_GINT64_FORMAT "}", first);
    test_call_error(client, -32602, "object.read",
                    "{'type':'host','name':'h1','fields':['no'],'asOf':%" G_GINT64_FORMAT "}", first);
    test_call_error(client, -32004, "object.read",
                    "{'type':'host','dbid':%" G_GINT64_FORMAT ",'asOf':%" G_GINT64_FORMAT "}", host,
                    first - 1);
    /* A cursor is of one revision. */
    create(client, "host", "h2", "");
    JsonObject *page = test_call(client, "object.list", "{'limit':1,'asOf':%" G_GINT64_FORMAT "}", first);
    g_assert_false(json_object_has_member(page, "chain"));
    g_autofree char *cursor = g_strdup(json_object_get_string_member(page, "cursor"));
    test_call_error(client, -32602, "object.list", "{'cursor':'%s','asOf':%" G_GINT64_FORMAT "}", cursor,
                    first - 1);
    test_call(client, "object.list", "{'cursor':'%s','asOf':%" G_GINT64_FORMAT "}", cursor, first);
    /* The present is a past, too. */
    test_call(client, "object.read", "{'type':'host','name':'h2','asOf':%" G_GINT64_FORMAT "}", first + 1);
    test_call(client, "object.list", "{'asOf':%" G_GINT64_FORMAT ",'minRevision':%" G_GINT64_FORMAT "}",
              first + 1, first + 1);
}

/* Rights of now decide; of what is gone, the last ones. */
static void
test_rights(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-history, t-visible", NULL);
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t ann = add_person(admin, "ann"), blind = add_person(admin, "blind-bob");
    int64_t host[5];
    for (unsigned i = 0; i < G_N_ELEMENTS(host); i++) {
        g_autofree char *name = g_strdup_printf("%s%u", i == 4 ? "dark" : "secret", i);
        host[i] = create(admin, "host", name, "");
    }
    grant(admin, "'path':'/Environment/Hosts'", blind, "'read'");
    int64_t then = test_history_revision(admin);
    static const char *const renamed = "{'type':'host','dbid':%" G_GINT64_FORMAT ",'patch':{'name':'now%u'}}";
    for (unsigned i = 0; i < G_N_ELEMENTS(host); i++)
        test_call(admin, "object.update", renamed, host[i], i);
    /* 0: hidden; 1: readable now; 2: gone, was hidden; 3: gone, was readable at its end. */
    for (unsigned i = 1; i < 4; i += 2) {
        g_autofree char *place = g_strdup_printf("'type':'host','dbid':%" G_GINT64_FORMAT, host[i]);
        grant(admin, place, ann, "'read'");
    }
    for (unsigned i = 2; i < 4; i++)
        test_call(admin, "object.delete", "{'type':'host','dbid':%" G_GINT64_FORMAT "}", host[i]);
    g_autoptr(TestClient) client = test_client_new_as(server, "ann", "pw", "confctl");
    g_autofree char *list = test_history_list(client, "'type':'host','fields':['name']", then, 1);
    g_assert_nonnull(strstr(list, "\"secret1\""));
    g_assert_nonnull(strstr(list, "\"secret3\""));
    for (unsigned i = 0; i < G_N_ELEMENTS(host); i++) {
        bool may = i == 1 || i == 3;
        const char *stem = i == 4 ? "dark" : "secret";
        g_autofree char *by_dbid = g_strdup_printf("'type':'host','dbid':%" G_GINT64_FORMAT, host[i]);
        g_autofree char *by_name = g_strdup_printf("'type':'host','name':'%s%u'", stem, i);
        g_autofree char *by_path = g_strdup_printf("'path':'/Environment/Hosts/%s%u'", stem, i);
        const char *const by[] = {by_dbid, by_name, by_path};
        for (unsigned k = 0; k < G_N_ELEMENTS(by); k++) {
            if (may)
                test_call(client, "object.read", "{%s,'asOf':%" G_GINT64_FORMAT "}", by[k], then);
            else
                test_call_error(client, -32004, "object.read", "{%s,'asOf':%" G_GINT64_FORMAT "}", by[k],
                                then);
        }
    }
    static const char *const hidden[] = {"\"secret0\"", "\"secret2\"", "\"dark4\"", "\"now0\""};
    for (unsigned i = 0; i < G_N_ELEMENTS(hidden); i++)
        g_assert_false(test_client_has_seen(client, hidden[i]));
    /* What a plugin hides is hidden in the past: by what it is now, or was at last. */
    test_call(admin, "object.update", "{'type':'host','dbid':%" G_GINT64_FORMAT ",'patch':{'name':'dark'}}",
              host[0]);
    g_autoptr(TestClient) bob = test_client_new_as(server, "blind-bob", "pw", "confctl");
    g_autofree char *seen = test_history_list(bob, "'type':'host','fields':['name']", then, 100);
    g_assert_null(strstr(seen, "\"secret0\""));
    g_assert_nonnull(strstr(seen, "\"dark4\""));
    /* The provider is told who looked. */
    g_autoptr(TestClient) manager = test_manager_new(server);
    g_autofree char *events = test_events(manager, "t-history.events");
    g_assert_nonnull(strstr(events, "ann object.list {"));
    g_assert_nonnull(strstr(events, "ann object.read {"));
    g_assert_nonnull(strstr(events, "blind-bob object.list {"));
}

/* Somebody goes while the past is being fetched; the history breaks; the server stops meanwhile. */
static void
test_breaks(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-history", "[t-history]\nlate = yes\n");
    g_autoptr(TestClient) client = test_client_new(server);
    create(client, "host", "h1", "");
    int64_t then = test_history_revision(client);
    create(client, "host", "h2", "");
    test_call(client, "object.update", "{'type':'host','name':'h1','patch':{'address':'1'}}");
    for (unsigned i = 0; i < 3; i++) {
        static const char *const asked[] = {"'path':'/Environment/Hosts/h1'", "'type':'host','dbid':101",
                                            "'type':'host'"};
        TestClient *going = test_client_new(server);
        test_send(going, i < 2 ? "object.read" : "object.list", "{%s,'asOf':%" G_GINT64_FORMAT "}", asked[i],
                  then);
        test_client_abort(going);
        test_client_free(going);
    }
    int64_t fetched = test_statistic(client, "t-history.lists");
    g_autofree char *list = test_history_list(client, "'type':'host'", then, 10);
    g_assert_nonnull(strstr(list, "\"h1\""));
    /* Kept, and shared. */
    g_autofree char *again = test_history_list(client, "'type':'host'", then, 1);
    g_assert_cmpstr(again, ==, list);
    g_assert_cmpint(test_statistic(client, "t-history.lists"), <=, fetched + 1);
    test_send(client, "object.list", "{'asOf':%" G_GINT64_FORMAT "}", then - 1);
    test_sync(client);
    g_autoptr(TestServer) broken = test_primary_with("t-history", "[t-history]\nbroken = yes\n");
    g_autoptr(TestClient) other = test_client_new(broken);
    create(other, "host", "h1", "");
    then = test_history_revision(other);
    create(other, "host", "h2", "");
    test_call_error(other, -32013, "object.list", "{'asOf':%" G_GINT64_FORMAT "}", then);
    test_call_error(other, -32013, "object.read", "{'type':'host','name':'h1','asOf':%" G_GINT64_FORMAT "}",
                    then);
    test_call(other, "object.read", "{'type':'host','name':'h1'}");
}

/* A history is told where the data stand and what it misses, at start and when it asks. */
static void
test_feed(void)
{
    g_autoptr(TestServer) server = test_primary_with("t-history", NULL);
    {
        g_autoptr(TestClient) client = test_manager_new(server);
        g_autofree char *told = test_wait_event(client, "t-history.events", "position");
        g_assert_nonnull(strstr(told, "position 36 1 16, revision 0"));
        g_autoptr(TestClient) admin = test_client_new(server);
        for (unsigned i = 0; i < 5; i++) {
            g_autofree char *name = g_strdup_printf("feed%u", i);
            create(admin, "host", name, "");
        }
    }
    test_server_signal(server, SIGTERM);
    test_server_start(server);
    g_autoptr(TestClient) client = test_manager_new(server);
    test_call(client, "t-history.changes", "{'after':3}");
    g_autofree char *some = test_wait_event(client, "t-history.events", "changes from");
    g_assert_nonnull(strstr(some, "caught up to 6"));
    g_assert_nonnull(strstr(some, "3 changes from 4, whole"));
    test_call(client, "t-history.changes", "{'after':6}");
    g_autofree char *none = test_wait_event(client, "t-history.events", "changes from");
    g_assert_nonnull(strstr(none, "0 changes from 0"));
    /* A proxy has no database, and is told where it stands once it has loaded. */
    g_autoptr(TestServer) proxy = test_proxy_with(server, "proxy1", "t-history", NULL);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    test_call(reader, "t-history.changes", "{'after':3}");
    g_autofree char *refused = test_wait_event(reader, "t-history.events", "no changes");
    g_assert_nonnull(strstr(refused, "position 36 7 16, revision 0"));
    g_assert_nonnull(strstr(refused, "no changes: 4"));
}

/* Waits for the error, and reads now and then: the server has time for others.  Seconds that it took. */
static double
wait_error(TestClient *client, int64_t id, TestClient *other, int code)
{
    int64_t begun = g_get_monotonic_time();
    JsonObject *response = NULL;
    while (response == NULL) {
        int64_t asked = g_get_monotonic_time();
        test_call(other, "object.read", "{'type':'host','name':'h1','fields':['name']}");
        g_assert_cmpint(g_get_monotonic_time() - asked, <, 5 * G_USEC_PER_SEC);
        struct pollfd poll_fd = {.fd = test_client_get_fd(client), .events = POLLIN};
        if (poll(&poll_fd, 1, 500) > 0)
            response = test_wait_response(client, id);
        g_assert_cmpint(g_get_monotonic_time() - begun, <, 60 * G_USEC_PER_SEC);
    }
    JsonObject *error = json_object_get_object_member(response, "error");
    g_assert_nonnull(error);
    g_assert_cmpint(json_object_get_int_member(error, "code"), ==, code);
    if (code == -32011) {
        JsonObject *data = json_object_get_object_member(error, "data");
        int64_t oldest = json_object_get_int_member(data, "oldest");
        /* Whatever the provider says of it, it is not above where the memory begins. */
        g_assert_cmpint(oldest, >, 0);
        g_assert_cmpint(oldest, <=, json_object_get_int_member(data, "revision"));
    }
    return (double)(g_get_monotonic_time() - begun) / G_USEC_PER_SEC;
}

/* A history that does not answer in time: everybody who asked it is answered all the same, the others
 * notice nothing, and what it says later is said to nobody. */
static void
test_slow(void)
{
    enum { ASKED = 5 };
    g_autoptr(TestServer) server =
        test_primary_with("t-history", "recent-changes = 1048576\n[t-history]\nslow = 33000\n");
    g_autoptr(TestClient) client = test_client_new(server);
    create(client, "host", "h1", "");
    int64_t then = test_history_revision(client);
    g_autoptr(TestClient) broken = test_client_new(server);
    test_call(broken, "subscription.open", "{'types':['host']}");
    g_autofree char *token = test_client_dup_token(broken),
                    *environment = test_client_dup_environment(broken);
    test_client_abort(broken);
    /* More than the memory holds. */
    g_autofree char *filling = g_strnfill(600000, 'x');
    for (unsigned i = 0; i < 3; i++)
        test_call(client, "object.update", "{'type':'host','name':'h1','patch':{'annex':{'a':{'k':'%u%s'}}}}",
                  i, filling);
    int64_t present = test_history_revision(client);
    TestClient *asking[ASKED];
    int64_t ids[ASKED];
    for (unsigned i = 0; i < ASKED; i++)
        asking[i] = i < 2 ? test_client_connect(test_server_get_port(server)) : test_client_new(server);
    static const char *const resume = "{'session':'%s','environment':'%s','revision':%" G_GINT64_FORMAT "}";
    int64_t begun = g_get_monotonic_time();
    ids[0] =
        test_send(asking[0], "session.resume", resume, "0123456789abcdef0123456789abcdef", environment, then);
    ids[1] = test_send(asking[1], "session.resume", resume, token, environment, then);
    ids[2] = test_send(asking[2], "subscription.open", "{'since':%" G_GINT64_FORMAT "}", then);
    ids[3] =
        test_send(asking[3], "object.read", "{'type':'host','dbid':101,'asOf':%" G_GINT64_FORMAT "}", then);
    ids[4] = test_send(asking[4], "object.list", "{'type':'host','asOf':%" G_GINT64_FORMAT "}", then);
    static const int codes[ASKED] = {-32003, -32011, -32011, -32013, -32013};
    g_assert_cmpfloat(wait_error(asking[0], ids[0], client, codes[0]), <, 10);
    for (unsigned i = 1; i < ASKED; i++)
        wait_error(asking[i], ids[i], client, codes[i]);
    double took = (double)(g_get_monotonic_time() - begun) / G_USEC_PER_SEC;
    g_assert_cmpfloat(took, >, 20);
    int64_t answered = test_statistic(client, "t-history.answered");
    test_wait_statistic(client, "t-history.answered", answered + ASKED - 1);
    /* The one that was resumed lives from the present on, and so does the other by a subscription. */
    test_call(asking[2], "subscription.open", "{'types':['host']}");
    test_call(client, "object.update", "{'type':'host','name':'h1','patch':{'annex':null}}");
    for (unsigned i = 1; i < 3; i++) {
        JsonObject *changes = test_wait_notification(asking[i], "changes");
        g_assert_cmpint(json_object_get_int_member(changes, "revision"), ==, present + 1);
        g_assert_false(test_has_notification(asking[i], "changes"));
    }
    for (unsigned i = 0; i < ASKED; i++)
        test_client_free(asking[i]);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/plugins/history/model", test_model);
    g_test_add_func("/integration/plugins/history/params", test_params);
    g_test_add_func("/integration/plugins/history/rights", test_rights);
    g_test_add_func("/integration/plugins/history/breaks", test_breaks);
    g_test_add_func("/integration/plugins/history/feed", test_feed);
    g_test_add_func("/integration/plugins/history/slow", test_slow);
    return g_test_run();
}
