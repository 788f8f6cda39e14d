/* Tests of net/connection: what goes out, back-pressure, the ways to close, and what a connection costs. */
#include <malloc.h>
#include <sys/resource.h>

#include "server-test.h"

#ifdef __SANITIZE_ADDRESS__
/* Of sanitizer/allocator_interface.h, which not every compiler installs. */
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

static size_t
heap_in_use(void)
{
#ifdef __SANITIZE_ADDRESS__
    return __sanitizer_get_current_allocated_bytes();
#else
    return mallinfo2().uordblks;
#endif
}

static ConfBytes *
filled(size_t size, char c)
{
    ConfBytes *bytes = conf_bytes_new_unset(size);
    memset(bytes->data, c, size);
    return bytes;
}

/* Copies, references small and large, and what is written in place leave in the order of the calls. */
static void
test_order(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    g_autoptr(GString) expected = g_string_new(NULL);
    WAIT_FOR(server->opened == 1);
    for (unsigned i = 0; i < 300; i++) {
        char c = (char)('a' + i % 26);
        size_t size = (size_t)i * i % 9000 + 1;
        g_autoptr(ConfBytes) bytes = filled(size, c);
        if (i % 3 == 0) {
            conf_connection_send_bytes(server->connection, bytes,
                                       i % 2 == 0 ? CONF_OUTPUT_ANSWER : CONF_OUTPUT_NOTIFICATION);
        } else if (i % 3 == 1) {
            conf_connection_send_copy(server->connection, conf_bytes_slice(bytes), CONF_OUTPUT_NOTIFICATION);
        } else {
            conf_buffer_append(conf_connection_output(server->connection), bytes->data, bytes->size);
            conf_connection_written(server->connection);
        }
        g_string_append_len(expected, bytes->data, bytes->size);
        g_assert_cmpuint(conf_connection_get_unsent(server->connection), ==, expected->len);
    }
    WAIT_FOR(peer_read(peer) == expected->len);
    g_assert_cmpmem(peer->received->str, peer->received->len, expected->str, expected->len);
    g_assert_cmpuint(conf_connection_get_unsent(server->connection), ==, 0);
    g_assert_cmpuint(conf_connection_get_unsent_notifications(server->connection), ==, 0);
    g_assert_cmpint(conf_connection_get_stalled_since(server->connection), ==, 0);
    g_assert_cmpuint(conf_connection_total_unsent(), ==, 0);
}

static void
make_socket_small(Server *server, Peer *peer)
{
    int size = 4096;
    g_assert_cmpint(setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), ==, 0);
}

/* Each kind is counted by itself, whatever the order in which they stand and leave. */
static void
test_notifications_are_counted(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    size_t answers = 0, notifications = 0;
    WAIT_FOR(server->opened == 1);
    for (unsigned i = 0; i < 4000; i++) {
        g_autoptr(ConfBytes) bytes = filled(2000 + i % 300 * 10, 'n');
        ConfOutputKind kind = i % 5 == 0 ? CONF_OUTPUT_NOTIFICATION : CONF_OUTPUT_ANSWER;
        conf_connection_send_bytes(server->connection, bytes, kind);
        *(kind == CONF_OUTPUT_NOTIFICATION ? &notifications : &answers) += bytes->size;
    }
    g_assert_cmpuint(conf_connection_get_unsent_notifications(server->connection), ==, notifications);
    g_assert_cmpuint(conf_connection_get_unsent(server->connection), ==, answers + notifications);
    g_assert_cmpuint(conf_connection_total_unsent(), ==, answers + notifications);
    net_test_turn_for(20);
    size_t unsent = conf_connection_get_unsent(server->connection);
    g_assert_cmpuint(unsent, >, 0);
    g_assert_cmpuint(conf_connection_get_unsent_notifications(server->connection), <, unsent);
    WAIT_FOR(peer_read(peer) == answers + notifications);
    g_assert_cmpuint(conf_connection_get_unsent_notifications(server->connection), ==, 0);
    g_assert_cmpuint(conf_connection_total_unsent(), ==, 0);
}

