/* check-address.c - what an operation names: by type and dbid, by type and name, by path; {"$created":N};
 * ifRevision; and the way back, from a reference at fault to its place in the operation's text. */
#include "commit/check-private.h"

#include "rpc/request.h"

typedef struct {
    ConfCheck *check;
    int64_t tenant; /* 0: any */
    bool repair;
    const ConfObject *found;
    unsigned count;
} ConfNameSearch;

static bool resolve_node(ConfCheck *check, ConfJson *node, unsigned index, GString *path);
static bool resolve_children(ConfCheck *check, ConfJson *node, unsigned index, GString *path);
static bool is_visible(ConfCheck *check, const ConfObject *object, bool repair);
static const ConfObject *find_by_path(ConfCheck *check, const ConfJson *operation, bool repair);
static const ConfObject *find_by_dbid(ConfCheck *check, const ConfJson *operation, const ConfTypeInfo *type,
                                      bool repair);
static const ConfObject *find_by_name(ConfCheck *check, const ConfJson *operation, const ConfTypeInfo *type,
                                      bool repair);
static bool match_name(const ConfObject *object, void *data);
static bool locate_in_members(const ConfNewReference *reference, const ConfTypeInfo *type,
                              const ConfJson *members, GString *path);
static bool locate_in_value(const ConfNewReference *reference, const ConfField *field, const ConfJson *value,
                            GString *path);
static bool locate_in_entries(ConfCheck *check, const ConfNewReference *reference, const ConfJson *entries,
                              GString *path);
static bool is_reference_to(const ConfField *field, const ConfJson *value, ConfKey target);
static void append_step(GString *path, ConfSlice key);

/* ---- {"$created":N} ---- */

bool
conf_check_resolve_created(ConfCheck *check, ConfJson *operation, unsigned index, const char *at)
{
    g_autoptr(GString) path = g_string_new(at);
    return resolve_node(check, operation, index, path);
}

/* Depth is that of a JSON text, which the reader bounds. */
static bool
resolve_node(ConfCheck *check, ConfJson *node, unsigned index, GString *path)
{
    if (node->kind != CONF_JSON_OBJECT && node->kind != CONF_JSON_ARRAY)
        return true;
    if (node->kind != CONF_JSON_OBJECT || node->count != 1 || !conf_slice_is(node->first->key, "$created"))
        return resolve_children(check, node, index, path);
    const ConfJson *number = node->first;
    if (number->kind != CONF_JSON_NUMBER || !number->is_integer || number->integer < 0 ||
        number->integer >= index)
        return conf_rpc_fail_path(&check->error, path->str,
                                  "$created is the number of an earlier operation.");
    const ConfOperation *made = &g_array_index(check->operations, ConfOperation, number->integer);
    if (made->kind != CONF_OPERATION_CREATE)
        return conf_rpc_fail_path(&check->error, path->str, "Operation %" G_GINT64_FORMAT " creates nothing.",
                                  number->integer);
    node->kind = CONF_JSON_NUMBER;
    node->is_integer = true;
    node->integer = made->key.dbid;
    g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT, made->key.dbid);
    size_t size = strlen(text);
    node->text = (ConfSlice){conf_arena_copy(check->arena, text, size), size};
    node->first = node->last = NULL;
    node->count = 0;
    return true;
}

static bool
resolve_children(ConfCheck *check, ConfJson *node, unsigned index, GString *path)
{
    size_t size = path->len;
    unsigned position = 0;
    for (ConfJson *child = node->first; child != NULL; child = child->next) {
        if (child->kind != CONF_JSON_OBJECT && child->kind != CONF_JSON_ARRAY) {
            position++;
            continue;
        }
        if (node->kind == CONF_JSON_OBJECT)
            append_step(path, child->key);
        else
            g_string_append_printf(path, "/%u", position);
        position++;
        if (!resolve_node(check, child, index, path))
            return false;
        g_string_truncate(path, size);
    }
    return true;
}

/* ---- the object ---- */

const ConfObject *
conf_check_find(ConfCheck *check, const ConfJson *operation, bool repair)
{
    int64_t revision; /* Shape comes before existence. */
    if (!conf_params_integer(operation, check->at, "ifRevision", 0, CONF_DBID_MAX, false, &revision,
                             &check->error))
        return NULL;
    if (conf_json_member(operation, "path") != NULL)
        return find_by_path(check, operation, repair);
    ConfSlice name = {NULL, 0};
    if (!conf_params_string(operation, check->at, "type", true, &name, &check->error))
        return NULL;
    const ConfTypeInfo *type = conf_schema_type_by_name(check->schema, name);
    if (type == NULL) {
        conf_check_fail_member(check, "/type", "There is no such type of objects.");
        return NULL;
    }
    if (conf_json_member(operation, "dbid") == NULL && conf_json_member(operation, "name") != NULL)
        return find_by_name(check, operation, type, repair);
    return find_by_dbid(check, operation, type, repair);
}

