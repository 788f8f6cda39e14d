/* net-effect.c - what a transaction amounts to: each object once, creates in order, then updates, then
 * deletes with referrers first.  What ends as it began is no change, and a transaction of nothing but that
 * takes no revision. */
#include "commit/check-private.h"

#include "base/clock.h"

/* Which deletions must come before which: Kahn's algorithm, in the order of the operations where it is free
 * to choose. */
typedef struct {
    GHashTable *places; /* ConfKey * → index + 1 into deletes */
    GArray *edges;      /* ConfEdge */
    unsigned *first;    /* index → first of its edges + 1 */
    unsigned *waits;    /* index → how many must come before it still */
    bool *is_out;
    GArray *ready; /* unsigned */
    unsigned ready_position;
    GArray *sorted;   /* unsigned */
    unsigned scanned; /* objects whose references were read */
    unsigned next;    /* where a cycle is broken */
} ConfSorting;

typedef struct {
    unsigned to, next;
} ConfEdge;

/* Objects looked at in one step. */
enum { OBJECTS_A_STEP = 4 };

static bool judge(ConfCheck *check, ConfTouched *touched);
static bool judge_change(ConfCheck *check, const ConfObject *before, const ConfObject *after);
static void restore(ConfCheck *check, const ConfObject *before);
static void add_update(ConfCheck *check, ConfChangeKind kind, const ConfObject *before,
                       const ConfObject *after, const ConfBuffer *difference);
static bool keep_body(ConfCheck *check, const ConfObject *before, const ConfObject *after);
static bool bytes_equal(const ConfBytes *a, const ConfBytes *b);
static bool bodies_equal(const ConfBytes *a, const ConfBytes *b);
static ConfSlice after_revision(const ConfBytes *body);
static ConfSorting *begin_sorting(ConfCheck *check);
static void scan(ConfCheck *check, ConfSorting *sorting, unsigned index);
static void add_edge(ConfSorting *sorting, unsigned from, ConfKey to);
static void put_out(ConfSorting *sorting, unsigned index);
static void fill_results(ConfCheck *check);
static ConfOperationResult result_of(ConfCheck *check, const ConfOperation *operation);

ConfStep
conf_check_net_effect(ConfCheck *check)
{
    for (unsigned i = 0; i < OBJECTS_A_STEP; i++) {
        if (check->cursor == check->order->len)
            return CONF_STEP_DONE;
        if (!judge(check, g_ptr_array_index(check->order, check->cursor++)))
            return CONF_STEP_FAILED;
    }
    return CONF_STEP_MORE;
}

static bool
judge(ConfCheck *check, ConfTouched *touched)
{
    const ConfObject *before = touched->before;
    const ConfObject *after = conf_state_lookup(check->state, touched->key);
    if (before == NULL && after == NULL)
        return true;
    if (before != NULL && after != NULL)
        return before == after || judge_change(check, before, after);
    ConfChange change = {.kind = before == NULL ? CONF_CHANGE_CREATE : CONF_CHANGE_DELETE};
    change.before = before != NULL ? conf_object_ref(before) : NULL;
    change.after = after != NULL ? conf_object_ref(after) : NULL;
    GArray *list = before == NULL ? check->changes : check->deletes;
    g_array_append_val(list, change);
    return true;
}

static bool
judge_change(ConfCheck *check, const ConfObject *before, const ConfObject *after)
{
    bool same_body = bodies_equal(before->body, after->body);
    bool same_list = before->acl == after->acl;
    bool same_secrets = bytes_equal(before->secrets, after->secrets);
    if (same_body && same_secrets && same_list) {
        restore(check, before);
        return true;
    }
    if (same_body && (same_secrets || same_list))
        return keep_body(check, before, after);

    /* The list of rights keeps its revision where it ends as it began. */
    if (same_list && after->acl_revision != before->acl_revision)
        conf_state_put(check->state, conf_object_with_acl(after, after->acl, before->acl_revision));
    g_auto(ConfBuffer) difference = CONF_BUFFER_INIT;
    after = conf_state_lookup(check->state, conf_object_key(before));
    conf_object_write_difference(check->schema, before, after, &difference);
    add_update(check, CONF_CHANGE_UPDATE, before, after, &difference);
    return true;
}

/* Only the list of rights, or only secrets that do not show: the body keeps its revision, since nobody is
 * told of it. */
