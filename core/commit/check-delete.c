/* check-delete.c - operation delete: what goes with the object, what is cleared, which lists of rights lose
 * an entry.
 *
 * Objects go at once, but folders and tenants only when all operations are done: until then what lies in them
 * is found, with the rights that it inherits, so that a transaction may delete top down.  What still refers
 * to a deleted object, or lies in it, is looked at after the last operation (check-final.c). */
#include "commit/check-private.h"

#include "rpc/request.h"

/* Referrers of one object looked at; beyond, the transaction is too large in any case. */
enum { REFERRERS_MAX = 100000 };

static bool delete_one(ConfCheck *check, ConfSpread *spread, ConfKey key);
static ConfStep follow_referrer(ConfCheck *check, ConfSpread *spread);
static ConfStep strip_list(ConfCheck *check, ConfSpread *spread);
static bool gather_key(const ConfObject *object, void *data);
static ConfOnDelete strictest(ConfCheck *check, const ConfObject *referrer, ConfKey target, bool *refers);
static bool names_account(const ConfAcl *acl, const void *data);
static void add_root_folders(ConfCheck *check, ConfSpread *spread, ConfKey tenant);

bool
conf_check_delete(ConfCheck *check, ConfJson *operation)
{
    static const char *const names[] = {"op", "type", "dbid", "name", "tenant", "path", "ifRevision", NULL};
    if (!conf_params_only(operation, check->at, names, &check->error))
        return false;
    const ConfObject *object = conf_check_find(check, operation, false);
    if (object == NULL)
        return false;
    ConfKey key = conf_object_key(object);
    g_array_index(check->operations, ConfOperation, check->index).key = key;
    if (conf_object_is_root_folder(object) ||
        (key.type == CONF_TYPE_TENANT && key.dbid == CONF_DBID_ENVIRONMENT))
        return conf_rpc_fail(&check->error, CONF_RPC_NOT_PERMITTED, "%s cannot be deleted.",
                             conf_check_describe(check, object));
    if (!conf_check_may(check, object, CONF_RIGHT_DELETE))
        return conf_check_fail_right(check, object, "delete");
    const ConfObject *before = conf_check_before(check, object);
    if (!conf_check_if_revision(check, operation, before != NULL ? before->revision : object->revision))
        return false;

    conf_check_own(check, key);
    ConfSpread *spread = conf_spread_add(check, conf_spread_delete, key);
    spread->keys = g_array_new(FALSE, FALSE, sizeof(ConfKey));
    spread->referrers = g_array_new(FALSE, FALSE, sizeof(ConfKey));
    g_array_append_val(spread->keys, key);
    return true;
}

/* The worklist: each object on it is deleted, then its referrers are followed, then lists that name it lose
 * the entry. */
ConfStep
conf_spread_delete(ConfCheck *check, ConfSpread *spread)
{
    if (spread->referrer_position < spread->referrers->len)
        return follow_referrer(check, spread);
    if (spread->is_listing)
        return strip_list(check, spread);
    if (spread->position == spread->keys->len)
        return CONF_STEP_DONE;
    ConfKey key = g_array_index(spread->keys, ConfKey, spread->position++);
    return delete_one(check, spread, key) ? CONF_STEP_MORE : CONF_STEP_FAILED;
}

static bool
delete_one(ConfCheck *check, ConfSpread *spread, ConfKey key)
{
    const ConfObject *object = conf_check_lookup(check, key);
    if (object == NULL || conf_check_touch(check, key)->is_deleted)
        return true;
    bool goes_along = conf_object_is_root_folder(object);
    bool is_own = conf_key_equal(key, spread->key);
    if (!is_own && !goes_along && !conf_check_is_over(check) &&
        !conf_check_may(check, object, CONF_RIGHT_DELETE))
        return conf_rpc_fail(&check->error, CONF_RPC_NOT_PERMITTED,
                             "It cannot be deleted without others that you may not delete.");
    spread->key = key; /* From here on: whose referrers and entries are followed. */
    g_array_set_size(spread->referrers, 0);
    spread->referrer_position = 0;
    conf_state_foreach_referrer(check->state, key, gather_key, spread->referrers);
    if (key.type == CONF_TYPE_TENANT)
        add_root_folders(check, spread, key);
    spread->is_listing = (key.type == CONF_TYPE_PERSON || key.type == CONF_TYPE_ACCESS_GROUP) &&
                         conf_acl_count_mentions(key) > 0;
    ConfDeletion deletion = {.operation = check->index, .key = key};
    g_array_append_val(check->deletions, deletion);
    conf_check_remove(check, key);
    return true;
}

