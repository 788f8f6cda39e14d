/* connection-private.h - the connection from inside: shared by the files of this folder.
 *
 * connection.c life and accessors; connection-input.c bytes to lines; connection-output.c the output
 * queue; connection- dial.c outgoing connections until they stand; filter.c the stack of transforms;
 * connection-plugin.c what plugins see. */
#pragma once

#include "base/timer-wheel.h"
#include "net/address-private.h"
#include "net/connection.h"
#include "net/poller-private.h"

enum {
    CONF_CONNECTION_SCRATCH = 64 * 1024,   /* one recv */
    CONF_CONNECTION_LINES = 256,           /* handed on in one turn from one connection, and */
    CONF_CONNECTION_LINES_USEC = 5 * 1000, /* for so long */
    CONF_CONNECTION_HANDSHAKE_MS = 10 * 1000,
    CONF_CONNECTION_HEADER_MS = 5 * 1000, /* a balancer sends its header at once */
    CONF_CONNECTION_DRAIN_MS =
        1000, /* the queue of a closing connection, and then what its peer still sends */
    CONF_CONNECTION_STALL_MS = 30 * 1000,         /* a peer that shut its side and takes no answer */
    CONF_CONNECTION_WAITS = 1000,                 /* answers outstanding: beyond, no more is read; */
    CONF_CONNECTION_WAIT_BYTES = 4 * 1024 * 1024, /* likewise */
    CONF_CONNECTION_WIRE = 64 * 1024,             /* filters encode ahead of the socket by so much */
};

typedef enum {
    CONF_CONNECTION_CONNECTING,
    CONF_CONNECTION_HANDSHAKING,
    CONF_CONNECTION_OPEN,
    CONF_CONNECTION_CLOSING, /* output drains, input is dropped */
    CONF_CONNECTION_SHUT,    /* the write side is shut, input is dropped */
    CONF_CONNECTION_CLOSED,  /* waits for the end of the turn */
} ConfConnectionState;

typedef struct ConfSegment ConfSegment;
typedef TAILQ_HEAD(ConfSegments, ConfSegment) ConfSegments;
struct ConfSegment {
    TAILQ_ENTRY(ConfSegment) link;
    ConfBytes *bytes;  /* a reference, or NULL: */
    ConfBuffer buffer; /* a block of the pool */
    size_t counted;    /* of buffer: what `unsent` knows of */
};

/* Bytes of one kind that follow each other; kept only while notifications are unsent. */
typedef struct {
    size_t size;
    ConfOutputKind kind;
} ConfRun;

typedef struct {
    ConfRun *runs;
    unsigned begin, end, capacity;
} ConfRuns;

struct ConfFilterHandle {
    ConfConnection *connection;
    const ConfFilterTable *table;
    void *filter;
    ConfFilterHandle *below; /* nearer to the wire; NULL: the socket */
    ConfFilterHandle *above; /* NULL: the lines */
    bool started, ready, encrypted;
};

typedef struct {
    ConfFilterHandle *lowest, *highest;
    ConfBuffer wire; /* encoded, for the socket */
    size_t wire_sent;
    bool ended;
    char *subject;
    char **names;
} ConfFilters;

typedef struct ConfAttachment ConfAttachment; /* of one plugin */
struct ConfAttachment {
    ConfAttachment *next;
    ConfConnection *connection;
    ConfPlugin *plugin;
    void *data;
    void (*free_data)(void *data);
    ConfTimer idle_timer;
    unsigned idle_ms;
    int64_t idle_since;
};

/* What a plugin adds to a request of the owner's. */
typedef struct ConfAddedParam ConfAddedParam;
struct ConfAddedParam {
    ConfAddedParam *next;
    ConfPlugin *plugin; /* a reference */
    char *method, *member, *json;
    void (*answered)(void *self, ConfConnection *c, const char *json);
};

typedef struct ConfDial ConfDial;                   /* connection-dial.c */
typedef struct ConfPendingHeader ConfPendingHeader; /* connection-header.c */

struct ConfConnection {
    ConfPoller *poller;
    ConfPollerWatch *watch;
    int fd;
    ConfConnectionState state;
    bool outgoing, loopback, announced /* to the hooks */, opened /* to the owner */;
    bool eof;               /* the peer sends no more */
    bool cut;               /* ... and a filter says that it was cut */
    bool throttled;         /* unsent above the limit, and not yet below half of it */
    bool above_half;        /* drained() is owed */
    bool blocked;           /* the socket is full: EPOLLOUT is on */
    bool too_long;          /* told so */
    uint8_t signature_seen; /* of a PROXY header that nobody may send, see proxy-header.h */
    bool in_flushing, in_resuming, in_opening, in_ending;
    TAILQ_ENTRY(ConfConnection) flushing, resuming, opening, ending;

