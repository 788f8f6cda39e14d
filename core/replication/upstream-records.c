/* upstream-records.c - older change records from the master (changesFrom): for this server's own history,
 * and, at the first load, for the ring out of which its clients resume.
 *
 * They come before the walk and before a resumed stream, and beside the commits that the walk lets through
 * in part.  A record is taken as it stands; where the one before it is known, its chain must follow from
 * both. */
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "replication/upstream-private.h"

enum {
    RECENT_MAX = 20000, /* for the ring: as a primary reads back at its start */
    RECENT_BYTES_MAX = 16 * 1024 * 1024,
    PAUSE_MS = 20,
    PATIENCE_MS = 30000,
};

typedef struct {
    char chain[CONF_CHAIN_TEXT_SIZE];
    ConfBytes *record;
} Recent;

static void take_records(ConfRequest *request, void *data);
static bool take_item(ConfUpstream *upstream, ConfSlice item);
static bool read_item(ConfSlice item, ConfSlice *record, char chain[CONF_CHAIN_TEXT_SIZE], int64_t *revision);
static bool read_revision(ConfSlice record, int64_t *revision);
static bool take_record(ConfUpstream *upstream, ConfSlice record, const char *chain, int64_t revision);
static void refuse(ConfUpstream *upstream, const char *why);
static void keep_recent(ConfUpstream *upstream, ConfSlice record, const char *chain);
static void recent_free(void *data);
static void pause_or_go_on(void *data);

void
conf_upstream_add_record_methods(ConfUpstream *upstream)
{
    const ConfMethod method = {.name = "replica.records", .func = take_records, .data = upstream};
    bool added = conf_method_table_add(upstream->table, &method);
    g_assert(added);
}

void
conf_upstream_ask_records(ConfUpstream *upstream, ConfJsonWriter *writer)
{
    ConfRecords *records = &upstream->records;
    int64_t confirmed = upstream->host.confirmed != NULL ? upstream->host.confirmed(upstream->host.data) : 0;
    bool resuming = upstream->store != NULL && !upstream->reload;
    conf_upstream_stop_records(upstream);
    /* A history that holds nothing begins with the load. */
    if (confirmed <= 0 || (resuming && confirmed >= conf_store_position(upstream->store)->revision))
        return;
    records->wanted = true;
    conf_json_writer_member_integer(writer, "changesFrom", confirmed);
}

void
conf_upstream_stop_records(ConfUpstream *upstream)
{
    ConfRecords *records = &upstream->records;
    conf_timer_cancel(&records->pause);
    g_queue_clear_full(&records->recent, recent_free);
    *records = (ConfRecords){.wanted = false};
}

void
conf_upstream_fill_recent(ConfUpstream *upstream, ConfStore *store)
{
    const ConfSchema *schema = conf_store_schema(store);
    for (GList *link = upstream->records.recent.head; link != NULL; link = link->next) {
        const Recent *recent = link->data;
        g_autoptr(GError) failure = NULL;
        g_autoptr(ConfCommit) commit =
            conf_commit_from_record(schema, conf_bytes_slice(recent->record), recent->chain, &failure);
        if (commit == NULL)
            conf_store_forget_recent(store);
        else
            conf_store_add_recent(store, commit);
    }
}

static void
take_records(ConfRequest *request, void *data)
{
    ConfUpstream *upstream = data;
    if (!conf_upstream_is_from_master(upstream, request) ||
        (upstream->state != CONF_LINK_LIVE && upstream->state != CONF_LINK_LOADING))
        return;
    conf_upstream_watch(upstream);
    conf_poller_note("records from master");
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, conf_request_get_params(request));
    conf_json_reader_next(&reader);
    if (conf_json_reader_next(&reader) != CONF_JSON_EVENT_KEY || !conf_slice_is(reader.text, "records") ||
        conf_json_reader_next(&reader) != CONF_JSON_EVENT_ARRAY) {
        refuse(upstream, "replica.records is not understood");
        return;
    }
    ConfSlice item;
    while (upstream->records.wanted && conf_json_reader_has_item(&reader))
        if (!conf_json_reader_skip(&reader, &item) || !take_item(upstream, item))
            return;
    ConfRecords *records = &upstream->records;
    if (!records->wanted)
        return;
    records->lines[records->line_count++] = records->last;
    records->patience = PATIENCE_MS / PAUSE_MS;
    pause_or_go_on(upstream);
}

/* False: the records, or the stream, are over. */
static bool
take_item(ConfUpstream *upstream, ConfSlice item)
{
    ConfSlice record = {NULL, 0};
    char chain[CONF_CHAIN_TEXT_SIZE] = "";
    int64_t revision = 0;
    if (!read_item(item, &record, chain, &revision)) {
        refuse(upstream, "A change record of the master is not understood");
        return false;
    }
    return take_record(upstream, record, chain, revision);
}

