/* radius-server.c - see radius-server.h. */
#include "radius-server.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "child.h"
#include "fixture.h"
#include "radius-packet.h"

struct RadiusServer {
    char *folder, *secret, *program;
    uint16_t port;
    bool signed_;
    TestChild child;
};

/* Its parser wants one item a line. */
static const char CONFIG[] =
    "libdir = /usr/lib/freeradius\nraddbdir = %1$s\nlogdir = %1$s\nrun_dir = %1$s\npidfile = %1$s/pid\n"
    "max_request_time = 10\ncleanup_delay = 2\nmax_requests = 65536\n"
    "log {\n destination = stdout\n auth = yes\n}\n"
    "security {\n reject_delay = 0\n status_server = yes\n}\nproxy_requests = no\n"
    "thread pool {\n start_servers = 2\n max_servers = 4\n min_spare_servers = 1\n max_spare_servers = 4\n}\n"
    "client loopback {\n ipaddr = 127.0.0.1\n secret = '%3$s'\n require_message_authenticator = yes\n}\n"
    "modules {\n pap {\n }\n files {\n  usersfile = %1$s/users\n }\n always handled {\n  rcode = handled\n }\n"
    " always ok {\n  rcode = ok\n }\n always reject {\n  rcode = reject\n }\n}\n"
    "server default {\n listen {\n  type = auth\n  ipaddr = 127.0.0.1\n  port = %2$u\n }\n"
    " authorize {\n  if (&User-Name == \"otp\" && &State) {\n   update control {\n    Auth-Type := OTP2\n   }\n  }\n"
    "  else {\n   files\n   pap\n  }\n }\n"
    "%4$s"
    " authenticate {\n  Auth-Type PAP {\n   pap\n   if (ok && &User-Name == \"otp\") {\n"
    "    update session-state {\n     Tmp-Integer-0 := 123456\n    }\n"
    "    update reply {\n     Reply-Message := \"Enter code\"\n    }\n"
    "    update control {\n     Response-Packet-Type := Access-Challenge\n    }\n    handled\n   }\n  }\n"
    "  Auth-Type OTP2 {\n   if (&User-Password == \"%%{session-state:Tmp-Integer-0}\") {\n    ok\n   }\n"
    "   else {\n    reject\n   }\n  }\n }\n}\n";
static const char SIGNING[] =
    " post-auth {\n  update reply {\n   Message-Authenticator := 0x00\n  }\n"
    "  Post-Auth-Type REJECT {\n   update reply {\n    Message-Authenticator := 0x00\n   }\n  }\n"
    "  Post-Auth-Type Challenge {\n   update reply {\n    Message-Authenticator := 0x00\n   }\n  }\n }\n";
static const char USERS[] =
    "alice Cleartext-Password := \"alicepw\"\n Reply-Message := \"hello\", Class := 0x61646d696e73, Filter-Id := \"web\"\n"
    "alice@corp Cleartext-Password := \"realmpw\"\n"
    "locked Auth-Type := Reject\n Reply-Message := \"Your account is locked\"\n"
    "otp Cleartext-Password := \"otppw\"\n"
    "DEFAULT Auth-Type := Reject\n";

static bool answers(const void *data);

RadiusServer *
radius_server_new(void)
{
    g_autofree char *program = test_child_find("freeradius", "freeradius");
    if (program == NULL)
        return NULL;
    RadiusServer *server = g_new0(RadiusServer, 1);
    server->program = g_steal_pointer(&program);
    server->folder = test_make_folder();
    server->port = test_free_port();
    server->signed_ = true;
    server->secret = g_strdup(RADIUS_TEST_SECRET);
    radius_server_start(server);
    return server;
}

void
radius_server_set(RadiusServer *server, bool signed_, const char *secret)
{
    server->signed_ = signed_;
    g_free(server->secret);
    server->secret = g_strdup(secret);
}

void
radius_server_start(RadiusServer *server)
{
    g_autofree char *config =
        g_strdup_printf(CONFIG, server->folder, server->port, server->secret, server->signed_ ? SIGNING : "");
    test_child_write(server->folder, "radiusd.conf", config);
    test_child_write(server->folder, "users", USERS);
    const char *argv[] = {server->program, "-f", "-d", server->folder, "-n", "radiusd", "-l", "stdout", NULL};
    test_child_start(&server->child, server->folder, argv, answers, server);
}

void
radius_server_signal(RadiusServer *server, int signal_number)
{
    test_child_signal(&server->child, signal_number);
}

uint16_t
radius_server_get_port(const RadiusServer *server)
{
    return server->port;
}

void
radius_server_free(RadiusServer *server)
{
    if (server == NULL)
        return;
    test_child_end(&server->child);
    test_remove_folder(server->folder);
    g_free(server->folder);
    g_free(server->secret);
    g_free(server->program);
    g_free(server);
}

/* A refused question is an answer. */
static bool
answers(const void *data)
{
    const RadiusServer *server = data;
    const RadiusQuestion question = {.user = "nobody", .password = "x", .nas_identifier = "test"};
    const uint8_t authenticator[RADIUS_AUTHENTICATOR_SIZE] = {1, 2, 3};
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(server->port)};
    struct timeval wait = {.tv_usec = 100 * 1000};
    uint8_t answer[RADIUS_SIZE_MAX];
    RadiusRequest request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    g_assert_true(radius_request_build(&request, &question, 1, authenticator, server->secret));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    bool sent = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                send(fd, request.bytes, request.size, 0) > 0;
    bool came = sent && recv(fd, answer, sizeof answer, 0) > 0;
    radius_request_clear(&request);
    close(fd);
    return came;
}
