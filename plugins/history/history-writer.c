/* history-writer.c - the queue between the main loop and the writer thread, and the thread's round.
 *
 * What comes within LINGER_USEC is written in one transaction, unless somebody waits for it.  The disk is
 * waited for once in SYNC_USEC or SYNC_BYTES.  The queue is bounded by bytes; what waits is written again
 * and again while the disk is full or hangs, and what finds no room is filled in later from the database's
 * change records. */
#include "history-writer-private.h"

#include <string.h>

enum {
    QUEUE_BYTES = 64 * 1024 * 1024,
    BATCH_BYTES = 16 * 1024 * 1024,
    BATCH_ITEMS = 20000,
    HURRY_BYTES = 8 * 1024 * 1024,
    SESSION_LINGER_USEC = 20 * 1000, /* nothing else knows of a session when the server is killed */
    LINGER_USEC =
        200 * 1000, /* entries of a batch share the pages of the index, which are most of what is written */
    ROOM_WAIT_USEC = 5 * 1000 * 1000,
    END_WAIT_USEC = 10 * 1000 * 1000,
};

static void *run(void *data);
static bool take(HistoryWriter *writer);
static int64_t next_due(const HistoryWriter *writer);
static void take_items(HistoryWriter *writer);
static void push(HistoryWriter *writer, HistoryItem *item);
static void tell(HistoryWriter *writer);
static void finish(HistoryWriter *writer);

HistoryWriter *
history_writer_new(ConfPlugin *plugin, const char *path, const HistorySettings *settings, GError **error)
{
    HistoryWriter *writer = g_new0(HistoryWriter, 1);
    writer->plugin = plugin;
    writer->path = g_strdup(path);
    writer->strict = strcmp(conf_plugin_get_role(plugin), "primary") == 0;
    writer->settings = *settings;
    g_mutex_init(&writer->lock);
    g_cond_init(&writer->wake);
    g_cond_init(&writer->progress);
    writer->sessions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    writer->batch = g_ptr_array_new_with_free_func((GDestroyNotify)history_item_free);
    writer->state.generation = writer->known_generation = 1;
    GError *failure = NULL;
    if (!history_batch_open(writer, &failure)) {
        bool hopeless = g_error_matches(failure, CONF_ERROR, CONF_ERROR_DENIED) ||
                        g_error_matches(failure, CONF_ERROR, CONF_ERROR_NEWER);
        if (hopeless) {
            g_propagate_error(error, failure);
            writer->ended = true;
            history_writer_free(writer);
            return NULL;
        }
        conf_plugin_log(plugin, 0, "The history cannot be written for now, it is tried again", "reason",
                        failure->message, NULL);
        g_error_free(failure);
        writer->state.failing = true;
    }
    writer->asked = HISTORY_ASK_CLEAN;
    writer->thread = g_thread_new("history", run, writer);
    return writer;
}

void
history_writer_free(HistoryWriter *writer)
{
    g_mutex_lock(&writer->lock);
    writer->stop = true;
    g_cond_broadcast(&writer->wake);
    int64_t until = g_get_monotonic_time() + END_WAIT_USEC;
    while (!writer->ended && g_cond_wait_until(&writer->progress, &writer->lock, until))
        continue;
    bool ended = writer->ended;
    g_mutex_unlock(&writer->lock);
    if (!ended) {
        /* The disk hangs.  The thread keeps what it uses; what it did not write the change records hold. */
        conf_plugin_log(writer->plugin, 0, "The history's disk does not answer: it is left behind", "file",
                        writer->path, NULL);
        return;
    }
    if (writer->thread != NULL)
        g_thread_join(writer->thread);
    history_file_close(writer->file);
    g_queue_clear_full(&writer->items, (GDestroyNotify)history_item_free);
    g_ptr_array_unref(writer->batch);
    g_hash_table_unref(writer->sessions);
    g_mutex_clear(&writer->lock);
    g_cond_clear(&writer->wake);
    g_cond_clear(&writer->progress);
    g_free(writer->path);
    g_free(writer);
}

