/* read-commands.c - info, status, sessions, ls, get, find. */
#include "confctl.h"

#include <string.h>

typedef struct {
    Ctl *ctl;
    unsigned pages;
} Finding;

static bool run_info(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool run_status(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool run_sessions(Ctl *ctl, char **arguments, unsigned count, GError **error);
static char *describe_client(JsonObject *session);
static bool run_ls(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool run_get(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool run_find(Ctl *ctl, char **arguments, unsigned count, GError **error);
static void add_members(CtlTable *table, const char *prefix, JsonObject *object);
static void add_value(CtlTable *table, const char *name, JsonNode *value);
static bool list_container(Ctl *ctl, JsonObject *container, GPtrArray *rows, GError **error);
static bool append(Ctl *ctl, const char *type, JsonObject *filter, GPtrArray *rows, GError **error);
static void print_rows(Ctl *ctl, GPtrArray *rows);
static bool print_field(Ctl *ctl, JsonObject *type, JsonObject *object, const char *path, GError **error);
static JsonObject *with_paths(Ctl *ctl, JsonObject *type, JsonObject *object);
static bool add_condition(Ctl *ctl, JsonObject *type, const char *text, JsonObject *filter, GError **error);
static JsonNode *parse_condition(Ctl *ctl, JsonObject *field, bool is_option, const char *value,
                                 GError **error);
static bool print_found(JsonArray *objects, void *data, GError **error);

static char *find_fields;
static gboolean find_direct;
static gint64 as_of;
#define AS_OF \
    { \
        "as-of", 0, 0, G_OPTION_ARG_INT64, &as_of, \
            "As it was at that revision, where the server holds the past", "REVISION" \
    }
static const GOptionEntry past_options[] = {AS_OF, {NULL}};
static const GOptionEntry find_options[] = {
    {"fields", 'f', 0, G_OPTION_ARG_STRING, &find_fields, "More columns", "FIELD,FIELD"},
    {"direct", 'd', 0, G_OPTION_ARG_NONE, &find_direct, "With folder=PATH: what lies directly in it only",
     NULL},
    AS_OF,
    {NULL},
};

const CtlCommand ctl_read_commands[] = {
    {"info", "", "Shows the server and who you are", NULL, NULL, 0, 0, run_info},
    {"status", "", "Shows how the server is doing, and its counters", NULL, NULL, 0, 0, run_status},
    {"sessions", "", "Lists the sessions of the server (for administrators)", NULL, NULL, 0, 0, run_sessions},
    {"ls", "[PATH]", "Lists what lies in a tenant or folder", NULL, past_options, 0, 1, run_ls},
    {"tree", "[PATH]", "Shows all that lies below a tenant or folder", NULL, ctl_tree_options, 0, 1,
     ctl_run_tree},
    {"get", "PATH|TYPE/DBID [FIELD]", "Shows an object, or one field of it",
     "FIELD may be a path, as options/log/verbose; / in a name is written ~1, ~ is ~0.", past_options, 1, 2,
     run_get},
    {"find", "TYPE [FIELD=VALUE ...]", "Finds objects of a type",
     "* and ? in VALUE stand for any text and any character; FIELD!=VALUE finds the others; FIELD= finds\n"
     "where it is unset.  folder=PATH means all below that folder.  References are given as PATH, TYPE/DBID\n"
     "or DBID.",
     find_options, 1, G_MAXUINT, run_find},
    {NULL},
};

static bool
run_info(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    g_autoptr(JsonObject) info = ctl_request(ctl, "server.info", NULL, error);
    if (info == NULL)
        return false;
    JsonObject *account = confc_client_get_account(ctl->client);
    const char *security = confc_client_get_security(ctl->client);
    if (account != NULL)
        json_object_set_object_member(info, "account", json_object_ref(account));
    if (ctl->json) {
        if (security != NULL)
            json_object_set_string_member(info, "tls", security);
        ctl_print_json(info);
        return true;
    }
    CtlTable *table = ctl_table_new("", "", NULL);
    ctl_table_add(table, "address", confc_client_get_peer(ctl->client), NULL);
    ctl_table_add(table, "tls", security != NULL ? security : "no", NULL);
    add_members(table, "", info);
    ctl_table_print(ctl, table);
    return true;
}

static bool
run_status(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    static const char *const heads[] = {"name",   "role", "revision", "epoch",
                                        "uptime", "age",  "diverged", "master"};
    g_autoptr(JsonObject) info = ctl_request(ctl, "server.info", NULL, error);
    g_autoptr(JsonObject) statistics =
        info != NULL ? ctl_request(ctl, "server.statistics", NULL, error) : NULL;
    if (statistics == NULL)
        return false;
    g_autoptr(JsonObject) status = json_object_new();
    for (unsigned i = 0; i < G_N_ELEMENTS(heads); i++) {
        if (json_object_has_member(info, heads[i]))
            json_object_set_member(status, heads[i], json_object_dup_member(info, heads[i]));
    }
    json_object_set_object_member(status, "statistics", json_object_ref(statistics));
    if (ctl->json) {
        ctl_print_json(status);
        return true;
    }
    CtlTable *table = ctl_table_new("", "", NULL);
    json_object_remove_member(status, "statistics");
    add_members(table, "", status);
    add_members(table, "", statistics);
    ctl_table_print(ctl, table);
    return true;
}

static bool
run_sessions(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    CtlTable *table = ctl_table_new("USER", "APPLICATION", "ADDRESS", "SINCE", "CONNECTED", "CLIENT", NULL);
    gint64 cursor = -1;
    do {
        JsonObject *params = json_object_new();
        if (cursor >= 0)
            json_object_set_int_member(params, "cursor", cursor);
        g_autoptr(JsonObject) page = ctl_request(ctl, "session.list", params, error);
        JsonArray *sessions = confc_json_array(page, "sessions");
        if (page == NULL) {
            ctl_table_print(ctl, table);
            return false;
        }
        for (unsigned i = 0; sessions != NULL && i < json_array_get_length(sessions); i++) {
            JsonObject *session = ctl_array_object(sessions, i);
            const char *user = confc_json_string(session, "user"),
                       *application = confc_json_string(session, "application");
            const char *address = confc_json_string(session, "address"),
                       *since = confc_json_string(session, "since");
            g_autofree char *client = describe_client(session);
            if (ctl->json)
                ctl_print_json(session);
            else
                ctl_table_add(table, user != NULL ? user : "-", application != NULL ? application : "-",
                              address != NULL ? address : "-", since != NULL ? since : "-",
                              confc_json_boolean(session, "connected") ? "yes" : "no", client, NULL);
        }
        cursor = confc_json_integer(page, "cursor", -1);
    } while (cursor >= 0);
    ctl_table_print(ctl, table);
    return true;
}

/* Name and version, as the client gave them. */
static char *
describe_client(JsonObject *session)
{
    JsonObject *client = confc_json_object(session, "client");
    const char *name = client != NULL ? confc_json_string(client, "name") : NULL;
    const char *version = client != NULL ? confc_json_string(client, "version") : NULL;
    if (name == NULL || name[0] == '\0')
        return g_strdup("-");
    return version != NULL && version[0] != '\0' ? g_strdup_printf("%s %s", name, version) : g_strdup(name);
}

static bool
take_as_of(Ctl *ctl, GError **error)
{
    ctl->as_of = as_of;
    if (as_of >= 0)
        return true;
    g_set_error_literal(error, CTL_ERROR, CTL_ERROR_USAGE, "--as-of takes a revision");
    return false;
}

static bool
run_ls(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    if (!take_as_of(ctl, error))
        return false;
    g_autoptr(GPtrArray) rows = ctl_list_children(ctl, count > 0 ? arguments[0] : "/", error);
    if (rows == NULL)
        return false;
    print_rows(ctl, rows);
    return true;
}

GPtrArray *
ctl_list_children(Ctl *ctl, const char *path, GError **error)
{
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);
    if (strcmp(path, "/") == 0) {
        JsonObject *filter = json_object_new();
        json_object_set_int_member(filter, "dbid", 1);
        return append(ctl, "tenant", filter, rows, error) ? g_steal_pointer(&rows) : NULL;
    }
    g_autoptr(JsonObject) container = ctl_resolve_object(ctl, path, error);
    if (container == NULL || !list_container(ctl, container, rows, error))
        return NULL;
    return g_steal_pointer(&rows);
}

static bool
run_get(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    g_autoptr(JsonObject) object =
        take_as_of(ctl, error) ? ctl_resolve_object(ctl, arguments[0], error) : NULL;
    if (object == NULL)
        return false;
    if (ctl->json && count == 1) {
        ctl_print_json(object);
        return true;
    }
    g_autoptr(JsonArray) one = json_array_new();
    json_array_add_object_element(one, json_object_ref(object));
    JsonObject *type =
        ctl_schema_load(ctl, error) ? ctl_type(ctl, confc_json_string(object, "type"), error) : NULL;
    if (type == NULL || !ctl_place_want_objects(ctl, one, error))
        return false;
    if (count == 2)
        return print_field(ctl, type, object, arguments[1], error);
    g_autoptr(JsonObject) shown = with_paths(ctl, type, object);
    CtlTable *table = ctl_table_new("", "", NULL);
    add_members(table, "", shown);
    ctl_table_print(ctl, table);
    return true;
}

static bool
run_find(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    bool is_ready = take_as_of(ctl, error) && ctl_schema_load(ctl, error);
    JsonObject *type = is_ready ? ctl_type(ctl, arguments[0], error) : NULL;
    if (type == NULL)
        return false;
    g_autoptr(JsonObject) filter = json_object_new();
    for (unsigned i = 1; i < count; i++) {
        if (!add_condition(ctl, type, arguments[i], filter, error))
            return false;
    }
    if (json_object_has_member(filter, "folder") && !find_direct)
        json_object_set_boolean_member(filter, "recursive", TRUE);
    if (!ctl->json) {
        g_auto(GStrv) fields = g_strsplit(find_fields != NULL ? find_fields : "", ",", -1);
        for (unsigned i = 0; fields[i] != NULL && fields[i][0] != '\0'; i++) {
            g_auto(GStrv) steps = ctl_field_steps(fields[i]);
            if (ctl_field(type, steps[0]) == NULL) {
                g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "Type %s has no field %s", arguments[0],
                            fields[i]);
                return false;
            }
        }
    }
    Finding finding = {.ctl = ctl};
    return ctl_list(ctl, arguments[0], json_object_ref(filter), NULL, print_found, &finding, error);
}

/* Nested members are named by their path. */
static void
add_members(CtlTable *table, const char *prefix, JsonObject *object)
{
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, object);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        g_autofree char *step = ctl_path_join("/", name);
        g_autofree char *path = g_strconcat(prefix, prefix[0] != '\0' ? "/" : "", step + 1, NULL);
        bool is_map = JSON_NODE_HOLDS_OBJECT(value) && json_object_get_size(json_node_get_object(value)) > 0;
        if (is_map)
            add_members(table, path, json_node_get_object(value));
        else
            add_value(table, path, value);
    }
}

