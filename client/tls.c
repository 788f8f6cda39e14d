/* tls.c - TLS over a connection that stands: the handshake, then bytes, all without blocking.
 *
 * GnuTLS is used on the socket itself and not by way of GIO's TLS, which leaves lists of revoked
 * certificates, the least version and the reason of a refusal to a module that may be missing at run
 * time; the server uses the same library. The server's certificate is verified within the handshake,
 * before a certificate or anything else of ours is sent. */
#include "client-private.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

enum { STAGE_SIZE = 16384, WARNINGS_MAX = 16 };

struct ConfcTls {
    gnutls_session_t session;
    ConfcCredentials *credentials; /* borrowed: the client's, which outlive the handshake */
    GMainContext *context;
    GSocketConnection *connection;
    int fd;
    int fault; /* errno of the socket; 0: none */
    char *name;
    gnutls_typed_vdata_st wanted[2]; /* of the server's certificate */
    unsigned wanted_count;
    unsigned status; /* what is wrong with it; 0: nothing */
    GSource *source;
    ConfcTlsDoneFunc done;
    void *data;
    unsigned warnings;
    char stage[STAGE_SIZE]; /* what leaves as one record */
    gsize staged, sent;
    bool is_sending; /* GnuTLS holds what is staged, which must not change */
    char *description;
    GBytes *ticket; /* NULL: none yet */
};

static ssize_t pull(gnutls_transport_ptr_t pointer, void *data, size_t size);
static ssize_t push(gnutls_transport_ptr_t pointer, const void *data, size_t size);
static int wait_readable(gnutls_transport_ptr_t pointer, unsigned milliseconds);
static int verify(gnutls_session_t session);
static bool prepare(ConfcTls *tls, const char *host, bool check_name, GBytes *ticket, GError **error);
static void watch(ConfcTls *tls, GIOCondition condition);
static gboolean step(GSocket *socket, GIOCondition condition, void *data);
static GError *explain(ConfcTls *tls, int code);
static char *explain_alert(ConfcTls *tls);
static void note_ticket(ConfcTls *tls);
static void take_fault(ConfcTls *tls, int code, GError **error);

ConfcTls *
confc_tls_new(GMainContext *context, GSocketConnection *connection, ConfcCredentials *credentials,
              const char *host, bool check_name, GBytes *ticket, GError **error)
{
    ConfcTls *tls = g_new0(ConfcTls, 1);
    GSocket *socket = g_socket_connection_get_socket(connection);
    tls->context = g_main_context_ref(context);
    tls->connection = g_object_ref(connection);
    tls->credentials = credentials;
    tls->fd = g_socket_get_fd(socket);
    tls->name = g_strdup(host);
    /* Without it the parts of a handshake wait for each other. */
    g_socket_set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1, NULL);
    if (prepare(tls, host, check_name, ticket, error))
        return tls;
    confc_tls_free(tls);
    return NULL;
}

void
confc_tls_free(ConfcTls *tls)
{
    if (tls == NULL)
        return;
    confc_client_clear_source(&tls->source);
    if (tls->session != NULL)
        gnutls_deinit(tls->session);
    g_object_unref(tls->connection);
    g_main_context_unref(tls->context);
    g_free(tls->name);
    g_free(tls->description);
    g_clear_pointer(&tls->ticket, g_bytes_unref);
    explicit_bzero(tls->stage, sizeof tls->stage);
    g_free(tls);
}

void
confc_tls_handshake(ConfcTls *tls, ConfcTlsDoneFunc done, void *data)
{
    tls->done = done;
    tls->data = data;
    watch(tls, G_IO_OUT);
}

gssize
confc_tls_read(ConfcTls *tls, void *data, gsize size, GError **error)
{
    ssize_t count = gnutls_record_recv(tls->session, data, size);
    if (tls->ticket == NULL && (count > 0 || !gnutls_error_is_fatal((int)count)))
        note_ticket(tls);
    if (count >= 0)
        return count;
    take_fault(tls, (int)count, error);
    return -1;
}

bool
confc_tls_has_input(const ConfcTls *tls)
{
    return gnutls_record_check_pending(tls->session) > 0;
}

gssize
confc_tls_write(ConfcTls *tls, const void *data, gsize size, GError **error)
{
    if ((tls->is_sending || tls->staged == STAGE_SIZE) && !confc_tls_flush(tls, error))
        return -1;
    gsize count = MIN(size, STAGE_SIZE - tls->staged);
    memcpy(tls->stage + tls->staged, data, count);
    tls->staged += count;
    return (gssize)count;
}

