/* auth-radius.c - people log in with the passwords that RADIUS servers know: options, the course of a log-in.
 * Read this first.
 *
 * Whose log-ins these are the server decides by [authentication] (gauth_radius in option library).  No is
 * no here, and silence is "unavailable", which is no failed attempt.  Rights stay internal; Class and
 * Filter-Id may add access groups to the session. */
#include <string.h>

#include "radius-client.h"

enum {
    LIMIT_EXTRA_MS = 2000,
    ROUNDS_MAX = 10,
};

#define S RadiusSettings
#define RADIUS "gauth_radius"
static const ConfOption OPTIONS[] = {
    CONF_OPTION_STRING(
        S, servers, RADIUS, "servers", NULL, NULL, CONF_AT_ONCE,
        "RADIUS servers, a comma list of host:port in the order in which they are asked. The port is "
        "1812 where none is given. The one that answered stays the first."),
    CONF_OPTION_SECRET(S, secret, RADIUS, "secret", NULL, NULL, CONF_AT_ONCE,
                       "Secret shared with the servers."),
    CONF_OPTION_STRING(S, secret_file, RADIUS, "secret-file", NULL, NULL, CONF_AT_ONCE,
                       "File that holds the secret instead."),
    CONF_OPTION_INT(
        S, timeout, RADIUS, "timeout", "3 s", "1..60 s", CONF_AT_ONCE,
        "Wait for an answer before the question is sent again. Where it is not set, radius_timeout of "
        "the file counts."),
    CONF_OPTION_INT(
        S, retries, RADIUS, "retries", "2", "0..10", CONF_AT_ONCE,
        "How often a question is sent again before the next server is asked. Where it is not set, "
        "radius_retries of the file counts."),
    CONF_OPTION_STRING(
        S, nas_identifier, RADIUS, "nas-identifier", NULL, NULL, CONF_AT_ONCE,
        "NAS-Identifier of the questions. The name of the server's application where it is not set."),
    CONF_OPTION_STRING(S, realm, RADIUS, "realm", NULL, NULL, CONF_AT_ONCE,
                       "Realm, put after user names that have none: user@realm."),
    CONF_OPTION_CHOICE(
        S, match, RADIUS, "match", "user-name", RADIUS_MATCHES, CONF_AT_ONCE,
        "By what the servers know a person: the user name, or the externalId of the person object."),
    CONF_OPTION_BOOL(
        S, must_be_signed, RADIUS, "require-message-authenticator", "true", NULL, CONF_AT_ONCE,
        "Answers without Message-Authenticator do not count. Without it whoever can read and change "
        "packets on the way can let anybody in (CVE-2024-3596)."),
    CONF_OPTION_STRING(
        S, group_map, RADIUS, "group-map", NULL, NULL, CONF_AT_ONCE,
        "Access groups for the session, a comma list of VALUE:GROUP. VALUE is a Class or Filter-Id of "
        "the answer, as text or as 0x and hexadecimal digits."),
    CONF_OPTION_INT(
        S, sockets, RADIUS, "max-sockets", "8", "1..64", CONF_AT_ONCE,
        "Sockets a server at most. Each holds 256 questions; log-ins beyond go to the next server, and are "
        "answered unavailable after the last."),
    CONF_OPTION_STRING(S, client_file, RADIUS, "radiusclient-file", NULL, NULL, CONF_AT_ONCE,
                       "A radiusclient.conf to be read: authserver, servers, radius_timeout, radius_retries, "
                       "default_realm. Options go before it."),
    CONF_OPTION_STRING(S, servers_file, RADIUS, "servers-file", NULL, NULL, CONF_AT_ONCE,
                       "A file servers to be read: a host and its secret on each line."),
    CONF_OPTION_END,
};

typedef struct {
    ConfPlugin *plugin;
    RadiusClient *client;
    uint64_t accepted, rejected, challenged;
} AuthRadius;

/* A log-in that waits for its answer. */
typedef struct {
    AuthRadius *self;
    ConfLogin *login; /* NULL: gone */
    ConfLater *later;
    RadiusExchange *exchange;
    unsigned round;
} Attempt;

