/* server.c - real confserv processes for tests: see fixture.h. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib/gstdio.h>

enum { DEADLINE_MS = 30000 };

struct TestServer {
    char *folder, *log, *arguments;
    GPtrArray *fixed; /* arguments of every start */
    uint16_t port, management_port;
    GPid pid; /* 0: not running */
    bool proxy, beside;
    int status;
};

static TestServer *server_new(void);
static void write_file(const char *folder, const char *name, const char *text);
static void spawn(const char *folder, const char *log, GPtrArray *fixed, const char *arguments, GPid *pid);
static bool has_ended(TestServer *server);
static bool is_listening(uint16_t port);
static void show_log(const TestServer *server);

uint16_t
test_free_port(void)
{
    /* Bound until the program ends, so that the kernel gives it to nobody else meanwhile: tests run side by side.
     * On all addresses, as a server takes it: one that is free on 127.0.0.1 alone may be somebody's elsewhere.
     * Who listens there, with SO_REUSEADDR as servers do, is not kept from it. */
    bool six = test_has_ipv6();
    int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, off = 0;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.any.sa_family = six ? AF_INET6 : AF_INET};
    socklen_t size = six ? sizeof address.v6 : sizeof address.v4;
    g_assert_cmpint(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), ==, 0);
    g_assert_true(!six || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0);
    g_assert_cmpint(bind(fd, &address.any, size), ==, 0);
    g_assert_cmpint(getsockname(fd, &address.any, &size), ==, 0);
    return ntohs(six ? address.v6.sin6_port : address.v4.sin_port);
}

bool
test_has_ipv6(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool works = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return works;
}

char *
test_make_folder(void)
{
    g_autoptr(GError) error = NULL;
    char *folder = g_dir_make_tmp("confserv-test-XXXXXX", &error);
    g_assert_no_error(error);
    return folder;
}

void
test_remove_folder(const char *folder)
{
    const char *argv[] = {"rm", "-rf", "--", folder, NULL};
    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
}

TestServer *
test_primary_prepare(const char *options)
{
    TestServer *server = server_new();
    server->port = test_free_port();
    server->management_port = test_free_port();
    g_autofree char *config = g_strdup_printf(
        "[confserv]\nport = %u\nmanagement-port = %u\nserver = dbserver\n%s\n"
        "[log]\nverbose = all\nall = stderr\n[dbserver]\ndbengine = sqlite\ndbname = confserv.db\n",
        server->port, server->management_port, options != NULL ? options : "");
    write_file(server->folder, "confserv.conf", config);
    write_file(server->folder, "password", TEST_PASSWORD "\n");
    g_autofree char *output = NULL;
    int status = test_run_confserv(server->folder, "-init -admin-password-file password", &output);
    if (status != 0)
        g_error("confserv -init ended with %d: %s", status, output);
    return server;
}

TestServer *
test_primary_new(const char *options)
{
    TestServer *server = test_primary_prepare(options);
    test_server_start(server);
    return server;
}

TestServer *
test_proxy_new(TestServer *master, const char *name, const char *file)
{
    g_autofree char *host = g_strdup_printf("127.0.0.1:%u", master->port);
    TestServer *server = test_proxy_prepare(master, host, name, file);
    test_server_start(server);
    return server;
}

