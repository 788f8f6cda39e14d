/* t-connection.c - test plugin: connections from accepted to closed, their data, silence and options, and
 * requests that the server sends on them. */
#include "plugin-test.h"

typedef struct {
    ConfPlugin *plugin;
    GPtrArray *events;
    char *refused_port;                      /* accepted refuses connections on it */
    char *dropping;                          /* the hook that drops its connection */
    int64_t watch_ms;                        /* of every connection that opens; 0: none */
    ConfConnection *master, *replica, *lost; /* NULL: there is none */
    uint64_t opened, idle_calls;
} Self;

typedef struct {
    Self *self;
    ConfLater *later;
} Sending;

typedef struct {
    Self *self;
    uint64_t connection;
} Attached;

static ConfVerdict
accepted(void *data, ConfConnection *c, GError **error)
{
    Self *self = data;
    const char *port = conf_connection_get_port_id(c);
    test_note(self->events, "accepted %s", port);
    if (test_is(self->dropping, "accepted"))
        conf_connection_drop(c, "dropped when accepted");
    if (*port == '\0' || !test_is(port, self->refused_port))
        return CONF_NEXT;
    g_set_error(error, CONF_ERROR, CONF_ERROR_DENIED, "port %s is refused", port);
    return CONF_REFUSE;
}

static ConfVerdict
transport(void *data, ConfConnection *c, GError **error)
{
    Self *self = data;
    test_note(self->events, "transport %s", conf_connection_get_port_id(c));
    if (test_is(self->dropping, "transport"))
        conf_connection_drop(c, "dropped in transport");
    return CONF_NEXT;
}

static void
free_attached(void *data)
{
    Attached *attached = data;
    test_note(attached->self->events, "freed");
    g_free(attached);
}

static void
opened(void *data, ConfConnection *c)
{
    Self *self = data;
    self->opened++;
    Attached *attached = g_new(Attached, 1);
    *attached = (Attached){self, conf_connection_get_id(c)};
    conf_connection_set_plugin_data(c, self->plugin, attached, free_attached);
    test_note(self->events, "opened %s%s", conf_connection_is_outgoing(c) ? "to " : "",
              conf_connection_is_outgoing(c) ? conf_connection_get_host(c) : conf_connection_get_port_id(c));
    if (conf_connection_is_outgoing(c))
        self->master = c;
    if (self->watch_ms > 0)
        conf_connection_watch_idle(c, self->plugin, (unsigned)self->watch_ms);
    if (test_is(self->dropping, "opened"))
        conf_connection_drop(c, "dropped when opened");
}

static void
idle(void *data, ConfConnection *c, unsigned quiet_ms)
{
    Self *self = data;
    self->idle_calls++;
    g_autofree char *params = g_strdup_printf("{\"quiet\":%u}", quiet_ms);
    conf_connection_send_notification(c, "t-connection.idle", params);
    if (test_is(self->dropping, "idle"))
        conf_connection_drop(c, "dropped for its silence");
}

static void
closed(void *data, ConfConnection *c)
{
    Self *self = data;
    const Attached *attached = conf_connection_get_plugin_data(c, self->plugin);
    test_note(self->events, "closed%s",
              attached != NULL && attached->connection == conf_connection_get_id(c) ? " with its data" : "");
    if (test_is(self->dropping, "closed"))
        conf_connection_drop(c, "dropped when it was closed");
    /* Nothing of it does harm any more. */
    conf_connection_watch_idle(c, self->plugin, 10);
    if (conf_connection_send_request(c, self->plugin, "t.late", "{}", 10, NULL, NULL) ||
        conf_connection_send_notification(c, "t.late", "{}"))
        test_note(self->events, "a closed connection took a message");
    if (c == self->master)
        self->master = NULL;
    if (c == self->replica)
        self->replica = NULL;
    if (c == self->lost)
        self->lost = NULL;
}

static ConfVerdict
received(void *data, ConfRequest *r, GError **error)
{
    Self *self = data;
    if (test_is(conf_request_get_method_name(r), "replica.open"))
        self->replica = conf_request_get_peer(r);
    return CONF_NEXT;
}

