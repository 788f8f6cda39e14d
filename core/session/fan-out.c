/* fan-out.c - tells sessions of a commit, right after it was applied, in this order: what each may see of it,
 * then session.ending to those whose right ended by it.
 *
 * Interested audiences come from the index of scopes.  A structural commit (lists of rights, groups, moves)
 * is judged for every audience, and moves sessions whose groups changed to another one: what they saw before
 * and see after decides. */
#include "session/session-private.h"

typedef struct {
    ConfSessions *sessions;
    ConfCommit *commit;
    GHashTable *cache;
    GPtrArray *audiences; /* touched */
    uint32_t index;       /* of the change whose scopes are being collected */
    ConfKey key;
    const ConfPlace *place;
    ConfAlterations *alterations; /* structural only */
} FanOut;

/* Sessions of one audience whose identity changes alike. */
typedef struct {
    ConfAudience *audience;
    ConfIdentity *identity_after;
    GPtrArray *sessions;
} Transition;

typedef struct {
    FanOut *fan_out;
    GPtrArray *list;     /* of Transition */
    GPtrArray *moved;    /* of ConfSession */
    GHashTable *handled; /* set of these */
    GHashTable *by_pair; /* audience and identity after → Transition */
} Transitions;

static void collect_touched(FanOut *fan_out);
static void touch_scope(ConfScope *scope, void *data);
static void tell_audience(FanOut *fan_out, ConfAudience *audience);
static void tell_structural(FanOut *fan_out);
static void tell_transition(FanOut *fan_out, Transition *transition);
static void tell_sessions(FanOut *fan_out, ConfView *view, const ConfViewer *viewer, GPtrArray *told);
static GPtrArray *find_transitions(FanOut *fan_out, GPtrArray *moved);
static void add_moved(Transitions *found, ConfSession *session);
static void add_staying(Transitions *found, ConfAudience *audience);
static Transition *transition_new(ConfAudience *audience, ConfIdentity *identity_after);
static void transition_free(Transition *transition);
static void end_sessions(FanOut *fan_out);
static void mark_ending(GHashTable *table, ConfKey key, GHashTable *ending, const ConfChange *change);
static bool is_own_password(const ConfSession *session, const ConfObject *after);
static bool is_ended_by(const ConfSession *session, const ConfChange *change);
static GArray *union_matches(ConfAudience *audience, uint64_t serial);

void
conf_fan_out_done(ConfCommit *commit, void *data)
{
    FanOut fan_out = {.sessions = data, .commit = commit};
    ConfSessions *sessions = fan_out.sessions;
    conf_poller_note("fan-out");
    sessions->commit_serial++;
    fan_out.cache = conf_view_cache_new();
    fan_out.audiences = g_ptr_array_new();
    collect_touched(&fan_out);
    if (commit->structural) {
        fan_out.alterations = conf_alterations_new(sessions, commit);
        tell_structural(&fan_out);
        conf_alterations_free(fan_out.alterations);
    } else {
        for (unsigned i = 0; i < fan_out.audiences->len; i++)
            tell_audience(&fan_out, g_ptr_array_index(fan_out.audiences, i));
    }
    g_ptr_array_unref(fan_out.audiences);
    g_hash_table_unref(fan_out.cache);
    end_sessions(&fan_out);
    conf_waits_check(sessions);
}

void
conf_fan_out_send(ConfSession *session, GPtrArray *lines, int64_t revision)
{
    ConfSessions *sessions = session->sessions;
    if (session->connection == NULL || session->finished)
        return;
    ConfOutputKind kind = session->replay != NULL ? CONF_OUTPUT_ANSWER : CONF_OUTPUT_NOTIFICATION;
    for (unsigned i = 0; i < lines->len; i++)
        conf_connection_send_bytes(session->connection, g_ptr_array_index(lines, i), kind);
    session->revision = revision;
    sessions->statistics.notifications++;
    sessions->statistics.notification_lines += lines->len;
    size_t backlog = conf_connection_get_unsent_notifications(session->connection);
    if (backlog > (size_t)sessions->settings.max_notification_backlog) {
        sessions->statistics.slow_consumers++;
        conf_session_break(session, "slow-consumer");
    }
}

