/* offline-private.h - rows for the storage provider out of objects. */
#pragma once

#include "server/server-private.h"

typedef struct {
    ConfStorageBatch batch;
    ConfStorageObject *rows;
    GPtrArray *texts;
    uint16_t *types;
    int64_t *next;
} ConfOfflineBatch;

/* Of the first `count` objects (borrowed) and all next dbids (type → next). */
ConfOfflineBatch *conf_offline_batch_new(const ConfSchema *schema, GPtrArray *objects, unsigned count,
                                         GHashTable *next_dbids);
void conf_offline_batch_free(ConfOfflineBatch *made);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfOfflineBatch, conf_offline_batch_free)
bool conf_offline_commit(ConfStorage *storage, const ConfSchema *schema, GPtrArray *objects, unsigned count,
                         GHashTable *next_dbids, const ConfStorageState *state, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
