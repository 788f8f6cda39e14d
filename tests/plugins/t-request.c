/* t-request.c - test plugin: hooks `received` and `answered`, every way to answer now and later, and params
 * that a plugin understands.
 *
 * Method t-request.call names by `how` what hook received does with it; the method itself answers
 * {"method":true}. */
#include "plugin-test.h"

typedef struct {
    ConfPlugin *plugin;
    GPtrArray *events;
    ConfLater *kept; /* taken by "keep", finished by t-request.finish */
    uint64_t gone;
} Self;

typedef struct {
    Self *self;
    ConfLater *later;
    ConfVerdict verdict; /* CONF_LATER: an answer */
    unsigned times;
} Finishing;

static void
finish(Finishing *finishing)
{
    for (unsigned i = 0; i < finishing->times; i++) {
        if (finishing->verdict == CONF_LATER)
            conf_later_answer(finishing->later, "{\"later\":true}");
        else
            conf_later_finish(finishing->later, finishing->verdict,
                              finishing->verdict == CONF_REFUSE
                                  ? g_error_new(CONF_PLUGIN_RPC_ERROR, -32016, "refused later")
                                  : NULL);
    }
    g_free(finishing);
}

static void
due(void *self, void *data)
{
    finish(data);
}

static void
work(void *job)
{
    ((Finishing *)job)->times = 1; /* Only what belongs to the job is touched here. */
}

static void
done(void *self, void *job)
{
    finish(job);
}

static void
gone(void *data)
{
    Self *self = data;
    self->gone++;
    test_note(self->events, "gone");
}

static void
finish_soon(Self *self, ConfRequest *r, ConfVerdict verdict, unsigned times)
{
    Finishing *finishing = g_new(Finishing, 1);
    *finishing = (Finishing){self, conf_request_later(r, 10000, gone, self), verdict, times};
    conf_timer(self->plugin, 20, due, finishing);
}

static ConfVerdict
refuse(GError **error, GQuark domain, int code, const char *message)
{
    g_set_error_literal(error, domain, code, message);
    return CONF_REFUSE;
}

/* What a hook answers by itself. */
static bool
answer_now(ConfRequest *r, const char *how)
{
    if (test_is(how, "answer")) {
        conf_request_answer_json(r, "{\"hook\":true}");
    } else if (test_is(how, "answer-twice")) {
        conf_request_answer_json(r, "{\"hook\":1}");
        conf_request_answer_json(r, "{\"hook\":2}");
    } else if (test_is(how, "answer-error")) {
        conf_request_answer_error(r, -32009, "Said by the hook", "{\"why\":\"so\"}");
    } else if (test_is(how, "answer-nonsense")) {
        conf_request_answer_json(r, "{\"hook\":");
    } else {
        return test_is(how, "done-mutely");
    }
    return true;
}

static ConfVerdict
take_now(ConfRequest *r, const char *how, GError **error)
{
    if (answer_now(r, how))
        return CONF_DONE;
    if (test_is(how, "refuse"))
        return refuse(error, CONF_PLUGIN_RPC_ERROR, -32005, "refused by a plugin");
    if (test_is(how, "unavailable"))
        return refuse(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "somebody is away");
    if (test_is(how, "fail"))
        return refuse(error, CONF_ERROR, CONF_ERROR_FAILED, "something is wrong");
    if (test_is(how, "refuse-mutely"))
        return CONF_REFUSE;
    if (test_is(how, "later-unsaid"))
        return CONF_LATER;
    if (test_is(how, "drop"))
        conf_connection_drop(conf_request_get_peer(r), "dropped while a request came");
    if (test_is(how, "end"))
        conf_session_end(conf_request_get_owner(r), "plugin");
    return CONF_NEXT;
}

static ConfVerdict
take_later(Self *self, ConfRequest *r, const char *how, GError **error)
{
    Finishing job = {self, NULL, CONF_LATER, 0};
    if (test_is(how, "later-timer")) {
        finish_soon(self, r, CONF_LATER, 1);
    } else if (test_is(how, "later-twice")) {
        finish_soon(self, r, CONF_LATER, 2);
    } else if (test_is(how, "later-refuse")) {
        finish_soon(self, r, CONF_REFUSE, 1);
    } else if (test_is(how, "later-next")) {
        finish_soon(self, r, CONF_NEXT, 1);
    } else if (test_is(how, "later-mutely")) {
        finish_soon(self, r, CONF_DONE, 1);
    } else if (test_is(how, "later-here")) {
        conf_later_answer(conf_request_later(r, 0, NULL, NULL), "{\"later\":true}");
    } else if (test_is(how, "later-work")) {
        job.later = conf_request_later(r, 10000, gone, self);
        if (!conf_work(self->plugin, work, done, g_memdup2(&job, sizeof job)))
            return refuse(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "the queue is full");
    } else if (test_is(how, "later-doubly")) {
        ConfLater *first = conf_request_later(r, 10000, gone, self);
        conf_later_answer(conf_request_later(r, 10000, gone, self), "{\"second\":true}");
        conf_later_answer(first, "{\"first\":true}");
    } else if (test_is(how, "later-answered")) {
        conf_request_answer_json(r, "{\"hook\":true}");
        conf_later_answer(conf_request_later(r, 10000, gone, self), "{\"later\":true}");
    } else if (test_is(how, "later-dropped")) {
        finish_soon(self, r, CONF_LATER, 1);
        conf_connection_drop(conf_request_get_peer(r), "dropped with a request put off");
    } else if (test_is(how, "keep")) {
        self->kept = conf_request_later(r, 60000, gone, self);
    } else if (test_is(how, "time-out")) {
        self->kept = conf_request_later(r, 30, gone, self);
    } else {
        return take_now(r, how, error);
    }
    return CONF_LATER;
}

