/* tree.c - the command tree: tenants, folders and what lies in them, drawn. */
#include "confctl.h"

#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 128 };

static gboolean folders_only;
const GOptionEntry ctl_tree_options[] = {
    {"folders", 0, 0, G_OPTION_ARG_NONE, &folders_only, "Tenants and folders only", NULL},
    {NULL},
};

/* What is still to be drawn at each level. */
typedef struct {
    GPtrArray *children;
    unsigned next;
} Level;

typedef struct {
    Ctl *ctl;
    GHashTable *children; /* "type/dbid" of the container → GPtrArray of JsonObject */
    bool in_utf8;
} Tree;

static bool gather_tenants(Tree *tree, JsonObject *root, GError **error);
static bool gather(Tree *tree, const char *type, JsonObject *filter, GError **error);
static void put(Tree *tree, JsonObject *object);
static void draw(Tree *tree, JsonObject *root);
static void draw_line(Tree *tree, const Level *levels, unsigned depth, JsonObject *object);
static int compare(const void *a, const void *b);

static char *
key_of(const char *type, gint64 dbid)
{
    return g_strdup_printf("%s/%" G_GINT64_FORMAT, type, dbid);
}

bool
ctl_run_tree(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    g_autoptr(GHashTable) children =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    Tree tree = {.ctl = ctl, .children = children, .in_utf8 = g_get_charset(NULL)};
    bool whole = count == 0 || strcmp(arguments[0], "/") == 0;
    g_autoptr(JsonObject) root = ctl_resolve_object(ctl, whole ? "tenant/1" : arguments[0], error);
    if (root == NULL)
        return false;
    bool is_folder = g_strcmp0(confc_json_string(root, "type"), "folder") == 0;
    if (g_strcmp0(confc_json_string(root, "type"), "tenant") == 0) {
        if (!gather_tenants(&tree, root, error))
            return false;
    } else if (is_folder) {
        JsonObject *filter = json_object_new();
        json_object_set_int_member(filter, "folder", confc_json_integer(root, "dbid", 0));
        json_object_set_boolean_member(filter, "recursive", TRUE);
        if (!gather(&tree, folders_only ? "folder" : NULL, filter, error))
            return false;
    }
    draw(&tree, root);
    return true;
}

/* Everything of the tenant and of those below it. */
static bool
gather_tenants(Tree *tree, JsonObject *root, GError **error)
{
    g_autoptr(GArray) tenants = g_array_new(FALSE, FALSE, sizeof(gint64));
    gint64 first = confc_json_integer(root, "dbid", 0);
    g_array_append_val(tenants, first);
    static const char *const types[] = {"tenant", "folder", NULL};
    for (unsigned i = 0; i < tenants->len; i++) {
        gint64 dbid = g_array_index(tenants, gint64, i);
        for (unsigned t = 0; t < (folders_only ? 2u : 1u); t++) {
            JsonObject *filter = json_object_new();
            json_object_set_int_member(filter, "tenant", dbid);
            if (!gather(tree, folders_only ? types[t] : NULL, filter, error))
                return false;
        }
        g_autofree char *key = key_of("tenant", dbid);
        GPtrArray *children = g_hash_table_lookup(tree->children, key);
        for (unsigned c = 0; children != NULL && c < children->len; c++) {
            JsonObject *child = g_ptr_array_index(children, c);
            gint64 below = confc_json_integer(child, "dbid", 0);
            if (g_strcmp0(confc_json_string(child, "type"), "tenant") == 0)
                g_array_append_val(tenants, below);
        }
    }
    return true;
}

static bool
gather(Tree *tree, const char *type, JsonObject *filter, GError **error)
{
    static const char *const fields[] = {"name", "state", "tenant", "folder", NULL};
    g_autoptr(GPtrArray) list = ctl_list_all(tree->ctl, type, filter, fields, error);
    for (unsigned i = 0; list != NULL && i < list->len; i++)
        put(tree, g_ptr_array_index(list, i));
    return list != NULL;
}

