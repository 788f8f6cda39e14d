/* method-table.c - methods by name, and the dispatch of lines to them. */
#include "rpc/method-table.h"

#include <string.h>

#include "base/clock.h"
#include "rpc/envelope-private.h"
#include "rpc/request-private.h"

struct ConfMethodTable {
    unsigned refs;
    ConfMethod **slots; /* open addressing; a power of two, at most half full */
    unsigned slot_count, count;
    ConfGateFunc gate;
    ConfSessionFunc session;
    ConfResponseFunc response;
    void *data;
    ConfDispatchStatistics statistics;
};

/* What of a batch is not begun yet. */
typedef struct {
    ConfMethodTable *table;
    ConfConnection *connection;
    ConfBatch *batch;
    ConfGoneWatch gone;
    unsigned count;
    ConfSlice items[CONF_ENVELOPE_BATCH_MAX];
    char memory[]; /* their text */
} BatchRest;

static void dispatch_one(ConfMethodTable *table, ConfConnection *connection, const ConfEnvelope *envelope,
                         ConfBatch *batch);
static void dispatch_request(ConfMethodTable *table, ConfConnection *connection, const ConfEnvelope *envelope,
                             ConfBatch *batch);
static void dispatch_batch(ConfMethodTable *table, ConfConnection *connection, const ConfSlice *items,
                           unsigned count);
static void run_batch(ConfMethodTable *table, ConfConnection *connection, ConfBatch *batch,
                      const ConfSlice *items, unsigned count);
static void wait_with_rest(ConfMethodTable *table, ConfConnection *connection, ConfBatch *batch,
                           const ConfSlice *items, unsigned count);
static void go_on_with_rest(void *data);
static void rest_gone(void *data);
static void answer_invalid(ConfMethodTable *table, ConfConnection *connection, const ConfEnvelope *envelope,
                           ConfBatch *batch);
static void take_response(ConfMethodTable *table, ConfConnection *connection, const ConfEnvelope *envelope);
static bool ask_hooks(ConfRequest *request, unsigned position);
static ConfMethod **find_slot(const ConfMethodTable *table, ConfSlice name);
static void grow(ConfMethodTable *table);
static void reset_arena(void *data);

static ConfArena *arena;
static bool reset_is_due;
static unsigned dispatch_depth;

ConfMethodTable *
conf_method_table_new(void)
{
    ConfMethodTable *table = g_new0(ConfMethodTable, 1);
    table->refs = 1;
    table->slot_count = 64;
    table->slots = g_new0(ConfMethod *, table->slot_count);
    return table;
}

void
conf_method_table_free(ConfMethodTable *table)
{
    if (table == NULL || --table->refs > 0)
        return;
    for (unsigned i = 0; i < table->slot_count; i++) {
        if (table->slots[i] != NULL)
            g_free((char *)table->slots[i]->name);
        g_free(table->slots[i]);
    }
    g_free(table->slots);
    g_free(table);
}

bool
conf_method_table_add(ConfMethodTable *table, const ConfMethod *method)
{
    if ((table->count + 1) * 2 > table->slot_count)
        grow(table);
    ConfMethod **slot = find_slot(table, conf_slice_from_string(method->name));
    if (*slot != NULL)
        return false;
    *slot = g_new(ConfMethod, 1);
    **slot = *method;
    (*slot)->name = g_strdup(method->name);
    table->count++;
    return true;
}

const ConfMethod *
conf_method_table_lookup(const ConfMethodTable *table, ConfSlice name)
{
    return *find_slot(table, name);
}

void
conf_method_table_set_gate(ConfMethodTable *table, ConfGateFunc gate, ConfSessionFunc session,
                           ConfResponseFunc response, void *data)
{
    table->gate = gate;
    table->session = session;
    table->response = response;
    table->data = data;
}

void
conf_dispatch_line(ConfMethodTable *table, ConfConnection *connection, ConfSlice line)
{
    static ConfJsonReader reader;
    if (reader.state == NULL)
        conf_json_reader_init(&reader);
    ConfSlice items[CONF_ENVELOPE_BATCH_MAX];
    ConfEnvelope envelope;
    conf_dispatch_enter();
    conf_method_table_ref(table);
    conf_envelope_parse(&reader, conf_request_arena(), line, &envelope, items);
    if (envelope.kind == CONF_ENVELOPE_BATCH)
        dispatch_batch(table, connection, items, envelope.count);
    else
        dispatch_one(table, connection, &envelope, NULL);
    conf_method_table_free(table);
    conf_dispatch_leave();
}

void
conf_dispatch_too_long(ConfMethodTable *table, ConfConnection *connection, size_t limit)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    conf_rpc_fail(&error, CONF_RPC_TOO_LARGE, "A line is longer than the %zu bytes that are allowed now.",
                  limit);
    ConfRequest request = {.table = table, .connection = connection};
    table->statistics.requests++;
    conf_request_fail(&request, &error);
    conf_connection_close_after_answer(connection, "A line was too long");
}

