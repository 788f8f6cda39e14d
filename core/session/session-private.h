/* session-private.h - the structs of this folder.  Main loop only.
 *
 * Ownership: ConfSessions owns clients, sessions, scopes' index and audiences.  A session owns its
 * subscriptions, each holds a reference to an interned scope.  An audience borrows its sessions; it is freed
 * when the last one leaves. */
#pragma once

#include "base/timer-wheel.h"
#include "session/session.h"

typedef struct ConfScope ConfScope;
typedef struct ConfAudience ConfAudience;
typedef struct ConfClient ConfClient;
typedef struct ConfProducer ConfProducer;
typedef struct ConfReplay ConfReplay;
typedef struct ConfArchive ConfArchive;
typedef struct ConfSavedLoad ConfSavedLoad;

/* What a subscription names; equal ones are one object, so that what a commit touches is found once for all
 * of them. */
struct ConfScope {
    unsigned refs;
    char *text; /* canonical: the key of the interning table */
    ConfTypeId *types;
    unsigned type_count;
    ConfKey *objects;
    unsigned object_count;
    int64_t tenant, folder; /* 0: not named */
    GPtrArray *audiences;   /* of ConfAudience, borrowed */
    uint64_t mark;          /* serial of the commit whose matches these are */
    GArray *matches;        /* of uint32_t: changes of that commit that may concern the scope, ascending */
};

typedef struct {
    int64_t id;
    ConfScope *scope;
    bool initial;
    bool walking;
    bool cut;                /* the client may not have had all of the walk when the connection broke */
    int64_t loaded_at;       /* monotonic usec when subscription.loaded was written; 0: not yet */
    int64_t loaded_revision; /* the one that it told */
    ConfKey cursor;          /* of the walk: the last object streamed */
    bool cursor_set;
    unsigned type_index; /* of the walk: which of the scope's types, or objects, is under way */
} ConfSubscription;

/* Sessions that see the same of every commit: the same identity, the same scopes. */
struct ConfAudience {
    ConfIdentity *identity;
    ConfScope **scopes; /* by address, each once */
    unsigned scope_count;
    ConfSession *only; /* where a plugin hides objects, every session is an audience of its own */
    GPtrArray *sessions;
    uint64_t mark; /* serial of the commit for which it is in the work list */
};

struct ConfSession {
    ConfSessions *sessions;
    uint64_t number;
    ConfConnection *connection; /* NULL: broken */
    char token_hash[65];
    ConfKey person, application, subject;
    char *person_name, *application_name, *address, *client_name, *client_version;
    int64_t opened_ms;
    int64_t broken_ms; /* wall clock; 0: it has a connection */
    int64_t revision;  /* all up to here is sent, or stands in the output queue */
    bool must_change;
    bool server_application;
    char *own_hash;  /* of the password that it is changing to; NULL: none */
    bool finished;   /* session.ending is written; nothing more follows */
    bool input_held; /* while it replays */
    ConfIdentity *identity;
    GArray *groups; /* of ConfKey: further groups that a directory named for this session; NULL: none */
    GPtrArray *subscriptions;
    int64_t next_subscription;
    ConfAudience *audience;
    unsigned audience_index;
    ConfReplay *replay; /* NULL: live */
    bool in_producer;
    ConfTimer resume_timer;
    void (*taken_ended)(void *data); /* a replica's stream has taken it over */
    void (*taken_drained)(void *data);
    void *taken_data;
};

/* What hangs on a connection of a client. */
struct ConfClient {
    ConfSessions *sessions;
    ConfMethodTable *table;
    ConfConnection *connection;
    ConfSession *session;    /* NULL before log-in */
    ConfLogin *login;        /* pending */
    bool resuming;           /* session.resume is under way */
    ConfPortClients clients; /* of the port, when it was accepted */
    bool management;         /* ... which is one for management */
    bool closing;
    ConfTimer timer;
    GList link; /* in sessions->unauthenticated while it has no session */
    bool linked;
    bool is_late; /* login-timeout passed while it waited for an answer */
};

/* One entry of what a session is told of a commit. */
typedef enum {
    CONF_VIEW_CREATE,
    CONF_VIEW_ENTER,
    CONF_VIEW_UPDATE,
    CONF_VIEW_LEAVE,
    CONF_VIEW_DELETE
} ConfViewOp;
typedef enum { CONF_REASON_NONE, CONF_REASON_PERMISSION, CONF_REASON_SCOPE } ConfReason;
typedef struct {
    ConfViewOp op;
    ConfReason reason;
    uint32_t order;           /* within op */
    uint32_t change;          /* index in the commit; UINT32_MAX: an object that the commit did not write */
    const ConfObject *object; /* what is shown: after, or before where it goes */
} ConfViewItem;

