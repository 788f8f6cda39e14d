/* upstream-stream.c - what the master sends: schema, objects, changes, beats; how the first store is made,
 * and how a later one replaces what is served: beside it until complete, then by one fold of the differences.
 */
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "replication/upstream-private.h"

/* One transaction, and what follows while an object is fetched; a transaction is far less (commit: 256 MiB
 * queued). */
enum { LINES_SIZE_MAX = 512 * 1024 * 1024 };

static void take_schema(ConfRequest *request, void *data);
static void take_objects(ConfRequest *request, void *data);
static void take_loaded(ConfRequest *request, void *data);
static void take_changes(ConfRequest *request, void *data);
static void take_beat(ConfRequest *request, void *data);
static void take_reset(ConfRequest *request, void *data);
static void take_ending(ConfRequest *request, void *data);
static bool load_item(ConfUpstream *upstream, ConfSlice item, GError **error);
static bool read_permissions(ConfSlice raw, ConfSlice *entries, int64_t *revision);
static bool check_digest(ConfUpstream *upstream, ConfStore *store, const ConfJson *params);
static void go_live(ConfUpstream *upstream);
static bool fold_slice(void *data);

void
conf_upstream_add_stream_methods(ConfUpstream *upstream)
{
    const ConfMethod family[] = {
        {.name = "replica.schema", .func = take_schema, .data = upstream},
        {.name = "replica.objects", .func = take_objects, .data = upstream},
        {.name = "replica.loaded", .func = take_loaded, .data = upstream},
        {.name = "replica.changes", .func = take_changes, .data = upstream},
        {.name = "replica.beat", .func = take_beat, .data = upstream},
        {.name = "replica.reset", .func = take_reset, .data = upstream},
        {.name = "session.ending", .func = take_ending, .data = upstream},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(family); i++) {
        bool added = conf_method_table_add(upstream->table, &family[i]);
        g_assert(added);
    }
}

void
conf_upstream_stop_loading(ConfUpstream *upstream)
{
    if (upstream->fold_work != NULL)
        conf_work_cancel(upstream->fold_work);
    upstream->fold_work = NULL;
    if (upstream->fold != NULL)
        conf_fold_free(upstream->fold);
    upstream->fold = NULL;
    conf_store_free(upstream->fresh);
    upstream->fresh = NULL;
    conf_schema_free(upstream->schema);
    upstream->schema = NULL;
    g_queue_clear_full(&upstream->lines, (GDestroyNotify)conf_bytes_unref);
    upstream->lines_size = 0;
    g_clear_pointer(&upstream->pending, conf_commit_unref);
    g_clear_pointer(&upstream->loaded, conf_bytes_unref);
    g_array_set_size(upstream->misfits, 0);
    upstream->fetching = 0;
    conf_upstream_stop_records(upstream);
}

bool
conf_upstream_is_from_master(const ConfUpstream *upstream, ConfRequest *request)
{
    ConfConnection *connection = conf_request_get_connection(request);
    return upstream->connection != NULL && connection == upstream->connection &&
           conf_connection_is_open(connection);
}

static void
take_schema(ConfRequest *request, void *data)
{
    ConfUpstream *upstream = data;
    if (!conf_upstream_is_from_master(upstream, request))
        return;
    GError *error = NULL;
    conf_upstream_watch(upstream);
    conf_schema_free(upstream->schema);
    upstream->schema = conf_schema_parse(conf_request_get_params(request), &error);
    if (upstream->schema == NULL) {
        conf_upstream_broken(upstream, error);
        return;
    }
    if (upstream->state == CONF_LINK_LIVE) {
        /* A resumption under another schema: the objects are read anew under it. */
        upstream->reload = true;
        conf_upstream_fail(upstream, "The master's schema has changed");
    }
}

static void
take_objects(ConfRequest *request, void *data)
{
    ConfUpstream *upstream = data;
    if (!conf_upstream_is_from_master(upstream, request) || upstream->state != CONF_LINK_LOADING)
        return;
    conf_upstream_watch(upstream);
    conf_poller_note("load from master");
    GError *error = NULL;
    if (upstream->fresh == NULL && !conf_upstream_make_fresh(upstream, &error)) {
        conf_upstream_broken(upstream, error);
        return;
    }
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, conf_request_get_params(request));
    conf_json_reader_next(&reader);
    while (conf_json_reader_next(&reader) == CONF_JSON_EVENT_KEY) {
        if (!conf_slice_is(reader.text, "objects")) {
            ConfSlice ignored;
            if (!conf_json_reader_skip(&reader, &ignored))
                return;
            continue;
        }
        if (conf_json_reader_next(&reader) != CONF_JSON_EVENT_ARRAY)
            return;
        ConfSlice item;
        while (conf_json_reader_has_item(&reader)) {
            if (!conf_json_reader_skip(&reader, &item))
                return;
            if (!load_item(upstream, item, &error)) {
                conf_upstream_broken(upstream, error);
                return;
            }
        }
        if (conf_json_reader_next(&reader) != CONF_JSON_EVENT_ARRAY_END)
            return;
    }
}

