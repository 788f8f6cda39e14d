/* store.c - the store as a thing: filling, looking up, scans, position, application of commits. */
#include "store/store-private.h"

#include <string.h>

#include "base/error.h"
#include "base/id.h"

static void apply_changes(ConfStore *store, ConfCommit *commit);
static const ConfObject *object_of(const ConfNode *node);

ConfStore *
conf_store_new(ConfSchema *schema)
{
    ConfStore *store = g_new0(ConfStore, 1);
    store->schema = schema;
    store->old_schemas = g_ptr_array_new();
    store->retired = g_ptr_array_new();
    conf_index_init(&store->index, schema, true);
    store->state = (ConfState){.store = store, .index = &store->index};
    store->places = conf_places_new();
    conf_recent_init(store);
    return store;
}

void
conf_store_free(ConfStore *store)
{
    if (store == NULL)
        return;
    conf_store_drop_fold(store);
    conf_recent_clear(store);
    conf_state_set_cache(&store->state, NULL, NULL);
    conf_store_finish_retired(store);
    conf_index_clear(&store->index);
    g_hash_table_destroy(store->places);
    if (store->schema != NULL)
        conf_schema_free(store->schema);
    for (unsigned i = 0; i < store->old_schemas->len; i++)
        conf_schema_free(store->old_schemas->pdata[i]);
    g_ptr_array_free(store->old_schemas, TRUE);
    g_ptr_array_free(store->retired, TRUE);
    g_free(store);
}

ConfState *
conf_store_state(ConfStore *store)
{
    return &store->state;
}

const ConfSchema *
conf_store_schema(const ConfStore *store)
{
    return store->schema;
}

const ConfStorePosition *
conf_store_position(const ConfStore *store)
{
    return &store->position;
}

uint64_t
conf_store_structure(const ConfStore *store)
{
    return store->index.generation;
}

bool
conf_store_load(ConfStore *store, ConfObject *object, GError **error)
{
    ConfKey key = conf_object_key(object);
    const ConfTypeInfo *type = conf_schema_type(store->schema, key.type);
    bool is_good = type != NULL && conf_store_lookup(store, key) == NULL;
    if (!is_good) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "Object %s %" G_GINT64_FORMAT " %s",
                    type != NULL ? type->name : "of an unknown type", key.dbid,
                    type != NULL ? "is there twice" : "cannot be kept");
        conf_object_unref(object);
        return false;
    }
    conf_store_note_change(store, NULL, object);
    conf_index_put(&store->index, object);
    return true;
}

void
conf_store_apply(ConfStore *store, ConfCommit *commit, void (*about)(ConfCommit *commit, void *data),
                 void *data)
{
    /* The fold of a reload comes with all this filled in, and as a whole. */
    bool is_fold = commit == store->fold_commit;
    if (!is_fold)
        conf_store_drop_fold(store); /* It was made for the store as it was. */
    ConfStorePosition before = store->position;
    for (unsigned i = 0; i < commit->change_count && !is_fold; i++) {
        ConfChange *change = &commit->changes[i];
        conf_change_fill_before(store, change);
        commit->structural |= conf_index_is_structural(&store->index, change->before, change->after);
    }
    if (about != NULL)
        about(commit, data);
    if (is_fold)
        conf_store_apply_fold(store);
    else
        apply_changes(store, commit);
    store->position.revision = commit->revision;
    memcpy(store->position.chain, commit->chain, sizeof(store->position.chain));
    commit->memory = conf_commit_measure(commit);
    conf_recent_append(store, commit, &before);
}

const ConfObject *
conf_store_next(const ConfStore *store, ConfKey after)
{
    ConfNode probe = {.type = after.type, .dbid = after.dbid};
    return object_of(conf_ordered_set_after(store->index.key_order, &probe));
}

const ConfObject *
conf_store_next_of_type(const ConfStore *store, ConfTypeId type, int64_t after_dbid)
{
    const ConfObject *object = conf_store_next(store, (ConfKey){.type = type, .dbid = after_dbid});
    return object != NULL && object->type == type ? object : NULL;
}

