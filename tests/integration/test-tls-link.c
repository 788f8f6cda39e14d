/* test-tls-link.c - plugin tls on the link to the master: what a proxy believes, what it never sends, and
 * log-in by certificate. */
#include "tls.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A proxy's own file: its section, then [tls]. */
static void
write_proxy_file(TestServer *proxy, const char *text)
{
    g_autofree char *whole = g_strdup_printf("[log]\nverbose = all\nall = stderr\n[csproxy]\n%s", text);
    g_autofree char *path = g_build_filename(test_server_get_folder(proxy), "proxy.conf", NULL);
    g_autoptr(GError) error = NULL;
    g_file_set_contents(path, whole, -1, &error);
    g_assert_no_error(error);
}

/* A master with an unsecured port and a secured one; its proxies dial the latter. */
typedef struct {
    TestPki *pki;
    TestServer *master;
    TestClient *admin;
    uint16_t secured;
} World;

static void
world_begin(World *world, const char *members, const char *more)
{
    world->pki = test_pki_new();
    world->master = test_tls_primary(world->pki, NULL, more);
    world->admin = test_client_new(world->master);
    world->secured = test_tls_add_port(world->master, world->admin, "secured", members);
}

static void
world_end(World *world)
{
    test_client_free(world->admin);
    test_server_free(world->master);
    test_pki_free(world->pki);
}

static void
set_target(TestServer *proxy, const char *name, uint16_t port)
{
    g_autofree char *arguments = g_strdup_printf(
        "-c proxy.conf -host 127.0.0.1 -port %u -app %s -user default -password-file password", port, name);
    test_server_replace_arguments(proxy, arguments);
}

static TestServer *
new_proxy(World *world, const char *name, const char *file)
{
    TestServer *proxy = test_proxy_new(world->master, name, NULL);
    test_server_signal(proxy, SIGTERM);
    set_target(proxy, name, world->secured);
    write_proxy_file(proxy, file);
    return proxy;
}

/* Since its last start. */
static void
wait_complaint(TestServer *proxy, const char *text)
{
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    for (;;) {
        g_autofree char *log = test_server_read_log(proxy);
        const char *last = g_strrstr(log, "confserv-start");
        if (last != NULL && strstr(last, text) != NULL)
            return;
        if (g_get_monotonic_time() > until)
            g_error("the proxy never said '%s', but: %s", text, last != NULL ? last : log);
        g_usleep(5000);
    }
}

static void
test_verified(void)
{
    World world;
    world_begin(&world, "'listening':'secured'", NULL);
    static const struct {
        const char *certificate, *ca, *more, *complaint;
    } cases[] = {
        {"server", "ca", "", NULL},
        {"server", "other-ca", "", "issuer is unknown"},
        {"expired", "ca", "", "expired"},
        {"wrong-name", "ca", "", "does not match"},
        {"wrong-name", "ca", "tls-target-name-check = no\n", NULL},
        {"stranger", "ca", "", "issuer is unknown"},
        {"client", "ca", "tls-target-name-check = no\n", "purpose"},
        {"server", NULL, "", "needs option trusted-ca"},
    };
    g_autoptr(TestServer) proxy = new_proxy(&world, "p1", "\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *f = test_pki_get_folder(world.pki);
        g_test_message("%s by %s", cases[i].certificate, cases[i].ca);
        test_call(world.admin, "object.update",
                  "{'type':'application','name':'confserv','add':{'ports':[{'id':'secured','port':%u,"
                  "'listening':'secured','transport':'certificate=%s/%s.pem;certificate-key=%s/%s.key'}]}}",
                  world.secured, f, cases[i].certificate, f, cases[i].certificate);
        g_autofree char *trust =
            cases[i].ca != NULL ? g_strdup_printf("trusted-ca = %s/%s.pem\n", f, cases[i].ca) : g_strdup("");
        g_autofree char *file = g_strdup_printf("plugins = tls\n[tls]\ntls = 1\n%s%s", trust, cases[i].more);
        write_proxy_file(proxy, file);
        if (cases[i].complaint == NULL) {
            test_server_start(proxy);
            g_autoptr(TestClient) reader = test_client_new(proxy);
            test_call(reader, "object.count", "{'type':'host'}");
            test_server_signal(proxy, SIGTERM);
        } else {
            test_server_spawn(proxy);
            wait_complaint(proxy, cases[i].complaint);
            if (test_server_is_running(proxy))
                test_server_signal(proxy, SIGTERM);
        }
    }
    world_end(&world);
}

