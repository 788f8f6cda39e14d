/* history-batch.c - what the writer thread does with the file: batches, the disk, retention; and what
 * becomes of a file that is full, damaged, or of another history. */
#include "history-writer-private.h"

#include <string.h>

enum {
    RETRY_USEC = 1000 * 1000,
    SYNC_USEC = 1000 * 1000,
    SYNC_BYTES = 4 * 1024 * 1024,
    SLICE_USEC = 10 * 1000, /* pause between slices of retention */
};

typedef struct {
    uint64_t entries, audits, gaps;
} Counts;

static bool open_file(HistoryWriter *writer, GError **error);
static bool note_replacement(HistoryWriter *writer);
static bool write_all(HistoryWriter *writer, Counts *counts, GError **error);
static bool write_item(HistoryWriter *writer, HistoryItem *item, Counts *counts, bool *foreign,
                       GError **error);
static bool write_sessions(HistoryWriter *writer, GError **error);
static bool take_positions(HistoryWriter *writer, GError **error);
static bool take_position(HistoryWriter *writer, const HistoryItem *item, GError **error);
static bool adopt_environment(HistoryWriter *writer, GError **error);
static void drop_entries(HistoryWriter *writer);
static void written(HistoryWriter *writer, const Counts *counts);
static void failed(HistoryWriter *writer, const GError *error);
static bool start_anew(HistoryWriter *writer, const char *why, GError *reason, GError **error);
static void note_file(HistoryWriter *writer);

bool
history_batch_open(HistoryWriter *writer, GError **error)
{
    GError *failure = NULL;
    if (open_file(writer, &failure))
        return true;
    if (g_error_matches(failure, CONF_ERROR, CONF_ERROR_INVALID))
        return start_anew(writer, "damaged", failure, error);
    g_propagate_error(error, failure);
    return false;
}

static bool
open_file(HistoryWriter *writer, GError **error)
{
    writer->file = history_file_open(writer->path, error);
    /* What a process that was killed has written may not be on the disk yet. */
    if (writer->file != NULL && !history_file_sync(writer->file, error))
        g_clear_pointer(&writer->file, history_file_close);
    if (writer->file == NULL)
        return false;
    g_mutex_lock(&writer->lock);
    bool replaced = note_replacement(writer);
    writer->state.opens++;
    note_file(writer);
    writer->state.durable = replaced ? 0 : writer->state.last;
    g_mutex_unlock(&writer->lock);
    if (!replaced)
        return true;
    drop_entries(writer);
    conf_plugin_log(writer->plugin, 1, "The history file was removed or replaced while it was in use", "file",
                    writer->path, NULL);
    return true;
}

/* Under the lock.  The file at the path is not what was written last: removed, or an older copy put there
 * while the server runs.  It is filled in from where it ends, as after one that was set aside. */
static bool
note_replacement(HistoryWriter *writer)
{
    const HistoryMark *last = &writer->file->entries.last;
    bool was_open = writer->opened;
    writer->opened = true;
    /* A proxy has no database to fill it from: what it has in hand is all that there is. */
    if (!was_open || !writer->strict ||
        (last->position == writer->state.last &&
         memcmp(last->digest, writer->state.last_digest, HISTORY_DIGEST_SIZE) == 0))
        return false;
    writer->state.generation++;
    return true;
}

void
history_batch_write(HistoryWriter *writer)
{
    if ((writer->batch->len == 0 && writer->writing_sessions == NULL && !writer->state.failing) ||
        g_get_monotonic_time() < writer->retry_usec)
        return;
    for (unsigned attempt = 0;; attempt++) {
        g_autoptr(GError) error = NULL;
        Counts counts = {0};
        if ((writer->file != NULL || history_batch_open(writer, &error)) &&
            write_all(writer, &counts, &error)) {
            written(writer, &counts);
            return;
        }
        bool damaged = g_error_matches(error, CONF_ERROR, CONF_ERROR_INVALID);
        GError *cause = damaged && attempt == 0 ? g_steal_pointer(&error) : NULL;
        if (cause == NULL || !start_anew(writer, "damaged", cause, &error)) {
            failed(writer, error);
            return;
        }
    }
}

