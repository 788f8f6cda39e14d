/* check-permission.c - operation permission: the lists of rights. */
#include "commit/check-private.h"

#include "rpc/request.h"

typedef struct {
    const ConfJson *entries, *grant, *revoke;
    bool inherit, propagate;
} ConfPermission;

static bool read_shape(ConfCheck *check, const ConfJson *operation, ConfPermission *permission);
static bool make_list(ConfCheck *check, const ConfPermission *permission, const ConfObject *object,
                      const ConfAcl *in_force, const ConfAcl **list);
static GArray *parse_entries(ConfCheck *check, const ConfJson *entries, const char *member);
static void add_entries(GArray *entries, const GArray *more);
static void take_entries(GArray *entries, const GArray *less);
static void note_accounts(ConfCheck *check, ConfKey object, const ConfAcl *before, const ConfAcl *after);
static bool may_edit(ConfCheck *check, const ConfObject *object);
static int64_t present_revision(ConfCheck *check, const ConfObject *object);
static bool any_list(const ConfAcl *acl, const void *data);

bool
conf_check_permission(ConfCheck *check, ConfJson *operation)
{
    ConfPermission permission = {0};
    if (!read_shape(check, operation, &permission))
        return false;
    const ConfObject *object = conf_check_find(check, operation, true);
    if (object == NULL)
        return false;
    ConfKey key = conf_object_key(object);
    g_array_index(check->operations, ConfOperation, check->index).key = key;
    if (!may_edit(check, object))
        return conf_check_fail_right(check, object, "edit the list of rights of");
    if (!conf_check_if_revision(check, operation, present_revision(check, object)))
        return false;

    const ConfAcl *in_force = conf_state_acl(check->state, object, NULL);
    const ConfAcl *list = NULL;
    if (!make_list(check, &permission, object, in_force, &list))
        return false;
    conf_check_own(check, key);
    if (list != object->acl) {
        note_accounts(check, key, object->acl != NULL ? object->acl : in_force, list);
        conf_check_put(check, conf_object_with_acl(object, list, list != NULL ? check->revision : 0));
    }
    if (list != NULL)
        conf_acl_unref(list);
    if (permission.propagate && conf_type_is_container(key.type))
        conf_spread_add(check, conf_spread_propagate, key);
    return true;
}

static bool
read_shape(ConfCheck *check, const ConfJson *operation, ConfPermission *permission)
{
    static const char *const names[] = {"op",     "type",       "dbid",    "name",    "tenant",
                                        "path",   "ifRevision", "entries", "inherit", "grant",
                                        "revoke", "propagate",  NULL};
    if (!conf_params_only(operation, check->at, names, &check->error) ||
        !conf_params_boolean(operation, check->at, "inherit", &permission->inherit, &check->error) ||
        !conf_params_boolean(operation, check->at, "propagate", &permission->propagate, &check->error))
        return false;
    permission->entries = conf_json_member(operation, "entries");
    permission->grant = conf_json_member(operation, "grant");
    permission->revoke = conf_json_member(operation, "revoke");
    static const char *const lists[] = {"entries", "grant", "revoke"};
    for (unsigned i = 0; i < G_N_ELEMENTS(lists); i++) {
        const ConfJson *list = conf_json_member(operation, lists[i]);
        g_autofree char *path = g_strconcat("/", lists[i], NULL);
        if (list != NULL && list->kind != CONF_JSON_ARRAY)
            return conf_check_fail_member(check, path, "A list of entries is meant here.");
    }
    bool inherits = conf_json_member(operation, "inherit") != NULL;
    bool grants = permission->grant != NULL || permission->revoke != NULL;
    if (inherits && !permission->inherit)
        return conf_check_fail_member(check, "/inherit", "Only true is meant here; entries end inheriting.");
    if (inherits && (permission->entries != NULL || grants))
        return conf_check_fail_member(check, "/inherit",
                                      "A list is either inherited, or given, or granted and revoked from.");
    if (permission->entries != NULL && grants)
        return conf_check_fail_member(check, "/entries",
                                      "A list is either inherited, or given, or granted and revoked from.");
    if (!inherits && !grants && permission->entries == NULL &&
        conf_json_member(operation, "propagate") == NULL)
        return conf_rpc_fail_path(&check->error, check->at,
                                  "One of entries, inherit, grant, revoke and propagate is needed.");
    return true;
}

