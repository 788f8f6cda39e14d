/* server-methods.c - server.info, server.statistics, and the operator's methods: stop, reload, logLevel,
 * switchRole. */
#include "base/clock.h"
#include "base/log.h"
#include "server/server-private.h"

static void server_info(ConfRequest *request, void *data);
static void server_statistics(ConfRequest *request, void *data);
static void write_role_statistics(ConfServer *server, ConfJsonWriter *writer);
static void server_stop(ConfRequest *request, void *data);
static void server_reload(ConfRequest *request, void *data);
static void server_log_level(ConfRequest *request, void *data);
static void server_switch_role(ConfRequest *request, void *data);
static bool may_operate(ConfServer *server, ConfRequest *request, ConfRpcError *error);
static const ConfJson *begin(ConfServer *server, ConfRequest *request, const char *const *names);
static void write_short(ConfServer *server, ConfJsonWriter *writer);
static void write_info(ConfServer *server, ConfJsonWriter *writer);
static void write_plugin(const char *name, const char *version, void *data);
static void write_statistic(const char *name, uint64_t value, void *data);
static void stop_graceful(void *data);
static void stop_at_once(void *data);
static void reload(void *data);

void
conf_server_add_methods(ConfServer *server)
{
    enum { OPERATOR = CONF_METHOD_BEFORE_LOGIN };
    const ConfMethod family[] = {
        {.name = "server.info", .func = server_info, .flags = CONF_METHOD_BEFORE_LOGIN},
        {.name = "server.statistics", .func = server_statistics, .flags = OPERATOR},
        {.name = "server.stop", .func = server_stop, .flags = OPERATOR},
        {.name = "server.reload", .func = server_reload, .flags = OPERATOR},
        {.name = "server.logLevel", .func = server_log_level, .flags = OPERATOR},
        {.name = "server.switchRole", .func = server_switch_role, .flags = OPERATOR},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(family); i++) {
        ConfMethod method = family[i];
        method.data = server;
        bool added = conf_method_table_add(server->table, &method);
        g_assert(added);
    }
}

static bool
is_management(const ConfRequest *request)
{
    ConfConnection *connection = conf_request_get_connection(request);
    return connection != NULL && strcmp(conf_connection_get_port_id(connection), "management") == 0;
}

static void
server_info(ConfRequest *request, void *data)
{
    static const char *const names[] = {NULL};
    ConfServer *server = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    if (conf_request_parse_params(request, names, &error) == NULL) {
        conf_request_fail(request, &error);
        return;
    }
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, conf_request_begin(request));
    conf_json_writer_begin_object(&writer);
    write_short(server, &writer);
    if (conf_request_get_session(request) != NULL || is_management(request))
        write_info(server, &writer);
    conf_json_writer_end_object(&writer);
    conf_request_end(request);
}

static void
write_short(ConfServer *server, ConfJsonWriter *writer)
{
    conf_json_writer_member_string(writer, "name", server->application_name);
    conf_json_writer_member_string(writer, "role", server->role == CONF_ROLE_PROXY ? "proxy" : "primary");
    conf_json_writer_member_string(writer, "release", CONF_RELEASE);
    conf_json_writer_key(writer, "protocols");
    conf_json_writer_raw(writer, CONF_SLICE("[1]"));
}

