/* downstream-records.c - older change records for a replica's own history (changesFrom of replica.open).
 *
 * From the ring where it reaches back far enough, else from the source (database, plugin history), which
 * is asked page by page as the socket takes them: nothing is held for a slow replica.  What nobody holds
 * any more is left out; the replica sees the gap by the revisions. */
#include "replication/downstream-private.h"

enum { LINE_TARGET = 256 * 1024, RECORD_LIMIT = 60 * 1024 * 1024 };

/* A question to the source outlives the replica. */
struct ConfRecordRead {
    ConfReplica *replica; /* NULL: gone */
    int64_t start;
};

static bool from_ring(ConfReplica *replica);
static void ask(ConfReplica *replica);
static bool take(ConfSlice record, const char *chain, void *data);
static void done(void *data);
static void skip_gap(ConfReplica *replica);
static void add(ConfReplica *replica, ConfSlice record, const char *chain);
static void flush(ConfReplica *replica);
static bool read_revision(ConfSlice record, int64_t *revision, bool *fold);
static int64_t last_wanted(const ConfReplica *replica);

void
conf_replica_record_step(ConfReplica *replica)
{
    while (replica->read == NULL && conf_connection_has_room(replica->connection)) {
        if (replica->record_cursor >= last_wanted(replica)) {
            flush(replica);
            replica->recording = false;
            /* Nothing of the stream has gone yet: it begins here, however long the records took. */
            if (!replica->silent)
                replica->pump_cursor = conf_store_position(replica->downstream->store)->revision;
            return;
        }
        if (from_ring(replica)) {
            if (conf_work_is_due())
                return;
            continue;
        }
        flush(replica);
        if (replica->downstream->source.read != NULL && replica->record_missed != replica->record_cursor)
            ask(replica);
        else
            skip_gap(replica);
    }
}

void
conf_replica_record_commit(ConfReplica *replica, const ConfCommit *commit)
{
    g_auto(ConfBuffer) record = CONF_BUFFER_INIT;
    if (commit->from != 0)
        return;
    conf_commit_write_record(commit, conf_store_schema(replica->downstream->store), &record);
    add(replica, conf_buffer_slice(&record), commit->chain);
    flush(replica);
}

void
conf_replica_record_stop(ConfReplica *replica)
{
    if (replica->read != NULL)
        replica->read->replica = NULL;
    replica->read = NULL;
    conf_buffer_clear(&replica->record_line);
}

/* A resumed stream goes on from where the replica is; a walk shows the present. */
static int64_t
last_wanted(const ConfReplica *replica)
{
    return replica->silent ? replica->pump_cursor : conf_store_position(replica->downstream->store)->revision;
}

static bool
from_ring(ConfReplica *replica)
{
    const ConfCommit *commit = conf_store_recent_after(replica->downstream->store, replica->record_cursor);
    if (commit == NULL || commit->from != 0)
        return false;
    g_auto(ConfBuffer) record = CONF_BUFFER_INIT;
    conf_commit_write_record(commit, conf_store_schema(replica->downstream->store), &record);
    add(replica, conf_buffer_slice(&record), commit->chain);
    replica->record_cursor = commit->revision;
    return true;
}

static void
ask(ConfReplica *replica)
{
    const ConfRecordSource *source = &replica->downstream->source;
    ConfRecordRead *read = g_new0(ConfRecordRead, 1);
    *read = (ConfRecordRead){.replica = replica, .start = replica->record_cursor};
    replica->read = read;
    source->read(source->self, replica->record_cursor, take, done, read);
}

static bool
take(ConfSlice record, const char *chain, void *data)
{
    ConfRecordRead *read = data;
    ConfReplica *replica = read->replica;
    int64_t revision = 0;
    bool fold = false;
    if (replica == NULL || !read_revision(record, &revision, &fold) || revision > last_wanted(replica))
        return false;
    if (fold || revision <= replica->record_cursor)
        return true;
    add(replica, record, chain);
    replica->record_cursor = revision;
    return replica->record_line.size < LINE_TARGET;
}

static void
done(void *data)
{
    ConfRecordRead *read = data;
    ConfReplica *replica = read->replica;
    int64_t start = read->start;
    g_free(read);
    if (replica == NULL)
        return;
    replica->read = NULL;
    if (replica->record_cursor == start)
        replica->record_missed = start;
    flush(replica);
    conf_replica_go_on(replica);
}

/* To the first revision above from which the ring goes on: behind its start, or behind a fold. */
static void
skip_gap(ConfReplica *replica)
{
    ConfStore *store = replica->downstream->store;
    int64_t cursor = conf_store_recent_start(store);
    while (cursor <= replica->record_cursor) {
        const ConfCommit *commit = conf_store_recent_after(store, cursor);
        cursor = commit != NULL ? commit->revision : last_wanted(replica);
        if (commit == NULL)
            break;
    }
    replica->record_cursor = MAX(cursor, replica->record_cursor + 1);
}

static void
add(ConfReplica *replica, ConfSlice record, const char *chain)
{
    ConfBuffer *line = &replica->record_line;
    if (record.size > RECORD_LIMIT)
        return; /* Longer than a replica reads a line: a gap. */
    if (line->size > 0 && line->size + record.size > LINE_TARGET)
        flush(replica);
    if (line->size == 0) {
        conf_rpc_begin_notification(line, "replica.records");
        CONF_BUFFER_LITERAL(line, "{\"records\":[");
    } else {
        conf_buffer_append_char(line, ',');
    }
    conf_buffer_printf(line, "{\"chain\":\"%.16s\",\"record\":", chain);
    conf_buffer_append_slice(line, record);
    conf_buffer_append_char(line, '}');
    replica->downstream->statistics.records++;
}

static void
flush(ConfReplica *replica)
{
    if (replica->record_line.size == 0)
        return;
    CONF_BUFFER_LITERAL(&replica->record_line, "]}}\n");
    conf_replica_send(replica, &replica->record_line);
    conf_buffer_truncate(&replica->record_line, 0);
}

/* A record begins so: conf_commit_write_record(). */
static bool
read_revision(ConfSlice record, int64_t *revision, bool *fold)
{
    static const char head[] = "{\"revision\":";
    const size_t size = sizeof head - 1;
    if (record.size < size + 20 || memcmp(record.data, head, size) != 0)
        return false;
    g_autofree char *text = g_strndup(record.data + size, 28);
    char *end = NULL;
    *revision = g_ascii_strtoll(text, &end, 10);
    *fold = g_str_has_prefix(end, ",\"from\":");
    return *revision > 0;
}
