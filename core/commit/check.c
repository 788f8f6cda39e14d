/* check.c - the engine of a check: cuts the operations apart, runs them one after the other, then the phases
 * that need all of them done. */
#include "commit/check-private.h"

#include "rpc/request.h"

typedef ConfStep (*ConfPhaseFunc)(ConfCheck *check);

/* How much is done between two looks at the clock. */
enum { EVENTS_A_STEP = 256 };

static ConfStep cut(ConfCheck *check);
static bool take_element(ConfCheck *check, ConfJsonEvent event, size_t *began, unsigned *depth, bool *over);
static ConfStep operate(ConfCheck *check);
static ConfStep amend(ConfCheck *check);
static ConfStep spread(ConfCheck *check);
static bool begin_operation(ConfCheck *check);
static bool run_operation(ConfCheck *check, ConfJson *operation);
static bool read_kind(ConfCheck *check, const ConfJson *operation, ConfOperationKind *kind);
static void free_touched(void *touched);
static void move_set(GHashTable *from, GHashTable *to);
static void move_placements(ConfCheck *check);
static void move_next_dbids(ConfCheck *check);

static const ConfPhaseFunc operation_phases[] = {
    cut,
    operate,
    conf_check_repairer,
    conf_check_names,
    conf_check_references,
    conf_check_referrers,
    conf_check_remove_doomed,
    conf_check_net_effect,
    conf_check_order_deletes,
    conf_check_make_commit,
    NULL,
};

static const ConfPhaseFunc amendment_phases[] = {
    amend,
    conf_check_repairer,
    conf_check_names,
    conf_check_references,
    conf_check_net_effect,
    conf_check_make_commit,
    NULL,
};

void
conf_check_base_init(ConfCheckBase *base, ConfStore *store, ConfState *state, int64_t revision)
{
    *base = (ConfCheckBase){
        .store = store, .schema = conf_store_schema(store), .state = state, .revision = revision};
    base->next_dbids = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    base->placements =
        g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, (GDestroyNotify)g_hash_table_unref);
    base->relisted = conf_key_set_new();
}

void
conf_check_base_clear(ConfCheckBase *base)
{
    conf_state_free(base->state);
    g_hash_table_unref(base->next_dbids);
    g_hash_table_unref(base->placements);
    g_hash_table_unref(base->relisted);
    *base = (ConfCheckBase){0};
}

ConfCheck *
conf_check_new(const ConfTransaction *transaction, ConfCheckBase *base, int64_t max_operations)
{
    ConfCheck *check = g_new0(ConfCheck, 1);
    check->transaction = transaction;
    check->base = base;
    check->store = base->store;
    check->schema = base->schema;
    check->state = conf_state_new(base->state);
    check->revision = base->revision + 1;
    check->max_operations = max_operations;
    check->arena = conf_arena_new();
    check->scratch = conf_arena_new();
    conf_json_reader_init(&check->reader);
    check->texts = g_array_new(FALSE, FALSE, sizeof(ConfSlice));
    check->operations = g_array_new(FALSE, FALSE, sizeof(ConfOperation));
    check->spreads = g_ptr_array_new_with_free_func((GDestroyNotify)conf_spread_free);
    check->touched = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, NULL, free_touched);
    check->order = g_ptr_array_new();
    check->deletions = g_array_new(FALSE, FALSE, sizeof(ConfDeletion));
    check->references = g_array_new(FALSE, FALSE, sizeof(ConfNewReference));
    check->next_dbids = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    check->placements =
        g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, (GDestroyNotify)g_hash_table_unref);
    check->relisted = conf_key_set_new();
    check->changes = g_array_new(FALSE, TRUE, sizeof(ConfChange));
    check->updates = g_array_new(FALSE, TRUE, sizeof(ConfChange));
    check->deletes = g_array_new(FALSE, TRUE, sizeof(ConfChange));
    return check;
}

void
conf_check_free(ConfCheck *check)
{
    if (check == NULL)
        return;
    conf_check_forget_sorting(check);
    GArray *arrays[] = {check->changes, check->updates, check->deletes};
    for (unsigned i = 0; i < G_N_ELEMENTS(arrays); i++) {
        for (unsigned j = 0; j < arrays[i]->len; j++) {
            ConfChange *change = &g_array_index(arrays[i], ConfChange, j);
            conf_object_unref(change->before);
            conf_object_unref(change->after);
            conf_bytes_unref(change->difference);
        }
        g_array_unref(arrays[i]);
    }
    if (check->state != NULL)
        conf_state_free(check->state);
    conf_rpc_error_clear(&check->error);
    conf_arena_free(check->arena);
    conf_arena_free(check->scratch);
    conf_json_reader_clear(&check->reader);
    g_array_unref(check->texts);
    g_array_unref(check->operations);
    g_ptr_array_unref(check->spreads);
    g_ptr_array_unref(check->order);
    g_hash_table_unref(check->touched);
    g_array_unref(check->deletions);
    g_array_unref(check->references);
    g_hash_table_unref(check->next_dbids);
    g_hash_table_unref(check->placements);
    g_hash_table_unref(check->relisted);
    conf_commit_unref(check->commit);
    g_free(check->results);
    g_free(check);
}

