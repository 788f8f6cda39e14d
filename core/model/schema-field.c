/* schema-field.c - reads one field of a schema file: its kind, what the kind allows, what is inside.
 *
 * What can only be known when all types are read (references, defaults) is left to schema-finish.c. */
#include "model/schema-private.h"

#include <string.h>

#include "base/error.h"

enum {
    ON_STRING = 1 << CONF_FIELD_STRING,
    ON_INTEGER = 1 << CONF_FIELD_INTEGER,
    ON_BOOLEAN = 1 << CONF_FIELD_BOOLEAN,
    ON_ENUM = 1 << CONF_FIELD_ENUM,
    ON_TIME = 1 << CONF_FIELD_TIME,
    ON_REF = 1 << CONF_FIELD_REF,
    ON_SECRET = 1 << CONF_FIELD_SECRET,
    ON_LIST = 1 << CONF_FIELD_LIST,
    ON_STRUCT = 1 << CONF_FIELD_STRUCT,
    ON_SECTIONS = 1 << CONF_FIELD_SECTIONS,
    ON_SCALAR = ON_STRING | ON_INTEGER | ON_BOOLEAN | ON_ENUM | ON_TIME,
    ON_ALL = 0x3ff,
    NOT_IN_ITEM = 1 << 10, /* the item of a list has no name, so these say nothing of it */
    TOP_ONLY = 1 << 11,
};

typedef struct {
    const char *name;
    ConfJsonKind kind;
    unsigned where;
} Attribute;

static const Attribute attributes[] = {
    {"name", CONF_JSON_STRING, ON_ALL | NOT_IN_ITEM},
    {"kind", CONF_JSON_STRING, ON_ALL},
    {"help", CONF_JSON_STRING, ON_ALL | NOT_IN_ITEM},
    {"since", CONF_JSON_STRING, ON_ALL | NOT_IN_ITEM},
    {"required", CONF_JSON_BOOLEAN, (ON_ALL & ~ON_SECRET) | NOT_IN_ITEM},
    {"default", CONF_JSON_NULL /* any: schema-finish.c */, ON_SCALAR | NOT_IN_ITEM},
    {"immutable", CONF_JSON_BOOLEAN, (ON_ALL & ~ON_SECRET) | NOT_IN_ITEM | TOP_ONLY},
    {"computed", CONF_JSON_OBJECT, ON_BOOLEAN | NOT_IN_ITEM | TOP_ONLY},
    {"shownAs", CONF_JSON_STRING, ON_SECRET},
    {"minLength", CONF_JSON_NUMBER, ON_STRING},
    {"maxLength", CONF_JSON_NUMBER, ON_STRING},
    {"pattern", CONF_JSON_STRING, ON_STRING},
    {"typeName", CONF_JSON_BOOLEAN, ON_STRING},
    {"minimum", CONF_JSON_NUMBER, ON_INTEGER},
    {"maximum", CONF_JSON_NUMBER, ON_INTEGER},
    {"values", CONF_JSON_ARRAY, ON_ENUM},
    {"to", CONF_JSON_ARRAY, ON_REF},
    {"onDelete", CONF_JSON_STRING, ON_REF},
    {"of", CONF_JSON_OBJECT, ON_LIST},
    {"key", CONF_JSON_STRING, ON_LIST},
    {"fields", CONF_JSON_ARRAY, ON_STRUCT},
};

static bool parse_kind(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field, unsigned depth,
                       bool is_item);
static bool check_attributes(ConfSchemaParser *parser, const ConfJson *tree, const ConfField *field,
                             unsigned depth, bool is_item);
static bool parse_named(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field);
static bool parse_details(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field, unsigned depth);
static bool parse_string(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field);
static bool parse_integer(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field);
static bool parse_enum(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field);
static bool parse_reference(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field);
static bool parse_secret(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field);
static bool parse_list(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field, unsigned depth);
static bool parse_struct(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field, unsigned depth);
static bool parse_bound(ConfSchemaParser *parser, const ConfJson *tree, const char *name, int64_t lowest,
                        int64_t highest, int64_t *value);
static bool remember(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field);
static bool is_identifier(ConfSlice text);

static bool
parse_any(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field, unsigned depth, bool is_item)
{
    if (tree->kind != CONF_JSON_OBJECT)
        return conf_schema_fail(parser, "a field is an object");
    if (depth > CONF_SCHEMA_DEPTH_MAX)
        return conf_schema_fail(parser, "fields are nested deeper than %d levels", CONF_SCHEMA_DEPTH_MAX);
    return parse_kind(parser, tree, field, depth, is_item) &&
           check_attributes(parser, tree, field, depth, is_item) &&
           (is_item || parse_named(parser, tree, field)) && parse_details(parser, tree, field, depth) &&
           remember(parser, tree, field);
}

