/* test-login.c - internal passwords from the outside: right, wrong, unknown, paused, too many, cancelled. */
#include <string.h>

#include "access/login.h"
#include "base/queue-main.h"
#include "base/timer-wheel.h"
#include "plugin/loader.h"

typedef struct {
    bool is_over;
    bool right;
    unsigned calls;
    int code;
    char *message;
    char *data;
} Outcome;

static const char HERE[] = "10.0.0.1";
static char *hash_of_right; /* one for all tests: they cost */

static ConfAccess *
new_access(void)
{
    static const ConfAccessSettings SETTINGS = {
        .login_attempts = 5, .login_pause_ms = 1000, .address_rate = 60, .hash_queue = 100};
    return conf_access_new(NULL, &SETTINGS);
}

/* A person as the store holds one, with this stored hash (NULL: none). */
static ConfObject *
new_person(int64_t dbid, const char *hash)
{
    ConfObject *person = g_malloc0(sizeof(ConfObject) + 1);
    person->refs = 1;
    person->type = CONF_TYPE_PERSON;
    person->dbid = dbid;
    person->enabled = true;
    person->body = conf_bytes_new("{}", 2);
    if (hash != NULL) {
        g_autofree char *text = g_strdup_printf("{\"passwordHash\":\"%s\"}", hash);
        person->secrets = conf_bytes_new(text, strlen(text));
    }
    return person;
}

static void
free_person(ConfObject *person)
{
    conf_bytes_unref(person->body);
    conf_bytes_unref(person->secrets);
    g_free(person);
}

static void
on_checked(bool right, const ConfRpcError *error, void *data)
{
    Outcome *outcome = data;
    outcome->is_over = true;
    outcome->calls++;
    outcome->right = right;
    g_assert_true(right == (error == NULL));
    g_clear_pointer(&outcome->message, g_free);
    g_clear_pointer(&outcome->data, g_free);
    if (error == NULL)
        return;
    outcome->code = error->code;
    outcome->message = g_strdup(error->message);
    outcome->data = g_strdup(error->data);
}

static void
clear_outcome(Outcome *outcome)
{
    g_free(outcome->message);
    g_free(outcome->data);
    *outcome = (Outcome){0};
}

static void
on_deadline(void *data)
{
    g_error("nothing came within 20 s");
}

static void
wait_for(const bool *flag)
{
    ConfTimer deadline = {0};
    conf_timer_arm(&deadline, 20000, on_deadline, NULL);
    while (!*flag)
        g_main_context_iteration(NULL, TRUE);
    conf_timer_cancel(&deadline);
}

static ConfPasswordCheck *
start(ConfAccess *access, const ConfObject *person, const char *name, const char *address,
      const char *password, Outcome *outcome)
{
    return conf_access_check_password(access, person, "passwordHash", conf_slice_from_string(name), address,
                                      conf_slice_from_string(password), on_checked, outcome);
}

static bool
check(ConfAccess *access, const ConfObject *person, const char *name, const char *password, Outcome *outcome)
{
    clear_outcome(outcome);
    start(access, person, name, HERE, password, outcome);
    wait_for(&outcome->is_over);
    g_assert_cmpuint(outcome->calls, ==, 1);
    return outcome->right;
}

static void
test_hash(void)
{
    g_autofree char *hash = conf_password_hash_now(CONF_SLICE("p\xc3\xa4ss"));
    g_assert_true(g_str_has_prefix(hash, "$y$"));
    g_assert_true(conf_password_verify_now(CONF_SLICE("p\xc3\xa4ss"), hash));
    g_assert_false(conf_password_verify_now(CONF_SLICE("pass"), hash));
    g_assert_false(conf_password_verify_now(CONF_SLICE(""), hash));
    g_autofree char *again = conf_password_hash_now(CONF_SLICE("p\xc3\xa4ss"));
    g_assert_cmpstr(again, !=, hash);
    /* Not the beginning of one either, which is what a C string would make of it. */
    g_assert_false(conf_password_verify_now(CONF_SLICE("p\xc3\xa4ss\0x"), hash));
    g_assert_null(conf_password_hash_now(CONF_SLICE("a\0b")));
}

static void
test_longest(void)
{
    g_autofree char *longest = g_strnfill(511, 'x');
    g_autofree char *too_long = g_strnfill(512, 'x');
    g_autofree char *hash = conf_password_hash_now(conf_slice_from_string(longest));
    g_assert_true(conf_password_verify_now(conf_slice_from_string(longest), hash));
    g_assert_false(conf_password_verify_now(conf_slice_from_string(too_long), hash));
    g_assert_null(conf_password_hash_now(conf_slice_from_string(too_long)));
}

