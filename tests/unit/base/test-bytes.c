/* test-bytes.c - shared bytes, slices, the hash of slices, and the growable buffer. */
#include <string.h>

#include "base/buffer.h"
#include "base/bytes-private.h"

static void
test_bytes(void)
{
    g_autoptr(ConfBytes) bytes = conf_bytes_new("name\0more", 9);
    g_assert_cmpuint(bytes->size, ==, 9);
    g_assert_cmpmem(bytes->data, bytes->size, "name\0more", 9);
    g_assert_cmpint(bytes->data[9], ==, '\0');

    ConfBytes *second = conf_bytes_ref(bytes);
    g_assert_true(second == bytes);
    conf_bytes_unref(second);
    g_assert_true(conf_slice_equal(conf_bytes_slice(bytes), (ConfSlice){"name\0more", 9}));

    g_autoptr(ConfBytes) empty = conf_bytes_new(NULL, 0);
    g_assert_cmpuint(empty->size, ==, 0);
    g_assert_cmpstr(empty->data, ==, "");
    g_assert_null(conf_bytes_ref(NULL));
    conf_bytes_unref(NULL);
    g_assert_cmpuint(conf_bytes_slice(NULL).size, ==, 0);
}

enum { SHARERS = 4, SHARES = 20000 };

static void *
share(void *data)
{
    for (unsigned i = 0; i < SHARES; i++) {
        ConfBytes *mine = conf_bytes_ref(data);
        g_assert_cmpint(mine->data[0], ==, 'x');
        conf_bytes_unref(mine);
    }
    conf_bytes_unref(data);
    return NULL;
}

static void
test_bytes_threads(void)
{
    ConfBytes *bytes = conf_bytes_new("x", 1);
    GThread *threads[SHARERS];
    for (unsigned i = 0; i < SHARERS; i++)
        threads[i] = g_thread_new("share", share, conf_bytes_ref(bytes));
    for (unsigned i = 0; i < SHARERS; i++)
        g_thread_join(threads[i]);
    g_assert_cmpuint(bytes->refs, ==, 1);
    conf_bytes_unref(bytes);
}

static void
test_slices(void)
{
    g_assert_true(conf_slice_equal((ConfSlice){NULL, 0}, CONF_SLICE("")));
    g_assert_true(conf_slice_is(CONF_SLICE("host"), "host"));
    g_assert_false(conf_slice_is(CONF_SLICE("host"), "hosts"));
    g_assert_false(conf_slice_is((ConfSlice){"a\0b", 3}, "a"));
    g_assert_true(conf_slice_is((ConfSlice){NULL, 0}, NULL));

    g_assert_cmpint(conf_slice_compare(CONF_SLICE("a"), CONF_SLICE("b")), <, 0);
    g_assert_cmpint(conf_slice_compare(CONF_SLICE("ab"), CONF_SLICE("a")), >, 0);
    g_assert_cmpint(conf_slice_compare(CONF_SLICE("a"), CONF_SLICE("ab")), <, 0);
    g_assert_cmpint(conf_slice_compare((ConfSlice){NULL, 0}, CONF_SLICE("")), ==, 0);
    g_assert_cmpint(conf_slice_compare((ConfSlice){NULL, 0}, CONF_SLICE("a")), <, 0);
    /* U+E000 comes before U+10000 by code point; it would not by UTF-16 units. */
    g_assert_cmpint(conf_slice_compare(CONF_SLICE("\xee\x80\x80"), CONF_SLICE("\xf0\x90\x80\x80")), <, 0);

    g_autofree char *copy = conf_slice_dup((ConfSlice){"name and more", 4});
    g_assert_cmpstr(copy, ==, "name");
    g_autofree char *empty = conf_slice_dup((ConfSlice){NULL, 0});
    g_assert_cmpstr(empty, ==, "");
}

