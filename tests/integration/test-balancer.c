/* test-balancer.c - a primary behind a real HAProxy, which tells by PROXY headers whose connections it passes
 * on.
 *
 * The balancer comes from 127.0.0.77, clients of the tests from other addresses of loopback. */
#include "child.h"
#include "tls.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define BALANCER "127.0.0.77"
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define HEADER SIGNATURE "\x21\x11\x00\x0c\xc0\x00\x02\x01\x0a\x00\x00\x01\x12\x34\x07\xe4"
#define OPEN "{'user':'%s','password':'%s','application':'confctl'}"
#define OPTIONS "proxy-protocol = true\ntrusted-balancers = " BALANCER "\n"

/* A process that stands still accepts connections all the same, so the check asks something. */
#define QUESTION \
    "  option tcp-check\n" \
    "  tcp-check send {\\\"jsonrpc\\\":\\\"2.0\\\",\\\"id\\\":1,\\\"method\\\":\\\"server.info\\\"}\\n\n" \
    "  tcp-check expect string protocols\n"

typedef struct {
    TestChild child;
    char *folder;
    uint16_t port, port6; /* its own; port6 is 0 where there is no IPv6 */
} Balancer;

/* What the admin socket answers; NULL: nobody listens there. */
static char *
ask_balancer(const Balancer *balancer, const char *command)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_snprintf(address.sun_path, sizeof address.sun_path, "%s/admin", balancer->folder);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        write(fd, command, strlen(command)) != (ssize_t)strlen(command)) {
        close(fd);
        return NULL;
    }
    GString *answer = g_string_new(NULL);
    char part[4096];
    ssize_t got;
    while ((got = read(fd, part, sizeof part)) > 0)
        g_string_append_len(answer, part, got);
    close(fd);
    return g_string_free(answer, FALSE);
}

/* The fourth column of the state of the one server is its number, the sixth says whether it is up. */
static bool
is_up(const void *data)
{
    const Balancer *balancer = data;
    g_autofree char *state = ask_balancer(balancer, "show servers state pool\n");
    g_auto(GStrv) lines = g_strsplit(state != NULL ? state : "", "\n", -1);
    if (g_strv_length(lines) < 3)
        return false;
    g_auto(GStrv) columns = g_strsplit(lines[2], " ", -1);
    return g_strv_length(columns) > 6 && strcmp(columns[5], "2") == 0;
}

static void
wait_up(const Balancer *balancer, bool up)
{
    int64_t deadline = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    while (is_up(balancer) != up) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        g_usleep(10000);
    }
}

/* NULL: there is no HAProxy, the test is skipped (where CI is set, nothing may be missing). */
static Balancer *
balancer_new(uint16_t target, bool passes_tls)
{
    g_autofree char *program = test_child_find("haproxy", "haproxy");
    if (program == NULL)
        return NULL;
    Balancer *balancer = g_new0(Balancer, 1);
    balancer->folder = test_make_folder();
    balancer->port = test_free_port();
    balancer->port6 = test_has_ipv6() ? test_free_port() : 0;
    g_autofree char *bind6 =
        balancer->port6 != 0 ? g_strdup_printf("  bind ::1:%u\n", balancer->port6) : g_strdup("");
    g_autofree char *config = g_strdup_printf(
        "global\n  maxconn 500\n  stats socket %s/admin mode 600 level admin\n"
        "defaults\n  mode tcp\n  timeout connect 2s\n  timeout client 1h\n  timeout server 1h\n  timeout check 1s\n"
        "frontend clients\n  bind 127.0.0.1:%u\n%s  default_backend pool\n"
        "backend pool\n  source " BALANCER "\n%s"
        "  server s1 127.0.0.1:%u send-proxy-v2 check inter 100ms fall 2 rise 2\n",
        balancer->folder, balancer->port, bind6, passes_tls ? "" : QUESTION, target);
    test_child_write(balancer->folder, "haproxy.cfg", config);
    const char *argv[] = {program, "-f", "haproxy.cfg", "-db", "-q", NULL};
    test_child_start(&balancer->child, balancer->folder, argv, is_up, balancer);
    return balancer;
}

static void
balancer_free(Balancer *balancer)
{
    test_child_signal(&balancer->child, SIGTERM);
    test_remove_folder(balancer->folder);
    g_free(balancer->folder);
    g_free(balancer);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Balancer, balancer_free)

static TestClient *
log_in_from(const char *source, uint16_t port)
{
    TestClient *client = test_client_connect_from(source, port);
    test_call(client, "session.open", OPEN, "default", TEST_PASSWORD);
    return client;
}

