/* id.c - random numbers from the kernel, SHA-256 from GnuTLS. */
#include "base/id.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

void
conf_id_random(void *data, size_t size)
{
    char *place = data;
    while (size > 0) {
        ssize_t got = getrandom(place, size, 0);
        /* A server without randomness would hand out guessable tokens: it must not go on. */
        if (got < 0 && errno != EINTR)
            g_error("getrandom: %s", g_strerror(errno));
        if (got > 0) {
            place += got;
            size -= (size_t)got;
        }
    }
}

void
conf_id_new_uuid(char text[CONF_UUID_TEXT_SIZE])
{
    uint8_t bytes[16];
    conf_id_random(bytes, sizeof(bytes));
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    char hex[33];
    conf_id_hex(bytes, sizeof(bytes), hex);

    const unsigned lengths[] = {8, 4, 4, 4, 12};
    const char *from = hex;
    char *to = text;
    for (unsigned i = 0; i < G_N_ELEMENTS(lengths); i++) {
        if (i > 0)
            *to++ = '-';
        memcpy(to, from, lengths[i]);
        to += lengths[i];
        from += lengths[i];
    }
    *to = '\0';
}

bool
conf_id_is_uuid(ConfSlice text)
{
    if (text.size != CONF_UUID_TEXT_SIZE - 1)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text.data[i] != '-' : !g_ascii_isxdigit(text.data[i]))
            return false;
    }
    return true;
}

void
conf_id_new_token(char text[CONF_TOKEN_TEXT_SIZE])
{
    uint8_t bytes[16];
    conf_id_random(bytes, sizeof(bytes));
    conf_id_hex(bytes, sizeof(bytes), text);
}

void
conf_id_sha256(ConfSlice data, uint8_t digest[32])
{
    conf_id_sha256_parts(&data, 1, digest);
}

void
conf_id_sha256_parts(const ConfSlice *parts, unsigned count, uint8_t digest[32])
{
    gnutls_hash_hd_t hash;
    int status = gnutls_hash_init(&hash, GNUTLS_DIG_SHA256);
    if (status < 0)
        g_error("gnutls_hash_init: %s", gnutls_strerror(status));
    for (unsigned i = 0; i < count; i++) {
        if (parts[i].size == 0)
            continue;
        status = gnutls_hash(hash, parts[i].data, parts[i].size);
        if (status < 0)
            g_error("gnutls_hash: %s", gnutls_strerror(status));
    }
    gnutls_hash_deinit(hash, digest);
}

void
conf_id_hex(const uint8_t *data, size_t size, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[data[i] >> 4];
        text[2 * i + 1] = digits[data[i] & 15];
    }
    text[2 * size] = '\0';
}

void
conf_id_next_chain(const char *previous, ConfSlice record, char chain[CONF_CHAIN_TEXT_SIZE])
{
    const ConfSlice parts[] = {conf_slice_from_string(previous), record};
    uint8_t digest[32];
    conf_id_sha256_parts(parts, G_N_ELEMENTS(parts), digest);
    conf_id_hex(digest, (CONF_CHAIN_TEXT_SIZE - 1) / 2, chain);
}
