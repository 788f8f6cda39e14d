/* radius-packet.c - see radius-packet.h. */
#include "radius-packet.h"

#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

enum {
    MD5_SIZE = 16,
    HEADER_SIZE = 20,
    MESSAGE_MAX = 1024,
    CODE_REQUEST = 1,
};

enum {
    ATTRIBUTE_USER_NAME = 1,
    ATTRIBUTE_USER_PASSWORD = 2,
    ATTRIBUTE_FILTER_ID = 11,
    ATTRIBUTE_REPLY_MESSAGE = 18,
    ATTRIBUTE_STATE = 24,
    ATTRIBUTE_CLASS = 25,
    ATTRIBUTE_CALLING_STATION_ID = 31,
    ATTRIBUTE_NAS_IDENTIFIER = 32,
    ATTRIBUTE_MESSAGE_AUTHENTICATOR = 80,
};

typedef struct {
    const void *data;
    size_t size;
} Part;

static void md5(uint8_t digest[MD5_SIZE], const Part *parts, unsigned count);
static void hmac_md5(uint8_t digest[MD5_SIZE], const char *secret, const Part *parts, unsigned count);
static bool add(GByteArray *packet, uint8_t type, const void *value, size_t size);
static bool add_text(GByteArray *packet, uint8_t type, const char *text);
static bool add_cut(GByteArray *packet, uint8_t type, const char *text);
static bool add_password(GByteArray *packet, const char *password, const uint8_t *authenticator,
                         const char *secret);
static bool find_signature(const uint8_t *data, size_t size, size_t *at, bool *well_formed);
static bool is_signed(const uint8_t *data, size_t size, size_t at, const RadiusRequest *request,
                      const char *secret);
static void read_attributes(RadiusAnswer *answer, const uint8_t *data, size_t size);
static void add_message(GString *message, const char *text, size_t size, bool *goes_on);

bool
radius_is_possible(void)
{
    uint8_t digest[MD5_SIZE];
    return gnutls_hash_fast(GNUTLS_DIG_MD5, "", 0, digest) == 0 &&
           gnutls_hmac_fast(GNUTLS_MAC_MD5, "k", 1, "", 0, digest) == 0;
}

bool
radius_request_build(RadiusRequest *request, const RadiusQuestion *question, uint8_t id,
                     const uint8_t authenticator[RADIUS_AUTHENTICATOR_SIZE], const char *secret)
{
    static const uint8_t ZEROES[MD5_SIZE];
    const uint8_t begin[4] = {CODE_REQUEST, id, 0, 0};
    GByteArray *packet = g_byte_array_sized_new(512);
    g_byte_array_append(packet, begin, sizeof begin);
    g_byte_array_append(packet, authenticator, RADIUS_AUTHENTICATOR_SIZE);
    size_t state_size = 0;
    const void *state = question->state != NULL ? g_bytes_get_data(question->state, &state_size) : NULL;
    /* The signature first: what stands before it could be chosen by an attacker (RFC 3579 as amended by
     * draft-ietf-radext-deprecating-radius). */
    bool fits = add(packet, ATTRIBUTE_MESSAGE_AUTHENTICATOR, ZEROES, sizeof ZEROES) &&
                add_text(packet, ATTRIBUTE_USER_NAME, question->user) &&
                add_password(packet, question->password, authenticator, secret) &&
                add_cut(packet, ATTRIBUTE_NAS_IDENTIFIER, question->nas_identifier) &&
                add_text(packet, ATTRIBUTE_CALLING_STATION_ID, question->calling_station) &&
                (state_size == 0 || add(packet, ATTRIBUTE_STATE, state, state_size));
    packet->data[2] = (uint8_t)(packet->len >> 8);
    packet->data[3] = (uint8_t)packet->len;
    const Part whole = {packet->data, packet->len};
    uint8_t digest[MD5_SIZE];
    hmac_md5(digest, secret, &whole, 1);
    memcpy(packet->data + HEADER_SIZE + 2, digest, sizeof digest);
    request->bytes = g_byte_array_steal(packet, &request->size);
    g_byte_array_unref(packet);
    if (!fits)
        radius_request_clear(request);
    return fits;
}

void
radius_request_clear(RadiusRequest *request)
{
    if (request->bytes != NULL)
        explicit_bzero(request->bytes, request->size);
    g_clear_pointer(&request->bytes, g_free);
    request->size = 0;
}

