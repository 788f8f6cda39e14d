/* offline.c - -init, -import, -export: without ports, without a loop.
 *
 * An export is JSON Lines: first {"confserv":"export","release":...,"environment":...,"revision":...}, then
 * an item an object as in the stream to replicas ({"object":...,"secrets"?,"permissions"?}), in (type, dbid)
 * order.  An import puts the items of such a file into a database: of a new one (-init -import) they are the
 * whole content, of one that is there they are added or replace what stands under the same dbid.  The result
 * is checked as a whole before anything is written. */
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "server/offline-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { PASSWORD_BYTES = 12 };

typedef struct {
    ConfServerOptions options;
    char *section;
    ConfPluginHost *plugins;
    ConfStorage *storage;
    ConfSchema *schema;
} Offline;

static bool offline_open(Offline *offline, const ConfCommandLine *line, const ConfSettings *settings,
                         bool create, GError **error);
static void offline_close(Offline *offline);
static char *administrator_password(const ConfCommandLine *line, bool *random, GError **error);
static bool write_content(Offline *offline, GPtrArray *objects, GHashTable *next_dbids, GError **error);
static bool read_items(const char *path, const ConfSchema *schema, GPtrArray *objects, GError **error);
static ConfObject *read_item(const ConfSchema *schema, const ConfJson *tree, GError **error);
static bool check_whole(const ConfSchema *schema, GPtrArray *objects, GHashTable *next_dbids, GError **error);
static bool check_object(ConfStore *store, const ConfObject *object, GError **error);
static void show_progress(const char *what, unsigned done, unsigned all);
static bool merge_stored(Offline *offline, GPtrArray *objects, ConfStorageState *state, GError **error);

bool
conf_offline_init(const ConfCommandLine *line, const ConfSettings *settings, GError **error)
{
    Offline offline = {0};
    bool random = false;
    g_autofree char *password = NULL;
    g_autofree char *hash = NULL;
    g_autoptr(GHashTable) next_dbids = g_hash_table_new(NULL, NULL);
    g_autoptr(GPtrArray) objects = NULL;
    bool done = offline_open(&offline, line, settings, true, error);
    if (done && line->import_file == NULL) {
        password = administrator_password(line, &random, error);
        hash = password != NULL ? conf_password_hash_now(conf_slice_from_string(password)) : NULL;
        ConfInitialSettings initial = {
            .admin_name = line->admin,
            .admin_password_hash = hash,
            .server_name = offline.section,
            .port = offline.options.port,
        };
        objects = password != NULL ? conf_initial_content(offline.schema, &initial, next_dbids, error) : NULL;
        done = objects != NULL;
    } else if (done) {
        objects = g_ptr_array_new_with_free_func((GDestroyNotify)conf_object_unref);
        done = read_items(line->import_file, offline.schema, objects, error) &&
               check_whole(offline.schema, objects, next_dbids, error);
    }
    done = done && write_content(&offline, objects, next_dbids, error);
    if (done && random)
        printf("Administrator %s has the password %s (it is shown this once)\n",
               line->admin != NULL ? line->admin : "default", password);
    if (done)
        printf("The database holds %u objects\n", objects->len);
    if (password != NULL)
        explicit_bzero(password, strlen(password));
    offline_close(&offline);
    return done;
}

bool
conf_offline_import(const ConfCommandLine *line, const ConfSettings *settings, GError **error)
{
    Offline offline = {0};
    ConfStorageState state = {0};
    g_autoptr(GHashTable) next_dbids = g_hash_table_new(NULL, NULL);
    g_autoptr(GPtrArray) objects = g_ptr_array_new_with_free_func((GDestroyNotify)conf_object_unref);
    bool done = offline_open(&offline, line, settings, false, error) &&
                conf_storage_take_lease(offline.storage, (unsigned)offline.options.lease_time * 1000,
                                        "offline import", error) &&
                conf_storage_load_state(offline.storage, &state, error) &&
                read_items(line->import_file, offline.schema, objects, error);
    unsigned given = objects->len;
    done = done && merge_stored(&offline, objects, &state, error) &&
           check_whole(offline.schema, objects, next_dbids, error) &&
           conf_offline_commit(offline.storage, offline.schema, objects, given, next_dbids, &state, error);
    if (done)
        printf("%u objects are imported, the database is at revision %" G_GINT64_FORMAT "\n", given,
               state.revision + 1);
    offline_close(&offline);
    return done;
}

typedef struct {
    FILE *file;
    const ConfSchema *schema;
    unsigned count;
} Exporting;