void
history_batch_sync(HistoryWriter *writer, bool now)
{
    if (writer->file == NULL || writer->sync_usec == 0)
        return;
    g_mutex_lock(&writer->lock);
    bool failsafe = writer->settings.failsafe;
    bool soon = (writer->asked & HISTORY_ASK_SYNC) != 0 && writer->items.length == 0;
    bool due = now || soon || writer->unsynced >= SYNC_BYTES || g_get_monotonic_time() >= writer->sync_usec;
    if (due)
        writer->asked &= ~(unsigned)HISTORY_ASK_SYNC;
    g_mutex_unlock(&writer->lock);
    if (!due)
        return;
    g_autoptr(GError) error = NULL;
    int64_t revision = writer->file->entries.last.position;
    if (failsafe && !history_file_sync(writer->file, &error)) {
        failed(writer, error);
        return;
    }
    history_file_tidy(writer->file);
    writer->sync_usec = 0;
    writer->unsynced = 0;
    g_mutex_lock(&writer->lock);
    writer->state.durable = revision;
    g_mutex_unlock(&writer->lock);
}

void
history_batch_clean(HistoryWriter *writer)
{
    g_mutex_lock(&writer->lock);
    bool wanted = (writer->asked & HISTORY_ASK_CLEAN) != 0 || writer->clean_usec != 0;
    HistorySettings settings = writer->settings;
    if (!writer->state.failing && writer->file != NULL)
        writer->asked &= ~(unsigned)HISTORY_ASK_CLEAN;
    g_mutex_unlock(&writer->lock);
    int64_t now = g_get_monotonic_time();
    if (!wanted || writer->state.failing || writer->file == NULL || now < writer->clean_usec)
        return;
    g_autoptr(GError) error = NULL;
    bool more = false;
    int64_t before = writer->file->entries.first.position;
    if (!history_file_clean(writer->file, &settings, g_get_real_time() / 1000, &more, &error)) {
        failed(writer, error);
        return;
    }
    writer->clean_usec = more ? now + SLICE_USEC : 0;
    history_file_tidy(writer->file);
    g_mutex_lock(&writer->lock);
    writer->state.removed += (uint64_t)(writer->file->entries.first.position - before);
    note_file(writer);
    g_mutex_unlock(&writer->lock);
}

/* A reader may have met what the writer never touches: the older pages of the file. */
void
history_batch_check(HistoryWriter *writer)
{
    g_mutex_lock(&writer->lock);
    bool suspect = (writer->asked & HISTORY_ASK_CHECK) != 0;
    writer->asked &= ~(unsigned)HISTORY_ASK_CHECK;
    g_mutex_unlock(&writer->lock);
    if (!suspect || writer->file == NULL)
        return;
    g_autoptr(GError) error = NULL;
    sqlite3_stmt *check = history_sql_prepare(writer->file->db, "PRAGMA quick_check(1)", &error);
    int step = check != NULL ? history_sql_step(check, &error) : -1;
    const char *found = step == 1 ? history_sql_text(check, 0) : NULL;
    if (step == 1 && strcmp(found, "ok") != 0)
        g_set_error(&error, CONF_ERROR, CONF_ERROR_INVALID, "The history file: %s", found);
    sqlite3_finalize(check);
    if (error == NULL)
        return;
    g_autoptr(GError) failure = NULL;
    if (!start_anew(writer, "damaged", g_steal_pointer(&error), &failure))
        failed(writer, failure);
}

/* One transaction; what is in the batch stays there. */
static bool
write_all(HistoryWriter *writer, Counts *counts, GError **error)
{
    for (unsigned attempt = 0; attempt < 2; attempt++) {
        bool foreign = false;
        *counts = (Counts){0};
        if (!take_positions(writer, error) || !adopt_environment(writer, error) ||
            !history_file_begin(writer->file, error))
            return false;
        bool done = true;
        for (unsigned i = 0; i < writer->batch->len && done; i++)
            done = write_item(writer, g_ptr_array_index(writer->batch, i), counts, &foreign, error);
        if (done && write_sessions(writer, error))
            return history_file_commit(writer->file, error);
        history_file_rollback(writer->file);
        if (!foreign)
            return false;
        if (!start_anew(writer, "other-history",
                        g_error_new(CONF_ERROR, CONF_ERROR_DIVERGED,
                                    "A commit does not continue the history that the file holds"),
                        error))
            return false;
    }
    g_set_error(error, CONF_ERROR, CONF_ERROR_UNAVAILABLE, "Commits do not continue one another");
    return false;
}

