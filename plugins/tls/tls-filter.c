/* tls-filter.c - the filter on a connection: from the first byte to the end of the stream. */
#include <string.h>

#include "tls-private.h"

enum {
    FIRST_BYTE_OF_ALERT = 0x15,
    FIRST_BYTE_OF_TLS = 0x16, /* a handshake record: RFC 8446, 5.1 */
    /* While a handshake waits for its turn; a client that sends more takes its turn now. */
    KEPT_MAX = 32 * 1024,
    WARNINGS_MAX = 16,
    TRIES_MAX = 16,
};

static void start(void *data, ConfFilterHandle *h, bool outgoing);
static void begin_tls(TlsFilter *filter);
static void decode(void *data, ConfFilterHandle *h, const void *bytes, size_t size);
static bool detect(TlsFilter *filter, unsigned char first);
static void keep(TlsFilter *filter, const void *bytes, size_t size);
static void finished(TlsFilter *filter);
static void read_records(TlsFilter *filter);
static void broken(TlsFilter *filter, int result);
static void encode(void *data, ConfFilterHandle *h, const void *bytes, size_t size);
static void end(void *data, ConfFilterHandle *h);
static bool peer_closed(void *data, ConfFilterHandle *h);
static void note_closed(TlsFilter *filter);
static void free_filter(void *data);

void
tls_filter_push(Tls *self, ConfConnection *c, TlsContext *context, bool detects, bool check_name)
{
    static const ConfFilterTable table = {
        .size = sizeof table,
        .start = start,
        .decode = decode,
        .encode = encode,
        .end = end,
        .peer_closed = peer_closed,
        .free = free_filter,
    };
    TlsFilter *filter = g_new0(TlsFilter, 1);
    *filter = (TlsFilter){
        .self = self,
        .state = detects ? TLS_DETECTING : TLS_HANDSHAKING,
        .is_server = context->parameters.is_server,
        .mutual = context->parameters.mutual,
        .check_name = check_name,
        .context = tls_context_ref(context),
    };
    conf_connection_set_plugin_data(c, self->plugin, filter, NULL);
    conf_connection_push_filter(c, &table, filter);
}

void
tls_filter_step(TlsFilter *filter)
{
    g_autoptr(GError) error = NULL;
    if (filter->state != TLS_HANDSHAKING)
        return;
    if (filter->session == NULL && !tls_session_begin(filter, &error)) {
        tls_filter_fail(filter, TLS_FAILED_SETUP, error->message);
        return;
    }
    g_autoptr(GByteArray) kept = g_steal_pointer(&filter->kept);
    filter->input = kept != NULL ? (char *)kept->data : NULL;
    filter->input_size = kept != NULL ? kept->len : 0;
    int result;
    unsigned warnings = 0;
    do {
        result = gnutls_handshake(filter->session);
        warnings += result == GNUTLS_E_WARNING_ALERT_RECEIVED;
    } while ((result == GNUTLS_E_WARNING_ALERT_RECEIVED && warnings < WARNINGS_MAX) ||
             result == GNUTLS_E_INTERRUPTED);
    if (result == GNUTLS_E_SUCCESS) {
        finished(filter);
    } else if (result != GNUTLS_E_AGAIN) {
        g_autofree char *why = NULL;
        TlsFailure failure = tls_session_failure(filter, result, &why);
        tls_session_send_alert(filter, result);
        tls_filter_fail(filter, failure, why);
    }
    filter->input = NULL;
    filter->input_size = 0;
}

void
tls_filter_fail(TlsFilter *filter, TlsFailure failure, const char *why)
{
    Tls *self = filter->self;
    tls_handshake_done(filter);
    filter->state = TLS_ENDED;
    self->statistics.failed++;
    self->statistics.failed_by[failure]++;
    ConfConnection *c = conf_filter_get_connection(filter->handle);
    conf_plugin_log(self->plugin, filter->is_server ? 3 : 1, "A handshake failed", "peer",
                    conf_connection_get_peer(c), "port", conf_connection_get_port_id(c), "why", why, NULL);
    g_autofree char *reason = g_strdup_printf("TLS: %s", why);
    conf_filter_fail(filter->handle, reason);
}