typedef struct {
    GArray *items; /* of ConfViewItem */
    unsigned altered;
    bool reset;
    ConfReason reset_reason;
    bool by_user, by_application;
} ConfView;

/* What a commit means to others than those who see what it wrote: regions whose rights or place changed. */
typedef struct ConfAlterations ConfAlterations;

struct ConfSessions {
    ConfStore *store;
    ConfAccess *access;
    ConfPublisher *publisher;
    ConfSessionSettings settings;
    ConfSessionHost host;
    ConfWriteSink *sink;
    GHashTable *by_token;   /* token hash → session (owner) */
    GHashTable *by_number;  /* number → session */
    GHashTable *endings;    /* session → reason: those that plugins end, at the end of the turn */
    GHashTable *by_subject; /* ConfKey → GPtrArray of sessions */
    GHashTable *by_person;
    GHashTable *by_application;
    int64_t waiting_for_libraries; /* log-ins */
    GQueue unauthenticated;        /* of ConfClient, oldest first */
    GQueue broken;                 /* of ConfSession, oldest first */
    GHashTable *clients;           /* set of ConfClient */
    uint64_t next_number;
    /* scopes and audiences */
    GHashTable *scopes;          /* text → ConfScope */
    GHashTable *audiences;       /* set of ConfAudience */
    GHashTable *scope_by_object; /* ConfKey → GPtrArray of ConfScope */
    GHashTable *scope_by_folder; /* int64 → GPtrArray */
    GHashTable *scope_by_tenant;
    GHashTable *scope_by_type;
    GPtrArray *scope_all;
    uint64_t commit_serial;
    /* streams paced by sockets: walks and replays */
    GQueue producers; /* of ConfSession */
    ConfSlicedWork *producer_work;
    GPtrArray *waits; /* of ConfRevisionWait */
    /* pages of the past: archive.c */
    GQueue archive_line, archive_resting; /* of ConfArchive */
    unsigned archive_pages;
    size_t kept_bytes; /* lines that replays have ready */
    /* sessions on disk: saved.c */
    GHashTable *unsaved; /* set of ConfSession */
    unsigned saved_loads;
    ConfSavedLoad *mark_load;                   /* until the mark of the server before was read */
    int64_t died_ms, marked_ms, saved_again_ms; /* wall clock */
    ConfTimer sweep_timer;
    ConfSessionStatistics statistics;
};

/* scope.c */
ConfScope *conf_scope_parse(ConfSessions *sessions, const ConfJson *params, const char *at,
                            ConfSession *session, bool lenient, ConfRpcError *error);
void conf_scope_unref(ConfSessions *sessions, ConfScope *scope);
bool conf_scope_covers(const ConfScope *scope, ConfKey key, const ConfPlace *place);
/* Would what lies below this container (standing at `place`) be covered? */
bool conf_scope_covers_below(const ConfScope *scope, ConfKey container, const ConfPlace *place);
void conf_scope_write(const ConfSessions *sessions, const ConfScope *scope, ConfJsonWriter *writer);
/* Finds the scopes that a change may concern: calls func for each candidate, perhaps twice. */
void conf_scope_candidates(ConfSessions *sessions, ConfKey key, const ConfPlace *place,
                           void (*func)(ConfScope *scope, void *data), void *data);
void conf_scope_index_init(ConfSessions *sessions);
void conf_scope_index_clear(ConfSessions *sessions);

/* audience.c */
void conf_audience_init(ConfSessions *sessions);
/* Puts a live session into the audience that fits what it is now, or takes it out where it has nothing to be
 * told. */
void conf_audience_place(ConfSession *session);
void conf_audience_leave(ConfSession *session);
bool conf_audience_covers(ConfScope *const *scopes, unsigned scope_count, ConfKey key,
                          const ConfPlace *place);

