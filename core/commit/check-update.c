/* check-update.c - operation update, and the amendments that the server makes for a method. */
#include "commit/check-private.h"

#include "rpc/request.h"

typedef struct {
    const ConfJson *patch, *add, *remove;
    bool moves;
    const ConfObject *folder; /* where to; NULL: not there, or not readable */
} ConfUpdate;

static bool read_shape(ConfCheck *check, const ConfJson *operation, ConfUpdate *update);
static bool read_members(ConfCheck *check, const ConfJson *operation, const char *name,
                         const ConfJson **members);
static bool check_rights(ConfCheck *check, const ConfObject *object, ConfUpdate *update);
static bool check_move(ConfCheck *check, const ConfObject *object, const ConfUpdate *update);
static bool check_group(ConfCheck *check, const ConfObject *object, const ConfUpdate *update);
static bool is_at_or_below(ConfCheck *check, const ConfObject *folder, ConfKey ancestor);
static bool settle(ConfCheck *check, const ConfObject *before, ConfObject *after, const ConfUpdate *update);
static int64_t present_revision(ConfCheck *check, const ConfObject *object);
static int compare_references(const void *a, const void *b);
static bool has_expected_secret(const ConfTransaction *transaction, const ConfObject *object);
static ConfJson *parse_own(ConfCheck *check, const ConfBytes *text);

bool
conf_check_update(ConfCheck *check, ConfJson *operation)
{
    ConfUpdate update = {0};
    if (!read_shape(check, operation, &update))
        return false;
    const ConfObject *object = conf_check_find(check, operation, false);
    if (object == NULL)
        return false;
    g_array_index(check->operations, ConfOperation, check->index).key = conf_object_key(object);
    if (!check_rights(check, object, &update) ||
        !conf_check_if_revision(check, operation, present_revision(check, object)))
        return false;
    if (update.moves && update.folder == NULL)
        return conf_check_fail_member(check, "/patch/folder", "There is no such folder.");

    ConfObject *after = conf_object_update(check->schema, check->arena, object, update.patch, update.add,
                                           update.remove, check->revision, check->at, &check->error);
    if (after == NULL)
        return false;
    if (after == object) {
        conf_object_unref(after);
        return true;
    }
    if (!check_group(check, after, &update) || (update.moves && !check_move(check, object, &update))) {
        conf_object_unref(after);
        return false;
    }
    return settle(check, object, after, &update);
}

static bool
read_shape(ConfCheck *check, const ConfJson *operation, ConfUpdate *update)
{
    static const char *const names[] = {"op",         "type",  "dbid", "name",   "tenant", "path",
                                        "ifRevision", "patch", "add",  "remove", NULL};
    return conf_params_only(operation, check->at, names, &check->error) &&
           read_members(check, operation, "patch", &update->patch) &&
           read_members(check, operation, "add", &update->add) &&
           read_members(check, operation, "remove", &update->remove);
}

static bool
read_members(ConfCheck *check, const ConfJson *operation, const char *name, const ConfJson **members)
{
    *members = conf_json_member(operation, name);
    if (*members == NULL || (*members)->kind == CONF_JSON_OBJECT)
        return true;
    g_autofree char *path = g_strconcat("/", name, NULL);
    return conf_check_fail_member(check, path, "An object with the members to change is meant here.");
}

