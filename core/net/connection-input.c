/* connection-input.c - from bytes to lines.
 *
 * One recv goes into memory that all connections share, and whole lines are handed on from there without a
 * copy.  What is left over (a part of a line, or lines that must wait) moves into a buffer of the
 * connection, which is freed when it is empty.  A line that is longer than one recv is read straight into
 * that buffer. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "net/connection-private.h"
#include "net/proxy-header.h"

/* A buffered part above this is joined by recv itself. */
enum { DIRECT_FROM = 16 * 1024 };

typedef struct {
    unsigned lines;
    int64_t end; /* monotonic usec */
} Budget;

static ssize_t receive_direct(ConfConnection *connection);
static bool is_unsigned(ConfConnection *connection, ssize_t got);
static void go_before_lines(ConfConnection *connection);
static void process_buffer(ConfConnection *connection, Budget *budget);
static size_t hand_on(ConfConnection *connection, const char *data, size_t size, Budget *budget);
static void refuse_line(ConfConnection *connection);
static bool may_hand_on(const ConfConnection *connection);
static void keep(ConfConnection *connection, const char *data, size_t size);
static void reserve(ConfConnection *connection, size_t extra);
static void resume_later(ConfConnection *connection);
static Budget new_budget(void);
static bool is_over(Budget *budget);

static char scratch[CONF_CONNECTION_SCRATCH];

void
conf_connection_set_line_limit(ConfConnection *connection, size_t bytes)
{
    connection->line_limit = bytes;
}

bool
conf_connection_may_read(const ConfConnection *connection)
{
    if (connection->state == CONF_CONNECTION_HANDSHAKING)
        return true;
    return connection->state == CONF_CONNECTION_OPEN && connection->holds == 0 && !connection->throttled &&
           connection->waits < CONF_CONNECTION_WAITS && connection->wait_bytes < CONF_CONNECTION_WAIT_BYTES;
}

void
conf_connection_receive(ConfConnection *connection)
{
    bool dropping = connection->state == CONF_CONNECTION_CLOSING || connection->state == CONF_CONNECTION_SHUT;
    if (connection->eof ||
        (!dropping && (!conf_connection_may_read(connection) || connection->in_resuming))) {
        /* Lines that wait come first; what waits in the socket is the peer's back-pressure. */
        if (!connection->in_resuming)
            conf_connection_update_events(connection);
        return;
    }
    bool direct = !dropping && connection->filters == NULL &&
                  connection->input_end - connection->input_begin >= DIRECT_FROM;
    ssize_t got = direct ? receive_direct(connection) : recv(connection->fd, scratch, sizeof(scratch), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0) {
        conf_connection_close(connection, g_strerror(errno));
        return;
    }
    if (got == 0) {
        conf_connection_end_of_input(connection);
        return;
    }
    connection->last_receive = conf_poller_now(connection->poller);
    connection->input_seen = 0;
    if (dropping || (connection->signature_seen < CONF_PROXY_NO_SIGNATURE && !is_unsigned(connection, got)))
        return;
    if (direct) {
        Budget budget = new_budget();
        process_buffer(connection, &budget);
    } else if (connection->filters != NULL) {
        conf_filters_decode(connection, scratch, (size_t)got);
    } else {
        conf_connection_take_plain(connection, scratch, (size_t)got);
    }
}

void
conf_connection_take_plain(ConfConnection *connection, const char *data, size_t size)
{
    if (connection->state > CONF_CONNECTION_OPEN || size == 0)
        return;
    if (connection->in_resuming) {
        keep(connection, data, size);
        return;
    }
    Budget budget = new_budget();
    if (connection->input != NULL) {
        /* Only as much is joined to the waiting part as makes its line whole. */
        const char *end = may_hand_on(connection) ? memchr(data, '\n', size) : NULL;
        size_t part = end != NULL ? (size_t)(end + 1 - data) : size;
        keep(connection, data, part);
        process_buffer(connection, &budget);
        data += part;
        size -= part;
        if (size == 0 || connection->state > CONF_CONNECTION_OPEN)
            return;
        if (connection->input != NULL) {
            keep(connection, data, size);
            return;
        }
    }
    size_t used = hand_on(connection, data, size, &budget);
    if (used < size && connection->state <= CONF_CONNECTION_OPEN)
        keep(connection, data + used, size - used);
}

