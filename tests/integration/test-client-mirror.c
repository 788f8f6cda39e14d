/* test-client-mirror.c - mirrors of libconfclient through breaks of the connection alone: the session goes
 * on, or history is gone, or the present objects had only half come, or all of it has to be read anew. */
#include "confclient.h"
#include "fixture.h"
#include "pki.h"
#include "tls-relay.h"

#include <string.h>

enum { DEADLINE_S = 60, MANY = 3000 };

typedef struct {
    TestServer *server;
    TestPki *pki;
    TlsRelay *relay; /* between client and server: what is cut */
    uint16_t port;
    TestClient *admin;
    ConfcClient *client;
    ConfcSubscription *mirror;
    unsigned connected, resumed, resets, loaded, objects;
    gint64 told; /* the last revision */
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
    fixture->told = 0;
}

static void
note_loaded(ConfcClient *client, gint64 id, gint64 revision, Fixture *fixture)
{
    fixture->loaded++;
}

static void
note_objects(ConfcClient *client, gint64 id, JsonArray *objects, Fixture *fixture)
{
    fixture->objects += json_array_get_length(objects);
}

/* Each transaction once, in order. */
static void
note_changes(ConfcClient *client, JsonObject *changes, Fixture *fixture)
{
    gint64 revision = json_object_get_int_member(changes, "revision");
    g_assert_cmpint(revision, >, fixture->told);
    fixture->told = revision;
}

static void
open_relay(Fixture *fixture)
{
    const TlsRelayOptions options = {.certificate = test_pki_path(fixture->pki, "server.pem"),
                                     .key = test_pki_path(fixture->pki, "server.key"),
                                     .port = fixture->port};
    fixture->relay = tls_relay_new(test_server_get_port(fixture->server), &options);
    fixture->port = tls_relay_get_port(fixture->relay);
}

static void
close_relay(Fixture *fixture)
{
    g_clear_pointer(&fixture->relay, tls_relay_free);
}

static void
turn_until(Fixture *fixture, const unsigned *count, unsigned wanted)
{
    gint64 deadline = g_get_monotonic_time() + DEADLINE_S * G_USEC_PER_SEC;
    while (*count < wanted) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_main_context_iteration(NULL, FALSE);
        g_usleep(500);
    }
}

static void
turn_until_away(Fixture *fixture)
{
    gint64 deadline = g_get_monotonic_time() + DEADLINE_S * G_USEC_PER_SEC;
    while (confc_client_is_connected(fixture->client)) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_main_context_iteration(NULL, FALSE);
        g_usleep(500);
    }
}

/* All that came until now: an answer comes after everything before it. */
static void
settle(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) params = json_from_string("{\"path\":\"/Environment\"}", NULL);
    g_autoptr(JsonNode) answer = confc_client_request(fixture->client, "object.read", params, NULL, &error);
    g_assert_no_error(error);
}

static void
check_mirror(Fixture *fixture)
{
    unsigned count = 0;
    g_autofree char *cursor = g_strdup("");
    settle(fixture);
    g_assert_true(confc_subscription_is_loaded(fixture->mirror));
    do {
        g_autofree char *text = g_strdup_printf("{\"type\":\"host\",\"limit\":1000%s}", cursor);
        g_autoptr(JsonNode) params = json_from_string(text, NULL);
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonNode) page = confc_client_request(fixture->client, "object.list", params, NULL, &error);
        g_assert_no_error(error);
        JsonObject *answer = json_node_get_object(page);
        JsonArray *objects = json_object_get_array_member(answer, "objects");
        for (unsigned i = 0; i < json_array_get_length(objects); i++) {
            JsonObject *object = json_array_get_object_element(objects, i);
            JsonObject *held = confc_subscription_lookup(fixture->mirror, "host",
                                                         json_object_get_int_member(object, "dbid"));
            g_assert_nonnull(held);
            g_autoptr(JsonNode) left = json_node_init_object(json_node_alloc(), object);
            g_autoptr(JsonNode) right = json_node_init_object(json_node_alloc(), held);
            g_assert_true(json_node_equal(left, right));
            count++;
        }
        g_free(cursor);
        cursor = json_object_has_member(answer, "cursor")
                     ? g_strdup_printf(",\"cursor\":\"%s\"", json_object_get_string_member(answer, "cursor"))
                     : NULL;
    } while (cursor != NULL);
    g_assert_cmpuint(confc_subscription_get_count(fixture->mirror), ==, count);
}

