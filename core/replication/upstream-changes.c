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
static bool make_after(ConfUpstream *upstream, ConfStore *store, const ConfJson *entry, ConfKey key,
                       ConfChange *change, const char *op, GError **error);
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
    g_autoptr(GHashTable) keys = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, NULL);
    ConfCommit *commit = conf_commit_new(entries->len);
    unsigned count = 0;
    bool fine = read_head(commit, head, error);
    for (unsigned i = 0; i < entries->len && fine; i++) {
        bool skip = false;
        fine = read_change(upstream, store, g_ptr_array_index(entries, i), &commit->changes[count], &skip,
                           error);
        if (!fine || skip)
            continue;
        const ConfChange *change = &commit->changes[count++];
        ConfKey key = conf_object_key(change->after != NULL ? change->after : change->before);
        fine = g_hash_table_add(keys, g_memdup2(&key, sizeof key));
        if (!fine)
            g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "An object stands twice in replica.changes");
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
    ConfSlice chain = {NULL, 0}, time = {NULL, 0}, address = {NULL, 0};
    const ConfJson *by = conf_json_member(head, "by");
    if (!conf_upstream_read_integer(head, "revision", 1, &commit->revision) ||
        !conf_upstream_read_string(head, "chain", &chain) || !conf_upstream_is_chain(chain) ||
        !conf_upstream_read_string(head, "time", &time) || !conf_clock_parse(time, &commit->time_ms)) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "The head of replica.changes is not understood");
        return false;
    }
    memcpy(commit->chain, chain.data, 16);
    int64_t user = 0, application = 0;
    if (conf_upstream_read_integer(by, "user", 1, &user))
        commit->user = (ConfKey){.type = CONF_TYPE_PERSON, .dbid = user};
    if (conf_upstream_read_integer(by, "application", 1, &application))
        commit->application = (ConfKey){.type = CONF_TYPE_APPLICATION, .dbid = application};
    if (conf_upstream_read_string(by, "address", &address))
        commit->address = conf_slice_dup(address);
    return true;
}

bool
conf_upstream_read_integer(const ConfJson *object, const char *name, int64_t least, int64_t *value)
{
    const ConfJson *member = conf_json_member(object, name);
    if (member == NULL || member->kind != CONF_JSON_NUMBER || !member->is_integer || member->integer < least)
        return false;
    *value = member->integer;
    return true;
}

bool
conf_upstream_read_string(const ConfJson *object, const char *name, ConfSlice *value)
{
    const ConfJson *member = conf_json_member(object, name);
    if (member == NULL || member->kind != CONF_JSON_STRING)
        return false;
    *value = member->text;
    return true;
}

bool
conf_upstream_is_chain(ConfSlice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (memchr("0123456789abcdef", text.data[i], 16) == NULL)
            return false;
    return text.size == CONF_CHAIN_TEXT_SIZE - 1;
}

/* *skip: it concerns nothing here, or is known already. */
static bool
read_change(ConfUpstream *upstream, ConfStore *store, const ConfJson *entry, ConfChange *change, bool *skip,
            GError **error)
{
    static const char *const names[] = {"create", "update", "delete", "permission", "secret", NULL};
    ConfSlice op = {NULL, 0}, type = {NULL, 0};
    int64_t dbid = 0;
    const ConfTypeInfo *info = NULL;
    if (conf_upstream_read_string(entry, "op", &op) && conf_upstream_read_string(entry, "type", &type) &&
        conf_upstream_read_integer(entry, "dbid", 1, &dbid))
        info = conf_schema_type_by_name(conf_store_schema(store), type);
    g_autofree char *name = conf_slice_dup(op);
    if (info == NULL || !g_strv_contains(names, name)) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "A change of the master's stream is not understood");
        return false;
    }
    ConfKey key = {.type = info->id, .dbid = dbid};
    const ConfObject *present = conf_store_lookup(store, key);
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
    if (!make_after(upstream, store, entry, key, change, name, error)) {
        conf_object_unref(change->before);
        conf_object_unref(change->after);
        *change = (ConfChange){0};
        return false;
    }
    return true;
}

static bool
make_after(ConfUpstream *upstream, ConfStore *store, const ConfJson *entry, ConfKey key, ConfChange *change,
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
    if (!conf_key_equal(conf_object_key(change->after), key)) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "A change of the master's stream is of two objects");
        return false;
    }
    change->kind = before == NULL                  ? CONF_CHANGE_CREATE
                   : strcmp(op, "permission") == 0 ? CONF_CHANGE_PERMISSION
                   : strcmp(op, "secret") == 0     ? CONF_CHANGE_SECRET
                                                   : CONF_CHANGE_UPDATE;
    if (change->kind == CONF_CHANGE_UPDATE)
        change->difference = conf_upstream_difference(store, before, change->after);
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
    const ConfJson *hash = conf_json_member(entry, "hash");
    int64_t revision = 0;
    if (!conf_upstream_read_integer(entry, "revision", 1, &revision)) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "An update without revision in the master's stream");
        return NULL;
    }
    if (revision <= before->revision)
        return conf_bytes_ref(before->body); /* The walk sent it so already. */
    g_autoptr(ConfArena) arena = conf_arena_new();
    ConfBytes *body =
        conf_object_apply_difference(conf_store_schema(store), arena, before, entry, revision, error);
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
