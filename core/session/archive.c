/* archive.c - commits that the ring does not hold any more, out of service "history", for replays further
 * back.
 *
 * They are read in pages, and a page is read when the one before it is used up: what a replay takes of memory
 * does not depend on how much was missed.  At most PAGES_MAX replays have one at a time; the others stand in
 * line, and one whose socket takes nothing for now gives its page away to them. */
#include "base/error.h"
#include "base/id.h"
#include "session/session-private.h"

#include <string.h>

enum {
    PAGES_MAX = 16,
    PAGE_RECORDS = 4000,
    PAGE_BYTES = 2 * 1024 * 1024,
    TIMEOUT_MS = 30000,
};

typedef struct {
    size_t begin, size;
    int64_t base; /* the revision that it leads away from; -1: it was not looked at yet */
    char chain[17];
} Record;

/* One question to the provider, which owes its end. */
typedef struct {
    ConfArchive *past; /* NULL: nobody waits any more */
    int64_t reach;     /* beyond this revision the ring goes on */
    int64_t next;      /* the revision that is expected */
    bool in_call, ended;
} Question;

struct ConfArchive {
    ConfSessions *sessions;
    void (*ready)(void *data);
    void *data;
    char chain[17]; /* of the revision to begin at, still to be compared; "": not given, or it was right */
    bool has_page;  /* counted in sessions->archive_pages */
    bool in_line, resting;
    bool behind_base; /* the record of that revision itself is not held: its chain is proved by the next */
    bool failed;
    GString *text;
    GArray *records; /* of Record: a page */
    unsigned position;
    Question *question; /* NULL: none is under way */
    int64_t cursor;     /* where the question begins, or the place in line */
    ConfTimer timer;
};

static const ConfHistoryProvider *provider_of(ConfSessions *sessions, void **self, ConfPlugin **plugin);
static bool take_page(ConfArchive *past);
static void drop_records(ConfArchive *past);
static void give_page(ConfArchive *past);
static void serve_line(ConfSessions *sessions);
static void ask(ConfArchive *past);
static bool take_record(const char *record_json, const char *chain, void *data);
static void ended(const GError *error, void *data);
static void tell(void *data);
static void timed_out(void *data);
static ConfCommit *parse_next(ConfArchive *past, int64_t cursor);
static bool check_chain(ConfArchive *past, const Record *record, int64_t revision, bool *skip);
static void fail(ConfArchive *past);

ConfArchive *
conf_archive_new(ConfSessions *sessions, const char *chain, void (*ready)(void *data), void *data)
{
    void *self = NULL;
    ConfPlugin *plugin = NULL;
    if (provider_of(sessions, &self, &plugin) == NULL)
        return NULL;
    ConfArchive *past = g_new0(ConfArchive, 1);
    *past = (ConfArchive){.sessions = sessions, .ready = ready, .data = data};
    g_strlcpy(past->chain, chain != NULL ? chain : "", sizeof past->chain);
    past->text = g_string_new(NULL);
    past->records = g_array_new(FALSE, FALSE, sizeof(Record));
    return past;
}

void
conf_archive_free(ConfArchive *past)
{
    if (past == NULL)
        return;
    if (past->question != NULL)
        past->question->past = NULL;
    past->question = NULL;
    conf_timer_cancel(&past->timer);
    conf_poller_forget(conf_poller_default(), past);
    if (past->in_line)
        g_queue_remove(&past->sessions->archive_line, past);
    give_page(past);
    serve_line(past->sessions);
    g_string_free(past->text, TRUE);
    g_array_unref(past->records);
    g_free(past);
}

bool
conf_archive_is_there(ConfSessions *sessions)
{
    void *self = NULL;
    ConfPlugin *plugin = NULL;
    return provider_of(sessions, &self, &plugin) != NULL;
}