static void
connect_as(Fixture *fixture, const char *user, const char *password)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *address = g_strdup_printf("127.0.0.1:%u", fixture->port);
    g_autoptr(JsonNode) scope = json_from_string("{\"types\":[\"host\"]}", NULL);
    fixture->client = confc_client_new(address);
    g_object_set(fixture->client, "user", user, "password", password, "application", "confctl", "tls-ca",
                 test_pki_path(fixture->pki, "ca.pem"), NULL);
    g_signal_connect(fixture->client, "connected", G_CALLBACK(note_connected), fixture);
    g_signal_connect(fixture->client, "reset", G_CALLBACK(note_reset), fixture);
    g_signal_connect(fixture->client, "changes", G_CALLBACK(note_changes), fixture);
    g_signal_connect(fixture->client, "objects", G_CALLBACK(note_objects), fixture);
    g_signal_connect(fixture->client, "loaded", G_CALLBACK(note_loaded), fixture);
    g_assert_true(confc_client_connect(fixture->client, NULL, &error));
    g_assert_no_error(error);
    fixture->mirror = confc_client_subscribe(fixture->client, json_node_get_object(scope),
                                             CONFC_SUBSCRIPTION_MIRROR, NULL, &error);
    g_assert_no_error(error);
}

static void
set_up(Fixture *fixture, const void *options)
{
    fixture->server = test_primary_new(options);
    fixture->pki = test_pki_new();
    fixture->admin = test_client_new(fixture->server);
    open_relay(fixture);
}

static void
tear_down(Fixture *fixture, const void *options)
{
    g_clear_object(&fixture->mirror);
    if (fixture->client != NULL)
        confc_client_disconnect(fixture->client);
    g_clear_object(&fixture->client);
    close_relay(fixture);
    test_client_free(fixture->admin);
    test_pki_free(fixture->pki);
    test_server_free(fixture->server);
}

static void
add_hosts(Fixture *fixture, const char *prefix, unsigned count, unsigned size)
{
    g_autofree char *fill = g_strnfill(size, 'x');
    for (unsigned done = 0; done < count;) {
        unsigned now = MIN(count - done, 200);
        g_autoptr(GString) operations = g_string_new(NULL);
        for (unsigned i = 0; i < now; i++)
            g_string_append_printf(
                operations,
                "%s{'op':'create','object':{'type':'host','name':'%s%u','annex':{'s':{'k':'%s'}}}}",
                i > 0 ? "," : "", prefix, done + i, fill);
        test_call(fixture->admin, "transaction", "{'operations':[%s]}", operations->str);
        done += now;
    }
}

static void
change_some(Fixture *fixture, unsigned round)
{
    test_call(fixture->admin, "object.update", "{'type':'host','name':'a1','patch':{'lcaPort':%u}}", round);
    test_call(fixture->admin, "object.update",
              "{'type':'host','name':'a2','patch':{'annex':{'s':{'k':null,'r%u':'x'}}}}", round);
    test_call(fixture->admin, "object.create", "{'object':{'type':'host','name':'b%u'}}", round);
    if (round > 0)
        test_call(fixture->admin, "object.delete", "{'type':'host','name':'b%u'}", round - 1);
}

/* The session goes on: nothing is read anew, nothing told twice, nothing missed. */
static void
test_resume(Fixture *fixture, const void *options)
{
    add_hosts(fixture, "a", 20, 10);
    connect_as(fixture, "default", TEST_PASSWORD);
    turn_until(fixture, &fixture->loaded, 1);
    for (unsigned round = 0; round < 3; round++) {
        change_some(fixture, round * 2);
        close_relay(fixture);
        turn_until_away(fixture);
        change_some(fixture, round * 2 + 1);
        open_relay(fixture);
        turn_until(fixture, &fixture->resumed, round + 1);
        check_mirror(fixture);
    }
    g_assert_cmpuint(fixture->resets, ==, 0);
    g_assert_cmpuint(fixture->loaded, ==, 1);
    g_assert_cmpuint(fixture->connected, ==, 4);
}

