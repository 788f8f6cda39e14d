/* fuzz-envelope.c - any bytes from a client: they go through a real connection to a table of methods.
 * Whatever they are, what comes back is one sound answer a line, and a request behind them is answered,
 * unless a line was too long. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/queue-main.h"
#include "rpc/method-table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINE_LIMIT = 4096 };

static void set_up(void);
static void open_connection(void);
static void send_bytes(const void *data, size_t size);
static void receive(void);
static void check_answers(void);
static void check_answer(const ConfJson *answer);

static ConfMethodTable *table;
static ConfConnection *connection; /* NULL: closed */
static int peer = -1;
static GString *received;
static ConfRequest *held;

static void
on_line(ConfConnection *from, ConfSlice line)
{
    conf_dispatch_line(table, from, line);
}

static void
on_too_long(ConfConnection *from)
{
    conf_dispatch_too_long(table, from, LINE_LIMIT);
}

static void
on_closed(ConfConnection *from, const char *reason)
{
    connection = NULL;
}

static void
echo(ConfRequest *request, void *data)
{
    conf_request_answer(request, conf_request_get_params(request));
}

static void
read_params(ConfRequest *request, void *data)
{
    static const char *const NAMES[] = {"type", "dbid", "name", "enabled", NULL};
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    const ConfJson *params = conf_request_parse_params(request, NAMES, &error);
    int64_t dbid;
    ConfSlice text;
    bool enabled;
    if (params == NULL || !conf_params_string(params, "", "type", true, &text, &error) ||
        !conf_params_integer(params, "/operations/0", "dbid", 1, INT64_MAX, false, &dbid, &error) ||
        !conf_params_boolean(params, "", "enabled", &enabled, &error)) {
        conf_rpc_error_prefix_path(&error, "/operations/1");
        conf_request_fail(request, &error);
        return;
    }
    conf_json_append_string(conf_request_begin(request), text);
    conf_request_end(request);
}

/* Answered by the next one that is held, or not at all. */
static void
hold(ConfRequest *request, void *data)
{
    ConfRequest *before = held;
    held = conf_request_hold(request);
    if (before == NULL)
        return;
    conf_request_answer(before, conf_request_get_params(before));
    conf_request_release(before);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint64_t runs;
    set_up();
    runs++;
    g_autofree char *last = g_strdup_printf(
        "\n{\"jsonrpc\":\"2.0\",\"id\":\"run %" G_GUINT64_FORMAT "\",\"method\":\"echo\"}\n", runs);
    g_autofree char *last_answer =
        g_strdup_printf("{\"jsonrpc\":\"2.0\",\"id\":\"run %" G_GUINT64_FORMAT "\",\"result\":{}}\n", runs);
    g_string_truncate(received, 0);
    /* In two parts, the cut chosen by the input: lines come whole and in pieces. */
    size_t cut = size > 0 ? data[0] % (size + 1) : 0;
    send_bytes(data, cut);
    g_main_context_iteration(NULL, FALSE);
    send_bytes(data + cut, size - cut);
    send_bytes(last, strlen(last));
    while (connection != NULL && !g_str_has_suffix(received->str, last_answer)) {
        g_main_context_iteration(NULL, FALSE);
        receive();
    }
    check_answers();
    return 0;
}

static void
set_up(void)
{
    static const ConfMethod METHODS[] = {
        {.name = "echo", .func = echo},
        {.name = "read", .func = read_params},
        {.name = "hold", .func = hold},
    };
    if (table == NULL) {
        conf_main_queue_init();
        received = g_string_new(NULL);
        table = conf_method_table_new();
        for (unsigned i = 0; i < G_N_ELEMENTS(METHODS); i++)
            g_assert_true(conf_method_table_add(table, &METHODS[i]));
    }
    if (connection == NULL)
        open_connection();
}

static void
open_connection(void)
{
    static const ConfConnectionFuncs FUNCS = {.line = on_line, .too_long = on_too_long, .closed = on_closed};
    int fds[2];
    if (peer >= 0)
        close(peer);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), ==, 0);
    peer = fds[1];
    connection = conf_connection_new_accepted(conf_poller_default(), fds[0], "default", &FUNCS, NULL);
    g_assert_nonnull(connection);
    conf_connection_set_line_limit(connection, LINE_LIMIT);
}

static void
send_bytes(const void *data, size_t size)
{
    const char *from = data;
    while (size > 0 && connection != NULL && peer >= 0) {
        ssize_t sent = send(peer, from, size, MSG_NOSIGNAL);
        if (sent > 0) {
            from += sent;
            size -= (size_t)sent;
        }
        if (sent < 0 && errno != EAGAIN)
            return;
        g_main_context_iteration(NULL, FALSE);
        receive();
    }
}

/* A peer that sees the end of the stream ends it too. */
static void
receive(void)
{
    char data[16384];
    ssize_t got = -1;
    while (peer >= 0 && (got = recv(peer, data, sizeof(data), 0)) > 0)
        g_string_append_len(received, data, got);
    if (peer >= 0 && (got == 0 || errno != EAGAIN)) {
        close(peer);
        peer = -1;
    }
}

static void
check_answers(void)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    g_auto(GStrv) lines = g_strsplit(received->str, "\n", -1);
    g_assert_cmpuint(strlen(received->str), ==, received->len);
    for (unsigned i = 0; lines[i] != NULL; i++) {
        if (lines[i + 1] == NULL) {
            g_assert_cmpstr(lines[i], ==, ""); /* No line lacks its end. */
            return;
        }
        const ConfJson *answer = conf_json_parse(arena, conf_slice_from_string(lines[i]), NULL, NULL, NULL);
        g_assert_nonnull(answer);
        if (answer->kind != CONF_JSON_ARRAY) {
            check_answer(answer);
            continue;
        }
        g_assert_cmpuint(answer->count, >, 0);
        for (const ConfJson *item = answer->first; item != NULL; item = item->next)
            check_answer(item);
    }
}

static void
check_answer(const ConfJson *answer)
{
    const ConfJson *version = conf_json_member(answer, "jsonrpc"), *error = conf_json_member(answer, "error");
    g_assert_true(answer->kind == CONF_JSON_OBJECT && answer->count == 3);
    g_assert_true(version != NULL && conf_slice_is(version->text, "2.0"));
    g_assert_nonnull(conf_json_member(answer, "id"));
    g_assert_true((conf_json_member(answer, "result") == NULL) == (error != NULL));
    if (error != NULL)
        g_assert_true(conf_json_member(error, "code")->is_integer);
}
