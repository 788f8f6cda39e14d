/* test-json-speed.c - nanoseconds per text; measured with "-m perf", else run a few times so that it cannot
 * rot. */
#include "base/json-writer.h"

static const char REQUEST[] =
    "{\"jsonrpc\":\"2.0\",\"id\":12345,\"method\":\"object.read\",\"params\":{\"type\":\"host\",\"dbid\":105,"
    "\"fields\":[\"name\"]}}";

typedef void (*Work)(ConfSlice text, void *data);

static void
measure(const char *name, Work work, ConfSlice text, void *data)
{
    unsigned rounds = g_test_perf() ? 20 : 1, repeats = g_test_perf() ? 20000 : 10;
    double best = G_MAXDOUBLE;
    for (unsigned round = 0; round < rounds; round++) {
        int64_t begin = g_get_monotonic_time();
        for (unsigned i = 0; i < repeats; i++)
            work(text, data);
        best = MIN(best, (double)(g_get_monotonic_time() - begin) * 1000 / repeats);
    }
    if (g_test_perf())
        g_test_minimized_result(best, "%s, %zu bytes: %.0f ns", name, text.size, best);
}

static void
read_text(ConfSlice text, void *data)
{
    ConfJsonReader *reader = data;
    conf_json_reader_start(reader, text);
    ConfJsonEvent event;
    while ((event = conf_json_reader_next(reader)) > CONF_JSON_EVENT_ERROR)
        ;
    g_assert_cmpint(event, ==, CONF_JSON_EVENT_END);
}

static void
skip_text(ConfSlice text, void *data)
{
    ConfJsonReader *reader = data;
    conf_json_reader_start(reader, text);
    g_assert_true(conf_json_reader_skip(reader, NULL));
}

static void
read_tree(ConfSlice text, void *data)
{
    g_assert_nonnull(conf_json_parse(data, text, NULL, NULL, NULL));
    conf_arena_reset(data);
}

typedef struct {
    ConfJson *tree;
    ConfBuffer buffer;
} Output;

static void
write_tree(ConfSlice text, void *data)
{
    Output *output = data;
    conf_buffer_truncate(&output->buffer, 0);
    conf_json_append_tree(&output->buffer, output->tree);
}

/* An application as it is stored: about a kilobyte. */
static char *
make_object(void)
{
    g_autoptr(GString) text = g_string_new(
        "{\"type\":\"application\",\"dbid\":1234,\"revision\":98765,\"name\":\"srv_app_0042\","
        "\"tenant\":1,\"folder\":112,\"state\":\"enabled\",\"applicationType\":\"genericServer\","
        "\"version\":\"8.5.101.22\",\"template\":17,\"host\":31,\"ports\":[{\"id\":\"default\",\"port\":"
        "2120,\"listening\":\"secured\",\"mutual\":false}],\"options\":{");
    for (unsigned i = 0; i < 4; i++) {
        g_string_append_printf(
            text,
            "%s\"section-%u\":{\"verbose\":\"standard\",\"buffering\":\"true\",\"segment\":\"10000 KB\","
            "\"expire\":\"14\",\"all\":\"stdout, /var/log/conf/app.log\"}",
            i > 0 ? "," : "", i);
    }
    g_string_append(text, "},\"annex\":{\"note\":{\"owner\":\"operations, second floor\"}}}");
    return g_strdup(text->str);
}

static void
test_speed(void)
{
    g_autofree char *object = make_object();
    const ConfSlice texts[] = {CONF_SLICE(REQUEST), conf_slice_from_string(object)};
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    g_autoptr(ConfArena) arena = conf_arena_new(), kept = conf_arena_new();
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        measure("read", read_text, texts[i], &reader);
        measure("skip", skip_text, texts[i], &reader);
        measure("tree", read_tree, texts[i], arena);
        Output output = {conf_json_parse(kept, texts[i], NULL, NULL, NULL), CONF_BUFFER_INIT};
        measure("write", write_tree, texts[i], &output);
        g_assert_true(conf_slice_equal(conf_buffer_slice(&output.buffer), texts[i]));
        conf_buffer_clear(&output.buffer);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/json-speed", test_speed);
    return g_test_run();
}
