/* fixture.h - real servers for integration tests: each in its own folder, on ports from the kernel,
 * stopped by pid; and a plain client of the wire protocol.  Everything waits for events with a deadline
 * (30 s); a deadline that passes fails the test and shows the servers' logs. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <glib.h>
#include <json-glib/json-glib.h>

/* ---- servers ---- */
typedef struct TestServer TestServer;

#define TEST_PASSWORD "correct horse"

/* A primary on a new SQLite database, made with -init, administrator `default` with TEST_PASSWORD.
 * `options` (may be NULL): further lines of its own section.  Started and ready when it returns. */
TestServer *test_primary_new(const char *options);
/* As above, but only the folder and the database: test_server_start() starts it. */
TestServer *test_primary_prepare(const char *options);
/* A proxy of `master` under application `name`, which is created there (with a port from the kernel) if it
 * is missing; options: sections of its own file, may be NULL. */
TestServer *test_proxy_new(TestServer *master, const char *name, const char *file);
/* The same, not started, and following whoever answers at `hosts` ("127.0.0.1:2020,127.0.0.1:2021"); its
 * application is made at `primary`. */
TestServer *test_proxy_prepare(TestServer *primary, const char *hosts, const char *name, const char *file);
/* Further command line arguments for the next start ("-rescue-port 1234"), may be NULL. */
void test_server_set_arguments(TestServer *server, const char *arguments);
/* These in the place of all that its making gave it ("-c proxy.conf -host localhost ..."). */
void test_server_replace_arguments(TestServer *server, const char *arguments);
/* A directory in front of PATH-like lookups is not needed: the programs of the build tree are run. */
void test_server_start(TestServer *server);
/* Started, but not waited for. */
void test_server_spawn(TestServer *server);
/* Until the port answers; false: it ended instead (see test_server_wait_exit). */
bool test_server_wait_ready(TestServer *server);
/* Sends the signal; SIGKILL and SIGTERM are waited for. */
void test_server_signal(TestServer *server, int signal_number);
/* Waits until the process has ended; its exit status, or 128 + signal. */
int test_server_wait_exit(TestServer *server);
bool test_server_is_running(TestServer *server);
uint16_t test_server_get_port(const TestServer *server);
uint16_t test_server_get_management_port(const TestServer *server);
const char *test_server_get_folder(const TestServer *server);
GPid test_server_get_pid(const TestServer *server);
/* Everything it has written to stdout and stderr so far; g_free(). */
char *test_server_read_log(const TestServer *server);
/* Waits until the log holds the text. */
void test_server_wait_log(const TestServer *server, const char *text);
/* Another server on the same database (a second start): own folder, same files; ports are those of the
 * database. */
TestServer *test_primary_beside(TestServer *primary);
/* Stops it (SIGTERM; SIGKILL after 10 s), checks that it ended as asked and that no sanitizer complained,
 * removes the folder. */
void test_server_free(TestServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TestServer, test_server_free)

/* Runs confserv to its end; *output (may be NULL): stdout and stderr. Returns the exit status. */
int test_run_confserv(const char *folder, const char *arguments, char **output);
uint16_t test_free_port(void);
bool test_has_ipv6(void);
char *test_make_folder(void);
void test_remove_folder(const char *folder);

/* ---- a client: one socket, requests and lines ---- */
typedef struct TestClient TestClient;

TestClient *test_client_connect(uint16_t port);
/* From one of this machine's addresses, as 127.0.0.5. */
TestClient *test_client_connect_from(const char *source, uint16_t port);
/* Connected and logged in as default / TEST_PASSWORD / confctl. */
TestClient *test_client_new(TestServer *server);
TestClient *test_client_new_as(TestServer *server, const char *user, const char *password,
                               const char *application);
void test_client_free(TestClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TestClient, test_client_free)

/* `params`: a JSON object as printf text in which ' stands for " (so that it reads well in C); results are
 * borrowed until the next call on this client. */
/* The result; an error fails the test. */
JsonObject *test_call(TestClient *client, const char *method, const char *params, ...) G_GNUC_PRINTF(3, 4);
/* The error object; a result fails the test, another code too. */
JsonObject *test_call_error(TestClient *client, int code, const char *method, const char *params, ...)
    G_GNUC_PRINTF(4, 5);
/* Sent and not waited for: its id. */
int64_t test_send(TestClient *client, const char *method, const char *params, ...) G_GNUC_PRINTF(3, 4);
/* Waits for the response of that id; the whole response object. */
JsonObject *test_wait_response(TestClient *client, int64_t id);
/* The next notification of that method that came or comes; params.  Others of before it stay. */
JsonObject *test_wait_notification(TestClient *client, const char *method);
/* All that came until now: a request is answered after everything before it.  Then: is there one of this
 * method left? */
bool test_has_notification(TestClient *client, const char *method);
/* Takes the oldest notification that came, whatever it is; NULL: none is left. *method is borrowed. */
JsonObject *test_take_notification(TestClient *client, const char **method);
/* A request that answers after everything before it; gathers notifications. */
void test_sync(TestClient *client);
/* Raw bytes, and the next line as text (borrowed); NULL: the server closed. */
void test_client_write(TestClient *client, const void *data, size_t size);
const char *test_client_read_line(TestClient *client);
/* Waits for the end of the stream; what comes before is kept as notifications. */
void test_client_wait_closed(TestClient *client);
/* RST instead of FIN: as a crash of the client's machine. */
void test_client_abort(TestClient *client);
int test_client_get_fd(const TestClient *client);
/* "result" of session.open. */
JsonObject *test_client_get_session(TestClient *client);
/* The token and the environment of that; g_free(). */
char *test_client_dup_token(TestClient *client);
char *test_client_dup_environment(TestClient *client);
/* A new person with password "pw" who may log in by application confctl; its dbid. */
int64_t test_person_new(TestClient *admin, const char *name);
/* Every byte that ever came, for searches. */
bool test_client_has_seen(TestClient *client, const char *text);

/* Polls with a deadline: for what only shows in statistics.  Not for things that send events. */
int64_t test_statistic(TestClient *client, const char *name);
void test_wait_statistic(TestClient *client, const char *name, int64_t at_least);
/* Waits until the server's revision is at least that (minRevision). */
void test_wait_revision(TestClient *client, int64_t revision);
