/* object-update.c - new objects, and changes to objects: as clients ask for them, as the server makes them
 * itself, and as a master tells them to its replicas. */
#include "base/error.h"
#include "model/object-private.h"

static bool set_member(ConfDraft *draft, const ConfJson *member, const ConfValuePath *path);
static bool check_dbid(const ConfValueContext *context, const ConfJson *value, const char *name,
                       const ConfValuePath *path);
static bool read_state(const ConfValueContext *context, const ConfJson *value, bool *enabled,
                       const ConfValuePath *path);
static bool patch_member(ConfDraft *draft, const ConfObject *before, const ConfJson *member,
                         const ConfValuePath *path);
static bool patch_head(ConfDraft *draft, const ConfField *field, const ConfJson *value,
                       const ConfValuePath *path);
static bool check_same(ConfDraft *draft, const ConfField *field, const ConfJson *value,
                       const ConfValuePath *path);
static bool check_list_names(const ConfDraft *draft, const ConfJson *lists, const ConfValuePath *path);
static bool edit_lists(ConfDraft *draft, const ConfJson *add, const ConfJson *remove, const char *at);
static bool amend_secrets(ConfDraft *draft, const ConfObject *before, const ConfJson *patch,
                          ConfBytes **secrets);

bool
conf_object_read_head(const ConfJson *tree, const char *at, int64_t *tenant, int64_t *folder,
                      bool *folder_given, bool *enabled, ConfRpcError *error)
{
    ConfValueContext context = {.error = error};
    ConfValuePath path = conf_value_path_root(at);
    *tenant = 0;
    *folder = 0;
    *folder_given = false;
    *enabled = true;
    if (tree == NULL || tree->kind != CONF_JSON_OBJECT)
        return conf_value_fail(&context, &path, "the object must be a JSON object");
    const ConfJson *value = conf_json_member(tree, "tenant");
    if (value != NULL && value->kind != CONF_JSON_NULL) {
        ConfValuePath inner = conf_value_path_member(&path, CONF_SLICE("tenant"));
        if (!check_dbid(&context, value, "tenant", &inner))
            return false;
        *tenant = value->integer;
    }
    value = conf_json_member(tree, "folder");
    if (value != NULL && value->kind != CONF_JSON_NULL) {
        ConfValuePath inner = conf_value_path_member(&path, CONF_SLICE("folder"));
        if (!check_dbid(&context, value, "folder", &inner))
            return false;
        *folder = value->integer;
        *folder_given = true;
    }
    ConfValuePath inner = conf_value_path_member(&path, CONF_SLICE("state"));
    return read_state(&context, conf_json_member(tree, "state"), enabled, &inner);
}

ConfObject *
conf_object_create(const ConfSchema *schema, ConfArena *arena, const ConfJson *tree,
                   const ConfObjectHead *head, const char *at, ConfRpcError *error)
{
    ConfDraft draft;
    conf_draft_init(&draft, schema, head->key.type, arena, error);
    draft.head = *head;
    ConfValuePath path = conf_value_path_root(at);
    if (tree == NULL || tree->kind != CONF_JSON_OBJECT) {
        conf_value_fail(&draft.context, &path, "the object must be a JSON object");
        return NULL;
    }
    for (const ConfJson *member = tree->first; member != NULL; member = member->next) {
        ConfValuePath inner = conf_value_path_member(&path, member->key);
        if (!set_member(&draft, member, &inner))
            return NULL;
    }
    ConfValuePath name = conf_value_path_member(&path, CONF_SLICE("name"));
    if (!conf_draft_set_name(&draft, conf_json_member(tree, "name"), &name) ||
        !conf_draft_complete(&draft, &path))
        return NULL;
    for (unsigned i = CONF_FIELD_AT_OWN; i < draft.type->field_count; i++) {
        const ConfField *field = &draft.type->fields[i];
        const ConfJson *given = field->computed ? conf_json_member(tree, field->name) : NULL;
        ConfValuePath inner = conf_value_path_member(&path, (ConfSlice){field->name, field->name_size});
        if (given != NULL && !check_same(&draft, field, given, &inner))
            return NULL;
    }
    return conf_draft_make(&draft, NULL, NULL, 0);
}

