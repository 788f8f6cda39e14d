/* digest.c - HMAC-SHA256 over several texts. */
#include "access/digest-private.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

void
conf_access_digest(const uint8_t key[CONF_DIGEST_KEY_SIZE], const ConfSlice *parts, unsigned count,
                   uint8_t digest[CONF_DIGEST_SIZE])
{
    gnutls_hmac_hd_t hmac;
    int status = gnutls_hmac_init(&hmac, GNUTLS_MAC_SHA256, key, CONF_DIGEST_KEY_SIZE);
    for (unsigned i = 0; i < count && status >= 0; i++) {
        uint64_t size = parts[i].size;
        status = gnutls_hmac(hmac, &size, sizeof(size));
        if (status >= 0 && size > 0)
            status = gnutls_hmac(hmac, parts[i].data, parts[i].size);
    }
    /* None of this can fail but by want of memory or of the algorithm, and nobody may be let in then. */
    if (status < 0)
        g_error("HMAC-SHA256: %s", gnutls_strerror(status));
    gnutls_hmac_deinit(hmac, digest);
}
