/* acl.c - interned lists of rights: equal content is one pointer, with a small id that caches index by.
 *
 * The table belongs to the thread that interned first, the main one.  Another thread may hold and drop
 * references; only the last one is dropped where the table is: it is sent there. */
#include "model/acl.h"

#include <string.h>

#include "base/queue-main.h"

static GHashTable *lists;    /* ConfAcl * → itself */
static GHashTable *mentions; /* ConfKey * → how many lists name it */
static GPtrArray *by_id;     /* ConfAcl *; NULL: the id is free */
static GArray *free_ids;     /* uint32_t */
static uint32_t id_bound;
static uint64_t generation;
static GThread *owner;

static unsigned hash_acl(const void *data);
static gboolean equal_acl(const void *a, const void *b);
static void mention(const ConfAcl *acl, int step);
static void forget(ConfAcl *acl);

static int
compare_entries(const void *a, const void *b)
{
    return conf_key_compare(((const ConfAclEntry *)a)->account, ((const ConfAclEntry *)b)->account);
}

static uint32_t
take_id(void)
{
    if (free_ids->len == 0)
        return id_bound++;
    uint32_t id = g_array_index(free_ids, uint32_t, free_ids->len - 1);
    g_array_set_size(free_ids, free_ids->len - 1);
    return id;
}

ConfAcl *
conf_acl_intern(const ConfAclEntry *entries, unsigned count)
{
    if (lists == NULL) {
        lists = g_hash_table_new(hash_acl, equal_acl);
        mentions = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, NULL);
        free_ids = g_array_new(FALSE, FALSE, sizeof(uint32_t));
        by_id = g_ptr_array_new();
        owner = g_thread_self();
    }
    g_assert(owner == g_thread_self());
    ConfAcl *acl = g_malloc0(sizeof(ConfAcl) + count * sizeof(ConfAclEntry));
    if (count > 0)
        memcpy(acl->entries, entries, count * sizeof(ConfAclEntry));
    qsort(acl->entries, count, sizeof(ConfAclEntry), compare_entries);
    for (unsigned i = 0; i < count; i++) {
        ConfAclEntry entry = {.account = acl->entries[i].account,
                              .rights = acl->entries[i].rights & CONF_RIGHT_ALL};
        if (acl->count > 0 && conf_key_equal(acl->entries[acl->count - 1].account, entry.account))
            acl->entries[acl->count - 1].rights |= entry.rights;
        else if (entry.rights != 0)
            acl->entries[acl->count++] = entry;
    }
    ConfAcl *known = g_hash_table_lookup(lists, acl);
    if (known != NULL) {
        g_free(acl);
        return conf_acl_ref(known);
    }
    acl = g_realloc(acl, sizeof(ConfAcl) + acl->count * sizeof(ConfAclEntry));
    acl->refs = 1;
    acl->id = take_id();
    if (acl->id >= by_id->len)
        g_ptr_array_set_size(by_id, (int)acl->id + 1);
    by_id->pdata[acl->id] = acl;
    g_hash_table_add(lists, acl);
    mention(acl, 1);
    return acl;
}

ConfAcl *
conf_acl_ref(const ConfAcl *acl)
{
    ConfAcl *list = (ConfAcl *)acl;
    if (list != NULL)
        __atomic_fetch_add(&list->refs, 1, __ATOMIC_RELAXED);
    return list;
}

static void
drop_last(void *data)
{
    conf_acl_unref(data);
}

void
conf_acl_unref(const ConfAcl *acl)
{
    ConfAcl *list = (ConfAcl *)acl;
    if (list == NULL)
        return;
    unsigned refs = __atomic_load_n(&list->refs, __ATOMIC_ACQUIRE);
    while (refs > 1) {
        if (__atomic_compare_exchange_n(&list->refs, &refs, refs - 1, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            return;
    }
    /* This is the last one, so nobody but the table can make another; the table is the owner's. */
    if (owner == g_thread_self())
        forget(list);
    else
        conf_main_queue_push(drop_last, list);
}

uint64_t
conf_acl_generation(void)
{
    return generation;
}

uint32_t
conf_acl_id_bound(void)
{
    return id_bound;
}

const ConfAcl *
conf_acl_by_id(uint32_t id)
{
    return id < id_bound ? by_id->pdata[id] : NULL;
}

uint8_t
conf_acl_lookup(const ConfAcl *acl, ConfKey account)
{
    unsigned low = 0, high = acl->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        int order = conf_key_compare(acl->entries[middle].account, account);
        if (order == 0)
            return acl->entries[middle].rights;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

unsigned
conf_acl_count_mentions(ConfKey account)
{
    return mentions != NULL ? GPOINTER_TO_UINT(g_hash_table_lookup(mentions, &account)) : 0;
}

static unsigned
hash_acl(const void *data)
{
    const ConfAcl *acl = data;
    uint64_t hash = acl->count;
    for (unsigned i = 0; i < acl->count; i++)
        hash = (hash ^ conf_key_hash(acl->entries[i].account) ^ acl->entries[i].rights) * 0x9E3779B97F4A7C15u;
    return (unsigned)(hash >> 32);
}

static gboolean
equal_acl(const void *a, const void *b)
{
    const ConfAcl *left = a, *right = b;
    if (left->count != right->count)
        return FALSE;
    for (unsigned i = 0; i < left->count; i++) {
        if (!conf_key_equal(left->entries[i].account, right->entries[i].account) ||
            left->entries[i].rights != right->entries[i].rights)
            return FALSE;
    }
    return TRUE;
}

static void
mention(const ConfAcl *acl, int step)
{
    for (unsigned i = 0; i < acl->count; i++) {
        const ConfKey *account = &acl->entries[i].account;
        unsigned count = conf_acl_count_mentions(*account) + (unsigned)step;
        if (count == 0)
            g_hash_table_remove(mentions, account);
        else
            g_hash_table_insert(mentions, g_memdup2(account, sizeof(*account)), GUINT_TO_POINTER(count));
    }
}

static void
forget(ConfAcl *acl)
{
    g_hash_table_remove(lists, acl);
    mention(acl, -1);
    by_id->pdata[acl->id] = NULL;
    g_array_append_val(free_ids, acl->id);
    generation++;
    g_free(acl);
}
