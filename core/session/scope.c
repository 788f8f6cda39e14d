/* scope.c - what a subscription names: parsing, interning, coverage, and the index that leads from a change
 * to the scopes it may concern, so that a commit never walks over all sessions. */
#include "session/address.h"
#include "session/session-private.h"

static bool parse_types(ConfSessions *sessions, const ConfJson *params, const char *at, ConfScope *scope,
                        ConfRpcError *error);
static bool parse_objects(ConfSessions *sessions, const ConfJson *params, const char *at,
                          ConfSession *session, ConfScope *scope, ConfRpcError *error);
static void fail_missing(const char *path, ConfRpcError *error);
static bool is_readable(const ConfObject *object, void *data);
static bool parse_container(ConfSessions *sessions, const ConfJson *params, const char *at, const char *name,
                            ConfTypeId type, ConfSession *session, bool lenient, int64_t *dbid,
                            ConfRpcError *error);
static char *scope_text(const ConfScope *scope);
static void scope_free(ConfScope *scope);
static void index_scope(ConfSessions *sessions, ConfScope *scope, bool add);
static void index_list(GHashTable *table, const void *key, size_t key_size, ConfScope *scope, bool add);
static int compare_types(const void *a, const void *b);
static int compare_keys(const void *a, const void *b);
static void call_all(GPtrArray *scopes, void (*func)(ConfScope *scope, void *data), void *data);

ConfScope *
conf_scope_parse(ConfSessions *sessions, const ConfJson *params, const char *at, ConfSession *session,
                 bool lenient, ConfRpcError *error)
{
    ConfScope *scope = g_new0(ConfScope, 1);
    if (!parse_types(sessions, params, at, scope, error) ||
        !parse_objects(sessions, params, at, session, scope, error) ||
        !parse_container(sessions, params, at, "tenant", CONF_TYPE_TENANT, session, lenient, &scope->tenant,
                         error) ||
        !parse_container(sessions, params, at, "folder", CONF_TYPE_FOLDER, session, lenient, &scope->folder,
                         error)) {
        scope_free(scope);
        return NULL;
    }
    scope->text = scope_text(scope);
    ConfScope *known = g_hash_table_lookup(sessions->scopes, scope->text);
    if (known != NULL) {
        scope_free(scope);
        known->refs++;
        return known;
    }
    scope->refs = 1;
    scope->audiences = g_ptr_array_new();
    scope->matches = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    g_hash_table_insert(sessions->scopes, scope->text, scope);
    index_scope(sessions, scope, true);
    return scope;
}

void
conf_scope_unref(ConfSessions *sessions, ConfScope *scope)
{
    if (scope == NULL || --scope->refs > 0)
        return;
    g_hash_table_remove(sessions->scopes, scope->text);
    index_scope(sessions, scope, false);
    scope_free(scope);
}

bool
conf_scope_covers(const ConfScope *scope, ConfKey key, const ConfPlace *place)
{
    if (scope->type_count > 0 &&
        bsearch(&key.type, scope->types, scope->type_count, sizeof(ConfTypeId), compare_types) == NULL)
        return false;
    if (scope->object_count > 0 &&
        bsearch(&key, scope->objects, scope->object_count, sizeof(ConfKey), compare_keys) == NULL)
        return false;
    if (scope->tenant == 0 && scope->folder == 0)
        return true;
    if (place == NULL)
        return false;
    bool found = scope->tenant == 0;
    for (unsigned i = 0; i < place->tenant_count && !found; i++)
        found = place->tenants[i] == scope->tenant;
    if (!found || scope->folder == 0)
        return found;
    for (unsigned i = 0; i < place->folder_count; i++) {
        if (place->folders[i] == scope->folder)
            return true;
    }
    return false;
}

bool
conf_scope_covers_below(const ConfScope *scope, ConfKey container, const ConfPlace *place)
{
    if (scope->object_count > 0)
        return true; /* Which objects lie below is not asked here: perhaps one that is named. */
    if (scope->tenant == 0 && scope->folder == 0)
        return true;
    bool tenant_found =
        scope->tenant == 0 || (container.type == CONF_TYPE_TENANT && container.dbid == scope->tenant);
    for (unsigned i = 0; place != NULL && i < place->tenant_count && !tenant_found; i++)
        tenant_found = place->tenants[i] == scope->tenant;
    bool folder_found =
        scope->folder == 0 || (container.type == CONF_TYPE_FOLDER && container.dbid == scope->folder);
    for (unsigned i = 0; place != NULL && i < place->folder_count && !folder_found; i++)
        folder_found = place->folders[i] == scope->folder;
    return tenant_found && folder_found;
}

