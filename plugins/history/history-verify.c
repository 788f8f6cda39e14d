/* history-verify.c - history.verify: both chains of digests walked (history-walk.c), in slices in the
 * worker pool; one walk at a time, for all who asked before it began. */
#include "history-private.h"

enum { WAIT_MS = 600 * 1000, WAITING_MAX = 100 };

typedef struct {
    HistoryWalk entries, audits;
    GQueue laters; /* ConfLater */
} Verification;

static void start(History *history);
static char *query_slice(HistoryReader *reader, void *data, GError **error);
static void slice_done(History *history, char *result, const GError *error, void *data);
static void answer(History *history, Verification *verification, const GError *error);

void
history_verify_method(void *self, ConfRequest *request)
{
    History *history = self;
    const ConfSession *session = conf_request_get_owner(request);
    if (!conf_session_is_administrator(session)) {
        conf_request_answer_error(request, -32005, "Only administrators may verify the history", NULL);
        return;
    }
    if (history->verifies.length >= WAITING_MAX) {
        conf_request_answer_error(request, -32013, "Too many verifications wait", "{\"retryAfter\":10}");
        return;
    }
    g_queue_push_tail(&history->verifies, conf_request_later(request, WAIT_MS, NULL, NULL));
    if (history->verification == NULL)
        start(history);
}

static void
start(History *history)
{
    Verification *verification = g_new0(Verification, 1);
    verification->entries = HISTORY_WALK_ENTRIES;
    verification->audits = HISTORY_WALK_AUDITS;
    verification->laters = history->verifies;
    g_queue_init(&history->verifies);
    history->verification = verification;
    history_query_call(history, query_slice, slice_done, verification);
}

static char *
query_slice(HistoryReader *reader, void *data, GError **error)
{
    Verification *verification = data;
    HistoryWalk *walk = !verification->entries.over ? &verification->entries : &verification->audits;
    if (!history_walk(history_reader_get(reader), walk, error))
        return NULL;
    return g_strdup("");
}

static void
slice_done(History *history, char *result, const GError *error, void *data)
{
    Verification *verification = data;
    g_free(result);
    if (error == NULL && !(verification->entries.over && verification->audits.over)) {
        history_query_again(history, query_slice, slice_done, verification);
        return;
    }
    if (verification->entries.damaged || verification->audits.damaged)
        history_writer_ask(history->writer, HISTORY_ASK_CHECK);
    answer(history, verification, error);
    history->verification = NULL;
    g_free(verification);
    if (history->verifies.length > 0)
        start(history);
}

static void
answer(History *history, Verification *verification, const GError *error)
{
    const HistoryWalk *entries = &verification->entries, *audits = &verification->audits;
    bool ok = entries->broken == 0 && audits->broken == 0;
    ConfJsonWriterHandle *w = conf_writer_new();
    conf_writer_begin_object(w);
    conf_writer_key(w, "entries");
    conf_writer_integer(w, entries->count);
    conf_writer_key(w, "audits");
    conf_writer_integer(w, audits->count);
    conf_writer_key(w, "ok");
    conf_writer_boolean(w, ok);
    if (entries->broken != 0) {
        conf_writer_key(w, "brokenAt");
        conf_writer_integer(w, entries->broken);
    }
    if (audits->broken != 0) {
        conf_writer_key(w, "brokenAudit");
        conf_writer_integer(w, audits->broken);
    }
    conf_writer_end_object(w);
    g_autofree char *text = conf_writer_finish(w);
    if (error == NULL) {
        history->verifications++;
        history->broken += !ok;
        conf_plugin_log(history->plugin, ok ? 2 : 0,
                        ok ? "The history was verified" : "The history was changed from outside", "result",
                        text, NULL);
    }
    ConfLater *later;
    while ((later = g_queue_pop_head(&verification->laters)) != NULL) {
        if (error != NULL)
            history_fail_later(later, error);
        else
            conf_later_answer(later, text);
    }
}
