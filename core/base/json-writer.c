/* json-writer.c - JSON text into a buffer. */
#include "base/json-writer.h"

#include "base/clock.h"
#include "base/json-scan-private.h"

static void append_escape(ConfBuffer *buffer, unsigned char c);
static void before_value(ConfJsonWriter *writer);
static void open_level(ConfJsonWriter *writer, char bracket);
static void close_level(ConfJsonWriter *writer, char bracket);

void
conf_json_append_string(ConfBuffer *buffer, ConfSlice text)
{
    conf_buffer_reserve(buffer, text.size + 2);
    conf_buffer_append_char(buffer, '"');
    const char *p = text.data, *end = text.size > 0 ? p + text.size : p;
    const char *from = p;
    while (p < end) {
        p = conf_json_skip_plain(p, end);
        if (p == end)
            break;
        unsigned length = (unsigned char)*p >= 0x80 ? conf_json_utf8_length(p, end) : 0;
        if (length > 0) {
            p += length;
            continue;
        }
        conf_buffer_append(buffer, from, (size_t)(p - from));
        append_escape(buffer, (unsigned char)*p);
        from = ++p;
    }
    conf_buffer_append(buffer, from, (size_t)(end - from));
    conf_buffer_append_char(buffer, '"');
}

/* Recursion is bounded: no tree is deeper than CONF_JSON_DEPTH_MAX. */
void
conf_json_append_tree(ConfBuffer *buffer, const ConfJson *node)
{
    switch (node->kind) {
    case CONF_JSON_NULL:
        CONF_BUFFER_LITERAL(buffer, "null");
        return;
    case CONF_JSON_BOOLEAN:
        conf_buffer_append_string(buffer, node->boolean ? "true" : "false");
        return;
    case CONF_JSON_NUMBER:
        conf_buffer_append_slice(buffer, node->text);
        return;
    case CONF_JSON_STRING:
        conf_json_append_string(buffer, node->text);
        return;
    case CONF_JSON_ARRAY:
    case CONF_JSON_OBJECT:
        break;
    }
    bool is_object = node->kind == CONF_JSON_OBJECT;
    conf_buffer_append_char(buffer, is_object ? '{' : '[');
    for (const ConfJson *child = node->first; child != NULL; child = child->next) {
        if (child != node->first)
            conf_buffer_append_char(buffer, ',');
        if (is_object) {
            conf_json_append_string(buffer, child->key);
            conf_buffer_append_char(buffer, ':');
        }
        conf_json_append_tree(buffer, child);
    }
    conf_buffer_append_char(buffer, is_object ? '}' : ']');
}

void
conf_json_writer_init(ConfJsonWriter *writer, ConfBuffer *buffer)
{
    *writer = (ConfJsonWriter){.buffer = buffer};
}

void
conf_json_writer_begin_object(ConfJsonWriter *writer)
{
    open_level(writer, '{');
}

void
conf_json_writer_end_object(ConfJsonWriter *writer)
{
    close_level(writer, '}');
}

void
conf_json_writer_begin_array(ConfJsonWriter *writer)
{
    open_level(writer, '[');
}

void
conf_json_writer_end_array(ConfJsonWriter *writer)
{
    close_level(writer, ']');
}

void
conf_json_writer_key(ConfJsonWriter *writer, const char *key)
{
    conf_json_writer_key_slice(writer, conf_slice_from_string(key));
}

void
conf_json_writer_key_slice(ConfJsonWriter *writer, ConfSlice key)
{
    before_value(writer);
    conf_json_append_string(writer->buffer, key);
    conf_buffer_append_char(writer->buffer, ':');
    writer->after_key = true;
}

void
conf_json_writer_string(ConfJsonWriter *writer, const char *value)
{
    if (value != NULL)
        conf_json_writer_slice(writer, conf_slice_from_string(value));
    else
        conf_json_writer_null(writer);
}