static ConfVerdict refuse(GError **error, int code, const char *message);
static ConfVerdict ask(AuthRadius *self, ConfLogin *l, unsigned round, int only, GBytes *state,
                       GError **error);
static char *name_of(const AuthRadius *self, const ConfLogin *l);
static const char *external_id_of(const ConfObject *person);
static void gone(void *data);
static void answered(const RadiusAnswer *answer, const RadiusServerConfig *server, const char *why,
                     void *data);
static void challenge(Attempt *attempt, const RadiusAnswer *answer, const RadiusServerConfig *server);
static int read_state(const AuthRadius *self, GBytes *bytes, unsigned *round, GBytes **state);
static char *name_of_server(const RadiusServerConfig *server);
static void add_groups(const AuthRadius *self, ConfLogin *login, const RadiusAnswer *answer);
static RadiusConfig *read_config(ConfPlugin *p, const RadiusSettings *settings, GError **error);

static ConfVerdict
login(void *data, ConfLogin *l, GError **error)
{
    AuthRadius *self = data;
    GBytes *kept = conf_login_get_state(l);
    unsigned round = 0;
    if (kept == NULL)
        return ask(self, l, round, -1, NULL, error);
    g_autoptr(GBytes) state = NULL;
    int server = read_state(self, kept, &round, &state);
    if (server < 0)
        return refuse(error, CONF_ERROR_UNAVAILABLE,
                      "The RADIUS server of the challenge is not asked any more");
    return ask(self, l, round, server, state, error);
}

static bool
check(const void *data, GError **error)
{
    g_autoptr(RadiusConfig) config = radius_config_new(data, error);
    return config != NULL;
}

static void *
load(ConfPlugin *p, const void *settings, GError **error)
{
    static const ConfHooks HOOKS = {.size = sizeof(HOOKS), .login = login};

    if (!radius_is_possible()) {
        g_set_error_literal(error, CONF_ERROR, CONF_ERROR_FAILED,
                            "RADIUS needs MD5, which GnuTLS refuses (FIPS mode)");
        return NULL;
    }
    RadiusConfig *config =
        conf_plugin_authenticates(p, RADIUS, error) ? read_config(p, settings, error) : NULL;
    if (config == NULL)
        return NULL;
    AuthRadius *self = g_new0(AuthRadius, 1);
    self->plugin = p;
    self->client = radius_client_new(p, config);
    conf_plugin_hook(p, CONF_NORMAL, &HOOKS);
    const RadiusStatistics *statistics = radius_client_get_statistics(self->client);
    conf_plugin_statistic(p, "accepted", &self->accepted);
    conf_plugin_statistic(p, "rejected", &self->rejected);
    conf_plugin_statistic(p, "challenged", &self->challenged);
    conf_plugin_statistic(p, "questions", &statistics->questions);
    conf_plugin_statistic(p, "resent", &statistics->resent);
    conf_plugin_statistic(p, "ignored", &statistics->ignored);
    conf_plugin_statistic(p, "unsigned", &statistics->unsigned_);
    conf_plugin_statistic(p, "failovers", &statistics->failovers);
    conf_plugin_statistic(p, "unanswered", &statistics->unanswered);
    conf_plugin_statistic(p, "waiting", &statistics->waiting);
    conf_plugin_statistic(p, "sockets", &statistics->sockets);
    return self;
}

/* check() has read the files already; one that vanished since leaves what was in force. */
static void
changed(void *data, const void *settings)
{
    AuthRadius *self = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(RadiusConfig) config = read_config(self->plugin, settings, &error);
    if (config == NULL)
        conf_plugin_log(self->plugin, 0, "The RADIUS servers stay as they were", "reason", error->message,
                        NULL);
    else if (!radius_config_equal(config, radius_client_get_config(self->client)))
        radius_client_configure(self->client, g_steal_pointer(&config));
}

