/* schema-finish.c - makes a schema of the types that were read: resolves references, checks what needs all
 * types, puts the common fields in, makes the indexes and the text. */
#include "model/schema-private.h"

#include <string.h>

#include "base/error.h"
#include "base/id.h"
#include "model/value-private.h"

static bool resolve_references(ConfSchemaParser *parser, ConfPendingField *pending);
static bool resolve_default(ConfSchemaParser *parser, ConfPendingField *pending);
static bool resolve_computed(ConfSchemaParser *parser, const ConfTypeDraft *draft, ConfPendingField *pending);
static bool resolve_all(ConfSchemaParser *parser);
static bool check_known_types(ConfSchemaParser *parser);
static void assemble(ConfSchemaParser *parser, ConfTypeDraft *draft);
static void index_members(ConfArena *arena, ConfTypeInfo *type);
static void index_types(ConfSchemaParser *parser);

/* What stands in every type.  References of tenant and folder are filled in by place_common(). */
static const char *const states[] = {"enabled", "disabled", NULL};
static const ConfTypeId tenant_type[] = {CONF_TYPE_TENANT, 0};
static const ConfTypeId folder_type[] = {CONF_TYPE_FOLDER, 0};
static const ConfField common_fields[] = {
    {.name = "type", .kind = CONF_FIELD_STRING, .immutable = true, .help = "Name of the type."},
    {.name = "dbid",
     .kind = CONF_FIELD_INTEGER,
     .immutable = true,
     .minimum = 1,
     .maximum = CONF_INTEGER_MAX,
     .help = "Number of the object, unique within its type, given by the server."},
    {.name = "revision",
     .kind = CONF_FIELD_INTEGER,
     .immutable = true,
     .minimum = 0,
     .maximum = CONF_INTEGER_MAX,
     .help = "Revision of the transaction that changed the object last."},
    {.name = "name",
     .kind = CONF_FIELD_STRING,
     .required = true,
     .minimum = 1,
     .maximum = 255,
     .help = "Name of the object."},
    {.name = "tenant",
     .kind = CONF_FIELD_REF,
     .immutable = true,
     .to = tenant_type,
     .to_count = 1,
     .holds_references = true,
     .help = "Tenant that the object belongs to; of a tenant: the one above it."},
    {.name = "folder",
     .kind = CONF_FIELD_REF,
     .to = folder_type,
     .to_count = 1,
     .holds_references = true,
     .help = "Folder that the object lies in; of a folder: the one above it."},
    {.name = "state", .kind = CONF_FIELD_ENUM, .values = states, .help = "Whether the object is in use."},
};
static const ConfField options_field = {.name = "options",
                                        .kind = CONF_FIELD_SECTIONS,
                                        .help = "Options of the program: sections of keys and values."};
static const ConfField annex_field = {.name = "annex",
                                      .kind = CONF_FIELD_SECTIONS,
                                      .help =
                                          "What others keep with the object: sections of keys and values."};

/* Types that the server itself uses, by the names it uses. */
static const struct {
    ConfTypeId id;
    const char *name;
    const char *const *fields;
} known_types[] = {
    {CONF_TYPE_PERSON, "person",
     (const char *const[]){"externalId", "passwordHash", "mustChangePassword", "passwordChanged", NULL}},
    {CONF_TYPE_TENANT, "tenant", NULL},
    {CONF_TYPE_SERVICE, "service", NULL},
    {CONF_TYPE_APPLICATION, "application",
     (const char *const[]){"applicationType", "server", "host", "ports", "connections", "backup", "account",
                           "secretHash", NULL}},
    {CONF_TYPE_HOST, "host", (const char *const[]){"address", NULL}},
    {CONF_TYPE_APPLICATION_TEMPLATE, "applicationTemplate", NULL},
    {CONF_TYPE_ACCESS_GROUP, "accessGroup", (const char *const[]){"kind", "members", NULL}},
    {CONF_TYPE_FOLDER, "folder", (const char *const[]){"holds", "class", NULL}},
    {CONF_TYPE_ROLE, "role", NULL},
};

ConfSchema *
conf_schema_parser_finish(ConfSchemaParser *parser)
{
    parser->file = "schema";
    g_string_truncate(parser->path, 0);
    if (!check_known_types(parser) || !resolve_all(parser))
        return NULL;
    for (unsigned i = 0; i < parser->drafts->len; i++)
        assemble(parser, parser->drafts->pdata[i]);
    index_types(parser);
    ConfSchema *schema = parser->schema;
    conf_schema_write(schema, &schema->text);
    uint8_t digest[32];
    conf_id_sha256(conf_buffer_slice(&schema->text), digest);
    conf_id_hex(digest, sizeof(digest), schema->hash);
    parser->schema = NULL;
    return schema;
}

