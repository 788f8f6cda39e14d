/* address-list.h - a list of addresses and networks, as options name them: "10.0.0.5, 192.168.0.0/16". */
#pragma once

#include <stdbool.h>

#include <glib.h>

typedef struct ConfAddressList ConfAddressList;

/* Addresses in numbers, separated by commas; /N behind one means the network of its first N bits.  At most
 * 1000.  NULL and "" are the empty list.  NULL: *error names the part that is wrong. */
ConfAddressList *conf_address_list_new(const char *text, GError **error);
void conf_address_list_free(ConfAddressList *list); /* NULL is allowed */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfAddressList, conf_address_list_free)
bool conf_address_list_is_empty(const ConfAddressList *list);
/* Is the address of the peer of this socket among them?  One without an address (a local socket) is not. */
bool conf_address_list_has_peer(const ConfAddressList *list, int fd);