/* The vectors of the reference implementation: key 00 01 .. 0f, input 00 01 02 ... */
static void
test_siphash(void)
{
    static const struct {
        size_t size;
        uint64_t hash;
    } vectors[] = {
        {0, 0x726fdb47dd0e0e31u},
        {1, 0x74f839c593dc67fdu},
        {8, 0x93f5f5799a932462u},
        {15, 0xa129ca6149be45e5u},
    };
    const uint64_t key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    char input[64];
    for (unsigned i = 0; i < sizeof(input); i++)
        input[i] = (char)i;
    for (unsigned i = 0; i < G_N_ELEMENTS(vectors); i++)
        g_assert_cmphex(conf_siphash(key, (ConfSlice){input, vectors[i].size}), ==, vectors[i].hash);
    g_assert_cmphex(conf_slice_hash(CONF_SLICE("same")), ==, conf_slice_hash((ConfSlice){"same!", 4}));
    g_assert_cmphex(conf_slice_hash(CONF_SLICE("same")), !=, conf_slice_hash(CONF_SLICE("Same")));
}

static void
test_buffer(void)
{
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    g_autoptr(GString) model = g_string_new(NULL);
    for (unsigned i = 0; i < 500; i++) {
        conf_buffer_append_string(&buffer, "text");
        conf_buffer_append_char(&buffer, ',');
        conf_buffer_append_integer(&buffer, (int64_t)i - 250);
        CONF_BUFFER_LITERAL(&buffer, "!");
        conf_buffer_append_slice(&buffer, (ConfSlice){NULL, 0});
        conf_buffer_printf(&buffer, "%u:%s", i, "printed");
        g_string_append_printf(model, "text,%d!%u:printed", (int)i - 250, i);
    }
    g_assert_cmpmem(buffer.data, buffer.size, model->str, model->len);

    g_autoptr(ConfBytes) bytes = conf_buffer_to_bytes(&buffer);
    g_assert_cmpmem(bytes->data, bytes->size, model->str, model->len);
    size_t capacity = buffer.capacity;
    conf_buffer_truncate(&buffer, 4);
    conf_buffer_truncate(&buffer, 10);
    g_assert_cmpmem(buffer.data, buffer.size, "text", 4);
    g_assert_cmpuint(buffer.capacity, ==, capacity);

    memcpy(conf_buffer_reserve(&buffer, 3), "abc", 3);
    buffer.size += 3;
    g_assert_true(conf_slice_is(conf_buffer_slice(&buffer), "textabc"));
    conf_buffer_clear(&buffer);
    g_assert_null(buffer.data);
    g_autoptr(ConfBytes) empty = conf_buffer_to_bytes(&buffer);
    g_assert_cmpuint(empty->size, ==, 0);
}

static void
test_buffer_limits(void)
{
    g_auto(ConfBuffer) buffer = CONF_BUFFER_INIT;
    conf_buffer_append_integer(&buffer, INT64_MIN);
    conf_buffer_append_char(&buffer, ' ');
    conf_buffer_append_integer(&buffer, INT64_MAX);
    conf_buffer_append_char(&buffer, ' ');
    conf_buffer_append_integer(&buffer, 0);
    g_assert_true(conf_slice_is(conf_buffer_slice(&buffer), "-9223372036854775808 9223372036854775807 0"));

    g_autofree char *text = g_strnfill(100000, 'y');
    conf_buffer_truncate(&buffer, 0);
    conf_buffer_printf(&buffer, "<%s>", text);
    g_assert_cmpuint(buffer.size, ==, 100002);
    g_assert_cmpint(buffer.data[100001], ==, '>');
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/bytes/reference", test_bytes);
    g_test_add_func("/base/bytes/threads", test_bytes_threads);
    g_test_add_func("/base/bytes/slices", test_slices);
    g_test_add_func("/base/bytes/siphash", test_siphash);
    g_test_add_func("/base/buffer/append", test_buffer);
    g_test_add_func("/base/buffer/limits", test_buffer_limits);
    return g_test_run();
}
