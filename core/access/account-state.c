/* account-state.c - see account-state.h. */
#include "access/account-state.h"

#include "access/account-file-private.h"
#include "base/clock.h"

#define MINUTE_MS ((int64_t)60 * 1000)

struct ConfAccounts {
    GHashTable *table; /* of Account, by its key */
    GQueue order;      /* of the same: what changed last stands last */
    GQueue untold;     /* of those that the server above has to hear of */
    uint64_t serial;
    ConfAccountFile *file; /* NULL: nothing is kept */
};

typedef struct {
    ConfAccountRecord record; /* first: its key is the first member */
    int64_t untold_wrong;
    uint64_t serial;
    GList order_link, untold_link;
    bool is_untold;
} Account;

static const Account *lookup(const ConfAccounts *accounts, ConfKey key);
static Account *ensure(ConfAccounts *accounts, ConfKey key);
static void changed(ConfAccounts *accounts, Account *account);
static void tell(ConfAccounts *accounts, Account *account);
static void tell_no_more(ConfAccounts *accounts, Account *account);
static ConfAccountReport report_of(const Account *account);
static GArray *snapshot(void *data);
static void load(const ConfAccountRecord *record, void *data);

ConfAccounts *
conf_accounts_new(void)
{
    ConfAccounts *accounts = g_new0(ConfAccounts, 1);
    accounts->table = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, NULL, g_free);
    g_queue_init(&accounts->order);
    g_queue_init(&accounts->untold);
    return accounts;
}

void
conf_accounts_free(ConfAccounts *accounts)
{
    if (accounts == NULL)
        return;
    conf_account_file_close(accounts->file);
    g_hash_table_unref(accounts->table);
    g_free(accounts);
}

void
conf_accounts_open(ConfAccounts *accounts, const char *folder, const char *environment)
{
    conf_account_file_close(accounts->file);
    accounts->file = conf_account_file_open(folder, environment, load, snapshot, accounts);
}

void
conf_accounts_reset(ConfAccounts *accounts, const char *environment)
{
    g_queue_init(&accounts->order);
    g_queue_init(&accounts->untold);
    g_hash_table_remove_all(accounts->table);
    if (accounts->file != NULL)
        conf_account_file_set_environment(accounts->file, environment);
}

int64_t
conf_accounts_last_login(const ConfAccounts *accounts, ConfKey key)
{
    const Account *account = lookup(accounts, key);
    return account != NULL ? account->record.last_login_ms : 0;
}

void
conf_accounts_note_login(ConfAccounts *accounts, ConfKey key, int64_t now_ms)
{
    Account *account = ensure(accounts, key);
    account->record.last_login_ms = now_ms;
    tell(accounts, account);
    changed(accounts, account);
}

bool
conf_accounts_is_locked(const ConfAccounts *accounts, ConfKey key, int64_t now_ms)
{
    const Account *account = lookup(accounts, key);
    return account != NULL && account->record.locked_until_ms > now_ms;
}

bool
conf_accounts_note_wrong(ConfAccounts *accounts, ConfKey key, const ConfPolicy *policy, int64_t count,
                         int64_t at_ms)
{
    if (policy->lockout_threshold == 0 || policy->override_lockout || count <= 0 ||
        conf_accounts_is_locked(accounts, key, at_ms))
        return false;
    Account *account = ensure(accounts, key);
    ConfAccountRecord *record = &account->record;
    count = MIN(count, CONF_ACCOUNT_WRONG_MAX); /* It may come from another server. */
    /* A window that begins with its first wrong password: a later one begins the next. */
    if (record->wrong == 0 || (policy->lockout_period_min > 0 &&
                               at_ms - record->wrong_since_ms > policy->lockout_period_min * MINUTE_MS)) {
        record->wrong = 0;
        record->wrong_since_ms = at_ms;
    }
    record->wrong = MIN(record->wrong + count, CONF_ACCOUNT_WRONG_MAX);
    record->wrong_at_ms = at_ms;
    account->untold_wrong = MIN(account->untold_wrong + count, CONF_ACCOUNT_WRONG_MAX);
    bool locks = record->wrong >= policy->lockout_threshold;
    if (locks) {
        record->wrong = 0;
        record->locked_until_ms =
            policy->lockout_duration_min > 0 ? at_ms + policy->lockout_duration_min * MINUTE_MS : G_MAXINT64;
    }
    tell(accounts, account);
    changed(accounts, account);
    return locks;
}

void
conf_accounts_note_right(ConfAccounts *accounts, ConfKey key)
{
    Account *account = (Account *)lookup(accounts, key);
    if (account == NULL || account->record.wrong == 0)
        return;
    account->record.wrong = 0;
    changed(accounts, account);
}

void
conf_accounts_unlock(ConfAccounts *accounts, ConfKey key)
{
    Account *account = (Account *)lookup(accounts, key);
    if (account == NULL || (account->record.wrong == 0 && account->record.locked_until_ms == 0))
        return;
    account->record.wrong = account->untold_wrong = 0;
    account->record.locked_until_ms = 0;
    changed(accounts, account);
}

int64_t
conf_accounts_forced_since(ConfAccounts *accounts, ConfKey key, int64_t now_ms)
{
    Account *account = ensure(accounts, key);
    if (account->record.forced_ms == 0) {
        account->record.forced_ms = now_ms;
        changed(accounts, account);
    }
    return account->record.forced_ms;
}

