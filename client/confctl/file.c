/* file.c - reads the file of apply and import: JSON Lines, one object a line, {"type","path", members...};
 * and puts the lines into an order in which each comes after what it lies in and what it refers to, as far
 * as that can be. */
#include "plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_SIZE = 64 * 1024 * 1024 };

typedef struct {
    CtlItem *item;
    GPtrArray *needs; /* CtlItem; NULL: not looked at yet */
    unsigned next;
} Visit;

typedef struct {
    CtlFile *file;
    GPtrArray *needs;
} NeedCollector;

static bool read_lines(Ctl *ctl, FILE *stream, CtlFile *file, GError **error);
static bool take_line(Ctl *ctl, CtlFile *file, const char *text, unsigned number, GError **error);
static bool check_head(Ctl *ctl, JsonObject *object, const char *what, GError **error);
static char *key_of(const char *type, const char *path);
static void sort_items(CtlFile *file);
static bool order_items(Ctl *ctl, CtlFile *file, GError **error);
static bool visit_from(Ctl *ctl, CtlFile *file, CtlItem *root, GHashTable *seen, GPtrArray *ordered,
                       GError **error);
static void visit_clear(void *data);
static GPtrArray *find_needs(Ctl *ctl, CtlFile *file, const CtlItem *item, GError **error);
static void note_need(JsonObject *field, const char *text, void *data);
static JsonNode *note_reference(JsonObject *field, const char *text, void *data, GError **error);
static int compare_items(const void *a, const void *b);
static void item_free(void *data);

CtlFile *
ctl_file_read(Ctl *ctl, const char *name, GError **error)
{
    g_autoptr(CtlFile) file = g_new0(CtlFile, 1);
    file->items = g_ptr_array_new_with_free_func(item_free);
    file->index = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    bool is_standard = strcmp(name, "-") == 0;
    FILE *stream = is_standard ? stdin : fopen(name, "re");
    if (stream == NULL) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "Cannot read %s: %s", name, g_strerror(errno));
        return NULL;
    }
    bool fine = read_lines(ctl, stream, file, error);
    if (!is_standard)
        fclose(stream);
    if (!fine)
        return NULL;
    sort_items(file);
    return order_items(ctl, file, error) ? g_steal_pointer(&file) : NULL;
}

void
ctl_file_free(CtlFile *file)
{
    if (file == NULL)
        return;
    g_ptr_array_unref(file->items);
    g_hash_table_unref(file->index);
    g_free(file);
}

CtlItem *
ctl_file_lookup(CtlFile *file, const char *type, const char *path)
{
    g_autofree char *key = key_of(type, path);
    return g_hash_table_lookup(file->index, key);
}

CtlItem *
ctl_file_lookup_any(CtlFile *file, JsonArray *types, const char *path)
{
    for (unsigned i = 0; types != NULL && i < json_array_get_length(types); i++) {
        CtlItem *item = ctl_file_lookup(file, json_array_get_string_element(types, i), path);
        if (item != NULL)
            return item;
    }
    return NULL;
}

JsonObject *
ctl_item_parse(const CtlItem *item, GError **error)
{
    g_autofree char *what = g_strdup_printf("Line %u", item->line);
    g_autoptr(JsonNode) node = ctl_parse_json(item->text, -1, what, error);
    return node != NULL ? json_object_ref(json_node_get_object(node)) : NULL;
}

void
ctl_item_prefix_error(const CtlItem *item, GError **error)
{
    g_prefix_error(error, "Line %u, %s %s: ", item->line, item->type, item->path);
}

void
ctl_members_foreach_reference(JsonObject *type, JsonObject *members, CtlTextFunc func, void *data)
{
    struct {
        CtlTextFunc func;
        void *data;
    } closure = {func, data};
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, members);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        JsonObject *field = ctl_member_is_head(name) ? NULL : ctl_field(type, name);
        g_autoptr(JsonNode) ignored =
            field != NULL ? ctl_value_to_wire(field, value, note_reference, &closure, NULL) : NULL;
    }
}

bool
ctl_member_is_head(const char *name)
{
    static const char *const heads[] = {"type",   "path",   "name",        "dbid",    "revision",
                                        "tenant", "folder", "permissions", "$delete", "holds"};
    for (unsigned i = 0; i < G_N_ELEMENTS(heads); i++) {
        if (strcmp(heads[i], name) == 0)
            return true;
    }
    return false;
}

