/* server-private.h - the parts of a server. */
#pragma once

#include "base/timer-wheel.h"
#include "methods/methods.h"
#include "net/address-list.h"
#include "net/listener.h"
#include "plugin/loader.h"
#include "replication/downstream.h"
#include "replication/upstream.h"
#include "server/server-options.h"
#include "server/server.h"

#define CONF_RELEASE CONFSERV_VERSION

typedef enum { CONF_ROLE_PRIMARY, CONF_ROLE_PROXY } ConfRole;

typedef struct {
    char *id;
    char *address; /* NULL: all */
    uint16_t port;
    char *listening;         /* "unsecured", "secured", "auto-detect" */
    ConfSettings *transport; /* its transport string, as section "" */
    ConfPortClients clients;
    bool management;       /* the management port, the rescue port */
    bool mutual, optional; /* optional: a failure to open is a warning, and tried again */
    bool proxy_protocol;
    ConfAddressList *balancers; /* trusted; NULL: none */
    ConfListener *listener;     /* NULL: not open */
    /* Where the listener listens; of a port that could not be moved, the old place. */
    char *open_address;
    uint16_t open_port;
    char *failure; /* why it is not (yet) where it should be; NULL: it is */
} ConfPort;

/* What the position file in data-folder says: the highest revision seen, the schema that the data were found
 * to fit. */
typedef struct {
    char environment[37], schema[65];
    int64_t revision;
} ConfSeenPosition;

typedef struct ConfConnectionOptions ConfConnectionOptions; /* connection-options.c */

struct ConfServer {
    const ConfCommandLine *line;
    const ConfSettings *file;      /* as read */
    ConfSettings *reloaded;        /* owns what `file` points at after a reload */
    GPtrArray *plugin_methods;     /* of ConfMethod *: for the table of the link to the master */
    ConfSettings *settings;        /* file and, over it, the application object */
    ConfSettings *plugin_settings; /* the last of these that all plugins agreed to: what they read */
    char *section;                 /* own section; also the application's name on a primary */
    char *application_name;
    ConfServerOptions options;
    GPtrArray *refused_options; /* char *: server.info */
    char *refused_reload;       /* why the file was not taken when it was last read; NULL: it was */
    ConfRole role;
    void (*about_to_serve)(ConfServer *server);
    GMainLoop *loop;
    int status;
    bool stopping, serving, read_only_diverged;
    int64_t started_ms;
    ConfPluginHost *plugins;
    ConfConnectionOptions *connection_options;
    ConfMethodTable *table;
    ConfStore *store;
    ConfPublisher *publisher;
    ConfAccess *access;
    ConfSessions *sessions;
    ConfMethods *methods;
    ConfDownstream *downstream;
    GList *record_reads;     /* records.c: questions under way */
    GList *history_readings; /* history-feed.c: the same of plugins */
    ConfWriteSink sink;
    GArray *ports;            /* of ConfPort */
    GPtrArray *refused_ports; /* char *: what of them cannot be as the application object says; server.info */
    ConfTimer port_retry, stop_deadline, stop_poll;
    /* primary */
    ConfStorage *storage;
    ConfCommitQueue *queue;
    ConfTimer housekeeping;
    ConfSeenPosition seen;    /* as the position file had it at start */
    int64_t position_written; /* the revision in the position file */
    unsigned prune_countdown;
    bool database_lost;
    /* proxy */
    ConfUpstream *upstream;
};

/* server.c */
/* What both roles do once their store is there: access, sessions, methods, downstream. */
void conf_server_build(ConfServer *server, ConfStore *store);
void conf_server_fail(ConfServer *server, const char *why); /* one line on stderr, the loop ends, status 1 */
void conf_server_broadcast_status(ConfServer *server);
const ConfObject *conf_server_own_application(const ConfServer *server);
/* Options of the own application object over those of the file; applied to all parts. */
void conf_server_apply_options(ConfServer *server);
/* server-plugins.c */
bool conf_server_load_plugins(ConfServer *server, GError **error);
/* All plugins, or none: what they refuse they do not get to see.  Where nothing has changed they are asked
 * only if `always`: files that options name may have. */
