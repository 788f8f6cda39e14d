/* method-table.h - methods by name, and the dispatch of a line to them (JSON-RPC 2.0, protocol.md 1).
 *
 * conf_dispatch_line reads the envelope (object or batch), answers -32700, -32600, -32601 itself, asks the
 * gate, runs the plugins' `received` hooks, calls the method, and afterwards the `answered` hooks.
 * Responses of the peer (no method, with result or error) go to the response function of the connection's
 * owner. */
#pragma once

#include "rpc/request.h"

typedef enum {
    CONF_METHOD_BEFORE_LOGIN = 1 << 0,  /* allowed without a session */
    CONF_METHOD_WHILE_EXPIRED = 1 << 1, /* allowed while mustChangePassword stands */
    CONF_METHOD_WRITE = 1 << 2,         /* for statistics and read-only answers */
} ConfMethodFlags;

typedef void (*ConfMethodFunc)(ConfRequest *request, void *data);
struct ConfMethod {
    const char *name;
    ConfMethodFunc func;
    unsigned flags;
    void *data;
};

typedef struct ConfMethodTable ConfMethodTable;
ConfMethodTable *conf_method_table_new(void);
void conf_method_table_free(ConfMethodTable *table);
/* Copied.  False: the name is taken. */
bool conf_method_table_add(ConfMethodTable *table, const ConfMethod *method) G_GNUC_WARN_UNUSED_RESULT;
const ConfMethod *conf_method_table_lookup(const ConfMethodTable *table, ConfSlice name);

/* Called before each known method: says whether this connection may call it now (session, mustChangePassword,
 * stopping).  False: *error is answered. */
typedef bool (*ConfGateFunc)(ConfConnection *connection, const ConfMethod *method, ConfRpcError *error,
                             void *data);
/* Gives the session of a connection (NULL before log-in). */
typedef ConfSession *(*ConfSessionFunc)(ConfConnection *connection, void *data);
/* A response that came in: id raw, exactly one of result and error non-empty (raw JSON). */
typedef void (*ConfResponseFunc)(ConfConnection *connection, ConfSlice id, ConfSlice result, ConfSlice error,
                                 void *data);
void conf_method_table_set_gate(ConfMethodTable *table, ConfGateFunc gate, ConfSessionFunc session,
                                ConfResponseFunc response, void *data);

/* `line`: one line from `connection`, borrowed. */
void conf_dispatch_line(ConfMethodTable *table, ConfConnection *connection, ConfSlice line);
/* -32006 and close_after_answer. */
void conf_dispatch_too_long(ConfMethodTable *table, ConfConnection *connection, size_t limit);
/* {"jsonrpc":"2.0","method":M,"params": into `buffer`; the caller adds the params and "}\n". */
void conf_rpc_begin_notification(ConfBuffer *buffer, const char *method);

typedef struct {
    uint64_t requests, errors, batches;
} ConfDispatchStatistics;
const ConfDispatchStatistics *conf_dispatch_get_statistics(const ConfMethodTable *table);
