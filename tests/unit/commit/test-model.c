/* test-model.c - random transactions against a naive model: what went well is as the model says, what did not
 * left no trace, and whoever follows the commits alone has the same as the store and the database. */
#include "fixture.h"

#include <string.h>

typedef struct {
    int64_t dbid, folder;
    char name[16];
    int port;     /* -1: unset */
    int64_t note; /* dbid of the host it watches; 0: none */
    bool enabled, exists;
} Host;

enum { HOSTS = 40, FOLDERS = 4, ROUNDS = 400 };

typedef struct {
    Host hosts[HOSTS];
    unsigned count;
    int64_t folders[FOLDERS];
} Model;

/* Follows the commits: key → body and own list. */
typedef struct {
    GHashTable *bodies; /* ConfKey * → ConfObject * */
} Mirror;

static void
mirror_fill(Mirror *mirror, Fixture *fixture)
{
    mirror->bodies =
        g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, g_free, (GDestroyNotify)conf_object_unref);
    const ConfObject *object = NULL;
    ConfKey after = {0};
    while ((object = conf_store_next(fixture->store, after)) != NULL) {
        after = conf_object_key(object);
        g_hash_table_insert(mirror->bodies, g_memdup2(&after, sizeof(after)), conf_object_ref(object));
    }
}

static void
mirror_apply(Mirror *mirror, Fixture *fixture, const ConfCommit *commit)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(conf_key_g_hash, conf_key_g_equal);
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
    ConfChangeKind last = CONF_CHANGE_CREATE;
    for (unsigned i = 0; i < commit->change_count; i++) {
        const ConfChange *change = &commit->changes[i];
        ConfKey *key = g_new(ConfKey, 1);
        *key = conf_object_key(change->after != NULL ? change->after : change->before);
        g_ptr_array_add(keys, key);
        g_assert_true(g_hash_table_add(seen, key)); /* each object once */
        ConfChangeKind rank = change->kind == CONF_CHANGE_PERMISSION || change->kind == CONF_CHANGE_SECRET
                                  ? CONF_CHANGE_UPDATE
                                  : change->kind;
        g_assert_cmpint(rank, >=, last);
        last = rank;
        g_assert_true(g_hash_table_lookup(mirror->bodies, key) == change->before);
        if (change->kind == CONF_CHANGE_UPDATE) {
            /* What clients are told leads to what there is. */
            g_autoptr(ConfArena) arena = conf_arena_new();
            g_autofree char *text = g_strdup_printf("{%s}", change->difference->data);
            const ConfJson *tree = conf_json_parse(arena, conf_slice_from_string(text), NULL, NULL, NULL);
            g_autoptr(GError) error = NULL;
            g_autoptr(ConfBytes) body = conf_object_apply_difference(
                conf_store_schema(fixture->store), arena, change->before, tree, commit->revision, &error);
            g_assert_no_error(error);
            g_assert_cmpstr(body->data, ==, change->after->body->data);
        }
        if (change->after != NULL)
            g_hash_table_insert(mirror->bodies, g_memdup2(key, sizeof(*key)), conf_object_ref(change->after));
        else
            g_hash_table_remove(mirror->bodies, key);
    }
}

static void
mirror_compare(const Mirror *mirror, Fixture *fixture)
{
    g_assert_cmpuint(g_hash_table_size(mirror->bodies), ==, conf_store_count(fixture->store));
    GHashTableIter iter;
    void *key, *object;
    g_hash_table_iter_init(&iter, mirror->bodies);
    while (g_hash_table_iter_next(&iter, &key, &object)) {
        g_assert_true(conf_store_lookup(fixture->store, *(ConfKey *)key) == object);
        g_autofree char *stored = database_body(*(ConfKey *)key);
        if (stored != NULL)
            g_assert_cmpstr(stored, ==, ((ConfObject *)object)->body->data);
    }
}

static Host *
pick(Model *model)
{
    return model->count > 0 ? &model->hosts[g_test_rand_int_range(0, (int)model->count)] : NULL;
}

static bool
name_taken(const Model *model)
{
    for (unsigned i = 0; i < model->count; i++) {
        for (unsigned j = 0; model->hosts[i].exists && j < i; j++) {
            if (model->hosts[j].exists && strcmp(model->hosts[i].name, model->hosts[j].name) == 0)
                return true;
        }
    }
    return false;
}

