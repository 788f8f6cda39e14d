/* auth-rule.c - which log-ins are external, and for RADIUS: [authentication] of the person's annex, the tenant's
 * annex and the server's options. */
#include <string.h>

#include "auth-radius.h"

static const ConfJson *authentication_of(const ConfJson *body);
static const char *word_of(const ConfJson *section, const char *key);
static bool is_true(const char *value);
static bool list_has(const char *list, const char *word);

bool
auth_radius_is_mine(const AuthRadius *self, const ConfLogin *l)
{
    const ConfObject *person = conf_login_get_person(l);
    const ConfJson *body = person != NULL ? conf_value_parse(conf_object_get_json(person, NULL), NULL) : NULL;
    if (body == NULL || strcmp(conf_login_get_mechanism(l), "password") != 0)
        return false;
    int64_t dbid = 0;
    const ConfObject *tenant = conf_value_integer(conf_value_member(body, "tenant"), &dbid)
                                   ? conf_plugin_lookup(self->plugin, "tenant", dbid)
                                   : NULL;
    const ConfJson *own = authentication_of(body);
    const ConfJson *common =
        tenant != NULL ? authentication_of(conf_value_parse(conf_object_get_json(tenant, NULL), NULL)) : NULL;
    static const char *const KEYS[] = {"library", "enforce-internal-auth", "enforce-external-auth"};
    const char *words[G_N_ELEMENTS(KEYS)];
    for (unsigned i = 0; i < G_N_ELEMENTS(KEYS); i++) {
        /* A person says its library; what is enforced is the tenant's or the server's. */
        words[i] = i == 0 ? word_of(own, KEYS[i]) : NULL;
        if (words[i] == NULL)
            words[i] = word_of(common, KEYS[i]);
        if (words[i] == NULL)
            words[i] = conf_plugin_get_option(self->plugin, "authentication", KEYS[i]);
    }
    if (words[0] == NULL || list_has(words[0], "internal") || !list_has(words[0], "gauth_radius") ||
        is_true(words[1]))
        return false;
    return is_true(words[2]) || auth_radius_external_id(person) != NULL;
}

const char *
auth_radius_external_id(const ConfObject *person)
{
    const ConfJson *body = conf_value_parse(conf_object_get_json(person, NULL), NULL);
    const char *id = conf_value_string(conf_value_member(body, "externalId"));
    return id != NULL && *id != '\0' ? id : NULL;
}

bool
auth_radius_check_library(const char *list, GError **error)
{
    static const char *const WORDS[] = {"gauth_ldap", "gauth_radius", "gauth_kerberos", "internal", NULL};
    g_auto(GStrv) parts = g_strsplit(list != NULL ? list : "", ",", -1);
    for (unsigned i = 0; parts[i] != NULL; i++) {
        const char *word = g_strstrip(parts[i]);
        if (*word == '\0' || g_strv_contains(WORDS, word))
            continue;
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "option library of section authentication: \"%s\" is none of gauth_ldap, gauth_radius, "
                    "gauth_kerberos, internal",
                    word);
        return false;
    }
    return true;
}

static const ConfJson *
authentication_of(const ConfJson *body)
{
    return conf_value_member(conf_value_member(body, "annex"), "authentication");
}

static const char *
word_of(const ConfJson *section, const char *key)
{
    return conf_value_string(conf_value_member(section, key));
}

static bool
is_true(const char *value)
{
    static const char *const WORDS[] = {"true", "yes", "on", "1"};
    for (unsigned i = 0; value != NULL && i < G_N_ELEMENTS(WORDS); i++) {
        if (g_ascii_strcasecmp(value, WORDS[i]) == 0)
            return true;
    }
    return false;
}

static bool
list_has(const char *list, const char *word)
{
    g_auto(GStrv) parts = g_strsplit(list, ",", -1);
    for (unsigned i = 0; parts[i] != NULL; i++) {
        if (strcmp(g_strstrip(parts[i]), word) == 0)
            return true;
    }
    return false;
}
