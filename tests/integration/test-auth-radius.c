/* test-auth-radius.c - log-ins with the passwords of a real FreeRADIUS: every answer, every silence, on a
 * primary and on a proxy whose primary is dead. */
#include "fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "radius-packet.h"
#include "radius-server.h"

#define INT G_GINT64_FORMAT

/* Lines of the own section, then the sections of the plugin. `servers`: "127.0.0.1:1,127.0.0.1:2".  What
 * `more` does not say: one question a server, for 1 s. */
static char *
options_of(const char *own, const char *servers, const char *more)
{
    return g_strdup_printf(
        "plugins = auth-radius\n%s\n[authentication]\nlibrary = gauth_radius\n[gauth_radius]\nservers = %s\n"
        "secret = " RADIUS_TEST_SECRET "\n%s%s%s\n",
        own, servers, strstr(more, "timeout") != NULL ? "" : "timeout = 1\n",
        strstr(more, "retries") != NULL ? "" : "retries = 0\n", more);
}

static char *
server_text(const RadiusServer *radius)
{
    return g_strdup_printf("127.0.0.1:%u", radius_server_get_port(radius));
}

static TestServer *
primary_new(const char *own, const char *servers, const char *more)
{
    g_autofree char *options = options_of(own, servers, more);
    return test_primary_new(options);
}

static TestServer *
primary_of(const RadiusServer *radius, const char *own, const char *more)
{
    g_autofree char *servers = server_text(radius);
    return primary_new(own, servers, more);
}

/* A person with the right to use confctl, known to RADIUS unless external is NULL. */
static int64_t
add_person(TestClient *admin, const char *name, const char *external)
{
    g_autofree char *id = external != NULL ? g_strdup_printf(",'externalId':'%s'", external) : g_strdup("");
    int64_t dbid = json_object_get_int_member(
        test_call(admin, "object.create", "{'object':{'type':'person','name':'%s'%s}}", name, id), "dbid");
    test_call(admin, "permission.update",
              "{'type':'application','name':'confctl','grant':[{'account':{'type':'person','dbid':%" INT
              "},'rights':['read','execute']}]}",
              dbid);
    return dbid;
}

static int64_t
send_login(TestClient *client, const char *user, const char *password)
{
    return test_send(client, "session.open", "{'user':'%s','password':'%s','application':'confctl'}", user,
                     password);
}

/* The code of the answer, 0 for a session. *text (may be NULL): data.text, borrowed. */
static int64_t
wait_login(TestClient *client, int64_t id, const char **text)
{
    JsonObject *response = test_wait_response(client, id);
    if (text != NULL)
        *text = NULL;
    if (!json_object_has_member(response, "error"))
        return 0;
    JsonObject *error = json_object_get_object_member(response, "error");
    JsonObject *data =
        json_object_has_member(error, "data") ? json_object_get_object_member(error, "data") : NULL;
    if (text != NULL && data != NULL && json_object_has_member(data, "text"))
        *text = json_object_get_string_member(data, "text");
    return json_object_get_int_member(error, "code");
}

static int64_t
login_code(TestServer *server, const char *user, const char *password)
{
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    return wait_login(client, send_login(client, user, password), NULL);
}