bool
confc_tls_flush(ConfcTls *tls, GError **error)
{
    while (tls->sent < tls->staged) {
        ssize_t count = tls->is_sending ? gnutls_record_send(tls->session, NULL, 0)
                                        : gnutls_record_send(tls->session, tls->stage + tls->sent,
                                                             tls->staged - tls->sent);
        tls->is_sending = count == GNUTLS_E_AGAIN || count == GNUTLS_E_INTERRUPTED;
        if (count < 0) {
            take_fault(tls, (int)count, error);
            return false;
        }
        tls->sent += (gsize)count;
    }
    tls->staged = tls->sent = 0;
    return true;
}

bool
confc_tls_has_output(const ConfcTls *tls)
{
    return tls->staged > tls->sent;
}

void
confc_tls_say_goodbye(ConfcTls *tls)
{
    gnutls_bye(tls->session, GNUTLS_SHUT_WR);
}

GBytes *
confc_tls_take_ticket(ConfcTls *tls)
{
    return g_steal_pointer(&tls->ticket);
}

const char *
confc_tls_get_description(ConfcTls *tls)
{
    if (tls->description == NULL) {
        char *words = gnutls_session_get_desc(tls->session);
        tls->description = g_strdup_printf("%s%s", words != NULL ? words : "TLS",
                                           gnutls_session_is_resumed(tls->session) != 0 ? ", resumed" : "");
        gnutls_free(words);
    }
    return tls->description;
}

static bool
prepare(ConfcTls *tls, const char *host, bool check_name, GBytes *ticket, GError **error)
{
    static const gnutls_datum_t protocol = {(unsigned char *)"confserv/1", 10};
    int code = gnutls_init(&tls->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK);
    if (code >= 0)
        code =
            gnutls_set_default_priority_append(tls->session, "-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2", NULL, 0);
    if (code >= 0)
        code = gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE,
                                      confc_credentials_get(tls->credentials));
    if (code >= 0)
        code = gnutls_alpn_set_protocols(tls->session, &protocol, 1, 0);
    if (code >= 0 && !g_hostname_is_ip_address(host))
        code = gnutls_server_name_set(tls->session, GNUTLS_NAME_DNS, host, strlen(host));
    if (code < 0) {
        g_set_error(error, CONFC_ERROR, CONFC_ERROR_TLS, "TLS cannot be set up: %s", gnutls_strerror(code));
        return false;
    }
    tls->wanted[0] = (gnutls_typed_vdata_st){.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                             .data = (unsigned char *)GNUTLS_KP_TLS_WWW_SERVER};
    tls->wanted[1] =
        (gnutls_typed_vdata_st){.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)tls->name};
    tls->wanted_count = check_name ? 2 : 1;
    gnutls_session_set_ptr(tls->session, tls);
    gnutls_session_set_verify_function(tls->session, verify);
    gnutls_transport_set_ptr(tls->session, tls);
    gnutls_transport_set_pull_function(tls->session, pull);
    gnutls_transport_set_pull_timeout_function(tls->session, wait_readable);
    gnutls_transport_set_push_function(tls->session, push);
    /* Where it is of no use any more the handshake is a whole one. */
    if (ticket != NULL)
        gnutls_session_set_data(tls->session, g_bytes_get_data(ticket, NULL), g_bytes_get_size(ticket));
    return true;
}

static int
verify(gnutls_session_t session)
{
    ConfcTls *tls = gnutls_session_get_ptr(session);
    tls->status = confc_credentials_judge(tls->credentials, session, tls->wanted, tls->wanted_count);
    return tls->status == 0 ? 0 : GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
}

static ssize_t
pull(gnutls_transport_ptr_t pointer, void *data, size_t size)
{
    ConfcTls *tls = pointer;
    ssize_t count = recv(tls->fd, data, size, MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN && errno != EINTR)
        tls->fault = errno;
    if (count < 0)
        gnutls_transport_set_errno(tls->session, errno);
    return count;
}

static ssize_t
push(gnutls_transport_ptr_t pointer, const void *data, size_t size)
{
    ConfcTls *tls = pointer;
    ssize_t count = send(tls->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN && errno != EINTR)
        tls->fault = errno;
    if (count < 0)
        gnutls_transport_set_errno(tls->session, errno);
    return count;
}

