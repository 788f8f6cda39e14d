/* check-final.c - what is looked at when all operations are done: that somebody can still repair rights, then
 * names, then the references that are new, then what still refers to the deleted. */
#include "commit/check-private.h"

typedef struct {
    ConfCheck *check;
    const ConfObject *object;
    const ConfObject *other;
} ConfNameClash;

typedef struct {
    ConfCheck *check;
    ConfKey target;
    GArray *readable; /* ConfKey */
    bool others;
    unsigned looked_at;
} ConfReferrerList;

/* Operations, references or children looked at in one step. */
enum { LOOKS_A_STEP = 16, REFERRERS_TOLD = 100, REFERRERS_LOOKED_AT = 10000 };

static bool check_name(ConfCheck *check, unsigned index);
static bool same_scope(const ConfCheck *check, const ConfObject *a, const ConfObject *b);
static bool find_clash(const ConfObject *object, void *data);
static void fail_at(ConfCheck *check, unsigned index);
static bool check_reference(ConfCheck *check, const ConfNewReference *reference);
static bool had_reference(ConfCheck *check, const ConfNewReference *reference);
static bool has_reference(ConfCheck *check, const ConfObject *object, const ConfNewReference *reference);
static bool gather_referrer(const ConfObject *object, void *data);
static void gather_content(ConfReferrerList *list, ConfKey container);
static void fail_referred(ConfCheck *check, const ConfReferrerList *list);

ConfStep
conf_check_repairer(ConfCheck *check)
{
    if (!check->touches_rights || conf_access_has_repairer(check->state) ||
        !conf_access_has_repairer(check->base->state))
        return CONF_STEP_DONE;
    fail_at(check, check->rights_operation);
    conf_rpc_fail(&check->error, CONF_RPC_NOT_PERMITTED,
                  "Nobody would be left who can change permissions on tenant Environment.");
    return CONF_STEP_FAILED;
}

/* ---- names ---- */

ConfStep
conf_check_names(ConfCheck *check)
{
    for (unsigned i = 0; i < LOOKS_A_STEP; i++, check->cursor++) {
        if (check->cursor == check->operations->len)
            return CONF_STEP_DONE;
        if (!check_name(check, check->cursor))
            return CONF_STEP_FAILED;
    }
    return CONF_STEP_MORE;
}

static bool
check_name(ConfCheck *check, unsigned index)
{
    const ConfOperation *operation = &g_array_index(check->operations, ConfOperation, index);
    const ConfTouched *touched = g_hash_table_lookup(check->touched, &operation->key);
    if (touched == NULL || !touched->is_named || touched->named_by != index)
        return true;
    const ConfObject *object = conf_check_lookup(check, operation->key);
    if (object == NULL)
        return true;
    const ConfObject *before = touched->before;
    if (before != NULL && before->folder == object->folder &&
        conf_slice_equal(conf_object_name(before), conf_object_name(object)))
        return true;
    ConfNameClash clash = {.check = check, .object = object};
    conf_state_foreach_named(check->state, object->type, conf_object_name(object), find_clash, &clash);
    if (clash.other == NULL)
        return true;

    /* Of two that took the name in this transaction the later one is at fault. */
    ConfKey other = conf_object_key(clash.other);
    const ConfTouched *taker = g_hash_table_lookup(check->touched, &other);
    fail_at(check, taker != NULL && taker->is_named && taker->named_by > index ? taker->named_by : index);
    const ConfTypeInfo *type = conf_schema_type(check->schema, object->type);
    conf_rpc_fail(&check->error, CONF_RPC_NAME_TAKEN, "The name \"%s\" is taken by another %s.", object->name,
                  type->name);
    conf_rpc_error_add_string(&check->error, "type", type->name);
    conf_rpc_error_add_string(&check->error, "name", object->name);
    return false;
}

static bool
find_clash(const ConfObject *object, void *data)
{
    ConfNameClash *clash = data;
    if (object->dbid == clash->object->dbid || !same_scope(clash->check, object, clash->object) ||
        conf_check_lookup(clash->check, conf_object_key(object)) == NULL)
        return true;
    clash->other = object;
    return false;
}

static bool
same_scope(const ConfCheck *check, const ConfObject *a, const ConfObject *b)
{
    const ConfTypeInfo *type = conf_schema_type(check->schema, a->type);
    if (type->unique_in_environment)
        return true;
    if (a->type == CONF_TYPE_FOLDER)
        return a->folder == b->folder && a->tenant == b->tenant;
    return a->tenant == b->tenant;
}

/* The operation that the fault is told of, where there are several. */
static void
fail_at(ConfCheck *check, unsigned index)
{
    check->index = index;
    if (check->transaction->form == CONF_TRANSACTION_LIST)
        g_snprintf(check->at, sizeof(check->at), "/operations/%u", index);
}

/* ---- references that are new ---- */

ConfStep
conf_check_references(ConfCheck *check)
{
    for (unsigned i = 0; i < LOOKS_A_STEP; i++, check->cursor++) {
        if (check->cursor == check->references->len)
            return CONF_STEP_DONE;
        if (!check_reference(check, &g_array_index(check->references, ConfNewReference, check->cursor)))
            return CONF_STEP_FAILED;
    }
    return CONF_STEP_MORE;
}