bool
conf_schema_parse_field(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field, unsigned depth)
{
    return parse_any(parser, tree, field, depth, false);
}

static bool
parse_kind(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field, unsigned depth, bool is_item)
{
    const ConfJson *kind = conf_json_member(tree, "kind");
    if (kind == NULL || kind->kind != CONF_JSON_STRING)
        return conf_schema_fail(parser, "a field needs \"kind\", a string");
    unsigned k = CONF_FIELD_STRING;
    while (k <= CONF_FIELD_SECTIONS && !conf_slice_is(kind->text, conf_field_kind_name((ConfFieldKind)k)))
        k++;
    if (k > CONF_FIELD_SECTIONS)
        return conf_schema_fail(parser, "\"%.*s\" is no kind of field", (int)MIN(kind->text.size, 64),
                                kind->text.data);
    field->kind = (ConfFieldKind)k;
    bool is_top = depth == 0;
    if (!is_top && (k == CONF_FIELD_SECRET || k == CONF_FIELD_SECTIONS))
        return conf_schema_fail(parser, "%s cannot stand inside another field",
                                conf_field_kind_name(field->kind));
    if (is_item && k == CONF_FIELD_LIST)
        return conf_schema_fail(parser, "the items of a list cannot be lists");
    return true;
}

static bool
check_attributes(ConfSchemaParser *parser, const ConfJson *tree, const ConfField *field, unsigned depth,
                 bool is_item)
{
    for (const ConfJson *member = tree->first; member != NULL; member = member->next) {
        unsigned i = 0;
        while (i < G_N_ELEMENTS(attributes) && !conf_slice_is(member->key, attributes[i].name))
            i++;
        int size = (int)MIN(member->key.size, 64);
        if (i == G_N_ELEMENTS(attributes))
            return conf_schema_fail(parser, "\"%.*s\" is not known", size, member->key.data);
        unsigned where = attributes[i].where;
        if ((where & (1u << field->kind)) == 0 || (is_item && (where & NOT_IN_ITEM) != 0) ||
            (depth > 0 && (where & TOP_ONLY) != 0))
            return conf_schema_fail(parser, "\"%s\" says nothing of a %s here", attributes[i].name,
                                    conf_field_kind_name(field->kind));
        if (attributes[i].kind != CONF_JSON_NULL && attributes[i].kind != member->kind)
            return conf_schema_fail(parser, "\"%s\" is of the wrong kind", attributes[i].name);
    }
    return true;
}

static bool
get_flag(const ConfJson *tree, const char *name)
{
    const ConfJson *member = conf_json_member(tree, name);
    return member != NULL && member->boolean;
}

static char *
copy_text(ConfSchemaParser *parser, const ConfJson *string)
{
    char *copy = conf_arena_alloc(parser->arena, string->text.size + 1);
    memcpy(copy, string->text.data, string->text.size);
    return copy;
}

static bool
parse_named(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field)
{
    const ConfJson *name = conf_json_member(tree, "name");
    if (name == NULL || !is_identifier(name->text))
        return conf_schema_fail(
            parser, "a field needs \"name\": a lower-case letter, then letters and digits, at most 64");
    field->name = copy_text(parser, name);
    field->name_size = (unsigned)name->text.size;
    const ConfJson *help = conf_json_member(tree, "help");
    if (help == NULL || help->text.size == 0)
        return conf_schema_fail(parser, "field \"%s\" needs \"help\"", field->name);
    field->help = copy_text(parser, help);
    const ConfJson *since = conf_json_member(tree, "since");
    if (since != NULL)
        field->since = copy_text(parser, since);

    field->required = get_flag(tree, "required");
    field->immutable = get_flag(tree, "immutable");
    field->computed = conf_json_member(tree, "computed") != NULL;
    bool has_default = conf_json_member(tree, "default") != NULL;
    if (field->computed && (field->required || field->immutable || has_default))
        return conf_schema_fail(
            parser, "field \"%s\" is computed: it cannot be required, immutable or have a default",
            field->name);
    if (field->required && since != NULL && !has_default)
        return conf_schema_fail(parser, "field \"%s\" is required since a later release: it needs a default",
                                field->name);
    return true;
}

static bool
parse_details(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field, unsigned depth)
{
    switch (field->kind) {
    case CONF_FIELD_STRING:
        return parse_string(parser, tree, field);
    case CONF_FIELD_INTEGER:
        return parse_integer(parser, tree, field);
    case CONF_FIELD_ENUM:
        return parse_enum(parser, tree, field);
    case CONF_FIELD_REF:
        return parse_reference(parser, tree, field);
    case CONF_FIELD_SECRET:
        return parse_secret(parser, tree, field);
    case CONF_FIELD_LIST:
        return parse_list(parser, tree, field, depth);
    case CONF_FIELD_STRUCT:
        return parse_struct(parser, tree, field, depth);
    case CONF_FIELD_BOOLEAN:
    case CONF_FIELD_TIME:
    case CONF_FIELD_SECTIONS:
        break;
    }
    return true;
}

