/* address.h - how requests name an object: {"type","dbid"}, {"type","name","tenant"?} or {"path"}.  Main
 * loop only. */
#pragma once

#include "base/json-tree.h"
#include "rpc/rpc-error.h"
#include "store/state.h"

/* Among what `state` holds, as far as `readable` says yes. */
typedef struct {
    const ConfSchema *schema;
    const ConfState *state;
    ConfTypeId type; /* where none is said; 0: one must be */
    bool (*readable)(const ConfObject *object, void *data);
    void *data;
} ConfFinding;
/* `at` is where params stand ("" the request's own).  NULL: *error (-32602, or -32004 for what is missing
 * or not readable alike). */
const ConfObject *conf_address_find(const ConfFinding *finding, const ConfJson *params, const char *at,
                                    ConfRpcError *error);
/* `name` NFC-normalised into the turn's arena; invalid names simply name nothing. */
ConfSlice conf_address_normal(ConfSlice name);
/* NULL: not said, or *error. */
const ConfTypeInfo *conf_address_type(const ConfSchema *schema, const ConfJson *params, const char *at,
                                      const char *member, bool required, ConfRpcError *error);
