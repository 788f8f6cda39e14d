/* db-sqlite-provider.c - the table of functions that the storage calls. */
#include "db-sqlite-private.h"

const ConfStorageProvider conf_sqlite_provider = {
    .size = sizeof(ConfStorageProvider),
    .engine = "sqlite",
    .open = conf_sqlite_open,
    .close = conf_sqlite_close,
    .migrate = conf_sqlite_migrate,
    .take_lock = conf_sqlite_take_lock,
    .read_lease = conf_sqlite_read_lease,
    .take_lease = conf_sqlite_take_lease,
    .renew_lease = conf_sqlite_renew_lease,
    .load_objects = conf_sqlite_load_objects,
    .load_next_dbids = conf_sqlite_load_next_dbids,
    .load_changes = conf_sqlite_load_changes,
    .commit = conf_sqlite_commit,
    .initialize = conf_sqlite_initialize,
    .prune = conf_sqlite_prune,
    .is_alive = conf_sqlite_is_alive,
    .set_environment = conf_sqlite_set_environment,
    .tidy = conf_sqlite_tidy,
};
