/* test-query.c - queries against looking at everything, in both orders, page by page, while objects come
 * and go. */
#include <string.h>

#include "net/poller.h"
#include "store-fixture.h"

enum { PERSONS = 101, HOSTS = 103, APPLICATIONS = 104, SUB = 200, SUBSUB = 201, LARGE = 202, HIDDEN = 13 };

typedef struct {
    ConfStore *store;
    GRand *random;
    int64_t next;
} Fixture;

/* Every thirteenth host may not be read. */
static bool
readable(const ConfObject *object, void *data)
{
    return object->type != CONF_TYPE_HOST || object->dbid % HIDDEN != 0;
}

static ConfObject *
random_object(Fixture *fixture, ConfTypeId type, int64_t dbid, int64_t revision)
{
    static const int64_t folders[] = {HOSTS, SUB,   SUBSUB, LARGE, LARGE, LARGE,
                                      LARGE, LARGE, LARGE,  LARGE, LARGE, LARGE};
    const ConfSchema *schema = conf_store_schema(fixture->store);
    g_autofree char *name = g_strdup_printf("n%02d", g_rand_int_range(fixture->random, 0, 60));
    g_autofree char *more = NULL;
    int64_t folder = folders[g_rand_int_range(fixture->random, 0, G_N_ELEMENTS(folders))];
    if (type == CONF_TYPE_HOST) {
        /* Application 1 is watched by most, so that its referrers are many. */
        int target =
            g_rand_int_range(fixture->random, 0, 6) > 0 ? 1 : g_rand_int_range(fixture->random, 2, 6);
        more = g_strdup_printf("\"lcaPort\":%d,\"solutionControlServer\":%d",
                               g_rand_int_range(fixture->random, 0, 4), target);
    } else if (type == CONF_TYPE_APPLICATION) {
        folder = APPLICATIONS;
        more = g_strdup_printf("\"applicationType\":\"genericServer\",\"server\":true,\"host\":%d",
                               g_rand_int_range(fixture->random, 1, 40));
    } else {
        folder = PERSONS;
    }
    return FIXTURE_OBJECT(schema, type, dbid, revision, name, 1, folder, .more = more);
}

static void
set_up(Fixture *fixture, const void *data)
{
    fixture->store = fixture_store();
    fixture->random = g_rand_new_with_seed((uint32_t)g_test_rand_int());
    const ConfSchema *schema = conf_store_schema(fixture->store);
    const char *holds = "\"holds\":\"host\"";
    fixture_load(fixture->store,
                 FIXTURE_OBJECT(schema, CONF_TYPE_FOLDER, SUB, 1, "n01", 1, HOSTS, .more = holds));
    fixture_load(fixture->store,
                 FIXTURE_OBJECT(schema, CONF_TYPE_FOLDER, SUBSUB, 1, "n02", 1, SUB, .more = holds));
    fixture_load(fixture->store,
                 FIXTURE_OBJECT(schema, CONF_TYPE_FOLDER, LARGE, 1, "n03", 1, HOSTS, .more = holds));
    for (fixture->next = 1; fixture->next <= 1600; fixture->next++)
        fixture_load(fixture->store, random_object(fixture, CONF_TYPE_HOST, fixture->next, 1));
    for (int64_t dbid = 1; dbid <= 60; dbid++) {
        fixture_load(fixture->store, random_object(fixture, CONF_TYPE_APPLICATION, dbid, 1));
        fixture_load(fixture->store, random_object(fixture, CONF_TYPE_PERSON, dbid, 1));
    }
}

static void
tear_down(Fixture *fixture, const void *data)
{
    conf_store_free(fixture->store);
    g_rand_free(fixture->random);
}

static ConfFilter *
compile(ConfStore *store, const ConfTypeInfo *type, const char *text)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    const ConfJson *tree = conf_json_parse(arena, conf_slice_from_string(text), NULL, NULL, NULL);
    g_assert_nonnull(tree);
    ConfFilter *filter = conf_filter_compile(conf_store_schema(store), type, tree, "/filter", &error);
    if (filter == NULL)
        g_error("%s: %s", text, error.message);
    return filter;
}

