/* ldap-peer.c - see ldap-peer.h. */
#include "ldap-peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TURN_MS = 20, REQUEST_MAX = 65536, PLAIN_MAX = 1 << 20, TAGS = 256 };

struct LdapPeer {
    int fd;
    uint16_t port;
    bool tls;
    gnutls_certificate_credentials_t credentials; /* NULL: none */
    LdapPeerAnswer answer;
    void *data;
    GMutex lock; /* of what follows */
    bool is_over;
    unsigned connections, open, counts[TAGS];
    GByteArray *plain;
    GPtrArray *threads;
    GThread *thread;
};

struct LdapGuest {
    LdapPeer *peer;
    int fd;
    gnutls_session_t tls;
    GByteArray *input;
    bool is_closed;
};

static void *accept_all(void *data);
static void *serve(void *data);
static bool wait_for(LdapGuest *guest, short events, int ms);
static bool receive(LdapGuest *guest);
static bool take_request(LdapGuest *guest);
static bool read_header(const GByteArray *input, size_t *at, uint8_t *tag, size_t *size);
static void add(GByteArray *bytes, uint8_t tag, const void *value, size_t size);

LdapPeer *
ldap_peer_new(LdapPeerAnswer answer, void *data, TestPki *pki, bool tls)
{
    return ldap_peer_new_at("127.0.0.1", answer, data, pki, tls);
}

LdapPeer *
ldap_peer_new_at(const char *address, LdapPeerAnswer answer, void *data, TestPki *pki, bool tls)
{
    LdapPeer *peer = g_new0(LdapPeer, 1);
    struct sockaddr_in own = {.sin_family = AF_INET};
    socklen_t size = sizeof own;
    g_assert_cmpint(inet_pton(AF_INET, address, &own.sin_addr), ==, 1);
    peer->answer = answer;
    peer->data = data;
    peer->tls = tls;
    peer->plain = g_byte_array_new();
    peer->threads = g_ptr_array_new();
    g_mutex_init(&peer->lock);
    if (pki != NULL) {
        g_assert_cmpint(gnutls_certificate_allocate_credentials(&peer->credentials), ==, 0);
        g_assert_cmpint(
            gnutls_certificate_set_x509_key_file(peer->credentials, test_pki_path(pki, "server.pem"),
                                                 test_pki_path(pki, "server.key"), GNUTLS_X509_FMT_PEM),
            >=, 0);
    }
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(peer->fd, (struct sockaddr *)&own, size), ==, 0);
    g_assert_cmpint(listen(peer->fd, 256), ==, 0);
    g_assert_cmpint(getsockname(peer->fd, (struct sockaddr *)&own, &size), ==, 0);
    peer->port = ntohs(own.sin_port);
    peer->thread = g_thread_new("ldap-peer", accept_all, peer);
    return peer;
}

uint16_t
ldap_peer_get_port(const LdapPeer *peer)
{
    return peer->port;
}

static unsigned
read_count(LdapPeer *peer, const unsigned *count)
{
    g_mutex_lock(&peer->lock);
    unsigned value = *count;
    g_mutex_unlock(&peer->lock);
    return value;
}

unsigned
ldap_peer_get_connections(LdapPeer *peer)
{
    return read_count(peer, &peer->connections);
}

unsigned
ldap_peer_get_open(LdapPeer *peer)
{
    return read_count(peer, &peer->open);
}

unsigned
ldap_peer_count(LdapPeer *peer, uint8_t tag)
{
    return read_count(peer, &peer->counts[tag]);
}

void
ldap_peer_wait(LdapPeer *peer, uint8_t tag, unsigned at_least)
{
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    while (ldap_peer_count(peer, tag) < at_least) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_usleep(5000);
    }
}

bool
ldap_peer_has_seen_plain(LdapPeer *peer, const char *text)
{
    g_mutex_lock(&peer->lock);
    bool found =
        peer->plain->len > 0 && memmem(peer->plain->data, peer->plain->len, text, strlen(text)) != NULL;
    g_mutex_unlock(&peer->lock);
    return found;
}

void
ldap_peer_free(LdapPeer *peer)
{
    g_mutex_lock(&peer->lock);
    peer->is_over = true;
    g_mutex_unlock(&peer->lock);
    g_thread_join(peer->thread);
    for (unsigned i = 0; i < peer->threads->len; i++)
        g_thread_join(peer->threads->pdata[i]);
    g_ptr_array_unref(peer->threads);
    g_byte_array_unref(peer->plain);
    if (peer->credentials != NULL)
        gnutls_certificate_free_credentials(peer->credentials);
    g_mutex_clear(&peer->lock);
    close(peer->fd);
    g_free(peer);
}