static void
write_info(ConfServer *server, ConfJsonWriter *writer)
{
    const ConfStorePosition *position = conf_store_position(server->store);
    conf_json_writer_member_string(writer, "environment", position->environment);
    conf_json_writer_member_integer(writer, "revision", position->revision);
    conf_json_writer_member_string(writer, "chain", position->chain);
    conf_json_writer_member_integer(writer, "epoch", position->epoch);
    conf_json_writer_member_integer(writer, "uptime", (conf_clock_wall_ms() - server->started_ms) / 1000);
    char digest[33];
    conf_store_digest_text(server->store, digest);
    conf_json_writer_member_string(writer, "digest", digest);
    conf_json_writer_key(writer, "plugins");
    conf_json_writer_begin_array(writer);
    conf_plugin_host_foreach(server->plugins, write_plugin, writer);
    conf_json_writer_end_array(writer);
    conf_json_writer_key(writer, "master");
    conf_json_writer_begin_object(writer);
    bool proxy = server->role == CONF_ROLE_PROXY;
    if (proxy) {
        const char *host = NULL;
        uint16_t port = 0;
        char since[CONF_TIME_TEXT_SIZE];
        bool connected = conf_upstream_get_link(server->upstream) == CONF_UPSTREAM_CONNECTED;
        conf_upstream_get_master(server->upstream, &host, &port);
        conf_clock_format(conf_upstream_get_since(server->upstream), since);
        conf_json_writer_member_string(writer, "state", connected ? "connected" : "disconnected");
        conf_json_writer_member_string(writer, "host", host);
        conf_json_writer_member_integer(writer, "port", port);
        conf_json_writer_member_string(writer, "since", since);
    } else {
        conf_json_writer_member_string(writer, "state", "none");
    }
    conf_json_writer_end_object(writer);
    int64_t known =
        proxy ? conf_upstream_get_known_at(server->upstream) : conf_storage_get_confirmed_at(server->storage);
    if (known != 0)
        conf_json_writer_member_integer(writer, "age", (conf_clock_monotonic_usec() - known) / 1000000);
    conf_json_writer_member_boolean(
        writer, "diverged", proxy ? conf_upstream_is_diverged(server->upstream) : server->read_only_diverged);
    if (!proxy)
        conf_json_writer_member_boolean(writer, "databaseAvailable", !server->database_lost);
    conf_json_writer_key(writer, "refusedOptions");
    conf_json_writer_begin_array(writer);
    for (unsigned i = 0; i < server->refused_options->len; i++)
        conf_json_writer_string(writer, g_ptr_array_index(server->refused_options, i));
    if (server->refused_reload != NULL)
        conf_json_writer_string(writer, server->refused_reload);
    for (unsigned i = 0; i < server->refused_ports->len; i++)
        conf_json_writer_string(writer, g_ptr_array_index(server->refused_ports, i));
    for (unsigned i = 0; i < server->ports->len; i++) {
        const ConfPort *port = &g_array_index(server->ports, ConfPort, i);
        g_autofree char *text =
            port->failure != NULL ? g_strdup_printf("ports/%s: %s", port->id, port->failure) : NULL;
        if (text != NULL)
            conf_json_writer_string(writer, text);
    }
    conf_json_writer_end_array(writer);
}

static void
write_plugin(const char *name, const char *version, void *data)
{
    ConfJsonWriter *writer = data;
    conf_json_writer_begin_object(writer);
    conf_json_writer_member_string(writer, "name", name);
    conf_json_writer_member_string(writer, "version", version);
    conf_json_writer_end_object(writer);
}

static void
write_statistic(const char *name, uint64_t value, void *data)
{
    conf_json_writer_member_integer(data, name, (int64_t)value);
}

static void
server_statistics(ConfRequest *request, void *data)
{
    static const char *const names[] = {NULL};
    ConfServer *server = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    bool known = conf_request_get_session(request) != NULL || is_management(request);
    if (!known)
        conf_rpc_fail(&error, CONF_RPC_NOT_LOGGED_IN, "Method server.statistics needs a log-in");
    if (!known || conf_request_parse_params(request, names, &error) == NULL) {
        conf_request_fail(request, &error);
        return;
    }
    const ConfSessionStatistics *sessions = conf_sessions_statistics(server->sessions);
    const ConfMethodsStatistics *methods = conf_methods_statistics(server->methods);
    const ConfDownstreamStatistics *downstream = conf_downstream_statistics(server->downstream);
    const ConfAccessStatistics *access = conf_access_statistics(server->access);
    const ConfDispatchStatistics *dispatch = conf_dispatch_get_statistics(server->table);
    const struct {
        const char *name;
        uint64_t value;
    } values[] = {
        {"sessions", sessions->sessions},
        {"sessionsBroken", sessions->broken},
        {"connections", sessions->connections},
        {"logins", sessions->logins},
        {"loginsRefused", sessions->logins_refused},
        {"sessionsResumed", sessions->resumed},
        {"slowConsumers", sessions->slow_consumers},
        {"notifications", sessions->notifications},
        {"notificationLines", sessions->notification_lines},
        {"resets", sessions->resets},
        {"subscriptions", sessions->subscriptions},
        {"views", sessions->views},
        {"reads", methods->reads},
        {"lists", methods->lists},
        {"counts", methods->counts},
        {"writes", methods->writes},
        {"replicas", downstream->replicas},
        {"replicaSnapshots", downstream->snapshots},
        {"replicaResumes", downstream->resumes},
        {"replicaRecords", downstream->records},
        {"passwordHashes", access->hashes},
        {"passwordRecentHits", access->recent_hits},
        {"passwordQueue", access->queue},
        {"loginsPaused", access->paused},
        {"requests", dispatch->requests},
        {"errors", dispatch->errors},
        {"batches", dispatch->batches},
        {"queueBytes", conf_connection_total_unsent()},
        {"objects", conf_store_count(server->store)},
        {"storeBytes", conf_store_memory(server->store)},
        {"longestTurnUsec", conf_poller_take_longest_turn(conf_poller_default())},
    };
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, conf_request_begin(request));
    conf_json_writer_begin_object(&writer);
    for (unsigned i = 0; i < G_N_ELEMENTS(values); i++)
        write_statistic(values[i].name, values[i].value, &writer);
    write_role_statistics(server, &writer);
    conf_plugin_host_foreach_statistic(server->plugins, write_statistic, &writer);
    conf_json_writer_end_object(&writer);
    conf_request_end(request);
}