bool
conf_upstream_make_fresh(ConfUpstream *upstream, GError **error)
{
    ConfSchema *schema = g_steal_pointer(&upstream->schema);
    if (schema == NULL && upstream->store != NULL)
        schema = conf_schema_parse(conf_schema_text(conf_store_schema(upstream->store)), error);
    if (schema == NULL) {
        if (error != NULL && *error == NULL)
            g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "The master sent objects before a schema");
        return false;
    }
    upstream->fresh = conf_store_new(schema);
    return true;
}

static bool
load_item(ConfUpstream *upstream, ConfSlice item, GError **error)
{
    g_autoptr(ConfObject) object = conf_upstream_read_item(upstream->fresh, item, error);
    if (object == NULL)
        return false;
    /* A commit that came before the walk did may have made it already. */
    if (conf_store_lookup(upstream->fresh, conf_object_key(object)) != NULL)
        return true;
    return conf_store_load(upstream->fresh, g_steal_pointer(&object), error);
}

ConfObject *
conf_upstream_read_item(ConfStore *store, ConfSlice item, GError **error)
{
    ConfSlice body = {NULL, 0}, secrets = {NULL, 0}, permissions = {NULL, 0}, entries = {NULL, 0};
    int64_t acl_revision = 0;
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, item);
    conf_json_reader_next(&reader);
    while (conf_json_reader_next(&reader) == CONF_JSON_EVENT_KEY) {
        ConfSlice ignored = {NULL, 0};
        ConfSlice *target = conf_slice_is(reader.text, "object")        ? &body
                            : conf_slice_is(reader.text, "secrets")     ? &secrets
                            : conf_slice_is(reader.text, "permissions") ? &permissions
                                                                        : &ignored;
        if (!conf_json_reader_skip(&reader, target))
            break;
    }
    if (permissions.size > 0 && !read_permissions(permissions, &entries, &acl_revision)) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "An object's list of rights is not understood");
        return NULL;
    }
    return conf_object_from_stored(conf_store_schema(store), body, secrets, entries, acl_revision, error);
}

static bool
read_permissions(ConfSlice raw, ConfSlice *entries, int64_t *revision)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, raw);
    if (conf_json_reader_next(&reader) != CONF_JSON_EVENT_OBJECT)
        return false;
    while (conf_json_reader_next(&reader) == CONF_JSON_EVENT_KEY) {
        bool is_entries = conf_slice_is(reader.text, "entries"),
             is_revision = conf_slice_is(reader.text, "revision");
        ConfSlice value;
        if (!conf_json_reader_skip(&reader, &value))
            return false;
        if (is_entries)
            *entries = value;
        if (is_revision) {
            g_autofree char *text = conf_slice_dup(value);
            *revision = g_ascii_strtoll(text, NULL, 10);
        }
    }
    return entries->size > 0;
}

static void
take_changes(ConfRequest *request, void *data)
{
    ConfUpstream *upstream = data;
    if (!conf_upstream_is_from_master(upstream, request) ||
        (upstream->state != CONF_LINK_LIVE && upstream->state != CONF_LINK_LOADING))
        return;
    conf_upstream_watch(upstream);
    conf_poller_note("changes from master");
    ConfSlice params = conf_request_get_params(request);
    g_queue_push_tail(&upstream->lines, conf_bytes_new(params.data, params.size));
    upstream->lines_size += params.size;
    conf_upstream_apply_lines(upstream);
    if (upstream->lines_size > LINES_SIZE_MAX)
        conf_upstream_fail(upstream, "The master sends changes faster than an object that they wait for");
}

static void
take_loaded(ConfRequest *request, void *data)
{
    ConfUpstream *upstream = data;
    if (!conf_upstream_is_from_master(upstream, request) || upstream->state != CONF_LINK_LOADING)
        return;
    conf_upstream_watch(upstream);
    ConfSlice params = conf_request_get_params(request);
    if (upstream->pending != NULL && upstream->loaded == NULL)
        upstream->loaded = conf_bytes_new(params.data, params.size);
    else if (upstream->pending == NULL)
        conf_upstream_loaded(upstream, params);
}

