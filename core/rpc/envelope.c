/* envelope.c - reads the envelope of a line by the pull reader: one pass, no tree, nothing executed before
 * the whole text is known to be sound. */
#include "rpc/envelope-private.h"

#include <string.h>

#include "rpc/rpc-error.h"

typedef struct {
    bool version, method, id, unknown;
    bool version_fits, method_fits, id_fits;
} Seen;

static bool read_members(ConfJsonReader *reader, ConfArena *arena, ConfEnvelope *envelope, Seen *seen);
static bool read_member(ConfJsonReader *reader, ConfArena *arena, ConfEnvelope *envelope, Seen *seen);
static bool is_whole(ConfSlice number);
static bool read_scalar(ConfJsonReader *reader, ConfJsonEvent *event);
static void judge(ConfEnvelope *envelope, const Seen *seen);
static bool read_batch(ConfJsonReader *reader, ConfEnvelope *envelope, ConfSlice *items);
static void invalid(ConfEnvelope *envelope, const char *message);
static void fault(const ConfJsonReader *reader, ConfEnvelope *envelope);

void
conf_envelope_parse(ConfJsonReader *reader, ConfArena *arena, ConfSlice line, ConfEnvelope *envelope,
                    ConfSlice *items)
{
    memset(envelope, 0, sizeof(*envelope));
    envelope->offset = SIZE_MAX;
    Seen seen = {0};
    conf_json_reader_start(reader, line);
    ConfJsonEvent event = conf_json_reader_next(reader);
    bool sound = event != CONF_JSON_EVENT_ERROR;
    bool is_batch = event == CONF_JSON_EVENT_ARRAY && items != NULL;
    if (event == CONF_JSON_EVENT_OBJECT)
        sound = read_members(reader, arena, envelope, &seen);
    else if (is_batch)
        sound = read_batch(reader, envelope, items);
    while (sound && event != CONF_JSON_EVENT_OBJECT && !is_batch) {
        /* No request; but whether it is JSON at all decides what is answered. */
        ConfJsonEvent next = conf_json_reader_next(reader);
        if (next == CONF_JSON_EVENT_END)
            break;
        sound = next != CONF_JSON_EVENT_ERROR;
    }
    if (sound && (event == CONF_JSON_EVENT_OBJECT || is_batch))
        sound = conf_json_reader_next(reader) == CONF_JSON_EVENT_END;
    if (!sound)
        fault(reader, envelope);
    else if (event == CONF_JSON_EVENT_OBJECT)
        judge(envelope, &seen);
    else if (!is_batch)
        invalid(envelope, "A request must be an object.");
}

/* False: a fault of the text. */
static bool
read_members(ConfJsonReader *reader, ConfArena *arena, ConfEnvelope *envelope, Seen *seen)
{
    ConfJsonEvent event;
    while ((event = conf_json_reader_next(reader)) == CONF_JSON_EVENT_KEY) {
        if (!read_member(reader, arena, envelope, seen))
            return false;
    }
    return event == CONF_JSON_EVENT_OBJECT_END;
}

static bool
read_member(ConfJsonReader *reader, ConfArena *arena, ConfEnvelope *envelope, Seen *seen)
{
    ConfSlice key = reader->text, ignored;
    if (conf_slice_is(key, "params"))
        return conf_json_reader_skip(reader, &envelope->params);
    if (conf_slice_is(key, "result"))
        return conf_json_reader_skip(reader, &envelope->result);
    if (conf_slice_is(key, "error"))
        return conf_json_reader_skip(reader, &envelope->error);

    bool is_version = conf_slice_is(key, "jsonrpc"), is_method = conf_slice_is(key, "method");
    if (!is_version && !is_method && !conf_slice_is(key, "id")) {
        seen->unknown = true;
        return conf_json_reader_skip(reader, &ignored);
    }
    ConfJsonEvent event;
    if (!read_scalar(reader, &event))
        return false;
    if (is_version) {
        seen->version = true;
        seen->version_fits = event == CONF_JSON_EVENT_STRING && conf_slice_is(reader->text, "2.0");
    } else if (is_method) {
        seen->method = true;
        seen->method_fits = event == CONF_JSON_EVENT_STRING;
        if (!seen->method_fits)
            return true;
        envelope->method = reader->text;
        /* A name with escapes was decoded into memory of the reader, which the next event takes back. */
        if (reader->text.size + 2 != reader->raw.size)
            envelope->method.data = conf_arena_copy(arena, reader->text.data, reader->text.size);
    } else {
        seen->id = true;
        seen->id_fits = (event == CONF_JSON_EVENT_NUMBER && is_whole(reader->raw)) ||
                        (event == CONF_JSON_EVENT_STRING && reader->text.size <= CONF_ENVELOPE_ID_MAX);
        if (seen->id_fits)
            envelope->id = reader->raw;
    }
    return true;
}

