/* compare.c - what differs between two states of an object, member by member: lines with - and +, as diff
 * has them, down to single options and items of lists; references as paths. */
#include "confctl.h"

#include <string.h>

enum { DEPTH_MAX = 64 };

static const char rights_member[] = "permissions"; /* in entries of the history: the own list of rights */

typedef struct {
    Ctl *ctl;
    unsigned lines;
} Comparison;

static bool want(Ctl *ctl, const char *type, JsonObject *members, GError **error);
static bool want_accounts(Ctl *ctl, JsonArray *entries, GError **error);
static JsonNode *rights_shown(Ctl *ctl, JsonArray *entries);
static JsonNode *as_shown(Ctl *ctl, const char *type, const char *name, JsonNode *value);
static void compare(Comparison *comparison, const char *path, JsonNode *before, JsonNode *after,
                    unsigned depth);
static void compare_maps(Comparison *comparison, const char *path, JsonObject *before, JsonObject *after,
                         unsigned depth);
static void compare_lists(Comparison *comparison, const char *path, JsonArray *before, JsonArray *after);
static void print_line(Comparison *comparison, char sign, const char *path, JsonNode *value);
static bool is_map(JsonNode *node);
static GPtrArray *names_of(JsonObject *before, JsonObject *after);

bool
ctl_compare_want(Ctl *ctl, const char *type, JsonObject *before, JsonObject *after, GError **error)
{
    return want(ctl, type, before, error) && want(ctl, type, after, error);
}

unsigned
ctl_compare_print(Ctl *ctl, const char *type, JsonObject *before, JsonObject *after)
{
    Comparison comparison = {.ctl = ctl};
    g_autoptr(GPtrArray) names = names_of(before, after);
    for (unsigned i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        JsonNode *old = before != NULL ? json_object_get_member(before, name) : NULL,
                 *new = after != NULL ? json_object_get_member(after, name) : NULL;
        if (strcmp(name, "revision") == 0 || strcmp(name, "type") == 0 || strcmp(name, "dbid") == 0)
            continue;
        g_autoptr(JsonNode) shown_old = as_shown(ctl, type, name, old);
        g_autoptr(JsonNode) shown_new = as_shown(ctl, type, name, new);
        compare(&comparison, name, shown_old, shown_new, 0);
    }
    return comparison.lines;
}

/* The name goes, since it would stand in the cache without the place it belongs to. */
static bool
want(Ctl *ctl, const char *type, JsonObject *members, GError **error)
{
    if (members == NULL || type == NULL || ctl_type(ctl, type, NULL) == NULL)
        return true;
    g_autoptr(JsonArray) one = json_array_new();
    JsonObject *object = json_object_new();
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_set_string_member(object, "type", type);
    json_object_iter_init_ordered(&iter, members);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        if (strcmp(name, "name") != 0 && strcmp(name, "type") != 0)
            json_object_set_member(object, name, json_node_copy(value));
    }
    json_array_add_object_element(one, object);
    return ctl_place_want_objects(ctl, one, error) &&
           want_accounts(ctl, confc_json_array(members, rights_member), error);
}

static bool
want_accounts(Ctl *ctl, JsonArray *entries, GError **error)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
    for (unsigned i = 0; entries != NULL && i < json_array_get_length(entries); i++) {
        JsonObject *account = confc_json_object(ctl_array_object(entries, i), "account");
        const char *type = confc_json_string(account, "type");
        if (type != NULL)
            g_ptr_array_add(
                keys, g_strdup_printf("%s/%" G_GINT64_FORMAT, type, confc_json_integer(account, "dbid", 0)));
    }
    return ctl_place_want(ctl, keys, error);
}

/* A line for each account: "PATH read, change". */
static JsonNode *
rights_shown(Ctl *ctl, JsonArray *entries)
{
    JsonArray *lines = json_array_new();
    for (unsigned i = 0; i < json_array_get_length(entries); i++) {
        JsonObject *entry = ctl_array_object(entries, i), *account = confc_json_object(entry, "account");
        const char *type = confc_json_string(account, "type");
        JsonArray *rights = confc_json_array(entry, "rights");
        g_autofree char *path =
            ctl_place_path(ctl, type != NULL ? type : "?", confc_json_integer(account, "dbid", 0));
        g_autoptr(GString) line = g_string_new(path);
        for (unsigned r = 0; rights != NULL && r < json_array_get_length(rights); r++) {
            const char *right = ctl_node_text(json_array_get_element(rights, r));
            g_string_append_printf(line, "%s%s", r > 0 ? ", " : " ", right != NULL ? right : "?");
        }
        json_array_add_string_element(lines, line->str);
    }
    return ctl_node_array(lines);
}

