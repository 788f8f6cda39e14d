/* client-call.h - requests that this server sends on a connection (to its master, or addp.poll to a peer)
 * and their answers.  Each has a timeout; an answer that comes later is ignored.  Main loop only. */
#pragma once

#include "rpc/request.h"

/* Exactly one call: result non-empty (raw JSON), or error non-empty (raw JSON error object), or both
 * empty: no answer within the time or the connection closed. Slices are valid during the call. */
typedef void (*ConfCallFunc)(ConfSlice result, ConfSlice error, void *data);

typedef struct ConfCalls ConfCalls; /* the outstanding calls of one connection */
ConfCalls *conf_calls_new(ConfConnection *connection);
/* Ends every outstanding call with both slices empty. */
void conf_calls_free(ConfCalls *calls);
/* `params` is a whole JSON object. */
void conf_calls_send(ConfCalls *calls, const char *method, ConfSlice params, unsigned timeout_ms,
                     ConfCallFunc func, void *data);
/* To be called for each response that came in; ids that are unknown are ignored. */
void conf_calls_take_response(ConfCalls *calls, ConfSlice id, ConfSlice result, ConfSlice error);
