/* Tests of what plugins do with connections: hooks, filters, silence, data of their own. */
#include "net/connection-private.h"
#include "plugin/loader.h"
#include "probe.h"
#include "server-test.h"

/* A filter that frames (two bytes of length) and hides its bytes, after a greeting. */
typedef struct {
    char key;
    GByteArray *wire; /* frames not whole yet */
    bool greeted;
} Veil;

static ConfPlugin *probe;
static unsigned accepted, opened, closed, idle, freed, veil_ends, veil_cuts, veil_frees;
static unsigned veils; /* how many filters the hook pushes */
static bool refuse;
static unsigned last_quiet_ms;
static void (*on_idle)(ConfConnection *c);

static void
veil_emit(ConfFilterHandle *h, const Veil *veil, const char *data, size_t size)
{
    while (size > 0) {
        size_t part = MIN(size, 1000);
        g_autoptr(GByteArray) frame = g_byte_array_new();
        guint8 length[2] = {(guint8)(part >> 8), (guint8)part};
        g_byte_array_append(frame, length, 2);
        g_byte_array_append(frame, (const guint8 *)data, (guint)part);
        for (guint i = 2; i < frame->len; i++)
            frame->data[i] ^= (guint8)veil->key;
        conf_filter_emit_wire(h, frame->data, frame->len);
        data += part;
        size -= part;
    }
}

static void
veil_start(void *filter, ConfFilterHandle *h, bool outgoing)
{
    if (outgoing)
        veil_emit(h, filter, "hello", 5);
}

static void
veil_frame(Veil *veil, ConfFilterHandle *h, const char *data, size_t size)
{
    if (veil->greeted) {
        conf_filter_emit_plain(h, data, size);
        return;
    }
    if (size != 5 || memcmp(data, "hello", 5) != 0) {
        conf_filter_emit_wire(h, "alert", 5);
        conf_filter_fail(h, "That was no greeting");
        return;
    }
    veil->greeted = true;
    if (!conf_connection_is_outgoing(conf_filter_get_connection(h)))
        veil_emit(h, veil, "hello", 5);
    conf_filter_set_encrypted(h, true);
    const char *const names[] = {"a", "b", NULL};
    conf_filter_set_peer_identity(h, "CN=peer", names);
    conf_filter_ready(h);
}

static void
veil_decode(void *filter, ConfFilterHandle *h, const void *data, size_t size)
{
    Veil *veil = filter;
    g_byte_array_append(veil->wire, data, (guint)size);
    while (veil->wire->len >= 2) {
        guint length = ((guint)veil->wire->data[0] << 8) + veil->wire->data[1];
        if (veil->wire->len < 2 + length)
            return;
        g_autofree char *frame = g_memdup2(veil->wire->data + 2, length);
        g_byte_array_remove_range(veil->wire, 0, 2 + length);
        for (guint i = 0; i < length; i++)
            frame[i] ^= veil->key;
        veil_frame(veil, h, frame, length);
    }
}

static void
veil_encode(void *filter, ConfFilterHandle *h, const void *data, size_t size)
{
    g_assert_true(((Veil *)filter)->greeted);
    veil_emit(h, filter, data, size);
}

static void
veil_end(void *filter, ConfFilterHandle *h)
{
    veil_ends++;
}

static bool
veil_peer_closed(void *filter, ConfFilterHandle *h)
{
    bool whole = ((Veil *)filter)->wire->len == 0;
    veil_cuts += whole ? 0 : 1;
    return whole;
}

static void
veil_free(void *filter)
{
    Veil *veil = filter;
    g_byte_array_unref(veil->wire);
    g_free(veil);
    veil_frees++;
}

static const ConfFilterTable veil_table = {
    .size = sizeof(ConfFilterTable),
    .start = veil_start,
    .decode = veil_decode,
    .encode = veil_encode,
    .end = veil_end,
    .peer_closed = veil_peer_closed,
    .free = veil_free,
};

static ConfVerdict
hook_accepted(void *self, ConfConnection *c, GError **error)
{
    accepted++;
    return refuse ? CONF_REFUSE : CONF_NEXT;
}

