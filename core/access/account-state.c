/* account-state.c - see account-state.h. */
#include "access/account-state-private.h"

#define MINUTE_MS ((int64_t)60 * 1000)

static bool set_lock(ConfAccounts *accounts, ConfAccount *account, const ConfPolicy *policy, int64_t at_ms,
                     int64_t now_ms);
static bool window_is_over(const ConfAccountRecord *record, const ConfPolicy *policy, int64_t at_ms,
                           int64_t now_ms);
static void snapshot(ConfAccountSnapshot *snapshot, void *data);
static void load(const ConfAccountRecord *record, void *data);
static void load_origin(const ConfAccountOrigin *origin, void *data);

ConfAccounts *
conf_accounts_new(void)
{
    ConfAccounts *accounts = g_new0(ConfAccounts, 1);
    accounts->table = g_hash_table_new_full(conf_key_g_hash, conf_key_g_equal, NULL, g_free);
    accounts->origins = g_ptr_array_new_with_free_func(g_free);
    g_queue_init(&accounts->order);
    g_queue_init(&accounts->untold);
    g_queue_init(&accounts->recent);
    conf_accounts_new_origin(accounts);
    return accounts;
}

void
conf_accounts_free(ConfAccounts *accounts)
{
    if (accounts == NULL)
        return;
    conf_account_file_close(accounts->file);
    g_hash_table_unref(accounts->table);
    g_ptr_array_unref(accounts->origins);
    g_queue_clear_full(&accounts->recent, g_free);
    g_free(accounts);
}

void
conf_accounts_open(ConfAccounts *accounts, const char *folder, const char *environment)
{
    const ConfAccountFileHost host = {
        .load = load, .load_origin = load_origin, .snapshot = snapshot, .data = accounts};
    conf_account_file_close(accounts->file);
    accounts->file = conf_account_file_open(folder, environment, &host);
}

void
conf_accounts_reset(ConfAccounts *accounts, const char *environment)
{
    g_queue_init(&accounts->order);
    g_queue_init(&accounts->untold);
    g_hash_table_remove_all(accounts->table);
    g_ptr_array_set_size(accounts->origins, 0);
    conf_accounts_new_origin(accounts);
    if (accounts->file != NULL)
        conf_account_file_set_environment(accounts->file, environment);
}

int64_t
conf_accounts_last_login(const ConfAccounts *accounts, ConfKey key)
{
    const ConfAccount *account = conf_accounts_lookup(accounts, key);
    return account != NULL ? account->record.last_login_ms : 0;
}

void
conf_accounts_note_login(ConfAccounts *accounts, ConfKey key, int64_t now_ms)
{
    ConfAccount *account = conf_accounts_ensure(accounts, key);
    account->record.last_login_ms = now_ms;
    account->record.untold_login = true;
    conf_accounts_tell(accounts, account);
    conf_accounts_note_change(accounts, account);
}

bool
conf_accounts_is_locked(ConfAccounts *accounts, ConfKey key, const ConfPolicy *policy, int64_t now_ms)
{
    ConfAccount *account = conf_accounts_lookup(accounts, key);
    if (account == NULL || account->record.locked_until_ms <= now_ms)
        return false;
    /* The clock was set back, or the rule is another one now. */
    int64_t longest = now_ms + policy->lockout_duration_min * MINUTE_MS;
    if (policy->lockout_duration_min > 0 && account->record.locked_until_ms < CONF_ACCOUNT_FOREVER_MS &&
        account->record.locked_until_ms > longest) {
        account->record.locked_until_ms = longest;
        conf_accounts_note_change(accounts, account);
    }
    return true;
}

