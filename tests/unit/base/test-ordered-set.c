/* test-ordered-set.c - the ordered set against a plain flag per number, under random operations. */
#include "base/ordered-set.h"

#include <stdint.h>

#include <glib.h>

static int
compare_numbers(const void *a, const void *b)
{
    return ((uintptr_t)a > (uintptr_t)b) - ((uintptr_t)a < (uintptr_t)b);
}

static inline void *
number(uintptr_t value)
{
    return (void *)value;
}

/* Numbers 1..limit; present[n] says whether n is a member. */
typedef struct {
    ConfOrderedSet *set;
    bool *present;
    uintptr_t limit;
    size_t length;
} Model;

typedef struct {
    const Model *model;
    uintptr_t last;
    size_t seen;
} Walk;

static bool
see(void *member, void *data)
{
    Walk *walk = data;
    g_assert_cmpuint((uintptr_t)member, >, walk->last);
    g_assert_true(walk->model->present[(uintptr_t)member]);
    walk->last = (uintptr_t)member;
    walk->seen++;
    return true;
}

static void
check_all(const Model *model)
{
    Walk walk = {model, 0, 0};
    conf_ordered_set_foreach(model->set, see, &walk);
    g_assert_cmpuint(walk.seen, ==, model->length);
    g_assert_cmpuint(conf_ordered_set_length(model->set), ==, model->length);

    uintptr_t next = 0;
    for (uintptr_t i = model->limit; i > 0; i--) {
        g_assert_cmpuint((uintptr_t)conf_ordered_set_after(model->set, number(i)), ==, next);
        next = model->present[i] ? i : next;
        g_assert_cmpuint((uintptr_t)conf_ordered_set_at_or_after(model->set, number(i)), ==, next);
        g_assert_true(conf_ordered_set_lookup(model->set, number(i)) ==
                      (model->present[i] ? number(i) : NULL));
    }
    g_assert_cmpuint((uintptr_t)conf_ordered_set_after(model->set, NULL), ==, next);
    g_assert_cmpuint((uintptr_t)conf_ordered_set_at_or_after(model->set, NULL), ==, next);
}

static void
operate(Model *model, unsigned insert_percent)
{
    uintptr_t i = (uintptr_t)g_test_rand_int_range(1, (gint32)model->limit + 1);
    if ((unsigned)g_test_rand_int_range(0, 100) < insert_percent) {
        g_assert_true(conf_ordered_set_insert(model->set, number(i)) == !model->present[i]);
        model->length += !model->present[i];
        model->present[i] = true;
    } else {
        g_assert_true(conf_ordered_set_remove(model->set, number(i)) ==
                      (model->present[i] ? number(i) : NULL));
        model->length -= model->present[i];
        model->present[i] = false;
    }
}

/* Grows, shrinks and grows again, so that chunks are split, merged and removed. */
static void
run_model(uintptr_t limit, unsigned operations)
{
    Model model = {conf_ordered_set_new(compare_numbers), g_new0(bool, limit + 1), limit, 0};
    static const unsigned phases[] = {90, 50, 10, 60, 2, 100, 0};
    check_all(&model);
    for (unsigned phase = 0; phase < G_N_ELEMENTS(phases); phase++) {
        for (unsigned i = 0; i < operations; i++)
            operate(&model, phases[phase]);
        check_all(&model);
    }
    conf_ordered_set_free(model.set);
    g_free(model.present);
}

static void
test_model(void)
{
    run_model(3, 50);
    run_model(40, 200);
    run_model(700, 3000);
    run_model(5000, 20000);
    run_model(40000, 100000);
}

/* Removing all in order, from either end, leaves an empty set that can be filled again. */
static void
test_drain(void)
{
    ConfOrderedSet *set = conf_ordered_set_new(compare_numbers);
    for (unsigned round = 0; round < 2; round++) {
        for (uintptr_t i = 1; i <= 3000; i++)
            g_assert_true(conf_ordered_set_insert(set, number(i)));
        for (uintptr_t i = 1; i <= 3000; i++) {
            void *member = number(round == 0 ? i : 3001 - i);
            g_assert_true(conf_ordered_set_remove(set, member) == member);
        }
        g_assert_cmpuint(conf_ordered_set_length(set), ==, 0);
        g_assert_null(conf_ordered_set_after(set, NULL));
    }
    conf_ordered_set_free(set);
    conf_ordered_set_free(NULL);
}

static bool
stop_at_ten(void *member, void *data)
{
    unsigned *calls = data;
    ++*calls;
    return (uintptr_t)member < 10;
}

static void
test_walk_ends(void)
{
    ConfOrderedSet *set = conf_ordered_set_new(compare_numbers);
    for (uintptr_t i = 1; i <= 100; i++)
        conf_ordered_set_insert(set, number(i));
    unsigned calls = 0;
    conf_ordered_set_foreach(set, stop_at_ten, &calls);
    g_assert_cmpuint(calls, ==, 10);
    conf_ordered_set_free(set);
}

/* Ascending, descending, interleaved and random: 8 to 12 bytes a member, and no insertion that moves
 * everything. */
static void
test_memory_and_speed(void)
{
    const uintptr_t count = g_test_perf() ? 1000000 : 100000;
    static const char *const orders[] = {"ascending", "descending", "random"};
    for (unsigned order = 0; order < G_N_ELEMENTS(orders); order++) {
        ConfOrderedSet *set = conf_ordered_set_new(compare_numbers);
        uintptr_t inserted = 0;
        int64_t begin = g_get_monotonic_time();
        for (uintptr_t i = 1; i <= count; i++) {
            /* An odd multiplier modulo a power of two: each value once. */
            uintptr_t value = order == 0   ? i
                              : order == 1 ? count + 1 - i
                                           : (i * 2654435761u & 0xffffffffu) + 1;
            inserted += conf_ordered_set_insert(set, number(value));
        }
        double seconds = (double)(g_get_monotonic_time() - begin) / G_USEC_PER_SEC;
        g_assert_cmpuint(inserted, ==, count);
        double bytes = (double)conf_ordered_set_memory(set) / (double)count;
        g_test_message("%s: %.0f ns an insertion, %.1f bytes a member", orders[order],
                       seconds * 1e9 / (double)count, bytes);
        g_assert_cmpfloat(bytes, <, 12.0);
        conf_ordered_set_free(set);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/ordered-set/model", test_model);
    g_test_add_func("/base/ordered-set/drain", test_drain);
    g_test_add_func("/base/ordered-set/walk-ends", test_walk_ends);
    g_test_add_func("/base/ordered-set/memory-and-speed", test_memory_and_speed);
    return g_test_run();
}
