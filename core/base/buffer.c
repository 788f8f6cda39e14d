/* buffer.c - the growing part of the byte buffer; the common path is inline in buffer.h. */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>

enum { FIRST_CAPACITY = 128 };

void
conf_buffer_clear(ConfBuffer *buffer)
{
    g_free(buffer->data);
    *buffer = (ConfBuffer)CONF_BUFFER_INIT;
}

void
conf_buffer_grow(ConfBuffer *buffer, size_t extra)
{
    if (extra > SIZE_MAX / 4 - buffer->size)
        g_error("conf_buffer_grow: overflow of a buffer");
    size_t needed = buffer->size + extra;
    size_t capacity = buffer->capacity > 0 ? buffer->capacity * 2 : FIRST_CAPACITY;
    if (capacity < needed)
        capacity = needed;
    buffer->data = g_realloc(buffer->data, capacity);
    buffer->capacity = capacity;
}

void
conf_buffer_append_integer(ConfBuffer *buffer, int64_t value)
{
    char digits[20];
    unsigned position = sizeof(digits);
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do {
        digits[--position] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        digits[--position] = '-';
    conf_buffer_append(buffer, digits + position, sizeof(digits) - position);
}

void
conf_buffer_printf(ConfBuffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);

    char *place = conf_buffer_reserve(buffer, FIRST_CAPACITY);
    size_t room = buffer->capacity - buffer->size;
    int written = vsnprintf(place, room, format, arguments);
    g_assert(written >= 0);
    if ((size_t)written >= room) {
        place = conf_buffer_reserve(buffer, (size_t)written + 1);
        vsnprintf(place, (size_t)written + 1, format, again);
    }
    buffer->size += (size_t)written;
    va_end(again);
    va_end(arguments);
}

ConfBytes *
conf_buffer_to_bytes(const ConfBuffer *buffer)
{
    return conf_bytes_new(buffer->data, buffer->size);
}
