/* server.c - ConfServer: puts the parts together, independent of the role; start, reload, stop. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "server/server-private.h"
#include "store/store-plugin.h"

#include <stdio.h>

enum { STOP_MS = 10000 };

static void apply_to_service(ConfServer *server);
static void write_server(ConfBuffer *buffer, void *data);
static bool is_writable(void *data);
static bool may_open(ConfRpcError *error, void *data);
static bool is_peer(ConfKey application, void *data);
static bool has_secrets(void *data);
static int64_t knowledge_age(void *data);
static int64_t position_age(void *data);
static void confirm(void (*func)(bool confirmed, void *data), void *func_data, void *data);
static void committed(ConfCommit *commit, void *data);
static ConfSessionSettings session_settings(const ConfServerOptions *options);
static ConfAccessSettings access_settings(const ConfServerOptions *options);
static ConfSettings *merge_settings(ConfServer *server, const ConfSettings *file, GPtrArray *refused);
static void drained(void *data);
static void stop_now(void *data);
static void add_application_settings(ConfServer *server, ConfSettings *settings, const ConfJson *sections,
                                     GPtrArray *refused);
static void add_application_setting(ConfServer *server, ConfSettings *settings, const char *section,
                                    const char *key, const char *value, GPtrArray *refused);
static void report_unknown(const char *section, const char *key, const char *value, int line, void *data);

ConfServer *
conf_server_new(const ConfCommandLine *line, const ConfSettings *settings, GMainLoop *loop,
                void (*about_to_serve)(ConfServer *server), GError **error)
{
    ConfServer *server = g_new0(ConfServer, 1);
    server->line = line;
    server->file = settings;
    g_autoptr(ConfSettings) nothing = conf_settings_new();
    server->settings = conf_settings_merge(settings, nothing);
    server->plugin_settings = conf_settings_merge(settings, nothing);
    server->role = line->hosts != NULL ? CONF_ROLE_PROXY : CONF_ROLE_PRIMARY;
    server->section = g_strdup(line->section != NULL             ? line->section
                               : server->role == CONF_ROLE_PROXY ? "csproxy"
                                                                 : "confserv");
    server->application_name =
        g_strdup(server->role == CONF_ROLE_PROXY ? line->application : server->section);
    server->loop = loop;
    server->about_to_serve = about_to_serve;
    server->started_ms = conf_clock_wall_ms();
    server->refused_options = g_ptr_array_new_with_free_func(g_free);
    server->refused_ports = g_ptr_array_new_with_free_func(g_free);
    server->ports = g_array_new(FALSE, TRUE, sizeof(ConfPort));
    server->table = conf_method_table_new();
    bool started =
        conf_option_fill(conf_server_options, server->section, server->settings, &server->options, error) &&
        conf_server_options_check(&server->options, error);
    started = started && conf_server_load_plugins(server, error);
    /* It waits for its master within the loop, and can be asked to stop meanwhile. */
    if (started && server->role == CONF_ROLE_PROXY)
        about_to_serve(server);
    if (started)
        started = server->role == CONF_ROLE_PROXY ? conf_proxy_start(server, error)
                                                  : conf_primary_start(server, error);
    if (started) {
        conf_option_find_unknown(server->settings, server->section, report_unknown, NULL);
        return server;
    }
    conf_server_free(server);
    return NULL;
}

