/* credentials.c - what TLS trusts and what it shows of itself: files read with GnuTLS, and in words why a
 * server's certificate is not accepted. */
#include "client-private.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { FILES = 4, NAMES_MAX = 8, NAME_SIZE = 256 };

struct ConfcCredentials {
    gnutls_certificate_credentials_t handle;
    char *files[FILES];        /* ca, crl, certificate, key; NULL: none */
    struct stat stamps[FILES]; /* as they were read */
    gnutls_x509_crl_t *lists;  /* those in the file */
    unsigned lists_count;
};

static bool load_trust(ConfcCredentials *credentials, GError **error);
static bool load_own(ConfcCredentials *credentials, GError **error);
static bool note_stamp(ConfcCredentials *credentials, unsigned place, GError **error);
static void refuse_file(const char *file, const char *what, int code, GError **error);
static bool load_lists(ConfcCredentials *credentials, GError **error);
static gnutls_x509_crt_t get_leaf(gnutls_session_t session);
static gnutls_x509_crt_t import(const gnutls_datum_t *der);
static bool is_list_outdated(const ConfcCredentials *credentials, gnutls_x509_crt_t certificate);
static void explain_time(GString *text, gnutls_x509_crt_t leaf, bool is_expired);
static void explain_owner(GString *text, gnutls_x509_crt_t leaf, const char *name);
static void explain_signer(GString *text, gnutls_x509_crt_t leaf);
static char *get_name(gnutls_x509_crt_t leaf, unsigned place, bool *is_over);
static char *format_time(time_t when);
static void begin(GString *text);

ConfcCredentials *
confc_credentials_load(const char *ca, const char *crl, const char *certificate, const char *key,
                       GError **error)
{
    ConfcCredentials *credentials = g_new0(ConfcCredentials, 1);
    const char *files[FILES] = {ca, crl, certificate, key};
    bool fine = true;
    for (unsigned i = 0; i < FILES; i++) {
        credentials->files[i] = g_strdup(files[i]);
        fine = fine && note_stamp(credentials, i, error);
    }
    if (fine && gnutls_certificate_allocate_credentials(&credentials->handle) < 0)
        g_error("GnuTLS: out of memory");
    if (fine && load_trust(credentials, error) && load_own(credentials, error))
        return credentials;
    confc_credentials_free(credentials);
    return NULL;
}

void
confc_credentials_free(ConfcCredentials *credentials)
{
    if (credentials == NULL)
        return;
    if (credentials->handle != NULL)
        gnutls_certificate_free_credentials(credentials->handle);
    for (unsigned i = 0; i < credentials->lists_count; i++)
        gnutls_x509_crl_deinit(credentials->lists[i]);
    gnutls_free(credentials->lists);
    for (unsigned i = 0; i < FILES; i++)
        g_free(credentials->files[i]);
    g_free(credentials);
}

gnutls_certificate_credentials_t
confc_credentials_get(ConfcCredentials *credentials)
{
    return credentials->handle;
}

bool
confc_credentials_are_current(const ConfcCredentials *credentials)
{
    for (unsigned i = 0; i < FILES; i++) {
        struct stat now;
        const struct stat *then = &credentials->stamps[i];
        if (credentials->files[i] == NULL)
            continue;
        if (stat(credentials->files[i], &now) != 0 || now.st_ino != then->st_ino ||
            now.st_size != then->st_size || now.st_mtim.tv_sec != then->st_mtim.tv_sec ||
            now.st_mtim.tv_nsec != then->st_mtim.tv_nsec)
            return false;
    }
    return true;
}

unsigned
confc_credentials_judge(ConfcCredentials *credentials, gnutls_session_t session,
                        gnutls_typed_vdata_st *wanted, unsigned wanted_count)
{
    unsigned status = GNUTLS_CERT_INVALID, count = 0;
    if (gnutls_certificate_verify_peers(session, wanted, wanted_count, &status) < 0)
        status |= GNUTLS_CERT_INVALID;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    for (unsigned i = 0; chain != NULL && i < count && credentials->lists_count > 0; i++) {
        gnutls_x509_crt_t certificate = import(&chain[i]);
        if (certificate == NULL || is_list_outdated(credentials, certificate))
            status |= GNUTLS_CERT_INVALID | GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED;
        if (certificate != NULL)
            gnutls_x509_crt_deinit(certificate);
    }
    return status;
}

