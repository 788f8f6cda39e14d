/* pki.c - certificates for tests, by the X.509 functions of GnuTLS. */
#include "pki.h"

#include <arpa/inet.h>
#include <string.h>
#include <time.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "fixture.h"

enum { DAY = 24 * 60 * 60, PEM_MAX = 64 * 1024 };

struct TestPki {
    char *folder;
    GHashTable *paths; /* borrowed by tests */
    uint32_t serial;
};

static void write_list(TestPki *pki, const char *issuer, const char *file, int seconds, va_list names);
static void check(int result, const char *what);
static gnutls_x509_crt_t read_certificate(TestPki *pki, const char *name);
static gnutls_x509_privkey_t read_key(TestPki *pki, const char *name);
static gnutls_datum_t read_file(TestPki *pki, const char *name, const char *suffix);
static void write_file(TestPki *pki, const char *name, const char *suffix, const char *data, size_t size);
static gnutls_x509_privkey_t make_key(TestPki *pki, const char *name, unsigned rsa_bits);
static void set_names(gnutls_x509_crt_t certificate, const TestCertificate *wanted);
static void set_purposes(gnutls_x509_crt_t certificate, const TestCertificate *wanted, bool authority);

TestPki *
test_pki_new(void)
{
    TestPki *pki = g_new0(TestPki, 1);
    pki->folder = test_make_folder();
    pki->paths = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    const TestCertificate authority = {.authority = true};
    const TestCertificate server = {
        .dns_names = "localhost", .ip_addresses = "127.0.0.1, ::1", .server = true};
    TestCertificate expired = server, stranger = server;
    expired.first_day = -10;
    expired.last_day = -1;
    stranger.issuer = "other-ca";
    test_pki_make(pki, "ca", &authority);
    test_pki_make(pki, "other-ca", &authority);
    test_pki_make(pki, "server", &server);
    test_pki_make(pki, "client", &(TestCertificate){.client = true});
    test_pki_make(pki, "expired", &expired);
    test_pki_make(pki, "wrong-name", &(TestCertificate){.dns_names = "other.example.test", .server = true});
    test_pki_make(pki, "revoked", &(TestCertificate){.client = true});
    test_pki_make(pki, "stranger", &stranger);
    test_pki_revoke(pki, "ca", "crl.pem", "revoked", NULL);
    return pki;
}

void
test_pki_free(TestPki *pki)
{
    test_remove_folder(pki->folder);
    g_hash_table_unref(pki->paths);
    g_free(pki->folder);
    g_free(pki);
}

const char *
test_pki_get_folder(const TestPki *pki)
{
    return pki->folder;
}

const char *
test_pki_path(TestPki *pki, const char *file)
{
    char *path = g_hash_table_lookup(pki->paths, file);
    if (path == NULL) {
        path = g_build_filename(pki->folder, file, NULL);
        g_hash_table_insert(pki->paths, g_strdup(file), path);
    }
    return path;
}