/* Only notifications stand unsent: the sum is theirs to the byte while it shrinks. */
static void
test_only_notifications(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    WAIT_FOR(server->opened == 1);
    g_autoptr(ConfBytes) bytes = filled(100000, 'n');
    for (unsigned i = 0; i < 100; i++)
        conf_connection_send_bytes(server->connection, bytes, CONF_OUTPUT_NOTIFICATION);
    while (peer_read(peer) < 100 * 100000) {
        net_test_iterate();
        g_assert_cmpuint(conf_connection_get_unsent_notifications(server->connection), ==,
                         conf_connection_get_unsent(server->connection));
    }
}

static void
answer_long(Server *server, ConfSlice line)
{
    conf_connection_send_bytes(server->connection, server->data, CONF_OUTPUT_ANSWER);
}

/* A peer that asks and does not read: what is unsent stays bounded, and nothing is lost once it reads. */
static void
test_back_pressure(void)
{
    enum { QUESTIONS = 3000, ANSWER = 10000, LIMIT = 200000 };
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    g_autoptr(ConfBytes) answer = filled(ANSWER, 'a');
    answer->data[ANSWER - 1] = '\n';
    server->data = answer;
    server->on_line = answer_long;
    conf_connection_set_queue_limit(server->connection, LIMIT);
    for (unsigned i = 0; i < QUESTIONS; i++)
        peer_send_text(peer, "question\n");
    unsigned before = 0;
    do {
        before = server->line_count;
        net_test_turn_for(50);
        g_assert_cmpuint(conf_connection_get_unsent(server->connection), <=, LIMIT + ANSWER);
    } while (server->line_count > before);
    g_assert_cmpuint(server->line_count, <, QUESTIONS);
    g_assert_true(conf_connection_is_full(server->connection));
    g_assert_cmpint(conf_connection_get_stalled_since(server->connection), <, conf_clock_monotonic_usec());
    WAIT_FOR(peer_read(peer) == (size_t)QUESTIONS * ANSWER);
    g_assert_cmpuint(server->line_count, ==, QUESTIONS);
    g_assert_cmpuint(server->drained, >, 0);
    g_assert_false(conf_connection_is_full(server->connection));
}

enum { PAGE = 50000, PAGES = 400, PAGE_LIMIT = 300000 };

static void
produce(Server *server)
{
    unsigned *left = server->data;
    while (*left > 0 && conf_connection_get_unsent(server->connection) < PAGE_LIMIT / 2) {
        g_autoptr(ConfBytes) page = filled(PAGE, 'p');
        conf_connection_send_bytes(server->connection, page, CONF_OUTPUT_ANSWER);
        (*left)--;
    }
}

/* A producer goes on whenever drained() says so, and gets to its end. */
static void
test_producer(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    unsigned left = PAGES;
    server->data = &left;
    server->on_drained = produce;
    conf_connection_set_queue_limit(server->connection, PAGE_LIMIT);
    WAIT_FOR(server->opened == 1);
    produce(server);
    WAIT_FOR(peer_read(peer) == (size_t)PAGE * PAGES);
    g_assert_cmpuint(left, ==, 0);
}

