/* downstream.c - replica.open and the streams that follow it (protocol.md 10). */
#include "base/id.h"
#include "base/log.h"
#include "replication/downstream-private.h"

enum { BEAT_MS = 1000, LINE_TARGET = 256 * 1024, LINE_LIMIT = 1000 * 1024 };

static void replica_open(ConfRequest *request, void *data);
static const ConfObject *check_open(ConfDownstream *downstream, ConfRequest *request, const ConfJson *params,
                                    ConfRpcError *error);
static void displace(ConfDownstream *downstream, ConfKey application);
static ConfReplica *replica_new(ConfDownstream *downstream, ConfSession *session, ConfKey application);
static bool can_resume(ConfDownstream *downstream, const ConfJson *params, int64_t *revision);
static void answer_open(ConfReplica *replica, ConfRequest *request, bool resume);
static void send_schema(ConfReplica *replica, const ConfJson *params);
static void begin_records(ConfReplica *replica, const ConfJson *params);
static void replica_ended(void *data);
static void replica_drained(void *data);
static bool work_slice(void *data);
static bool step(ConfReplica *replica);
static void walk_step(ConfReplica *replica);
static bool pump_step(ConfReplica *replica);
static void send_loaded(ConfReplica *replica);
static void beat_due(void *data);
static void committed(ConfCommit *commit, void *data);
static bool view_altered(const ConfReplica *replica, const ConfCommit *commit);
static bool reads_alike(const ConfReplica *replica, ConfIdentity *now);
static bool may_read(ConfIdentity *identity, const ConfAcl *acl);
static void take_identity(ConfReplica *replica);
static bool needs_more(const ConfReplica *replica, const ConfCommit *commit);
static void follow_sum(ConfReplica *replica, const ConfCommit *commit);
static void reset(ConfReplica *replica);
static void replica_free(ConfReplica *replica);

ConfDownstream *
conf_downstream_new(ConfSessions *sessions, ConfPublisher *publisher, ConfMethodTable *table,
                    const ConfDownstreamSettings *settings)
{
    ConfDownstream *downstream = g_new0(ConfDownstream, 1);
    downstream->sessions = sessions;
    downstream->store = conf_sessions_store(sessions);
    downstream->settings = *settings;
    downstream->replicas = g_ptr_array_new();
    static const ConfPublishFuncs funcs = {.done = committed};
    conf_publisher_add(publisher, &funcs, downstream);
    const ConfMethod open = {.name = "replica.open", .func = replica_open, .data = downstream};
    bool added = conf_method_table_add(table, &open);
    g_assert(added);
    conf_downstream_add_questions(downstream, table);
    conf_downstream_add_accounts(downstream, table);
    return downstream;
}

void
conf_downstream_free(ConfDownstream *downstream)
{
    if (downstream == NULL)
        return;
    while (downstream->replicas->len > 0) {
        ConfReplica *replica = g_ptr_array_index(downstream->replicas, 0);
        conf_session_take_over(replica->session, NULL, NULL, NULL);
        replica_free(replica);
    }
    if (downstream->work != NULL)
        conf_work_cancel(downstream->work);
    if (downstream->cached_lines != NULL)
        g_ptr_array_unref(downstream->cached_lines);
    g_ptr_array_unref(downstream->replicas);
    g_free(downstream);
}

void
conf_downstream_set_source(ConfDownstream *downstream, const ConfRecordSource *source)
{
    downstream->source = *source;
}

void
conf_downstream_set_knowledge(ConfDownstream *downstream, int64_t (*age)(void *data), void *data)
{
    downstream->knowledge_age = age;
    downstream->knowledge_data = data;
}

void
conf_downstream_set_settings(ConfDownstream *downstream, const ConfDownstreamSettings *settings)
{
    downstream->settings = *settings;
}

const ConfDownstreamStatistics *
conf_downstream_statistics(const ConfDownstream *downstream)
{
    return &downstream->statistics;
}