RadiusProof
radius_answer_read(RadiusAnswer *answer, const uint8_t *data, size_t size, const RadiusRequest *request,
                   const char *secret, bool must_be_signed)
{
    *answer = (RadiusAnswer){0};
    if (size < RADIUS_SIZE_MIN || data[1] != request->bytes[1] ||
        (data[0] != RADIUS_ACCEPT && data[0] != RADIUS_REJECT && data[0] != RADIUS_CHALLENGE))
        return RADIUS_MALFORMED;
    size_t length = (size_t)data[2] << 8 | data[3];
    if (length < RADIUS_SIZE_MIN || length > RADIUS_SIZE_MAX || length > size)
        return RADIUS_MALFORMED;
    size_t at = 0;
    bool well_formed;
    bool found = find_signature(data, length, &at, &well_formed);
    if (!well_formed)
        return RADIUS_MALFORMED;

    const Part parts[] = {{data, 4},
                          {request->bytes + 4, RADIUS_AUTHENTICATOR_SIZE},
                          {data + HEADER_SIZE, length - HEADER_SIZE},
                          {secret, strlen(secret)}};
    uint8_t digest[MD5_SIZE];
    md5(digest, parts, G_N_ELEMENTS(parts));
    if (gnutls_memcmp(digest, data + 4, sizeof digest) != 0)
        return RADIUS_FORGED;
    if (!found && must_be_signed)
        return RADIUS_UNSIGNED;
    if (found && !is_signed(data, length, at, request, secret))
        return RADIUS_FORGED;
    answer->code = data[0];
    answer->tags = g_array_new(FALSE, FALSE, sizeof(RadiusTag));
    read_attributes(answer, data, length);
    return RADIUS_TRUE;
}

void
radius_answer_clear(RadiusAnswer *answer)
{
    g_clear_pointer(&answer->message, g_free);
    g_clear_pointer(&answer->state, g_bytes_unref);
    g_clear_pointer(&answer->tags, g_array_unref);
}

static void
md5(uint8_t digest[MD5_SIZE], const Part *parts, unsigned count)
{
    gnutls_hash_hd_t hash;
    int status = gnutls_hash_init(&hash, GNUTLS_DIG_MD5);
    g_assert(status == 0); /* radius_is_possible */
    for (unsigned i = 0; i < count; i++)
        gnutls_hash(hash, parts[i].data, parts[i].size);
    gnutls_hash_deinit(hash, digest);
}

static void
hmac_md5(uint8_t digest[MD5_SIZE], const char *secret, const Part *parts, unsigned count)
{
    gnutls_hmac_hd_t hmac;
    int status = gnutls_hmac_init(&hmac, GNUTLS_MAC_MD5, secret, strlen(secret));
    g_assert(status == 0);
    for (unsigned i = 0; i < count; i++)
        gnutls_hmac(hmac, parts[i].data, parts[i].size);
    gnutls_hmac_deinit(hmac, digest);
}

static bool
add(GByteArray *packet, uint8_t type, const void *value, size_t size)
{
    if (size == 0 || size > RADIUS_VALUE_MAX)
        return false;
    const uint8_t head[2] = {type, (uint8_t)(size + 2)};
    g_byte_array_append(packet, head, sizeof head);
    g_byte_array_append(packet, value, (guint)size);
    return true;
}

static bool
add_text(GByteArray *packet, uint8_t type, const char *text)
{
    return text == NULL || add(packet, type, text, strlen(text));
}

/* Names of applications may be longer; the begin tells this server from others well enough. */
static bool
add_cut(GByteArray *packet, uint8_t type, const char *text)
{
    return text == NULL || *text == '\0' ||
           add(packet, type, text, MIN(strlen(text), (size_t)RADIUS_VALUE_MAX));
}

/* RFC 2865, 5.2: each block of 16 is hidden by the MD5 of the secret and the hidden block before it. */
static bool
add_password(GByteArray *packet, const char *password, const uint8_t *authenticator, const char *secret)
{
    uint8_t hidden[RADIUS_PASSWORD_MAX] = {0}, digest[MD5_SIZE];
    size_t length = strlen(password), size = (length + MD5_SIZE - 1) / MD5_SIZE * MD5_SIZE;
    if (length == 0 || length > RADIUS_PASSWORD_MAX)
        return false;
    memcpy(hidden, password, length);
    const uint8_t *before = authenticator;
    for (size_t i = 0; i < size; i += MD5_SIZE) {
        const Part parts[] = {{secret, strlen(secret)}, {before, MD5_SIZE}};
        md5(digest, parts, G_N_ELEMENTS(parts));
        for (size_t k = 0; k < MD5_SIZE; k++)
            hidden[i + k] ^= digest[k];
        before = hidden + i;
    }
    explicit_bzero(digest, sizeof digest);
    return add(packet, ATTRIBUTE_USER_PASSWORD, hidden, size);
}