static bool
check_rights(ConfCheck *check, const ConfObject *object, ConfUpdate *update)
{
    if (!conf_check_may(check, object, CONF_RIGHT_CHANGE))
        return conf_check_fail_right(check, object, "change");
    const ConfJson *folder = conf_json_member(update->patch, "folder");
    if (folder == NULL)
        return true;
    bool is_number = folder->kind == CONF_JSON_NUMBER && folder->is_integer;
    if ((is_number && folder->integer == object->folder) ||
        (folder->kind == CONF_JSON_NULL && object->folder == 0))
        return true;
    if (object->folder == 0)
        return conf_rpc_fail(&check->error, CONF_RPC_NOT_PERMITTED, "%s cannot be moved.",
                             conf_check_describe(check, object));
    if (folder->kind == CONF_JSON_NULL)
        return object->type == CONF_TYPE_FOLDER
                   ? conf_rpc_fail(&check->error, CONF_RPC_NOT_PERMITTED,
                                   "A folder cannot become a root folder.")
                   : conf_check_fail_member(check, "/patch/folder", "An object lies in a folder.");
    if (!is_number)
        return true; /* Told with the other values. */
    update->moves = true;
    const ConfObject *there =
        conf_check_lookup(check, (ConfKey){.dbid = folder->integer, .type = CONF_TYPE_FOLDER});
    if (there == NULL || !conf_check_may(check, there, CONF_RIGHT_READ))
        return true; /* As above. */
    update->folder = there;
    return conf_check_may(check, there, CONF_RIGHT_CREATE) ||
           conf_check_fail_right(check, there, "create in");
}

static bool
check_move(ConfCheck *check, const ConfObject *object, const ConfUpdate *update)
{
    if (update->folder->tenant != object->tenant)
        return conf_check_fail_member(check, "/patch/folder", "The folder belongs to another tenant.");
    if (object->type != CONF_TYPE_FOLDER)
        return conf_check_folder_holds(check, update->folder, object->type, NULL, "/patch/folder");
    g_autofree char *holds = conf_object_get_string(object, "holds");
    if (!conf_check_folder_holds(check, update->folder, object->type, holds, "/patch/folder"))
        return false;
    if (is_at_or_below(check, update->folder, conf_object_key(object)))
        return conf_check_fail_member(check, "/patch/folder", "A folder cannot lie in itself.");
    return true;
}

/* By the folders' own chain: tenants do not matter, as a folder moves within its tenant. */
static bool
is_at_or_below(ConfCheck *check, const ConfObject *folder, ConfKey ancestor)
{
    for (unsigned depth = 0; folder != NULL && depth <= CONF_NESTING_MAX; depth++) {
        if (folder->dbid == ancestor.dbid)
            return true;
        if (folder->folder == 0)
            return false;
        folder = conf_state_lookup(check->state, (ConfKey){.dbid = folder->folder, .type = CONF_TYPE_FOLDER});
    }
    return false;
}

static bool
check_group(ConfCheck *check, const ConfObject *object, const ConfUpdate *update)
{
    if (object->type != CONF_TYPE_ACCESS_GROUP || conf_object_get_raw(object, "members").size == 0)
        return true;
    g_autofree char *kind = conf_object_get_string(object, "kind");
    if (g_strcmp0(kind, "everyone") != 0)
        return true;
    const char *member = conf_json_member(update->add, "members") != NULL ? "/add/members" : "/patch/members";
    return conf_check_fail_member(check, member, "A group of kind everyone means all and lists nobody.");
}

/* Takes `after`.  `before` is borrowed from the state and gone after the put. */
static bool
settle(ConfCheck *check, const ConfObject *before, ConfObject *after, const ConfUpdate *update)
{
    if (update->moves && !update->folder->enabled && after->enabled) {
        ConfObject *disabled = conf_check_disabled(check, after);
        conf_object_unref(after);
        if (disabled == NULL)
            return false;
        after = disabled;
    }
    ConfKey key = conf_object_key(after);
    bool is_container = conf_type_is_container(key.type);
    bool disables = is_container && before->enabled && !after->enabled;
    conf_check_own(check, key);
    ConfTouched *touched = conf_check_touch(check, key);
    touched->is_named = true;
    touched->named_by = check->index;
    conf_check_note_references(check, before, after);
    if (!conf_check_put(check, after))
        return true;
    if (key.type == CONF_TYPE_FOLDER && update->moves)
        conf_spread_add(check, conf_spread_depth, key);
    if (disables)
        conf_spread_add(check, conf_spread_disable, key);
    return true;
}

