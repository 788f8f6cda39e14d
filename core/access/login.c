/* login.c - internal passwords: the pause, the recent success, the hash, in this order.
 *
 * Every refusal is the same for who is told it; only the statistics know why. */
#include "access/login.h"

#include <string.h>

#include "access/hash-queue-private.h"
#include "access/login-pause-private.h"
#include "access/password-private.h"
#include "access/recent-success-private.h"
#include "base/clock.h"
#include "base/queue-main.h"
#include "base/timer-wheel.h"

enum {
    PAUSED_ANSWER_MS = 2000, /* protocol.md 13.13 */
    DELAYED_MAX = 10000,     /* paused ones that wait for their answer; more are answered at once */
};

#define RECENT_SUCCESS_USEC (G_GINT64_CONSTANT(3600) * G_USEC_PER_SEC)
#define EXTERNAL "external" /* in the place of a stored hash */

struct ConfAccess {
    ConfStore *store;
    ConfLoginPauses *pauses;
    ConfLoginPauses *guesses; /* at what directories said that are away */
    ConfRecentSuccess *recent;
    ConfRecentSuccess *external; /* of directories: for when they are away */
    ConfHashQueue *queue;
    GQueue delayed; /* of ConfPasswordCheck */
    ConfAccounts *accounts;
    char setting[CONF_PASSWORD_SETTING_SIZE]; /* for unknown users */
    ConfAccessStatistics statistics;
    bool is_stopping;
};

struct ConfPasswordCheck {
    ConfHashJob job; /* first: the queue hands back this */
    ConfAccess *access;
    ConfPasswordFunc func;
    void *data;
    ConfKey account;
    char *name, *address;
    char *password; /* "" where what was given cannot be a password */
    char *hash;     /* as stored, or a setting that no password fits */
    bool right;
    ConfTimer delay;
    GList link; /* in access->delayed */
};

typedef struct {
    ConfHashJob job;
    ConfAccess *access;
    ConfHashFunc func;
    void *data;
    char *password;
    char *former; /* hashes that it must not be of, a line each */
    char *hash;
    bool is_former;
} NewHash;

static char *stored_hash(const ConfAccess *access, const ConfObject *account, const char *member);
static ConfPasswordCheck *delay_refusal(ConfAccess *access, unsigned pause_ms, ConfPasswordFunc func,
                                        void *data);
static ConfPasswordCheck *queue_check(ConfAccess *access, ConfPasswordCheck *check);
static void on_delay_over(void *data);
static void run_check(ConfHashJob *job);
static void end_check(ConfHashJob *job, ConfHashOutcome outcome);
static void release_check(ConfHashJob *job);
static void run_new_hash(ConfHashJob *job);
static void end_new_hash(ConfHashJob *job, ConfHashOutcome outcome);
static void release_new_hash(ConfHashJob *job);
static void set_refused(ConfRpcError *error);
static void set_busy(ConfAccess *access, ConfRpcError *error);
static void set_outcome(ConfAccess *access, ConfHashOutcome outcome, ConfRpcError *error);

ConfAccess *
conf_access_new(ConfStore *store, const ConfAccessSettings *settings)
{
    conf_assert_main();
    ConfAccess *access = g_new0(ConfAccess, 1);
    access->store = store;
    access->pauses = conf_login_pauses_new();
    access->guesses = conf_login_pauses_new();
    access->recent = conf_recent_success_new();
    access->external = conf_recent_success_new();
    access->queue = conf_hash_queue_new();
    g_queue_init(&access->delayed);
    access->accounts = conf_accounts_new();
    conf_password_new_setting(access->setting);
    conf_access_set_settings(access, settings);
    return access;
}

void
conf_access_free(ConfAccess *access)
{
    if (access == NULL)
        return;
    conf_assert_main();
    access->is_stopping = true;
    conf_hash_queue_free(access->queue);
    access->queue = NULL;
    while (access->delayed.length > 0)
        on_delay_over(access->delayed.head->data);
    conf_login_pauses_free(access->pauses);
    conf_login_pauses_free(access->guesses);
    conf_recent_success_free(access->recent);
    conf_recent_success_free(access->external);
    conf_accounts_free(access->accounts);
    g_free(access);
}

