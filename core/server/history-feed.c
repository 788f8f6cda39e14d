/* history-feed.c - what this server tells a plugin that keeps the history: where its data stand, and the
 * change records that the database still has of what the history misses, at start and later. */
#include "base/error.h"
#include "base/log.h"
#include "server/server-private.h"

enum { PAGE_SIZE = 256 * 1024 };

/* A plugin's question. */
typedef struct {
    ConfServer *server;
    ConfPlugin *plugin; /* a reference */
    ConfPluginChangesFunc done;
    void *data;
} Reading;

static bool feed_one(const ConfStorageChange *change, void *data, GError **error);
static void page_read(const ConfStorageChange *changes, unsigned count, const GError *error, void *data);
static void answer(Reading *reading, const ConfStorageChange *changes, size_t count, const GError *error);
static void reading_free(Reading *reading);

void
conf_history_tell_position(ConfServer *server, const char *environment, int64_t revision, const char *chain)
{
    void *self = NULL;
    const ConfHistoryProvider *history = conf_plugin_host_service(server->plugins, "history", &self);
    if (history == NULL || history->set_position == NULL)
        return;
    ConfPlugin *plugin = conf_plugin_host_service_plugin(server->plugins, "history");
    conf_plugin_enter(plugin);
    history->set_position(self, environment, revision, chain);
    conf_plugin_leave(plugin);
}

bool
conf_history_feed(ConfServer *server, const ConfStorageState *state, GError **error)
{
    void *self = NULL;
    const ConfHistoryProvider *history = conf_plugin_host_service(server->plugins, "history", &self);
    if (history == NULL)
        return true;
    conf_history_tell_position(server, state->environment, state->revision, state->chain);
    int64_t confirmed = conf_records_confirmed(server);
    if (history->catch_up == NULL || confirmed >= state->revision)
        return true;
    return conf_storage_load_changes(server->storage, confirmed, feed_one, server, error);
}

void
conf_history_read_changes(ConfPlugin *p, int64_t after, ConfPluginChangesFunc done, void *data, void *server)
{
    Reading *reading = g_new0(Reading, 1);
    *reading = (Reading){server, conf_plugin_ref(p), done, data};
    if (reading->server->storage != NULL) {
        reading->server->history_readings = g_list_prepend(reading->server->history_readings, reading);
        conf_storage_read_changes(reading->server->storage, after, false, PAGE_SIZE, page_read, reading);
        return;
    }
    g_autoptr(GError) error =
        g_error_new(CONF_ERROR, CONF_ERROR_NOT_FOUND, "A proxy has no database with change records");
    answer(reading, NULL, 0, error);
}

void
conf_history_feed_stop(ConfServer *server)
{
    while (server->history_readings != NULL)
        reading_free(server->history_readings->data);
}

static bool
feed_one(const ConfStorageChange *change, void *data, GError **error)
{
    g_autofree char *record = g_strndup(change->record, change->record_size);
    return conf_records_take(change->revision, change->chain, record, error, data);
}

static void
page_read(const ConfStorageChange *changes, unsigned count, const GError *error, void *data)
{
    answer(data, changes, count, error);
}

static void
answer(Reading *reading, const ConfStorageChange *changes, size_t count, const GError *error)
{
    if (conf_plugin_is_loaded(reading->plugin)) {
        conf_plugin_enter(reading->plugin);
        reading->done(conf_plugin_get_self(reading->plugin), changes, count, error, reading->data);
        conf_plugin_leave(reading->plugin);
    }
    reading_free(reading);
}

static void
reading_free(Reading *reading)
{
    reading->server->history_readings = g_list_remove(reading->server->history_readings, reading);
    conf_plugin_unref(reading->plugin);
    g_free(reading);
}
