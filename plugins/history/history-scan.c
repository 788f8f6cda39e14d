/* history-scan.c - canonical JSON text by pieces.  No recursion: brackets are counted; no memory but for
 * an index. */
#include "history-methods-private.h"

#include <string.h>

/* A member in the table of an index; its key comes first: it is hashed as a slice. */
typedef struct {
    HistorySlice key, value;
} Member;

static GHashTable *read_members(HistorySlice object);
static unsigned hash_slice(const void *slice);
static gboolean slices_equal(const void *a, const void *b);
static const char *skip_space(const char *at, const char *end);
static const char *skip_string(const char *at, const char *end);
static const char *skip_value(const char *at, const char *end);

HistorySlice
history_slice(const char *text)
{
    return (HistorySlice){text, text != NULL ? strlen(text) : 0};
}

bool
history_slice_equal(HistorySlice a, HistorySlice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool
history_slice_is(HistorySlice slice, const char *text)
{
    return history_slice_equal(slice, history_slice(text));
}

char *
history_slice_dup(HistorySlice slice)
{
    return slice.size > 0 ? g_strndup(slice.data, slice.size) : NULL;
}

HistorySlice
history_slice_unquote(HistorySlice string)
{
    bool is_string = string.size >= 2 && string.data[0] == '"';
    return is_string ? (HistorySlice){string.data + 1, string.size - 2} : (HistorySlice){NULL, 0};
}

int64_t
history_slice_integer(HistorySlice slice)
{
    int64_t value = 0;
    for (size_t i = 0; i < slice.size; i++) {
        if (!g_ascii_isdigit(slice.data[i]) || value > (G_MAXINT64 - 9) / 10)
            return 0;
        value = value * 10 + (slice.data[i] - '0');
    }
    return value;
}

bool
history_scan_begin(HistoryScan *scan, HistorySlice value)
{
    *scan = (HistoryScan){0};
    if (value.size < 2 || (value.data[0] != '{' && value.data[0] != '['))
        return false;
    *scan = (HistoryScan){value.data + 1, value.data + value.size - 1, value.data[0] == '{'};
    return true;
}

bool
history_scan_next(HistoryScan *scan, HistorySlice *key, HistorySlice *value)
{
    *key = *value = (HistorySlice){NULL, 0};
    const char *end = scan->end, *at = skip_space(scan->at, end);
    if (at < end && *at == ',')
        at = skip_space(at + 1, end);
    if (scan->is_object) {
        const char *after = skip_string(at, end);
        if (after == NULL)
            return false;
        *key = history_slice_unquote((HistorySlice){at, (size_t)(after - at)});
        at = skip_space(after, end);
        if (at >= end || *at != ':')
            return false;
        at = skip_space(at + 1, end);
    }
    const char *after = skip_value(at, end);
    if (after == NULL)
        return false;
    *value = (HistorySlice){at, (size_t)(after - at)};
    scan->at = after;
    return true;
}

HistorySlice
history_slice_member_raw(HistorySlice object, HistorySlice name)
{
    HistoryScan scan;
    HistorySlice key, value;
    if (!history_scan_begin(&scan, object) || !scan.is_object)
        return (HistorySlice){NULL, 0};
    while (history_scan_next(&scan, &key, &value)) {
        if (history_slice_equal(key, name))
            return value;
    }
    return (HistorySlice){NULL, 0};
}

HistorySlice
history_slice_member(HistorySlice object, const char *name)
{
    return history_slice_member_raw(object, history_slice(name));
}

HistorySlice
history_index_find(HistoryIndex *index, HistorySlice key)
{
    enum { FEW_BYTES = 1024 };
    if (index->object.size <= FEW_BYTES)
        return history_slice_member_raw(index->object, key);
    if (index->members == NULL)
        index->members = read_members(index->object);
    const Member *member = g_hash_table_lookup(index->members, &key);
    return member != NULL ? member->value : (HistorySlice){NULL, 0};
}

void
history_index_clear(HistoryIndex *index)
{
    g_clear_pointer(&index->members, g_hash_table_unref);
}

bool
history_pieces_begin(HistoryScan *scan, HistorySlice record)
{
    return history_scan_begin(scan, history_slice_member(record, "changes")) && !scan->is_object;
}

bool
history_pieces_next(HistoryScan *scan, HistoryPiece *piece)
{
    HistorySlice key, value;
    *piece = (HistoryPiece){0};
    HistoryScan members;
    if (!history_scan_next(scan, &key, &value) || !history_scan_begin(&members, value) || !members.is_object)
        return false;
    while (history_scan_next(&members, &key, &value)) {
        if (history_slice_is(key, "op")) {
            piece->op = history_slice_unquote(value);
        } else if (history_slice_is(key, "type")) {
            piece->type = history_slice_unquote(value);
        } else if (history_slice_is(key, "dbid")) {
            piece->dbid = history_slice_integer(value);
        } else if (history_slice_is(key, "name")) {
            piece->name = value;
        } else if (history_slice_is(key, "before")) {
            piece->before = value;
        } else if (history_slice_is(key, "after")) {
            piece->after = value;
        } else if (history_slice_is(key, "permissions")) {
            piece->rights_before = history_slice_member(history_slice_member(value, "before"), "entries");
            piece->rights_after = history_slice_member(history_slice_member(value, "after"), "entries");
        }
    }
    return piece->op.size > 0 && piece->type.size > 0 && piece->dbid > 0;
}

/* Of members of the same key the first counts, as where they are sought one by one. */
static GHashTable *
read_members(HistorySlice object)
{
    GHashTable *members = g_hash_table_new_full(hash_slice, slices_equal, g_free, NULL);
    HistoryScan scan;
    HistorySlice key, value;
    if (!history_scan_begin(&scan, object) || !scan.is_object)
        return members;
    while (history_scan_next(&scan, &key, &value)) {
        if (g_hash_table_contains(members, &key))
            continue;
        Member *member = g_new(Member, 1);
        *member = (Member){key, value};
        g_hash_table_add(members, member);
    }
    return members;
}

/* FNV-1a over the whole key. */
static unsigned
hash_slice(const void *slice)
{
    const HistorySlice *key = slice;
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < key->size; i++)
        hash = (hash ^ (uint8_t)key->data[i]) * 16777619U;
    return hash;
}