static void
test_broken_hashes(void)
{
    static const char *const HASHES[] = {"", "*", "!", "*0", "$y$", "$y$j9T$", "plain", "$nonsense$x$y"};
    for (unsigned i = 0; i < G_N_ELEMENTS(HASHES); i++) {
        g_assert_false(conf_password_verify_now(CONF_SLICE("right"), HASHES[i]));
        g_assert_false(conf_password_verify_now(conf_slice_from_string(HASHES[i]), HASHES[i]));
    }
}

static void
test_right_and_wrong(void)
{
    ConfAccess *access = new_access();
    ConfObject *person = new_person(101, hash_of_right);
    Outcome outcome = {0};
    g_assert_true(check(access, person, "anna", "right", &outcome));
    g_assert_false(check(access, person, "anna", "wrong", &outcome));
    g_assert_cmpint(outcome.code, ==, CONF_RPC_LOGIN_REFUSED);
    g_assert_null(outcome.data);
    g_autofree char *message = g_steal_pointer(&outcome.message);

    /* Nobody learns what was wrong: the same words, and a hash each time. */
    ConfObject *without = new_person(102, NULL), *locked = new_person(103, "!");
    g_autofree char *too_long = g_strnfill(60000, 'x');
    const struct {
        const ConfObject *person;
        const char *password;
    } CASES[] = {{NULL, "right"}, {without, "right"}, {without, ""}, {locked, "!"}};
    uint64_t hashes = conf_access_statistics(access)->hashes;
    for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++) {
        char name[16];
        g_snprintf(name, sizeof(name), "user%u", i);
        g_assert_false(check(access, CASES[i].person, name, CASES[i].password, &outcome));
        g_assert_cmpint(outcome.code, ==, CONF_RPC_LOGIN_REFUSED);
        g_assert_cmpstr(outcome.message, ==, message);
        g_assert_cmpuint(conf_access_statistics(access)->hashes, ==, ++hashes);
    }
    g_assert_false(check(access, person, "anna", too_long, &outcome));
    g_assert_cmpstr(outcome.message, ==, message);
    g_assert_cmpuint(conf_access_statistics(access)->hashes, ==, ++hashes);
    g_assert_cmpuint(conf_access_statistics(access)->refused, ==, 6);
    clear_outcome(&outcome);
    free_person(person);
    free_person(without);
    free_person(locked);
    conf_access_free(access);
}

static void
test_recent_success(void)
{
    ConfAccess *access = new_access();
    ConfObject *person = new_person(101, hash_of_right);
    Outcome outcome = {0};
    g_assert_true(check(access, person, "anna", "right", &outcome));
    clear_outcome(&outcome);
    g_assert_null(start(access, person, "anna", HERE, "right", &outcome));
    g_assert_true(outcome.is_over);
    g_assert_true(outcome.right);
    g_assert_cmpuint(conf_access_statistics(access)->hashes, ==, 1);
    g_assert_cmpuint(conf_access_statistics(access)->recent_hits, ==, 1);

    /* A wrong one is hashed, and refused. */
    g_assert_false(check(access, person, "anna", "wrong", &outcome));
    g_assert_cmpuint(conf_access_statistics(access)->hashes, ==, 2);
    conf_access_forget(access, conf_object_key(person));
    g_assert_true(check(access, person, "anna", "right", &outcome));
    g_assert_cmpuint(conf_access_statistics(access)->hashes, ==, 3);

    /* The password was changed: the old one is no longer right, whatever is remembered. */
    g_autofree char *new_hash = conf_password_hash_now(CONF_SLICE("new"));
    ConfObject *changed = new_person(101, new_hash);
    g_assert_false(check(access, changed, "anna", "right", &outcome));
    g_assert_true(check(access, changed, "anna", "new", &outcome));
    clear_outcome(&outcome);
    free_person(person);
    free_person(changed);
    conf_access_free(access);
}

