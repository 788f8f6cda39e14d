/* initial-content.c - what a new database holds: model.md 4.
 *
 * Rights from the start: Super Administrators may everything; Administrators as well, except that Super
 * Administrators, SYSTEM and the first administrator carry lists of their own, which only let them be read;
 * SYSTEM, as which servers run, reads and executes; Users read what client programs work with, and execute
 * these programs; others nothing. */
#include "commit/commit-queue.h"

#include "base/clock.h"
#include "base/error.h"

enum {
    DBID_CONFSERV = 99,
    DBID_FIRST = 100, /* below it are the dbids that the server itself relies on */
    RIGHTS_ADMINISTRATOR = CONF_RIGHT_ALL,
    RIGHTS_SYSTEM = CONF_RIGHT_READ | CONF_RIGHT_EXECUTE,
};

typedef enum {
    GROUP_EVERYONE,
    GROUP_USERS,
    GROUP_ADMINISTRATORS,
    GROUP_SUPER,
    GROUP_SYSTEM,
    GROUP_COUNT
} Group;

typedef struct {
    const char *name, *kind;
} GroupText;

static const GroupText group_texts[GROUP_COUNT] = {
    [GROUP_EVERYONE] = {"EVERYONE", "everyone"},
    [GROUP_USERS] = {"Users", "users"},
    [GROUP_ADMINISTRATORS] = {"Administrators", "administrators"},
    [GROUP_SUPER] = {"Super Administrators", "superAdministrators"},
    [GROUP_SYSTEM] = {"SYSTEM", "system"},
};

typedef struct {
    const ConfSchema *schema;
    const ConfInitialSettings *settings;
    ConfArena *arena;
    GPtrArray *objects;
    GHashTable *next_dbids;
    GHashTable *root_folders; /* type id → dbid of its root folder */
    GError **error;
} ConfContent;

static bool make_tenant(ConfContent *content);
static bool make_folders(ConfContent *content);
static bool make_groups(ConfContent *content);
static bool make_person(ConfContent *content);
static bool make_applications(ConfContent *content);
static bool add_secret(ConfContent *content, ConfObject **person);
static ConfObject *make(ConfContent *content, ConfKey key, const ConfJsonWriter *writer);
static void begin(ConfJsonWriter *writer, ConfBuffer *buffer, const char *type, const char *name);
static bool add(ConfContent *content, ConfObject *object, const ConfAclEntry *entries, unsigned count);
static bool is_for_clients(const ConfTypeInfo *type);
static ConfKey group_key(Group group);
static int compare(const void *a, const void *b);
static void fill_next_dbids(ConfContent *content);

GPtrArray *
conf_initial_content(const ConfSchema *schema, const ConfInitialSettings *settings, GHashTable *next_dbids,
                     GError **error)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    g_autoptr(GHashTable) root_folders = g_hash_table_new(NULL, NULL);
    g_autoptr(GPtrArray) objects = g_ptr_array_new_with_free_func((GDestroyNotify)conf_object_unref);
    ConfContent content = {
        .schema = schema,
        .settings = settings,
        .arena = arena,
        .objects = objects,
        .next_dbids = next_dbids,
        .root_folders = root_folders,
        .error = error,
    };
    if (!make_tenant(&content) || !make_folders(&content) || !make_groups(&content) ||
        !make_person(&content) || !make_applications(&content))
        return NULL;
    g_ptr_array_sort(objects, compare);
    fill_next_dbids(&content);
    return g_steal_pointer(&objects);
}

static bool
make_tenant(ConfContent *content)
{
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    ConfJsonWriter writer;
    begin(&writer, &buffer, "tenant", "Environment");
    conf_json_writer_member_boolean(&writer, "provider", true);
    ConfAclEntry entries[] = {
        {group_key(GROUP_SUPER), RIGHTS_ADMINISTRATOR},
        {group_key(GROUP_ADMINISTRATORS), RIGHTS_ADMINISTRATOR},
        {group_key(GROUP_SYSTEM), RIGHTS_SYSTEM},
    };
    ConfKey key = {.dbid = CONF_DBID_ENVIRONMENT, .type = CONF_TYPE_TENANT};
    return add(content, make(content, key, &writer), entries, G_N_ELEMENTS(entries));
}