static ConfVerdict
hook_transport(void *self, ConfConnection *c, GError **error)
{
    for (unsigned i = 0; i < veils; i++) {
        Veil *veil = g_new0(Veil, 1);
        veil->key = (char)(0x5a + i);
        veil->wire = g_byte_array_new();
        conf_connection_push_filter(c, &veil_table, veil);
    }
    return CONF_NEXT;
}

static void
hook_opened(void *self, ConfConnection *c)
{
    opened++;
}

static void
hook_idle(void *self, ConfConnection *c, unsigned quiet_ms)
{
    idle++;
    last_quiet_ms = quiet_ms;
    if (on_idle != NULL)
        on_idle(c);
}

static void
hook_closed(void *self, ConfConnection *c)
{
    closed++;
    g_assert_cmpuint(conf_connection_get_id(c), >, 0);
}

void *
probe_load(ConfPlugin *p)
{
    static const ConfHooks HOOKS = {
        .size = sizeof(ConfHooks),
        .accepted = hook_accepted,
        .transport = hook_transport,
        .opened = hook_opened,
        .idle = hook_idle,
        .closed = hook_closed,
    };
    conf_plugin_hook(p, CONF_NORMAL, &HOOKS);
    probe = p;
    return p;
}

static void
reset(void)
{
    accepted = opened = closed = idle = freed = veil_ends = veil_cuts = veil_frees = veils = last_quiet_ms =
        0;
    refuse = false;
    on_idle = NULL;
}

static void
test_life(void)
{
    reset();
    Peer *peer = NULL;
    Server *server = server_with_peer(&peer);
    g_assert_cmpuint(accepted, ==, 1);
    WAIT_FOR(server->opened == 1);
    g_assert_cmpuint(opened, ==, 1);
    g_assert_cmpuint(closed, ==, 0);
    server_free(server);
    g_assert_cmpuint(closed, ==, 1);
    peer_free(peer);
}

static void
test_refused(void)
{
    reset();
    refuse = true;
    int fds[2];
    net_test_tcp_pair(fds);
    g_autoptr(Server) server = server_new_empty();
    g_assert_null(
        conf_connection_new_accepted(conf_poller_default(), fds[0], "default", &server_funcs, server));
    g_assert_cmpuint(closed, ==, 1); /* Who heard of its beginning hears of its end. */
    g_assert_cmpuint(server->closed, ==, 0);
    g_autoptr(Peer) peer = peer_new(fds[1]);
    WAIT_FOR((peer_read(peer), peer->eof || peer->reset));
}

static void
free_data(void *data)
{
    g_assert_cmpuint(closed, ==, 1);
    freed++;
}

static void
test_plugin_data(void)
{
    reset();
    Peer *peer = NULL;
    Server *server = server_with_peer(&peer);
    g_assert_null(conf_connection_get_plugin_data(server->connection, probe));
    conf_connection_set_plugin_data(server->connection, probe, &freed, free_data);
    g_assert_true(conf_connection_get_plugin_data(server->connection, probe) == &freed);
    server_free(server);
    g_assert_cmpuint(freed, ==, 1);
    peer_free(peer);
}

/* Two connections of ours, veiled: one dials the other. */
typedef struct {
    ConfListener *listener;
    Server *server, *client;
} Pair;

static void
pair_accept(ConfListener *listener, int fd, void *data)
{
    Pair *pair = data;
    pair->server = server_new(fd);
    pair->server->on_line = server_echo;
}

static Pair *
pair_new(unsigned filters)
{
    reset();
    veils = filters;
    Pair *pair = g_new0(Pair, 1);
    pair->listener =
        conf_listener_new(conf_poller_default(), "127.0.0.1", 0, "default", pair_accept, pair, NULL);
    pair->client = server_new_empty();
    pair->client->connection = conf_connection_new_outgoing(conf_poller_default(), "127.0.0.1",
                                                            conf_listener_get_port(pair->listener), 5000,
                                                            NULL, &server_funcs, pair->client);
    return pair;
}

static void
pair_free(Pair *pair)
{
    server_free(pair->client);
    server_free(pair->server);
    conf_listener_free(pair->listener);
    g_free(pair);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pair, pair_free)

