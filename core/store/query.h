/* query.h - evaluation of a compiled filter over the store in slices: picks the narrowest index (dbid,
 * name, folder, referrer, type), keeps a cursor that is a key, never a position.  Main loop only. */
#pragma once

#include "model/filter.h"
#include "store/store.h"

typedef struct ConfQuery ConfQuery;
typedef enum { CONF_ORDER_DBID, CONF_ORDER_NAME } ConfQueryOrder;
/* May this object take part?  (rights) */
typedef bool (*ConfQueryFunc)(const ConfObject *object, void *data);

/* `type` NULL: any.  Takes `filter`.  `readable` is asked for every candidate, for what refersTo names and
 * for recursive folders' objects (folders that one may not read do not cut off what is below them). */
ConfQuery *conf_query_new(ConfStore *store, const ConfTypeInfo *type, ConfFilter *filter,
                          ConfQueryOrder order, ConfQueryFunc readable, void *data);
void conf_query_free(ConfQuery *query);
/* What is looked at is `state`, a working set over the store whose index is a full one (past.h), borrowed,
 * in place of the store as it is. `readable` is then asked of objects as they are in it. */
void conf_query_set_state(ConfQuery *query, ConfState *state);
/* Opaque to clients: text that holds the position; -32602 if it is not one of this order. */
bool conf_query_set_cursor(ConfQuery *query, ConfSlice cursor, const char *at, ConfRpcError *error)
    G_GNUC_WARN_UNUSED_RESULT;
void conf_query_write_cursor(const ConfQuery *query, ConfBuffer *buffer); /* as a JSON string */
/* The next match, borrowed until the store changes.  NULL: see *verdict: at the end, or the slice is over
 * (call again in the next one). */
typedef enum { CONF_QUERY_END, CONF_QUERY_AGAIN } ConfQueryVerdict;
const ConfObject *conf_query_next(ConfQuery *query, ConfQueryVerdict *verdict);
/* Steps back by the object just given, so that it comes again on the next page (it did not fit). */
void conf_query_put_back(ConfQuery *query);
