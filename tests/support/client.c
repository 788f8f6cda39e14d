/* client.c - a plain client of the wire protocol for tests: see fixture.h. */
#include "fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEADLINE_MS = 30000 };

struct TestClient {
    int fd;
    GString *input;
    GString *seen;
    size_t taken; /* of input */
    char *line;
    int64_t next_id;
    GQueue notifications; /* of JsonNode: whole messages */
    GPtrArray *lent;      /* nodes that the last call lent */
    JsonNode *session;
};

static bool receive(TestClient *client);
static JsonNode *next_message(TestClient *client);
static char *make_params(const char *params, va_list arguments);
static int64_t send_request(TestClient *client, const char *method, const char *params);
static JsonObject *lend(TestClient *client, JsonNode *node);
static bool is_notification(JsonObject *message);

TestClient *
test_client_connect(uint16_t port)
{
    return test_client_connect_from(NULL, port);
}

TestClient *
test_client_connect_from(const char *source, uint16_t port)
{
    TestClient *client = g_new0(TestClient, 1);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(client->fd, >=, 0);
    if (source != NULL) {
        struct sockaddr_in from = {.sin_family = AF_INET};
        g_assert_cmpint(inet_pton(AF_INET, source, &from.sin_addr), ==, 1);
        g_assert_cmpint(bind(client->fd, (struct sockaddr *)&from, sizeof from), ==, 0);
    }
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) != 0)
        g_error("port %u cannot be reached: %s", port, g_strerror(errno));
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    client->input = g_string_new(NULL);
    client->seen = g_string_new(NULL);
    client->lent = g_ptr_array_new_with_free_func((GDestroyNotify)json_node_unref);
    return client;
}

TestClient *
test_client_new(TestServer *server)
{
    return test_client_new_as(server, "default", TEST_PASSWORD, "confctl");
}

TestClient *
test_client_new_as(TestServer *server, const char *user, const char *password, const char *application)
{
    TestClient *client = test_client_connect(test_server_get_port(server));
    JsonObject *result = test_call(client, "session.open", "{'user':'%s','password':'%s','application':'%s'}",
                                   user, password, application);
    client->session = json_node_new(JSON_NODE_OBJECT);
    json_node_set_object(client->session, result);
    return client;
}

void
test_client_free(TestClient *client)
{
    if (client == NULL)
        return;
    if (client->fd >= 0)
        close(client->fd);
    g_queue_clear_full(&client->notifications, (GDestroyNotify)json_node_unref);
    g_ptr_array_unref(client->lent);
    g_clear_pointer(&client->session, json_node_unref);
    g_string_free(client->input, TRUE);
    g_string_free(client->seen, TRUE);
    g_free(client->line);
    g_free(client);
}

JsonObject *
test_call(TestClient *client, const char *method, const char *params, ...)
{
    va_list arguments;
    va_start(arguments, params);
    g_autofree char *text = make_params(params, arguments);
    va_end(arguments);
    JsonObject *response = test_wait_response(client, send_request(client, method, text));
    if (json_object_has_member(response, "error")) {
        g_autofree char *shown = json_to_string(json_object_get_member(response, "error"), FALSE);
        g_error("%s %s: %s", method, text, shown);
    }
    JsonNode *result = json_object_get_member(response, "result");
    return JSON_NODE_HOLDS_OBJECT(result) ? json_node_get_object(result) : NULL;
}

JsonObject *
test_call_error(TestClient *client, int code, const char *method, const char *params, ...)
{
    va_list arguments;
    va_start(arguments, params);
    g_autofree char *text = make_params(params, arguments);
    va_end(arguments);
    JsonObject *response = test_wait_response(client, send_request(client, method, text));
    JsonObject *error =
        json_object_has_member(response, "error") ? json_object_get_object_member(response, "error") : NULL;
    if (error == NULL || json_object_get_int_member(error, "code") != code) {
        g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
        json_node_set_object(node, response);
        g_autofree char *shown = json_to_string(node, FALSE);
        g_error("%s %s: error %d was expected, not %s", method, text, code, shown);
    }
    return error;
}

