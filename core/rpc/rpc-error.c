/* rpc-error.c - errors told to a client, until they are written. */
#include "rpc/rpc-error.h"

#include <stdarg.h>
#include <string.h>

#include "base/json-writer.h"

static void set_message(ConfRpcError *error, int code, const char *format, va_list arguments)
    G_GNUC_PRINTF(3, 0);
static void begin_member(const ConfRpcError *error, ConfBuffer *buffer, const char *member);
static void take_data(ConfRpcError *error, ConfBuffer *buffer);
static bool find_path(ConfSlice data, ConfSlice *raw, ConfBuffer *path);

void
conf_rpc_error_clear(ConfRpcError *error)
{
    g_free(error->message);
    g_free(error->data);
    *error = (ConfRpcError)CONF_RPC_ERROR_INIT;
}

bool
conf_rpc_fail(ConfRpcError *error, int code, const char *format, ...)
{
    if (error == NULL)
        return false;
    va_list arguments;
    va_start(arguments, format);
    set_message(error, code, format, arguments);
    va_end(arguments);
    return false;
}

bool
conf_rpc_fail_path(ConfRpcError *error, const char *path, const char *format, ...)
{
    if (error == NULL)
        return false;
    va_list arguments;
    va_start(arguments, format);
    /* `path` may be borrowed from the error that is replaced. */
    g_autofree char *kept = g_strdup(path);
    set_message(error, CONF_RPC_INVALID_PARAMS, format, arguments);
    va_end(arguments);
    conf_rpc_error_add_string(error, "path", kept);
    return false;
}

void
conf_rpc_error_add_data(ConfRpcError *error, const char *member, const char *json)
{
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    begin_member(error, &buffer, member);
    conf_buffer_append_string(&buffer, json);
    take_data(error, &buffer);
}

void
conf_rpc_error_add_integer(ConfRpcError *error, const char *member, int64_t value)
{
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    begin_member(error, &buffer, member);
    conf_buffer_append_integer(&buffer, value);
    take_data(error, &buffer);
}

void
conf_rpc_error_add_string(ConfRpcError *error, const char *member, const char *value)
{
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    begin_member(error, &buffer, member);
    conf_json_append_string(&buffer, conf_slice_from_string(value));
    take_data(error, &buffer);
}

void
conf_rpc_error_prefix_path(ConfRpcError *error, const char *prefix)
{
    if (error->data == NULL)
        return;
    ConfSlice raw;
    g_auto(ConfBuffer) path = CONF_BUFFER_INIT, buffer = CONF_BUFFER_INIT;
    conf_buffer_append_string(&path, prefix);
    if (!find_path(conf_slice_from_string(error->data), &raw, &path))
        return;
    conf_buffer_append(&buffer, error->data, (size_t)(raw.data - error->data));
    conf_json_append_string(&buffer, conf_buffer_slice(&path));
    conf_buffer_append_string(&buffer, raw.data + raw.size);
    take_data(error, &buffer);
}

void
conf_rpc_error_move(ConfRpcError *to, ConfRpcError *from)
{
    if (to != NULL) {
        conf_rpc_error_clear(to);
        *to = *from;
        *from = (ConfRpcError)CONF_RPC_ERROR_INIT;
    }
    conf_rpc_error_clear(from);
}

void
conf_rpc_error_write(const ConfRpcError *error, ConfBuffer *buffer)
{
    CONF_BUFFER_LITERAL(buffer, "{\"code\":");
    conf_buffer_append_integer(buffer, error->code != 0 ? error->code : CONF_RPC_INTERNAL);
    CONF_BUFFER_LITERAL(buffer, ",\"message\":");
    conf_json_append_string(
        buffer, conf_slice_from_string(error->message != NULL ? error->message : "Internal error."));
    if (error->data != NULL) {
        CONF_BUFFER_LITERAL(buffer, ",\"data\":{");
        conf_buffer_append_string(buffer, error->data);
        conf_buffer_append_char(buffer, '}');
    }
    conf_buffer_append_char(buffer, '}');
}

static void
set_message(ConfRpcError *error, int code, const char *format, va_list arguments)
{
    /* The arguments may come from the error that is replaced. */
    char *message = g_strdup_vprintf(format, arguments);
    conf_rpc_error_clear(error);
    error->code = code;
    error->message = message;
}

static void
begin_member(const ConfRpcError *error, ConfBuffer *buffer, const char *member)
{
    if (error->data != NULL) {
        conf_buffer_append_string(buffer, error->data);
        conf_buffer_append_char(buffer, ',');
    }
    conf_json_append_string(buffer, conf_slice_from_string(member));
    conf_buffer_append_char(buffer, ':');
}

static void
take_data(ConfRpcError *error, ConfBuffer *buffer)
{
    g_free(error->data);
    error->data = g_strndup(buffer->data, buffer->size);
}

/* Finds the member among those of `data`; *raw is its text there, what it means is appended to `path`. */
static bool
find_path(ConfSlice data, ConfSlice *raw, ConfBuffer *path)
{
    g_auto(ConfBuffer) text = CONF_BUFFER_INIT;
    conf_buffer_append_char(&text, '{');
    conf_buffer_append_slice(&text, data);
    conf_buffer_append_char(&text, '}');
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, conf_buffer_slice(&text));
    if (conf_json_reader_next(&reader) != CONF_JSON_EVENT_OBJECT)
        return false;
    while (conf_json_reader_next(&reader) == CONF_JSON_EVENT_KEY) {
        if (conf_slice_is(reader.text, "path")) {
            if (conf_json_reader_next(&reader) != CONF_JSON_EVENT_STRING)
                return false;
            *raw = (ConfSlice){data.data + (reader.raw.data - text.data - 1), reader.raw.size};
            conf_buffer_append_slice(path, reader.text);
            return true;
        }
        ConfSlice value;
        if (!conf_json_reader_skip(&reader, &value))
            return false;
    }
    return false;
}
