/* test-client-library.c - libconfclient against real servers: mirrors that stay true through kill -9,
 * sessions that are taken up again, requests that wait for the server to come back. */
#include "confclient.h"
#include "fixture.h"

#include <string.h>

enum { DEADLINE_S = 30 };

typedef struct {
    TestServer *server;
    ConfcClient *client;
    unsigned connected, resumed, resets, changes, loaded;
    gint64 last_revision;
} Fixture;

static void
note_connected(ConfcClient *client, gboolean resumed, Fixture *fixture)
{
    fixture->connected++;
    fixture->resumed += resumed ? 1 : 0;
}

static void
note_reset(ConfcClient *client, gint64 revision, const char *reason, Fixture *fixture)
{
    fixture->resets++;
}

/* Each transaction once, in order. */
static void
note_changes(ConfcClient *client, JsonObject *changes, Fixture *fixture)
{
    gint64 revision = json_object_get_int_member(changes, "revision");
    g_assert_cmpint(revision, >, fixture->last_revision);
    fixture->last_revision = revision;
    fixture->changes++;
}

static void
note_loaded(ConfcClient *client, gint64 id, gint64 revision, Fixture *fixture)
{
    fixture->loaded++;
}

static gboolean
keep_turning(void *data)
{
    return G_SOURCE_CONTINUE;
}

static void
turn_until(bool (*func)(Fixture *fixture, gint64 wanted), Fixture *fixture, gint64 wanted)
{
    gint64 deadline = g_get_monotonic_time() + DEADLINE_S * G_USEC_PER_SEC;
    guint source = g_timeout_add(50, keep_turning, NULL);
    while (!func(fixture, wanted)) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_main_context_iteration(NULL, TRUE);
    }
    g_source_remove(source);
}

static bool
has_reached(Fixture *fixture, gint64 revision)
{
    return confc_client_get_revision(fixture->client) >= revision;
}

static bool
has_connected(Fixture *fixture, gint64 count)
{
    return fixture->connected >= count;
}

static bool
has_loaded(Fixture *fixture, gint64 count)
{
    return fixture->loaded >= count;
}

static void
set_up(Fixture *fixture, const void *data)
{
    fixture->server = test_primary_new(NULL);
    /* The first address answers nobody. */
    g_autofree char *addresses =
        g_strdup_printf("127.0.0.1:%u,127.0.0.1:%u", test_free_port(), test_server_get_port(fixture->server));
    fixture->client = confc_client_new(addresses);
    g_object_set(fixture->client, "user", "default", "password", TEST_PASSWORD, "application", "confctl",
                 NULL);
    g_signal_connect(fixture->client, "connected", G_CALLBACK(note_connected), fixture);
    g_signal_connect(fixture->client, "reset", G_CALLBACK(note_reset), fixture);
    g_signal_connect(fixture->client, "changes", G_CALLBACK(note_changes), fixture);
    g_signal_connect(fixture->client, "loaded", G_CALLBACK(note_loaded), fixture);
    g_autoptr(GError) error = NULL;
    g_assert_true(confc_client_connect(fixture->client, NULL, &error));
    g_assert_no_error(error);
}

static void
tear_down(Fixture *fixture, const void *data)
{
    confc_client_disconnect(fixture->client);
    g_object_unref(fixture->client);
    test_server_free(fixture->server);
}

static JsonNode *
request(Fixture *fixture, const char *method, const char *params)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strdelimit(g_strdup(params), "'", '"');
    g_autoptr(JsonNode) node = json_from_string(text, NULL);
    JsonNode *result = confc_client_request(fixture->client, method, node, NULL, &error);
    g_assert_no_error(error);
    return result;
}

/* Every object of the mirror is the server's, and no other is there. */
static void
check_mirror(Fixture *fixture, ConfcSubscription *mirror, const char *type)
{
    g_autofree char *params = g_strdup_printf("{%s%s%s'limit':10000}", type != NULL ? "'type':'" : "",
                                              type != NULL ? type : "", type != NULL ? "'," : "");
    g_autoptr(JsonNode) result = request(fixture, "object.list", params);
    JsonArray *objects = json_object_get_array_member(json_node_get_object(result), "objects");
    g_assert_false(json_object_has_member(json_node_get_object(result), "cursor"));
    g_assert_cmpuint(json_array_get_length(objects), ==, confc_subscription_get_count(mirror));
    for (unsigned i = 0; i < json_array_get_length(objects); i++) {
        JsonObject *object = json_array_get_object_element(objects, i);
        JsonObject *held = confc_subscription_lookup(mirror, json_object_get_string_member(object, "type"),
                                                     json_object_get_int_member(object, "dbid"));
        g_assert_nonnull(held);
        g_autoptr(JsonNode) left = json_node_init_object(json_node_alloc(), object);
        g_autoptr(JsonNode) right = json_node_init_object(json_node_alloc(), held);
        if (!json_node_equal(left, right)) {
            g_autofree char *wanted = json_to_string(left, FALSE), *found = json_to_string(right, FALSE);
            g_assert_cmpstr(found, ==, wanted);
        }
    }
}

