/* subscription.c - what the client listens to: opened by the user, carried over a break, opened anew where it
 * cannot be.
 *
 * States: opening (its answer is awaited; a break ends it), open (has a number), unknown to the server
 * (number 0: opened anew as soon as the session stands), closed (not in the client's list). */
#include "client-private.h"

struct _ConfcSubscription {
    GObject parent;
    ConfcClient *client; /* NULL: closed */
    JsonObject *scope;   /* as for subscription.open, without since and initial */
    ConfcSubscriptionFlags flags;
    bool is_opening, is_loading, is_reopening;
    gint64 id, revision;
    ConfcMirror *mirror;
};

/* One way to the server and back, of a subscription that is opened. */
typedef struct {
    ConfcSubscription *subscription; /* a reference */
    GTask *task;                     /* of the user; NULL: opened anew */
    gint64 since;                    /* -1: none */
    guint64 generation;
} Opening;

enum { SIGNAL_OBJECTS, SIGNAL_LOADED, SIGNAL_RESET, SIGNAL_CLOSED, SIGNAL_COUNT };
static guint signals[SIGNAL_COUNT];

static GPtrArray *list_all(ConfcClient *client);
static ConfcSubscription *subscription_new(ConfcClient *client, JsonObject *scope,
                                           ConfcSubscriptionFlags flags);
static bool check_combination(ConfcClient *client, JsonObject *scope, ConfcSubscriptionFlags flags,
                              GError **error);
static bool has_place(JsonObject *scope);
static void open_at_server(ConfcSubscription *subscription, GTask *task, gint64 since);
static void schema_came(ConfcClient *client, JsonNode *result, const GError *error, void *data);
static void send_open(Opening *opening);
static void opened(ConfcClient *client, JsonNode *result, const GError *error, void *data);
static void open_failed(Opening *opening, const GError *error);
static void opening_free(Opening *opening);
static bool reopen_from(ConfcClient *client, GPtrArray *list);
static void forget_state(ConfcSubscription *subscription, gint64 revision, const char *reason);
static void drop(ConfcSubscription *subscription);
static bool belongs(ConfcSubscription *subscription, const char *type, gint64 dbid);
static void apply(ConfcSubscription *subscription, gint64 revision, JsonArray *changes);
static void close_at_server(ConfcClient *client, gint64 id, GTask *task);
static void closed(ConfcClient *client, JsonNode *result, const GError *error, void *data);
static void store_result(GObject *source, GAsyncResult *result, void *data);
static void finalize(GObject *object);

G_DEFINE_TYPE(ConfcSubscription, confc_subscription, G_TYPE_OBJECT)

void
confc_client_subscribe_async(ConfcClient *client, JsonObject *scope, ConfcSubscriptionFlags flags,
                             GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    g_return_if_fail(CONFC_IS_CLIENT(client));
    g_autoptr(GTask) task = g_task_new(client, cancellable, callback, user_data);
    g_task_set_source_tag(task, confc_client_subscribe_async);
    GError *error = NULL;
    if (!check_combination(client, scope, flags, &error)) {
        g_task_return_error(task, error);
        return;
    }
    g_autoptr(ConfcSubscription) subscription = subscription_new(client, scope, flags);
    subscription->is_opening = true;
    g_ptr_array_add(client->subscriptions, g_object_ref(subscription));
    open_at_server(subscription, task, confc_json_integer(scope, "since", -1));
}

ConfcSubscription *
confc_client_subscribe_finish(ConfcClient *client, GAsyncResult *result, GError **error)
{
    g_return_val_if_fail(g_task_is_valid(result, client), NULL);
    return g_task_propagate_pointer(G_TASK(result), error);
}

ConfcSubscription *
confc_client_subscribe(ConfcClient *client, JsonObject *scope, ConfcSubscriptionFlags flags,
                       GCancellable *cancellable, GError **error)
{
    g_autoptr(GAsyncResult) result = NULL;
    confc_client_subscribe_async(client, scope, flags, cancellable, store_result, &result);
    while (result == NULL)
        g_main_context_iteration(client->context, TRUE);
    return confc_client_subscribe_finish(client, result, error);
}

gint64
confc_subscription_get_id(ConfcSubscription *subscription)
{
    return subscription->id;
}

gint64
confc_subscription_get_revision(ConfcSubscription *subscription)
{
    return subscription->revision;
}

gboolean
confc_subscription_is_loaded(ConfcSubscription *subscription)
{
    return subscription->id != 0 && !subscription->is_loading;
}

