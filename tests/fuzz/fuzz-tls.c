/* fuzz-tls.c - any bytes as what comes over the wire to the filter of plugin tls, on a port that looks at the
 * first byte.
 *
 * The first byte of the input says how: its lowest bit, whether a handshake has been done before (the
 * bytes then are records of an open stream); the next one, whether they come by a server's or a client's
 * side; the rest, in which pieces.  The plugin API is played by this file: what leaves the filter is
 * counted, and nothing may come after it has failed. */
#include <errno.h>
#include <string.h>

#include "../../plugins/tls/tls-private.h"
#include "pki.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct ConfFilterHandle {
    const ConfFilterTable *table;
    void *filter;
    bool outgoing, ready, failed, ended;
    GByteArray *wire; /* from the filter; NULL: dropped */
    size_t plain;
};

static struct ConfFilterHandle handle;
static void (*deferred)(void *self, void *data);
static Tls *tls;
static TlsContext *server_context, *client_context;

/* ---- the plugin API ---- */
void
conf_connection_push_filter(ConfConnection *c, const ConfFilterTable *table, void *filter)
{
    handle.table = table;
    handle.filter = filter;
}

void
conf_connection_set_plugin_data(ConfConnection *c, ConfPlugin *p, void *data, void (*free_data)(void *))
{
}

void
conf_filter_emit_plain(ConfFilterHandle *h, const void *data, size_t size)
{
    g_assert_true(h->ready && !h->failed);
    h->plain += size;
}

void
conf_filter_emit_wire(ConfFilterHandle *h, const void *data, size_t size)
{
    g_assert_false(h->failed);
    if (h->wire != NULL)
        g_byte_array_append(h->wire, data, (unsigned)size);
}

void
conf_filter_ready(ConfFilterHandle *h)
{
    g_assert_false(h->ready || h->failed);
    h->ready = true;
}

void
conf_filter_fail(ConfFilterHandle *h, const char *reason)
{
    g_assert_true(reason != NULL && !h->failed);
    h->failed = true;
}

void
conf_filter_peer_ended(ConfFilterHandle *h)
{
    g_assert_true(h->ready && !h->ended);
    h->ended = true;
}

void
conf_filter_set_encrypted(ConfFilterHandle *h, bool encrypted)
{
}

void
conf_filter_set_peer_identity(ConfFilterHandle *h, const char *subject, const char *const *names)
{
}

ConfConnection *
conf_filter_get_connection(const ConfFilterHandle *h)
{
    return (ConfConnection *)h;
}

const char *
conf_connection_get_host(const ConfConnection *c)
{
    return "localhost";
}

const char *
conf_connection_get_peer(const ConfConnection *c)
{
    return "127.0.0.1:1";
}

const char *
conf_connection_get_port_id(const ConfConnection *c)
{
    return "default";
}

void
conf_plugin_log(const ConfPlugin *p, int level, const char *sentence, ...)
{
}

void
conf_plugin_statistic(ConfPlugin *p, const char *name, const uint64_t *value)
{
}

void
conf_plugin_call_main(ConfPlugin *p, void (*func)(void *self, void *data), void *data)
{
    deferred = func;
}

unsigned
conf_timer(ConfPlugin *p, unsigned ms, void (*due)(void *self, void *data), void *data)
{
    return 1;
}

GQuark
conf_error_quark(void)
{
    return g_quark_from_static_string("conf-error");
}

/* ---- the run ---- */
static void
run_deferred(void)
{
    while (deferred != NULL) {
        void (*func)(void *self, void *data) = deferred;
        deferred = NULL;
        func(tls, NULL);
    }
}

static void
decode(const void *data, size_t size)
{
    /* A copy of its own, so that a read beyond it is seen. */
    g_autofree void *copy = g_memdup2(data, size);
    if (handle.failed || handle.ended)
        return;
    handle.table->decode(handle.filter, &handle, copy, size);
    run_deferred();
}

static ssize_t
pull(gnutls_transport_ptr_t session, void *data, size_t size)
{
    size_t part = MIN(size, handle.wire->len);
    if (part == 0) {
        gnutls_transport_set_errno(session, EAGAIN);
        return -1;
    }
    memcpy(data, handle.wire->data, part);
    g_byte_array_remove_range(handle.wire, 0, (unsigned)part);
    return (ssize_t)part;
}

static ssize_t
push(gnutls_transport_ptr_t session, const void *data, size_t size)
{
    decode(data, size);
    return (ssize_t)size;
}

/* A client of our own takes the server's filter through its handshake. */
static void
shake_hands(void)
{
    gnutls_session_t session;
    gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
    gnutls_set_default_priority(session);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE,
                           tls_credentials_choose(client_context->credentials, NULL));
    gnutls_transport_set_ptr(session, session);
    gnutls_transport_set_pull_function(session, pull);
    gnutls_transport_set_push_function(session, push);
    handle.wire = g_byte_array_new();
    int result;
    do
        result = gnutls_handshake(session);
    while (result == GNUTLS_E_AGAIN);
    g_assert_cmpint(result, ==, 0);
    g_byte_array_unref(g_steal_pointer(&handle.wire));
    g_assert_true(handle.ready);
    gnutls_deinit(session);
}

static void
set_up(void)
{
    static TlsSettings settings = {
        .handshake_timeout_ms = 8000, .handshakes_max = 1000, .ticket_lifetime_s = 3600};
    tls = g_new0(Tls, 1);
    tls->settings = &settings;
    tls->contexts = g_hash_table_new(NULL, NULL);
    tls_handshake_init(tls);
    g_autoptr(GError) error = NULL;
    g_autoptr(TestPki) pki = test_pki_new();
    TlsParameters server = {.is_server = true,
                            .certificate = test_pki_path(pki, "server.pem"),
                            .certificate_key = test_pki_path(pki, "server.key")};
    TlsParameters client = {.trusted_ca = test_pki_path(pki, "ca.pem")};
    server_context = tls_context_new(&server, &error);
    g_assert_no_error(error);
    client_context = tls_context_new(&client, &error);
    g_assert_no_error(error);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (tls == NULL)
        set_up();
    if (size < 1)
        return 0;
    bool opened = (data[0] & 1) != 0, outgoing = !opened && (data[0] & 2) != 0;
    size_t piece = data[0] >> 2;
    memset(&handle, 0, sizeof handle);
    handle.outgoing = outgoing;
    tls_filter_push(tls, (ConfConnection *)&handle, outgoing ? client_context : server_context, !outgoing,
                    outgoing);
    handle.table->start(handle.filter, &handle, outgoing);
    run_deferred();
    if (opened)
        shake_hands();
    for (size_t begin = 1; begin < size;) {
        size_t part = piece > 0 ? MIN(piece, size - begin) : size - begin;
        decode(data + begin, part);
        begin += part;
    }
    if (handle.ready && !handle.failed)
        handle.table->encode(handle.filter, &handle, "answer\n", 7);
    if (!handle.failed && !handle.ended)
        handle.table->peer_closed(handle.filter, &handle);
    if (handle.ready && !handle.failed)
        handle.table->end(handle.filter, &handle);
    handle.table->free(handle.filter);
    g_assert_cmpuint(tls->statistics.half_open, ==, 0);
    g_assert_cmpuint(tls->statistics.waiting, ==, 0);
    return 0;
}
