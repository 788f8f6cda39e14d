/* login-pause.c - pauses after refused log-ins.
 *
 * Attempts during a pause count for nothing: they are answered without a look at the password, and whoever
 * has the right one comes in after the pause however often a forgotten program tried in between. */
#include "access/login-pause-private.h"

#include <arpa/inet.h>
#include <string.h>

#include "access/bounded-table-private.h"
#include "base/id.h"

/* Refusals are forgotten after this long without another. */
#define FORGOTTEN_USEC (G_GINT64_CONSTANT(900) * G_USEC_PER_SEC)
/* A right password whose owner is refused for another reason is told at once by
 * conf_access_note_refusal(); until then the count before it is kept, or a right password could be told by
 * the pauses that it does not bring. */
#define SUCCESS_UNSURE_USEC G_USEC_PER_SEC
#define MINUTE_USEC (G_GINT64_CONSTANT(60) * G_USEC_PER_SEC)

typedef struct {
    ConfTableEntry head;
    unsigned refusals;
    unsigned refusals_before; /* the success at success_at */
    int64_t refused_at;
    int64_t success_at;
    int64_t paused_until;
} Account;

/* A bucket that refusals fill and time empties at the rate allowed. */
typedef struct {
    ConfTableEntry head;
    double level;
    int64_t level_at;
} Address;

struct ConfLoginPauses {
    ConfBoundedTable *accounts;
    ConfBoundedTable *addresses;
    int64_t attempts;
    int64_t pause_ms;
    int64_t address_rate;
};

static void count_account(ConfLoginPauses *pauses, Account *account, int64_t now);
static double level_now(const ConfLoginPauses *pauses, const Address *entry, int64_t now);
static void account_key(ConfSlice name, const char *address, uint8_t key[CONF_TABLE_KEY_SIZE]);
static void address_key(const char *address, uint8_t key[CONF_TABLE_KEY_SIZE]);
static ConfSlice network_of(const char *address, struct in6_addr *space);

ConfLoginPauses *
conf_login_pauses_new(void)
{
    ConfLoginPauses *pauses = g_new0(ConfLoginPauses, 1);
    pauses->accounts = conf_bounded_table_new(sizeof(Account), CONF_LOGIN_PAUSE_ENTRIES_MAX);
    pauses->addresses = conf_bounded_table_new(sizeof(Address), CONF_LOGIN_PAUSE_ENTRIES_MAX);
    return pauses;
}

void
conf_login_pauses_free(ConfLoginPauses *pauses)
{
    if (pauses == NULL)
        return;
    conf_bounded_table_free(pauses->accounts);
    conf_bounded_table_free(pauses->addresses);
    g_free(pauses);
}

void
conf_login_pauses_set(ConfLoginPauses *pauses, int64_t attempts, int64_t pause_ms, int64_t address_rate)
{
    pauses->attempts = MAX(attempts, 1);
    pauses->pause_ms = CLAMP(pause_ms, 0, CONF_LOGIN_PAUSE_MAX_MS);
    pauses->address_rate = MAX(address_rate, 0);
}

void
conf_login_pauses_note_refusal(ConfLoginPauses *pauses, ConfSlice name, const char *address, int64_t now)
{
    if (address == NULL || *address == '\0')
        return;
    uint8_t key[CONF_TABLE_KEY_SIZE];
    account_key(name, address, key);
    count_account(pauses, conf_bounded_table_ensure(pauses->accounts, key), now);

    if (pauses->address_rate == 0)
        return;
    address_key(address, key);
    Address *entry = conf_bounded_table_ensure(pauses->addresses, key);
    /* Several may have been under way when the pause began: no more than a minute's pause comes of them. */
    entry->level = MIN(level_now(pauses, entry, now) + 1, 2.0 * (double)pauses->address_rate);
    entry->level_at = now;
}

void
conf_login_pauses_note_success(ConfLoginPauses *pauses, ConfSlice name, const char *address, int64_t now)
{
    uint8_t key[CONF_TABLE_KEY_SIZE];
    account_key(name, address, key);
    Account *account = conf_bounded_table_lookup(pauses->accounts, key);
    if (account == NULL || account->refusals == 0)
        return;
    account->refusals_before = account->refusals;
    account->refusals = 0;
    account->success_at = now;
    account->paused_until = 0;
}