void
conf_fan_out_reset(ConfSession *session, int64_t revision, ConfReason reason)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func((GDestroyNotify)conf_bytes_unref);
    g_ptr_array_add(lines, conf_view_reset_line(revision, reason));
    session->sessions->statistics.resets++;
    conf_fan_out_send(session, lines, revision);
    for (unsigned i = 0; session->connection != NULL && i < session->subscriptions->len; i++) {
        ConfSubscription *subscription = g_ptr_array_index(session->subscriptions, i);
        if (subscription->initial)
            conf_walk_start(session, subscription);
    }
}

static void
collect_touched(FanOut *fan_out)
{
    for (unsigned i = 0; i < fan_out->commit->change_count; i++) {
        const ConfChange *change = &fan_out->commit->changes[i];
        if (change->kind == CONF_CHANGE_SECRET)
            continue;
        fan_out->index = i;
        fan_out->key = conf_object_key(change->after != NULL ? change->after : change->before);
        if (change->place_before != NULL) {
            fan_out->place = change->place_before;
            conf_scope_candidates(fan_out->sessions, fan_out->key, fan_out->place, touch_scope, fan_out);
        }
        if (change->place_after != NULL && change->place_after != change->place_before) {
            fan_out->place = change->place_after;
            conf_scope_candidates(fan_out->sessions, fan_out->key, fan_out->place, touch_scope, fan_out);
        }
    }
}

static void
touch_scope(ConfScope *scope, void *data)
{
    FanOut *fan_out = data;
    if (!conf_scope_covers(scope, fan_out->key, fan_out->place))
        return;
    uint64_t serial = fan_out->sessions->commit_serial;
    if (scope->mark != serial) {
        scope->mark = serial;
        g_array_set_size(scope->matches, 0);
        for (unsigned i = 0; i < scope->audiences->len; i++) {
            ConfAudience *audience = g_ptr_array_index(scope->audiences, i);
            if (audience->mark == serial)
                continue;
            audience->mark = serial;
            g_ptr_array_add(fan_out->audiences, audience);
        }
    }
    unsigned length = scope->matches->len;
    if (length == 0 || g_array_index(scope->matches, uint32_t, length - 1) != fan_out->index)
        g_array_append_val(scope->matches, fan_out->index);
}

static int
compare_indices(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Indices of all scopes of the audience, each once: a new array. */
static GArray *
union_matches(ConfAudience *audience, uint64_t serial)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    unsigned sources = 0;
    for (unsigned i = 0; i < audience->scope_count; i++) {
        const ConfScope *scope = audience->scopes[i];
        if (scope->mark != serial || scope->matches->len == 0)
            continue;
        g_array_append_vals(all, scope->matches->data, scope->matches->len);
        sources++;
    }
    if (sources < 2)
        return all;
    g_array_sort(all, compare_indices);
    unsigned kept = 1;
    for (unsigned i = 1; i < all->len; i++) {
        if (g_array_index(all, uint32_t, i) != g_array_index(all, uint32_t, kept - 1))
            g_array_index(all, uint32_t, kept++) = g_array_index(all, uint32_t, i);
    }
    g_array_set_size(all, kept);
    return all;
}

static ConfViewer
viewer_of(FanOut *fan_out, ConfAudience *audience, ConfIdentity *after)
{
    return (ConfViewer){
        .sessions = fan_out->sessions,
        .commit = fan_out->commit,
        .identity_before = audience->identity,
        .identity_after = after,
        .scopes = audience->scopes,
        .scope_count = audience->scope_count,
        .only = audience->only,
    };
}

static void
tell_audience(FanOut *fan_out, ConfAudience *audience)
{
    ConfViewer viewer = viewer_of(fan_out, audience, audience->identity);
    g_autoptr(GArray) matches = union_matches(audience, fan_out->sessions->commit_serial);
    ConfView view;
    conf_view_init(&view);
    conf_view_add_changes(&view, &viewer, matches);
    conf_view_finish(&view, &viewer);
    /* A copy: a session that falls behind leaves the audience, and the last one takes the audience along. */
    g_autoptr(GPtrArray) told = g_ptr_array_copy(audience->sessions, NULL, NULL);
    tell_sessions(fan_out, &view, &viewer, told);
    conf_view_clear(&view);
}

static void
tell_sessions(FanOut *fan_out, ConfView *view, const ConfViewer *viewer, GPtrArray *told)
{
    if (!view->reset && view->items->len == 0)
        return;
    GPtrArray *lines = view->reset ? NULL : conf_view_lines(view, viewer, fan_out->cache);
    for (unsigned i = 0; i < told->len; i++) {
        ConfSession *session = g_ptr_array_index(told, i);
        if (lines != NULL)
            conf_fan_out_send(session, lines, fan_out->commit->revision);
        else
            conf_fan_out_reset(session, fan_out->commit->revision, view->reset_reason);
    }
}

