/* key.c - keys in hash tables of GLib. */
#include "model/key.h"

unsigned
conf_key_g_hash(const void *key)
{
    return (unsigned)(conf_key_hash(*(const ConfKey *)key) >> 32);
}

int
conf_key_g_equal(const void *a, const void *b)
{
    return conf_key_equal(*(const ConfKey *)a, *(const ConfKey *)b);
}