/* How many sessions come from there, as session.list says. */
static unsigned
sessions_from(TestClient *admin, const char *address)
{
    JsonArray *sessions = json_object_get_array_member(test_call(admin, "session.list", "{}"), "sessions");
    unsigned found = 0;
    for (unsigned i = 0; i < json_array_get_length(sessions); i++) {
        JsonObject *session = json_array_get_object_element(sessions, i);
        found += g_str_has_prefix(json_object_get_string_member(session, "address"), address);
    }
    return found;
}

static void
test_addresses(void)
{
    g_autoptr(TestServer) primary = test_primary_new(OPTIONS);
    g_autoptr(Balancer) balancer = balancer_new(test_server_get_port(primary), false);
    if (balancer == NULL)
        return;
    g_autoptr(TestClient) admin =
        test_client_new(primary); /* past the balancer: no header, and none needed */
    g_autoptr(TestClient) first = log_in_from("127.0.0.5", balancer->port);
    g_autoptr(TestClient) second = log_in_from("127.0.0.6", balancer->port);
    g_assert_cmpuint(sessions_from(admin, "127.0.0.5:"), ==, 1);
    g_assert_cmpuint(sessions_from(admin, "127.0.0.6:"), ==, 1);
    g_assert_cmpuint(sessions_from(admin, "127.0.0.1:"), ==, 1);
    g_assert_cmpuint(sessions_from(admin, BALANCER), ==, 0);
    if (balancer->port6 == 0)
        return;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_port = htons(balancer->port6), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    static const char open[] =
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session.open\",\"params\":{\"user\":\"default\","
        "\"password\":\"" TEST_PASSWORD "\",\"application\":\"confctl\"}}\n";
    char answer[4096];
    g_assert_cmpint(write(fd, open, sizeof open - 1), ==, sizeof open - 1);
    g_assert_cmpint(read(fd, answer, sizeof answer), >, 0);
    g_assert_cmpuint(sessions_from(admin, "[::1]:"), ==, 1);
    close(fd);
}

/* 50 wrong log-ins of one account from one address: whoever comes from elsewhere, by the same balancer,
 * notices nothing; who guesses must wait, and is told the same whatever he sends. */
static void
test_guessing(void)
{
    g_autoptr(TestServer) primary = test_primary_new(OPTIONS);
    g_autoptr(Balancer) balancer = balancer_new(test_server_get_port(primary), false);
    if (balancer == NULL)
        return;
    TestClient *guessers[50];
    int64_t ids[G_N_ELEMENTS(guessers)];
    for (unsigned i = 0; i < G_N_ELEMENTS(guessers); i++) {
        guessers[i] = test_client_connect_from("127.0.0.66", balancer->port);
        ids[i] = test_send(guessers[i], "session.open", OPEN, "default", "wrong");
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(guessers); i++) {
        JsonObject *error = json_object_get_object_member(test_wait_response(guessers[i], ids[i]), "error");
        g_assert_cmpint(json_object_get_int_member(error, "code"), ==, -32001);
        test_client_free(guessers[i]);
    }
    int64_t before = g_get_monotonic_time();
    g_autoptr(TestClient) same_account = log_in_from("127.0.0.5", balancer->port);
    int64_t other_usec = g_get_monotonic_time() - before;
    g_autoptr(TestClient) guesser = test_client_connect_from("127.0.0.66", balancer->port);
    before = g_get_monotonic_time();
    test_call_error(guesser, -32001, "session.open", OPEN, "default", TEST_PASSWORD);
    int64_t guesser_usec = g_get_monotonic_time() - before;
    g_test_message("a log-in from elsewhere took %d ms, one of the guesser's address %d ms",
                   (int)(other_usec / 1000), (int)(guesser_usec / 1000));
    g_assert_cmpint(other_usec, <, guesser_usec);
    g_autofree char *log = test_server_read_log(primary);
    g_assert_nonnull(strstr(log, "address=127.0.0.66"));
}

/* The checks of the balancer are its own connections (LOCAL); a server that does not answer is left out. */
static void
test_health_checks(void)
{
    g_autoptr(TestServer) primary = test_primary_new(OPTIONS);
    g_autoptr(Balancer) balancer = balancer_new(test_server_get_port(primary), false);
    if (balancer == NULL)
        return;
    g_autoptr(TestClient) admin = test_client_new(primary);
    g_assert_cmpuint(sessions_from(admin, "1"), ==, 1);
    test_server_signal(primary, SIGSTOP);
    wait_up(balancer, false);
    test_server_signal(primary, SIGCONT);
    wait_up(balancer, true);
    g_autoptr(TestClient) client = log_in_from("127.0.0.5", balancer->port);
    g_assert_cmpuint(sessions_from(admin, "127.0.0.5:"), ==, 1);
}

