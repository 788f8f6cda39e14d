/* history-store.c - the main loop's half of the store: commits on their way to the writer, what the core
 * asks of a history, and what is missing filled in from the change records.
 *
 * queued_revision is the last entry that was queued.  Where an entry finds no room, or the file was set
 * aside, the history is behind: nothing more is queued until the change records of the database have
 * filled in what is missing, or are known not to have it.  get_confirmed() holds their removal back
 * meanwhile. */
#include "history-private.h"

#include <string.h>

enum { DATABASE_RETRY_MS = 1000 };

typedef struct {
    uint64_t serial;
    HistoryFlushFunc func;
    GDestroyNotify abandon;
    void *data;
} Flush;

static void committed(void *self, const ConfCommit *commit);
static int64_t get_confirmed(void *self);
static bool catch_up(void *self, int64_t revision, const char *chain, const char *record_json,
                     GError **error);
static void set_position(void *self, const char *environment, int64_t revision, const char *chain);
static void save_session(void *self, const char *token_hash, const char *session_json);
static void load_session(void *self, const char *token_hash,
                         void (*done)(const char *session_json, void *data), void *data);
static bool push_entry(History *history, HistoryEntry *entry, bool wait);
static void fall_behind(History *history, const char *why);
static void fill(History *history);
static void filled(void *self, const ConfStorageChange *changes, size_t count, const GError *error,
                   void *unused);
static void try_again(void *self, void *unused);
static void take_state(History *history);
static bool read_state(History *history);
static void run_flushes(History *history);

const ConfHooks history_commit_hooks = {.size = sizeof(ConfHooks), .committed = committed};
const ConfHistoryProvider history_provider = {
    .size = sizeof(ConfHistoryProvider),
    .get_confirmed = get_confirmed,
    .read_as_of = history_read_as_of,
    .replay = history_replay,
    .save_session = save_session,
    .load_session = load_session,
    .catch_up = catch_up,
    .set_position = set_position,
    .get_oldest = history_get_oldest,
    .list_as_of = history_list_as_of,
    .past_was_read = history_past_was_read,
    .get_replay_start = history_get_replay_start,
};

void
history_store_written(void *self, void *unused)
{
    (void)unused;
    History *history = self;
    take_state(history);
    run_flushes(history);
    if (history->is_behind && !history->is_filling && !history->state.failing &&
        history->state.written == history->state.pushed)
        fill(history);
}

void
history_store_flush(History *history, HistoryFlushFunc func, GDestroyNotify abandon, void *data)
{
    take_state(history);
    if (history->state.written >= history->state.pushed || history->state.failing) {
        func(history, data);
        return;
    }
    Flush *flush = g_new(Flush, 1);
    *flush = (Flush){history->state.pushed, func, abandon, data};
    g_queue_push_tail(&history->flushes, flush);
    history_writer_ask(history->writer, HISTORY_ASK_WRITE);
}

int64_t
history_store_known(const History *history)
{
    return history->state.fresh ? 0 : history->state.last;
}

void
history_store_changed(History *history)
{
    history_writer_set_settings(history->writer, &history->settings);
    if (!history->settings.active)
        history->gap = "the history was switched off (option active)";
}

void
history_store_end(History *history)
{
    Flush *flush;
    while ((flush = g_queue_pop_head(&history->flushes)) != NULL) {
        flush->abandon(flush->data);
        g_free(flush);
    }
}

static void
committed(void *self, const ConfCommit *commit)
{
    History *history = self;
    if (!history->settings.active || history->is_behind)
        return;
    HistoryEntry entry;
    history_entry_from_commit(&entry, commit);
    push_entry(history, &entry, false);
}

/* What is not recorded by choice need not be kept for this. */
static int64_t
get_confirmed(void *self)
{
    History *history = self;
    take_state(history);
    int64_t served = conf_plugin_get_revision(history->plugin);
    /* At the start of a primary a new file takes in all that the database still has. */
    if (history->state.fresh && served == 0 && strcmp(conf_plugin_get_role(history->plugin), "primary") == 0)
        return 0;
    return history->settings.active ? history->state.durable : MAX(served, history->state.durable);
}

/* While no data are served yet (a start) there is time to wait for room. */
static bool
catch_up(void *self, int64_t revision, const char *chain, const char *record_json, GError **error)
{
    History *history = self;
    if (!history->settings.active || history->is_behind || revision <= history->queued_revision)
        return true;
    HistoryEntry entry;
    if (!history_entry_from_record(&entry, revision, chain, record_json, error))
        return false;
    bool starting = conf_plugin_get_revision(history->plugin) == 0;
    if (push_entry(history, &entry, starting)) {
        history_writer_ask(history->writer, HISTORY_ASK_SYNC);
        return true;
    }
    /* A start does not wait for a disk that is full: what is missing is filled in later. */
    if (starting)
        return true;
    g_set_error(error, CONF_ERROR, CONF_ERROR_FULL, "The history cannot be written, and its queue is full");
    return false;
}

static void
set_position(void *self, const char *environment, int64_t revision, const char *chain)
{
    History *history = self;
    history_writer_push_position(history->writer, environment, revision, chain,
                                 conf_plugin_get_revision(history->plugin) == 0);
    /* What the start, or the new load, brings next belongs to the file that took the place. */
    if (read_state(history) || history->state.fresh)
        history->queued_revision = history_store_known(history);
}

static void
save_session(void *self, const char *token_hash, const char *session_json)
{
    history_writer_push_session(((History *)self)->writer, token_hash, session_json);
}

