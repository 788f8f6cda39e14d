/* test-acl.c - lists of rights: equal lists are one, ids are given back, text goes in and out. */
#include "base/queue-main.h"
#include "model-fixture.h"

static const ConfKey anna = {.type = CONF_TYPE_PERSON, .dbid = 100};
static const ConfKey bert = {.type = CONF_TYPE_PERSON, .dbid = 101};
static const ConfKey staff = {.type = CONF_TYPE_ACCESS_GROUP, .dbid = 100};

static void
test_intern(void)
{
    ConfAcl *list =
        conf_acl_intern((ConfAclEntry[]){{staff, CONF_RIGHT_READ}, {anna, CONF_RIGHT_CHANGE}, {bert, 0}}, 3);
    ConfAcl *same = conf_acl_intern(
        (ConfAclEntry[]){{anna, CONF_RIGHT_CHANGE}, {staff, CONF_RIGHT_READ}, {staff, CONF_RIGHT_READ}}, 3);
    ConfAcl *other = conf_acl_intern((ConfAclEntry[]){{staff, CONF_RIGHT_READ}, {anna, CONF_RIGHT_ALL}}, 2);
    ConfAcl *empty = conf_acl_intern(NULL, 0);
    g_assert_true(list == same);
    g_assert_true(list != other);
    g_assert_cmpuint(list->count, ==, 2);
    g_assert_cmpuint(empty->count, ==, 0);
    g_assert_cmpuint(conf_acl_lookup(list, anna), ==, CONF_RIGHT_CHANGE);
    g_assert_cmpuint(conf_acl_lookup(list, staff), ==, CONF_RIGHT_READ);
    g_assert_cmpuint(conf_acl_lookup(list, bert), ==, 0);
    g_assert_cmpuint(conf_acl_lookup(empty, anna), ==, 0);
    g_assert_cmpuint(list->id, <, conf_acl_id_bound());
    g_assert_cmpuint(list->id, !=, other->id);
    conf_acl_unref(list);
    conf_acl_unref(same);
    conf_acl_unref(other);
    conf_acl_unref(empty);
}

/* Rights of the same account are united. */
static void
test_unite(void)
{
    ConfAcl *list =
        conf_acl_intern((ConfAclEntry[]){{anna, CONF_RIGHT_READ}, {staff, 1}, {anna, CONF_RIGHT_DELETE}}, 3);
    g_assert_cmpuint(list->count, ==, 2);
    g_assert_cmpuint(conf_acl_lookup(list, anna), ==, CONF_RIGHT_READ | CONF_RIGHT_DELETE);
    conf_acl_unref(list);
}

static void
test_generation(void)
{
    ConfAcl *first = conf_acl_intern((ConfAclEntry[]){{anna, 1}}, 1);
    ConfAcl *second = conf_acl_intern((ConfAclEntry[]){{anna, 2}}, 1);
    g_assert_cmpuint(conf_acl_count_mentions(anna), ==, 2);
    g_assert_cmpuint(conf_acl_count_mentions(bert), ==, 0);
    uint64_t generation = conf_acl_generation();
    uint32_t id = first->id, bound = conf_acl_id_bound();
    conf_acl_unref(conf_acl_ref(first));
    g_assert_cmpuint(conf_acl_generation(), ==, generation);
    conf_acl_unref(first);
    g_assert_cmpuint(conf_acl_generation(), >, generation);
    g_assert_cmpuint(conf_acl_count_mentions(anna), ==, 1);
    ConfAcl *third = conf_acl_intern((ConfAclEntry[]){{anna, 4}}, 1);
    g_assert_cmpuint(third->id, ==, id);
    g_assert_cmpuint(conf_acl_id_bound(), ==, bound);
    conf_acl_unref(second);
    conf_acl_unref(third);
    g_assert_cmpuint(conf_acl_count_mentions(anna), ==, 0);
}

static void *
drop(void *data)
{
    conf_acl_unref(data);
    return NULL;
}

/* The last reference is dropped elsewhere: the list goes when the main loop runs, and lives on if it was
 * taken anew. */