/* view.c */
void conf_view_init(ConfView *view);
void conf_view_clear(ConfView *view);
typedef struct {
    ConfSessions *sessions;
    ConfCommit *commit;
    ConfIdentity *identity_before, *identity_after;
    ConfScope *const *scopes;
    unsigned scope_count;
    ConfSession *only; /* plugins' hook `visible` is asked for it; NULL: none has it */
} ConfViewer;
/* What the commit wrote, as the viewer sees it.  `matches`: indices to look at, NULL: all. */
void conf_view_add_changes(ConfView *view, const ConfViewer *viewer, const GArray *matches);
/* An object that was not written: list of rights and place before and after. */
void conf_view_add_altered(ConfView *view, const ConfViewer *viewer, const ConfObject *object,
                           const ConfAcl *acl_before, const ConfAcl *acl_after, const ConfPlace *place_before,
                           const ConfPlace *place_after);
void conf_view_finish(ConfView *view, const ConfViewer *viewer);
/* Lines, each ended by LF: cached by content in `cache` (conf_view_cache_new) for the commit.  Borrowed
 * GPtrArray of ConfBytes. */
GHashTable *conf_view_cache_new(void);
GPtrArray *conf_view_lines(ConfView *view, const ConfViewer *viewer, GHashTable *cache);
/* The same where nobody else sees the commit: a new array, which unrefs the lines. */
GPtrArray *conf_view_write_lines(const ConfView *view, const ConfViewer *viewer);
ConfBytes *conf_view_reset_line(int64_t revision, ConfReason reason);

/* alteration.c */
ConfAlterations *conf_alterations_new(ConfSessions *sessions, ConfCommit *commit);
void conf_alterations_free(ConfAlterations *alterations);
void conf_alterations_view(ConfAlterations *alterations, const ConfViewer *viewer, ConfView *view);
/* For replays: might this structural commit have altered what the viewer sees of objects that it did not
 * write? */
bool conf_alterations_may_concern(ConfSessions *sessions, const ConfCommit *commit, ConfSession *session);

/* fan-out.c */
void conf_fan_out_done(ConfCommit *commit, void *data);
void conf_fan_out_send(ConfSession *session, GPtrArray *lines, int64_t revision);
void conf_fan_out_reset(ConfSession *session, int64_t revision, ConfReason reason);

/* producer.c: walks and replays, in slices, as sockets take them */
void conf_producer_add(ConfSession *session);
void conf_producer_remove(ConfSession *session);
/* walk.c: true while there is more to stream */
bool conf_walk_step(ConfSession *session);
void conf_walk_start(ConfSession *session, ConfSubscription *subscription);
/* The connection breaks: notes which walks the client may not have had to their end. */
void conf_walk_break(ConfSession *session);
/* At session.resume, after its answer: these walks begin anew, once what was missed is sent. */
void conf_walk_resume(ConfSession *session, int64_t revision);
/* replay.c */
/* `held`: all that follows is there; else nothing can be replayed, and conf_replay_stop() is the caller's. */
typedef void (*ConfReplayFunc)(ConfSession *session, uint64_t missed, bool held, void *data);
/* Counts what will be sent from `from` on (in slices), then calls done with it; the session replays from then
 * on once conf_replay_go was called.  While it replays the connection's input is held. */
void conf_replay_start(ConfSession *session, int64_t from, ConfReplayFunc done, void *data);
/* Right after it: the chain that the client has for `from` is to be compared where the ring cannot. */
void conf_replay_set_chain(ConfSession *session, const char *chain);
void conf_replay_go(ConfSession *session);
/* The session's groups changed by `commit`: what it might see before is no longer known. */
void conf_replay_forget_past(ConfSession *session, const ConfCommit *commit);
void conf_replay_stop(ConfSession *session);
bool conf_replay_step(ConfSession *session);
int64_t conf_replay_get_from(const ConfSession *session);
bool conf_replay_is_going(const ConfSession *session);

/* The socket takes nothing for now. */
void conf_replay_rest(ConfSession *session);

/* archive.c: commits that the ring does not hold any more */
typedef enum { CONF_ARCHIVE_COMMIT, CONF_ARCHIVE_LATER, CONF_ARCHIVE_GONE } ConfArchiveVerdict;
bool conf_archive_is_there(ConfSessions *sessions);
/* The lowest revision from which a replay leads to the present: of the ring, or further back. */
int64_t conf_archive_get_start(ConfSessions *sessions);
/* `chain` (may be NULL): of the revision that it begins at, to be compared.  NULL: nobody keeps a history. */
ConfArchive *conf_archive_new(ConfSessions *sessions, const char *chain, void (*ready)(void *data),
                              void *data);
