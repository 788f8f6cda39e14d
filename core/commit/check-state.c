/* check-state.c - the working set of a transaction as the parts of its check see and change it: what is
 * touched, what is counted, where it differs from the store. */
#include "commit/check-private.h"

#include <stdarg.h>

static void note_place(ConfCheck *check, const ConfObject *before, const ConfObject *after);
static void note_rights(ConfCheck *check, const ConfObject *before, const ConfObject *after);

GHashTable *
conf_key_set_new(void)
{
    return g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, NULL);
}

bool
conf_key_set_add(GHashTable *set, ConfKey key)
{
    if (g_hash_table_contains(set, &key))
        return false;
    ConfKey *copy = g_new(ConfKey, 1);
    *copy = key;
    g_hash_table_add(set, copy);
    return true;
}

ConfKey
conf_object_container(const ConfObject *object)
{
    if (object->folder != 0)
        return (ConfKey){.dbid = object->folder, .type = CONF_TYPE_FOLDER};
    if (object->type == CONF_TYPE_TENANT && object->dbid == object->tenant)
        return (ConfKey){0};
    return (ConfKey){.dbid = object->tenant, .type = CONF_TYPE_TENANT};
}

const ConfObject *
conf_check_lookup(ConfCheck *check, ConfKey key)
{
    const ConfObject *object = conf_state_lookup(check->state, key);
    if (object == NULL || !conf_type_is_container(key.type))
        return object;
    const ConfTouched *touched = g_hash_table_lookup(check->touched, &key);
    return touched != NULL && touched->is_doomed ? NULL : object;
}

uint8_t
conf_check_rights(ConfCheck *check, const ConfObject *object)
{
    if (check->transaction->trusted)
        return CONF_RIGHT_ALL;
    if (!check->transaction->has_author)
        return 0;
    if (check->transaction->visible != NULL &&
        !check->transaction->visible(object, check->transaction->visible_data))
        return 0;
    const GArray *groups = check->transaction->groups;
    uint8_t rights = conf_access_rights(check->state, check->transaction->subject, object);
    /* What a directory named goes with the account: a disabled one has nothing of it. */
    const ConfObject *subject =
        groups != NULL ? conf_state_lookup(check->state, check->transaction->subject) : NULL;
    for (unsigned i = 0; subject != NULL && subject->enabled && i < groups->len; i++)
        rights |= conf_access_rights(check->state, g_array_index(groups, ConfKey, i), object);
    return rights;
}

bool
conf_check_is_administrator(ConfCheck *check)
{
    ConfKey key = {.dbid = CONF_DBID_ENVIRONMENT, .type = CONF_TYPE_TENANT};
    const ConfObject *environment = conf_state_lookup(check->state, key);
    return environment != NULL && conf_check_may(check, environment, CONF_RIGHT_CHANGE_PERMISSIONS);
}

bool
conf_check_may(ConfCheck *check, const ConfObject *object, uint8_t right)
{
    return (conf_check_rights(check, object) & right) == right;
}

const ConfObject *
conf_check_before(ConfCheck *check, const ConfObject *object)
{
    ConfKey key = conf_object_key(object);
    const ConfTouched *touched = g_hash_table_lookup(check->touched, &key);
    return touched != NULL ? touched->before : object;
}

ConfTouched *
conf_check_touch(ConfCheck *check, ConfKey key)
{
    ConfTouched *touched = g_hash_table_lookup(check->touched, &key);
    if (touched != NULL)
        return touched;
    touched = g_new0(ConfTouched, 1);
    touched->key = key;
    const ConfObject *before = conf_state_lookup(check->base->state, key);
    touched->before = before != NULL ? conf_object_ref(before) : NULL;
    g_hash_table_insert(check->touched, &touched->key, touched);
    g_ptr_array_add(check->order, touched);
    return touched;
}

void
conf_check_own(ConfCheck *check, ConfKey key)
{
    conf_check_touch(check, key)->is_counted = true;
}

bool
conf_check_put(ConfCheck *check, ConfObject *object)
{
    ConfTouched *touched = conf_check_touch(check, conf_object_key(object));
    if (!touched->is_counted) {
        touched->is_counted = true;
        check->counted++;
    }
    if (conf_check_is_over(check)) {
        conf_object_unref(object);
        return false;
    }
    touched->is_deleted = false;
    note_place(check, touched->before, object);
    note_rights(check, touched->before, object);
    conf_state_put(check->state, object);
    return true;
}