static void
test_answers(void)
{
    g_autoptr(RadiusServer) radius = radius_server_new();
    if (radius == NULL)
        return;
    g_autoptr(TestServer) server = primary_of(radius, "login-attempts = 100", "");
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t alice = add_person(admin, "alice", "alice");
    add_person(admin, "locked", "x");
    add_person(admin, "stranger", "x");
    int64_t clerk = add_person(admin, "clerk", NULL);
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'internal'}", alice);
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'internal'}", clerk);

    g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, 0);
    g_assert_cmpint(login_code(server, "alice", "wrong"), ==, -32001);
    g_assert_cmpint(login_code(server, "alice", "internal"), ==, -32001); /* no is no */
    g_assert_cmpint(login_code(server, "stranger", "x"), ==, -32001);
    const char *text = NULL;
    g_autoptr(TestClient) told = test_client_connect(test_server_get_port(server));
    g_assert_cmpint(wait_login(told, send_login(told, "locked", "x"), &text), ==, -32001);
    g_assert_cmpstr(text, ==, "Your account is locked");
    g_assert_cmpint(test_statistic(admin, "auth-radius.accepted"), ==, 1);
    g_assert_cmpint(test_statistic(admin, "auth-radius.rejected"), ==, 4);

    /* Nothing of these reaches the server: not its people, an empty password, one that no packet holds. */
    int64_t questions = test_statistic(admin, "auth-radius.questions");
    g_assert_cmpint(login_code(server, "clerk", "internal"), ==, 0);
    g_assert_cmpint(login_code(server, "clerk", "wrong"), ==, -32001);
    g_assert_cmpint(login_code(server, "unknown", "x"), ==, -32001);
    g_assert_cmpint(login_code(server, "alice", ""), ==, -32001);
    g_assert_cmpint(test_statistic(admin, "auth-radius.questions"), ==, questions);
    g_autofree char *longest = g_strnfill(129, 'p');
    g_assert_cmpint(login_code(server, "alice", longest), ==, -32001);
    g_assert_cmpint(test_statistic(admin, "auth-radius.waiting"), ==, 0);

    /* The person's word goes before the tenant's, and that before the server's. */
    static const char LIBRARY[] =
        "{'type':'%s','dbid':%" INT ",'patch':{'annex':{'authentication':{'%s':'%s'}}}}";
    test_call(admin, "object.update", LIBRARY, "tenant", (int64_t)1, "library", "internal");
    g_assert_cmpint(login_code(server, "alice", "internal"), ==, 0);
    test_call(admin, "object.update", LIBRARY, "person", alice, "library", "gauth_ldap, gauth_radius");
    g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, 0);
    g_assert_cmpint(login_code(server, "alice", "internal"), ==, -32001);
    test_call(admin, "object.update", LIBRARY, "tenant", (int64_t)1, "enforce-internal-auth", "true");
    g_assert_cmpint(login_code(server, "alice", "internal"), ==, 0);
    test_call(admin, "object.update", LIBRARY, "tenant", (int64_t)1, "enforce-internal-auth", "false");
    test_call(admin, "object.update", LIBRARY, "tenant", (int64_t)1, "library", "gauth_radius");
    test_call(admin, "object.update", LIBRARY, "tenant", (int64_t)1, "enforce-external-auth", "true");
    g_assert_cmpint(login_code(server, "clerk", "internal"), ==, -32001);
    test_call(admin, "object.update", LIBRARY, "person", clerk, "library", "internal");
    g_assert_cmpint(login_code(server, "clerk", "internal"), ==, 0);
}

/* In two rounds; whoever does not go on may begin anew. */
static void
test_challenge(void)
{
    g_autoptr(RadiusServer) radius = radius_server_new();
    if (radius == NULL)
        return;
    g_autoptr(TestServer) server = primary_of(radius, "login-attempts = 100", "");
    g_autoptr(TestClient) admin = test_client_new(server);
    add_person(admin, "otp", "otp");
    static const struct {
        const char *code;
        int64_t answer;
    } rounds[] = {{"123456", 0}, {"654321", -32001}, {"", -32001}};
    for (unsigned i = 0; i < G_N_ELEMENTS(rounds); i++) {
        g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
        JsonObject *error = test_call_error(client, -32002, "session.open",
                                            "{'user':'otp','password':'otppw','application':'confctl'}");
        JsonObject *data = json_object_get_object_member(error, "data");
        g_assert_cmpstr(json_object_get_string_member(data, "prompt"), ==, "Enter code");
        int64_t id = test_send(client, "session.continue", "{'challenge':'%s','response':'%s'}",
                               json_object_get_string_member(data, "challenge"), rounds[i].code);
        g_assert_cmpint(wait_login(client, id, NULL), ==, rounds[i].answer);
    }
    g_assert_cmpint(login_code(server, "otp", "wrong"), ==, -32001);
    /* The server of the challenge is silent, or not among them any more: nobody else could know it. */
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    JsonObject *data = json_object_get_object_member(
        test_call_error(client, -32002, "session.open",
                        "{'user':'otp','password':'otppw','application':'confctl'}"),
        "data");
    radius_server_signal(radius, SIGSTOP);
    int64_t id = test_send(client, "session.continue", "{'challenge':'%s','response':'123456'}",
                           json_object_get_string_member(data, "challenge"));
    const char *text;
    g_assert_cmpint(wait_login(client, id, &text), ==, -32013);
    g_assert_cmpstr(text, ==, NULL);
    radius_server_signal(radius, SIGCONT);
    data = json_object_get_object_member(
        test_call_error(client, -32002, "session.open",
                        "{'user':'otp','password':'otppw','application':'confctl'}"),
        "data");
    g_autofree char *challenge = g_strdup(json_object_get_string_member(data, "challenge"));
    test_call(
        admin, "object.update",
        "{'type':'application','name':'confserv','patch':{'options':{'gauth_radius':{'servers':'127.0.0.9:%u'}}}}",
        radius_server_get_port(radius));
    id = test_send(client, "session.continue", "{'challenge':'%s','response':'123456'}", challenge);
    g_assert_cmpint(wait_login(client, id, NULL), ==, -32013);
}

