/* like.c - patterns with * and ?. */
#include <string.h>

#include "model/filter.h"

/* Where the code point ends that begins at p. */
static const char *
after_code_point(const char *p, const char *end)
{
    p++;
    while (p < end && ((unsigned char)*p & 0xc0) == 0x80)
        p++;
    return p;
}

/* One star is remembered: what an earlier one could take, the last one can take as well. */
bool
conf_like_match(ConfSlice pattern, ConfSlice text)
{
    const char *p = pattern.data, *p_end = p + pattern.size;
    const char *t = text.data, *t_end = t + text.size;
    const char *star = NULL, *taken = NULL; /* behind the star; what it took ends here */
    while (t < t_end) {
        if (p < p_end && *p == '*') {
            star = ++p;
            taken = t;
            if (p == p_end)
                return true;
            continue;
        }
        if (p < p_end && *p == '?') {
            p++;
            t = after_code_point(t, t_end);
            continue;
        }
        const char *literal = p < p_end && *p == '\\' && p + 1 < p_end ? p + 1 : p;
        if (p < p_end && *literal == *t) {
            p = literal + 1;
            t++;
            continue;
        }
        if (star == NULL)
            return false;
        /* Where the next try begins; a byte that must follow the star is sought at once. */
        taken = after_code_point(taken, t_end);
        if (*star != '*' && *star != '?' && *star != '\\') {
            taken = memchr(taken, *star, (size_t)(t_end - taken));
            if (taken == NULL)
                return false;
        }
        p = star;
        t = taken;
    }
    while (p < p_end && *p == '*')
        p++;
    return p == p_end;
}
