/* schema-parse.c - reads types and extensions of types, from files or from the text that replicas are
 * given. */
#include "model/schema-private.h"

#include <string.h>

#include "base/error.h"

static const char *plural_of(ConfSchemaParser *parser, const char *title);
static bool parse_head(ConfSchemaParser *parser, const ConfJson *tree, ConfTypeInfo *info, bool is_text);
static bool parse_unique(ConfSchemaParser *parser, const ConfJson *unique, ConfTypeInfo *info);
static bool parse_fields(ConfSchemaParser *parser, const ConfJson *fields, ConfTypeDraft *draft, bool is_text,
                         bool is_extension);
static bool check_members(ConfSchemaParser *parser, const ConfJson *tree, const char *const *known);
static bool check_new_name(ConfSchemaParser *parser, const ConfTypeDraft *draft, const ConfField *field);
static const char *parse_word(ConfSchemaParser *parser, const ConfJson *tree, const char *member);

static void
free_draft(void *data)
{
    ConfTypeDraft *draft = data;
    g_ptr_array_unref(draft->fields);
    g_free(draft);
}

static void
clear_pending(void *data)
{
    g_free(((ConfPendingField *)data)->path);
}

void
conf_schema_parser_init(ConfSchemaParser *parser, GError **error)
{
    memset(parser, 0, sizeof(*parser));
    parser->schema = g_new0(ConfSchema, 1);
    parser->schema->arena = conf_arena_new();
    parser->schema->patterns = g_ptr_array_new_with_free_func((GDestroyNotify)g_regex_unref);
    parser->arena = parser->schema->arena;
    parser->trees = conf_arena_new();
    parser->drafts = g_ptr_array_new_with_free_func(free_draft);
    parser->pending = g_array_new(FALSE, FALSE, sizeof(ConfPendingField));
    g_array_set_clear_func(parser->pending, clear_pending);
    parser->path = g_string_new(NULL);
    parser->error = error;
}

void
conf_schema_parser_clear(ConfSchemaParser *parser)
{
    conf_schema_free(parser->schema);
    conf_arena_free(parser->trees);
    g_ptr_array_unref(parser->drafts);
    g_array_unref(parser->pending);
    g_string_free(parser->path, TRUE);
}

bool
conf_schema_fail(ConfSchemaParser *parser, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(parser->error, CONF_ERROR, CONF_ERROR_INVALID, "%s: %s%s%s", parser->file, parser->path->str,
                parser->path->len > 0 ? ": " : "", message);
    return false;
}

size_t
conf_schema_push(ConfSchemaParser *parser, const char *step)
{
    size_t mark = parser->path->len;
    g_string_append_printf(parser->path, "/%s", step);
    return mark;
}

size_t
conf_schema_push_index(ConfSchemaParser *parser, unsigned index)
{
    size_t mark = parser->path->len;
    g_string_append_printf(parser->path, "/%u", index);
    return mark;
}

void
conf_schema_pop(ConfSchemaParser *parser, size_t mark)
{
    g_string_truncate(parser->path, mark);
}

ConfTypeDraft *
conf_schema_parser_find(ConfSchemaParser *parser, ConfSlice name)
{
    for (unsigned i = 0; i < parser->drafts->len; i++) {
        ConfTypeDraft *draft = parser->drafts->pdata[i];
        if (conf_slice_is(name, draft->info->name))
            return draft;
    }
    return NULL;
}

bool
conf_schema_parse_type(ConfSchemaParser *parser, const ConfJson *tree, bool is_text)
{
    static const char *const known[] = {"type", "id", "title", "plural", "unique", "options", "fields", NULL};
    if (!check_members(parser, tree, known))
        return false;
    if (parser->drafts->len == CONF_SCHEMA_TYPES_MAX)
        return conf_schema_fail(parser, "there are more than %d types", CONF_SCHEMA_TYPES_MAX);
    ConfTypeDraft *draft = g_new0(ConfTypeDraft, 1);
    draft->info = CONF_ARENA_NEW(parser->arena, ConfTypeInfo);
    draft->fields = g_ptr_array_new();
    draft->file = parser->file;
    if (!parse_head(parser, tree, draft->info, is_text) ||
        !parse_fields(parser, conf_json_member(tree, "fields"), draft, is_text, false)) {
        free_draft(draft);
        return false;
    }
    g_ptr_array_add(parser->drafts, draft);
    return true;
}

