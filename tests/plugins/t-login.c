/* t-login.c - test plugin: a directory that answers log-ins in every way, as auth-ldap and auth-radius will.
 *
 * Users whose names begin with "ext" are its own.  The password says what happens; of other mechanisms the
 * token does. */
#include "plugin-test.h"

typedef struct {
    ConfPlugin *plugin;
    GPtrArray *events;
    ConfLater *kept;
    uint64_t gone;
} Self;

typedef struct {
    Self *self;
    ConfLater *later;
    ConfVerdict verdict; /* CONF_LATER: a challenge */
    bool is_away;
    char *answer; /* read in the worker */
} Asking;

static void
gone(void *data)
{
    Self *self = data;
    self->gone++;
    test_note(self->events, "gone");
}

static void
finish(Asking *asking)
{
    if (asking->verdict == CONF_LATER) {
        g_autoptr(GBytes) state = g_bytes_new("1", 1);
        conf_later_challenge(asking->later, "Token?", state);
    } else {
        GError *error = NULL;
        if (asking->verdict == CONF_REFUSE)
            error = g_error_new(CONF_ERROR, asking->is_away ? CONF_ERROR_UNAVAILABLE : CONF_ERROR_DENIED,
                                "%s", asking->is_away ? "the directory is away" : "the directory said no");
        conf_later_finish(asking->later, asking->verdict, error);
    }
    g_free(asking->answer);
    g_free(asking);
}

static void
due(void *self, void *data)
{
    finish(data);
}

/* A blocking library. */
static void
work(void *job)
{
    Asking *asking = job;
    asking->answer = g_strdup("from a thread");
}

static void
done(void *data, void *job)
{
    Self *self = data;
    test_note(self->events, "%s", ((Asking *)job)->answer);
    finish(job);
}

static ConfVerdict
refuse(GError **error, GQuark domain, int code, const char *message)
{
    g_set_error_literal(error, domain, code, message);
    return CONF_REFUSE;
}

static ConfVerdict
ask(Self *self, ConfLogin *l, Asking what, bool by_thread)
{
    what.self = self;
    what.later = conf_login_later(l, 10000, gone, self);
    Asking *asking = g_memdup2(&what, sizeof what);
    if (by_thread)
        g_assert_true(conf_work(self->plugin, work, done, asking));
    else
        conf_timer(self->plugin, 20, due, asking);
    return CONF_LATER;
}

/* Rounds: password, then "first", then "second". */
static ConfVerdict
go_on(Self *self, ConfLogin *l, GBytes *state, GError **error)
{
    const char *response = conf_login_get_response(l);
    char round = ((const char *)g_bytes_get_data(state, NULL))[0];
    test_note(self->events, "round %c: %s, password %s", round, response, conf_login_get_password(l));
    if (round == '1' && test_is(response, "first")) {
        g_autoptr(GBytes) next = g_bytes_new("2", 1);
        conf_later_challenge(conf_login_later(l, 10000, gone, self), "And now?", next);
        return CONF_LATER;
    }
    if (round == '2' && test_is(response, "second"))
        return CONF_DONE;
    if (test_is(response, "unsure"))
        return ask(self, l, (Asking){.verdict = CONF_NEXT}, false);
    return refuse(error, CONF_ERROR, CONF_ERROR_DENIED, "a wrong response");
}

static ConfVerdict
judge_later(Self *self, ConfLogin *l, const char *how, GError **error)
{
    if (test_is(how, "later-yes"))
        return ask(self, l, (Asking){.verdict = CONF_DONE}, true);
    if (test_is(how, "later-no"))
        return ask(self, l, (Asking){.verdict = CONF_REFUSE}, false);
    if (test_is(how, "later-away"))
        return ask(self, l, (Asking){.verdict = CONF_REFUSE, .is_away = true}, false);
    if (test_is(how, "later-next"))
        return ask(self, l, (Asking){.verdict = CONF_NEXT}, true);
    if (test_is(how, "challenge")) {
        conf_login_set_text(l, "Look at your token");
        return ask(self, l, (Asking){.verdict = CONF_LATER}, false);
    }
    if (test_is(how, "time-out")) {
        self->kept = conf_login_later(l, 30, gone, self);
        return CONF_LATER;
    }
    if (test_is(how, "keep")) {
        self->kept = conf_login_later(l, 60000, gone, self);
        return CONF_LATER;
    }
    if (test_is(how, "later-twice")) {
        conf_later_finish(conf_login_later(l, 10000, NULL, NULL), CONF_DONE, NULL);
        conf_later_finish(conf_login_later(l, 10000, NULL, NULL), CONF_DONE, NULL);
        return CONF_LATER;
    }
    if (test_is(how, "drop-later")) {
        conf_connection_drop(conf_login_get_connection(l), "dropped during a log-in");
        return ask(self, l, (Asking){.verdict = CONF_DONE}, false);
    }
    return refuse(error, CONF_ERROR, CONF_ERROR_DENIED, "a wrong password");
}

