/* write-commands.c - set, unset, new, rm, mv. */
#include "confctl.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { STDIN_MAX = 16 * 1024 * 1024 };

static bool run_set(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool run_unset(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool run_new(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool run_rm(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool run_mv(Ctl *ctl, char **arguments, unsigned count, GError **error);
static void tell_referrers(Ctl *ctl, const GError *fault);
static void prefix_with_operation(Ctl *ctl, JsonArray *operations, GError **error);
static bool find_typed(Ctl *ctl, const char *text, JsonObject **object, JsonObject **type, GError **error);
static bool send_edit(Ctl *ctl, const char *what, JsonObject *object, CtlEdit *edit, GError **error);
static void say_done(Ctl *ctl, JsonObject *answer, const char *what);
static bool place_new(Ctl *ctl, const char *path, JsonObject *object, GError **error);
static char *read_standard_input(GError **error);
static bool take_members(Ctl *ctl, JsonObject *type, JsonObject *given, JsonObject *object, GError **error);
static bool create(Ctl *ctl, JsonObject *object, GError **error);
static bool add_below(Ctl *ctl, JsonObject *container, GPtrArray *doomed, GError **error);
static bool append(Ctl *ctl, const char *type, JsonObject *filter, GPtrArray *doomed, GError **error);

static gboolean rm_recursive;
static const GOptionEntry rm_options[] = {
    {"recursive", 'r', 0, G_OPTION_ARG_NONE, &rm_recursive, "What lies below a folder or tenant too", NULL},
    {NULL},
};

const CtlCommand ctl_write_commands[] = {
    {"set", "PATH|TYPE/DBID FIELD=VALUE ...", "Changes fields of an object",
     "FIELD may be a path, as options/log/verbose.  FIELD+=VALUE puts an item into a list, FIELD-=VALUE\n"
     "takes one out (of structs by their key).  References are given as PATH, TYPE/DBID or DBID; whole\n"
     "lists and maps as JSON.",
     NULL, 2, G_MAXUINT, run_set},
    {"unset", "PATH|TYPE/DBID FIELD ...", "Empties fields, options or sections of an object", NULL, NULL, 2,
     G_MAXUINT, run_unset},
    {"new", "TYPE NAME|PATH|- [FIELD=VALUE ...]", "Makes an object",
     "With a name it goes to your tenant's folder of that type, with a path to where the path says.  With -\n"
     "members come as one JSON object from standard input; a member \"path\" says where.",
     NULL, 2, G_MAXUINT, run_new},
    {"rm", "PATH|TYPE/DBID ...", "Deletes objects, all or none", NULL, rm_options, 1, G_MAXUINT, run_rm},
    {"mv", "PATH|TYPE/DBID FOLDER|PATH", "Moves an object into a folder, or gives it the new path", NULL,
     NULL, 2, 2, run_mv},
    {NULL},
};

static bool
run_set(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    g_autoptr(JsonObject) object = NULL;
    JsonObject *type;
    if (!find_typed(ctl, arguments[0], &object, &type, error))
        return false;
    g_auto(CtlEdit) edit;
    ctl_edit_init(&edit);
    for (unsigned i = 1; i < count; i++) {
        if (!ctl_edit_parse(ctl, type, arguments[i], &edit, error))
            return false;
    }
    return send_edit(ctl, arguments[0], object, &edit, error);
}

static bool
run_unset(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    g_autoptr(JsonObject) object = NULL;
    JsonObject *type;
    if (!find_typed(ctl, arguments[0], &object, &type, error))
        return false;
    g_auto(CtlEdit) edit;
    ctl_edit_init(&edit);
    for (unsigned i = 1; i < count; i++) {
        if (!ctl_edit_unset(type, arguments[i], &edit, error))
            return false;
    }
    return send_edit(ctl, arguments[0], object, &edit, error);
}

static bool
run_new(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    JsonObject *type = ctl_schema_load(ctl, error) ? ctl_type(ctl, arguments[0], error) : NULL;
    if (type == NULL)
        return false;
    g_autoptr(JsonObject) object = json_object_new();
    json_object_set_string_member(object, "type", arguments[0]);
    if (strcmp(arguments[1], "-") == 0) {
        g_autofree char *text = read_standard_input(error);
        g_autoptr(JsonNode) node = text != NULL ? ctl_parse_json(text, -1, "Standard input", error) : NULL;
        if (node == NULL)
            return false;
        if (!JSON_NODE_HOLDS_OBJECT(node)) {
            g_set_error_literal(error, CTL_ERROR, CTL_ERROR_USAGE,
                                "Standard input must hold one JSON object");
            return false;
        }
        if (!take_members(ctl, type, json_node_get_object(node), object, error))
            return false;
    } else if (arguments[1][0] == '/') {
        if (!place_new(ctl, arguments[1], object, error))
            return false;
    } else {
        json_object_set_string_member(object, "name", arguments[1]);
    }
    g_auto(CtlEdit) edit;
    ctl_edit_init(&edit);
    for (unsigned i = 2; i < count; i++) {
        if (!ctl_edit_parse(ctl, type, arguments[i], &edit, error))
            return false;
    }
    JsonObject *members[] = {edit.patch, edit.add};
    for (unsigned i = 0; i < G_N_ELEMENTS(members); i++) {
        JsonObjectIter iter;
        const char *name;
        JsonNode *value;
        json_object_iter_init_ordered(&iter, members[i]);
        while (json_object_iter_next_ordered(&iter, &name, &value))
            json_object_set_member(object, name, json_node_copy(value));
    }
    return create(ctl, object, error);
}

static bool
run_rm(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    g_autoptr(GPtrArray) doomed = g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);
    for (unsigned i = 0; i < count; i++) {
        g_autoptr(JsonObject) object = ctl_resolve_object(ctl, arguments[i], error);
        if (object == NULL || (rm_recursive && !add_below(ctl, object, doomed, error)))
            return false;
        g_ptr_array_add(doomed, g_steal_pointer(&object));
    }
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(JsonArray) operations = json_array_new();
    for (unsigned i = 0; i < doomed->len; i++) {
        JsonObject *object = g_ptr_array_index(doomed, i);
        const char *type = confc_json_string(object, "type");
        gint64 dbid = confc_json_integer(object, "dbid", 0);
        if (!g_hash_table_add(seen, g_strdup_printf("%s/%" G_GINT64_FORMAT, type, dbid)))
            continue;
        JsonObject *operation = ctl_reference(type, dbid);
        json_object_set_string_member(operation, "op", "delete");
        json_array_add_object_element(operations, operation);
    }
    JsonObject *params = json_object_new();
    json_object_set_array_member(params, "operations", json_array_ref(operations));
    g_autofree char *what = g_strdup_printf("%u object%s deleted", g_hash_table_size(seen),
                                            g_hash_table_size(seen) == 1 ? "" : "s");
    g_autoptr(GError) fault = NULL;
    g_autoptr(JsonObject) answer = ctl_request(ctl, "transaction", params, &fault);
    if (answer != NULL) {
        say_done(ctl, answer, what);
        return true;
    }
    tell_referrers(ctl, fault);
    prefix_with_operation(ctl, operations, &fault);
    g_propagate_error(error, g_steal_pointer(&fault));
    return false;
}

static bool
run_mv(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    g_autoptr(JsonObject) object = ctl_resolve_object(ctl, arguments[0], error);
    if (object == NULL)
        return false;
    g_autoptr(GError) fault = NULL;
    g_autoptr(JsonObject) target = ctl_resolve_object(ctl, arguments[1], &fault);
    g_auto(CtlEdit) edit;
    ctl_edit_init(&edit);
    bool is_folder = target != NULL && g_strcmp0(confc_json_string(target, "type"), "folder") == 0;
    bool is_itself = target != NULL &&
                     g_strcmp0(confc_json_string(target, "type"), confc_json_string(object, "type")) == 0 &&
                     confc_json_integer(target, "dbid", 0) == confc_json_integer(object, "dbid", 0);
    if (is_folder && !is_itself) {
        json_object_set_int_member(edit.patch, "folder", confc_json_integer(target, "dbid", 0));
        return send_edit(ctl, arguments[0], object, &edit, error);
    }
    if (target != NULL && !is_itself) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_REFUSED, "There is something at %s already", arguments[1]);
        return false;
    }
    if (target == NULL && !g_error_matches(fault, CONFC_ERROR, CONFC_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&fault));
        return false;
    }
    if (!place_new(ctl, arguments[1], edit.patch, error))
        return false;
    /* A tenant cannot leave the one it belongs to; the server says so where that is meant. */
    return send_edit(ctl, arguments[0], object, &edit, error);
}

