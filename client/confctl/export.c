/* export.c - the command export: objects as lines that apply and import take, tenants and folders first. */
#include "plan.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    Ctl *ctl;
    gint64 revision; /* at the first page */
    gint64 done;
    CtlProgress progress;
    GPtrArray *lines; /* PathLine, while tenants or folders are gathered; NULL: written at once */
} Export;

/* Containers are sorted by depth, so that each comes after what it lies in. */
typedef struct {
    unsigned steps;
    char *path;
    char *text;
} PathLine;

static bool find_scope(Ctl *ctl, const char *what, JsonObject **scope, JsonObject **root, GError **error);
static bool add_tenants_below(Ctl *ctl, JsonArray *tenants, GError **error);
static bool export_type(Export *export, const char *type, JsonObject *filter, GError **error);
static bool export_containers(Export *export, const char *type, JsonObject *filter, GError **error);
static bool export_page(JsonArray *objects, void *data, GError **error);
static bool is_readable(JsonObject *field, JsonNode *value);
static JsonNode *note_unreadable(JsonObject *field, const char *text, void *data, GError **error);
static bool is_left_out(const char *type, const char *name, JsonObject *field);
static bool add_permissions(Ctl *ctl, GPtrArray *lines, JsonArray *objects, GError **error);
static bool take_list(unsigned index, JsonObject *result, const GError *failure, void *data, GError **error);
static void write_line(Export *export, JsonObject *line);
static int compare_lines(const void *a, const void *b);
static void line_free(void *data);

static gboolean with_permissions;
const GOptionEntry ctl_export_options[] = {
    {"permissions", 0, 0, G_OPTION_ARG_NONE, &with_permissions,
     "Own lists of rights too, where they may be read", NULL},
    {NULL},
};

bool
ctl_run_export(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    Export export = {.ctl = ctl};
    g_autoptr(JsonObject) scope = json_object_new(), root = NULL;
    const char *what = count > 0 ? arguments[0] : "";
    const char *only = count > 0 && strchr(what, '/') == NULL ? what : NULL;
    if (!ctl_schema_load(ctl, error) || (only != NULL && ctl_type(ctl, only, error) == NULL))
        return false;
    if (only == NULL && count > 0 && !find_scope(ctl, what, &scope, &root, error))
        return false;
    JsonObject *counted = json_object_new();
    json_object_set_object_member(counted, "filter", json_object_ref(scope));
    if (only != NULL)
        json_object_set_string_member(counted, "type", only);
    g_autoptr(JsonObject) total = ctl_request(ctl, "object.count", counted, error);
    if (total == NULL)
        return false;
    export.revision = confc_json_integer(total, "revision", 0);
    ctl_progress_start(&export.progress, "Exporting", confc_json_integer(total, "count", 0));
    bool fine = true;
    if (root != NULL) {
        g_autoptr(JsonArray) one = json_array_new();
        json_array_add_object_element(one, json_object_ref(root));
        fine = export_page(one, &export, error);
    }
    bool is_single = root != NULL && json_object_get_size(scope) == 0;
    fine = fine && (is_single || only != NULL ||
                    (export_containers(&export, "tenant", scope, error) &&
                     export_containers(&export, "folder", scope, error)));
    JsonArray *types = ctl_types(ctl);
    for (unsigned i = 0; fine && !is_single && i < json_array_get_length(types); i++) {
        const char *type = confc_json_string(ctl_array_object(types, i), "type");
        bool is_container = strcmp(type, "tenant") == 0 || strcmp(type, "folder") == 0;
        if (only != NULL && strcmp(only, type) == 0)
            fine = is_container ? export_containers(&export, type, scope, error)
                                : export_type(&export, type, scope, error);
        else if (only == NULL && !is_container)
            fine = export_type(&export, type, scope, error);
    }
    ctl_progress_end(&export.progress);
    g_autoptr(JsonObject) after = fine ? ctl_request(ctl, "server.info", NULL, error) : NULL;
    gint64 revision = confc_json_integer(after, "revision", export.revision);
    if (after != NULL && revision != export.revision)
        ctl_warn("there were changes meanwhile: the export shows some objects at revision %" G_GINT64_FORMAT
                 ", others up to %" G_GINT64_FORMAT,
                 export.revision, revision);
    return after != NULL;
}

/* A folder holds what is below it; a tenant all that belongs to it and to those below; anything else
 * itself.  *root is written first, unless the scope holds it. */