static void
test_filters(gconstpointer filters)
{
    g_autoptr(Pair) pair = pair_new(GPOINTER_TO_UINT(filters));
    conf_connection_send_copy(pair->client->connection, CONF_SLICE("early\n"), CONF_OUTPUT_ANSWER);
    WAIT_FOR(pair->client->line_count == 1);
    g_assert_cmpstr(pair->client->lines->str, ==, "early\n");
    g_assert_cmpuint(pair->client->opened, ==, 1);
    g_assert_true(conf_connection_is_encrypted(pair->server->connection));
    g_assert_cmpstr(conf_connection_get_peer_subject(pair->server->connection), ==, "CN=peer");
    g_assert_cmpstr(conf_connection_get_peer_names(pair->server->connection)[1], ==, "b");
    g_string_truncate(pair->client->lines, 0);

    g_autoptr(GString) text = g_string_new(NULL);
    for (unsigned i = 0; i < 20000; i++)
        g_string_append_printf(text, "line %u%s\n", i,
                               i % 100 == 0 ? ", and a longer one at that, for the sake of it" : "");
    conf_connection_send_copy(pair->client->connection, (ConfSlice){text->str, text->len},
                              CONF_OUTPUT_ANSWER);
    WAIT_FOR(pair->client->lines->len == text->len);
    g_assert_cmpmem(pair->client->lines->str, pair->client->lines->len, text->str, text->len);
    g_assert_cmpuint(conf_connection_total_unsent(), ==, 0);
}

/* A great answer that is not read: filters work no further ahead than the socket takes. */
static void
test_filter_back_pressure(void)
{
    g_autoptr(Pair) pair = pair_new(1);
    WAIT_FOR(pair->client->opened == 1);
    conf_connection_hold_input(pair->client->connection);
    enum { PIECES = 400, PIECE = 50000 };
    g_autoptr(ConfBytes) bytes = conf_bytes_new_unset(PIECE);
    memset(bytes->data, 'z', PIECE);
    bytes->data[PIECE - 1] = '\n';
    conf_connection_set_line_limit(pair->client->connection, PIECE);
    WAIT_FOR(pair->server != NULL && pair->server->opened == 1);
    for (unsigned i = 0; i < PIECES; i++)
        conf_connection_send_bytes(pair->server->connection, bytes, CONF_OUTPUT_NOTIFICATION);
    net_test_turn_for(100);
    size_t unsent = conf_connection_get_unsent(pair->server->connection);
    size_t plain = conf_connection_get_unsent_notifications(pair->server->connection);
    g_assert_cmpuint(plain, >, 0);
    g_assert_cmpuint(unsent - plain, <, 100000);
    conf_connection_release_input(pair->client->connection);
    WAIT_FOR(pair->client->line_count == PIECES);
    g_assert_cmpuint(pair->client->lines->len, ==, (size_t)PIECES * PIECE);
    g_assert_cmpuint(pair->server->drained, ==, 1);
}

/* A peer that never takes all of what waits for it: what it took is not kept. */
static void
test_filter_slow_peer(void)
{
    g_autoptr(Pair) pair = pair_new(1);
    WAIT_FOR(pair->client->opened == 1 && pair->server != NULL && pair->server->opened == 1);
    int size = 4096;
    ConfConnection *connection = pair->server->connection;
    g_assert_cmpint(setsockopt(connection->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), ==, 0);
    enum { PIECES = 100, PIECE = 50000 };
    g_autoptr(ConfBytes) bytes = conf_bytes_new_unset(PIECE);
    memset(bytes->data, 'z', PIECE);
    bytes->data[PIECE - 1] = '\n';
    conf_connection_set_line_limit(pair->client->connection, PIECE);
    for (unsigned i = 0; i < PIECES; i++)
        conf_connection_send_bytes(connection, bytes, CONF_OUTPUT_ANSWER);
    size_t most = 0;
    WAIT_FOR((most = MAX(most, connection->filters->wire.capacity)) > 0 &&
             pair->client->line_count == PIECES);
    g_assert_cmpuint(pair->client->lines->len, ==, (size_t)PIECES * PIECE);
    g_assert_cmpuint(most, <, 512 * 1024);
    /* Nor is the buffer, once nothing is unsent. */
    g_assert_cmpuint(connection->filters->wire.capacity, ==, 0);
}

