/* login-pause-private.h - who must wait before a log-in is looked at again: a growing pause for (name,
 * address) after some refusals, and a rate of refusals for an address.  There is no pause without an
 * address: nobody can lock an account from everywhere.  Times are monotonic microseconds. */
#pragma once

#include "base/bytes.h"

enum {
    CONF_LOGIN_PAUSE_MAX_MS = 60000,
    CONF_LOGIN_PAUSE_ENTRIES_MAX = 100000, /* in each of the two tables */
};

typedef struct ConfLoginPauses ConfLoginPauses;

ConfLoginPauses *conf_login_pauses_new(void);
void conf_login_pauses_free(ConfLoginPauses *pauses);
/* Refusals before pauses begin (at least 1), the first pause (0: none), refusals a minute of an address
 * (0: any). */
void conf_login_pauses_set(ConfLoginPauses *pauses, int64_t attempts, int64_t pause_ms, int64_t address_rate);
void conf_login_pauses_note_refusal(ConfLoginPauses *pauses, ConfSlice name, const char *address,
                                    int64_t now);
void conf_login_pauses_note_success(ConfLoginPauses *pauses, ConfSlice name, const char *address,
                                    int64_t now);
unsigned conf_login_pauses_wait_ms(ConfLoginPauses *pauses, ConfSlice name, const char *address, int64_t now);
