/* connection.c - the life of a connection, from its socket to the end of the turn in which it closed. */
#include "net/connection.h"

#include <errno.h>
#include <linux/tcp.h> /* the C library's tcp_info ends before what is asked here */
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/connection-private.h"
#include "net/listener-private.h"

enum { DEFAULT_LINE_LIMIT = 64 * 1024, DEFAULT_QUEUE_LIMIT = 1024 * 1024 };

static void events_came(void *data, uint32_t events);
static void time_is_over(void *data);
static void closing_is_over(ConfConnection *connection);
static bool begin_handshake(ConfConnection *connection);
static bool ask_hooks(ConfConnection *connection);
static bool is_to_be_secured(const ConfConnection *connection);
static void end_connection(ConfConnection *connection);
static void free_connection(ConfConnection *connection);
static void end_all(ConfPoller *poller);
static void flush_all(ConfPoller *poller);

static uint64_t last_id;
static unsigned connection_count;

ConfConnection *
conf_connection_new(ConfPoller *poller, const ConfConnectionFuncs *funcs, void *data)
{
    ConfConnection *connection = g_new0(ConfConnection, 1);
    connection->poller = poller;
    connection->funcs = funcs;
    connection->data = data;
    connection->fd = -1;
    connection->id = ++last_id;
    connection->line_limit = DEFAULT_LINE_LIMIT;
    connection->queue_limit = DEFAULT_QUEUE_LIMIT;
    connection->last_receive = conf_poller_now(poller);
    TAILQ_INIT(&connection->segments);
    connection_count++;
    return connection;
}

ConfConnection *
conf_connection_new_accepted(ConfPoller *poller, int fd, const char *port_id,
                             const ConfConnectionFuncs *funcs, void *data)
{
    ConfConnection *connection = conf_connection_new(poller, funcs, data);
    connection->fd = fd;
    connection->port_id = g_strdup(port_id != NULL ? port_id : "");
    if (conf_connection_stand(connection))
        return connection;
    /* The owner never had it, so only the hooks are told. */
    conf_connection_close(connection, NULL);
    TAILQ_REMOVE(&poller->ending, connection, ending);
    connection->funcs = NULL;
    end_connection(connection);
    return NULL;
}

ConfConnection *
conf_connection_new_balanced(ConfPoller *poller, int fd, const char *port_id,
                             const ConfConnectionFuncs *funcs, void *data)
{
    ConfConnection *connection = conf_connection_new(poller, funcs, data);
    connection->fd = fd;
    connection->port_id = g_strdup(port_id != NULL ? port_id : "");
    if (!begin_handshake(connection))
        return connection; /* its owner hears of the end as of any other */
    conf_connection_await_header(connection);
    conf_timer_arm(&connection->timer, CONF_CONNECTION_HEADER_MS, time_is_over, connection);
    return connection;
}

bool
conf_connection_stand(ConfConnection *connection)
{
    return begin_handshake(connection) && ask_hooks(connection);
}

/* False: closed. */
static bool
begin_handshake(ConfConnection *connection)
{
    ConfAddress own = {0}, peer = {0};
    socklen_t own_size = sizeof(own), peer_size = sizeof(peer);
    conf_socket_prepare(connection->fd, false);
    if (getsockname(connection->fd, &own.any, &own_size) < 0)
        own = (ConfAddress){0};
    if (getpeername(connection->fd, &peer.any, &peer_size) < 0)
        peer = (ConfAddress){0};
    connection->loopback = conf_address_is_own(&own, &peer);
    g_autofree char *host = conf_address_to_host(&peer);
    conf_connection_set_peer_text(connection, host, conf_address_port(&peer));

    connection->state = CONF_CONNECTION_HANDSHAKING;
    g_autoptr(GError) error = NULL;
    if (connection->watch == NULL) {
        connection->watch =
            conf_poller_add(connection->poller, connection->fd, EPOLLIN, events_came, connection, &error);
        if (connection->watch == NULL) {
            conf_connection_close(connection, error->message);
            return false;
        }
    }
    return true;
}