static void
test_who_may_send_a_header(void)
{
    g_autoptr(TestServer) primary = test_primary_new(OPTIONS);
    uint16_t port = test_server_get_port(primary), own = test_free_port();
    g_autoptr(TestClient) admin = test_client_new(primary);

    g_autoptr(TestClient) stranger = test_client_connect(port);
    test_client_write(stranger, HEADER, sizeof HEADER - 1);
    test_client_wait_closed(stranger);
    test_server_wait_log(primary, "no trusted balancer");

    g_autoptr(TestClient) silent = test_client_connect_from(BALANCER, port);
    test_client_write(silent, "{}\n", 3);
    test_client_wait_closed(silent);

    g_autoptr(TestClient) trusted = test_client_connect_from(BALANCER, port);
    test_client_write(trusted, HEADER, sizeof HEADER - 1);
    test_call(trusted, "session.open", OPEN, "default", TEST_PASSWORD);
    g_assert_cmpuint(sessions_from(admin, "192.0.2.1:4660"), ==, 1);

    /* Another port, with another balancer; who is trusted elsewhere is not trusted here. */
    test_call(admin, "object.update",
              "{'type':'application','name':'confserv','add':{'ports':[{'id':'own','port':%u,"
              "'transport':'trusted-balancers=127.0.0.88,10.0.0.0/8'}]}}",
              own);
    test_server_wait_log(primary, "id=own");
    g_autoptr(TestClient) other = test_client_connect_from("127.0.0.88", own);
    test_client_write(other, HEADER, sizeof HEADER - 1);
    test_call(other, "session.open", OPEN, "default", TEST_PASSWORD);
    g_assert_cmpuint(sessions_from(admin, "192.0.2.1:4660"), ==, 2);
    g_autoptr(TestClient) elsewhere = test_client_connect_from(BALANCER, own);
    test_client_write(elsewhere, HEADER, sizeof HEADER - 1);
    test_client_wait_closed(elsewhere);

    /* Whose address the balancer does not know is not on this machine because the balancer is; its own checks are. */
    test_call(admin, "object.update",
              "{'type':'application','name':'confserv','add':{'ports':[{'id':'own','port':%u,"
              "'transport':'trusted-balancers=" BALANCER ";plain-login=loopback'}]}}",
              own);
    g_autoptr(TestClient) unknown = test_client_connect_from(BALANCER, own);
    test_client_write(unknown, SIGNATURE "\x21\x00\x00\x00", 16);
    test_call_error(unknown, -32018, "session.open", OPEN, "default", TEST_PASSWORD);
    g_autoptr(TestClient) check = test_client_connect_from(BALANCER, own);
    test_client_write(check, SIGNATURE "\x20\x00\x00\x00", 16);
    test_call(check, "session.open", OPEN, "default", TEST_PASSWORD);

    /* A list that cannot be read trusts nobody, and that is told. */
    test_call(admin, "object.update",
              "{'type':'application','name':'confserv','add':{'ports':[{'id':'own','port':%u,"
              "'transport':'trusted-balancers=nobody'}]}}",
              own);
    JsonObject *info = test_call(admin, "server.info", "{}");
    JsonArray *refused = json_object_get_array_member(info, "refusedOptions");
    g_assert_cmpuint(json_array_get_length(refused), ==, 1);
    g_assert_nonnull(strstr(json_array_get_string_element(refused, 0), "ports/own: trusted-balancers"));
    test_sync(other);
}

/* The header comes before TLS, which the balancer passes through. */
static void
test_tls(void)
{
    g_autoptr(TestPki) pki = test_pki_new();
    TestTlsOptions options = {.ca = test_pki_path(pki, "ca.pem")};
    g_autoptr(TestServer) primary =
        test_tls_primary(pki, "listening-mode = secured\nplain-login = refuse\n" OPTIONS, NULL);
    g_autoptr(Balancer) balancer = balancer_new(test_server_get_port(primary), true);
    if (balancer == NULL)
        return;
    g_autoptr(TestTunnel) tunnel = test_tunnel_new(balancer->port, &options);
    g_autoptr(TestClient) client = test_client_connect(test_tunnel_get_port(tunnel));
    test_call(client, "session.open", OPEN, "default", TEST_PASSWORD);
    g_assert_cmpuint(sessions_from(client, "127.0.0.1:"), ==, 1);
    g_assert_cmpuint(sessions_from(client, BALANCER), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/integration/balancer/addresses", test_addresses);
    g_test_add_func("/integration/balancer/guessing", test_guessing);
    g_test_add_func("/integration/balancer/health-checks", test_health_checks);
    g_test_add_func("/integration/balancer/who-may-send-a-header", test_who_may_send_a_header);
    g_test_add_func("/integration/balancer/tls", test_tls);
    return g_test_run();
}
