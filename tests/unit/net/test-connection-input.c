/* Tests of net/connection: what comes in. */
#include "server-test.h"

static void
test_lines(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    peer_send_text(peer, "one\ntwo\r\n\n\r\nthr");
    WAIT_FOR(server->line_count == 2);
    net_test_turn_for(5);
    g_assert_cmpstr(server->lines->str, ==, "one\ntwo\n");
    peer_send_text(peer, "ee");
    net_test_turn_for(5);
    peer_send_text(peer, "\nfour\r");
    peer_send_text(peer, "\n\rfive\n");
    WAIT_FOR(server->line_count == 5);
    g_assert_cmpstr(server->lines->str, ==, "one\ntwo\nthree\nfour\n\rfive\n");
    g_assert_cmpint(conf_connection_get_last_receive(server->connection), >, 0);
}

static void
slow_echo(Server *server, ConfSlice line)
{
    /* As long as a request may well take: 100,000 of them are seconds. */
    int64_t end = conf_clock_monotonic_usec() + 20;
    while (conf_clock_monotonic_usec() < end) {
    }
    server_echo(server, line);
}

/* 100,000 lines in one go are answered in order, and another connection is served in between. */
static void
test_pipelined(void)
{
    enum { COUNT = 100000 };
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    g_autoptr(Peer) modest_peer = NULL;
    g_autoptr(Server) modest = server_with_peer(&modest_peer);
    server->on_line = slow_echo;
    modest->on_line = server_echo;
    g_autoptr(GString) text = g_string_new(NULL);
    for (unsigned i = 0; i < COUNT; i++)
        g_string_append_printf(text, "{\"id\":%u,\"method\":\"nothing\"}\n", i);
    size_t sent = 0;
    int64_t end = conf_clock_monotonic_usec() + 60 * G_USEC_PER_SEC;
    while (peer_read(peer) < text->len && conf_clock_monotonic_usec() < end) {
        ssize_t now = sent < text->len ? send(peer->fd, text->str + sent, text->len - sent, MSG_NOSIGNAL) : 0;
        sent += now > 0 ? (size_t)now : 0;
        if (peer_count_lines(modest_peer) == modest->line_count)
            peer_send_text(modest_peer, "ask\n");
        net_test_iterate();
    }
    g_assert_cmpuint(server->line_count, ==, COUNT);
    g_assert_cmpmem(peer->received->str, peer->received->len, text->str, text->len);
    /* At most 256 lines of the other one came before each of its own. */
    g_assert_cmpuint(modest->line_count, >, COUNT / 256 / 4);
}

static void
test_long_lines(void)
{
    enum { SIZE = 3 * 1024 * 1024 };
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    conf_connection_set_line_limit(server->connection, SIZE);
    g_autofree char *text = g_malloc(SIZE + 20);
    memset(text, 'x', SIZE);
    memcpy(text + SIZE, "\r\nshort\n", 9);
    peer_send_text(peer, text);
    WAIT_FOR(server->line_count == 2);
    g_assert_cmpuint(server->too_long, ==, 0);
    g_assert_cmpmem(server->lines->str, SIZE, text, SIZE);
    g_assert_cmpstr(server->lines->str + SIZE, ==, "\nshort\n");
}

/* `text` holds a line above the limit of 100. */
static void
check_too_long(const char *text)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    conf_connection_set_line_limit(server->connection, 100);
    peer_send_text(peer, "fits\n");
    peer_send_text(peer, text);
    WAIT_FOR(server->too_long == 1);
    g_assert_cmpstr(server->lines->str, ==, "fits\n");
    WAIT_FOR((peer_read(peer), peer->eof));
    g_assert_cmpstr(peer->received->str, ==, "too long\n");
    /* What the peer goes on sending is dropped, and does not cost it the answer. */
    g_assert_cmpint(send(peer->fd, "more\n", 5, MSG_NOSIGNAL), ==, 5);
    net_test_turn_for(5);
    g_assert_cmpuint(server->line_count, ==, 1);
    g_assert_cmpuint(server->closed, ==, 0);
    close(peer->fd);
    peer->fd = -1;
    WAIT_FOR(server->closed == 1);
    g_assert_cmpstr(server->reason, ==, "A line was too long");
}

