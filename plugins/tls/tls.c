/* tls.c - TLS on ports and on the link to the master.  Read this file first: options, hooks, life. */
#include <stdlib.h>
#include <string.h>

#include "tls-private.h"

enum { NAME_CHECK_HOST }; /* index in the choice of tls-target-name-check */

static const ConfOption OPTIONS[] = {
    CONF_OPTION_STRING(
        TlsSettings, certificate, NULL, "certificate", NULL, NULL, CONF_ON_CONNECT,
        "The own certificate: a PEM file, or a comma list. A certificate whose key is in "
        "certificate-key begins a chain, the others go on with it; of several chains a client gets "
        "that of the name it asks for, else the first."),
    CONF_OPTION_STRING(TlsSettings, certificate_key, NULL, "certificate-key", NULL, NULL, CONF_ON_CONNECT,
                       "The key of the certificate: a PEM file without a password, or a comma list."),
    CONF_OPTION_STRING(
        TlsSettings, trusted_ca, NULL, "trusted-ca", NULL, NULL, CONF_ON_CONNECT,
        "Authorities that certificates of the other side are believed by: a PEM file, or a comma "
        "list; the word system means those of the operating system."),
    CONF_OPTION_STRING(
        TlsSettings, crl, NULL, "tls-crl", NULL, NULL, CONF_ON_CONNECT,
        "Lists of revoked certificates: a PEM file, or a comma list. Once a list is out of date, no "
        "certificate of its authority is believed."),
    CONF_OPTION_BOOL(
        TlsSettings, mutual, NULL, "tls-mutual", "false", NULL, CONF_ON_CONNECT,
        "Clients of secured ports must show a certificate. A port object may ask for it by itself."),
    CONF_OPTION_CHOICE(TlsSettings, name_check, NULL, "tls-target-name-check", "host", "host|no",
                       CONF_ON_CONNECT,
                       "Whether the certificate of the master must be for the host name that is dialled."),
    CONF_OPTION_STRING(TlsSettings, protocol, NULL, "sec-protocol", NULL, NULL, CONF_ON_CONNECT,
                       "TLSv12 or TLSv13: that version only. Unset, or SSLv23: 1.2 or later."),
    CONF_OPTION_STRING(TlsSettings, ciphers, NULL, "cipher-list", NULL, NULL, CONF_ON_CONNECT,
                       "Ciphers, as a list of OpenSSL or a priority string of GnuTLS. Unset: those that "
                       "authenticate, with forward secrecy, AES-128-GCM first."),
    CONF_OPTION_BOOL(TlsSettings, tls, NULL, "tls", "false", NULL, CONF_ON_CONNECT,
                     "The link to the master is secured, or there is none. Ports are not meant."),
    CONF_OPTION_INT(TlsSettings, handshake_timeout_ms, NULL, "handshake-timeout", "8 s", "100..9000 ms",
                    CONF_ON_CONNECT, "How long a handshake may take."),
    CONF_OPTION_INT(TlsSettings, handshakes_max, NULL, "max-handshakes", "5000", "10..100000", CONF_AT_ONCE,
                    "How many handshakes may be under way. Above it the oldest is closed."),
    CONF_OPTION_INT(
        TlsSettings, ticket_lifetime_s, NULL, "ticket-lifetime", "2 h", "0..604800 s", CONF_ON_CONNECT,
        "How long a client may take up its last session by a ticket, which saves most of a handshake. "
        "0: no tickets. Their keys change with the files, and after four lifetimes."),
    CONF_OPTION_END,
};

