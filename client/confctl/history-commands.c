/* history-commands.c - history (with its export and its sessions) and verify. */
#include "history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SHOWN_MAX = 100 };

typedef struct {
    Ctl *ctl;
    CtlTable *table; /* of the page; NULL: JSON */
    unsigned pages;
    gint64 done;
} Listing;

typedef struct {
    FILE *stream;
    const char *name;
    CtlProgress progress;
    gint64 done;
} Writing;

static bool run_verify(Ctl *ctl, char **arguments, unsigned count, GError **error);
static JsonObject *make_query(Ctl *ctl, const char *what, bool are_sessions, GError **error);
static bool add_person(Ctl *ctl, JsonObject *query, bool are_sessions, GError **error);
static bool add_what(Ctl *ctl, const char *what, JsonObject *query, GError **error);
static bool show_list(Ctl *ctl, JsonObject *query, GError **error);
static bool print_page(JsonArray *entries, void *data, GError **error);
static char *join_members(JsonObject *before, JsonObject *after);
static bool show_sessions(Ctl *ctl, JsonObject *query, GError **error);
static bool print_sessions(JsonArray *entries, void *data, GError **error);
static bool write_out(Ctl *ctl, JsonObject *query, GError **error);
static bool write_page(JsonArray *entries, void *data, GError **error);
static bool fail_writing(const char *name, GError **error);

static char *since, *until, *user, *application, *export_file;
static gint64 limit = -1;
const GOptionEntry ctl_history_options[] = {
    {"since", 0, 0, G_OPTION_ARG_STRING, &since, "Not what is older", "REVISION|TIME"},
    {"until", 0, 0, G_OPTION_ARG_STRING, &until, "Not what is newer", "REVISION|TIME"},
    {"by", 0, 0, G_OPTION_ARG_STRING, &user, "What this person did", "NAME|PATH|DBID"},
    {"by-application", 0, 0, G_OPTION_ARG_STRING, &application, "What was done with this application",
     "PATH|DBID"},
    {"limit", 'n', 0, G_OPTION_ARG_INT64, &limit, "At most so many entries (100); 0: all", "N"},
    {"export", 0, 0, G_OPTION_ARG_FILENAME, &export_file,
     "All entries as JSON Lines into a file; -: standard output", "FILE"},
    {NULL},
};

const CtlCommand ctl_history_commands[] = {
    {"history", "[PATH|TYPE/DBID|TYPE|sessions]", "Shows who changed what, newest first",
     "Of an object (deleted ones by TYPE/DBID), of a type, or of everything.  TIME is 2026-03-01, "
     "an RFC 3339\n"
     "time, or how long ago: 30m, 2h, 7d.  \"history sessions\" shows who was connected, and who "
     "was refused\n"
     "(for administrators).",
     ctl_history_options, 0, 1, ctl_run_history},
    {"diff", "PATH|TYPE/DBID REVISION [REVISION] | REVISION", "Shows what changed, field by field",
     "Of an object between a revision and another (or now), or all that one transaction did.", NULL, 1, 3,
     ctl_run_diff},
    {"revert", "REVISION | PATH|TYPE/DBID --to REVISION",
     "Takes a transaction back, or an object to what it was",
     "Shows what would change and asks, on a terminal.  Where later changes would be lost nothing "
     "is done, and\n"
     "they are shown, unless --force is given.  A deleted object is named by TYPE/DBID.",
     ctl_revert_options, 1, 1, ctl_run_revert},
    {"verify", "", "Checks that the server's history is whole and untouched", NULL, NULL, 0, 0, run_verify},
    {NULL},
};

bool
ctl_run_history(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    const char *what = count > 0 ? arguments[0] : NULL;
    bool are_sessions = g_strcmp0(what, "sessions") == 0;
    g_autoptr(JsonObject) query = make_query(ctl, are_sessions ? NULL : what, are_sessions, error);
    if (query == NULL)
        return false;
    if (export_file != NULL && are_sessions) {
        g_set_error_literal(error, CTL_ERROR, CTL_ERROR_USAGE,
                            "--export is for entries; use -o json for sessions");
        return false;
    }
    JsonObject *taken = json_object_ref(query);
    return are_sessions          ? show_sessions(ctl, taken, error)
           : export_file != NULL ? write_out(ctl, taken, error)
                                 : show_list(ctl, taken, error);
}

static bool
run_verify(Ctl *ctl, char **arguments, unsigned count, GError **error)
{
    g_autoptr(JsonObject) answer = ctl_history_request(ctl, "history.verify", NULL, error);
    if (answer == NULL)
        return false;
    bool is_fine = confc_json_boolean(answer, "ok");
    gint64 entries = confc_json_integer(answer, "entries", 0),
           broken = confc_json_integer(answer, "brokenAt", -1);
    if (ctl->json)
        ctl_print_json(answer);
    else if (is_fine)
        ctl_print("%" G_GINT64_FORMAT " entries, all as they were written", entries);
    if (is_fine)
        return true;
    g_autofree char *place =
        broken >= 0 ? g_strdup_printf(": at revision %" G_GINT64_FORMAT, broken) : g_strdup("");
    g_set_error(error, CTL_ERROR, CTL_ERROR_REFUSED, "The history is broken or was changed%s", place);
    return false;
}

