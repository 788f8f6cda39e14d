/* fuzz-proxy-header.c - any bytes as the beginning of a balancer's connection: a header is read to its end
 * and no further, whatever pieces it comes in; the rest is told to be none. */
#include <stdint.h>
#include <string.h>

#include <glib.h>

#include "net/proxy-header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ConfProxyHeader header;
    const char *why = NULL;
    size_t have = 0;
    int missing;
    /* In memory of its own size, so that a sanitizer sees a byte too far. */
    while ((missing = conf_proxy_header_parse(data, have, &header, &why)) > 0) {
        g_assert_cmpuint(have + (size_t)missing, <=, CONF_PROXY_HEADER_MAX);
        if (have + (size_t)missing > size)
            break;
        have += (size_t)missing;
        g_autofree uint8_t *copy = g_memdup2(data, have);
        ConfProxyHeader again;
        int next = conf_proxy_header_parse(copy, have, &again, &why);
        g_assert_cmpint(next, ==, conf_proxy_header_parse(data, have, &header, &why));
    }
    if (missing < 0)
        g_assert_nonnull(why);
    if (missing == 0) {
        g_assert_nonnull(memchr(header.address, '\0', sizeof(header.address)));
        g_assert_cmpint(header.has_address, ==, header.address[0] != '\0');
        /* Whoever may not send one is found out by it, in whatever pieces. */
        size_t half = size > 0 ? data[size - 1] % (have + 1) : 0;
        uint8_t seen = conf_proxy_signature_go_on(0, data, half);
        seen = conf_proxy_signature_go_on(seen, data + half, have - half);
        g_assert_cmpuint(seen, ==, CONF_PROXY_SIGNATURE_SIZE);
    }
    return 0;
}