static void
put(Tree *tree, JsonObject *object)
{
    gint64 dbid = confc_json_integer(object, "dbid", 0), tenant = confc_json_integer(object, "tenant", 0),
           folder = confc_json_integer(object, "folder", 0);
    bool is_tenant = g_strcmp0(confc_json_string(object, "type"), "tenant") == 0;
    /* Environment is its own tenant; tenants stand below the one that they belong to, as in paths. */
    if (is_tenant && dbid == tenant)
        return;
    g_autofree char *key = is_tenant || folder == 0 ? key_of("tenant", tenant) : key_of("folder", folder);
    GPtrArray *children = g_hash_table_lookup(tree->children, key);
    if (children == NULL) {
        children = g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);
        g_hash_table_insert(tree->children, g_strdup(key), children);
    }
    g_ptr_array_add(children, json_object_ref(object));
}

static void
draw(Tree *tree, JsonObject *root)
{
    Level levels[DEPTH_MAX] = {{NULL, 0}};
    unsigned depth = 0;
    draw_line(tree, levels, 0, root);
    g_autofree char *root_key = key_of(confc_json_string(root, "type"), confc_json_integer(root, "dbid", 0));
    levels[0].children = g_hash_table_lookup(tree->children, root_key);
    if (levels[0].children != NULL)
        g_ptr_array_sort(levels[0].children, compare);
    for (;;) {
        Level *level = &levels[depth];
        if (level->children == NULL || level->next == level->children->len) {
            if (depth-- == 0)
                return;
            continue;
        }
        JsonObject *object = g_ptr_array_index(level->children, level->next++);
        draw_line(tree, levels, depth + 1, object);
        g_autofree char *key =
            key_of(confc_json_string(object, "type"), confc_json_integer(object, "dbid", 0));
        GPtrArray *children = g_hash_table_lookup(tree->children, key);
        if (children == NULL || depth + 1 == DEPTH_MAX)
            continue;
        g_ptr_array_sort(children, compare);
        levels[++depth] = (Level){.children = children};
    }
}

static void
draw_line(Tree *tree, const Level *levels, unsigned depth, JsonObject *object)
{
    static const char *const marks[2][4] = {
        {"    ", "|   ", "`-- ", "|-- "},
        {"    ", "\u2502   ", "\u2514\u2500\u2500 ", "\u251c\u2500\u2500 "}};
    const char *const *mark = marks[tree->in_utf8 ? 1 : 0];
    if (tree->ctl->json) {
        ctl_print_json(object);
        return;
    }
    g_autoptr(GString) line = g_string_new(NULL);
    for (unsigned i = 0; i < depth; i++) {
        bool is_last = levels[i].next == levels[i].children->len;
        g_string_append(line, i + 1 == depth ? (is_last ? mark[2] : mark[3]) : is_last ? mark[0] : mark[1]);
    }
    const char *type = confc_json_string(object, "type"), *name = confc_json_string(object, "name");
    bool is_container = g_strcmp0(type, "folder") == 0 || g_strcmp0(type, "tenant") == 0;
    bool is_disabled = g_strcmp0(confc_json_string(object, "state"), "disabled") == 0;
    g_string_append(line, name != NULL ? name : "?");
    if (!is_container)
        g_string_append_printf(line, " (%s %" G_GINT64_FORMAT ")", type,
                               confc_json_integer(object, "dbid", 0));
    if (is_disabled)
        g_string_append(line, " disabled");
    ctl_print_styled(tree->ctl, is_disabled ? CTL_DIM : is_container ? CTL_BOLD : CTL_PLAIN, "%s", line->str);
}

/* Tenants, folders, then the rest. */
static int
compare(const void *a, const void *b)
{
    JsonObject *objects[2] = {*(JsonObject *const *)a, *(JsonObject *const *)b};
    int ranks[2];
    for (unsigned i = 0; i < 2; i++) {
        const char *type = confc_json_string(objects[i], "type");
        ranks[i] = g_strcmp0(type, "tenant") == 0 ? 0 : g_strcmp0(type, "folder") == 0 ? 1 : 2;
    }
    return ranks[0] != ranks[1]
               ? ranks[0] - ranks[1]
               : g_strcmp0(confc_json_string(objects[0], "name"), confc_json_string(objects[1], "name"));
}