void
conf_json_writer_slice(ConfJsonWriter *writer, ConfSlice value)
{
    before_value(writer);
    conf_json_append_string(writer->buffer, value);
}

void
conf_json_writer_integer(ConfJsonWriter *writer, int64_t value)
{
    before_value(writer);
    conf_buffer_append_integer(writer->buffer, value);
}

void
conf_json_writer_boolean(ConfJsonWriter *writer, bool value)
{
    before_value(writer);
    conf_buffer_append_string(writer->buffer, value ? "true" : "false");
}

void
conf_json_writer_null(ConfJsonWriter *writer)
{
    before_value(writer);
    CONF_BUFFER_LITERAL(writer->buffer, "null");
}

void
conf_json_writer_tree(ConfJsonWriter *writer, const ConfJson *value)
{
    before_value(writer);
    conf_json_append_tree(writer->buffer, value);
}

void
conf_json_writer_raw(ConfJsonWriter *writer, ConfSlice json)
{
    before_value(writer);
    conf_buffer_append_slice(writer->buffer, json);
}

void
conf_json_writer_member_string(ConfJsonWriter *writer, const char *key, const char *value)
{
    conf_json_writer_key(writer, key);
    conf_json_writer_string(writer, value);
}

void
conf_json_writer_member_time(ConfJsonWriter *writer, const char *key, int64_t wall_ms)
{
    char time[CONF_TIME_TEXT_SIZE];
    if (wall_ms == 0)
        return;
    conf_clock_format(wall_ms, time);
    conf_json_writer_member_string(writer, key, time);
}

void
conf_json_writer_member_slice(ConfJsonWriter *writer, const char *key, ConfSlice value)
{
    conf_json_writer_key(writer, key);
    conf_json_writer_slice(writer, value);
}

void
conf_json_writer_member_integer(ConfJsonWriter *writer, const char *key, int64_t value)
{
    conf_json_writer_key(writer, key);
    conf_json_writer_integer(writer, value);
}

void
conf_json_writer_member_boolean(ConfJsonWriter *writer, const char *key, bool value)
{
    conf_json_writer_key(writer, key);
    conf_json_writer_boolean(writer, value);
}

/* What is no plain character and no valid UTF-8: a line that no reader refuses goes out whatever comes in. */
static void
append_escape(ConfBuffer *buffer, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    static const char letters[0x20] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (c >= 0x80) {
        CONF_BUFFER_LITERAL(buffer, "\xef\xbf\xbd"); /* U+FFFD */
        return;
    }
    conf_buffer_append_char(buffer, '\\');
    if (c >= 0x20) {
        conf_buffer_append_char(buffer, (char)c);
    } else if (letters[c] != '\0') {
        conf_buffer_append_char(buffer, letters[c]);
    } else {
        const char code[] = {'u', '0', '0', digits[c >> 4], digits[c & 15]};
        conf_buffer_append(buffer, code, sizeof(code));
    }
}

/* The comma, where one is due.  The outermost level has one value and no comma. */
static void
before_value(ConfJsonWriter *writer)
{
    if (writer->after_key) {
        writer->after_key = false;
        return;
    }
    if (writer->depth == 0)
        return;
    uint64_t bit = (uint64_t)1 << (writer->depth - 1);
    if ((writer->filled & bit) != 0)
        conf_buffer_append_char(writer->buffer, ',');
    writer->filled |= bit;
}

static void
open_level(ConfJsonWriter *writer, char bracket)
{
    before_value(writer);
    g_assert(writer->depth < CONF_JSON_DEPTH_MAX);
    writer->filled &= ~((uint64_t)1 << writer->depth);
    writer->depth++;
    conf_buffer_append_char(writer->buffer, bracket);
}

static void
close_level(ConfJsonWriter *writer, char bracket)
{
    g_assert(writer->depth > 0 && !writer->after_key);
    writer->depth--;
    conf_buffer_append_char(writer->buffer, bracket);
}