/* Asked by GnuTLS where it would wait; here it never may. */
static int
wait_readable(gnutls_transport_ptr_t pointer, unsigned milliseconds)
{
    ConfcTls *tls = pointer;
    char byte;
    (void)milliseconds;
    return recv(tls->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ? 1 : 0;
}

static void
watch(ConfcTls *tls, GIOCondition condition)
{
    confc_client_clear_source(&tls->source);
    tls->source = g_socket_create_source(g_socket_connection_get_socket(tls->connection), condition, NULL);
    g_source_set_callback(tls->source, G_SOURCE_FUNC(step), tls, NULL);
    g_source_attach(tls->source, tls->context);
}

/* What is called at the end may free this. */
static gboolean
step(GSocket *socket, GIOCondition condition, void *data)
{
    ConfcTls *tls = data;
    int code = gnutls_handshake(tls->session);
    while (code < 0 && !gnutls_error_is_fatal(code) && code != GNUTLS_E_AGAIN &&
           code != GNUTLS_E_INTERRUPTED && ++tls->warnings < WARNINGS_MAX)
        code = gnutls_handshake(tls->session);
    if (code == GNUTLS_E_AGAIN || code == GNUTLS_E_INTERRUPTED) {
        watch(tls, gnutls_record_get_direction(tls->session) != 0 ? G_IO_OUT : G_IO_IN);
        return G_SOURCE_REMOVE;
    }
    /* A ticket keeps who the server was, not whether that is still believed. */
    if (code >= 0 && gnutls_session_is_resumed(tls->session) != 0)
        code = verify(tls->session);
    confc_client_clear_source(&tls->source);
    g_autoptr(GError) error = code < 0 ? explain(tls, code) : NULL;
    tls->done(tls, error, tls->data);
    return G_SOURCE_REMOVE;
}

static GError *
explain(ConfcTls *tls, int code)
{
    switch (code) {
    case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
    case GNUTLS_E_CERTIFICATE_ERROR:
    case GNUTLS_E_NO_CERTIFICATE_FOUND: {
        g_autofree char *why = confc_credentials_explain(tls->session, tls->status, tls->name);
        return g_error_new(CONFC_ERROR, CONFC_ERROR_TLS, "The server is not trusted: %s", why);
    }
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
    case GNUTLS_E_WARNING_ALERT_RECEIVED: {
        g_autofree char *why = explain_alert(tls);
        return g_error_new_literal(CONFC_ERROR, CONFC_ERROR_TLS, why);
    }
    case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
    case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
    case GNUTLS_E_UNEXPECTED_PACKET:
    case GNUTLS_E_RECORD_OVERFLOW:
        return g_error_new(CONFC_ERROR, CONFC_ERROR_TLS,
                           "The server answers, but not by TLS 1.2 or later: %s", gnutls_strerror(code));
    case GNUTLS_E_PREMATURE_TERMINATION:
    case GNUTLS_E_PULL_ERROR:
    case GNUTLS_E_PUSH_ERROR:
        return g_error_new(CONFC_ERROR, CONFC_ERROR_TLS, "The connection broke within the TLS handshake: %s",
                           tls->fault != 0 ? g_strerror(tls->fault) : "the server closed it");
    default:
        return g_error_new(CONFC_ERROR, CONFC_ERROR_TLS, "The TLS handshake failed: %s",
                           gnutls_strerror(code));
    }
}

static char *
explain_alert(ConfcTls *tls)
{
    const char *name = gnutls_alert_get_name(gnutls_alert_get(tls->session));
    return g_strdup_printf("The server ended TLS, saying: %s", name != NULL ? name : "an unknown alert");
}

/* Taken while the connection is well: GnuTLS gives none of a broken one.  With TLS 1.3 it comes after the
 * handshake, and asking for one that is not there would wait for it. */
static void
note_ticket(ConfcTls *tls)
{
    gnutls_datum_t data = {0};
    bool is_there = gnutls_protocol_get_version(tls->session) != GNUTLS_TLS1_3 ||
                    (gnutls_session_get_flags(tls->session) & GNUTLS_SFLAGS_SESSION_TICKET) != 0;
    if (!is_there || gnutls_session_get_data2(tls->session, &data) < 0)
        return;
    tls->ticket = g_bytes_new(data.data, data.size);
    gnutls_free(data.data);
}

/* Of a connection that stands. */
static void
take_fault(ConfcTls *tls, int code, GError **error)
{
    if (code == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        g_autofree char *why = explain_alert(tls);
        g_set_error_literal(error, CONFC_ERROR, CONFC_ERROR_TLS, why);
    } else if (!gnutls_error_is_fatal(code)) {
        /* Nothing for now, a warning, or a wish to negotiate again, which is not followed. */
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK, "Not now");
    } else if (code == GNUTLS_E_PREMATURE_TERMINATION) {
        g_set_error_literal(error, CONFC_ERROR, CONFC_ERROR_LOST, "The server closed it without ending TLS");
    } else if (tls->fault != 0) {
        g_set_error_literal(error, CONFC_ERROR, CONFC_ERROR_LOST, g_strerror(tls->fault));
    } else {
        g_set_error(error, CONFC_ERROR, CONFC_ERROR_TLS, "TLS is broken: %s", gnutls_strerror(code));
    }
}