/* False: refused, and closed. */
static bool
ask_hooks(ConfConnection *connection)
{
    g_autoptr(GError) error = NULL;
    connection->announced = true;
    if (conf_hooks_accepted(connection, &error) == CONF_REFUSE ||
        conf_hooks_transport(connection, &error) == CONF_REFUSE) {
        conf_connection_close(connection, error != NULL ? error->message : "A plugin refused the connection");
        return false;
    }
    if (connection->state != CONF_CONNECTION_HANDSHAKING)
        return false;
    if (connection->filters == NULL && is_to_be_secured(connection)) {
        conf_connection_close(connection, connection->outgoing
                                              ? "Option tls = 1 needs a plugin that secures connections"
                                              : "The port's listening mode needs a plugin that secures it");
        return false;
    }
    if (connection->filters == NULL) {
        conf_connection_become_open(connection);
        return true;
    }
    conf_timer_arm(&connection->timer, CONF_CONNECTION_HANDSHAKE_MS, time_is_over, connection);
    conf_filters_start(connection);
    return connection->state != CONF_CONNECTION_CLOSED;
}

/* Opened in plain, it would be less than was asked for: of a port by its listening mode, of the link to the
 * master by the parameter `tls` of its transport. */
static bool
is_to_be_secured(const ConfConnection *connection)
{
    if (connection->outgoing) {
        const char *tls = conf_connection_get_option(connection, "tls", "tls");
        return tls != NULL && (strcmp(tls, "1") == 0 || g_ascii_strcasecmp(tls, "true") == 0 ||
                               g_ascii_strcasecmp(tls, "yes") == 0 || g_ascii_strcasecmp(tls, "on") == 0);
    }
    const char *listening = conf_connection_get_option(connection, "port", "listening");
    return listening != NULL && strcmp(listening, "unsecured") != 0;
}

/* The owner hears of it at the end of the turn: then it surely knows the pointer. */
void
conf_connection_become_open(ConfConnection *connection)
{
    if (connection->state != CONF_CONNECTION_HANDSHAKING)
        return;
    conf_timer_cancel(&connection->timer);
    connection->state = CONF_CONNECTION_OPEN;
    connection->in_opening = true;
    TAILQ_INSERT_TAIL(&connection->poller->opening, connection, opening);
    conf_connection_queue_flush(connection);
}

void *
conf_connection_get_data(const ConfConnection *connection)
{
    return connection->data;
}

void
conf_connection_set_data(ConfConnection *connection, void *data)
{
    connection->data = data;
}

uint64_t
conf_connection_get_id(const ConfConnection *connection)
{
    return connection->id;
}

bool
conf_connection_is_outgoing(const ConfConnection *connection)
{
    return connection->outgoing;
}

bool
conf_connection_is_open(const ConfConnection *connection)
{
    return connection->state <= CONF_CONNECTION_OPEN;
}

bool
conf_connection_is_loopback(const ConfConnection *connection)
{
    return connection->loopback;
}

bool
conf_connection_is_encrypted(const ConfConnection *connection)
{
    if (connection->filters == NULL)
        return false;
    for (ConfFilterHandle *handle = connection->filters->lowest; handle != NULL; handle = handle->above) {
        if (handle->encrypted)
            return true;
    }
    return false;
}

const char *
conf_connection_get_peer(const ConfConnection *connection)
{
    return connection->peer;
}

const char *
conf_connection_get_peer_address(const ConfConnection *connection)
{
    return connection->peer_address;
}

const char *
conf_connection_get_port_id(const ConfConnection *connection)
{
    return connection->port_id != NULL ? connection->port_id : "";
}

int64_t
conf_connection_get_last_receive(const ConfConnection *connection)
{
    /* Held input is not the peer's silence; but where nothing is read because the peer takes nothing, only what
     * came since it was last looked at is life. */
    size_t waiting = conf_connection_get_unread(connection);
    bool lives = waiting > 0 && (!connection->throttled || waiting != connection->input_seen);
    return lives ? conf_poller_now(connection->poller) : connection->last_receive;
}

