/* ldap-tls.c - what lies below libldap: TLS of a connection by GnuTLS, since libldap's own handshake has no
 * form that does not wait; and a bound to what a server may say, of which libldap has only one a message. */
#include <errno.h>
#include <string.h>

#include "ldap-private.h"

enum { RECORDS_A_READ = 8 };

static int begin(LdapLink *link);
static int setup(Sockbuf_IO_Desc *desc, void *arg);
static int remove_io(Sockbuf_IO_Desc *desc);
static int control(Sockbuf_IO_Desc *desc, int option, void *arg);
static ber_slen_t read_io(Sockbuf_IO_Desc *desc, void *buffer, ber_len_t size);
static ber_slen_t read_record(gnutls_session_t tls, void *buffer, size_t size);
static ber_slen_t write_io(Sockbuf_IO_Desc *desc, void *buffer, ber_len_t size);
static int close_io(Sockbuf_IO_Desc *desc);

static Sockbuf_IO link_io = {setup, remove_io, control, read_io, write_io, close_io};

int
ldap_tls_shake(LdapLink *link, GIOCondition *wanted, char **why)
{
    int result = link->tls == NULL ? begin(link) : 0;
    if (result >= 0)
        result = gnutls_handshake(link->tls);
    if (result == GNUTLS_E_SUCCESS)
        return 0;
    if (gnutls_error_is_fatal(result) == 0) {
        *wanted = gnutls_record_get_direction(link->tls) != 0 ? G_IO_OUT : G_IO_IN;
        return 1;
    }
    if (result == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR) {
        gnutls_datum_t text = {NULL, 0};
        gnutls_certificate_verification_status_print(gnutls_session_get_verify_cert_status(link->tls),
                                                     GNUTLS_CRT_X509, &text, 0);
        *why = g_strdup_printf("TLS: %s", text.data != NULL ? (char *)text.data : gnutls_strerror(result));
        gnutls_free(text.data);
    } else {
        *why = g_strdup_printf("TLS: %s", gnutls_strerror(result));
    }
    return -1;
}

bool
ldap_tls_install(LdapLink *link)
{
    Sockbuf *buffer = NULL;
    ber_len_t most = LDAP_MESSAGE_MAX;
    return ldap_get_option(link->ld, LDAP_OPT_SOCKBUF, &buffer) == LDAP_OPT_SUCCESS && buffer != NULL &&
           ber_sockbuf_ctrl(buffer, LBER_SB_OPT_SET_MAX_INCOMING, &most) == 1 &&
           ber_sockbuf_add_io(buffer, &link_io, LBER_SBIOD_LEVEL_TRANSPORT, link) == 0;
}

bool
ldap_tls_has_more(const LdapLink *link)
{
    return link->is_encrypted && gnutls_record_check_pending(link->tls) > 0;
}

static int
begin(LdapLink *link)
{
    const LdapServer *server = link->server;
    int result = gnutls_init(&link->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
    if (result < 0)
        return result;
    if (!g_hostname_is_ip_address(server->host))
        gnutls_server_name_set(link->tls, GNUTLS_NAME_DNS, server->host, strlen(server->host));
    gnutls_session_set_verify_cert(link->tls, server->host, 0);
    result = gnutls_set_default_priority(link->tls);
    if (result >= 0)
        result = gnutls_credentials_set(link->tls, GNUTLS_CRD_CERTIFICATE, server->config->credentials);
    gnutls_transport_set_int(link->tls, link->fd);
    return result;
}

static int
setup(Sockbuf_IO_Desc *desc, void *arg)
{
    desc->sbiod_pvt = arg;
    return 0;
}

/* The link is not the buffer's. */
static int
remove_io(Sockbuf_IO_Desc *desc)
{
    desc->sbiod_pvt = NULL;
    return 0;
}

/* libldap would go on with what is ready for as long as it is nothing that was asked for. */
static int
control(Sockbuf_IO_Desc *desc, int option, void *arg)
{
    LdapLink *link = desc->sbiod_pvt;
    if (option == LBER_SB_OPT_DATA_READY && link->may_read && ldap_tls_has_more(link))
        return 1;
    return LBER_SBIOD_CTRL_NEXT(desc, option, arg);
}

static ber_slen_t
read_io(Sockbuf_IO_Desc *desc, void *buffer, ber_len_t size)
{
    LdapLink *link = desc->sbiod_pvt;
    if (link->turn_bytes >= LDAP_TURN_BYTES) {
        errno = EWOULDBLOCK;
        return -1;
    }
    ber_slen_t got =
        link->is_encrypted ? read_record(link->tls, buffer, size) : LBER_SBIOD_READ_NEXT(desc, buffer, size);
    link->may_read = false;
    if (got > 0) {
        link->turn_bytes += (size_t)got;
        link->unasked_bytes += (size_t)got;
    }
    return got;
}

/* What TLS says for itself (tickets, a change of keys) is no data. */
static ber_slen_t
read_record(gnutls_session_t tls, void *buffer, size_t size)
{
    ssize_t got;
    unsigned count = 0;
    do {
        got = gnutls_record_recv(tls, buffer, size);
    } while (got < 0 && got != GNUTLS_E_AGAIN && gnutls_error_is_fatal((int)got) == 0 &&
             ++count < RECORDS_A_READ);
    if (got >= 0)
        return got;
    errno = gnutls_error_is_fatal((int)got) == 0 ? EWOULDBLOCK : ECONNRESET;
    return -1;
}

static ber_slen_t
write_io(Sockbuf_IO_Desc *desc, void *buffer, ber_len_t size)
{
    LdapLink *link = desc->sbiod_pvt;
    if (!link->is_encrypted)
        return LBER_SBIOD_WRITE_NEXT(desc, buffer, size);
    ssize_t put = gnutls_record_send(link->tls, buffer, size);
    if (put >= 0)
        return put;
    errno = gnutls_error_is_fatal((int)put) == 0 ? EWOULDBLOCK : ECONNRESET;
    return -1;
}

static int
close_io(Sockbuf_IO_Desc *desc)
{
    LdapLink *link = desc->sbiod_pvt;
    if (link->is_encrypted)
        gnutls_bye(link->tls, GNUTLS_SHUT_WR);
    return 0;
}
