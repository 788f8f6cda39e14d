/* confserv-plugin.h - all that a plugin may use of the server.
 *
 * A plugin is a shared object that exports one symbol, `conf_plugin` (see CONF_PLUGIN at the end).
 * Everything here is called on the main loop only, unless it says "any thread".  Types are opaque; what a
 * function lends is good until the hook returns, unless it says otherwise.  Nothing here may block: a
 * blocking library goes through conf_work(). docs/plugins.md walks through a complete plugin. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "base/error.h"
#include "base/option-declaration.h"

G_BEGIN_DECLS

#define CONF_PLUGIN_MAGIC 0x434f4e46u
#define CONF_PLUGIN_ABI 1     /* the loader demands equality */
#define CONF_PLUGIN_FEATURE 1 /* grows with each addition; the loader demands plugin <= core */
#define CONF_API __attribute__((visibility("default")))

typedef struct ConfPlugin ConfPlugin;         /* this plugin in this server */
typedef struct ConfConnection ConfConnection; /* a byte stream to a peer */
typedef struct ConfSession ConfSession;
typedef struct ConfRequest ConfRequest;
typedef struct ConfLogin ConfLogin;   /* a log-in attempt: user, application, peer, credentials */
typedef struct ConfCommit ConfCommit; /* a committed transaction, before and after */
typedef struct ConfObject ConfObject; /* one version of one object */
typedef struct ConfLater ConfLater;   /* the duty to answer, taken over by a plugin */
typedef struct ConfJsonWriterHandle ConfJsonWriterHandle;

typedef enum {
    CONF_NEXT,   /* not mine: ask the next hook */
    CONF_DONE,   /* answered, or let in: the chain stops */
    CONF_REFUSE, /* refused, *error says why: the chain stops */
    CONF_LATER,  /* I took a ConfLater and shall finish it */
} ConfVerdict;

/* Error codes of protocol.md 11 may be put on a GError of domain CONF_PLUGIN_RPC_ERROR (code = the
 * number): the client gets that code.  Of domain CONF_ERROR the code CONF_ERROR_UNAVAILABLE becomes
 * -32013; anything else in `received` -32603, in `login` -32001. */
#define CONF_PLUGIN_RPC_ERROR (conf_plugin_rpc_error_quark())
CONF_API GQuark conf_plugin_rpc_error_quark(void);

/* ---- hooks: a NULL member costs nothing; self is what load() returned ---- */
typedef struct {
    size_t size; /* sizeof(ConfHooks) at the plugin's build: later members count as NULL */
    /* connection; for accepted and for outgoing ones alike */
    ConfVerdict (*accepted)(void *self, ConfConnection *c, GError **error);
    ConfVerdict (*transport)(void *self, ConfConnection *c, GError **error); /* may push a filter: TLS */
    void (*opened)(void *self, ConfConnection *c);                           /* handshakes are over */
    /* nothing received since; see conf_connection_watch_idle */
    void (*idle)(void *self, ConfConnection *c, unsigned quiet_ms);
    void (*closed)(void *self, ConfConnection *c); /* last use of c */
    /* requests */
    ConfVerdict (*received)(void *self, ConfRequest *r, GError **error);
    ConfVerdict (*login)(void *self, ConfLogin *l, GError **error);
    void (*answered)(void *self, ConfRequest *r, int code, uint64_t usec);
    /* notifications */
    void (*committed)(void *self, const ConfCommit *commit);
    bool (*visible)(void *self, ConfSession *s, const ConfObject *object); /* false: hidden */
    void (*session_opened)(void *self, ConfSession *s, bool resumed);
    void (*session_closed)(void *self, ConfSession *s, const char *reason);
    /* a log-in that was refused, and why (audit) */
    void (*login_refused)(void *self, ConfLogin *l, const char *why);
} ConfHooks;
enum { CONF_FIRST = 100, CONF_EARLY = 300, CONF_NORMAL = 500, CONF_LATE = 700, CONF_LAST = 900 };

/* From load() only; several tables allowed.  Lower runs first; ties: the order of `plugins =`. */
CONF_API void conf_plugin_hook(ConfPlugin *p, int priority, const ConfHooks *hooks);
/* A service of which the core needs one: "storage" (ConfStorageProvider), "history" (ConfHistoryProvider).
 * False: taken. */
CONF_API bool conf_plugin_provide(ConfPlugin *p, const char *service, const void *table, GError **error);
/* From load() only: this plugin is what option `library` of [authentication] means by that name
 * ("gauth_ldap").  Its hook `login` is asked only for the accounts whose list names it, in the order of
 * the list and after the hooks of other plugins; never with an empty password.  There CONF_NEXT says that
 * the account is unknown to it; a refusal with CONF_ERROR_UNAVAILABLE that it could not find out: the next
 * of the list is asked; any other refusal is final.  False: the name is taken. */
