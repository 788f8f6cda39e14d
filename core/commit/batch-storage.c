/* batch-storage.c - a batch as the storage takes it: each object once, as the last transaction leaves it; the
 * change records with their chain; the next dbids. */
#include "commit/queue-private.h"

#include "base/id.h"

static void clear_record(void *record);
static size_t estimate(const ConfCommit *commit);
static void gather_object(ConfBatch *batch, GHashTable *last, const ConfChange *change);
static void add_put(ConfBatch *batch, GHashTable *lists, const ConfObject *object);
static ConfSlice list_text(ConfBatch *batch, GHashTable *lists, const ConfAcl *acl);
static void gather_dbids(ConfBatch *batch);

void
conf_batch_init_storage(ConfBatch *batch)
{
    batch->puts = g_array_new(FALSE, TRUE, sizeof(ConfStorageObject));
    batch->removes = g_array_new(FALSE, TRUE, sizeof(ConfStorageObject));
    batch->changes = g_array_new(FALSE, TRUE, sizeof(ConfStorageChange));
    batch->dbid_types = g_array_new(FALSE, FALSE, sizeof(uint16_t));
    batch->dbid_next = g_array_new(FALSE, FALSE, sizeof(int64_t));
    batch->records = g_array_new(FALSE, TRUE, sizeof(ConfBuffer));
    g_array_set_clear_func(batch->records, clear_record);
    batch->texts = g_ptr_array_new_with_free_func((GDestroyNotify)conf_bytes_unref);
    batch->objects = g_ptr_array_new_with_free_func((GDestroyNotify)conf_object_unref);
}

void
conf_batch_clear_storage(ConfBatch *batch)
{
    g_array_unref(batch->puts);
    g_array_unref(batch->removes);
    g_array_unref(batch->changes);
    g_array_unref(batch->dbid_types);
    g_array_unref(batch->dbid_next);
    g_array_unref(batch->records);
    g_ptr_array_unref(batch->texts);
    g_ptr_array_unref(batch->objects);
}

void
conf_batch_write_record(ConfBatch *batch, const ConfCommit *commit)
{
    ConfBuffer record = CONF_BUFFER_INIT;
    conf_buffer_reserve(&record, estimate(commit));
    conf_commit_write_record(commit, batch->base.schema, &record);
    g_array_append_val(batch->records, record);
}

void
conf_batch_chain_record(ConfBatch *batch, ConfCommit *commit)
{
    const ConfBuffer *record = &g_array_index(batch->records, ConfBuffer, batch->records->len - 1);
    conf_id_next_chain(batch->chain, conf_buffer_slice(record), commit->chain);
    g_strlcpy(batch->chain, commit->chain, sizeof(batch->chain));
    ConfStorageChange change = {
        .revision = commit->revision,
        .time_ms = commit->time_ms,
        .chain = commit->chain,
        .record = record->data,
        .record_size = record->size,
    };
    g_array_append_val(batch->changes, change);
}

ConfSlice
conf_batch_find_record(const ConfBatch *batch, const ConfCommit *commit)
{
    if (batch->changes->len == 0)
        return (ConfSlice){0};
    int64_t index = commit->revision - g_array_index(batch->changes, ConfStorageChange, 0).revision;
    if (index < 0 || index >= batch->changes->len)
        return (ConfSlice){0};
    const ConfStorageChange *change = &g_array_index(batch->changes, ConfStorageChange, index);
    return change->revision == commit->revision ? (ConfSlice){change->record, change->record_size}
                                                : (ConfSlice){0};
}

static void
clear_record(void *record)
{
    conf_buffer_clear(record);
}

/* Bodies and a little around them: a record of megabytes is not moved about while it grows. */
static size_t
estimate(const ConfCommit *commit)
{
    size_t size = 512;
    for (unsigned i = 0; i < commit->change_count; i++) {
        const ConfChange *change = &commit->changes[i];
        size += 256;
        size += change->before != NULL ? conf_bytes_slice(change->before->body).size : 0;
        size += change->after != NULL ? conf_bytes_slice(change->after->body).size : 0;
    }
    return size;
}