void
test_pki_make(TestPki *pki, const char *name, const TestCertificate *wanted)
{
    /* The two roots sign themselves. */
    bool root = wanted->issuer == NULL && wanted->authority && g_str_has_suffix(name, "ca");
    gnutls_x509_privkey_t key = make_key(pki, name, wanted->rsa_bits);
    gnutls_x509_crt_t certificate;
    check(gnutls_x509_crt_init(&certificate), "crt_init");
    check(gnutls_x509_crt_set_version(certificate, 3), "version");
    check(gnutls_x509_crt_set_key(certificate, key), "key");
    uint32_t serial = g_htonl(0x01000000u + ++pki->serial);
    check(gnutls_x509_crt_set_serial(certificate, &serial, sizeof serial), "serial");
    const char *common_name = wanted->common_name != NULL ? wanted->common_name : name;
    if (*common_name != '\0')
        check(gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, common_name,
                                            (unsigned)strlen(common_name)),
              "subject");
    bool given = wanted->first_day != 0 || wanted->last_day != 0;
    time_t now = time(NULL);
    gnutls_x509_crt_set_activation_time(certificate, now + (given ? wanted->first_day : -1) * DAY);
    /* An hour more: whoever counts whole days counts the days that were asked for. */
    gnutls_x509_crt_set_expiration_time(certificate, now + (given ? wanted->last_day : 365) * DAY +
                                                         (given && wanted->last_day < 0 ? 0 : 3600));
    set_names(certificate, wanted);
    set_purposes(certificate, wanted, wanted->authority);

    const char *issuer = wanted->issuer != NULL ? wanted->issuer : "ca";
    gnutls_x509_crt_t authority = root ? certificate : read_certificate(pki, issuer);
    gnutls_x509_privkey_t authority_key = root ? key : read_key(pki, issuer);
    check(gnutls_x509_crt_sign2(certificate, authority, authority_key, GNUTLS_DIG_SHA256, 0), "sign");
    gnutls_datum_t pem;
    check(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &pem), "export");
    write_file(pki, name, ".pem", (char *)pem.data, pem.size);
    gnutls_free(pem.data);
    if (!root) {
        gnutls_x509_crt_deinit(authority);
        gnutls_x509_privkey_deinit(authority_key);
    }
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);
}

void
test_pki_revoke(TestPki *pki, const char *issuer, const char *file, ...)
{
    va_list names;
    va_start(names, file);
    write_list(pki, issuer, file, 30 * DAY, names);
    va_end(names);
}

void
test_pki_revoke_until(TestPki *pki, const char *issuer, const char *file, int seconds, ...)
{
    va_list names;
    va_start(names, seconds);
    write_list(pki, issuer, file, seconds, names);
    va_end(names);
}

static void
write_list(TestPki *pki, const char *issuer, const char *file, int seconds, va_list names)
{
    gnutls_x509_crl_t list;
    time_t now = time(NULL);
    check(gnutls_x509_crl_init(&list), "crl_init");
    check(gnutls_x509_crl_set_version(list, 2), "version");
    check(gnutls_x509_crl_set_this_update(list, now - 2 * DAY), "this_update");
    check(gnutls_x509_crl_set_next_update(list, now + seconds), "next_update");
    uint32_t number = g_htonl(++pki->serial);
    check(gnutls_x509_crl_set_number(list, &number, sizeof number), "number");
    for (const char *name = va_arg(names, const char *); name != NULL; name = va_arg(names, const char *)) {
        gnutls_x509_crt_t certificate = read_certificate(pki, name);
        check(gnutls_x509_crl_set_crt(list, certificate, now - DAY), "revoke");
        gnutls_x509_crt_deinit(certificate);
    }
    gnutls_x509_crt_t authority = read_certificate(pki, issuer);
    gnutls_x509_privkey_t key = read_key(pki, issuer);
    check(gnutls_x509_crl_sign2(list, authority, key, GNUTLS_DIG_SHA256, 0), "sign");
    gnutls_datum_t pem;
    check(gnutls_x509_crl_export2(list, GNUTLS_X509_FMT_PEM, &pem), "export");
    write_file(pki, file, "", (char *)pem.data, pem.size);
    gnutls_free(pem.data);
    gnutls_x509_crt_deinit(authority);
    gnutls_x509_privkey_deinit(key);
    gnutls_x509_crl_deinit(list);
}

static void
check(int result, const char *what)
{
    if (result < 0)
        g_error("A certificate for tests cannot be made: %s: %s", what, gnutls_strerror(result));
}

static gnutls_x509_crt_t
read_certificate(TestPki *pki, const char *name)
{
    gnutls_x509_crt_t certificate;
    gnutls_datum_t pem = read_file(pki, name, ".pem");
    check(gnutls_x509_crt_init(&certificate), "crt_init");
    check(gnutls_x509_crt_import(certificate, &pem, GNUTLS_X509_FMT_PEM), name);
    g_free(pem.data);
    return certificate;
}