CONF_API bool conf_plugin_authenticates(ConfPlugin *p, const char *library, GError **error);
CONF_API const char *conf_plugin_get_name(const ConfPlugin *p);
/* Section of the server's own options in force now, as text; NULL: unset. */
CONF_API const char *conf_plugin_get_option(const ConfPlugin *p, const char *section, const char *key);
/* data-folder of this server. */
CONF_API const char *conf_plugin_get_data_folder(const ConfPlugin *p);
/* Name of the server's own application, its role ("primary", "proxy", "backup"). */
CONF_API const char *conf_plugin_get_application(const ConfPlugin *p);
CONF_API const char *conf_plugin_get_role(const ConfPlugin *p);
/* The revision that this server stands at; 0: it has no data yet (load(), a proxy before its first load). */
CONF_API int64_t conf_plugin_get_revision(const ConfPlugin *p);
/* One line in the log. `level`: 0 error .. 4 debug.  At most 12 pairs, const char *, NULL-ended.  Any
 * thread. */
CONF_API void conf_plugin_log(const ConfPlugin *p, int level, const char *sentence, ...)
    G_GNUC_NULL_TERMINATED;
/* A counter or gauge in server.statistics under "NAME" (flat; the plugin's name is put before:
 * "addp.polls").  The address stays valid as long as the plugin is loaded. */
CONF_API void conf_plugin_statistic(ConfPlugin *p, const char *name, const uint64_t *value);

/* ---- later: keeps a request or log-in past its hook ----
 * gone() says that nobody waits any more (client closed, or timeout_ms over and the core has answered
 * "unavailable").  Finish exactly once in every case, also after gone().  Finishing with CONF_NEXT goes on
 * with the next hook. */
CONF_API ConfLater *conf_request_later(ConfRequest *r, unsigned timeout_ms, void (*gone)(void *), void *data);
CONF_API ConfLater *conf_login_later(ConfLogin *l, unsigned timeout_ms, void (*gone)(void *), void *data);
CONF_API void conf_later_finish(ConfLater *later, ConfVerdict verdict, GError *error); /* takes both */
/* of a request: DONE with this result */
CONF_API void conf_later_answer(ConfLater *later, const char *result_json);
/* of a request: refused with this code of protocol.md 11 and data (an object, may be NULL) */
CONF_API void conf_later_answer_error(ConfLater *later, int code, const char *message, const char *data_json);
/* of a log-in: ask more (-32002); takes later */
CONF_API void conf_later_challenge(ConfLater *later, const char *prompt, GBytes *state);

/* ---- work, watches, timers ---- */
/* Blocking library: work() runs in a thread, of which a plugin keeps two to four, and sees only job;
 * done() always follows on the main loop, before unload().  False: the queue is full, or the plugin is
 * being unloaded; refuse with CONF_ERROR_UNAVAILABLE. */
CONF_API bool conf_work(ConfPlugin *p, void (*work)(void *job), void (*done)(void *self, void *job),
                        void *job);
/* Any thread: func(self, data) on the main loop; not called any more once unload() was. */
CONF_API void conf_plugin_call_main(ConfPlugin *p, void (*func)(void *self, void *data), void *data);
/* Library with a descriptor (libldap, libpq): waits in the server's main loop until conf_unwatch;
 * G_IO_NVAL (the descriptor was closed) is told once and ends the watch.  0: refused. */
CONF_API unsigned conf_watch(ConfPlugin *p, int fd, GIOCondition events,
                             void (*ready)(void *self, int fd, GIOCondition));
/* Once. */
CONF_API unsigned conf_timer(ConfPlugin *p, unsigned ms, void (*due)(void *self, void *data), void *data);
CONF_API void conf_unwatch(ConfPlugin *p, unsigned id); /* either kind; before unload() the core does it */

/* ---- connections ---- */
CONF_API uint64_t conf_connection_get_id(const ConfConnection *c);
CONF_API bool conf_connection_is_outgoing(const ConfConnection *c);
CONF_API bool conf_connection_is_loopback(const ConfConnection *c);
CONF_API bool conf_connection_is_encrypted(const ConfConnection *c);
CONF_API const char *conf_connection_get_peer(const ConfConnection *c);         /* "10.1.2.3:4711" */
CONF_API const char *conf_connection_get_peer_address(const ConfConnection *c); /* without the port */
/* of the listener; "" of outgoing ones */
CONF_API const char *conf_connection_get_port_id(const ConfConnection *c);
/* outgoing: the name dialled; else "" */
CONF_API const char *conf_connection_get_host(const ConfConnection *c);
/* monotonic usec; what waits in the socket counts (behind answers that the peer does not take: while more
 * comes) */
