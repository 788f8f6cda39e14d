/* place.c - paths (model.md 6) to numbers and back.
 *
 * The server turns a path into an object; the way back goes through tenant and folders, whose names are
 * kept here so that a thousand objects of one folder cost one question. */
#include "confctl.h"

#include <string.h>

enum { BATCH = 500, NESTING_MAX = 80, PLACES_MAX = 200000 };

static const char *const place_fields[] = {"name", "tenant", "folder", NULL};

static bool parse_key(const char *text, char **type, gint64 *dbid);
static JsonObject *read_path(Ctl *ctl, const char *path, GError **error);
static JsonObject *read_key(Ctl *ctl, const char *type, gint64 dbid, GError **error);
static JsonObject *find_in_parent(Ctl *ctl, const char *type, const char *path, GError **error);
static bool is_among(JsonArray *types, const char *type);
static bool fetch_places(Ctl *ctl, GHashTable *missing, GError **error);
static bool fetch_type(Ctl *ctl, const char *type, GPtrArray *keys, GError **error);
static bool note_page(JsonArray *objects, void *data, GError **error);
static void collect_missing(Ctl *ctl, const char *type, gint64 dbid, GHashTable *missing);
static void collect_references(JsonObject *field, JsonNode *value, GPtrArray *keys);
static bool prepend_folders(Ctl *ctl, GString *path, const CtlPlace *place);
static bool prepend_tenants(Ctl *ctl, GString *path, gint64 tenant);
static void prepend_step(GString *path, const char *name);
static void place_free(void *data);
static JsonObject *find_account(Ctl *ctl, const char *type, const char *name, GError **error);

static CtlPlace *
lookup(Ctl *ctl, const char *type, gint64 dbid)
{
    g_autofree char *key = g_strdup_printf("%s/%" G_GINT64_FORMAT, type, dbid);
    return ctl->places != NULL ? g_hash_table_lookup(ctl->places, key) : NULL;
}

bool
ctl_resolve(Ctl *ctl, const char *text, JsonArray *types, char **type, gint64 *dbid, GError **error)
{
    guint64 number;
    const char *first =
        types != NULL && json_array_get_length(types) > 0 ? json_array_get_string_element(types, 0) : NULL;
    g_autofree char *found = NULL;
    if (text[0] == '/') {
        /* Where only a folder or a tenant can be meant, an object of the same name is not. */
        g_autoptr(JsonObject) object = types != NULL && json_array_get_length(types) == 1
                                           ? ctl_find_at(ctl, first, text, error)
                                           : read_path(ctl, text, error);
        if (object == NULL)
            return false;
        found = g_strdup(confc_json_string(object, "type"));
        *dbid = confc_json_integer(object, "dbid", 0);
    } else if (first != NULL && g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT64, &number, NULL)) {
        found = g_strdup(first);
        *dbid = (gint64)number;
    } else if (!parse_key(text, &found, dbid)) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE,
                    "\"%s\" is neither a path (/Environment/...) nor TYPE/DBID", text);
        return false;
    }
    if (types != NULL && !is_among(types, found)) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_REFUSED, "\"%s\" is of type %s, which is not meant here",
                    text, found);
        return false;
    }
    *type = g_steal_pointer(&found);
    return true;
}

JsonObject *
ctl_resolve_object(Ctl *ctl, const char *text, GError **error)
{
    g_autofree char *type = NULL;
    gint64 dbid;
    if (text[0] == '/')
        return read_path(ctl, text, error);
    if (parse_key(text, &type, &dbid))
        return read_key(ctl, type, dbid, error);
    g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE,
                "\"%s\" is neither a path (/Environment/...) nor TYPE/DBID", text);
    return NULL;
}

JsonObject *
ctl_find_at(Ctl *ctl, const char *type, const char *path, GError **error)
{
    g_autoptr(GError) fault = NULL;
    g_autoptr(JsonObject) object = read_path(ctl, path, &fault);
    if (object != NULL && g_strcmp0(confc_json_string(object, "type"), type) == 0)
        return g_steal_pointer(&object);
    if (object == NULL) {
        g_propagate_error(error, g_steal_pointer(&fault));
        return NULL;
    }
    return find_in_parent(ctl, type, path, error);
}

