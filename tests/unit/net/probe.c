/* probe.c - a plugin whose hooks are functions of the test program: it only hands its load() on. */
#include "plugin/confserv-plugin.h"

#include "probe.h"

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    return probe_load(p);
}

CONF_PLUGIN(.name = "probe", .version = "1", .summary = "Hooks of a test program", .load = load);
