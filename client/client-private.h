/* client-private.h - the parts of libconfclient among themselves.
 *
 * client.c owns the object, its properties and signals; connect.c finds a server and logs in; request.c
 * sends calls and matches answers; notification.c takes what the server says by itself; link.c is the
 * socket, tls.c and credentials.c what protects it; subscription.c and mirror.c keep what was subscribed
 * to. */
#pragma once

#include "confclient.h"
#include "json-members.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdbool.h>

enum {
    CONFC_LINE_MAX = 32 * 1024 * 1024,  /* an object is one line, and at most 16 MiB when it is written */
    CONFC_GREETING_MAX = 1024 * 1024,   /* one line before the session stands */
    CONFC_VALUES_MAX = 4 * 1000 * 1000, /* in a line: each takes a hundred bytes or so */
    CONFC_CHALLENGES_MAX = 16,          /* in one log-in */
    CONFC_OUTPUT_MAX = 64 * 1024 * 1024,
    CONFC_CALLS_MAX = 100000,
    CONFC_DEPTH_MAX = 64,
    CONFC_GATHER_MAX = 64 * 1024 * 1024,
};

/* ---- json.c ---- */
/* One JSON value of at most CONFC_DEPTH_MAX levels, UTF-8; *error in CONFC_ERROR_MALFORMED. */
JsonNode *confc_json_parse(const char *text, gsize size, GError **error);
JsonNode *confc_json_copy(JsonNode *node);
JsonObject *confc_json_copy_object(JsonObject *object);

/* ---- error.c ---- */
/* From the member `error` of a response. */
GError *confc_error_from_response(JsonObject *object);

/* ---- address.c ---- */
typedef struct {
    char *host;
    guint16 port;
    char *text;
} ConfcAddress;
GPtrArray *confc_addresses_parse(const char *text, GError **error);

/* ---- credentials.c: what TLS trusts and shows of itself ---- */
typedef struct ConfcCredentials ConfcCredentials;
/* Files in PEM form, each may be NULL; ca NULL: what the system trusts; key NULL: in the file of the
 * certificate. *error in CONFC_ERROR_ARGUMENT. */
ConfcCredentials *confc_credentials_load(const char *ca, const char *crl, const char *certificate,
                                         const char *key, GError **error);
void confc_credentials_free(ConfcCredentials *credentials);
gnutls_certificate_credentials_t confc_credentials_get(ConfcCredentials *credentials);
/* False: a file has changed since it was read. */
bool confc_credentials_are_current(const ConfcCredentials *credentials);
/* What is wrong with the server's certificate (GNUTLS_CERT_...); 0: nothing. */
unsigned confc_credentials_judge(ConfcCredentials *credentials, gnutls_session_t session,
                                 gnutls_typed_vdata_st *wanted, unsigned wanted_count);
/* The same in words. */
char *confc_credentials_explain(gnutls_session_t session, unsigned status, const char *name);

/* ---- tls.c: TLS over a connection ---- */
typedef struct ConfcTls ConfcTls;
/* `error` NULL: the server is who it should be. */
typedef void (*ConfcTlsDoneFunc)(ConfcTls *tls, const GError *error, void *data);
/* Borrows the credentials, which must outlive it.  `ticket` (may be NULL): of an earlier connection. */
ConfcTls *confc_tls_new(GMainContext *context, GSocketConnection *connection, ConfcCredentials *credentials,
                        const char *host, bool check_name, GBytes *ticket, GError **error);
void confc_tls_free(ConfcTls *tls);
/* `done` is called once, from the main loop, unless this is freed before. */
void confc_tls_handshake(ConfcTls *tls, ConfcTlsDoneFunc done, void *data);
/* As the functions of pollable streams; -1 with G_IO_ERROR_WOULD_BLOCK: not now. */
gssize confc_tls_read(ConfcTls *tls, void *data, gsize size, GError **error);
/* Takes what fits into a record; confc_tls_flush() sends it.  False: not all yet, or *error is another
 * one. */
gssize confc_tls_write(ConfcTls *tls, const void *data, gsize size, GError **error);
bool confc_tls_flush(ConfcTls *tls, GError **error);
bool confc_tls_has_input(const ConfcTls *tls);
bool confc_tls_has_output(const ConfcTls *tls);
void confc_tls_say_goodbye(ConfcTls *tls);
/* To resume it by; NULL: there is none. */
GBytes *confc_tls_take_ticket(ConfcTls *tls);
const char *confc_tls_get_description(ConfcTls *tls);

/* ---- link.c: a connection that carries lines ---- */
typedef struct ConfcLink ConfcLink;
typedef void (*ConfcLinkLineFunc)(ConfcLink *link, const char *line, gsize size, void *data);
typedef void (*ConfcLinkClosedFunc)(ConfcLink *link, const GError *error, void *data);
/* Takes a reference to the connection, and `tls` (NULL: plain).  `closed` is called at most once, never from
 * within the functions below. */