/* Small and large pieces, copied and referred to, become records of several or of a part, in order. */
static void
test_filter_gathers(void)
{
    g_autoptr(Pair) pair = pair_new(1);
    WAIT_FOR(pair->client->opened == 1 && pair->server != NULL && pair->server->opened == 1);
    g_autoptr(GString) text = g_string_new(NULL);
    for (unsigned i = 0; i < 400; i++) {
        g_autoptr(ConfBytes) bytes = conf_bytes_new_unset((size_t)i * i % 20000 + 1);
        memset(bytes->data, 'a' + i % 26, bytes->size);
        bytes->data[bytes->size - 1] = '\n';
        if (i % 3 == 0)
            conf_connection_send_copy(pair->server->connection, conf_bytes_slice(bytes), CONF_OUTPUT_ANSWER);
        else
            conf_connection_send_bytes(pair->server->connection, bytes, CONF_OUTPUT_NOTIFICATION);
        if (bytes->size > 1) /* an empty line is none */
            g_string_append_len(text, bytes->data, (gssize)bytes->size);
    }
    WAIT_FOR(pair->client->lines->len >= text->len);
    g_assert_cmpmem(pair->client->lines->str, pair->client->lines->len, text->str, text->len);
    g_assert_cmpuint(conf_connection_total_unsent(), ==, 0);
}

static void
test_filter_end(void)
{
    Pair *pair = pair_new(2);
    WAIT_FOR(pair->client->opened == 1 && pair->server->opened == 1);
    conf_connection_send_copy(pair->server->connection, CONF_SLICE("last\n"), CONF_OUTPUT_ANSWER);
    conf_connection_close_after_answer(pair->server->connection, "Done");
    WAIT_FOR(pair->server->closed == 1 && pair->client->closed == 1);
    g_assert_cmpstr(pair->client->lines->str, ==, "last\n");
    g_assert_cmpuint(veil_ends, ==, 4);
    g_assert_cmpuint(veil_cuts, ==, 0);
    pair_free(pair);
    g_assert_cmpuint(veil_frees, ==, 4);
}

static void
test_filter_failure(void)
{
    reset();
    veils = 1;
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    conf_connection_send_copy(server->connection, CONF_SLICE("never to be seen\n"), CONF_OUTPUT_ANSWER);
    peer_send(peer, "\0\3bad", 5);
    WAIT_FOR((peer_read(peer), peer->eof || peer->reset));
    g_assert_cmpstr(peer->received->str, ==, "alert");
    close(peer->fd);
    peer->fd = -1;
    WAIT_FOR(server->closed == 1);
    g_assert_cmpstr(server->reason, ==, "That was no greeting");
    g_assert_cmpuint(server->opened, ==, 0);
    g_assert_cmpuint(opened, ==, 0);
    g_assert_cmpuint(closed, ==, 1);
}

static void
test_filter_cut(void)
{
    reset();
    veils = 1;
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    char greeting[] = "\0\5hello";
    for (unsigned i = 2; i < 7; i++)
        greeting[i] ^= 0x5a;
    peer_send(peer, greeting, 7);
    WAIT_FOR(server->opened == 1);
    peer_send(peer, "\1\1half", 6);
    g_assert_cmpint(shutdown(peer->fd, SHUT_WR), ==, 0);
    WAIT_FOR(server->closed == 1);
    g_assert_cmpuint(veil_cuts, ==, 1);
    g_assert_cmpstr(server->reason, ==, "The peer's stream was cut");
}

static void
test_handshake_ended_by_peer(void)
{
    reset();
    veils = 1;
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    g_assert_cmpint(shutdown(peer->fd, SHUT_WR), ==, 0);
    WAIT_FOR(server->closed == 1);
    g_assert_cmpuint(server->opened, ==, 0);
    g_assert_nonnull(strstr(server->reason, "handshake"));
}

static void
test_silence(void)
{
    reset();
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    int64_t since = conf_clock_monotonic_usec();
    conf_connection_watch_idle(server->connection, probe, 60);
    WAIT_FOR(idle == 1);
    g_assert_cmpint(conf_clock_monotonic_usec() - since, >=, 60 * 1000);
    g_assert_cmpuint(last_quiet_ms, >=, 60);
    WAIT_FOR(idle == 2);
    g_assert_cmpint(conf_clock_monotonic_usec() - since, >=, 120 * 1000);
    g_assert_cmpuint(last_quiet_ms, >=, 120);
    conf_connection_watch_idle(server->connection, probe, 0);
    net_test_turn_for(100);
    g_assert_cmpuint(idle, ==, 2);
}