/* Silence is no refusal: it costs its time, nobody else's, and counts as no attempt. */
static void
test_silence(void)
{
    g_autoptr(RadiusServer) radius = radius_server_new();
    if (radius == NULL)
        return;
    g_autoptr(TestServer) server = primary_of(radius, "login-attempts = 1\nlogin-pause = 60", "");
    g_autoptr(TestClient) admin = test_client_new(server);
    add_person(admin, "alice", "alice");
    radius_server_signal(radius, SIGSTOP);
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    int64_t since = g_get_monotonic_time();
    int64_t id = send_login(client, "alice", "alicepw");
    test_wait_statistic(admin, "auth-radius.waiting", 1);
    test_call(admin, "object.read", "{'type':'person','name':'alice'}");
    g_assert_cmpint(wait_login(client, id, NULL), ==, -32013);
    int64_t took_ms = (g_get_monotonic_time() - since) / 1000;
    g_assert_cmpint(took_ms, >=, 1000);
    g_assert_cmpint(took_ms, <, 2500);
    /* A client that goes meanwhile leaves nothing behind. */
    TestClient *leaving = test_client_connect(test_server_get_port(server));
    send_login(leaving, "alice", "alicepw");
    test_wait_statistic(admin, "auth-radius.waiting", 1);
    test_client_abort(leaving);
    test_client_free(leaving);
    while (test_statistic(admin, "auth-radius.waiting") > 0)
        g_usleep(5000);
    radius_server_signal(radius, SIGCONT);
    g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, 0);
    /* Nobody listens. */
    radius_server_signal(radius, SIGKILL);
    g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, -32013);
    radius_server_start(radius);
    g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, 0);
    /* A refusal does count: there is no second attempt within the pause. */
    g_assert_cmpint(login_code(server, "alice", "wrong"), ==, -32001);
    int64_t questions = test_statistic(admin, "auth-radius.questions");
    g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, -32001);
    g_assert_cmpint(test_statistic(admin, "auth-radius.questions"), ==, questions);
}

static void
test_proof(void)
{
    g_autoptr(RadiusServer) radius = radius_server_new();
    if (radius == NULL)
        return;
    g_autoptr(TestServer) server = primary_of(radius, "", "");
    g_autoptr(TestClient) admin = test_client_new(server);
    add_person(admin, "alice", "alice");
    /* An answer without a signature does not count, unless the administrator wants it to. */
    radius_server_signal(radius, SIGKILL);
    radius_server_set(radius, false, RADIUS_TEST_SECRET);
    radius_server_start(radius);
    g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, -32013);
    g_assert_cmpint(test_statistic(admin, "auth-radius.unsigned"), >=, 1);
    test_server_wait_log(server, "A RADIUS answer without Message-Authenticator does not count");
    test_call(
        admin, "object.update",
        "{'type':'application','name':'confserv','patch':{'options':{'gauth_radius':{'require-message-authenticator':'false'}}}}");
    g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, 0);
    g_assert_cmpint(login_code(server, "alice", "wrong"), ==, -32001);
    /* A secret that is not the server's. */
    radius_server_signal(radius, SIGKILL);
    radius_server_set(radius, true, "another-secret");
    radius_server_start(radius);
    g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, -32013);
}

