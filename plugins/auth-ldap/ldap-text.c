/* ldap-text.c - see ldap-text.h. */
#include "ldap-text.h"

#include <ldap.h>
#include <string.h>

#include "plugin/confserv-plugin.h"

enum {
    URL_SIZE_MAX = 4096,
    HOST_SIZE_MAX = 255,
    FILTER_DEPTH_MAX = 32,
    CODE_MAX = 65535,
    TEXT_SIZE_MAX = 1024,
};

static bool fail(GError **error, const char *what);
static bool read_host(AuthLdapUrl *url, const char *text, GError **error);
static bool read_rest(AuthLdapUrl *url, const char *text, GError **error);
static bool read_scope(const char *text, int *scope);
static bool is_filter(const char *text);
static const char *skip_item(const char *text);
static size_t unit_size(const char *text);
static bool is_place(const char *filter, const char *at, size_t before);
static void free_error(void *data);
static bool read_error_line(GHashTable *errors, char *line);

AuthLdapUrl *
auth_ldap_url_new(const char *text, GError **error)
{
    g_autoptr(AuthLdapUrl) url = g_new0(AuthLdapUrl, 1);
    url->scope = -1;
    if (strlen(text) > URL_SIZE_MAX || !g_utf8_validate(text, -1, NULL)) {
        fail(error, "the URL is too long, or not UTF-8");
        return NULL;
    }
    url->tls = g_ascii_strncasecmp(text, "ldaps://", 8) == 0;
    if (!url->tls && g_ascii_strncasecmp(text, "ldap://", 7) != 0) {
        fail(error, "the URL does not begin with ldap:// or ldaps://");
        return NULL;
    }
    text += url->tls ? 8 : 7;
    size_t size = strcspn(text, "/?");
    g_autofree char *authority = g_strndup(text, size);
    if (!read_host(url, authority, error))
        return NULL;
    text += size;
    if (*text == '?') {
        fail(error, "a / is missing between the server and ?");
        return NULL;
    }
    if (!read_rest(url, *text == '/' ? text + 1 : text, error))
        return NULL;
    return g_steal_pointer(&url);
}

void
auth_ldap_url_free(AuthLdapUrl *url)
{
    if (url == NULL)
        return;
    g_free(url->host);
    g_free(url->base);
    g_free(url->filter);
    g_free(url);
}

bool
auth_ldap_filter_check(const char *filter, GError **error)
{
    if (!is_filter(filter))
        return fail(error, "the filter is none (RFC 4515), or nested too deeply");
    g_autofree char *one = auth_ldap_filter_make(filter, "a"), *other = auth_ldap_filter_make(filter, "b");
    return strcmp(one, other) != 0
               ? true
               : fail(error, "the filter has no X, for which the externalId would be put");
}

char *
auth_ldap_filter_make(const char *filter, const char *id)
{
    g_autofree char *value = auth_ldap_escape(id);
    GString *made = g_string_new(NULL);
    bool in_value = false;
    size_t before = 0; /* size of what stands before, if it is one letter, digit or escape of the value */
    for (const char *at = filter; *at != '\0';) {
        size_t size = unit_size(at);
        if (*at == '(' || *at == ')')
            in_value = false;
        if (in_value && is_place(filter, at, before))
            g_string_append(made, value);
        else
            g_string_append_len(made, at, (gssize)size);
        before = size;
        if (*at == '=')
            in_value = true;
        at += size;
    }
    return g_string_free(made, FALSE);
}

char *
auth_ldap_escape(const char *value)
{
    GString *escaped = g_string_new(NULL);
    for (const char *at = value; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        if (c < 0x20 || c == 0x7f || strchr("()*\\", c) != NULL)
            g_string_append_printf(escaped, "\\%02x", c);
        else
            g_string_append_c(escaped, *at);
    }
    return g_string_free(escaped, FALSE);
}

GHashTable *
auth_ldap_errors_new(const char *text, GError **error)
{
    g_autoptr(GHashTable) errors = g_hash_table_new_full(NULL, NULL, NULL, free_error);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (unsigned i = 0; lines[i] != NULL; i++) {
        if (read_error_line(errors, lines[i]))
            continue;
        g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID,
                    "line %u is no CODE [retry] [TEXT], or its text is longer than %d bytes or not UTF-8",
                    i + 1, TEXT_SIZE_MAX);
        return NULL;
    }
    return g_steal_pointer(&errors);
}

static bool
fail(GError **error, const char *what)
{
    g_set_error_literal(error, CONF_ERROR, CONF_ERROR_INVALID, what);
    return false;
}

/* host, host:port, [address]:port */
static bool
read_host(AuthLdapUrl *url, const char *text, GError **error)
{
    g_autofree char *decoded = g_uri_unescape_string(text, NULL);
    const char *host = decoded != NULL ? decoded : "", *rest;
    bool bracket = *host == '[';
    host += bracket ? 1 : 0;
    size_t size = strcspn(host, bracket ? "]" : ":");
    rest = host + size;
    if (bracket && *rest == ']')
        rest++;
    if (size == 0 || size > HOST_SIZE_MAX || (*rest != '\0' && *rest != ':') ||
        (bracket && host[size] != ']') || strcspn(host, " \t@,") < size)
        return fail(error, "the URL names no server");
    guint64 port = url->tls ? LDAPS_PORT : LDAP_PORT;
    if (*rest == ':' && !g_ascii_string_to_unsigned(rest + 1, 10, 1, 65535, &port, NULL))
        return fail(error, "the URL's port is no number from 1 to 65535");
    url->host = g_strndup(host, size);
    url->port = (uint16_t)port;
    return true;
}

