/* envelope-private.h - what a line is by JSON-RPC 2.0, before anything is done with it. */
#pragma once

#include "base/arena.h"
#include "base/json-reader.h"

enum { CONF_ENVELOPE_ID_MAX = 128, CONF_ENVELOPE_BATCH_MAX = 100 };

typedef enum {
    CONF_ENVELOPE_REQUEST,
    CONF_ENVELOPE_NOTIFICATION,
    CONF_ENVELOPE_RESPONSE,
    CONF_ENVELOPE_BATCH,
    CONF_ENVELOPE_IGNORED, /* a response that is none: answering it would call for an answer in turn */
    CONF_ENVELOPE_INVALID, /* code and message say why */
} ConfEnvelopeKind;

/* All slices but `method` are raw text of the line; an empty one is absent. */
typedef struct {
    ConfEnvelopeKind kind;
    int code;
    const char *message; /* a constant sentence */
    size_t offset;       /* of a fault in the text; SIZE_MAX: not one of the text */
    ConfSlice id;
    ConfSlice method; /* decoded; in the line or in `arena` */
    ConfSlice params;
    ConfSlice result, error;
    unsigned count; /* of a batch, then `items` holds them */
} ConfEnvelope;

/* `line` is one whole text.  items: room for CONF_ENVELOPE_BATCH_MAX; NULL: a batch is no request here. */
void conf_envelope_parse(ConfJsonReader *reader, ConfArena *arena, ConfSlice line, ConfEnvelope *envelope,
                         ConfSlice *items);
