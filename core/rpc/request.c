/* request.c - a request from its dispatch to its answer, at once or later. */
#include "rpc/request.h"

#include <string.h>

#include "base/clock.h"
#include "rpc/request-private.h"

enum {
    COPY_BELOW = 4 * 1024, /* as connections do: less is not worth a reference */
    DISCARD_MAX = 64 * 1024,
};

static void begin_answer(ConfRequest *request);
static void take_answer_back(ConfRequest *request);
static void end_answer(ConfRequest *request);
static void insert_extra(ConfRequest *request);
static void write_error(ConfRequest *request, const ConfRpcError *error);
static bool goes_out(const ConfRequest *request);
static ConfRequest *copy_to_heap(const ConfRequest *request);
static ConfSlice copy_slice(char **to, ConfSlice slice);
static void connection_gone(void *data);

/* Answers that nobody gets. */
static ConfBuffer discarded;

ConfConnection *
conf_request_get_connection(const ConfRequest *request)
{
    return request->connection;
}

ConfSession *
conf_request_get_session(const ConfRequest *request)
{
    if (request->session == NULL || request->connection == NULL)
        return NULL;
    ConfSession *now = conf_method_table_session(request->table, request->connection);
    return now == request->session ? now : NULL;
}

ConfSlice
conf_request_get_method(const ConfRequest *request)
{
    return request->name;
}

ConfSlice
conf_request_get_params(const ConfRequest *request)
{
    return request->params.size > 0 ? request->params : CONF_SLICE("{}");
}

bool
conf_request_is_notification(const ConfRequest *request)
{
    return request->notification;
}

ConfBuffer *
conf_request_begin(ConfRequest *request)
{
    begin_answer(request);
    CONF_BUFFER_LITERAL(request->buffer, ",\"result\":");
    return request->buffer;
}

ConfBuffer *
conf_request_append_bytes(ConfRequest *request, ConfBytes *bytes)
{
    if (request->batch != NULL || request->buffer == &discarded || bytes->size < COPY_BELOW) {
        conf_buffer_append(request->buffer, bytes->data, bytes->size);
        return request->buffer;
    }
    conf_connection_written(request->connection);
    conf_connection_send_bytes(request->connection, bytes, CONF_OUTPUT_ANSWER);
    request->referenced = true;
    request->buffer = conf_connection_output(request->connection);
    return request->buffer;
}

void
conf_request_end(ConfRequest *request)
{
    if (request->extra.size > 0)
        insert_extra(request);
    conf_buffer_append_char(request->buffer, '}');
    end_answer(request);
}

void
conf_request_fail(ConfRequest *request, const ConfRpcError *error)
{
    if (request->answering)
        take_answer_back(request);
    request->code = error->code != 0 ? error->code : CONF_RPC_INTERNAL;
    begin_answer(request);
    write_error(request, error);
    end_answer(request);
}

void
conf_request_answer(ConfRequest *request, ConfSlice result)
{
    conf_buffer_append_slice(conf_request_begin(request), result);
    conf_request_end(request);
}

ConfRequest *
conf_request_hold(ConfRequest *request)
{
    if (request->refs > 0) {
        request->refs++;
        return request;
    }
    g_assert(!request->answered && !request->answering);
    ConfRequest *held = copy_to_heap(request);
    request->answered = true;
    request->held = held;
    request->extra = (ConfBuffer)CONF_BUFFER_INIT;
    held->refs = 1;
    conf_method_table_ref(held->table);
    conf_connection_watch_gone(held->connection, &held->gone, connection_gone, held);
    conf_connection_begin_wait(held->connection, held->wait_bytes);
    return held;
}

void
conf_request_release(ConfRequest *held)
{
    if (--held->refs > 0)
        return;
    conf_request_settle(held);
    conf_connection_unwatch_gone(&held->gone);
    if (held->connection != NULL)
        conf_connection_end_wait(held->connection, held->wait_bytes);
    conf_method_table_free(held->table);
    conf_buffer_clear(&held->extra);
    g_free(held);
}

void
conf_request_on_gone(ConfRequest *held, void (*func)(void *data), void *data)
{
    held->on_gone = func;
    held->gone_data = data;
}

void
conf_request_settle(ConfRequest *request)
{
    if (request->answered)
        return;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    conf_rpc_fail(&error, CONF_RPC_INTERNAL, "The request got no answer.");
    conf_request_fail(request, &error);
}

