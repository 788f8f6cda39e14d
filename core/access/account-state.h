/* account-state.h - what a server remembers of its accounts beside their objects: the last log-in, wrong
 * passwords, the lock that these brought.  Logging in commits nothing; so each server keeps this in a
 * file of its data-folder, and servers that follow each other tell each other of it (protocol.md 10).
 * Main loop only.
 *
 * Keys are those of persons and applications that exist, and of tenants whose rules force new passwords:
 * what is kept is bounded by their number.  Times are ms since 1970 UTC. */
#pragma once

#include "access/policy.h"

typedef struct ConfAccounts ConfAccounts;

ConfAccounts *conf_accounts_new(void);
/* Writes the file, if there is something new. */
void conf_accounts_free(ConfAccounts *accounts);
/* Reads and from now on keeps `folder`/confserv.accounts; what stands there for another environment
 * counts for nothing. A file that cannot be read, or written, is logged. */
void conf_accounts_open(ConfAccounts *accounts, const char *folder, const char *environment);
/* Other objects stand behind the same keys now. */
void conf_accounts_reset(ConfAccounts *accounts, const char *environment);

int64_t conf_accounts_last_login(const ConfAccounts *accounts, ConfKey key); /* 0: never */
void conf_accounts_note_login(ConfAccounts *accounts, ConfKey key, int64_t now_ms);
bool conf_accounts_is_locked(const ConfAccounts *accounts, ConfKey key, int64_t now_ms);
/* `count` wrong passwords, the last of them then.  True: this has locked the account. */
bool conf_accounts_note_wrong(ConfAccounts *accounts, ConfKey key, const ConfPolicy *policy, int64_t count,
                              int64_t at_ms);
/* The right password was given: wrong ones before it are forgotten. */
void conf_accounts_note_right(ConfAccounts *accounts, ConfKey key);
/* Its password was set anew. */
void conf_accounts_unlock(ConfAccounts *accounts, ConfKey key);
/* Since when the rule of this tenant or person forces new passwords: now, where it is not known yet. */
int64_t conf_accounts_forced_since(ConfAccounts *accounts, ConfKey key, int64_t now_ms);
void conf_accounts_not_forced(ConfAccounts *accounts, ConfKey key);
/* The object is gone. */
void conf_accounts_forget(ConfAccounts *accounts, ConfKey key);

/* ---- between servers ---- */
enum { CONF_ACCOUNTS_A_TIME = 500 };
typedef struct {
    ConfKey key;
    int64_t last_login_ms;
    int64_t wrong, wrong_at_ms; /* not told upstream yet; the last of them */
    int64_t locked_until_ms;    /* 0: not locked; G_MAXINT64: until the password is set anew */
} ConfAccountReport;

/* Fills `reports` with up to `most` accounts that were told of here and not by the other side, oldest
 * first; returns how many.  They count as told only by conf_accounts_told(). */
unsigned conf_accounts_untold(const ConfAccounts *accounts, ConfAccountReport *reports, unsigned most);
void conf_accounts_told(ConfAccounts *accounts, const ConfAccountReport *reports, unsigned count);
/* Fills `reports` with up to `most` accounts that changed since *serial (0: ever), and moves *serial on. */
unsigned conf_accounts_changed(const ConfAccounts *accounts, uint64_t *serial, ConfAccountReport *reports,
                               unsigned most);
/* What a server above says: the later log-in counts, and its lock. */
void conf_accounts_take(ConfAccounts *accounts, const ConfAccountReport *report);
/* A log-in at another server; an earlier one counts for nothing.  `tell`: the server above has to hear of
 * it. */
void conf_accounts_take_login(ConfAccounts *accounts, ConfKey key, int64_t at_ms, bool tell);
