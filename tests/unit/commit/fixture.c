/* fixture.c - see fixture.h. */
#include "fixture.h"

#include <string.h>

#include "base/error.h"
#include "base/id.h"
#include "base/queue-main.h"
#include "commit/queue-private.h"

static ConfSchema *
load_schema(void)
{
    g_autofree char *folder = g_test_build_filename(G_TEST_DIST, "..", "..", "data", "schema", NULL);
    g_autofree char *site = g_test_build_filename(G_TEST_DIST, "commit", "schema", NULL);
    g_autofree char *folders = g_strconcat(folder, ":", site, NULL);
    g_autoptr(GError) error = NULL;
    ConfSchema *schema = conf_schema_load(folders, &error);
    g_assert_no_error(error);
    return schema;
}

static void
fill_store(Fixture *fixture)
{
    g_autofree char *folder = g_test_build_filename(G_TEST_DIST, "..", "..", "data", "schema", NULL);
    g_autoptr(GError) error = NULL;
    /* Without the site's own types, as a database from before they were added. */
    ConfSchema *plain = conf_schema_load(folder, &error);
    g_assert_no_error(error);
    g_autoptr(GHashTable) next_dbids = g_hash_table_new(NULL, NULL);
    ConfInitialSettings settings = {.server_name = "confserv", .port = 2120};
    g_autoptr(GPtrArray) objects = conf_initial_content(plain, &settings, next_dbids, &error);
    g_assert_no_error(error);
    for (unsigned i = 0; i < objects->len; i++) {
        const ConfObject *object = g_ptr_array_index(objects, i);
        bool loaded = conf_store_load(fixture->store, conf_object_ref(object), &error);
        g_assert_no_error(error);
        g_assert_true(loaded);
        if (object->type == CONF_TYPE_FOLDER || object->type == CONF_TYPE_ACCESS_GROUP ||
            object->type == CONF_TYPE_PERSON)
            fixture_name(fixture, object->name, object->dbid);
    }
    GHashTableIter iter;
    void *type, *next;
    g_hash_table_iter_init(&iter, next_dbids);
    while (g_hash_table_iter_next(&iter, &type, &next))
        conf_store_set_next_dbid(fixture->store, (ConfTypeId)GPOINTER_TO_UINT(type),
                                 (int64_t)GPOINTER_TO_SIZE(next));
    conf_schema_free(plain);
    ConfStorePosition position = {.epoch = 1, .revision = 1, .chain = "0000000000000000"};
    g_strlcpy(position.environment, database_environment(), sizeof(position.environment));
    conf_store_set_position(fixture->store, &position);
}

static void
on_published(ConfCommit *commit, void *data)
{
    Fixture *fixture = data;
    g_ptr_array_add(fixture->published, conf_commit_ref(commit));
}

static void
on_deposed(int64_t epoch, void *data)
{
    ((Fixture *)data)->deposed = true;
}

static void
on_lost(const GError *error, void *data)
{
    ((Fixture *)data)->lost = true;
}

static void
on_found(void *data)
{
    ((Fixture *)data)->lost = false;
}

static void
open_storage(Fixture *fixture)
{
    static const ConfStorageFuncs funcs = {.deposed = on_deposed, .lost = on_lost, .found = on_found};
    g_autoptr(GError) error = NULL;
    g_autoptr(ConfSettings) settings = conf_settings_new();
    fixture->storage = conf_storage_open(&database_provider, settings, "dbserver", false, &error);
    g_assert_no_error(error);
    bool taken = conf_storage_take_lease(fixture->storage, 10000, "test", &error);
    g_assert_no_error(error);
    g_assert_true(taken);
    conf_storage_start(fixture->storage, &funcs, fixture);
}

