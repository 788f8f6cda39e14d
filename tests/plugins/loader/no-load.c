/* no-load.c - has nothing to load. */
#include "noted.h"

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    test_loaded(p);
    return p;
}

/* Kept, so that only the descriptor is at fault. */
CONF_API void *no_load_unused(ConfPlugin *p);
void *
no_load_unused(ConfPlugin *p)
{
    return load(p, NULL, NULL);
}

CONF_PLUGIN(.name = "no-load", .version = "1");