static void
start(void *data, ConfFilterHandle *h, bool outgoing)
{
    TlsFilter *filter = data;
    filter->handle = h;
    if (filter->state == TLS_HANDSHAKING) {
        begin_tls(filter);
        if (outgoing && filter->state == TLS_HANDSHAKING)
            tls_handshake_queue(filter);
    } else {
        tls_handshake_begin(filter);
    }
}

/* The session itself is made at its first turn: a thousand connections that come at once cost little. */
static void
begin_tls(TlsFilter *filter)
{
    if (filter->in_half_open)
        tls_handshake_detected(filter);
    else
        tls_handshake_begin(filter);
}

static void
decode(void *data, ConfFilterHandle *h, const void *bytes, size_t size)
{
    TlsFilter *filter = data;
    (void)h;
    if (size == 0)
        return;
    if (filter->state == TLS_DETECTING && !detect(filter, *(const unsigned char *)bytes))
        return;
    switch (filter->state) {
    case TLS_PLAIN:
        conf_filter_emit_plain(filter->handle, bytes, size);
        break;
    case TLS_HANDSHAKING:
        keep(filter, bytes, size);
        break;
    case TLS_OPEN:
        filter->input = bytes;
        filter->input_size = size;
        read_records(filter);
        break;
    case TLS_DETECTING:
    case TLS_ENDED:
        break;
    }
}

/* False: neither, and the connection is closed. */
static bool
detect(TlsFilter *filter, unsigned char first)
{
    if (first == FIRST_BYTE_OF_TLS) {
        begin_tls(filter);
        return filter->state == TLS_HANDSHAKING;
    }
    if (first == '{' || first == '[' || first == ' ' || first == '\t' || first == '\r' || first == '\n') {
        tls_handshake_done(filter);
        filter->state = TLS_PLAIN;
        filter->self->statistics.plain++;
        conf_filter_ready(filter->handle);
        return true;
    }
    tls_filter_fail(filter, TLS_FAILED_NOT_TLS, "The first byte is neither of TLS nor of a request");
    return false;
}

static void
keep(TlsFilter *filter, const void *bytes, size_t size)
{
    /* Whoever speaks plain to a secured port is named so in the log, not as some fault of a record. */
    unsigned char first = *(const unsigned char *)bytes;
    if (filter->is_server && !filter->heard && first != FIRST_BYTE_OF_TLS && first != FIRST_BYTE_OF_ALERT) {
        tls_filter_fail(filter, TLS_FAILED_NOT_TLS, "The first byte is not of TLS");
        return;
    }
    filter->heard = true;
    if (filter->kept == NULL)
        filter->kept = g_byte_array_new();
    g_byte_array_append(filter->kept, bytes, (unsigned)size);
    if (filter->kept->len <= KEPT_MAX)
        tls_handshake_queue(filter);
    else
        tls_filter_step(filter);
}

static void
finished(TlsFilter *filter)
{
    Tls *self = filter->self;
    if (!tls_session_take_identity(filter)) {
        g_autofree char *why = NULL;
        TlsFailure failure = tls_session_failure(filter, GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR, &why);
        tls_session_send_alert(filter, GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR);
        tls_filter_fail(filter, failure, why);
        return;
    }
    tls_handshake_done(filter);
    filter->state = TLS_OPEN;
    self->statistics.handshakes++;
    self->statistics.resumed += filter->resumed;
    ConfConnection *c = conf_filter_get_connection(filter->handle);
    conf_plugin_log(self->plugin, 4, "A handshake is done", "peer", conf_connection_get_peer(c), "version",
                    gnutls_protocol_get_name(gnutls_protocol_get_version(filter->session)), "cipher",
                    gnutls_cipher_get_name(gnutls_cipher_get(filter->session)), "resumed",
                    filter->resumed ? "yes" : "no", NULL);
    conf_filter_set_encrypted(filter->handle, true);
    conf_filter_ready(filter->handle);
    read_records(filter);
}

