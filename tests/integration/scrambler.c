/* scrambler.c - see scrambler.h. */
#include "scrambler.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LAYERS_MAX = 2, BLOCK = 700, POLL_MS = 20 };

/* As plugin t-filter speaks: "XOR", length, name; then blocks. */
typedef struct {
    GByteArray *input;
    bool greeted;
    uint8_t in, out;
} Layer;

struct TestScrambler {
    uint16_t server_port, port;
    char *name;
    unsigned layer_count, piece;
    int listener;
    int stopping, spoiling, cutting; /* atomic */
    GThread *thread;
    /* of the thread */
    int client, server;
    Layer layers[LAYERS_MAX]; /* the lowest is next to the wire */
    GByteArray *waiting;      /* plain, until the handshakes are over */
};

static void *run(void *data);

TestScrambler *
test_scrambler_new(uint16_t server_port, const char *name, unsigned layers, unsigned piece)
{
    TestScrambler *scrambler = g_new0(TestScrambler, 1);
    *scrambler = (TestScrambler){.server_port = server_port,
                                 .name = g_strdup(name),
                                 .layer_count = layers,
                                 .piece = piece,
                                 .client = -1,
                                 .server = -1};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    scrambler->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(scrambler->listener, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(scrambler->listener, 8), ==, 0);
    g_assert_cmpint(getsockname(scrambler->listener, (struct sockaddr *)&address, &size), ==, 0);
    scrambler->port = ntohs(address.sin_port);
    scrambler->thread = g_thread_new("scrambler", run, scrambler);
    return scrambler;
}

uint16_t
test_scrambler_get_port(const TestScrambler *scrambler)
{
    return scrambler->port;
}

void
test_scrambler_spoil(TestScrambler *scrambler)
{
    g_atomic_int_set(&scrambler->spoiling, 1);
}

void
test_scrambler_cut(TestScrambler *scrambler)
{
    g_atomic_int_set(&scrambler->cutting, 1);
}

void
test_scrambler_free(TestScrambler *scrambler)
{
    if (scrambler == NULL)
        return;
    g_atomic_int_set(&scrambler->stopping, 1);
    g_thread_join(scrambler->thread);
    close(scrambler->listener);
    g_free(scrambler->name);
    g_free(scrambler);
}

static void
send_all(int fd, const void *data, size_t size, unsigned piece)
{
    const char *bytes = data;
    while (size > 0) {
        ssize_t sent = send(fd, bytes, piece > 0 ? MIN(size, piece) : size, MSG_NOSIGNAL);
        if (sent < 0)
            return; /* The reader will see it. */
        bytes += sent;
        size -= (size_t)sent;
    }
}

/* Down to the wire from below layer `above`. */
static void
send_wire(TestScrambler *scrambler, unsigned above, const void *data, size_t size)
{
    if (above == 0) {
        send_all(scrambler->server, data, size, scrambler->piece);
        return;
    }
    Layer *layer = &scrambler->layers[above - 1];
    const uint8_t *bytes = data;
    g_autoptr(GByteArray) blocks = g_byte_array_new();
    while (size > 0) {
        unsigned length = (unsigned)MIN(size, BLOCK);
        uint8_t head[2] = {(uint8_t)(length >> 8), (uint8_t)length};
        g_byte_array_append(blocks, head, 2);
        for (unsigned i = 0; i < length; i++) {
            uint8_t byte = bytes[i] ^ layer->out++;
            g_byte_array_append(blocks, &byte, 1);
        }
        bytes += length;
        size -= length;
    }
    send_wire(scrambler, above - 1, blocks->data, blocks->len);
}

static void
greet(TestScrambler *scrambler, unsigned index)
{
    g_autofree char *greeting = g_strdup_printf("XOR%c%s", (char)strlen(scrambler->name), scrambler->name);
    send_wire(scrambler, index, greeting, strlen(greeting));
}