void
conf_upstream_loaded(ConfUpstream *upstream, ConfSlice text)
{
    GError *error = NULL;
    conf_arena_reset(upstream->arena);
    const ConfJson *params = conf_json_parse(upstream->arena, text, NULL, NULL, NULL);
    int64_t revision = 0;
    ConfSlice chain = {NULL, 0};
    if (upstream->fresh == NULL && !conf_upstream_make_fresh(upstream, &error)) {
        conf_upstream_broken(upstream, error);
        return;
    }
    if (!conf_upstream_read_integer(params, "revision", 0, &revision) ||
        !conf_upstream_read_string(params, "chain", &chain) || !conf_upstream_is_chain(chain)) {
        conf_upstream_broken(upstream,
                             g_error_new(CONF_ERROR, CONF_ERROR_INVALID, "replica.loaded is not understood"));
        return;
    }
    ConfStorePosition position = {.epoch = upstream->epoch, .revision = revision};
    memcpy(position.environment, upstream->environment, sizeof position.environment);
    memcpy(position.chain, chain.data, 16);
    const ConfStorePosition *own = upstream->store != NULL ? conf_store_position(upstream->store) : NULL;
    if (own != NULL && strcmp(own->environment, position.environment) == 0 && own->revision > revision) {
        conf_upstream_diverge(upstream, "The master's history is behind what this server has");
        return;
    }
    conf_store_set_position(upstream->fresh, &position);
    if (!check_digest(upstream, upstream->fresh, params))
        return;
    upstream->reload = false;
    conf_log(CONF_LOG_REPLICA_LOADED, "objects", conf_log_integer((int64_t)conf_store_count(upstream->fresh)),
             "revision", conf_log_integer(position.revision), NULL);
    if (upstream->store == NULL) {
        upstream->store = g_steal_pointer(&upstream->fresh);
        conf_upstream_fill_recent(upstream, upstream->store);
        conf_upstream_stop_records(upstream);
        upstream->was_ready = true;
        upstream->state = CONF_LINK_LIVE;
        upstream->host.ready(upstream->store, upstream->host.data);
        go_live(upstream);
        return;
    }
    upstream->state = CONF_LINK_FOLDING;
    conf_connection_hold_input(upstream->connection);
    conf_timer_cancel(&upstream->watchdog); /* Nobody listens to the master until the fold is over. */
    upstream->fold = conf_fold_new(upstream->store, g_steal_pointer(&upstream->fresh));
    upstream->fold_work = conf_work_start(conf_poller_default(), "fold", fold_slice, upstream);
}

/* Clients read the old data until this moment, and get the differences as one notification. */
static bool
fold_slice(void *data)
{
    ConfUpstream *upstream = data;
    conf_poller_note("fold");
    if (!conf_fold_step(upstream->fold))
        return true;
    upstream->fold_work = NULL;
    bool other = strcmp(conf_store_position(upstream->store)->environment, upstream->environment) != 0;
    g_autoptr(ConfCommit) commit = conf_fold_finish(g_steal_pointer(&upstream->fold));
    if (other)
        upstream->host.environment_changed(upstream->host.data);
    conf_publisher_publish(upstream->host.publisher(upstream->host.data), commit);
    conf_connection_release_input(upstream->connection);
    conf_upstream_watch(upstream);
    go_live(upstream);
    return false;
}

static void
go_live(ConfUpstream *upstream)
{
    const char *host = NULL;
    uint16_t port = 0;
    upstream->state = CONF_LINK_LIVE;
    conf_upstream_get_master(upstream, &host, &port);
    conf_log(CONF_LOG_MASTER_CONNECTED, "host", host, "port", conf_log_integer(port), NULL);
    conf_upstream_set_up(upstream, true);
    conf_upstream_start_asking(upstream);
}

static void
take_beat(ConfRequest *request, void *data)
{
    ConfUpstream *upstream = data;
    if (!conf_upstream_is_from_master(upstream, request))
        return;
    conf_upstream_watch(upstream);
    if (upstream->state != CONF_LINK_LIVE)
        return;
    conf_arena_reset(upstream->arena);
    const ConfJson *params =
        conf_json_parse(upstream->arena, conf_request_get_params(request), NULL, NULL, NULL);
    int64_t revision = 0;
    if (conf_upstream_read_integer(params, "revision", 0, &revision) &&
        revision == conf_store_position(upstream->store)->revision)
        check_digest(upstream, upstream->store, params);
}

/* False: the link is closed and everything is loaded anew. */
static bool
check_digest(ConfUpstream *upstream, ConfStore *store, const ConfJson *params)
{
    const ConfJson *digest = conf_json_member(params, "digest");
    char own[33];
    conf_store_digest_text(store, own);
    if (digest == NULL || conf_slice_is(digest->text, own)) {
        upstream->digest_faults = 0;
        return true;
    }
    g_autofree char *theirs = conf_slice_dup(digest->text);
    conf_log(CONF_LOG_REPLICA_DIGEST, "own", own, "master", theirs, NULL);
    upstream->reload = true;
    if (++upstream->digest_faults > 3)
        upstream->delay_ms = 8000;
    conf_upstream_fail(upstream, "The digest differs from the master's");
    return false;
}

static void
take_reset(ConfRequest *request, void *data)
{
    ConfUpstream *upstream = data;
    if (!conf_upstream_is_from_master(upstream, request))
        return;
    upstream->reload = true;
    conf_upstream_fail(upstream, "The master asks to load anew");
}

static void
take_ending(ConfRequest *request, void *data)
{
    ConfUpstream *upstream = data;
    if (conf_upstream_is_from_master(upstream, request))
        conf_upstream_fail(upstream, "The master ended the session");
}

void
conf_upstream_broken(ConfUpstream *upstream, GError *error)
{
    conf_log(CONF_LOG_REPLICA_BROKEN, "reason", error->message, NULL);
    upstream->reload = true;
    conf_upstream_fail(upstream, "The master's stream is broken");
    g_error_free(error);
}
