/* ordered-set.c - a sorted array in chunks.
 *
 * A chunk's memory grows with it, by doubling while small and then by steps, so that a set of three members
 * and one of a million both waste little.  Members come mostly in ascending order (a dbid is never reused):
 * the last chunk is looked at first, and a full last chunk is left full and followed by a new one instead of
 * being halved. */
#include "base/ordered-set.h"

#include <string.h>

#include <glib.h>

enum { CHUNK_MAX = 512, CHUNK_STEP = 64, CHUNK_FIRST = 4, MERGE_BELOW = 128, MERGED_MAX = 384 };

typedef struct {
    void **members;
    unsigned length; /* at least 1 */
    unsigned capacity;
} Chunk;

struct ConfOrderedSet {
    ConfCompareFunc compare;
    size_t length;
    Chunk *chunks; /* in order; `single` while one is enough */
    size_t chunks_length;
    size_t chunks_capacity;
    Chunk single;
};

typedef struct {
    size_t chunk;
    unsigned index;
} Place;

static bool find(const ConfOrderedSet *set, const void *key, Place *place);
static void *member_at(const ConfOrderedSet *set, Place place);
static Chunk *make_room(ConfOrderedSet *set, Place *place);
static void split(ConfOrderedSet *set, size_t index, unsigned keep);
static void insert_chunk(ConfOrderedSet *set, size_t index);
static void remove_chunk(ConfOrderedSet *set, size_t index);
static bool merge(ConfOrderedSet *set, size_t index);
static void set_capacity(Chunk *chunk, unsigned capacity);

ConfOrderedSet *
conf_ordered_set_new(ConfCompareFunc compare)
{
    ConfOrderedSet *set = g_new0(ConfOrderedSet, 1);
    set->compare = compare;
    set->chunks = &set->single;
    set->chunks_capacity = 1;
    return set;
}

void
conf_ordered_set_free(ConfOrderedSet *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->chunks_length; i++)
        g_free(set->chunks[i].members);
    if (set->chunks != &set->single)
        g_free(set->chunks);
    g_free(set);
}

bool
conf_ordered_set_insert(ConfOrderedSet *set, void *member)
{
    Place place;
    if (find(set, member, &place))
        return false;
    Chunk *chunk = make_room(set, &place);
    void **at = chunk->members + place.index;
    memmove(at + 1, at, (chunk->length - place.index) * sizeof(void *));
    *at = member;
    chunk->length++;
    set->length++;
    return true;
}

void *
conf_ordered_set_remove(ConfOrderedSet *set, const void *key)
{
    Place place;
    if (!find(set, key, &place))
        return NULL;
    Chunk *chunk = &set->chunks[place.chunk];
    void **at = chunk->members + place.index;
    void *removed = *at;
    chunk->length--;
    memmove(at, at + 1, (chunk->length - place.index) * sizeof(void *));
    set->length--;

    if (chunk->length == 0) {
        remove_chunk(set, place.chunk);
    } else if (chunk->length >= MERGE_BELOW ||
               (!merge(set, place.chunk) && (place.chunk == 0 || !merge(set, place.chunk - 1)))) {
        unsigned slack = chunk->capacity - chunk->length;
        if (slack >= 2 * CHUNK_STEP || (chunk->capacity > CHUNK_FIRST && slack > chunk->length * 2))
            set_capacity(chunk, chunk->length + slack / 2);
    }
    return removed;
}

void *
conf_ordered_set_lookup(const ConfOrderedSet *set, const void *key)
{
    Place place;
    return find(set, key, &place) ? member_at(set, place) : NULL;
}

void *
conf_ordered_set_after(const ConfOrderedSet *set, const void *key)
{
    Place place = {0, 0};
    if (key != NULL && find(set, key, &place))
        place.index++;
    return member_at(set, place);
}

void *
conf_ordered_set_at_or_after(const ConfOrderedSet *set, const void *key)
{
    Place place = {0, 0};
    if (key != NULL)
        find(set, key, &place);
    return member_at(set, place);
}

size_t
conf_ordered_set_length(const ConfOrderedSet *set)
{
    return set->length;
}

void
conf_ordered_set_foreach(const ConfOrderedSet *set, ConfOrderedSetFunc func, void *data)
{
    for (size_t i = 0; i < set->chunks_length; i++) {
        const Chunk *chunk = &set->chunks[i];
        for (unsigned j = 0; j < chunk->length; j++) {
            if (!func(chunk->members[j], data))
                return;
        }
    }
}

size_t
conf_ordered_set_memory(const ConfOrderedSet *set)
{
    size_t memory = sizeof(*set);
    if (set->chunks != &set->single)
        memory += set->chunks_capacity * sizeof(Chunk);
    for (size_t i = 0; i < set->chunks_length; i++)
        memory += set->chunks[i].capacity * sizeof(void *);
    return memory;
}

/* Where the member equal to `key` is (true), or where it would be put (false): in the first chunk whose last
 * member is not below it, or at the end of the last chunk. */