bool
conf_accounts_note_wrong(ConfAccounts *accounts, ConfKey key, const ConfPolicy *policy, int64_t count,
                         int64_t at_ms, int64_t now_ms)
{
    if (policy->lockout_threshold == 0 || policy->override_lockout || count <= 0 ||
        conf_accounts_is_locked(accounts, key, policy, now_ms))
        return false;
    ConfAccount *account = conf_accounts_ensure(accounts, key);
    ConfAccountRecord *record = &account->record;
    if ((at_ms < record->right_ms && record->right_ms <= now_ms) ||
        (at_ms < record->anew_ms && record->anew_ms <= now_ms))
        return false;
    count = MIN(count, CONF_ACCOUNT_WRONG_MAX); /* It may come from another server. */
    if (record->wrong == 0 || window_is_over(record, policy, at_ms, now_ms)) {
        record->wrong = 0;
        record->wrong_since_ms = record->wrong_at_ms = at_ms;
    }
    record->wrong = MIN(record->wrong + count, CONF_ACCOUNT_WRONG_MAX);
    record->wrong_at_ms = record->wrong_at_ms > now_ms ? at_ms : MAX(record->wrong_at_ms, at_ms);
    record->untold_wrong = MIN(record->untold_wrong + count, CONF_ACCOUNT_WRONG_MAX);
    bool locks =
        record->wrong >= policy->lockout_threshold && set_lock(accounts, account, policy, at_ms, now_ms);
    conf_accounts_tell(accounts, account);
    conf_accounts_note_change(accounts, account);
    return locks;
}

bool
conf_accounts_lock(ConfAccounts *accounts, ConfKey key, const ConfPolicy *policy, int64_t at_ms,
                   int64_t now_ms)
{
    if (policy->lockout_threshold == 0 || policy->override_lockout ||
        conf_accounts_is_locked(accounts, key, policy, now_ms))
        return false;
    ConfAccount *account = conf_accounts_ensure(accounts, key);
    if (at_ms < account->record.anew_ms && account->record.anew_ms <= now_ms)
        return false;
    account->record.wrong_at_ms = MAX(account->record.wrong_at_ms, at_ms);
    return set_lock(accounts, account, policy, at_ms, now_ms);
}

void
conf_accounts_note_right(ConfAccounts *accounts, ConfKey key, int64_t at_ms, int64_t now_ms)
{
    ConfAccount *account = conf_accounts_ensure(accounts, key);
    ConfAccountRecord *record = &account->record;
    if (record->right_ms <= now_ms && at_ms < record->right_ms)
        return; /* An older one. */
    record->right_ms = at_ms;
    /* Some of those that stand here came after it; which, nobody knows any more. */
    if (at_ms >= record->wrong_at_ms || record->wrong_at_ms > now_ms) {
        record->wrong = record->untold_wrong = account->doubtful_wrong = 0;
        account->turn++;
    }
    record->untold_right = true;
    conf_accounts_tell(accounts, account);
    conf_accounts_note_change(accounts, account);
}

void
conf_accounts_unlock(ConfAccounts *accounts, ConfKey key, int64_t now_ms)
{
    /* Also where nothing stands here: a server below may tell of wrong passwords from before, later. */
    ConfAccount *account = conf_accounts_ensure(accounts, key);
    ConfAccountRecord *record = &account->record;
    record->wrong = record->untold_wrong = account->doubtful_wrong = 0;
    record->untold_lock = false;
    record->locked_until_ms = 0;
    record->anew_ms = now_ms;
    account->turn++;
    conf_accounts_note_change(accounts, account);
}

int64_t
conf_accounts_forced_since(ConfAccounts *accounts, ConfKey key, int64_t now_ms)
{
    ConfAccount *account = conf_accounts_ensure(accounts, key);
    if (account->record.forced_ms == 0) {
        account->record.forced_ms = now_ms;
        conf_accounts_note_change(accounts, account);
    }
    return account->record.forced_ms;
}

void
conf_accounts_not_forced(ConfAccounts *accounts, ConfKey key)
{
    ConfAccount *account = conf_accounts_lookup(accounts, key);
    if (account == NULL || account->record.forced_ms == 0)
        return;
    account->record.forced_ms = 0;
    conf_accounts_note_change(accounts, account);
}

void
conf_accounts_forget(ConfAccounts *accounts, ConfKey key)
{
    ConfAccount *account = conf_accounts_lookup(accounts, key);
    if (account == NULL)
        return;
    conf_accounts_tell_no_more(accounts, account);
    g_queue_unlink(&accounts->order, &account->order_link);
    g_hash_table_remove(accounts->table, &key);
    if (accounts->file != NULL)
        conf_account_file_change(accounts->file);
}