static const struct {
    ConfTypeId type; /* 0: any */
    const char *filter;
} queries[] = {
    {CONF_TYPE_HOST, "{}"},
    {0, "{}"},
    {CONF_TYPE_HOST, "{\"name\":\"n07\"}"},
    {0, "{\"name\":\"n01\"}"},
    {0, "{\"name\":[\"n01\",\"n02\"]}"},
    {CONF_TYPE_HOST, "{\"dbid\":[5,3,5,26,999999,2000]}"},
    {0, "{\"dbid\":[5,3,200]}"},
    {0, "{\"dbid\":[]}"},
    {CONF_TYPE_HOST, "{\"lcaPort\":2}"},
    {CONF_TYPE_HOST, "{\"folder\":200}"},
    {CONF_TYPE_HOST, "{\"folder\":202}"},
    {0, "{\"folder\":103}"},
    {0, "{\"folder\":103,\"recursive\":true}"},
    {CONF_TYPE_HOST, "{\"folder\":200,\"recursive\":true}"},
    {CONF_TYPE_HOST, "{\"folder\":202,\"recursive\":true,\"lcaPort\":1}"},
    {CONF_TYPE_FOLDER, "{\"folder\":null}"},
    {0, "{\"folder\":null}"},
    {0, "{\"folder\":999}"},
    {0, "{\"folder\":999,\"recursive\":true}"},
    {0, "{\"refersTo\":{\"type\":\"application\",\"dbid\":1}}"},
    {CONF_TYPE_HOST, "{\"refersTo\":{\"type\":\"application\",\"dbid\":2}}"},
    {0, "{\"refersTo\":{\"type\":\"host\",\"dbid\":4}}"},
    {0, "{\"refersTo\":{\"type\":\"host\",\"dbid\":13}}"}, /* may not be read */
    {0, "{\"refersTo\":{\"type\":\"host\",\"dbid\":99999}}"},
    {0, "{\"refersTo\":{\"type\":\"folder\",\"dbid\":103}}"},
    {0, "{\"refersTo\":{\"type\":\"folder\",\"dbid\":202}}"},
    {CONF_TYPE_PERSON, "{\"refersTo\":{\"type\":\"tenant\",\"dbid\":1}}"},
    {CONF_TYPE_HOST, "{\"solutionControlServer\":1}"},
    {CONF_TYPE_HOST, "{\"solutionControlServer\":3,\"folder\":202}"},
    {CONF_TYPE_APPLICATION, "{\"host\":7}"},
    {0, "{\"solutionControlServer\":4,\"tenant\":1}"},
};

static bool
refers_to(const Naive *naive, const ConfObject *object, ConfKey target)
{
    return (target.type == CONF_TYPE_FOLDER && object->folder == target.dbid) ||
           (target.type == CONF_TYPE_TENANT && object->tenant == target.dbid) ||
           naive_refers_to(naive, object, target);
}

static int
compare_by_name(const void *a, const void *b)
{
    const ConfObject *first = *(ConfObject *const *)a, *second = *(ConfObject *const *)b;
    int order = strcmp(first->name, second->name);
    return order != 0 ? order : conf_key_compare(conf_object_key(first), conf_object_key(second));
}

/* By looking at everything. */
static GPtrArray *
expect(ConfStore *store, const ConfTypeInfo *type, const char *text, ConfQueryOrder order)
{
    GPtrArray *expected = g_ptr_array_new();
    Naive *naive = naive_new(conf_store_schema(store));
    ConfKey key = {0};
    for (const ConfObject *at; (at = conf_store_next(store, key)) != NULL; key = conf_object_key(at))
        g_ptr_array_add(naive->objects, conf_object_ref(at));
    ConfFilter *filter = compile(store, type, text);
    const ConfFilterHints *hints = conf_filter_hints(filter);
    const ConfObject *target = hints->has_refers_to ? conf_store_lookup(store, hints->refers_to) : NULL;
    bool is_nothing = hints->has_refers_to && (target == NULL || !readable(target, NULL));
    for (unsigned i = 0; i < naive->objects->len && !is_nothing; i++) {
        const ConfObject *object = naive->objects->pdata[i];
        ConfKey folder = {.type = CONF_TYPE_FOLDER, .dbid = hints->folder};
        if ((type != NULL && object->type != type->id) || !readable(object, NULL) ||
            !conf_filter_match(filter, object))
            continue;
        if (hints->folder_is_unset && object->folder != 0)
            continue;
        /* Subtrees are small in number here, so the slow walk is only asked where it must be. */
        if (hints->has_folder && object->folder != hints->folder &&
            !(hints->recursive && object->folder != PERSONS && object->folder != APPLICATIONS &&
              object->folder != 0 && naive_is_below(naive, object, folder)))
            continue;
        if (hints->has_refers_to && !refers_to(naive, object, hints->refers_to))
            continue;
        g_ptr_array_add(expected, (void *)object);
    }
    if (order == CONF_ORDER_NAME)
        g_ptr_array_sort(expected, compare_by_name);
    conf_filter_free(filter);
    naive_free(naive);
    return expected;
}

static ConfQuery *
start(ConfStore *store, const ConfTypeInfo *type, const char *text, ConfQueryOrder order, const char *cursor)
{
    ConfQuery *query = conf_query_new(store, type, compile(store, type, text), order, readable, NULL);
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    if (cursor != NULL && !conf_query_set_cursor(query, conf_slice_from_string(cursor), "/cursor", &error))
        g_error("cursor %s: %s", cursor, error.message);
    return query;
}