static void
test_close_after_answer(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    WAIT_FOR(server->opened == 1);
    g_autoptr(ConfBytes) bytes = filled(500000, 'a');
    conf_connection_send_bytes(server->connection, bytes, CONF_OUTPUT_ANSWER);
    conf_connection_close_after_answer(server->connection, "Done");
    g_assert_false(conf_connection_is_open(server->connection));
    /* What comes behind goes nowhere, but for the one that asked for the close. */
    conf_connection_send_copy(server->connection, CONF_SLICE("lost"), CONF_OUTPUT_ANSWER);
    conf_buffer_append_string(conf_connection_output(server->connection), "lost too");
    conf_connection_written(server->connection);
    conf_buffer_append_string(conf_connection_output_last(server->connection), "last");
    conf_connection_written(server->connection);
    WAIT_FOR((peer_read(peer), peer->eof));
    g_assert_cmpuint(peer->received->len, ==, 500004);
    g_assert_true(g_str_has_suffix(peer->received->str, "alast"));
    peer_send_text(peer, "dropped\n");
    int64_t since = conf_clock_monotonic_usec();
    WAIT_FOR(server->closed == 1); /* without the peer's doing */
    g_assert_cmpint(conf_clock_monotonic_usec() - since, <, 3 * G_USEC_PER_SEC);
    g_assert_cmpstr(server->reason, ==, "Done");
    g_assert_cmpuint(server->line_count, ==, 0);
    g_assert_cmpuint(conf_connection_total_unsent(), ==, 0);
}

/* A peer that takes nothing does not keep a closing connection. */
static void
test_close_after_answer_stuck(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    make_socket_small(server, peer);
    WAIT_FOR(server->opened == 1);
    g_autoptr(ConfBytes) bytes = filled(16 * 1024 * 1024, 'a');
    conf_connection_send_bytes(server->connection, bytes, CONF_OUTPUT_ANSWER);
    conf_connection_close_after_answer(server->connection, "Done");
    WAIT_FOR(server->closed == 1);
    g_assert_cmpuint(conf_connection_total_unsent(), ==, 0);
}

static void
close_in_drained(Server *server)
{
    conf_connection_close(server->connection, "In drained");
}

static void
test_close_in_drained(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    server->on_drained = close_in_drained;
    WAIT_FOR(server->opened == 1);
    g_autoptr(ConfBytes) bytes = filled(700000, 'a');
    conf_connection_send_bytes(server->connection, bytes, CONF_OUTPUT_ANSWER);
    WAIT_FOR((peer_read(peer), server->closed == 1));
    g_assert_cmpstr(server->reason, ==, "In drained");
}

static void
test_peer_gone_while_writing(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    WAIT_FOR(server->opened == 1);
    close(peer->fd);
    peer->fd = -1;
    g_autoptr(ConfBytes) bytes = filled(1024 * 1024, 'a');
    for (unsigned i = 0; i < 20; i++)
        conf_connection_send_bytes(server->connection, bytes, CONF_OUTPUT_NOTIFICATION);
    WAIT_FOR(server->closed == 1);
    g_assert_cmpuint(conf_connection_total_unsent(), ==, 0);
}

typedef struct {
    ConfGoneWatch watch;
    unsigned calls;
    Server *server;
} Gone;

static void
on_gone(void *data)
{
    Gone *gone = data;
    gone->calls++;
    g_assert_cmpuint(gone->server->closed, ==, 0); /* closed() is the last call */
}

static void
test_gone_watches(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    Gone gone[3] = {{.server = server}, {.server = server}, {.server = server}};
    for (unsigned i = 0; i < 3; i++)
        conf_connection_watch_gone(server->connection, &gone[i].watch, on_gone, &gone[i]);
    conf_connection_unwatch_gone(&gone[1].watch);
    conf_connection_unwatch_gone(&gone[1].watch);
    conf_connection_close(server->connection, "Over");
    g_assert_cmpuint(gone[0].calls, ==, 0);
    WAIT_FOR(server->closed == 1);
    g_assert_cmpuint(gone[0].calls, ==, 1);
    g_assert_cmpuint(gone[1].calls, ==, 0);
    g_assert_cmpuint(gone[2].calls, ==, 1);
}

