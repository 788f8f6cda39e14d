/* offline-batch.c - objects as rows of one storage batch. */
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "server/offline-private.h"

typedef struct {
    bool done, stored;
    GError *error;
} Outcome;

static void stored(ConfStoredVerdict verdict, const GError *error, void *data);

ConfOfflineBatch *
conf_offline_batch_new(const ConfSchema *schema, GPtrArray *objects, unsigned count, GHashTable *next_dbids)
{
    ConfOfflineBatch *made = g_new0(ConfOfflineBatch, 1);
    made->rows = g_new0(ConfStorageObject, count);
    made->texts = g_ptr_array_new_with_free_func(g_free);
    for (unsigned i = 0; i < count; i++) {
        const ConfObject *object = g_ptr_array_index(objects, i);
        g_auto(ConfBuffer) acl = CONF_BUFFER_INIT;
        if (object->acl != NULL)
            conf_acl_write(object->acl, schema, &acl);
        char *permissions = object->acl != NULL ? g_memdup2(acl.data, acl.size) : NULL;
        g_ptr_array_add(made->texts, permissions);
        made->rows[i] = (ConfStorageObject){
            .type = object->type,
            .dbid = object->dbid,
            .revision = object->revision,
            .acl_revision = object->acl_revision,
            .body = object->body->data,
            .body_size = object->body->size,
            .secrets = object->secrets != NULL ? object->secrets->data : NULL,
            .secrets_size = object->secrets != NULL ? object->secrets->size : 0,
            .permissions = permissions,
            .permissions_size = acl.size,
        };
    }
    unsigned dbids = g_hash_table_size(next_dbids);
    made->types = g_new0(uint16_t, dbids);
    made->next = g_new0(int64_t, dbids);
    GHashTableIter iter;
    void *type, *next;
    unsigned index = 0;
    g_hash_table_iter_init(&iter, next_dbids);
    while (g_hash_table_iter_next(&iter, &type, &next)) {
        made->types[index] = (uint16_t)GPOINTER_TO_UINT(type);
        made->next[index++] = (int64_t)GPOINTER_TO_SIZE(next);
    }
    made->batch = (ConfStorageBatch){
        .puts = made->rows,
        .put_count = count,
        .dbid_types = made->types,
        .dbid_next = made->next,
        .dbid_count = dbids,
    };
    return made;
}

void
conf_offline_batch_free(ConfOfflineBatch *made)
{
    g_ptr_array_unref(made->texts);
    g_free(made->rows);
    g_free(made->types);
    g_free(made->next);
    g_free(made);
}

/* One commit of its own; what followed this database before must load anew, since no record tells what
 * changed. */
bool
conf_offline_commit(ConfStorage *storage, const ConfSchema *schema, GPtrArray *objects, unsigned count,
                    GHashTable *next_dbids, const ConfStorageState *state, GError **error)
{
    g_autoptr(ConfOfflineBatch) made = conf_offline_batch_new(schema, objects, count, next_dbids);
    char chain[CONF_CHAIN_TEXT_SIZE], uuid[CONF_UUID_TEXT_SIZE];
    conf_id_new_uuid(uuid);
    conf_id_next_chain(state->chain, conf_slice_from_string(uuid), chain);
    made->batch.base_revision = state->revision;
    made->batch.last_revision = state->revision + 1;
    made->batch.last_chain = chain;
    static const ConfStorageFuncs funcs = {0};
    Outcome outcome = {0};
    conf_storage_start(storage, &funcs, NULL);
    conf_storage_commit(storage, &made->batch, stored, NULL, &outcome);
    while (!outcome.done)
        g_main_context_iteration(NULL, TRUE);
    if (!outcome.stored)
        g_propagate_error(error, outcome.error);
    return outcome.stored;
}

static void
stored(ConfStoredVerdict verdict, const GError *error, void *data)
{
    Outcome *outcome = data;
    outcome->done = true;
    outcome->stored = verdict == CONF_STORED;
    if (!outcome->stored)
        outcome->error = error != NULL
                             ? g_error_copy(error)
                             : g_error_new(CONF_ERROR, CONF_ERROR_FAILED, "The import could not be stored");
}