static bool check(const void *settings, GError **error);
static void *load(ConfPlugin *p, const void *settings, GError **error);
static void note_own(Tls *self);
static void changed(void *data, const void *settings);
static void unload(void *data);
static void add_statistics(Tls *self);
static ConfVerdict transport(void *data, ConfConnection *c, GError **error);
static ConfVerdict secure_port(Tls *self, ConfConnection *c, GError **error);
static ConfVerdict secure_link(Tls *self, ConfConnection *c, GError **error);
static bool check_parameters(const TlsParameters *parameters, GError **error);
static void look_up(ConfConnection *c, TlsParameters *parameters, char *kept[6]);
static bool is_wanted(Tls *self, ConfConnection *c);
static bool is_target_secured(Tls *self, ConfConnection *c);
static bool truth(const char *text);
static TlsParameters own_parameters(const TlsSettings *settings, bool is_server);
static ConfVerdict refuse_setup(Tls *self, ConfConnection *c, GError *why, GError **error);

/* Bad files end the start, and at a reload leave everything as it was. */
static bool
check(const void *data, GError **error)
{
    const TlsSettings *settings = data;
    TlsParameters server = own_parameters(settings, true), client = own_parameters(settings, false);
    g_autoptr(TlsContext) context = tls_context_new(&client, error);
    if (context == NULL || (settings->tls && !check_parameters(&client, error)))
        return false;
    g_autofree char *priority = tls_priority_string(server.protocol, server.ciphers, true, error);
    return priority != NULL;
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks HOOKS = {.size = sizeof HOOKS, .transport = transport};
    /* Late: a plugin of the site may map persons' certificates before. */
    static const ConfHooks LATE_HOOKS = {.size = sizeof LATE_HOOKS, .login = tls_login};
    (void)error;
    Tls *self = g_new0(Tls, 1);
    self->plugin = p;
    self->settings = settings;
    self->contexts = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)tls_context_unref);
    tls_handshake_init(self);
    tls_expiry_init(self);
    conf_plugin_hook(p, CONF_NORMAL, &HOOKS);
    conf_plugin_hook(p, CONF_LATE, &LATE_HOOKS);
    add_statistics(self);
    note_own(self);
    return self;
}

/* The files of the options are needed soon, and their dates are told from the start.  check() has read them
 * a moment ago. */
static void
note_own(Tls *self)
{
    g_autoptr(GError) error = NULL;
    TlsParameters parameters = own_parameters(self->settings, true);
    if (parameters.certificate != NULL && tls_context_get(self, &parameters, &error) == NULL)
        conf_plugin_log(self->plugin, 0, "The files of the options cannot be used", "why", error->message,
                        NULL);
}

static void
changed(void *data, const void *settings)
{
    Tls *self = data;
    for (unsigned i = 0; i < 2; i++) {
        TlsParameters before = own_parameters(self->settings, i == 0), now = own_parameters(settings, i == 0);
        tls_contexts_forget(self, &before, &now);
    }
    self->settings = settings;
    tls_contexts_renew(self);
    note_own(self);
}

static void
unload(void *data)
{
    Tls *self = data;
    g_hash_table_unref(self->contexts);
    tls_expiry_free(self);
    g_free(self);
}

static void
add_statistics(Tls *self)
{
    static const char *const failures[TLS_FAILED_COUNT] = {
        [TLS_FAILED_NOT_TLS] = "failedNotTls",
        [TLS_FAILED_AGREEMENT] = "failedAgreement",
        [TLS_FAILED_NO_CERTIFICATE] = "failedNoCertificate",
        [TLS_FAILED_UNTRUSTED] = "failedUntrusted",
        [TLS_FAILED_EXPIRED] = "failedExpired",
        [TLS_FAILED_REVOKED] = "failedRevoked",
        [TLS_FAILED_LIST_OUTDATED] = "failedListOutdated",
        [TLS_FAILED_NAME] = "failedName",
        [TLS_FAILED_REFUSED] = "failedRefused",
        [TLS_FAILED_TIMEOUT] = "failedTimeout",
        [TLS_FAILED_CLOSED] = "failedClosed",
        [TLS_FAILED_LIMIT] = "failedLimit",
        [TLS_FAILED_PROTOCOL] = "failedProtocol",
        [TLS_FAILED_SETUP] = "failedSetup",
    };
    TlsStatistics *statistics = &self->statistics;
    const struct {
        const char *name;
        const uint64_t *value;
    } others[] = {
        {"handshakes", &statistics->handshakes},
        {"handshakesResumed", &statistics->resumed},
        {"handshakesFailed", &statistics->failed},
        {"halfOpen", &statistics->half_open},
        {"handshakesWaiting", &statistics->waiting},
        {"detectedPlain", &statistics->plain},
        {"streamsBroken", &statistics->broken},
        {"streamsCut", &statistics->cut},
        {"reloads", &statistics->reloads},
        {"reloadsFailed", &statistics->bad_reloads},
        {"daysLeft", &self->days_left},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(others); i++)
        conf_plugin_statistic(self->plugin, others[i].name, others[i].value);
    for (unsigned i = 0; i < TLS_FAILED_COUNT; i++)
        conf_plugin_statistic(self->plugin, failures[i], &statistics->failed_by[i]);
}

