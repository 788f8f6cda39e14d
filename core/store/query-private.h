/* query-private.h - the inside of a query, for its files: query.c (what matches, the cursor) and
 * query-source.c (where candidates come from). */
#pragma once

#include "store/query.h"
#include "store/store-private.h"

/* A place in the order of the query: behind this object. */
typedef struct {
    ConfKey key;        /* dbid 0: at the beginning */
    ConfObject *object; /* order name: holds the name; a reference */
    char *name;         /* the same, from a cursor */
} ConfQueryPosition;

typedef enum {
    CONF_SOURCE_NONE,      /* not chosen yet */
    CONF_SOURCE_GATHERED,  /* few candidates, gathered and sorted */
    CONF_SOURCE_CHILDREN,  /* of source_key, by key */
    CONF_SOURCE_REFERRERS, /* of source_key, by key */
    CONF_SOURCE_KEYS,      /* all of the type, or all, by key */
    CONF_SOURCE_NAMES,     /* all of the type, by name */
    CONF_SOURCE_ALL_NAMES, /* all of every type, by name */
    CONF_SOURCE_LAYERS,    /* all of a working set and of the store below it */
} ConfQuerySource;

struct ConfQuery {
    ConfStore *store;
    ConfState *state;         /* the store's own, or a working set over it: see query-layers.c */
    const ConfTypeInfo *type; /* NULL: any */
    ConfFilter *filter;
    ConfFilterHints hints;
    ConfQueryOrder order;
    ConfQueryFunc readable;
    void *data;

    ConfQueryPosition position; /* of the candidate looked at last */
    ConfQueryPosition given;    /* of the object given last: a cursor tells nothing of what may not be read */
    ConfQueryPosition given_before;

    ConfQuerySource source;
    ConfKey source_key;
    GPtrArray *gathered; /* ConfObject *, references, in order */
    unsigned gathered_next;
    const ConfObject **heads; /* ALL_NAMES: the next of each type, borrowed while the store is at `changes` */
    uint64_t changes;
    bool has_heads;
};

/* query-source.c */
/* The next candidate behind query->position, where that is set to then.  NULL: the end. */
const ConfObject *conf_query_next_candidate(ConfQuery *query);
/* The position was set from outside: the source is chosen anew. */
void conf_query_reset_source(ConfQuery *query);

/* Few enough to be gathered and sorted within a slice. */
enum { CONF_QUERY_GATHERED_MAX = 1000 };
/* Takes the objects (references) behind the position, sorts them, and makes them the source. */
void conf_query_take_gathered(ConfQuery *query, GPtrArray *objects);

/* query-layers.c */
static inline bool
conf_query_is_layered(const ConfQuery *query)
{
    return query->state != &query->store->state;
}
/* False: no narrow way; the source is not chosen then. */
bool conf_query_gather_layers(ConfQuery *query);
const ConfObject *conf_query_next_of_layers(ConfQuery *query);

/* query.c */
void conf_query_position_set(ConfQueryPosition *position, ConfQueryOrder order, const ConfObject *object);
void conf_query_position_clear(ConfQueryPosition *position);
ConfSlice conf_query_position_name(const ConfQueryPosition *position);
