/* role-primary.c - the master primary: database, lease, the commit queue as the sink of writes; what happens
 * when the database goes, comes, or says that another server is the primary now. */
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "server/server-private.h"

#include <stdio.h>
#include <unistd.h>

enum { HOUSEKEEPING_MS = 1000, PRUNE_EVERY = 60, VERDICT_MS = 100, LAST_WORDS_MS = 1000 };

static bool open_database(ConfServer *server, ConfStorageState *state, GError **error);
static bool check_rollback(ConfServer *server, ConfStorageState *state, GError **error);
static void deposed(int64_t epoch_seen, void *data);
static void end_role(void *data);
static void lost(const GError *error, void *data);
static void found(void *data);
static void housekeeping(void *data);
static void write_position(const ConfServer *server);
static bool admit_diverged(void *self, ConfRpcError *error);
static void refuse_diverged(void *self, ConfTransaction *transaction, ConfTransactionFunc func, void *data);

bool
conf_primary_start(ConfServer *server, GError **error)
{
    ConfStorageState state = {0};
    if (!open_database(server, &state, error))
        return false;
    g_autofree char *path = conf_paths_schema(&server->options);
    ConfSchema *schema = conf_schema_load(path, error);
    if (schema == NULL)
        return false;
    bool checked = strcmp(server->seen.environment, state.environment) == 0 &&
                   strcmp(server->seen.schema, conf_schema_hash(schema)) == 0;
    ConfStore *store = conf_database_load(server->storage, schema, &state, checked,
                                          (size_t)server->options.recent_changes, error);
    if (store == NULL)
        return false;
    if (!conf_history_feed(server, &state, error)) {
        conf_store_free(store);
        return false;
    }
    conf_server_build(server, store);
    if (conf_server_own_application(server) == NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "The database holds no application '%s' (the section of this server, option -s)",
                    server->application_name);
        return false;
    }
    ConfCommitSettings commit = conf_primary_commit_settings(server);
    server->queue = conf_commit_queue_new(store, server->access, server->storage, &commit);
    conf_commit_queue_set_publisher(server->queue, server->publisher);
    server->sink = server->read_only_diverged
                       ? (ConfWriteSink){.submit = refuse_diverged, .admits = admit_diverged, .self = server}
                       : conf_commit_queue_sink(server->queue);
    conf_server_apply_options(server);
    static const ConfStorageFuncs funcs = {.deposed = deposed, .lost = lost, .found = found};
    conf_storage_start(server->storage, &funcs, server);
    server->serving = true;
    server->about_to_serve(server);
    if (!conf_ports_open(server, error))
        return false;
    server->position_written = server->read_only_diverged ? G_MAXINT64 : 0;
    conf_timer_arm(&server->housekeeping, HOUSEKEEPING_MS, housekeeping, server);
    conf_log(CONF_LOG_STARTED, "role", "primary", "objects",
             conf_log_integer((int64_t)conf_store_count(store)), "revision", conf_log_integer(state.revision),
             "epoch", conf_log_integer(state.epoch), NULL);
    return true;
}

void
conf_primary_stop(ConfServer *server)
{
    if (server->queue != NULL)
        conf_commit_queue_free(server->queue);
    if (server->storage != NULL) {
        if (server->store != NULL && !server->read_only_diverged)
            write_position(server);
        conf_storage_close(server->storage);
    }
    server->queue = NULL;
    server->storage = NULL;
}

ConfCommitSettings
conf_primary_commit_settings(const ConfServer *server)
{
    ConfCommitSettings settings = {
        .max_operations = server->options.max_transaction_operations,
        .response_timeout_ms = conf_storage_get_response_timeout_ms(server->storage),
        .queue_limit = INT64_C(256) * 1024 * 1024,
    };
    return settings;
}

static bool
open_database(ConfServer *server, ConfStorageState *state, GError **error)
{
    server->storage =
        conf_database_open(server->plugins, server->settings, server->options.database, false, error);
    if (server->storage == NULL)
        return false;
    g_autofree char *holder =
        g_strdup_printf("%s on %s, pid %d", server->application_name, g_get_host_name(), (int)getpid());
    if (!conf_storage_take_lease(server->storage, (unsigned)server->options.lease_time * 1000, holder, error))
        return false;
    return conf_storage_load_state(server->storage, state, error) && check_rollback(server, state, error);
}

