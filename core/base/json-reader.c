/* json-reader.c - the pull reader: a machine of seven phases over the bytes, without recursion.
 *
 * A string is scanned once for its end, UTF-8 and escapes; only one with escapes is decoded, into scratch
 * memory. */
#include "base/json-reader.h"

#include <string.h>

#include "base/json-keys-private.h"
#include "base/json-number-private.h"
#include "base/json-scan-private.h"

typedef enum {
    PHASE_VALUE,      /* a value must follow */
    PHASE_FIRST_KEY,  /* behind '{': a key, or '}' */
    PHASE_FIRST_ITEM, /* behind '[': a value, or ']' */
    PHASE_MEMBER_END, /* behind a member: a comma and a key, or '}' */
    PHASE_ITEM_END,   /* behind an item: a comma and a value, or ']' */
    PHASE_ROOT_END,   /* behind the one value: nothing */
    PHASE_FAULT,
} Phase;

struct ConfJsonReaderState {
    const char *begin;
    const char *cursor;
    const char *end;
    Phase phase;
    unsigned depth;
    uint64_t objects; /* bit n: level n + 1 is an object */
    ConfJsonKeys keys;
};

/* Positions are kept in 31 bits. */
static const size_t TEXT_SIZE_MAX = 0x7fffffff;

static ConfJsonEvent step(ConfJsonReader *reader, bool decode);
static ConfJsonEvent read_value(ConfJsonReader *reader, const char *p, bool decode);
static ConfJsonEvent read_string(ConfJsonReader *reader, const char *p, bool decode);
static ConfJsonEvent read_key(ConfJsonReader *reader, const char *p);
static ConfJsonEvent read_number(ConfJsonReader *reader, const char *p);
static ConfJsonEvent read_literal(ConfJsonReader *reader, const char *p, ConfSlice literal,
                                  ConfJsonEvent event);
static ConfJsonEvent open_level(ConfJsonReader *reader, const char *p, bool is_object);
static ConfJsonEvent close_level(ConfJsonReader *reader, const char *p);
static ConfJsonEvent fail(ConfJsonReader *reader, const char *at, ConfJsonFault fault, const char *message);
static const char *scan_string(ConfJsonReader *reader, const char *p, bool *has_escapes);
static const char *scan_escape(ConfJsonReader *reader, const char *p);
static int read_hex(const char *p, const char *end);
static ConfSlice decode_string(ConfJsonReaderState *state, const char *p, const char *end);
static char *put_code_point(char *to, unsigned code);

void
conf_json_reader_init(ConfJsonReader *reader)
{
    memset(reader, 0, sizeof(*reader));
    reader->state = g_new(ConfJsonReaderState, 1);
    conf_json_keys_init(&reader->state->keys);
    conf_json_reader_start(reader, (ConfSlice){NULL, 0});
}

void
conf_json_reader_clear(ConfJsonReader *reader)
{
    if (reader->state != NULL) {
        conf_json_keys_clear(&reader->state->keys);
        g_free(reader->state);
    }
    memset(reader, 0, sizeof(*reader));
}

void
conf_json_reader_start(ConfJsonReader *reader, ConfSlice text)
{
    ConfJsonReaderState *state = reader->state;
    state->begin = text.size > 0 ? text.data : "";
    state->cursor = state->begin;
    state->end = state->begin + text.size;
    state->phase = PHASE_VALUE;
    state->depth = 0;
    state->objects = 0;
    conf_json_keys_reset(&state->keys);
    reader->fault = CONF_JSON_FAULT_NONE;
    reader->message = NULL;
    reader->offset = 0;
    if (text.size > TEXT_SIZE_MAX)
        fail(reader, state->begin, CONF_JSON_FAULT_SYNTAX, "The text is longer than 2 GiB.");
}

ConfJsonEvent
conf_json_reader_next(ConfJsonReader *reader)
{
    return step(reader, true);
}

