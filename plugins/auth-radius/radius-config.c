/* radius-config.c - see radius-config.h.
 *
 * The files are those of the radiusclient library: "radiusclient.conf" has lines of a key and a value
 * (authserver, radius_timeout, radius_retries, default_realm, servers), "servers" has a host and its
 * secret on a line.  What the options say goes before what the files say. */
#include "radius-config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "plugin/confserv-plugin.h"

enum {
    FILE_SIZE_MAX = 1024 * 1024,
    TIMEOUT_DEFAULT = 3,
    TIMEOUT_MAX = 60,
    RETRIES_DEFAULT = 2,
    RETRIES_MAX = 10,
    GROUPS_MAX = 1000,
    SECRET_MAX = 1024,
    REALM_MAX = 200, /* names must fit beside it */
};

static void clear_server(void *data);
static void clear_group(void *data);
static void wipe(char *text);
static bool read_file(const char *path, char **text, GError **error);
static bool fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static bool read_client_file(RadiusConfig *config, const RadiusSettings *settings, GHashTable *secrets,
                             GError **error);
static bool take_client_line(RadiusConfig *config, const char *key, char *value, bool servers_too,
                             GHashTable *secrets, GError **error);
static bool read_secrets(const char *path, GHashTable *secrets, GError **error);
static bool add_servers(RadiusConfig *config, const char *list, bool with_secret, GError **error);
static bool add_server(RadiusConfig *config, const char *text, bool with_secret, GError **error);
static bool read_number(const char *text, unsigned max, unsigned *number);
static bool give_secrets(RadiusConfig *config, const RadiusSettings *settings, GHashTable *secrets,
                         GError **error);
static bool read_groups(RadiusConfig *config, const char *text, GError **error);
static GBytes *read_value(const char *text);
static char **split_line(char *line);
static bool take_secret(GHashTable *secrets, const char *host, const char *secret);
static bool read_secret_file(const char *path, char **secret, GError **error);
static char *read_realm(const char *text);
static bool check_texts(const RadiusConfig *config, GError **error);

RadiusConfig *
radius_config_new(const RadiusSettings *settings, GError **error)
{
    g_autoptr(RadiusConfig) config = g_new0(RadiusConfig, 1);
    g_autoptr(GHashTable) secrets =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)wipe);
    config->servers = g_array_new(FALSE, TRUE, sizeof(RadiusServerConfig));
    g_array_set_clear_func(config->servers, clear_server);
    config->groups = g_array_new(FALSE, TRUE, sizeof(RadiusGroup));
    g_array_set_clear_func(config->groups, clear_group);
    config->sockets = (unsigned)settings->sockets;
    config->retries = RETRIES_DEFAULT;
    config->nas_identifier = g_strdup(settings->nas_identifier);
    config->realm = read_realm(settings->realm);
    config->must_be_signed = settings->must_be_signed;
    config->by_external_id = settings->match == 1;
    if (settings->servers != NULL && !add_servers(config, settings->servers, false, error)) {
        g_prefix_error(error, "option servers: ");
        return NULL;
    }
    if ((settings->client_file != NULL && !read_client_file(config, settings, secrets, error)) ||
        (settings->servers_file != NULL && !read_secrets(settings->servers_file, secrets, error)) ||
        !give_secrets(config, settings, secrets, error) || !read_groups(config, settings->group_map, error) ||
        !check_texts(config, error))
        return NULL;
    if (settings->timeout > 0)
        config->timeout_ms = (unsigned)settings->timeout * 1000;
    else if (config->timeout_ms == 0)
        config->timeout_ms = TIMEOUT_DEFAULT * 1000;
    if (settings->retries >= 0)
        config->retries = (unsigned)settings->retries;
    return g_steal_pointer(&config);
}