/* *at: of the value.  One that is no attribute, or stands twice, makes the answer malformed. */
static bool
find_signature(const uint8_t *data, size_t size, size_t *at, bool *well_formed)
{
    bool found = false;
    *well_formed = false;
    for (size_t i = HEADER_SIZE; i < size; i += data[i + 1]) {
        if (size - i < 2 || data[i + 1] < 2 || data[i + 1] > size - i)
            return false;
        if (data[i] != ATTRIBUTE_MESSAGE_AUTHENTICATOR)
            continue;
        if (found || data[i + 1] != MD5_SIZE + 2)
            return false;
        found = true;
        *at = i + 2;
    }
    *well_formed = true;
    return found;
}

/* Over the packet with the request's authenticator in the header and zeroes where the signature stands. */
static bool
is_signed(const uint8_t *data, size_t size, size_t at, const RadiusRequest *request, const char *secret)
{
    static const uint8_t ZEROES[MD5_SIZE];
    const Part parts[] = {{data, 4},
                          {request->bytes + 4, RADIUS_AUTHENTICATOR_SIZE},
                          {data + HEADER_SIZE, at - HEADER_SIZE},
                          {ZEROES, sizeof ZEROES},
                          {data + at + MD5_SIZE, size - at - MD5_SIZE}};
    uint8_t digest[MD5_SIZE];
    hmac_md5(digest, secret, parts, G_N_ELEMENTS(parts));
    return gnutls_memcmp(digest, data + at, sizeof digest) == 0;
}

static void
read_attributes(RadiusAnswer *answer, const uint8_t *data, size_t size)
{
    g_autoptr(GString) message = g_string_new(NULL);
    bool goes_on = false;
    for (size_t i = HEADER_SIZE; i < size; i += data[i + 1]) {
        const uint8_t *value = data + i + 2;
        uint8_t value_size = (uint8_t)(data[i + 1] - 2);
        switch (data[i]) {
        case ATTRIBUTE_REPLY_MESSAGE:
            add_message(message, (const char *)value, value_size, &goes_on);
            break;
        case ATTRIBUTE_STATE:
            if (answer->state == NULL && value_size > 0)
                answer->state = g_bytes_new(value, value_size);
            break;
        case ATTRIBUTE_CLASS:
        case ATTRIBUTE_FILTER_ID:
            if (value_size > 0 && answer->tags->len < RADIUS_TAGS_MAX) {
                RadiusTag tag = {
                    data[i] == ATTRIBUTE_CLASS ? RADIUS_TAG_CLASS : RADIUS_TAG_FILTER_ID, value_size, {0}};
                memcpy(tag.value, value, value_size);
                g_array_append_val(answer->tags, tag);
            }
            break;
        default:
            break;
        }
    }
    /* What does not fit is cut off: no half a character then. */
    g_string_truncate(message, MIN(message->len, MESSAGE_MAX));
    const char *end =
        message->len > 0 ? g_utf8_find_prev_char(message->str, message->str + message->len) : NULL;
    if (message->len == MESSAGE_MAX && end != NULL && g_utf8_get_char_validated(end, -1) == (gunichar)-2)
        g_string_truncate(message, (gsize)(end - message->str));
    if (message->len > 0)
        answer->message = g_utf8_make_valid(message->str, (gssize)message->len);
}

/* Several are shown in their order (RFC 2865, 5.18), each on its line; one that fills its attribute goes
 * on in the next.  Some servers end them by a NUL, which is no text. */
static void
add_message(GString *message, const char *text, size_t size, bool *goes_on)
{
    size_t length = strnlen(text, size);
    if (length == 0 || message->len > MESSAGE_MAX)
        return;
    if (message->len > 0 && !*goes_on)
        g_string_append_c(message, '\n');
    g_string_append_len(message, text, (gssize)length);
    *goes_on = length == RADIUS_VALUE_MAX;
}
