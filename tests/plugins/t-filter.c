/* t-filter.c - test plugin: a transforming filter on both ends of a link, as TLS is one.
 *
 * The stream: each side greets with "XOR", a byte of length and its name; then blocks follow: two bytes of
 * length (big endian) and so many bytes, each XORed with the place it has in the stream.  Option t-filter
 * of a connection decides: "xor", "twice" (two of them, one over the other), "fail" (the handshake fails),
 * "refuse" (by the hook), "stall" (a handshake that never ends), "off". */
#include "plugin-test.h"

enum { BLOCK_MAX = 1000, NAME_MAX_SIZE = 100 };

typedef struct {
    char *mode;
    char *name;
} Settings;

typedef struct {
    ConfPlugin *plugin;
    const Settings *settings;
    uint64_t made, freed, ready, cut;
} Self;

typedef struct {
    Self *self;
    char *mode;
    GByteArray *input;
    bool greeted;    /* the peer's greeting is here */
    uint8_t in, out; /* the key of the next byte */
} Filter;

static const ConfOption OPTIONS[] = {
    CONF_OPTION_STRING(Settings, mode, NULL, "t-filter", "off", NULL, CONF_ON_CONNECT,
                       "What is done to a connection."),
    CONF_OPTION_STRING(Settings, name, NULL, "name", "nobody", NULL, CONF_ON_CONNECT,
                       "The name in the greeting."),
    CONF_OPTION_END,
};

static void
greet(Filter *filter, ConfFilterHandle *h)
{
    const char *name = filter->self->settings->name;
    uint8_t head[4] = {'X', 'O', 'R', (uint8_t)strlen(name)};
    conf_filter_emit_wire(h, head, sizeof head);
    conf_filter_emit_wire(h, name, head[3]);
}

static void
start(void *data, ConfFilterHandle *h, bool outgoing)
{
    Filter *filter = data;
    if (outgoing)
        greet(filter, h);
}

/* True: the greeting is complete, and passed. */
static bool
take_greeting(Filter *filter, ConfFilterHandle *h)
{
    const uint8_t *bytes = filter->input->data;
    unsigned size = filter->input->len;
    if (memcmp(bytes, "XOR", MIN(size, 3)) != 0 || test_is(filter->mode, "fail")) {
        static const char sorry[] = "sorry";
        conf_filter_emit_wire(h, sorry, sizeof sorry - 1);
        conf_filter_fail(h, "The greeting is not understood");
        return false;
    }
    if (size < 4 || size < 4u + bytes[3])
        return false;
    g_autofree char *name = g_strndup((const char *)bytes + 4, bytes[3]);
    g_autofree char *subject = g_strconcat("CN=", name, NULL);
    g_byte_array_remove_range(filter->input, 0, 4u + (unsigned)strlen(name));
    if (test_is(filter->mode, "stall"))
        return false;
    filter->greeted = true;
    ConfConnection *c = conf_filter_get_connection(h);
    if (!conf_connection_is_outgoing(c))
        greet(filter, h);
    const char *const names[] = {name, "localhost", NULL};
    conf_filter_set_peer_identity(h, subject, names);
    conf_filter_set_encrypted(h, true);
    filter->self->ready++;
    conf_filter_ready(h);
    return true;
}

static void
decode(void *data, ConfFilterHandle *h, const void *bytes, size_t size)
{
    Filter *filter = data;
    GByteArray *input = filter->input;
    g_byte_array_append(input, bytes, (unsigned)size);
    if (!filter->greeted && !take_greeting(filter, h))
        return;
    while (input->len >= 2) {
        unsigned length = (unsigned)input->data[0] << 8 | input->data[1];
        if (length > BLOCK_MAX) {
            conf_filter_fail(h, "A block is too long");
            return;
        }
        if (input->len < 2 + length)
            return;
        if (length == 0) {
            g_byte_array_remove_range(input, 0, 2);
            conf_filter_peer_ended(h);
            return;
        }
        uint8_t plain[BLOCK_MAX];
        for (unsigned i = 0; i < length; i++)
            plain[i] = input->data[2 + i] ^ filter->in++;
        g_byte_array_remove_range(input, 0, 2 + length);
        conf_filter_emit_plain(h, plain, length);
    }
}

static void
encode(void *data, ConfFilterHandle *h, const void *bytes, size_t size)
{
    Filter *filter = data;
    const uint8_t *from = bytes;
    while (size > 0) {
        unsigned length = (unsigned)MIN(size, BLOCK_MAX);
        uint8_t block[2 + BLOCK_MAX] = {(uint8_t)(length >> 8), (uint8_t)length};
        for (unsigned i = 0; i < length; i++)
            block[2 + i] = from[i] ^ filter->out++;
        conf_filter_emit_wire(h, block, 2 + length);
        from += length;
        size -= length;
    }
}

/* An empty block is the end of a stream that was not cut. */
static void
end(void *data, ConfFilterHandle *h)
{
    static const uint8_t last[2] = {0, 0};
    conf_filter_emit_wire(h, last, sizeof last);
}

static bool
peer_closed(void *data, ConfFilterHandle *h)
{
    Filter *filter = data;
    bool whole = filter->input->len == 0;
    filter->self->cut += whole ? 0 : 1;
    return whole;
}

static void
free_filter(void *data)
{
    Filter *filter = data;
    filter->self->freed++;
    g_byte_array_unref(filter->input);
    g_free(filter->mode);
    g_free(filter);
}

static void
push(Self *self, ConfConnection *c, const char *mode)
{
    static const ConfFilterTable table = {
        .size = sizeof table,
        .start = start,
        .decode = decode,
        .encode = encode,
        .end = end,
        .peer_closed = peer_closed,
        .free = free_filter,
    };
    Filter *filter = g_new0(Filter, 1);
    *filter = (Filter){.self = self, .mode = g_strdup(mode), .input = g_byte_array_new()};
    self->made++;
    conf_connection_push_filter(c, &table, filter);
}

static ConfVerdict
transport(void *data, ConfConnection *c, GError **error)
{
    Self *self = data;
    const char *mode = conf_connection_get_option(c, "t-filter", "t-filter");
    if (mode == NULL || test_is(mode, "off"))
        return CONF_NEXT;
    if (test_is(mode, "refuse")) {
        g_set_error(error, CONF_ERROR, CONF_ERROR_DENIED, "filtered connections are refused");
        return CONF_REFUSE;
    }
    push(self, c, mode);
    if (test_is(mode, "twice"))
        push(self, c, mode);
    return CONF_DONE;
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks hooks = {.size = sizeof hooks, .transport = transport};
    Self *self = g_new0(Self, 1);
    self->plugin = p;
    self->settings = settings;
    conf_plugin_hook(p, CONF_EARLY, &hooks);
    conf_plugin_statistic(p, "made", &self->made);
    conf_plugin_statistic(p, "freed", &self->freed);
    conf_plugin_statistic(p, "ready", &self->ready);
    conf_plugin_statistic(p, "cut", &self->cut);
    return self;
}

static void
changed(void *data, const void *settings)
{
    ((Self *)data)->settings = settings;
}

static void
unload(void *data)
{
    Self *self = data;
    /* Every connection has ended before. */
    if (self->made != self->freed)
        conf_plugin_log(self->plugin, 0, "Filters are left over", NULL);
    g_free(self);
}

CONF_PLUGIN(.name = "t-filter", .version = "1", .summary = "Scrambles connections", .options = OPTIONS,
            .settings_size = sizeof(Settings), .load = load, .changed = changed, .unload = unload);