/* base?attributes?scope?filter?extensions */
static bool
read_rest(AuthLdapUrl *url, const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, "?", 5);
    unsigned count = g_strv_length(parts);
    for (unsigned i = 0; i < count; i++) {
        g_autofree char *decoded = g_uri_unescape_string(parts[i], NULL);
        if (decoded == NULL || !g_utf8_validate(decoded, -1, NULL))
            return fail(error, "the URL has a % that is no escape of UTF-8");
        if (i == 0)
            url->base = g_steal_pointer(&decoded);
        else if (i == 2 && *decoded != '\0' && !read_scope(decoded, &url->scope))
            return fail(error, "the URL's scope is none of base, one, sub");
        else if (i == 3 && *decoded != '\0')
            url->filter = g_steal_pointer(&decoded);
        else if (i == 4 && (*decoded == '!' || strstr(decoded, ",!") != NULL))
            return fail(error, "the URL has a critical extension; none is known");
    }
    if (url->base == NULL)
        url->base = g_strdup("");
    return true;
}

static bool
read_scope(const char *text, int *scope)
{
    static const struct {
        const char *name;
        int scope;
    } SCOPES[] = {{"base", LDAP_SCOPE_BASE},
                  {"one", LDAP_SCOPE_ONELEVEL},
                  {"onelevel", LDAP_SCOPE_ONELEVEL},
                  {"sub", LDAP_SCOPE_SUBTREE},
                  {"subtree", LDAP_SCOPE_SUBTREE}};
    for (unsigned i = 0; i < G_N_ELEMENTS(SCOPES); i++) {
        if (g_ascii_strcasecmp(text, SCOPES[i].name) != 0)
            continue;
        *scope = SCOPES[i].scope;
        return true;
    }
    return false;
}

/* RFC 4515, 3, with all its parentheses.  libldap's own reader is to be had only with a connection. */
static bool
is_filter(const char *text)
{
    struct {
        bool single;
        unsigned count;
    } lists[FILTER_DEPTH_MAX];
    unsigned depth = 0;
    do {
        if (*text == ')') {
            if (depth == 0 || lists[depth - 1].count == 0)
                return false;
            depth--;
            text++;
            continue;
        }
        if (*text++ != '(' || (depth > 0 && lists[depth - 1].single && lists[depth - 1].count > 0))
            return false;
        if (depth > 0)
            lists[depth - 1].count++;
        if (*text != '\0' && strchr("&|!", *text) != NULL) {
            if (depth >= FILTER_DEPTH_MAX)
                return false;
            lists[depth].single = *text++ == '!';
            lists[depth++].count = 0;
        } else if ((text = skip_item(text)) == NULL) {
            return false;
        }
    } while (depth > 0);
    return *text == '\0';
}

/* attribute=value), and all that may stand around the =; NULL: it is none. */
static const char *
skip_item(const char *text)
{
    size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.;:");
    text += size;
    text += *text == '~' || *text == '<' || *text == '>' ? 1 : 0;
    if (size == 0 || *text++ != '=')
        return NULL;
    while (*text != ')') {
        if (*text == '\0' || *text == '(' || (*text == '\\' && unit_size(text) != 3))
            return NULL;
        text += unit_size(text);
    }
    return text + 1;
}

/* An escape \hh is one. */
static size_t
unit_size(const char *text)
{
    return text[0] == '\\' && g_ascii_isxdigit(text[1]) && g_ascii_isxdigit(text[2]) ? 3 : 1;
}

/* Not the X of a word ("posixXYZ"). */
static bool
is_place(const char *filter, const char *at, size_t before)
{
    bool joined = at > filter && before == 1 && g_ascii_isalnum(at[-1]);
    return *at == 'X' && !joined && !g_ascii_isalnum(at[1]);
}

static void
free_error(void *data)
{
    AuthLdapError *item = data;
    g_free(item->text);
    g_free(item);
}

/* Codes below 0 are those of the client library, as the original's file has them. */
static bool
read_error_line(GHashTable *errors, char *line)
{
    line[strcspn(line, ";\r")] = '\0';
    g_strstrip(line);
    if (*line == '\0')
        return true;
    bool negative = *line == '-';
    char *text = line + (negative ? 1 : 0);
    size_t digits = strspn(text, "0123456789");
    char end = text[digits];
    if (digits == 0 || digits > 5 || (end != '\0' && strchr(" \t,:=", end) == NULL))
        return false;
    int64_t code = g_ascii_strtoll(line, NULL, 10);
    if (ABS(code) > CODE_MAX)
        return false;
    text += digits;
    text += strspn(text, " \t,:=");
    bool retry =
        g_ascii_strncasecmp(text, "retry", 5) == 0 && (text[5] == '\0' || strchr(" \t,:", text[5]) != NULL);
    if (retry) {
        text += 5;
        text += strspn(text, " \t,:");
    }
    if (strlen(text) > TEXT_SIZE_MAX || !g_utf8_validate(text, -1, NULL))
        return false;
    /* One line may give the text, another say that it is to be tried again. */
    AuthLdapError *item = g_hash_table_lookup(errors, GINT_TO_POINTER((int)code));
    if (item == NULL) {
        item = g_new0(AuthLdapError, 1);
        g_hash_table_insert(errors, GINT_TO_POINTER((int)code), item);
    }
    item->retry |= retry;
    if (*text != '\0') {
        g_free(item->text);
        item->text = g_strdup(text);
    }
    return true;
}
