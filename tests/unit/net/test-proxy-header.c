/* Tests of net/proxy-header, net/address-list and of connections that a balancer passes on. */
#include "net/address-list.h"
#include "net/proxy-header.h"
#include "server-test.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IPV4 \
    SIGNATURE "\x21\x11\x00\x0c" \
              "\xc0\x00\x02\x01" \
              "\x0a\x00\x00\x01" \
              "\x12\x34" \
              "\x07\xe4"
#define IPV4_TLV \
    SIGNATURE "\x21\x11\x00\x11" \
              "\xc0\x00\x02\x01" \
              "\x0a\x00\x00\x01" \
              "\x12\x34" \
              "\x07\xe4" \
              "\x04\x00\x02hi"
#define IPV6 \
    SIGNATURE "\x21\x21\x00\x24" \
              "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09" \
              "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" \
              "\x12\x34" \
              "\x07\xe4"
#define MAPPED \
    SIGNATURE "\x21\x21\x00\x24" \
              "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01" \
              "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x00\x00\x01" \
              "\x12\x34" \
              "\x07\xe4"
#define LOCAL SIGNATURE "\x20\x00\x00\x00"
#define LOCAL_LONG \
    SIGNATURE "\x20\x00\x00\x04" \
              "\x05\x00\x01x"
#define UNSPECIFIED SIGNATURE "\x21\x00\x00\x00"
#define BYTES(text) text, sizeof(text) - 1

typedef struct {
    const char *data;
    size_t size;
    const char *address; /* NULL: none */
    uint16_t port;
} Good;

/* Read as a connection would: as many bytes as are asked for, which never are more than there are. */
static void
test_good(void)
{
    static const Good good[] = {
        {BYTES(IPV4), "192.0.2.1", 0x1234},   {BYTES(IPV4_TLV), "192.0.2.1", 0x1234},
        {BYTES(IPV6), "2001:db8::9", 0x1234}, {BYTES(LOCAL), NULL, 0},
        {BYTES(LOCAL_LONG), NULL, 0},         {BYTES(UNSPECIFIED), NULL, 0},
        {BYTES(MAPPED), "192.0.2.1", 0x1234},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        ConfProxyHeader header;
        const char *why = NULL;
        size_t have = 0;
        int missing;
        while ((missing = conf_proxy_header_parse(good[i].data, have, &header, &why)) > 0) {
            have += (size_t)missing;
            g_assert_cmpuint(have, <=, good[i].size);
        }
        g_assert_cmpint(missing, ==, 0);
        g_assert_cmpuint(have, ==, good[i].size);
        g_assert_cmpint(header.has_address, ==, good[i].address != NULL);
        if (good[i].address != NULL)
            g_assert_cmpstr(header.address, ==, good[i].address);
        g_assert_cmpuint(header.port, ==, good[i].port);
    }
}

static void
test_bad(void)
{
    static const struct {
        const char *data;
        size_t size;
    } bad[] = {
        {BYTES("{\"jsonrpc\"")},
        {BYTES("PROXY TCP4 192.0.2.1 10.0.0.1 4660 2020\r\n")},
        {BYTES("\r\n\r\n\0\r\nQUIX\n")},
        {BYTES(SIGNATURE "\x11\x11\x00\x0c")}, /* version 1 */
        {BYTES(SIGNATURE "\x22\x11\x00\x0c")}, /* no such command */
        {BYTES(SIGNATURE "\x21\x12\x00\x0c")}, /* UDP */
        {BYTES(SIGNATURE "\x21\x11\x00\x0b")}, /* too short for its addresses */
        {BYTES(SIGNATURE "\x21\x21\x00\x0c")}, /* likewise */
        {BYTES(SIGNATURE "\x21\x11\xff\xff")}, /* too long */
        {BYTES(SIGNATURE "\x20\x00\xff\xff")}, /* likewise */
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        ConfProxyHeader header;
        const char *why = NULL;
        g_assert_cmpint(conf_proxy_header_parse(bad[i].data, bad[i].size, &header, &why), ==, -1);
        g_assert_nonnull(why);
    }
}

