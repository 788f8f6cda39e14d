/* upstream.c - the link to the master: addresses, log-in, replica.open, loss and return. */
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "replication/upstream-private.h"

enum {
    CONNECT_MS = 10000,
    CALL_MS = 60000,
    DELAY_FIRST_MS = 200,
    DELAY_MAX_MS = 15000,
    WATCHDOG_MS =
        15000, /* a master that beats every second and is silent for this long is frozen, or its link cut */
    LINE_LIMIT = 64 * 1024 * 1024, /* one object alone may be longer than a line should be */
};

static void line_came(ConfConnection *connection, ConfSlice line);
static void line_too_long(ConfConnection *connection);
static void link_opened(ConfConnection *connection);
static void link_closed(ConfConnection *connection, const char *reason);
static bool parse_addresses(ConfUpstream *upstream);
static void try_now(void *data);
static void try_later(ConfUpstream *upstream);
static void logged_in(ConfSlice result, ConfSlice error, void *data);
static void login_impossible(ConfUpstream *upstream);
static void login_refused(ConfUpstream *upstream, ConfSlice error);
static void open_replica(ConfUpstream *upstream);
static void replica_opened(ConfSlice result, ConfSlice error, void *data);
static bool check_answer(ConfUpstream *upstream, const ConfJson *answer, bool *resume);
static void tell_lineage(ConfUpstream *upstream, const ConfJson *answer);
static void begin_loading(ConfUpstream *upstream);
static bool gate(ConfConnection *connection, const ConfMethod *method, ConfRpcError *error, void *data);
static ConfSession *no_session(ConfConnection *connection, void *data);
static void response_came(ConfConnection *connection, ConfSlice id, ConfSlice result, ConfSlice error,
                          void *data);
static void silent_too_long(void *data);

static const ConfConnectionFuncs link_funcs = {
    .line = line_came,
    .too_long = line_too_long,
    .opened = link_opened,
    .closed = link_closed,
};

ConfUpstream *
conf_upstream_new(const ConfUpstreamSettings *settings, const ConfUpstreamHost *host, GError **error)
{
    ConfUpstream *upstream = g_new0(ConfUpstream, 1);
    upstream->settings = *settings;
    upstream->settings.hosts = g_strdup(settings->hosts);
    upstream->settings.application = g_strdup(settings->application);
    upstream->settings.user = g_strdup(settings->user);
    upstream->settings.password = g_strdup(settings->password);
    upstream->settings.role = g_strdup(settings->role);
    upstream->settings.transport = g_strdup(settings->transport);
    upstream->settings.release = g_strdup(settings->release);
    upstream->host = *host;
    upstream->addresses = g_array_new(FALSE, TRUE, sizeof(ConfMasterAddress));
    upstream->arena = conf_arena_new();
    upstream->misfits = g_array_new(FALSE, FALSE, sizeof(ConfKey));
    upstream->since_ms = conf_clock_wall_ms();
    upstream->table = conf_method_table_new();
    conf_method_table_set_gate(upstream->table, gate, no_session, response_came, upstream);
    conf_upstream_add_stream_methods(upstream);
    conf_upstream_add_record_methods(upstream);
    if (!parse_addresses(upstream)) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "The master's address '%s' is no host, host:port or list of these", settings->hosts);
        conf_upstream_free(upstream);
        return NULL;
    }
    conf_timer_arm(&upstream->retry, 0, try_now, upstream);
    return upstream;
}

void
conf_upstream_free(ConfUpstream *upstream)
{
    if (upstream == NULL)
        return;
    conf_timer_cancel(&upstream->retry);
    conf_timer_cancel(&upstream->watchdog);
    conf_upstream_stop_asking(upstream);
    conf_upstream_stop_loading(upstream);
    if (upstream->connection != NULL) {
        conf_connection_set_data(upstream->connection, NULL);
        conf_connection_close(upstream->connection, "The server stops");
    }
    if (upstream->calls != NULL)
        conf_calls_free(upstream->calls);
    for (unsigned i = 0; i < upstream->addresses->len; i++)
        g_free(g_array_index(upstream->addresses, ConfMasterAddress, i).host);
    g_array_unref(upstream->addresses);
    g_array_unref(upstream->misfits);
    conf_method_table_free(upstream->table);
    conf_arena_free(upstream->arena);
    g_free((char *)upstream->settings.hosts);
    g_free((char *)upstream->settings.application);
    g_free((char *)upstream->settings.user);
    if (upstream->settings.password != NULL)
        explicit_bzero((char *)upstream->settings.password, strlen(upstream->settings.password));
    g_free((char *)upstream->settings.password);
    g_free((char *)upstream->settings.role);
    g_free((char *)upstream->settings.transport);
    g_free((char *)upstream->settings.release);
    g_free(upstream);
}