void
conf_connection_end_of_input(ConfConnection *connection)
{
    connection->eof = true;
    if (connection->filters != NULL && connection->state <= CONF_CONNECTION_OPEN)
        connection->cut = !conf_filters_peer_closed(connection);
    conf_connection_update_events(connection);
    if (connection->state == CONF_CONNECTION_SHUT)
        conf_connection_close(connection, NULL);
    else
        conf_connection_check_end(connection);
}

bool
conf_connection_has_lines(const ConfConnection *connection)
{
    return connection->input != NULL && memchr(connection->input + connection->input_scanned, '\n',
                                               connection->input_end - connection->input_scanned) != NULL;
}

void
conf_connection_call_before_lines(ConfConnection *connection, void (*func)(void *data), void *data)
{
    connection->before_lines = func;
    connection->before_lines_data = data;
    if (func != NULL)
        conf_connection_go_on(connection);
}

void
conf_connection_go_on(ConfConnection *connection)
{
    if (!conf_connection_may_read(connection))
        return;
    if (connection->input != NULL || connection->before_lines != NULL)
        resume_later(connection);
    conf_connection_update_events(connection);
}

void
conf_connection_drop_input(ConfConnection *connection)
{
    g_free(connection->input);
    connection->input = NULL;
    connection->input_begin = connection->input_end = connection->input_capacity = connection->input_scanned =
        0;
}

void
conf_connections_resume(ConfPoller *poller)
{
    ConfConnection *last = TAILQ_LAST(&poller->resuming, ConfConnectionQueue), *connection;
    bool more = last != NULL;
    int64_t end = conf_clock_monotonic_usec() + CONF_POLLER_EVENTS_USEC;
    while (more && (connection = TAILQ_FIRST(&poller->resuming)) != NULL) {
        more = connection != last;
        TAILQ_REMOVE(&poller->resuming, connection, resuming);
        connection->in_resuming = false;
        go_before_lines(connection);
        Budget budget = new_budget();
        process_buffer(connection, &budget);
        conf_connection_check_end(connection);
        more = more && conf_clock_monotonic_usec() < end;
    }
}

static void
go_before_lines(ConfConnection *connection)
{
    void (*func)(void *data) = connection->before_lines;
    if (func == NULL || connection->state != CONF_CONNECTION_OPEN || !conf_connection_may_read(connection))
        return;
    connection->before_lines = NULL;
    func(connection->before_lines_data);
}

static ssize_t
receive_direct(ConfConnection *connection)
{
    reserve(connection, CONF_CONNECTION_SCRATCH);
    /* Not more than one recv takes elsewhere, whatever has grown: connections take turns. */
    ssize_t got = recv(connection->fd, connection->input + connection->input_end, CONF_CONNECTION_SCRATCH, 0);
    if (got > 0)
        connection->input_end += (size_t)got;
    return got;
}

/* A header of one who is no trusted balancer claims another's address: the connection ends.  It is looked at
 * as the bytes come (the first ones, so they are in `scratch`); what begins like one is empty lines. */
static bool
is_unsigned(ConfConnection *connection, ssize_t got)
{
    if (connection->outgoing)
        connection->signature_seen = CONF_PROXY_NO_SIGNATURE;
    else
        connection->signature_seen =
            conf_proxy_signature_go_on(connection->signature_seen, scratch, (size_t)got);
    if (connection->signature_seen != CONF_PROXY_SIGNATURE_SIZE)
        return true;
    conf_connection_refuse_header(connection,
                                  "A PROXY header came from an address that is no trusted balancer");
    return false;
}

