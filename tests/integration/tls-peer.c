/* tls-peer.c - see tls-peer.h. */
#include "tls-peer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gnutls/x509.h>

enum { DEADLINE_MS = 30000, POLL_MS = 20 };

struct TestTls {
    int fd;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
    int result, alert;
    GString *input;
    char *line, *peer_name;
};

static void
check(int result)
{
    if (result < 0)
        g_error("GnuTLS: %s", gnutls_strerror(result));
}

static int
connect_to(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = DEADLINE_MS / 1000};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

TestTls *
test_tls_connect(uint16_t port, const TestTlsOptions *options)
{
    static const gnutls_datum_t alpn = {(unsigned char *)"confserv/1", 10};
    TestTls *tls = g_new0(TestTls, 1);
    const char *name = options->name != NULL ? options->name : "localhost";
    tls->alert = -1;
    tls->input = g_string_new(NULL);
    tls->fd = connect_to(port);
    check(gnutls_certificate_allocate_credentials(&tls->credentials));
    if (options->ca != NULL)
        check(gnutls_certificate_set_x509_trust_file(tls->credentials, options->ca, GNUTLS_X509_FMT_PEM));
    if (options->certificate != NULL)
        check(gnutls_certificate_set_x509_key_file(tls->credentials, options->certificate, options->key,
                                                   GNUTLS_X509_FMT_PEM));
    check(gnutls_init(&tls->session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL));
    check(gnutls_priority_set_direct(tls->session, options->priority != NULL ? options->priority : "NORMAL",
                                     NULL));
    check(gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE, tls->credentials));
    check(gnutls_server_name_set(tls->session, GNUTLS_NAME_DNS, name, strlen(name)));
    check(gnutls_alpn_set_protocols(tls->session, &alpn, 1, 0));
    if (options->ca != NULL)
        gnutls_session_set_verify_cert(tls->session, name, 0);
    if (options->session != NULL)
        check(gnutls_session_set_data(tls->session, options->session->data, options->session->size));
    gnutls_transport_set_int(tls->session, tls->fd);
    do
        tls->result = gnutls_handshake(tls->session);
    while (tls->result < 0 && gnutls_error_is_fatal(tls->result) == 0 && tls->result != GNUTLS_E_AGAIN);
    if (tls->result == GNUTLS_E_FATAL_ALERT_RECEIVED)
        tls->alert = (int)gnutls_alert_get(tls->session);
    return tls;
}

void
test_tls_free(TestTls *tls)
{
    gnutls_deinit(tls->session);
    gnutls_certificate_free_credentials(tls->credentials);
    close(tls->fd);
    g_string_free(tls->input, TRUE);
    g_free(tls->line);
    g_free(tls->peer_name);
    g_free(tls);
}

bool
test_tls_is_open(const TestTls *tls)
{
    return tls->result == GNUTLS_E_SUCCESS;
}

gnutls_session_t
test_tls_get_session(TestTls *tls)
{
    return tls->session;
}

int
test_tls_get_alert(const TestTls *tls)
{
    return tls->alert;
}

/* What is read is kept; false: the stream is over. */
static bool
take(TestTls *tls, bool *whole)
{
    char buffer[16384];
    ssize_t size;
    int64_t until = g_get_monotonic_time() + DEADLINE_MS * INT64_C(1000);
    /* A ticket that came alone is told as AGAIN too. */
    do
        size = gnutls_record_recv(tls->session, buffer, sizeof buffer);
    while (
        (size == GNUTLS_E_INTERRUPTED || size == GNUTLS_E_AGAIN || size == GNUTLS_E_WARNING_ALERT_RECEIVED) &&
        g_get_monotonic_time() < until);
    if (size == GNUTLS_E_AGAIN)
        g_error("The server said nothing for 30 s");
    if (size == GNUTLS_E_FATAL_ALERT_RECEIVED)
        tls->alert = (int)gnutls_alert_get(tls->session);
    *whole = size == 0;
    if (size > 0)
        g_string_append_len(tls->input, buffer, size);
    return size > 0;
}

const char *
test_tls_call(TestTls *tls, const char *line)
{
    const char *end;
    bool whole;
    gnutls_record_cork(tls->session);
    gnutls_record_send(tls->session, line, strlen(line));
    gnutls_record_send(tls->session, "\n", 1);
    gnutls_record_uncork(tls->session, GNUTLS_RECORD_WAIT);
    while ((end = memchr(tls->input->str, '\n', tls->input->len)) == NULL) {
        if (!take(tls, &whole))
            return NULL;
    }
    g_free(tls->line);
    tls->line = g_strndup(tls->input->str, (gsize)(end - tls->input->str));
    g_string_erase(tls->input, 0, end - tls->input->str + 1);
    return tls->line;
}

