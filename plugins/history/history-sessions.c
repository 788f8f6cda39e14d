/* history-sessions.c - history.sessions: who was connected when, from where, as what, and who was refused;
 * newest first, for administrators. */
#include "history-methods-private.h"

#include <string.h>

enum { PAGE_BYTES = 900 * 1000, LATER_MS = 60000 };

typedef struct {
    int64_t user, since_ms, until_ms, limit, id;
    int64_t since, until; /* revisions */
    char *user_name;
} Search;

typedef struct {
    int64_t time_ms;
    char *reason;
} End;

static bool read_search(Search *search, ConfRequest *request, const History *history);
static char *query_sessions(HistoryReader *reader, void *data, GError **error);
static bool time_of_revision(sqlite3 *db, int64_t revision, bool is_end, int64_t *time_ms, GError **error);
static char *write_page(sqlite3_stmt *find, const Search *search, GError **error);
static void note_end(sqlite3_stmt *find, int64_t session, GHashTable *ends);
static bool is_wanted(sqlite3_stmt *find, const Search *search);
static char *row_to_json(sqlite3_stmt *find, const End *end);
static void write_text(ConfJsonWriterHandle *w, const char *key, const char *text);
static void free_end(void *data);
static void free_search(void *data);

void
history_sessions_method(void *self, ConfRequest *request)
{
    History *history = self;
    ConfSession *session = conf_request_get_owner(request);
    Search *search = g_new0(Search, 1);
    if (!read_search(search, request, history)) {
        free_search(search);
        return;
    }
    if (!conf_session_is_administrator(session)) {
        conf_request_answer_error(request, -32005, "Only administrators may see who was connected.", NULL);
        free_search(search);
        return;
    }
    history_audit_read(history, session, "history.sessions");
    history_query(history, conf_request_later(request, LATER_MS, NULL, NULL), query_sessions, search,
                  free_search);
}

static bool
read_search(Search *search, ConfRequest *request, const History *history)
{
    static const char *const names[] = {"user", "since", "until", "limit", "cursor", NULL};
    const char *text = NULL;
    *search = (Search){.since_ms = G_MININT64,
                       .until_ms = G_MAXINT64,
                       .id = G_MAXINT64,
                       .since = -1,
                       .until = -1,
                       .limit = history->settings.max_records};
    const ConfJson *params = history_params(request, names);
    if (params == NULL || !history_param_who(request, params, "user", &search->user, &text) ||
        !history_param_moment(request, params, "since", &search->since, &search->since_ms) ||
        !history_param_moment(request, params, "until", &search->until, &search->until_ms) ||
        !history_param_integer(request, params, "limit", 1, 10000, &search->limit))
        return false;
    search->user_name = g_strdup(text);
    search->limit = MIN(search->limit, history->settings.max_records);
    const ConfJson *cursor = conf_value_member(params, "cursor");
    if (cursor == NULL || history_cursor_read(conf_value_string(cursor), &search->id, NULL))
        return true;
    history_refuse(request, "/cursor", "This is no cursor of history.sessions.");
    return false;
}

/* From the newest row on, so that the end of a session is known where its beginning comes.  Numbers of
 * sessions begin anew with each process: an end belongs to the next beginning below it. */
static char *
query_sessions(HistoryReader *reader, void *data, GError **error)
{
    Search *search = data;
    sqlite3 *db = history_reader_get(reader);
    if ((search->since >= 0 && !time_of_revision(db, search->since, false, &search->since_ms, error)) ||
        (search->until >= 0 && !time_of_revision(db, search->until, true, &search->until_ms, error)))
        return NULL;
    sqlite3_stmt *find = history_sql_prepare(
        db,
        "SELECT id, time, kind, user, user_name, application, application_name, address, detail, session FROM audit "
        "ORDER BY id DESC",
        error);
    if (find == NULL)
        return NULL;
    char *json = write_page(find, search, error);
    sqlite3_finalize(find);
    return json;
}

