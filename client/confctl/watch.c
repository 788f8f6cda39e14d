/* watch.c - the command watch: changes as they happen, until interrupted.
 *
 * Changes are queued by the client's signal and printed from the outer loop, since names may have to be
 * asked for, and asking runs the main loop, in which further changes come. */
#include "confctl.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { QUEUE_MAX = 10000 };

typedef struct {
    Ctl *ctl;
    GQueue queue; /* JsonObject */
    bool is_over;
    GError *error;
} Watch;

static bool run_watch(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool subscribe(Ctl *ctl, const char *what, GError **error);
static bool subscribe_to(Ctl *ctl, JsonObject *scope, GError **error);
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
     watch_options, 0, 1, run_watch, true},
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
        fine = ctl_changes_print(ctl, changes, error);
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
    const char *type = confc_json_string(object, "type");
    gint64 dbid = confc_json_integer(object, "dbid", 0);
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

static void
note_changes(ConfcClient *client, JsonObject *changes, Watch *watch)
{
    if (watch->queue.length < QUEUE_MAX) {
        g_queue_push_tail(&watch->queue, json_object_ref(changes));
        return;
    }
    watch->is_over = true;
    if (watch->error == NULL)
        watch->error = g_error_new(CTL_ERROR, CTL_ERROR_REFUSED,
                                   "More than %d transactions came while one was being printed", QUEUE_MAX);
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
