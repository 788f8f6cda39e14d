/* fuzz-json-reader.c - any bytes: reading, skipping and the tree agree on whether they are JSON and where
 * not, and what was read is written and read again as the same value. */
#include <stdint.h>

#include "base/json-writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_events(ConfJsonReader *reader, ConfSlice text);
static bool skip_value(ConfJsonReader *reader, ConfSlice text);
static void check_round_trip(ConfArena *arena, const ConfJson *tree);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ConfSlice text = {(const char *)data, size};
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    bool is_valid = read_events(&reader, text);
    size_t offset = reader.offset;
    ConfJsonFault fault = reader.fault;
    g_assert_true(is_valid == (fault == CONF_JSON_FAULT_NONE));
    g_assert_cmpuint(offset, <=, size);

    g_assert_true(skip_value(&reader, text) == is_valid);
    g_assert_cmpint(reader.fault, ==, fault);
    g_assert_cmpuint(reader.offset, ==, offset);

    g_autoptr(ConfArena) arena = conf_arena_new();
    ConfJsonFault tree_fault;
    ConfJson *tree = conf_json_parse(arena, text, &tree_fault, &offset, NULL);
    g_assert_true((tree != NULL) == is_valid);
    g_assert_cmpint(tree_fault, ==, fault);
    g_assert_cmpuint(offset, ==, reader.offset);
    if (tree != NULL)
        check_round_trip(arena, tree);
    return 0;
}

static bool
read_events(ConfJsonReader *reader, ConfSlice text)
{
    conf_json_reader_start(reader, text);
    unsigned depth = 0;
    for (;;) {
        ConfJsonEvent event = conf_json_reader_next(reader);
        if (event <= CONF_JSON_EVENT_ERROR) {
            g_assert_true(event == CONF_JSON_EVENT_ERROR || depth == 0);
            g_assert_true(conf_json_reader_next(reader) == event);
            return event == CONF_JSON_EVENT_END;
        }
        depth += event == CONF_JSON_EVENT_OBJECT || event == CONF_JSON_EVENT_ARRAY;
        depth -= event == CONF_JSON_EVENT_OBJECT_END || event == CONF_JSON_EVENT_ARRAY_END;
        g_assert_cmpuint(depth, <=, CONF_JSON_DEPTH_MAX);
        if (event == CONF_JSON_EVENT_KEY || event == CONF_JSON_EVENT_STRING) {
            g_assert_true(g_utf8_validate_len(reader->text.data, reader->text.size, NULL) ||
                          memchr(reader->text.data, '\0', reader->text.size) != NULL);
            g_assert_true(reader->raw.data == text.data + reader->offset);
        }
    }
}

static bool
skip_value(ConfJsonReader *reader, ConfSlice text)
{
    conf_json_reader_start(reader, text);
    ConfSlice raw;
    if (!conf_json_reader_skip(reader, &raw))
        return false;
    g_assert_true(raw.size > 0 && raw.data >= text.data && raw.data + raw.size <= text.data + text.size);
    return conf_json_reader_next(reader) == CONF_JSON_EVENT_END;
}

static void
check_round_trip(ConfArena *arena, const ConfJson *tree)
{
    g_auto(ConfBuffer) first = CONF_BUFFER_INIT, second = CONF_BUFFER_INIT;
    conf_json_append_tree(&first, tree);
    ConfJson *again = conf_json_parse(arena, conf_buffer_slice(&first), NULL, NULL, NULL);
    g_assert_true(again != NULL && conf_json_equal(tree, again));
    conf_json_append_tree(&second, again);
    g_assert_true(conf_slice_equal(conf_buffer_slice(&first), conf_buffer_slice(&second)));
}