CONF_API int64_t conf_connection_get_last_receive(const ConfConnection *c);
/* Bytes written that the peer's machine has not acknowledged, sent or not; and how many it has so far. */
CONF_API size_t conf_connection_get_waiting(const ConfConnection *c);
CONF_API uint64_t conf_connection_get_acknowledged(const ConfConnection *c);
/* An option of this connection by the look-up order: of an accepted one port → application → host, of an
 * outgoing one connection → application → host; within each the `transport` string
 * ("tls=1;certificate=...") before the section named.  Section "port" are the members of the port itself
 * ("listening", "mutual", "clients"), section "connection" those of the connection to the master ("protocol",
 * "localTimeout", "trace"...), without that order.  NULL: set nowhere. Borrowed until the hook returns. */
CONF_API const char *conf_connection_get_option(const ConfConnection *c, const char *section,
                                                const char *key);
/* A plugin's own data on a connection; freed after `closed`.  NULL data takes it away. */
CONF_API void conf_connection_set_plugin_data(ConfConnection *c, ConfPlugin *p, void *data,
                                              void (*free_data)(void *));
CONF_API void *conf_connection_get_plugin_data(const ConfConnection *c, const ConfPlugin *p);
/* hook `idle` is called for this connection once nothing was received for `ms`, and again every `ms` of
 * silence, up to a hundredth later; 0: never. One setting a plugin and connection. */
CONF_API void conf_connection_watch_idle(ConfConnection *c, ConfPlugin *p, unsigned ms);
/* Closed at the end of the turn; pointers stay good until `closed`. */
CONF_API void conf_connection_drop(ConfConnection *c, const char *reason);
/* A request to the peer (addp.poll).  answered(): result and error are raw JSON, one of them NULL; both
 * NULL: no answer in time or connection gone. */
CONF_API bool conf_connection_send_request(
    ConfConnection *c, ConfPlugin *p, const char *method, const char *params_json, unsigned timeout_ms,
    void (*answered)(void *self, const char *result, const char *error, void *data), void *data);
CONF_API bool conf_connection_send_notification(ConfConnection *c, const char *method,
                                                const char *params_json);
/* Of an outgoing connection, from hook `opened`: a further member of the params of "session.open" or
 * "replica.open" that this server sends on it ("addp", which every server lets pass; others are refused by a
 * master whose plugins do not know them).  answered() (may be NULL) gets the member of the same
 * name of the result, raw JSON; NULL: the other side understands none. Not called where the request fails. */
CONF_API void conf_connection_add_param(ConfConnection *c, ConfPlugin *p, const char *method,
                                        const char *member, const char *json,
                                        void (*answered)(void *self, ConfConnection *c, const char *json));

/* ---- filters: a transform of the byte stream (TLS); pushed by hook `transport` ---- */
typedef struct ConfFilterHandle ConfFilterHandle;
typedef struct {
    size_t size; /* sizeof(ConfFilterTable) */
    /* The stream begins.  An outgoing filter may speak first. */
    void (*start)(void *filter, ConfFilterHandle *h, bool outgoing);
    /* Bytes from the wire: hand on what they decode to by conf_filter_emit_plain; answer by
     * conf_filter_emit_wire. */
    void (*decode)(void *filter, ConfFilterHandle *h, const void *data, size_t size);
    /* Bytes of the server: hand them on by conf_filter_emit_wire.  Called only after conf_filter_ready. */
    void (*encode)(void *filter, ConfFilterHandle *h, const void *data, size_t size);
    /* The server ends the stream (close_notify). May be NULL. */
    void (*end)(void *filter, ConfFilterHandle *h);
    /* The peer closed its side: false if the stream was cut (truncation). May be NULL. */
    bool (*peer_closed)(void *filter, ConfFilterHandle *h);
    void (*free)(void *filter);
} ConfFilterTable;
CONF_API void conf_connection_push_filter(ConfConnection *c, const ConfFilterTable *table, void *filter);
CONF_API void conf_filter_emit_plain(ConfFilterHandle *h, const void *data, size_t size);
CONF_API void conf_filter_emit_wire(ConfFilterHandle *h, const void *data, size_t size);
/* The handshake is over: the connection opens once all its filters are ready. */
CONF_API void conf_filter_ready(ConfFilterHandle *h);
CONF_API void conf_filter_set_encrypted(ConfFilterHandle *h, bool encrypted);
/* Who the peer proved to be ("CN=proxy1,O=..."), and further names, NULL-ended; copied. */
CONF_API void conf_filter_set_peer_identity(ConfFilterHandle *h, const char *subject,
                                            const char *const *names);