/* A member of an object to be created. */
static bool
set_member(ConfDraft *draft, const ConfJson *member, const ConfValuePath *path)
{
    const ConfField *field = conf_type_field(draft->type, member->key);
    if (field == NULL && conf_type_member(draft->type, member->key) == NULL)
        return conf_value_fail(&draft->context, path, "type %s has no such member", draft->type->name);
    if (member->kind == CONF_JSON_NULL)
        return true;
    if (field == NULL || field->kind == CONF_FIELD_SECRET)
        return conf_value_fail(&draft->context, path, "a secret cannot be set here");
    switch (field->index) {
    case CONF_FIELD_AT_TYPE:
        if (member->kind != CONF_JSON_STRING || !conf_slice_is(member->text, draft->type->name))
            return conf_value_fail(&draft->context, path, "type must be %s", draft->type->name);
        return true;
    case CONF_FIELD_AT_DBID:
    case CONF_FIELD_AT_REVISION:
        return conf_value_fail(&draft->context, path, "%s is given by the server", field->name);
    case CONF_FIELD_AT_NAME:   /* read by itself, since it is required */
    case CONF_FIELD_AT_TENANT: /* read by conf_object_read_head() */
    case CONF_FIELD_AT_FOLDER:
    case CONF_FIELD_AT_STATE:
        return true;
    default:
        return field->computed || conf_draft_set(draft, field, member, false, path);
    }
}

static bool
check_dbid(const ConfValueContext *context, const ConfJson *value, const char *name,
           const ConfValuePath *path)
{
    if (value->kind != CONF_JSON_NUMBER || !value->is_integer || value->integer < 1)
        return conf_value_fail(context, path, "%s must be a dbid", name);
    return true;
}

static bool
read_state(const ConfValueContext *context, const ConfJson *value, bool *enabled, const ConfValuePath *path)
{
    *enabled = true;
    if (value == NULL || value->kind == CONF_JSON_NULL)
        return true;
    *enabled = value->kind == CONF_JSON_STRING && conf_slice_is(value->text, "enabled");
    if (!*enabled && !(value->kind == CONF_JSON_STRING && conf_slice_is(value->text, "disabled")))
        return conf_value_fail(context, path, "state must be enabled or disabled");
    return true;
}

bool
conf_draft_apply(ConfDraft *draft, const ConfObject *before, const ConfJson *patch, const ConfJson *add,
                 const ConfJson *remove, const char *at)
{
    ConfValuePath root = conf_value_path_root(at);
    ConfValuePath path = conf_value_path_member(&root, CONF_SLICE("patch"));
    if (patch != NULL && patch->kind != CONF_JSON_OBJECT)
        return conf_value_fail(&draft->context, &path, "patch must be an object");
    const ConfJson *member = patch != NULL ? patch->first : NULL;
    for (; member != NULL; member = member->next) {
        ConfValuePath inner = conf_value_path_member(&path, member->key);
        if (!patch_member(draft, before, member, &inner))
            return false;
    }
    if (!edit_lists(draft, add, remove, at) || !conf_draft_complete(draft, &path))
        return false;
    /* Computed members may be repeated: they are compared with what follows from the rest. */
    for (unsigned i = CONF_FIELD_AT_OWN; patch != NULL && i < draft->type->field_count; i++) {
        const ConfField *field = &draft->type->fields[i];
        const ConfJson *given = field->computed ? conf_json_member(patch, field->name) : NULL;
        ConfValuePath inner = conf_value_path_member(&path, (ConfSlice){field->name, field->name_size});
        if (given != NULL && !draft->is_trusted && !check_same(draft, field, given, &inner))
            return false;
    }
    return true;
}

ConfObject *
conf_object_update(const ConfSchema *schema, ConfArena *arena, const ConfObject *before,
                   const ConfJson *patch, const ConfJson *add, const ConfJson *remove, int64_t revision,
                   const char *at, ConfRpcError *error)
{
    ConfDraft draft;
    conf_draft_init(&draft, schema, before->type, arena, error);
    if (!conf_draft_read(&draft, before) || !conf_draft_apply(&draft, before, patch, add, remove, at))
        return NULL;
    if (conf_draft_equals(&draft, before))
        return conf_object_ref(before);
    draft.head.revision = revision;
    return conf_draft_make(&draft, conf_bytes_ref(before->secrets), before->acl, before->acl_revision);
}

