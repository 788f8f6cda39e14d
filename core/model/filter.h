/* filter.h - the filter of object.list and object.count (protocol.md 4), compiled once and matched against
 * bodies. */
#pragma once

#include "model/object.h"

typedef struct ConfFilter ConfFilter;
/* What the filter says about places and references; the caller (store) evaluates these, conf_filter_match
 * does not. */
typedef struct {
    bool has_folder;
    int64_t folder;       /* "folder":D directly in it (has_folder); with recursive: the subtree */
    bool folder_is_unset; /* "folder":null */
    bool recursive;
    bool has_refers_to;
    ConfKey refers_to;
    ConfSlice name;       /* "name" equal to one string: data NULL if not so; by index */
    const int64_t *dbids; /* "dbid": one or any of; by index */
    unsigned dbid_count;  /* valid if has_dbids */
    bool has_dbids;
    int64_t tenant; /* "tenant" equal to one dbid; 0: not so */
    /* A path whose value is one integer in a REF field: refersTo narrows the scan by it.  dbid 0: none. */
    ConfKey reference;
} ConfFilterHints;

/* `type` NULL: any type.  `tree` NULL or empty: everything.  Text is copied. */
ConfFilter *conf_filter_compile(const ConfSchema *schema, const ConfTypeInfo *type, const ConfJson *tree,
                                const char *at, ConfRpcError *error);
void conf_filter_free(ConfFilter *filter);
const ConfFilterHints *conf_filter_hints(const ConfFilter *filter);
/* All members but folder/recursive and refersTo (those marked in the hints are the caller's; name, dbid,
 * tenant and reference are checked here again). */
bool conf_filter_match(const ConfFilter *filter, const ConfObject *object);
/* {"like":...}: `*`, `?`, `\` escapes, by code point. */
bool conf_like_match(ConfSlice pattern, ConfSlice text);
