/* tls-credentials.c - certificates, keys, authorities and revocation lists, from their files.
 *
 * `certificate` is a list of PEM files, read in their order.  A certificate that belongs to one of the keys
 * begins a chain, the others go on with it: one file with a whole chain, a list of files that are one chain,
 * and several certificates for several names can all be written so. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tls-private.h"

/* A list of revoked certificates may be large; beyond this a file is a mistake. */
enum { FILE_MAX = 64 * 1024 * 1024, CHAIN_MAX = 16, LEAVES_MAX = 100 };

typedef struct {
    gnutls_x509_crt_t certificates[CHAIN_MAX];
    unsigned length;
    gnutls_x509_privkey_t key; /* borrowed */
    char *path;
} Chain;

typedef struct {
    const TlsParameters *parameters;
    GPtrArray *keys;   /* of gnutls_x509_privkey_t */
    GPtrArray *chains; /* of Chain */
} Load;

static bool load_keys(Load *load, GError **error);
static bool load_chains(Load *load, GError **error);
static bool add_to_chains(Load *load, const char *path, gnutls_x509_crt_t certificate, GError **error);
static gnutls_x509_privkey_t find_key(const Load *load, gnutls_x509_crt_t certificate);
static bool fill(TlsCredentials *credentials, const Load *load, GError **error);
static gnutls_certificate_credentials_t make(TlsCredentials *credentials, const Load *load,
                                             const Chain *first, GError **error);
static bool add_chain(gnutls_certificate_credentials_t made, const Chain *chain, GError **error);
static bool add_trust(TlsCredentials *credentials, gnutls_certificate_credentials_t made,
                      const TlsParameters *parameters, GError **error);
static bool add_lists(TlsCredentials *credentials, gnutls_certificate_credentials_t made, const char *paths,
                      GError **error);
static void note_date(TlsCredentials *credentials, const char *path, time_t not_after, bool is_list);
static bool fail(GError **error, const char *option, const char *path, const char *why);
static bool read_file(const char *option, const char *path, gnutls_datum_t *data, GError **error);
static GStrv split(const char *paths);
static void free_key(void *key);
static void free_chain(void *chain);
static void free_leaf(void *leaf);
static void free_credentials(void *credentials);
static void clear_date(void *date);

TlsCredentials *
tls_credentials_load(const TlsParameters *parameters, GError **error)
{
    Load load = {
        .parameters = parameters,
        .keys = g_ptr_array_new_with_free_func(free_key),
        .chains = g_ptr_array_new_with_free_func(free_chain),
    };
    TlsCredentials *credentials = g_new0(TlsCredentials, 1);
    credentials->credentials = g_ptr_array_new_with_free_func(free_credentials);
    credentials->leaves = g_ptr_array_new_with_free_func(free_leaf);
    credentials->dates = g_array_new(FALSE, FALSE, sizeof(TlsDate));
    g_array_set_clear_func(credentials->dates, clear_date);
    credentials->lists = g_array_new(FALSE, FALSE, sizeof(TlsList));
    g_array_set_clear_func(credentials->lists, tls_lists_clear);
    bool good = load_keys(&load, error) && load_chains(&load, error) && fill(credentials, &load, error);
    g_ptr_array_unref(load.chains);
    g_ptr_array_unref(load.keys);
    if (good)
        return credentials;
    tls_credentials_free(credentials);
    return NULL;
}

void
tls_credentials_free(TlsCredentials *credentials)
{
    if (credentials == NULL)
        return;
    g_ptr_array_unref(credentials->credentials);
    g_ptr_array_unref(credentials->leaves);
    g_array_unref(credentials->dates);
    g_array_unref(credentials->lists);
    g_free(credentials);
}

gnutls_certificate_credentials_t
tls_credentials_choose(const TlsCredentials *credentials, const char *name)
{
    for (unsigned i = 0; i < credentials->leaves->len && name != NULL; i++) {
        if (gnutls_x509_crt_check_hostname(g_ptr_array_index(credentials->leaves, i), name) != 0)
            return g_ptr_array_index(credentials->credentials, i + 1);
    }
    return g_ptr_array_index(credentials->credentials, 0);
}

