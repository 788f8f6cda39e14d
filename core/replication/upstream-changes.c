/* upstream-changes.c - replica.changes: from the lines of one transaction to a ConfCommit over the store.
 *
 * Taken idempotently by revision: during a load a commit may concern objects that the walk has not sent yet
 * (they come with it) or sent already as they are now. */
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "replication/upstream-private.h"

static bool read_head(ConfCommit *commit, const ConfJson *head, GError **error);
static bool read_change(ConfUpstream *upstream, ConfStore *store, const ConfJson *entry, ConfChange *change,
                        bool *skip, GError **error);
static bool make_after(ConfUpstream *upstream, ConfStore *store, const ConfJson *entry, ConfChange *change,
                       const char *op, GError **error);
static ConfBytes *body_after(ConfStore *store, const ConfJson *entry, const ConfObject *before, bool *fits,
                             GError **error);

ConfCommit *
conf_upstream_read_commit(ConfUpstream *upstream, ConfStore *store, GPtrArray *lines, GError **error)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    g_autoptr(GPtrArray) entries = g_ptr_array_new();
    const ConfJson *head = NULL;
    for (unsigned i = 0; i < lines->len; i++) {
        const ConfJson *params =
            conf_json_parse(arena, conf_bytes_slice(g_ptr_array_index(lines, i)), NULL, NULL, NULL);
        const ConfJson *changes = conf_json_member(params, "changes");
        head = params;
        if (changes == NULL || changes->kind != CONF_JSON_ARRAY) {
            g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "replica.changes is not understood");
            return NULL;
        }
        for (ConfJson *entry = changes->first; entry != NULL; entry = entry->next)
            g_ptr_array_add(entries, entry);
    }
    ConfCommit *commit = conf_commit_new(entries->len);
    unsigned count = 0;
    bool fine = read_head(commit, head, error);
    for (unsigned i = 0; i < entries->len && fine; i++) {
        bool skip = false;
        fine = read_change(upstream, store, g_ptr_array_index(entries, i), &commit->changes[count], &skip,
                           error);
        if (fine && !skip)
            count++;
    }
    commit->change_count = count;
    if (fine)
        return commit;
    conf_commit_unref(commit);
    return NULL;
}

static bool
read_head(ConfCommit *commit, const ConfJson *head, GError **error)
{
    const ConfJson *revision = conf_json_member(head, "revision"), *chain = conf_json_member(head, "chain");
    const ConfJson *time = conf_json_member(head, "time"), *by = conf_json_member(head, "by");
    if (revision == NULL || chain == NULL || chain->text.size != 16 || time == NULL ||
        !conf_clock_parse(time->text, &commit->time_ms)) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "The head of replica.changes is not understood");
        return false;
    }
    commit->revision = revision->integer;
    memcpy(commit->chain, chain->text.data, 16);
    const ConfJson *user = conf_json_member(by, "user"), *application = conf_json_member(by, "application");
    const ConfJson *address = conf_json_member(by, "address");
    if (address != NULL && address->kind == CONF_JSON_STRING)
        commit->address = conf_slice_dup(address->text);
    if (user != NULL)
        commit->user = (ConfKey){.type = CONF_TYPE_PERSON, .dbid = user->integer};
    if (application != NULL)
        commit->application = (ConfKey){.type = CONF_TYPE_APPLICATION, .dbid = application->integer};
    return true;
}

/* *skip: it concerns nothing here, or is known already. */
static bool
read_change(ConfUpstream *upstream, ConfStore *store, const ConfJson *entry, ConfChange *change, bool *skip,
            GError **error)
{
    const ConfJson *op = conf_json_member(entry, "op"), *type = conf_json_member(entry, "type"),
                   *dbid = conf_json_member(entry, "dbid");
    const ConfTypeInfo *info =
        type != NULL ? conf_schema_type_by_name(conf_store_schema(store), type->text) : NULL;
    if (op == NULL || info == NULL || dbid == NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "A change of the master's stream is not understood");
        return false;
    }
    g_autofree char *name = conf_slice_dup(op->text);
    const ConfObject *present = conf_store_lookup(store, (ConfKey){.type = info->id, .dbid = dbid->integer});
    bool is_delete = strcmp(name, "delete") == 0, is_create = strcmp(name, "create") == 0;
    if ((is_create && present != NULL) || (!is_create && present == NULL)) {
        *skip = true;
        return true;
    }
    change->before = conf_object_ref(present);
    if (is_delete) {
        change->kind = CONF_CHANGE_DELETE;
        return true;
    }
    if (!make_after(upstream, store, entry, change, name, error)) {
        conf_object_unref(change->before);
        *change = (ConfChange){0};
        return false;
    }
    if (change->after == NULL) {
        *skip = true;
        conf_object_unref(change->before);
        *change = (ConfChange){0};
    }
    return true;
}