void
ctl_place_note(Ctl *ctl, JsonObject *object)
{
    const char *type = confc_json_string(object, "type");
    gint64 dbid = confc_json_integer(object, "dbid", 0);
    if (type == NULL || dbid == 0)
        return;
    if (ctl->places == NULL)
        ctl->places = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, place_free);
    CtlPlace *place = g_new0(CtlPlace, 1);
    place->type = g_strdup(type);
    place->dbid = dbid;
    place->name = g_strdup(confc_json_string(object, "name"));
    place->tenant = confc_json_integer(object, "tenant", 0);
    place->folder = confc_json_integer(object, "folder", 0);
    g_hash_table_replace(ctl->places, g_strdup_printf("%s/%" G_GINT64_FORMAT, type, dbid), place);
}

void
ctl_place_trim(Ctl *ctl)
{
    if (ctl->places != NULL && g_hash_table_size(ctl->places) > PLACES_MAX)
        g_hash_table_remove_all(ctl->places);
}

void
ctl_place_forget(Ctl *ctl, const char *type, gint64 dbid)
{
    g_autofree char *key = g_strdup_printf("%s/%" G_GINT64_FORMAT, type, dbid);
    if (ctl->places != NULL)
        g_hash_table_remove(ctl->places, key);
}

const char *
ctl_place_name(Ctl *ctl, const char *type, gint64 dbid)
{
    const CtlPlace *place = lookup(ctl, type, dbid);
    return place != NULL ? place->name : NULL;
}

bool
ctl_place_want(Ctl *ctl, GPtrArray *keys, GError **error)
{
    g_autoptr(GHashTable) missing = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (unsigned i = 0; i < keys->len; i++) {
        g_autofree char *type = NULL;
        gint64 dbid;
        if (parse_key(g_ptr_array_index(keys, i), &type, &dbid))
            collect_missing(ctl, type, dbid, missing);
    }
    /* What is read may lie in what is not known yet; each round goes up one step. */
    for (unsigned depth = 0; g_hash_table_size(missing) > 0 && depth < NESTING_MAX; depth++) {
        g_autoptr(GHashTable) now = g_steal_pointer(&missing);
        missing = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        if (!fetch_places(ctl, now, error))
            return false;
        GHashTableIter iter;
        void *key;
        g_hash_table_iter_init(&iter, now);
        while (g_hash_table_iter_next(&iter, &key, NULL)) {
            CtlPlace *place = g_hash_table_lookup(ctl->places, key);
            if (place == NULL || place->name == NULL)
                continue;
            collect_missing(ctl, "tenant", place->tenant, missing);
            collect_missing(ctl, "folder", place->folder, missing);
        }
    }
    return true;
}

bool
ctl_place_want_objects(Ctl *ctl, JsonArray *objects, GError **error)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
    for (unsigned i = 0; i < json_array_get_length(objects); i++) {
        JsonObject *object = ctl_array_object(objects, i);
        const char *type = confc_json_string(object, "type");
        JsonArray *fields = type != NULL ? confc_json_array(ctl_type(ctl, type, NULL), "fields") : NULL;
        for (unsigned f = 0; fields != NULL && f < json_array_get_length(fields); f++) {
            JsonObject *field = ctl_array_object(fields, f);
            const char *name = confc_json_string(field, "name");
            if (name != NULL && json_object_has_member(object, name))
                collect_references(field, json_object_get_member(object, name), keys);
        }
        if (type != NULL && json_object_has_member(object, "name"))
            ctl_place_note(ctl, object);
    }
    return ctl_place_want(ctl, keys, error);
}

char *
ctl_place_path(Ctl *ctl, const char *type, gint64 dbid)
{
    g_autoptr(GString) path = g_string_new(NULL);
    const CtlPlace *place = lookup(ctl, type, dbid);
    bool is_known = place != NULL && place->name != NULL;
    if (is_known && g_str_equal(type, "tenant")) {
        is_known = prepend_tenants(ctl, path, dbid);
    } else if (is_known) {
        prepend_step(path, place->name);
        is_known = prepend_folders(ctl, path, place) && prepend_tenants(ctl, path, place->tenant);
    }
    return is_known ? g_string_free(g_steal_pointer(&path), FALSE)
                    : g_strdup_printf("%s/%" G_GINT64_FORMAT, type, dbid);
}