static const ConfObject *
find_by_path(ConfCheck *check, const ConfJson *operation, bool repair)
{
    static const char *const others[] = {"type", "dbid", "name", "tenant"};
    for (unsigned i = 0; i < G_N_ELEMENTS(others); i++) {
        if (conf_json_member(operation, others[i]) != NULL) {
            g_autofree char *member = g_strconcat("/", others[i], NULL);
            conf_check_fail_member(check, member, "With a path no %s is given.", others[i]);
            return NULL;
        }
    }
    ConfSlice path = {NULL, 0};
    if (!conf_params_string(operation, check->at, "path", true, &path, &check->error))
        return NULL;
    g_autofree char *at = g_strconcat(check->at, "/path", NULL);
    const ConfObject *object = conf_state_resolve_path(check->state, path, at, &check->error);
    if (object == NULL && check->error.code != CONF_RPC_NOT_FOUND)
        return NULL;
    if (object != NULL)
        object = conf_check_lookup(check, conf_object_key(object));
    if (object != NULL && is_visible(check, object, repair))
        return object;
    /* The same words, whether there is nothing or nothing to be seen. */
    conf_rpc_fail(&check->error, CONF_RPC_NOT_FOUND, "Nothing lies at this path.");
    return NULL;
}

static const ConfObject *
find_by_dbid(ConfCheck *check, const ConfJson *operation, const ConfTypeInfo *type, bool repair)
{
    int64_t dbid = 0;
    if (!conf_params_integer(operation, check->at, "dbid", 1, CONF_DBID_MAX, true, &dbid, &check->error))
        return NULL;
    static const char *const others[] = {"name", "tenant"};
    for (unsigned i = 0; i < G_N_ELEMENTS(others); i++) {
        if (conf_json_member(operation, others[i]) != NULL) {
            g_autofree char *member = g_strconcat("/", others[i], NULL);
            conf_check_fail_member(check, member, "With a dbid no %s is given.", others[i]);
            return NULL;
        }
    }
    const ConfObject *object = conf_check_lookup(check, (ConfKey){.dbid = dbid, .type = type->id});
    if (object != NULL && is_visible(check, object, repair))
        return object;
    conf_rpc_fail(&check->error, CONF_RPC_NOT_FOUND, "There is no %s %" G_GINT64_FORMAT ".", type->name,
                  dbid);
    return NULL;
}

static const ConfObject *
find_by_name(ConfCheck *check, const ConfJson *operation, const ConfTypeInfo *type, bool repair)
{
    ConfSlice name = {NULL, 0}, normal = {NULL, 0};
    ConfNameSearch search = {.check = check, .repair = repair};
    g_autofree char *at = g_strconcat(check->at, "/name", NULL);
    if (!conf_params_string(operation, check->at, "name", true, &name, &check->error) ||
        !conf_params_integer(operation, check->at, "tenant", 1, CONF_DBID_MAX, false, &search.tenant,
                             &check->error) ||
        !conf_name_normalize(check->arena, name, at, &normal, &check->error))
        return NULL;
    conf_state_foreach_named(check->state, type->id, normal, match_name, &search);
    if (search.count == 1)
        return search.found;
    if (search.count == 0)
        conf_rpc_fail(&check->error, CONF_RPC_NOT_FOUND, "There is no %s named \"%.*s\".", type->name,
                      (int)normal.size, normal.data);
    else
        conf_rpc_fail_path(&check->error, at, "More than one %s is named \"%.*s\".", type->name,
                           (int)normal.size, normal.data);
    return NULL;
}

static bool
match_name(const ConfObject *object, void *data)
{
    ConfNameSearch *search = data;
    if (search->tenant != 0 && object->tenant != search->tenant)
        return true;
    const ConfObject *present = conf_check_lookup(search->check, conf_object_key(object));
    if (present == NULL || !is_visible(search->check, present, search->repair))
        return true;
    search->found = present;
    search->count++;
    return search->count < 2;
}

/* Repair from above: who may edit any list must be able to name the objects that nobody can read any more. */
static bool
is_visible(ConfCheck *check, const ConfObject *object, bool repair)
{
    return conf_check_may(check, object, CONF_RIGHT_READ) || (repair && conf_check_is_administrator(check));
}

bool
conf_check_if_revision(ConfCheck *check, const ConfJson *operation, int64_t present)
{
    const ConfJson *given = conf_json_member(operation, "ifRevision");
    if (given == NULL || given->integer == present)
        return true;
    conf_rpc_fail(&check->error, CONF_RPC_CHANGED,
                  "It was changed meanwhile: its revision is %" G_GINT64_FORMAT ".", present);
    conf_rpc_error_add_integer(&check->error, "revision", present);
    return false;
}

/* ---- where a reference stands ---- */

