/* test-history-methods.c - the past as clients see it: asOf, history.list, history.revert, history.sessions, and the export
 * of the audit. */
#include "history-model.h"

#include <string.h>

#define HISTORY "plugins = history\n"

/* What was read live is read again, on a primary and on a proxy that keeps a history of its own. */
static void
test_as_of(void)
{
    g_autoptr(TestServer) server = test_primary_new(HISTORY);
    test_history_model(server, server, 11, 40, 8);
    g_autoptr(TestServer) proxy = test_proxy_new(server, "proxy1", "[csproxy]\n" HISTORY);
    test_history_model(server, proxy, 12, 25, 4);
    /* Another start reads it from the file. */
    g_autoptr(TestClient) before = test_client_new(server);
    int64_t then = test_history_revision(before) - 5;
    g_autofree char *live = test_history_list(before, "", then, 1000);
    test_server_signal(server, SIGKILL);
    test_server_start(server);
    g_autoptr(TestClient) client = test_client_new(server);
    g_autofree char *again = test_history_list(client, "", then, 1000);
    g_assert_cmpstr(live, ==, again);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    test_wait_revision(reader, then + 5);
    g_autofree char *there = test_history_list(reader, "", then, 1000);
    g_assert_cmpstr(live, ==, there);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/history-methods/as-of", test_as_of);
    return g_test_run();
}