char *
confc_credentials_explain(gnutls_session_t session, unsigned status, const char *name)
{
    gnutls_x509_crt_t leaf = get_leaf(session);
    GString *text = g_string_new(NULL);
    if (leaf == NULL) {
        g_string_append(text, "it showed no certificate");
        return g_string_free(text, FALSE);
    }
    if ((status & GNUTLS_CERT_REVOKED) != 0)
        g_string_append(text, "its certificate was revoked");
    if ((status & GNUTLS_CERT_EXPIRED) != 0)
        explain_time(text, leaf, true);
    if ((status & GNUTLS_CERT_NOT_ACTIVATED) != 0)
        explain_time(text, leaf, false);
    if ((status & GNUTLS_CERT_SIGNER_NOT_FOUND) != 0)
        explain_signer(text, leaf);
    if ((status & GNUTLS_CERT_UNEXPECTED_OWNER) != 0)
        explain_owner(text, leaf, name);
    if ((status & GNUTLS_CERT_PURPOSE_MISMATCH) != 0) {
        begin(text);
        g_string_append(text, "its certificate is not meant for servers");
    }
    if ((status & (GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED | GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE)) !=
        0) {
        begin(text);
        g_string_append(text, "the list of revoked certificates is out of date");
    }
    gnutls_datum_t words = {0};
    if (text->len == 0 &&
        gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &words, 0) >= 0) {
        g_string_append(text, (const char *)words.data);
        gnutls_free(words.data);
    }
    gnutls_x509_crt_deinit(leaf);
    g_autofree char *raw = g_string_free(text, FALSE);
    return g_utf8_make_valid(g_strchomp(raw), -1);
}

static bool
load_trust(ConfcCredentials *credentials, GError **error)
{
    const char *ca = credentials->files[0];
    int count = ca != NULL
                    ? gnutls_certificate_set_x509_trust_file(credentials->handle, ca, GNUTLS_X509_FMT_PEM)
                    : gnutls_certificate_set_x509_system_trust(credentials->handle);
    if (count <= 0 && ca != NULL) {
        refuse_file(ca, "trusted certificates", count, error);
        return false;
    }
    if (count <= 0) {
        g_set_error_literal(
            error, CONFC_ERROR, CONFC_ERROR_ARGUMENT,
            "This system has no trusted certificates; those of the server's issuer must be given");
        return false;
    }
    return credentials->files[1] == NULL || load_lists(credentials, error);
}

static bool
load_lists(ConfcCredentials *credentials, GError **error)
{
    const char *file = credentials->files[1];
    gnutls_datum_t data = {0};
    int code = gnutls_load_file(file, &data);
    if (code >= 0)
        code = gnutls_certificate_set_x509_crl_mem(credentials->handle, &data, GNUTLS_X509_FMT_PEM);
    int count = code;
    if (code > 0)
        code = gnutls_x509_crl_list_import2(&credentials->lists, &credentials->lists_count, &data,
                                            GNUTLS_X509_FMT_PEM, 0);
    gnutls_free(data.data);
    if (count > 0 && code >= 0)
        return true;
    credentials->lists_count = 0;
    refuse_file(file, "a list of revoked certificates", code, error);
    return false;
}

static bool
load_own(ConfcCredentials *credentials, GError **error)
{
    const char *certificate = credentials->files[2],
               *key = credentials->files[3] != NULL ? credentials->files[3] : certificate;
    if (certificate == NULL && key != NULL) {
        g_set_error_literal(error, CONFC_ERROR, CONFC_ERROR_ARGUMENT, "A key needs its certificate");
        return false;
    }
    if (certificate == NULL)
        return true;
    int code =
        gnutls_certificate_set_x509_key_file(credentials->handle, certificate, key, GNUTLS_X509_FMT_PEM);
    if (code >= 0)
        return true;
    g_set_error(error, CONFC_ERROR, CONFC_ERROR_ARGUMENT, "%s and %s are no certificate with its key: %s",
                certificate, key, gnutls_strerror(code));
    return false;
}

static bool
note_stamp(ConfcCredentials *credentials, unsigned place, GError **error)
{
    const char *file = credentials->files[place];
    if (file == NULL || stat(file, &credentials->stamps[place]) == 0)
        return true;
    g_set_error(error, CONFC_ERROR, CONFC_ERROR_ARGUMENT, "Cannot read %s: %s", file, g_strerror(errno));
    return false;
}

static void
refuse_file(const char *file, const char *what, int code, GError **error)
{
    g_set_error(error, CONFC_ERROR, CONFC_ERROR_ARGUMENT, "%s does not hold %s (PEM): %s", file, what,
                code < 0 ? gnutls_strerror(code) : "there is none in it");
}