TestServer *
test_proxy_prepare(TestServer *primary, const char *hosts, const char *name, const char *file)
{
    TestServer *server = server_new();
    server->proxy = true;
    server->port = test_free_port();
    g_autoptr(TestClient) client = test_client_new(primary);
    JsonObject *found =
        test_call(client, "object.count", "{'type':'application','filter':{'name':'%s'}}", name);
    if (json_object_get_int_member(found, "count") == 0)
        test_call(client, "object.create",
                  "{'object':{'type':'application','name':'%s','applicationType':'configurationServer',"
                  "'ports':[{'id':'default','port':%u}]}}",
                  name, server->port);
    else
        test_call(client, "object.update",
                  "{'type':'application','name':'%s','patch':{'ports':[{'id':'default','port':%u}]}}", name,
                  server->port);
    write_file(server->folder, "password", TEST_PASSWORD "\n");
    g_autofree char *config =
        g_strdup_printf("[log]\nverbose = all\nall = stderr\n%s\n", file != NULL ? file : "[csproxy]\n");
    write_file(server->folder, "proxy.conf", config);
    const char *fixed[] = {"-c",    "proxy.conf", "-host",          hosts,     "-app", name,
                           "-user", "default",    "-password-file", "password"};
    for (unsigned i = 0; i < G_N_ELEMENTS(fixed); i++)
        g_ptr_array_add(server->fixed, g_strdup(fixed[i]));
    return server;
}

TestServer *
test_primary_beside(TestServer *primary)
{
    TestServer *server = g_new0(TestServer, 1);
    server->folder = g_strdup(primary->folder);
    server->log = g_build_filename(server->folder, "beside.log", NULL);
    server->fixed = g_ptr_array_new_with_free_func(g_free);
    server->port = primary->port;
    server->management_port = primary->management_port;
    server->beside = true;
    return server;
}

void
test_server_set_arguments(TestServer *server, const char *arguments)
{
    g_free(server->arguments);
    server->arguments = g_strdup(arguments);
}

void
test_server_replace_arguments(TestServer *server, const char *arguments)
{
    g_ptr_array_set_size(server->fixed, 0);
    test_server_set_arguments(server, arguments);
}

void
test_server_spawn(TestServer *server)
{
    g_assert_cmpint(server->pid, ==, 0);
    spawn(server->folder, server->log, server->fixed, server->arguments, &server->pid);
}

void
test_server_start(TestServer *server)
{
    test_server_spawn(server);
    if (!test_server_wait_ready(server)) {
        show_log(server);
        g_error("confserv ended with %d instead of starting", server->status);
    }
}

bool
test_server_wait_ready(TestServer *server)
{
    int64_t deadline = g_get_monotonic_time() + (int64_t)DEADLINE_MS * 1000;
    while (!has_ended(server)) {
        g_autofree char *log = test_server_read_log(server);
        const char *last = g_strrstr(log, "confserv-start");
        if (last != NULL && strstr(last, " 8001 ") != NULL && is_listening(server->port))
            return true;
        if (g_get_monotonic_time() > deadline) {
            show_log(server);
            g_error("confserv did not start in time");
        }
        g_usleep(2000);
    }
    return false;
}

void
test_server_signal(TestServer *server, int signal_number)
{
    g_assert_cmpint(server->pid, !=, 0);
    kill(server->pid, signal_number);
    if (signal_number == SIGKILL || signal_number == SIGTERM)
        test_server_wait_exit(server);
}

int
test_server_wait_exit(TestServer *server)
{
    int64_t deadline = g_get_monotonic_time() + (int64_t)DEADLINE_MS * 1000;
    while (!has_ended(server)) {
        if (g_get_monotonic_time() > deadline) {
            show_log(server);
            g_error("confserv did not end in time");
        }
        g_usleep(2000);
    }
    return server->status;
}

bool
test_server_is_running(TestServer *server)
{
    return !has_ended(server);
}

uint16_t
test_server_get_port(const TestServer *server)
{
    return server->port;
}

uint16_t
test_server_get_management_port(const TestServer *server)
{
    return server->management_port;
}

const char *
test_server_get_folder(const TestServer *server)
{
    return server->folder;
}

GPid
test_server_get_pid(const TestServer *server)
{
    return server->pid;
}

char *
test_server_read_log(const TestServer *server)
{
    char *text = NULL;
    if (!g_file_get_contents(server->log, &text, NULL, NULL))
        return g_strdup("");
    return text;
}