ConfStep
conf_check_step(ConfCheck *check)
{
    const ConfPhaseFunc *phases =
        conf_transaction_is_amendment(check->transaction) ? amendment_phases : operation_phases;
    conf_arena_reset(check->scratch);
    ConfStep step = phases[check->phase](check);
    if (step == CONF_STEP_FAILED) {
        if (check->transaction->form == CONF_TRANSACTION_LIST && check->operations->len > 0)
            conf_rpc_error_add_integer(&check->error, "operation", check->index);
        return step;
    }
    if (step == CONF_STEP_MORE)
        return step;
    check->phase++;
    check->cursor = 0;
    check->phase_begun = false;
    return phases[check->phase] != NULL ? CONF_STEP_MORE : CONF_STEP_DONE;
}

void
conf_check_accept(ConfCheck *check, bool merge)
{
    check->base->revision = check->revision;
    move_next_dbids(check);
    if (!merge)
        return;
    move_set(check->relisted, check->base->relisted);
    move_placements(check);
    conf_state_merge(check->state);
    check->state = NULL;
}

unsigned
conf_check_operation_count(const ConfCheck *check)
{
    return check->operations->len;
}

/* ---- the text of the operations, cut into one slice each ---- */

static ConfStep
cut(ConfCheck *check)
{
    ConfSlice text = conf_bytes_slice(check->transaction->operations);
    if (!check->phase_begun) {
        check->phase_begun = true;
        conf_json_reader_start(&check->reader, text);
        if (conf_json_reader_next(&check->reader) != CONF_JSON_EVENT_ARRAY) {
            conf_rpc_fail_path(&check->error, "/operations", "Operations stand in a list.");
            return CONF_STEP_FAILED;
        }
        return CONF_STEP_MORE;
    }
    /* An element is never left half read: it goes through in one step, as parsing it will. */
    size_t began = 0;
    unsigned depth = 0;
    for (unsigned i = 0; i < EVENTS_A_STEP || depth > 0; i++) {
        bool over = false;
        if (!take_element(check, conf_json_reader_next(&check->reader), &began, &depth, &over))
            return CONF_STEP_FAILED;
        if (!over)
            continue;
        check->counted = check->text_count;
        if (!conf_check_is_over(check))
            return CONF_STEP_DONE;
        conf_check_fail_limit(check);
        return CONF_STEP_FAILED;
    }
    return CONF_STEP_MORE;
}

static bool
take_element(ConfCheck *check, ConfJsonEvent event, size_t *began, unsigned *depth, bool *over)
{
    const ConfJsonReader *reader = &check->reader;
    ConfSlice text = conf_bytes_slice(check->transaction->operations);
    switch (event) {
    case CONF_JSON_EVENT_ERROR:
        return conf_rpc_fail_path(&check->error, "/operations", "The list of operations is broken: %s",
                                  reader->message);
    case CONF_JSON_EVENT_END:
        *over = true;
        return true;
    case CONF_JSON_EVENT_OBJECT:
    case CONF_JSON_EVENT_ARRAY:
        if (*depth == 0)
            *began = reader->offset;
        (*depth)++;
        return true;
    case CONF_JSON_EVENT_OBJECT_END:
    case CONF_JSON_EVENT_ARRAY_END:
        if (*depth == 0)
            return true; /* of the list itself; END follows */
        if (--*depth > 0)
            return true;
        break;
    default:
        if (*depth > 0)
            return true;
        *began = reader->offset;
        break;
    }
    if (check->text_count++ < check->max_operations) {
        size_t size =
            *depth == 0 && (event == CONF_JSON_EVENT_OBJECT_END || event == CONF_JSON_EVENT_ARRAY_END)
                ? reader->offset + 1 - *began
                : reader->raw.size;
        ConfSlice element = {text.data + *began, size};
        g_array_append_val(check->texts, element);
    }
    return true;
}

/* ---- operation by operation ---- */

static ConfStep
operate(ConfCheck *check)
{
    if (check->spreads->len > 0)
        return spread(check);
    if (check->cursor == check->texts->len)
        return CONF_STEP_DONE;
    if (!begin_operation(check))
        return CONF_STEP_FAILED;
    check->cursor++;
    if (conf_check_is_over(check) && check->spreads->len == 0) {
        conf_check_fail_limit(check);
        return CONF_STEP_FAILED;
    }
    return CONF_STEP_MORE;
}