void
conf_access_set_settings(ConfAccess *access, const ConfAccessSettings *settings)
{
    conf_login_pauses_set(access->pauses, settings->login_attempts, settings->login_pause_ms,
                          settings->address_rate);
    conf_login_pauses_set(access->guesses, settings->login_attempts, settings->login_pause_ms,
                          settings->address_rate);
    conf_hash_queue_set_limit(access->queue, settings->hash_queue);
}

ConfPasswordCheck *
conf_access_check_password(ConfAccess *access, const ConfObject *account, const char *member, ConfSlice name,
                           const char *address, ConfSlice password, ConfPasswordFunc func, void *data)
{
    conf_assert_main();
    if (access->is_stopping) {
        g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
        set_outcome(access, CONF_HASH_STOPPED, &error);
        func(false, &error, data);
        return NULL;
    }
    unsigned pause_ms = conf_access_pause_ms(access, name, address);
    if (pause_ms > 0)
        return delay_refusal(access, pause_ms, func, data);

    int64_t now = conf_clock_monotonic_usec();
    bool is_possible = conf_password_is_possible(password);
    char *hash = account != NULL && is_possible ? stored_hash(access, account, member) : NULL;
    if (hash != NULL && conf_recent_success_check(access->recent, conf_object_key(account), hash, password,
                                                  RECENT_SUCCESS_USEC, now)) {
        conf_secret_free(hash);
        access->statistics.recent_hits++;
        conf_login_pauses_note_success(access->pauses, name, address, now);
        func(true, NULL, data);
        return NULL;
    }

    ConfPasswordCheck *check = g_new0(ConfPasswordCheck, 1);
    check->job = (ConfHashJob){.work = run_check, .ended = end_check, .release = release_check};
    check->access = access;
    check->func = func;
    check->data = data;
    if (hash != NULL)
        check->account = conf_object_key(account);
    check->name = conf_slice_dup(name);
    check->address = g_strdup(address != NULL ? address : "");
    check->password = is_possible ? conf_slice_dup(password) : g_strdup("");
    check->hash = hash != NULL ? hash : g_strdup(access->setting);
    return queue_check(access, check);
}

void
conf_access_cancel_check(ConfPasswordCheck *check)
{
    conf_assert_main();
    if (check == NULL)
        return;
    if (check->job.work != NULL) {
        conf_hash_queue_cancel(&check->job);
        return;
    }
    conf_timer_cancel(&check->delay);
    g_queue_unlink(&check->access->delayed, &check->link);
    g_free(check);
}

void
conf_access_note_refusal(ConfAccess *access, ConfSlice name, const char *address)
{
    access->statistics.refused++;
    conf_login_pauses_note_refusal(access->pauses, name, address, conf_clock_monotonic_usec());
}

void
conf_access_note_success(ConfAccess *access, ConfSlice name, const char *address)
{
    conf_login_pauses_note_success(access->pauses, name, address, conf_clock_monotonic_usec());
}

unsigned
conf_access_pause_ms(ConfAccess *access, ConfSlice name, const char *address)
{
    return conf_login_pauses_wait_ms(access->pauses, name, address, conf_clock_monotonic_usec());
}

void
conf_access_forget(ConfAccess *access, ConfKey account)
{
    conf_recent_success_forget(access->recent, account);
    conf_recent_success_forget(access->external, account);
}

void
conf_access_note_external(ConfAccess *access, const ConfObject *person, ConfSlice password)
{
    conf_recent_success_note(access->external, conf_object_key(person), EXTERNAL, password,
                             conf_clock_monotonic_usec());
}