void
test_server_wait_log(const TestServer *server, const char *text)
{
    int64_t deadline = g_get_monotonic_time() + (int64_t)DEADLINE_MS * 1000;
    for (;;) {
        g_autofree char *log = test_server_read_log(server);
        if (strstr(log, text) != NULL)
            return;
        if (g_get_monotonic_time() > deadline) {
            show_log(server);
            g_error("the log never said '%s'", text);
        }
        g_usleep(5000);
    }
}

void
test_server_free(TestServer *server)
{
    if (server == NULL)
        return;
    if (!has_ended(server)) {
        kill(server->pid, SIGCONT);
        kill(server->pid, SIGTERM);
        int status = test_server_wait_exit(server);
        if (status != 0) {
            show_log(server);
            g_error("confserv ended with %d after SIGTERM", status);
        }
    }
    g_autofree char *log = test_server_read_log(server);
    if (strstr(log, "ERROR: AddressSanitizer") != NULL || strstr(log, "runtime error:") != NULL ||
        strstr(log, "ERROR: LeakSanitizer") != NULL || strstr(log, "-CRITICAL **") != NULL) {
        show_log(server);
        g_error("a sanitizer or GLib complained of the server");
    }
    if (!server->beside)
        test_remove_folder(server->folder);
    g_free(server->folder);
    g_free(server->log);
    g_free(server->arguments);
    g_ptr_array_unref(server->fixed);
    g_free(server);
}

int
test_run_confserv(const char *folder, const char *arguments, char **output)
{
    g_autofree char *log = g_build_filename(folder, "run.log", NULL);
    g_autoptr(GPtrArray) fixed = g_ptr_array_new();
    GPid pid = 0;
    int status = 0;
    g_unlink(log);
    spawn(folder, log, fixed, arguments, &pid);
    int64_t deadline = g_get_monotonic_time() + (int64_t)DEADLINE_MS * 2000;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (g_get_monotonic_time() > deadline) {
            kill(pid, SIGKILL);
            g_error("confserv %s did not end in time", arguments);
        }
        g_usleep(1000);
    }
    if (output != NULL && !g_file_get_contents(log, output, NULL, NULL))
        *output = g_strdup("");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static TestServer *
server_new(void)
{
    TestServer *server = g_new0(TestServer, 1);
    server->folder = test_make_folder();
    server->log = g_build_filename(server->folder, "server.log", NULL);
    server->fixed = g_ptr_array_new_with_free_func(g_free);
    return server;
}

static void
write_file(const char *folder, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;
    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
}

static void
child_setup(void *data)
{
    const char *log = data;
    int fd = g_open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
        _exit(127);
    static const char mark[] = "confserv-start\n";
    if (write(2, mark, sizeof mark - 1) < 0)
        _exit(127);
}

static void
spawn(const char *folder, const char *log, GPtrArray *fixed, const char *arguments, GPid *pid)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_auto(GStrv) further = g_strsplit(arguments != NULL ? arguments : "", " ", -1);
    g_ptr_array_add(argv, CONFSERV_PROGRAM);
    for (unsigned i = 0; i < fixed->len; i++)
        g_ptr_array_add(argv, g_ptr_array_index(fixed, i));
    for (unsigned i = 0; further[i] != NULL; i++) {
        if (further[i][0] != '\0')
            g_ptr_array_add(argv, further[i]);
    }
    g_ptr_array_add(argv, NULL);
    g_spawn_async(folder, (char **)argv->pdata, NULL, G_SPAWN_DO_NOT_REAP_CHILD, child_setup, (void *)log,
                  pid, &error);
    g_assert_no_error(error);
}

static bool
has_ended(TestServer *server)
{
    int status = 0;
    if (server->pid == 0)
        return true;
    if (waitpid(server->pid, &status, WNOHANG) == 0)
        return false;
    server->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    server->pid = 0;
    return true;
}

static bool
is_listening(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool connected = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return connected;
}

static void
show_log(const TestServer *server)
{
    g_autofree char *log = test_server_read_log(server);
    size_t length = strlen(log);
    g_printerr("--- log of %s ---\n%s\n---\n", server->folder, length > 8000 ? log + length - 8000 : log);
}
