/* check-create.c - operation create: where the new object goes, and what comes with it. */
#include "commit/check-private.h"

#include "rpc/request.h"

/* What the client said of the place, and what comes of it. */
typedef struct {
    const ConfTypeInfo *type;
    ConfJson *tree;
    const ConfObject *folder;
    int64_t tenant;       /* of the new object */
    int64_t tenant_given; /* 0: none */
    int64_t dbid_given;   /* of one that comes back under the dbid it had; 0: a new one */
    bool folder_given;
    bool enabled;
} ConfNewPlace;

static bool read_shape(ConfCheck *check, ConfJson *operation, ConfNewPlace *place, int64_t *folder);
static bool read_given(ConfCheck *check, ConfNewPlace *place);
static bool find_place(ConfCheck *check, ConfNewPlace *place, int64_t folder);
static bool take_given_folder(ConfCheck *check, ConfNewPlace *place, int64_t folder);
static bool take_root_folder(ConfCheck *check, ConfNewPlace *place);
static const ConfObject *find_given(ConfCheck *check, ConfTypeId type, int64_t dbid, const char *member);
static bool check_folder(ConfCheck *check, ConfNewPlace *place);
static ConfObject *make(ConfCheck *check, const ConfNewPlace *place);
static bool check_group(ConfCheck *check, const ConfObject *object);
static bool make_root_folders(ConfCheck *check, const ConfObject *tenant);
static const ConfObject *make_root_folder(ConfCheck *check, const ConfObject *tenant,
                                          const ConfTypeInfo *held);
static int64_t default_tenant(ConfCheck *check);

bool
conf_check_create(ConfCheck *check, ConfJson *operation)
{
    ConfNewPlace place = {0};
    int64_t folder = 0;
    if (!read_shape(check, operation, &place, &folder) || !find_place(check, &place, folder))
        return false;
    if (!conf_check_may(check, place.folder, CONF_RIGHT_CREATE))
        return conf_check_fail_right(check, place.folder, "create in");
    if (!check_folder(check, &place))
        return false;

    ConfObject *object = make(check, &place);
    if (object == NULL)
        return false;
    ConfKey key = conf_object_key(object);
    if (!check_group(check, object)) {
        conf_object_unref(object);
        return false;
    }
    g_array_index(check->operations, ConfOperation, check->index).key = key;
    conf_check_own(check, key);
    ConfTouched *touched = conf_check_touch(check, key);
    touched->is_named = true;
    touched->named_by = check->index;
    conf_check_note_references(check, NULL, object);
    if (!conf_check_put(check, object))
        return true; /* Over the limit: the operation ends by that. */
    if (conf_type_is_container(key.type) &&
        conf_check_nesting(check, conf_check_lookup(check, key)) > CONF_NESTING_MAX)
        return conf_check_fail_member(check, place.folder_given ? "/object/folder" : "/object",
                                      "Tenants and folders nest %d deep at most.", CONF_NESTING_MAX);
    return key.type != CONF_TYPE_TENANT || make_root_folders(check, conf_check_lookup(check, key));
}

static bool
read_shape(ConfCheck *check, ConfJson *operation, ConfNewPlace *place, int64_t *folder)
{
    static const char *const names[] = {"op", "object", NULL};
    if (!conf_params_only(operation, check->at, names, &check->error))
        return false;
    ConfJson *tree = conf_json_member(operation, "object");
    if (tree == NULL || tree->kind != CONF_JSON_OBJECT)
        return conf_check_fail_member(check, "/object", "The new object is missing.");
    place->tree = tree;
    g_autofree char *at = g_strconcat(check->at, "/object", NULL);
    ConfSlice name = {NULL, 0};
    if (!conf_params_string(tree, at, "type", true, &name, &check->error))
        return false;
    place->type = conf_schema_type_by_name(check->schema, name);
    if (place->type == NULL)
        return conf_check_fail_member(check, "/object/type", "There is no such type of objects.");
    if (!read_given(check, place))
        return false;
    place->enabled = true;
    return conf_object_read_head(tree, at, &place->tenant_given, folder, &place->folder_given,
                                 &place->enabled, &check->error);
}

