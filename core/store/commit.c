/* commit.c - the committed transaction as a thing: references, memory. */
#include "store/commit.h"

#include "net/poller.h"

enum { FREED_AT_ONCE_MAX = 20000, CHANGES_A_LOOK = 64 };

static bool free_slice(void *data);
static void clear_change(ConfChange *change);

ConfPlace *
conf_place_new(unsigned folder_count, unsigned tenant_count)
{
    ConfPlace *place = g_malloc(sizeof(ConfPlace) + ((size_t)folder_count + tenant_count) * sizeof(int64_t));
    place->refs = 1;
    place->folder_count = folder_count;
    place->tenant_count = tenant_count;
    place->folders = (int64_t *)(void *)(place + 1);
    place->tenants = place->folders + folder_count;
    return place;
}

ConfPlace *
conf_place_ref(ConfPlace *place)
{
    if (place != NULL)
        place->refs++;
    return place;
}

void
conf_place_unref(ConfPlace *place)
{
    if (place != NULL && --place->refs == 0)
        g_free(place);
}

ConfCommit *
conf_commit_new(unsigned change_count)
{
    ConfCommit *commit = g_new0(ConfCommit, 1);
    commit->refs = 1;
    commit->changes = g_new0(ConfChange, change_count);
    commit->change_count = change_count;
    return commit;
}

ConfCommit *
conf_commit_ref(ConfCommit *commit)
{
    commit->refs++;
    return commit;
}

void
conf_commit_unref(ConfCommit *commit)
{
    if (commit == NULL || --commit->refs > 0)
        return;
    /* The fold of a whole database would hold up the turn. */
    if (commit->change_count > FREED_AT_ONCE_MAX) {
        conf_work_start(conf_poller_default(), "freeing a large commit", free_slice, commit);
        return;
    }
    while (free_slice(commit))
        ;
}

/* From the end; false: done. */
static bool
free_slice(void *data)
{
    ConfCommit *commit = data;
    while (commit->change_count > 0) {
        clear_change(&commit->changes[--commit->change_count]);
        if (commit->change_count % CHANGES_A_LOOK == 0 && conf_work_is_due())
            return true;
    }
    g_free(commit->changes);
    g_free(commit->address);
    g_free(commit);
    return false;
}

static void
clear_change(ConfChange *change)
{
    conf_object_unref(change->before);
    conf_object_unref(change->after);
    conf_bytes_unref(change->difference);
    conf_acl_unref(change->acl_before);
    conf_acl_unref(change->acl_after);
    conf_place_unref(change->place_before);
    conf_place_unref(change->place_after);
}