void
conf_accounts_not_forced(ConfAccounts *accounts, ConfKey key)
{
    Account *account = (Account *)lookup(accounts, key);
    if (account == NULL || account->record.forced_ms == 0)
        return;
    account->record.forced_ms = 0;
    changed(accounts, account);
}

void
conf_accounts_forget(ConfAccounts *accounts, ConfKey key)
{
    Account *account = (Account *)lookup(accounts, key);
    if (account == NULL)
        return;
    tell_no_more(accounts, account);
    g_queue_unlink(&accounts->order, &account->order_link);
    g_hash_table_remove(accounts->table, &key);
    if (accounts->file != NULL)
        conf_account_file_change(accounts->file);
}

unsigned
conf_accounts_untold(const ConfAccounts *accounts, ConfAccountReport *reports, unsigned most)
{
    unsigned count = 0;
    for (const GList *link = accounts->untold.head; link != NULL && count < most; link = link->next)
        reports[count++] = report_of(link->data);
    return count;
}

/* What came between the telling and the answer stays to be told. */
void
conf_accounts_told(ConfAccounts *accounts, const ConfAccountReport *reports, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        Account *account = (Account *)lookup(accounts, reports[i].key);
        if (account == NULL || !account->is_untold)
            continue;
        account->untold_wrong = MAX(account->untold_wrong - reports[i].wrong, 0);
        if (account->untold_wrong == 0 && account->record.last_login_ms <= reports[i].last_login_ms)
            tell_no_more(accounts, account);
    }
}

unsigned
conf_accounts_changed(const ConfAccounts *accounts, uint64_t *serial, ConfAccountReport *reports,
                      unsigned most)
{
    const GList *link = accounts->order.tail;
    const GList *first = NULL;
    for (; link != NULL && ((const Account *)link->data)->serial > *serial; link = link->prev)
        first = link;
    unsigned count = 0;
    for (link = first; link != NULL && count < most; link = link->next) {
        const Account *account = link->data;
        *serial = account->serial;
        if (account->record.key.type == CONF_TYPE_PERSON)
            reports[count++] = report_of(account);
    }
    return count;
}

void
conf_accounts_take(ConfAccounts *accounts, const ConfAccountReport *report)
{
    conf_accounts_take_login(accounts, report->key, report->last_login_ms, false);
    Account *account = (Account *)lookup(accounts, report->key);
    if (report->locked_until_ms == 0 ||
        (account != NULL && account->record.locked_until_ms >= report->locked_until_ms))
        return;
    account = ensure(accounts, report->key);
    account->record.locked_until_ms = report->locked_until_ms;
    account->record.wrong = 0;
    changed(accounts, account);
}

void
conf_accounts_take_login(ConfAccounts *accounts, ConfKey key, int64_t at_ms, bool is_told)
{
    if (at_ms <= conf_accounts_last_login(accounts, key))
        return;
    Account *account = ensure(accounts, key);
    account->record.last_login_ms = at_ms;
    if (is_told)
        tell(accounts, account);
    changed(accounts, account);
}

static const Account *
lookup(const ConfAccounts *accounts, ConfKey key)
{
    return g_hash_table_lookup(accounts->table, &key);
}

static Account *
ensure(ConfAccounts *accounts, ConfKey key)
{
    Account *account = g_hash_table_lookup(accounts->table, &key);
    if (account != NULL)
        return account;
    account = g_new0(Account, 1);
    account->record.key = key;
    account->order_link.data = account->untold_link.data = account;
    g_hash_table_insert(accounts->table, &account->record.key, account);
    g_queue_push_tail_link(&accounts->order, &account->order_link);
    return account;
}

static void
changed(ConfAccounts *accounts, Account *account)
{
    account->serial = ++accounts->serial;
    g_queue_unlink(&accounts->order, &account->order_link);
    g_queue_push_tail_link(&accounts->order, &account->order_link);
    if (accounts->file != NULL)
        conf_account_file_change(accounts->file);
}

static void
tell(ConfAccounts *accounts, Account *account)
{
    if (account->is_untold || account->record.key.type != CONF_TYPE_PERSON)
        return;
    account->is_untold = true;
    g_queue_push_tail_link(&accounts->untold, &account->untold_link);
}

static void
tell_no_more(ConfAccounts *accounts, Account *account)
{
    if (account->is_untold)
        g_queue_unlink(&accounts->untold, &account->untold_link);
    account->is_untold = false;
}

static ConfAccountReport
report_of(const Account *account)
{
    return (ConfAccountReport){.key = account->record.key,
                               .last_login_ms = account->record.last_login_ms,
                               .wrong = account->untold_wrong,
                               .wrong_at_ms = account->record.wrong_at_ms,
                               .locked_until_ms = account->record.locked_until_ms};
}

static GArray *
snapshot(void *data)
{
    const ConfAccounts *accounts = data;
    GArray *records =
        g_array_sized_new(FALSE, FALSE, sizeof(ConfAccountRecord), g_hash_table_size(accounts->table));
    for (const GList *link = accounts->order.head; link != NULL; link = link->next)
        g_array_append_val(records, ((const Account *)link->data)->record);
    return records;
}

static void
load(const ConfAccountRecord *record, void *data)
{
    ConfAccounts *accounts = data;
    Account *account = ensure(accounts, record->key);
    account->record = *record;
    account->serial = ++accounts->serial;
}