/* ---- what a proxy says to whom ---- */
typedef struct {
    int listener;
    uint16_t port;
    const char *answer; /* to whatever comes first */
    GByteArray *captured;
    unsigned connections;
} Trap;

static void
trap_begin(Trap *trap, const char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    trap->answer = answer;
    trap->captured = g_byte_array_new();
    trap->connections = 0;
    trap->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(trap->listener, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(trap->listener, 8), ==, 0);
    g_assert_cmpint(getsockname(trap->listener, (struct sockaddr *)&address, &size), ==, 0);
    trap->port = ntohs(address.sin_port);
}

/* Takes so many connections, one after the other, and every byte of each until the proxy gives it up. */
static void
trap_run(Trap *trap, unsigned count)
{
    int64_t until = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    for (; count > 0; count--) {
        struct pollfd waiting = {.fd = trap->listener, .events = POLLIN};
        g_assert_cmpint(poll(&waiting, 1, 30000), ==, 1);
        int fd = accept(trap->listener, NULL, NULL);
        bool answered = false;
        ssize_t size;
        char buffer[4096];
        while ((size = recv(fd, buffer, sizeof buffer, 0)) > 0) {
            g_byte_array_append(trap->captured, (uint8_t *)buffer, (unsigned)size);
            g_assert_cmpint(g_get_monotonic_time(), <, until);
            if (!answered && trap->answer[0] == '\0')
                break;
            if (!answered)
                g_assert_cmpint(send(fd, trap->answer, strlen(trap->answer), MSG_NOSIGNAL), >, 0);
            answered = true;
        }
        close(fd);
        trap->connections++;
    }
}

static void
trap_end(Trap *trap)
{
    close(trap->listener);
    g_byte_array_unref(trap->captured);
}

static bool
has_captured(const Trap *trap, const char *text)
{
    return memmem(trap->captured->data, trap->captured->len, text, strlen(text)) != NULL;
}

/* Whatever stands at the master's address, a proxy that was told to use TLS says nothing there but TLS,
 * however often it tries; without the plugin it says nothing at all. */