ConfMethodTable *
conf_upstream_get_table(ConfUpstream *upstream)
{
    return upstream->table;
}

void
conf_upstream_set_reload_delay(ConfUpstream *upstream, unsigned seconds)
{
    upstream->settings.reload_delay_s = seconds;
}

ConfUpstreamLink
conf_upstream_get_link(const ConfUpstream *upstream)
{
    return upstream->link_up ? CONF_UPSTREAM_CONNECTED : CONF_UPSTREAM_DISCONNECTED;
}

bool
conf_upstream_has_secrets(const ConfUpstream *upstream)
{
    return !upstream->without_secrets;
}

bool
conf_upstream_is_diverged(const ConfUpstream *upstream)
{
    return upstream->diverged;
}

int64_t
conf_upstream_get_since(const ConfUpstream *upstream)
{
    return upstream->since_ms;
}

int64_t
conf_upstream_get_known_at(const ConfUpstream *upstream)
{
    return upstream->knowledge.known_usec;
}

void
conf_upstream_get_master(const ConfUpstream *upstream, const char **host, uint16_t *port)
{
    const ConfMasterAddress *address =
        &g_array_index(upstream->addresses, ConfMasterAddress, upstream->address_index);
    *host = address->host;
    *port = address->port;
}

const ConfUpstreamStatistics *
conf_upstream_statistics(const ConfUpstream *upstream)
{
    return &upstream->statistics;
}

void
conf_upstream_fail(ConfUpstream *upstream, const char *why)
{
    if (upstream->connection != NULL)
        conf_connection_close(upstream->connection, why);
}

void
conf_upstream_watch(ConfUpstream *upstream)
{
    conf_timer_arm(&upstream->watchdog, WATCHDOG_MS, silent_too_long, upstream);
}

void
conf_upstream_set_up(ConfUpstream *upstream, bool up)
{
    if (upstream->link_up == up)
        return;
    upstream->link_up = up;
    upstream->since_ms = conf_clock_wall_ms();
    if (upstream->was_ready)
        upstream->host.status(upstream->host.data);
}

/* "a", "a:2020,b:2020", "[::1]:2020" */
static bool
parse_addresses(ConfUpstream *upstream)
{
    g_auto(GStrv) parts = g_strsplit(upstream->settings.hosts, ",", -1);
    for (unsigned i = 0; parts[i] != NULL; i++) {
        char *text = g_strstrip(parts[i]);
        ConfMasterAddress address = {.port = upstream->settings.port};
        const char *colon = strrchr(text, ':');
        bool bracketed = text[0] == '[';
        if (bracketed && strchr(text, ']') == NULL)
            return false;
        if (colon != NULL && (strchr(text, ':') == colon || (bracketed && colon > strchr(text, ']')))) {
            char *end = NULL;
            unsigned long port = strtoul(colon + 1, &end, 10);
            if (*end != '\0' || port == 0 || port > 65535)
                return false;
            address.port = (uint16_t)port;
            address.host = g_strndup(text, (size_t)(colon - text));
        } else {
            address.host = g_strdup(text);
        }
        if (address.host[0] == '[') {
            char *inside = g_strndup(address.host + 1, strcspn(address.host + 1, "]"));
            g_free(address.host);
            address.host = inside;
        }
        g_array_append_val(upstream->addresses, address);
        if (address.host[0] == '\0' || address.port == 0)
            return false;
    }
    return upstream->addresses->len > 0;
}

static void
try_now(void *data)
{
    ConfUpstream *upstream = data;
    const ConfMasterAddress *address =
        &g_array_index(upstream->addresses, ConfMasterAddress, upstream->address_index);
    upstream->state = CONF_LINK_CONNECTING;
    upstream->connection =
        conf_connection_new_outgoing(conf_poller_default(), address->host, address->port, CONNECT_MS,
                                     upstream->settings.transport, &link_funcs, upstream);
    if (upstream->connection == NULL)
        try_later(upstream);
    else
        conf_connection_set_line_limit(upstream->connection, LINE_LIMIT);
}

/* Exponential back-off with jitter over the addresses in turn: a master that returns must not meet all its
 * proxies in one instant. */