static bool
read_lines(Ctl *ctl, FILE *stream, CtlFile *file, GError **error)
{
    g_autofree char *line = NULL;
    size_t room = 0;
    ssize_t size;
    for (unsigned number = 1; (size = getline(&line, &room, stream)) >= 0; number++) {
        if (size > LINE_MAX_SIZE || strlen(line) != (size_t)size) {
            g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "Line %u is too long, or holds a NUL character",
                        number);
            return false;
        }
        g_strstrip(line);
        if (line[0] != '\0' && !take_line(ctl, file, line, number, error))
            return false;
    }
    if (ferror(stream) == 0)
        return true;
    g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "The file could not be read: %s", g_strerror(errno));
    return false;
}

static bool
take_line(Ctl *ctl, CtlFile *file, const char *text, unsigned number, GError **error)
{
    g_autofree char *what = g_strdup_printf("Line %u", number);
    g_autoptr(JsonNode) node = ctl_parse_json(text, -1, what, error);
    JsonObject *object = node != NULL && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    if (object == NULL && node != NULL)
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "%s is no object", what);
    if (object == NULL || !check_head(ctl, object, what, error))
        return false;
    CtlItem *item = g_new0(CtlItem, 1);
    item->line = number;
    item->type = g_strdup(confc_json_string(object, "type"));
    item->path = g_utf8_normalize(confc_json_string(object, "path"), -1, G_NORMALIZE_NFC);
    item->text = g_strdup(text);
    item->is_delete = confc_json_boolean(object, "$delete");
    item->operation = -1;
    g_ptr_array_add(file->items, item);
    CtlItem *other = ctl_file_lookup(file, item->type, item->path);
    if (other != NULL) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "Line %u says of %s %s what line %u says already",
                    number, item->type, item->path, other->line);
        return false;
    }
    g_hash_table_insert(file->index, key_of(item->type, item->path), item);
    return true;
}

static bool
check_head(Ctl *ctl, JsonObject *object, const char *what, GError **error)
{
    const char *type_name = confc_json_string(object, "type"), *path = confc_json_string(object, "path"),
               *name = confc_json_string(object, "name");
    g_autofree char *parent = NULL, *step = NULL;
    if (type_name == NULL || path == NULL) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "%s lacks type or path", what);
        return false;
    }
    JsonObject *type = ctl_type(ctl, type_name, error);
    if (type == NULL || !ctl_path_split(path, &parent, &step, error)) {
        g_prefix_error(error, "%s: ", what);
        return false;
    }
    if (name != NULL && strcmp(name, step) != 0) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "%s: name and path do not agree", what);
        return false;
    }
    JsonObjectIter iter;
    const char *member;
    json_object_iter_init(&iter, object);
    while (json_object_iter_next(&iter, &member, NULL)) {
        if (ctl_member_is_head(member) || ctl_field(type, member) != NULL || ctl_type_shows(type, member))
            continue;
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "%s: type %s has no field %s", what, type_name,
                    member);
        return false;
    }
    return true;
}

static char *
key_of(const char *type, const char *path)
{
    return g_strconcat(type, " ", path, NULL);
}

static unsigned
count_steps(const char *path)
{
    unsigned count = 0;
    for (const char *p = path; *p != '\0'; p++)
        count += *p == '/' ? 1 : 0;
    return count;
}

/* Tenants and folders first, from above; deletions last, from below. */
static void
sort_items(CtlFile *file)
{
    g_ptr_array_sort(file->items, compare_items);
}

static int
compare_items(const void *a, const void *b)
{
    const CtlItem *items[2] = {*(CtlItem *const *)a, *(CtlItem *const *)b};
    int ranks[2], depths[2];
    for (unsigned i = 0; i < 2; i++) {
        bool is_tenant = strcmp(items[i]->type, "tenant") == 0,
             is_folder = strcmp(items[i]->type, "folder") == 0;
        int rank = is_tenant ? 0 : is_folder ? 1 : 2;
        depths[i] = is_tenant || is_folder ? (int)count_steps(items[i]->path) : 0;
        ranks[i] = items[i]->is_delete ? 10 - rank : rank;
        depths[i] = items[i]->is_delete ? -depths[i] : depths[i];
    }
    if (ranks[0] != ranks[1])
        return ranks[0] - ranks[1];
    if (depths[0] != depths[1])
        return depths[0] - depths[1];
    return items[0]->line < items[1]->line ? -1 : items[0]->line > items[1]->line;
}