/* On standard error, before what the server said. */
static void
tell_referrers(Ctl *ctl, const GError *fault)
{
    enum { SHOWN_MAX = 20 };
    JsonNode *node = confc_error_get_data(fault);
    JsonObject *data = node != NULL && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    JsonArray *referrers = confc_json_array(data, "referrers");
    for (unsigned i = 0; referrers != NULL && i < MIN(json_array_get_length(referrers), SHOWN_MAX); i++) {
        JsonObject *referrer = ctl_array_object(referrers, i);
        const char *type = confc_json_string(referrer, "type");
        gint64 dbid = confc_json_integer(referrer, "dbid", 0);
        g_autofree char *path = type != NULL ? ctl_path(ctl, type, dbid, NULL) : NULL;
        if (path != NULL)
            ctl_warn("held by %s %s", type, path);
    }
    bool are_more = referrers != NULL && json_array_get_length(referrers) > SHOWN_MAX;
    if (are_more || confc_json_boolean(data, "others"))
        ctl_warn("held by others too");
}

/* Says which object it was about. */
static void
prefix_with_operation(Ctl *ctl, JsonArray *operations, GError **error)
{
    JsonNode *node = confc_error_get_data(*error);
    gint64 index = node != NULL && JSON_NODE_HOLDS_OBJECT(node)
                       ? confc_json_integer(json_node_get_object(node), "operation", -1)
                       : -1;
    JsonObject *operation = index >= 0 && index < json_array_get_length(operations)
                                ? ctl_array_object(operations, (guint)index)
                                : NULL;
    g_autofree char *path = operation != NULL ? ctl_path(ctl, confc_json_string(operation, "type"),
                                                         confc_json_integer(operation, "dbid", 0), NULL)
                                              : NULL;
    if (path != NULL)
        g_prefix_error(error, "%s: ", path);
}