static void
test_signature(void)
{
    g_assert_cmpuint(conf_proxy_signature_go_on(0, BYTES(IPV4)), ==, CONF_PROXY_SIGNATURE_SIZE);
    g_assert_cmpuint(conf_proxy_signature_go_on(0, BYTES("{}\n")), ==, CONF_PROXY_NO_SIGNATURE);
    g_assert_cmpuint(conf_proxy_signature_go_on(0, BYTES("\r\n\r\n{")), ==, CONF_PROXY_NO_SIGNATURE);
    uint8_t seen = 0;
    for (unsigned i = 0; i < CONF_PROXY_SIGNATURE_SIZE; i++)
        seen = conf_proxy_signature_go_on(seen, &SIGNATURE[i], 1);
    g_assert_cmpuint(seen, ==, CONF_PROXY_SIGNATURE_SIZE);
    /* Version 1 is a header as well. */
    static const char old[] = "PROXY TCP4 192.0.2.1 10.0.0.1 4660 2020\r\n";
    g_assert_cmpuint(conf_proxy_signature_go_on(0, BYTES(old)), ==, CONF_PROXY_SIGNATURE_SIZE);
    g_assert_cmpuint(conf_proxy_signature_go_on(0, BYTES("PROXIES \n")), ==, CONF_PROXY_NO_SIGNATURE);
    g_assert_cmpuint(conf_proxy_signature_go_on(0, BYTES("\rROXY ")), ==, CONF_PROXY_NO_SIGNATURE);
    for (unsigned i = seen = 0; i < 6; i++) {
        g_assert_cmpuint(seen, !=, CONF_PROXY_SIGNATURE_SIZE);
        seen = conf_proxy_signature_go_on(seen, &old[i], 1);
    }
    g_assert_cmpuint(seen, ==, CONF_PROXY_SIGNATURE_SIZE);
}

static void
test_address_list(void)
{
    g_autoptr(GError) error = NULL;
    static const struct {
        const char *list;
        bool has_loopback;
    } lists[] = {
        {"127.0.0.1", true},           {"10.0.0.1, 127.0.0.1", true},
        {"127.0.0.0/8", true},         {"0.0.0.0/0", true},
        {"127.0.0.0/31", true},        {"127.0.0.2/31", false},
        {"128.0.0.0/1", false},        {"::/0", false},
        {"::1, 127.0.0.2", false},     {"", false},
        {"::ffff:127.0.0.1", true},    {"::ffff:127.0.0.0/104", true},
        {"::ffff:127.0.0.2", false},   {"::ffff:0.0.0.0/95", false},
        {"::ffff:127.0.0.0/96", true},
    };
    int fds[2];
    net_test_tcp_pair(fds);
    for (unsigned i = 0; i < G_N_ELEMENTS(lists); i++) {
        g_autoptr(ConfAddressList) list = conf_address_list_new(lists[i].list, &error);
        g_assert_no_error(error);
        g_assert_cmpint(conf_address_list_has_peer(list, fds[0]), ==, lists[i].has_loopback);
    }
    close(fds[0]);
    close(fds[1]);
    static const char *const bad[] = {"localhost", "10.0.0.1/33", "10.0.0.1/",
                                      "::1/129",   "10.0.0.1/-1", "1.2.3"};
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_null(conf_address_list_new(bad[i], &error));
        g_assert_nonnull(error);
        g_clear_error(&error);
    }
}

static Server *
balanced_with_peer(Peer **peer)
{
    int fds[2];
    net_test_tcp_pair(fds);
    *peer = peer_new(fds[1]);
    Server *server = server_new_empty();
    server->connection =
        conf_connection_new_balanced(conf_poller_default(), fds[0], "default", &server_funcs, server);
    return server;
}

static void
send_bytes(Peer *peer, const char *data, size_t size)
{
    g_assert_cmpint(send(peer->fd, data, size, 0), ==, (gssize)size);
}