static bool
check_reference(ConfCheck *check, const ConfNewReference *reference)
{
    const ConfObject *target = conf_check_lookup(check, reference->target);
    bool is_free = conf_transaction_is_amendment(check->transaction) && check->transaction->amend_right == 0;
    if (target != NULL &&
        (is_free || reference->is_readable || conf_check_may(check, target, CONF_RIGHT_READ)))
        return true;
    const ConfObject *object = conf_check_lookup(check, reference->object);
    if (object == NULL || !has_reference(check, object, reference))
        return true; /* A later operation took it away again. */
    if (target != NULL && had_reference(check, reference))
        return true;
    fail_at(check, reference->operation);
    conf_arena_reset(check->arena);
    g_autofree char *path = conf_check_locate(check, reference);
    const ConfTypeInfo *type = conf_schema_type(check->schema, reference->target.type);
    return conf_rpc_fail_path(&check->error, path, "There is no %s %" G_GINT64_FORMAT ".",
                              type != NULL ? type->name : "object", reference->target.dbid);
}

/* Was it there before the transaction, so that it is not the author's doing? */
static bool
had_reference(ConfCheck *check, const ConfNewReference *reference)
{
    const ConfTouched *touched = g_hash_table_lookup(check->touched, &reference->object);
    return touched != NULL && touched->before != NULL && has_reference(check, touched->before, reference);
}

static bool
has_reference(ConfCheck *check, const ConfObject *object, const ConfNewReference *reference)
{
    if (reference->field == NULL)
        return object->acl != NULL && conf_acl_lookup(object->acl, reference->target) != 0;
    g_autoptr(GArray) references = g_array_new(FALSE, FALSE, sizeof(ConfReference));
    conf_object_references(check->schema, object, references);
    for (unsigned i = 0; i < references->len; i++) {
        const ConfReference *present = &g_array_index(references, ConfReference, i);
        if (present->field == reference->field && conf_key_equal(present->target, reference->target))
            return true;
    }
    return false;
}

/* ---- what still refers to the deleted, or lies in it ---- */

ConfStep
conf_check_referrers(ConfCheck *check)
{
    if (check->cursor == check->deletions->len)
        return CONF_STEP_DONE;
    const ConfDeletion *deletion = &g_array_index(check->deletions, ConfDeletion, check->cursor++);
    g_autoptr(GArray) readable = g_array_new(FALSE, FALSE, sizeof(ConfKey));
    ConfReferrerList list = {.check = check, .target = deletion->key, .readable = readable};
    conf_state_foreach_referrer(check->state, deletion->key, gather_referrer, &list);
    if (conf_type_is_container(deletion->key.type))
        gather_content(&list, deletion->key);
    if (readable->len == 0 && !list.others)
        return CONF_STEP_MORE;
    fail_at(check, deletion->operation);
    fail_referred(check, &list);
    return CONF_STEP_FAILED;
}

static bool
gather_referrer(const ConfObject *object, void *data)
{
    ConfReferrerList *list = data;
    ConfKey key = conf_object_key(object);
    if (conf_key_equal(key, list->target) || conf_check_lookup(list->check, key) == NULL)
        return true;
    if (list->readable->len == REFERRERS_TOLD || ++list->looked_at > REFERRERS_LOOKED_AT ||
        !conf_check_may(list->check, object, CONF_RIGHT_READ)) {
        list->others = true;
        return list->readable->len < REFERRERS_TOLD && list->looked_at <= REFERRERS_LOOKED_AT;
    }
    g_array_append_val(list->readable, key);
    return true;
}

/* What lies in a folder holds it as a reference does. */
static void
gather_content(ConfReferrerList *list, ConfKey container)
{
    conf_state_foreach_child(list->check->state, container, gather_referrer, list);
}

static void
fail_referred(ConfCheck *check, const ConfReferrerList *list)
{
    const ConfObject *target = conf_state_lookup(check->state, list->target);
    conf_rpc_fail(&check->error, CONF_RPC_REFERRED_TO, "%s cannot be deleted while other objects %s it.",
                  target != NULL ? conf_check_describe(check, target) : "The object",
                  conf_type_is_container(list->target.type) ? "lie in or refer to" : "refer to");
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    ConfJsonWriter writer;
    conf_json_writer_init(&writer, &buffer);
    conf_json_writer_begin_array(&writer);
    for (unsigned i = 0; i < list->readable->len; i++) {
        ConfKey key = g_array_index(list->readable, ConfKey, i);
        conf_json_writer_begin_object(&writer);
        conf_json_writer_member_string(&writer, "type", conf_schema_type(check->schema, key.type)->name);
        conf_json_writer_member_integer(&writer, "dbid", key.dbid);
        conf_json_writer_end_object(&writer);
    }
    conf_json_writer_end_array(&writer);
    conf_buffer_append_char(&buffer, '\0');
    conf_rpc_error_add_data(&check->error, "referrers", buffer.data);
    if (list->others)
        conf_rpc_error_add_data(&check->error, "others", "true");
}

ConfStep
conf_check_remove_doomed(ConfCheck *check)
{
    for (unsigned i = 0; i < check->deletions->len; i++) {
        ConfKey key = g_array_index(check->deletions, ConfDeletion, i).key;
        if (conf_type_is_container(key.type))
            conf_state_remove(check->state, key);
    }
    return CONF_STEP_DONE;
}
