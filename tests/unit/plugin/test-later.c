/* test-later.c - the duty to answer: finished, abandoned, timed out, and every second time. */
#include <string.h>

#include "fixture.h"

static ConfPluginHost *host;
static ConfPlugin *plugin;
static bool told;

static void
finished(void *owner, ConfVerdict verdict, GError *error)
{
    test_note("%s finished %d %s", (const char *)owner, verdict, error != NULL ? error->message : "-");
    g_clear_error(&error);
    told = true;
}

static void
answered(void *owner, const char *result_json)
{
    test_note("%s answered %s", (const char *)owner, result_json);
    told = true;
}

static void
challenged(void *owner, const char *prompt, GBytes *state)
{
    test_note("%s challenged %s %s", (const char *)owner, prompt,
              (const char *)g_bytes_get_data(state, NULL));
    g_bytes_unref(state);
    told = true;
}

static void
timed_out(void *owner)
{
    test_note("%s timed out", (const char *)owner);
    told = true;
}

static const ConfLaterFuncs REQUEST = {.finished = finished, .answered = answered, .timed_out = timed_out};
static const ConfLaterFuncs LOGIN = {.finished = finished, .challenged = challenged, .timed_out = timed_out};

static void
gone(void *data)
{
    test_note("gone%s", conf_plugin_current() == plugin ? "" : " outside of the plugin");
}

static void
set_up(void)
{
    host = fixture_load("plain", "");
    plugin = fixture_last_plugin();
    fixture_take_notes();
    told = false;
}

static void
tear_down(void)
{
    conf_plugin_host_free(host);
    fixture_take_notes();
}

/* As a hook of the plugin does. */
static ConfLater *
take(const ConfLaterFuncs *funcs, unsigned timeout_ms)
{
    conf_plugin_enter(plugin);
    ConfLater *later = conf_later_new(plugin, funcs, "owner", timeout_ms, gone, NULL);
    conf_plugin_leave(plugin);
    return later;
}

static void
test_finish(void)
{
    set_up();
    conf_later_finish(take(&REQUEST, 1000), CONF_DONE, NULL);
    conf_later_finish(take(&REQUEST, 1000), CONF_NEXT, NULL);
    conf_later_finish(take(&REQUEST, 1000), CONF_REFUSE,
                      g_error_new_literal(CONF_ERROR, CONF_ERROR_DENIED, "wrong"));
    g_assert_cmpstr(fixture_take_notes(), ==,
                    "owner finished 1 -\nowner finished 0 -\nowner finished 2 wrong\n");
    g_assert_true(conf_plugin_host_is_idle(host));
    tear_down();
}

static void
test_answer_and_challenge(void)
{
    set_up();
    conf_later_answer(take(&REQUEST, 1000), "{\"n\":1}");
    GBytes *state = g_bytes_new_static("state", 6);
    conf_later_challenge(take(&LOGIN, 1000), "Code?", state);
    g_bytes_unref(state);
    g_assert_cmpstr(fixture_take_notes(), ==, "owner answered {\"n\":1}\nowner challenged Code? state\n");
    tear_down();
}

static void
test_misfits(void)
{
    set_up();
    conf_later_answer(take(&LOGIN, 1000), "{}");
    FIXTURE_ASSERT_HAS(fixture_take_notes(), "owner finished 2 plugin plain refused");
    GBytes *state = g_bytes_new_static("state", 6);
    conf_later_challenge(take(&REQUEST, 1000), "Code?", state);
    g_bytes_unref(state);
    FIXTURE_ASSERT_HAS(fixture_take_notes(), "owner finished 2 plugin plain refused");
    conf_later_finish(take(&REQUEST, 1000), CONF_LATER, NULL);
    FIXTURE_ASSERT_HAS(fixture_take_notes(), "owner finished 2 plugin plain refused");
    conf_later_finish(take(&REQUEST, 1000), CONF_DONE,
                      g_error_new_literal(CONF_ERROR, CONF_ERROR_FAILED, "why?"));
    g_assert_cmpstr(fixture_take_notes(), ==, "owner finished 1 -\n");
    tear_down();
}