static void
test_pause(void)
{
    ConfAccess *access = new_access();
    static const ConfAccessSettings QUICK = {
        .login_attempts = 2, .login_pause_ms = 60, .address_rate = 0, .hash_queue = 100};
    conf_access_set_settings(access, &QUICK);
    ConfObject *person = new_person(101, hash_of_right);
    Outcome outcome = {0};
    g_assert_false(check(access, person, "anna", "wrong", &outcome));
    g_assert_cmpuint(conf_access_pause_ms(access, CONF_SLICE("anna"), HERE), ==, 0);
    g_assert_false(check(access, person, "anna", "wrong", &outcome));
    g_assert_cmpuint(conf_access_pause_ms(access, CONF_SLICE("anna"), HERE), >, 0);

    /* The right one too, after the pause, without a look at it. */
    uint64_t hashes = conf_access_statistics(access)->hashes;
    g_assert_false(check(access, person, "anna", "right", &outcome));
    g_assert_cmpint(outcome.code, ==, CONF_RPC_LOGIN_REFUSED);
    g_assert_cmpuint(conf_access_statistics(access)->hashes, ==, hashes);
    g_assert_cmpuint(conf_access_statistics(access)->paused, ==, 1);
    g_assert_cmpuint(conf_access_pause_ms(access, CONF_SLICE("anna"), HERE), ==, 0);
    g_assert_true(check(access, person, "anna", "right", &outcome));
    clear_outcome(&outcome);
    free_person(person);
    conf_access_free(access);
}

static void
test_pause_is_answered_in_two_seconds(void)
{
    ConfAccess *access = new_access();
    ConfObject *person = new_person(101, hash_of_right);
    for (unsigned i = 0; i < 20; i++)
        conf_access_note_refusal(access, CONF_SLICE("anna"), HERE);
    g_assert_cmpuint(conf_access_pause_ms(access, CONF_SLICE("anna"), HERE), >, 50000);
    Outcome outcome = {0};
    int64_t begun = g_get_monotonic_time();
    g_assert_false(check(access, person, "anna", "right", &outcome));
    int64_t took = g_get_monotonic_time() - begun;
    g_assert_cmpint(took, >=, 2 * G_USEC_PER_SEC);
    g_assert_cmpint(took, <, 5 * G_USEC_PER_SEC);

    /* From elsewhere anna comes in: nobody can lock her out. */
    clear_outcome(&outcome);
    start(access, person, "anna", "10.0.0.2", "right", &outcome);
    wait_for(&outcome.is_over);
    g_assert_true(outcome.right);
    clear_outcome(&outcome);
    free_person(person);
    conf_access_free(access);
}

static void
test_cancel(void)
{
    ConfAccess *access = new_access();
    Outcome cancelled = {0}, paused = {0}, kept = {0};
    ConfPasswordCheck *checks[8];
    for (unsigned i = 0; i < G_N_ELEMENTS(checks); i++)
        checks[i] = start(access, NULL, "nobody", HERE, "x", &cancelled);
    for (unsigned i = 0; i < 20; i++)
        conf_access_note_refusal(access, CONF_SLICE("anna"), HERE);
    ConfPasswordCheck *delayed = start(access, NULL, "anna", HERE, "x", &paused);
    start(access, NULL, "other", "10.0.0.9", "x", &kept);
    for (unsigned i = 0; i < G_N_ELEMENTS(checks); i++)
        conf_access_cancel_check(checks[i]);
    conf_access_cancel_check(delayed);
    conf_access_cancel_check(NULL);
    wait_for(&kept.is_over);
    g_assert_cmpuint(cancelled.calls, ==, 0);
    g_assert_cmpuint(paused.calls, ==, 0);
    clear_outcome(&kept);
    conf_access_free(access);
}

static void
test_queue_full(void)
{
    static const ConfAccessSettings SMALL = {
        .login_attempts = 100, .login_pause_ms = 1000, .address_rate = 0, .hash_queue = 3};
    ConfAccess *access = conf_access_new(NULL, &SMALL);
    unsigned count = conf_pool_thread_count() + 3;
    g_autofree Outcome *outcomes = g_new0(Outcome, count);
    for (unsigned i = 0; i < count; i++)
        g_assert_nonnull(start(access, NULL, "nobody", HERE, "x", &outcomes[i]));
    g_assert_cmpuint(conf_access_statistics(access)->queue, ==, 3);

    Outcome refused = {0}, other = {0};
    g_assert_null(start(access, NULL, "nobody", HERE, "x", &refused));
    g_assert_cmpint(refused.code, ==, CONF_RPC_UNAVAILABLE);
    g_assert_true(g_str_has_prefix(refused.data, "\"retryAfter\":"));

    /* One from elsewhere takes the place of the newest. */
    g_assert_nonnull(start(access, NULL, "nobody", "10.0.0.2", "x", &other));
    g_assert_true(outcomes[count - 1].is_over);
    g_assert_cmpint(outcomes[count - 1].code, ==, CONF_RPC_UNAVAILABLE);
    g_assert_true(g_str_has_prefix(outcomes[count - 1].data, "\"retryAfter\":"));
    wait_for(&other.is_over);
    for (unsigned i = 0; i < count; i++) {
        wait_for(&outcomes[i].is_over);
        g_assert_cmpuint(outcomes[i].calls, ==, 1);
        clear_outcome(&outcomes[i]);
    }
    g_assert_cmpint(other.code, ==, CONF_RPC_LOGIN_REFUSED);
    clear_outcome(&refused);
    clear_outcome(&other);
    conf_access_free(access);
}