static bool
export_row(const ConfStorageObject *row, void *data, GError **error)
{
    Exporting *exporting = data;
    fprintf(exporting->file, "{\"object\":%.*s", (int)row->body_size, row->body);
    if (row->secrets_size > 0)
        fprintf(exporting->file, ",\"secrets\":%.*s", (int)row->secrets_size, row->secrets);
    if (row->permissions_size > 0)
        fprintf(exporting->file, ",\"permissions\":{\"revision\":%" G_GINT64_FORMAT ",\"entries\":%.*s}",
                row->acl_revision, (int)row->permissions_size, row->permissions);
    if (fputs("}\n", exporting->file) == EOF) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_FULL, "The export cannot be written: %s",
                    g_strerror(errno));
        return false;
    }
    if (++exporting->count % 1000 == 0)
        show_progress("exported", exporting->count, 0);
    return true;
}

/* The file holds password hashes: nobody but its owner may read it. */
bool
conf_offline_export(const ConfCommandLine *line, const ConfSettings *settings, GError **error)
{
    Offline offline = {0};
    ConfStorageState state = {0};
    bool done = offline_open(&offline, line, settings, false, error) &&
                conf_storage_load_state(offline.storage, &state, error);
    if (done) {
        bool to_stdout = strcmp(line->export_file, "-") == 0;
        int fd = to_stdout ? dup(1) : open(line->export_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        Exporting exporting = {.schema = offline.schema, .file = fd >= 0 ? fdopen(fd, "w") : NULL};
        if (exporting.file == NULL) {
            g_set_error(error, CONF_ERROR, CONF_ERROR_FAILED, "%s cannot be written: %s", line->export_file,
                        g_strerror(errno));
            done = false;
        } else {
            fprintf(
                exporting.file,
                "{\"confserv\":\"export\",\"release\":\"%s\",\"environment\":\"%s\",\"revision\":%" G_GINT64_FORMAT
                "}\n",
                CONF_RELEASE, state.environment, state.revision);
            done = conf_storage_load_objects(offline.storage, export_row, &exporting, error);
            bool full = fflush(exporting.file) != 0 || (!to_stdout && fsync(fileno(exporting.file)) != 0);
            if (fclose(exporting.file) != 0)
                full = true;
            if (done && full) {
                g_set_error(error, CONF_ERROR, CONF_ERROR_FULL, "%s cannot be written: %s", line->export_file,
                            g_strerror(errno));
                done = false;
            }
            if (done)
                fprintf(stderr, "%u objects are exported\n", exporting.count);
        }
    }
    offline_close(&offline);
    return done;
}

static bool
offline_open(Offline *offline, const ConfCommandLine *line, const ConfSettings *settings, bool create,
             GError **error)
{
    offline->section = g_strdup(line->section != NULL ? line->section : "confserv");
    if (!conf_option_fill(conf_server_options, offline->section, settings, &offline->options, error))
        return false;
    g_autofree char *plugins = conf_paths_plugins(&offline->options);
    g_autofree char *schema = conf_paths_schema(&offline->options);
    static const ConfPluginHostFuncs funcs = {0};
    offline->plugins = conf_plugin_host_new(plugins, &funcs);
    const char *storage = conf_database_plugin(offline->plugins, settings, offline->options.database, error);
    if (storage == NULL)
        return false;
    if (!conf_plugin_host_load(offline->plugins, storage, offline->section, settings, error))
        return false;
    offline->schema = conf_schema_load(schema, error);
    if (offline->schema == NULL)
        return false;
    offline->storage =
        conf_database_open(offline->plugins, settings, offline->options.database, create, error);
    return offline->storage != NULL;
}

static void
offline_close(Offline *offline)
{
    if (offline->storage != NULL)
        conf_storage_close(offline->storage);
    if (offline->plugins != NULL)
        conf_plugin_host_free(offline->plugins);
    conf_schema_free(offline->schema);
    conf_option_clear(conf_server_options, &offline->options);
    g_free(offline->section);
}

static char *
administrator_password(const ConfCommandLine *line, bool *random, GError **error)
{
    if (line->admin_password_file != NULL)
        return conf_read_password_file(line->admin_password_file, error);
    uint8_t bytes[PASSWORD_BYTES];
    *random = true;
    conf_id_random(bytes, sizeof bytes);
    char *text = g_base64_encode(bytes, sizeof bytes);
    g_strdelimit(text, "+/", 'x');
    explicit_bzero(bytes, sizeof bytes);
    return text;
}

static bool
write_content(Offline *offline, GPtrArray *objects, GHashTable *next_dbids, GError **error)
{
    ConfStorageState state = {.revision = 1, .created_ms = conf_clock_wall_ms()};
    conf_id_new_uuid(state.environment);
    conf_id_next_chain("", conf_slice_from_string(state.environment), state.chain);
    for (unsigned i = 0; i < objects->len; i++) {
        const ConfObject *object = g_ptr_array_index(objects, i);
        state.revision = MAX(state.revision, MAX(object->revision, object->acl_revision));
    }
    g_autoptr(ConfOfflineBatch) batch =
        conf_offline_batch_new(offline->schema, objects, objects->len, next_dbids);
    batch->batch.last_revision = state.revision;
    batch->batch.last_chain = state.chain;
    return conf_storage_write_initial(offline->storage, &batch->batch, &state, error);
}

static bool
read_items(const char *path, const ConfSchema *schema, GPtrArray *objects, GError **error)
{
    g_autoptr(GIOChannel) channel =
        g_io_channel_new_file(strcmp(path, "-") == 0 ? "/dev/stdin" : path, "r", error);
    if (channel == NULL)
        return false;
    g_io_channel_set_encoding(channel, NULL, NULL);
    g_autoptr(ConfArena) arena = conf_arena_new();
    for (unsigned number = 1;; number++) {
        g_autofree char *text = NULL;
        gsize size = 0;
        GIOStatus status = g_io_channel_read_line(channel, &text, &size, NULL, error);
        if (status == G_IO_STATUS_ERROR)
            return false;
        if (status == G_IO_STATUS_EOF)
            return true;
        g_autofree char *place = g_strdup_printf("%s, line %u", path, number);
        conf_arena_reset(arena);
        const ConfJson *tree = conf_json_parse_file_text(arena, (ConfSlice){text, size}, place, error);
        if (tree == NULL)
            return false;
        if (conf_json_member(tree, "confserv") != NULL)
            continue;
        ConfObject *object = read_item(schema, tree, error);
        if (object == NULL) {
            g_prefix_error(error, "%s: ", place);
            return false;
        }
        g_ptr_array_add(objects, object);
        if (objects->len % 1000 == 0)
            show_progress("read", objects->len, 0);
    }
}

static ConfObject *
read_item(const ConfSchema *schema, const ConfJson *tree, GError **error)
{
    const ConfJson *body = conf_json_member(tree, "object"), *secrets = conf_json_member(tree, "secrets");
    const ConfJson *permissions = conf_json_member(tree, "permissions");
    const ConfJson *entries = conf_json_member(permissions, "entries"),
                   *revision = conf_json_member(permissions, "revision");
    g_auto(ConfBuffer) body_text = CONF_BUFFER_INIT, secret_text = CONF_BUFFER_INIT,
                       acl_text = CONF_BUFFER_INIT;
    if (body == NULL || body->kind != CONF_JSON_OBJECT) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "There is no object");
        return NULL;
    }
    conf_json_append_tree(&body_text, body);
    if (secrets != NULL)
        conf_json_append_tree(&secret_text, secrets);
    if (entries != NULL)
        conf_json_append_tree(&acl_text, entries);
    ConfObject *object = conf_object_from_stored(
        schema, conf_buffer_slice(&body_text), conf_buffer_slice(&secret_text), conf_buffer_slice(&acl_text),
        revision != NULL ? revision->integer : 0, error);
    if (object != NULL && !conf_object_check(schema, object, error)) {
        conf_object_unref(object);
        return NULL;
    }
    return object;
}

