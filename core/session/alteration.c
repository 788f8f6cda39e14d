/* alteration.c - objects that a commit did not write but whose visibility it changed: below a folder that was
 * moved or got another list of rights, or anywhere for a session whose groups changed.
 *
 * Everything is computed after the commit was applied: lists are immutable and the commit holds those of
 * before; an identity is a fixed set of accounts.  Regions are walked by the tree of children with a stack
 * (it is at most 32 deep). A walk that would take too long ends in a reset, which is always right. */
#include "session/session-private.h"

enum {
    SCANNED_BY_VIEWER_MAX = 100000,
    SCANNED_BY_COMMIT_MAX = 1000000,
};

typedef struct {
    const ConfChange *change;
    ConfKey key;
    bool moved;
} Root;

struct ConfAlterations {
    ConfSessions *sessions;
    ConfCommit *commit;
    GHashTable *written; /* ConfKey → ConfChange: all that the commit wrote */
    GArray *roots;
    unsigned scanned;
};

typedef struct {
    ConfAlterations *alterations;
    const ConfViewer *viewer;
    ConfView *view;
    GHashTable *seen;  /* keys judged already: a region of rights may lie within a region that moved */
    const Root *moved; /* the moved folder that this walk is below of; NULL: places stay */
    unsigned scanned;
} Walk;

static bool is_root(const ConfChange *change);
static bool root_concerns(const Root *root, const ConfViewer *viewer);
static bool walk_region(Walk *walk, ConfKey container, const ConfAcl *old_acl, const ConfAcl *new_acl);
static bool walk_child(Walk *walk, const ConfObject *child, const ConfAcl *old_above,
                       const ConfAcl *new_above, GArray *descend);
static bool walk_identity(Walk *walk);
static bool judge(Walk *walk, const ConfObject *object, const ConfAcl *old_acl, const ConfAcl *new_acl);
static ConfPlace *place_before_move(const ConfPlace *place, const Root *moved);
static bool reads_differ(ConfIdentity *before, const ConfAcl *acl_before, ConfIdentity *after,
                         const ConfAcl *acl_after);
static bool is_member(const ConfObject *group, int64_t person);
static bool identity_changed(const ConfChange *change, ConfKey subject, const GArray *groups);

ConfAlterations *
conf_alterations_new(ConfSessions *sessions, ConfCommit *commit)
{
    ConfAlterations *alterations = g_new0(ConfAlterations, 1);
    alterations->sessions = sessions;
    alterations->commit = commit;
    alterations->written = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, NULL);
    alterations->roots = g_array_new(FALSE, TRUE, sizeof(Root));
    for (unsigned i = 0; i < commit->change_count; i++) {
        ConfChange *change = &commit->changes[i];
        ConfKey key = conf_object_key(change->after != NULL ? change->after : change->before);
        g_hash_table_insert(alterations->written, g_memdup2(&key, sizeof key), change);
        if (!is_root(change))
            continue;
        Root root = {.change = change, .key = key, .moved = change->before->folder != change->after->folder};
        g_array_append_val(alterations->roots, root);
    }
    return alterations;
}

void
conf_alterations_free(ConfAlterations *alterations)
{
    if (alterations == NULL)
        return;
    g_hash_table_unref(alterations->written);
    g_array_unref(alterations->roots);
    g_free(alterations);
}

void
conf_alterations_view(ConfAlterations *alterations, const ConfViewer *viewer, ConfView *view)
{
    Walk walk = {.alterations = alterations, .viewer = viewer, .view = view};
    walk.seen = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, NULL);
    bool whole = true;
    for (unsigned i = 0; i < alterations->roots->len && whole; i++) {
        const Root *root = &g_array_index(alterations->roots, Root, i);
        if (!root_concerns(root, viewer))
            continue;
        walk.moved = root->moved ? root : NULL;
        whole = walk_region(&walk, root->key, root->change->acl_before, root->change->acl_after);
    }
    walk.moved = NULL;
    if (whole && viewer->identity_before != viewer->identity_after)
        whole = walk_identity(&walk);
    if (!whole && view->altered <= viewer->sessions->settings.view_change_max) {
        view->reset = true; /* Given up: too much to look through. */
        view->reset_reason = CONF_REASON_PERMISSION;
    }
    alterations->scanned += walk.scanned;
    g_hash_table_unref(walk.seen);
}