char *
conf_check_locate(ConfCheck *check, const ConfNewReference *reference)
{
    static const char *const members[] = {"object", "patch", "add"};
    static const char *const lists[] = {"entries", "grant"};
    g_autoptr(GString) path = g_string_new(check->at);
    size_t size = path->len;
    ConfJson *operation = NULL;
    if (reference->operation < check->texts->len)
        operation = conf_json_parse(
            check->arena, g_array_index(check->texts, ConfSlice, reference->operation), NULL, NULL, NULL);
    if (operation == NULL || !conf_check_resolve_created(check, operation, reference->operation, check->at))
        return g_string_free(g_steal_pointer(&path), FALSE);

    const ConfTypeInfo *type = conf_schema_type(check->schema, reference->object.type);
    for (unsigned i = 0; reference->field != NULL && i < G_N_ELEMENTS(members); i++) {
        g_string_append_printf(path, "/%s", members[i]);
        if (locate_in_members(reference, type, conf_json_member(operation, members[i]), path))
            return g_string_free(g_steal_pointer(&path), FALSE);
        g_string_truncate(path, size);
    }
    for (unsigned i = 0; reference->field == NULL && i < G_N_ELEMENTS(lists); i++) {
        g_string_append_printf(path, "/%s", lists[i]);
        if (locate_in_entries(check, reference, conf_json_member(operation, lists[i]), path))
            return g_string_free(g_steal_pointer(&path), FALSE);
        g_string_truncate(path, size);
    }
    return g_string_free(g_steal_pointer(&path), FALSE);
}

static bool
locate_in_members(const ConfNewReference *reference, const ConfTypeInfo *type, const ConfJson *members,
                  GString *path)
{
    if (members == NULL || members->kind != CONF_JSON_OBJECT || type == NULL)
        return false;
    size_t size = path->len;
    for (const ConfJson *member = members->first; member != NULL; member = member->next) {
        const ConfField *field = conf_type_field(type, member->key);
        append_step(path, member->key);
        if (field != NULL && locate_in_value(reference, field, member, path))
            return true;
        g_string_truncate(path, size);
    }
    return false;
}

/* Depth is that of the schema's own nesting of lists and structs. */
static bool
locate_in_value(const ConfNewReference *reference, const ConfField *field, const ConfJson *value,
                GString *path)
{
    size_t size = path->len;
    if (field->kind == CONF_FIELD_REF)
        return field == reference->field && is_reference_to(field, value, reference->target);
    if (field->kind == CONF_FIELD_LIST && value->kind == CONF_JSON_ARRAY) {
        unsigned index = 0;
        for (const ConfJson *item = value->first; item != NULL; item = item->next) {
            g_string_append_printf(path, "/%u", index++);
            if (locate_in_value(reference, field->of, item, path))
                return true;
            g_string_truncate(path, size);
        }
        return false;
    }
    if (field->kind != CONF_FIELD_STRUCT || value->kind != CONF_JSON_OBJECT)
        return false;
    for (unsigned i = 0; i < field->field_count; i++) {
        const ConfJson *member = conf_json_member(value, field->fields[i].name);
        if (member == NULL)
            continue;
        g_string_append_printf(path, "/%s", field->fields[i].name);
        if (locate_in_value(reference, &field->fields[i], member, path))
            return true;
        g_string_truncate(path, size);
    }
    return false;
}

static bool
locate_in_entries(ConfCheck *check, const ConfNewReference *reference, const ConfJson *entries, GString *path)
{
    if (entries == NULL || entries->kind != CONF_JSON_ARRAY)
        return false;
    const ConfTypeInfo *type = conf_schema_type(check->schema, reference->target.type);
    unsigned index = 0;
    for (const ConfJson *entry = entries->first; entry != NULL; entry = entry->next, index++) {
        const ConfJson *account = conf_json_member(entry, "account");
        const ConfJson *name = conf_json_member(account, "type");
        const ConfJson *dbid = conf_json_member(account, "dbid");
        if (name == NULL || dbid == NULL || type == NULL || !conf_slice_is(name->text, type->name) ||
            dbid->integer != reference->target.dbid)
            continue;
        g_string_append_printf(path, "/%u/account", index);
        return true;
    }
    return false;
}

static bool
is_reference_to(const ConfField *field, const ConfJson *value, ConfKey target)
{
    if (value->kind == CONF_JSON_NUMBER)
        return value->integer == target.dbid && field->to_count > 0 && field->to[0] == target.type;
    const ConfJson *dbid = conf_json_member(value, "dbid");
    return dbid != NULL && dbid->integer == target.dbid;
}

static void
append_step(GString *path, ConfSlice key)
{
    g_string_append_c(path, '/');
    for (size_t i = 0; i < key.size; i++) {
        if (key.data[i] == '~')
            g_string_append(path, "~0");
        else if (key.data[i] == '/')
            g_string_append(path, "~1");
        else
            g_string_append_c(path, key.data[i]);
    }
}
