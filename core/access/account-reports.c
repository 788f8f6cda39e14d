/* account-reports.c - what servers tell each other of accounts.
 *
 * Up go events, each once: a report has a number, the server above remembers the last one of each origin,
 * with the very file that holds what it counted.  A report under way stands until it is known whether it
 * was taken. Down comes the state, which is the same however often it comes. */
#include "access/account-state-private.h"

#include "base/id.h"

#include <string.h>

static ConfAccountReport event_of(const ConfAccount *account);
static ConfAccountReport state_of(const ConfAccount *account);
static void told(ConfAccounts *accounts, const ConfAccountReport *report);
static void remember(ConfAccounts *accounts, const ConfAccountReport *report);
static void take_back(ConfAccounts *accounts, int64_t taken);
static void drop_doubtful(ConfAccounts *accounts, bool were_taken);
static ConfAccountOrigin *find_origin(const ConfAccounts *accounts, const char *name, unsigned *index);

void
conf_accounts_new_origin(ConfAccounts *accounts)
{
    accounts->own = (ConfAccountOrigin){.own = true};
    conf_id_new_token(accounts->own.name);
    accounts->pending_count = 0;
    accounts->above[0] = '\0';
    g_queue_clear_full(&accounts->recent, g_free);
}

void
conf_accounts_load_origin(ConfAccounts *accounts, const ConfAccountOrigin *origin)
{
    if (origin->own && origin->last < CONF_ACCOUNT_REPORT_MAX)
        accounts->own = *origin;
    else if (origin->own)
        return; /* There is no number after it; the one that this process began with is as good. */
    else if (accounts->origins->len < CONF_ACCOUNT_ORIGINS_MAX)
        g_ptr_array_add(accounts->origins, g_memdup2(origin, sizeof *origin));
}

const char *
conf_accounts_origin(const ConfAccounts *accounts)
{
    return accounts->own.name;
}

unsigned
conf_accounts_report(ConfAccounts *accounts, const ConfAccountReport **reports, int64_t *number)
{
    accounts->pending_count = 0;
    for (const GList *link = accounts->untold.head;
         link != NULL && accounts->pending_count < CONF_ACCOUNTS_A_TIME; link = link->next)
        accounts->pending[accounts->pending_count++] = event_of(link->data);
    *reports = accounts->pending;
    *number = accounts->own.last + 1;
    return accounts->pending_count;
}

void
conf_accounts_agree(ConfAccounts *accounts, const char *above, int64_t taken)
{
    bool counts = taken >= 0;
    bool is_other = accounts->above[0] != '\0' && strcmp(accounts->above, above) != 0;
    g_strlcpy(accounts->above, above, sizeof accounts->above);
    if (is_other)
        g_queue_clear_full(&accounts->recent, g_free);
    else if (counts && taken < accounts->own.last)
        take_back(accounts, taken);
    /* Killed before the file was written: what it holds as untold may have been told afterwards. */
    drop_doubtful(accounts, counts && taken > accounts->own.last);
    if (accounts->pending_count > 0 && (!counts || is_other || taken > accounts->own.last)) {
        accounts->own.last++;
        for (unsigned i = 0; i < accounts->pending_count; i++) {
            told(accounts, &accounts->pending[i]);
            if (counts && !is_other)
                remember(accounts, &accounts->pending[i]);
        }
        if (accounts->file != NULL)
            conf_account_file_change(accounts->file);
    }
    accounts->pending_count = 0;
    accounts->own.last = MAX(accounts->own.last, taken);
    if (accounts->own.last >= CONF_ACCOUNT_REPORT_MAX)
        conf_accounts_new_origin(accounts);
}