/* One of the things that clients do; the revision it took. */
static gint64
write_something(TestClient *writer, GRand *random, GArray *applications)
{
    unsigned count = applications->len, kind = count < 3 ? 0 : (unsigned)g_rand_int_range(random, 0, 7);
    unsigned place = count > 0 ? (unsigned)g_rand_int_range(random, 0, (gint32)count) : 0;
    gint64 dbid = count > 0 ? g_array_index(applications, gint64, place) : 0,
           value = g_rand_int_range(random, 1, 50);
    JsonObject *answer = NULL;
    switch (kind) {
    case 0:
        answer = test_call(writer, "object.create",
                           "{'object':{'type':'application','name':'a%u','applicationType':'genericServer',"
                           "'options':{'log':{'verbose':'all'}}}}",
                           g_rand_int(random));
        dbid = json_object_get_int_member(answer, "dbid");
        g_array_append_val(applications, dbid);
        break;
    case 1:
        answer = test_call(writer, "object.update",
                           "{'type':'application','dbid':%" G_GINT64_FORMAT
                           ",'patch':{'version':'%" G_GINT64_FORMAT "','options':{'log':{'x%" G_GINT64_FORMAT
                           "':'y'}}}}",
                           dbid, value, value % 5);
        break;
    case 2:
        answer = test_call(writer, "object.update",
                           "{'type':'application','dbid':%" G_GINT64_FORMAT
                           ",'add':{'ports':[{'id':'p%" G_GINT64_FORMAT "','port':%" G_GINT64_FORMAT "}]}}",
                           dbid, value % 10, value);
        break;
    case 3:
        answer = test_call(writer, "object.update",
                           "{'type':'application','dbid':%" G_GINT64_FORMAT
                           ",'remove':{'ports':['p%" G_GINT64_FORMAT "']}}",
                           dbid, value % 10);
        break;
    case 4:
        answer = test_call(writer, "object.update",
                           "{'type':'application','dbid':%" G_GINT64_FORMAT
                           ",'patch':{'options':null,'annex':{'s':{}}}}",
                           dbid);
        break;
    case 5:
        answer = test_call(writer, "object.update",
                           "{'type':'application','dbid':%" G_GINT64_FORMAT
                           ",'add':{'connections':[{'server':%" G_GINT64_FORMAT
                           ",'localTimeout':%" G_GINT64_FORMAT "}]}}",
                           dbid, g_array_index(applications, gint64, 0), value);
        break;
    default:
        if (place == 0)
            return 0;
        answer =
            test_call(writer, "object.delete", "{'type':'application','dbid':%" G_GINT64_FORMAT "}", dbid);
        g_array_remove_index_fast(applications, place);
    }
    return json_object_get_int_member(answer, "revision");
}

static void
test_mirror(Fixture *fixture, const void *data)
{
    enum { ROUNDS = 4, WRITES = 60 };
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) applications = g_array_new(FALSE, FALSE, sizeof(gint64));
    guint32 seed = (guint32)g_test_rand_int();
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);
    g_test_message("seed %u", seed);
    g_autoptr(ConfcSubscription) all =
        confc_client_subscribe(fixture->client, NULL, CONFC_SUBSCRIPTION_MIRROR, NULL, &error);
    g_assert_no_error(error);
    for (unsigned round = 0; round < ROUNDS; round++) {
        g_autoptr(TestClient) writer = test_client_new(fixture->server);
        gint64 revision = 0;
        for (unsigned i = 0; i < WRITES; i++)
            revision = MAX(revision, write_something(writer, random, applications));
        /* The last round is looked at, the others are broken off in the middle. */
        if (round == ROUNDS - 1) {
            turn_until(has_reached, fixture, revision);
            break;
        }
        unsigned connected = fixture->connected;
        test_server_signal(fixture->server, SIGKILL);
        test_server_start(fixture->server);
        fixture->last_revision = 0;
        turn_until(has_connected, fixture, connected + 1);
    }
    check_mirror(fixture, all, NULL);
    g_assert_true(confc_subscription_is_loaded(all));
}

