/* tls-lists.c - lists of revoked certificates that are out of date.
 *
 * GnuTLS looks a certificate up in the lists that it was given, but not at the dates of these.  Where the
 * newest list of an authority is past its time nobody can say which of its certificates are good (RFC
 * 5280, 6.3.3): none is believed. */
#include <string.h>

#include "tls-private.h"

static bool is_outdated(const GArray *lists, const gnutls_datum_t *issuer, time_t now);

void
tls_lists_add(GArray *lists, gnutls_x509_crl_t crl)
{
    gnutls_datum_t issuer = {NULL, 0};
    if (gnutls_x509_crl_get_raw_issuer_dn(crl, &issuer) < 0)
        return;
    time_t due = gnutls_x509_crl_get_next_update(crl);
    /* Without a successor it stands for ever. */
    TlsList list = {.issuer = g_bytes_new(issuer.data, issuer.size),
                    .next_update = due != (time_t)-1 ? due : G_MAXLONG};
    gnutls_free(issuer.data);
    g_array_append_val(lists, list);
}

void
tls_lists_clear(void *list)
{
    g_bytes_unref(((TlsList *)list)->issuer);
}

bool
tls_lists_are_outdated(const GArray *lists, const gnutls_datum_t *chain, unsigned count)
{
    bool outdated = false;
    time_t now = time(NULL);
    for (unsigned i = 0; i < count && lists->len > 0 && !outdated; i++) {
        gnutls_x509_crt_t certificate;
        gnutls_datum_t issuer = {NULL, 0};
        if (gnutls_x509_crt_init(&certificate) < 0)
            return true;
        /* What cannot be read has failed elsewhere. */
        if (gnutls_x509_crt_import(certificate, &chain[i], GNUTLS_X509_FMT_DER) >= 0 &&
            gnutls_x509_crt_get_raw_issuer_dn(certificate, &issuer) >= 0)
            outdated = is_outdated(lists, &issuer, now);
        gnutls_free(issuer.data);
        gnutls_x509_crt_deinit(certificate);
    }
    return outdated;
}

/* An old list beside a newer one does no harm. */
static bool
is_outdated(const GArray *lists, const gnutls_datum_t *issuer, time_t now)
{
    bool found = false;
    for (unsigned i = 0; i < lists->len; i++) {
        const TlsList *list = &g_array_index(lists, TlsList, i);
        gsize size;
        const void *name = g_bytes_get_data(list->issuer, &size);
        if (size != issuer->size || memcmp(name, issuer->data, size) != 0)
            continue;
        if (list->next_update > now)
            return false;
        found = true;
    }
    return found;
}
