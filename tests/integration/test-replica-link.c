/* test-replica-link.c - the link between a proxy and its master is cut, corrupted, frozen or slow at any
 * place: the proxy ends with the master's data, and its clients see one order of transactions and never a
 * step back. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mirror.h"

#define INT G_GINT64_FORMAT

static int64_t
revision_of(JsonObject *result)
{
    return json_object_get_int_member(result, "revision");
}

static int64_t
put(TestClient *writer, const char *name, unsigned k, const char *filling)
{
    return revision_of(test_call(writer, "object.update",
                                 "{'type':'host','name':'%s','patch':{'annex':{'a':{'k':'%u%s'}}}}", name, k,
                                 filling));
}

static void
assert_same_data(TestClient *at_master, TestClient *at_proxy)
{
    g_autofree char *digest =
        g_strdup(json_object_get_string_member(test_call(at_master, "server.info", "{}"), "digest"));
    g_assert_cmpstr(json_object_get_string_member(test_call(at_proxy, "server.info", "{}"), "digest"), ==,
                    digest);
}

/* ---- a relay in a thread: passes bytes on, and does harm at a given place ---- */
typedef struct {
    int door;
    uint16_t port, master;
    GThread *thread;
    /* Of the bytes that come from the master on the next connections: atomic.  0: no harm. */
    int cut_at, corrupt_at;
    int harmed;  /* so many times */
    int holding; /* takes nothing from the master */
    int stop;
} Relay;

static int
dial(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), small = 65536;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool
send_all(int fd, const char *data, ssize_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, (size_t)size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        size -= sent;
    }
    return true;
}

static void
pass_on(Relay *relay, int from_proxy, int to_master)
{
    char data[16384];
    ssize_t passed = 0;
    struct pollfd fds[2] = {{.fd = from_proxy, .events = POLLIN}, {.fd = to_master, .events = POLLIN}};
    while (!g_atomic_int_get(&relay->stop)) {
        fds[1].fd = g_atomic_int_get(&relay->holding) ? -1 : to_master; /* poll() passes over it */
        fds[1].revents = 0;
        if (poll(fds, 2, 20) <= 0)
            continue;
        for (unsigned i = 0; i < 2; i++) {
            if (fds[i].revents == 0)
                continue;
            ssize_t got = recv(fds[i].fd, data, sizeof data, 0);
            if (got <= 0)
                return;
            ssize_t cut = g_atomic_int_get(&relay->cut_at), corrupt = g_atomic_int_get(&relay->corrupt_at);
            if (i == 1 && corrupt > 0 && passed < corrupt && passed + got >= corrupt) {
                data[corrupt - passed - 1] ^= 1;
                g_atomic_int_inc(&relay->harmed);
            }
            bool cutting = i == 1 && cut > 0 && passed + got >= cut;
            if (cutting)
                got = cut - passed;
            if (!send_all(i == 0 ? to_master : from_proxy, data, MAX(got, 0)))
                return;
            if (cutting) {
                g_atomic_int_inc(&relay->harmed);
                return;
            }
            passed += i == 1 ? got : 0;
        }
    }
}

static void *
run_relay(void *data)
{
    Relay *relay = data;
    while (!g_atomic_int_get(&relay->stop)) {
        struct pollfd door = {.fd = relay->door, .events = POLLIN};
        if (poll(&door, 1, 20) <= 0)
            continue;
        int proxy = accept(relay->door, NULL, NULL), master = dial(relay->master);
        if (proxy >= 0 && master >= 0)
            pass_on(relay, proxy, master);
        if (proxy >= 0)
            close(proxy);
        if (master >= 0)
            close(master);
    }
    return NULL;
}