bool
conf_replica_may_read(const ConfReplica *replica, const ConfAcl *acl)
{
    return may_read(replica->identity, acl);
}

bool
conf_replica_reads_all(const ConfReplica *replica)
{
    for (uint32_t id = 0; id < conf_acl_id_bound(); id++) {
        const ConfAcl *acl = conf_acl_by_id(id);
        if (acl != NULL && !conf_replica_may_read(replica, acl))
            return false;
    }
    return true;
}

static void
replica_open(ConfRequest *request, void *data)
{
    static const char *const names[] = {"application", "role",   "release",     "environment", "revision",
                                        "chain",       "schema", "changesFrom", "addp",        NULL};
    ConfDownstream *downstream = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    const ConfJson *params = conf_request_parse_params(request, names, &error);
    const ConfObject *application = params != NULL ? check_open(downstream, request, params, &error) : NULL;
    if (application == NULL) {
        conf_request_fail(request, &error);
        return;
    }
    ConfKey key = conf_object_key(application);
    displace(downstream, key);
    ConfReplica *replica = replica_new(downstream, conf_request_get_session(request), key);
    int64_t revision = 0;
    bool resume = can_resume(downstream, params, &revision);
    replica->walking = true;
    replica->silent = resume;
    replica->pump_cursor = resume ? revision : conf_store_position(downstream->store)->revision;
    replica->loaded_due = !resume;
    begin_records(replica, params);
    *(resume ? &downstream->statistics.resumes : &downstream->statistics.snapshots) += 1;
    answer_open(replica, request, resume);
    send_schema(replica, params);
    conf_log(CONF_LOG_REPLICA_OPENED, "application", application->name, "mode",
             resume ? "resume" : "snapshot", "peer", conf_connection_get_peer(replica->connection), NULL);
    conf_replica_go_on(replica);
}

static const ConfObject *
check_open(ConfDownstream *downstream, ConfRequest *request, const ConfJson *params, ConfRpcError *error)
{
    ConfSession *session = conf_request_get_session(request);
    ConfSlice name = {NULL, 0}, role = {NULL, 0}, release = {NULL, 0}, text = {NULL, 0};
    int64_t number = 0;
    if (!conf_params_string(params, "", "application", true, &name, error) ||
        !conf_params_string(params, "", "role", true, &role, error) ||
        !conf_params_string(params, "", "release", true, &release, error) ||
        !conf_params_string(params, "", "environment", false, &text, error) ||
        !conf_params_string(params, "", "chain", false, &text, error) ||
        !conf_params_string(params, "", "schema", false, &text, error) ||
        !conf_params_integer(params, "", "revision", 0, G_MAXINT64, false, &number, error) ||
        !conf_params_integer(params, "", "changesFrom", 0, G_MAXINT64, false, &number, error))
        return NULL;
    if (!conf_slice_is(role, "proxy")) {
        conf_rpc_fail_path(error, "/role",
                           conf_slice_is(role, "backup") ? "This server does not serve backups yet"
                                                         : "role is proxy or backup");
        return NULL;
    }
    for (unsigned i = 0; i < downstream->replicas->len; i++) {
        ConfReplica *other = g_ptr_array_index(downstream->replicas, i);
        if (other->session == session) {
            conf_rpc_fail(error, CONF_RPC_INVALID_REQUEST, "This session is a replica already");
            return NULL;
        }
    }
    const ConfObject *application =
        conf_store_lookup_name(downstream->store, CONF_TYPE_APPLICATION, name, NULL);
    if (application == NULL || !conf_session_may_read(session, application)) {
        conf_rpc_fail_path(error, "/application", "There is no such application");
        return NULL;
    }
    /* The right to run a client is no right to the stream, which holds lists of rights. */
    g_autofree char *kind = conf_object_get_string(application, "applicationType");
    if (g_strcmp0(kind, "configurationServer") != 0) {
        conf_rpc_fail_path(error, "/application", "Application %s is no configuration server",
                           application->name);
        return NULL;
    }
    if ((conf_session_rights(session, application) & CONF_RIGHT_EXECUTE) == 0 || !application->enabled) {
        conf_rpc_fail(error, CONF_RPC_NOT_PERMITTED,
                      "Right execute is missing on application %s, or it is disabled", application->name);
        return NULL;
    }
    return application;
}

