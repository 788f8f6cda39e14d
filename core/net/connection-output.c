/* connection-output.c - the queue of output: blocks of a pool that small output is written into, and
 * references to shared bytes.  A turn's output of a connection leaves by one sendmsg. */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "net/connection-private.h"

enum {
    BLOCK_SIZE = 16 * 1024,
    BLOCK_ROOM = 2 * 1024, /* with less room left, the next output begins a new block */
    POOL_MAX = 256,        /* blocks that wait for use */
    COPY_BELOW = 4 * 1024, /* bytes worth less than an entry of their own in the vector */
    REFERENCE_FROM = 512,  /* ... where no block is open to copy into */
    VECTOR_MAX = 64,
    DISCARD_MAX = 64 * 1024,
    ENCODE_SIZE = 16 * 1024, /* one record of TLS */
    GATHER_BELOW = 4 * 1024, /* a record costs more than to copy so much into one with what follows */
    COMPACT_FROM = CONF_CONNECTION_WIRE / 2,
    WIRE_RESERVE = CONF_CONNECTION_WIRE + ENCODE_SIZE + 4 * 1024, /* with what a transform adds to it */
};

static ConfSegment *open_block(ConfConnection *connection, size_t room);
static ConfSegment *add_segment(ConfConnection *connection, ConfBytes *bytes);
static void remove_first(ConfConnection *connection);
static ConfSlice segment_rest(const ConfConnection *connection, const ConfSegment *segment);
static void count(ConfConnection *connection, ConfSegment *segment, ConfOutputKind kind);
static void count_size(ConfConnection *connection, size_t size, ConfOutputKind kind);
static void count_sent(ConfConnection *connection, size_t size);
static void took_bytes(ConfConnection *connection, size_t size);
static void add_run(ConfRuns *runs, size_t size, ConfOutputKind kind);
static size_t take_runs(ConfRuns *runs, size_t size);
static bool encode_some(ConfConnection *connection);
static ConfSlice gather(const ConfConnection *connection);
static void take_wire(ConfFilters *filters);
static void give_wire_back(ConfFilters *filters);
static bool send_segments(ConfConnection *connection);
static bool send_wire(ConfConnection *connection);
static bool send_failed(ConfConnection *connection);
static void below_limits(ConfConnection *connection);
static bool is_idle(const ConfConnection *connection);

static size_t total_unsent;
static ConfSegment *pool; /* linked by link.tqe_next */
static unsigned pool_size;
static ConfBuffer discarded;
/* Connections encode and send one after the other, so most take turns with one buffer, which stays in the
 * processor's cache; only one whose socket is full keeps it. */
static ConfBuffer spare_wire;

void
conf_connection_set_queue_limit(ConfConnection *connection, size_t bytes)
{
    connection->queue_limit = MAX(bytes, 2); /* half of it is something to be below of */
    below_limits(connection);
}

ConfBuffer *
conf_connection_output(ConfConnection *connection)
{
    if (connection->state <= CONF_CONNECTION_OPEN)
        return &open_block(connection, BLOCK_ROOM)->buffer;
    if (discarded.capacity > DISCARD_MAX)
        conf_buffer_clear(&discarded);
    conf_buffer_truncate(&discarded, 0);
    return &discarded;
}

ConfBuffer *
conf_connection_output_last(ConfConnection *connection)
{
    if (connection->state == CONF_CONNECTION_CLOSING)
        return &open_block(connection, BLOCK_ROOM)->buffer;
    return conf_connection_output(connection);
}

void
conf_connection_written(ConfConnection *connection)
{
    ConfSegment *segment = TAILQ_LAST(&connection->segments, ConfSegments);
    if (segment != NULL && segment->bytes == NULL)
        count(connection, segment, CONF_OUTPUT_ANSWER);
}