/* A server in between that anybody might be: what it makes up changes nothing, what it passes on does. */
static void
test_garbage(void)
{
    g_autoptr(RadiusServer) radius = radius_server_new();
    if (radius == NULL)
        return;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, peer,
                       real = own;
    socklen_t size = sizeof own, peer_size = sizeof peer;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
        forward = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&own, sizeof own), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&own, &size), ==, 0);
    real.sin_port = htons(radius_server_get_port(radius));
    g_autofree char *servers = g_strdup_printf("127.0.0.1:%u", ntohs(own.sin_port));
    g_autoptr(TestServer) server = primary_new("", servers, "timeout = 20\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    add_person(admin, "alice", "alice");

    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    int64_t id = send_login(client, "alice", "alicepw");
    uint8_t question[RADIUS_SIZE_MAX], answer[RADIUS_SIZE_MAX], forged[RADIUS_SIZE_MAX];
    ssize_t question_size = recvfrom(fd, question, sizeof question, 0, (struct sockaddr *)&peer, &peer_size);
    g_assert_cmpint(question_size, >, RADIUS_SIZE_MIN);
    g_assert_cmpuint(question[RADIUS_SIZE_MIN], ==, 80); /* the signature first */
    g_assert_null(memmem(question, (size_t)question_size, "alicepw", 7));
    g_assert_cmpint(
        sendto(forward, question, (size_t)question_size, 0, (struct sockaddr *)&real, sizeof real), ==,
        question_size);
    ssize_t answer_size = recv(forward, answer, sizeof answer, 0);
    g_assert_cmpint(answer_size, >, RADIUS_SIZE_MIN);
    /* Cut anywhere, any byte another, longer than said, and plain noise. */
    unsigned sent = 0;
    for (ssize_t i = 0; i < answer_size; i++) {
        memcpy(forged, answer, (size_t)answer_size);
        forged[i] ^= 1 + (uint8_t)g_test_rand_int_range(0, 255);
        sendto(fd, answer, (size_t)i, 0, (struct sockaddr *)&peer, peer_size);
        sendto(fd, forged, (size_t)answer_size, 0, (struct sockaddr *)&peer, peer_size);
        sent += 2;
        if (i % 16 == 0)
            test_wait_statistic(admin, "auth-radius.ignored", sent);
    }
    memset(forged, 0xff, sizeof forged);
    sendto(fd, forged, sizeof forged, 0, (struct sockaddr *)&peer, peer_size);
    sendto(fd, question, (size_t)question_size, 0, (struct sockaddr *)&peer,
           peer_size); /* its own, reflected */
    test_wait_statistic(admin, "auth-radius.ignored", sent + 2);
    g_assert_cmpint(test_statistic(admin, "auth-radius.waiting"), ==, 1);
    sendto(fd, answer, (size_t)answer_size, 0, (struct sockaddr *)&peer, peer_size);
    g_assert_cmpint(wait_login(client, id, NULL), ==, 0);
    /* The same again is an answer to nothing. */
    sendto(fd, answer, (size_t)answer_size, 0, (struct sockaddr *)&peer, peer_size);
    test_wait_statistic(admin, "auth-radius.ignored", sent + 3);
    close(fd);
    close(forward);
}

static void
test_failover(void)
{
    g_autoptr(RadiusServer) first = radius_server_new();
    if (first == NULL)
        return;
    g_autoptr(RadiusServer) second = radius_server_new();
    g_autofree char *servers = g_strdup_printf("localhost:%u, 127.0.0.1:%u", radius_server_get_port(first),
                                               radius_server_get_port(second));
    g_autoptr(TestServer) server = primary_new("login-attempts = 100", servers, "");
    g_autoptr(TestClient) admin = test_client_new(server);
    add_person(admin, "alice", "alice");
    g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, 0);
    g_assert_cmpint(test_statistic(admin, "auth-radius.failovers"), ==, 0);
    /* Frozen: its time is waited for once; the second stays the first to be asked. */
    radius_server_signal(first, SIGSTOP);
    g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, 0);
    g_assert_cmpint(login_code(server, "alice", "wrong"), ==, -32001);
    g_assert_cmpint(test_statistic(admin, "auth-radius.failovers"), ==, 1);
    /* Also over a change of other options. */
    test_call(
        admin, "object.update",
        "{'type':'application','name':'confserv','patch':{'options':{'confserv':{'slow-turn-warning':'200'}}}}");
    int64_t since = g_get_monotonic_time();
    for (unsigned i = 0; i < 5; i++)
        g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, 0);
    g_assert_cmpint(g_get_monotonic_time() - since, <, G_USEC_PER_SEC);
    radius_server_signal(first, SIGCONT);
    g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, 0);
    g_assert_cmpint(test_statistic(admin, "auth-radius.failovers"), ==, 1);
    /* Not there at all: the next one is asked at once. */
    radius_server_signal(second, SIGKILL);
    since = g_get_monotonic_time();
    g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, 0);
    g_assert_cmpint(g_get_monotonic_time() - since, <, G_USEC_PER_SEC);
    g_assert_cmpint(test_statistic(admin, "auth-radius.failovers"), ==, 2);
    radius_server_signal(first, SIGKILL);
    g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, -32013);
    radius_server_start(second);
    g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, 0);
}