void
conf_rpc_begin_notification(ConfBuffer *buffer, const char *method)
{
    CONF_BUFFER_LITERAL(buffer, "{\"jsonrpc\":\"2.0\",\"method\":");
    conf_json_append_string(buffer, conf_slice_from_string(method));
    CONF_BUFFER_LITERAL(buffer, ",\"params\":");
}

const ConfDispatchStatistics *
conf_dispatch_get_statistics(const ConfMethodTable *table)
{
    return &table->statistics;
}

ConfArena *
conf_request_arena(void)
{
    if (arena == NULL)
        arena = conf_arena_new();
    /* Outside of a dispatch (a held request goes on) the end of the turn gives it back. */
    if (dispatch_depth == 0 && !reset_is_due) {
        reset_is_due = true;
        conf_poller_defer(conf_poller_default(), reset_arena, &arena);
    }
    return arena;
}

ConfMethodTable *
conf_method_table_ref(ConfMethodTable *table)
{
    table->refs++;
    return table;
}

void
conf_method_table_count(ConfMethodTable *table, int code)
{
    if (code != 0)
        table->statistics.errors++;
}

ConfSession *
conf_method_table_session(const ConfMethodTable *table, ConfConnection *connection)
{
    return table->session != NULL ? table->session(connection, table->data) : NULL;
}

void
conf_dispatch_enter(void)
{
    dispatch_depth++;
}

void
conf_dispatch_leave(void)
{
    if (--dispatch_depth == 0 && arena != NULL)
        conf_arena_reset(arena);
}

void
conf_dispatch_run(ConfRequest *request, unsigned position)
{
    ConfMethodTable *table = request->table;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    if (table->gate != NULL && !table->gate(request->connection, request->method, &error, table->data)) {
        conf_request_fail(request, &error);
        return;
    }
    if (conf_hooks_have_received() && !ask_hooks(request, position))
        return;
    conf_poller_note(request->method->name);
    request->in_method = true;
    request->method->func(request, request->method->data);
}

static void
dispatch_one(ConfMethodTable *table, ConfConnection *connection, const ConfEnvelope *envelope,
             ConfBatch *batch)
{
    switch (envelope->kind) {
    case CONF_ENVELOPE_REQUEST:
    case CONF_ENVELOPE_NOTIFICATION:
        dispatch_request(table, connection, envelope, batch);
        return;
    case CONF_ENVELOPE_RESPONSE:
        take_response(table, connection, envelope);
        return;
    case CONF_ENVELOPE_IGNORED:
        return;
    case CONF_ENVELOPE_BATCH:
    case CONF_ENVELOPE_INVALID:
        answer_invalid(table, connection, envelope, batch);
        return;
    }
}

static void
dispatch_request(ConfMethodTable *table, ConfConnection *connection, const ConfEnvelope *envelope,
                 ConfBatch *batch)
{
    ConfRequest request = {
        .table = table,
        .connection = connection,
        .method = conf_method_table_lookup(table, envelope->method),
        .session = conf_method_table_session(table, connection),
        .id = envelope->id,
        .name = envelope->method,
        .params = envelope->params,
        .batch = batch,
        .began = conf_hooks_have_answered() ? conf_clock_monotonic_usec() : 0,
        .notification = envelope->kind == CONF_ENVELOPE_NOTIFICATION,
    };
    table->statistics.requests++;
    if (batch != NULL)
        conf_batch_join(batch);
    if (request.method != NULL && (request.params.size == 0 || request.params.data[0] == '{')) {
        conf_dispatch_run(&request, 0);
        conf_request_settle(&request);
        return;
    }
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    if (request.method != NULL)
        conf_rpc_fail_path(&error, "", "The params must be an object.");
    else if (request.name.size <= 64)
        conf_rpc_fail(&error, CONF_RPC_NO_METHOD, "There is no method \"%.*s\".", (int)request.name.size,
                      request.name.data);
    else
        conf_rpc_fail(&error, CONF_RPC_NO_METHOD, "There is no such method.");
    conf_request_fail(&request, &error);
}

static void
dispatch_batch(ConfMethodTable *table, ConfConnection *connection, const ConfSlice *items, unsigned count)
{
    table->statistics.batches++;
    ConfBatch *batch = conf_batch_new(connection);
    run_batch(table, connection, batch, items, count);
}

