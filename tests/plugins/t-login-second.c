/* t-login-second.c - test plugin: a second directory, asked behind t-login.  It notes what it sees of a
 * log-in, and lets in whoever has the password "second". */
#include "plugin-test.h"

static ConfVerdict
login(void *data, ConfLogin *l, GError **error)
{
    GPtrArray *events = data;
    if (!g_str_has_prefix(conf_login_get_user(l), "ext"))
        return CONF_NEXT;
    test_note(events, "asked for %s%s%s", conf_login_get_user(l),
              conf_login_get_state(l) != NULL ? " with a state" : "",
              conf_login_get_response(l) != NULL ? " with a response" : "");
    return test_is(conf_login_get_password(l), "second") ? CONF_DONE : CONF_NEXT;
}

static void
method_events(void *data, ConfRequest *r)
{
    test_answer_events(data, r);
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks hooks = {.size = sizeof hooks, .login = login};
    if (!conf_plugin_add_method(p, "t-login-second.events", true, method_events, error))
        return NULL;
    conf_plugin_hook(p, CONF_NORMAL, &hooks);
    return g_ptr_array_new_with_free_func(g_free);
}

static void
unload(void *data)
{
    g_ptr_array_unref(data);
}

CONF_PLUGIN(.name = "t-login-second", .version = "1", .summary = "Another directory",
            .needs = (const char *const[]){"t-login", NULL}, .load = load, .unload = unload);