/* *list: the own list as it will be, a reference; NULL: inherited. */
static bool
make_list(ConfCheck *check, const ConfPermission *permission, const ConfObject *object,
          const ConfAcl *in_force, const ConfAcl **list)
{
    if (permission->inherit)
        return true;
    if (permission->entries != NULL) {
        g_autoptr(GArray) entries = parse_entries(check, permission->entries, "/entries");
        if (entries == NULL)
            return false;
        *list = conf_acl_intern((const ConfAclEntry *)(void *)entries->data, entries->len);
        return true;
    }
    g_autoptr(GArray) more = parse_entries(check, permission->grant, "/grant");
    g_autoptr(GArray) less = more != NULL ? parse_entries(check, permission->revoke, "/revoke") : NULL;
    if (less == NULL)
        return false;
    /* The inherited list is copied first, so that a grant takes nothing away. */
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(ConfAclEntry));
    if (in_force != NULL)
        g_array_append_vals(entries, in_force->entries, in_force->count);
    add_entries(entries, more);
    take_entries(entries, less);
    *list = conf_acl_intern((const ConfAclEntry *)(void *)entries->data, entries->len);
    if (object->acl == NULL && *list == in_force) {
        conf_acl_unref(*list);
        *list = NULL; /* Nothing changes: it goes on inheriting. */
    }
    return true;
}

/* An absent list is an empty one. */
static GArray *
parse_entries(ConfCheck *check, const ConfJson *entries, const char *member)
{
    if (entries == NULL)
        return g_array_new(FALSE, FALSE, sizeof(ConfAclEntry));
    g_autofree char *path = g_strconcat(check->at, member, NULL);
    return conf_acl_entries_parse(entries, check->schema, path, &check->error);
}

static void
add_entries(GArray *entries, const GArray *more)
{
    if (more->len > 0)
        g_array_append_vals(entries, more->data, more->len); /* Interning unites. */
}

static void
take_entries(GArray *entries, const GArray *less)
{
    if (less->len == 0)
        return;
    g_autoptr(GHashTable) taken = g_hash_table_new(conf_key_g_hash, conf_key_g_equal);
    for (unsigned i = 0; i < less->len; i++) {
        ConfAclEntry *entry = &g_array_index(less, ConfAclEntry, i);
        unsigned rights = GPOINTER_TO_UINT(g_hash_table_lookup(taken, &entry->account)) | entry->rights;
        g_hash_table_insert(taken, &entry->account, GUINT_TO_POINTER(rights));
    }
    for (unsigned i = 0; i < entries->len; i++) {
        ConfAclEntry *entry = &g_array_index(entries, ConfAclEntry, i);
        unsigned rights = GPOINTER_TO_UINT(g_hash_table_lookup(taken, &entry->account));
        entry->rights &= (uint8_t)~rights;
    }
}

/* Who is new in the list must be there and readable, as any reference. */
static void
note_accounts(ConfCheck *check, ConfKey object, const ConfAcl *before, const ConfAcl *after)
{
    for (uint32_t i = 0; after != NULL && i < after->count; i++) {
        if (before == NULL || conf_acl_lookup(before, after->entries[i].account) == 0)
            conf_check_note_reference(check, object, after->entries[i].account, NULL);
    }
}

static bool
may_edit(ConfCheck *check, const ConfObject *object)
{
    return conf_check_may(check, object, CONF_RIGHT_CHANGE_PERMISSIONS) || conf_check_is_administrator(check);
}

/* Of the list in force as the transaction found it. */
static int64_t
present_revision(ConfCheck *check, const ConfObject *object)
{
    const ConfObject *before = conf_state_lookup(check->base->state, conf_object_key(object));
    const ConfObject *holder = NULL;
    if (before != NULL)
        conf_state_acl(check->base->state, before, &holder);
    else
        conf_state_acl(check->state, object, &holder);
    return holder != NULL ? holder->acl_revision : 0;
}

/* ---- propagate: what lies below inherits from now on ---- */

ConfStep
conf_spread_propagate(ConfCheck *check, ConfSpread *spread)
{
    ConfStep step;
    const ConfObject *object = conf_listed_next(check, &spread->listed, any_list, NULL, &step);
    if (object == NULL)
        return step;
    if (conf_key_equal(conf_object_key(object), spread->key) ||
        !conf_state_is_below(check->state, object, spread->key))
        return CONF_STEP_MORE;
    /* A list that protects something from the author is not to be swept away from above. */
    if (!conf_check_is_over(check) && !may_edit(check, object)) {
        conf_rpc_fail(&check->error, CONF_RPC_NOT_PERMITTED,
                      "Below lie lists of rights that you may not edit.");
        return CONF_STEP_FAILED;
    }
    conf_check_put(check, conf_object_with_acl(object, NULL, 0));
    return CONF_STEP_MORE;
}

static bool
any_list(const ConfAcl *acl, const void *data)
{
    return true;
}