static bool
load_keys(Load *load, GError **error)
{
    g_auto(GStrv) paths = split(load->parameters->certificate_key);
    for (unsigned i = 0; paths[i] != NULL; i++) {
        gnutls_datum_t data;
        if (!read_file("certificate-key", paths[i], &data, error))
            return false;
        gnutls_x509_privkey_t key;
        int result = gnutls_x509_privkey_init(&key);
        if (result >= 0) {
            g_ptr_array_add(load->keys, key);
            result = gnutls_x509_privkey_import2(key, &data, GNUTLS_X509_FMT_PEM, NULL, 0);
        }
        explicit_bzero(data.data, data.size);
        g_free(data.data);
        if (result < 0)
            return fail(error, "certificate-key", paths[i], gnutls_strerror(result));
    }
    return true;
}

static bool
load_chains(Load *load, GError **error)
{
    g_auto(GStrv) paths = split(load->parameters->certificate);
    for (unsigned i = 0; paths[i] != NULL; i++) {
        gnutls_datum_t data;
        if (!read_file("certificate", paths[i], &data, error))
            return false;
        gnutls_x509_crt_t *list = NULL;
        unsigned count = 0;
        int result = gnutls_x509_crt_list_import2(&list, &count, &data, GNUTLS_X509_FMT_PEM, 0);
        g_free(data.data);
        if (result < 0)
            return fail(error, "certificate", paths[i], gnutls_strerror(result));
        bool good = true;
        for (unsigned k = 0; k < count; k++) {
            /* What is taken belongs to its chain. */
            good = good && add_to_chains(load, paths[i], list[k], error);
            if (!good)
                gnutls_x509_crt_deinit(list[k]);
        }
        gnutls_free(list);
        if (!good)
            return false;
    }
    if (load->keys->len > 0 && load->chains->len == 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "option certificate-key: there is no certificate for it");
        return false;
    }
    return true;
}

static bool
add_to_chains(Load *load, const char *path, gnutls_x509_crt_t certificate, GError **error)
{
    gnutls_x509_privkey_t key = find_key(load, certificate);
    if (key == NULL && load->chains->len == 0)
        return fail(error, "certificate", path,
                    "its key is not in option certificate-key, or is another one's");
    if (key != NULL && load->chains->len == LEAVES_MAX)
        return fail(error, "certificate", path, "more than 100 certificates");
    if (key != NULL) {
        Chain *chain = g_new0(Chain, 1);
        chain->key = key;
        chain->path = g_strdup(path);
        g_ptr_array_add(load->chains, chain);
    }
    Chain *chain = g_ptr_array_index(load->chains, load->chains->len - 1);
    if (chain->length == CHAIN_MAX)
        return fail(error, "certificate", path, "a chain is longer than 16 certificates");
    chain->certificates[chain->length++] = certificate;
    return true;
}

static gnutls_x509_privkey_t
find_key(const Load *load, gnutls_x509_crt_t certificate)
{
    unsigned char of_certificate[64], of_key[64];
    for (unsigned i = 0; i < load->keys->len; i++) {
        size_t size = sizeof of_certificate, key_size = sizeof of_key;
        gnutls_x509_privkey_t key = g_ptr_array_index(load->keys, i);
        if (gnutls_x509_crt_get_key_id(certificate, GNUTLS_KEYID_USE_SHA256, of_certificate, &size) >= 0 &&
            gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, of_key, &key_size) >= 0 &&
            size == key_size && memcmp(of_certificate, of_key, size) == 0)
            return key;
    }
    return NULL;
}