static bool
patch_member(ConfDraft *draft, const ConfObject *before, const ConfJson *member, const ConfValuePath *path)
{
    const ConfField *field = conf_type_member(draft->type, member->key);
    if (field == NULL) {
        if (conf_type_field(draft->type, member->key) != NULL)
            return conf_value_fail(&draft->context, path, "a secret cannot be set here");
        return conf_value_fail(&draft->context, path, "type %s has no such member", draft->type->name);
    }
    if (field->index < CONF_FIELD_AT_OWN)
        return patch_head(draft, field, member, path);
    if (field->computed)
        return true; /* judged when all is known */
    if (!draft->is_trusted && (field->immutable || field->kind == CONF_FIELD_SECRET))
        return check_same(draft, field, member, path);
    return conf_draft_set(draft, field, member, true, path);
}

static bool
patch_head(ConfDraft *draft, const ConfField *field, const ConfJson *value, const ConfValuePath *path)
{
    int64_t present = 0;
    switch (field->index) {
    case CONF_FIELD_AT_TYPE:
        if (value->kind != CONF_JSON_STRING || !conf_slice_is(value->text, draft->type->name))
            return conf_value_fail(&draft->context, path, "type cannot be changed");
        return true;
    case CONF_FIELD_AT_NAME:
        return conf_draft_set_name(draft, value, path);
    case CONF_FIELD_AT_STATE:
        return read_state(&draft->context, value, &draft->head.enabled, path);
    case CONF_FIELD_AT_FOLDER:
        draft->head.folder = 0;
        if (value->kind == CONF_JSON_NULL)
            return true;
        draft->head.folder = value->integer;
        return check_dbid(&draft->context, value, "folder", path);
    case CONF_FIELD_AT_DBID:
        present = draft->head.key.dbid;
        break;
    case CONF_FIELD_AT_REVISION:
        present = draft->head.revision;
        break;
    default: /* tenant */
        if (draft->is_trusted) {
            draft->head.tenant = value->integer;
            return check_dbid(&draft->context, value, "tenant", path);
        }
        present = draft->head.tenant;
        break;
    }
    if (value->kind != CONF_JSON_NUMBER || !value->is_integer || value->integer != present)
        return conf_value_fail(&draft->context, path, "%s cannot be changed", field->name);
    return true;
}

/* A member that cannot be changed may be repeated. */
static bool
check_same(ConfDraft *draft, const ConfField *field, const ConfJson *value, const ConfValuePath *path)
{
    ConfSlice present = draft->values[field->index];
    bool is_null = value->kind == CONF_JSON_NULL;
    if (field->kind == CONF_FIELD_SECRET || field->computed) {
        bool is_set = present.data != NULL && present.data[0] == 't';
        if (is_null ? present.data == NULL : value->kind == CONF_JSON_BOOLEAN && value->boolean == is_set)
            return true;
        return conf_value_fail(&draft->context, path, "%s cannot be set here",
                               field->shown_as != NULL ? field->shown_as : field->name);
    }
    g_auto(ConfBuffer) text = CONF_BUFFER_INIT;
    if (!conf_value_write(&draft->context, field, value, path, &text))
        return false;
    if (!conf_slice_equal(conf_buffer_slice(&text), present))
        return conf_value_fail(&draft->context, path, "%s cannot be changed", field->name);
    return true;
}

static bool
check_list_names(const ConfDraft *draft, const ConfJson *lists, const ConfValuePath *path)
{
    if (lists == NULL)
        return true;
    if (lists->kind != CONF_JSON_OBJECT)
        return conf_value_fail(&draft->context, path, "lists must be named by the members of an object");
    for (const ConfJson *member = lists->first; member != NULL; member = member->next) {
        ConfValuePath inner = conf_value_path_member(path, member->key);
        const ConfField *field = conf_type_member(draft->type, member->key);
        if (field == NULL)
            return conf_value_fail(&draft->context, &inner, "type %s has no such member", draft->type->name);
        if (field->kind != CONF_FIELD_LIST)
            return conf_value_fail(&draft->context, &inner, "%s is no list", field->name);
        if (field->immutable && !draft->is_trusted)
            return conf_value_fail(&draft->context, &inner, "%s cannot be changed", field->name);
    }
    return true;
}

