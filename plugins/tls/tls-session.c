/* tls-session.c - the session of GnuTLS in a filter: how it is set up, who the peer is, what failed. */
#include <errno.h>
#include <string.h>

#include "tls-private.h"

/* Longer handshake messages than a chain of certificates needs are refused by GnuTLS. */
enum { HANDSHAKE_MESSAGE_MAX = 64 * 1024, NAMES_MAX = 64 };

static bool set_up_server(TlsFilter *filter);
static bool set_up_client(TlsFilter *filter);
static ssize_t pull(gnutls_transport_ptr_t pointer, void *data, size_t size);
static int pull_timeout(gnutls_transport_ptr_t pointer, unsigned ms);
static ssize_t push(gnutls_transport_ptr_t pointer, const giovec_t *vector, int length);
static int hello_came(gnutls_session_t session);
static int verify(gnutls_session_t session);
static unsigned judge(TlsFilter *filter);
static TlsFailure certificate_failure(unsigned status);
static void add_names(GPtrArray *names, gnutls_x509_crt_t certificate);
static void add_name(GPtrArray *names, const char *text, size_t size);

bool
tls_session_begin(TlsFilter *filter, GError **error)
{
    unsigned flags = GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | (filter->is_server ? GNUTLS_SERVER : GNUTLS_CLIENT);
    int result = gnutls_init(&filter->session, flags);
    if (result < 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_FAILED, "%s", gnutls_strerror(result));
        filter->session = NULL;
        return false;
    }
    gnutls_session_t session = filter->session;
    gnutls_session_set_ptr(session, filter);
    gnutls_transport_set_ptr(session, filter);
    gnutls_transport_set_pull_function(session, pull);
    gnutls_transport_set_pull_timeout_function(session, pull_timeout);
    gnutls_transport_set_vec_push_function(session, push);
    gnutls_handshake_set_max_packet_length(session, HANDSHAKE_MESSAGE_MAX);
    /* The server's own clock: GnuTLS must not wait for anything. */
    gnutls_handshake_set_timeout(session, 0);
    static const gnutls_datum_t protocol = {(unsigned char *)"confserv/1", sizeof "confserv/1" - 1};
    bool good = gnutls_priority_set(session, filter->context->priority) >= 0 &&
                gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE,
                                       tls_credentials_choose(filter->context->credentials, NULL)) >= 0 &&
                gnutls_alpn_set_protocols(session, &protocol, 1, 0) >= 0;
    good = good && (filter->is_server ? set_up_server(filter) : set_up_client(filter));
    if (!good)
        g_set_error(error, CONF_ERROR, CONF_ERROR_FAILED, "GnuTLS does not take the options of the session");
    return good;
}

TlsFailure
tls_session_failure(const TlsFilter *filter, int result, char **why)
{
    *why = NULL;
    /* What the own judgement said comes back as a general fault of certificates. */
    if (result == GNUTLS_E_CERTIFICATE_ERROR && filter->verify_status != 0)
        result = GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
    switch (result) {
    case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR: {
        gnutls_datum_t text;
        TlsFailure failure = certificate_failure(filter->verify_status);
        if (failure == TLS_FAILED_LIST_OUTDATED)
            *why = g_strdup("The certificate may have been revoked: the revocation list of its authority is "
                            "out of date");
        else if (gnutls_certificate_verification_status_print(filter->verify_status, GNUTLS_CRT_X509, &text,
                                                              0) >= 0) {
            *why = g_strchomp(g_strdup((char *)text.data));
            gnutls_free(text.data);
        }
        return failure;
    }
    case GNUTLS_E_NO_CERTIFICATE_FOUND:
    case GNUTLS_E_CERTIFICATE_REQUIRED:
        *why = g_strdup("The peer shows no certificate");
        return TLS_FAILED_NO_CERTIFICATE;
    case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
    case GNUTLS_E_NO_CIPHER_SUITES:
    case GNUTLS_E_NO_COMMON_KEY_SHARE:
    case GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM:
    case GNUTLS_E_INSUFFICIENT_CREDENTIALS:
        *why = g_strdup(gnutls_strerror(result));
        return TLS_FAILED_AGREEMENT;
    case GNUTLS_E_FATAL_ALERT_RECEIVED: {
        const char *name = gnutls_alert_get_name(gnutls_alert_get(filter->session));
        *why = g_strdup_printf("The peer refuses: %s", name != NULL ? name : "unknown alert");
        return TLS_FAILED_REFUSED;
    }
    case GNUTLS_E_PREMATURE_TERMINATION:
        *why = g_strdup("The peer closed the connection during the handshake");
        return TLS_FAILED_CLOSED;
    default:
        *why = g_strdup(gnutls_strerror(result));
        return TLS_FAILED_PROTOCOL;
    }
}

