/* name.c - names of objects: 1 to 255 code points, no control characters, NFC. */
#include "model/object.h"
#include "model/value-private.h"

enum { NAME_LENGTH_MAX = 255, NAME_SIZE_MAX = 16 * 1024 };

static bool
is_plain_ascii(ConfSlice text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20 || c >= 0x80)
            return false;
    }
    return true;
}

static bool
has_controls(ConfSlice text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20 || (c == 0xc2 && i + 1 < text.size && (unsigned char)text.data[i + 1] < 0xa0))
            return true;
    }
    return false;
}

bool
conf_name_normalize(ConfArena *arena, ConfSlice name, const char *path, ConfSlice *normal,
                    ConfRpcError *error)
{
    if (name.size >= 1 && name.size <= NAME_LENGTH_MAX && is_plain_ascii(name)) {
        *normal = (ConfSlice){conf_arena_copy(arena, name.data, name.size), name.size};
        return true;
    }
    if (name.size == 0 || name.size > NAME_SIZE_MAX)
        return conf_rpc_fail_path(error, path, "a name must have 1 to %d characters", NAME_LENGTH_MAX);
    if (has_controls(name))
        return conf_rpc_fail_path(error, path, "a name must have no control characters");
    g_autofree char *composed = g_utf8_normalize(name.data, (gssize)name.size, G_NORMALIZE_NFC);
    if (composed == NULL)
        return conf_rpc_fail_path(error, path, "a name must be valid UTF-8");
    ConfSlice text = conf_slice_from_string(composed);
    if (conf_utf8_count(text) > NAME_LENGTH_MAX)
        return conf_rpc_fail_path(error, path, "a name must have 1 to %d characters", NAME_LENGTH_MAX);
    *normal = (ConfSlice){conf_arena_copy(arena, text.data, text.size), text.size};
    return true;
}