int64_t
test_send(TestClient *client, const char *method, const char *params, ...)
{
    va_list arguments;
    va_start(arguments, params);
    g_autofree char *text = make_params(params, arguments);
    va_end(arguments);
    return send_request(client, method, text);
}

JsonObject *
test_wait_response(TestClient *client, int64_t id)
{
    for (;;) {
        JsonNode *node = next_message(client);
        if (node == NULL)
            g_error("the server closed the connection before it answered request %" G_GINT64_FORMAT, id);
        JsonObject *message = json_node_get_object(node);
        if (is_notification(message)) {
            g_queue_push_tail(&client->notifications, node);
            continue;
        }
        JsonNode *found = json_object_get_member(message, "id");
        if (JSON_NODE_HOLDS_VALUE(found) && json_node_get_int(found) == id)
            return lend(client, node);
        json_node_unref(node);
    }
}

JsonObject *
test_wait_notification(TestClient *client, const char *method)
{
    for (GList *link = client->notifications.head;; link = link->next) {
        while (link == NULL) {
            JsonNode *node = next_message(client);
            if (node == NULL)
                g_error("the server closed the connection before it sent %s", method);
            if (is_notification(json_node_get_object(node))) {
                g_queue_push_tail(&client->notifications, node);
                link = client->notifications.tail;
            } else {
                json_node_unref(node);
            }
        }
        JsonObject *message = json_node_get_object(link->data);
        if (g_strcmp0(json_object_get_string_member(message, "method"), method) != 0)
            continue;
        JsonNode *node = link->data;
        g_queue_delete_link(&client->notifications, link);
        return json_object_get_object_member(lend(client, node), "params");
    }
}

bool
test_has_notification(TestClient *client, const char *method)
{
    test_sync(client);
    for (GList *link = client->notifications.head; link != NULL; link = link->next) {
        if (g_strcmp0(json_object_get_string_member(json_node_get_object(link->data), "method"), method) == 0)
            return true;
    }
    return false;
}

JsonObject *
test_take_notification(TestClient *client, const char **method)
{
    JsonNode *node = g_queue_pop_head(&client->notifications);
    if (node == NULL)
        return NULL;
    JsonObject *message = lend(client, node);
    if (method != NULL)
        *method = json_object_get_string_member(message, "method");
    return json_object_get_object_member(message, "params");
}

void
test_sync(TestClient *client)
{
    test_call(client, "server.info", "{}");
}

void
test_client_write(TestClient *client, const void *data, size_t size)
{
    const char *bytes = data;
    while (size > 0) {
        ssize_t sent = send(client->fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return; /* The server closed; the reader will see it. */
        bytes += sent;
        size -= (size_t)sent;
    }
}

const char *
test_client_read_line(TestClient *client)
{
    for (;;) {
        const char *start = client->input->str + client->taken;
        const char *end = memchr(start, '\n', client->input->len - client->taken);
        if (end != NULL) {
            g_free(client->line);
            client->line = g_strndup(start, (gsize)(end - start));
            client->taken += (size_t)(end - start) + 1;
            return client->line;
        }
        g_string_erase(client->input, 0, (gssize)client->taken);
        client->taken = 0;
        if (!receive(client))
            return NULL;
    }
}

void
test_client_wait_closed(TestClient *client)
{
    JsonNode *node;
    while ((node = next_message(client)) != NULL) {
        if (is_notification(json_node_get_object(node)))
            g_queue_push_tail(&client->notifications, node);
        else
            json_node_unref(node);
    }
}

void
test_client_abort(TestClient *client)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(client->fd);
    client->fd = -1;
}

int
test_client_get_fd(const TestClient *client)
{
    return client->fd;
}

