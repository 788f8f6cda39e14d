/* downstream-write.c - how objects and commits stand in the stream to a replica. */
#include "base/clock.h"
#include "replication/downstream-private.h"

enum { LINE_TARGET = 256 * 1024, LINE_LIMIT = 1000 * 1024 };

static GPtrArray *write_lines(ConfReplica *replica, const ConfCommit *commit, bool whole);
static void write_head(const ConfReplica *replica, ConfBuffer *buffer, const ConfCommit *commit, bool whole);
static bool is_shown(const ConfReplica *replica, ConfKey key);
static bool write_change(ConfReplica *replica, ConfBuffer *buffer, const ConfCommit *commit,
                         const ConfChange *change, bool whole);
static void write_place(const ConfObject *object, ConfBuffer *buffer);
static void write_secrets_of(const ConfReplica *replica, const ConfCommit *commit, const ConfChange *change,
                             ConfBuffer *buffer);
static void write_permissions(const ConfReplica *replica, const ConfObject *object, ConfBuffer *buffer);
static void write_secrets(const ConfObject *object, ConfBuffer *buffer);

GPtrArray *
conf_replica_write_commit(ConfReplica *replica, const ConfCommit *commit)
{
    ConfDownstream *downstream = replica->downstream;
    bool shared = conf_replica_reads_all(replica);
    if (shared && downstream->cached_lines != NULL && strcmp(downstream->cached_chain, commit->chain) == 0 &&
        downstream->cached_secrets == replica->secrets)
        return g_ptr_array_ref(downstream->cached_lines);
    GPtrArray *lines = write_lines(replica, commit, shared);
    if (!shared)
        return lines;
    if (downstream->cached_lines != NULL)
        g_ptr_array_unref(downstream->cached_lines);
    downstream->cached_lines = g_ptr_array_ref(lines);
    memcpy(downstream->cached_chain, commit->chain, sizeof downstream->cached_chain);
    downstream->cached_secrets = replica->secrets;
    return lines;
}

void
conf_replica_write_item(const ConfReplica *replica, const ConfObject *object, ConfBuffer *buffer)
{
    CONF_BUFFER_LITERAL(buffer, "{\"object\":");
    conf_buffer_append_slice(buffer, conf_bytes_slice(object->body));
    if (replica->secrets && object->secrets != NULL)
        write_secrets(object, buffer);
    if (object->acl != NULL)
        write_permissions(replica, object, buffer);
    conf_buffer_append_char(buffer, '}');
}

void
conf_replica_item_digest(const ConfReplica *replica, const ConfObject *object, uint8_t digest[16])
{
    if (replica->secrets || object->secrets == NULL)
        memcpy(digest, object->digest, 16);
    else
        conf_object_compute_digest(conf_store_schema(replica->downstream->store), object, false, digest);
}

/* `whole`: it reads everything, also what lay in a folder that is gone by now and whose list nobody knows any
 * more. */
static GPtrArray *
write_lines(ConfReplica *replica, const ConfCommit *commit, bool whole)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func((GDestroyNotify)conf_bytes_unref);
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    write_head(replica, &buffer, commit, whole);
    size_t head = buffer.size;
    g_auto(ConfBuffer) entry = CONF_BUFFER_INIT;
    for (unsigned i = 0; i < commit->change_count; i++) {
        conf_buffer_truncate(&entry, 0);
        if (!write_change(replica, &entry, commit, &commit->changes[i], whole))
            continue;
        bool filled = buffer.size > head;
        if (filled && (buffer.size > LINE_TARGET || buffer.size + entry.size > LINE_LIMIT)) {
            CONF_BUFFER_LITERAL(&buffer, "],\"more\":true}}\n");
            g_ptr_array_add(lines, conf_buffer_to_bytes(&buffer));
            conf_buffer_truncate(&buffer, head);
            filled = false;
        }
        if (filled)
            conf_buffer_append_char(&buffer, ',');
        conf_buffer_append_slice(&buffer, conf_buffer_slice(&entry));
    }
    CONF_BUFFER_LITERAL(&buffer, "]}}\n");
    g_ptr_array_add(lines, conf_buffer_to_bytes(&buffer));
    return lines;
}

static void
write_head(const ConfReplica *replica, ConfBuffer *buffer, const ConfCommit *commit, bool whole)
{
    bool user = is_shown(replica, commit->user), application = is_shown(replica, commit->application);
    char time[CONF_TIME_TEXT_SIZE];
    conf_clock_format(commit->time_ms, time);
    conf_rpc_begin_notification(buffer, "replica.changes");
    conf_buffer_printf(buffer, "{\"revision\":%" G_GINT64_FORMAT ",\"chain\":\"%s\",\"time\":\"%s\",\"by\":{",
                       commit->revision, commit->chain, time);
    if (user)
        conf_buffer_printf(buffer, "\"user\":%" G_GINT64_FORMAT, commit->user.dbid);
    if (application)
        conf_buffer_printf(buffer, "%s\"application\":%" G_GINT64_FORMAT, user ? "," : "",
                           commit->application.dbid);
    /* Of the change record, which the replica's own history is to keep as it is here. */
    if (whole && commit->address != NULL) {
        conf_buffer_append_string(buffer, user || application ? ",\"address\":" : "\"address\":");
        conf_json_append_string(buffer, conf_slice_from_string(commit->address));
    }
    CONF_BUFFER_LITERAL(buffer, "},\"changes\":[");
}

