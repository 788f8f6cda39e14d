/* methods.h - the families of methods; each file adds its own to the table.  They read through the session
 * and write through the sink: they do not know the server's role. */
#pragma once

#include "plugin/loader.h"
#include "session/session.h"

typedef struct {
    ConfSessions *sessions;
    ConfStore *store;
    ConfAccess *access;
    ConfWriteSink *sink; /* the role's; may be exchanged at run time */
    /* maxAge: milliseconds since the server last knew (its master's position, or its own right to commit). */
    int64_t (*knowledge_age)(void *data);
    /* Makes sure of it now, func once; NULL where it cannot (a proxy). */
    void (*confirm)(void (*func)(bool confirmed, void *data), void *func_data, void *data);
    void *data;
    ConfPluginHost *plugins; /* who provides "history"; NULL: nobody */
} ConfMethodsContext;

typedef struct ConfMethods ConfMethods;
/* session.*, object.*, transaction, permission.*, account.*, subscription.*, server.schema */
ConfMethods *conf_methods_new(ConfMethodTable *table, const ConfMethodsContext *context);
void conf_methods_free(ConfMethods *methods);
typedef struct {
    uint64_t reads, lists, counts, writes;
} ConfMethodsStatistics;
const ConfMethodsStatistics *conf_methods_statistics(const ConfMethods *methods);