static char *
take_cursor(const ConfQuery *query)
{
    g_auto(ConfBuffer) text = CONF_BUFFER_INIT;
    conf_query_write_cursor(query, &text);
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfJson *string = conf_json_parse(arena, conf_buffer_slice(&text), NULL, NULL, NULL);
    g_assert_cmpint(string->kind, ==, CONF_JSON_STRING);
    return conf_slice_dup(string->text);
}

static void
check_pages(Fixture *fixture, const ConfTypeInfo *type, const char *text, ConfQueryOrder order)
{
    ConfStore *store = fixture->store;
    g_autoptr(GPtrArray) expected = expect(store, type, text, order);
    g_autofree char *cursor = NULL;
    unsigned count = 0;
    ConfQueryVerdict verdict = CONF_QUERY_AGAIN;
    const ConfObject *object = NULL;
    do {
        int limit = g_rand_int_range(fixture->random, 1, 1500);
        ConfQuery *query = start(store, type, text, order, cursor);
        g_free(g_steal_pointer(&cursor));
        for (int i = 0; i < limit && (object = conf_query_next(query, &verdict)) != NULL; i++) {
            g_assert_cmpuint(count, <, expected->len);
            g_assert_true(object == expected->pdata[count]);
            /* What does not fit comes again, in this query or on the next page. */
            if (g_rand_int_range(fixture->random, 0, 50) == 0)
                conf_query_put_back(query);
            else
                count++;
        }
        g_assert_true(object != NULL || verdict == CONF_QUERY_END);
        cursor = take_cursor(query);
        conf_query_free(query);
    } while (object != NULL);
    g_assert_cmpuint(count, ==, expected->len);
}

static void
test_pages(Fixture *fixture, const void *data)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(queries); i++) {
        const ConfTypeInfo *type = conf_schema_type(conf_store_schema(fixture->store), queries[i].type);
        check_pages(fixture, type, queries[i].filter, CONF_ORDER_DBID);
        check_pages(fixture, type, queries[i].filter, CONF_ORDER_NAME);
    }
}

/* Creates, changes and deletes some hosts. */
static void
disturb(Fixture *fixture)
{
    FixtureChange changes[20];
    unsigned count = 0;
    int64_t last = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(changes); i++) {
        int64_t dbid = last + g_rand_int_range(fixture->random, 1, 200);
        const ConfObject *before =
            conf_store_lookup(fixture->store, (ConfKey){.type = CONF_TYPE_HOST, .dbid = dbid});
        if (before == NULL)
            dbid = fixture->next++;
        int64_t revision = conf_store_position(fixture->store)->revision + 1;
        if (before != NULL && g_rand_boolean(fixture->random)) {
            changes[count++] = (FixtureChange){CONF_CHANGE_DELETE, conf_object_ref(before), NULL};
        } else {
            ConfObject *after = random_object(fixture, CONF_TYPE_HOST, dbid, revision);
            changes[count++] = (FixtureChange){before != NULL ? CONF_CHANGE_UPDATE : CONF_CHANGE_CREATE,
                                               conf_object_ref(before), after};
        }
        if (before != NULL)
            last = dbid;
    }
    g_autoptr(ConfCommit) commit = fixture_commit(fixture->store, changes, count);
    conf_store_apply(fixture->store, commit, NULL, NULL);
}

/* Objects that nobody touches come once, in order, whatever happens around them; also within one query. */
static void
test_while_changing(Fixture *fixture, const void *data)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(queries); i++) {
        for (ConfQueryOrder order = CONF_ORDER_DBID; order <= CONF_ORDER_NAME; order++) {
            const ConfTypeInfo *type = conf_schema_type(conf_store_schema(fixture->store), queries[i].type);
            g_autoptr(GPtrArray) expected = expect(fixture->store, type, queries[i].filter, order);
            g_autoptr(GPtrArray) held = g_ptr_array_new();
            for (unsigned j = 0; j < expected->len; j++)
                g_ptr_array_add(held, conf_object_ref(expected->pdata[j]));
            g_autoptr(GHashTable) given = g_hash_table_new(NULL, NULL);
            g_autofree char *cursor = NULL;
            ConfQueryVerdict verdict;
            const ConfObject *object = NULL;
            ConfKey last = {0};
            do {
                ConfQuery *query = start(fixture->store, type, queries[i].filter, order, cursor);
                g_free(g_steal_pointer(&cursor));
                for (int j = 0; j < 700 && (object = conf_query_next(query, &verdict)) != NULL; j++) {
                    if (order == CONF_ORDER_DBID)
                        g_assert_cmpint(conf_key_compare(conf_object_key(object), last), >, 0);
                    last = conf_object_key(object);
                    g_assert_true(g_hash_table_add(given, (void *)object));
                    if (j % 100 == 50)
                        disturb(fixture);
                }
                cursor = take_cursor(query);
                conf_query_free(query);
                disturb(fixture);
            } while (object != NULL);
            for (unsigned j = 0; j < held->len; j++) {
                const ConfObject *now = conf_store_lookup(fixture->store, conf_object_key(held->pdata[j]));
                if (now == held->pdata[j])
                    g_assert_true(g_hash_table_contains(given, now));
            }
            for (unsigned j = 0; j < held->len; j++)
                conf_object_unref(held->pdata[j]);
        }
    }
}

