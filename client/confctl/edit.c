/* edit.c - edit: an object as a text in the user's editor, and back; switchover. */
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 16 * 1024 * 1024 };

typedef struct {
    Ctl *ctl;
    JsonObject *object, *type; /* as the server has it */
    JsonObject *line;          /* as it was shown */
    char *file;
    bool is_kept; /* the text is of use to somebody */
} Editing;

static bool run_edit(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool run_switchover(Ctl *ctl, char **arguments, unsigned count, GError **error);
static bool edit(Editing *editing, GError **error);
static bool write_text(Editing *editing, GError **error);
static bool call_editor(const char *file, GError **error);
static void editor_ended(GObject *source, GAsyncResult *result, void *data);
static bool read_text(Editing *editing, JsonNode **text, GError **error);
static bool find_changes(Editing *editing, JsonObject *text, JsonObject *before, JsonObject *after,
                         JsonObject *patch, GError **error);
static bool find_change(Editing *editing, const char *name, JsonNode *wanted, JsonObject *before,
                        JsonObject *after, JsonObject *patch, GError **error);
static bool send(Editing *editing, JsonObject *patch, GError **error);

static gboolean assume_yes;
static const GOptionEntry yes_options[] = {
    {"yes", 'y', 0, G_OPTION_ARG_NONE, &assume_yes, "Do not ask", NULL},
    {NULL},
};

const CtlCommand ctl_edit_commands[] = {
    {"edit", "PATH|TYPE/DBID", "Changes an object in your editor",
     "The editor is VISUAL, EDITOR or vi.  What was changed is shown, and asked for on a terminal; "
     "where the object\n"
     "was changed by somebody else meanwhile nothing is done.  A member that is taken out is emptied.",
     yes_options, 1, 1, run_edit},
    {"switchover", "ROLE", "Makes the server take another role",
     "On its management port, with execute right on its application.", yes_options, 1, 1, run_switchover},
    {NULL},
};

static bool
run_edit(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    Editing editing = {.ctl = ctl};
    editing.object = ctl_schema_load(ctl, error) ? ctl_resolve_object(ctl, arguments[0], error) : NULL;
    editing.type =
        editing.object != NULL ? ctl_type(ctl, confc_json_string(editing.object, "type"), error) : NULL;
    g_autoptr(JsonArray) one = json_array_new();
    bool fine = editing.type != NULL;
    if (fine) {
        json_array_add_object_element(one, json_object_ref(editing.object));
        fine = ctl_place_want_objects(ctl, one, error);
    }
    if (fine) {
        /* An editor may stand open for hours; the connection need not. */
        g_object_set(ctl->client, "reconnect", TRUE, NULL);
        editing.line = ctl_make_line(ctl, editing.object);
        fine = edit(&editing, error);
    }
    if (editing.file != NULL && !fine && editing.is_kept)
        ctl_warn("your text is kept in %s", editing.file);
    else if (editing.file != NULL)
        unlink(editing.file);
    g_clear_pointer(&editing.line, json_object_unref);
    g_clear_pointer(&editing.object, json_object_unref);
    g_free(editing.file);
    return fine;
}

static bool
run_switchover(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    g_autofree char *question =
        g_strdup_printf("Let %s take the role %s?", confc_client_get_peer(ctl->client), arguments[0]);
    if (!assume_yes && !ctl_confirm(question)) {
        g_set_error_literal(error, CTL_ERROR, CTL_ERROR_REFUSED, "Nothing was changed");
        return false;
    }
    JsonObject *params = json_object_new();
    json_object_set_string_member(params, "role", arguments[0]);
    g_autoptr(JsonObject) answer = ctl_request(ctl, "server.switchRole", params, error);
    if (answer != NULL)
        ctl_print_json(answer);
    return answer != NULL;
}

static bool
edit(Editing *editing, GError **error)
{
    Ctl *ctl = editing->ctl;
    const char *type = confc_json_string(editing->object, "type");
    g_autoptr(JsonNode) text = NULL;
    g_autoptr(JsonObject) before = json_object_new(), after = json_object_new(), patch = json_object_new();
    if (!write_text(editing, error) || !call_editor(editing->file, error))
        return false;
    editing->is_kept = true;
    if (!read_text(editing, &text, error) ||
        !find_changes(editing, json_node_get_object(text), before, after, patch, error))
        return false;
    if (json_object_get_size(patch) == 0) {
        ctl_print("Nothing was changed");
        return true;
    }
    if (!ctl_compare_want(ctl, type, before, after, error))
        return false;
    ctl_print_styled(ctl, CTL_YELLOW, "~ %s %s", type, confc_json_string(editing->line, "path"));
    ctl_compare_print(ctl, type, before, after);
    if (!assume_yes && !ctl_confirm("Do this?")) {
        g_set_error_literal(error, CTL_ERROR, CTL_ERROR_REFUSED, "Nothing was changed");
        return false;
    }
    return send(editing, patch, error);
}

static bool
write_text(Editing *editing, GError **error)
{
    g_autoptr(JsonNode) node = ctl_node_object(json_object_ref(editing->line));
    g_autofree char *json = json_to_string(node, TRUE);
    g_autofree char *text = g_strconcat(json, "\n", NULL);
    int file = g_file_open_tmp("confctl-XXXXXX.json", &editing->file, error);
    if (file < 0) {
        g_prefix_error(error, "Cannot write a text to edit: ");
        return false;
    }
    close(file);
    return g_file_set_contents_full(editing->file, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, error);
}

typedef struct {
    bool is_over;
    GError *error;
} Ended;

/* The loop goes on meanwhile: the server may ask whether we are alive. */
static bool
call_editor(const char *file, GError **error)
{
    const char *editor = g_getenv("VISUAL") != NULL ? g_getenv("VISUAL") : g_getenv("EDITOR");
    g_autofree char *command =
        g_strdup_printf("%s \"$1\"", editor != NULL && editor[0] != '\0' ? editor : "vi");
    g_autoptr(GError) fault = NULL;
    g_autoptr(GSubprocess) process = g_subprocess_new(G_SUBPROCESS_FLAGS_STDIN_INHERIT, &fault, "/bin/sh",
                                                      "-c", command, "sh", file, NULL);
    Ended ended = {0};
    if (process != NULL) {
        /* What is typed into the editor is the editor's. */
        void (*former)(int) = signal(SIGINT, SIG_IGN);
        g_subprocess_wait_check_async(process, NULL, editor_ended, &ended);
        while (!ended.is_over)
            g_main_context_iteration(NULL, TRUE);
        signal(SIGINT, former);
        fault = g_steal_pointer(&ended.error);
    }
    if (fault == NULL)
        return true;
    g_set_error(error, CTL_ERROR, CTL_ERROR_REFUSED, "The editor failed, nothing was changed: %s",
                fault->message);
    return false;
}

static void
editor_ended(GObject *source, GAsyncResult *result, void *data)
{
    Ended *ended = data;
    g_subprocess_wait_check_finish(G_SUBPROCESS(source), result, &ended->error);
    ended->is_over = true;
}

static bool
read_text(Editing *editing, JsonNode **text, GError **error)
{
    g_autofree char *contents = NULL;
    gsize size = 0;
    if (!g_file_get_contents(editing->file, &contents, &size, error))
        return false;
    if (size > TEXT_MAX) {
        g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "The text is longer than %d bytes", TEXT_MAX);
        return false;
    }
    *text = ctl_parse_json(contents, (gssize)size, "The text", error);
    if (*text == NULL || JSON_NODE_HOLDS_OBJECT(*text))
        return *text != NULL;
    g_set_error_literal(error, CTL_ERROR, CTL_ERROR_USAGE, "The text must hold one JSON object");
    return false;
}