bool
history_writer_push_entry(HistoryWriter *writer, HistoryEntry *entry, const char *why, bool wait)
{
    HistoryItem *item = g_new0(HistoryItem, 1);
    *item = (HistoryItem){.kind = HISTORY_ITEM_ENTRY, .memory = history_entry_memory(entry), .why = why};
    item->entry = *entry;
    *entry = (HistoryEntry){0};
    g_mutex_lock(&writer->lock);
    int64_t until = g_get_monotonic_time() + ROOM_WAIT_USEC;
    while (wait && writer->bytes > 0 && writer->bytes + item->memory > QUEUE_BYTES &&
           g_cond_wait_until(&writer->progress, &writer->lock, until))
        continue;
    bool room = writer->bytes == 0 || writer->bytes + item->memory <= QUEUE_BYTES;
    if (room)
        push(writer, item);
    g_mutex_unlock(&writer->lock);
    if (!room)
        history_item_free(item);
    return room;
}

bool
history_writer_push_audit(HistoryWriter *writer, HistoryAudit *audit)
{
    HistoryItem *item = g_new0(HistoryItem, 1);
    *item = (HistoryItem){.kind = HISTORY_ITEM_AUDIT, .memory = sizeof *item + 256};
    item->audit = *audit;
    *audit = (HistoryAudit){0};
    g_mutex_lock(&writer->lock);
    bool room = writer->bytes + item->memory <= QUEUE_BYTES;
    if (room)
        push(writer, item);
    g_mutex_unlock(&writer->lock);
    if (!room)
        history_item_free(item);
    return room;
}

void
history_writer_push_session(HistoryWriter *writer, const char *token, const char *json)
{
    g_mutex_lock(&writer->lock);
    g_hash_table_replace(writer->sessions, g_strdup(token), g_strdup(json));
    writer->state.pushed++;
    if (writer->oldest_usec == 0)
        writer->oldest_usec = g_get_monotonic_time();
    g_cond_signal(&writer->wake);
    g_mutex_unlock(&writer->lock);
}

void
history_writer_push_position(HistoryWriter *writer, const char *environment, int64_t revision,
                             const char *chain, bool wait)
{
    HistoryItem *item = g_new0(HistoryItem, 1);
    *item = (HistoryItem){.kind = HISTORY_ITEM_POSITION, .memory = sizeof *item};
    g_strlcpy(item->position.environment, environment, sizeof item->position.environment);
    g_strlcpy(item->position.chain, chain, sizeof item->position.chain);
    item->position.revision = revision;
    g_mutex_lock(&writer->lock);
    push(writer, item);
    writer->asked |= HISTORY_ASK_WRITE;
    g_cond_signal(&writer->wake);
    uint64_t serial = writer->state.pushed;
    int64_t until = g_get_monotonic_time() + ROOM_WAIT_USEC;
    while (wait && writer->state.written < serial && !writer->state.failing &&
           g_cond_wait_until(&writer->progress, &writer->lock, until))
        continue;
    g_mutex_unlock(&writer->lock);
}

void
history_writer_set_settings(HistoryWriter *writer, const HistorySettings *settings)
{
    g_mutex_lock(&writer->lock);
    writer->settings = *settings;
    g_mutex_unlock(&writer->lock);
    history_writer_ask(writer, HISTORY_ASK_CLEAN);
}

void
history_writer_ask(HistoryWriter *writer, HistoryAsked what)
{
    g_mutex_lock(&writer->lock);
    if ((writer->asked & what) != what)
        g_cond_signal(&writer->wake);
    writer->asked |= what;
    g_mutex_unlock(&writer->lock);
}

void
history_writer_get_state(HistoryWriter *writer, HistoryState *state)
{
    g_mutex_lock(&writer->lock);
    writer->state.queue_bytes = writer->bytes;
    *state = writer->state;
    writer->known_generation = writer->state.generation;
    writer->told = false;
    g_mutex_unlock(&writer->lock);
}

bool
history_writer_lookup_session(HistoryWriter *writer, const char *token, char **json)
{
    gpointer found = NULL;
    g_mutex_lock(&writer->lock);
    bool waits = g_hash_table_lookup_extended(writer->sessions, token, NULL, &found) ||
                 (writer->writing_sessions != NULL &&
                  g_hash_table_lookup_extended(writer->writing_sessions, token, NULL, &found));
    *json = waits ? g_strdup(found) : NULL;
    g_mutex_unlock(&writer->lock);
    return waits;
}

void
history_item_free(HistoryItem *item)
{
    if (item->kind == HISTORY_ITEM_ENTRY)
        history_entry_clear(&item->entry);
    else if (item->kind == HISTORY_ITEM_AUDIT)
        history_audit_clear(&item->audit);
    g_free(item);
}

