/* buffer.h - a growable byte buffer that text is written into. */
#pragma once

#include <string.h>

#include "base/bytes.h"

typedef struct {
    char *data;
    size_t size;
    size_t capacity;
} ConfBuffer;

#define CONF_BUFFER_INIT {NULL, 0, 0}

void conf_buffer_clear(ConfBuffer *buffer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ConfBuffer, conf_buffer_clear)
/* Makes room for `extra` more bytes; conf_buffer_reserve() is what callers use. */
void conf_buffer_grow(ConfBuffer *buffer, size_t extra);

/* Room for `extra` more bytes; returns where they go.  The caller adds what it wrote to buffer->size. */
static inline char *
conf_buffer_reserve(ConfBuffer *buffer, size_t extra)
{
    if (G_UNLIKELY(buffer->capacity - buffer->size < extra || buffer->data == NULL))
        conf_buffer_grow(buffer, extra);
    return buffer->data + buffer->size;
}

static inline void
conf_buffer_append(ConfBuffer *buffer, const void *data, size_t size)
{
    if (size == 0)
        return;
    memcpy(conf_buffer_reserve(buffer, size), data, size);
    buffer->size += size;
}

static inline void
conf_buffer_append_string(ConfBuffer *buffer, const char *string)
{
    conf_buffer_append(buffer, string, strlen(string));
}

static inline void
conf_buffer_append_slice(ConfBuffer *buffer, ConfSlice slice)
{
    conf_buffer_append(buffer, slice.data, slice.size);
}

static inline void
conf_buffer_append_char(ConfBuffer *buffer, char c)
{
    *conf_buffer_reserve(buffer, 1) = c;
    buffer->size++;
}

void conf_buffer_append_integer(ConfBuffer *buffer, int64_t value);
void conf_buffer_printf(ConfBuffer *buffer, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Shortens to `size` bytes; the memory stays for the next use. */
static inline void
conf_buffer_truncate(ConfBuffer *buffer, size_t size)
{
    if (size < buffer->size)
        buffer->size = size;
}

static inline ConfSlice
conf_buffer_slice(const ConfBuffer *buffer)
{
    return (ConfSlice){buffer->data, buffer->size};
}

/* A copy of the content as shared bytes; the buffer keeps its own. */
ConfBytes *conf_buffer_to_bytes(const ConfBuffer *buffer);

#define CONF_BUFFER_LITERAL(buffer, literal) conf_buffer_append((buffer), (literal), sizeof(literal) - 1)
