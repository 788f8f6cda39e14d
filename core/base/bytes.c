/* bytes.c - shared byte buffers, slices, and the keyed hash of names that come from the network. */
#include "base/bytes.h"

#include <string.h>

#include "base/bytes-private.h"
#include "base/id.h"

static uint64_t hash_key[2];

static void draw_hash_key(void) __attribute__((constructor));

ConfBytes *
conf_bytes_new(const void *data, size_t size)
{
    ConfBytes *bytes = conf_bytes_new_unset(size);
    if (size > 0)
        memcpy(bytes->data, data, size);
    return bytes;
}

ConfBytes *
conf_bytes_new_unset(size_t size)
{
    /* Sizes from outside are capped long before; 4 GiB in one body is a programmer's error. */
    g_assert(size < UINT32_MAX - sizeof(ConfBytes));
    ConfBytes *bytes = g_malloc(sizeof(ConfBytes) + size + 1);
    bytes->refs = 1;
    bytes->size = (uint32_t)size;
    bytes->data[size] = '\0';
    return bytes;
}

ConfBytes *
conf_bytes_ref(ConfBytes *bytes)
{
    if (bytes != NULL)
        __atomic_fetch_add(&bytes->refs, 1, __ATOMIC_RELAXED);
    return bytes;
}

void
conf_bytes_unref(ConfBytes *bytes)
{
    /* Release and acquire: what other holders did with the bytes happened before they are freed. */
    if (bytes != NULL && __atomic_fetch_sub(&bytes->refs, 1, __ATOMIC_ACQ_REL) == 1)
        g_free(bytes);
}

int
conf_slice_compare(ConfSlice a, ConfSlice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

char *
conf_slice_dup(ConfSlice a)
{
    char *copy = g_malloc(a.size + 1);
    if (a.size > 0)
        memcpy(copy, a.data, a.size);
    copy[a.size] = '\0';
    return copy;
}

uint64_t
conf_slice_hash(ConfSlice a)
{
    return conf_siphash(hash_key, a);
}

static inline uint64_t
rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static inline void
sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

uint64_t
conf_siphash(const uint64_t key[2], ConfSlice a)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du, key[0] ^ 0x6c7967656e657261u,
                     key[1] ^ 0x7465646279746573u};
    size_t whole = a.size & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t word;
        memcpy(&word, a.data + i, 8);
        word = GUINT64_FROM_LE(word);
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
    }

    uint64_t rest = (uint64_t)a.size << 56;
    for (size_t i = whole; i < a.size; i++)
        rest |= (uint64_t)(unsigned char)a.data[i] << (8 * (i - whole));
    v[3] ^= rest;
    sip_round(v);
    sip_round(v);
    v[0] ^= rest;
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Before main, so that no thread ever sees the key change. */
static void
draw_hash_key(void)
{
    conf_id_random(hash_key, sizeof(hash_key));
}
