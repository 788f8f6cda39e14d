/* wrong-name.c - its file is called otherwise than it. */
#include "noted.h"

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    test_loaded(p);
    return p;
}

CONF_PLUGIN(.name = "right-name", .version = "1", .load = load);