/* All wait at once, over a few sockets; what the frozen server could not take is sent again. */
static void
test_many(void)
{
    enum { MANY = 1000 };
    g_autoptr(RadiusServer) radius = radius_server_new();
    if (radius == NULL)
        return;
    g_autoptr(TestServer) server = primary_of(radius, "login-timeout = 60", "retries = 10\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    add_person(admin, "alice", "alice");
    radius_server_signal(radius, SIGSTOP);
    TestClient *clients[MANY];
    int64_t ids[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        clients[i] = test_client_connect(test_server_get_port(server));
        ids[i] = send_login(clients[i], "alice", i % 10 == 0 ? "wrong" : "alicepw");
    }
    while (test_statistic(admin, "auth-radius.waiting") < MANY)
        g_usleep(5000);
    g_assert_cmpint(test_statistic(admin, "auth-radius.sockets"), ==, (MANY + 255) / 256);
    radius_server_signal(radius, SIGCONT);
    unsigned in = 0;
    for (unsigned i = 0; i < MANY; i++) {
        int64_t code = wait_login(clients[i], ids[i], NULL);
        in += code == 0;
        g_assert_true(code == 0 || code == -32001);
        if (i % 10 == 0)
            g_assert_cmpint(code, ==, -32001);
        test_client_free(clients[i]);
    }
    /* Some of the right ones met the pause that the wrong ones brought upon the account. */
    g_test_message("%u of %u let in", in, MANY);
    g_assert_cmpuint(in, >, 0);
    g_assert_cmpint(test_statistic(admin, "auth-radius.waiting"), ==, 0);
    g_assert_cmpint(test_statistic(admin, "auth-radius.unanswered"), ==, 0);
}

/* A server that has as many questions as there are numbers is not dead: one log-in goes elsewhere, no
 * more. */
static void
test_full(void)
{
    g_autoptr(RadiusServer) radius = radius_server_new();
    if (radius == NULL)
        return;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof own;
    int silent = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(silent, (struct sockaddr *)&own, sizeof own), ==, 0);
    g_assert_cmpint(getsockname(silent, (struct sockaddr *)&own, &size), ==, 0);
    g_autofree char *servers =
        g_strdup_printf("127.0.0.1:%u, 127.0.0.1:%u", ntohs(own.sin_port), radius_server_get_port(radius));
    g_autoptr(TestServer) server = primary_new("", servers, "timeout = 60\nmax-sockets = 1\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    add_person(admin, "alice", "alice");
    g_autoptr(GPtrArray) waiting = g_ptr_array_new_with_free_func((GDestroyNotify)test_client_free);
    for (unsigned i = 0; i < 256; i++) {
        TestClient *client = test_client_connect(test_server_get_port(server));
        g_ptr_array_add(waiting, client);
        send_login(client, "alice", "alicepw");
    }
    test_wait_statistic(admin, "auth-radius.waiting", 256);
    g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, 0);
    g_assert_cmpint(test_statistic(admin, "auth-radius.failovers"), ==, 0);
    g_assert_cmpint(test_statistic(admin, "auth-radius.waiting"), ==, 256);
    close(silent);
}

/* A question that goes on to the next server after the options changed takes its socket along when it
 * ends. */
static void
test_changed_meanwhile(void)
{
    g_autoptr(RadiusServer) radius = radius_server_new();
    if (radius == NULL)
        return;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof own;
    int silent = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(silent, (struct sockaddr *)&own, sizeof own), ==, 0);
    g_assert_cmpint(getsockname(silent, (struct sockaddr *)&own, &size), ==, 0);
    g_autofree char *servers =
        g_strdup_printf("127.0.0.1:%u, 127.0.0.1:%u", ntohs(own.sin_port), radius_server_get_port(radius));
    g_autoptr(TestServer) server = primary_new("", servers, "");
    g_autoptr(TestClient) admin = test_client_new(server);
    add_person(admin, "alice", "alice");
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    int64_t id = send_login(client, "alice", "alicepw");
    test_wait_statistic(admin, "auth-radius.waiting", 1);
    test_call(
        admin, "object.update",
        "{'type':'application','name':'confserv','patch':{'options':{'gauth_radius':{'max-sockets':'2'}}}}");
    g_assert_cmpint(wait_login(client, id, NULL), ==, 0);
    g_assert_cmpint(test_statistic(admin, "auth-radius.sockets"), ==, 0);
    close(silent);
}