/* More has happened than the server holds: all is read anew, in the same session or another. */
static void
test_history_gone(Fixture *fixture, const void *options)
{
    add_hosts(fixture, "a", 20, 10);
    connect_as(fixture, "default", TEST_PASSWORD);
    turn_until(fixture, &fixture->loaded, 1);
    close_relay(fixture);
    turn_until_away(fixture);
    add_hosts(fixture, "c", 400, 10000);
    change_some(fixture, 0);
    open_relay(fixture);
    turn_until(fixture, &fixture->loaded, 2);
    g_assert_cmpuint(fixture->resets, ==, 1);
    check_mirror(fixture);
    change_some(fixture, 1);
    check_mirror(fixture);
}

/* Cut while the present objects are on their way, again and again. */
static void
test_cut_while_loading(Fixture *fixture, const void *options)
{
    add_hosts(fixture, "a", MANY, 800);
    connect_as(fixture, "default", TEST_PASSWORD);
    for (unsigned round = 0; round < 3 && fixture->loaded == 0; round++) {
        turn_until(fixture, &fixture->objects, fixture->objects + 1);
        tls_relay_cut(fixture->relay);
        turn_until(fixture, &fixture->connected, round + 2);
        change_some(fixture, round);
    }
    turn_until(fixture, &fixture->loaded, 1);
    check_mirror(fixture);
}

/* Rights to more than one commit may show are taken and given: the server sends a reset, and the objects
 * once more. */
static void
test_reset(Fixture *fixture, const void *options)
{
    add_hosts(fixture, "a", 60, 10);
    gint64 dbid = json_object_get_int_member(
        test_call(fixture->admin, "object.create", "{'object':{'type':'person','name':'op'}}"), "dbid");
    test_call(fixture->admin, "account.setPassword",
              "{'dbid':%" G_GINT64_FORMAT ",'password':'correct horse'}", dbid);
    test_call(
        fixture->admin, "permission.update",
        "{'path':'/Environment/Applications/confctl','grant':[{'account':{'type':'person','dbid':%" G_GINT64_FORMAT
        "},'rights':['read','execute']}]}",
        dbid);
    static const char *const operations[] = {"grant", "revoke", "grant"};
    test_call(fixture->admin, "permission.update",
              "{'path':'/Environment','grant':[{'account':{'type':'person','dbid':%" G_GINT64_FORMAT
              "},'rights':['read']}]}",
              dbid);
    connect_as(fixture, "op", "correct horse");
    turn_until(fixture, &fixture->loaded, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(operations); i++) {
        unsigned resets = fixture->resets, loaded = fixture->loaded;
        test_call(fixture->admin, "permission.update",
                  "{'path':'/Environment/Hosts','%s':[{'account':{'type':'person','dbid':%" G_GINT64_FORMAT
                  "},'rights':['read']}]}",
                  operations[i], dbid);
        if (i > 0) {
            turn_until(fixture, &fixture->resets, resets + 1);
            turn_until(fixture, &fixture->loaded, loaded + 1);
        }
        test_call(fixture->admin, "object.update", "{'type':'host','name':'a%u','patch':{'lcaPort':%u}}", i,
                  i + 1);
        check_mirror(fixture);
        g_assert_cmpuint(confc_subscription_get_count(fixture->mirror), ==, i == 1 ? 0 : 60);
    }
}

/* The server dies, and holds sessions and changes on disk. */
static void
test_restart_with_history(Fixture *fixture, const void *options)
{
    add_hosts(fixture, "a", 20, 10);
    connect_as(fixture, "default", TEST_PASSWORD);
    turn_until(fixture, &fixture->loaded, 1);
    for (unsigned round = 0; round < 3; round++) {
        change_some(fixture, round * 2);
        test_client_free(fixture->admin);
        test_server_signal(fixture->server, SIGKILL);
        test_server_start(fixture->server);
        fixture->admin = test_client_new(fixture->server);
        change_some(fixture, round * 2 + 1);
        turn_until(fixture, &fixture->connected, round + 2);
        turn_until(fixture, &fixture->loaded, 1 + fixture->connected - 1 - fixture->resumed);
        check_mirror(fixture);
    }
}

#define ADD(name, func, options) \
    g_test_add("/integration/client-mirror/" name, Fixture, options, set_up, func, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("resume", test_resume, NULL);
    ADD("history-gone", test_history_gone, "recent-changes = 1048576\n");
    ADD("cut-while-loading", test_cut_while_loading, NULL);
    ADD("reset", test_reset, "view-change-max = 50\n");
    ADD("restart-with-history", test_restart_with_history, "plugins = history\n");
    return g_test_run();
}
