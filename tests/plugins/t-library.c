/* t-library.c - test plugins (built twice, as t-library-one and t-library-two): libraries of
 * [authentication].
 *
 * What each does with a log-in stands in the password after its own short name: "one=no two=later-yes", or
 * in option `says` of its section.  With option `away` = true of its section it does not know, whatever
 * stands there. */
#include "plugin-test.h"

typedef struct {
    ConfPlugin *plugin;
    GPtrArray *events;
    GPtrArray *held; /* of Asking */
    GPtrArray *held_until_changed;
} Self;

typedef struct {
    ConfLater *later;
    ConfVerdict verdict;
    GError *error;
} Asking;

static ConfVerdict
decide(const char *word, GError **error)
{
    if (g_str_has_prefix(word, "yes"))
        return CONF_DONE;
    if (g_str_has_prefix(word, "away")) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "%s is away", SHORT);
        return CONF_REFUSE;
    }
    if (g_str_has_prefix(word, "no")) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_DENIED, "%s says no", SHORT);
        return CONF_REFUSE;
    }
    return CONF_NEXT;
}

static void
due(void *self, void *data)
{
    Asking *asking = data;
    conf_later_finish(asking->later, asking->verdict, asking->error);
    g_free(asking);
}

static void
gone(void *data)
{
}

static ConfVerdict
login(void *data, ConfLogin *l, GError **error)
{
    Self *self = data;
    const char *password = conf_login_get_password(l), *word = strstr(password, SHORT "=");
    test_note(self->events, "%s", conf_login_get_user(l));
    g_assert(*password != '\0');
    const char *away = conf_plugin_get_option(self->plugin, NAME, "away");
    const char *says = conf_plugin_get_option(self->plugin, NAME, "says");
    word = test_is(away, "true") ? "away" : word != NULL ? word + strlen(SHORT "=") : "unknown";
    word = says != NULL && *says != '\0' ? says : word;
    if (g_str_has_prefix(word, "no-with-text"))
        conf_login_set_text(l, SHORT " says no");
    if (g_str_has_prefix(word, "yes-in-") && conf_login_find_group(l, word + strlen("yes-in-")) != NULL)
        conf_login_add_group(l, word + strlen("yes-in-"));
    if (g_str_has_prefix(word, "ask") && conf_login_get_state(l) == NULL) {
        g_autoptr(GBytes) state = g_bytes_new("1", 1);
        conf_later_challenge(conf_login_later(l, 10000, gone, self), "More?", state);
        return CONF_LATER;
    }
    if (g_str_has_prefix(word, "ask"))
        word = conf_login_get_response(l);
    if (g_str_has_prefix(word, "never")) {
        /* The core's time is over first. */
        Asking *asking = g_new0(Asking, 1);
        asking->later = conf_login_later(l, 100, gone, self);
        asking->verdict = CONF_DONE;
        conf_timer(self->plugin, 300, due, asking);
        return CONF_LATER;
    }
    if (g_str_has_prefix(word, "hold")) {
        Asking *asking = g_new0(Asking, 1);
        asking->later = conf_login_later(l, 60000, gone, self);
        asking->verdict = CONF_DONE;
        g_ptr_array_add(g_str_has_prefix(word, "hold-until-changed") ? self->held_until_changed : self->held,
                        asking);
        return CONF_LATER;
    }
    /* "later-yes": after 1 ms; "after-1500-yes". */
    unsigned delay_ms = 1;
    if (g_str_has_prefix(word, "after-")) {
        char *end = NULL;
        delay_ms = (unsigned)strtoul(word + strlen("after-"), &end, 10);
        word = end + strspn(end, "-");
    } else if (g_str_has_prefix(word, "later-")) {
        word += strlen("later-");
    } else {
        return decide(word, error);
    }
    Asking *asking = g_new0(Asking, 1);
    asking->verdict = decide(word, &asking->error);
    asking->later = conf_login_later(l, 10000, gone, self);
    conf_timer(self->plugin, delay_ms, due, asking);
    return CONF_LATER;
}

static void
events(void *data, ConfRequest *r)
{
    Self *self = data;
    test_answer_events(self->events, r);
}

static void
let_in(Self *self, GPtrArray *held)
{
    for (unsigned i = 0; i < held->len; i++)
        due(self, held->pdata[i]);
    g_ptr_array_set_size(held, 0);
}

/* Lets in all that are held. */
static void
release(void *data, ConfRequest *r)
{
    Self *self = data;
    let_in(self, self->held);
    conf_request_answer_json(r, "{}");
}

static void
changed(void *data, const void *settings)
{
    Self *self = data;
    let_in(self, self->held_until_changed);
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks hooks = {.size = sizeof hooks, .login = login};
    if (!conf_plugin_authenticates(p, "gauth_" SHORT, error) ||
        !conf_plugin_add_method(p, NAME ".events", false, events, error) ||
        !conf_plugin_add_method(p, NAME ".release", false, release, error))
        return NULL;
    Self *self = g_new0(Self, 1);
    self->plugin = p;
    self->events = g_ptr_array_new_with_free_func(g_free);
    self->held = g_ptr_array_new();
    self->held_until_changed = g_ptr_array_new();
    conf_plugin_hook(p, CONF_NORMAL, &hooks);
    return self;
}

static void
unload(void *data)
{
    Self *self = data;
    g_ptr_array_unref(self->events);
    g_ptr_array_unref(self->held);
    g_ptr_array_unref(self->held_until_changed);
    g_free(self);
}

CONF_PLUGIN(.name = NAME, .version = "1", .summary = "Test: a library of [authentication]", .load = load,
            .changed = changed, .unload = unload);