void
conf_batch_gather(ConfBatch *batch)
{
    /* Key → the last version in the batch; NULL: deleted. */
    g_autoptr(GHashTable) last = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, NULL);
    for (unsigned i = 0; i < batch->entries->len; i++) {
        const ConfEntry *entry = g_ptr_array_index(batch->entries, i);
        for (unsigned j = 0; entry->is_committed && j < entry->commit->change_count; j++)
            gather_object(batch, last, &entry->commit->changes[j]);
    }
    g_autoptr(GHashTable) lists = g_hash_table_new(NULL, NULL);
    GHashTableIter iter;
    void *key, *object;
    g_hash_table_iter_init(&iter, last);
    while (g_hash_table_iter_next(&iter, &key, &object)) {
        if (object != NULL) {
            add_put(batch, lists, object);
            continue;
        }
        ConfStorageObject removed = {.type = ((const ConfKey *)key)->type,
                                     .dbid = ((const ConfKey *)key)->dbid};
        g_array_append_val(batch->removes, removed);
    }
    gather_dbids(batch);
    batch->storage = (ConfStorageBatch){
        .base_revision = batch->base_revision,
        .last_revision = batch->base.revision,
        .last_chain = batch->chain,
        .puts = (const ConfStorageObject *)(void *)batch->puts->data,
        .put_count = batch->puts->len,
        .removes = (const ConfStorageObject *)(void *)batch->removes->data,
        .remove_count = batch->removes->len,
        .changes = (const ConfStorageChange *)(void *)batch->changes->data,
        .change_count = batch->changes->len,
        .dbid_types = (const uint16_t *)(void *)batch->dbid_types->data,
        .dbid_next = (const int64_t *)(void *)batch->dbid_next->data,
        .dbid_count = batch->dbid_types->len,
    };
}

static void
gather_object(ConfBatch *batch, GHashTable *last, const ConfChange *change)
{
    ConfKey key = conf_object_key(change->after != NULL ? change->after : change->before);
    g_hash_table_insert(last, g_memdup2(&key, sizeof(key)), change->after);
}

static void
add_put(ConfBatch *batch, GHashTable *lists, const ConfObject *object)
{
    ConfSlice body = conf_bytes_slice(object->body), secrets = conf_bytes_slice(object->secrets);
    ConfSlice list = list_text(batch, lists, object->acl);
    ConfStorageObject put = {
        .type = object->type,
        .dbid = object->dbid,
        .revision = object->revision,
        .acl_revision = object->acl_revision,
        .body = body.data,
        .body_size = body.size,
        .secrets = secrets.data,
        .secrets_size = secrets.size,
        .permissions = list.data,
        .permissions_size = list.size,
    };
    g_ptr_array_add(batch->objects, conf_object_ref(object));
    g_array_append_val(batch->puts, put);
}

/* Many objects share few lists. */
static ConfSlice
list_text(ConfBatch *batch, GHashTable *lists, const ConfAcl *acl)
{
    if (acl == NULL)
        return (ConfSlice){NULL, 0};
    ConfBytes *text = g_hash_table_lookup(lists, acl);
    if (text == NULL) {
        g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
        conf_acl_write(acl, batch->base.schema, &buffer);
        text = conf_buffer_to_bytes(&buffer);
        g_ptr_array_add(batch->texts, text);
        g_hash_table_insert(lists, (void *)acl, text);
    }
    return conf_bytes_slice(text);
}

static void
gather_dbids(ConfBatch *batch)
{
    GHashTableIter iter;
    void *type, *next;
    g_hash_table_iter_init(&iter, batch->base.next_dbids);
    while (g_hash_table_iter_next(&iter, &type, &next)) {
        uint16_t id = (uint16_t)GPOINTER_TO_UINT(type);
        g_array_append_val(batch->dbid_types, id);
        g_array_append_vals(batch->dbid_next, next, 1);
    }
}
