/* history.c - plugin history: what happened, by whom, and who was connected; kept in one SQLite file in
 * data-folder.
 *
 * Here stand the descriptor, the options and what is done at load, stop and unload.  Commits take their
 * way through history-store.c; history-private.h tells of the three sides and their threads. */
#include "history-methods-private.h"

#include <string.h>

enum { CLEAN_EVERY_MS = 30 * 60 * 1000 };

static bool check(const void *settings, GError **error);
static void *load(ConfPlugin *p, const void *settings, GError **error);
static void changed(void *self, const void *settings);
static void unload(void *self);
static void show_statistics(History *history);
static void clean_due(void *self, void *unused);

#define SECTION "history-log"
static const ConfOption options[] = {
    CONF_OPTION_BOOL(
        HistorySettings, active, SECTION, "active", "true", NULL, CONF_AT_ONCE,
        "Whether changes and sessions are recorded. Meant to be false for a while only: what changes "
        "meanwhile is a gap, across which no client can resume."),
    CONF_OPTION_INT(HistorySettings, expiration, SECTION, "expiration", "30", "1..30 d", CONF_AT_ONCE,
                    "How old changes may be that a client or proxy is sent when it resumes."),
    CONF_OPTION_INT(HistorySettings, max_records, SECTION, "max-records", "1000", "1..1000", CONF_AT_ONCE,
                    "The most records in one answer. Longer answers come in pages; nothing is cut off."),
    CONF_OPTION_INT(HistorySettings, audit_expiration, SECTION, "audit-expiration", "365", "2..3650 d",
                    CONF_AT_ONCE, "How long changes and log-ins are kept. Must be more than expiration."),
    CONF_OPTION_INT(
        HistorySettings, audit_max_records, SECTION, "audit-max-records", "50000", "2..100000000",
        CONF_AT_ONCE,
        "How many transactions are kept, and how many records of log-ins; the oldest go first. Must be "
        "more than max-records. What a client can resume from is bounded by it too."),
    CONF_OPTION_INT(HistorySettings, client_expiration, SECTION, "client-expiration", "1", "1..30 d",
                    CONF_AT_ONCE, "How long sessions are kept that nobody has taken up again."),
    CONF_OPTION_BOOL(
        HistorySettings, write_former_value, SECTION, "write-former-value", "true", NULL, CONF_AT_ONCE,
        "Whether answers show what a member was before. The file holds it in any case: changes are "
        "replayed and verified by it."),
    CONF_OPTION_BOOL(
        HistorySettings, failsafe, SECTION, "failsafe-store-processing", "true", NULL, CONF_AT_ONCE,
        "Whether the database keeps its change records until the history is on the disk. Without it a "
        "power loss may cost the last seconds of the history."),
    CONF_OPTION_END,
};

CONF_PLUGIN(.name = "history", .version = CONF_HISTORY_VERSION,
            .summary = "Keeps what happened: changes, log-ins and sessions.", .options = options,
            .settings_size = sizeof(HistorySettings), .check = check, .load = load, .changed = changed,
            .unload = unload, .commands = history_commands);

static bool
check(const void *settings, GError **error)
{
    const HistorySettings *given = settings;
    if (given->audit_expiration <= given->expiration)
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "Option audit-expiration of section [" SECTION "] must be more than expiration");
    else if (given->audit_max_records <= given->max_records)
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "Option audit-max-records of section [" SECTION "] must be more than max-records");
    else
        return true;
    return false;
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    g_autofree char *path = g_build_filename(conf_plugin_get_data_folder(p), "confserv.history", NULL);
    HistoryWriter *writer = history_writer_new(p, path, settings, error);
    if (writer == NULL)
        return NULL;
    History *history = g_new0(History, 1);
    history->plugin = p;
    history->settings = *(const HistorySettings *)settings;
    history->path = g_steal_pointer(&path);
    history->writer = writer;
    history->addresses = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    g_mutex_init(&history->reader_lock);
    history_writer_get_state(writer, &history->state);
    history->queued_revision = history_store_known(history);
    if (!conf_plugin_provide(p, "history", &history_provider, error) ||
        !conf_plugin_add_method(p, "history.verify", false, history_verify_method, error) ||
        !conf_plugin_add_method(p, "history.head", false, history_head_method, error) ||
        !conf_plugin_add_method(p, "history.list", false, history_list_method, error) ||
        !conf_plugin_add_method(p, "history.revert", false, history_revert_method, error) ||
        !conf_plugin_add_method(p, "history.sessions", false, history_sessions_method, error)) {
        unload(history);
        return NULL;
    }
    conf_plugin_hook(p, CONF_LATE, &history_commit_hooks);
    conf_plugin_hook(p, CONF_LATE, &history_audit_hooks);
    conf_plugin_hook(p, CONF_LATE, &history_caller_hooks);
    conf_plugin_hook(p, CONF_LATE, &history_head_hooks);
    show_statistics(history);
    history_head_start(history);
    conf_timer(p, CLEAN_EVERY_MS, clean_due, NULL);
    return history;
}

static void
changed(void *self, const void *settings)
{
    History *history = self;
    history->settings = *(const HistorySettings *)settings;
    history_store_changed(history);
}

static void
unload(void *self)
{
    History *history = self;
    history_store_end(history);
    history_callers_end(history);
    history_replay_end(history);
    history_writer_free(history->writer);
    g_queue_clear_full(&history->readers, (GDestroyNotify)history_reader_free);
    g_hash_table_unref(history->addresses);
    g_mutex_clear(&history->reader_lock);
    g_free(history->path);
    g_free(history);
}

static void
show_statistics(History *history)
{
    const struct {
        const char *name;
        const uint64_t *value;
    } shown[] = {
        {"entries", &history->entries},
        {"audits", &history->audits},
        {"batches", &history->batches},
        {"failures", &history->failures},
        {"failing", &history->failing},
        {"removed", &history->removed},
        {"setAside", &history->set_aside},
        {"gaps", &history->gaps},
        {"queueBytes", &history->queue_bytes},
        {"lostEntries", &history->lost_entries},
        {"lostAudits", &history->lost_audits},
        {"firstRevision", &history->first_revision},
        {"lastRevision", &history->last_revision},
        {"durableRevision", &history->durable_revision},
        {"replays", &history->replays},
        {"replayed", &history->replayed},
        {"verifications", &history->verifications},
        {"broken", &history->broken},
        {"damages", &history->damages},
        {"heads", &history->heads},
        {"headsDiffering", &history->heads_differing},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(shown); i++)
        conf_plugin_statistic(history->plugin, shown[i].name, shown[i].value);
}

static void
clean_due(void *self, void *unused)
{
    History *history = self;
    (void)unused;
    history_writer_ask(history->writer, HISTORY_ASK_CLEAN);
    conf_timer(history->plugin, CLEAN_EVERY_MS, clean_due, NULL);
}
