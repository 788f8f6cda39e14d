/* ldap-private.h - servers, connections and questions: shared by ldap-set.c (servers and their names),
 * ldap-link.c (a connection), ldap-tls.c (its encryption) and ldap-question.c (the course of a log-in). */
#pragma once

#include <ldap.h>

#include "auth-lookup.h"
#include "ldap-config.h"

enum {
    LDAP_REFERRALS_MAX = 4, /* followed for one log-in */
    LDAP_REFERRED_MAX = 16, /* servers that were referred to and are kept */
    LDAP_SEARCHES_MAX = 64, /* at once on one connection: beyond 100 slapd (conn_max_pending) hangs up */
    LDAP_MESSAGE_MAX = 1 << 20,
    LDAP_TURN_BYTES = 1 << 18,   /* read of one connection before others have their turn */
    LDAP_UNASKED_MAX = 1 << 22,  /* bytes without an answer that was waited for */
    LDAP_PASSED_OVER_MAX = 2000, /* reads that brought no message that was waited for */
    LDAP_REMARKS_MAX = 1000,     /* references and the like in one answer */
    LDAP_ABANDONED_MAX = 100,    /* searches, of one connection */
};

typedef struct AuthLdap AuthLdap;
typedef struct LdapSet LdapSet;
typedef struct LdapServer LdapServer;
typedef struct LdapLink LdapLink;
typedef struct LdapQuestion LdapQuestion;

struct LdapServer {
    LdapSet *set;
    const AuthLdapServerConfig *config;
    char *host;
    uint16_t port;
    bool tls, start_tls, anonymous;
    unsigned index; /* in its set; of a referred one none: UINT_MAX */
    AuthName name;
    unsigned address;          /* the one in use */
    LdapLink *searcher;        /* NULL: none */
    GPtrArray *binders;        /* LdapLink */
    GQueue to_search, to_bind; /* LdapQuestion */
};

/* The servers of one place; kept while one of its questions or look-ups is under way. */
struct LdapSet {
    unsigned refs;
    AuthLdap *owner;
    GPtrArray *configs;            /* AuthLdapServerConfig */
    GPtrArray *servers, *referred; /* LdapServer */
    unsigned active;               /* the first to be asked */
    int64_t away_until;            /* none of them answered: log-ins do not wait for further attempts */
    int64_t used_at;
};

typedef enum { LINK_CONNECTING, LINK_ENCRYPTING, LINK_ASKING_TLS, LINK_BINDING, LINK_READY } LdapLinkState;

struct LdapLink {
    LdapServer *server;
    bool searches;
    LdapLinkState state;
    int fd;
    LDAP *ld; /* has the descriptor once it is there */
    gnutls_session_t tls;
    unsigned watch, timer, again;
    GIOCondition watched;
    unsigned addresses_tried;
    int msgid;             /* of the request of its making */
    GHashTable *questions; /* msgid -> LdapQuestion */
    uint64_t answered;     /* requests */
    int64_t received_at, made_at;
    size_t turn_bytes, unasked_bytes;
    unsigned abandoned, passed_over;
    bool may_read;     /* a message; then others have their turn */
    bool is_encrypted; /* what libldap reads and writes goes through TLS */
    bool at_fault;     /* not merely closed: its questions are not asked again here */
    bool busy, dead;
};

typedef enum { STEP_SEARCH, STEP_BIND, STEP_GROUPS } LdapStep;
typedef enum { LDAP_YES, LDAP_NO, LDAP_NOT_KNOWN, LDAP_SILENT } LdapOutcome;
/* `text` for the user, may be NULL; `why` for the log; groups: names, may be NULL.  All lent. */
typedef void (*LdapDone)(LdapOutcome outcome, const char *text, const char *why, const GPtrArray *groups,
                         void *data);