static void
method_set(void *data, ConfRequest *r)
{
    Self *self = data;
    g_free(self->refused_port);
    g_free(self->dropping);
    self->refused_port = g_strdup(test_param(r, "refuse"));
    self->dropping = g_strdup(test_param(r, "drop"));
    self->watch_ms = test_param_integer(r, "watch", 0);
    conf_request_answer_json(r, "{}");
}

static void
method_events(void *data, ConfRequest *r)
{
    test_answer_events(((Self *)data)->events, r);
}

static ConfConnection *
find(Self *self, ConfRequest *r)
{
    const char *which = test_param(r, "of");
    if (test_is(which, "master"))
        return self->master;
    if (test_is(which, "replica"))
        return self->replica;
    return test_is(which, "lost") ? self->lost : conf_request_get_peer(r);
}

static void
write_text(ConfJsonWriterHandle *w, const char *key, const char *value)
{
    conf_writer_key(w, key);
    if (value != NULL)
        conf_writer_string(w, value);
    else
        conf_writer_null(w);
}

static void
write_truth(ConfJsonWriterHandle *w, const char *key, bool value)
{
    conf_writer_key(w, key);
    conf_writer_boolean(w, value);
}

static void
method_describe(void *data, ConfRequest *r)
{
    Self *self = data;
    const ConfConnection *c = find(self, r);
    if (c == NULL) {
        conf_request_answer_error(r, -32004, "There is no such connection", NULL);
        return;
    }
    ConfJsonWriterHandle *w = conf_writer_new();
    conf_writer_begin_object(w);
    conf_writer_key(w, "id");
    conf_writer_integer(w, (int64_t)conf_connection_get_id(c));
    write_truth(w, "outgoing", conf_connection_is_outgoing(c));
    write_truth(w, "loopback", conf_connection_is_loopback(c));
    write_truth(w, "encrypted", conf_connection_is_encrypted(c));
    write_text(w, "peer", conf_connection_get_peer(c));
    write_text(w, "address", conf_connection_get_peer_address(c));
    write_text(w, "port", conf_connection_get_port_id(c));
    write_text(w, "host", conf_connection_get_host(c));
    write_text(w, "subject", conf_connection_get_peer_subject(c));
    const char *const *names = conf_connection_get_peer_names(c);
    conf_writer_key(w, "names");
    conf_writer_begin_array(w);
    for (unsigned i = 0; names != NULL && names[i] != NULL; i++)
        conf_writer_string(w, names[i]);
    conf_writer_end_array(w);
    int64_t quiet = g_get_monotonic_time() - conf_connection_get_last_receive(c);
    write_truth(w, "heardJustNow", quiet >= 0 && quiet < 30 * G_USEC_PER_SEC);
    conf_writer_key(w, "waiting");
    conf_writer_integer(w, (int64_t)conf_connection_get_waiting(c));
    conf_writer_key(w, "acknowledged");
    conf_writer_integer(w, (int64_t)conf_connection_get_acknowledged(c));
    write_truth(w, "data", conf_connection_get_plugin_data(c, self->plugin) != NULL);
    conf_writer_end_object(w);
    g_autofree char *json = conf_writer_finish(w);
    conf_request_answer_json(r, json);
}

static void
method_option(void *data, ConfRequest *r)
{
    Self *self = data;
    const ConfConnection *c = find(self, r);
    ConfJsonWriterHandle *w = conf_writer_new();
    conf_writer_begin_object(w);
    write_text(w, "value",
               c != NULL ? conf_connection_get_option(c, test_param(r, "section"), test_param(r, "key"))
                         : NULL);
    conf_writer_end_object(w);
    g_autofree char *json = conf_writer_finish(w);
    conf_request_answer_json(r, json);
}

static void
method_watch(void *data, ConfRequest *r)
{
    Self *self = data;
    conf_connection_watch_idle(conf_request_get_peer(r), self->plugin,
                               (unsigned)test_param_integer(r, "ms", 0));
    conf_request_answer_json(r, "{}");
}