/* False with *foreign: the file is of another history. */
static bool
write_item(HistoryWriter *writer, HistoryItem *item, Counts *counts, bool *foreign, GError **error)
{
    if (item->kind == HISTORY_ITEM_AUDIT) {
        counts->audits++;
        return history_file_write_audit(writer->file, &item->audit, error);
    }
    /* Of before the file was set aside: it comes again with all that the change records hold. */
    if (item->kind == HISTORY_ITEM_POSITION || item->generation != writer->state.generation)
        return true;
    int64_t last = writer->file->entries.last.position;
    switch (history_file_write_entry(writer->file, &item->entry, writer->strict, item->why, error)) {
    case HISTORY_WRITTEN:
        counts->entries++;
        counts->gaps += last != 0 && item->entry.revision > last + 1 && item->entry.from != last;
        return true;
    case HISTORY_KNOWN:
        return true;
    case HISTORY_FOREIGN:
        *foreign = true;
        return false;
    case HISTORY_FAILED:
        return false;
    }
    return false;
}

static bool
write_sessions(HistoryWriter *writer, GError **error)
{
    if (writer->writing_sessions == NULL)
        return true;
    GHashTableIter iterator;
    gpointer token, json;
    int64_t now_ms = g_get_real_time() / 1000;
    g_hash_table_iter_init(&iterator, writer->writing_sessions);
    while (g_hash_table_iter_next(&iterator, &token, &json)) {
        if (!history_file_write_session(writer->file, token, json, now_ms, error))
            return false;
    }
    return true;
}

/* Before the transaction, since the file may be set aside.  Where the server stands is told at its start
 * and when it has loaded anew: entries of before and after do not share a batch. */
static bool
take_positions(HistoryWriter *writer, GError **error)
{
    for (unsigned i = 0; i < writer->batch->len; i++) {
        const HistoryItem *item = g_ptr_array_index(writer->batch, i);
        if (item->kind == HISTORY_ITEM_POSITION && !take_position(writer, item, error))
            return false;
    }
    return true;
}

static bool
take_position(HistoryWriter *writer, const HistoryItem *item, GError **error)
{
    HistoryFile *file = writer->file;
    const char *environment = item->position.environment;
    g_strlcpy(writer->environment, environment, sizeof writer->environment);
    writer->origin.position = item->position.revision;
    g_strlcpy(writer->origin.chain, item->position.chain, sizeof writer->origin.chain);
    const char *reason = NULL;
    GError *failure = NULL;
    if (file->environment[0] != '\0' && strcmp(file->environment, environment) != 0)
        reason = "The database is of another environment than the history file";
    else if (!history_file_is_fresh(file) &&
             history_file_check(file, item->position.revision, item->position.chain, &failure) == 0)
        reason = "The database has another history than the history file";
    if (failure != NULL) {
        g_propagate_error(error, failure);
        return false;
    }
    /* So that a file that somebody has removed is missed. */
    if (history_file_lacks_origin(file))
        conf_plugin_log(writer->plugin, 2, "A new history file is begun", "file", writer->path, NULL);
    return reason == NULL || start_anew(writer, "other-history",
                                        g_error_new_literal(CONF_ERROR, CONF_ERROR_DIVERGED, reason), error);
}

/* A new file is of the lineage that the server was told of last. */
static bool
adopt_environment(HistoryWriter *writer, GError **error)
{
    HistoryFile *file = writer->file;
    if (writer->environment[0] == '\0' ||
        (strcmp(file->environment, writer->environment) == 0 && !history_file_lacks_origin(file)))
        return true;
    if (!history_file_begin(file, error))
        return false;
    if (history_file_lacks_origin(file))
        history_file_set_origin(file, writer->origin.position, writer->origin.chain);
    if (history_file_write_environment(file, writer->environment, error))
        return history_file_commit(file, error);
    history_file_rollback(file);
    return false;
}

