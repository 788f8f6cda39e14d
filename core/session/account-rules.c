/* account-rules.c - what tenants demand of accounts (access/policy.h), asked at log-in and of commits.
 *
 * They are rules for internal passwords; only the number of sessions holds for everybody.  Whoever is
 * locked out, or was away for too long, is refused as an unknown user is: nobody learns whether the
 * password was right. */
#include "base/clock.h"
#include "session/login-private.h"

enum { DEFAULT_ACCOUNT = 100 }; /* made by -init: somebody must get in */

#define DAY_MS ((int64_t)24 * 3600 * 1000)

static void read_rules(ConfSessions *sessions, const ConfObject *person, ConfPolicy *policy);
static int64_t changed_at(const ConfObject *person);
static void note_forcing(ConfSessions *sessions, const ConfChange *change);
static bool has_new_password(const ConfObject *before, const ConfObject *after);

bool
conf_rules_bar(ConfSessions *sessions, const ConfObject *person)
{
    ConfKey key = conf_object_key(person);
    ConfAccounts *accounts = conf_access_accounts(sessions->access);
    int64_t now = conf_clock_wall_ms(), last = conf_accounts_last_login(accounts, key);
    ConfPolicy policy;
    read_rules(sessions, person, &policy);
    if (policy.lockout_threshold > 0 && !policy.override_lockout &&
        conf_accounts_is_locked(accounts, key, &policy, now))
        return true;
    return last != 0 && person->dbid != DEFAULT_ACCOUNT &&
           conf_policy_is_idle(&policy, MAX(last, changed_at(person)), now);
}

void
conf_rules_note_wrong(ConfSessions *sessions, const ConfObject *person, const char *address)
{
    ConfPolicy policy;
    int64_t now = conf_clock_wall_ms();
    read_rules(sessions, person, &policy);
    if (conf_accounts_note_wrong(conf_access_accounts(sessions->access), conf_object_key(person), &policy, 1,
                                 now, now))
        conf_log(CONF_LOG_ACCOUNT_LOCKED, "user", person->name, "address", address, NULL);
}

void
conf_rules_note_login(ConfSession *session, bool by_plugin)
{
    ConfSessions *sessions = session->sessions;
    ConfKey key = session->person.dbid != 0 ? session->person : session->application;
    ConfAccounts *accounts = conf_access_accounts(sessions->access);
    int64_t now = conf_clock_wall_ms();
    if (sessions->settings.last_login)
        conf_accounts_note_login(accounts, key, now);
    if (!by_plugin && key.type == CONF_TYPE_PERSON)
        conf_accounts_note_right(accounts, key, now, now);
}

bool
conf_rules_must_change(ConfSessions *sessions, const ConfObject *person)
{
    ConfPolicy policy;
    read_rules(sessions, person, &policy);
    int64_t now = conf_clock_wall_ms(), changed = changed_at(person);
    int64_t end = conf_policy_password_end(&policy, changed);
    if (end != 0 && end <= now)
        return true;
    return policy.force_password_reset &&
           changed <
               conf_accounts_forced_since(conf_access_accounts(sessions->access), policy.forced_by, now);
}

int64_t
conf_rules_password_end(ConfSessions *sessions, const ConfObject *person)
{
    if (!conf_authentication_is_internal(sessions, person) || !conf_object_get_boolean(person, "passwordSet"))
        return 0;
    ConfPolicy policy;
    read_rules(sessions, person, &policy);
    int64_t end = conf_policy_password_end(&policy, changed_at(person));
    bool is_near = policy.password_notify_days == 0 ||
                   end - conf_clock_wall_ms() <= policy.password_notify_days * DAY_MS;
    return is_near ? end : 0;
}

