/* schema-load.c - reads a schema from the files of folders, or from the text that a master gave its
 * replica. */
#include "model/schema-private.h"

#include <string.h>

#include "base/error.h"

/* A file as read; its text and tree live in the parser. */
typedef struct {
    const char *name; /* with its folder */
    const ConfJson *tree;
    bool is_site; /* of a further folder */
} SchemaFile;

enum { FILE_SIZE_MAX = 4 * 1024 * 1024, TEXT_SIZE_MAX = 64 * 1024 * 1024 };

static bool read_folders(ConfSchemaParser *parser, const char *folders, GArray *files);
static bool read_folder(ConfSchemaParser *parser, const char *folder, bool is_site, GArray *files);
static bool read_file(ConfSchemaParser *parser, const char *path, bool is_site, GArray *files);
static bool parse_files(ConfSchemaParser *parser, GArray *files);
static ConfSchema *parse_text(ConfSchemaParser *parser, ConfSlice text);

ConfSchema *
conf_schema_load(const char *folders, GError **error)
{
    ConfSchemaParser parser;
    conf_schema_parser_init(&parser, error);
    g_autoptr(GArray) files = g_array_new(FALSE, FALSE, sizeof(SchemaFile));
    ConfSchema *schema = NULL;
    if (read_folders(&parser, folders, files) && parse_files(&parser, files))
        schema = conf_schema_parser_finish(&parser);
    conf_schema_parser_clear(&parser);
    return schema;
}

ConfSchema *
conf_schema_parse(ConfSlice text, GError **error)
{
    ConfSchemaParser parser;
    conf_schema_parser_init(&parser, error);
    ConfSchema *schema = parse_text(&parser, text);
    conf_schema_parser_clear(&parser);
    return schema;
}

static bool
read_folders(ConfSchemaParser *parser, const char *folders, GArray *files)
{
    g_auto(GStrv) list = g_strsplit(folders, ":", -1);
    bool is_site = false;
    for (unsigned i = 0; list[i] != NULL; i++) {
        if (list[i][0] == '\0')
            continue;
        if (!read_folder(parser, list[i], is_site, files))
            return false;
        is_site = true;
    }
    return true;
}

static int
compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In the order of their names, so that every start reads the same schema. */
static bool
read_folder(ConfSchemaParser *parser, const char *folder, bool is_site, GArray *files)
{
    g_autoptr(GDir) directory = g_dir_open(folder, 0, NULL);
    if (directory == NULL) {
        g_set_error(parser->error, CONF_ERROR, CONF_ERROR_INVALID, "Folder %s of schema files cannot be read",
                    folder);
        return false;
    }
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *name;
    while ((name = g_dir_read_name(directory)) != NULL) {
        if (name[0] != '.' && g_str_has_suffix(name, ".json"))
            g_ptr_array_add(names, g_strdup(name));
    }
    g_ptr_array_sort(names, compare_strings);
    for (unsigned i = 0; i < names->len; i++) {
        g_autofree char *path = g_build_filename(folder, names->pdata[i], NULL);
        if (!read_file(parser, path, is_site, files))
            return false;
    }
    return true;
}

static bool
read_file(ConfSchemaParser *parser, const char *path, bool is_site, GArray *files)
{
    g_autofree char *content = NULL;
    gsize size = 0;
    g_autoptr(GError) error = NULL;
    if (!g_file_get_contents(path, &content, &size, &error)) {
        g_set_error(parser->error, CONF_ERROR, CONF_ERROR_INVALID, "%s", error->message);
        return false;
    }
    if (size > FILE_SIZE_MAX) {
        g_set_error(parser->error, CONF_ERROR, CONF_ERROR_INVALID, "%s: the file is larger than 4 MiB", path);
        return false;
    }
    SchemaFile file = {.is_site = is_site};
    file.name = conf_arena_copy(parser->trees, path, strlen(path) + 1);
    ConfSlice text = {conf_arena_copy(parser->trees, content, size), size};
    file.tree = conf_json_parse_file_text(parser->trees, text, file.name, parser->error);
    if (file.tree == NULL)
        return false;
    g_array_append_val(files, file);
    return true;
}

static bool
parse_file(ConfSchemaParser *parser, const SchemaFile *file, bool extensions)
{
    parser->file = file->name;
    g_string_truncate(parser->path, 0);
    if (file->tree->kind != CONF_JSON_OBJECT)
        return conf_schema_fail(parser, "a schema file holds one object");
    bool is_extension = conf_json_member(file->tree, "extend") != NULL;
    if (is_extension != extensions)
        return true;
    if (is_extension)
        return conf_schema_parse_extension(parser, file->tree);
    if (!conf_schema_parse_type(parser, file->tree, false))
        return false;
    const ConfTypeDraft *draft = parser->drafts->pdata[parser->drafts->len - 1];
    if (file->is_site != (draft->info->id >= CONF_SCHEMA_SITE_ID))
        return conf_schema_fail(parser,
                                file->is_site ? "types that a site adds have ids from %d on"
                                              : "ids from %d on are for sites",
                                CONF_SCHEMA_SITE_ID);
    return true;
}

/* Types first, then what extends them: the names of files do not matter. */
static bool
parse_files(ConfSchemaParser *parser, GArray *files)
{
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < files->len; i++) {
            if (!parse_file(parser, &g_array_index(files, SchemaFile, i), pass == 1))
                return false;
        }
    }
    return true;
}

static ConfSchema *
parse_text(ConfSchemaParser *parser, ConfSlice text)
{
    parser->file = "schema";
    if (text.size > TEXT_SIZE_MAX) {
        conf_schema_fail(parser, "the text is longer than 64 MiB");
        return NULL;
    }
    ConfJson *tree = conf_json_parse_file_text(parser->trees, text, parser->file, parser->error);
    if (tree == NULL)
        return NULL;
    const ConfJson *types = conf_json_member(tree, "types");
    if (types == NULL || types->kind != CONF_JSON_ARRAY) {
        conf_schema_fail(parser, "\"types\" must be an array");
        return NULL;
    }
    size_t mark = conf_schema_push(parser, "types");
    unsigned i = 0;
    for (const ConfJson *type = types->first; type != NULL; type = type->next, i++) {
        size_t inner = conf_schema_push_index(parser, i);
        if (type->kind != CONF_JSON_OBJECT) {
            conf_schema_fail(parser, "a type is an object");
            return NULL;
        }
        if (!conf_schema_parse_type(parser, type, true))
            return NULL;
        conf_schema_pop(parser, inner);
    }
    conf_schema_pop(parser, mark);
    return conf_schema_parser_finish(parser);
}