/* An id is echoed and never reckoned with: its size may be any that fits. */
static bool
is_whole(ConfSlice number)
{
    for (size_t i = 0; i < number.size; i++) {
        char c = number.data[i];
        if (c == '.' || c == 'e' || c == 'E')
            return false;
    }
    return number.size <= CONF_ENVELOPE_ID_MAX;
}

/* The next value, where one without parts is wanted; *event says what it was, parts are passed over. */
static bool
read_scalar(ConfJsonReader *reader, ConfJsonEvent *event)
{
    *event = conf_json_reader_next(reader);
    if (*event == CONF_JSON_EVENT_ERROR)
        return false;
    unsigned depth = *event == CONF_JSON_EVENT_OBJECT || *event == CONF_JSON_EVENT_ARRAY ? 1 : 0;
    while (depth > 0) {
        ConfJsonEvent next = conf_json_reader_next(reader);
        if (next == CONF_JSON_EVENT_ERROR)
            return false;
        if (next == CONF_JSON_EVENT_OBJECT || next == CONF_JSON_EVENT_ARRAY)
            depth++;
        else if (next == CONF_JSON_EVENT_OBJECT_END || next == CONF_JSON_EVENT_ARRAY_END)
            depth--;
    }
    return true;
}

static void
judge(ConfEnvelope *envelope, const Seen *seen)
{
    bool answers = envelope->result.size > 0 || envelope->error.size > 0;
    if (answers && !seen->method) {
        bool whole = seen->version_fits && seen->id_fits && !seen->unknown && envelope->params.size == 0 &&
                     (envelope->result.size > 0) != (envelope->error.size > 0);
        envelope->kind = whole ? CONF_ENVELOPE_RESPONSE : CONF_ENVELOPE_IGNORED;
        return;
    }
    if (seen->id && !seen->id_fits)
        invalid(envelope, "Member \"id\" must be a string of at most 128 bytes or an integer.");
    else if (!seen->version)
        invalid(envelope, "Member \"jsonrpc\" is missing.");
    else if (!seen->version_fits)
        invalid(envelope, "Member \"jsonrpc\" must be \"2.0\".");
    else if (!seen->method)
        invalid(envelope, "Member \"method\" is missing.");
    else if (!seen->method_fits)
        invalid(envelope, "Member \"method\" must be a string.");
    else if (seen->unknown || answers)
        invalid(envelope, "A request has no members but jsonrpc, id, method and params.");
    else
        envelope->kind = seen->id ? CONF_ENVELOPE_REQUEST : CONF_ENVELOPE_NOTIFICATION;
}

static bool
read_batch(ConfJsonReader *reader, ConfEnvelope *envelope, ConfSlice *items)
{
    unsigned count = 0;
    ConfSlice item;
    for (; conf_json_reader_has_item(reader); count++) {
        if (!conf_json_reader_skip(reader, &item))
            return false;
        if (count < CONF_ENVELOPE_BATCH_MAX)
            items[count] = item;
    }
    if (conf_json_reader_next(reader) != CONF_JSON_EVENT_ARRAY_END)
        return false;
    envelope->kind = CONF_ENVELOPE_BATCH;
    envelope->count = count;
    if (count == 0)
        invalid(envelope, "A batch must not be empty.");
    else if (count > CONF_ENVELOPE_BATCH_MAX)
        invalid(envelope, "A batch holds at most 100 requests.");
    return true;
}

static void
invalid(ConfEnvelope *envelope, const char *message)
{
    envelope->kind = CONF_ENVELOPE_INVALID;
    envelope->code = CONF_RPC_INVALID_REQUEST;
    envelope->message = message;
}

/* No id is trusted of a text that is not sound. */
static void
fault(const ConfJsonReader *reader, ConfEnvelope *envelope)
{
    envelope->kind = CONF_ENVELOPE_INVALID;
    envelope->code = reader->fault == CONF_JSON_FAULT_DUPLICATE ? CONF_RPC_INVALID_REQUEST : CONF_RPC_PARSE;
    envelope->message = reader->message;
    envelope->offset = reader->offset;
    envelope->id = (ConfSlice){NULL, 0};
}