int64_t
conf_archive_get_start(ConfSessions *sessions)
{
    int64_t start = conf_store_recent_start(sessions->store);
    void *self = NULL;
    ConfPlugin *plugin = NULL;
    const ConfHistoryProvider *provider = provider_of(sessions, &self, &plugin);
    if (provider == NULL || provider->get_replay_start == NULL)
        return start;
    conf_plugin_enter(plugin);
    int64_t told = provider->get_replay_start(self, start);
    conf_plugin_leave(plugin);
    return CLAMP(told, 0, start);
}

ConfArchiveVerdict
conf_archive_next(ConfArchive *past, int64_t cursor, ConfCommit **commit)
{
    if (past->resting) {
        past->resting = false;
        g_queue_remove(&past->sessions->archive_resting, past);
    }
    while (!past->failed) {
        if (past->question != NULL || past->in_line)
            return CONF_ARCHIVE_LATER;
        if (past->position < past->records->len) {
            *commit = parse_next(past, cursor);
            if (*commit != NULL)
                return CONF_ARCHIVE_COMMIT;
            continue; /* It was the one to begin at, or history does not fit. */
        }
        past->cursor = cursor;
        if (take_page(past))
            ask(past);
    }
    return CONF_ARCHIVE_GONE;
}

void
conf_archive_rest(ConfArchive *past)
{
    if (!past->has_page || past->resting || past->question != NULL)
        return;
    past->resting = true;
    g_queue_push_tail(&past->sessions->archive_resting, past);
    serve_line(past->sessions);
}

void
conf_archive_rewind(ConfArchive *past, int64_t cursor)
{
    for (unsigned i = 0; i < past->records->len; i++) {
        if (g_array_index(past->records, Record, i).base != cursor)
            continue;
        past->position = i;
        return;
    }
    drop_records(past);
}

static const ConfHistoryProvider *
provider_of(ConfSessions *sessions, void **self, ConfPlugin **plugin)
{
    ConfPluginHost *host = sessions->host.plugins;
    if (host == NULL)
        return NULL;
    *plugin = conf_plugin_host_service_plugin(host, "history");
    const ConfHistoryProvider *provider = conf_plugin_host_service(host, "history", self);
    return provider != NULL && provider->replay != NULL ? provider : NULL;
}

/* False: the replay stands in line for it. */
static bool
take_page(ConfArchive *past)
{
    ConfSessions *sessions = past->sessions;
    if (past->has_page)
        return true;
    past->in_line = true;
    g_queue_push_tail(&sessions->archive_line, past);
    serve_line(sessions);
    return false;
}

static void
drop_records(ConfArchive *past)
{
    g_array_set_size(past->records, 0);
    past->position = 0;
    g_string_truncate(past->text, 0);
}

static void
give_page(ConfArchive *past)
{
    if (past->resting)
        g_queue_remove(&past->sessions->archive_resting, past);
    if (past->has_page)
        past->sessions->archive_pages--;
    past->resting = past->has_page = false;
    drop_records(past);
    if (past->text->allocated_len > PAGE_BYTES / 4) {
        g_string_free(past->text, TRUE);
        past->text = g_string_new(NULL);
    }
}

static void
serve_line(ConfSessions *sessions)
{
    while (sessions->archive_line.length > 0) {
        if (sessions->archive_pages >= PAGES_MAX && sessions->archive_resting.length > 0)
            give_page(g_queue_peek_head(&sessions->archive_resting));
        if (sessions->archive_pages >= PAGES_MAX)
            return;
        ConfArchive *past = g_queue_pop_head(&sessions->archive_line);
        past->in_line = false;
        past->has_page = true;
        sessions->archive_pages++;
        ask(past);
    }
}