typedef struct {
    bool is_over;
    char *hash;
    int code;
} NewHash;

static void
on_hashed(const char *hash, const ConfRpcError *error, void *data)
{
    NewHash *result = data;
    result->is_over = true;
    result->hash = g_strdup(hash);
    result->code = error != NULL ? error->code : 0;
}

static void
test_hash_in_the_pool(void)
{
    ConfAccess *access = new_access();
    NewHash good = {0}, bad = {0};
    conf_access_hash_password(access, CONF_SLICE("secret"), HERE, on_hashed, &good);
    g_assert_false(good.is_over);
    wait_for(&good.is_over);
    g_assert_cmpint(good.code, ==, 0);
    g_assert_true(conf_password_verify_now(CONF_SLICE("secret"), good.hash));
    conf_access_hash_password(access, CONF_SLICE("a\0b"), HERE, on_hashed, &bad);
    g_assert_true(bad.is_over);
    g_assert_cmpint(bad.code, ==, CONF_RPC_INVALID_PARAMS);
    g_free(good.hash);
    conf_access_free(access);
}

/* Who waits is told, and nothing of theirs is touched when a worker comes back afterwards. */
static void
test_free(void)
{
    ConfAccess *access = new_access();
    Outcome checks[6] = {{0}}, paused = {0};
    NewHash hash = {0};
    for (unsigned i = 0; i < G_N_ELEMENTS(checks); i++)
        start(access, NULL, "nobody", HERE, "x", &checks[i]);
    for (unsigned i = 0; i < 20; i++)
        conf_access_note_refusal(access, CONF_SLICE("anna"), HERE);
    start(access, NULL, "anna", HERE, "x", &paused);
    conf_access_hash_password(access, CONF_SLICE("secret"), HERE, on_hashed, &hash);
    conf_access_free(access);
    for (unsigned i = 0; i < G_N_ELEMENTS(checks); i++) {
        g_assert_cmpuint(checks[i].calls, ==, 1);
        g_assert_cmpint(checks[i].code, ==, CONF_RPC_STOPPING);
        clear_outcome(&checks[i]);
    }
    g_assert_cmpuint(paused.calls, ==, 1);
    clear_outcome(&paused);
    g_assert_true(hash.is_over);
    g_assert_cmpint(hash.code, ==, CONF_RPC_STOPPING);
    g_assert_null(hash.hash);

    ConfAccess *later = new_access();
    Outcome outcome = {0};
    check(later, NULL, "nobody", "x", &outcome);
    clear_outcome(&outcome);
    conf_access_free(later);
}

static void
test_last_login(void)
{
    ConfAccess *access = new_access();
    const ConfKey anna = {.type = CONF_TYPE_PERSON, .dbid = 101},
                  proxy = {.type = CONF_TYPE_APPLICATION, .dbid = 101};
    g_assert_cmpint(conf_accounts_last_login(conf_access_accounts(access), anna), ==, 0);
    conf_accounts_note_login(conf_access_accounts(access), anna, 5000);
    conf_accounts_note_login(conf_access_accounts(access), anna, 6000);
    g_assert_cmpint(conf_accounts_last_login(conf_access_accounts(access), anna), ==, 6000);
    g_assert_cmpint(conf_accounts_last_login(conf_access_accounts(access), proxy), ==, 0);
    conf_access_free(access);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    conf_main_queue_init();
    hash_of_right = conf_password_hash_now(CONF_SLICE("right"));
    g_test_add_func("/access/login/hash", test_hash);
    g_test_add_func("/access/login/longest", test_longest);
    g_test_add_func("/access/login/broken-hashes", test_broken_hashes);
    g_test_add_func("/access/login/right-and-wrong", test_right_and_wrong);
    g_test_add_func("/access/login/recent-success", test_recent_success);
    g_test_add_func("/access/login/pause", test_pause);
    g_test_add_func("/access/login/pause-two-seconds", test_pause_is_answered_in_two_seconds);
    g_test_add_func("/access/login/cancel", test_cancel);
    g_test_add_func("/access/login/queue-full", test_queue_full);
    g_test_add_func("/access/login/hash-in-pool", test_hash_in_the_pool);
    g_test_add_func("/access/login/free", test_free);
    g_test_add_func("/access/login/last-login", test_last_login);
    int status = g_test_run();
    g_free(hash_of_right);
    return status;
}
