/* t-session.c - test plugin: sessions as plugins see them, reading and writing as one, and their end. */
#include "plugin-test.h"

typedef struct {
    ConfPlugin *plugin;
    GPtrArray *events;
    char *ending; /* the user whose sessions end as soon as they open */
    uint64_t done;
} Self;

typedef struct {
    Self *self;
    ConfLater *later; /* NULL: nobody is answered */
} Writing;

static void
session_opened(void *data, ConfSession *s, bool resumed)
{
    Self *self = data;
    const ConfConnection *c = conf_session_get_peer(s);
    test_note(self->events, "%s %s %" G_GINT64_FORMAT " as %s%s from %s", resumed ? "resumed" : "opened",
              conf_session_get_user_name(s), conf_session_get_user(s), conf_session_get_application_name(s),
              conf_session_is_administrator(s) ? " (administrator)" : "",
              c != NULL ? conf_connection_get_peer_address(c) : "nowhere");
    if (test_is(conf_session_get_user_name(s), self->ending)) {
        conf_session_send_notification(s, "t-session.word", "{\"last\":true}");
        conf_session_end(s, "not \"wanted\"");
        conf_session_end(s, "again");
    }
}

static void
done_unasked(void *data, int64_t revision, const char *error_json, void *writing)
{
    Self *self = data;
    self->done++;
    test_note(self->events, "done %s", error_json != NULL ? "with an error" : "well");
    g_free(writing);
}

static void
session_closed(void *data, ConfSession *s, const char *reason)
{
    Self *self = data;
    test_note(self->events, "closed %s: %s", conf_session_get_user_name(s), reason);
    conf_session_end(s, "too late");
    if (conf_session_send_notification(s, "t-session.late", "{}"))
        test_note(self->events, "an ended session took a notification");
    /* The transaction outlives it. */
    if (test_is(reason, "closed"))
        conf_session_submit(s, self->plugin,
                            "[{\"op\":\"create\",\"object\":{\"type\":\"host\",\"name\":\"epitaph\"}}]",
                            done_unasked, g_new0(Writing, 1));
}

static void
method_events(void *data, ConfRequest *r)
{
    test_answer_events(((Self *)data)->events, r);
}

static void
method_set(void *data, ConfRequest *r)
{
    Self *self = data;
    g_free(self->ending);
    self->ending = g_strdup(test_param(r, "ending"));
    conf_request_answer_json(r, "{}");
}

static void
method_read(void *data, ConfRequest *r)
{
    ConfSession *s = conf_request_get_owner(r);
    const char *name = test_param(r, "name"), *right = test_param(r, "right");
    const ConfObject *object =
        name != NULL ? conf_session_read_name(s, test_param(r, "type"), name)
                     : conf_session_read(s, test_param(r, "type"), test_param_integer(r, "dbid", 0));
    if (object == NULL) {
        conf_request_answer_error(r, -32004, "There is no such object", NULL);
        return;
    }
    size_t size = 0;
    const char *json = conf_object_get_json(object, &size);
    g_autofree char *answer = g_strdup_printf(
        "{\"object\":%s,\"whole\":%s,\"may\":%s}", json, size == strlen(json) ? "true" : "false",
        right != NULL && conf_session_may(s, object, right) ? "true" : "false");
    conf_request_answer_json(r, answer);
}

static void
done(void *data, int64_t revision, const char *error_json, void *writing_data)
{
    Self *self = data;
    Writing *writing = writing_data;
    self->done++;
    g_autofree char *json = g_strdup_printf("{\"revision\":%" G_GINT64_FORMAT ",\"error\":%s}", revision,
                                            error_json != NULL ? error_json : "null");
    conf_later_answer(writing->later, json);
    g_free(writing);
}

static void
told(void *data, const char *result_json, const char *error_json, void *writing_data)
{
    Self *self = data;
    Writing *writing = writing_data;
    self->done++;
    g_autofree char *json =
        g_strdup_printf("{\"result\":%s,\"error\":%s}", result_json != NULL ? result_json : "null",
                        error_json != NULL ? error_json : "null");
    conf_later_answer(writing->later, json);
    g_free(writing);
}

static Writing *
writing_new(Self *self, ConfRequest *r)
{
    Writing *writing = g_new(Writing, 1);
    *writing = (Writing){self, conf_request_later(r, 20000, NULL, NULL)};
    return writing;
}

/* Params of both: {"text": the JSON to be handed on}. */
static void
method_submit(void *data, ConfRequest *r)
{
    Self *self = data;
    ConfSession *s = conf_request_get_owner(r);
    g_autofree char *text = g_strdup(test_param(r, "text"));
    conf_session_submit(s, self->plugin, text, done, writing_new(self, r));
}

static void
method_transaction(void *data, ConfRequest *r)
{
    Self *self = data;
    ConfSession *s = conf_request_get_owner(r);
    g_autofree char *text = g_strdup(test_param(r, "text"));
    conf_session_transaction(s, self->plugin, text, told, writing_new(self, r));
}

static void
method_word(void *data, ConfRequest *r)
{
    bool sent =
        conf_session_send_notification(conf_request_get_owner(r), "t-session.word", test_param(r, "text"));
    conf_request_answer_json(r, sent ? "{\"sent\":true}" : "{\"sent\":false}");
}

static void
method_end(void *data, ConfRequest *r)
{
    conf_session_end(conf_request_get_owner(r), test_param(r, "reason"));
    conf_request_answer_json(r, "{}");
}

/* Two sessions have two numbers, and each keeps its own. */
static void
method_number(void *data, ConfRequest *r)
{
    const ConfSession *s = conf_request_get_owner(r);
    bool has_peer = conf_session_get_peer(s) == conf_request_get_peer(r);
    g_autofree char *json =
        g_strdup_printf("{\"number\":%" G_GUINT64_FORMAT ",\"application\":%" G_GINT64_FORMAT ",\"peer\":%s}",
                        conf_session_get_id(s), conf_session_get_application(s), has_peer ? "true" : "false");
    conf_request_answer_json(r, json);
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks hooks = {
        .size = sizeof hooks, .session_opened = session_opened, .session_closed = session_closed};
    static const struct {
        const char *name;
        bool before_login;
        ConfPluginMethodFunc func;
    } methods[] = {
        {"t-session.events", true, method_events},
        {"t-session.set", true, method_set},
        {"t-session.read", false, method_read},
        {"t-session.submit", false, method_submit},
        {"t-session.transaction", false, method_transaction},
        {"t-session.word", false, method_word},
        {"t-session.end", false, method_end},
        {"t-session.number", false, method_number},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(methods); i++) {
        if (!conf_plugin_add_method(p, methods[i].name, methods[i].before_login, methods[i].func, error))
            return NULL;
    }
    Self *self = g_new0(Self, 1);
    self->plugin = p;
    self->events = g_ptr_array_new_with_free_func(g_free);
    conf_plugin_hook(p, CONF_NORMAL, &hooks);
    conf_plugin_statistic(p, "done", &self->done);
    return self;
}

static void
unload(void *data)
{
    Self *self = data;
    g_ptr_array_unref(self->events);
    g_free(self->ending);
    g_free(self);
}

CONF_PLUGIN(.name = "t-session", .version = "1", .summary = "Knows sessions", .load = load, .unload = unload);