bool
conf_schema_parse_extension(ConfSchemaParser *parser, const ConfJson *tree)
{
    static const char *const known[] = {"extend", "fields", NULL};
    if (!check_members(parser, tree, known))
        return false;
    const ConfJson *name = conf_json_member(tree, "extend");
    ConfTypeDraft *draft =
        name->kind == CONF_JSON_STRING ? conf_schema_parser_find(parser, name->text) : NULL;
    if (draft == NULL)
        return conf_schema_fail(parser, "\"extend\" must be the name of a type");
    return parse_fields(parser, conf_json_member(tree, "fields"), draft, false, true);
}

static bool
parse_head(ConfSchemaParser *parser, const ConfJson *tree, ConfTypeInfo *info, bool is_text)
{
    info->name = parse_word(parser, tree, "type");
    if (info->name == NULL)
        return false;
    info->name_size = (unsigned)strlen(info->name);
    bool is_name = g_ascii_islower(info->name[0]) && info->name_size <= 64;
    for (unsigned i = 0; i < info->name_size; i++)
        is_name = is_name && g_ascii_isalnum(info->name[i]);
    if (!is_name)
        return conf_schema_fail(parser,
                                "\"type\" must be a lower-case letter, then letters and digits, at most 64");
    const ConfJson *id = conf_json_member(tree, "id");
    if (id == NULL || !id->is_integer || id->integer < 1 || id->integer > CONF_SCHEMA_ID_MAX)
        return conf_schema_fail(parser, "\"id\" must be an integer of 1 to %d", CONF_SCHEMA_ID_MAX);
    info->id = (ConfTypeId)id->integer;
    info->title = parse_word(parser, tree, "title");
    info->plural = info->title == NULL                        ? NULL
                   : conf_json_member(tree, "plural") != NULL ? parse_word(parser, tree, "plural")
                                                              : plural_of(parser, info->title);
    if (info->plural == NULL)
        return false;
    if (g_utf8_strlen(info->plural, -1) > 255)
        return conf_schema_fail(parser, "\"plural\" names folders: it can have 255 characters");
    for (unsigned i = 0; i < parser->drafts->len; i++) {
        const ConfTypeDraft *other = parser->drafts->pdata[i];
        if (strcmp(other->info->name, info->name) == 0)
            return conf_schema_fail(parser, "type \"%s\" stands in %s already", info->name, other->file);
        if (other->info->id == info->id)
            return conf_schema_fail(parser, "id %d is that of type \"%s\" in %s", info->id, other->info->name,
                                    other->file);
        if (strcmp(other->info->plural, info->plural) == 0)
            return conf_schema_fail(parser, "plural \"%s\" is that of type \"%s\" in %s", info->plural,
                                    other->info->name, other->file);
    }
    const ConfJson *options = conf_json_member(tree, "options");
    if (options != NULL && options->kind != CONF_JSON_BOOLEAN)
        return conf_schema_fail(parser, "\"options\" must be true or false");
    info->has_options = options != NULL && options->boolean;
    info->foldered = info->id != CONF_TYPE_FOLDER;
    return parse_unique(parser, conf_json_member(tree, "unique"), info);
}

/* [["tenant","name"]], [["name"]]; of folders, and of them alone, [["folder","name"]]. */
static bool
parse_unique(ConfSchemaParser *parser, const ConfJson *unique, ConfTypeInfo *info)
{
    bool is_folder = info->id == CONF_TYPE_FOLDER;
    const ConfJson *names =
        unique != NULL && unique->kind == CONF_JSON_ARRAY && unique->count == 1 ? unique->first : NULL;
    if (names != NULL && names->kind == CONF_JSON_ARRAY && names->count > 0 && names->count <= 2 &&
        names->last->kind == CONF_JSON_STRING && conf_slice_is(names->last->text, "name")) {
        info->unique_in_environment = names->count == 1;
        if (names->count == 1 && !is_folder)
            return true;
        if (names->count == 2 && names->first->kind == CONF_JSON_STRING &&
            conf_slice_is(names->first->text, is_folder ? "folder" : "tenant"))
            return true;
    }
    if (is_folder)
        return conf_schema_fail(parser, "\"unique\" of folders must be [[\"folder\",\"name\"]]");
    return conf_schema_fail(parser, "\"unique\" must be [[\"tenant\",\"name\"]] or [[\"name\"]]");
}

