/* arena.c - a list of blocks filled from the front.
 *
 * Small pieces come from the newest block; a piece too large for one gets a block of its own, behind the
 * newest, so that it does not end the filling of it.  Under AddressSanitizer what was given back is poisoned:
 * using it after a reset is reported where it happens. */
#include "base/arena.h"

#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISON 1
#endif
#endif
#ifdef ARENA_POISON
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 65536, ALIGNMENT = 16 };

typedef struct Block Block;
struct Block {
    Block *next;
    size_t size; /* of data */
    size_t used;
    _Alignas(ALIGNMENT) char data[];
};

struct ConfArena {
    Block *blocks;    /* the first is being filled */
    size_t next_size; /* of a whole block, header included: the ones kept stay within LARGEST_BLOCK */
};

static void *take(ConfArena *arena, size_t size);
static void *take_from_new_block(ConfArena *arena, size_t size);
static Block *block_new(size_t size);
static void block_free(Block *block);

ConfArena *
conf_arena_new(void)
{
    ConfArena *arena = g_new0(ConfArena, 1);
    arena->next_size = FIRST_BLOCK;
    return arena;
}

void
conf_arena_free(ConfArena *arena)
{
    if (arena == NULL)
        return;
    while (arena->blocks != NULL) {
        Block *next = arena->blocks->next;
        block_free(arena->blocks);
        arena->blocks = next;
    }
    g_free(arena);
}

void *
conf_arena_alloc(ConfArena *arena, size_t size)
{
    return memset(take(arena, size), 0, size);
}

char *
conf_arena_copy(ConfArena *arena, const void *data, size_t size)
{
    char *copy = take(arena, size + 1);
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

void
conf_arena_reset(ConfArena *arena)
{
    Block *kept = NULL;
    for (Block *block = arena->blocks, *next; block != NULL; block = next) {
        next = block->next;
        bool fits = block->size + sizeof(Block) <= LARGEST_BLOCK;
        if (fits && (kept == NULL || block->size > kept->size)) {
            if (kept != NULL)
                block_free(kept);
            kept = block;
        } else {
            block_free(block);
        }
    }
    arena->blocks = kept;
    if (kept != NULL) {
        kept->next = NULL;
        kept->used = 0;
        ASAN_POISON_MEMORY_REGION(kept->data, kept->size);
    }
}

static void *
take(ConfArena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        g_error("conf_arena: overflow");
    /* One byte at least: two pieces never share an address. */
    size_t rounded = (size + (size == 0) + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    Block *block = arena->blocks;
    if (block == NULL || block->size - block->used < rounded)
        return take_from_new_block(arena, size);
    char *piece = block->data + block->used;
    block->used += rounded;
    ASAN_UNPOISON_MEMORY_REGION(piece, size);
    return piece;
}

static void *
take_from_new_block(ConfArena *arena, size_t size)
{
    if (size > LARGEST_BLOCK / 4) {
        Block *own = block_new((size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1));
        own->used = own->size;
        if (arena->blocks != NULL) {
            own->next = arena->blocks->next;
            arena->blocks->next = own;
        } else {
            arena->blocks = own;
        }
        ASAN_UNPOISON_MEMORY_REGION(own->data, size);
        return own->data;
    }
    size_t whole = arena->next_size;
    while (whole - sizeof(Block) < size + ALIGNMENT)
        whole *= 2;
    Block *block = block_new(whole - sizeof(Block));
    arena->next_size = MIN(whole * 2, (size_t)LARGEST_BLOCK);
    block->next = arena->blocks;
    arena->blocks = block;
    return take(arena, size);
}

static Block *
block_new(size_t size)
{
    Block *block = g_malloc(sizeof(Block) + size);
    block->next = NULL;
    block->size = size;
    block->used = 0;
    ASAN_POISON_MEMORY_REGION(block->data, size);
    return block;
}

static void
block_free(Block *block)
{
    ASAN_UNPOISON_MEMORY_REGION(block->data, block->size);
    g_free(block);
}
