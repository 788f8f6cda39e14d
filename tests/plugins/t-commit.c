/* t-commit.c - test plugin: commits with what was before and after, the chain, and objects of the store. */
#include "plugin-test.h"

typedef struct {
    ConfPlugin *plugin;
    GPtrArray *records; /* one JSON a commit */
    char chain[17];     /* of the last commit */
    unsigned broken;    /* commits whose chain did not follow from the last and the record */
    GHashTable *rights; /* "host 101" → the list that was in force when it went */
} Self;

/* The start of SHA-256(previous chain, change record). */
static bool
follows(const char *previous, const char *record, const char *chain)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_checksum_update(sum, (const guchar *)previous, (gssize)strlen(previous));
    g_checksum_update(sum, (const guchar *)record, (gssize)strlen(record));
    return strncmp(g_checksum_get_string(sum), chain, 16) == 0;
}

static void
write_object(ConfJsonWriterHandle *w, const char *key, const ConfObject *object)
{
    conf_writer_key(w, key);
    if (object == NULL) {
        conf_writer_null(w);
        return;
    }
    conf_writer_begin_object(w);
    conf_writer_key(w, "type");
    conf_writer_string(w, conf_object_get_type(object));
    conf_writer_key(w, "dbid");
    conf_writer_integer(w, conf_object_get_dbid(object));
    conf_writer_key(w, "revision");
    conf_writer_integer(w, conf_object_get_revision(object));
    conf_writer_key(w, "name");
    conf_writer_string(w, conf_object_get_name(object));
    conf_writer_key(w, "body");
    conf_writer_json(w, conf_object_get_json(object, NULL));
    conf_writer_end_object(w);
}

static void
write_change(Self *self, ConfJsonWriterHandle *w, const ConfCommit *commit, unsigned index)
{
    const ConfObject *before = NULL, *after = NULL;
    const char *kind = conf_commit_get_change(commit, index, &before, &after);
    const ConfObject *object = after != NULL ? after : before;
    g_autofree char *rights = conf_commit_get_rights(commit, index);
    conf_writer_begin_object(w);
    conf_writer_key(w, "kind");
    conf_writer_string(w, kind);
    write_object(w, "before", before);
    write_object(w, "after", after);
    conf_writer_key(w, "rights");
    conf_writer_json(w, rights != NULL ? rights : "null");
    /* The store is there already, with what the commit made of it. */
    const ConfObject *present =
        conf_plugin_lookup(self->plugin, conf_object_get_type(object), conf_object_get_dbid(object));
    conf_writer_key(w, "present");
    conf_writer_boolean(w, present == after);
    conf_writer_end_object(w);
    if (after == NULL)
        g_hash_table_insert(self->rights,
                            g_strdup_printf("%s %" G_GINT64_FORMAT, conf_object_get_type(before),
                                            conf_object_get_dbid(before)),
                            g_steal_pointer(&rights));
}

static void
committed(void *data, const ConfCommit *commit)
{
    Self *self = data;
    g_autofree char *record = conf_commit_to_json(commit);
    ConfJsonWriterHandle *w = conf_writer_new();
    conf_writer_begin_object(w);
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {
        {"revision", conf_commit_get_revision(commit)},
        {"from", conf_commit_get_from(commit)},
        {"time", conf_commit_get_time(commit)},
        {"user", conf_commit_get_user(commit)},
        {"application", conf_commit_get_application(commit)},
        {"length", conf_commit_get_length(commit)},
        {"store", conf_plugin_get_revision(self->plugin)},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        conf_writer_key(w, numbers[i].key);
        conf_writer_integer(w, numbers[i].value);
    }
    conf_writer_key(w, "address");
    conf_writer_string(w, conf_commit_get_address(commit));
    conf_writer_key(w, "record");
    conf_writer_json(w, record);
    conf_writer_key(w, "changes");
    conf_writer_begin_array(w);
    for (unsigned i = 0; i < conf_commit_get_length(commit); i++)
        write_change(self, w, commit, i);
    conf_writer_end_array(w);
    bool is_past_the_end =
        conf_commit_get_change(commit, conf_commit_get_length(commit), NULL, NULL) == NULL &&
        conf_commit_get_rights(commit, conf_commit_get_length(commit)) == NULL;
    conf_writer_key(w, "ends");
    conf_writer_boolean(w, is_past_the_end);
    conf_writer_end_object(w);
    g_ptr_array_add(self->records, conf_writer_finish(w));

    const char *chain = conf_commit_get_chain(commit);
    if (self->chain[0] != '\0' && !follows(self->chain, record, chain))
        self->broken++;
    g_strlcpy(self->chain, chain, sizeof self->chain);
}