static void
test_too_long(void)
{
    g_autofree char *whole = g_strnfill(101, 'x'), *part = g_strnfill(200, 'y');
    g_autofree char *ended = g_strconcat(whole, "\nnext\n", NULL);
    check_too_long(ended);
    check_too_long(part);
}

/* Exactly at the limit is not too long, with either end of line. */
static void
test_just_fits(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    conf_connection_set_line_limit(server->connection, 100);
    g_autofree char *text = g_strnfill(100, 'x');
    peer_send_text(peer, text);
    net_test_turn_for(5);
    peer_send_text(peer, "\r");
    net_test_turn_for(5);
    peer_send_text(peer, "\n");
    peer_send_text(peer, text);
    peer_send_text(peer, "\n");
    WAIT_FOR(server->line_count == 2);
    g_assert_cmpuint(server->too_long, ==, 0);
}

static void
hold_at_second(Server *server, ConfSlice line)
{
    g_string_append_len(server->lines, line.data, (gssize)line.size);
    if (server->line_count == 2)
        conf_connection_hold_input(server->connection);
}

static void
test_held_input(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    server->on_line = hold_at_second;
    peer_send_text(peer, "a\nb\nc\nd\n");
    WAIT_FOR(server->line_count == 2);
    peer_send_text(peer, "e\n");
    net_test_turn_for(10);
    g_assert_cmpuint(server->line_count, ==, 2);
    conf_connection_hold_input(server->connection); /* nests */
    conf_connection_release_input(server->connection);
    net_test_turn_for(5);
    g_assert_cmpuint(server->line_count, ==, 2);
    conf_connection_release_input(server->connection);
    g_assert_cmpuint(server->line_count, ==, 2); /* Not from within. */
    WAIT_FOR(server->line_count == 5);
    g_assert_cmpstr(server->lines->str, ==, "abcde");
}

/* The peer shuts its side: what it sent is still answered, also what is answered later (`nc -N`). */
static void
test_half_close(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    server->on_line = server_echo;
    peer_send_text(peer, "question\nno end");
    g_assert_cmpint(shutdown(peer->fd, SHUT_WR), ==, 0);
    WAIT_FOR((peer_read(peer), peer->eof));
    g_assert_cmpstr(peer->received->str, ==, "question\n");
    WAIT_FOR(server->closed == 1);
    g_assert_cmpstr(server->reason, ==, "The peer closed the connection");
}

static void
wait_for_answer(Server *server, ConfSlice line)
{
    conf_connection_begin_wait(server->connection, line.size);
}

static void
test_half_close_waits(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    server->on_line = wait_for_answer;
    peer_send_text(peer, "a\nb\n");
    g_assert_cmpint(shutdown(peer->fd, SHUT_WR), ==, 0);
    WAIT_FOR(server->line_count == 2);
    net_test_turn_for(20);
    g_assert_true(conf_connection_is_open(server->connection));
    conf_connection_send_copy(server->connection, CONF_SLICE("A\n"), CONF_OUTPUT_ANSWER);
    conf_connection_end_wait(server->connection, 1);
    net_test_turn_for(20);
    g_assert_true(conf_connection_is_open(server->connection));
    conf_connection_send_copy(server->connection, CONF_SLICE("B\n"), CONF_OUTPUT_ANSWER);
    conf_connection_end_wait(server->connection, 1);
    WAIT_FOR((peer_read(peer), peer->eof));
    g_assert_cmpstr(peer->received->str, ==, "A\nB\n");
    WAIT_FOR(server->closed == 1);
}

/* ... and lines that were held when the end came are not lost. */
static void
test_half_close_held(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    server->on_line = hold_at_second;
    peer_send_text(peer, "a\nb\nc\n");
    g_assert_cmpint(shutdown(peer->fd, SHUT_WR), ==, 0);
    WAIT_FOR(server->line_count == 2);
    net_test_turn_for(10);
    g_assert_true(conf_connection_is_open(server->connection));
    conf_connection_release_input(server->connection);
    WAIT_FOR(server->closed == 1);
    g_assert_cmpstr(server->lines->str, ==, "abc");
}

/* A great answer to a client that shut its side and reads slowly: whole. */
static void
answer_much(Server *server, ConfSlice line)
{
    g_autoptr(ConfBytes) bytes = conf_bytes_new_unset(1024 * 1024);
    memset(bytes->data, 'z', bytes->size);
    for (unsigned i = 0; i < 16; i++)
        conf_connection_send_bytes(server->connection, bytes, CONF_OUTPUT_ANSWER);
}

