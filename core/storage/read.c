/* read.c - change records read back at run time, a page at a time, by the writer thread between commits: one
 * connection to the database is enough, and a reader of its own would hold the write-ahead log. */
#include "storage/storage-private.h"

#include "base/error.h"
#include "base/queue-main.h"

enum { PAGE_CHANGES_MAX = 1000 };

typedef struct {
    ConfStorageRead *read;
    size_t size;
    bool full; /* the page: what the provider's function answers with is no failure */
} Page;

static bool keep_change(const ConfStorageChange *change, void *data, GError **error);

void
conf_storage_do_read(ConfStorage *storage, ConfStorageRead *read)
{
    g_autoptr(GError) error = NULL;
    Page page = {.read = read};
    if (storage->health != CONF_STORAGE_READY) {
        g_set_error(&error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "the database is away");
    } else if (!storage->provider->load_changes(storage->db, read->after, keep_change, &page, &error) &&
               !page.full && !storage->provider->is_alive(storage->db)) {
        conf_storage_lose(storage, error);
    }
    conf_storage_tell_read(storage, read, page.full ? NULL : error);
}

void
conf_storage_hand_over_read(const ConfStorageRead *read, const GError *error)
{
    const ConfStorageChange *changes = (const ConfStorageChange *)(void *)read->changes->data;
    read->func(error == NULL ? changes : NULL, error == NULL ? read->changes->len : 0, error, read->data);
}

void
conf_storage_read_free(ConfStorageRead *read)
{
    for (unsigned i = 0; i < read->changes->len; i++) {
        ConfStorageChange *change = &g_array_index(read->changes, ConfStorageChange, i);
        g_free((char *)change->chain);
        g_free((char *)change->record);
    }
    g_array_unref(read->changes);
    g_free(read);
}

/* False ends the page. */
static bool
keep_change(const ConfStorageChange *change, void *data, GError **error)
{
    (void)error;
    Page *page = data;
    GArray *changes = page->read->changes;
    const ConfStorageChange *last =
        changes->len > 0 ? &g_array_index(changes, ConfStorageChange, changes->len - 1) : NULL;
    int64_t before = last != NULL ? last->revision : page->read->after;
    bool gap = before + 1 != change->revision && (last != NULL || page->read->next);
    page->full = gap || (last != NULL && (page->size + change->record_size > page->read->bytes ||
                                          changes->len >= PAGE_CHANGES_MAX));
    if (page->full)
        return false;
    ConfStorageChange kept = {
        .revision = change->revision,
        .time_ms = change->time_ms,
        .chain = g_strdup(change->chain),
        .record = g_strndup(change->record, change->record_size),
        .record_size = change->record_size,
    };
    page->size += change->record_size;
    g_array_append_val(changes, kept);
    return true;
}