CONF_API void conf_filter_fail(ConfFilterHandle *h, const char *reason); /* closes */
/* The peer ended its stream within the filter's (close_notify), as if it had closed its side: what it asked
 * for is answered, then the connection closes. */
CONF_API void conf_filter_peer_ended(ConfFilterHandle *h);
CONF_API ConfConnection *conf_filter_get_connection(const ConfFilterHandle *h);
/* NULL: proved nothing */
CONF_API const char *conf_connection_get_peer_subject(const ConfConnection *c);
CONF_API const char *const *conf_connection_get_peer_names(const ConfConnection *c); /* NULL-ended, or NULL */

/* ---- requests and methods ---- */
CONF_API const char *conf_request_get_method_name(const ConfRequest *r);
/* Raw JSON text of params; NUL-ended, good until the hook returns. */
CONF_API const char *conf_request_get_params_json(ConfRequest *r);
CONF_API ConfConnection *conf_request_get_peer(const ConfRequest *r); /* NULL: gone */
CONF_API ConfSession *conf_request_get_owner(const ConfRequest *r);   /* NULL: not logged in */
/* Answers (then return CONF_DONE). */
CONF_API void conf_request_answer_json(ConfRequest *r, const char *result_json);
CONF_API void conf_request_answer_error(ConfRequest *r, int code, const char *message, const char *data_json);
/* Adds members to the params of session.open's and replica.open's requests that this plugin understands
 * ("addp"); others answer -32602 to a member they do not know. And to their answers. */
CONF_API void conf_plugin_know_param(ConfPlugin *p, const char *method, const char *member);
CONF_API void conf_request_add_to_answer(ConfRequest *r, const char *member, const char *json);
/* From load() only.  func answers by conf_request_answer_json, or takes conf_request_later.  Needs a
 * session unless before_login. False: the name is taken. */
typedef void (*ConfPluginMethodFunc)(void *self, ConfRequest *r);
CONF_API bool conf_plugin_add_method(ConfPlugin *p, const char *name, bool before_login,
                                     ConfPluginMethodFunc func, GError **error);

/* ---- JSON: reading as a tree, writing ---- */
typedef struct ConfJson ConfJson; /* a value; lives until the hook returns */
typedef enum {
    CONF_V_NULL,
    CONF_V_BOOLEAN,
    CONF_V_NUMBER,
    CONF_V_STRING,
    CONF_V_ARRAY,
    CONF_V_OBJECT
} ConfValueKind;
/* NULL: not one strict JSON text; *error says where. */
CONF_API const ConfJson *conf_value_parse(const char *text, GError **error);
CONF_API ConfValueKind conf_value_kind(const ConfJson *v);
CONF_API const ConfJson *conf_value_member(const ConfJson *v, const char *name); /* NULL: none */
/* of array or object; NULL: past the end */
CONF_API const ConfJson *conf_value_item(const ConfJson *v, unsigned index);
/* the item after this one; NULL: it is the last */
CONF_API const ConfJson *conf_value_next(const ConfJson *v);
CONF_API unsigned conf_value_length(const ConfJson *v);
/* NUL-ended; a text with \u0000 in it is none, lest it be read as its beginning. */
CONF_API const char *conf_value_string(const ConfJson *v); /* of STRING; NULL: no string */
CONF_API const char *conf_value_key(const ConfJson *v);    /* of a member of an object; NULL: none */
CONF_API bool conf_value_integer(const ConfJson *v, int64_t *integer); /* false: no integer */
CONF_API bool conf_value_boolean(const ConfJson *v);
/* Writing: puts commas.  Any thread, one writer in one thread at a time. */
CONF_API ConfJsonWriterHandle *conf_writer_new(void);
CONF_API void conf_writer_begin_object(ConfJsonWriterHandle *w);
CONF_API void conf_writer_end_object(ConfJsonWriterHandle *w);
CONF_API void conf_writer_begin_array(ConfJsonWriterHandle *w);
CONF_API void conf_writer_end_array(ConfJsonWriterHandle *w);
CONF_API void conf_writer_key(ConfJsonWriterHandle *w, const char *key);
CONF_API void conf_writer_string(ConfJsonWriterHandle *w, const char *value);
CONF_API void conf_writer_integer(ConfJsonWriterHandle *w, int64_t value);
CONF_API void conf_writer_boolean(ConfJsonWriterHandle *w, bool value);
CONF_API void conf_writer_null(ConfJsonWriterHandle *w);
CONF_API void conf_writer_json(ConfJsonWriterHandle *w, const char *json); /* one whole value */
CONF_API char *conf_writer_finish(ConfJsonWriterHandle *w);                /* frees it; g_free() the text */