static void
test_half_close_slow_reader(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    server->on_line = answer_much;
    peer_send_text(peer, "much\n");
    g_assert_cmpint(shutdown(peer->fd, SHUT_WR), ==, 0);
    WAIT_FOR(server->line_count == 1);
    net_test_turn_for(1200); /* longer than a closing connection may take otherwise */
    WAIT_FOR((peer_read(peer), peer->eof));
    g_assert_cmpuint(peer->received->len, ==, 16 * 1024 * 1024);
}

static void
close_at_second(Server *server, ConfSlice line)
{
    if (server->line_count == 2)
        conf_connection_close(server->connection, "Enough");
}

static void
test_close_in_callback(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    server->on_line = close_at_second;
    peer_send_text(peer, "a\nb\nc\nd\n");
    WAIT_FOR(server->closed == 1);
    g_assert_cmpuint(server->line_count, ==, 2);
    g_assert_cmpstr(server->reason, ==, "Enough");
    WAIT_FOR((peer_read(peer), peer->eof || peer->reset));
}

/* One connection's line closes another one, which has lines of its own in the same turn. */
static void
close_other(Server *server, ConfSlice line)
{
    Server *other = server->data;
    if (other->connection != NULL)
        conf_connection_close(other->connection, "By another");
}

static void
test_close_another(void)
{
    g_autoptr(Peer) peer_a = NULL;
    g_autoptr(Peer) peer_b = NULL;
    g_autoptr(Server) a = server_with_peer(&peer_a);
    g_autoptr(Server) b = server_with_peer(&peer_b);
    a->on_line = b->on_line = close_other;
    a->data = b;
    b->data = a;
    peer_send_text(peer_a, "x\ny\n");
    peer_send_text(peer_b, "x\ny\n");
    WAIT_FOR(a->closed + b->closed == 1);
    net_test_turn_for(10);
    g_assert_cmpuint(a->closed + b->closed, ==, 1);
    g_assert_cmpuint(a->line_count + b->line_count, ==, 2);
}

static void
test_reset_by_peer(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    struct linger linger = {.l_onoff = 1};
    g_assert_cmpint(setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), ==, 0);
    conf_connection_hold_input(server->connection); /* also where nothing is read */
    peer_send_text(peer, "x\n");
    net_test_turn_for(5);
    close(peer->fd);
    peer->fd = -1;
    WAIT_FOR(server->closed == 1);
    g_assert_cmpuint(server->line_count, ==, 0);
}

/* Answers that are owed count too: with too many of them no more lines are taken. */
static void
test_too_many_waits(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    server->on_line = wait_for_answer;
    g_autoptr(GString) text = g_string_new(NULL);
    for (unsigned i = 0; i < 3000; i++)
        g_string_append(text, "w\n");
    peer_send(peer, text->str, text->len);
    WAIT_FOR(server->line_count >= 1000);
    net_test_turn_for(20);
    g_assert_cmpuint(server->line_count, <, 1100);
    for (unsigned done = 0; done < 3000; done++) {
        WAIT_FOR(server->line_count > done);
        conf_connection_end_wait(server->connection, 1);
    }
    g_assert_cmpuint(server->line_count, ==, 3000);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    g_test_add_func("/connection/input/lines", test_lines);
    g_test_add_func("/connection/input/pipelined", test_pipelined);
    g_test_add_func("/connection/input/long-lines", test_long_lines);
    g_test_add_func("/connection/input/too-long", test_too_long);
    g_test_add_func("/connection/input/just-fits", test_just_fits);
    g_test_add_func("/connection/input/held", test_held_input);
    g_test_add_func("/connection/input/half-close", test_half_close);
    g_test_add_func("/connection/input/half-close-waits", test_half_close_waits);
    g_test_add_func("/connection/input/half-close-held", test_half_close_held);
    g_test_add_func("/connection/input/half-close-slow-reader", test_half_close_slow_reader);
    g_test_add_func("/connection/input/close-in-callback", test_close_in_callback);
    g_test_add_func("/connection/input/close-another", test_close_another);
    g_test_add_func("/connection/input/reset", test_reset_by_peer);
    g_test_add_func("/connection/input/too-many-waits", test_too_many_waits);
    return g_test_run();
}
