/* connection.h - one byte stream to a peer: lines in, a queue of shared buffers out.
 *
 * States: connecting (outgoing only) → handshaking (a filter speaks first) → open → closing (output
 * drains, at most 1 s) → closed.  Closed connections are freed at the end of the turn; pointers are good
 * until func->closed was called. Reading takes one recv a turn; every whole line goes to func->line at
 * once unless input is held or back-pressure stands (unsent above the queue limit), and then waits in the
 * buffer.  Output gathers during a turn and leaves by one writev at its end.  No allocation per message:
 * small output is copied into pooled blocks, bodies are referenced. Main loop only.  An idle connection
 * costs under 2 KiB. */
#pragma once

#include <sys/socket.h>

#include "base/json-writer.h"
#include "net/poller.h"
#include "plugin/hook-chain.h"

typedef struct ConfConnection ConfConnection;

typedef struct {
    /* A line without its end (LF, and a CR before it); valid during the call. Never empty. */
    void (*line)(ConfConnection *connection, ConfSlice line);
    /* The line in the buffer is longer than the limit: the owner answers, then calls
     * conf_connection_close_after_answer. */
    void (*too_long)(ConfConnection *connection);
    /* Outgoing: connected and handshaken.  Accepted: handshaken. */
    void (*opened)(ConfConnection *connection);
    /* Unsent output had reached half of the queue limit and fell below it, or there is room again that
     * conf_connection_has_room() had not found: producers of pages, walks and replays go on.  May be NULL. */
    void (*drained)(ConfConnection *connection);
    /* The last call.  `reason` is an English sentence or an errno text; that of an outgoing connection
     * which never opened says what was tried. */
    void (*closed)(ConfConnection *connection, const char *reason);
} ConfConnectionFuncs;

typedef enum {
    CONF_OUTPUT_ANSWER,       /* answers, pages, walks: limited by back-pressure */
    CONF_OUTPUT_NOTIFICATION, /* live notifications: counted against the backlog */
} ConfOutputKind;

/* Takes `fd` (non-blocking is set here).  Runs hooks accepted and transport; NULL: refused and closed,
 * funcs are not called.  `port_id` is copied: the Port ID of the listener ("default", ...).  opened() comes
 * later, never from within. */
ConfConnection *conf_connection_new_accepted(ConfPoller *poller, int fd, const char *port_id,
                                             const ConfConnectionFuncs *funcs, void *data);
/* As above for the connection of a trusted balancer: it must begin with a PROXY header of version 2 (within
 * 5 s), which says whose connection it is; the hooks run when it was read.  Refusals are told by closed(). */
ConfConnection *conf_connection_new_balanced(ConfPoller *poller, int fd, const char *port_id,
                                             const ConfConnectionFuncs *funcs, void *data);
/* Looks `host` up without blocking (a thread), tries its addresses in order within `timeout_ms`
 * altogether; closed() is called on failure.  `transport`: text handed to the transport hook
 * ("tls=1;..."), may be NULL. */
ConfConnection *conf_connection_new_outgoing(ConfPoller *poller, const char *host, uint16_t port,
                                             unsigned timeout_ms, const char *transport,
                                             const ConfConnectionFuncs *funcs, void *data);

void *conf_connection_get_data(const ConfConnection *connection);
void conf_connection_set_data(ConfConnection *connection, void *data);
uint64_t conf_connection_get_id(const ConfConnection *connection); /* never used twice in a process */
bool conf_connection_is_outgoing(const ConfConnection *connection);
bool conf_connection_is_open(const ConfConnection *connection);     /* output still has a meaning */
bool conf_connection_is_loopback(const ConfConnection *connection); /* both ends on this machine */
bool conf_connection_is_encrypted(const ConfConnection *connection);
/* "10.1.2.3:4711", "[::1]:4711"; borrowed.  The client's own behind a trusted balancer. */
const char *conf_connection_get_peer(const ConfConnection *connection);
/* Address without the port: log-in pauses are counted by it. */
const char *conf_connection_get_peer_address(const ConfConnection *connection);
const char *conf_connection_get_port_id(const ConfConnection *connection);
int64_t conf_connection_get_last_receive(const ConfConnection *connection); /* monotonic usec: ADDP, idle */

/* Limits; may change at any time. */
void conf_connection_set_line_limit(ConfConnection *connection, size_t bytes);
void conf_connection_set_queue_limit(ConfConnection *connection, size_t bytes);