static void
process_buffer(ConfConnection *connection, Budget *budget)
{
    if (connection->input == NULL || !may_hand_on(connection))
        return;
    /* The buffer is taken away while the owner works on its lines: a filter may emit more bytes meanwhile. */
    char *data = connection->input;
    size_t begin = connection->input_begin, end = connection->input_end;
    size_t capacity = connection->input_capacity, scanned = connection->input_scanned;
    connection->input = NULL;
    conf_connection_drop_input(connection);

    bool found = memchr(data + scanned, '\n', end - scanned) != NULL;
    if (found)
        begin += hand_on(connection, data + begin, end - begin, budget);
    else if (end - begin > connection->line_limit + 1)
        refuse_line(connection);
    if (begin == end || connection->state > CONF_CONNECTION_OPEN) {
        g_free(data);
        return;
    }
    char *added = connection->input;
    size_t added_begin = connection->input_begin, added_size = connection->input_end - added_begin;
    connection->input = data;
    connection->input_begin = begin;
    connection->input_scanned = found ? begin : end;
    connection->input_end = end;
    connection->input_capacity = capacity;
    if (added != NULL)
        keep(connection, added + added_begin, added_size);
    g_free(added);
    if (!conf_connection_has_lines(connection))
        connection->input_scanned = connection->input_end;
    else if (may_hand_on(connection))
        resume_later(connection);
}

/* Hands whole lines on and answers how many bytes that were. */
static size_t
hand_on(ConfConnection *connection, const char *data, size_t size, Budget *budget)
{
    size_t used = 0;
    while (used < size && may_hand_on(connection)) {
        if (is_over(budget)) {
            resume_later(connection);
            break;
        }
        const char *begin = data + used, *end = memchr(begin, '\n', size - used);
        size_t length = end != NULL ? (size_t)(end - begin) : size - used;
        if (end == NULL && length <= connection->line_limit + 1) /* the one may be a CR */
            break;
        bool carriage_return = length > 0 && begin[length - 1] == '\r';
        if (end == NULL || length - carriage_return > connection->line_limit) {
            refuse_line(connection);
            break;
        }
        used += length + 1;
        if (length > carriage_return)
            connection->funcs->line(connection, (ConfSlice){begin, length - carriage_return});
    }
    return used;
}

static void
refuse_line(ConfConnection *connection)
{
    if (connection->funcs->too_long != NULL)
        connection->funcs->too_long(connection);
    conf_connection_close_after_answer(connection, "A line was too long");
}

static bool
may_hand_on(const ConfConnection *connection)
{
    return connection->state == CONF_CONNECTION_OPEN && connection->opened &&
           connection->before_lines == NULL && conf_connection_may_read(connection);
}

static void
keep(ConfConnection *connection, const char *data, size_t size)
{
    reserve(connection, size);
    memcpy(connection->input + connection->input_end, data, size);
    connection->input_end += size;
}

static void
reserve(ConfConnection *connection, size_t extra)
{
    size_t waiting = connection->input_end - connection->input_begin;
    if (connection->input_end + extra <= connection->input_capacity)
        return;
    if (connection->input_begin > 0) {
        memmove(connection->input, connection->input + connection->input_begin, waiting);
        connection->input_scanned -= connection->input_begin;
        connection->input_begin = 0;
        connection->input_end = waiting;
        if (waiting + extra <= connection->input_capacity)
            return;
    }
    /* A short part gets what it needs; a long one doubles, so that it is copied a few times only. */
    size_t needed = waiting + extra;
    size_t capacity = needed > DIRECT_FROM ? MAX(needed, connection->input_capacity * 2) : needed;
    connection->input = g_realloc(connection->input, capacity);
    connection->input_capacity = capacity;
}

static void
resume_later(ConfConnection *connection)
{
    if (connection->in_resuming)
        return;
    connection->in_resuming = true;
    TAILQ_INSERT_TAIL(&connection->poller->resuming, connection, resuming);
}

static Budget
new_budget(void)
{
    return (Budget){.lines = CONF_CONNECTION_LINES, .end = 0};
}

static bool
is_over(Budget *budget)
{
    if (budget->lines-- == 0)
        return true;
    if (budget->lines % 8 != 7)
        return false;
    int64_t now = conf_clock_monotonic_usec();
    if (budget->end == 0)
        budget->end = now + CONF_CONNECTION_LINES_USEC;
    return now >= budget->end;
}