const ConfObject *
conf_store_next_by_name(const ConfStore *store, ConfTypeId type, const ConfObject *after)
{
    if (after == NULL)
        return conf_store_next_by_name_key(store, type, CONF_SLICE(""), 0);
    return conf_store_next_by_name_key(store, type, conf_object_name(after), after->dbid);
}

const ConfObject *
conf_store_next_by_name_key(const ConfStore *store, ConfTypeId type, ConfSlice name, int64_t dbid)
{
    const ConfNode *node = conf_index_after_name(&store->index, type, name, dbid);
    return node != NULL && node->type == type ? node->object : NULL;
}

const ConfObject *
conf_store_next_child(const ConfStore *store, ConfKey container, ConfKey after)
{
    const ConfNode *node = conf_index_find(&store->index, container);
    if (node == NULL || node->links == NULL)
        return NULL;
    return object_of(conf_node_set_after(&node->links->children, after));
}

const ConfObject *
conf_store_next_referrer(const ConfStore *store, ConfKey target, ConfKey after)
{
    const ConfNode *node = conf_index_find(&store->index, target);
    if (node == NULL || node->links == NULL)
        return NULL;
    return object_of(conf_node_set_after(&node->links->referrers, after));
}

const ConfObject *
conf_store_next_with_acl(const ConfStore *store, const ConfAcl *acl, ConfKey after)
{
    const ConfNodeSet *set = g_hash_table_lookup(store->index.by_acl, acl);
    return set != NULL ? object_of(conf_node_set_after(set, after)) : NULL;
}

uint64_t
conf_store_count(const ConfStore *store)
{
    return store->index.count;
}

uint64_t
conf_store_count_type(const ConfStore *store, ConfTypeId type)
{
    return type < store->index.type_bound ? store->index.types[type].count : 0;
}

size_t
conf_store_memory(const ConfStore *store)
{
    return conf_index_memory(&store->index) + store->recent_bytes;
}

const ConfObject *
conf_store_lookup_name(const ConfStore *store, ConfTypeId type, ConfSlice name, bool *others)
{
    const ConfNode *node = conf_index_find_named(&store->index, type, name);
    if (others != NULL)
        *others = node != NULL && node->named_count > 1;
    return object_of(node);
}

const ConfObject *
conf_store_lookup(const ConfStore *store, ConfKey key)
{
    return object_of(conf_index_find(&store->index, key));
}

const ConfAcl *
conf_store_acl(ConfStore *store, const ConfObject *object)
{
    return conf_state_acl(&store->state, object, NULL);
}

void
conf_store_digest(const ConfStore *store, uint8_t digest[16])
{
    memcpy(digest, store->index.digest, 16);
}

void
conf_store_digest_text(const ConfStore *store, char hex[33])
{
    conf_id_hex(store->index.digest, 16, hex);
}

int64_t
conf_store_next_dbid(const ConfStore *store, ConfTypeId type)
{
    return type < store->index.type_bound ? store->index.types[type].next_dbid : 0;
}

void
conf_store_set_next_dbid(ConfStore *store, ConfTypeId type, int64_t next)
{
    /* Never back: a dbid is not given twice. */
    if (type < store->index.type_bound && next > store->index.types[type].next_dbid)
        store->index.types[type].next_dbid = next;
}

static void
apply_changes(ConfStore *store, ConfCommit *commit)
{
    for (unsigned i = 0; i < commit->change_count; i++) {
        const ConfChange *change = &commit->changes[i];
        conf_store_note_change(store, change->before, change->after);
        if (change->after != NULL)
            conf_index_put(&store->index, conf_object_ref(change->after));
        else if (change->before != NULL)
            conf_index_remove(&store->index, conf_object_key(change->before), false);
    }
    for (unsigned i = 0; i < commit->change_count; i++)
        conf_change_fill_after(store, &commit->changes[i]);
}

static const ConfObject *
object_of(const ConfNode *node)
{
    return node != NULL ? node->object : NULL;
}
