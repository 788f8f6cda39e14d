/* pki.h - certificates for tests, made when they are needed: an authority, servers, clients, and what is wrong with some.
 *
 * test_pki_new() makes in a folder of its own, ECDSA P-256 throughout, PEM, each with NAME.pem and NAME.key:
 *   ca, other-ca     two authorities that know nothing of each other
 *   server           CN=server, for localhost, 127.0.0.1 and ::1
 *   client           CN=client, for clients only
 *   expired          as server, but its time is over
 *   wrong-name       for other.example.test only
 *   revoked          CN=revoked, a client that crl.pem of ca names
 *   stranger         as server, but of other-ca
 * Further ones by test_pki_make(). */
#pragma once

#include <stdbool.h>

#include <glib.h>

typedef struct TestPki TestPki;

typedef struct {
    const char *common_name;  /* NULL: the name of the file; "": no subject at all */
    const char *dns_names;    /* "localhost, *.example.test"; NULL: none */
    const char *ip_addresses; /* likewise */
    const char *issuer;       /* a file made before; NULL: ca */
    bool client, server;      /* purposes; none: no extension says what for */
    bool authority;           /* an intermediate authority */
    int first_day, last_day;  /* of validity, from today; both 0: from yesterday for a year */
    unsigned rsa_bits;        /* 0: ECDSA P-256 */
} TestCertificate;

TestPki *test_pki_new(void);
void test_pki_free(TestPki *pki); /* with its folder */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TestPki, test_pki_free)
const char *test_pki_get_folder(const TestPki *pki);
/* Path of a file there ("server.pem"), borrowed until the free. */
const char *test_pki_path(TestPki *pki, const char *file);
/* NAME.pem and NAME.key, also in the place of older ones. */
void test_pki_make(TestPki *pki, const char *name, const TestCertificate *certificate);
/* Writes FILE with the revocation list of `issuer` that names these certificates (NULL-ended). */
void test_pki_revoke(TestPki *pki, const char *issuer, const char *file, ...) G_GNUC_NULL_TERMINATED;
/* The same; its successor is due in so many seconds, which may be past. */
void test_pki_revoke_until(TestPki *pki, const char *issuer, const char *file, int seconds, ...)
    G_GNUC_NULL_TERMINATED;
