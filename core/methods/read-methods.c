/* read-methods.c - object.read and server.schema.  object.read by type and dbid or name alone is the hot path
 * of the whole server: no tree, no allocation, the body is appended as it stands. */
#include "methods/methods-private.h"

static void object_read(ConfRequest *request, void *data);
static bool read_fast(ConfMethods *methods, ConfRequest *request);
static void read_whole(ConfRequest *request, void *data);
static void answer_object(ConfMethods *methods, ConfRequest *request, const ConfObject *object,
                          const ConfProjection *projection);
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
    if (params != NULL && conf_json_member(params, "asOf") != NULL) {
        conf_rpc_fail_path(&error, "/asOf", "The past is held by plugin history, which is not loaded");
        params = NULL;
    }
    if (params == NULL) {
        conf_request_fail(request, &error);
        return;
    }
    if (!conf_methods_is_ready(methods, request, params, read_whole))
        return;
    const ConfObject *object = conf_methods_find(methods, conf_request_get_session(request), params, &error);
    const ConfJson *fields = conf_json_member(params, "fields");
    ConfProjection *projection = NULL;
    const ConfSchema *schema = conf_store_schema(methods->context.store);
    if (object != NULL && fields != NULL) {
        projection =
            conf_projection_parse(schema, conf_schema_type(schema, object->type), fields, "/fields", &error);
        if (projection == NULL)
            object = NULL;
    }
    if (object == NULL)
        conf_request_fail(request, &error);
    else
        answer_object(methods, request, object, projection);
    conf_projection_free(projection);
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
