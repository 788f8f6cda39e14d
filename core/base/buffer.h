/* buffer.h - a growable byte buffer that text is written into. */
#pragma once

#include "base/bytes.h"

typedef struct {
    char *data;
    size_t size;
    size_t capacity;
} ConfBuffer;

#define CONF_BUFFER_INIT {NULL, 0, 0}

void conf_buffer_clear(ConfBuffer *buffer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ConfBuffer, conf_buffer_clear)
/* Room for `extra` more bytes; returns where they go.  The caller adds what it wrote to buffer->size. */
char *conf_buffer_reserve(ConfBuffer *buffer, size_t extra);
void conf_buffer_append(ConfBuffer *buffer, const void *data, size_t size);
void conf_buffer_append_string(ConfBuffer *buffer, const char *string);
void conf_buffer_append_slice(ConfBuffer *buffer, ConfSlice slice);
void conf_buffer_append_char(ConfBuffer *buffer, char c);
void conf_buffer_append_integer(ConfBuffer *buffer, int64_t value);
void conf_buffer_printf(ConfBuffer *buffer, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Shortens to `size` bytes; the memory stays for the next use. */
void conf_buffer_truncate(ConfBuffer *buffer, size_t size);
ConfSlice conf_buffer_slice(const ConfBuffer *buffer);
/* A copy of the content as shared bytes; the buffer keeps its own. */
ConfBytes *conf_buffer_to_bytes(const ConfBuffer *buffer);

#define CONF_BUFFER_LITERAL(buffer, literal) conf_buffer_append((buffer), (literal), sizeof(literal) - 1)
