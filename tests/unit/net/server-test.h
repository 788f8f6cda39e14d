/* server-test.h - an owner of connections for tests: keeps what its callbacks were told. */
#pragma once

#include "net-test.h"

typedef struct Server Server;
struct Server {
    ConfConnection *connection; /* NULL: closed() was called */
    GString *lines;             /* each with an LF behind it */
    unsigned line_count, opened, drained, too_long, closed;
    char *reason;
    void (*on_line)(Server *server, ConfSlice line); /* NULL: keep it in lines */
    void (*on_drained)(Server *server);
    void *data;
};

static void
server_line(ConfConnection *connection, ConfSlice line)
{
    Server *server = conf_connection_get_data(connection);
    g_assert_true(connection == server->connection);
    g_assert_cmpuint(server->opened, ==, 1);
    g_assert_cmpuint(line.size, >, 0);
    server->line_count++;
    if (server->on_line != NULL) {
        server->on_line(server, line);
        return;
    }
    g_string_append_len(server->lines, line.data, (gssize)line.size);
    g_string_append_c(server->lines, '\n');
}

static void
server_too_long(ConfConnection *connection)
{
    Server *server = conf_connection_get_data(connection);
    server->too_long++;
    conf_connection_send_copy(connection, CONF_SLICE("too long\n"), CONF_OUTPUT_ANSWER);
    conf_connection_close_after_answer(connection, "A line was too long");
}

static void
server_opened(ConfConnection *connection)
{
    Server *server = conf_connection_get_data(connection);
    server->opened++;
}

static void
server_drained(ConfConnection *connection)
{
    Server *server = conf_connection_get_data(connection);
    server->drained++;
    if (server->on_drained != NULL)
        server->on_drained(server);
}

static void
server_closed(ConfConnection *connection, const char *reason)
{
    Server *server = conf_connection_get_data(connection);
    g_assert_nonnull(reason);
    server->closed++;
    server->reason = g_strdup(reason);
    server->connection = NULL;
}

static const ConfConnectionFuncs server_funcs = {
    .line = server_line,
    .too_long = server_too_long,
    .opened = server_opened,
    .drained = server_drained,
    .closed = server_closed,
};

static inline Server *
server_new_empty(void)
{
    Server *server = g_new0(Server, 1);
    server->lines = g_string_new(NULL);
    return server;
}

static inline Server *
server_new(int fd)
{
    Server *server = server_new_empty();
    server->connection =
        conf_connection_new_accepted(conf_poller_default(), fd, "default", &server_funcs, server);
    g_assert_nonnull(server->connection);
    return server;
}

static inline void
server_free(Server *server)
{
    if (server->connection != NULL) {
        conf_connection_close(server->connection, "The test is over");
        WAIT_FOR(server->closed == 1);
    }
    g_assert_cmpuint(server->closed, <=, 1);
    g_string_free(server->lines, TRUE);
    g_free(server->reason);
    g_free(server);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Server, server_free)

/* A server on one end of a TCP connection, a raw peer on the other. */
static inline Server *
server_with_peer(Peer **peer)
{
    int fds[2];
    net_test_tcp_pair(fds);
    *peer = peer_new(fds[1]);
    return server_new(fds[0]);
}

/* on_line: sends the line back. */
static inline void
server_echo(Server *server, ConfSlice line)
{
    ConfBuffer *buffer = conf_connection_output(server->connection);
    conf_buffer_append_slice(buffer, line);
    conf_buffer_append_char(buffer, '\n');
    conf_connection_written(server->connection);
}