static bool
parse_fields(ConfSchemaParser *parser, const ConfJson *fields, ConfTypeDraft *draft, bool is_text,
             bool is_extension)
{
    if (fields == NULL || fields->kind != CONF_JSON_ARRAY)
        return conf_schema_fail(parser, "\"fields\" must be an array");
    size_t mark = conf_schema_push(parser, "fields");
    unsigned i = 0;
    for (const ConfJson *item = fields->first; item != NULL; item = item->next, i++) {
        const ConfJson *common = is_text ? conf_json_member(item, "common") : NULL;
        if (common != NULL && common->kind == CONF_JSON_BOOLEAN && common->boolean)
            continue;
        size_t inner = conf_schema_push_index(parser, i);
        ConfField *field = CONF_ARENA_NEW(parser->arena, ConfField);
        if (!conf_schema_parse_field(parser, item, field, 0) || !check_new_name(parser, draft, field))
            return false;
        if (draft->fields->len == CONF_SCHEMA_FIELDS_MAX)
            return conf_schema_fail(parser, "the type has more than %d fields", CONF_SCHEMA_FIELDS_MAX);
        if (is_extension && field->required && conf_json_member(item, "default") == NULL)
            return conf_schema_fail(parser,
                                    "field \"%s\" is added to objects that lack it: required needs a default",
                                    field->name);
        g_ptr_array_add(draft->fields, field);
        conf_schema_pop(parser, inner);
    }
    conf_schema_pop(parser, mark);
    return true;
}

/* A field, and the member that tells a secret, must have names of their own. */
static bool
check_new_name(ConfSchemaParser *parser, const ConfTypeDraft *draft, const ConfField *field)
{
    static const char *const taken[] = {"type",     "dbid",  "revision", "name",  "tenant",
                                        "folder",   "state", "options",  "annex", "recursive",
                                        "refersTo", "path",  NULL};
    const char *const names[] = {field->name, field->shown_as};
    for (unsigned n = 0; n < 2 && names[n] != NULL; n++) {
        if (g_strv_contains(taken, names[n]))
            return conf_schema_fail(parser, "\"%s\" has a meaning of its own in every type", names[n]);
        for (unsigned i = 0; i < draft->fields->len; i++) {
            const ConfField *other = draft->fields->pdata[i];
            if (strcmp(other->name, names[n]) == 0 || g_strcmp0(other->shown_as, names[n]) == 0)
                return conf_schema_fail(parser, "type \"%s\" has a field \"%s\" already", draft->info->name,
                                        names[n]);
        }
    }
    if (field->shown_as != NULL && strcmp(field->name, field->shown_as) == 0)
        return conf_schema_fail(parser, "\"%s\" cannot be shown under its own name", field->name);
    return true;
}

static bool
check_members(ConfSchemaParser *parser, const ConfJson *tree, const char *const *known)
{
    for (const ConfJson *member = tree->first; member != NULL; member = member->next) {
        unsigned i = 0;
        while (known[i] != NULL && !conf_slice_is(member->key, known[i]))
            i++;
        if (known[i] == NULL)
            return conf_schema_fail(parser, "\"%.*s\" is not known", (int)MIN(member->key.size, 64),
                                    member->key.data);
    }
    return true;
}

static const char *
parse_word(ConfSchemaParser *parser, const ConfJson *tree, const char *member)
{
    const ConfJson *word = conf_json_member(tree, member);
    if (word == NULL || word->kind != CONF_JSON_STRING || word->text.size == 0 ||
        memchr(word->text.data, '\0', word->text.size) != NULL) {
        conf_schema_fail(parser, "\"%s\" must be a string", member);
        return NULL;
    }
    char *copy = conf_arena_alloc(parser->arena, word->text.size + 1);
    memcpy(copy, word->text.data, word->text.size);
    return copy;
}

/* "Printer" → "Printers", "Box" → "Boxes", "Category" → "Categories": what is otherwise, a file says
 * itself. */
static const char *
plural_of(ConfSchemaParser *parser, const char *title)
{
    g_autofree char *last = g_utf8_strdown(title, -1);
    bool consonant_y =
        g_str_has_suffix(last, "y") && strlen(last) > 1 && strchr("aeiou", last[strlen(last) - 2]) == NULL;
    bool hissing = g_str_has_suffix(last, "s") || g_str_has_suffix(last, "x") ||
                   g_str_has_suffix(last, "ch") || g_str_has_suffix(last, "sh");
    size_t stem = strlen(title) - (consonant_y ? 1 : 0);
    g_autofree char *plural = g_strdup_printf("%.*s%s", (int)stem, title,
                                              consonant_y ? "ies"
                                              : hissing   ? "es"
                                                          : "s");
    return conf_arena_copy(parser->arena, plural, strlen(plural) + 1);
}