/* One that holds further lines back (a log-in, a replay) holds back what follows it in its batch, too. */
static void
run_batch(ConfMethodTable *table, ConfConnection *connection, ConfBatch *batch, const ConfSlice *items,
          unsigned count)
{
    ConfJsonReader reader; /* Not the one of single lines: methods of the batch may dispatch lines. */
    conf_json_reader_init(&reader);
    unsigned i = 0;
    for (; i < count && (i == 0 || !conf_connection_is_held(connection)); i++) {
        ConfEnvelope envelope;
        conf_envelope_parse(&reader, conf_request_arena(), items[i], &envelope, NULL);
        if (envelope.kind == CONF_ENVELOPE_RESPONSE || envelope.kind == CONF_ENVELOPE_IGNORED) {
            envelope.kind = CONF_ENVELOPE_INVALID;
            envelope.code = CONF_RPC_INVALID_REQUEST;
            envelope.message = "A batch holds requests and notifications only.";
        }
        dispatch_one(table, connection, &envelope, batch);
    }
    conf_json_reader_clear(&reader);
    if (i < count)
        wait_with_rest(table, connection, batch, items + i, count - i);
    else
        conf_batch_close(batch);
}

static void
wait_with_rest(ConfMethodTable *table, ConfConnection *connection, ConfBatch *batch, const ConfSlice *items,
               unsigned count)
{
    size_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += items[i].size;
    BatchRest *rest = g_malloc(sizeof(*rest) + size);
    *rest = (BatchRest){
        .table = conf_method_table_ref(table), .connection = connection, .batch = batch, .count = count};
    char *to = rest->memory;
    for (unsigned i = 0; i < count; i++) {
        memcpy(to, items[i].data, items[i].size);
        rest->items[i] = (ConfSlice){to, items[i].size};
        to += items[i].size;
    }
    conf_connection_watch_gone(connection, &rest->gone, rest_gone, rest);
    conf_connection_begin_wait(connection, 0);
    conf_connection_call_before_lines(connection, go_on_with_rest, rest);
}

static void
go_on_with_rest(void *data)
{
    BatchRest *rest = data;
    conf_connection_unwatch_gone(&rest->gone);
    conf_dispatch_enter();
    run_batch(rest->table, rest->connection, rest->batch, rest->items, rest->count);
    conf_dispatch_leave();
    conf_connection_end_wait(rest->connection, 0);
    conf_method_table_free(rest->table);
    g_free(rest);
}

static void
rest_gone(void *data)
{
    BatchRest *rest = data;
    conf_batch_close(rest->batch);
    conf_method_table_free(rest->table);
    g_free(rest);
}

static void
answer_invalid(ConfMethodTable *table, ConfConnection *connection, const ConfEnvelope *envelope,
               ConfBatch *batch)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    conf_rpc_fail(&error, envelope->code, "%s", envelope->message);
    if (envelope->offset != SIZE_MAX)
        conf_rpc_error_add_integer(&error, "offset", (int64_t)envelope->offset);
    ConfRequest request = {.table = table, .connection = connection, .id = envelope->id, .batch = batch};
    table->statistics.requests++;
    if (batch != NULL)
        conf_batch_join(batch);
    conf_request_fail(&request, &error);
}

static void
take_response(ConfMethodTable *table, ConfConnection *connection, const ConfEnvelope *envelope)
{
    if (conf_calls_take_plugin_response(connection, envelope->id, envelope->result, envelope->error))
        return;
    if (table->response != NULL)
        table->response(connection, envelope->id, envelope->result, envelope->error, table->data);
}

/* True: the method's turn. */
static bool
ask_hooks(ConfRequest *request, unsigned position)
{
    g_autoptr(GError) error = NULL;
    switch (conf_hooks_received(request, &position, &error)) {
    case CONF_NEXT:
        return !request->answered;
    case CONF_DONE:
        return false;
    case CONF_REFUSE:
        conf_request_fail_with(request, error);
        return false;
    case CONF_LATER:
        if (request->held != NULL)
            request->held->hook_position = position;
        else
            request->hook_position = position;
        return false;
    }
    return false;
}

/* The names are given by the core and its plugins, so no input chooses where they collide. */
static ConfMethod **
find_slot(const ConfMethodTable *table, ConfSlice name)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < MIN(name.size, 64); i++)
        hash = (hash ^ (unsigned char)name.data[i]) * 16777619u;
    unsigned at = hash & (table->slot_count - 1);
    while (table->slots[at] != NULL && !conf_slice_is(name, table->slots[at]->name))
        at = (at + 1) & (table->slot_count - 1);
    return &table->slots[at];
}

static void
grow(ConfMethodTable *table)
{
    ConfMethod **old = table->slots;
    unsigned old_count = table->slot_count;
    table->slot_count *= 2;
    table->slots = g_new0(ConfMethod *, table->slot_count);
    for (unsigned i = 0; i < old_count; i++) {
        if (old[i] != NULL)
            *find_slot(table, conf_slice_from_string(old[i]->name)) = old[i];
    }
    g_free(old);
}

static void
reset_arena(void *data)
{
    reset_is_due = false;
    if (dispatch_depth == 0)
        conf_arena_reset(arena);
}