/* One random operation on `model`, written to `text`.  False: the server must refuse the transaction here. */
static bool
random_operation(Model *model, GString *text, unsigned index, bool has_created[])
{
    Host *host = pick(model);
    int kind = g_test_rand_int_range(0, 10);
    if (text->len > 1)
        g_string_append_c(text, ',');
    if (kind < 3 && model->count < HOSTS) {
        host = &model->hosts[model->count++];
        *host = (Host){.dbid = -(int64_t)index - 1,
                       .folder = model->folders[g_test_rand_int_range(0, FOLDERS)],
                       .port = -1,
                       .enabled = g_test_rand_int_range(0, 5) > 0,
                       .exists = true};
        g_snprintf(host->name, sizeof(host->name), "x%d", g_test_rand_int_range(0, 60));
        has_created[index] = true;
        g_string_append_printf(text,
                               "{'op':'create','object':{'type':'host','name':'%s','folder':%" G_GINT64_FORMAT
                               ",'state':'%s'}}",
                               host->name, host->folder, host->enabled ? "enabled" : "disabled");
        return true;
    }
    if (host == NULL) {
        g_string_append(text, "{'op':'delete','type':'host','dbid':4711}");
        return false;
    }
    g_autofree char *dbid = host->dbid < 0
                                ? g_strdup_printf("{'$created':%" G_GINT64_FORMAT "}", -host->dbid - 1)
                                : g_strdup_printf("%" G_GINT64_FORMAT, host->dbid);
    if (kind < 5) {
        g_string_append_printf(text, "{'op':'delete','type':'host','dbid':%s}", dbid);
        bool existed = host->exists;
        host->exists = false;
        return existed;
    }
    if (kind < 6) {
        host->folder = model->folders[g_test_rand_int_range(0, FOLDERS)];
        g_string_append_printf(
            text, "{'op':'update','type':'host','dbid':%s,'patch':{'folder':%" G_GINT64_FORMAT "}}", dbid,
            host->folder);
    } else if (kind < 7) {
        g_snprintf(host->name, sizeof(host->name), "x%d", g_test_rand_int_range(0, 60));
        g_string_append_printf(text, "{'op':'update','type':'host','dbid':%s,'patch':{'name':'%s'}}", dbid,
                               host->name);
    } else if (kind < 9) {
        host->port = g_test_rand_int_range(-1, 3);
        g_autofree char *port = host->port < 0 ? g_strdup("null") : g_strdup_printf("%d", host->port);
        g_string_append_printf(text, "{'op':'update','type':'host','dbid':%s,'patch':{'lcaPort':%s}}", dbid,
                               port);
    } else {
        bool inherits = g_test_rand_bit();
        g_string_append_printf(text, "{'op':'permission','type':'host','dbid':%s,'%s':true}", dbid,
                               inherits ? "inherit" : "entries");
        return host->exists && inherits; /* entries is a list */
    }
    return host->exists;
}

static void
compare_host(Fixture *fixture, const Host *host)
{
    const ConfObject *object =
        conf_store_lookup(fixture->store, (ConfKey){.dbid = host->dbid, .type = CONF_TYPE_HOST});
    g_assert_true((object != NULL) == host->exists);
    if (object == NULL)
        return;
    int64_t port = -1;
    conf_object_get_integer(object, "lcaPort", &port);
    g_assert_cmpstr(object->name, ==, host->name);
    g_assert_cmpint(object->folder, ==, host->folder);
    g_assert_cmpint(port, ==, host->port);
    g_assert_cmpint(object->enabled, ==, host->enabled);
}

static void
settle(Model *model, const Result *result)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < model->count; i++) {
        Host *host = &model->hosts[i];
        if (host->dbid < 0)
            host->dbid = g_array_index(result->results, ConfOperationResult, -host->dbid - 1).key.dbid;
        if (host->exists)
            model->hosts[kept++] = *host;
    }
    model->count = kept;
}

