/* recent-success-private.h - what saves the cost of a hash at a reconnect storm, and a directory that is
 * away: a keyed digest of (account, stored hash, password) for a while after the password was found right.
 * The key is drawn at start and never leaves the process. Times are monotonic microseconds. */
#pragma once

#include "base/bytes.h"
#include "model/key.h"

enum { CONF_RECENT_SUCCESS_MAX = 20000 };

typedef struct ConfRecentSuccess ConfRecentSuccess;

ConfRecentSuccess *conf_recent_success_new(void);
void conf_recent_success_free(ConfRecentSuccess *recent);
void conf_recent_success_note(ConfRecentSuccess *recent, ConfKey account, const char *hash,
                              ConfSlice password, int64_t now);
/* True: this very password was found right for this very hash within this time.  What was noted for another
 * hash, or before, is forgotten. */
bool conf_recent_success_check(ConfRecentSuccess *recent, ConfKey account, const char *hash,
                               ConfSlice password, int64_t within_usec, int64_t now);
void conf_recent_success_forget(ConfRecentSuccess *recent, ConfKey account);
