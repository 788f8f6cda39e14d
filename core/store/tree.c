/* tree.c - what stands above an object, and what follows from it: the list of rights in force, scopes,
 * disabling. */
#include "store/store-private.h"

typedef struct {
    const ConfState *state;
    ConfTypeId type;
    const ConfObject *found;
} RootSearch;

static bool match_root(const ConfObject *object, void *data);
static ConfTypeId folder_holds(const ConfState *state, const ConfObject *folder);
static bool is_below_folder(const ConfState *state, const ConfObject *object, int64_t folder);
static bool is_below_tenant(const ConfState *state, const ConfObject *object, int64_t tenant);
static bool is_disabled_container(const ConfObject *object);
static ConfNode *store_node(const ConfState *state, const ConfObject *object);

const ConfObject *
conf_state_root_folder(const ConfState *state, int64_t tenant, ConfTypeId type)
{
    RootSearch search = {.state = state, .type = type};
    conf_state_foreach_child(state, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = tenant}, match_root, &search);
    return search.found;
}

const ConfObject *
conf_state_parent(const ConfState *state, const ConfObject *object)
{
    ConfKey key = conf_object_parent_key(object);
    return key.dbid != 0 ? conf_state_lookup(state, key) : NULL;
}

const ConfObject *
conf_state_step_up(const ConfState *state, const ConfObject *object)
{
    const ConfObject *parent = conf_state_parent(state, object);
    if (parent != NULL || object->folder == 0)
        return parent;
    return conf_state_lookup(state, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = object->tenant});
}

const ConfAcl *
conf_state_acl(const ConfState *state, const ConfObject *object, const ConfObject **holder)
{
    for (unsigned steps = 0; object != NULL && steps < CONF_STEPS_MAX; steps++) {
        if (object->acl != NULL) {
            if (holder != NULL)
                *holder = object;
            return object->acl;
        }
        /* Above an unchanged object nothing is changed that counts: the store knows its list. */
        ConfNode *node = holder == NULL && !state->is_structural ? store_node(state, object) : NULL;
        if (node != NULL)
            return conf_index_acl(&state->store->index, node);
        object = conf_state_parent(state, object);
    }
    if (holder != NULL)
        *holder = NULL;
    return NULL;
}

bool
conf_state_is_below(const ConfState *state, const ConfObject *object, ConfKey ancestor)
{
    if (ancestor.type == CONF_TYPE_FOLDER)
        return is_below_folder(state, object, ancestor.dbid);
    return ancestor.type == CONF_TYPE_TENANT && is_below_tenant(state, object, ancestor.dbid);
}

bool
conf_state_is_parent_disabled(const ConfState *state, const ConfObject *object)
{
    for (unsigned steps = 0; object != NULL && steps < CONF_STEPS_MAX; steps++) {
        if (is_disabled_container(object))
            return true;
        object = conf_state_step_up(state, object);
    }
    return false;
}

static bool
match_root(const ConfObject *object, void *data)
{
    RootSearch *search = data;
    if (object->type == CONF_TYPE_FOLDER && folder_holds(search->state, object) == search->type)
        search->found = object;
    return search->found == NULL;
}

/* As the nodes know it: a tenant has a root folder a type, and each creation asks. */
static ConfTypeId
folder_holds(const ConfState *state, const ConfObject *folder)
{
    for (; state != NULL; state = state->below) {
        const ConfNode *node = conf_index_find(state->index, conf_object_key(folder));
        if (node != NULL && node->object == folder)
            return node->holds;
    }
    return 0;
}

static bool
is_below_folder(const ConfState *state, const ConfObject *object, int64_t folder)
{
    for (unsigned steps = 0; object != NULL && steps < CONF_STEPS_MAX; steps++) {
        if (object->folder == folder)
            return true;
        object = conf_state_step_up(state, object);
    }
    return false;
}

/* By the field `tenant`, as places are: a replica may see an object and not the folders between. */
static bool
is_below_tenant(const ConfState *state, const ConfObject *object, int64_t tenant)
{
    for (unsigned steps = 0; object != NULL && steps < CONF_STEPS_MAX; steps++) {
        if (object->type == CONF_TYPE_TENANT && object->dbid == object->tenant)
            return false;
        if (object->tenant == tenant)
            return true;
        object = conf_state_lookup(state, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = object->tenant});
    }
    return false;
}

static bool
is_disabled_container(const ConfObject *object)
{
    return !object->enabled && (object->type == CONF_TYPE_FOLDER || object->type == CONF_TYPE_TENANT);
}

/* The store's node of this very version; NULL where the version is another one. */
static ConfNode *
store_node(const ConfState *state, const ConfObject *object)
{
    ConfNode *node = conf_index_find(&state->store->index, conf_object_key(object));
    return node != NULL && node->object == object ? node : NULL;
}