char *
ctl_path(Ctl *ctl, const char *type, gint64 dbid, GError **error)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(keys, g_strdup_printf("%s/%" G_GINT64_FORMAT, type, dbid));
    return ctl_place_want(ctl, keys, error) ? ctl_place_path(ctl, type, dbid) : NULL;
}

char *
ctl_path_join(const char *parent, const char *name)
{
    g_autoptr(GString) path = g_string_new(name);
    g_string_replace(path, "~", "~0", 0);
    g_string_replace(path, "/", "~1", 0);
    g_string_prepend_c(path, '/');
    if (strcmp(parent, "/") != 0)
        g_string_prepend(path, parent);
    return g_string_free(g_steal_pointer(&path), FALSE);
}

bool
ctl_path_split(const char *path, char **parent, char **name, GError **error)
{
    const char *slash = strrchr(path, '/');
    if (path[0] != '/' || slash[1] == '\0') {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "\"%s\" is no path: /Environment/... is meant", path);
        return false;
    }
    g_autoptr(GString) step = g_string_new(slash + 1);
    g_string_replace(step, "~1", "/", 0);
    g_string_replace(step, "~0", "~", 0);
    *parent = slash == path ? g_strdup("/") : g_strndup(path, (gsize)(slash - path));
    *name = g_string_free(g_steal_pointer(&step), FALSE);
    return true;
}

bool
ctl_resolve_account(Ctl *ctl, const char *text, char **type, gint64 *dbid, GError **error)
{
    g_autoptr(JsonArray) types = json_array_new();
    json_array_add_string_element(types, "person");
    json_array_add_string_element(types, "accessGroup");
    if (strchr(text, '/') != NULL)
        return ctl_resolve(ctl, text, types, type, dbid, error);
    for (unsigned i = 0; i < 2; i++) {
        g_autoptr(GError) fault = NULL;
        const char *tried = json_array_get_string_element(types, i);
        g_autoptr(JsonObject) object = find_account(ctl, tried, text, &fault);
        if (object != NULL) {
            *type = g_strdup(tried);
            *dbid = confc_json_integer(object, "dbid", 0);
            return true;
        }
        if (!g_error_matches(fault, CONFC_ERROR, CONFC_ERROR_NOT_FOUND)) {
            g_propagate_error(error, g_steal_pointer(&fault));
            return false;
        }
    }
    g_set_error(error, CTL_ERROR, CTL_ERROR_REFUSED, "There is no person or access group \"%s\"", text);
    return false;
}

JsonObject *
ctl_reference(const char *type, gint64 dbid)
{
    JsonObject *reference = json_object_new();
    json_object_set_string_member(reference, "type", type);
    json_object_set_int_member(reference, "dbid", dbid);
    return reference;
}

/* "host/105" */
static bool
parse_key(const char *text, char **type, gint64 *dbid)
{
    const char *slash = strchr(text, '/');
    guint64 number;
    if (slash == NULL || slash == text ||
        !g_ascii_string_to_unsigned(slash + 1, 10, 1, G_MAXINT64, &number, NULL))
        return false;
    *type = g_strndup(text, (gsize)(slash - text));
    *dbid = (gint64)number;
    return true;
}

static JsonObject *
read_object(Ctl *ctl, JsonObject *params, const char *what, GError **error)
{
    g_autoptr(GError) fault = NULL;
    if (ctl->as_of > 0)
        json_object_set_int_member(params, "asOf", ctl->as_of);
    g_autoptr(JsonObject) answer = ctl_request(ctl, "object.read", params, &fault);
    JsonObject *object = confc_json_object(answer, "object");
    if (fault != NULL && strstr(fault->message, what) == NULL)
        g_prefix_error(&fault, "%s: ", what);
    if (answer != NULL && object == NULL)
        g_set_error_literal(&fault, CONFC_ERROR, CONFC_ERROR_MALFORMED,
                            "The server's answer to object.read has no object");
    if (object == NULL || !ctl_check_object(object, &fault)) {
        g_propagate_error(error, g_steal_pointer(&fault));
        return NULL;
    }
    ctl_place_note(ctl, object);
    return json_object_ref(object);
}