static void
test_groups_and_names(void)
{
    g_autoptr(RadiusServer) radius = radius_server_new();
    if (radius == NULL)
        return;
    g_autoptr(TestServer) server =
        primary_of(radius, "", "group-map = 0x61646d696e73:ops, web: webmasters, other:ops\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    int64_t groups[2];
    static const char *const names[] = {"ops", "webmasters"};
    for (unsigned i = 0; i < 2; i++) {
        groups[i] = json_object_get_int_member(
            test_call(admin, "object.create", "{'object':{'type':'accessGroup','name':'%s','kind':'custom'}}",
                      names[i]),
            "dbid");
        test_call(admin, "object.create", "{'object':{'type':'host','name':'host-%s'}}", names[i]);
        test_call(admin, "permission.update",
                  "{'type':'host','name':'host-%s','entries':[{'account':{'type':'accessGroup','dbid':%" INT
                  "},'rights':['read']}]}",
                  names[i], groups[i]);
    }
    int64_t alice = add_person(admin, "alice", "alice@corp");
    g_autoptr(TestClient) client = test_client_new_as(server, "alice", "alicepw", "confctl");
    test_call(client, "object.read", "{'type':'host','name':'host-ops'}");
    test_call(client, "object.read", "{'type':'host','name':'host-webmasters'}");
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'internal'}", alice);
    /* By the externalId, by a realm; at once. */
    static const char SET[] =
        "{'type':'application','name':'confserv','patch':{'options':{'gauth_radius':{'%s':'%s'}}}}";
    test_call(admin, "object.update", SET, "match", "external-id");
    g_assert_cmpint(login_code(server, "alice", "realmpw"), ==, 0);
    g_assert_cmpint(login_code(server, "alice", "alicepw"), ==, -32001);
    test_call(admin, "object.update", SET, "match", "user-name");
    test_call(admin, "object.update", SET, "realm", "corp");
    g_assert_cmpint(login_code(server, "alice", "realmpw"), ==, 0);
    /* A bad value changes nothing, and is told. */
    test_call(admin, "object.update", SET, "servers", "127.0.0.1:port");
    test_server_wait_log(server, "a server's port is no number");
    g_assert_cmpint(login_code(server, "alice", "realmpw"), ==, 0);
}

/* Log-ins that wait when the server is stopped do not hold it up, and nothing of them is left. */
static void
test_stop(void)
{
    g_autoptr(RadiusServer) radius = radius_server_new();
    if (radius == NULL)
        return;
    g_autoptr(TestServer) server = primary_of(radius, "", "timeout = 60\n");
    g_autoptr(TestClient) admin = test_client_new(server);
    add_person(admin, "alice", "alice");
    radius_server_signal(radius, SIGSTOP);
    g_autoptr(TestClient) client = test_client_connect(test_server_get_port(server));
    int64_t id = send_login(client, "alice", "alicepw");
    test_wait_statistic(admin, "auth-radius.waiting", 1);
    int64_t since = g_get_monotonic_time();
    g_assert_cmpint(kill(test_server_get_pid(server), SIGTERM), ==, 0);
    g_assert_cmpint(wait_login(client, id, NULL), ==, -32013);
    g_assert_cmpint(test_server_wait_exit(server), ==, 0);
    g_assert_cmpint(g_get_monotonic_time() - since, <, 8 * G_USEC_PER_SEC);
}

/* A secret as somebody may have chosen it, in each place where one may stand: what is left off makes all
 * answers forgeries. */
static void
test_odd_secrets(void)
{
    static const struct {
        const char *secret, *name, *text, *options;
    } places[] = {
        {"s#1;:x", "servers", "# all\n127.0.0.1\ts#1;:x\t# the only one\r\n", "servers-file = servers"},
        {"pair", "servers", "here.example/127.0.0.1 pair\n", "servers-file = servers"},
        {"s#1:x", "radiusclient.conf", "authserver 127.0.0.1:%u:s#1:x\n",
         "radiusclient-file = radiusclient.conf"},
        {"blanks  ", "secret", "blanks  \r\n", "secret-file = secret"},
    };
    g_autoptr(RadiusServer) radius = radius_server_new();
    if (radius == NULL)
        return;
    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        radius_server_signal(radius, SIGKILL);
        radius_server_set(radius, true, places[i].secret);
        radius_server_start(radius);
        g_autofree char *folder = test_make_folder();
        g_autofree char *path = g_build_filename(folder, places[i].name, NULL);
        g_auto(GStrv) around = g_strsplit(places[i].text, "%u", 2);
        g_autofree char *port = g_strdup_printf("%u", radius_server_get_port(radius));
        g_autofree char *text =
            around[1] != NULL ? g_strconcat(around[0], port, around[1], NULL) : g_strdup(around[0]);
        g_assert_true(g_file_set_contents(path, text, -1, NULL));
        g_auto(GStrv) option = g_strsplit(places[i].options, " = ", 2);
        g_autofree char *servers =
            around[1] == NULL ? g_strdup_printf("servers = 127.0.0.1:%s\n", port) : g_strdup("");
        g_autofree char *options = g_strdup_printf(
            "plugins = auth-radius\n[authentication]\nlibrary = gauth_radius\n[gauth_radius]\n"
            "%stimeout = 1\nretries = 0\nrealm = @corp\n%s = %s\n",
            servers, option[0], path);
        g_autoptr(TestServer) server = test_primary_new(options);
        g_autoptr(TestClient) admin = test_client_new(server);
        add_person(admin, "alice", "alice");
        g_assert_cmpint(login_code(server, "alice", "realmpw"), ==, 0);
        test_remove_folder(folder);
    }
}

