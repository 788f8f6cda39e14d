/* acl-text.c - rights and lists of rights as JSON: in requests, in answers, in the database. */
#include "model/acl.h"

#include "model/value-private.h"

/* In the order in which they are written. */
static const struct {
    ConfRight right;
    const char *name;
} rights_in_order[] = {
    {CONF_RIGHT_READ, "read"},
    {CONF_RIGHT_CREATE, "create"},
    {CONF_RIGHT_CHANGE, "change"},
    {CONF_RIGHT_EXECUTE, "execute"},
    {CONF_RIGHT_DELETE, "delete"},
    {CONF_RIGHT_READ_PERMISSIONS, "readPermissions"},
    {CONF_RIGHT_CHANGE_PERMISSIONS, "changePermissions"},
};
/* Of a request; a larger one is no list that a person could mean. */
enum { ENTRIES_MAX = 100000 };

static bool parse_entry(const ConfJson *item, const ConfSchema *schema, const char *path, ConfAclEntry *entry,
                        ConfRpcError *error);
static bool parse_account(const ConfJson *account, const ConfSchema *schema, const char *path, ConfKey *key,
                          ConfRpcError *error);
static ConfTypeId account_type(const ConfSchema *schema, const ConfJson *name);

const char *
conf_right_name(ConfRight right)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(rights_in_order); i++) {
        if (rights_in_order[i].right == right)
            return rights_in_order[i].name;
    }
    return NULL;
}

bool
conf_rights_parse(const ConfJson *array, const char *path, uint8_t *rights, ConfRpcError *error)
{
    if (array == NULL || array->kind != CONF_JSON_ARRAY)
        return conf_rpc_fail_path(error, path, "rights must be an array");
    uint8_t found = 0;
    unsigned index = 0;
    for (const ConfJson *item = array->first; item != NULL; item = item->next, index++) {
        unsigned i = 0;
        while (i < G_N_ELEMENTS(rights_in_order) &&
               !(item->kind == CONF_JSON_STRING && conf_slice_is(item->text, rights_in_order[i].name)))
            i++;
        if (i == G_N_ELEMENTS(rights_in_order)) {
            g_autofree char *inner = g_strdup_printf("%s/%u", path, index);
            return conf_rpc_fail_path(error, inner,
                                      "a right is read, create, change, execute, delete, readPermissions or "
                                      "changePermissions");
        }
        found |= rights_in_order[i].right;
    }
    *rights = found;
    return true;
}

void
conf_rights_write(uint8_t rights, ConfBuffer *buffer)
{
    conf_buffer_append_char(buffer, '[');
    bool is_first = true;
    for (unsigned i = 0; i < G_N_ELEMENTS(rights_in_order); i++) {
        if ((rights & rights_in_order[i].right) == 0)
            continue;
        conf_buffer_append_string(buffer, is_first ? "\"" : ",\"");
        conf_buffer_append_string(buffer, rights_in_order[i].name);
        conf_buffer_append_char(buffer, '"');
        is_first = false;
    }
    conf_buffer_append_char(buffer, ']');
}

void
conf_acl_write(const ConfAcl *acl, const ConfSchema *schema, ConfBuffer *buffer)
{
    conf_acl_write_canonical(acl, buffer);
}

/* Accounts are persons and groups, and what these are called is the same in every schema. */
void
conf_acl_write_canonical(const ConfAcl *acl, ConfBuffer *buffer)
{
    conf_buffer_append_char(buffer, '[');
    for (unsigned i = 0; i < acl->count; i++) {
        const ConfAclEntry *entry = &acl->entries[i];
        conf_buffer_append_string(buffer,
                                  i == 0 ? "{\"account\":{\"type\":\"" : ",{\"account\":{\"type\":\"");
        conf_buffer_append_string(buffer, entry->account.type == CONF_TYPE_PERSON ? "person" : "accessGroup");
        CONF_BUFFER_LITERAL(buffer, "\",\"dbid\":");
        conf_buffer_append_integer(buffer, entry->account.dbid);
        CONF_BUFFER_LITERAL(buffer, "},\"rights\":");
        conf_rights_write(entry->rights, buffer);
        conf_buffer_append_char(buffer, '}');
    }
    conf_buffer_append_char(buffer, ']');
}

GArray *
conf_acl_entries_parse(const ConfJson *array, const ConfSchema *schema, const char *path, ConfRpcError *error)
{
    if (array == NULL || array->kind != CONF_JSON_ARRAY || array->count > ENTRIES_MAX) {
        conf_rpc_fail_path(error, path, "a list of rights must be an array of at most %d entries",
                           ENTRIES_MAX);
        return NULL;
    }
    g_autoptr(GArray) entries = g_array_sized_new(FALSE, TRUE, sizeof(ConfAclEntry), array->count);
    unsigned index = 0;
    for (const ConfJson *item = array->first; item != NULL; item = item->next, index++) {
        g_autofree char *inner = g_strdup_printf("%s/%u", path, index);
        ConfAclEntry entry = {.rights = 0};
        if (!parse_entry(item, schema, inner, &entry, error))
            return NULL;
        g_array_append_val(entries, entry);
    }
    return g_steal_pointer(&entries);
}

static bool
parse_entry(const ConfJson *item, const ConfSchema *schema, const char *path, ConfAclEntry *entry,
            ConfRpcError *error)
{
    if (item->kind != CONF_JSON_OBJECT)
        return conf_rpc_fail_path(error, path, "an entry must be an object");
    for (const ConfJson *member = item->first; member != NULL; member = member->next) {
        if (!conf_slice_is(member->key, "account") && !conf_slice_is(member->key, "rights")) {
            g_autofree char *key = conf_pointer_step(member->key);
            g_autofree char *inner = g_strconcat(path, "/", key, NULL);
            return conf_rpc_fail_path(error, inner, "an entry has no such member");
        }
    }
    g_autofree char *account = g_strconcat(path, "/account", NULL);
    g_autofree char *rights = g_strconcat(path, "/rights", NULL);
    return parse_account(conf_json_member(item, "account"), schema, account, &entry->account, error) &&
           conf_rights_parse(conf_json_member(item, "rights"), rights, &entry->rights, error);
}

static bool
parse_account(const ConfJson *account, const ConfSchema *schema, const char *path, ConfKey *key,
              ConfRpcError *error)
{
    const ConfJson *type = conf_json_member(account, "type");
    const ConfJson *dbid = conf_json_member(account, "dbid");
    bool is_key = account != NULL && account->kind == CONF_JSON_OBJECT && account->count == 2 &&
                  type != NULL && type->kind == CONF_JSON_STRING && dbid != NULL &&
                  dbid->kind == CONF_JSON_NUMBER && dbid->is_integer && dbid->integer >= 1;
    if (!is_key)
        return conf_rpc_fail_path(error, path, "an account must be {\"type\",\"dbid\"}");
    ConfTypeId id = account_type(schema, type);
    if (id == 0)
        return conf_rpc_fail_path(error, path, "an account is a person or an accessGroup");
    *key = (ConfKey){.type = id, .dbid = dbid->integer};
    return true;
}

static ConfTypeId
account_type(const ConfSchema *schema, const ConfJson *name)
{
    const ConfTypeInfo *type = conf_schema_type_by_name(schema, name->text);
    return type != NULL && (type->id == CONF_TYPE_PERSON || type->id == CONF_TYPE_ACCESS_GROUP) ? type->id
                                                                                                : 0;
}
