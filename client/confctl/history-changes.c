/* history-changes.c - diff and revert: what changed, and taking it back. */
#include "history.h"

#include <string.h>

enum { ENTRIES_MAX = 100000, CONFLICTS_MAX = 50 };

static bool diff_object(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool find_then(Ctl *ctl, const char *text, gint64 revision, char **type, gint64 *dbid, GError **error);
static bool read_at(Ctl *ctl, const char *type, gint64 dbid, gint64 revision, JsonObject **object,
                    GError **error);
static void print_states(Ctl *ctl, const char *type, gint64 dbid, JsonObject *before, JsonObject *after);
static JsonObject *without_equal(JsonObject *state, JsonObject *other);
static bool diff_transaction(Ctl *ctl, gint64 revision, GError **error);
static bool gather(JsonArray *entries, void *data, GError **error);
static JsonObject *describe_revert(Ctl *ctl, char **arguments, GError **error);
static JsonObject *ask_revert(Ctl *ctl, JsonObject *what, bool dry_run, bool is_forced, GError **error);
static JsonObject *plan(Ctl *ctl, JsonObject *what, GError **error);
static bool show_conflicts(Ctl *ctl, const GError *fault);
static bool show_plan(Ctl *ctl, JsonObject *answer, bool *is_empty, GError **error);

static char *revert_to;
static gboolean dry_run, force, assume_yes;
const GOptionEntry ctl_revert_options[] = {
    {"to", 0, 0, G_OPTION_ARG_STRING, &revert_to, "What the object was at that revision", "REVISION"},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &dry_run, "Show what would be done, and change nothing", NULL},
    {"force", 0, 0, G_OPTION_ARG_NONE, &force, "Also where later changes are lost by it", NULL},
    {"yes", 'y', 0, G_OPTION_ARG_NONE, &assume_yes, "Do not ask", NULL},
    {NULL},
};

bool
ctl_run_diff(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    gint64 revision;
    if (!ctl_schema_load(ctl, error))
        return false;
    if (count == 1 && ctl_history_revision(arguments[0], &revision))
        return diff_transaction(ctl, revision, error);
    if (count > 1)
        return diff_object(ctl, arguments, count, error);
    g_set_error_literal(error, CTL_ERROR, CTL_ERROR_USAGE,
                        "diff takes an object and a revision, or the revision of a transaction");
    return false;
}

bool
ctl_run_revert(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    bool is_empty = false;
    g_autoptr(JsonObject) what = ctl_schema_load(ctl, error) ? describe_revert(ctl, arguments, error) : NULL;
    g_autoptr(JsonObject) planned = what != NULL ? plan(ctl, what, error) : NULL;
    if (planned == NULL || !show_plan(ctl, planned, &is_empty, error))
        return false;
    if (dry_run || is_empty) {
        if (!ctl->json)
            ctl_print(is_empty ? "Nothing to take back" : "nothing was changed (--dry-run)");
        return true;
    }
    if (!assume_yes && !ctl_confirm("Do this?")) {
        g_set_error_literal(error, CTL_ERROR, CTL_ERROR_REFUSED, "Nothing was changed");
        return false;
    }
    g_autoptr(GError) fault = NULL;
    g_autoptr(JsonObject) answer = ask_revert(ctl, what, false, force, &fault);
    if (answer == NULL) {
        show_conflicts(ctl, fault);
        g_propagate_error(error, g_steal_pointer(&fault));
        return false;
    }
    if (ctl->json)
        ctl_print_json(answer);
    else
        ctl_print("Taken back, revision %" G_GINT64_FORMAT, confc_json_integer(answer, "revision", 0));
    return true;
}

static bool
diff_object(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    gint64 from, to = 0, dbid;
    g_autofree char *type = NULL;
    g_autoptr(JsonObject) before = NULL, after = NULL;
    if (!ctl_history_revision(arguments[1], &from) ||
        (count == 3 && !ctl_history_revision(arguments[2], &to))) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "\"%s\" is no revision", arguments[count - 1]);
        return false;
    }
    if (!find_then(ctl, arguments[0], from, &type, &dbid, error) ||
        !read_at(ctl, type, dbid, from, &before, error) || !read_at(ctl, type, dbid, to, &after, error))
        return false;
    if (before == NULL && after == NULL) {
        g_set_error(error, CONFC_ERROR, CONFC_ERROR_NOT_FOUND, "%s: it was not there at either time",
                    arguments[0]);
        return false;
    }
    if (!ctl->json && !ctl_compare_want(ctl, type, before, after, error))
        return false;
    print_states(ctl, type, dbid, before, after);
    return true;
}