struct LdapQuestion {
    LdapSet *set;
    LdapServer *server;
    LdapStep step;
    char *id, *password, *dn;
    int chase;             /* as the annex says; -1: as the server that is asked */
    AuthLdapUrl *referred; /* followed now */
    GQueue references;     /* char * URLs to be followed */
    unsigned followed, entries;
    unsigned remarks; /* messages of an answer before its end */
    bool bind_referred;
    bool lost;        /* a referral led nowhere: that nobody has the entry is not known */
    LdapServer *home; /* where the entry is */
    unsigned first, tried, round;
    bool once;     /* no further rounds */
    bool again;    /* was asked again after an old connection had ended */
    GQueue *queue; /* that it waits in */
    LdapLink *link;
    int msgid;
    int64_t sent_at;
    unsigned timer, group;
    bool is_member;
    GPtrArray *groups;
    char *why, *warning; /* may be NULL */
    LdapDone done;
    void *data;
};

struct AuthLdap {
    ConfPlugin *plugin;
    LdapSet *set;          /* of the server's options; NULL: none */
    GHashTable *sets;      /* digest -> LdapSet, of annexes */
    GHashTable *links;     /* fd -> LdapLink */
    GHashTable *questions; /* LdapQuestion */
    GHashTable *errors;    /* AuthLdapError, may be NULL */
    bool stopping;
    uint64_t accepted, rejected, unknown, unanswered, waiting, connections, connects, searches, binds,
        failovers;
};

/* ldap-set.c */
LdapSet *ldap_set_new(AuthLdap *owner, GPtrArray *configs); /* takes configs */
LdapSet *ldap_set_ref(LdapSet *set);
void ldap_set_unref(LdapSet *set);
/* The server that an URL refers to, with the manners of `from`; NULL: too many. */
LdapServer *ldap_server_refer(LdapServer *from, const AuthLdapUrl *url, AuthLdapChase chase);
/* Has an address, or looks it up: then ldap_server_pump() or a failure follows.  False: neither. */
bool ldap_server_resolve(LdapServer *server);
void ldap_server_say(const LdapServer *server, const char *what, const char *more); /* option verbose */
/* Gives waiting questions to connections, and makes these. */
void ldap_server_pump(LdapServer *server);
/* All that waits for a connection of that kind goes elsewhere. */
void ldap_server_fail(LdapServer *server, bool searches, const char *why);

/* ldap-link.c */
LdapLink *ldap_link_open(LdapServer *server, bool searches);
/* Its questions go elsewhere. */
void ldap_link_fail(LdapLink *link, const char *why);
void ldap_link_close(LdapLink *link);
/* One of its requests. */
void ldap_link_answered(LdapLink *link);
/* Nobody uses it now. */
void ldap_link_rest(LdapLink *link);
bool ldap_link_is_free(const LdapLink *link);
void ldap_link_ready(void *self, int fd, GIOCondition condition); /* of conf_watch */

/* ldap-tls.c.  0: done; 1: to be called again when the descriptor is as wanted; -1: *why. */
int ldap_tls_shake(LdapLink *link, GIOCondition *wanted, char **why);
/* What libldap reads and writes goes through here from now on: bounded, and encrypted once `is_encrypted`. */
bool ldap_tls_install(LdapLink *link);
/* Bytes were read that nothing else will tell of. */
bool ldap_tls_has_more(const LdapLink *link);

/* ldap-question.c */
LdapQuestion *ldap_question_new(LdapSet *set, const char *id, const char *password, int chase, LdapDone done,
                                void *data);
void ldap_question_start(LdapQuestion *question);
void ldap_question_free(LdapQuestion *question); /* done is not called */
unsigned ldap_question_limit_ms(const LdapSet *set);
/* Sends what its step needs. */
void ldap_question_send(LdapQuestion *question, LdapLink *link);
void ldap_question_message(LdapQuestion *question, LDAPMessage *message);
/* This server cannot say it. */
void ldap_question_fail(LdapQuestion *question, const char *why);
/* Waits no more, neither in a queue nor for an answer. */
void ldap_question_detach(LdapQuestion *question);

/* ldap-verdict.c */
/* Another try, or another server, may help. */
bool ldap_verdict_is_retryable(const AuthLdap *owner, int code);
/* For the user: the directory's own words (may be NULL), those of its policy (may be NULL), of the file, of
 * the standard.  Lent. */
const char *ldap_verdict_text(const AuthLdap *owner, int code, const char *text, const char *policy);
/* What a password policy says against the log-in; NULL: nothing.  *warning: of what is to come, g_free(). */
const char *ldap_verdict_policy(LDAP *ld, LDAPControl **controls, bool *must_change, char **warning);