static ConfVerdict
transport(void *data, ConfConnection *c, GError **error)
{
    return conf_connection_is_outgoing(c) ? secure_link(data, c, error) : secure_port(data, c, error);
}

static ConfVerdict
secure_port(Tls *self, ConfConnection *c, GError **error)
{
    const char *listening = conf_connection_get_option(c, "port", "listening");
    if (listening == NULL || strcmp(listening, "unsecured") == 0)
        return CONF_NEXT;
    bool detect = strcmp(listening, "auto-detect") == 0;
    char *kept[6];
    TlsParameters parameters = {.is_server = true};
    parameters.mutual = truth(conf_connection_get_option(c, "port", "mutual")) ||
                        truth(conf_connection_get_option(c, "tls", "tls-mutual"));
    look_up(c, &parameters, kept);
    g_autoptr(GError) why = NULL;
    TlsContext *context =
        check_parameters(&parameters, &why) ? tls_context_get(self, &parameters, &why) : NULL;
    if (context != NULL)
        tls_filter_push(self, c, context, detect, false);
    for (unsigned i = 0; i < G_N_ELEMENTS(kept); i++)
        g_free(kept[i]);
    return context != NULL ? CONF_DONE : refuse_setup(self, c, why, error);
}

/* What is to be secured is secured, or not made at all. */
static ConfVerdict
secure_link(Tls *self, ConfConnection *c, GError **error)
{
    if (!is_wanted(self, c))
        return CONF_NEXT;
    char *kept[6];
    TlsParameters parameters = {0};
    look_up(c, &parameters, kept);
    const char *check_text = conf_connection_get_option(c, "tls", "tls-target-name-check");
    bool check_name = check_text == NULL || *check_text == '\0'
                          ? self->settings->name_check == NAME_CHECK_HOST
                          : g_ascii_strcasecmp(check_text, "no") != 0;
    g_autoptr(GError) why = NULL;
    TlsContext *context =
        check_parameters(&parameters, &why) ? tls_context_get(self, &parameters, &why) : NULL;
    if (context != NULL)
        tls_filter_push(self, c, context, false, check_name);
    for (unsigned i = 0; i < G_N_ELEMENTS(kept); i++)
        g_free(kept[i]);
    return context != NULL ? CONF_DONE : refuse_setup(self, c, why, error);
}

static bool
check_parameters(const TlsParameters *parameters, GError **error)
{
    const char *missing = NULL;
    if (parameters->is_server && (parameters->certificate == NULL || parameters->certificate_key == NULL))
        missing = "A secured port needs options certificate and certificate-key";
    else if (parameters->is_server && parameters->mutual && parameters->trusted_ca == NULL)
        missing = "Option tls-mutual needs option trusted-ca";
    else if (!parameters->is_server && parameters->trusted_ca == NULL)
        missing = "The link to the master needs option trusted-ca to believe its certificate";
    if (missing != NULL)
        g_set_error_literal(error, CONF_ERROR, CONF_ERROR_INVALID, missing);
    return missing == NULL;
}

