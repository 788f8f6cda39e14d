/* write-methods.c - object.create, object.update, object.delete, transaction: shape of params here,
 * everything else where transactions are checked (core/commit). */
#include "methods/methods-private.h"

static void object_create(ConfRequest *request, void *data);
static void object_update(ConfRequest *request, void *data);
static void object_delete(ConfRequest *request, void *data);
static void transaction(ConfRequest *request, void *data);
static void submit_single(ConfMethods *methods, ConfRequest *request, const char *op,
                          const char *const *names, ConfWritingFunc done);
static void answer_create(ConfWriting *writing, int64_t revision, const ConfCommit *commit,
                          const ConfOperationResult *results, unsigned result_count);
static void answer_transaction(ConfWriting *writing, int64_t revision, const ConfCommit *commit,
                               const ConfOperationResult *results, unsigned result_count);
static void answer_dry_run(ConfWriting *writing, int64_t revision, const ConfCommit *commit,
                           const ConfOperationResult *results, unsigned result_count);

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
    static const char *const names[] = {"type",       "dbid",  "name", "tenant", "path",
                                        "ifRevision", "patch", "add",  "remove", NULL};
    submit_single(data, request, "update", names, conf_methods_answer_revision);
}

static void
object_delete(ConfRequest *request, void *data)
{
    static const char *const names[] = {"type", "dbid", "name", "tenant", "path", "ifRevision", NULL};
    submit_single(data, request, "delete", names, conf_methods_answer_revision);
}

static void
submit_single(ConfMethods *methods, ConfRequest *request, const char *op, const char *const *names,
              ConfWritingFunc done)
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

static void
transaction(ConfRequest *request, void *data)
{
    ConfMethods *methods = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    bool dry_run = false;
    ConfSlice operations = {NULL, 0};
    if (!conf_transaction_params_read(conf_request_get_params(request), &operations, &dry_run, &error)) {
        conf_request_fail(request, &error);
        return;
    }
    ConfTransaction *made = conf_transaction_new(CONF_TRANSACTION_LIST, operations, dry_run);
    conf_methods_submit(methods, request, made, dry_run ? answer_dry_run : answer_transaction);
}

static void
answer_create(ConfWriting *writing, int64_t revision, const ConfCommit *commit,
              const ConfOperationResult *results, unsigned result_count)
{
    (void)commit;
    ConfBuffer *buffer = conf_request_begin(writing->request);
    conf_buffer_printf(buffer, "{\"revision\":%" G_GINT64_FORMAT ",\"dbid\":%" G_GINT64_FORMAT "}", revision,
                       result_count > 0 ? results[0].key.dbid : 0);
    conf_request_end(writing->request);
}

static void
answer_transaction(ConfWriting *writing, int64_t revision, const ConfCommit *commit,
                   const ConfOperationResult *results, unsigned result_count)
{
    (void)commit;
    ConfBuffer *buffer = conf_request_begin(writing->request);
    conf_transaction_write_result(revision, results, result_count, buffer);
    conf_request_end(writing->request);
}

/* What would change, as far as its author may read it: at most about 1 MiB, then "more":true. */
static void
answer_dry_run(ConfWriting *writing, int64_t revision, const ConfCommit *commit,
               const ConfOperationResult *results, unsigned result_count)
{
    (void)revision;
    ConfSession *session = conf_request_get_session(writing->request);
    ConfBuffer *buffer = conf_request_begin(writing->request);
    conf_transaction_write_dry_run(session, conf_store_position(writing->methods->context.store)->revision,
                                   commit, results, result_count, buffer);
    conf_request_end(writing->request);
}