void
conf_server_build(ConfServer *server, ConfStore *store)
{
    ConfAccessSettings access = access_settings(&server->options);
    ConfSessionSettings sessions = session_settings(&server->options);
    ConfSessionHost host = {.write_server = write_server,
                            .is_writable = is_writable,
                            .may_open = may_open,
                            .is_peer = is_peer,
                            .has_secrets = has_secrets,
                            .plugins = server->plugins,
                            .data = server};
    server->store = store;
    conf_store_set_recent_limit(store, (size_t)server->options.recent_changes);
    conf_plugin_set_store(store);
    server->publisher = conf_publisher_new(store);
    server->access = conf_access_new(store, &access);
    conf_accounts_open(conf_access_accounts(server->access), server->options.data_folder,
                       conf_store_position(store)->environment);
    server->sessions = conf_sessions_new(store, server->access, server->publisher, &sessions, &host);
    conf_sessions_install(server->sessions, server->table);
    conf_sessions_set_sink(server->sessions, &server->sink);
    static const ConfPublishFuncs funcs = {.done = committed};
    ConfMethodsContext context = {
        .sessions = server->sessions,
        .store = store,
        .access = server->access,
        .sink = &server->sink,
        .knowledge_age = knowledge_age,
        .confirm = server->role == CONF_ROLE_PRIMARY ? confirm : NULL,
        .data = server,
        .plugins = server->plugins,
    };
    server->methods = conf_methods_new(server->table, &context);
    ConfDownstreamSettings downstream = {.release = CONF_RELEASE,
                                         .allow_plain_replica = server->options.allow_plain_replica};
    server->downstream = conf_downstream_new(server->sessions, server->publisher, server->table, &downstream);
    conf_downstream_set_knowledge(server->downstream, position_age, server);
    conf_records_serve(server);
    conf_publisher_add(server->publisher, &funcs, server);
    conf_server_add_methods(server);
    conf_poller_set_slow_turn(conf_poller_default(), (unsigned)server->options.slow_turn_warning);
}

void
conf_server_reload(ConfServer *server)
{
    conf_log_reopen();
    g_autoptr(GError) error = NULL;
    g_autoptr(ConfSettings) fresh = NULL;
    const char *path = server->line->config_file;
    g_autoptr(ConfSettings) read = path != NULL ? conf_settings_load_file(path, &error) : NULL;
    if (read != NULL)
        fresh = conf_settings_merge(read, server->line->log);
    /* Plugins are asked before anything is changed: one bad value changes nothing. */
    g_autoptr(ConfSettings) settings =
        error == NULL ? merge_settings(server, fresh != NULL ? fresh : server->file, NULL) : NULL;
    if (settings == NULL || !conf_server_reload_plugins(server, settings, true, &error)) {
        conf_log(CONF_LOG_RELOAD_FAILED, "reason", error->message, NULL);
        /* In the place of what the last attempt said. */
        g_free(server->refused_reload);
        server->refused_reload = g_strdup(error->message);
        return;
    }
    if (fresh != NULL) {
        conf_settings_free(server->reloaded);
        server->reloaded = g_steal_pointer(&fresh);
        server->file = server->reloaded;
    }
    conf_server_apply_options(server);
    conf_ports_update(server);
    conf_log(CONF_LOG_RELOADED, NULL);
}

void
conf_server_stop(ConfServer *server, bool graceful)
{
    if (server->stopping && graceful)
        return;
    server->stopping = true;
    conf_log(CONF_LOG_STOPPING, NULL);
    conf_ports_close(server);
    conf_plugin_host_stop(server->plugins);
    if (!graceful || server->sessions == NULL) {
        stop_now(server);
        return;
    }
    conf_timer_arm(&server->stop_deadline, STOP_MS, stop_now, server);
    if (server->queue != NULL)
        conf_commit_queue_drain(server->queue, drained, server);
    else
        drained(server);
}

int
conf_server_free(ConfServer *server)
{
    int status = server->status;
    conf_timer_cancel(&server->stop_deadline);
    conf_timer_cancel(&server->stop_poll);
    conf_timer_cancel(&server->port_retry);
    conf_timer_cancel(&server->housekeeping);
    conf_ports_close(server);
    if (server->downstream != NULL)
        conf_downstream_free(server->downstream);
    if (server->sessions != NULL)
        conf_sessions_free(server->sessions);
    conf_proxy_stop(server);
    conf_primary_stop(server);
    /* Connections end while the plugins that know them are still there. */
    conf_poller_end_turn(conf_poller_default());
    conf_methods_free(server->methods);
    if (server->access != NULL)
        conf_access_free(server->access);
    if (server->publisher != NULL)
        conf_publisher_free(server->publisher);
    if (server->plugins != NULL)
        conf_plugin_host_free(server->plugins);
    conf_records_stop(server);
    conf_history_feed_stop(server);
    conf_connection_options_stop(server);
    conf_request_set_known_param_func(NULL, NULL);
    conf_plugin_set_store(NULL);
    conf_store_free(server->store);
    conf_method_table_free(server->table);
    conf_option_clear(conf_server_options, &server->options);
    g_array_unref(server->ports);
    g_clear_pointer(&server->plugin_methods, g_ptr_array_unref);
    g_ptr_array_unref(server->refused_options);
    g_free(server->refused_reload);
    g_ptr_array_unref(server->refused_ports);
    conf_settings_free(server->settings);
    conf_settings_free(server->plugin_settings);
    conf_settings_free(server->reloaded);
    g_free(server->section);
    g_free(server->application_name);
    g_free(server);
    conf_log(CONF_LOG_STOPPED, NULL);
    return status;
}