void
tls_session_send_alert(TlsFilter *filter, int result)
{
    gnutls_alert_description_t alert = GNUTLS_A_BAD_CERTIFICATE;
    if (result == GNUTLS_E_FATAL_ALERT_RECEIVED)
        return;
    /* RFC 8446, 6.2, and RFC 5246, 7.4.6 */
    if (result == GNUTLS_E_NO_CERTIFICATE_FOUND || result == GNUTLS_E_CERTIFICATE_REQUIRED) {
        bool is_13 = gnutls_protocol_get_version(filter->session) >= GNUTLS_TLS1_3;
        gnutls_alert_send(filter->session, GNUTLS_AL_FATAL,
                          is_13 ? GNUTLS_A_CERTIFICATE_REQUIRED : GNUTLS_A_HANDSHAKE_FAILURE);
        return;
    }
    if (filter->verify_status == 0) {
        gnutls_alert_send_appropriate(filter->session, result);
        return;
    }
    switch (certificate_failure(filter->verify_status)) {
    case TLS_FAILED_EXPIRED:
        alert = GNUTLS_A_CERTIFICATE_EXPIRED;
        break;
    case TLS_FAILED_REVOKED:
        alert = GNUTLS_A_CERTIFICATE_REVOKED;
        break;
    case TLS_FAILED_LIST_OUTDATED:
        /* Nothing is wrong with the certificate itself. */
        alert = GNUTLS_A_CERTIFICATE_UNKNOWN;
        break;
    case TLS_FAILED_UNTRUSTED:
        alert = GNUTLS_A_UNKNOWN_CA;
        break;
    default:
        break;
    }
    gnutls_alert_send(filter->session, GNUTLS_AL_FATAL, alert);
}

bool
tls_session_take_identity(TlsFilter *filter)
{
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(filter->session, &count);
    filter->resumed = gnutls_session_is_resumed(filter->session) != 0;
    if (chain == NULL || count == 0)
        return !filter->mutual && filter->is_server;
    /* A ticket keeps who the peer was, not whether that is still believed. */
    if (filter->resumed && judge(filter) != 0)
        return false;
    gnutls_x509_crt_t certificate;
    if (gnutls_x509_crt_init(&certificate) < 0)
        return false;
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    gnutls_datum_t subject = {NULL, 0};
    bool good = gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) >= 0;
    /* Without a subject it has its other names only: RFC 5280, 4.1.2.6. */
    int result = good ? gnutls_x509_crt_get_dn3(certificate, &subject, 0) : 0;
    good = good && (result >= 0 || result == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE);
    if (good) {
        add_names(names, certificate);
        g_ptr_array_add(names, NULL);
        conf_filter_set_peer_identity(filter->handle, result >= 0 ? (char *)subject.data : "",
                                      (const char *const *)names->pdata);
        filter->peer_proved = true;
    }
    gnutls_free(subject.data);
    gnutls_x509_crt_deinit(certificate);
    return good;
}

static bool
set_up_server(TlsFilter *filter)
{
    gnutls_session_t session = filter->session;
    gnutls_certificate_server_set_request(session, filter->mutual ? GNUTLS_CERT_REQUIRE : GNUTLS_CERT_IGNORE);
    if (filter->mutual)
        gnutls_session_set_verify_function(session, verify);
    if (filter->context->credentials->leaves->len > 0)
        gnutls_handshake_set_post_client_hello_function(session, hello_came);
    const gnutls_datum_t *key = tls_context_ticket_key(filter->self, filter->context);
    if (key == NULL)
        return true;
    gnutls_db_set_cache_expiration(session, (int)filter->self->settings->ticket_lifetime_s);
    return gnutls_session_ticket_enable_server(session, key) >= 0;
}

static bool
set_up_client(TlsFilter *filter)
{
    const char *host = conf_connection_get_host(conf_filter_get_connection(filter->handle));
    gnutls_session_set_verify_function(filter->session, verify);
    /* An address is no server name (RFC 6066, 3). */
    return g_hostname_is_ip_address(host) ||
           gnutls_server_name_set(filter->session, GNUTLS_NAME_DNS, host, strlen(host)) >= 0;
}

