/* object-check.c - does a stored object fit the schema?  Asked of all objects when a master starts. */
#include "base/error.h"
#include "model/object-private.h"

static bool check_head(ConfDraft *draft, const ConfObject *object);
static bool read_members(ConfDraft *draft, const ConfObject *object);
static bool check_secrets(ConfDraft *draft, const ConfObject *object);
static bool check_text(const ConfDraft *draft, const ConfObject *object);

/* The object is made anew of its members, as if a client had given them; it must come out the same. */
bool
conf_object_check(const ConfSchema *schema, const ConfObject *object, GError **error)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    g_auto(ConfRpcError) fault = CONF_RPC_ERROR_INIT;
    ConfDraft draft;
    ConfValuePath path = conf_value_path_root("");
    conf_draft_init(&draft, schema, object->type, arena, &fault);
    draft.is_trusted = true;
    bool fits = check_head(&draft, object) && read_members(&draft, object) && check_secrets(&draft, object) &&
                conf_draft_complete(&draft, &path) && check_text(&draft, object);
    return fits || conf_model_error(error, "Object", object, &fault);
}

static bool
check_head(ConfDraft *draft, const ConfObject *object)
{
    ConfValuePath path = conf_value_path_root("/name");
    conf_draft_take_head(draft, object);
    if (!conf_name_normalize(draft->context.arena, conf_object_name(object), "/name", &draft->name,
                             draft->context.error))
        return false;
    if (!conf_slice_equal(draft->name, conf_object_name(object)))
        return conf_value_fail(&draft->context, &path, "name is not in normal form C");
    return true;
}

static bool
read_members(ConfDraft *draft, const ConfObject *object)
{
    ConfValuePath root = conf_value_path_root("");
    const ConfJson *tree = conf_value_tree(draft->context.arena, conf_bytes_slice(object->body));
    for (const ConfJson *member = tree->first; member != NULL; member = member->next) {
        const ConfField *field = conf_type_member(draft->type, member->key);
        ConfValuePath path = conf_value_path_member(&root, member->key);
        if (field == NULL) {
            g_autofree char *name = conf_slice_dup(member->key);
            return conf_value_fail(&draft->context, &path, "type %s has no member \"%.64s\"",
                                   draft->type->name, name);
        }
        if (field->index >= CONF_FIELD_AT_OWN && !conf_draft_set(draft, field, member, false, &path))
            return false;
    }
    return true;
}

/* What tells the presence of a secret must be right; where there is none, the member is missing. */
static bool
check_secrets(ConfDraft *draft, const ConfObject *object)
{
    ConfValuePath path = conf_value_path_root("/secrets");
    ConfSlice text = conf_bytes_slice(object->secrets);
    const ConfJson *secrets =
        text.size > 0 ? conf_json_parse(draft->context.arena, text, NULL, NULL, NULL) : NULL;
    if (text.size > 0 && (secrets == NULL || secrets->kind != CONF_JSON_OBJECT))
        return conf_value_fail(&draft->context, &path, "its secrets are broken");
    unsigned known = 0;
    for (unsigned i = CONF_FIELD_AT_OWN; i < draft->type->field_count; i++) {
        const ConfField *field = &draft->type->fields[i];
        if (field->kind != CONF_FIELD_SECRET)
            continue;
        const ConfJson *secret = conf_json_member(secrets, field->name);
        bool is_set = secret != NULL && secret->kind == CONF_JSON_STRING;
        if (is_set != conf_slice_is(draft->values[i], "true") || (!is_set && draft->values[i].data != NULL))
            return conf_value_fail(&draft->context, &path, "%s does not tell the truth", field->shown_as);
        known += is_set;
    }
    if (secrets != NULL && secrets->count != known)
        return conf_value_fail(&draft->context, &path, "it has a secret that the schema does not know");
    return true;
}

/* No white space, order of members, nothing but what the head says. */
static bool
check_text(const ConfDraft *draft, const ConfObject *object)
{
    ConfValuePath path = conf_value_path_root("");
    g_auto(ConfBuffer) canonical = CONF_BUFFER_INIT;
    conf_draft_write(draft, &canonical);
    if (!conf_slice_equal(conf_buffer_slice(&canonical), conf_bytes_slice(object->body)))
        return conf_value_fail(&draft->context, &path, "its body is not in canonical form");
    return true;
}
