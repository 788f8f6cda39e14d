/* json-number.c - numbers: the grammar of RFC 8259, integers within +-(2^53-1), and the range of a double.
 *
 * Whether a number fits a double is told from its digits alone: strtod() would want a NUL and the right
 * locale. */
#include "base/json-number-private.h"

#include "base/json-reader.h"

enum { INTEGER_DIGITS = 16, SAFE_DIGITS = 308, EXPONENT_CAP = 1000000000 };

/* 2^1024 - 2^970: from here on a decimal rounds to infinity. */
static const char OVERFLOW_DIGITS[] =
    "17976931348623158079372897140530341507993413271003782693617377898044496829276475094664901797758720709633"
    "02864166928879109465555478519404026306574886715058206819089020007083836762738548458177115317644757302700"
    "69855571366959622842914819860834936475292719074168444365510704342711559699508093042880177904174497792";
enum { OVERFLOW_MAGNITUDE = sizeof(OVERFLOW_DIGITS) - 2 };

static bool fits_double(const char *p, const char *end);
static bool is_below_overflow(const char *p, const char *end);

static inline bool
is_digit(const char *p, const char *end)
{
    return p < end && *p >= '0' && *p <= '9';
}

const char *
conf_json_scan_number(const char *start, const char *end, int64_t *integer, bool *is_integer,
                      const char **message, const char **wrong)
{
    const char *p = start;
    bool negative = *p == '-';
    p += negative;

    const char *digits = p;
    uint64_t value = 0;
    while (is_digit(p, end)) {
        /* Wraps where there are too many digits, and is not used then. */
        value = value * 10 + (uint64_t)(*p - '0');
        p++;
    }
    size_t length = (size_t)(p - digits);
    *wrong = p;
    *message = "A digit is missing in a number.";
    if (length == 0)
        return NULL;
    if (length > 1 && *digits == '0') {
        *wrong = digits;
        *message = "A number begins with a needless zero.";
        return NULL;
    }

    bool whole = true, scaled = length > SAFE_DIGITS;
    if (p < end && *p == '.') {
        whole = false;
        *wrong = ++p;
        if (!is_digit(p, end))
            return NULL;
        while (is_digit(p, end))
            p++;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        whole = false;
        scaled = true;
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        *wrong = p;
        if (!is_digit(p, end))
            return NULL;
        while (is_digit(p, end))
            p++;
    }
    if (scaled && !fits_double(digits, p)) {
        *wrong = start;
        *message = "A number is too large.";
        return NULL;
    }
    *is_integer = whole && length <= INTEGER_DIGITS && value <= (uint64_t)CONF_JSON_INTEGER_MAX;
    *integer = *is_integer ? (negative ? -(int64_t)value : (int64_t)value) : 0;
    return p;
}

/* p..end: a valid number without sign. */
static bool
fits_double(const char *p, const char *end)
{
    const char *first = NULL; /* the first digit that is not zero */
    int64_t magnitude = -1;   /* the power of ten of that digit, before the exponent */
    bool behind_point = false;
    const char *at = p;
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            behind_point = true;
            continue;
        }
        if (first == NULL && *at != '0') {
            first = at;
            magnitude = behind_point ? magnitude : 0;
        } else if (first == NULL) {
            magnitude -= behind_point;
        } else {
            magnitude += !behind_point;
        }
    }
    if (first == NULL)
        return true;

    const char *mantissa_end = at;
    int64_t exponent = 0;
    bool negative = false;
    if (at < end)
        at++;
    if (at < end && (*at == '+' || *at == '-'))
        negative = *at++ == '-';
    for (; at < end; at++)
        exponent = MIN(exponent * 10 + (*at - '0'), (int64_t)EXPONENT_CAP * 100);
    magnitude += negative ? -exponent : exponent;
    if (magnitude != OVERFLOW_MAGNITUDE)
        return magnitude < OVERFLOW_MAGNITUDE;
    return is_below_overflow(first, mantissa_end);
}

/* p..end: digits, a point among them perhaps, of a number of the magnitude of OVERFLOW_DIGITS. */
static bool
is_below_overflow(const char *p, const char *end)
{
    for (const char *limit = OVERFLOW_DIGITS; *limit != '\0'; limit++) {
        if (p < end && *p == '.')
            p++;
        char digit = p < end ? *p++ : '0';
        if (digit != *limit)
            return digit < *limit;
    }
    return false;
}
