/* account-state.h - what a server remembers of its accounts beside their objects: the last log-in, wrong
 * passwords, the lock that these brought.  Logging in commits nothing; so each server keeps this in a file of
 * its data-folder, and servers that follow each other tell each other of it (protocol.md 13). Main loop only.
 *
 * Keys are those of persons and applications that exist, and of tenants whose rules force new passwords:
 * what is kept is bounded by their number.  Times are ms since 1970 UTC by this server's clock, which may
 * have been wrong before: what is remembered as later than now does not count for long. */
#pragma once

#include "access/policy.h"

/* Stands for a lock until the password is set anew: the end of year 9999. */
#define CONF_ACCOUNT_FOREVER_MS G_GINT64_CONSTANT(253402300799999)

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
/* A lock lasts no longer than the rule says now. */
bool conf_accounts_is_locked(ConfAccounts *accounts, ConfKey key, const ConfPolicy *policy, int64_t now_ms);
/* `count` wrong passwords, the last of them at `at_ms`, which is now or before. Those from before the last
 * right one count for nothing.  True: this has locked the account. */
bool conf_accounts_note_wrong(ConfAccounts *accounts, ConfKey key, const ConfPolicy *policy, int64_t count,
                              int64_t at_ms, int64_t now_ms);
/* A server below has locked it, by wrong passwords of which the last was at `at_ms`.  True: it is locked
 * by that. */
bool conf_accounts_lock(ConfAccounts *accounts, ConfKey key, const ConfPolicy *policy, int64_t at_ms,
                        int64_t now_ms);
/* The right password was given then: wrong ones before it are forgotten.  A lock stays. */
void conf_accounts_note_right(ConfAccounts *accounts, ConfKey key, int64_t at_ms, int64_t now_ms);
/* Its password was set anew. */
void conf_accounts_unlock(ConfAccounts *accounts, ConfKey key, int64_t now_ms);
/* Since when the rule of this tenant or person forces new passwords: now, where it is not known yet. */
int64_t conf_accounts_forced_since(ConfAccounts *accounts, ConfKey key, int64_t now_ms);
void conf_accounts_not_forced(ConfAccounts *accounts, ConfKey key);
/* The object is gone. */
void conf_accounts_forget(ConfAccounts *accounts, ConfKey key);

/* ---- between servers: account-reports.c ---- */
enum { CONF_ACCOUNTS_A_TIME = 500, CONF_ACCOUNT_ORIGIN_MAX = 64, CONF_ACCOUNT_ORIGINS_MAX = 1000 };
#define CONF_ACCOUNT_REPORT_MAX ((int64_t)1 << 53) /* numbers of reports */
typedef struct {
    ConfKey key;
    int64_t last_login_ms;               /* 0: nothing is said of it */
    int64_t right_ms;                    /* up only: the last right password; 0: nothing is said of it */
    int64_t wrong;                       /* up: after that and not told yet; down: all that count now */
    int64_t wrong_since_ms, wrong_at_ms; /* the first (down only), the last of them */
    bool locked;                         /* up only: the last of them locked the account */
    int64_t locked_until_ms;             /* down only; 0: not locked */
    int64_t forced_ms;                   /* of conf_accounts_changed() only; 0: nothing is forced */
    unsigned turn;                       /* the reporter's own */
} ConfAccountReport;

/* The lower of two servers.  Its reports are numbered, and it names itself by a random text that lives as
 * long as its file: so the upper one takes each report once, whatever is cut off, killed or sent again. */
const char *conf_accounts_origin(const ConfAccounts *accounts);
/* The next report: up to CONF_ACCOUNTS_A_TIME accounts that the server above has to hear of, oldest first.
 * It stands until conf_accounts_agree(). Returns how many; *number is that of the report. */
unsigned conf_accounts_report(ConfAccounts *accounts, const ConfAccountReport **reports, int64_t *number);
/* The server above, which is of this origin, says that it took the reports of this one up to this number;
 * -1: it does not count them, and has taken what was sent.  What it took and has forgotten since, being
 * killed, is to be told again; another server than before may have heard of it by that one, so it is not
 * told what may have been. */
void conf_accounts_agree(ConfAccounts *accounts, const char *above, int64_t taken);
/* What the server above knows: the later log-in counts; of wrong passwords and locks its word, and what it
 * has not heard yet. */
void conf_accounts_take(ConfAccounts *accounts, const ConfAccountReport *report, int64_t now_ms);
/* Its word on since when this tenant or person must have new passwords. */
void conf_accounts_take_forced(ConfAccounts *accounts, ConfKey key, int64_t since_ms);

/* The upper one.  Number of the last report taken of this origin; 0: none. */
int64_t conf_accounts_last_report(const ConfAccounts *accounts, const char *origin);
/* False: this report was taken before. */
bool conf_accounts_take_number(ConfAccounts *accounts, const char *origin, int64_t number);
/* A log-in at a server below; an earlier one than is known counts for nothing. */
void conf_accounts_take_login(ConfAccounts *accounts, ConfKey key, int64_t at_ms, int64_t now_ms);
/* Servers below are told of this account, changed or not. */
void conf_accounts_touch(ConfAccounts *accounts, ConfKey key);
/* Fills `reports` with up to `most` accounts that changed since *serial (0: ever), and moves *serial on.
 * Persons, and what forces new passwords. *more: there are others. */
unsigned conf_accounts_changed(const ConfAccounts *accounts, uint64_t *serial, ConfAccountReport *reports,
                               unsigned most, bool *more);