static void
displace(ConfDownstream *downstream, ConfKey application)
{
    for (unsigned i = 0; i < downstream->replicas->len; i++) {
        ConfReplica *replica = g_ptr_array_index(downstream->replicas, i);
        if (!conf_key_equal(replica->application, application))
            continue;
        conf_log(CONF_LOG_REPLICA_DISPLACED, "peer", conf_connection_get_peer(replica->connection), NULL);
        conf_session_finish(downstream->sessions, replica->session,
                            "replaced"); /* frees it by replica_ended */
        return;
    }
}

static ConfReplica *
replica_new(ConfDownstream *downstream, ConfSession *session, ConfKey application)
{
    ConfReplica *replica = g_new0(ConfReplica, 1);
    replica->downstream = downstream;
    replica->session = session;
    replica->connection = conf_session_connection(session);
    replica->application = application;
    replica->identity = conf_identity_ref(conf_session_identity(session));
    bool safe = conf_connection_is_encrypted(replica->connection) ||
                conf_connection_is_loopback(replica->connection) || downstream->settings.allow_plain_replica;
    replica->secrets = safe && conf_access_is_administrator(conf_store_state(downstream->store),
                                                            conf_session_subject(session));
    g_ptr_array_add(downstream->replicas, replica);
    downstream->statistics.replicas = downstream->replicas->len;
    conf_session_take_over(session, replica_ended, replica_drained, replica);
    conf_timer_arm(&replica->beat, BEAT_MS, beat_due, replica);
    return replica;
}

static bool
can_resume(ConfDownstream *downstream, const ConfJson *params, int64_t *revision)
{
    const ConfJson *environment = conf_json_member(params, "environment"),
                   *chain = conf_json_member(params, "chain");
    const ConfJson *given = conf_json_member(params, "revision");
    if (environment == NULL || chain == NULL || given == NULL || chain->text.size != 16)
        return false;
    if (!conf_slice_is(environment->text, conf_store_position(downstream->store)->environment))
        return false;
    g_autofree char *text = conf_slice_dup(chain->text);
    *revision = given->integer;
    return given->integer >= conf_store_recent_start(downstream->store) &&
           conf_store_check_history(downstream->store, given->integer, text) == CONF_HISTORY_SAME;
}

static void
answer_open(ConfReplica *replica, ConfRequest *request, bool resume)
{
    ConfDownstream *downstream = replica->downstream;
    const ConfStorePosition *position = conf_store_position(downstream->store);
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, conf_request_begin(request));
    conf_json_writer_begin_object(&writer);
    conf_json_writer_member_string(&writer, "mode", resume ? "resume" : "snapshot");
    conf_json_writer_member_string(&writer, "environment", position->environment);
    conf_json_writer_member_integer(&writer, "epoch", position->epoch);
    conf_json_writer_member_string(&writer, "release", downstream->settings.release);
    conf_json_writer_member_integer(&writer, "revision", position->revision);
    conf_json_writer_member_string(&writer, "chain", position->chain);
    conf_downstream_write_age(downstream, &writer);
    conf_json_writer_member_boolean(&writer, "secrets", replica->secrets);
    /* Of what it may read; that is known without looking at every object only where it is everything. */
    if (!resume && conf_replica_reads_all(replica))
        conf_json_writer_member_integer(&writer, "count", (int64_t)conf_store_count(downstream->store));
    conf_json_writer_member_string(&writer, "schema", conf_schema_hash(conf_store_schema(downstream->store)));
    conf_json_writer_end_object(&writer);
    conf_request_end(request);
}

