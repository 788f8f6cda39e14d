/* fuzz-replica-stream.c - what a master sends, line by line; the first byte says to whom: 0 a proxy at its
 * first load, 1 one that follows, 2 one that loads anew, 3 one that asked for older change records.
 * Whatever comes: the digest of the store is that of its objects, and its revision does not go back. */
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "replication/upstream-private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    ConfUpstream *upstream;
    ConfStore *store;
    ConfPublisher *publisher;
    int64_t confirmed;
} World;

static const char *const objects[] = {
    "{\"object\":{\"type\":\"tenant\",\"dbid\":1,\"revision\":1,\"name\":\"Environment\",\"tenant\":1,\"state\":\"enabled\"}}",
    "{\"object\":{\"type\":\"folder\",\"dbid\":103,\"revision\":1,\"name\":\"Hosts\",\"tenant\":1,\"state\":\"enabled\","
    "\"holds\":\"host\"}}",
    "{\"object\":{\"type\":\"host\",\"dbid\":200,\"revision\":2,\"name\":\"one\",\"tenant\":1,\"folder\":103,"
    "\"state\":\"enabled\"}}",
};

static void ready(ConfStore *store, void *data);
static void nothing(void *data);
static void failed(const GError *error, void *data);
static ConfPublisher *publisher_of(void *data);
static int64_t confirmed(void *data);
static bool record(int64_t revision, const char *chain, const char *text, GError **error, void *data);
static void line_came(ConfConnection *connection, ConfSlice line);
static void too_long(ConfConnection *connection);
static void opened(ConfConnection *connection);
static void closed(ConfConnection *connection, const char *reason);
static ConfSchema *make_schema(void);
static ConfStore *make_store(void);
static void open_link(World *world, int mode, int fd);
static void speak(World *world, const char *text, size_t size);
static void check(const ConfStore *store);
static void turn(unsigned times);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    if (size < 2)
        return 0;
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    World world = {0};
    ConfUpstreamSettings settings = {.hosts = "127.0.0.1",
                                     .port = 1,
                                     .application = "px",
                                     .role = "proxy",
                                     .transport = "",
                                     .release = "1"};
    ConfUpstreamHost host = {
        .ready = ready,
        .status = nothing,
        .failed = failed,
        .publisher = publisher_of,
        .environment_changed = nothing,
        .confirmed = confirmed,
        .record = record,
        .data = &world,
    };
    world.upstream = conf_upstream_new(&settings, &host, NULL);
    conf_timer_cancel(&world.upstream->retry);
    open_link(&world, data[0] & 3, fds[0]);
    int64_t revision = world.store != NULL ? conf_store_position(world.store)->revision : 0;
    speak(&world, (const char *)data + 1, size - 1);
    turn(4);
    if (world.store != NULL) {
        check(world.store);
        g_assert_cmpint(conf_store_position(world.store)->revision, >=, revision);
    }
    conf_upstream_free(world.upstream);
    conf_poller_end_turn(conf_poller_default());
    turn(1);
    conf_publisher_free(world.publisher);
    conf_store_free(world.store);
    close(fds[1]);
    return 0;
}

static void
open_link(World *world, int mode, int fd)
{
    static const ConfConnectionFuncs funcs = {
        .line = line_came, .too_long = too_long, .opened = opened, .closed = closed};
    ConfUpstream *upstream = world->upstream;
    upstream->connection =
        conf_connection_new_accepted(conf_poller_default(), fd, "default", &funcs, upstream);
    g_assert_nonnull(upstream->connection);
    turn(1);
    upstream->calls = conf_calls_new(upstream->connection);
    upstream->state = mode == 1 ? CONF_LINK_LIVE : CONF_LINK_LOADING;
    g_strlcpy(upstream->environment, "6f1c3a52-3d0c-4c6e-8b1a-0d6c1f0e9a11", sizeof upstream->environment);
    upstream->records.wanted = mode == 3;
    if (mode == 1 || mode == 2) {
        upstream->store = make_store();
        ready(upstream->store, world);
    } else {
        upstream->schema = make_schema();
    }
}