static void
add_value(CtlTable *table, const char *name, JsonNode *value)
{
    JsonArray *items = JSON_NODE_HOLDS_ARRAY(value) ? json_node_get_array(value) : NULL;
    for (unsigned i = 0; items != NULL && i < json_array_get_length(items); i++) {
        g_autofree char *text = ctl_scalar_text(json_array_get_element(items, i));
        ctl_table_add(table, i == 0 ? name : "", text, NULL);
    }
    g_autofree char *text = items == NULL ? ctl_scalar_text(value) : NULL;
    if (items == NULL || json_array_get_length(items) == 0)
        ctl_table_add(table, name, text != NULL ? text : "", NULL);
}

static bool
list_container(Ctl *ctl, JsonObject *container, GPtrArray *rows, GError **error)
{
    gint64 dbid = confc_json_integer(container, "dbid", 0);
    JsonObject *filter = json_object_new();
    if (g_strcmp0(confc_json_string(container, "type"), "folder") == 0) {
        json_object_set_int_member(filter, "folder", dbid);
        return append(ctl, NULL, filter, rows, error);
    }
    if (g_strcmp0(confc_json_string(container, "type"), "tenant") != 0) {
        /* Anything else is shown itself, as ls does with files. */
        json_object_unref(filter);
        g_ptr_array_add(rows, json_object_ref(container));
        return true;
    }
    json_object_set_int_member(filter, "tenant", dbid);
    JsonObject *roots = json_object_new();
    json_object_set_int_member(roots, "tenant", dbid);
    json_object_set_null_member(roots, "folder");
    if (!append(ctl, "tenant", filter, rows, error)) {
        json_object_unref(roots);
        return false;
    }
    /* Environment is its own tenant. */
    for (unsigned i = 0; i < rows->len; i++) {
        if (confc_json_integer(g_ptr_array_index(rows, i), "dbid", 0) == dbid)
            g_ptr_array_remove_index(rows, i--);
    }
    return append(ctl, "folder", roots, rows, error);
}