static void
take_wire(TestScrambler *scrambler, unsigned index, const void *data, unsigned size)
{
    if (index == scrambler->layer_count) {
        send_all(scrambler->client, data, size, 0);
        return;
    }
    Layer *layer = &scrambler->layers[index];
    GByteArray *input = layer->input;
    g_byte_array_append(input, data, size);
    if (!layer->greeted) {
        if (input->len < 4 || input->len < 4u + input->data[3])
            return;
        g_byte_array_remove_range(input, 0, 4u + input->data[3]);
        layer->greeted = true;
        if (index + 1 < scrambler->layer_count)
            greet(scrambler, index + 1);
        else
            send_wire(scrambler, scrambler->layer_count, scrambler->waiting->data, scrambler->waiting->len);
    }
    while (input->len >= 2) {
        unsigned length = (unsigned)input->data[0] << 8 | input->data[1];
        if (input->len < 2 + length)
            return;
        g_autofree uint8_t *plain = g_malloc(length + 1);
        for (unsigned i = 0; i < length; i++)
            plain[i] = input->data[2 + i] ^ layer->in++;
        g_byte_array_remove_range(input, 0, 2 + length);
        take_wire(scrambler, index + 1, plain, length);
    }
}

static void
begin(TestScrambler *scrambler)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(scrambler->server_port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    scrambler->client = accept(scrambler->listener, NULL, NULL);
    scrambler->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(connect(scrambler->server, (struct sockaddr *)&address, sizeof address), ==, 0);
    setsockopt(scrambler->server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    scrambler->waiting = g_byte_array_new();
    for (unsigned i = 0; i < scrambler->layer_count; i++)
        scrambler->layers[i] = (Layer){.input = g_byte_array_new()};
    greet(scrambler, 0);
}

static void
end(TestScrambler *scrambler)
{
    close(scrambler->client);
    close(scrambler->server);
    scrambler->client = scrambler->server = -1;
    g_byte_array_unref(scrambler->waiting);
    for (unsigned i = 0; i < scrambler->layer_count; i++)
        g_byte_array_unref(scrambler->layers[i].input);
}

/* False: one side has ended. */
static bool
carry(TestScrambler *scrambler, bool from_client)
{
    char buffer[65536];
    ssize_t size = recv(from_client ? scrambler->client : scrambler->server, buffer, sizeof buffer, 0);
    if (size <= 0)
        return false;
    if (!from_client)
        take_wire(scrambler, 0, buffer, (unsigned)size);
    else if (scrambler->layers[scrambler->layer_count - 1].greeted)
        send_wire(scrambler, scrambler->layer_count, buffer, (size_t)size);
    else
        g_byte_array_append(scrambler->waiting, (const uint8_t *)buffer, (unsigned)size);
    return true;
}

static void *
run(void *data)
{
    TestScrambler *scrambler = data;
    while (!g_atomic_int_get(&scrambler->stopping)) {
        struct pollfd waiting[2] = {{.fd = scrambler->listener, .events = POLLIN}};
        bool connected = scrambler->server >= 0;
        if (connected) {
            waiting[0].fd = scrambler->client;
            waiting[1] = (struct pollfd){.fd = scrambler->server, .events = POLLIN};
        }
        poll(waiting, connected ? 2 : 1, POLL_MS);
        bool whole = true;
        if (connected && g_atomic_int_compare_and_exchange(&scrambler->spoiling, 1, 0))
            send_all(scrambler->server, "\xff\xff\xff", 3, 0);
        if (connected && g_atomic_int_compare_and_exchange(&scrambler->cutting, 1, 0)) {
            send_all(scrambler->server, "\x01\x00half", 6, 0);
            whole = false;
        }
        if (!connected && waiting[0].revents != 0)
            begin(scrambler);
        else if (connected && waiting[1].revents != 0)
            whole = carry(scrambler, false) && whole;
        else if (connected && waiting[0].revents != 0)
            whole = carry(scrambler, true) && whole;
        if (!whole)
            end(scrambler);
    }
    if (scrambler->server >= 0)
        end(scrambler);
    return NULL;
}