/* ---- objects and commits ---- */
CONF_API const char *conf_object_get_type(const ConfObject *o); /* "host" */
CONF_API int64_t conf_object_get_dbid(const ConfObject *o);
CONF_API int64_t conf_object_get_revision(const ConfObject *o);
CONF_API const char *conf_object_get_name(const ConfObject *o);
CONF_API const char *conf_object_get_json(const ConfObject *o, size_t *size); /* the body; NUL-ended */
CONF_API int64_t conf_commit_get_revision(const ConfCommit *c);
CONF_API const char *conf_commit_get_chain(const ConfCommit *c);
/* 0: one transaction.  Else a fold, on a proxy that had to load anew: all that changed after this revision,
 * by whomever. */
CONF_API int64_t conf_commit_get_from(const ConfCommit *c);
CONF_API int64_t conf_commit_get_time(const ConfCommit *c); /* ms since 1970 UTC */
CONF_API int64_t conf_commit_get_user(const ConfCommit *c); /* dbid; 0: none */
CONF_API int64_t conf_commit_get_application(const ConfCommit *c);
CONF_API const char *conf_commit_get_address(const ConfCommit *c); /* NULL: none */
CONF_API unsigned conf_commit_get_length(const ConfCommit *c);
/* "create", "update", "delete", "permission", "secret"; before and after may be NULL.  After either is
 * lent. */
CONF_API const char *conf_commit_get_change(const ConfCommit *c, unsigned index, const ConfObject **before,
                                            const ConfObject **after);
/* The list of rights in force on the object of that change, its own or inherited: after it, of a delete
 * before it.  JSON as of permission.read's `entries`, for conf_session_may_by(); g_free().  NULL: not
 * known. */
CONF_API char *conf_commit_get_rights(const ConfCommit *c, unsigned index);
/* The change record of architecture.md 5 as JSON: the very text that the chain is made of, on a primary
 * and on a proxy whose account may read everything.  Any other proxy knows a part of it, without the
 * client's address. g_free(). */
CONF_API char *conf_commit_to_json(const ConfCommit *c);
/* The store as it is, with no rights asked; NULL: none such.  Lent until the hook returns. */
CONF_API const ConfObject *conf_plugin_lookup(ConfPlugin *p, const char *type, int64_t dbid);
CONF_API const ConfObject *conf_plugin_lookup_name(ConfPlugin *p, const char *type, const char *name);
/* The types and fields in force, as server.schema answers them, g_free(); NULL: not known yet. */
CONF_API char *conf_plugin_get_schema(const ConfPlugin *p);

/* ---- sessions ---- */
/* never used twice in a process; not the token */
CONF_API uint64_t conf_session_get_id(const ConfSession *s);
/* dbid of the person; 0: an application as itself */
CONF_API int64_t conf_session_get_user(const ConfSession *s);
CONF_API const char *conf_session_get_user_name(const ConfSession *s); /* "" then */
CONF_API int64_t conf_session_get_application(const ConfSession *s);
CONF_API const char *conf_session_get_application_name(const ConfSession *s);
CONF_API ConfConnection *conf_session_get_peer(const ConfSession *s); /* NULL: broken, may be resumed */
/* "read", "change", ... */
CONF_API bool conf_session_may(const ConfSession *s, const ConfObject *o, const char *right);
/* The same by a list of rights that was kept (conf_commit_get_rights): of objects that are gone. */
CONF_API bool conf_session_may_by(const ConfSession *s, const char *rights_json, const char *right);
CONF_API bool conf_session_is_administrator(const ConfSession *s);
/* An object as the session sees it; NULL: none, or not readable. */
CONF_API const ConfObject *conf_session_read(ConfSession *s, const char *type, int64_t dbid);
CONF_API const ConfObject *conf_session_read_name(ConfSession *s, const char *type, const char *name);
/* The object that a request's params name for its session, as the methods of the core take it: {"type","dbid"},
 * {"type","name","tenant"?} or {"path"}, other members are passed over.  NULL: it was answered (-32602 with
 * data.path, -32004). */
CONF_API const ConfObject *conf_request_find(ConfRequest *r);
/* An object that is gone, as it was once: by the list of rights that was in force on it last, NULL: not
 * known; that one only an administrator may read. */
CONF_API bool conf_session_may_read_past(ConfSession *s, const char *object_json, const char *last_rights);
/* A transaction as the session: `operations_json` is the array of method `transaction`.  done():
 * error_json NULL: committed as `revision`.  done always follows, also after the session is gone, but not
 * after unload(). */
CONF_API void conf_session_submit(ConfSession *s, ConfPlugin *p, const char *operations_json,
                                  void (*done)(void *self, int64_t revision, const char *error_json,
                                               void *data),
                                  void *data);
/* The same with all that method `transaction` takes and answers: `params_json` is its params (operations,
 * dryRun), result_json its result.  Other than there, an object to be created may carry the dbid that it had
 * before it was deleted: it comes back under it. */