bool
conf_access_check_external(ConfAccess *access, const ConfObject *person, const char *address,
                           ConfSlice password, int64_t within_s)
{
    int64_t now = conf_clock_monotonic_usec();
    ConfSlice name = conf_object_name(person);
    if (conf_login_pauses_wait_ms(access->guesses, name, address, now) > 0)
        return false;
    if (!conf_recent_success_check(access->external, conf_object_key(person), EXTERNAL, password,
                                   within_s * G_USEC_PER_SEC, now)) {
        conf_login_pauses_note_refusal(access->guesses, name, address, now);
        return false;
    }
    conf_login_pauses_note_success(access->guesses, name, address, now);
    return true;
}

void
conf_access_forget_external(ConfAccess *access, const ConfObject *person, ConfSlice password)
{
    ConfKey key = conf_object_key(person);
    if (conf_recent_success_check(access->external, key, EXTERNAL, password, G_MAXINT64,
                                  conf_clock_monotonic_usec()))
        conf_recent_success_forget(access->external, key);
}

void
conf_access_hash_password(ConfAccess *access, ConfSlice password, const char *address, ConfHashFunc func,
                          void *data)
{
    conf_access_hash_fresh_password(access, password, "", address, func, data);
}

void
conf_access_hash_fresh_password(ConfAccess *access, ConfSlice password, const char *former,
                                const char *address, ConfHashFunc func, void *data)
{
    conf_assert_main();
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    if (!conf_password_is_possible(password)) {
        conf_rpc_fail(&error, CONF_RPC_INVALID_PARAMS, "A password has at most %d bytes and no NUL",
                      (int)CONF_PASSWORD_SIZE_MAX);
        func(NULL, &error, data);
        return;
    }
    if (access->is_stopping) {
        set_outcome(access, CONF_HASH_STOPPED, &error);
        func(NULL, &error, data);
        return;
    }
    NewHash *hash = g_new0(NewHash, 1);
    hash->job = (ConfHashJob){.work = run_new_hash, .ended = end_new_hash, .release = release_new_hash};
    hash->access = access;
    hash->func = func;
    hash->data = data;
    hash->password = conf_slice_dup(password);
    hash->former = g_strdup(former);
    if (conf_hash_queue_push(access->queue, &hash->job, address != NULL ? address : ""))
        return;
    release_new_hash(&hash->job);
    set_busy(access, &error);
    func(NULL, &error, data);
}

ConfAccounts *
conf_access_accounts(ConfAccess *access)
{
    return access->accounts;
}

const ConfAccessStatistics *
conf_access_statistics(const ConfAccess *access)
{
    /* The gauge is taken when it is asked for; all else is counted as it happens. */
    ((ConfAccess *)access)->statistics.queue =
        access->queue != NULL ? conf_hash_queue_waiting(access->queue) : 0;
    return &access->statistics;
}

static char *
stored_hash(const ConfAccess *access, const ConfObject *account, const char *member)
{
    char *hash = conf_object_get_secret(account, member);
    if (hash == NULL || *hash != '\0')
        return hash;
    g_free(hash);
    return NULL;
}

/* Without a look at the password: an answer after a hash, or none, would tell whether it was right. */
static ConfPasswordCheck *
delay_refusal(ConfAccess *access, unsigned pause_ms, ConfPasswordFunc func, void *data)
{
    access->statistics.paused++;
    if (access->delayed.length >= DELAYED_MAX) {
        g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
        set_refused(&error);
        func(false, &error, data);
        return NULL;
    }
    ConfPasswordCheck *check = g_new0(ConfPasswordCheck, 1);
    check->access = access;
    check->func = func;
    check->data = data;
    check->link.data = check;
    g_queue_push_tail_link(&access->delayed, &check->link);
    conf_timer_arm(&check->delay, MIN(pause_ms, (unsigned)PAUSED_ANSWER_MS), on_delay_over, check);
    return check;
}

static ConfPasswordCheck *
queue_check(ConfAccess *access, ConfPasswordCheck *check)
{
    if (conf_hash_queue_push(access->queue, &check->job, check->address))
        return check;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    set_busy(access, &error);
    ConfPasswordFunc func = check->func;
    void *data = check->data;
    release_check(&check->job);
    func(false, &error, data);
    return NULL;
}