guint
confc_subscription_get_count(ConfcSubscription *subscription)
{
    return subscription->mirror != NULL ? confc_mirror_count(subscription->mirror) : 0;
}

JsonObject *
confc_subscription_lookup(ConfcSubscription *subscription, const char *type, gint64 dbid)
{
    return subscription->mirror != NULL ? confc_mirror_lookup(subscription->mirror, type, dbid) : NULL;
}

GPtrArray *
confc_subscription_get_objects(ConfcSubscription *subscription)
{
    return subscription->mirror != NULL ? confc_mirror_list(subscription->mirror)
                                        : g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);
}

void
confc_subscription_close_async(ConfcSubscription *subscription, GCancellable *cancellable,
                               GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(subscription, cancellable, callback, user_data);
    g_task_set_source_tag(task, confc_subscription_close_async);
    ConfcClient *client = subscription->client;
    gint64 id = subscription->id;
    if (client != NULL)
        drop(subscription);
    /* What the server does not have needs no closing; after a break it is not given to session.resume any
     * more. */
    if (client == NULL || id == 0 || client->state != CONFC_STATE_READY)
        g_task_return_boolean(task, TRUE);
    else
        close_at_server(client, id, task);
}

gboolean
confc_subscription_close_finish(ConfcSubscription *subscription, GAsyncResult *result, GError **error)
{
    g_return_val_if_fail(g_task_is_valid(result, subscription), FALSE);
    return g_task_propagate_boolean(G_TASK(result), error);
}

ConfcSubscription *
confc_client_find_subscription(ConfcClient *client, gint64 id)
{
    for (unsigned i = 0; id > 0 && i < client->subscriptions->len; i++) {
        ConfcSubscription *subscription = g_ptr_array_index(client->subscriptions, i);
        if (subscription->id == id)
            return subscription;
    }
    return NULL;
}

/* One whose present objects had not all come is opened anew instead. */
JsonArray *
confc_subscriptions_describe(ConfcClient *client)
{
    JsonArray *array = json_array_new();
    for (unsigned i = 0; i < client->subscriptions->len; i++) {
        ConfcSubscription *subscription = g_ptr_array_index(client->subscriptions, i);
        if (subscription->is_loading)
            subscription->id = 0;
        if (subscription->id == 0)
            continue;
        JsonObject *scope = confc_json_copy_object(subscription->scope);
        if ((subscription->flags & CONFC_SUBSCRIPTION_INITIAL) != 0)
            json_object_set_boolean_member(scope, "initial", TRUE);
        json_array_add_object_element(array, scope);
    }
    return array;
}

void
confc_subscriptions_resumed(ConfcClient *client, JsonArray *answered)
{
    guint place = 0;
    for (unsigned i = 0; i < client->subscriptions->len; i++) {
        ConfcSubscription *subscription = g_ptr_array_index(client->subscriptions, i);
        if (subscription->id == 0)
            continue;
        bool is_there = answered != NULL && place < json_array_get_length(answered);
        JsonNode *node = is_there ? json_array_get_element(answered, place++) : NULL;
        bool is_object = node != NULL && JSON_NODE_HOLDS_OBJECT(node);
        subscription->id = is_object ? confc_json_integer(json_node_get_object(node), "subscription", 0) : 0;
    }
}

void
confc_subscriptions_reopen(ConfcClient *client, const char *reason, bool all)
{
    g_autoptr(ConfcClient) held = g_object_ref(client);
    g_autoptr(GPtrArray) list = list_all(client);
    guint64 generation = client->generation;
    if (all && reopen_from(client, list))
        return;
    for (unsigned i = 0; i < list->len && generation == client->generation; i++) {
        ConfcSubscription *subscription = g_ptr_array_index(list, i);
        if (subscription->is_opening || subscription->client == NULL ||
            (!all && (subscription->id != 0 || subscription->is_reopening)))
            continue;
        gint64 old = subscription->id;
        subscription->id = 0;
        /* The session is the same only where the client itself forgot: the server still has the old one. */
        if (old != 0 && g_strcmp0(reason, "size") == 0)
            close_at_server(client, old, NULL);
        forget_state(subscription, client->revision, reason != NULL ? reason : "session");
        if (subscription->client != NULL && generation == client->generation)
            open_at_server(subscription, NULL, -1);
    }
    if (all && list->len > 0 && generation == client->generation)
        g_signal_emit(client, confc_client_signals[CONFC_SIGNAL_RESET], 0, client->revision, reason);
}