CONF_API void conf_session_transaction(ConfSession *s, ConfPlugin *p, const char *params_json,
                                       void (*done)(void *self, const char *result_json,
                                                    const char *error_json, void *data),
                                       void *data);
CONF_API bool conf_session_send_notification(ConfSession *s, const char *method, const char *params_json);
/* Ends it: session.ending with this reason. */
CONF_API void conf_session_end(ConfSession *s, const char *reason);

/* ---- log-ins ---- */
CONF_API const char *conf_login_get_user(const ConfLogin *l); /* as given; "" if none */
CONF_API const char *conf_login_get_application(const ConfLogin *l);
/* "" if none; wiped after the hook or the later */
CONF_API const char *conf_login_get_password(const ConfLogin *l);
/* "password", "certificate", "kerberos" */
CONF_API const char *conf_login_get_mechanism(const ConfLogin *l);
CONF_API const char *conf_login_get_token(const ConfLogin *l); /* of other mechanisms; "" */
/* NULL: unknown here, or an application as itself */
CONF_API const ConfObject *conf_login_get_person(const ConfLogin *l);
CONF_API ConfConnection *conf_login_get_connection(const ConfLogin *l); /* NULL: gone */
/* What the directory says to the user: data.text of the error, or text of the answer that tells of the
 * session. */
CONF_API void conf_login_set_text(ConfLogin *l, const char *text);
/* Further access groups for this session (names); unknown ones are logged and left out. */
CONF_API void conf_login_add_group(ConfLogin *l, const char *group);
/* Which group that would be: of several tenants' groups of the name the one nearest above the person,
 * where there is none above it, the only one.  NULL: none.  Lent until the hook returns. */
CONF_API const ConfObject *conf_login_find_group(const ConfLogin *l, const char *group);
/* session.continue: the state that this plugin gave to conf_later_challenge, and the answer; NULL: the first
 * round, or another plugin's challenge. */
CONF_API GBytes *conf_login_get_state(const ConfLogin *l);
CONF_API const char *conf_login_get_response(const ConfLogin *l);

/* ---- service "storage": blocking functions, called by one thread at a time (writer, or at start) ---- */
typedef struct {
    uint16_t type;
    int64_t dbid, revision, acl_revision;
    const char *body, *secrets, *permissions; /* not NUL-ended; secrets, permissions may be NULL */
    size_t body_size, secrets_size, permissions_size;
} ConfStorageObject;
typedef struct {
    int64_t revision, time_ms;
    const char *chain;  /* 16 hex digits */
    const char *record; /* JSON text */
    size_t record_size;
} ConfStorageChange;
typedef struct {
    int64_t base_revision; /* lease row's revision must be this */
    int64_t last_revision; /* and becomes this */
    const char *last_chain;
    const ConfStorageObject *puts; /* written or replaced */
    size_t put_count;
    const ConfStorageObject *removes; /* type and dbid only */
    size_t remove_count;
    const ConfStorageChange *changes;
    size_t change_count;
    const uint16_t *dbid_types; /* next dbids that moved */
    const int64_t *dbid_next;
    size_t dbid_count;
} ConfStorageBatch;
typedef struct {
    char environment[37];
    int64_t epoch, revision, beat;
    char chain[17];
    char holder[256];
    int64_t created_ms;
} ConfStorageLease;
typedef bool (*ConfStorageObjectFunc)(const ConfStorageObject *object, void *data, GError **error);
typedef bool (*ConfStorageChangeFunc)(const ConfStorageChange *change, void *data, GError **error);
typedef bool (*ConfStorageDbidFunc)(uint16_t type, int64_t next, void *data, GError **error);
/* Looks an option of the database section up; NULL: unset. */
typedef const char *(*ConfStorageOptionFunc)(const char *key, void *data);
typedef struct {
    size_t size;        /* sizeof(ConfStorageProvider) */
    const char *engine; /* what `dbengine` must say; further names after commas: "postgre,postgresql" */
    /* create: the database may be made.  *lock_name: see take_lock. */
    void *(*open)(ConfStorageOptionFunc option, void *data, bool create, GError **error);
    void (*close)(void *db);
    /* Numbered migrations under a lock; CONF_ERROR_NEWER where the database is newer.  *version: now. */
    bool (*migrate)(void *db, int *version, GError **error);
    /* The lock that dies with the process, named by the epoch it is for.  1: taken, 0: held by someone,
     * -1: *error. */
    int (*take_lock)(void *db, int64_t epoch, GError **error);
    bool (*read_lease)(void *db, ConfStorageLease *lease, GError **error);
    /* epoch := epoch + 1 where it is still `seen`; CONF_ERROR_HELD otherwise. */
    bool (*take_lease)(void *db, int64_t seen_epoch, const char *holder, int64_t *epoch, GError **error);
    /* beat := beat + 1 where epoch is mine; CONF_ERROR_DEPOSED otherwise.  Also within the func of a load. */
    bool (*renew_lease)(void *db, int64_t epoch, GError **error);
    /* (type, dbid) order */
    bool (*load_objects)(void *db, ConfStorageObjectFunc func, void *data, GError **error);
    bool (*load_next_dbids)(void *db, ConfStorageDbidFunc func, void *data, GError **error);
    bool (*load_changes)(void *db, int64_t after, ConfStorageChangeFunc func, void *data, GError **error);
    /* All or nothing, durable when it returns true.  First statement: the fenced update of the lease row;
     * no row: CONF_ERROR_DEPOSED.  CONF_ERROR_UNKNOWN where the outcome cannot be told; CONF_ERROR_FULL,
     * _UNAVAILABLE: not done. */
    bool (*commit)(void *db, int64_t epoch, const ConfStorageBatch *batch, GError **error);
    /* -init: everything, and the lease row, in one transaction; CONF_ERROR_EXISTS where data stands. */
    bool (*initialize)(void *db, const ConfStorageLease *lease, const ConfStorageBatch *batch,
                       GError **error);
    /* Removes at most `limit` of the oldest change records that are older than `before_ms`, or above
     * max_bytes in all, with revision < keep_from.  *removed: how many. */
    bool (*prune)(void *db, int64_t epoch, int64_t before_ms, int64_t max_bytes, int64_t keep_from, int limit,
                  int *removed, GError **error);
    /* After an error: is the connection worth keeping?  False: it is closed and opened anew. */
    bool (*is_alive)(void *db);
    /* -accept-rollback: a new environment UUID. */
    bool (*set_environment)(void *db, int64_t epoch, const char *environment, GError **error);
    /* Housekeeping (a checkpoint) after a commit was answered; `idle`: nothing else waits.  Short; may be
     * NULL. */
    void (*tidy)(void *db, bool idle);
} ConfStorageProvider;