static bool
find_changes(Editing *editing, JsonObject *text, JsonObject *before, JsonObject *after, JsonObject *patch,
             GError **error)
{
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;
    json_object_iter_init_ordered(&iter, text);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        JsonNode *shown = json_object_get_member(editing->line, name);
        if (shown != NULL && json_node_equal(shown, value))
            continue;
        if (ctl_member_is_head(name) || ctl_field(editing->type, name) == NULL) {
            g_set_error(error, CTL_ERROR, CTL_ERROR_USAGE, "\"%s\" cannot be changed here%s", name,
                        strcmp(name, "path") == 0 ? "; use confctl mv" : "");
            return false;
        }
        if (!find_change(editing, name, value, before, after, patch, error))
            return false;
    }
    json_object_iter_init_ordered(&iter, editing->line);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        if (json_object_has_member(text, name) || ctl_member_is_head(name))
            continue;
        g_autoptr(JsonNode) unset = json_node_init_null(json_node_alloc());
        if (!find_change(editing, name, unset, before, after, patch, error))
            return false;
    }
    return true;
}

static bool
find_change(Editing *editing, const char *name, JsonNode *wanted, JsonObject *before, JsonObject *after,
            JsonObject *patch, GError **error)
{
    JsonObject *field = ctl_field(editing->type, name);
    g_autoptr(JsonNode) wire = ctl_value_to_wire(field, wanted, ctl_value_reference, editing->ctl, error);
    if (wire == NULL) {
        g_prefix_error(error, "%s: ", name);
        return false;
    }
    JsonNode *present = json_object_get_member(editing->object, name);
    JsonNode *difference = ctl_difference(field, present, wire);
    if (difference == NULL)
        return true;
    json_object_set_member(patch, name, difference);
    json_object_set_member(after, name, json_node_copy(wire));
    if (present != NULL)
        json_object_set_member(before, name, json_node_copy(present));
    return true;
}

static bool
send(Editing *editing, JsonObject *patch, GError **error)
{
    JsonObject *params = ctl_reference(confc_json_string(editing->object, "type"),
                                       confc_json_integer(editing->object, "dbid", 0));
    json_object_set_int_member(params, "ifRevision", confc_json_integer(editing->object, "revision", 0));
    json_object_set_object_member(params, "patch", json_object_ref(patch));
    g_autoptr(JsonObject) answer = ctl_request(editing->ctl, "object.update", params, error);
    if (answer == NULL)
        return false;
    if (editing->ctl->json)
        ctl_print_json(answer);
    else
        ctl_print("changed, revision %" G_GINT64_FORMAT, confc_json_integer(answer, "revision", 0));
    return true;
}