static bool
edit_lists(ConfDraft *draft, const ConfJson *add, const ConfJson *remove, const char *at)
{
    ConfValuePath root = conf_value_path_root(at);
    ConfValuePath add_path = conf_value_path_member(&root, CONF_SLICE("add"));
    ConfValuePath remove_path = conf_value_path_member(&root, CONF_SLICE("remove"));
    if (!check_list_names(draft, add, &add_path) || !check_list_names(draft, remove, &remove_path))
        return false;
    if (add == NULL && remove == NULL)
        return true;
    for (unsigned i = CONF_FIELD_AT_OWN; i < draft->type->field_count; i++) {
        const ConfField *field = &draft->type->fields[i];
        if (field->kind != CONF_FIELD_LIST)
            continue;
        ConfSlice name = {field->name, field->name_size};
        const ConfJson *in = conf_json_member_slice(add, name);
        const ConfJson *out = conf_json_member_slice(remove, name);
        if (in == NULL && out == NULL)
            continue;
        ConfValuePath in_path = conf_value_path_member(&add_path, name);
        ConfValuePath out_path = conf_value_path_member(&remove_path, name);
        if (!conf_list_edit(&draft->context, field, draft->values[i], in, &in_path, out, &out_path,
                            &draft->values[i]))
            return false;
    }
    return true;
}

ConfObject *
conf_object_amend(const ConfSchema *schema, ConfArena *arena, const ConfObject *before, const ConfJson *patch,
                  const ConfJson *secrets, int64_t revision, GError **error)
{
    g_auto(ConfRpcError) fault = CONF_RPC_ERROR_INIT;
    ConfDraft draft;
    conf_draft_init(&draft, schema, before->type, arena, &fault);
    draft.is_trusted = true;
    g_autoptr(ConfBytes) bytes = conf_bytes_ref(before->secrets);
    if (!conf_draft_read(&draft, before) || !amend_secrets(&draft, before, secrets, &bytes) ||
        !conf_draft_apply(&draft, before, patch, NULL, NULL, "")) {
        conf_model_error(error, "Object", before, &fault);
        return NULL;
    }
    if (conf_draft_equals(&draft, before) &&
        conf_slice_equal(conf_bytes_slice(bytes), conf_bytes_slice(before->secrets)))
        return conf_object_ref(before);
    draft.head.revision = revision;
    return conf_draft_make(&draft, g_steal_pointer(&bytes), before->acl, before->acl_revision);
}

/* {"passwordHash":"..."} in the order of the fields; what is null goes. */
static bool
amend_secrets(ConfDraft *draft, const ConfObject *before, const ConfJson *patch, ConfBytes **secrets)
{
    if (patch == NULL)
        return true;
    ConfValuePath path = conf_value_path_root("/secrets");
    if (patch->kind != CONF_JSON_OBJECT)
        return conf_value_fail(&draft->context, &path, "secrets must be an object");
    for (const ConfJson *member = patch->first; member != NULL; member = member->next) {
        const ConfField *field = conf_type_field(draft->type, member->key);
        ConfValuePath inner = conf_value_path_member(&path, member->key);
        if (field == NULL || field->kind != CONF_FIELD_SECRET)
            return conf_value_fail(&draft->context, &inner, "type %s has no such secret", draft->type->name);
    }
    const ConfJson *old = before->secrets != NULL
                              ? conf_value_tree(draft->context.arena, conf_bytes_slice(before->secrets))
                              : NULL;
    g_auto(ConfBuffer) text = CONF_BUFFER_INIT;
    for (unsigned i = CONF_FIELD_AT_OWN; i < draft->type->field_count; i++) {
        const ConfField *field = &draft->type->fields[i];
        if (field->kind != CONF_FIELD_SECRET)
            continue;
        const ConfJson *value = conf_json_member(patch, field->name);
        if (value == NULL)
            value = conf_json_member(old, field->name);
        bool is_set = value != NULL && value->kind != CONF_JSON_NULL;
        draft->values[i] = is_set ? CONF_SLICE("true") : (ConfSlice){NULL, 0};
        if (!is_set)
            continue;
        ConfValuePath inner = conf_value_path_member(&path, (ConfSlice){field->name, field->name_size});
        conf_buffer_append_string(&text, text.size == 0 ? "{\"" : ",\"");
        conf_buffer_append(&text, field->name, field->name_size);
        CONF_BUFFER_LITERAL(&text, "\":");
        if (!conf_value_write(&draft->context, field, value, &inner, &text))
            return false;
    }
    if (text.size > 0)
        conf_buffer_append_char(&text, '}');
    conf_bytes_unref(*secrets);
    *secrets = text.size > 0 ? conf_buffer_to_bytes(&text) : NULL;
    return true;
}
