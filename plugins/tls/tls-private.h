/* tls-private.h - the parts of the plugin.
 *
 * tls.c options, hooks, which connections are secured; tls-filter.c the filter that stands on one;
 * tls-session.c the GnuTLS session in it; tls-handshake.c the queue of handshakes; tls-context.c what all
 * sessions with the same options share, and its renewal; tls-credentials.c certificates, keys and lists
 * from their files; tls-lists.c lists that are out of date; tls-cipher.c priority strings; tls-expiry.c
 * days left; tls-login.c log-in by certificate. */
#pragma once

#include <sys/queue.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "plugin/confserv-plugin.h"

typedef struct {
    char *certificate, *certificate_key, *trusted_ca, *crl, *protocol, *ciphers;
    bool tls, mutual;
    int64_t name_check; /* index in "host|no" */
    int64_t handshake_timeout_ms, handshakes_max;
    int64_t ticket_lifetime_s; /* 0: no tickets */
} TlsSettings;

/* ---- what decides how a connection is secured: tls.c looks it up for each ---- */
typedef struct {
    bool is_server, mutual;
    const char *certificate, *certificate_key, *trusted_ca, *crl, *protocol, *ciphers; /* NULL: unset */
} TlsParameters;

/* ---- files: tls-credentials.c ---- */
typedef struct {
    char *path;
    time_t not_after; /* of a list: when the next one is due */
    bool is_list;
} TlsDate;

typedef struct {
    GBytes *issuer;     /* its name, DER */
    time_t next_update; /* from then on it is out of date */
} TlsList;

typedef struct {
    /* [0] holds all certificates; the others begin with one of their own and are chosen by name. */
    GPtrArray *credentials; /* of gnutls_certificate_credentials_t */
    GPtrArray *leaves;      /* of gnutls_x509_crt_t: of credentials[i + 1] */
    GArray *dates;          /* of TlsDate */
    GArray *lists;          /* of TlsList */
} TlsCredentials;

/* NULL: *error says which file is wrong and why. */
TlsCredentials *tls_credentials_load(const TlsParameters *parameters, GError **error);
void tls_credentials_free(TlsCredentials *credentials);
/* Those for the name that a client asks for; else the first. */
gnutls_certificate_credentials_t tls_credentials_choose(const TlsCredentials *credentials, const char *name);

/* ---- lists of revoked certificates: tls-lists.c ---- */
void tls_lists_add(GArray *lists, gnutls_x509_crl_t crl);
/* A GDestroyNotify of TlsList. */
void tls_lists_clear(void *list);
/* Whether the lists of an authority that signed a certificate of the chain (DER) are all out of date. */
bool tls_lists_are_outdated(const GArray *lists, const gnutls_datum_t *chain, unsigned count);

/* ---- what is negotiated: tls-cipher.c ---- */
/* A priority string of GnuTLS from options sec-protocol and cipher-list; g_free().  NULL: *error. */
char *tls_priority_string(const char *protocol, const char *ciphers, bool is_server, GError **error);

/* ---- shared by sessions of the same options: tls-context.c ---- */
typedef struct Tls Tls;
typedef struct {
    unsigned refs;
    char *key;
    char *texts[6]; /* of parameters */
    TlsParameters parameters;
    TlsCredentials *credentials;
    gnutls_priority_t priority;
    gnutls_datum_t ticket_key; /* tickets of one context are worth nothing in another */
    int64_t ticket_key_until;  /* monotonic usec */
    unsigned idle;             /* renewals since it was used last */
} TlsContext;

TlsContext *tls_context_new(const TlsParameters *parameters, GError **error);
TlsContext *tls_context_ref(TlsContext *context);
void tls_context_unref(TlsContext *context);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TlsContext, tls_context_unref)
/* From the cache, or made; borrowed.  NULL: *error. */
TlsContext *tls_context_get(Tls *self, const TlsParameters *parameters, GError **error);
/* Those with a file of `before` that the options do not name any more: it need not be there any more. */
void tls_contexts_forget(Tls *self, const TlsParameters *before, const TlsParameters *now);
/* Reads all files again; what is bad now stays as it was and is told. */
void tls_contexts_renew(Tls *self);
const gnutls_datum_t *tls_context_ticket_key(Tls *self, TlsContext *context);