static gnutls_x509_crt_t
get_leaf(gnutls_session_t session)
{
    unsigned count = 0;
    const gnutls_datum_t *peers = gnutls_certificate_get_peers(session, &count);
    return peers != NULL && count > 0 ? import(peers) : NULL;
}

static gnutls_x509_crt_t
import(const gnutls_datum_t *der)
{
    gnutls_x509_crt_t certificate = NULL;
    if (gnutls_x509_crt_init(&certificate) < 0)
        return NULL;
    if (gnutls_x509_crt_import(certificate, der, GNUTLS_X509_FMT_DER) >= 0)
        return certificate;
    gnutls_x509_crt_deinit(certificate);
    return NULL;
}

/* GnuTLS looks certificates up in the lists, but not at the dates of these.  Where all lists of an
 * authority are past their time nobody can say which of its certificates are good: RFC 5280, 6.3.3. */
static bool
is_list_outdated(const ConfcCredentials *credentials, gnutls_x509_crt_t certificate)
{
    gnutls_datum_t issuer = {0};
    bool is_found = false, is_current = false;
    if (gnutls_x509_crt_get_raw_issuer_dn(certificate, &issuer) < 0)
        return true;
    for (unsigned i = 0; i < credentials->lists_count; i++) {
        gnutls_datum_t author = {0};
        time_t due = gnutls_x509_crl_get_next_update(credentials->lists[i]);
        if (gnutls_x509_crl_get_raw_issuer_dn(credentials->lists[i], &author) >= 0 &&
            author.size == issuer.size && memcmp(author.data, issuer.data, issuer.size) == 0) {
            is_found = true;
            is_current = is_current || due == (time_t)-1 || due > time(NULL);
        }
        gnutls_free(author.data);
    }
    gnutls_free(issuer.data);
    return is_found && !is_current;
}

static void
explain_time(GString *text, gnutls_x509_crt_t leaf, bool is_expired)
{
    time_t limit = is_expired ? gnutls_x509_crt_get_expiration_time(leaf)
                              : gnutls_x509_crt_get_activation_time(leaf),
           now = time(NULL);
    bool is_leaf = is_expired ? limit < now : limit > now;
    g_autofree char *when = format_time(limit);
    begin(text);
    if (!is_leaf)
        g_string_append_printf(text, "a certificate of its issuer %s",
                               is_expired ? "has expired" : "is not valid yet");
    else
        g_string_append_printf(text, "its certificate %s %s",
                               is_expired ? "expired at" : "is not valid before", when);
}

static void
explain_owner(GString *text, gnutls_x509_crt_t leaf, const char *name)
{
    begin(text);
    g_string_append_printf(text, "its certificate is not for \"%s\"", name != NULL ? name : "");
    bool is_over = false, is_first = true;
    for (unsigned i = 0; i < NAMES_MAX && !is_over; i++) {
        g_autofree char *other = get_name(leaf, i, &is_over);
        if (other == NULL)
            continue;
        g_string_append_printf(text, "%s\"%s\"", is_first ? " but for " : ", ", other);
        is_first = false;
    }
}

static void
explain_signer(GString *text, gnutls_x509_crt_t leaf)
{
    char issuer[NAME_SIZE] = "";
    size_t size = sizeof issuer;
    begin(text);
    if (gnutls_x509_crt_get_issuer_dn(leaf, issuer, &size) < 0)
        g_strlcpy(issuer, "?", sizeof issuer);
    g_string_append_printf(text, "its certificate was issued by %s, who is not trusted", issuer);
}

/* Of the subject's alternative names: the n-th, where it is one of a host. */
static char *
get_name(gnutls_x509_crt_t leaf, unsigned place, bool *is_over)
{
    unsigned char name[NAME_SIZE];
    size_t size = sizeof name;
    int type = gnutls_x509_crt_get_subject_alt_name(leaf, place, name, &size, NULL);
    *is_over = type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE;
    if (type == GNUTLS_SAN_DNSNAME)
        return g_strndup((const char *)name, size);
    if (type != GNUTLS_SAN_IPADDRESS || (size != 4 && size != 16))
        return NULL;
    g_autoptr(GInetAddress) address =
        g_inet_address_new_from_bytes(name, size == 4 ? G_SOCKET_FAMILY_IPV4 : G_SOCKET_FAMILY_IPV6);
    return g_inet_address_to_string(address);
}

static char *
format_time(time_t when)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(when);
    return time != NULL ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ") : g_strdup("an unknown time");
}

static void
begin(GString *text)
{
    if (text->len > 0)
        g_string_append(text, "; ");
}
