/* past.c - see past.h.
 *
 * A working set over the store, whose index is a full one: so it can be walked in the order of keys, too. */
#include "store/past.h"

#include "base/error.h"
#include "store/store-private.h"

struct ConfPast {
    ConfStore *store;
    const ConfSchema *schema;
    ConfState *state;
    GHashTable *last_acls; /* ConfKey * → const ConfAcl * (a reference), of objects that are gone */
    int64_t revision;
    int64_t upto; /* what changed up to here is in it */
};

static void follow_change(ConfPast *past, const ConfChange *change);
static bool is_known(const ConfPast *past, ConfKey key);
static void set_last_acl(ConfPast *past, ConfKey key, const ConfAcl *acl);
static void unref_acl(void *acl);

ConfPast *
conf_past_new(ConfStore *store, int64_t revision)
{
    ConfPast *past = g_new0(ConfPast, 1);
    past->store = store;
    past->schema = store->schema;
    past->revision = revision;
    past->upto = revision;
    past->last_acls = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, unref_acl);
    past->state = g_new0(ConfState, 1);
    *past->state = (ConfState){.below = &store->state, .store = store, .depth = store->state.depth + 1};
    past->state->index = g_new0(ConfIndex, 1);
    conf_index_init(past->state->index, store->schema, true);
    return past;
}

void
conf_past_free(ConfPast *past)
{
    if (past == NULL)
        return;
    g_hash_table_destroy(past->last_acls);
    conf_store_retire(past->store, *past->state->index);
    g_free(past->state->index);
    g_free(past->state);
    g_free(past);
}

int64_t
conf_past_revision(const ConfPast *past)
{
    return past->revision;
}

bool
conf_past_add(ConfPast *past, ConfKey key, ConfSlice body, ConfSlice last_rights, GError **error)
{
    if (body.size == 0) {
        conf_state_remove(past->state, key);
    } else {
        ConfObject *object =
            conf_object_from_stored(past->schema, body, (ConfSlice){0}, (ConfSlice){0}, 0, error);
        if (object == NULL)
            return false;
        if (!conf_key_equal(conf_object_key(object), key)) {
            conf_object_unref(object);
            g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                        "A version of %u/%" G_GINT64_FORMAT " is that of another object", key.type, key.dbid);
            return false;
        }
        conf_state_put(past->state, object);
    }
    if (last_rights.size == 0)
        return true;
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfJson *tree = conf_json_parse_file_text(arena, last_rights, "the last rights", error);
    if (tree == NULL)
        return false;
    g_autoptr(GArray) entries = conf_acl_entries_parse(tree, past->schema, "", NULL);
    /* A list that names a type of account that is no more gives nobody anything. */
    if (entries == NULL)
        return true;
    const ConfAcl *acl = conf_acl_intern((const ConfAclEntry *)(void *)entries->data, entries->len);
    set_last_acl(past, key, acl);
    conf_acl_unref(acl);
    return true;
}

void
conf_past_set_complete(ConfPast *past, int64_t upto)
{
    past->upto = MAX(upto, past->revision);
}

bool
conf_past_follow(ConfPast *past)
{
    ConfStore *store = past->store;
    if (store->schema != past->schema)
        return false;
    while (past->upto < store->position.revision) {
        const ConfCommit *commit = conf_store_recent_after(store, past->upto);
        if (commit == NULL)
            return false;
        for (unsigned i = 0; i < commit->change_count; i++)
            follow_change(past, &commit->changes[i]);
        past->upto = commit->revision;
    }
    return true;
}

ConfState *
conf_past_state(ConfPast *past)
{
    return past->state;
}

const ConfAcl *
conf_past_last_acl(const ConfPast *past, ConfKey key)
{
    return g_hash_table_lookup(past->last_acls, &key);
}

size_t
conf_past_memory(const ConfPast *past)
{
    return sizeof(ConfPast) + conf_index_memory(past->state->index) +
           g_hash_table_size(past->last_acls) * (sizeof(ConfKey) + 4 * sizeof(void *));
}

/* What was not known to have changed was, before this commit, as it was then. */
static void
follow_change(ConfPast *past, const ConfChange *change)
{
    ConfKey key = conf_object_key(change->after != NULL ? change->after : change->before);
    if (!is_known(past, key)) {
        if (change->kind == CONF_CHANGE_CREATE)
            conf_state_remove(past->state, key);
        else if (change->kind == CONF_CHANGE_UPDATE || change->kind == CONF_CHANGE_DELETE)
            conf_state_put(past->state, conf_object_ref(change->before));
    }
    if (change->kind == CONF_CHANGE_DELETE)
        set_last_acl(past, key, change->acl_before);
}

static bool
is_known(const ConfPast *past, ConfKey key)
{
    const ConfNode *node = conf_index_find(past->state->index, key);
    return node != NULL && (node->object != NULL || node->is_removed);
}

static void
set_last_acl(ConfPast *past, ConfKey key, const ConfAcl *acl)
{
    if (acl == NULL)
        g_hash_table_remove(past->last_acls, &key);
    else
        g_hash_table_insert(past->last_acls, g_memdup2(&key, sizeof key), (void *)conf_acl_ref(acl));
}

static void
unref_acl(void *acl)
{
    conf_acl_unref(acl);
}
