/* ldap-tls.c - TLS of a connection by GnuTLS, below libldap: its own handshake has no form that does not
 * wait. */
#include <errno.h>
#include <string.h>

#include "ldap-private.h"

static int begin(LdapLink *link);
static int setup(Sockbuf_IO_Desc *desc, void *arg);
static int remove_io(Sockbuf_IO_Desc *desc);
static int control(Sockbuf_IO_Desc *desc, int option, void *arg);
static ber_slen_t read_io(Sockbuf_IO_Desc *desc, void *buffer, ber_len_t size);
static ber_slen_t write_io(Sockbuf_IO_Desc *desc, void *buffer, ber_len_t size);
static int close_io(Sockbuf_IO_Desc *desc);

static Sockbuf_IO tls_io = {setup, remove_io, control, read_io, write_io, close_io};

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
    return ldap_get_option(link->ld, LDAP_OPT_SOCKBUF, &buffer) == LDAP_OPT_SUCCESS && buffer != NULL &&
           ber_sockbuf_add_io(buffer, &tls_io, LBER_SBIOD_LEVEL_TRANSPORT, link->tls) == 0;
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

/* The session is the link's. */
static int
remove_io(Sockbuf_IO_Desc *desc)
{
    desc->sbiod_pvt = NULL;
    return 0;
}

static int
control(Sockbuf_IO_Desc *desc, int option, void *arg)
{
    if (option == LBER_SB_OPT_DATA_READY && gnutls_record_check_pending(desc->sbiod_pvt) > 0)
        return 1;
    return LBER_SBIOD_CTRL_NEXT(desc, option, arg);
}

static ber_slen_t
read_io(Sockbuf_IO_Desc *desc, void *buffer, ber_len_t size)
{
    ssize_t got = gnutls_record_recv(desc->sbiod_pvt, buffer, size);
    if (got >= 0)
        return got;
    errno = gnutls_error_is_fatal((int)got) == 0 ? EWOULDBLOCK : ECONNRESET;
    return -1;
}

static ber_slen_t
write_io(Sockbuf_IO_Desc *desc, void *buffer, ber_len_t size)
{
    ssize_t put = gnutls_record_send(desc->sbiod_pvt, buffer, size);
    if (put >= 0)
        return put;
    errno = gnutls_error_is_fatal((int)put) == 0 ? EWOULDBLOCK : ECONNRESET;
    return -1;
}

static int
close_io(Sockbuf_IO_Desc *desc)
{
    gnutls_bye(desc->sbiod_pvt, GNUTLS_SHUT_WR);
    return 0;
}
