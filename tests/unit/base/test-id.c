/* test-id.c - random identifiers and SHA-256, the latter against published vectors and GLib's own. */
#include <string.h>

#include "base/id.h"

static void
test_random(void)
{
    uint8_t a[32] = {0}, b[32] = {0};
    conf_id_random(a, sizeof(a));
    conf_id_random(b, sizeof(b));
    g_assert_cmpint(memcmp(a, b, sizeof(a)), !=, 0);
    conf_id_random(a, 0);
}

static void
test_uuid(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (unsigned i = 0; i < 1000; i++) {
        char text[CONF_UUID_TEXT_SIZE];
        conf_id_new_uuid(text);
        g_assert_true(g_uuid_string_is_valid(text));
        g_assert_true(conf_id_is_uuid(conf_slice_from_string(text)));
        g_assert_cmpint(text[14], ==, '4');
        g_assert_nonnull(strchr("89ab", text[19]));
        g_assert_true(g_hash_table_add(seen, g_strdup(text)));
    }
    g_assert_true(conf_id_is_uuid(CONF_SLICE("F81D4FAE-7dec-11d0-a765-00a0c91e6bf6")));
    g_assert_false(conf_id_is_uuid(CONF_SLICE("f81d4fae-7dec-11d0-a765-00a0c91e6bf")));
    g_assert_false(conf_id_is_uuid(CONF_SLICE("f81d4fae-7dec-11d0-a765-00a0c91e6bf66")));
    g_assert_false(conf_id_is_uuid(CONF_SLICE("f81d4fae07dec-11d0-a765-00a0c91e6bf6")));
    g_assert_false(conf_id_is_uuid(CONF_SLICE("g81d4fae-7dec-11d0-a765-00a0c91e6bf6")));
    g_assert_false(conf_id_is_uuid((ConfSlice){NULL, 0}));
}

static void
test_token(void)
{
    char first[CONF_TOKEN_TEXT_SIZE], second[CONF_TOKEN_TEXT_SIZE];
    conf_id_new_token(first);
    conf_id_new_token(second);
    g_assert_cmpuint(strlen(first), ==, 32);
    g_assert_cmpuint(strspn(first, "0123456789abcdef"), ==, 32);
    g_assert_cmpstr(first, !=, second);
}

static void
test_sha256(void)
{
    static const struct {
        const char *text, *digest;
    } vectors[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(vectors); i++) {
        uint8_t digest[32];
        char hex[65];
        conf_id_sha256(conf_slice_from_string(vectors[i].text), digest);
        conf_id_hex(digest, sizeof(digest), hex);
        g_assert_cmpstr(hex, ==, vectors[i].digest);
    }

    const ConfSlice parts[] = {CONF_SLICE("a"), {NULL, 0}, CONF_SLICE("bc")};
    uint8_t whole[32], pieces[32];
    conf_id_sha256(CONF_SLICE("abc"), whole);
    conf_id_sha256_parts(parts, G_N_ELEMENTS(parts), pieces);
    g_assert_cmpmem(whole, 32, pieces, 32);
}

static void
test_chain(void)
{
    char chain[CONF_CHAIN_TEXT_SIZE] = "0000000000000000";
    for (unsigned i = 0; i < 10; i++) {
        g_autofree char *record = g_strdup_printf("{\"revision\":%u}", i);
        g_autofree char *both = g_strconcat(chain, record, NULL);
        g_autofree char *expected = g_compute_checksum_for_string(G_CHECKSUM_SHA256, both, -1);
        expected[16] = '\0';
        /* The new chain may take the place of the one it follows. */
        conf_id_next_chain(chain, conf_slice_from_string(record), chain);
        g_assert_cmpstr(chain, ==, expected);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/id/random", test_random);
    g_test_add_func("/base/id/uuid", test_uuid);
    g_test_add_func("/base/id/token", test_token);
    g_test_add_func("/base/id/sha256", test_sha256);
    g_test_add_func("/base/id/chain", test_chain);
    return g_test_run();
}
