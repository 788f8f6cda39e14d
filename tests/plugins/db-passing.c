/* db-passing.c - test plugin: storage under an engine of its own (dbengine = passing), which hands
 * everything on to SQLite and counts. */
#include "plugin-test.h"

/* plugins/db-sqlite */
extern const ConfStorageProvider conf_sqlite_provider;

static ConfStorageProvider provider;
static uint64_t opens, commits, leases;

static void *
open_database(ConfStorageOptionFunc option, void *data, bool create, GError **error)
{
    if (test_is(option("passing", data), "shut")) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "passing = shut");
        return NULL;
    }
    __atomic_add_fetch(&opens, 1, __ATOMIC_RELAXED);
    return conf_sqlite_provider.open(option, data, create, error);
}

static bool
commit(void *db, int64_t epoch, const ConfStorageBatch *batch, GError **error)
{
    __atomic_add_fetch(&commits, 1, __ATOMIC_RELAXED);
    return conf_sqlite_provider.commit(db, epoch, batch, error);
}

static bool
take_lease(void *db, int64_t seen_epoch, const char *holder, int64_t *epoch, GError **error)
{
    __atomic_add_fetch(&leases, 1, __ATOMIC_RELAXED);
    return conf_sqlite_provider.take_lease(db, seen_epoch, holder, epoch, error);
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    provider = conf_sqlite_provider;
    provider.engine = "passing,passing-by";
    provider.open = open_database;
    provider.commit = commit;
    provider.take_lease = take_lease;
    /* Of an older header: what it did not know of is not there. */
    provider.size = offsetof(ConfStorageProvider, tidy);
    conf_plugin_statistic(p, "opens", &opens);
    conf_plugin_statistic(p, "commits", &commits);
    conf_plugin_statistic(p, "leases", &leases);
    return conf_plugin_provide(p, "storage", &provider, error) ? p : NULL;
}

CONF_PLUGIN(.name = "db-passing", .version = "1", .summary = "Another engine", .load = load);