static void
make_company(Fixture *fixture)
{
    fixture_make(fixture, "acme", "{'type':'tenant','name':'acme'}");
    fixture_make(fixture, "anna", "{'type':'person','name':'anna'}");
    fixture_make(fixture, "boss", "{'type':'person','name':'boss'}");
    fixture_make(fixture, "carl", "{'type':'person','name':'carl','tenant':@acme@}");
    fixture_make(fixture, "emea", "{'type':'folder','name':'emea','folder':@Hosts@}");
    fixture_make(fixture, "apac", "{'type':'folder','name':'apac','folder':@Hosts@}");
    fixture_make(fixture, "inner", "{'type':'folder','name':'inner','folder':@emea@}");
    fixture_make(fixture, "h1", "{'type':'host','name':'h1','folder':@emea@}");
    fixture_make(fixture, "h2", "{'type':'host','name':'h2','folder':@inner@}");
    fixture_make(fixture, "h3", "{'type':'host','name':'h3'}");
    fixture_make(fixture, "h4", "{'type':'host','name':'h4','tenant':@acme@}");
    fixture_make(fixture, "a1",
                 "{'type':'application','name':'a1','applicationType':'genericServer','host':@h1@}");
    fixture_make(fixture, "a2",
                 "{'type':'application','name':'a2','applicationType':'genericServer','backup':@a1@,"
                 "'account':{'type':'person','dbid':@anna@}}");
    fixture_make(fixture, "team",
                 "{'type':'accessGroup','name':'team','kind':'custom','members':[@anna@,@boss@]}");
    fixture_make(fixture, "role",
                 "{'type':'role','name':'role','members':[{'type':'person','dbid':@boss@}]}");
    g_autoptr(Result) result = fixture_run(
        fixture, "default",
        "["
        "{'op':'update','type':'accessGroup','dbid':@Users@,'add':{'members':[@anna@]}},"
        "{'op':'update','type':'accessGroup','dbid':@Administrators@,'add':{'members':[@boss@]}},"
        "{'op':'permission','type':'folder','dbid':@emea@,'grant':[{'account':{'type':'person','dbid':@anna@},"
        "'rights':['read','create','change','delete']}]},"
        "{'op':'permission','type':'host','dbid':@h3@,'grant':[{'account':{'type':'accessGroup','dbid':@team@},"
        "'rights':['execute']}]}]");
    g_assert_cmpint(result->code, ==, 0);
    unsigned count;
    const ConfTypeInfo *const *types = conf_schema_types(conf_store_schema(fixture->store), &count);
    int64_t acme = (int64_t)GPOINTER_TO_SIZE(g_hash_table_lookup(fixture->names, "acme"));
    for (unsigned i = 0; i < count; i++) {
        const ConfObject *root = conf_state_root_folder(conf_store_state(fixture->store), acme, types[i]->id);
        g_autofree char *name = root != NULL ? g_strconcat("acme ", root->name, NULL) : NULL;
        if (root != NULL)
            fixture_name(fixture, name, root->dbid);
    }
}

Fixture *
fixture_new(void)
{
    static bool is_set_up;
    if (!is_set_up)
        conf_main_queue_init();
    is_set_up = true;
    database_reset();

    Fixture *fixture = g_new0(Fixture, 1);
    fixture->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    fixture->published = g_ptr_array_new_with_free_func((GDestroyNotify)conf_commit_unref);
    fixture->store = conf_store_new(load_schema());
    fill_store(fixture);
    open_storage(fixture);
    ConfAccessSettings access = {
        .login_attempts = 5, .login_pause_ms = 1000, .address_rate = 100, .hash_queue = 100};
    fixture->access = conf_access_new(fixture->store, &access);
    fixture->publisher = conf_publisher_new(fixture->store);
    ConfPublishFuncs funcs = {.done = on_published};
    conf_publisher_add(fixture->publisher, &funcs, fixture);
    fixture->settings =
        (ConfCommitSettings){.max_operations = 10000, .response_timeout_ms = 60000, .queue_limit = 64 << 20};
    fixture->queue =
        conf_commit_queue_new(fixture->store, fixture->access, fixture->storage, &fixture->settings);
    conf_commit_queue_set_publisher(fixture->queue, fixture->publisher);
    make_company(fixture);
    return fixture;
}

void
fixture_free(Fixture *fixture)
{
    database_set_mode(DATABASE_WELL);
    database_set_away(false);
    conf_commit_queue_free(fixture->queue);
    conf_storage_close(fixture->storage);
    while (g_main_context_iteration(NULL, FALSE))
        continue;
    conf_publisher_free(fixture->publisher);
    conf_access_free(fixture->access);
    g_ptr_array_unref(fixture->published);
    conf_store_free(fixture->store);
    g_hash_table_unref(fixture->names);
    g_free(fixture);
}

void
fixture_name(Fixture *fixture, const char *name, int64_t dbid)
{
    g_hash_table_insert(fixture->names, g_strdup(name), GSIZE_TO_POINTER((size_t)dbid));
}

/* Single quotes stand for double ones. */
char *
fixture_expand(Fixture *fixture, const char *text)
{
    GString *expanded = g_string_new(NULL);
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\'') {
            g_string_append_c(expanded, '"');
            continue;
        }
        if (*p != '@') {
            g_string_append_c(expanded, *p);
            continue;
        }
        const char *end = strchr(p + 1, '@');
        g_assert_nonnull(end);
        g_autofree char *name = g_strndup(p + 1, (size_t)(end - p - 1));
        void *dbid;
        if (!g_hash_table_lookup_extended(fixture->names, name, NULL, &dbid))
            g_error("Nothing is named %s", name);
        g_string_append_printf(expanded, "%zu", GPOINTER_TO_SIZE(dbid));
        p = end;
    }
    return g_string_free(expanded, FALSE);
}

bool
fixture_is_storing(Fixture *fixture)
{
    return fixture->queue->batch != NULL && fixture->queue->batch->phase != CONF_BATCH_CHECKING;
}

ConfKey
fixture_person(Fixture *fixture, const char *name)
{
    void *dbid = g_hash_table_lookup(fixture->names, name);
    g_assert_nonnull(dbid);
    return (ConfKey){.dbid = (int64_t)GPOINTER_TO_SIZE(dbid), .type = CONF_TYPE_PERSON};
}