static void
test_no_fall_back(void)
{
    World world;
    world_begin(&world, "'listening':'secured'", NULL);
    static const char answer[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32018,\"message\":\"plain, please\"}}\n";
    static const char alert[] = "\x15\x03\x03\x7f\x02\x02\x28";
    const char *const answers[] = {answer, "", alert, "HTTP/1.1 400 Bad Request\r\n\r\n"};
    g_autofree char *secure = g_strdup_printf("plugins = tls\n[tls]\ntls = 1\ntrusted-ca = %s\n",
                                              test_pki_path(world.pki, "ca.pem"));
    g_autoptr(TestServer) proxy = new_proxy(&world, "p1", secure);
    for (unsigned i = 0; i < G_N_ELEMENTS(answers); i++) {
        Trap trap;
        trap_begin(&trap, answers[i]);
        set_target(proxy, "p1", trap.port);
        test_server_spawn(proxy);
        trap_run(&trap, 3);
        test_server_signal(proxy, SIGTERM);
        g_assert_cmpuint(trap.captured->len, >, 100);
        g_assert_cmpuint(trap.captured->data[0], ==, 0x16);
        g_assert_false(has_captured(&trap, "session"));
        g_assert_false(has_captured(&trap, "password"));
        g_assert_false(has_captured(&trap, TEST_PASSWORD));
        g_assert_false(has_captured(&trap, "jsonrpc"));
        trap_end(&trap);
    }
    /* Told by its file, but without the plugin: no byte leaves. */
    Trap trap;
    trap_begin(&trap, answer);
    set_target(proxy, "p1", trap.port);
    write_proxy_file(proxy, strstr(secure, "[tls]"));
    test_server_spawn(proxy);
    trap_run(&trap, 2);
    test_server_wait_log(proxy, "needs a plugin that secures connections");
    test_server_signal(proxy, SIGTERM);
    g_assert_cmpuint(trap.captured->len, ==, 0);
    trap_end(&trap);
    world_end(&world);
}

/* The link of a proxy through mutual TLS: it follows, loses the master, and comes back. */
static void
test_mutual_link(void)
{
    World world;
    world_begin(&world, "'listening':'secured','mutual':true", NULL);
    const char *f = test_pki_get_folder(world.pki);
    g_autofree char *file = g_strdup_printf(
        "plugins = tls\nlistening-mode = auto-detect\n[tls]\ntls = 1\ntrusted-ca = %s/ca.pem\n"
        "certificate = %s/client.pem\ncertificate-key = %s/client.key\n",
        f, f, f);
    g_autoptr(TestServer) proxy = new_proxy(&world, "p1", file);
    g_autofree char *large = g_strnfill(200 * 1000, 'z');
    for (unsigned i = 0; i < 20; i++)
        test_call(world.admin, "object.create",
                  "{'object':{'type':'host','name':'h%u','annex':{'a':{'b':'%s'}}}}", i, large);
    test_server_start(proxy);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    test_call(reader, "subscription.open", "{'types':['host']}");
    for (unsigned i = 0; i < 20; i++)
        test_call(world.admin, "object.update",
                  "{'type':'host','name':'h%u','patch':{'annex':{'a':{'b':'%u%s'}}}}", i, i, large);
    for (unsigned i = 0; i < 20; i++)
        test_wait_notification(reader, "changes");
    test_server_signal(world.master, SIGKILL);
    test_call(reader, "object.read", "{'type':'host','name':'h1'}");
    test_server_start(world.master);
    g_autoptr(TestClient) again = test_client_new(world.master);
    int64_t revision = json_object_get_int_member(
        test_call(again, "object.create", "{'object':{'type':'host','name':'after'}}"), "revision");
    test_wait_revision(reader, revision);
    world_end(&world);
}

/* Told nothing of tls, a proxy looks at the port that it dials, once it knows its master's application
 * object. */
static void
test_target_port(void)
{
    World world;
    world_begin(&world, "'listening':'auto-detect'", NULL);
    g_autofree char *file =
        g_strdup_printf("plugins = tls\n[tls]\ntrusted-ca = %s\n", test_pki_path(world.pki, "ca.pem"));
    g_autoptr(TestServer) proxy = new_proxy(&world, "p1", file);
    test_server_start(proxy);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    g_assert_cmpint(test_statistic(world.admin, "tls.handshakes"), ==, 0);
    JsonObject *found = test_call(world.admin, "object.read", "{'type':'application','name':'confserv'}");
    int64_t dbid = json_object_get_int_member(json_object_get_object_member(found, "object"), "dbid");
    test_call(world.admin, "object.update",
              "{'type':'application','name':'p1','patch':{'connections':[{'server':%" G_GINT64_FORMAT
              ",'portId':'secured'}]}}",
              dbid);
    found = test_call(world.admin, "object.update",
                      "{'type':'application','name':'confserv','add':{'ports':[{'id':'secured','port':%u,"
                      "'listening':'secured'}]}}",
                      world.secured);
    test_wait_revision(reader, json_object_get_int_member(found, "revision"));
    test_server_signal(world.master, SIGKILL);
    test_server_start(world.master);
    g_autoptr(TestClient) again = test_client_new(world.master);
    found = test_call(again, "object.create", "{'object':{'type':'host','name':'after'}}");
    test_wait_revision(reader, json_object_get_int_member(found, "revision"));
    g_assert_cmpint(test_statistic(again, "tls.handshakes"), ==, 1);
    world_end(&world);
}

static void
create_account(World *world, const char *application)
{
    JsonObject *made =
        test_call(world->admin, "object.create", "{'object':{'type':'person','name':'of-%s'}}", application);
    int64_t person = json_object_get_int_member(made, "dbid");
    test_call(
        world->admin, "permission.update",
        "{'type':'application','name':'%s','grant':[{'account':{'type':'person','dbid':%" G_GINT64_FORMAT
        "},'rights':['read','execute']}]}",
        application, person);
    test_call(world->admin, "object.update",
              "{'type':'application','name':'%s','patch':{'account':{'type':'person','dbid':%" G_GINT64_FORMAT
              "}}}",
              application, person);
}

/* An application is who its certificate says, by name or as its object maps it, and acts with the rights
 * of its account. */
static void
test_login(void)
{
    World world;
    world_begin(&world, "'listening':'secured','mutual':true", NULL);
    const char *f = test_pki_get_folder(world.pki);
    uint16_t plain_port = test_tls_add_port(world.master, world.admin, "tls", "'listening':'secured'");
    static const char *const applications[] = {"collector", "mapped", "nobodys"};
    for (unsigned i = 0; i < 3; i++)
        test_call(world.admin, "object.create",
                  "{'object':{'type':'application','name':'%s','applicationType':'genericServer'}}",
                  applications[i]);
    create_account(&world, "collector");
    create_account(&world, "mapped");
    test_call(world.admin, "object.update",
              "{'type':'application','name':'mapped','patch':{'options':{'tls':{'certificate-names':"
              "'CN=other; spare.example.test'}}}}");
    test_pki_make(world.pki, "cn", &(TestCertificate){.common_name = "collector", .client = true});
    test_pki_make(world.pki, "san",
                  &(TestCertificate){.common_name = "x", .dns_names = "collector", .client = true});
    test_pki_make(world.pki, "bare",
                  &(TestCertificate){.common_name = "", .dns_names = "collector", .client = true});
    test_pki_make(world.pki, "spare", &(TestCertificate){.dns_names = "spare.example.test", .client = true});
    test_pki_make(world.pki, "other", &(TestCertificate){.client = true});
    test_pki_make(world.pki, "nobodys", &(TestCertificate){.client = true});
    static const struct {
        const char *file, *application;
        int code;
    } cases[] = {
        {"cn", "collector", 0},    {"san", "collector", 0},
        {"spare", "mapped", 0},    {"other", "mapped", 0},
        {"bare", "collector", 0},  {"bare", "mapped", -32001},
        {"cn", "mapped", -32001},  {"client", "collector", -32001},
        {"cn", "missing", -32001}, {"nobodys", "nobodys", -32001} /* has no account */,
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *certificate = g_strdup_printf("%s/%s.pem", f, cases[i].file),
                        *key = g_strdup_printf("%s/%s.key", f, cases[i].file);
        TestTlsOptions options = {
            .ca = test_pki_path(world.pki, "ca.pem"), .certificate = certificate, .key = key};
        g_autoptr(TestTunnel) tunnel = test_tunnel_new(world.secured, &options);
        g_autoptr(TestClient) client = test_client_connect(test_tunnel_get_port(tunnel));
        g_test_message("%s as %s", cases[i].file, cases[i].application);
        if (cases[i].code != 0) {
            test_call_error(client, cases[i].code, "session.open",
                            "{'mechanism':'certificate','application':'%s'}", cases[i].application);
            continue;
        }
        JsonObject *result =
            test_call(client, "session.open", "{'mechanism':'certificate','application':'%s','replace':true}",
                      cases[i].application);
        JsonObject *account = json_object_get_object_member(result, "account");
        g_autofree char *name = g_strconcat("of-", cases[i].application, NULL);
        g_assert_cmpstr(json_object_get_string_member(account, "name"), ==, name);
        /* Its account may not create. */
        test_call_error(client, -32005, "object.create", "{'object':{'type':'host','name':'h'}}");
    }
    TestTlsOptions options = {.ca = test_pki_path(world.pki, "ca.pem"),
                              .certificate = test_pki_path(world.pki, "cn.pem"),
                              .key = test_pki_path(world.pki, "cn.key")};
    g_autoptr(TestTunnel) with_user = test_tunnel_new(world.secured, &options);
    g_autoptr(TestClient) user = test_client_connect(test_tunnel_get_port(with_user));
    test_call_error(user, -32602, "session.open",
                    "{'user':'default','mechanism':'certificate','application':'collector'}");
    /* Where no certificate is asked for, or none is proved, there is none. */
    g_autoptr(TestTunnel) not_asked = test_tunnel_new(plain_port, &options);
    g_autoptr(TestClient) unproved = test_client_connect(test_tunnel_get_port(not_asked));
    test_call_error(unproved, -32001, "session.open",
                    "{'mechanism':'certificate','application':'collector'}");
    g_autoptr(TestClient) plain = test_client_connect(test_server_get_port(world.master));
    test_call_error(plain, -32001, "session.open", "{'mechanism':'certificate','application':'collector'}");
    /* Whoever must pause is refused as a wrong password is, not as if there were no such log-in. */
    for (unsigned i = 0; i < 6; i++)
        test_call_error(user, -32001, "session.open", "{'application':'collector','secret':'wrong'}");
    test_call_error(user, -32001, "session.open", "{'mechanism':'certificate','application':'collector'}");
    world_end(&world);
}

/* A proxy without any password. */
static void
test_proxy_by_certificate(void)
{
    World world;
    world_begin(&world, "'listening':'secured','mutual':true", NULL);
    const char *f = test_pki_get_folder(world.pki);
    test_pki_make(world.pki, "p1", &(TestCertificate){.client = true});
    g_autofree char *file = g_strdup_printf("plugins = tls\n[tls]\ntls = 1\ntrusted-ca = %s/ca.pem\n"
                                            "certificate = %s/p1.pem\ncertificate-key = %s/p1.key\n",
                                            f, f, f);
    g_autoptr(TestServer) proxy = new_proxy(&world, "p1", file);
    int64_t group = 0;
    JsonObject *found =
        test_call(world.admin, "object.read", "{'type':'accessGroup','name':'Super Administrators'}");
    group = json_object_get_int_member(json_object_get_object_member(found, "object"), "dbid");
    test_call(
        world.admin, "object.update",
        "{'type':'application','name':'p1','patch':{'account':{'type':'accessGroup','dbid':%" G_GINT64_FORMAT
        "}}}",
        group);
    g_autofree char *secured =
        g_strdup_printf("-c proxy.conf -host localhost -port %u -app p1", world.secured);
    test_server_replace_arguments(proxy, secured);
    test_server_start(proxy);
    g_autoptr(TestClient) reader = test_client_new(proxy);
    test_call(reader, "object.count", "{'type':'host'}");
    /* Without TLS there is nothing to log in with, and that is said. */
    test_server_signal(proxy, SIGTERM);
    write_proxy_file(proxy, "plugins = tls\n");
    g_autofree char *plain =
        g_strdup_printf("-c proxy.conf -host localhost -port %u -app p1", test_server_get_port(world.master));
    test_server_replace_arguments(proxy, plain);
    test_server_spawn(proxy);
    g_assert_cmpint(test_server_wait_exit(proxy), ==, 1);
    test_server_wait_log(proxy, "No password is given");
    world_end(&world);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/tls-link/verified", test_verified);
    g_test_add_func("/integration/tls-link/no-fall-back", test_no_fall_back);
    g_test_add_func("/integration/tls-link/mutual", test_mutual_link);
    g_test_add_func("/integration/tls-link/target-port", test_target_port);
    g_test_add_func("/integration/tls-link/login", test_login);
    g_test_add_func("/integration/tls-link/proxy-by-certificate", test_proxy_by_certificate);
    return g_test_run();
}