static void *
run(void *data)
{
    HistoryWriter *writer = data;
    while (take(writer)) {
        history_batch_check(writer);
        history_batch_write(writer);
        history_batch_sync(writer, false);
        history_batch_clean(writer);
        tell(writer);
    }
    finish(writer);
    return NULL;
}

/* Waits until there is something to do.  False: the end. */
static bool
take(HistoryWriter *writer)
{
    g_mutex_lock(&writer->lock);
    int64_t due;
    while (!writer->stop && (due = next_due(writer)) > g_get_monotonic_time()) {
        if (due == G_MAXINT64)
            g_cond_wait(&writer->wake, &writer->lock);
        else
            g_cond_wait_until(&writer->wake, &writer->lock, due);
    }
    take_items(writer);
    bool more = !writer->stop;
    g_mutex_unlock(&writer->lock);
    return more;
}

/* Monotonic usec. */
static int64_t
next_due(const HistoryWriter *writer)
{
    int64_t due = G_MAXINT64;
    bool waits = writer->items.length > 0 || g_hash_table_size(writer->sessions) > 0;
    if (writer->state.failing) {
        /* One attempt in a while, whatever waits. */
        due = writer->retry_usec;
    } else if (waits || writer->batch->len > 0) {
        bool hurry = (writer->asked & HISTORY_ASK_WRITE) != 0 || writer->bytes >= HURRY_BYTES ||
                     writer->batch->len > 0;
        int64_t linger = g_hash_table_size(writer->sessions) > 0 ? SESSION_LINGER_USEC : LINGER_USEC;
        due = hurry ? 0 : writer->oldest_usec + linger;
    }
    if ((writer->asked & HISTORY_ASK_CHECK) != 0 ||
        ((writer->asked & HISTORY_ASK_CLEAN) != 0 && !writer->state.failing))
        due = 0;
    if (writer->sync_usec != 0)
        due = MIN(due, (writer->asked & HISTORY_ASK_SYNC) != 0 && !waits ? 0 : writer->sync_usec);
    if (writer->clean_usec != 0)
        due = MIN(due, writer->clean_usec);
    return due;
}

/* Under the lock. */
static void
take_items(HistoryWriter *writer)
{
    size_t bytes = 0;
    while (writer->batch->len < BATCH_ITEMS && bytes < BATCH_BYTES && writer->items.length > 0) {
        HistoryItem *item = g_queue_pop_head(&writer->items);
        bytes += item->memory;
        writer->taken = item->serial;
        g_ptr_array_add(writer->batch, item);
    }
    if (writer->items.length > 0)
        return;
    writer->asked &= ~(unsigned)HISTORY_ASK_WRITE;
    writer->oldest_usec = 0;
    writer->taken = writer->state.pushed;
    if (writer->writing_sessions != NULL || g_hash_table_size(writer->sessions) == 0)
        return;
    writer->writing_sessions = writer->sessions;
    writer->sessions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

/* Under the lock. */
static void
push(HistoryWriter *writer, HistoryItem *item)
{
    item->serial = ++writer->state.pushed;
    item->generation = writer->known_generation;
    writer->bytes += item->memory;
    if (writer->oldest_usec == 0)
        writer->oldest_usec = g_get_monotonic_time();
    g_queue_push_tail(&writer->items, item);
    if (writer->items.length == 1 || writer->bytes >= HURRY_BYTES)
        g_cond_signal(&writer->wake);
}

/* The main loop looks at the state; once, however often it changes until then. */
static void
tell(HistoryWriter *writer)
{
    g_mutex_lock(&writer->lock);
    bool told = writer->told;
    writer->told = true;
    g_cond_broadcast(&writer->progress);
    g_mutex_unlock(&writer->lock);
    if (!told)
        conf_plugin_call_main(writer->plugin, history_store_written, NULL);
}

/* One attempt for each batch that is left, then the disk. */
static void
finish(HistoryWriter *writer)
{
    for (;;) {
        writer->retry_usec = 0;
        history_batch_write(writer);
        g_mutex_lock(&writer->lock);
        bool more =
            !writer->state.failing && (writer->items.length > 0 || g_hash_table_size(writer->sessions) > 0);
        if (more)
            take_items(writer);
        g_mutex_unlock(&writer->lock);
        if (!more)
            break;
    }
    history_batch_sync(writer, true);
    g_mutex_lock(&writer->lock);
    g_clear_pointer(&writer->writing_sessions, g_hash_table_unref);
    writer->ended = true;
    g_cond_broadcast(&writer->progress);
    g_mutex_unlock(&writer->lock);
}