void
conf_connection_send_bytes(ConfConnection *connection, ConfBytes *bytes, ConfOutputKind kind)
{
    if (connection->state > CONF_CONNECTION_OPEN || bytes == NULL || bytes->size == 0)
        return;
    /* Copied where a block stands open, which saves an entry of the vector; else sent from where it is. */
    ConfSegment *last = TAILQ_LAST(&connection->segments, ConfSegments);
    bool fits =
        last != NULL && last->bytes == NULL && bytes->size <= last->buffer.capacity - last->buffer.size;
    if ((fits && bytes->size < COPY_BELOW) || (last != NULL && bytes->size < REFERENCE_FROM)) {
        conf_connection_send_copy(connection, conf_bytes_slice(bytes), kind);
        return;
    }
    add_segment(connection, conf_bytes_ref(bytes));
    count_size(connection, bytes->size, kind);
}

void
conf_connection_send_copy(ConfConnection *connection, ConfSlice data, ConfOutputKind kind)
{
    if (connection->state > CONF_CONNECTION_OPEN || data.size == 0)
        return;
    ConfSegment *segment = open_block(connection, MIN(data.size, BLOCK_ROOM));
    conf_buffer_append_slice(&segment->buffer, data);
    count(connection, segment, kind);
}

size_t
conf_connection_get_unsent(const ConfConnection *connection)
{
    return connection->unsent + conf_filters_wire_unsent(connection);
}

size_t
conf_connection_get_unsent_notifications(const ConfConnection *connection)
{
    return connection->unsent_notifications;
}

bool
conf_connection_is_full(const ConfConnection *connection)
{
    return connection->throttled;
}

bool
conf_connection_has_room(ConfConnection *connection)
{
    if (connection->unsent < connection->queue_limit / 2)
        return true;
    connection->above_half = true; /* The limit may have been lowered since the output was counted. */
    return false;
}

int64_t
conf_connection_get_stalled_since(const ConfConnection *connection)
{
    return connection->stalled_since;
}

size_t
conf_connection_total_unsent(void)
{
    return total_unsent;
}

void
conf_connection_count_wire(ConfConnection *connection, size_t size)
{
    total_unsent += size;
    if (connection->stalled_since == 0)
        connection->stalled_since = conf_poller_now(connection->poller);
}

void
conf_connection_queue_flush(ConfConnection *connection)
{
    if (connection->in_flushing || connection->state == CONF_CONNECTION_CLOSED ||
        connection->state == CONF_CONNECTION_CONNECTING)
        return;
    connection->in_flushing = true;
    TAILQ_INSERT_TAIL(&connection->poller->flushing, connection, flushing);
}

void
conf_connection_flush(ConfConnection *connection)
{
    if (connection->state == CONF_CONNECTION_CLOSED)
        return;
    if (connection->state == CONF_CONNECTION_CLOSING && connection->filters != NULL &&
        !connection->filters->highest->ready)
        conf_connection_clear_output(connection); /* There never was a stream to put it on. */
    bool going = true;
    if (connection->filters == NULL) {
        if (connection->unsent > 0)
            going = send_segments(connection);
    } else {
        while (going && (encode_some(connection) || conf_filters_wire_unsent(connection) > 0))
            going = send_wire(connection);
    }
    if (!going || connection->state == CONF_CONNECTION_CLOSED)
        return;
    if (connection->blocked && is_idle(connection)) {
        connection->blocked = false;
        conf_connection_update_events(connection);
    }
    below_limits(connection);
    if (connection->state == CONF_CONNECTION_CLOSING && is_idle(connection))
        conf_connection_drained_closing(connection);
}

void
conf_connection_drop_output(ConfConnection *connection)
{
    if (connection->filters != NULL) {
        total_unsent -= conf_filters_wire_unsent(connection);
        conf_buffer_clear(&connection->filters->wire);
        connection->filters->wire_sent = 0;
    }
    conf_connection_clear_output(connection);
    connection->stalled_since = 0;
}

