/* test-tls-faults.c - what goes wrong with one TLS connection ends it, and only it. */
#include "tls.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Half a handshake: everything that a client says first but its last byte. */
static GByteArray *
half_hello(void)
{
    GByteArray *hello = g_byte_array_new();
    int pair[2];
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), ==, 0);
    gnutls_certificate_allocate_credentials(&credentials);
    gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
    gnutls_set_default_priority(session);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_transport_set_int(session, pair[0]);
    g_assert_cmpint(gnutls_handshake(session), ==, GNUTLS_E_AGAIN);
    uint8_t buffer[4096];
    ssize_t size = recv(pair[1], buffer, sizeof buffer, 0);
    g_assert_cmpint(size, >, 100);
    g_byte_array_append(hello, buffer, (unsigned)size);
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
    close(pair[0]);
    close(pair[1]);
    return hello;
}

/* A thousand of them disturb nobody, and are closed when their time is over. */
static void
test_half_open(void)
{
    enum { COUNT = 1000 };
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(TestServer) server = test_tls_primary(
        pki, "listening-mode = auto-detect\nmax-unauthenticated = 5000", "handshake-timeout = 2 s");
    g_autoptr(TestClient) witness = test_client_new(server);
    g_autoptr(GByteArray) hello = half_hello();
    GPtrArray *clients = g_ptr_array_new_with_free_func((GDestroyNotify)test_client_free);
    for (unsigned i = 0; i < COUNT; i++) {
        TestClient *client = test_client_connect(test_server_get_port(server));
        test_client_write(client, hello->data, i % 2 == 0 ? hello->len - 1 : 1);
        g_ptr_array_add(clients, client);
    }
    test_wait_statistic(witness, "tls.halfOpen", COUNT * 3 / 4);
    TestTlsOptions options = {.ca = test_pki_path(pki, "ca.pem")};
    g_assert_cmpint(test_tls_try(test_server_get_port(server), &options), ==, 0);
    test_call(witness, "object.create", "{'object':{'type':'host','name':'h'}}");
    for (unsigned i = 0; i < COUNT; i++)
        test_client_wait_closed(g_ptr_array_index(clients, i));
    g_assert_cmpint(test_statistic(witness, "tls.halfOpen"), ==, 0);
    g_assert_cmpint(test_statistic(witness, "tls.failedTimeout"), ==, COUNT);
    g_ptr_array_unref(clients);
}

/* Above the limit the oldest goes; nothing at all within 5 s is too little on a port that waits for the
 * first byte. */
static void
test_limits(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(TestServer) server =
        test_tls_primary(pki, "listening-mode = auto-detect", "max-handshakes = 10");
    g_autoptr(TestClient) witness = test_client_new(server);
    g_autoptr(GByteArray) hello = half_hello();
    TestClient *clients[12];
    for (unsigned i = 0; i < G_N_ELEMENTS(clients); i++) {
        clients[i] = test_client_connect(test_server_get_port(server));
        test_client_write(clients[i], hello->data, 100);
        test_wait_statistic(witness, "tls.halfOpen", MIN(i + 1, 10));
    }
    test_client_wait_closed(clients[0]);
    test_client_wait_closed(clients[1]);
    g_assert_cmpint(test_statistic(witness, "tls.failedLimit"), ==, 2);
    g_assert_cmpint(test_statistic(witness, "tls.halfOpen"), ==, 10);
    for (unsigned i = 0; i < G_N_ELEMENTS(clients); i++)
        test_client_free(clients[i]);
    test_wait_statistic(witness, "tls.failedClosed", 10);
    int64_t began = g_get_monotonic_time();
    g_autoptr(TestClient) silent = test_client_connect(test_server_get_port(server));
    test_client_wait_closed(silent);
    double seconds = (double)(g_get_monotonic_time() - began) / G_USEC_PER_SEC;
    g_assert_cmpfloat(seconds, >, 4.5);
    g_assert_cmpfloat(seconds, <, 9.5);
    g_assert_cmpint(test_statistic(witness, "tls.failedTimeout"), ==, 1);
}

