/* test-arena.c - scratch memory: alignment, zeroes, and use after a reset. */
#include <string.h>

#include "base/arena.h"

/* Writes every byte of many pieces and looks at all of them afterwards: none may overlap another. */
static void
fill_and_check(ConfArena *arena, GRand *random, unsigned count)
{
    g_autofree uint8_t **pieces = g_new(uint8_t *, count);
    g_autofree size_t *sizes = g_new(size_t, count);
    for (unsigned i = 0; i < count; i++) {
        sizes[i] = (size_t)g_rand_int_range(random, 0, g_rand_int_range(random, 0, 50) == 0 ? 100000 : 200);
        pieces[i] = conf_arena_alloc(arena, sizes[i]);
        g_assert_nonnull(pieces[i]);
        g_assert_cmpuint((uintptr_t)pieces[i] % 16, ==, 0);
        for (size_t j = 0; j < sizes[i]; j++)
            g_assert_cmpuint(pieces[i][j], ==, 0);
        memset(pieces[i], (int)(i % 255 + 1), sizes[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        for (size_t j = 0; j < sizes[i]; j++)
            g_assert_cmpuint(pieces[i][j], ==, i % 255 + 1);
    }
}

static void
test_pieces(void)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    g_autoptr(GRand) random = g_rand_new_with_seed((guint32)g_test_rand_int());
    for (unsigned round = 0; round < 20; round++) {
        fill_and_check(arena, random, (unsigned)g_rand_int_range(random, 0, 1000));
        conf_arena_reset(arena);
    }
}

static void
test_copy(void)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    char *copy = conf_arena_copy(arena, "a\0b", 3);
    g_assert_cmpmem(copy, 4, "a\0b", 4);
    g_assert_cmpstr(conf_arena_copy(arena, NULL, 0), ==, "");
    struct pair {
        int64_t first;
        void *second;
    } *pair = CONF_ARENA_NEW(arena, struct pair);
    g_assert_cmpint(pair->first, ==, 0);
    g_assert_null(pair->second);
}

static void
test_reset(void)
{
    g_autoptr(ConfArena) arena = conf_arena_new();
    conf_arena_reset(arena);
    void *first = conf_arena_alloc(arena, 100);
    memset(first, 7, 100);
    conf_arena_reset(arena);
    /* The kept block is used again, from its beginning, and is zeroed again. */
    uint8_t *again = conf_arena_alloc(arena, 100);
    g_assert_true(again == first);
    g_assert_cmpuint(again[99], ==, 0);

    conf_arena_alloc(arena, 10 * 1024 * 1024);
    conf_arena_reset(arena);
    g_assert_nonnull(conf_arena_alloc(arena, 1));
    conf_arena_free(NULL);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/arena/pieces", test_pieces);
    g_test_add_func("/base/arena/copy", test_copy);
    g_test_add_func("/base/arena/reset", test_reset);
    return g_test_run();
}
