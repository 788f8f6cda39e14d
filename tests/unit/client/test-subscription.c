/* Subscriptions: transactions in one piece, mirrors, what becomes of them when the connection breaks. */
#include "confclient.h"
#include "double.h"

#include <string.h>

typedef struct {
    unsigned opens, closes, resumes, next_id;
    int refuse_resume, refuse_since;
    char *resume_params;
    char *last_open;
    bool no_walk;
} Script;

typedef struct {
    Double *server;
    ConfcClient *client;
    Script script;
    GString *told; /* what the client told, in order */
    unsigned changes, loaded, resets, connected;
} Fixture;

#define HOST(dbid, revision, name) \
    "{\"type\":\"host\",\"dbid\":" #dbid ",\"revision\":" #revision ",\"name\":\"" name \
    "\",\"tenant\":1,\"state\":\"enabled\"}"

static void
walk(DoublePeer *peer, unsigned id)
{
    g_autofree char *objects = g_strdup_printf(
        "{\"jsonrpc\":\"2.0\",\"method\":\"subscription.objects\",\"params\":{\"subscription\":%u,"
        "\"objects\":[" HOST(1, 3, "h1") "," HOST(2, 4, "h2") "]}}",
        id);
    g_autofree char *loaded = g_strdup_printf(
        "{\"jsonrpc\":\"2.0\",\"method\":\"subscription.loaded\",\"params\":{\"subscription\":%u,"
        "\"revision\":10}}",
        id);
    double_say(peer, objects);
    double_say(peer, loaded);
}

static bool
serve(Double *server, DoublePeer *peer, const char *method, JsonObject *request, void *data)
{
    Script *script = data;
    g_autofree char *params = json_to_string(json_object_get_member(request, "params"), FALSE);
    if (g_str_equal(method, "subscription.open")) {
        script->opens++;
        bool is_since = strstr(params, "\"since\"") != NULL;
        g_free(script->last_open);
        script->last_open = g_strdup(params);
        if (is_since && script->refuse_since != 0) {
            double_refuse(peer, request, script->refuse_since, NULL);
            return true;
        }
        g_autofree char *answer =
            g_strdup_printf("{\"subscription\":%u,\"revision\":10,\"chain\":\"c10\"}", ++script->next_id);
        double_answer(peer, request, answer);
        if (strstr(params, "\"initial\":true") != NULL && !script->no_walk)
            walk(peer, script->next_id);
        return true;
    }
    if (g_str_equal(method, "subscription.close")) {
        script->closes++;
        double_answer(peer, request, "{}");
        return true;
    }
    if (!g_str_equal(method, "session.resume"))
        return false;
    script->resumes++;
    bool is_bare = strstr(params, "\"subscriptions\":[]") != NULL;
    g_free(script->resume_params);
    script->resume_params = g_steal_pointer(&params);
    if (script->refuse_resume != 0 && !is_bare)
        double_refuse(peer, request, script->refuse_resume, "{\"oldest\":40,\"revision\":50}");
    else if (is_bare)
        double_answer(peer, request, "{" DOUBLE_SESSION ",\"missed\":0,\"subscriptions\":[]}");
    else
        double_answer(peer, request,
                      "{" DOUBLE_SESSION
                      ",\"missed\":1,\"subscriptions\":[{\"subscription\":71,\"types\":[\"host\"]}]}");
    return true;
}

static void
note_changes(ConfcClient *client, JsonObject *changes, Fixture *fixture)
{
    JsonArray *list = json_object_get_array_member(changes, "changes");
    g_assert_false(json_object_has_member(changes, "more"));
    g_string_append_printf(fixture->told, "changes %d:%u;",
                           (int)json_object_get_int_member(changes, "revision"), json_array_get_length(list));
    fixture->changes++;
}

static void
note_loaded(ConfcClient *client, gint64 id, gint64 revision, Fixture *fixture)
{
    g_string_append_printf(fixture->told, "loaded %d;", (int)id);
    fixture->loaded++;
}

static void
note_reset(ConfcClient *client, gint64 revision, const char *reason, Fixture *fixture)
{
    g_string_append_printf(fixture->told, "reset %s;", reason);
    fixture->resets++;
}

static void
note_connected(ConfcClient *client, gboolean resumed, Fixture *fixture)
{
    fixture->connected++;
}

static void
set_up(Fixture *fixture, const void *data)
{
    fixture->told = g_string_new(NULL);
    fixture->server = double_new(serve, &fixture->script);
    fixture->client = confc_client_new(double_address(fixture->server));
    g_object_set(fixture->client, "user", "admin", "password", "secret", "application", "confctl", NULL);
    g_signal_connect(fixture->client, "changes", G_CALLBACK(note_changes), fixture);
    g_signal_connect(fixture->client, "loaded", G_CALLBACK(note_loaded), fixture);
    g_signal_connect(fixture->client, "reset", G_CALLBACK(note_reset), fixture);
    g_signal_connect(fixture->client, "connected", G_CALLBACK(note_connected), fixture);
    g_assert_true(confc_client_connect(fixture->client, NULL, NULL));
}