static void
write_role_statistics(ConfServer *server, ConfJsonWriter *writer)
{
    static const ConfCommitStatistics NONE;
    const ConfCommitStatistics *commit =
        server->queue != NULL ? conf_commit_statistics(server->queue) : &NONE;
    write_statistic("commits", commit->commits, writer);
    write_statistic("commitBatches", commit->batches, writer);
    write_statistic("writesRefused", commit->refused, writer);
    write_statistic("writesWaiting", commit->waiting, writer);
    if (server->upstream != NULL) {
        const ConfUpstreamStatistics *upstream = conf_upstream_statistics(server->upstream);
        write_statistic("masterConnects", upstream->connects, writer);
        write_statistic("masterSnapshots", upstream->snapshots, writer);
        write_statistic("masterResumes", upstream->resumes, writer);
        write_statistic("masterFetchedObjects", upstream->fetched_objects, writer);
        write_statistic("masterRecords", upstream->records, writer);
    }
}

/* On the management port, or with the right to execute this server. */
static bool
may_operate(ConfServer *server, ConfRequest *request, ConfRpcError *error)
{
    if (is_management(request))
        return true;
    ConfSession *session = conf_request_get_session(request);
    if (session == NULL)
        return conf_rpc_fail(error, CONF_RPC_NOT_LOGGED_IN,
                             "This method needs a log-in, or the management port");
    const ConfObject *application = conf_server_own_application(server);
    if (application != NULL && (conf_session_rights(session, application) & CONF_RIGHT_EXECUTE) != 0)
        return true;
    return conf_rpc_fail(error, CONF_RPC_NOT_PERMITTED,
                         "Right execute is missing on this server's application object");
}

/* NULL: answered. */
static const ConfJson *
begin(ConfServer *server, ConfRequest *request, const char *const *names)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    const ConfJson *params = conf_request_parse_params(request, names, &error);
    if (params != NULL && may_operate(server, request, &error))
        return params;
    conf_request_fail(request, &error);
    return NULL;
}

static void
server_stop(ConfRequest *request, void *data)
{
    static const char *const names[] = {"graceful", NULL};
    ConfServer *server = data;
    bool graceful = true;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    const ConfJson *params = begin(server, request, names);
    if (params == NULL)
        return;
    if (!conf_params_boolean(params, "", "graceful", &graceful, &error)) {
        conf_request_fail(request, &error);
        return;
    }
    conf_request_answer(request, CONF_SLICE("{}"));
    /* After this turn: the answer leaves first. */
    conf_poller_defer(conf_poller_default(), graceful ? stop_graceful : stop_at_once, server);
}

static void
stop_graceful(void *data)
{
    conf_server_stop(data, true);
}

static void
stop_at_once(void *data)
{
    conf_server_stop(data, false);
}

static void
server_reload(ConfRequest *request, void *data)
{
    static const char *const names[] = {NULL};
    ConfServer *server = data;
    if (begin(server, request, names) == NULL)
        return;
    conf_request_answer(request, CONF_SLICE("{}"));
    conf_poller_defer(conf_poller_default(), reload, server);
}

static void
reload(void *data)
{
    conf_server_reload(data);
}

static void
server_log_level(ConfRequest *request, void *data)
{
    static const char *const names[] = {"verbose", NULL};
    ConfServer *server = data;
    const ConfJson *params = begin(server, request, names);
    if (params == NULL)
        return;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    g_autoptr(GError) failure = NULL;
    ConfSlice verbose = {NULL, 0};
    bool fine = conf_params_string(params, "", "verbose", true, &verbose, &error);
    g_autofree char *text = fine ? conf_slice_dup(verbose) : NULL;
    if (fine && !conf_log_set_verbose(text, &failure))
        fine = conf_rpc_fail_path(&error, "/verbose", "%s", failure->message);
    if (fine)
        conf_request_answer(request, CONF_SLICE("{}"));
    else
        conf_request_fail(request, &error);
}

static void
server_switch_role(ConfRequest *request, void *data)
{
    static const char *const names[] = {"role", NULL};
    ConfServer *server = data;
    const ConfJson *params = begin(server, request, names);
    if (params == NULL)
        return;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    ConfSlice role = {NULL, 0};
    if (conf_params_string(params, "", "role", true, &role, &error))
        conf_rpc_fail_path(
            &error, "/role",
            "This server has no other role to take: a warm backup is not available in this release");
    conf_request_fail(request, &error);
}