bool
conf_alterations_may_concern(ConfSessions *sessions, const ConfCommit *commit, ConfSession *session)
{
    for (unsigned i = 0; i < commit->change_count; i++) {
        const ConfChange *change = &commit->changes[i];
        /* A commit of before a restart whose lists are no longer known. */
        if ((change->before != NULL && change->acl_before == NULL) ||
            (change->after != NULL && change->acl_after == NULL))
            return true;
        if (!commit->structural)
            continue;
        if (identity_changed(change, session->subject, session->groups))
            return true;
        if (!is_root(change))
            continue;
        if (reads_differ(session->identity, change->acl_before, session->identity, change->acl_after))
            return true;
        for (unsigned k = 0;
             change->before->folder != change->after->folder && k < session->subscriptions->len; k++) {
            const ConfSubscription *subscription = g_ptr_array_index(session->subscriptions, k);
            ConfKey key = conf_object_key(change->after);
            if (subscription->scope->object_count > 0 ||
                conf_scope_covers_below(subscription->scope, key, change->place_before) !=
                    conf_scope_covers_below(subscription->scope, key, change->place_after))
                return true;
        }
    }
    return false;
}

static bool
is_root(const ConfChange *change)
{
    if (change->before == NULL || change->after == NULL)
        return false;
    if (change->after->type != CONF_TYPE_FOLDER && change->after->type != CONF_TYPE_TENANT)
        return false;
    return change->acl_before != change->acl_after || change->before->folder != change->after->folder;
}

static bool
root_concerns(const Root *root, const ConfViewer *viewer)
{
    const ConfChange *change = root->change;
    if (reads_differ(viewer->identity_before, change->acl_before, viewer->identity_after, change->acl_after))
        return true;
    for (unsigned i = 0; root->moved && i < viewer->scope_count; i++) {
        const ConfScope *scope = viewer->scopes[i];
        if (scope->folder != 0 || scope->tenant != 0)
            return true;
    }
    return false;
}

/* False: given up.  Own lists below cut the region of rights off; a move reaches everything below. */
static bool
walk_region(Walk *walk, ConfKey container, const ConfAcl *old_acl, const ConfAcl *new_acl)
{
    typedef struct {
        ConfKey container, cursor;
        const ConfAcl *old_acl, *new_acl;
    } Level;
    ConfStore *store = walk->alterations->sessions->store;
    g_autoptr(GArray) stack = g_array_new(FALSE, TRUE, sizeof(Level));
    Level top = {.container = container, .old_acl = old_acl, .new_acl = new_acl};
    g_array_append_val(stack, top);
    while (stack->len > 0) {
        Level *level = &g_array_index(stack, Level, stack->len - 1);
        const ConfObject *child = conf_store_next_child(store, level->container, level->cursor);
        if (child == NULL) {
            g_array_set_size(stack, stack->len - 1);
            continue;
        }
        level->cursor = conf_object_key(child);
        const ConfAcl *old_above = level->old_acl, *new_above = level->new_acl;
        g_autoptr(GArray) descend = g_array_new(FALSE, TRUE, sizeof(const ConfAcl *));
        if (!walk_child(walk, child, old_above, new_above, descend))
            return false;
        if (descend->len == 0)
            continue;
        Level next = {.container = conf_object_key(child),
                      .old_acl = g_array_index(descend, const ConfAcl *, 0),
                      .new_acl = g_array_index(descend, const ConfAcl *, 1)};
        g_array_append_val(stack, next);
    }
    return true;
}

/* Judges one object of a region; `descend` gets the lists in force below it (old, new) where its content is
 * concerned. */
static bool
walk_child(Walk *walk, const ConfObject *child, const ConfAcl *old_above, const ConfAcl *new_above,
           GArray *descend)
{
    ConfAlterations *alterations = walk->alterations;
    if (++walk->scanned > SCANNED_BY_VIEWER_MAX ||
        alterations->scanned + walk->scanned > SCANNED_BY_COMMIT_MAX)
        return false;
    ConfKey key = conf_object_key(child);
    const ConfChange *change = g_hash_table_lookup(alterations->written, &key);
    if (change != NULL && (change->before == NULL || is_root(change)))
        return true; /* New here, or the root of a region of its own. */
    const ConfAcl *old_acl = change != NULL       ? change->acl_before
                             : child->acl != NULL ? child->acl
                                                  : old_above;
    const ConfAcl *new_acl = child->acl != NULL ? child->acl : new_above;
    if (old_acl == new_acl && walk->moved == NULL &&
        walk->viewer->identity_before == walk->viewer->identity_after)
        return true;
    if (change == NULL && !judge(walk, child, old_acl, new_acl))
        return false;
    if (child->type == CONF_TYPE_FOLDER || child->type == CONF_TYPE_TENANT) {
        g_array_append_val(descend, old_acl);
        g_array_append_val(descend, new_acl);
    }
    return true;
}