size_t
conf_connection_get_unread(const ConfConnection *connection)
{
    int waiting = 0;
    if (connection->fd < 0 || connection->state == CONF_CONNECTION_CONNECTING ||
        ioctl(connection->fd, FIONREAD, &waiting) != 0 || waiting < 0)
        return 0;
    return (size_t)waiting;
}

size_t
conf_connection_get_waiting(const ConfConnection *connection)
{
    int kernel = 0;
    if (connection->fd < 0 || connection->state == CONF_CONNECTION_CONNECTING ||
        ioctl(connection->fd, TIOCOUTQ, &kernel) != 0)
        kernel = 0;
    return connection->unsent + conf_filters_wire_unsent(connection) + (size_t)MAX(kernel, 0);
}

uint64_t
conf_connection_get_acknowledged(const ConfConnection *connection)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);
    if (connection->fd < 0 || getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return 0;
    return info.tcpi_bytes_acked;
}

void
conf_connection_set_peer(ConfConnection *connection, const char *address, uint16_t port)
{
    connection->loopback = false;
    conf_connection_set_peer_text(connection, address, port);
}

void
conf_connection_set_peer_text(ConfConnection *connection, const char *host, uint16_t port)
{
    g_free(connection->peer);
    g_free(connection->peer_address);
    connection->peer_address = g_strdup(host);
    connection->peer = conf_address_to_text(host, port);
}

void
conf_connection_watch_gone(ConfConnection *connection, ConfGoneWatch *watch, void (*func)(void *data),
                           void *data)
{
    *watch = (ConfGoneWatch){.next = connection->gone, .link = &connection->gone, .func = func, .data = data};
    if (watch->next != NULL)
        watch->next->link = &watch->next;
    connection->gone = watch;
}

void
conf_connection_unwatch_gone(ConfGoneWatch *watch)
{
    if (watch->link == NULL)
        return;
    *watch->link = watch->next;
    if (watch->next != NULL)
        watch->next->link = watch->link;
    watch->link = NULL;
    watch->next = NULL;
}

void
conf_connection_begin_wait(ConfConnection *connection, size_t bytes)
{
    connection->waits++;
    connection->wait_bytes += bytes;
}

void
conf_connection_end_wait(ConfConnection *connection, size_t bytes)
{
    bool kept_back = !conf_connection_may_read(connection);
    connection->waits--;
    connection->wait_bytes -= bytes;
    if (kept_back)
        conf_connection_go_on(connection);
    conf_connection_check_end(connection);
}

void
conf_connection_hold_input(ConfConnection *connection)
{
    /* epoll is told only if bytes come meanwhile: most holds are over before. */
    connection->holds++;
}

void
conf_connection_release_input(ConfConnection *connection)
{
    g_assert(connection->holds > 0);
    if (--connection->holds > 0)
        return;
    conf_connection_go_on(connection);
    conf_connection_check_end(connection);
}

bool
conf_connection_is_held(const ConfConnection *connection)
{
    return connection->holds > 0;
}

void
conf_connection_close(ConfConnection *connection, const char *reason)
{
    if (connection->state == CONF_CONNECTION_CLOSED)
        return;
    connection->state = CONF_CONNECTION_CLOSED;
    if (connection->reason == NULL)
        connection->reason = g_strdup(reason != NULL ? reason : "The connection was closed");
    conf_timer_cancel(&connection->timer);
    conf_poller_remove(connection->watch);
    connection->watch = NULL;
    conf_connection_drop_input(connection);
    conf_connection_drop_output(connection);
    connection->in_ending = true;
    TAILQ_INSERT_TAIL(&connection->poller->ending, connection, ending);
}

