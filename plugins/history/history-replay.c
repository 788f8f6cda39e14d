/* history-replay.c - change records for clients and replicas that missed more than the memory holds: read
 * in pages by the worker pool, handed to the core in slices of the main loop, the next page read
 * meanwhile.
 *
 * Only what follows without a gap is handed out: a revision that is missing, a fold, a record that is not
 * the one that its chain was made of, or what is older than option expiration ends it with
 * CONF_ERROR_NOT_FOUND. */
#include "history-private.h"

#include <string.h>

/* Many ask for a few hundred kilobytes and come again: the first page is of about that size, and nothing
 * is read ahead before somebody has wanted more. */
enum {
    PAGE_ROWS = 1000,
    FIRST_BYTES = 320 * 1024,
    PAGE_BYTES = 1024 * 1024,
    SLICE_USEC = 2000,
    LOOK_EVERY = 16
};

typedef struct {
    char *record;
    char chain[HISTORY_CHAIN_SIZE];
} Record;

typedef struct {
    GArray *records;     /* Record */
    int64_t after, upto; /* revisions: of the records before and at the end */
    int64_t expired;     /* what is not above it is too old */
    int64_t replay_from; /* behind the break that ends the replay; 0: none was met */
    size_t size_limit;
    bool more, changed;             /* changed: a record is not as it was written */
    char chain[HISTORY_CHAIN_SIZE]; /* of `upto`; "": not known */
    GError *error;                  /* what ends the replay after these records */
} Page;

struct HistoryReplay {
    History *history;
    bool (*func)(const char *record_json, const char *chain, void *data);
    void (*done)(const GError *error, void *data);
    void *data;
    int64_t target; /* the revision that the server stood at */
    Page *page;     /* being handed out; NULL: none yet */
    unsigned position;
    Page *next;                          /* read ahead */
    bool is_reading, is_over, is_wanted; /* is_wanted: more than the first page is */
};

static void read_page(HistoryReplay *replay, int64_t after, bool first);
static char *query_page(HistoryReader *reader, void *data, GError **error);
static void find_chain(sqlite3 *db, Page *page);
static void find_start(sqlite3 *db, Page *page);
static bool take_row(Page *page, sqlite3_stmt *row);
static bool is_as_written(const Page *page, sqlite3_stmt *row);
static void page_read(History *history, char *result, const GError *error, void *data);
static void hand_out(void *self, void *data);
static bool hand_out_some(HistoryReplay *replay);
static void end(HistoryReplay *replay, const GError *error);
static void replay_free(HistoryReplay *replay);
static void page_free(Page *page);
static void clear_record(void *data);

typedef struct {
    HistoryReplay *replay;
    Page *page;
} Reading;

void
history_replay(void *self, int64_t after,
               bool (*func)(const char *record_json, const char *chain, void *data),
               void (*done)(const GError *error, void *data), void *data)
{
    History *history = self;
    HistoryReplay *replay = g_new0(HistoryReplay, 1);
    *replay = (HistoryReplay){.history = history, .func = func, .done = done, .data = data};
    replay->target = conf_plugin_get_revision(history->plugin);
    history->replays++;
    g_queue_push_tail(&history->replaying, replay);
    read_page(replay, after, true);
}

void
history_replay_end(History *history)
{
    g_autoptr(GError) error = g_error_new(CONF_ERROR, CONF_ERROR_UNAVAILABLE, "The server is stopping");
    while (history->replaying.length > 0)
        end(g_queue_peek_head(&history->replaying), error);
}

int64_t
history_get_replay_start(void *self, int64_t upto)
{
    const History *history = self;
    const HistoryState *state = &history->state;
    int64_t newest = state->failing ? state->last : history->queued_revision;
    if (history->is_behind || history_store_known(history) == 0 || newest < upto)
        return upto;
    int64_t start =
        MAX(MAX(state->first, state->breaks.expired), MAX(state->breaks.replay_from, history->replay_from));
    return MIN(start, upto);
}

