/* auth-lookup.h - the addresses of a directory's server: read where they are numbers, else looked up by the
 * plugin's threads.  All of it is called on the main loop. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "plugin/confserv-plugin.h"

enum { AUTH_ADDRESSES_MAX = 8 };

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} AuthAddress;

typedef struct AuthName AuthName;
struct AuthName {
    ConfPlugin *plugin;
    char *host;
    uint16_t port;
    int socket_type;
    bool is_numeric; /* never looked up */
    bool is_awaited; /* a look-up is under way */
    int64_t looked_up_at;
    AuthAddress addresses[AUTH_ADDRESSES_MAX];
    unsigned count;
    /* The look-up has ended: there are others than before, or not; count 0: none is known. */
    void (*ended)(void *data, bool changed);
    void *data;
};

/* All 0 before; copies host.  A number is read at once. */
void auth_name_init(AuthName *name, ConfPlugin *plugin, const char *host, uint16_t port, int socket_type,
                    void (*ended)(void *data, bool changed), void *data);
/* Not while it is awaited. */
void auth_name_clear(AuthName *name);
/* Looks the name up where that was not done lately, or `now`.  True: that is under way, and ended()
 * follows before the plugin is unloaded; the owner keeps the name until then.  False: there is nothing to
 * wait for. */
bool auth_name_look_up(AuthName *name, bool now);
socklen_t auth_address_size(const AuthAddress *address);