/* Two mirrors by type beside each other: each takes what is its own. */
static void
test_two_mirrors(Fixture *fixture, const void *data)
{
    g_autoptr(JsonNode) hosts_scope = json_from_string("{\"types\":[\"host\"]}", NULL);
    g_autoptr(JsonNode) persons_scope = json_from_string("{\"types\":[\"person\"]}", NULL);
    g_autoptr(ConfcSubscription) hosts = confc_client_subscribe(
        fixture->client, json_node_get_object(hosts_scope), CONFC_SUBSCRIPTION_MIRROR, NULL, NULL);
    g_autoptr(ConfcSubscription) persons = confc_client_subscribe(
        fixture->client, json_node_get_object(persons_scope), CONFC_SUBSCRIPTION_MIRROR, NULL, NULL);
    turn_until(has_loaded, fixture, 2);
    g_autoptr(JsonNode) host = request(fixture, "object.create", "{'object':{'type':'host','name':'h1'}}");
    g_autoptr(JsonNode) person =
        request(fixture, "object.create", "{'object':{'type':'person','name':'p1'}}");
    /* The answer comes after the notification. */
    g_assert_cmpuint(confc_subscription_get_count(hosts), ==, 1);
    g_assert_cmpuint(confc_subscription_get_count(persons), ==, 2);
    check_mirror(fixture, hosts, "host");
    check_mirror(fixture, persons, "person");
}

/* A transaction of thousands of objects comes in many lines, and is told as one. */
static void
test_large_transaction(Fixture *fixture, const void *data)
{
    enum { COUNT = 3000 };
    g_autoptr(JsonNode) scope = json_from_string("{\"types\":[\"host\"]}", NULL);
    g_autoptr(ConfcSubscription) hosts = confc_client_subscribe(fixture->client, json_node_get_object(scope),
                                                                CONFC_SUBSCRIPTION_MIRROR, NULL, NULL);
    turn_until(has_loaded, fixture, 1);
    g_autofree char *fill = g_strnfill(900, 'x');
    g_autoptr(GString) params = g_string_new("{'operations':[");
    for (unsigned i = 0; i < COUNT; i++)
        g_string_append_printf(
            params, "%s{'op':'create','object':{'type':'host','name':'h%u','annex':{'s':{'k':'%s'}}}}",
            i > 0 ? "," : "", i, fill);
    g_string_append(params, "]}");
    g_autoptr(JsonNode) answer = request(fixture, "transaction", params->str);
    g_assert_cmpuint(fixture->changes, ==, 1);
    g_assert_cmpuint(confc_subscription_get_count(hosts), ==, COUNT);
}

static void
note_result(GObject *source, GAsyncResult *result, void *data)
{
    GAsyncResult **stored = data;
    *stored = g_object_ref(result);
}

/* Asked while the server is away: answered when it is back, in the same session. */
static void
test_request_waits(Fixture *fixture, const void *data)
{
    g_autoptr(GAsyncResult) result = NULL;
    test_server_signal(fixture->server, SIGKILL);
    while (confc_client_is_connected(fixture->client))
        g_main_context_iteration(NULL, TRUE);
    g_autoptr(JsonNode) params = json_from_string("{\"path\":\"/Environment\"}", NULL);
    confc_client_request_async(fixture->client, "object.read", params, NULL, note_result, &result);
    test_server_start(fixture->server);
    turn_until(has_connected, fixture, 2);
    while (result == NULL)
        g_main_context_iteration(NULL, TRUE);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) read = confc_client_request_finish(fixture->client, result, &error);
    g_assert_no_error(error);
}

/* The person is disabled: the session ends, logging in anew is refused, and the client stays away. */
static void
note_disconnected(ConfcClient *client, const GError *error, gboolean will_reconnect, GError **last)
{
    g_clear_error(last);
    if (!will_reconnect)
        *last = g_error_copy(error);
}

static bool
has_given_up(Fixture *fixture, gint64 pointer)
{
    return *(GError **)GSIZE_TO_POINTER((gsize)pointer) != NULL;
}

