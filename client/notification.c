/* notification.c - lines from the server: answers go to request.c, the rest is taken here and told by
 * signals.
 *
 * A transaction may come in several lines; it counts, and is told, when its last line is there.  A break
 * in between leaves the client at the last complete one, from where it resumes. */
#include "client-private.h"

static void take_request(ConfcClient *client, const char *method, JsonObject *params, JsonNode *id);
static void take_notification(ConfcClient *client, const char *method, JsonObject *params, gsize size);
static void take_changes(ConfcClient *client, JsonObject *params, gsize size);
static void gather(ConfcClient *client, JsonObject *params, gsize size);
static void tell_changes(ConfcClient *client, JsonObject *changes);
static void take_objects(ConfcClient *client, JsonObject *params);
static void take_loaded(ConfcClient *client, JsonObject *params);
static void take_reset(ConfcClient *client, JsonObject *params);
static void take_ending(ConfcClient *client, JsonObject *params);
static void give_up(ConfcClient *client, const char *why);

void
confc_client_take_line(ConfcClient *client, const char *line, gsize size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) node = confc_json_parse(line, size, &error);
    if (node == NULL || !JSON_NODE_HOLDS_OBJECT(node)) {
        if (error != NULL)
            g_prefix_error(&error, "The server sent what is no message: ");
        give_up(client, error != NULL ? error->message : "The server sent a line that is no object");
        return;
    }
    JsonObject *object = json_node_get_object(node);
    const char *method = confc_json_string(object, "method");
    JsonNode *id = json_object_get_member(object, "id");
    if (method == NULL)
        confc_client_take_response(client, object);
    else if (id != NULL)
        take_request(client, method, confc_json_object(object, "params"), id);
    else
        take_notification(client, method, confc_json_object(object, "params"), size);
}

void
confc_client_drop_gathered(ConfcClient *client)
{
    g_clear_pointer(&client->gathered, json_object_unref);
    client->gathered_size = 0;
    client->gather_overflow = false;
}

static void
take_request(ConfcClient *client, const char *method, JsonObject *params, JsonNode *id)
{
    if (!g_str_equal(method, "addp.poll")) {
        confc_client_answer(client, id, "error",
                            "{\"code\":-32601,\"message\":\"The client has no such method.\"}");
        return;
    }
    confc_addp_take_poll(client, params);
    g_autofree char *result = g_strdup_printf("{\"revision\":%" G_GINT64_FORMAT "}", client->revision);
    confc_client_answer(client, id, "result", result);
}

static void
take_notification(ConfcClient *client, const char *method, JsonObject *params, gsize size)
{
    if (params == NULL)
        return;
    if (g_str_equal(method, "changes"))
        take_changes(client, params, size);
    else if (g_str_equal(method, "subscription.objects"))
        take_objects(client, params);
    else if (g_str_equal(method, "subscription.loaded"))
        take_loaded(client, params);
    else if (g_str_equal(method, "subscription.reset"))
        take_reset(client, params);
    else if (g_str_equal(method, "server.status"))
        g_signal_emit(client, confc_client_signals[CONFC_SIGNAL_STATUS], 0, params);
    else if (g_str_equal(method, "session.ending"))
        take_ending(client, params);
    /* Notifications that this release does not know are passed over. */
}

static void
take_changes(ConfcClient *client, JsonObject *params, gsize size)
{
    gint64 revision = confc_json_integer(params, "revision", -1);
    if (revision < 0 || confc_json_array(params, "changes") == NULL) {
        give_up(client, "The server sent changes without revision or list");
        return;
    }
    if (client->gathered != NULL && confc_json_integer(client->gathered, "revision", -1) != revision) {
        give_up(client, "The server began a transaction before it had sent all of the one before");
        return;
    }
    bool more = confc_json_boolean(params, "more");
    if (!more && client->gathered == NULL) {
        tell_changes(client, params);
        return;
    }
    gather(client, params, size);
    if (more)
        return;
    g_autoptr(JsonObject) whole = g_steal_pointer(&client->gathered);
    bool overflow = client->gather_overflow;
    confc_client_drop_gathered(client);
    if (!overflow) {
        tell_changes(client, whole);
        return;
    }
    /* Too much to hold as one: read anew, as after a reset of the server's. */
    confc_session_set_position(client, revision, confc_json_string(params, "chain"));
    confc_subscriptions_reopen(client, "size", true);
}