void
ldap_guest_serve(LdapGuest *guest, int msgid, uint8_t tag, void *unused)
{
    (void)unused;
    switch (tag) {
    case LDAP_PEER_BIND:
        ldap_guest_result(guest, msgid, LDAP_PEER_BOUND, 0, NULL, NULL);
        break;
    case LDAP_PEER_SEARCH:
        ldap_guest_entry(guest, msgid, "uid=someone,ou=people");
        ldap_guest_result(guest, msgid, LDAP_PEER_DONE, 0, NULL, NULL);
        break;
    case LDAP_PEER_EXTENDED:
        ldap_guest_result(guest, msgid, LDAP_PEER_EXTENDED_DONE, 0, NULL, NULL);
        ldap_guest_shake(guest);
        break;
    case LDAP_PEER_UNBIND:
        ldap_guest_close(guest);
        break;
    default:
        break;
    }
}

bool
ldap_guest_send(LdapGuest *guest, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    while (size > 0 && !guest->is_closed) {
        if (!wait_for(guest, POLLOUT, -1))
            return false;
        ssize_t sent = guest->tls != NULL ? gnutls_record_send(guest->tls, at, size)
                                          : send(guest->fd, at, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        bool again = guest->tls != NULL ? sent == GNUTLS_E_AGAIN || sent == GNUTLS_E_INTERRUPTED
                                        : sent < 0 && (errno == EAGAIN || errno == EINTR);
        if (sent < 0 && !again)
            guest->is_closed = true;
        at += MAX(sent, 0);
        size -= (size_t)MAX(sent, 0);
    }
    return !guest->is_closed;
}

bool
ldap_guest_result(LdapGuest *guest, int msgid, uint8_t tag, int code, const char *text, const char *url)
{
    uint8_t number = (uint8_t)code;
    g_autoptr(GByteArray) result = g_byte_array_new(), urls = g_byte_array_new();
    add(result, 0x0a, &number, 1);
    add(result, 4, "", 0);
    add(result, 4, text, text != NULL ? strlen(text) : 0);
    if (url != NULL) {
        add(urls, 4, url, strlen(url));
        add(result, 0xa3, urls->data, urls->len);
    }
    g_autoptr(GByteArray) message = ldap_guest_message(msgid, tag, result->data, result->len);
    return ldap_guest_send(guest, message->data, message->len);
}

bool
ldap_guest_entry(LdapGuest *guest, int msgid, const char *dn)
{
    g_autoptr(GByteArray) entry = g_byte_array_new();
    add(entry, 4, dn, strlen(dn));
    add(entry, 0x30, "", 0);
    g_autoptr(GByteArray) message = ldap_guest_message(msgid, LDAP_PEER_ENTRY, entry->data, entry->len);
    return ldap_guest_send(guest, message->data, message->len);
}

bool
ldap_guest_reference(LdapGuest *guest, int msgid, const char *url)
{
    g_autoptr(GByteArray) reference = g_byte_array_new();
    add(reference, 4, url, strlen(url));
    g_autoptr(GByteArray) message =
        ldap_guest_message(msgid, LDAP_PEER_REFERENCE, reference->data, reference->len);
    return ldap_guest_send(guest, message->data, message->len);
}

GByteArray *
ldap_guest_message(int msgid, uint8_t tag, const void *bytes, size_t size)
{
    const uint8_t id[] = {(uint8_t)(msgid >> 24), (uint8_t)(msgid >> 16), (uint8_t)(msgid >> 8),
                          (uint8_t)msgid};
    g_autoptr(GByteArray) body = g_byte_array_new();
    add(body, 2, id, sizeof id);
    add(body, tag, bytes, size);
    GByteArray *message = g_byte_array_new();
    add(message, 0x30, body->data, body->len);
    return message;
}

bool
ldap_guest_shake(LdapGuest *guest)
{
    gnutls_init(&guest->tls, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
    gnutls_set_default_priority(guest->tls);
    gnutls_credentials_set(guest->tls, GNUTLS_CRD_CERTIFICATE, guest->peer->credentials);
    gnutls_transport_set_int(guest->tls, guest->fd);
    int result;
    while ((result = gnutls_handshake(guest->tls)) < 0 && gnutls_error_is_fatal(result) == 0) {
        if (!wait_for(guest, gnutls_record_get_direction(guest->tls) != 0 ? POLLOUT : POLLIN, -1))
            break;
    }
    guest->is_closed = guest->is_closed || result < 0;
    return !guest->is_closed;
}

bool
ldap_guest_pause(LdapGuest *guest, unsigned ms)
{
    return !wait_for(guest, POLLIN, (int)ms) && !guest->is_closed;
}

void
ldap_guest_close(LdapGuest *guest)
{
    guest->is_closed = true;
}

static bool
is_over(LdapPeer *peer)
{
    g_mutex_lock(&peer->lock);
    bool over = peer->is_over;
    g_mutex_unlock(&peer->lock);
    return over;
}

static void *
accept_all(void *data)
{
    LdapPeer *peer = data;
    struct pollfd wait = {.fd = peer->fd, .events = POLLIN};
    while (!is_over(peer)) {
        int fd = poll(&wait, 1, TURN_MS) > 0 ? accept4(peer->fd, NULL, NULL, SOCK_CLOEXEC) : -1;
        int on = 1;
        if (fd < 0)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        LdapGuest *guest = g_new0(LdapGuest, 1);
        guest->peer = peer;
        guest->fd = fd;
        guest->input = g_byte_array_new();
        g_mutex_lock(&peer->lock);
        peer->connections++;
        peer->open++;
        g_mutex_unlock(&peer->lock);
        g_ptr_array_add(peer->threads, g_thread_new("ldap-guest", serve, guest));
    }
    return NULL;
}

static void *
serve(void *data)
{
    LdapGuest *guest = data;
    LdapPeer *peer = guest->peer;
    if (peer->tls)
        ldap_guest_shake(guest);
    while (!guest->is_closed && receive(guest)) {
        while (!guest->is_closed && take_request(guest))
            continue;
    }
    if (guest->tls != NULL)
        gnutls_deinit(guest->tls);
    close(guest->fd);
    g_byte_array_unref(guest->input);
    g_free(guest);
    g_mutex_lock(&peer->lock);
    peer->open--;
    g_mutex_unlock(&peer->lock);
    return NULL;
}

/* False: it is over, or the time (in ms, -1: any) is. */
static bool
wait_for(LdapGuest *guest, short events, int ms)
{
    struct pollfd wait = {.fd = guest->fd, .events = events};
    int64_t until = g_get_monotonic_time() + (int64_t)ms * 1000;
    int count = 0;
    while (count == 0 && !is_over(guest->peer) && (ms < 0 || g_get_monotonic_time() < until))
        count = poll(&wait, 1, ms < 0 ? TURN_MS : MIN(ms, TURN_MS));
    guest->is_closed = guest->is_closed || is_over(guest->peer);
    return count > 0;
}

static bool
receive(LdapGuest *guest)
{
    uint8_t bytes[4096];
    bool pending = guest->tls != NULL && gnutls_record_check_pending(guest->tls) > 0;
    if (!pending && !wait_for(guest, POLLIN, -1))
        return false;
    ssize_t got = guest->tls != NULL ? gnutls_record_recv(guest->tls, bytes, sizeof bytes)
                                     : recv(guest->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (guest->tls != NULL && got < 0 && gnutls_error_is_fatal((int)got) == 0)
        return true;
    if (got <= 0)
        return false;
    g_byte_array_append(guest->input, bytes, (unsigned)got);
    LdapPeer *peer = guest->peer;
    g_mutex_lock(&peer->lock);
    if (guest->tls == NULL && peer->plain->len < PLAIN_MAX)
        g_byte_array_append(peer->plain, bytes, (unsigned)got);
    g_mutex_unlock(&peer->lock);
    return guest->input->len < REQUEST_MAX;
}

/* The first that is whole; false: none is. */
static bool
take_request(LdapGuest *guest)
{
    LdapPeer *peer = guest->peer;
    size_t at = 0, size = 0, inner = 0;
    uint8_t tag = 0;
    if (!read_header(guest->input, &at, &tag, &size) || guest->input->len - at < size)
        return false;
    size_t end = at + size;
    int msgid = 0;
    if (!read_header(guest->input, &at, &tag, &inner) || tag != 2)
        return false;
    for (size_t i = 0; i < inner; i++)
        msgid = msgid << 8 | guest->input->data[at + i];
    at += inner;
    tag = guest->input->data[at];
    g_byte_array_remove_range(guest->input, 0, (unsigned)end);
    g_mutex_lock(&peer->lock);
    peer->counts[tag]++;
    g_mutex_unlock(&peer->lock);
    peer->answer(guest, msgid, tag, peer->data);
    return true;
}

static bool
read_header(const GByteArray *input, size_t *at, uint8_t *tag, size_t *size)
{
    if (input->len < *at + 2)
        return false;
    *tag = input->data[(*at)++];
    *size = input->data[(*at)++];
    if (*size < 0x80)
        return true;
    unsigned count = *size & 0x7f;
    *size = 0;
    if (input->len < *at + count)
        return false;
    while (count-- > 0)
        *size = *size << 8 | input->data[(*at)++];
    return true;
}

static void
add(GByteArray *bytes, uint8_t tag, const void *value, size_t size)
{
    const uint8_t small[] = {tag, (uint8_t)size},
                  large[] = {
                      tag,          0x84, (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                      (uint8_t)size};
    if (size < 0x80)
        g_byte_array_append(bytes, small, sizeof small);
    else
        g_byte_array_append(bytes, large, sizeof large);
    if (size > 0)
        g_byte_array_append(bytes, value, (unsigned)size);
}
