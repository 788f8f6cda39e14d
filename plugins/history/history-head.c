/* history-head.c - the head of the chain where whoever changes the file cannot reach it: every hour in the
 * log, and compared by each replica with what its own file holds of that revision.
 *
 * A replica asks (`history.head`), so that a master keeps no list of them.  Its own stream has brought it
 * every revision up to the answer's, or brings it soon. */
#include "history-private.h"

#include <string.h>

enum { FIRST_MS = 2000, EVERY_MS = 60 * 60 * 1000, ANSWER_MS = 60 * 1000 };

typedef struct {
    int64_t revision;
    char chain[HISTORY_CHAIN_SIZE];
    char own[HISTORY_CHAIN_SIZE]; /* what the file holds; "": it holds nothing of that revision */
} Head;

static void opened(void *self, ConfConnection *c);
static void closed(void *self, ConfConnection *c);
static void due(void *self, void *unused);
static void answer(History *history, void *data);
static void abandon(void *data);
static void log_head(History *history);
static void answered(void *self, const char *result, const char *error, void *unused);
static char *query_head(HistoryReader *reader, void *data, GError **error);
static bool find_chain(sqlite3 *db, const char *sql, Head *head, GError **error);
static void compared(History *history, char *result, const GError *error, void *data);

const ConfHooks history_head_hooks = {.size = sizeof(ConfHooks), .opened = opened, .closed = closed};

void
history_head_start(History *history)
{
    history->head_timer = conf_timer(history->plugin, FIRST_MS, due, NULL);
}

typedef struct {
    History *history;
    ConfLater *later;
} Answer;

void
history_head_method(void *self, ConfRequest *request)
{
    Answer *pending = g_new(Answer, 1);
    *pending = (Answer){self, conf_request_later(request, ANSWER_MS, NULL, NULL)};
    history_store_flush(self, answer, abandon, pending);
}

static void
opened(void *self, ConfConnection *c)
{
    History *history = self;
    if (!conf_connection_is_outgoing(c))
        return;
    history->upstream = c;
    if (history->head_timer != 0)
        conf_unwatch(history->plugin, history->head_timer);
    history->head_timer = conf_timer(history->plugin, FIRST_MS, due, NULL);
}

static void
closed(void *self, ConfConnection *c)
{
    History *history = self;
    if (history->upstream == c)
        history->upstream = NULL;
}

static void
due(void *self, void *unused)
{
    (void)unused;
    History *history = self;
    log_head(history);
    if (history->upstream != NULL)
        conf_connection_send_request(history->upstream, history->plugin, "history.head", "{}", ANSWER_MS,
                                     answered, NULL);
    history->head_timer = conf_timer(history->plugin, EVERY_MS, due, NULL);
}

static void
answer(History *history, void *data)
{
    g_autofree Answer *pending = data;
    g_autofree char *text = g_strdup_printf("{\"revision\":%" G_GINT64_FORMAT ",\"chain\":\"%s\"}",
                                            history->state.last, history->state.last_chain);
    conf_later_answer(pending->later, text);
}

static void
abandon(void *data)
{
    g_autofree Answer *pending = data;
    conf_later_finish(pending->later, CONF_REFUSE,
                      g_error_new(CONF_ERROR, CONF_ERROR_UNAVAILABLE, "The server is stopping"));
}

/* The digest too: who has this line can tell whether the file was made anew as a whole. */
static void
log_head(History *history)
{
    history_writer_get_state(history->writer, &history->state);
    char digest[2 * HISTORY_DIGEST_SIZE + 1];
    for (unsigned i = 0; i < HISTORY_DIGEST_SIZE; i++)
        g_snprintf(digest + 2 * i, 3, "%02x", history->state.last_digest[i]);
    g_autofree char *revision = g_strdup_printf("%" G_GINT64_FORMAT, history->state.last);
    conf_plugin_log(history->plugin, 2, "The head of the history", "revision", revision, "chain",
                    history->state.last_chain, "digest", digest, NULL);
}

static void
answered(void *self, const char *result, const char *error, void *unused)
{
    (void)error, (void)unused; /* A master without this plugin has no head. */
    History *history = self;
    const ConfJson *tree = result != NULL ? conf_value_parse(result, NULL) : NULL;
    const ConfJson *revision = tree != NULL ? conf_value_member(tree, "revision") : NULL;
    const ConfJson *chain = tree != NULL ? conf_value_member(tree, "chain") : NULL;
    const char *text = chain != NULL ? conf_value_string(chain) : NULL;
    Head *head = g_new0(Head, 1);
    if (text != NULL && strlen(text) == HISTORY_CHAIN_SIZE - 1 && revision != NULL &&
        conf_value_integer(revision, &head->revision)) {
        g_strlcpy(head->chain, text, sizeof head->chain);
        history_query_call(history, query_head, compared, head);
    } else {
        g_free(head);
    }
}

static char *
query_head(HistoryReader *reader, void *data, GError **error)
{
    sqlite3 *db = history_reader_get(reader);
    if (find_chain(db, "SELECT chain FROM entry WHERE revision = ?1", data, error))
        find_chain(db, "SELECT chain FROM mark WHERE name LIKE 'entry-%' AND position = ?1", data, error);
    return NULL;
}

/* True: not found. */
static bool
find_chain(sqlite3 *db, const char *sql, Head *head, GError **error)
{
    sqlite3_stmt *find = history_sql_prepare(db, sql, error);
    if (find == NULL)
        return false;
    sqlite3_bind_int64(find, 1, head->revision);
    int step = history_sql_step(find, error);
    if (step == 1)
        g_strlcpy(head->own, history_sql_text(find, 0), sizeof head->own);
    sqlite3_finalize(find);
    return step == 0;
}

static void
compared(History *history, char *result, const GError *error, void *data)
{
    g_autofree Head *head = data;
    g_free(result);
    if (error != NULL || head->own[0] == '\0')
        return; /* A gap, or older than what is kept: there is nothing to compare. */
    history->heads++;
    if (strcmp(head->own, head->chain) == 0)
        return;
    history->heads_differing++;
    g_autofree char *revision = g_strdup_printf("%" G_GINT64_FORMAT, head->revision);
    conf_plugin_log(history->plugin, 0, "The history differs from the master's: one of them was changed",
                    "revision", revision, "own", head->own, "master", head->chain, NULL);
}