static bool
fill(TlsCredentials *credentials, const Load *load, GError **error)
{
    if (make(credentials, load, NULL, error) == NULL)
        return false;
    for (unsigned i = 0; i < load->chains->len; i++) {
        const Chain *chain = g_ptr_array_index(load->chains, i);
        time_t not_after = G_MAXLONG;
        for (unsigned k = 0; k < chain->length; k++)
            not_after = MIN(not_after, gnutls_x509_crt_get_expiration_time(chain->certificates[k]));
        note_date(credentials, chain->path, not_after, false);
        /* Where there is but one there is nothing to choose. */
        if (load->chains->len == 1)
            break;
        gnutls_x509_crt_t leaf;
        gnutls_datum_t der = {NULL, 0};
        int result = gnutls_x509_crt_init(&leaf);
        if (result < 0)
            return fail(error, "certificate", chain->path, gnutls_strerror(result));
        g_ptr_array_add(credentials->leaves, leaf);
        result = gnutls_x509_crt_export2(chain->certificates[0], GNUTLS_X509_FMT_DER, &der);
        if (result >= 0)
            result = gnutls_x509_crt_import(leaf, &der, GNUTLS_X509_FMT_DER);
        gnutls_free(der.data);
        if (result < 0)
            return fail(error, "certificate", chain->path, gnutls_strerror(result));
        if (make(credentials, load, chain, error) == NULL)
            return false;
    }
    return true;
}

/* With `first` come those for the same names, of another kind of key: the peer's abilities decide. */
static gnutls_certificate_credentials_t
make(TlsCredentials *credentials, const Load *load, const Chain *first, GError **error)
{
    gnutls_certificate_credentials_t made;
    int result = gnutls_certificate_allocate_credentials(&made);
    if (result < 0) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_FAILED, "%s", gnutls_strerror(result));
        return NULL;
    }
    g_ptr_array_add(credentials->credentials, made);
    gnutls_certificate_set_flags(made, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
    if (first != NULL && !add_chain(made, first, error))
        return NULL;
    char name[256];
    size_t size = sizeof name;
    bool named = first != NULL && gnutls_x509_crt_get_subject_alt_name(first->certificates[0], 0, name, &size,
                                                                       NULL) == GNUTLS_SAN_DNSNAME;
    for (unsigned i = 0; i < load->chains->len; i++) {
        const Chain *chain = g_ptr_array_index(load->chains, i);
        bool wanted = first == NULL || (chain != first && named && strlen(name) == size &&
                                        gnutls_x509_crt_check_hostname(chain->certificates[0], name) != 0);
        if (wanted && !add_chain(made, chain, error))
            return NULL;
    }
    if (!add_trust(credentials, made, load->parameters, error))
        return NULL;
    return made;
}

static bool
add_chain(gnutls_certificate_credentials_t made, const Chain *chain, GError **error)
{
    int result = gnutls_certificate_set_x509_key(made, (gnutls_x509_crt_t *)chain->certificates,
                                                 (int)chain->length, chain->key);
    return result >= 0 || fail(error, "certificate", chain->path, gnutls_strerror(result));
}

static bool
add_trust(TlsCredentials *credentials, gnutls_certificate_credentials_t made, const TlsParameters *parameters,
          GError **error)
{
    g_auto(GStrv) paths = split(parameters->trusted_ca);
    for (unsigned i = 0; paths[i] != NULL; i++) {
        gnutls_datum_t data = {NULL, 0};
        int result;
        if (strcmp(paths[i], "system") == 0) {
            result = gnutls_certificate_set_x509_system_trust(made);
        } else {
            if (!read_file("trusted-ca", paths[i], &data, error))
                return false;
            result = gnutls_certificate_set_x509_trust_mem(made, &data, GNUTLS_X509_FMT_PEM);
            g_free(data.data);
        }
        if (result <= 0)
            return fail(error, "trusted-ca", paths[i],
                        result < 0 ? gnutls_strerror(result) : "it holds no certificate");
    }
    return add_lists(credentials, made, parameters->crl, error);
}

