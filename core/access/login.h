/* login.h - who may log in: passwords (yescrypt through libxcrypt, in the worker pool), the keyed digest
 * of a recent success, pauses after refusals.  Internal passwords only; plugins answer before (hook
 * login).  Main loop only. */
#pragma once

#include "access/account-state.h"
#include "rpc/rpc-error.h"
#include "store/store.h"

typedef struct ConfAccess ConfAccess;
typedef struct {
    int64_t login_attempts; /* refusals of (account, address) before pauses begin */
    int64_t login_pause_ms; /* first pause; doubles to 60 s */
    int64_t address_rate;   /* refusals a minute of one address before it is paused */
    int64_t hash_queue;     /* waiting password checks; more: -32013 with retryAfter */
} ConfAccessSettings;

ConfAccess *conf_access_new(ConfStore *store, const ConfAccessSettings *settings);
void conf_access_free(ConfAccess *access);
void conf_access_set_settings(ConfAccess *access, const ConfAccessSettings *settings);

/* verdict: true: right.  False: *error (borrowed) is -32001 or -32013 (data.retryAfter), or -32014 where
 * the access is being freed: every check that was not cancelled is answered, once. */
typedef void (*ConfPasswordFunc)(bool right, const ConfRpcError *error, void *data);
typedef struct ConfPasswordCheck ConfPasswordCheck;
/* Checks `password` (copied, wiped) against the secret `member` ("passwordHash", "secretHash") of
 * `account`, the person or application found, or NULL (unknown user: one hash is spent all the same, the
 * answer is the same).  `name`: as given by the client, for the pause counter.  May call func before it
 * returns (recent success; paused). Returns NULL then. */
ConfPasswordCheck *conf_access_check_password(ConfAccess *access, const ConfObject *account,
                                              const char *member, ConfSlice name, const char *address,
                                              ConfSlice password, ConfPasswordFunc func, void *data);
void conf_access_cancel_check(ConfPasswordCheck *check); /* func is not called any more */
/* A log-in that was refused, or went well, for another reason than the internal password (no right,
 * plugin). */
void conf_access_note_refusal(ConfAccess *access, ConfSlice name, const char *address);
void conf_access_note_success(ConfAccess *access, ConfSlice name, const char *address);
/* Milliseconds that this (account, address) must wait still; 0: none.  Without an address nothing is
 * counted. */
unsigned conf_access_pause_ms(ConfAccess *access, ConfSlice name, const char *address);
/* Forgets the digests of recent success of this person or application: with any change of it. */
void conf_access_forget(ConfAccess *access, ConfKey account);

/* Of a directory: it said yes to this password of this person.  Kept as a keyed digest, in memory, until the
 * person changes in any way. */
void conf_access_note_external(ConfAccess *access, const ConfObject *person, ConfSlice password);
/* Did it say so within this time?  Guesses from one address pause like refusals, in an account of their
 * own: they are no failed attempts, and say no more than that the directory is away. */
bool conf_access_check_external(ConfAccess *access, const ConfObject *person, const char *address,
                                ConfSlice password, int64_t within_s);
/* It says no to this password now: its yes of before is forgotten, if that was to the same. */
void conf_access_forget_external(ConfAccess *access, const ConfObject *person, ConfSlice password);

/* Hash for storage, by the worker pool: func on the main loop, once, with the text, or NULL and -32013,
 * -32014, or -32602 (too long, or with a NUL: then at once). */
typedef void (*ConfHashFunc)(const char *hash, const ConfRpcError *error, void *data);
void conf_access_hash_password(ConfAccess *access, ConfSlice password, const char *address, ConfHashFunc func,
                               void *data);
/* The same, unless one of these hashes (a line each; at most CONF_POLICY_REPEATS_MAX + 1 are looked at) is
 * that of this very password: then NULL and -32602 without a path. */
void conf_access_hash_fresh_password(ConfAccess *access, ConfSlice password, const char *former,
                                     const char *address, ConfHashFunc func, void *data);
/* Blocking: -init. g_free(). */
char *conf_password_hash_now(ConfSlice password);
bool conf_password_verify_now(ConfSlice password, const char *hash);

/* lastLogin, wrong passwords, locks (protocol.md 3). */
ConfAccounts *conf_access_accounts(ConfAccess *access);

typedef struct {
    uint64_t hashes, recent_hits, refused, paused, queue;
} ConfAccessStatistics;
const ConfAccessStatistics *conf_access_statistics(const ConfAccess *access);
