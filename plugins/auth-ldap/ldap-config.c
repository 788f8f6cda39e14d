/* ldap-config.c - see ldap-config.h. */
#include "ldap-config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_SIZE_MAX = 1 << 20 };

#define S AuthLdapSettings
#define FAMILY AUTH_LDAP "*"
const ConfOption auth_ldap_options[] = {
    CONF_OPTION_STRING(
        S, url, FAMILY, "ldap-url", NULL, NULL, CONF_AT_ONCE,
        "The server, and where and how an account is found there (RFC 4516). The letter X of the "
        "filter stands for the person's externalId: ldap://host/dc=example,dc=org??sub?(uid=X)."),
    CONF_OPTION_STRING(S, old_url, FAMILY, "ldap_url", NULL, NULL, CONF_AT_ONCE, "Old spelling of ldap-url."),
    CONF_OPTION_STRING(S, app_user, FAMILY, "app-user", NULL, NULL, CONF_AT_ONCE,
                       "DN as which accounts are searched for. Anonymous where it is not set."),
    CONF_OPTION_SECRET(S, password, FAMILY, "password", NULL, NULL, CONF_AT_ONCE, "Password of app-user."),
    CONF_OPTION_STRING(
        S, ca, FAMILY, "cacert-path", NULL, NULL, CONF_AT_ONCE,
        "File of the authorities that are trusted, PEM. Those of the system where it is not set."),
    CONF_OPTION_STRING(S, certificate, FAMILY, "cert-path", NULL, NULL, CONF_AT_ONCE,
                       "File of the certificate that is shown to the server, PEM."),
    CONF_OPTION_STRING(S, key, FAMILY, "key-path", NULL, NULL, CONF_AT_ONCE, "File of its key, PEM."),
    CONF_OPTION_INT(
        S, idle_timeout, FAMILY, "idle-timeout", "0 s", "0..86400 s", CONF_AT_ONCE,
        "Time after which an unused connection is closed. 0: kept as long as the server keeps it."),
    CONF_OPTION_INT(S, retry_attempts, FAMILY, "retry-attempts", "3", "1..10", CONF_AT_ONCE,
                    "How often a server is tried before it counts as unavailable. Other servers come first."),
    CONF_OPTION_INT(S, retry_interval, FAMILY, "retry-interval", "10 s", "0..600 s", CONF_AT_ONCE,
                    "Pause after all servers were tried, before they are tried again."),
    CONF_OPTION_INT(S, connect_timeout, FAMILY, "connect-timeout", "10 s", "1..60 s", CONF_AT_ONCE,
                    "Time limit of a connection until requests can be sent."),
    CONF_OPTION_INT(S, response_timeout, FAMILY, "response-timeout", "10 s", "1..60 s", CONF_AT_ONCE,
                    "Time limit of a request."),
    CONF_OPTION_CHOICE(
        S, chase, FAMILY, "chase-referrals", "0", AUTH_LDAP_CHASES, CONF_AT_ONCE,
        "Whether referrals to other servers are followed: 0 anonymously, 1 as app-user, 2 not at "
        "all. An annex may say it alone."),
    CONF_OPTION_BOOL(S, start_tls, FAMILY, "start-tls", "false", NULL, CONF_AT_ONCE,
                     "Connections of ldap:// are encrypted by StartTLS."),
    CONF_OPTION_INT(S, connections, FAMILY, "max-connections", "8", "1..64", CONF_AT_ONCE,
                    "Connections that check passwords, at most; one more searches."),
    CONF_OPTION_STRING(
        S, groups, FAMILY, "group-map", NULL, NULL, CONF_AT_ONCE,
        "Access groups for the session by groups of the directory: DN:GROUP, several after ';'."),
    CONF_OPTION_STRING(
        S, error_file, FAMILY, "error-file", NULL, NULL, CONF_AT_ONCE,
        "File of texts for error codes (ldaperrors.txt): CODE [retry] [TEXT] on each line. Read "
        "from section gauth_ldap of the server only."),
    CONF_OPTION_BOOL(S, verbose, FAMILY, "verbose", "false", NULL, CONF_AT_ONCE,
                     "Each step goes to the log."),
    CONF_OPTION_END,
};

static void free_config(void *data);
static void clear_group(void *data);
static bool read_section(AuthLdapServerConfig *config, const char *section, AuthLdapGet get, const void *data,
                         GError **error);
static bool read_value(const ConfOption *option, const char *text, void *member, GError **error);
static bool read_text(const ConfOption *option, const char *text, void *member);
static bool read_integer(const ConfOption *option, const char *text, int64_t *value);
static bool finish(AuthLdapServerConfig *config, GError **error);
static bool read_groups(AuthLdapServerConfig *config, GError **error);
static bool make_credentials(AuthLdapServerConfig *config, GError **error);
static bool fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static const char *
section_name(unsigned index)
{
    static char name[32];
    g_snprintf(name, sizeof name, index == 0 ? "%s" : "%s_%u", AUTH_LDAP, index);
    return name;
}