void
conf_check_remove(ConfCheck *check, ConfKey key)
{
    ConfTouched *touched = conf_check_touch(check, key);
    if (!touched->is_counted) {
        touched->is_counted = true;
        check->counted++;
    }
    touched->is_deleted = true;
    if (conf_check_is_over(check))
        return;
    if (key.type == CONF_TYPE_PERSON || key.type == CONF_TYPE_ACCESS_GROUP) {
        check->touches_rights = true;
        check->rights_operation = check->index;
    }
    if (conf_type_is_container(key.type))
        touched->is_doomed = true; /* What lies in it is still found, with the rights that it inherits. */
    else
        conf_state_remove(check->state, key);
}

/* Where an object is made or moved to: the store's own index of children does not have it there. */
static void
note_place(ConfCheck *check, const ConfObject *before, const ConfObject *after)
{
    ConfKey container = conf_object_container(after);
    if (container.dbid == 0 || (before != NULL && conf_key_equal(conf_object_container(before), container)))
        return;
    GHashTable *set = g_hash_table_lookup(check->placements, &container);
    if (set == NULL) {
        set = conf_key_set_new();
        g_hash_table_insert(check->placements, g_memdup2(&container, sizeof(container)), set);
    }
    conf_key_set_add(set, conf_object_key(after));
}

static void
note_rights(ConfCheck *check, const ConfObject *before, const ConfObject *after)
{
    ConfKey key = conf_object_key(after);
    if (after->acl != NULL) {
        const ConfObject *stored = conf_store_lookup(check->store, key);
        if (stored == NULL || stored->acl != after->acl)
            conf_key_set_add(check->relisted, key);
    }
    bool is_environment = key.type == CONF_TYPE_TENANT && key.dbid == CONF_DBID_ENVIRONMENT;
    bool touches = key.type == CONF_TYPE_ACCESS_GROUP ||
                   (key.type == CONF_TYPE_PERSON && before != NULL && before->enabled != after->enabled) ||
                   (is_environment && before != NULL && before->acl != after->acl);
    if (!touches)
        return;
    check->touches_rights = true;
    check->rights_operation = check->index;
}

int64_t
conf_check_next_dbid(ConfCheck *check, ConfTypeId type)
{
    int64_t *own = g_hash_table_lookup(check->next_dbids, GUINT_TO_POINTER(type));
    if (own != NULL)
        return (*own)++;
    int64_t next = conf_check_peek_dbid(check, type);
    own = g_new(int64_t, 1);
    *own = next + 1;
    g_hash_table_insert(check->next_dbids, GUINT_TO_POINTER(type), own);
    return next;
}

int64_t
conf_check_peek_dbid(const ConfCheck *check, ConfTypeId type)
{
    const int64_t *next = g_hash_table_lookup(check->next_dbids, GUINT_TO_POINTER(type));
    if (next == NULL)
        next = g_hash_table_lookup(check->base->next_dbids, GUINT_TO_POINTER(type));
    return next != NULL ? *next : conf_store_next_dbid(check->store, type);
}

const char *
conf_check_describe(ConfCheck *check, const ConfObject *object)
{
    const ConfTypeInfo *type = conf_schema_type(check->schema, object->type);
    g_autofree char *text = g_strdup_printf("%s \"%s\" (%" G_GINT64_FORMAT ")",
                                            type != NULL ? type->name : "object", object->name, object->dbid);
    return conf_arena_copy(check->scratch, text, strlen(text) + 1);
}

bool
conf_check_fail_member(ConfCheck *check, const char *member, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *path = g_strconcat(check->at, member, NULL);
    return conf_rpc_fail_path(&check->error, path, "%s", message);
}

bool
conf_check_fail_right(ConfCheck *check, const ConfObject *object, const char *what)
{
    /* A default folder need not be readable: then it has no name here. */
    bool is_readable = conf_check_may(check, object, CONF_RIGHT_READ);
    return conf_rpc_fail(&check->error, CONF_RPC_NOT_PERMITTED, "You may not %s %s.", what,
                         is_readable ? conf_check_describe(check, object) : "what lies there");
}

ConfObject *
conf_check_disabled(ConfCheck *check, const ConfObject *object)
{
    ConfJson *patch = conf_json_new(check->scratch, CONF_JSON_OBJECT);
    conf_json_append(patch, CONF_SLICE("state"),
                     conf_json_new_string(check->scratch, CONF_SLICE("disabled")));
    g_autoptr(GError) error = NULL;
    ConfObject *disabled =
        conf_object_amend(check->schema, check->scratch, object, patch, NULL, check->revision, &error);
    if (disabled == NULL)
        conf_rpc_fail(&check->error, CONF_RPC_INTERNAL, "An object could not be disabled: %s",
                      error->message);
    return disabled;
}