static bool
make_after(ConfUpstream *upstream, ConfStore *store, const ConfJson *entry, ConfChange *change,
           const char *op, GError **error)
{
    const ConfSchema *schema = conf_store_schema(store);
    const ConfObject *before = change->before;
    bool fits = true;
    g_autoptr(ConfBytes) body = body_after(store, entry, before, &fits, error);
    if (body == NULL)
        return false;
    const ConfJson *permissions = conf_json_member(entry, "permissions"),
                   *secrets = conf_json_member(entry, "secrets");
    const ConfJson *entries = conf_json_member(permissions, "entries"),
                   *acl_revision = conf_json_member(permissions, "revision");
    g_auto(ConfBuffer) acl_text = CONF_BUFFER_INIT, secret_text = CONF_BUFFER_INIT;
    int64_t list_revision = before != NULL ? before->acl_revision : 0;
    if (permissions != NULL) {
        list_revision = entries != NULL && entries->kind == CONF_JSON_ARRAY && acl_revision != NULL
                            ? acl_revision->integer
                            : 0;
        if (list_revision != 0)
            conf_json_append_tree(&acl_text, entries);
    } else if (before != NULL && before->acl != NULL) {
        conf_acl_write(before->acl, schema, &acl_text);
    }
    if (secrets != NULL && secrets->kind == CONF_JSON_OBJECT)
        conf_json_append_tree(&secret_text, secrets);
    else if (secrets == NULL && before != NULL && before->secrets != NULL)
        conf_buffer_append_slice(&secret_text, conf_bytes_slice(before->secrets));
    change->after = conf_object_from_stored(schema, conf_bytes_slice(body), conf_buffer_slice(&secret_text),
                                            conf_buffer_slice(&acl_text), list_revision, error);
    if (change->after == NULL)
        return false;
    change->kind = before == NULL                  ? CONF_CHANGE_CREATE
                   : strcmp(op, "permission") == 0 ? CONF_CHANGE_PERMISSION
                   : strcmp(op, "secret") == 0     ? CONF_CHANGE_SECRET
                                                   : CONF_CHANGE_UPDATE;
    if (change->kind == CONF_CHANGE_UPDATE)
        change->difference = conf_upstream_difference(store, before, change->after);
    ConfKey key = conf_object_key(change->after);
    if (!fits)
        g_array_append_val(upstream->misfits, key);
    return true;
}

/* *fits false: the hash says that it came out otherwise than at the master. */
static ConfBytes *
body_after(ConfStore *store, const ConfJson *entry, const ConfObject *before, bool *fits, GError **error)
{
    const ConfJson *object = conf_json_member(entry, "object"), *op = conf_json_member(entry, "op");
    if (object != NULL) {
        g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
        conf_json_append_tree(&buffer, object);
        return conf_buffer_to_bytes(&buffer);
    }
    if (before == NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "A created object is missing in the master's stream");
        return NULL;
    }
    if (!conf_slice_is(op->text, "update"))
        return conf_bytes_ref(before->body);
    const ConfJson *revision = conf_json_member(entry, "revision"), *hash = conf_json_member(entry, "hash");
    if (revision == NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "An update without revision in the master's stream");
        return NULL;
    }
    if (revision->integer <= before->revision)
        return conf_bytes_ref(before->body); /* The walk sent it so already. */
    g_autoptr(ConfArena) arena = conf_arena_new();
    ConfBytes *body = conf_object_apply_difference(conf_store_schema(store), arena, before, entry,
                                                   revision->integer, error);
    if (body == NULL)
        return NULL;
    uint8_t digest[32];
    char own[65];
    conf_id_sha256(conf_bytes_slice(body), digest);
    conf_id_hex(digest, sizeof digest, own);
    *fits = hash == NULL || conf_slice_is(hash->text, own);
    return body;
}

ConfBytes *
conf_upstream_difference(ConfStore *store, const ConfObject *before, const ConfObject *after)
{
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    conf_object_write_difference(conf_store_schema(store), before, after, &buffer);
    return conf_buffer_to_bytes(&buffer);
}