void
conf_scope_write(const ConfSessions *sessions, const ConfScope *scope, ConfJsonWriter *writer)
{
    const ConfSchema *schema = conf_store_schema(sessions->store);
    if (scope->type_count > 0) {
        conf_json_writer_key(writer, "types");
        conf_json_writer_begin_array(writer);
        for (unsigned i = 0; i < scope->type_count; i++)
            conf_json_writer_string(writer, conf_schema_type(schema, scope->types[i])->name);
        conf_json_writer_end_array(writer);
    }
    if (scope->object_count > 0) {
        conf_json_writer_key(writer, "objects");
        conf_json_writer_begin_array(writer);
        for (unsigned i = 0; i < scope->object_count; i++) {
            conf_json_writer_begin_object(writer);
            conf_json_writer_member_string(writer, "type",
                                           conf_schema_type(schema, scope->objects[i].type)->name);
            conf_json_writer_member_integer(writer, "dbid", scope->objects[i].dbid);
            conf_json_writer_end_object(writer);
        }
        conf_json_writer_end_array(writer);
    }
    if (scope->tenant != 0)
        conf_json_writer_member_integer(writer, "tenant", scope->tenant);
    if (scope->folder != 0)
        conf_json_writer_member_integer(writer, "folder", scope->folder);
}

void
conf_scope_candidates(ConfSessions *sessions, ConfKey key, const ConfPlace *place,
                      void (*func)(ConfScope *scope, void *data), void *data)
{
    call_all(sessions->scope_all, func, data);
    int64_t type = key.type;
    call_all(g_hash_table_lookup(sessions->scope_by_type, &type), func, data);
    call_all(g_hash_table_lookup(sessions->scope_by_object, &key), func, data);
    for (unsigned i = 0; place != NULL && i < place->folder_count; i++)
        call_all(g_hash_table_lookup(sessions->scope_by_folder, &place->folders[i]), func, data);
    for (unsigned i = 0; place != NULL && i < place->tenant_count; i++)
        call_all(g_hash_table_lookup(sessions->scope_by_tenant, &place->tenants[i]), func, data);
}

void
conf_scope_index_init(ConfSessions *sessions)
{
    GDestroyNotify free_list = (GDestroyNotify)g_ptr_array_unref;
    sessions->scopes = g_hash_table_new(g_str_hash, g_str_equal);
    sessions->scope_by_object = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, free_list);
    sessions->scope_by_folder = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, free_list);
    sessions->scope_by_tenant = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, free_list);
    sessions->scope_by_type = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, free_list);
    sessions->scope_all = g_ptr_array_new();
}

void
conf_scope_index_clear(ConfSessions *sessions)
{
    g_hash_table_unref(sessions->scopes);
    g_hash_table_unref(sessions->scope_by_object);
    g_hash_table_unref(sessions->scope_by_folder);
    g_hash_table_unref(sessions->scope_by_tenant);
    g_hash_table_unref(sessions->scope_by_type);
    g_ptr_array_unref(sessions->scope_all);
}

static bool
parse_types(ConfSessions *sessions, const ConfJson *params, const char *at, ConfScope *scope,
            ConfRpcError *error)
{
    const ConfJson *types = conf_json_member(params, "types");
    if (types == NULL)
        return true;
    g_autofree char *path = g_strconcat(at, "/types", NULL);
    if (types->kind != CONF_JSON_ARRAY || types->count == 0)
        return conf_rpc_fail_path(error, path, "types must be an array of at least one type name");
    GArray *ids = g_array_new(FALSE, FALSE, sizeof(ConfTypeId));
    unsigned index = 0;
    for (const ConfJson *item = types->first; item != NULL; item = item->next, index++) {
        const ConfTypeInfo *info =
            item->kind == CONF_JSON_STRING
                ? conf_schema_type_by_name(conf_store_schema(sessions->store), item->text)
                : NULL;
        if (info == NULL) {
            g_array_unref(ids);
            g_autofree char *item_path = g_strdup_printf("%s/%u", path, index);
            return conf_rpc_fail_path(error, item_path, "This is no name of a type");
        }
        ConfTypeId id = info->id;
        g_array_append_val(ids, id);
    }
    g_array_sort(ids, compare_types);
    for (unsigned i = 1; i < ids->len;) {
        if (g_array_index(ids, ConfTypeId, i) == g_array_index(ids, ConfTypeId, i - 1))
            g_array_remove_index(ids, i);
        else
            i++;
    }
    scope->type_count = ids->len;
    scope->types = (ConfTypeId *)(void *)g_array_free(ids, FALSE);
    return true;
}