static bool
read_item(ConfSlice item, ConfSlice *record, char chain[CONF_CHAIN_TEXT_SIZE], int64_t *revision)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, item);
    if (conf_json_reader_next(&reader) != CONF_JSON_EVENT_OBJECT)
        return false;
    while (conf_json_reader_next(&reader) == CONF_JSON_EVENT_KEY) {
        bool is_record = conf_slice_is(reader.text, "record"), is_chain = conf_slice_is(reader.text, "chain");
        ConfSlice value = {NULL, 0};
        if (!conf_json_reader_skip(&reader, &value))
            return false;
        if (is_record)
            *record = value;
        if (is_chain && value.size == CONF_CHAIN_TEXT_SIZE + 1)
            memcpy(chain, value.data + 1, CONF_CHAIN_TEXT_SIZE - 1);
    }
    return strspn(chain, "0123456789abcdef") == CONF_CHAIN_TEXT_SIZE - 1 && read_revision(*record, revision);
}

static bool
read_revision(ConfSlice record, int64_t *revision)
{
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    conf_json_reader_start(&reader, record);
    bool found =
        record.size > 0 && conf_json_reader_next(&reader) == CONF_JSON_EVENT_OBJECT &&
        conf_json_reader_next(&reader) == CONF_JSON_EVENT_KEY && conf_slice_is(reader.text, "revision") &&
        conf_json_reader_next(&reader) == CONF_JSON_EVENT_NUMBER && reader.is_integer && reader.integer > 0;
    if (found)
        *revision = reader.integer;
    return found;
}

static bool
take_record(ConfUpstream *upstream, ConfSlice record, const char *chain, int64_t revision)
{
    ConfRecords *records = &upstream->records;
    char expected[CONF_CHAIN_TEXT_SIZE];
    if (revision <= records->last) {
        refuse(upstream, "The master's change records are not in order");
        return false;
    }
    conf_id_next_chain(records->chain, record, expected);
    if (records->last == revision - 1 && records->chain[0] != '\0' && strcmp(chain, expected) != 0) {
        refuse(upstream, "The chain of the master's change records is broken");
        return false;
    }
    g_autoptr(GError) error = NULL;
    g_autofree char *text = conf_slice_dup(record);
    if (!upstream->host.record(revision, chain, text, &error, upstream->host.data)) {
        refuse(upstream, error->message);
        return false;
    }
    records->last = revision;
    g_strlcpy(records->chain, chain, sizeof records->chain);
    upstream->statistics.records++;
    if (upstream->store == NULL)
        keep_recent(upstream, record, chain);
    return true;
}

/* The history has a gap then, and says so to those who ask across it; what is served is not concerned. */
static void
refuse(ConfUpstream *upstream, const char *why)
{
    conf_log(CONF_LOG_RECORDS_REFUSED, "after", conf_log_integer(upstream->records.last), "reason", why,
             NULL);
    conf_upstream_stop_records(upstream);
}

static void
keep_recent(ConfUpstream *upstream, ConfSlice record, const char *chain)
{
    ConfRecords *records = &upstream->records;
    Recent *recent = g_new0(Recent, 1);
    g_strlcpy(recent->chain, chain, sizeof recent->chain);
    recent->record = conf_bytes_new(record.data, record.size);
    g_queue_push_tail(&records->recent, recent);
    records->recent_bytes += record.size;
    while (records->recent.length > RECENT_MAX ||
           (records->recent_bytes > RECENT_BYTES_MAX && records->recent.length > 1)) {
        Recent *oldest = g_queue_pop_head(&records->recent);
        records->recent_bytes -= oldest->record->size;
        recent_free(oldest);
    }
}

static void
recent_free(void *data)
{
    Recent *recent = data;
    conf_bytes_unref(recent->record);
    g_free(recent);
}

/* The master is listened to again once the history has written most of what it was given.  A history that
 * does not get on with it is not waited for: it says itself what it could not write. */
static void
pause_or_go_on(void *data)
{
    ConfUpstream *upstream = data;
    ConfRecords *records = &upstream->records;
    int64_t confirmed = upstream->host.confirmed(upstream->host.data);
    unsigned done = 0;
    while (done < records->line_count && records->lines[done] <= confirmed)
        done++;
    records->line_count -= done;
    memmove(records->lines, records->lines + done, records->line_count * sizeof records->lines[0]);
    bool full = records->line_count == G_N_ELEMENTS(records->lines);
    if (full && records->patience-- > 0) {
        if (!records->paused)
            conf_connection_hold_input(upstream->connection);
        records->paused = true;
        conf_timer_cancel(&upstream->watchdog);
        conf_timer_arm(&records->pause, PAUSE_MS, pause_or_go_on, upstream);
        return;
    }
    bool was_paused = records->paused;
    records->paused = false;
    if (full)
        refuse(upstream, "The history does not write what it is given");
    if (!was_paused)
        return;
    conf_connection_release_input(upstream->connection);
    conf_upstream_watch(upstream);
}