/* Where an answer is written: the block at the end of the output queue.  Append to it and call
 * conf_connection_written(); no other call on this connection in between.  A connection that is not open
 * gives a buffer that is thrown away. */
ConfBuffer *conf_connection_output(ConfConnection *connection);
void conf_connection_written(ConfConnection *connection);
/* Queues a reference; what is small is copied where a block stands open. */
void conf_connection_send_bytes(ConfConnection *connection, ConfBytes *bytes, ConfOutputKind kind);
void conf_connection_send_copy(ConfConnection *connection, ConfSlice data, ConfOutputKind kind);
size_t conf_connection_get_unsent(const ConfConnection *connection);
/* Of it, CONF_OUTPUT_NOTIFICATION only. */
size_t conf_connection_get_unsent_notifications(const ConfConnection *connection);
/* Unsent output is above the queue limit, or not yet below half of it again. */
bool conf_connection_is_full(const ConfConnection *connection);
/* For producers of pages, walks and replays: less than half of the queue limit is unsent.  If not, drained()
 * will be called. */
bool conf_connection_has_room(ConfConnection *connection);
/* Monotonic usec when the peer last took a byte while output stood unsent (0: nothing is unsent). */
int64_t conf_connection_get_stalled_since(const ConfConnection *connection);

/* Lines wait (the bytes stay in the buffer and in the socket) until released; nests. */
void conf_connection_hold_input(ConfConnection *connection);
void conf_connection_release_input(ConfConnection *connection);
bool conf_connection_is_held(const ConfConnection *connection);
/* func(data) once, before the next line: what came with the line that is being worked on (the rest of a
 * batch) waits as further lines do.  NULL takes it back; a connection that closes forgets it. */
void conf_connection_call_before_lines(ConfConnection *connection, void (*func)(void *data), void *data);

/* Output is thrown away, closed() follows at the end of this turn. */
void conf_connection_close(ConfConnection *connection, const char *reason);
/* What is queued is sent first (at most 1 s), the write side is shut, what the peer still sends is read
 * and dropped (at most 1 s).  What is written after this call goes nowhere: answer first. */
void conf_connection_close_after_answer(ConfConnection *connection, const char *reason);

/* Total unsent bytes of all connections, and their number: statistics. */
size_t conf_connection_total_unsent(void);
unsigned conf_connection_count(void);

/* ---- for the layers above ---- */
/* func(data) once, just before closed(): what refers to the connection lets go of it.  Embedded in what
 * owns it; zero-initialised is "not watching". */
typedef struct ConfGoneWatch ConfGoneWatch;
struct ConfGoneWatch {
    ConfGoneWatch *next, **link; /* the connection's */
    void (*func)(void *data);
    void *data;
};
void conf_connection_watch_gone(ConfConnection *connection, ConfGoneWatch *watch, void (*func)(void *data),
                                void *data);
void conf_connection_unwatch_gone(ConfGoneWatch *watch);
/* An answer is owed that comes later, its request taking `bytes` of memory.  A peer that shut its side is
 * closed only when nothing is owed any more; where too much is owed, reading stops. */
void conf_connection_begin_wait(ConfConnection *connection, size_t bytes);
void conf_connection_end_wait(ConfConnection *connection, size_t bytes);
/* As conf_connection_output, but still good after conf_connection_close_after_answer, until the end of the
 * turn: for an answer whose request asked for the close. */
ConfBuffer *conf_connection_output_last(ConfConnection *connection);
/* Where conf_connection_get_option looks after the `transport` of an outgoing connection: process-wide,
 * supplied by core/server.  NULL: set nowhere. */
typedef const char *(*ConfConnectionOptionFunc)(const ConfConnection *connection, const char *section,
                                                const char *key, void *data);
void conf_connection_set_option_func(ConfConnectionOptionFunc func, void *data);
/* Members that plugins add to the params of a request of the owner's on this connection
 * (conf_connection_add_param): the owner writes them, and gives the result, raw, when it came. */
void conf_connection_write_params(const ConfConnection *connection, const char *method,
                                  ConfJsonWriter *writer);
void conf_connection_answer_params(ConfConnection *connection, const char *method, ConfSlice result);
/* The client's own address behind a balancer. */
void conf_connection_set_peer(ConfConnection *connection, const char *address, uint16_t port);