static JsonObject *
read_path(Ctl *ctl, const char *path, GError **error)
{
    JsonObject *params = json_object_new();
    json_object_set_string_member(params, "path", path);
    return read_object(ctl, params, path, error);
}

static JsonObject *
read_key(Ctl *ctl, const char *type, gint64 dbid, GError **error)
{
    g_autofree char *what = g_strdup_printf("%s/%" G_GINT64_FORMAT, type, dbid);
    return read_object(ctl, ctl_reference(type, dbid), what, error);
}

/* Something else of the same name stands before it: look into what should hold it. */
static JsonObject *
find_in_parent(Ctl *ctl, const char *type, const char *path, GError **error)
{
    g_autofree char *parent_path = NULL, *name = NULL;
    if (!ctl_path_split(path, &parent_path, &name, error))
        return NULL;
    g_autoptr(GError) fault = NULL;
    g_autoptr(JsonObject) parent = strcmp(parent_path, "/") != 0 ? read_path(ctl, parent_path, &fault) : NULL;
    g_autoptr(GPtrArray) list = NULL;
    if (parent != NULL) {
        bool in_tenant = g_strcmp0(confc_json_string(parent, "type"), "tenant") == 0;
        JsonObject *filter = json_object_new();
        json_object_set_string_member(filter, "name", name);
        json_object_set_int_member(filter, in_tenant ? "tenant" : "folder",
                                   confc_json_integer(parent, "dbid", 0));
        if (in_tenant && g_str_equal(type, "folder"))
            json_object_set_null_member(filter, "folder");
        list = ctl_list_all(ctl, type, filter, NULL, error);
        if (list == NULL)
            return NULL;
    }
    if (list != NULL && list->len == 1)
        return json_object_ref(g_ptr_array_index(list, 0));
    g_set_error(error, CONFC_ERROR, CONFC_ERROR_NOT_FOUND, "%s: there is no %s at this path", path, type);
    return NULL;
}

static bool
is_among(JsonArray *types, const char *type)
{
    for (unsigned i = 0; i < json_array_get_length(types); i++) {
        if (g_strcmp0(json_array_get_string_element(types, i), type) == 0)
            return true;
    }
    return false;
}

/* By type, in batches.  What does not come back is noted as unknown, so that it is asked for once. */
static bool
fetch_places(Ctl *ctl, GHashTable *missing, GError **error)
{
    g_autoptr(GHashTable) types =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    GHashTableIter iter;
    void *key, *list;
    g_hash_table_iter_init(&iter, missing);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        g_autofree char *type = g_strndup(key, strcspn(key, "/"));
        list = g_hash_table_lookup(types, type);
        if (list == NULL) {
            list = g_ptr_array_new();
            g_hash_table_insert(types, g_strdup(type), list);
        }
        g_ptr_array_add(list, key);
    }
    g_hash_table_iter_init(&iter, types);
    while (g_hash_table_iter_next(&iter, &key, &list)) {
        if (!fetch_type(ctl, key, list, error))
            return false;
    }
    return true;
}

static bool
fetch_type(Ctl *ctl, const char *type, GPtrArray *keys, GError **error)
{
    for (unsigned begin = 0; begin < keys->len; begin += BATCH) {
        JsonObject *filter = json_object_new();
        JsonArray *dbids = json_array_new();
        for (unsigned i = begin; i < MIN(begin + BATCH, keys->len); i++) {
            gint64 dbid = g_ascii_strtoll(strchr(g_ptr_array_index(keys, i), '/') + 1, NULL, 10);
            g_autoptr(JsonObject) unknown = ctl_reference(type, dbid);
            ctl_place_note(ctl, unknown);
            json_array_add_int_element(dbids, dbid);
        }
        json_object_set_array_member(filter, "dbid", dbids);
        if (!ctl_list(ctl, type, filter, place_fields, note_page, ctl, error))
            return false;
    }
    return true;
}

static bool
note_page(JsonArray *objects, void *data, GError **error)
{
    for (unsigned i = 0; i < json_array_get_length(objects); i++)
        ctl_place_note(data, ctl_array_object(objects, i));
    return true;
}