static Relay *
relay_new(uint16_t master)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    Relay *relay = g_new0(Relay, 1);
    relay->master = master;
    relay->door = socket(AF_INET, SOCK_STREAM, 0);
    g_assert_cmpint(bind(relay->door, (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(listen(relay->door, 4), ==, 0);
    g_assert_cmpint(getsockname(relay->door, (struct sockaddr *)&address, &size), ==, 0);
    relay->port = ntohs(address.sin_port);
    relay->thread = g_thread_new("relay", run_relay, relay);
    return relay;
}

static void
relay_free(Relay *relay)
{
    g_atomic_int_set(&relay->stop, 1);
    g_thread_join(relay->thread);
    close(relay->door);
    g_free(relay);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Relay, relay_free)

static TestServer *
proxy_behind(TestServer *master, Relay *relay, const char *name)
{
    g_autofree char *host = g_strdup_printf("127.0.0.1:%u", relay->port);
    return test_proxy_prepare(master, host, name, NULL);
}

static void
wait_harm(Relay *relay, int times)
{
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    while (g_atomic_int_get(&relay->harmed) < times) {
        g_assert_cmpint(g_get_monotonic_time(), <, until);
        g_usleep(1000);
    }
}

/* ---- tests ---- */
static void
fill(TestClient *writer, unsigned hosts)
{
    g_autofree char *filling = g_strnfill(500, 'f');
    g_autoptr(GString) operations = g_string_new(NULL);
    for (unsigned i = 0; i < hosts; i++)
        g_string_append_printf(
            operations, "%s{'op':'create','object':{'type':'host','name':'h%u','annex':{'a':{'f':'%s'}}}}",
            i > 0 ? "," : "", i, filling);
    test_call(writer, "transaction", "{'operations':[%s]}", operations->str);
}

/* Cut at the n-th byte: within log-in, schema, walk, then within the stream of a resumption. */
static void
test_cut(void)
{
    static const int places[] = {1, 100, 700, 5000, 40000, 300000};
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autoptr(TestClient) writer = test_client_new(master);
    fill(writer, 1000);
    g_autoptr(Relay) relay = relay_new(test_server_get_port(master));
    g_autoptr(TestServer) proxy = proxy_behind(master, relay, "px");
    g_atomic_int_set(&relay->cut_at, places[0]);
    test_server_spawn(proxy);
    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        g_atomic_int_set(&relay->cut_at, places[i]);
        wait_harm(relay, g_atomic_int_get(&relay->harmed) + 1);
    }
    g_atomic_int_set(&relay->cut_at, 0);
    test_server_wait_ready(proxy);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    Mirror *mirror = mirror_new();
    test_call(reader, "subscription.open", "{'initial':true}");
    mirror_follow(mirror, reader);
    int64_t revision = 0;
    for (unsigned i = 0; i < 40; i++) {
        g_atomic_int_set(&relay->cut_at, i < 30 ? (int)(600 + i * 97) : 0);
        revision = put(writer, "h7", i, "");
        if (i % 10 == 0 && i < 30)
            wait_harm(relay, g_atomic_int_get(&relay->harmed) + 1);
    }
    test_wait_revision(reader, revision);
    mirror_follow(mirror, reader);
    mirror_compare(mirror, reader, "after the cuts");
    mirror_compare(mirror, writer, "as the master has it");
    g_assert_cmpint(mirror->revision, ==, revision);
    g_assert_cmpint(test_statistic(reader, "masterSnapshots"), <=, 6);
    g_assert_cmpint(test_statistic(reader, "masterResumes"), >, 0);
    assert_same_data(writer, reader);
    mirror_free(mirror);
}

/* A flipped bit within a value is no error of syntax: the digest tells. */
static void
test_corrupted(void)
{
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autoptr(TestClient) writer = test_client_new(master);
    fill(writer, 200);
    g_autoptr(Relay) relay = relay_new(test_server_get_port(master));
    g_autoptr(TestServer) proxy = proxy_behind(master, relay, "px");
    g_atomic_int_set(&relay->corrupt_at, 60000); /* within the walk */
    test_server_spawn(proxy);
    wait_harm(relay, 1);
    g_atomic_int_set(&relay->corrupt_at, 0);
    test_server_wait_ready(proxy);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    assert_same_data(writer, reader);
    /* Within the stream: the bodies of updates come with their hashes, those of creates are told by the digest. */
    for (int i = 1; i <= 4; i++) {
        int harmed = g_atomic_int_get(&relay->harmed);
        g_autofree char *filling = g_strnfill(2000, 'g');
        /* The link has passed more than this already: a new one begins. */
        g_atomic_int_set(&relay->cut_at, 1);
        int64_t revision = put(writer, "h7", (unsigned)i, filling);
        wait_harm(relay, harmed + 1);
        g_atomic_int_set(&relay->corrupt_at, 900 + i * 311);
        g_atomic_int_set(&relay->cut_at, 0);
        wait_harm(relay, harmed + 2);
        g_atomic_int_set(&relay->corrupt_at, 0);
        test_wait_revision(reader, revision);
        int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
        for (;;) {
            g_autofree char *digest =
                g_strdup(json_object_get_string_member(test_call(writer, "server.info", "{}"), "digest"));
            JsonObject *info = test_call(reader, "server.info", "{}");
            if (strcmp(json_object_get_string_member(info, "digest"), digest) == 0)
                break;
            g_assert_cmpint(g_get_monotonic_time(), <, until);
            g_usleep(5000);
        }
    }
}

/* The master forgets what a proxy has not taken; the proxy loads anew, serves the old until then, and its
 * clients get the differences as one fold. */
static void
test_fold(void)
{
    g_autoptr(TestServer) master = test_primary_new("recent-changes = 1048576");
    g_autoptr(TestClient) writer = test_client_new(master);
    fill(writer, 10);
    g_autoptr(Relay) relay = relay_new(test_server_get_port(master));
    g_autoptr(TestServer) proxy = proxy_behind(master, relay, "px");
    test_server_start(proxy);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    JsonObject *subscribed = test_call(reader, "subscription.open", "{'types':['host']}");
    int64_t known = revision_of(subscribed);
    g_autofree char *filling = g_strnfill(400000, 'x');
    g_atomic_int_set(&relay->holding, 1);
    int64_t revision = 0;
    for (unsigned i = 0; i < 40; i++) /* More than the sockets hold. */
        revision = put(writer, "h3", i, filling);
    revision = revision_of(test_call(writer, "object.delete", "{'type':'host','name':'h4'}"));
    g_atomic_int_set(&relay->holding, 0);
    /* Transactions as far as the stream had gone, in order, and then the fold of the rest. */
    JsonObject *changes;
    int64_t from = 0;
    do {
        changes = test_wait_notification(reader, "changes");
        from = json_object_has_member(changes, "from") ? json_object_get_int_member(changes, "from") : 0;
        g_assert_cmpint(from == 0 ? revision_of(changes) - 1 : from, ==, known);
        known = revision_of(changes);
    } while (from == 0);
    g_assert_cmpstr(json_object_get_string_member(changes, "reason"), ==, "reload");
    g_assert_false(json_object_has_member(changes, "by"));
    g_assert_cmpint(known, ==, revision);
    unsigned count = json_array_get_length(json_object_get_array_member(changes, "changes"));
    while (json_object_has_member(changes, "more")) {
        changes = test_wait_notification(reader, "changes");
        g_assert_cmpint(revision_of(changes), ==, revision);
        count += json_array_get_length(json_object_get_array_member(changes, "changes"));
    }
    g_assert_cmpuint(count, ==, 2); /* h3 and h4, however often they were changed */
    g_assert_cmpint(test_statistic(reader, "masterSnapshots"), ==, 2);
    assert_same_data(writer, reader);
    test_call_error(reader, -32004, "object.read", "{'type':'host','name':'h4'}");
    revision = put(writer, "h3", 99, "");
    g_assert_cmpint(revision_of(test_wait_notification(reader, "changes")), ==, revision);
}

/* Passwords set and set again while the proxy was away, and the primary started anew since: its change
 * records hold no secrets, but the proxy has them, without a load. */
static void
test_missed_passwords(void)
{
    g_autoptr(TestServer) master = test_primary_new(NULL);
    TestClient *writer = test_client_new(master);
    int64_t person = test_person_new(writer, "worker");
    g_autoptr(Relay) relay = relay_new(test_server_get_port(master));
    g_autoptr(TestServer) proxy = proxy_behind(master, relay, "px");
    test_server_start(proxy);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    g_autoptr(TestClient) worker = test_client_new_as(proxy, "worker", "pw", "confctl");
    /* Nothing comes through from now on. */
    g_atomic_int_set(&relay->cut_at, 1);
    wait_harm(relay, 1);
    test_call(writer, "account.setPassword", "{'dbid':%" INT ",'password':'between'}", person);
    int64_t revision =
        revision_of(test_call(writer, "account.setPassword", "{'dbid':%" INT ",'password':'last'}", person));
    test_client_free(writer);
    test_server_signal(master, SIGKILL);
    test_server_start(master);
    g_atomic_int_set(&relay->cut_at, 0);
    test_wait_revision(reader, revision);
    g_assert_cmpstr(json_object_get_string_member(test_wait_notification(worker, "session.ending"), "reason"),
                    ==, "account");
    g_autoptr(TestClient) again = test_client_new_as(proxy, "worker", "last", "confctl");
    writer = test_client_new(master);
    assert_same_data(writer, reader);
    /* A beat has compared the digests. */
    int64_t resumes = test_statistic(reader, "masterResumes");
    revision = revision_of(test_call(writer, "object.create", "{'object':{'type':'host','name':'then'}}"));
    test_wait_revision(reader, revision);
    g_usleep(1500000);
    g_assert_cmpint(test_statistic(reader, "masterSnapshots"), ==, 1);
    g_assert_cmpint(test_statistic(reader, "masterResumes"), ==, resumes);
    test_client_free(writer);
}

/* The first of two addresses answers nobody; the second does. */
static void
test_two_addresses(void)
{
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autofree char *hosts =
        g_strdup_printf("127.0.0.1:%u,127.0.0.1:%u", test_free_port(), test_server_get_port(master));
    g_autoptr(TestServer) proxy = test_proxy_prepare(master, hosts, "px", NULL);
    test_server_start(proxy);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    test_server_signal(master, SIGKILL);
    test_server_start(master);
    g_autoptr(TestClient) writer = test_client_new(master);
    test_wait_revision(
        reader, revision_of(test_call(writer, "object.create", "{'object':{'type':'host','name':'x'}}")));
    g_assert_cmpint(test_statistic(reader, "masterSnapshots"), ==, 1);
}

/* Frozen for a moment at any stage, either of them. */
static void
test_frozen(void)
{
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autoptr(TestClient) writer = test_client_new(master);
    fill(writer, 3000);
    g_autoptr(Relay) relay = relay_new(test_server_get_port(master));
    g_autoptr(TestServer) proxy = proxy_behind(master, relay, "px");
    test_server_spawn(proxy);
    for (unsigned i = 0; i < 10; i++) {
        TestServer *frozen = i % 2 == 0 ? master : proxy;
        g_usleep(20000); /* somewhere within the load */
        test_server_signal(frozen, SIGSTOP);
        g_usleep(50000);
        test_server_signal(frozen, SIGCONT);
        put(writer, "h1", i, "");
    }
    test_server_wait_ready(proxy);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    test_wait_revision(reader, put(writer, "h1", 100, ""));
    assert_same_data(writer, reader);
    g_assert_cmpint(test_statistic(reader, "masterSnapshots"), ==, 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/replica-link/cut", test_cut);
    g_test_add_func("/integration/replica-link/corrupted", test_corrupted);
    g_test_add_func("/integration/replica-link/fold", test_fold);
    g_test_add_func("/integration/replica-link/missed-passwords", test_missed_passwords);
    g_test_add_func("/integration/replica-link/two-addresses", test_two_addresses);
    g_test_add_func("/integration/replica-link/frozen", test_frozen);
    return g_test_run();
}