void
conf_connection_close_after_answer(ConfConnection *connection, const char *reason)
{
    if (connection->state >= CONF_CONNECTION_CLOSING)
        return;
    if (connection->state == CONF_CONNECTION_CONNECTING) {
        conf_connection_close(connection, reason);
        return;
    }
    connection->state = CONF_CONNECTION_CLOSING;
    connection->reason = g_strdup(reason != NULL ? reason : "The connection was closed");
    conf_connection_drop_input(connection);
    conf_timer_arm(&connection->timer, connection->eof ? CONF_CONNECTION_STALL_MS : CONF_CONNECTION_DRAIN_MS,
                   time_is_over, connection);
    conf_connection_update_events(connection);
    conf_connection_queue_flush(connection); /* shuts the write side where nothing is unsent */
}

unsigned
conf_connection_count(void)
{
    return connection_count;
}

void
conf_connection_update_events(ConfConnection *connection)
{
    if (connection->watch == NULL || connection->state == CONF_CONNECTION_CONNECTING)
        return;
    bool reading = !connection->eof &&
                   (connection->state >= CONF_CONNECTION_CLOSING || conf_connection_may_read(connection));
    conf_poller_modify(connection->watch, (reading ? EPOLLIN : 0) | (connection->blocked ? EPOLLOUT : 0));
}

/* Answers that are owed are waited for as long as they take: each has its own time limit. */
void
conf_connection_check_end(ConfConnection *connection)
{
    if (!connection->eof || connection->state > CONF_CONNECTION_OPEN)
        return;
    if (connection->state == CONF_CONNECTION_HANDSHAKING) {
        conf_connection_close(connection, "The peer closed the connection during the handshake");
        return;
    }
    if (connection->waits > 0 || connection->holds > 0 || conf_connection_has_lines(connection))
        return;
    conf_connection_close_after_answer(connection, connection->cut ? "The peer's stream was cut"
                                                                   : "The peer closed the connection");
}

void
conf_connection_drained_closing(ConfConnection *connection)
{
    if (connection->filters != NULL && !connection->filters->ended) {
        conf_filters_end(connection);
        if (conf_filters_wire_unsent(connection) > 0) {
            conf_connection_queue_flush(connection);
            return;
        }
    }
    if (connection->eof || shutdown(connection->fd, SHUT_WR) < 0) {
        conf_connection_close(connection, NULL);
        return;
    }
    connection->state = CONF_CONNECTION_SHUT;
    conf_timer_arm(&connection->timer, CONF_CONNECTION_DRAIN_MS, time_is_over, connection);
}

void
conf_connections_open(ConfPoller *poller)
{
    ConfConnection *connection;
    while ((connection = TAILQ_FIRST(&poller->opening)) != NULL) {
        TAILQ_REMOVE(&poller->opening, connection, opening);
        connection->in_opening = false;
        if (connection->state == CONF_CONNECTION_CLOSED)
            continue;
        connection->opened = true;
        conf_hooks_opened(connection);
        if (connection->funcs->opened != NULL)
            connection->funcs->opened(connection);
        conf_connection_go_on(connection); /* lines that came with the end of the handshake */
        conf_connection_check_end(connection);
    }
}

void
conf_connections_end_turn(ConfPoller *poller)
{
    conf_connections_open(poller);
    end_all(poller);
    flush_all(poller);
    end_all(poller);
}

static void
events_came(void *data, uint32_t events)
{
    ConfConnection *connection = data;
    if (connection->header != NULL) {
        if ((events & EPOLLIN) != 0 && conf_connection_receive_header(connection)) {
            conf_timer_cancel(&connection->timer);
            ask_hooks(connection);
            return; /* what follows the header is read with the next event */
        }
        events &= ~(uint32_t)EPOLLIN;
        if (connection->state == CONF_CONNECTION_CLOSED)
            return;
    }
    if ((events & EPOLLIN) != 0)
        conf_connection_receive(connection);
    if (connection->state == CONF_CONNECTION_CLOSED)
        return;
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
        /* What was readable has been read; where reading rests, the event would come again and again. */
        int error = 0;
        socklen_t size = sizeof(error);
        bool known = getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0;
        bool rests = (events & EPOLLIN) == 0 || !conf_connection_may_read(connection);
        if (known || rests)
            conf_connection_close(connection, known ? g_strerror(error) : "The peer closed the connection");
        if (connection->state == CONF_CONNECTION_CLOSED)
            return;
    }
    if ((events & EPOLLOUT) != 0)
        conf_connection_queue_flush(connection);
}

