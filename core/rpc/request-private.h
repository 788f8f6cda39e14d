/* request-private.h - the request from inside: shared by the files of this folder. */
#pragma once

#include "rpc/method-table.h"

typedef struct ConfBatch ConfBatch;

struct ConfRequest {
    ConfMethodTable *table;
    ConfConnection *connection; /* NULL: gone */
    const ConfMethod *method;   /* NULL: of an envelope that named none */
    ConfSession *session;       /* when it came; may be gone since */
    ConfSlice id, name, params;
    ConfBatch *batch;
    int64_t began; /* monotonic usec; 0: nobody asks how long it takes */
    int code;
    bool notification;
    bool in_method; /* the hooks are behind it */
    bool answering; /* between begin and end */
    bool answered;
    bool referenced;    /* a part of the answer stands in the queue already */
    ConfBuffer *buffer; /* of the answer, while answering */
    size_t answer_begin;
    ConfBuffer extra; /* further members of the result, each with a comma before it */

    ConfRequest *held; /* of one on the stack: where it went on */

    /* of a held one: */
    unsigned refs;
    ConfGoneWatch gone;
    void (*on_gone)(void *data);
    void *gone_data;
    size_t wait_bytes;
    ConfLater *later;
    unsigned hook_position;
    char memory[]; /* id, name, params, each ended by NUL */
};

/* request.c */
/* -32603 where a method or hook left it without an answer. */
void conf_request_settle(ConfRequest *request);

/* batch.c: the answers of a batch gather until the last one is there. */
ConfBatch *conf_batch_new(ConfConnection *connection);
/* The dispatch is through: no more requests join. */
void conf_batch_close(ConfBatch *batch);
void conf_batch_join(ConfBatch *batch);
/* Where the next answer goes; *begin: its start, for conf_batch_cut. */
ConfBuffer *conf_batch_begin_answer(ConfBatch *batch, size_t *begin);
/* Takes back what was written from `begin` on. */
void conf_batch_cut(ConfBatch *batch, size_t begin);
/* Would the line be longer than a line may be, though not because of this answer alone? */
bool conf_batch_is_too_long(const ConfBatch *batch, size_t begin);
/* A request that joined is through.  May free the batch. */
void conf_batch_leave(ConfBatch *batch);

/* method-table.c */
ConfMethodTable *conf_method_table_ref(ConfMethodTable *table);
void conf_method_table_count(ConfMethodTable *table, int code);
ConfSession *conf_method_table_session(const ConfMethodTable *table, ConfConnection *connection);
/* Around all that may use the arena of the turn. */
void conf_dispatch_enter(void);
void conf_dispatch_leave(void);
/* Gate, hooks from `position` on, method. */
void conf_dispatch_run(ConfRequest *request, unsigned position);

/* client-call.c */
/* A response to a request that a plugin sent.  False: it is none. */
bool conf_calls_take_plugin_response(ConfConnection *connection, ConfSlice id, ConfSlice result,
                                     ConfSlice error);

/* request-plugin.c */
/* One line of JSON from a plugin's text; NULL: it is none, which is logged.  Returns new. */
char *conf_rpc_plugin_json(const char *json);
/* What a plugin's GError is to a client. */
void conf_request_fail_with(ConfRequest *request, const GError *error);
