/* recent-success.c - digests of passwords that were found right a short while ago. */
#include "access/recent-success-private.h"

#include <string.h>

#include "access/bounded-table-private.h"
#include "access/digest-private.h"
#include "base/id.h"

typedef struct {
    ConfTableEntry head;
    uint8_t hash_mark[CONF_DIGEST_SIZE]; /* of the stored hash: tells another password from another hash */
    uint8_t digest[CONF_DIGEST_SIZE];
    int64_t noted_at;
} Success;

struct ConfRecentSuccess {
    ConfBoundedTable *table;
    uint8_t key[CONF_DIGEST_KEY_SIZE];
};

static void make_key(ConfKey account, uint8_t key[CONF_TABLE_KEY_SIZE]);
static void mark_hash(const ConfRecentSuccess *recent, const char *hash, uint8_t mark[CONF_DIGEST_SIZE]);
static void digest_all(const ConfRecentSuccess *recent, ConfKey account, const char *hash, ConfSlice password,
                       uint8_t digest[CONF_DIGEST_SIZE]);
static bool equal_digests(const uint8_t *a, const uint8_t *b);

ConfRecentSuccess *
conf_recent_success_new(void)
{
    ConfRecentSuccess *recent = g_new0(ConfRecentSuccess, 1);
    recent->table = conf_bounded_table_new(sizeof(Success), CONF_RECENT_SUCCESS_MAX);
    conf_id_random(recent->key, sizeof(recent->key));
    return recent;
}

void
conf_recent_success_free(ConfRecentSuccess *recent)
{
    if (recent == NULL)
        return;
    conf_bounded_table_free(recent->table);
    explicit_bzero(recent->key, sizeof(recent->key));
    g_free(recent);
}

void
conf_recent_success_note(ConfRecentSuccess *recent, ConfKey account, const char *hash, ConfSlice password,
                         int64_t now)
{
    uint8_t key[CONF_TABLE_KEY_SIZE];
    make_key(account, key);
    Success *success = conf_bounded_table_ensure(recent->table, key);
    mark_hash(recent, hash, success->hash_mark);
    digest_all(recent, account, hash, password, success->digest);
    success->noted_at = now;
}

bool
conf_recent_success_check(ConfRecentSuccess *recent, ConfKey account, const char *hash, ConfSlice password,
                          int64_t within_usec, int64_t now)
{
    uint8_t key[CONF_TABLE_KEY_SIZE];
    make_key(account, key);
    Success *success = conf_bounded_table_lookup(recent->table, key);
    if (success == NULL)
        return false;
    uint8_t digest[CONF_DIGEST_SIZE];
    mark_hash(recent, hash, digest);
    if (now - success->noted_at > within_usec || !equal_digests(digest, success->hash_mark)) {
        conf_bounded_table_remove(recent->table, success);
        return false;
    }
    digest_all(recent, account, hash, password, digest);
    bool is_same = equal_digests(digest, success->digest);
    explicit_bzero(digest, sizeof(digest));
    return is_same;
}

void
conf_recent_success_forget(ConfRecentSuccess *recent, ConfKey account)
{
    uint8_t key[CONF_TABLE_KEY_SIZE];
    make_key(account, key);
    Success *success = conf_bounded_table_lookup(recent->table, key);
    if (success != NULL)
        conf_bounded_table_remove(recent->table, success);
}

/* dbids are the server's own, so nobody can aim at collisions: the hash of the key spreads them, the rest
 * tells them apart. */
static void
make_key(ConfKey account, uint8_t key[CONF_TABLE_KEY_SIZE])
{
    uint64_t hash = conf_key_hash(account);
    uint64_t rest = (uint64_t)account.dbid << 10 ^ account.type;
    memcpy(key, &hash, sizeof(hash));
    memcpy(key + sizeof(hash), &rest, sizeof(rest));
}

static void
mark_hash(const ConfRecentSuccess *recent, const char *hash, uint8_t mark[CONF_DIGEST_SIZE])
{
    ConfSlice part = conf_slice_from_string(hash);
    conf_access_digest(recent->key, &part, 1, mark);
}

static void
digest_all(const ConfRecentSuccess *recent, ConfKey account, const char *hash, ConfSlice password,
           uint8_t digest[CONF_DIGEST_SIZE])
{
    char owner[64];
    g_snprintf(owner, sizeof(owner), "%u/%" G_GINT64_FORMAT, account.type, account.dbid);
    const ConfSlice parts[] = {conf_slice_from_string(owner), conf_slice_from_string(hash), password};
    conf_access_digest(recent->key, parts, G_N_ELEMENTS(parts), digest);
}

static bool
equal_digests(const uint8_t *a, const uint8_t *b)
{
    unsigned differences = 0;
    for (unsigned i = 0; i < CONF_DIGEST_SIZE; i++)
        differences |= (unsigned)(a[i] ^ b[i]);
    return differences == 0;
}