static bool
keep_body(ConfCheck *check, const ConfObject *before, const ConfObject *after)
{
    ConfChangeKind kind = before->acl != after->acl ? CONF_CHANGE_PERMISSION : CONF_CHANGE_SECRET;
    ConfObject *kept;
    if (kind == CONF_CHANGE_PERMISSION) {
        kept = conf_object_with_acl(before, after->acl, after->acl != NULL ? check->revision : 0);
    } else {
        g_autoptr(GError) error = NULL;
        g_auto(ConfBuffer) list = CONF_BUFFER_INIT;
        if (before->acl != NULL)
            conf_acl_write(before->acl, check->schema, &list);
        kept = conf_object_from_stored(check->schema, conf_bytes_slice(before->body),
                                       conf_bytes_slice(after->secrets), conf_buffer_slice(&list),
                                       before->acl_revision, &error);
        if (kept == NULL)
            return conf_rpc_fail(&check->error, CONF_RPC_INTERNAL, "Secrets could not be set: %s",
                                 error->message);
    }
    conf_state_put(check->state, kept);
    add_update(check, kind, before, kept, NULL);
    return true;
}

static void
restore(ConfCheck *check, const ConfObject *before)
{
    conf_state_put(check->state, conf_object_ref(before));
}

static void
add_update(ConfCheck *check, ConfChangeKind kind, const ConfObject *before, const ConfObject *after,
           const ConfBuffer *difference)
{
    ConfChange change = {
        .kind = kind,
        .before = conf_object_ref(before),
        .after = conf_object_ref(after),
        .difference = difference != NULL ? conf_buffer_to_bytes(difference) : NULL,
    };
    g_array_append_val(check->updates, change);
}

static bool
bytes_equal(const ConfBytes *a, const ConfBytes *b)
{
    return a == b || conf_slice_equal(conf_bytes_slice(a), conf_bytes_slice(b));
}

/* Of two versions of one object: is all the same but the revision?  Bodies are canonical: type, dbid and
 * revision come first. */
static bool
bodies_equal(const ConfBytes *a, const ConfBytes *b)
{
    return a == b || conf_slice_equal(after_revision(a), after_revision(b));
}

static ConfSlice
after_revision(const ConfBytes *body)
{
    static const char member[] = "\"revision\":";
    const char *end = body->data + body->size;
    const char *p = memmem(body->data, body->size, member, sizeof(member) - 1);
    if (p == NULL)
        return conf_bytes_slice(body);
    for (p += sizeof(member) - 1; p < end && g_ascii_isdigit(*p); p++)
        continue;
    return (ConfSlice){p, (size_t)(end - p)};
}

/* ---- the order of deletes ---- */

ConfStep
conf_check_order_deletes(ConfCheck *check)
{
    if (check->deletes->len < 2)
        return CONF_STEP_DONE;
    ConfSorting *sorting = check->sorting;
    if (sorting == NULL) {
        check->sorting = begin_sorting(check);
        return CONF_STEP_MORE;
    }
    for (unsigned i = 0; i < OBJECTS_A_STEP && sorting->scanned < check->deletes->len; i++)
        scan(check, sorting, sorting->scanned++);
    if (sorting->scanned < check->deletes->len)
        return CONF_STEP_MORE;

    for (unsigned i = 0; i < check->deletes->len; i++) {
        if (sorting->waits[i] == 0)
            g_array_append_val(sorting->ready, i);
    }
    while (sorting->sorted->len < check->deletes->len) {
        if (sorting->ready_position < sorting->ready->len) {
            put_out(sorting, g_array_index(sorting->ready, unsigned, sorting->ready_position++));
            continue;
        }
        /* They refer to one another: any order is as good. */
        while (sorting->is_out[sorting->next])
            sorting->next++;
        put_out(sorting, sorting->next);
    }
    g_autoptr(GArray) sorted = g_array_new(FALSE, TRUE, sizeof(ConfChange));
    for (unsigned i = 0; i < sorting->sorted->len; i++)
        g_array_append_vals(
            sorted, &g_array_index(check->deletes, ConfChange, g_array_index(sorting->sorted, unsigned, i)),
            1);
    g_array_set_size(check->deletes, 0);
    g_array_append_vals(check->deletes, sorted->data, sorted->len);
    conf_check_forget_sorting(check);
    return CONF_STEP_DONE;
}

static ConfSorting *
begin_sorting(ConfCheck *check)
{
    unsigned count = check->deletes->len;
    ConfSorting *sorting = g_new0(ConfSorting, 1);
    sorting->places = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, NULL);
    sorting->edges = g_array_new(FALSE, FALSE, sizeof(ConfEdge));
    sorting->first = g_new0(unsigned, count);
    sorting->waits = g_new0(unsigned, count);
    sorting->is_out = g_new0(bool, count);
    sorting->ready = g_array_new(FALSE, FALSE, sizeof(unsigned));
    sorting->sorted = g_array_new(FALSE, FALSE, sizeof(unsigned));
    for (unsigned i = 0; i < count; i++) {
        ConfKey key = conf_object_key(g_array_index(check->deletes, ConfChange, i).before);
        g_hash_table_insert(sorting->places, g_memdup2(&key, sizeof(key)), GUINT_TO_POINTER(i + 1));
    }
    return sorting;
}