static bool
order_items(Ctl *ctl, CtlFile *file, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    g_autoptr(GPtrArray) ordered = g_ptr_array_sized_new(file->items->len);
    for (unsigned i = 0; i < file->items->len; i++) {
        CtlItem *item = g_ptr_array_index(file->items, i);
        if (item->is_delete)
            g_ptr_array_add(ordered, item);
        else if (g_hash_table_add(seen, item) && !visit_from(ctl, file, item, seen, ordered, error))
            return false;
    }
    g_ptr_array_set_free_func(file->items, NULL);
    g_ptr_array_unref(file->items);
    g_ptr_array_set_free_func(ordered, item_free);
    file->items = g_steal_pointer(&ordered);
    return true;
}

/* Depth first, without recursion: a chain of references may be as long as the file.  Where references go
 * round in a circle, one of them is set afterwards. */
static bool
visit_from(Ctl *ctl, CtlFile *file, CtlItem *root, GHashTable *seen, GPtrArray *ordered, GError **error)
{
    g_autoptr(GArray) visits = g_array_new(FALSE, FALSE, sizeof(Visit));
    g_array_set_clear_func(visits, visit_clear);
    Visit first = {.item = root};
    g_array_append_val(visits, first);
    while (visits->len > 0) {
        Visit *visit = &g_array_index(visits, Visit, visits->len - 1);
        if (visit->needs == NULL)
            visit->needs = find_needs(ctl, file, visit->item, error);
        if (visit->needs == NULL)
            return false;
        if (visit->next == visit->needs->len) {
            g_ptr_array_add(ordered, visit->item);
            g_array_set_size(visits, visits->len - 1);
            continue;
        }
        Visit inner = {.item = g_ptr_array_index(visit->needs, visit->next++)};
        if (!inner.item->is_delete && g_hash_table_add(seen, inner.item))
            g_array_append_val(visits, inner);
    }
    return true;
}

static void
visit_clear(void *data)
{
    g_clear_pointer(&((Visit *)data)->needs, g_ptr_array_unref);
}

/* What it lies in, and what it refers to. */
static GPtrArray *
find_needs(Ctl *ctl, CtlFile *file, const CtlItem *item, GError **error)
{
    static const char *const containers[] = {"folder", "tenant"};
    g_autoptr(JsonObject) members = ctl_item_parse(item, error);
    g_autofree char *parent = NULL, *name = NULL;
    JsonObject *type = members != NULL ? ctl_type(ctl, item->type, error) : NULL;
    if (type == NULL || !ctl_path_split(item->path, &parent, &name, error))
        return NULL;
    NeedCollector collector = {.file = file, .needs = g_ptr_array_new()};
    for (unsigned i = 0; i < G_N_ELEMENTS(containers); i++) {
        CtlItem *container = ctl_file_lookup(file, containers[i], parent);
        if (container != NULL)
            g_ptr_array_add(collector.needs, container);
    }
    ctl_members_foreach_reference(type, members, note_need, &collector);
    return collector.needs;
}

static void
note_need(JsonObject *field, const char *text, void *data)
{
    NeedCollector *collector = data;
    CtlItem *item = ctl_file_lookup_any(collector->file, ctl_field_targets(field), text);
    if (item != NULL)
        g_ptr_array_add(collector->needs, item);
}

/* The walk over values is that of ctl_value_to_wire(); what comes out is thrown away. */
static JsonNode *
note_reference(JsonObject *field, const char *text, void *data, GError **error)
{
    struct {
        CtlTextFunc func;
        void *data;
    } *closure = data;
    g_autofree char *normal = g_utf8_normalize(text, -1, G_NORMALIZE_NFC);
    if (normal != NULL)
        closure->func(field, normal, closure->data);
    return ctl_node_integer(0);
}

static void
item_free(void *data)
{
    CtlItem *item = data;
    g_clear_pointer(&item->present, json_object_unref);
    g_free(item->type);
    g_free(item->path);
    g_free(item->text);
    g_free(item);
}
