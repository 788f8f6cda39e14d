/* address-list.c - see address-list.h. */
#include "net/address-list.h"

#include <string.h>

#include "base/error.h"
#include "net/address-private.h"

enum { ENTRIES_MAX = 1000, MAPPED_BITS = 96 };

typedef struct {
    ConfAddress address;
    unsigned bits;
} Entry;

struct ConfAddressList {
    GArray *entries;
};

static bool parse_entry(char *text, Entry *entry);
static void make_plain(Entry *entry);
static const uint8_t *bytes_of(const ConfAddress *address, unsigned *bits);
static bool matches(const Entry *entry, const ConfAddress *address);

ConfAddressList *
conf_address_list_new(const char *text, GError **error)
{
    g_autoptr(ConfAddressList) list = g_new0(ConfAddressList, 1);
    list->entries = g_array_new(FALSE, FALSE, sizeof(Entry));
    g_auto(GStrv) parts = g_strsplit(text != NULL ? text : "", ",", ENTRIES_MAX + 1);
    for (unsigned i = 0; parts[i] != NULL; i++) {
        Entry entry;
        g_autofree char *part = g_strdup(g_strstrip(parts[i]));
        if (*part == '\0')
            continue;
        if (!parse_entry(parts[i], &entry)) {
            g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                        "\"%.80s\" is neither an address in numbers nor a network ADDRESS/BITS", part);
            return NULL;
        }
        g_array_append_val(list->entries, entry);
    }
    return g_steal_pointer(&list);
}

void
conf_address_list_free(ConfAddressList *list)
{
    if (list == NULL)
        return;
    g_array_unref(list->entries);
    g_free(list);
}

bool
conf_address_list_is_empty(const ConfAddressList *list)
{
    return list->entries->len == 0;
}

bool
conf_address_list_has_peer(const ConfAddressList *list, int fd)
{
    ConfAddress peer = {0};
    socklen_t size = sizeof(peer);
    if (getpeername(fd, &peer.any, &size) < 0)
        return false;
    for (unsigned i = 0; i < list->entries->len; i++) {
        if (matches(&g_array_index(list->entries, Entry, i), &peer))
            return true;
    }
    return false;
}

static bool
parse_entry(char *text, Entry *entry)
{
    char *slash = strchr(text, '/');
    unsigned all;
    if (slash != NULL)
        *slash = '\0';
    if (!conf_address_parse(text, 0, &entry->address))
        return false;
    bytes_of(&entry->address, &all);
    guint64 bits = all;
    if (slash != NULL && !g_ascii_string_to_unsigned(slash + 1, 10, 0, all, &bits, NULL))
        return false;
    entry->bits = (unsigned)bits;
    make_plain(entry);
    return true;
}

/* IPv4 in the form that sockets of both kinds see it in: ours are of one kind each. */
static void
make_plain(Entry *entry)
{
    struct in6_addr mapped = entry->address.v6.sin6_addr;
    if (entry->address.any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&mapped) ||
        entry->bits < MAPPED_BITS)
        return;
    entry->address = (ConfAddress){.v4 = {.sin_family = AF_INET}};
    memcpy(&entry->address.v4.sin_addr, mapped.s6_addr + MAPPED_BITS / 8, sizeof(entry->address.v4.sin_addr));
    entry->bits -= MAPPED_BITS;
}

/* NULL: an address of another kind. */
static const uint8_t *
bytes_of(const ConfAddress *address, unsigned *bits)
{
    *bits = address->any.sa_family == AF_INET6 ? 128 : 32;
    if (address->any.sa_family == AF_INET)
        return (const uint8_t *)&address->v4.sin_addr;
    return address->any.sa_family == AF_INET6 ? (const uint8_t *)&address->v6.sin6_addr : NULL;
}

static bool
matches(const Entry *entry, const ConfAddress *address)
{
    unsigned bits;
    const uint8_t *wanted = bytes_of(&entry->address, &bits), *found = bytes_of(address, &bits);
    if (found == NULL || address->any.sa_family != entry->address.any.sa_family)
        return false;
    unsigned whole = entry->bits / 8, rest = entry->bits % 8;
    if (memcmp(wanted, found, whole) != 0)
        return false;
    return rest == 0 || (wanted[whole] ^ found[whole]) >> (8 - rest) == 0;
}