/* Every audience is judged: which objects it may see can have changed without one of them being written.  The
 * list is fixed first, since telling may break sessions and sessions then move to other audiences. */
static void
tell_structural(FanOut *fan_out)
{
    g_autoptr(GPtrArray) moved = g_ptr_array_new(); /* of ConfSession */
    g_autoptr(GPtrArray) transitions = find_transitions(fan_out, moved);
    for (unsigned i = 0; i < transitions->len; i++)
        tell_transition(fan_out, g_ptr_array_index(transitions, i));
    for (unsigned i = 0; i < moved->len; i++) {
        ConfSession *session = g_ptr_array_index(moved, i);
        conf_session_refresh_identity(session);
        if (session->replay != NULL)
            conf_replay_forget_past(session, fan_out->commit);
    }
}

static void
tell_transition(FanOut *fan_out, Transition *transition)
{
    ConfAudience *audience = transition->audience;
    ConfViewer viewer = viewer_of(fan_out, audience, transition->identity_after);
    g_autoptr(GArray) matches = union_matches(audience, fan_out->sessions->commit_serial);
    ConfView view;
    conf_view_init(&view);
    conf_view_add_changes(&view, &viewer, matches);
    conf_alterations_view(fan_out->alterations, &viewer, &view);
    conf_view_finish(&view, &viewer);
    tell_sessions(fan_out, &view, &viewer, transition->sessions);
    conf_view_clear(&view);
}

/* `moved`: sessions (in an audience or not) whose identity is another one now.  One whose account ends by
 * this commit keeps its identity to the end: it is told of the commit as before, then that it is over. */
static GPtrArray *
find_transitions(FanOut *fan_out, GPtrArray *moved)
{
    ConfSessions *sessions = fan_out->sessions;
    Transitions found = {.fan_out = fan_out, .moved = moved};
    g_autoptr(GArray) subjects = g_array_new(FALSE, FALSE, sizeof(ConfKey));
    found.list = g_ptr_array_new_with_free_func((GDestroyNotify)transition_free);
    found.handled = g_hash_table_new(NULL, NULL);
    found.by_pair = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    conf_access_changed_subjects(sessions->store, fan_out->commit, subjects);
    for (unsigned i = 0; i < subjects->len; i++) {
        GPtrArray *list = g_hash_table_lookup(sessions->by_subject, &g_array_index(subjects, ConfKey, i));
        for (unsigned k = 0; list != NULL && k < list->len; k++)
            add_moved(&found, g_ptr_array_index(list, k));
    }
    GHashTableIter iter;
    void *member;
    g_hash_table_iter_init(&iter, sessions->by_token);
    while (g_hash_table_iter_next(&iter, NULL, &member)) {
        /* Groups that a directory named do not have the person as a member: it is no changed subject. */
        if (((const ConfSession *)member)->groups != NULL)
            add_moved(&found, member);
    }
    g_hash_table_iter_init(&iter, sessions->audiences);
    while (g_hash_table_iter_next(&iter, &member, NULL))
        add_staying(&found, member);
    g_hash_table_unref(found.handled);
    g_hash_table_unref(found.by_pair);
    return found.list;
}

static void
add_moved(Transitions *found, ConfSession *session)
{
    const ConfObject *subject = conf_store_lookup(found->fan_out->sessions->store, session->subject);
    if (subject == NULL || !subject->enabled)
        return;
    g_autoptr(ConfIdentity) now = conf_session_current_identity(session);
    if (now == session->identity || !g_hash_table_add(found->handled, session))
        return;
    g_ptr_array_add(found->moved, session);
    if (session->audience == NULL)
        return;
    char *pair = g_strdup_printf("%p %p", (void *)session->audience, (void *)now);
    Transition *transition = g_hash_table_lookup(found->by_pair, pair);
    if (transition == NULL) {
        transition = transition_new(session->audience, now);
        g_ptr_array_add(found->list, transition);
        g_hash_table_insert(found->by_pair, pair, transition);
    } else {
        g_free(pair);
    }
    g_ptr_array_add(transition->sessions, session);
}