JsonObject *
test_client_get_session(TestClient *client)
{
    return json_node_get_object(client->session);
}

char *
test_client_dup_token(TestClient *client)
{
    return g_strdup(json_object_get_string_member(test_client_get_session(client), "session"));
}

char *
test_client_dup_environment(TestClient *client)
{
    JsonObject *server = json_object_get_object_member(test_client_get_session(client), "server");
    return g_strdup(json_object_get_string_member(server, "environment"));
}

int64_t
test_person_new(TestClient *admin, const char *name)
{
    JsonObject *result = test_call(admin, "object.create", "{'object':{'type':'person','name':'%s'}}", name);
    int64_t person = json_object_get_int_member(result, "dbid");
    test_call(admin, "account.setPassword", "{'dbid':%" G_GINT64_FORMAT ",'password':'pw'}", person);
    test_call(
        admin, "permission.update",
        "{'type':'application','name':'confctl','grant':[{'account':{'type':'person','dbid':%" G_GINT64_FORMAT
        "},'rights':['read','execute']}]}",
        person);
    return person;
}

bool
test_client_has_seen(TestClient *client, const char *text)
{
    return memmem(client->seen->str, client->seen->len, text, strlen(text)) != NULL;
}

int64_t
test_statistic(TestClient *client, const char *name)
{
    return json_object_get_int_member(test_call(client, "server.statistics", "{}"), name);
}

void
test_wait_statistic(TestClient *client, const char *name, int64_t at_least)
{
    int64_t deadline = g_get_monotonic_time() + (int64_t)DEADLINE_MS * 1000;
    while (test_statistic(client, name) < at_least) {
        if (g_get_monotonic_time() > deadline)
            g_error("statistic %s did not reach %" G_GINT64_FORMAT, name, at_least);
        g_usleep(5000);
    }
}

void
test_wait_revision(TestClient *client, int64_t revision)
{
    test_call(client, "object.read",
              "{'type':'tenant','dbid':1,'minRevision':%" G_GINT64_FORMAT ",'timeout':30}", revision);
}

static bool
receive(TestClient *client)
{
    struct pollfd waiting = {.fd = client->fd, .events = POLLIN};
    int ready = poll(&waiting, 1, DEADLINE_MS);
    if (ready == 0)
        g_error("the server sent nothing for %d s", DEADLINE_MS / 1000);
    char buffer[65536];
    ssize_t size = recv(client->fd, buffer, sizeof buffer, 0);
    if (size <= 0)
        return false;
    g_string_append_len(client->input, buffer, size);
    g_string_append_len(client->seen, buffer, size);
    return true;
}

static JsonNode *
next_message(TestClient *client)
{
    const char *line = test_client_read_line(client);
    if (line == NULL)
        return NULL;
    g_autoptr(GError) error = NULL;
    JsonNode *node = json_from_string(line, &error);
    g_assert_no_error(error);
    g_assert_true(JSON_NODE_HOLDS_OBJECT(node));
    return node;
}

static char *
make_params(const char *params, va_list arguments)
{
    char *text = g_strdup_vprintf(params, arguments);
    return g_strdelimit(text, "'", '"');
}

static int64_t
send_request(TestClient *client, const char *method, const char *params)
{
    int64_t id = ++client->next_id;
    g_autofree char *line =
        g_strdup_printf("{\"jsonrpc\":\"2.0\",\"id\":%" G_GINT64_FORMAT ",\"method\":\"%s\",\"params\":%s}\n",
                        id, method, params);
    test_client_write(client, line, strlen(line));
    g_ptr_array_set_size(client->lent, 0);
    return id;
}

/* Takes the node; it stays until the next request is sent. */
static JsonObject *
lend(TestClient *client, JsonNode *node)
{
    g_ptr_array_add(client->lent, node);
    return json_node_get_object(node);
}

static bool
is_notification(JsonObject *message)
{
    return json_object_has_member(message, "method");
}