/* A server that is silent would hold up the end. */
static void
stop(void *data)
{
    radius_client_stop(((AuthRadius *)data)->client);
}

static void
unload(void *data)
{
    AuthRadius *self = data;
    radius_client_free(self->client);
    g_free(self);
}

RadiusClient *
radius_client_of(void *self)
{
    return ((AuthRadius *)self)->client;
}

static ConfVerdict
refuse(GError **error, int code, const char *message)
{
    g_set_error_literal(error, CONF_ERROR, code, message);
    return CONF_REFUSE;
}

static ConfVerdict
ask(AuthRadius *self, ConfLogin *l, unsigned round, int only, GBytes *state, GError **error)
{
    const RadiusConfig *config = radius_client_get_config(self->client);
    const char *password = only < 0 ? conf_login_get_password(l) : conf_login_get_response(l);
    /* It never reaches a server: some take it for "no password needed". */
    if (password == NULL || *password == '\0')
        return refuse(error, CONF_ERROR_DENIED, "An empty password");
    ConfConnection *c = conf_login_get_connection(l);
    g_autofree char *user = name_of(self, l);
    const RadiusQuestion question = {
        .user = user,
        .password = password,
        .nas_identifier = config->nas_identifier != NULL ? config->nas_identifier
                                                         : conf_plugin_get_application(self->plugin),
        .calling_station = c != NULL ? conf_connection_get_peer_address(c) : NULL,
        .state = state,
    };
    Attempt *attempt = g_new0(Attempt, 1);
    attempt->self = self;
    attempt->login = l;
    attempt->round = round;
    attempt->exchange = radius_client_ask(self->client, &question, only, answered, attempt);
    if (attempt->exchange == NULL) {
        g_free(attempt);
        return refuse(error, CONF_ERROR_DENIED, "The name or the password is longer than RADIUS takes");
    }
    unsigned limit = radius_client_get_limit_ms(self->client) + LIMIT_EXTRA_MS;
    attempt->later = conf_login_later(l, limit, gone, attempt);
    return CONF_LATER;
}

static char *
name_of(const AuthRadius *self, const ConfLogin *l)
{
    const RadiusConfig *config = radius_client_get_config(self->client);
    const ConfObject *person = conf_login_get_person(l);
    const char *id = config->by_external_id && person != NULL ? external_id_of(person) : NULL;
    /* As it is stored: what the client wrote may differ in its form. */
    const char *name = id != NULL       ? id
                       : person != NULL ? conf_object_get_name(person)
                                        : conf_login_get_user(l);
    if (config->realm == NULL || *config->realm == '\0' || strchr(name, '@') != NULL)
        return g_strdup(name);
    return g_strconcat(name, "@", config->realm, NULL);
}

/* NULL: empty. */
static const char *
external_id_of(const ConfObject *person)
{
    const ConfJson *body = conf_value_parse(conf_object_get_json(person, NULL), NULL);
    const char *id = conf_value_string(conf_value_member(body, "externalId"));
    return id != NULL && *id != '\0' ? id : NULL;
}

static void
gone(void *data)
{
    Attempt *attempt = data;
    attempt->login = NULL;
    radius_exchange_cancel(attempt->exchange);
    conf_later_finish(attempt->later, CONF_REFUSE, NULL);
    g_free(attempt);
}

static void
answered(const RadiusAnswer *answer, const RadiusServerConfig *server, const char *why, void *data)
{
    g_autofree Attempt *attempt = data;
    AuthRadius *self = attempt->self;
    if (answer == NULL) {
        conf_plugin_log(self->plugin, 1, "A log-in could not be checked", "reason", why, "user",
                        conf_login_get_user(attempt->login), NULL);
        conf_later_finish(attempt->later, CONF_REFUSE,
                          g_error_new_literal(CONF_ERROR, CONF_ERROR_UNAVAILABLE, why));
        return;
    }
    if (answer->message != NULL)
        conf_login_set_text(attempt->login, answer->message);
    switch (answer->code) {
    case RADIUS_ACCEPT:
        self->accepted++;
        add_groups(self, attempt->login, answer);
        conf_later_finish(attempt->later, CONF_DONE, NULL);
        return;
    case RADIUS_CHALLENGE:
        self->challenged++;
        challenge(attempt, answer, server);
        return;
    case RADIUS_REJECT:
        break;
    }
    self->rejected++;
    conf_later_finish(attempt->later, CONF_REFUSE,
                      g_error_new_literal(CONF_ERROR, CONF_ERROR_DENIED, "Refused by RADIUS"));
}

