/* watch.c - the command watch: changes as they happen, until interrupted.
 *
 * Changes are queued by the client's signal and printed from the outer loop, since names may have to be
 * asked for, and asking runs the main loop, in which further changes come. */
#include "confctl.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    Ctl *ctl;
    GQueue queue; /* JsonObject */
    bool is_over;
    GError *error;
} Watch;

static bool run_watch(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool subscribe(Ctl *ctl, const char *what, GError **error);
static bool subscribe_to(Ctl *ctl, JsonObject *scope, GError **error);
static bool print_changes(Ctl *ctl, JsonObject *changes, GError **error);
static bool want_places(Ctl *ctl, JsonObject *changes, GError **error);
static void print_change(Ctl *ctl, JsonObject *change);
static void print_members(Ctl *ctl, const char *prefix, JsonObject *members);
static char *describe_author(Ctl *ctl, JsonObject *by);
static void note_changes(ConfcClient *client, JsonObject *changes, Watch *watch);
static void note_reset(ConfcClient *client, gint64 revision, const char *reason, Watch *watch);
static void note_disconnected(ConfcClient *client, const GError *error, gboolean will_reconnect,
                              Watch *watch);
static void note_connected(ConfcClient *client, gboolean resumed, Watch *watch);
static gboolean interrupted(void *data);

static int watch_count;
static const GOptionEntry watch_options[] = {
    {"count", 'n', 0, G_OPTION_ARG_INT, &watch_count, "End after this many transactions", "N"},
    {NULL},
};

const CtlCommand ctl_watch_commands[] = {
    {"watch", "[PATH|TYPE/DBID|TYPE]", "Shows changes as they happen",
     "Of an object, of all in a folder or tenant, of a type, or of everything.  A broken connection is\n"
     "taken up again, and what happened meanwhile is shown.",
     watch_options, 0, 1, run_watch},
    {NULL},
};

static bool
run_watch(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    Watch watch = {.ctl = ctl};
    g_queue_init(&watch.queue);
    if (watch_count < 0) {
        g_set_error_literal(error, CTL_ERROR, CTL_ERROR_USAGE, "--count takes a number above 0");
        return false;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    g_object_set(ctl->client, "reconnect", TRUE, NULL);
    g_signal_connect(ctl->client, "changes", G_CALLBACK(note_changes), &watch);
    g_signal_connect(ctl->client, "reset", G_CALLBACK(note_reset), &watch);
    g_signal_connect(ctl->client, "disconnected", G_CALLBACK(note_disconnected), &watch);
    g_signal_connect(ctl->client, "connected", G_CALLBACK(note_connected), &watch);
    guint interrupt = g_unix_signal_add(SIGINT, interrupted, &watch),
          terminate = g_unix_signal_add(SIGTERM, interrupted, &watch);
    bool fine = subscribe(ctl, count > 0 ? arguments[0] : NULL, error);
    if (fine)
        ctl_warn("watching from revision %" G_GINT64_FORMAT, confc_client_get_revision(ctl->client));
    for (int printed = 0; fine && !watch.is_over && (watch_count == 0 || printed < watch_count);) {
        g_autoptr(JsonObject) changes = g_queue_pop_head(&watch.queue);
        if (changes == NULL) {
            g_main_context_iteration(NULL, TRUE);
            continue;
        }
        fine = print_changes(ctl, changes, error);
        printed++;
    }
    g_signal_handlers_disconnect_by_data(ctl->client, &watch);
    g_source_remove(interrupt);
    g_source_remove(terminate);
    g_queue_clear_full(&watch.queue, (GDestroyNotify)json_object_unref);
    if (fine && watch.error != NULL) {
        g_propagate_error(error, watch.error);
        return false;
    }
    g_clear_error(&watch.error);
    return fine;
}

static bool
subscribe(Ctl *ctl, const char *what, GError **error)
{
    if (!ctl_schema_load(ctl, error))
        return false;
    JsonObject *scope = json_object_new();
    if (what == NULL)
        return subscribe_to(ctl, scope, error);
    if (strchr(what, '/') == NULL) {
        JsonArray *types = json_array_new();
        json_array_add_string_element(types, what);
        json_object_set_array_member(scope, "types", types);
        return subscribe_to(ctl, scope, error);
    }
    g_autoptr(JsonObject) object = ctl_resolve_object(ctl, what, error);
    JsonArray *objects = json_array_new();
    json_object_set_array_member(scope, "objects", objects);
    if (object == NULL) {
        json_object_unref(scope);
        return false;
    }
    const char *type = ctl_string(object, "type");
    gint64 dbid = ctl_integer(object, "dbid", 0);
    json_array_add_object_element(objects, ctl_reference(type, dbid));
    /* A scope of a folder or tenant holds what is below it, not itself. */
    if (!subscribe_to(ctl, scope, error))
        return false;
    if (strcmp(type, "folder") != 0 && strcmp(type, "tenant") != 0)
        return true;
    JsonObject *below = json_object_new();
    json_object_set_int_member(below, type, dbid);
    return subscribe_to(ctl, below, error);
}

/* Takes scope. */
static bool
subscribe_to(Ctl *ctl, JsonObject *scope, GError **error)
{
    g_autoptr(JsonObject) taken = scope;
    g_autoptr(ConfcSubscription) subscription =
        confc_client_subscribe(ctl->client, taken, CONFC_SUBSCRIPTION_NONE, NULL, error);
    return subscription != NULL;
}

static bool
print_changes(Ctl *ctl, JsonObject *changes, GError **error)
{
    if (ctl->json) {
        ctl_print_json(changes);
        return true;
    }
    if (!want_places(ctl, changes, error))
        return false;
    g_autofree char *author = describe_author(ctl, ctl_object(changes, "by"));
    const char *time = ctl_string(changes, "time"), *reason = ctl_string(changes, "reason");
    ctl_print_styled(ctl, CTL_BOLD, "%" G_GINT64_FORMAT "  %s%s%s%s", ctl_integer(changes, "revision", 0),
                     time != NULL ? time : "", author, reason != NULL ? "  " : "",
                     reason != NULL ? reason : "");
    JsonArray *list = ctl_array(changes, "changes");
    for (unsigned i = 0; i < json_array_get_length(list); i++)
        print_change(ctl, ctl_array_object(list, i));
    return true;
}

/* Names as they are after the transaction; of what is gone, as they were. */
static bool
want_places(Ctl *ctl, JsonObject *changes, GError **error)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
    JsonArray *list = ctl_array(changes, "changes");
    JsonObject *by = ctl_object(changes, "by");
    gint64 user = ctl_integer(by, "user", 0), application = ctl_integer(by, "application", 0);
    if (user != 0)
        g_ptr_array_add(keys, g_strdup_printf("person/%" G_GINT64_FORMAT, user));
    if (application != 0)
        g_ptr_array_add(keys, g_strdup_printf("application/%" G_GINT64_FORMAT, application));
    for (unsigned i = 0; i < json_array_get_length(list); i++) {
        JsonObject *change = ctl_array_object(list, i), *object = ctl_object(change, "object"),
                   *patch = ctl_object(change, "patch");
        const char *type = ctl_string(change, "type");
        gint64 dbid = ctl_integer(change, "dbid", 0);
        bool moves = patch != NULL &&
                     (json_object_has_member(patch, "name") || json_object_has_member(patch, "folder"));
        if (moves)
            ctl_place_forget(ctl, type, dbid);
        else if (object != NULL || json_object_has_member(change, "name"))
            ctl_place_note(ctl, object != NULL ? object : change);
        g_ptr_array_add(keys, g_strdup_printf("%s/%" G_GINT64_FORMAT, type, dbid));
    }
    return ctl_place_want(ctl, keys, error);
}

static void
print_change(Ctl *ctl, JsonObject *change)
{
    const char *op = ctl_string(change, "op"), *type = ctl_string(change, "type"),
               *reason = ctl_string(change, "reason");
    g_autofree char *path = ctl_place_path(ctl, type, ctl_integer(change, "dbid", 0));
    bool is_create = g_strcmp0(op, "create") == 0, is_delete = g_strcmp0(op, "delete") == 0;
    ctl_print_styled(ctl,
                     is_create   ? CTL_GREEN
                     : is_delete ? CTL_RED
                                 : CTL_YELLOW,
                     "  %c %s %s%s%s%s",
                     is_create   ? '+'
                     : is_delete ? '-'
                                 : '~',
                     type, path, reason != NULL ? " (" : "", reason != NULL ? reason : "",
                     reason != NULL ? ")" : "");
    JsonObject *patch = ctl_object(change, "patch"), *add = ctl_object(change, "add"),
               *remove = ctl_object(change, "remove");
    if (patch != NULL)
        print_members(ctl, "", patch);
    if (add != NULL)
        print_members(ctl, "added to ", add);
    if (remove != NULL)
        print_members(ctl, "removed from ", remove);
    if (is_delete)
        ctl_place_forget(ctl, type, ctl_integer(change, "dbid", 0));
}

static void
print_members(Ctl *ctl, const char *prefix, JsonObject *members)
{
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, members);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        g_autofree char *text = json_to_string(value, FALSE);
        ctl_print("      %s%s: %s", prefix, name, text);
    }
}

