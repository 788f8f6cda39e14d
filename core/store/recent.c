/* recent.c - the recent changes: commits without gaps up to the present position, bounded by bytes; and
 * what commits carry of lists and places.
 *
 * A fold leads from the revision before it at one step: who stands between the two cannot be taken up by
 * it. */
#include "store/store-private.h"

#include <string.h>

#include "base/error.h"

enum { LIMIT_FIRST = 64 * 1024 * 1024 };

static void fill_side(ConfStore *store, const ConfObject *object, const ConfAcl **acl, ConfPlace **place);
static ConfCommit *get_commit(const ConfStore *store, unsigned index);
static unsigned get_count(const ConfStore *store);
static bool leads_here(const ConfStore *store);
static int64_t get_base(const ConfCommit *commit);
static const char *get_base_chain(const ConfStore *store, unsigned index);
static bool find_base(const ConfStore *store, int64_t revision, unsigned *index);
static void add(ConfStore *store, ConfCommit *commit);
static void evict(ConfStore *store);
static void drop_first(ConfStore *store);
static void share_present(ConfStore *store, ConfObject **object);
static size_t measure_object(const ConfObject *object);
static bool is_chain(const char *known, const char *given);

void
conf_recent_init(ConfStore *store)
{
    store->recent = g_ptr_array_new();
    store->recent_limit = LIMIT_FIRST;
}

void
conf_recent_clear(ConfStore *store)
{
    conf_store_forget_recent(store);
    g_ptr_array_free(store->recent, TRUE);
}

void
conf_store_set_position(ConfStore *store, const ConfStorePosition *position)
{
    const ConfStorePosition *before = &store->position;
    bool is_same = strcmp(before->environment, position->environment) == 0 &&
                   before->revision == position->revision && strcmp(before->chain, position->chain) == 0;
    unsigned count = get_count(store);
    const ConfCommit *last = count > 0 ? get_commit(store, count - 1) : NULL;
    store->position = *position;
    /* At start the records may come before the position: they are kept if they lead to it. */
    if (!is_same && last != NULL &&
        (last->revision != position->revision || strcmp(last->chain, position->chain) != 0))
        conf_store_forget_recent(store);
}

void
conf_store_set_recent_limit(ConfStore *store, size_t bytes)
{
    store->recent_limit = bytes;
    evict(store);
}

void
conf_store_add_recent(ConfStore *store, ConfCommit *commit)
{
    unsigned count = get_count(store);
    /* Behind a gap nothing older can lead to the present. */
    if (count > 0 && get_commit(store, count - 1)->revision != get_base(commit))
        conf_store_forget_recent(store);
    conf_store_complete_past(store, commit);
    add(store, conf_commit_ref(commit));
}

void
conf_store_complete_past(ConfStore *store, ConfCommit *commit)
{
    for (unsigned i = 0; i < commit->change_count; i++) {
        ConfChange *change = &commit->changes[i];
        share_present(store, &change->before);
        share_present(store, &change->after);
        conf_change_fill_before(store, change);
        conf_change_fill_after(store, change);
        /* By itself: what lies in a folder now did not when it was made. */
        commit->structural |= conf_index_is_structural(NULL, change->before, change->after);
    }
    commit->memory = conf_commit_measure(commit);
}

ConfCommit *
conf_store_recent_after(const ConfStore *store, int64_t revision)
{
    unsigned index;
    return leads_here(store) && find_base(store, revision, &index) ? get_commit(store, index) : NULL;
}

int64_t
conf_store_recent_start(const ConfStore *store)
{
    return leads_here(store) ? get_base(get_commit(store, 0)) : store->position.revision;
}

ConfHistoryVerdict
conf_store_check_history(const ConfStore *store, int64_t revision, const char *chain)
{
    const ConfStorePosition *position = &store->position;
    if (revision > position->revision)
        return CONF_HISTORY_OTHER;
    if (revision == position->revision)
        return is_chain(position->chain, chain) ? CONF_HISTORY_SAME : CONF_HISTORY_OTHER;
    unsigned index;
    if (!leads_here(store) || !find_base(store, revision, &index))
        return CONF_HISTORY_GONE;
    const char *known = get_base_chain(store, index);
    if (known[0] == '\0' && chain != NULL && chain[0] != '\0')
        return CONF_HISTORY_GONE;
    return is_chain(known, chain) ? CONF_HISTORY_SAME : CONF_HISTORY_OTHER;
}

const char *
conf_store_chain_at(const ConfStore *store, int64_t revision)
{
    if (revision == store->position.revision)
        return store->position.chain;
    unsigned index;
    if (!leads_here(store) || !find_base(store, revision, &index))
        return NULL;
    const char *known = get_base_chain(store, index);
    return known[0] != '\0' ? known : NULL;
}

void
conf_store_forget_recent(ConfStore *store)
{
    while (get_count(store) > 0)
        drop_first(store);
    g_ptr_array_set_size(store->recent, 0);
    store->recent_first = 0;
    store->start_chain[0] = '\0';
}