static void
try_later(ConfUpstream *upstream)
{
    upstream->state = CONF_LINK_WAITING;
    upstream->address_index = (upstream->address_index + 1) % upstream->addresses->len;
    upstream->delay_ms = upstream->delay_ms == 0 ? DELAY_FIRST_MS : MIN(upstream->delay_ms * 2, DELAY_MAX_MS);
    unsigned jitter = (unsigned)g_random_int_range(0, (int)upstream->delay_ms / 2 + 1);
    unsigned delay = upstream->delay_ms * 3 / 4 + jitter;
    if (upstream->reload && upstream->was_ready)
        delay += upstream->settings.reload_delay_s * 1000;
    conf_timer_arm(&upstream->retry, delay, try_now, upstream);
}

static void
line_came(ConfConnection *connection, ConfSlice line)
{
    ConfUpstream *upstream = conf_connection_get_data(connection);
    if (upstream != NULL)
        conf_dispatch_line(upstream->table, connection, line);
}

static void
line_too_long(ConfConnection *connection)
{
    ConfUpstream *upstream = conf_connection_get_data(connection);
    if (upstream != NULL)
        conf_upstream_fail(upstream, "The master sent a line longer than 64 MiB");
}

static void
link_opened(ConfConnection *connection)
{
    ConfUpstream *upstream = conf_connection_get_data(connection);
    if (upstream == NULL)
        return;
    upstream->statistics.connects++;
    if (upstream->settings.password == NULL && !conf_connection_is_encrypted(connection)) {
        login_impossible(upstream);
        return;
    }
    upstream->state = CONF_LINK_LOGGING_IN;
    upstream->calls = conf_calls_new(connection);
    g_auto(ConfBuffer) params = CONF_BUFFER_INIT;
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, &params);
    conf_json_writer_begin_object(&writer);
    if (upstream->settings.password == NULL) {
        conf_json_writer_member_string(&writer, "mechanism", "certificate");
    } else if (upstream->settings.user != NULL) {
        conf_json_writer_member_string(&writer, "user", upstream->settings.user);
        conf_json_writer_member_string(&writer, "password", upstream->settings.password);
    } else {
        conf_json_writer_member_string(&writer, "secret", upstream->settings.password);
    }
    conf_json_writer_member_string(&writer, "application", upstream->settings.application);
    conf_json_writer_member_boolean(&writer, "replace", true);
    conf_json_writer_key(&writer, "client");
    conf_json_writer_begin_object(&writer);
    conf_json_writer_member_string(&writer, "name", "confserv");
    conf_json_writer_member_string(&writer, "version", upstream->settings.release);
    conf_json_writer_end_object(&writer);
    conf_connection_write_params(connection, "session.open", &writer);
    conf_json_writer_end_object(&writer);
    conf_calls_send(upstream->calls, "session.open", conf_buffer_slice(&params), CALL_MS, logged_in,
                    upstream);
    explicit_bzero(params.data, params.size);
}

static void
link_closed(ConfConnection *connection, const char *reason)
{
    ConfUpstream *upstream = conf_connection_get_data(connection);
    if (upstream == NULL)
        return;
    const char *host = NULL;
    uint16_t port = 0;
    conf_upstream_get_master(upstream, &host, &port);
    bool lost = upstream->link_up;
    conf_log(lost ? CONF_LOG_MASTER_LOST : CONF_LOG_MASTER_UNREACHABLE, "host", host, "port",
             conf_log_integer(port), "reason", reason, NULL);
    upstream->connection = NULL;
    upstream->state = CONF_LINK_WAITING; /* calls that end now must not go on */
    conf_upstream_stop_asking(upstream);
    conf_upstream_stop_loading(upstream);
    if (upstream->calls != NULL)
        conf_calls_free(upstream->calls);
    upstream->calls = NULL;
    conf_timer_cancel(&upstream->watchdog);
    conf_upstream_set_up(upstream, false);
    if (lost)
        upstream->delay_ms = 0;
    try_later(upstream);
}

static void
logged_in(ConfSlice result, ConfSlice error, void *data)
{
    ConfUpstream *upstream = data;
    if (upstream->state != CONF_LINK_LOGGING_IN)
        return;
    if (result.size > 0) {
        conf_connection_answer_params(upstream->connection, "session.open", result);
        open_replica(upstream);
        return;
    }
    if (error.size > 0)
        login_refused(upstream, error);
    else
        conf_upstream_fail(upstream, "The master did not answer the log-in in time");
}

