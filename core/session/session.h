/* session.h - who is logged in, from where, as what; tokens; resumption.  Main loop only.
 *
 * States: open (has a connection), broken (none; may be resumed until session-resume-timeout), ended (gone).
 * A session is freed by the manager only.  The fan-out (fan-out.h) gives it its notifications; the walk
 * (walk.h) its initial objects. */
#pragma once

#include "access/identity.h"
#include "access/login.h"
#include "commit/commit-queue.h"
#include "plugin/loader.h"
#include "rpc/method-table.h"

typedef struct ConfSessions ConfSessions; /* the manager */

typedef struct {
    int64_t resume_timeout_s;         /* session-resume-timeout */
    int64_t login_timeout_s;          /* login-timeout */
    int64_t max_unauthenticated;      /* connections without a session; beyond, the oldest goes */
    int64_t max_request_size;         /* bytes, after log-in */
    int64_t max_output_queue;         /* max-client-output-queue-size, bytes */
    int64_t max_notification_backlog; /* bytes */
    int64_t view_change_max;
    int plain_login;    /* 0: allow, 1: loopback only, 2: refuse log-ins in plain text */
    int64_t broken_max; /* broken sessions kept at most; beyond, the oldest goes */
    /* section [authentication] */
    const char *library; /* of the server, comma list; NULL: none; good until the next settings */
    bool enforce_external, enforce_internal;
    int64_t authentication_queue; /* log-ins that wait for directories; more: -32013 */
    int64_t offline_login_s;      /* 0: never */
    bool last_login;              /* log-ins are remembered */
    bool password_change;         /* everybody may change the own password */
} ConfSessionSettings;

/* What session.open tells of the server, and what the manager asks of it; filled by core/server. */
typedef struct {
    /* members of "server":{...} */
    void (*write_server)(ConfBuffer *buffer, void *data);
    bool (*is_writable)(void *data);
    /* False: *error (-32013, -32014): not serving now. */
    bool (*may_open)(ConfRpcError *error, void *data);
    /* Is that application the other one of this server's redundant pair? */
    bool (*is_peer)(ConfKey application, void *data);
    /* False: the master keeps passwords from this replica, which can decide no internal log-in. */
    bool (*has_secrets)(void *data);
    ConfPluginHost *plugins; /* service "history" is asked there; NULL: there is none */
    void *data;
} ConfSessionHost;

/* Whose sessions a port takes; that of the others is refused at log-in and at resumption (-32001). */
typedef enum {
    CONF_CLIENTS_ANY,
    CONF_CLIENTS_UI,   /* of applications that are no servers */
    CONF_CLIENTS_PEER, /* of the other one of the redundant pair */
} ConfPortClients;

typedef struct {
    const char *port_id;
    ConfPortClients clients;
    bool management;      /* the server's own: plain-login does not lock loopback out of it */
    bool behind_balancer; /* the connection begins with a PROXY header */
} ConfAcceptance;

ConfSessions *conf_sessions_new(ConfStore *store, ConfAccess *access, ConfPublisher *publisher,
                                const ConfSessionSettings *settings, const ConfSessionHost *host);
/* Ends all. */
void conf_sessions_free(ConfSessions *sessions);
void conf_sessions_set_settings(ConfSessions *sessions, const ConfSessionSettings *settings);
ConfStore *conf_sessions_store(ConfSessions *sessions);
ConfAccounts *conf_sessions_accounts(ConfSessions *sessions); /* borrowed */
/* Where plugins' transactions go; borrowed, may be exchanged in place. */
void conf_sessions_set_sink(ConfSessions *sessions, ConfWriteSink *sink);

/* ---- connections of clients: the server's listeners hand them over ---- */
/* Takes `fd`.  The connection belongs to the manager; its lines go to `table`. */
void conf_sessions_accept(ConfSessions *sessions, ConfMethodTable *table, int fd,
                          const ConfAcceptance *acceptance);
/* Installs gate and session look-up of `table`; once, before the first connection. */
void conf_sessions_install(ConfSessions *sessions, ConfMethodTable *table);

/* ---- methods of the family session.* (called by methods/session-methods.c) ---- */
void conf_sessions_open(ConfSessions *sessions, ConfRequest *request);
void conf_sessions_continue(ConfSessions *sessions, ConfRequest *request);
void conf_sessions_resume(ConfSessions *sessions, ConfRequest *request);
void conf_sessions_close(ConfSessions *sessions, ConfRequest *request);

/* False: *error (-32013), this server holds no passwords to check any by. */
bool conf_sessions_can_check(const ConfSessions *sessions, ConfRpcError *error);

