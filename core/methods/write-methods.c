/* write-methods.c - object.create, object.update, object.delete, transaction: shape of params here, everything else where
 * transactions are checked (core/commit). */
#include "methods/methods-private.h"

static void object_create(ConfRequest *request, void *data);
static void object_update(ConfRequest *request, void *data);
static void object_delete(ConfRequest *request, void *data);
static void transaction(ConfRequest *request, void *data);
static void submit_single(ConfMethods *methods, ConfRequest *request, const char *op, const char *const *names, ConfWritingFunc done);
static void answer_create(ConfWriting *writing, int64_t revision, const ConfCommit *commit, const ConfOperationResult *results,
                          unsigned result_count);
static void answer_transaction(ConfWriting *writing, int64_t revision, const ConfCommit *commit,
                               const ConfOperationResult *results, unsigned result_count);
static void answer_dry_run(ConfWriting *writing, int64_t revision, const ConfCommit *commit, const ConfOperationResult *results,
                           unsigned result_count);
static void write_results(ConfBuffer *buffer, const ConfOperationResult *results, unsigned result_count);
static void write_change(ConfWriting *writing, ConfBuffer *buffer, const ConfChange *change, bool *first);
static bool read_transaction(ConfSlice params, ConfSlice *operations, bool *dry_run, ConfRpcError *error);

void
conf_methods_add_write(ConfMethods *methods, ConfMethodTable *table)
{
    static const ConfMethod family[] = {
        {.name = "object.create", .func = object_create, .flags = CONF_METHOD_WRITE},
        {.name = "object.update", .func = object_update, .flags = CONF_METHOD_WRITE},
        {.name = "object.delete", .func = object_delete, .flags = CONF_METHOD_WRITE},
        {.name = "transaction", .func = transaction, .flags = CONF_METHOD_WRITE},
    };
    conf_methods_add_all(methods, table, family, G_N_ELEMENTS(family));
}

static void
object_create(ConfRequest *request, void *data)
{
    static const char *const names[] = {"object", NULL};
    submit_single(data, request, "create", names, answer_create);
}

static void
object_update(ConfRequest *request, void *data)
{
    static const char *const names[] = {"type", "dbid", "name", "tenant", "path", "ifRevision", "patch", "add", "remove", NULL};
    submit_single(data, request, "update", names, conf_methods_answer_revision);
}

static void
object_delete(ConfRequest *request, void *data)
{
    static const char *const names[] = {"type", "dbid", "name", "tenant", "path", "ifRevision", NULL};
    submit_single(data, request, "delete", names, conf_methods_answer_revision);
}

static void
submit_single(ConfMethods *methods, ConfRequest *request, const char *op, const char *const *names, ConfWritingFunc done)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    ConfTransaction *made = conf_methods_single(request, op, names, &error);
    if (made == NULL)
        conf_request_fail(request, &error);
    else
        conf_methods_submit(methods, request, made, done);
}

ConfTransaction *
conf_methods_single(ConfRequest *request, const char *op, const char *const *names, ConfRpcError *error)
{
    const ConfJson *params = conf_request_parse_params(request, names, error);
    if (params == NULL)
        return NULL;
    ConfSlice text = conf_request_get_params(request);
    const char *brace = memchr(text.data, '{', text.size);
    g_auto(ConfBuffer) operations = CONF_BUFFER_INIT;
    conf_buffer_printf(&operations, "[{\"op\":\"%s\"%s", op, params->count > 0 ? "," : "");
    conf_buffer_append(&operations, brace + 1, text.size - (size_t)(brace + 1 - text.data));
    conf_buffer_append_char(&operations, ']');
    return conf_transaction_new(CONF_TRANSACTION_SINGLE, conf_buffer_slice(&operations), false);
}

/* Read without a tree: a transaction may be many MiB, and it is parsed where it is checked, in slices. */
static void
transaction(ConfRequest *request, void *data)
{
    ConfMethods *methods = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    bool dry_run = false;
    ConfSlice operations = {NULL, 0};
    if (!read_transaction(conf_request_get_params(request), &operations, &dry_run, &error)) {
        conf_request_fail(request, &error);
        return;
    }
    ConfTransaction *made = conf_transaction_new(CONF_TRANSACTION_LIST, operations, dry_run);
    conf_methods_submit(methods, request, made, dry_run ? answer_dry_run : answer_transaction);
}

/* `params` is known to be valid JSON. */
static bool
read_transaction(ConfSlice params, ConfSlice *operations, bool *dry_run, ConfRpcError *error)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, params);
    if (conf_json_reader_next(&reader) != CONF_JSON_EVENT_OBJECT)
        return conf_rpc_fail_path(error, "", "params must be an object");
    while (conf_json_reader_next(&reader) == CONF_JSON_EVENT_KEY) {
        g_autofree char *name = conf_slice_dup(reader.text);
        bool is_operations = strcmp(name, "operations") == 0, is_dry_run = strcmp(name, "dryRun") == 0;
        ConfSlice raw = {NULL, 0};
        if (!conf_json_reader_skip(&reader, &raw))
            return conf_rpc_fail_path(error, "", "params are not understood");
        if (is_operations) {
            *operations = raw;
        } else if (is_dry_run && (conf_slice_is(raw, "true") || conf_slice_is(raw, "false"))) {
            *dry_run = conf_slice_is(raw, "true");
        } else {
            g_autofree char *path = g_strconcat("/", name, NULL);
            return is_dry_run ? conf_rpc_fail_path(error, path, "dryRun must be true or false")
                              : conf_rpc_fail_path(error, path, "Member \"%s\" is not known here.", name);
        }
    }
    if (operations->size == 0 || operations->data[0] != '[')
        return conf_rpc_fail_path(error, "/operations", "operations must be an array");
    return true;
}

