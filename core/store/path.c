/* path.c - /Environment/acme/Hosts/emea/srv1: tenants, then folders, then the object (model.md 6). */
#include "store/store-private.h"

/* 32 tenants, 32 folders, root folder and name, and some more. */
enum { STEPS_MAX = 80 };

typedef struct {
    ConfBuffer text; /* decoded steps, one after the other */
    size_t ends[STEPS_MAX];
    unsigned count;
} Path;

typedef struct {
    ConfKey container; /* by conf_object_parent_key */
    int64_t tenant;    /* not 0: the tenant's own tenant instead */
    ConfTypeId type;
    ConfSlice name;
    const ConfObject *found;
} Search;

static bool parse_path(Path *path, ConfSlice text, const char *at, ConfRpcError *error);
static bool parse_step(Path *path, ConfSlice text, size_t *position);
static ConfSlice get_step(const Path *path, unsigned index);
static const ConfObject *resolve(const ConfState *state, const Path *path);
static const ConfObject *resolve_in_tenant(const ConfState *state, const Path *path, unsigned from,
                                           const ConfObject *tenant);
static const ConfObject *find_object(const ConfState *state, ConfKey container, ConfSlice name);
static const ConfObject *find_in(const ConfState *state, ConfKey container, ConfTypeId type, ConfSlice name);
static const ConfObject *find_tenant(const ConfState *state, int64_t above, ConfSlice name);
static bool match(const ConfObject *object, void *data);
static void append_step(ConfBuffer *buffer, ConfSlice name);
static void append_tenants(const ConfState *state, const ConfObject *tenant, ConfBuffer *buffer);
static void append_folders(const ConfState *state, const ConfObject *object, ConfBuffer *buffer);

const ConfObject *
conf_state_resolve_path(const ConfState *state, ConfSlice path, const char *at, ConfRpcError *error)
{
    Path parsed = {0};
    const ConfObject *found = NULL;
    if (parse_path(&parsed, path, at, error)) {
        found = resolve(state, &parsed);
        if (found == NULL)
            conf_rpc_fail(error, CONF_RPC_NOT_FOUND, "Nothing lies at the path");
    }
    conf_buffer_clear(&parsed.text);
    return found;
}

void
conf_state_write_path(const ConfState *state, const ConfObject *object, ConfBuffer *buffer)
{
    const ConfObject *tenant =
        conf_state_lookup(state, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = object->tenant});
    if (object->type != CONF_TYPE_TENANT || object->tenant != object->dbid)
        append_tenants(state, tenant, buffer);
    if (object->type != CONF_TYPE_TENANT)
        append_folders(state, object, buffer);
    append_step(buffer, conf_object_name(object));
}

static bool
parse_path(Path *path, ConfSlice text, const char *at, ConfRpcError *error)
{
    if (text.size < 2 || text.data[0] != '/')
        return conf_rpc_fail_path(error, at, "A path begins with / and the name of a tenant");
    for (size_t position = 0; position < text.size;) {
        if (path->count == STEPS_MAX)
            return conf_rpc_fail_path(error, at, "A path has at most %d steps", STEPS_MAX);
        size_t begin = path->text.size;
        position++;
        if (!parse_step(path, text, &position))
            return conf_rpc_fail_path(error, at, "In a path ~ stands before 0 (for ~) or 1 (for /) only");
        if (path->text.size == begin)
            return conf_rpc_fail_path(error, at, "A path has no empty steps");
        path->ends[path->count++] = path->text.size;
    }
    /* "/a/" ends in an empty step that the loop does not come to. */
    if (text.data[text.size - 1] == '/')
        return conf_rpc_fail_path(error, at, "A path has no empty steps");
    return true;
}

/* Up to the next slash. */
static bool
parse_step(Path *path, ConfSlice text, size_t *position)
{
    for (; *position < text.size && text.data[*position] != '/'; (*position)++) {
        char c = text.data[*position];
        if (c == '~') {
            if (++*position == text.size || (text.data[*position] != '0' && text.data[*position] != '1'))
                return false;
            c = text.data[*position] == '0' ? '~' : '/';
        }
        conf_buffer_append_char(&path->text, c);
    }
    return true;
}

static ConfSlice
get_step(const Path *path, unsigned index)
{
    size_t begin = index > 0 ? path->ends[index - 1] : 0;
    return (ConfSlice){path->text.data + begin, path->ends[index] - begin};
}

/* As many leading steps as can be are tried as tenants, fewer first: a folder comes before a tenant of the
 * same name, and what lies in that tenant can be named all the same. */
