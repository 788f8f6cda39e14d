/* liar.c - see liar.h.  One connection at a time; blocking, with a look at the end now and then. */
#include "liar.h"

#include <arpa/inet.h>
#include <errno.h>
#include <json-glib/json-glib.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TURN_MS = 50, CHUNK = 65536, DEEP = 1000000, MANY = 20000000, DEPTH_MAX = 20 };

#define SESSION \
    "{\"protocol\":1,\"features\":[],\"session\":\"t\",\"resumable\":3600,\"server\":{\"name\":\"x\",\"role\":" \
    "\"primary\",\"release\":\"0\",\"environment\":\"e\",\"epoch\":1,\"revision\":10,\"chain\":\"c\",\"writable\":" \
    "true},\"account\":{\"dbid\":100,\"name\":\"a\",\"tenant\":1},\"text\":\"Your password ends on \\u001bFriday\"}"

struct Liar {
    LiarManner manner;
    uint16_t port, target;
    int fd;
    GRand *random;
    GThread *thread;
    int is_over; /* atomic */
    unsigned answers;
};

static void *serve_all(void *data);
static void serve(Liar *liar, int fd);
static void relay(Liar *liar, int client);
static bool answer(Liar *liar, int fd, const char *line);
static bool flood(Liar *liar, int fd, const char *text);
static char *mutate_line(Liar *liar, const char *line);
static JsonNode *mutate(Liar *liar, JsonNode *node, unsigned depth);