void
conf_recent_append(ConfStore *store, ConfCommit *commit, const ConfStorePosition *before)
{
    unsigned count = get_count(store);
    if (count > 0 && get_commit(store, count - 1)->revision != get_base(commit))
        conf_store_forget_recent(store);
    if (get_count(store) == 0 && before->revision == get_base(commit))
        memcpy(store->start_chain, before->chain, sizeof(store->start_chain));
    add(store, conf_commit_ref(commit));
}

size_t
conf_commit_measure(const ConfCommit *commit)
{
    size_t memory = sizeof(ConfCommit) + commit->change_count * sizeof(ConfChange) + 64;
    for (unsigned i = 0; i < commit->change_count; i++) {
        const ConfChange *change = &commit->changes[i];
        memory += measure_object(change->before) + measure_object(change->after);
        if (change->difference != NULL)
            memory += sizeof(ConfBytes) + change->difference->size;
    }
    return memory;
}

void
conf_change_fill_before(ConfStore *store, ConfChange *change)
{
    if (change->before != NULL)
        fill_side(store, change->before, &change->acl_before, &change->place_before);
}

void
conf_change_fill_after(ConfStore *store, ConfChange *change)
{
    if (change->after != NULL)
        fill_side(store, change->after, &change->acl_after, &change->place_after);
}

static void
fill_side(ConfStore *store, const ConfObject *object, const ConfAcl **acl, ConfPlace **place)
{
    const ConfAcl *in_force = conf_acl_ref(conf_store_acl(store, object));
    conf_acl_unref(*acl);
    conf_place_unref(*place);
    *acl = in_force;
    *place = conf_store_place(store, object);
}

static ConfCommit *
get_commit(const ConfStore *store, unsigned index)
{
    return store->recent->pdata[store->recent_first + index];
}

static unsigned
get_count(const ConfStore *store)
{
    return store->recent->len - store->recent_first;
}

/* Records that end before the present position, as a broken one may make them, are of no use. */
static bool
leads_here(const ConfStore *store)
{
    unsigned count = get_count(store);
    return count > 0 && get_commit(store, count - 1)->revision == store->position.revision;
}

/* The revision that it leads away from. */
static int64_t
get_base(const ConfCommit *commit)
{
    return commit->from != 0 ? commit->from : commit->revision - 1;
}

/* Of the revision that the commit there leads away from; "": not known. */
static const char *
get_base_chain(const ConfStore *store, unsigned index)
{
    return index > 0 ? get_commit(store, index - 1)->chain : store->start_chain;
}

static bool
find_base(const ConfStore *store, int64_t revision, unsigned *index)
{
    unsigned from = 0, to = get_count(store);
    while (from < to) {
        unsigned middle = (from + to) / 2;
        int64_t base = get_base(get_commit(store, middle));
        if (base == revision) {
            *index = middle;
            return true;
        }
        if (base < revision)
            from = middle + 1;
        else
            to = middle;
    }
    return false;
}

/* Takes the commit. */
static void
add(ConfStore *store, ConfCommit *commit)
{
    g_ptr_array_add(store->recent, commit);
    store->recent_bytes += commit->memory;
    evict(store);
}

static void
evict(ConfStore *store)
{
    while (store->recent_bytes > store->recent_limit && get_count(store) > 0)
        drop_first(store);
    if (store->recent_first > 64 && store->recent_first > store->recent->len / 2) {
        g_ptr_array_remove_range(store->recent, 0, store->recent_first);
        store->recent_first = 0;
    }
}

/* What it led to is the start now, and its chain is known. */
static void
drop_first(ConfStore *store)
{
    ConfCommit *commit = get_commit(store, 0);
    store->recent->pdata[store->recent_first++] = NULL;
    store->recent_bytes -= commit->memory;
    memcpy(store->start_chain, commit->chain, sizeof(store->start_chain));
    conf_commit_unref(commit);
}

/* A version read from a record is often the one that stands: then one copy is enough, and it has its
 * secrets. */
static void
share_present(ConfStore *store, ConfObject **object)
{
    if (*object == NULL)
        return;
    const ConfObject *present = conf_store_lookup(store, conf_object_key(*object));
    if (present == NULL || present == *object || present->acl != (*object)->acl ||
        present->acl_revision != (*object)->acl_revision ||
        !conf_slice_equal(conf_bytes_slice(present->body), conf_bytes_slice((*object)->body)))
        return;
    conf_object_unref(*object);
    *object = conf_object_ref(present);
}

static size_t
measure_object(const ConfObject *object)
{
    if (object == NULL)
        return 0;
    size_t memory = sizeof(ConfObject) + object->name_size + sizeof(ConfBytes) + object->body->size;
    if (object->secrets != NULL)
        memory += sizeof(ConfBytes) + object->secrets->size;
    return memory;
}

/* No chain given: the revision alone is asked of. */
static bool
is_chain(const char *known, const char *given)
{
    return given == NULL || given[0] == '\0' || strcmp(known, given) == 0;
}