static ConfStep
follow_referrer(ConfCheck *check, ConfSpread *spread)
{
    ConfKey key = g_array_index(spread->referrers, ConfKey, spread->referrer_position++);
    const ConfObject *referrer = conf_check_lookup(check, key);
    if (referrer == NULL)
        return CONF_STEP_MORE;
    bool refers = false;
    ConfOnDelete verdict = strictest(check, referrer, spread->key, &refers);
    if (!refers || verdict == CONF_ON_DELETE_RESTRICT)
        return CONF_STEP_MORE; /* A later operation may take it away: told at the end if it stands. */
    if (verdict == CONF_ON_DELETE_CASCADE) {
        g_array_append_val(spread->keys, key);
        return CONF_STEP_MORE;
    }
    ConfObject *cleared =
        conf_object_without_reference(check->schema, check->scratch, referrer, spread->key, check->revision);
    conf_check_put(check, cleared);
    return CONF_STEP_MORE;
}

static ConfStep
strip_list(ConfCheck *check, ConfSpread *spread)
{
    ConfStep step;
    const ConfObject *object = conf_listed_next(check, &spread->listed, names_account, &spread->key, &step);
    if (object == NULL) {
        if (step == CONF_STEP_DONE) {
            spread->is_listing = false;
            conf_listed_clear(&spread->listed);
        }
        return CONF_STEP_MORE;
    }
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(ConfAclEntry));
    for (uint32_t i = 0; i < object->acl->count; i++) {
        if (!conf_key_equal(object->acl->entries[i].account, spread->key))
            g_array_append_val(entries, object->acl->entries[i]);
    }
    ConfAcl *acl = conf_acl_intern((const ConfAclEntry *)(void *)entries->data, entries->len);
    conf_check_put(check, conf_object_with_acl(object, acl, check->revision));
    conf_acl_unref(acl);
    return CONF_STEP_MORE;
}

static bool
names_account(const ConfAcl *acl, const void *data)
{
    return conf_acl_lookup(acl, *(const ConfKey *)data) != 0;
}

static bool
gather_key(const ConfObject *object, void *data)
{
    GArray *keys = data;
    ConfKey key = conf_object_key(object);
    g_array_append_val(keys, key);
    return keys->len < REFERRERS_MAX;
}

/* What the schema says of the fields by which `referrer` refers to `target`; restrict, then cascade, then
 * clear. */
static ConfOnDelete
strictest(ConfCheck *check, const ConfObject *referrer, ConfKey target, bool *refers)
{
    g_autoptr(GArray) references = g_array_new(FALSE, FALSE, sizeof(ConfReference));
    conf_object_references(check->schema, referrer, references);
    ConfOnDelete verdict = CONF_ON_DELETE_CLEAR;
    for (unsigned i = 0; i < references->len; i++) {
        const ConfReference *reference = &g_array_index(references, ConfReference, i);
        if (!conf_key_equal(reference->target, target))
            continue;
        *refers = true;
        if (reference->field->on_delete == CONF_ON_DELETE_RESTRICT)
            return CONF_ON_DELETE_RESTRICT;
        if (reference->field->on_delete == CONF_ON_DELETE_CASCADE)
            verdict = CONF_ON_DELETE_CASCADE;
    }
    return verdict;
}

static void
add_root_folders(ConfCheck *check, ConfSpread *spread, ConfKey tenant)
{
    conf_state_foreach_child(check->state, tenant, gather_key, spread->keys);
}