/* A database that is behind what this server has seen is a restored copy or a lossy standby: clients and
 * proxies hold what it has lost.  It is served read-only until somebody says that this is meant. */
static bool
check_rollback(ConfServer *server, ConfStorageState *state, GError **error)
{
    if (!conf_position_read(server->options.data_folder, &server->seen) ||
        strcmp(server->seen.environment, state->environment) != 0 || server->seen.revision <= state->revision)
        return true;
    int64_t revision = server->seen.revision;
    if (server->line->accept_rollback) {
        conf_id_new_uuid(state->environment);
        conf_log(CONF_LOG_ROLLBACK_ACCEPTED, "seen", conf_log_integer(revision), "database",
                 conf_log_integer(state->revision), NULL);
        return conf_storage_set_environment(server->storage, state->environment, error);
    }
    conf_log(CONF_LOG_DATABASE_DIVERGED, "seen", conf_log_integer(revision), "database",
             conf_log_integer(state->revision), NULL);
    server->read_only_diverged = true;
    return true;
}

static void
refuse_diverged(void *self, ConfTransaction *transaction, ConfTransactionFunc func, void *data)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    admit_diverged(self, &error);
    conf_transaction_free(transaction);
    func(&error, 0, NULL, NULL, 0, data);
}

static bool
admit_diverged(void *self, ConfRpcError *error)
{
    (void)self;
    return conf_rpc_fail(error, CONF_RPC_READ_ONLY,
                         "The database is behind what this server has seen: read-only until it is started "
                         "with -accept-rollback");
}

/* Another server has taken a higher epoch: nothing of this one was or will be stored. */
static void
deposed(int64_t epoch_seen, void *data)
{
    ConfServer *server = data;
    conf_log(CONF_LOG_DEPOSED, "epoch", conf_log_integer(epoch_seen), NULL);
    server->serving = false;
    conf_commit_queue_refuse(server->queue, CONF_RPC_STOPPING, "This server is not the primary any more");
    conf_ports_close(server);
    /* There is no other role for it to take yet: it ends once its clients were told. */
    server->status = 1;
    server->stopping = true;
    fprintf(stderr,
            "confserv: another server has become the primary (epoch %" G_GINT64_FORMAT
            "); this one commits nothing any more\n",
            epoch_seen);
    /* The commit under way is answered first: its verdict follows this call. */
    conf_timer_arm(&server->stop_deadline, VERDICT_MS, end_role, server);
}

static void
end_role(void *data)
{
    ConfServer *server = data;
    conf_sessions_finish_all(server->sessions, "role");
    conf_timer_arm(&server->stop_deadline, LAST_WORDS_MS, (ConfTimerFunc)g_main_loop_quit, server->loop);
}

static void
lost(const GError *error, void *data)
{
    ConfServer *server = data;
    (void)error;
    server->database_lost = true;
}

static void
found(void *data)
{
    ConfServer *server = data;
    server->database_lost = false;
}

static void
write_position(const ConfServer *server)
{
    conf_position_write(server->options.data_folder, conf_store_position(server->store),
                        conf_schema_hash(conf_store_schema(server->store)));
}

static void
housekeeping(void *data)
{
    ConfServer *server = data;
    const ConfStorePosition *position = conf_store_position(server->store);
    conf_timer_arm(&server->housekeeping, HOUSEKEEPING_MS, housekeeping, server);
    if (server->position_written < position->revision) {
        server->position_written = position->revision;
        write_position(server);
    }
    if (server->prune_countdown-- > 0 || server->read_only_diverged)
        return;
    server->prune_countdown = PRUNE_EVERY;
    void *self = NULL;
    const ConfHistoryProvider *history = conf_plugin_host_service(server->plugins, "history", &self);
    int64_t keep_from = position->revision;
    if (history != NULL) {
        ConfPlugin *plugin = conf_plugin_host_service_plugin(server->plugins, "history");
        conf_plugin_enter(plugin);
        keep_from = history->get_confirmed(self) + 1;
        conf_plugin_leave(plugin);
    }
    conf_storage_prune(server->storage, server->options.change_retention * 3600 * 1000,
                       server->options.change_retention_size, keep_from);
}