static JsonObject *
make_query(Ctl *ctl, const char *what, bool are_sessions, GError **error)
{
    g_autoptr(JsonObject) query = json_object_new();
    const struct {
        const char *name, *text;
    } limits[] = {{"since", since}, {"until", until}};
    for (unsigned i = 0; i < G_N_ELEMENTS(limits); i++) {
        JsonNode *when = limits[i].text != NULL ? ctl_history_when(limits[i].text, error) : NULL;
        if (limits[i].text != NULL && when == NULL)
            return NULL;
        if (when != NULL)
            json_object_set_member(query, limits[i].name, when);
    }
    if (!add_person(ctl, query, are_sessions, error) || (what != NULL && !add_what(ctl, what, query, error)))
        return NULL;
    return g_steal_pointer(&query);
}

/* Who is gone is named by number; who was refused need never have been there. */
static bool
add_person(Ctl *ctl, JsonObject *query, bool are_sessions, GError **error)
{
    g_autofree char *type = NULL;
    gint64 dbid;
    if (user != NULL && ctl_history_revision(user, &dbid)) {
        json_object_set_int_member(query, "user", dbid);
    } else if (user != NULL && are_sessions && strchr(user, '/') == NULL) {
        json_object_set_string_member(query, "user", user);
    } else if (user != NULL) {
        if (!ctl_resolve_account(ctl, user, &type, &dbid, error))
            return false;
        json_object_set_int_member(query, "user", dbid);
    }
    if (application == NULL)
        return true;
    g_autofree char *application_type = NULL;
    g_autoptr(JsonArray) types = json_array_new();
    json_array_add_string_element(types, "application");
    if (!ctl_resolve(ctl, application, types, &application_type, &dbid, error))
        return false;
    json_object_set_int_member(query, "application", dbid);
    return true;
}

static bool
add_what(Ctl *ctl, const char *what, JsonObject *query, GError **error)
{
    g_autofree char *type = NULL;
    gint64 dbid;
    if (strchr(what, '/') == NULL) {
        if (!ctl_schema_load(ctl, error) || ctl_type(ctl, what, error) == NULL)
            return false;
        json_object_set_string_member(query, "type", what);
        return true;
    }
    if (!ctl_resolve(ctl, what, NULL, &type, &dbid, error))
        return false;
    json_object_set_string_member(query, "type", type);
    json_object_set_int_member(query, "dbid", dbid);
    return true;
}

static bool
show_list(Ctl *ctl, JsonObject *query, GError **error)
{
    Listing listing = {.ctl = ctl};
    gint64 most = limit < 0 ? SHOWN_MAX : limit;
    bool are_more = false;
    if (!ctl_history_list(ctl, "history.list", "entries", query, most, print_page, &listing, &are_more,
                          error))
        return false;
    if (are_more && limit < 0)
        ctl_warn("there is more: --limit N, or --limit 0 for all");
    return true;
}

static bool
print_page(JsonArray *entries, void *data, GError **error)
{
    Listing *listing = data;
    Ctl *ctl = listing->ctl;
    ctl_place_trim(ctl);
    if (!ctl->json && !ctl_history_want_places(ctl, entries, error))
        return false;
    CtlTable *table = listing->pages++ == 0
                          ? ctl_table_new("REVISION", "TIME", "BY", "FROM", "OP", "OBJECT", "MEMBERS", NULL)
                          : ctl_table_new("", "", "", "", "", "", "", NULL);
    for (unsigned i = 0; i < json_array_get_length(entries); i++) {
        JsonObject *entry = ctl_array_object(entries, i), *by = confc_json_object(entry, "by");
        if (ctl->json && entry != NULL)
            ctl_print_json(entry);
        if (ctl->json)
            continue;
        g_autofree char *revision =
                            g_strdup_printf("%" G_GINT64_FORMAT, confc_json_integer(entry, "revision", 0)),
                        *author = ctl_history_author(ctl, by), *origin = ctl_history_origin(by),
                        *path = ctl_history_path(ctl, entry),
                        *members = join_members(confc_json_object(entry, "before"),
                                                confc_json_object(entry, "after"));
        const char *time = confc_json_string(entry, "time"), *op = confc_json_string(entry, "op");
        ctl_table_add(table, revision, time != NULL ? time : "", author, origin, op != NULL ? op : "", path,
                      members, NULL);
    }
    if (!ctl->json && json_array_get_length(entries) > 0)
        ctl_table_print(ctl, table);
    else
        ctl_table_free(table);
    return true;
}