void
confc_subscriptions_reset(ConfcClient *client, gint64 revision, const char *reason)
{
    g_autoptr(GPtrArray) list = list_all(client);
    guint64 generation = client->generation;
    for (unsigned i = 0; i < list->len && generation == client->generation; i++) {
        ConfcSubscription *subscription = g_ptr_array_index(list, i);
        if (subscription->client != NULL && subscription->id != 0)
            forget_state(subscription, revision, reason);
    }
    if (generation == client->generation)
        g_signal_emit(client, confc_client_signals[CONFC_SIGNAL_RESET], 0, revision, reason);
}

void
confc_subscriptions_apply(ConfcClient *client, JsonObject *changes)
{
    gint64 revision = confc_json_integer(changes, "revision", 0);
    JsonArray *list = confc_json_array(changes, "changes");
    g_autoptr(GPtrArray) subscriptions = list_all(client);
    for (unsigned i = 0; i < subscriptions->len; i++) {
        ConfcSubscription *subscription = g_ptr_array_index(subscriptions, i);
        if (subscription->mirror != NULL && subscription->id != 0)
            apply(subscription, revision, list);
    }
}

void
confc_subscription_take_objects(ConfcSubscription *subscription, JsonArray *objects)
{
    for (guint i = 0; subscription->mirror != NULL && i < json_array_get_length(objects); i++) {
        JsonNode *node = json_array_get_element(objects, i);
        if (JSON_NODE_HOLDS_OBJECT(node))
            confc_mirror_put(subscription->mirror, json_node_get_object(node));
    }
    g_signal_emit(subscription, signals[SIGNAL_OBJECTS], 0, objects);
}

void
confc_subscription_take_loaded(ConfcSubscription *subscription, gint64 revision)
{
    subscription->is_loading = false;
    subscription->revision = revision;
    g_signal_emit(subscription, signals[SIGNAL_LOADED], 0, revision);
}

void
confc_subscriptions_release(ConfcClient *client)
{
    for (unsigned i = 0; i < client->subscriptions->len; i++)
        ((ConfcSubscription *)g_ptr_array_index(client->subscriptions, i))->client = NULL;
    g_ptr_array_set_size(client->subscriptions, 0);
}

static void
confc_subscription_class_init(ConfcSubscriptionClass *class)
{
    GType type = G_OBJECT_CLASS_TYPE(class);
    class->finalize = finalize;
    signals[SIGNAL_OBJECTS] = g_signal_new("objects", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                           G_TYPE_NONE, 1, JSON_TYPE_ARRAY);
    signals[SIGNAL_LOADED] =
        g_signal_new("loaded", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_INT64);
    signals[SIGNAL_RESET] = g_signal_new("reset", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE,
                                         2, G_TYPE_INT64, G_TYPE_STRING);
    signals[SIGNAL_CLOSED] =
        g_signal_new("closed", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_ERROR);
}

static void
confc_subscription_init(ConfcSubscription *subscription)
{
}

static void
finalize(GObject *object)
{
    ConfcSubscription *subscription = CONFC_SUBSCRIPTION(object);
    json_object_unref(subscription->scope);
    confc_mirror_free(subscription->mirror);
    G_OBJECT_CLASS(confc_subscription_parent_class)->finalize(object);
}

/* References: what is called back may close subscriptions. */
static GPtrArray *
list_all(ConfcClient *client)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(g_object_unref);
    for (unsigned i = 0; i < client->subscriptions->len; i++)
        g_ptr_array_add(list, g_object_ref(g_ptr_array_index(client->subscriptions, i)));
    return list;
}

static ConfcSubscription *
subscription_new(ConfcClient *client, JsonObject *scope, ConfcSubscriptionFlags flags)
{
    ConfcSubscription *subscription = g_object_new(CONFC_TYPE_SUBSCRIPTION, NULL);
    subscription->client = client;
    subscription->scope = scope != NULL ? confc_json_copy_object(scope) : json_object_new();
    json_object_remove_member(subscription->scope, "since");
    json_object_remove_member(subscription->scope, "initial");
    subscription->flags = flags;
    if ((flags & CONFC_SUBSCRIPTION_MIRROR) != 0) {
        subscription->flags |= CONFC_SUBSCRIPTION_INITIAL;
        subscription->mirror = confc_mirror_new();
    }
    return subscription;
}