static ConfStep
amend(ConfCheck *check)
{
    if (check->spreads->len > 0)
        return spread(check);
    if (check->phase_begun)
        return CONF_STEP_DONE;
    check->phase_begun = true;
    check->counted = 1;
    ConfOperation operation = {CONF_OPERATION_AMEND, check->transaction->amended};
    g_array_append_val(check->operations, operation);
    return conf_check_amend(check) ? CONF_STEP_MORE : CONF_STEP_FAILED;
}

static ConfStep
spread(ConfCheck *check)
{
    ConfSpread *first = g_ptr_array_index(check->spreads, 0);
    ConfStep step = first->func(check, first);
    if (step != CONF_STEP_DONE)
        return step;
    g_ptr_array_remove_index(check->spreads, 0);
    if (check->spreads->len == 0 && conf_check_is_over(check)) {
        conf_check_fail_limit(check);
        return CONF_STEP_FAILED;
    }
    return CONF_STEP_MORE;
}

static bool
begin_operation(ConfCheck *check)
{
    conf_arena_reset(check->arena);
    check->index = check->cursor;
    if (check->transaction->form == CONF_TRANSACTION_LIST)
        g_snprintf(check->at, sizeof(check->at), "/operations/%u", check->index);
    ConfOperation operation = {0};
    g_array_append_val(check->operations, operation);

    ConfSlice text = g_array_index(check->texts, ConfSlice, check->index);
    const char *message = NULL;
    ConfJson *tree = conf_json_parse(check->arena, text, NULL, NULL, &message);
    if (tree == NULL)
        return conf_rpc_fail_path(&check->error, check->at, "The operation is broken: %s", message);
    if (tree->kind != CONF_JSON_OBJECT)
        return conf_rpc_fail_path(&check->error, check->at, "An operation is an object.");
    return run_operation(check, tree);
}

static bool
run_operation(ConfCheck *check, ConfJson *operation)
{
    ConfOperationKind kind = CONF_OPERATION_CREATE;
    if (!read_kind(check, operation, &kind) ||
        !conf_check_resolve_created(check, operation, check->index, check->at))
        return false;
    g_array_index(check->operations, ConfOperation, check->index).kind = kind;
    switch (kind) {
    case CONF_OPERATION_CREATE:
        return conf_check_create(check, operation);
    case CONF_OPERATION_UPDATE:
        return conf_check_update(check, operation);
    case CONF_OPERATION_DELETE:
        return conf_check_delete(check, operation);
    default:
        return conf_check_permission(check, operation);
    }
}

static bool
read_kind(ConfCheck *check, const ConfJson *operation, ConfOperationKind *kind)
{
    static const char *const names[] = {"create", "update", "delete", "permission"};
    ConfSlice op = {NULL, 0};
    if (!conf_params_string(operation, check->at, "op", true, &op, &check->error))
        return false;
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (conf_slice_is(op, names[i])) {
            *kind = (ConfOperationKind)i;
            return true;
        }
    }
    return conf_check_fail_member(check, "/op", "An operation is create, update, delete or permission.");
}

bool
conf_check_fail_limit(ConfCheck *check)
{
    conf_rpc_fail(&check->error, CONF_RPC_LIMIT,
                  "The transaction takes %" G_GINT64_FORMAT
                  " operations with what it cascades to; at most %" G_GINT64_FORMAT " are allowed.",
                  check->counted, check->max_operations);
    conf_rpc_error_add_integer(&check->error, "operations", check->counted);
    conf_rpc_error_add_integer(&check->error, "limit", check->max_operations);
    return false;
}

static void
free_touched(void *data)
{
    ConfTouched *touched = data;
    conf_object_unref(touched->before);
    g_free(touched);
}

/* ---- into the batch ---- */

static void
move_set(GHashTable *from, GHashTable *to)
{
    GHashTableIter iter;
    void *key;
    g_hash_table_iter_init(&iter, from);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        conf_key_set_add(to, *(const ConfKey *)key);
}

static void
move_placements(ConfCheck *check)
{
    GHashTableIter iter;
    void *container, *set;
    g_hash_table_iter_init(&iter, check->placements);
    while (g_hash_table_iter_next(&iter, &container, &set)) {
        GHashTable *there = g_hash_table_lookup(check->base->placements, container);
        if (there != NULL) {
            move_set(set, there);
            continue;
        }
        g_hash_table_insert(check->base->placements, g_memdup2(container, sizeof(ConfKey)),
                            g_hash_table_ref(set));
    }
}

static void
move_next_dbids(ConfCheck *check)
{
    GHashTableIter iter;
    void *type, *next;
    g_hash_table_iter_init(&iter, check->next_dbids);
    while (g_hash_table_iter_next(&iter, &type, &next))
        g_hash_table_insert(check->base->next_dbids, type, g_memdup2(next, sizeof(int64_t)));
}