static bool
parse_string(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field)
{
    if (!parse_bound(parser, tree, "minLength", 0, CONF_STRING_SIZE_MAX, &field->minimum) ||
        !parse_bound(parser, tree, "maxLength", 1, CONF_STRING_SIZE_MAX, &field->maximum))
        return false;
    if (field->maximum > 0 && field->minimum > field->maximum)
        return conf_schema_fail(parser, "minLength is above maxLength");
    field->names_type = get_flag(tree, "typeName");
    const ConfJson *pattern = conf_json_member(tree, "pattern");
    if (pattern == NULL)
        return true;
    /* A pattern may take long on long texts, and it is tried on the main loop. */
    if (field->maximum == 0 || field->maximum > CONF_SCHEMA_PATTERN_LENGTH)
        return conf_schema_fail(parser, "a pattern needs a maxLength of at most %d",
                                CONF_SCHEMA_PATTERN_LENGTH);
    g_autofree char *inner = conf_slice_dup(pattern->text);
    g_autofree char *whole = g_strdup_printf("(*LIMIT_MATCH=100000)\\A(?:%s)\\z", inner);
    g_autoptr(GError) error = NULL;
    GRegex *regex = g_regex_new(inner, 0, 0, &error);
    if (regex != NULL) {
        g_regex_unref(regex);
        regex = g_regex_new(whole, G_REGEX_OPTIMIZE, 0, &error);
    }
    if (regex == NULL)
        return conf_schema_fail(parser, "the pattern is no regular expression: %s", error->message);
    g_ptr_array_add(parser->schema->patterns, regex);
    field->pattern = regex;
    field->pattern_text = copy_text(parser, pattern);
    return true;
}

static bool
parse_integer(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field)
{
    field->minimum = -CONF_INTEGER_MAX;
    field->maximum = CONF_INTEGER_MAX;
    if (!parse_bound(parser, tree, "minimum", -CONF_INTEGER_MAX, CONF_INTEGER_MAX, &field->minimum) ||
        !parse_bound(parser, tree, "maximum", -CONF_INTEGER_MAX, CONF_INTEGER_MAX, &field->maximum))
        return false;
    if (field->minimum > field->maximum)
        return conf_schema_fail(parser, "minimum is above maximum");
    return true;
}

/* A list of different, not empty strings; NULL: told. */
static const char *const *
parse_strings(ConfSchemaParser *parser, const ConfJson *array, const char *what)
{
    if (array == NULL || array->kind != CONF_JSON_ARRAY || array->count == 0) {
        conf_schema_fail(parser, "\"%s\" must be an array of at least one string", what);
        return NULL;
    }
    const char **strings = conf_arena_alloc(parser->arena, (array->count + 1) * sizeof(char *));
    unsigned count = 0;
    for (const ConfJson *item = array->first; item != NULL; item = item->next) {
        if (item->kind != CONF_JSON_STRING || item->text.size == 0 ||
            memchr(item->text.data, '\0', item->text.size)) {
            conf_schema_fail(parser, "\"%s\" must hold strings", what);
            return NULL;
        }
        strings[count] = copy_text(parser, item);
        for (unsigned i = 0; i < count; i++) {
            if (strcmp(strings[i], strings[count]) == 0) {
                conf_schema_fail(parser, "\"%s\" stands twice in \"%s\"", strings[i], what);
                return NULL;
            }
        }
        count++;
    }
    return strings;
}

static bool
parse_enum(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field)
{
    field->values = parse_strings(parser, conf_json_member(tree, "values"), "values");
    for (unsigned i = 0; field->values != NULL && field->values[i] != NULL; i++) {
        for (const char *c = field->values[i]; *c != '\0'; c++) {
            if ((unsigned char)*c < 0x20 || *c == '"' || *c == '\\')
                return conf_schema_fail(
                    parser, "a value of an enum has no quotes, backslashes and control characters");
        }
    }
    return field->values != NULL;
}

static bool
parse_reference(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field)
{
    const ConfJson *to = conf_json_member(tree, "to");
    if (parse_strings(parser, to, "to") == NULL)
        return false;
    field->holds_references = true;
    const ConfJson *on_delete = conf_json_member(tree, "onDelete");
    if (on_delete == NULL || conf_slice_is(on_delete->text, "restrict"))
        field->on_delete = CONF_ON_DELETE_RESTRICT;
    else if (conf_slice_is(on_delete->text, "clear"))
        field->on_delete = CONF_ON_DELETE_CLEAR;
    else if (conf_slice_is(on_delete->text, "cascade"))
        field->on_delete = CONF_ON_DELETE_CASCADE;
    else
        return conf_schema_fail(parser, "onDelete is restrict, clear or cascade");
    if (field->required && field->on_delete == CONF_ON_DELETE_CLEAR)
        return conf_schema_fail(parser, "field \"%s\" is required: onDelete cannot be clear", field->name);
    return true;
}