/* ---- connections ---- */
typedef enum {
    TLS_FAILED_NOT_TLS,
    TLS_FAILED_AGREEMENT, /* no version or cipher in common */
    TLS_FAILED_NO_CERTIFICATE,
    TLS_FAILED_UNTRUSTED,
    TLS_FAILED_EXPIRED,
    TLS_FAILED_REVOKED,
    TLS_FAILED_LIST_OUTDATED, /* whether it is revoked is not known */
    TLS_FAILED_NAME,
    TLS_FAILED_REFUSED, /* the peer sent an alert */
    TLS_FAILED_TIMEOUT,
    TLS_FAILED_CLOSED,
    TLS_FAILED_LIMIT,
    TLS_FAILED_PROTOCOL, /* what came is no TLS that could be understood */
    TLS_FAILED_SETUP,    /* own certificates or options */
    TLS_FAILED_COUNT
} TlsFailure;

typedef enum {
    TLS_DETECTING, /* the first byte decides */
    TLS_PLAIN,     /* and it was plain */
    TLS_HANDSHAKING,
    TLS_OPEN,
    TLS_ENDED, /* nothing more is taken: failed, or the peer said that it is done */
} TlsState;

typedef struct TlsFilter TlsFilter;
struct TlsFilter {
    Tls *self;
    ConfFilterHandle *handle; /* NULL: not started */
    TlsState state;
    bool is_server, mutual, check_name, resumed;
    bool heard;       /* the peer has sent something */
    bool eof;         /* the peer's bytes are over */
    bool peer_proved; /* a certificate that was verified */
    TlsContext *context;
    gnutls_session_t session; /* NULL: detecting, or plain */
    unsigned verify_status;
    const char *input; /* what the session reads now: borrowed, or of `kept` */
    size_t input_size;
    GByteArray *kept; /* came while the handshake waits for its turn; NULL: nothing */
    bool in_half_open, in_waiting;
    int64_t begun, deadline; /* monotonic usec, while in_half_open */
    TAILQ_ENTRY(TlsFilter) half_open, waiting;
};
typedef TAILQ_HEAD(TlsFilters, TlsFilter) TlsFilters;

typedef struct {
    uint64_t handshakes, resumed, half_open, waiting, failed, failed_by[TLS_FAILED_COUNT];
    uint64_t plain;  /* connections that auto-detect let pass */
    uint64_t broken; /* open streams with bytes that were no record of theirs */
    uint64_t cut;    /* that ended without a close_notify */
    uint64_t reloads, bad_reloads;
} TlsStatistics;

struct Tls {
    ConfPlugin *plugin;
    const TlsSettings *settings;
    GHashTable *contexts; /* key to TlsContext */
    /* Each in the order of its deadlines. */
    TlsFilters detecting, handshaking;
    TlsFilters waiting; /* handshakes with something to do */
    unsigned deadline_timer;
    bool step_is_due;
    GHashTable *expiries; /* path to TlsExpiry */
    unsigned expiry_timer;
    TlsStatistics statistics;
    uint64_t days_left; /* the least of all */
};

/* tls-filter.c */
/* Takes no reference but its own on `context`.  `detect`: the first byte tells whether it is TLS. */
void tls_filter_push(Tls *self, ConfConnection *c, TlsContext *context, bool detect, bool check_name);
/* The handshake goes on, or the first bytes are looked at. */
void tls_filter_step(TlsFilter *filter);
/* It failed: counted, logged, told to the peer where there is an alert for it, closed. */
void tls_filter_fail(TlsFilter *filter, TlsFailure failure, const char *why);

/* tls-session.c */
/* False: *error. */
bool tls_session_begin(TlsFilter *filter, GError **error);
/* What the handshake's result means. */
TlsFailure tls_session_failure(const TlsFilter *filter, int result, char **why);
/* The alert of a certificate that was not believed, else GnuTLS's choice. */
void tls_session_send_alert(TlsFilter *filter, int result);
/* After the handshake: who the peer is; a resumed session's certificate is judged again.  False: it is not
 * believed any more. */
bool tls_session_take_identity(TlsFilter *filter);

/* tls-handshake.c */
void tls_handshake_init(Tls *self);
/* Counted among the half-open ones, until tls_handshake_done(). */
void tls_handshake_begin(TlsFilter *filter);
/* From detecting to handshaking. */
void tls_handshake_detected(TlsFilter *filter);
void tls_handshake_done(TlsFilter *filter);
/* It has something to do: at its turn. */
void tls_handshake_queue(TlsFilter *filter);

/* tls-expiry.c */
void tls_expiry_init(Tls *self);
void tls_expiry_free(Tls *self);
/* Of a context that is new or was renewed; to be followed by tls_expiry_look(). */
void tls_expiry_note(Tls *self, const TlsCredentials *credentials);
/* Counts the days and warns.  Files of the contexts in the cache are in use; others are not warned of. */
void tls_expiry_look(Tls *self);

/* tls-login.c */
ConfVerdict tls_login(void *self, ConfLogin *l, GError **error);
