/* request.h - one JSON-RPC request on its way to a method and back.
 *
 * A request lives on the stack of the dispatch: a method that answers at once costs no allocation.  A
 * method that answers later takes conf_request_hold() and answers that; it may be answered after the
 * connection is gone, to no effect.  Every request is answered exactly once (a notification: its answer is
 * thrown away).  Main loop only. */
#pragma once

#include "base/json-writer.h"
#include "net/connection.h"
#include "rpc/rpc-error.h"

typedef struct ConfSession ConfSession; /* session/session.h; NULL before log-in */
typedef struct ConfRequest ConfRequest;
typedef struct ConfMethod ConfMethod;

/* Borrowed; NULL once the connection is gone (held requests). */
ConfConnection *conf_request_get_connection(const ConfRequest *request);
/* The session that the connection had when the request came and still has, else NULL. */
ConfSession *conf_request_get_session(const ConfRequest *request);
ConfSlice conf_request_get_method(const ConfRequest *request);
/* Raw text of params; "{}" where absent.  Held requests keep their own copy. */
ConfSlice conf_request_get_params(const ConfRequest *request);
bool conf_request_is_notification(const ConfRequest *request);

/* params as a tree in the arena of the turn (do not keep), checked to be an object whose members are all
 * among `names` (NULL-ended).  NULL: *error is set. */
const ConfJson *conf_request_parse_params(ConfRequest *request, const char *const *names,
                                          ConfRpcError *error);
/* Members that a plugin understands (conf_plugin_know_param) are let through: core/server supplies who
 * knows them. */
typedef bool (*ConfKnownParamFunc)(const char *method, ConfSlice member, void *data);
void conf_request_set_known_param_func(ConfKnownParamFunc func, void *data);
/* The arena of the turn; reset after the outermost dispatch. */
ConfArena *conf_request_arena(void);

/* Answering.  begin: writes up to "result": and returns where the value goes; end: closes it.  Nothing
 * else on the connection between the two.  In between, conf_request_append_bytes adds a body by reference
 * or copy. */
ConfBuffer *conf_request_begin(ConfRequest *request);
ConfBuffer *conf_request_append_bytes(ConfRequest *request, ConfBytes *bytes); /* the buffer to go on with */
void conf_request_end(ConfRequest *request);
void conf_request_fail(ConfRequest *request, const ConfRpcError *error);
/* `result` is one whole JSON value. */
void conf_request_answer(ConfRequest *request, ConfSlice result);

/* Moves the request to the heap: the stack one counts as answered.  Takes care of the batch it came in. */
ConfRequest *conf_request_hold(ConfRequest *request);
/* After the answer of a held request (answers -32603 if there was none: a programmer's error that no
 * client waits for). */
void conf_request_release(ConfRequest *held);
/* func(data) once when the connection of a held request is gone; NULL to take it back. */
void conf_request_on_gone(ConfRequest *held, void (*func)(void *data), void *data);

/* Common readings of params; each sets *error with data.path and answers false. `at` is the pointer prefix
 * ("" or "/operations/3"). */
bool conf_params_integer(const ConfJson *params, const char *at, const char *name, int64_t minimum,
                         int64_t maximum, bool required, int64_t *value, ConfRpcError *error)
    G_GNUC_WARN_UNUSED_RESULT; /* absent: value untouched */
bool conf_params_string(const ConfJson *params, const char *at, const char *name, bool required,
                        ConfSlice *value, ConfRpcError *error)
    G_GNUC_WARN_UNUSED_RESULT; /* absent: value untouched */
bool conf_params_boolean(const ConfJson *params, const char *at, const char *name, bool *value,
                         ConfRpcError *error) G_GNUC_WARN_UNUSED_RESULT; /* absent: value untouched */
bool conf_params_only(const ConfJson *params, const char *at, const char *const *names, ConfRpcError *error)
    G_GNUC_WARN_UNUSED_RESULT;
