/* json-scan-private.h - what reader and writer share: the scan over plain characters, and UTF-8. */
#pragma once

#include "base/bytes.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* True for the characters that stand for themselves in a JSON string and are ASCII. */
static inline bool
conf_json_is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Passes over plain characters; returns the first that is none, or `end`. */
static inline const char *
conf_json_skip_plain(const char *p, const char *end)
{
#ifdef __SSE2__
    while (end - p >= 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)p);
        /* Signed comparison: below 0x20 are the control characters and everything from 0x80 on. */
        __m128i special = _mm_or_si128(_mm_cmplt_epi8(block, _mm_set1_epi8(0x20)),
                                       _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')),
                                                    _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'))));
        unsigned mask = (unsigned)_mm_movemask_epi8(special);
        if (mask != 0)
            return p + __builtin_ctz(mask);
        p += 16;
    }
#else
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    while (end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
        /* A borrow may raise a false alarm in a higher byte, never miss one: the loop below looks again. */
        if ((((word - ones * 0x20) | word | (quote - ones) | (slash - ones)) & tops) != 0)
            break;
        p += 8;
    }
#endif
    while (p < end && conf_json_is_plain((unsigned char)*p))
        p++;
    return p;
}

/* The length of the UTF-8 sequence of two to four bytes that begins at p (RFC 3629); 0: it is none. */
static inline unsigned
conf_json_utf8_length(const char *p, const char *end)
{
    const unsigned char *u = (const unsigned char *)p;
    size_t left = (size_t)(end - p);
    if (u[0] < 0xc2 || u[0] > 0xf4 || left < 2 || (u[1] & 0xc0) != 0x80)
        return 0;
    if (u[0] < 0xe0)
        return 2;
    if (left < 3 || (u[2] & 0xc0) != 0x80)
        return 0;
    if (u[0] < 0xf0) {
        bool overlong = u[0] == 0xe0 && u[1] < 0xa0;
        bool surrogate = u[0] == 0xed && u[1] > 0x9f;
        return overlong || surrogate ? 0 : 3;
    }
    bool overlong = u[0] == 0xf0 && u[1] < 0x90;
    bool too_high = u[0] == 0xf4 && u[1] > 0x8f;
    if (left < 4 || (u[3] & 0xc0) != 0x80 || overlong || too_high)
        return 0;
    return 4;
}