/* A peer that speaks is not silent, and neither is one whose bytes wait while input is held. */
static void
test_no_silence(void)
{
    reset();
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    conf_connection_watch_idle(server->connection, probe, 80);
    for (unsigned i = 0; i < 10; i++) {
        peer_send_text(peer, "here\n");
        net_test_turn_for(20);
    }
    g_assert_cmpuint(idle, ==, 0);
    conf_connection_hold_input(server->connection);
    peer_send_text(peer, "here\n");
    net_test_turn_for(200);
    g_assert_cmpuint(idle, ==, 0);
    conf_connection_release_input(server->connection);
    WAIT_FOR(idle == 1);
}

/* Requests that wait since their answers are not taken are no life; others that come are. */
static void
test_silence_behind_answers(void)
{
    reset();
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    conf_connection_set_queue_limit(server->connection, 64 * 1024);
    g_autoptr(ConfBytes) bytes = conf_bytes_new_unset(8 * 1024 * 1024);
    memset(bytes->data, 'z', bytes->size);
    conf_connection_send_bytes(server->connection, bytes, CONF_OUTPUT_ANSWER);
    WAIT_FOR(server->connection->throttled);
    peer_send_text(peer, "here\n");
    conf_connection_watch_idle(server->connection, probe, 60);
    int64_t since = conf_clock_monotonic_usec();
    WAIT_FOR(idle == 1);
    g_assert_cmpint(conf_clock_monotonic_usec() - since, >=, 60 * 1000);
    peer_send_text(peer, "here again\n");
    since = conf_clock_monotonic_usec();
    WAIT_FOR(idle == 2);
    g_assert_cmpint(conf_clock_monotonic_usec() - since, >=, 60 * 1000);
    g_assert_cmpuint(last_quiet_ms, <, 600);
}

static void
drop_it(ConfConnection *c)
{
    g_autofree char *reason = g_strdup("Silent for too long");
    conf_connection_drop(c, reason);
}

static void
test_drop_when_idle(void)
{
    reset();
    on_idle = drop_it;
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    conf_connection_watch_idle(server->connection, probe, 20);
    WAIT_FOR(server->closed == 1);
    g_assert_cmpuint(idle, ==, 1);
    g_assert_cmpstr(server->reason, ==, "Silent for too long");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    g_autoptr(GError) error = NULL;
    g_autoptr(ConfSettings) settings = conf_settings_new();
    ConfPluginHost *host = conf_plugin_host_new(g_getenv("CONF_TEST_PLUGINS"), NULL);
    if (!conf_plugin_host_load(host, "probe", "server", settings, &error))
        g_error("%s", error->message);
    g_test_add_func("/hooks/life", test_life);
    g_test_add_func("/hooks/refused", test_refused);
    g_test_add_func("/hooks/plugin-data", test_plugin_data);
    g_test_add_data_func("/hooks/filter", GUINT_TO_POINTER(1), test_filters);
    g_test_add_data_func("/hooks/filters", GUINT_TO_POINTER(3), test_filters);
    g_test_add_func("/hooks/filter-back-pressure", test_filter_back_pressure);
    g_test_add_func("/hooks/filter-slow-peer", test_filter_slow_peer);
    g_test_add_func("/hooks/filter-gathers", test_filter_gathers);
    g_test_add_func("/hooks/filter-end", test_filter_end);
    g_test_add_func("/hooks/filter-failure", test_filter_failure);
    g_test_add_func("/hooks/filter-cut", test_filter_cut);
    g_test_add_func("/hooks/handshake-ended", test_handshake_ended_by_peer);
    g_test_add_func("/hooks/silence", test_silence);
    g_test_add_func("/hooks/no-silence", test_no_silence);
    g_test_add_func("/hooks/silence-behind-answers", test_silence_behind_answers);
    g_test_add_func("/hooks/drop-when-idle", test_drop_when_idle);
    int status = g_test_run();
    conf_plugin_host_free(host);
    return status;
}
