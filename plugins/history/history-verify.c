/* history-verify.c - history.verify: both chains of digests made anew from the rows, in slices in the worker pool.
 *
 * A slice sees one state of the file.  Retention may go on between two of them: where it has passed the place that was
 * reached, the next slice goes on from the mark. */
#include "history-private.h"

#include <string.h>

enum { SLICE_ROWS = 500, SLICE_BYTES = 4 * 1024 * 1024, WAIT_MS = 600 * 1000, WAITING_MAX = 100 };

typedef struct {
    const char *first_name, *last_name;
    HistoryMark at; /* the row that was verified last */
    bool begun, over;
    int64_t count, broken; /* broken: the first row that is not as it was written; 0: none yet */
} Walk;

typedef struct {
    Walk entries, audits;
    bool damaged;
    GQueue laters; /* ConfLater */
} Verification;

typedef int (*SliceFunc)(sqlite3 *db, Walk *walk, GError **error);

static void start(History *history);
static char *query_slice(HistoryReader *reader, void *data, GError **error);
static void slice_done(History *history, char *result, const GError *error, void *data);
static void answer(History *history, Verification *verification, const GError *error);
static bool walk_slice(sqlite3 *db, Walk *walk, SliceFunc func, GError **error);
static int walk_entries(sqlite3 *db, Walk *walk, GError **error);
static bool check_entry(sqlite3 *db, Walk *walk, const HistoryEntry *entry, const uint8_t *stored);
static bool is_told_gap(sqlite3 *db, int64_t revision);
static int walk_audits(sqlite3 *db, Walk *walk, GError **error);
static void read_audit(sqlite3_stmt *row, HistoryAudit *audit);

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
    verification->entries = (Walk){.first_name = "entry-first", .last_name = "entry-last"};
    verification->audits = (Walk){.first_name = "audit-first", .last_name = "audit-last"};
    verification->laters = history->verifies;
    g_queue_init(&history->verifies);
    history->verification = verification;
    history_query_call(history, query_slice, slice_done, verification);
}

static char *
query_slice(HistoryReader *reader, void *data, GError **error)
{
    Verification *verification = data;
    sqlite3 *db = history_reader_get(reader);
    if (!history_sql_exec(db, "BEGIN", error))
        return NULL;
    Walk *walk = !verification->entries.over ? &verification->entries : &verification->audits;
    GError *failure = NULL;
    walk_slice(db, walk, walk == &verification->entries ? walk_entries : walk_audits, &failure);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    /* What cannot be read is as bad as what was changed, and it is known where. */
    if (g_error_matches(failure, CONF_ERROR, CONF_ERROR_INVALID)) {
        walk->broken = walk->at.position + 1;
        walk->over = verification->damaged = true;
        g_clear_error(&failure);
    }
    if (failure != NULL)
        g_propagate_error(error, failure);
    return NULL;
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
    if (verification->damaged)
        history_writer_suspect(history->writer);
    answer(history, verification, error);
    history->verification = NULL;
    g_free(verification);
    if (history->verifies.length > 0)
        start(history);
}

static void
answer(History *history, Verification *verification, const GError *error)
{
    const Walk *entries = &verification->entries, *audits = &verification->audits;
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
                        ok ? "The history was verified" : "The history was changed from outside", "result", text,
                        NULL);
    }
    ConfLater *later;
    while ((later = g_queue_pop_head(&verification->laters)) != NULL) {
        if (error != NULL)
            history_fail_later(later, error);
        else
            conf_later_answer(later, text);
    }
}

static bool
walk_slice(sqlite3 *db, Walk *walk, SliceFunc func, GError **error)
{
    HistoryMark first, last;
    bool first_sealed, last_sealed;
    if (!history_sql_mark(db, walk->first_name, &first, &first_sealed, error) ||
        !history_sql_mark(db, walk->last_name, &last, &last_sealed, error))
        return false;
    if (!walk->begun || walk->at.position < first.position)
        walk->at = first;
    walk->begun = true;
    if (!first_sealed || !last_sealed) {
        walk->broken = first_sealed ? last.position : first.position;
        walk->over = true;
        return true;
    }
    int more = func(db, walk, error);
    if (more < 0)
        return false;
    walk->over = more == 0 || walk->broken != 0;
    bool ends = walk->at.position == last.position && memcmp(walk->at.digest, last.digest, sizeof last.digest) == 0 &&
                strcmp(walk->at.chain, last.chain) == 0;
    if (more == 0 && walk->broken == 0 && !ends)
        walk->broken = walk->at.position + 1;
    return true;
}