static bool
make_folders(ConfContent *content)
{
    unsigned count;
    const ConfTypeInfo *const *types = conf_schema_types(content->schema, &count);
    int64_t dbid = DBID_FIRST;
    for (unsigned i = 0; i < count; i++) {
        if (!types[i]->foldered)
            continue;
        g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
        ConfJsonWriter writer;
        begin(&writer, &buffer, "folder", types[i]->plural);
        conf_json_writer_member_string(&writer, "holds", types[i]->name);
        ConfAclEntry entries[] = {
            {group_key(GROUP_SUPER), RIGHTS_ADMINISTRATOR},
            {group_key(GROUP_ADMINISTRATORS), RIGHTS_ADMINISTRATOR},
            {group_key(GROUP_SYSTEM), RIGHTS_SYSTEM},
            {group_key(GROUP_USERS), CONF_RIGHT_READ},
        };
        ConfKey key = {.dbid = dbid++, .type = CONF_TYPE_FOLDER};
        ConfObject *folder = make(content, key, &writer);
        if (!add(content, folder, entries, is_for_clients(types[i]) ? G_N_ELEMENTS(entries) : 0))
            return false;
        g_hash_table_insert(content->root_folders, GUINT_TO_POINTER(types[i]->id),
                            GINT_TO_POINTER((int)key.dbid));
    }
    return true;
}

static bool
make_groups(ConfContent *content)
{
    const ConfAclEntry own[] = {
        {group_key(GROUP_SUPER), RIGHTS_ADMINISTRATOR},
        {group_key(GROUP_ADMINISTRATORS), CONF_RIGHT_READ},
        {group_key(GROUP_SYSTEM), RIGHTS_SYSTEM},
    };
    for (unsigned i = 0; i < GROUP_COUNT; i++) {
        g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
        ConfJsonWriter writer;
        begin(&writer, &buffer, "accessGroup", group_texts[i].name);
        conf_json_writer_member_string(&writer, "kind", group_texts[i].kind);
        if (i == GROUP_SUPER) {
            conf_json_writer_key(&writer, "members");
            conf_json_writer_begin_array(&writer);
            conf_json_writer_integer(&writer, DBID_FIRST);
            conf_json_writer_end_array(&writer);
        }
        bool has_own = i == GROUP_SUPER || i == GROUP_SYSTEM;
        if (!add(content, make(content, group_key((Group)i), &writer), own, has_own ? G_N_ELEMENTS(own) : 0))
            return false;
    }
    return true;
}

static bool
make_person(ConfContent *content)
{
    char now[CONF_TIME_TEXT_SIZE];
    conf_clock_format(conf_clock_wall_ms(), now);
    const char *name = content->settings->admin_name != NULL ? content->settings->admin_name : "default";
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    ConfJsonWriter writer;
    begin(&writer, &buffer, "person", name);
    if (content->settings->admin_password_hash != NULL)
        conf_json_writer_member_string(&writer, "passwordChanged", now);
    ConfObject *person = make(content, (ConfKey){.dbid = DBID_FIRST, .type = CONF_TYPE_PERSON}, &writer);
    if (person != NULL && content->settings->admin_password_hash != NULL && !add_secret(content, &person))
        return false;
    const ConfAclEntry own[] = {
        {group_key(GROUP_SUPER), RIGHTS_ADMINISTRATOR},
        {group_key(GROUP_ADMINISTRATORS), CONF_RIGHT_READ},
        {group_key(GROUP_SYSTEM), RIGHTS_SYSTEM},
    };
    return add(content, person, own, G_N_ELEMENTS(own));
}

static bool
make_applications(ConfContent *content)
{
    const struct {
        int64_t dbid;
        const char *name, *type;
    } clients[] = {
        {DBID_FIRST, "default", "administrator"},
        {DBID_FIRST + 1, "confctl", "genericClient"},
    };
    const char *name = content->settings->server_name != NULL ? content->settings->server_name : "confserv";
    g_auto(ConfBuffer) server = CONF_BUFFER_INIT;
    ConfJsonWriter writer;
    begin(&writer, &server, "application", name);
    conf_json_writer_member_string(&writer, "applicationType", "configurationServer");
    conf_json_writer_key(&writer, "ports");
    conf_json_writer_begin_array(&writer);
    conf_json_writer_begin_object(&writer);
    conf_json_writer_member_string(&writer, "id", "default");
    conf_json_writer_member_integer(&writer, "port", content->settings->port);
    conf_json_writer_end_object(&writer);
    conf_json_writer_end_array(&writer);
    conf_json_writer_key(&writer, "account");
    conf_json_writer_begin_object(&writer);
    conf_json_writer_member_string(&writer, "type", "accessGroup");
    conf_json_writer_member_integer(&writer, "dbid", group_key(GROUP_SYSTEM).dbid);
    conf_json_writer_end_object(&writer);
    ConfKey key = {.dbid = DBID_CONFSERV, .type = CONF_TYPE_APPLICATION};
    if (!add(content, make(content, key, &writer), NULL, 0))
        return false;

    const ConfAclEntry entries[] = {
        {group_key(GROUP_SUPER), RIGHTS_ADMINISTRATOR},
        {group_key(GROUP_ADMINISTRATORS), RIGHTS_ADMINISTRATOR},
        {group_key(GROUP_SYSTEM), RIGHTS_SYSTEM},
        {group_key(GROUP_USERS), CONF_RIGHT_READ | CONF_RIGHT_EXECUTE},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(clients); i++) {
        g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
        begin(&writer, &buffer, "application", clients[i].name);
        conf_json_writer_member_string(&writer, "applicationType", clients[i].type);
        key.dbid = clients[i].dbid;
        if (!add(content, make(content, key, &writer), entries, G_N_ELEMENTS(entries)))
            return false;
    }
    return true;
}