bool
test_tls_wait_closed(TestTls *tls)
{
    bool whole;
    while (take(tls, &whole))
        continue;
    return whole;
}

void
test_tls_write_raw(TestTls *tls, const void *data, size_t size)
{
    g_assert_cmpint(send(tls->fd, data, size, MSG_NOSIGNAL), ==, (ssize_t)size);
}

int
test_tls_get_fd(const TestTls *tls)
{
    return tls->fd;
}

const char *
test_tls_get_peer_name(TestTls *tls)
{
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(tls->session, &count);
    gnutls_x509_crt_t certificate;
    char name[256];
    size_t size = sizeof name;
    g_assert_cmpuint(count, >, 0);
    check(gnutls_x509_crt_init(&certificate));
    check(gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER));
    check(gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size));
    gnutls_x509_crt_deinit(certificate);
    g_free(tls->peer_name);
    tls->peer_name = g_strdup(name);
    return tls->peer_name;
}

/* ---- the relay ---- */
struct TestTunnel {
    uint16_t server_port, port;
    const TestTlsOptions *options;
    int listener;
    int stopping; /* atomic */
    GThread *thread;
};

static void
send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0)
            return; /* The reader will see it. */
        data += sent;
        size -= (size_t)sent;
    }
}

/* False: that side is over. */
static bool
from_server(TestTls *tls, int client)
{
    char buffer[16384];
    for (;;) {
        ssize_t size = gnutls_record_recv(tls->session, buffer, sizeof buffer);
        if (size == GNUTLS_E_AGAIN)
            return true;
        if (size == GNUTLS_E_INTERRUPTED || size == GNUTLS_E_WARNING_ALERT_RECEIVED)
            continue;
        if (size <= 0)
            return false;
        send_all(client, buffer, (size_t)size);
    }
}

static bool
from_client(TestTls *tls, int client)
{
    char buffer[65536];
    ssize_t size = recv(client, buffer, sizeof buffer, 0);
    for (ssize_t begin = 0; begin < size;) {
        ssize_t sent = gnutls_record_send(tls->session, buffer + begin, (size_t)(size - begin));
        if (sent == GNUTLS_E_AGAIN || sent == GNUTLS_E_INTERRUPTED) {
            struct pollfd wait = {.fd = tls->fd, .events = POLLOUT};
            poll(&wait, 1, POLL_MS);
            continue;
        }
        if (sent < 0)
            return false;
        begin += sent;
    }
    return size > 0;
}

static void
carry(TestTunnel *tunnel, int client)
{
    g_autoptr(TestTls) tls = test_tls_connect(tunnel->server_port, tunnel->options);
    bool going = test_tls_is_open(tls);
    fcntl(tls->fd, F_SETFL, O_NONBLOCK);
    while (going && g_atomic_int_get(&tunnel->stopping) == 0) {
        struct pollfd fds[2] = {{.fd = client, .events = POLLIN}, {.fd = tls->fd, .events = POLLIN}};
        poll(fds, 2, POLL_MS);
        if (fds[1].revents != 0)
            going = from_server(tls, client);
        if (going && fds[0].revents != 0 && !from_client(tls, client)) {
            gnutls_bye(tls->session, GNUTLS_SHUT_WR);
            going = false;
        }
    }
}

static void *
run(void *data)
{
    TestTunnel *tunnel = data;
    while (g_atomic_int_get(&tunnel->stopping) == 0) {
        struct pollfd fd = {.fd = tunnel->listener, .events = POLLIN};
        if (poll(&fd, 1, POLL_MS) <= 0)
            continue;
        int client = accept(tunnel->listener, NULL, NULL);
        carry(tunnel, client);
        close(client);
    }
    return NULL;
}

TestTunnel *
test_tunnel_new(uint16_t server_port, const TestTlsOptions *options)
{
    TestTunnel *tunnel = g_new0(TestTunnel, 1);
    *tunnel = (TestTunnel){.server_port = server_port, .options = options};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    tunnel->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(tunnel->listener, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(tunnel->listener, 8), ==, 0);
    g_assert_cmpint(getsockname(tunnel->listener, (struct sockaddr *)&address, &size), ==, 0);
    tunnel->port = ntohs(address.sin_port);
    tunnel->thread = g_thread_new("tunnel", run, tunnel);
    return tunnel;
}

uint16_t
test_tunnel_get_port(const TestTunnel *tunnel)
{
    return tunnel->port;
}

void
test_tunnel_free(TestTunnel *tunnel)
{
    g_atomic_int_set(&tunnel->stopping, 1);
    g_thread_join(tunnel->thread);
    close(tunnel->listener);
    g_free(tunnel);
}