/* Until there is nothing left: what GnuTLS holds back the socket will not tell again. */
static void
read_records(TlsFilter *filter)
{
    unsigned warnings = 0;
    while (filter->state == TLS_OPEN) {
        gnutls_packet_t packet = NULL;
        ssize_t result = gnutls_record_recv_packet(filter->session, &packet);
        if (result > 0) {
            gnutls_datum_t plain;
            gnutls_packet_get(packet, &plain, NULL);
            conf_filter_emit_plain(filter->handle, plain.data, plain.size);
            gnutls_packet_deinit(packet);
            continue;
        }
        if (packet != NULL)
            gnutls_packet_deinit(packet);
        /* It also says so after a message of its own (a new key), where more may follow.  The end without a
         * word is told by peer_closed(). */
        if ((result == GNUTLS_E_AGAIN && filter->input_size == 0) || result == GNUTLS_E_PREMATURE_TERMINATION)
            break;
        if (result == 0) {
            filter->state = TLS_ENDED;
            conf_filter_peer_ended(filter->handle);
        } else if (result != GNUTLS_E_INTERRUPTED && result != GNUTLS_E_AGAIN &&
                   (result != GNUTLS_E_WARNING_ALERT_RECEIVED || ++warnings > WARNINGS_MAX)) {
            broken(filter, (int)result);
        }
    }
    filter->input = NULL;
    filter->input_size = 0;
}

static void
broken(TlsFilter *filter, int result)
{
    bool again = result == GNUTLS_E_REHANDSHAKE;
    filter->state = TLS_ENDED;
    filter->self->statistics.broken++;
    if (again)
        gnutls_alert_send(filter->session, GNUTLS_AL_FATAL, GNUTLS_A_NO_RENEGOTIATION);
    else
        tls_session_send_alert(filter, result);
    g_autofree char *why =
        g_strdup_printf("TLS: %s", again ? "The peer wants to renegotiate" : gnutls_strerror(result));
    ConfConnection *c = conf_filter_get_connection(filter->handle);
    conf_plugin_log(filter->self->plugin, 3, "A stream is broken", "peer", conf_connection_get_peer(c), "why",
                    why, NULL);
    conf_filter_fail(filter->handle, why);
}

static void
encode(void *data, ConfFilterHandle *h, const void *bytes, size_t size)
{
    TlsFilter *filter = data;
    const char *from = bytes;
    if (filter->state == TLS_PLAIN) {
        conf_filter_emit_wire(h, bytes, size);
        return;
    }
    unsigned tries = 0;
    while (size > 0) {
        ssize_t sent = gnutls_record_send(filter->session, from, size);
        /* push() takes everything, so it is not about the socket. */
        if ((sent == GNUTLS_E_AGAIN || sent == GNUTLS_E_INTERRUPTED) && tries++ < TRIES_MAX)
            continue;
        if (sent <= 0) {
            filter->state = TLS_ENDED;
            conf_filter_fail(h, gnutls_strerror((int)sent));
            return;
        }
        from += sent;
        size -= (size_t)sent;
    }
}

static void
end(void *data, ConfFilterHandle *h)
{
    TlsFilter *filter = data;
    (void)h;
    if (filter->session != NULL)
        gnutls_bye(filter->session, GNUTLS_SHUT_WR);
}

/* Some libraries leave without a word; what they asked for is answered all the same. */
static bool
peer_closed(void *data, ConfFilterHandle *h)
{
    TlsFilter *filter = data;
    (void)h;
    filter->eof = true;
    /* What came before the end tells more than the end. */
    if (filter->state == TLS_HANDSHAKING && filter->kept != NULL)
        tls_filter_step(filter);
    note_closed(filter);
    if (filter->state != TLS_OPEN)
        return true;
    filter->self->statistics.cut++;
    return false;
}

/* The peer left, or the server lost patience, during the handshake. */
static void
note_closed(TlsFilter *filter)
{
    if (filter->state != TLS_HANDSHAKING && filter->state != TLS_DETECTING)
        return;
    tls_handshake_done(filter);
    filter->state = TLS_ENDED;
    filter->self->statistics.failed++;
    filter->self->statistics.failed_by[TLS_FAILED_CLOSED]++;
}

static void
free_filter(void *data)
{
    TlsFilter *filter = data;
    note_closed(filter);
    if (filter->session != NULL)
        gnutls_deinit(filter->session);
    if (filter->kept != NULL)
        g_byte_array_unref(filter->kept);
    tls_context_unref(filter->context);
    g_free(filter);
}