ConfAccount *
conf_accounts_lookup(const ConfAccounts *accounts, ConfKey key)
{
    return g_hash_table_lookup(accounts->table, &key);
}

ConfAccount *
conf_accounts_ensure(ConfAccounts *accounts, ConfKey key)
{
    ConfAccount *account = g_hash_table_lookup(accounts->table, &key);
    if (account != NULL)
        return account;
    account = g_new0(ConfAccount, 1);
    account->record.key = key;
    account->order_link.data = account->untold_link.data = account;
    g_hash_table_insert(accounts->table, &account->record.key, account);
    g_queue_push_tail_link(&accounts->order, &account->order_link);
    return account;
}

void
conf_accounts_note_change(ConfAccounts *accounts, ConfAccount *account)
{
    account->serial = ++accounts->serial;
    g_queue_unlink(&accounts->order, &account->order_link);
    g_queue_push_tail_link(&accounts->order, &account->order_link);
    if (accounts->file != NULL)
        conf_account_file_change(accounts->file);
}

void
conf_accounts_tell(ConfAccounts *accounts, ConfAccount *account)
{
    if (account->is_untold || account->record.key.type != CONF_TYPE_PERSON)
        return;
    account->is_untold = true;
    g_queue_push_tail_link(&accounts->untold, &account->untold_link);
}

void
conf_accounts_tell_no_more(ConfAccounts *accounts, ConfAccount *account)
{
    if (account->is_untold)
        g_queue_unlink(&accounts->untold, &account->untold_link);
    account->is_untold = false;
}

static bool
set_lock(ConfAccounts *accounts, ConfAccount *account, const ConfPolicy *policy, int64_t at_ms,
         int64_t now_ms)
{
    ConfAccountRecord *record = &account->record;
    record->wrong = 0;
    record->locked_until_ms = policy->lockout_duration_min > 0
                                  ? at_ms + policy->lockout_duration_min * MINUTE_MS
                                  : CONF_ACCOUNT_FOREVER_MS;
    if (record->locked_until_ms <= now_ms)
        return false; /* Told of late, it is over. */
    record->untold_lock = true;
    conf_accounts_tell(accounts, account);
    conf_accounts_note_change(accounts, account);
    return true;
}

/* A window begins with its first wrong password: one that comes later begins the next.  One that begins later
 * than now is of a clock that was set back since. */
static bool
window_is_over(const ConfAccountRecord *record, const ConfPolicy *policy, int64_t at_ms, int64_t now_ms)
{
    return policy->lockout_period_min > 0 &&
           (record->wrong_since_ms > now_ms ||
            at_ms - record->wrong_since_ms > policy->lockout_period_min * MINUTE_MS);
}

static void
snapshot(ConfAccountSnapshot *snapshot, void *data)
{
    const ConfAccounts *accounts = data;
    snapshot->records =
        g_array_sized_new(FALSE, FALSE, sizeof(ConfAccountRecord), g_hash_table_size(accounts->table));
    for (const GList *link = accounts->order.head; link != NULL; link = link->next)
        g_array_append_val(snapshot->records, ((const ConfAccount *)link->data)->record);
    snapshot->origins = g_array_new(FALSE, FALSE, sizeof(ConfAccountOrigin));
    g_array_append_val(snapshot->origins, accounts->own);
    for (unsigned i = 0; i < accounts->origins->len; i++)
        g_array_append_vals(snapshot->origins, g_ptr_array_index(accounts->origins, i), 1);
}

static void
load(const ConfAccountRecord *record, void *data)
{
    ConfAccounts *accounts = data;
    ConfAccount *account = conf_accounts_ensure(accounts, record->key);
    account->record = *record;
    account->serial = ++accounts->serial;
    account->doubtful_wrong = record->untold_wrong;
    if (record->untold_login || record->untold_right || record->untold_lock || record->untold_wrong > 0)
        conf_accounts_tell(accounts, account);
}

static void
load_origin(const ConfAccountOrigin *origin, void *data)
{
    conf_accounts_load_origin(data, origin);
}