void
conf_server_fail(ConfServer *server, const char *why)
{
    fprintf(stderr, "confserv: %s\n", why);
    server->status = 1;
    server->stopping = true;
    g_main_loop_quit(server->loop);
}

void
conf_server_broadcast_status(ConfServer *server)
{
    char since[CONF_TIME_TEXT_SIZE];
    bool proxy = server->role == CONF_ROLE_PROXY;
    if (server->sessions == NULL)
        return;
    conf_clock_format(proxy ? conf_upstream_get_since(server->upstream) : server->started_ms, since);
    const char *master = !proxy ? "none"
                         : conf_upstream_get_link(server->upstream) == CONF_UPSTREAM_CONNECTED
                             ? "connected"
                             : "disconnected";
    bool diverged = proxy ? conf_upstream_is_diverged(server->upstream) : server->read_only_diverged;
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    conf_rpc_begin_notification(&buffer, "server.status");
    conf_buffer_printf(
        &buffer,
        "{\"role\":\"%s\",\"master\":\"%s\",\"since\":\"%s\",\"persistent\":false,\"diverged\":%s}}\n",
        proxy ? "proxy" : "primary", master, since, diverged ? "true" : "false");
    g_autoptr(ConfBytes) line = conf_buffer_to_bytes(&buffer);
    conf_sessions_broadcast(server->sessions, line);
}

const ConfObject *
conf_server_own_application(const ConfServer *server)
{
    if (server->store == NULL)
        return NULL;
    return conf_store_lookup_name(server->store, CONF_TYPE_APPLICATION,
                                  conf_slice_from_string(server->application_name), NULL);
}

void
conf_server_apply_options(ConfServer *server)
{
    g_ptr_array_set_size(server->refused_options, 0);
    ConfSettings *settings = merge_settings(server, server->file, server->refused_options);
    conf_settings_free(server->settings);
    server->settings = settings;
    g_clear_pointer(&server->refused_reload, g_free);
    /* The first time, before anything is served, is the start. */
    (server->serving ? conf_option_fill_running : conf_option_fill_lenient)(
        conf_server_options, server->section, server->settings, &server->options, server->refused_options);
    for (unsigned i = 0; i < server->refused_options->len; i++)
        conf_log(CONF_LOG_OPTION_REFUSED, "option", (char *)g_ptr_array_index(server->refused_options, i),
                 NULL);
    g_autoptr(GError) error = NULL;
    if (!conf_log_configure(server->settings, &error)) {
        g_ptr_array_add(server->refused_options, g_strdup(error->message));
        conf_log(CONF_LOG_OPTION_REFUSED, "option", error->message, NULL);
    }
    /* Before plugins, which may end what waits for them: sessions borrow texts that are others now.  A proxy
     * that waits for its first data has nothing yet that they could be told to. */
    if (server->sessions != NULL)
        apply_to_service(server);
    g_autoptr(GError) refusal = NULL;
    if (!conf_server_reload_plugins(server, server->settings, false, &refusal)) {
        g_ptr_array_add(server->refused_options, g_strdup(refusal->message));
        conf_log(CONF_LOG_OPTION_REFUSED, "option", refusal->message, NULL);
    }
    conf_poller_set_slow_turn(conf_poller_default(), (unsigned)server->options.slow_turn_warning);
    if (server->upstream != NULL)
        conf_upstream_set_reload_delay(server->upstream, (unsigned)server->options.delay_reload);
}

