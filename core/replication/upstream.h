/* upstream.h - this server follows another: the client half of protocol.md 10 (a proxy; a backup later).
 *
 * Connects (addresses in order, names looked up anew each time), logs in, opens the replica, takes schema,
 * snapshot or resumption, then the stream; each commit goes to the publisher.  Reconnects with back-off (0.2
 * s doubling to 15 s) and jitter.  A reload fills a second store beside the old one, then one fold.  Never
 * steps back: an upstream whose history is behind, or of a lower epoch, is not followed.  Main loop only. */
#pragma once

#include "session/session.h"

typedef struct ConfUpstream ConfUpstream;

typedef struct {
    const char *hosts;       /* "a", or "a:2020,b:2020" */
    uint16_t port;           /* for hosts without one */
    const char *application; /* the proxy's own application name */
    const char *user;        /* NULL: log in as the application itself (secret) */
    const char *password;    /* NULL: by the certificate that the link proves, as the application itself */
    const char *role;        /* "proxy" */
    const char *transport;   /* for hook transport */
    const char *release;
    unsigned reload_delay_s; /* delay-reload */
} ConfUpstreamSettings;

typedef enum { CONF_UPSTREAM_DISCONNECTED, CONF_UPSTREAM_CONNECTED } ConfUpstreamLink;

typedef struct {
    /* The first complete store: the server may open its ports.  The store is the caller's from now on. */
    void (*ready)(ConfStore *store, void *data);
    /* connected/disconnected, diverged, the master's own address and port; server.status follows. */
    void (*status)(void *data);
    /* Cannot ever work as configured (wrong password, unknown application, no common protocol) before the
     * first ready: exit status 1 with this sentence. */
    void (*failed)(const GError *error, void *data);
    /* Before a commit of the stream is published by `publisher` (NULL before ready). */
    ConfPublisher *(*publisher)(void *data);
    /* The fold that is about to be published leads to another environment: sessions cannot go on. */
    void (*environment_changed)(void *data);
    /* The master's history by its name, before anything of it is taken: at the first link, and where it is of
     * another environment than the last one's.  May be NULL. */
    void (*lineage)(const char *environment, int64_t revision, const char *chain, void *data);
    /* The highest revision that this server's own history holds durably; 0: none is kept.  May be NULL. */
    int64_t (*confirmed)(void *data);
    /* An older change record of the master, ascending, for that history, which has it already perhaps: its very
     * text.  False: *error, no more are taken from this link. */
    bool (*record)(int64_t revision, const char *chain, const char *record, GError **error, void *data);
    /* What this server remembers of log-ins, to be exchanged with the master; NULL before ready.  May be NULL. */
    ConfAccounts *(*accounts)(void *data);
    void *data;
} ConfUpstreamHost;

/* Strings are copied.  Connects by itself from the next turn on.  NULL: *error says which address is none. */
ConfUpstream *conf_upstream_new(const ConfUpstreamSettings *settings, const ConfUpstreamHost *host,
                                GError **error);
/* What the master may call on this server: plugins add their methods. */
ConfMethodTable *conf_upstream_get_table(ConfUpstream *upstream);
void conf_upstream_set_reload_delay(ConfUpstream *upstream, unsigned seconds);
void conf_upstream_free(ConfUpstream *upstream);
ConfUpstreamLink conf_upstream_get_link(const ConfUpstream *upstream);
bool conf_upstream_is_diverged(const ConfUpstream *upstream);
/* Passwords travel with the stream, so that log-ins can be decided here. */
bool conf_upstream_has_secrets(const ConfUpstream *upstream);
int64_t conf_upstream_get_since(const ConfUpstream *upstream); /* wall ms of the last change of link */
/* Monotonic usec at which what this replica has was, for certain, what the primary had; 0: not known.  From
 * round trips alone: however late a line is read, it makes nothing younger than it is. */
int64_t conf_upstream_get_known_at(const ConfUpstream *upstream);
void conf_upstream_get_master(const ConfUpstream *upstream, const char **host, uint16_t *port);

typedef struct {
    uint64_t connects, snapshots, resumes, fetched_objects, refused, records;
} ConfUpstreamStatistics;
const ConfUpstreamStatistics *conf_upstream_statistics(const ConfUpstream *upstream);
