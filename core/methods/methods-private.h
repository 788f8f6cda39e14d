/* methods-private.h - what the families of methods share.  Main loop only. */
#pragma once

#include "methods/methods.h"
#include "session/address.h"
#include "store/past.h"

struct ConfMethods {
    ConfMethodsContext context;
    ConfMethodsStatistics statistics;
    GHashTable *write_lanes; /* connection id → lane: write-order.c */
    bool confirmed;          /* the read that runs now was confirmed by the database a moment ago */
    GSList *pasts;           /* as-of.c: revisions of the past that are kept for a while */
};

void conf_methods_add_session(ConfMethods *methods, ConfMethodTable *table);
void conf_methods_add_read(ConfMethods *methods, ConfMethodTable *table);
void conf_methods_add_list(ConfMethods *methods, ConfMethodTable *table);
void conf_methods_add_write(ConfMethods *methods, ConfMethodTable *table);
void conf_methods_add_permission(ConfMethods *methods, ConfMethodTable *table);
void conf_methods_add_account(ConfMethods *methods, ConfMethodTable *table);
void conf_methods_add_subscription(ConfMethods *methods, ConfMethodTable *table);
/* Adds a family; a name that is taken is a programmer's error. */
void conf_methods_add_all(ConfMethods *methods, ConfMethodTable *table, const ConfMethod *family,
                          unsigned count);

/* address.c: {"type","dbid"}, {"type","name","tenant"?} or {"path"}: the object as the session may read it.
 * NULL: *error
 * (-32602, or -32004 for what is missing or not readable alike). */
const ConfObject *conf_methods_find(ConfMethods *methods, ConfSession *session, const ConfJson *params,
                                    ConfRpcError *error);
/* The same; where params say no type it is `type`. */
const ConfObject *conf_methods_find_typed(ConfMethods *methods, ConfSession *session, const ConfJson *params,
                                          ConfTypeId type, ConfRpcError *error);
const ConfTypeInfo *conf_methods_type(ConfMethods *methods, const ConfJson *params, const char *member,
                                      bool required, ConfRpcError *error);

/* freshness.c: minRevision, timeout, maxAge of every read.  True: go on.  False: answered, or func(methods,
 * held request) will be called once the revision is there (the request given then is released afterwards). */
bool conf_methods_is_ready(ConfMethods *methods, ConfRequest *request, const ConfJson *params,
                           void (*func)(ConfRequest *request, void *methods));
#define CONF_FRESHNESS_NAMES "minRevision", "timeout", "maxAge"

/* submit.c: a write with the session as its author; `done` gets the held request and answers it. */
typedef struct ConfWriting ConfWriting;
typedef void (*ConfWritingFunc)(ConfWriting *writing, int64_t revision, const ConfCommit *commit,
                                const ConfOperationResult *results, unsigned result_count);
struct ConfWriting {
    ConfMethods *methods;
    ConfRequest *request; /* held; answered by done (or with the error) */
    ConfWritingFunc done;
    bool own_password; /* session.changePassword */
};
void conf_methods_submit(ConfMethods *methods, ConfRequest *request, ConfTransaction *transaction,
                         ConfWritingFunc done);
/* The author is set, the request (held) taken. */
ConfWriting *conf_methods_writing_new(ConfMethods *methods, ConfRequest *held, ConfTransaction *transaction,
                                      ConfWritingFunc done);
/* The write goes to the role's sink now; both are taken. */
void conf_methods_hand_over(ConfWriting *writing, ConfTransaction *transaction);

/* write-order.c: writes of one connection commit in the order sent, also where one is prepared first. */
typedef struct ConfWriteTurn ConfWriteTurn;
void conf_write_order_init(ConfMethods *methods);
/* What waits is refused (-32014); turns still being prepared stay their takers'. */
void conf_write_order_clear(ConfMethods *methods);
/* A place for the write of this request (held), whose connection is there; ended by one of the two below. */
ConfWriteTurn *conf_write_order_take(ConfMethods *methods, const ConfRequest *held);
/* Prepared: it is handed over when its turn comes.  All are taken. */
void conf_write_order_ready(ConfWriteTurn *turn, ConfWriting *writing, ConfTransaction *transaction);
/* Nothing will be written; before `held` is released. */
void conf_write_order_leave(ConfWriteTurn *turn, const ConfRequest *held);
/* True: the connection has a write that is being prepared; this one was taken and follows it. */
bool conf_write_order_wait(ConfMethods *methods, ConfWriting *writing, ConfTransaction *transaction);

/* One operation as a transaction of its own; params are checked to have no other members than `names`.  NULL:
 * *error. */
ConfTransaction *conf_methods_single(ConfRequest *request, const char *op, const char *const *names,
                                     ConfRpcError *error);
/* {"revision":R} */
void conf_methods_answer_revision(ConfWriting *writing, int64_t revision, const ConfCommit *commit,
                                  const ConfOperationResult *results, unsigned result_count);

/* methods-plugin.c: what plugins use; NULL: nothing any more. */
void conf_methods_lend(ConfMethods *methods);

/* So long who reads of the past waits for the provider of service "history". */
enum { CONF_PAST_WAIT_MS = 30000 };
/* as-of.c: the past.  *revision: of asOf, 0 where it is not given.  False: *error (-32602, -32011). */
bool conf_methods_as_of(ConfMethods *methods, const ConfJson *params, int64_t *revision, ConfRpcError *error)
    G_GNUC_WARN_UNUSED_RESULT;
/* For the audit: the request is about to be answered out of the past. */
void conf_methods_note_past(ConfMethods *methods, const ConfRequest *request);
/* One object that has changed since; see read_as_of of ConfHistoryProvider. */
void conf_methods_read_past(ConfMethods *methods, ConfSession *session, ConfKey key, int64_t revision,
                            void (*done)(const char *object_json, const GError *error, void *data),
                            void *data);
void conf_methods_fail_past(ConfMethods *methods, ConfRpcError *told, const GError *error);
/* Everything as it was.  Where it is not ready yet func is called once: `error` NULL: now it is, or failed
 * (conf_past_use_get tells); else the time is over.  NULL: *error.  Not called any more after release. */
typedef struct ConfPastUse ConfPastUse;
ConfPastUse *conf_methods_use_past(ConfMethods *methods, int64_t revision,
                                   void (*func)(const ConfRpcError *error, void *data), void *data,
                                   ConfRpcError *error);
bool conf_past_use_is_ready(const ConfPastUse *use);
/* Brought up to the present; to be asked for anew in each turn.  NULL: *error. */
ConfPast *conf_past_use_get(ConfPastUse *use, ConfRpcError *error);
void conf_past_use_release(ConfPastUse *use);
/* Rights of now decide; of what is gone, the last ones. */
bool conf_methods_may_read_then(ConfMethods *methods, ConfSession *session, const ConfPast *past,
                                const ConfObject *then);
void conf_methods_stop_past(ConfMethods *methods);