static void
apply_to_service(ConfServer *server)
{
    ConfSessionSettings sessions = session_settings(&server->options);
    ConfAccessSettings access = access_settings(&server->options);
    ConfDownstreamSettings downstream = {.release = CONF_RELEASE,
                                         .allow_plain_replica = server->options.allow_plain_replica};
    conf_sessions_set_settings(server->sessions, &sessions);
    conf_access_set_settings(server->access, &access);
    conf_store_set_recent_limit(server->store, (size_t)server->options.recent_changes);
    conf_downstream_set_settings(server->downstream, &downstream);
    if (server->queue != NULL) {
        ConfCommitSettings commit = conf_primary_commit_settings(server);
        conf_commit_queue_set_settings(server->queue, &commit);
    }
}

static void
write_server(ConfBuffer *buffer, void *data)
{
    ConfServer *server = data;
    const ConfStorePosition *position = conf_store_position(server->store);
    CONF_BUFFER_LITERAL(buffer, "\"name\":");
    conf_json_append_string(buffer, conf_slice_from_string(server->application_name));
    conf_buffer_printf(
        buffer,
        ",\"role\":\"%s\",\"release\":\"%s\",\"environment\":\"%s\",\"epoch\":%" G_GINT64_FORMAT
        ",\"revision\":%" G_GINT64_FORMAT ",\"chain\":\"%s\",\"writable\":%s",
        server->role == CONF_ROLE_PROXY ? "proxy" : "primary", CONF_RELEASE, position->environment,
        position->epoch, position->revision, position->chain, is_writable(server) ? "true" : "false");
}

static bool
is_writable(void *data)
{
    ConfServer *server = data;
    return server->role == CONF_ROLE_PRIMARY && !server->read_only_diverged;
}

static bool
may_open(ConfRpcError *error, void *data)
{
    ConfServer *server = data;
    if (server->serving && !server->stopping)
        return true;
    return conf_rpc_fail(error, CONF_RPC_STOPPING, "The server is stopping");
}

static bool
is_peer(ConfKey application, void *data)
{
    return conf_ports_is_peer(data, application);
}

static bool
has_secrets(void *data)
{
    const ConfServer *server = data;
    return server->upstream == NULL || conf_upstream_has_secrets(server->upstream);
}

/* Milliseconds since this server last knew that what it serves is what the primary has. */
static int64_t
knowledge_age(void *data)
{
    ConfServer *server = data;
    int64_t known = server->role == CONF_ROLE_PROXY ? conf_upstream_get_known_at(server->upstream)
                                                    : conf_storage_get_confirmed_at(server->storage);
    return known == 0 ? G_MAXINT64 : (conf_clock_monotonic_usec() - known) / 1000;
}

/* The same, for replicas: while the lease is young nobody else can have become primary. */
static int64_t
position_age(void *data)
{
    ConfServer *server = data;
    int64_t age = knowledge_age(server);
    bool sure = server->role == CONF_ROLE_PRIMARY && age < (int64_t)server->options.lease_time * 1000 / 2;
    return sure ? 0 : age;
}

typedef struct {
    void (*func)(bool confirmed, void *data);
    void *data;
} Confirmation;

static void
confirmed(ConfStoredVerdict verdict, const GError *error, void *data)
{
    (void)error;
    Confirmation *confirmation = data;
    confirmation->func(verdict == CONF_STORED, confirmation->data);
    g_free(confirmation);
}

static void
confirm(void (*func)(bool confirmed, void *data), void *func_data, void *data)
{
    ConfServer *server = data;
    Confirmation *confirmation = g_new0(Confirmation, 1);
    *confirmation = (Confirmation){.func = func, .data = func_data};
    conf_storage_confirm(server->storage, confirmed, confirmation);
}

/* Plugins are told of each commit; the server's own application may have changed. */
static void
committed(ConfCommit *commit, void *data)
{
    ConfServer *server = data;
    if (conf_hooks_have_committed())
        conf_hooks_committed(commit);
    for (unsigned i = 0; i < commit->change_count; i++) {
        const ConfChange *change = &commit->changes[i];
        const ConfObject *object = change->after != NULL ? change->after : change->before;
        if (object->type != CONF_TYPE_APPLICATION || strcmp(object->name, server->application_name) != 0)
            continue;
        conf_server_apply_options(server);
        conf_ports_update(server);
    }
}

