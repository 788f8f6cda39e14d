/* ldap-config.h - the servers of one place (the server's options, an annex): its sections gauth_ldap,
 * gauth_ldap_1... */
#pragma once

#include <gnutls/gnutls.h>

#include "ldap-text.h"
#include "plugin/confserv-plugin.h"

enum { AUTH_LDAP_SERVERS_MAX = 16, AUTH_LDAP_GROUPS_MAX = 32 };
#define AUTH_LDAP "gauth_ldap"

typedef enum { AUTH_LDAP_ANONYMOUS, AUTH_LDAP_AS_APP_USER, AUTH_LDAP_IGNORE } AuthLdapChase;
#define AUTH_LDAP_CHASES "0|1|2"

/* One section, as it stands there. */
typedef struct {
    char *url, *old_url, *app_user, *password, *ca, *certificate, *key, *groups, *error_file;
    int64_t idle_timeout, retry_attempts, retry_interval, connect_timeout, response_timeout, chase,
        connections;
    bool start_tls, verbose;
} AuthLdapSettings;
extern const ConfOption auth_ldap_options[];

typedef struct {
    char *dn, *group;
} AuthLdapGroup;

typedef struct {
    AuthLdapSettings settings;
    AuthLdapUrl *url;
    GArray *groups;                               /* AuthLdapGroup */
    gnutls_certificate_credentials_t credentials; /* NULL: no TLS */
} AuthLdapServerConfig;

typedef const char *(*AuthLdapGet)(const void *data, const char *section, const char *key);
/* The servers of these sections in their order; none: no section has a URL.  NULL and *error. */
GPtrArray *auth_ldap_config_read(AuthLdapGet get, const void *data, GError **error);
/* All that stands in these sections, as one text: what is equal need not be read again.  Wiped and freed by
 * auth_ldap_wipe().  NULL: no section has a URL. */
char *auth_ldap_config_print(AuthLdapGet get, const void *data);
/* An ordinary file of at most 1 MiB; NULL and *error. */
char *auth_ldap_read_file(const char *path, GError **error);
void auth_ldap_wipe(char *text);