static const ConfField *
find_own(const ConfTypeDraft *draft, ConfSlice name)
{
    for (unsigned i = 0; i < draft->fields->len; i++) {
        const ConfField *field = draft->fields->pdata[i];
        if (conf_slice_is(name, field->name))
            return field;
    }
    return NULL;
}

static bool
check_known_types(ConfSchemaParser *parser)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(known_types); i++) {
        ConfTypeDraft *draft = conf_schema_parser_find(parser, conf_slice_from_string(known_types[i].name));
        if (draft == NULL)
            return conf_schema_fail(parser, "type \"%s\" is missing", known_types[i].name);
        parser->file = draft->file;
        if (draft->info->id != known_types[i].id)
            return conf_schema_fail(parser, "the id of \"%s\" must be %d", known_types[i].name,
                                    known_types[i].id);
        for (unsigned f = 0; known_types[i].fields != NULL && known_types[i].fields[f] != NULL; f++) {
            if (find_own(draft, conf_slice_from_string(known_types[i].fields[f])) == NULL)
                return conf_schema_fail(parser, "type \"%s\" must have a field \"%s\"", known_types[i].name,
                                        known_types[i].fields[f]);
        }
        parser->file = "schema";
    }
    return true;
}

/* The type whose own field this is; NULL: it stands inside another field. */
static const ConfTypeDraft *
owner_of(const ConfSchemaParser *parser, const ConfField *field)
{
    for (unsigned i = 0; i < parser->drafts->len; i++) {
        const ConfTypeDraft *draft = parser->drafts->pdata[i];
        if (g_ptr_array_find(draft->fields, field, NULL))
            return draft;
    }
    return NULL;
}

static bool
resolve_all(ConfSchemaParser *parser)
{
    for (unsigned i = 0; i < parser->pending->len; i++) {
        ConfPendingField *pending = &g_array_index(parser->pending, ConfPendingField, i);
        parser->file = pending->file;
        g_string_assign(parser->path, pending->path);
        if (pending->field->kind == CONF_FIELD_REF && !resolve_references(parser, pending))
            return false;
        if (pending->field->computed && !resolve_computed(parser, owner_of(parser, pending->field), pending))
            return false;
        if (conf_json_member(pending->tree, "default") != NULL && !resolve_default(parser, pending))
            return false;
    }
    for (unsigned i = 0; i < parser->pending->len; i++) {
        const ConfPendingField *pending = &g_array_index(parser->pending, ConfPendingField, i);
        parser->file = pending->file;
        g_string_assign(parser->path, pending->path);
        if (pending->field->key != NULL && pending->field->key->fallback.data != NULL)
            return conf_schema_fail(parser, "key \"%s\" names the item: it cannot have a default",
                                    pending->field->key->name);
    }
    parser->file = "schema";
    g_string_truncate(parser->path, 0);
    return true;
}

static bool
resolve_references(ConfSchemaParser *parser, ConfPendingField *pending)
{
    const ConfJson *to = conf_json_member(pending->tree, "to");
    ConfTypeId *ids = conf_arena_alloc(parser->arena, (to->count + 1) * sizeof(ConfTypeId));
    unsigned count = 0;
    for (const ConfJson *name = to->first; name != NULL; name = name->next) {
        const ConfTypeDraft *draft = conf_schema_parser_find(parser, name->text);
        if (draft == NULL)
            return conf_schema_fail(parser, "\"%.*s\" in \"to\" is no type", (int)MIN(name->text.size, 64),
                                    name->text.data);
        ids[count++] = draft->info->id;
    }
    pending->field->to = ids;
    pending->field->to_count = count;
    return true;
}

static bool
resolve_default(ConfSchemaParser *parser, ConfPendingField *pending)
{
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    ConfValueContext context = {NULL, parser->trees, &error};
    ConfValuePath path = conf_value_path_root("");
    if (!conf_value_write(&context, pending->field, conf_json_member(pending->tree, "default"), &path,
                          &buffer))
        return conf_schema_fail(parser, "the default does not fit: %s", error.message);
    if (buffer.size == 0)
        return conf_schema_fail(parser, "the default must not be null");
    if (pending->field->names_type)
        return conf_schema_fail(parser, "a field with typeName cannot have a default");
    pending->field->fallback =
        (ConfSlice){conf_arena_copy(parser->arena, buffer.data, buffer.size), buffer.size};
    return true;
}

