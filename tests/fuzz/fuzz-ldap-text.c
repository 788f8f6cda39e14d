/* fuzz-ldap-text.c - what plugin auth-ldap reads by itself: the first byte says what the rest is.
 * Whatever an externalId is, it stays one value: the filter has no more parentheses and stars than it had. */
#include <stdint.h>
#include <string.h>

#include "ldap-text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned
count(const char *text)
{
    unsigned found = 0;
    for (; *text != '\0'; text++)
        found += strchr("()*", *text) != NULL;
    return found;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    g_autofree char *text = g_strndup((const char *)data + 1, size - 1);
    if (data[0] % 4 == 0) {
        g_autoptr(AuthLdapUrl) url = auth_ldap_url_new(text, NULL);
        g_assert_true(url == NULL || (*url->host != '\0' && url->port != 0 && url->base != NULL));
        g_assert_true(url == NULL || url->filter == NULL || *url->filter != '\0');
    } else if (data[0] % 4 == 1) {
        g_autofree char *made = auth_ldap_filter_make("(&(a=X)(b=*X@c\\2aX))", text);
        g_assert_cmpuint(count(made), ==, 7);
        static const char *const GOOD[] = {"(&(objectClass=user)(|(uid=X)(!(mail=*X@c))))",
                                           "(cn:dn:2.4.6.8:=X)", "(a>=X)"};
        static const char *const BAD[] = {"uid=X",         "(uid=X", "(uid=X))", "(&)",
                                          "(!(a=X)(b=c))", "(=X)",   "(uid=x)",  "(uid=\\zX)"};
        for (unsigned i = 0; i < G_N_ELEMENTS(GOOD); i++)
            g_assert_true(auth_ldap_filter_check(GOOD[i], NULL));
        for (unsigned i = 0; i < G_N_ELEMENTS(BAD); i++)
            g_assert_false(auth_ldap_filter_check(BAD[i], NULL));
    } else if (data[0] % 4 == 2) {
        (void)auth_ldap_filter_check(text, NULL);
        g_autofree char *made = auth_ldap_filter_make(text, "(*)");
        g_assert_cmpuint(count(made), ==, count(text));
    } else {
        g_autoptr(GHashTable) errors = auth_ldap_errors_new(text, NULL);
        g_assert_true(errors == NULL || g_hash_table_size(errors) <= size);
    }
    return 0;
}
