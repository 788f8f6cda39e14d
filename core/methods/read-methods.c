/* read-methods.c - object.read, of now and of the past, and server.schema.  object.read by type and dbid
 * or name alone is the hot path of the whole server: no tree, no allocation, the body is appended as it
 * stands. */
#include "base/error.h"
#include "base/timer-wheel.h"
#include "methods/methods-private.h"
#include "plugin/hook-chain.h"

/* A read of the past that waits for it. */
typedef struct {
    ConfMethods *methods;
    ConfRequest *request; /* held; NULL: gone before the provider has answered */
    ConfKey key;          /* by type and dbid; dbid 0: by name or path */
    int64_t revision;
    ConfTimer timer; /* while the provider is asked */
    ConfPastUse *use;
    ConfPast *past;
} PastRead;

static void object_read(ConfRequest *request, void *data);
static bool read_fast(ConfMethods *methods, ConfRequest *request);
static void read_whole(ConfRequest *request, void *data);
static void answer_object(ConfMethods *methods, ConfRequest *request, const ConfObject *object,
                          const ConfProjection *projection);
static ConfProjection *read_fields(ConfMethods *methods, const ConfJson *params, ConfRpcError *error);
static void read_past(ConfMethods *methods, ConfRequest *request, const ConfJson *params, int64_t revision);
static PastRead *past_read_new(ConfMethods *methods, ConfRequest *request, int64_t revision);
static void past_timed_out(void *data);
static void past_told(const char *object_json, const GError *error, void *data);
static void past_ready(const ConfRpcError *error, void *data);
static bool is_readable_then(const ConfObject *object, void *data);
static void answer_past(PastRead *reading, const ConfObject *object, ConfRpcError *error);
static void past_gone(void *data);
static void server_schema(ConfRequest *request, void *data);

void
conf_methods_add_read(ConfMethods *methods, ConfMethodTable *table)
{
    static const ConfMethod family[] = {
        {.name = "object.read", .func = object_read},
        {.name = "server.schema", .func = server_schema},
    };
    conf_methods_add_all(methods, table, family, G_N_ELEMENTS(family));
}

static void
object_read(ConfRequest *request, void *data)
{
    ConfMethods *methods = data;
    methods->statistics.reads++;
    if (!read_fast(methods, request))
        read_whole(request, methods);
}

/* The reader of this thread; its inner memory is kept from request to request. */
static ConfJsonReader *
shared_reader(void)
{
    static ConfJsonReader reader;
    static bool made;
    if (!made)
        conf_json_reader_init(&reader);
    made = true;
    return &reader;
}

/* Text of a string event that stands in the input as it is (no escapes), pure ASCII: nothing needs to be
 * normalised. */
static bool
is_plain(const ConfJsonReader *reader)
{
    if (reader->text.size + 2 != reader->raw.size)
        return false;
    for (size_t i = 0; i < reader->text.size; i++) {
        if ((unsigned char)reader->text.data[i] >= 0x80)
            return false;
    }
    return true;
}

/* False: something else than the plainest form; nothing was answered. */
static bool
read_fast(ConfMethods *methods, ConfRequest *request)
{
    ConfJsonReader *reader = shared_reader();
    ConfSlice type = {NULL, 0}, name = {NULL, 0};
    int64_t dbid = 0;
    conf_json_reader_start(reader, conf_request_get_params(request));
    if (conf_json_reader_next(reader) != CONF_JSON_EVENT_OBJECT)
        return false;
    ConfJsonEvent event;
    while ((event = conf_json_reader_next(reader)) == CONF_JSON_EVENT_KEY) {
        bool is_type = conf_slice_is(reader->text, "type"), is_name = conf_slice_is(reader->text, "name");
        if (!is_type && !is_name && !conf_slice_is(reader->text, "dbid"))
            return false;
        event = conf_json_reader_next(reader);
        if (is_type || is_name) {
            if (event != CONF_JSON_EVENT_STRING || !is_plain(reader))
                return false;
            *(is_type ? &type : &name) = reader->text;
        } else {
            if (event != CONF_JSON_EVENT_NUMBER || !reader->is_integer || reader->integer < 1)
                return false;
            dbid = reader->integer;
        }
    }
    ConfStore *store = methods->context.store;
    const ConfTypeInfo *info =
        type.data != NULL ? conf_schema_type_by_name(conf_store_schema(store), type) : NULL;
    if (event != CONF_JSON_EVENT_OBJECT_END || info == NULL || (dbid != 0) == (name.data != NULL))
        return false;
    bool others = false;
    const ConfObject *object = dbid != 0 ? conf_store_lookup(store, (ConfKey){.type = info->id, .dbid = dbid})
                                         : conf_store_lookup_name(store, info->id, name, &others);
    if (object == NULL || others || !conf_session_may_read(conf_request_get_session(request), object))
        return false;
    answer_object(methods, request, object, NULL);
    return true;
}

