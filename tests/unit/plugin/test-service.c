/* test-service.c - services of plugins: one plugin each, storage by engine. */
#include <string.h>

#include "fixture.h"

static void
test_storage_by_engine(void)
{
    ConfPluginHost *host =
        fixture_load("provide-a, provide-b", "provide-a/engine=sqlite provide-b/engine=postgre,postgresql");
    const ConfStorageProvider *sqlite = conf_plugin_host_storage(host, "sqlite");
    const ConfStorageProvider *postgre = conf_plugin_host_storage(host, "postgre");
    g_assert_nonnull(sqlite);
    g_assert_nonnull(postgre);
    g_assert_true(sqlite != postgre);
    g_assert_true(conf_plugin_host_storage(host, "postgresql") == postgre);
    g_assert_null(conf_plugin_host_storage(host, "oracle"));
    g_assert_null(conf_plugin_host_storage(host, "post"));
    void *self = host;
    g_assert_null(conf_plugin_host_service(host, "history", &self));
    g_assert_null(self);
    g_assert_null(conf_plugin_host_service_plugin(host, "history"));
    conf_plugin_host_free(host);
}

static void
test_taken_twice(void)
{
    g_autofree char *history =
        fixture_load_error("provide-a, provide-b", "provide-a/service=history provide-b/service=history");
    g_assert_cmpstr(history, ==, "plugin provide-b: service history is provided by plugin provide-a already");
    g_autofree char *storage =
        fixture_load_error("provide-a, provide-b", "provide-a/engine=x,y provide-b/engine=z,y");
    g_assert_cmpstr(storage, ==, "plugin provide-b: service storage is provided by plugin provide-a already");
}

static void
test_bad_tables(void)
{
    g_autofree char *hollow = fixture_load_error("provide-a", "provide-a/hollow=yes");
    g_assert_cmpstr(hollow, ==, "plugin provide-a: the table of service storage lacks its function number 3");
    g_autofree char *unknown = fixture_load_error("provide-a", "provide-a/service=coffee");
    g_assert_cmpstr(unknown, ==,
                    "plugin provide-a: there is no service \"coffee\" that a plugin could provide");
}

static void
test_history(void)
{
    ConfPluginHost *host = fixture_load("provide-a", "provide-a/service=history");
    void *self = NULL;
    const ConfHistoryProvider *history = conf_plugin_host_service(host, "history", &self);
    g_assert_nonnull(history);
    g_assert_cmpuint(history->size, ==, sizeof(ConfHistoryProvider));
    g_assert_nonnull(self);
    g_assert_true(conf_plugin_get_self(conf_plugin_host_service_plugin(host, "history")) == self);
    conf_plugin_host_free(host);
}

static void
add_tests(void)
{
    g_test_add_func("/plugin/service/storage-by-engine", test_storage_by_engine);
    g_test_add_func("/plugin/service/taken-twice", test_taken_twice);
    g_test_add_func("/plugin/service/bad-tables", test_bad_tables);
    g_test_add_func("/plugin/service/history", test_history);
}

int
main(int argc, char **argv)
{
    return fixture_run(argc, argv, add_tests);
}