static void
tear_down(Fixture *fixture, const void *data)
{
    confc_client_disconnect(fixture->client);
    g_object_unref(fixture->client);
    double_free(fixture->server);
    g_free(fixture->script.resume_params);
    g_free(fixture->script.last_open);
    g_string_free(fixture->told, TRUE);
}

static ConfcSubscription *
subscribe(Fixture *fixture, const char *scope_text, ConfcSubscriptionFlags flags)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) scope = scope_text != NULL ? json_from_string(scope_text, NULL) : NULL;
    ConfcSubscription *subscription = confc_client_subscribe(
        fixture->client, scope != NULL ? json_node_get_object(scope) : NULL, flags, NULL, &error);
    g_assert_no_error(error);
    return subscription;
}

static void
say_changes(Fixture *fixture, const char *params)
{
    g_autofree char *line =
        g_strdup_printf("{\"jsonrpc\":\"2.0\",\"method\":\"changes\",\"params\":%s}", params);
    double_say(double_last_peer(fixture->server), line);
}

static const char *
name_of(ConfcSubscription *subscription, gint64 dbid)
{
    JsonObject *object = confc_subscription_lookup(subscription, "host", dbid);
    return object != NULL ? json_object_get_string_member(object, "name") : NULL;
}

#define RENAME(dbid, name) \
    "{\"op\":\"update\",\"type\":\"host\",\"dbid\":" #dbid ",\"patch\":{\"name\":\"" name "\"}}"

static void
test_mirror(Fixture *fixture, const void *data)
{
    g_autoptr(ConfcSubscription) hosts =
        subscribe(fixture, "{\"types\":[\"host\"]}", CONFC_SUBSCRIPTION_MIRROR);
    double_wait(&fixture->loaded, 1);
    g_assert_true(confc_subscription_is_loaded(hosts));
    g_assert_cmpuint(confc_subscription_get_count(hosts), ==, 2);
    say_changes(
        fixture,
        "{\"revision\":11,\"chain\":\"c11\",\"time\":\"t\",\"changes\":["
        "{\"op\":\"create\",\"type\":\"host\",\"dbid\":3,\"object\":" HOST(3, 11, "h3") "}," RENAME(
            1, "x1") ","
                     "{\"op\":\"update\",\"type\":\"application\",\"dbid\":1,\"patch\":{\"name\":\"other\"}},"
                     "{\"op\":\"delete\",\"type\":\"host\",\"dbid\":2,\"name\":\"h2\",\"tenant\":1}]}");
    double_wait(&fixture->changes, 1);
    g_assert_cmpstr(name_of(hosts, 1), ==, "x1");
    g_assert_null(name_of(hosts, 2));
    g_assert_cmpstr(name_of(hosts, 3), ==, "h3");
    g_assert_cmpint(confc_client_get_revision(fixture->client), ==, 11);
    g_assert_cmpstr(confc_client_get_chain(fixture->client), ==, "c11");
    g_autoptr(GPtrArray) objects = confc_subscription_get_objects(hosts);
    g_assert_cmpuint(objects->len, ==, 2);
    g_assert_cmpuint(fixture->script.opens, ==, 1);
}

/* A large transaction comes in several lines, and counts when the last is there. */
static void
test_more(Fixture *fixture, const void *data)
{
    g_autoptr(ConfcSubscription) hosts =
        subscribe(fixture, "{\"types\":[\"host\"]}", CONFC_SUBSCRIPTION_MIRROR);
    double_wait(&fixture->loaded, 1);
    say_changes(fixture,
                "{\"revision\":12,\"chain\":\"c12\",\"changes\":[" RENAME(1, "y1") "],\"more\":true}");
    /* Another answer in between does not make it complete. */
    g_autoptr(JsonNode) ignored = confc_client_request(fixture->client, "server.schema", NULL, NULL, NULL);
    g_assert_cmpuint(fixture->changes, ==, 0);
    g_assert_cmpint(confc_client_get_revision(fixture->client), ==, 10);
    g_assert_cmpstr(name_of(hosts, 1), ==, "h1");
    say_changes(fixture, "{\"revision\":12,\"chain\":\"c12\",\"changes\":[" RENAME(2, "y2") "]}");
    double_wait(&fixture->changes, 1);
    g_assert_nonnull(strstr(fixture->told->str, "changes 12:2;"));
    g_assert_cmpstr(name_of(hosts, 1), ==, "y1");
    g_assert_cmpstr(name_of(hosts, 2), ==, "y2");
    g_assert_cmpint(confc_client_get_revision(fixture->client), ==, 12);
}