static bool
append(Ctl *ctl, const char *type, JsonObject *filter, GPtrArray *rows, GError **error)
{
    static const char *const fields[] = {"name", "state", "tenant", "folder", NULL};
    g_autoptr(GPtrArray) list = ctl_list_all(ctl, type, filter, ctl->json ? NULL : fields, error);
    if (list == NULL)
        return false;
    for (unsigned i = 0; i < list->len; i++)
        g_ptr_array_add(rows, json_object_ref(g_ptr_array_index(list, i)));
    return true;
}

static int
compare_rows(const void *a, const void *b)
{
    JsonObject *left = *(JsonObject *const *)a, *right = *(JsonObject *const *)b;
    int order = g_strcmp0(confc_json_string(left, "type"), confc_json_string(right, "type"));
    bool left_first = g_strcmp0(confc_json_string(left, "type"), "folder") == 0;
    if (order != 0)
        return left_first ? -1 : g_strcmp0(confc_json_string(right, "type"), "folder") == 0 ? 1 : order;
    return g_strcmp0(confc_json_string(left, "name"), confc_json_string(right, "name"));
}

static void
print_rows(Ctl *ctl, GPtrArray *rows)
{
    g_ptr_array_sort(rows, compare_rows);
    CtlTable *table = ctl_table_new("TYPE", "DBID", "STATE", "NAME", NULL);
    for (unsigned i = 0; i < rows->len; i++) {
        JsonObject *object = g_ptr_array_index(rows, i);
        g_autofree char *dbid = g_strdup_printf("%" G_GINT64_FORMAT, confc_json_integer(object, "dbid", 0));
        const char *state = confc_json_string(object, "state"), *name = confc_json_string(object, "name");
        if (ctl->json)
            ctl_print_json(object);
        else
            ctl_table_add(table, confc_json_string(object, "type"), dbid, state != NULL ? state : "",
                          name != NULL ? name : "", NULL);
    }
    if (rows->len > 0 && !ctl->json) {
        ctl_table_print(ctl, table);
        return;
    }
    ctl_table_free(table);
}