/* A path is that of now; of what is gone or has moved, that of then. */
static bool
find_then(Ctl *ctl, const char *text, gint64 revision, char **type, gint64 *dbid, GError **error)
{
    g_autoptr(GError) fault = NULL;
    if (ctl_resolve(ctl, text, NULL, type, dbid, &fault))
        return true;
    if (g_error_matches(fault, CONFC_ERROR, CONFC_ERROR_NOT_FOUND)) {
        ctl->as_of = revision;
        bool is_found = ctl_resolve(ctl, text, NULL, type, dbid, NULL);
        ctl->as_of = 0;
        if (is_found)
            return true;
    }
    g_propagate_error(error, g_steal_pointer(&fault));
    return false;
}

/* *object NULL: it was not there. */
static bool
read_at(Ctl *ctl, const char *type, gint64 dbid, gint64 revision, JsonObject **object, GError **error)
{
    g_autoptr(GError) fault = NULL;
    g_autofree char *key = g_strdup_printf("%s/%" G_GINT64_FORMAT, type, dbid);
    ctl->as_of = revision;
    *object = ctl_resolve_object(ctl, key, &fault);
    ctl->as_of = 0;
    if (fault == NULL || g_error_matches(fault, CONFC_ERROR, CONFC_ERROR_NOT_FOUND))
        return true;
    g_propagate_error(error, g_steal_pointer(&fault));
    return false;
}

static void
print_states(Ctl *ctl, const char *type, gint64 dbid, JsonObject *before, JsonObject *after)
{
    if (ctl->json) {
        JsonObject *shown = ctl_reference(type, dbid);
        g_autoptr(JsonObject) difference = shown;
        if (before != NULL)
            json_object_set_object_member(shown, "before", without_equal(before, after));
        if (after != NULL)
            json_object_set_object_member(shown, "after", without_equal(after, before));
        ctl_print_json(shown);
        return;
    }
    g_autofree char *path = ctl_path(ctl, type, dbid, NULL);
    char sign = before == NULL ? '+' : after == NULL ? '-' : '~';
    ctl_print_styled(ctl,
                     sign == '+'   ? CTL_GREEN
                     : sign == '-' ? CTL_RED
                                   : CTL_YELLOW,
                     "%c %s %s", sign, type, path != NULL ? path : "");
    if (ctl_compare_print(ctl, type, before, after) == 0)
        ctl_print("    (the same)");
}

static JsonObject *
without_equal(JsonObject *state, JsonObject *other)
{
    JsonObject *rest = json_object_new();
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, state);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        JsonNode *there = other != NULL ? json_object_get_member(other, name) : NULL;
        if (there == NULL || !json_node_equal(there, value))
            json_object_set_member(rest, name, json_node_copy(value));
    }
    return rest;
}

static bool
diff_transaction(Ctl *ctl, gint64 revision, GError **error)
{
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func((GDestroyNotify)json_object_unref);
    g_autoptr(JsonArray) found = json_array_new();
    JsonObject *query = json_object_new();
    json_object_set_int_member(query, "since", revision);
    json_object_set_int_member(query, "until", revision);
    if (!ctl_history_list(ctl, "history.list", "entries", query, 0, gather, entries, NULL, error))
        return false;
    for (unsigned i = 0; i < entries->len; i++) {
        JsonObject *entry = g_ptr_array_index(entries, i);
        if (confc_json_integer(entry, "revision", 0) == revision)
            json_array_add_object_element(found, json_object_ref(entry));
    }
    if (json_array_get_length(found) == 0) {
        g_set_error(error, CONFC_ERROR, CONFC_ERROR_NOT_FOUND,
                    "The history has nothing of revision %" G_GINT64_FORMAT " that you may read", revision);
        return false;
    }
    if (!ctl->json && !ctl_history_want_places(ctl, found, error))
        return false;
    JsonObject *first = ctl_array_object(found, 0), *by = confc_json_object(first, "by");
    const char *time = confc_json_string(first, "time");
    g_autofree char *author = ctl_history_author(ctl, by), *origin = ctl_history_origin(by);
    if (!ctl->json)
        ctl_print_styled(ctl, CTL_BOLD, "%" G_GINT64_FORMAT "  %s  by %s%s%s", revision,
                         time != NULL ? time : "", author, origin[0] != '\0' ? " from " : "", origin);
    for (unsigned i = 0; i < json_array_get_length(found); i++) {
        JsonObject *entry = ctl_array_object(found, i);
        if (ctl->json)
            ctl_print_json(entry);
        else if (!ctl_history_print_entry(ctl, entry, error))
            return false;
    }
    return true;
}

/* A transaction has a bound; so has what a server can make of it. */
static bool
gather(JsonArray *entries, void *data, GError **error)
{
    GPtrArray *list = data;
    for (unsigned i = 0; i < json_array_get_length(entries); i++) {
        JsonObject *entry = ctl_array_object(entries, i);
        if (entry != NULL)
            g_ptr_array_add(list, json_object_ref(entry));
    }
    if (list->len <= ENTRIES_MAX)
        return true;
    g_set_error(error, CONFC_ERROR, CONFC_ERROR_MALFORMED,
                "The server tells more than %d entries of one revision", ENTRIES_MAX);
    return false;
}