bool
radius_config_equal(const RadiusConfig *a, const RadiusConfig *b)
{
    bool equal = a->servers->len == b->servers->len && a->groups->len == b->groups->len &&
                 a->timeout_ms == b->timeout_ms && a->retries == b->retries && a->sockets == b->sockets &&
                 a->must_be_signed == b->must_be_signed && a->by_external_id == b->by_external_id &&
                 g_strcmp0(a->nas_identifier, b->nas_identifier) == 0 && g_strcmp0(a->realm, b->realm) == 0;
    for (unsigned i = 0; equal && i < a->servers->len; i++) {
        const RadiusServerConfig *one = &g_array_index(a->servers, RadiusServerConfig, i),
                                 *other = &g_array_index(b->servers, RadiusServerConfig, i);
        equal = one->port == other->port && strcmp(one->host, other->host) == 0 &&
                strcmp(one->secret, other->secret) == 0;
    }
    for (unsigned i = 0; equal && i < a->groups->len; i++) {
        const RadiusGroup *one = &g_array_index(a->groups, RadiusGroup, i),
                          *other = &g_array_index(b->groups, RadiusGroup, i);
        equal = g_bytes_equal(one->value, other->value) && strcmp(one->group, other->group) == 0;
    }
    return equal;
}

void
radius_config_free(RadiusConfig *config)
{
    if (config == NULL)
        return;
    g_array_unref(config->servers);
    g_array_unref(config->groups);
    g_free(config->nas_identifier);
    g_free(config->realm);
    g_free(config);
}

static void
clear_server(void *data)
{
    RadiusServerConfig *server = data;
    g_free(server->host);
    wipe(server->secret);
}

static void
clear_group(void *data)
{
    RadiusGroup *group = data;
    g_bytes_unref(group->value);
    g_free(group->group);
}

static void
wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    g_free(text);
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

static bool
read_file(const char *path, char **text, GError **error)
{
    struct stat status;
    g_autoptr(GError) why = NULL;
    size_t size = 0;
    /* A device or a pipe might never end. */
    if (stat(path, &status) != 0)
        return fail(error, "file %s cannot be read: %s", path, g_strerror(errno));
    if (!S_ISREG(status.st_mode) || status.st_size > FILE_SIZE_MAX)
        return fail(error, "file %s is no ordinary file of at most 1 MiB", path);
    if (!g_file_get_contents(path, text, &size, &why))
        return fail(error, "file %s cannot be read: %s", path, why->message);
    if (strlen(*text) == size && g_utf8_validate(*text, (gssize)size, NULL))
        return true;
    wipe(g_steal_pointer(text));
    return fail(error, "file %s is no text", path);
}

/* A key and the rest; NULL: nothing is said.  Of the line.  A comment begins a line, or stands behind
 * white space: a secret may hold the character. */
static char **
split_line(char *line)
{
    for (char *at = line; (at = strchr(at, '#')) != NULL; at++) {
        if (at == line || g_ascii_isspace(at[-1])) {
            *at = '\0';
            break;
        }
    }
    g_strstrip(line);
    if (*line == '\0')
        return NULL;
    char *rest = line + strcspn(line, " \t");
    if (*rest != '\0')
        *rest++ = '\0';
    char *const parts[] = {line, g_strstrip(rest), NULL};
    return g_memdup2(parts, sizeof parts);
}

static bool
read_client_file(RadiusConfig *config, const RadiusSettings *settings, GHashTable *secrets, GError **error)
{
    char *text = NULL;
    if (!read_file(settings->client_file, &text, error))
        return false;
    bool servers_too = settings->servers == NULL, good = true;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    wipe(text);
    for (unsigned i = 0; lines[i] != NULL && good; i++) {
        size_t size = strlen(lines[i]);
        g_autofree char **parts = split_line(lines[i]);
        if (parts != NULL && !take_client_line(config, parts[0], parts[1], servers_too, secrets, error)) {
            g_prefix_error(error, "file %s, line %u: ", settings->client_file, i + 1);
            good = false;
        }
        explicit_bzero(lines[i], size);
    }
    return good;
}

/* Keys of the library that have no meaning here (dictionary, login_radius, acctserver...) are passed over. */
static bool
take_client_line(RadiusConfig *config, const char *key, char *value, bool servers_too, GHashTable *secrets,
                 GError **error)
{
    unsigned number = 0;
    if (strcmp(key, "authserver") == 0)
        return !servers_too || add_servers(config, value, true, error);
    if (strcmp(key, "servers") == 0)
        return read_secrets(value, secrets, error);
    if (strcmp(key, "radius_timeout") == 0) {
        if (!read_number(value, TIMEOUT_MAX, &number) || number == 0)
            return fail(error, "radius_timeout must be a number of seconds from 1 to %d", TIMEOUT_MAX);
        config->timeout_ms = number * 1000;
    } else if (strcmp(key, "radius_retries") == 0) {
        if (!read_number(value, RETRIES_MAX, &config->retries))
            return fail(error, "radius_retries must be a number from 0 to %d", RETRIES_MAX);
    } else if (strcmp(key, "default_realm") == 0 && config->realm == NULL && *value != '\0') {
        config->realm = read_realm(value);
    } else if ((strcmp(key, "nas-identifier") == 0 || strcmp(key, "nas_identifier") == 0) &&
               config->nas_identifier == NULL && *value != '\0') {
        config->nas_identifier = g_strdup(value);
    }
    return true;
}

