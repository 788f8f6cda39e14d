/* proxy-header.c - see proxy-header.h.  All numbers are big endian. */
#include "net/proxy-header.h"

#include <arpa/inet.h>
#include <string.h>

enum {
    COMMAND_LOCAL = 0x20,
    COMMAND_PROXY = 0x21,
    UNSPECIFIED = 0x00,
    TCP_OVER_IPV4 = 0x11,
    TCP_OVER_IPV6 = 0x21,
    UNIX_STREAM = 0x31,
    IPV4_SIZE = 12, /* two addresses, two ports */
    IPV6_SIZE = 36,
    UNIX_SIZE = 216,
};

static const uint8_t SIGNATURE[CONF_PROXY_SIGNATURE_SIZE] = {'\r', '\n', '\r', '\n', 0,   '\r',
                                                             '\n', 'Q',  'U',  'I',  'T', '\n'};

/* Of version 1, a line of text; no JSON begins like it. */
static const char OLD_SIGNATURE[] = "PROXY ";
enum { OLD_SEEN = 64, OLD_SIZE = sizeof(OLD_SIGNATURE) - 1 };

static uint8_t go_on_old(uint8_t seen, const uint8_t *bytes, size_t size);
static int refuse(const char **why, const char *text);
static size_t address_size(uint8_t family, bool *known);
static void read_address(const uint8_t *addresses, uint8_t family, ConfProxyHeader *header);

int
conf_proxy_header_parse(const void *data, size_t size, ConfProxyHeader *header, const char **why)
{
    const uint8_t *bytes = data;
    *header = (ConfProxyHeader){.has_address = false};
    if (size > 0 && memcmp(bytes, SIGNATURE, size < sizeof(SIGNATURE) ? size : sizeof(SIGNATURE)) != 0)
        return refuse(why, "A trusted balancer sent no PROXY header of version 2");
    if (size < CONF_PROXY_FIXED_SIZE)
        return (int)(CONF_PROXY_FIXED_SIZE - size);
    uint8_t command = bytes[12], family = bytes[13];
    size_t length = (size_t)bytes[14] << 8 | bytes[15];
    size_t whole = CONF_PROXY_FIXED_SIZE + length;
    if (command != COMMAND_LOCAL && command != COMMAND_PROXY)
        return refuse(why, "A PROXY header has another version or command than 2, LOCAL or PROXY");
    if (whole > CONF_PROXY_HEADER_MAX)
        return refuse(why, "A PROXY header is too long");
    bool known = false;
    size_t needed = command == COMMAND_PROXY ? address_size(family, &known) : 0;
    if (command == COMMAND_PROXY && (!known || length < needed))
        return refuse(why, "A PROXY header has addresses that are none of TCP");
    if (size < whole)
        return (int)(whole - size);
    header->is_passed_on = command == COMMAND_PROXY;
    /* What follows the addresses (TLVs) is not asked for. */
    if (command == COMMAND_PROXY)
        read_address(bytes + CONF_PROXY_FIXED_SIZE, family, header);
    return 0;
}

uint8_t
conf_proxy_signature_go_on(uint8_t seen, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    if (seen == 0 && size > 0 && bytes[0] == (uint8_t)OLD_SIGNATURE[0])
        seen = OLD_SEEN;
    if (seen >= OLD_SEEN)
        return go_on_old(seen, bytes, size);
    for (size_t i = 0; i < size && seen < CONF_PROXY_SIGNATURE_SIZE; i++, seen++) {
        if (bytes[i] != SIGNATURE[seen])
            return CONF_PROXY_NO_SIGNATURE;
    }
    return seen;
}

static uint8_t
go_on_old(uint8_t seen, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size && seen < OLD_SEEN + OLD_SIZE; i++, seen++) {
        if (bytes[i] != (uint8_t)OLD_SIGNATURE[seen - OLD_SEEN])
            return CONF_PROXY_NO_SIGNATURE;
    }
    return seen < OLD_SEEN + OLD_SIZE ? seen : CONF_PROXY_SIGNATURE_SIZE;
}

static int
refuse(const char **why, const char *text)
{
    *why = text;
    return -1;
}

static size_t
address_size(uint8_t family, bool *known)
{
    *known = true;
    switch (family) {
    case UNSPECIFIED:
        return 0;
    case TCP_OVER_IPV4:
        return IPV4_SIZE;
    case TCP_OVER_IPV6:
        return IPV6_SIZE;
    case UNIX_STREAM:
        return UNIX_SIZE;
    default:
        *known = false;
        return 0;
    }
}

static void
read_address(const uint8_t *addresses, uint8_t family, ConfProxyHeader *header)
{
    const uint8_t *port = NULL;
    if (family == TCP_OVER_IPV4) {
        inet_ntop(AF_INET, addresses, header->address, sizeof(header->address));
        port = addresses + 8;
    } else if (family == TCP_OVER_IPV6) {
        /* A balancer that listens on both at once tells of IPv4 in the other's form. */
        struct in6_addr whose;
        memcpy(&whose, addresses, sizeof(whose));
        bool mapped = IN6_IS_ADDR_V4MAPPED(&whose);
        inet_ntop(mapped ? AF_INET : AF_INET6, addresses + (mapped ? 12 : 0), header->address,
                  sizeof(header->address));
        port = addresses + 32;
    }
    header->has_address = port != NULL;
    if (port != NULL)
        header->port = (uint16_t)(port[0] << 8 | port[1]);
}