/* Of what was made or deleted all of them changed; that says nothing. */
static char *
join_members(JsonObject *before, JsonObject *after)
{
    g_autoptr(GString) text = g_string_new(NULL);
    JsonObject *sides[] = {after, before};
    for (unsigned i = 0; i < G_N_ELEMENTS(sides) && before != NULL && after != NULL; i++) {
        JsonObjectIter iter;
        const char *name;
        json_object_iter_init_ordered(&iter, sides[i]);
        while (json_object_iter_next_ordered(&iter, &name, NULL)) {
            bool is_new = i == 0 || !json_object_has_member(after, name);
            if (is_new && strcmp(name, "revision") != 0)
                g_string_append_printf(text, "%s%s", text->len > 0 ? ", " : "", name);
        }
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static bool
show_sessions(Ctl *ctl, JsonObject *query, GError **error)
{
    Listing listing = {.ctl = ctl};
    bool are_more = false;
    if (!ctl_history_list(ctl, "history.sessions", "sessions", query, limit < 0 ? SHOWN_MAX : limit,
                          print_sessions, &listing, &are_more, error))
        return false;
    if (are_more && limit < 0)
        ctl_warn("there is more: --limit N, or --limit 0 for all");
    return true;
}

/* Members as the server has them, since every release may say more of a session. */
static bool
print_sessions(JsonArray *sessions, void *data, GError **error)
{
    static const char *const columns[] = {"time",    "kind",  "user",  "application",
                                          "address", "until", "reason"};
    Listing *listing = data;
    CtlTable *table = ctl_table_new(listing->pages == 0 ? "TIME" : "", NULL);
    for (unsigned i = 1; i < G_N_ELEMENTS(columns); i++)
        ctl_table_add_column(table, listing->pages == 0 ? columns[i] : "");
    listing->pages++;
    for (unsigned i = 0; i < json_array_get_length(sessions); i++) {
        JsonObject *session = ctl_array_object(sessions, i);
        if (session == NULL)
            continue;
        if (listing->ctl->json) {
            ctl_print_json(session);
            continue;
        }
        for (unsigned c = 0; c < G_N_ELEMENTS(columns); c++) {
            JsonNode *value = json_object_get_member(session, columns[c]);
            g_autofree char *text = value != NULL ? ctl_scalar_text(value) : g_strdup("");
            if (c == 0)
                ctl_table_add(table, text, NULL);
            else
                ctl_table_add_cell(table, text);
        }
    }
    if (!listing->ctl->json && json_array_get_length(sessions) > 0)
        ctl_table_print(listing->ctl, table);
    else
        ctl_table_free(table);
    return true;
}

/* Under another name until it is whole: half a file is not mistaken for all. */
static bool
write_out(Ctl *ctl, JsonObject *query, GError **error)
{
    bool is_standard = strcmp(export_file, "-") == 0;
    g_autofree char *part = g_strconcat(export_file, ".part", NULL);
    Writing writing = {.stream = stdout, .name = is_standard ? "standard output" : export_file};
    if (!is_standard) {
        int file = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        writing.stream = file >= 0 ? fdopen(file, "w") : NULL;
    }
    if (writing.stream == NULL) {
        json_object_unref(query);
        return fail_writing(part, error);
    }
    ctl_progress_start(&writing.progress, "Exporting", 0);
    bool fine = ctl_history_list(ctl, "history.list", "entries", query, MAX(limit, 0), write_page, &writing,
                                 NULL, error);
    ctl_progress_end(&writing.progress);
    if (is_standard)
        return fine;
    bool is_kept = fine && fflush(writing.stream) == 0 && fsync(fileno(writing.stream)) == 0;
    bool is_closed = fclose(writing.stream) == 0;
    if (fine && (!is_kept || !is_closed || rename(part, export_file) != 0))
        fine = fail_writing(export_file, error);
    if (!fine)
        unlink(part);
    else
        ctl_warn("%" G_GINT64_FORMAT " entries written to %s", writing.done, export_file);
    return fine;
}

static bool
write_page(JsonArray *entries, void *data, GError **error)
{
    Writing *writing = data;
    for (unsigned i = 0; i < json_array_get_length(entries); i++) {
        g_autofree char *text = json_to_string(json_array_get_element(entries, i), FALSE);
        if (fputs(text, writing->stream) == EOF || fputc('\n', writing->stream) == EOF)
            return fail_writing(writing->name, error);
    }
    writing->done += json_array_get_length(entries);
    ctl_progress_show(&writing->progress, writing->done);
    return true;
}

static bool
fail_writing(const char *name, GError **error)
{
    g_set_error(error, CTL_ERROR, CTL_ERROR_REFUSED, "Cannot write %s: %s", name, g_strerror(errno));
    return false;
}
