/* records.c - older change records: where this server finds them for replicas that ask (changesFrom), and
 * what it does with those that its master sends: they are its own history's. */
#include "base/error.h"
#include "server/server-private.h"

enum { PAGE_SIZE = 256 * 1024 };

/* One question of a replica.  The database is asked first, for what directly follows; then the history, which
 * holds more; then the database again, for what there is behind a gap. */
typedef struct {
    ConfServer *server;
    int64_t after;
    bool (*func)(ConfSlice record, const char *chain, void *data);
    void (*done)(void *data);
    void *data;
    unsigned count;
    bool last; /* nothing else is asked after this */
} Read;

static void read_records(void *self, int64_t after,
                         bool (*func)(ConfSlice record, const char *chain, void *data),
                         void (*done)(void *data), void *data);
static void take_page(const ConfStorageChange *changes, unsigned count, const GError *error, void *data);
static void ask_history(Read *read);
static bool take_from_history(const char *record, const char *chain, void *data);
static void history_done(const GError *error, void *data);
static void ask_database_again(Read *read);
static void finish(Read *read);

void
conf_records_serve(ConfServer *server)
{
    ConfRecordSource source = {.read = read_records, .self = server};
    conf_downstream_set_source(server->downstream, &source);
}

int64_t
conf_records_confirmed(void *data)
{
    ConfServer *server = data;
    void *self = NULL;
    const ConfHistoryProvider *history = conf_plugin_host_service(server->plugins, "history", &self);
    if (history == NULL || history->size <= offsetof(ConfHistoryProvider, catch_up) ||
        history->catch_up == NULL)
        return 0;
    conf_plugin_enter(conf_plugin_host_service_plugin(server->plugins, "history"));
    int64_t confirmed = history->get_confirmed(self);
    conf_plugin_leave(conf_plugin_host_service_plugin(server->plugins, "history"));
    return confirmed;
}

bool
conf_records_take(int64_t revision, const char *chain, const char *record, GError **error, void *data)
{
    ConfServer *server = data;
    void *self = NULL;
    const ConfHistoryProvider *history = conf_plugin_host_service(server->plugins, "history", &self);
    GError *fault = NULL;
    conf_plugin_enter(conf_plugin_host_service_plugin(server->plugins, "history"));
    bool taken = history->catch_up(self, revision, chain, record, &fault);
    conf_plugin_leave(conf_plugin_host_service_plugin(server->plugins, "history"));
    if (!taken && fault == NULL)
        g_set_error(&fault, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "The history does not say why");
    if (taken)
        g_clear_error(&fault);
    else
        g_propagate_error(error, fault);
    return taken;
}

void
conf_records_stop(ConfServer *server)
{
    while (server->record_reads != NULL)
        finish(server->record_reads->data);
}

static void
read_records(void *self, int64_t after, bool (*func)(ConfSlice record, const char *chain, void *data),
             void (*done)(void *data), void *data)
{
    Read *read = g_new0(Read, 1);
    *read = (Read){.server = self, .after = after, .func = func, .done = done, .data = data};
    read->server->record_reads = g_list_prepend(read->server->record_reads, read);
    if (read->server->storage != NULL)
        conf_storage_read_changes(read->server->storage, after, true, PAGE_SIZE, take_page, read);
    else
        ask_history(read);
}

static void
take_page(const ConfStorageChange *changes, unsigned count, const GError *error, void *data)
{
    Read *read = data;
    (void)error; /* The database is away: its loss was logged, the history or the ring go on. */
    for (unsigned i = 0; i < count; i++) {
        read->count++;
        if (!read->func((ConfSlice){changes[i].record, changes[i].record_size}, changes[i].chain, read->data))
            break;
    }
    if (read->count > 0 || read->last)
        finish(read);
    else
        ask_history(read);
}

static void
ask_history(Read *read)
{
    ConfPluginHost *plugins = read->server->plugins;
    void *self = NULL;
    const ConfHistoryProvider *history = conf_plugin_host_service(plugins, "history", &self);
    if (history == NULL || history->size <= offsetof(ConfHistoryProvider, replay) ||
        history->replay == NULL) {
        ask_database_again(read);
        return;
    }
    ConfPlugin *plugin = conf_plugin_host_service_plugin(plugins, "history");
    conf_plugin_enter(plugin);
    history->replay(self, read->after, take_from_history, history_done, read);
    conf_plugin_leave(plugin);
}

static bool
take_from_history(const char *record, const char *chain, void *data)
{
    Read *read = data;
    read->count++;
    return read->func(conf_slice_from_string(record), chain, read->data);
}

static void
history_done(const GError *error, void *data)
{
    Read *read = data;
    (void)error; /* A gap there: what it could give it gave. */
    if (read->count > 0)
        finish(read);
    else
        ask_database_again(read);
}

static void
ask_database_again(Read *read)
{
    if (read->server->storage == NULL) {
        finish(read);
        return;
    }
    read->last = true;
    conf_storage_read_changes(read->server->storage, read->after, false, PAGE_SIZE, take_page, read);
}

static void
finish(Read *read)
{
    read->server->record_reads = g_list_remove(read->server->record_reads, read);
    read->done(read->data);
    g_free(read);
}
