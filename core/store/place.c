/* place.c - where objects stand: all folders and tenants above, as subscriptions by scope ask.  Objects in
 * the same folder share one place, kept until folders or tenants come, go or move. */
#include "store/store-private.h"

#include <string.h>

/* A place costs about 100 bytes; a store with more folders than this makes some of them again. */
enum { PLACES_MAX = 10000 };

typedef struct {
    int64_t folder, tenant;
} PlaceKey;

static unsigned hash_place_key(const void *key);
static int equal_place_keys(const void *a, const void *b);
static ConfPlace *make_place(ConfStore *store, const ConfObject *object);
static ConfPlace *place_new(const GArray *folders, const GArray *tenants);
static void unref_place(void *place);

GHashTable *
conf_places_new(void)
{
    return g_hash_table_new_full(hash_place_key, equal_place_keys, g_free, unref_place);
}

ConfPlace *
conf_store_place(ConfStore *store, const ConfObject *object)
{
    PlaceKey key = {.folder = object->folder, .tenant = object->tenant};
    ConfPlace *place = g_hash_table_lookup(store->places, &key);
    if (place == NULL) {
        if (g_hash_table_size(store->places) >= PLACES_MAX)
            g_hash_table_remove_all(store->places);
        place = make_place(store, object);
        g_hash_table_insert(store->places, g_memdup2(&key, sizeof(key)), place);
    }
    return conf_place_ref(place);
}

void
conf_store_note_change(ConfStore *store, const ConfObject *before, const ConfObject *after)
{
    store->changes++;
    const ConfObject *any = after != NULL ? after : before;
    if (any == NULL || (any->type != CONF_TYPE_FOLDER && any->type != CONF_TYPE_TENANT))
        return;
    if (before == NULL || after == NULL || before->folder != after->folder || before->tenant != after->tenant)
        g_hash_table_remove_all(store->places);
}

static unsigned
hash_place_key(const void *key)
{
    const PlaceKey *place = key;
    uint64_t hash =
        (uint64_t)place->folder * 0x9E3779B97F4A7C15u + (uint64_t)place->tenant * 0xD6E8FEB86659FD93u;
    return (unsigned)(hash >> 32);
}

static int
equal_place_keys(const void *a, const void *b)
{
    const PlaceKey *first = a, *second = b;
    return first->folder == second->folder && first->tenant == second->tenant;
}

static ConfPlace *
make_place(ConfStore *store, const ConfObject *object)
{
    g_autoptr(GArray) folders = g_array_new(FALSE, FALSE, sizeof(int64_t));
    g_autoptr(GArray) tenants = g_array_new(FALSE, FALSE, sizeof(int64_t));
    const ConfObject *at = object;
    for (unsigned steps = 0; at != NULL && steps < CONF_STEPS_MAX; steps++) {
        if (at->folder != 0)
            g_array_append_val(folders, at->folder);
        at = conf_state_step_up(&store->state, at);
    }
    at = object;
    for (unsigned steps = 0; at != NULL && steps < CONF_STEPS_MAX; steps++) {
        /* Environment is its own tenant: named once. */
        if (tenants->len > 0 && at->type == CONF_TYPE_TENANT && at->tenant == at->dbid)
            break;
        g_array_append_val(tenants, at->tenant);
        at = conf_store_lookup(store, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = at->tenant});
    }
    return place_new(folders, tenants);
}

/* One block: the arrays stand behind the struct. */
static ConfPlace *
place_new(const GArray *folders, const GArray *tenants)
{
    ConfPlace *place = conf_place_new(folders->len, tenants->len);
    if (folders->len > 0)
        memcpy(place->folders, folders->data, folders->len * sizeof(int64_t));
    if (tenants->len > 0)
        memcpy(place->tenants, tenants->data, tenants->len * sizeof(int64_t));
    return place;
}

static void
unref_place(void *place)
{
    conf_place_unref(place);
}
