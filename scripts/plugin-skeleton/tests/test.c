/* test-@NAME@.c - plugin @NAME@ as a server loads it: its options, its hook, its statistic. */
#include <string.h>

#include "base/error.h"
#include "base/queue-main.h"
#include "plugin/loader.h"

static ConfPluginHost *
load(const char *notice_every, GError **error)
{
    g_autoptr(ConfSettings) settings = conf_settings_new();
    if (notice_every != NULL)
        conf_settings_set(settings, "@NAME@", "notice-every", notice_every);
    ConfPluginHost *host = conf_plugin_host_new(g_getenv("CONF_TEST_PLUGINS"), NULL);
    if (conf_plugin_host_load(host, "@NAME@", "confserv", settings, error))
        return host;
    conf_plugin_host_free(host);
    return NULL;
}

static void
take_sessions(const char *name, uint64_t value, void *data)
{
    if (strcmp(name, "@NAME@.sessions") == 0)
        *(uint64_t *)data = value;
}

static void
test_counts_sessions(void)
{
    g_autoptr(GError) error = NULL;
    ConfPluginHost *host = load(NULL, &error);
    g_assert_no_error(error);
    for (unsigned i = 0; i < 3; i++)
        conf_hooks_session_opened(NULL, false);
    uint64_t sessions = 0;
    conf_plugin_host_foreach_statistic(host, take_sessions, &sessions);
    g_assert_cmpuint(sessions, ==, 3);
    conf_plugin_host_free(host);
}

static void
test_refuses_bad_option(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(load("-1", &error));
    g_assert_error(error, CONF_ERROR, CONF_ERROR_INVALID);
    g_assert_nonnull(strstr(error->message, "@NAME@/notice-every"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    g_test_add_func("/plugins/@NAME@/counts-sessions", test_counts_sessions);
    g_test_add_func("/plugins/@NAME@/refuses-bad-option", test_refuses_bad_option);
    return g_test_run();
}
