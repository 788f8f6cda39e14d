/* address.c - how a method names an object.  What is missing and what may not be read are told alike. */
#include "session/address.h"

#include <string.h>

#include "rpc/request.h"

typedef struct {
    const ConfFinding *finding;
    int64_t tenant; /* 0: any */
    const ConfObject *found;
    unsigned count;
} NameSearch;

static void fail_form(ConfRpcError *error, const char *at, const char *member);
static const ConfObject *find_by_name(const ConfFinding *finding, const ConfTypeInfo *type, ConfSlice name,
                                      int64_t tenant, const char *at, ConfRpcError *error);
static const ConfObject *find_by_path(const ConfFinding *finding, ConfSlice path, const char *at,
                                      ConfRpcError *error);
static bool consider(const ConfObject *object, void *data);

const ConfObject *
conf_address_find(const ConfFinding *finding, const ConfJson *params, const char *at, ConfRpcError *error)
{
    ConfSlice path = {NULL, 0}, name = {NULL, 0};
    int64_t dbid = 0, tenant = 0;
    if (!conf_params_string(params, at, "path", false, &path, error) ||
        !conf_params_string(params, at, "name", false, &name, error) ||
        !conf_params_integer(params, at, "dbid", 1, G_MAXINT64, false, &dbid, error) ||
        !conf_params_integer(params, at, "tenant", 1, G_MAXINT64, false, &tenant, error))
        return NULL;
    if (path.data != NULL) {
        if (name.data != NULL || dbid != 0 || tenant != 0 || conf_json_member(params, "type") != NULL) {
            fail_form(error, at, "/path");
            return NULL;
        }
        return find_by_path(finding, path, at, error);
    }
    const ConfTypeInfo *type =
        conf_address_type(finding->schema, params, at, "type", finding->type == 0, error);
    if (type == NULL && error->code == 0)
        type = conf_schema_type(finding->schema, finding->type);
    if (type == NULL)
        return NULL;
    if ((dbid != 0) == (name.data != NULL) || (dbid != 0 && tenant != 0)) {
        fail_form(error, at, dbid != 0 ? "/dbid" : "/name");
        return NULL;
    }
    if (name.data != NULL)
        return find_by_name(finding, type, conf_address_normal(name), tenant, at, error);
    const ConfObject *object = conf_state_lookup(finding->state, (ConfKey){.type = type->id, .dbid = dbid});
    if (object != NULL && finding->readable(object, finding->data))
        return object;
    conf_rpc_fail(error, CONF_RPC_NOT_FOUND, "There is no %s %" G_GINT64_FORMAT, type->name, dbid);
    return NULL;
}

ConfSlice
conf_address_normal(ConfSlice name)
{
    bool plain = true;
    for (size_t i = 0; i < name.size && plain; i++)
        plain = (unsigned char)name.data[i] < 0x80;
    if (plain)
        return name;
    g_autofree char *normal = g_utf8_normalize(name.data, (gssize)name.size, G_NORMALIZE_NFC);
    if (normal == NULL)
        return name;
    size_t size = strlen(normal);
    return (ConfSlice){conf_arena_copy(conf_request_arena(), normal, size), size};
}

const ConfTypeInfo *
conf_address_type(const ConfSchema *schema, const ConfJson *params, const char *at, const char *member,
                  bool required, ConfRpcError *error)
{
    ConfSlice name = {NULL, 0};
    if (!conf_params_string(params, at, member, required, &name, error) || name.data == NULL)
        return NULL;
    const ConfTypeInfo *type = conf_schema_type_by_name(schema, name);
    if (type == NULL) {
        g_autofree char *path = g_strdup_printf("%s/%s", at, member);
        conf_rpc_fail_path(error, path, "This is no name of a type");
    }
    return type;
}

static void
fail_form(ConfRpcError *error, const char *at, const char *member)
{
    g_autofree char *path = g_strconcat(at, member, NULL);
    conf_rpc_fail_path(error, path,
                       "An object is named by path alone, by type and dbid, or by type and name");
}

static const ConfObject *
find_by_name(const ConfFinding *finding, const ConfTypeInfo *type, ConfSlice name, int64_t tenant,
             const char *at, ConfRpcError *error)
{
    NameSearch search = {.finding = finding, .tenant = tenant};
    conf_state_foreach_named(finding->state, type->id, name, consider, &search);
    if (search.count == 1)
        return search.found;
    g_autofree char *shown = conf_slice_dup(name);
    g_autofree char *at_name = g_strconcat(at, "/name", NULL);
    if (search.count > 1)
        conf_rpc_fail_path(error, at_name,
                           "More than one %s is named '%s': name the tenant, the dbid or the path",
                           type->name, shown);
    else
        conf_rpc_fail(error, CONF_RPC_NOT_FOUND, "There is no %s named '%s'", type->name, shown);
    return NULL;
}

static bool
consider(const ConfObject *object, void *data)
{
    NameSearch *search = data;
    if ((search->tenant != 0 && object->tenant != search->tenant) ||
        !search->finding->readable(object, search->finding->data))
        return true;
    search->found = object;
    return ++search->count < 2;
}

static const ConfObject *
find_by_path(const ConfFinding *finding, ConfSlice path, const char *at, ConfRpcError *error)
{
    ConfSlice normal = conf_address_normal(path);
    g_autofree char *at_path = g_strconcat(at, "/path", NULL);
    const ConfObject *object = conf_state_resolve_path(finding->state, normal, at_path, error);
    if (object != NULL && finding->readable(object, finding->data))
        return object;
    if (object != NULL || error->code == CONF_RPC_NOT_FOUND) {
        g_autofree char *shown = conf_slice_dup(path);
        conf_rpc_fail(error, CONF_RPC_NOT_FOUND, "Nothing lies at %s", shown);
    }
    return NULL;
}