static void
method_data(void *data, ConfRequest *r)
{
    Self *self = data;
    conf_connection_set_plugin_data(conf_request_get_peer(r), self->plugin, NULL, NULL);
    conf_request_answer_json(r, "{}");
}

static void
method_drop(void *data, ConfRequest *r)
{
    Self *self = data;
    conf_request_answer_json(r, "{}");
    ConfConnection *c = find(self, r);
    if (c != NULL)
        conf_connection_drop(c, "dropped by a method");
}

static void
answered(void *self, const char *result, const char *error, void *data)
{
    Sending *sending = data;
    test_note(sending->self->events, "answered");
    g_autofree char *json = g_strdup_printf("{\"result\":%s,\"error\":%s}", result != NULL ? result : "null",
                                            error != NULL ? error : "null");
    conf_later_answer(sending->later, json);
    g_free(sending);
}

/* The caller is told what the peer answered. */
static void
method_send(void *data, ConfRequest *r)
{
    Self *self = data;
    ConfConnection *c = find(self, r);
    if (test_is(test_param(r, "mark"), "lost"))
        self->lost = c;
    if (c == NULL) {
        conf_request_answer_error(r, -32004, "There is no such connection", NULL);
        return;
    }
    Sending *sending = g_new(Sending, 1);
    *sending = (Sending){self, conf_request_later(r, 20000, NULL, NULL)};
    if (conf_connection_send_request(c, self->plugin, test_param(r, "method"), test_param(r, "params"),
                                     (unsigned)test_param_integer(r, "timeout", 10000), answered, sending))
        return;
    conf_later_finish(sending->later, CONF_REFUSE,
                      g_error_new(CONF_PLUGIN_RPC_ERROR, -32602, "The request was not taken"));
    g_free(sending);
}

static void
method_notify(void *data, ConfRequest *r)
{
    Self *self = data;
    ConfConnection *c = find(self, r);
    bool sent =
        c != NULL && conf_connection_send_notification(c, test_param(r, "method"), test_param(r, "params"));
    conf_request_answer_json(r, sent ? "{\"sent\":true}" : "{\"sent\":false}");
}

/* Both ends of a link may call it. */
static void
method_poll(void *data, ConfRequest *r)
{
    Self *self = data;
    const ConfConnection *c = conf_request_get_peer(r);
    g_autofree char *json = g_strdup_printf(
        "{\"revision\":%" G_GINT64_FORMAT ",\"outgoing\":%s,\"session\":%s}",
        conf_plugin_get_revision(self->plugin), conf_connection_is_outgoing(c) ? "true" : "false",
        conf_request_get_owner(r) != NULL ? "true" : "false");
    test_note(self->events, "polled");
    conf_request_answer_json(r, json);
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks hooks = {
        .size = sizeof hooks,
        .accepted = accepted,
        .transport = transport,
        .opened = opened,
        .idle = idle,
        .closed = closed,
        .received = received,
    };
    static const struct {
        const char *name;
        ConfPluginMethodFunc func;
    } methods[] = {
        {"t-connection.set", method_set},           {"t-connection.events", method_events},
        {"t-connection.describe", method_describe}, {"t-connection.option", method_option},
        {"t-connection.watch", method_watch},       {"t-connection.data", method_data},
        {"t-connection.drop", method_drop},         {"t-connection.send", method_send},
        {"t-connection.notify", method_notify},     {"t-connection.poll", method_poll},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(methods); i++) {
        if (!conf_plugin_add_method(p, methods[i].name, true, methods[i].func, error))
            return NULL;
    }
    Self *self = g_new0(Self, 1);
    self->plugin = p;
    self->events = g_ptr_array_new_with_free_func(g_free);
    conf_plugin_hook(p, CONF_NORMAL, &hooks);
    conf_plugin_statistic(p, "opened", &self->opened);
    conf_plugin_statistic(p, "idle", &self->idle_calls);
    return self;
}

static void
unload(void *data)
{
    Self *self = data;
    g_ptr_array_unref(self->events);
    g_free(self->refused_port);
    g_free(self->dropping);
    g_free(self);
}

CONF_PLUGIN(.name = "t-connection", .version = "1", .summary = "Shows what connections do", .load = load,
            .unload = unload);