bool conf_server_reload_plugins(ConfServer *server, const ConfSettings *settings, bool always,
                                GError **error);
GPtrArray *conf_server_plugin_methods(ConfServer *server);
/* ports.c */
bool conf_ports_open(ConfServer *server, GError **error);
void conf_ports_update(ConfServer *server); /* at run time, from the application object */
void conf_ports_close(ConfServer *server);
/* Is that application this server's backup, or is this server that one's? */
bool conf_ports_is_peer(ConfServer *server, ConfKey application);
/* ports-wanted.c: the ports as configuration and application object say, none of them open.  Fills
 * refused_ports anew. */
GArray *conf_ports_wanted(ConfServer *server);
void conf_port_clear(ConfPort *port);
/* The port that a connection was accepted on; NULL: it is not there any more. */
const ConfPort *conf_ports_lookup(const ConfServer *server, const char *id);
/* connection-options.c: what plugins are told by conf_connection_get_option() */
void conf_connection_options_start(ConfServer *server);
void conf_connection_options_stop(ConfServer *server);
/* The server's settings are others now. */
void conf_connection_options_forget(ConfServer *server);
/* "tls=1;certificate=/etc/x.pem" into `section`. */
void conf_transport_parse(ConfSettings *settings, const char *section, const char *transport);
/* role-primary.c */
bool conf_primary_start(ConfServer *server, GError **error);
void conf_primary_stop(ConfServer *server);
ConfCommitSettings conf_primary_commit_settings(const ConfServer *server);
/* database.c */
/* The name of the plugin for `dbengine`: "db-sqlite", or "db-ENGINE" where the host has such a file. */
const char *conf_database_plugin(ConfPluginHost *host, const ConfSettings *settings, const char *section,
                                 GError **error);
ConfStorage *conf_database_open(ConfPluginHost *host, const ConfSettings *settings, const char *section,
                                bool create, GError **error);
/* Loads the store: schema, objects (checked against it unless `checked`), next dbids, recent changes. */
ConfStore *conf_database_load(ConfStorage *storage, ConfSchema *schema, const ConfStorageState *state,
                              bool checked, size_t recent_bytes, GError **error);
/* position file in data-folder: the highest revision seen, and the schema (its hash) that the data were found
 * to fit */
bool conf_position_read(const char *folder, ConfSeenPosition *seen);
void conf_position_write(const char *folder, const ConfStorePosition *position, const char *schema);
/* records.c: older change records, for replicas and from the master */
void conf_records_serve(ConfServer *server);
int64_t conf_records_confirmed(void *server);
/* Storage, plugins and downstream are gone: what waits for an answer gets none. */
void conf_records_stop(ConfServer *server);
bool conf_records_take(int64_t revision, const char *chain, const char *record, GError **error, void *server);
/* history-feed.c: for a plugin that keeps the history; nothing where there is none */
/* Where the data of this server stand: at start, and when they are of another environment now. */
void conf_history_tell_position(ConfServer *server, const char *environment, int64_t revision,
                                const char *chain);
/* At the start of a primary, before ports open: the change records of the database that the history has
 * not. */
bool conf_history_feed(ConfServer *server, const ConfStorageState *state, GError **error);
/* conf_plugin_read_changes() */
void conf_history_read_changes(ConfPlugin *p, int64_t after, ConfPluginChangesFunc done, void *data,
                               void *server);
/* The storage is closed: what waits for an answer gets none. */
void conf_history_feed_stop(ConfServer *server);
/* role-proxy.c */
bool conf_proxy_start(ConfServer *server, GError **error);
void conf_proxy_stop(ConfServer *server);
/* server-methods.c */
void conf_server_add_methods(ConfServer *server);
/* paths.c */
char *conf_paths_plugins(const ConfServerOptions *options);
char *conf_paths_schema(const ConfServerOptions *options);