void
conf_connection_clear_output(ConfConnection *connection)
{
    total_unsent -= connection->unsent;
    connection->unsent = connection->unsent_notifications = 0;
    while (!TAILQ_EMPTY(&connection->segments))
        remove_first(connection);
    g_free(connection->runs.runs);
    connection->runs = (ConfRuns){0};
}

/* The block at the end of the queue, or a new one. */
static ConfSegment *
open_block(ConfConnection *connection, size_t room)
{
    ConfSegment *last = TAILQ_LAST(&connection->segments, ConfSegments);
    if (last != NULL && last->bytes == NULL && last->buffer.capacity - last->buffer.size >= room)
        return last;
    return add_segment(connection, NULL);
}

/* Takes `bytes`; NULL: a block. */
static ConfSegment *
add_segment(ConfConnection *connection, ConfBytes *bytes)
{
    ConfSegment *segment;
    if (bytes == NULL && pool != NULL) {
        segment = pool;
        pool = segment->link.tqe_next;
        pool_size--;
    } else {
        segment = g_new0(ConfSegment, 1);
        if (bytes == NULL)
            conf_buffer_reserve(&segment->buffer, BLOCK_SIZE);
    }
    segment->bytes = bytes;
    segment->counted = 0;
    TAILQ_INSERT_TAIL(&connection->segments, segment, link);
    return segment;
}

static void
remove_first(ConfConnection *connection)
{
    ConfSegment *segment = TAILQ_FIRST(&connection->segments);
    TAILQ_REMOVE(&connection->segments, segment, link);
    connection->sent_of_first = 0;
    if (segment->bytes == NULL && segment->buffer.capacity == BLOCK_SIZE && pool_size < POOL_MAX) {
        conf_buffer_truncate(&segment->buffer, 0);
        segment->link.tqe_next = pool;
        pool = segment;
        pool_size++;
        return;
    }
    conf_bytes_unref(segment->bytes);
    conf_buffer_clear(&segment->buffer);
    g_free(segment);
}

static ConfSlice
segment_rest(const ConfConnection *connection, const ConfSegment *segment)
{
    ConfSlice rest = segment->bytes != NULL ? conf_bytes_slice(segment->bytes)
                                            : (ConfSlice){segment->buffer.data, segment->counted};
    size_t sent = segment == TAILQ_FIRST(&connection->segments) ? connection->sent_of_first : 0;
    return (ConfSlice){rest.data + sent, rest.size - sent};
}

static void
count(ConfConnection *connection, ConfSegment *segment, ConfOutputKind kind)
{
    size_t added = segment->buffer.size - segment->counted;
    segment->counted = segment->buffer.size;
    if (added > 0)
        count_size(connection, added, kind);
}

static void
count_size(ConfConnection *connection, size_t size, ConfOutputKind kind)
{
    if (kind == CONF_OUTPUT_NOTIFICATION || connection->unsent_notifications > 0) {
        if (connection->unsent_notifications == 0 && connection->unsent > 0)
            add_run(&connection->runs, connection->unsent, CONF_OUTPUT_ANSWER);
        add_run(&connection->runs, size, kind);
    }
    if (kind == CONF_OUTPUT_NOTIFICATION)
        connection->unsent_notifications += size;
    connection->unsent += size;
    total_unsent += size;
    if (connection->unsent >= connection->queue_limit)
        connection->throttled = true;
    if (connection->unsent >= connection->queue_limit / 2)
        connection->above_half = true;
    if (connection->stalled_since == 0)
        connection->stalled_since = conf_poller_now(connection->poller);
    if (!connection->blocked)
        conf_connection_queue_flush(connection);
}

