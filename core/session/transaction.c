/* transaction.c - method `transaction` but for its way there: its params, and its result as its author may
 * see it. */
#include "session/session-private.h"

enum { CHANGES_MAX = 700 * 1024 }; /* of a dry run: a line is no longer than 1 MiB */

static void write_changes(ConfSession *session, const ConfCommit *commit, ConfBuffer *buffer);
static void write_change(ConfSession *session, const ConfChange *change, ConfBuffer *buffer, bool *first);

/* Read without a tree: a transaction may be many MiB, and it is parsed where it is checked, in slices. */
bool
conf_transaction_params_read(ConfSlice params, ConfSlice *operations, bool *dry_run, ConfRpcError *error)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, params);
    if (conf_json_reader_next(&reader) != CONF_JSON_EVENT_OBJECT)
        return conf_rpc_fail_path(error, "", "params must be an object");
    ConfJsonEvent event;
    while ((event = conf_json_reader_next(&reader)) == CONF_JSON_EVENT_KEY) {
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
    if (event != CONF_JSON_EVENT_OBJECT_END || conf_json_reader_next(&reader) != CONF_JSON_EVENT_END)
        return conf_rpc_fail_path(error, "", "params are not understood");
    if (operations->size == 0 || operations->data[0] != '[')
        return conf_rpc_fail_path(error, "/operations", "operations must be an array");
    return true;
}

void
conf_transaction_write_result(int64_t revision, const ConfOperationResult *results, unsigned result_count,
                              ConfBuffer *buffer)
{
    conf_buffer_printf(buffer, "{\"revision\":%" G_GINT64_FORMAT ",\"results\":[", revision);
    for (unsigned i = 0; i < result_count; i++)
        conf_buffer_printf(buffer, "%s{\"dbid\":%" G_GINT64_FORMAT "}", i > 0 ? "," : "",
                           results[i].key.dbid);
    CONF_BUFFER_LITERAL(buffer, "]}");
}

void
conf_transaction_write_dry_run(ConfSession *session, int64_t present, const ConfCommit *commit,
                               const ConfOperationResult *results, unsigned result_count, ConfBuffer *buffer)
{
    conf_transaction_write_result(present, results, result_count, buffer);
    conf_buffer_truncate(buffer, buffer->size - 1);
    CONF_BUFFER_LITERAL(buffer, ",\"dryRun\":true,\"changes\":[");
    write_changes(session, commit, buffer);
    conf_buffer_append_char(buffer, '}');
}

static void
write_changes(ConfSession *session, const ConfCommit *commit, ConfBuffer *buffer)
{
    size_t start = buffer->size;
    bool first = true, more = false;
    for (unsigned i = 0; session != NULL && commit != NULL && i < commit->change_count && !more; i++) {
        write_change(session, &commit->changes[i], buffer, &first);
        more = buffer->size - start > CHANGES_MAX && i + 1 < commit->change_count;
    }
    conf_buffer_append_char(buffer, ']');
    if (more)
        CONF_BUFFER_LITERAL(buffer, ",\"more\":true");
}

static void
write_change(ConfSession *session, const ConfChange *change, ConfBuffer *buffer, bool *first)
{
    static const char *const names[] = {"create", "update", "delete", "permission", "update"};
    ConfStore *store = session->sessions->store;
    const ConfObject *shown = change->after != NULL ? change->after : change->before;
    const ConfObject *present = conf_store_lookup(store, conf_object_key(shown));
    if (present != NULL && !conf_session_may_read(session, present))
        return;
    conf_buffer_printf(buffer, "%s{\"op\":\"%s\",\"type\":\"%s\",\"dbid\":%" G_GINT64_FORMAT,
                       *first ? "" : ",", names[change->kind],
                       conf_schema_type(conf_store_schema(store), shown->type)->name, shown->dbid);
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
