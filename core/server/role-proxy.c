/* role-proxy.c - a proxy: follows its master, serves its clients from memory, refuses writes by naming the
 * master. */
#include "base/error.h"
#include "base/log.h"
#include "server/server-private.h"

static void ready(ConfStore *store, void *data);
static void status_changed(void *data);
static void failed(const GError *error, void *data);
static ConfPublisher *publisher_of(void *data);
static ConfAccounts *accounts_of(void *data);
static void environment_changed(void *data);
static void lineage(const char *environment, int64_t revision, const char *chain, void *data);
static bool admit_write(void *self, ConfRpcError *error);
static void refuse_write(void *self, ConfTransaction *transaction, ConfTransactionFunc func, void *data);
static bool read_password(const ConfCommandLine *line, char **password, GError **error);

bool
conf_proxy_start(ConfServer *server, GError **error)
{
    g_autofree char *password = NULL;
    if (!read_password(server->line, &password, error))
        return false;
    ConfUpstreamSettings settings = {
        .hosts = server->line->hosts,
        .port = (uint16_t)server->line->port,
        .application = server->application_name,
        .user = server->line->user,
        .password = password,
        .role = "proxy",
        .transport = "",
        .release = CONF_RELEASE,
        .reload_delay_s = (unsigned)server->options.delay_reload,
    };
    ConfUpstreamHost host = {
        .ready = ready,
        .status = status_changed,
        .failed = failed,
        .publisher = publisher_of,
        .environment_changed = environment_changed,
        .lineage = lineage,
        .confirmed = conf_records_confirmed,
        .record = conf_records_take,
        .accounts = accounts_of,
        .data = server,
    };
    server->sink = (ConfWriteSink){.submit = refuse_write, .admits = admit_write, .self = server};
    server->upstream = conf_upstream_new(&settings, &host, error);
    if (password != NULL)
        explicit_bzero(password, strlen(password));
    if (server->upstream == NULL)
        return false;
    GPtrArray *methods = conf_server_plugin_methods(server);
    for (unsigned i = 0; i < methods->len; i++) {
        const ConfMethod *method = g_ptr_array_index(methods, i);
        bool added = (method->flags & CONF_METHOD_BEFORE_LOGIN) == 0 ||
                     conf_method_table_add(conf_upstream_get_table(server->upstream), method);
        g_assert(added);
    }
    return true;
}

void
conf_proxy_stop(ConfServer *server)
{
    conf_upstream_free(server->upstream);
    server->upstream = NULL;
}

/* None: the certificate of the link may stand for it, where a plugin secures links. */
static bool
read_password(const ConfCommandLine *line, char **password, GError **error)
{
    const char *given = g_getenv("CONFSERV_PASSWORD");
    if (line->password_file != NULL) {
        *password = conf_read_password_file(line->password_file, error);
        return *password != NULL;
    }
    if (given != NULL && given[0] != '\0') {
        *password = g_strdup(given);
        return true;
    }
    if (line->user == NULL && conf_hooks_have_transport())
        return true;
    g_set_error(
        error, CONF_ERROR, CONF_ERROR_INVALID,
        "A proxy needs the password of its account: -password-file, or environment CONFSERV_PASSWORD");
    return false;
}

/* The first complete store: ports open now and not before. */
static void
ready(ConfStore *store, void *data)
{
    ConfServer *server = data;
    g_autoptr(GError) error = NULL;
    const ConfStorePosition *position = conf_store_position(store);
    conf_history_tell_position(server, position->environment, position->revision, position->chain);
    conf_server_build(server, store);
    if (conf_server_own_application(server) == NULL) {
        conf_server_fail(server, "The master does not show this proxy its own application object");
        return;
    }
    conf_server_apply_options(server);
    server->serving = true;
    if (!conf_ports_open(server, &error)) {
        conf_server_fail(server, error->message);
        return;
    }
    conf_log(CONF_LOG_STARTED, "role", "proxy", "objects", conf_log_integer((int64_t)conf_store_count(store)),
             "revision", conf_log_integer(conf_store_position(store)->revision), NULL);
}

static void
status_changed(void *data)
{
    conf_server_broadcast_status(data);
}

static void
failed(const GError *error, void *data)
{
    conf_server_fail(data, error->message);
}

static ConfPublisher *
publisher_of(void *data)
{
    return ((ConfServer *)data)->publisher;
}

static ConfAccounts *
accounts_of(void *data)
{
    const ConfServer *server = data;
    return server->access != NULL ? conf_access_accounts(server->access) : NULL;
}

static void
environment_changed(void *data)
{
    ConfServer *server = data;
    const ConfStorePosition *position = conf_store_position(server->store);
    conf_sessions_finish_all(server->sessions, "environment");
    conf_accounts_reset(conf_access_accounts(server->access), position->environment);
    conf_history_tell_position(server, position->environment, position->revision, position->chain);
}

static void
lineage(const char *environment, int64_t revision, const char *chain, void *data)
{
    conf_history_tell_position(data, environment, revision, chain);
}

static void
refuse_write(void *self, ConfTransaction *transaction, ConfTransactionFunc func, void *data)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    admit_write(self, &error);
    conf_transaction_free(transaction);
    func(&error, 0, NULL, NULL, 0, data);
}

static bool
admit_write(void *self, ConfRpcError *error)
{
    ConfServer *server = self;
    const char *host = NULL;
    uint16_t port = 0;
    g_auto(ConfBuffer) master = CONF_BUFFER_INIT;
    conf_upstream_get_master(server->upstream, &host, &port);
    CONF_BUFFER_LITERAL(&master, "{\"host\":");
    conf_json_append_string(&master, conf_slice_from_string(host));
    conf_buffer_printf(&master, ",\"port\":%u}", port);
    conf_buffer_append_char(&master, '\0');
    conf_rpc_fail(error, CONF_RPC_READ_ONLY, "This proxy is read-only: write to the master");
    conf_rpc_error_add_data(error, "master", master.data);
    return false;
}