/* Plain bytes left the queue: to the socket, or into a filter. */
static void
count_sent(ConfConnection *connection, size_t size)
{
    connection->unsent -= size;
    total_unsent -= size;
    if (connection->unsent_notifications > 0)
        connection->unsent_notifications -= take_runs(&connection->runs, size);
    while (size > 0) {
        size_t rest = segment_rest(connection, TAILQ_FIRST(&connection->segments)).size;
        if (size < rest) {
            connection->sent_of_first += size;
            return;
        }
        size -= rest;
        remove_first(connection);
    }
    /* A block that was opened and not written to. */
    while (connection->unsent == 0 && !TAILQ_EMPTY(&connection->segments))
        remove_first(connection);
}

static void
took_bytes(ConfConnection *connection, size_t size)
{
    connection->stalled_since = is_idle(connection) ? 0
                                : size > 0          ? connection->poller->now
                                                    : connection->stalled_since;
}

static void
add_run(ConfRuns *runs, size_t size, ConfOutputKind kind)
{
    if (runs->begin < runs->end && runs->runs[runs->end - 1].kind == kind) {
        runs->runs[runs->end - 1].size += size;
        return;
    }
    if (runs->end == runs->capacity && runs->begin > runs->capacity / 2) {
        memmove(runs->runs, runs->runs + runs->begin, (runs->end - runs->begin) * sizeof(ConfRun));
        runs->end -= runs->begin;
        runs->begin = 0;
    } else if (runs->end == runs->capacity) {
        runs->capacity = MAX(4, runs->capacity * 2);
        runs->runs = g_renew(ConfRun, runs->runs, runs->capacity);
    }
    runs->runs[runs->end++] = (ConfRun){size, kind};
}

/* Takes `size` bytes from the front; answers how many of them were notifications. */
static size_t
take_runs(ConfRuns *runs, size_t size)
{
    size_t notifications = 0;
    while (size > 0 && runs->begin < runs->end) {
        ConfRun *run = &runs->runs[runs->begin];
        size_t part = MIN(size, run->size);
        if (run->kind == CONF_OUTPUT_NOTIFICATION)
            notifications += part;
        run->size -= part;
        size -= part;
        if (run->size == 0)
            runs->begin++;
    }
    if (runs->begin == runs->end) {
        g_free(runs->runs);
        *runs = (ConfRuns){0};
    }
    return notifications;
}

/* Gives filters something to do while little of what they made is unsent.  False: there was nothing. */
static bool
encode_some(ConfConnection *connection)
{
    bool encoded = false;
    while (connection->filters->highest->ready && connection->state <= CONF_CONNECTION_CLOSING &&
           connection->unsent > 0 && conf_filters_wire_unsent(connection) < CONF_CONNECTION_WIRE) {
        if (!encoded)
            take_wire(connection->filters);
        ConfSlice part = gather(connection);
        conf_filters_encode(connection, part.data, part.size);
        if (connection->state == CONF_CONNECTION_CLOSED)
            return false;
        count_sent(connection, part.size);
        encoded = true;
    }
    return encoded;
}

/* What makes the next record: of one segment where that is much, else of several.  Good until the next
 * call. */
static ConfSlice
gather(const ConfConnection *connection)
{
    static char gathered[ENCODE_SIZE];
    const ConfSegment *segment = TAILQ_FIRST(&connection->segments);
    ConfSlice rest = segment_rest(connection, segment);
    rest.size = MIN(rest.size, ENCODE_SIZE);
    if (rest.size >= GATHER_BELOW || rest.size == connection->unsent)
        return rest;
    size_t size = 0;
    for (; segment != NULL && size < ENCODE_SIZE; segment = TAILQ_NEXT(segment, link)) {
        rest = segment_rest(connection, segment);
        rest.size = MIN(rest.size, ENCODE_SIZE - size);
        memcpy(gathered + size, rest.data, rest.size);
        size += rest.size;
    }
    return (ConfSlice){gathered, size};
}