Liar *
liar_new(LiarManner manner, uint16_t target, uint32_t seed)
{
    Liar *liar = g_new0(Liar, 1);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    liar->manner = manner;
    liar->target = target;
    liar->random = g_rand_new_with_seed(seed);
    liar->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(liar->fd, (struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(listen(liar->fd, 16), ==, 0);
    g_assert_cmpint(getsockname(liar->fd, (struct sockaddr *)&address, &size), ==, 0);
    liar->port = ntohs(address.sin_port);
    liar->thread = g_thread_new("liar", serve_all, liar);
    return liar;
}

uint16_t
liar_get_port(const Liar *liar)
{
    return liar->port;
}

void
liar_free(Liar *liar)
{
    g_atomic_int_set(&liar->is_over, 1);
    g_thread_join(liar->thread);
    close(liar->fd);
    g_rand_free(liar->random);
    g_free(liar);
}

static bool
wait_for(Liar *liar, int fd, short events)
{
    struct pollfd wait = {.fd = fd, .events = events};
    int count = 0;
    while (count == 0 && g_atomic_int_get(&liar->is_over) == 0)
        count = poll(&wait, 1, TURN_MS);
    return count > 0;
}

/* False: the other side has gone. */
static bool
write_all(Liar *liar, int fd, const char *data, size_t size)
{
    while (size > 0) {
        if (!wait_for(liar, fd, POLLOUT))
            return false;
        ssize_t count = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        data += MAX(count, 0);
        size -= (size_t)MAX(count, 0);
    }
    return true;
}

static void *
serve_all(void *data)
{
    Liar *liar = data;
    while (wait_for(liar, liar->fd, POLLIN)) {
        int fd = accept4(liar->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        if (liar->manner == LIAR_MUTATE)
            relay(liar, fd);
        else
            serve(liar, fd);
        close(fd);
    }
    return NULL;
}

/* Takes whole lines out of the buffer. */
static char *
take_line(GString *buffer)
{
    char *end = memchr(buffer->str, '\n', buffer->len);
    if (end == NULL)
        return NULL;
    gssize size = end - buffer->str;
    char *line = g_strndup(buffer->str, (gsize)size);
    g_string_erase(buffer, 0, size + 1);
    return line;
}

static bool
fill(int fd, GString *buffer)
{
    char chunk[CHUNK];
    ssize_t count = recv(fd, chunk, sizeof chunk, 0);
    if (count > 0)
        g_string_append_len(buffer, chunk, count);
    return count > 0;
}

static void
serve(Liar *liar, int fd)
{
    g_autoptr(GString) buffer = g_string_new(NULL);
    while (wait_for(liar, fd, POLLIN) && fill(fd, buffer)) {
        g_autofree char *line = NULL;
        while ((line = take_line(buffer)) != NULL) {
            if (!answer(liar, fd, line))
                return;
            g_clear_pointer(&line, g_free);
        }
    }
}

static bool
say(Liar *liar, int fd, const char *id, const char *member, const char *json)
{
    g_autofree char *line = g_strdup_printf("{\"jsonrpc\":\"2.0\",\"id\":%s,\"%s\":%s}\n", id, member, json);
    return write_all(liar, fd, line, strlen(line));
}

static bool
say_many(Liar *liar, int fd, const char *first, char fill_byte, size_t size)
{
    g_autofree char *line = g_malloc(size + 1);
    memset(line, fill_byte, size);
    for (size_t i = 1; first != NULL && i < size; i += 2)
        line[i] = ',';
    memcpy(line, first != NULL ? first : "", first != NULL ? strlen(first) : 0);
    line[size] = '\n';
    return write_all(liar, fd, line, size + 1);
}

/* False: this connection is done with. */
static bool
answer(Liar *liar, int fd, const char *line)
{
    static const char challenge[] =
        "{\"code\":-32002,\"message\":\"?\",\"data\":{\"challenge\":\"c\",\"prompt\":\"?\"}}";
    g_autoptr(JsonNode) node = json_from_string(line, NULL);
    g_assert_nonnull(node);
    JsonObject *request = json_node_get_object(node);
    g_autofree char *id = json_to_string(json_object_get_member(request, "id"), FALSE);
    const char *method = json_object_get_string_member_with_default(request, "method", "");
    bool is_list = g_str_equal(method, "object.list");
    liar->answers++;
    switch (liar->manner) {
    case LIAR_ENDLESS_LINE:
        return flood(liar, fd, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    case LIAR_BYTES:
        return write_all(liar, fd, "\xff\xfe\n", 4);
    case LIAR_DEEP:
        return say_many(liar, fd, NULL, '[', DEEP - 1);
    case LIAR_MANY_VALUES:
        return g_str_equal(method, "session.open") ? say(liar, fd, id, "result", SESSION)
                                                   : say_many(liar, fd, "{\"id\":2,\"result\":[0", '0', MANY);
    case LIAR_WRONG_IDS:
        return say(liar, fd, "4711", "result", SESSION) && say(liar, fd, "\"1\"", "result", SESSION) &&
               say(liar, fd, "[]", "result", SESSION);
    case LIAR_HALF_LINE:
        write_all(liar, fd, "{\"jsonrpc\":\"2.0\",\"id\":1,", 25);
        return false;
    case LIAR_SILENCE:
        return write_all(liar, fd, "{\"jsonrpc\":\"2.0\",\"id\":1,", 25);
    case LIAR_REFUSES:
        return say(
            liar, fd, id, "error",
            "{\"code\":-32001,\"message\":\"Log-in is refused\",\"data\":{\"text\":\"Your account \\u001b[31mis "
            "locked\"}}");
    case LIAR_CHALLENGES:
        return say(liar, fd, id, "error", challenge);
    case LIAR_FLOOD:
        return flood(liar, fd, "{\"jsonrpc\":\"2.0\",\"method\":\"server.status\",\"params\":{\"x\":1}}\n");
    case LIAR_POLLS:
        return flood(liar, fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"addp.poll\",\"params\":{}}\n");
    case LIAR_EMPTY_PAGES:
    case LIAR_SAME_CURSOR:
        if (g_str_equal(method, "session.open"))
            return say(liar, fd, id, "result", SESSION);
        if (is_list) {
            g_autofree char *page = g_strdup_printf("{\"revision\":1,\"objects\":[],\"cursor\":\"c%u\"}",
                                                    liar->manner == LIAR_EMPTY_PAGES ? liar->answers : 0);
            return say(liar, fd, id, "result", page);
        }
        return say(liar, fd, id, "result", "{\"types\":[{\"type\":\"host\",\"fields\":[]}]}");
    default:
        g_assert_not_reached();
    }
}

static bool
flood(Liar *liar, int fd, const char *text)
{
    g_autoptr(GString) many = g_string_new(NULL);
    while (many->len < CHUNK)
        g_string_append(many, text);
    while (write_all(liar, fd, many->str, many->len))
        continue;
    return false;
}

static void
relay(Liar *liar, int client)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(liar->target), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(connect(server, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_autoptr(GString) up = g_string_new(NULL), down = g_string_new(NULL);
    bool goes_on = true;
    while (goes_on && g_atomic_int_get(&liar->is_over) == 0) {
        struct pollfd waits[2] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
        poll(waits, 2, TURN_MS);
        if (waits[0].revents != 0) {
            goes_on = fill(client, up) && write_all(liar, server, up->str, up->len);
            g_string_truncate(up, 0);
        }
        if (goes_on && waits[1].revents != 0)
            goes_on = fill(server, down);
        g_autofree char *line = NULL;
        while (goes_on && (line = take_line(down)) != NULL) {
            g_autofree char *changed = mutate_line(liar, line);
            goes_on = write_all(liar, client, changed, strlen(changed));
            g_clear_pointer(&line, g_free);
        }
    }
    close(server);
}

/* Its number stays, mostly: else the client would only wait. */
static char *
mutate_line(Liar *liar, const char *line)
{
    g_autoptr(JsonNode) node = json_from_string(line, NULL);
    JsonObject *object = node != NULL && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    static const char *const members[] = {"result", "params", "error"};
    for (unsigned i = 0; object != NULL && i < G_N_ELEMENTS(members); i++) {
        JsonNode *member = json_object_get_member(object, members[i]);
        if (member != NULL)
            json_object_set_member(object, members[i], mutate(liar, member, 0));
    }
    g_autofree char *text = node != NULL ? json_to_string(node, FALSE) : g_strdup(line);
    return g_strconcat(text, "\n", NULL);
}

static JsonNode *
nonsense(Liar *liar)
{
    static const char *const values[] = {"null",
                                         "true",
                                         "-1",
                                         "0",
                                         "9007199254740993",
                                         "1e300",
                                         "\"\"",
                                         "\"x\\u0000y\"",
                                         "[]",
                                         "{}",
                                         "[1]",
                                         "[null]",
                                         "[{}]",
                                         "{\"dbid\":\"x\",\"type\":[]}",
                                         "\"/\"",
                                         "\"\\u001b[2J\"",
                                         "[[\"a\"]]"};
    return json_from_string(values[g_rand_int_range(liar->random, 0, G_N_ELEMENTS(values))], NULL);
}

/* About one of thirty values becomes another one, or goes. */
static JsonNode *
mutate(Liar *liar, JsonNode *node, unsigned depth)
{
    if (g_rand_int_range(liar->random, 0, 30) == 0 && depth > 0)
        return nonsense(liar);
    if (JSON_NODE_HOLDS_OBJECT(node) && depth < DEPTH_MAX) {
        JsonObject *to = json_object_new();
        JsonObjectIter iter;
        const char *name;
        JsonNode *value;
        json_object_iter_init_ordered(&iter, json_node_get_object(node));
        while (json_object_iter_next_ordered(&iter, &name, &value)) {
            if (g_rand_int_range(liar->random, 0, 60) != 0)
                json_object_set_member(to, name, mutate(liar, value, depth + 1));
        }
        JsonNode *changed = json_node_new(JSON_NODE_OBJECT);
        json_node_take_object(changed, to);
        return changed;
    }
    if (!JSON_NODE_HOLDS_ARRAY(node) || depth >= DEPTH_MAX)
        return json_node_copy(node);
    JsonArray *from = json_node_get_array(node), *to = json_array_new();
    for (guint i = 0; i < json_array_get_length(from); i++)
        json_array_add_element(to, mutate(liar, json_array_get_element(from, i), depth + 1));
    JsonNode *changed = json_node_new(JSON_NODE_ARRAY);
    json_node_take_array(changed, to);
    return changed;
}
