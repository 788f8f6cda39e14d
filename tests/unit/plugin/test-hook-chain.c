/* test-hook-chain.c - the order of hooks, what their verdicts do to the chain, and older tables. */
#include <string.h>

#include "fixture.h"
#include "plugin/plugin-private.h"

static void
test_no_plugins(void)
{
    g_autoptr(GError) error = NULL;
    unsigned position = 0;
    g_assert_false(conf_hooks_have_visible());
    g_assert_false(conf_hooks_have_received());
    g_assert_cmpint(conf_hooks_accepted(NULL, &error), ==, CONF_NEXT);
    g_assert_cmpint(conf_hooks_login(NULL, &position, &error), ==, CONF_NEXT);
    g_assert_true(conf_hooks_visible(NULL, NULL));
    conf_hooks_opened(NULL);
    g_assert_no_error(error);
    g_assert_null(conf_plugin_current());
}

static void
test_order(void)
{
    /* By priority, then as listed. */
    ConfPluginHost *host = fixture_load("order-b, order-a, order-c", "order-c/priority=100");
    conf_hooks_opened(NULL);
    g_assert_cmpstr(fixture_take_notes(), ==, "order-c opened\norder-b opened\norder-a opened\n");
    g_assert_true(conf_hooks_have_visible());
    g_assert_false(conf_hooks_have_received());
    g_assert_false(conf_hooks_have_answered());
    conf_plugin_host_free(host);
    g_assert_cmpstr(fixture_take_notes(), ==, "order-c unload\norder-a unload\norder-b unload\n");
    conf_hooks_opened(NULL);
    g_assert_cmpstr(fixture_take_notes(), ==, "");
    g_assert_false(conf_hooks_have_visible());
}

static void
test_several_tables(void)
{
    ConfPluginHost *host = fixture_load(
        "order-a, order-b", "order-a/priority=500 order-a/second-priority=900 order-b/priority=700");
    conf_hooks_opened(NULL);
    g_assert_cmpstr(fixture_take_notes(), ==, "order-a opened\norder-b opened\norder-a opened again\n");
    /* The second table ends at `opened`: what its memory holds behind that is not called. */
    conf_hooks_committed(NULL);
    g_assert_false(conf_hooks_have_committed());
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static void
test_done_stops(void)
{
    ConfPluginHost *host = fixture_load("order-a, order-b, order-c", "order-b/verdict=done");
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(conf_hooks_accepted(NULL, &error), ==, CONF_DONE);
    g_assert_cmpstr(fixture_take_notes(), ==, "order-a accepted\norder-b accepted\n");
    g_assert_no_error(error);
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static void
test_refusal_stops_with_its_reason(void)
{
    ConfPluginHost *host = fixture_load("order-a, order-b, order-c", "order-b/verdict=refuse");
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(conf_hooks_accepted(NULL, &error), ==, CONF_REFUSE);
    g_assert_cmpstr(fixture_take_notes(), ==, "order-a accepted\norder-b accepted\n");
    g_assert_error(error, CONF_PLUGIN_RPC_ERROR, -32013);
    g_assert_cmpstr(error->message, ==, "order-b says no");
    /* Nobody has to want the reason. */
    g_assert_cmpint(conf_hooks_accepted(NULL, NULL), ==, CONF_REFUSE);
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static void
test_verdicts_that_do_not_fit(void)
{
    ConfPluginHost *host =
        fixture_load("order-a, order-b", "order-a/verdict=next-with-error order-b/verdict=refuse-silently");
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(conf_hooks_accepted(NULL, &error), ==, CONF_REFUSE);
    FIXTURE_ASSERT_HAS(error->message, "order-b refused without giving a reason");
    conf_plugin_host_free(host);
    g_clear_error(&error);

    /* A connection cannot wait, and a log-in only for somebody who took it. */
    host = fixture_load("order-a", "order-a/verdict=later");
    unsigned position = 0;
    g_assert_cmpint(conf_hooks_accepted(NULL, &error), ==, CONF_REFUSE);
    g_assert_nonnull(error);
    g_clear_error(&error);
    g_assert_cmpint(conf_hooks_login(NULL, &position, &error), ==, CONF_REFUSE);
    g_assert_nonnull(error);
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static void
test_position(void)
{
    ConfPluginHost *host = fixture_load("order-a, order-b, order-c", "order-b/verdict=done");
    unsigned position = 0;
    g_assert_cmpint(conf_hooks_login(NULL, &position, NULL), ==, CONF_DONE);
    g_assert_cmpuint(position, ==, 2);
    g_assert_cmpstr(fixture_take_notes(), ==, "order-a login\norder-b login\n");
    g_assert_cmpint(conf_hooks_login(NULL, &position, NULL), ==, CONF_NEXT);
    g_assert_cmpstr(fixture_take_notes(), ==, "order-c login\n");
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static void
test_visible(void)
{
    ConfPluginHost *host = fixture_load("order-a, order-b, order-c", "order-b/verdict=refuse");
    g_assert_false(conf_hooks_visible(NULL, NULL));
    g_assert_cmpstr(fixture_take_notes(), ==, "order-a visible\norder-b visible\n");
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static void
test_idle_is_for_one(void)
{
    ConfPluginHost *host = fixture_load("order-a, order-b", "");
    conf_hooks_idle(NULL, fixture_last_plugin(), 250);
    g_assert_cmpstr(fixture_take_notes(), ==, "order-b idle 250\n");
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static void
test_current(void)
{
    ConfPluginHost *host = fixture_load("in-folder, plain", "");
    ConfPlugin *p = fixture_last_plugin();
    conf_plugin_enter(p);
    uint64_t outer = conf_plugin_current_frame();
    conf_plugin_enter(p);
    g_assert_cmpuint(conf_plugin_current_frame(), !=, outer);
    g_assert_true(conf_plugin_frame_is_active(outer));
    conf_plugin_leave(p);
    g_assert_true(conf_plugin_current() == p);
    conf_plugin_leave(p);
    g_assert_false(conf_plugin_frame_is_active(outer));
    g_assert_null(conf_plugin_current());
    conf_plugin_host_free(host);
    fixture_take_notes();
}

static void
add_tests(void)
{
    g_test_add_func("/plugin/hook-chain/none", test_no_plugins);
    g_test_add_func("/plugin/hook-chain/order", test_order);
    g_test_add_func("/plugin/hook-chain/several-tables", test_several_tables);
    g_test_add_func("/plugin/hook-chain/done", test_done_stops);
    g_test_add_func("/plugin/hook-chain/refuse", test_refusal_stops_with_its_reason);
    g_test_add_func("/plugin/hook-chain/misfits", test_verdicts_that_do_not_fit);
    g_test_add_func("/plugin/hook-chain/position", test_position);
    g_test_add_func("/plugin/hook-chain/visible", test_visible);
    g_test_add_func("/plugin/hook-chain/idle", test_idle_is_for_one);
    g_test_add_func("/plugin/hook-chain/current", test_current);
}

int
main(int argc, char **argv)
{
    return fixture_run(argc, argv, add_tests);
}