static bool
find_typed(Ctl *ctl, const char *text, JsonObject **object, JsonObject **type, GError **error)
{
    *object = ctl_schema_load(ctl, error) ? ctl_resolve_object(ctl, text, error) : NULL;
    *type = *object != NULL ? ctl_type(ctl, confc_json_string(*object, "type"), error) : NULL;
    return *type != NULL;
}

static bool
send_edit(Ctl *ctl, const char *what, JsonObject *object, CtlEdit *edit, GError **error)
{
    JsonObject *params =
        ctl_reference(confc_json_string(object, "type"), confc_json_integer(object, "dbid", 0));
    const struct {
        const char *name;
        JsonObject *members;
    } parts[] = {{"patch", edit->patch}, {"add", edit->add}, {"remove", edit->remove}};
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        if (json_object_get_size(parts[i].members) > 0)
            json_object_set_object_member(params, parts[i].name, json_object_ref(parts[i].members));
    }
    g_autoptr(JsonObject) answer = ctl_request(ctl, "object.update", params, error);
    if (answer == NULL) {
        g_prefix_error(error, "%s: ", what);
        return false;
    }
    bool is_same = confc_json_integer(answer, "revision", 0) == confc_json_integer(object, "revision", 0);
    say_done(ctl, answer, is_same ? "nothing to change" : "changed");
    return true;
}

static void
say_done(Ctl *ctl, JsonObject *answer, const char *what)
{
    if (ctl->json)
        ctl_print_json(answer);
    else
        ctl_print("%s, revision %" G_GINT64_FORMAT, what, confc_json_integer(answer, "revision", 0));
}

/* name, and folder or tenant, of what shall lie at the path. */
static bool
place_new(Ctl *ctl, const char *path, JsonObject *object, GError **error)
{
    g_autofree char *parent_path = NULL, *name = NULL;
    if (!ctl_path_split(path, &parent_path, &name, error))
        return false;
    g_autoptr(JsonObject) parent = ctl_resolve_object(ctl, parent_path, error);
    if (parent == NULL)
        return false;
    const char *type = confc_json_string(parent, "type");
    bool in_folder = g_strcmp0(type, "folder") == 0;
    if (!in_folder && g_strcmp0(type, "tenant") != 0) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_REFUSED, "%s is neither a folder nor a tenant", parent_path);
        return false;
    }
    json_object_set_string_member(object, "name", name);
    json_object_set_int_member(object, in_folder ? "folder" : "tenant",
                               confc_json_integer(parent, "dbid", 0));
    return true;
}