/* Takes and replaces *person. */
static bool
add_secret(ConfContent *content, ConfObject **person)
{
    ConfJson *secrets = conf_json_new(content->arena, CONF_JSON_OBJECT);
    ConfSlice hash = conf_slice_from_string(content->settings->admin_password_hash);
    conf_json_append(secrets, CONF_SLICE("passwordHash"), conf_json_new_string(content->arena, hash));
    ConfObject *with_secret =
        conf_object_amend(content->schema, content->arena, *person, NULL, secrets, 1, content->error);
    conf_object_unref(*person);
    *person = with_secret;
    return with_secret != NULL;
}

static void
begin(ConfJsonWriter *writer, ConfBuffer *buffer, const char *type, const char *name)
{
    conf_json_writer_init(writer, buffer);
    conf_json_writer_begin_object(writer);
    conf_json_writer_member_string(writer, "type", type);
    conf_json_writer_member_string(writer, "name", name);
}

/* As a client's create, so that the schema is asked; only the place is given, since there is none before. */
static ConfObject *
make(ConfContent *content, ConfKey key, const ConfJsonWriter *writer)
{
    ConfJsonWriter end = *writer;
    conf_json_writer_end_object(&end);
    const char *message = NULL;
    ConfSlice text = conf_buffer_slice(end.buffer);
    ConfJson *tree = conf_json_parse(
        content->arena, (ConfSlice){conf_arena_copy(content->arena, text.data, text.size), text.size}, NULL,
        NULL, &message);
    bool has_folder = key.type != CONF_TYPE_FOLDER && key.type != CONF_TYPE_TENANT;
    ConfObjectHead head = {.key = key, .revision = 1, .tenant = CONF_DBID_ENVIRONMENT, .enabled = true};
    if (has_folder)
        head.folder = GPOINTER_TO_INT(g_hash_table_lookup(content->root_folders, GUINT_TO_POINTER(key.type)));
    g_auto(ConfRpcError) fault = CONF_RPC_ERROR_INIT;
    ConfObject *object =
        tree != NULL ? conf_object_create(content->schema, content->arena, tree, &head, "", &fault) : NULL;
    if (object == NULL)
        g_set_error(content->error, CONF_ERROR, CONF_ERROR_INVALID,
                    "The first content does not fit the schema: %s (%.*s)",
                    tree != NULL ? fault.message : message, (int)text.size, text.data);
    return object;
}

/* Takes `object` (NULL: the error is set).  No entries: it inherits. */
static bool
add(ConfContent *content, ConfObject *object, const ConfAclEntry *entries, unsigned count)
{
    if (object == NULL)
        return false;
    if (count > 0) {
        ConfAcl *acl = conf_acl_intern(entries, count);
        ConfObject *listed = conf_object_with_acl(object, acl, 1);
        conf_acl_unref(acl);
        conf_object_unref(object);
        object = listed;
    }
    g_ptr_array_add(content->objects, object);
    return true;
}

/* Who may do what, and the people, are not for everybody to read. */
static bool
is_for_clients(const ConfTypeInfo *type)
{
    return type->id != CONF_TYPE_PERSON && type->id != CONF_TYPE_ACCESS_GROUP && type->id != CONF_TYPE_ROLE;
}

static ConfKey
group_key(Group group)
{
    return (ConfKey){.dbid = DBID_FIRST + (int64_t)group, .type = CONF_TYPE_ACCESS_GROUP};
}

static int
compare(const void *a, const void *b)
{
    const ConfObject *left = *(ConfObject *const *)a, *right = *(ConfObject *const *)b;
    return conf_key_compare(conf_object_key(left), conf_object_key(right));
}

static void
fill_next_dbids(ConfContent *content)
{
    unsigned count;
    const ConfTypeInfo *const *types = conf_schema_types(content->schema, &count);
    g_autoptr(GHashTable) highest = g_hash_table_new(NULL, NULL);
    for (unsigned i = 0; i < content->objects->len; i++) {
        const ConfObject *object = g_ptr_array_index(content->objects, i);
        g_hash_table_insert(highest, GUINT_TO_POINTER(object->type),
                            GINT_TO_POINTER((int)object->dbid)); /* ascending */
    }
    for (unsigned i = 0; i < count; i++) {
        int last = GPOINTER_TO_INT(g_hash_table_lookup(highest, GUINT_TO_POINTER(types[i]->id)));
        size_t next = (size_t)MAX(last, DBID_FIRST) + 1;
        g_hash_table_insert(content->next_dbids, GUINT_TO_POINTER(types[i]->id), GSIZE_TO_POINTER(next));
    }
}