/* The groups of the viewer changed: every list that answers otherwise now, and all that hangs on it.  A list
 * that was put there by this very commit says nothing of before: below it the walk over the roots has judged,
 * by both lists. */
static bool
walk_identity(Walk *walk)
{
    ConfStore *store = walk->alterations->sessions->store;
    const ConfViewer *viewer = walk->viewer;
    for (uint32_t id = 0; id < conf_acl_id_bound(); id++) {
        const ConfAcl *acl = conf_acl_by_id(id);
        if (acl == NULL || !reads_differ(viewer->identity_before, acl, viewer->identity_after, acl))
            continue;
        ConfKey cursor = {0};
        const ConfObject *holder;
        while ((holder = conf_store_next_with_acl(store, acl, cursor)) != NULL) {
            cursor = conf_object_key(holder);
            const ConfChange *change = g_hash_table_lookup(walk->alterations->written, &cursor);
            if (change == NULL && !judge(walk, holder, acl, acl))
                return false;
            if (change != NULL && change->acl_before != change->acl_after)
                continue;
            if ((holder->type == CONF_TYPE_FOLDER || holder->type == CONF_TYPE_TENANT) &&
                !walk_region(walk, cursor, acl, acl))
                return false;
        }
    }
    return true;
}

static bool
judge(Walk *walk, const ConfObject *object, const ConfAcl *old_acl, const ConfAcl *new_acl)
{
    ConfKey key = conf_object_key(object);
    if (g_hash_table_contains(walk->seen, &key))
        return true;
    g_hash_table_add(walk->seen, g_memdup2(&key, sizeof key));
    ConfPlace *place = conf_store_place(walk->alterations->sessions->store, object);
    ConfPlace *before = walk->moved != NULL ? place_before_move(place, walk->moved) : conf_place_ref(place);
    conf_view_add_altered(walk->view, walk->viewer, object, old_acl, new_acl, before, place);
    conf_place_unref(before);
    conf_place_unref(place);
    return walk->view->altered <= walk->viewer->sessions->settings.view_change_max;
}

/* The place of something below a folder that was moved, as it was: what stands above that folder is
 * exchanged. */
static ConfPlace *
place_before_move(const ConfPlace *place, const Root *moved)
{
    const ConfPlace *above = moved->change->place_before;
    unsigned kept = 0;
    while (kept < place->folder_count && place->folders[kept] != moved->key.dbid)
        kept++;
    if (moved->key.type == CONF_TYPE_FOLDER && kept < place->folder_count)
        kept++;
    /* A tenant never changes by a move. */
    ConfPlace *before = conf_place_new(kept + above->folder_count, place->tenant_count);
    memcpy(before->folders, place->folders, kept * sizeof(int64_t));
    memcpy(before->folders + kept, above->folders, above->folder_count * sizeof(int64_t));
    memcpy(before->tenants, place->tenants, place->tenant_count * sizeof(int64_t));
    return before;
}

static bool
reads_differ(ConfIdentity *before, const ConfAcl *acl_before, ConfIdentity *after, const ConfAcl *acl_after)
{
    return ((conf_identity_rights(before, acl_before) ^ conf_identity_rights(after, acl_after)) &
            CONF_RIGHT_READ) != 0;
}

/* For replays: did this change alter which groups count for the subject? */
static bool
identity_changed(const ConfChange *change, ConfKey subject, const GArray *groups)
{
    const ConfObject *before = change->before, *after = change->after;
    ConfKey key = conf_object_key(after != NULL ? after : before);
    bool was = before != NULL && before->enabled, is = after != NULL && after->enabled;
    if (conf_key_equal(key, subject))
        return was != is;
    if (key.type != CONF_TYPE_ACCESS_GROUP)
        return false;
    for (unsigned i = 0; groups != NULL && i < groups->len; i++) {
        if (conf_key_equal(g_array_index(groups, ConfKey, i), key) && was != is)
            return true;
    }
    g_autofree char *kind = conf_object_get_string(after != NULL ? after : before, "kind");
    if (g_strcmp0(kind, "everyone") == 0)
        return was != is;
    if (subject.type != CONF_TYPE_PERSON)
        return false;
    return (was && is_member(before, subject.dbid)) != (is && is_member(after, subject.dbid));
}

static bool
is_member(const ConfObject *group, int64_t person)
{
    ConfSlice members = conf_object_get_raw(group, "members");
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, members);
    for (;;) {
        ConfJsonEvent event = members.size > 0 ? conf_json_reader_next(&reader) : CONF_JSON_EVENT_END;
        if (event == CONF_JSON_EVENT_END || event == CONF_JSON_EVENT_ERROR)
            return false;
        if (event == CONF_JSON_EVENT_NUMBER && reader.integer == person)
            return true;
    }
}