/* The value under a path of steps; NULL: unset. */
static JsonNode *
walk(JsonObject *object, char **steps)
{
    JsonNode *value = json_object_get_member(object, steps[0]);
    for (unsigned i = 1; value != NULL && steps[i] != NULL; i++)
        value = JSON_NODE_HOLDS_OBJECT(value) ? json_object_get_member(json_node_get_object(value), steps[i])
                                              : NULL;
    return value;
}

static bool
print_field(Ctl *ctl, JsonObject *type, JsonObject *object, const char *path, GError **error)
{
    g_auto(GStrv) steps = ctl_field_steps(path);
    g_autoptr(JsonObject) shown = ctl->json ? json_object_ref(object) : with_paths(ctl, type, object);
    JsonNode *value = steps[0] != NULL ? walk(shown, steps) : NULL;
    bool is_known = steps[0] != NULL && (ctl_field(type, steps[0]) != NULL || value != NULL);
    if (!is_known) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "Type %s has no field %s",
                    confc_json_string(type, "type"), path);
        return false;
    }
    if (value == NULL) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_REFUSED, "%s is not set", path);
        return false;
    }
    JsonArray *items = JSON_NODE_HOLDS_ARRAY(value) && !ctl->json ? json_node_get_array(value) : NULL;
    for (unsigned i = 0; items != NULL && i < json_array_get_length(items); i++) {
        g_autofree char *text = ctl_scalar_text(json_array_get_element(items, i));
        ctl_print("%s", text);
    }
    if (items == NULL) {
        g_autofree char *text = ctl->json ? json_to_string(value, FALSE) : ctl_scalar_text(value);
        ctl_print("%s", text);
    }
    return true;
}

static JsonObject *
with_paths(Ctl *ctl, JsonObject *type, JsonObject *object)
{
    JsonObject *shown = json_object_new();
    g_autofree char *path =
        ctl_place_path(ctl, confc_json_string(object, "type"), confc_json_integer(object, "dbid", 0));
    json_object_set_string_member(shown, "path", path);
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, object);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        JsonObject *field = ctl_field(type, name);
        json_object_set_member(
            shown, name, field != NULL ? ctl_value_from_wire(ctl, field, value) : json_node_copy(value));
    }
    return shown;
}