static void
written(HistoryWriter *writer, const Counts *counts)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < writer->batch->len; i++)
        bytes += ((HistoryItem *)g_ptr_array_index(writer->batch, i))->memory;
    bool worked = writer->batch->len > 0 || writer->writing_sessions != NULL;
    g_ptr_array_set_size(writer->batch, 0);
    if (worked && writer->sync_usec == 0)
        writer->sync_usec = g_get_monotonic_time() + SYNC_USEC;
    writer->unsynced += bytes;
    writer->retry_usec = 0;
    if (writer->file->breaks.count < 0 && writer->clean_usec == 0)
        writer->clean_usec = g_get_monotonic_time();
    g_mutex_lock(&writer->lock);
    bool failing = writer->state.failing;
    writer->bytes -= bytes;
    g_clear_pointer(&writer->writing_sessions, g_hash_table_unref);
    writer->state.written = writer->taken;
    writer->state.entries += counts->entries;
    writer->state.audits += counts->audits;
    writer->state.gaps += counts->gaps;
    writer->state.batches++;
    writer->state.failing = false;
    note_file(writer);
    g_mutex_unlock(&writer->lock);
    if (failing)
        conf_plugin_log(writer->plugin, 2, "The history is written again", "file", writer->path, NULL);
}

/* Told once; tried again in a while.  After what no second attempt on this connection would mend it is
 * opened anew. */
static void
failed(HistoryWriter *writer, const GError *error)
{
    writer->retry_usec = g_get_monotonic_time() + RETRY_USEC;
    writer->clean_usec = 0;
    if (writer->file != NULL &&
        (writer->file->is_damaged || !g_error_matches(error, CONF_ERROR, CONF_ERROR_FULL)))
        g_clear_pointer(&writer->file, history_file_close);
    g_mutex_lock(&writer->lock);
    bool failing = writer->state.failing;
    writer->state.failing = true;
    writer->state.failures++;
    g_mutex_unlock(&writer->lock);
    if (!failing)
        conf_plugin_log(writer->plugin, 0, "The history cannot be written for now, it is tried again",
                        "reason", error->message, NULL);
}

/* The file goes aside under another name, and a new one takes its place.  Takes the reason. */
static bool
start_anew(HistoryWriter *writer, const char *why, GError *reason, GError **error)
{
    g_autoptr(GError) told = reason;
    g_clear_pointer(&writer->file, history_file_close);
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *stamp = g_date_time_format(now, "%Y%m%dT%H%M%SZ");
    g_autofree char *name = g_strdup_printf("%s-%s", why, stamp);
    g_autofree char *aside = history_file_set_aside(writer->path, name, error);
    if (aside == NULL)
        return false;
    conf_plugin_log(writer->plugin, 0, "The history file was set aside, a new one is begun", "reason",
                    told->message, "file", aside, NULL);
    g_mutex_lock(&writer->lock);
    writer->state.generation++;
    writer->state.set_aside++;
    writer->opened = false;
    writer->state.durable = 0;
    g_mutex_unlock(&writer->lock);
    drop_entries(writer);
    return open_file(writer, error);
}

/* Entries that were on their way continue a file that is gone: they come again, in order, with what the
 * change records hold of before them. */
static void
drop_entries(HistoryWriter *writer)
{
    for (unsigned i = 0; i < writer->batch->len; i++) {
        HistoryItem *item = g_ptr_array_index(writer->batch, i);
        if (item->kind == HISTORY_ITEM_ENTRY)
            item->generation = 0;
    }
}

/* Under the lock. */
static void
note_file(HistoryWriter *writer)
{
    const HistoryFile *file = writer->file;
    writer->state.first = file->entries.first.position;
    writer->state.last = file->entries.last.position;
    writer->state.breaks = file->breaks;
    writer->state.fresh = history_file_is_fresh(file);
    g_strlcpy(writer->state.last_chain, file->entries.last.chain, sizeof writer->state.last_chain);
    memcpy(writer->state.last_digest, file->entries.last.digest, HISTORY_DIGEST_SIZE);
}