/* Files of the original. */
static void
test_files(void)
{
    g_autoptr(RadiusServer) radius = radius_server_new();
    if (radius == NULL)
        return;
    g_autofree char *folder = test_make_folder();
    g_autofree char *client_file = g_build_filename(folder, "radiusclient.conf", NULL);
    g_autofree char *servers_file = g_build_filename(folder, "servers", NULL);
    g_autofree char *client_text = g_strdup_printf(
        "# of the original\nauth_order radius\nauthserver 127.0.0.9:9:x\t 127.0.0.1:%u , \nservers %s\nradius_timeout 1\n"
        "radius_retries 0\ndefault_realm corp\nlogin_tries 4\n",
        radius_server_get_port(radius), servers_file);
    g_assert_true(g_file_set_contents(client_file, client_text, -1, NULL));
    g_assert_true(g_file_set_contents(
        servers_file, "# secrets\nelsewhere nothing\n127.0.0.1\t " RADIUS_TEST_SECRET "\n", -1, NULL));
    g_autofree char *options = g_strdup_printf(
        "plugins = auth-radius\n[authentication]\nlibrary = gauth_radius\n[gauth_radius]\nradiusclient-file = %s\n",
        client_file);
    g_autoptr(TestServer) server = test_primary_new(options);
    g_autoptr(TestClient) admin = test_client_new(server);
    add_person(admin, "alice", "alice");
    g_assert_cmpint(login_code(server, "alice", "realmpw"), ==, 0);
    radius_server_signal(radius, SIGSTOP);
    int64_t since = g_get_monotonic_time();
    g_assert_cmpint(login_code(server, "alice", "realmpw"), ==, -32013);
    g_assert_cmpint(g_get_monotonic_time() - since, <, 2500 * 1000);
    test_remove_folder(folder);
}

#define FIFTY "01234567890123456789012345678901234567890123456789"
#define LONG_TEXT FIFTY FIFTY FIFTY FIFTY FIFTY "0123"

static void
test_bad_options(void)
{
    static const struct {
        const char *lines, *said;
    } faults[] = {
        {"servers = 127.0.0.1", "has no secret"},
        {"servers = 127.0.0.1:0\nsecret = x", "no number from 1 to 65535"},
        {"servers = ::1\nsecret = x", "is no host, host:port or [address]:port"},
        {"servers = [::1\nsecret = x", "is no host, host:port or [address]:port"},
        {"servers = a,,b\nsecret = x", "is no host, host:port or [address]:port"},
        {"servers = a\nsecret-file = none", "cannot be read"},
        {"servers = a\nsecret-file = .", "is no ordinary file"},
        {"group-map = ops", "is no VALUE:GROUP"},
        {"group-map = 0x1:ops", "is no VALUE:GROUP"},
        {"radiusclient-file = nowhere.conf", "nowhere.conf cannot be read"},
        {"radiusclient-file = bad.conf", "bad.conf, line 2: radius_timeout must be"},
        {"servers-file = bad.servers", "bad.servers, line 1: a host and its secret"},
        {"radiusclient-file = server.conf", "server.conf, line 1: a server is no host, host:port"},
        {"servers-file = words.servers", "words.servers, line 2: a host and its secret (one word)"},
        {"servers = a\nsecret-file = two.lines", "two.lines holds more than one line"},
        {"nas-identifier = " LONG_TEXT, "nas-identifier is longer than 253 bytes"},
        {"realm = " LONG_TEXT, "the realm is longer than"},
    };
    g_autofree char *folder = test_make_folder();
    g_autofree char *file = g_build_filename(folder, "confserv.conf", NULL);
    g_autofree char *bad = g_build_filename(folder, "bad.conf", NULL);
    g_autofree char *servers = g_build_filename(folder, "bad.servers", NULL);
    g_assert_true(g_file_set_contents(bad, "\nradius_timeout 0\n", -1, NULL));
    g_assert_true(g_file_set_contents(servers, "127.0.0.1\n", -1, NULL));
    g_autofree char *words = g_build_filename(folder, "words.servers", NULL);
    g_autofree char *two = g_build_filename(folder, "two.lines", NULL);
    g_autofree char *server = g_build_filename(folder, "server.conf", NULL);
    g_assert_true(g_file_set_contents(server, "authserver [::1:1812:hush\n", -1, NULL));
    g_assert_true(g_file_set_contents(words, "a s#1 # a comment\nb two words\n", -1, NULL));
    g_assert_true(g_file_set_contents(two, "first\nsecond\n", -1, NULL));
    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_autofree char *text = g_strdup_printf(
            "[confserv]\nport = 1234\nserver = dbserver\nplugins = auth-radius\n[dbserver]\ndbengine = sqlite\n"
            "dbname = x.db\n[gauth_radius]\n%s\n",
            faults[i].lines);
        g_assert_true(g_file_set_contents(file, text, -1, NULL));
        g_autofree char *output = NULL;
        g_assert_cmpint(test_run_confserv(folder, "-check-config", &output), ==, 2);
        if (strstr(output, faults[i].said) == NULL)
            g_error("%s: '%s' was expected, not: %s", faults[i].lines, faults[i].said, output);
        g_assert_null(strstr(output, "hush"));
    }
    test_remove_folder(folder);
}