static bool
find(const ConfOrderedSet *set, const void *key, Place *place)
{
    *place = (Place){0, 0};
    if (set->chunks_length == 0)
        return false;
    const Chunk *chunk = &set->chunks[set->chunks_length - 1];
    int order = set->compare(key, chunk->members[chunk->length - 1]);
    if (order >= 0) {
        *place = (Place){set->chunks_length - 1, order == 0 ? chunk->length - 1 : chunk->length};
        return order == 0;
    }
    size_t low = 0, high = set->chunks_length - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        chunk = &set->chunks[middle];
        if (set->compare(key, chunk->members[chunk->length - 1]) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    chunk = &set->chunks[low];
    unsigned from = 0, to = chunk->length;
    while (from < to) {
        unsigned middle = (from + to) / 2;
        order = set->compare(key, chunk->members[middle]);
        if (order == 0) {
            *place = (Place){low, middle};
            return true;
        }
        if (order > 0)
            from = middle + 1;
        else
            to = middle;
    }
    *place = (Place){low, from};
    return false;
}

/* A place behind the end of a chunk is the beginning of the next one. */
static void *
member_at(const ConfOrderedSet *set, Place place)
{
    if (place.chunk < set->chunks_length && place.index == set->chunks[place.chunk].length)
        place = (Place){place.chunk + 1, 0};
    return place.chunk < set->chunks_length ? set->chunks[place.chunk].members[place.index] : NULL;
}

/* Returns the chunk to insert into, at *place, which may have moved. */
static Chunk *
make_room(ConfOrderedSet *set, Place *place)
{
    if (set->chunks_length == 0)
        insert_chunk(set, 0);
    Chunk *chunk = &set->chunks[place->chunk];
    if (chunk->length == CHUNK_MAX) {
        bool at_the_end = place->chunk == set->chunks_length - 1 && place->index == CHUNK_MAX;
        split(set, place->chunk, at_the_end ? CHUNK_MAX : CHUNK_MAX / 2);
        chunk = &set->chunks[place->chunk];
        if (place->index > chunk->length || at_the_end) {
            *place = (Place){place->chunk + 1, place->index - chunk->length};
            chunk++;
        }
    }
    if (chunk->length == chunk->capacity) {
        unsigned more =
            chunk->capacity < CHUNK_STEP ? MAX(chunk->capacity, (unsigned)CHUNK_FIRST) : CHUNK_STEP;
        set_capacity(chunk, MIN(chunk->capacity + more, (unsigned)CHUNK_MAX));
    }
    return chunk;
}

/* Members from `keep` on go to a new chunk behind; it may be empty until the caller's insertion. */
static void
split(ConfOrderedSet *set, size_t index, unsigned keep)
{
    insert_chunk(set, index + 1);
    Chunk *chunk = &set->chunks[index], *next = chunk + 1;
    unsigned moved = chunk->length - keep;
    set_capacity(next, moved + CHUNK_STEP);
    memcpy(next->members, chunk->members + keep, moved * sizeof(void *));
    next->length = moved;
    chunk->length = keep;
    if (moved > 0)
        set_capacity(chunk, keep + CHUNK_STEP);
}

static void
insert_chunk(ConfOrderedSet *set, size_t index)
{
    if (set->chunks_length == set->chunks_capacity) {
        size_t capacity = MAX(set->chunks_capacity * 3 / 2, 4u);
        if (set->chunks == &set->single) {
            set->chunks = g_new(Chunk, capacity);
            set->chunks[0] = set->single;
        } else {
            set->chunks = g_renew(Chunk, set->chunks, capacity);
        }
        set->chunks_capacity = capacity;
    }
    Chunk *at = set->chunks + index;
    memmove(at + 1, at, (set->chunks_length - index) * sizeof(Chunk));
    *at = (Chunk){NULL, 0, 0};
    set->chunks_length++;
}

static void
remove_chunk(ConfOrderedSet *set, size_t index)
{
    Chunk *at = set->chunks + index;
    g_free(at->members);
    set->chunks_length--;
    memmove(at, at + 1, (set->chunks_length - index) * sizeof(Chunk));
}

/* Puts the chunk behind `index` into the one at `index`, if there is one and both are not too many. */
static bool
merge(ConfOrderedSet *set, size_t index)
{
    if (index + 1 >= set->chunks_length)
        return false;
    Chunk *chunk = &set->chunks[index], *next = chunk + 1;
    unsigned length = chunk->length + next->length;
    if (length > MERGED_MAX)
        return false;
    if (chunk->capacity < length)
        set_capacity(chunk, length);
    memcpy(chunk->members + chunk->length, next->members, next->length * sizeof(void *));
    chunk->length = length;
    remove_chunk(set, index + 1);
    return true;
}

static void
set_capacity(Chunk *chunk, unsigned capacity)
{
    chunk->members = g_renew(void *, chunk->members, capacity);
    chunk->capacity = capacity;
}