    const ConfConnectionFuncs *funcs;
    void *data;
    uint64_t id;
    char *peer, *peer_address, *port_id;
    int64_t last_receive, stalled_since;
    size_t input_seen; /* bytes that waited in the socket when they were last looked at */
    ConfTimer timer;   /* of the state */
    char *reason;

    void (*before_lines)(void *data); /* NULL: nothing comes first */
    void *before_lines_data;
    char *input; /* [input_begin, input_end) of input_capacity waits; NULL: nothing does */
    size_t input_begin, input_end, input_capacity;
    size_t input_scanned; /* no LF in [input_begin, input_scanned) */
    size_t line_limit;
    unsigned holds, waits;
    size_t wait_bytes;

    ConfSegments segments;
    size_t sent_of_first; /* of the first segment */
    size_t unsent, unsent_notifications, queue_limit;
    ConfRuns runs;

    ConfFilters *filters;
    ConfDial *dial;
    ConfPendingHeader *header; /* NULL: none is waited for (any more) */
    ConfAttachment *attachments;
    ConfAddedParam *added_params;
    ConfGoneWatch *gone;
};

/* connection.c */
ConfConnection *conf_connection_new(ConfPoller *poller, const ConfConnectionFuncs *funcs, void *data);
/* The socket stands: addresses are taken, hooks asked, filters started.  False: refused. */
bool conf_connection_stand(ConfConnection *connection);
void conf_connection_become_open(ConfConnection *connection);
/* Sets what epoll shall tell. */
void conf_connection_update_events(ConfConnection *connection);
/* After the peer's end, once all is answered: closes. */
void conf_connection_check_end(ConfConnection *connection);
/* The output of a closing connection is sent: its write side is shut. */
void conf_connection_drained_closing(ConfConnection *connection);
void conf_connection_set_peer_text(ConfConnection *connection, const char *host, uint16_t port);
/* Tells owners of connections that stand. */
void conf_connections_open(ConfPoller *poller);
/* Ends the turn of all connections: opened(), closed(), flush. */
void conf_connections_end_turn(ConfPoller *poller);

/* connection-input.c */
void conf_connection_receive(ConfConnection *connection);
/* Plain bytes that came, decoded where there are filters. */
void conf_connection_take_plain(ConfConnection *connection, const char *data, size_t size);
/* Bytes that wait in the socket: asks the kernel. */
size_t conf_connection_get_unread(const ConfConnection *connection);
/* The peer sends no more.  It may still wait for answers to what it sent before. */
void conf_connection_end_of_input(ConfConnection *connection);
bool conf_connection_may_read(const ConfConnection *connection);
bool conf_connection_has_lines(const ConfConnection *connection);
/* Something that kept lines back is over: they go on, and reading too. */
void conf_connection_go_on(ConfConnection *connection);
void conf_connection_drop_input(ConfConnection *connection);
/* Lines that waited, at most once a connection and turn. */
void conf_connections_resume(ConfPoller *poller);

/* connection-output.c */
void conf_connection_queue_flush(ConfConnection *connection);
void conf_connection_flush(ConfConnection *connection);
void conf_connection_drop_output(ConfConnection *connection);
void conf_connection_clear_output(ConfConnection *connection);
/* Counts bytes that filters made and the socket has not taken. */
void conf_connection_count_wire(ConfConnection *connection, size_t size);

/* filter.c */
void conf_filters_start(ConfConnection *connection);
void conf_filters_decode(ConfConnection *connection, const char *data, size_t size);
void conf_filters_encode(ConfConnection *connection, const char *data, size_t size);
void conf_filters_end(ConfConnection *connection);
bool conf_filters_peer_closed(ConfConnection *connection);
void conf_filters_free(ConfConnection *connection);
size_t conf_filters_wire_unsent(const ConfConnection *connection);

/* connection-dial.c */
void conf_dial_free(ConfDial *dial);
const char *conf_dial_get_host(const ConfDial *dial);
const char *conf_dial_get_option(const ConfDial *dial, const char *key);

/* connection-header.c */
void conf_connection_await_header(ConfConnection *connection);
/* Reads what came of it.  True: it was there, the peer's address is set; false: it is not whole yet, or the
 * connection is closed. */
bool conf_connection_receive_header(ConfConnection *connection);
/* Closes it, and says so in the log. */
void conf_connection_refuse_header(ConfConnection *connection, const char *why);

/* connection-plugin.c */
void conf_attachments_free(ConfConnection *connection);
void conf_added_params_free(ConfConnection *connection);