/* What the client can know: the revision from before this transaction. */
static int64_t
present_revision(ConfCheck *check, const ConfObject *object)
{
    const ConfObject *before = conf_check_before(check, object);
    return before != NULL ? before->revision : object->revision;
}

void
conf_check_note_references(ConfCheck *check, const ConfObject *before, const ConfObject *after)
{
    g_autoptr(GArray) present = g_array_new(FALSE, FALSE, sizeof(ConfReference));
    conf_object_references(check->schema, after, present);
    if (present->len == 0)
        return;
    g_autoptr(GArray) former = g_array_new(FALSE, FALSE, sizeof(ConfReference));
    if (before != NULL)
        conf_object_references(check->schema, before, former);
    g_array_sort(former, compare_references);
    for (unsigned i = 0; i < present->len; i++) {
        const ConfReference *reference = &g_array_index(present, ConfReference, i);
        if (!g_array_binary_search(former, reference, compare_references, NULL))
            conf_check_note_reference(check, conf_object_key(after), reference->target, reference->field);
    }
}

void
conf_check_note_reference(ConfCheck *check, ConfKey object, ConfKey target, const ConfField *field)
{
    const ConfObject *there = conf_check_lookup(check, target);
    /* Who repairs rights from above gives them to itself first, and perhaps may not read even that. */
    bool is_self = field == NULL && conf_key_equal(target, check->transaction->subject);
    ConfNewReference noted = {
        .operation = check->index,
        .object = object,
        .target = target,
        .field = field,
        .is_readable = there != NULL && (is_self || conf_check_may(check, there, CONF_RIGHT_READ)),
    };
    g_array_append_val(check->references, noted);
}

static int
compare_references(const void *a, const void *b)
{
    const ConfReference *left = a, *right = b;
    int order = conf_key_compare(left->target, right->target);
    if (order != 0)
        return order;
    return left->field < right->field ? -1 : left->field > right->field;
}

/* ---- amendments ---- */

bool
conf_check_amend(ConfCheck *check)
{
    const ConfTransaction *transaction = check->transaction;
    const ConfTypeInfo *type = conf_schema_type(check->schema, transaction->amended.type);
    const ConfObject *object = conf_check_lookup(check, transaction->amended);
    bool is_free = transaction->amend_right == 0;
    if (object == NULL || (!is_free && !conf_check_may(check, object, CONF_RIGHT_READ)))
        return conf_rpc_fail(&check->error, CONF_RPC_NOT_FOUND, "There is no %s %" G_GINT64_FORMAT ".",
                             type != NULL ? type->name : "object", transaction->amended.dbid);
    if (!is_free && !conf_check_may(check, object, transaction->amend_right))
        return conf_check_fail_right(check, object, "change");
    if (!has_expected_secret(transaction, object))
        return conf_rpc_fail(&check->error, CONF_RPC_CHANGED, "The password was changed meanwhile.");

    ConfJson *patch = parse_own(check, transaction->patch), *secrets = parse_own(check, transaction->secrets);
    g_autoptr(GError) error = NULL;
    ConfObject *after =
        conf_object_amend(check->schema, check->arena, object, patch, secrets, check->revision, &error);
    if (after == NULL)
        return conf_rpc_fail(&check->error, CONF_RPC_INTERNAL, "The object could not be changed: %s",
                             error->message);
    if (after == object) {
        conf_object_unref(after);
        return true;
    }
    return settle(check, object, after, &(ConfUpdate){0});
}

static bool
has_expected_secret(const ConfTransaction *transaction, const ConfObject *object)
{
    if (transaction->expected_member == NULL)
        return true;
    g_autofree char *secret = conf_object_get_secret(object, transaction->expected_member);
    bool is_same = g_strcmp0(secret, transaction->expected_secret) == 0;
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    return is_same;
}

/* NULL: nothing was given. */
static ConfJson *
parse_own(ConfCheck *check, const ConfBytes *text)
{
    return text != NULL ? conf_json_parse(check->arena, conf_bytes_slice(text), NULL, NULL, NULL) : NULL;
}