static const char *
url_of(AuthLdapGet get, const void *data, const char *section)
{
    const char *url = get(data, section, "ldap-url");
    return url != NULL ? url : get(data, section, "ldap_url");
}

GPtrArray *
auth_ldap_config_read(AuthLdapGet get, const void *data, GError **error)
{
    g_autoptr(GPtrArray) servers = g_ptr_array_new_with_free_func(free_config);
    for (unsigned i = 0; i < AUTH_LDAP_SERVERS_MAX; i++) {
        const char *section = section_name(i);
        if (url_of(get, data, section) == NULL)
            continue;
        AuthLdapServerConfig *config = g_new0(AuthLdapServerConfig, 1);
        g_ptr_array_add(servers, config);
        if (!read_section(config, section, get, data, error) || !finish(config, error)) {
            g_prefix_error(error, "section %s: ", section);
            return NULL;
        }
    }
    return g_steal_pointer(&servers);
}

char *
auth_ldap_config_print(AuthLdapGet get, const void *data)
{
    bool found = false;
    /* Grown never: what a growth leaves behind could not be wiped. */
    GString *text = g_string_sized_new(AUTH_LDAP_SERVERS_MAX * 16384);
    for (unsigned i = 0; i < AUTH_LDAP_SERVERS_MAX; i++) {
        const char *section = section_name(i);
        if (url_of(get, data, section) == NULL)
            continue;
        found = true;
        g_string_append_printf(text, "%u\n", i);
        for (const ConfOption *option = auth_ldap_options; option->name != NULL; option++) {
            const char *value = get(data, section, option->name);
            if (value != NULL)
                g_string_append_printf(text, "%s\t%zu\t%s\n", option->name, strlen(value), value);
        }
    }
    if (found)
        return g_string_free(text, FALSE);
    g_string_free(text, TRUE);
    return NULL;
}

char *
auth_ldap_read_file(const char *path, GError **error)
{
    struct stat status;
    g_autoptr(GError) why = NULL;
    char *text = NULL;
    size_t size = 0;
    /* A device or a pipe might never end. */
    if (stat(path, &status) != 0) {
        fail(error, "file %s cannot be read: %s", path, g_strerror(errno));
        return NULL;
    }
    if (!S_ISREG(status.st_mode) || status.st_size > FILE_SIZE_MAX) {
        fail(error, "file %s is no ordinary file of at most 1 MiB", path);
        return NULL;
    }
    if (!g_file_get_contents(path, &text, &size, &why)) {
        fail(error, "file %s cannot be read: %s", path, why->message);
        return NULL;
    }
    if (strlen(text) == size)
        return text;
    auth_ldap_wipe(text);
    fail(error, "file %s is no text", path);
    return NULL;
}

void
auth_ldap_wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    g_free(text);
}

static void
free_config(void *data)
{
    AuthLdapServerConfig *config = data;
    for (const ConfOption *option = auth_ldap_options; option->name != NULL; option++) {
        if (option->type == CONF_T_STRING || option->type == CONF_T_SECRET)
            auth_ldap_wipe(*(char **)(void *)((char *)&config->settings + option->offset));
    }
    auth_ldap_url_free(config->url);
    if (config->groups != NULL)
        g_array_unref(config->groups);
    if (config->credentials != NULL)
        gnutls_certificate_free_credentials(config->credentials);
    g_free(config);
}

static void
clear_group(void *data)
{
    AuthLdapGroup *group = data;
    g_free(group->dn);
    g_free(group->group);
}

static bool
read_section(AuthLdapServerConfig *config, const char *section, AuthLdapGet get, const void *data,
             GError **error)
{
    for (const ConfOption *option = auth_ldap_options; option->name != NULL; option++) {
        const char *text = get(data, section, option->name);
        if (text == NULL)
            text = option->fallback;
        if (text != NULL && !read_value(option, text, (char *)&config->settings + option->offset, error))
            return false;
    }
    return true;
}

static bool
read_value(const ConfOption *option, const char *given, void *member, GError **error)
{
    char *text = g_strdup(given);
    if (option->type != CONF_T_SECRET)
        g_strstrip(text); /* An annex may have blanks around it. */
    bool good = read_text(option, text, member);
    auth_ldap_wipe(text);
    return good ? true : fail(error, "%s = %s is not within %s", option->name, given, option->range);
}

static bool
read_text(const ConfOption *option, const char *text, void *member)
{
    static const char *const TRUE_WORDS[] = {"true", "yes", "on", "1", NULL};
    static const char *const FALSE_WORDS[] = {"false", "no", "off", "0", NULL};
    g_autofree char *lower = g_ascii_strdown(text, -1);
    bool good = true;
    switch (option->type) {
    case CONF_T_STRING:
    case CONF_T_SECRET:
        *(char **)member = *text != '\0' ? g_strdup(text) : NULL;
        break;
    case CONF_T_BOOL:
        *(bool *)member = g_strv_contains(TRUE_WORDS, lower);
        good = *(bool *)member || g_strv_contains(FALSE_WORDS, lower);
        break;
    case CONF_T_CHOICE:
        good = strlen(text) == 1 && *text >= '0' && *text <= '2';
        *(int64_t *)member = *text - '0';
        break;
    case CONF_T_INT:
        good = read_integer(option, text, member);
        break;
    }
    return good;
}