/* {"from":"applicationType","in":["genericServer",...]} */
static bool
resolve_computed(ConfSchemaParser *parser, const ConfTypeDraft *draft, ConfPendingField *pending)
{
    const ConfJson *computed = conf_json_member(pending->tree, "computed");
    const ConfJson *from = conf_json_member(computed, "from");
    const ConfJson *in = conf_json_member(computed, "in");
    const ConfField *source = NULL;
    if (from != NULL && from->kind == CONF_JSON_STRING)
        source = find_own(draft, from->text);
    if (source == NULL || source->kind != CONF_FIELD_ENUM || in == NULL || in->kind != CONF_JSON_ARRAY ||
        computed->count != 2)
        return conf_schema_fail(
            parser, "\"computed\" must be {\"from\",\"in\"}: an enum field of the type, and values of it");
    const char **values = conf_arena_alloc(parser->arena, (in->count + 1) * sizeof(char *));
    unsigned count = 0;
    for (const ConfJson *value = in->first; value != NULL; value = value->next) {
        unsigned i = 0;
        while (source->values[i] != NULL &&
               !(value->kind == CONF_JSON_STRING && conf_slice_is(value->text, source->values[i])))
            i++;
        if (source->values[i] == NULL)
            return conf_schema_fail(parser, "\"computed\": item %u of \"in\" is no value of %s", count,
                                    source->name);
        values[count++] = source->values[i];
    }
    pending->field->computed_from = source;
    pending->field->computed_values = values;
    return true;
}

static void
place_common(ConfField *to, const ConfField *field, unsigned index)
{
    *to = *field;
    to->name_size = (unsigned)strlen(field->name);
    to->common = true;
    to->index = index;
}

/* The fields of a type in canonical order: common ones, own ones, options, annex. */
static void
assemble(ConfSchemaParser *parser, ConfTypeDraft *draft)
{
    ConfTypeInfo *type = draft->info;
    unsigned count = G_N_ELEMENTS(common_fields) + draft->fields->len + (type->has_options ? 1 : 0) + 1;
    ConfField *fields = conf_arena_alloc(parser->arena, count * sizeof(ConfField));
    unsigned n = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(common_fields); i++, n++)
        place_common(&fields[n], &common_fields[i], n);
    g_assert(n == CONF_FIELD_AT_OWN);
    for (unsigned i = 0; i < draft->fields->len; i++, n++) {
        ConfField *field = draft->fields->pdata[i];
        field->index = n;
        fields[n] = *field;
    }
    if (type->has_options) {
        place_common(&fields[n], &options_field, n);
        n++;
    }
    place_common(&fields[n], &annex_field, n);
    /* Computed fields point at the field as it was read: at its copy from now on. */
    for (unsigned i = 0; i < count; i++) {
        if (fields[i].computed_from != NULL)
            fields[i].computed_from = &fields[fields[i].computed_from->index];
    }
    type->fields = fields;
    type->field_count = count;
    index_members(parser->arena, type);
}

static int
compare_members(const void *a, const void *b)
{
    const ConfMember *left = a, *right = b;
    if (left->name_size != right->name_size)
        return left->name_size < right->name_size ? -1 : 1;
    return memcmp(left->name, right->name, left->name_size);
}

static void
index_members(ConfArena *arena, ConfTypeInfo *type)
{
    struct ConfTypeIndex *index =
        conf_arena_alloc(arena, sizeof(*index) + type->field_count * sizeof(ConfMember));
    index->count = type->field_count;
    for (unsigned i = 0; i < type->field_count; i++) {
        ConfSlice name = conf_field_member_name(&type->fields[i]);
        index->members[i] = (ConfMember){name.data, (unsigned)name.size, &type->fields[i]};
    }
    qsort(index->members, index->count, sizeof(ConfMember), compare_members);
    type->index = index;
}

static int
compare_ids(const void *a, const void *b)
{
    return (*(const ConfTypeInfo *const *)a)->id - (*(const ConfTypeInfo *const *)b)->id;
}

static int
compare_type_names(const void *a, const void *b)
{
    const ConfTypeInfo *left = *(const ConfTypeInfo *const *)a, *right = *(const ConfTypeInfo *const *)b;
    if (left->name_size != right->name_size)
        return left->name_size < right->name_size ? -1 : 1;
    return memcmp(left->name, right->name, left->name_size);
}

static void
index_types(ConfSchemaParser *parser)
{
    ConfSchema *schema = parser->schema;
    unsigned count = parser->drafts->len;
    schema->type_count = count;
    schema->types = conf_arena_alloc(schema->arena, count * sizeof(ConfTypeInfo *));
    schema->by_name = conf_arena_alloc(schema->arena, count * sizeof(ConfTypeInfo *));
    for (unsigned i = 0; i < count; i++)
        schema->types[i] = schema->by_name[i] = ((ConfTypeDraft *)parser->drafts->pdata[i])->info;
    qsort(schema->types, count, sizeof(ConfTypeInfo *), compare_ids);
    qsort(schema->by_name, count, sizeof(ConfTypeInfo *), compare_type_names);
    schema->id_max = schema->types[count - 1]->id;
    schema->by_id = conf_arena_alloc(schema->arena, (schema->id_max + 1) * sizeof(ConfTypeInfo *));
    for (unsigned i = 0; i < count; i++) {
        ((ConfTypeInfo *)schema->types[i])->ordinal = i;
        schema->by_id[schema->types[i]->id] = schema->types[i];
    }
}