static char *
read_standard_input(GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[4096];
    size_t count;
    while ((count = fread(buffer, 1, sizeof buffer, stdin)) > 0) {
        g_string_append_len(text, buffer, (gssize)count);
        if (text->len > STDIN_MAX) {
            g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "Standard input holds more than %d bytes",
                        STDIN_MAX);
            return NULL;
        }
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static bool
take_members(Ctl *ctl, JsonObject *type, JsonObject *given, JsonObject *object, GError **error)
{
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, given);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        if (strcmp(name, "path") == 0) {
            if (!place_new(ctl,
                           confc_json_string(given, "path") != NULL ? confc_json_string(given, "path") : "",
                           object, error))
                return false;
            continue;
        }
        JsonObject *field = ctl_field(type, name);
        JsonNode *wire = field != NULL ? ctl_value_to_wire(field, value, ctl_value_reference, ctl, error)
                                       : json_node_copy(value);
        if (wire == NULL) {
            g_prefix_error(error, "%s: ", name);
            return false;
        }
        json_object_set_member(object, name, wire);
    }
    return true;
}

static bool
create(Ctl *ctl, JsonObject *object, GError **error)
{
    JsonObject *params = json_object_new();
    json_object_set_object_member(params, "object", json_object_ref(object));
    g_autoptr(JsonObject) answer = ctl_request(ctl, "object.create", params, error);
    if (answer == NULL)
        return false;
    if (ctl->json) {
        ctl_print_json(answer);
        return true;
    }
    g_autofree char *path =
        ctl_path(ctl, confc_json_string(object, "type"), confc_json_integer(answer, "dbid", 0), error);
    if (path == NULL)
        return false;
    ctl_print("%s (%s/%" G_GINT64_FORMAT "), revision %" G_GINT64_FORMAT, path,
              confc_json_string(object, "type"), confc_json_integer(answer, "dbid", 0),
              confc_json_integer(answer, "revision", 0));
    return true;
}

/* What lies below, deepest last to be found and first to be deleted; root folders go with their tenant. */
static bool
add_below(Ctl *ctl, JsonObject *container, GPtrArray *doomed, GError **error)
{
    const char *type = confc_json_string(container, "type");
    gint64 dbid = confc_json_integer(container, "dbid", 0);
    if (g_strcmp0(type, "folder") == 0) {
        JsonObject *filter = json_object_new();
        json_object_set_int_member(filter, "folder", dbid);
        json_object_set_boolean_member(filter, "recursive", TRUE);
        return append(ctl, NULL, filter, doomed, error);
    }
    if (g_strcmp0(type, "tenant") != 0)
        return true;
    g_autoptr(GArray) tenants = g_array_new(FALSE, FALSE, sizeof(gint64));
    g_array_append_val(tenants, dbid);
    for (unsigned i = 0; i < tenants->len; i++) {
        gint64 present = g_array_index(tenants, gint64, i);
        unsigned begin = doomed->len;
        JsonObject *filter = json_object_new();
        json_object_set_int_member(filter, "tenant", present);
        if (!append(ctl, NULL, filter, doomed, error))
            return false;
        for (unsigned k = begin; k < doomed->len; k++) {
            JsonObject *object = g_ptr_array_index(doomed, k);
            gint64 number = confc_json_integer(object, "dbid", 0);
            if (g_strcmp0(confc_json_string(object, "type"), "tenant") == 0 && number != present)
                g_array_append_val(tenants, number);
        }
    }
    return true;
}

static bool
append(Ctl *ctl, const char *type, JsonObject *filter, GPtrArray *doomed, GError **error)
{
    static const char *const fields[] = {"name", "tenant", "folder", NULL};
    g_autoptr(GPtrArray) list = ctl_list_all(ctl, type, filter, fields, error);
    if (list == NULL)
        return false;
    for (unsigned i = 0; i < list->len; i++) {
        JsonObject *object = g_ptr_array_index(list, i);
        bool is_root_folder = g_strcmp0(confc_json_string(object, "type"), "folder") == 0 &&
                              confc_json_integer(object, "folder", 0) == 0;
        if (!is_root_folder)
            g_ptr_array_add(doomed, json_object_ref(object));
    }
    return true;
}
