/* ldap-text.h - what this plugin reads by itself: URLs (RFC 4516), the filter with its place for the
 * externalId (RFC 4515), and the file of error texts.  Pure; fuzzed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

typedef struct {
    bool tls; /* ldaps */
    char *host;
    uint16_t port;
    char *base;   /* "": the root */
    int scope;    /* LDAP_SCOPE_..., -1: the URL does not say */
    char *filter; /* NULL: the URL does not say */
} AuthLdapUrl;

/* NULL and *error: what is wrong.  Attributes are passed over; a critical extension is refused. */
AuthLdapUrl *auth_ldap_url_new(const char *text, GError **error);
void auth_ldap_url_free(AuthLdapUrl *url);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AuthLdapUrl, auth_ldap_url_free)

/* It is a filter, and one of its values has the letter X for the externalId. */
bool auth_ldap_filter_check(const char *filter, GError **error);
/* Each X that stands by itself in a value becomes the id, escaped: it can be nothing but a value. */
char *auth_ldap_filter_make(const char *filter, const char *id);
/* A value as it may stand in a filter (RFC 4515, 3). */
char *auth_ldap_escape(const char *value);

typedef struct {
    char *text; /* NULL: the file gives none */
    bool retry; /* another try, or server, may help */
} AuthLdapError;
/* Lines "CODE [retry] [TEXT]"; ';' begins a comment; several lines of a code add up, the last text
 * counts.  By code (int).  NULL and *error: the line that is none. */
GHashTable *auth_ldap_errors_new(const char *text, GError **error);