static void
param_answered(void *data, ConfConnection *c, const char *json)
{
    test_note(((Self *)data)->events, "answered upstream: %s", json != NULL ? json : "nothing");
}

/* On the link to the master this server is the one that asks. */
static void
opened(void *data, ConfConnection *c)
{
    Self *self = data;
    if (!conf_connection_is_outgoing(c))
        return;
    conf_connection_add_param(c, self->plugin, "session.open", "t-extra", "21", param_answered);
    conf_connection_add_param(c, self->plugin, "session.open", "t-extra", "22", param_answered);
    conf_connection_add_param(c, self->plugin, "replica.open", "t-extra", "{nonsense", param_answered);
    conf_connection_add_param(c, self->plugin, "replica.open", "t-extra", "4", param_answered);
}

static ConfVerdict
received(void *data, ConfRequest *r, GError **error)
{
    Self *self = data;
    const char *method = conf_request_get_method_name(r);
    if (test_is(method, "session.open") || test_is(method, "replica.open")) {
        const ConfJson *params = conf_value_parse(conf_request_get_params_json(r), NULL);
        int64_t number = 0;
        if (conf_value_integer(conf_value_member(params, "t-extra"), &number)) {
            test_note(self->events, "%s with %d", method, (int)number);
            g_autofree char *doubled = g_strdup_printf("{\"doubled\":%d}", (int)(2 * number));
            conf_request_add_to_answer(r, "t-extra", doubled);
        }
    }
    return test_is(method, "t-request.call") ? take_later(self, r, test_param(r, "how"), error) : CONF_NEXT;
}

/* Behind the first one: what it lets pass comes here. */
static ConfVerdict
received_last(void *data, ConfRequest *r, GError **error)
{
    Self *self = data;
    if (test_is(conf_request_get_method_name(r), "t-request.call"))
        test_note(self->events, "second hook");
    return CONF_NEXT;
}

static void
answered(void *data, ConfRequest *r, int code, uint64_t usec)
{
    Self *self = data;
    const char *method = conf_request_get_method_name(r);
    bool of_session = conf_request_get_owner(r) != NULL;
    if (test_is(method, "t-request.events"))
        return;
    test_note(self->events, "answered %s %d%s", method, code, of_session ? "" : " without a session");
    if (usec > 60 * (uint64_t)G_USEC_PER_SEC)
        test_note(self->events, "it took a minute");
    if (test_is(method, "t-request.fatal"))
        conf_connection_drop(conf_request_get_peer(r), "dropped when answered");
}

static void
method_call(void *data, ConfRequest *r)
{
    Self *self = data;
    const char *how = test_param(r, "how");
    test_note(self->events, "method");
    if (test_is(how, "method-later"))
        finish_soon(self, r, CONF_LATER, 1);
    else if (test_is(how, "method-next"))
        finish_soon(self, r, CONF_NEXT, 1);
    else if (!test_is(how, "method-mutely"))
        conf_request_answer_json(r, "{\"method\":true}");
}

static void
method_events(void *data, ConfRequest *r)
{
    test_answer_events(((Self *)data)->events, r);
}

static void
method_finish(void *data, ConfRequest *r)
{
    Self *self = data;
    const char *how = test_param(r, "how");
    ConfLater *later = self->kept;
    self->kept = NULL;
    if (later != NULL && test_is(how, "error"))
        conf_later_finish(later, CONF_REFUSE, g_error_new(CONF_PLUGIN_RPC_ERROR, -32016, "finished late"));
    else if (later != NULL)
        conf_later_answer(later, "{\"kept\":true}");
    conf_request_answer_json(r, "{}");
}

static void
method_plain(void *data, ConfRequest *r)
{
    conf_request_answer_json(r, "{\n \"lines\":\r\n 2}");
}

/* Answers what it was given, at any size. */
static void
method_echo(void *data, ConfRequest *r)
{
    conf_request_answer_json(r, conf_request_get_params_json(r));
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks first = {
        .size = sizeof first, .opened = opened, .received = received, .answered = answered};
    static const ConfHooks last = {.size = sizeof last, .received = received_last};
    if (!conf_plugin_add_method(p, "t-request.call", false, method_call, error) ||
        !conf_plugin_add_method(p, "t-request.events", true, method_events, error) ||
        !conf_plugin_add_method(p, "t-request.finish", true, method_finish, error) ||
        !conf_plugin_add_method(p, "t-request.fatal", true, method_plain, error) ||
        !conf_plugin_add_method(p, "t-request.plain", true, method_plain, error) ||
        !conf_plugin_add_method(p, "t-request.echo", false, method_echo, error))
        return NULL;
    Self *self = g_new0(Self, 1);
    self->plugin = p;
    self->events = g_ptr_array_new_with_free_func(g_free);
    conf_plugin_hook(p, CONF_LATE, &last);
    conf_plugin_hook(p, CONF_EARLY, &first);
    conf_plugin_know_param(p, "session.open", "t-extra");
    conf_plugin_know_param(p, "replica.open", "t-extra");
    conf_plugin_statistic(p, "gone", &self->gone);
    return self;
}

static void
stop(void *data)
{
    Self *self = data;
    /* "keep" answers before the server ends: nothing new is kept now, and what is held is finished. */
    if (self->kept != NULL)
        conf_later_answer(g_steal_pointer(&self->kept), "{\"stopped\":true}");
}

static void
unload(void *data)
{
    Self *self = data;
    g_ptr_array_unref(self->events);
    g_free(self);
}

CONF_PLUGIN(.name = "t-request", .version = "1", .summary = "Answers in every way", .load = load,
            .stop = stop, .unload = unload);