/* Whatever comes before it: an alert is no line. */
static void
wait_end(TestClient *client)
{
    char buffer[1024];
    struct pollfd fd = {.fd = test_client_get_fd(client), .events = POLLIN};
    do
        g_assert_cmpint(poll(&fd, 1, 30000), ==, 1);
    while (recv(fd.fd, buffer, sizeof buffer, 0) > 0);
}

/* Bytes that are no TLS, or TLS that nobody speaks. */
static void
test_garbage(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(TestServer) server = test_tls_primary(pki, "listening-mode = secured", NULL);
    g_autoptr(TestClient) manager = test_tls_manager(server);
    g_autoptr(GByteArray) hello = half_hello();
    static const char http[] = "GET / HTTP/1.0\r\n\r\n",
                      old[] = "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", none[] = "\x16\x03\x01\x00\x00",
                      huge[] = "\x16\x03\x01\xff\xff\x01\x00\xff\xff", data[] = "\x17\x03\x03\x00\x05hello",
                      done[] = "\x16\x03\x03\x00\x04\x14\x00\x00\x00",
                      alert[] = "\x15\x03\x01\x00\x02\x02\x28";
    const struct {
        const char *bytes;
        size_t size;
    } cases[] = {{http, sizeof http - 1}, {old, sizeof old - 1},   {huge, sizeof huge - 1},
                 {data, sizeof data - 1}, {done, sizeof done - 1}, {alert, sizeof alert - 1}};
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
        test_client_write(client, cases[i].bytes, cases[i].size);
        wait_end(client);
        g_assert_cmpint(test_statistic(manager, "tls.handshakesFailed"), >=, i + 1);
    }
    /* Each byte of a greeting turned over: answered, refused, or waited for; never more than that. */
    for (unsigned i = 5; i < hello->len; i += 7) {
        g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
        hello->data[i] ^= 0x55;
        test_client_write(client, hello->data, hello->len);
        test_client_write(client, none, sizeof none - 1);
        hello->data[i] ^= 0x55;
        test_sync(manager);
        test_client_abort(client);
    }
    TestTlsOptions options = {.ca = test_pki_path(pki, "ca.pem")};
    g_assert_cmpint(test_tls_try(test_server_get_port(server), &options), ==, 0);
}

/* An open stream that is cut, corrupted, or ended as it should be. */
static void
test_streams(const void *data)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(TestServer) server = test_tls_primary(pki, "listening-mode = secured", NULL);
    g_autoptr(TestClient) manager = test_tls_manager(server);
    TestTlsOptions options = {.ca = test_pki_path(pki, "ca.pem"), .priority = data};
    g_autoptr(TestTunnel) tunnel = test_tunnel_new(test_server_get_port(server), &options);
    g_autoptr(TestClient) witness = test_client_connect(test_tunnel_get_port(tunnel));
    test_call(witness, "session.open", TEST_LOGIN);
    /* A record that was not made by the client. */
    g_autoptr(TestTls) spoilt = test_tls_connect(test_server_get_port(server), &options);
    g_assert_nonnull(test_tls_call(spoilt, TEST_LOGIN_LINE));
    static const char record[] = "\x17\x03\x03\x00\x20"
                                 "01234567890123456789012345678901";
    test_tls_write_raw(spoilt, record, sizeof record - 1);
    test_tls_wait_closed(spoilt);
    g_assert_cmpint(test_tls_get_alert(spoilt), ==, GNUTLS_A_BAD_RECORD_MAC);
    g_assert_cmpint(test_statistic(witness, "tls.streamsBroken"), ==, 1);
    /* Half a record, then the end; and the end without a word between two. */
    for (unsigned i = 0; i < 2; i++) {
        g_autoptr(TestTls) cut = test_tls_connect(test_server_get_port(server), &options);
        g_assert_nonnull(test_tls_call(cut, TEST_INFO_LINE));
        test_tls_write_raw(cut, record, i == 0 ? 20 : 0);
        shutdown(test_tls_get_fd(cut), SHUT_WR);
        test_tls_wait_closed(cut);
        g_assert_cmpint(test_statistic(witness, "tls.streamsCut"), ==, i + 1);
    }
    /* Requests, then close_notify, while the socket stays: all is answered, then the server says goodbye too. */
    g_autoptr(TestTls) polite = test_tls_connect(test_server_get_port(server), &options);
    g_autofree char *both = g_strconcat(TEST_INFO_LINE, "\n", TEST_INFO_LINE, NULL);
    g_assert_nonnull(test_tls_call(polite, both));
    g_assert_cmpint(gnutls_bye(test_tls_get_session(polite), GNUTLS_SHUT_WR), ==, 0);
    g_assert_true(test_tls_wait_closed(polite));
    g_assert_cmpint(test_statistic(witness, "tls.streamsCut"), ==, 2);
    /* A new key in the middle of requests (TLS 1.3). */
    if (strstr(data, "1.3") != NULL) {
        g_autoptr(TestTls) renewed = test_tls_connect(test_server_get_port(server), &options);
        for (unsigned i = 0; i < 3; i++) {
            g_assert_cmpint(gnutls_session_key_update(test_tls_get_session(renewed), GNUTLS_KU_PEER), ==, 0);
            g_assert_nonnull(test_tls_call(renewed, TEST_INFO_LINE));
        }
    }
    test_call(witness, "object.create", "{'object':{'type':'host','name':'still'}}");
}