static void
read_page(HistoryReplay *replay, int64_t after, bool first)
{
    Page *page = g_new0(Page, 1);
    page->records = g_array_new(FALSE, FALSE, sizeof(Record));
    g_array_set_clear_func(page->records, clear_record);
    page->after = page->upto = after;
    page->size_limit = first ? FIRST_BYTES : PAGE_BYTES;
    page->expired = replay->history->state.breaks.expired;
    replay->is_reading = true;
    Reading *reading = g_new(Reading, 1);
    *reading = (Reading){replay, page};
    if (first)
        history_query_call(replay->history, query_page, page_read, reading);
    else
        history_query_again(replay->history, query_page, page_read, reading);
}

static char *
query_page(HistoryReader *reader, void *data, GError **error)
{
    Page *page = ((Reading *)data)->page;
    if (page->after < page->expired) {
        g_set_error(&page->error, CONF_ERROR, CONF_ERROR_NOT_FOUND,
                    "Changes as old as those after revision %" G_GINT64_FORMAT
                    " are not replayed (option expiration)",
                    page->after);
        return NULL;
    }
    sqlite3_stmt *rows =
        history_sql_prepare(history_reader_get(reader),
                            "SELECT revision, from_revision, chain, record, linked FROM entry "
                            "WHERE revision > ?1 ORDER BY revision LIMIT ?2",
                            error);
    if (rows == NULL)
        return NULL;
    find_chain(history_reader_get(reader), page);
    sqlite3_bind_int64(rows, 1, page->after);
    sqlite3_bind_int(rows, 2, PAGE_ROWS);
    size_t bytes = 0;
    int step = 0;
    while (bytes < page->size_limit && page->error == NULL && (step = history_sql_step(rows, error)) == 1) {
        bytes += (size_t)sqlite3_column_bytes(rows, 3);
        take_row(page, rows);
    }
    if (page->error != NULL)
        find_start(history_reader_get(reader), page);
    page->more = page->error == NULL && (bytes >= page->size_limit || page->records->len == PAGE_ROWS);
    sqlite3_finalize(rows);
    return NULL;
}

/* Of the revision before the page: an entry, or where the entries begin. */
static void
find_chain(sqlite3 *db, Page *page)
{
    sqlite3_stmt *find =
        history_sql_prepare(db,
                            "SELECT chain FROM entry WHERE revision = ?1 UNION ALL "
                            "SELECT chain FROM mark WHERE name = 'entry-first' AND position = ?1 LIMIT 1",
                            NULL);
    if (find == NULL)
        return;
    sqlite3_bind_int64(find, 1, page->after);
    if (history_sql_step(find, NULL) == 1)
        g_strlcpy(page->chain, history_sql_text(find, 0), sizeof page->chain);
    sqlite3_finalize(find);
}

static bool
take_row(Page *page, sqlite3_stmt *row)
{
    int64_t revision = sqlite3_column_int64(row, 0);
    const char *text = history_sql_text(row, 3);
    size_t size = (size_t)sqlite3_column_bytes(row, 3);
    if (revision != page->upto + 1 || sqlite3_column_int64(row, 1) != 0 || memchr(text, '\0', size) != NULL) {
        g_set_error(&page->error, CONF_ERROR, CONF_ERROR_NOT_FOUND,
                    "The history has a gap after revision %" G_GINT64_FORMAT, page->upto);
        return false;
    }
    if (!is_as_written(page, row)) {
        page->changed = true;
        page->replay_from = revision;
        g_set_error(&page->error, CONF_ERROR, CONF_ERROR_NOT_FOUND,
                    "The history of revision %" G_GINT64_FORMAT " was changed from outside", revision);
        return false;
    }
    Record record = {.record = g_strndup(text, size)};
    g_strlcpy(record.chain, history_sql_text(row, 2), sizeof record.chain);
    g_strlcpy(page->chain, record.chain, sizeof page->chain);
    g_array_append_val(page->records, record);
    page->upto = revision;
    return true;
}

/* Who is told that this replay breaks off is told from where one would not. */
static void
find_start(sqlite3 *db, Page *page)
{
    HistoryBreaks breaks;
    g_autoptr(GError) error = NULL;
    if (history_breaks_find(db, &breaks, &error))
        page->replay_from = MAX(page->replay_from, breaks.replay_from);
}