static void
send_schema(ConfReplica *replica, const ConfJson *params)
{
    const ConfSchema *schema = conf_store_schema(replica->downstream->store);
    const ConfJson *known = conf_json_member(params, "schema");
    if (known != NULL && conf_slice_is(known->text, conf_schema_hash(schema)))
        return;
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    conf_rpc_begin_notification(&buffer, "replica.schema");
    conf_buffer_append_slice(&buffer, conf_schema_text(schema));
    CONF_BUFFER_LITERAL(&buffer, "}\n");
    conf_replica_send(replica, &buffer);
}

/* To an account that may not read everything no record goes: what it may know of each is not what the
 * chain is made of, and who might read what then is often not known any more. */
static void
begin_records(ConfReplica *replica, const ConfJson *params)
{
    const ConfJson *from = conf_json_member(params, "changesFrom");
    int64_t present = conf_store_position(replica->downstream->store)->revision;
    if (from == NULL || from->integer > present || !conf_replica_reads_all(replica))
        return;
    replica->records = true;
    replica->recording = true;
    replica->record_cursor = from->integer;
    replica->record_missed = -1;
}

static void
replica_ended(void *data)
{
    replica_free(data);
}

static void
replica_drained(void *data)
{
    conf_replica_go_on(data);
}

void
conf_replica_go_on(ConfReplica *replica)
{
    ConfDownstream *downstream = replica->downstream;
    if (replica->working)
        return;
    replica->working = true;
    g_queue_push_tail(&downstream->working, replica);
    if (downstream->work == NULL)
        downstream->work = conf_work_start(conf_poller_default(), "replicas", work_slice, downstream);
}

static bool
work_slice(void *data)
{
    ConfDownstream *downstream = data;
    conf_poller_note("replicas");
    while (!g_queue_is_empty(&downstream->working)) {
        ConfReplica *replica = g_queue_pop_head(&downstream->working);
        replica->working = false;
        if (step(replica) && !replica->working) {
            replica->working = true;
            g_queue_push_tail(&downstream->working, replica);
        }
        if (conf_work_is_due() && !g_queue_is_empty(&downstream->working))
            return true;
    }
    downstream->work = NULL;
    return false;
}

/* True: there is more to send, and room for it. */
static bool
step(ConfReplica *replica)
{
    ConfStore *store = replica->downstream->store;
    if (replica->recording) {
        conf_replica_record_step(replica);
        return !replica->recording ||
               (replica->read == NULL && conf_connection_has_room(replica->connection));
    }
    if (!pump_step(replica))
        return false; /* It was reset. */
    /* The walk goes on where all commits are sent: the replica's half is what this store was at one moment,
     * and a name that went from one object to another is free there before it is taken again. */
    bool arrived = replica->pump_cursor == conf_store_position(store)->revision;
    if (!conf_connection_has_room(replica->connection))
        return false; /* drained() brings it back. */
    if (replica->walking && arrived)
        walk_step(replica);
    if (!replica->walking && arrived && replica->loaded_due)
        send_loaded(replica);
    return replica->walking || !arrived;
}

static void
walk_step(ConfReplica *replica)
{
    ConfStore *store = replica->downstream->store;
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    unsigned count = 0;
    while (!conf_work_is_due() && buffer.size < LINE_TARGET) {
        const ConfObject *object = conf_store_next(store, replica->walk_cursor);
        if (object == NULL) {
            replica->walking = false;
            replica->summed = true;
            break;
        }
        if (conf_replica_may_read(replica, conf_store_acl(store, object))) {
            if (count > 0 && buffer.size + object->body->size > LINE_LIMIT)
                break;
            uint8_t digest[16];
            conf_replica_item_digest(replica, object, digest);
            conf_digest_add(replica->sum, digest);
            if (!replica->silent) {
                if (count++ == 0) {
                    conf_rpc_begin_notification(&buffer, "replica.objects");
                    CONF_BUFFER_LITERAL(&buffer, "{\"objects\":[");
                } else {
                    conf_buffer_append_char(&buffer, ',');
                }
                conf_replica_write_item(replica, object, &buffer);
            }
        }
        replica->walk_cursor = conf_object_key(object);
    }
    if (count == 0)
        return;
    CONF_BUFFER_LITERAL(&buffer, "]}}\n");
    conf_replica_send(replica, &buffer);
}