static void
add_staying(Transitions *found, ConfAudience *audience)
{
    Transition *transition = transition_new(audience, audience->identity);
    for (unsigned i = 0; i < audience->sessions->len; i++) {
        if (!g_hash_table_contains(found->handled, g_ptr_array_index(audience->sessions, i)))
            g_ptr_array_add(transition->sessions, g_ptr_array_index(audience->sessions, i));
    }
    if (transition->sessions->len > 0)
        g_ptr_array_add(found->list, transition);
    else
        transition_free(transition);
}

static Transition *
transition_new(ConfAudience *audience, ConfIdentity *identity_after)
{
    Transition *transition = g_new0(Transition, 1);
    transition->audience = audience;
    transition->identity_after = conf_identity_ref(identity_after);
    transition->sessions = g_ptr_array_new();
    return transition;
}

static void
transition_free(Transition *transition)
{
    conf_identity_unref(transition->identity_after);
    g_ptr_array_unref(transition->sessions);
    g_free(transition);
}

/* After what they may still see of the commit: sessions whose person or application was disabled or deleted,
 * whose password was set from outside, or that lost the right to run their application.  Broken ones end too.
 */
static void
end_sessions(FanOut *fan_out)
{
    ConfSessions *sessions = fan_out->sessions;
    g_autoptr(GHashTable) ending = g_hash_table_new(NULL, NULL);
    for (unsigned i = 0; i < fan_out->commit->change_count; i++) {
        const ConfChange *change = &fan_out->commit->changes[i];
        ConfKey key = conf_object_key(change->before != NULL ? change->before : change->after);
        conf_rules_committed(sessions, change);
        if (change->before == NULL)
            continue;
        if (key.type == CONF_TYPE_PERSON || key.type == CONF_TYPE_APPLICATION)
            conf_access_forget(sessions->access, key);
        if (key.type == CONF_TYPE_PERSON)
            mark_ending(sessions->by_person, key, ending, change);
        else if (key.type == CONF_TYPE_APPLICATION)
            mark_ending(sessions->by_application, key, ending, change);
        if (key.type == CONF_TYPE_PERSON || key.type == CONF_TYPE_ACCESS_GROUP)
            mark_ending(sessions->by_subject, key, ending, change);
    }
    GHashTableIter iter;
    void *member;
    if (fan_out->commit->structural) {
        g_hash_table_iter_init(&iter, sessions->by_token);
        while (g_hash_table_iter_next(&iter, NULL, &member)) {
            if (!conf_session_still_allowed(member))
                g_hash_table_add(ending, member);
        }
    }
    g_hash_table_iter_init(&iter, ending);
    while (g_hash_table_iter_next(&iter, &member, NULL))
        conf_session_finish(sessions, member, "account");
}

static void
mark_ending(GHashTable *table, ConfKey key, GHashTable *ending, const ConfChange *change)
{
    GPtrArray *list = g_hash_table_lookup(table, &key);
    for (unsigned i = 0; list != NULL && i < list->len; i++) {
        ConfSession *session = g_ptr_array_index(list, i);
        if (is_ended_by(session, change))
            g_hash_table_add(ending, session);
    }
}

static bool
differs(const ConfObject *before, const ConfObject *after, const char *member)
{
    return !conf_slice_equal(conf_object_get_raw(before, member), conf_object_get_raw(after, member));
}

/* The very commit: one from outside may come between the hashing of the own one and its commit. */
static bool
is_own_password(const ConfSession *session, const ConfObject *after)
{
    g_autofree char *hash = session->own_hash != NULL ? conf_object_get_secret(after, "passwordHash") : NULL;
    bool is_own = hash != NULL && strcmp(hash, session->own_hash) == 0;
    if (hash != NULL)
        explicit_bzero(hash, strlen(hash));
    return is_own;
}

static bool
is_ended_by(const ConfSession *session, const ConfChange *change)
{
    const ConfObject *before = change->before, *after = change->after;
    ConfKey key = conf_object_key(before);
    if (after == NULL || !after->enabled)
        return true;
    if (key.type == CONF_TYPE_PERSON && conf_key_equal(key, session->person))
        return !is_own_password(session, after) &&
               (differs(before, after, "passwordChanged") ||
                !conf_slice_equal(conf_bytes_slice(before->secrets), conf_bytes_slice(after->secrets)));
    if (key.type == CONF_TYPE_APPLICATION && session->person.dbid == 0)
        return differs(before, after, "account") ||
               !conf_slice_equal(conf_bytes_slice(before->secrets), conf_bytes_slice(after->secrets));
    return false;
}