static const ConfObject *
resolve(const ConfState *state, const Path *path)
{
    const ConfObject *tenant =
        conf_state_lookup(state, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = CONF_DBID_ENVIRONMENT});
    if (tenant == NULL || !conf_slice_equal(conf_object_name(tenant), get_step(path, 0)))
        return NULL;
    for (unsigned next = 1; next < path->count; next++) {
        const ConfObject *found = resolve_in_tenant(state, path, next, tenant);
        if (found != NULL)
            return found;
        tenant = find_tenant(state, tenant->dbid, get_step(path, next));
        if (tenant == NULL)
            return NULL;
    }
    return tenant;
}

static const ConfObject *
resolve_in_tenant(const ConfState *state, const Path *path, unsigned from, const ConfObject *tenant)
{
    const ConfObject *container = tenant;
    for (unsigned i = from; i < path->count; i++) {
        ConfKey key = conf_object_key(container);
        if (i == path->count - 1) {
            const ConfObject *found = find_object(state, key, get_step(path, i));
            if (found != NULL)
                return found;
        }
        container = find_in(state, key, CONF_TYPE_FOLDER, get_step(path, i));
        if (container == NULL)
            return NULL;
    }
    return container;
}

/* Anything but a folder. */
static const ConfObject *
find_object(const ConfState *state, ConfKey container, ConfSlice name)
{
    unsigned count;
    const ConfTypeInfo *const *types = conf_schema_types(conf_state_schema(state), &count);
    for (unsigned i = 0; i < count; i++) {
        if (types[i]->id == CONF_TYPE_FOLDER)
            continue;
        const ConfObject *found = find_in(state, container, types[i]->id, name);
        if (found != NULL)
            return found;
    }
    return NULL;
}

static const ConfObject *
find_in(const ConfState *state, ConfKey container, ConfTypeId type, ConfSlice name)
{
    /* Each tenant has a folder Hosts: where little lies in the container, that is looked through, not all
     * of the name. */
    enum { FEW = 64 };
    Search search = {.container = container, .type = type, .name = name};
    const ConfNode *node = conf_index_find(&state->store->index, container);
    if (type == CONF_TYPE_FOLDER && node != NULL && node->links != NULL && node->links->children.count <= FEW)
        conf_state_foreach_child(state, container, match, &search);
    else
        conf_state_foreach_named(state, type, name, match, &search);
    return search.found;
}

static const ConfObject *
find_tenant(const ConfState *state, int64_t above, ConfSlice name)
{
    Search search = {.tenant = above, .type = CONF_TYPE_TENANT, .name = name};
    conf_state_foreach_named(state, CONF_TYPE_TENANT, name, match, &search);
    return search.found;
}

static bool
match(const ConfObject *object, void *data)
{
    Search *search = data;
    if (object->type != search->type || !conf_slice_equal(conf_object_name(object), search->name))
        return true;
    bool is_found = search->tenant != 0 ? object->tenant == search->tenant && object->dbid != search->tenant
                                        : conf_key_equal(conf_object_parent_key(object), search->container);
    if (is_found)
        search->found = object;
    return !is_found;
}

static void
append_step(ConfBuffer *buffer, ConfSlice name)
{
    conf_buffer_append_char(buffer, '/');
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '~')
            CONF_BUFFER_LITERAL(buffer, "~0");
        else if (name.data[i] == '/')
            CONF_BUFFER_LITERAL(buffer, "~1");
        else
            conf_buffer_append_char(buffer, name.data[i]);
    }
}

/* What a replica does not see is left out. */
static void
append_tenants(const ConfState *state, const ConfObject *tenant, ConfBuffer *buffer)
{
    const ConfObject *chain[STEPS_MAX];
    unsigned count = 0;
    while (tenant != NULL && count < STEPS_MAX) {
        chain[count++] = tenant;
        if (tenant->tenant == tenant->dbid)
            break;
        tenant = conf_state_lookup(state, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = tenant->tenant});
    }
    while (count > 0)
        append_step(buffer, conf_object_name(chain[--count]));
}

static void
append_folders(const ConfState *state, const ConfObject *object, ConfBuffer *buffer)
{
    const ConfObject *chain[STEPS_MAX];
    unsigned count = 0;
    while (object->folder != 0 && count < STEPS_MAX) {
        object = conf_state_parent(state, object);
        if (object == NULL)
            break;
        chain[count++] = object;
    }
    while (count > 0)
        append_step(buffer, conf_object_name(chain[--count]));
}