typedef struct {
    GPtrArray *objects;
    GHashTable *given;
    const ConfSchema *schema;
} Merging;

static bool
merge_row(const ConfStorageObject *row, void *data, GError **error)
{
    Merging *merging = data;
    ConfKey key = {.type = row->type, .dbid = row->dbid};
    if (g_hash_table_contains(merging->given, &key))
        return true;
    ConfObject *object = conf_object_from_stored(
        merging->schema, (ConfSlice){row->body, row->body_size},
        (ConfSlice){row->secrets, row->secrets != NULL ? row->secrets_size : 0},
        (ConfSlice){row->permissions, row->permissions != NULL ? row->permissions_size : 0},
        row->acl_revision, error);
    if (object != NULL)
        g_ptr_array_add(merging->objects, object);
    return object != NULL;
}

/* What is stored and not given comes behind what is given; what is given gets the next revision. */
static bool
merge_stored(Offline *offline, GPtrArray *objects, ConfStorageState *state, GError **error)
{
    g_autoptr(GHashTable) given = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, NULL);
    g_autoptr(ConfArena) arena = conf_arena_new();
    for (unsigned i = 0; i < objects->len; i++) {
        ConfObject *object = g_ptr_array_index(objects, i);
        ConfKey key = conf_object_key(object);
        g_hash_table_add(given, g_memdup2(&key, sizeof key));
        conf_arena_reset(arena);
        /* An empty change gives the object as it is: its state, named anew, makes it one at the next
         * revision. */
        const ConfJson *restate =
            conf_json_parse(arena, CONF_SLICE("{\"annex\":{\"confserv-import\":{}}}"), NULL, NULL, NULL);
        const ConfJson *back =
            conf_json_parse(arena, CONF_SLICE("{\"annex\":{\"confserv-import\":null}}"), NULL, NULL, NULL);
        g_autoptr(ConfObject) marked =
            conf_object_amend(offline->schema, arena, object, restate, NULL, state->revision + 1, error);
        ConfObject *moved = marked == NULL ? NULL
                                           : conf_object_amend(offline->schema, arena, marked, back, NULL,
                                                               state->revision + 1, error);
        if (moved == NULL)
            return false;
        conf_object_unref(object);
        objects->pdata[i] = moved;
    }
    Merging merging = {.objects = objects, .given = given, .schema = offline->schema};
    return conf_storage_load_objects(offline->storage, merge_row, &merging, error);
}