/* Whether a change lies below a tenant or folder cannot be told from the change alone. */
static bool
check_combination(ConfcClient *client, JsonObject *scope, ConfcSubscriptionFlags flags, GError **error)
{
    bool is_alone = (flags & CONFC_SUBSCRIPTION_MIRROR) != 0 && has_place(scope);
    for (unsigned i = 0; i < client->subscriptions->len && !is_alone; i++) {
        ConfcSubscription *other = g_ptr_array_index(client->subscriptions, i);
        is_alone = other->mirror != NULL && has_place(other->scope);
    }
    if (!is_alone || client->subscriptions->len == 0)
        return true;
    g_set_error_literal(error, CONFC_ERROR, CONFC_ERROR_ARGUMENT,
                        "A mirror of a tenant or folder must be the only subscription of its client");
    return false;
}

static bool
has_place(JsonObject *scope)
{
    return scope != NULL &&
           (json_object_has_member(scope, "tenant") || json_object_has_member(scope, "folder"));
}

static void
open_at_server(ConfcSubscription *subscription, GTask *task, gint64 since)
{
    Opening *opening = g_new0(Opening, 1);
    ConfcClient *client = subscription->client;
    opening->subscription = g_object_ref(subscription);
    opening->task = task != NULL ? g_object_ref(task) : NULL;
    opening->since = since;
    opening->generation = client->generation;
    subscription->is_reopening = task == NULL;
    /* The schema tells by which member the items of a list are known. */
    if (subscription->mirror != NULL && (client->schema == NULL || client->schema_is_stale))
        confc_client_call(client, "server.schema", NULL, false, schema_came, opening);
    else
        send_open(opening);
}

static void
schema_came(ConfcClient *client, JsonNode *result, const GError *error, void *data)
{
    Opening *opening = data;
    JsonObject *schema =
        result != NULL && JSON_NODE_HOLDS_OBJECT(result) ? json_node_get_object(result) : NULL;
    if (error != NULL) {
        open_failed(opening, error);
        return;
    }
    if (schema != NULL && schema != client->schema) {
        g_clear_pointer(&client->schema, json_object_unref);
        client->schema = json_object_ref(schema);
        client->schema_is_stale = false;
    }
    send_open(opening);
}

static void
send_open(Opening *opening)
{
    ConfcSubscription *subscription = opening->subscription;
    g_autoptr(JsonObject) params = confc_json_copy_object(subscription->scope);
    if (opening->since >= 0)
        json_object_set_int_member(params, "since", opening->since);
    if ((subscription->flags & CONFC_SUBSCRIPTION_INITIAL) != 0)
        json_object_set_boolean_member(params, "initial", TRUE);
    g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), params);
    if (subscription->client == NULL) {
        g_autoptr(GError) error =
            g_error_new_literal(CONFC_ERROR, CONFC_ERROR_NOT_CONNECTED, "The subscription was closed");
        open_failed(opening, error);
        return;
    }
    confc_client_call(subscription->client, "subscription.open", node, false, opened, opening);
}

static void
opened(ConfcClient *client, JsonNode *result, const GError *error, void *data)
{
    Opening *opening = data;
    ConfcSubscription *subscription = opening->subscription;
    JsonObject *answer =
        result != NULL && JSON_NODE_HOLDS_OBJECT(result) ? json_node_get_object(result) : NULL;
    gint64 id = confc_json_integer(answer, "subscription", 0),
           revision = confc_json_integer(answer, "revision", 0);
    if (error != NULL) {
        open_failed(opening, error);
        return;
    }
    if (subscription->client == NULL) {
        /* Closed meanwhile. */
        close_at_server(client, id, NULL);
        opening_free(opening);
        return;
    }
    subscription->id = id;
    subscription->revision = revision;
    subscription->is_opening = subscription->is_reopening = false;
    subscription->is_loading = (subscription->flags & CONFC_SUBSCRIPTION_INITIAL) != 0;
    /* Everything up to here was told; with `since` what follows lies in the past. */
    if (opening->since >= 0 || revision > client->revision)
        confc_session_set_position(client, revision, confc_json_string(answer, "chain"));
    if (opening->task != NULL)
        g_task_return_pointer(opening->task, g_object_ref(subscription), g_object_unref);
    opening_free(opening);
}

/* A break is mended by the next session; a refusal ends the subscription. */
static void
open_failed(Opening *opening, const GError *error)
{
    ConfcSubscription *subscription = opening->subscription;
    ConfcClient *client = subscription->client;
    bool is_broken =
        client != NULL && client->state != CONFC_STATE_IDLE && opening->generation != client->generation;
    subscription->is_reopening = false;
    if (opening->task == NULL && opening->since >= 0 && client != NULL && !is_broken) {
        /* That past is no longer held. */
        confc_subscriptions_reopen(client, "history", true);
    } else if (opening->task != NULL) {
        drop(subscription);
        g_task_return_error(opening->task, g_error_copy(error));
    } else if (client != NULL && !is_broken) {
        drop(subscription);
        g_signal_emit(subscription, signals[SIGNAL_CLOSED], 0, error);
    }
    opening_free(opening);
}

