/* address.c - "host:port,[::1]:port" taken apart. */
#include "client-private.h"

#include <string.h>

static ConfcAddress *parse_one(const char *text, GError **error);
static void address_free(void *data);

GPtrArray *
confc_addresses_parse(const char *text, GError **error)
{
    g_autoptr(GPtrArray) addresses = g_ptr_array_new_with_free_func(address_free);
    g_auto(GStrv) parts = g_strsplit(text != NULL ? text : "", ",", -1);
    for (unsigned i = 0; parts[i] != NULL; i++) {
        ConfcAddress *address = parse_one(g_strstrip(parts[i]), error);
        if (address == NULL)
            return NULL;
        g_ptr_array_add(addresses, address);
    }
    if (addresses->len > 0)
        return g_steal_pointer(&addresses);
    g_set_error_literal(error, CONFC_ERROR, CONFC_ERROR_ARGUMENT, "No address of a server was given");
    return NULL;
}

static ConfcAddress *
parse_one(const char *text, GError **error)
{
    const char *host = text, *end;
    if (text[0] == '[') {
        host++;
        end = strchr(host, ']');
    } else {
        end = strchr(host, ':');
    }
    const char *colon = end == NULL ? NULL : text[0] == '[' ? end + 1 : end;
    bool fine = colon != NULL && end > host && *colon == ':' && strchr(colon + 1, ':') == NULL;
    guint64 port = 0;
    if (!fine || !g_ascii_string_to_unsigned(colon + 1, 10, 1, G_MAXUINT16, &port, NULL)) {
        g_set_error(error, CONFC_ERROR, CONFC_ERROR_ARGUMENT,
                    "\"%s\" is no address: HOST:PORT or [IPV6]:PORT is meant", text);
        return NULL;
    }
    ConfcAddress *address = g_new0(ConfcAddress, 1);
    address->host = g_strndup(host, (gsize)(end - host));
    address->port = (guint16)port;
    address->text = g_strdup(text);
    return address;
}

static void
address_free(void *data)
{
    ConfcAddress *address = data;
    g_free(address->host);
    g_free(address->text);
    g_free(address);
}