/* Without a password there is the certificate, and without TLS that is not there either. */
static void
login_impossible(ConfUpstream *upstream)
{
    static const char why[] =
        "No password is given, and the link to the master is not secured, so no certificate "
        "can stand for one";
    if (!upstream->was_ready) {
        g_autoptr(GError) failure = g_error_new_literal(CONF_ERROR, CONF_ERROR_INVALID, why);
        upstream->host.failed(failure, upstream->host.data);
    }
    conf_upstream_fail(upstream, why);
}

/* Before the first load a refusal that will not go away ends the start; later it is tried on: somebody may
 * mend it. */
static void
login_refused(ConfUpstream *upstream, ConfSlice error)
{
    conf_arena_reset(upstream->arena);
    const ConfJson *tree = conf_json_parse(upstream->arena, error, NULL, NULL, NULL);
    const ConfJson *code = conf_json_member(tree, "code"), *message = conf_json_member(tree, "message");
    g_autofree char *text = message != NULL ? conf_slice_dup(message->text) : g_strdup("unknown reason");
    int64_t number = code != NULL ? code->integer : 0;
    bool passing = number == CONF_RPC_UNAVAILABLE || number == CONF_RPC_STOPPING;
    if (!passing) {
        conf_log(CONF_LOG_MASTER_REFUSED, "reason", text, NULL);
        upstream->statistics.refused++;
    }
    if (!passing && !upstream->was_ready) {
        g_autoptr(GError) failure = g_error_new(CONF_ERROR, CONF_ERROR_DENIED,
                                                "The master refuses this server as application '%s': %s",
                                                upstream->settings.application, text);
        upstream->host.failed(failure, upstream->host.data);
    }
    conf_upstream_fail(upstream, text);
}

static void
open_replica(ConfUpstream *upstream)
{
    upstream->state = CONF_LINK_OPENING;
    g_auto(ConfBuffer) params = CONF_BUFFER_INIT;
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, &params);
    conf_json_writer_begin_object(&writer);
    conf_json_writer_member_string(&writer, "application", upstream->settings.application);
    conf_json_writer_member_string(&writer, "role", upstream->settings.role);
    conf_json_writer_member_string(&writer, "release", upstream->settings.release);
    if (upstream->store != NULL && !upstream->reload) {
        const ConfStorePosition *position = conf_store_position(upstream->store);
        conf_json_writer_member_string(&writer, "environment", position->environment);
        conf_json_writer_member_integer(&writer, "revision", position->revision);
        conf_json_writer_member_string(&writer, "chain", position->chain);
    }
    if (upstream->store != NULL)
        conf_json_writer_member_string(&writer, "schema",
                                       conf_schema_hash(conf_store_schema(upstream->store)));
    conf_upstream_ask_records(upstream, &writer);
    conf_connection_write_params(upstream->connection, "replica.open", &writer);
    conf_json_writer_end_object(&writer);
    conf_upstream_note_question(upstream);
    conf_calls_send(upstream->calls, "replica.open", conf_buffer_slice(&params), CALL_MS, replica_opened,
                    upstream);
}

static void
replica_opened(ConfSlice result, ConfSlice error, void *data)
{
    ConfUpstream *upstream = data;
    if (upstream->state != CONF_LINK_OPENING)
        return;
    if (result.size == 0) {
        if (error.size > 0)
            login_refused(upstream, error);
        else
            conf_upstream_fail(upstream, "The master did not answer replica.open in time");
        return;
    }
    conf_connection_answer_params(upstream->connection, "replica.open", result);
    conf_arena_reset(upstream->arena);
    const ConfJson *answer = conf_json_parse(upstream->arena, result, NULL, NULL, NULL);
    bool resume = false;
    if (!check_answer(upstream, answer, &resume))
        return;
    tell_lineage(upstream, answer);
    conf_upstream_note_answer(upstream, answer);
    conf_upstream_watch(upstream);
    upstream->delay_ms = 0;
    if (upstream->diverged) {
        upstream->diverged = false;
        upstream->host.status(upstream->host.data);
    }
    if (resume) {
        upstream->state = CONF_LINK_LIVE;
        upstream->statistics.resumes++;
        ConfStorePosition position = *conf_store_position(upstream->store);
        position.epoch = upstream->epoch;
        conf_store_set_position(upstream->store, &position);
        conf_log(CONF_LOG_REPLICA_RESUMED, "revision", conf_log_integer(position.revision), NULL);
        conf_upstream_set_up(upstream, true);
        conf_upstream_start_asking(upstream);
        return;
    }
    upstream->statistics.snapshots++;
    begin_loading(upstream);
}