/* False: the replica was reset and is gone. */
static bool
pump_step(ConfReplica *replica)
{
    ConfStore *store = replica->downstream->store;
    while (conf_connection_has_room(replica->connection)) {
        ConfCommit *commit = conf_store_recent_after(store, replica->pump_cursor);
        if (commit == NULL && replica->pump_cursor < conf_store_position(store)->revision) {
            reset(replica); /* The ring moved past it. */
            return false;
        }
        if (commit == NULL)
            return true;
        if (needs_more(replica, commit)) {
            reset(replica);
            return false;
        }
        GPtrArray *lines = conf_replica_write_commit(replica, commit);
        for (unsigned i = 0; i < lines->len; i++)
            conf_connection_send_bytes(replica->connection, g_ptr_array_index(lines, i), CONF_OUTPUT_ANSWER);
        g_ptr_array_unref(lines);
        if (replica->records && replica->loaded_due)
            conf_replica_record_commit(replica, commit);
        replica->pump_cursor = commit->revision;
        replica->quiet = false;
        if (conf_work_is_due())
            return true;
    }
    return true;
}

static void
write_position(ConfReplica *replica, ConfBuffer *buffer)
{
    const ConfStorePosition *position = conf_store_position(replica->downstream->store);
    conf_buffer_printf(buffer, "{\"revision\":%" G_GINT64_FORMAT ",\"chain\":\"%s\"", position->revision,
                       position->chain);
    if (replica->summed) {
        char hex[33];
        conf_id_hex(replica->sum, sizeof replica->sum, hex);
        conf_buffer_printf(buffer, ",\"digest\":\"%s\"", hex);
    }
    CONF_BUFFER_LITERAL(buffer, "}}\n");
}

static void
send_loaded(ConfReplica *replica)
{
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    replica->loaded_due = false;
    conf_rpc_begin_notification(&buffer, "replica.loaded");
    write_position(replica, &buffer);
    conf_replica_send(replica, &buffer);
}

static void
beat_due(void *data)
{
    ConfReplica *replica = data;
    bool arrived = replica->pump_cursor == conf_store_position(replica->downstream->store)->revision;
    conf_timer_arm(&replica->beat, BEAT_MS, beat_due, replica);
    /* While older records are sought in a file, the replica hears that somebody is there. */
    if (replica->quiet && (replica->recording || (arrived && !replica->loaded_due))) {
        g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
        conf_rpc_begin_notification(&buffer, "replica.beat");
        write_position(replica, &buffer);
        conf_replica_send(replica, &buffer);
    }
    replica->quiet = true;
}

void
conf_replica_send(ConfReplica *replica, ConfBuffer *buffer)
{
    g_autoptr(ConfBytes) line = conf_buffer_to_bytes(buffer);
    conf_connection_send_bytes(replica->connection, line, CONF_OUTPUT_ANSWER);
    replica->quiet = false;
}

static void
committed(ConfCommit *commit, void *data)
{
    ConfDownstream *downstream = data;
    for (unsigned i = downstream->replicas->len; i > 0; i--) {
        ConfReplica *replica = g_ptr_array_index(downstream->replicas, i - 1);
        if (commit->from != 0 || (commit->structural && view_altered(replica, commit))) {
            reset(replica);
            continue;
        }
        take_identity(replica);
        follow_sum(replica, commit);
        conf_replica_go_on(replica);
    }
}

/* What the replica may see has changed in objects that the commit did not write: it must load anew.  For an
 * account that reads everything, before and after, nothing is altered; nor by a new group or the first entry
 * of its own, where it reads under each list what it did. */