static JsonObject *
describe_revert(Ctl *ctl, char **arguments, GError **error)
{
    g_autoptr(JsonObject) what = json_object_new();
    g_autofree char *type = NULL;
    gint64 revision, dbid;
    bool is_number = ctl_history_revision(arguments[0], &revision);
    if (is_number != (revert_to == NULL) ||
        (revert_to != NULL && !ctl_history_revision(revert_to, &revision))) {
        g_set_error_literal(error, CTL_ERROR, CTL_ERROR_USAGE,
                            "revert takes the revision of a transaction, or an object and --to REVISION");
        return NULL;
    }
    if (is_number) {
        json_object_set_int_member(what, "revision", revision);
        return g_steal_pointer(&what);
    }
    if (!find_then(ctl, arguments[0], revision, &type, &dbid, error))
        return NULL;
    json_object_set_string_member(what, "type", type);
    json_object_set_int_member(what, "dbid", dbid);
    json_object_set_int_member(what, "toRevision", revision);
    return g_steal_pointer(&what);
}

static JsonObject *
ask_revert(Ctl *ctl, JsonObject *what, bool is_dry, bool is_forced, GError **error)
{
    JsonObject *params = json_object_new();
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, what);
    while (json_object_iter_next_ordered(&iter, &name, &value))
        json_object_set_member(params, name, json_node_copy(value));
    if (is_dry)
        json_object_set_boolean_member(params, "dryRun", TRUE);
    if (is_forced)
        json_object_set_boolean_member(params, "force", TRUE);
    return ctl_history_request(ctl, "history.revert", params, error);
}

/* With --force too it is asked without first: what will be lost is to be seen. */
static JsonObject *
plan(Ctl *ctl, JsonObject *what, GError **error)
{
    g_autoptr(GError) fault = NULL;
    JsonObject *answer = ask_revert(ctl, what, true, false, &fault);
    if (answer != NULL)
        return answer;
    bool are_conflicts = show_conflicts(ctl, fault);
    if (are_conflicts && force)
        return ask_revert(ctl, what, true, true, error);
    if (are_conflicts) {
        g_set_error_literal(error, CTL_ERROR, CTL_ERROR_REFUSED,
                            "Later changes would be lost; --force does it all the same");
        return NULL;
    }
    g_propagate_error(error, g_steal_pointer(&fault));
    return NULL;
}

/* On standard error.  False: the error is another one. */
static bool
show_conflicts(Ctl *ctl, const GError *fault)
{
    JsonNode *node =
        g_error_matches(fault, CONFC_ERROR, CONFC_ERROR_CHANGED) ? confc_error_get_data(fault) : NULL;
    JsonArray *conflicts = node != NULL && JSON_NODE_HOLDS_OBJECT(node)
                               ? confc_json_array(json_node_get_object(node), "conflicts")
                               : NULL;
    unsigned length = conflicts != NULL ? json_array_get_length(conflicts) : 0;
    for (unsigned i = 0; i < MIN(length, CONFLICTS_MAX); i++) {
        JsonObject *conflict = ctl_array_object(conflicts, i);
        const char *type = confc_json_string(conflict, "type");
        gint64 dbid = confc_json_integer(conflict, "dbid", 0);
        g_autofree char *path = type != NULL ? ctl_path(ctl, type, dbid, NULL) : NULL;
        const char *member = confc_json_string(conflict, "member");
        gint64 revision = confc_json_integer(conflict, "revision", 0);
        if (path != NULL)
            ctl_warn("changed since: %s %s%s%s, at revision %" G_GINT64_FORMAT, type, path,
                     member != NULL ? " " : "", member != NULL ? member : "", revision);
    }
    if (length > CONFLICTS_MAX)
        ctl_warn("and %u more", length - CONFLICTS_MAX);
    return length > 0;
}

static bool
show_plan(Ctl *ctl, JsonObject *answer, bool *is_empty, GError **error)
{
    JsonArray *changes = confc_json_array(answer, "changes");
    JsonArray *results = confc_json_array(answer, "results");
    bool has_changes = changes != NULL && json_array_get_length(changes) > 0;
    *is_empty = !has_changes && results != NULL && json_array_get_length(results) == 0;
    if (ctl->json) {
        if (dry_run)
            ctl_print_json(answer);
        return true;
    }
    if (*is_empty)
        return true;
    if (!ctl_changes_want_places(ctl, answer, error))
        return false;
    for (unsigned i = 0; has_changes && i < json_array_get_length(changes); i++)
        ctl_change_print(ctl, ctl_array_object(changes, i));
    return true;
}