/* 1: there may be more, 0: that was the last; -1: *error. */
static int
walk_entries(sqlite3 *db, Walk *walk, GError **error)
{
    sqlite3_stmt *rows = history_sql_prepare(db,
                                             "SELECT " HISTORY_ENTRY_COLUMNS " FROM entry WHERE revision > ?1 "
                                             "ORDER BY revision LIMIT ?2",
                                             error);
    sqlite3_stmt *changes = rows != NULL ? history_sql_prepare(db, HISTORY_CHANGES_OF_ENTRY, error) : NULL;
    int step = changes != NULL ? 1 : -1;
    if (changes != NULL) {
        sqlite3_bind_int64(rows, 1, walk->at.position);
        sqlite3_bind_int(rows, 2, SLICE_ROWS);
    }
    size_t bytes = 0;
    int count = 0;
    while (step == 1 && walk->broken == 0 && bytes < SLICE_BYTES && (step = history_sql_step(rows, error)) == 1) {
        HistoryEntry entry;
        uint8_t digest[HISTORY_DIGEST_SIZE];
        if (!history_sql_entry(rows, changes, &entry, digest, error)) {
            step = -1;
            break;
        }
        bytes += entry.record_size;
        if (check_entry(db, walk, &entry, digest))
            count++;
        history_entry_clear(&entry);
    }
    sqlite3_finalize(rows);
    sqlite3_finalize(changes);
    walk->count += count;
    return step < 0 ? -1 : step == 1 || count == SLICE_ROWS;
}

static bool
check_entry(sqlite3 *db, Walk *walk, const HistoryEntry *entry, const uint8_t *stored)
{
    uint8_t digest[HISTORY_DIGEST_SIZE];
    char chain[HISTORY_CHAIN_SIZE];
    history_digest_entry(walk->at.digest, walk->at.chain, entry, digest, chain);
    bool good = memcmp(digest, stored, sizeof digest) == 0;
    if (good && entry->linked)
        good = strcmp(chain, entry->chain) == 0 && entry->revision == walk->at.position + 1;
    if (!good) {
        int64_t next = walk->at.position + 1;
        walk->broken = entry->revision > next && !is_told_gap(db, next) ? next : entry->revision;
        return false;
    }
    walk->at.position = entry->revision;
    memcpy(walk->at.digest, digest, sizeof digest);
    g_strlcpy(walk->at.chain, entry->chain, sizeof walk->at.chain);
    return true;
}

static bool
is_told_gap(sqlite3 *db, int64_t revision)
{
    sqlite3_stmt *find = history_sql_prepare(db, "SELECT 1 FROM gap WHERE first <= ?1 AND last >= ?1", NULL);
    if (find == NULL)
        return false;
    sqlite3_bind_int64(find, 1, revision);
    bool found = history_sql_step(find, NULL) == 1;
    sqlite3_finalize(find);
    return found;
}

static int
walk_audits(sqlite3 *db, Walk *walk, GError **error)
{
    sqlite3_stmt *rows =
        history_sql_prepare(db,
                            "SELECT id, time, kind, session, user, user_name, application, application_name, address, "
                            "detail, digest FROM audit WHERE id > ?1 ORDER BY id LIMIT ?2",
                            error);
    if (rows == NULL)
        return -1;
    sqlite3_bind_int64(rows, 1, walk->at.position);
    sqlite3_bind_int(rows, 2, SLICE_ROWS);
    int step = 1, count = 0;
    while (walk->broken == 0 && (step = history_sql_step(rows, error)) == 1) {
        HistoryAudit audit;
        uint8_t digest[HISTORY_DIGEST_SIZE];
        read_audit(rows, &audit);
        history_digest_audit(walk->at.digest, &audit, digest);
        bool good = audit.id == walk->at.position + 1 && sqlite3_column_bytes(rows, 10) == HISTORY_DIGEST_SIZE &&
                    memcmp(digest, sqlite3_column_blob(rows, 10), sizeof digest) == 0;
        if (!good) {
            walk->broken = walk->at.position + 1;
            continue;
        }
        walk->at.position = audit.id;
        memcpy(walk->at.digest, digest, sizeof digest);
        count++;
    }
    sqlite3_finalize(rows);
    walk->count += count;
    return step < 0 ? -1 : count == SLICE_ROWS;
}

/* Texts are borrowed from the row. */
static void
read_audit(sqlite3_stmt *row, HistoryAudit *audit)
{
    *audit = (HistoryAudit){
        .id = sqlite3_column_int64(row, 0),
        .time_ms = sqlite3_column_int64(row, 1),
        .kind = history_sql_text(row, 2),
        .session = sqlite3_column_int64(row, 3),
        .user = sqlite3_column_int64(row, 4),
        .user_name = (char *)history_sql_text(row, 5),
        .application = sqlite3_column_int64(row, 6),
        .application_name = (char *)history_sql_text(row, 7),
        .address = (char *)history_sql_text(row, 8),
        .detail = (char *)history_sql_text(row, 9),
    };
}
