/* account-state-private.h - the table of accounts, for account-state.c and account-reports.c. */
#pragma once

#include "access/account-file-private.h"
#include "access/account-state.h"

typedef struct {
    ConfAccountRecord record; /* first: its key is the first member */
    uint64_t serial;
    unsigned turn; /* one more with each right password: wrong ones before it are not those after it */
    int64_t doubtful_wrong; /* of untold_wrong: out of the file, perhaps told before the server was killed */
    GList order_link, untold_link;
    bool is_untold;
} ConfAccount;

struct ConfAccounts {
    GHashTable *table; /* of ConfAccount, by its key */
    GQueue order;      /* of the same: what changed last stands last */
    GQueue untold;     /* of those that the server above has to hear of */
    uint64_t serial;
    ConfAccountFile *file; /* NULL: nothing is kept */
    ConfAccountOrigin own; /* this server as a reporter; its last report that was taken */
    ConfAccountReport pending[CONF_ACCOUNTS_A_TIME]; /* the report under way, number own.last + 1 */
    unsigned pending_count;
    char above[CONF_ACCOUNT_ORIGIN_MAX + 1]; /* the server that takes them; "": not known yet */
    GQueue recent;      /* of ConfAccountTold, oldest first: what it took, until it must have written it */
    GPtrArray *origins; /* of ConfAccountOrigin: servers below, the one heard of last stands last */
};

/* What was told lately: a server that is killed forgets its last moments. */
enum { CONF_ACCOUNTS_RECENT = 5000 };
typedef struct {
    int64_t number; /* of the report */
    ConfAccountReport report;
} ConfAccountTold;

ConfAccount *conf_accounts_lookup(const ConfAccounts *accounts, ConfKey key);
ConfAccount *conf_accounts_ensure(ConfAccounts *accounts, ConfKey key);
void conf_accounts_note_change(ConfAccounts *accounts, ConfAccount *account);
/* The server above has to hear of it: what is untold stands in the record. */
void conf_accounts_tell(ConfAccounts *accounts, ConfAccount *account);
void conf_accounts_tell_no_more(ConfAccounts *accounts, ConfAccount *account);
/* account-reports.c */
void conf_accounts_new_origin(ConfAccounts *accounts);
/* Out of the file. */
void conf_accounts_load_origin(ConfAccounts *accounts, const ConfAccountOrigin *origin);