static bool
find_scope(Ctl *ctl, const char *what, JsonObject **scope, JsonObject **root, GError **error)
{
    g_autoptr(JsonObject) object = ctl_resolve_object(ctl, what, error);
    if (object == NULL)
        return false;
    const char *type = confc_json_string(object, "type");
    gint64 dbid = confc_json_integer(object, "dbid", 0);
    if (strcmp(type, "folder") == 0) {
        json_object_set_int_member(*scope, "folder", dbid);
        json_object_set_boolean_member(*scope, "recursive", TRUE);
    } else if (strcmp(type, "tenant") == 0) {
        JsonArray *tenants = json_array_new();
        json_array_add_int_element(tenants, dbid);
        json_object_set_array_member(*scope, "tenant", tenants);
        if (!add_tenants_below(ctl, tenants, error))
            return false;
        /* Environment belongs to itself. */
        if (confc_json_integer(object, "tenant", 0) == dbid)
            return true;
    }
    *root = g_steal_pointer(&object);
    return true;
}

static bool
add_tenants_below(Ctl *ctl, JsonArray *tenants, GError **error)
{
    static const char *const fields[] = {"name", NULL};
    for (unsigned i = 0; i < json_array_get_length(tenants); i++) {
        gint64 above = json_array_get_int_element(tenants, i);
        JsonObject *filter = json_object_new();
        json_object_set_int_member(filter, "tenant", above);
        g_autoptr(GPtrArray) below = ctl_list_all(ctl, "tenant", filter, fields, error);
        if (below == NULL)
            return false;
        for (unsigned k = 0; k < below->len; k++) {
            gint64 dbid = confc_json_integer(g_ptr_array_index(below, k), "dbid", 0);
            if (dbid != above)
                json_array_add_int_element(tenants, dbid);
        }
    }
    return true;
}

static bool
export_type(Export *export, const char *type, JsonObject *filter, GError **error)
{
    return ctl_list(export->ctl, type, json_object_ref(filter), NULL, export_page, export, error);
}

static bool
export_containers(Export *export, const char *type, JsonObject *filter, GError **error)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(line_free);
    export->lines = lines;
    bool fine = export_type(export, type, filter, error);
    export->lines = NULL;
    g_ptr_array_sort(lines, compare_lines);
    for (unsigned i = 0; fine && i < lines->len; i++)
        puts(((PathLine *)g_ptr_array_index(lines, i))->text);
    return fine;
}

static bool
export_page(JsonArray *objects, void *data, GError **error)
{
    Export *export = data;
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);
    ctl_place_trim(export->ctl);
    if (!ctl_place_want_objects(export->ctl, objects, error))
        return false;
    for (unsigned i = 0; i < json_array_get_length(objects); i++)
        g_ptr_array_add(lines, ctl_make_line(export->ctl, ctl_array_object(objects, i)));
    if (with_permissions && !add_permissions(export->ctl, lines, objects, error))
        return false;
    for (unsigned i = 0; i < lines->len; i++) {
        JsonObject *line = g_ptr_array_index(lines, i);
        const char *path = confc_json_string(line, "path");
        if (path[0] == '/')
            write_line(export, line);
        else
            ctl_warn("%s is left out: you may not read the folder or tenant that it lies in", path);
    }
    export->done += lines->len;
    ctl_progress_show(&export->progress, export->done);
    return true;
}

JsonObject *
ctl_make_line(Ctl *ctl, JsonObject *object)
{
    const char *type_name = confc_json_string(object, "type"), *name;
    JsonObject *type = ctl_type(ctl, type_name, NULL), *line = json_object_new();
    g_autofree char *path = ctl_place_path(ctl, type_name, confc_json_integer(object, "dbid", 0));
    json_object_set_string_member(line, "type", type_name);
    json_object_set_string_member(line, "path", path);
    JsonObjectIter iter;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, object);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        JsonObject *field = ctl_field(type, name);
        if (is_left_out(type_name, name, field))
            continue;
        g_autoptr(JsonNode) named = ctl_value_from_wire(ctl, field, value);
        if (is_readable(field, named))
            json_object_set_member(line, name, g_steal_pointer(&named));
        else
            ctl_warn("%s of %s %s is left out: it refers to what you may not read", name, type_name, path);
    }
    return line;
}

/* A number in place of a path would be another object on another server; and a list without one of its
 * members would take that one away when it is applied. */
static bool
is_readable(JsonObject *field, JsonNode *value)
{
    bool is_fine = true;
    g_autoptr(JsonNode) ignored = ctl_value_to_wire(field, value, note_unreadable, &is_fine, NULL);
    return is_fine;
}

static JsonNode *
note_unreadable(JsonObject *field, const char *text, void *data, GError **error)
{
    bool *is_fine = data;
    *is_fine = *is_fine && text[0] == '/';
    return ctl_node_integer(0);
}

/* Where an object lies the path says; secrets and what the server works out by itself cannot be set.  When
 * a password was set is nothing without the password, and to set it back would end the person's sessions. */