/* A site whose link to the master is down: its people log in with their own directory. */
static void
test_proxy(void)
{
    g_autoptr(RadiusServer) radius = radius_server_new();
    if (radius == NULL)
        return;
    g_autoptr(TestServer) master = test_primary_new(NULL);
    g_autoptr(TestClient) admin = test_client_new(master);
    int64_t alice = add_person(admin, "alice", "alice");
    add_person(admin, "bob", "bob");
    test_call(admin, "account.setPassword", "{'dbid':%" INT ",'password':'internal'}", alice);
    g_autofree char *servers = server_text(radius);
    g_autofree char *options =
        options_of("login-attempts = 100", servers, "[authentication]\noffline-login = 600\n");
    g_autofree char *file = g_strdup_printf("[csproxy]\n%s", options);
    g_autoptr(TestServer) proxy = test_proxy_new(master, "px", file);
    g_assert_cmpint(login_code(master, "alice", "internal"), ==, 0);
    g_assert_cmpint(login_code(proxy, "alice", "internal"), ==, -32001);
    test_server_signal(master, SIGKILL);
    g_assert_cmpint(login_code(proxy, "alice", "alicepw"), ==, 0);
    g_autoptr(TestClient) client = test_client_new_as(proxy, "alice", "alicepw", "confctl");
    test_call(client, "object.read", "{'type':'application','name':'confctl'}");
    /* Both are dead: who was in not long ago may come again, and nobody else. */
    radius_server_signal(radius, SIGKILL);
    g_assert_cmpint(login_code(proxy, "alice", "alicepw"), ==, 0);
    g_assert_cmpint(login_code(proxy, "alice", "other"), ==, -32013);
    g_assert_cmpint(login_code(proxy, "bob", "bobpw"), ==, -32013);
    /* A refusal is the directory's word, and ends that. */
    radius_server_start(radius);
    g_assert_cmpint(login_code(proxy, "alice", "other"), ==, -32001);
    g_assert_cmpint(login_code(proxy, "alice", "alicepw"), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    g_test_add_func("/auth-radius/answers", test_answers);
    g_test_add_func("/auth-radius/challenge", test_challenge);
    g_test_add_func("/auth-radius/silence", test_silence);
    g_test_add_func("/auth-radius/proof", test_proof);
    g_test_add_func("/auth-radius/garbage", test_garbage);
    g_test_add_func("/auth-radius/failover", test_failover);
    g_test_add_func("/auth-radius/many", test_many);
    g_test_add_func("/auth-radius/full", test_full);
    g_test_add_func("/auth-radius/changed-meanwhile", test_changed_meanwhile);
    g_test_add_func("/auth-radius/groups-and-names", test_groups_and_names);
    g_test_add_func("/auth-radius/stop", test_stop);
    g_test_add_func("/auth-radius/odd-secrets", test_odd_secrets);
    g_test_add_func("/auth-radius/files", test_files);
    g_test_add_func("/auth-radius/bad-options", test_bad_options);
    g_test_add_func("/auth-radius/proxy", test_proxy);
    return g_test_run();
}