/* The texts are copies: what the look-up lends may be gone with the next one. */
static void
look_up(ConfConnection *c, TlsParameters *parameters, char *kept[6])
{
    static const char *const keys[6] = {"certificate", "certificate-key", "trusted-ca",
                                        "tls-crl",     "sec-protocol",    "cipher-list"};
    const char **const members[6] = {&parameters->certificate, &parameters->certificate_key,
                                     &parameters->trusted_ca,  &parameters->crl,
                                     &parameters->protocol,    &parameters->ciphers};
    for (unsigned i = 0; i < 6; i++) {
        const char *value = conf_connection_get_option(c, "tls", keys[i]);
        kept[i] = value != NULL && *value != '\0' ? g_strdup(value) : NULL;
        *members[i] = kept[i];
    }
}

/* Option tls in the look-up order; where it is nowhere, the port of the master that is dialled. */
static bool
is_wanted(Tls *self, ConfConnection *c)
{
    const char *tls = conf_connection_get_option(c, "tls", "tls");
    return tls != NULL ? truth(tls) : is_target_secured(self, c);
}

static bool
is_target_secured(Tls *self, ConfConnection *c)
{
    const char *server = conf_connection_get_option(c, "connection", "server");
    int64_t dbid = server != NULL ? g_ascii_strtoll(server, NULL, 10) : 0;
    const ConfObject *master = dbid != 0 ? conf_plugin_lookup(self->plugin, "application", dbid) : NULL;
    const char *colon = strrchr(conf_connection_get_peer(c), ':');
    if (master == NULL || colon == NULL)
        return false;
    size_t size;
    const ConfJson *body = conf_value_parse(conf_object_get_json(master, &size), NULL);
    const ConfJson *ports = body != NULL ? conf_value_member(body, "ports") : NULL;
    for (const ConfJson *port = ports != NULL ? conf_value_item(ports, 0) : NULL; port != NULL;
         port = conf_value_next(port)) {
        int64_t number = 0;
        if (conf_value_integer(conf_value_member(port, "port"), &number) &&
            number == g_ascii_strtoll(colon + 1, NULL, 10))
            return g_strcmp0(conf_value_string(conf_value_member(port, "listening")), "secured") == 0;
    }
    return false;
}

static bool
truth(const char *text)
{
    static const char *const words[] = {"1", "true", "yes", "on", NULL};
    for (unsigned i = 0; text != NULL && words[i] != NULL; i++) {
        if (g_ascii_strcasecmp(text, words[i]) == 0)
            return true;
    }
    return false;
}

static TlsParameters
own_parameters(const TlsSettings *settings, bool is_server)
{
    return (TlsParameters){
        .is_server = is_server,
        .mutual = is_server && settings->mutual,
        .certificate = settings->certificate,
        .certificate_key = settings->certificate_key,
        .trusted_ca = settings->trusted_ca,
        .crl = settings->crl,
        .protocol = settings->protocol,
        .ciphers = settings->ciphers,
    };
}

static ConfVerdict
refuse_setup(Tls *self, ConfConnection *c, GError *why, GError **error)
{
    self->statistics.failed++;
    self->statistics.failed_by[TLS_FAILED_SETUP]++;
    conf_plugin_log(self->plugin, 0, "A connection cannot be secured", "peer", conf_connection_get_peer(c),
                    "port", conf_connection_get_port_id(c), "why", why->message, NULL);
    g_set_error(error, CONF_ERROR, CONF_ERROR_INVALID, "TLS: %s", why->message);
    return CONF_REFUSE;
}

CONF_PLUGIN(.name = "tls", .version = CONF_TLS_PLUGIN_VERSION,
            .summary = "TLS on ports and on the link to the master", .options = OPTIONS,
            .settings_size = sizeof(TlsSettings), .check = check, .load = load, .changed = changed,
            .unload = unload);
