/* refuses.c - does not load, with hooks, a timer and a job left behind. */
#include <gio/gio.h>

#include "noted.h"

static void
opened(void *self, ConfConnection *c)
{
    test_note("refuses opened");
}

static void
due(void *self, void *data)
{
    test_note("refuses due");
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks hooks = {.size = sizeof(hooks), .opened = opened};
    conf_plugin_hook(p, CONF_NORMAL, &hooks);
    conf_timer(p, 1, due, NULL);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "the directory is not to be reached");
    return NULL;
}

CONF_PLUGIN(.name = "refuses", .version = "1", .load = load);