static bool
parse_secret(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field)
{
    const ConfJson *shown_as = conf_json_member(tree, "shownAs");
    if (shown_as == NULL || !is_identifier(shown_as->text))
        return conf_schema_fail(
            parser, "secret \"%s\" needs \"shownAs\", the name of the member that tells its presence",
            field->name);
    field->shown_as = copy_text(parser, shown_as);
    return true;
}

static bool
parse_list(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field, unsigned depth)
{
    const ConfJson *of = conf_json_member(tree, "of");
    if (of == NULL)
        return conf_schema_fail(parser, "list \"%s\" needs \"of\"", field->name);
    ConfField *item = CONF_ARENA_NEW(parser->arena, ConfField);
    item->name = field->name;
    item->name_size = field->name_size;
    size_t mark = conf_schema_push(parser, "of");
    bool parsed = parse_any(parser, of, item, depth + 1, true);
    conf_schema_pop(parser, mark);
    if (!parsed)
        return false;
    field->of = item;
    field->holds_references = item->holds_references;

    const ConfJson *key = conf_json_member(tree, "key");
    if ((key != NULL) != (item->kind == CONF_FIELD_STRUCT))
        return conf_schema_fail(parser, key != NULL ? "only a list of structs has a key"
                                                    : "a list of structs needs a key");
    if (key == NULL)
        return true;
    ConfField *found = (ConfField *)conf_struct_member(item, key->text);
    if (found == NULL)
        return conf_schema_fail(parser, "key \"%.*s\" is no member of the struct",
                                (int)MIN(key->text.size, 64), key->text.data);
    bool is_usable = found->kind == CONF_FIELD_STRING || found->kind == CONF_FIELD_INTEGER ||
                     found->kind == CONF_FIELD_ENUM || found->kind == CONF_FIELD_REF;
    if (!is_usable)
        return conf_schema_fail(parser, "key \"%s\" must be a string, integer, enum or ref", found->name);
    if (found->on_delete == CONF_ON_DELETE_CLEAR)
        return conf_schema_fail(parser, "key \"%s\" names the item: onDelete cannot be clear", found->name);
    found->required = true;
    field->key = found;
    return true;
}

static bool
parse_struct(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field, unsigned depth)
{
    const ConfJson *fields = conf_json_member(tree, "fields");
    if (fields == NULL || fields->count == 0 || fields->count > CONF_SCHEMA_MEMBERS_MAX)
        return conf_schema_fail(parser, "a struct needs \"fields\", 1 to %d", CONF_SCHEMA_MEMBERS_MAX);
    ConfField *members = conf_arena_alloc(parser->arena, fields->count * sizeof(ConfField));
    field->fields = members;
    size_t mark = conf_schema_push(parser, "fields");
    for (const ConfJson *item = fields->first; item != NULL; item = item->next) {
        unsigned i = field->field_count;
        size_t inner = conf_schema_push_index(parser, i);
        if (!parse_any(parser, item, &members[i], depth + 1, false))
            return false;
        if (conf_struct_member(field, (ConfSlice){members[i].name, members[i].name_size}) != NULL)
            return conf_schema_fail(parser, "\"%s\" stands there twice", members[i].name);
        conf_schema_pop(parser, inner);
        members[i].index = i;
        field->holds_references |= members[i].holds_references;
        field->field_count++;
    }
    conf_schema_pop(parser, mark);
    return true;
}

static bool
parse_bound(ConfSchemaParser *parser, const ConfJson *tree, const char *name, int64_t lowest, int64_t highest,
            int64_t *value)
{
    const ConfJson *member = conf_json_member(tree, name);
    if (member == NULL)
        return true;
    if (!member->is_integer || member->integer < lowest || member->integer > highest)
        return conf_schema_fail(parser,
                                "\"%s\" must be an integer of %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                                name, lowest, highest);
    *value = member->integer;
    return true;
}

/* What needs all types to be judged. */
static bool
remember(ConfSchemaParser *parser, const ConfJson *tree, ConfField *field)
{
    if (field->kind == CONF_FIELD_REF || field->computed || field->key != NULL ||
        conf_json_member(tree, "default") != NULL) {
        ConfPendingField pending = {field, tree, parser->file, g_strdup(parser->path->str)};
        g_array_append_val(parser->pending, pending);
    }
    return true;
}

static bool
is_identifier(ConfSlice text)
{
    if (text.size == 0 || text.size > 64 || !g_ascii_islower(text.data[0]))
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (!g_ascii_isalnum(text.data[i]))
            return false;
    }
    return true;
}