/* By type and dbid it need not be there yet, nor be readable; by name or path it is the one that is now. */
static bool
parse_object_key(ConfSessions *sessions, const ConfJson *item, const char *path, ConfSession *session,
                 ConfKey *key, ConfRpcError *error)
{
    static const char *const names[] = {"type", "dbid", "name", "tenant", "path", NULL};
    const ConfFinding finding = {.schema = conf_store_schema(sessions->store),
                                 .state = conf_store_state(sessions->store),
                                 .readable = is_readable,
                                 .data = session};
    if (item->kind != CONF_JSON_OBJECT)
        return conf_rpc_fail_path(error, path,
                                  "An object is named by path, by type and dbid, or by type and name");
    if (!conf_params_only(item, path, names, error))
        return false;
    if (conf_json_member(item, "path") != NULL || conf_json_member(item, "name") != NULL) {
        const ConfObject *object = conf_address_find(&finding, item, path, error);
        if (object != NULL)
            *key = conf_object_key(object);
        else if (error->code == CONF_RPC_NOT_FOUND)
            fail_missing(path, error);
        return object != NULL;
    }
    const ConfTypeInfo *type = conf_address_type(finding.schema, item, path, "type", true, error);
    if (type == NULL || !conf_params_integer(item, path, "dbid", 1, G_MAXINT64, true, &key->dbid, error))
        return false;
    key->type = type->id;
    if (conf_json_member(item, "tenant") == NULL)
        return true;
    g_autofree char *tenant_path = g_strconcat(path, "/tenant", NULL);
    return conf_rpc_fail_path(error, tenant_path, "tenant goes with a name");
}

/* What params refer to is -32602 where it is missing. */
static void
fail_missing(const char *path, ConfRpcError *error)
{
    g_autofree char *message = g_strdup(error->message);
    conf_rpc_error_clear(error);
    conf_rpc_fail_path(error, path, "%s", message);
}

static bool
is_readable(const ConfObject *object, void *data)
{
    return conf_session_may_read(data, object);
}

static bool
parse_objects(ConfSessions *sessions, const ConfJson *params, const char *at, ConfSession *session,
              ConfScope *scope, ConfRpcError *error)
{
    enum { OBJECTS_MAX = 10000 };
    const ConfJson *objects = conf_json_member(params, "objects");
    if (objects == NULL)
        return true;
    g_autofree char *path = g_strconcat(at, "/objects", NULL);
    if (objects->kind != CONF_JSON_ARRAY || objects->count == 0)
        return conf_rpc_fail_path(error, path, "objects must be an array of at least one object");
    if (objects->count > OBJECTS_MAX)
        return conf_rpc_fail(error, CONF_RPC_LIMIT, "A subscription names at most %d objects, not %u",
                             OBJECTS_MAX, objects->count);
    scope->objects = g_new0(ConfKey, objects->count);
    for (const ConfJson *item = objects->first; item != NULL; item = item->next) {
        g_autofree char *item_path = g_strdup_printf("%s/%u", path, scope->object_count);
        if (!parse_object_key(sessions, item, item_path, session, &scope->objects[scope->object_count],
                              error))
            return false;
        scope->object_count++;
    }
    qsort(scope->objects, scope->object_count, sizeof(ConfKey), compare_keys);
    unsigned kept = 1;
    for (unsigned i = 1; i < scope->object_count; i++) {
        if (!conf_key_equal(scope->objects[i], scope->objects[kept - 1]))
            scope->objects[kept++] = scope->objects[i];
    }
    scope->object_count = kept;
    return true;
}

