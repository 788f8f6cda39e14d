/* history-as-of.c - asOf: objects as they were, one of them or all that changed since.
 *
 * The newest change of an object up to that revision says how it was, else the oldest after it, else it is
 * now what it was then. */
#include "history-methods-private.h"

#include <string.h>

enum { CHUNK_BYTES = 256 * 1024 }; /* so much is handed to the core in one turn */

typedef struct {
    void (*done)(const char *object_json, const GError *error, void *data);
    void *data;
    HistoryCaller *caller;
    char *type, *body, *last_rights;
    int64_t dbid, revision, upto, oldest;
    bool is_unchanged; /* no change is known: as it is now */
} Past;

/* An object on its way to the core. */
typedef struct {
    char *type, *body, *last_rights;
    int64_t dbid;
} Row;

typedef struct {
    bool (*func)(const char *type, int64_t dbid, const char *object_json, const char *last_rights,
                 void *data);
    void (*done)(int64_t upto, const GError *error, void *data);
    void *data;
    int64_t revision, oldest;
    int64_t upto;     /* the newest entry when it began; 0: not begun */
    int64_t next;     /* where the next chunk begins */
    GHashTable *seen; /* "type/dbid" */
    GPtrArray *rows;
    bool is_complete;
} Since;

static char *query_past(HistoryReader *reader, void *data, GError **error);
static void past_read(History *history, char *result, const GError *error, void *data);
static void fail_past(const Past *past, bool found);
static char *query_since(HistoryReader *reader, void *data, GError **error);
static bool read_since(sqlite3 *db, Since *since, GError **error);
static bool take_changes(sqlite3 *db, Since *since, HistorySlice record, size_t *bytes, GError **error);
static void since_read(History *history, char *result, const GError *error, void *data);
static void free_row(void *data);

void
history_read_as_of(void *self, ConfSession *s, const char *type, int64_t dbid, int64_t revision,
                   void (*done)(const char *object_json, const GError *error, void *data), void *data)
{
    History *history = self;
    Past *past = g_new0(Past, 1);
    *past = (Past){.done = done,
                   .data = data,
                   .type = g_strdup(type),
                   .dbid = dbid,
                   .revision = revision,
                   .caller = history_caller_new(history, s)};
    history_query_call(history, query_past, past_read, past);
}

int64_t
history_get_oldest(void *self)
{
    const History *history = self;
    int64_t missing = history->state.breaks.missing;
    int64_t oldest = MAX(history->state.first, history->refused_oldest);
    return missing > 0 ? MAX(oldest, missing + 1) : oldest;
}

void
history_list_as_of(void *self, int64_t revision,
                   bool (*func)(const char *type, int64_t dbid, const char *object_json,
                                const char *last_rights, void *data),
                   void (*done)(int64_t upto, const GError *error, void *data), void *data)
{
    Since *since = g_new0(Since, 1);
    *since = (Since){.func = func, .done = done, .data = data, .revision = revision, .next = revision + 1};
    since->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    since->rows = g_ptr_array_new_with_free_func(free_row);
    history_query_call(self, query_since, since_read, since);
}

void
history_past_was_read(void *self, ConfSession *s, const char *method, const char *params_json)
{
    if (!conf_session_is_administrator(s))
        return;
    g_autofree char *what = g_strdup_printf("%s %s", method, params_json);
    history_audit_read(self, s, what);
}

static char *
query_past(HistoryReader *reader, void *data, GError **error)
{
    Past *past = data;
    sqlite3 *db = history_reader_get(reader);
    if (!history_past_begin(db, error))
        return NULL;
    bool fine = history_past_check(db, past->revision, &past->upto, &past->oldest, error) &&
                history_past_is_whole(db, past->revision, past->upto, &past->oldest, error) &&
                history_past_read(db, past->type, past->dbid, past->revision, &past->body,
                                  &past->is_unchanged, error);
    GError *failure = NULL;
    if (fine && past->body != NULL)
        past->last_rights = history_past_last_rights(db, past->type, past->dbid, &failure);
    history_past_end(db);
    if (failure != NULL)
        g_propagate_error(error, failure);
    return fine && failure == NULL ? g_strdup("") : NULL;
}