/* Up to and with the id. */
static void
begin_answer(ConfRequest *request)
{
    g_assert(!request->answering);
    if (!goes_out(request)) {
        if (discarded.capacity > DISCARD_MAX)
            conf_buffer_clear(&discarded);
        conf_buffer_truncate(&discarded, 0);
        request->buffer = &discarded;
    } else if (request->batch != NULL) {
        request->buffer = conf_batch_begin_answer(request->batch, &request->answer_begin);
    } else {
        request->buffer = conf_connection_output(request->connection);
        request->answer_begin = request->buffer->size;
    }
    request->answering = true;
    CONF_BUFFER_LITERAL(request->buffer, "{\"jsonrpc\":\"2.0\",\"id\":");
    if (request->id.size > 0)
        conf_buffer_append_slice(request->buffer, request->id);
    else
        CONF_BUFFER_LITERAL(request->buffer, "null");
}

/* A method that finds a fault after it began to answer. */
static void
take_answer_back(ConfRequest *request)
{
    request->answering = false;
    if (request->buffer == &discarded)
        return;
    if (request->batch != NULL)
        conf_batch_cut(request->batch, request->answer_begin);
    else if (!request->referenced)
        conf_buffer_truncate(request->buffer, request->answer_begin);
    else /* What stands in the queue cannot be undone, and half a line would make nonsense of the next one. */
        conf_connection_close(request->connection, "An answer could not be completed");
}

static void
end_answer(ConfRequest *request)
{
    if (request->answered) { /* twice: the second is thrown away */
        request->answering = false;
        return;
    }
    if (request->batch != NULL && goes_out(request) && request->code == 0 && request->method != NULL &&
        (request->method->flags & CONF_METHOD_WRITE) == 0 &&
        conf_batch_is_too_long(request->batch, request->answer_begin)) {
        g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
        conf_rpc_fail(&error, CONF_RPC_TOO_LARGE,
                      "The answers of the batch are longer than a line may be; ask for this one alone.");
        conf_request_fail(request, &error);
        return;
    }
    if (request->batch == NULL && goes_out(request)) {
        conf_buffer_append_char(request->buffer, '\n');
        conf_connection_written(request->connection);
    }
    request->answering = false;
    request->answered = true;
    request->buffer = NULL;
    conf_buffer_clear(&request->extra);
    conf_method_table_count(request->table, request->code);
    if (request->began != 0)
        conf_hooks_answered(request, request->code, (uint64_t)(conf_clock_monotonic_usec() - request->began));
    if (request->batch != NULL)
        conf_batch_leave(request->batch);
}

/* Members that plugins add stand last in the result, which must be an object for that. */
static void
insert_extra(ConfRequest *request)
{
    ConfBuffer *buffer = request->buffer;
    if (buffer->size < 2 || buffer->data[buffer->size - 1] != '}')
        return;
    bool empty = buffer->data[buffer->size - 2] == '{';
    conf_buffer_truncate(buffer, buffer->size - 1);
    conf_buffer_append(buffer, request->extra.data + (empty ? 1 : 0), request->extra.size - (empty ? 1 : 0));
    conf_buffer_append_char(buffer, '}');
}

static void
write_error(ConfRequest *request, const ConfRpcError *error)
{
    CONF_BUFFER_LITERAL(request->buffer, ",\"error\":");
    conf_rpc_error_write(error, request->buffer);
    conf_buffer_append_char(request->buffer, '}');
}

static bool
goes_out(const ConfRequest *request)
{
    return !request->notification && !request->answered && request->connection != NULL;
}

static ConfRequest *
copy_to_heap(const ConfRequest *request)
{
    size_t text = request->id.size + request->name.size + request->params.size + 3;
    ConfRequest *held = g_malloc(sizeof(*held) + text);
    *held = *request;
    char *to = held->memory;
    held->id = copy_slice(&to, request->id);
    held->name = copy_slice(&to, request->name);
    held->params = copy_slice(&to, request->params);
    held->wait_bytes = sizeof(*held) + text;
    return held;
}

static ConfSlice
copy_slice(char **to, ConfSlice slice)
{
    ConfSlice copy = {*to, slice.size};
    if (slice.size > 0)
        memcpy(*to, slice.data, slice.size);
    (*to)[slice.size] = '\0';
    *to += slice.size + 1;
    return copy;
}

static void
connection_gone(void *data)
{
    ConfRequest *held = data;
    void (*func)(void *) = held->on_gone;
    held->connection = NULL;
    held->on_gone = NULL;
    if (func != NULL)
        func(held->gone_data); /* may release it */
}
