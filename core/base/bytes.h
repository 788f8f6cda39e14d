/* bytes.h - immutable, reference-counted byte buffers and the slices that point into them.
 *
 * A body of an object, a notification and a page share one ConfBytes among all their readers, so nothing is
 * copied or serialised twice.  Counting is atomic: the storage writer thread holds bodies too. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

/* Borrowed text: valid as long as what it was cut from.  Not terminated by NUL. */
typedef struct {
    const char *data;
    size_t size;
} ConfSlice;

#define CONF_SLICE(literal) ((ConfSlice){(literal), sizeof(literal) - 1})

typedef struct ConfBytes ConfBytes;
struct ConfBytes {
    unsigned refs; /* touched by the functions below only */
    uint32_t size; /* bytes in data, without the NUL that follows them */
    char data[];
};

/* Any thread.  The copy of `size` bytes at `data`; a NUL follows them for the debugger's sake. */
ConfBytes *conf_bytes_new(const void *data, size_t size);
/* Any thread.  `size` bytes to be written by the caller before anybody else sees them. */
ConfBytes *conf_bytes_new_unset(size_t size);
/* Any thread.  NULL is allowed in both. */
ConfBytes *conf_bytes_ref(ConfBytes *bytes);
void conf_bytes_unref(ConfBytes *bytes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfBytes, conf_bytes_unref)

static inline ConfSlice
conf_bytes_slice(const ConfBytes *bytes)
{
    return bytes != NULL ? (ConfSlice){bytes->data, bytes->size} : (ConfSlice){NULL, 0};
}

static inline ConfSlice
conf_slice_from_string(const char *string)
{
    return (ConfSlice){string, string != NULL ? __builtin_strlen(string) : 0};
}

static inline bool
conf_slice_equal(ConfSlice a, ConfSlice b)
{
    return a.size == b.size && (a.size == 0 || __builtin_memcmp(a.data, b.data, a.size) == 0);
}

static inline bool
conf_slice_is(ConfSlice a, const char *string)
{
    return conf_slice_equal(a, conf_slice_from_string(string));
}

/* By bytes, which for UTF-8 is by code point; the shorter first where one begins the other.  <0, 0, >0. */
int conf_slice_compare(ConfSlice a, ConfSlice b);
/* Returns new, ended by NUL; g_free(). */
char *conf_slice_dup(ConfSlice a);
/* Keyed SipHash-2-4; the key is drawn at start, so names from the network cannot be made to collide. */
uint64_t conf_slice_hash(ConfSlice a);
