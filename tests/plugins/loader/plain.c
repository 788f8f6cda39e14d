/* plain.c - does nothing by itself: the test calls the functions of the API in its name. */
#include "noted.h"

static void
stop(void *self)
{
    test_note("plain stop");
}

static void
unload(void *self)
{
    test_note("plain unload");
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    test_note("plain load");
    test_loaded(p);
    return p;
}

CONF_PLUGIN(.name = "plain", .version = "1.2", .summary = "Does nothing", .load = load, .stop = stop,
            .unload = unload);