static bool
add_lists(TlsCredentials *credentials, gnutls_certificate_credentials_t made, const char *option,
          GError **error)
{
    g_auto(GStrv) paths = split(option);
    for (unsigned i = 0; paths[i] != NULL; i++) {
        gnutls_datum_t data;
        if (!read_file("tls-crl", paths[i], &data, error))
            return false;
        int result = gnutls_certificate_set_x509_crl_mem(made, &data, GNUTLS_X509_FMT_PEM);
        gnutls_x509_crl_t *lists = NULL;
        unsigned count = 0;
        if (result > 0 && credentials->credentials->len == 1 &&
            gnutls_x509_crl_list_import2(&lists, &count, &data, GNUTLS_X509_FMT_PEM, 0) < 0)
            result = 0;
        g_free(data.data);
        time_t next = G_MAXLONG;
        for (unsigned k = 0; k < count; k++) {
            time_t due = gnutls_x509_crl_get_next_update(lists[k]);
            next = due != (time_t)-1 ? MIN(next, due) : next;
            tls_lists_add(credentials->lists, lists[k]);
            gnutls_x509_crl_deinit(lists[k]);
        }
        gnutls_free(lists);
        if (result <= 0)
            return fail(error, "tls-crl", paths[i],
                        result < 0 ? gnutls_strerror(result) : "it holds no revocation list");
        if (count > 0 && next != G_MAXLONG)
            note_date(credentials, paths[i], next, true);
    }
    return true;
}

static void
note_date(TlsCredentials *credentials, const char *path, time_t not_after, bool is_list)
{
    TlsDate date = {.path = g_strdup(path), .not_after = not_after, .is_list = is_list};
    g_array_append_val(credentials->dates, date);
}

static bool
fail(GError **error, const char *option, const char *path, const char *why)
{
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "option %s: file %s: %s", option, path, why);
    return false;
}

/* g_free() the data.  A pipe or a device instead of a file would hold up the server, or fill its memory. */
static bool
read_file(const char *option, const char *path, gnutls_datum_t *data, GError **error)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fail(error, option, path, g_strerror(errno));
    const char *why = NULL;
    if (fstat(fd, &status) < 0)
        why = g_strerror(errno);
    else if (!S_ISREG(status.st_mode))
        why = "it is no regular file";
    else if (status.st_size > FILE_MAX)
        why = "it is larger than 64 MiB";
    g_autofree unsigned char *content = why == NULL ? g_malloc((size_t)status.st_size + 1) : NULL;
    size_t size = 0;
    ssize_t got = 1;
    /* What grows meanwhile is read as far as it was. */
    while (why == NULL && got > 0 && size < (size_t)status.st_size) {
        got = read(fd, content + size, (size_t)status.st_size - size);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got < 0)
            why = g_strerror(errno);
        else
            size += (size_t)got;
    }
    close(fd);
    if (why != NULL) {
        if (content != NULL)
            explicit_bzero(content, size);
        return fail(error, option, path, why);
    }
    content[size] = '\0';
    *data = (gnutls_datum_t){g_steal_pointer(&content), (unsigned)size};
    return true;
}

/* "a.pem, b.pem"; without what is empty. */
static GStrv
split(const char *paths)
{
    g_auto(GStrv) parts = g_strsplit(paths != NULL ? paths : "", ",", -1);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    for (unsigned i = 0; parts[i] != NULL; i++) {
        const char *path = g_strstrip(parts[i]);
        if (*path != '\0')
            g_strv_builder_add(builder, path);
    }
    return g_strv_builder_end(builder);
}

static void
free_key(void *key)
{
    gnutls_x509_privkey_deinit(key);
}

static void
free_chain(void *data)
{
    Chain *chain = data;
    for (unsigned i = 0; i < chain->length; i++)
        gnutls_x509_crt_deinit(chain->certificates[i]);
    g_free(chain->path);
    g_free(chain);
}

static void
free_leaf(void *leaf)
{
    gnutls_x509_crt_deinit(leaf);
}

static void
free_credentials(void *credentials)
{
    gnutls_certificate_free_credentials(credentials);
}

static void
clear_date(void *date)
{
    g_free(((TlsDate *)date)->path);
}
