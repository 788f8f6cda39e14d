/* json-reader-checks.h - the two checks that the tests of the JSON reader share. */
#pragma once

#include <string.h>

#include "base/json-reader.h"

/* Names the text that a failure is about; TAP is UTF-8, these texts are not always. */
static inline void
say(const char *text)
{
    g_autofree char *escaped = g_strescape(text, NULL);
    g_test_message("%s", escaped);
}

/* Reads all of `text`; returns the last event, END or ERROR. */
static inline ConfJsonEvent
read_all(ConfJsonReader *reader, ConfSlice text)
{
    conf_json_reader_start(reader, text);
    ConfJsonEvent event;
    do {
        event = conf_json_reader_next(reader);
    } while (event > CONF_JSON_EVENT_ERROR);
    g_assert_cmpint(conf_json_reader_next(reader), ==, event);
    return event;
}

/* A copy of the exact size lets the sanitizer see any look past the end.  Reading and skipping must agree. */
static inline void
assert_fault(ConfSlice text, ConfJsonFault fault, size_t offset)
{
    g_autofree char *exact = g_memdup2(text.data, text.size);
    ConfSlice copy = {exact, text.size};
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    g_assert_cmpint(read_all(&reader, copy), ==, CONF_JSON_EVENT_ERROR);
    g_assert_cmpint(reader.fault, ==, fault);
    g_assert_cmpuint(reader.offset, ==, offset);
    g_assert_nonnull(reader.message);
    g_assert_cmpint(reader.message[strlen(reader.message) - 1], ==, '.');

    conf_json_reader_start(&reader, copy);
    bool valid =
        conf_json_reader_skip(&reader, NULL) && conf_json_reader_next(&reader) == CONF_JSON_EVENT_END;
    g_assert_false(valid);
    g_assert_cmpint(reader.fault, ==, fault);
    g_assert_cmpuint(reader.offset, ==, offset);
}

static inline void
assert_valid(ConfSlice text)
{
    g_autofree char *exact = g_memdup2(text.data, text.size);
    ConfSlice copy = {exact, text.size}, raw;
    g_auto(ConfJsonReader) reader;
    conf_json_reader_init(&reader);
    g_assert_cmpint(read_all(&reader, copy), ==, CONF_JSON_EVENT_END);
    g_assert_cmpint(reader.fault, ==, CONF_JSON_FAULT_NONE);
    conf_json_reader_start(&reader, copy);
    g_assert_true(conf_json_reader_skip(&reader, &raw));
    g_assert_cmpint(conf_json_reader_next(&reader), ==, CONF_JSON_EVENT_END);
}