void
conf_check_forget_sorting(ConfCheck *check)
{
    ConfSorting *sorting = check->sorting;
    if (sorting == NULL)
        return;
    check->sorting = NULL;
    g_hash_table_unref(sorting->places);
    g_array_unref(sorting->edges);
    g_free(sorting->first);
    g_free(sorting->waits);
    g_free(sorting->is_out);
    g_array_unref(sorting->ready);
    g_array_unref(sorting->sorted);
    g_free(sorting);
}

/* What the object refers to and lies in must come after it. */
static void
scan(ConfCheck *check, ConfSorting *sorting, unsigned index)
{
    const ConfObject *object = g_array_index(check->deletes, ConfChange, index).before;
    g_autoptr(GArray) references = g_array_new(FALSE, FALSE, sizeof(ConfReference));
    conf_object_references(check->schema, object, references);
    for (unsigned i = 0; i < references->len; i++)
        add_edge(sorting, index, g_array_index(references, ConfReference, i).target);
    if (object->folder != 0)
        add_edge(sorting, index, (ConfKey){.dbid = object->folder, .type = CONF_TYPE_FOLDER});
    add_edge(sorting, index, (ConfKey){.dbid = object->tenant, .type = CONF_TYPE_TENANT});
}

static void
add_edge(ConfSorting *sorting, unsigned from, ConfKey to)
{
    unsigned place = GPOINTER_TO_UINT(g_hash_table_lookup(sorting->places, &to));
    if (place == 0 || place - 1 == from)
        return;
    ConfEdge edge = {.to = place - 1, .next = sorting->first[from]};
    g_array_append_val(sorting->edges, edge);
    sorting->first[from] = sorting->edges->len;
    sorting->waits[place - 1]++;
}

static void
put_out(ConfSorting *sorting, unsigned index)
{
    if (sorting->is_out[index])
        return;
    sorting->is_out[index] = true;
    g_array_append_val(sorting->sorted, index);
    for (unsigned at = sorting->first[index]; at != 0;) {
        const ConfEdge *edge = &g_array_index(sorting->edges, ConfEdge, at - 1);
        if (--sorting->waits[edge->to] == 0)
            g_array_append_val(sorting->ready, edge->to);
        at = edge->next;
    }
}

/* ---- the commit ---- */

ConfStep
conf_check_make_commit(ConfCheck *check)
{
    fill_results(check);
    unsigned count = check->changes->len + check->updates->len + check->deletes->len;
    if (count == 0)
        return CONF_STEP_DONE;
    const ConfTransaction *transaction = check->transaction;
    ConfCommit *commit = conf_commit_new(count);
    commit->revision = check->revision;
    commit->time_ms = conf_clock_wall_ms();
    commit->user = transaction->user;
    commit->application = transaction->application;
    commit->address = g_strdup(transaction->address);
    GArray *lists[] = {check->changes, check->updates, check->deletes};
    ConfChange *next = commit->changes;
    for (unsigned i = 0; i < G_N_ELEMENTS(lists); i++) {
        if (lists[i]->len > 0)
            memcpy(next, lists[i]->data, lists[i]->len * sizeof(ConfChange));
        next += lists[i]->len;
        g_array_set_size(lists[i], 0); /* The references are the commit's now. */
    }
    check->commit = commit;
    return CONF_STEP_DONE;
}

static void
fill_results(ConfCheck *check)
{
    check->results = g_new0(ConfOperationResult, check->operations->len + 1);
    for (unsigned i = 0; i < check->operations->len; i++)
        check->results[i] = result_of(check, &g_array_index(check->operations, ConfOperation, i));
}

static ConfOperationResult
result_of(ConfCheck *check, const ConfOperation *operation)
{
    ConfOperationResult result = {.key = operation->key, .revision = check->revision};
    const ConfObject *object = conf_state_lookup(check->state, operation->key);
    if (object == NULL)
        return result;
    if (operation->kind == CONF_OPERATION_PERMISSION) {
        const ConfObject *holder = NULL;
        conf_state_acl(check->state, object, &holder);
        result.revision = holder != NULL ? holder->acl_revision : 0;
    } else {
        result.revision = object->revision;
    }
    return result;
}
