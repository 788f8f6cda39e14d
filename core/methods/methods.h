/* methods.h - the families of methods; each file adds its own to the table.  They read through the session and write
 * through the sink: they do not know the server's role. */
#pragma once

#include "session/session.h"

typedef struct {
    ConfSessions *sessions;
    ConfStore *store;
    ConfAccess *access;
    ConfWriteSink *sink; /* the role's; may be exchanged at run time */
    /* maxAge: seconds since the server last knew (its master's position, or its right to commit). False and *error
     * (-32013 with data.age) where older than `max_age_s`. */
    bool (*is_fresh)(int64_t max_age_s, ConfRpcError *error, void *data);
    void *data;
} ConfMethodsContext;

typedef struct ConfMethods ConfMethods;
/* session.*, object.*, transaction, permission.*, account.*, subscription.*, server.schema */
ConfMethods *conf_methods_new(ConfMethodTable *table, const ConfMethodsContext *context);
void conf_methods_free(ConfMethods *methods);
typedef struct { uint64_t reads, lists, counts, writes; } ConfMethodsStatistics;
const ConfMethodsStatistics *conf_methods_statistics(const ConfMethods *methods);