static void
take_wire(ConfFilters *filters)
{
    if (filters->wire.capacity == 0) {
        filters->wire = spare_wire;
        spare_wire = (ConfBuffer)CONF_BUFFER_INIT;
    }
    if (filters->wire.capacity < WIRE_RESERVE && filters->wire.size == 0)
        conf_buffer_reserve(&filters->wire, WIRE_RESERVE);
    /* What is sent goes: behind a slow peer the buffer may never be sent to its end, and would grow for good. */
    if (filters->wire_sent >= COMPACT_FROM) {
        size_t unsent = filters->wire.size - filters->wire_sent;
        memmove(filters->wire.data, filters->wire.data + filters->wire_sent, unsent);
        conf_buffer_truncate(&filters->wire, unsent);
        filters->wire_sent = 0;
    }
}

/* An idle connection keeps no buffer. */
static void
give_wire_back(ConfFilters *filters)
{
    if (filters->wire.capacity >= WIRE_RESERVE && spare_wire.capacity == 0) {
        spare_wire = filters->wire;
        filters->wire = (ConfBuffer)CONF_BUFFER_INIT;
    }
    conf_buffer_clear(&filters->wire);
}

/* False: nothing more can be done in this turn. */
static bool
send_segments(ConfConnection *connection)
{
    struct iovec vector[VECTOR_MAX];
    unsigned length = 0;
    size_t offered = 0;
    ConfSegment *segment;
    TAILQ_FOREACH(segment, &connection->segments, link)
    {
        if (length == VECTOR_MAX)
            break;
        ConfSlice rest = segment_rest(connection, segment);
        vector[length++] = (struct iovec){(char *)rest.data, rest.size};
        offered += rest.size;
    }
    ssize_t sent;
    if (length == 1) {
        sent = send(connection->fd, vector[0].iov_base, vector[0].iov_len, MSG_NOSIGNAL);
    } else {
        struct msghdr message = {.msg_iov = vector, .msg_iovlen = length};
        sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL);
    }
    if (sent < 0)
        return send_failed(connection);
    count_sent(connection, (size_t)sent);
    took_bytes(connection, (size_t)sent);
    if ((size_t)sent < offered) {
        connection->blocked = true;
        conf_connection_update_events(connection);
    } else if (connection->unsent > 0) {
        conf_connection_queue_flush(connection);
    }
    return true;
}

static bool
send_wire(ConfConnection *connection)
{
    ConfFilters *filters = connection->filters;
    size_t offered = filters->wire.size - filters->wire_sent;
    ssize_t sent = send(connection->fd, filters->wire.data + filters->wire_sent, offered, MSG_NOSIGNAL);
    if (sent < 0)
        return send_failed(connection);
    total_unsent -= (size_t)sent;
    filters->wire_sent += (size_t)sent;
    took_bytes(connection, (size_t)sent);
    if ((size_t)sent < offered) {
        connection->blocked = true;
        conf_connection_update_events(connection);
        below_limits(connection);
        return false;
    }
    filters->wire_sent = 0;
    conf_buffer_truncate(&filters->wire, 0);
    if (connection->unsent == 0)
        give_wire_back(filters);
    return true;
}

static bool
send_failed(ConfConnection *connection)
{
    if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS) {
        connection->blocked = true;
        conf_connection_update_events(connection);
        return false;
    }
    conf_connection_close(connection, g_strerror(errno));
    return false;
}

static void
below_limits(ConfConnection *connection)
{
    if (connection->unsent >= connection->queue_limit / 2 || connection->state > CONF_CONNECTION_OPEN)
        return;
    if (connection->throttled) {
        connection->throttled = false;
        conf_connection_go_on(connection);
    }
    if (connection->above_half) {
        connection->above_half = false;
        if (connection->opened && connection->funcs->drained != NULL)
            connection->funcs->drained(connection);
    }
}

static bool
is_idle(const ConfConnection *connection)
{
    return connection->unsent == 0 && conf_filters_wire_unsent(connection) == 0;
}