static void
method_taken(void *data, ConfRequest *r)
{
    Self *self = data;
    ConfJsonWriterHandle *w = conf_writer_new();
    conf_writer_begin_object(w);
    conf_writer_key(w, "broken");
    conf_writer_integer(w, self->broken);
    conf_writer_key(w, "chain");
    conf_writer_string(w, self->chain);
    conf_writer_key(w, "commits");
    conf_writer_begin_array(w);
    for (unsigned i = 0; i < self->records->len; i++)
        conf_writer_json(w, g_ptr_array_index(self->records, i));
    conf_writer_end_array(w);
    conf_writer_end_object(w);
    g_ptr_array_set_size(self->records, 0);
    g_autofree char *json = conf_writer_finish(w);
    conf_request_answer_json(r, json);
}

/* No rights asked: what is found is the plugin's to know. */
static void
method_lookup(void *data, ConfRequest *r)
{
    Self *self = data;
    const char *type = test_param(r, "type"), *name = test_param(r, "name");
    const ConfObject *object = name != NULL
                                   ? conf_plugin_lookup_name(self->plugin, type, name)
                                   : conf_plugin_lookup(self->plugin, type, test_param_integer(r, "dbid", 0));
    if (object == NULL)
        conf_request_answer_error(r, -32004, "There is no such object", NULL);
    else
        conf_request_answer_json(r, conf_object_get_json(object, NULL));
}

/* May the caller read what is gone, by the rights that it had last? */
static void
method_may(void *data, ConfRequest *r)
{
    Self *self = data;
    const char *rights = g_hash_table_lookup(self->rights, test_param(r, "object"));
    bool may =
        rights != NULL && conf_session_may_by(conf_request_get_owner(r), rights, test_param(r, "right"));
    bool misled = conf_session_may_by(conf_request_get_owner(r), "{nonsense", "read") ||
                  conf_session_may_by(conf_request_get_owner(r), "[]", "read");
    g_autofree char *json =
        g_strdup_printf("{\"known\":%s,\"may\":%s,\"misled\":%s}", rights != NULL ? "true" : "false",
                        may ? "true" : "false", misled ? "true" : "false");
    conf_request_answer_json(r, json);
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks hooks = {.size = sizeof hooks, .committed = committed};
    if (!conf_plugin_add_method(p, "t-commit.taken", true, method_taken, error) ||
        !conf_plugin_add_method(p, "t-commit.lookup", true, method_lookup, error) ||
        !conf_plugin_add_method(p, "t-commit.may", false, method_may, error))
        return NULL;
    /* There is no data yet. */
    if (conf_plugin_get_revision(p) != 0 || conf_plugin_lookup(p, "tenant", 1) != NULL)
        return NULL;
    Self *self = g_new0(Self, 1);
    self->plugin = p;
    self->records = g_ptr_array_new_with_free_func(g_free);
    self->rights = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    conf_plugin_hook(p, CONF_NORMAL, &hooks);
    return self;
}

static void
unload(void *data)
{
    Self *self = data;
    g_ptr_array_unref(self->records);
    g_hash_table_unref(self->rights);
    g_free(self);
}

CONF_PLUGIN(.name = "t-commit", .version = "1", .summary = "Notes commits", .load = load, .unload = unload);