static void
test_cursors(Fixture *fixture, const void *data)
{
    static const char *const wrong[] = {
        "",
        "d",
        "d.",
        "x.10.5",
        "d.10",
        "d.10.",
        "d.10.5.",
        "d.10.5.x",
        "d.10.5x",
        "d.70000.5",
        "d.-1.5",
        "n.10.5",
        "d.9.5",
        "d.0.5",
        "d.10.0",
        "d.10.9007199254740992",
        "d.10.99999999999999999999999",
    };
    ConfStore *store = fixture->store;
    const ConfTypeInfo *type = conf_schema_type(conf_store_schema(store), CONF_TYPE_HOST);
    ConfQuery *query = start(store, type, "{}", CONF_ORDER_DBID, NULL);
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_assert_false(conf_query_set_cursor(query, conf_slice_from_string(wrong[i]), "/cursor", &error));
        g_assert_cmpint(error.code, ==, CONF_RPC_INVALID_PARAMS);
    }
    g_assert_false(conf_query_set_cursor(query, CONF_SLICE("d.10.5\0"), "/cursor", &error));
    g_autofree char *huge = g_strnfill(1 << 20, '1');
    g_assert_false(conf_query_set_cursor(query, conf_slice_from_string(huge), "/cursor", &error));
    /* Nothing was given yet: the beginning. */
    g_autofree char *cursor = take_cursor(query);
    g_assert_true(conf_query_set_cursor(query, conf_slice_from_string(cursor), "/cursor", &error));
    g_assert_true(conf_query_set_cursor(query, CONF_SLICE("d.10.13"), "/cursor", &error));
    ConfQueryVerdict verdict;
    g_assert_cmpint(conf_query_next(query, &verdict)->dbid, ==, 14);
    conf_query_free(query);

    query = start(store, type, "{}", CONF_ORDER_NAME, NULL);
    g_assert_false(conf_query_set_cursor(query, CONF_SLICE("d.10.5"), "/cursor", &error));
    g_assert_false(conf_query_set_cursor(query, CONF_SLICE("n.10.5"), "/cursor", &error));
    g_assert_false(conf_query_set_cursor(query, CONF_SLICE("n.10.5."), "/cursor", &error));
    g_assert_true(conf_query_set_cursor(query, CONF_SLICE("n.10.5.a.b\"c"), "/cursor", &error));
    g_autofree char *same = take_cursor(query);
    g_assert_cmpstr(same, ==, "n.10.5.a.b\"c");
    conf_query_free(query);
}

typedef struct {
    ConfQuery *query;
    unsigned given, slices;
    bool is_done;
} Work;

static bool
run_slice(void *data)
{
    Work *work = data;
    ConfQueryVerdict verdict;
    work->slices++;
    while (conf_query_next(work->query, &verdict) != NULL)
        work->given++;
    work->is_done = verdict == CONF_QUERY_END;
    return !work->is_done;
}

/* A query that nearly nothing matches gives way to others, and comes to its end. */
static void
test_slices(Fixture *fixture, const void *data)
{
    for (; fixture->next <= 20000; fixture->next++)
        fixture_load(fixture->store, random_object(fixture, CONF_TYPE_HOST, fixture->next, 1));
    const ConfTypeInfo *type = conf_schema_type(conf_store_schema(fixture->store), CONF_TYPE_HOST);
    Work work = {
        .query = start(fixture->store, type, "{\"annex/x/y\":{\"like\":\"*z*\"}}", CONF_ORDER_NAME, NULL)};
    conf_work_start(conf_poller_default(), "query", run_slice, &work);
    while (!work.is_done)
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpuint(work.given, ==, 0);
    g_assert_cmpuint(work.slices, >, 1);
    conf_query_free(work.query);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/store/query/pages", Fixture, NULL, set_up, test_pages, tear_down);
    g_test_add("/store/query/while-changing", Fixture, NULL, set_up, test_while_changing, tear_down);
    g_test_add("/store/query/cursors", Fixture, NULL, set_up, test_cursors, tear_down);
    g_test_add("/store/query/slices", Fixture, NULL, set_up, test_slices, tear_down);
    return g_test_run();
}