bool
conf_rules_have_room(const ConfSession *session, ConfRpcError *error)
{
    ConfSessions *sessions = session->sessions;
    const ConfObject *person = conf_store_lookup(sessions->store, session->person);
    GPtrArray *list = g_hash_table_lookup(sessions->by_person, &session->person);
    if (person == NULL || list == NULL)
        return true;
    ConfPolicy policy;
    read_rules(sessions, person, &policy);
    int64_t others = 0;
    for (unsigned i = 0; i < list->len && policy.max_sessions > 0; i++) {
        const ConfSession *other = g_ptr_array_index(list, i);
        others += other != session && other->connection != NULL;
    }
    return policy.max_sessions == 0 || others < policy.max_sessions ||
           conf_rpc_fail(error, CONF_RPC_LIMIT,
                         "This account may have %" G_GINT64_FORMAT " sessions at once, and has them",
                         policy.max_sessions);
}

void
conf_rules_committed(ConfSessions *sessions, const ConfChange *change)
{
    const ConfObject *before = change->before, *after = change->after;
    ConfAccounts *accounts = conf_access_accounts(sessions->access);
    ConfKey key = conf_object_key(before != NULL ? before : after);
    if ((key.type == CONF_TYPE_TENANT || key.type == CONF_TYPE_PERSON) && after != NULL)
        note_forcing(sessions, change);
    if (before == NULL ||
        (key.type != CONF_TYPE_PERSON && key.type != CONF_TYPE_APPLICATION && key.type != CONF_TYPE_TENANT))
        return;
    if (after == NULL)
        conf_accounts_forget(accounts, key);
    else if (key.type == CONF_TYPE_PERSON && has_new_password(before, after))
        conf_accounts_unlock(accounts, key, conf_clock_wall_ms());
}

bool
conf_session_may_change_password(const ConfSession *session, ConfRpcError *error)
{
    ConfSessions *sessions = session->sessions;
    const ConfObject *person = conf_store_lookup(sessions->store, session->person);
    if (sessions->settings.password_change || session->must_change || person == NULL ||
        (conf_identity_rights_on(sessions->store, session->identity, person) & CONF_RIGHT_CHANGE) != 0)
        return true;
    return conf_rpc_fail(
        error, CONF_RPC_NOT_PERMITTED,
        "This server lets nobody change the own password without right change on the person");
}

ConfAccounts *
conf_sessions_accounts(ConfSessions *sessions)
{
    return conf_access_accounts(sessions->access);
}

static void
read_rules(ConfSessions *sessions, const ConfObject *person, ConfPolicy *policy)
{
    static int64_t told_usec;
    conf_policy_of(sessions->store, person, policy);
    int64_t now = conf_clock_monotonic_usec();
    if (policy->fault == NULL ||
        (told_usec != 0 && now - told_usec < G_GINT64_CONSTANT(3600) * G_USEC_PER_SEC))
        return;
    told_usec = now;
    conf_log(CONF_LOG_RULES_REFUSED, "option", policy->fault, "user", person->name, NULL);
}

/* 0: never. */
static int64_t
changed_at(const ConfObject *person)
{
    g_autofree char *text = conf_object_get_string(person, "passwordChanged");
    int64_t time = 0;
    return text != NULL && conf_clock_parse(conf_slice_from_string(text), &time) ? time : 0;
}

/* From when the rule of a tenant or person is in force, and not from when somebody first meets it. */
static void
note_forcing(ConfSessions *sessions, const ConfChange *change)
{
    ConfPolicy policy = {0};
    ConfAccounts *accounts = conf_access_accounts(sessions->access);
    ConfSlice annex = conf_object_get_raw(change->after, "annex");
    if (change->before != NULL && conf_slice_equal(annex, conf_object_get_raw(change->before, "annex")))
        return;
    conf_policy_add(&policy, annex);
    if (policy.force_password_reset)
        conf_accounts_forced_since(accounts, conf_object_key(change->after), conf_clock_wall_ms());
    else
        conf_accounts_not_forced(accounts, conf_object_key(change->after));
}

static bool
has_new_password(const ConfObject *before, const ConfObject *after)
{
    return !conf_slice_equal(conf_object_get_raw(before, "passwordChanged"),
                             conf_object_get_raw(after, "passwordChanged")) ||
           !conf_slice_equal(conf_bytes_slice(before->secrets), conf_bytes_slice(after->secrets));
}