/* What the server will want back: its own name, the round, and its State. */
static void
challenge(Attempt *attempt, const RadiusAnswer *answer, const RadiusServerConfig *server)
{
    if (attempt->round >= ROUNDS_MAX) {
        conf_later_finish(
            attempt->later, CONF_REFUSE,
            g_error_new_literal(CONF_ERROR, CONF_ERROR_DENIED, "RADIUS asks for more without end"));
        return;
    }
    g_autofree char *name = name_of_server(server);
    uint8_t round = (uint8_t)(attempt->round + 1);
    size_t size = 0;
    const void *state = answer->state != NULL ? g_bytes_get_data(answer->state, &size) : NULL;
    g_autoptr(GByteArray) kept = g_byte_array_new();
    g_byte_array_append(kept, &round, 1);
    g_byte_array_append(kept, (const uint8_t *)name, (guint)strlen(name) + 1);
    if (size > 0)
        g_byte_array_append(kept, state, (guint)size);
    g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(g_steal_pointer(&kept));
    conf_later_challenge(attempt->later, answer->message != NULL ? answer->message : "Response", bytes);
}

/* The number of the server that the challenge came from; -1: it is not among them any more. */
static int
read_state(const AuthRadius *self, GBytes *bytes, unsigned *round, GBytes **state)
{
    size_t size = 0;
    const char *data = g_bytes_get_data(bytes, &size);
    size_t head = 1 + strlen(data + 1) + 1;
    *round = (unsigned char)data[0];
    if (size > head)
        *state = g_bytes_new(data + head, size - head);
    const RadiusConfig *config = radius_client_get_config(self->client);
    for (unsigned i = 0; i < config->servers->len; i++) {
        g_autofree char *name = name_of_server(&g_array_index(config->servers, RadiusServerConfig, i));
        if (strcmp(name, data + 1) == 0)
            return (int)i;
    }
    return -1;
}

static char *
name_of_server(const RadiusServerConfig *server)
{
    return g_strdup_printf("%s %u", server->host, server->port);
}

static void
add_groups(const AuthRadius *self, ConfLogin *login, const RadiusAnswer *answer)
{
    const GArray *groups = radius_client_get_config(self->client)->groups;
    for (unsigned i = 0; i < groups->len; i++) {
        const RadiusGroup *group = &g_array_index(groups, RadiusGroup, i);
        size_t size = 0;
        const void *value = g_bytes_get_data(group->value, &size);
        for (unsigned k = 0; k < answer->tags->len; k++) {
            const RadiusTag *tag = &g_array_index(answer->tags, RadiusTag, k);
            if (tag->size != size || memcmp(tag->value, value, size) != 0)
                continue;
            conf_login_add_group(login, group->group);
            break;
        }
    }
}

/* What the options leave out the file may say. */
static RadiusConfig *
read_config(ConfPlugin *p, const RadiusSettings *settings, GError **error)
{
    RadiusSettings said = *settings;
    if (conf_plugin_get_option(p, RADIUS, "timeout") == NULL)
        said.timeout = 0;
    if (conf_plugin_get_option(p, RADIUS, "retries") == NULL)
        said.retries = -1;
    return radius_config_new(&said, error);
}

CONF_PLUGIN(.name = "auth-radius", .version = AUTH_RADIUS_VERSION,
            .summary = "Log-ins with the passwords of RADIUS servers", .options = OPTIONS,
            .settings_size = sizeof(RadiusSettings), .check = check, .load = load, .changed = changed,
            .stop = stop, .unload = unload);