unsigned
conf_login_pauses_wait_ms(ConfLoginPauses *pauses, ConfSlice name, const char *address, int64_t now)
{
    uint8_t key[CONF_TABLE_KEY_SIZE];
    int64_t wait_usec = 0;
    account_key(name, address, key);
    const Account *account = conf_bounded_table_lookup(pauses->accounts, key);
    if (account != NULL && pauses->pause_ms > 0)
        wait_usec = account->paused_until - now;

    address_key(address, key);
    const Address *entry =
        pauses->address_rate > 0 ? conf_bounded_table_lookup(pauses->addresses, key) : NULL;
    double above = entry != NULL ? level_now(pauses, entry, now) - (double)pauses->address_rate : 0;
    if (above > 0)
        wait_usec = MAX(wait_usec, (int64_t)(above * (double)MINUTE_USEC / (double)pauses->address_rate));
    if (wait_usec <= 0)
        return 0;
    return (unsigned)MIN((wait_usec + 999) / 1000, (int64_t)CONF_LOGIN_PAUSE_MAX_MS);
}

static void
count_account(ConfLoginPauses *pauses, Account *account, int64_t now)
{
    if (account->refusals_before > 0 && now - account->success_at <= SUCCESS_UNSURE_USEC)
        account->refusals += account->refusals_before;
    else if (now - account->refused_at > FORGOTTEN_USEC)
        account->refusals = 0;
    account->refusals_before = 0;
    account->refused_at = now;
    if (account->refusals < G_MAXUINT)
        account->refusals++;
    if (account->refusals < pauses->attempts)
        return;
    int64_t doublings = MIN((int64_t)account->refusals - pauses->attempts, 16);
    int64_t pause_ms = MIN(pauses->pause_ms << doublings, (int64_t)CONF_LOGIN_PAUSE_MAX_MS);
    account->paused_until = now + pause_ms * 1000;
}

static double
level_now(const ConfLoginPauses *pauses, const Address *entry, int64_t now)
{
    double drained = (double)(now - entry->level_at) * (double)pauses->address_rate / (double)MINUTE_USEC;
    return MAX(entry->level - drained, 0);
}

/* Names come from the network in any length and spelling: what is kept of one is a digest of the form that
 * names are compared in. */
static void
account_key(ConfSlice name, const char *address, uint8_t key[CONF_TABLE_KEY_SIZE])
{
    struct in6_addr space;
    g_autofree char *normal =
        g_utf8_normalize(name.data != NULL ? name.data : "", (gssize)name.size, G_NORMALIZE_NFC);
    char separator = '\0';
    const ConfSlice parts[] = {
        network_of(address, &space), {&separator, 1}, normal != NULL ? conf_slice_from_string(normal) : name};
    uint8_t digest[32];
    conf_id_sha256_parts(parts, G_N_ELEMENTS(parts), digest);
    memcpy(key, digest, CONF_TABLE_KEY_SIZE);
}

static void
address_key(const char *address, uint8_t key[CONF_TABLE_KEY_SIZE])
{
    struct in6_addr space;
    uint8_t digest[32];
    conf_id_sha256(network_of(address, &space), digest);
    memcpy(key, digest, CONF_TABLE_KEY_SIZE);
}

/* Who has one IPv6 address has the 2^64 beside it as well: they count as one. */
static ConfSlice
network_of(const char *address, struct in6_addr *space)
{
    if (address == NULL)
        address = "";
    if (inet_pton(AF_INET, address, space) == 1)
        return (ConfSlice){(const char *)space->s6_addr, 4};
    if (inet_pton(AF_INET6, address, space) != 1 || IN6_IS_ADDR_LOOPBACK(space))
        return conf_slice_from_string(address);
    if (IN6_IS_ADDR_V4MAPPED(space))
        return (ConfSlice){(const char *)space->s6_addr + 12, 4};
    return (ConfSlice){(const char *)space->s6_addr, 8};
}
