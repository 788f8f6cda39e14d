/* db-sqlite.c - plugin db-sqlite: the configuration database in one SQLite file (dbengine = sqlite).
 *
 * Here stands the descriptor only.  The provider's functions block and run on the storage's writer thread;
 * they log nothing and tell everything by GError. */
#include "db-sqlite-private.h"

static void *load(ConfPlugin *p, const void *settings, GError **error);

CONF_PLUGIN(.name = "db-sqlite", .version = CONF_SQLITE_PLUGIN_VERSION,
            .summary = "Keeps the configuration in one SQLite file.", .load = load);

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    return conf_plugin_provide(p, "storage", &conf_sqlite_provider, error) ? p : NULL;
}
