/* needs-plain.c - needs plugin plain before it. */
#include "noted.h"

static const char *const NEEDS[] = {"plain", NULL};

static void
stop(void *self)
{
    test_note("needs-plain stop");
}

static void
unload(void *self)
{
    test_note("needs-plain unload");
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    test_note("needs-plain load");
    return p;
}

CONF_PLUGIN(.name = "needs-plain", .version = "1", .needs = NEEDS, .load = load, .stop = stop,
            .unload = unload);