static ssize_t
pull(gnutls_transport_ptr_t pointer, void *data, size_t size)
{
    TlsFilter *filter = pointer;
    size_t part = MIN(size, filter->input_size);
    if (part > 0) {
        memcpy(data, filter->input, part);
        filter->input += part;
        filter->input_size -= part;
        return (ssize_t)part;
    }
    if (filter->eof)
        return 0;
    gnutls_transport_set_errno(filter->session, EAGAIN);
    return -1;
}

static int
pull_timeout(gnutls_transport_ptr_t pointer, unsigned ms)
{
    const TlsFilter *filter = pointer;
    (void)ms;
    return filter->input_size > 0 || filter->eof;
}

/* All of it is taken: the output queue of the connection has the bound. */
static ssize_t
push(gnutls_transport_ptr_t pointer, const giovec_t *vector, int length)
{
    TlsFilter *filter = pointer;
    ssize_t sent = 0;
    for (int i = 0; i < length; i++) {
        conf_filter_emit_wire(filter->handle, vector[i].iov_base, vector[i].iov_len);
        sent += (ssize_t)vector[i].iov_len;
    }
    return sent;
}

/* Several certificates: the one for the name that the client asks for. */
static int
hello_came(gnutls_session_t session)
{
    TlsFilter *filter = gnutls_session_get_ptr(session);
    char name[256];
    size_t size = sizeof name - 1;
    unsigned type = GNUTLS_NAME_DNS;
    if (gnutls_server_name_get(session, name, &size, &type, 0) < 0 || type != GNUTLS_NAME_DNS)
        return 0;
    name[MIN(size, sizeof name - 1)] = '\0';
    return gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE,
                                  tls_credentials_choose(filter->context->credentials, name));
}

static int
verify(gnutls_session_t session)
{
    TlsFilter *filter = gnutls_session_get_ptr(session);
    return judge(filter) == 0 ? 0 : GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
}

/* 0: the peer's certificate is believed. */
static unsigned
judge(TlsFilter *filter)
{
    const char *purpose = filter->is_server ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER;
    gnutls_typed_vdata_st data[2] = {{.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)purpose}};
    unsigned count = 1;
    if (filter->check_name) {
        const char *host = conf_connection_get_host(conf_filter_get_connection(filter->handle));
        data[count++] =
            (gnutls_typed_vdata_st){.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)host};
    }
    filter->verify_status = GNUTLS_CERT_INVALID;
    if (gnutls_certificate_verify_peers(filter->session, data, count, &filter->verify_status) < 0)
        filter->verify_status |= GNUTLS_CERT_INVALID;
    unsigned length = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(filter->session, &length);
    if (chain != NULL && tls_lists_are_outdated(filter->context->credentials->lists, chain, length))
        filter->verify_status |= GNUTLS_CERT_INVALID | GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED;
    return filter->verify_status;
}

static TlsFailure
certificate_failure(unsigned status)
{
    if ((status & GNUTLS_CERT_REVOKED) != 0)
        return TLS_FAILED_REVOKED;
    if ((status & (GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED)) != 0)
        return TLS_FAILED_EXPIRED;
    if ((status & GNUTLS_CERT_UNEXPECTED_OWNER) != 0)
        return TLS_FAILED_NAME;
    /* What else is wrong with it weighs more. */
    const unsigned outdated =
        GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED | GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE;
    if ((status & outdated) != 0 && (status & ~(outdated | GNUTLS_CERT_INVALID)) == 0)
        return TLS_FAILED_LIST_OUTDATED;
    return TLS_FAILED_UNTRUSTED;
}

/* The common names of the subject, then its other names, as text; kinds that are no text are left out. */
static void
add_names(GPtrArray *names, gnutls_x509_crt_t certificate)
{
    char text[1024];
    for (unsigned i = 0; names->len < NAMES_MAX; i++) {
        size_t size = sizeof text;
        int result =
            gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, i, 0, text, &size);
        if (result == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            break;
        if (result >= 0)
            add_name(names, text, size);
    }
    for (unsigned i = 0; names->len < NAMES_MAX; i++) {
        size_t size = sizeof text;
        int type = gnutls_x509_crt_get_subject_alt_name(certificate, i, text, &size, NULL);
        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            break;
        if (type == GNUTLS_SAN_DNSNAME || type == GNUTLS_SAN_RFC822NAME || type == GNUTLS_SAN_URI)
            add_name(names, text, size);
    }
}

/* A name with a NUL in it is none, lest it be read as its beginning. */
static void
add_name(GPtrArray *names, const char *text, size_t size)
{
    if (size > 0 && memchr(text, '\0', size) == NULL && g_utf8_validate(text, (gssize)size, NULL))
        g_ptr_array_add(names, g_strndup(text, size));
}
