/* in-folder.c - lies in a folder of its own name. */
#include "../noted.h"

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    test_loaded(p);
    return p;
}

CONF_PLUGIN(.name = "in-folder", .version = "1", .summary = "Lies in a folder of its own name", .load = load);