static void
test_account_ends(Fixture *fixture, const void *data)
{
    g_autoptr(GError) last = NULL, error = NULL;
    g_autoptr(TestClient) admin = test_client_new(fixture->server);
    gint64 dbid = json_object_get_int_member(
        test_call(admin, "object.create", "{'object':{'type':'person','name':'op'}}"), "dbid");
    test_call(admin, "account.setPassword", "{'dbid':%" G_GINT64_FORMAT ",'password':'correct horse'}", dbid);
    test_call(admin, "permission.update",
              "{'path':'/Environment/Applications/confctl','grant':[{'account':{'type':'person',"
              "'dbid':%" G_GINT64_FORMAT "},'rights':['read','execute']}]}",
              dbid);
    g_autofree char *address = g_strdup_printf("127.0.0.1:%u", test_server_get_port(fixture->server));
    g_autoptr(ConfcClient) client = confc_client_new(address);
    g_object_set(client, "user", "op", "password", "correct horse", "application", "confctl", NULL);
    g_signal_connect(client, "disconnected", G_CALLBACK(note_disconnected), &last);
    g_assert_true(confc_client_connect(client, NULL, &error));
    g_assert_no_error(error);
    test_call(admin, "object.update",
              "{'type':'person','dbid':%" G_GINT64_FORMAT ",'patch':{'state':'disabled'}}", dbid);
    turn_until(has_given_up, fixture, (gint64)GPOINTER_TO_SIZE(&last));
    g_assert_error(last, CONFC_ERROR, CONFC_ERROR_LOGIN_REFUSED);
    g_assert_null(confc_client_request(client, "object.read", NULL, NULL, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_NOT_CONNECTED);
}

static bool
is_away(Fixture *fixture, gint64 unused)
{
    return !confc_client_is_connected(fixture->client);
}

static ConfcClient *
client_of(Fixture *fixture, TestServer *server, guint timeout)
{
    g_autofree char *address = g_strdup_printf("127.0.0.1:%u", test_server_get_port(server));
    ConfcClient *client = confc_client_new(address);
    g_object_set(client, "user", "default", "password", TEST_PASSWORD, "application", "confctl",
                 "addp-timeout", timeout, NULL);
    g_signal_connect(client, "connected", G_CALLBACK(note_connected), fixture);
    return client;
}

/* A frozen server is seen within twice the timeout, and the session taken up when it runs again. */
static void
check_keep_alive(guint timeout, bool is_told)
{
    g_autoptr(TestServer) server = test_primary_new("plugins = addp\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    Fixture fixture = {0};
    fixture.client = client_of(&fixture, server, timeout);
    g_autoptr(GError) error = NULL;
    g_assert_true(confc_client_connect(fixture.client, NULL, &error));
    g_assert_no_error(error);
    if (is_told) {
        JsonObject *read = test_call(admin, "object.read", "{'path':'/Environment/Applications/confserv'}");
        gint64 dbid = json_object_get_int_member(json_object_get_object_member(read, "object"), "dbid");
        test_call(
            admin, "object.update",
            "{'path':'/Environment/Applications/confctl','add':{'connections':[{'server':%" G_GINT64_FORMAT
            ",'protocol':'addp','localTimeout':1,'remoteTimeout':2}]}}",
            dbid);
        test_wait_statistic(admin, "addp.active", 1);
        /* Answered after the client has been told. */
        g_autoptr(JsonNode) info = request(&fixture, "server.info", "{}");
    }
    test_sync(admin);
    gint64 begin = g_get_monotonic_time();
    test_server_signal(server, SIGSTOP);
    turn_until(is_away, &fixture, 0);
    gint64 elapsed_ms = (g_get_monotonic_time() - begin) / 1000;
    test_server_signal(server, SIGCONT);
    g_assert_cmpint(elapsed_ms, >=, 1000);
    g_assert_cmpint(elapsed_ms, <=, 4000);
    turn_until(has_connected, &fixture, 2);
    g_assert_cmpuint(fixture.resumed, ==, 1);
    confc_client_disconnect(fixture.client);
    g_object_unref(fixture.client);
}

static void
test_keep_alive(void)
{
    check_keep_alive(1, false);
}

/* Nothing asked for by the program: an administrator says it for the application, while it is connected. */
static void
test_keep_alive_told(void)
{
    check_keep_alive(0, true);
}

#define ADD(name, func) \
    g_test_add("/integration/client-library/" name, Fixture, NULL, set_up, func, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("mirror", test_mirror);
    ADD("two-mirrors", test_two_mirrors);
    ADD("large-transaction", test_large_transaction);
    ADD("request-waits", test_request_waits);
    ADD("account-ends", test_account_ends);
    g_test_add_func("/integration/client-library/keep-alive", test_keep_alive);
    g_test_add_func("/integration/client-library/keep-alive-told", test_keep_alive_told);
    return g_test_run();
}