static void
past_read(History *history, char *result, const GError *error, void *data)
{
    Past *past = data;
    history->refused_oldest = past->oldest;
    const ConfObject *now = conf_plugin_lookup(history->plugin, past->type, past->dbid);
    /* Changed since, or before, in a way that the file does not say (yet). */
    bool is_behind = past->upto < past->revision ||
                     (past->is_unchanged && now != NULL && conf_object_get_revision(now) > past->revision);
    ConfSession *session = past->caller->session;
    if (error != NULL) {
        past->done(NULL, error, past->data);
    } else if (is_behind) {
        g_autoptr(GError) behind = g_error_new(CONF_ERROR, CONF_ERROR_UNAVAILABLE, "The history is behind");
        past->done(NULL, behind, past->data);
    } else if (past->is_unchanged && now != NULL) {
        past->done(conf_object_get_json(now, NULL), NULL, past->data);
    } else {
        bool may = past->body != NULL && session != NULL &&
                   history_may_read(history, session, past->type, past->dbid, past->body, past->last_rights);
        fail_past(past, may);
    }
    history->refused_oldest = 0;
    history_caller_free(history, past->caller);
    g_free(result);
    g_free(past->type);
    g_free(past->body);
    g_free(past->last_rights);
    g_free(past);
}

static void
fail_past(const Past *past, bool found)
{
    g_autoptr(GError) missing = NULL;
    if (!found)
        missing = g_error_new(CONF_ERROR, CONF_ERROR_NOT_FOUND, "There was no such object");
    past->done(found ? past->body : NULL, missing, past->data);
}

static char *
query_since(HistoryReader *reader, void *data, GError **error)
{
    Since *since = data;
    sqlite3 *db = history_reader_get(reader);
    int64_t upto;
    if (!history_past_begin(db, error))
        return NULL;
    /* In each chunk anew: retention may have come between. */
    bool fine = history_past_check(db, since->revision, &upto, &since->oldest, error);
    if (fine && since->upto == 0) {
        since->upto = upto;
        fine = history_past_is_whole(db, since->revision, upto, &since->oldest, error);
    }
    fine = fine && read_since(db, since, error);
    history_past_end(db);
    return fine ? g_strdup("") : NULL;
}

/* Entries ascending: the first change of an object says how it was before. */
static bool
read_since(sqlite3 *db, Since *since, GError **error)
{
    sqlite3_stmt *find = history_sql_prepare(
        db, "SELECT revision, record FROM entry WHERE revision >= ?1 AND revision <= ?2 ORDER BY revision",
        error);
    if (find == NULL)
        return false;
    sqlite3_bind_int64(find, 1, since->next);
    sqlite3_bind_int64(find, 2, since->upto);
    size_t bytes = 0;
    int step = 1;
    bool fine = true;
    while (fine && bytes < CHUNK_BYTES && (step = history_sql_step(find, error)) == 1) {
        HistorySlice record = {history_sql_text(find, 1), (size_t)sqlite3_column_bytes(find, 1)};
        since->next = sqlite3_column_int64(find, 0) + 1;
        fine = take_changes(db, since, record, &bytes, error);
    }
    sqlite3_finalize(find);
    since->is_complete = step == 0;
    return fine && step >= 0;
}

static bool
take_changes(sqlite3 *db, Since *since, HistorySlice record, size_t *bytes, GError **error)
{
    HistoryScan scan;
    HistoryPiece piece;
    if (!history_pieces_begin(&scan, record)) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "A record of the history is broken");
        return false;
    }
    while (history_pieces_next(&scan, &piece)) {
        if (history_slice_is(piece.op, "permission") || history_slice_is(piece.op, "secret"))
            continue;
        g_autofree char *type = history_slice_dup(piece.type);
        char *key = g_strdup_printf("%s/%" G_GINT64_FORMAT, type, piece.dbid);
        *bytes += 64;
        if (!g_hash_table_add(since->seen, key))
            continue;
        GError *failure = NULL;
        Row *row = g_new0(Row, 1);
        g_ptr_array_add(since->rows, row);
        row->dbid = piece.dbid;
        row->body = history_slice_dup(piece.before);
        if (row->body != NULL)
            row->last_rights = history_past_last_rights(db, type, piece.dbid, &failure);
        row->type = g_steal_pointer(&type);
        *bytes += piece.before.size;
        if (failure != NULL) {
            g_propagate_error(error, failure);
            return false;
        }
    }
    return true;
}

static void
since_read(History *history, char *result, const GError *error, void *data)
{
    Since *since = data;
    bool wanted = true;
    g_free(result);
    for (unsigned i = 0; i < since->rows->len && wanted && error == NULL; i++) {
        const Row *row = since->rows->pdata[i];
        wanted = since->func(row->type, row->dbid, row->body, row->last_rights, since->data);
    }
    g_ptr_array_set_size(since->rows, 0);
    if (error == NULL && wanted && !since->is_complete) {
        history_query_call(history, query_since, since_read, since);
        return;
    }
    history->refused_oldest = since->oldest;
    since->done(since->upto, error, since->data);
    history->refused_oldest = 0;
    g_hash_table_unref(since->seen);
    g_ptr_array_unref(since->rows);
    g_free(since);
}

static void
free_row(void *data)
{
    Row *row = data;
    g_free(row->type);
    g_free(row->body);
    g_free(row->last_rights);
    g_free(row);
}