/* dbid and revision are the server's to give; what was deleted may come back under its dbid, where that is
 * allowed: one that was given once, and is not taken. */
static bool
read_given(ConfCheck *check, ConfNewPlace *place)
{
    static const char *const given[] = {"dbid", "revision"};
    for (unsigned i = 0; i < G_N_ELEMENTS(given); i++) {
        ConfJson *member = conf_json_member(place->tree, given[i]);
        g_autofree char *path = g_strconcat("/object/", given[i], NULL);
        if (member == NULL || member->kind == CONF_JSON_NULL)
            continue;
        if (i > 0 || !check->transaction->allows_dbids)
            return conf_check_fail_member(check, path, "The server gives the %s.", given[i]);
        ConfKey key = {.type = place->type->id, .dbid = member->integer};
        bool was_given = member->kind == CONF_JSON_NUMBER && member->is_integer && key.dbid > 0 &&
                         key.dbid < conf_check_peek_dbid(check, key.type);
        if (!was_given || conf_store_lookup(check->store, key) != NULL ||
            conf_check_lookup(check, key) != NULL)
            return conf_check_fail_member(check, path, "No %s of this dbid was deleted.", place->type->name);
        place->dbid_given = key.dbid;
        member->kind = CONF_JSON_NULL; /* It stands in the head. */
    }
    return true;
}

static bool
find_place(ConfCheck *check, ConfNewPlace *place, int64_t folder)
{
    if (place->tenant_given != 0 &&
        find_given(check, CONF_TYPE_TENANT, place->tenant_given, "/object/tenant") == NULL)
        return false;
    if (folder != 0)
        return take_given_folder(check, place, folder);
    place->folder_given = false;
    if (place->type->id == CONF_TYPE_FOLDER)
        return conf_rpc_fail(&check->error, CONF_RPC_NOT_PERMITTED,
                             "A folder lies in a folder; root folders come with their tenant only.");
    return take_root_folder(check, place);
}

static bool
take_given_folder(ConfCheck *check, ConfNewPlace *place, int64_t folder)
{
    place->folder_given = true;
    place->folder = find_given(check, CONF_TYPE_FOLDER, folder, "/object/folder");
    if (place->folder == NULL)
        return false;
    place->tenant = place->folder->tenant;
    return true;
}

static bool
take_root_folder(ConfCheck *check, ConfNewPlace *place)
{
    place->tenant = place->tenant_given != 0 ? place->tenant_given : default_tenant(check);
    const ConfObject *tenant =
        conf_check_lookup(check, (ConfKey){.dbid = place->tenant, .type = CONF_TYPE_TENANT});
    if (tenant == NULL)
        return conf_check_fail_member(check, "/object/tenant", "The object needs a tenant.");
    place->folder = conf_state_root_folder(check->state, place->tenant, place->type->id);
    /* A type that the site added after the tenant was made: its root folder comes with its first object. */
    if (place->folder == NULL)
        place->folder = make_root_folder(check, tenant, place->type);
    if (place->folder != NULL || check->error.code != 0)
        return place->folder != NULL;
    return conf_check_fail_limit(check);
}

/* A place that the client named is a reference like any other: there, and readable. */
static const ConfObject *
find_given(ConfCheck *check, ConfTypeId type, int64_t dbid, const char *member)
{
    const ConfObject *object = conf_check_lookup(check, (ConfKey){.dbid = dbid, .type = type});
    if (object != NULL && conf_check_may(check, object, CONF_RIGHT_READ))
        return object;
    conf_check_fail_member(check, member, "There is no %s %" G_GINT64_FORMAT ".",
                           type == CONF_TYPE_TENANT ? "tenant" : "folder", dbid);
    return NULL;
}