/* In one piece with what follows, and byte by byte. */
static void
test_connection(void)
{
    for (unsigned piecewise = 0; piecewise < 2; piecewise++) {
        g_autoptr(Peer) peer = NULL;
        g_autoptr(Server) server = balanced_with_peer(&peer);
        net_test_turn_for(5);
        g_assert_cmpuint(server->opened, ==, 0);
        static const char data[] = IPV4_TLV "first\nsecond\n";
        for (size_t i = 0; piecewise && i < sizeof(data) - 1; i++) {
            send_bytes(peer, &data[i], 1);
            net_test_turn_for(1);
        }
        if (!piecewise)
            send_bytes(peer, BYTES(data));
        WAIT_FOR(server->line_count == 2);
        g_assert_cmpstr(server->lines->str, ==, "first\nsecond\n");
        g_assert_cmpstr(conf_connection_get_peer(server->connection), ==, "192.0.2.1:4660");
        g_assert_cmpstr(conf_connection_get_peer_address(server->connection), ==, "192.0.2.1");
        g_assert_false(conf_connection_is_loopback(server->connection));
    }
}

/* The balancer's own check: its own address stands. */
static void
test_local(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = balanced_with_peer(&peer);
    send_bytes(peer, BYTES(LOCAL "ping\n"));
    WAIT_FOR(server->line_count == 1);
    g_assert_cmpstr(conf_connection_get_peer_address(server->connection), ==, "127.0.0.1");
    g_assert_true(conf_connection_is_loopback(server->connection));
}

static void
test_without_header(void)
{
    static const char *const sent[] = {"{\"jsonrpc\":\"2.0\"}\n", "\r\n\r\n\r\n", "x"};
    for (unsigned i = 0; i < G_N_ELEMENTS(sent); i++) {
        g_autoptr(Peer) peer = NULL;
        g_autoptr(Server) server = balanced_with_peer(&peer);
        send_bytes(peer, sent[i], strlen(sent[i]));
        WAIT_FOR(server->closed == 1);
        g_assert_cmpuint(server->opened, ==, 0);
        g_assert_nonnull(strstr(server->reason, "no PROXY header"));
    }
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = balanced_with_peer(&peer);
    send_bytes(peer, BYTES("\r\n\r\n"));
    shutdown(peer->fd, SHUT_WR);
    WAIT_FOR(server->closed == 1);
    g_assert_nonnull(strstr(server->reason, "closed the connection before"));
}

static void
test_silence(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = balanced_with_peer(&peer);
    send_bytes(peer, BYTES("\r\n\r\n"));
    WAIT_FOR(server->closed == 1); /* after 5 s */
    g_assert_nonnull(strstr(server->reason, "in time"));
}

/* Whoever is no balancer, and whoever sends a second one through it. */
static void
test_header_of_a_stranger(void)
{
    g_autoptr(Peer) peer = NULL;
    g_autoptr(Server) server = server_with_peer(&peer);
    send_bytes(peer, BYTES(IPV4 "first\n"));
    WAIT_FOR(server->closed == 1);
    g_assert_cmpuint(server->line_count, ==, 0);
    g_assert_nonnull(strstr(server->reason, "no trusted balancer"));

    g_autoptr(Peer) second = NULL;
    g_autoptr(Server) balanced = balanced_with_peer(&second);
    send_bytes(second, BYTES(IPV4 IPV4 "first\n"));
    WAIT_FOR(balanced->closed == 1);
    g_assert_cmpuint(balanced->line_count, ==, 0);

    g_autoptr(Peer) old = NULL;
    g_autoptr(Server) of_old = server_with_peer(&old);
    send_bytes(old, BYTES("PROXY TCP4 192.0.2.1 10.0.0.1 4660 2020\r\nfirst\n"));
    WAIT_FOR(of_old->closed == 1);
    g_assert_cmpuint(of_old->line_count, ==, 0);

    g_autoptr(Peer) third = NULL;
    g_autoptr(Server) empty_lines = server_with_peer(&third);
    send_bytes(third, BYTES("\r\n\r\nfirst\n"));
    WAIT_FOR(empty_lines->line_count == 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    g_test_add_func("/net/proxy-header/good", test_good);
    g_test_add_func("/net/proxy-header/bad", test_bad);
    g_test_add_func("/net/proxy-header/signature", test_signature);
    g_test_add_func("/net/proxy-header/address-list", test_address_list);
    g_test_add_func("/net/proxy-header/connection", test_connection);
    g_test_add_func("/net/proxy-header/local", test_local);
    g_test_add_func("/net/proxy-header/without-header", test_without_header);
    g_test_add_func("/net/proxy-header/silence", test_silence);
    g_test_add_func("/net/proxy-header/stranger", test_header_of_a_stranger);
    return g_test_run();
}
