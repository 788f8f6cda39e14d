/* log-format.c - how a line of the log looks: text that stays one line whatever the values hold, or JSON. */
#include "base/log-private.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json-writer.h"

static const char *const LEVEL_WORDS[] = {"error", "warning", "notice", "info", "debug"};

static void format_json(ConfBuffer *buffer, const ConfLogLine *line);
static const char *next_pair(const char *pair, const char **key, const char **value);
static void append_value(ConfBuffer *buffer, const char *value);
static bool is_plain(const char *value);
static void append_escaped(ConfBuffer *buffer, gunichar c);

void
conf_log_format(ConfBuffer *buffer, const ConfLogLine *line, ConfLogFormat format)
{
    if (format == CONF_LOG_JSON) {
        format_json(buffer, line);
        conf_buffer_append_char(buffer, '\n');
        return;
    }
    char time[CONF_TIME_TEXT_SIZE];
    conf_clock_format(line->wall_ms, time);
    conf_buffer_append_string(buffer, time);
    conf_buffer_append_char(buffer, ' ');
    conf_buffer_append_string(buffer, LEVEL_WORDS[conf_log_message(line->id)->level]);
    conf_buffer_append_char(buffer, ' ');
    if (format != CONF_LOG_SHORT) {
        const char *program = g_get_prgname();
        conf_buffer_printf(buffer, "%s %s[%d] ", g_get_host_name(), program != NULL ? program : "confserv",
                           (int)getpid());
    }
    conf_log_format_message(buffer, line, format);
    conf_buffer_append_char(buffer, '\n');
}

void
conf_log_format_message(ConfBuffer *buffer, const ConfLogLine *line, ConfLogFormat format)
{
    if (format == CONF_LOG_JSON) {
        format_json(buffer, line);
        return;
    }
    const ConfLogMessage *message = conf_log_message(line->id);
    conf_buffer_append_integer(buffer, message->number);
    conf_buffer_append_char(buffer, ' ');
    conf_buffer_append_string(buffer, message->sentence);
    const char *pair = line->pairs;
    for (unsigned i = 0; i < line->pair_count; i++) {
        const char *key, *value;
        pair = next_pair(pair, &key, &value);
        conf_buffer_append_char(buffer, ' ');
        conf_buffer_append_string(buffer, key);
        conf_buffer_append_char(buffer, '=');
        append_value(buffer, value);
    }
    if (format == CONF_LOG_FULL && *message->advice != '\0') {
        CONF_BUFFER_LITERAL(buffer, " -- ");
        conf_buffer_append_string(buffer, message->advice);
    }
}

/* The pairs stand in a member of their own, so that no key of theirs can be taken for one of the line. */
static void
format_json(ConfBuffer *buffer, const ConfLogLine *line)
{
    const ConfLogMessage *message = conf_log_message(line->id);
    char time[CONF_TIME_TEXT_SIZE];
    conf_clock_format(line->wall_ms, time);

    ConfJsonWriter writer;
    conf_json_writer_init(&writer, buffer);
    conf_json_writer_begin_object(&writer);
    conf_json_writer_member_string(&writer, "time", time);
    conf_json_writer_member_string(&writer, "level", LEVEL_WORDS[message->level]);
    conf_json_writer_member_integer(&writer, "id", message->number);
    conf_json_writer_member_string(&writer, "message", message->sentence);
    conf_json_writer_key(&writer, "data");
    conf_json_writer_begin_object(&writer);
    const char *pair = line->pairs;
    for (unsigned i = 0; i < line->pair_count; i++) {
        const char *key, *value;
        pair = next_pair(pair, &key, &value);
        if (g_utf8_validate(value, -1, NULL)) {
            conf_json_writer_member_string(&writer, key, value);
            continue;
        }
        g_autofree char *valid = g_utf8_make_valid(value, -1);
        conf_json_writer_member_string(&writer, key, valid);
    }
    conf_json_writer_end_object(&writer);
    conf_json_writer_end_object(&writer);
}

static const char *
next_pair(const char *pair, const char **key, const char **value)
{
    *key = pair;
    *value = pair + strlen(pair) + 1;
    return *value + strlen(*value) + 1;
}

static void
append_value(ConfBuffer *buffer, const char *value)
{
    if (is_plain(value)) {
        conf_buffer_append_string(buffer, value);
        return;
    }
    conf_buffer_append_char(buffer, '"');
    while (*value != '\0') {
        gunichar c = g_utf8_get_char_validated(value, -1);
        if (c == (gunichar)-1 || c == (gunichar)-2) {
            conf_buffer_printf(buffer, "\\x%02x", (unsigned char)*value);
            value++;
            continue;
        }
        append_escaped(buffer, c);
        value = g_utf8_next_char(value);
    }
    conf_buffer_append_char(buffer, '"');
}

static bool
is_plain(const char *value)
{
    if (*value == '\0')
        return false;
    for (; *value != '\0'; value++)
        if (!g_ascii_isgraph(*value) || *value == '"' || *value == '\\' || *value == '=')
            return false;
    return true;
}

/* What a terminal would obey and what would look like the end of the line never reaches the log as it is. */
static void
append_escaped(ConfBuffer *buffer, gunichar c)
{
    switch (c) {
    case '"':
        CONF_BUFFER_LITERAL(buffer, "\\\"");
        return;
    case '\\':
        CONF_BUFFER_LITERAL(buffer, "\\\\");
        return;
    case '\n':
        CONF_BUFFER_LITERAL(buffer, "\\n");
        return;
    case '\r':
        CONF_BUFFER_LITERAL(buffer, "\\r");
        return;
    case '\t':
        CONF_BUFFER_LITERAL(buffer, "\\t");
        return;
    default:
        break;
    }
    GUnicodeType type = g_unichar_type(c);
    bool ends_line = type == G_UNICODE_LINE_SEPARATOR || type == G_UNICODE_PARAGRAPH_SEPARATOR;
    if (ends_line || !g_unichar_isprint(c)) {
        conf_buffer_printf(buffer, c < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)c);
        return;
    }
    char utf8[6];
    conf_buffer_append(buffer, utf8, (size_t)g_unichar_to_utf8(c, utf8));
}
