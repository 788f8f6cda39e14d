/* fuzz-radius.c - answers of RADIUS servers.  The first byte says how they are proved: as they come, or
 * with the right Response Authenticator, and with the right Message-Authenticator where one stands.  What
 * is taken for true was proved here, and what is read of it stays within its bounds. */
#include <stdint.h>
#include <string.h>

#include <glib.h>

#include "radius-packet.h"

#define SECRET "testing123"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t find_signature(const uint8_t *answer, size_t size);
static void hash(GChecksumType type, uint8_t digest[16], const uint8_t *answer, size_t size,
                 const uint8_t *authenticator);
static void sign(uint8_t *answer, size_t size, size_t at, const uint8_t *authenticator);
static void check(const RadiusAnswer *answer);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static RadiusRequest request;
    static const uint8_t AUTHENTICATOR[RADIUS_AUTHENTICATOR_SIZE] = "0123456789abcdef";
    if (request.bytes == NULL) {
        const RadiusQuestion question = {
            .user = "alice", .password = "alicepw", .nas_identifier = "confserv"};
        g_assert_true(radius_request_build(&request, &question, 7, AUTHENTICATOR, SECRET));
    }
    if (size == 0)
        return 0;
    unsigned mode = data[0] % 4;
    g_autofree uint8_t *answer = g_memdup2(data + 1, size - 1);
    size_t answer_size = size - 1;
    size_t length = answer_size >= RADIUS_SIZE_MIN ? (size_t)answer[2] << 8 | answer[3] : 0;
    bool whole = length >= RADIUS_SIZE_MIN && length <= answer_size;
    size_t at = whole ? find_signature(answer, length) : 0;
    if (whole && (mode & 1) != 0 && at != 0)
        sign(answer, length, at, AUTHENTICATOR);
    if (whole && (mode & 2) != 0)
        hash(G_CHECKSUM_MD5, answer + 4, answer, length, AUTHENTICATOR);
    for (unsigned must_be_signed = 0; must_be_signed < 2; must_be_signed++) {
        RadiusAnswer read;
        RadiusProof proof =
            radius_answer_read(&read, answer, answer_size, &request, SECRET, must_be_signed == 1);
        /* A chance hit would take 2^64 attempts at least. */
        g_assert_true(proof != RADIUS_TRUE || ((mode & 2) != 0 && (at == 0 || (mode & 1) != 0)));
        g_assert_true(proof != RADIUS_TRUE || must_be_signed == 0 || at != 0);
        if (proof == RADIUS_TRUE)
            check(&read);
        else
            g_assert_true(read.message == NULL && read.state == NULL && read.tags == NULL);
        radius_answer_clear(&read);
    }
    return 0;
}

/* Of its value; 0: there is none. */
static size_t
find_signature(const uint8_t *answer, size_t size)
{
    for (size_t i = RADIUS_SIZE_MIN; i + 18 <= size && answer[i + 1] >= 2; i += answer[i + 1]) {
        if (answer[i] == 80 && answer[i + 1] == 18)
            return i + 2;
    }
    return 0;
}

static void
hash(GChecksumType type, uint8_t digest[16], const uint8_t *answer, size_t size, const uint8_t *authenticator)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(type);
    gsize digest_size = 16;
    uint8_t made[16];
    g_checksum_update(checksum, answer, 4);
    g_checksum_update(checksum, authenticator, RADIUS_AUTHENTICATOR_SIZE);
    g_checksum_update(checksum, answer + RADIUS_SIZE_MIN, (gssize)(size - RADIUS_SIZE_MIN));
    g_checksum_update(checksum, (const uint8_t *)SECRET, (gssize)strlen(SECRET));
    g_checksum_get_digest(checksum, made, &digest_size);
    memcpy(digest, made, sizeof made);
}

static void
sign(uint8_t *answer, size_t size, size_t at, const uint8_t *authenticator)
{
    GHmac *hmac = g_hmac_new(G_CHECKSUM_MD5, (const uint8_t *)SECRET, strlen(SECRET));
    gsize digest_size = 16;
    memset(answer + at, 0, 16);
    g_hmac_update(hmac, answer, 4);
    g_hmac_update(hmac, authenticator, RADIUS_AUTHENTICATOR_SIZE);
    g_hmac_update(hmac, answer + RADIUS_SIZE_MIN, (gssize)(size - RADIUS_SIZE_MIN));
    uint8_t made[16];
    g_hmac_get_digest(hmac, made, &digest_size);
    g_hmac_unref(hmac);
    memcpy(answer + at, made, sizeof made);
}

static void
check(const RadiusAnswer *answer)
{
    g_assert_true(answer->code == RADIUS_ACCEPT || answer->code == RADIUS_REJECT ||
                  answer->code == RADIUS_CHALLENGE);
    g_assert_true(answer->message == NULL || g_utf8_validate(answer->message, -1, NULL));
    g_assert_true(answer->message == NULL || strlen(answer->message) <= 3 * 1024);
    g_assert_true(answer->state == NULL || (g_bytes_get_size(answer->state) > 0 &&
                                            g_bytes_get_size(answer->state) <= RADIUS_VALUE_MAX));
    g_assert_cmpuint(answer->tags->len, <=, RADIUS_TAGS_MAX);
    for (unsigned i = 0; i < answer->tags->len; i++) {
        const RadiusTag *tag = &g_array_index(answer->tags, RadiusTag, i);
        g_assert_cmpuint(tag->size, >, 0);
        g_assert_cmpuint(tag->size, <=, RADIUS_VALUE_MAX);
    }
}
