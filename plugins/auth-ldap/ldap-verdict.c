/* ldap-verdict.c - what a result code, a text and the controls of an answer mean. */
#include "ldap-private.h"

static const AuthLdapError *error_of(const AuthLdap *owner, int code);

bool
ldap_verdict_is_retryable(const AuthLdap *owner, int code)
{
    const AuthLdapError *item = error_of(owner, code);
    /* A wrong password is final, whatever a file says. */
    return code != LDAP_SUCCESS && code != LDAP_INVALID_CREDENTIALS &&
           (code < 0 || code == LDAP_BUSY || code == LDAP_UNAVAILABLE || code == LDAP_TIMELIMIT_EXCEEDED ||
            code == LDAP_ADMINLIMIT_EXCEEDED || code == LDAP_OPERATIONS_ERROR ||
            code == LDAP_PROTOCOL_ERROR || code == LDAP_AUTH_METHOD_NOT_SUPPORTED ||
            code == LDAP_STRONG_AUTH_REQUIRED || code == LDAP_CONFIDENTIALITY_REQUIRED ||
            code == LDAP_OTHER || (item != NULL && item->retry));
}

const char *
ldap_verdict_text(const AuthLdap *owner, int code, const char *text, const char *policy)
{
    const AuthLdapError *item = error_of(owner, code);
    if (text != NULL || policy != NULL)
        return text != NULL ? text : policy;
    return item != NULL && item->text != NULL ? item->text : ldap_err2string(code);
}

const char *
ldap_verdict_policy(LDAP *ld, LDAPControl **controls, bool *must_change, char **warning)
{
    enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };
    ber_int_t expires = -1, grace = -1;
    LDAPPasswordPolicyError error = PP_noError;
    LDAPControl *control =
        controls != NULL ? ldap_control_find(LDAP_CONTROL_PASSWORDPOLICYRESPONSE, controls, NULL) : NULL;
    *must_change = false;
    if (control == NULL ||
        ldap_parse_passwordpolicy_control(ld, control, &expires, &grace, &error) != LDAP_SUCCESS)
        return NULL;
    if (grace >= 0)
        *warning = g_strdup_printf("The password has expired; log-ins left: %d", (int)grace);
    else if (expires >= 0)
        *warning = g_strdup_printf("The password expires in %d %s",
                                   (int)expires / (expires >= 2 * DAY    ? DAY
                                                   : expires >= 2 * HOUR ? HOUR
                                                                         : MINUTE),
                                   expires >= 2 * DAY    ? "days"
                                   : expires >= 2 * HOUR ? "hours"
                                                         : "minutes");
    *must_change = error == PP_changeAfterReset;
    return error != PP_noError ? ldap_passwordpolicy_err2txt(error) : NULL;
}

static const AuthLdapError *
error_of(const AuthLdap *owner, int code)
{
    return owner->errors != NULL ? g_hash_table_lookup(owner->errors, GINT_TO_POINTER(code)) : NULL;
}
