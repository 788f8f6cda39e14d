/* test-radius-packet.c - packets of RADIUS against the examples of RFC 2865, section 7, and what must not
 * be proved by them. */
#include <glib.h>
#include <string.h>

#include "radius-packet.h"

#define SECRET "xyzzy5461"

static const uint8_t AUTHENTICATOR[16] = {0x0f, 0x40, 0x3f, 0x94, 0x73, 0x97, 0x80, 0x57,
                                          0xbd, 0x83, 0xd5, 0xcb, 0x98, 0xf4, 0x22, 0x7a};
static const uint8_t ACCEPT[38] = {0x02, 0x00, 0x00, 0x26, 0x86, 0xfe, 0x22, 0x0e, 0x76, 0x24,
                                   0xba, 0x2a, 0x10, 0x05, 0xf6, 0xbf, 0x9b, 0x55, 0xe0, 0xb2,
                                   0x06, 0x06, 0x00, 0x00, 0x00, 0x01, 0x0f, 0x06, 0x00, 0x00,
                                   0x00, 0x00, 0x0e, 0x06, 0xc0, 0xa8, 0x01, 0x03};

static const uint8_t *
find(const RadiusRequest *request, uint8_t type, size_t *size)
{
    for (size_t i = 20; i < request->size; i += request->bytes[i + 1]) {
        *size = request->bytes[i + 1] - 2u;
        if (request->bytes[i] == type)
            return request->bytes + i + 2;
    }
    return NULL;
}

static bool
build(RadiusRequest *request, const char *user, const char *password)
{
    const RadiusQuestion question = {.user = user, .password = password, .nas_identifier = "nas"};
    return radius_request_build(request, &question, 0, AUTHENTICATOR, SECRET);
}

static void
test_request(void)
{
    static const uint8_t HIDDEN[16] = {0x0d, 0xbe, 0x70, 0x8d, 0x93, 0xd4, 0x13, 0xce,
                                       0x31, 0x96, 0xe4, 0x3f, 0x78, 0x2a, 0x0a, 0xee};
    RadiusRequest request = {0};
    size_t size = 0;
    g_assert_true(radius_is_possible());
    g_assert_true(build(&request, "nemo", "arctangent"));
    g_assert_cmpuint(request.bytes[0], ==, 1);
    g_assert_cmpuint(request.bytes[1], ==, 0);
    g_assert_cmpuint((unsigned)request.bytes[2] << 8 | request.bytes[3], ==, request.size);
    g_assert_cmpmem(request.bytes + 4, 16, AUTHENTICATOR, 16);
    g_assert_cmpuint(request.bytes[20], ==, 80);
    const uint8_t *password = find(&request, 2, &size);
    g_assert_cmpmem(password, size, HIDDEN, sizeof HIDDEN);
    const uint8_t *name = find(&request, 1, &size);
    g_assert_cmpmem(name, size, "nemo", 4);
    /* The signature by another implementation. */
    uint8_t signature[16], made[16];
    gsize made_size = sizeof made;
    memcpy(signature, request.bytes + 22, 16);
    memset(request.bytes + 22, 0, 16);
    GHmac *hmac = g_hmac_new(G_CHECKSUM_MD5, (const uint8_t *)SECRET, strlen(SECRET));
    g_hmac_update(hmac, request.bytes, (gssize)request.size);
    g_hmac_get_digest(hmac, made, &made_size);
    g_hmac_unref(hmac);
    g_assert_cmpmem(made, 16, signature, 16);
    radius_request_clear(&request);
    g_assert_null(request.bytes);
}

static void
test_sizes(void)
{
    RadiusRequest request = {0};
    size_t size = 0;
    g_autofree char *long_name = g_strnfill(254, 'n'), *long_password = g_strnfill(129, 'p');
    g_assert_false(build(&request, "", "x"));
    g_assert_false(build(&request, "nemo", ""));
    g_assert_false(build(&request, long_name, "x"));
    g_assert_false(build(&request, "nemo", long_password));
    g_assert_null(request.bytes);
    static const unsigned sizes[][2] = {{1, 16}, {15, 16}, {16, 16}, {17, 32}, {128, 128}};
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        long_password[sizes[i][0]] = '\0';
        g_assert_true(build(&request, long_name + 1, long_password));
        g_assert_nonnull(find(&request, 2, &size));
        g_assert_cmpuint(size, ==, sizes[i][1]);
        radius_request_clear(&request);
        memset(long_password, 'p', 128);
    }
    const RadiusQuestion named = {.user = "nemo", .password = "x", .nas_identifier = long_name};
    g_assert_true(radius_request_build(&request, &named, 0, AUTHENTICATOR, SECRET));
    g_assert_nonnull(find(&request, 32, &size));
    g_assert_cmpuint(size, ==, RADIUS_VALUE_MAX);
    radius_request_clear(&request);
}