static gnutls_x509_privkey_t
read_key(TestPki *pki, const char *name)
{
    gnutls_x509_privkey_t key;
    gnutls_datum_t pem = read_file(pki, name, ".key");
    check(gnutls_x509_privkey_init(&key), "privkey_init");
    check(gnutls_x509_privkey_import(key, &pem, GNUTLS_X509_FMT_PEM), name);
    g_free(pem.data);
    return key;
}

/* g_free() the data. */
static gnutls_datum_t
read_file(TestPki *pki, const char *name, const char *suffix)
{
    g_autofree char *file = g_strconcat(name, suffix, NULL);
    char *data = NULL;
    gsize size = 0;
    g_autoptr(GError) error = NULL;
    g_file_get_contents(test_pki_path(pki, file), &data, &size, &error);
    g_assert_no_error(error);
    return (gnutls_datum_t){(unsigned char *)data, (unsigned)size};
}

static void
write_file(TestPki *pki, const char *name, const char *suffix, const char *data, size_t size)
{
    g_autofree char *file = g_strconcat(name, suffix, NULL);
    g_autoptr(GError) error = NULL;
    g_file_set_contents_full(test_pki_path(pki, file), data, (gssize)size, G_FILE_SET_CONTENTS_CONSISTENT,
                             0600, &error);
    g_assert_no_error(error);
}

static gnutls_x509_privkey_t
make_key(TestPki *pki, const char *name, unsigned rsa_bits)
{
    gnutls_x509_privkey_t key;
    check(gnutls_x509_privkey_init(&key), "privkey_init");
    if (rsa_bits > 0)
        check(gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, rsa_bits, 0), "generate");
    else
        check(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                           GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
              "generate");
    char pem[PEM_MAX];
    size_t size = sizeof pem;
    check(gnutls_x509_privkey_export_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, pem, &size),
          "export");
    write_file(pki, name, ".key", pem, size);
    return key;
}

static void
set_names(gnutls_x509_crt_t certificate, const TestCertificate *wanted)
{
    g_auto(GStrv) dns = g_strsplit(wanted->dns_names != NULL ? wanted->dns_names : "", ",", -1);
    g_auto(GStrv) ips = g_strsplit(wanted->ip_addresses != NULL ? wanted->ip_addresses : "", ",", -1);
    for (unsigned i = 0; dns[i] != NULL; i++) {
        const char *name = g_strstrip(dns[i]);
        check(gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, name,
                                                   (unsigned)strlen(name), GNUTLS_FSAN_APPEND),
              name);
    }
    for (unsigned i = 0; ips[i] != NULL; i++) {
        const char *text = g_strstrip(ips[i]);
        unsigned char address[16];
        bool six = strchr(text, ':') != NULL;
        g_assert_cmpint(inet_pton(six ? AF_INET6 : AF_INET, text, address), ==, 1);
        check(gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_IPADDRESS, address, six ? 16 : 4,
                                                   GNUTLS_FSAN_APPEND),
              text);
    }
}

static void
set_purposes(gnutls_x509_crt_t certificate, const TestCertificate *wanted, bool authority)
{
    check(gnutls_x509_crt_set_basic_constraints(certificate, authority, -1), "basic constraints");
    check(gnutls_x509_crt_set_key_usage(certificate, authority
                                                         ? GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN
                                                         : GNUTLS_KEY_DIGITAL_SIGNATURE),
          "usage");
    if (wanted->server)
        check(gnutls_x509_crt_set_key_purpose_oid(certificate, GNUTLS_KP_TLS_WWW_SERVER, 0), "purpose");
    if (wanted->client)
        check(gnutls_x509_crt_set_key_purpose_oid(certificate, GNUTLS_KP_TLS_WWW_CLIENT, 0), "purpose");
}
