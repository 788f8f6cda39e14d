/* rpc-error.h - errors told to a client: protocol.md 11, JSON-RPC 2.0. */
#pragma once

#include "base/buffer.h"

enum {
    CONF_RPC_PARSE = -32700,
    CONF_RPC_INVALID_REQUEST = -32600,
    CONF_RPC_NO_METHOD = -32601,
    CONF_RPC_INVALID_PARAMS = -32602,
    CONF_RPC_INTERNAL = -32603,
    CONF_RPC_NOT_LOGGED_IN = -32000,
    CONF_RPC_LOGIN_REFUSED = -32001,
    CONF_RPC_CHALLENGE = -32002,
    CONF_RPC_SESSION_UNKNOWN = -32003,
    CONF_RPC_NOT_FOUND = -32004,
    CONF_RPC_NOT_PERMITTED = -32005,
    CONF_RPC_TOO_LARGE = -32006,
    CONF_RPC_READ_ONLY = -32007,
    CONF_RPC_REFERRED_TO = -32008,
    CONF_RPC_CHANGED = -32009,
    CONF_RPC_NAME_TAKEN = -32010,
    CONF_RPC_HISTORY_GONE = -32011,
    CONF_RPC_NO_COMMON_PROTOCOL = -32012,
    CONF_RPC_UNAVAILABLE = -32013,
    CONF_RPC_STOPPING = -32014,
    CONF_RPC_PASSWORD_MUST_CHANGE = -32015,
    CONF_RPC_LIMIT = -32016,
    CONF_RPC_OUTCOME_UNKNOWN = -32017,
    CONF_RPC_TLS_REQUIRED = -32018,
};

/* Zero-initialised is "none".  Clear it after use. */
typedef struct {
    int code;
    char *message; /* one English sentence, says what was wrong with what, no secrets */
    /* The inside of data: JSON members without the braces ("\"path\":\"/object/name\""); NULL: none. */
    char *data;
} ConfRpcError;

#define CONF_RPC_ERROR_INIT \
    { \
        0, NULL, NULL \
    }
void conf_rpc_error_clear(ConfRpcError *error);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ConfRpcError, conf_rpc_error_clear)

/* All set functions answer false, so that a check can end with `return conf_rpc_fail(...)`.  An error that
 * is set already is replaced.  `error` may be NULL. */
bool conf_rpc_fail(ConfRpcError *error, int code, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* -32602 with data.path, a JSON pointer (RFC 6901) into params. */
bool conf_rpc_fail_path(ConfRpcError *error, const char *path, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* Adds a member to data; `json` is one whole value. */
void conf_rpc_error_add_data(ConfRpcError *error, const char *member, const char *json);
void conf_rpc_error_add_integer(ConfRpcError *error, const char *member, int64_t value);
void conf_rpc_error_add_string(ConfRpcError *error, const char *member, const char *value);
/* Puts `prefix` ("/operations/3") before data.path, where there is one. */
void conf_rpc_error_prefix_path(ConfRpcError *error, const char *prefix);
void conf_rpc_error_move(ConfRpcError *to, ConfRpcError *from);
/* {"code":...,"message":...,"data":{...}} */
void conf_rpc_error_write(const ConfRpcError *error, ConfBuffer *buffer);