static void
time_is_over(void *data)
{
    ConfConnection *connection = data;
    if (connection->header != NULL)
        conf_connection_refuse_header(connection, "A trusted balancer sent no PROXY header in time");
    else if (connection->state == CONF_CONNECTION_HANDSHAKING)
        conf_connection_close(connection, "The handshake took too long");
    else
        closing_is_over(connection);
}

/* A client that shut its side and still takes its answers, slowly, may go on taking them. */
static void
closing_is_over(ConfConnection *connection)
{
    int64_t quiet_usec = conf_poller_now(connection->poller) - connection->stalled_since;
    if (connection->state == CONF_CONNECTION_CLOSING && connection->eof && connection->stalled_since != 0 &&
        quiet_usec < CONF_CONNECTION_STALL_MS * INT64_C(1000)) {
        conf_timer_arm(&connection->timer, CONF_CONNECTION_STALL_MS, time_is_over, connection);
        return;
    }
    conf_connection_close(connection, NULL);
}

static void
end_connection(ConfConnection *connection)
{
    while (connection->gone != NULL) {
        ConfGoneWatch *watch = connection->gone;
        conf_connection_unwatch_gone(watch);
        watch->func(watch->data);
    }
    if (connection->funcs != NULL && connection->funcs->closed != NULL)
        connection->funcs->closed(connection, connection->reason);
    if (connection->announced)
        conf_hooks_closed(connection);
    free_connection(connection);
}

static void
free_connection(ConfConnection *connection)
{
    conf_attachments_free(connection);
    conf_added_params_free(connection);
    conf_filters_free(connection);
    conf_dial_free(connection->dial);
    g_free(connection->header);
    conf_connection_drop_input(connection);
    conf_connection_clear_output(connection);
    if (connection->in_opening)
        TAILQ_REMOVE(&connection->poller->opening, connection, opening);
    if (connection->in_flushing)
        TAILQ_REMOVE(&connection->poller->flushing, connection, flushing);
    if (connection->in_resuming)
        TAILQ_REMOVE(&connection->poller->resuming, connection, resuming);
    if (connection->fd >= 0) {
        close(connection->fd);
        conf_listeners_descriptor_freed(connection->poller);
    }
    g_free(connection->peer);
    g_free(connection->peer_address);
    g_free(connection->port_id);
    g_free(connection->reason);
    g_free(connection);
    connection_count--;
}

static void
end_all(ConfPoller *poller)
{
    ConfConnection *connection;
    while ((connection = TAILQ_FIRST(&poller->ending)) != NULL) {
        TAILQ_REMOVE(&poller->ending, connection, ending);
        connection->in_ending = false;
        end_connection(connection);
    }
}

/* In the order in which output came; what the budget leaves over is first in the next turn. */
static void
flush_all(ConfPoller *poller)
{
    if (TAILQ_EMPTY(&poller->flushing))
        return;
    conf_poller_note("flush");
    poller->now = conf_clock_monotonic_usec();
    int64_t end = poller->now + CONF_POLLER_FLUSH_USEC;
    /* Those that drained() fills again come after all others. */
    ConfConnection *last = TAILQ_LAST(&poller->flushing, ConfConnectionQueue), *connection;
    bool more = true;
    while (more && (connection = TAILQ_FIRST(&poller->flushing)) != NULL) {
        more = connection != last;
        TAILQ_REMOVE(&poller->flushing, connection, flushing);
        connection->in_flushing = false;
        conf_connection_flush(connection);
        poller->now = conf_clock_monotonic_usec();
        more = more && poller->now < end;
    }
}
