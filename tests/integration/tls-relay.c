/* tls-relay.c - see tls-relay.h.  Blocking, a thread for each connection; all of them end with the
 * listener. */
#include "tls-relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 32768, TURN_MS = 50 };

typedef void (*ServeFunc)(void *owner, int fd);

/* What both kinds have: accepts until it is stopped. */
typedef struct {
    int fd;
    uint16_t port;
    bool is_over;
    unsigned cuts; /* connections of before the last cut end */
    GMutex lock;
    GThread *thread;
    GPtrArray *threads; /* of the connections */
    ServeFunc serve;
    void *owner;
} Listener;

typedef struct {
    Listener *listener;
    int fd;
} Guest;

struct TlsRelay {
    Listener listener;
    uint16_t target;
    bool asks_client;
    char *priority;
    gnutls_certificate_credentials_t credentials;
    gnutls_datum_t ticket_key;
    unsigned handshakes, resumed, failures;
    size_t received;
};

struct Capture {
    Listener listener;
    CaptureManner manner;
    GBytes *answer;
    GByteArray *bytes;
    unsigned connections;
};

static void *accept_all(void *data);
static void *serve_guest(void *data);
static void relay_serve(void *owner, int fd);
static bool relay_shake(TlsRelay *relay, gnutls_session_t session);
static void relay_pump(TlsRelay *relay, gnutls_session_t session, int client, int server);
static void capture_serve(void *owner, int fd);

static bool
is_over(Listener *listener, unsigned cuts)
{
    g_mutex_lock(&listener->lock);
    bool over = listener->is_over || listener->cuts != cuts;
    g_mutex_unlock(&listener->lock);
    return over;
}

static bool
is_over_at_all(Listener *listener)
{
    g_mutex_lock(&listener->lock);
    bool over = listener->is_over;
    g_mutex_unlock(&listener->lock);
    return over;
}

static unsigned
read_count(Listener *listener, const unsigned *count)
{
    g_mutex_lock(&listener->lock);
    unsigned value = *count;
    g_mutex_unlock(&listener->lock);
    return value;
}