/* Of the first entry at or above it, or of the last one at or below it. */
static bool
time_of_revision(sqlite3 *db, int64_t revision, bool is_end, int64_t *time_ms, GError **error)
{
    sqlite3_stmt *find =
        history_sql_prepare(db,
                            is_end ? "SELECT time FROM entry WHERE revision > ?1 ORDER BY revision LIMIT 1"
                                   : "SELECT time FROM entry WHERE revision >= ?1 ORDER BY revision LIMIT 1",
                            error);
    if (find == NULL)
        return false;
    sqlite3_bind_int64(find, 1, revision);
    int step = history_sql_step(find, error);
    if (step == 1)
        *time_ms = is_end ? sqlite3_column_int64(find, 0) - 1 : sqlite3_column_int64(find, 0);
    else if (!is_end)
        *time_ms = G_MAXINT64; /* Nothing has happened since then. */
    sqlite3_finalize(find);
    return step >= 0;
}

static char *
write_page(sqlite3_stmt *find, const Search *search, GError **error)
{
    g_autoptr(GHashTable) ends = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, free_end);
    g_autoptr(GString) page = g_string_new("{\"sessions\":[");
    int64_t count = 0, last = 0;
    int step = 0;
    bool is_full = false;
    while (!is_full && (step = history_sql_step(find, error)) == 1) {
        const char *kind = history_sql_text(find, 2);
        int64_t session = sqlite3_column_int64(find, 9);
        if (strcmp(kind, "closed") == 0) {
            note_end(find, session, ends);
            continue;
        }
        const End *end = g_hash_table_lookup(ends, &session);
        if (is_wanted(find, search)) {
            g_autofree char *row = row_to_json(find, end);
            is_full = count == search->limit || (count > 0 && page->len + strlen(row) > PAGE_BYTES);
            if (!is_full)
                g_string_append_printf(page, "%s%s", count++ > 0 ? "," : "", row);
        }
        if (!is_full)
            last = sqlite3_column_int64(find, 0);
        if (strcmp(kind, "opened") == 0)
            g_hash_table_remove(ends, &session);
    }
    if (step < 0)
        return NULL;
    g_string_append_c(page, ']');
    if (is_full)
        g_string_append_printf(page, ",\"cursor\":\"%" G_GINT64_FORMAT "\"", last);
    g_string_append_c(page, '}');
    return g_string_free(g_steal_pointer(&page), FALSE);
}

static void
note_end(sqlite3_stmt *find, int64_t session, GHashTable *ends)
{
    End *end = g_new0(End, 1);
    *end = (End){sqlite3_column_int64(find, 1), g_strdup(history_sql_text(find, 8))};
    g_hash_table_replace(ends, g_memdup2(&session, sizeof session), end);
}

/* Reads of the past are no sessions; they stand in the export of the audit. */
static bool
is_wanted(sqlite3_stmt *find, const Search *search)
{
    int64_t time = sqlite3_column_int64(find, 1);
    return sqlite3_column_int64(find, 0) < search->id && time >= search->since_ms &&
           time <= search->until_ms && strcmp(history_sql_text(find, 2), "read") != 0 &&
           (search->user == 0 || sqlite3_column_int64(find, 3) == search->user) &&
           (search->user_name == NULL || strcmp(history_sql_text(find, 4), search->user_name) == 0);
}

static char *
row_to_json(sqlite3_stmt *find, const End *end)
{
    ConfJsonWriterHandle *w = conf_writer_new();
    g_autofree char *time = history_time_text(sqlite3_column_int64(find, 1));
    const char *kind = history_sql_text(find, 2);
    bool is_session = strcmp(kind, "opened") == 0 || strcmp(kind, "resumed") == 0;
    conf_writer_begin_object(w);
    write_text(w, "time", time);
    write_text(w, "kind", kind);
    write_text(w, "user", history_sql_text(find, 4));
    write_text(w, "application", history_sql_text(find, 6));
    write_text(w, "address", history_sql_text(find, 7));
    if (is_session && end != NULL) {
        g_autofree char *until = history_time_text(end->time_ms);
        write_text(w, "until", until);
        write_text(w, "reason", end->reason);
    } else if (!is_session) {
        write_text(w, "reason", history_sql_text(find, 8));
    }
    conf_writer_end_object(w);
    return conf_writer_finish(w);
}

/* An application as itself has no user. */
static void
write_text(ConfJsonWriterHandle *w, const char *key, const char *text)
{
    if (text[0] == '\0')
        return;
    conf_writer_key(w, key);
    conf_writer_string(w, text);
}

static void
free_end(void *data)
{
    g_free(((End *)data)->reason);
    g_free(data);
}

static void
free_search(void *data)
{
    g_free(((Search *)data)->user_name);
    g_free(data);
}