static void
test_abandon(void)
{
    set_up();
    ConfLater *later = take(&REQUEST, 1000);
    g_assert_false(conf_plugin_host_is_idle(host));
    conf_later_abandon(later);
    g_assert_cmpstr(fixture_take_notes(), ==, "gone\n");
    conf_later_abandon(later);
    conf_later_finish(later, CONF_REFUSE,
                      g_error_new_literal(CONF_ERROR, CONF_ERROR_FAILED, "nobody hears it"));
    g_assert_cmpstr(fixture_take_notes(), ==, "");
    g_assert_true(conf_plugin_host_is_idle(host));
    tear_down();
}

static void
test_timeout(void)
{
    set_up();
    ConfLater *later = take(&REQUEST, 1);
    fixture_wait(&told);
    g_assert_cmpstr(fixture_take_notes(), ==, "owner timed out\ngone\n");
    conf_later_abandon(later);
    conf_later_answer(later, "{}");
    g_assert_cmpstr(fixture_take_notes(), ==, "");
    tear_down();
}

static void
test_twice(void)
{
    set_up();
    ConfLater *later = take(&REQUEST, 1000);
    conf_later_finish(later, CONF_DONE, NULL);
    fixture_take_notes();
    conf_later_finish(later, CONF_REFUSE, g_error_new_literal(CONF_ERROR, CONF_ERROR_FAILED, "again"));
    conf_plugin_enter(plugin);
    conf_later_answer(later, "{}");
    conf_plugin_leave(plugin);
    ConfLater *abandoned = take(&REQUEST, 1000);
    conf_later_abandon(abandoned);
    conf_later_finish(abandoned, CONF_DONE, NULL);
    conf_later_finish(abandoned, CONF_DONE, NULL);
    g_assert_cmpstr(fixture_take_notes(), ==, "gone\n");
    tear_down();
}

static void
test_finish_within_the_hook(void)
{
    set_up();
    conf_plugin_enter(plugin);
    ConfLater *later = conf_later_new(plugin, &REQUEST, "owner", 1000, gone, NULL);
    conf_later_answer(later, "{}");
    conf_later_answer(later, "{}");
    g_assert_cmpstr(fixture_take_notes(), ==, "");
    conf_plugin_leave(plugin);
    fixture_wait(&told);
    g_assert_cmpstr(fixture_take_notes(), ==, "owner answered {}\n");

    /* The connection closes in the same turn. */
    conf_plugin_enter(plugin);
    later = conf_later_new(plugin, &REQUEST, "owner", 1000, gone, NULL);
    conf_later_answer(later, "{}");
    conf_plugin_leave(plugin);
    conf_later_abandon(later);
    fixture_settle();
    g_assert_cmpstr(fixture_take_notes(), ==, "");
    tear_down();
}

static void
test_unload_with_held_ones(void)
{
    set_up();
    ConfLater *held = take(&REQUEST, 100000);
    ConfLater *abandoned = take(&REQUEST, 100000);
    conf_later_abandon(abandoned);
    fixture_take_notes();
    g_assert_nonnull(held);
    conf_plugin_host_free(host);
    g_assert_cmpstr(fixture_take_notes(), ==, "plain stop\nowner timed out\ngone\nplain unload\n");
}

static void
add_tests(void)
{
    g_test_add_func("/plugin/later/finish", test_finish);
    g_test_add_func("/plugin/later/answer-and-challenge", test_answer_and_challenge);
    g_test_add_func("/plugin/later/misfits", test_misfits);
    g_test_add_func("/plugin/later/abandon", test_abandon);
    g_test_add_func("/plugin/later/timeout", test_timeout);
    g_test_add_func("/plugin/later/twice", test_twice);
    g_test_add_func("/plugin/later/within-hook", test_finish_within_the_hook);
    g_test_add_func("/plugin/later/unload", test_unload_with_held_ones);
}

int
main(int argc, char **argv)
{
    return fixture_run(argc, argv, add_tests);
}