/* A break in the middle of a transaction: resumed from the last complete one. */
static void
test_resume(Fixture *fixture, const void *data)
{
    g_autoptr(ConfcSubscription) hosts =
        subscribe(fixture, "{\"types\":[\"host\"]}", CONFC_SUBSCRIPTION_MIRROR);
    double_wait(&fixture->loaded, 1);
    say_changes(fixture, "{\"revision\":11,\"chain\":\"c11\",\"changes\":[" RENAME(1, "z1") "]}");
    say_changes(fixture,
                "{\"revision\":12,\"chain\":\"c12\",\"changes\":[" RENAME(2, "half") "],\"more\":true}");
    double_wait(&fixture->changes, 1);
    double_hang_up(double_last_peer(fixture->server));
    double_wait(&fixture->connected, 2);
    g_assert_nonnull(strstr(fixture->script.resume_params, "\"revision\":11,\"chain\":\"c11\""));
    g_assert_nonnull(
        strstr(fixture->script.resume_params, "\"subscriptions\":[{\"types\":[\"host\"],\"initial\":true}]"));
    g_assert_cmpint(confc_subscription_get_id(hosts), ==, 71);
    g_assert_cmpstr(name_of(hosts, 1), ==, "z1");
    g_assert_cmpstr(name_of(hosts, 2), ==, "h2");
    say_changes(fixture, "{\"revision\":12,\"chain\":\"c12\",\"changes\":[" RENAME(2, "whole") "]}");
    double_wait(&fixture->changes, 2);
    g_assert_cmpstr(name_of(hosts, 2), ==, "whole");
    g_assert_cmpuint(fixture->resets, ==, 0);
    g_assert_cmpuint(fixture->script.opens, ==, 1);
}

/* Broken while the present objects were coming: those not complete are opened anew. */
static void
test_resume_while_loading(Fixture *fixture, const void *data)
{
    fixture->script.no_walk = true;
    g_autoptr(ConfcSubscription) hosts =
        subscribe(fixture, "{\"types\":[\"host\"]}", CONFC_SUBSCRIPTION_MIRROR);
    g_assert_false(confc_subscription_is_loaded(hosts));
    fixture->script.no_walk = false;
    double_hang_up(double_last_peer(fixture->server));
    double_wait(&fixture->loaded, 1);
    g_assert_nonnull(strstr(fixture->script.resume_params, "\"subscriptions\":[]"));
    g_assert_cmpuint(fixture->script.opens, ==, 2);
    g_assert_cmpuint(confc_subscription_get_count(hosts), ==, 2);
}

static void
test_history_gone(Fixture *fixture, const void *data)
{
    g_autoptr(ConfcSubscription) hosts =
        subscribe(fixture, "{\"types\":[\"host\"]}", CONFC_SUBSCRIPTION_MIRROR);
    double_wait(&fixture->loaded, 1);
    say_changes(fixture, "{\"revision\":11,\"chain\":\"c11\",\"changes\":[" RENAME(1, "z1") "]}");
    double_wait(&fixture->changes, 1);
    fixture->script.refuse_resume = -32011;
    double_hang_up(double_last_peer(fixture->server));
    double_wait(&fixture->loaded, 2);
    g_assert_cmpuint(fixture->script.resumes, ==, 2);
    g_assert_cmpuint(fixture->script.opens, ==, 2);
    g_assert_cmpuint(fixture->resets, ==, 1);
    g_assert_cmpstr(name_of(hosts, 1), ==, "h1");
}

static void
test_login_anew(Fixture *fixture, const void *data)
{
    g_autoptr(ConfcSubscription) hosts =
        subscribe(fixture, "{\"types\":[\"host\"]}", CONFC_SUBSCRIPTION_MIRROR);
    double_wait(&fixture->loaded, 1);
    fixture->script.refuse_resume = -32003;
    double_hang_up(double_last_peer(fixture->server));
    double_wait(&fixture->loaded, 2);
    g_assert_cmpstr(fixture->told->str, ==, "loaded 1;reset session;loaded 2;");
}

/* One subscription to changes only: the new session goes on from where the old one was, if that past is
 * still held. */