typedef struct {
    int listener;
    uint16_t server_port;
} Relay;

static int
connect_local(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* One connection: to the server byte by byte, back as it comes. */
static void *
relay_bytes(void *data)
{
    const Relay *relay = data;
    char buffer[4096];
    ssize_t size;
    int client = accept(relay->listener, NULL, NULL), server = connect_local(relay->server_port);
    for (;;) {
        struct pollfd fds[2] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
        g_assert_cmpint(poll(fds, 2, 30000), >, 0);
        if (fds[0].revents != 0) {
            if ((size = recv(client, buffer, sizeof buffer, 0)) <= 0)
                break;
            for (ssize_t i = 0; i < size; i++)
                send(server, buffer + i, 1, MSG_NOSIGNAL);
        }
        if (fds[1].revents != 0) {
            if ((size = recv(server, buffer, sizeof buffer, 0)) <= 0)
                break;
            send(client, buffer, (size_t)size, MSG_NOSIGNAL);
        }
    }
    close(client);
    close(server);
    return NULL;
}

/* Everything one byte at a time: no record is read before it is whole. */
static void
test_bytes(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    g_autoptr(TestServer) server = test_tls_primary(pki, "listening-mode = auto-detect", NULL);
    TestTlsOptions options = {.ca = test_pki_path(pki, "ca.pem")};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    Relay relay = {.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                   .server_port = test_server_get_port(server)};
    g_assert_cmpint(bind(relay.listener, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(relay.listener, 1), ==, 0);
    g_assert_cmpint(getsockname(relay.listener, (struct sockaddr *)&address, &size), ==, 0);
    GThread *thread = g_thread_new("relay", relay_bytes, &relay);
    g_autoptr(TestTls) tls = test_tls_connect(ntohs(address.sin_port), &options);
    g_assert_true(test_tls_is_open(tls));
    g_assert_nonnull(test_tls_call(tls, TEST_LOGIN_LINE));
    g_assert_nonnull(test_tls_call(tls, TEST_INFO_LINE));
    shutdown(test_tls_get_fd(tls), SHUT_RDWR);
    g_thread_join(thread);
    close(relay.listener);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/tls-faults/half-open", test_half_open);
    g_test_add_func("/integration/tls-faults/limits", test_limits);
    g_test_add_func("/integration/tls-faults/garbage", test_garbage);
    g_test_add_data_func("/integration/tls-faults/streams-1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.2",
                         test_streams);
    g_test_add_data_func("/integration/tls-faults/streams-1.3", "NORMAL:-VERS-ALL:+VERS-TLS1.3",
                         test_streams);
    g_test_add_func("/integration/tls-faults/bytes", test_bytes);
    return g_test_run();
}