void conf_archive_free(ConfArchive *past);
/* The commit that leads away from `cursor`; a reference.  LATER: ready() comes, not within this call.  GONE:
 * it is not held, or of another history. */
ConfArchiveVerdict conf_archive_next(ConfArchive *past, int64_t cursor, ConfCommit **commit);
/* Nothing is wanted for now: others may have its memory. */
void conf_archive_rest(ConfArchive *past);
/* The next commit wanted is the one that leads away from `cursor`. */
void conf_archive_rewind(ConfArchive *past, int64_t cursor);

/* saved.c: sessions on disk, so that they outlive the process, where a plugin keeps them. */
void conf_saved_start(ConfSessions *sessions);
void conf_saved_stop(ConfSessions *sessions);
/* It is another one than what was saved last. */
void conf_saved_change(ConfSession *session);
void conf_saved_change_one(ConfSession *session, void *data); /* the same, for conf_sessions_foreach() */
/* What has changed is handed over now, not at the end of the turn. */
void conf_saved_flush(ConfSessions *sessions);
/* It ends. */
void conf_saved_forget(ConfSession *session);
void conf_saved_sweep(ConfSessions *sessions); /* now and then */
/* The session, broken, in all tables; NULL: there is none, or it may not go on. */
typedef void (*ConfSavedFunc)(ConfSession *session, void *data);
/* NULL: nobody keeps them, too many are asked for, or func was called already. */
ConfSavedLoad *conf_saved_load(ConfSessions *sessions, const char *token_hash, ConfSavedFunc func,
                               void *data);
void conf_saved_cancel(ConfSavedLoad *load);

/* sessions.c */
/* Into all tables, as one that broke and may be resumed for so long. */
void conf_session_enroll(ConfSession *session, const char *token_hash, unsigned left_ms);
void conf_session_hash_token(ConfSlice token, char hash[65]);
/* What an application runs as. False: nothing is set. */
bool conf_login_read_account(ConfStore *store, const ConfObject *application, ConfKey *subject);
ConfSession *conf_session_new(ConfSessions *sessions);
/* Frees a session that is in no table. */
void conf_session_discard(ConfSession *session);
void conf_session_register(ConfSession *session, char token[33]);
void conf_session_bind(ConfSession *session, ConfClient *client);
/* The connection goes (if any); the session stays for resumption. */
void conf_session_break(ConfSession *session, const char *reason);
ConfSession *conf_sessions_lookup_number(ConfSessions *sessions, uint64_t number);
ConfSession *conf_sessions_lookup_token(ConfSessions *sessions, ConfSlice token);
ConfClient *conf_client_of(ConfConnection *connection);
/* Its log-in or resumption was refused: it has time for what comes next, if that answer took long. */
void conf_client_answered_late(ConfClient *client);
/* False: the port that it came by is not for that session (-32001), or its account has too many (-32016). */
bool conf_client_admits(const ConfClient *client, const ConfSession *session, ConfRpcError *error);
/* What conf_session_identity() should be now; a reference. */
ConfIdentity *conf_session_current_identity(ConfSession *session);
void conf_session_refresh_identity(ConfSession *session);
ConfSubscription *conf_session_add_subscription(ConfSession *session, ConfScope *scope, bool initial);
void conf_session_clear_subscriptions(ConfSession *session);
/* All of them, of which the session then has none; each is to be freed by conf_subscription_free(). */
GPtrArray *conf_session_take_subscriptions(ConfSession *session);
void conf_subscription_free(ConfSessions *sessions, ConfSubscription *subscription);
/* login.c */
void conf_login_abandon(ConfLogin *login); /* the connection is gone */
/* "protocol":1,...,"account":{...} of session.open and session.resume; `extra` (may be NULL) is appended
 * inside. */
void conf_login_write_session(ConfSession *session, const char *token, ConfBuffer *buffer);
bool conf_session_still_allowed(ConfSession *session);
/* May a password, or a token that stands for one, come by this connection?  False: *error is -32018. */
bool conf_sessions_check_transport(ConfSessions *sessions, const ConfConnection *connection,
                                   ConfRpcError *error);
/* account-rules.c */
/* False: the account has as many sessions as it may, this one not counted (-32016). */
bool conf_rules_have_room(const ConfSession *session, ConfRpcError *error);
void conf_rules_committed(ConfSessions *sessions, const ConfChange *change);
/* wait.c */
void conf_waits_check(ConfSessions *sessions);
void conf_waits_clear(ConfSessions *sessions);