static void
test_threads(void)
{
    ConfAcl *list = conf_acl_intern((ConfAclEntry[]){{bert, 1}}, 1);
    conf_acl_ref(list);
    g_thread_join(g_thread_new("drop", drop, list));
    g_assert_cmpuint(conf_acl_count_mentions(bert), ==, 1);
    g_thread_join(g_thread_new("drop", drop, list));
    ConfAcl *again = conf_acl_intern((ConfAclEntry[]){{bert, 1}}, 1);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    g_assert_cmpuint(conf_acl_count_mentions(bert), ==, 1);
    g_assert_cmpuint(conf_acl_lookup(again, bert), ==, 1);
    g_thread_join(g_thread_new("drop", drop, again));
    while (conf_acl_count_mentions(bert) > 0)
        g_main_context_iteration(NULL, TRUE);
}

static void
test_text(ModelFixture *fixture, const void *data)
{
    const char *text =
        "[{\"rights\":[\"changePermissions\",\"read\",\"read\"],\"account\":{\"dbid\":100,"
        "\"type\":\"accessGroup\"}},"
        "{\"account\":{\"type\":\"person\",\"dbid\":101},\"rights\":[\"delete\",\"execute\",\"change\","
        "\"create\"]},"
        "{\"account\":{\"type\":\"person\",\"dbid\":100},\"rights\":[]}]";
    GArray *entries =
        conf_acl_entries_parse(model_tree(fixture, text), fixture->schema, "/entries", &fixture->error);
    g_assert_cmpuint(entries->len, ==, 3);
    ConfAcl *list = conf_acl_intern((const ConfAclEntry *)entries->data, entries->len);
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    conf_acl_write(list, fixture->schema, &buffer);
    conf_buffer_append_char(&buffer, '\0');
    g_assert_cmpstr(
        buffer.data, ==,
        "[{\"account\":{\"type\":\"person\",\"dbid\":101},\"rights\":[\"create\",\"change\",\"execute\","
        "\"delete\"]},"
        "{\"account\":{\"type\":\"accessGroup\",\"dbid\":100},\"rights\":[\"read\",\"changePermissions\"]}]");
    conf_acl_unref(list);
    g_array_unref(entries);
    g_assert_cmpstr(conf_right_name(CONF_RIGHT_READ_PERMISSIONS), ==, "readPermissions");
}

static void
test_faults(ModelFixture *fixture, const void *data)
{
    static const struct {
        const char *text, *path;
    } faults[] = {
        {"{}", "/entries"},
        {"[1]", "/entries/0"},
        {"[{\"account\":{\"type\":\"person\",\"dbid\":1}}]", "/entries/0/rights"},
        {"[{\"account\":{\"type\":\"person\",\"dbid\":1},\"rights\":[\"read\",\"write\"]}]",
         "/entries/0/rights/1"},
        {"[{\"account\":{\"type\":\"person\",\"dbid\":1},\"rights\":[1]}]", "/entries/0/rights/0"},
        {"[{\"account\":{\"type\":\"host\",\"dbid\":1},\"rights\":[]}]", "/entries/0/account"},
        {"[{\"account\":{\"type\":\"nobody\",\"dbid\":1},\"rights\":[]}]", "/entries/0/account"},
        {"[{\"account\":{\"type\":\"person\",\"dbid\":0},\"rights\":[]}]", "/entries/0/account"},
        {"[{\"account\":{\"type\":\"person\",\"dbid\":1.0},\"rights\":[]}]", "/entries/0/account"},
        {"[{\"account\":5,\"rights\":[]}]", "/entries/0/account"},
        {"[{\"account\":{\"type\":\"person\",\"dbid\":1},\"rights\":[],\"a/b\":1}]", "/entries/0/a~1b"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_assert_null(conf_acl_entries_parse(model_tree(fixture, faults[i].text), fixture->schema, "/entries",
                                             &fixture->error));
        model_assert_fault(fixture, faults[i].path);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    g_test_add_func("/acl/intern", test_intern);
    g_test_add_func("/acl/unite", test_unite);
    g_test_add_func("/acl/generation", test_generation);
    g_test_add_func("/acl/threads", test_threads);
    MODEL_TEST("/acl/text", test_text);
    MODEL_TEST("/acl/faults", test_faults);
    return g_test_run();
}