/* Names, places and references of the whole content. */
static bool
check_whole(const ConfSchema *schema, GPtrArray *objects, GHashTable *next_dbids, GError **error)
{
    g_autoptr(GError) failure = NULL;
    ConfSchema *copy = conf_schema_parse(conf_schema_text(schema), error);
    if (copy == NULL)
        return false;
    ConfStore *store = conf_store_new(copy);
    bool fine = true;
    for (unsigned i = 0; i < objects->len && fine; i++) {
        ConfObject *object = g_ptr_array_index(objects, i);
        int64_t next = GPOINTER_TO_SIZE(g_hash_table_lookup(next_dbids, GUINT_TO_POINTER(object->type)));
        g_hash_table_insert(next_dbids, GUINT_TO_POINTER(object->type),
                            GSIZE_TO_POINTER((gsize)MAX(next, object->dbid + 1)));
        fine = conf_store_load(store, conf_object_ref(object), error);
    }
    for (unsigned i = 0; i < objects->len && fine; i++) {
        fine = check_object(store, g_ptr_array_index(objects, i), error);
        if (i % 1000 == 0)
            show_progress("checked", i, objects->len);
    }
    conf_store_free(store);
    return fine;
}

static bool
same_name(const ConfObject *object, void *data)
{
    const ConfObject **pair = data;
    const ConfSchema *schema = (const ConfSchema *)(const void *)pair[2];
    const ConfTypeInfo *info = conf_schema_type(schema, object->type);
    bool clash =
        object != pair[0] && (info->unique_in_environment ||
                              (object->type == CONF_TYPE_FOLDER
                                   ? object->folder == pair[0]->folder && object->tenant == pair[0]->tenant
                                   : object->tenant == pair[0]->tenant));
    if (clash)
        pair[1] = object;
    return !clash;
}

static bool
check_object(ConfStore *store, const ConfObject *object, GError **error)
{
    const ConfSchema *schema = conf_store_schema(store);
    const char *type = conf_schema_type(schema, object->type)->name;
    const ConfObject *pair[3] = {object, NULL, (const ConfObject *)(const void *)schema};
    conf_state_foreach_named(conf_store_state(store), object->type, conf_object_name(object), same_name,
                             pair);
    if (pair[1] != NULL) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "%s %" G_GINT64_FORMAT " and %" G_GINT64_FORMAT " are both named '%s'", type,
                    object->dbid, pair[1]->dbid, object->name);
        return false;
    }
    bool placed =
        conf_store_lookup(store, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = object->tenant}) != NULL &&
        (object->folder == 0 ||
         conf_store_lookup(store, (ConfKey){.type = CONF_TYPE_FOLDER, .dbid = object->folder}) != NULL);
    g_autoptr(GArray) references = g_array_new(FALSE, FALSE, sizeof(ConfReference));
    conf_object_references(schema, object, references);
    for (unsigned i = 0; i < references->len && placed; i++)
        placed = conf_store_lookup(store, g_array_index(references, ConfReference, i).target) != NULL;
    if (!placed)
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "%s %" G_GINT64_FORMAT " '%s' refers to something that is not there", type, object->dbid,
                    object->name);
    return placed;
}

/* On a terminal only, and on stderr: the output may be the export itself. */
static void
show_progress(const char *what, unsigned done, unsigned all)
{
    if (!isatty(2))
        return;
    if (all > 0)
        fprintf(stderr, "\r%s %u of %u (%u %%)", what, done, all, done * 100 / all);
    else
        fprintf(stderr, "\r%s %u", what, done);
}