static void
answer_create(ConfWriting *writing, int64_t revision, const ConfCommit *commit, const ConfOperationResult *results,
              unsigned result_count)
{
    (void)commit;
    ConfBuffer *buffer = conf_request_begin(writing->request);
    conf_buffer_printf(buffer, "{\"revision\":%" G_GINT64_FORMAT ",\"dbid\":%" G_GINT64_FORMAT "}", revision,
                       result_count > 0 ? results[0].key.dbid : 0);
    conf_request_end(writing->request);
}

static void
answer_transaction(ConfWriting *writing, int64_t revision, const ConfCommit *commit, const ConfOperationResult *results,
                   unsigned result_count)
{
    (void)commit;
    ConfBuffer *buffer = conf_request_begin(writing->request);
    conf_buffer_printf(buffer, "{\"revision\":%" G_GINT64_FORMAT ",\"results\":", revision);
    write_results(buffer, results, result_count);
    conf_buffer_append_char(buffer, '}');
    conf_request_end(writing->request);
}

/* What would change, as far as its author may read it: at most about 1 MiB, then "more":true. */
static void
answer_dry_run(ConfWriting *writing, int64_t revision, const ConfCommit *commit, const ConfOperationResult *results,
               unsigned result_count)
{
    enum { CHANGES_MAX = 700 * 1024 };
    ConfBuffer *buffer = conf_request_begin(writing->request);
    conf_buffer_printf(buffer, "{\"revision\":%" G_GINT64_FORMAT ",\"dryRun\":true,\"results\":",
                       conf_store_position(writing->methods->context.store)->revision);
    (void)revision;
    write_results(buffer, results, result_count);
    CONF_BUFFER_LITERAL(buffer, ",\"changes\":[");
    size_t start = buffer->size;
    bool first = true, more = false;
    for (unsigned i = 0; commit != NULL && i < commit->change_count && !more; i++) {
        write_change(writing, buffer, &commit->changes[i], &first);
        more = buffer->size - start > CHANGES_MAX && i + 1 < commit->change_count;
    }
    conf_buffer_append_char(buffer, ']');
    if (more)
        CONF_BUFFER_LITERAL(buffer, ",\"more\":true");
    conf_buffer_append_char(buffer, '}');
    conf_request_end(writing->request);
}

static void
write_results(ConfBuffer *buffer, const ConfOperationResult *results, unsigned result_count)
{
    conf_buffer_append_char(buffer, '[');
    for (unsigned i = 0; i < result_count; i++)
        conf_buffer_printf(buffer, "%s{\"dbid\":%" G_GINT64_FORMAT "}", i > 0 ? "," : "", results[i].key.dbid);
    conf_buffer_append_char(buffer, ']');
}

static void
write_change(ConfWriting *writing, ConfBuffer *buffer, const ConfChange *change, bool *first)
{
    static const char *const names[] = {"create", "update", "delete", "permission", "update"};
    ConfSession *session = conf_request_get_session(writing->request);
    ConfStore *store = writing->methods->context.store;
    const ConfObject *shown = change->after != NULL ? change->after : change->before;
    const ConfObject *present = conf_store_lookup(store, conf_object_key(shown));
    if (session == NULL || (present != NULL && !conf_session_may_read(session, present)))
        return;
    conf_buffer_printf(buffer, "%s{\"op\":\"%s\",\"type\":\"%s\",\"dbid\":%" G_GINT64_FORMAT, *first ? "" : ",",
                       names[change->kind], conf_schema_type(conf_store_schema(store), shown->type)->name, shown->dbid);
    *first = false;
    if (change->kind == CONF_CHANGE_CREATE) {
        CONF_BUFFER_LITERAL(buffer, ",\"object\":");
        conf_buffer_append_slice(buffer, conf_bytes_slice(change->after->body));
    } else if (change->kind == CONF_CHANGE_UPDATE && change->difference != NULL) {
        conf_buffer_append_char(buffer, ',');
        conf_buffer_append_slice(buffer, conf_bytes_slice(change->difference));
    } else if (change->kind == CONF_CHANGE_DELETE) {
        CONF_BUFFER_LITERAL(buffer, ",\"name\":");
        conf_json_append_string(buffer, conf_object_name(shown));
        conf_buffer_printf(buffer, ",\"tenant\":%" G_GINT64_FORMAT, shown->tenant);
        if (shown->folder != 0)
            conf_buffer_printf(buffer, ",\"folder\":%" G_GINT64_FORMAT, shown->folder);
    }
    conf_buffer_append_char(buffer, '}');
}