static bool
view_altered(const ConfReplica *replica, const ConfCommit *commit)
{
    ConfIdentity *now = conf_session_identity(replica->session);
    if (now != replica->identity && !reads_alike(replica, now))
        return true;
    for (unsigned i = 0; i < commit->change_count; i++) {
        const ConfChange *change = &commit->changes[i];
        if (change->before != NULL && change->after != NULL &&
            conf_replica_may_read(replica, change->acl_before) != may_read(now, change->acl_after))
            return true;
    }
    return false;
}

static bool
reads_alike(const ConfReplica *replica, ConfIdentity *now)
{
    for (uint32_t id = 0; id < conf_acl_id_bound(); id++) {
        const ConfAcl *acl = conf_acl_by_id(id);
        if (acl != NULL && conf_replica_may_read(replica, acl) != may_read(now, acl))
            return false;
    }
    return true;
}

static bool
may_read(ConfIdentity *identity, const ConfAcl *acl)
{
    return (conf_identity_rights(identity, acl) & CONF_RIGHT_READ) != 0;
}

/* Who the account is from now on; what it sees is the same. */
static void
take_identity(ConfReplica *replica)
{
    ConfIdentity *now = conf_session_identity(replica->session);
    if (now == replica->identity)
        return;
    conf_identity_unref(replica->identity);
    replica->identity = conf_identity_ref(now);
}

/* For commits that the replica missed: does it take more than what was written to follow this one?  Lists of
 * before a restart may be unknown; who reads everything needs none. */
static bool
needs_more(const ConfReplica *replica, const ConfCommit *commit)
{
    if (conf_replica_reads_all(replica))
        return false;
    for (unsigned i = 0; i < commit->change_count; i++) {
        const ConfChange *change = &commit->changes[i];
        if ((change->before != NULL && change->acl_before == NULL) ||
            (change->after != NULL && change->acl_after == NULL))
            return true;
    }
    return commit->structural && view_altered(replica, commit);
}

/* Keeps the sum that of the store as it is now, as far as the walk has come. */
static void
follow_sum(ConfReplica *replica, const ConfCommit *commit)
{
    for (unsigned i = 0; i < commit->change_count; i++) {
        const ConfChange *change = &commit->changes[i];
        ConfKey key = conf_object_key(change->after != NULL ? change->after : change->before);
        if (replica->walking && conf_key_compare(key, replica->walk_cursor) > 0)
            continue;
        uint8_t digest[16];
        if (change->before != NULL && conf_replica_may_read(replica, change->acl_before)) {
            conf_replica_item_digest(replica, change->before, digest);
            conf_digest_subtract(replica->sum, digest);
        }
        if (change->after != NULL && conf_replica_may_read(replica, change->acl_after)) {
            conf_replica_item_digest(replica, change->after, digest);
            conf_digest_add(replica->sum, digest);
        }
    }
}

/* The replica reloads; until then it serves what it has. */
static void
reset(ConfReplica *replica)
{
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    conf_rpc_begin_notification(&buffer, "replica.reset");
    conf_buffer_printf(&buffer, "{\"revision\":%" G_GINT64_FORMAT "}}\n",
                       conf_store_position(replica->downstream->store)->revision);
    conf_replica_send(replica, &buffer);
    conf_session_finish(replica->downstream->sessions, replica->session,
                        "reset"); /* frees it by replica_ended */
}

static void
replica_free(ConfReplica *replica)
{
    ConfDownstream *downstream = replica->downstream;
    g_ptr_array_remove_fast(downstream->replicas, replica);
    downstream->statistics.replicas = downstream->replicas->len;
    if (replica->working)
        g_queue_remove(&downstream->working, replica);
    conf_timer_cancel(&replica->beat);
    conf_replica_record_stop(replica);
    conf_identity_unref(replica->identity);
    g_free(replica);
}