static void
test_random(void)
{
    g_autoptr(Fixture) fixture = fixture_new();
    Mirror mirror;
    mirror_fill(&mirror, fixture);
    unsigned followed = fixture->published->len, good = 0, refused = 0, nothing = 0;
    const char *const names[FOLDERS] = {"Hosts", "emea", "inner", "apac"};
    Model model = {0};
    for (unsigned i = 0; i < FOLDERS; i++)
        model.folders[i] = fixture_object(fixture, "folder", names[i])->dbid;
    for (unsigned round = 0; round < ROUNDS; round++) {
        Model next = model;
        bool has_created[8] = {false};
        bool fits = true;
        g_autoptr(GString) text = g_string_new("[");
        unsigned count = (unsigned)g_test_rand_int_range(1, 8);
        for (unsigned i = 0; i < count && fits; i++)
            fits = random_operation(&next, text, i, has_created);
        g_string_append_c(text, ']');
        fits = fits && !name_taken(&next);
        g_autoptr(Result) result = fixture_run(fixture, "default", text->str);
        if ((result->code == 0) != fits)
            g_error("%s: %d %s", text->str, result->code, result->message);
        good += fits;
        refused += !fits;
        nothing += fits && result->commit == NULL;
        if (fits) {
            for (unsigned i = 0; i < next.count; i++) {
                if (next.hosts[i].dbid < 0)
                    next.hosts[i].dbid =
                        g_array_index(result->results, ConfOperationResult, -next.hosts[i].dbid - 1).key.dbid;
            }
            model = next;
        }
        for (unsigned i = 0; i < model.count; i++)
            compare_host(fixture, &model.hosts[i]);
        settle(&model, result);
        for (; followed < fixture->published->len; followed++)
            mirror_apply(&mirror, fixture, g_ptr_array_index(fixture->published, followed));
    }
    mirror_compare(&mirror, fixture);
    g_test_message("%u good, %u of them nothing, %u refused", good, nothing, refused);
    g_assert_cmpuint(good, >, ROUNDS / 10);
    g_assert_cmpuint(refused, >, ROUNDS / 10);
    g_hash_table_unref(mirror.bodies);
}

/* Transactions of one batch build upon one another: whatever is gathered, the mirror has
 * what the store has. */
static void
test_random_batches(void)
{
    static const char *const texts[] = {
        "{'op':'create','object':{'type':'host','name':'b%d','folder':@emea@}}",
        "{'op':'update','type':'host','name':'b%d','patch':{'folder':@inner@}}",
        "{'op':'update','type':'host','name':'b%d','patch':{'folder':@apac@,'state':'enabled'}}",
        "{'op':'update','type':'folder','dbid':@emea@,'patch':{'state':'disabled','annex':{'a':{'b':'%d'}}}}",
        "{'op':'update','type':'folder','dbid':@emea@,'patch':{'state':'enabled','annex':{'a':{'b':'%d'}}}}",
        "{'op':'update','type':'folder','dbid':@inner@,'patch':{'folder':@apac@,'annex':{'a':{'b':'%d'}}}}",
        "{'op':'update','type':'folder','dbid':@inner@,'patch':{'folder':@emea@,'annex':{'a':{'b':'%d'}}}}",
        "{'op':'delete','type':'host','name':'b%d'}",
        "{'op':'permission','type':'host','name':'b%d','grant':[{'account':{'type':'person','dbid':@carl@},'rights':['read']}]}",
        "{'op':'permission','type':'folder','dbid':@emea@,'propagate':true,'grant':[{'account':{'type':'person','dbid':%d},"
        "'rights':['read']}]}",
    };
    g_autoptr(Fixture) fixture = fixture_new();
    Mirror mirror;
    mirror_fill(&mirror, fixture);
    unsigned followed = fixture->published->len, good = 0;
    for (unsigned round = 0; round < 60; round++) {
        g_autoptr(GPtrArray) results = g_ptr_array_new_with_free_func((GDestroyNotify)result_free);
        for (unsigned i = 0; i < 20; i++) {
            g_autoptr(GString) text = g_string_new(texts[g_test_rand_int_range(0, G_N_ELEMENTS(texts))]);
            g_autofree char *number = g_strdup_printf("%d", g_test_rand_int_range(0, 6));
            char *at = strstr(text->str, "%d");
            g_assert_nonnull(at);
            gssize position = at - text->str;
            g_string_erase(text, position, 2);
            g_string_insert(text, position, number);
            g_ptr_array_add(results,
                            fixture_submit(fixture, "default", text->str, g_test_rand_int_range(0, 8) == 0));
        }
        database_set_mode(g_test_rand_int_range(0, 6) == 0 ? DATABASE_FULL : DATABASE_WELL);
        for (unsigned i = 0; i < results->len; i++) {
            Result *result = g_ptr_array_index(results, i);
            fixture_wait(result);
            good += result->code == 0;
        }
        for (; followed < fixture->published->len; followed++)
            mirror_apply(&mirror, fixture, g_ptr_array_index(fixture->published, followed));
        mirror_compare(&mirror, fixture);
        /* A disabled folder holds nothing that was not enabled afterwards: none of the texts does that to
         * emea's content. */
        g_assert_cmpint(database_revision(), ==, conf_store_position(fixture->store)->revision);
    }
    g_assert_cmpuint(good, >, 100);
    g_hash_table_unref(mirror.bodies);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/commit/model/random", test_random);
    g_test_add_func("/commit/model/random-batches", test_random_batches);
    return g_test_run();
}