static ConfVerdict
judge(Self *self, ConfLogin *l, const char *how, GError **error)
{
    if (test_is(how, "yes"))
        return CONF_DONE;
    if (test_is(how, "welcome")) {
        conf_login_set_text(l, "Welcome, \"ann\"");
        return CONF_DONE;
    }
    if (test_is(how, "next"))
        return CONF_NEXT;
    if (test_is(how, "away"))
        return refuse(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "the directory is away");
    if (test_is(how, "coded"))
        return refuse(error, CONF_PLUGIN_RPC_ERROR, -32015, "the password has expired");
    if (test_is(how, "locked")) {
        conf_login_set_text(l, "Your account is locked \"for now\"");
        return refuse(error, CONF_ERROR, CONF_ERROR_DENIED, "locked");
    }
    if (g_str_has_prefix(how, "group ")) {
        g_auto(GStrv) groups = g_strsplit(how + strlen("group "), ",", -1);
        for (unsigned i = 0; groups[i] != NULL; i++)
            conf_login_add_group(l, groups[i]);
        return CONF_DONE;
    }
    if (test_is(how, "drop")) {
        conf_connection_drop(conf_login_get_connection(l), "dropped during a log-in");
        return CONF_DONE;
    }
    return judge_later(self, l, how, error);
}

static ConfVerdict
login(void *data, ConfLogin *l, GError **error)
{
    Self *self = data;
    const char *user = conf_login_get_user(l), *mechanism = conf_login_get_mechanism(l);
    if (test_is(mechanism, "certificate")) {
        const ConfConnection *c = conf_login_get_connection(l);
        g_autofree char *subject = g_strconcat("CN=", user, NULL);
        test_note(self->events, "certificate of %s", user);
        return test_is(conf_connection_get_peer_subject(c), subject)
                   ? CONF_DONE
                   : refuse(error, CONF_ERROR, CONF_ERROR_DENIED, "another one's certificate");
    }
    if (!g_str_has_prefix(user, "ext"))
        return CONF_NEXT;
    GBytes *state = conf_login_get_state(l);
    if (state != NULL)
        return go_on(self, l, state, error);
    const ConfObject *person = conf_login_get_person(l);
    test_note(self->events, "%s as %s by %s from %s: %s", user, conf_login_get_application(l), mechanism,
              conf_connection_get_peer_address(conf_login_get_connection(l)),
              person != NULL ? conf_object_get_name(person) : "unknown");
    return judge(self, l,
                 test_is(mechanism, "password") ? conf_login_get_password(l) : conf_login_get_token(l),
                 error);
}

static void
login_refused(void *data, ConfLogin *l, const char *why)
{
    Self *self = data;
    test_note(self->events, "refused %s of %s: %s", conf_login_get_user(l), conf_login_get_application(l),
              why);
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
    if (self->kept != NULL)
        conf_later_finish(g_steal_pointer(&self->kept), CONF_DONE, NULL);
    conf_request_answer_json(r, "{}");
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks hooks = {.size = sizeof hooks, .login = login, .login_refused = login_refused};
    if (!conf_plugin_add_method(p, "t-login.events", true, method_events, error) ||
        !conf_plugin_add_method(p, "t-login.finish", true, method_finish, error))
        return NULL;
    Self *self = g_new0(Self, 1);
    self->plugin = p;
    self->events = g_ptr_array_new_with_free_func(g_free);
    conf_plugin_hook(p, CONF_NORMAL, &hooks);
    conf_plugin_statistic(p, "gone", &self->gone);
    return self;
}

static void
unload(void *data)
{
    Self *self = data;
    g_ptr_array_unref(self->events);
    g_free(self);
}

CONF_PLUGIN(.name = "t-login", .version = "1", .summary = "A directory", .load = load, .unload = unload);