bool
conf_json_reader_skip(ConfJsonReader *reader, ConfSlice *raw)
{
    ConfJsonReaderState *state = reader->state;
    unsigned depth = state->depth;
    ConfJsonEvent event = step(reader, false);
    if (event == CONF_JSON_EVENT_ERROR)
        return false;
    if (event == CONF_JSON_EVENT_END || event == CONF_JSON_EVENT_KEY || state->depth < depth) {
        fail(reader, state->begin + reader->offset, CONF_JSON_FAULT_SYNTAX, "A value is expected here.");
        return false;
    }
    size_t from = reader->offset;
    while (state->depth > depth) {
        if (step(reader, false) == CONF_JSON_EVENT_ERROR)
            return false;
    }
    if (raw != NULL)
        *raw = (ConfSlice){state->begin + from, (size_t)(state->cursor - state->begin) - from};
    reader->offset = from;
    return true;
}

static inline const char *
skip_space(const char *p, const char *end)
{
    while (p < end && G_UNLIKELY((unsigned char)*p <= ' ') &&
           (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

static inline void
value_is_over(ConfJsonReaderState *state, const char *p)
{
    state->cursor = p;
    if (state->depth == 0)
        state->phase = PHASE_ROOT_END;
    else
        state->phase = (state->objects >> (state->depth - 1) & 1) != 0 ? PHASE_MEMBER_END : PHASE_ITEM_END;
}

bool
conf_json_reader_has_item(const ConfJsonReader *reader)
{
    const ConfJsonReaderState *state = reader->state;
    const char *p = skip_space(state->cursor, state->end);
    return (state->phase == PHASE_FIRST_ITEM || state->phase == PHASE_ITEM_END) && p < state->end &&
           *p != ']';
}

static inline ConfJsonEvent
step(ConfJsonReader *reader, bool decode)
{
    ConfJsonReaderState *state = reader->state;
    const char *end = state->end;
    const char *p = skip_space(state->cursor, end);
    char c = p < end ? *p : '\0';
    switch (state->phase) {
    case PHASE_VALUE:
        return read_value(reader, p, decode);
    case PHASE_FIRST_KEY:
        if (c == '}')
            return close_level(reader, p);
        return read_key(reader, p);
    case PHASE_MEMBER_END:
        if (c == ',')
            return read_key(reader, skip_space(p + 1, end));
        if (c == '}')
            return close_level(reader, p);
        return fail(reader, p, CONF_JSON_FAULT_SYNTAX, "A comma or the end of an object is expected here.");
    case PHASE_FIRST_ITEM:
        if (c == ']')
            return close_level(reader, p);
        return read_value(reader, p, decode);
    case PHASE_ITEM_END:
        if (c == ',')
            return read_value(reader, skip_space(p + 1, end), decode);
        if (c == ']')
            return close_level(reader, p);
        return fail(reader, p, CONF_JSON_FAULT_SYNTAX, "A comma or the end of an array is expected here.");
    case PHASE_ROOT_END:
        reader->offset = (size_t)(p - state->begin);
        if (p == end)
            return CONF_JSON_EVENT_END;
        return fail(reader, p, CONF_JSON_FAULT_SYNTAX, "Something follows after the value.");
    case PHASE_FAULT:
        break;
    }
    return CONF_JSON_EVENT_ERROR;
}

static ConfJsonEvent
read_value(ConfJsonReader *reader, const char *p, bool decode)
{
    ConfJsonReaderState *state = reader->state;
    if (p == state->end)
        return fail(reader, p, CONF_JSON_FAULT_SYNTAX, "The text ends where a value is expected.");
    reader->offset = (size_t)(p - state->begin);
    switch (*p) {
    case '"':
        return read_string(reader, p, decode);
    case '{':
        return open_level(reader, p, true);
    case '[':
        return open_level(reader, p, false);
    case '-':
    case '0' ... '9':
        return read_number(reader, p);
    case 't':
        return read_literal(reader, p, CONF_SLICE("true"), CONF_JSON_EVENT_TRUE);
    case 'f':
        return read_literal(reader, p, CONF_SLICE("false"), CONF_JSON_EVENT_FALSE);
    case 'n':
        return read_literal(reader, p, CONF_SLICE("null"), CONF_JSON_EVENT_NULL);
    default:
        return fail(reader, p, CONF_JSON_FAULT_SYNTAX, "A value is expected here.");
    }
}

static ConfJsonEvent
read_string(ConfJsonReader *reader, const char *p, bool decode)
{
    bool has_escapes = false;
    const char *close = scan_string(reader, p + 1, &has_escapes);
    if (close == NULL)
        return CONF_JSON_EVENT_ERROR;
    reader->raw = (ConfSlice){p, (size_t)(close + 1 - p)};
    reader->text = (ConfSlice){p + 1, (size_t)(close - p - 1)};
    if (has_escapes && decode)
        reader->text = decode_string(reader->state, p + 1, close);
    value_is_over(reader->state, close + 1);
    return CONF_JSON_EVENT_STRING;
}

/* Keys are decoded even where values are skipped: "a" and "\u0061" are the same key. */
static ConfJsonEvent
read_key(ConfJsonReader *reader, const char *p)
{
    ConfJsonReaderState *state = reader->state;
    if (p == state->end || *p != '"')
        return fail(reader, p, CONF_JSON_FAULT_SYNTAX, "A key is expected here.");
    bool has_escapes = false;
    const char *close = scan_string(reader, p + 1, &has_escapes);
    if (close == NULL)
        return CONF_JSON_EVENT_ERROR;
    const char *colon = skip_space(close + 1, state->end);
    if (colon == state->end || *colon != ':')
        return fail(reader, colon, CONF_JSON_FAULT_SYNTAX, "A colon is expected here.");

    ConfSlice key = {p + 1, (size_t)(close - p - 1)};
    if (has_escapes)
        key = decode_string(state, p + 1, close);
    if (!reader->is_checked && !conf_json_keys_add(&state->keys, state->begin, key))
        return fail(reader, p, CONF_JSON_FAULT_DUPLICATE, "An object has the same key twice.");
    reader->text = key;
    reader->raw = (ConfSlice){p, (size_t)(close + 1 - p)};
    reader->offset = (size_t)(p - state->begin);
    state->cursor = colon + 1;
    state->phase = PHASE_VALUE;
    return CONF_JSON_EVENT_KEY;
}

static ConfJsonEvent
read_number(ConfJsonReader *reader, const char *p)
{
    ConfJsonReaderState *state = reader->state;
    const char *message, *wrong;
    const char *end =
        conf_json_scan_number(p, state->end, &reader->integer, &reader->is_integer, &message, &wrong);
    if (end == NULL)
        return fail(reader, wrong, CONF_JSON_FAULT_SYNTAX, message);
    reader->raw = (ConfSlice){p, (size_t)(end - p)};
    reader->text = reader->raw;
    value_is_over(state, end);
    return CONF_JSON_EVENT_NUMBER;
}

static ConfJsonEvent
read_literal(ConfJsonReader *reader, const char *p, ConfSlice literal, ConfJsonEvent event)
{
    ConfJsonReaderState *state = reader->state;
    if ((size_t)(state->end - p) < literal.size || memcmp(p, literal.data, literal.size) != 0)
        return fail(reader, p, CONF_JSON_FAULT_SYNTAX, "A value is expected here.");
    reader->raw = (ConfSlice){p, literal.size};
    reader->text = reader->raw;
    value_is_over(state, p + literal.size);
    return event;
}

static ConfJsonEvent
open_level(ConfJsonReader *reader, const char *p, bool is_object)
{
    ConfJsonReaderState *state = reader->state;
    if (state->depth == CONF_JSON_DEPTH_MAX)
        return fail(reader, p, CONF_JSON_FAULT_DEPTH, "The text is nested deeper than 64 levels.");
    uint64_t bit = (uint64_t)1 << state->depth++;
    state->cursor = p + 1;
    if (!is_object) {
        state->objects &= ~bit;
        state->phase = PHASE_FIRST_ITEM;
        return CONF_JSON_EVENT_ARRAY;
    }
    state->objects |= bit;
    conf_json_keys_push(&state->keys);
    state->phase = PHASE_FIRST_KEY;
    return CONF_JSON_EVENT_OBJECT;
}

static ConfJsonEvent
close_level(ConfJsonReader *reader, const char *p)
{
    ConfJsonReaderState *state = reader->state;
    reader->offset = (size_t)(p - state->begin);
    bool is_object = *p == '}';
    if (is_object)
        conf_json_keys_pop(&state->keys);
    state->depth--;
    value_is_over(state, p + 1);
    return is_object ? CONF_JSON_EVENT_OBJECT_END : CONF_JSON_EVENT_ARRAY_END;
}

static ConfJsonEvent
fail(ConfJsonReader *reader, const char *at, ConfJsonFault fault, const char *message)
{
    reader->state->phase = PHASE_FAULT;
    reader->offset = (size_t)(at - reader->state->begin);
    reader->fault = fault;
    reader->message = message;
    return CONF_JSON_EVENT_ERROR;
}

/* From behind the opening quote to the closing one.  NULL: a fault, told. */
static inline const char *
scan_string(ConfJsonReader *reader, const char *p, bool *has_escapes)
{
    const char *end = reader->state->end;
    for (;;) {
        p = conf_json_skip_plain(p, end);
        if (p == end) {
            fail(reader, p, CONF_JSON_FAULT_SYNTAX, "The text ends within a string.");
            return NULL;
        }
        unsigned char c = (unsigned char)*p;
        if (c == '"')
            return p;
        if (c == '\\') {
            *has_escapes = true;
            p = scan_escape(reader, p);
            if (p == NULL)
                return NULL;
        } else if (c < 0x20) {
            fail(reader, p, CONF_JSON_FAULT_SYNTAX, "A control character stands in a string.");
            return NULL;
        } else {
            unsigned length = conf_json_utf8_length(p, end);
            if (length == 0) {
                fail(reader, p, CONF_JSON_FAULT_SYNTAX, "The text is not valid UTF-8.");
                return NULL;
            }
            p += length;
        }
    }
}

/* Returns what follows the escape that begins at p. */
static const char *
scan_escape(ConfJsonReader *reader, const char *p)
{
    const char *end = reader->state->end;
    if (end - p >= 2 && p[1] != '\0' && strchr("\"\\/bfnrt", p[1]) != NULL)
        return p + 2;
    int code = end - p >= 2 && p[1] == 'u' ? read_hex(p + 2, end) : -1;
    if (code < 0) {
        fail(reader, p, CONF_JSON_FAULT_SYNTAX, "An escape in a string is none of JSON's.");
        return NULL;
    }
    if (code < 0xd800 || code > 0xdfff)
        return p + 6;
    bool escape_follows = end - p >= 8 && p[6] == '\\' && p[7] == 'u';
    int low = escape_follows ? read_hex(p + 8, end) : -1;
    if (code > 0xdbff || low < 0xdc00 || low > 0xdfff) {
        fail(reader, p, CONF_JSON_FAULT_SYNTAX, "Half a surrogate pair stands alone.");
        return NULL;
    }
    return p + 12;
}

/* Four hex digits; -1: these are none. */
static int
read_hex(const char *p, const char *end)
{
    if (end - p < 4)
        return -1;
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = g_ascii_xdigit_value(p[i]);
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* p..end was scanned: its escapes are right. */
static ConfSlice
decode_string(ConfJsonReaderState *state, const char *p, const char *end)
{
    char *text = conf_json_keys_scratch(&state->keys, (size_t)(end - p));
    char *to = text;
    while (p < end) {
        const char *slash = memchr(p, '\\', (size_t)(end - p));
        size_t size = (size_t)((slash != NULL ? slash : end) - p);
        memcpy(to, p, size);
        to += size;
        if (slash == NULL)
            break;
        p = slash + 2;
        if (slash[1] != 'u') {
            static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
            *to++ = meanings[strchr(escapes, slash[1]) - escapes];
            continue;
        }
        unsigned code = (unsigned)read_hex(p, end);
        p += 4;
        if (code >= 0xd800 && code <= 0xdfff) {
            code = 0x10000 + ((code - 0xd800) << 10) + ((unsigned)read_hex(p + 2, end) - 0xdc00);
            p += 6;
        }
        to = put_code_point(to, code);
    }
    return (ConfSlice){text, (size_t)(to - text)};
}

static char *
put_code_point(char *to, unsigned code)
{
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *to++ = (char)(0xe0 | code >> 12);
        } else {
            *to++ = (char)(0xf0 | code >> 18);
            *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        }
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
    }
    *to++ = (char)(0x80 | (code & 0x3f));
    return to;
}
