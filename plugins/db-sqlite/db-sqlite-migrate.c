/* db-sqlite-migrate.c - brings an older database to the layout of this program, all steps in one
 * transaction. */
#include "db-sqlite-private.h"

static bool check_unused(ConfSqlite *db, GError **error);
static bool run_all(ConfSqlite *db, const ConfSqliteMigration *migrations, unsigned count, int64_t from,
                    GError **error);
static bool refuse_newer(const ConfSqlite *db, int64_t version, int known, GError **error);

bool
conf_sqlite_migrate(void *self, int *version, GError **error)
{
    return conf_sqlite_migrate_by(self, conf_sqlite_migrations, conf_sqlite_migration_count, version, error);
}

bool
conf_sqlite_migrate_by(ConfSqlite *db, const ConfSqliteMigration *migrations, unsigned count, int *version,
                       GError **error)
{
    int known = migrations[count - 1].version;
    int64_t stored;
    if (!conf_sqlite_query_integer(db, "PRAGMA user_version", 0, &stored, error))
        return false;
    if (stored > known)
        return refuse_newer(db, stored, known, error);
    if (stored < known) {
        /* The write lock is held from here: who migrates at the same time waits, then finds it done. */
        if (!conf_sqlite_begin(db, error))
            return false;
        bool done = conf_sqlite_query_integer(db, "PRAGMA user_version", 0, &stored, error) &&
                    (stored <= known || refuse_newer(db, stored, known, error)) &&
                    (stored == 0 || stored == known || check_unused(db, error)) &&
                    run_all(db, migrations, count, stored, error);
        if (!done) {
            conf_sqlite_rollback(db);
            return false;
        }
        if (!conf_sqlite_commit_transaction(db, error))
            return false;
    }
    *version = known;
    return true;
}

/* An older program that serves from this database would not understand the new layout. */
static bool
check_unused(ConfSqlite *db, GError **error)
{
    int64_t epoch;
    if (!conf_sqlite_query_integer(db, "SELECT epoch FROM lease", -1, &epoch, error))
        return false;
    if (epoch < 0)
        return true;
    int lock = conf_sqlite_take_lock(db, epoch, error);
    if (lock == 0)
        g_set_error(
            error, CONF_ERROR, CONF_ERROR_HELD,
            "database %s needs the layout of this program, and another server uses it: stop that first",
            db->path);
    return lock == 1;
}

static bool
run_all(ConfSqlite *db, const ConfSqliteMigration *migrations, unsigned count, int64_t from, GError **error)
{
    for (unsigned i = 0; i < count; i++) {
        if (migrations[i].version <= from)
            continue;
        g_autofree char *what = g_strdup_printf("refuses migration %s", migrations[i].name);
        if (!conf_sqlite_exec(db, migrations[i].sql, what, error))
            return false;
    }
    g_autofree char *mark = g_strdup_printf("PRAGMA user_version = %d; PRAGMA application_id = %d",
                                            migrations[count - 1].version, CONF_SQLITE_APPLICATION_ID);
    return conf_sqlite_exec(db, mark, "cannot be written", error);
}

static bool
refuse_newer(const ConfSqlite *db, int64_t version, int known, GError **error)
{
    g_set_error(error, CONF_ERROR, CONF_ERROR_NEWER,
                "database %s is newer than this program: its layout is version %" G_GINT64_FORMAT
                ", this program knows versions up to %d",
                db->path, version, known);
    return false;
}