static void
listener_start(Listener *listener, uint16_t port, ServeFunc serve, void *owner)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int on = 1;
    listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(listener->fd, >=, 0);
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    g_assert_cmpint(bind(listener->fd, (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(listen(listener->fd, 64), ==, 0);
    g_assert_cmpint(getsockname(listener->fd, (struct sockaddr *)&address, &size), ==, 0);
    listener->port = ntohs(address.sin_port);
    listener->serve = serve;
    listener->owner = owner;
    g_mutex_init(&listener->lock);
    listener->threads = g_ptr_array_new();
    listener->thread = g_thread_new("listener", accept_all, listener);
}

static void
listener_stop(Listener *listener)
{
    g_mutex_lock(&listener->lock);
    listener->is_over = true;
    g_mutex_unlock(&listener->lock);
    g_thread_join(listener->thread);
    for (unsigned i = 0; i < listener->threads->len; i++)
        g_thread_join(g_ptr_array_index(listener->threads, i));
    g_ptr_array_unref(listener->threads);
    close(listener->fd);
    g_mutex_clear(&listener->lock);
}

TlsRelay *
tls_relay_new(uint16_t target, const TlsRelayOptions *options)
{
    TlsRelay *relay = g_new0(TlsRelay, 1);
    relay->target = target;
    relay->asks_client = options->client_ca != NULL;
    relay->priority = g_strdup(options->priority != NULL ? options->priority : "NORMAL");
    g_assert_cmpint(gnutls_certificate_allocate_credentials(&relay->credentials), ==, 0);
    g_assert_cmpint(gnutls_certificate_set_x509_key_file(relay->credentials, options->certificate,
                                                         options->key, GNUTLS_X509_FMT_PEM),
                    >=, 0);
    if (options->client_ca != NULL)
        g_assert_cmpint(gnutls_certificate_set_x509_trust_file(relay->credentials, options->client_ca,
                                                               GNUTLS_X509_FMT_PEM),
                        >, 0);
    g_assert_cmpint(gnutls_session_ticket_key_generate(&relay->ticket_key), ==, 0);
    listener_start(&relay->listener, options->port, relay_serve, relay);
    return relay;
}

uint16_t
tls_relay_get_port(const TlsRelay *relay)
{
    return relay->listener.port;
}

unsigned
tls_relay_get_handshakes(TlsRelay *relay)
{
    return read_count(&relay->listener, &relay->handshakes);
}

unsigned
tls_relay_get_resumed(TlsRelay *relay)
{
    return read_count(&relay->listener, &relay->resumed);
}

unsigned
tls_relay_get_failures(TlsRelay *relay)
{
    return read_count(&relay->listener, &relay->failures);
}

size_t
tls_relay_get_received(TlsRelay *relay)
{
    g_mutex_lock(&relay->listener.lock);
    size_t received = relay->received;
    g_mutex_unlock(&relay->listener.lock);
    return received;
}

void
tls_relay_cut(TlsRelay *relay)
{
    g_mutex_lock(&relay->listener.lock);
    relay->listener.cuts++;
    g_mutex_unlock(&relay->listener.lock);
}

void
tls_relay_free(TlsRelay *relay)
{
    listener_stop(&relay->listener);
    gnutls_certificate_free_credentials(relay->credentials);
    gnutls_memset(relay->ticket_key.data, 0, relay->ticket_key.size);
    gnutls_free(relay->ticket_key.data);
    g_free(relay->priority);
    g_free(relay);
}

Capture *
capture_new(uint16_t port, CaptureManner manner, const void *answer, size_t size)
{
    Capture *capture = g_new0(Capture, 1);
    capture->manner = manner;
    capture->answer = g_bytes_new(answer, size);
    capture->bytes = g_byte_array_new();
    listener_start(&capture->listener, port, capture_serve, capture);
    return capture;
}

uint16_t
capture_get_port(const Capture *capture)
{
    return capture->listener.port;
}

unsigned
capture_get_connections(Capture *capture)
{
    return read_count(&capture->listener, &capture->connections);
}

GBytes *
capture_get_bytes(Capture *capture)
{
    g_mutex_lock(&capture->listener.lock);
    GBytes *bytes = g_bytes_new(capture->bytes->data, capture->bytes->len);
    g_mutex_unlock(&capture->listener.lock);
    return bytes;
}

void
capture_free(Capture *capture)
{
    listener_stop(&capture->listener);
    g_bytes_unref(capture->answer);
    g_byte_array_unref(capture->bytes);
    g_free(capture);
}

static void *
accept_all(void *data)
{
    Listener *listener = data;
    while (!is_over_at_all(listener)) {
        struct pollfd wait = {.fd = listener->fd, .events = POLLIN};
        if (poll(&wait, 1, TURN_MS) <= 0)
            continue;
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        Guest *guest = g_new(Guest, 1);
        *guest = (Guest){.listener = listener, .fd = fd};
        g_ptr_array_add(listener->threads, g_thread_new("guest", serve_guest, guest));
    }
    return NULL;
}

static void *
serve_guest(void *data)
{
    g_autofree Guest *guest = data;
    guest->listener->serve(guest->listener->owner, guest->fd);
    close(guest->fd);
    return NULL;
}

static void
relay_serve(void *owner, int fd)
{
    TlsRelay *relay = owner;
    gnutls_session_t session;
    g_assert_cmpint(gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NO_SIGNAL), ==, 0);
    g_assert_cmpint(gnutls_priority_set_direct(session, relay->priority, NULL), ==, 0);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, relay->credentials);
    gnutls_session_ticket_enable_server(session, &relay->ticket_key);
    if (relay->asks_client) {
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
        gnutls_session_set_verify_cert(session, NULL, 0);
    }
    gnutls_transport_set_int(session, fd);
    gnutls_handshake_set_timeout(session, 5000);
    int server = relay_shake(relay, session) ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(relay->target), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (server >= 0 && connect(server, (struct sockaddr *)&address, sizeof address) == 0)
        relay_pump(relay, session, fd, server);
    if (server >= 0)
        close(server);
    gnutls_deinit(session);
}