/* The table's ranges are "LOW..HIGH s" or without unit. */
static bool
read_integer(const ConfOption *option, const char *text, int64_t *value)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } UNITS[] = {{"", 1}, {"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}, {"ms", 0}};
    bool timed = g_str_has_suffix(option->range, " s");
    char *end = NULL;
    int64_t low = g_ascii_strtoll(option->range, &end, 10), high = g_ascii_strtoll(end + 2, NULL, 10);
    if (!g_ascii_isdigit(*text) || strlen(text) > 12)
        return false;
    int64_t number = g_ascii_strtoll(text, &end, 10);
    end += strspn(end, " ");
    for (unsigned i = 0; i < (timed ? G_N_ELEMENTS(UNITS) : 1); i++) {
        if (strcmp(end, UNITS[i].name) != 0)
            continue;
        bool is_fine = UNITS[i].seconds == 0;
        *value = is_fine ? number / 1000 : number * UNITS[i].seconds;
        return *value >= low && *value <= high && (!is_fine || number % 1000 == 0);
    }
    return false;
}

static bool
finish(AuthLdapServerConfig *config, GError **error)
{
    AuthLdapSettings *settings = &config->settings;
    config->url = auth_ldap_url_new(settings->url != NULL ? settings->url : settings->old_url, error);
    if (config->url == NULL)
        return false;
    if (config->url->filter == NULL)
        return fail(error, "ldap-url has no filter");
    if (!auth_ldap_filter_check(config->url->filter, error))
        return false;
    /* RFC 4513, 5.1.2: without a password it would be no proof of anything. */
    if (settings->app_user != NULL && settings->password == NULL)
        return fail(error, "app-user has no password");
    if (config->url->tls && settings->start_tls)
        return fail(error, "start-tls is for ldap://, ldaps:// is encrypted from the start");
    if ((settings->certificate == NULL) != (settings->key == NULL))
        return fail(error, "cert-path and key-path belong together");
    /* With authorities named, a referral of ldap:// to ldaps:// can be followed too. */
    return read_groups(config, error) &&
           (!(config->url->tls || settings->start_tls || settings->ca != NULL) ||
            make_credentials(config, error));
}

static bool
read_groups(AuthLdapServerConfig *config, GError **error)
{
    config->groups = g_array_new(FALSE, TRUE, sizeof(AuthLdapGroup));
    g_array_set_clear_func(config->groups, clear_group);
    const char *text = config->settings.groups;
    g_auto(GStrv) parts = g_strsplit(text != NULL ? text : "", ";", -1);
    for (unsigned i = 0; parts[i] != NULL; i++) {
        char *dn = g_strstrip(parts[i]), *colon = strrchr(dn, ':');
        if (*dn == '\0')
            continue;
        if (colon == NULL || colon == dn || *g_strchug(colon + 1) == '\0' ||
            config->groups->len >= AUTH_LDAP_GROUPS_MAX)
            return fail(error, "group-map: \"%s\" is no DN:GROUP, or there are more than %d", dn,
                        AUTH_LDAP_GROUPS_MAX);
        *colon = '\0';
        AuthLdapGroup group = {g_strdup(g_strchomp(dn)), g_strdup(colon + 1)};
        g_array_append_val(config->groups, group);
    }
    return true;
}

static bool
make_credentials(AuthLdapServerConfig *config, GError **error)
{
    const AuthLdapSettings *settings = &config->settings;
    gnutls_certificate_allocate_credentials(&config->credentials);
    if (settings->ca == NULL) {
        gnutls_certificate_set_x509_system_trust(config->credentials);
    } else {
        g_autofree char *ca = auth_ldap_read_file(settings->ca, error);
        if (ca == NULL)
            return false;
        gnutls_datum_t datum = {(unsigned char *)ca, (unsigned)strlen(ca)};
        if (gnutls_certificate_set_x509_trust_mem(config->credentials, &datum, GNUTLS_X509_FMT_PEM) <= 0)
            return fail(error, "cacert-path: file %s holds no certificate", settings->ca);
    }
    if (settings->certificate == NULL)
        return true;
    g_autofree char *certificate = auth_ldap_read_file(settings->certificate, error);
    char *key = certificate != NULL ? auth_ldap_read_file(settings->key, error) : NULL;
    if (key == NULL)
        return false;
    gnutls_datum_t one = {(unsigned char *)certificate, (unsigned)strlen(certificate)},
                   other = {(unsigned char *)key, (unsigned)strlen(key)};
    int result = gnutls_certificate_set_x509_key_mem(config->credentials, &one, &other, GNUTLS_X509_FMT_PEM);
    auth_ldap_wipe(key);
    return result >= 0 ? true : fail(error, "cert-path and key-path: %s", gnutls_strerror(result));
}

static bool
fail(GError **error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error_literal(error, CONF_ERROR, CONF_ERROR_INVALID, message);
    return false;
}