/* Its answer never comes within the call to whoever asked this file. */
static void
ask(ConfArchive *past)
{
    void *self = NULL;
    ConfPlugin *plugin = NULL;
    const ConfHistoryProvider *provider = provider_of(past->sessions, &self, &plugin);
    if (provider == NULL) {
        past->failed = true;
        conf_poller_defer(conf_poller_default(), tell, past);
        return;
    }
    drop_records(past);
    Question *question = g_new0(Question, 1);
    question->past = past;
    question->reach = conf_store_recent_start(past->sessions->store);
    /* With the record of that revision itself where its chain is to be compared. */
    question->next =
        past->chain[0] != '\0' && !past->behind_base && past->cursor > 0 ? past->cursor : past->cursor + 1;
    past->question = question;
    conf_timer_arm(&past->timer, TIMEOUT_MS, timed_out, past);
    question->in_call = true;
    conf_plugin_enter(plugin);
    provider->replay(self, question->next - 1, take_record, ended, question);
    conf_plugin_leave(plugin);
    question->in_call = false;
    if (question->ended)
        g_free(question);
}

/* Copied, and read when its turn comes: the provider may call for many at once.  False: no more of them. */
static bool
take_record(const char *record_json, const char *chain, void *data)
{
    Question *question = data;
    ConfArchive *past = question->past;
    if (past == NULL)
        return false;
    Record record = {.base = -1, .begin = past->text->len, .size = strlen(record_json)};
    g_strlcpy(record.chain, chain != NULL ? chain : "", sizeof record.chain);
    g_string_append_len(past->text, record_json, (gssize)record.size);
    g_array_append_val(past->records, record);
    return past->records->len < PAGE_RECORDS && past->text->len < PAGE_BYTES &&
           question->next++ < question->reach;
}

static void
ended(const GError *error, void *data)
{
    Question *question = data;
    ConfArchive *past = question->past;
    if (past != NULL) {
        past->question = NULL;
        conf_timer_cancel(&past->timer);
        if (past->records->len == 0 && past->chain[0] != '\0' && !past->behind_base && past->cursor > 0)
            past->behind_base = true; /* Once more, without it. */
        else if (past->records->len == 0)
            fail(past);
        (void)error; /* What came before it is good; the next page will say it again. */
        conf_poller_defer(conf_poller_default(), tell, past);
    }
    question->ended = true;
    if (!question->in_call)
        g_free(question);
}

static void
tell(void *data)
{
    ConfArchive *past = data;
    past->ready(past->data);
}

static void
timed_out(void *data)
{
    ConfArchive *past = data;
    past->question->past = NULL;
    past->question = NULL;
    fail(past);
    past->ready(past->data);
}

/* NULL: the record is not the one that leads away from the cursor; past->failed says whether there is one. */
static ConfCommit *
parse_next(ConfArchive *past, int64_t cursor)
{
    ConfStore *store = past->sessions->store;
    Record *record = &g_array_index(past->records, Record, past->position++);
    ConfSlice text = {past->text->str + record->begin, record->size};
    g_autoptr(ConfCommit) commit =
        conf_commit_from_record(conf_store_schema(store), text, record->chain, NULL);
    bool skip = false;
    if (commit == NULL || !check_chain(past, record, commit->revision, &skip)) {
        fail(past);
        return NULL;
    }
    if (skip)
        return NULL;
    int64_t base = commit->from != 0 ? commit->from : commit->revision - 1;
    record->base = base;
    if (base != cursor) {
        fail(past);
        return NULL;
    }
    conf_store_complete_past(store, commit);
    return g_steal_pointer(&commit);
}

/* *skip: it is that of the revision to begin at. */
static bool
check_chain(ConfArchive *past, const Record *record, int64_t revision, bool *skip)
{
    if (past->chain[0] == '\0')
        return true;
    char expected[17];
    g_strlcpy(expected, past->chain, sizeof expected);
    *skip = revision == past->cursor;
    if (!*skip)
        conf_id_next_chain(past->chain, (ConfSlice){past->text->str + record->begin, record->size}, expected);
    past->chain[0] = '\0';
    return strcmp(expected, record->chain) == 0;
}

static void
fail(ConfArchive *past)
{
    past->failed = true;
    give_page(past);
    serve_line(past->sessions);
}
