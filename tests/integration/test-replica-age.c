/* test-replica-age.c - maxAge at a proxy that stood still, or whose master did: lines that waited in the
 * socket make no old data fresh, nor does a link that has come back before what was missed is applied. */
#include "fixture.h"

#define INT G_GINT64_FORMAT

/* Of a read with that maxAge: -1 where it was answered, else data.age. */
static int64_t
age_of_refused(TestClient *reader, int max_age)
{
    int64_t id = test_send(reader, "object.count", "{'type':'host','maxAge':%d}", max_age);
    JsonObject *response = test_wait_response(reader, id);
    if (!json_object_has_member(response, "error"))
        return -1;
    JsonObject *error = json_object_get_object_member(response, "error");
    g_assert_cmpint(json_object_get_int_member(error, "code"), ==, -32013);
    return json_object_get_int_member(json_object_get_object_member(error, "data"), "age");
}

static void
wait_fresh(TestClient *reader)
{
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    while (age_of_refused(reader, 1) >= 0) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_usleep(10000);
    }
}

/* The master speaks while the proxy sleeps, and is silent when it wakes up. */
static void
stand_still(TestServer *master, TestServer *proxy, TestClient *reader, int signal_number)
{
    wait_fresh(reader);
    test_server_signal(proxy, SIGSTOP);
    g_usleep(3200000); /* the pause that is told of: three beats */
    test_server_signal(master, signal_number);
    int64_t id = test_send(reader, "object.count", "{'type':'host','maxAge':2}");
    test_server_signal(proxy, SIGCONT);
    JsonObject *response = test_wait_response(reader, id);
    g_assert_true(json_object_has_member(response, "error"));
    for (unsigned i = 0; i < 20; i++) {
        g_assert_cmpint(age_of_refused(reader, 2), >=, 3);
        g_usleep(10000);
    }
    g_assert_cmpint(age_of_refused(reader, 60), ==, -1);
}

static void
test_stopped_proxy(void)
{
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autoptr(TestServer) proxy = test_proxy_new(master, "px", NULL);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    stand_still(master, proxy, reader, SIGSTOP);
    test_server_signal(master, SIGCONT);
    stand_still(master, proxy, reader, SIGKILL);
    test_server_start(master);
    wait_fresh(reader);
}

/* The proxy's own master is a proxy that has lost the primary: what it says is as old as what it knows. */
static void
test_chain(void)
{
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autoptr(TestServer) proxy = test_proxy_new(master, "px", NULL);
    g_autofree char *host = g_strdup_printf("127.0.0.1:%u", test_server_get_port(proxy));
    g_autoptr(TestServer) second = test_proxy_prepare(master, host, "px2", NULL);
    test_server_start(second);
    g_autoptr(TestClient) reader = test_client_new(second);
    wait_fresh(reader);
    test_server_signal(master, SIGSTOP);
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    while (age_of_refused(reader, 1) < 3) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_usleep(10000);
    }
    test_server_signal(master, SIGCONT);
    wait_fresh(reader);
}

/* Behind a link that has come back, what is answered as fresh has all that was missed. */
static void
test_resume(void)
{
    enum { WRITES = 400 };
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autoptr(TestClient) writer = test_client_new(master);
    g_autofree char *filling = g_strnfill(20000, 'x');
    test_call(writer, "object.create", "{'object':{'type':'host','name':'h'}}");
    g_autoptr(TestServer) proxy = test_proxy_new(master, "px", NULL);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    wait_fresh(reader);
    test_server_signal(proxy, SIGSTOP);
    int64_t last = 0, ids[WRITES];
    for (int i = 0; i < WRITES; i++)
        ids[i] = test_send(writer, "object.update",
                           "{'type':'host','name':'h','patch':{'annex':{'a':{'k':'%d%s'}}}}", i, filling);
    for (int i = 0; i < WRITES; i++)
        last = json_object_get_int_member(
            json_object_get_object_member(test_wait_response(writer, ids[i]), "result"), "revision");
    g_usleep(1200000); /* older than one second, whatever the proxy knew */
    test_server_signal(proxy, SIGCONT);
    int64_t until = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
    for (;;) {
        int64_t id = test_send(reader, "object.read", "{'type':'host','name':'h','maxAge':1,'fields':[]}");
        JsonObject *response = test_wait_response(reader, id);
        if (json_object_has_member(response, "result")) {
            JsonObject *result = json_object_get_object_member(response, "result");
            g_assert_cmpint(json_object_get_int_member(result, "revision"), ==, last);
            break;
        }
        g_assert_cmpint(g_get_monotonic_time(), <, until);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/replica-age/stopped-proxy", test_stopped_proxy);
    g_test_add_func("/integration/replica-age/chain", test_chain);
    g_test_add_func("/integration/replica-age/resume", test_resume);
    return g_test_run();
}
