/* policy.h - rules for internal passwords and accounts: section [security-authentication-rules] in the annex
 * of tenants and persons.
 *
 * Each tenant inherits what it does not set from the tenant above, up to Environment; one with
 * `tenant-override-section = true` inherits nothing.  A person's own section stands over all.  What is set
 * nowhere is no limit.  Values that are none (not a number, out of range) count as unset and are told in
 * `fault`.  Main loop only. */
#pragma once

#include "store/store.h"

typedef struct {
    int64_t
        account_expiration_days; /* not logged in for so long: blocked; 0: never.  Not for the default account */
    int64_t lockout_threshold;    /* wrong passwords within the period; 0: no lock */
    int64_t lockout_period_min;   /* account-lockout-attempts-period; 0: they never fall out of the count */
    int64_t lockout_duration_min; /* 0: until an administrator sets the password anew */
    int64_t max_sessions;         /* open at once on a server; 0: any number */
    int64_t password_expiration_days; /* 0: never */
    int64_t
        password_notify_days; /* before it, session.open says passwordExpires; 0: always while it may expire */
    int64_t password_min_length; /* code points */
    int64_t password_no_repeats; /* so many former passwords, beside the present one, may not come back */
    bool password_alpha, password_mixed_case, password_number, password_punctuation;
    bool force_password_reset; /* at the next log-in, who has not done so since the rule was set */
    ConfKey forced_by;         /* the outermost tenant (or the person) that says so */
    bool override_account_expiration, override_password_expiration,
        override_lockout; /* the person's own exemptions */
    const char *fault;    /* name of the first option with an unusable value; NULL: none */
} ConfPolicy;

enum { CONF_POLICY_REPEATS_MAX = 30 };

/* As in force for this person. */
void conf_policy_of(const ConfStore *store, const ConfObject *person, ConfPolicy *policy);
/* Lays one annex (JSON object, or empty) over what stands in *policy. */
void conf_policy_add(ConfPolicy *policy, ConfSlice annex);
/* May this become a password?  False: *why is one sentence, static.  Repeats are not asked here. */
bool conf_policy_allows(const ConfPolicy *policy, ConfSlice password, const char **why);
/* When a password set at `changed_ms` ends, ms since 1970 UTC; 0: never. */
int64_t conf_policy_password_end(const ConfPolicy *policy, int64_t changed_ms);
/* Not logged in for too long at `now_ms`?  `last_ms` 0: never yet, which does not count. */
bool conf_policy_is_idle(const ConfPolicy *policy, int64_t last_ms, int64_t now_ms);
