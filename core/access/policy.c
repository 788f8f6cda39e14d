/* policy.c - what a tenant demands of its accounts: read from annexes, asked of passwords and times. */
#include "access/policy.h"

#include "base/json-tree.h"
#include "base/option.h"

#define SECTION "security-authentication-rules"
#define DAY_MS ((int64_t)24 * 3600 * 1000)

enum { DEPTH_MAX = 32, YEAR = 365, DEFAULT_LOCKOUT_MIN = 30 };

typedef struct {
    const char *name;
    size_t offset;
    int64_t most; /* 0: a boolean */
} PolicyOption;

static const PolicyOption policy_options[] = {
    {"account-expiration", offsetof(ConfPolicy, account_expiration_days), YEAR},
    {"account-lockout-threshold", offsetof(ConfPolicy, lockout_threshold), 1000},
    {"account-lockout-attempts-period", offsetof(ConfPolicy, lockout_period_min), 24 * 60},
    {"account-lockout-duration", offsetof(ConfPolicy, lockout_duration_min), YEAR * 24 * 60},
    {"max-account-sessions", offsetof(ConfPolicy, max_sessions), 128},
    {"password-expiration", offsetof(ConfPolicy, password_expiration_days), YEAR},
    {"password-expiration-notify", offsetof(ConfPolicy, password_notify_days), YEAR},
    {"password-min-length", offsetof(ConfPolicy, password_min_length), 64},
    {"password-no-repeats", offsetof(ConfPolicy, password_no_repeats), CONF_POLICY_REPEATS_MAX},
    {"password-req-alpha", offsetof(ConfPolicy, password_alpha), 0},
    {"password-req-mixed-case", offsetof(ConfPolicy, password_mixed_case), 0},
    {"password-req-number", offsetof(ConfPolicy, password_number), 0},
    {"password-req-punctuation", offsetof(ConfPolicy, password_punctuation), 0},
    {"force-password-reset", offsetof(ConfPolicy, force_password_reset), 0},
    {"override-account-expiration", offsetof(ConfPolicy, override_account_expiration), 0},
    {"override-password-expiration", offsetof(ConfPolicy, override_password_expiration), 0},
    {"account-override-lockout", offsetof(ConfPolicy, override_lockout), 0},
};

static void add_of(ConfPolicy *policy, const ConfObject *object);
static bool cuts_inheritance(ConfSlice annex);
static bool read_option(ConfPolicy *policy, const PolicyOption *option, const ConfJson *value);
static bool read_boolean(const ConfJson *value, bool *boolean);

void
conf_policy_of(const ConfStore *store, const ConfObject *person, ConfPolicy *policy)
{
    *policy = (ConfPolicy){.lockout_duration_min = DEFAULT_LOCKOUT_MIN};
    const ConfObject *tenants[DEPTH_MAX];
    unsigned count = 0;
    int64_t dbid = person->tenant;
    while (count < DEPTH_MAX) {
        const ConfObject *tenant =
            conf_store_lookup(store, (ConfKey){.type = CONF_TYPE_TENANT, .dbid = dbid});
        if (tenant == NULL)
            break;
        tenants[count++] = tenant;
        if (tenant->tenant == dbid || cuts_inheritance(conf_object_get_raw(tenant, "annex")))
            break;
        dbid = tenant->tenant;
    }
    while (count > 0)
        add_of(policy, tenants[--count]);
    add_of(policy, person);
}

void
conf_policy_add(ConfPolicy *policy, ConfSlice annex)
{
    if (annex.size == 0)
        return;
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfJson *section = conf_json_member(conf_json_parse(arena, annex, NULL, NULL, NULL), SECTION);
    for (unsigned i = 0; i < G_N_ELEMENTS(policy_options); i++) {
        const ConfJson *value = conf_json_member(section, policy_options[i].name);
        if (value != NULL && !read_option(policy, &policy_options[i], value) && policy->fault == NULL)
            policy->fault = policy_options[i].name;
    }
}

bool
conf_policy_allows(const ConfPolicy *policy, ConfSlice password, const char **why)
{
    bool alpha = false, lower = false, upper = false, number = false, punctuation = false;
    const char *p = password.data, *end = password.data + password.size;
    for (; p < end; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        alpha |= g_unichar_isalpha(c);
        lower |= g_unichar_islower(c);
        upper |= g_unichar_isupper(c);
        number |= g_unichar_isdigit(c);
        punctuation |= g_unichar_ispunct(c);
    }
    *why = NULL;
    if (g_utf8_strlen(password.data, (gssize)password.size) < policy->password_min_length)
        *why = "The new password is shorter than its tenant demands";
    else if (policy->password_alpha && !alpha)
        *why = "The new password must have a letter";
    else if (policy->password_mixed_case && !(lower && upper))
        *why = "The new password must have both small and capital letters";
    else if (policy->password_number && !number)
        *why = "The new password must have a digit";
    else if (policy->password_punctuation && !punctuation)
        *why = "The new password must have a punctuation mark";
    return *why == NULL;
}

int64_t
conf_policy_password_end(const ConfPolicy *policy, int64_t changed_ms)
{
    if (policy->password_expiration_days == 0 || policy->override_password_expiration || changed_ms == 0)
        return 0;
    return changed_ms + policy->password_expiration_days * DAY_MS;
}

bool
conf_policy_is_idle(const ConfPolicy *policy, int64_t last_ms, int64_t now_ms)
{
    return policy->account_expiration_days > 0 && !policy->override_account_expiration && last_ms != 0 &&
           now_ms - last_ms > policy->account_expiration_days * DAY_MS;
}

static void
add_of(ConfPolicy *policy, const ConfObject *object)
{
    bool forced = policy->force_password_reset;
    conf_policy_add(policy, conf_object_get_raw(object, "annex"));
    if (policy->force_password_reset && !forced)
        policy->forced_by = conf_object_key(object);
}

static bool
cuts_inheritance(ConfSlice annex)
{
    bool cuts = false;
    if (annex.size == 0)
        return false;
    g_autoptr(ConfArena) arena = conf_arena_new();
    const ConfJson *section = conf_json_member(conf_json_parse(arena, annex, NULL, NULL, NULL), SECTION);
    const ConfJson *value = conf_json_member(section, "tenant-override-section");
    return value != NULL && read_boolean(value, &cuts) && cuts;
}

/* False: unusable, and nothing is set. */
static bool
read_option(ConfPolicy *policy, const PolicyOption *option, const ConfJson *value)
{
    void *member = (char *)policy + option->offset;
    if (option->most == 0)
        return read_boolean(value, member);
    if (value->kind != CONF_JSON_STRING)
        return false;
    g_autofree char *text = conf_slice_dup(value->text);
    guint64 number;
    if (!g_ascii_string_to_unsigned(g_strstrip(text), 10, 0, (guint64)option->most, &number, NULL))
        return false;
    *(int64_t *)member = (int64_t)number;
    return true;
}

static bool
read_boolean(const ConfJson *value, bool *boolean)
{
    if (value->kind != CONF_JSON_STRING)
        return false;
    g_autofree char *text = conf_slice_dup(value->text);
    return conf_option_read_boolean(g_strstrip(text), boolean);
}
