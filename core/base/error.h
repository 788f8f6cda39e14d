/* error.h - errors told to an operator (GError domain CONF_ERROR); errors told to a client are in
 * rpc/rpc-error.h. */
#pragma once

#include <glib.h>

typedef enum {
    CONF_ERROR_FAILED,
    CONF_ERROR_INVALID,     /* what was given (option, file, schema, argument) is wrong: exit status 2 */
    CONF_ERROR_UNAVAILABLE, /* a server, a database or a file cannot be reached now; trying later may help */
    CONF_ERROR_EXISTS,
    CONF_ERROR_NOT_FOUND,
    CONF_ERROR_DENIED,
    CONF_ERROR_HELD,    /* another server holds the lease */
    CONF_ERROR_DEPOSED, /* this server's epoch is over */
    CONF_ERROR_UNKNOWN, /* it cannot be told whether the commit happened */
    CONF_ERROR_FULL,    /* a disk, a queue */
    CONF_ERROR_NEWER,   /* the database is newer than this program */
    CONF_ERROR_DIVERGED,
} ConfError;

#define CONF_ERROR (conf_error_quark())
/* Plugins set errors of this domain too. */
__attribute__((visibility("default"))) GQuark conf_error_quark(void);