static void
test_facts(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    g_autoptr(Peer) other_peer = NULL;
    g_autoptr(Server) other = server_with_peer(&other_peer);
    ConfConnection *connection = server->connection;
    g_assert_cmpuint(conf_connection_get_id(connection), <, conf_connection_get_id(other->connection));
    g_assert_cmpuint(conf_connection_count(), ==, 2);
    g_assert_false(conf_connection_is_outgoing(connection));
    g_assert_true(conf_connection_is_loopback(connection));
    g_assert_false(conf_connection_is_encrypted(connection));
    g_assert_true(g_str_has_prefix(conf_connection_get_peer(connection), "127.0.0.1:"));
    g_assert_cmpstr(conf_connection_get_peer_address(connection), ==, "127.0.0.1");
    g_assert_cmpstr(conf_connection_get_port_id(connection), ==, "default");
    conf_connection_set_peer(connection, "2001:db8::1", 99);
    g_assert_cmpstr(conf_connection_get_peer(connection), ==, "[2001:db8::1]:99");
    g_assert_cmpstr(conf_connection_get_peer_address(connection), ==, "2001:db8::1");
    g_assert_false(conf_connection_is_loopback(connection));
    /* What waits in the socket counts as received. */
    conf_connection_hold_input(connection);
    peer_send_text(peer, "x\n");
    net_test_turn_for(20);
    g_assert_cmpint(conf_clock_monotonic_usec() - conf_connection_get_last_receive(connection), <, 10 * 1000);
    conf_connection_release_input(connection);
}

/* An idle connection costs less than 2 KiB, also after it was used. */
static void
test_memory(void)
{
    enum { COUNT = 400 };
    Server *servers[COUNT];
    Peer *peers[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        int fds[2];
        net_test_tcp_pair(fds);
        peers[i] = peer_new(fds[1]);
        servers[i] = server_new_empty();
        servers[i]->on_line = server_echo;
        servers[i]->data = GINT_TO_POINTER(fds[0]);
    }
    size_t before = heap_in_use();
    for (unsigned i = 0; i < COUNT; i++)
        servers[i]->connection = conf_connection_new_accepted(
            conf_poller_default(), GPOINTER_TO_INT(servers[i]->data), "default", &server_funcs, servers[i]);
    size_t opened = heap_in_use();
    for (unsigned i = 0; i < COUNT; i++) {
        peer_send_text(peers[i], "a question in");
        net_test_iterate();
        peer_send_text(peers[i], " two parts\n");
        WAIT_FOR(peer_count_lines(peers[i]) == 1);
        g_string_truncate(peers[i]->received, 0);
    }
    size_t used = heap_in_use();
    g_test_message("a connection: %zu bytes, after use: %zu bytes", (opened - before) / COUNT,
                   (used - before) / COUNT);
    g_assert_cmpuint((opened - before) / COUNT, <, 2048);
    g_assert_cmpuint((used - before) / COUNT, <, 2048);
    for (unsigned i = 0; i < COUNT; i++) {
        server_free(servers[i]);
        peer_free(peers[i]);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    struct rlimit limit;
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    limit.rlim_cur = MIN(limit.rlim_max, 4096);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    g_test_add_func("/connection/output/order", test_order);
    g_test_add_func("/connection/output/notifications", test_notifications_are_counted);
    g_test_add_func("/connection/output/only-notifications", test_only_notifications);
    g_test_add_func("/connection/output/back-pressure", test_back_pressure);
    g_test_add_func("/connection/output/producer", test_producer);
    g_test_add_func("/connection/output/close-after-answer", test_close_after_answer);
    g_test_add_func("/connection/output/close-after-answer-stuck", test_close_after_answer_stuck);
    g_test_add_func("/connection/output/close-in-drained", test_close_in_drained);
    g_test_add_func("/connection/output/peer-gone", test_peer_gone_while_writing);
    g_test_add_func("/connection/output/gone-watches", test_gone_watches);
    g_test_add_func("/connection/output/facts", test_facts);
    g_test_add_func("/connection/output/memory", test_memory);
    return g_test_run();
}
