/* database.c - what a primary and the offline commands need of the database: provider, opening, loading; and the position
 * file, which remembers the highest revision that this server has seen. */
#include "base/error.h"
#include "server/server-private.h"

/* Records older than this are not read back at start: whoever is further behind loads anew, and a start stays short. */
enum { RECENT_RECORDS_MAX = 20000 };

typedef struct {
    ConfStore *store;
    const ConfSchema *schema;
} Loading;

static bool load_object(const ConfStorageObject *row, void *data, GError **error);
static bool load_dbid(uint16_t type, int64_t next, void *data, GError **error);
static bool load_change(const ConfStorageChange *change, void *data, GError **error);
static ConfSlice slice_of(const char *data, size_t size);

const char *
conf_database_plugin(const ConfSettings *settings, const char *section, GError **error)
{
    const char *engine = conf_settings_get(settings, section, "dbengine");
    if (engine == NULL || strcmp(engine, "sqlite") == 0)
        return "db-sqlite";
    if (strcmp(engine, "postgre") == 0 || strcmp(engine, "postgresql") == 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "dbengine = %s in section [%s] is not available in this release: sqlite is", engine, section);
        return NULL;
    }
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "dbengine = %s in section [%s] is not known: there are sqlite and postgre",
                engine, section);
    return NULL;
}

ConfStorage *
conf_database_open(ConfPluginHost *host, const ConfSettings *settings, const char *section, bool create, GError **error)
{
    const char *engine = conf_settings_get(settings, section, "dbengine");
    const ConfStorageProvider *provider = conf_plugin_host_storage(host, engine != NULL ? engine : "sqlite");
    if (provider == NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "No plugin provides dbengine = %s", engine);
        return NULL;
    }
    ConfStorage *storage = conf_storage_open(provider, settings, section, create, error);
    if (storage == NULL)
        return NULL;
    if (conf_storage_migrate(storage, error))
        return storage;
    conf_storage_close(storage);
    return NULL;
}

ConfStore *
conf_database_load(ConfStorage *storage, ConfSchema *schema, const ConfStorageState *state, size_t recent_bytes, GError **error)
{
    ConfStore *store = conf_store_new(schema);
    Loading loading = {.store = store, .schema = schema};
    conf_store_set_recent_limit(store, recent_bytes);
    ConfStorePosition position = {.epoch = state->epoch, .revision = state->revision};
    memcpy(position.environment, state->environment, sizeof position.environment);
    memcpy(position.chain, state->chain, sizeof position.chain);
    int64_t after = MAX(state->revision - RECENT_RECORDS_MAX, 0);
    bool loaded = conf_storage_load_objects(storage, load_object, &loading, error)
        && conf_storage_load_next_dbids(storage, load_dbid, &loading, error);
    if (loaded) {
        conf_store_set_position(store, &position);
        loaded = conf_storage_load_changes(storage, after, load_change, &loading, error);
    }
    if (loaded)
        return store;
    conf_store_free(store);
    return NULL;
}

bool
conf_position_read(const char *folder, char environment[37], int64_t *revision)
{
    g_autofree char *path = g_build_filename(folder, "confserv.position", NULL);
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL) || strlen(text) < 38 || text[36] != ' ')
        return false;
    memcpy(environment, text, 36);
    environment[36] = '\0';
    *revision = g_ascii_strtoll(text + 37, NULL, 10);
    return *revision > 0;
}

void
conf_position_write(const char *folder, const ConfStorePosition *position)
{
    g_autofree char *path = g_build_filename(folder, "confserv.position", NULL);
    g_autofree char *text = g_strdup_printf("%s %" G_GINT64_FORMAT " %s\n", position->environment, position->revision, position->chain);
    /* No wait for the disk: it is a hint of the last second, and the main loop must not stand still for it. */
    g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0640, NULL);
}

static bool
load_object(const ConfStorageObject *row, void *data, GError **error)
{
    Loading *loading = data;
    g_autoptr(ConfObject) object =
        conf_object_from_stored(loading->schema, slice_of(row->body, row->body_size), slice_of(row->secrets, row->secrets_size),
                                slice_of(row->permissions, row->permissions_size), row->acl_revision, error);
    if (object == NULL || !conf_object_check(loading->schema, object, error)) {
        g_prefix_error(error, "Stored object type %u dbid %" G_GINT64_FORMAT ": ", row->type, row->dbid);
        return false;
    }
    return conf_store_load(loading->store, g_steal_pointer(&object), error);
}

static bool
load_dbid(uint16_t type, int64_t next, void *data, GError **error)
{
    (void)error;
    Loading *loading = data;
    conf_store_set_next_dbid(loading->store, type, next);
    return true;
}

/* A record that is not understood (a schema that lost a type) does not stop the start: what is older is then not held. */
static bool
load_change(const ConfStorageChange *change, void *data, GError **error)
{
    Loading *loading = data;
    g_autoptr(GError) failure = NULL;
    (void)error;
    ConfCommit *commit =
        conf_commit_from_record(loading->schema, slice_of(change->record, change->record_size), change->chain, &failure);
    if (commit == NULL) {
        conf_store_forget_recent(loading->store);
        return true;
    }
    conf_store_add_recent(loading->store, commit);
    conf_commit_unref(commit);
    return true;
}

static ConfSlice
slice_of(const char *data, size_t size)
{
    return (ConfSlice){data, data != NULL ? size : 0};
}