static void
on_answer(const ConfRpcError *error, int64_t revision, const ConfCommit *commit,
          const ConfOperationResult *results, unsigned result_count, void *data)
{
    Result *result = data;
    g_assert_false(result->done);
    result->done = true;
    result->number = ++result->fixture->answers;
    result->store_revision = conf_store_position(result->fixture->store)->revision;
    result->revision = revision;
    if (error != NULL) {
        result->code = error->code;
        result->message = g_strdup(error->message);
        result->data = g_strdup(error->data);
    }
    if (commit != NULL)
        result->commit = conf_commit_ref((ConfCommit *)commit);
    if (result_count > 0)
        g_array_append_vals(result->results, results, result_count);
}

Result *
fixture_submit_transaction(Fixture *fixture, ConfTransaction *transaction)
{
    Result *result = g_new0(Result, 1);
    result->fixture = fixture;
    result->results = g_array_new(FALSE, FALSE, sizeof(ConfOperationResult));
    conf_commit_submit(fixture->queue, transaction, on_answer, result);
    g_assert_false(result->done);
    return result;
}

Result *
fixture_submit(Fixture *fixture, const char *who, const char *text, bool dry_run)
{
    g_autofree char *expanded = fixture_expand(fixture, text);
    bool is_list = expanded[0] == '[';
    g_autofree char *operations = is_list ? g_strdup(expanded) : g_strconcat("[", expanded, "]", NULL);
    ConfTransaction *transaction =
        conf_transaction_new(is_list ? CONF_TRANSACTION_LIST : CONF_TRANSACTION_SINGLE,
                             conf_slice_from_string(operations), dry_run);
    ConfKey application = {.dbid = 100, .type = CONF_TYPE_APPLICATION};
    if (who == NULL) {
        conf_transaction_set_trusted(transaction);
    } else {
        ConfKey person = fixture_person(fixture, who);
        conf_transaction_set_author(transaction, person, person, application, "127.0.0.1:4000");
    }
    return fixture_submit_transaction(fixture, transaction);
}

static gboolean
on_too_late(void *data)
{
    g_error("Nothing came within 60 s");
    return G_SOURCE_REMOVE;
}

void
fixture_wait(Result *result)
{
    unsigned deadline = g_timeout_add_seconds(60, on_too_late, NULL);
    while (!result->done)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(deadline);
}

void
fixture_turn(void)
{
    g_main_context_iteration(NULL, FALSE);
}

Result *
fixture_run(Fixture *fixture, const char *who, const char *text)
{
    Result *result = fixture_submit(fixture, who, text, false);
    fixture_wait(result);
    return result;
}

int64_t
fixture_make(Fixture *fixture, const char *name, const char *object)
{
    g_autofree char *text = g_strconcat("{'op':'create','object':", object, "}", NULL);
    g_autoptr(Result) result =
        fixture_run(fixture, g_hash_table_size(fixture->names) > 0 ? "default" : NULL, text);
    if (result->code != 0)
        g_error("%s: %s {%s}", object, result->message, result->data);
    int64_t dbid = g_array_index(result->results, ConfOperationResult, 0).key.dbid;
    fixture_name(fixture, name, dbid);
    return dbid;
}

const ConfObject *
fixture_object(Fixture *fixture, const char *type, const char *name)
{
    const ConfTypeInfo *info =
        conf_schema_type_by_name(conf_store_schema(fixture->store), conf_slice_from_string(type));
    g_assert_nonnull(info);
    void *dbid = g_hash_table_lookup(fixture->names, name);
    return conf_store_lookup(fixture->store,
                             (ConfKey){.type = info->id, .dbid = (int64_t)GPOINTER_TO_SIZE(dbid)});
}

const char *
fixture_body(Fixture *fixture, const char *type, const char *name)
{
    const ConfObject *object = fixture_object(fixture, type, name);
    return object != NULL ? object->body->data : NULL;
}

void
result_free(Result *result)
{
    if (result == NULL)
        return;
    g_assert_true(result->done);
    g_free(result->message);
    g_free(result->data);
    conf_commit_unref(result->commit);
    g_array_unref(result->results);
    g_free(result);
}

const ConfChange *
result_only_change(const Result *result)
{
    g_assert_cmpint(result->code, ==, 0);
    g_assert_nonnull(result->commit);
    g_assert_cmpuint(result->commit->change_count, ==, 1);
    return &result->commit->changes[0];
}

const ConfOperationResult *
result_nth(const Result *result, unsigned index)
{
    g_assert_cmpuint(index, <, result->results->len);
    return &g_array_index(result->results, ConfOperationResult, index);
}

void
fixture_assert_has(const char *text, const char *part)
{
    if (text == NULL || strstr(text, part) == NULL)
        g_error("%s lacks %s", text, part);
}