/* One who is gone since is told only to a replica that might have read anybody. */
static bool
is_shown(const ConfReplica *replica, ConfKey key)
{
    if (key.dbid == 0)
        return false;
    ConfStore *store = replica->downstream->store;
    const ConfObject *object = conf_store_lookup(store, key);
    return object != NULL ? conf_replica_may_read(replica, conf_store_acl(store, object))
                          : conf_replica_reads_all(replica);
}

/* False: the replica may not know of it. */
static bool
write_change(ConfReplica *replica, ConfBuffer *buffer, const ConfCommit *commit, const ConfChange *change,
             bool whole)
{
    static const char *const names[] = {"create", "update", "delete", "permission", "secret"};
    const ConfObject *before = change->before, *after = change->after;
    const ConfObject *object = after != NULL ? after : before;
    if (!whole && !conf_replica_may_read(replica, after != NULL ? change->acl_after : change->acl_before))
        return false;
    /* That it happened stands in the change record. */
    if (change->kind == CONF_CHANGE_SECRET && !replica->secrets && !whole)
        return false;
    conf_buffer_printf(
        buffer, "{\"op\":\"%s\",\"type\":\"%s\",\"dbid\":%" G_GINT64_FORMAT, names[change->kind],
        conf_schema_type(conf_store_schema(replica->downstream->store), object->type)->name, object->dbid);
    char hash[65];
    if (change->kind == CONF_CHANGE_CREATE) {
        conf_object_body_hash(after, hash);
        conf_buffer_printf(buffer, ",\"hash\":\"%s\",\"object\":", hash);
        conf_buffer_append_slice(buffer, conf_bytes_slice(after->body));
    } else if (change->kind == CONF_CHANGE_UPDATE) {
        conf_object_body_hash(after, hash);
        conf_buffer_printf(buffer, ",\"revision\":%" G_GINT64_FORMAT ",\"hash\":\"%s\",", after->revision,
                           hash);
        conf_buffer_append_slice(buffer, conf_bytes_slice(change->difference));
    } else if (change->kind == CONF_CHANGE_DELETE) {
        write_place(before, buffer);
    }
    const ConfAcl *acl_before = before != NULL ? before->acl : NULL;
    if (after != NULL &&
        (after->acl != acl_before || (before != NULL && after->acl_revision != before->acl_revision)))
        write_permissions(replica, after, buffer);
    if (after != NULL && replica->secrets)
        write_secrets_of(replica, commit, change, buffer);
    conf_buffer_append_char(buffer, '}');
    return true;
}

static void
write_place(const ConfObject *object, ConfBuffer *buffer)
{
    CONF_BUFFER_LITERAL(buffer, ",\"name\":");
    conf_json_append_string(buffer, conf_object_name(object));
    conf_buffer_printf(buffer, ",\"tenant\":%" G_GINT64_FORMAT, object->tenant);
    if (object->folder != 0)
        conf_buffer_printf(buffer, ",\"folder\":%" G_GINT64_FORMAT, object->folder);
}

/* A commit out of a change record knows no secrets: the replica then gets those of now, with each version,
 * and so has them whichever of its commits altered them. */
static void
write_secrets_of(const ConfReplica *replica, const ConfCommit *commit, const ConfChange *change,
                 ConfBuffer *buffer)
{
    const ConfObject *after = change->after;
    if (commit->recalled) {
        after = conf_store_lookup(replica->downstream->store, conf_object_key(after));
        if (after != NULL && (after->secrets != NULL || change->before != NULL))
            write_secrets(after, buffer);
        return;
    }
    ConfBytes *before = change->before != NULL ? change->before->secrets : NULL;
    if (!conf_slice_equal(conf_bytes_slice(after->secrets), conf_bytes_slice(before)))
        write_secrets(after, buffer);
}

/* "entries":null says that the list is inherited again. */
static void
write_permissions(const ConfReplica *replica, const ConfObject *object, ConfBuffer *buffer)
{
    conf_buffer_printf(
        buffer, ",\"permissions\":{\"revision\":%" G_GINT64_FORMAT ",\"entries\":", object->acl_revision);
    if (object->acl != NULL)
        conf_acl_write(object->acl, conf_store_schema(replica->downstream->store), buffer);
    else
        CONF_BUFFER_LITERAL(buffer, "null");
    conf_buffer_append_char(buffer, '}');
}

static void
write_secrets(const ConfObject *object, ConfBuffer *buffer)
{
    CONF_BUFFER_LITERAL(buffer, ",\"secrets\":");
    if (object->secrets != NULL)
        conf_buffer_append_slice(buffer, conf_bytes_slice(object->secrets));
    else
        CONF_BUFFER_LITERAL(buffer, "null");
}