/* NULL: unset. */
static JsonNode *
as_shown(Ctl *ctl, const char *type, const char *name, JsonNode *value)
{
    if (value == NULL || JSON_NODE_HOLDS_NULL(value))
        return NULL;
    if (strcmp(name, rights_member) == 0 && JSON_NODE_HOLDS_ARRAY(value))
        return rights_shown(ctl, json_node_get_array(value));
    JsonObject *known = type != NULL ? ctl_type(ctl, type, NULL) : NULL,
               *field = known != NULL ? ctl_field(known, name) : NULL;
    return field != NULL ? ctl_value_from_wire(ctl, field, value) : json_node_copy(value);
}

static void
compare(Comparison *comparison, const char *path, JsonNode *before, JsonNode *after, unsigned depth)
{
    if (before != NULL && after != NULL && json_node_equal(before, after))
        return;
    bool are_maps = (before == NULL || is_map(before)) && (after == NULL || is_map(after));
    bool are_lists =
        (before == NULL || JSON_NODE_HOLDS_ARRAY(before)) && (after == NULL || JSON_NODE_HOLDS_ARRAY(after));
    if (before == NULL && after == NULL)
        return;
    if (are_maps && depth < DEPTH_MAX) {
        compare_maps(comparison, path, before != NULL ? json_node_get_object(before) : NULL,
                     after != NULL ? json_node_get_object(after) : NULL, depth);
        return;
    }
    if (are_lists) {
        compare_lists(comparison, path, before != NULL ? json_node_get_array(before) : NULL,
                      after != NULL ? json_node_get_array(after) : NULL);
        return;
    }
    if (before != NULL)
        print_line(comparison, '-', path, before);
    if (after != NULL)
        print_line(comparison, '+', path, after);
}

static void
compare_maps(Comparison *comparison, const char *path, JsonObject *before, JsonObject *after, unsigned depth)
{
    g_autoptr(GPtrArray) names = names_of(before, after);
    for (unsigned i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *inner = ctl_path_join(path, name);
        compare(comparison, inner, before != NULL ? json_object_get_member(before, name) : NULL,
                after != NULL ? json_object_get_member(after, name) : NULL, depth + 1);
    }
}

static bool
holds(JsonArray *list, JsonNode *item)
{
    for (unsigned i = 0; list != NULL && i < json_array_get_length(list); i++) {
        if (json_node_equal(json_array_get_element(list, i), item))
            return true;
    }
    return false;
}

/* What went, then what came; where it is only the order, the whole list. */
static void
compare_lists(Comparison *comparison, const char *path, JsonArray *before, JsonArray *after)
{
    unsigned printed = comparison->lines;
    for (unsigned i = 0; before != NULL && i < json_array_get_length(before); i++) {
        if (!holds(after, json_array_get_element(before, i)))
            print_line(comparison, '-', path, json_array_get_element(before, i));
    }
    for (unsigned i = 0; after != NULL && i < json_array_get_length(after); i++) {
        if (!holds(before, json_array_get_element(after, i)))
            print_line(comparison, '+', path, json_array_get_element(after, i));
    }
    if (comparison->lines > printed || before == NULL || after == NULL)
        return;
    g_autoptr(JsonNode) old = ctl_node_array(json_array_ref(before));
    g_autoptr(JsonNode) new = ctl_node_array(json_array_ref(after));
    print_line(comparison, '-', path, old);
    print_line(comparison, '+', path, new);
}

static void
print_line(Comparison *comparison, char sign, const char *path, JsonNode *value)
{
    g_autofree char *text = json_to_string(value, FALSE);
    ctl_print_styled(comparison->ctl, sign == '-' ? CTL_RED : CTL_GREEN, "    %c %s: %s", sign, path, text);
    comparison->lines++;
}

/* A reference of several types is no map. */
static bool
is_map(JsonNode *node)
{
    return JSON_NODE_HOLDS_OBJECT(node) && !json_object_has_member(json_node_get_object(node), "dbid");
}

/* Of both, in the order of the later state; what only the earlier has at the end. */
static GPtrArray *
names_of(JsonObject *before, JsonObject *after)
{
    GPtrArray *names = g_ptr_array_new();
    JsonObject *sides[] = {after, before};
    for (unsigned i = 0; i < G_N_ELEMENTS(sides); i++) {
        JsonObjectIter iter;
        const char *name;
        if (sides[i] == NULL)
            continue;
        json_object_iter_init_ordered(&iter, sides[i]);
        while (json_object_iter_next_ordered(&iter, &name, NULL)) {
            if (i == 0 || after == NULL || !json_object_has_member(after, name))
                g_ptr_array_add(names, (char *)name);
        }
    }
    return names;
}