static void
test_login_anew_since(Fixture *fixture, const void *data)
{
    g_autoptr(ConfcSubscription) hosts =
        subscribe(fixture, "{\"types\":[\"host\"]}", CONFC_SUBSCRIPTION_NONE);
    say_changes(fixture, "{\"revision\":13,\"chain\":\"c13\",\"changes\":[" RENAME(1, "z1") "]}");
    double_wait(&fixture->changes, 1);
    fixture->script.refuse_resume = -32003;
    double_hang_up(double_last_peer(fixture->server));
    double_wait(&fixture->script.opens, 2);
    g_assert_nonnull(strstr(fixture->script.last_open, "\"since\":13"));
    g_assert_cmpuint(fixture->resets, ==, 0);
    fixture->script.refuse_since = -32011;
    double_hang_up(double_last_peer(fixture->server));
    double_wait(&fixture->script.opens, 4);
    g_assert_null(strstr(fixture->script.last_open, "since"));
    g_assert_cmpuint(fixture->resets, ==, 1);
}

static void
test_reset(Fixture *fixture, const void *data)
{
    g_autoptr(ConfcSubscription) hosts =
        subscribe(fixture, "{\"types\":[\"host\"]}", CONFC_SUBSCRIPTION_MIRROR);
    double_wait(&fixture->loaded, 1);
    double_say(double_last_peer(fixture->server), "{\"jsonrpc\":\"2.0\",\"method\":\"subscription.reset\","
                                                  "\"params\":{\"revision\":30,\"reason\":\"permission\"}}");
    double_wait(&fixture->resets, 1);
    g_assert_cmpuint(confc_subscription_get_count(hosts), ==, 0);
    g_assert_false(confc_subscription_is_loaded(hosts));
    g_assert_cmpint(confc_client_get_revision(fixture->client), ==, 30);
    /* The server streams it again by itself. */
    walk(double_last_peer(fixture->server), 1);
    double_wait(&fixture->loaded, 2);
    g_assert_cmpuint(confc_subscription_get_count(hosts), ==, 2);
    g_assert_cmpuint(fixture->script.opens, ==, 1);
}

/* An update of what the mirror does not have: it is read anew. */
static void
test_inconsistent(Fixture *fixture, const void *data)
{
    g_autoptr(ConfcSubscription) hosts =
        subscribe(fixture, "{\"types\":[\"host\"]}", CONFC_SUBSCRIPTION_MIRROR);
    double_wait(&fixture->loaded, 1);
    say_changes(fixture, "{\"revision\":11,\"chain\":\"c11\",\"changes\":[" RENAME(9, "x") "]}");
    double_wait(&fixture->loaded, 2);
    g_assert_cmpuint(fixture->script.closes, ==, 1);
    g_assert_cmpint(confc_subscription_get_id(hosts), ==, 2);
}

static void
test_place(Fixture *fixture, const void *data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ConfcSubscription) hosts =
        subscribe(fixture, "{\"types\":[\"host\"]}", CONFC_SUBSCRIPTION_NONE);
    g_autoptr(JsonNode) scope = json_from_string("{\"folder\":112}", NULL);
    g_assert_null(confc_client_subscribe(fixture->client, json_node_get_object(scope),
                                         CONFC_SUBSCRIPTION_MIRROR, NULL, &error));
    g_assert_error(error, CONFC_ERROR, CONFC_ERROR_ARGUMENT);
    g_autoptr(ConfcSubscription) folder = subscribe(fixture, "{\"folder\":112}", CONFC_SUBSCRIPTION_NONE);
    g_assert_cmpint(confc_subscription_get_id(folder), ==, 2);
}

static void
note_closed(GObject *source, GAsyncResult *result, void *data)
{
    g_assert_true(confc_subscription_close_finish(CONFC_SUBSCRIPTION(source), result, NULL));
    (*(unsigned *)data)++;
}

static void
test_close(Fixture *fixture, const void *data)
{
    unsigned closed = 0;
    g_autoptr(ConfcSubscription) hosts = subscribe(fixture, "{\"since\":5}", CONFC_SUBSCRIPTION_NONE);
    g_assert_nonnull(strstr(fixture->script.last_open, "\"since\":5"));
    confc_subscription_close_async(hosts, NULL, note_closed, &closed);
    double_wait(&closed, 1);
    g_assert_cmpuint(fixture->script.closes, ==, 1);
    double_hang_up(double_last_peer(fixture->server));
    double_wait(&fixture->connected, 2);
    g_assert_nonnull(strstr(fixture->script.resume_params, "\"subscriptions\":[]"));
}

#define ADD(name, func) g_test_add("/client/subscription/" name, Fixture, NULL, set_up, func, tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("mirror", test_mirror);
    ADD("more", test_more);
    ADD("resume", test_resume);
    ADD("resume-while-loading", test_resume_while_loading);
    ADD("history-gone", test_history_gone);
    ADD("login-anew", test_login_anew);
    ADD("login-anew-since", test_login_anew_since);
    ADD("reset", test_reset);
    ADD("inconsistent", test_inconsistent);
    ADD("place", test_place);
    ADD("close", test_close);
    return g_test_run();
}