static gboolean
slices_equal(const void *a, const void *b)
{
    return history_slice_equal(*(const HistorySlice *)a, *(const HistorySlice *)b);
}

static const char *
skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

/* Behind the string that begins here; NULL: none does, or it does not end. */
static const char *
skip_string(const char *at, const char *end)
{
    if (at >= end || *at != '"')
        return NULL;
    at++;
    while (at < end) {
        const char *quote = memchr(at, '"', (size_t)(end - at));
        if (quote == NULL)
            return NULL;
        const char *escape = memchr(at, '\\', (size_t)(quote - at));
        if (escape == NULL)
            return quote + 1;
        at = escape + 2; /* Perhaps the quote was escaped. */
    }
    return NULL;
}

static const char *
skip_value(const char *at, const char *end)
{
    if (at >= end)
        return NULL;
    if (*at == '"')
        return skip_string(at, end);
    if (*at != '{' && *at != '[') {
        const char *begin = at;
        while (at < end && *at != ',' && *at != '}' && *at != ']' && *at != ' ')
            at++;
        return at > begin ? at : NULL;
    }
    for (unsigned depth = 0; at < end;) {
        if (*at == '"') {
            at = skip_string(at, end);
            if (at == NULL)
                return NULL;
            continue;
        }
        if (*at == '{' || *at == '[')
            depth++;
        else if ((*at == '}' || *at == ']') && --depth == 0)
            return at + 1;
        at++;
    }
    return NULL;
}