static bool
relay_shake(TlsRelay *relay, gnutls_session_t session)
{
    int code;
    do
        code = gnutls_handshake(session);
    while (code < 0 && !gnutls_error_is_fatal(code));
    if (code < 0) {
        gnutls_alert_send_appropriate(session, code);
        g_mutex_lock(&relay->listener.lock);
        relay->failures++;
        g_mutex_unlock(&relay->listener.lock);
        return false;
    }
    g_mutex_lock(&relay->listener.lock);
    relay->handshakes++;
    relay->resumed += gnutls_session_is_resumed(session) != 0 ? 1 : 0;
    g_mutex_unlock(&relay->listener.lock);
    return true;
}

static bool
write_all(int fd, const char *data, ssize_t size)
{
    while (size > 0) {
        ssize_t count = send(fd, data, (size_t)size, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR)
            return false;
        data += MAX(count, 0);
        size -= MAX(count, 0);
    }
    return true;
}

static bool
from_client(TlsRelay *relay, gnutls_session_t session, int server)
{
    char buffer[BUFFER];
    do {
        ssize_t count = gnutls_record_recv(session, buffer, sizeof buffer);
        if (count == GNUTLS_E_AGAIN || count == GNUTLS_E_INTERRUPTED)
            continue;
        if (count <= 0 || !write_all(server, buffer, count))
            return false;
        g_mutex_lock(&relay->listener.lock);
        relay->received += (size_t)count;
        g_mutex_unlock(&relay->listener.lock);
    } while (gnutls_record_check_pending(session) > 0);
    return true;
}

static bool
from_server(gnutls_session_t session, int server)
{
    char buffer[BUFFER];
    ssize_t size = recv(server, buffer, sizeof buffer, 0);
    for (ssize_t sent = 0; sent < size;) {
        ssize_t count = gnutls_record_send(session, buffer + sent, (size_t)(size - sent));
        if (count < 0 && gnutls_error_is_fatal((int)count))
            return false;
        sent += MAX(count, 0);
    }
    if (size <= 0)
        gnutls_bye(session, GNUTLS_SHUT_WR);
    return size > 0;
}

static void
relay_pump(TlsRelay *relay, gnutls_session_t session, int client, int server)
{
    unsigned cuts = read_count(&relay->listener, &relay->listener.cuts);
    struct pollfd waits[2] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
    bool goes_on = true;
    while (goes_on && !is_over(&relay->listener, cuts)) {
        poll(waits, 2, TURN_MS);
        if (waits[0].revents != 0)
            goes_on = from_client(relay, session, server);
        if (goes_on && waits[1].revents != 0)
            goes_on = from_server(session, server);
    }
}

static void
capture_serve(void *owner, int fd)
{
    Capture *capture = owner;
    char buffer[BUFFER];
    bool is_first = true;
    g_mutex_lock(&capture->listener.lock);
    capture->connections++;
    g_mutex_unlock(&capture->listener.lock);
    while (!is_over(&capture->listener, 0)) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, TURN_MS) <= 0)
            continue;
        ssize_t count = recv(fd, buffer, sizeof buffer, 0);
        if (count <= 0)
            return;
        g_mutex_lock(&capture->listener.lock);
        g_byte_array_append(capture->bytes, (const guint8 *)buffer, (guint)count);
        g_mutex_unlock(&capture->listener.lock);
        if (capture->manner == CAPTURE_HANG_UP)
            return;
        if (capture->manner == CAPTURE_ANSWER && is_first)
            write_all(fd, g_bytes_get_data(capture->answer, NULL),
                      (ssize_t)g_bytes_get_size(capture->answer));
        is_first = false;
    }
}