static void
gather(ConfcClient *client, JsonObject *params, gsize size)
{
    if (client->gathered == NULL) {
        JsonObjectIter iter;
        const char *name;
        JsonNode *value;
        client->gathered = json_object_new();
        json_object_iter_init_ordered(&iter, params);
        while (json_object_iter_next_ordered(&iter, &name, &value)) {
            if (!g_str_equal(name, "more") && !g_str_equal(name, "changes"))
                json_object_set_member(client->gathered, name, json_node_ref(value));
        }
        json_object_set_array_member(client->gathered, "changes", json_array_new());
    }
    client->gathered_size += size;
    if (client->gathered_size > CONFC_GATHER_MAX) {
        client->gather_overflow = true;
        json_object_set_array_member(client->gathered, "changes", json_array_new());
        return;
    }
    JsonArray *from = confc_json_array(params, "changes"),
              *to = confc_json_array(client->gathered, "changes");
    for (guint i = 0; i < json_array_get_length(from); i++)
        json_array_add_element(to, json_node_ref(json_array_get_element(from, i)));
}

static void
tell_changes(ConfcClient *client, JsonObject *changes)
{
    confc_session_set_position(client, confc_json_integer(changes, "revision", 0),
                               confc_json_string(changes, "chain"));
    guint64 generation = client->generation;
    confc_subscriptions_apply(client, changes);
    if (generation == client->generation)
        g_signal_emit(client, confc_client_signals[CONFC_SIGNAL_CHANGES], 0, changes);
}

static void
take_objects(ConfcClient *client, JsonObject *params)
{
    gint64 id = confc_json_integer(params, "subscription", 0);
    ConfcSubscription *subscription = confc_client_find_subscription(client, id);
    JsonArray *objects = confc_json_array(params, "objects");
    if (subscription == NULL || objects == NULL)
        return; /* Of one that was closed meanwhile. */
    confc_subscription_take_objects(subscription, objects);
    g_signal_emit(client, confc_client_signals[CONFC_SIGNAL_OBJECTS], 0, id, objects);
}

static void
take_loaded(ConfcClient *client, JsonObject *params)
{
    gint64 id = confc_json_integer(params, "subscription", 0),
           revision = confc_json_integer(params, "revision", 0);
    ConfcSubscription *subscription = confc_client_find_subscription(client, id);
    if (subscription == NULL)
        return;
    confc_subscription_take_loaded(subscription, revision);
    g_signal_emit(client, confc_client_signals[CONFC_SIGNAL_LOADED], 0, id, revision);
}

static void
take_reset(ConfcClient *client, JsonObject *params)
{
    gint64 revision = confc_json_integer(params, "revision", client->revision);
    const char *reason = confc_json_string(params, "reason");
    confc_client_drop_gathered(client);
    confc_session_set_position(client, revision, NULL);
    confc_subscriptions_reset(client, revision, reason != NULL ? reason : "");
}

static void
take_ending(ConfcClient *client, JsonObject *params)
{
    const char *reason = confc_json_string(params, "reason");
    g_free(client->ending);
    client->ending = g_strdup(reason != NULL ? reason : "");
    g_signal_emit(client, confc_client_signals[CONFC_SIGNAL_ENDING], 0, client->ending);
}

static void
give_up(ConfcClient *client, const char *why)
{
    g_autoptr(GError) error = g_error_new_literal(CONFC_ERROR, CONFC_ERROR_MALFORMED, why);
    confc_client_lose(client, error);
}