/* What is missing and what may not be read are told alike; one's own tenant is not hidden
 * (protocol.md 13.10).  `lenient`: a resumed session keeps a scope whose folder it may no longer read. */
static bool
parse_container(ConfSessions *sessions, const ConfJson *params, const char *at, const char *name,
                ConfTypeId type, ConfSession *session, bool lenient, int64_t *dbid, ConfRpcError *error)
{
    if (!conf_params_integer(params, at, name, 1, G_MAXINT64, false, dbid, error))
        return false;
    if (*dbid == 0 || lenient)
        return true;
    const ConfObject *object = conf_store_lookup(sessions->store, (ConfKey){.type = type, .dbid = *dbid});
    bool own = type == CONF_TYPE_TENANT && *dbid == conf_session_account_tenant(session);
    if (object != NULL && (own || conf_session_may_read(session, object)))
        return true;
    g_autofree char *path = g_strdup_printf("%s/%s", at, name);
    return conf_rpc_fail_path(error, path, "There is no %s %" G_GINT64_FORMAT, name, *dbid);
}

static char *
scope_text(const ConfScope *scope)
{
    GString *text = g_string_new(NULL);
    for (unsigned i = 0; i < scope->type_count; i++)
        g_string_append_printf(text, "t%u", scope->types[i]);
    for (unsigned i = 0; i < scope->object_count; i++)
        g_string_append_printf(text, "o%u.%" G_GINT64_FORMAT, scope->objects[i].type, scope->objects[i].dbid);
    g_string_append_printf(text, "n%" G_GINT64_FORMAT "f%" G_GINT64_FORMAT, scope->tenant, scope->folder);
    return g_string_free(text, FALSE);
}

static void
scope_free(ConfScope *scope)
{
    if (scope->audiences != NULL)
        g_ptr_array_unref(scope->audiences);
    if (scope->matches != NULL)
        g_array_unref(scope->matches);
    g_free(scope->types);
    g_free(scope->objects);
    g_free(scope->text);
    g_free(scope);
}

/* By its narrowest member alone: the others are checked on the candidate. */
static void
index_scope(ConfSessions *sessions, ConfScope *scope, bool add)
{
    if (scope->object_count > 0) {
        for (unsigned i = 0; i < scope->object_count; i++)
            index_list(sessions->scope_by_object, &scope->objects[i], sizeof(ConfKey), scope, add);
    } else if (scope->folder != 0) {
        index_list(sessions->scope_by_folder, &scope->folder, sizeof(int64_t), scope, add);
    } else if (scope->tenant != 0) {
        index_list(sessions->scope_by_tenant, &scope->tenant, sizeof(int64_t), scope, add);
    } else if (scope->type_count > 0) {
        for (unsigned i = 0; i < scope->type_count; i++) {
            int64_t type = scope->types[i];
            index_list(sessions->scope_by_type, &type, sizeof type, scope, add);
        }
    } else if (add) {
        g_ptr_array_add(sessions->scope_all, scope);
    } else {
        g_ptr_array_remove_fast(sessions->scope_all, scope);
    }
}

static void
index_list(GHashTable *table, const void *key, size_t key_size, ConfScope *scope, bool add)
{
    GPtrArray *list = g_hash_table_lookup(table, key);
    if (add) {
        if (list == NULL) {
            list = g_ptr_array_new();
            g_hash_table_insert(table, g_memdup2(key, key_size), list);
        }
        g_ptr_array_add(list, scope);
    } else if (list != NULL) {
        g_ptr_array_remove_fast(list, scope);
        if (list->len == 0)
            g_hash_table_remove(table, key);
    }
}

static int
compare_types(const void *a, const void *b)
{
    ConfTypeId x = *(const ConfTypeId *)a, y = *(const ConfTypeId *)b;
    return x < y ? -1 : x > y;
}

static int
compare_keys(const void *a, const void *b)
{
    return conf_key_compare(*(const ConfKey *)a, *(const ConfKey *)b);
}

static void
call_all(GPtrArray *scopes, void (*func)(ConfScope *scope, void *data), void *data)
{
    for (unsigned i = 0; scopes != NULL && i < scopes->len; i++)
        func(g_ptr_array_index(scopes, i), data);
}