typedef struct {
    char *token;
    void (*done)(const char *session_json, void *data);
    void *data;
} Load;

static char *
query_session(HistoryReader *reader, void *data, GError **error)
{
    Load *load = data;
    sqlite3_stmt *find =
        history_sql_prepare(history_reader_get(reader), "SELECT json FROM session WHERE token = ?1", error);
    if (find == NULL)
        return NULL;
    sqlite3_bind_text(find, 1, load->token, -1, SQLITE_STATIC);
    int step = history_sql_step(find, error);
    char *json = step == 1 ? g_strdup(history_sql_text(find, 0)) : NULL;
    sqlite3_finalize(find);
    return json;
}

static void
session_loaded(History *history, char *result, const GError *error, void *data)
{
    (void)history;
    (void)error; /* Told by the reader; to the client it is a session that is not known. */
    Load *load = data;
    load->done(result, load->data);
    g_free(result);
    g_free(load->token);
    g_free(load);
}

static void
load_session(void *self, const char *token_hash, void (*done)(const char *session_json, void *data),
             void *data)
{
    History *history = self;
    g_autofree char *waiting = NULL;
    if (history_writer_lookup_session(history->writer, token_hash, &waiting)) {
        done(waiting, data);
        return;
    }
    Load *load = g_new(Load, 1);
    *load = (Load){g_strdup(token_hash), done, data};
    history_query_call(history, query_session, session_loaded, load);
}

/* Takes the entry. */
static bool
push_entry(History *history, HistoryEntry *entry, bool wait)
{
    int64_t revision = entry->revision, from = entry->from;
    if (!history_writer_push_entry(history->writer, entry, history->gap, wait)) {
        history->lost_entries++;
        fall_behind(history, "the history could not be written");
        return false;
    }
    history->gap = NULL;
    if (from != 0)
        history->replay_from = revision;
    else if (history->queued_revision != 0 && revision > history->queued_revision + 1)
        history->replay_from = revision - 1;
    history->queued_revision = revision;
    return true;
}

static void
fall_behind(History *history, const char *why)
{
    if (history->is_behind)
        return;
    history->is_behind = true;
    history->gap = why;
    conf_plugin_log(history->plugin, 1,
                    "The history has fallen behind; it is filled in from the change records", "reason", why,
                    NULL);
}

/* A page after what the file holds. */
static void
fill(History *history)
{
    history->is_filling = true;
    history->queued_revision = history_store_known(history);
    conf_plugin_read_changes(history->plugin, history->queued_revision, filled, NULL);
}

static void
filled(void *self, const ConfStorageChange *changes, size_t count, const GError *error, void *unused)
{
    (void)unused;
    History *history = self;
    history->is_filling = false;
    if (g_error_matches(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE)) {
        conf_timer(history->plugin, DATABASE_RETRY_MS, try_again, NULL);
        return;
    }
    const char *why = history->gap;
    bool taken = false;
    for (size_t i = 0; i < count; i++) {
        HistoryEntry entry;
        g_autoptr(GError) failure = NULL;
        /* Commits go on meanwhile: what comes twice the writer knows. */
        if (!history_entry_from_record(&entry, changes[i].revision, changes[i].chain, changes[i].record,
                                       &failure)) {
            conf_plugin_log(history->plugin, 0, "A change record cannot be taken into the history", "reason",
                            failure->message, NULL);
            continue;
        }
        if (!push_entry(history, &entry, false))
            return; /* No room again: the writer gets on, and the next page follows. */
        history->gap = why;
        taken = true;
    }
    bool complete = history->queued_revision >= conf_plugin_get_revision(history->plugin);
    if (!complete && taken)
        return; /* The next page comes when this one is written. */
    history->is_behind = false;
    if (complete) {
        history->gap = NULL;
        conf_plugin_log(history->plugin, 2, "The history is complete again", NULL);
    } else {
        conf_plugin_log(history->plugin, 1, "The history has a gap", "reason", why, NULL);
    }
}

/* The database was away. */
static void
try_again(void *self, void *unused)
{
    history_store_written(self, unused);
}

/* Whoever is the first to see that another file took the place of this one sees to it that it is filled. */
static void
take_state(History *history)
{
    if (read_state(history))
        fall_behind(history, "the file was set aside or replaced");
}

/* True: another file has taken the place of the one that was known. */
static bool
read_state(History *history)
{
    unsigned generation = history->state.generation;
    history_writer_get_state(history->writer, &history->state);
    const HistoryState *state = &history->state;
    history->entries = state->entries;
    history->audits = state->audits;
    history->batches = state->batches;
    history->failures = state->failures;
    history->removed = state->removed;
    history->set_aside = state->set_aside;
    history->gaps = state->gaps;
    history->queue_bytes = state->queue_bytes;
    history->failing = state->failing;
    history->first_revision = (uint64_t)MAX(state->first, 0);
    history->last_revision = (uint64_t)MAX(state->last, 0);
    history->durable_revision = (uint64_t)MAX(state->durable, 0);
    if (state->generation == generation)
        return false;
    history->replay_from = 0;
    return true;
}

static void
run_flushes(History *history)
{
    Flush *flush;
    while ((flush = g_queue_peek_head(&history->flushes)) != NULL &&
           (flush->serial <= history->state.written || history->state.failing)) {
        g_queue_pop_head(&history->flushes);
        flush->func(history, flush->data);
        g_free(flush);
    }
}