static ConfSessionSettings
session_settings(const ConfServerOptions *options)
{
    return (ConfSessionSettings){
        .resume_timeout_s = options->session_resume_timeout,
        .login_timeout_s = options->login_timeout,
        .max_unauthenticated = options->max_unauthenticated,
        .max_request_size = options->max_request_size,
        .max_output_queue = options->max_client_output_queue_size,
        .max_notification_backlog = options->max_notification_backlog,
        .view_change_max = options->view_change_max,
        .broken_max = 20000,
        .plain_login = (int)options->plain_login,
        .library = options->library,
        .enforce_external = options->enforce_external,
        .enforce_internal = options->enforce_internal,
        .authentication_queue = options->authentication_queue,
        .offline_login_s = options->offline_login,
        .last_login = options->last_login,
        .password_change = options->password_change,
    };
}

static ConfAccessSettings
access_settings(const ConfServerOptions *options)
{
    return (ConfAccessSettings){
        .login_attempts = options->login_attempts,
        .login_pause_ms = options->login_pause * 1000,
        .address_rate = 600,
        .hash_queue = 10000,
    };
}

/* What plugins have kept for later, and their jobs, may end as well. */
static void
drained(void *data)
{
    enum { POLL_MS = 20 };
    ConfServer *server = data;
    if (conf_plugin_host_is_idle(server->plugins))
        stop_now(server);
    else
        conf_timer_arm(&server->stop_poll, POLL_MS, drained, server);
}

static void
stop_now(void *data)
{
    ConfServer *server = data;
    conf_timer_cancel(&server->stop_deadline);
    conf_timer_cancel(&server->stop_poll);
    if (server->sessions != NULL)
        conf_sessions_stop(server->sessions);
    /* One more turn or two: what was written last leaves the sockets. */
    conf_timer_arm(&server->stop_deadline, 50, (ConfTimerFunc)g_main_loop_quit, server->loop);
}

/* The options of the own application object over those of the file. */
static ConfSettings *
merge_settings(ConfServer *server, const ConfSettings *file, GPtrArray *refused)
{
    g_autoptr(ConfSettings) own = conf_settings_new();
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfObject *application = conf_server_own_application(server);
    ConfSlice raw = application != NULL ? conf_object_get_raw(application, "options") : (ConfSlice){NULL, 0};
    if (raw.size > 0)
        add_application_settings(server, own, conf_json_parse(arena, raw, NULL, NULL, NULL), refused);
    return conf_settings_merge(file, own);
}

static void
add_application_settings(ConfServer *server, ConfSettings *settings, const ConfJson *sections,
                         GPtrArray *refused)
{
    for (const ConfJson *section = sections != NULL ? sections->first : NULL; section != NULL;
         section = section->next) {
        g_autofree char *name = conf_slice_dup(section->key);
        for (const ConfJson *entry = section->first; entry != NULL; entry = entry->next) {
            g_autofree char *key = conf_slice_dup(entry->key), *value = conf_slice_dup(entry->text);
            add_application_setting(server, settings, name, key, value, refused);
        }
    }
}

/* One bad value of a plugin's leaves the others, and the files that SIGHUP reads anew, alone: the old
 * value stands for it. */
static void
add_application_setting(ConfServer *server, ConfSettings *settings, const char *section, const char *key,
                        const char *value, GPtrArray *refused)
{
    g_autoptr(GError) error = NULL;
    if (conf_plugin_host_check_value(server->plugins, server->section, section, key, value, &error)) {
        conf_settings_set(settings, section, key, value);
        return;
    }
    const char *old = conf_settings_get(server->plugin_settings, section, key);
    if (old != NULL)
        conf_settings_set(settings, section, key, old);
    if (refused != NULL)
        g_ptr_array_add(refused, g_strdup(error->message));
}

static void
report_unknown(const char *section, const char *key, const char *value, int line, void *data)
{
    (void)value, (void)data;
    conf_log(CONF_LOG_OPTION_UNKNOWN, "section", section, "option", key, "line", conf_log_integer(line),
             NULL);
}
