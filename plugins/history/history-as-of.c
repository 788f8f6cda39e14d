/* history-as-of.c - objects as they were: the newest change up to that revision says so, else the oldest after it, else
 * the object is now what it was then. */
#include "history-private.h"

#include <string.h>

typedef struct {
    void (*done)(const char *object_json, const GError *error, void *data);
    void *data;
    char *type, *rights;
    int64_t dbid, revision;
    bool is_unchanged; /* no change is known: as it is now */
} Past;

static char *
find_side(sqlite3 *db, const Past *past, const char *sql, int *step, GError **error)
{
    sqlite3_stmt *find = history_sql_prepare(db, sql, error);
    if (find == NULL) {
        *step = -1;
        return NULL;
    }
    sqlite3_bind_text(find, 1, past->type, -1, SQLITE_STATIC);
    sqlite3_bind_int64(find, 2, past->dbid);
    sqlite3_bind_int64(find, 3, past->revision);
    *step = history_sql_step(find, error);
    char *text = *step == 1 ? g_strdup((const char *)sqlite3_column_text(find, 0)) : NULL;
    sqlite3_finalize(find);
    return text;
}

static char *
query_past(HistoryReader *reader, void *data, GError **error)
{
    Past *past = data;
    sqlite3 *db = history_reader_get(reader);
    HistoryMark first;
    bool sealed;
    int step;
    if (!history_sql_mark(db, "entry-first", &first, &sealed, error))
        return NULL;
    if (past->revision < first.position) {
        g_set_error(error, CONF_PLUGIN_RPC_ERROR, -32011, "The history does not reach back to that revision");
        return NULL;
    }
    char *text = find_side(db, past,
                           "SELECT json_extract(e.record, '$.changes[' || c.ordinal || '].after') FROM change c "
                           "JOIN entry e ON e.revision = c.revision WHERE c.type = ?1 AND c.dbid = ?2 AND "
                           "c.revision <= ?3 ORDER BY c.revision DESC LIMIT 1",
                           &step, error);
    if (step == 0)
        text = find_side(db, past,
                         "SELECT json_extract(e.record, '$.changes[' || c.ordinal || '].before') FROM change c "
                         "JOIN entry e ON e.revision = c.revision WHERE c.type = ?1 AND c.dbid = ?2 AND "
                         "c.revision > ?3 ORDER BY c.revision LIMIT 1",
                         &step, error);
    past->is_unchanged = step == 0;
    if (step == 1 && text == NULL)
        g_set_error(error, CONF_ERROR, CONF_ERROR_NOT_FOUND, "The object was not there then");
    return text;
}

static void
past_read(History *history, char *result, const GError *error, void *data)
{
    Past *past = data;
    const ConfObject *now =
        past->is_unchanged ? conf_plugin_lookup(history->plugin, past->type, past->dbid) : NULL;
    g_autoptr(GError) missing = NULL;
    if (error == NULL && result == NULL && now == NULL)
        missing = g_error_new(CONF_ERROR, CONF_ERROR_NOT_FOUND, "There is no such object");
    if (error != NULL || missing != NULL)
        past->done(NULL, error != NULL ? error : missing, past->data);
    else
        past->done(result != NULL ? result : conf_object_get_json(now, NULL), NULL, past->data);
    g_free(result);
    g_free(past->type);
    g_free(past);
}

void
history_read_as_of(void *self, ConfSession *s, const char *type, int64_t dbid, int64_t revision,
                   void (*done)(const char *object_json, const GError *error, void *data), void *data)
{
    History *history = self;
    /* What is gone is shown to those who may see everything: its last rights stand with its deletion. */
    if (conf_plugin_lookup(history->plugin, type, dbid) == NULL && !conf_session_is_administrator(s)) {
        g_autoptr(GError) error = g_error_new(CONF_ERROR, CONF_ERROR_NOT_FOUND, "There is no such object");
        done(NULL, error, data);
        return;
    }
    Past *past = g_new0(Past, 1);
    *past = (Past){.done = done, .data = data, .type = g_strdup(type), .dbid = dbid, .revision = revision};
    history_query_call(history, query_past, past_read, past);
}
