/* radius-packet.h - packets of RADIUS (RFC 2865, 2869, 3579): a request is built, an answer is proved and
 * read.
 *
 * Pure: no sockets, no clock.  An answer is bytes from outside; nothing of it is trusted before both of
 * its proofs hold: the Response Authenticator (RFC 2865, 3), which is broken by now (CVE-2024-3596), and
 * the Message-Authenticator (RFC 3579, 3.2), which is not. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

enum {
    RADIUS_SIZE_MIN = 20,
    RADIUS_SIZE_MAX = 4096,
    RADIUS_AUTHENTICATOR_SIZE = 16,
    RADIUS_VALUE_MAX = 253, /* bytes of an attribute's value */
    RADIUS_TAGS_MAX = 256,  /* values of Class and Filter-Id that are taken from one answer */
    RADIUS_PASSWORD_MAX = 128,
};

typedef enum { RADIUS_ACCEPT = 2, RADIUS_REJECT = 3, RADIUS_CHALLENGE = 11 } RadiusCode;

/* Texts of at most RADIUS_VALUE_MAX bytes, the password of RADIUS_PASSWORD_MAX. */
typedef struct {
    const char *user, *password;
    const char *nas_identifier;  /* may be longer; then its begin is sent */
    const char *calling_station; /* the client's address; may be NULL */
    GBytes *state;               /* of the challenge that is answered; NULL: none */
} RadiusQuestion;

typedef struct {
    uint8_t *bytes; /* wiped by radius_request_clear */
    size_t size;
} RadiusRequest;

typedef enum { RADIUS_TAG_CLASS, RADIUS_TAG_FILTER_ID } RadiusTagKind;

/* What the server knows the person by: for groups. */
typedef struct {
    RadiusTagKind kind;
    uint8_t size;
    uint8_t value[RADIUS_VALUE_MAX];
} RadiusTag;

typedef struct {
    RadiusCode code;
    char *message; /* Reply-Message, valid UTF-8; NULL: none */
    GBytes *state; /* NULL: none */
    GArray *tags;  /* RadiusTag, in order */
} RadiusAnswer;

typedef enum {
    RADIUS_TRUE,
    RADIUS_MALFORMED, /* no answer at all, or none to this request */
    RADIUS_FORGED,    /* without knowledge of the secret */
    RADIUS_UNSIGNED,  /* no Message-Authenticator, and one is required */
} RadiusProof;

/* False: the library has no MD5 (FIPS mode). */
bool radius_is_possible(void);
/* An Access-Request of PAP, Message-Authenticator first.  False: something is longer than it may be. */
bool radius_request_build(RadiusRequest *request, const RadiusQuestion *question, uint8_t id,
                          const uint8_t authenticator[RADIUS_AUTHENTICATOR_SIZE], const char *secret);
void radius_request_clear(RadiusRequest *request);
/* *answer is filled with RADIUS_TRUE only. */
RadiusProof radius_answer_read(RadiusAnswer *answer, const uint8_t *data, size_t size,
                               const RadiusRequest *request, const char *secret, bool must_be_signed);
void radius_answer_clear(RadiusAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RadiusAnswer, radius_answer_clear)