void
conf_accounts_take(ConfAccounts *accounts, const ConfAccountReport *report, int64_t now_ms)
{
    ConfAccount *account = conf_accounts_lookup(accounts, report->key);
    if (account == NULL && report->last_login_ms == 0 && report->wrong == 0 && report->locked_until_ms == 0)
        return;
    account = conf_accounts_ensure(accounts, report->key);
    ConfAccountRecord *record = &account->record, before = *record;
    if (report->last_login_ms > record->last_login_ms || record->last_login_ms > now_ms)
        record->last_login_ms = report->last_login_ms;
    record->wrong = MIN(MAX(report->wrong, 0) + record->untold_wrong, CONF_ACCOUNT_WRONG_MAX);
    if (report->wrong > 0) {
        record->wrong_since_ms = report->wrong_since_ms;
        record->wrong_at_ms = MAX(record->wrong_at_ms, report->wrong_at_ms);
    }
    /* A lock that came by what the server above has not heard yet stands until it has. */
    if ((record->untold_wrong == 0 && !record->untold_lock) ||
        report->locked_until_ms > record->locked_until_ms)
        record->locked_until_ms = report->locked_until_ms;
    if (record->locked_until_ms > now_ms)
        record->wrong = 0;
    if (record->last_login_ms != before.last_login_ms || record->wrong != before.wrong ||
        record->wrong_since_ms != before.wrong_since_ms || record->wrong_at_ms != before.wrong_at_ms ||
        record->locked_until_ms != before.locked_until_ms)
        conf_accounts_note_change(accounts, account);
}

void
conf_accounts_take_forced(ConfAccounts *accounts, ConfKey key, int64_t since_ms)
{
    ConfAccount *account = conf_accounts_ensure(accounts, key);
    if (account->record.forced_ms == since_ms)
        return;
    account->record.forced_ms = since_ms;
    conf_accounts_note_change(accounts, account);
}

int64_t
conf_accounts_last_report(const ConfAccounts *accounts, const char *origin)
{
    unsigned index;
    const ConfAccountOrigin *found = find_origin(accounts, origin, &index);
    return found != NULL ? found->last : 0;
}

bool
conf_accounts_take_number(ConfAccounts *accounts, const char *origin, int64_t number)
{
    unsigned index;
    ConfAccountOrigin *found = find_origin(accounts, origin, &index);
    if (found != NULL && number <= found->last)
        return false;
    if (found == NULL) {
        if (accounts->origins->len >= CONF_ACCOUNT_ORIGINS_MAX)
            g_ptr_array_remove_index(accounts->origins, 0);
        found = g_new0(ConfAccountOrigin, 1);
        g_strlcpy(found->name, origin, sizeof found->name);
    } else {
        found = g_ptr_array_steal_index(accounts->origins, index);
    }
    found->last = number;
    g_ptr_array_add(accounts->origins, found);
    if (accounts->file != NULL)
        conf_account_file_change(accounts->file);
    return true;
}

void
conf_accounts_take_login(ConfAccounts *accounts, ConfKey key, int64_t at_ms, int64_t now_ms)
{
    int64_t last = conf_accounts_last_login(accounts, key);
    if (at_ms <= 0 || (at_ms <= last && last <= now_ms))
        return;
    conf_accounts_note_login(accounts, key, at_ms);
}

void
conf_accounts_touch(ConfAccounts *accounts, ConfKey key)
{
    conf_accounts_note_change(accounts, conf_accounts_ensure(accounts, key));
}

unsigned
conf_accounts_changed(const ConfAccounts *accounts, uint64_t *serial, ConfAccountReport *reports,
                      unsigned most, bool *more)
{
    const GList *link = accounts->order.head;
    if (link != NULL && ((const ConfAccount *)link->data)->serial <= *serial) {
        link = accounts->order.tail;
        for (; link->prev != NULL && ((const ConfAccount *)link->prev->data)->serial > *serial;)
            link = link->prev;
        if (((const ConfAccount *)link->data)->serial <= *serial)
            link = NULL;
    }
    unsigned count = 0;
    for (; link != NULL && count < most; link = link->next) {
        const ConfAccount *account = link->data;
        *serial = account->serial;
        if (account->record.key.type == CONF_TYPE_PERSON || account->record.forced_ms != 0)
            reports[count++] = state_of(account);
    }
    *more = link != NULL;
    return count;
}