/* Change records with revision > after that the database of this server still has, ascending and without
 * gaps among them, a page at a time: what a history misses.  done always follows, at once or later, but
 * not after unload(): `changes` are lent, their records NUL-ended; none: there are no more.
 * CONF_ERROR_UNAVAILABLE: the database is away; CONF_ERROR_NOT_FOUND: a proxy has none. */
typedef void (*ConfPluginChangesFunc)(void *self, const ConfStorageChange *changes, size_t count,
                                      const GError *error, void *data);
CONF_API void conf_plugin_read_changes(ConfPlugin *p, int64_t after, ConfPluginChangesFunc done, void *data);

/* ---- service "history" ---- */
typedef struct {
    size_t size;
    /* The highest revision that the history holds durably: change records are not pruned above it. */
    int64_t (*get_confirmed)(void *self);
    /* asOf: the object as of a revision, at once or later: done(body, NULL) once, or done(NULL, error), where
     * CONF_ERROR_NOT_FOUND means that there was none then.  `error` stays the caller's.  Of an object that is
     * there now the core has asked the rights; of one that is gone the provider asks its last ones
     * (conf_session_may_by) and answers CONF_ERROR_NOT_FOUND where read is missing.  `s`: within the call
     * only. */
    void (*read_as_of)(void *self, ConfSession *s, const char *type, int64_t dbid, int64_t revision,
                       void (*done)(const char *object_json, const GError *error, void *data), void *data);
    /* Change records with revision > after, ascending, for replays beyond the memory; func false ends;
     * done once at the end in any case, at once or later. `error` stays the caller's. */
    void (*replay)(void *self, int64_t after,
                   bool (*func)(const char *record_json, const char *chain, void *data),
                   void (*done)(const GError *error, void *data), void *data);
    /* Sessions on disk: saved at each change, asked for at a resume of an unknown token. Both may be NULL.  token_hash
     * is 64 hex digits, or "alive", under which the server leaves when it was last alive: to be kept like a session.
     * What was not saved again for a day may be dropped. */
    /* NULL json: forget */
    void (*save_session)(void *self, const char *token_hash, const char *session_json);
    void (*load_session)(void *self, const char *token_hash,
                         void (*done)(const char *session_json, void *data), void *data);
    /* At start, before ports open: the change records above get_confirmed() that the database still has,
     * ascending; hook `committed` tells of those that follow.  False ends the start.  May be NULL.
     * On a proxy: those that its master holds above get_confirmed(), each time the link to it is opened, at run
     * time too.  Some may be known already, where they wait to be confirmed; a jump of the revision is a gap that
     * nobody can fill.  They come before a fold that stands for them.  No more than 8 MiB are given before
     * get_confirmed() follows.  False is logged, and no more of them come from this link. */
    bool (*catch_up)(void *self, int64_t revision, const char *chain, const char *record_json,
                     GError **error);
    /* The lowest revision that read_as_of and list_as_of know of; 0: none.  asOf below it is answered -32011.  Without
     * this one and list_as_of there is no asOf.  May be NULL. */
    int64_t (*get_oldest)(void *self);
    /* asOf of lists, of names and paths: every object that was changed after `revision`, once, in any order, as it was
     * at it; object_json NULL: it was not there.  last_rights: of one that is gone now the list of rights that was in
     * force on it last (conf_commit_get_rights), else NULL.  func false ends.  done once in any case, at once or later,
     * but before unload() returns: `upto` is the revision up to which the history was read, what came after it the
     * core knows.  `error` stays the caller's.  May be NULL. */
    void (*list_as_of)(void *self, int64_t revision,
                       bool (*func)(const char *type, int64_t dbid, const char *object_json,
                                    const char *last_rights, void *data),
                       void (*done)(int64_t upto, const GError *error, void *data), void *data);
    /* The session is being told of the past, by `method` ("object.read", "object.list") with these params: for the
     * audit.  May be NULL. */
    void (*past_was_read)(void *self, ConfSession *s, const char *method, const char *params_json);
    /* At start, before catch_up() on a primary and before ports open: where the data of this server stand; on a
     * proxy again when it had to take data of another environment.  A history of another lineage is told from it:
     * a new database, a restored copy that was accepted.  May be NULL. */
    void (*set_position)(void *self, const char *environment, int64_t revision, const char *chain);
    /* The lowest revision from which replay() leads to `upto` without a gap, as far as is known: what a client is told
     * (data.oldest of -32011) whose changes are not held any more.  `upto`: from nowhere below it.  May be NULL. */
    int64_t (*get_replay_start)(void *self, int64_t upto);
} ConfHistoryProvider;