static void
read_whole(ConfRequest *request, void *data)
{
    static const char *const names[] = {
        "type", "dbid", "name", "tenant", "path", "fields", "asOf", CONF_FRESHNESS_NAMES, NULL};
    ConfMethods *methods = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    const ConfJson *params = conf_request_parse_params(request, names, &error);
    if (params == NULL) {
        conf_request_fail(request, &error);
        return;
    }
    if (!conf_methods_is_ready(methods, request, params, read_whole))
        return;
    int64_t revision;
    if (!conf_methods_as_of(methods, params, &revision, &error)) {
        conf_request_fail(request, &error);
        return;
    }
    if (revision != 0) {
        read_past(methods, request, params, revision);
        return;
    }
    ConfProjection *projection = read_fields(methods, params, &error);
    const ConfObject *object =
        error.code == 0 ? conf_methods_find(methods, conf_request_get_session(request), params, &error)
                        : NULL;
    if (error.code != 0)
        conf_request_fail(request, &error);
    else
        answer_object(methods, request, object, projection);
    conf_projection_free(projection);
}

/* NULL: none are given, or *error. */
static ConfProjection *
read_fields(ConfMethods *methods, const ConfJson *params, ConfRpcError *error)
{
    const ConfJson *fields = conf_json_member(params, "fields");
    if (fields == NULL)
        return NULL;
    return conf_projection_parse(conf_store_schema(methods->context.store), fields, "/fields", error);
}

/* By type and dbid one object is asked for, by name or path everything that changed since. */
static void
read_past(ConfMethods *methods, ConfRequest *request, const ConfJson *params, int64_t revision)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    ConfSession *session = conf_request_get_session(request);
    const ConfJson *dbid = conf_json_member(params, "dbid");
    const ConfObject *present = NULL; /* and readable */
    ConfKey key = {0};
    if (dbid != NULL) {
        present = conf_methods_find(methods, session, params, &error);
        /* Not there now, or not readable: only of the former the past may tell, and the answers are alike. */
        if (present == NULL && error.code == CONF_RPC_NOT_FOUND) {
            const ConfTypeInfo *type = conf_methods_type(methods, params, "type", true, NULL);
            key = (ConfKey){.type = type->id, .dbid = dbid->integer};
            conf_rpc_error_clear(&error);
        } else if (present != NULL) {
            key = conf_object_key(present);
        }
    }
    if (error.code != 0) {
        conf_request_fail(request, &error);
        return;
    }
    PastRead *reading = past_read_new(methods, request, revision);
    reading->key = key;
    if (present != NULL && present->revision <= revision) {
        answer_past(reading, present, &error);
    } else if (key.dbid != 0) {
        conf_timer_arm(&reading->timer, CONF_PAST_WAIT_MS, past_timed_out, reading);
        conf_methods_read_past(methods, session, key, revision, past_told, reading);
    } else {
        reading->use = conf_methods_use_past(methods, revision, past_ready, reading, &error);
        if (reading->use == NULL)
            answer_past(reading, NULL, &error);
        else if (conf_past_use_is_ready(reading->use))
            past_ready(NULL, reading);
    }
}

static PastRead *
past_read_new(ConfMethods *methods, ConfRequest *request, int64_t revision)
{
    PastRead *reading = g_new0(PastRead, 1);
    reading->methods = methods;
    reading->revision = revision;
    reading->request = conf_request_hold(request);
    conf_request_on_gone(reading->request, past_gone, reading);
    return reading;
}

/* The provider frees it when it answers after all. */
static void
past_timed_out(void *data)
{
    PastRead *reading = data;
    ConfRequest *request = g_steal_pointer(&reading->request);
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    conf_request_on_gone(request, NULL, NULL);
    conf_rpc_fail(&error, CONF_RPC_UNAVAILABLE, "What is held of the past did not come in time");
    conf_request_fail(request, &error);
    conf_request_release(request);
}

static void
past_told(const char *object_json, const GError *failure, void *data)
{
    PastRead *reading = data;
    conf_timer_cancel(&reading->timer);
    if (reading->request == NULL) {
        g_free(reading);
        return;
    }
    ConfStore *store = reading->methods->context.store;
    const ConfSchema *schema = conf_store_schema(store);
    ConfSession *session = conf_request_get_session(reading->request);
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    g_autoptr(GError) broken = NULL;
    g_autoptr(ConfObject) object = NULL;
    if (object_json != NULL)
        object = conf_object_from_stored(schema, conf_slice_from_string(object_json), (ConfSlice){0},
                                         (ConfSlice){0}, 0, &broken);
    /* What may be read of it may have changed meanwhile; of what is gone the provider has asked the rights. */
    const ConfObject *present = conf_store_lookup(store, reading->key);
    bool is_readable = session != NULL && object != NULL &&
                       (present != NULL ? conf_session_may_read(session, present)
                                        : !conf_hooks_have_visible() || conf_hooks_visible(session, object));
    if (broken != NULL)
        conf_methods_fail_past(reading->methods, &error, broken);
    else if (failure != NULL && !g_error_matches(failure, CONF_ERROR, CONF_ERROR_NOT_FOUND))
        conf_methods_fail_past(reading->methods, &error, failure);
    else if (!is_readable)
        conf_rpc_fail(
            &error, CONF_RPC_NOT_FOUND, "There was no %s %" G_GINT64_FORMAT " at revision %" G_GINT64_FORMAT,
            conf_schema_type(schema, reading->key.type)->name, reading->key.dbid, reading->revision);
    answer_past(reading, object, &error);
}