/* Clients are not told what nobody has done. */
static bool
is_as_written(const Page *page, sqlite3_stmt *row)
{
    uint8_t link[HISTORY_DIGEST_SIZE];
    char chain[HISTORY_CHAIN_SIZE];
    if (sqlite3_column_int(row, 4) == 0 || page->chain[0] == '\0')
        return true;
    history_digest_link(page->chain, history_sql_text(row, 3), (size_t)sqlite3_column_bytes(row, 3), link,
                        chain);
    return strcmp(chain, history_sql_text(row, 2)) == 0;
}

static void
page_read(History *history, char *result, const GError *error, void *data)
{
    Reading *reading = data;
    HistoryReplay *replay = reading->replay;
    Page *page = reading->page;
    g_free(reading);
    g_free(result);
    replay->is_reading = false;
    if (replay->is_over) {
        page_free(page);
        replay_free(replay);
        return;
    }
    if (error != NULL && page->error == NULL)
        page->error = g_error_copy(error);
    history->replay_from = MAX(history->replay_from, page->replay_from);
    if (page->changed) {
        history->damages++;
        conf_plugin_log(history->plugin, 0, "The history was changed from outside", "reason",
                        page->error->message, NULL);
    }
    replay->next = page;
    if (replay->page == NULL)
        hand_out(history, replay);
}

static void
hand_out(void *self, void *data)
{
    HistoryReplay *replay = data;
    if (replay->page == NULL) {
        replay->page = g_steal_pointer(&replay->next);
        replay->position = 0;
        if (replay->page->more && replay->is_wanted)
            read_page(replay, replay->page->upto, false);
    }
    if (hand_out_some(replay)) {
        conf_plugin_call_main(((History *)self)->plugin, hand_out, replay);
        return;
    }
    if (replay->is_over)
        return;
    /* This page is through. */
    g_autoptr(GError) error = g_steal_pointer(&replay->page->error);
    bool more = replay->page->more;
    int64_t upto = replay->page->upto;
    bool ends = error == NULL && !more && upto < replay->target;
    /* It should be there. */
    if (ends && replay->history->state.last > upto)
        replay->history->replay_from = MAX(replay->history->replay_from, replay->history->state.last);
    if (ends)
        error = g_error_new(CONF_ERROR, CONF_ERROR_NOT_FOUND,
                            "The history ends at revision %" G_GINT64_FORMAT, upto);
    g_clear_pointer(&replay->page, page_free);
    replay->is_wanted = true;
    if (error != NULL || !more)
        end(replay, error);
    else if (!replay->is_reading && replay->next == NULL)
        read_page(replay, upto, false);
    else if (replay->next != NULL)
        conf_plugin_call_main(((History *)self)->plugin, hand_out, replay);
}

/* True: there is more in this page. */
static bool
hand_out_some(HistoryReplay *replay)
{
    int64_t until = g_get_monotonic_time() + SLICE_USEC;
    while (replay->position < replay->page->records->len) {
        const Record *record = &g_array_index(replay->page->records, Record, replay->position++);
        replay->history->replayed++;
        if (!replay->func(record->record, record->chain, replay->data)) {
            replay->page->more = false;
            g_clear_error(&replay->page->error);
            replay->target = replay->page->upto;
            return false;
        }
        if (replay->position % LOOK_EVERY == 0 && g_get_monotonic_time() > until)
            return replay->position < replay->page->records->len;
    }
    return false;
}

static void
end(HistoryReplay *replay, const GError *error)
{
    g_queue_remove(&replay->history->replaying, replay);
    replay->is_over = true;
    replay->done(error, replay->data);
    if (!replay->is_reading)
        replay_free(replay);
}

static void
replay_free(HistoryReplay *replay)
{
    g_clear_pointer(&replay->page, page_free);
    g_clear_pointer(&replay->next, page_free);
    g_free(replay);
}

static void
page_free(Page *page)
{
    g_array_unref(page->records);
    g_clear_error(&page->error);
    g_free(page);
}

static void
clear_record(void *data)
{
    g_free(((Record *)data)->record);
}