static bool
check_folder(ConfCheck *check, ConfNewPlace *place)
{
    if (place->tenant_given != 0 && place->tenant_given != place->tenant)
        return conf_check_fail_member(check, "/object/tenant", "The folder belongs to another tenant.");
    if (place->type->id != CONF_TYPE_FOLDER)
        return conf_check_folder_holds(check, place->folder, place->type->id, NULL, "/object/folder");

    g_autofree char *held = conf_object_get_string(place->folder, "holds");
    ConfJson *holds = conf_json_member(place->tree, "holds");
    if (holds == NULL) {
        holds = conf_json_new(check->arena, CONF_JSON_NULL);
        conf_json_append(place->tree, CONF_SLICE("holds"), holds);
    }
    if (holds->kind == CONF_JSON_NULL && held != NULL) {
        size_t size = strlen(held);
        holds->kind = CONF_JSON_STRING;
        holds->text = (ConfSlice){conf_arena_copy(check->arena, held, size), size};
    }
    if (holds->kind == CONF_JSON_STRING && held != NULL && !conf_slice_is(holds->text, held))
        return conf_check_fail_member(check, "/object/holds", "The folder above holds objects of type %s.",
                                      held);
    return true;
}

bool
conf_check_folder_holds(ConfCheck *check, const ConfObject *folder, ConfTypeId type, const char *holds,
                        const char *member)
{
    const ConfTypeInfo *info = conf_schema_type(check->schema, type);
    g_autofree char *held = conf_object_get_string(folder, "holds");
    if (g_strcmp0(held, holds != NULL ? holds : info->name) == 0)
        return true;
    return conf_check_fail_member(check, member, "The folder holds objects of type %s.",
                                  held != NULL ? held : "unknown");
}

static ConfObject *
make(ConfCheck *check, const ConfNewPlace *place)
{
    int64_t dbid = place->dbid_given != 0 ? place->dbid_given : conf_check_next_dbid(check, place->type->id);
    ConfObjectHead head = {
        .key = {.dbid = dbid, .type = place->type->id},
        .revision = check->revision,
        .tenant = place->tenant,
        .folder = place->folder->dbid,
        .enabled = place->enabled && place->folder->enabled,
    };
    g_autofree char *at = g_strconcat(check->at, "/object", NULL);
    return conf_object_create(check->schema, check->arena, place->tree, &head, at, &check->error);
}

static bool
check_group(ConfCheck *check, const ConfObject *object)
{
    if (object->type != CONF_TYPE_ACCESS_GROUP || conf_object_get_raw(object, "members").size == 0)
        return true;
    g_autofree char *kind = conf_object_get_string(object, "kind");
    return g_strcmp0(kind, "everyone") != 0 ||
           conf_check_fail_member(check, "/object/members",
                                  "A group of kind everyone means all and lists nobody.");
}

/* ---- root folders ---- */

static bool
make_root_folders(ConfCheck *check, const ConfObject *tenant)
{
    unsigned count;
    const ConfTypeInfo *const *types = conf_schema_types(check->schema, &count);
    for (unsigned i = 0; i < count; i++) {
        /* Over the limit nothing is made, but counted. */
        if (types[i]->foldered && make_root_folder(check, tenant, types[i]) == NULL && check->error.code != 0)
            return false;
    }
    return true;
}

static const ConfObject *
make_root_folder(ConfCheck *check, const ConfObject *tenant, const ConfTypeInfo *held)
{
    ConfJson *tree = conf_json_new(check->arena, CONF_JSON_OBJECT);
    conf_json_append(tree, CONF_SLICE("type"), conf_json_new_string(check->arena, CONF_SLICE("folder")));
    conf_json_append(tree, CONF_SLICE("name"),
                     conf_json_new_string(check->arena, conf_slice_from_string(held->plural)));
    conf_json_append(tree, CONF_SLICE("holds"),
                     conf_json_new_string(check->arena, conf_slice_from_string(held->name)));
    ConfObjectHead head = {
        .key = {.dbid = conf_check_next_dbid(check, CONF_TYPE_FOLDER), .type = CONF_TYPE_FOLDER},
        .revision = check->revision,
        .tenant = tenant->dbid,
        .enabled = tenant->enabled,
    };
    ConfObject *folder =
        conf_object_create(check->schema, check->arena, tree, &head, check->at, &check->error);
    if (folder == NULL || !conf_check_put(check, folder))
        return NULL;
    return conf_check_lookup(check, head.key);
}

static int64_t
default_tenant(ConfCheck *check)
{
    const ConfObject *creator = NULL;
    if (check->transaction->has_author)
        creator = conf_state_lookup(check->state, check->transaction->subject);
    return creator != NULL ? creator->tenant : CONF_DBID_ENVIRONMENT;
}