static bool
read_secrets(const char *path, GHashTable *secrets, GError **error)
{
    char *text = NULL;
    if (!read_file(path, &text, error))
        return false;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    wipe(text);
    bool good = true;
    for (unsigned i = 0; lines[i] != NULL; i++) {
        size_t size = strlen(lines[i]);
        g_autofree char **parts = split_line(lines[i]);
        if (parts != NULL && good && !take_secret(secrets, parts[0], parts[1]))
            good =
                fail(error, "file %s, line %u: a host and its secret (one word) are expected", path, i + 1);
        explicit_bzero(lines[i], size);
    }
    return good;
}

/* The original knows pairs as well, "client/server": the secret between the two, whichever of them this
 * is. */
static bool
take_secret(GHashTable *secrets, const char *host, const char *secret)
{
    if (*secret == '\0' || strcspn(secret, " \t") != strlen(secret))
        return false;
    g_auto(GStrv) hosts = g_strsplit(host, "/", 2);
    for (unsigned i = 0; hosts[i] != NULL; i++) {
        if (*hosts[i] != '\0' && !g_hash_table_contains(secrets, hosts[i]))
            g_hash_table_insert(secrets, g_strdup(hosts[i]), g_strdup(secret));
    }
    return true;
}

/* Of one line; blanks are part of it. */
static bool
read_secret_file(const char *path, char **secret, GError **error)
{
    if (!read_file(path, secret, error))
        return false;
    size_t size = strlen(*secret);
    while (size > 0 && ((*secret)[size - 1] == '\n' || (*secret)[size - 1] == '\r'))
        (*secret)[--size] = '\0';
    if (strchr(*secret, '\n') == NULL)
        return true;
    wipe(g_steal_pointer(secret));
    return fail(error, "file %s holds more than one line: a secret is one", path);
}

/* The library parts them by blanks as well, in the file. */
static bool
add_servers(RadiusConfig *config, const char *list, bool with_secret, GError **error)
{
    g_auto(GStrv) parts = g_strsplit_set(list, with_secret ? ", \t" : ",", -1);
    bool good = true;
    for (unsigned i = 0; parts[i] != NULL; i++) {
        size_t size = strlen(parts[i]);
        if (good && !(with_secret && size == 0))
            good = add_server(config, g_strstrip(parts[i]), with_secret, error);
        if (with_secret)
            explicit_bzero(parts[i], size);
    }
    return good;
}

/* "host", "host:1812", "[::1]:1812"; in the file also "host:1812:secret". */
static bool
add_server(RadiusConfig *config, const char *text, bool with_secret, GError **error)
{
    RadiusServerConfig server = {.port = RADIUS_PORT};
    const char *host = text, *rest;
    size_t size;
    if (*text == '[') {
        host++;
        size = strcspn(host, "]");
        rest = host[size] == ']' ? host + size + 1 : NULL;
    } else {
        size = strcspn(host, ":");
        rest = host + size;
    }
    if (rest == NULL || size == 0 || (*rest != '\0' && *rest != ':') || strcspn(text, " \t") != strlen(text))
        return with_secret
                   ? fail(error, "a server is no host, host:port or [address]:port, with :secret or not")
                   : fail(error, "\"%s\" is no host, host:port or [address]:port", text);
    if (*rest == ':') {
        size_t port_size = strcspn(++rest, ":");
        g_autofree char *port_text = g_strndup(rest, port_size);
        unsigned port = 0;
        rest += port_size;
        if (!read_number(port_text, 65535, &port) || port == 0 || (*rest == ':' && !with_secret))
            return fail(error, "a server's port is no number from 1 to 65535");
        server.port = (uint16_t)port;
        if (*rest == ':' && rest[1] != '\0')
            server.secret = g_strdup(rest + 1);
    }
    if (config->servers->len >= RADIUS_SERVERS_MAX) {
        wipe(server.secret);
        return fail(error, "more than %d servers", RADIUS_SERVERS_MAX);
    }
    server.host = g_strndup(host, size);
    g_array_append_val(config->servers, server);
    return true;
}