static ConfSchema *
make_schema(void)
{
    static ConfSchema *read;
    if (read == NULL)
        read = conf_schema_load(SCHEMA_FOLDER, NULL);
    g_assert_nonnull(read);
    return conf_schema_parse(conf_schema_text(read), NULL);
}

static ConfStore *
make_store(void)
{
    ConfStore *store = conf_store_new(make_schema());
    ConfStorePosition position = {.epoch = 1, .revision = 2};
    g_strlcpy(position.environment, "6f1c3a52-3d0c-4c6e-8b1a-0d6c1f0e9a11", sizeof position.environment);
    g_strlcpy(position.chain, "0123456789abcdef", sizeof position.chain);
    for (unsigned i = 0; i < G_N_ELEMENTS(objects); i++) {
        ConfObject *object = conf_upstream_read_item(store, conf_slice_from_string(objects[i]), NULL);
        g_assert_nonnull(object);
        bool loaded = conf_store_load(store, object, NULL);
        g_assert_true(loaded);
    }
    conf_store_set_position(store, &position);
    return store;
}

static void
speak(World *world, const char *text, size_t size)
{
    ConfUpstream *upstream = world->upstream;
    while (size > 0 && upstream->connection != NULL && conf_connection_is_open(upstream->connection)) {
        const char *end = memchr(text, '\n', size);
        size_t length = end != NULL ? (size_t)(end - text) : size;
        if (length > 0)
            conf_dispatch_line(upstream->table, upstream->connection, (ConfSlice){text, length});
        text += MIN(length + 1, size);
        size -= MIN(length + 1, size);
    }
}

/* The sum that is kept is the sum of what is there. */
static void
check(const ConfStore *store)
{
    uint8_t sum[16] = {0}, kept[16];
    ConfKey at = {0};
    for (const ConfObject *object; (object = conf_store_next(store, at)) != NULL;
         at = conf_object_key(object))
        conf_digest_add(sum, object->digest);
    conf_store_digest(store, kept);
    g_assert_cmpmem(sum, sizeof sum, kept, sizeof kept);
}

static void
turn(unsigned times)
{
    while (times-- > 0)
        for (unsigned i = 0; i < 16 && g_main_context_iteration(NULL, FALSE); i++)
            continue;
}

static void
ready(ConfStore *store, void *data)
{
    World *world = data;
    world->store = store;
    world->publisher = conf_publisher_new(store);
}

static void
nothing(void *data)
{
    (void)data;
}

static void
failed(const GError *error, void *data)
{
    (void)error, (void)data;
}

static ConfPublisher *
publisher_of(void *data)
{
    return ((World *)data)->publisher;
}

static int64_t
confirmed(void *data)
{
    return ((World *)data)->confirmed;
}

static bool
record(int64_t revision, const char *chain, const char *text, GError **error, void *data)
{
    (void)error;
    g_assert_cmpuint(strlen(chain), ==, 16);
    g_assert_cmpuint(strlen(text), >, 0);
    ((World *)data)->confirmed = revision;
    return true;
}

static void
line_came(ConfConnection *connection, ConfSlice line)
{
    (void)connection, (void)line;
}

static void
too_long(ConfConnection *connection)
{
    (void)connection;
}

static void
opened(ConfConnection *connection)
{
    (void)connection;
}

static void
closed(ConfConnection *connection, const char *reason)
{
    (void)reason;
    ConfUpstream *upstream = conf_connection_get_data(connection);
    if (upstream == NULL)
        return;
    upstream->connection = NULL;
    upstream->state = CONF_LINK_WAITING;
    conf_upstream_stop_loading(upstream);
    conf_calls_free(upstream->calls);
    upstream->calls = NULL;
    conf_timer_cancel(&upstream->watchdog);
}