static bool
add_condition(Ctl *ctl, JsonObject *type, const char *text, JsonObject *filter, GError **error)
{
    g_autofree char *name = NULL;
    const char *value;
    char operation;
    if (!ctl_assignment_split(text, &name, &operation, &value, error))
        return false;
    if (operation == '+' || operation == '-') {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "\"%s\": FIELD=VALUE or FIELD!=VALUE is meant here",
                    text);
        return false;
    }
    g_auto(GStrv) steps = ctl_field_steps(name);
    JsonObject *field = ctl_field(type, steps[0]);
    bool is_option = ctl_field_is(field, "sections");
    for (unsigned i = 1; field != NULL && !is_option && steps[i] != NULL; i++) {
        JsonObject *inner = ctl_field_is(field, "list") ? confc_json_object(field, "of") : field;
        field = ctl_field_member(inner, steps[i]);
    }
    if (field == NULL) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "Type %s has no field %s",
                    confc_json_string(type, "type"), name);
        return false;
    }
    JsonNode *condition = parse_condition(ctl, field, is_option, value, error);
    if (condition == NULL)
        return false;
    if (operation == '!') {
        JsonObject *inverse = json_object_new();
        json_object_set_member(inverse, "not", condition);
        condition = ctl_node_object(inverse);
    }
    json_object_set_member(filter, name, condition);
    return true;
}

/* Of a list an item is meant. */
static JsonNode *
parse_condition(Ctl *ctl, JsonObject *field, bool is_option, const char *value, GError **error)
{
    if (value[0] == '\0')
        return json_node_init_null(json_node_alloc());
    JsonObject *item = ctl_field_is(field, "list") ? confc_json_object(field, "of") : field;
    if (ctl_field_is(item, "struct") && confc_json_string(field, "key") != NULL)
        item = ctl_field_member(item, confc_json_string(field, "key"));
    bool is_text =
        is_option || ctl_field_is(item, "string") || ctl_field_is(item, "enum") || ctl_field_is(item, "time");
    if (is_text && strpbrk(value, "*?") != NULL) {
        JsonObject *like = json_object_new();
        json_object_set_string_member(like, "like", value);
        return ctl_node_object(like);
    }
    if (is_text)
        return ctl_node_string(value);
    g_autoptr(JsonNode) given = ctl_value_parse(item, value, error);
    return given != NULL ? ctl_value_to_wire(item, given, ctl_value_reference, ctl, error) : NULL;
}

static bool
print_found(JsonArray *objects, void *data, GError **error)
{
    Finding *finding = data;
    Ctl *ctl = finding->ctl;
    ctl_place_trim(ctl);
    if (!ctl->json && !ctl_place_want_objects(ctl, objects, error))
        return false;
    g_auto(GStrv) fields = g_strsplit(find_fields != NULL ? find_fields : "", ",", -1);
    /* Thousands come page by page; the headings stand on the first. */
    CtlTable *table = finding->pages++ == 0 ? ctl_table_new("DBID", "STATE", "PATH", NULL)
                                            : ctl_table_new("", "", "", NULL);
    for (unsigned f = 0; fields[f] != NULL; f++)
        ctl_table_add_column(table, fields[f]);
    for (unsigned i = 0; i < json_array_get_length(objects); i++) {
        JsonObject *object = ctl_array_object(objects, i);
        if (ctl->json) {
            ctl_print_json(object);
            continue;
        }
        const char *type = confc_json_string(object, "type"), *state = confc_json_string(object, "state");
        g_autofree char *dbid = g_strdup_printf("%" G_GINT64_FORMAT, confc_json_integer(object, "dbid", 0));
        g_autofree char *path = ctl_place_path(ctl, type, confc_json_integer(object, "dbid", 0));
        ctl_table_add(table, dbid, state != NULL ? state : "", path, NULL);
        g_autoptr(JsonObject) shown =
            fields[0] != NULL ? with_paths(ctl, ctl_type(ctl, type, NULL), object) : NULL;
        for (unsigned f = 0; fields[f] != NULL; f++) {
            g_auto(GStrv) steps = ctl_field_steps(fields[f]);
            JsonNode *value = steps[0] != NULL ? walk(shown, steps) : NULL;
            g_autofree char *text = value != NULL ? ctl_scalar_text(value) : g_strdup("");
            ctl_table_add_cell(table, text);
        }
    }
    if (!ctl->json && json_array_get_length(objects) > 0)
        ctl_table_print(ctl, table);
    else
        ctl_table_free(table);
    return true;
}