static void
opening_free(Opening *opening)
{
    g_clear_object(&opening->task);
    g_object_unref(opening->subscription);
    g_free(opening);
}

/* In the same history a session's first subscription may begin in the past: where there is only one,
 * nothing is missed although the session is new. */
static bool
reopen_from(ConfcClient *client, GPtrArray *list)
{
    gint64 since = client->former_revision;
    ConfcSubscription *subscription = list->len == 1 ? g_ptr_array_index(list, 0) : NULL;
    client->former_revision = -1;
    if (since < 0 || subscription == NULL || subscription->is_opening ||
        (subscription->flags & CONFC_SUBSCRIPTION_INITIAL) != 0)
        return false;
    subscription->id = 0;
    open_at_server(subscription, NULL, since);
    return true;
}

static void
forget_state(ConfcSubscription *subscription, gint64 revision, const char *reason)
{
    if (subscription->mirror != NULL)
        confc_mirror_clear(subscription->mirror);
    subscription->is_loading = (subscription->flags & CONFC_SUBSCRIPTION_INITIAL) != 0;
    g_signal_emit(subscription, signals[SIGNAL_RESET], 0, revision, reason);
}

static void
drop(ConfcSubscription *subscription)
{
    ConfcClient *client = subscription->client;
    subscription->client = NULL;
    subscription->id = 0;
    if (client != NULL)
        g_ptr_array_remove(client->subscriptions, subscription);
}

static bool
belongs(ConfcSubscription *subscription, const char *type, gint64 dbid)
{
    JsonArray *types = confc_json_array(subscription->scope, "types"),
              *objects = confc_json_array(subscription->scope, "objects");
    bool fits = types == NULL;
    for (guint i = 0; !fits && i < json_array_get_length(types); i++)
        fits = g_strcmp0(json_array_get_string_element(types, i), type) == 0;
    if (!fits || objects == NULL)
        return fits;
    for (guint i = 0; i < json_array_get_length(objects); i++) {
        JsonNode *node = json_array_get_element(objects, i);
        JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
        if (confc_json_integer(object, "dbid", 0) == dbid &&
            g_strcmp0(confc_json_string(object, "type"), type) == 0)
            return true;
    }
    return false;
}

static void
apply(ConfcSubscription *subscription, gint64 revision, JsonArray *changes)
{
    for (guint i = 0; i < json_array_get_length(changes); i++) {
        JsonNode *node = json_array_get_element(changes, i);
        JsonObject *change = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
        const char *type = confc_json_string(change, "type");
        if (type == NULL || !belongs(subscription, type, confc_json_integer(change, "dbid", 0)))
            continue;
        bool is_known =
            confc_mirror_apply(subscription->mirror, subscription->client->schema, revision, change);
        if (is_known || subscription->is_loading)
            continue;
        /* The mirror lacks what the server thinks it has.  It is read anew rather than trusted. */
        ConfcClient *client = subscription->client;
        g_autoptr(ConfcSubscription) held = g_object_ref(subscription);
        close_at_server(client, subscription->id, NULL);
        subscription->id = 0;
        guint64 generation = client->generation;
        forget_state(subscription, revision, "mirror");
        if (subscription->client != NULL && generation == client->generation)
            open_at_server(subscription, NULL, -1);
        return;
    }
}

static void
close_at_server(ConfcClient *client, gint64 id, GTask *task)
{
    g_autoptr(JsonObject) params = json_object_new();
    json_object_set_int_member(params, "subscription", id);
    g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), params);
    confc_client_call(client, "subscription.close", node, false, closed,
                      task != NULL ? g_object_ref(task) : NULL);
}

static void
closed(ConfcClient *client, JsonNode *result, const GError *error, void *data)
{
    g_autoptr(GTask) task = data;
    if (task == NULL)
        return;
    if (error != NULL)
        g_task_return_error(task, g_error_copy(error));
    else
        g_task_return_boolean(task, TRUE);
}

static void
store_result(GObject *source, GAsyncResult *result, void *data)
{
    GAsyncResult **stored = data;
    *stored = g_object_ref(result);
}
