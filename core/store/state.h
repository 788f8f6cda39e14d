/* state.h - what a check or a read sees: the store as it is, or the store under the changes of a
 * transaction that is being checked (a working set; they nest: a transaction over its batch over the
 * store).  Rights, references, names and places are asked of a ConfState, so that one code decides before
 * and after the commit.  Main loop only. */
#pragma once

#include "model/object.h"

typedef struct ConfStore ConfStore;
typedef struct ConfState ConfState;

/* A working set over `below` (a store's own state or another working set). */
ConfState *conf_state_new(ConfState *below);
void conf_state_free(ConfState *state);
/* Takes `after`.  conf_state_remove: the object is deleted here. */
void conf_state_put(ConfState *state, ConfObject *after);
void conf_state_remove(ConfState *state, ConfKey key);
/* Moves what `state` holds into the working set below it and frees it. */
void conf_state_merge(ConfState *state);
ConfStore *conf_state_store(const ConfState *state);
const ConfSchema *conf_state_schema(const ConfState *state);
/* Takes part in caches: does this working set (or one below) change lists of rights, groups, persons'
 * states, or where folders and tenants lie?  False for the store's own state. */
bool conf_state_is_structural(const ConfState *state);
/* Data of the layers above that lives as long as the working set does (rights of accounts under it), or,
 * of the store's own state, as the store.  A structural change put into a working set drops its cache at
 * once; the store's stays (see conf_store_structure()). */
void conf_state_set_cache(ConfState *state, void *cache, void (*free_cache)(void *cache));
void *conf_state_get_cache(const ConfState *state);

/* Borrowed until the state changes; NULL: none such. */
const ConfObject *conf_state_lookup(const ConfState *state, ConfKey key);

/* Walks: func answers false to end.  The state must not change meanwhile.  Order: (type, dbid) for the
 * store's members. */
typedef bool (*ConfObjectFunc)(const ConfObject *object, void *data);
/* Objects of the type with this very name, in all tenants and folders. */
void conf_state_foreach_named(const ConfState *state, ConfTypeId type, ConfSlice name, ConfObjectFunc func,
                              void *data);
/* What lies directly in a folder; of a tenant: its root folders (and, of Environment, nothing else: other
 * tenants lie in its folder Tenants). */
void conf_state_foreach_child(const ConfState *state, ConfKey container, ConfObjectFunc func, void *data);
/* Objects with a reference field to `target` (each once); tenant and folder are not meant. */
void conf_state_foreach_referrer(const ConfState *state, ConfKey target, ConfObjectFunc func, void *data);
/* Access groups of kind everyone. */
void conf_state_foreach_everyone(const ConfState *state, ConfObjectFunc func, void *data);
/* All objects of a type, by name within each level: as many as there are, for what ends early. */
void conf_state_foreach_of_type(const ConfState *state, ConfTypeId type, ConfObjectFunc func, void *data);
/* True if something lies in the folder, or belongs to the tenant besides its empty root folders. */
bool conf_state_has_content(const ConfState *state, ConfKey container);
/* The tenant's root folder that holds this type; NULL: none. */
const ConfObject *conf_state_root_folder(const ConfState *state, int64_t tenant, ConfTypeId type);

/* The object above: its folder, else its tenant; NULL above Environment, or where a replica may not see
 * it. */
const ConfObject *conf_state_parent(const ConfState *state, const ConfObject *object);
/* The list of rights in force and, where `holder` is not NULL, the object that it hangs on.  NULL: none
 * (nobody may anything). */
const ConfAcl *conf_state_acl(const ConfState *state, const ConfObject *object, const ConfObject **holder);
/* `ancestor` (a folder or tenant) stands somewhere above `object`. */
bool conf_state_is_below(const ConfState *state, const ConfObject *object, ConfKey ancestor);
/* True if some folder or tenant above (or the object itself being one) is disabled. */
bool conf_state_is_parent_disabled(const ConfState *state, const ConfObject *object);
/* /Environment/Hosts/srv1 → the object; -32602 for a path that is none, -32004 where nothing lies.  Rights
 * of the steps are not asked (the caller asks those of the result). */
const ConfObject *conf_state_resolve_path(const ConfState *state, ConfSlice path, const char *at,
                                          ConfRpcError *error);
/* Writes the path of an object. */
void conf_state_write_path(const ConfState *state, const ConfObject *object, ConfBuffer *buffer);
