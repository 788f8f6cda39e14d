/* test-policy.c - what tenants demand of their accounts. */
#include "access/policy.h"

#include "store-fixture.h"

#define RULES(members) "{\"security-authentication-rules\":{" members "}}"
#define DAY_MS ((int64_t)24 * 3600 * 1000)

static bool
allows(const ConfPolicy *policy, const char *password)
{
    const char *why;
    bool fine = conf_policy_allows(policy, conf_slice_from_string(password), &why);
    g_assert_true(fine == (why == NULL));
    return fine;
}

static void
test_passwords(void)
{
    ConfPolicy policy = {0};
    g_assert_true(allows(&policy, "x"));
    conf_policy_add(&policy,
                    CONF_SLICE(RULES("\"password-min-length\":\"6\",\"password-req-alpha\":\"true\"")));
    g_assert_false(allows(&policy, "short"));
    g_assert_true(allows(&policy, "longer"));
    g_assert_true(
        allows(&policy, "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\xa9x")); /* six code points, letters */
    g_assert_false(allows(&policy, "123456"));
    conf_policy_add(&policy,
                    CONF_SLICE(RULES("\"password-req-mixed-case\":\"1\",\"password-req-number\":\"yes\"")));
    g_assert_false(allows(&policy, "longer1"));
    g_assert_false(allows(&policy, "LONGER1"));
    g_assert_true(allows(&policy, "Longer1"));
    conf_policy_add(&policy, CONF_SLICE(RULES("\"password-req-punctuation\":\"TRUE\"")));
    g_assert_false(allows(&policy, "Longer1"));
    g_assert_true(allows(&policy, "Longer-1"));
}

static void
test_faults(void)
{
    ConfPolicy policy = {.password_min_length = 8};
    conf_policy_add(&policy, CONF_SLICE(""));
    conf_policy_add(&policy, CONF_SLICE("{\"other\":{\"password-min-length\":\"1\"}}"));
    g_assert_null(policy.fault);
    conf_policy_add(
        &policy, CONF_SLICE(RULES("\"password-min-length\":\"many\",\"password-req-number\":\"perhaps\"")));
    g_assert_cmpstr(policy.fault, ==, "password-min-length");
    g_assert_cmpint(policy.password_min_length, ==, 8); /* An unusable value loosens nothing. */
    conf_policy_add(&policy, CONF_SLICE(RULES("\"password-min-length\":\"65\"")));
    g_assert_cmpint(policy.password_min_length, ==, 8);
    conf_policy_add(&policy, CONF_SLICE(RULES("\"password-min-length\":\" 64 \"")));
    g_assert_cmpint(policy.password_min_length, ==, 64);
}

static ConfObject *
tenant(ConfStore *store, int64_t dbid, int64_t parent, const char *annex)
{
    g_autofree char *name = g_strdup_printf("tenant%d", (int)dbid);
    g_autofree char *more = g_strdup_printf("\"annex\":%s", annex);
    return FIXTURE_OBJECT(conf_store_schema(store), .type = CONF_TYPE_TENANT, .dbid = dbid, .revision = 1,
                          .name = name, .tenant = parent, .folder = 100, .more = more);
}

static ConfObject *
person(ConfStore *store, int64_t dbid, int64_t of, const char *annex)
{
    g_autofree char *name = g_strdup_printf("person%d", (int)dbid);
    g_autofree char *more = annex != NULL ? g_strdup_printf("\"annex\":%s", annex) : NULL;
    return FIXTURE_OBJECT(conf_store_schema(store), .type = CONF_TYPE_PERSON, .dbid = dbid, .revision = 1,
                          .name = name, .tenant = of, .folder = 101, .more = more);
}

static void
test_inheritance(void)
{
    ConfStore *store = fixture_store();
    fixture_load(store,
                 tenant(store, 10, 1, RULES("\"password-min-length\":\"8\",\"max-account-sessions\":\"2\"")));
    fixture_load(store, tenant(store, 11, 10, RULES("\"password-min-length\":\"10\"")));
    fixture_load(store, tenant(store, 12, 11,
                               RULES("\"tenant-override-section\":\"true\",\"password-no-repeats\":\"3\"")));
    ConfObject *below = person(store, 50, 11, NULL), *apart = person(store, 51, 12, NULL);
    ConfObject *exempt = person(
        store, 52, 11, RULES("\"max-account-sessions\":\"5\",\"override-password-expiration\":\"true\""));
    fixture_load(store, conf_object_ref(below));
    fixture_load(store, conf_object_ref(apart));
    fixture_load(store, conf_object_ref(exempt));
    ConfPolicy policy;
    conf_policy_of(store, below, &policy);
    g_assert_cmpint(policy.password_min_length, ==, 10);
    g_assert_cmpint(policy.max_sessions, ==, 2);
    g_assert_cmpint(policy.lockout_duration_min, ==, 30);
    conf_policy_of(store, apart, &policy);
    g_assert_cmpint(policy.password_min_length, ==, 0);
    g_assert_cmpint(policy.max_sessions, ==, 0);
    g_assert_cmpint(policy.password_no_repeats, ==, 3);
    conf_policy_of(store, exempt, &policy);
    g_assert_cmpint(policy.max_sessions, ==, 5);
    g_assert_true(policy.override_password_expiration);
    conf_object_unref(below);
    conf_object_unref(apart);
    conf_object_unref(exempt);
    conf_store_free(store);
}

static void
test_times(void)
{
    ConfPolicy policy = {.password_expiration_days = 90, .account_expiration_days = 30};
    int64_t now = 1000 * DAY_MS;
    g_assert_cmpint(conf_policy_password_end(&policy, now), ==, now + 90 * DAY_MS);
    g_assert_cmpint(conf_policy_password_end(&policy, 0), ==, 0);
    g_assert_false(conf_policy_is_idle(&policy, 0, now));
    g_assert_false(conf_policy_is_idle(&policy, now - 30 * DAY_MS, now));
    g_assert_true(conf_policy_is_idle(&policy, now - 30 * DAY_MS - 1, now));
    policy.override_account_expiration = policy.override_password_expiration = true;
    g_assert_false(conf_policy_is_idle(&policy, 1, now));
    g_assert_cmpint(conf_policy_password_end(&policy, now), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/access/policy/passwords", test_passwords);
    g_test_add_func("/access/policy/faults", test_faults);
    g_test_add_func("/access/policy/inheritance", test_inheritance);
    g_test_add_func("/access/policy/times", test_times);
    return g_test_run();
}