static void
on_delay_over(void *data)
{
    ConfPasswordCheck *check = data;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    set_refused(&error);
    conf_timer_cancel(&check->delay);
    g_queue_unlink(&check->access->delayed, &check->link);
    check->func(false, &error, check->data);
    g_free(check);
}

/* In the pool. */
static void
run_check(ConfHashJob *job)
{
    ConfPasswordCheck *check = (ConfPasswordCheck *)job;
    check->right = conf_password_matches(check->password, check->hash);
}

static void
end_check(ConfHashJob *job, ConfHashOutcome outcome)
{
    ConfPasswordCheck *check = (ConfPasswordCheck *)job;
    ConfAccess *access = check->access;
    ConfSlice name = conf_slice_from_string(check->name);
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    if (outcome != CONF_HASH_DONE) {
        set_outcome(access, outcome, &error);
        check->func(false, &error, check->data);
        return;
    }
    access->statistics.hashes++;
    if (!check->right) {
        conf_access_note_refusal(access, name, check->address);
        set_refused(&error);
        check->func(false, &error, check->data);
        return;
    }
    conf_recent_success_note(access->recent, check->account, check->hash,
                             conf_slice_from_string(check->password), conf_clock_monotonic_usec());
    conf_access_note_success(access, name, check->address);
    check->func(true, NULL, check->data);
}

static void
release_check(ConfHashJob *job)
{
    ConfPasswordCheck *check = (ConfPasswordCheck *)job;
    conf_secret_free(check->password);
    conf_secret_free(check->hash);
    g_free(check->name);
    g_free(check->address);
    g_free(check);
}

/* In the pool. */
static void
run_new_hash(ConfHashJob *job)
{
    NewHash *hash = (NewHash *)job;
    g_auto(GStrv) former = g_strsplit(hash->former, "\n", CONF_POLICY_REPEATS_MAX + 2);
    for (unsigned i = 0; i <= CONF_POLICY_REPEATS_MAX && former[i] != NULL && !hash->is_former; i++)
        hash->is_former = *former[i] != '\0' && conf_password_matches(hash->password, former[i]);
    if (!hash->is_former)
        hash->hash = conf_password_hash(hash->password);
}

static void
end_new_hash(ConfHashJob *job, ConfHashOutcome outcome)
{
    NewHash *hash = (NewHash *)job;
    g_auto(ConfRpcError) error = CONF_RPC_ERROR_INIT;
    if (outcome == CONF_HASH_DONE && hash->hash != NULL) {
        hash->access->statistics.hashes++;
        hash->func(hash->hash, NULL, hash->data);
        return;
    }
    if (outcome == CONF_HASH_DONE && hash->is_former)
        conf_rpc_fail(&error, CONF_RPC_INVALID_PARAMS,
                      "The new password is one that this account had before");
    else if (outcome == CONF_HASH_DONE)
        conf_rpc_fail(&error, CONF_RPC_INTERNAL, "The password could not be hashed");
    else
        set_outcome(hash->access, outcome, &error);
    hash->func(NULL, &error, hash->data);
}

static void
release_new_hash(ConfHashJob *job)
{
    NewHash *hash = (NewHash *)job;
    conf_secret_free(hash->password);
    conf_secret_free(hash->former);
    conf_secret_free(hash->hash);
    g_free(hash);
}

static void
set_refused(ConfRpcError *error)
{
    conf_rpc_fail(error, CONF_RPC_LOGIN_REFUSED, "User, password or application is wrong");
}

static void
set_busy(ConfAccess *access, ConfRpcError *error)
{
    conf_rpc_fail(error, CONF_RPC_UNAVAILABLE, "Too many log-ins wait for their passwords to be checked");
    conf_rpc_error_add_integer(error, "retryAfter", conf_hash_queue_retry_after(access->queue));
}

static void
set_outcome(ConfAccess *access, ConfHashOutcome outcome, ConfRpcError *error)
{
    if (outcome == CONF_HASH_DISPLACED)
        set_busy(access, error);
    else
        conf_rpc_fail(error, CONF_RPC_STOPPING, "The server is stopping");
}