ConfcLink *confc_link_new(GMainContext *context, GSocketConnection *connection, ConfcTls *tls,
                          ConfcLinkLineFunc line, ConfcLinkClosedFunc closed, void *data);
bool confc_link_send(ConfcLink *link, GBytes *line, GError **error);
/* Longer ones end the connection; at first CONFC_GREETING_MAX. */
void confc_link_set_line_max(ConfcLink *link, gsize size);
/* No further callbacks; frees the link once none of them is running. */
void confc_link_close(ConfcLink *link);
gint64 confc_link_get_received_at(const ConfcLink *link);
/* Borrowed; NULL: plain. */
ConfcTls *confc_link_get_tls(const ConfcLink *link);

/* ---- calls ---- */
typedef struct ConfcCall ConfcCall;
typedef void (*ConfcCallFunc)(ConfcClient *client, JsonNode *result, const GError *error, void *data);
struct ConfcCall {
    gint64 id;
    GBytes *line;       /* waiting to be sent; NULL afterwards */
    GTask *task;        /* either a task ... */
    ConfcCallFunc func; /* ... or a function */
    void *data;
    gint64 deadline; /* monotonic microseconds; 0: none */
    ConfcClient *client;
    GSource *cancel;     /* of the task's cancellable */
    bool shows_position; /* its answer's revision and chain are the present ones */
};

typedef enum {
    CONFC_STATE_IDLE,
    CONFC_STATE_CONNECTING,
    CONFC_STATE_OPENING, /* connected, not logged in */
    CONFC_STATE_READY,
    CONFC_STATE_WAITING, /* for the next attempt */
    CONFC_STATE_CLOSING,
} ConfcState;

struct _ConfcClient {
    GObject parent;
    GMainContext *context;
    /* properties */
    char *addresses_text, *user, *password, *application, *secret, *client_name, *client_version;
    char *tls_ca, *tls_crl, *tls_certificate, *tls_key, *tls_server_name;
    gboolean replace, reconnect, tls, tls_name_check;
    guint connect_timeout, request_timeout, addp_timeout, addp_remote_timeout;

    ConfcState state;
    GPtrArray *addresses;
    guint address_index, addresses_tried, attempt;
    guint64 generation; /* of the attempt: what belongs to an older one is dropped */
    GTask *connect_task, *disconnect_task;
    GSource *connect_cancel; /* of the task's cancellable */
    GSource *disconnect_cancel;
    GCancellable *dialing;
    bool uses_tls; /* decided before the first attempt, and for all of them */
    ConfcCredentials *credentials;
    ConfcTls *handshaking;
    GSocketConnection *connection; /* while handshaking */
    GHashTable *tickets;           /* address → GBytes, to resume TLS by */
    GSource *timer;                /* of the attempt, or until the next one */
    GSource *tick;                 /* deadlines of calls */
    GSource *addp;
    GError *last_error; /* of this round of attempts */
    GError *said;       /* an error that the server sent without naming a request */
    gint64 retry_after_ms;
    gint64 ready_at; /* monotonic microseconds */

    ConfcLink *link;
    char *peer;
    gint64 next_id;
    GHashTable *calls; /* id → ConfcCall, sent */
    GQueue waiting;    /* ConfcCall, until the session stands */
    gsize waiting_size;
    char *challenge;
    guint challenges; /* of this log-in */

    /* the session */
    char *token, *environment, *chain, *ending;
    gint64 revision;
    char *former_environment; /* of the session before, and how far that one had come */
    gint64 former_revision;   /* -1: not known */
    bool ever_ready;          /* a first log-in succeeded: breaks are mended */
    bool resume_bare;         /* take the session up without subscriptions: they are opened anew */
    guint bare_attempts;
    JsonObject *server, *account;
    char *login_text;     /* what a directory said at the log-in; NULL: nothing */
    gint64 addp_quiet_ms; /* in force; 0: off */
    gint64 addp_asked_at; /* monotonic microseconds; 0: not asked */

    /* a transaction that comes in several lines */
    JsonObject *gathered;
    gsize gathered_size;
    bool gather_overflow;

    GPtrArray *subscriptions; /* ConfcSubscription, references */
    JsonObject *schema;       /* {"types":[...]} */
    bool schema_is_stale;
};

enum {
    CONFC_SIGNAL_CHANGES,
    CONFC_SIGNAL_OBJECTS,
    CONFC_SIGNAL_LOADED,
    CONFC_SIGNAL_RESET,
    CONFC_SIGNAL_STATUS,
    CONFC_SIGNAL_ENDING,
    CONFC_SIGNAL_CONNECTED,
    CONFC_SIGNAL_DISCONNECTED,
    CONFC_SIGNAL_CHALLENGE,
    CONFC_SIGNAL_COUNT,
};
extern guint confc_client_signals[CONFC_SIGNAL_COUNT];