static char *
describe_author(Ctl *ctl, JsonObject *by)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const struct {
        const char *member, *type;
    } parts[] = {{"user", "person"}, {"application", "application"}};
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        gint64 dbid = ctl_integer(by, parts[i].member, 0);
        const char *name = dbid != 0 ? ctl_place_name(ctl, parts[i].type, dbid) : NULL;
        if (dbid != 0)
            g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "  by ", name != NULL ? name : "?");
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
note_changes(ConfcClient *client, JsonObject *changes, Watch *watch)
{
    g_queue_push_tail(&watch->queue, json_object_ref(changes));
}

static void
note_reset(ConfcClient *client, gint64 revision, const char *reason, Watch *watch)
{
    ctl_warn("some changes before revision %" G_GINT64_FORMAT " are not known (%s)", revision, reason);
}

static void
note_disconnected(ConfcClient *client, const GError *error, gboolean will_reconnect, Watch *watch)
{
    if (will_reconnect) {
        ctl_warn("%s; trying again", error->message);
        return;
    }
    watch->is_over = true;
    if (error != NULL && watch->error == NULL)
        watch->error = g_error_copy(error);
}

static void
note_connected(ConfcClient *client, gboolean resumed, Watch *watch)
{
    ctl_warn("connected again to %s", confc_client_get_peer(client));
}

static gboolean
interrupted(void *data)
{
    Watch *watch = data;
    watch->is_over = true;
    return G_SOURCE_CONTINUE;
}