/* ---- a session ---- */
ConfConnection *conf_session_connection(const ConfSession *session); /* NULL: broken */
ConfIdentity *conf_session_identity(
    const ConfSession *session);                          /* borrowed; changes with structural commits */
ConfKey conf_session_subject(const ConfSession *session); /* as whom rights are judged */
ConfKey conf_session_person(const ConfSession *session);  /* dbid 0: an application as itself */
int64_t conf_session_account_tenant(const ConfSession *session); /* creator's tenant for creates */
const char *conf_session_address(const ConfSession *session); /* peer "host:port" as last known; borrowed */
int64_t conf_session_opened_at(const ConfSession *session);   /* wall ms */
uint64_t conf_session_number(const ConfSession *session);
/* session.changePassword: the commit that sets this hash is the session's own and does not end it.  Copied,
 * wiped; NULL: none is under way. */
void conf_session_set_own_hash(ConfSession *session, const char *hash);
bool conf_session_has_own_hash(const ConfSession *session);
/* Option password-change.  False: *error is -32005. */
bool conf_session_may_change_password(const ConfSession *session, ConfRpcError *error);
const char *conf_session_client_name(const ConfSession *session); /* as the client said; NULL: it did not */
const char *conf_session_client_version(const ConfSession *session); /* likewise */
void conf_session_clear_must_change(ConfSession *session);
/* Rights and the plugins' hook `visible`. */
bool conf_session_may_read(ConfSession *session, const ConfObject *object);
/* An object that is gone, by the list of rights that was in force on it last. */
bool conf_session_may_read_gone(ConfSession *session, const ConfAcl *last_acl, const ConfObject *object);
uint8_t conf_session_rights(ConfSession *session, const ConfObject *object);
/* ---- method `transaction`: its params and its result (methods/write-methods.c, plugins) ---- */
bool conf_transaction_params_read(ConfSlice params, ConfSlice *operations, bool *dry_run, ConfRpcError *error)
    G_GNUC_WARN_UNUSED_RESULT;
/* {"revision","results"} */
void conf_transaction_write_result(int64_t revision, const ConfOperationResult *results,
                                   unsigned result_count, ConfBuffer *buffer);
/* The same, and "dryRun", "changes" as far as the session may read them; NULL: it is gone. */
void conf_transaction_write_dry_run(ConfSession *session, int64_t present, const ConfCommit *commit,
                                    const ConfOperationResult *results, unsigned result_count,
                                    ConfBuffer *buffer);
/* Says who: for rights, `by` and defaults. */
void conf_session_author_transaction(const ConfSession *session, ConfTransaction *transaction);
/* session.ending with the reason as its last line, then closed; cannot be resumed. */
void conf_session_finish(ConfSessions *sessions, ConfSession *session, const char *reason);
/* All: role, environment. */
void conf_sessions_finish_all(ConfSessions *sessions, const char *reason);
/* The server ends: all are told `stopping` and closed.  Where somebody keeps sessions on disk they can be
 * resumed at the server that is started next. */
void conf_sessions_stop(ConfSessions *sessions);
typedef void (*ConfSessionFunc2)(ConfSession *session, void *data);
void conf_sessions_foreach(ConfSessions *sessions, ConfSessionFunc2 func, void *data);
/* A line (with LF) to every open session: server.status. */
void conf_sessions_broadcast(ConfSessions *sessions, ConfBytes *line);
typedef struct {
    uint64_t sessions, broken, connections, logins, logins_refused, resumed, slow_consumers, notifications,
        notification_lines, resets, subscriptions, views;
} ConfSessionStatistics;
const ConfSessionStatistics *conf_sessions_statistics(ConfSessions *sessions);

/* ---- subscriptions (methods/subscription-methods.c) ---- */
void conf_sessions_subscribe(ConfSessions *sessions, ConfRequest *request);
void conf_sessions_unsubscribe(ConfSessions *sessions, ConfRequest *request);

/* ---- waiting for a revision (minRevision): func once the store is there or the time is over; NULL: it is
 * there now. Cancelled by conf_revision_wait_cancel. ---- */
typedef struct ConfRevisionWait ConfRevisionWait;
ConfRevisionWait *conf_sessions_wait_revision(ConfSessions *sessions, int64_t revision, unsigned timeout_ms,
                                              void (*func)(bool reached, void *data), void *data);
void conf_revision_wait_cancel(ConfRevisionWait *wait);

/* ---- a replica downstream is a session too: replication/downstream.c takes its stream over ---- */
/* From now on the fan-out leaves this session alone; `ended` is called when it ends or its connection breaks.
 */
void conf_session_take_over(ConfSession *session, void (*ended)(void *data), void (*drained)(void *data),
                            void *data);