/* ---- client.c ---- */
GSource *confc_client_add_timeout(ConfcClient *client, guint milliseconds, GSourceFunc func);
void confc_client_clear_source(GSource **source);

/* ---- connect.c ---- */
/* The link is gone or has to go: pending calls fail; comes back if that is wanted. */
void confc_client_lose(ConfcClient *client, const GError *error);
/* For good.  `error` NULL: as asked. */
void confc_client_stop(ConfcClient *client, const GError *error);
/* The session stands.  `reason`: why all subscriptions are opened anew; NULL: only those that the server
 * does not have. */
void confc_client_ready(ConfcClient *client, bool resumed, const char *reason);
/* This server gave no session. */
void confc_client_attempt_failed(ConfcClient *client, const GError *error);
/* The same server once more, on a new connection. */
void confc_client_redial(ConfcClient *client);
/* More time for the attempt that is under way. */
void confc_client_extend_attempt(ConfcClient *client, guint seconds);

/* ---- session.c ---- */
void confc_session_open(ConfcClient *client);
void confc_session_set_position(ConfcClient *client, gint64 revision, const char *chain);
void confc_session_forget(ConfcClient *client);

/* ---- addp.c: the keep-alive of protocol.md 8 ---- */
/* What the server's answer to the log-in says; 0 or nonsense: off. */
void confc_addp_agree(ConfcClient *client, gint64 seconds);
/* A poll of the server's, which may tell a new timeout (`remoteTimeout` as it sees it) for what stands. */
void confc_addp_take_poll(ConfcClient *client, JsonObject *params);
void confc_addp_start(ConfcClient *client);
void confc_addp_stop(ConfcClient *client);

/* ---- request.c ---- */
void confc_client_call(ConfcClient *client, const char *method, JsonNode *params, bool shows_position,
                       ConfcCallFunc func, void *data);
/* Before the session stands. */
void confc_client_call_now(ConfcClient *client, const char *method, JsonNode *params, ConfcCallFunc func,
                           void *data);
void confc_client_fail_calls(ConfcClient *client, bool waiting_too, const GError *error);
void confc_client_send_waiting(ConfcClient *client);
void confc_client_take_response(ConfcClient *client, JsonObject *response);
void confc_client_answer(ConfcClient *client, JsonNode *id, const char *member, const char *json);

/* ---- notification.c ---- */
void confc_client_take_line(ConfcClient *client, const char *line, gsize size);
/* The server is asked for nothing that it has not offered; what is half gathered is dropped with the link. */
void confc_client_drop_gathered(ConfcClient *client);

/* ---- subscription.c ---- */
ConfcSubscription *confc_client_find_subscription(ConfcClient *client, gint64 id);
/* "subscriptions" of session.resume: those whose present state is known. */
JsonArray *confc_subscriptions_describe(ConfcClient *client);
/* Its answer: the numbers of those that were given, in their order. */
void confc_subscriptions_resumed(ConfcClient *client, JsonArray *answered);
/* Opens anew those that the server does not have; `all`: forgets the numbers and states of all before, and
 * says so. */
void confc_subscriptions_reopen(ConfcClient *client, const char *reason, bool all);
void confc_subscriptions_reset(ConfcClient *client, gint64 revision, const char *reason);
void confc_subscriptions_apply(ConfcClient *client, JsonObject *changes);
void confc_subscription_take_objects(ConfcSubscription *subscription, JsonArray *objects);
void confc_subscription_take_loaded(ConfcSubscription *subscription, gint64 revision);
void confc_subscriptions_release(ConfcClient *client);

/* ---- mirror.c: objects by type and dbid, kept up to date as protocol.md 6 says ---- */
typedef struct ConfcMirror ConfcMirror;
ConfcMirror *confc_mirror_new(void);
void confc_mirror_free(ConfcMirror *mirror);
void confc_mirror_clear(ConfcMirror *mirror);
void confc_mirror_put(ConfcMirror *mirror, JsonObject *object);
/* False: an update of an object that is not there. */
bool confc_mirror_apply(ConfcMirror *mirror, JsonObject *schema, gint64 revision, JsonObject *change);
JsonObject *confc_mirror_lookup(ConfcMirror *mirror, const char *type, gint64 dbid);
guint confc_mirror_count(ConfcMirror *mirror);
GPtrArray *confc_mirror_list(ConfcMirror *mirror);
/* A new object: `before` with patch, add and remove of the change, at `revision`. */
JsonObject *confc_mirror_update(JsonObject *before, JsonObject *schema, gint64 revision, JsonObject *change);
