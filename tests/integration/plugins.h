/* plugins.h - what the tests of the plugin API share: servers with the plugins of tests/plugins, and the
 * events that these have noted. */
#pragma once

#include "fixture.h"

#include <string.h>

/* `plugins`: "t-request,t-login"; `more`: further lines of the file, sections too; may be NULL. */
static inline char *
test_plugin_options(const char *plugins, const char *more)
{
    return g_strdup_printf("plugins = %s\nplugin-path = %s\n%s", plugins, TEST_PLUGIN_FOLDER,
                           more != NULL ? more : "");
}

static inline TestServer *
test_primary_with(const char *plugins, const char *more)
{
    g_autofree char *options = test_plugin_options(plugins, more);
    return test_primary_new(options);
}

static inline TestServer *
test_proxy_with(TestServer *master, const char *name, const char *plugins, const char *more)
{
    g_autofree char *options = test_plugin_options(plugins, more);
    g_autofree char *file = g_strdup_printf("[csproxy]\n%s", options);
    return test_proxy_new(master, name, file);
}

/* What the plugin noted since it was asked last, "a; b". */
static inline char *
test_events(TestClient *client, const char *method)
{
    JsonArray *list = json_object_get_array_member(test_call(client, method, "{}"), "events");
    g_autoptr(GString) text = g_string_new(NULL);
    for (unsigned i = 0; i < json_array_get_length(list); i++)
        g_string_append_printf(text, "%s%s", i > 0 ? "; " : "", json_array_get_string_element(list, i));
    return g_strdup(text->str);
}

static inline void
test_assert_events(TestClient *client, const char *method, const char *wanted)
{
    g_autofree char *events = test_events(client, method);
    g_assert_cmpstr(events, ==, wanted);
}

/* Polls with a deadline until the plugin has noted something that holds the text; all of it since the
 * call, "a; b". */
static inline char *
test_wait_event(TestClient *client, const char *method, const char *text)
{
    g_autoptr(GString) all = g_string_new(NULL);
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    while (strstr(all->str, text) == NULL) {
        g_autofree char *events = test_events(client, method);
        if (events[0] != '\0')
            g_string_append_printf(all, "%s%s", all->len > 0 ? "; " : "", events);
        else if (g_get_monotonic_time() > until)
            g_error("%s never said '%s', but: %s", method, text, all->str);
        else
            g_usleep(2000);
    }
    return g_strdup(all->str);
}

/* On the management port: no log-in is needed, and none of the hooks of log-in concern it. */
static inline TestClient *
test_manager_new(TestServer *server)
{
    return test_client_connect(test_server_get_management_port(server));
}

static inline const char *
test_error_message(JsonObject *error)
{
    return json_object_get_string_member(error, "message");
}
