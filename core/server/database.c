/* database.c - what a primary and the offline commands need of the database: provider, opening, loading; and
 * the position file, which remembers the highest revision that this server has seen. */
#include "base/error.h"
#include "base/log.h"
#include "server/server-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Older records than these are not read back at start: whoever is further behind loads anew, and a start
 * stays short. */
enum { RECENT_RECORDS_MAX = 20000, RECENT_BYTES_MAX = 16 * 1024 * 1024 };

typedef struct {
    char chain[17];
    ConfBytes *record;
} RecentRecord;

typedef struct {
    ConfStore *store;
    const ConfSchema *schema;
    bool checked;  /* this very schema was found to fit these data before */
    GQueue recent; /* of RecentRecord: the newest, within RECENT_BYTES_MAX */
    size_t recent_bytes;
} Loading;

static bool replace_file(const char *path, const char *text);
static bool load_object(const ConfStorageObject *row, void *data, GError **error);
static bool load_dbid(uint16_t type, int64_t next, void *data, GError **error);
static bool keep_change(const ConfStorageChange *change, void *data, GError **error);
static void add_recent(Loading *loading);
static void recent_free(RecentRecord *recent);
static ConfSlice slice_of(const char *data, size_t size);

const char *
conf_database_plugin(ConfPluginHost *host, const ConfSettings *settings, const char *section, GError **error)
{
    const char *engine = conf_settings_get(settings, section, "dbengine");
    if (engine == NULL || strcmp(engine, "sqlite") == 0)
        return "db-sqlite";
    if (strcmp(engine, "postgre") == 0 || strcmp(engine, "postgresql") == 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "dbengine = %s in section [%s] is not available in this release: sqlite is", engine,
                    section);
        return NULL;
    }
    g_autofree char *name = g_strconcat("db-", engine, NULL);
    if (strspn(engine, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(engine) &&
        conf_plugin_host_has_file(host, name))
        return g_intern_string(name);
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                "dbengine = %s in section [%s] is not known: there are sqlite and postgre", engine, section);
    return NULL;
}

ConfStorage *
conf_database_open(ConfPluginHost *host, const ConfSettings *settings, const char *section, bool create,
                   GError **error)
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
conf_database_load(ConfStorage *storage, ConfSchema *schema, const ConfStorageState *state, bool checked,
                   size_t recent_bytes, GError **error)
{
    ConfStore *store = conf_store_new(schema);
    Loading loading = {.store = store, .schema = schema, .checked = checked};
    conf_store_set_recent_limit(store, recent_bytes);
    ConfStorePosition position = {.epoch = state->epoch, .revision = state->revision};
    memcpy(position.environment, state->environment, sizeof position.environment);
    memcpy(position.chain, state->chain, sizeof position.chain);
    int64_t after = MAX(state->revision - RECENT_RECORDS_MAX, 0);
    bool loaded = conf_storage_load_objects(storage, load_object, &loading, error) &&
                  conf_storage_load_next_dbids(storage, load_dbid, &loading, error);
    if (loaded) {
        conf_store_set_position(store, &position);
        loaded = conf_storage_load_changes(storage, after, keep_change, &loading, error);
        if (loaded)
            add_recent(&loading);
    }
    g_queue_clear_full(&loading.recent, (GDestroyNotify)recent_free);
    if (loaded)
        return store;
    conf_store_free(store);
    return NULL;
}

bool
conf_position_read(const char *folder, ConfSeenPosition *seen)
{
    g_autofree char *path = g_build_filename(folder, "confserv.position", NULL);
    g_autofree char *text = NULL;
    *seen = (ConfSeenPosition){.revision = 0};
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return false;
    g_auto(GStrv) words = g_strsplit(g_strchomp(text), " ", -1);
    if (g_strv_length(words) < 3 || strlen(words[0]) != 36)
        return false;
    g_strlcpy(seen->environment, words[0], sizeof seen->environment);
    seen->revision = g_ascii_strtoll(words[1], NULL, 10);
    if (words[3] != NULL)
        g_strlcpy(seen->schema, words[3], sizeof seen->schema);
    return seen->revision > 0;
}

void
conf_position_write(const char *folder, const ConfStorePosition *position, const char *schema)
{
    g_autofree char *path = g_build_filename(folder, "confserv.position", NULL);
    g_autofree char *text = g_strdup_printf("%s %" G_GINT64_FORMAT " %s %s\n", position->environment,
                                            position->revision, position->chain, schema);
    static bool failed;
    bool written = replace_file(path, text);
    if (!written && !failed)
        conf_log(CONF_LOG_POSITION_NOT_WRITTEN, "file", path, "reason", g_strerror(errno), NULL);
    failed = !written;
}

/* No wait for the disk: it is a hint of the last second, and the main loop must not stand still for it (what
 * GLib offers waits, or leaves half a file behind). */
static bool
replace_file(const char *path, const char *text)
{
    g_autofree char *fresh = g_strconcat(path, ".new", NULL);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return false;
    size_t size = strlen(text);
    bool written = write(fd, text, size) == (ssize_t)size;
    return close(fd) == 0 && written && rename(fresh, path) == 0;
}

static bool
load_object(const ConfStorageObject *row, void *data, GError **error)
{
    Loading *loading = data;
    g_autoptr(ConfObject) object = conf_object_from_stored(
        loading->schema, slice_of(row->body, row->body_size), slice_of(row->secrets, row->secrets_size),
        slice_of(row->permissions, row->permissions_size), row->acl_revision, error);
    if (object == NULL || (!loading->checked && !conf_object_check(loading->schema, object, error))) {
        g_prefix_error(error, "The stored data do not fit the schema: ");
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

static bool
keep_change(const ConfStorageChange *change, void *data, GError **error)
{
    (void)error;
    Loading *loading = data;
    RecentRecord *recent = g_new0(RecentRecord, 1);
    g_strlcpy(recent->chain, change->chain, sizeof recent->chain);
    recent->record = conf_bytes_new(change->record, change->record_size);
    g_queue_push_tail(&loading->recent, recent);
    loading->recent_bytes += change->record_size;
    while (loading->recent_bytes > RECENT_BYTES_MAX && loading->recent.length > 1) {
        RecentRecord *oldest = g_queue_pop_head(&loading->recent);
        loading->recent_bytes -= oldest->record->size;
        recent_free(oldest);
    }
    return true;
}

/* A record that is not understood (a schema that lost a type) does not stop the start: what is older is then
 * not held. */
static void
add_recent(Loading *loading)
{
    for (GList *link = loading->recent.head; link != NULL; link = link->next) {
        RecentRecord *recent = link->data;
        g_autoptr(GError) failure = NULL;
        ConfCommit *commit = conf_commit_from_record(loading->schema, conf_bytes_slice(recent->record),
                                                     recent->chain, &failure);
        if (commit == NULL) {
            conf_store_forget_recent(loading->store);
            continue;
        }
        conf_store_add_recent(loading->store, commit);
        conf_commit_unref(commit);
    }
}

static void
recent_free(RecentRecord *recent)
{
    conf_bytes_unref(recent->record);
    g_free(recent);
}

static ConfSlice
slice_of(const char *data, size_t size)
{
    return (ConfSlice){data, data != NULL ? size : 0};
}
