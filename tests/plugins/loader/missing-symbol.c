/* missing-symbol.c - fits in all but one function, which it would call long after load(). */
#include "noted.h"

void conf_function_that_is_missing(ConfConnection *c);

static void
opened(void *self, ConfConnection *c)
{
    conf_function_that_is_missing(c);
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks hooks = {.size = sizeof(hooks), .opened = opened};
    test_note("missing-symbol loads");
    conf_plugin_hook(p, CONF_NORMAL, &hooks);
    return p;
}

CONF_PLUGIN(.name = "missing-symbol", .version = "1", .load = load);
