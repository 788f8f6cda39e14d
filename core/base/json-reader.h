/* json-reader.h - the one JSON reader: a strict pull reader over bytes (RFC 8259, UTF-8 per RFC 3629).
 *
 * It allocates nothing while objects have few members and strings no escapes.  What it refuses: invalid
 * UTF-8, lone surrogates, raw control characters, comments, numbers outside the grammar or not representable
 * as a double (1e400), nesting deeper than the limit, anything but white space after the value.  Duplicate
 * keys are refused with their own fault, since the protocol answers them with another code. */
#pragma once

#include "base/bytes.h"

typedef enum {
    CONF_JSON_EVENT_END,   /* the text is over and was one whole value */
    CONF_JSON_EVENT_ERROR, /* see fault */
    CONF_JSON_EVENT_OBJECT,
    CONF_JSON_EVENT_OBJECT_END,
    CONF_JSON_EVENT_ARRAY,
    CONF_JSON_EVENT_ARRAY_END,
    CONF_JSON_EVENT_KEY,    /* text: decoded */
    CONF_JSON_EVENT_STRING, /* text: decoded */
    CONF_JSON_EVENT_NUMBER, /* text: as written; integer where is_integer */
    CONF_JSON_EVENT_TRUE,
    CONF_JSON_EVENT_FALSE,
    CONF_JSON_EVENT_NULL,
} ConfJsonEvent;

typedef enum {
    CONF_JSON_FAULT_NONE,
    CONF_JSON_FAULT_SYNTAX,
    CONF_JSON_FAULT_DEPTH,
    CONF_JSON_FAULT_DUPLICATE,
} ConfJsonFault;

enum { CONF_JSON_DEPTH_MAX = 64 };
#define CONF_JSON_INTEGER_MAX INT64_C(9007199254740991) /* 2^53 - 1 */

typedef struct ConfJsonReaderState ConfJsonReaderState;

typedef struct {
    /* Of KEY, STRING, NUMBER; valid until the next call (points into the input where it can). */
    ConfSlice text;
    ConfSlice raw;   /* of KEY, STRING, NUMBER and literals: the bytes of the input, quotes included */
    size_t offset;   /* where the event begins in the input; of a fault: where it was seen */
    int64_t integer; /* of NUMBER, where is_integer */
    bool is_integer; /* no fraction, no exponent, within +-(2^53-1) */
    /* Set by the owner, once: its texts were read whole before (stored bodies), so duplicate keys are not
     * looked for, which is a third of the time of an object with many options. */
    bool is_checked;
    ConfJsonFault fault;
    const char *message;        /* of a fault: one constant English sentence */
    ConfJsonReaderState *state; /* reusable inner memory */
} ConfJsonReader;

/* Main loop or any one thread: a reader belongs to who uses it.  init once, start for each text, clear at the
 * end. */
void conf_json_reader_init(ConfJsonReader *reader);
void conf_json_reader_clear(ConfJsonReader *reader);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ConfJsonReader, conf_json_reader_clear)
/* `text` is borrowed until the last event was taken. */
void conf_json_reader_start(ConfJsonReader *reader, ConfSlice text);
/* After ERROR it answers ERROR again. */
ConfJsonEvent conf_json_reader_next(ConfJsonReader *reader);
/* Having had KEY (or standing before a value of an array): passes over the next value, checking it as
 * strictly as if it were read, and sets *raw to its bytes.  False: a fault. */
bool conf_json_reader_skip(ConfJsonReader *reader, ConfSlice *raw) G_GNUC_WARN_UNUSED_RESULT;
/* Having had ARRAY, or an item of an array: true if an item follows.  False: the end of the array, or a
 * fault, which conf_json_reader_next() tells. */
bool conf_json_reader_has_item(const ConfJsonReader *reader);