/* ---- the descriptor ---- */
/* An option of confserv's command line that does something instead of serving: `-NAME ARGUMENT`.
 * Configuration is read and checked as for a start; then run() is called, without load().
 * conf_plugin_get_option(), _get_data_folder(), _get_name() and the JSON writer may be used; it may block.
 * False: *error is the line for stderr (CONF_ERROR_INVALID: exit status 2, else 1). */
typedef struct {
    const char *name;     /* "dumpauditxml"; NULL: the end of the table */
    const char *argument; /* "FILE": what it takes, for messages; NULL: nothing */
    const char *const
        *with; /* further options that may be given with it, an argument each; NULL-ended, or NULL */
    const char *help;
    /* values: of `with`, in its order; NULL: not given. */
    bool (*run)(ConfPlugin *p, const void *settings, const char *argument, const char *const *values,
                GError **error);
} ConfPluginCommand;

typedef struct {
    uint32_t magic, abi, feature;
    const char *name, *version, *summary;
    const char *const *needs; /* plugins that must be loaded before; NULL-ended, or NULL */
    const ConfOption *options;
    size_t settings_size;
    /* `settings` stay good until changed() gave the next ones, and until unload() returned.  Options that
     * take effect at start only keep their value in them.  A section of NULL in `options` is the plugin's
     * name, "" the server's own; of "NAME*" (NAME, and NAME_1 or NAME-1 by any number) values are checked, and
     * read by conf_plugin_get_option(). */
    bool (*check)(const void *settings, GError **error); /* pure: start, reload, -check-config */
    void *(*load)(ConfPlugin *p, const void *settings, GError **error); /* NULL: refused, *error */
    /* Only after check() agreed.  Also at a reload that changed no option: files that they name may have. */
    void (*changed)(void *self, const void *settings);
    void (*stop)(void *self); /* no new work; finish what is held; watches and timers still run */
    /* nothing of the plugin is pending: jobs are done, watches, timers and laters gone */
    void (*unload)(void *self);
    /* Since feature 1: */
    const ConfPluginCommand *commands; /* ended by one without a name; may be NULL */
    /* As check(), after it: for what stands in sections NAME*.  conf_plugin_get_option() gives what is being
     * checked, which is not in force yet; nothing else of `p` may be used. */
    bool (*check_sections)(ConfPlugin *p, const void *settings, GError **error);
} ConfPluginDescriptor;
#define CONF_PLUGIN(...) \
    CONF_API extern const ConfPluginDescriptor conf_plugin; \
    const ConfPluginDescriptor conf_plugin = {CONF_PLUGIN_MAGIC, CONF_PLUGIN_ABI, CONF_PLUGIN_FEATURE, \
                                              __VA_ARGS__}

G_END_DECLS