static ConfAccountReport
event_of(const ConfAccount *account)
{
    const ConfAccountRecord *record = &account->record;
    return (ConfAccountReport){.key = record->key,
                               .last_login_ms = record->untold_login ? record->last_login_ms : 0,
                               .right_ms = record->untold_right ? record->right_ms : 0,
                               .wrong = record->untold_wrong,
                               .wrong_at_ms = record->wrong_at_ms,
                               .locked = record->untold_lock,
                               .turn = account->turn};
}

static ConfAccountReport
state_of(const ConfAccount *account)
{
    const ConfAccountRecord *record = &account->record;
    return (ConfAccountReport){.key = record->key,
                               .last_login_ms = record->last_login_ms,
                               .wrong = record->wrong,
                               .wrong_since_ms = record->wrong_since_ms,
                               .wrong_at_ms = record->wrong_at_ms,
                               .locked_until_ms = record->locked_until_ms,
                               .forced_ms = record->forced_ms};
}

/* What came between the telling and the answer stays to be told. */
static void
told(ConfAccounts *accounts, const ConfAccountReport *report)
{
    ConfAccount *account = conf_accounts_lookup(accounts, report->key);
    if (account == NULL || !account->is_untold)
        return;
    ConfAccountRecord *record = &account->record;
    if (report->last_login_ms == record->last_login_ms)
        record->untold_login = false;
    if (report->turn == account->turn) {
        record->untold_wrong = MAX(record->untold_wrong - report->wrong, 0);
        record->untold_lock = record->untold_lock && !report->locked;
    }
    if (report->right_ms == record->right_ms)
        record->untold_right = false;
    if (!record->untold_login && !record->untold_right && !record->untold_lock && record->untold_wrong == 0)
        conf_accounts_tell_no_more(accounts, account);
}

static void
remember(ConfAccounts *accounts, const ConfAccountReport *report)
{
    ConfAccountTold *item = accounts->recent.length >= CONF_ACCOUNTS_RECENT
                                ? g_queue_pop_head(&accounts->recent)
                                : g_new(ConfAccountTold, 1);
    *item = (ConfAccountTold){.number = accounts->own.last, .report = *report};
    g_queue_push_tail(&accounts->recent, item);
}

static void
take_back(ConfAccounts *accounts, int64_t taken)
{
    while (accounts->recent.length > 0 &&
           ((const ConfAccountTold *)g_queue_peek_tail(&accounts->recent))->number > taken) {
        g_autofree ConfAccountTold *item = g_queue_pop_tail(&accounts->recent);
        const ConfAccountReport *report = &item->report;
        ConfAccount *account = conf_accounts_lookup(accounts, report->key);
        if (account == NULL)
            continue;
        ConfAccountRecord *record = &account->record;
        record->untold_login |= report->last_login_ms != 0;
        record->untold_right |= report->right_ms != 0;
        if (report->turn == account->turn) {
            record->untold_wrong = MIN(record->untold_wrong + report->wrong, CONF_ACCOUNT_WRONG_MAX);
            record->untold_lock |= report->locked;
        }
        conf_accounts_tell(accounts, account);
        conf_accounts_note_change(accounts, account);
    }
}

static void
drop_doubtful(ConfAccounts *accounts, bool were_taken)
{
    for (GList *link = accounts->untold.head, *next; link != NULL; link = next) {
        ConfAccount *account = link->data;
        next = link->next;
        if (were_taken)
            account->record.untold_wrong = MAX(account->record.untold_wrong - account->doubtful_wrong, 0);
        account->doubtful_wrong = 0;
    }
}

static ConfAccountOrigin *
find_origin(const ConfAccounts *accounts, const char *name, unsigned *index)
{
    for (*index = accounts->origins->len; *index > 0;) {
        ConfAccountOrigin *origin = g_ptr_array_index(accounts->origins, --*index);
        if (strcmp(origin->name, name) == 0)
            return origin;
    }
    return NULL;
}