static void
collect_missing(Ctl *ctl, const char *type, gint64 dbid, GHashTable *missing)
{
    if (dbid == 0)
        return;
    CtlPlace *place = lookup(ctl, type, dbid);
    if (place == NULL) {
        g_hash_table_add(missing, g_strdup_printf("%s/%" G_GINT64_FORMAT, type, dbid));
        return;
    }
    /* Known itself, but what it lies in need not be. */
    for (unsigned depth = 0; place != NULL && place->name != NULL && depth < NESTING_MAX; depth++) {
        if (lookup(ctl, "tenant", place->tenant) == NULL)
            g_hash_table_add(missing, g_strdup_printf("tenant/%" G_GINT64_FORMAT, place->tenant));
        if (place->folder == 0 || g_str_equal(place->type, "tenant"))
            return;
        CtlPlace *above = lookup(ctl, "folder", place->folder);
        if (above == NULL)
            g_hash_table_add(missing, g_strdup_printf("folder/%" G_GINT64_FORMAT, place->folder));
        place = above;
    }
}

/* Depth is that of the schema's own nesting of lists and structs. */
static void
collect_references(JsonObject *field, JsonNode *value, GPtrArray *keys)
{
    JsonArray *targets = ctl_field_targets(field);
    if (ctl_field_is(field, "ref") && targets != NULL && ctl_node_number(value) > 0) {
        g_ptr_array_add(keys,
                        g_strdup_printf("%s/%" G_GINT64_FORMAT, json_array_get_string_element(targets, 0),
                                        ctl_node_number(value)));
    } else if (ctl_field_is(field, "ref") && JSON_NODE_HOLDS_OBJECT(value)) {
        JsonObject *reference = json_node_get_object(value);
        const char *type = confc_json_string(reference, "type");
        if (type != NULL)
            g_ptr_array_add(keys, g_strdup_printf("%s/%" G_GINT64_FORMAT, type,
                                                  confc_json_integer(reference, "dbid", 0)));
    } else if (ctl_field_is(field, "list") && JSON_NODE_HOLDS_ARRAY(value)) {
        JsonArray *items = json_node_get_array(value);
        for (unsigned i = 0; i < json_array_get_length(items); i++)
            collect_references(confc_json_object(field, "of"), json_array_get_element(items, i), keys);
    } else if (ctl_field_is(field, "struct") && JSON_NODE_HOLDS_OBJECT(value)) {
        JsonObjectIter iter;
        const char *name;
        JsonNode *member;
        json_object_iter_init(&iter, json_node_get_object(value));
        while (json_object_iter_next(&iter, &name, &member)) {
            JsonObject *inner = ctl_field_member(field, name);
            if (inner != NULL)
                collect_references(inner, member, keys);
        }
    }
}

static bool
prepend_folders(Ctl *ctl, GString *path, const CtlPlace *place)
{
    for (unsigned depth = 0; place->folder != 0; depth++) {
        place = lookup(ctl, "folder", place->folder);
        if (place == NULL || place->name == NULL || depth == NESTING_MAX)
            return false;
        prepend_step(path, place->name);
    }
    return true;
}

static bool
prepend_tenants(Ctl *ctl, GString *path, gint64 tenant)
{
    for (unsigned depth = 0; depth < NESTING_MAX; depth++) {
        const CtlPlace *place = lookup(ctl, "tenant", tenant);
        if (place == NULL || place->name == NULL)
            return false;
        prepend_step(path, place->name);
        if (place->tenant == tenant)
            return true;
        tenant = place->tenant;
    }
    return false;
}

static void
prepend_step(GString *path, const char *name)
{
    g_autofree char *step = ctl_path_join("/", name);
    g_string_prepend(path, step);
}

static void
place_free(void *data)
{
    CtlPlace *place = data;
    g_free(place->name);
    g_free(place->type);
    g_free(place);
}

static JsonObject *
find_account(Ctl *ctl, const char *type, const char *name, GError **error)
{
    JsonObject *params = json_object_new();
    json_object_set_string_member(params, "type", type);
    json_object_set_string_member(params, "name", name);
    return read_object(ctl, params, name, error);
}
