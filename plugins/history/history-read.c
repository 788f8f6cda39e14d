/* history-read.c - queries of the file, in the worker pool: first what is queued is written, then the
 * query runs on a connection of its own, kept for the next one.
 *
 * A connection belongs to the file that stood at the path when it was opened; when the file is set aside,
 * connections to it are closed as they come back. */
#include "history-private.h"

#include <string.h>

enum { READERS_IDLE_MAX = 4, QUERY_SECONDS = 30, BUSY_MS = 1000, STEPS_BETWEEN_LOOKS = 10000 };

struct HistoryReader {
    sqlite3 *db;
    unsigned generation;
    int64_t until; /* monotonic usec: the query that runs ends then */
};

typedef struct {
    History *history;
    unsigned generation;
    HistoryQueryFunc run;
    HistoryDoneFunc done; /* NULL: `later` is answered */
    ConfLater *later;
    void *data;
    GDestroyNotify free_data;
    char *result;
    GError *error;
} Query;

static void start(History *history, void *data);
static void abandon(void *data);
static void work(void *data);
static void finished(void *self, void *data);
static HistoryReader *take_reader(Query *query);
static void give_reader(Query *query, HistoryReader *reader);
static int is_overdue(void *data);

sqlite3 *
history_reader_get(HistoryReader *reader)
{
    return reader->db;
}

void
history_query(History *history, ConfLater *later, HistoryQueryFunc run, void *data, GDestroyNotify free_data)
{
    Query *query = g_new0(Query, 1);
    *query = (Query){.history = history, .run = run, .later = later, .data = data, .free_data = free_data};
    history_store_flush(history, start, abandon, query);
}

void
history_query_call(History *history, HistoryQueryFunc run, HistoryDoneFunc done, void *data)
{
    Query *query = g_new0(Query, 1);
    *query = (Query){.history = history, .run = run, .done = done, .data = data};
    history_store_flush(history, start, abandon, query);
}

void
history_query_again(History *history, HistoryQueryFunc run, HistoryDoneFunc done, void *data)
{
    Query *query = g_new0(Query, 1);
    *query = (Query){.history = history, .run = run, .done = done, .data = data};
    start(history, query);
}

void
history_fail_later(ConfLater *later, const GError *error)
{
    if (error->domain == CONF_PLUGIN_RPC_ERROR) {
        conf_later_finish(later, CONF_REFUSE, g_error_copy(error));
        return;
    }
    bool gone = g_error_matches(error, CONF_ERROR, CONF_ERROR_NOT_FOUND) ||
                g_error_matches(error, CONF_ERROR, CONF_ERROR_INVALID);
    /* -32011: what a damaged file holds is not told as if it were whole. */
    conf_later_finish(later, CONF_REFUSE,
                      gone ? g_error_new_literal(CONF_PLUGIN_RPC_ERROR, -32011, error->message)
                           : g_error_new_literal(CONF_ERROR, CONF_ERROR_UNAVAILABLE, error->message));
}

void
history_reader_free(HistoryReader *reader)
{
    sqlite3_close(reader->db);
    g_free(reader);
}

static void
start(History *history, void *data)
{
    Query *query = data;
    query->generation = history->state.opens;
    if (conf_work(history->plugin, work, finished, query))
        return;
    query->error = g_error_new(CONF_ERROR, CONF_ERROR_UNAVAILABLE, "The server has too much to do");
    finished(history, query);
}

static void
abandon(void *data)
{
    Query *query = data;
    query->error = g_error_new(CONF_ERROR, CONF_ERROR_UNAVAILABLE, "The server is stopping");
    finished(query->history, query);
}

static void
work(void *data)
{
    Query *query = data;
    HistoryReader *reader = take_reader(query);
    if (reader == NULL)
        return;
    reader->until = g_get_monotonic_time() + (int64_t)QUERY_SECONDS * G_USEC_PER_SEC;
    query->result = query->run(reader, query->data, &query->error);
    give_reader(query, reader);
}

static void
finished(void *self, void *data)
{
    History *history = self;
    Query *query = data;
    if (g_error_matches(query->error, CONF_ERROR, CONF_ERROR_INVALID)) {
        history->damages++;
        history_writer_ask(history->writer, HISTORY_ASK_CHECK);
    }
    if (query->done != NULL) {
        query->done(history, query->result, query->error, query->data);
    } else {
        if (query->error != NULL)
            history_fail_later(query->later, query->error);
        else
            conf_later_answer(query->later, query->result);
        g_free(query->result);
        if (query->free_data != NULL)
            query->free_data(query->data);
    }
    g_clear_error(&query->error);
    g_free(query);
}

/* NULL: query->error. */
static HistoryReader *
take_reader(Query *query)
{
    History *history = query->history;
    HistoryReader *reader;
    g_mutex_lock(&history->reader_lock);
    while ((reader = g_queue_pop_tail(&history->readers)) != NULL && reader->generation != query->generation)
        history_reader_free(reader);
    g_mutex_unlock(&history->reader_lock);
    if (reader != NULL)
        return reader;
    reader = g_new0(HistoryReader, 1);
    reader->generation = query->generation;
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(history->path, &reader->db, flags, NULL);
    if (code != SQLITE_OK)
        history_sql_fail(reader->db, code, &query->error);
    if (code == SQLITE_OK && history_sql_exec(reader->db,
                                              "PRAGMA query_only = ON; PRAGMA cache_size = -4096;"
                                              "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF",
                                              &query->error)) {
        sqlite3_busy_timeout(reader->db, BUSY_MS);
        sqlite3_progress_handler(reader->db, STEPS_BETWEEN_LOOKS, is_overdue, reader);
        return reader;
    }
    history_reader_free(reader);
    return NULL;
}

static void
give_reader(Query *query, HistoryReader *reader)
{
    History *history = query->history;
    /* A query that failed may have left a read transaction. */
    bool usable = query->error == NULL && sqlite3_get_autocommit(reader->db) != 0 &&
                  sqlite3_next_stmt(reader->db, NULL) == NULL;
    g_mutex_lock(&history->reader_lock);
    if (usable && history->readers.length < READERS_IDLE_MAX)
        g_queue_push_tail(&history->readers, g_steal_pointer(&reader));
    g_mutex_unlock(&history->reader_lock);
    if (reader != NULL)
        history_reader_free(reader);
}

static int
is_overdue(void *data)
{
    return g_get_monotonic_time() > ((HistoryReader *)data)->until;
}
