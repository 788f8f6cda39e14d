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
            code == LDAP_PROTOCOL_ERROR || code == LDAP_OTHER || (item != NULL && item->retry));
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
ldap_verdict_policy(LDAP *ld, LDAPControl **controls, bool *must_change)
{
    ber_int_t expire = -1, grace = -1;
    LDAPPasswordPolicyError error = PP_noError;
    LDAPControl *control =
        controls != NULL ? ldap_control_find(LDAP_CONTROL_PASSWORDPOLICYRESPONSE, controls, NULL) : NULL;
    *must_change = false;
    if (control == NULL ||
        ldap_parse_passwordpolicy_control(ld, control, &expire, &grace, &error) != LDAP_SUCCESS ||
        error == PP_noError)
        return NULL;
    *must_change = error == PP_changeAfterReset;
    return ldap_passwordpolicy_err2txt(error);
}

static const AuthLdapError *
error_of(const AuthLdap *owner, int code)
{
    return owner->errors != NULL ? g_hash_table_lookup(owner->errors, GINT_TO_POINTER(code)) : NULL;
}
