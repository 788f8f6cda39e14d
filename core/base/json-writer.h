/* json-writer.h - the one JSON writer: appends to a buffer, puts the commas. */
#pragma once

#include "base/buffer.h"
#include "base/json-tree.h"

/* The plain pieces, for text whose shape the caller writes itself. */
void conf_json_append_string(ConfBuffer *buffer,
                             ConfSlice text); /* with quotes and escapes; valid UTF-8 stays as it is */
void conf_json_append_tree(ConfBuffer *buffer, const ConfJson *node);

/* Puts commas and colons.  Depth up to 64. */
typedef struct {
    ConfBuffer *buffer;
    uint64_t filled; /* a bit a level: something stands there already */
    unsigned depth;
    bool after_key;
} ConfJsonWriter;

void conf_json_writer_init(ConfJsonWriter *writer, ConfBuffer *buffer);
void conf_json_writer_begin_object(ConfJsonWriter *writer);
void conf_json_writer_end_object(ConfJsonWriter *writer);
void conf_json_writer_begin_array(ConfJsonWriter *writer);
void conf_json_writer_end_array(ConfJsonWriter *writer);
void conf_json_writer_key(ConfJsonWriter *writer, const char *key);
void conf_json_writer_key_slice(ConfJsonWriter *writer, ConfSlice key);
void conf_json_writer_string(ConfJsonWriter *writer, const char *value);
void conf_json_writer_slice(ConfJsonWriter *writer, ConfSlice value);
void conf_json_writer_integer(ConfJsonWriter *writer, int64_t value);
void conf_json_writer_boolean(ConfJsonWriter *writer, bool value);
void conf_json_writer_null(ConfJsonWriter *writer);
void conf_json_writer_tree(ConfJsonWriter *writer, const ConfJson *value);
/* `json` is one whole value, written as it stands. */
void conf_json_writer_raw(ConfJsonWriter *writer, ConfSlice json);
/* key and value at once */
void conf_json_writer_member_string(ConfJsonWriter *writer, const char *key, const char *value);
/* As RFC 3339 in UTC with milliseconds; 0: there is none, and nothing is written. */
void conf_json_writer_member_time(ConfJsonWriter *writer, const char *key, int64_t wall_ms);
void conf_json_writer_member_slice(ConfJsonWriter *writer, const char *key, ConfSlice value);
void conf_json_writer_member_integer(ConfJsonWriter *writer, const char *key, int64_t value);
void conf_json_writer_member_boolean(ConfJsonWriter *writer, const char *key, bool value);