static void
past_ready(const ConfRpcError *failure, void *data)
{
    static const char *const names[] = {
        "type", "dbid", "name", "tenant", "path", "fields", "asOf", CONF_FRESHNESS_NAMES, NULL};
    PastRead *reading = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    const ConfObject *object = NULL;
    if (failure != NULL)
        conf_rpc_fail(&error, failure->code, "%s", failure->message);
    else
        reading->past = conf_past_use_get(reading->use, &error);
    if (reading->past != NULL && conf_request_get_session(reading->request) != NULL) {
        const ConfFinding finding = {.schema = conf_store_schema(reading->methods->context.store),
                                     .state = conf_past_state(reading->past),
                                     .readable = is_readable_then,
                                     .data = reading};
        const ConfJson *params = conf_request_parse_params(reading->request, names, &error);
        object = params != NULL ? conf_address_find(&finding, params, "", &error) : NULL;
    }
    answer_past(reading, object, &error);
}

static bool
is_readable_then(const ConfObject *object, void *data)
{
    PastRead *reading = data;
    return conf_methods_may_read_then(reading->methods, conf_request_get_session(reading->request),
                                      reading->past, object);
}

/* Ends the reading. */
static void
answer_past(PastRead *reading, const ConfObject *object, ConfRpcError *error)
{
    static const char *const names[] = {
        "type", "dbid", "name", "tenant", "path", "fields", "asOf", CONF_FRESHNESS_NAMES, NULL};
    ConfRequest *request = reading->request;
    ConfProjection *projection = NULL;
    conf_request_on_gone(request, NULL, NULL);
    if (object == NULL && error->code == 0)
        conf_rpc_fail(error, CONF_RPC_NOT_FOUND, "There was no such object");
    if (error->code == 0)
        projection = read_fields(reading->methods, conf_request_parse_params(request, names, error), error);
    conf_methods_note_past(reading->methods, request);
    if (error->code != 0) {
        conf_request_fail(request, error);
    } else {
        ConfBuffer *buffer = conf_request_begin(request);
        conf_buffer_printf(buffer, "{\"revision\":%" G_GINT64_FORMAT ",\"object\":", reading->revision);
        if (projection != NULL)
            conf_projection_write(projection, object, buffer);
        else
            conf_buffer_append_slice(buffer, conf_bytes_slice(object->body));
        conf_buffer_append_char(buffer, '}');
        conf_request_end(request);
    }
    conf_projection_free(projection);
    conf_request_release(request);
    conf_past_use_release(reading->use);
    g_free(reading);
}

/* The provider, who has it still, frees it. */
static void
past_gone(void *data)
{
    PastRead *reading = data;
    conf_timer_cancel(&reading->timer);
    conf_request_release(g_steal_pointer(&reading->request));
    if (reading->use == NULL)
        return;
    conf_past_use_release(reading->use);
    g_free(reading);
}

static void
answer_object(ConfMethods *methods, ConfRequest *request, const ConfObject *object,
              const ConfProjection *projection)
{
    const ConfStorePosition *position = conf_store_position(methods->context.store);
    ConfBuffer *buffer = conf_request_begin(request);
    CONF_BUFFER_LITERAL(buffer, "{\"revision\":");
    conf_buffer_append_integer(buffer, position->revision);
    CONF_BUFFER_LITERAL(buffer, ",\"chain\":\"");
    conf_buffer_append(buffer, position->chain, 16);
    CONF_BUFFER_LITERAL(buffer, "\",\"object\":");
    if (projection != NULL)
        conf_projection_write(projection, object, buffer);
    else
        buffer = conf_request_append_bytes(request, object->body);
    conf_buffer_append_char(buffer, '}');
    conf_request_end(request);
}

static void
server_schema(ConfRequest *request, void *data)
{
    static const char *const names[] = {NULL};
    ConfMethods *methods = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    if (conf_request_parse_params(request, names, &error) == NULL)
        conf_request_fail(request, &error);
    else
        conf_request_answer(request, conf_schema_text(conf_store_schema(methods->context.store)));
}