static bool
is_left_out(const char *type, const char *name, JsonObject *field)
{
    return field == NULL || ctl_member_is_head(name) || ctl_field_is(field, "secret") ||
           json_object_has_member(field, "computed") ||
           (strcmp(type, "person") == 0 && strcmp(name, "passwordChanged") == 0);
}

static bool
add_permissions(Ctl *ctl, GPtrArray *lines, JsonArray *objects, GError **error)
{
    g_autoptr(GPtrArray) questions = g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
    for (unsigned i = 0; i < json_array_get_length(objects); i++) {
        JsonObject *object = ctl_array_object(objects, i);
        g_ptr_array_add(questions, ctl_reference(confc_json_string(object, "type"),
                                                 confc_json_integer(object, "dbid", 0)));
    }
    if (!ctl_request_many(ctl, "permission.read", questions, take_list, lines, error))
        return false;
    for (unsigned i = 0; i < lines->len; i++) {
        JsonArray *entries = confc_json_array(g_ptr_array_index(lines, i), "permissions");
        for (unsigned e = 0; entries != NULL && e < json_array_get_length(entries); e++) {
            JsonObject *account = confc_json_object(ctl_array_object(entries, e), "account");
            g_ptr_array_add(keys, g_strdup_printf("%s/%" G_GINT64_FORMAT, confc_json_string(account, "type"),
                                                  confc_json_integer(account, "dbid", 0)));
        }
    }
    if (!ctl_place_want(ctl, keys, error))
        return false;
    for (unsigned i = 0; i < lines->len; i++) {
        JsonArray *entries = confc_json_array(g_ptr_array_index(lines, i), "permissions"),
                  *named = json_array_new();
        bool is_whole = true;
        for (unsigned e = 0; entries != NULL && e < json_array_get_length(entries); e++) {
            JsonObject *entry = ctl_array_object(entries, e), *account = confc_json_object(entry, "account"),
                       *shown = json_object_new();
            g_autofree char *path = ctl_place_path(ctl, confc_json_string(account, "type"),
                                                   confc_json_integer(account, "dbid", 0));
            is_whole = is_whole && path[0] == '/';
            json_object_set_string_member(shown, "account", path);
            json_object_set_member(shown, "rights", json_object_dup_member(entry, "rights"));
            json_array_add_object_element(named, shown);
        }
        const char *line_path = confc_json_string(g_ptr_array_index(lines, i), "path");
        if (!is_whole)
            ctl_warn("permissions of %s are left out: they name accounts that you may not read", line_path);
        if (entries != NULL)
            json_object_remove_member(g_ptr_array_index(lines, i), "permissions");
        if (entries != NULL && is_whole)
            json_object_set_array_member(g_ptr_array_index(lines, i), "permissions", named);
        else
            json_array_unref(named);
    }
    return true;
}

static bool
take_list(unsigned index, JsonObject *result, const GError *failure, void *data, GError **error)
{
    JsonObject *line = g_ptr_array_index((GPtrArray *)data, index);
    JsonArray *entries = confc_json_array(result, "entries");
    bool is_hidden = g_error_matches(failure, CONFC_ERROR, CONFC_ERROR_NOT_PERMITTED) ||
                     g_error_matches(failure, CONFC_ERROR, CONFC_ERROR_NOT_FOUND);
    if (failure != NULL && !is_hidden) {
        g_propagate_error(error, g_error_copy(failure));
        return false;
    }
    if (entries != NULL && !confc_json_boolean(result, "inherited"))
        json_object_set_array_member(line, "permissions", json_array_ref(entries));
    return true;
}

static void
write_line(Export *export, JsonObject *line)
{
    g_autoptr(JsonNode) node = ctl_node_object(json_object_ref(line));
    g_autofree char *text = json_to_string(node, FALSE);
    if (export->lines == NULL) {
        puts(text);
        return;
    }
    PathLine *held = g_new0(PathLine, 1);
    held->path = g_strdup(confc_json_string(line, "path"));
    for (const char *p = held->path; *p != '\0'; p++)
        held->steps += *p == '/' ? 1 : 0;
    held->text = g_steal_pointer(&text);
    g_ptr_array_add(export->lines, held);
}

static int
compare_lines(const void *a, const void *b)
{
    const PathLine *left = *(PathLine *const *)a, *right = *(PathLine *const *)b;
    return left->steps != right->steps ? (left->steps < right->steps ? -1 : 1)
                                       : strcmp(left->path, right->path);
}

static void
line_free(void *data)
{
    PathLine *line = data;
    g_free(line->path);
    g_free(line->text);
    g_free(line);
}