/* Never a step back: a master of a lower epoch, or of the same lineage with an older history, is not
 * followed. */
static bool
check_answer(ConfUpstream *upstream, const ConfJson *answer, bool *resume)
{
    ConfSlice mode = {NULL, 0}, environment = {NULL, 0}, release = {NULL, 0};
    int64_t epoch = 0, revision = 0;
    const ConfJson *secrets = conf_json_member(answer, "secrets");
    if (!conf_upstream_read_string(answer, "mode", &mode) ||
        !conf_upstream_read_string(answer, "environment", &environment) || !conf_id_is_uuid(environment) ||
        !conf_upstream_read_integer(answer, "epoch", 0, &epoch) ||
        !conf_upstream_read_integer(answer, "revision", 0, &revision)) {
        conf_upstream_fail(upstream, "The master's answer to replica.open is not understood");
        return false;
    }
    if (conf_upstream_read_string(answer, "release", &release) &&
        !conf_slice_is(release, upstream->settings.release)) {
        g_autofree char *text = conf_slice_dup(release);
        conf_log(CONF_LOG_MASTER_RELEASE, "master", text, "own", upstream->settings.release, NULL);
    }
    const ConfStorePosition *own = upstream->store != NULL ? conf_store_position(upstream->store) : NULL;
    bool same_lineage = own != NULL && conf_slice_is(environment, own->environment);
    if (same_lineage && epoch < upstream->epoch_seen) {
        conf_upstream_diverge(upstream, "The master's epoch is over");
        return false;
    }
    if (same_lineage && revision < own->revision) {
        conf_upstream_diverge(upstream, "The master's history is behind what this server has");
        return false;
    }
    *resume = conf_slice_is(mode, "resume");
    if ((*resume && !same_lineage) || (!*resume && !conf_slice_is(mode, "snapshot"))) {
        conf_upstream_fail(upstream, "The master's answer to replica.open is not understood");
        return false;
    }
    memcpy(upstream->environment, environment.data, 36);
    upstream->environment[36] = '\0';
    upstream->epoch = epoch;
    upstream->without_secrets = secrets != NULL && secrets->kind == CONF_JSON_BOOLEAN && !secrets->boolean;
    upstream->epoch_seen = same_lineage ? MAX(upstream->epoch_seen, epoch) : epoch;
    return true;
}

static void
tell_lineage(ConfUpstream *upstream, const ConfJson *answer)
{
    int64_t revision = 0;
    ConfSlice chain = {NULL, 0};
    if (upstream->host.lineage == NULL || strcmp(upstream->told_environment, upstream->environment) == 0 ||
        !conf_upstream_read_integer(answer, "revision", 0, &revision) ||
        !conf_upstream_read_string(answer, "chain", &chain) || !conf_upstream_is_chain(chain))
        return;
    g_strlcpy(upstream->told_environment, upstream->environment, sizeof upstream->told_environment);
    g_autofree char *text = conf_slice_dup(chain);
    upstream->host.lineage(upstream->environment, revision, text, upstream->host.data);
}

static void
begin_loading(ConfUpstream *upstream)
{
    upstream->state = CONF_LINK_LOADING;
    if (upstream->store != NULL)
        conf_upstream_set_up(upstream, true);
}

void
conf_upstream_diverge(ConfUpstream *upstream, const char *why)
{
    conf_log(CONF_LOG_MASTER_DIVERGED, "reason", why, NULL);
    bool was = upstream->diverged;
    upstream->diverged = true;
    if (!was)
        upstream->host.status(upstream->host.data);
    upstream->delay_ms = DELAY_MAX_MS;
    conf_upstream_fail(upstream, why);
}

/* The master sends notifications and perhaps requests of plugins; whatever it sends is allowed. */
static bool
gate(ConfConnection *connection, const ConfMethod *method, ConfRpcError *error, void *data)
{
    (void)connection, (void)method, (void)error, (void)data;
    return true;
}

static ConfSession *
no_session(ConfConnection *connection, void *data)
{
    (void)connection, (void)data;
    return NULL;
}

static void
response_came(ConfConnection *connection, ConfSlice id, ConfSlice result, ConfSlice error, void *data)
{
    (void)connection;
    ConfUpstream *upstream = data;
    if (upstream->calls != NULL)
        conf_calls_take_response(upstream->calls, id, result, error);
}

static void
silent_too_long(void *data)
{
    conf_upstream_fail(data, "The master was silent for 15 s");
}
