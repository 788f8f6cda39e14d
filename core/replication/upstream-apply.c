/* upstream-apply.c - takes whole transactions out of the lines that came, in order, and publishes them.
 *
 * A body that came out otherwise than its hash says should never happen: the same code makes it on both
 * sides.  Where releases differ, that object alone is fetched, and its commit (with all that follow) waits
 * for it. */
#include "base/error.h"
#include "base/log.h"
#include "replication/upstream-private.h"

enum { FETCH_MS = 30000 };

typedef struct {
    ConfUpstream *upstream;
    ConfKey key;
} Fetch;

static GPtrArray *take_transaction(ConfUpstream *upstream);
static bool has_more(const ConfBytes *line);
static void take_commit(ConfUpstream *upstream, ConfCommit *commit);
static void fetch_misfits(ConfUpstream *upstream);
static void fetched(ConfSlice result, ConfSlice error, void *data);
static bool replace_after(ConfUpstream *upstream, ConfKey key, ConfSlice item, GError **error);
static ConfStore *store_of(ConfUpstream *upstream);

void
conf_upstream_apply_lines(ConfUpstream *upstream)
{
    while (upstream->pending == NULL && upstream->connection != NULL &&
           conf_connection_is_open(upstream->connection)) {
        g_autoptr(GPtrArray) lines = take_transaction(upstream);
        if (lines == NULL)
            return;
        GError *error = NULL;
        if (upstream->state == CONF_LINK_LOADING && upstream->fresh == NULL &&
            !conf_upstream_make_fresh(upstream, &error)) {
            conf_upstream_broken(upstream, error);
            return;
        }
        ConfCommit *commit = conf_upstream_read_commit(upstream, store_of(upstream), lines, &error);
        if (commit == NULL) {
            conf_upstream_broken(upstream, error);
            return;
        }
        if (upstream->misfits->len > 0) {
            upstream->pending = commit;
            fetch_misfits(upstream);
            return;
        }
        take_commit(upstream, commit);
        conf_commit_unref(commit);
    }
}

static ConfStore *
store_of(ConfUpstream *upstream)
{
    return upstream->state == CONF_LINK_LOADING ? upstream->fresh : upstream->store;
}

/* NULL: its last line has not come yet. */
static GPtrArray *
take_transaction(ConfUpstream *upstream)
{
    GList *last = upstream->lines.head;
    while (last != NULL && has_more(last->data))
        last = last->next;
    if (last == NULL)
        return NULL;
    GPtrArray *lines = g_ptr_array_new_with_free_func((GDestroyNotify)conf_bytes_unref);
    bool done = false;
    while (!done) {
        done = upstream->lines.head == last;
        ConfBytes *line = g_queue_pop_head(&upstream->lines);
        upstream->lines_size -= line->size;
        g_ptr_array_add(lines, line);
    }
    return lines;
}

/* "more":true ends all lines of a transaction but the last. */
static bool
has_more(const ConfBytes *line)
{
    static const char tail[] = "\"more\":true}";
    const size_t size = sizeof tail - 1;
    return line->size > size && memcmp(line->data + line->size - size, tail, size) == 0;
}

static void
take_commit(ConfUpstream *upstream, ConfCommit *commit)
{
    ConfStore *store = store_of(upstream);
    if (upstream->state == CONF_LINK_LOADING) {
        conf_store_apply(store, commit, NULL, NULL);
        return;
    }
    int64_t present = conf_store_position(store)->revision;
    if (commit->revision <= present)
        return;
    if (commit->revision != present + 1) {
        upstream->reload = true;
        conf_upstream_fail(upstream, "A revision is missing in the master's stream");
        return;
    }
    conf_publisher_publish(upstream->host.publisher(upstream->host.data), commit);
    conf_upstream_check_knowledge(upstream);
}

static void
fetch_misfits(ConfUpstream *upstream)
{
    const ConfSchema *schema = conf_store_schema(store_of(upstream));
    upstream->fetching = upstream->misfits->len;
    for (unsigned i = 0; i < upstream->misfits->len; i++) {
        ConfKey key = g_array_index(upstream->misfits, ConfKey, i);
        const char *type = conf_schema_type(schema, key.type)->name;
        conf_log(CONF_LOG_REPLICA_OBJECT_FETCHED, "type", type, "dbid", conf_log_integer(key.dbid), NULL);
        upstream->statistics.fetched_objects++;
        g_autofree char *params =
            g_strdup_printf("{\"type\":\"%s\",\"dbid\":%" G_GINT64_FORMAT "}", type, key.dbid);
        Fetch *fetch = g_new0(Fetch, 1);
        *fetch = (Fetch){.upstream = upstream, .key = key};
        conf_calls_send(upstream->calls, "replica.object", conf_slice_from_string(params), FETCH_MS, fetched,
                        fetch);
    }
}

static void
fetched(ConfSlice result, ConfSlice error, void *data)
{
    Fetch *fetch = data;
    ConfUpstream *upstream = fetch->upstream;
    ConfKey key = fetch->key;
    g_free(fetch);
    if (upstream->pending == NULL)
        return; /* The link is gone. */
    GError *failure = NULL;
    bool gone = result.size == 0 && error.size > 0;
    if (!gone && (result.size == 0 || !replace_after(upstream, key, result, &failure))) {
        upstream->reload = true;
        g_clear_error(&failure);
        conf_upstream_fail(upstream, "An object that differs from the master's could not be fetched");
        return;
    }
    /* Gone at the master meanwhile: its deletion follows in the stream. */
    if (--upstream->fetching > 0)
        return;
    g_autoptr(ConfCommit) commit = g_steal_pointer(&upstream->pending);
    g_array_set_size(upstream->misfits, 0);
    take_commit(upstream, commit);
    conf_upstream_apply_lines(upstream);
    if (upstream->loaded == NULL || upstream->pending != NULL || upstream->state != CONF_LINK_LOADING)
        return;
    g_autoptr(ConfBytes) loaded = g_steal_pointer(&upstream->loaded);
    conf_upstream_loaded(upstream, conf_bytes_slice(loaded));
}

static bool
replace_after(ConfUpstream *upstream, ConfKey key, ConfSlice item, GError **error)
{
    ConfStore *store = store_of(upstream);
    ConfObject *object = conf_upstream_read_item(store, item, error);
    if (object == NULL)
        return false;
    for (unsigned i = 0; i < upstream->pending->change_count; i++) {
        ConfChange *change = &upstream->pending->changes[i];
        if (change->after == NULL || !conf_key_equal(conf_object_key(change->after), key))
            continue;
        conf_object_unref(change->after);
        change->after = object;
        if (change->kind == CONF_CHANGE_UPDATE) {
            conf_bytes_unref(change->difference);
            change->difference = conf_upstream_difference(store, change->before, object);
        }
        return true;
    }
    conf_object_unref(object);
    return true;
}
