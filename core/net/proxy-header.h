/* proxy-header.h - the header by which a balancer says whose connection it passes on: version 2 of "The PROXY
 * protocol" of HAProxy.  Reads bytes from outside; knows no connection. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CONF_PROXY_SIGNATURE_SIZE = 12,
    CONF_PROXY_FIXED_SIZE = 16,
    CONF_PROXY_HEADER_MAX =
        4096, /* longer ones are refused; real ones with all TLVs have some hundred bytes */
};

typedef struct {
    bool is_passed_on; /* a client's connection; else the balancer speaks for itself (a health check) */
    bool has_address;  /* of the client; else the balancer does not know it */
    char address[INET6_ADDRSTRLEN];
    uint16_t port;
} ConfProxyHeader;

/* Looks at the `size` bytes that came.  Returns how many more to read before the next look, never beyond the
 * header's end; 0: *header is filled (all `size` bytes are the header); -1: it is none, *why (static) says
 * why. */
int conf_proxy_header_parse(const void *data, size_t size, ConfProxyHeader *header, const char **why);

/* For streams that must not begin with a header, of version 1 neither: `seen` is 0 or what the call for
 * the bytes before returned.  Returns CONF_PROXY_SIGNATURE_SIZE: it is a header; CONF_PROXY_NO_SIGNATURE:
 * it is none. */
enum { CONF_PROXY_NO_SIGNATURE = 255 };
uint8_t conf_proxy_signature_go_on(uint8_t seen, const void *data, size_t size);