static void
test_answer(void)
{
    RadiusRequest request = {0};
    g_auto(RadiusAnswer) answer = {0};
    uint8_t changed[sizeof ACCEPT + 4];
    g_assert_true(build(&request, "nemo", "arctangent"));
    g_assert_cmpint(radius_answer_read(&answer, ACCEPT, sizeof ACCEPT, &request, SECRET, true), ==,
                    RADIUS_UNSIGNED);
    g_assert_cmpint(radius_answer_read(&answer, ACCEPT, sizeof ACCEPT, &request, "other", false), ==,
                    RADIUS_FORGED);
    for (unsigned i = 0; i < sizeof ACCEPT; i++) {
        memcpy(changed, ACCEPT, sizeof ACCEPT);
        changed[i] ^= 0x40;
        g_assert_cmpint(radius_answer_read(&answer, changed, sizeof ACCEPT, &request, SECRET, false), !=,
                        RADIUS_TRUE);
        g_assert_cmpint(radius_answer_read(&answer, ACCEPT, i, &request, SECRET, false), ==,
                        RADIUS_MALFORMED);
    }
    /* What stands behind the end is padding. */
    memcpy(changed, ACCEPT, sizeof ACCEPT);
    g_assert_cmpint(radius_answer_read(&answer, changed, sizeof changed, &request, SECRET, false), ==,
                    RADIUS_TRUE);
    g_assert_cmpint(answer.code, ==, RADIUS_ACCEPT);
    g_assert_null(answer.message);
    g_assert_cmpuint(answer.tags->len, ==, 0);
    /* An answer to another question. */
    request.bytes[4] ^= 1;
    RadiusAnswer other;
    g_assert_cmpint(radius_answer_read(&other, ACCEPT, sizeof ACCEPT, &request, SECRET, false), ==,
                    RADIUS_FORGED);
    radius_request_clear(&request);
}

/* An unsigned answer with these bytes as attributes; returns its Reply-Message. */
static char *
message_of(const void *attributes, size_t size)
{
    RadiusRequest request = {0};
    uint8_t packet[RADIUS_SIZE_MAX] = {RADIUS_REJECT, 0, (uint8_t)((20 + size) >> 8), (uint8_t)(20 + size)};
    gsize digest_size = 16;
    RadiusAnswer answer;
    g_assert_cmpuint(20 + size, <=, sizeof packet);
    g_assert_true(build(&request, "nemo", "arctangent"));
    memcpy(packet + 20, attributes, size);
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_MD5);
    g_checksum_update(checksum, packet, 4);
    g_checksum_update(checksum, AUTHENTICATOR, 16);
    g_checksum_update(checksum, packet + 20, (gssize)size);
    g_checksum_update(checksum, (const uint8_t *)SECRET, strlen(SECRET));
    g_checksum_get_digest(checksum, packet + 4, &digest_size);
    g_assert_cmpint(radius_answer_read(&answer, packet, 20 + size, &request, SECRET, false), ==, RADIUS_TRUE);
    char *message = g_steal_pointer(&answer.message);
    radius_answer_clear(&answer);
    radius_request_clear(&request);
    return message;
}

static void
add_text(GByteArray *attributes, const char *text, size_t size)
{
    const uint8_t head[2] = {18, (uint8_t)(size + 2)};
    g_byte_array_append(attributes, head, 2);
    g_byte_array_append(attributes, (const uint8_t *)text, (guint)size);
}

/* Several texts are lines; one that fills its attribute goes on in the next; no NUL, and no half a
 * character. */
static void
test_messages(void)
{
    static const struct {
        const char *parts[3], *message;
        size_t sizes[3];
    } cases[] = {
        {{"one", "two", "three"}, "one\ntwo\nthree", {3, 3, 5}},
        {{"one", "", "two"}, "one\ntwo", {3, 0, 3}},
        {{"a\0b", "\0", "c\0"}, "a\nc", {3, 1, 2}},
        {{"", "\0\0", ""}, NULL, {0, 2, 0}},
        {{"\xff", "\xc3", "\xa4"}, "\xef\xbf\xbd\n\xef\xbf\xbd\n\xef\xbf\xbd", {1, 1, 1}},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GByteArray) attributes = g_byte_array_new();
        for (unsigned k = 0; k < 3; k++)
            add_text(attributes, cases[i].parts[k], cases[i].sizes[k]);
        g_autofree char *message = message_of(attributes->data, attributes->len);
        g_assert_cmpstr(message, ==, cases[i].message);
    }
    /* A character across the border of two attributes; 1,024 bytes at most. */
    g_autoptr(GString) text = g_string_new("x");
    while (text->len < 2000)
        g_string_append(text, "\xc3\xa4");
    g_autoptr(GByteArray) attributes = g_byte_array_new();
    for (size_t at = 0; at < text->len; at += RADIUS_VALUE_MAX)
        add_text(attributes, text->str + at, MIN(text->len - at, RADIUS_VALUE_MAX));
    g_autofree char *message = message_of(attributes->data, attributes->len);
    g_string_truncate(text, 1023);
    g_assert_cmpstr(message, ==, text->str);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/radius-packet/request", test_request);
    g_test_add_func("/radius-packet/sizes", test_sizes);
    g_test_add_func("/radius-packet/answer", test_answer);
    g_test_add_func("/radius-packet/messages", test_messages);
    return g_test_run();
}