static bool
read_number(const char *text, unsigned max, unsigned *number)
{
    guint64 value = 0;
    if (!g_ascii_string_to_unsigned(text, 10, 0, max, &value, NULL))
        return false;
    *number = (unsigned)value;
    return true;
}

/* Its own, that of its name or name and port in the file of secrets, that of the options. */
static bool
give_secrets(RadiusConfig *config, const RadiusSettings *settings, GHashTable *secrets, GError **error)
{
    char *common = g_strdup(settings->secret);
    if (common == NULL && settings->secret_file != NULL) {
        if (!read_secret_file(settings->secret_file, &common, error))
            return false;
    }
    bool good = true;
    for (unsigned i = 0; i < config->servers->len && good; i++) {
        RadiusServerConfig *server = &g_array_index(config->servers, RadiusServerConfig, i);
        g_autofree char *with_port = g_strdup_printf("%s:%u", server->host, server->port);
        if (server->secret == NULL)
            server->secret = g_strdup(g_hash_table_lookup(secrets, with_port));
        if (server->secret == NULL)
            server->secret = g_strdup(g_hash_table_lookup(secrets, server->host));
        if (server->secret == NULL)
            server->secret = g_strdup(common);
        if (server->secret == NULL || *server->secret == '\0' || strlen(server->secret) > SECRET_MAX)
            good = fail(error, "server %s has no secret: secret, secret-file or a line of the file servers",
                        with_port);
    }
    wipe(common);
    return good;
}

/* "admins:ops, 0x61646d:other": a value of Class or Filter-Id, a colon, the name of an access group. */
static bool
read_groups(RadiusConfig *config, const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text != NULL ? text : "", ",", -1);
    for (unsigned i = 0; parts[i] != NULL; i++) {
        char *value = g_strstrip(parts[i]), *colon = strrchr(value, ':');
        if (*value == '\0')
            continue;
        RadiusGroup group = {0};
        if (colon != NULL) {
            *colon = '\0';
            group.value = read_value(g_strchomp(value));
        }
        if (group.value == NULL || *g_strchug(colon + 1) == '\0' || config->groups->len >= GROUPS_MAX) {
            if (group.value != NULL)
                g_bytes_unref(group.value);
            return fail(error, "option group-map: \"%s\" is no VALUE:GROUP, or there are more than %d", value,
                        GROUPS_MAX);
        }
        group.group = g_strdup(g_strchug(colon + 1));
        g_array_append_val(config->groups, group);
    }
    return true;
}

/* Text, or bytes as 0x and hexadecimal digits; NULL: empty, or longer than an attribute. */
static GBytes *
read_value(const char *text)
{
    size_t size = strlen(text);
    if (size == 0)
        return NULL;
    if (!g_str_has_prefix(text, "0x"))
        return size <= RADIUS_VALUE_MAX ? g_bytes_new(text, size) : NULL;
    if (size == 2 || size % 2 != 0 || size / 2 - 1 > RADIUS_VALUE_MAX ||
        strspn(text + 2, "0123456789abcdefABCDEF") != size - 2)
        return NULL;
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    for (size_t i = 2; i < size; i += 2) {
        uint8_t byte = (uint8_t)(g_ascii_xdigit_value(text[i]) << 4 | g_ascii_xdigit_value(text[i + 1]));
        g_byte_array_append(bytes, &byte, 1);
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
}

/* Some write it as it will stand behind the name. */
static char *
read_realm(const char *text)
{
    return g_strdup(text != NULL && *text == '@' ? text + 1 : text);
}

/* Too long for its attribute: nobody could log in. */
static bool
check_texts(const RadiusConfig *config, GError **error)
{
    if (config->nas_identifier != NULL && strlen(config->nas_identifier) > RADIUS_VALUE_MAX)
        return fail(error, "nas-identifier is longer than %d bytes", RADIUS_VALUE_MAX);
    if (config->realm != NULL && strlen(config->realm) > REALM_MAX)
        return fail(error, "the realm is longer than %d bytes", REALM_MAX);
    return true;
}
